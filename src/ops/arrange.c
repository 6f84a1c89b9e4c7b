/* arrange.c: ops that lay cells out anew: steps through slices, borders, flips, rolls, repetitions,
 * diagonals and triangles.
 *
 * slice_steps and place are each other's gradient, and with them flips and diagonals need no kernel
 * of their own: the diagonal of a matrix with N columns is every (N+1)th cell of its row of cells.
 */
#include <string.h>

#include "ops/border.h"
#include "ops/ops.h"
#include "tensor/walk.h"

static void copy_cell(const soma__view *y, int64_t to, const soma__view *x, int64_t from)
{
    const size_t size = soma_dtype_size(x->dtype);
    memcpy((char *)y->data + (size_t)to * size, (const char *)x->data + (size_t)from * size, size);
}

/* Checks a list of axes, makes them positive and wants each only once. */
static soma_status rule_axes(soma__rule *rule, int64_t *axes, int64_t count)
{
    const int ndim = rule->in_shape[0].ndim;
    unsigned seen = 0;
    if (count < 0 || count > ndim)
        return soma__rule_fail(rule, SOMA_SHAPE, "%lld axes for %d dimensions", (long long)count,
                               ndim);
    for (int64_t i = 0; i < count; i++) {
        SOMA__TRY(soma__rule_axis(rule, &axes[i], ndim));
        if (seen >> axes[i] & 1)
            return soma__rule_fail(rule, SOMA_INVALID, "axis %lld is named twice",
                                   (long long)axes[i]);
        seen |= 1u << axes[i];
    }
    return SOMA_OK;
}

/* --- slice_steps -------------------------------------------------------------------------------
 */

/* A position that may count from the end, cut to [low, high]. */
static int64_t cut(int64_t position, int64_t size, int64_t low, int64_t high)
{
    if (position < 0)
        position = position < -size ? -1 : position + size;
    return position < low ? low : position > high ? high : position;
}

/* Where start:end:step begins in `size` cells, and how many cells it visits: ONNX' Slice, which is
 * NumPy's with numbers in the place of None. */
static int64_t visit(int64_t size, int64_t *start, int64_t end, int64_t step)
{
    int64_t span;
    *start = cut(*start, size, 0, step > 0 ? size : size - 1);
    if (step > 0)
        span = cut(end, size, 0, size) - *start;
    else
        span = *start - cut(end, size, -1, size - 1);
    if (size == 0 || span <= 0) {
        *start = 0;
        return 0;
    }
    /* In unsigned numbers, where -INT64_MIN exists. */
    const uint64_t stride = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    // cppcheck-suppress zerodivcond; rules refuse a step of 0
    return (int64_t)(((uint64_t)span - 1) / stride) + 1;
}

static soma_status rule_slice_steps(soma__rule *rule)
{
    soma__slice_steps_attrs *attrs = rule->attrs, full = {0};
    const soma_shape x = rule->in_shape[0];
    if (attrs->count == SOMA__SLICE_RESOLVED) {
        memcpy(rule->shape.dim, attrs->size, sizeof(attrs->size));
        return SOMA_OK;
    }
    SOMA__TRY(rule_axes(rule, attrs->axes, attrs->count));
    for (int d = 0; d < x.ndim; d++) {
        full.step[d] = 1;
        full.size[d] = x.dim[d];
    }
    for (int64_t i = 0; i < attrs->count; i++) {
        const int64_t d = attrs->axes[i];
        if (attrs->step[i] == 0)
            return soma__rule_fail(rule, SOMA_INVALID, "the step of axis %lld is 0", (long long)d);
        full.start[d] = attrs->start[i];
        full.size[d] = visit(x.dim[d], &full.start[d], attrs->end[i], attrs->step[i]);
        full.step[d] = full.size[d] > 1 ? attrs->step[i] : 1;
    }
    full.count = SOMA__SLICE_RESOLVED;
    *attrs = full;
    memcpy(rule->shape.dim, full.size, sizeof(full.size));
    return SOMA_OK;
}

static void grad_slice_steps(soma__grad *g)
{
    const soma__slice_steps_attrs *attrs = g->attrs;
    g->din[0] = soma_place(g->dout, soma_var_shape(g->in[0]), attrs->start, attrs->step);
}

/* The first of the cells, and the distances between them, in a contiguous array of `shape`. */
static int64_t stepped(const soma_shape *shape, const int64_t *start, const int64_t *step,
                       int64_t *stride)
{
    int64_t first = 0;
    soma__shape_strides(shape, stride);
    for (int d = 0; d < shape->ndim; d++) {
        first += start[d] * stride[d];
        stride[d] *= step[d];
    }
    return first;
}

static void reference_slice_steps(const soma__call *call)
{
    const soma__slice_steps_attrs *attrs = call->attrs;
    const soma__view *x = &call->in[0], *y = &call->out[0];
    int64_t stride[SOMA_MAX_DIMS];
    soma__walk walk;
    const int64_t first = stepped(&x->shape, attrs->start, attrs->step, stride);
    soma__walk_start(&walk, &y->shape);
    soma__walk_strides(&walk, stride, first);
    for (int64_t i = 0; i < y->count; i++, soma__walk_next(&walk))
        copy_cell(y, i, x, walk.at[0]);
}

const soma__op soma__op_slice_steps = {
    .name = "slice_steps",
    .family = "arrange",
    .doc = "x[start:end:step] along several axes; steps may be negative",
    .inputs = "x",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__slice_steps_attrs),
    .attrs =
        (const soma__attr[]){{"start", SOMA__ATTR_INT, offsetof(soma__slice_steps_attrs, start),
                              SOMA_MAX_DIMS, "first cell of each dim"},
                             {"step", SOMA__ATTR_INT, offsetof(soma__slice_steps_attrs, step),
                              SOMA_MAX_DIMS, "from one cell to the next"},
                             {"size", SOMA__ATTR_INT, offsetof(soma__slice_steps_attrs, size),
                              SOMA_MAX_DIMS, "cells of each dim"},
                             {0}},
    .rule = rule_slice_steps,
    .gradient = grad_slice_steps,
    .reference = reference_slice_steps,
    .flops = soma__flops_none,
};

soma_var soma_slice_steps(soma_var x, const int64_t *axes, const int64_t *start, const int64_t *end,
                          const int64_t *step, int count)
{
    soma__slice_steps_attrs attrs = {.count = count < 0 ? INT64_MIN : count};
    for (int i = 0; i < count && i < SOMA_MAX_DIMS; i++) {
        attrs.axes[i] = axes ? axes[i] : i;
        attrs.start[i] = start[i];
        attrs.end[i] = end[i];
        attrs.step[i] = step ? step[i] : 1;
    }
    return soma__graph_add(x.graph, &soma__op_slice_steps, &x, 1, &attrs);
}

/* --- place ------------------------------------------------------------------------------------*/

static soma_status rule_place(soma__rule *rule)
{
    const soma__place_attrs *attrs = rule->attrs;
    const soma_shape x = rule->in_shape[0];
    if (attrs->ndim != x.ndim)
        return soma__rule_fail(rule, SOMA_SHAPE, "x has %d dimensions, the result %lld", x.ndim,
                               (long long)attrs->ndim);
    for (int d = 0; d < x.ndim; d++) {
        const int64_t size = attrs->dim[d], start = attrs->start[d], step = attrs->step[d];
        int64_t last;
        if (size < 0)
            return soma__rule_fail(rule, SOMA_INVALID, "size %lld is negative", (long long)size);
        if (step == 0)
            return soma__rule_fail(rule, SOMA_INVALID, "the step of axis %d is 0", d);
        if (x.dim[d] == 0)
            continue;
        if (step == INT64_MIN || !soma__mul64(x.dim[d] - 1, step > 0 ? step : -step, &last) ||
            start < 0 || start >= size || (step > 0 ? last >= size - start : last > start))
            return soma__rule_fail(
                rule, SOMA_SHAPE, "axis %d: %lld cells from %lld on by %lld do not fit into %lld",
                d, (long long)x.dim[d], (long long)start, (long long)step, (long long)size);
    }
    memcpy(rule->shape.dim, attrs->dim, sizeof(attrs->dim));
    return SOMA_OK;
}

static void grad_place(soma__grad *g)
{
    const soma__place_attrs *attrs = g->attrs;
    const soma_shape x = soma_var_shape(g->in[0]);
    int64_t start[SOMA_MAX_DIMS], end[SOMA_MAX_DIMS];
    for (int d = 0; d < x.ndim; d++) {
        start[d] = end[d] = 0;
        if (x.dim[d] == 0)
            continue;
        const int64_t last = attrs->start[d] + (x.dim[d] - 1) * attrs->step[d];
        start[d] = attrs->start[d];
        if (attrs->step[d] > 0)
            end[d] = last + 1;
        else /* an end of -1 would count from the end */
            end[d] = last > 0 ? last - 1 : INT64_MIN;
    }
    g->din[0] = soma_slice_steps(g->dout, NULL, start, end, attrs->step, x.ndim);
}

static void reference_place(const soma__call *call)
{
    const soma__place_attrs *attrs = call->attrs;
    const soma__view *x = &call->in[0], *y = &call->out[0];
    int64_t stride[SOMA_MAX_DIMS];
    soma__walk walk;
    if (y->count > 0)
        memset(y->data, 0, (size_t)y->count * soma_dtype_size(y->dtype));
    int64_t first = stepped(&y->shape, attrs->start, attrs->step, stride);
    soma__walk_start(&walk, &x->shape);
    soma__walk_strides(&walk, stride, first);
    for (int64_t i = 0; i < x->count; i++, soma__walk_next(&walk))
        copy_cell(y, walk.at[0], x, i);
}

const soma__op soma__op_place = {
    .name = "place",
    .family = "arrange",
    .doc = "y = zeros of a shape; y[start + i step] = x[i] along each axis",
    .inputs = "x",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__place_attrs),
    .attrs = (const soma__attr[]){{"ndim", SOMA__ATTR_INT, offsetof(soma__place_attrs, ndim), 1,
                                   "of the result"},
                                  {"dim", SOMA__ATTR_INT, offsetof(soma__place_attrs, dim),
                                   SOMA_MAX_DIMS, "of the result"},
                                  {"start", SOMA__ATTR_INT, offsetof(soma__place_attrs, start),
                                   SOMA_MAX_DIMS, "where x's first cell goes"},
                                  {"step", SOMA__ATTR_INT, offsetof(soma__place_attrs, step),
                                   SOMA_MAX_DIMS, "from one cell to the next"},
                                  {0}},
    .rule = rule_place,
    .gradient = grad_place,
    .reference = reference_place,
    .flops = soma__flops_none,
};

soma_var soma_place(soma_var x, soma_shape shape, const int64_t *start, const int64_t *step)
{
    soma__place_attrs attrs = {.ndim = shape.ndim};
    for (int d = 0; d < shape.ndim && d < SOMA_MAX_DIMS; d++) {
        attrs.dim[d] = shape.dim[d];
        attrs.start[d] = start ? start[d] : 0;
        attrs.step[d] = step ? step[d] : 1;
    }
    return soma__graph_add(x.graph, &soma__op_place, &x, 1, &attrs);
}

/* --- flip, roll --------------------------------------------------------------------------------
 */

static const soma__attr axes_attr_list[] = {
    {"count", SOMA__ATTR_INT, offsetof(soma__axes_attrs, count), 1, "of axes; flip: 0 means all"},
    {"axes", SOMA__ATTR_INT, offsetof(soma__axes_attrs, axes), SOMA_MAX_DIMS, "which"},
    {"by", SOMA__ATTR_INT, offsetof(soma__axes_attrs, by), SOMA_MAX_DIMS,
     "roll: cells to move along each"},
    {0}};

static soma_status rule_axes_list(soma__rule *rule)
{
    soma__axes_attrs *attrs = rule->attrs;
    return rule_axes(rule, attrs->axes, attrs->count);
}

static soma_var decompose_flip(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    const soma__axes_attrs *a = attrs;
    const int ndim = soma_var_shape(in[0]).ndim;
    int64_t start[SOMA_MAX_DIMS], end[SOMA_MAX_DIMS], step[SOMA_MAX_DIMS];
    (void)graph, (void)nin;
    for (int d = 0; d < SOMA_MAX_DIMS; d++) {
        start[d] = -1;
        end[d] = INT64_MIN;
        step[d] = -1;
    }
    return soma_slice_steps(in[0], a->count ? a->axes : NULL, start, end, step,
                            a->count ? (int)a->count : ndim);
}

static soma_var decompose_roll(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    const soma__axes_attrs *a = attrs;
    soma_var x = in[0];
    (void)graph, (void)nin;
    for (int64_t i = 0; i < a->count; i++) {
        const int64_t axis = a->axes[i], size = soma_var_shape(x).dim[axis];
        int64_t by = size > 0 ? a->by[i] % size : 0;
        by += by < 0 ? size : 0;
        if (by > 0) {
            soma_var parts[2] = {soma_slice(x, axis, size - by, size),
                                 soma_slice(x, axis, 0, size - by)};
            x = soma_concat(parts, 2, axis);
        }
    }
    return x;
}

#define AXES_OP(name_, doc_)                                                                       \
    const soma__op soma__op_##name_ = {                                                            \
        .name = #name_,                                                                            \
        .family = "arrange",                                                                       \
        .doc = doc_,                                                                               \
        .inputs = "x",                                                                             \
        .min_inputs = 1,                                                                           \
        .max_inputs = 1,                                                                           \
        .attr_size = sizeof(soma__axes_attrs),                                                     \
        .attrs = axes_attr_list,                                                                   \
        .rule = rule_axes_list,                                                                    \
        .decompose = decompose_##name_,                                                            \
    };
AXES_OP(flip, "x with the order of cells turned round along axes")
AXES_OP(roll, "y[(i + by) mod n] = x[i] along axes")

static soma_var add_axes(const soma__op *op, soma_var x, const int64_t *axes, const int64_t *by,
                         int count)
{
    soma__axes_attrs attrs = {.count = count};
    for (int i = 0; i < count && i < SOMA_MAX_DIMS; i++) {
        attrs.axes[i] = axes[i];
        attrs.by[i] = by ? by[i] : 0;
    }
    return soma__graph_add(x.graph, op, &x, 1, &attrs);
}

soma_var soma_flip(soma_var x, const int64_t *axes, int count)
{
    return add_axes(&soma__op_flip, x, axes, NULL, count);
}

soma_var soma_roll(soma_var x, const int64_t *axes, const int64_t *by, int count)
{
    return add_axes(&soma__op_roll, x, axes, by, count);
}

/* --- tile, repeat_interleave, stack ------------------------------------------------------------
 */

/* NumPy's: the shorter of shape and repeats gets ones in front. */
static soma_status rule_tile(soma__rule *rule)
{
    soma__axes_attrs *attrs = rule->attrs;
    const soma_shape x = rule->in_shape[0];
    if (attrs->count < 0 || attrs->count > SOMA_MAX_DIMS)
        return soma__rule_fail(rule, SOMA_INVALID, "%lld repeats; there can be 0 to %d",
                               (long long)attrs->count, SOMA_MAX_DIMS);
    const int count = (int)attrs->count, ndim = count > x.ndim ? count : x.ndim;
    soma_shape y = {.ndim = ndim};
    for (int d = 0; d < ndim; d++) {
        int64_t size = d >= ndim - x.ndim ? x.dim[d - (ndim - x.ndim)] : 1;
        int64_t by = d >= ndim - count ? attrs->by[d - (ndim - count)] : 1;
        if (by < 0)
            return soma__rule_fail(rule, SOMA_INVALID, "repeats %lld is negative", (long long)by);
        if (!soma__mul64(size, by, &y.dim[d]))
            return soma__rule_fail(rule, SOMA_SHAPE, "dimension %d gets too large", d);
    }
    rule->shape = y;
    return SOMA_OK;
}

/* x [A,K,B] -> [A,m,n,B] of copies, seen as [A,K·by,B]: whole copies behind each other, or each
 * cell `by` times. */
static soma_var repeat(soma_var x, int axis, int64_t by, bool each_cell)
{
    const soma_shape from = soma_var_shape(x);
    soma_shape to = from, outer = {.ndim = 3, .dim = {1, 1, 1}};
    for (int d = 0; d < from.ndim; d++)
        outer.dim[d < axis || (d == axis && each_cell) ? 0 : 2] *= from.dim[d];
    x = soma_reshape(x, outer);
    outer.dim[1] = by;
    to.dim[axis] *= by;
    return soma_reshape(soma_expand(x, outer), to);
}

static soma_var decompose_tile(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    const soma__axes_attrs *a = attrs;
    soma_var x = in[0];
    soma_shape shape = soma_var_shape(x), padded = {.ndim = shape.ndim};
    (void)graph, (void)nin;
    if (a->count > shape.ndim) {
        padded.ndim = (int)a->count;
        for (int d = 0; d < padded.ndim; d++)
            padded.dim[d] =
                d < padded.ndim - shape.ndim ? 1 : shape.dim[d - (padded.ndim - shape.ndim)];
        x = soma_reshape(x, padded);
    }
    for (int i = 0; i < a->count; i++)
        if (a->by[i] != 1)
            x = repeat(x, padded.ndim - (int)a->count + i, a->by[i], false);
    return x;
}

const soma__op soma__op_tile = {
    .name = "tile",
    .family = "arrange",
    .doc = "x repeated as a whole along each axis",
    .inputs = "x",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__axes_attrs),
    .attrs = (const soma__attr[]){{"count", SOMA__ATTR_INT, offsetof(soma__axes_attrs, count), 1,
                                   "of repeats"},
                                  {"by", SOMA__ATTR_INT, offsetof(soma__axes_attrs, by),
                                   SOMA_MAX_DIMS, "repeats of the last axes"},
                                  {0}},
    .rule = rule_tile,
    .decompose = decompose_tile,
};

soma_var soma_tile(soma_var x, const int64_t *repeats, int count)
{
    soma__axes_attrs attrs = {.count = count};
    for (int i = 0; i < count && i < SOMA_MAX_DIMS; i++)
        attrs.by[i] = repeats[i];
    return soma__graph_add(x.graph, &soma__op_tile, &x, 1, &attrs);
}

static soma_status rule_repeat_interleave(soma__rule *rule)
{
    soma__repeat_attrs *attrs = rule->attrs;
    SOMA__TRY(soma__rule_axis(rule, &attrs->axis, rule->in_shape[0].ndim));
    if (attrs->by < 0)
        return soma__rule_fail(rule, SOMA_INVALID, "repeats %lld is negative",
                               (long long)attrs->by);
    if (!soma__mul64(rule->shape.dim[attrs->axis], attrs->by, &rule->shape.dim[attrs->axis]))
        return soma__rule_fail(rule, SOMA_SHAPE, "axis %lld gets too large",
                               (long long)attrs->axis);
    return SOMA_OK;
}

static soma_var decompose_repeat_interleave(soma_graph *graph, const soma_var *in, int nin,
                                            const void *attrs)
{
    const soma__repeat_attrs *a = attrs;
    (void)graph, (void)nin;
    return repeat(in[0], (int)a->axis, a->by, true);
}

const soma__op soma__op_repeat_interleave = {
    .name = "repeat_interleave",
    .family = "arrange",
    .doc = "each cell along an axis, several times",
    .inputs = "x",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__repeat_attrs),
    .attrs =
        (const soma__attr[]){
            {"axis", SOMA__ATTR_INT, offsetof(soma__repeat_attrs, axis), 1, "that grows"},
            {"by", SOMA__ATTR_INT, offsetof(soma__repeat_attrs, by), 1, "times"},
            {0}},
    .rule = rule_repeat_interleave,
    .decompose = decompose_repeat_interleave,
};

soma_var soma_repeat_interleave(soma_var x, int64_t repeats, int64_t axis)
{
    const soma__repeat_attrs attrs = {axis, repeats};
    return soma__graph_add(x.graph, &soma__op_repeat_interleave, &x, 1, &attrs);
}

static soma_status rule_stack(soma__rule *rule)
{
    soma__axis_attrs *attrs = rule->attrs;
    const soma_shape x = rule->in_shape[0];
    SOMA__TRY(soma__rule_same_dtypes(rule));
    if (x.ndim == SOMA_MAX_DIMS)
        return soma__rule_fail(rule, SOMA_SHAPE, "x has %d dimensions, no room for one more",
                               x.ndim);
    SOMA__TRY(soma__rule_axis(rule, &attrs->axis, x.ndim + 1));
    for (int i = 1; i < rule->nin; i++)
        if (!soma_shape_equal(&x, &rule->in_shape[i])) {
            char a[SOMA_SHAPE_TEXT_SIZE], b[SOMA_SHAPE_TEXT_SIZE];
            return soma__rule_fail(rule, SOMA_SHAPE,
                                   "input 0 is %s, input %d is %s: they must be equal",
                                   soma_shape_text(&x, a, sizeof(a)), i,
                                   soma_shape_text(&rule->in_shape[i], b, sizeof(b)));
        }
    rule->shape.ndim++;
    for (int d = x.ndim; d > attrs->axis; d--)
        rule->shape.dim[d] = x.dim[d - 1];
    rule->shape.dim[attrs->axis] = rule->nin;
    return SOMA_OK;
}

static soma_var decompose_stack(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    const soma__axis_attrs *a = attrs;
    soma_var *x = soma__arena_array(&graph->arena, (size_t)nin, sizeof(*x));
    if (!x) {
        soma_graph_fail(graph, SOMA_MEMORY, "stack: no memory for %d inputs", nin);
        return (soma_var){graph, -1};
    }
    for (int i = 0; i < nin; i++)
        x[i] = soma_unsqueeze(in[i], a->axis);
    return soma_concat(x, nin, a->axis);
}

const soma__op soma__op_stack = {
    .name = "stack",
    .family = "arrange",
    .doc = "the inputs one after another along a new axis",
    .inputs = "x...",
    .min_inputs = 1,
    .max_inputs = -1,
    .attr_size = sizeof(soma__axis_attrs),
    .attrs =
        (const soma__attr[]){
            {"axis", SOMA__ATTR_INT, offsetof(soma__axis_attrs, axis), 1, "of the result"}, {0}},
    .rule = rule_stack,
    .decompose = decompose_stack,
};

soma_var soma_stack(const soma_var *x, int count, int64_t axis)
{
    const soma__axis_attrs attrs = {axis};
    if (count <= 0 || !x) /* there is no graph to hold the fault: the failed var reports it */
        return (soma_var){NULL, -1};
    return soma__graph_add(x[0].graph, &soma__op_stack, x, count, &attrs);
}

/* --- pad_border --------------------------------------------------------------------------------
 */

static soma_status rule_pad_border(soma__rule *rule)
{
    static const char *const names[] = {"reflect", "symmetric", "edge", "wrap"};
    const soma__border_attrs *attrs = rule->attrs;
    if (attrs->border < 0 || attrs->border > SOMA_PAD_WRAP)
        return soma__rule_fail(rule, SOMA_INVALID, "%lld is no soma_pad_mode",
                               (long long)attrs->border);
    if (attrs->count != rule->in_shape[0].ndim)
        return soma__rule_fail(rule, SOMA_SHAPE, "%lld pairs for %d dimensions",
                               (long long)attrs->count, rule->in_shape[0].ndim);
    for (int d = 0; d < attrs->count; d++) {
        const int64_t size = rule->in_shape[0].dim[d], before = attrs->before[d],
                      after = attrs->after[d], more = before > after ? before : after;
        const int64_t most = attrs->border == SOMA_PAD_REFLECT ? size - 1
                             : attrs->border != SOMA_PAD_EDGE  ? size
                             : size > 0                        ? INT64_MAX
                                                               : 0;
        if (before < 0 || after < 0)
            return soma__rule_fail(rule, SOMA_INVALID,
                                   "dimension %d: %lld before and %lld after; use soma_slice to "
                                   "cut",
                                   d, (long long)before, (long long)after);
        if (more > 0 && more > most)
            return soma__rule_fail(rule, SOMA_SHAPE,
                                   "dimension %d has %lld cells: a border \"%s\" has at most %lld, "
                                   "not %lld",
                                   d, (long long)size, names[attrs->border],
                                   (long long)(most > 0 ? most : 0), (long long)more);
        if (!soma__add64(size, before, &rule->shape.dim[d]) ||
            !soma__add64(rule->shape.dim[d], after, &rule->shape.dim[d]))
            return soma__rule_fail(rule, SOMA_SHAPE, "dimension %d gets too large", d);
    }
    return SOMA_OK;
}

/* One end of an axis folded back: what came from cells [to, to + …) of x goes there again. */
static soma_var fold_back(soma_var dy, soma_pad_mode border, int axis, int64_t from, int64_t cells,
                          int64_t to, int64_t size)
{
    int64_t before[SOMA_MAX_DIMS] = {0}, after[SOMA_MAX_DIMS] = {0};
    const int64_t one_axis[1] = {axis};
    soma_var part = soma_slice(dy, axis, from, from + cells);
    if (border == SOMA_PAD_EDGE) {
        part = soma_sum(part, .axes = {axis}, .count = 1, .keep_dims = true);
        cells = 1;
    } else if (border != SOMA_PAD_WRAP) {
        part = soma_flip(part, one_axis, 1);
    }
    before[axis] = to;
    after[axis] = size - to - cells;
    return soma_pad(part, before, after, soma_var_shape(dy).ndim, 0);
}

/* The axes are independent of each other, so they are undone one by one. */
static void grad_pad_border(soma__grad *g)
{
    const soma__border_attrs *attrs = g->attrs;
    const soma_pad_mode border = (soma_pad_mode)attrs->border;
    const soma_shape x = soma_var_shape(g->in[0]);
    soma_var dy = g->dout;
    for (int d = 0; d < x.ndim; d++) {
        const int64_t n = x.dim[d], before = attrs->before[d], after = attrs->after[d];
        if (before == 0 && after == 0)
            continue;
        soma_var dx = soma_slice(dy, d, before, before + n);
        const bool reflect = border == SOMA_PAD_REFLECT;
        if (before > 0)
            dx = soma_add(dx, fold_back(dy, border, d, 0, before,
                                        border == SOMA_PAD_WRAP ? n - before : reflect, n));
        if (after > 0)
            dx = soma_add(dx, fold_back(dy, border, d, before + n, after,
                                        border == SOMA_PAD_WRAP   ? 0
                                        : border == SOMA_PAD_EDGE ? n - 1
                                                                  : n - after - reflect,
                                        n));
        dy = dx;
    }
    g->din[0] = dy;
}

static void reference_pad_border(const soma__call *call)
{
    const soma__border_attrs *attrs = call->attrs;
    const soma__view *x = &call->in[0], *y = &call->out[0];
    int64_t stride[SOMA_MAX_DIMS];
    soma__walk walk;
    soma__shape_strides(&x->shape, stride);
    soma__walk_start(&walk, &y->shape);
    for (int64_t i = 0; i < y->count; i++, soma__walk_next(&walk)) {
        int64_t from = 0;
        for (int d = 0; d < y->shape.ndim; d++)
            from +=
                stride[d] * soma__border_cell((soma_pad_mode)attrs->border,
                                              walk.index[d] - attrs->before[d], x->shape.dim[d]);
        copy_cell(y, i, x, from);
    }
}

const soma__op soma__op_pad_border = {
    .name = "pad_border",
    .family = "arrange",
    .doc = "x with cells around it that repeat its own",
    .inputs = "x",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__border_attrs),
    .attrs = (const soma__attr[]){{"count", SOMA__ATTR_INT, offsetof(soma__border_attrs, count), 1,
                                   "of dimensions"},
                                  {"before", SOMA__ATTR_INT, offsetof(soma__border_attrs, before),
                                   SOMA_MAX_DIMS, "cells in front of each dim"},
                                  {"after", SOMA__ATTR_INT, offsetof(soma__border_attrs, after),
                                   SOMA_MAX_DIMS, "cells behind each dim"},
                                  {"border", SOMA__ATTR_INT, offsetof(soma__border_attrs, border),
                                   1, "0 reflect, 1 symmetric, 2 edge, 3 wrap"},
                                  {0}},
    .rule = rule_pad_border,
    .gradient = grad_pad_border,
    .reference = reference_pad_border,
    .flops = soma__flops_none,
};

soma_var soma_pad_border(soma_var x, const int64_t *before, const int64_t *after, int count,
                         soma_pad_mode border)
{
    soma__border_attrs attrs = {.count = count, .border = (int64_t)border};
    for (int d = 0; d < count && d < SOMA_MAX_DIMS; d++) {
        attrs.before[d] = before[d];
        attrs.after[d] = after[d];
    }
    return soma__graph_add(x.graph, &soma__op_pad_border, &x, 1, &attrs);
}

/* --- triangles and diagonals -------------------------------------------------------------------
 */

static const soma__attr diagonal_attr_list[] = {
    {"offset", SOMA__ATTR_INT, offsetof(soma__diagonal_attrs, offset), 1,
     "of the diagonal: above 0 to the right, below 0 downwards"},
    {"axis1", SOMA__ATTR_INT, offsetof(soma__diagonal_attrs, axis[0]), 1, "rows"},
    {"axis2", SOMA__ATTR_INT, offsetof(soma__diagonal_attrs, axis[1]), 1, "columns"},
    {0}};

static soma_status rule_triangle(soma__rule *rule)
{
    if (rule->in_shape[0].ndim < 2)
        return soma__rule_fail(rule, SOMA_SHAPE, "x has %d dimensions, needs at least 2",
                               rule->in_shape[0].ndim);
    return SOMA_OK;
}

static soma_var triangle(soma_graph *graph, soma_var x, int64_t offset, bool upper)
{
    const soma_shape shape = soma_var_shape(x);
    const int64_t rows = shape.dim[shape.ndim - 2], cols = shape.dim[shape.ndim - 1];
    soma_tensor *mask;
    if (soma_tensor_create(&mask, SOMA_BOOL, SOMA_SHAPE(rows, cols), &graph->error))
        return soma__failed(x);
    unsigned char *cell = soma_tensor_data(mask);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            *cell++ = upper ? c - r >= offset : c - r <= offset;
    soma_var keep = soma_constant(graph, mask);
    soma_tensor_release(mask);
    return soma_where(keep, x, soma_scalar(graph, soma_var_dtype(x), 0));
}

static soma_var decompose_tril(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)nin;
    return triangle(graph, in[0], ((const soma__diagonal_attrs *)attrs)->offset, false);
}

static soma_var decompose_triu(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)nin;
    return triangle(graph, in[0], ((const soma__diagonal_attrs *)attrs)->offset, true);
}

/* Cells of diagonal `offset` in rows × cols. */
static int64_t diagonal_cells(int64_t rows, int64_t cols, int64_t offset)
{
    if (offset <= -rows || offset >= cols)
        return 0;
    rows += offset < 0 ? offset : 0;
    cols -= offset > 0 ? offset : 0;
    return rows < cols ? rows : cols;
}

static soma_status rule_diagonal(soma__rule *rule)
{
    soma__diagonal_attrs *attrs = rule->attrs;
    const soma_shape x = rule->in_shape[0];
    SOMA__TRY(rule_triangle(rule));
    SOMA__TRY(rule_axes(rule, attrs->axis, 2));
    soma_shape y = {0};
    for (int d = 0; d < x.ndim; d++)
        if (d != attrs->axis[0] && d != attrs->axis[1])
            y.dim[y.ndim++] = x.dim[d];
    y.dim[y.ndim++] = diagonal_cells(x.dim[attrs->axis[0]], x.dim[attrs->axis[1]], attrs->offset);
    rule->shape = y;
    return SOMA_OK;
}

static soma_var decompose_diagonal(soma_graph *graph, const soma_var *in, int nin,
                                   const void *attrs)
{
    const soma__diagonal_attrs *a = attrs;
    const soma_shape x = soma_var_shape(in[0]);
    const int64_t rows = x.dim[a->axis[0]], cols = x.dim[a->axis[1]];
    const int64_t count = diagonal_cells(rows, cols, a->offset);
    int64_t order[SOMA_MAX_DIMS] = {0};
    int n = 0;
    (void)graph, (void)nin;
    for (int d = 0; d < x.ndim; d++)
        if (d != a->axis[0] && d != a->axis[1])
            order[n++] = d;
    order[n] = a->axis[0];
    order[n + 1] = a->axis[1];
    soma_var cells = soma_flatten(soma_permute(in[0], order, x.ndim), n);
    const int64_t axis[1] = {n}, step[1] = {cols + 1};
    const int64_t first[1] = {count == 0 ? 0 : a->offset < 0 ? -a->offset * cols : a->offset};
    const int64_t end[1] = {count == 0 ? 0 : first[0] + (count - 1) * step[0] + 1};
    return soma_slice_steps(cells, axis, first, end, step, 1);
}

static soma_status rule_diag(soma__rule *rule)
{
    const soma__diagonal_attrs *attrs = rule->attrs;
    const soma_shape x = rule->in_shape[0];
    int64_t size;
    if (x.ndim < 1 || x.ndim == SOMA_MAX_DIMS)
        return soma__rule_fail(rule, SOMA_SHAPE, "x has %d dimensions, needs 1 to %d", x.ndim,
                               SOMA_MAX_DIMS - 1);
    if (attrs->offset == INT64_MIN ||
        !soma__add64(x.dim[x.ndim - 1], attrs->offset < 0 ? -attrs->offset : attrs->offset, &size))
        return soma__rule_fail(rule, SOMA_SHAPE, "offset %lld is too large",
                               (long long)attrs->offset);
    rule->shape.dim[x.ndim - 1] = rule->shape.dim[x.ndim] = size;
    rule->shape.ndim++;
    return SOMA_OK;
}

/* The rule has made sure that the square can be addressed. */
static soma_var decompose_diag(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    const soma__diagonal_attrs *a = attrs;
    const soma_shape x = soma_var_shape(in[0]);
    const int last = x.ndim - 1;
    const int64_t by = a->offset < 0 ? -a->offset : a->offset, size = x.dim[last] + by;
    soma_shape flat = x, square = x;
    int64_t start[SOMA_MAX_DIMS] = {0}, step[SOMA_MAX_DIMS];
    (void)graph, (void)nin;
    for (int d = 0; d < SOMA_MAX_DIMS; d++)
        step[d] = 1;
    flat.dim[last] = size * size;
    start[last] = a->offset < 0 ? by * size : by;
    step[last] = size + 1;
    square.dim[last] = square.dim[last + 1] = size;
    square.ndim++;
    return soma_reshape(soma_place(in[0], flat, start, step), square);
}

#define DIAGONAL_OP(name_, rule_, doc_)                                                            \
    const soma__op soma__op_##name_ = {                                                            \
        .name = #name_,                                                                            \
        .family = "arrange",                                                                       \
        .doc = doc_,                                                                               \
        .inputs = "x",                                                                             \
        .min_inputs = 1,                                                                           \
        .max_inputs = 1,                                                                           \
        .attr_size = sizeof(soma__diagonal_attrs),                                                 \
        .attrs = diagonal_attr_list,                                                               \
        .rule = rule_,                                                                             \
        .decompose = decompose_##name_,                                                            \
    };
DIAGONAL_OP(tril, rule_triangle, "the cells of matrices on and below a diagonal, 0 above")
DIAGONAL_OP(triu, rule_triangle, "the cells of matrices on and above a diagonal, 0 below")
DIAGONAL_OP(diagonal, rule_diagonal, "the cells on a diagonal of two axes, as the last axis")
DIAGONAL_OP(diag, rule_diag, "square matrices with x on a diagonal")

static soma_var add_diagonal(const soma__op *op, soma_var x, int64_t offset, int64_t rows,
                             int64_t cols)
{
    const soma__diagonal_attrs attrs = {offset, {rows, cols}};
    return soma__graph_add(x.graph, op, &x, 1, &attrs);
}

soma_var soma_tril(soma_var x, int64_t offset)
{
    return add_diagonal(&soma__op_tril, x, offset, -2, -1);
}

soma_var soma_triu(soma_var x, int64_t offset)
{
    return add_diagonal(&soma__op_triu, x, offset, -2, -1);
}

soma_var soma_diagonal(soma_var x, int64_t offset, int64_t axis1, int64_t axis2)
{
    return add_diagonal(&soma__op_diagonal, x, offset, axis1, axis2);
}

soma_var soma_diag(soma_var x, int64_t offset)
{
    return add_diagonal(&soma__op_diag, x, offset, -2, -1);
}
