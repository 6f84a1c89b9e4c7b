/* JPEG: what libjpeg wrote comes back, damage is refused, and pictures are brought to a size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "format/jpeg.h"

/* Height 2·width; the value says where a pixel is. */
static soma_tensor *ramp(int64_t height, int64_t width, int64_t channels)
{
    soma_tensor *image;
    assert_int_equal(soma_tensor_create(&image, SOMA_U8, SOMA_SHAPE(height, width, channels), NULL),
                     SOMA_OK);
    uint8_t *p = soma_tensor_data(image);
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++)
            for (int64_t c = 0; c < channels; c++)
                *p++ = (uint8_t)(y * 255 / height);
    return image;
}

static void fit_keeps_proportions_or_stretches(void **state)
{
    (void)state;
    soma_tensor *image = ramp(64, 32, 3), *fitted;
    assert_int_equal(soma__picture_fit(&fitted, image, 16, 16, SOMA__FIT_CROP, NULL), SOMA_OK);
    const soma_shape want = SOMA_SHAPE(16, 16, 3);
    assert_true(soma_shape_equal(soma_tensor_shape(fitted), &want));
    /* The middle half of the height: from a quarter to three quarters. */
    assert_in_range((int)soma_tensor_get(fitted, 0), 60, 72);
    assert_in_range((int)soma_tensor_get(fitted, 16 * 16 * 3 - 1), 180, 192);
    soma_tensor_release(fitted);
    assert_int_equal(soma__picture_fit(&fitted, image, 16, 16, SOMA__FIT_STRETCH, NULL), SOMA_OK);
    assert_in_range((int)soma_tensor_get(fitted, 0), 0, 12);
    soma_tensor_release(fitted);
    /* Sizes that do not divide. */
    assert_int_equal(soma__picture_fit(&fitted, image, 7, 23, SOMA__FIT_CROP, NULL), SOMA_OK);
    const soma_shape odd = SOMA_SHAPE(7, 23, 3);
    assert_true(soma_shape_equal(soma_tensor_shape(fitted), &odd));
    soma_tensor_release(fitted);
    soma_tensor_release(image);
}

static void names_of_pictures(void **state)
{
    (void)state;
    assert_true(soma__picture_name("a.JPG"));
    assert_true(soma__picture_name("a.b.jpeg"));
    assert_true(soma__picture_name("x.png"));
    assert_false(soma__picture_name(".png"));
    assert_false(soma__picture_name("jpg"));
}

#if defined(SOMA_HAVE_JPEG) && SOMA_HAVE_JPEG
#include <jpeglib.h>

static unsigned char *compressed(const soma_tensor *image, unsigned long *size)
{
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    const soma_shape *shape = soma_tensor_shape(image);
    info.err = jpeg_std_error(&errors);
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &bytes, size);
    info.image_height = (JDIMENSION)shape->dim[0];
    info.image_width = (JDIMENSION)shape->dim[1];
    info.input_components = (int)shape->dim[2];
    info.in_color_space = shape->dim[2] == 1   ? JCS_GRAYSCALE
                          : shape->dim[2] == 4 ? JCS_CMYK
                                               : JCS_RGB;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, 95, TRUE);
    jpeg_start_compress(&info, TRUE);
    while (info.next_scanline < info.image_height) {
        JSAMPROW row = (JSAMPROW)(uintptr_t)((const uint8_t *)soma_tensor_const_data(image) +
                                             (size_t)info.next_scanline * info.image_width *
                                                 (size_t)info.input_components);
        jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    return bytes;
}

static void what_was_written_comes_back(void **state)
{
    (void)state;
    for (int channels = 1; channels <= 3; channels += 2)
        for (int wanted = 0; wanted <= 3; wanted += wanted ? 2 : 1) {
            unsigned long size = 0;
            soma_tensor *image = ramp(40, 24, channels), *back;
            unsigned char *bytes = compressed(image, &size);
            assert_int_equal(soma__picture_parse(&back, bytes, size, "j", wanted, NULL), SOMA_OK);
            const soma_shape want = SOMA_SHAPE(40, 24, wanted ? wanted : channels);
            assert_true(soma_shape_equal(soma_tensor_shape(back), &want));
            for (int y = 0; y < 40; y++)
                assert_true(abs((int)soma_tensor_get(back, y * 24 * want.dim[2]) -
                                (int)soma_tensor_get(image, y * 24 * channels)) <= 4);
            soma_tensor_release(back);
            soma_tensor_release(image);
            free(bytes);
        }
}

static void damage_is_refused(void **state)
{
    (void)state;
    unsigned long size = 0;
    soma_tensor *image = ramp(40, 24, 3), *out;
    soma_error err = {0};
    unsigned char *bytes = compressed(image, &size);
    for (size_t cut = 0; cut + 2 < size; cut += 7) {
        unsigned char *part = malloc(cut + 1);
        memcpy(part, bytes, cut);
        if (soma__jpeg_parse(&out, part, cut, "cut.jpg", 3, &err) == SOMA_OK)
            fail_msg("a JPEG cut at %zu of %lu bytes was read", cut, size);
        assert_non_null(strstr(err.message, "cut.jpg"));
        free(part);
    }
    assert_int_equal(soma__jpeg_parse(&out, bytes, size, "j", 2, &err), SOMA_INVALID);
    soma_tensor_release(image);
    free(bytes);
    image = ramp(8, 8, 4);
    bytes = compressed(image, &size);
    assert_int_equal(soma__jpeg_parse(&out, bytes, size, "j", 3, &err), SOMA_UNSUPPORTED);
    soma_tensor_release(image);
    free(bytes);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fit_keeps_proportions_or_stretches),
        cmocka_unit_test(names_of_pictures),
#if defined(SOMA_HAVE_JPEG) && SOMA_HAVE_JPEG
        cmocka_unit_test(what_was_written_comes_back),
        cmocka_unit_test(damage_is_refused),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
