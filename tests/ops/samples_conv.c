/* samples_conv.c: samples of conv2d and its two gradients. Channel counts lie around vector widths;
 * geometries cover strides, dilations, groups and paddings, even and odd. */
#include "driver.h"
#include "ops/attrs.h"

#define S SOMA_SHAPE

/* --- conv2d ----------------------------------------------------------------------------------- */

#define CONV(name_, x_, w_, ...)                                                                   \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        soma_var x = sample_in(ctx, x_, -1, 1), w = sample_in(ctx, w_, -1, 1);                     \
        return soma_conv2d_opt(x, w, (soma_conv_options){__VA_ARGS__});                            \
    }

CONV(plain_3x3, S(2, 6, 7, 8), S(8, 3, 3, 8), .pad = {1, 1, 1, 1})
CONV(one_channel, S(2, 8, 8, 1), S(6, 5, 5, 1), 0)
CONV(rgb, S(2, 7, 7, 3), S(17, 3, 3, 3), .pad = {1, 1, 1, 1})
CONV(channels_17_33, S(1, 5, 5, 17), S(33, 3, 3, 17), .pad = {1, 1, 1, 1})
CONV(channels_32_64, S(1, 6, 6, 32), S(64, 3, 3, 32), 0)
CONV(channels_64_1, S(1, 5, 5, 64), S(1, 3, 3, 64), .pad = {1, 1, 1, 1})
CONV(point, S(2, 5, 5, 17), S(32, 1, 1, 17), 0)
CONV(point_stride, S(2, 5, 6, 8), S(9, 1, 1, 8), .stride = {2, 2})
CONV(stride_2, S(2, 7, 8, 8), S(9, 3, 3, 8), .stride = {2, 2}, .pad = {1, 1, 1, 1})
CONV(stride_uneven, S(1, 9, 8, 3), S(4, 3, 2, 3), .stride = {3, 1})
CONV(stride_over_kernel, S(1, 9, 9, 3), S(4, 2, 2, 3), .stride = {3, 4})
CONV(dilation_2, S(1, 9, 9, 4), S(8, 3, 3, 4), .dilation = {2, 2}, .pad = {2, 2, 2, 2})
CONV(dilation_uneven, S(1, 9, 11, 3), S(5, 3, 2, 3), .dilation = {2, 3}, .stride = {1, 2})
CONV(groups_2, S(2, 5, 5, 16), S(32, 3, 3, 8), .groups = 2, .pad = {1, 1, 1, 1})
CONV(groups_3, S(1, 5, 6, 9), S(6, 3, 3, 3), .groups = 3, .stride = {2, 1})
CONV(depthwise, S(2, 6, 6, 17), S(17, 3, 3, 1), .groups = 17, .pad = {1, 1, 1, 1})
CONV(depthwise_stride, S(1, 7, 7, 32), S(32, 3, 3, 1), .groups = 32, .stride = {2, 2},
     .pad = {1, 1, 1, 1})
CONV(depthwise_twice, S(1, 6, 6, 8), S(16, 3, 3, 1), .groups = 8)
CONV(pad_uneven, S(1, 5, 6, 3), S(4, 3, 4, 3), .pad = {2, 1, 0, 3})
CONV(pad_all_around, S(1, 2, 2, 3), S(4, 3, 3, 3), .pad = {2, 2, 2, 2})
CONV(same_odd, S(1, 7, 5, 3), S(4, 3, 3, 3), .padding = SOMA_PAD_SAME)
CONV(same_even_kernel, S(1, 6, 5, 3), S(4, 4, 2, 3), .padding = SOMA_PAD_SAME)
CONV(same_stride, S(1, 7, 8, 3), S(4, 3, 3, 3), .padding = SOMA_PAD_SAME, .stride = {2, 3})
CONV(same_dilation, S(1, 7, 8, 3), S(4, 3, 3, 3), .padding = SOMA_PAD_SAME, .dilation = {2, 2})
CONV(valid, S(1, 7, 8, 3), S(4, 3, 3, 3), .padding = SOMA_PAD_VALID)
CONV(whole_image, S(3, 4, 5, 8), S(10, 4, 5, 8), 0)
CONV(one_row, S(1, 1, 20, 8), S(16, 1, 5, 8), .pad = {0, 2, 0, 2})
CONV(empty, S(0, 6, 6, 3), S(4, 3, 3, 3), 0)
CONV(rest_unread, S(1, 8, 8, 3), S(4, 3, 3, 3), .stride = {4, 4})
CONV(refuse_channels, S(1, 6, 6, 3), S(4, 3, 3, 1), 0)
CONV(refuse_groups, S(1, 6, 6, 4), S(3, 3, 3, 2), .groups = 2)
CONV(refuse_negative_groups, S(1, 6, 6, 4), S(3, 3, 3, 4), .groups = -1)
CONV(refuse_window, S(1, 5, 6, 3), S(4, 7, 7, 3), 0)
CONV(refuse_dilated_window, S(1, 5, 6, 3), S(4, 3, 3, 3), .dilation = {3, 3})
CONV(refuse_stride, S(1, 5, 6, 3), S(4, 3, 3, 3), .stride = {-1, 1})
CONV(refuse_dilation, S(1, 5, 6, 3), S(4, 3, 3, 3), .dilation = {INT64_MAX, 1})
CONV(refuse_pad, S(1, 5, 6, 3), S(4, 3, 3, 3), .pad = {-1, 0, 0, 0})
CONV(refuse_huge_pad, S(1, 5, 6, 3), S(4, 3, 3, 3), .pad = {INT64_MAX, 0, 0, 0})
CONV(refuse_both_pads, S(1, 5, 6, 3), S(4, 3, 3, 3), .pad = {1, 1, 1, 1}, .padding = SOMA_PAD_SAME)
CONV(refuse_matrix, S(5, 6), S(4, 3, 3, 3), 0)
CONV(refuse_weight, S(1, 5, 6, 3), S(4, 3, 3), 0)

#define HALF .precision = SOMA_BF16
/* Gradients of what is rounded to bf16 are, and may fall on the other side of a tie. */
#define OF_HALF .flags = SAMPLE_NO_DIFFERENCES, .tolerance = 0x1p-7
CONV(half_plain, S(3, 6, 7, 16), S(33, 3, 3, 16), HALF, .pad = {1, 1, 1, 1})
CONV(half_rgb, S(2, 7, 7, 3), S(17, 3, 3, 3), HALF)
CONV(half_stride, S(2, 7, 8, 12), S(9, 3, 3, 12), HALF, .stride = {2, 2})
CONV(half_point, S(2, 5, 5, 18), S(32, 1, 1, 18), HALF)
CONV(half_groups, S(2, 5, 5, 16), S(32, 3, 3, 8), HALF, .groups = 2)
CONV(half_depthwise, S(2, 6, 6, 17), S(17, 3, 3, 1), HALF, .groups = 17)
CONV(refuse_precision, S(1, 6, 6, 3), S(4, 3, 3, 3), .precision = SOMA_F16)

/* 257 and 259 lie between two numbers of bf16, whose last digits are even: 256, 260. */
static soma_var worked_half(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 1, 2, 1), (double[]){257, 259});
    return soma_conv2d(x, sample_values(ctx, 0, S(1, 1, 1, 1), (double[]){259}), HALF);
}
static soma_var worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 3, 3, 1), (double[]){1, 2, 3, 4, 5, 6, 7, 8, 9});
    return soma_conv2d(x, sample_values(ctx, 0, S(1, 2, 2, 1), (double[]){1, 2, 3, 4}));
}
/* The odd cell of the padding goes to the end: bottom and right. */
static soma_var worked_same(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 2, 2, 1), (double[]){1, 2, 3, 4});
    soma_var w = sample_values(ctx, 0, S(1, 2, 2, 1), (double[]){1, 10, 100, 1000});
    return soma_conv2d(x, w, .padding = SOMA_PAD_SAME);
}
/* Two groups of one channel in, one out, at stride 2. */
static soma_var worked_groups(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 1, 3, 2), (double[]){1, 10, 2, 20, 3, 30});
    soma_var w = sample_values(ctx, 0, S(2, 1, 1, 1), (double[]){5, 7});
    return soma_conv2d(x, w, .groups = 2, .stride = {1, 2});
}
static soma_var named(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(1, 6, 6, 3), -1, 1), w = sample_in(ctx, S(4, 3, 3, 1), -1, 1);
    soma_scope_begin(sample_graph(ctx), "conv1");
    soma_var y = soma_conv2d(x, w);
    soma_scope_end(sample_graph(ctx));
    return y;
}

/* --- the gradients as ops of their own -------------------------------------------------------- */

#define ATTRS(...) ((soma__conv_attrs){__VA_ARGS__})

static soma_var gradient(soma__sample_ctx *ctx, const char *op, soma_shape a, soma_shape b,
                         soma__conv_attrs attrs)
{
    for (int d = 0; d < 2; d++) {
        attrs.stride[d] = attrs.stride[d] ? attrs.stride[d] : 1;
        attrs.dilation[d] = attrs.dilation[d] ? attrs.dilation[d] : 1;
    }
    attrs.groups = attrs.groups ? attrs.groups : 1;
    soma_var in[2];
    in[0] = sample_in(ctx, a, -1, 1);
    in[1] = sample_in(ctx, b, -1, 1);
    if (attrs.precision)
        in[0] = soma_cast(in[0], SOMA_BF16);
    return sample_op(ctx, op, in, 2, &attrs);
}
#define INPUT_GRAD(name_, dy_, w_, ...)                                                            \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        return gradient(ctx, "conv2d_input_grad", dy_, w_, ATTRS(__VA_ARGS__));                    \
    }
#define WEIGHT_GRAD(name_, x_, dy_, ...)                                                           \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        return gradient(ctx, "conv2d_weight_grad", x_, dy_, ATTRS(__VA_ARGS__));                   \
    }

INPUT_GRAD(ig_plain, S(2, 6, 7, 8), S(8, 3, 3, 8), .size = {6, 7}, .pad = {1, 1, 1, 1})
INPUT_GRAD(ig_rgb, S(2, 5, 5, 17), S(17, 3, 3, 3), .size = {7, 7})
INPUT_GRAD(ig_stride, S(1, 4, 4, 9), S(9, 3, 3, 17), .size = {7, 8}, .pad = {1, 1, 1, 1},
           .stride = {2, 2})
INPUT_GRAD(ig_unread, S(1, 2, 2, 4), S(4, 3, 3, 3), .size = {8, 8}, .stride = {4, 4})
INPUT_GRAD(ig_dilation, S(1, 5, 4, 5), S(5, 3, 2, 3), .size = {9, 11}, .dilation = {2, 3},
           .stride = {1, 2})
INPUT_GRAD(ig_groups, S(1, 5, 5, 32), S(32, 3, 3, 8), .size = {5, 5}, .pad = {1, 1, 1, 1},
           .groups = 2)
INPUT_GRAD(ig_depthwise, S(1, 6, 6, 17), S(17, 3, 3, 1), .size = {6, 6}, .pad = {1, 1, 1, 1},
           .groups = 17)
INPUT_GRAD(ig_point, S(2, 5, 5, 32), S(32, 1, 1, 17), .size = {5, 5})
INPUT_GRAD(ig_wide, S(1, 4, 4, 64), S(64, 3, 3, 33), .size = {6, 6})
INPUT_GRAD(ig_empty, S(0, 4, 4, 4), S(4, 3, 3, 3), .size = {6, 6})
INPUT_GRAD(ig_refuse_dy, S(1, 5, 4, 4), S(4, 3, 3, 3), .size = {6, 6})
INPUT_GRAD(ig_refuse_size, S(1, 4, 4, 4), S(4, 3, 3, 3), .size = {-6, 6})

INPUT_GRAD(ig_half, S(2, 5, 5, 32), S(32, 3, 3, 17), .size = {7, 7}, HALF)
INPUT_GRAD(ig_half_stride, S(1, 4, 4, 10), S(10, 3, 3, 17), .size = {7, 8}, .pad = {1, 1, 1, 1},
           .stride = {2, 2}, HALF)
WEIGHT_GRAD(wg_half, S(3, 7, 7, 9), S(3, 5, 5, 17), .size = {3, 3}, HALF)
WEIGHT_GRAD(wg_half_point, S(2, 5, 5, 17), S(2, 5, 5, 32), .size = {1, 1}, HALF)

WEIGHT_GRAD(wg_plain, S(2, 6, 7, 8), S(2, 6, 7, 8), .size = {3, 3}, .pad = {1, 1, 1, 1})
WEIGHT_GRAD(wg_rgb, S(2, 7, 7, 3), S(2, 5, 5, 17), .size = {3, 3})
WEIGHT_GRAD(wg_stride, S(1, 7, 8, 17), S(1, 4, 4, 9), .size = {3, 3}, .pad = {1, 1, 1, 1},
            .stride = {2, 2})
WEIGHT_GRAD(wg_dilation, S(1, 9, 11, 3), S(1, 5, 4, 5), .size = {3, 2}, .dilation = {2, 3},
            .stride = {1, 2})
WEIGHT_GRAD(wg_groups, S(1, 5, 5, 16), S(1, 5, 5, 32), .size = {3, 3}, .pad = {1, 1, 1, 1},
            .groups = 2)
WEIGHT_GRAD(wg_depthwise, S(2, 6, 6, 17), S(2, 6, 6, 17), .size = {3, 3}, .pad = {1, 1, 1, 1},
            .groups = 17)
WEIGHT_GRAD(wg_point, S(2, 5, 5, 17), S(2, 5, 5, 32), .size = {1, 1})
WEIGHT_GRAD(wg_wide, S(1, 6, 6, 33), S(1, 4, 4, 64), .size = {3, 3})
WEIGHT_GRAD(wg_empty, S(0, 6, 6, 3), S(0, 4, 4, 4), .size = {3, 3})
WEIGHT_GRAD(wg_refuse_dy, S(1, 6, 6, 3), S(2, 4, 4, 4), .size = {3, 3})
WEIGHT_GRAD(wg_refuse_groups, S(1, 6, 6, 3), S(1, 4, 4, 4), .size = {3, 3}, .groups = 2)

/* Each output cell of a 2×2 conv spreads its dy over the four cells that it read. */
static soma_var ig_worked(soma__sample_ctx *ctx)
{
    soma__conv_attrs attrs = {.stride = {1, 1}, .dilation = {1, 1}, .groups = 1, .size = {3, 3}};
    soma_var in[2];
    in[0] = sample_values(ctx, 0, S(1, 2, 2, 1), (double[]){1, 0, 0, 2});
    in[1] = sample_values(ctx, 0, S(1, 2, 2, 1), (double[]){1, 2, 3, 4});
    return sample_op(ctx, "conv2d_input_grad", in, 2, &attrs);
}
static soma_var wg_worked(soma__sample_ctx *ctx)
{
    soma__conv_attrs attrs = {.stride = {1, 1}, .dilation = {1, 1}, .groups = 1, .size = {2, 2}};
    soma_var in[2];
    in[0] = sample_values(ctx, 0, S(1, 3, 3, 1), (double[]){1, 2, 3, 4, 5, 6, 7, 8, 9});
    in[1] = sample_values(ctx, 0, S(1, 2, 2, 1), (double[]){1, 0, 0, 2});
    return sample_op(ctx, "conv2d_weight_grad", in, 2, &attrs);
}

static soma_var ig_refuse_precision(soma__sample_ctx *ctx)
{
    soma__conv_attrs attrs = {
        .stride = {1, 1}, .dilation = {1, 1}, .groups = 1, .size = {3, 3}, HALF};
    soma_var in[2] = {sample_in(ctx, S(1, 2, 2, 1), -1, 1), sample_in(ctx, S(1, 2, 2, 1), -1, 1)};
    return sample_op(ctx, "conv2d_input_grad", in, 2, &attrs);
}

const soma__sample soma__samples_conv[] = {
    {"conv2d", "bf16, a worked value", .build = worked_half, .flags = SAMPLE_NO_DIFFERENCES,
     SAMPLE_EXPECT(256 * 260, 260 * 260)},
    {"conv2d", "bf16", .build = half_plain, OF_HALF},
    {"conv2d", "bf16, 3 channels", .build = half_rgb, OF_HALF},
    {"conv2d", "bf16, stride 2", .build = half_stride, OF_HALF},
    {"conv2d", "bf16, 1x1", .build = half_point, OF_HALF},
    {"conv2d", "bf16, 2 groups", .build = half_groups, OF_HALF},
    {"conv2d", "bf16, depthwise", .build = half_depthwise, OF_HALF},
    {"conv2d", "precision f16", .build = refuse_precision, .status = SOMA_DTYPE,
     .message = "precision must be bf16"},
    {"conv2d_input_grad", "bf16", .build = ig_half, OF_HALF},
    {"conv2d_input_grad", "bf16, stride 2", .build = ig_half_stride, OF_HALF},
    {"conv2d_input_grad", "bf16 without it", .build = ig_refuse_precision, .status = SOMA_DTYPE,
     .message = "an operand must be bf16"},
    {"conv2d_weight_grad", "bf16", .build = wg_half, OF_HALF},
    {"conv2d_weight_grad", "bf16, 1x1", .build = wg_half_point, OF_HALF},
    {"conv2d", "3x3 by 2x2", .build = worked, SAMPLE_EXPECT(37, 47, 67, 77)},
    {"conv2d", "SAME pads the end", .build = worked_same, SAMPLE_EXPECT(4321, 402, 43, 4)},
    {"conv2d", "groups do not mix", .build = worked_groups, SAMPLE_EXPECT(5, 70, 15, 210)},
    {"conv2d", "3x3, 8 to 8 channels", .build = plain_3x3},
    {"conv2d", "5x5, 1 to 6", .build = one_channel},
    {"conv2d", "3 to 17", .build = rgb},
    {"conv2d", "17 to 33", .build = channels_17_33},
    {"conv2d", "32 to 64", .build = channels_32_64},
    {"conv2d", "64 to 1", .build = channels_64_1},
    {"conv2d", "1x1", .build = point},
    {"conv2d", "1x1, stride 2", .build = point_stride},
    {"conv2d", "stride 2", .build = stride_2},
    {"conv2d", "stride 3, 1", .build = stride_uneven},
    {"conv2d", "stride beyond the kernel", .build = stride_over_kernel},
    {"conv2d", "dilation 2", .build = dilation_2},
    {"conv2d", "dilation 2, 3, stride 1, 2", .build = dilation_uneven},
    {"conv2d", "2 groups", .build = groups_2},
    {"conv2d", "3 groups, stride 2, 1", .build = groups_3},
    {"conv2d", "depthwise", .build = depthwise},
    {"conv2d", "depthwise, stride 2", .build = depthwise_stride},
    {"conv2d", "depthwise, two outputs each", .build = depthwise_twice},
    {"conv2d", "uneven pads", .build = pad_uneven},
    {"conv2d", "pads around a small image", .build = pad_all_around},
    {"conv2d", "SAME, odd image", .build = same_odd},
    {"conv2d", "SAME, even kernel", .build = same_even_kernel},
    {"conv2d", "SAME, stride 2, 3", .build = same_stride},
    {"conv2d", "SAME, dilation 2", .build = same_dilation},
    {"conv2d", "VALID", .build = valid},
    {"conv2d", "kernel as large as the image", .build = whole_image},
    {"conv2d", "one row", .build = one_row},
    {"conv2d", "empty batch", .build = empty},
    {"conv2d", "cells that no window reads", .build = rest_unread},
    {"conv2d", "channels", .build = refuse_channels, .status = SOMA_SHAPE,
     .message = "conv2d: input has 3 channels, weight expects 1 (groups 1)"},
    {"conv2d", "the user's name", .build = named, .status = SOMA_SHAPE,
     .message = "conv2d 'conv1': input has 3 channels, weight expects 1 (groups 1)"},
    {"conv2d", "outputs by groups", .build = refuse_groups, .status = SOMA_SHAPE,
     .message = "3 output channels do not divide into 2 groups"},
    {"conv2d", "negative groups", .build = refuse_negative_groups, .status = SOMA_INVALID,
     .message = "groups -1"},
    {"conv2d", "kernel beyond the image", .build = refuse_window, .status = SOMA_SHAPE,
     .message = "the kernel covers 7x7 cells, but the padded input has only 5x6"},
    {"conv2d", "dilated kernel beyond the image", .build = refuse_dilated_window,
     .status = SOMA_SHAPE, .message = "covers 7x7 cells"},
    {"conv2d", "negative stride", .build = refuse_stride, .status = SOMA_INVALID,
     .message = "stride -1"},
    {"conv2d", "huge dilation", .build = refuse_dilation, .status = SOMA_INVALID,
     .message = "dilation"},
    {"conv2d", "negative pad", .build = refuse_pad, .status = SOMA_INVALID, .message = "pad -1"},
    {"conv2d", "huge pad", .build = refuse_huge_pad, .status = SOMA_INVALID, .message = "pad"},
    {"conv2d", "pads given twice", .build = refuse_both_pads, .status = SOMA_INVALID,
     .message = "SAME"},
    {"conv2d", "matrix", .build = refuse_matrix, .status = SOMA_SHAPE,
     .message = "x must be [N,H,W,C]"},
    {"conv2d", "weight of three dims", .build = refuse_weight, .status = SOMA_SHAPE,
     .message = "w must be [O,kh,kw,C/groups]"},

    {"conv2d_input_grad", "2x2 into 3x3", .build = ig_worked,
     SAMPLE_EXPECT(1, 2, 0, 3, 6, 4, 0, 6, 8)},
    {"conv2d_input_grad", "3x3, 8 to 8 channels", .build = ig_plain},
    {"conv2d_input_grad", "17 to 3", .build = ig_rgb},
    {"conv2d_input_grad", "stride 2", .build = ig_stride},
    {"conv2d_input_grad", "cells that no window read", .build = ig_unread},
    {"conv2d_input_grad", "dilation 2, 3, stride 1, 2", .build = ig_dilation},
    {"conv2d_input_grad", "2 groups", .build = ig_groups},
    {"conv2d_input_grad", "depthwise", .build = ig_depthwise},
    {"conv2d_input_grad", "1x1", .build = ig_point},
    {"conv2d_input_grad", "64 to 33", .build = ig_wide},
    {"conv2d_input_grad", "empty batch", .build = ig_empty},
    {"conv2d_input_grad", "dy of another shape", .build = ig_refuse_dy, .status = SOMA_SHAPE,
     .message = "dy is [1,5,4,4], but the conv's output is [1,4,4,4]"},
    {"conv2d_input_grad", "negative size", .build = ig_refuse_size, .status = SOMA_SHAPE,
     .message = "bad size -6x6"},

    {"conv2d_weight_grad", "3x3 by 2x2", .build = wg_worked, SAMPLE_EXPECT(11, 14, 20, 23)},
    {"conv2d_weight_grad", "3x3, 8 to 8 channels", .build = wg_plain},
    {"conv2d_weight_grad", "3 to 17", .build = wg_rgb},
    {"conv2d_weight_grad", "stride 2", .build = wg_stride},
    {"conv2d_weight_grad", "dilation 2, 3, stride 1, 2", .build = wg_dilation},
    {"conv2d_weight_grad", "2 groups", .build = wg_groups},
    {"conv2d_weight_grad", "depthwise", .build = wg_depthwise},
    {"conv2d_weight_grad", "1x1", .build = wg_point},
    {"conv2d_weight_grad", "33 to 64", .build = wg_wide},
    {"conv2d_weight_grad", "empty batch", .build = wg_empty},
    {"conv2d_weight_grad", "dy of another batch", .build = wg_refuse_dy, .status = SOMA_SHAPE,
     .message = "dy is [2,4,4,4], but the conv's output is [1,4,4,4]"},
    {"conv2d_weight_grad", "channels by groups", .build = wg_refuse_groups, .status = SOMA_SHAPE,
     .message = "3 channels do not divide into 2 groups"},
    {0},
};
