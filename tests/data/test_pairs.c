/* Pairs of texts as samples: framing, padding, parts without common sources, what is refused. */
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
#include "data/text.h"

static char path[] = "/tmp/soma-pairs-XXXXXX";

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
}

static const soma__text_options words = {
    .tokenizer = "word", .length = 4, .target_length = 3, .min_count = 1};

static void framed_and_filled_up(void **state)
{
    (void)state;
    soma_data data;
    float x[7];
    int64_t y[3];
    write_file("a b\tc d e f\n\nb\tc\tnote\r\na b c d e\te\n");
    assert_int_equal(soma__pairs_open(&data, path, &words, 0, 0, NULL, NULL), SOMA_OK);
    assert_int_equal(soma_dataset_count(data.train), 3);
    assert_null(data.validation);
    assert_null(data.test);
    soma_tokenizer *t = soma__dataset_text(data.train)->tokenizer;
    const float pad = 0, bos = (float)soma_tokenizer_special(t, SOMA_SPECIAL_BOS),
                eos = (float)soma_tokenizer_special(t, SOMA_SPECIAL_EOS);
    float id[6];
    for (int i = 0; i < 6; i++)
        id[i] = (float)soma_tokenizer_find(t, (soma_text){&"abcdef"[i], 1});
    /* A target that is too long is cut and has no end. */
    const struct {
        float x[7], y[3];
    } want[] = {
        {{id[0], id[1], eos, pad, bos, id[2], id[3]}, {id[2], id[3], id[4]}},
        {{id[1], eos, pad, pad, bos, id[2], pad}, {id[2], eos, -1}},
        {{id[0], id[1], id[2], id[3], bos, id[4], pad}, {id[4], eos, -1}},
    };
    for (int64_t i = 0; i < 3; i++) {
        assert_int_equal(soma_dataset_read(data.train, &i, 1, x, y, NULL), SOMA_OK);
        assert_memory_equal(x, want[i].x, sizeof x);
        for (int k = 0; k < 3; k++)
            assert_int_equal(y[k], (int64_t)want[i].y[k]);
    }
    /* As the model file keeps it, and for sources alone. */
    char *text;
    soma__text_encoding *again;
    soma_tensor *sources;
    assert_int_equal(soma__text_encoding_text(&text, soma__dataset_text(data.train), NULL),
                     SOMA_OK);
    assert_int_equal(soma__text_encoding_parse(&again, text, "meta", NULL), SOMA_OK);
    assert_int_equal(again->target, 3);
    assert_int_equal(
        soma__pair_sources(&sources, (const soma_text[]){{"b", 1}, {"", 0}}, 2, again, NULL),
        SOMA_OK);
    const float both[8] = {id[1], eos, pad, pad, eos, pad, pad, pad};
    assert_memory_equal(soma_tensor_const_data(sources), both, sizeof both);
    soma_tensor_release(sources);
    soma__text_encoding_release(again);
    soma_free(text);
    soma_data_clear(&data);
}

static void no_source_is_in_two_parts(void **state)
{
    (void)state;
    static char text[40000];
    soma_data data;
    int at = 0;
    for (int i = 0; i < 600; i++) /* each source twice */
        at += snprintf(text + at, sizeof text - (size_t)at, "w%d\tt%d\n", i % 300, i);
    write_file(text);
    /* By share, and by a number of lines that is met about. */
    for (int round = 0; round < 2; round++) {
        assert_int_equal(
            soma__pairs_open(&data, path, &words, round ? 120 : 0.2, round ? 60 : 0.1, NULL, NULL),
            SOMA_OK);
        const soma_dataset *parts[] = {data.train, data.validation, data.test};
        const int64_t least[] = {350, 80, 30}, most[] = {480, 170, 100};
        int64_t all = 0;
        for (int p = 0; p < 3; p++) {
            const int64_t count = soma_dataset_count(parts[p]);
            assert_true(count >= least[p] && count <= most[p]);
            assert_int_equal(count % 2, 0); /* both lines of a source are in one part */
            all += count;
        }
        assert_int_equal(all, 600);
        soma_data_clear(&data);
    }
}

static void what_is_no_pair_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {{"a\tb\nno tab\n", ":2: a line is a text, a tab"},
                 {"\tb\n", ":1:"},
                 {"a\t\n", ":1:"},
                 {"", "has no pairs"}};
    soma_data data;
    soma_error err = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_file(cases[i].text);
        assert_int_equal(soma__pairs_open(&data, path, &words, 0, 0, NULL, &err), SOMA_FORMAT);
        assert_non_null(strstr(err.message, cases[i].message));
    }
    /* An encoding of single texts. */
    soma_tokenizer *t;
    soma__text_encoding *single;
    const soma_text some = {"a b", 3};
    assert_int_equal(soma_tokenizer_train(&t, &some, 1, NULL, NULL), SOMA_OK);
    assert_int_equal(soma__text_encoding_new(&single, t, 4, false, 0, NULL), SOMA_OK);
    write_file("a\tb\n");
    assert_int_equal(soma__pairs_open(&data, path, &words, 0, 0, single, &err), SOMA_INVALID);
    single->target = 3; /* and a tokeniser that cannot frame */
    assert_int_equal(soma__pairs_open(&data, path, &words, 0, 0, single, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "<bos>"));
    soma__text_encoding_release(single);
}

static int make_file(void **state)
{
    (void)state;
    int file = mkstemp(path);
    return file < 0 ? -1 : close(file);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(framed_and_filled_up),
        cmocka_unit_test(no_source_is_in_two_parts),
        cmocka_unit_test(what_is_no_pair_is_refused),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
