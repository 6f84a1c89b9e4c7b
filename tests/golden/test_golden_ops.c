/* test_golden_ops.c: results and gradients of ops against PyTorch's (README.md here). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "format/safetensors.h"
#include "soma/soma.h"

#define MAX_INPUTS 5

typedef struct golden {
    const char *name;   /* prefix in the file */
    const char *inputs; /* "x w" */
    soma_var (*build)(const soma_var *in);
} golden;

/* A row's function: `y_` may use in[0], in[1], … */
#define OP(name_, y_)                                                                              \
    static soma_var name_(const soma_var *in)                                                      \
    {                                                                                              \
        return y_;                                                                                 \
    }

OP(matmul, soma_matmul(in[0], in[1]))
OP(matmul_transposed, soma_matmul(in[0], in[1], .transpose_a = true, .transpose_b = true))
OP(linear, soma_linear(in[0], in[1], in[2]))
OP(conv2d, soma_conv2d(in[0], in[1]))
OP(conv2d_stride, soma_conv2d(in[0], in[1], .stride = {2, 3}, .pad = {1, 1, 1, 1}))
OP(conv2d_pad, soma_conv2d(in[0], in[1], .pad = {2, 1, 2, 1}))
OP(conv2d_dilation, soma_conv2d(in[0], in[1], .dilation = {2, 3}, .pad = {2, 3, 2, 3}))
OP(conv2d_groups, soma_conv2d(in[0], in[1], .groups = 2, .pad = {1, 1, 1, 1}))
OP(conv2d_depthwise, soma_conv2d(in[0], in[1], .groups = 5, .stride = {2, 2}, .pad = {1, 1, 1, 1}))
OP(conv2d_wide, soma_conv2d(in[0], in[1], .pad = {1, 1, 1, 1}))
OP(conv2d_same, soma_conv2d(in[0], in[1], .padding = SOMA_PAD_SAME))
OP(max_pool2d, soma_max_pool2d(in[0], .size = {2, 2}))
OP(max_pool2d_overlap,
   soma_max_pool2d(in[0], .size = {3, 3}, .stride = {2, 2}, .pad = {1, 1, 1, 1}))
OP(avg_pool2d, soma_avg_pool2d(in[0], .size = {2, 2}))
OP(avg_pool2d_overlap,
   soma_avg_pool2d(in[0], .size = {3, 3}, .stride = {2, 2}, .pad = {1, 1, 1, 1}))
OP(avg_pool2d_count_pad,
   soma_avg_pool2d(in[0], .size = {3, 3}, .stride = {2, 2}, .pad = {1, 1, 1, 1}, .count_pad = true))
OP(layer_norm, soma_layer_norm(in[0], in[1], in[2], 1e-5))
OP(batch_norm_eval, soma_batch_norm(in[0], in[1], in[2], in[3], in[4], 1e-5))
static soma_var batch_norm_train(const soma_var *in)
{
    soma_var mean = soma_mean(in[0], .axes = {0, 1, 2}, .count = 3);
    soma_var var = soma_variance(in[0], .axes = {0, 1, 2}, .count = 3);
    return soma_batch_norm(in[0], mean, var, in[1], in[2], 1e-5);
}
OP(softmax, soma_softmax(in[0], -1))
OP(softmax_axis, soma_softmax(in[0], 1))
OP(log_softmax, soma_log_softmax(in[0], -1))
OP(log_softmax_axis, soma_log_softmax(in[0], 0))
OP(cross_entropy, soma_cross_entropy(in[0], in[1]))
OP(bce_logits, soma_bce_logits(in[0], in[1]))
OP(squared_error, soma_squared_error(in[0], in[1]))

/* clang-format off */
#define UNARY(X)                                                                                   \
    X(neg) X(abs) X(sign) X(square) X(reciprocal) X(sqrt) X(rsqrt) X(exp) X(log) X(sin) X(cos)      \
    X(tanh) X(erf) X(sigmoid) X(softplus) X(floor) X(ceil) X(round) X(relu) X(gelu) X(gelu_tanh)    \
    X(silu)
#define BINARY(X) X(add) X(sub) X(mul) X(div) X(maximum) X(minimum) X(pow)
/* clang-format on */
#define UNARY_FUNCTION(name_) OP(op_##name_, soma_##name_(in[0]))
#define BINARY_FUNCTION(name_) OP(op_##name_, soma_##name_(in[0], in[1]))
UNARY(UNARY_FUNCTION)
BINARY(BINARY_FUNCTION)
OP(leaky_relu, soma_leaky_relu(in[0], 0.1))
OP(elu, soma_elu(in[0], 0.7))
OP(clamp, soma_clamp(in[0], -1, 2))
OP(pow_scalar, soma_pow_scalar(in[0], 2.5))
OP(where, soma_where(soma_less(in[0], soma_scalar(in[0].graph, SOMA_F32, 0)), in[1], in[2]))
OP(sum, soma_sum(in[0], .axes = {0, 2}, .count = 2))
OP(mean, soma_mean(in[0], .axes = {1}, .count = 1, .keep_dims = true))
OP(max, soma_max(in[0], .axes = {0, 1}, .count = 2))
OP(max_ties, soma_max(in[0], .axes = {1}, .count = 1))
OP(min, soma_min(in[0], .axes = {2}, .count = 1))
OP(variance, soma_variance(in[0], .axes = {0, 2}, .count = 2))
OP(argmax, soma_argmax(in[0], 1))
OP(permute, soma_permute(in[0], (int64_t[]){2, 0, 1}, 3))
OP(slice, soma_slice(in[0], 1, 1, -1))
OP(concat, soma_concat(in, 2, 1))
OP(pad, soma_pad(in[0], (int64_t[]){0, 1}, (int64_t[]){3, 2}, 2, 0.5))
OP(gather, soma_gather(in[0], in[1], 1))
OP(scatter_add, soma_scatter_add(in[0], in[1], 1, 5))
OP(one_hot, soma_one_hot(in[0], 4))

#define UNARY_ROW(name_) {#name_, "x", op_##name_},
#define BINARY_ROW(name_) {#name_, "a b", op_##name_},
static const golden cases[] = {
    {"matmul", "a b", matmul},
    {"matmul_transposed", "a b", matmul_transposed},
    {"matmul_batch", "a b", matmul},
    {"linear", "x w b", linear},
    {"conv2d", "x w", conv2d},
    {"conv2d_stride", "x w", conv2d_stride},
    {"conv2d_pad", "x w", conv2d_pad},
    {"conv2d_dilation", "x w", conv2d_dilation},
    {"conv2d_groups", "x w", conv2d_groups},
    {"conv2d_depthwise", "x w", conv2d_depthwise},
    {"conv2d_point", "x w", conv2d},
    {"conv2d_wide", "x w", conv2d_wide},
    {"conv2d_same", "x w", conv2d_same},
    {"max_pool2d", "x", max_pool2d},
    {"max_pool2d_overlap", "x", max_pool2d_overlap},
    {"avg_pool2d", "x", avg_pool2d},
    {"avg_pool2d_overlap", "x", avg_pool2d_overlap},
    {"avg_pool2d_count_pad", "x", avg_pool2d_count_pad},
    {"layer_norm", "x gamma beta", layer_norm},
    {"batch_norm_train", "x gamma beta", batch_norm_train},
    {"batch_norm_eval", "x mean var gamma beta", batch_norm_eval},
    {"softmax", "x", softmax},
    {"softmax_axis", "x", softmax_axis},
    {"log_softmax", "x", log_softmax},
    {"log_softmax_axis", "x", log_softmax_axis},
    {"cross_entropy", "x labels", cross_entropy},
    {"bce_logits", "x t", bce_logits},
    {"squared_error", "x t", squared_error},
    UNARY(UNARY_ROW) BINARY(BINARY_ROW){"leaky_relu", "x", leaky_relu},
    {"elu", "x", elu},
    {"clamp", "x", clamp},
    {"pow_scalar", "x", pow_scalar},
    {"where", "c a b", where},
    {"sum", "x", sum},
    {"mean", "x", mean},
    {"max", "x", max},
    {"max_ties", "x", max_ties},
    {"min", "x", min},
    {"variance", "x", variance},
    {"argmax", "x", argmax},
    {"permute", "x", permute},
    {"slice", "x", slice},
    {"concat", "a b", concat},
    {"pad", "x", pad},
    {"gather", "x index", gather},
    {"scatter_add", "x index", scatter_add},
    {"one_hot", "index", one_hot},
};

static soma__archive archive;

static int load(void **state)
{
    soma_error err = {0};
    (void)state;
    if (soma__archive_read(&archive, SOMA_TEST_FOLDER "/golden/ops.safetensors", &err) == SOMA_OK)
        return 0;
    fprintf(stderr, "%s\n", err.message);
    return -1;
}
static int unload(void **state)
{
    (void)state;
    soma__archive_clear(&archive);
    return 0;
}

/* Tensor "<case>/<prefix><name>", or NULL. */
static soma_tensor *find(const golden *c, const char *prefix, const char *name)
{
    char path[96];
    snprintf(path, sizeof(path), "%s/%s%s", c->name, prefix, name);
    return soma__archive_find(&archive, path);
}

static int compare(const golden *c, const char *what, const soma_tensor *got,
                   const soma_tensor *want)
{
    char a[SOMA_SHAPE_TEXT_SIZE], b[SOMA_SHAPE_TEXT_SIZE];
    if (!soma_shape_equal(soma_tensor_shape(got), soma_tensor_shape(want))) {
        fprintf(stderr, "%s: %s is %s, expected %s\n", c->name, what,
                soma_shape_text(soma_tensor_shape(got), a, sizeof(a)),
                soma_shape_text(soma_tensor_shape(want), b, sizeof(b)));
        return 1;
    }
    for (int64_t i = 0; i < soma_tensor_count(want); i++) {
        double g = soma_tensor_get(got, i), w = soma_tensor_get(want, i);
        if (!(fabs(g - w) <= 1e-5 * fmax(1, fabs(w)))) {
            fprintf(stderr, "%s: %s[%lld] is %.9g, expected %.9g\n", c->name, what, (long long)i, g,
                    w);
            return 1;
        }
    }
    return 0;
}

/* Builds the case, evaluates y and all gradients at once, and returns the number of faults. */
static int try_case(soma_context *context, const golden *c)
{
    soma_error err = {0};
    soma_graph *graph;
    soma_var in[MAX_INPUTS], wrt[MAX_INPUTS], out[MAX_INPUTS + 1];
    soma_tensor *want[MAX_INPUTS + 1], *got[MAX_INPUTS + 1] = {0};
    char names[64], labels[MAX_INPUTS + 1][32] = {"y"};
    int inputs = 0, wanted = 0, faults = 0;
    assert_int_equal(soma_graph_create(&graph, &err), SOMA_OK);
    snprintf(names, sizeof(names), "%s", c->inputs);
    soma_tensor *dy = find(c, "", "dy");
    for (char *rest, *name = strtok_r(names, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
        soma_tensor *value = find(c, "", name), *gradient = find(c, "d", name);
        if (!value) {
            soma_graph_destroy(graph);
            fprintf(stderr, "%s: the file has no input %s\n", c->name, name);
            return 1;
        }
        in[inputs] = soma_variable(graph, name, value);
        if (dy && gradient) {
            want[wanted + 1] = gradient;
            snprintf(labels[wanted + 1], sizeof(labels[0]), "d%s", name);
            wrt[wanted++] = in[inputs];
        }
        inputs++;
    }
    out[0] = c->build(in);
    want[0] = find(c, "", "y");
    assert_non_null(want[0]);
    if (dy)
        soma_gradients_from(out[0], soma_constant(graph, dy), wrt, wanted, out + 1);
    if (soma_eval_many(got, context, out, wanted + 1, NULL, 0, &err) != SOMA_OK) {
        fprintf(stderr, "%s: %s\n", c->name, err.message);
        faults++;
    } else {
        for (int i = 0; i <= wanted; i++)
            faults += compare(c, labels[i], got[i], want[i]);
        for (int i = 0; i <= wanted; i++)
            soma_tensor_release(got[i]);
    }
    soma_graph_destroy(graph);
    return faults;
}

static void try_all(const soma_context_options *options)
{
    soma_error err = {0};
    soma_context *context;
    int faults = 0;
    assert_int_equal(soma_context_create(&context, options, &err), SOMA_OK);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        faults += try_case(context, &cases[i]);
    soma_context_destroy(context);
    assert_int_equal(faults, 0);
}

static void reference_kernels(void **state)
{
    (void)state;
    try_all(&(soma_context_options){.threads = 1, .isa = "reference"});
}

static void fast_kernels(void **state)
{
    (void)state;
    try_all(&(soma_context_options){.threads = 2});
}

/* Each case of the file has a row above, so that none is forgotten. */
static void every_case(void **state)
{
    size_t found = 0;
    (void)state;
    for (size_t i = 0; i < archive.count; i++) {
        const char *name = archive.entries[i].name, *end = strrchr(name, '/');
        assert_non_null(end);
        if (strcmp(end, "/y") != 0)
            continue;
        bool known = false;
        for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]) && !known; k++)
            known = strlen(cases[k].name) == (size_t)(end - name) &&
                    strncmp(cases[k].name, name, (size_t)(end - name)) == 0;
        if (!known)
            fail_msg("%s is in the file, but not in the test", name);
        found++;
    }
    assert_int_equal(found, sizeof(cases) / sizeof(cases[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case),
        cmocka_unit_test(reference_kernels),
        cmocka_unit_test(fast_kernels),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
