/* The loader: every sample once, in an order that depends on seed and epoch alone. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "soma/soma.h"

#define assert_near(a_, b_, by_) assert_true(fabs((double)(a_) - (double)(b_)) <= (by_))

#define COUNT 103

static soma_dataset *counting(void)
{
    soma_tensor *x, *y;
    assert_int_equal(soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(COUNT, 1), NULL), SOMA_OK);
    assert_int_equal(soma_tensor_create(&y, SOMA_I64, SOMA_SHAPE(COUNT), NULL), SOMA_OK);
    for (int64_t i = 0; i < COUNT; i++) {
        soma_tensor_set(x, i, (double)i);
        soma_tensor_set(y, i, (double)i);
    }
    soma_dataset *dataset;
    assert_int_equal(soma_dataset_from_tensors(&dataset, x, y, NULL), SOMA_OK);
    soma_tensor_release(x);
    soma_tensor_release(y);
    return dataset;
}

/* Reads an epoch from batch `first`; the number of samples seen, their labels in `order`. */
static int64_t epoch(soma_loader *loader, int64_t number, int64_t first, int64_t order[COUNT])
{
    int64_t seen = 0, count;
    const void *x, *y;
    assert_int_equal(soma_loader_start(loader, number, first, NULL), SOMA_OK);
    for (;;) {
        assert_int_equal(soma_loader_next(loader, &x, &y, &count, NULL), SOMA_OK);
        if (!count)
            return seen;
        for (int64_t i = 0; i < count; i++, seen++) {
            order[seen] = ((const int64_t *)y)[i];
            assert_near(((const float *)x)[i], (float)order[seen], 0);
        }
    }
}

static void every_sample_once_in_the_same_order_whatever_the_threads(void **state)
{
    (void)state;
    soma_dataset *dataset = counting();
    int64_t reference[COUNT], order[COUNT], other[COUNT];
    for (int threads = 1; threads <= 4; threads++)
        for (int prefetch = 1; prefetch <= 5; prefetch += 2) {
            soma_loader_options options = {
                .batch = 10, .shuffle = true, .seed = 5, .threads = threads, .prefetch = prefetch};
            soma_loader *loader;
            assert_int_equal(soma_loader_create(&loader, dataset, &options, NULL), SOMA_OK);
            assert_int_equal(soma_loader_batches(loader), 11);
            assert_int_equal(epoch(loader, 3, 0, order), COUNT);
            bool seen[COUNT] = {false};
            for (int i = 0; i < COUNT; i++) {
                assert_false(seen[order[i]]);
                seen[order[i]] = true;
            }
            if (threads == 1 && prefetch == 1)
                memcpy(reference, order, sizeof order);
            assert_memory_equal(order, reference, sizeof order);
            /* A resumed epoch is the end of the whole one; another epoch has another order. */
            assert_int_equal(epoch(loader, 3, 4, other), COUNT - 40);
            assert_memory_equal(other, reference + 40, (COUNT - 40) * sizeof other[0]);
            assert_int_equal(epoch(loader, 4, 0, other), COUNT);
            assert_memory_not_equal(other, reference, sizeof other);
            /* Leaving in the middle of an epoch and starting anew is fine. */
            const void *x, *y;
            int64_t count;
            assert_int_equal(soma_loader_start(loader, 3, 0, NULL), SOMA_OK);
            assert_int_equal(soma_loader_next(loader, &x, &y, &count, NULL), SOMA_OK);
            assert_int_equal(epoch(loader, 3, 0, order), COUNT);
            assert_memory_equal(order, reference, sizeof order);
            soma_loader_destroy(loader);
        }
    soma_dataset_release(dataset);
}

/* 90 samples of class 0, 9 of class 2, 1 of class 3: a third of the draws each, by seed and epoch.
 */
static void balanced_batches_have_each_class_as_often(void **state)
{
    (void)state;
    soma_tensor *x, *y;
    soma_dataset *dataset;
    assert_int_equal(soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(100, 1), NULL), SOMA_OK);
    assert_int_equal(soma_tensor_create(&y, SOMA_I64, SOMA_SHAPE(100), NULL), SOMA_OK);
    for (int64_t i = 0; i < 100; i++) {
        soma_tensor_set(x, i, (double)i);
        soma_tensor_set(y, i, i < 90 ? 0 : i < 99 ? 2 : 3);
    }
    assert_int_equal(soma_dataset_from_tensors(&dataset, x, y, NULL), SOMA_OK);
    const soma_loader_options options = {
        .batch = 99, .balanced = true, .drop_last = true, .seed = 1};
    soma_loader *loader;
    assert_int_equal(soma_loader_create(&loader, dataset, &options, NULL), SOMA_OK);
    float first[2][99];
    for (int round = 0; round < 3; round++) {
        const void *got_x, *got_y;
        int64_t count, by_class[4] = {0};
        assert_int_equal(soma_loader_start(loader, round == 2, 0, NULL), SOMA_OK);
        assert_int_equal(soma_loader_next(loader, &got_x, &got_y, &count, NULL), SOMA_OK);
        assert_int_equal(count, 99);
        for (int i = 0; i < 99; i++) {
            int sample = (int)((const float *)got_x)[i];
            by_class[((const int64_t *)got_y)[i]]++;
            assert_int_equal(((const int64_t *)got_y)[i], sample < 90 ? 0 : sample < 99 ? 2 : 3);
        }
        assert_in_range(by_class[0], 33, 34);
        assert_int_equal(by_class[1], 0);
        assert_in_range(by_class[2], 32, 33);
        assert_in_range(by_class[3], 32, 33);
        if (round == 0)
            memcpy(first[0], got_x, sizeof first[0]);
        memcpy(first[1], got_x, sizeof first[1]);
        assert_int_equal(memcmp(first[0], first[1], sizeof first[0]) == 0, round < 2);
    }
    soma_loader_destroy(loader);
    soma_dataset_release(dataset);
    assert_int_equal(soma_dataset_from_tensors(&dataset, x, x, NULL), SOMA_OK);
    soma_error err = {0};
    assert_int_equal(soma_loader_create(&loader, dataset, &options, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "need class labels"));
    soma_dataset_release(dataset);
    soma_tensor_release(x);
    soma_tensor_release(y);
}

static void the_last_batch_may_be_dropped(void **state)
{
    (void)state;
    soma_dataset *dataset = counting();
    soma_loader_options options = {.batch = 10, .drop_last = true};
    soma_loader *loader;
    int64_t order[COUNT];
    assert_int_equal(soma_loader_create(&loader, dataset, &options, NULL), SOMA_OK);
    assert_int_equal(epoch(loader, 0, 0, order), 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(order[i], i);
    soma_loader_destroy(loader);
    soma_dataset_release(dataset);
}

static soma_status fails_at_50(void *user, int64_t index, void *x, void *y, soma_error *err)
{
    (void)user;
    (void)err;
    *(float *)x = 0;
    *(int64_t *)y = 0;
    return index == 50 ? SOMA_IO : SOMA_OK;
}

static void faults_of_the_source_arrive(void **state)
{
    (void)state;
    soma_dataset_source source = {.count = COUNT,
                                  .x_dtype = SOMA_F32,
                                  .x_shape = SOMA_SHAPE(1),
                                  .y_dtype = SOMA_I64,
                                  .read = fails_at_50};
    soma_dataset *dataset;
    soma_loader *loader;
    soma_loader_options options = {.batch = 10, .threads = 2};
    assert_int_equal(soma_dataset_from_callback(&dataset, &source, NULL), SOMA_OK);
    assert_int_equal(soma_loader_create(&loader, dataset, &options, NULL), SOMA_OK);
    const void *x, *y;
    int64_t count;
    soma_error err = {0};
    assert_int_equal(soma_loader_next(loader, &x, &y, &count, &err), SOMA_STATE);
    assert_int_equal(soma_loader_start(loader, 0, 0, NULL), SOMA_OK);
    for (int i = 0; i < 5; i++)
        assert_int_equal(soma_loader_next(loader, &x, &y, &count, &err), SOMA_OK);
    assert_int_equal(soma_loader_next(loader, &x, &y, &count, &err), SOMA_IO);
    assert_non_null(strstr(err.message, "sample 50"));
    soma_loader_destroy(loader);
    options.batch = COUNT + 1;
    assert_int_equal(soma_loader_create(&loader, dataset, &options, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "larger than the data set"));
    soma_dataset_release(dataset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sample_once_in_the_same_order_whatever_the_threads),
        cmocka_unit_test(balanced_batches_have_each_class_as_often),
        cmocka_unit_test(the_last_batch_may_be_dropped),
        cmocka_unit_test(faults_of_the_source_arrive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
