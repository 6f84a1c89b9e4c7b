/* reduce.c: ops that turn axes into one number each: sum, mean, product, extremes, variance. Those
 * that are put together from them are in summary.c. */
#include <string.h>

#include "ops/reduce.h"
#include "tensor/walk.h"

/* --- arguments ------------------------------------------------------------------------------- */

/* Turns the axes into the mask and gives the result's shape. A second pass over normalised
 * attributes changes nothing. */
soma_status soma__rule_reduce(soma__rule *rule)
{
    soma__reduce_attrs *attrs = rule->attrs;
    const soma_shape x = rule->in_shape[0];
    int64_t mask = attrs->mask;
    if (attrs->count < 0 || attrs->count > SOMA_MAX_DIMS)
        return soma__rule_fail(rule, SOMA_INVALID, "%lld axes; there can be 0 (all) to %d",
                               (long long)attrs->count, SOMA_MAX_DIMS);
    if (attrs->count == 0 && mask == 0)
        mask = (INT64_C(1) << x.ndim) - 1;
    for (int i = 0; i < attrs->count; i++) {
        int64_t axis = attrs->axes[i];
        SOMA__TRY(soma__rule_axis(rule, &axis, x.ndim));
        if (mask >> axis & 1)
            return soma__rule_fail(rule, SOMA_INVALID, "axis %lld is named twice", (long long)axis);
        mask |= INT64_C(1) << axis;
    }
    if (mask >> x.ndim)
        return soma__rule_fail(rule, SOMA_INVALID, "mask %llx names axes that x does not have",
                               (unsigned long long)mask);
    if (attrs->correction != 0 && rule->op != &soma__op_variance && rule->op != &soma__op_std)
        return soma__rule_fail(rule, SOMA_INVALID, "takes no correction: variance and std do");
    *attrs = (soma__reduce_attrs){
        .mask = mask, .keep_dims = attrs->keep_dims != 0, .correction = attrs->correction};
    rule->shape = soma__shape_reduced(x, mask);
    if (!attrs->keep_dims) {
        soma_shape kept = {0};
        for (int d = 0; d < x.ndim; d++)
            if (!(mask >> d & 1))
                kept.dim[kept.ndim++] = x.dim[d];
        rule->shape = kept;
    }
    return SOMA_OK;
}

soma_status soma__rule_reduce_float(soma__rule *rule)
{
    SOMA__TRY(soma__rule_float(rule, 0));
    return soma__rule_reduce(rule);
}

static soma_status rule_number(soma__rule *rule)
{
    if (rule->in_dtype[0] == SOMA_BOOL)
        return soma__rule_fail(rule, SOMA_DTYPE,
                               "takes numbers, not bool: convert with soma_cast first");
    return soma__rule_reduce(rule);
}

/* max and min: there is no largest of no numbers. */
static soma_status rule_extreme(soma__rule *rule)
{
    SOMA__TRY(rule_number(rule));
    const soma__reduce_attrs *attrs = rule->attrs;
    for (int d = 0; d < rule->in_shape[0].ndim; d++)
        if ((attrs->mask >> d & 1) && rule->in_shape[0].dim[d] == 0) {
            char text[SOMA_SHAPE_TEXT_SIZE];
            return soma__rule_fail(rule, SOMA_SHAPE, "x is %s: an empty axis %d has no %simum",
                                   soma_shape_text(&rule->in_shape[0], text, sizeof(text)), d,
                                   rule->op->name);
        }
    return SOMA_OK;
}

static soma_status rule_argmax(soma__rule *rule)
{
    soma__axis_attrs *attrs = rule->attrs;
    const soma_shape x = rule->in_shape[0];
    if (rule->in_dtype[0] == SOMA_BOOL)
        return soma__rule_fail(rule, SOMA_DTYPE, "takes numbers, not bool");
    SOMA__TRY(soma__rule_axis(rule, &attrs->axis, x.ndim));
    if (x.dim[attrs->axis] == 0)
        return soma__rule_fail(rule, SOMA_SHAPE, "axis %lld is empty: it has no %simum",
                               (long long)attrs->axis, rule->op->name + 3);
    soma_shape kept = {0};
    for (int d = 0; d < x.ndim; d++)
        if (d != attrs->axis)
            kept.dim[kept.ndim++] = x.dim[d];
    rule->shape = kept;
    rule->dtype = SOMA_I64;
    return SOMA_OK;
}

/* --- reference kernels ----------------------------------------------------------------------- */

/* The visit of x cell by cell of the result: `outer` stands at the first x element of each result
 * cell, `inner` goes over the reduced axes from there. */
typedef struct reduction {
    soma__walk outer, inner;
    int64_t cells; /* reduced ones, for each result cell */
} reduction;

static void reduction_start(reduction *r, const soma_shape *x, int64_t mask)
{
    const int64_t every = (INT64_C(1) << x->ndim) - 1;
    const soma_shape kept = soma__shape_reduced(*x, mask);
    const soma_shape reduced = soma__shape_reduced(*x, every & ~mask);
    int64_t stride[SOMA_MAX_DIMS];
    soma__shape_strides(x, stride);
    soma__walk_start(&r->outer, &kept);
    soma__walk_strides(&r->outer, stride, 0);
    soma__walk_start(&r->inner, &reduced);
    soma__walk_strides(&r->inner, stride, 0);
    r->cells = 1;
    for (int d = 0; d < reduced.ndim; d++)
        r->cells *= reduced.dim[d];
}

static int64_t integer_at(const soma__view *x, int64_t i)
{
    return x->dtype == SOMA_I64 ? ((const int64_t *)x->data)[i]
                                : (int64_t)soma__load(x->dtype, x->data, i);
}

/* i64 has values that a double does not. A sum that leaves its dtype wraps around, as elementwise
 * arithmetic does. */
static void store_wrapped(const soma__view *y, int64_t i, int64_t value)
{
    switch (y->dtype) {
    case SOMA_I64:
        ((int64_t *)y->data)[i] = value;
        break;
    case SOMA_I32:
        ((int32_t *)y->data)[i] = (int32_t)(uint32_t)(uint64_t)value;
        break;
    case SOMA_I8:
        ((int8_t *)y->data)[i] = (int8_t)(uint8_t)(uint64_t)value;
        break;
    default:
        ((uint8_t *)y->data)[i] = (uint8_t)(uint64_t)value;
        break;
    }
}

static void reference_sum(const soma__call *call)
{
    const soma__reduce_attrs *attrs = call->attrs;
    const soma__view *x = &call->in[0], *y = &call->out[0];
    reduction r;
    reduction_start(&r, &x->shape, attrs->mask);
    for (int64_t o = 0; o < y->count; o++, soma__walk_next(&r.outer)) {
        double sum = 0;
        uint64_t whole = 0;
        for (int64_t i = 0; i < r.cells; i++, soma__walk_next(&r.inner)) {
            int64_t at = r.outer.at[0] + r.inner.at[0];
            if (soma_dtype_is_float(x->dtype))
                sum += soma__load(x->dtype, x->data, at);
            else
                whole += (uint64_t)integer_at(x, at);
        }
        if (soma_dtype_is_float(x->dtype))
            soma__store(y->dtype, y->data, o, sum);
        else
            store_wrapped(y, o, (int64_t)whole);
    }
}

static void reference_prod(const soma__call *call)
{
    const soma__reduce_attrs *attrs = call->attrs;
    const soma__view *x = &call->in[0], *y = &call->out[0];
    reduction r;
    reduction_start(&r, &x->shape, attrs->mask);
    for (int64_t o = 0; o < y->count; o++, soma__walk_next(&r.outer)) {
        double product = 1;
        uint64_t whole = 1;
        for (int64_t i = 0; i < r.cells; i++, soma__walk_next(&r.inner)) {
            int64_t at = r.outer.at[0] + r.inner.at[0];
            if (soma_dtype_is_float(x->dtype))
                product *= soma__load(x->dtype, x->data, at);
            else
                whole *= (uint64_t)integer_at(x, at);
        }
        if (soma_dtype_is_float(x->dtype))
            soma__store(y->dtype, y->data, o, product);
        else
            store_wrapped(y, o, (int64_t)whole);
    }
}

/* The mean of nothing is 0/0, NaN. */
static void reference_mean(const soma__call *call)
{
    const soma__reduce_attrs *attrs = call->attrs;
    const soma__view *x = &call->in[0], *y = &call->out[0];
    reduction r;
    reduction_start(&r, &x->shape, attrs->mask);
    for (int64_t o = 0; o < y->count; o++, soma__walk_next(&r.outer)) {
        double sum = 0;
        for (int64_t i = 0; i < r.cells; i++, soma__walk_next(&r.inner))
            sum += soma__load(x->dtype, x->data, r.outer.at[0] + r.inner.at[0]);
        soma__store(y->dtype, y->data, o, sum / (double)r.cells);
    }
}

/* Of too few cells nothing can be said: 0/0, NaN. */
static void reference_variance(const soma__call *call)
{
    const soma__reduce_attrs *attrs = call->attrs;
    const soma__view *x = &call->in[0], *y = &call->out[0];
    reduction r;
    reduction_start(&r, &x->shape, attrs->mask);
    const double divisor = fmax(0, (double)r.cells - attrs->correction);
    for (int64_t o = 0; o < y->count; o++, soma__walk_next(&r.outer)) {
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < r.cells; i++, soma__walk_next(&r.inner))
            sum += soma__load(x->dtype, x->data, r.outer.at[0] + r.inner.at[0]);
        const double mean = sum / (double)r.cells;
        for (int64_t i = 0; i < r.cells; i++, soma__walk_next(&r.inner)) {
            double away = soma__load(x->dtype, x->data, r.outer.at[0] + r.inner.at[0]) - mean;
            squares += away * away;
        }
        soma__store(y->dtype, y->data, o, squares / divisor);
    }
}

/* Whether x[i] goes before x[best]: it is larger (smaller), or the first NaN, which beats any
 * number so that it cannot get lost. */
static bool beats(const soma__view *x, int64_t i, int64_t best, bool largest)
{
    if (x->dtype == SOMA_I64) {
        const int64_t *v = x->data;
        return largest ? v[i] > v[best] : v[i] < v[best];
    }
    double a = soma__load(x->dtype, x->data, i), b = soma__load(x->dtype, x->data, best);
    if (isnan(b))
        return false;
    return isnan(a) || (largest ? a > b : a < b);
}

static void extreme(const soma__call *call, bool largest)
{
    const soma__reduce_attrs *attrs = call->attrs;
    const soma__view *x = &call->in[0], *y = &call->out[0];
    const size_t size = soma_dtype_size(x->dtype);
    reduction r;
    reduction_start(&r, &x->shape, attrs->mask);
    for (int64_t o = 0; o < y->count; o++, soma__walk_next(&r.outer)) {
        int64_t best = r.outer.at[0];
        for (int64_t i = 0; i < r.cells; i++, soma__walk_next(&r.inner))
            if (beats(x, r.outer.at[0] + r.inner.at[0], best, largest))
                best = r.outer.at[0] + r.inner.at[0];
        memcpy((char *)y->data + (size_t)o * size, (const char *)x->data + (size_t)best * size,
               size);
    }
}

static void reference_max(const soma__call *call)
{
    extreme(call, true);
}
static void reference_min(const soma__call *call)
{
    extreme(call, false);
}

static void arg_extreme(const soma__call *call, bool largest)
{
    const soma__axis_attrs *attrs = call->attrs;
    const soma__view *x = &call->in[0], *y = &call->out[0];
    reduction r;
    reduction_start(&r, &x->shape, INT64_C(1) << attrs->axis);
    for (int64_t o = 0; o < y->count; o++, soma__walk_next(&r.outer)) {
        int64_t best = r.outer.at[0], index = 0;
        for (int64_t i = 0; i < r.cells; i++, soma__walk_next(&r.inner))
            if (beats(x, r.outer.at[0] + r.inner.at[0], best, largest)) {
                best = r.outer.at[0] + r.inner.at[0];
                index = i;
            }
        ((int64_t *)y->data)[o] = index;
    }
}

static void reference_argmax(const soma__call *call)
{
    arg_extreme(call, true);
}
static void reference_argmin(const soma__call *call)
{
    arg_extreme(call, false);
}

static double flops_input(const soma__call *call)
{
    return (double)call->in[0].count;
}
static double flops_variance(const soma__call *call)
{
    return 4 * (double)call->in[0].count;
}

/* --- gradients ------------------------------------------------------------------------------- */

/* `y` (the result or its gradient) with the reduced axes back as 1, so that it broadcasts to x.
 * Axes in front are not needed for that, and without them y stays the node that others use. */
static soma_var with_axes(soma_var y, const soma_shape *x, int64_t mask)
{
    const int front = soma_var_ok(y) ? x->ndim - soma_var_shape(y).ndim : 0;
    if (front > 0 && mask == (INT64_C(1) << front) - 1)
        return y;
    return soma_reshape(y, soma__shape_reduced(*x, mask));
}

static void grad_sum(soma__grad *g)
{
    const soma__reduce_attrs *attrs = g->attrs;
    soma_shape x = soma_var_shape(g->in[0]);
    g->din[0] = soma_expand(with_axes(g->dout, &x, attrs->mask), x);
}

static void grad_mean(soma__grad *g)
{
    const soma__reduce_attrs *attrs = g->attrs;
    soma_shape x = soma_var_shape(g->in[0]);
    const double cells = soma__reduced_cells(g->in[0], attrs->mask);
    /* With no cells there is nothing to pass a gradient to. */
    soma_var share = soma_mul_scalar(g->dout, cells > 0 ? 1 / cells : 0);
    g->din[0] = soma_expand(with_axes(share, &x, attrs->mask), x);
}

/* The deviations add up to 0, so that the mean's own dependence on x has no share. */
static void grad_variance(soma__grad *g)
{
    soma__reduce_attrs attrs = *(const soma__reduce_attrs *)g->attrs;
    soma_shape x = soma_var_shape(g->in[0]);
    const double divisor = soma__reduced_cells(g->in[0], attrs.mask) - attrs.correction;
    soma_var share = soma_mul_scalar(g->dout, divisor > 0 ? 2 / divisor : INFINITY);
    attrs.correction = 0;
    soma_var mean = soma__graph_add(g->graph, &soma__op_mean, g->in, 1, &attrs);
    g->din[0] = soma_mul(soma_sub(g->in[0], with_axes(mean, &x, attrs.mask)),
                         with_axes(share, &x, attrs.mask));
}

/* Cells that equal the extreme share the gradient. */
static void grad_extreme(soma__grad *g)
{
    const soma__reduce_attrs *attrs = g->attrs;
    soma_shape x = soma_var_shape(g->in[0]);
    soma_var y = with_axes(g->out, &x, attrs->mask);
    soma_var chosen = soma_cast(soma_equal(g->in[0], y), soma_var_dtype(g->dout));
    soma_reduce_options all = {.keep_dims = true};
    for (int d = 0; d < x.ndim; d++)
        if (attrs->mask >> d & 1)
            all.axes[all.count++] = d;
    if (all.count > 0) /* else no axis is reduced (a scalar), and nothing is shared */
        chosen = soma_div(chosen, soma_sum_opt(chosen, all));
    g->din[0] = soma_mul(chosen, with_axes(g->dout, &x, attrs->mask));
}

/* The axes in `mask` behind the others and made one: [kept…, cells]. `order` receives how x's axes
 * are lined up before. */
static soma_var axes_last(soma_var x, int64_t mask, int64_t order[SOMA_MAX_DIMS])
{
    const soma_shape shape = soma_var_shape(x);
    soma_shape merged = {0};
    int64_t cells = 1;
    int at = 0;
    for (int d = 0; d < shape.ndim; d++)
        if (!(mask >> d & 1)) {
            order[at++] = d;
            merged.dim[merged.ndim++] = shape.dim[d];
        }
    for (int d = 0; d < shape.ndim; d++)
        if (mask >> d & 1) {
            order[at++] = d;
            cells *= shape.dim[d];
        }
    if (merged.ndim < SOMA_MAX_DIMS)
        merged.dim[merged.ndim++] = cells;
    return soma_reshape(soma_permute(x, order, shape.ndim), merged);
}

/* Each cell's slope is the product of all others: of those before it and those behind. There is no
 * division, so zeros do no harm. */
static void grad_prod(soma__grad *g)
{
    const soma__reduce_attrs *attrs = g->attrs;
    const soma_shape x = soma_var_shape(g->in[0]);
    int64_t order[SOMA_MAX_DIMS], back[SOMA_MAX_DIMS] = {0};
    soma_var dy = with_axes(g->dout, &x, attrs->mask);
    if (attrs->mask == 0) { /* a product of one cell each */
        g->din[0] = dy;
        return;
    }
    soma_var row = axes_last(g->in[0], attrs->mask, order);
    const int64_t last = soma_var_shape(row).ndim - 1;
    soma_var others = soma_mul(soma_cumprod(row, last, .exclusive = true),
                               soma_cumprod(row, last, .exclusive = true, .reverse = true));
    soma_shape lined = {.ndim = x.ndim};
    for (int i = 0; i < x.ndim; i++) {
        lined.dim[i] = x.dim[order[i]];
        back[order[i]] = i;
    }
    g->din[0] = soma_mul(soma_permute(soma_reshape(others, lined), back, x.ndim), dy);
}

/* --- descriptors and builders ---------------------------------------------------------------- */

const soma__attr soma__reduce_attr_list[] = {
    {"mask", SOMA__ATTR_INT, offsetof(soma__reduce_attrs, mask), 1, "bit i: axis i is reduced"},
    {"keep_dims", SOMA__ATTR_BOOL, offsetof(soma__reduce_attrs, keep_dims), 1,
     "reduced axes stay with size 1"},
    {"correction", SOMA__ATTR_FLOAT, offsetof(soma__reduce_attrs, correction), 1,
     "taken off the divisor of variance and std"},
    {0}};

soma__reduce_attrs soma__reduce_options(const soma_reduce_options *options)
{
    soma__reduce_attrs attrs = {.keep_dims = options->keep_dims,
                                .count = options->count,
                                .correction = options->correction};
    for (int i = 0; i < options->count && i < SOMA_MAX_DIMS; i++)
        attrs.axes[i] = options->axes[i];
    return attrs;
}

double soma__reduced_cells(soma_var x, int64_t mask)
{
    const soma_shape shape = soma_var_shape(x);
    double cells = 1;
    for (int d = 0; d < shape.ndim; d++)
        if (mask >> d & 1)
            cells *= (double)shape.dim[d];
    return cells;
}

#define REDUCE(name_, builder_, doc_, ...) SOMA__REDUCE(reduce, name_, builder_, doc_, __VA_ARGS__)

REDUCE(sum, soma_sum_opt, "sum over axes", .fold = SOMA__FOLD_SUM, .rule = rule_number,
       .gradient = grad_sum, .reference = reference_sum, .flops = flops_input)
REDUCE(mean, soma_mean_opt, "arithmetic mean over axes", .fold = SOMA__FOLD_MEAN,
       .rule = soma__rule_reduce_float, .gradient = grad_mean, .reference = reference_mean,
       .flops = flops_input)
REDUCE(max, soma_max_opt, "largest value over axes; NaN if there is one", .fold = SOMA__FOLD_MAX,
       .rule = rule_extreme, .gradient = grad_extreme, .reference = reference_max,
       .flops = flops_input)
REDUCE(min, soma_min_opt, "smallest value over axes; NaN if there is one", .fold = SOMA__FOLD_MIN,
       .rule = rule_extreme, .gradient = grad_extreme, .reference = reference_min,
       .flops = flops_input)
REDUCE(prod, soma_prod_opt, "product over axes", .rule = rule_number, .gradient = grad_prod,
       .reference = reference_prod, .flops = flops_input)
REDUCE(variance, soma_var_opt, "mean((x - mean(x))^2) over axes", .fold = SOMA__FOLD_VARIANCE,
       .rule = soma__rule_reduce_float, .gradient = grad_variance, .reference = reference_variance,
       .flops = flops_variance)

#define ARG(name_, doc_)                                                                           \
    const soma__op soma__op_##name_ = {                                                            \
        .name = #name_,                                                                            \
        .family = "reduce",                                                                        \
        .doc = doc_,                                                                               \
        .inputs = "x",                                                                             \
        .min_inputs = 1,                                                                           \
        .max_inputs = 1,                                                                           \
        .attr_size = sizeof(soma__axis_attrs),                                                     \
        .attrs =                                                                                   \
            (const soma__attr[]){                                                                  \
                {"axis", SOMA__ATTR_INT, offsetof(soma__axis_attrs, axis), 1, "removed"}, {0}},    \
        .rule = rule_argmax,                                                                       \
        .gradient = soma__grad_none,                                                               \
        .reference = reference_##name_,                                                            \
        .flops = flops_input,                                                                      \
    };                                                                                             \
    soma_var soma_##name_(soma_var x, int64_t axis)                                                \
    {                                                                                              \
        const soma__axis_attrs attrs = {axis};                                                     \
        return soma__graph_add(x.graph, &soma__op_##name_, &x, 1, &attrs);                         \
    }                                                                                              \
    soma_var soma_##name_##_opt(soma_var x, soma_reduce_options options)                           \
    {                                                                                              \
        return arg_over(x, &options, &soma__op_##name_, soma_##name_);                             \
    }

/* The index along one axis that all named ones become. */
static soma_var arg_over(soma_var x, const soma_reduce_options *options, const soma__op *op,
                         soma_var (*arg)(soma_var x, int64_t axis))
{
    if (!soma_var_ok(x))
        return soma__failed(x);
    int64_t order[SOMA_MAX_DIMS];
    soma__reduce_attrs attrs = soma__reduce_options(options);
    soma_error err = {0};
    soma_shape shape = soma_var_shape(x);
    soma_dtype dtype = soma_var_dtype(x);
    soma__rule rule = {.op = op,
                       .name = "",
                       .nin = 1,
                       .in_dtype = &dtype,
                       .in_shape = &shape,
                       .attrs = &attrs,
                       .err = &err};
    if (soma__rule_reduce(&rule) != SOMA_OK) {
        soma_graph_fail(x.graph, err.code, "%s", err.message);
        return soma__failed(x);
    }
    soma_var row = attrs.mask ? axes_last(x, attrs.mask, order) : soma_reshape(x, SOMA_SHAPE(1));
    return soma_reshape(arg(row, -1), rule.shape);
}

ARG(argmax, "index of the first largest value along an axis; the first NaN counts as largest")
ARG(argmin, "index of the first smallest value along an axis; the first NaN counts as smallest")

/* Whether `x` is the same in all cells that a sum over `axes` of a product of `shape` adds up. */
static bool same_in_all(soma_var x, const soma_shape *shape, const soma_reduce_options *axes)
{
    const soma_shape own = soma_var_shape(x);
    for (int i = 0; i < axes->count; i++) {
        int64_t d = axes->axes[i] - (shape->ndim - own.ndim);
        if (d >= 0 && own.dim[d] != 1)
            return false;
    }
    return true;
}

/* Sums with the reduced axes kept. What is the same in all cells is taken out of the sum, and a
 * sign: Σ(-a·c) = -c·Σa. Normalisation asks for the sums of a gradient with and without such a
 * factor, and then one pass serves both. */
static soma_var sum_of_factors(soma_var x, const soma_reduce_options *axes)
{
    const soma__node *node = soma__node_of(x);
    const soma_shape shape = soma_var_shape(x);
    if (node->op == &soma__op_neg)
        return soma_neg(sum_of_factors((soma_var){x.graph, node->in[0]}, axes));
    if (node->op == &soma__op_mul && soma_dtype_is_float(node->dtype))
        for (int k = 0; k < 2; k++) {
            soma_var factor = {x.graph, node->in[k]}, rest = {x.graph, node->in[!k]};
            soma_shape all = soma_var_shape(rest);
            if (soma_shape_equal(&all, &shape) && same_in_all(factor, &shape, axes))
                return soma_mul(sum_of_factors(rest, axes), factor);
        }
    return soma_sum_opt(x, *axes);
}

/* Broadcasting adds axes in front and stretches axes of size 1. */
soma_var soma__sum_to(soma_var x, const soma_shape *shape)
{
    if (!soma_var_ok(x))
        return soma__failed(x);
    const soma_shape from = soma_var_shape(x);
    if (soma_shape_equal(&from, shape))
        return x;
    const int added = from.ndim - shape->ndim;
    soma_reduce_options axes = {.keep_dims = true};
    for (int d = 0; d < from.ndim; d++)
        if (d < added || (shape->dim[d - added] == 1 && from.dim[d] != 1))
            axes.axes[axes.count++] = d;
    return soma_reshape(axes.count > 0 ? sum_of_factors(x, &axes) : x, *shape);
}
