/* Every allocation of these rooms fails once: each sequence below is run again and again, with the
 * n-th allocation refused, until it gets through. Each failure must be reported as SOMA_MEMORY, and
 * leave nothing behind: the wrapped allocator counts what is still held. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/value.h"
#include "tensor/tensor.h"

void *__real_soma__malloc(size_t size);
void *__real_soma__calloc(size_t count, size_t size);
void *__real_soma__realloc(void *memory, size_t size);
void *__real_soma__aligned(size_t size);
void *__wrap_soma__malloc(size_t size);
void *__wrap_soma__calloc(size_t count, size_t size);
void *__wrap_soma__realloc(void *memory, size_t size);
void *__wrap_soma__aligned(size_t size);

static long refuse_in; /* 1: the next allocation fails; 0 and below: none does any more */

static bool refused(void)
{
    return --refuse_in == 0;
}

void *__wrap_soma__malloc(size_t size)
{
    return refused() ? NULL : __real_soma__malloc(size);
}

void *__wrap_soma__calloc(size_t count, size_t size)
{
    return refused() ? NULL : __real_soma__calloc(count, size);
}

void *__wrap_soma__realloc(void *memory, size_t size)
{
    return refused() ? NULL : __real_soma__realloc(memory, size);
}

void *__wrap_soma__aligned(size_t size)
{
    return refused() ? NULL : __real_soma__aligned(size);
}

/* Leaks are found by the leak sanitizer when the tests are built with it. */
static void refuse_each(soma_status (*sequence)(soma_error *err), int at_least)
{
    int failures = 0;
    for (;; failures++) {
        soma_error err = {0};
        refuse_in = failures + 1;
        soma_status status = sequence(&err);
        bool was_refused = refuse_in <= 0;
        refuse_in = 0;
        if (status == SOMA_OK) {
            assert_false(was_refused);
            break;
        }
        if (status != SOMA_MEMORY || err.code != SOMA_MEMORY || !err.message[0])
            fail_msg("allocation %d: %s: %s", failures + 1, soma_status_text(status), err.message);
    }
    assert_true(failures >= at_least);
}

static soma_status pool_sequence(soma_error *err)
{
    soma__pool *pool;
    SOMA__TRY(soma__pool_create(&pool, 2, err));
    soma__pool_destroy(pool);
    return SOMA_OK;
}

static soma_status file_sequence(soma_error *err)
{
    void *data;
    size_t size;
    SOMA__TRY(soma__make_folder("/tmp", err));
    SOMA__TRY(soma__file_write("/tmp/soma_faults_link", "text", 4, err));
    SOMA__TRY(soma__file_read(&data, &size, "/tmp/soma_faults_link", 0, err));
    soma__free(data);
    return SOMA_OK;
}

static soma_status override_sequence(soma_error *err)
{
    soma__tree tree = {0};
    soma_status status = soma__value_override(&tree, "train.epochs=5", err);
    if (status == SOMA_OK)
        status = soma__value_override(&tree, "train.name='x'", err);
    soma__tree_clear(&tree);
    return status;
}

static soma_status tensor_sequence(soma_error *err)
{
    soma_tensor *a = NULL, *b = NULL, *c = NULL;
    char *text = NULL;
    soma_status status = soma_tensor_create(&a, SOMA_F32, SOMA_SHAPE(20, 10), err);
    if (status == SOMA_OK)
        status = soma_tensor_cast(&b, a, SOMA_F16, err);
    if (status == SOMA_OK)
        status = soma_tensor_reshape(&c, b, SOMA_SHAPE(200), err);
    if (status == SOMA_OK)
        status = soma_tensor_string(&text, c, err);
    soma_free(text);
    soma_tensor_release(a);
    soma_tensor_release(b);
    soma_tensor_release(c);
    return status;
}

static void pools(void **state)
{
    (void)state;
    refuse_each(pool_sequence, 2);
}

static void files(void **state)
{
    (void)state;
    /* The link is there for its own allocations: it is followed, and stays. */
    assert_int_equal(symlink("soma_faults_file", "/tmp/soma_faults_link"), 0);
    refuse_each(file_sequence, 8);
    assert_int_equal(unlink("/tmp/soma_faults_file"), 0);
    assert_int_equal(unlink("/tmp/soma_faults_link"), 0);
}

static void overrides(void **state)
{
    (void)state;
    refuse_each(override_sequence, 1);
}

static void tensors(void **state)
{
    (void)state;
    refuse_each(tensor_sequence, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools),
        cmocka_unit_test(files),
        cmocka_unit_test(overrides),
        cmocka_unit_test(tensors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
