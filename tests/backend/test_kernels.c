/* The kernels beside products, convs and vector programs: sizes around vectors, chunks and blocks,
 * which the samples of tests/ops are too small to reach. kernels.h says what each case checks. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels.h"
#include "ops/attrs.h"

/* --- reductions ---------------------------------------------------------------------------------
 */

static soma_shape reduced(soma_shape x, int64_t mask)
{
    soma_shape y = {0};
    for (int d = 0; d < x.ndim; d++)
        if (!(mask >> d & 1))
            y.dim[y.ndim++] = x.dim[d];
    return y;
}

/* With NaN among the inputs when `nan` is set. */
static void reduce_case(const char *op, soma_shape x, int64_t mask, bool nan)
{
    const soma__reduce_attrs attrs = {.mask = mask};
    char text[SOMA_SHAPE_TEXT_SIZE];
    kernel_case test = {.op = op, .what = soma_shape_text(&x, text, sizeof(text)), .attrs = &attrs};
    bool picks = strcmp(op, "max") == 0 || strcmp(op, "min") == 0;
    float *data = add_input(&test, SOMA_F32, x, picks ? -100 : 0, 1);
    if (nan)
        for (int64_t i = 3; i < test.in[0].count; i += 29)
            data[i] = NAN;
    add_output(&test, SOMA_F32, reduced(x, mask));
    test.tolerance = picks ? 0 : 3e-7; /* nothing cancels: the sums are of positive numbers */
    check_kernel(&test);
}

static void reductions(void **state)
{
    static const char *const ops[] = {"sum", "mean", "max", "min"};
    (void)state;
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        for (int nan = 0; nan < 2; nan++) {
            const char *op = ops[i];
            for (int64_t n = 1; n < 80; n = n * 3 / 2 + 1) {
                reduce_case(op, SOMA_SHAPE(7, n), 2, nan);
                reduce_case(op, SOMA_SHAPE(n, 9), 1, nan);
                reduce_case(op, SOMA_SHAPE(5, n, 3), 2, nan);
            }
            reduce_case(op, SOMA_SHAPE(100003), 1, nan);        /* chunks of one row */
            reduce_case(op, SOMA_SHAPE(9001, 10), 1, nan);      /* chunks of columns */
            reduce_case(op, SOMA_SHAPE(70, 1100), 1, nan);      /* several panels */
            reduce_case(op, SOMA_SHAPE(300, 70), 2, nan);       /* several rows a block */
            reduce_case(op, SOMA_SHAPE(6, 14, 14, 33), 7, nan); /* all but channels */
            reduce_case(op, SOMA_SHAPE(6, 14, 14, 33), 6, nan); /* global pooling */
            reduce_case(op, SOMA_SHAPE(6, 5, 4, 7), 5, nan);    /* two groups */
            reduce_case(op, SOMA_SHAPE(3, 4, 3, 4, 3, 4), 42, nan);
            reduce_case(op, SOMA_SHAPE(1, 12, 1), 5, nan); /* nothing to add up */
            reduce_case(op, SOMA_SCALAR, 0, nan);
        }
}

static void argmax(void **state)
{
    static const soma_shape shapes[] = {{1, {1}},        {1, {5000}},       {2, {300, 10}},
                                        {2, {3, 100}},   {3, {4, 9, 21}},   {3, {70, 3, 40}},
                                        {2, {1000, 33}}, {3, {2, 100, 300}}};
    (void)state;
    for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++)
        for (int axis = 0; axis < shapes[s].ndim; axis++)
            for (int nan = 0; nan < 2; nan++) {
                const soma__axis_attrs attrs = {axis};
                kernel_case test = {.op = "argmax", .what = "argmax", .attrs = &attrs};
                float *data = add_input(&test, SOMA_F32, shapes[s], -4, 4);
                for (int64_t i = 0; i < test.in[0].count; i++)
                    data[i] = nan && i % 31 == 7 ? NAN : floorf(data[i]); /* many ties */
                add_output(&test, SOMA_I64, reduced(shapes[s], INT64_C(1) << axis));
                check_kernel(&test);
            }
}

/* --- softmax and cross-entropy -------------------------------------------------------------------
 */

static void softmax_case(const char *op, soma_shape x, int64_t axis, int fault)
{
    const soma__axis_attrs attrs = {axis};
    kernel_case test = {.op = op, .what = op, .attrs = &attrs, .tolerance = 1e-6};
    float *data = add_input(&test, SOMA_F32, x, -90, 90);
    static const float faults[] = {0, NAN, INFINITY, -INFINITY};
    if (fault)
        data[test.in[0].count / 2] = faults[fault];
    add_output(&test, SOMA_F32, x);
    check_kernel(&test);
}

static void softmaxes(void **state)
{
    static const char *const ops[] = {"softmax", "log_softmax"};
    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (int fault = 0; fault < 4; fault++) {
            for (int64_t n = 1; n < 70; n = n * 3 / 2 + 1)
                softmax_case(ops[i], SOMA_SHAPE(5, n), 1, fault);
            softmax_case(ops[i], SOMA_SHAPE(3, 20001), 1, fault);
            softmax_case(ops[i], SOMA_SHAPE(1500, 10), 1, fault);
            softmax_case(ops[i], SOMA_SHAPE(3, 70, 150), 1, fault);
            softmax_case(ops[i], SOMA_SHAPE(100, 3), 0, fault);
        }
}

static void cross_entropy(void **state)
{
    static const soma_dtype dtypes[] = {SOMA_I32, SOMA_I64};
    static const int64_t sizes[][2] = {{1, 1}, {7, 10}, {1000, 3}, {64, 1000}, {2, 20000}};
    (void)state;
    for (size_t t = 0; t < 2; t++)
        for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
            kernel_case test = {.op = "cross_entropy", .what = "cross-entropy", .tolerance = 1e-6};
            add_input(&test, SOMA_F32, SOMA_SHAPE(sizes[s][0], sizes[s][1]), -20, 20);
            /* One label in a hundred is out of range on each side. */
            add_input(&test, dtypes[t], SOMA_SHAPE(sizes[s][0]), -0.01 * (double)sizes[s][1],
                      1.01 * (double)sizes[s][1]);
            add_output(&test, SOMA_F32, SOMA_SHAPE(sizes[s][0]));
            check_kernel(&test);
        }
}

/* --- pooling
 * --------------------------------------------------------------------------------------- */

static void pool_case(const soma__pool_attrs *attrs, int64_t h, int64_t w, int64_t c, bool nan)
{
    static const char *const ops[] = {"max_pool2d", "max_pool2d_pick", "max_pool2d_grad",
                                      "avg_pool2d", "avg_pool2d_grad"};
    const soma_shape x = SOMA_SHAPE(3, h, w, c);
    const soma_shape y =
        SOMA_SHAPE(3, (h + attrs->pad[0] + attrs->pad[2] - attrs->size[0]) / attrs->stride[0] + 1,
                   (w + attrs->pad[1] + attrs->pad[3] - attrs->size[1]) / attrs->stride[1] + 1, c);
    for (int op = 0; op < 5; op++) {
        soma__pool_attrs a = *attrs;
        kernel_case test = {.op = ops[op], .what = "pool", .attrs = &a, .tolerance = 1e-6};
        if (op == 4) {
            a.input[0] = h;
            a.input[1] = w;
        } else {
            float *data = add_input(&test, SOMA_F32, x, -4, 4);
            for (int64_t i = 0; i < test.in[0].count; i++)
                data[i] = nan && i % 37 == 5 ? NAN : floorf(data[i]); /* many ties */
        }
        if (op == 1)
            add_input(&test, SOMA_F32, x, -1, 1);
        if (op == 2 || op == 4)
            add_input(&test, SOMA_F32, y, -1, 1);
        add_output(&test, SOMA_F32, op == 2 || op == 4 ? x : y);
        check_kernel(&test);
    }
}

static void pools(void **state)
{
    static const soma__pool_attrs kinds[] = {
        {.size = {2, 2}, .stride = {2, 2}, .dilation = {1, 1}},
        {.size = {3, 3}, .stride = {2, 2}, .dilation = {1, 1}, .pad = {1, 1, 1, 1}},
        {.size = {3, 2}, .stride = {1, 1}, .dilation = {1, 1}, .pad = {2, 0, 1, 1}, .count_pad = 1},
        {.size = {2, 3}, .stride = {3, 4}, .dilation = {1, 1}},
        {.size = {7, 6}, .stride = {1, 1}, .dilation = {1, 1}},
    };
    static const int64_t channels[] = {1, 3, 16, 29, 70};
    (void)state;
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
        for (size_t c = 0; c < sizeof(channels) / sizeof(channels[0]); c++) {
            pool_case(&kinds[k], 7, 6, channels[c], false);
            pool_case(&kinds[k], 13, 9, channels[c], c == 2);
        }
}

/* --- moving
 * ----------------------------------------------------------------------------------------- */

static const soma_dtype sizes_of_elements[] = {SOMA_U8, SOMA_BF16, SOMA_F32, SOMA_I64};

static void permutes(void **state)
{
    static const soma_shape shapes[] = {
        {2, {70, 130}},       {3, {3, 40, 50}}, {4, {2, 17, 18, 19}},
        {4, {5, 1, 33, 4}},   {3, {1, 1, 1}},   {2, {300, 301}},
        {5, {3, 2, 5, 4, 6}}, {1, {70000}},     {3, {2, 0, 3}}};
    (void)state;
    for (size_t t = 0; t < 4; t++)
        for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++)
            for (int turn = 0; turn < 3; turn++) {
                int n = shapes[s].ndim;
                soma__permute_attrs attrs = {.count = n};
                soma_shape y = {.ndim = n};
                for (int d = 0; d < n; d++) { /* rotations, and the reverse order */
                    attrs.axes[d] = turn == 2 ? n - 1 - d : (d + turn + 1) % n;
                    y.dim[d] = shapes[s].dim[attrs.axes[d]];
                }
                kernel_case test = {.op = "permute", .what = "permute", .attrs = &attrs};
                add_input(&test, sizes_of_elements[t], shapes[s], 0, 100);
                add_output(&test, sizes_of_elements[t], y);
                check_kernel(&test);
            }
}

static void expand_case(soma_dtype dtype, soma_shape x, soma_shape y)
{
    soma__shape_attrs attrs = {.ndim = y.ndim};
    memcpy(attrs.dim, y.dim, sizeof(attrs.dim));
    kernel_case test = {.op = "expand", .what = "expand", .attrs = &attrs};
    add_input(&test, dtype, x, 0, 100);
    add_output(&test, dtype, y);
    check_kernel(&test);
}

static void expands_slices_pads(void **state)
{
    (void)state;
    for (size_t t = 0; t < 4; t++) {
        soma_dtype dtype = sizes_of_elements[t];
        expand_case(dtype, SOMA_SCALAR, SOMA_SHAPE(100000));
        expand_case(dtype, SOMA_SHAPE(10), SOMA_SHAPE(500, 10));
        expand_case(dtype, SOMA_SHAPE(500, 1), SOMA_SHAPE(500, 10));
        expand_case(dtype, SOMA_SHAPE(4, 1, 5, 1), SOMA_SHAPE(2, 4, 3, 5, 6));
        expand_case(dtype, SOMA_SHAPE(50000), SOMA_SHAPE(50000));
        for (int64_t axis = 0; axis < 3; axis++) {
            const soma__slice_attrs slice = {axis, 2, 9};
            soma_shape y = SOMA_SHAPE(12, 15, 40);
            kernel_case test = {.op = "slice", .what = "slice", .attrs = &slice};
            add_input(&test, dtype, y, 0, 100);
            y.dim[axis] = 7;
            add_output(&test, dtype, y);
            check_kernel(&test);
        }
        const soma__pad_attrs pad = {
            .count = 3, .before = {1, 0, 2}, .after = {0, 3, 1}, .value = 7};
        kernel_case test = {.op = "pad", .what = "pad", .attrs = &pad};
        add_input(&test, dtype, SOMA_SHAPE(12, 15, 40), 0, 100);
        add_output(&test, dtype, SOMA_SHAPE(13, 18, 43));
        check_kernel(&test);
    }
}

static void concats(void **state)
{
    (void)state;
    for (size_t t = 0; t < 4; t++)
        for (int64_t axis = 0; axis < 3; axis++) {
            const soma__axis_attrs attrs = {axis};
            kernel_case test = {.op = "concat", .what = "concat", .attrs = &attrs};
            soma_shape y = SOMA_SHAPE(20, 30, 40), x = y;
            y.dim[axis] = 0;
            for (int64_t i = 0; i < 4; i++) { /* 0, 1, 4, 9 cells */
                x.dim[axis] = i * i;
                add_input(&test, sizes_of_elements[t], x, 0, 100);
                y.dim[axis] += i * i;
            }
            add_output(&test, sizes_of_elements[t], y);
            check_kernel(&test);
        }
}

/* Indexes go beyond both ends. */
static void indexed(void **state)
{
    (void)state;
    for (size_t t = 0; t < 4; t++)
        for (int64_t axis = 0; axis < 3; axis++) {
            const soma__axis_attrs attrs = {axis};
            kernel_case test = {.op = "gather", .what = "gather", .attrs = &attrs};
            soma_shape x = SOMA_SHAPE(11, 12, 70), y = x;
            y.dim[axis] = 200;
            add_input(&test, sizes_of_elements[t], x, 0, 100);
            add_input(&test, t % 2 ? SOMA_I32 : SOMA_I64, SOMA_SHAPE(200), -2, 13);
            add_output(&test, sizes_of_elements[t], y);
            check_kernel(&test);
        }
    for (int64_t axis = 0; axis < 3; axis++) {
        const soma__scatter_attrs attrs = {axis, 9};
        kernel_case test = {
            .op = "scatter_add", .what = "scatter_add", .attrs = &attrs, .tolerance = 1e-5};
        soma_shape x = SOMA_SHAPE(11, 12, 70), y = x;
        x.dim[axis] = 200;
        y.dim[axis] = 9;
        add_input(&test, SOMA_F32, x, -1, 1);
        add_input(&test, SOMA_I64, SOMA_SHAPE(200), -2, 11);
        add_output(&test, SOMA_F32, y);
        check_kernel(&test);
    }
    const soma__one_hot_attrs depth = {10};
    kernel_case test = {.op = "one_hot", .what = "one_hot", .attrs = &depth};
    add_input(&test, SOMA_I32, SOMA_SHAPE(3000), -2, 12);
    add_output(&test, SOMA_F32, SOMA_SHAPE(3000, 10));
    check_kernel(&test);
}

static void casts(void **state)
{
    (void)state;
    for (int from = SOMA_F32; from <= SOMA_BOOL; from++)
        for (int to = SOMA_F32; to <= SOMA_BOOL; to++) {
            const soma__cast_attrs attrs = {to};
            kernel_case test = {.op = "cast", .what = "cast", .attrs = &attrs};
            add_input(&test, (soma_dtype)from, SOMA_SHAPE(20000), -300, 300);
            add_output(&test, (soma_dtype)to, SOMA_SHAPE(20000));
            check_kernel(&test);
        }
}

static void randoms(void **state)
{
    static const char *const ops[] = {"random_uniform", "random_normal", "random_bernoulli"};
    static const double chances[] = {0, 0.3, 0.5, 1};
    (void)state;
    for (size_t i = 0; i < 3; i++)
        for (size_t p = 0; p < 4; p++) {
            soma__random_attrs attrs = {.stream = 5, .ndim = 1, .dim = {10007}, .p = chances[p]};
            kernel_case test = {.op = ops[i], .what = "random", .attrs = &attrs};
            add_input(&test, SOMA_I64, SOMA_SHAPE(2), 0, 1000);
            add_output(&test, i == 2 ? SOMA_BOOL : SOMA_F32, SOMA_SHAPE(10007));
            check_kernel(&test);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reductions), cmocka_unit_test(argmax),
        cmocka_unit_test(softmaxes),  cmocka_unit_test(cross_entropy),
        cmocka_unit_test(pools),      cmocka_unit_test(permutes),
        cmocka_unit_test(concats),    cmocka_unit_test(expands_slices_pads),
        cmocka_unit_test(indexed),    cmocka_unit_test(casts),
        cmocka_unit_test(randoms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
