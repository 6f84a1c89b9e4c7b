/* test_golden_images.c: resizing, grids, blocks and windows of images against PyTorch's and
 * onnxruntime's. */
#include "golden.h"

GOLDEN(resize_nearest, soma_resize(in[0], .size = {7, 3}, .coordinates = SOMA_COORD_ASYMMETRIC,
                                   .rounding = SOMA_ROUND_FLOOR))
GOLDEN(resize_nearest_exact, soma_resize(in[0], .size = {7, 3}, .rounding = SOMA_ROUND_PREFER_CEIL))
GOLDEN(resize_linear1d, soma_resize(in[0], .size = {9}, .mode = SOMA_RESIZE_LINEAR))
GOLDEN(resize_linear, soma_resize(in[0], .size = {7, 3}, .mode = SOMA_RESIZE_LINEAR))
GOLDEN(resize_linear_scale, soma_resize(in[0], .scale = {2.3, 0.7}, .mode = SOMA_RESIZE_LINEAR))
GOLDEN(resize_linear_corners, soma_resize(in[0], .size = {7, 3}, .mode = SOMA_RESIZE_LINEAR,
                                          .coordinates = SOMA_COORD_ALIGN_CORNERS))
GOLDEN(resize_linear3d, soma_resize(in[0], .size = {5, 3, 4}, .mode = SOMA_RESIZE_LINEAR))
GOLDEN(resize_cubic, soma_resize(in[0], .size = {9, 4}, .mode = SOMA_RESIZE_CUBIC))
GOLDEN(resize_cubic_corners, soma_resize(in[0], .size = {9, 4}, .mode = SOMA_RESIZE_CUBIC,
                                         .coordinates = SOMA_COORD_ALIGN_CORNERS))
GOLDEN(resize_linear_antialias,
       soma_resize(in[0], .size = {4, 9}, .mode = SOMA_RESIZE_LINEAR, .antialias = true))
GOLDEN(resize_cubic_antialias, soma_resize(in[0], .size = {5, 4}, .mode = SOMA_RESIZE_CUBIC,
                                           .antialias = true, .cubic_a = -0.5))
GOLDEN(grid_bilinear_zeros, soma_grid_sample(in[0], in[1], .mode = SOMA_SAMPLE_BILINEAR,
                                             .outside = SOMA_OUTSIDE_ZEROS, .align_corners = false))
GOLDEN(grid_bilinear_zeros_corners,
       soma_grid_sample(in[0], in[1], .mode = SOMA_SAMPLE_BILINEAR, .outside = SOMA_OUTSIDE_ZEROS,
                        .align_corners = true))
GOLDEN(grid_bilinear_border,
       soma_grid_sample(in[0], in[1], .mode = SOMA_SAMPLE_BILINEAR, .outside = SOMA_OUTSIDE_BORDER,
                        .align_corners = false))
GOLDEN(grid_bilinear_border_corners,
       soma_grid_sample(in[0], in[1], .mode = SOMA_SAMPLE_BILINEAR, .outside = SOMA_OUTSIDE_BORDER,
                        .align_corners = true))
GOLDEN(grid_bilinear_reflection,
       soma_grid_sample(in[0], in[1], .mode = SOMA_SAMPLE_BILINEAR,
                        .outside = SOMA_OUTSIDE_REFLECTION, .align_corners = false))
GOLDEN(grid_bilinear_reflection_corners,
       soma_grid_sample(in[0], in[1], .mode = SOMA_SAMPLE_BILINEAR,
                        .outside = SOMA_OUTSIDE_REFLECTION, .align_corners = true))
GOLDEN(grid_nearest_zeros, soma_grid_sample(in[0], in[1], .mode = SOMA_SAMPLE_NEAREST,
                                            .outside = SOMA_OUTSIDE_ZEROS, .align_corners = false))
GOLDEN(grid_nearest_zeros_corners,
       soma_grid_sample(in[0], in[1], .mode = SOMA_SAMPLE_NEAREST, .outside = SOMA_OUTSIDE_ZEROS,
                        .align_corners = true))
GOLDEN(grid_nearest_border,
       soma_grid_sample(in[0], in[1], .mode = SOMA_SAMPLE_NEAREST, .outside = SOMA_OUTSIDE_BORDER,
                        .align_corners = false))
GOLDEN(grid_nearest_border_corners,
       soma_grid_sample(in[0], in[1], .mode = SOMA_SAMPLE_NEAREST, .outside = SOMA_OUTSIDE_BORDER,
                        .align_corners = true))
GOLDEN(grid_nearest_reflection,
       soma_grid_sample(in[0], in[1], .mode = SOMA_SAMPLE_NEAREST,
                        .outside = SOMA_OUTSIDE_REFLECTION, .align_corners = false))
GOLDEN(grid_nearest_reflection_corners,
       soma_grid_sample(in[0], in[1], .mode = SOMA_SAMPLE_NEAREST,
                        .outside = SOMA_OUTSIDE_REFLECTION, .align_corners = true))
GOLDEN(grid_bicubic_zeros, soma_grid_sample(in[0], in[1], .mode = SOMA_SAMPLE_BICUBIC,
                                            .outside = SOMA_OUTSIDE_ZEROS, .align_corners = false))
GOLDEN(grid_bicubic_zeros_corners,
       soma_grid_sample(in[0], in[1], .mode = SOMA_SAMPLE_BICUBIC, .outside = SOMA_OUTSIDE_ZEROS,
                        .align_corners = true))
GOLDEN(grid_bicubic_border,
       soma_grid_sample(in[0], in[1], .mode = SOMA_SAMPLE_BICUBIC, .outside = SOMA_OUTSIDE_BORDER,
                        .align_corners = false))
GOLDEN(grid_bicubic_border_corners,
       soma_grid_sample(in[0], in[1], .mode = SOMA_SAMPLE_BICUBIC, .outside = SOMA_OUTSIDE_BORDER,
                        .align_corners = true))
GOLDEN(grid_bicubic_reflection,
       soma_grid_sample(in[0], in[1], .mode = SOMA_SAMPLE_BICUBIC,
                        .outside = SOMA_OUTSIDE_REFLECTION, .align_corners = false))
GOLDEN(grid_bicubic_reflection_corners,
       soma_grid_sample(in[0], in[1], .mode = SOMA_SAMPLE_BICUBIC,
                        .outside = SOMA_OUTSIDE_REFLECTION, .align_corners = true))
GOLDEN(affine_grid, soma_affine_grid(in[0], 3, 4, false))
GOLDEN(affine_grid_corners, soma_affine_grid(in[0], 3, 4, true))
GOLDEN(depth_to_space, soma_depth_to_space(in[0], 2, true))
GOLDEN(space_to_depth, soma_space_to_depth(in[0], 3, true))
GOLDEN(unfold2d, soma_unfold2d(in[0], .size = {3, 2}, .stride = {2, 1}, .pad = {1, 0, 1, 0},
                               .dilation = {1, 2}))
GOLDEN(fold2d, soma_fold2d(in[0], 5, 6, .size = {3, 2}, .stride = {2, 1}, .pad = {1, 0, 1, 0},
                           .dilation = {1, 2}))
/* From onnxruntime. */
GOLDEN(resize_floor, soma_resize(in[0], .size = {7, 3}, .rounding = SOMA_ROUND_FLOOR))
GOLDEN(resize_ceil, soma_resize(in[0], .size = {7, 3}, .rounding = SOMA_ROUND_CEIL))
GOLDEN(resize_prefer_floor, soma_resize(in[0], .size = {8, 3}))
GOLDEN(resize_prefer_ceil, soma_resize(in[0], .size = {8, 3}, .rounding = SOMA_ROUND_PREFER_CEIL))
GOLDEN(resize_asymmetric, soma_resize(in[0], .scale = {1.7, 0.6}, .mode = SOMA_RESIZE_LINEAR,
                                      .coordinates = SOMA_COORD_ASYMMETRIC))
GOLDEN(resize_pytorch_half_pixel, soma_resize(in[0], .size = {1, 7}, .mode = SOMA_RESIZE_LINEAR,
                                              .coordinates = SOMA_COORD_PYTORCH_HALF_PIXEL))
GOLDEN(resize_symmetric, soma_resize(in[0], .scale = {1.7, 0.7}, .mode = SOMA_RESIZE_LINEAR,
                                     .coordinates = SOMA_COORD_HALF_PIXEL_SYMMETRIC))
GOLDEN(resize_excluded, soma_resize(in[0], .size = {9, 4}, .mode = SOMA_RESIZE_CUBIC,
                                    .exclude_outside = true, .cubic_a = -0.5))
GOLDEN(resize_crop, soma_resize(in[0], .size = {4, 7}, .mode = SOMA_RESIZE_LINEAR,
                                .coordinates = SOMA_COORD_CROP, .start = {0.2, -0.3},
                                .end = {0.9, 0.8}, .outside = 5))
GOLDEN(depth_to_space_rows, soma_depth_to_space(in[0], 2, false))
GOLDEN(space_to_depth_rows, soma_space_to_depth(in[0], 2, false))
GOLDEN(roi_align, soma_roi_align(in[0], in[1], in[2], .size = {2, 3}, .samples = 2))
GOLDEN(roi_align_aligned,
       soma_roi_align(in[0], in[1], in[2], .size = {2, 3}, .samples = 1, .aligned = true))
GOLDEN(roi_align_cells, soma_roi_align(in[0], in[1], in[2], .size = {2, 3}, .aligned = true))
GOLDEN(roi_align_scale,
       soma_roi_align(in[0], in[1], in[2], .size = {2, 3}, .scale = 0.5, .samples = 2))
GOLDEN(roi_max_pool, soma_roi_max_pool(in[0], in[1], in[2], .size = {2, 3}, .scale = 0.8))

static const golden cases[] = {
    {"roi_align", "x boxes batch", roi_align},
    {"roi_align_aligned", "x boxes batch", roi_align_aligned},
    {"roi_align_cells", "x boxes batch", roi_align_cells},
    {"roi_align_scale", "x boxes batch", roi_align_scale},
    {"roi_max_pool", "x boxes batch", roi_max_pool},
    {"resize_nearest", "x", resize_nearest},
    {"resize_nearest_exact", "x", resize_nearest_exact},
    {"resize_linear1d", "x", resize_linear1d},
    {"resize_linear", "x", resize_linear},
    {"resize_linear_scale", "x", resize_linear_scale},
    {"resize_linear_corners", "x", resize_linear_corners},
    {"resize_linear3d", "x", resize_linear3d},
    {"resize_cubic", "x", resize_cubic},
    {"resize_cubic_corners", "x", resize_cubic_corners},
    {"resize_linear_antialias", "x", resize_linear_antialias},
    {"resize_cubic_antialias", "x", resize_cubic_antialias},
    {"grid_bilinear_zeros", "x grid", grid_bilinear_zeros},
    {"grid_bilinear_zeros_corners", "x grid", grid_bilinear_zeros_corners},
    {"grid_bilinear_border", "x grid", grid_bilinear_border},
    {"grid_bilinear_border_corners", "x grid", grid_bilinear_border_corners},
    {"grid_bilinear_reflection", "x grid", grid_bilinear_reflection},
    {"grid_bilinear_reflection_corners", "x grid", grid_bilinear_reflection_corners},
    {"grid_nearest_zeros", "x grid", grid_nearest_zeros},
    {"grid_nearest_zeros_corners", "x grid", grid_nearest_zeros_corners},
    {"grid_nearest_border", "x grid", grid_nearest_border},
    {"grid_nearest_border_corners", "x grid", grid_nearest_border_corners},
    {"grid_nearest_reflection", "x grid", grid_nearest_reflection},
    {"grid_nearest_reflection_corners", "x grid", grid_nearest_reflection_corners},
    {"grid_bicubic_zeros", "x grid", grid_bicubic_zeros},
    {"grid_bicubic_zeros_corners", "x grid", grid_bicubic_zeros_corners},
    {"grid_bicubic_border", "x grid", grid_bicubic_border},
    {"grid_bicubic_border_corners", "x grid", grid_bicubic_border_corners},
    {"grid_bicubic_reflection", "x grid", grid_bicubic_reflection},
    {"grid_bicubic_reflection_corners", "x grid", grid_bicubic_reflection_corners},
    {"affine_grid", "theta", affine_grid},
    {"affine_grid_corners", "theta", affine_grid_corners},
    {"depth_to_space", "x", depth_to_space},
    {"space_to_depth", "x", space_to_depth},
    {"unfold2d", "x", unfold2d},
    {"fold2d", "x", fold2d},
    {"resize_floor", "x", resize_floor},
    {"resize_ceil", "x", resize_ceil},
    {"resize_prefer_floor", "x", resize_prefer_floor},
    {"resize_prefer_ceil", "x", resize_prefer_ceil},
    {"resize_asymmetric", "x", resize_asymmetric},
    {"resize_pytorch_half_pixel", "x", resize_pytorch_half_pixel},
    {"resize_symmetric", "x", resize_symmetric},
    {"resize_excluded", "x", resize_excluded},
    {"resize_crop", "x", resize_crop},
    {"depth_to_space_rows", "x", depth_to_space_rows},
    {"space_to_depth_rows", "x", space_to_depth_rows},
};

int main(void)
{
    return golden_run("images.safetensors", cases, sizeof(cases) / sizeof(cases[0]));
}
