/* The reverse pass: values by hand, gradients of gradients, paths that carry nothing. The gradient
 * of each op is checked by tests/ops. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "soma/soma.h"

#define assert_near(a_, b_, by_) assert_true(fabs((double)(a_) - (double)(b_)) <= (by_))

typedef struct fixture {
    soma_context *context;
    soma_graph *graph;
} fixture;

static int set_up(void **state)
{
    static fixture f;
    *state = &f;
    soma_context_options options = {.threads = 1};
    return soma_context_create(&f.context, &options, NULL) || soma_graph_create(&f.graph, NULL);
}

static int tear_down(void **state)
{
    fixture *f = *state;
    soma_graph_destroy(f->graph);
    soma_context_destroy(f->context);
    return 0;
}

static soma_var variable(fixture *f, const float *values, int64_t count)
{
    soma_tensor *tensor;
    assert_int_equal(soma_tensor_from(&tensor, SOMA_F32, SOMA_SHAPE(count), values, NULL), SOMA_OK);
    soma_var x = soma_variable(f->graph, "x", tensor);
    soma_tensor_release(tensor);
    return x;
}

static void expect(fixture *f, soma_var x, const double *values, int64_t count)
{
    soma_tensor *out;
    soma_error err = {0};
    if (soma_eval(&out, f->context, x, &err) != SOMA_OK)
        fail_msg("%s", err.message);
    assert_int_equal(soma_tensor_count(out), count);
    for (int64_t i = 0; i < count; i++)
        assert_near(soma_tensor_get(out, i), values[i], 1e-5);
    soma_tensor_release(out);
}

static void cubes_have_the_derivatives_of_cubes(void **state)
{
    fixture *f = *state;
    soma_var x = variable(f, (float[]){-2, 0.5f, 3}, 3);
    soma_var y = soma_mul(soma_mul(x, x), x), d, dd, ddd;
    soma_gradients(y, &x, 1, &d);
    soma_gradients(d, &x, 1, &dd);
    soma_gradients(dd, &x, 1, &ddd);
    expect(f, d, (double[]){12, 0.75, 27}, 3);
    expect(f, dd, (double[]){-12, 3, 18}, 3);
    expect(f, ddd, (double[]){6, 6, 6}, 3);
}

static void a_value_used_twice_gets_both_gradients(void **state)
{
    fixture *f = *state;
    soma_var x = variable(f, (float[]){1, 2}, 2);
    soma_var a = soma_square(x);
    soma_var y = soma_add(soma_mul(a, x), soma_exp(a)), d;
    soma_gradients(y, &x, 1, &d);
    /* 3x² + 2x e^(x²) */
    expect(f, d, (double[]){3 + 2 * 2.718281828, 12 + 4 * 54.59815003}, 2);
}

static void no_path_means_zeros(void **state)
{
    fixture *f = *state;
    soma_var x = variable(f, (float[]){1, 2}, 2), other = variable(f, (float[]){5, 6, 7}, 3);
    soma_var wrt[] = {x, other}, d[2];
    soma_gradients(soma_square(x), wrt, 2, d);
    expect(f, d[0], (double[]){2, 4}, 2);
    expect(f, d[1], (double[]){0, 0, 0}, 3);
    soma_var stopped;
    soma_gradients(soma_square(soma_stop_gradient(x)), &x, 1, &stopped);
    expect(f, stopped, (double[]){0, 0}, 2);
}

static void a_middle_value_has_its_gradient(void **state)
{
    fixture *f = *state;
    soma_var x = variable(f, (float[]){1, 2}, 2);
    soma_var h = soma_square(x), y = soma_square(h);
    soma_var wrt[] = {h, x, y}, d[3];
    soma_gradients(y, wrt, 3, d);
    expect(f, d[0], (double[]){2, 8}, 2);
    expect(f, d[1], (double[]){4, 32}, 2);
    expect(f, d[2], (double[]){1, 1}, 2);
}

static void a_given_gradient_is_used(void **state)
{
    fixture *f = *state;
    soma_var x = variable(f, (float[]){1, 2}, 2), seed = variable(f, (float[]){10, -1}, 2), d;
    soma_gradients_from(soma_square(x), seed, &x, 1, &d);
    expect(f, d, (double[]){20, -4}, 2);
}

static void wrong_arguments_are_told(void **state)
{
    fixture *f = *state;
    soma_var x = variable(f, (float[]){1, 2}, 2), seed = variable(f, (float[]){1, 2, 3}, 3), d;
    soma_gradients_from(x, seed, &x, 1, &d);
    assert_false(soma_var_ok(d));
    soma_error err = {0};
    assert_int_equal(soma_graph_status(f->graph, &err), SOMA_SHAPE);
    assert_non_null(strstr(err.message, "[3]"));
}

static void integers_have_no_gradient(void **state)
{
    fixture *f = *state;
    soma_var n = soma_scalar(f->graph, SOMA_I64, 3), d;
    soma_gradients(n, &n, 1, &d);
    assert_int_equal(soma_graph_status(f->graph, NULL), SOMA_DTYPE);
}

#define TEST(name_) cmocka_unit_test_setup_teardown(name_, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cubes_have_the_derivatives_of_cubes),
        TEST(a_value_used_twice_gets_both_gradients),
        TEST(no_path_means_zeros),
        TEST(a_middle_value_has_its_gradient),
        TEST(a_given_gradient_is_used),
        TEST(wrong_arguments_are_told),
        TEST(integers_have_no_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
