/* samples_roi.c: samples of parts of images under boxes. */
#include "driver.h"
#include "ops/attrs.h"

#define S SOMA_SHAPE

/* Boxes within, across the edges of and outside of images of 6 × 7 cells; the last of no image. */
static const double corners[] = {0.4, 0.7, 4.3, 5.2, -1.5, 2.1, 2.2, 7.9, 3,   3,
                                 3,   3,   8,   9,   12,   13,  1.2, 0.1, 6.7, 3.3};
static const double images[] = {1, 0, 1, 0, 2};

#define BOXES sample_values(ctx, SOMA_F32, S(5, 4), corners)
#define BATCH sample_values(ctx, SOMA_I64, S(5), images)

#define ALIGN(name_, channels_, ...)                                                               \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        soma_var x = sample_in(ctx, S(2, 6, 7, channels_), -1, 1);                                 \
        return soma_roi_align(x, BOXES, BATCH, __VA_ARGS__);                                       \
    }
ALIGN(align, 3, .size = {2, 3}, .samples = 2)
ALIGN(align_aligned, 17, .size = {3, 2}, .samples = 1, .aligned = true)
ALIGN(align_by_cells, 2, .size = {2, 2}, .aligned = true)
ALIGN(align_scaled, 2, .size = {2, 2}, .scale = 0.5)
ALIGN(align_wide, 130, .size = {1, 1}, .samples = 2)
ALIGN(align_refuse_size, 2, .size = {0, 2})
ALIGN(align_refuse_samples, 2, .size = {2, 2}, .samples = -1)
ALIGN(align_refuse_scale, 2, .size = {2, 2}, .scale = -1)

static soma_var align_refuse_boxes(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(2, 6, 7, 3), -1, 1);
    return soma_roi_align(x, sample_in(ctx, S(5, 5), 0, 5), BATCH, .size = {2, 2});
}

/* One box of two cells by two; its bins take the places 0, 1 of the two rows. */
static soma_var nine(soma__sample_ctx *ctx)
{
    return sample_values(ctx, 0, S(1, 3, 3, 1), (double[]){1, 2, 3, 4, 5, 6, 7, 8, 9});
}
static soma_var box_of(soma__sample_ctx *ctx, double x1, double y1, double x2, double y2)
{
    return sample_values(ctx, SOMA_F32, S(1, 4), (double[]){x1, y1, x2, y2});
}
static soma_var first_image(soma__sample_ctx *ctx)
{
    return sample_values(ctx, SOMA_I32, S(1), (double[]){0});
}
static soma_var align_worked(soma__sample_ctx *ctx)
{
    return soma_roi_align(nine(ctx), box_of(ctx, 0, 0, 2, 2), first_image(ctx), .size = {2, 2},
                          .samples = 1, .aligned = true);
}
/* Without `aligned` the same places lie half a cell further down and right. */
static soma_var align_half(soma__sample_ctx *ctx)
{
    return soma_roi_align(nine(ctx), box_of(ctx, 0, 0, 2, 2), first_image(ctx), .size = {2, 2},
                          .samples = 1);
}

static soma_var align_grad(soma__sample_ctx *ctx, soma_shape dy, soma__roi_attrs attrs)
{
    soma_var in[3];
    in[0] = sample_in(ctx, dy, -1, 1);
    in[1] = BOXES;
    in[2] = BATCH;
    return sample_op(ctx, "roi_align_grad", in, 3, &attrs);
}
static soma_var grad_samples(soma__sample_ctx *ctx)
{
    return align_grad(
        ctx, S(5, 2, 3, 3),
        (soma__roi_attrs){.size = {2, 3}, .scale = 1, .samples = 2, .input = {2, 6, 7}});
}
static soma_var grad_by_cells(soma__sample_ctx *ctx)
{
    return align_grad(
        ctx, S(5, 2, 2, 70),
        (soma__roi_attrs){.size = {2, 2}, .scale = 1, .aligned = 1, .input = {2, 6, 7}});
}
static soma_var grad_refuse(soma__sample_ctx *ctx)
{
    return align_grad(ctx, S(5, 2, 2, 3),
                      (soma__roi_attrs){.size = {2, 3}, .scale = 1, .input = {2, 6, 7}});
}
static soma_var grad_worked(soma__sample_ctx *ctx)
{
    soma__roi_attrs attrs = {.size = {1, 1}, .scale = 1, .samples = 1, .input = {1, 2, 3}};
    soma_var in[3] = {sample_values(ctx, 0, S(1, 1, 1, 1), (double[]){8}), box_of(ctx, 0, 0, 1, 1),
                      first_image(ctx)};
    return sample_op(ctx, "roi_align_grad", in, 3, &attrs);
}

#define MAX(name_, ...)                                                                            \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        soma_var x = sample_spread(ctx, S(2, 6, 7, 3), -1, 1);                                     \
        return soma_roi_max_pool(x, BOXES, BATCH, __VA_ARGS__);                                    \
    }
MAX(max, .size = {2, 3})
MAX(max_scaled, .size = {3, 3}, .scale = 0.6)
MAX(max_refuse, .size = {2, -3})

/* Rows 0 to 2 in two bins are 0, 1 and 1, 2; the box ends with the cell that it names. */
static soma_var max_worked(soma__sample_ctx *ctx)
{
    return soma_roi_max_pool(nine(ctx), box_of(ctx, 0, 0, 1, 2), first_image(ctx), .size = {2, 1});
}
static soma_var max_outside(soma__sample_ctx *ctx)
{
    return soma_roi_max_pool(nine(ctx), box_of(ctx, 2, 0, 3, 0), first_image(ctx), .size = {1, 2});
}
static soma_var max_index(soma__sample_ctx *ctx)
{
    soma__roi_attrs attrs = {.size = {1, 2}, .scale = 1};
    soma_var in[3] = {nine(ctx), box_of(ctx, 2, 0, 3, 0), first_image(ctx)};
    return sample_op(ctx, "roi_max_pool_index", in, 3, &attrs);
}
static soma_var max_index_refuse(soma__sample_ctx *ctx)
{
    soma__roi_attrs attrs = {.size = {1, 2}, .scale = 1};
    soma_var in[3] = {sample_in(ctx, S(3, 3, 1), -1, 1), box_of(ctx, 2, 0, 3, 0), first_image(ctx)};
    return sample_op(ctx, "roi_max_pool_index", in, 3, &attrs);
}

const soma__sample soma__samples_roi[] = {
    {"roi_align", "four cells", .build = align_worked, SAMPLE_EXPECT(1, 2, 4, 5)},
    {"roi_align", "between four cells", .build = align_half, SAMPLE_EXPECT(3, 4, 6, 7)},
    {"roi_align", "2x2 samples", .build = align},
    {"roi_align", "aligned, 17 channels", .build = align_aligned},
    {"roi_align", "a sample to a cell", .build = align_by_cells},
    {"roi_align", "scaled boxes", .build = align_scaled},
    {"roi_align", "130 channels", .build = align_wide},
    {"roi_align", "no size", .build = align_refuse_size, .status = SOMA_INVALID,
     .message = "bad size 0x2"},
    {"roi_align", "negative samples", .build = align_refuse_samples, .status = SOMA_INVALID,
     .message = "-1 samples"},
    {"roi_align", "negative scale", .build = align_refuse_scale, .status = SOMA_INVALID,
     .message = "scale -1 must be a number above 0"},
    {"roi_align", "boxes", .build = align_refuse_boxes, .status = SOMA_SHAPE,
     .message = "boxes must be [R,4] and batch [R], but they are [5,5] and [5]"},
    {"roi_align_grad", "to four cells", .build = grad_worked, SAMPLE_EXPECT(2, 2, 0, 2, 2, 0)},
    {"roi_align_grad", "2x2 samples", .build = grad_samples},
    {"roi_align_grad", "a sample to a cell", .build = grad_by_cells},
    {"roi_align_grad", "dy of another size", .build = grad_refuse, .status = SOMA_SHAPE,
     .message = "dy is [5,2,2,3], but there are 5 boxes of 2x3"},
    {"roi_max_pool", "two bins", .build = max_worked, SAMPLE_EXPECT(5, 8)},
    {"roi_max_pool", "a bin outside", .build = max_outside, SAMPLE_EXPECT(3, 0)},
    {"roi_max_pool", "2x3", .build = max, .flags = SAMPLE_EXACT},
    {"roi_max_pool", "scaled boxes", .build = max_scaled, .flags = SAMPLE_EXACT},
    {"roi_max_pool", "negative size", .build = max_refuse, .status = SOMA_INVALID,
     .message = "bad size 2x-3"},
    {"roi_max_pool_index", "a bin outside", .build = max_index, .flags = SAMPLE_NO_GRADIENT,
     SAMPLE_EXPECT(2, -1)},
    {"roi_max_pool_index", "line", .build = max_index_refuse, .status = SOMA_SHAPE,
     .message = "x must be [N,H,W,C]"},
    {0},
};
