/* IDX: every element type there and back, and everything that can be wrong with a file. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "format/gzip.h"
#include "format/idx.h"

static soma_status parse(const void *bytes, size_t size, soma_error *err)
{
    soma_tensor *tensor;
    soma_status status = soma__idx_parse(&tensor, bytes, size, "t.idx", err);
    if (status != SOMA_OK)
        assert_null(tensor);
    soma_tensor_release(tensor);
    return status;
}

static void reads_each_type_big_endian(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        soma_dtype dtype;
        double first, second;
    } cases[] = {
        {"\0\0\x08\1\0\0\0\2\xff\1", 10, SOMA_U8, 255, 1},
        {"\0\0\x09\1\0\0\0\2\xff\1", 10, SOMA_I8, -1, 1},
        {"\0\0\x0b\1\0\0\0\2\xff\xfe\1\2", 12, SOMA_I32, -2, 258},
        {"\0\0\x0c\1\0\0\0\2\xff\xff\xff\xfe\0\1\0\0", 16, SOMA_I32, -2, 65536},
        {"\0\0\x0d\1\0\0\0\2\x3f\x80\0\0\xc0\0\0\0", 16, SOMA_F32, 1, -2},
        {"\0\0\x0e\1\0\0\0\2\x3f\xf0\0\0\0\0\0\0\xc0\0\0\0\0\0\0\0", 24, SOMA_F64, 1, -2},
    };
    soma_error err = {0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        soma_tensor *t;
        assert_ok(soma__idx_parse(&t, cases[i].bytes, cases[i].size, "case", &err), err);
        assert_int_equal(soma_tensor_dtype(t), cases[i].dtype);
        assert_int_equal(soma_tensor_count(t), 2);
        assert_true(soma_tensor_get(t, 0) == cases[i].first);
        assert_true(soma_tensor_get(t, 1) == cases[i].second);
        soma_tensor_release(t);
        every_truncation(parse, cases[i].bytes, cases[i].size, false);
        every_flip(parse, cases[i].bytes, cases[i].size);
    }
}

static void writes_what_it_reads(void **state)
{
    static const soma_dtype dtypes[] = {SOMA_U8, SOMA_I8, SOMA_I32, SOMA_F32, SOMA_F64};
#if defined(SOMA_HAVE_ZLIB) && SOMA_HAVE_ZLIB
    static const char *const names[] = {"t.idx", "t.idx.gz"};
#else
    static const char *const names[] = {"t.idx"};
#endif
    soma_error err = {0};
    (void)state;
    for (size_t d = 0; d < sizeof dtypes / sizeof dtypes[0]; d++)
        for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
            soma_tensor *a, *b;
            assert_ok(soma_tensor_create(&a, dtypes[d], SOMA_SHAPE(5, 41, 7), &err), err);
            for (int64_t i = 0; i < soma_tensor_count(a); i++)
                soma_tensor_set(a, i, (double)(i % 120));
            assert_ok(soma__idx_write(scratch(names[n]), a, &err), err);
            assert_ok(soma__idx_read(&b, scratch(names[n]), &err), err);
            assert_int_equal(soma_tensor_dtype(b), dtypes[d]);
            assert_true(soma_shape_equal(soma_tensor_shape(a), soma_tensor_shape(b)));
            assert_memory_equal(soma_tensor_const_data(a), soma_tensor_const_data(b),
                                soma_tensor_bytes(a));
            soma_tensor_release(a);
            soma_tensor_release(b);
        }
}

static void refuses_to_write_what_idx_lacks(void **state)
{
    soma_error err = {0};
    soma_tensor *t;
    (void)state;
    assert_ok(soma_tensor_create(&t, SOMA_I64, SOMA_SHAPE(2), &err), err);
    assert_int_equal(soma__idx_write(scratch("x.idx"), t, &err), SOMA_DTYPE);
    soma_tensor_release(t);
    assert_ok(soma_tensor_create(&t, SOMA_F32, SOMA_SCALAR, &err), err);
    assert_int_equal(soma__idx_write(scratch("x.idx"), t, &err), SOMA_SHAPE);
    soma_tensor_release(t);
}

static void refuses_bad_headers(void **state)
{
    soma_error err = {0};
    soma_tensor *t;
    (void)state;
    expect_failure(parse, "", 0, SOMA_FORMAT, "empty");
    expect_failure(parse, "\x89PNG\r\n\x1a\n", 8, SOMA_FORMAT, "not an IDX file");
    expect_failure(parse, "\0\0\x0a\1\0\0\0\1x", 9, SOMA_FORMAT, "not an IDX file");
    expect_failure(parse, "\0\0\x08\0x", 5, SOMA_FORMAT, "without dimensions");
    expect_failure(parse, "\0\0\x08\x09", 4, SOMA_UNSUPPORTED, "9 dimensions");
    expect_failure(parse, "\0\0\x08\1\0\0\0\3xy", 10, SOMA_FORMAT, "promises [3]");
    expect_failure(parse, "\0\0\x08\1\0\0\0\1xy", 10, SOMA_FORMAT, "follow");
    /* 2^96 bytes, and 2^64 + 0 bytes: the product must not wrap around. */
    expect_failure(parse, "\0\0\x08\3\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16,
                   SOMA_FORMAT, "promises");
    expect_failure(parse, "\0\0\x0e\2\x80\0\0\0\x40\0\0\0", 12, SOMA_FORMAT, "promises");
    assert_int_equal(soma__idx_read(&t, scratch("is-not-there"), &err), SOMA_IO);
    assert_non_null(strstr(err.message, "is-not-there"));
}

static void accepts_an_empty_dimension(void **state)
{
    soma_error err = {0};
    soma_tensor *t;
    (void)state;
    assert_ok(soma__idx_parse(&t, "\0\0\x08\2\0\0\0\0\0\0\0\5", 12, "empty", &err), err);
    assert_int_equal(soma_tensor_count(t), 0);
    soma_tensor_release(t);
}

#if defined(SOMA_HAVE_ZLIB) && SOMA_HAVE_ZLIB
static void gzip_of(soma__text *out, const void *bytes, size_t size)
{
    soma_error err = {0};
    *out = (soma__text){0};
    assert_ok(soma__gzip(out, bytes, size, &err), err);
}

static void refuses_damaged_gzip(void **state)
{
    static const char plain[] = "\0\0\x08\2\0\0\0\3\0\0\0\4abcdefghijkl";
    const size_t size = sizeof plain - 1;
    soma__text packed;
    (void)state;
    gzip_of(&packed, plain, size);
    assert_int_equal(parse(packed.data, packed.length, NULL), SOMA_OK);
    every_truncation(parse, packed.data, packed.length, false);
    /* Nothing depends on the header's time, hints and system (48 bits), on its flag "this may be
     * text", and on up to seven bits that fill the last byte. All others are noticed. */
    size_t accepted = every_flip(parse, packed.data, packed.length);
    assert_in_range(accepted, 49, 56);
    soma__text_append(&packed, "x", 1);
    expect_failure(parse, packed.data, packed.length, SOMA_FORMAT, "follows the end");
    soma__text_free(&packed);

    gzip_of(&packed, plain, size - 1);
    expect_failure(parse, packed.data, packed.length, SOMA_FORMAT, "too early");
    soma__text_free(&packed);
    gzip_of(&packed, plain, size + 1);
    expect_failure(parse, packed.data, packed.length, SOMA_FORMAT, "more data");
    soma__text_free(&packed);
    gzip_of(&packed, "", 0);
    expect_failure(parse, packed.data, packed.length, SOMA_FORMAT, "too early");
    soma__text_free(&packed);
}

static void inflates_no_more_than_promised(void **state)
{
    /* 16 MiB of zeros behind a header that promises 4 bytes, and a header that promises 1 TiB. */
    const size_t big = (size_t)16 << 20;
    char *plain = calloc(1, big);
    soma__text packed;
    (void)state;
    assert_non_null(plain);
    memcpy(plain, "\0\0\x08\1\0\0\0\4", 8);
    gzip_of(&packed, plain, big);
    expect_failure(parse, packed.data, packed.length, SOMA_FORMAT, "more data");
    soma__text_free(&packed);
    memcpy(plain, "\0\0\x08\2\0\x10\0\0\0\x10\0\0", 12);
    gzip_of(&packed, plain, 1000);
    expect_failure(parse, packed.data, packed.length, SOMA_FORMAT, "promises");
    soma__text_free(&packed);
    free(plain);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_each_type_big_endian),
        cmocka_unit_test(refuses_to_write_what_idx_lacks),
        cmocka_unit_test(refuses_bad_headers),
        cmocka_unit_test(accepts_an_empty_dimension),
        cmocka_unit_test(writes_what_it_reads),
#if defined(SOMA_HAVE_ZLIB) && SOMA_HAVE_ZLIB
        cmocka_unit_test(refuses_damaged_gzip),
        cmocka_unit_test(inflates_no_more_than_promised),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
