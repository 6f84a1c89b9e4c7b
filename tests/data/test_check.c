/* Each seeded mistake is found, and a sound set has no findings. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "data/check.h"
#include "data/dataset.h"
#include "data/table.h"

typedef struct seen {
    int64_t counts[SOMA__CHECK_COUNT]; /* messages */
    int faults, warnings;
    char last[SOMA__CHECK_COUNT][256];
} seen;

static void found(void *user, const soma__finding *finding)
{
    seen *s = user;
    s->counts[finding->check]++;
    s->faults += finding->severity == SOMA__FAULT;
    s->warnings += finding->severity == SOMA__WARNING;
    snprintf(s->last[finding->check], sizeof s->last[0], "%s", finding->message);
}

static seen check(const soma_data *data)
{
    seen s = {0};
    soma_error err = {0};
    if (soma__data_check(data, &(soma__check_options){.found = found, .user = &s}, &err) != SOMA_OK)
        fail_msg("%s", err.message);
    return s;
}

/* `count` samples of 6 values that all differ, classes in turn. */
static soma_dataset *samples(int64_t count, int64_t classes, int64_t seed)
{
    soma_tensor *x, *y;
    soma_dataset *dataset;
    assert_int_equal(soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(count, 6), NULL), SOMA_OK);
    assert_int_equal(soma_tensor_create(&y, SOMA_I64, SOMA_SHAPE(count), NULL), SOMA_OK);
    for (int64_t i = 0; i < 6 * count; i++)
        soma_tensor_set(x, i, (double)(seed + i * 7 % 1009));
    for (int64_t i = 0; i < count; i++)
        soma_tensor_set(y, i, (double)(i % classes));
    assert_int_equal(soma_dataset_from_tensors(&dataset, x, y, NULL), SOMA_OK);
    soma_tensor_release(x);
    soma_tensor_release(y);
    return dataset;
}

static void sound_data_has_no_findings(void **state)
{
    (void)state;
    soma_data data = {.train = samples(100, 4, 0), .test = samples(20, 4, 5000)};
    seen s = check(&data);
    assert_int_equal(s.warnings + s.faults, 0);
    soma_data_clear(&data);
}

static void copies_and_leaks_are_found(void **state)
{
    (void)state;
    soma_dataset *all = samples(100, 4, 0);
    soma_data data = {0};
    assert_int_equal(
        soma_dataset_subset(&data.train, all, (int64_t[]){0, 1, 2, 3, 4, 5, 6, 7, 2}, 9, NULL),
        SOMA_OK);
    assert_int_equal(soma_dataset_subset(&data.test, all, (int64_t[]){9, 8, 6, 11}, 4, NULL),
                     SOMA_OK);
    seen s = check(&data);
    assert_int_equal(s.counts[SOMA__CHECK_DUPLICATE], 1);
    assert_int_equal(s.counts[SOMA__CHECK_LEAK], 1);
    assert_non_null(strstr(s.last[SOMA__CHECK_LEAK], "sample 6 of the test part"));
    assert_int_equal(s.counts[SOMA__CHECK_LABEL_CONFLICT], 0);
    soma_data_clear(&data);

    /* More than the examples: three and a sum. */
    assert_int_equal(
        soma_dataset_subset(&data.train, all, (int64_t[]){0, 1, 2, 3, 3, 3, 3, 3, 3}, 9, NULL),
        SOMA_OK);
    s = check(&data);
    assert_int_equal(s.counts[SOMA__CHECK_DUPLICATE], 4);
    assert_string_equal(s.last[SOMA__CHECK_DUPLICATE], "5 duplicates within a part in all");
    soma_data_clear(&data);
    soma_dataset_release(all);
}

static void labels_are_looked_at(void **state)
{
    (void)state;
    soma_dataset *all = samples(100, 4, 0);
    soma_data data = {0};
    int64_t index[23];
    for (int i = 0; i < 21; i++)
        index[i] = 4 * i;
    index[21] = 1;
    index[22] = 2;
    assert_int_equal(soma_dataset_subset(&data.train, all, index, 23, NULL), SOMA_OK);
    seen s = check(&data);
    assert_int_equal(s.counts[SOMA__CHECK_EMPTY_CLASS], 1);
    assert_non_null(strstr(s.last[SOMA__CHECK_EMPTY_CLASS], "class '3'"));
    assert_int_equal(s.counts[SOMA__CHECK_IMBALANCE], 1);
    assert_non_null(strstr(s.last[SOMA__CHECK_IMBALANCE], "class '0' has 21"));
    soma_data_clear(&data);
    soma_dataset_release(all);
}

static soma_status read_some(void *user, int64_t index, void *x, void *y, soma_error *err)
{
    (void)user, (void)err;
    if (index == 3)
        return SOMA_IO;
    for (int i = 0; i < 4; i++)
        ((float *)x)[i] = index == 5 ? NAN : (float)(index == 7 ? 1 : index * 4 + i);
    *(int64_t *)y = index % 2;
    return SOMA_OK;
}

static void bad_samples_are_found(void **state)
{
    (void)state;
    const soma_dataset_source source = {.count = 10,
                                        .x_dtype = SOMA_F32,
                                        .x_shape = SOMA_SHAPE(2, 2),
                                        .y_dtype = SOMA_I64,
                                        .y_shape = SOMA_SCALAR,
                                        .read = read_some};
    soma_data data = {0};
    assert_int_equal(soma_dataset_from_callback(&data.train, &source, NULL), SOMA_OK);
    seen s = check(&data);
    assert_int_equal(s.faults, 2);
    assert_non_null(strstr(s.last[SOMA__CHECK_UNREADABLE], "sample 3"));
    assert_non_null(strstr(s.last[SOMA__CHECK_NOT_FINITE], "sample 5: value 0 is NaN"));
    assert_non_null(strstr(s.last[SOMA__CHECK_CONSTANT], "sample 7: all values are 1"));
    soma_data_clear(&data);
}

static void columns_are_looked_at(void **state)
{
    (void)state;
    static const char text[] = "id,a,same,y\n1,5,3,u\n2,,3,v\n3,1,3,u\n4,1,3,v\n5,2,3,u\n6,8,3,v\n"
                               "7,9,3,u\n8,1,3,v\n9,1,3,u\n10,4,3,v\n11,5,3,u\n";
    soma_data data = {0};
    assert_int_equal(soma__table_open(&data.train, "t", text, sizeof text - 1,
                                      &(soma__table_options){.missing = SOMA__MISSING_MEAN}, NULL),
                     SOMA_OK);
    assert_int_equal(soma__table_encode(&data, NULL), SOMA_OK);
    seen s = check(&data);
    assert_non_null(strstr(s.last[SOMA__CHECK_COUNTER], "column 'id'"));
    assert_non_null(strstr(s.last[SOMA__CHECK_CONSTANT], "column 'same' is 3"));
    assert_non_null(strstr(s.last[SOMA__CHECK_MISSING], "column 'a' has no value in 1 of 11"));
    assert_int_equal(s.warnings, 2);
    soma_data_clear(&data);
}

static void equal_samples_with_other_labels(void **state)
{
    (void)state;
    static const char text[] = "a,y\n1,u\n2,v\n1,v\n";
    soma_data data = {0};
    assert_int_equal(
        soma__table_open(&data.train, "t", text, sizeof text - 1, &(soma__table_options){0}, NULL),
        SOMA_OK);
    assert_int_equal(soma__table_encode(&data, NULL), SOMA_OK);
    seen s = check(&data);
    assert_int_equal(s.counts[SOMA__CHECK_LABEL_CONFLICT], 1);
    soma_data_clear(&data);
}

static void moments_are_per_channel(void **state)
{
    (void)state;
    static const char text[] = "a,b,y\n1,10,0\n3,20,1\n";
    soma_data data = {0};
    soma__moments *m;
    int64_t count;
    assert_int_equal(
        soma__table_open(&data.train, "t", text, sizeof text - 1, &(soma__table_options){0}, NULL),
        SOMA_OK);
    assert_int_equal(soma__table_encode(&data, NULL), SOMA_OK);
    assert_int_equal(soma__data_moments(&m, &count, data.train, 0, NULL), SOMA_OK);
    assert_int_equal(count, 2);
    assert_true(m[0].mean == 2 && m[0].deviation == 1 && m[1].mean == 15 && m[1].high == 20);
    soma__free(m);
    soma_data_clear(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_data_has_no_findings),
        cmocka_unit_test(copies_and_leaks_are_found),
        cmocka_unit_test(labels_are_looked_at),
        cmocka_unit_test(bad_samples_are_found),
        cmocka_unit_test(columns_are_looked_at),
        cmocka_unit_test(equal_samples_with_other_labels),
        cmocka_unit_test(moments_are_per_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
