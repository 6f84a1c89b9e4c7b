/* The losses of trainings: each learns on a task that it fits, the means are PyTorch's, recipes and
 * C options read the same, and what does not fit is refused with what does. */
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

#include "soma/soma.h"
#include "train/loss.h"

#define SAMPLES 12
#define FEATURES 3

static soma_context *context;

static int open_context(void **state)
{
    (void)state;
    return soma_context_create(&context, &(soma_context_options){.threads = 1}, NULL);
}

static int close_context(void **state)
{
    (void)state;
    soma_context_destroy(context);
    return 0;
}

/* Samples on a curve. Labels go round the classes; targets are 0 and 1, or positive values. */
static soma_dataset *data_of(soma_task task, int64_t width, const int64_t *labels)
{
    soma_tensor *x, *y;
    soma_dataset *data;
    soma_error err = {0};
    assert_int_equal(soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(SAMPLES, FEATURES), NULL), 0);
    for (int64_t i = 0; i < SAMPLES * FEATURES; i++)
        soma_tensor_set(x, i, sin(1.7 * (double)i));
    if (task == SOMA_TASK_CLASSIFY) {
        assert_int_equal(soma_tensor_create(&y, SOMA_I64, SOMA_SHAPE(SAMPLES), NULL), 0);
        for (int64_t i = 0; i < SAMPLES; i++)
            soma_tensor_set(y, i, (double)(labels ? labels[i] : i % width));
    } else {
        assert_int_equal(soma_tensor_create(&y, SOMA_F32, SOMA_SHAPE(SAMPLES, width), NULL), 0);
        for (int64_t i = 0; i < SAMPLES * width; i++)
            soma_tensor_set(
                y, i, task == SOMA_TASK_BINARY ? (double)(i % 2) : 0.2 + 0.5 * (double)(i % 3));
    }
    if (soma_dataset_from_tensors(&data, x, y, &err))
        fail_msg("%s", err.message);
    soma_tensor_release(x);
    soma_tensor_release(y);
    return data;
}

static soma_model *model_of(soma_task task, int64_t units, bool log_softmax)
{
    soma_model *model;
    soma_error err = {0};
    soma_layer *dense = soma_layer_dense(units);
    soma_layer *layer = soma_layer_sequential(
        dense, soma_layer_activation(log_softmax ? SOMA_LOG_SOFTMAX : SOMA_LINEAR));
    soma_model_options options = {.input = SOMA_SHAPE(FEATURES), .task = task, .seed = 5};
    if (soma_model_create(&model, context, layer, &options, &err))
        fail_msg("%s", err.message);
    return model;
}

static soma_train_options options_of(soma_loss_options loss, int64_t epochs)
{
    return (soma_train_options){.epochs = epochs,
                                .batch = SAMPLES,
                                .no_shuffle = true,
                                .loss = loss,
                                .optimizer = {.kind = SOMA_ADAM, .rate = 0.05}};
}

static void each_learns(void **state)
{
    int tried = 0;
    (void)state;
    for (int i = 0; i < soma__loss_count(); i++)
        for (int t = SOMA_TASK_CLASSIFY; t <= SOMA_TASK_REGRESS; t++) {
            const soma__loss_type *type = soma__loss_at(i);
            soma_task task = (soma_task)t;
            soma_history history;
            soma_error err = {0};
            if (!(type->tasks & SOMA__TASK_BIT(task)) || i + 1 == SOMA_LOSS_CRF)
                continue; /* of crf: test_tagging.c */
            bool logs = strcmp(type->name, "nll") == 0 || strcmp(type->name, "kl_div") == 0;
            soma_model *model = model_of(task, 4, logs);
            soma_data data = {.train = data_of(task, 4, NULL)};
            soma_train_options how =
                options_of((soma_loss_options){.kind = (soma_loss_kind)(i + 1)}, 40);
            if (soma_train(model, &data, &how, &history, &err))
                fail_msg("%s: %s", type->name, err.message);
            double first = history.epochs[0].train.loss, last = history.epochs[39].train.loss;
            if (!(last < first - 1e-3))
                fail_msg("%s: the loss went from %g to %g", type->name, first, last);
            soma_history_clear(&history);
            soma_data_clear(&data);
            soma_model_destroy(model);
            tried++;
        }
    assert_int_equal(tried, soma__loss_count()); /* focal twice, crf never */
}

/* -log softmax of the model's row before any training. */
static double entropy(const soma_tensor *logits, int64_t row, int64_t classes, int64_t label)
{
    double sum = 0;
    for (int64_t k = 0; k < classes; k++)
        sum += exp(soma_tensor_get(logits, row * classes + k));
    return log(sum) - soma_tensor_get(logits, row * classes + label);
}

/* The first epoch's loss, and the accuracy, of one batch. */
static soma_metrics first_epoch(soma_loss_options loss, const int64_t *labels, soma_tensor **logits)
{
    soma_model *model = model_of(SOMA_TASK_CLASSIFY, 3, false);
    soma_data data = {.train = data_of(SOMA_TASK_CLASSIFY, 3, labels)};
    soma_train_options how = options_of(loss, 1);
    soma_history history;
    soma_error err = {0};
    soma_tensor *x, *y;
    assert_int_equal(soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(SAMPLES, FEATURES), NULL), 0);
    assert_int_equal(soma_tensor_create(&y, SOMA_I64, SOMA_SHAPE(SAMPLES), NULL), 0);
    int64_t all[SAMPLES];
    for (int64_t i = 0; i < SAMPLES; i++)
        all[i] = i;
    assert_int_equal(
        soma_dataset_read(data.train, all, SAMPLES, soma_tensor_data(x), soma_tensor_data(y), NULL),
        0);
    assert_int_equal(soma_model_predict(model, x, logits, NULL), 0);
    if (soma_train(model, &data, &how, &history, &err))
        fail_msg("%s", err.message);
    soma_metrics metrics = history.epochs[0].train;
    soma_tensor_release(x);
    soma_tensor_release(y);
    soma_history_clear(&history);
    soma_data_clear(&data);
    soma_model_destroy(model);
    return metrics;
}

static void means_are_over_weights(void **state)
{
    static const int64_t labels[SAMPLES] = {0, 1, 2, 0, 0, 7, 1, 0, 7, 2, 0, 0};
    static const double weights[] = {0.5, 2, 3};
    double balanced[3] = {10.0 / (3 * 6), 10.0 / (3 * 2), 10.0 / (3 * 2)};
    (void)state;
    for (int way = 0; way < 3; way++) {
        soma_loss_options loss = {.kind = SOMA_LOSS_CROSS_ENTROPY,
                                  .ignores = true,
                                  .ignore_index = 7,
                                  .class_weights = way == 1 ? weights : NULL,
                                  .class_weight_count = way == 1 ? 3 : 0,
                                  .balanced = way == 2};
        const double one[] = {1, 1, 1}, *w = way == 0 ? one : way == 1 ? weights : balanced;
        soma_tensor *logits;
        soma_metrics metrics = first_epoch(loss, labels, &logits);
        double sum = 0, by = 0, hits = 0;
        for (int64_t i = 0; i < SAMPLES; i++) {
            if (labels[i] == 7)
                continue;
            int64_t best = 0;
            for (int64_t k = 1; k < 3; k++)
                if (soma_tensor_get(logits, 3 * i + k) > soma_tensor_get(logits, 3 * i + best))
                    best = k;
            sum += w[labels[i]] * entropy(logits, i, 3, labels[i]);
            by += w[labels[i]];
            hits += best == labels[i];
        }
        assert_true(fabs(metrics.loss - sum / by) < 1e-5);
        assert_true(fabs(metrics.accuracy - hits / 10) < 1e-6);
        soma_tensor_release(logits);
    }
}

/* All samples ignored: nothing is learnt, and nothing is NaN. */
static void a_batch_that_counts_for_nothing(void **state)
{
    static const int64_t labels[SAMPLES] = {7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7};
    soma_tensor *logits;
    (void)state;
    soma_metrics metrics = first_epoch(
        (soma_loss_options){.kind = SOMA_LOSS_CROSS_ENTROPY, .ignores = true, .ignore_index = 7},
        labels, &logits);
    assert_true(metrics.loss == 0);
    soma_tensor_release(logits);
}

static void refused(soma_task task, soma_loss_options loss, const char *message)
{
    soma_model *model = model_of(task, 3, false);
    soma_data data = {.train = data_of(task, 3, NULL)};
    soma_train_options how = options_of(loss, 1);
    soma_error err = {0};
    assert_int_equal(soma_train(model, &data, &how, NULL, &err), SOMA_INVALID);
    if (!strstr(err.message, message))
        fail_msg("\"%s\" does not say \"%s\"", err.message, message);
    soma_data_clear(&data);
    soma_model_destroy(model);
}

static void what_does_not_fit_is_refused(void **state)
{
    static const double weights[] = {1, 2, -3};
    (void)state;
    refused(SOMA_TASK_CLASSIFY, (soma_loss_options){.kind = SOMA_LOSS_HUBER},
            "the task is classify, which takes one of: cross_entropy, nll, multi_margin, focal");
    refused(SOMA_TASK_REGRESS, (soma_loss_options){.kind = SOMA_LOSS_CROSS_ENTROPY},
            "which takes one of: mse, half_mse, mae");
    refused(SOMA_TASK_BINARY, (soma_loss_options){.kind = SOMA_LOSS_MSE}, "bce_logits, hinge");
    refused(SOMA_TASK_CLASSIFY, (soma_loss_options){.kind = (soma_loss_kind)99}, "number 99");
    refused(SOMA_TASK_CLASSIFY,
            (soma_loss_options){.class_weights = weights, .class_weight_count = 2},
            "2 class weights for 3 classes");
    refused(SOMA_TASK_CLASSIFY,
            (soma_loss_options){.class_weights = weights, .class_weight_count = 3},
            "the weight of class 2 is -3");
    refused(
        SOMA_TASK_CLASSIFY,
        (soma_loss_options){.class_weights = weights, .class_weight_count = 3, .balanced = true},
        "leave one out");
    refused(SOMA_TASK_BINARY, (soma_loss_options){.kind = SOMA_LOSS_FOCAL, .balanced = true},
            "takes no class weights but with task classify");
    refused(SOMA_TASK_CLASSIFY, (soma_loss_options){.kind = SOMA_LOSS_FOCAL, .ignores = true},
            "takes no ignore_index");
    refused(SOMA_TASK_CLASSIFY, (soma_loss_options){.smoothing = 1.5},
            "smoothing must be from 0 to 0.999, got 1.5");
    refused(SOMA_TASK_REGRESS, (soma_loss_options){.kind = SOMA_LOSS_QUANTILE, .q = NAN}, "q must");
}

/* Loads a recipe with this `loss:`; its message, or "" and the options. */
static const char *read_recipe(const char *loss, soma_recipe **recipe)
{
    static soma_error err;
    char path[] = "/tmp/soma-loss-XXXXXX";
    int file = mkstemp(path);
    FILE *out = fdopen(file, "w");
    assert_non_null(out);
    fprintf(out, "data: {source: digits}\nmodel: [flatten, {dense: 10}]\ntrain:\n  loss: %s\n",
            loss);
    fclose(out);
    err = (soma_error){0};
    soma_status status = soma_recipe_load(recipe, path, NULL, 0, NULL, &err);
    unlink(path);
    assert_int_equal(status != SOMA_OK, err.message[0] != 0);
    return err.message;
}

static void recipes_say_it(void **state)
{
    static const struct {
        const char *loss, *message;
    } wrong[] = {
        {"hubr", "there is no loss 'hubr', did you mean 'huber'?"},
        {"{huber: {delta: -1}}", "train.loss.huber.delta: must be from"},
        {"{huber: {dleta: 1}}", "did you mean 'delta'?"},
        {"{mae: {delta: 1}}", "unknown key 'delta'"},
        {"[mae]", "expected a name, or one name with options"},
        {"{cross_entropy: {class_weights: 3}}", "expected balanced or a list of numbers"},
        {"{cross_entropy: {class_weights: [1, x]}}", "number 2 is not a number"},
        {"{cross_entropy: {class_weights: [1, -1]}}", "number 2 is not a number of at least 0"},
    };
    soma_recipe *recipe;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *message = read_recipe(wrong[i].loss, &recipe);
        if (!strstr(message, wrong[i].message))
            fail_msg("\"%s\" does not say \"%s\"", message, wrong[i].message);
    }
    assert_string_equal(read_recipe("mae", &recipe), "");
    assert_int_equal(soma_recipe_options(recipe)->loss.kind, SOMA_LOSS_MAE);
    soma_recipe_destroy(recipe);
    assert_string_equal(read_recipe("{cross_entropy: {smoothing: 0.1, class_weights: [1, 2.5], "
                                    "ignore_index: -100}}",
                                    &recipe),
                        "");
    const soma_loss_options *loss = &soma_recipe_options(recipe)->loss;
    assert_int_equal(loss->kind, SOMA_LOSS_CROSS_ENTROPY);
    assert_true(loss->smoothing == 0.1 && loss->ignores && loss->ignore_index == -100);
    assert_true(loss->class_weight_count == 2 && loss->class_weights[1] == 2.5);
    soma_recipe_destroy(recipe);
    assert_string_equal(read_recipe("{focal: {class_weights: balanced, gamma: 3}}", &recipe), "");
    assert_true(soma_recipe_options(recipe)->loss.balanced);
    soma_recipe_destroy(recipe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_learns),
        cmocka_unit_test(means_are_over_weights),
        cmocka_unit_test(a_batch_that_counts_for_nothing),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(recipes_say_it),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
