/* test_move.c: transposes around the sizes of tiles, thin ones, and ones beyond the caches, whose
 * lines are written past them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "soma/soma.h"

/* x[r,c] = r·cols + c, modulo what the dtype holds exactly, comes out as y[c,r]. */
static void transposes(soma_context *context, soma_dtype dtype, int64_t rows, int64_t cols)
{
    soma_graph *graph;
    soma_tensor *x, *y;
    soma_error err = {0};
    assert_int_equal(soma_graph_create(&graph, &err), SOMA_OK);
    assert_int_equal(soma_tensor_create(&x, dtype, SOMA_SHAPE(rows, cols), &err), SOMA_OK);
    for (int64_t i = 0; i < rows * cols; i++)
        soma_tensor_set(x, i, (double)(i % 251));
    assert_int_equal(soma_eval(&y, context, soma_transpose(soma_variable(graph, "x", x)), &err),
                     SOMA_OK);
    for (int64_t c = 0; c < cols; c++)
        for (int64_t r = 0; r < rows; r++)
            if (soma_tensor_get(y, c * rows + r) != (double)((r * cols + c) % 251))
                fail_msg("[%d,%d] of %d × %d %s", (int)c, (int)r, (int)cols, (int)rows,
                         soma_dtype_text(dtype));
    soma_tensor_release(x);
    soma_tensor_release(y);
    soma_graph_destroy(graph);
}

static void all_sizes(void **state)
{
    static const soma_dtype dtypes[] = {SOMA_F32, SOMA_I64, SOMA_F16, SOMA_U8};
    static const int64_t sizes[] = {1, 2, 3, 8, 9, 15, 16, 17, 33, 64, 65, 130, 1100};
    const size_t count = sizeof(sizes) / sizeof(sizes[0]);
    soma_context *context;
    soma_context_options options = {.threads = 2};
    (void)state;
    assert_int_equal(soma_context_create(&context, &options, NULL), SOMA_OK);
    for (size_t d = 0; d < sizeof(dtypes) / sizeof(dtypes[0]); d++)
        for (size_t i = 0; i < count; i++)
            for (size_t k = 0; k < count; k++)
                if (sizes[i] * sizes[k] < 40000)
                    transposes(context, dtypes[d], sizes[i], sizes[k]);
    soma_context_destroy(context);
}

static void beyond_caches(void **state)
{
    soma_context *context;
    (void)state;
    assert_int_equal(soma_context_create(&context, NULL, NULL), SOMA_OK);
    transposes(context, SOMA_F32, 2052, 2065); /* lines at 16-byte boundaries, and a rest */
    transposes(context, SOMA_F32, 2065, 2052); /* lines at none */
    soma_context_destroy(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_sizes),
        cmocka_unit_test(beyond_caches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
