/* Data sets: what is refused, splits, scaling, names. */
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

#include "data/dataset.h"
#include "soma/soma.h"

#define assert_near(a_, b_, by_) assert_true(fabs((double)(a_) - (double)(b_)) <= (by_))

static soma_dataset *numbers(int64_t count, int64_t classes)
{
    soma_tensor *x, *y;
    assert_int_equal(soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(count, 2), NULL), SOMA_OK);
    assert_int_equal(soma_tensor_create(&y, SOMA_I64, SOMA_SHAPE(count), NULL), SOMA_OK);
    for (int64_t i = 0; i < count; i++) {
        soma_tensor_set(x, 2 * i, (double)i);
        soma_tensor_set(x, 2 * i + 1, 7);
        soma_tensor_set(y, i, (double)(i % classes));
    }
    soma_dataset *dataset;
    assert_int_equal(soma_dataset_from_tensors(&dataset, x, y, NULL), SOMA_OK);
    soma_tensor_release(x);
    soma_tensor_release(y);
    return dataset;
}

static void bad_values_are_named(void **state)
{
    (void)state;
    soma_tensor *x, *y;
    soma_dataset *dataset;
    soma_error err = {0};
    assert_int_equal(soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(20, 4), NULL), SOMA_OK);
    assert_int_equal(soma_tensor_create(&y, SOMA_I64, SOMA_SHAPE(20), NULL), SOMA_OK);
    soma_tensor_set(x, 17 * 4 + 3, NAN);
    assert_int_equal(soma_dataset_from_tensors(&dataset, x, y, &err), SOMA_NUMERIC);
    assert_non_null(strstr(err.message, "sample 17, value 3"));
    soma_tensor_set(x, 17 * 4 + 3, 0);
    soma_tensor_set(y, 5, -1);
    assert_int_equal(soma_dataset_from_tensors(&dataset, x, y, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "sample 5: label -1"));
    soma_tensor *few;
    assert_int_equal(soma_tensor_create(&few, SOMA_I64, SOMA_SHAPE(19), NULL), SOMA_OK);
    assert_int_equal(soma_dataset_from_tensors(&dataset, x, few, &err), SOMA_SHAPE);
    soma_tensor_release(few);
    assert_int_equal(soma_tensor_create(&few, SOMA_F32, SOMA_SHAPE(0, 4), NULL), SOMA_OK);
    soma_tensor *none;
    assert_int_equal(soma_tensor_create(&none, SOMA_I64, SOMA_SHAPE(0), NULL), SOMA_OK);
    assert_int_equal(soma_dataset_from_tensors(&dataset, few, none, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "empty"));
    soma_tensor_release(none);
    soma_tensor_release(few);
    soma_tensor_release(x);
    soma_tensor_release(y);
}

static void a_split_is_exact_stratified_and_repeatable(void **state)
{
    (void)state;
    soma_dataset *all = numbers(1003, 5), *rest, *part, *rest2, *part2;
    assert_int_equal(soma_dataset_split(&rest, &part, all, 0.2, 7, NULL), SOMA_OK);
    assert_int_equal(soma_dataset_count(part), 201);
    assert_int_equal(soma_dataset_count(rest), 802);
    bool seen[1003] = {false};
    int64_t by_class[5] = {0};
    for (int side = 0; side < 2; side++) {
        soma_dataset *d = side ? part : rest;
        for (int64_t i = 0; i < soma_dataset_count(d); i++) {
            float x[2];
            int64_t y;
            assert_int_equal(soma_dataset_read(d, &i, 1, x, &y, NULL), SOMA_OK);
            assert_int_equal(y, (int64_t)x[0] % 5);
            assert_false(seen[(int)x[0]]);
            seen[(int)x[0]] = true;
            by_class[y] += side;
        }
        assert_int_equal(soma_dataset_class_count(d), 5);
    }
    for (int k = 0; k < 5; k++)
        assert_in_range(by_class[k], 40, 41);
    assert_int_equal(soma_dataset_split(&rest2, &part2, all, 201, 7, NULL), SOMA_OK);
    for (int64_t i = 0; i < 201; i++)
        assert_int_equal(part->index[i], part2->index[i]);
    soma_error err = {0};
    soma_dataset *a, *b;
    assert_int_equal(soma_dataset_split(&a, &b, all, 1003, 7, &err), SOMA_INVALID);
    assert_int_equal(soma_dataset_split(&a, &b, all, -1, 7, &err), SOMA_INVALID);
    assert_int_equal(soma_dataset_split(&a, &b, all, NAN, 7, &err), SOMA_INVALID);
    soma_dataset_release(rest2);
    soma_dataset_release(part2);
    soma_dataset_release(rest);
    soma_dataset_release(part);
    soma_dataset_release(all);
}

/* 103 samples of 5 classes in 4 folds: each sample is in one part, and parts and classes are even.
 */
static void folds_are_even_and_cover_all(void **state)
{
    (void)state;
    soma_dataset *all = numbers(103, 5);
    bool seen[103] = {false};
    for (int fold = 0; fold < 4; fold++) {
        soma_dataset *rest, *part;
        int64_t by_class[5] = {0};
        assert_int_equal(soma_dataset_fold(&rest, &part, all, 4, fold, 7, NULL), SOMA_OK);
        assert_in_range(soma_dataset_count(part), 25, 26);
        assert_int_equal(soma_dataset_count(part) + soma_dataset_count(rest), 103);
        for (int64_t i = 0; i < soma_dataset_count(part); i++) {
            float x[2];
            int64_t y;
            assert_int_equal(soma_dataset_read(part, &i, 1, x, &y, NULL), SOMA_OK);
            assert_false(seen[(int)x[0]]);
            seen[(int)x[0]] = true;
            by_class[y]++;
        }
        for (int k = 0; k < 5; k++)
            assert_in_range(by_class[k], 5, 6);
        soma_dataset_release(rest);
        soma_dataset_release(part);
    }
    for (int i = 0; i < 103; i++)
        assert_true(seen[i]);
    soma_dataset *rest, *part;
    assert_int_equal(soma_dataset_fold(&rest, &part, all, 1, 0, 7, NULL), SOMA_INVALID);
    assert_int_equal(soma_dataset_fold(&rest, &part, all, 104, 0, 7, NULL), SOMA_INVALID);
    assert_int_equal(soma_dataset_fold(&rest, &part, all, 4, 4, 7, NULL), SOMA_INVALID);
    soma_dataset_release(all);
}

static void a_reconstruction_has_itself_as_target(void **state)
{
    (void)state;
    soma_dataset *all = numbers(7, 2), *same;
    assert_int_equal(soma_dataset_reconstruct(&same, all, NULL), SOMA_OK);
    soma_dataset_release(all); /* the other keeps it */
    assert_int_equal(soma_dataset_count(same), 7);
    assert_true(soma_shape_equal(soma_dataset_y_shape(same), soma_dataset_x_shape(same)));
    assert_int_equal(soma_dataset_y_dtype(same), SOMA_F32);
    const int64_t indexes[2] = {5, 0};
    float x[4], y[4];
    assert_int_equal(soma_dataset_read(same, indexes, 2, x, y, NULL), SOMA_OK);
    assert_memory_equal(x, y, sizeof x);
    assert_near(y[0], 5, 0);
    soma_dataset_release(same);
}

static void scaling_fits(void **state)
{
    (void)state;
    soma_dataset *d = numbers(5, 2); /* 0 1 2 3 4 and a constant */
    soma_tensor *shift, *scale;
    assert_int_equal(soma_scaling_fit(&shift, &scale, d, SOMA_SCALE_STANDARD, NULL), SOMA_OK);
    assert_near(soma_tensor_get(shift, 0), 2, 1e-6);
    assert_near(soma_tensor_get(scale, 0), 1 / sqrt(2), 1e-6);
    assert_near(soma_tensor_get(shift, 1), 7, 1e-6);
    assert_near(soma_tensor_get(scale, 1), 1, 1e-6);
    soma_tensor_release(shift);
    soma_tensor_release(scale);
    assert_int_equal(soma_scaling_fit(&shift, &scale, d, SOMA_SCALE_MINMAX, NULL), SOMA_OK);
    assert_near(soma_tensor_get(scale, 0), 0.25, 1e-6);
    soma_tensor_release(shift);
    soma_tensor_release(scale);
    assert_int_equal(soma_scaling_fit(&shift, &scale, d, SOMA_SCALE_UNIT, NULL), SOMA_OK);
    assert_int_equal(soma_tensor_count(shift), 1);
    assert_near(soma_tensor_get(shift, 0), 0, 1e-6);
    assert_near(soma_tensor_get(scale, 0), 1.0 / 7, 1e-6);
    soma_tensor_release(shift);
    soma_tensor_release(scale);
    soma_dataset_release(d);
}

static void embedded_sets_open_split(void **state)
{
    (void)state;
    soma_data data;
    assert_int_equal(soma_data_open(&data, "digits", NULL, NULL), SOMA_OK);
    assert_int_equal(soma_dataset_count(data.train) + soma_dataset_count(data.test), 1797);
    assert_int_equal(soma_dataset_count(data.test), 359);
    const soma_shape want = SOMA_SHAPE(8, 8, 1);
    assert_true(soma_shape_equal(soma_dataset_x_shape(data.train), &want));
    soma_data_clear(&data);
    assert_int_equal(soma_data_open(&data, "iris", NULL, NULL), SOMA_OK);
    assert_int_equal(soma_dataset_count(data.test), 30);
    assert_int_equal(soma_dataset_class_count(data.train), 3);
    assert_string_equal(soma_dataset_class(data.test, 0), "setosa");
    soma_data_clear(&data);
    soma_error err = {0};
    assert_int_equal(soma_data_open(&data, "digit", NULL, &err), SOMA_NOT_FOUND);
    assert_non_null(strstr(err.message, "did you mean 'digits'"));
    assert_int_equal(soma_data_open(&data, "mnist", "/nowhere", &err),
                     getenv("SOMA_DATA") ? SOMA_OK : SOMA_NOT_FOUND);
    soma_data_clear(&data);
}

static char *write_file(const char *text)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/soma-test-%d.csv", (int)getpid());
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return path;
}

static void tables_become_classes_or_targets(void **state)
{
    (void)state;
    char *path = write_file("a,b,kind\n1,2,x\n3,4,y\n5,6,x\n");
    soma_dataset *d;
    soma_error err = {0};
    assert_int_equal(soma_dataset_open_csv(&d, path, "kind", false, &err), SOMA_OK);
    assert_int_equal(soma_dataset_class_count(d), 2);
    assert_string_equal(soma_dataset_class(d, 1), "y");
    soma_dataset_release(d);
    /* Text among the features becomes one 0/1 feature a value; as a target it is refused. */
    assert_int_equal(soma_dataset_open_csv(&d, path, "b", true, &err), SOMA_OK);
    assert_int_equal(soma_dataset_x_shape(d)->dim[0], 3);
    soma_dataset_release(d);
    assert_int_equal(soma_dataset_open_csv(&d, path, "kind", true, &err), SOMA_INVALID);
    path = write_file("a,b\n1,2.5\n3,4\n");
    assert_int_equal(soma_dataset_open_csv(&d, path, NULL, true, &err), SOMA_OK);
    float x, y;
    assert_int_equal(soma_dataset_read(d, &(int64_t){0}, 1, &x, &y, NULL), SOMA_OK);
    assert_near(x, 1, 0);
    assert_near(y, 2.5, 0);
    soma_dataset_release(d);
    path = write_file("a,b\n1,2\nNA,4\n");
    assert_int_equal(soma_dataset_open_csv(&d, path, NULL, true, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "data row 2 has no value for 'a'"));
    remove(path);
}

static soma_status read_square(void *user, int64_t index, void *x, void *y, soma_error *err)
{
    (void)err;
    if (index == *(int64_t *)user)
        return SOMA_IO;
    *(float *)x = (float)index;
    *(float *)y = (float)(index * index);
    return SOMA_OK;
}

static void callbacks_give_samples_and_faults(void **state)
{
    (void)state;
    int64_t bad = 3;
    soma_dataset_source source = {.count = 5,
                                  .x_dtype = SOMA_F32,
                                  .x_shape = SOMA_SHAPE(1),
                                  .y_dtype = SOMA_F32,
                                  .y_shape = SOMA_SHAPE(1),
                                  .read = read_square,
                                  .user = &bad};
    soma_dataset *d;
    float x[2], y[2];
    soma_error err = {0};
    assert_int_equal(soma_dataset_from_callback(&d, &source, NULL), SOMA_OK);
    assert_int_equal(soma_dataset_read(d, (int64_t[]){4, 2}, 2, x, y, &err), SOMA_OK);
    assert_near(y[0], 16, 0);
    assert_int_equal(soma_dataset_read(d, (int64_t[]){3}, 1, x, y, &err), SOMA_IO);
    assert_non_null(strstr(err.message, "sample 3"));
    assert_int_equal(soma_dataset_read(d, (int64_t[]){5}, 1, x, y, &err), SOMA_INVALID);
    soma_dataset_release(d);
    /* A batch of such samples would have more dimensions than a shape holds. */
    source.x_shape = SOMA_SHAPE(1, 1, 1, 1, 1, 1, 1, 1);
    assert_int_equal(soma_dataset_from_callback(&d, &source, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "7 dimensions"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_values_are_named),
        cmocka_unit_test(a_split_is_exact_stratified_and_repeatable),
        cmocka_unit_test(folds_are_even_and_cover_all),
        cmocka_unit_test(a_reconstruction_has_itself_as_target),
        cmocka_unit_test(scaling_fits),
        cmocka_unit_test(embedded_sets_open_split),
        cmocka_unit_test(tables_become_classes_or_targets),
        cmocka_unit_test(callbacks_give_samples_and_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
