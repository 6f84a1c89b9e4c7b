/* Each pass on a graph made for it: the number of steps says that it worked, reference kernels say
 * that nothing else changed. */
#include <string.h>

#include "plan/support.h"

typedef struct fixture {
    soma_context *context;
    soma_graph *graph;
    soma_tensor *tensor[8];
    int tensors;
} fixture;

static int setup(void **state)
{
    fixture *f = test_calloc(1, sizeof *f);
    f->context = plain_context();
    ok(soma_graph_create(&f->graph, err));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    soma_graph_destroy(f->graph);
    soma_context_destroy(f->context);
    for (int i = 0; i < f->tensors; i++)
        soma_tensor_release(f->tensor[i]);
    test_free(f);
    return 0;
}

static soma_var variable(fixture *f, const char *name, soma_shape shape)
{
    soma_tensor *t = numbers(shape, f->tensors + 1);
    f->tensor[f->tensors++] = t;
    return soma_variable(f->graph, name, t);
}

static void expect_steps(fixture *f, const soma_var *outputs, int count, int64_t steps)
{
    assert_int_equal(steps_of(f->context, outputs, count), steps);
    assert_same(f->context, outputs, count);
    soma_context *fast = fast_context();
    assert_same(fast, outputs, count);
    soma_context_destroy(fast);
}

static void dead_code_is_dropped(void **state)
{
    fixture *f = *state;
    soma_var x = variable(f, "x", SOMA_SHAPE(4, 4));
    soma_sum(soma_exp(x)); /* nobody wants it */
    soma_var y = soma_transpose(x);
    expect_steps(f, &y, 1, 1);
    soma_plan *plan;
    soma_plan_info info;
    ok(soma_plan_create(&plan, f->context, &y, 1, NULL, 0, err));
    soma_plan_describe(plan, &info);
    assert_int_equal(info.nodes, 2);
    soma_plan_release(plan);
}

static void constants_are_folded(void **state)
{
    fixture *f = *state;
    soma_var c = soma_full(f->graph, SOMA_F32, SOMA_SHAPE(3, 4), 2);
    soma_var d = soma_matmul(soma_exp(c), soma_transpose(c));
    soma_var x = variable(f, "x", SOMA_SHAPE(3, 3));
    soma_var y = soma_matmul(x, d);
    expect_steps(f, &y, 1, 1);
    /* An output that folds to a constant is a copy. */
    expect_steps(f, &d, 1, 1);
}

static void random_is_not_folded(void **state)
{
    fixture *f = *state;
    soma_tensor *t;
    int64_t words[2] = {7, 1};
    ok(soma_tensor_from(&t, SOMA_I64, SOMA_SHAPE(2), words, err));
    soma_var key = soma_constant(f->graph, t);
    soma_tensor_release(t);
    soma_var r = soma_random_uniform(key, SOMA_SHAPE(8), 1);
    soma_var out[2] = {r, soma_random_uniform(key, SOMA_SHAPE(8), 1)};
    soma_plan *plan;
    ok(soma_plan_create(&plan, f->context, out, 2, NULL, 0, err));
    assert_int_equal(plan->core->step_count, 1); /* equal draws are one draw */
    assert_true(plan->core->step[0].op->flags & SOMA__OP_RANDOM);
    soma_plan_release(plan);
    soma_var other[2] = {r, soma_random_uniform(key, SOMA_SHAPE(8), 2)};
    expect_steps(f, other, 2, 2);
}

static void neutral_elements_go(void **state)
{
    fixture *f = *state;
    soma_var x = variable(f, "x", SOMA_SHAPE(2, 6));
    soma_var y = soma_mul_scalar(soma_add_scalar(soma_cast(x, SOMA_F32), 0), 1);
    y = soma_div(soma_neg(soma_neg(y)), soma_full(f->graph, SOMA_F32, SOMA_SHAPE(2, 6), 1));
    y = soma_reshape(soma_reshape(y, SOMA_SHAPE(3, 4)), SOMA_SHAPE(2, 6));
    y = soma_transpose(y);
    expect_steps(f, &y, 1, 1);
    /* x+0 with a larger shape is a broadcast and stays. */
    soma_var z = soma_add(variable(f, "r", SOMA_SHAPE(6)),
                          soma_full(f->graph, SOMA_F32, SOMA_SHAPE(2, 6), 0));
    expect_steps(f, &z, 1, 1);
}

static void equal_nodes_are_one(void **state)
{
    fixture *f = *state;
    soma_var x = variable(f, "x", SOMA_SHAPE(5, 5));
    soma_var a = soma_sum(x, .axes = {1}, .count = 1), b = soma_sum(x, .axes = {1}, .count = 1);
    soma_var c = soma_sum(x, .axes = {0}, .count = 1);
    soma_var two[2] = {a, b}, three[3] = {a, b, c};
    expect_steps(f, two, 2, 1);
    expect_steps(f, three, 3, 2);
}

static void chains_are_fused(void **state)
{
    fixture *f = *state;
    soma_var x = variable(f, "x", SOMA_SHAPE(7, 5)), r = variable(f, "r", SOMA_SHAPE(5));
    soma_var c = variable(f, "c", SOMA_SHAPE(7, 1));
    soma_var y = soma_mul(soma_relu(soma_add(x, r)), soma_sigmoid(x));
    y = soma_where(soma_less(y, c), soma_expand(r, SOMA_SHAPE(7, 5)), soma_gelu(y));
    expect_steps(f, &y, 1, 1);
    soma_var out[2] = {y, soma_cast(soma_less(x, c), SOMA_I32)};
    expect_steps(f, out, 2, 1);
}

static void integers_stay_exact(void **state)
{
    fixture *f = *state;
    soma_tensor *t;
    int32_t large[2] = {16777217, 16777216};
    ok(soma_tensor_from(&t, SOMA_I32, SOMA_SHAPE(2), large, err));
    f->tensor[f->tensors++] = t;
    soma_var x = soma_variable(f->graph, "x", t);
    soma_var y = soma_equal(x, soma_scalar(f->graph, SOMA_I32, 16777216));
    soma_tensor *out;
    ok(soma_eval(&out, f->context, y, err));
    assert_values(out, (double[]){0, 1}, 2);
    soma_tensor_release(out);
    uint8_t pixels[4] = {0, 1, 128, 255};
    ok(soma_tensor_from(&t, SOMA_U8, SOMA_SHAPE(4), pixels, err));
    f->tensor[f->tensors++] = t;
    soma_var p = soma_cast(soma_variable(f->graph, "p", t), SOMA_F32);
    soma_var z[3] = {soma_mul_scalar(p, 1.0 / 255), soma_cast(soma_neg(p), SOMA_I8),
                     soma_cast(p, SOMA_BOOL)};
    expect_steps(f, z, 3, 1);
}

static void half_values_are_rounded_once(void **state)
{
    fixture *f = *state;
    soma_var x = variable(f, "x", SOMA_SHAPE(9));
    soma_var h = soma_cast(soma_mul(x, x), SOMA_BF16);
    soma_var out[2] = {h, soma_add(soma_cast(h, SOMA_F32), x)};
    assert_same(f->context, out, 2);
    soma_tensor *t[2];
    ok(soma_eval_many(t, f->context, out, 2, NULL, 0, err));
    for (int i = 0; i < 9; i++) /* the sum sees the rounded product */
        assert_true((float)soma_tensor_get(t[1], i) ==
                    (float)soma_tensor_get(t[0], i) + (float)soma_tensor_get(f->tensor[0], i));
    soma_tensor_release(t[0]);
    soma_tensor_release(t[1]);
}

static void cycles_are_not_closed(void **state)
{
    fixture *f = *state;
    soma_var x = variable(f, "x", SOMA_SHAPE(4, 4));
    soma_var a = soma_exp(x);
    soma_var s = soma_sum(a, .axes = {1}, .count = 1, .keep_dims = true);
    soma_var y = soma_add(soma_div(a, s), x); /* a and y must not be one step: s lies between */
    expect_steps(f, &y, 1, 2);
}

/* The only step with this label, by its number; fails when there is none. */
static int32_t step_named(const soma_plan *plan, const char *label)
{
    for (int32_t s = 0; s < plan->core->step_count; s++)
        if (!strcmp(plan->core->step[s].label, label))
            return s;
    fail_msg("no step is '%s'", label);
    return -1;
}

static void reductions_share_a_pass(void **state)
{
    fixture *f = *state;
    soma_plan *plan;
    soma_var x = variable(f, "x", SOMA_SHAPE(4, 6)), w = variable(f, "w", SOMA_SHAPE(4, 6));
    soma_reduce_options rows = {.axes = {0}, .count = 1}, cols = {.axes = {1}, .count = 1};
    /* A chain, what is stored of it, and three reductions of it and of an operand: one step. */
    soma_var d = soma_mul(soma_relu(x), w);
    soma_var out[4] = {soma_sum_opt(d, rows), soma_var_opt(x, rows), d, soma_max_opt(w, rows)};
    expect_steps(f, out, 4, 1);
    /* Over other axes it is another step. */
    soma_var two[2] = {soma_sum_opt(d, rows), soma_mean_opt(d, cols)};
    expect_steps(f, two, 2, 2);
    /* A reduction alone keeps its own kernel; a variance has none. */
    soma_context *fast = fast_context();
    soma_var mean = soma_mean_opt(x, rows), var = soma_var_opt(x, rows);
    ok(soma_plan_create(&plan, fast, &mean, 1, NULL, 0, err));
    assert_null(plan->core->step[0].program);
    soma_plan_release(plan);
    ok(soma_plan_create(&plan, fast, &var, 1, NULL, 0, err));
    assert_non_null(plan->core->step[0].program);
    soma_plan_release(plan);
    soma_context_destroy(fast);
    /* Of a reduction and what needs it neither is in the other's step. */
    soma_var pair[2] = {soma_add(x, soma_sum_opt(soma_exp(x), rows)), soma_max_opt(x, rows)};
    expect_steps(f, pair, 2, 2);
    /* i8 rounds between its makers and its readers. */
    soma_var rounded = soma_cast(soma_cast(soma_mul_scalar(x, 3), SOMA_I8), SOMA_F32);
    soma_var sums[2] = {soma_sum_opt(rounded, rows), soma_sum_opt(x, rows)};
    assert_same(f->context, sums, 2);
}

/* Batch norm: a pass for the statistics, one for the values and what backward sums up (which needs
 * a mask of them), one for the loss over all axes, one for the gradient. What several need, x -
 * mean, is in no memory between. */
static void norm_takes_few_passes(void **state)
{
    fixture *f = *state;
    soma_plan *plan;
    soma_var x = variable(f, "x", SOMA_SHAPE(2, 5, 3, 4)), g = variable(f, "g", SOMA_SHAPE(4));
    soma_var b = variable(f, "b", SOMA_SHAPE(4)), t = variable(f, "t", SOMA_SHAPE(2, 5, 3, 4));
    soma_var h = soma_transpose(soma_transpose(x)); /* a copy, no leaf */
    soma_reduce_options over = {.axes = {0, 1, 2}, .count = 3};
    soma_var mean = soma_mean_opt(h, over), var = soma_var_opt(h, over);
    soma_var y = soma_relu(soma_batch_norm(h, mean, var, g, b, 1e-5));
    soma_var out[4] = {soma_sum(soma_mul(y, t))}, wrt[3] = {x, g, b};
    soma_gradients(out[0], wrt, 3, out + 1);
    assert_same(f->context, out, 4);
    ok(soma_plan_create(&plan, f->context, out, 4, NULL, 0, err));
    const soma_shape space = soma_var_shape(x);
    int32_t passes = 0;
    for (int32_t s = 0; s < plan->core->step_count; s++) {
        const soma__program *p = plan->core->step[s].program;
        passes += p && soma_shape_equal(&p->shape, &space);
    }
    assert_int_equal(passes, 4);
    assert_int_equal(plan->core->step[step_named(plan, "mean+variance")].nin, 1);
    soma_plan_release(plan);
}

static void siblings_share_a_pass(void **state)
{
    fixture *f = *state;
    soma_var g = variable(f, "g", SOMA_SHAPE(33)), m = variable(f, "m", SOMA_SHAPE(33));
    soma_var v = variable(f, "v", SOMA_SHAPE(33)), w = variable(f, "w", SOMA_SHAPE(33));
    soma_var m1 = soma_add(soma_mul_scalar(m, 0.9), soma_mul_scalar(g, 0.1));
    soma_var v1 =
        soma_add(soma_mul_scalar(soma_abs(v), 0.99), soma_mul_scalar(soma_square(g), 0.01));
    soma_var w1 = soma_sub(w, soma_div(m1, soma_add_scalar(soma_sqrt(v1), 1e-8)));
    soma_var out[3] = {m1, v1, w1};
    expect_steps(f, out, 3, 1);
    soma_var pair[2] = {soma_exp(g), soma_tanh(g)}; /* no edge between them: a common operand */
    expect_steps(f, pair, 2, 1);
}

static void long_chains_are_cut(void **state)
{
    fixture *f = *state;
    soma_var x = variable(f, "x", SOMA_SHAPE(6)), y = x;
    for (int i = 0; i < 300; i++)
        y = soma_sin(soma_add(y, x));
    soma_plan *plan;
    ok(soma_plan_create(&plan, f->context, &y, 1, NULL, 0, err));
    assert_true(plan->core->step_count >= 600 / SOMA__PROGRAM_INSNS);
    assert_true(plan->core->step_count <= 12);
    soma_plan_release(plan);
    assert_same(f->context, &y, 1);
}

static void many_operands_are_cut(void **state)
{
    fixture *f = *state;
    soma_graph *graph = f->graph;
    soma_tensor *t[40];
    soma_var term[40], y = {0};
    for (int i = 0; i < 40; i++) {
        t[i] = numbers(SOMA_SHAPE(11), i);
        term[i] = soma_variable(graph, "t", t[i]);
        y = i ? soma_add(y, term[i]) : term[i];
    }
    /* A second use of all of them in the other order keeps many values alive at once. */
    for (int i = 39; i >= 0; i--)
        y = soma_mul(soma_sin(y), soma_add(term[i], y));
    assert_same(f->context, &y, 1);
    for (int i = 0; i < 40; i++)
        soma_tensor_release(t[i]);
}

static void products_take_epilogues(void **state)
{
    fixture *f = *state;
    soma_var a = variable(f, "a", SOMA_SHAPE(5, 3)), b = variable(f, "b", SOMA_SHAPE(3, 4));
    soma_var bias = variable(f, "bias", SOMA_SHAPE(4)),
             skip = variable(f, "skip", SOMA_SHAPE(5, 4));
    soma_var h = soma_add(soma_matmul(a, b), bias);
    soma_var y = soma_add(soma_relu(h), skip);
    expect_steps(f, &y, 1, 1);
    soma_var out[2] = {y, h}; /* the value before the activation too */
    expect_steps(f, out, 2, 1);
    soma_plan *plan;
    ok(soma_plan_create(&plan, f->context, out, 2, NULL, 0, err));
    assert_string_equal(plan->core->step[0].label, "matmul+add+relu+add");
    assert_int_equal(plan->core->step[0].epilogue_first, 2);
    soma_plan_release(plan);
    /* An operand that depends on the product cannot be in its epilogue. */
    soma_var m = soma_matmul(a, b);
    soma_var z = soma_sub(m, soma_max(m, .axes = {1}, .count = 1, .keep_dims = true));
    expect_steps(f, &z, 1, 3);
    /* Two products: the sum is the epilogue of one of them. */
    soma_var s =
        soma_add(soma_matmul(a, b), soma_matmul(skip, soma_matmul(b, b, .transpose_a = true)));
    expect_steps(f, &s, 1, 3);
}

static void training_graph_agrees(void **state)
{
    fixture *f = *state;
    soma_var x = variable(f, "x", SOMA_SHAPE(6, 5)), w = variable(f, "w", SOMA_SHAPE(5, 8));
    soma_var b = variable(f, "b", SOMA_SHAPE(8)), v = variable(f, "v", SOMA_SHAPE(8, 3));
    soma_var h = soma_gelu(soma_add(soma_matmul(x, w), b));
    soma_var loss = soma_mean(soma_square(soma_log_softmax(soma_matmul(h, v), -1)));
    soma_var wrt[3] = {w, b, v}, out[4] = {loss}, second[3];
    soma_gradients(loss, wrt, 3, out + 1);
    assert_same(f->context, out, 4);
    soma_gradients(soma_sum(soma_square(out[1])), wrt, 3, second);
    assert_same(f->context, second, 3);
    soma_context *fast = fast_context();
    assert_same(fast, out, 4);
    assert_same(fast, second, 3);
    soma_context_destroy(fast);
}

static uint32_t draw(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % below;
}

/* One more value out of older ones: every kind of edge that fusion must tell apart. */
static soma_var grow(soma_var a, soma_var b, uint32_t kind)
{
    soma_shape square = SOMA_SHAPE(6, 6);
    switch (kind) {
    case 0:
        return soma_add(a, b);
    case 1:
        return soma_mul(a, soma_sigmoid(b));
    case 2:
        return soma_tanh(soma_matmul(soma_expand(a, square), soma_expand(b, square)));
    case 3:
        return soma_mean(soma_expand(a, square), .axes = {1}, .count = 1, .keep_dims = true);
    case 4:
        return soma_mean(soma_expand(a, square), .axes = {0}, .count = 1);
    case 5:
        return soma_where(soma_less(a, b), a, soma_sin(b));
    case 6:
        return soma_transpose(soma_expand(a, square));
    case 7:
        return soma_reshape(soma_relu(soma_reshape(soma_expand(a, square), SOMA_SHAPE(36))),
                            square);
    case 8:
        return soma_cast(soma_cast(a, SOMA_I8), SOMA_F32);
    case 9:
        return soma_variance(soma_expand(a, square), .axes = {0}, .count = 1);
    case 10:
        return soma_max(soma_expand(soma_mul(a, b), square), .axes = {1}, .count = 1,
                        .keep_dims = true);
    case 11:
        return soma_sum(soma_sub(soma_expand(a, square), b), .axes = {0}, .count = 1,
                        .keep_dims = true);
    default:
        return soma_softmax(soma_expand(a, square), -1);
    }
}

static void random_graphs_agree(void **state)
{
    fixture *f = *state;
    soma_context *fast = fast_context();
    uint32_t seed = 12345;
    for (int round = 0; round < 100; round++) {
        soma_graph *graph;
        ok(soma_graph_create(&graph, err));
        soma_tensor *t[3] = {numbers(SOMA_SHAPE(6, 6), round), numbers(SOMA_SHAPE(6), round + 1),
                             numbers(SOMA_SHAPE(6, 1), round + 2)};
        soma_var pool[40];
        int count = 0;
        for (; count < 3; count++)
            pool[count] = soma_variable(graph, "v", t[count]);
        for (; count < 40; count++)
            pool[count] = grow(pool[draw(&seed, (uint32_t)count)],
                               pool[draw(&seed, (uint32_t)count)], draw(&seed, 13));
        soma_var out[4] = {pool[39], pool[30 + draw(&seed, 9)], pool[20 + draw(&seed, 19)],
                           pool[draw(&seed, 39)]};
        ok(soma_graph_status(graph, err));
        assert_same(f->context, out, 4);
        assert_same(fast, out, 4);
        soma_graph_destroy(graph);
        for (int i = 0; i < 3; i++)
            soma_tensor_release(t[i]);
    }
    soma_context_destroy(fast);
}

/* The verifier finds each way to break an ir. */
static void verifier_finds_faults(void **state)
{
    fixture *f = *state;
    soma_var x = variable(f, "x", SOMA_SHAPE(2, 3)),
             c = soma_full(f->graph, SOMA_F32, SOMA_SHAPE(3), 2);
    soma_var y = soma_sum(soma_add(x, c), .axes = {1}, .count = 1);
    soma__ir *ir;
    soma_tensor **bound;
    soma_error fault;
    ok(soma__ir_build(&ir, &bound, &y, 1, NULL, 0, err));
    assert_int_equal(ir->count, 4);
    ok(soma__ir_verify(ir, "test", err));
    int32_t *last = &ir->node[3].in[0], kept = *last;
    *last = 3;
    assert_int_equal(soma__ir_verify(ir, "test", &fault), SOMA_INTERNAL);
    assert_non_null(strstr(fault.message, "after test"));
    assert_non_null(strstr(fault.message, "sum"));
    *last = kept;
    ir->node[3].shape.dim[0] = 3;
    assert_int_equal(soma__ir_verify(ir, "test", &fault), SOMA_INTERNAL);
    ir->node[3].shape.dim[0] = 2;
    ir->node[3].dtype = SOMA_BF16;
    assert_int_equal(soma__ir_verify(ir, "test", &fault), SOMA_INTERNAL);
    ir->node[3].dtype = SOMA_F32;
    ir->node[2].nin = 1;
    assert_int_equal(soma__ir_verify(ir, "test", &fault), SOMA_INTERNAL);
    ir->node[2].nin = 2;
    ir->output[0] = 4;
    assert_int_equal(soma__ir_verify(ir, "test", &fault), SOMA_INTERNAL);
    ir->output[0] = 3;
    ir->node[0].slot = 1 - ir->node[0].slot + 5;
    assert_int_equal(soma__ir_verify(ir, "test", &fault), SOMA_INTERNAL);
    soma__ir_destroy(ir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name_) cmocka_unit_test_setup_teardown(name_, setup, teardown)
        TEST(dead_code_is_dropped),    TEST(constants_are_folded),
        TEST(random_is_not_folded),    TEST(neutral_elements_go),
        TEST(equal_nodes_are_one),     TEST(chains_are_fused),
        TEST(integers_stay_exact),     TEST(half_values_are_rounded_once),
        TEST(cycles_are_not_closed),   TEST(siblings_share_a_pass),
        TEST(reductions_share_a_pass), TEST(norm_takes_few_passes),
        TEST(long_chains_are_cut),     TEST(many_operands_are_cut),
        TEST(products_take_epilogues), TEST(training_graph_agrees),
        TEST(random_graphs_agree),     TEST(verifier_finds_faults),
    };
    return cmocka_run_group_tests_name("plan passes", tests, NULL, NULL);
}
