/* Updates: all reads of a run see the old state, whether a value is written in place or copied. */
#include "plan/support.h"

typedef struct fixture {
    soma_context *context[3];
    soma_graph *graph;
    soma_tensor *a, *b;
    soma_var va, vb;
} fixture;

static int setup(void **state)
{
    fixture *f = test_calloc(1, sizeof *f);
    f->context[0] = plain_context();
    f->context[1] = fast_context();
    f->context[2] = reference_context();
    ok(soma_graph_create(&f->graph, err));
    f->a = filled(SOMA_SHAPE(2, 2), 1);
    f->b = filled(SOMA_SHAPE(2, 2), 2);
    f->va = soma_variable(f->graph, "a", f->a);
    f->vb = soma_variable(f->graph, "b", f->b);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    soma_graph_destroy(f->graph);
    soma_tensor_release(f->a);
    soma_tensor_release(f->b);
    for (int c = 0; c < 3; c++)
        soma_context_destroy(f->context[c]);
    test_free(f);
    return 0;
}

/* Runs the updates from a = 1 (but for one 5), b = 2 in each context and compares. */
static void expect(fixture *f, const soma_update *updates, int count, const soma_var *out,
                   const double *a, const double *b, const double *wanted)
{
    for (int c = 0; c < 3; c++) {
        soma_tensor *got = NULL;
        soma_tensor_fill(f->a, 1);
        soma_tensor_set(f->a, 1, 5);
        soma_tensor_fill(f->b, 2);
        ok(soma_eval_many(&got, f->context[c], out, out ? 1 : 0, updates, count, err));
        assert_values(f->a, a, 4);
        assert_values(f->b, b, 4);
        if (out)
            assert_values(got, wanted, 4);
        soma_tensor_release(got);
    }
}

static const double old_a[4] = {1, 5, 1, 1}, old_b[4] = {2, 2, 2, 2};

static void swap_in_one_run(void **state)
{
    fixture *f = *state;
    soma_update swap[2] = {{f->va, f->vb}, {f->vb, f->va}};
    expect(f, swap, 2, NULL, old_b, old_a, NULL);
}

static void swap_of_computed_values(void **state)
{
    fixture *f = *state;
    soma_update swap[2] = {{f->va, soma_add(f->va, f->vb)}, {f->vb, soma_sub(f->va, f->vb)}};
    expect(f, swap, 2, NULL, (double[]){3, 7, 3, 3}, (double[]){-1, 3, -1, -1}, NULL);
    /* One fused step that writes both variables in place: no copies, no arena. */
    soma_plan *plan;
    ok(soma_plan_create(&plan, f->context[0], NULL, 0, swap, 2, err));
    assert_int_equal(plan->core->step_count, 1);
    assert_int_equal(plan->core->arena_bytes, 0);
    soma_plan_release(plan);
}

static void old_value_is_an_output(void **state)
{
    fixture *f = *state;
    soma_update grow = {f->va, soma_mul_scalar(f->va, 3)};
    expect(f, &grow, 1, &f->va, (double[]){3, 15, 3, 3}, old_b, old_a);
    soma_var new_value = grow.value;
    expect(f, &grow, 1, &new_value, (double[]){3, 15, 3, 3}, old_b, (double[]){3, 15, 3, 3});
}

/* The transpose reads other elements than it writes, so it cannot be in place. */
static void permuted_update_is_not_in_place(void **state)
{
    fixture *f = *state;
    soma_update turn = {f->va, soma_transpose(f->va)};
    expect(f, &turn, 1, NULL, (double[]){1, 1, 5, 1}, old_b, NULL);
    soma_update square = {f->va, soma_matmul(f->va, f->va)};
    expect(f, &square, 1, NULL, (double[]){6, 10, 2, 6}, old_b, NULL);
}

/* i64 [1,1] or [2,1]: the rows of x that updates go to. */
static soma_var rows(fixture *f, int64_t count, int64_t first)
{
    soma_tensor *index;
    ok(soma_tensor_create(&index, SOMA_I64, SOMA_SHAPE(count, 1), err));
    for (int64_t i = 0; i < count; i++)
        soma_tensor_set(index, i, (double)(first - i));
    soma_var var = soma_constant(f->graph, index);
    soma_tensor_release(index);
    return var;
}

/* What a cache is made of: a row goes into a variable, and nothing else is moved. */
static void a_row_is_written_in_place(void **state)
{
    fixture *f = *state;
    soma_var row = soma_full(f->graph, SOMA_F32, SOMA_SHAPE(1, 2), 9);
    soma_var next = soma_scatter_nd(f->va, rows(f, 1, 1), row, 0, SOMA_SCATTER_SET);
    soma_update put = {f->va, next};
    soma_var read = soma_mul_scalar(next, 2);
    expect(f, &put, 1, &read, (double[]){1, 5, 9, 9}, old_b, (double[]){2, 10, 18, 18});
    soma_plan *plan;
    soma_plan_info info;
    ok(soma_plan_create(&plan, f->context[1], NULL, 0, &put, 1, err));
    soma_plan_describe(plan, &info);
    assert_int_equal(info.steps, 1); /* no copy */
    assert_int_equal(info.arena_bytes, 0);
    soma_plan_release(plan);
    /* Who reads the old value gets it. */
    soma_update both[2] = {put, {f->vb, soma_add(f->va, next)}};
    expect(f, both, 2, NULL, (double[]){1, 5, 9, 9}, (double[]){2, 10, 10, 10}, NULL);
    /* A variable whose rows go into itself, turned around: not over what is still to be read. */
    soma_update turn = {f->va, soma_scatter_nd(f->va, rows(f, 2, 1), f->va, 0, SOMA_SCATTER_SET)};
    expect(f, &turn, 1, NULL, (double[]){1, 1, 1, 5}, old_b, NULL);
}

/* Of temporaries only the array that is changed may make room for the result, not the rows. */
static void rows_do_not_make_room(void **state)
{
    fixture *f = *state;
    soma_var temporary = soma_transpose(f->va); /* 1 1 5 1, a kernel of its own */
    soma_var turned = soma_scatter_nd(f->vb, rows(f, 2, 1), temporary, 0, SOMA_SCATTER_SET);
    expect(f, NULL, 0, &turned, old_a, old_b, (double[]){5, 1, 1, 1});
    soma_var itself = soma_scatter_nd(temporary, rows(f, 2, 1), temporary, 0, SOMA_SCATTER_SET);
    expect(f, NULL, 0, &itself, old_a, old_b, (double[]){5, 1, 1, 1});
    soma_var row = soma_full(f->graph, SOMA_F32, SOMA_SHAPE(1, 2), 9);
    soma_var changed = soma_scatter_nd(temporary, rows(f, 1, 0), row, 0, SOMA_SCATTER_SET);
    expect(f, NULL, 0, &changed, old_a, old_b, (double[]){9, 9, 5, 1});
}

/* b's new value needs a after a's producer could have run: the schedule keeps the order. */
static void readers_come_before_the_write(void **state)
{
    fixture *f = *state;
    soma_var g = soma_exp(soma_mul_scalar(f->vb, 0)); /* ones */
    soma_update u[2] = {{f->va, soma_add(f->va, g)}, {f->vb, soma_matmul(f->va, f->vb)}};
    expect(f, u, 2, NULL, (double[]){2, 6, 2, 2}, (double[]){12, 12, 4, 4}, NULL);
    /* A reader that depends on the new value: the new value must wait beside. */
    soma_var fresh = soma_add(f->va, g);
    soma_update v[2] = {{f->va, fresh}, {f->vb, soma_matmul(soma_matmul(fresh, f->vb), f->va)}};
    expect(f, v, 2, NULL, (double[]){2, 6, 2, 2}, (double[]){32, 96, 16, 48}, NULL);
}

static void one_value_for_two_variables(void **state)
{
    fixture *f = *state;
    soma_var sum = soma_add(f->va, f->vb);
    soma_update u[2] = {{f->va, sum}, {f->vb, sum}};
    double both[4] = {3, 7, 3, 3};
    expect(f, u, 2, &sum, both, both, both);
    soma_update same = {f->va, f->va};
    expect(f, &same, 1, NULL, old_a, old_b, NULL);
    soma_update view = {f->va, soma_reshape(soma_add(soma_reshape(f->va, SOMA_SHAPE(4)),
                                                     soma_reshape(f->vb, SOMA_SHAPE(4))),
                                            SOMA_SHAPE(2, 2))};
    expect(f, &view, 1, NULL, both, old_b, NULL);
    soma_update constant = {f->va, soma_full(f->graph, SOMA_F32, SOMA_SHAPE(2, 2), 9)};
    expect(f, &constant, 1, NULL, (double[]){9, 9, 9, 9}, old_b, NULL);
}

/* Two nodes over one tensor are one variable. */
static void one_tensor_twice(void **state)
{
    fixture *f = *state;
    soma_var again = soma_variable(f->graph, "a2", f->a);
    soma_update u = {f->va, soma_add(again, soma_matmul(again, f->vb))};
    expect(f, &u, 1, NULL, (double[]){13, 17, 5, 5}, old_b, NULL);
    soma_update twice[2] = {{f->va, f->vb}, {again, f->vb}};
    soma_plan *plan;
    soma_error fault;
    assert_int_equal(soma_plan_create(&plan, f->context[0], NULL, 0, twice, 2, &fault),
                     SOMA_INVALID);
    assert_null(plan);
}

static void wrong_updates_are_refused(void **state)
{
    fixture *f = *state;
    soma_plan *plan;
    soma_error fault;
    soma_update u = {soma_add(f->va, f->vb), f->va};
    assert_int_equal(soma_plan_create(&plan, f->context[0], NULL, 0, &u, 1, &fault), SOMA_INVALID);
    u = (soma_update){f->va, soma_sum(f->va)};
    assert_int_equal(soma_plan_create(&plan, f->context[0], NULL, 0, &u, 1, &fault), SOMA_SHAPE);
    u = (soma_update){f->va, soma_cast(f->va, SOMA_I32)};
    assert_int_equal(soma_plan_create(&plan, f->context[0], NULL, 0, &u, 1, &fault), SOMA_DTYPE);
    assert_int_equal(soma_plan_create(&plan, f->context[0], NULL, 0, NULL, 0, &fault),
                     SOMA_INVALID);
    soma_var bad = soma_matmul(f->va, soma_full(f->graph, SOMA_F32, SOMA_SHAPE(3, 3), 1));
    assert_int_equal(soma_plan_create(&plan, f->context[0], &bad, 1, NULL, 0, &fault), SOMA_SHAPE);
}

/* The gradient's product takes no part of the optimiser as its epilogue: it would store two arrays
 * for the optimiser to load where one does. */
static void optimiser_stays_one_pass(void **state)
{
    fixture *f = *state;
    soma_tensor *t = numbers(SOMA_SHAPE(2, 2), 5);
    soma_var w = soma_variable(f->graph, "w", t), g = soma_matmul(w, w);
    soma_var m = soma_add(soma_mul_scalar(f->va, 0.9), soma_mul_scalar(g, 0.1));
    soma_var v = soma_add(soma_mul_scalar(f->vb, 0.9), soma_mul_scalar(soma_square(g), 0.1));
    soma_update u[3] = {{f->va, m}, {f->vb, v}, {w, soma_sub(w, soma_div(m, soma_sqrt(v)))}};
    soma_plan *plan;
    ok(soma_plan_create(&plan, f->context[0], NULL, 0, u, 3, err));
    assert_int_equal(plan->core->step_count, 2);
    assert_string_equal(plan->core->step[0].label, "matmul");
    assert_int_equal(plan->core->arena_bytes, 64 + plan->core->scratch_bytes);
    soma_plan_release(plan);
    soma_tensor_release(t);
}

/* Ten steps of a small training run end in the same weights, whatever the plan does. */
static void training_agrees(void **state)
{
    fixture *f = *state;
    soma_tensor *end[3];
    soma_tensor *x = numbers(SOMA_SHAPE(8, 4), 1);
    for (int c = 0; c < 3; c++) {
        soma_graph *graph;
        ok(soma_graph_create(&graph, err));
        soma_tensor *w = numbers(SOMA_SHAPE(4, 4), 2), *m = filled(SOMA_SHAPE(4, 4), 0);
        soma_tensor *v = filled(SOMA_SHAPE(4, 4), 0);
        soma_var vw = soma_variable(graph, "w", w), vm = soma_variable(graph, "m", m);
        soma_var vv = soma_variable(graph, "v", v), vx = soma_input(graph, "x", SOMA_F32, x->shape);
        soma_var h = soma_relu(soma_matmul(vx, vw)), g;
        soma_var loss = soma_mean(soma_square(soma_sub(soma_matmul(h, vw), vx)));
        soma_gradients(loss, &vw, 1, &g);
        soma_var m1 = soma_add(soma_mul_scalar(vm, 0.9), soma_mul_scalar(g, 0.1));
        soma_var v1 = soma_add(soma_mul_scalar(vv, 0.9), soma_mul_scalar(soma_square(g), 0.1));
        soma_var w1 =
            soma_sub(vw, soma_mul_scalar(soma_div(m1, soma_add_scalar(soma_sqrt(v1), 1e-3)), 0.01));
        soma_update u[3] = {{vw, w1}, {vm, m1}, {vv, v1}};
        soma_plan *plan;
        soma_session *session;
        ok(soma_plan_create(&plan, f->context[c], &loss, 1, u, 3, err));
        soma_graph_destroy(graph); /* plans do not refer to it */
        ok(soma_session_create(&session, plan, err));
        soma_plan_release(plan);
        ok(soma_session_set_tensor(session, "x", x, err));
        double first = 0;
        for (int step = 0; step < 10; step++) {
            ok(soma_session_run(session, err));
            double now = soma_tensor_get(soma_session_output(session, 0), 0);
            first = step ? first : now;
            assert_true(step == 0 || now < first);
        }
        if (c == 0) { /* the optimiser is one step over w, m and v in place */
            const soma__core *core = soma_session_plan(session)->core;
            int written = 0;
            for (int32_t i = 0; i < core->value_count; i++)
                written += core->value[i].step >= 0 && core->value[i].place == SOMA__AT_VARIABLE;
            assert_int_equal(written, 3);
        }
        soma_session_destroy(session);
        soma_tensor_release(m);
        soma_tensor_release(v);
        end[c] = w;
    }
    for (int64_t i = 0; i < 16; i++)
        for (int c = 0; c < 2; c++)
            assert_true(fabs(soma_tensor_get(end[c], i) - soma_tensor_get(end[2], i)) < 1e-4);
    for (int c = 0; c < 3; c++)
        soma_tensor_release(end[c]);
    soma_tensor_release(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name_) cmocka_unit_test_setup_teardown(name_, setup, teardown)
        TEST(swap_in_one_run),
        TEST(swap_of_computed_values),
        TEST(old_value_is_an_output),
        TEST(permuted_update_is_not_in_place),
        TEST(a_row_is_written_in_place),
        TEST(rows_do_not_make_room),
        TEST(readers_come_before_the_write),
        TEST(one_value_for_two_variables),
        TEST(one_tensor_twice),
        TEST(wrong_updates_are_refused),
        TEST(optimiser_stays_one_pass),
        TEST(training_agrees),
    };
    return cmocka_run_group_tests_name("plan updates", tests, NULL, NULL);
}
