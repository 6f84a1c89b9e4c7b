/* Time series as data sets: windows, parts, gaps, scaling by the past, walk-forward folds. */
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
#include "data/dataset.h"
#include "data/options.h"
#include "data/series.h"
#include "support/door.h"

#define must(call_)                                                                                \
    do {                                                                                           \
        soma_error fault = {0};                                                                    \
        if ((call_) != SOMA_OK)                                                                    \
            fail_msg("%s: %s", #call_, fault.message);                                             \
    } while (0)

static char folder[] = "/tmp/soma-series-XXXXXX", path[64];

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/steps.csv", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void write_text(const char *text)
{
    must(soma__file_write(path, text, strlen(text), &fault));
}

/* Steps 0, 1, 2, …: "other" is ten times the step, "y" the step; `gap` has no y (-1: none). */
static void write_steps(int count, int gap)
{
    char text[4096] = "day,other,y\n";
    for (int t = 0; t < count; t++) {
        size_t n = strlen(text);
        if (t == gap)
            snprintf(text + n, sizeof text - n, "d%d,%d,NA\n", t, 10 * t);
        else
            snprintf(text + n, sizeof text - n, "d%d,%d,%d\n", t, 10 * t, t);
    }
    write_text(text);
}

static const char *const other[] = {"other"};

/* Sample i of `d`: its first and last step, its first target. */
static void window_is(const soma_dataset *d, int64_t i, float first, float last, float next)
{
    float x[64], y[16];
    const soma_shape *shape = soma_dataset_x_shape(d);
    must(soma_dataset_read(d, &i, 1, x, y, &fault));
    assert_true(x[0] == first);
    assert_true(x[(shape->dim[0] - 1) * shape->dim[1]] == last);
    assert_true(y[0] == next);
}

static void windows(void **state)
{
    (void)state;
    soma_data data;
    float y[2];
    const soma__series_options options = {
        .columns = {other, 1}, .length = 3, .horizon = 2, .cycle = {4}, .cycles = 1};
    write_steps(12, -1);
    must(soma__series_open(&data, path, &options, 0, 0, NULL, &fault));
    assert_int_equal(soma_dataset_count(data.train), 8);
    assert_int_equal(soma_dataset_x_shape(data.train)->dim[1], 4);
    float all[12];
    must(soma_dataset_read(data.train, (int64_t[]){1}, 1, all, y, &fault));
    /* Step 1: itself, the covariate, a quarter of the cycle. */
    assert_true(all[0] == 1 && all[1] == 10);
    assert_true(fabsf(all[2] - 1) < 1e-6F && fabsf(all[3]) < 1e-6F);
    assert_true(y[0] == 4 && y[1] == 5);
    assert_null(data.validation);
    assert_null(data.test);
    soma_data_clear(&data);

    const soma__series_options wide = {.label = "other", .length = 4, .stride = 5};
    must(soma__series_open(&data, path, &wide, 0, 0, NULL, &fault));
    assert_int_equal(soma_dataset_count(data.train), 2);
    window_is(data.train, 1, 50, 80, 90);
    soma_data_clear(&data);
}

/* Targets lie in their own part; what a window looks back on may lie before it. */
static void parts(void **state)
{
    (void)state;
    soma_data data, again;
    const soma__series_options options = {.length = 3, .horizon = 2, .season = 2};
    float naive[2];
    write_steps(20, -1);
    must(soma__series_open(&data, path, &options, 0.25, 0.2, NULL, &fault));
    /* 20 steps: 12 to learn from, 4 for validation, 4 for the test. */
    assert_int_equal(soma_dataset_count(data.train), 8);
    assert_int_equal(soma_dataset_count(data.validation), 3);
    assert_int_equal(soma_dataset_count(data.test), 3);
    window_is(data.train, 7, 7, 9, 10);
    window_is(data.validation, 0, 9, 11, 12);
    window_is(data.validation, 2, 11, 13, 14);
    window_is(data.test, 0, 13, 15, 16);
    window_is(data.test, 2, 15, 17, 18);
    /* y(t) - y(t - 2) is 2 everywhere. */
    assert_true(fabs(soma__dataset_series(data.test)->scale - 2) < 1e-12);
    soma__series_naive(data.test, 0, naive);
    assert_true(naive[0] == 14 && naive[1] == 15);

    /* As the model file keeps it, and other files by it. */
    char *text;
    soma__series_encoding *encoding;
    soma_dataset *whole;
    soma_tensor *last;
    must(soma__series_encoding_text(&text, soma__dataset_series(data.train), &fault));
    must(soma__series_encoding_parse(&encoding, text, "model", &fault));
    soma__free(text);
    assert_string_equal(encoding->options.label, "y");
    must(soma__series_open(&again, path, &(soma__series_options){0}, 0, 0.2, encoding, &fault));
    assert_int_equal(soma_dataset_count(again.test), 3);
    window_is(again.test, 0, 13, 15, 16);
    soma_data_clear(&again);
    must(soma__series_read(&whole, path, encoding, &fault));
    assert_int_equal(soma_dataset_count(whole), 16);
    soma__series_naive(whole, 0, naive);
    assert_true(naive[0] == 1 && naive[1] == 2);
    soma_dataset_release(whole);
    must(soma__series_last(&last, path, encoding, &fault));
    assert_int_equal(soma_tensor_count(last), 3);
    assert_true(soma_tensor_get(last, 2) == 19);
    soma_tensor_release(last);
    soma__series_encoding_release(encoding);
    soma_data_clear(&data);
}

/* The scaling of the inputs and MASE's scale know nothing of what comes after the training part. */
static void fitted_on_the_past(void **state)
{
    (void)state;
    soma_data data[2];
    soma_tensor *shift[2], *scale[2];
    char text[1024] = "";
    const soma__series_options options = {.length = 2};
    for (int k = 0; k < 2; k++) {
        text[0] = 0;
        for (int t = 0; t < 20; t++)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%d\n",
                     t < 12 || k == 0 ? t * t : 1000000 * t);
        write_text(text);
        must(soma__series_open(&data[k], path, &options, 4, 4, NULL, &fault));
        must(soma_scaling_fit(&shift[k], &scale[k], data[k].train, SOMA_SCALE_STANDARD, &fault));
    }
    assert_true(soma_tensor_get(shift[0], 0) == soma_tensor_get(shift[1], 0));
    assert_true(soma_tensor_get(scale[0], 0) == soma_tensor_get(scale[1], 0));
    assert_true(soma__dataset_series(data[0].train)->scale ==
                soma__dataset_series(data[1].train)->scale);
    for (int k = 0; k < 2; k++) {
        soma_tensor_release(shift[k]);
        soma_tensor_release(scale[k]);
        soma_data_clear(&data[k]);
    }
}

static void gaps(void **state)
{
    (void)state;
    soma_data data;
    soma__series_options options = {.length = 3};
    write_steps(12, 6);
    /* Steps 0 to 11 without 6: windows at 0, 1, 2 end before it, those at 7, 8 begin after it. */
    options.gaps = SOMA__GAPS_DROP;
    must(soma__series_open(&data, path, &options, 0, 0, NULL, &fault));
    assert_int_equal(soma_dataset_count(data.train), 5);
    window_is(data.train, 2, 2, 4, 5);
    window_is(data.train, 3, 7, 9, 10);
    soma_data_clear(&data);
    /* Only the window whose target it is goes. */
    options.gaps = SOMA__GAPS_PREVIOUS;
    must(soma__series_open(&data, path, &options, 0, 0, NULL, &fault));
    assert_int_equal(soma_dataset_count(data.train), 8);
    window_is(data.train, 3, 4, 5, 7);
    soma_data_clear(&data);
    /* Nothing is before the first step. */
    write_steps(12, 0);
    must(soma__series_open(&data, path, &options, 0, 0, NULL, &fault));
    assert_int_equal(soma_dataset_count(data.train), 8);
    soma_data_clear(&data);
}

/* Fold i learns from the first i + 1 of the stretches and is tested on the next. */
static void walks_forward(void **state)
{
    (void)state;
    const soma__series_options options = {.length = 2};
    const float first[3] = {6, 12, 18};
    write_steps(30, -1);
    for (int fold = 0; fold < 3; fold++) {
        soma_data data;
        bool done;
        must(soma__series_open(&data, path, &options, 0, 6, NULL, &fault));
        must(soma__series_fold(&data, 3, fold, fold ? 2 : 0, &done, &fault));
        assert_true(done);
        assert_int_equal(soma_dataset_count(data.test), 6);
        window_is(data.test, 0, first[fold] - 2, first[fold] - 1, first[fold]);
        assert_int_equal(soma_dataset_count(data.train), fold ? 6 * (fold + 1) - 4 : 4);
        assert_true(!data.validation == !fold);
        soma_data_clear(&data);
    }
}

static void refusals(void **state)
{
    (void)state;
    const struct {
        int steps, gap;
        soma__series_options options;
        double validation, test;
        const char *message;
    } cases[] = {
        {5, -1, {.length = 4, .horizon = 2}, 0, 0, "has 5 steps, a window there needs 6"},
        {20, -1, {.length = 4, .horizon = 5}, 0, 0.2, "the test part has 4 steps, a window there"},
        {20, -1, {.length = 4, .horizon = 3}, 0.1, 0.2, "the validation part has 2 steps"},
        {20, -1, {.length = 4, .season = 16}, 0, 0.2, "a season of 16 steps is longer than"},
        {20, 3, {.length = 4}, 0, 0, "column 'y' has no value in data row 4"},
        {6, 3, {.length = 4, .gaps = SOMA__GAPS_DROP}, 0, 0, "touches a gap"},
        {6, -1, {.label = "day"}, 0, 0, "holds texts"},
        {6, -1, {.label = "z"}, 0, 0, "z"},
        {6, -1, {.columns = {(const char *const[]){"price"}, 1}}, 0, 0, "price"},
        {20, -1, {.length = 4}, 0, 1e15, "the training part, which has 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        soma_data data;
        soma_error err = {0};
        write_steps(cases[i].steps, cases[i].gap);
        soma_status status = soma__series_open(&data, path, &cases[i].options, cases[i].validation,
                                               cases[i].test, NULL, &err);
        if (status == SOMA_OK || !strstr(err.message, cases[i].message))
            fail_msg("%zu: status %d, '%s'", i, status, err.message);
    }
    /* A file that is shorter than what the model looks back over, or ends in a gap. */
    soma__series_encoding *encoding;
    soma_tensor *last;
    soma_error err = {0};
    must(soma__series_encoding_parse(
        &encoding,
        "{\"version\":1,\"label\":\"y\",\"names\":[],\"columns\":[],\"length\":4,\"horizon\":1,"
        "\"season\":1,\"stride\":1,\"gaps\":1,\"scale\":null,\"cycles\":[]}",
        "model", &fault));
    assert_true(isnan(encoding->scale));
    write_steps(3, -1);
    assert_int_equal(soma__series_last(&last, path, encoding, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "has 3 steps, the model looks back over 4"));
    err = (soma_error){0};
    write_steps(8, 7);
    assert_int_equal(soma__series_last(&last, path, encoding, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "have a gap"));
    soma__series_encoding_release(encoding);
}

static void damaged_descriptions(void **state)
{
    (void)state;
    const char *texts[] = {
        "[]",
        "{\"version\":2}",
        "{\"version\":1}",
        "{\"version\":1,\"label\":7}",
        "{\"version\":1,\"label\":\"y\",\"names\":[7]}",
        "{\"version\":1,\"label\":\"y\",\"names\":[],\"columns\":[],\"length\":0}",
        "{\"version\":1,\"label\":\"y\",\"names\":[],\"columns\":[],\"length\":4,\"horizon\":1,"
        "\"season\":1,\"stride\":1,\"gaps\":3,\"scale\":1,\"cycles\":[]}",
        "{\"version\":1,\"label\":\"y\",\"names\":[],\"columns\":[],\"length\":4,\"horizon\":1,"
        "\"season\":1,\"stride\":1,\"gaps\":0,\"scale\":1,\"cycles\":[-1]}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        soma__series_encoding *encoding;
        soma_error err = {0};
        soma_status status = soma__series_encoding_parse(&encoding, texts[i], "model", &err);
        if (status != SOMA_FORMAT && status != SOMA_UNSUPPORTED)
            fail_msg("%zu: status %d, '%s'", i, status, err.message);
        assert_null(encoding);
    }
}

static soma_status work(soma_error *err)
{
    const soma__series_options options = {.columns = {other, 1}, .length = 3};
    soma_data data;
    char *text = NULL;
    bool done;
    soma__series_encoding *encoding = NULL;
    SOMA__TRY(soma__series_open(&data, path, &options, 0.2, 0.2, NULL, err));
    soma_status status = soma__series_fold(&data, 2, 1, 0.2, &done, err);
    if (status == SOMA_OK)
        status = soma__series_encoding_text(&text, soma__dataset_series(data.train), err);
    if (status == SOMA_OK)
        status = soma__series_encoding_parse(&encoding, text, "model", err);
    soma__free(text);
    soma__series_encoding_release(encoding);
    soma_data_clear(&data);
    return status;
}

static void without_memory(void **state)
{
    (void)state;
    write_steps(40, -1);
    long before = door_live;
    door_refuse_each(work, 30, false);
    assert_int_equal(door_live, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows),        cmocka_unit_test(parts),
        cmocka_unit_test(gaps),           cmocka_unit_test(fitted_on_the_past),
        cmocka_unit_test(walks_forward),  cmocka_unit_test(refusals),
        cmocka_unit_test(without_memory), cmocka_unit_test(damaged_descriptions),
    };
    return cmocka_run_group_tests_name("series", tests, setup, teardown);
}
