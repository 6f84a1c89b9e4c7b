/* test_golden_ops.c: the core ops against PyTorch's. */
#include "golden.h"

GOLDEN(matmul, soma_matmul(in[0], in[1]))
GOLDEN(matmul_transposed, soma_matmul(in[0], in[1], .transpose_a = true, .transpose_b = true))
GOLDEN(linear, soma_linear(in[0], in[1], in[2]))
GOLDEN(conv2d, soma_conv2d(in[0], in[1]))
GOLDEN(conv2d_stride, soma_conv2d(in[0], in[1], .stride = {2, 3}, .pad = {1, 1, 1, 1}))
GOLDEN(conv2d_pad, soma_conv2d(in[0], in[1], .pad = {2, 1, 2, 1}))
GOLDEN(conv2d_dilation, soma_conv2d(in[0], in[1], .dilation = {2, 3}, .pad = {2, 3, 2, 3}))
GOLDEN(conv2d_groups, soma_conv2d(in[0], in[1], .groups = 2, .pad = {1, 1, 1, 1}))
GOLDEN(conv2d_depthwise,
       soma_conv2d(in[0], in[1], .groups = 5, .stride = {2, 2}, .pad = {1, 1, 1, 1}))
GOLDEN(conv2d_wide, soma_conv2d(in[0], in[1], .pad = {1, 1, 1, 1}))
GOLDEN(conv2d_same, soma_conv2d(in[0], in[1], .padding = SOMA_PAD_SAME))
GOLDEN(max_pool2d, soma_max_pool2d(in[0], .size = {2, 2}))
GOLDEN(max_pool2d_overlap,
       soma_max_pool2d(in[0], .size = {3, 3}, .stride = {2, 2}, .pad = {1, 1, 1, 1}))
GOLDEN(avg_pool2d, soma_avg_pool2d(in[0], .size = {2, 2}))
GOLDEN(avg_pool2d_overlap,
       soma_avg_pool2d(in[0], .size = {3, 3}, .stride = {2, 2}, .pad = {1, 1, 1, 1}))
GOLDEN(avg_pool2d_count_pad, soma_avg_pool2d(in[0], .size = {3, 3}, .stride = {2, 2},
                                             .pad = {1, 1, 1, 1}, .count_pad = true))
GOLDEN(layer_norm, soma_layer_norm(in[0], in[1], in[2], 1e-5))
GOLDEN(batch_norm_eval, soma_batch_norm(in[0], in[1], in[2], in[3], in[4], 1e-5))
static soma_var batch_norm_train(const soma_var *in)
{
    soma_var mean = soma_mean(in[0], .axes = {0, 1, 2}, .count = 3);
    soma_var var = soma_variance(in[0], .axes = {0, 1, 2}, .count = 3);
    return soma_batch_norm(in[0], mean, var, in[1], in[2], 1e-5);
}
GOLDEN(softmax, soma_softmax(in[0], -1))
GOLDEN(softmax_axis, soma_softmax(in[0], 1))
GOLDEN(log_softmax, soma_log_softmax(in[0], -1))
GOLDEN(log_softmax_axis, soma_log_softmax(in[0], 0))
GOLDEN(cross_entropy, soma_cross_entropy(in[0], in[1]))
GOLDEN(bce_logits, soma_bce_logits(in[0], in[1]))
GOLDEN(squared_error, soma_squared_error(in[0], in[1]))

/* clang-format off */
#define UNARY(X)                                                                                   \
    X(neg) X(abs) X(sign) X(square) X(reciprocal) X(sqrt) X(rsqrt) X(exp) X(log) X(sin) X(cos)      \
    X(tanh) X(erf) X(sigmoid) X(softplus) X(floor) X(ceil) X(round) X(relu) X(gelu) X(gelu_tanh)    \
    X(silu)
#define BINARY(X) X(add) X(sub) X(mul) X(div) X(maximum) X(minimum) X(pow)
/* clang-format on */
#define UNARY_FUNCTION(name_) GOLDEN(op_##name_, soma_##name_(in[0]))
#define BINARY_FUNCTION(name_) GOLDEN(op_##name_, soma_##name_(in[0], in[1]))
UNARY(UNARY_FUNCTION)
BINARY(BINARY_FUNCTION)
GOLDEN(leaky_relu, soma_leaky_relu(in[0], 0.1))
GOLDEN(elu, soma_elu(in[0], 0.7))
GOLDEN(clamp, soma_clamp(in[0], -1, 2))
GOLDEN(pow_scalar, soma_pow_scalar(in[0], 2.5))
GOLDEN(where, soma_where(soma_less(in[0], soma_scalar(in[0].graph, SOMA_F32, 0)), in[1], in[2]))
GOLDEN(sum, soma_sum(in[0], .axes = {0, 2}, .count = 2))
GOLDEN(mean, soma_mean(in[0], .axes = {1}, .count = 1, .keep_dims = true))
GOLDEN(max, soma_max(in[0], .axes = {0, 1}, .count = 2))
GOLDEN(max_ties, soma_max(in[0], .axes = {1}, .count = 1))
GOLDEN(min, soma_min(in[0], .axes = {2}, .count = 1))
GOLDEN(variance, soma_variance(in[0], .axes = {0, 2}, .count = 2))
GOLDEN(argmax, soma_argmax(in[0], 1))
GOLDEN(permute, soma_permute(in[0], (int64_t[]){2, 0, 1}, 3))
GOLDEN(slice, soma_slice(in[0], 1, 1, -1))
GOLDEN(concat, soma_concat(in, 2, 1))
GOLDEN(pad, soma_pad(in[0], (int64_t[]){0, 1}, (int64_t[]){3, 2}, 2, 0.5))
GOLDEN(gather, soma_gather(in[0], in[1], 1))
GOLDEN(scatter_add, soma_scatter_add(in[0], in[1], 1, 5))
GOLDEN(one_hot, soma_one_hot(in[0], 4))

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

int main(void)
{
    return golden_run("ops.safetensors", cases, sizeof(cases) / sizeof(cases[0]));
}
