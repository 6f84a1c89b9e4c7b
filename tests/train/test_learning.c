/* What wraps around plain training: gradients of several batches, averages, sharpness-aware steps,
 * watched metrics, callbacks. Each ends in the same bits on any number of threads and after a
 * resume. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
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

#define assert_near(a_, b_, by_)                                                                   \
    do {                                                                                           \
        double x_ = (double)(a_), y_ = (double)(b_);                                               \
        if (!(fabs(x_ - y_) <= (by_)))                                                             \
            fail_msg("%s: %.9g instead of %.9g", #a_, x_, y_);                                     \
    } while (0)

static char folder[64];

/* --- small jobs ---------------------------------------------------------------------------------
 */

static soma_context *context_of(int threads)
{
    soma_context *context;
    soma_context_options options = {.threads = threads};
    assert_int_equal(soma_context_create(&context, &options, NULL), SOMA_OK);
    return context;
}

/* 230 digits for training, 100 for validation. */
static soma_data digits(void)
{
    soma_data data;
    soma_error err = {0};
    assert_int_equal(soma_data_open(&data, "digits", NULL, NULL), SOMA_OK);
    soma_dataset *all = data.train, *rest;
    if (soma_dataset_split(&rest, &data.train, all, 330, 1, &err))
        fail_msg("%s", err.message);
    soma_dataset_release(all);
    soma_dataset_release(rest);
    all = data.train;
    if (soma_dataset_split(&data.train, &data.validation, all, 100, 1, &err))
        fail_msg("%s", err.message);
    soma_dataset_release(all);
    return data;
}

static soma_model *model_of(soma_context *context, soma_layer *layers)
{
    soma_model_options options = {.input = SOMA_SHAPE(8, 8, 1), .input_dtype = SOMA_U8, .seed = 3};
    soma_model *model;
    soma_error err = {0};
    if (soma_model_create(&model, context, layers, &options, &err))
        fail_msg("%s", err.message);
    return model;
}

/* Batch norm first, so that raw bytes will do. */
static soma_model *network(soma_context *context)
{
    return model_of(context,
                    soma_layer_sequential(soma_layer_flatten(), soma_layer_batch_norm(.eps = 1),
                                          soma_layer_dense(16, .activation = SOMA_RELU),
                                          soma_layer_dropout(0.2), soma_layer_dense(10)));
}

static soma_model *plain_network(soma_context *context)
{
    return model_of(context, soma_layer_sequential(soma_layer_flatten(), soma_layer_layer_norm(),
                                                   soma_layer_dense(16, .activation = SOMA_TANH),
                                                   soma_layer_dense(10)));
}

static soma_model *train(soma_model *model, const soma_data *data,
                         const soma_train_options *options, soma_status expected)
{
    soma_error err = {0};
    soma_status status = soma_train(model, data, options, NULL, &err);
    if (status != expected)
        fail_msg("status %d: %s", status, err.message);
    return model;
}

static void assert_same_weights(const char *what, const soma_model *a, const soma_model *b,
                                double tolerance)
{
    for (int i = 0; i < soma_model_parameter_count(a); i++) {
        const soma_parameter *p = soma_model_parameter(a, i), *q = soma_model_parameter(b, i);
        for (int64_t k = 0; k < soma_tensor_count(p->tensor); k++) {
            double x = soma_tensor_get(p->tensor, k), y = soma_tensor_get(q->tensor, k);
            if (!(fabs(x - y) <= tolerance * (1 + fabs(y))))
                fail_msg("%s: %s[%d]: %.9g and %.9g", what, p->name, (int)k, x, y);
        }
    }
}

/* --- the same bits ------------------------------------------------------------------------------
 */

static const struct variant {
    const char *name;
    soma_train_options options;
} variants[] = {
    {"accumulate", {.accumulate = 3, .optimizer = {.kind = SOMA_ADAM, .clip_norm = 1}}},
    {"ema", {.optimizer = {.kind = SOMA_NADAM, .ema = 0.9}}},
    {"swa", {.optimizer = {.kind = SOMA_SGD, .momentum = 0.9, .swa_epoch = 2, .swa_rate = 0.02}}},
    {"asgd", {.optimizer = {.kind = SOMA_ASGD, .average_from = 5}}},
    {"lookahead",
     {.optimizer = {.kind = SOMA_RADAM, .lookahead = 4, .schedule = SOMA_SCHEDULE_ONE_CYCLE}}},
    {"sam", {.accumulate = 2, .optimizer = {.momentum = 0.9, .sam = 0.05, .max_norm = 2}}},
    {"plateau",
     {.epochs = 5,
      .monitor = "train.accuracy",
      .min_delta = 0.5,
      .optimizer = {.kind = SOMA_LAMB,
                    .schedule = SOMA_SCHEDULE_PLATEAU,
                    .plateau_epochs = 1,
                    .plateau_delta = 0.9}}},
    {"lbfgs", {.batch = SOMA_BATCH_ALL, .optimizer = {.kind = SOMA_LBFGS, .iterations = 3}}},
    {"rprop", {.optimizer = {.kind = SOMA_RPROP, .rate = 0.001}}},
};

static bool stop_at(void *user, const soma_event *event)
{
    return event->kind != SOMA_EVENT_STEP || event->total_steps != *(int64_t *)user;
}

static void resumes(const struct variant *v, soma_context *context, const soma_data *data,
                    const soma_model *straight)
{
    /* Of six steps an epoch: within the first, at the end of the second, … */
    int64_t steps = v->options.batch ? 13 : 6 * (v->options.epochs ? v->options.epochs : 3);
    for (int64_t at = 4; at < steps; at += 8) {
        char run[128];
        snprintf(run, sizeof run, "%s/%s-%d", folder, v->name, (int)at);
        soma_train_options options = v->options;
        options.epochs = options.batch ? 15 : options.epochs ? options.epochs : 3;
        options.batch = options.batch ? options.batch : 40;
        options.folder = run;
        options.resume = true;
        options.callback = stop_at;
        options.user = &at;
        soma_model_destroy(train(network(context), data, &options, SOMA_CANCELLED));
        options.callback = NULL;
        soma_model *resumed = train(network(context), data, &options, SOMA_OK);
        assert_same_weights(run, straight, resumed, 0);
        soma_model_destroy(resumed);
    }
}

static void same_bits(void **state)
{
    (void)state;
    soma_context *one = context_of(1), *three = context_of(3);
    soma_data data = digits();
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        soma_train_options options = variants[i].options;
        options.epochs = options.batch ? 15 : options.epochs ? options.epochs : 3;
        options.batch = options.batch ? options.batch : 40;
        soma_model *straight = train(network(one), &data, &options, SOMA_OK);
        soma_model *threads = train(network(three), &data, &options, SOMA_OK);
        assert_same_weights(variants[i].name, straight, threads, 0);
        resumes(&variants[i], three, &data, straight);
        soma_model_destroy(straight);
        soma_model_destroy(threads);
    }
    soma_data_clear(&data);
    soma_context_destroy(one);
    soma_context_destroy(three);
}

/* --- accumulation -------------------------------------------------------------------------------
 */

/* Six batches of 40 (the last of 30) two by two are three of 80 (the last of 70). */
static void batches_add_up(void **state)
{
    (void)state;
    soma_context *context = context_of(1);
    soma_data data = digits();
    soma_train_options options = {
        .epochs = 3,
        .batch = 80,
        .no_shuffle = true,
        .keep_last = true,
        .optimizer = {
            .rate = 0.1, .momentum = 0.9, .clip_norm = 0.5, .schedule = SOMA_SCHEDULE_COSINE}};
    soma_model *whole = train(plain_network(context), &data, &options, SOMA_OK);
    options.batch = 40;
    options.accumulate = 2;
    soma_model *parts = train(plain_network(context), &data, &options, SOMA_OK);
    assert_same_weights("two by two", whole, parts, 1e-5);
    soma_model_destroy(parts);
    /* It must not be what small batches alone do. */
    options.accumulate = 1;
    parts = train(plain_network(context), &data, &options, SOMA_OK);
    const soma_tensor *a = soma_model_find(whole, "dense2.bias")->tensor;
    const soma_tensor *b = soma_model_find(parts, "dense2.bias")->tensor;
    assert_true(fabs(soma_tensor_get(a, 0) - soma_tensor_get(b, 0)) > 1e-3);
    soma_model_destroy(parts);
    soma_model_destroy(whole);
    soma_data_clear(&data);
    soma_context_destroy(context);
}

/* --- averages -----------------------------------------------------------------------------------
 */

/* The mean over batches of feature 27's mean and unbiased variance, as batch norm must have it. */
static void mean_statistics(soma_dataset *dataset, int64_t batch, double *mean, double *variance)
{
    int64_t n = soma_dataset_count(dataset), batches = 0;
    *mean = *variance = 0;
    for (int64_t from = 0; from < n; from += batch, batches++) {
        int64_t count = n - from < batch ? n - from : batch;
        double sum = 0, squares = 0;
        for (int64_t i = from; i < from + count; i++) {
            uint8_t x[64];
            int64_t y;
            assert_int_equal(soma_dataset_read(dataset, &i, 1, x, &y, NULL), SOMA_OK);
            sum += x[27];
            squares += (double)x[27] * x[27];
        }
        *mean += sum / (double)count;
        *variance += (squares - sum * sum / (double)count) / (double)(count - 1);
    }
    *mean /= (double)batches;
    *variance /= (double)batches;
}

typedef struct last_seen {
    double weight[8]; /* dense1.weight[0] at the end of each epoch */
    int epochs;
} last_seen;

static bool note_weight(void *user, const soma_event *event)
{
    last_seen *seen = user;
    if (event->kind == SOMA_EVENT_EPOCH)
        seen->weight[seen->epochs++] =
            soma_tensor_get(soma_model_find(event->model, "dense1.weight")->tensor, 0);
    return true;
}

static void swa_keeps_the_mean_and_its_statistics(void **state)
{
    (void)state;
    soma_context *context = context_of(2);
    soma_data data = digits();
    last_seen seen = {.epochs = 0};
    soma_train_options options = {.epochs = 5,
                                  .batch = 40,
                                  .no_shuffle = true,
                                  .keep_last = true,
                                  .callback = note_weight,
                                  .user = &seen,
                                  .optimizer = {.rate = 0.05, .swa_epoch = 3}};
    soma_model *model = train(network(context), &data, &options, SOMA_OK);
    assert_int_equal(seen.epochs, 5);
    double mean, variance;
    mean_statistics(data.train, 40, &mean, &variance);
    assert_near(soma_tensor_get(soma_model_find(model, "dense1.weight")->tensor, 0),
                (seen.weight[2] + seen.weight[3] + seen.weight[4]) / 3, 1e-6);
    assert_near(soma_tensor_get(soma_model_find(model, "norm1.running_mean")->tensor, 27), mean,
                1e-4);
    assert_near(soma_tensor_get(soma_model_find(model, "norm1.running_var")->tensor, 27), variance,
                1e-3);
    soma_model_destroy(model);
    soma_data_clear(&data);
    soma_context_destroy(context);
}

/* What is judged best is what is kept: the validation loss of its epoch is that of the model. */
static void averages_are_what_is_validated(void **state)
{
    static const soma_optimizer_options optimizers[] = {
        {.kind = SOMA_ADAM, .ema = 0.95, .ema_warmup = true},
        {.rate = 0.1, .swa_epoch = 2},
        {.kind = SOMA_ASGD, .rate = 0.1, .average_from = 8}};
    (void)state;
    soma_context *context = context_of(2);
    soma_data data = digits();
    for (size_t i = 0; i < 3; i++) {
        soma_train_options options = {.epochs = 4, .batch = 40, .optimizer = optimizers[i]};
        soma_model *model = network(context);
        soma_history history;
        soma_metrics metrics;
        soma_error err = {0};
        assert_int_equal(soma_train(model, &data, &options, &history, &err), SOMA_OK);
        assert_true(history.best >= 1);
        assert_int_equal(soma_evaluate(model, data.validation, 0, &metrics, NULL, &err), SOMA_OK);
        assert_near(metrics.loss, history.epochs[history.best].validation.loss, 1e-7);
        soma_history_clear(&history);
        soma_model_destroy(model);
    }
    soma_data_clear(&data);
    soma_context_destroy(context);
}

/* --- sharpness-aware ----------------------------------------------------------------------------
 */

/* Two points and y = w x + b, by hand: loss = mean (w x + b - y)². */
static void sam_looks_from_the_worst_point(void **state)
{
    (void)state;
    soma_context *context = context_of(1);
    const float x[] = {1, -2}, y[] = {3, 0.5f};
    double w = 0.25, b = 0, dw[2] = {0}, db[2] = {0}, at_w = w, at_b = b;
    soma_tensor *tx, *ty;
    soma_data data = {0};
    soma_error err = {0};
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < 2; i++) {
            double off = at_w * (double)x[i] + at_b - (double)y[i];
            dw[pass] += off * (double)x[i];
            db[pass] += off;
        }
        double norm = sqrt(dw[0] * dw[0] + db[0] * db[0]);
        at_w = w + 0.5 * dw[0] / norm;
        at_b = b + 0.5 * db[0] / norm;
    }
    assert_int_equal(soma_tensor_from(&tx, SOMA_F32, SOMA_SHAPE(2, 1), x, &err), SOMA_OK);
    assert_int_equal(soma_tensor_from(&ty, SOMA_F32, SOMA_SHAPE(2, 1), y, &err), SOMA_OK);
    assert_int_equal(soma_dataset_from_tensors(&data.train, tx, ty, &err), SOMA_OK);
    soma_model_options takes = {.input = SOMA_SHAPE(1), .task = SOMA_TASK_REGRESS};
    soma_model *model;
    if (soma_model_create(&model, context, soma_layer_dense(1), &takes, &err))
        fail_msg("%s", err.message);
    soma_tensor *weight = soma_model_find(model, "dense1.weight")->tensor;
    soma_tensor_set(weight, 0, w);
    soma_train_options options = {.epochs = 1, .batch = 2, .optimizer = {.rate = 0.1, .sam = 0.5}};
    train(model, &data, &options, SOMA_OK);
    assert_near(soma_tensor_get(weight, 0), w - 0.1 * dw[1], 1e-6);
    assert_near(soma_tensor_get(soma_model_find(model, "dense1.bias")->tensor, 0), -0.1 * db[1],
                1e-6);
    soma_model_destroy(model);
    soma_tensor_release(tx);
    soma_tensor_release(ty);
    soma_data_clear(&data);
    soma_context_destroy(context);
}

/* --- faults and callbacks -----------------------------------------------------------------------
 */

/* The loss 1e20 is finite, its gradient 2 · 1e10 · 1e30 is not. */
static void a_gradient_that_overflows_stops_and_is_named(void **state)
{
    (void)state;
    soma_context *context = context_of(1);
    const float x[] = {1e30f, 1e30f}, y[] = {1e10f, 1e10f};
    soma_tensor *tx, *ty;
    soma_data data = {0};
    soma_error err = {0};
    assert_int_equal(soma_tensor_from(&tx, SOMA_F32, SOMA_SHAPE(2, 1), x, &err), SOMA_OK);
    assert_int_equal(soma_tensor_from(&ty, SOMA_F32, SOMA_SHAPE(2, 1), y, &err), SOMA_OK);
    assert_int_equal(soma_dataset_from_tensors(&data.train, tx, ty, &err), SOMA_OK);
    soma_model_options takes = {.input = SOMA_SHAPE(1), .task = SOMA_TASK_REGRESS};
    soma_model *model;
    if (soma_model_create(&model, context, soma_layer_dense(1), &takes, &err))
        fail_msg("%s", err.message);
    soma_tensor *weight = soma_model_find(model, "dense1.weight")->tensor;
    soma_tensor_set(weight, 0, 0);
    for (int accumulate = 1; accumulate < 3; accumulate++) {
        soma_train_options options = {.epochs = 1, .batch = 1, .accumulate = accumulate};
        assert_int_equal(soma_train(model, &data, &options, NULL, &err), SOMA_NUMERIC);
        assert_non_null(strstr(err.message, "the gradient of 'dense1.weight' is not finite"));
        assert_near(soma_tensor_get(weight, 0), 0, 0);
        assert_near(soma_tensor_get(soma_model_find(model, "dense1.bias")->tensor, 0), 0, 0);
    }
    soma_model_destroy(model);
    soma_tensor_release(tx);
    soma_tensor_release(ty);
    soma_data_clear(&data);
    soma_context_destroy(context);
}

/* On a few hundred samples as one batch it leaves Adam's best rate far behind. */
static void lbfgs_learns_whole_sets(void **state)
{
    (void)state;
    soma_context *context = context_of(1);
    soma_data data = digits();
    soma_train_options options = {.epochs = 10,
                                  .batch = SOMA_BATCH_ALL,
                                  .keep_last = true,
                                  .optimizer = {.kind = SOMA_LBFGS, .weight_decay = 1e-4}};
    soma_model *model = plain_network(context);
    soma_history history;
    soma_metrics metrics;
    soma_error err = {0};
    if (soma_train(model, &data, &options, &history, &err))
        fail_msg("%s", err.message);
    assert_int_equal(history.steps, 10);
    for (int64_t e = 1; e < history.count; e++)
        assert_true(history.epochs[e].train.loss <= history.epochs[e - 1].train.loss + 1e-3);
    assert_true(history.epochs[9].train.loss < 0.02);
    assert_int_equal(soma_evaluate(model, data.train, 0, &metrics, NULL, &err), SOMA_OK);
    assert_true(metrics.accuracy > 0.999);
    soma_history_clear(&history);
    soma_model_destroy(model);
    soma_data_clear(&data);
    soma_context_destroy(context);
}

typedef struct brake {
    int64_t at;
    double weight, rate, factor;
    bool moved;
} brake;

static bool hold(void *user, const soma_event *event)
{
    brake *b = user;
    soma_error err = {0};
    if (event->kind != SOMA_EVENT_STEP)
        return true;
    double weight = soma_tensor_get(soma_model_find(event->model, "dense2.bias")->tensor, 0);
    if (event->total_steps > b->at && !(fabs(weight - b->weight) <= 0))
        b->moved = true;
    b->weight = weight;
    b->rate = event->rate;
    if (event->total_steps == b->at) {
        assert_int_equal(soma_training_set_rate_factor(event->training, -1, &err), SOMA_INVALID);
        assert_int_equal(soma_training_set_rate_factor(event->training, b->factor, &err), SOMA_OK);
        assert_near(soma_training_rate_factor(event->training), b->factor, 0);
    }
    return true;
}

static void a_callback_changes_the_rate(void **state)
{
    (void)state;
    soma_context *context = context_of(1);
    soma_data data = digits();
    for (int halves = 0; halves < 2; halves++) {
        brake b = {.at = 7, .factor = halves ? 0.5 : 0};
        soma_train_options options = {
            .epochs = 2, .batch = 40, .callback = hold, .user = &b, .optimizer = {.rate = 0.25}};
        soma_model_destroy(train(plain_network(context), &data, &options, SOMA_OK));
        assert_int_equal(b.moved, halves);
        assert_near(b.rate, 0.25 * b.factor, 1e-12);
    }
    soma_data_clear(&data);
    soma_context_destroy(context);
}

/* The metric chooses the epoch and its direction; without a better one a plateau lowers the rate.
 */
static void watches_any_metric(void **state)
{
    static const struct {
        const char *monitor;
        soma_monitor_mode mode;
    } cases[] = {{"validation.accuracy", SOMA_MONITOR_AUTO},
                 {"train.loss", SOMA_MONITOR_AUTO},
                 {"train.loss", SOMA_MONITOR_MAX},
                 {"train.accuracy", SOMA_MONITOR_AUTO}};
    (void)state;
    soma_context *context = context_of(1);
    soma_data data = digits();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        soma_train_options options = {.epochs = 6,
                                      .batch = 40,
                                      .monitor = cases[i].monitor,
                                      .monitor_mode = cases[i].mode,
                                      .optimizer = {.rate = 0.2,
                                                    .schedule = SOMA_SCHEDULE_PLATEAU,
                                                    .plateau_epochs = 1,
                                                    .plateau_delta = 1e-9,
                                                    .gamma = 0.5}};
        soma_model *model = plain_network(context);
        soma_history h;
        soma_error err = {0};
        assert_int_equal(soma_train(model, &data, &options, &h, &err), SOMA_OK);
        bool greater = i != 1;
        for (int64_t e = 0; e < h.count; e++) {
            const soma_epoch *one = &h.epochs[e], *best = &h.epochs[h.best];
            double value = i == 0   ? one->validation.accuracy
                           : i == 3 ? one->train.accuracy
                                    : one->train.loss;
            double most = i == 0   ? best->validation.accuracy
                          : i == 3 ? best->train.accuracy
                                   : best->train.loss;
            assert_true(greater ? value <= most : value >= most);
        }
        /* A loss that is to rise but falls: best is the first epoch, and the rate was halved twice,
         * for epochs 4 and 6. */
        if (cases[i].mode == SOMA_MONITOR_MAX) {
            assert_int_equal(h.best, 0);
            assert_near(h.epochs[2].rate, 0.2, 1e-12);
            assert_near(h.epochs[3].rate, 0.1, 1e-12);
            assert_near(h.epochs[5].rate, 0.05, 1e-12);
        }
        soma_history_clear(&h);
        soma_model_destroy(model);
    }
    soma_data_clear(&data);
    soma_context_destroy(context);
}

static void refuses_what_cannot_be(void **state)
{
    static const struct {
        soma_train_options options;
        const char *part;
        bool validated;
    } cases[] = {
        {{.monitor = "validation.los"}, "did you mean 'validation.loss'", true},
        {{.monitor = "speed"}, "no metric 'speed'", true},
        {{.monitor = "validation.loss"}, "a validation part is needed", false},
        {{.patience = 3}, "early stopping (patience 3) needs a validation part", false},
        {{.optimizer = {.schedule = SOMA_SCHEDULE_PLATEAU}}, "plateau needs a validation", false},
        {{.accumulate = -1}, "cannot be negative", true},
        {{.batch = -2}, "cannot be negative", true},
        {{.optimizer = {.kind = SOMA_LBFGS}}, "needs batch: all", true},
        {{.batch = SOMA_BATCH_ALL, .optimizer = {.kind = SOMA_LBFGS, .clip_norm = 1}},
         "it finds its steps by itself",
         true},
        {{.monitor_mode = (soma_monitor_mode)7}, "no monitor mode number 7", true},
    };
    (void)state;
    soma_context *context = context_of(1);
    soma_data data = digits(), bare = {.train = data.train};
    soma_model *model = plain_network(context);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        soma_error err = {0};
        soma_status status =
            soma_train(model, cases[i].validated ? &data : &bare, &cases[i].options, NULL, &err);
        if (status != SOMA_INVALID || !strstr(err.message, cases[i].part))
            fail_msg("case %zu: status %d: %s", i, status, err.message);
    }
    soma_model_destroy(model);
    soma_data_clear(&data);
    soma_context_destroy(context);
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/soma-learning-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits),
        cmocka_unit_test(batches_add_up),
        cmocka_unit_test(swa_keeps_the_mean_and_its_statistics),
        cmocka_unit_test(averages_are_what_is_validated),
        cmocka_unit_test(sam_looks_from_the_worst_point),
        cmocka_unit_test(a_gradient_that_overflows_stops_and_is_named),
        cmocka_unit_test(lbfgs_learns_whole_sets),
        cmocka_unit_test(a_callback_changes_the_rate),
        cmocka_unit_test(watches_any_metric),
        cmocka_unit_test(refuses_what_cannot_be),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
