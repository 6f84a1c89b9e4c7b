/* Every allocation of these rooms fails once: each sequence below is run again and again, with the
 * n-th allocation refused, until it gets through. Each failure must be reported as SOMA_MEMORY, and
 * leave nothing behind: the leak sanitizer looks. */
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
#include "support/door.h"
#include "tensor/tensor.h"

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
    door_refuse_each(pool_sequence, 2, false);
}

static void files(void **state)
{
    (void)state;
    /* The link is there for its own allocations: it is followed, and stays. */
    assert_int_equal(symlink("soma_faults_file", "/tmp/soma_faults_link"), 0);
    door_refuse_each(file_sequence, 8, false);
    assert_int_equal(unlink("/tmp/soma_faults_file"), 0);
    assert_int_equal(unlink("/tmp/soma_faults_link"), 0);
}

static void overrides(void **state)
{
    (void)state;
    door_refuse_each(override_sequence, 1, false);
}

static void tensors(void **state)
{
    (void)state;
    door_refuse_each(tensor_sequence, 8, false);
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
