/* soma/ops.h: the ops.
 *
 * Vars in, vars out; shapes in comments are NumPy style. Elementwise ops broadcast as NumPy does
 * and want equal dtypes (soma_cast makes them so). Integers (whose overflow wraps around) go into
 * neg, abs, sign, square, add, sub, mul, fmod, remainder, floor_divide, maximum, minimum,
 * comparisons, where, bitwise ops and shifts, sum, max, min; bool into equal, not_equal, the
 * logical ops and where. Axes may be negative. Options are named: soma_conv2d(x, w, .stride = {2,
 * 2}, .pad = {1, 1, 1, 1}) A zero option means its default. All faults stick to the graph (see
 * graph.h); the messages name the op, the scope and the shapes. Gradients exist unless "no
 * gradient" is said.
 */
#ifndef SOMA_OPS_H
#define SOMA_OPS_H

#include "graph.h"
#include "linalg.h"
#include "loss.h"
#include "sequence.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- elementwise, one input (any float; abs, neg, sign, square also integers) ------------------
 */
SOMA_API soma_var soma_neg(soma_var x);        /* -x */
SOMA_API soma_var soma_abs(soma_var x);        /* |x| */
SOMA_API soma_var soma_sign(soma_var x);       /* -1, 0, 1 */
SOMA_API soma_var soma_square(soma_var x);     /* x² */
SOMA_API soma_var soma_reciprocal(soma_var x); /* 1/x */
SOMA_API soma_var soma_sqrt(soma_var x);
SOMA_API soma_var soma_rsqrt(soma_var x); /* 1/√x */
SOMA_API soma_var soma_exp(soma_var x);
SOMA_API soma_var soma_log(soma_var x);
SOMA_API soma_var soma_sin(soma_var x);
SOMA_API soma_var soma_cos(soma_var x);
SOMA_API soma_var soma_tanh(soma_var x);
SOMA_API soma_var soma_erf(soma_var x);
SOMA_API soma_var soma_sigmoid(soma_var x);  /* 1/(1+e^-x) */
SOMA_API soma_var soma_softplus(soma_var x); /* log(1+e^x) */
SOMA_API soma_var soma_floor(soma_var x);    /* gradient zero, as ceil, round */
SOMA_API soma_var soma_ceil(soma_var x);
SOMA_API soma_var soma_round(soma_var x); /* half to even */
SOMA_API soma_var soma_relu(soma_var x);  /* max(x, 0); gradient 0 at 0 */
/* Composites of the above. */
SOMA_API soma_var soma_gelu(soma_var x);      /* x Φ(x), by erf (Hendrycks & Gimpel 2016) */
SOMA_API soma_var soma_gelu_tanh(soma_var x); /* its tanh approximation */
SOMA_API soma_var soma_silu(soma_var x);      /* x sigmoid(x) */
SOMA_API soma_var soma_leaky_relu(soma_var x, double slope);
SOMA_API soma_var soma_elu(soma_var x, double alpha);  /* left of 0 alpha (e^x - 1) */
SOMA_API soma_var soma_celu(soma_var x, double alpha); /* alpha (e^(x/alpha) - 1); alpha not 0 */
SOMA_API soma_var soma_selu(soma_var x);               /* scaled elu (Klambauer et al. 2017) */
SOMA_API soma_var soma_relu6(soma_var x);              /* min(max(x, 0), 6) */
SOMA_API soma_var
soma_hard_sigmoid(soma_var x);                 /* min(max(x + 3, 0), 6) / 6 (Howard et al. 2019) */
SOMA_API soma_var soma_hard_swish(soma_var x); /* x hard_sigmoid(x) */
SOMA_API soma_var soma_hard_tanh(soma_var x, double low, double high); /* as clamp, but gradient 0
                                                                          at the limits too */
SOMA_API soma_var soma_mish(soma_var x);     /* x tanh(softplus(x)) (Misra 2019) */
SOMA_API soma_var soma_softsign(soma_var x); /* x / (1 + |x|) */
SOMA_API soma_var soma_logsigmoid(soma_var x);
SOMA_API soma_var soma_softplus_beta(soma_var x, double beta); /* softplus(beta x) / beta */
SOMA_API soma_var soma_softshrink(soma_var x, double lambda);  /* x ∓ lambda, 0 in between */
SOMA_API soma_var soma_hardshrink(soma_var x, double lambda);  /* x, 0 where |x| <= lambda */
SOMA_API soma_var soma_tanhshrink(soma_var x);                 /* x - tanh(x) */
/* x where x > threshold, else value */
SOMA_API soma_var soma_threshold(soma_var x, double threshold, double value);
/* Leaky relu whose slope is an input that broadcasts to x: usually a parameter [C], one slope for
 * each cell of the last axis (He et al. 2015). */
SOMA_API soma_var soma_prelu(soma_var x, soma_var slope);
/* Gated units: x = [a b], halves along `axis`, which must be even: a sigmoid(b) (Dauphin et al.
 * 2017), silu(a) b and gelu(a) b (Shazeer 2020). */
SOMA_API soma_var soma_glu(soma_var x, int64_t axis);
SOMA_API soma_var soma_swiglu(soma_var x, int64_t axis);
SOMA_API soma_var soma_geglu(soma_var x, int64_t axis);
SOMA_API soma_var soma_isfinite(soma_var x); /* bool; no gradient, nor have the next four */
SOMA_API soma_var soma_isnan(soma_var x);
SOMA_API soma_var soma_isinf(soma_var x); /* of either sign */
SOMA_API soma_var soma_isposinf(soma_var x);
SOMA_API soma_var soma_isneginf(soma_var x);
SOMA_API soma_var soma_logical_not(soma_var x); /* bool -> bool; no gradient */

/* --- elementwise, two and three inputs, broadcasting -------------------------------------------
 */
SOMA_API soma_var soma_add(soma_var a, soma_var b);
SOMA_API soma_var soma_sub(soma_var a, soma_var b);
SOMA_API soma_var soma_mul(soma_var a, soma_var b);
SOMA_API soma_var soma_div(soma_var a, soma_var b);
SOMA_API soma_var soma_pow(soma_var a, soma_var b);
SOMA_API soma_var soma_maximum(soma_var a,
                               soma_var b); /* gradient to the larger, half each when equal */
SOMA_API soma_var soma_minimum(soma_var a, soma_var b);
/* With a number of x's dtype. */
SOMA_API soma_var soma_add_scalar(soma_var x, double value);
SOMA_API soma_var soma_mul_scalar(soma_var x, double value);
SOMA_API soma_var soma_pow_scalar(soma_var x, double value);
/* -> bool, no gradient */
SOMA_API soma_var soma_equal(soma_var a, soma_var b);
SOMA_API soma_var soma_not_equal(soma_var a, soma_var b);
SOMA_API soma_var soma_less(soma_var a, soma_var b);
SOMA_API soma_var soma_less_equal(soma_var a, soma_var b);
SOMA_API soma_var soma_greater(soma_var a, soma_var b);
SOMA_API soma_var soma_greater_equal(soma_var a, soma_var b);
SOMA_API soma_var soma_logical_and(soma_var a, soma_var b); /* bool, bool -> bool */
SOMA_API soma_var soma_logical_or(soma_var a, soma_var b);
SOMA_API soma_var soma_logical_xor(soma_var a, soma_var b);
/* cond (bool) ? a : b */
SOMA_API soma_var soma_where(soma_var cond, soma_var a, soma_var b);
/* Limits x to [low, high]; gradient 0 outside. -INFINITY and INFINITY leave a side open. */
SOMA_API soma_var soma_clamp(soma_var x, double low, double high);
/* Converts the dtype; integers saturate, floats round to nearest even. Gradient between floats. */
SOMA_API soma_var soma_cast(soma_var x, soma_dtype dtype);
/* x as it is, through which no gradient flows. */
SOMA_API soma_var soma_stop_gradient(soma_var x);

/* --- elementwise: more mathematics (any float) -------------------------------------------------
 */
SOMA_API soma_var soma_expm1(soma_var x); /* e^x - 1, with all digits near 0 */
SOMA_API soma_var soma_log1p(soma_var x); /* ln(1 + x), likewise */
SOMA_API soma_var soma_exp2(soma_var x);
SOMA_API soma_var soma_log2(soma_var x);
SOMA_API soma_var soma_log10(soma_var x);
SOMA_API soma_var soma_tan(soma_var x);
SOMA_API soma_var soma_asin(soma_var x);
SOMA_API soma_var soma_acos(soma_var x);
SOMA_API soma_var soma_atan(soma_var x);
SOMA_API soma_var soma_sinh(soma_var x);
SOMA_API soma_var soma_cosh(soma_var x);
SOMA_API soma_var soma_asinh(soma_var x);
SOMA_API soma_var soma_acosh(soma_var x);
SOMA_API soma_var soma_atanh(soma_var x);
SOMA_API soma_var soma_erfc(soma_var x);    /* 1 - erf(x), with all digits for large x */
SOMA_API soma_var soma_erfinv(soma_var x);  /* erf's inverse, on (-1, 1) */
SOMA_API soma_var soma_cbrt(soma_var x);    /* cube root, of negative x too */
SOMA_API soma_var soma_lgamma(soma_var x);  /* ln |gamma(x)| */
SOMA_API soma_var soma_digamma(soma_var x); /* its slope; NaN at negative whole numbers */
SOMA_API soma_var soma_polygamma(int order, soma_var x); /* digamma's derivative; order >= 0 */
SOMA_API soma_var soma_trunc(soma_var x);                /* towards 0; gradient zero */
SOMA_API soma_var soma_frac(soma_var x);                 /* x - trunc(x) */
/* Broadcasting; these three also take integers (divided by 0 they give 0). */
SOMA_API soma_var soma_fmod(soma_var a, soma_var b);         /* sign of a, as C's fmod and % */
SOMA_API soma_var soma_remainder(soma_var a, soma_var b);    /* sign of b, as Python's % */
SOMA_API soma_var soma_floor_divide(soma_var a, soma_var b); /* floor(a/b); gradient zero */
SOMA_API soma_var soma_atan2(soma_var a, soma_var b);        /* angle of the point (x = b, y = a) */
SOMA_API soma_var soma_hypot(soma_var a, soma_var b);        /* √(a² + b²) without overflow */
SOMA_API soma_var soma_copysign(soma_var a, soma_var b);     /* |a| with the sign of b */
SOMA_API soma_var soma_logaddexp(soma_var a, soma_var b);    /* ln(e^a + e^b) */
SOMA_API soma_var soma_xlogy(soma_var a, soma_var b);        /* a ln b, but 0 where a is 0 */
SOMA_API soma_var soma_lerp(soma_var a, soma_var b, soma_var weight); /* a + weight (b - a) */
/* Replaces NaN, Inf and -Inf; an infinite `high` or `low` stands for the largest finite number. */
SOMA_API soma_var soma_nan_to_num(soma_var x, double nan, double high, double low);
/* Bits of integers (i8, u8, i32, i64), broadcasting; no gradient. Shifts by less than 0 or by all
 * bits or more push every bit out; to the right the sign comes in. */
SOMA_API soma_var soma_bitwise_not(soma_var x);
SOMA_API soma_var soma_bitwise_and(soma_var a, soma_var b);
SOMA_API soma_var soma_bitwise_or(soma_var a, soma_var b);
SOMA_API soma_var soma_bitwise_xor(soma_var a, soma_var b);
SOMA_API soma_var soma_shift_left(soma_var a, soma_var b);
SOMA_API soma_var soma_shift_right(soma_var a, soma_var b);

/* --- reductions over axes ----------------------------------------------------------------------
 */
typedef struct soma_reduce_options {
    int64_t axes[SOMA_MAX_DIMS]; /* which; see count */
    int count;                   /* how many entries of axes; 0: all axes of x */
    bool keep_dims;              /* reduced axes stay with size 1 */
    double correction;           /* variance, std: the divisor is the number of cells less this; 1
                                    makes the variance unbiased */
} soma_reduce_options;
SOMA_API soma_var soma_sum_opt(soma_var x, soma_reduce_options options);
SOMA_API soma_var soma_mean_opt(soma_var x, soma_reduce_options options);
SOMA_API soma_var soma_max_opt(soma_var x,
                               soma_reduce_options options); /* gradient shared by ties */
SOMA_API soma_var soma_min_opt(soma_var x, soma_reduce_options options);
/* Product; its gradient is right where cells are 0. Of no cells: 1. */
SOMA_API soma_var soma_prod_opt(soma_var x, soma_reduce_options options);
/* Variance, mean((x - mean(x))²), and its root, whose gradient is 0 where it is 0. */
SOMA_API soma_var soma_var_opt(soma_var x, soma_reduce_options options);
SOMA_API soma_var soma_std_opt(soma_var x, soma_reduce_options options);
/* (Σ|x|^p)^(1/p); p = 0 counts what is not 0, INFINITY and -INFINITY give the largest and smallest
 * size. Gradient 0 where the norm is 0. */
SOMA_API soma_var soma_norm_opt(soma_var x, double p, soma_reduce_options options);
/* ln Σ e^x, without overflow. */
SOMA_API soma_var soma_logsumexp_opt(soma_var x, soma_reduce_options options);
/* Of any dtype, no gradient: whether any or all cells differ from 0 (bool), and how many (i64). */
SOMA_API soma_var soma_any_opt(soma_var x, soma_reduce_options options);
SOMA_API soma_var soma_all_opt(soma_var x, soma_reduce_options options);
SOMA_API soma_var soma_count_nonzero_opt(soma_var x, soma_reduce_options options);
#define soma_sum(x_, ...) soma_sum_opt((x_), (soma_reduce_options){__VA_ARGS__})
#define soma_mean(x_, ...) soma_mean_opt((x_), (soma_reduce_options){__VA_ARGS__})
#define soma_max(x_, ...) soma_max_opt((x_), (soma_reduce_options){__VA_ARGS__})
#define soma_min(x_, ...) soma_min_opt((x_), (soma_reduce_options){__VA_ARGS__})
#define soma_prod(x_, ...) soma_prod_opt((x_), (soma_reduce_options){__VA_ARGS__})
#define soma_variance(x_, ...) soma_var_opt((x_), (soma_reduce_options){__VA_ARGS__})
#define soma_std(x_, ...) soma_std_opt((x_), (soma_reduce_options){__VA_ARGS__})
#define soma_norm(x_, p_, ...) soma_norm_opt((x_), (p_), (soma_reduce_options){__VA_ARGS__})
#define soma_logsumexp(x_, ...) soma_logsumexp_opt((x_), (soma_reduce_options){__VA_ARGS__})
#define soma_any(x_, ...) soma_any_opt((x_), (soma_reduce_options){__VA_ARGS__})
#define soma_all(x_, ...) soma_all_opt((x_), (soma_reduce_options){__VA_ARGS__})
#define soma_count_nonzero(x_, ...) soma_count_nonzero_opt((x_), (soma_reduce_options){__VA_ARGS__})
/* Index of the first largest value along `axis`, i64, the axis removed. No gradient. */
SOMA_API soma_var soma_argmax(soma_var x, int64_t axis);
SOMA_API soma_var soma_argmin(soma_var x, int64_t axis);
/* The same over several axes (count 0: all): the index counts row-major through them. */
SOMA_API soma_var soma_argmax_opt(soma_var x, soma_reduce_options options);
SOMA_API soma_var soma_argmin_opt(soma_var x, soma_reduce_options options);

/* Running sums and products along `axis`: y_k is that of the cells up to k, less k itself with
 * `exclusive` (then y_0 is 0 or 1); with `reverse` from the end on. */
typedef struct soma_scan_options {
    bool exclusive, reverse;
} soma_scan_options;
SOMA_API soma_var soma_cumsum_opt(soma_var x, int64_t axis, soma_scan_options options);
SOMA_API soma_var soma_cumprod_opt(soma_var x, int64_t axis, soma_scan_options options);
#define soma_cumsum(x_, axis_, ...) soma_cumsum_opt((x_), (axis_), (soma_scan_options){__VA_ARGS__})
#define soma_cumprod(x_, axis_, ...)                                                               \
    soma_cumprod_opt((x_), (axis_), (soma_scan_options){__VA_ARGS__})
/* y_k = a_k y_(k-1) + b_k along `axis`, from 0 (in reverse y_k = a_k y_(k+1) + b_k): a linear
 * recurrence. a and b have one shape. */
SOMA_API soma_var soma_recurrence(soma_var a, soma_var b, int64_t axis, bool reverse);

/* --- shape
 * --------------------------------------------------------------------------------------*/
/* One dim may be -1: what is left. */
SOMA_API soma_var soma_reshape(soma_var x, soma_shape shape);
/* [N, …] -> [N, product] from `axis` on. */
SOMA_API soma_var soma_flatten(soma_var x, int64_t axis);
/* y's dim i is x's dim axes[i]; `count` = x's ndim. soma_transpose swaps the last two. */
SOMA_API soma_var soma_permute(soma_var x, const int64_t *axes, int count);
SOMA_API soma_var soma_transpose(soma_var x);
/* Broadcasts x to `shape`. */
SOMA_API soma_var soma_expand(soma_var x, soma_shape shape);
/* x[…, start:end, …] along `axis`; negative counts from the end, end beyond the size is cut. */
SOMA_API soma_var soma_slice(soma_var x, int64_t axis, int64_t start, int64_t end);
SOMA_API soma_var soma_concat(const soma_var *x, int count, int64_t axis);
/* Adds `before[i]` and `after[i]` cells of `value` around dim i; `count` = x's ndim. */
SOMA_API soma_var soma_pad(soma_var x, const int64_t *before, const int64_t *after, int count,
                           double value);
/* The same with cells that repeat x's: of abcd, two on each side are
 *     reflect    cb abcd cb    (at most size - 1)
 *     symmetric  ba abcd dc    (at most size)
 *     edge       aa abcd dd
 *     wrap       cd abcd ab    (at most size)                                                   */
typedef enum soma_pad_mode {
    SOMA_PAD_REFLECT,
    SOMA_PAD_SYMMETRIC,
    SOMA_PAD_EDGE, /* PyTorch's replicate */
    SOMA_PAD_WRAP, /* PyTorch's circular */
} soma_pad_mode;
SOMA_API soma_var soma_pad_border(soma_var x, const int64_t *before, const int64_t *after,
                                  int count, soma_pad_mode border);
/* x[start:end:step, …] along `count` axes (NULL: the first ones), any step but 0 (NULL: all 1).
 * Negative positions count from the end, those outside are cut. As in ONNX' Slice, INT64_MIN as the
 * end of a negative step means "through cell 0". */
SOMA_API soma_var soma_slice_steps(soma_var x, const int64_t *axes, const int64_t *start,
                                   const int64_t *end, const int64_t *step, int count);
/* The reverse: zeros of `shape`, with x's cell i of dim d at start[d] + i·step[d]; all cells must
 * fit. start NULL: all 0, step NULL: all 1. */
SOMA_API soma_var soma_place(soma_var x, soma_shape shape, const int64_t *start,
                             const int64_t *step);
/* Composites. flip: order turned round along axes (count 0: all). roll: cell i goes to
 * (i + by[k]) mod size along axes[k]. tile: x repeated as a whole, `repeats` of the last `count`
 * axes, NumPy style (more repeats than dims add dims in front). repeat_interleave: each cell
 * `repeats` times. stack: inputs of one shape along a new axis. */
SOMA_API soma_var soma_flip(soma_var x, const int64_t *axes, int count);
SOMA_API soma_var soma_roll(soma_var x, const int64_t *axes, const int64_t *by, int count);
SOMA_API soma_var soma_tile(soma_var x, const int64_t *repeats, int count);
SOMA_API soma_var soma_repeat_interleave(soma_var x, int64_t repeats, int64_t axis);
SOMA_API soma_var soma_stack(const soma_var *x, int count, int64_t axis);
/* Of matrices [B…,M,N], the cells on and below (tril) or above (triu) diagonal `offset`, others 0.
 */
SOMA_API soma_var soma_tril(soma_var x, int64_t offset);
SOMA_API soma_var soma_triu(soma_var x, int64_t offset);
/* The cells x[…, i, …, i + offset, …] of two axes, as the last axis of the result. */
SOMA_API soma_var soma_diagonal(soma_var x, int64_t offset, int64_t axis1, int64_t axis2);
/* x [B…,n] on diagonal `offset` of zeros [B…,m,m], m = n + |offset|. */
SOMA_API soma_var soma_diag(soma_var x, int64_t offset);
/* A new axis of size 1 at `axis` of the result; one of size 1 taken away; two axes swapped; an axis
 * moved to another place, the others keeping their order. */
SOMA_API soma_var soma_unsqueeze(soma_var x, int64_t axis);
SOMA_API soma_var soma_squeeze(soma_var x, int64_t axis);
SOMA_API soma_var soma_swapaxes(soma_var x, int64_t axis1, int64_t axis2);
SOMA_API soma_var soma_moveaxis(soma_var x, int64_t from, int64_t to);
/* x cut along `axis` into `count` parts, written to out[count]: of the given sizes, which must add
 * up to the axis' (NULL: equal ones, which must divide it). unstack: cells of the axis, which goes
 * away; `count` must be its size. */
SOMA_API void soma_split(soma_var x, int64_t axis, const int64_t *sizes, int count, soma_var *out);
SOMA_API void soma_unstack(soma_var x, int64_t axis, int count, soma_var *out);
/* y[…, i…, …] = x[…, index[i…], …] along `axis`; index i32 or i64, negative not allowed: out of
 * range reads give 0 (and a session check reports nothing: validate labels before). x [A,K,B],
 * index [I…]
 * -> [A,I…,B]. */
SOMA_API soma_var soma_gather(soma_var x, soma_var index, int64_t axis);
/* The reverse: y of `size` cells along `axis`, zeros, plus x's slices added at index (in order, so
 * that repeated indexes give the same bits each time). */
SOMA_API soma_var soma_scatter_add(soma_var x, soma_var index, int64_t axis, int64_t size);
/* index i32/i64 [S…] -> f32 [S…,depth]; out of range gives zeros. No gradient. */
SOMA_API soma_var soma_one_hot(soma_var index, int64_t depth);
/* A cell for each cell of the index: y[i,j,k] = x[index[i,j,k],j,k] for axis 0, and so on
 * (PyTorch's gather). Index i32/i64 with as many dims as x, none larger than x's but the axis; out
 * of range gives 0. soma_take_along is the same, but the index broadcasts against x (NumPy). */
SOMA_API soma_var soma_gather_elements(soma_var x, soma_var index, int64_t axis);
SOMA_API soma_var soma_take_along(soma_var x, soma_var index, int64_t axis);
/* A slice for each row of the index: index [B…,I…,K], x [B…,D1…DK,R…] -> [B…,I…,R…]; the K numbers
 * of a row are the slice's position. B… are `batch_dims` dims (ONNX' GatherND). Out of range gives
 * 0. */
SOMA_API soma_var soma_gather_nd(soma_var x, soma_var index, int64_t batch_dims);
/* How an update meets the value that is there. */
typedef enum soma_scatter {
    SOMA_SCATTER_SET, /* of several updates of one cell the last one stays, and has the gradient */
    SOMA_SCATTER_ADD,
    SOMA_SCATTER_MUL, /* no update may be 0 where its gradient is wanted */
    SOMA_SCATTER_MAX, /* gradient shared by ties, as of soma_max */
    SOMA_SCATTER_MIN,
} soma_scatter;
/* x with updates written where the gathers of the same name would read; updates have the gather's
 * shape and x's dtype. In the order of the index, so that the bits are the same each time; an index
 * out of range writes nothing. */
SOMA_API soma_var soma_scatter_elements(soma_var x, soma_var index, soma_var updates, int64_t axis,
                                        soma_scatter how);
SOMA_API soma_var soma_scatter_nd(soma_var x, soma_var index, soma_var updates, int64_t batch_dims,
                                  soma_scatter how);
/* Rows of a table: table [K,D], index [I…] -> [I…,D]. The `padding` row (-1: none) is read but gets
 * no gradient. Composite. */
SOMA_API soma_var soma_embedding(soma_var table, soma_var index, int64_t padding);
/* The cells of x where the mask (bool, of x's shape) is true, in order: [n]. n depends on the mask,
 * so its values must be known when the graph is built: it is a tensor, from soma_eval say (define
 * by run). The gradient goes to the chosen cells. */
SOMA_API soma_var soma_masked_select(soma_var x, const soma_tensor *mask);
/* x with `value` where the mask (bool, broadcasts to x) is true. Composite. */
SOMA_API soma_var soma_masked_fill(soma_var x, soma_var mask, double value);

/* --- constants by formula ----------------------------------------------------------------------
 */
/* start, start + step, … below (for a negative step above) stop; computed in double. */
SOMA_API soma_var soma_arange(soma_graph *graph, soma_dtype dtype, double start, double stop,
                              double step);
/* `count` numbers at equal distances, the first `start`, the last `stop`. */
SOMA_API soma_var soma_linspace(soma_graph *graph, soma_dtype dtype, double start, double stop,
                                int64_t count);
/* [rows,cols] with 1 on diagonal `offset`, else 0. (soma_full: one value everywhere.) */
SOMA_API soma_var soma_eye(soma_graph *graph, soma_dtype dtype, int64_t rows, int64_t cols,
                           int64_t offset);
/* From `count` vectors x[i] [Ni] as many arrays [N0,N1,…]; out[i] varies along dim i alone. */
SOMA_API void soma_meshgrid(const soma_var *x, int count, soma_var *out);

/* --- order -------------------------------------------------------------------------------------
 */
/* Positions (i64) that put an axis in order. Stable; NaN comes last in both directions. No
 * gradient. The first k of them: topk_index, whose ties go to the lower position. */
SOMA_API soma_var soma_argsort(soma_var x, int64_t axis, bool descending);
SOMA_API soma_var soma_topk_index(soma_var x, int64_t k, int64_t axis, bool smallest);
/* The values: gathered by the positions, so gradients go to the cells they came from. Composites.
 * Who wants both takes the positions and soma_gather_elements; plans then compute them once. */
SOMA_API soma_var soma_sort(soma_var x, int64_t axis, bool descending);
SOMA_API soma_var soma_topk(soma_var x, int64_t k, int64_t axis, bool smallest);
/* The value at q (n - 1) of the ordered axis, which goes away, between two cells by distance
 * (NumPy's default); q in [0, 1]. The median is q = 0.5. Composite. */
SOMA_API soma_var soma_quantile(soma_var x, double q, int64_t axis);
SOMA_API soma_var soma_median(soma_var x, int64_t axis);
/* borders [n] in ascending order, x any shape -> i64: how many borders are below x; with `right`
 * those equal to x count too. No gradient. */
SOMA_API soma_var soma_searchsorted(soma_var borders, soma_var x, bool right);

/* --- products ----------------------------------------------------------------------------------
 */
/* `precision` of products: 0, that of the operands, which are of one dtype, as is the result; or
 * SOMA_BF16: the operands are rounded to bf16 where they are not yet, their products added in f32,
 * and the result is f32. So are gradients, but that of an operand of bf16 is rounded. Where the
 * processor has instructions for it (AVX-512 BF16), this takes half the time. */
typedef struct soma_matmul_options {
    bool transpose_a, transpose_b; /* of the last two dims */
    soma_dtype precision;
} soma_matmul_options;
/* a [B…,M,K] · b [B…,K,N] -> [B…,M,N]; batch dims broadcast; both at least 2-D. */
SOMA_API soma_var soma_matmul_opt(soma_var a, soma_var b, soma_matmul_options options);
#define soma_matmul(a_, b_, ...) soma_matmul_opt((a_), (b_), (soma_matmul_options){__VA_ARGS__})
typedef struct soma_linear_options {
    soma_dtype precision; /* as of soma_matmul; b is of the result's dtype */
} soma_linear_options;
/* x [B…,I] · w[O,I]ᵀ + b[O] -> [B…,O]; `b` may be (soma_var){0}. Composite. */
SOMA_API soma_var soma_linear_opt(soma_var x, soma_var w, soma_var b, soma_linear_options options);
#define soma_linear(x_, w_, b_, ...)                                                               \
    soma_linear_opt((x_), (w_), (b_), (soma_linear_options){__VA_ARGS__})
/* Sums of (a - a_zero) · (b - b_zero): a u8 [B…,M,K], b i8 [K,N], a_zero u8 [] or [1], b_zero i8
 * [], [1] or [N] -> i32 [B…,M,N], exact but for multiples of 2³². No gradient. With AVX-512 VNNI
 * and b_zero 0, a quarter of the time of f32. */
SOMA_API soma_var soma_matmul_integer(soma_var a, soma_var b, soma_var a_zero, soma_var b_zero);
/* Bytes for numbers, value = (q - zero) · scale. scale and zero are [], [1], or [n] for slices
 * along a last axis of n. Composites. quantize: x float, scale of its dtype, zero u8 or i8 -> that
 * dtype: round(x / scale) + zero, ties to even, kept in range; NaN becomes zero. */
SOMA_API soma_var soma_quantize_linear(soma_var x, soma_var scale, soma_var zero);
/* q u8 or i8, zero of its dtype, scale float -> float. */
SOMA_API soma_var soma_dequantize_linear(soma_var q, soma_var scale, soma_var zero);
/* x float -> u8, under the scale and zero that its own range, widened to hold 0, asks for. */
typedef struct soma_quantized {
    soma_var q, scale, zero;
} soma_quantized;
SOMA_API soma_quantized soma_dynamic_quantize_linear(soma_var x);
/* Einstein's sum over `count` operands: "ij,jk->ik". Letters are axes: equal ones of two operands
 * run together, those that the result lacks are summed over, one that an operand has twice is its
 * diagonal. "..." stands for any axes, aligned at their ends. Without "->" the result has the
 * letters that occur once, by the alphabet. Axes of size 1 broadcast. Becomes matrix products,
 * taken from left to right: put the operands in the order that keeps the products small. */
SOMA_API soma_var soma_einsum(const char *equation, const soma_var *x, int count);
/* Sum over axes_a[i] of a and axes_b[i] of b together; the result has the other axes of a, then
 * those of b. outer: all products of two flattened values, [n,m]. dot: of two vectors, a scalar. */
SOMA_API soma_var soma_tensordot(soma_var a, soma_var b, const int64_t *axes_a,
                                 const int64_t *axes_b, int count);
SOMA_API soma_var soma_outer(soma_var a, soma_var b);
SOMA_API soma_var soma_dot(soma_var a, soma_var b);

/* --- convolution and pooling, N H W C ----------------------------------------------------------
 */
typedef enum soma_padding {
    SOMA_PAD_EXPLICIT,   /* as `pad` says */
    SOMA_PAD_SAME,       /* output = ceil(input / stride); the odd cell goes to the end */
    SOMA_PAD_VALID,      /* none */
    SOMA_PAD_SAME_LOWER, /* as SAME, the odd cell at the begin (ONNX) */
} soma_padding;
typedef struct soma_conv_options {
    int64_t stride[2];   /* height, width; 0: 1 */
    int64_t dilation[2]; /* 0: 1 */
    int64_t pad[4];      /* top, left, bottom, right, with SOMA_PAD_EXPLICIT */
    soma_padding padding;
    int64_t groups;       /* 0: 1 */
    soma_dtype precision; /* as of soma_matmul */
} soma_conv_options;
/* x [N,H,W,C], w [O,kh,kw,C/groups] -> [N,Ho,Wo,O]; cross-correlation as everywhere. Add the bias
 * with soma_add: plans fuse it. */
SOMA_API soma_var soma_conv2d_opt(soma_var x, soma_var w, soma_conv_options options);
#define soma_conv2d(x_, w_, ...) soma_conv2d_opt((x_), (w_), (soma_conv_options){__VA_ARGS__})
/* The same of bytes, as soma_matmul_integer: x u8, w i8, x_zero u8 [] or [1], w_zero i8 [], [1] or
 * [O]
 * -> i32. Outside of the image x is x_zero, which counts as 0. */
SOMA_API soma_var soma_conv2d_integer_opt(soma_var x, soma_var w, soma_var x_zero, soma_var w_zero,
                                          soma_conv_options options);
#define soma_conv2d_integer(x_, w_, x_zero_, w_zero_, ...)                                         \
    soma_conv2d_integer_opt((x_), (w_), (x_zero_), (w_zero_), (soma_conv_options){__VA_ARGS__})

/* Convs over one or three axes, and transposed ones. Composites. Arrays have one entry for each
 * image axis, from the front. */
typedef struct soma_conv_nd_options {
    int64_t stride[3], dilation[3]; /* 0: 1 */
    int64_t pad[6];                 /* the begins of all axes, then their ends */
    soma_padding padding;           /* transposed SAME: output = input · stride */
    int64_t groups;                 /* 0: 1 */
    int64_t output_padding[3];      /* transposed only: cells added at the end, to choose among the
                                       input sizes that a strided conv makes the same output of */
} soma_conv_nd_options;
/* x [N,L,C], w [O,k,C/groups] -> [N,Lo,O]; pad {begin, end} */
SOMA_API soma_var soma_conv1d_opt(soma_var x, soma_var w, soma_conv_nd_options options);
/* x [N,D,H,W,C], w [O,kd,kh,kw,C/groups] -> [N,Do,Ho,Wo,O]; pad {front, top, left, back, …} */
SOMA_API soma_var soma_conv3d_opt(soma_var x, soma_var w, soma_conv_nd_options options);
/* The transpose of the conv with the same options and weight (PyTorch's ConvTranspose, Keras'
 * Conv2DTranspose): x [N,…,C], w [C,…,O/groups] -> [N,…,O], each size (in - 1)·stride +
 * (k - 1)·dilation + 1 - pads + output_padding; output_padding is less than the stride or the
 * dilation. */
SOMA_API soma_var soma_conv_transpose1d_opt(soma_var x, soma_var w, soma_conv_nd_options options);
SOMA_API soma_var soma_conv_transpose2d_opt(soma_var x, soma_var w, soma_conv_nd_options options);
SOMA_API soma_var soma_conv_transpose3d_opt(soma_var x, soma_var w, soma_conv_nd_options options);
#define soma_conv1d(x_, w_, ...) soma_conv1d_opt((x_), (w_), (soma_conv_nd_options){__VA_ARGS__})
#define soma_conv3d(x_, w_, ...) soma_conv3d_opt((x_), (w_), (soma_conv_nd_options){__VA_ARGS__})
#define soma_conv_transpose1d(x_, w_, ...)                                                         \
    soma_conv_transpose1d_opt((x_), (w_), (soma_conv_nd_options){__VA_ARGS__})
#define soma_conv_transpose2d(x_, w_, ...)                                                         \
    soma_conv_transpose2d_opt((x_), (w_), (soma_conv_nd_options){__VA_ARGS__})
#define soma_conv_transpose3d(x_, w_, ...)                                                         \
    soma_conv_transpose3d_opt((x_), (w_), (soma_conv_nd_options){__VA_ARGS__})

typedef struct soma_pool_options {
    int64_t size[2];     /* window; required */
    int64_t stride[2];   /* 0: the window */
    int64_t dilation[2]; /* 0: 1 */
    int64_t pad[4];      /* top, left, bottom, right; each less than the window's extent */
    soma_padding padding;
    bool ceil_mode;  /* one more window where the last would reach beyond the padding, if it starts
                        inside of the image or of the padding before it (PyTorch, ONNX) */
    bool count_pad;  /* average: padded cells count in the divisor (default: they do not) */
    int64_t divisor; /* average: divide by this; 0: by the number of cells */
} soma_pool_options;
/* x [N,H,W,C] -> [N,Ho,Wo,C]. Max: gradient to the first largest cell. */
SOMA_API soma_var soma_max_pool2d_opt(soma_var x, soma_pool_options options);
SOMA_API soma_var soma_avg_pool2d_opt(soma_var x, soma_pool_options options);
#define soma_max_pool2d(x_, ...) soma_max_pool2d_opt((x_), (soma_pool_options){__VA_ARGS__})
#define soma_avg_pool2d(x_, ...) soma_avg_pool2d_opt((x_), (soma_pool_options){__VA_ARGS__})

/* Pools over one or three axes, and Lp pools, (Σ|x|^p)^(1/p) over each window (no gradient where
 * all of a window is 0). Composites. x [N,L,C], [N,H,W,C], [N,D,H,W,C]; arrays as for the convs. */
typedef struct soma_pool_nd_options {
    int64_t size[3];     /* required */
    int64_t stride[3];   /* 0: the window */
    int64_t dilation[3]; /* 0: 1 */
    int64_t pad[6];
    soma_padding padding;
    bool ceil_mode, count_pad;
    int64_t divisor;
    double p; /* Lp: at least 1; 0: 2 */
} soma_pool_nd_options;
SOMA_API soma_var soma_max_pool1d_opt(soma_var x, soma_pool_nd_options options);
SOMA_API soma_var soma_max_pool3d_opt(soma_var x, soma_pool_nd_options options);
SOMA_API soma_var soma_avg_pool1d_opt(soma_var x, soma_pool_nd_options options);
SOMA_API soma_var soma_avg_pool3d_opt(soma_var x, soma_pool_nd_options options);
SOMA_API soma_var soma_lp_pool1d_opt(soma_var x, soma_pool_nd_options options);
SOMA_API soma_var soma_lp_pool2d_opt(soma_var x, soma_pool_nd_options options);
SOMA_API soma_var soma_lp_pool3d_opt(soma_var x, soma_pool_nd_options options);
#define soma_max_pool1d(x_, ...) soma_max_pool1d_opt((x_), (soma_pool_nd_options){__VA_ARGS__})
#define soma_max_pool3d(x_, ...) soma_max_pool3d_opt((x_), (soma_pool_nd_options){__VA_ARGS__})
#define soma_avg_pool1d(x_, ...) soma_avg_pool1d_opt((x_), (soma_pool_nd_options){__VA_ARGS__})
#define soma_avg_pool3d(x_, ...) soma_avg_pool3d_opt((x_), (soma_pool_nd_options){__VA_ARGS__})
#define soma_lp_pool1d(x_, ...) soma_lp_pool1d_opt((x_), (soma_pool_nd_options){__VA_ARGS__})
#define soma_lp_pool2d(x_, ...) soma_lp_pool2d_opt((x_), (soma_pool_nd_options){__VA_ARGS__})
#define soma_lp_pool3d(x_, ...) soma_lp_pool3d_opt((x_), (soma_pool_nd_options){__VA_ARGS__})

/* x [N,…,C] with one to three image axes -> [N,size…,C]: along an axis of n cells window i of s
 * sees cells [i·n/s, ⌈(i+1)·n/s⌉) (PyTorch). `count` is the number of image axes. Composites. */
SOMA_API soma_var soma_adaptive_max_pool(soma_var x, const int64_t *size, int count);
SOMA_API soma_var soma_adaptive_avg_pool(soma_var x, const int64_t *size, int count);
/* x [N,…,C] -> [N,C] over all image axes. Composites; the gradient of max is shared by ties. */
SOMA_API soma_var soma_global_max_pool(soma_var x);
SOMA_API soma_var soma_global_avg_pool(soma_var x);
SOMA_API soma_var soma_global_lp_pool(soma_var x, double p);
/* x [N,H,W,C] -> i64 [N,Ho,Wo,C]: h·W + w of the cell that max_pool2d picks. No gradient.
 * Composite.
 */
SOMA_API soma_var soma_max_pool2d_indices_opt(soma_var x, soma_pool_options options);
#define soma_max_pool2d_indices(x_, ...)                                                           \
    soma_max_pool2d_indices_opt((x_), (soma_pool_options){__VA_ARGS__})
/* The way back: x and indices [N,h,w,C] -> [N,height,width,C], zeros but x at its indices; what
 * several windows send to one cell is averaged, so equal values stay what they are. Composite. */
SOMA_API soma_var soma_max_unpool2d(soma_var x, soma_var indices, int64_t height, int64_t width);

/* --- images in other sizes and places, N … C ---------------------------------------------------
 */
typedef enum soma_resize_mode {
    SOMA_RESIZE_NEAREST,
    SOMA_RESIZE_LINEAR,
    SOMA_RESIZE_CUBIC, /* Keys 1981 */
} soma_resize_mode;
/* Where cell y of the result lies in x, as ONNX' Resize has it. */
typedef enum soma_resize_coordinates {
    SOMA_COORD_HALF_PIXEL,           /* (y + 1/2) / scale - 1/2: PyTorch without align_corners */
    SOMA_COORD_PYTORCH_HALF_PIXEL,   /* the same, but 0 for a result of one cell */
    SOMA_COORD_ALIGN_CORNERS,        /* y (in - 1) / (out - 1) */
    SOMA_COORD_ASYMMETRIC,           /* y / scale: PyTorch's nearest, with SOMA_ROUND_FLOOR */
    SOMA_COORD_HALF_PIXEL_SYMMETRIC, /* half_pixel about the middle, where out is cut */
    SOMA_COORD_CROP, /* [start, end] of x, in shares of in - 1 (tf_crop_and_resize) */
} soma_resize_coordinates;
typedef enum soma_resize_rounding {
    SOMA_ROUND_PREFER_FLOOR, /* halves down */
    SOMA_ROUND_PREFER_CEIL,
    SOMA_ROUND_FLOOR,
    SOMA_ROUND_CEIL,
} soma_resize_rounding;
typedef struct soma_resize_options {
    int64_t size[3]; /* of each image axis; 0: ⌊in · scale⌋, with crop of its part */
    double scale[3]; /* 0: size / in, or 1 */
    soma_resize_mode mode;
    soma_resize_coordinates coordinates;
    soma_resize_rounding rounding; /* nearest */
    double cubic_a;                /* 0: -0.75 (Pillow, and PyTorch with antialias: -0.5) */
    bool exclude_outside; /* cells outside do not count, instead of being as the nearest inside */
    bool antialias;       /* linear, cubic: a smaller result averages over all of x (Pillow) */
    double start[3], end[3]; /* crop; end 0: 1 */
    double outside;          /* crop: the value of cells that lie outside of x */
} soma_resize_options;
/* x [N,…,C] with one to three image axes. Nearest takes every dtype, the others floats. Composite.
 */
SOMA_API soma_var soma_resize_opt(soma_var x, soma_resize_options options);
#define soma_resize(x_, ...) soma_resize_opt((x_), (soma_resize_options){__VA_ARGS__})
/* y[…, j, …] = Σ_k weight[j,k] x[…, index[j,k], …] along `axis`: x [A…,I,B…], index i32/i64 [J,K],
 * weight [J,K] -> [A…,J,B…]. An index out of range adds nothing. */
SOMA_API soma_var soma_resample(soma_var x, soma_var index, soma_var weight, int64_t axis);

typedef enum soma_sample_mode {
    SOMA_SAMPLE_BILINEAR,
    SOMA_SAMPLE_NEAREST, /* halves to even */
    SOMA_SAMPLE_BICUBIC, /* a = -0.75 */
} soma_sample_mode;
typedef enum soma_sample_outside {
    SOMA_OUTSIDE_ZEROS,
    SOMA_OUTSIDE_BORDER,     /* the nearest cell */
    SOMA_OUTSIDE_REFLECTION, /* mirrored at the edges; at the outer cells with align_corners */
} soma_sample_outside;
typedef struct soma_grid_sample_options {
    soma_sample_mode mode;
    soma_sample_outside outside;
    bool align_corners; /* -1 and 1 are the centres of the outer cells, not their edges */
} soma_grid_sample_options;
/* x [N,H,W,C], grid [N,Ho,Wo,2] of (across, down) in [-1,1] -> [N,Ho,Wo,C] (Jaderberg et al. 2015,
 * PyTorch). Composite; gradients of both. */
SOMA_API soma_var soma_grid_sample_opt(soma_var x, soma_var grid, soma_grid_sample_options options);
#define soma_grid_sample(x_, grid_, ...)                                                           \
    soma_grid_sample_opt((x_), (grid_), (soma_grid_sample_options){__VA_ARGS__})
/* theta [N,2,3] -> grid [N,height,width,2]: theta · (across, down, 1) of each cell. Composite. */
SOMA_API soma_var soma_affine_grid(soma_var theta, int64_t height, int64_t width,
                                   bool align_corners);

/* [N,H,W,C] -> [N,H·b,W·b,C/b²] and back. A pixel's channels are (row, column, channel) of its
 * block (TensorFlow, ONNX' DCR), or with `channels_first` (channel, row, column): CRD, PyTorch's
 * pixel_shuffle. Composites. */
SOMA_API soma_var soma_depth_to_space(soma_var x, int64_t block, bool channels_first);
SOMA_API soma_var soma_space_to_depth(soma_var x, int64_t block, bool channels_first);

typedef struct soma_unfold_options {
    int64_t size[2];     /* window; required */
    int64_t stride[2];   /* 0: 1 */
    int64_t dilation[2]; /* 0: 1 */
    int64_t pad[4];
    soma_padding padding; /* not for fold2d */
} soma_unfold_options;
/* x [N,H,W,C] -> [N,Ho,Wo,size·C]: the cells (row, column, channel) of each window, zeros outside
 * (im2col). fold2d is its transpose: back to [N,height,width,C], with shared cells added.
 * Composites.
 */
SOMA_API soma_var soma_unfold2d_opt(soma_var x, soma_unfold_options options);
SOMA_API soma_var soma_fold2d_opt(soma_var x, int64_t height, int64_t width,
                                  soma_unfold_options options);
#define soma_unfold2d(x_, ...) soma_unfold2d_opt((x_), (soma_unfold_options){__VA_ARGS__})
#define soma_fold2d(x_, height_, width_, ...)                                                      \
    soma_fold2d_opt((x_), (height_), (width_), (soma_unfold_options){__VA_ARGS__})

typedef struct soma_roi_options {
    int64_t size[2]; /* height, width of each result; required; size[1] 0: as size[0] */
    double scale;    /* cells of x to a unit of the boxes; 0: 1 */
    int64_t samples; /* roi_align: along each side of a bin; 0: as many as it has cells */
    bool aligned;    /* roi_align: boxes are measured from edges of cells (ONNX' half_pixel); else a
                        box has at least one cell (output_half_pixel) */
} soma_roi_options;
/* x [N,H,W,C], boxes [R,4] of (x1, y1, x2, y2) in f32 or f64, batch i32/i64 [R], the image of each
 * -> [R,h,w,C]: the part of the image under each box. align: means of places between cells (He et
 * al. 2017); max: the largest cell of each bin, 0 of an empty one (Girshick 2015). A box of no
 * image gives 0. No gradient of the boxes, as in torchvision. */
SOMA_API soma_var soma_roi_align_opt(soma_var x, soma_var boxes, soma_var batch,
                                     soma_roi_options options);
SOMA_API soma_var soma_roi_max_pool_opt(soma_var x, soma_var boxes, soma_var batch,
                                        soma_roi_options options);
#define soma_roi_align(x_, boxes_, batch_, ...)                                                    \
    soma_roi_align_opt((x_), (boxes_), (batch_), (soma_roi_options){__VA_ARGS__})
#define soma_roi_max_pool(x_, boxes_, batch_, ...)                                                 \
    soma_roi_max_pool_opt((x_), (boxes_), (batch_), (soma_roi_options){__VA_ARGS__})

/* --- normalisation (composites) ----------------------------------------------------------------
 */
/* (x - mean) / √(var + eps) · gamma + beta over the last axis (Ba et al. 2016); gamma, beta [C]. */
SOMA_API soma_var soma_layer_norm(soma_var x, soma_var gamma, soma_var beta, double eps);
/* (x - mean) / √(var + eps) · gamma + beta; all of mean, var, gamma, beta [C], C the last axis of x
 * (Ioffe & Szegedy 2015). In training mean and var are soma_mean/soma_variance of x over the other
 * axes, in evaluation the running ones. */
SOMA_API soma_var soma_batch_norm(soma_var x, soma_var mean, soma_var var, soma_var gamma,
                                  soma_var beta, double eps);

/* The same with the statistics of each sample over all cells and over each of `groups` runs of
 * channels (Wu & He 2018), or over the cells of each channel (Ulyanov et al. 2016): x [N,…,C],
 * gamma, beta [C]; groups divides C. */
SOMA_API soma_var soma_group_norm(soma_var x, soma_var gamma, soma_var beta, int64_t groups,
                                  double eps);
SOMA_API soma_var soma_instance_norm(soma_var x, soma_var gamma, soma_var beta, double eps);
/* x / √(mean(x²) + eps) · gamma over the last axis (Zhang & Sennrich 2019); gamma [C]. */
SOMA_API soma_var soma_rms_norm(soma_var x, soma_var gamma, double eps);
/* x / (k + alpha/size · Σ x²)^beta, the sum over channels [c - size/2, c + (size-1)/2] of those
 * that there are (Krizhevsky et al. 2012; PyTorch's window, for even sizes ONNX's is one
 * further on). x [N,…,C]. */
SOMA_API soma_var soma_local_response_norm(soma_var x, int64_t size, double alpha, double beta,
                                           double k);
/* Weights: g · v / ‖v‖ for each slice along axis 0 (Salimans & Kingma 2016); v [O,…], g [O,1,…]. */
SOMA_API soma_var soma_weight_norm(soma_var v, soma_var g);
/* w / (uᵀ W v), W = w as a matrix [O, rest], u [O] and v [rest] its first singular vectors as far
 * as they are known (Miyato et al. 2018). Stop their gradients to train as the paper does. */
SOMA_API soma_var soma_spectral_norm(soma_var w, soma_var u, soma_var v);

/* --- softmax ------------------------------------------------------------------------
 */
SOMA_API soma_var soma_softmax(soma_var x, int64_t axis);
SOMA_API soma_var soma_softmin(soma_var x, int64_t axis); /* softmax(-x) */
SOMA_API soma_var soma_log_softmax(soma_var x, int64_t axis);
/* Losses: loss.h. */

/* --- random ------------------------------------------------------------------------------------
 */
/* `key`: i64 [2] = {seed, step}, usually an input that each step feeds. `stream` tells draws of one
 * step apart. No gradient. */
SOMA_API soma_var soma_random_uniform(soma_var key, soma_shape shape,
                                      uint32_t stream); /* [0,1) f32 */
SOMA_API soma_var soma_random_normal(soma_var key, soma_shape shape,
                                     uint32_t stream); /* N(0,1) f32 */
SOMA_API soma_var soma_random_bernoulli(soma_var key, soma_shape shape, double p,
                                        uint32_t stream); /* bool, true with chance p */
/* x · mask / (1-p), mask true with chance 1-p (Srivastava et al. 2014). p in [0,1). */
SOMA_API soma_var soma_dropout(soma_var x, soma_var key, double p, uint32_t stream);
/* The same with one draw per feature map: x [N,…,C], mask [N,1…,C]. */
SOMA_API soma_var soma_spatial_dropout(soma_var x, soma_var key, double p, uint32_t stream);
/* The same with one draw per sample: whole branches of a residual network (Huang et al. 2016). */
SOMA_API soma_var soma_stochastic_depth(soma_var x, soma_var key, double p, uint32_t stream);
/* For networks of selu: what is dropped gets selu's lower limit, then all is moved so that mean and
 * variance stay (Klambauer et al. 2017). */
SOMA_API soma_var soma_alpha_dropout(soma_var x, soma_var key, double p, uint32_t stream);

#ifdef __cplusplus
}
#endif
#endif
