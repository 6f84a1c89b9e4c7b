/* samples_pool_nd.c: samples of the pools that are composites. */
#include "driver.h"

#define S SOMA_SHAPE

#define POOL(name_, op_, x_, ...)                                                                  \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        return soma_##op_(sample_spread(ctx, x_, -1, 1), __VA_ARGS__);                             \
    }

POOL(max_line, max_pool1d, S(2, 9, 5), .size = {3}, .stride = {2}, .pad = {1, 1})
POOL(max_line_dilated, max_pool1d, S(1, 10, 17), .size = {3}, .dilation = {2}, .ceil_mode = true)
POOL(max_line_refuse, max_pool1d, S(1, 9), .size = {3})
POOL(max_line_refuse_pad, max_pool1d, S(1, 9, 1), .size = {3}, .pad = {3, 0})
POOL(max_solid, max_pool3d, S(1, 5, 6, 4, 3), .size = {2, 3, 2}, .stride = {2, 1, 2},
     .pad = {1, 1, 0, 0, 1, 1})
POOL(max_solid_ceil, max_pool3d, S(2, 5, 5, 5, 2), .size = {2, 2, 2}, .ceil_mode = true)
POOL(max_solid_refuse, max_pool3d, S(1, 5, 5, 5, 2), .size = {2, 2})
POOL(avg_line, avg_pool1d, S(2, 9, 5), .size = {4}, .stride = {3}, .pad = {2, 1})
POOL(avg_line_count, avg_pool1d, S(2, 10, 3), .size = {4}, .stride = {4}, .pad = {1, 1},
     .ceil_mode = true, .count_pad = true)
POOL(avg_line_refuse, avg_pool1d, S(2, 9, 5), .size = {4}, .divisor = -2)
POOL(avg_solid, avg_pool3d, S(1, 5, 6, 4, 3), .size = {2, 3, 2}, .stride = {2, 1, 2},
     .pad = {1, 1, 0, 0, 1, 1})
POOL(avg_solid_count, avg_pool3d, S(1, 5, 4, 4, 2), .size = {3, 2, 3}, .stride = {2, 2, 2},
     .pad = {1, 1, 1, 1, 1, 1}, .count_pad = true, .ceil_mode = true)
POOL(avg_solid_divisor, avg_pool3d, S(1, 4, 4, 4, 2), .size = {2, 2, 2}, .divisor = 5)
POOL(avg_solid_refuse, avg_pool3d, S(1, 4, 4, 2), .size = {2, 2, 2})
POOL(lp_line, lp_pool1d, S(2, 9, 3), .size = {3}, .stride = {2})
POOL(lp_line_3, lp_pool1d, S(1, 9, 3), .size = {3}, .p = 3)
POOL(lp_line_refuse, lp_pool1d, S(1, 9, 3), .size = {3}, .p = 0.5)
POOL(lp_image, lp_pool2d, S(2, 6, 7, 3), .size = {3, 2}, .stride = {2, 2}, .pad = {1, 0, 1, 1})
POOL(lp_image_1, lp_pool2d, S(1, 5, 5, 4), .size = {2, 2}, .p = 1, .ceil_mode = true)
POOL(lp_image_refuse, lp_pool2d, S(1, 5, 5), .size = {2, 2})
POOL(lp_solid, lp_pool3d, S(1, 4, 5, 4, 2), .size = {2, 2, 2}, .p = 2.5)
POOL(lp_solid_refuse, lp_pool3d, S(1, 4, 5, 4, 2), .size = {5, 2, 2})

#define SIZES(...)                                                                                 \
    (const int64_t[]){__VA_ARGS__}, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))
POOL(adaptive_max_line, adaptive_max_pool, S(2, 7, 3), SIZES(3))
POOL(adaptive_max_image, adaptive_max_pool, S(2, 7, 5, 17), SIZES(3, 4))
POOL(adaptive_max_more, adaptive_max_pool, S(1, 3, 4, 2), SIZES(5, 4))
POOL(adaptive_max_solid, adaptive_max_pool, S(1, 5, 4, 7, 2), SIZES(2, 3, 4))
POOL(adaptive_max_refuse, adaptive_max_pool, S(1, 5, 4, 2), SIZES(2, 0))
POOL(adaptive_avg_line, adaptive_avg_pool, S(2, 7, 3), SIZES(3))
POOL(adaptive_avg_image, adaptive_avg_pool, S(2, 7, 5, 17), SIZES(3, 4))
POOL(adaptive_avg_more, adaptive_avg_pool, S(1, 3, 4, 2), SIZES(5, 9))
POOL(adaptive_avg_solid, adaptive_avg_pool, S(1, 5, 4, 7, 2), SIZES(2, 3, 4))
POOL(adaptive_avg_one, adaptive_avg_pool, S(2, 5, 4, 3), SIZES(1, 1))
POOL(adaptive_avg_refuse, adaptive_avg_pool, S(1, 5, 4, 2), SIZES(2))

static soma_var adaptive_none(soma__sample_ctx *ctx)
{
    return soma_adaptive_avg_pool(sample_in(ctx, S(1, 5, 4, 2), -1, 1), NULL, 0);
}

#define GLOBAL(name_, call_, x_)                                                                   \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        soma_var x = sample_spread(ctx, x_, -1, 1);                                                \
        return call_;                                                                              \
    }
GLOBAL(global_max, soma_global_max_pool(x), S(2, 4, 5, 3))
GLOBAL(global_max_refuse, soma_global_max_pool(x), S(2, 3))
GLOBAL(global_avg, soma_global_avg_pool(x), S(2, 3, 4, 5, 3))
GLOBAL(global_avg_refuse, soma_global_avg_pool(x), S(2, 0, 3))
GLOBAL(global_lp, soma_global_lp_pool(x, 2), S(2, 9, 3))
GLOBAL(global_lp_3, soma_global_lp_pool(x, 3), S(2, 4, 3, 3))
GLOBAL(global_lp_refuse, soma_global_lp_pool(x, NAN), S(2, 9, 3))

POOL(indices, max_pool2d_indices, S(2, 6, 7, 3), .size = {3, 2}, .stride = {2, 2},
     .pad = {1, 0, 1, 1})
POOL(indices_refuse, max_pool2d_indices, S(2, 6, 7), .size = {3, 2})

/* 0 1 2 … n-1 and the way they would lie in a line. */
static soma_var line_of(soma__sample_ctx *ctx, int64_t n)
{
    double values[16];
    for (int64_t i = 0; i < n; i++)
        values[i] = (double)i;
    return sample_values(ctx, 0, S(1, n, 1), values);
}
static soma_var max_line_worked(soma__sample_ctx *ctx)
{
    return soma_max_pool1d(line_of(ctx, 5), .size = {2}, .ceil_mode = true);
}
static soma_var avg_line_worked(soma__sample_ctx *ctx)
{
    return soma_avg_pool1d(line_of(ctx, 5), .size = {2}, .ceil_mode = true);
}
/* Of the last window's two cells one is padding, which counts, and one lies beyond, which does not.
 */
static soma_var avg_line_beyond(soma__sample_ctx *ctx)
{
    return soma_avg_pool1d(line_of(ctx, 5), .size = {3}, .stride = {3}, .pad = {0, 1},
                           .ceil_mode = true, .count_pad = true);
}
static soma_var eight(soma__sample_ctx *ctx)
{
    return sample_values(ctx, 0, S(1, 2, 2, 2, 1), (double[]){1, 2, 3, 4, 5, 6, 7, 12});
}
static soma_var max_solid_worked(soma__sample_ctx *ctx)
{
    return soma_max_pool3d(eight(ctx), .size = {2, 1, 2});
}
static soma_var avg_solid_worked(soma__sample_ctx *ctx)
{
    return soma_avg_pool3d(eight(ctx), .size = {2, 2, 2});
}
static soma_var avg_solid_sum(soma__sample_ctx *ctx)
{
    return soma_avg_pool3d(eight(ctx), .size = {2, 2, 2}, .divisor = 1);
}
static soma_var lp_line_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 4, 1), (double[]){3, -4, 0, -5});
    return soma_lp_pool1d(x, .size = {2});
}
/* A window of zeros: the value 0, and no NaN in the gradient. */
static soma_var lp_line_zeros(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 4, 1), (double[]){3, -4, 0, 0});
    return soma_lp_pool1d(x, .size = {2});
}
static soma_var lp_image_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 2, 2, 1), (double[]){1, -2, 3, -4});
    return soma_lp_pool2d(x, .size = {2, 2}, .p = 1);
}
static soma_var lp_solid_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 2, 1, 2, 1), (double[]){1, -1, 1, 5});
    return soma_lp_pool3d(x, .size = {2, 1, 1});
}
/* Five cells in three windows: [0,2), [1,4), [3,5). */
static soma_var adaptive_max_worked(soma__sample_ctx *ctx)
{
    return soma_adaptive_max_pool(line_of(ctx, 5), SIZES(3));
}
static soma_var adaptive_avg_worked(soma__sample_ctx *ctx)
{
    return soma_adaptive_avg_pool(line_of(ctx, 5), SIZES(3));
}
static soma_var global_max_worked(soma__sample_ctx *ctx)
{
    return soma_global_max_pool(eight(ctx));
}
static soma_var global_avg_worked(soma__sample_ctx *ctx)
{
    return soma_global_avg_pool(eight(ctx));
}
static soma_var global_lp_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 2, 2), (double[]){3, 1, -4, 0});
    return soma_global_lp_pool(x, 2);
}
static soma_var indices_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 2, 4, 1), (double[]){1, 2, 9, 4, 8, 6, 9, 3});
    return soma_max_pool2d_indices(x, .size = {2, 2});
}

static soma_var unpool(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(2, 2, 3, 5), -1, 1);
    return soma_max_unpool2d(x, sample_int(ctx, SOMA_I64, S(2, 2, 3, 5), -1, 29), 4, 7);
}
/* 7 from two windows stays 7, 1 and 3 become 2; -1 and 6 are no cells. */
static soma_var unpool_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 2, 3, 1), (double[]){7, 7, 1, 3, 5, 6});
    soma_var index = sample_values(ctx, SOMA_I32, S(1, 2, 3, 1), (double[]){4, 4, 0, 0, -1, 6});
    return soma_max_unpool2d(x, index, 2, 3);
}
static soma_var unpool_refuse(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(2, 2, 3, 5), -1, 1);
    return soma_max_unpool2d(x, sample_int(ctx, SOMA_I64, S(2, 2, 3, 4), 0, 2), 4, 6);
}
static soma_var unpool_refuse_size(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(2, 2, 3, 5), -1, 1);
    return soma_max_unpool2d(x, sample_int(ctx, SOMA_I64, S(2, 2, 3, 5), 0, 2), 4, 0);
}

const soma__sample soma__samples_pool_nd[] = {
    {"max_pool1d", "ceil mode", .build = max_line_worked, SAMPLE_EXPECT(1, 3, 4)},
    {"max_pool1d", "overlap, pad", .build = max_line},
    {"max_pool1d", "dilation, ceil mode", .build = max_line_dilated},
    {"max_pool1d", "matrix", .build = max_line_refuse, .status = SOMA_SHAPE,
     .message = "max_pool1d: x must be [N,L,C]"},
    {"max_pool1d", "pad", .build = max_line_refuse_pad, .status = SOMA_INVALID,
     .message = "pads 3 and 0 must be less than the window's 3"},
    {"max_pool3d", "2x1x2", .build = max_solid_worked, SAMPLE_EXPECT(6, 12)},
    {"max_pool3d", "overlap, pads", .build = max_solid},
    {"max_pool3d", "ceil mode", .build = max_solid_ceil},
    {"max_pool3d", "two sizes", .build = max_solid_refuse, .status = SOMA_INVALID,
     .message = "window size 0"},
    {"avg_pool1d", "ceil mode", .build = avg_line_worked, SAMPLE_EXPECT(0.5, 2.5, 4)},
    {"avg_pool1d", "beyond the padding", .build = avg_line_beyond, SAMPLE_EXPECT(1, 7. / 3)},
    {"avg_pool1d", "overlap, pad", .build = avg_line},
    {"avg_pool1d", "counted pads, ceil mode", .build = avg_line_count},
    {"avg_pool1d", "divisor", .build = avg_line_refuse, .status = SOMA_INVALID,
     .message = "divisor -2 is negative"},
    {"avg_pool3d", "2x2x2", .build = avg_solid_worked, SAMPLE_EXPECT(5)},
    {"avg_pool3d", "sum", .build = avg_solid_sum, SAMPLE_EXPECT(40)},
    {"avg_pool3d", "overlap, pads", .build = avg_solid},
    {"avg_pool3d", "counted pads, ceil mode", .build = avg_solid_count},
    {"avg_pool3d", "divisor", .build = avg_solid_divisor},
    {"avg_pool3d", "image", .build = avg_solid_refuse, .status = SOMA_SHAPE,
     .message = "x must be [N,D,H,W,C]"},
    {"lp_pool1d", "two norms", .build = lp_line_worked, SAMPLE_EXPECT(5, 5)},
    {"lp_pool1d", "zeros", .build = lp_line_zeros, .flags = SAMPLE_NO_DIFFERENCES,
     SAMPLE_EXPECT(5, 0)},
    {"lp_pool1d", "overlap", .build = lp_line},
    {"lp_pool1d", "p 3", .build = lp_line_3},
    {"lp_pool1d", "p below 1", .build = lp_line_refuse, .status = SOMA_INVALID,
     .message = "p 0.5 must be a number of at least 1"},
    {"lp_pool2d", "p 1", .build = lp_image_worked, SAMPLE_EXPECT(10)},
    {"lp_pool2d", "overlap, pads", .build = lp_image},
    {"lp_pool2d", "p 1, ceil mode", .build = lp_image_1},
    {"lp_pool2d", "line", .build = lp_image_refuse, .status = SOMA_SHAPE,
     .message = "x must be [N,H,W,C]"},
    {"lp_pool3d", "2x1x1", .build = lp_solid_worked,
     SAMPLE_EXPECT(1.4142135623730951, 5.0990195135927845)},
    {"lp_pool3d", "p 2.5", .build = lp_solid},
    {"lp_pool3d", "window beyond the input", .build = lp_solid_refuse, .status = SOMA_SHAPE,
     .message = "the window covers 5x2x2 cells"},
    {"adaptive_max_pool", "5 to 3", .build = adaptive_max_worked, SAMPLE_EXPECT(1, 3, 4)},
    {"adaptive_max_pool", "line", .build = adaptive_max_line},
    {"adaptive_max_pool", "image", .build = adaptive_max_image},
    {"adaptive_max_pool", "more than there are", .build = adaptive_max_more},
    {"adaptive_max_pool", "three axes", .build = adaptive_max_solid},
    {"adaptive_max_pool", "no size", .build = adaptive_max_refuse, .status = SOMA_INVALID,
     .message = "size 0 must be at least 1"},
    {"adaptive_avg_pool", "5 to 3", .build = adaptive_avg_worked, SAMPLE_EXPECT(0.5, 2, 3.5)},
    {"adaptive_avg_pool", "line", .build = adaptive_avg_line},
    {"adaptive_avg_pool", "image", .build = adaptive_avg_image},
    {"adaptive_avg_pool", "more than there are", .build = adaptive_avg_more},
    {"adaptive_avg_pool", "three axes", .build = adaptive_avg_solid},
    {"adaptive_avg_pool", "to one cell", .build = adaptive_avg_one},
    {"adaptive_avg_pool", "too few sizes", .build = adaptive_avg_refuse, .status = SOMA_SHAPE,
     .message = "x must be [N,L,C]"},
    {"adaptive_avg_pool", "no sizes", .build = adaptive_none, .status = SOMA_INVALID,
     .message = "0 image axes"},
    {"global_max_pool", "eight", .build = global_max_worked, SAMPLE_EXPECT(12)},
    {"global_max_pool", "image", .build = global_max},
    {"global_max_pool", "vectors", .build = global_max_refuse, .status = SOMA_SHAPE,
     .message = "x must be [N,…,C] with 1 to 3 image axes"},
    {"global_avg_pool", "eight", .build = global_avg_worked, SAMPLE_EXPECT(5)},
    {"global_avg_pool", "three axes", .build = global_avg},
    {"global_avg_pool", "no cells", .build = global_avg_refuse, .status = SOMA_SHAPE,
     .message = "sizes of at least 1"},
    {"global_lp_pool", "two channels", .build = global_lp_worked, SAMPLE_EXPECT(5, 1)},
    {"global_lp_pool", "line", .build = global_lp},
    {"global_lp_pool", "p 3", .build = global_lp_3},
    {"global_lp_pool", "p that is none", .build = global_lp_refuse, .status = SOMA_INVALID,
     .message = "must be a number of at least 1"},
    {"max_pool2d_indices", "the first of equal ones", .build = indices_worked,
     .flags = SAMPLE_NO_GRADIENT, SAMPLE_EXPECT(4, 2)},
    {"max_pool2d_indices", "overlap, pads", .build = indices,
     .flags = SAMPLE_NO_GRADIENT | SAMPLE_EXACT},
    {"max_pool2d_indices", "line", .build = indices_refuse, .status = SOMA_SHAPE,
     .message = "max_pool2d_indices: x must be [N,H,W,C]"},
    {"max_unpool2d", "shared cells", .build = unpool_worked, SAMPLE_EXPECT(2, 0, 0, 0, 7, 0)},
    {"max_unpool2d", "random indices", .build = unpool},
    {"max_unpool2d", "indices of another shape", .build = unpool_refuse, .status = SOMA_SHAPE,
     .message = "must have one shape"},
    {"max_unpool2d", "no size", .build = unpool_refuse_size, .status = SOMA_INVALID,
     .message = "bad size 4x0"},
    {0},
};
