/* UTF-8 of any bytes, Unicode classes, NFC, and the places in the original. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "format/utf8.h"
#include "support.h"
#include "text/normalize.h"
#include "text/unicode.h"

/* Tables 3-8 to 3-11 of the Unicode standard, and ends of text within a code point. */
static void subparts(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *lengths;
    } cases[] = {
        {"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", "111111111"},
        {"\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", "111111111"},
        {"\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", "111111111"},
        {"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", "21321"},
        {"\xf4\x8f\xbf\xbf\xf4\x90\x80\xe0\xa0", "41112"},
        {"\xf0\x90\x80", "3"},
        {"\xf5\xc3\xa9\xc1\xc3", "1211"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size = strlen(cases[i].bytes), at = 0;
        for (const char *l = cases[i].lengths; *l; l++) {
            uint32_t code;
            assert_int_equal(soma__utf8_step(cases[i].bytes + at, size - at, &code), *l - '0');
            size_t good = soma__utf8_next(cases[i].bytes + at, size - at, NULL);
            assert_true(good ? code != SOMA__UTF8_REPLACEMENT : code == SOMA__UTF8_REPLACEMENT);
            at += (size_t)(*l - '0');
        }
        assert_int_equal(at, size);
        assert_int_equal(soma__utf8_step(cases[i].bytes + at, 0, NULL), 0);
    }
}

static void normalized_is(const char *text, size_t size, bool nfc, bool lowercase,
                          const char *expected)
{
    char *out;
    size_t out_size;
    soma_error err = {0};
    if (soma_text_normalize(&out, &out_size, (soma_text){text, size}, nfc, lowercase, &err) !=
        SOMA_OK)
        fail_msg("%s", err.message);
    assert_string_equal(out, expected);
    assert_int_equal(out_size, strlen(expected));
    soma_text_free(out);
}

static void replaced(void **state)
{
    (void)state;
    normalized_is("a\xe1\x80z\xff", 5, false, false, "a\xef\xbf\xbdz\xef\xbf\xbd");
    normalized_is("", 0, false, false, "");
    normalized_is(NULL, 0, false, false, "");
}

static void without_library(void **state)
{
    (void)state;
    soma_error err = {0};
    char *out;
    soma_status status = soma_text_normalize(&out, NULL, text_of("A"), false, true, &err);
    assert_int_equal(status, SOMA_HAVE_UTF8PROC ? SOMA_OK : SOMA_UNSUPPORTED);
    soma_text_free(out);
}

static void composed(void **state)
{
    (void)state;
    if (!have_unicode())
        return;
    normalized_is("cafe\xcc\x81", 6, true, false, "caf\xc3\xa9");
    normalized_is("E\xcc\x81", 3, true, true, "\xc3\xa9");
    /* Two marks in the wrong order; a mark after a line end stays by itself. */
    normalized_is("q\xcc\x87\xcc\xa3", 5, true, false, "q\xcc\xa3\xcc\x87");
    normalized_is("\n\xcc\x81", 3, true, false, "\n\xcc\x81");
    /* Jamo become a syllable, the angstrom sign a letter, an excluded letter stays apart. */
    normalized_is("\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", 9, true, false, "\xea\xb0\x81");
    normalized_is("\xe2\x84\xab", 3, true, false, "\xc3\x85");
    normalized_is("\xe0\xa5\x98", 3, true, false, "\xe0\xa4\x95\xe0\xa4\xbc");
    normalized_is("\xc4\xb0\xce\xa3", 4, false, true, "i\xcc\x87\xcf\x83");
}

static void origin_is(const soma__normal *n, int64_t start, int64_t end, int64_t from, int64_t to)
{
    soma__normal_origin(n, &start, &end);
    assert_int_equal(start, from);
    assert_int_equal(end, to);
}

static void origins(void **state)
{
    (void)state;
    if (!have_unicode())
        return;
    soma__normal n = {0};
    /* "Xcafe´ y" with a space before it: " xcafé y" */
    assert_int_equal(soma__normal_make(&n, text_of("Xcafe\xcc\x81 y"), true, true, true, NULL),
                     SOMA_OK);
    assert_int_equal(n.text.length, 9);
    assert_memory_equal(n.text.data, " xcaf\xc3\xa9 y", 9);
    origin_is(&n, 0, 1, 0, 0);
    origin_is(&n, 0, 2, 0, 1);
    origin_is(&n, 1, 5, 0, 4);
    origin_is(&n, 5, 7, 4, 7);
    origin_is(&n, 6, 8, 4, 8);
    origin_is(&n, 7, 9, 7, 9);
    soma__normal_clear(&n);
}

static void classes(void **state)
{
    (void)state;
    static const struct {
        uint32_t code;
        soma__class class;
        bool word;
    } cases[] = {
        {'a', SOMA__CLASS_LETTER, true},      {'7', SOMA__CLASS_NUMBER, true},
        {'_', SOMA__CLASS_PUNCTUATION, true}, {'+', SOMA__CLASS_SYMBOL, false},
        {' ', SOMA__CLASS_SPACE, false},      {0x1f, SOMA__CLASS_OTHER, false},
        {0xe9, SOMA__CLASS_LETTER, true},     {0xbd, SOMA__CLASS_NUMBER, false},
        {0x2167, SOMA__CLASS_NUMBER, true},   {0x85, SOMA__CLASS_SPACE, false},
        {0x200b, SOMA__CLASS_OTHER, false},   {0x200d, SOMA__CLASS_OTHER, true},
        {0x301, SOMA__CLASS_OTHER, true},     {0x20ac, SOMA__CLASS_SYMBOL, false},
        {0x24d0, SOMA__CLASS_SYMBOL, true},   {0x3002, SOMA__CLASS_PUNCTUATION, false},
        {0x10ffff, SOMA__CLASS_OTHER, false},
    };
    if (!have_unicode())
        return;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(soma__unicode_class(cases[i].code), cases[i].class);
        assert_int_equal(soma__unicode_is_word(cases[i].code), cases[i].word);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subparts), cmocka_unit_test(replaced), cmocka_unit_test(without_library),
        cmocka_unit_test(composed), cmocka_unit_test(origins),  cmocka_unit_test(classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
