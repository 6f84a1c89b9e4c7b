/* Tables: what becomes of gaps and categories, what is fitted on the training part alone, and that
 * a model file's encoding reads other files in the same way. */
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

#include "base/mem.h"
#include "data/dataset.h"
#include "data/options.h"
#include "data/table.h"

static soma_status open_text(soma_data *out, const char *text, const soma__table_options *options,
                             soma_error *err)
{
    *out = (soma_data){0};
    return soma__table_open(&out->train, "t.csv", text, strlen(text), options, err);
}

/* Opens and encodes; all rows are the training part. */
static void load(soma_data *out, const char *text, const soma__table_options *options)
{
    soma_error err = {0};
    soma_status status = open_text(out, text, options, &err);
    if (status == SOMA_OK)
        status = soma__table_encode(out, &err);
    if (status != SOMA_OK)
        fail_msg("%s", err.message);
}

/* The features of a sample are these. */
static void assert_features(const soma_dataset *d, int64_t sample, int count, const float *want)
{
    float x[16];
    int64_t y[4];
    assert_int_equal(soma_dataset_x_shape(d)->dim[0], count);
    assert_int_equal(soma_dataset_read(d, &sample, 1, x, y, NULL), SOMA_OK);
    for (int i = 0; i < count; i++)
        if (x[i] != want[i])
            fail_msg("sample %d, feature %d is %g instead of %g", (int)sample, i, (double)x[i],
                     (double)want[i]);
}
#define FEATURES(...)                                                                              \
    (int)(sizeof((float[]){__VA_ARGS__}) / sizeof(float)), (float[])                               \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static const char gaps[] = "n,c,y\n1,u,10\n,v,-2\n3,?,10\n3,v,10\n9,v,10\n";

static void gaps_are_refused_or_filled(void **state)
{
    (void)state;
    soma_data d;
    soma_error err = {0};
    assert_int_equal(open_text(&d, gaps, &(soma__table_options){0}, &err), SOMA_OK);
    assert_int_equal(soma__table_encode(&d, &err), SOMA_INVALID);
    assert_string_equal(err.message, "t.csv: data row 2 has no value for 'n' (`missing` says what "
                                     "to do with gaps)");
    soma_data_clear(&d);

    load(&d, gaps, &(soma__table_options){.missing = SOMA__MISSING_MEAN});
    assert_features(d.train, 1, FEATURES(4, 0, 1)); /* mean of 1 3 3 9 */
    assert_features(d.train, 2, FEATURES(3, 0, 1)); /* v is the most frequent */
    assert_features(d.train, 0, FEATURES(1, 1, 0));
    assert_string_equal(soma_dataset_class(d.train, 0), "-2");
    assert_int_equal(soma__dataset_label(d.train, 0), 1);
    soma_data_clear(&d);
    load(&d, gaps, &(soma__table_options){.missing = SOMA__MISSING_MEDIAN});
    assert_features(d.train, 1, FEATURES(3, 0, 1));
    soma_data_clear(&d);
    load(&d, gaps, &(soma__table_options){.missing = SOMA__MISSING_MOST_FREQUENT});
    assert_features(d.train, 1, FEATURES(3, 0, 1));
    soma_data_clear(&d);
    load(&d, gaps, &(soma__table_options){.missing = SOMA__MISSING_INDICATOR});
    assert_features(d.train, 1, FEATURES(4, 1, 0, 1, 0));
    assert_features(d.train, 2, FEATURES(3, 0, 0, 0, 1));
    soma_data_clear(&d);
    load(&d, gaps, &(soma__table_options){.missing = SOMA__MISSING_DROP});
    assert_int_equal(soma_dataset_count(d.train), 3);
    assert_int_equal(soma_dataset_class_count(d.train), 1);
    assert_features(d.train, 1, FEATURES(3, 0, 1));
    soma_data_clear(&d);
    assert_int_equal(
        open_text(&d, "a,y\n,1\n2,\n", &(soma__table_options){.missing = SOMA__MISSING_DROP}, &err),
        SOMA_INVALID);
    assert_non_null(strstr(err.message, "leaves none"));
    assert_int_equal(open_text(&d, "a,y\n1,1\n2,\n", &(soma__table_options){0}, &err),
                     SOMA_INVALID);
    assert_non_null(strstr(err.message, "label column 'y' has no value in data row 2"));
}

static void columns_have_roles(void **state)
{
    (void)state;
    static const char text[] = "id,a,b,y,z\n7,1,5,0,2.5\n8,2,6,1,3.5\n9,3,5,1,4.5\n";
    static const char *const yz[] = {"y", "z"}, *const y[] = {"y"}, *const ba[] = {"b", "a"},
                             *const id[] = {"id", "-1"}, *const b[] = {"b"}, *const no[] = {"q"};
    soma_data d;
    soma_error err = {0};
    load(&d, text,
         &(soma__table_options){
             .labels = {yz, 2}, .columns = {ba, 2}, .target = SOMA__TARGET_NUMBERS});
    assert_features(d.train, 1, FEATURES(6, 2));
    float x[2], targets[2];
    assert_int_equal(soma_dataset_read(d.train, &(int64_t){2}, 1, x, targets, NULL), SOMA_OK);
    assert_true(targets[0] == 1 && targets[1] == 4.5F);
    soma_data_clear(&d);

    load(&d, text,
         &(soma__table_options){.labels = {y, 1}, .ignore = {id, 2}, .categorical = {b, 1}});
    assert_features(d.train, 1, FEATURES(2, 0, 1));
    soma_data_clear(&d);
    load(&d, text,
         &(soma__table_options){
             .labels = {y, 1}, .ignore = {id, 2}, .categorical = {b, 1}, .index = true});
    assert_features(d.train, 1, FEATURES(2, 2));
    assert_features(d.train, 0, FEATURES(1, 1));
    /* A number that is a name is not scaled. */
    soma_tensor *shift, *scale;
    assert_int_equal(soma_scaling_fit(&shift, &scale, d.train, SOMA_SCALE_STANDARD, &err), SOMA_OK);
    assert_true(soma_tensor_get(shift, 0) > 0);
    assert_true(soma_tensor_get(shift, 1) == 0 && soma_tensor_get(scale, 1) == 1);
    soma_tensor_release(shift);
    soma_tensor_release(scale);
    soma_data_clear(&d);

    const struct {
        soma__table_options options;
        soma_status status;
        const char *message;
    } wrong[] = {
        {{.labels = {yz, 2}}, SOMA_INVALID, "only a regression has more than one"},
        {{.labels = {y, 1}, .columns = {yz, 2}}, SOMA_INVALID, "'y' is the label"},
        {{.labels = {no, 1}}, SOMA_NOT_FOUND, "no column is named 'q'"},
        {{.columns = {no, 1}}, SOMA_NOT_FOUND, "no column is named 'q'"},
        {{.names = {yz, 2}}, SOMA_INVALID, "5 columns, but 2 names"},
        {{.labels = {no, 1}, .names = {no, 1}}, SOMA_INVALID, "5 columns, but 1 names"},
        {{0}, SOMA_INVALID, "whole numbers or texts"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(open_text(&d, text, &wrong[i].options, &err), wrong[i].status);
        if (!strstr(err.message, wrong[i].message))
            fail_msg("%s", err.message);
    }
    assert_int_equal(open_text(&d, "1\n2\n", &(soma__table_options){0}, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "no column is left"));
}

static void binary_targets_are_0_and_1(void **state)
{
    (void)state;
    const soma__table_options options = {.target = SOMA__TARGET_BINARY};
    soma_data d;
    soma_error err = {0};
    float x, y;
    load(&d, "a,y\n1,no\n2,yes\n", &options);
    assert_int_equal(soma_dataset_read(d.train, &(int64_t){1}, 1, &x, &y, NULL), SOMA_OK);
    assert_true(y == 1);
    soma_data_clear(&d);
    load(&d, "a,y\n1,1\n2,2\n", &options);
    assert_int_equal(soma_dataset_read(d.train, &(int64_t){0}, 1, &x, &y, NULL), SOMA_OK);
    assert_true(y == 0);
    soma_data_clear(&d);
    load(&d, "a,y\n1,0.25\n2,0.5\n3,1\n", &options); /* shares stay */
    assert_int_equal(soma_dataset_read(d.train, &(int64_t){0}, 1, &x, &y, NULL), SOMA_OK);
    assert_true(y == 0.25F);
    soma_data_clear(&d);
    assert_int_equal(open_text(&d, "a,y\n1,u\n2,v\n3,w\n", &options, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "3 distinct values"));
}

/* The last two rows are test: their category and their number are not seen by the fit. */
static void only_training_rows_are_fitted(void **state)
{
    (void)state;
    soma_data d;
    soma_dataset *all;
    assert_int_equal(open_text(&d, "n,c,y\n1,u,0\n3,v,1\n1000,w,0\n,u,1\n",
                               &(soma__table_options){.missing = SOMA__MISSING_MEAN}, NULL),
                     SOMA_OK);
    all = d.train;
    assert_int_equal(soma_dataset_subset(&d.train, all, (int64_t[]){1, 0}, 2, NULL), SOMA_OK);
    assert_int_equal(soma_dataset_subset(&d.test, all, (int64_t[]){3, 2}, 2, NULL), SOMA_OK);
    soma_dataset_release(all);
    assert_int_equal(soma__table_encode(&d, NULL), SOMA_OK);
    assert_features(d.train, 0, FEATURES(3, 0, 1));
    assert_features(d.train, 1, FEATURES(1, 1, 0));
    assert_features(d.test, 0, FEATURES(2, 1, 0));
    assert_features(d.test, 1, FEATURES(1000, 0, 0));

    /* Parts that are encoded can be put together anew, as in cross-validation. */
    soma_data other = {.train = soma_dataset_retain(d.test), .test = soma_dataset_retain(d.train)};
    assert_int_equal(soma__table_encode(&other, NULL), SOMA_OK);
    assert_features(other.train, 0, FEATURES(1000, 1, 0));
    assert_features(other.test, 0, FEATURES(3, 0, 0));
    soma_data_clear(&other);
    soma_data_clear(&d);
}

static const char *write_file(const char *text)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/soma-table-%d.csv", (int)getpid());
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return path;
}

static void encodings_read_other_files(void **state)
{
    (void)state;
    soma_data d;
    soma_error err = {0};
    char *text;
    soma__encoding *e;
    soma_tensor *x;
    load(&d, "c,n,y\nu,1,no\nv,,yes\nv,5,no\n",
         &(soma__table_options){.missing = SOMA__MISSING_INDICATOR});
    assert_int_equal(soma__encoding_text(&text, soma__dataset_encoding(d.train), &err), SOMA_OK);
    assert_string_equal(text, "{\"version\":1,\"separator\":\",\",\"names\":[\"c\",\"n\",\"y\"],"
                              "\"labels\":[\"y\"],\"classes\":[\"no\",\"yes\"],\"columns\":["
                              "{\"name\":\"c\",\"values\":[\"u\",\"v\"],\"fill\":-1.0},"
                              "{\"name\":\"n\",\"fill\":3.0,\"indicator\":true}]}");
    soma_data_clear(&d);
    if (soma__encoding_parse(&e, text, "m", &err) == SOMA_UNSUPPORTED)
        skip();
    soma__free(text);
    assert_int_equal(soma__encoding_features(e), 4);

    /* By name in any order, with more columns; by position without header, with labels or not. */
    static const char *const files[] = {"more,n,c\n0,,v\n", "v,,yes\n", "v,\n", "n;c\n;v\n"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (soma__encoding_read(&x, e, write_file(files[i]), &err) != SOMA_OK)
            fail_msg("%s", err.message);
        const float *f = soma_tensor_f32(x);
        assert_true(f[0] == 0 && f[1] == 1 && f[2] == 3 && f[3] == 1);
        soma_tensor_release(x);
    }
    assert_int_equal(soma__encoding_read(&x, e, write_file("new,7\n"), &err), SOMA_OK);
    assert_true(soma_tensor_get(x, 0) == 0 && soma_tensor_get(x, 1) == 0);
    soma_tensor_release(x);
    assert_int_equal(soma__encoding_read(&x, e, write_file("n,d\n1,u\n"), &err), SOMA_SHAPE);
    assert_non_null(strstr(err.message, "needs the column 'c'"));
    assert_int_equal(soma__encoding_read(&x, e, write_file("n,c\nmuch,u\n"), &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "'n' holds the text 'much'"));
    assert_int_equal(soma__encoding_read(&x, e, write_file("1,2,3,4\n"), &err), SOMA_SHAPE);

    /* Labels keep the numbers that they had in training. */
    soma_dataset *labelled;
    assert_int_equal(soma__encoding_open(&labelled, e, write_file("c,n,y\nu,1,yes\n"), NULL,
                                         SOMA__TARGET_CLASSES, &err),
                     SOMA_OK);
    assert_int_equal(soma__dataset_label(labelled, 0), 1);
    assert_int_equal(soma_dataset_class_count(labelled), 2);
    soma_dataset_release(labelled);
    assert_int_equal(soma__encoding_open(&labelled, e, write_file("c,n,y\nu,1,maybe\n"), NULL,
                                         SOMA__TARGET_CLASSES, &err),
                     SOMA_INVALID);
    assert_non_null(strstr(err.message, "'maybe', which is none of the 2 classes"));
    remove(write_file(""));
    soma__encoding_release(e);
}

static void damaged_encodings_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "[]",
        "{\"version\":2}",
        "{\"version\":1,\"separator\":\",,\"}",
        "{\"version\":1,\"separator\":\",\",\"names\":[1],\"labels\":[],\"columns\":[]}",
        "{\"version\":1,\"separator\":\",\",\"names\":[],\"labels\":[],\"columns\":[]}",
        "{\"version\":1,\"separator\":\",\",\"names\":[],\"labels\":[],\"columns\":[{}]}",
        "{\"version\":1,\"separator\":\",\",\"names\":[],\"labels\":[],\"columns\":[{\"name\":"
        "\"a\",\"values\":[\"v\",\"u\"]}]}",
        "{\"version\":1,\"separator\":\",\",\"names\":[],\"labels\":[],\"columns\":[{\"name\":"
        "\"a\",\"values\":[\"u\"],\"fill\":1}]}",
        "{\"version\":1,\"separator\":\",\",\"names\":[],\"labels\":[],\"columns\":[{\"name\":"
        "\"a\",\"fill\":\"x\"}]}",
    };
    soma__encoding *e;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_not_equal(soma__encoding_parse(&e, texts[i], "m", NULL), SOMA_OK);
}

static void real_tables_open(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int train, test, features, classes;
    } want[] = {
        {"wine", 142, 36, 13, 3},
        {"wine-quality", 3918, 980, 11, 0},
        {"wine-quality-red", 1279, 320, 11, 0},
        {"california-housing", 16512, 4128, 13, 0},
        {"german-credit", 800, 200, 61, 2},
        {"banknote", 1098, 274, 4, 2},
        {"abalone", 3342, 835, 10, 0},
    };
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        soma_data d;
        soma_error err = {0};
        if (soma_data_open(&d, want[i].name, NULL, &err) == SOMA_NOT_FOUND) {
            printf("skipped: no %s under SOMA_DATA\n", want[i].name);
            continue;
        }
        if (!d.train)
            fail_msg("%s", err.message);
        assert_int_equal(soma_dataset_count(d.train), want[i].train);
        assert_int_equal(soma_dataset_count(d.test), want[i].test);
        assert_int_equal(soma_dataset_x_shape(d.train)->dim[0], want[i].features);
        assert_int_equal(soma_dataset_class_count(d.train), want[i].classes);
        soma_data_clear(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gaps_are_refused_or_filled),
        cmocka_unit_test(columns_have_roles),
        cmocka_unit_test(binary_targets_are_0_and_1),
        cmocka_unit_test(only_training_rows_are_fitted),
        cmocka_unit_test(encodings_read_other_files),
        cmocka_unit_test(damaged_encodings_are_refused),
        cmocka_unit_test(real_tables_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
