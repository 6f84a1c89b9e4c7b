/* Classifiers that name a class for each step of a sequence, and trainings by steps. */
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
#include "soma/soma.h"

#define assert_near(a_, b_, by_) assert_true(fabs((double)(a_) - (double)(b_)) <= (by_))

enum { SAMPLES = 7, STEPS = 5, WIDTH = 3, CLASSES = 4 };

static soma_context *context;

static int set_up(void **state)
{
    (void)state;
    return soma_context_create(&context, &(soma_context_options){.threads = 1}, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    soma_context_destroy(context);
    return 0;
}

static soma_model *network(void)
{
    soma_model *model;
    soma_error err = {0};
    soma_model_options takes = {.input = SOMA_SHAPE(STEPS, WIDTH), .seed = 5};
    soma_layer *layers = soma_layer_sequential(soma_layer_gru(6), soma_layer_dense(CLASSES));
    if (soma_model_create(&model, context, layers, &takes, &err))
        fail_msg("%s", err.message);
    return model;
}

/* Sequences of 5, 4, 3, 2, 1, 0, 5 steps with a label. */
static soma_tensor *inputs(void)
{
    soma_tensor *x;
    assert_int_equal(soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(SAMPLES, STEPS, WIDTH), NULL),
                     SOMA_OK);
    for (int64_t i = 0; i < soma_tensor_count(x); i++)
        soma_tensor_set(x, i, sin((double)i));
    return x;
}

static soma_tensor *labels(int64_t padding)
{
    soma_tensor *y;
    assert_int_equal(soma_tensor_create(&y, SOMA_I64, SOMA_SHAPE(SAMPLES, STEPS), NULL), SOMA_OK);
    for (int64_t i = 0; i < soma_tensor_count(y); i++) {
        bool counts = i % STEPS < STEPS - i / STEPS % (STEPS + 1);
        soma_tensor_set(y, i, counts ? (double)(i % 3) : (double)padding);
    }
    return y;
}

static soma_dataset *sequences(int64_t padding)
{
    soma_dataset *data;
    soma_tensor *x = inputs(), *y = labels(padding);
    assert_int_equal(soma_dataset_from_tensors(&data, x, y, NULL), SOMA_OK);
    soma_tensor_release(x);
    soma_tensor_release(y);
    return data;
}

/* By the definition: mean of -log p over the steps whose label is not negative, each times the
 * weight of its class. */
static void by_hand(soma_model *model, const double *weight, double *loss, double *accuracy,
                    int64_t confusion[CLASSES * CLASSES])
{
    soma_tensor *x = inputs(), *y = labels(-1), *out;
    double sum = 0, all = 0, steps = 0, right = 0;
    assert_int_equal(soma_model_predict(model, x, &out, NULL), SOMA_OK);
    memset(confusion, 0, CLASSES * CLASSES * sizeof *confusion);
    for (int64_t i = 0; i < soma_tensor_count(y); i++) {
        const int64_t label = (int64_t)soma_tensor_get(y, i);
        double total = 0;
        int64_t best = 0;
        if (label < 0)
            continue;
        for (int64_t k = 0; k < CLASSES; k++) {
            total += exp(soma_tensor_get(out, i * CLASSES + k));
            if (soma_tensor_get(out, i * CLASSES + k) > soma_tensor_get(out, i * CLASSES + best))
                best = k;
        }
        sum += weight[label] * (log(total) - soma_tensor_get(out, i * CLASSES + label));
        all += weight[label];
        steps++;
        right += best == label;
        confusion[label * CLASSES + best]++;
    }
    *loss = sum / all;
    *accuracy = right / steps;
    soma_tensor_release(x);
    soma_tensor_release(y);
    soma_tensor_release(out);
}

static void padding_counts_for_nothing(void **state)
{
    (void)state;
    const double even[CLASSES] = {1, 1, 1, 1};
    int64_t want[CLASSES * CLASSES], got[CLASSES * CLASSES];
    double loss, accuracy;
    soma_model *model = network();
    soma_dataset *data = sequences(-1);
    soma_metrics metrics;
    soma_scores scores;
    by_hand(model, even, &loss, &accuracy, want);
    assert_true(loss > 0.5 && accuracy < 1);
    /* Batches of 3 and one of 1: each step counts once, however the batches are cut. */
    for (int64_t batch = 1; batch <= SAMPLES; batch += 2) {
        assert_int_equal(soma_evaluate(model, data, batch, &metrics, got, NULL), SOMA_OK);
        assert_near(metrics.loss, loss, 1e-6);
        assert_near(metrics.accuracy, accuracy, 1e-6);
        assert_int_equal(metrics.samples, SAMPLES);
        assert_memory_equal(got, want, sizeof want);
    }
    assert_int_equal(soma_evaluate_scores(model, data, 3, &scores, NULL, NULL), SOMA_OK);
    assert_near(scores.perplexity, exp(loss), 1e-5);
    assert_near(scores.metrics.loss, loss, 1e-6);
    assert_true(isnan(scores.f1));
    soma_dataset_release(data);
    soma_model_destroy(model);
}

/* What one epoch over all samples says of the loss, at a rate that changes nothing. */
static soma_metrics trained(soma_model *model, soma_dataset *data, const soma_loss_options *loss)
{
    soma_history history;
    soma_error err = {0};
    soma_train_options how = {
        .epochs = 1, .batch = SOMA_BATCH_ALL, .loss = *loss, .optimizer = {.rate = 1e-30}};
    if (soma_train(model, &(soma_data){.train = data}, &how, &history, &err))
        fail_msg("%s", err.message);
    soma_metrics metrics = history.epochs[0].train;
    soma_history_clear(&history);
    return metrics;
}

static void weights_and_ignored_labels(void **state)
{
    (void)state;
    const double weight[CLASSES] = {0.5, 2, 1, 3}, without[CLASSES] = {1, 0, 1, 1};
    const double even[CLASSES] = {1, 1, 1, 1};
    int64_t confusion[CLASSES * CLASSES];
    double loss, accuracy;
    soma_model *model = network();
    soma_dataset *data = sequences(-1);
    by_hand(model, weight, &loss, &accuracy, confusion);
    soma_loss_options weighs = {
        .kind = SOMA_LOSS_CROSS_ENTROPY, .class_weights = weight, .class_weight_count = CLASSES};
    assert_near(trained(model, data, &weighs).loss, loss, 1e-6);
    assert_near(trained(model, data, &weighs).accuracy, accuracy, 1e-6);
    by_hand(model, without, &loss, &accuracy, confusion);
    soma_loss_options ignores = {
        .kind = SOMA_LOSS_CROSS_ENTROPY, .ignores = true, .ignore_index = 1};
    assert_near(trained(model, data, &ignores).loss, loss, 1e-6);
    /* Other losses leave padding out as well: focal with gamma near 0 is cross-entropy. */
    by_hand(model, even, &loss, &accuracy, confusion);
    soma_loss_options focal = {.kind = SOMA_LOSS_FOCAL, .gamma = 1e-9};
    assert_near(trained(model, data, &focal).loss, loss, 1e-5);
    soma_dataset_release(data);
    soma_model_destroy(model);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    soma_model *model = network();
    soma_dataset *data = sequences(CLASSES); /* one more than there are */
    soma_metrics metrics;
    soma_error err = {0};
    assert_int_equal(soma_evaluate(model, data, 0, &metrics, NULL, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "sample 1: label 4, but the model has 4 classes"));
    soma_dataset_release(data);
    soma_tensor *x = inputs(), *y;
    assert_int_equal(soma_tensor_create(&y, SOMA_I64, SOMA_SHAPE(SAMPLES), NULL), SOMA_OK);
    assert_int_equal(soma_dataset_from_tensors(&data, x, y, NULL), SOMA_OK);
    assert_int_equal(soma_evaluate(model, data, 0, &metrics, NULL, &err), SOMA_SHAPE);
    assert_non_null(strstr(err.message, "a class for each of 5 steps"));
    soma_tensor_release(x);
    soma_tensor_release(y);
    soma_dataset_release(data);
    soma_model_destroy(model);
}

static bool last_planned(void *user, const soma_event *event)
{
    *(int64_t *)user = event->planned_steps;
    return true;
}

static void a_training_by_steps_ends_within_an_epoch(void **state)
{
    (void)state;
    /* Batches of 3, 3, 1 make an epoch of three steps, or with two of them an update of two. */
    static const struct {
        int64_t accumulate, updates, epochs, steps;
    } cases[] = {{1, 7, 3, 7}, {1, 3, 1, 3}, {1, 2, 1, 2}, {2, 4, 2, 6}, {2, 3, 2, 5}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        soma_model *model = network();
        soma_dataset *data = sequences(-1);
        soma_history history;
        int64_t planned = 0;
        soma_train_options how = {
            .steps = cases[i].updates,
            .batch = 3,
            .accumulate = cases[i].accumulate,
            .optimizer = {.rate = 0.1, .schedule = SOMA_SCHEDULE_LINEAR, .min_rate = 0.05},
            .callback = last_planned,
            .user = &planned};
        assert_int_equal(soma_train(model, &(soma_data){.train = data}, &how, &history, NULL),
                         SOMA_OK);
        assert_int_equal(history.steps, cases[i].steps);
        assert_int_equal(history.count, cases[i].epochs);
        assert_int_equal(planned, cases[i].steps);
        /* The schedule ends with the training: its last step is one before the lowest rate. */
        const double last = history.epochs[history.count - 1].rate;
        assert_near(last, 0.05 + 0.05 / (double)cases[i].updates, 1e-6);
        soma_history_clear(&history);
        soma_dataset_release(data);
        soma_model_destroy(model);
    }
}

static void epochs_and_steps_are_one_too_many(void **state)
{
    (void)state;
    soma_model *model = network();
    soma_dataset *data = sequences(-1);
    soma_train_options how = {.steps = 5, .epochs = 2};
    soma_error err = {0};
    assert_int_equal(soma_train(model, &(soma_data){.train = data}, &how, NULL, &err),
                     SOMA_INVALID);
    assert_non_null(strstr(err.message, "2 epochs and 5 steps"));
    soma_dataset_release(data);
    soma_model_destroy(model);
}

static bool stop_at_five(void *user, const soma_event *event)
{
    (void)user;
    return event->kind != SOMA_EVENT_STEP || event->total_steps != 5;
}

/* Stopped in the middle of the second epoch: the meter goes on as well. */
static void a_resumed_training_by_steps_is_the_same(void **state)
{
    (void)state;
    char folder[] = "/tmp/soma-steps-XXXXXX", command[128];
    assert_non_null(mkdtemp(folder));
    soma_dataset *data = sequences(-1);
    soma_data parts = {.train = data};
    soma_train_options how = {.steps = 7, .batch = 3, .optimizer = {.rate = 0.1}};
    soma_model *whole = network(), *cut = network();
    soma_history a, b;
    assert_int_equal(soma_train(whole, &parts, &how, &a, NULL), SOMA_OK);
    how.folder = folder;
    how.resume = true;
    how.callback = stop_at_five;
    assert_int_equal(soma_train(cut, &parts, &how, NULL, NULL), SOMA_CANCELLED);
    how.callback = NULL;
    assert_int_equal(soma_train(cut, &parts, &how, &b, NULL), SOMA_OK);
    assert_int_equal(a.steps, b.steps);
    for (int64_t e = 0; e < a.count; e++)
        assert_memory_equal(&a.epochs[e].train, &b.epochs[e].train, sizeof a.epochs[e].train);
    for (int i = 0; i < soma_model_parameter_count(whole); i++) {
        const soma_tensor *x = soma_model_parameter(whole, i)->tensor,
                          *y = soma_model_parameter(cut, i)->tensor;
        assert_memory_equal(soma_tensor_const_data(x), soma_tensor_const_data(y),
                            soma_tensor_bytes(x));
    }
    soma_history_clear(&a);
    soma_history_clear(&b);
    soma_dataset_release(data);
    soma_model_destroy(whole);
    soma_model_destroy(cut);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0); // NOLINT(cert-env33-c): a folder of our own
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(padding_counts_for_nothing),
        cmocka_unit_test(weights_and_ignored_labels),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(a_training_by_steps_ends_within_an_epoch),
        cmocka_unit_test(epochs_and_steps_are_one_too_many),
        cmocka_unit_test(a_resumed_training_by_steps_is_the_same),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
