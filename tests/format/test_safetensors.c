/* Model files: round trips, the strictness of the reference reader, and the checksum that notices
 * every flipped bit. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "format/safetensors.h"
#include "format/xxh64.h"

static soma_status parse(const void *bytes, size_t size, soma_error *err)
{
    soma__archive a = {0};
    soma_status status = soma__archive_parse(&a, bytes, size, "t.safetensors", err);
    if (status != SOMA_OK)
        assert_true(a.count == 0 && a.meta_count == 0 && !a.entries);
    soma__archive_clear(&a);
    return status;
}

/* A file of a header and `data` bytes of zeros, as another tool might write it. */
static void *build(size_t *size, const char *header, size_t data)
{
    uint64_t length = strlen(header);
    char *file = calloc(1, 8 + length + data + 1);
    assert_non_null(file);
    memcpy(file, &length, 8);
    memcpy(file + 8, header, length);
    *size = 8 + length + data;
    return file;
}

static void fails(const char *header, size_t data, soma_status code, const char *part)
{
    size_t size;
    void *file = build(&size, header, data);
    expect_failure(parse, file, size, code, part);
    free(file);
}

static void passes(const char *header, size_t data)
{
    size_t size;
    void *file = build(&size, header, data);
    soma_error err = {0};
    assert_ok(parse(file, size, &err), err);
    free(file);
}

static void add(soma__archive *a, const char *name, soma_dtype dtype, soma_shape shape)
{
    soma_error err = {0};
    soma_tensor *t;
    assert_ok(soma_tensor_create(&t, dtype, shape, &err), err);
    for (int64_t i = 0; i < soma_tensor_count(t); i++)
        soma_tensor_set(t, i, dtype == SOMA_BOOL ? (double)(i & 1) : (double)i - 1);
    assert_ok(soma__archive_add(a, name, t, &err), err);
    soma_tensor_release(t);
}

static void small_archive(soma__archive *a)
{
    soma_error err = {0};
    *a = (soma__archive){0};
    add(a, "flags", SOMA_BOOL, SOMA_SHAPE(3));
    add(a, "fc.weight", SOMA_F32, SOMA_SHAPE(2, 2));
    assert_ok(soma__archive_set_meta(a, "note", "a \"q\" \\ \n \x01 \xc3\xa9", &err), err);
}

static void keeps_everything(void **state)
{
    static const soma_dtype dtypes[] = {
#define DTYPE(name_, value_, size_, text_) SOMA_##name_,
        SOMA_DTYPE_LIST(DTYPE)
#undef DTYPE
    };
    const size_t count = sizeof dtypes / sizeof dtypes[0];
    soma__archive a = {0}, b = {0};
    soma_error err = {0};
    (void)state;
    for (size_t i = 0; i < count; i++)
        add(&a, soma_dtype_text(dtypes[i]), dtypes[i], SOMA_SHAPE(3, 5));
    add(&a, "scalar", SOMA_F32, SOMA_SCALAR);
    add(&a, "empty", SOMA_F64, SOMA_SHAPE(4, 0));
    add(&a, "na\"me/\xe2\x82\xac\x1f", SOMA_U8, SOMA_SHAPE(1));
    assert_ok(soma__archive_set_meta(&a, "k", "old", &err), err);
    assert_ok(soma__archive_set_meta(&a, "recipe", "line\n\ttab \"x\"", &err), err);
    assert_ok(soma__archive_set_meta(&a, "k", "new", &err), err);
    assert_ok(soma__archive_write(&a, scratch("all.safetensors"), &err), err);
    assert_ok(soma__archive_read(&b, scratch("all.safetensors"), &err), err);
    assert_int_equal(b.count, a.count);
    for (size_t i = 0; i < a.count; i++) {
        const soma_tensor *x = a.entries[i].tensor;
        const soma_tensor *y = soma__archive_find(&b, a.entries[i].name);
        assert_non_null(y);
        assert_int_equal(soma_tensor_dtype(x), soma_tensor_dtype(y));
        assert_true(soma_shape_equal(soma_tensor_shape(x), soma_tensor_shape(y)));
        assert_memory_equal(soma_tensor_const_data(x), soma_tensor_const_data(y),
                            soma_tensor_bytes(x));
    }
    assert_int_equal(b.meta_count, 2);
    assert_string_equal(b.meta[0].key, "k");
    assert_string_equal(soma__archive_meta(&b, "k"), "new");
    assert_string_equal(soma__archive_meta(&b, "recipe"), "line\n\ttab \"x\"");
    assert_null(soma__archive_meta(&b, "soma.xxh64"));
    assert_null(soma__archive_find(&b, "nothing"));

    /* Larger elements come first, else the order of addition stays; writing again gives the same
     * bytes. */
    assert_string_equal(b.entries[0].name, "f64");
    assert_string_equal(b.entries[1].name, "i64");
    assert_string_equal(b.entries[2].name, "empty");
    size_t size_1, size_2;
    assert_ok(soma__archive_write(&b, scratch("again.safetensors"), &err), err);
    void *file_1 = slurp(scratch("all.safetensors"), &size_1);
    void *file_2 = slurp(scratch("again.safetensors"), &size_2);
    assert_int_equal(size_1, size_2);
    assert_memory_equal(file_1, file_2, size_1);
    uint64_t header;
    memcpy(&header, file_1, 8);
    assert_int_equal(header % 8, 0);
    free(file_1);
    free(file_2);
    soma__archive_clear(&a);
    soma__archive_clear(&b);
}

static void notices_every_flip_and_truncation(void **state)
{
    soma__archive a;
    soma_error err = {0};
    size_t size;
    char *file;
    (void)state;
    small_archive(&a);
    assert_ok(soma__archive_write(&a, scratch("small.safetensors"), &err), err);
    soma__archive_clear(&a);
    file = slurp(scratch("small.safetensors"), &size);
    assert_int_equal(parse(file, size, NULL), SOMA_OK);
    every_truncation(parse, file, size, false);
    assert_int_equal(every_flip(parse, file, size), 0);

    /* Swapped data, and a header without the checksum, whose length stays right. */
    file[size - 1] ^= 1, file[size - 2] ^= 1;
    expect_failure(parse, file, size, SOMA_FORMAT, "damaged");
    file[size - 1] ^= 1, file[size - 2] ^= 1;
    char *key = strstr(file + 8, "\"soma.xxh64\"");
    assert_non_null(key);
    memcpy(key, "\"some.other\"", 12);
    expect_failure(parse, file, size, SOMA_FORMAT, "checksum is missing");
    free(file);
}

#define T(name_, dtype_, shape_, begin_, end_)                                                     \
    "\"" name_ "\":{\"dtype\":\"" dtype_ "\",\"shape\":" shape_ ",\"data_offsets\":[" begin_       \
    "," end_ "]}"

static void reads_files_of_others(void **state)
{
    soma__archive a = {0};
    soma_error err = {0};
    size_t size;
    unsigned char *file;
    (void)state;
    passes("{}", 0);
    passes("{}    ", 0);
    passes("{\"__metadata__\":{}}", 0);
    passes("{\"__metadata__\":{\"format\":\"pt\"}, " T("a", "F32", "[1]", "0", "4") " }\n", 4);
    /* The entries need not stand in the order of their data. */
    passes("{" T("b", "F32", "[1]", "4", "8") "," T("a", "I32", "[1]", "0", "4") "}", 8);
    passes("{" T("e", "F32", "[0]", "4", "4") "," T("a", "I32", "[]", "0", "4") "}", 4);
    file = build(&size, "{" T("b\\u00e9\\ud83d\\ude00", "BOOL", "[2]", "0", "2") "}", 2);
    file[size - 1] = 7;
    assert_ok(soma__archive_parse(&a, file, size, "t", &err), err);
    assert_string_equal(a.entries[0].name, "b\xc3\xa9\xf0\x9f\x98\x80");
    assert_int_equal(((const unsigned char *)soma_tensor_const_data(a.entries[0].tensor))[1], 1);
    soma__archive_clear(&a);
    free(file);
}

static void refuses_bad_files(void **state)
{
    soma__archive a = {0};
    soma_error err = {0};
    (void)state;
    expect_failure(parse, "", 0, SOMA_FORMAT, "too few");
    expect_failure(parse, "\0\0\0\0\0\0\0", 7, SOMA_FORMAT, "too few");
    expect_failure(parse, "\x89PNG\r\n\x1a\n1234", 12, SOMA_FORMAT, "not a safetensors file");
    expect_failure(parse, "\0\xe1\xf5\5\0\0\0\0{}", 10, SOMA_FORMAT, "cut short");
    expect_failure(parse, "\1\xe1\xf5\5\0\0\0\0{}", 10, SOMA_FORMAT, "beyond the limit");
    expect_failure(parse, "\0\0\0\0\0\0\0\0", 8, SOMA_FORMAT, "'{'");
    fails(" {}", 0, SOMA_FORMAT, "'{'");
    fails("{} x", 0, SOMA_FORMAT, "follows");
    fails("{", 0, SOMA_FORMAT, "expected");
    fails("{\"a", 0, SOMA_FORMAT, "does not end");
    fails("{\"a\\q\"}", 0, SOMA_FORMAT, "escape");
    fails("{\"a\\ud800\"}", 0, SOMA_FORMAT, "escape");
    fails("{\"a\\u0000\"}", 0, SOMA_FORMAT, "escape");
    fails("{\"a\xff\"}", 0, SOMA_FORMAT, "UTF-8");
    fails("{\"a\":1}", 0, SOMA_FORMAT, "expected '{'");
    fails("{\"a\":{\"dtype\":\"F32\"}}", 0, SOMA_FORMAT, "lacks");
    fails("{\"a\":{\"colour\":\"F32\"}}", 0, SOMA_FORMAT, "unknown");
    fails("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 0, SOMA_FORMAT, "repeated");
    fails("{" T("a", "F33", "[1]", "0", "4") "}", 4, SOMA_UNSUPPORTED, "'F33'");
    fails("{" T("a", "F32", "[1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4, SOMA_UNSUPPORTED,
          "dimensions");
    fails("{" T("a", "F32", "[-1]", "0", "4") "}", 4, SOMA_FORMAT, "plain digits");
    fails("{" T("a", "F32", "[1.0]", "0", "4") "}", 4, SOMA_FORMAT, "expected");
    fails("{" T("a", "F32", "[01]", "0", "4") "}", 4, SOMA_FORMAT, "plain digits");
    fails("{" T("a", "F32", "[99999999999999999999]", "0", "4") "}", 4, SOMA_FORMAT, "too large");
    fails("{" T("a", "F32", "[1]", "0", "4") "}", 3, SOMA_FORMAT, "cut short");
    fails("{" T("a", "F32", "[1]", "0", "4") "}", 5, SOMA_FORMAT, "longer");
    fails("{" T("a", "F32", "[1]", "4", "0") "}", 4, SOMA_FORMAT, "expected it to begin at 0");
    fails("{" T("a", "F32", "[2]", "0", "4") "}", 4, SOMA_FORMAT, "do not fit");
    fails("{" T("a", "U8", "[4294967296,4294967296]", "0", "0") "}", 0, SOMA_FORMAT, "do not fit");
    fails("{" T("a", "F32", "[1]", "0", "4") "," T("b", "F32", "[1]", "2", "6") "}", 6, SOMA_FORMAT,
          "begin at 4");
    fails("{" T("a", "F32", "[1]", "0", "4") "," T("b", "F32", "[1]", "5", "9") "}", 9, SOMA_FORMAT,
          "begin at 4");
    fails("{" T("a", "U8", "[1]", "0", "1") "," T("a", "U8", "[1]", "1", "2") "}", 2, SOMA_FORMAT,
          "two tensors");
    fails("{" T("", "U8", "[1]", "0", "1") "}", 1, SOMA_FORMAT, "name");
    fails("{\"__metadata__\":{\"a\":1}}", 0, SOMA_FORMAT, "expected '\"'");
    fails("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, SOMA_FORMAT, "repeated");
    fails("{\"__metadata__\":{},\"__metadata__\":{}}", 0, SOMA_FORMAT, "repeated");
    fails("{\"__metadata__\":{\"soma.format\":\"1\"}}", 0, SOMA_FORMAT, "missing");
    fails("{\"__metadata__\":{\"soma.format\":\"2\"}}", 0, SOMA_UNSUPPORTED, "newer");
    fails("{\"__metadata__\":{\"soma.xxh64\":\"1\"}}", 0, SOMA_FORMAT, "malformed");
    fails("{\"__metadata__\":{\"soma.xxh64\":\"0123456789abcdef\"}}", 0, SOMA_FORMAT,
          "checksum is");
    assert_int_equal(soma__archive_read(&a, scratch("nothing"), &err), SOMA_IO);
}

static void refuses_bad_additions(void **state)
{
    soma__archive a;
    soma_error err = {0};
    (void)state;
    small_archive(&a);
    soma_tensor *t = a.entries[0].tensor;
    assert_int_equal(soma__archive_add(&a, "flags", t, &err), SOMA_INVALID);
    assert_int_equal(soma__archive_add(&a, "", t, &err), SOMA_INVALID);
    assert_int_equal(soma__archive_add(&a, "__metadata__", t, &err), SOMA_INVALID);
    assert_int_equal(soma__archive_add(&a, "\xff", t, &err), SOMA_INVALID);
    assert_int_equal(soma__archive_set_meta(&a, "soma.format", "1", &err), SOMA_INVALID);
    assert_int_equal(soma__archive_set_meta(&a, "x", "\xc0\x80", &err), SOMA_INVALID);
    assert_int_equal(a.count, 2);
    assert_int_equal(soma__archive_write(&a, scratch("no/such/folder/x"), &err), SOMA_IO);
    soma__archive_clear(&a);
}

static void many_names_are_found(void **state)
{
    soma__archive a = {0};
    soma_error err = {0};
    soma_tensor *t;
    char name[32];
    (void)state;
    assert_ok(soma_tensor_create(&t, SOMA_U8, SOMA_SHAPE(1), &err), err);
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "layer.%d", i);
        assert_ok(soma__archive_add(&a, name, t, &err), err);
        assert_ok(soma__archive_set_meta(&a, name, name, &err), err);
    }
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "layer.%d", i);
        assert_ptr_equal(soma__archive_find(&a, name), t);
        assert_string_equal(soma__archive_meta(&a, name), name);
    }
    soma_tensor_release(t);
    soma__archive_clear(&a);
}

static void checksum_is_xxh64(void **state)
{
    /* The first three are published; the last one is that of the reference library. */
    soma__xxh64 hash;
    (void)state;
    soma__xxh64_start(&hash);
    assert_true(soma__xxh64_end(&hash) == UINT64_C(0xef46db3751d8e999));
    soma__xxh64_add(&hash, "a", 1);
    assert_true(soma__xxh64_end(&hash) == UINT64_C(0xd24ec4f1a98c6e5b));
    soma__xxh64_add(&hash, "bc", 2);
    assert_true(soma__xxh64_end(&hash) == UINT64_C(0x44bc2cf5ad770999));
    unsigned char bytes[101];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)i;
    for (size_t part = 1; part <= sizeof bytes; part++) {
        soma__xxh64_start(&hash);
        for (size_t at = 0; at < sizeof bytes; at += part)
            soma__xxh64_add(&hash, bytes + at, part < sizeof bytes - at ? part : sizeof bytes - at);
        assert_true(soma__xxh64_end(&hash) == UINT64_C(0xe99038495f85381e));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_everything),
        cmocka_unit_test(notices_every_flip_and_truncation),
        cmocka_unit_test(reads_files_of_others),
        cmocka_unit_test(refuses_bad_files),
        cmocka_unit_test(refuses_bad_additions),
        cmocka_unit_test(many_names_are_found),
        cmocka_unit_test(checksum_is_xxh64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
