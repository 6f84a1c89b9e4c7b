/* The linter: each mistake, put in on purpose, is found by its check and by no other; a sound model
 * has no findings. tests/cli/check.sh runs all checks over the shipped recipes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "soma/soma.h"

#define N 400
#define FEATURES 8
#define CLASSES 4

static soma_context *context;

/* Classes that a small network tells apart: normal-looking features, one shifted by the class. */
typedef struct source {
    double scale;  /* of all features */
    double first;  /* of the first feature besides */
    int64_t rare;  /* class 0 only every so many samples; 0: as the others */
    int64_t wrong; /* added to the last label */
    bool targets;  /* f32 targets instead of labels */
    double target_scale;
} source;

static soma_dataset *make(const source *s, int64_t n, int64_t from)
{
    soma_tensor *x, *y;
    soma_dataset *dataset;
    assert_int_equal(soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(n, FEATURES), NULL), SOMA_OK);
    assert_int_equal(soma_tensor_create(&y, s->targets ? SOMA_F32 : SOMA_I64,
                                        s->targets ? SOMA_SHAPE(n, 1) : SOMA_SHAPE(n), NULL),
                     SOMA_OK);
    for (int64_t i = 0; i < n; i++) {
        int64_t k = (i + from) % CLASSES;
        if (s->rare && k == 0 && i % s->rare)
            k = 1 + i % (CLASSES - 1);
        for (int64_t f = 0; f < FEATURES; f++) {
            double wave = sin((double)((i + from) * 7919 + f * 104729)) * 1.4;
            wave += f == k ? 1.5 : 0;
            soma_tensor_set(x, i * FEATURES + f, wave * s->scale * (f ? 1 : s->first));
        }
        soma_tensor_set(y, i, s->targets ? sin((double)i) * s->target_scale : (double)k);
    }
    if (s->wrong)
        soma_tensor_set(y, n - 1, (double)(CLASSES - 1 + s->wrong));
    assert_int_equal(soma_dataset_from_tensors(&dataset, x, y, NULL), SOMA_OK);
    soma_tensor_release(x);
    soma_tensor_release(y);
    return dataset;
}

static const source sound = {.scale = 1, .first = 1, .target_scale = 1};

static soma_layer *good(void)
{
    return soma_layer_sequential(soma_layer_dense(16, .activation = SOMA_RELU),
                                 soma_layer_dropout(0.2), soma_layer_dense(CLASSES));
}

static soma_layer *good_regression(void)
{
    return soma_layer_sequential(soma_layer_dense(16, .activation = SOMA_TANH),
                                 soma_layer_dense(1));
}

typedef struct seeded {
    soma_layer *(*layers)(void);
    source source;
    soma_task task;
    soma_train_options options;
} seeded;

/* Checks the case; the ids found, each followed by a blank, in `ids`. */
static void run(const seeded *c, const soma_data *parts, bool quick, char ids[256],
                soma_findings *found)
{
    soma_data data = {0};
    soma_model *model;
    soma_error err = {0};
    soma_model_options takes = {.input = SOMA_SHAPE(FEATURES), .task = c->task, .seed = 1};
    if (parts) {
        data = *parts;
    } else {
        data.train = make(&c->source, N, 0);
        data.test = make(&c->source, 60, 10 * N + 1);
    }
    if (soma_model_create(&model, context, c->layers(), &takes, &err) != SOMA_OK)
        fail_msg("%s", err.message);
    if (soma_check(model, &data, &c->options, quick, found, &err) != SOMA_OK)
        fail_msg("%s", err.message);
    ids[0] = '\0';
    for (int i = 0; i < found->count; i++) {
        assert_true(found->list[i].message[0] && found->list[i].fix[0]);
        strcat(strcat(ids, found->list[i].id), " ");
    }
    soma_model_destroy(model);
    if (!parts)
        soma_data_clear(&data);
}

static void expect(const char *what, const seeded *c, const char *ids, const char *message)
{
    char got[256];
    soma_findings found;
    run(c, NULL, false, got, &found);
    bool told = !message;
    for (int i = 0; i < found.count; i++)
        told = told || strstr(found.list[i].message, message);
    if (strcmp(got, ids) != 0 || !told)
        fail_msg("%s: found '%s' instead of '%s': %s", what, got, ids,
                 found.count ? found.list[0].message : "");
    soma_findings_clear(&found);
}

/* --- sound ones ---------------------------------------------------------------------------------
 */

static soma_layer *conv_like(void)
{
    return soma_layer_sequential(soma_layer_reshape(SOMA_SHAPE(4, 2, 1)),
                                 soma_layer_conv2d(6, 3, .pad = {1, 1, 1, 1}, .no_bias = true),
                                 soma_layer_batch_norm(), soma_layer_activation(SOMA_RELU),
                                 soma_layer_residual(soma_layer_conv2d(6, 1), NULL, SOMA_RELU),
                                 soma_layer_global_avg_pool2d(), soma_layer_dropout(0.2),
                                 soma_layer_dense(CLASSES));
}

static soma_layer *bottleneck(void)
{
    return soma_layer_sequential(soma_layer_dense(16, .activation = SOMA_RELU), soma_layer_dense(2),
                                 soma_layer_dense(16, .activation = SOMA_RELU),
                                 soma_layer_dense(CLASSES));
}

static soma_layer *norm_first(void)
{
    return soma_layer_sequential(soma_layer_layer_norm(), good());
}

static void sound_models_have_no_findings(void **state)
{
    (void)state;
    const soma_optimizer_options adam = {.kind = SOMA_ADAM};
    expect("sgd", &(seeded){good, sound, SOMA_TASK_CLASSIFY, {0}}, "", NULL);
    expect("adam", &(seeded){good, sound, SOMA_TASK_CLASSIFY, {.optimizer = adam}}, "", NULL);
    expect("conv", &(seeded){conv_like, sound, SOMA_TASK_CLASSIFY, {.optimizer = adam}}, "", NULL);
    expect("bottleneck", &(seeded){bottleneck, sound, SOMA_TASK_CLASSIFY, {.optimizer = adam}}, "",
           NULL);
    source large = sound;
    large.scale = 300;
    expect("norm first", &(seeded){norm_first, large, SOMA_TASK_CLASSIFY, {.optimizer = adam}}, "",
           NULL);
    source targets = sound;
    targets.targets = true;
    expect("regression", &(seeded){good_regression, targets, SOMA_TASK_REGRESS, {0}}, "", NULL);
}

/* --- the end of the network ---------------------------------------------------------------------
 */

static soma_layer *ends_in(soma_activation activation, int64_t units)
{
    return soma_layer_sequential(soma_layer_dense(16, .activation = SOMA_RELU),
                                 soma_layer_dense(units, .activation = activation));
}
static soma_layer *ends_in_softmax(void)
{
    return ends_in(SOMA_SOFTMAX, CLASSES);
}
static soma_layer *ends_in_log_softmax(void)
{
    return ends_in(SOMA_LOG_SOFTMAX, CLASSES);
}
static soma_layer *ends_in_relu(void)
{
    return ends_in(SOMA_RELU, CLASSES);
}
static soma_layer *ends_in_sigmoid(void)
{
    return ends_in(SOMA_SIGMOID, 1);
}
static soma_layer *one_output(void)
{
    return ends_in(SOMA_LINEAR, 1);
}

static void ends_that_do_not_fit_the_loss(void **state)
{
    (void)state;
    const soma_optimizer_options adam = {.kind = SOMA_ADAM};
    const soma_loss_options nll = {.kind = SOMA_LOSS_NLL}, mae = {.kind = SOMA_LOSS_MAE};
    source targets = sound, outside = sound;
    targets.targets = outside.targets = true;
    outside.target_scale = 3;
    expect("softmax", &(seeded){ends_in_softmax, sound, SOMA_TASK_CLASSIFY, {.optimizer = adam}},
           "softmax-twice ", "ends in softmax, and cross_entropy applies softmax again");
    expect("log_softmax",
           &(seeded){ends_in_log_softmax, sound, SOMA_TASK_CLASSIFY, {.optimizer = adam}},
           "softmax-twice ", "for nothing");
    expect(
        "nll of log_softmax",
        &(seeded){ends_in_log_softmax, sound, SOMA_TASK_CLASSIFY, {.optimizer = adam, .loss = nll}},
        "", NULL);
    expect("nll of softmax",
           &(seeded){ends_in_softmax, sound, SOMA_TASK_CLASSIFY, {.optimizer = adam, .loss = nll}},
           "loss-fit ", "nll takes logarithms of probabilities");
    expect("relu", &(seeded){ends_in_relu, sound, SOMA_TASK_CLASSIFY, {.optimizer = adam}},
           "loss-fit ", "the model ends in relu");
    expect("a loss of another task",
           &(seeded){good, sound, SOMA_TASK_CLASSIFY, {.optimizer = adam, .loss = mae}},
           "loss-fit ", "mae");
    expect("targets beyond the sigmoid",
           &(seeded){ends_in_sigmoid, outside, SOMA_TASK_REGRESS, {.optimizer = adam}}, "loss-fit ",
           "ends in sigmoid, which gives values from 0 to 1, but targets go from -2");
    expect("binary with other targets",
           &(seeded){one_output, outside, SOMA_TASK_BINARY, {.optimizer = adam}}, "loss-fit ",
           "the task is binary, but targets go from");
    expect("targets for a classifier",
           &(seeded){good, targets, SOMA_TASK_CLASSIFY, {.optimizer = adam}}, "data-fit ",
           "a classifier needs one i64 label");
    source zero_one = targets;
    zero_one.target_scale = 0;
    expect("sigmoid twice",
           &(seeded){ends_in_sigmoid, zero_one, SOMA_TASK_BINARY, {.optimizer = adam}},
           "softmax-twice ", "bce_logits applies the sigmoid again");
}

/* --- the inside ---------------------------------------------------------------------------------
 */

static soma_layer *linear_stack(void)
{
    return soma_layer_sequential(soma_layer_dense(16), soma_layer_batch_norm(),
                                 soma_layer_dense(16, .activation = SOMA_RELU),
                                 soma_layer_dense(CLASSES));
}
static soma_layer *dropped_output(void)
{
    return soma_layer_sequential(good(), soma_layer_dropout(0.5));
}
static soma_layer *equal_weights(void)
{
    return soma_layer_sequential(
        soma_layer_dense(16, .activation = SOMA_TANH, .init = {.kind = SOMA_INIT_ONES}),
        soma_layer_dense(CLASSES));
}
static soma_layer *dead(void)
{
    return soma_layer_sequential(
        soma_layer_dense(16, .activation = SOMA_RELU,
                         .bias_init = {.kind = SOMA_INIT_CONSTANT, .value = -30}),
        soma_layer_dense(16, .activation = SOMA_RELU), soma_layer_dense(CLASSES));
}
static soma_layer *normed(void)
{
    return soma_layer_sequential(soma_layer_dense(16, .no_bias = true), soma_layer_batch_norm(),
                                 soma_layer_activation(SOMA_RELU), soma_layer_dense(CLASSES));
}
static soma_layer *wide(void)
{
    return soma_layer_sequential(soma_layer_dense(16, .activation = SOMA_RELU),
                                 soma_layer_dense(40));
}

static void layers_that_do_not_work(void **state)
{
    (void)state;
    const soma_optimizer_options adam = {.kind = SOMA_ADAM};
    const seeded base = {good, sound, SOMA_TASK_CLASSIFY, {.optimizer = adam}};
    seeded c = base;
    c.layers = linear_stack;
    expect("no activation", &c, "no-nonlinearity ", "no activation between 'dense1' and 'dense2'");
    c.layers = dropped_output;
    expect("dropout last", &c, "dropout-after-output ", "draws at random after the last layer");
    c.layers = equal_weights;
    expect("equal weights", &c, "constant-weights ", "all weights of 'dense1.weight' are 1");
    c.layers = dead;
    expect("dead units", &c, "dead-relu dead-relu ", "100 % of the relu units of 'dense1'");
    c.layers = wide;
    expect("outputs without a class", &c, "labels ", "40 outputs, but labels only go up to 3");
    c.layers = normed;
    c.options.batch = 1;
    expect("batch norm of one", &c, "batch-norm-one ", "over a batch of 1");
    c.options.batch = 399;
    expect("a last batch of one", &c, "batch-norm-one ", "the last batch of each epoch has 1");
    c.options.batch = 32;
    expect("batch norm", &c, "", NULL);
}

/* --- data ---------------------------------------------------------------------------------------
 */

static void data_that_is_not_fit(void **state)
{
    (void)state;
    const soma_optimizer_options adam = {.kind = SOMA_ADAM};
    const seeded base = {good, sound, SOMA_TASK_CLASSIFY, {.optimizer = adam}};
    seeded c = base;
    c.source.wrong = 3;
    expect("labels", &c, "labels labels ",
           "training part: 1 samples have labels of 4 and more, the first is sample 399");
    c = base;
    c.source.scale = 200;
    expect("large inputs", &c, "inputs-scaled ", "inputs are large");
    c.source.scale = 1e-5;
    c.options.optimizer.rate = 0.1;
    expect("small inputs", &c, "inputs-scaled ", "inputs are small");
    c = base;
    c.source.first = 1e-5;
    expect("an uneven feature", &c, "inputs-scaled ", "features differ in size");
    c = base;
    c.source.rare = 80;
    expect("a rare class", &c, "class-balance ", "class '0' only");
    c.options.balanced = true;
    expect("a rare class that is dealt with", &c, "", NULL);
    c = (seeded){good_regression, sound, SOMA_TASK_REGRESS, {.optimizer = adam}};
    c.source.targets = true;
    c.source.target_scale = 5000;
    c.options.optimizer.rate = 1;
    expect("large targets", &c, "targets-scaled ", "targets are large");
}

static void parts_that_share_samples(void **state)
{
    (void)state;
    const soma_optimizer_options adam = {.kind = SOMA_ADAM};
    const seeded c = {good, sound, SOMA_TASK_CLASSIFY, {.optimizer = adam}};
    char ids[256];
    soma_findings found;
    soma_dataset *all = make(&sound, N, 0), *rest, *part, *same;
    assert_int_equal(soma_dataset_split(&rest, &part, all, 0.25, 1, NULL), SOMA_OK);
    run(&c, &(soma_data){rest, part, NULL}, false, ids, &found);
    assert_string_equal(ids, "");
    soma_findings_clear(&found);
    /* By where they come from: quick. */
    run(&c, &(soma_data){rest, part, part}, true, ids, &found);
    assert_string_equal(ids, "test-as-validation ");
    assert_non_null(strstr(found.list[0].message, "100 of 100 validation samples are of the test"));
    soma_findings_clear(&found);
    run(&c, &(soma_data){all, part, NULL}, true, ids, &found);
    assert_string_equal(ids, "test-as-validation ");
    soma_findings_clear(&found);
    run(&c, &(soma_data){all, NULL, part}, true, ids, &found);
    assert_string_equal(ids, "test-as-validation ");
    soma_findings_clear(&found);
    /* By what they hold: the same samples from elsewhere. */
    same = make(&sound, 60, 0);
    run(&c, &(soma_data){all, NULL, same}, true, ids, &found);
    assert_string_equal(ids, "");
    soma_findings_clear(&found);
    run(&c, &(soma_data){all, NULL, same}, false, ids, &found);
    assert_string_equal(ids, "duplicates ");
    assert_int_equal(found.list[0].severity, SOMA_SEVERITY_WARNING);
    soma_findings_clear(&found);
    soma_dataset_release(same);
    soma_dataset_release(all);
    soma_dataset_release(rest);
    soma_dataset_release(part);
}

/* --- rate ---------------------------------------------------------------------------------------
 */

static void rates_far_off(void **state)
{
    (void)state;
    static const struct {
        soma_optimizer_kind kind;
        double rate;
        const char *ids, *message;
    } cases[] = {
        {SOMA_SGD, 0.01, "", NULL},
        {SOMA_SGD, 0.5, "", NULL},
        {SOMA_SGD, 1000, "rate ", "diverges"},
        {SOMA_SGD, 1e-8, "rate ", "does not move"},
        {SOMA_ADAM, 0.001, "", NULL},
        {SOMA_ADAM, 0.03, "", NULL},
        {SOMA_ADAM, 3, "rate ", "diverges"},
        {SOMA_ADAM, 50, "rate ", "diverges"},
        {SOMA_ADAM, 1e-9, "rate ", "does not move"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        seeded c = {good, sound, SOMA_TASK_CLASSIFY, {0}};
        c.options.optimizer =
            (soma_optimizer_options){.kind = cases[i].kind, .rate = cases[i].rate};
        char what[64];
        snprintf(what, sizeof what, "rate %g, case %zu", cases[i].rate, i);
        expect(what, &c, cases[i].ids, cases[i].message);
    }
}

/* --- the call -----------------------------------------------------------------------------------
 */

static void a_check_leaves_the_model_alone(void **state)
{
    (void)state;
    soma_model *model;
    soma_findings found;
    soma_error err = {0};
    soma_data data = {.train = make(&sound, N, 0)};
    soma_model_options takes = {.input = SOMA_SHAPE(FEATURES), .seed = 1};
    assert_int_equal(soma_model_create(&model, context, normed(), &takes, NULL), SOMA_OK);
    const soma_tensor *weight = soma_model_parameter(model, 0)->tensor;
    float before[16 * FEATURES];
    memcpy(before, soma_tensor_const_data(weight), sizeof before);
    assert_int_equal(soma_check(model, &data, NULL, false, &found, &err), SOMA_OK);
    assert_int_equal(found.count, 0);
    assert_memory_equal(before, soma_tensor_const_data(weight), sizeof before);
    soma_findings_clear(&found);
    assert_int_equal(soma_check(NULL, &data, NULL, false, &found, &err), SOMA_INVALID);
    assert_int_equal(soma_check(model, &(soma_data){0}, NULL, false, &found, &err), SOMA_INVALID);
    const char *id, *doc;
    int count = 0;
    for (; soma_check_text(count, &id, &doc); count++)
        assert_true(*id && *doc);
    assert_true(count >= 13);
    assert_string_equal(soma_severity_text(SOMA_SEVERITY_FAULT), "fault");
    soma_model_destroy(model);
    soma_data_clear(&data);
}

static int open_context(void **state)
{
    (void)state;
    return soma_context_create(&context, NULL, NULL) != SOMA_OK;
}

static int close_context(void **state)
{
    (void)state;
    soma_context_destroy(context);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_models_have_no_findings),
        cmocka_unit_test(ends_that_do_not_fit_the_loss),
        cmocka_unit_test(layers_that_do_not_work),
        cmocka_unit_test(data_that_is_not_fit),
        cmocka_unit_test(parts_that_share_samples),
        cmocka_unit_test(rates_far_off),
        cmocka_unit_test(a_check_leaves_the_model_alone),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
