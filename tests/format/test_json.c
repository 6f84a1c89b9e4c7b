/* JSON: reading is strict, writing always gives text that reads back the same. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/json.h"
#include "format/utf8.h"

static void writes_numbers(void **state)
{
    static const struct {
        double number;
        const char *text;
    } cases[] = {
        {0, "0.0"},
        {1, "1.0"},
        {-2.5, "-2.5"},
        {0.1, "0.1"},
        {1e300, "1e+300"},
        {NAN, "null"},
        {-INFINITY, "null"},
        {1.0 / 3, "0.3333333333333333"},
        {0.1 + 0.2, "0.30000000000000004"},
        {123456789012345678.0, "1.2345678901234568e+17"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        soma__text text = {0};
        soma__json_number(&text, cases[i].number);
        assert_string_equal(text.data, cases[i].text);
        soma__text_free(&text);
    }
}

static void escapes_strings(void **state)
{
    soma__text text = {0};
    (void)state;
    soma__json_string(&text, "a\"\\/\n\r\t\x01\x7f\xc3\xa9\xff\xf0\x9f\x98\x80z");
    assert_string_equal(text.data, "\"a\\\"\\\\/\\n\\r\\t\\u0001\\u007f\xc3\xa9\xef\xbf\xbd"
                                   "\xf0\x9f\x98\x80z\"");
    soma__text_free(&text);
}

static void checks_utf8(void **state)
{
    static const char *const good[] = {"",
                                       "a",
                                       "\xc2\x80",
                                       "\xe0\xa0\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf8\x88\x80\x80\x80",
                                      "\xe2\x82",
                                      "\xff"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        uint32_t code = 0;
        char back[4];
        assert_true(soma__utf8_valid(good[i], strlen(good[i])));
        size_t length = soma__utf8_next(good[i], strlen(good[i]), &code);
        if (length) {
            assert_int_equal(soma__utf8_put(code, back), length);
            assert_memory_equal(back, good[i], length);
        }
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(soma__utf8_valid(bad[i], strlen(bad[i])));
}

static void writes_trees(void **state)
{
    soma__tree tree = {0};
    soma__text text = {0};
    (void)state;
    soma__value *map = soma__value_new(&tree, SOMA__MAP),
                *list = soma__value_new(&tree, SOMA__LIST);
    soma__value_append(list, soma__value_int(&tree, -7));
    soma__value_append(list, soma__value_bool(&tree, true));
    soma__value_append(list, soma__value_new(&tree, SOMA__NULL));
    assert_true(soma__value_set(&tree, map, "k", list));
    assert_true(soma__value_set(&tree, map, "e", soma__value_new(&tree, SOMA__MAP)));
    assert_true(soma__value_set(&tree, map, "s", soma__value_string(&tree, "x")));
    soma__json_write(&text, map, 0);
    assert_string_equal(text.data, "{\"k\": [-7, true, null], \"e\": {}, \"s\": \"x\"}");
    soma__text_free(&text);
    soma__json_write(&text, map, 2);
    assert_string_equal(text.data, "{\n  \"k\": [\n    -7,\n    true,\n    null\n  ],\n"
                                   "  \"e\": {},\n  \"s\": \"x\"\n}");
    soma__text_free(&text);
    soma__json_write(&text, NULL, 0);
    assert_string_equal(text.data, "null");
    soma__text_free(&text);
    soma__tree_clear(&tree);
}

#if defined(SOMA_HAVE_JANSSON) && SOMA_HAVE_JANSSON
static soma_status parse(const void *bytes, size_t size, soma_error *err)
{
    soma__tree tree = {0};
    soma_status status = soma__json_parse(&tree, bytes, size, "t.json", err);
    if (status == SOMA_OK) {
        soma__text text = {0};
        assert_non_null(tree.root);
        soma__json_write(&text, tree.root, 0);
        soma__text_free(&text);
    }
    soma__tree_clear(&tree);
    return status;
}

static void reads_what_it_wrote(void **state)
{
    static const char source[] =
        "{\"a\": [1, -2.5, true, false, null, \"t\\u00e9\\n\"], \"b\": {\"c\": {}}, \"d\": 1e-7}";
    soma_error err = {0};
    soma__tree tree = {0};
    soma__text text = {0}, again = {0};
    (void)state;
    assert_ok(soma__json_parse(&tree, source, sizeof source - 1, "t", &err), err);
    assert_int_equal(tree.root->kind, SOMA__MAP);
    assert_int_equal(soma__value_find(tree.root, "a")->count, 6);
    assert_int_equal(soma__value_find(tree.root, "a")->first->integer, 1);
    assert_true(soma__value_find(tree.root, "d")->number == 1e-7);
    soma__json_write(&text, tree.root, 3);
    soma__tree_clear(&tree);
    assert_ok(soma__json_parse(&tree, text.data, text.length, "t", &err), err);
    soma__json_write(&again, tree.root, 3);
    assert_string_equal(text.data, again.data);
    soma__tree_clear(&tree);
    soma__text_free(&text);
    soma__text_free(&again);
    every_truncation(parse, source, sizeof source - 1, false);
    every_flip(parse, source, sizeof source - 1);
}

static void refuses_bad_json(void **state)
{
    char deep[201];
    soma_error err = {0};
    soma__tree tree = {0};
    (void)state;
    expect_failure(parse, "", 0, SOMA_FORMAT, "t.json:1");
    expect_failure(parse, "{\n\"a\":1,\n}", 10, SOMA_FORMAT, "t.json:3");
    expect_failure(parse, "{\"a\":1,\"a\":2}", 13, SOMA_FORMAT, "duplicate");
    expect_failure(parse, "[1] 2", 5, SOMA_FORMAT, "t.json:1");
    expect_failure(parse, "\"\\u0000\"", 8, SOMA_FORMAT, "t.json:1");
    expect_failure(parse, "99999999999999999999", 20, SOMA_FORMAT, "t.json:1");
    expect_failure(parse, "1e999", 5, SOMA_FORMAT, "t.json:1");
    expect_failure(parse, "\"\xff\"", 3, SOMA_FORMAT, "t.json:1");
    expect_failure(parse, "NaN", 3, SOMA_FORMAT, "t.json:1");
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    expect_failure(parse, deep, 200, SOMA_FORMAT, "64 levels");
    assert_int_equal(parse(deep + 36, 128, NULL), SOMA_OK);
    assert_int_equal(soma__json_read(&tree, scratch("nothing"), &err), SOMA_IO);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_numbers),
        cmocka_unit_test(escapes_strings),
        cmocka_unit_test(checks_utf8),
        cmocka_unit_test(writes_trees),
#if defined(SOMA_HAVE_JANSSON) && SOMA_HAVE_JANSSON
        cmocka_unit_test(reads_what_it_wrote),
        cmocka_unit_test(refuses_bad_json),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
