/* samples_conv_nd.c: samples of the convs over one and three axes and of the transposed ones. */
#include "driver.h"

#define S SOMA_SHAPE

#define CONV(name_, op_, x_, w_, ...)                                                              \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        soma_var x = sample_in(ctx, x_, -1, 1), w = sample_in(ctx, w_, -1, 1);                     \
        return soma_##op_##_opt(x, w, (soma_conv_nd_options){__VA_ARGS__});                        \
    }

CONV(line, conv1d, S(2, 9, 3), S(5, 3, 3), .pad = {1, 1})
CONV(line_wide, conv1d, S(2, 12, 17), S(33, 4, 17), .stride = {2})
CONV(line_dilated, conv1d, S(1, 11, 4), S(6, 3, 2), .dilation = {3}, .groups = 2, .pad = {0, 2})
CONV(line_same, conv1d, S(1, 8, 2), S(3, 4, 2), .padding = SOMA_PAD_SAME)
CONV(line_lower, conv1d, S(1, 8, 2), S(3, 4, 2), .padding = SOMA_PAD_SAME_LOWER, .stride = {3})
CONV(line_empty, conv1d, S(0, 8, 2), S(3, 4, 2), 0)
CONV(line_refuse_image, conv1d, S(1, 8, 8, 2), S(3, 4, 2), 0)
CONV(line_refuse_weight, conv1d, S(1, 8, 2), S(3, 2), 0)
CONV(line_refuse_channels, conv1d, S(1, 8, 2), S(3, 4, 1), 0)
CONV(line_refuse_groups, conv1d, S(1, 8, 2), S(3, 4, 1), .groups = 2)
CONV(line_refuse_no_group, conv1d, S(1, 8, 2), S(3, 4, 2), .groups = -1)
CONV(line_refuse_window, conv1d, S(1, 3, 2), S(3, 4, 2), 0)

CONV(solid, conv3d, S(2, 4, 5, 4, 3), S(4, 2, 3, 2, 3), 0)
CONV(solid_wide, conv3d, S(1, 4, 4, 4, 17), S(9, 3, 3, 3, 17), .pad = {1, 1, 1, 1, 1, 1})
CONV(solid_stride, conv3d, S(1, 7, 6, 5, 2), S(3, 3, 2, 3, 2), .stride = {2, 1, 2},
     .pad = {2, 0, 1, 1, 1, 0})
CONV(solid_dilated, conv3d, S(1, 6, 4, 5, 4), S(4, 2, 2, 2, 2), .dilation = {3, 1, 2}, .groups = 2)
CONV(solid_same, conv3d, S(1, 5, 4, 3, 2), S(2, 2, 3, 2, 2), .padding = SOMA_PAD_SAME,
     .stride = {2, 1, 2})
CONV(solid_point, conv3d, S(1, 3, 4, 3, 5), S(6, 1, 1, 1, 5), 0)
CONV(solid_far, conv3d, S(1, 2, 3, 3, 2), S(2, 2, 1, 1, 2), .dilation = {4, 1, 1},
     .pad = {3, 0, 0, 3, 0, 0})
CONV(solid_refuse_window, conv3d, S(1, 2, 5, 5, 2), S(3, 3, 3, 3, 2), 0)
CONV(solid_refuse_image, conv3d, S(1, 5, 5, 2), S(3, 3, 3, 3, 2), 0)

CONV(back_line, conv_transpose1d, S(2, 5, 3), S(3, 4, 2), .stride = {2}, .pad = {1, 0})
CONV(back_line_more, conv_transpose1d, S(1, 4, 4), S(4, 3, 3), .stride = {3}, .groups = 2,
     .output_padding = {2})
CONV(back_line_dilated, conv_transpose1d, S(1, 4, 2), S(2, 3, 2), .dilation = {3},
     .output_padding = {2})
CONV(back_line_refuse_more, conv_transpose1d, S(1, 4, 2), S(2, 3, 2), .stride = {2},
     .output_padding = {2})
CONV(back_line_refuse_pad, conv_transpose1d, S(1, 1, 2), S(2, 3, 2), .pad = {2, 2})

CONV(back, conv_transpose2d, S(2, 3, 4, 5), S(5, 3, 3, 8), .stride = {2, 2}, .pad = {1, 1, 1, 1})
CONV(back_more, conv_transpose2d, S(1, 3, 4, 3), S(3, 3, 2, 4), .stride = {2, 3},
     .pad = {1, 0, 1, 1}, .output_padding = {1, 2})
CONV(back_groups, conv_transpose2d, S(1, 3, 3, 6), S(6, 2, 2, 2), .groups = 3, .stride = {2, 1})
CONV(back_dilated, conv_transpose2d, S(1, 3, 4, 2), S(2, 3, 2, 3), .dilation = {2, 3},
     .output_padding = {1, 2}, .pad = {1, 0, 0, 1})
CONV(back_same, conv_transpose2d, S(1, 3, 4, 2), S(2, 3, 4, 3), .padding = SOMA_PAD_SAME,
     .stride = {2, 3})
CONV(back_lower, conv_transpose2d, S(1, 3, 4, 2), S(2, 3, 4, 3), .padding = SOMA_PAD_SAME_LOWER,
     .stride = {2, 3})
CONV(back_gaps, conv_transpose2d, S(1, 3, 4, 2), S(2, 2, 1, 3), .padding = SOMA_PAD_SAME,
     .stride = {4, 3})
CONV(back_depthwise, conv_transpose2d, S(1, 4, 4, 17), S(17, 3, 3, 1), .groups = 17,
     .stride = {2, 2}, .pad = {1, 1, 1, 1})
CONV(back_empty, conv_transpose2d, S(0, 3, 3, 2), S(2, 2, 2, 3), 0)
CONV(back_refuse_channels, conv_transpose2d, S(1, 3, 3, 2), S(3, 2, 2, 2), 0)
CONV(back_refuse_stride, conv_transpose2d, S(1, 3, 3, 2), S(2, 2, 2, 2), .stride = {-1, 1})
CONV(back_refuse_huge, conv_transpose2d, S(1, 3, 3, 2), S(2, 2, 2, 2),
     .stride = {INT64_C(1) << 40, 1})

CONV(back_solid, conv_transpose3d, S(1, 3, 2, 3, 3), S(3, 3, 2, 2, 4), .stride = {2, 1, 2},
     .pad = {1, 0, 0, 1, 1, 0}, .output_padding = {1, 0, 1})
CONV(back_solid_groups, conv_transpose3d, S(2, 2, 3, 2, 4), S(4, 2, 2, 3, 1), .groups = 2,
     .dilation = {2, 1, 1})
CONV(back_solid_gaps, conv_transpose3d, S(1, 3, 2, 2, 2), S(2, 1, 2, 2, 2), .stride = {3, 1, 1},
     .output_padding = {2, 0, 0})
CONV(back_solid_refuse, conv_transpose3d, S(1, 3, 2, 2), S(2, 1, 2, 2, 2), 0)

static soma_var line_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 4, 1), (double[]){1, 2, 3, 4});
    return soma_conv1d(x, sample_values(ctx, 0, S(1, 2, 1), (double[]){1, 10}), .stride = {2});
}
/* The odd cell of the padding goes to the begin. */
static soma_var lower_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 3, 1), (double[]){1, 2, 3});
    return soma_conv1d(x, sample_values(ctx, 0, S(1, 2, 1), (double[]){1, 10}),
                       .padding = SOMA_PAD_SAME_LOWER);
}
/* Depth 3, a window of 2 depths and 1 column of 2: 1 and 10 for the first depth, 100, 1000. */
static soma_var solid_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 3, 1, 2, 1), (double[]){1, 2, 3, 4, 5, 6});
    return soma_conv3d(x, sample_values(ctx, 0, S(1, 2, 1, 2, 1), (double[]){1, 10, 100, 1000}));
}
/* Each x spreads over two cells at a step of 2; one more cell at the end stays empty. */
static soma_var back_line_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 2, 1), (double[]){1, 2});
    return soma_conv_transpose1d(x, sample_values(ctx, 0, S(1, 2, 1), (double[]){1, 10}),
                                 .stride = {2}, .output_padding = {1});
}
static soma_var back_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 2, 2, 1), (double[]){1, 0, 0, 2});
    return soma_conv_transpose2d(x, sample_values(ctx, 0, S(1, 2, 2, 1), (double[]){1, 2, 3, 4}));
}
static soma_var back_solid_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 2, 1, 1, 1), (double[]){1, 2});
    return soma_conv_transpose3d(x,
                                 sample_values(ctx, 0, S(1, 2, 1, 2, 1), (double[]){1, 2, 3, 4}));
}

const soma__sample soma__samples_conv_nd[] = {
    {"conv1d", "stride 2", .build = line_worked, SAMPLE_EXPECT(21, 43)},
    {"conv1d", "SAME_LOWER pads the begin", .build = lower_worked, SAMPLE_EXPECT(10, 21, 32)},
    {"conv1d", "3 to 5", .build = line},
    {"conv1d", "17 to 33, stride 2", .build = line_wide},
    {"conv1d", "dilation, groups, pad", .build = line_dilated},
    {"conv1d", "SAME", .build = line_same},
    {"conv1d", "SAME_LOWER, stride 3", .build = line_lower},
    {"conv1d", "empty batch", .build = line_empty},
    {"conv1d", "image", .build = line_refuse_image, .status = SOMA_SHAPE,
     .message = "conv1d: x must be [N,L,C]"},
    {"conv1d", "weight", .build = line_refuse_weight, .status = SOMA_SHAPE,
     .message = "w must be [O,k,C/groups]"},
    {"conv1d", "channels", .build = line_refuse_channels, .status = SOMA_SHAPE,
     .message = "input has 2 channels, weight expects 1 for each of 1 groups"},
    {"conv1d", "groups", .build = line_refuse_groups, .status = SOMA_SHAPE,
     .message = "3 channels do not divide into 2 groups"},
    {"conv1d", "negative groups", .build = line_refuse_no_group, .status = SOMA_INVALID,
     .message = "groups -1"},
    {"conv1d", "kernel beyond the line", .build = line_refuse_window, .status = SOMA_SHAPE,
     .message = "the kernel covers 4 cells, but the padded input has only 3"},

    {"conv3d", "two depths", .build = solid_worked, SAMPLE_EXPECT(4321, 6543)},
    {"conv3d", "2x3x2", .build = solid},
    {"conv3d", "17 to 9", .build = solid_wide},
    {"conv3d", "strides, uneven pads", .build = solid_stride},
    {"conv3d", "dilation, groups", .build = solid_dilated},
    {"conv3d", "SAME", .build = solid_same},
    {"conv3d", "1x1x1", .build = solid_point},
    {"conv3d", "taps that jump over the input", .build = solid_far},
    {"conv3d", "kernel beyond the input", .build = solid_refuse_window, .status = SOMA_SHAPE,
     .message = "the kernel covers 3x3x3 cells, but the padded input has only 2x5x5"},
    {"conv3d", "image", .build = solid_refuse_image, .status = SOMA_SHAPE,
     .message = "x must be [N,D,H,W,C]"},

    {"conv_transpose1d", "stride 2", .build = back_line_worked, SAMPLE_EXPECT(1, 10, 2, 20, 0)},
    {"conv_transpose1d", "stride 2, pad", .build = back_line},
    {"conv_transpose1d", "groups, output padding", .build = back_line_more},
    {"conv_transpose1d", "output padding up to the dilation", .build = back_line_dilated},
    {"conv_transpose1d", "too much output padding", .build = back_line_refuse_more,
     .status = SOMA_INVALID, .message = "output_padding 2 must be at least 0 and less than"},
    {"conv_transpose1d", "nothing left", .build = back_line_refuse_pad, .status = SOMA_SHAPE,
     .message = "pads 2 and 2 leave nothing of 3 output cells"},

    {"conv_transpose2d", "2x2 by 2x2", .build = back_worked,
     SAMPLE_EXPECT(1, 2, 0, 3, 6, 4, 0, 6, 8)},
    {"conv_transpose2d", "stride 2, pad", .build = back},
    {"conv_transpose2d", "output padding", .build = back_more},
    {"conv_transpose2d", "3 groups", .build = back_groups},
    {"conv_transpose2d", "dilation", .build = back_dilated},
    {"conv_transpose2d", "SAME", .build = back_same},
    {"conv_transpose2d", "SAME_LOWER", .build = back_lower},
    {"conv_transpose2d", "SAME with gaps", .build = back_gaps},
    {"conv_transpose2d", "depthwise", .build = back_depthwise},
    {"conv_transpose2d", "empty batch", .build = back_empty},
    {"conv_transpose2d", "channels", .build = back_refuse_channels, .status = SOMA_SHAPE,
     .message = "input has 2 channels, weight expects 3"},
    {"conv_transpose2d", "negative stride", .build = back_refuse_stride, .status = SOMA_INVALID,
     .message = "stride -1"},
    {"conv_transpose2d", "huge stride", .build = back_refuse_huge, .status = SOMA_SHAPE,
     .message = "the output is too large"},

    {"conv_transpose3d", "two depths", .build = back_solid_worked, SAMPLE_EXPECT(1, 2, 5, 8, 6, 8)},
    {"conv_transpose3d", "strides, pads, output padding", .build = back_solid},
    {"conv_transpose3d", "dilation, groups", .build = back_solid_groups},
    {"conv_transpose3d", "gaps", .build = back_solid_gaps},
    {"conv_transpose3d", "image", .build = back_solid_refuse, .status = SOMA_SHAPE,
     .message = "x must be [N,D,H,W,C]"},
    {0},
};
