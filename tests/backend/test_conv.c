/* Convolutions and their gradients on every instruction set against the reference: channels around
 * the tiles, few and many channels, strides, dilations, uneven padding, groups, single channels,
 * windows larger than the image, and epilogues. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backend/cpu/conv.h"
#include "products.h"

typedef struct conv_case {
    int64_t n, h, w, c, o, kh, kw;
    int64_t stride[2], dilation[2], pad[4], groups;
} conv_case;

static const conv_case cases[] = {
    /* n h w c o kh kw stride dilation pad groups */
    {1, 1, 1, 1, 1, 1, 1, {1, 1}, {1, 1}, {0}, 1},
    {2, 7, 9, 16, 33, 3, 3, {1, 1}, {1, 1}, {1, 1, 1, 1}, 1},
    {2, 7, 9, 8, 32, 3, 3, {1, 1}, {1, 1}, {0}, 1},
    {1, 12, 11, 17, 31, 3, 3, {1, 1}, {1, 1}, {1, 1, 1, 1}, 1},
    {3, 5, 6, 64, 7, 3, 2, {1, 1}, {1, 1}, {1, 0, 0, 2}, 1},
    /* few channels: panels, and the narrow weight gradient */
    {3, 14, 13, 1, 32, 3, 3, {1, 1}, {1, 1}, {0}, 1},
    {2, 14, 13, 1, 6, 5, 5, {1, 1}, {1, 1}, {2, 2, 2, 2}, 1},
    {2, 16, 15, 3, 20, 7, 7, {2, 2}, {1, 1}, {3, 3, 3, 3}, 1},
    {1, 9, 9, 7, 40, 3, 3, {1, 2}, {2, 1}, {0, 1, 2, 0}, 1},
    {2, 9, 9, 3, 5, 3, 3, {3, 3}, {2, 2}, {2, 2, 2, 2}, 1},
    /* few channels: vectors of pixels, several bands of rows, rows of the kernel as one tap */
    {2, 32, 32, 3, 6, 5, 5, {1, 1}, {1, 1}, {0}, 1},
    {2, 14, 14, 6, 16, 5, 5, {1, 1}, {1, 1}, {0}, 1},
    {1, 45, 70, 3, 20, 5, 4, {1, 1}, {1, 1}, {2, 1, 2, 2}, 1},
    {1, 9, 40, 20, 3, 3, 3, {1, 1}, {1, 1}, {1, 1, 1, 1}, 1},
    {2, 21, 37, 2, 5, 4, 5, {2, 2}, {1, 1}, {0, 0, 1, 2}, 1},
    {1, 17, 43, 4, 3, 3, 3, {3, 4}, {2, 3}, {2, 3, 1, 0}, 1},
    {1, 70, 5, 3, 7, 7, 3, {1, 1}, {1, 1}, {9, 0, 3, 4}, 1},
    {1, 8, 20, 3, 4, 3, 3, {1, 1}, {4, 8}, {3, 7, 3, 7}, 1},
    /* strides and dilations */
    {2, 11, 10, 16, 20, 3, 3, {2, 2}, {1, 1}, {1, 1, 1, 1}, 1},
    {1, 13, 12, 16, 18, 3, 3, {2, 3}, {2, 1}, {2, 1, 2, 1}, 1},
    {1, 15, 15, 12, 16, 3, 3, {1, 1}, {3, 2}, {3, 2, 3, 2}, 1},
    {1, 10, 10, 9, 9, 2, 2, {4, 4}, {1, 1}, {0}, 1},
    {1, 6, 6, 8, 8, 2, 2, {6, 7}, {3, 3}, {0}, 1},
    /* one tap: products; and one that is none */
    {2, 6, 5, 40, 50, 1, 1, {1, 1}, {1, 1}, {0}, 1},
    {2, 6, 5, 10, 12, 1, 1, {2, 2}, {1, 1}, {0}, 1},
    {1, 4, 4, 10, 12, 1, 1, {1, 1}, {1, 1}, {1, 1, 1, 1}, 1},
    /* more padding than kernel, kernel as large as the image */
    {1, 3, 4, 10, 11, 2, 2, {1, 1}, {1, 1}, {3, 2, 4, 5}, 1},
    {2, 5, 4, 10, 14, 5, 4, {1, 1}, {1, 1}, {0}, 1},
    {1, 2, 2, 9, 5, 3, 3, {1, 1}, {1, 1}, {1, 1, 1, 1}, 1},
    {1, 3, 40, 5, 4, 1, 7, {1, 1}, {1, 1}, {0, 3, 0, 3}, 1},
    /* groups */
    {2, 6, 7, 24, 48, 3, 3, {1, 1}, {1, 1}, {1, 1, 1, 1}, 2},
    {1, 6, 7, 12, 6, 3, 3, {2, 1}, {1, 1}, {1, 1, 1, 1}, 3},
    {1, 6, 7, 4, 12, 3, 3, {1, 1}, {1, 1}, {1, 1, 1, 1}, 4},
    {2, 9, 8, 35, 35, 3, 3, {1, 1}, {1, 1}, {1, 1, 1, 1}, 35},
    {1, 9, 8, 20, 20, 3, 5, {2, 2}, {1, 2}, {1, 4, 1, 4}, 20},
    /* enough work that the sums over pixels and the taps are cut */
    {1, 30, 30, 16, 70, 3, 3, {1, 1}, {1, 1}, {1, 1, 1, 1}, 1},
    {1, 4, 4, 150, 40, 3, 3, {1, 1}, {1, 1}, {1, 1, 1, 1}, 1},
};
#define CASES (sizeof(cases) / sizeof(cases[0]))

static int64_t output(const conv_case *t, int d)
{
    int64_t size = d ? t->w : t->h, kernel = d ? t->kw : t->kh;
    return (size + t->pad[d] + t->pad[d + 2] - (kernel - 1) * t->dilation[d] - 1) / t->stride[d] +
           1;
}

static soma__conv_attrs attrs_of(const conv_case *t)
{
    soma__conv_attrs attrs = {.groups = t->groups};
    memcpy(attrs.stride, t->stride, sizeof(attrs.stride));
    memcpy(attrs.dilation, t->dilation, sizeof(attrs.dilation));
    memcpy(attrs.pad, t->pad, sizeof(attrs.pad));
    return attrs;
}

static void describe(const conv_case *t, char *what, size_t size)
{
    snprintf(what, size,
             "x %lldx%lldx%lldx%lld, w %lldx%lldx%lld, stride %lldx%lld, dilation %lldx%lld, "
             "pad %lld %lld %lld %lld, groups %lld",
             (long long)t->n, (long long)t->h, (long long)t->w, (long long)t->c, (long long)t->o,
             (long long)t->kh, (long long)t->kw, (long long)t->stride[0], (long long)t->stride[1],
             (long long)t->dilation[0], (long long)t->dilation[1], (long long)t->pad[0],
             (long long)t->pad[1], (long long)t->pad[2], (long long)t->pad[3],
             (long long)t->groups);
}

static void check(const conv_case *t, const char *op, bool epilogue)
{
    soma_shape x = SOMA_SHAPE(t->n, t->h, t->w, t->c);
    soma_shape w = SOMA_SHAPE(t->o, t->kh, t->kw, t->c / t->groups);
    soma_shape y = SOMA_SHAPE(t->n, output(t, 0), output(t, 1), t->o);
    soma__conv_attrs attrs = attrs_of(t);
    char what[160];
    describe(t, what, sizeof(what));
    if (strcmp(op, "conv2d") == 0) {
        check_product(op, what, &attrs, x, w, y, t->kh * t->kw * t->c, epilogue);
    } else if (strcmp(op, "conv2d_input_grad") == 0) {
        attrs.size[0] = t->h;
        attrs.size[1] = t->w;
        check_product(op, what, &attrs, y, w, x, t->kh * t->kw * t->o, false);
    } else {
        attrs.size[0] = t->kh;
        attrs.size[1] = t->kw;
        check_product(op, what, &attrs, x, y, w, t->n * y.dim[1] * y.dim[2], false);
    }
}

/* The same of bf16. Epilogues of input gradients want no stride, and more than
 * one channel a group. */
static void check_bf16(const conv_case *t, const char *op, bool epilogue)
{
    soma_shape x = SOMA_SHAPE(t->n, t->h, t->w, t->c);
    soma_shape w = SOMA_SHAPE(t->o, t->kh, t->kw, t->c / t->groups);
    soma_shape y = SOMA_SHAPE(t->n, output(t, 0), output(t, 1), t->o);
    soma__conv_attrs plain = attrs_of(t), attrs;
    char what[160];
    describe(t, what, sizeof(what));
    if (strcmp(op, "conv2d_input_grad") == 0) {
        plain.size[0] = t->h;
        plain.size[1] = t->w;
    } else if (strcmp(op, "conv2d_weight_grad") == 0) {
        plain.size[0] = t->kh;
        plain.size[1] = t->kw;
    }
    attrs = plain;
    attrs.precision = SOMA_BF16;
    if (strcmp(op, "conv2d") == 0)
        check_product_bf16(op, what, &attrs, &plain, x, w, y, t->kh * t->kw * t->c, epilogue);
    else if (strcmp(op, "conv2d_input_grad") == 0)
        check_product_bf16(op, what, &attrs, &plain, y, w, x, t->kh * t->kw * t->o,
                           epilogue && t->stride[0] == 1 && t->stride[1] == 1 && t->groups < t->c);
    else
        check_product_bf16(op, what, &attrs, &plain, x, y, w, t->n * y.dim[1] * y.dim[2], false);
}

static void of_bf16(void **state)
{
    static const char *const ops[] = {"conv2d", "conv2d_input_grad", "conv2d_weight_grad"};
    (void)state;
    for (size_t i = 0; i < CASES; i++)
        for (int op = 0; op < 3; op++)
            for (int epilogue = 0; epilogue < 2; epilogue++)
                if (op < 2 || !epilogue)
                    check_bf16(&cases[i], ops[op], epilogue);
}

static void forward(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++)
        check(&cases[i], "conv2d", false);
}

static void forward_with_epilogue(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++)
        check(&cases[i], "conv2d", true);
}

static void input_gradient(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++)
        check(&cases[i], "conv2d_input_grad", false);
}

static void weight_gradient(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++)
        check(&cases[i], "conv2d_weight_grad", false);
}

static void no_images(void **state)
{
    (void)state;
    conv_case t = {0, 7, 9, 8, 12, 3, 3, {1, 1}, {1, 1}, {1, 1, 1, 1}, 1};
    check(&t, "conv2d", false);
    check(&t, "conv2d_input_grad", false);
    check(&t, "conv2d_weight_grad", false);
    check_bf16(&t, "conv2d", false);
    check_bf16(&t, "conv2d_input_grad", false);
    check_bf16(&t, "conv2d_weight_grad", false);
    t.c = t.o = t.groups = 16;
    check(&t, "conv2d", false);
    check(&t, "conv2d_weight_grad", false);
    t.c = 2;
    t.o = 20;
    t.groups = 1;
    check(&t, "conv2d_weight_grad", false);
    t.kh = t.kw = 1;
    memset(t.pad, 0, sizeof(t.pad));
    check(&t, "conv2d_weight_grad", false);
}

static void refusals(void **state)
{
    (void)state;
    soma__view in[2] = {{.dtype = SOMA_F64}, {.dtype = SOMA_F64}}, out = {.dtype = SOMA_F64};
    soma__call call = {.nin = 2, .nout = 1, .in = in, .out = &out};
    assert_non_null(soma__refuses_conv2d(&call));
    assert_non_null(soma__refuses_conv2d_input_grad(&call));
    assert_non_null(soma__refuses_conv2d_weight_grad(&call));
    soma__conv_attrs attrs = {.stride = {1, 2}};
    soma__program program = {.loads = 1, .stores = 1};
    call.attrs = &attrs;
    call.program = &program;
    in[0].dtype = in[1].dtype = SOMA_BF16;
    assert_non_null(soma__refuses_conv2d_input_grad_bf16(&call)); /* a stride */
    attrs = (soma__conv_attrs){.stride = {1, 1}, .dilation = {1, 1}, .groups = 3};
    in[0].shape = out.shape = SOMA_SHAPE(1, 1, 1, 3);
    in[1].shape = SOMA_SHAPE(3, 1, 1, 1);
    assert_non_null(soma__refuses_conv2d_input_grad_bf16(&call)); /* depthwise */
    assert_null(soma__refuses_conv2d_bf16(&call));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward),        cmocka_unit_test(forward_with_epilogue),
        cmocka_unit_test(input_gradient), cmocka_unit_test(weight_gradient),
        cmocka_unit_test(no_images),      cmocka_unit_test(refusals),
        cmocka_unit_test(of_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
