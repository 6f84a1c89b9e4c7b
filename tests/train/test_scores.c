/* soma_evaluate_scores: each task's figures against the same figures worked out from what the model
 * predicts, over batches that do not divide the set. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "soma/soma.h"

#define assert_near(a_, b_) assert_true(fabs((double)(a_) - (double)(b_)) <= 1e-5)

#define COUNT 23

static soma_context *context;

static int setup(void **state)
{
    (void)state;
    return soma_context_create(&context, NULL, NULL);
}

static int teardown(void **state)
{
    (void)state;
    soma_context_destroy(context);
    return 0;
}

/* Two features; y by `label` in the dtype of the task. */
static soma_dataset *make_data(soma_task task)
{
    soma_tensor *x, *y;
    soma_dtype dtype = task == SOMA_TASK_CLASSIFY ? SOMA_I64 : SOMA_F32;
    assert_int_equal(soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(COUNT, 2), NULL), SOMA_OK);
    assert_int_equal(soma_tensor_create(&y, dtype, SOMA_SHAPE(COUNT), NULL), SOMA_OK);
    for (int64_t i = 0; i < COUNT; i++) {
        soma_tensor_set(x, 2 * i, (double)(i % 7) / 4 - 0.7);
        soma_tensor_set(x, 2 * i + 1, (double)(i % 5) / 3 - 0.6);
        soma_tensor_set(y, i, task == SOMA_TASK_REGRESS ? (double)(i % 4) / 3 : (double)(i % 2));
    }
    soma_dataset *dataset;
    assert_int_equal(soma_dataset_from_tensors(&dataset, x, y, NULL), SOMA_OK);
    soma_tensor_release(x);
    soma_tensor_release(y);
    return dataset;
}

static soma_model *make_model(soma_task task)
{
    soma_model *model;
    soma_layer *layer = soma_layer_dense(task == SOMA_TASK_CLASSIFY ? 2 : 1);
    const soma_model_options options = {.input = SOMA_SHAPE(2), .task = task, .seed = 3};
    assert_int_equal(soma_model_create(&model, context, layer, &options, NULL), SOMA_OK);
    return model;
}

/* What the model says of all samples in one run; truth in `y`. */
static void predict(soma_model *model, const soma_dataset *data, float *raw, float *y, int width)
{
    float x[2 * COUNT];
    int64_t labels[COUNT], index[COUNT];
    bool classify = soma_dataset_y_dtype(data) == SOMA_I64;
    for (int64_t i = 0; i < COUNT; i++)
        index[i] = i;
    void *to = classify ? (void *)labels : (void *)y;
    assert_int_equal(soma_dataset_read(data, index, COUNT, x, to, NULL), SOMA_OK);
    for (int i = 0; i < COUNT && classify; i++)
        y[i] = (float)labels[i];
    soma_tensor *in, *out;
    assert_int_equal(soma_tensor_from(&in, SOMA_F32, SOMA_SHAPE(COUNT, 2), x, NULL), SOMA_OK);
    assert_int_equal(soma_model_predict(model, in, &out, NULL), SOMA_OK);
    for (int64_t i = 0; i < COUNT * width; i++)
        raw[i] = (float)soma_tensor_get(out, i);
    soma_tensor_release(in);
    soma_tensor_release(out);
}

static void classify(void **state)
{
    (void)state;
    soma_model *model = make_model(SOMA_TASK_CLASSIFY);
    soma_dataset *data = make_data(SOMA_TASK_CLASSIFY);
    float raw[2 * COUNT], y[COUNT];
    predict(model, data, raw, y, 2);
    int64_t counts[4] = {0}, confusion[4];
    bool positive[COUNT];
    float difference[COUNT];
    for (int i = 0; i < COUNT; i++) {
        counts[2 * (int)y[i] + (raw[2 * i + 1] > raw[2 * i])]++;
        positive[i] = y[i] > 0;
        difference[i] = raw[2 * i + 1] - raw[2 * i];
    }
    soma_scores scores;
    double roc;
    assert_int_equal(soma_evaluate_scores(model, data, 10, &scores, confusion, NULL), SOMA_OK);
    assert_memory_equal(confusion, counts, sizeof counts);
    assert_int_equal(scores.metrics.samples, COUNT);
    assert_near(scores.metrics.accuracy, soma_scores_accuracy(counts, 2));
    assert_near(scores.mcc, soma_scores_mcc(counts, 2));
    assert_near(scores.f1, soma_scores_average(counts, 2, SOMA_AVERAGE_MACRO).f1);
    /* Of two classes the softmax ranks by the difference of the logits. */
    assert_int_equal(soma_roc_auc(&roc, difference, positive, COUNT, NULL), SOMA_OK);
    assert_near(scores.roc_auc, roc);
    assert_true(isnan(scores.top5) && isnan(scores.regression.mse));
    assert_true(scores.calibration_error > 0 && scores.calibration_error < 1);
    soma_dataset_release(data);
    soma_model_destroy(model);
}

static void binary(void **state)
{
    (void)state;
    soma_model *model = make_model(SOMA_TASK_BINARY);
    soma_dataset *data = make_data(SOMA_TASK_BINARY);
    float raw[COUNT], y[COUNT];
    predict(model, data, raw, y, 1);
    int64_t counts[4] = {0}, confusion[4];
    bool positive[COUNT];
    for (int i = 0; i < COUNT; i++) {
        positive[i] = y[i] > 0;
        counts[2 * positive[i] + (raw[i] > 0)]++;
    }
    soma_scores scores;
    double roc;
    assert_int_equal(soma_evaluate_scores(model, data, 10, &scores, confusion, NULL), SOMA_OK);
    assert_memory_equal(confusion, counts, sizeof counts);
    assert_near(scores.metrics.accuracy, soma_scores_accuracy(counts, 2));
    assert_int_equal(soma_roc_auc(&roc, raw, positive, COUNT, NULL), SOMA_OK);
    assert_near(scores.roc_auc, roc);
    soma_dataset_release(data);
    soma_model_destroy(model);
}

static void regress(void **state)
{
    (void)state;
    soma_model *model = make_model(SOMA_TASK_REGRESS);
    soma_dataset *data = make_data(SOMA_TASK_REGRESS);
    float raw[COUNT], y[COUNT];
    predict(model, data, raw, y, 1);
    soma_regression_scores want = soma_scores_regression(raw, y, COUNT);
    soma_scores scores;
    assert_int_equal(soma_evaluate_scores(model, data, 10, &scores, NULL, NULL), SOMA_OK);
    assert_near(scores.regression.r2, want.r2);
    assert_near(scores.regression.mae, want.mae);
    assert_near(scores.metrics.loss, want.mse);
    assert_true(isnan(scores.mcc));
    soma_error err = {0};
    assert_int_equal(soma_evaluate_scores(NULL, data, 10, &scores, NULL, &err), SOMA_INVALID);
    soma_dataset_release(data);
    soma_model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classify),
        cmocka_unit_test(binary),
        cmocka_unit_test(regress),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
