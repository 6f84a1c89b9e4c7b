/* samples_activation.c: the activations that samples_elementwise.c does not have. */
#include <math.h>

#include "elementwise.h"

UNARY(selu, -3, 3, 0, 1, -1, 2)
UNARY(relu6, 0.1, 5.9, -1, 0, 2.5, 7)
UNARY(hard_sigmoid, -2.9, 2.9, -4, 0, 1.5, 4)
UNARY(hard_swish, -2.9, 2.9, -4, 0, 1.5, 4)
UNARY(mish, -4, 4, 0, 1, -1, 2)
UNARY(softsign, 0.1, 4, 0, 1, -1, 3)
UNARY(logsigmoid, -6, 6, 0, 1, -1, -40)
UNARY(tanhshrink, -3, 3, 0, 1, -1, 2)

REFUSES(selu, SOMA_I32)
REFUSES(relu6, SOMA_I32)
REFUSES(hard_sigmoid, SOMA_I32)
REFUSES(hard_swish, SOMA_I32)
REFUSES(mish, SOMA_I32)
REFUSES(softsign, SOMA_I32)
REFUSES(logsigmoid, SOMA_I32)
REFUSES(tanhshrink, SOMA_I32)

/* Both sides of each kink. */
static soma_var spread(soma__sample_ctx *ctx)
{
    return sample_spread(ctx, SOMA_SHAPE(5, 17), -4, 4);
}
static soma_var five(soma__sample_ctx *ctx)
{
    return sample_values(ctx, 0, SOMA_SHAPE(5), (const double[]){-2, -0.5, 0, 0.25, 3});
}
static soma_var whole(soma__sample_ctx *ctx)
{
    return sample_int(ctx, SOMA_I64, SOMA_SHAPE(4), 0, 2);
}

#define SAMPLE(name_, value_)                                                                      \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        return value_;                                                                             \
    }

SAMPLE(relu6_kinks, soma_relu6(sample_spread(ctx, SOMA_SHAPE(5, 17), -4, 9)))
SAMPLE(hard_swish_kinks, soma_hard_swish(spread(ctx)))
SAMPLE(softsign_both, soma_softsign(spread(ctx)))
SAMPLE(selu_far, soma_selu(sample_values(ctx, 0, SOMA_SHAPE(3), (const double[]){-200, 900, 3})))
SAMPLE(celu_random, soma_celu(spread(ctx), 0.7))
SAMPLE(celu_worked, soma_celu(five(ctx), 2))
SAMPLE(celu_zero, soma_celu(spread(ctx), 0))
SAMPLE(hard_tanh_random, soma_hard_tanh(spread(ctx), -1, 2))
SAMPLE(hard_tanh_worked, soma_hard_tanh(five(ctx), -1, 0.25))
SAMPLE(hard_tanh_order, soma_hard_tanh(spread(ctx), 2, 1))
SAMPLE(softshrink_random, soma_softshrink(spread(ctx), 0.5))
SAMPLE(softshrink_worked, soma_softshrink(five(ctx), 0.5))
SAMPLE(softshrink_negative, soma_softshrink(spread(ctx), -1))
SAMPLE(hardshrink_random, soma_hardshrink(spread(ctx), 0.5))
SAMPLE(hardshrink_worked, soma_hardshrink(five(ctx), 0.5))
SAMPLE(hardshrink_negative, soma_hardshrink(spread(ctx), -1))
SAMPLE(threshold_random, soma_threshold(spread(ctx), 0.5, -7))
SAMPLE(threshold_worked, soma_threshold(five(ctx), 0, 20))
SAMPLE(threshold_dtype, soma_threshold(whole(ctx), 0, 20))
SAMPLE(softplus_beta_random, soma_softplus_beta(spread(ctx), 2))
SAMPLE(softplus_beta_worked, soma_softplus_beta(five(ctx), 2))
SAMPLE(softplus_beta_zero, soma_softplus_beta(spread(ctx), 0))

/* One slope for each cell of the last axis, and one for all. */
SAMPLE(prelu_channels, soma_prelu(spread(ctx), sample_in(ctx, SOMA_SHAPE(17), 0, 1)))
SAMPLE(prelu_one, soma_prelu(spread(ctx), sample_in(ctx, SOMA_SHAPE(1), 0, 1)))
SAMPLE(prelu_worked,
       soma_prelu(five(ctx), sample_values(ctx, 0, SOMA_SHAPE(5), (const double[]){1, 2, 3, 4, 5})))
SAMPLE(prelu_large,
       soma_prelu(sample_in(ctx, SOMA_SHAPE(3), 0, 1), sample_in(ctx, SOMA_SHAPE(2, 3), 0, 1)))

SAMPLE(softmin_rows, soma_softmin(spread(ctx), -1))
SAMPLE(softmin_worked,
       soma_softmin(sample_values(ctx, 0, SOMA_SHAPE(2), (const double[]){0, log(3)}), 0))
SAMPLE(softmin_axis, soma_softmin(spread(ctx), 2))

#define GATE(name_)                                                                                \
    SAMPLE(name_##_last, soma_##name_(sample_in(ctx, SOMA_SHAPE(5, 34), -2, 2), -1))               \
    SAMPLE(name_##_middle, soma_##name_(sample_in(ctx, SOMA_SHAPE(3, 4, 5), -2, 2), 1))            \
    SAMPLE(name_##_worked,                                                                         \
           soma_##name_(sample_values(ctx, 0, SOMA_SHAPE(4), (const double[]){1, -2, 0, 3}), 0))   \
    SAMPLE(name_##_odd, soma_##name_(spread(ctx), 1))
GATE(glu)
GATE(swiglu)
GATE(geglu)

/* clang-format off */
#define GATE_ROWS(name_, ...)                                                                      \
    {#name_, "last axis", .build = name_##_last},                                                  \
    {#name_, "middle axis", .build = name_##_middle},                                              \
    {#name_, "worked", .build = name_##_worked, SAMPLE_EXPECT(__VA_ARGS__)},                       \
    {#name_, "odd", name_##_odd, .status = SOMA_SHAPE, .message = "axis 1 has 17 cells, which makes no halves"}
/* clang-format on */

const soma__sample soma__samples_activation[] = {
    UNARY_ROWS(selu, 0, FLOAT, 0, 1.050700987, -1.111330738, 2.101401975),
    UNARY_ROWS(relu6, EXACT, FLOAT, 0, 0, 2.5, 6),
    UNARY_ROWS(hard_sigmoid, 0, FLOAT, 0, 0.5, 0.75, 1),
    UNARY_ROWS(hard_swish, 0, FLOAT, 0, 0, 1.125, 4),
    UNARY_ROWS(mish, 0, FLOAT, 0, 0.865098388, -0.303401461, 1.943958960),
    UNARY_ROWS(softsign, 0, FLOAT, 0, 0.5, -0.5, 0.75),
    UNARY_ROWS(logsigmoid, 0, FLOAT, -0.693147181, -0.313261688, -1.313261688, -40),
    UNARY_ROWS(tanhshrink, 0, FLOAT, 0, 0.238405844, -0.238405844, 1.035972420),
    {"relu6", "both kinks", relu6_kinks, .flags = EXACT},
    {"hard_swish", "both kinks", .build = hard_swish_kinks},
    {"softsign", "both signs", .build = softsign_both},
    {"selu", "far from 0", selu_far, .flags = KINK},
    {"celu", "random", .build = celu_random},
    {"celu", "worked", celu_worked, .flags = KINK,
     SAMPLE_EXPECT(-1.264241118, -0.442398434, 0, 0.25, 3)},
    {"celu", "alpha", celu_zero, .status = SOMA_INVALID, .message = "alpha is 0"},
    {"hard_tanh", "random", hard_tanh_random, .flags = EXACT},
    {"hard_tanh", "worked", hard_tanh_worked, .flags = EXACT | KINK,
     SAMPLE_EXPECT(-1, -0.5, 0, 0.25, 0.25)},
    {"hard_tanh", "limits", hard_tanh_order, .status = SOMA_INVALID, .message = "not in order"},
    {"softshrink", "random", .build = softshrink_random},
    {"softshrink", "worked", softshrink_worked, .flags = KINK, SAMPLE_EXPECT(-1.5, 0, 0, 0, 2.5)},
    {"softshrink", "lambda", softshrink_negative, .status = SOMA_INVALID,
     .message = "lambda is -1, must not be negative"},
    {"hardshrink", "random", hardshrink_random, .flags = EXACT},
    {"hardshrink", "worked", hardshrink_worked, .flags = EXACT | KINK,
     SAMPLE_EXPECT(-2, 0, 0, 0, 3)},
    {"hardshrink", "lambda", hardshrink_negative, .status = SOMA_INVALID,
     .message = "must not be negative"},
    {"threshold", "random", threshold_random, .flags = EXACT},
    {"threshold", "worked", threshold_worked, .flags = EXACT | KINK,
     SAMPLE_EXPECT(20, 20, 20, 0.25, 3)},
    {"threshold", "dtype", threshold_dtype, .status = SOMA_DTYPE, .message = FLOAT},
    {"softplus", "beta", .build = softplus_beta_random},
    {"softplus", "beta worked", .build = softplus_beta_worked,
     SAMPLE_EXPECT(0.009074964, 0.156630844, 0.346573590, 0.487038489, 3.001237845)},
    {"softplus", "beta 0", softplus_beta_zero, .status = SOMA_INVALID, .message = "beta is 0"},
    {"prelu", "channels", .build = prelu_channels},
    {"prelu", "one slope", .build = prelu_one},
    {"prelu", "worked", prelu_worked, .flags = KINK, SAMPLE_EXPECT(-2, -1, 0, 0.25, 3)},
    {"prelu", "large slope", prelu_large, .status = SOMA_SHAPE,
     .message = "slope [2,3] is larger than x [3]"},
    {"softmin", "rows", .build = softmin_rows},
    {"softmin", "worked", .build = softmin_worked, SAMPLE_EXPECT(0.75, 0.25)},
    {"softmin", "axis", softmin_axis, .status = SOMA_SHAPE, .message = "axis 2"},
    GATE_ROWS(glu, 0.5, -1.905148254),
    GATE_ROWS(swiglu, 0, -0.715217537),
    GATE_ROWS(geglu, 0, -0.136500792),
    {0}};
