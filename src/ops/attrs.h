/* attrs.h: the attribute structs of ops, as graphs store them and as kernels read them.
 *
 * Members are 8 bytes wide, so a struct has no padding and can be hashed and compared as bytes.
 * Shape rules normalise them (defaults filled in, SAME padding made explicit, negative axes made
 * positive): a kernel takes them as they are.
 */
#ifndef SOMA__ATTRS_H
#define SOMA__ATTRS_H

#include "graph/op.h"

/* --- matmul, conv, pool, norm, softmax, random ----------------------------------------------- */

/* matmul(a, b): a is [B…,M,K], or [B…,K,M] with transpose_a; b is [B…,K,N], or [B…,N,K] with
 * transpose_b. 0 or 1. precision: SOMA_BF16, or 0 for that of the operands (ops/precision.h). */
typedef struct soma__matmul_attrs {
    int64_t transpose_a, transpose_b;
    int64_t precision;
} soma__matmul_attrs;

typedef struct soma__linear_attrs {
    int64_t precision; /* as in soma__matmul_attrs */
} soma__linear_attrs;

/* conv2d(x, w), conv2d_input_grad(dy, w), conv2d_weight_grad(x, dy). All three describe the forward
 * conv: output cell (i, j) reads input cell (i·stride[0] - pad[0] + u·dilation[0],
 * j·stride[1] - pad[1] + v·dilation[1]) for each u < kh, v < kw, and output channel o belongs to
 * group o / (O/groups), which reads input channels [g·C/groups, (g+1)·C/groups). */
typedef struct soma__conv_attrs {
    int64_t stride[2], dilation[2]; /* height, width; at least 1 */
    int64_t pad[4];                 /* top, left, bottom, right; at least 0 */
    int64_t groups;                 /* at least 1 */
    int64_t size[2];                /* conv2d: 0; input_grad: H, W of x; weight_grad: kh, kw of w */
    int64_t padding;   /* soma_padding as the builder passed it; 0 once the rule has resolved it */
    int64_t precision; /* as in soma__matmul_attrs */
} soma__conv_attrs;

/* conv1d, conv3d and the transposed convs: one entry for each image axis, as in soma__conv_attrs;
 * pad holds the begins of all axes, then their ends. A transposed conv's rule leaves in the end
 * pads and in output_padding what remains when one is taken from the other. */
typedef struct soma__conv_nd_attrs {
    int64_t stride[3], dilation[3];
    int64_t pad[6];
    int64_t groups;
    int64_t output_padding[3];
    int64_t padding;
} soma__conv_nd_attrs;

/* max_pool2d(x), max_pool2d_grad(x, dy), max_pool2d_pick(x, t), avg_pool2d(x), avg_pool2d_grad(dy).
 * Output cell (i, j) sees rows i·stride[0] - pad[0] + u·dilation[0], u < size[0], of x, less those
 * outside; columns likewise. Rules see to it that a window always holds a real cell. ops/pool.h
 * works it out. */
typedef struct soma__pool_attrs {
    int64_t size[2], stride[2], dilation[2]; /* height, width; at least 1 */
    int64_t pad[4];                          /* top, left, bottom, right */
    int64_t ceil;     /* a last window may reach beyond the bottom and right pads */
    int64_t adaptive; /* y has size[], and its row i sees rows [i·H/size, ⌈(i+1)·H/size⌉) of x */
    int64_t count_pad; /* average: divide by the padded cells as well, not by the real ones alone */
    int64_t divisor;   /* average: unless 0, by this */
    int64_t input[2];  /* avg_pool2d_grad: H, W of x; else 0 */
    int64_t padding;   /* as in soma__conv_attrs */
} soma__pool_attrs;

/* The pools over one or three axes, and Lp pools; begins and ends of pad as in soma__conv_nd_attrs.
 */
typedef struct soma__pool_nd_attrs {
    int64_t size[3], stride[3], dilation[3];
    int64_t pad[6];
    int64_t ceil, count_pad, divisor, padding;
    double p; /* of Lp */
} soma__pool_nd_attrs;

/* adaptive_max_pool, adaptive_avg_pool: cells of y along each image axis. */
typedef struct soma__adaptive_attrs {
    int64_t count, size[3];
} soma__adaptive_attrs;

typedef struct soma__global_attrs {
    double p; /* of Lp; else 0 */
} soma__global_attrs;

/* max_unpool2d: H, W of the result. */
typedef struct soma__unpool_attrs {
    int64_t size[2];
} soma__unpool_attrs;

/* resample(x, index, weight), resample_grad(dy, index, weight): the axis of x; for the gradient
 * also how many cells x has along it, else 0. */
typedef struct soma__resample_attrs {
    int64_t axis, size;
} soma__resample_attrs;

/* resize: one entry for each image axis. The rule fills in both size and scale. */
typedef struct soma__resize_attrs {
    int64_t size[3];
    double scale[3], start[3], end[3];
    int64_t mode, coordinates, rounding, exclude_outside, antialias;
    double cubic_a, outside;
} soma__resize_attrs;

typedef struct soma__grid_sample_attrs {
    int64_t mode, outside, align_corners;
} soma__grid_sample_attrs;

typedef struct soma__affine_grid_attrs {
    int64_t size[2], align_corners;
} soma__affine_grid_attrs;

/* depth_to_space, space_to_depth. */
typedef struct soma__block_attrs {
    int64_t block, channels_first;
} soma__block_attrs;

/* unfold2d, fold2d: as in soma__conv_attrs; fold2d has the H, W of its result in input. */
typedef struct soma__unfold_attrs {
    int64_t size[2], stride[2], dilation[2];
    int64_t pad[4];
    int64_t input[2];
    int64_t padding;
} soma__unfold_attrs;

/* roi_align, roi_align_grad, roi_max_pool_index: boxes are in units of 1/scale cells. */
typedef struct soma__roi_attrs {
    int64_t size[2]; /* of a box's result */
    double scale;
    int64_t samples; /* along each side of a bin; 0: as many as it has cells, rounded up */
    int64_t aligned;
    int64_t input[3]; /* roi_align_grad: N, H, W of x; else 0 */
} soma__roi_attrs;

/* softmax, log_softmax: the axis, in [0, ndim). */
typedef struct soma__axis_attrs {
    int64_t axis;
} soma__axis_attrs;

/* layer_norm, batch_norm, group_norm, instance_norm, rms_norm. */
typedef struct soma__norm_attrs {
    double eps;
    int64_t groups; /* group_norm; else 0 */
} soma__norm_attrs;

/* local_response_norm. */
typedef struct soma__response_attrs {
    int64_t size;
    double alpha, beta, k;
} soma__response_attrs;

/* triangular_solve: 0 or 1. */
typedef struct soma__triangle_attrs {
    int64_t upper, transpose, unit;
} soma__triangle_attrs;

/* pinv, matrix_rank: relative to the largest singular value; 0 for the default. */
typedef struct soma__rcond_attrs {
    double rcond;
} soma__rcond_attrs;

/* matrix_norm: a soma_matrix_norm_kind. */
typedef struct soma__matrix_norm_attrs {
    int64_t kind;
} soma__matrix_norm_attrs;

/* The losses. What number and flag stand for is in the attribute table of each. */
typedef struct soma__loss_attrs {
    int64_t reduction; /* soma_reduction */
    double number[2];
    int64_t flag[2];
    int64_t optional; /* bit i: the optional input i is there */
    int64_t ignores, ignore_index;
} soma__loss_attrs;

/* ctc_loss and the gradient of it. */
typedef struct soma__ctc_attrs {
    int64_t blank, zero_infinity;
} soma__ctc_attrs;

/* random_uniform, random_normal, random_bernoulli. Element i of the row-major result is draw i of
 * the rng key {seed = key[0], step = key[1], stream}. */
typedef struct soma__random_attrs {
    int64_t stream;
    int64_t ndim, dim[SOMA_MAX_DIMS];
    double p; /* bernoulli: true where uniform < p; else 0 */
} soma__random_attrs;

/* dropout, spatial_dropout. */
typedef struct soma__dropout_attrs {
    int64_t stream;
    double p;
} soma__dropout_attrs;

/* --- reduce, shape, index -------------------------------------------------------------------- */

/* sum, mean, max, min, variance: soma__reduce_attrs of graph/op.h. */

/* norm: the order p, and the axes. */
typedef struct soma__lp_attrs {
    soma__reduce_attrs reduce;
    double p;
} soma__lp_attrs;

/* cumsum, cumprod, recurrence (not exclusive). */
typedef struct soma__scan_attrs {
    int64_t axis, exclusive, reverse;
} soma__scan_attrs;

/* rnn, lstm, gru and the gradients of them. */
typedef struct soma__recurrent_attrs {
    int64_t variant; /* rnn: relu; gru: reset_first; else 0 */
    int64_t reverse;
    int64_t lengths; /* the last input is there */
    int64_t states;  /* gradients: one step more, with those of h0 and c0; else 0 */
} soma__recurrent_attrs;

/* attention and the gradients of it. */
typedef struct soma__attention_attrs {
    double scale, p; /* p: of dropout */
    int64_t causal, offset, stream;
    int64_t optional; /* bits of ops/attention.h: inputs that are there */
} soma__attention_attrs;

typedef struct soma__rotary_attrs {
    double base;
    int64_t offset, interleaved, inverse;
} soma__rotary_attrs;

/* reshape, expand: the result's shape. (argmax and concat take soma__axis_attrs.) */
typedef struct soma__shape_attrs {
    int64_t ndim, dim[SOMA_MAX_DIMS];
} soma__shape_attrs;

/* permute: result dim i is x's dim axes[i]. */
typedef struct soma__permute_attrs {
    int64_t count, axes[SOMA_MAX_DIMS];
} soma__permute_attrs;

/* slice: cells [start, end) of the axis; 0 <= start <= end <= its size. */
typedef struct soma__slice_attrs {
    int64_t axis, start, end;
} soma__slice_attrs;

/* slice_steps: result cell i of dim d is x's cell start[d] + i step[d], for i < size[d]. The
 * builder gives `count` axes with their ends; the rule resolves them to all dims. */
#define SOMA__SLICE_RESOLVED (-1) /* as count: only start, step and size are left */
typedef struct soma__slice_steps_attrs {
    int64_t count, axes[SOMA_MAX_DIMS];
    int64_t start[SOMA_MAX_DIMS], end[SOMA_MAX_DIMS], step[SOMA_MAX_DIMS], size[SOMA_MAX_DIMS];
} soma__slice_steps_attrs;

/* place: x's cell i of dim d goes to start[d] + i·step[d] of a result of these dims. */
typedef struct soma__place_attrs {
    int64_t ndim, dim[SOMA_MAX_DIMS];
    int64_t start[SOMA_MAX_DIMS], step[SOMA_MAX_DIMS];
} soma__place_attrs;

/* flip, roll: axes, and by how much; tile: repeats of the last `count` axes. */
typedef struct soma__axes_attrs {
    int64_t count, axes[SOMA_MAX_DIMS], by[SOMA_MAX_DIMS];
} soma__axes_attrs;

typedef struct soma__repeat_attrs {
    int64_t axis, by;
} soma__repeat_attrs;

/* tril, triu, diagonal, diag. */
typedef struct soma__diagonal_attrs {
    int64_t offset, axis[2];
} soma__diagonal_attrs;

/* pad_border: cells added around each dim, and a soma_pad_mode. */
typedef struct soma__border_attrs {
    int64_t count, before[SOMA_MAX_DIMS], after[SOMA_MAX_DIMS];
    int64_t border;
} soma__border_attrs;

/* pad: cells added around each dim. */
typedef struct soma__pad_attrs {
    int64_t count, before[SOMA_MAX_DIMS], after[SOMA_MAX_DIMS];
    double value;
} soma__pad_attrs;

/* gather takes soma__axis_attrs; scatter_add also the size that the axis gets. */
typedef struct soma__scatter_attrs {
    int64_t axis, size;
} soma__scatter_attrs;

/* gather_elements, scatter_elements: the axis; gather_nd, scatter_nd: the number of batch dims. And
 * a soma_scatter; 0 for gathers. */
typedef struct soma__place_index_attrs {
    int64_t axis, reduction;
} soma__place_index_attrs;

typedef struct soma__embedding_attrs {
    int64_t padding; /* -1: none */
} soma__embedding_attrs;

/* argsort, topk_index, sort, topk; the result has k cells along the axis with topk. */
typedef struct soma__order_attrs {
    int64_t axis, descending, k;
} soma__order_attrs;

typedef struct soma__quantile_attrs {
    int64_t axis;
    double q;
} soma__quantile_attrs;

typedef struct soma__searchsorted_attrs {
    int64_t right;
} soma__searchsorted_attrs;

typedef struct soma__one_hot_attrs {
    int64_t depth;
} soma__one_hot_attrs;

/* --- elementwise ----------------------------------------------------------------------------- */

typedef struct soma__cast_attrs {
    int64_t dtype;
} soma__cast_attrs;

/* leaky_relu, elu, celu, softshrink, hardshrink: the one number that each has. */
typedef struct soma__slope_attrs {
    double slope;
} soma__slope_attrs;

typedef struct soma__clamp_attrs {
    double low, high;
} soma__clamp_attrs;

typedef struct soma__threshold_attrs {
    double threshold, value;
} soma__threshold_attrs;

/* nan_to_num: what stands for NaN, Inf and -Inf; infinite: the largest finite number. */
typedef struct soma__nan_attrs {
    double nan, high, low;
} soma__nan_attrs;

#endif
