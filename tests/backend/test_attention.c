/* Attention's memory: what a plan takes grows with the length, not with its square. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "soma/soma.h"

/* Bytes of a plan of causal attention over `steps` steps and of its gradients. */
static double plan_bytes(soma_context *context, int64_t steps)
{
    soma_error err = {0};
    soma_graph *graph;
    soma_plan *plan;
    soma_plan_info info;
    const soma_shape shape = SOMA_SHAPE(1, steps, 4, 32);
    assert_int_equal(soma_graph_create(&graph, &err), SOMA_OK);
    const soma_var x[3] = {soma_input(graph, "q", SOMA_F32, shape),
                           soma_input(graph, "k", SOMA_F32, shape),
                           soma_input(graph, "v", SOMA_F32, shape)};
    soma_var out[4] = {soma_sum(soma_square(soma_attention(x[0], x[1], x[2], .causal = true)))};
    soma_gradients(out[0], x, 3, out + 1);
    if (soma_plan_create(&plan, context, out, 4, NULL, 0, &err) != SOMA_OK)
        fail_msg("%s", err.message);
    soma_plan_describe(plan, &info);
    soma_plan_release(plan);
    soma_graph_destroy(graph);
    return (double)info.arena_bytes;
}

static void memory_is_linear(void **state)
{
    soma_context *context;
    (void)state;
    assert_int_equal(soma_context_create(&context, &(soma_context_options){.threads = 2}, NULL),
                     SOMA_OK);
    const double one = plan_bytes(context, 512), sixteen = plan_bytes(context, 8192);
    assert_true(sixteen < 16.5 * one);
    /* A fraction of the scores of one head. */
    assert_true(sixteen < 0.5 * 4 * 8192 * 8192);
    soma_context_destroy(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(memory_is_linear)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
