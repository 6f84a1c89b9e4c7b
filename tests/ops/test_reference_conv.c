/* test_reference_conv.c: the reference kernels of conv, pool and matmul, called directly: against a
 * plain restatement of the formula, as transposes of each other, and in low precision. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "ops/attrs.h"
#include "ops/ops.h"

enum { LARGEST = 4096 };

/* An array with memory of its own. */
typedef struct array {
    double data[LARGEST];
    soma__view view;
} array;

static void shape_array(array *a, soma_dtype dtype, soma_shape shape)
{
    a->view = (soma__view){.data = a->data, .dtype = dtype, .shape = shape};
    assert_true(soma__shape_count(&shape, &a->view.count));
    assert_true(a->view.count <= LARGEST);
    memset(a->data, 0xff, sizeof(a->data)); /* NaN: what a kernel forgets to write shows */
}

static void fill(array *a, soma_shape shape, uint32_t stream)
{
    soma__rng_key key = {.seed = 7, .stream = stream};
    shape_array(a, SOMA_F64, shape);
    for (int64_t i = 0; i < a->view.count; i++)
        a->data[i] = 2 * (double)soma__rng_uniform(&key, (uint64_t)i) - 1;
}

static void call(const soma__op *op, const void *attrs, const array *a, const array *b, array *y)
{
    soma__view in[2] = {a->view};
    if (b)
        in[1] = b->view;
    soma__call c = {
        .op = op, .attrs = attrs, .nin = b ? 2 : 1, .nout = 1, .in = in, .out = &y->view};
    op->reference(&c);
}

static double dot(const array *a, const array *b)
{
    double sum = 0;
    assert_int_equal(a->view.count, b->view.count);
    for (int64_t i = 0; i < a->view.count; i++)
        sum += a->data[i] * b->data[i];
    return sum;
}

static void assert_near(double got, double want)
{
    if (!(fabs(got - want) <= 1e-12 * fmax(1, fabs(want))))
        fail_msg("%.17g, expected %.17g", got, want);
}

/* --- convs ------------------------------------------------------------------------------------ */

typedef struct conv_case {
    soma_shape x, w;
    soma__conv_attrs attrs;
} conv_case;

static const conv_case convs[] = {
    {{4, {2, 5, 6, 3}},
     {4, {4, 3, 3, 3}},
     {.stride = {1, 1}, .dilation = {1, 1}, .groups = 1, .pad = {1, 1, 1, 1}}},
    {{4, {1, 7, 8, 4}},
     {4, {6, 3, 2, 2}},
     {.stride = {2, 3}, .dilation = {1, 2}, .groups = 2, .pad = {2, 0, 1, 3}}},
    {{4, {2, 6, 6, 5}},
     {4, {5, 3, 3, 1}},
     {.stride = {2, 2}, .dilation = {2, 1}, .groups = 5, .pad = {0, 1, 0, 1}}},
    {{4, {1, 9, 4, 2}}, {4, {3, 2, 2, 2}}, {.stride = {4, 3}, .dilation = {1, 1}, .groups = 1}},
};

static int64_t positions(const conv_case *c, int d)
{
    int64_t extent = (c->w.dim[d + 1] - 1) * c->attrs.dilation[d] + 1;
    return (c->x.dim[d + 1] + c->attrs.pad[d] + c->attrs.pad[d + 2] - extent) / c->attrs.stride[d] +
           1;
}

/* Visits every product x·w -> y of the formula by its three indexes, reading each pair of cells
 * from the input's side, where the kernels start at the output's. */
static void scatter(const conv_case *c, const array *x, const array *w, array *y)
{
    const soma__conv_attrs *a = &c->attrs;
    int64_t C = c->x.dim[3], O = c->w.dim[0], Cg = c->w.dim[3], Og = O / a->groups;
    int64_t Ho = y->view.shape.dim[1], Wo = y->view.shape.dim[2];
    memset(y->data, 0, sizeof(y->data));
    for (int64_t i = 0; i < x->view.count; i++) {
        int64_t ch = i % C, col = i / C % c->x.dim[2], row = i / C / c->x.dim[2] % c->x.dim[1];
        int64_t n = i / C / c->x.dim[2] / c->x.dim[1];
        for (int64_t k = 0; k < w->view.count; k++) {
            int64_t wc = k % Cg, v = k / Cg % c->w.dim[2], u = k / Cg / c->w.dim[2] % c->w.dim[1];
            int64_t o = k / Cg / c->w.dim[2] / c->w.dim[1];
            int64_t down = row + a->pad[0] - u * a->dilation[0];
            int64_t right = col + a->pad[1] - v * a->dilation[1];
            if (o / Og * Cg + wc != ch || down < 0 || right < 0 || down % a->stride[0] ||
                right % a->stride[1] || down / a->stride[0] >= Ho || right / a->stride[1] >= Wo)
                continue;
            y->data[((n * Ho + down / a->stride[0]) * Wo + right / a->stride[1]) * O + o] +=
                x->data[i] * w->data[k];
        }
    }
}

static void conv_formula(void **state)
{
    static array x, w, y, want;
    (void)state;
    for (size_t i = 0; i < sizeof(convs) / sizeof(convs[0]); i++) {
        const conv_case *c = &convs[i];
        soma_shape out = SOMA_SHAPE(c->x.dim[0], positions(c, 0), positions(c, 1), c->w.dim[0]);
        fill(&x, c->x, 1);
        fill(&w, c->w, 2);
        shape_array(&y, SOMA_F64, out);
        shape_array(&want, SOMA_F64, out);
        scatter(c, &x, &w, &want);
        call(&soma__op_conv2d, &c->attrs, &x, &w, &y);
        for (int64_t k = 0; k < y.view.count; k++)
            assert_near(y.data[k], want.data[k]);
    }
}

/* <conv2d(x,w), g> = <x, input_grad(g,w)> = <w, weight_grad(x,g)> for every x, w, g. */
static void conv_transposes(void **state)
{
    static array x, w, y, g, dx, dw;
    (void)state;
    for (size_t i = 0; i < sizeof(convs) / sizeof(convs[0]); i++) {
        const conv_case *c = &convs[i];
        soma_shape out = SOMA_SHAPE(c->x.dim[0], positions(c, 0), positions(c, 1), c->w.dim[0]);
        soma__conv_attrs attrs = c->attrs;
        fill(&x, c->x, 1);
        fill(&w, c->w, 2);
        fill(&g, out, 3);
        shape_array(&y, SOMA_F64, out);
        shape_array(&dx, SOMA_F64, c->x);
        shape_array(&dw, SOMA_F64, c->w);
        call(&soma__op_conv2d, &attrs, &x, &w, &y);
        memcpy(attrs.size, &c->x.dim[1], sizeof(attrs.size));
        call(&soma__op_conv2d_input_grad, &attrs, &g, &w, &dx);
        memcpy(attrs.size, &c->w.dim[1], sizeof(attrs.size));
        call(&soma__op_conv2d_weight_grad, &attrs, &x, &g, &dw);
        assert_near(dot(&x, &dx), dot(&y, &g));
        assert_near(dot(&w, &dw), dot(&y, &g));
    }
}

/* 4096 + 1 - 4096 in bf16: only a wide accumulator keeps the 1. */
static void low_precision(void **state)
{
    static array x, w, y;
    soma__conv_attrs conv = {.stride = {1, 1}, .dilation = {1, 1}, .groups = 1};
    soma__matmul_attrs plain = {0};
    static const double values[] = {4096, 1, -4096};
    static const soma_dtype dtypes[] = {SOMA_F32, SOMA_F16, SOMA_BF16, SOMA_F64};
    (void)state;
    for (size_t t = 0; t < sizeof(dtypes) / sizeof(dtypes[0]); t++) {
        shape_array(&x, dtypes[t], SOMA_SHAPE(1, 1, 1, 3));
        shape_array(&w, dtypes[t], SOMA_SHAPE(1, 1, 1, 3));
        shape_array(&y, dtypes[t], SOMA_SHAPE(1, 1, 1, 1));
        for (int64_t i = 0; i < 3; i++) {
            soma__store(dtypes[t], x.data, i, values[i]);
            soma__store(dtypes[t], w.data, i, 1);
        }
        call(&soma__op_conv2d, &conv, &x, &w, &y);
        assert_true(soma__load(dtypes[t], y.data, 0) == 1);
        x.view.shape = SOMA_SHAPE(1, 3);
        w.view.shape = SOMA_SHAPE(3, 1);
        shape_array(&y, dtypes[t], SOMA_SHAPE(1, 1));
        call(&soma__op_matmul, &plain, &x, &w, &y);
        assert_true(soma__load(dtypes[t], y.data, 0) == 1);
    }
}

/* --- pools ------------------------------------------------------------------------------------ */

static const soma__pool_attrs pools[] = {
    {.size = {2, 2}, .stride = {2, 2}, .dilation = {1, 1}},
    {.size = {3, 3}, .stride = {2, 2}, .dilation = {1, 1}, .pad = {1, 1, 1, 1}},
    {.size = {3, 2}, .stride = {1, 3}, .dilation = {1, 1}, .pad = {2, 0, 0, 1}, .count_pad = 1},
    {.size = {2, 1}, .stride = {4, 3}, .dilation = {1, 1}},
};

static soma_shape pooled(const soma_shape *x, const soma__pool_attrs *a)
{
    soma_shape y = *x;
    for (int d = 0; d < 2; d++)
        y.dim[d + 1] = (x->dim[d + 1] + a->pad[d] + a->pad[d + 2] - a->size[d]) / a->stride[d] + 1;
    return y;
}

/* <P_x t, g> = <t, P_xᵀ g> and <A x, g> = <x, Aᵀ g>; and max pooling picks from x itself. */
static void pool_transposes(void **state)
{
    static array x, t, y, g, back, picked;
    const soma_shape images = SOMA_SHAPE(2, 7, 8, 3);
    (void)state;
    for (size_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++) {
        soma__pool_attrs attrs = pools[i];
        soma_shape out = pooled(&images, &attrs);
        fill(&x, images, 1);
        fill(&t, images, 2);
        fill(&g, out, 3);
        shape_array(&y, SOMA_F64, out);
        shape_array(&picked, SOMA_F64, out);
        shape_array(&back, SOMA_F64, images);
        call(&soma__op_max_pool2d_pick, &attrs, &x, &t, &picked);
        call(&soma__op_max_pool2d_grad, &attrs, &x, &g, &back);
        assert_near(dot(&t, &back), dot(&picked, &g));
        call(&soma__op_max_pool2d, &attrs, &x, NULL, &y);
        call(&soma__op_max_pool2d_pick, &attrs, &x, &x, &picked);
        assert_memory_equal(y.data, picked.data, (size_t)y.view.count * sizeof(double));
        call(&soma__op_avg_pool2d, &attrs, &x, NULL, &y);
        attrs.input[0] = images.dim[1];
        attrs.input[1] = images.dim[2];
        call(&soma__op_avg_pool2d_grad, &attrs, &g, NULL, &back);
        assert_near(dot(&x, &back), dot(&y, &g));
    }
}

/* The cost of an op is what every library counts. */
static void costs(void **state)
{
    static array x, w, y;
    soma__conv_attrs conv = {.stride = {1, 1}, .dilation = {1, 1}, .groups = 2};
    soma__matmul_attrs ta = {.transpose_a = 1};
    (void)state;
    shape_array(&x, SOMA_F32, SOMA_SHAPE(2, 6, 6, 4));
    shape_array(&w, SOMA_F32, SOMA_SHAPE(8, 3, 3, 2));
    shape_array(&y, SOMA_F32, SOMA_SHAPE(2, 4, 4, 8));
    soma__view in[2] = {x.view, w.view};
    soma__call c = {.attrs = &conv, .nin = 2, .nout = 1, .in = in, .out = &y.view};
    double expected = 2.0 * (2 * 4 * 4 * 8) * (3 * 3 * 2);
    assert_true(soma__op_conv2d.flops(&c) == expected);
    soma__view grad_in[2] = {y.view, w.view};
    c.in = grad_in;
    c.out = &x.view;
    assert_true(soma__op_conv2d_input_grad.flops(&c) == expected);
    soma__view weight_in[2] = {x.view, y.view};
    c.in = weight_in;
    c.out = &w.view;
    assert_true(soma__op_conv2d_weight_grad.flops(&c) == expected);
    shape_array(&x, SOMA_F32, SOMA_SHAPE(3, 7, 5));
    shape_array(&w, SOMA_F32, SOMA_SHAPE(7, 4));
    shape_array(&y, SOMA_F32, SOMA_SHAPE(3, 5, 4));
    soma__view product_in[2] = {x.view, w.view};
    c = (soma__call){.attrs = &ta, .nin = 2, .nout = 1, .in = product_in, .out = &y.view};
    assert_true(soma__op_matmul.flops(&c) == 2.0 * 3 * 5 * 4 * 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_formula),  cmocka_unit_test(conv_transposes),
        cmocka_unit_test(low_precision), cmocka_unit_test(pool_transposes),
        cmocka_unit_test(costs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
