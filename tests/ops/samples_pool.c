/* samples_pool.c: samples of the pools and of the ops that their gradients are made of. */
#include "driver.h"
#include "ops/attrs.h"

#define S SOMA_SHAPE

/* --- max_pool2d, avg_pool2d ------------------------------------------------------------------- */

#define MAX(name_, x_, ...)                                                                        \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        return soma_max_pool2d(sample_spread(ctx, x_, -1, 1), __VA_ARGS__);                        \
    }
#define AVG(name_, x_, ...)                                                                        \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        return soma_avg_pool2d(sample_in(ctx, x_, -1, 1), __VA_ARGS__);                            \
    }

MAX(max_2x2, S(2, 6, 8, 8), .size = {2, 2})
MAX(max_one_channel, S(2, 6, 6, 1), .size = {2, 2})
MAX(max_3_channels, S(2, 6, 6, 3), .size = {2, 2})
MAX(max_17_channels, S(1, 6, 6, 17), .size = {3, 3})
MAX(max_64_channels, S(1, 4, 4, 64), .size = {2, 2})
MAX(max_overlap, S(1, 7, 7, 5), .size = {3, 3}, .stride = {2, 2}, .pad = {1, 1, 1, 1})
MAX(max_stride_1, S(1, 5, 6, 4), .size = {2, 3}, .stride = {1, 1})
MAX(max_gaps, S(1, 8, 9, 3), .size = {2, 2}, .stride = {3, 4})
MAX(max_rest, S(1, 5, 7, 3), .size = {2, 2})
MAX(max_uneven_pad, S(1, 5, 6, 3), .size = {3, 4}, .stride = {2, 2}, .pad = {2, 0, 1, 3})
MAX(max_same, S(1, 7, 6, 3), .size = {3, 2}, .stride = {2, 2}, .padding = SOMA_PAD_SAME)
MAX(max_whole, S(2, 4, 5, 9), .size = {4, 5})
MAX(max_point, S(1, 3, 3, 2), .size = {1, 1})
MAX(max_empty, S(0, 6, 6, 3), .size = {2, 2})
MAX(max_dilated, S(1, 8, 9, 17), .size = {3, 2}, .stride = {1, 2}, .dilation = {2, 3},
    .pad = {2, 1, 3, 0})
MAX(max_dilated_beyond, S(1, 3, 2, 2), .size = {3, 3}, .stride = {2, 2}, .dilation = {2, 2},
    .pad = {2, 2, 2, 2})
MAX(max_ceil, S(1, 8, 7, 4), .size = {3, 3}, .stride = {2, 3}, .ceil_mode = true)
MAX(max_ceil_pad, S(1, 8, 6, 4), .size = {3, 2}, .stride = {3, 3}, .pad = {1, 1, 1, 0},
    .ceil_mode = true)
MAX(max_same_lower, S(1, 7, 6, 3), .size = {3, 2}, .stride = {2, 2}, .padding = SOMA_PAD_SAME_LOWER)
MAX(max_refuse_over, S(1, 1, 6, 3), .size = {2, 2}, .stride = {1, 1}, .dilation = {3, 1},
    .pad = {2, 0, 2, 0})
MAX(max_refuse_no_size, S(1, 6, 6, 3), .stride = {2, 2})
MAX(max_refuse_pad, S(1, 6, 6, 3), .size = {2, 2}, .pad = {2, 0, 0, 0})
MAX(max_refuse_window, S(1, 5, 6, 3), .size = {7, 7})
MAX(max_refuse_vector, S(6), .size = {2, 2})

AVG(avg_2x2, S(2, 6, 8, 8), .size = {2, 2})
AVG(avg_3_channels, S(2, 6, 6, 3), .size = {2, 2})
AVG(avg_17_channels, S(1, 6, 6, 17), .size = {3, 3})
AVG(avg_overlap, S(1, 7, 7, 5), .size = {3, 3}, .stride = {2, 2}, .pad = {1, 1, 1, 1})
AVG(avg_count_pad, S(1, 7, 7, 5), .size = {3, 3}, .stride = {2, 2}, .pad = {1, 1, 1, 1},
    .count_pad = true)
AVG(avg_uneven_pad, S(1, 5, 6, 3), .size = {3, 4}, .stride = {2, 2}, .pad = {2, 0, 1, 3})
AVG(avg_same, S(1, 7, 6, 3), .size = {3, 2}, .stride = {2, 2}, .padding = SOMA_PAD_SAME)
AVG(avg_gaps, S(1, 8, 9, 3), .size = {2, 2}, .stride = {3, 4})
AVG(avg_whole, S(2, 4, 5, 64), .size = {4, 5})
AVG(avg_empty, S(0, 6, 6, 3), .size = {2, 2})
AVG(avg_dilated, S(1, 8, 9, 17), .size = {3, 2}, .stride = {1, 2}, .dilation = {2, 3},
    .pad = {2, 1, 3, 0}, .count_pad = true)
AVG(avg_dilated_real, S(1, 8, 9, 5), .size = {2, 2}, .stride = {3, 1}, .dilation = {2, 3},
    .pad = {1, 1, 1, 1})
AVG(avg_ceil, S(1, 8, 7, 4), .size = {3, 3}, .stride = {2, 3}, .ceil_mode = true)
AVG(avg_ceil_count, S(1, 8, 6, 4), .size = {3, 2}, .stride = {3, 3}, .pad = {1, 1, 1, 0},
    .ceil_mode = true, .count_pad = true)
AVG(avg_divisor, S(1, 6, 6, 4), .size = {3, 3}, .stride = {2, 2}, .pad = {1, 1, 1, 1}, .divisor = 7)
AVG(avg_refuse_divisor, S(1, 5, 6, 3), .size = {2, 2}, .divisor = -1)
AVG(avg_refuse_window, S(1, 5, 6, 3), .size = {7, 7})
AVG(avg_refuse_stride, S(1, 5, 6, 3), .size = {2, 2}, .stride = {-2, 2})

static const double grid[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

static soma_var max_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 3, 3, 1), grid);
    return soma_max_pool2d(x, .size = {2, 2}, .stride = {1, 1});
}
/* A padded cell never wins, though it counts as nothing and all values are below zero. */
static soma_var max_negative(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 2, 2, 1), (double[]){-4, -3, -2, -1});
    return soma_max_pool2d(x, .size = {2, 2}, .stride = {2, 2}, .pad = {1, 1, 1, 1});
}
static soma_var max_nonfinite(soma__sample_ctx *ctx)
{
    soma_var x =
        sample_values(ctx, 0, S(1, 1, 6, 1), (double[]){1, NAN, -INFINITY, -INFINITY, INFINITY, 5});
    return soma_max_pool2d(x, .size = {1, 2});
}
static soma_var avg_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 3, 3, 1), grid);
    return soma_avg_pool2d(x, .size = {2, 2}, .stride = {1, 1});
}
/* Corners hold one real cell of four: 1 against 1/4. */
static soma_var avg_corner(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 2, 2, 1), (double[]){4, 8, 12, 16});
    return soma_avg_pool2d(x, .size = {2, 2}, .pad = {1, 1, 1, 1});
}
static soma_var avg_corner_counted(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 2, 2, 1), (double[]){4, 8, 12, 16});
    return soma_avg_pool2d(x, .size = {2, 2}, .pad = {1, 1, 1, 1}, .count_pad = true);
}
static soma_var max_refuse_integers(soma__sample_ctx *ctx)
{
    return soma_max_pool2d(sample_int(ctx, SOMA_I32, S(1, 4, 4, 1), 0, 9), .size = {2, 2});
}

/* --- the gradient ops ------------------------------------------------------------------------- */

static soma_var of_x(soma__sample_ctx *ctx, const char *op, soma_shape x, soma_shape other,
                     soma__pool_attrs attrs)
{
    soma_var in[2];
    for (int d = 0; d < 2; d++) {
        attrs.stride[d] = attrs.stride[d] ? attrs.stride[d] : attrs.size[d];
        attrs.dilation[d] = 1;
    }
    in[0] = sample_spread(ctx, x, -1, 1);
    in[1] = sample_in(ctx, other, -1, 1);
    return sample_op(ctx, op, in, 2, &attrs);
}
#define MAX_GRAD(name_, x_, dy_, ...)                                                              \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        return of_x(ctx, "max_pool2d_grad", x_, dy_, (soma__pool_attrs){__VA_ARGS__});             \
    }
#define PICK(name_, x_, t_, ...)                                                                   \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        return of_x(ctx, "max_pool2d_pick", x_, t_, (soma__pool_attrs){__VA_ARGS__});              \
    }

MAX_GRAD(mg_2x2, S(2, 6, 8, 8), S(2, 3, 4, 8), .size = {2, 2})
MAX_GRAD(mg_17, S(1, 6, 6, 17), S(1, 2, 2, 17), .size = {3, 3})
MAX_GRAD(mg_overlap, S(1, 7, 7, 5), S(1, 4, 4, 5), .size = {3, 3}, .stride = {2, 2},
         .pad = {1, 1, 1, 1})
MAX_GRAD(mg_gaps, S(1, 8, 9, 3), S(1, 3, 2, 3), .size = {2, 2}, .stride = {3, 4})
MAX_GRAD(mg_rest, S(1, 5, 7, 3), S(1, 2, 3, 3), .size = {2, 2})
MAX_GRAD(mg_empty, S(0, 6, 6, 3), S(0, 3, 3, 3), .size = {2, 2})
MAX_GRAD(mg_refuse, S(1, 6, 6, 3), S(1, 2, 3, 3), .size = {2, 2})
PICK(pick_2x2, S(2, 6, 8, 8), S(2, 6, 8, 8), .size = {2, 2})
PICK(pick_17, S(1, 6, 6, 17), S(1, 6, 6, 17), .size = {3, 3})
PICK(pick_overlap, S(1, 7, 7, 5), S(1, 7, 7, 5), .size = {3, 3}, .stride = {2, 2},
     .pad = {1, 1, 1, 1})
PICK(pick_empty, S(0, 6, 6, 3), S(0, 6, 6, 3), .size = {2, 2})
PICK(pick_refuse, S(1, 6, 6, 3), S(1, 6, 6, 4), .size = {2, 2})

/* 9 is the largest of one window, 5 of two: their dy add up. A tie goes to the first cell. */
static soma_var mg_worked(soma__sample_ctx *ctx)
{
    soma__pool_attrs attrs = {.dilation = {1, 1}, .size = {1, 2}, .stride = {1, 1}};
    soma_var in[2];
    in[0] = sample_values(ctx, 0, S(1, 1, 5, 1), (double[]){1, 5, 2, 9, 9});
    in[1] = sample_values(ctx, 0, S(1, 1, 4, 1), (double[]){10, 20, 30, 40});
    return sample_op(ctx, "max_pool2d_grad", in, 2, &attrs);
}
static soma_var mg_nan(soma__sample_ctx *ctx)
{
    soma__pool_attrs attrs = {.dilation = {1, 1}, .size = {1, 3}, .stride = {1, 3}};
    soma_var in[2];
    in[0] = sample_values(ctx, 0, S(1, 1, 3, 1), (double[]){9, NAN, NAN});
    in[1] = sample_values(ctx, 0, S(1, 1, 1, 1), (double[]){7});
    return sample_op(ctx, "max_pool2d_grad", in, 2, &attrs);
}
static soma_var pick_worked(soma__sample_ctx *ctx)
{
    soma__pool_attrs attrs = {.dilation = {1, 1}, .size = {1, 2}, .stride = {1, 1}};
    soma_var in[2];
    in[0] = sample_values(ctx, 0, S(1, 1, 5, 1), (double[]){1, 5, 2, 9, 9});
    in[1] = sample_values(ctx, 0, S(1, 1, 5, 1), (double[]){10, 20, 30, 40, 50});
    return sample_op(ctx, "max_pool2d_pick", in, 2, &attrs);
}

static soma_var avg_grad(soma__sample_ctx *ctx, soma_shape dy, soma__pool_attrs attrs)
{
    for (int d = 0; d < 2; d++) {
        attrs.stride[d] = attrs.stride[d] ? attrs.stride[d] : attrs.size[d];
        attrs.dilation[d] = 1;
    }
    soma_var in = sample_in(ctx, dy, -1, 1);
    return sample_op(ctx, "avg_pool2d_grad", &in, 1, &attrs);
}
#define AVG_GRAD(name_, dy_, ...)                                                                  \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        return avg_grad(ctx, dy_, (soma__pool_attrs){__VA_ARGS__});                                \
    }

AVG_GRAD(ag_2x2, S(2, 3, 4, 8), .size = {2, 2}, .input = {6, 8})
AVG_GRAD(ag_17, S(1, 2, 2, 17), .size = {3, 3}, .input = {6, 6})
AVG_GRAD(ag_overlap, S(1, 4, 4, 5), .size = {3, 3}, .stride = {2, 2}, .pad = {1, 1, 1, 1},
         .input = {7, 7})
AVG_GRAD(ag_counted, S(1, 4, 4, 5), .size = {3, 3}, .stride = {2, 2}, .pad = {1, 1, 1, 1},
         .input = {7, 7}, .count_pad = 1)
AVG_GRAD(ag_gaps, S(1, 3, 2, 3), .size = {2, 2}, .stride = {3, 4}, .input = {8, 9})
AVG_GRAD(ag_empty, S(0, 3, 3, 3), .size = {2, 2}, .input = {6, 6})
AVG_GRAD(ag_refuse, S(1, 3, 3, 3), .size = {2, 2}, .input = {8, 8})

static soma_var ag_worked(soma__sample_ctx *ctx)
{
    soma__pool_attrs attrs = {
        .dilation = {1, 1}, .size = {1, 2}, .stride = {1, 1}, .input = {1, 3}};
    soma_var dy = sample_values(ctx, 0, S(1, 1, 2, 1), (double[]){10, 20});
    return sample_op(ctx, "avg_pool2d_grad", &dy, 1, &attrs);
}

const soma__sample soma__samples_pool[] = {
    {"max_pool2d", "dilation", .build = max_dilated},
    {"max_pool2d", "dilation beyond a small image", .build = max_dilated_beyond},
    {"max_pool2d", "ceil mode", .build = max_ceil},
    {"max_pool2d", "ceil mode, pads", .build = max_ceil_pad},
    {"max_pool2d", "SAME_LOWER", .build = max_same_lower},
    {"max_pool2d", "dilation that jumps over the image", .build = max_refuse_over,
     .status = SOMA_INVALID, .message = "a window outside the image has no value"},
    {"avg_pool2d", "dilation, counted pads", .build = avg_dilated},
    {"avg_pool2d", "dilation", .build = avg_dilated_real},
    {"avg_pool2d", "ceil mode", .build = avg_ceil},
    {"avg_pool2d", "ceil mode, counted pads", .build = avg_ceil_count},
    {"avg_pool2d", "divisor", .build = avg_divisor},
    {"avg_pool2d", "negative divisor", .build = avg_refuse_divisor, .status = SOMA_INVALID,
     .message = "divisor -1 is negative"},
    {"max_pool2d", "3x3 by 2x2", .build = max_worked, SAMPLE_EXPECT(5, 6, 8, 9)},
    {"max_pool2d", "padded cells never win", .build = max_negative, SAMPLE_EXPECT(-4, -3, -2, -1)},
    {"max_pool2d", "NaN and Inf", .build = max_nonfinite, .flags = SAMPLE_NO_DIFFERENCES,
     SAMPLE_EXPECT(NAN, -INFINITY, INFINITY)},
    {"max_pool2d", "2x2, 8 channels", .build = max_2x2, .flags = SAMPLE_EXACT},
    {"max_pool2d", "1 channel", .build = max_one_channel, .flags = SAMPLE_EXACT},
    {"max_pool2d", "3 channels", .build = max_3_channels, .flags = SAMPLE_EXACT},
    {"max_pool2d", "17 channels", .build = max_17_channels, .flags = SAMPLE_EXACT},
    {"max_pool2d", "64 channels", .build = max_64_channels, .flags = SAMPLE_EXACT},
    {"max_pool2d", "windows overlap", .build = max_overlap, .flags = SAMPLE_EXACT},
    {"max_pool2d", "stride 1", .build = max_stride_1, .flags = SAMPLE_EXACT},
    {"max_pool2d", "gaps between windows", .build = max_gaps, .flags = SAMPLE_EXACT},
    {"max_pool2d", "cells left over", .build = max_rest, .flags = SAMPLE_EXACT},
    {"max_pool2d", "uneven pads", .build = max_uneven_pad, .flags = SAMPLE_EXACT},
    {"max_pool2d", "SAME", .build = max_same, .flags = SAMPLE_EXACT},
    {"max_pool2d", "the whole image", .build = max_whole, .flags = SAMPLE_EXACT},
    {"max_pool2d", "1x1", .build = max_point, .flags = SAMPLE_EXACT},
    {"max_pool2d", "empty batch", .build = max_empty, .flags = SAMPLE_EXACT},
    {"max_pool2d", "no size", .build = max_refuse_no_size, .status = SOMA_INVALID,
     .message = "window size 0 must be at least 1"},
    {"max_pool2d", "pad as large as the window", .build = max_refuse_pad, .status = SOMA_INVALID,
     .message = "pads 2 and 0 must be less than the window's 2"},
    {"max_pool2d", "window beyond the image", .build = max_refuse_window, .status = SOMA_SHAPE,
     .message = "the window covers 7x7 cells, but the padded input has only 5x6"},
    {"max_pool2d", "vector", .build = max_refuse_vector, .status = SOMA_SHAPE,
     .message = "x must be [N,H,W,C]"},
    {"max_pool2d", "integers", .build = max_refuse_integers, .status = SOMA_DTYPE,
     .message = "float"},

    {"max_pool2d_grad", "sums, ties to the first", .build = mg_worked,
     .flags = SAMPLE_NO_DIFFERENCES, SAMPLE_EXPECT(0, 30, 0, 70, 0)},
    {"max_pool2d_grad", "to the first NaN", .build = mg_nan, .flags = SAMPLE_NO_DIFFERENCES,
     SAMPLE_EXPECT(0, 7, 0)},
    {"max_pool2d_grad", "2x2, 8 channels", .build = mg_2x2},
    {"max_pool2d_grad", "17 channels", .build = mg_17},
    {"max_pool2d_grad", "windows overlap", .build = mg_overlap},
    {"max_pool2d_grad", "gaps between windows", .build = mg_gaps},
    {"max_pool2d_grad", "cells left over", .build = mg_rest},
    {"max_pool2d_grad", "empty batch", .build = mg_empty},
    {"max_pool2d_grad", "dy of another shape", .build = mg_refuse, .status = SOMA_SHAPE,
     .message = "dy is [1,2,3,3], but the pooled shape is [1,3,3,3]"},

    {"max_pool2d_pick", "the same choice", .build = pick_worked, .flags = SAMPLE_NO_DIFFERENCES,
     SAMPLE_EXPECT(20, 20, 40, 40)},
    {"max_pool2d_pick", "2x2, 8 channels", .build = pick_2x2, .flags = SAMPLE_EXACT},
    {"max_pool2d_pick", "17 channels", .build = pick_17, .flags = SAMPLE_EXACT},
    {"max_pool2d_pick", "windows overlap", .build = pick_overlap, .flags = SAMPLE_EXACT},
    {"max_pool2d_pick", "empty batch", .build = pick_empty, .flags = SAMPLE_EXACT},
    {"max_pool2d_pick", "two shapes", .build = pick_refuse, .status = SOMA_SHAPE,
     .message = "must have one shape"},

    {"avg_pool2d", "3x3 by 2x2", .build = avg_worked, SAMPLE_EXPECT(3, 4, 6, 7)},
    {"avg_pool2d", "real cells count", .build = avg_corner, SAMPLE_EXPECT(4, 8, 12, 16)},
    {"avg_pool2d", "padded cells count", .build = avg_corner_counted, SAMPLE_EXPECT(1, 2, 3, 4)},
    {"avg_pool2d", "2x2, 8 channels", .build = avg_2x2},
    {"avg_pool2d", "3 channels", .build = avg_3_channels},
    {"avg_pool2d", "17 channels", .build = avg_17_channels},
    {"avg_pool2d", "windows overlap", .build = avg_overlap},
    {"avg_pool2d", "windows overlap, pads count", .build = avg_count_pad},
    {"avg_pool2d", "uneven pads", .build = avg_uneven_pad},
    {"avg_pool2d", "SAME", .build = avg_same},
    {"avg_pool2d", "gaps between windows", .build = avg_gaps},
    {"avg_pool2d", "the whole image, 64 channels", .build = avg_whole},
    {"avg_pool2d", "empty batch", .build = avg_empty},
    {"avg_pool2d", "window beyond the image", .build = avg_refuse_window, .status = SOMA_SHAPE,
     .message = "covers 7x7"},
    {"avg_pool2d", "negative stride", .build = avg_refuse_stride, .status = SOMA_INVALID,
     .message = "stride -2"},

    {"avg_pool2d_grad", "halves", .build = ag_worked, SAMPLE_EXPECT(5, 15, 10)},
    {"avg_pool2d_grad", "2x2, 8 channels", .build = ag_2x2},
    {"avg_pool2d_grad", "17 channels", .build = ag_17},
    {"avg_pool2d_grad", "windows overlap", .build = ag_overlap},
    {"avg_pool2d_grad", "windows overlap, pads count", .build = ag_counted},
    {"avg_pool2d_grad", "gaps between windows", .build = ag_gaps},
    {"avg_pool2d_grad", "empty batch", .build = ag_empty},
    {"avg_pool2d_grad", "dy of another shape", .build = ag_refuse, .status = SOMA_SHAPE,
     .message = "dy is [1,3,3,3], but the pooled shape is [1,4,4,3]"},
    {0},
};
