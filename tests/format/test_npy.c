/* NumPy's files: what numpy wrote (fuzz/corpus/npy) is read, what we write comes back, damage is
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "data/dataset.h"
#include "data/open.h"
#include "format/npy.h"

static const char *corpus(const char *name)
{
    static char path[2][512];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], SOMA_SOURCE_FOLDER "/fuzz/corpus/npy/%s", name);
    return path[turn];
}

static soma_tensor *load(const char *name, soma_dtype dtype)
{
    soma_tensor *t;
    soma_error err = {0};
    if (soma__npy_read(&t, corpus(name), &err) != SOMA_OK)
        fail_msg("%s", err.message);
    assert_int_equal(soma_tensor_dtype(t), dtype);
    return t;
}

static void arrays_of_numpy_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        soma_dtype dtype;
    } counted[] = {{"f4.npy", SOMA_F32}, {"fortran.npy", SOMA_F32}, {"big-endian.npy", SOMA_F64}};
    for (size_t i = 0; i < 3; i++) {
        soma_tensor *t = load(counted[i].name, counted[i].dtype);
        const soma_shape want = SOMA_SHAPE(2, 3);
        assert_true(soma_shape_equal(soma_tensor_shape(t), &want));
        for (int k = 0; k < 6; k++)
            assert_true(soma_tensor_get(t, k) == k);
        soma_tensor_release(t);
    }
    static const struct {
        const char *name;
        soma_dtype dtype;
        double first, second;
    } pairs[] = {
        {"u2.npy", SOMA_I32, 0, 65535},
        {"i2-big.npy", SOMA_I32, -2, 300},
        {"u8.npy", SOMA_I64, 1, 9223372036854775807.0},
        {"bool.npy", SOMA_BOOL, 1, 0},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        soma_tensor *t = load(pairs[i].name, pairs[i].dtype);
        assert_true(soma_tensor_get(t, 0) == pairs[i].first);
        assert_true(soma_tensor_get(t, 1) == pairs[i].second);
        soma_tensor_release(t);
    }
    soma_tensor *t = load("scalar.npy", SOMA_F16);
    assert_int_equal(soma_tensor_shape(t)->ndim, 0);
    assert_true(soma_tensor_get(t, 0) == 1.5);
    soma_tensor_release(t);
    t = load("empty.npy", SOMA_F64);
    assert_int_equal(soma_tensor_count(t), 0);
    soma_tensor_release(t);
}

static void others_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *message;
        soma_status status;
    } wrong[] = {
        {"u8-large.npy", "beyond 2^63", SOMA_UNSUPPORTED},
        {"text.npy", "type '<U2'", SOMA_UNSUPPORTED},
        {"object.npy", "type '|O'", SOMA_UNSUPPORTED},
        {"struct.npy", "structures", SOMA_UNSUPPORTED},
        {"cut.npy", "21 bytes follow", SOMA_FORMAT},
        {"shape.npy", "the header promises", SOMA_FORMAT},
        {"stored.npz", "not a npy array", SOMA_FORMAT},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        soma_tensor *t;
        soma_error err = {0};
        assert_int_equal(soma__npy_read(&t, corpus(wrong[i].name), &err), wrong[i].status);
        if (!strstr(err.message, wrong[i].message))
            fail_msg("%s", err.message);
    }
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    void *bytes;
    size_t size;
    soma_tensor *t;
    static const char *const names[] = {"f4.npy", "stored.npz", "packed.npz"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(soma__file_read(&bytes, &size, corpus(names[i]), 0, NULL), SOMA_OK);
        for (size_t cut = 0; cut < size; cut++) {
            void *part = malloc(cut + 1);
            memcpy(part, bytes, cut);
            soma_status status = i ? soma__npz_parse(&t, part, cut, "x", "cut", NULL)
                                   : soma__npy_parse(&t, part, cut, "cut", NULL);
            if (status == SOMA_OK)
                fail_msg("%s cut at %zu was read", names[i], cut);
            free(part);
        }
        soma__free(bytes);
    }
}

static char path[] = "/tmp/soma-npy-XXXXXX";

static void what_is_written_comes_back(void **state)
{
    (void)state;
    static const soma_dtype dtypes[] = {SOMA_F32, SOMA_F64, SOMA_F16, SOMA_I8,
                                        SOMA_U8,  SOMA_I32, SOMA_I64, SOMA_BOOL};
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++)
        for (int ndim = 0; ndim <= 3; ndim++) {
            soma_tensor *t, *back;
            soma_shape shape = {.ndim = ndim, .dim = {3, 1, 2}};
            assert_int_equal(soma_tensor_create(&t, dtypes[i], shape, NULL), SOMA_OK);
            for (int64_t k = 0; k < soma_tensor_count(t); k++)
                soma_tensor_set(t, k, (double)(k % 2));
            assert_int_equal(soma__npy_write(path, t, NULL), SOMA_OK);
            assert_int_equal(soma__npy_read(&back, path, NULL), SOMA_OK);
            assert_int_equal(soma_tensor_dtype(back), dtypes[i]);
            assert_true(soma_shape_equal(soma_tensor_shape(back), soma_tensor_shape(t)));
            assert_memory_equal(soma_tensor_data(back), soma_tensor_data(t), soma_tensor_bytes(t));
            soma_tensor_release(back);

            void *bytes;
            size_t size;
            const soma__npz_entry entries[] = {{"other", t}, {"x", t}};
            assert_int_equal(soma__npz_write(path, entries, 2, NULL), SOMA_OK);
            assert_int_equal(soma__file_read(&bytes, &size, path, 0, NULL), SOMA_OK);
            assert_int_equal(soma__npz_parse(&back, bytes, size, "x", path, NULL), SOMA_OK);
            assert_memory_equal(soma_tensor_data(back), soma_tensor_data(t), soma_tensor_bytes(t));
            soma_tensor_release(back);
            assert_int_equal(soma__npz_parse(&back, bytes, size, "none", path, NULL), SOMA_OK);
            assert_null(back);
            soma__free(bytes);
            soma_tensor_release(t);
        }
    soma_tensor *t;
    assert_int_equal(soma_tensor_create(&t, SOMA_BF16, SOMA_SHAPE(1), NULL), SOMA_OK);
    assert_int_equal(soma__npy_write(path, t, NULL), SOMA_DTYPE);
    soma_tensor_release(t);
}

static void archives_become_parts(void **state)
{
    (void)state;
    soma_data data;
    soma_error err = {0};
    soma_status status = soma__data_open_npz(&data, corpus("parts.npz"), &err);
    if (status == SOMA_UNSUPPORTED)
        skip(); /* built without zlib */
    if (status != SOMA_OK)
        fail_msg("%s", err.message);
    assert_int_equal(soma_dataset_count(data.train), 2);
    assert_int_equal(soma__dataset_label(data.train, 0), 1);
    assert_int_equal(soma_dataset_x_dtype(data.test), SOMA_U8);
    soma_data_clear(&data);
    assert_int_equal(soma__data_open_npz(&data, corpus("cut.npz"), &err), SOMA_FORMAT);
}

/* Both ways of reading give the same samples. */
static void streams_read_the_same(void **state)
{
    (void)state;
    char labels[64];
    soma_tensor *y;
    soma_error err = {0};
    snprintf(labels, sizeof labels, "%s-y", path);
    assert_int_equal(soma_tensor_create(&y, SOMA_I64, SOMA_SHAPE(2), NULL), SOMA_OK);
    soma_tensor_set(y, 1, 1);
    assert_int_equal(soma__npy_write(labels, y, NULL), SOMA_OK);
    soma_tensor_release(y);
    for (int stream = 0; stream < 2; stream++) {
        soma_dataset *d;
        float x[6];
        int64_t label[2];
        if (soma__dataset_open_npy(&d, corpus("f4.npy"), labels, stream, &err) != SOMA_OK)
            fail_msg("%s", err.message);
        assert_int_equal(soma__dataset_memory(d) == 0, stream);
        assert_int_equal(soma_dataset_class_count(d), 2);
        assert_int_equal(soma_dataset_read(d, (int64_t[]){1, 0}, 2, x, label, NULL), SOMA_OK);
        assert_true(x[0] == 3 && x[5] == 2 && label[0] == 1 && label[1] == 0);
        soma_dataset_release(d);
    }
    soma_dataset *d;
    double x[3];
    int64_t label;
    assert_int_equal(soma__dataset_open_npy(&d, corpus("big-endian.npy"), labels, true, &err),
                     SOMA_OK);
    assert_int_equal(soma_dataset_read(d, (int64_t[]){1}, 1, x, &label, NULL), SOMA_OK);
    assert_true(x[2] == 5);
    soma_dataset_release(d);
    assert_int_equal(soma__dataset_open_npy(&d, corpus("u2.npy"), corpus("f4.npy"), true, &err),
                     SOMA_OK);
    soma_dataset_release(d);
    assert_int_equal(soma__dataset_open_npy(&d, corpus("fortran.npy"), labels, true, &err),
                     SOMA_UNSUPPORTED);
    assert_int_equal(soma__dataset_open_npy(&d, corpus("cut.npy"), labels, true, &err),
                     SOMA_FORMAT);
    assert_int_equal(soma__dataset_open_npy(&d, corpus("scalar.npy"), labels, true, &err),
                     SOMA_FORMAT);
    remove(labels);
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
    return remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_of_numpy_are_read), cmocka_unit_test(others_are_refused),
        cmocka_unit_test(every_cut_is_refused),     cmocka_unit_test(what_is_written_comes_back),
        cmocka_unit_test(archives_become_parts),    cmocka_unit_test(streams_read_the_same),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
