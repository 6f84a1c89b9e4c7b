/* PNG there and back, every kind of PNG that libpng can write, damage, and resizing. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "format/image.h"

static soma_tensor *image(int64_t height, int64_t width, int64_t channels)
{
    soma_error err = {0};
    soma_tensor *t;
    assert_ok(soma_tensor_create(&t, SOMA_U8, SOMA_SHAPE(height, width, channels), &err), err);
    uint8_t *p = soma_tensor_data(t);
    for (int64_t i = 0; i < soma_tensor_count(t); i++)
        p[i] = (uint8_t)(i * 37 + 11);
    return t;
}

static void resizes(void **state)
{
    soma_error err = {0};
    soma_tensor *a = image(7, 5, 3), *b;
    (void)state;
    /* The same size is the same image; a flat image stays flat at any size. */
    assert_ok(soma__image_resize(&b, a, 7, 5, &err), err);
    assert_memory_equal(soma_tensor_const_data(a), soma_tensor_const_data(b), 105);
    soma_tensor_release(b);
    soma_tensor_fill(a, 201);
    for (int64_t h = 1; h < 30; h += 3)
        for (int64_t w = 1; w < 30; w += 4) {
            assert_ok(soma__image_resize(&b, a, h, w, &err), err);
            for (int64_t i = 0; i < soma_tensor_count(b); i++)
                assert_int_equal((int)soma_tensor_get(b, i), 201);
            soma_tensor_release(b);
        }
    soma_tensor_release(a);

    /* By hand: two pixels to four put a quarter of the way between; half the size is a triangle
     * over four pixels with weights 1 3 3 1, cut off at the borders. */
    assert_ok(soma_tensor_from(&a, SOMA_U8, SOMA_SHAPE(1, 2), "\x00\x64", &err), err);
    assert_ok(soma__image_resize(&b, a, 1, 4, &err), err);
    assert_memory_equal(soma_tensor_const_data(b), "\x00\x19\x4b\x64", 4);
    soma_tensor_release(a);
    soma_tensor_release(b);
    assert_ok(soma_tensor_from(&a, SOMA_U8, SOMA_SHAPE(1, 4, 1), "\x00\x00\x70\x00", &err), err);
    assert_ok(soma__image_resize(&b, a, 1, 2, &err), err);
    assert_memory_equal(soma_tensor_const_data(b), "\x10\x30", 2);
    soma_tensor_release(b);
    assert_int_equal(soma__image_resize(&b, a, 0, 4, &err), SOMA_SHAPE);
    assert_null(b);
    assert_int_equal(soma__image_resize(&b, a, 4, 1000000, &err), SOMA_SHAPE);
    soma_tensor_release(a);
    assert_ok(soma_tensor_create(&a, SOMA_F32, SOMA_SHAPE(2, 2), &err), err);
    assert_int_equal(soma__image_resize(&b, a, 4, 4, &err), SOMA_DTYPE);
    soma_tensor_release(a);
}

#if defined(SOMA_HAVE_PNG) && SOMA_HAVE_PNG
#include <png.h>

static soma_status parse(const void *bytes, size_t size, soma_error *err)
{
    soma_tensor *t;
    soma_status status = soma__png_parse(&t, bytes, size, "t.png", 0, err);
    if (status != SOMA_OK)
        assert_null(t);
    soma_tensor_release(t);
    return status;
}

static void keeps_pixels(void **state)
{
    soma_error err = {0};
    (void)state;
    for (int channels = 1; channels <= 3; channels += 2) {
        soma_tensor *a = image(9, 13, channels), *b;
        assert_ok(soma__png_write(scratch("a.png"), a, &err), err);
        assert_ok(soma__png_read(&b, scratch("a.png"), 0, &err), err);
        assert_true(soma_shape_equal(soma_tensor_shape(a), soma_tensor_shape(b)));
        assert_memory_equal(soma_tensor_const_data(a), soma_tensor_const_data(b),
                            soma_tensor_bytes(a));
        soma_tensor_release(b);
        assert_ok(soma__png_read(&b, scratch("a.png"), 4 - channels, &err), err);
        const uint8_t *from = soma_tensor_const_data(a), *to = soma_tensor_const_data(b);
        assert_int_equal(soma_tensor_count(b), 9 * 13 * (4 - channels));
        for (int i = 0; i < 9 * 13; i++) {
            if (channels == 1)
                assert_true(to[3 * i] == from[i] && to[3 * i + 2] == from[i]);
            else
                assert_int_equal(to[i], (299 * from[3 * i] + 587 * from[3 * i + 1] +
                                         114 * from[3 * i + 2] + 500) /
                                            1000);
        }
        soma_tensor_release(a);
        soma_tensor_release(b);
    }
}

typedef struct kind {
    int depth, type, channels;
    const char *row; /* two pixels, twice */
    const char *expected;
} kind;

static void to_text(png_structp png, png_bytep data, size_t size)
{
    soma__text_append(png_get_io_ptr(png), data, size);
}

static void no_flush(png_structp png)
{
    (void)png;
}

/* Two rows of the same two pixels, written by libpng itself. */
static void write_kind(soma__text *out, const kind *k, int interlace)
{
    static const png_color colours[2] = {{10, 20, 30}, {200, 100, 50}};
    static const png_byte opacity[2] = {255, 0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_bytep rows[2] = {(png_bytep)(uintptr_t)k->row, (png_bytep)(uintptr_t)k->row};
    assert_non_null(info);
    if (setjmp(png_jmpbuf(png)))
        fail();
    png_set_write_fn(png, out, to_text, no_flush);
    png_set_IHDR(png, info, 2, 2, k->depth, k->type, interlace, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    if (k->type == PNG_COLOR_TYPE_PALETTE) {
        png_set_PLTE(png, info, colours, 2);
        png_set_tRNS(png, info, opacity, 2, NULL);
    }
    png_write_info(png, info);
    png_write_image(png, rows);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
}

static void reads_every_kind(void **state)
{
    static const kind kinds[] = {
        {1, PNG_COLOR_TYPE_GRAY, 1, "\x40", "\x00\xff"},
        {2, PNG_COLOR_TYPE_GRAY, 1, "\x60", "\x55\xaa"},
        {4, PNG_COLOR_TYPE_GRAY, 1, "\x1e", "\x11\xee"},
        {8, PNG_COLOR_TYPE_GRAY, 1, "\x01\xfe", "\x01\xfe"},
        {16, PNG_COLOR_TYPE_GRAY, 1, "\x12\x34\xff\xff", "\x12\xff"},
        {8, PNG_COLOR_TYPE_GRAY_ALPHA, 1, "\x50\xff\x50\x00", "\x50\xff"},
        {16, PNG_COLOR_TYPE_GRAY_ALPHA, 1, "\x50\x50\xff\xff\x50\x50\0\0", "\x50\xff"},
        {8, PNG_COLOR_TYPE_RGB, 3, "abcdef", "abcdef"},
        {16, PNG_COLOR_TYPE_RGB, 3, "aabbccddeeff", "abcdef"},
        {8, PNG_COLOR_TYPE_RGB_ALPHA, 3,
         "abc\xff"
         "def\x00",
         "abc\xff\xff\xff"},
        {1, PNG_COLOR_TYPE_PALETTE, 3, "\x40", "\x0a\x14\x1e\xff\xff\xff"},
        {8, PNG_COLOR_TYPE_PALETTE, 3, "\x01\x00", "\xff\xff\xff\x0a\x14\x1e"},
    };
    soma_error err = {0};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        for (int interlace = PNG_INTERLACE_NONE; interlace <= PNG_INTERLACE_ADAM7; interlace++) {
            soma__text file = {0};
            soma_tensor *t;
            size_t row = 2 * (size_t)kinds[i].channels;
            write_kind(&file, &kinds[i], interlace);
            assert_ok(soma__png_parse(&t, file.data, file.length, "kind", 0, &err), err);
            assert_int_equal(soma_tensor_bytes(t), 2 * row);
            assert_memory_equal(soma_tensor_const_data(t), kinds[i].expected, row);
            assert_memory_equal((const char *)soma_tensor_const_data(t) + row, kinds[i].expected,
                                row);
            soma_tensor_release(t);
            every_truncation(parse, file.data, file.length, false);
            every_flip(parse, file.data, file.length);
            soma__text_free(&file);
        }
}

static void refuses_bad_files(void **state)
{
    soma_error err = {0};
    soma_tensor *t = image(4, 4, 1), *u;
    soma__text file = {0};
    (void)state;
    assert_ok(soma__png_encode(&file, soma_tensor_const_data(t), 4, 4, 1, &err), err);
    every_truncation(parse, file.data, file.length, false);
    /* Every chunk has a checksum; what is left are the case bits of chunk names, where there are
     * none here that matter. */
    assert_int_equal(every_flip(parse, file.data, file.length), 0);
    expect_failure(parse, "", 0, SOMA_FORMAT, "empty");
    expect_failure(parse, "GIF89a..........", 16, SOMA_FORMAT, "not a PNG");
    assert_int_equal(soma__png_parse(&u, file.data, file.length, "t", 2, &err), SOMA_INVALID);
    assert_int_equal(soma__png_read(&u, scratch("nothing.png"), 0, &err), SOMA_IO);
    soma_tensor_release(t);
    soma__text_free(&file);

    /* Headers that promise too much: 16385 pixels, and 2^28 of them in a file of 33 bytes. */
    static const char wide[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x40\x01\0\0\0\1\x8\0\0\0\0";
    unsigned char head[33 + 12] = {0};
    for (int i = 0; i < 2; i++) {
        memcpy(head, wide, sizeof wide - 1);
        if (i)
            memcpy(head + 16, "\0\0\x40\0\0\0\x40\0", 8);
        uint32_t crc = 0xffffffff;
        for (int k = 12; k < 29; k++) {
            crc ^= head[k];
            for (int bit = 0; bit < 8; bit++)
                crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
        }
        crc = ~crc;
        for (int k = 0; k < 4; k++)
            head[29 + k] = (unsigned char)(crc >> (24 - 8 * k));
        memcpy(head + 33, "\0\0\0\0IDAT\x35\xaf\x06\x1e", 12);
        if (i)
            expect_failure(parse, head, sizeof head, SOMA_FORMAT, "cannot hold");
        else
            expect_failure(parse, head, sizeof head, SOMA_UNSUPPORTED, "16384");
    }
}

static void refuses_to_write_no_image(void **state)
{
    soma_error err = {0};
    soma_tensor *t = image(4, 4, 2);
    (void)state;
    assert_int_equal(soma__png_write(scratch("x.png"), t, &err), SOMA_SHAPE);
    soma_tensor_release(t);
    assert_ok(soma_tensor_create(&t, SOMA_U8, SOMA_SHAPE(3), &err), err);
    assert_int_equal(soma__png_write(scratch("x.png"), t, &err), SOMA_SHAPE);
    soma_tensor_release(t);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resizes),
#if defined(SOMA_HAVE_PNG) && SOMA_HAVE_PNG
        cmocka_unit_test(keeps_pixels),
        cmocka_unit_test(reads_every_kind),
        cmocka_unit_test(refuses_bad_files),
        cmocka_unit_test(refuses_to_write_no_image),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
