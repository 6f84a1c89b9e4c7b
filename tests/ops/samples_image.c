/* samples_image.c: samples of grids, blocks and windows of images. */
#include "driver.h"

#define S SOMA_SHAPE

/* --- grid_sample, affine_grid ----------------------------------------------------------------- */

#define GRID(name_, x_, grid_, ...)                                                                \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        soma_var x = sample_in(ctx, x_, -1, 1);                                                    \
        return soma_grid_sample_opt(x, sample_spread(ctx, grid_, -1.4, 1.4),                       \
                                    (soma_grid_sample_options){__VA_ARGS__});                      \
    }
GRID(bilinear, S(2, 4, 5, 3), S(2, 3, 4, 2), 0)
GRID(bilinear_corners, S(1, 5, 4, 17), S(1, 3, 3, 2), .align_corners = true)
GRID(bilinear_border, S(1, 4, 5, 2), S(1, 3, 4, 2), .outside = SOMA_OUTSIDE_BORDER)
GRID(bilinear_reflected, S(1, 4, 5, 2), S(1, 3, 4, 2), .outside = SOMA_OUTSIDE_REFLECTION)
GRID(bilinear_reflected_corners, S(1, 4, 5, 2), S(1, 3, 4, 2), .outside = SOMA_OUTSIDE_REFLECTION,
     .align_corners = true)
GRID(nearest, S(2, 4, 5, 3), S(2, 3, 4, 2), .mode = SOMA_SAMPLE_NEAREST)
GRID(bicubic, S(1, 5, 6, 2), S(1, 3, 3, 2), .mode = SOMA_SAMPLE_BICUBIC)
GRID(bicubic_reflected, S(1, 5, 6, 2), S(1, 3, 3, 2), .mode = SOMA_SAMPLE_BICUBIC,
     .outside = SOMA_OUTSIDE_REFLECTION, .align_corners = true)
GRID(one_cell, S(1, 1, 1, 2), S(1, 2, 2, 2), .outside = SOMA_OUTSIDE_REFLECTION,
     .align_corners = true)
GRID(no_images, S(0, 4, 4, 2), S(0, 2, 2, 2), 0)
GRID(refuse_grid, S(2, 4, 5, 3), S(2, 3, 4, 3), 0)
GRID(refuse_images, S(2, 4, 3), S(2, 3, 4, 2), 0)
GRID(refuse_mode, S(2, 4, 5, 3), S(2, 3, 4, 2), .mode = (soma_sample_mode)5)

static soma_var four(soma__sample_ctx *ctx)
{
    return sample_values(ctx, 0, S(1, 2, 2, 1), (double[]){1, 2, 3, 4});
}
/* The middle, the upper edge's middle (half of it outside), far away, the last cell's centre. */
static soma_var grid_worked(soma__sample_ctx *ctx)
{
    soma_var grid = sample_values(ctx, 0, S(1, 1, 4, 2), (double[]){0, 0, 0, -1, 9, 9, 0.5, 0.5});
    return soma_grid_sample(four(ctx), grid);
}
/* -3 is a whole image before the left edge, which comes back to the right one; -2 is half of one
 * and comes to the middle. */
static soma_var reflected_worked(soma__sample_ctx *ctx)
{
    soma_var grid = sample_values(ctx, 0, S(1, 1, 2, 2), (double[]){-3, -0.5, -2, -0.5});
    return soma_grid_sample(four(ctx), grid, .outside = SOMA_OUTSIDE_REFLECTION);
}
static soma_var corners_worked(soma__sample_ctx *ctx)
{
    soma_var grid = sample_values(ctx, 0, S(1, 1, 2, 2), (double[]){-1, -1, 1, 0});
    return soma_grid_sample(four(ctx), grid, .align_corners = true);
}

static soma_var affine(soma__sample_ctx *ctx)
{
    return soma_affine_grid(sample_in(ctx, S(3, 2, 3), -1, 1), 4, 5, false);
}
static soma_var affine_corners(soma__sample_ctx *ctx)
{
    return soma_affine_grid(sample_in(ctx, S(2, 2, 3), -1, 1), 1, 3, true);
}
static soma_var affine_worked(soma__sample_ctx *ctx)
{
    soma_var theta = sample_values(ctx, 0, S(1, 2, 3), (double[]){1, 0, 10, 0, 2, 20});
    return soma_affine_grid(theta, 1, 2, false);
}
static soma_var affine_refuse(soma__sample_ctx *ctx)
{
    return soma_affine_grid(sample_in(ctx, S(3, 3, 2), -1, 1), 4, 5, false);
}
static soma_var affine_refuse_size(soma__sample_ctx *ctx)
{
    return soma_affine_grid(sample_in(ctx, S(3, 2, 3), -1, 1), 0, 5, false);
}

/* --- blocks ----------------------------------------------------------------------------------- */

#define BLOCKS(name_, op_, x_, block_, channels_first_)                                            \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        return soma_##op_(sample_in(ctx, x_, -1, 1), block_, channels_first_);                     \
    }
BLOCKS(to_space, depth_to_space, S(2, 3, 2, 12), 2, false)
BLOCKS(to_space_first, depth_to_space, S(1, 2, 3, 18), 3, true)
BLOCKS(to_space_refuse, depth_to_space, S(1, 2, 3, 6), 2, false)
BLOCKS(to_space_refuse_block, depth_to_space, S(1, 2, 3, 4), 0, false)
BLOCKS(to_depth, space_to_depth, S(2, 4, 6, 3), 2, false)
BLOCKS(to_depth_first, space_to_depth, S(1, 6, 3, 2), 3, true)
BLOCKS(to_depth_refuse, space_to_depth, S(1, 5, 4, 2), 2, false)

static soma_var eight(soma__sample_ctx *ctx, soma_shape shape)
{
    return sample_values(ctx, 0, shape, (double[]){1, 2, 3, 4, 5, 6, 7, 8});
}
static soma_var to_space_worked(soma__sample_ctx *ctx)
{
    return soma_depth_to_space(eight(ctx, S(1, 1, 1, 8)), 2, false);
}
static soma_var to_space_first_worked(soma__sample_ctx *ctx)
{
    return soma_depth_to_space(eight(ctx, S(1, 1, 1, 8)), 2, true);
}
static soma_var to_depth_worked(soma__sample_ctx *ctx)
{
    return soma_space_to_depth(eight(ctx, S(1, 2, 4, 1)), 2, false);
}

/* --- windows ---------------------------------------------------------------------------------- */

static soma_var unfold(soma__sample_ctx *ctx)
{
    return soma_unfold2d(sample_in(ctx, S(2, 5, 6, 3), -1, 1), .size = {3, 2}, .stride = {2, 1},
                         .pad = {1, 0, 1, 1});
}
static soma_var unfold_same(soma__sample_ctx *ctx)
{
    return soma_unfold2d(sample_in(ctx, S(1, 5, 6, 2), -1, 1), .size = {2, 3}, .dilation = {2, 1},
                         .padding = SOMA_PAD_SAME);
}
static soma_var unfold_worked(soma__sample_ctx *ctx)
{
    return soma_unfold2d(eight(ctx, S(1, 2, 4, 1)), .size = {2, 2}, .stride = {1, 2});
}
static soma_var unfold_refuse(soma__sample_ctx *ctx)
{
    return soma_unfold2d(sample_in(ctx, S(1, 5, 6, 2), -1, 1), .size = {6, 3});
}
static soma_var fold(soma__sample_ctx *ctx)
{
    return soma_fold2d(sample_in(ctx, S(2, 3, 6, 18), -1, 1), 5, 6, .size = {3, 2},
                       .stride = {2, 1}, .pad = {1, 0, 1, 1});
}
/* Two windows share the middle column. */
static soma_var fold_worked(soma__sample_ctx *ctx)
{
    return soma_fold2d(eight(ctx, S(1, 1, 2, 4)), 2, 3, .size = {2, 2});
}
static soma_var fold_refuse(soma__sample_ctx *ctx)
{
    return soma_fold2d(sample_in(ctx, S(1, 3, 3, 4), -1, 1), 3, 3, .size = {2, 2});
}
static soma_var fold_refuse_channels(soma__sample_ctx *ctx)
{
    return soma_fold2d(sample_in(ctx, S(1, 2, 2, 6), -1, 1), 3, 3, .size = {2, 2});
}

const soma__sample soma__samples_image[] = {
    {"grid_sample", "four places", .build = grid_worked, .flags = SAMPLE_NO_DIFFERENCES,
     SAMPLE_EXPECT(2.5, 0.75, 0, 4)},
    {"grid_sample", "mirrored", .build = reflected_worked, .flags = SAMPLE_NO_DIFFERENCES,
     SAMPLE_EXPECT(2, 1.5)},
    {"grid_sample", "corners", .build = corners_worked, .flags = SAMPLE_NO_DIFFERENCES,
     SAMPLE_EXPECT(1, 3)},
    {"grid_sample", "bilinear", .build = bilinear},
    {"grid_sample", "bilinear, align_corners", .build = bilinear_corners},
    {"grid_sample", "bilinear, border", .build = bilinear_border},
    {"grid_sample", "bilinear, reflection", .build = bilinear_reflected},
    {"grid_sample", "bilinear, reflection, align_corners", .build = bilinear_reflected_corners},
    {"grid_sample", "nearest", .build = nearest},
    {"grid_sample", "bicubic", .build = bicubic, .tolerance = 1e-5},
    {"grid_sample", "bicubic, reflection", .build = bicubic_reflected, .tolerance = 1e-5},
    {"grid_sample", "image of one cell", .build = one_cell},
    {"grid_sample", "empty batch", .build = no_images},
    {"grid_sample", "grid", .build = refuse_grid, .status = SOMA_SHAPE,
     .message = "grid must be [N,Ho,Wo,2] for x [2,4,5,3], but is [2,3,4,3]"},
    {"grid_sample", "images", .build = refuse_images, .status = SOMA_SHAPE,
     .message = "x must be [N,H,W,C]"},
    {"grid_sample", "mode", .build = refuse_mode, .status = SOMA_INVALID,
     .message = "unknown mode 5"},
    {"affine_grid", "stretched and shifted", .build = affine_worked,
     SAMPLE_EXPECT(9.5, 20, 10.5, 20)},
    {"affine_grid", "4x5", .build = affine},
    {"affine_grid", "align_corners, one row", .build = affine_corners},
    {"affine_grid", "theta", .build = affine_refuse, .status = SOMA_SHAPE,
     .message = "theta must be [N,2,3], but is [3,3,2]"},
    {"affine_grid", "no size", .build = affine_refuse_size, .status = SOMA_INVALID,
     .message = "bad size 0x5"},
    {"depth_to_space", "rows, columns, channels", .build = to_space_worked,
     SAMPLE_EXPECT(1, 2, 3, 4, 5, 6, 7, 8)},
    {"depth_to_space", "channels first", .build = to_space_first_worked,
     SAMPLE_EXPECT(1, 5, 2, 6, 3, 7, 4, 8)},
    {"depth_to_space", "blocks of 2", .build = to_space, .flags = SAMPLE_EXACT},
    {"depth_to_space", "blocks of 3, channels first", .build = to_space_first,
     .flags = SAMPLE_EXACT},
    {"depth_to_space", "channels", .build = to_space_refuse, .status = SOMA_SHAPE,
     .message = "6 channels do not divide into blocks of 2x2"},
    {"depth_to_space", "no block", .build = to_space_refuse_block, .status = SOMA_INVALID,
     .message = "block 0 must be at least 1"},
    {"space_to_depth", "two blocks", .build = to_depth_worked,
     SAMPLE_EXPECT(1, 2, 5, 6, 3, 4, 7, 8)},
    {"space_to_depth", "blocks of 2", .build = to_depth, .flags = SAMPLE_EXACT},
    {"space_to_depth", "blocks of 3, channels first", .build = to_depth_first,
     .flags = SAMPLE_EXACT},
    {"space_to_depth", "cells", .build = to_depth_refuse, .status = SOMA_SHAPE,
     .message = "5x4 cells do not divide into blocks of 2x2"},
    {"unfold2d", "two windows", .build = unfold_worked, SAMPLE_EXPECT(1, 2, 5, 6, 3, 4, 7, 8)},
    {"unfold2d", "overlap, pads", .build = unfold},
    {"unfold2d", "SAME, dilation", .build = unfold_same},
    {"unfold2d", "window beyond the image", .build = unfold_refuse, .status = SOMA_SHAPE,
     .message = "the window covers 6x3 cells"},
    {"fold2d", "two windows", .build = fold_worked, SAMPLE_EXPECT(1, 7, 6, 3, 11, 8)},
    {"fold2d", "overlap, pads", .build = fold},
    {"fold2d", "windows", .build = fold_refuse, .status = SOMA_SHAPE,
     .message = "there are 2x2 windows, but x is [1,3,3,4]"},
    {"fold2d", "channels", .build = fold_refuse_channels, .status = SOMA_SHAPE,
     .message = "6 channels do not divide into windows of 2x2"},
    {0},
};
