/* shape.c: ops that move cells without computing: reshape, permute, expand, slice, concat, pad.
 * Their kernels copy bytes, so any dtype goes through unchanged. */
#include <string.h>

#include "ops/ops.h"
#include "tensor/walk.h"

/* y's next cell = x[walk.at[0]], for all cells of the walk, which are y's in order. */
static void copy_cells(soma__walk *walk, const soma__view *x, const soma__view *y)
{
    const size_t size = soma_dtype_size(x->dtype);
    for (int64_t i = 0; i < y->count; i++, soma__walk_next(walk))
        memcpy((char *)y->data + (size_t)i * size,
               (const char *)x->data + (size_t)walk->at[0] * size, size);
}

/* Copies a shape that a builder got, whatever its ndim says: the rule looks at it. */
static soma__shape_attrs shape_attrs(const soma_shape *shape)
{
    soma__shape_attrs attrs = {.ndim = shape->ndim};
    for (int d = 0; d < shape->ndim && d < SOMA_MAX_DIMS; d++)
        attrs.dim[d] = shape->dim[d];
    return attrs;
}

static soma_status shape_of_attrs(soma__rule *rule, soma_shape *out)
{
    const soma__shape_attrs *attrs = rule->attrs;
    if (attrs->ndim < 0 || attrs->ndim > SOMA_MAX_DIMS)
        return soma__rule_fail(rule, SOMA_INVALID, "%lld dimensions; there can be 0 to %d",
                               (long long)attrs->ndim, SOMA_MAX_DIMS);
    *out = (soma_shape){.ndim = (int)attrs->ndim};
    for (int d = 0; d < out->ndim; d++)
        out->dim[d] = attrs->dim[d];
    return SOMA_OK;
}

static const soma__attr shape_attr_list[] = {
    {"ndim", SOMA__ATTR_INT, offsetof(soma__shape_attrs, ndim), 1, "of the result"},
    {"dim", SOMA__ATTR_INT, offsetof(soma__shape_attrs, dim), SOMA_MAX_DIMS, "of the result"},
    {0}};

/* --- reshape --------------------------------------------------------------------------------- */

static soma_status rule_reshape(soma__rule *rule)
{
    soma_shape to;
    char from_text[SOMA_SHAPE_TEXT_SIZE], to_text[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(shape_of_attrs(rule, &to));
    soma_shape_text(&rule->in_shape[0], from_text, sizeof(from_text));
    soma_shape_text(&to, to_text, sizeof(to_text));
    int64_t have, known = 1;
    int open = -1;
    if (!soma__shape_count(&rule->in_shape[0], &have))
        return soma__rule_fail(rule, SOMA_SHAPE, "%s is too large", from_text);
    for (int d = 0; d < to.ndim; d++) {
        if (to.dim[d] == -1 && open >= 0)
            return soma__rule_fail(rule, SOMA_INVALID, "only one size of %s can be -1", to_text);
        if (to.dim[d] < -1)
            return soma__rule_fail(rule, SOMA_INVALID, "%s has a negative size", to_text);
        if (to.dim[d] == -1)
            open = d;
        else if (!soma__mul64(known, to.dim[d], &known))
            return soma__rule_fail(rule, SOMA_SHAPE, "%s is too large", to_text);
    }
    if (open >= 0) {
        if (known == 0 || have % known != 0)
            return soma__rule_fail(rule, SOMA_SHAPE,
                                   "%s with %lld elements does not fill %s: %lld is no divisor",
                                   from_text, (long long)have, to_text, (long long)known);
        to.dim[open] = have / known;
        ((soma__shape_attrs *)rule->attrs)->dim[open] = to.dim[open];
    } else if (known != have) {
        return soma__rule_fail(rule, SOMA_SHAPE, "%s has %lld elements, %s has %lld", from_text,
                               (long long)have, to_text, (long long)known);
    }
    rule->shape = to;
    return SOMA_OK;
}

static void grad_reshape(soma__grad *g)
{
    g->din[0] = soma_reshape(g->dout, soma_var_shape(g->in[0]));
}

/* Plans alias a view with its input; this runs where they cannot. */
static void reference_reshape(const soma__call *call)
{
    const soma__view *x = &call->in[0];
    if (x->count > 0 && call->out[0].data != x->data)
        memcpy(call->out[0].data, x->data, (size_t)x->count * soma_dtype_size(x->dtype));
}

const soma__op soma__op_reshape = {
    .name = "reshape",
    .family = "shape",
    .doc = "the same elements in another shape",
    .inputs = "x",
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = SOMA__OP_VIEW,
    .attr_size = sizeof(soma__shape_attrs),
    .attrs = shape_attr_list,
    .rule = rule_reshape,
    .gradient = grad_reshape,
    .reference = reference_reshape,
    .flops = soma__flops_none,
};

/* A reshape to the shape that x has is x itself. */
soma_var soma_reshape(soma_var x, soma_shape shape)
{
    const soma__shape_attrs attrs = shape_attrs(&shape);
    const soma_shape from = soma_var_shape(x);
    if (soma_var_ok(x) && soma_shape_equal(&from, &shape))
        return x;
    return soma__graph_add(x.graph, &soma__op_reshape, &x, 1, &attrs);
}

soma_var soma_flatten(soma_var x, int64_t axis)
{
    if (!soma_var_ok(x))
        return soma__failed(x);
    soma_shape shape = soma_var_shape(x);
    if (axis < -shape.ndim || axis > shape.ndim) {
        soma_graph_fail(x.graph, SOMA_SHAPE, "flatten: axis %lld is outside of %d dimensions",
                        (long long)axis, shape.ndim);
        return soma__failed(x);
    }
    if (axis < 0)
        axis += shape.ndim;
    int64_t size = 1;
    for (int d = (int)axis; d < shape.ndim; d++)
        if (!soma__mul64(size, shape.dim[d], &size)) {
            soma_graph_fail(x.graph, SOMA_SHAPE, "flatten: the product of the sizes is too large");
            return soma__failed(x);
        }
    if (axis == SOMA_MAX_DIMS) {
        soma_graph_fail(x.graph, SOMA_SHAPE, "flatten: x has %d dimensions, no room for one more",
                        shape.ndim);
        return soma__failed(x);
    }
    soma_shape flat = {.ndim = (int)axis + 1};
    for (int d = 0; d < axis; d++)
        flat.dim[d] = shape.dim[d];
    flat.dim[axis] = size;
    return soma_reshape(x, flat);
}

/* --- permute --------------------------------------------------------------------------------- */

static soma_status rule_permute(soma__rule *rule)
{
    soma__permute_attrs *attrs = rule->attrs;
    const soma_shape x = rule->in_shape[0];
    if (attrs->count != x.ndim)
        return soma__rule_fail(rule, SOMA_SHAPE, "%lld axes for %d dimensions",
                               (long long)attrs->count, x.ndim);
    unsigned seen = 0;
    for (int d = 0; d < x.ndim; d++) {
        SOMA__TRY(soma__rule_axis(rule, &attrs->axes[d], x.ndim));
        if (seen >> attrs->axes[d] & 1)
            return soma__rule_fail(rule, SOMA_INVALID, "axis %lld is named twice",
                                   (long long)attrs->axes[d]);
        seen |= 1u << attrs->axes[d];
        rule->shape.dim[d] = x.dim[attrs->axes[d]];
    }
    return SOMA_OK;
}

static void grad_permute(soma__grad *g)
{
    const soma__permute_attrs *attrs = g->attrs;
    int64_t back[SOMA_MAX_DIMS] = {0};
    for (int d = 0; d < attrs->count; d++)
        back[attrs->axes[d]] = d;
    g->din[0] = soma_permute(g->dout, back, (int)attrs->count);
}

static void reference_permute(const soma__call *call)
{
    const soma__permute_attrs *attrs = call->attrs;
    const soma__view *x = &call->in[0], *y = &call->out[0];
    int64_t from[SOMA_MAX_DIMS], stride[SOMA_MAX_DIMS];
    soma__shape_strides(&x->shape, from);
    for (int d = 0; d < attrs->count; d++)
        stride[d] = from[attrs->axes[d]];
    soma__walk walk;
    soma__walk_start(&walk, &y->shape);
    soma__walk_strides(&walk, stride, 0);
    copy_cells(&walk, x, y);
}

const soma__op soma__op_permute = {
    .name = "permute",
    .family = "shape",
    .doc = "y's axis i is x's axis axes[i]",
    .inputs = "x",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__permute_attrs),
    .attrs = (const soma__attr[]){{"count", SOMA__ATTR_INT, offsetof(soma__permute_attrs, count), 1,
                                   "of axes"},
                                  {"axes", SOMA__ATTR_INT, offsetof(soma__permute_attrs, axes),
                                   SOMA_MAX_DIMS, "x's axes in y's order"},
                                  {0}},
    .rule = rule_permute,
    .gradient = grad_permute,
    .reference = reference_permute,
    .flops = soma__flops_none,
};

soma_var soma_permute(soma_var x, const int64_t *axes, int count)
{
    soma__permute_attrs attrs = {.count = count};
    for (int d = 0; d < count && d < SOMA_MAX_DIMS; d++)
        attrs.axes[d] = axes[d];
    return soma__graph_add(x.graph, &soma__op_permute, &x, 1, &attrs);
}

soma_var soma_transpose(soma_var x)
{
    if (!soma_var_ok(x))
        return soma__failed(x);
    int ndim = soma_var_shape(x).ndim;
    if (ndim < 2) {
        soma_graph_fail(x.graph, SOMA_SHAPE, "transpose: swaps the last two of %d dimensions",
                        ndim);
        return soma__failed(x);
    }
    int64_t axes[SOMA_MAX_DIMS];
    for (int d = 0; d < ndim; d++)
        axes[d] = d;
    axes[ndim - 1] = ndim - 2;
    axes[ndim - 2] = ndim - 1;
    return soma_permute(x, axes, ndim);
}

/* --- expand ---------------------------------------------------------------------------------- */

static soma_status rule_expand(soma__rule *rule)
{
    soma_shape to, both;
    SOMA__TRY(shape_of_attrs(rule, &to));
    for (int d = 0; d < to.ndim; d++)
        if (to.dim[d] < 0)
            return soma__rule_fail(rule, SOMA_INVALID, "size %lld is negative",
                                   (long long)to.dim[d]);
    if (!soma__shape_broadcast(&rule->in_shape[0], &to, &both) || !soma_shape_equal(&both, &to)) {
        char from_text[SOMA_SHAPE_TEXT_SIZE], to_text[SOMA_SHAPE_TEXT_SIZE];
        return soma__rule_fail(rule, SOMA_SHAPE, "%s does not broadcast to %s",
                               soma_shape_text(&rule->in_shape[0], from_text, sizeof(from_text)),
                               soma_shape_text(&to, to_text, sizeof(to_text)));
    }
    rule->shape = to;
    return SOMA_OK;
}

static void grad_expand(soma__grad *g)
{
    soma_shape shape = soma_var_shape(g->in[0]);
    g->din[0] = soma__sum_to(g->dout, &shape);
}

static void reference_expand(const soma__call *call)
{
    soma__walk walk;
    soma__walk_start(&walk, &call->out[0].shape);
    soma__walk_broadcast(&walk, &call->in[0].shape);
    copy_cells(&walk, &call->in[0], &call->out[0]);
}

const soma__op soma__op_expand = {
    .name = "expand",
    .family = "shape",
    .doc = "x broadcast to a shape",
    .inputs = "x",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__shape_attrs),
    .attrs = shape_attr_list,
    .scalar = SOMA__SCALAR_COPY, /* a broadcasting read: plans fuse it */
    .rule = rule_expand,
    .gradient = grad_expand,
    .reference = reference_expand,
    .flops = soma__flops_none,
};

soma_var soma_expand(soma_var x, soma_shape shape)
{
    const soma__shape_attrs attrs = shape_attrs(&shape);
    const soma_shape from = soma_var_shape(x);
    if (soma_var_ok(x) && soma_shape_equal(&from, &shape))
        return x;
    return soma__graph_add(x.graph, &soma__op_expand, &x, 1, &attrs);
}

/* --- slice ----------------------------------------------------------------------------------- */

/* Python's meaning of start and end: negative ones count from the end, what lies outside is cut. */
static int64_t cut(int64_t position, int64_t size)
{
    if (position < 0)
        position = position < -size ? 0 : position + size;
    return position > size ? size : position;
}

static soma_status rule_slice(soma__rule *rule)
{
    soma__slice_attrs *attrs = rule->attrs;
    SOMA__TRY(soma__rule_axis(rule, &attrs->axis, rule->in_shape[0].ndim));
    const int64_t size = rule->in_shape[0].dim[attrs->axis];
    attrs->start = cut(attrs->start, size);
    attrs->end = cut(attrs->end, size);
    if (attrs->end < attrs->start)
        attrs->end = attrs->start;
    rule->shape.dim[attrs->axis] = attrs->end - attrs->start;
    return SOMA_OK;
}

static void grad_slice(soma__grad *g)
{
    const soma__slice_attrs *attrs = g->attrs;
    const soma_shape x = soma_var_shape(g->in[0]);
    int64_t before[SOMA_MAX_DIMS] = {0}, after[SOMA_MAX_DIMS] = {0};
    before[attrs->axis] = attrs->start;
    after[attrs->axis] = x.dim[attrs->axis] - attrs->end;
    g->din[0] = soma_pad(g->dout, before, after, x.ndim, 0);
}

static void reference_slice(const soma__call *call)
{
    const soma__slice_attrs *attrs = call->attrs;
    int64_t stride[SOMA_MAX_DIMS];
    soma__shape_strides(&call->in[0].shape, stride);
    soma__walk walk;
    soma__walk_start(&walk, &call->out[0].shape);
    soma__walk_strides(&walk, stride, attrs->start * stride[attrs->axis]);
    copy_cells(&walk, &call->in[0], &call->out[0]);
}

const soma__op soma__op_slice = {
    .name = "slice",
    .family = "shape",
    .doc = "x[..., start:end, ...] along an axis",
    .inputs = "x",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__slice_attrs),
    .attrs =
        (const soma__attr[]){
            {"axis", SOMA__ATTR_INT, offsetof(soma__slice_attrs, axis), 1, "cut"},
            {"start", SOMA__ATTR_INT, offsetof(soma__slice_attrs, start), 1, "first cell"},
            {"end", SOMA__ATTR_INT, offsetof(soma__slice_attrs, end), 1, "after the last cell"},
            {0}},
    .rule = rule_slice,
    .gradient = grad_slice,
    .reference = reference_slice,
    .flops = soma__flops_none,
};

soma_var soma_slice(soma_var x, int64_t axis, int64_t start, int64_t end)
{
    const soma__slice_attrs attrs = {axis, start, end};
    return soma__graph_add(x.graph, &soma__op_slice, &x, 1, &attrs);
}

/* --- concat ---------------------------------------------------------------------------------- */

static soma_status rule_concat(soma__rule *rule)
{
    soma__axis_attrs *attrs = rule->attrs;
    SOMA__TRY(soma__rule_same_dtypes(rule));
    SOMA__TRY(soma__rule_axis(rule, &attrs->axis, rule->in_shape[0].ndim));
    for (int i = 1; i < rule->nin; i++) {
        soma_shape wanted = rule->in_shape[0];
        const soma_shape *x = &rule->in_shape[i];
        if (x->ndim == wanted.ndim)
            wanted.dim[attrs->axis] = x->dim[attrs->axis];
        if (!soma_shape_equal(&wanted, x)) {
            char a[SOMA_SHAPE_TEXT_SIZE], b[SOMA_SHAPE_TEXT_SIZE];
            return soma__rule_fail(rule, SOMA_SHAPE,
                                   "input 0 is %s, input %d is %s: they may differ in axis %lld "
                                   "only",
                                   soma_shape_text(&rule->in_shape[0], a, sizeof(a)), i,
                                   soma_shape_text(x, b, sizeof(b)), (long long)attrs->axis);
        }
        if (!soma__add64(rule->shape.dim[attrs->axis], x->dim[attrs->axis],
                         &rule->shape.dim[attrs->axis]))
            return soma__rule_fail(rule, SOMA_SHAPE, "the sizes add up to too much");
    }
    return SOMA_OK;
}

static void grad_concat(soma__grad *g)
{
    const soma__axis_attrs *attrs = g->attrs;
    int64_t start = 0;
    for (int i = 0; i < g->nin; i++) {
        int64_t end = start + soma_var_shape(g->in[i]).dim[attrs->axis];
        if (g->need[i])
            g->din[i] = soma_slice(g->dout, attrs->axis, start, end);
        start = end;
    }
}

/* Around the axis the arrays are [before, size·after]: rows of the inputs go behind each other. */
static void reference_concat(const soma__call *call)
{
    const soma__axis_attrs *attrs = call->attrs;
    const soma_shape *shape = &call->out[0].shape;
    int64_t before, after;
    soma__shape_around(shape, attrs->axis, &before, &after);
    const size_t cell = (size_t)after * soma_dtype_size(call->out[0].dtype);
    char *y = call->out[0].data;
    for (size_t row = 0; row < (size_t)before; row++)
        for (int i = 0; i < call->nin; i++) {
            size_t bytes = (size_t)call->in[i].shape.dim[attrs->axis] * cell;
            if (bytes == 0)
                continue;
            memcpy(y, (const char *)call->in[i].data + row * bytes, bytes);
            y += bytes;
        }
}

const soma__op soma__op_concat = {
    .name = "concat",
    .family = "shape",
    .doc = "the inputs one after another along an axis",
    .inputs = "x...",
    .min_inputs = 1,
    .max_inputs = -1,
    .attr_size = sizeof(soma__axis_attrs),
    .attrs =
        (const soma__attr[]){
            {"axis", SOMA__ATTR_INT, offsetof(soma__axis_attrs, axis), 1, "that grows"}, {0}},
    .rule = rule_concat,
    .gradient = grad_concat,
    .reference = reference_concat,
    .flops = soma__flops_none,
};

soma_var soma_concat(const soma_var *x, int count, int64_t axis)
{
    const soma__axis_attrs attrs = {axis};
    if (count <= 0 || !x) /* there is no graph to hold the fault: the failed var reports it */
        return (soma_var){NULL, -1};
    return soma__graph_add(x[0].graph, &soma__op_concat, x, count, &attrs);
}

/* --- pad ------------------------------------------------------------------------------------- */

static soma_status rule_pad(soma__rule *rule)
{
    const soma__pad_attrs *attrs = rule->attrs;
    if (attrs->count != rule->in_shape[0].ndim)
        return soma__rule_fail(rule, SOMA_SHAPE, "%lld pairs for %d dimensions",
                               (long long)attrs->count, rule->in_shape[0].ndim);
    for (int d = 0; d < attrs->count; d++) {
        int64_t *size = &rule->shape.dim[d];
        if (attrs->before[d] < 0 || attrs->after[d] < 0)
            return soma__rule_fail(rule, SOMA_INVALID,
                                   "dimension %d: %lld before and %lld after; use soma_slice to "
                                   "cut",
                                   d, (long long)attrs->before[d], (long long)attrs->after[d]);
        if (!soma__add64(*size, attrs->before[d], size) ||
            !soma__add64(*size, attrs->after[d], size))
            return soma__rule_fail(rule, SOMA_SHAPE, "dimension %d gets too large", d);
    }
    return SOMA_OK;
}

static void grad_pad(soma__grad *g)
{
    const soma__pad_attrs *attrs = g->attrs;
    const soma_shape x = soma_var_shape(g->in[0]);
    soma_var dx = g->dout;
    for (int d = 0; d < x.ndim; d++)
        if (attrs->before[d] > 0 || attrs->after[d] > 0)
            dx = soma_slice(dx, d, attrs->before[d], attrs->before[d] + x.dim[d]);
    g->din[0] = dx;
}

/* Fills y, then writes x's cells to where they belong. */
static void reference_pad(const soma__call *call)
{
    const soma__pad_attrs *attrs = call->attrs;
    const soma__view *x = &call->in[0], *y = &call->out[0];
    const size_t size = soma_dtype_size(x->dtype);
    for (int64_t i = 0; i < y->count; i++)
        soma__store(y->dtype, y->data, i, attrs->value);
    int64_t stride[SOMA_MAX_DIMS], first = 0;
    soma__shape_strides(&y->shape, stride);
    for (int d = 0; d < x->shape.ndim; d++)
        first += attrs->before[d] * stride[d];
    soma__walk walk;
    soma__walk_start(&walk, &x->shape);
    soma__walk_strides(&walk, stride, first);
    for (int64_t i = 0; i < x->count; i++, soma__walk_next(&walk))
        memcpy((char *)y->data + (size_t)walk.at[0] * size,
               (const char *)x->data + (size_t)i * size, size);
}

const soma__op soma__op_pad = {
    .name = "pad",
    .family = "shape",
    .doc = "x with cells of one value around it",
    .inputs = "x",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__pad_attrs),
    .attrs =
        (const soma__attr[]){
            {"count", SOMA__ATTR_INT, offsetof(soma__pad_attrs, count), 1, "of dimensions"},
            {"before", SOMA__ATTR_INT, offsetof(soma__pad_attrs, before), SOMA_MAX_DIMS,
             "cells in front of each dim"},
            {"after", SOMA__ATTR_INT, offsetof(soma__pad_attrs, after), SOMA_MAX_DIMS,
             "cells behind each dim"},
            {"value", SOMA__ATTR_FLOAT, offsetof(soma__pad_attrs, value), 1, "of the new cells"},
            {0}},
    .rule = rule_pad,
    .gradient = grad_pad,
    .reference = reference_pad,
    .flops = soma__flops_none,
};

soma_var soma_pad(soma_var x, const int64_t *before, const int64_t *after, int count, double value)
{
    soma__pad_attrs attrs = {.count = count, .value = value};
    for (int d = 0; d < count && d < SOMA_MAX_DIMS; d++) {
        attrs.before[d] = before[d];
        attrs.after[d] = after[d];
    }
    return soma__graph_add(x.graph, &soma__op_pad, &x, 1, &attrs);
}
