/* samples_resize.c: samples of resample, its transpose, and resize. */
#include "driver.h"
#include "ops/attrs.h"

#define S SOMA_SHAPE

/* --- resample --------------------------------------------------------------------------------- */

static soma_var rows_of(soma__sample_ctx *ctx, soma_shape x, int64_t rows, int64_t taps,
                        int64_t cells, int64_t axis)
{
    soma_var from = sample_in(ctx, x, -1, 1);
    soma_var index = sample_int(ctx, SOMA_I64, S(rows, taps), -1, cells + 1);
    return soma_resample(from, index, sample_in(ctx, S(rows, taps), -1, 1), axis);
}
static soma_var resample_rows(soma__sample_ctx *ctx)
{
    return rows_of(ctx, S(2, 6, 5, 3), 9, 3, 6, 1);
}
static soma_var resample_columns(soma__sample_ctx *ctx)
{
    return rows_of(ctx, S(2, 6, 5, 17), 4, 2, 5, 2);
}
static soma_var resample_wide(soma__sample_ctx *ctx)
{
    return rows_of(ctx, S(1, 3, 700, 3), 5, 4, 3, -3);
}
static soma_var resample_vector(soma__sample_ctx *ctx)
{
    return rows_of(ctx, S(7), 3, 2, 7, 0);
}
static soma_var resample_no_rows(soma__sample_ctx *ctx)
{
    return rows_of(ctx, S(2, 3), 0, 2, 2, 0);
}
static soma_var resample_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(3), (double[]){1, 2, 3});
    soma_var index = sample_values(ctx, SOMA_I32, S(2, 2), (double[]){0, 2, 1, 5});
    return soma_resample(x, index, sample_values(ctx, 0, S(2, 2), (double[]){1, 10, 100, 7}), 0);
}
static soma_var resample_refuse(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(3, 4), -1, 1);
    return soma_resample(x, sample_int(ctx, SOMA_I64, S(2, 2), 0, 3),
                         sample_in(ctx, S(2, 3), -1, 1), 0);
}
static soma_var resample_refuse_axis(soma__sample_ctx *ctx)
{
    return rows_of(ctx, S(3, 4), 2, 2, 3, 2);
}

static soma_var gradient(soma__sample_ctx *ctx, soma_shape dy, int64_t rows, int64_t taps,
                         soma__resample_attrs attrs)
{
    soma_var in[3];
    in[0] = sample_in(ctx, dy, -1, 1);
    in[1] = sample_int(ctx, SOMA_I64, S(rows, taps), -1, attrs.size + 1);
    in[2] = sample_in(ctx, S(rows, taps), -1, 1);
    return sample_op(ctx, "resample_grad", in, 3, &attrs);
}
static soma_var grad_rows(soma__sample_ctx *ctx)
{
    return gradient(ctx, S(2, 9, 5, 3), 9, 3, (soma__resample_attrs){.axis = 1, .size = 6});
}
static soma_var grad_columns(soma__sample_ctx *ctx)
{
    return gradient(ctx, S(2, 3, 4, 17), 4, 2, (soma__resample_attrs){.axis = 2, .size = 5});
}
static soma_var grad_wide(soma__sample_ctx *ctx)
{
    return gradient(ctx, S(2, 4, 1100), 4, 3, (soma__resample_attrs){.axis = 1, .size = 3});
}
static soma_var grad_refuse(soma__sample_ctx *ctx)
{
    return gradient(ctx, S(2, 4, 3), 5, 3, (soma__resample_attrs){.axis = 1, .size = 3});
}
static soma_var grad_worked(soma__sample_ctx *ctx)
{
    soma__resample_attrs attrs = {.axis = 0, .size = 3};
    soma_var in[3];
    in[0] = sample_values(ctx, 0, S(2), (double[]){1, 2});
    in[1] = sample_values(ctx, SOMA_I32, S(2, 2), (double[]){0, 2, 2, 5});
    in[2] = sample_values(ctx, 0, S(2, 2), (double[]){1, 10, 100, 7});
    return sample_op(ctx, "resample_grad", in, 3, &attrs);
}

/* --- resize ----------------------------------------------------------------------------------- */

#define RESIZE(name_, x_, ...)                                                                     \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        return soma_resize(sample_in(ctx, x_, -1, 1), __VA_ARGS__);                                \
    }
RESIZE(nearest, S(2, 4, 5, 3), .size = {7, 3})
RESIZE(nearest_floor, S(1, 4, 5, 17), .scale = {2.5, 0.7}, .rounding = SOMA_ROUND_FLOOR,
       .coordinates = SOMA_COORD_ASYMMETRIC)
RESIZE(nearest_ceil, S(1, 9, 2), .size = {4}, .rounding = SOMA_ROUND_CEIL)
RESIZE(linear, S(2, 4, 5, 3), .size = {8, 10}, .mode = SOMA_RESIZE_LINEAR)
RESIZE(linear_smaller, S(1, 9, 8, 17), .size = {4, 3}, .mode = SOMA_RESIZE_LINEAR)
RESIZE(linear_corners, S(1, 4, 5, 3), .size = {7, 1}, .mode = SOMA_RESIZE_LINEAR,
       .coordinates = SOMA_COORD_ALIGN_CORNERS)
RESIZE(linear_pytorch, S(1, 4, 5, 3), .size = {1, 7}, .mode = SOMA_RESIZE_LINEAR,
       .coordinates = SOMA_COORD_PYTORCH_HALF_PIXEL)
RESIZE(linear_symmetric, S(1, 7, 2), .scale = {0.6}, .mode = SOMA_RESIZE_LINEAR,
       .coordinates = SOMA_COORD_HALF_PIXEL_SYMMETRIC)
RESIZE(linear_antialias, S(1, 11, 7, 3), .size = {4, 9}, .mode = SOMA_RESIZE_LINEAR,
       .antialias = true)
RESIZE(linear_solid, S(1, 3, 4, 2, 2), .size = {5, 2, 4}, .mode = SOMA_RESIZE_LINEAR)
RESIZE(cubic, S(1, 4, 5, 3), .size = {9, 8}, .mode = SOMA_RESIZE_CUBIC)
RESIZE(cubic_excluded, S(1, 4, 5, 3), .size = {9, 3}, .mode = SOMA_RESIZE_CUBIC,
       .exclude_outside = true, .cubic_a = -0.5)
RESIZE(cubic_antialias, S(1, 12, 9, 3), .size = {5, 4}, .mode = SOMA_RESIZE_CUBIC,
       .antialias = true, .cubic_a = -0.5)
RESIZE(crop, S(1, 6, 7, 3), .size = {4, 5}, .mode = SOMA_RESIZE_LINEAR,
       .coordinates = SOMA_COORD_CROP, .start = {0.2, -0.3}, .end = {0.9, 0.8}, .outside = 5)
RESIZE(as_it_is, S(1, 4, 5, 3), .mode = SOMA_RESIZE_CUBIC)
RESIZE(no_batch, S(0, 4, 5, 3), .size = {8, 3}, .mode = SOMA_RESIZE_LINEAR)
RESIZE(refuse_matrix, S(4, 5), .size = {8})
RESIZE(refuse_both, S(1, 4, 5, 3), .size = {8, 8}, .scale = {2, 2})
RESIZE(refuse_scale, S(1, 4, 5, 3), .scale = {0.1, 2})
RESIZE(refuse_axes, S(1, 4, 3), .size = {8, 8})
RESIZE(refuse_mode, S(1, 4, 3), .size = {8}, .mode = (soma_resize_mode)7)

static soma_var line(soma__sample_ctx *ctx)
{
    return sample_values(ctx, 0, S(1, 4, 1), (double[]){0, 4, 8, 16});
}
static soma_var nearest_worked(soma__sample_ctx *ctx)
{
    return soma_resize(line(ctx), .size = {2}, .coordinates = SOMA_COORD_ASYMMETRIC);
}
/* The places are 1/2 and 5/2; both halves go up. */
static soma_var nearest_halves(soma__sample_ctx *ctx)
{
    return soma_resize(line(ctx), .size = {2}, .rounding = SOMA_ROUND_PREFER_CEIL);
}
static soma_var linear_worked(soma__sample_ctx *ctx)
{
    return soma_resize(line(ctx), .scale = {2}, .mode = SOMA_RESIZE_LINEAR);
}
static soma_var corners_worked(soma__sample_ctx *ctx)
{
    return soma_resize(line(ctx), .size = {7}, .mode = SOMA_RESIZE_LINEAR,
                       .coordinates = SOMA_COORD_ALIGN_CORNERS);
}
/* Half way between cells the cubic's weights are a/8 and 1/2 - a/8. */
static soma_var cubic_worked(soma__sample_ctx *ctx)
{
    return soma_resize(line(ctx), .size = {1}, .mode = SOMA_RESIZE_CUBIC);
}
/* Twice as wide, the tent about 1/2 gives the first three cells 3/4, 3/4, 1/4. */
static soma_var antialias_worked(soma__sample_ctx *ctx)
{
    return soma_resize(line(ctx), .size = {2}, .mode = SOMA_RESIZE_LINEAR, .antialias = true);
}
static soma_var crop_worked(soma__sample_ctx *ctx)
{
    return soma_resize(line(ctx), .size = {3}, .mode = SOMA_RESIZE_LINEAR,
                       .coordinates = SOMA_COORD_CROP, .start = {0.5}, .end = {1.5}, .outside = -1);
}
static soma_var nearest_labels(soma__sample_ctx *ctx)
{
    return soma_resize(sample_int(ctx, SOMA_U8, S(1, 3, 3, 1), 0, 9), .size = {5, 2});
}

const soma__sample soma__samples_resize[] = {
    {"resample", "two rows", .build = resample_worked, SAMPLE_EXPECT(31, 200)},
    {"resample", "rows", .build = resample_rows},
    {"resample", "columns", .build = resample_columns},
    {"resample", "wide rows", .build = resample_wide},
    {"resample", "vector", .build = resample_vector},
    {"resample", "no rows", .build = resample_no_rows},
    {"resample", "tables of two shapes", .build = resample_refuse, .status = SOMA_SHAPE,
     .message = "index [2,2] and weight [2,3] must be one [J,K]"},
    {"resample", "axis", .build = resample_refuse_axis, .status = SOMA_SHAPE,
     .message = "axis 2 is outside of 2 dimensions"},
    {"resample_grad", "two rows", .build = grad_worked, SAMPLE_EXPECT(1, 0, 210)},
    {"resample_grad", "rows", .build = grad_rows},
    {"resample_grad", "columns", .build = grad_columns},
    {"resample_grad", "wide rows", .build = grad_wide},
    {"resample_grad", "dy of another size", .build = grad_refuse, .status = SOMA_SHAPE,
     .message = "dy has 4 cells along the axis, the tables 5"},
    {"resize", "nearest, every other", .build = nearest_worked, SAMPLE_EXPECT(0, 8)},
    {"resize", "nearest, halves up", .build = nearest_halves, SAMPLE_EXPECT(4, 16)},
    {"resize", "linear, doubled", .build = linear_worked, SAMPLE_EXPECT(0, 1, 3, 5, 7, 10, 14, 16)},
    {"resize", "linear, corners", .build = corners_worked, SAMPLE_EXPECT(0, 2, 4, 6, 8, 12, 16)},
    {"resize", "cubic, the middle", .build = cubic_worked, SAMPLE_EXPECT(5.625)},
    {"resize", "antialias", .build = antialias_worked, SAMPLE_EXPECT(20. / 7, 76. / 7)},
    {"resize", "crop beyond the end", .build = crop_worked, SAMPLE_EXPECT(6, 16, -1)},
    {"resize", "nearest", .build = nearest, .flags = SAMPLE_EXACT},
    {"resize", "nearest, floor, asymmetric", .build = nearest_floor},
    {"resize", "nearest, ceil, a line", .build = nearest_ceil},
    {"resize", "nearest, labels", .build = nearest_labels, .flags = SAMPLE_NO_GRADIENT},
    {"resize", "linear", .build = linear},
    {"resize", "linear, smaller", .build = linear_smaller},
    {"resize", "linear, align_corners, one cell", .build = linear_corners},
    {"resize", "linear, pytorch_half_pixel", .build = linear_pytorch},
    {"resize", "linear, half_pixel_symmetric", .build = linear_symmetric},
    {"resize", "linear, antialias", .build = linear_antialias},
    {"resize", "linear, three axes", .build = linear_solid},
    {"resize", "cubic", .build = cubic},
    {"resize", "cubic, cells outside excluded", .build = cubic_excluded},
    {"resize", "cubic, antialias", .build = cubic_antialias},
    {"resize", "crop", .build = crop},
    {"resize", "nothing to do", .build = as_it_is},
    {"resize", "empty batch", .build = no_batch},
    {"resize", "matrix", .build = refuse_matrix, .status = SOMA_SHAPE,
     .message = "x must be [N,…,C] with 1 to 3 image axes"},
    {"resize", "size and scale", .build = refuse_both, .status = SOMA_INVALID,
     .message = "size 8 and scale 2: give one of them"},
    {"resize", "scale to nothing", .build = refuse_scale, .status = SOMA_INVALID,
     .message = "scale 0.1 makes 0 cells of 4"},
    {"resize", "too many sizes", .build = refuse_axes, .status = SOMA_INVALID,
     .message = "more sizes or scales than x [1,4,3] has image axes"},
    {"resize", "mode", .build = refuse_mode, .status = SOMA_INVALID, .message = "unknown mode 7"},
    {0},
};
