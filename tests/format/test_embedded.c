/* The embedded files are those in the repository, and hold what data/README.md says. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "format/csv.h"
#include "format/embedded.h"
#include "format/idx.h"
#include "format/image.h"

static void finds_every_name(void **state)
{
    const void *data;
    size_t size, count = 0;
    (void)state;
    for (const char *name; (name = soma__embedded_name(count)); count++) {
        assert_true(soma__embedded_find(name, &data, &size));
        assert_true(size > 0);
    }
    assert_true(count >= 4);
    assert_false(soma__embedded_find("nothing", &data, &size));
}

static void equals_the_file(void **state)
{
    const void *data;
    size_t size, file_size;
    void *file = slurp(SOMA_SOURCE_FOLDER "/data/iris.csv", &file_size);
    (void)state;
    assert_true(soma__embedded_find("iris.csv", &data, &size));
    assert_int_equal(size, file_size);
    assert_memory_equal(data, file, size);
    free(file);
}

#if defined(SOMA_HAVE_ZLIB) && SOMA_HAVE_ZLIB
static soma_tensor *digits(const char *name)
{
    const void *data;
    size_t size;
    soma_error err = {0};
    soma_tensor *t;
    assert_true(soma__embedded_find(name, &data, &size));
    assert_ok(soma__idx_parse(&t, data, size, name, &err), err);
    return t;
}

static void holds_the_digits(void **state)
{
    static const int counts[10] = {178, 182, 177, 183, 181, 182, 181, 179, 174, 180};
    soma_tensor *images = digits("digits-images-idx3-ubyte.gz");
    soma_tensor *labels = digits("digits-labels-idx1-ubyte.gz");
    int seen[10] = {0};
    (void)state;
    assert_true(soma_shape_equal(soma_tensor_shape(images), &SOMA_SHAPE(1797, 8, 8)));
    assert_true(soma_shape_equal(soma_tensor_shape(labels), &SOMA_SHAPE(1797)));
    const uint8_t *pixels = soma_tensor_const_data(images), *label = soma_tensor_const_data(labels);
    for (int i = 0; i < 1797 * 64; i++)
        assert_true(pixels[i] <= 16);
    for (int i = 0; i < 1797; i++)
        seen[label[i]]++;
    assert_memory_equal(seen, counts, sizeof seen);
    assert_int_equal(label[1605], 3); /* the sample image */
    soma_tensor_release(images);
    soma_tensor_release(labels);
}
#endif

#if defined(SOMA_HAVE_PNG) && SOMA_HAVE_PNG
static void holds_a_sample(void **state)
{
    const void *data;
    size_t size;
    soma_error err = {0};
    soma_tensor *t, *small;
    (void)state;
    assert_true(soma__embedded_find("sample-digit.png", &data, &size));
    assert_ok(soma__png_parse(&t, data, size, "sample-digit.png", 1, &err), err);
    assert_true(soma_shape_equal(soma_tensor_shape(t), &SOMA_SHAPE(128, 128, 1)));
    assert_ok(soma__image_resize(&small, t, 8, 8, &err), err);
    soma_tensor_release(small);
    soma_tensor_release(t);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_every_name),
        cmocka_unit_test(equals_the_file),
#if defined(SOMA_HAVE_ZLIB) && SOMA_HAVE_ZLIB
        cmocka_unit_test(holds_the_digits),
#endif
#if defined(SOMA_HAVE_PNG) && SOMA_HAVE_PNG
        cmocka_unit_test(holds_a_sample),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
