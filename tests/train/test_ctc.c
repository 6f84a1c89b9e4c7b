/* test_ctc.c: a classifier of steps learns sequences that are shorter than the steps. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "soma/soma.h"

enum { COUNT = 256, STEPS = 12, FEATURES = 4, MOST = 3 };

static soma_context *context;

/* Up to three runs of a feature, each over two or three steps, with steps of nothing between: their
 * features, and so classes, from 1 to 3. */
static soma_dataset *runs(uint64_t seed, int64_t first_label)
{
    static float x[COUNT][STEPS][FEATURES];
    static int64_t y[COUNT][MOST];
    soma_tensor *tx, *ty;
    soma_dataset *data;
    const soma__rng_key key = {.seed = seed};
    uint64_t draw = 0;
    memset(x, 0, sizeof x);
    for (int i = 0; i < COUNT; i++) {
        const int labels = 1 + (int)soma__rng_below(&key, draw++, MOST);
        for (int k = 0, at = 0; k < MOST; k++) {
            const int label = 1 + (int)soma__rng_below(&key, draw++, 3);
            y[i][k] = k < labels ? label + first_label - 1 : -1;
            at += k < labels ? 1 : STEPS;
            for (int n = 2 + (int)soma__rng_below(&key, draw++, 2); n > 0 && at < STEPS; n--)
                x[i][at++][label] = 1;
        }
    }
    assert_int_equal(soma_tensor_from(&tx, SOMA_F32, SOMA_SHAPE(COUNT, STEPS, FEATURES), x, NULL),
                     SOMA_OK);
    assert_int_equal(soma_tensor_from(&ty, SOMA_I64, SOMA_SHAPE(COUNT, MOST), y, NULL), SOMA_OK);
    assert_int_equal(soma_dataset_from_tensors(&data, tx, ty, NULL), SOMA_OK);
    soma_tensor_release(tx);
    soma_tensor_release(ty);
    return data;
}

static soma_model *reader(int64_t classes)
{
    soma_model *model;
    soma_error err = {0};
    const soma_model_options takes = {.input = SOMA_SHAPE(STEPS, FEATURES), .seed = 1};
    soma_layer *layers = soma_layer_sequential(
        soma_layer_conv1d(16, 3, .padding = SOMA_PAD_SAME, .activation = SOMA_RELU),
        soma_layer_conv1d(classes, 1));
    if (soma_model_create(&model, context, layers, &takes, &err) != SOMA_OK)
        fail_msg("%s", err.message);
    return model;
}

static void learns_what_lies_where(void **state)
{
    soma_error err = {0};
    soma_data data = {.train = runs(1, 1), .validation = runs(2, 1)};
    soma_model *model = reader(4);
    soma_scores scores;
    (void)state;
    const soma_train_options how = {
        .epochs = 20, .batch = 16, .optimizer = {.kind = SOMA_ADAM, .rate = 0.02}};
    if (soma_train(model, &data, &how, NULL, &err) != SOMA_OK ||
        soma_evaluate_scores(model, data.validation, 0, &scores, NULL, &err) != SOMA_OK)
        fail_msg("%s", err.message);
    /* Whole sequences that are read right; chance is far below a tenth. */
    if (!(scores.metrics.accuracy > 0.95 && scores.metrics.loss < 0.2))
        fail_msg("accuracy %g, loss %g", scores.metrics.accuracy, scores.metrics.loss);
    assert_true(isnan(scores.perplexity) && scores.metrics.samples == COUNT);

    /* The accuracy is the share of samples whose greedy reading is the target. */
    static float x[COUNT][STEPS][FEATURES];
    static int64_t y[COUNT][MOST], index[COUNT];
    for (int i = 0; i < COUNT; i++)
        index[i] = i;
    soma_tensor *tx, *said;
    int right = 0;
    assert_int_equal(soma_dataset_read(data.validation, index, COUNT, x, y, &err), SOMA_OK);
    assert_int_equal(soma_tensor_from(&tx, SOMA_F32, SOMA_SHAPE(COUNT, STEPS, FEATURES), x, &err),
                     SOMA_OK);
    assert_int_equal(soma_model_predict(model, tx, &said, &err), SOMA_OK);
    for (int i = 0; i < COUNT; i++) {
        int64_t labels[STEPS], want = 0;
        const float *logits = (const float *)soma_tensor_const_data(said) + i * STEPS * 4;
        const int64_t count = soma_ctc_greedy(logits, STEPS, 4, 0, labels, NULL);
        while (want < MOST && y[i][want] >= 0)
            want++;
        right += count == want && memcmp(labels, y[i], (size_t)want * sizeof *labels) == 0;
    }
    assert_true(fabs(scores.metrics.accuracy - (double)right / COUNT) < 1e-6);
    soma_tensor_release(tx);
    soma_tensor_release(said);
    soma_model_destroy(model);
    soma_data_clear(&data);
}

static void expect(int64_t first_label, int64_t classes, soma_loss_options loss, soma_status status,
                   const char *message)
{
    soma_error err = {0};
    soma_data data = {.train = runs(1, first_label)};
    soma_model *model = reader(classes);
    const soma_train_options how = {.epochs = 1, .loss = loss};
    assert_int_equal(soma_train(model, &data, &how, NULL, &err), status);
    if (!strstr(err.message, message))
        fail_msg("'%s' does not say '%s'", err.message, message);
    soma_model_destroy(model);
    soma_data_clear(&data);
}

static void refused(void **state)
{
    (void)state;
    expect(0, 4, (soma_loss_options){0}, SOMA_INVALID, "label 0 is the blank of CTC");
    expect(1, 3, (soma_loss_options){0}, SOMA_INVALID, "label 3, but the model has 3 classes");
    expect(1, 4, (soma_loss_options){.kind = SOMA_LOSS_FOCAL}, SOMA_INVALID,
           "3 labels of 12 steps are learnt by CTC; leave the loss focal out");
}

static int begin(void **state)
{
    (void)state;
    return soma_context_create(&context, &(soma_context_options){.threads = 1}, NULL);
}
static int end(void **state)
{
    (void)state;
    soma_context_destroy(context);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learns_what_lies_where),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
