/* Sessions: feeding, checking, profiling, the plan cache, threads. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/support.h"

static soma_context *context;
static soma_graph *graph;

static int setup(void **state)
{
    (void)state;
    context = plain_context();
    ok(soma_graph_create(&graph, err));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    soma_graph_destroy(graph);
    soma_context_destroy(context);
    return 0;
}

static soma_session *session_of(const soma_var *out, int count, const soma_update *u, int updates)
{
    soma_plan *plan;
    soma_session *session;
    ok(soma_plan_create(&plan, context, out, count, u, updates, err));
    ok(soma_session_create(&session, plan, err));
    soma_plan_release(plan);
    return session;
}

static void inputs_are_checked(void **state)
{
    (void)state;
    soma_var x = soma_input(graph, "pixels", SOMA_F32, SOMA_SHAPE(2, 2));
    soma_input(graph, "spare", SOMA_I64, SOMA_SHAPE(2));
    soma_var y = soma_matmul(x, x);
    soma_session *s = session_of(&y, 1, NULL, 0);
    soma_error fault;
    float data[4] = {1, 2, 3, 4};
    soma_shape shape = SOMA_SHAPE(2, 2), flat = SOMA_SHAPE(4);
    assert_int_equal(soma_session_run(s, &fault), SOMA_STATE);
    assert_non_null(strstr(fault.message, "'pixels' was not fed"));
    assert_int_equal(soma_session_set(s, "pixel", SOMA_F32, &shape, data, &fault), SOMA_NOT_FOUND);
    assert_non_null(strstr(fault.message, "did you mean 'pixels'"));
    assert_int_equal(soma_session_set(s, "pixels", SOMA_I32, &shape, data, &fault), SOMA_DTYPE);
    assert_int_equal(soma_session_set(s, "pixels", SOMA_F32, &flat, data, &fault), SOMA_SHAPE);
    assert_non_null(strstr(fault.message, "[2,2]"));
    assert_int_equal(soma_session_set(s, "pixels", SOMA_F32, &shape, NULL, &fault), SOMA_INVALID);
    ok(soma_session_set(s, "pixels", SOMA_F32, &shape, data, err));
    ok(soma_session_run(s, err)); /* an input that nothing needs need not be fed … */
    assert_values(soma_session_output(s, 0), (double[]){7, 10, 15, 22}, 4);
    int64_t spare[2] = {0};
    soma_shape two = SOMA_SHAPE(2);
    ok(soma_session_set(s, "spare", SOMA_I64, &two, spare, err)); /* … and may be */
    assert_null(soma_session_output(s, 1));
    assert_null(soma_session_output(s, -1));
    soma_session_destroy(s);
}

static void leaves_may_be_outputs(void **state)
{
    (void)state;
    soma_tensor *t = numbers(SOMA_SHAPE(3), 4);
    soma_var v = soma_variable(graph, "v", t), x = soma_input(graph, "x", SOMA_F32, SOMA_SHAPE(3));
    soma_var out[5] = {v, x, soma_full(graph, SOMA_F32, SOMA_SHAPE(3), 6),
                       soma_reshape(x, SOMA_SHAPE(3, 1)), v};
    soma_session *s = session_of(out, 5, NULL, 0);
    float data[3] = {1, 2, 3};
    ok(soma_session_set(s, "x", SOMA_F32, &t->shape, data, err));
    ok(soma_session_run(s, err));
    data[0] = 100;
    soma_tensor_fill(t, 0); /* outputs are copies */
    assert_values(soma_session_output(s, 1), (double[]){1, 2, 3}, 3);
    assert_values(soma_session_output(s, 2), (double[]){6, 6, 6}, 3);
    assert_values(soma_session_output(s, 3), (double[]){1, 2, 3}, 3);
    assert_int_equal(soma_session_output(s, 3)->shape.ndim, 2);
    assert_true(soma_tensor_get(soma_session_output(s, 0), 0) != 0);
    assert_true(soma_tensor_get(soma_session_output(s, 4), 0) != 0);
    soma_session_destroy(s);
    soma_tensor_release(t);
}

static void empty_arrays_run(void **state)
{
    (void)state;
    soma_tensor *t = filled(SOMA_SHAPE(0, 4), 0);
    soma_var x = soma_variable(graph, "x", t),
             in = soma_input(graph, "in", SOMA_F32, SOMA_SHAPE(0));
    soma_var w = soma_full(graph, SOMA_F32, SOMA_SHAPE(4, 3), 1);
    soma_var y = soma_relu(soma_matmul(x, w));
    soma_var out[4] = {y, soma_sum(y), soma_sum(y, .axes = {0}, .count = 1), soma_exp(in)};
    soma_session *s = session_of(out, 4, NULL, 0);
    ok(soma_session_set(s, "in", SOMA_F32, &(soma_shape){1, {0}}, NULL, err));
    ok(soma_session_run(s, err));
    ok(soma_session_check(s, err));
    assert_int_equal(soma_tensor_count(soma_session_output(s, 0)), 0);
    assert_values(soma_session_output(s, 1), (double[]){0}, 1);
    assert_values(soma_session_output(s, 2), (double[]){0, 0, 0}, 3);
    soma_session_destroy(s);
    soma_tensor_release(t);
}

static void check_names_the_culprit(void **state)
{
    (void)state;
    soma_tensor *w = filled(SOMA_SHAPE(3), 1);
    soma_var vw = soma_variable(graph, "fc1.weight", w);
    soma_var x = soma_input(graph, "x", SOMA_F32, SOMA_SHAPE(3));
    soma_scope_begin(graph, "loss");
    soma_var l = soma_log(soma_sub(x, vw));
    soma_scope_end(graph);
    soma_var y = soma_mul_scalar(l, 2);
    soma_update u = {vw, soma_add(vw, y)};
    soma_session *s = session_of(&y, 1, &u, 1);
    soma_shape shape = SOMA_SHAPE(3);
    soma_error fault;
    float good[3] = {2, 3, 4}, zero[3] = {2, 3, 1}, inf[3] = {2, 1, INFINITY};
    ok(soma_session_set(s, "x", SOMA_F32, &shape, good, err));
    ok(soma_session_check(s, err));
    assert_values(w, (double[]){1, 1, 1}, 3); /* updates are not written */
    ok(soma_session_set(s, "x", SOMA_F32, &shape, zero, err));
    assert_int_equal(soma_session_check(s, &fault), SOMA_NUMERIC);
    assert_string_equal(fault.message, "log 'loss' made Inf (value 2 of [3])");
    assert_values(w, (double[]){1, 1, 1}, 3);
    ok(soma_session_set(s, "x", SOMA_F32, &shape, inf, err));
    assert_int_equal(soma_session_check(s, &fault), SOMA_NUMERIC);
    assert_string_equal(fault.message, "input 'x' holds Inf (value 2 of [3])");
    ok(soma_session_set(s, "x", SOMA_F32, &shape, good, err));
    soma_tensor_set(w, 1, NAN);
    assert_int_equal(soma_session_check(s, &fault), SOMA_NUMERIC);
    assert_string_equal(fault.message, "variable 'fc1.weight' holds NaN (value 1 of [3])");
    soma_session_destroy(s);
    soma_tensor_release(w);
}

static void check_names_plain_steps(void **state)
{
    (void)state;
    soma_tensor *t = filled(SOMA_SHAPE(2, 2), 1e30);
    soma_var x = soma_variable(graph, "x", t);
    soma_scope_begin(graph, "conv1");
    soma_var y = soma_matmul(x, x);
    soma_scope_end(graph);
    soma_session *s = session_of(&y, 1, NULL, 0);
    soma_error fault;
    assert_int_equal(soma_session_check(s, &fault), SOMA_NUMERIC);
    assert_string_equal(fault.message, "matmul 'conv1' made Inf (value 0 of [2,2])");
    soma_session_destroy(s);
    soma_tensor_release(t);
}

static void profile_has_a_row_per_step(void **state)
{
    (void)state;
    soma_tensor *t = numbers(SOMA_SHAPE(16, 16), 1);
    soma_var x = soma_variable(graph, "x", t);
    soma_scope_begin(graph, "fc");
    soma_var y = soma_relu(soma_matmul(x, x));
    soma_scope_end(graph);
    y = soma_transpose(y);
    soma_session *s = session_of(&y, 1, NULL, 0);
    const soma_profile_row *rows;
    int count;
    ok(soma_session_profile(s, 3, &rows, &count, err));
    assert_int_equal(count, 2);
    assert_string_equal(rows[0].op, "matmul+relu");
    assert_string_equal(rows[0].name, "fc");
    assert_string_equal(rows[0].kernel, "plain:plain");
    assert_string_equal(rows[1].kernel, "reference");
    assert_true(rows[0].flops == 2.0 * 16 * 16 * 16 + 256);
    assert_true(rows[0].bytes == 3 * 1024);
    assert_true(rows[0].seconds > 0 && rows[0].seconds < 1);
    assert_int_equal(soma_session_profile(s, 0, &rows, &count, NULL), SOMA_INVALID);
    double times[2 * 3];
    ok(soma_session_trace(s, 2, times, err));
    for (int i = 1; i < 6; i++)
        assert_true(times[i] >= times[i - 1]);
    assert_true(times[5] > times[0] && times[5] - times[0] < 1);
    assert_int_equal(soma_session_trace(s, 0, times, NULL), SOMA_INVALID);
    assert_int_equal(soma_session_trace(s, 1, NULL, NULL), SOMA_INVALID);
    char *dot;
    ok(soma_plan_dot(&dot, soma_session_plan(s), err));
    assert_non_null(strstr(dot, "matmul+relu"));
    assert_non_null(strstr(dot, "s0 -> s1"));
    assert_non_null(strstr(dot, "variable0 -> s0"));
    soma_free(dot);
    soma_session_destroy(s);
    soma_tensor_release(t);
}

/* --- cache ------------------------------------------------------------------------------------ */

/* sum(x * factor) in a graph of its own. */
static bool cached_plan(double factor, int rows, const char *name, soma_tensor *t, double *value)
{
    soma_graph *g;
    soma_plan *plan;
    soma_plan_info info;
    soma_session *s;
    ok(soma_graph_create(&g, err));
    soma_var x = soma_slice(soma_variable(g, name, t), 0, 0, rows);
    soma_var y = soma_sum(soma_mul_scalar(x, factor));
    ok(soma_plan_create(&plan, context, &y, 1, NULL, 0, err));
    soma_graph_destroy(g);
    soma_plan_describe(plan, &info);
    ok(soma_session_create(&s, plan, err));
    ok(soma_session_run(s, err));
    *value = soma_tensor_get(soma_session_output(s, 0), 0);
    soma_session_destroy(s);
    soma_plan_release(plan);
    return info.cached;
}

static void cache_knows_structures(void **state)
{
    (void)state;
    soma_tensor *a = filled(SOMA_SHAPE(4), 1), *b = filled(SOMA_SHAPE(4), 3);
    double value;
    assert_false(cached_plan(2, 4, "x", a, &value));
    assert_true(value == 8);
    assert_true(cached_plan(2, 4, "x", a, &value));
    assert_true(value == 8);
    assert_true(cached_plan(2, 4, "x", b, &value)); /* another tensor: bound anew */
    assert_true(value == 24);
    assert_false(cached_plan(5, 4, "x", a, &value)); /* another constant */
    assert_true(value == 20);
    assert_false(cached_plan(2, 3, "x", a, &value)); /* another attribute */
    assert_true(value == 6);
    assert_false(cached_plan(2, 4, "y", a, &value)); /* names are in messages */
    assert_true(value == 8);
    soma_tensor_release(a);
    soma_tensor_release(b);
}

static void cache_is_bounded(void **state)
{
    (void)state;
    soma_tensor *a = filled(SOMA_SHAPE(4), 1);
    double value;
    for (int i = 0; i < 300; i++)
        assert_false(cached_plan(i + 10, 4, "x", a, &value));
    assert_true(cached_plan(309, 4, "x", a, &value));
    assert_false(cached_plan(10, 4, "x", a, &value)); /* the oldest had to go */
    soma_tensor_release(a);
}

/* The same tensor in two places is another structure than two tensors. */
static void cache_sees_identity(void **state)
{
    (void)state;
    soma_tensor *a = filled(SOMA_SHAPE(2), 1), *b = filled(SOMA_SHAPE(2), 10);
    int64_t found[2], compiled[2];
    soma_context_plans(context, &found[0], &compiled[0]);
    for (int round = 0; round < 2; round++)
        for (int same = 0; same < 2; same++) {
            soma_graph *g;
            soma_tensor *out;
            ok(soma_graph_create(&g, err));
            soma_var x = soma_variable(g, "v", a), y = soma_variable(g, "v", same ? a : b);
            ok(soma_eval(&out, context, soma_add(x, y), err));
            assert_values(out, same ? (double[]){2, 2} : (double[]){11, 11}, 2);
            soma_tensor_release(out);
            soma_graph_destroy(g);
        }
    soma_context_plans(context, &found[1], &compiled[1]);
    assert_int_equal(found[1] - found[0], 2);
    assert_int_equal(compiled[1] - compiled[0], 2);
    soma_tensor_release(a);
    soma_tensor_release(b);
}

/* --- threads ---------------------------------------------------------------------------------- */

typedef struct job {
    soma_plan *plan;
    double start;
    int failures;
} job;

static void *run_job(void *argument)
{
    job *j = argument;
    soma_session *s;
    if (soma_session_create(&s, j->plan, NULL) != SOMA_OK) {
        j->failures = 1;
        return NULL;
    }
    for (int i = 0; i < 50; i++) {
        float x[4];
        soma_shape shape = SOMA_SHAPE(2, 2);
        for (int k = 0; k < 4; k++)
            x[k] = (float)(j->start + i);
        if (soma_session_set(s, "x", SOMA_F32, &shape, x, NULL) != SOMA_OK ||
            soma_session_run(s, NULL) != SOMA_OK ||
            soma_tensor_get(soma_session_output(s, 0), 3) != 2 * (j->start + i) * (j->start + i))
            j->failures++;
    }
    soma_session_destroy(s);
    /* And define by run, through the cache that the threads share. */
    for (int i = 0; i < 20; i++) {
        soma_graph *g;
        soma_tensor *out = NULL;
        if (soma_graph_create(&g, NULL) != SOMA_OK)
            continue;
        soma_var y = soma_exp(soma_full(g, SOMA_F32, SOMA_SHAPE(1 + i % 3), 0));
        if (soma_eval(&out, j->plan->context, soma_neg(y), NULL) != SOMA_OK ||
            soma_tensor_get(out, 0) != -1)
            j->failures++;
        soma_tensor_release(out);
        soma_graph_destroy(g);
    }
    return NULL;
}

static void sessions_run_in_threads(void **state)
{
    (void)state;
    soma_context *both[2] = {context, fast_context()};
    soma_var x = soma_input(graph, "x", SOMA_F32, SOMA_SHAPE(2, 2)), y = soma_matmul(x, x);
    for (int c = 0; c < 2; c++) {
        pthread_t thread[4];
        job jobs[4];
        soma_plan *plan;
        ok(soma_plan_create(&plan, both[c], &y, 1, NULL, 0, err));
        for (int i = 0; i < 4; i++) {
            jobs[i] = (job){plan, i * 100, 0};
            assert_int_equal(pthread_create(&thread[i], NULL, run_job, &jobs[i]), 0);
        }
        for (int i = 0; i < 4; i++) {
            pthread_join(thread[i], NULL);
            assert_int_equal(jobs[i].failures, 0);
        }
        soma_plan_release(plan);
    }
    soma_context_destroy(both[1]);
}

static void contexts_check_their_options(void **state)
{
    (void)state;
    soma_context *c;
    soma_error fault;
    soma_context_options bad = {.isa = "vax"};
    assert_int_equal(soma_context_create(&c, &bad, &fault), SOMA_INVALID);
    assert_null(c);
    assert_non_null(strstr(fault.message, "'vax'"));
    assert_non_null(strstr(fault.message, "reference"));
    bad = (soma_context_options){.threads = -1};
    assert_int_equal(soma_context_create(&c, &bad, &fault), SOMA_INVALID);
    ok(soma_context_create(&c, &(soma_context_options){.threads = 1, .isa = "reference"}, err));
    assert_string_equal(soma_context_isa(c), "reference");
    assert_int_equal(soma_context_threads(c), 1);
    soma_machine machine;
    ok(soma_machine_measure(c, &machine, err));
    assert_true(machine.flops > 1e6 && machine.bandwidth > 1e6);
    soma_context_destroy(c);
    soma_context_destroy(NULL);
}

/* The kernel of a conv under the options given. */
static void kernel_of_conv(const soma_context_options *options, char *kernel, size_t size)
{
    soma_context *c;
    soma_graph *g;
    soma_plan *plan;
    soma_session *s;
    const soma_profile_row *rows;
    int count;
    ok(soma_context_create(&c, options, err));
    ok(soma_graph_create(&g, err));
    soma_tensor *x = numbers(SOMA_SHAPE(1, 32, 32, 64), 1),
                *w = numbers(SOMA_SHAPE(64, 3, 3, 64), 2);
    soma_var y = soma_conv2d(soma_variable(g, "x", x), soma_variable(g, "w", w));
    ok(soma_plan_create(&plan, c, &y, 1, NULL, 0, err));
    ok(soma_session_create(&s, plan, err));
    ok(soma_session_profile(s, 1, &rows, &count, err));
    assert_int_equal(count, 1);
    snprintf(kernel, size, "%s", rows[0].kernel);
    soma_session_destroy(s);
    soma_plan_release(plan);
    soma_graph_destroy(g);
    soma_tensor_release(x);
    soma_tensor_release(w);
    soma_context_destroy(c);
}

static void winograd_has_a_switch(void **state)
{
    (void)state;
    char kernel[64];
    unsetenv("SOMA_WINOGRAD");
    kernel_of_conv(&(soma_context_options){.isa = "baseline"}, kernel, sizeof kernel);
    assert_string_equal(kernel, "cpu:conv2d_winograd baseline");
    kernel_of_conv(&(soma_context_options){.isa = "baseline", .no_winograd = true}, kernel,
                   sizeof kernel);
    assert_string_equal(kernel, "cpu:conv2d baseline");
    setenv("SOMA_WINOGRAD", "0", 1);
    kernel_of_conv(&(soma_context_options){.isa = "baseline"}, kernel, sizeof kernel);
    assert_string_equal(kernel, "cpu:conv2d baseline");
    setenv("SOMA_WINOGRAD", "1", 1);
    kernel_of_conv(&(soma_context_options){.isa = "baseline"}, kernel, sizeof kernel);
    assert_string_equal(kernel, "cpu:conv2d_winograd baseline");
    unsetenv("SOMA_WINOGRAD");
    kernel_of_conv(&(soma_context_options){.isa = "reference"}, kernel, sizeof kernel);
    assert_string_equal(kernel, "reference");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name_) cmocka_unit_test_setup_teardown(name_, setup, teardown)
        TEST(inputs_are_checked),      TEST(leaves_may_be_outputs),
        TEST(empty_arrays_run),        TEST(check_names_the_culprit),
        TEST(check_names_plain_steps), TEST(profile_has_a_row_per_step),
        TEST(winograd_has_a_switch),   TEST(cache_knows_structures),
        TEST(cache_is_bounded),        TEST(cache_sees_identity),
        TEST(sessions_run_in_threads), TEST(contexts_check_their_options),
    };
    return cmocka_run_group_tests_name("plan sessions", tests, NULL, NULL);
}
