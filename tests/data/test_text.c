/* Data sets of text: rows of files, how they become samples, and windows over one text. */
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
#include "support/door.h"

#define must(call_)                                                                                \
    do {                                                                                           \
        soma_error fault = {0};                                                                    \
        if ((call_) != SOMA_OK)                                                                    \
            fail_msg("%s: %s", #call_, fault.message);                                             \
    } while (0)

static char folder[] = "/tmp/soma-text-XXXXXX";

static int setup(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return rmdir(folder);
}

/* A file in the folder; `path` has room for its name. */
static const char *file(char path[64], const char *name, const char *text)
{
    snprintf(path, 64, "%s/%s", folder, name);
    must(soma__file_write(path, text, strlen(text), &fault));
    return path;
}

static void sample_is(const soma_dataset *d, int64_t i, const float *x, int64_t label)
{
    float got[16];
    int64_t y;
    must(soma_dataset_read(d, &i, 1, got, &y, &fault));
    assert_memory_equal(got, x, (size_t)soma_dataset_x_shape(d)->dim[0] * sizeof *x);
    assert_int_equal(y, label);
}

static const char rows[] =
    "pos\t1\tgood good film\r\n\nneg\t2\tbad\nneg\t3\t\npos\t4\tgood bad odd\n";

/* Columns, line ends, empty lines and texts, cutting and filling. Ids: <pad> 0, <unk> 1, good 2,
 * bad 3, film 4, odd 5. */
static void rows_become_samples(void **state)
{
    (void)state;
    char path[64];
    soma_data data;
    soma__text_options options = {.length = 2};
    file(path, "rows.tsv", rows);
    must(soma__texts_open(&data, path, NULL, &options, &fault));
    assert_int_equal(soma_dataset_count(data.train), 4);
    assert_string_equal(soma_dataset_class(data.train, 0), "neg");
    must(soma__texts_encode(&data, &fault));
    assert_int_equal(soma_dataset_x_dtype(data.train), SOMA_F32);
    sample_is(data.train, 0, (float[]){2, 2}, 1);
    sample_is(data.train, 1, (float[]){3, 0}, 0);
    sample_is(data.train, 2, (float[]){0, 0}, 0);
    sample_is(data.train, 3, (float[]){2, 3}, 1);
    assert_string_equal(soma_dataset_class(data.train, 1), "pos");
    soma_data_clear(&data);
    options.keep_end = true;
    must(soma__texts_open(&data, path, NULL, &options, &fault));
    must(soma__texts_encode(&data, &fault));
    sample_is(data.train, 0, (float[]){2, 4}, 1);
    sample_is(data.train, 3, (float[]){3, 5}, 1);
    /* Encoded data stays as it is. */
    must(soma__texts_encode(&data, &fault));
    sample_is(data.train, 3, (float[]){3, 5}, 1);
    soma_data_clear(&data);
    unlink(path);
}

/* Parts of one file and a file of its own: the vocabulary is that of the training part only. */
static void parts(void **state)
{
    (void)state;
    char path[64], other[64];
    soma_data data, again;
    const soma__text_options options = {
        .length = 3, .classes = (const char *[]){"no", "yes"}, .class_count = 2};
    file(path, "train.tsv", "0\ta\n1\tb\n0\tc\n1\td\n");
    file(other, "test.tsv", "1\td a\n");
    must(soma__texts_open(&data, path, other, &options, &fault));
    assert_string_equal(soma_dataset_class(data.train, 1), "yes");
    soma_dataset *all = data.train;
    must(soma_dataset_subset(&data.train, all, (int64_t[]){2, 0}, 2, &fault));
    must(soma_dataset_subset(&data.validation, all, (int64_t[]){3}, 1, &fault));
    soma_dataset_release(all);
    must(soma__texts_encode(&data, &fault));
    sample_is(data.train, 0, (float[]){3, 0, 0}, 0);
    sample_is(data.train, 1, (float[]){2, 0, 0}, 0);
    sample_is(data.validation, 0, (float[]){1, 0, 0}, 1);
    sample_is(data.test, 0, (float[]){1, 2, 0}, 1);
    assert_ptr_equal(soma__dataset_whole(data.train), soma__dataset_whole(data.validation));

    /* As the model file keeps it. */
    char *text;
    soma__text_encoding *encoding;
    must(soma__text_encoding_text(&text, soma__dataset_text(data.train), &fault));
    must(soma__text_encoding_parse(&encoding, text, "model", &fault));
    must(soma__texts_open(&again, other, NULL, &(soma__text_options){0}, &fault));
    must(soma__texts_encode_by(&again, encoding, &fault));
    sample_is(again.train, 0, (float[]){1, 2, 0}, 0);
    soma_data_clear(&again);
    soma_data_clear(&data);
    soma__text_encoding_release(encoding);
    soma__free(text);
    unlink(path);
    unlink(other);
}

static void tables(void **state)
{
    (void)state;
    char path[64];
    soma_data data;
    const soma__text_options options = {.length = 2, .text = "text", .label = "stars"};
    file(path, "reviews.csv", "text,stars\n\"good, \"\"good\"\"\",10\nbad,9\n\"bad\nfilm\",9\n");
    must(soma__texts_open(&data, path, NULL, &options, &fault));
    assert_int_equal(soma_dataset_count(data.train), 3);
    assert_string_equal(soma_dataset_class(data.train, 0), "9");
    must(soma__texts_encode(&data, &fault));
    assert_int_equal(soma_dataset_class_count(data.train), 2);
    soma_data_clear(&data);
    unlink(path);
    file(path, "named.tsv", "stars\ttext\n2\tbad\n1\tgood\n");
    must(soma__texts_open(&data, path, NULL, &options, &fault));
    assert_int_equal(soma_dataset_count(data.train), 2);
    assert_int_equal(soma__dataset_label(data.train, 0), 1);
    soma_data_clear(&data);
    unlink(path);
}

static void wrong_files(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *label;
        soma_status status;
        const char *message;
    } bad[] = {
        {"a.tsv", "", NULL, SOMA_FORMAT, "has no rows"},
        {"a.tsv", "\n\n", NULL, SOMA_FORMAT, "has no rows"},
        {"a.tsv", "0\tx\n1\n", "1", SOMA_FORMAT, "a.tsv:2: has no field 1"},
        {"a.tsv", "0\tx\n", "2", SOMA_FORMAT, "a.tsv:1: has no field 2"},
        {"a.tsv", "0\tx\n", "star", SOMA_NOT_FOUND, "no column is named 'star'"},
        {"a.csv", "n,m\n1,2\n", NULL, SOMA_FORMAT, "holds numbers"},
    };
    char path[64];
    soma_data data;
    soma_error err = {0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const soma__text_options options = {.label = bad[i].label};
        file(path, bad[i].name, bad[i].text);
        soma_status status = soma__texts_open(&data, path, NULL, &options, &err);
        if (status != bad[i].status || !strstr(err.message, bad[i].message))
            fail_msg("%zu: status %d, '%s'", i, status, err.message);
        assert_null(data.train);
        unlink(path);
    }
    char other[64];
    file(path, "a.tsv", "0\tx\n");
    file(other, "b.tsv", "1\tx\n");
    assert_int_equal(soma__texts_open(&data, path, other, &(soma__text_options){0}, &err),
                     SOMA_FORMAT);
    assert_non_null(strstr(err.message, "label '1' is not in the training file"));
    /* A tokeniser of a file, and one without <pad>, which cannot fill up. */
    const soma__text_options loaded = {.tokenizer = SOMA_TEST_FOLDER "/golden/text/bpe.json"};
    must(soma__texts_open(&data, path, NULL, &loaded, &fault));
    must(soma__texts_encode(&data, &fault));
    soma_data_clear(&data);
    soma_tokenizer *plain;
    soma__text_encoding encoding_without = {.length = 4};
    must(soma_tokenizer_train(
        &plain, NULL, 0,
        &(soma_tokenizer_options){.kind = SOMA_TOKENIZER_BYTE, .special = SOMA_SPECIAL_NONE},
        &fault));
    encoding_without.tokenizer = plain;
    atomic_init(&encoding_without.references, 1);
    must(soma__texts_open(&data, path, NULL, &loaded, &fault));
    assert_int_equal(soma__texts_encode_by(&data, &encoding_without, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "no padding token"));
    soma_data_clear(&data);
    soma_tokenizer_release(plain);
    soma__text_encoding *encoding;
    assert_int_equal(soma__text_encoding_parse(&encoding, "{\"version\":2}", "m", &err),
                     SOMA_UNSUPPORTED);
    assert_int_equal(soma__text_encoding_parse(&encoding, "{\"version\":1}", "m", &err),
                     SOMA_FORMAT);
    assert_int_equal(soma__text_encoding_parse(&encoding, "[1]", "m", &err), SOMA_FORMAT);
    unlink(path);
    unlink(other);
}

static void window_is(const soma_dataset *d, int64_t i, const float *x, const int64_t *y)
{
    float got[16];
    int64_t next[16];
    size_t length = (size_t)soma_dataset_x_shape(d)->dim[0];
    must(soma_dataset_read(d, &i, 1, got, next, &fault));
    assert_memory_equal(got, x, length * sizeof *x);
    assert_memory_equal(next, y, length * sizeof *y);
}

/* Characters by falling count: <unk> 0, a 1, b 2, c 3. The parts are cut from the end. */
static void windows(void **state)
{
    (void)state;
    char path[64];
    soma_data data, again;
    soma_error err = {0};
    soma__text_options options = {.length = 3};
    file(path, "long.txt", "aaaabbbccabcabxyabca");
    /* Six windows of three are nearly all of twenty characters. */
    assert_int_equal(soma__windows_open(&data, path, &options, 0.5, 6, NULL, &err), SOMA_INVALID);
    must(soma__windows_open(&data, path, &options, 0, 0.3, NULL, &fault));
    assert_int_equal(soma_dataset_count(data.train), 4);
    window_is(data.train, 0, (float[]){1, 1, 1}, (int64_t[]){1, 1, 1});
    window_is(data.train, 3, (float[]){1, 2, 3}, (int64_t[]){2, 3, 1});
    assert_int_equal(soma_dataset_count(data.test), 1);
    window_is(data.test, 0, (float[]){0, 0, 1}, (int64_t[]){0, 1, 2});
    soma__text_encoding *encoding =
        soma__text_encoding_retain((soma__text_encoding *)(uintptr_t)soma__dataset_text(data.test));
    soma_data_clear(&data);
    options.stride = 1;
    must(soma__windows_open(&again, path, &options, 0.5, 0, encoding, &fault));
    assert_int_equal(soma_dataset_count(again.train), 7);
    assert_int_equal(soma_dataset_count(again.validation), 7);
    window_is(again.train, 1, (float[]){1, 1, 1}, (int64_t[]){1, 1, 2});
    soma_data_clear(&again);
    soma__text_encoding_release(encoding);
    options.length = 20;
    assert_int_equal(soma__windows_open(&data, path, &options, 0, 0, NULL, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "20 tokens has no window of 20"));
    assert_null(data.train);
    unlink(path);
}

static char faults_path[64];

static soma_status work(soma_error *err)
{
    soma_data data;
    char *text = NULL;
    SOMA__TRY(soma__texts_open(&data, faults_path, faults_path,
                               &(soma__text_options){.length = 2, .label = "0"}, err));
    soma_status status = soma__texts_encode(&data, err);
    if (status == SOMA_OK)
        status = soma__text_encoding_text(&text, soma__dataset_text(data.test), err);
    soma__free(text);
    soma_data_clear(&data);
    SOMA__TRY(status);
    SOMA__TRY(soma__windows_open(&data, faults_path, &(soma__text_options){.length = 4}, 0.3, 0.3,
                                 NULL, err));
    soma_data_clear(&data);
    return SOMA_OK;
}

static void without_memory(void **state)
{
    (void)state;
    long before = door_live;
    file(faults_path, "faults.tsv", rows);
    door_refuse_each(work, 60, false);
    assert_int_equal(door_live, before);
    unlink(faults_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_become_samples),
        cmocka_unit_test(parts),
        cmocka_unit_test(tables),
        cmocka_unit_test(wrong_files),
        cmocka_unit_test(windows),
        cmocka_unit_test(without_memory),
    };
    if (!SOMA_HAVE_UTF8PROC || !SOMA_HAVE_JANSSON)
        return 77;
    return cmocka_run_group_tests(tests, setup, teardown);
}
