/* The memory planner: nothing that lives at once overlaps, results take over dead operands, and a
 * session allocates exactly what the plan says. */
#include "plan/support.h"
#include "support/door.h"

/* Every pair of values in the arena, byte by byte of their lifetimes: at each step, the values that
 * live must be apart, but for one that a result takes over in that very step. */
static void assert_no_overlap(const soma_plan *plan)
{
    const soma__core *core = plan->core;
    for (int32_t s = 0; s < core->step_count; s++)
        for (int32_t a = 0; a < core->value_count; a++)
            for (int32_t b = 0; b < core->value_count; b++) {
                const soma__value *x = &core->value[a], *y = &core->value[b];
                if (a == b || x->place != SOMA__AT_ARENA || y->place != SOMA__AT_ARENA ||
                    x->first > s || x->last < s || y->first > s || y->last < s ||
                    x->offset >= y->offset + y->bytes || y->offset >= x->offset + x->bytes)
                    continue;
                bool taken = (y->first == s && x->last == s && y->shares == a) ||
                             (x->first == s && y->last == s && x->shares == b);
                assert_true(taken);
            }
}

static soma_plan *plan_of(soma_context *context, const soma_var *out, int count)
{
    soma_plan *plan;
    ok(soma_plan_create(&plan, context, out, count, NULL, 0, err));
    assert_no_overlap(plan);
    return plan;
}

static void random_graphs_do_not_overlap(void **state)
{
    (void)state;
    soma_context *context = plain_context();
    uint32_t seed = 1;
    for (int round = 0; round < 40; round++) {
        soma_graph *graph;
        ok(soma_graph_create(&graph, err));
        soma_tensor *t = numbers(SOMA_SHAPE(4, 4), round);
        soma_var pool[40] = {soma_variable(graph, "x", t)};
        int count = 1;
        while (count < 40) {
            seed = seed * 1664525u + 1013904223u;
            soma_var a = pool[(seed >> 8) % (uint32_t)count],
                     b = pool[(seed >> 20) % (uint32_t)count];
            soma_var made[5] = {
                soma_tanh(soma_add(a, b)), soma_tanh(soma_matmul(a, b)), soma_transpose(a),
                soma_sigmoid(a),
                soma_reshape(soma_concat((soma_var[]){a, b}, 2, 0), SOMA_SHAPE(4, 8))};
            pool[count++] = seed % 5 == 4 ? soma_slice(made[4], 1, 2, 6) : made[seed % 5];
        }
        soma_var out[3] = {pool[39], pool[20], soma_sum(pool[38])};
        soma_plan *plan = plan_of(context, out, 3);
        assert_same(context, out, 3);
        soma_plan_release(plan);
        soma_graph_destroy(graph);
        soma_tensor_release(t);
    }
    soma_context_destroy(context);
}

/* Without fusion's help: each transpose can reuse the memory of the one before the last. */
static void chains_reuse_memory(void **state)
{
    (void)state;
    soma_context *context = plain_context();
    soma_graph *graph;
    ok(soma_graph_create(&graph, err));
    soma_var x = soma_input(graph, "x", SOMA_F32, SOMA_SHAPE(16, 16)), y = x;
    for (int i = 0; i < 10; i++)
        y = soma_matmul(soma_transpose(y), x);
    soma_plan *plan = plan_of(context, &y, 1);
    soma_plan_info info;
    soma_plan_describe(plan, &info);
    assert_int_equal(info.unplanned_bytes, 20 * 1024);
    assert_int_equal(info.arena_bytes, 2 * 1024);
    soma_plan_release(plan);
    soma_graph_destroy(graph);
    soma_context_destroy(context);
}

static void results_take_over_operands(void **state)
{
    (void)state;
    soma_context *context = plain_context();
    soma_graph *graph;
    ok(soma_graph_create(&graph, err));
    soma_tensor *t = numbers(SOMA_SHAPE(8, 8), 1);
    soma_var x = soma_variable(graph, "x", t);
    soma_var a = soma_transpose(x), y = soma_exp(a);
    soma_plan *plan = plan_of(context, &y, 1);
    assert_int_equal(plan->core->arena_bytes, 256);
    soma_plan_release(plan);
    /* Not when the operand is broadcast: other elements still need it. */
    soma_var r = soma_sum(a, .axes = {0}, .count = 1, .keep_dims = true);
    soma_var z = soma_exp(soma_expand(r, SOMA_SHAPE(8, 8)));
    plan = plan_of(context, &z, 1);
    assert_same(context, &z, 1);
    soma_plan_release(plan);
    soma_var both[2] = {y, a}; /* nor when it is an output itself */
    plan = plan_of(context, both, 2);
    assert_int_equal(plan->core->arena_bytes, 512);
    assert_same(context, both, 2);
    soma_plan_release(plan);
    soma_graph_destroy(graph);
    soma_tensor_release(t);
    soma_context_destroy(context);
}

static void planned_is_used(void **state)
{
    (void)state;
    soma_context *contexts[2] = {plain_context(), fast_context()};
    for (int c = 0; c < 2; c++) {
        soma_graph *graph;
        ok(soma_graph_create(&graph, err));
        soma_tensor *t = numbers(SOMA_SHAPE(32, 32), 3);
        soma_var x = soma_variable(graph, "x", t);
        soma_var y = soma_softmax(soma_relu(soma_matmul(x, soma_transpose(x))), -1), dx;
        soma_gradients(y, &x, 1, &dx);
        soma_plan *plan = plan_of(contexts[c], &dx, 1);
        soma_plan_info info;
        soma_session *session;
        soma_plan_describe(plan, &info);
        door_aligned_bytes = 0;
        ok(soma_session_create(&session, plan, err));
        assert_int_equal(door_aligned_bytes, info.arena_bytes);
        assert_true(info.arena_bytes < info.unplanned_bytes + plan->core->scratch_bytes);
        ok(soma_session_run(session, err));
        assert_int_equal(door_aligned_bytes, info.arena_bytes);
        soma_session_destroy(session);
        soma_plan_release(plan);
        soma_graph_destroy(graph);
        soma_tensor_release(t);
        soma_context_destroy(contexts[c]);
    }
}

/* The brute-force look at the end of a compilation sees an overlap. */
static void overlap_is_found(void **state)
{
    (void)state;
    soma_context *context = plain_context();
    soma_graph *graph;
    ok(soma_graph_create(&graph, err));
    soma_var x = soma_input(graph, "x", SOMA_F32, SOMA_SHAPE(4, 4));
    soma_var out[2] = {soma_transpose(x), soma_matmul(x, x)};
    soma_plan *plan = plan_of(context, out, 2);
    soma__core *core = plan->core;
    int32_t a = core->output[0], b = core->output[1];
    size_t kept = core->value[a].offset;
    ok(soma__core_verify(core, err));
    core->value[a].offset = core->value[b].offset;
    assert_int_equal(soma__core_verify(core, NULL), SOMA_INTERNAL);
    core->value[a].offset = core->arena_bytes;
    assert_int_equal(soma__core_verify(core, NULL), SOMA_INTERNAL);
    core->value[a].offset = kept;
    core->step[0].in[0] = core->step[1].out[0]; /* reads what is made later */
    assert_int_equal(soma__core_verify(core, NULL), SOMA_INTERNAL);
    soma_plan_release(plan);
    soma_graph_destroy(graph);
    soma_context_destroy(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs_do_not_overlap),
        cmocka_unit_test(chains_reuse_memory),
        cmocka_unit_test(results_take_over_operands),
        cmocka_unit_test(planned_is_used),
        cmocka_unit_test(overlap_is_found),
    };
    return cmocka_run_group_tests_name("plan memory", tests, NULL, NULL);
}
