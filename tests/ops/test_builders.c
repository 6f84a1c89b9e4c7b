/* test_builders.c: builders without an op of their own: einsum and kin, constants by formula,
 * selections. What they compute is compared with PyTorch in tests/golden; here are values worked
 * out by hand, and what they refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "soma/soma.h"

#define S SOMA_SHAPE
#define LIST(...) ((const int64_t[]){__VA_ARGS__})

static soma_context *context;

static int open_context(void **state)
{
    (void)state;
    return soma_context_create(&context, NULL, NULL) == SOMA_OK ? 0 : -1;
}

static int close_context(void **state)
{
    (void)state;
    soma_context_destroy(context);
    return 0;
}

static soma_graph *new_graph(void)
{
    soma_graph *graph;
    assert_int_equal(soma_graph_create(&graph, NULL), SOMA_OK);
    return graph;
}

/* A constant of 1, 2, 3 … */
static soma_var counting(soma_graph *graph, soma_shape shape)
{
    soma_tensor *tensor;
    assert_int_equal(soma_tensor_create(&tensor, SOMA_F32, shape, NULL), SOMA_OK);
    for (int64_t i = 0; i < soma_tensor_count(tensor); i++)
        soma_tensor_set(tensor, i, (double)(i + 1));
    soma_var x = soma_constant(graph, tensor);
    soma_tensor_release(tensor);
    return x;
}

static void same(const soma_tensor *got, soma_shape shape, const double *want)
{
    assert_true(soma_shape_equal(soma_tensor_shape(got), &shape));
    for (int64_t i = 0; i < soma_tensor_count(got); i++)
        if (!(fabs(soma_tensor_get(got, i) - want[i]) < 1e-6))
            fail_msg("element %lld is %g, not %g", (long long)i, soma_tensor_get(got, i), want[i]);
}

/* The value of x, whose graph ends here. */
static void expect(soma_var x, soma_shape shape, const double *want)
{
    soma_tensor *got;
    soma_error err = {0};
    if (soma_eval(&got, context, x, &err) != SOMA_OK)
        fail_msg("%s", err.message);
    same(got, shape, want);
    soma_tensor_release(got);
    soma_graph_destroy(x.graph);
}

/* The graph's fault, and its end. */
static void refused(soma_graph *graph, soma_status status, const char *message)
{
    soma_error err = {0};
    assert_int_equal(soma_graph_status(graph, &err), status);
    if (!strstr(err.message, message))
        fail_msg("\"%s\" does not say \"%s\"", err.message, message);
    soma_graph_destroy(graph);
}

static soma_var einsum_of(const char *text, soma_shape a, soma_shape b)
{
    soma_graph *graph = new_graph();
    soma_var x[2] = {counting(graph, a), counting(graph, b)};
    return soma_einsum(text, x, 2);
}

static soma_var einsum_one(const char *text, soma_shape a)
{
    soma_graph *graph = new_graph();
    soma_var x = counting(graph, a);
    return soma_einsum(text, &x, 1);
}

static void einsum_values(void **state)
{
    (void)state;
    expect(einsum_of("ij,jk->ik", S(2, 2), S(2, 2)), S(2, 2), (double[]){7, 10, 15, 22});
    expect(einsum_of("ij,jk", S(2, 2), S(2, 2)), S(2, 2), (double[]){7, 10, 15, 22});
    expect(einsum_of("ij , jk -> ki", S(2, 2), S(2, 2)), S(2, 2), (double[]){7, 15, 10, 22});
    expect(einsum_one("ii", S(2, 2)), SOMA_SCALAR, (double[]){5});
    expect(einsum_one("ii->i", S(2, 2)), S(2), (double[]){1, 4});
    expect(einsum_one("ba", S(2, 2)), S(2, 2), (double[]){1, 3, 2, 4});
    expect(einsum_one("ij->", S(2, 2)), SOMA_SCALAR, (double[]){10});
    expect(einsum_one("...j->...", S(2, 2)), S(2), (double[]){3, 7});
    expect(einsum_of("i,j->ij", S(2), S(3)), S(2, 3), (double[]){1, 2, 3, 2, 4, 6});
    /* Dims of size 1 broadcast, summed over or not. */
    expect(einsum_of("ij,ij->i", S(2, 2), S(2, 1)), S(2), (double[]){3, 14});
    expect(einsum_of("ij,ij->ij", S(2, 1), S(1, 2)), S(2, 2), (double[]){1, 2, 2, 4});
    expect(einsum_of("...,...->...", S(2, 1), S(2)), S(2, 2), (double[]){1, 2, 2, 4});
}

static void einsum_refusals(void **state)
{
    static const struct {
        const char *text, *message;
        soma_shape a, b;
    } rows[] = {
        {"ij,jk->ik", "two sizes for the letter j", {2, {2, 3}}, {2, {2, 3}}},
        {"ii,jk->ik", "two sizes for the letter i", {2, {2, 3}}, {2, {2, 3}}},
        {"ij,jk->iz", "no operand has the result's letter z", {2, {2, 3}}, {2, {3, 2}}},
        {"ij,jk->ii", "the result has twice the letter i", {2, {2, 3}}, {2, {3, 2}}},
        {"ij->ij", "fewer operands than values", {2, {2, 3}}, {2, {3, 2}}},
        {"ij,jk,kl->il", "more operands than values", {2, {2, 3}}, {2, {3, 2}}},
        {"ij,j->i", "another number of dimensions", {2, {2, 3}}, {2, {3, 2}}},
        {"ijk,jk->i", "another number of dimensions", {2, {2, 3}}, {2, {3, 2}}},
        {"ij,j1->i", "expected letters, one ellipsis", {2, {2, 3}}, {2, {3, 2}}},
        {"ij,jk-ik", "expected -> before the result", {2, {2, 3}}, {2, {3, 2}}},
        {"ij,jk->ik,", "something is left behind the result", {2, {2, 3}}, {2, {3, 2}}},
        {"abcde,fghij->abcdefghij",
         "the result has too many dimensions",
         {5, {1, 1, 1, 1, 1}},
         {5, {1, 1, 1, 1, 1}}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        refused(einsum_of(rows[i].text, rows[i].a, rows[i].b).graph, SOMA_INVALID, rows[i].message);
    assert_false(soma_var_ok(soma_einsum("i", NULL, 0)));
}

static void products(void **state)
{
    (void)state;
    soma_graph *graph = new_graph();
    expect(soma_outer(counting(graph, S(2)), counting(graph, S(2))), S(2, 2),
           (double[]){1, 2, 2, 4});
    graph = new_graph();
    expect(soma_dot(counting(graph, S(3)), counting(graph, S(3))), SOMA_SCALAR, (double[]){14});
    graph = new_graph();
    soma_dot(counting(graph, S(3)), counting(graph, S(2)));
    refused(graph, SOMA_SHAPE, "dot: takes two vectors of one size");
    graph = new_graph();
    soma_var x = counting(graph, S(2, 2));
    expect(soma_tensordot(x, x, LIST(0), LIST(-1), 1), S(2, 2), (double[]){7, 15, 10, 22});
    graph = new_graph();
    x = counting(graph, S(2, 3));
    soma_tensordot(x, x, LIST(0), LIST(1), 1);
    refused(graph, SOMA_SHAPE, "tensordot: axes 0 and 1");
    graph = new_graph();
    x = counting(graph, S(2, 2));
    soma_tensordot(x, x, LIST(0, 0), LIST(1, 0), 2);
    refused(graph, SOMA_SHAPE, "tensordot: axes 0 and 0");
}

static void constants(void **state)
{
    (void)state;
    expect(soma_arange(new_graph(), SOMA_I64, 1, 8, 3), S(3), (double[]){1, 4, 7});
    expect(soma_arange(new_graph(), SOMA_F32, 1, 0, -0.25), S(4), (double[]){1, 0.75, 0.5, 0.25});
    expect(soma_arange(new_graph(), SOMA_F32, 1, 0, 1), S(0), NULL);
    expect(soma_linspace(new_graph(), SOMA_F32, -1, 2, 4), S(4), (double[]){-1, 0, 1, 2});
    expect(soma_linspace(new_graph(), SOMA_F32, 5, 2, 1), S(1), (double[]){5});
    expect(soma_eye(new_graph(), SOMA_F32, 2, 3, 1), S(2, 3), (double[]){0, 1, 0, 0, 0, 1});
    expect(soma_eye(new_graph(), SOMA_I32, 3, 2, -1), S(3, 2), (double[]){0, 0, 1, 0, 0, 1});
    expect(soma_eye(new_graph(), SOMA_F32, 1, 1, INT64_MIN), S(1, 1), (double[]){0});
    soma_graph *graph = new_graph();
    soma_arange(graph, SOMA_F32, 0, 1, 0);
    refused(graph, SOMA_INVALID, "no steps of 0 lead from 0 to 1");
    graph = new_graph();
    soma_linspace(graph, SOMA_F32, 0, NAN, 3);
    refused(graph, SOMA_INVALID, "linspace");
    graph = new_graph();
    soma_eye(graph, SOMA_F32, -1, 3, 0);
    refused(graph, SOMA_INVALID, "");

    graph = new_graph();
    soma_var out[2], x[2] = {counting(graph, S(2)), counting(graph, S(3))};
    soma_meshgrid(x, 2, out);
    expect(soma_sub(out[1], out[0]), S(2, 3), (double[]){0, 1, 2, -1, 0, 1});
    graph = new_graph();
    x[0] = x[1] = counting(graph, S(2, 2));
    soma_meshgrid(x, 2, out);
    refused(graph, SOMA_SHAPE, "meshgrid: takes at most 8 vectors; input 0 of 2 has 2 dimensions");
}

static soma_tensor *tensor_of(soma_dtype dtype, soma_shape shape, const double *values)
{
    soma_tensor *x;
    assert_int_equal(soma_tensor_create(&x, dtype, shape, NULL), SOMA_OK);
    for (int64_t i = 0; i < soma_tensor_count(x); i++)
        soma_tensor_set(x, i, values[i]);
    return x;
}

static void selections(void **state)
{
    (void)state;
    soma_tensor *positions, *values, *inverse, *counts;
    soma_tensor *mask = tensor_of(SOMA_BOOL, S(2, 3), (double[]){0, 1, 1, 0, 0, 1});
    assert_int_equal(soma_tensor_nonzero(&positions, mask, NULL), SOMA_OK);
    same(positions, S(3, 2), (double[]){0, 1, 0, 2, 1, 2});

    /* The selection has a gradient: 2x where the mask is true. */
    soma_graph *graph = new_graph();
    soma_var x = counting(graph, S(2, 3)), dx;
    soma_var chosen = soma_masked_select(x, mask);
    soma_var same_cells = soma_gather_nd(x, soma_constant(graph, positions), 0);
    soma_gradients(soma_square(chosen), &x, 1, &dx);
    soma_tensor *got[3];
    assert_int_equal(
        soma_eval_many(got, context, (soma_var[]){chosen, same_cells, dx}, 3, NULL, 0, NULL),
        SOMA_OK);
    same(got[0], S(3), (double[]){2, 3, 6});
    same(got[1], S(3), (double[]){2, 3, 6});
    same(got[2], S(2, 3), (double[]){0, 4, 6, 0, 0, 12});
    for (int i = 0; i < 3; i++)
        soma_tensor_release(got[i]);
    soma_masked_select(x, positions);
    refused(graph, SOMA_SHAPE, "masked_select: the mask must be bool [2,3]");
    soma_tensor_release(positions);
    soma_tensor_release(mask);

    soma_tensor *t = tensor_of(SOMA_F32, S(2, 4), (double[]){3, NAN, -1, 3, 0, NAN, -1, 3});
    assert_int_equal(soma_tensor_unique(&values, &inverse, &counts, t, NULL), SOMA_OK);
    assert_int_equal(soma_tensor_count(values), 4);
    assert_true(isnan(soma_tensor_get(values, 3)));
    soma_tensor_set(values, 3, 9);
    same(values, S(4), (double[]){-1, 0, 3, 9});
    same(inverse, S(2, 4), (double[]){2, 3, 0, 2, 1, 3, 0, 2});
    same(counts, S(4), (double[]){2, 1, 3, 2});
    soma_tensor_release(values);
    soma_tensor_release(inverse);
    soma_tensor_release(counts);
    soma_tensor_release(t);

    t = tensor_of(SOMA_I64, S(0), NULL);
    assert_int_equal(soma_tensor_unique(&values, NULL, NULL, t, NULL), SOMA_OK);
    assert_int_equal(soma_tensor_count(values), 0);
    soma_tensor_release(values);
    assert_int_equal(soma_tensor_nonzero(&positions, t, NULL), SOMA_OK);
    same(positions, S(0, 1), NULL);
    soma_tensor_release(positions);
    soma_tensor_release(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(einsum_values), cmocka_unit_test(einsum_refusals),
        cmocka_unit_test(products),      cmocka_unit_test(constants),
        cmocka_unit_test(selections),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
