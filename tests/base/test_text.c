/* Growing strings, number readers, suggestions and numbers for people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

static void strings_grow(void **state)
{
    (void)state;
    soma__text text = {0};
    for (int i = 0; i < 500; i++)
        soma__text_add(&text, "%d,", i);
    char filler[1000];
    memset(filler, 'y', sizeof filler);
    filler[999] = '\0';
    soma__text_add(&text, "%s|", filler);
    soma__text_append(&text, "a\0b", 3);
    assert_false(text.failed);
    size_t length = text.length;
    char *out;
    assert_int_equal(soma__text_take(&text, &out, NULL), SOMA_OK);
    assert_null(text.data);
    assert_memory_equal(out, "0,1,2,3,", 8);
    assert_memory_equal(out + length - 4, "|a\0b", 5);
    soma__free(out);

    assert_int_equal(soma__text_take(&text, &out, NULL), SOMA_OK);
    assert_string_equal(out, "");
    soma__free(out);
}

static void failure_sticks(void **state)
{
    (void)state;
    soma__text text = {0};
    soma__text_add(&text, "begun");
    soma__text_append(&text, "x", SIZE_MAX - 2);
    assert_true(text.failed);
    soma__text_add(&text, "more");
    char *out;
    soma_error err = {0};
    assert_int_equal(soma__text_take(&text, &out, &err), SOMA_MEMORY);
    assert_null(text.data);
    assert_false(text.failed);
}

static void whole_numbers(void **state)
{
    (void)state;
    int64_t n;
    assert_true(soma__parse_int("-9223372036854775808", &n) && n == INT64_MIN);
    assert_true(soma__parse_int("9223372036854775807", &n) && n == INT64_MAX);
    assert_true(soma__parse_int("+007", &n) && n == 7);
    assert_true(soma__parse_int("-0", &n) && n == 0);
    const char *const bad[] = {"",
                               "-",
                               "+",
                               " 1",
                               "1 ",
                               "1.0",
                               "1e3",
                               "0x",
                               "--1",
                               "12a",
                               "９",
                               "9223372036854775808",
                               "-9223372036854775809"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(soma__parse_int(bad[i], &n));
}

static void check_floats(void)
{
    double x;
    assert_true(soma__parse_float("0.1", &x) && x == 0.1);
    assert_true(soma__parse_float("-.5e-3", &x) && x == -.5e-3);
    assert_true(soma__parse_float("7.", &x) && x == 7);
    assert_true(soma__parse_float("1E+2", &x) && x == 100);
    assert_true(soma__parse_float("-INF", &x) && isinf(x) && x < 0);
    assert_true(soma__parse_float("NaN", &x) && isnan(x));
    assert_true(soma__parse_float("1e-400", &x) && x == 0);
    assert_true(soma__parse_float("4.9e-324", &x) && x > 0);
    const char *const bad[] = {"",    ".",     "e5",   "1e",    "1e+",    " 1", "1 ",
                               "0,5", "0x1p3", "1.5x", "1e999", "nan(1)", "+-1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(soma__parse_float(bad[i], &x));
}

static void numbers_do_not_follow_the_locale(void **state)
{
    (void)state;
    check_floats();
    const char *const locales[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "fr_FR"};
    const char *set = NULL;
    for (size_t i = 0; i < 4 && !set; i++)
        set = setlocale(LC_ALL, locales[i]);
    /* On a machine without such a locale this repeats the C locale, which is harmless. */
    check_floats();
    soma__text text = {0};
    soma__text_add(&text, "%.2f", 1.25);
    assert_string_equal(text.data, "1.25");
    soma__text_free(&text);
    if (set) {
        char own[16];
        snprintf(own, sizeof own, "%.2f", 1.25);
        assert_string_equal(own, "1,25"); /* and the program's own locale is as it was */
    }
    setlocale(LC_ALL, "C");
}

static void suggestions(void **state)
{
    (void)state;
    const char *const names[] = {"epochs", "batch", "learning_rate", "lr", "conv2d", "relu"};
    assert_string_equal(soma__nearest("epoch", names, 6), "epochs");
    assert_string_equal(soma__nearest("Epochs", names, 6), "epochs");
    assert_string_equal(soma__nearest("leraning_rate", names, 6), "learning_rate");
    assert_string_equal(soma__nearest("conv", names, 6), "conv2d");
    assert_string_equal(soma__nearest("rl", names, 6), "lr");
    assert_string_equal(soma__nearest("relu", names, 6), "relu");
    assert_null(soma__nearest("xyz", names, 6));
    assert_null(soma__nearest("q", names, 6));
    assert_null(soma__nearest("", names, 6));
    assert_null(soma__nearest("epoch", names, 0));
    char longest[200];
    memset(longest, 'e', sizeof longest);
    longest[199] = '\0';
    assert_null(soma__nearest(longest, names, 6));
    const char *const long_names[] = {longest, NULL, ""};
    assert_null(soma__nearest("epoch", long_names, 3));
}

static void numbers_for_people(void **state)
{
    (void)state;
    char b[40];
    assert_string_equal(soma__format_count(0, b, sizeof b), "0");
    assert_string_equal(soma__format_count(999, b, sizeof b), "999");
    assert_string_equal(soma__format_count(1199882, b, sizeof b), "1,199,882");
    assert_string_equal(soma__format_count(-1000, b, sizeof b), "-1,000");
    assert_string_equal(soma__format_count(-100, b, sizeof b), "-100");
    assert_string_equal(soma__format_count(INT64_MIN, b, sizeof b), "-9,223,372,036,854,775,808");
    assert_string_equal(soma__format_count(1199882, b, 4), "1,1");
    assert_string_equal(soma__format_bytes(0, b, sizeof b), "0 B");
    assert_string_equal(soma__format_bytes(999, b, sizeof b), "999 B");
    assert_string_equal(soma__format_bytes(999.7, b, sizeof b), "1.0 kB");
    assert_string_equal(soma__format_bytes(4.6e6, b, sizeof b), "4.6 MB");
    assert_string_equal(soma__format_bytes(999999999, b, sizeof b), "1.0 GB");
    assert_string_equal(soma__format_duration(0, b, sizeof b), "0 us");
    assert_string_equal(soma__format_duration(0.0123, b, sizeof b), "12 ms");
    assert_string_equal(soma__format_duration(12.34, b, sizeof b), "12.3 s");
    assert_string_equal(soma__format_duration(59.99, b, sizeof b), "1m 00s");
    assert_string_equal(soma__format_duration(3725, b, sizeof b), "1h 02m");
    assert_string_equal(soma__format_duration(200000, b, sizeof b), "2d 07h");
    assert_string_equal(soma__format_duration(-1, b, sizeof b), "?");
    assert_string_equal(soma__format_duration((double)NAN, b, sizeof b), "?");
}

static void hashes(void **state)
{
    (void)state;
    /* Published values of FNV-1a. */
    assert_true(soma__hash(SOMA__HASH_SEED, "", 0) == UINT64_C(0xcbf29ce484222325));
    assert_true(soma__hash(SOMA__HASH_SEED, "a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(soma__hash(SOMA__HASH_SEED, "foobar", 6) == UINT64_C(0x85944171f73967e8));
    uint64_t half = soma__hash(SOMA__HASH_SEED, "foo", 3);
    assert_true(soma__hash(half, "bar", 3) == UINT64_C(0x85944171f73967e8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_grow),  cmocka_unit_test(failure_sticks),
        cmocka_unit_test(whole_numbers), cmocka_unit_test(numbers_do_not_follow_the_locale),
        cmocka_unit_test(suggestions),   cmocka_unit_test(numbers_for_people),
        cmocka_unit_test(hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
