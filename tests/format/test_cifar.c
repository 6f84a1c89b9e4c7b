/* CIFAR records: planes become channels, labels are checked, cut files refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "format/cifar.h"

static const soma__cifar_layout ten = {1, 0, 10}, fine = {2, 1, 100}, coarse = {2, 0, 20};

static void planes_become_channels(void **state)
{
    (void)state;
    uint8_t file[2 * 3073], pixels[2 * 3072];
    int64_t labels[2], count;
    for (size_t i = 0; i < sizeof file; i++)
        file[i] = (uint8_t)(i % 251);
    file[0] = 9;
    file[3073] = 0;
    assert_int_equal(soma__cifar_count(&count, sizeof file, &ten, "f", NULL), SOMA_OK);
    assert_int_equal(count, 2);
    assert_int_equal(soma__cifar_decode(pixels, labels, file, 2, &ten, "f", NULL), SOMA_OK);
    assert_int_equal(labels[0], 9);
    assert_int_equal(labels[1], 0);
    /* Pixel (row 1, column 2) of the second image: green is 1024 bytes after red. */
    const uint8_t *pixel = pixels + 3072 + 3 * (32 + 2);
    assert_int_equal(pixel[0], file[3073 + 1 + 34]);
    assert_int_equal(pixel[1], file[3073 + 1 + 1024 + 34]);
    assert_int_equal(pixel[2], file[3073 + 1 + 2048 + 34]);
}

static void the_label_byte_is_chosen(void **state)
{
    (void)state;
    uint8_t file[3074] = {19, 99}, pixels[3072];
    int64_t label;
    assert_int_equal(soma__cifar_decode(pixels, &label, file, 1, &fine, "f", NULL), SOMA_OK);
    assert_int_equal(label, 99);
    assert_int_equal(soma__cifar_decode(pixels, &label, file, 1, &coarse, "f", NULL), SOMA_OK);
    assert_int_equal(label, 19);
}

static void bad_files_are_refused(void **state)
{
    (void)state;
    uint8_t file[3073] = {10}, pixels[3072];
    int64_t label, count;
    soma_error err = {0};
    assert_int_equal(soma__cifar_decode(pixels, &label, file, 1, &ten, "a.bin", &err), SOMA_FORMAT);
    assert_string_equal(err.message, "a.bin: record 0 has label 10, classes are 0 to 9");
    assert_int_equal(soma__cifar_count(&count, 3072, &ten, "a.bin", &err), SOMA_FORMAT);
    assert_non_null(strstr(err.message, "cut short"));
    assert_int_equal(soma__cifar_count(&count, 0, &ten, "a.bin", &err), SOMA_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(planes_become_channels),
        cmocka_unit_test(the_label_byte_is_chosen),
        cmocka_unit_test(bad_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
