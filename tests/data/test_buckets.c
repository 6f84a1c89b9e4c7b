/* Batches of sequences of a like length: each sample once, none cut, the same for any number of
 * threads; and a training that does not notice but by its speed. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "soma/soma.h"

enum { COUNT = 57, STEPS = 12, BATCH = 8 };

/* Sample i has i * 5 % 13 steps, which hold i + 1; its targets are the steps' numbers, then -1, or,
 * as labels, one of two classes. */
static soma_dataset *sequences(bool labels)
{
    soma_error err = {0};
    soma_tensor *x, *y;
    soma_dataset *dataset;
    const soma_shape y_shape = labels ? SOMA_SHAPE(COUNT) : SOMA_SHAPE(COUNT, STEPS);
    assert_int_equal(soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(COUNT, STEPS), &err), SOMA_OK);
    assert_int_equal(soma_tensor_create(&y, SOMA_I64, y_shape, &err), SOMA_OK);
    for (int64_t i = 0; i < COUNT; i++)
        for (int64_t t = 0; t < STEPS; t++) {
            bool counts = t < i * 5 % (STEPS + 1);
            soma_tensor_set(x, i * STEPS + t, counts ? (double)i + 1 : 0);
            if (!labels)
                soma_tensor_set(y, i * STEPS + t, counts ? (double)t : -1);
            else
                soma_tensor_set(y, i, i % 2 ? 1 : 0);
        }
    assert_int_equal(soma_dataset_from_tensors(&dataset, x, y, &err), SOMA_OK);
    soma_tensor_release(x);
    soma_tensor_release(y);
    return dataset;
}

static const int64_t lengths[] = {4, 8};

/* Reads an epoch; the samples' numbers in their order into `order`. */
static void read_epoch(soma_loader *loader, int64_t epoch, int64_t order[COUNT], int used[3])
{
    const void *x, *y;
    int64_t count, seen = 0;
    assert_int_equal(soma_loader_start(loader, epoch, 0, NULL), SOMA_OK);
    assert_int_equal(soma_loader_length(loader), 0);
    for (;;) {
        assert_int_equal(soma_loader_next(loader, &x, &y, &count, NULL), SOMA_OK);
        if (!count)
            break;
        const int64_t length = soma_loader_length(loader);
        assert_true(length == 4 || length == 8 || length == STEPS);
        assert_int_equal(count, seen + BATCH <= COUNT ? BATCH : COUNT % BATCH);
        used[length == STEPS ? 2 : length / 4 - 1]++;
        int64_t longest = 0;
        for (int64_t b = 0; b < count; b++) {
            const float *ids = (const float *)x + b * length;
            const int64_t *tags = (const int64_t *)y + b * length;
            int64_t steps = 0;
            while (steps < length && tags[steps] >= 0)
                steps++;
            longest = steps > longest ? steps : longest;
            for (int64_t t = 0; t < length; t++) {
                assert_int_equal(tags[t], t < steps ? t : -1);
                assert_true((ids[t] > 0) == (t < steps));
            }
            order[seen++] = steps ? (int64_t)ids[0] - 1 : -1;
            if (steps)
                assert_int_equal(steps, order[seen - 1] * 5 % (STEPS + 1));
        }
        if (count == BATCH)
            assert_int_equal(length, longest <= 4 ? 4 : longest <= 8 ? 8 : STEPS);
    }
    assert_int_equal(seen, COUNT);
    assert_int_equal(soma_loader_length(loader), 0);
}

static void cuts_padding_alone(void **state)
{
    (void)state;
    soma_dataset *dataset = sequences(false);
    int64_t order[COUNT] = {0}, first[COUNT] = {0};
    for (int threads = 1; threads <= 3; threads++) {
        const soma_loader_options options = {.batch = BATCH,
                                             .shuffle = true,
                                             .buckets = lengths,
                                             .bucket_count = 2,
                                             .seed = 3,
                                             .threads = threads};
        soma_loader *loader;
        int used[3] = {0}, seen[COUNT] = {0}, empty = 0;
        assert_int_equal(soma_loader_create(&loader, dataset, &options, NULL), SOMA_OK);
        assert_int_equal(soma_loader_batches(loader), 8);
        read_epoch(loader, 2, order, used);
        assert_true(used[0] && used[1] && used[2]);
        for (int i = 0; i < COUNT; i++)
            if (order[i] < 0)
                empty++;
            else
                seen[order[i]]++;
        for (int i = 0; i < COUNT; i++)
            assert_int_equal(seen[i], i * 5 % (STEPS + 1) > 0);
        assert_int_equal(empty, (COUNT + STEPS) / (STEPS + 1));
        if (threads == 1)
            memcpy(first, order, sizeof first);
        assert_memory_equal(order, first, sizeof first);
        read_epoch(loader, 3, order, used);
        assert_memory_not_equal(order, first, sizeof first);
        soma_loader_destroy(loader);
    }
    soma_dataset_release(dataset);
}

static void expect_fault(soma_dataset *dataset, const int64_t *buckets, int count, bool shuffle,
                         soma_status code, const char *part)
{
    soma_error err = {0};
    soma_loader *loader;
    const soma_loader_options options = {
        .batch = 2, .shuffle = shuffle, .buckets = buckets, .bucket_count = count};
    assert_int_equal(soma_loader_create(&loader, dataset, &options, &err), code);
    assert_null(loader);
    if (!strstr(err.message, part))
        fail_msg("'%s' does not say '%s'", err.message, part);
}

static void refuses(void **state)
{
    (void)state;
    soma_error err = {0};
    soma_dataset *dataset = sequences(false), *other;
    int64_t many[SOMA_BUCKETS + 1];
    for (int i = 0; i <= SOMA_BUCKETS; i++)
        many[i] = i + 1;
    expect_fault(dataset, lengths, 2, false, SOMA_INVALID, "need a shuffled one");
    expect_fault(dataset, (const int64_t[]){8, 4}, 2, true, SOMA_INVALID, "bucket 2: lengths rise");
    expect_fault(dataset, (const int64_t[]){0}, 1, true, SOMA_INVALID, "from 1 to at most 12");
    expect_fault(dataset, (const int64_t[]){4, 13}, 2, true, SOMA_INVALID, "got 13");
    expect_fault(dataset, many, SOMA_BUCKETS + 1, true, SOMA_INVALID, "at most 16 buckets");
    const soma_transform noise = {.kind = SOMA_TRANSFORM_STANDARDIZE};
    assert_int_equal(soma_dataset_transform(&other, dataset, &noise, 1, true, 1, &err), SOMA_OK);
    expect_fault(other, lengths, 2, true, SOMA_INVALID, "leave out the buckets or the transforms");
    soma_dataset_release(other);
    soma_dataset_release(dataset);

    soma_tensor *bytes, *y;
    assert_int_equal(soma_tensor_create(&bytes, SOMA_U8, SOMA_SHAPE(4, 12), &err), SOMA_OK);
    assert_int_equal(soma_tensor_create(&y, SOMA_F32, SOMA_SHAPE(4), &err), SOMA_OK);
    assert_int_equal(soma_dataset_from_tensors(&other, bytes, y, &err), SOMA_OK);
    expect_fault(other, lengths, 2, true, SOMA_DTYPE, "samples of f32, these are u8");
    soma_dataset_release(other);
    assert_int_equal(soma_dataset_from_tensors(&other, y, y, &err), SOMA_OK);
    expect_fault(other, lengths, 2, true, SOMA_SHAPE, "buckets are for sequences");
    soma_dataset_release(other);
    soma_tensor_release(bytes);
    soma_tensor_release(y);
}

/* --- training -----------------------------------------------------------------------------------
 */

static soma_model *model_over(soma_context *context)
{
    soma_error err = {0};
    soma_model *model;
    const soma_graph_node nodes[] = {
        {.name = "lengths", .layer = soma_layer_lengths()},
        {.name = "words", .from = "input", .layer = soma_layer_embedding(COUNT + 1, 6)},
        {.name = "states",
         .from = "words,lengths",
         .layer = soma_layer_gru(5, .bidirectional = true)},
        {.name = "mean",
         .from = "states,lengths",
         .layer = soma_layer_sequence_pool(SOMA_SEQUENCE_MEAN)},
        {.name = "answer", .layer = soma_layer_dense(2)}};
    const soma_model_options options = {.input = SOMA_SHAPE(STEPS), .seed = 4};
    assert_int_equal(
        soma_model_create(&model, context, soma_layer_graph(NULL, nodes, 5, NULL), &options, &err),
        SOMA_OK);
    return model;
}

/* A training with the buckets that cut nothing, and one with those that do: the same batches of the
 * same samples, so the same losses but for rounding. */
static void a_model_does_not_see_what_is_cut(void **state)
{
    (void)state;
    soma_error err = {0};
    soma_context *context;
    double loss[2][3];
    assert_int_equal(soma_context_create(&context, NULL, &err), SOMA_OK);
    soma_data data = {.train = sequences(true)};
    for (int64_t accumulate = 1; accumulate <= 2; accumulate++)
        for (int cut = 0; cut < 2; cut++) {
            soma_model *model = model_over(context);
            soma_history history;
            soma_train_options options = {.epochs = 3,
                                          .batch = 57,
                                          .accumulate = accumulate,
                                          .optimizer = {.kind = SOMA_ADAM, .rate = 0.01},
                                          .buckets = lengths,
                                          .bucket_count = cut ? 2 : 0};
            /* One batch has all samples; with several their choice differs, and it must still
             * learn. */
            if (accumulate == 2)
                options.batch = 10;
            if (soma_train(model, &data, &options, &history, &err) != SOMA_OK)
                fail_msg("%s", err.message);
            for (int e = 0; e < 3; e++)
                loss[cut][e] = history.epochs[e].train.loss;
            assert_true(loss[cut][2] < loss[cut][0]);
            soma_history_clear(&history);
            if (accumulate == 1 && cut)
                for (int e = 0; e < 3; e++)
                    assert_true(fabs(loss[1][e] - loss[0][e]) < 1e-5);
            soma_train_cost cost;
            assert_int_equal(soma_train_estimate(model, &data, &options, &cost, &err), SOMA_OK);
            assert_true(cost.bytes > 0);
            soma_model_destroy(model);
        }
    soma_model *model = model_over(context);
    soma_train_options options = {.no_shuffle = true, .buckets = lengths, .bucket_count = 2};
    assert_int_equal(soma_train(model, &data, &options, NULL, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "no_shuffle"));
    soma_model_destroy(model);
    soma_dataset_release(data.train);
    soma_context_destroy(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_padding_alone),
        cmocka_unit_test(refuses),
        cmocka_unit_test(a_model_does_not_see_what_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
