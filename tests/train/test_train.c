/* Training as a whole, on the embedded digits: it learns; the same bits on any number of threads
 * and after a resume; no allocation inside steps; faults are told and leave the weights alone. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "soma/soma.h"
#include "support/door.h"

#define assert_near(a_, b_, by_) assert_true(fabs((double)(a_) - (double)(b_)) <= (by_))

/* --- a small job
 * ---------------------------------------------------------------------------------- */

static char folder[64];

static soma_context *context_of(int threads)
{
    soma_context *context;
    soma_context_options options = {.threads = threads};
    assert_int_equal(soma_context_create(&context, &options, NULL), SOMA_OK);
    return context;
}

static soma_data digits(void)
{
    soma_data data;
    assert_int_equal(soma_data_open(&data, "digits", NULL, NULL), SOMA_OK);
    soma_dataset *all = data.train;
    assert_int_equal(soma_dataset_split(&data.train, &data.validation, all, 0.1, 1, NULL), SOMA_OK);
    soma_dataset_release(all);
    return data;
}

/* Convolution, batch norm and both dropouts, so that all that is random or has state takes part. */
static soma_model *network(soma_context *context, const soma_data *data)
{
    soma_layer *layer = soma_layer_sequential(
        soma_layer_conv2d(8, 3, .padding = SOMA_PAD_SAME, .no_bias = true), soma_layer_batch_norm(),
        soma_layer_activation(SOMA_RELU), soma_layer_max_pool2d(2), soma_layer_spatial_dropout(0.1),
        soma_layer_flatten(), soma_layer_dense(32, .activation = SOMA_RELU),
        soma_layer_dropout(0.2), soma_layer_dense(10));
    soma_model_options options = {.input = SOMA_SHAPE(8, 8, 1), .input_dtype = SOMA_U8, .seed = 3};
    soma_model *model;
    soma_error err = {0};
    if (soma_model_create(&model, context, layer, &options, &err))
        fail_msg("%s", err.message);
    soma_tensor *shift, *scale;
    assert_int_equal(soma_scaling_fit(&shift, &scale, data->train, SOMA_SCALE_UNIT, NULL), SOMA_OK);
    assert_int_equal(soma_model_set_scaling(model, shift, scale, NULL), SOMA_OK);
    soma_tensor_release(shift);
    soma_tensor_release(scale);
    return model;
}

static soma_train_options options_of(int64_t epochs)
{
    return (soma_train_options){.epochs = epochs,
                                .batch = 64,
                                .seed = 11,
                                .optimizer = {.kind = SOMA_ADAM, .rate = 0.005, .clip_norm = 5}};
}

/* The bytes of the saved model. */
static void saved(soma_model *model, void **bytes, size_t *size)
{
    char path[128];
    soma_error err = {0};
    snprintf(path, sizeof path, "%s/saved.safetensors", folder);
    assert_int_equal(soma_model_save(model, path, &err), SOMA_OK);
    assert_int_equal(soma__file_read(bytes, size, path, 0, &err), SOMA_OK);
}

static void assert_same_bytes(soma_model *a, soma_model *b)
{
    void *x, *y;
    size_t n, m;
    saved(a, &x, &n);
    saved(b, &y, &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    soma__free(x);
    soma__free(y);
}

static soma_model *train(soma_context *context, const soma_data *data,
                         const soma_train_options *options, soma_status expected)
{
    soma_model *model = network(context, data);
    soma_error err = {0};
    soma_status status = soma_train(model, data, options, NULL, &err);
    if (status != expected)
        fail_msg("status %d: %s", status, err.message);
    return model;
}

/* --- tests
 * ---------------------------------------------------------------------------------------- */

static void it_learns(void **state)
{
    (void)state;
    soma_context *context = context_of(0);
    soma_data data = digits();
    soma_model *model = network(context, &data);
    soma_train_options options = options_of(12);
    soma_history history;
    soma_error err = {0};
    assert_int_equal(soma_train(model, &data, &options, &history, &err), SOMA_OK);
    assert_int_equal(history.count, 12);
    assert_true(history.best >= 0);
    assert_true(history.epochs[11].train.loss < history.epochs[0].train.loss / 2);
    soma_metrics metrics;
    int64_t confusion[100], sum = 0, diagonal = 0;
    assert_int_equal(soma_evaluate(model, data.test, 100, &metrics, confusion, &err), SOMA_OK);
    assert_true(metrics.accuracy > 0.93);
    for (int i = 0; i < 100; i++) {
        sum += confusion[i];
        diagonal += i % 11 == 0 ? confusion[i] : 0;
    }
    assert_int_equal(sum, soma_dataset_count(data.test));
    assert_near((double)diagonal / (double)sum, metrics.accuracy, 1e-9);
    /* The batch of an evaluation does not change what it finds (but for rounding). */
    soma_metrics other;
    assert_int_equal(soma_evaluate(model, data.test, 7, &other, NULL, &err), SOMA_OK);
    assert_near(metrics.accuracy, other.accuracy, 1e-9);
    assert_near(metrics.loss, other.loss, 1e-4);
    /* The weights are those of the best epoch. */
    soma_metrics validation;
    assert_int_equal(soma_evaluate(model, data.validation, 0, &validation, NULL, &err), SOMA_OK);
    assert_near(validation.loss, history.epochs[history.best].validation.loss, 1e-9);
    soma_history_clear(&history);
    soma_model_destroy(model);
    soma_data_clear(&data);
    soma_context_destroy(context);
}

/* Products of bf16 lead to the same accuracy, on another way; evaluation does not know of them. */
static void it_learns_in_bf16(void **state)
{
    (void)state;
    soma_context *context = context_of(0);
    soma_data data = digits();
    soma_train_options options = options_of(12);
    soma_model *plain = train(context, &data, &options, SOMA_OK);
    options.precision = SOMA_BF16;
    soma_model *model = train(context, &data, &options, SOMA_OK);
    assert_int_equal(soma_model_get_precision(plain), SOMA_F32);
    assert_int_equal(soma_model_get_precision(model), SOMA_BF16);
    const soma_tensor *a = soma_model_find(plain, "conv1.weight")->tensor;
    const soma_tensor *b = soma_model_find(model, "conv1.weight")->tensor;
    assert_int_equal(soma_tensor_dtype(b), SOMA_F32);
    assert_true(soma_tensor_get(a, 0) != soma_tensor_get(b, 0));
    soma_metrics in_f32, in_bf16, again;
    soma_error err = {0};
    assert_int_equal(soma_evaluate(plain, data.test, 0, &in_f32, NULL, &err), SOMA_OK);
    assert_int_equal(soma_evaluate(model, data.test, 0, &in_bf16, NULL, &err), SOMA_OK);
    assert_true(in_bf16.accuracy > 0.93);
    assert_near(in_bf16.accuracy, in_f32.accuracy, 0.02);
    assert_int_equal(soma_model_set_precision(model, SOMA_F32, &err), SOMA_OK);
    assert_int_equal(soma_evaluate(model, data.test, 0, &again, NULL, &err), SOMA_OK);
    assert_true(again.loss == in_bf16.loss);
    assert_int_equal(soma_model_set_precision(model, SOMA_F16, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "f32 or bf16, not f16"));
    options.precision = SOMA_I8;
    soma_model_destroy(train(context, &data, &options, SOMA_INVALID));
    soma_model_destroy(plain);
    soma_model_destroy(model);
    soma_data_clear(&data);
    soma_context_destroy(context);
}

static void the_same_bits_on_one_two_and_three_threads(void **state)
{
    (void)state;
    soma_data data = digits();
    soma_train_options options = options_of(2);
    soma_context *contexts[3];
    soma_model *models[3];
    for (int i = 0; i < 3; i++) {
        contexts[i] = context_of(i + 1);
        options.loader_threads = i + 1;
        models[i] = train(contexts[i], &data, &options, SOMA_OK);
    }
    assert_same_bytes(models[0], models[1]);
    assert_same_bytes(models[0], models[2]);
    for (int i = 0; i < 3; i++) {
        soma_model_destroy(models[i]);
        soma_context_destroy(contexts[i]);
    }
    soma_data_clear(&data);
}

static bool stop_at(void *user, const soma_event *event)
{
    return event->kind != SOMA_EVENT_STEP || event->total_steps != *(int64_t *)user;
}

static void resume_in(soma_dtype precision)
{
    soma_context *context = context_of(2);
    soma_data data = digits();
    soma_train_options options = options_of(3);
    options.precision = precision;
    soma_model *straight = train(context, &data, &options, SOMA_OK);
    /* Stops in the middle of an epoch, at the last step of one, at the first of one. */
    for (int64_t at = 5; at < 50; at += at == 5 ? 16 : 1) {
        char run[128], path[160];
        snprintf(run, sizeof run, "%s/run-%s-%lld", folder, soma_dtype_text(precision),
                 (long long)at);
        options.folder = run;
        options.callback = stop_at;
        options.user = &at;
        options.resume = true;
        soma_model_destroy(train(context, &data, &options, SOMA_CANCELLED));
        options.callback = NULL;
        soma_model *resumed = train(context, &data, &options, SOMA_OK);
        assert_same_bytes(straight, resumed);
        soma_model_destroy(resumed);
        /* What was written opens as a model too. */
        soma_error err = {0};
        soma_model *loaded;
        snprintf(path, sizeof path, "%s/last.checkpoint", run);
        if (soma_model_load(&loaded, context, path, &err))
            fail_msg("%s", err.message);
        soma_model_destroy(loaded);
        if (at > 24)
            break;
    }
    /* With another seed or in another precision it is another run: resuming it would not be. */
    char run[128];
    snprintf(run, sizeof run, "%s/run-%s-5", folder, soma_dtype_text(precision));
    options.folder = run;
    options.precision = precision == SOMA_BF16 ? SOMA_F32 : SOMA_BF16;
    soma_model_destroy(train(context, &data, &options, SOMA_INVALID));
    options.precision = precision;
    options.seed++;
    soma_model_destroy(train(context, &data, &options, SOMA_INVALID));
    soma_model_destroy(straight);
    soma_data_clear(&data);
    soma_context_destroy(context);
}

static void a_resumed_run_ends_in_the_same_bits(void **state)
{
    (void)state;
    resume_in(SOMA_F32);
    resume_in(SOMA_BF16);
}

typedef struct counts {
    long before;
    int64_t steps, most;
} counts;

static bool count(void *user, const soma_event *event)
{
    counts *c = user;
    long now = door_calls;
    if (event->kind == SOMA_EVENT_STEP && event->step > 1) {
        c->steps++;
        c->most = now - c->before > c->most ? now - c->before : c->most;
    }
    c->before = now;
    return true;
}

static void steps_allocate_nothing(void **state)
{
    (void)state;
    soma_context *context = context_of(2);
    soma_data data = digits();
    soma_train_options options = options_of(2);
    counts c = {0};
    options.callback = count;
    options.user = &c;
    soma_model_destroy(train(context, &data, &options, SOMA_OK));
    assert_true(c.steps > 30);
    assert_int_equal(c.most, 0);
    soma_data_clear(&data);
    soma_context_destroy(context);
}

static void a_loss_that_is_not_finite_stops_and_names_the_op(void **state)
{
    (void)state;
    soma_context *context = context_of(1);
    soma_data data = digits();
    soma_model *model = network(context, &data);
    soma_tensor *weight = soma_model_find(model, "dense1.weight")->tensor;
    soma_tensor_set(weight, 0, 3e38);
    soma_tensor_set(weight, 1, 3e38);
    soma_tensor *before;
    assert_int_equal(soma_tensor_cast(&before, weight, SOMA_F32, NULL), SOMA_OK);
    soma_train_options options = options_of(1);
    soma_error err = {0};
    assert_int_equal(soma_train(model, &data, &options, NULL, &err), SOMA_NUMERIC);
    assert_non_null(strstr(err.message, "dense1"));
    assert_non_null(strstr(err.message, "step 1"));
    assert_memory_equal(soma_tensor_const_data(before), soma_tensor_const_data(weight),
                        soma_tensor_bytes(weight));
    soma_tensor_release(before);
    soma_model_destroy(model);
    soma_data_clear(&data);
    soma_context_destroy(context);
}

typedef struct warnings {
    int count;
    char last[512];
} warnings;

static bool keep_warning(void *user, const soma_event *event)
{
    warnings *w = user;
    if (event->kind == SOMA_EVENT_WARNING) {
        w->count++;
        snprintf(w->last, sizeof w->last, "%s", event->message);
    }
    return true;
}

static void a_first_loss_far_from_ln_k_is_told(void **state)
{
    (void)state;
    soma_context *context = context_of(1);
    soma_data data = digits();
    warnings w = {0};
    soma_train_options options = options_of(1);
    options.callback = keep_warning;
    options.user = &w;
    soma_model_destroy(train(context, &data, &options, SOMA_OK));
    if (w.count)
        fail_msg("%s", w.last);
    soma_model *model = network(context, &data);
    soma_tensor *bias = soma_model_find(model, "dense2.bias")->tensor;
    soma_tensor_set(bias, 4, 80);
    assert_int_equal(soma_train(model, &data, &options, NULL, NULL), SOMA_OK);
    assert_int_equal(w.count, 1);
    assert_non_null(strstr(w.last, "ln 10"));
    soma_model_destroy(model);
    soma_data_clear(&data);
    soma_context_destroy(context);
}

static void data_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    soma_context *context = context_of(1);
    soma_data data = digits();
    soma_error err = {0};
    soma_model *model;
    soma_model_options small = {.input = SOMA_SHAPE(8, 8, 1), .input_dtype = SOMA_U8};
    soma_layer *five = soma_layer_sequential(soma_layer_flatten(), soma_layer_dense(5));
    assert_int_equal(soma_model_create(&model, context, five, &small, &err), SOMA_OK);
    soma_train_options options = options_of(1);
    assert_int_equal(soma_train(model, &data, &options, NULL, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "label"));
    assert_non_null(strstr(err.message, "5 classes"));
    soma_model_destroy(model);
    model = network(context, &data);
    options.batch = 100000;
    assert_int_equal(soma_train(model, &data, &options, NULL, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "batch 100000"));
    soma_model_destroy(model);
    soma_data iris;
    assert_int_equal(soma_data_open(&iris, "iris", NULL, NULL), SOMA_OK);
    model = network(context, &data);
    options.batch = 8;
    assert_int_equal(soma_train(model, &iris, &options, NULL, &err), SOMA_SHAPE);
    assert_non_null(strstr(err.message, "[4]"));
    assert_non_null(strstr(err.message, "[8,8,1]"));
    soma_model_destroy(model);
    soma_data_clear(&iris);
    soma_data_clear(&data);
    soma_context_destroy(context);
}

static void early_stopping_keeps_the_best(void **state)
{
    (void)state;
    soma_context *context = context_of(0);
    soma_data data = digits();
    soma_model *model = network(context, &data);
    soma_train_options options = options_of(50);
    options.optimizer.rate = 0.05; /* too large, so that it soon stops getting better */
    options.patience = 2;
    soma_history history;
    assert_int_equal(soma_train(model, &data, &options, &history, NULL), SOMA_OK);
    assert_true(history.stopped_early);
    assert_int_equal(history.count, history.best + 3);
    soma_history_clear(&history);
    soma_model_destroy(model);
    soma_data_clear(&data);
    soma_context_destroy(context);
}

static void the_estimate_is_what_is_used(void **state)
{
    (void)state;
    soma_context *context = context_of(1);
    soma_data data = digits();
    soma_model *model = network(context, &data);
    soma_train_options options = options_of(1);
    soma_train_cost cost;
    assert_int_equal(soma_train_estimate(model, &data, &options, &cost, NULL), SOMA_OK);
    /* conv 8·9, norm 2·8, dense 128·32+32, dense 32·10+10 */
    assert_int_equal(cost.trainable, 72 + 16 + 4128 + 330);
    assert_true(cost.step_flops > 64 * 2.0 * (64 * 8 * 9 + 128 * 32 + 320));
    assert_true(cost.bytes > 1797 * 64);
    soma_model_destroy(model);
    soma_data_clear(&data);
    soma_context_destroy(context);
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/soma-train-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_learns),
        cmocka_unit_test(it_learns_in_bf16),
        cmocka_unit_test(the_same_bits_on_one_two_and_three_threads),
        cmocka_unit_test(a_resumed_run_ends_in_the_same_bits),
        cmocka_unit_test(steps_allocate_nothing),
        cmocka_unit_test(a_loss_that_is_not_finite_stops_and_names_the_op),
        cmocka_unit_test(a_first_loss_far_from_ln_k_is_told),
        cmocka_unit_test(data_that_does_not_fit_is_refused),
        cmocka_unit_test(early_stopping_keeps_the_best),
        cmocka_unit_test(the_estimate_is_what_is_used),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
