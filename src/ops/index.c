/* index.c: ops that read or write where an index says: gather, scatter_add, one_hot.
 *
 * gather and scatter_add are each other's gradient. An array is seen as [A, K, B] around the axis:
 * for each of A rows and each index, a slice of B cells is read or added to. */
#include <string.h>

#include "ops/ops.h"

/* --- gather ---------------------------------------------------------------------------------- */

/* x [A,K,B], index [I…] -> [A,I…,B] */
static soma_status rule_gather(soma__rule *rule)
{
    soma__axis_attrs *attrs = rule->attrs;
    const soma_shape x = rule->in_shape[0], index = rule->in_shape[1];
    SOMA__TRY(soma__rule_integer(rule, 1));
    SOMA__TRY(soma__rule_axis(rule, &attrs->axis, x.ndim));
    if (x.ndim - 1 + index.ndim > SOMA_MAX_DIMS)
        return soma__rule_fail(rule, SOMA_SHAPE, "the result would have %d dimensions, at most %d",
                               x.ndim - 1 + index.ndim, SOMA_MAX_DIMS);
    soma_shape y = {0};
    for (int d = 0; d < attrs->axis; d++)
        y.dim[y.ndim++] = x.dim[d];
    for (int d = 0; d < index.ndim; d++)
        y.dim[y.ndim++] = index.dim[d];
    for (int d = (int)attrs->axis + 1; d < x.ndim; d++)
        y.dim[y.ndim++] = x.dim[d];
    rule->shape = y;
    return SOMA_OK;
}

static void grad_gather(soma__grad *g)
{
    const soma__axis_attrs *attrs = g->attrs;
    int64_t size = soma_var_shape(g->in[0]).dim[attrs->axis];
    if (g->need[0])
        g->din[0] = soma_scatter_add(g->dout, g->in[1], attrs->axis, size);
}

static void reference_gather(const soma__call *call)
{
    const soma__axis_attrs *attrs = call->attrs;
    const soma__view *x = &call->in[0], *index = &call->in[1];
    const int64_t size = x->shape.dim[attrs->axis];
    int64_t before, after;
    soma__shape_around(&x->shape, attrs->axis, &before, &after);
    const size_t slice = (size_t)after * soma_dtype_size(x->dtype);
    char *y = call->out[0].data;
    if (call->out[0].count == 0)
        return;
    for (int64_t a = 0; a < before; a++)
        for (int64_t i = 0; i < index->count; i++, y += slice) {
            int64_t k = soma__view_index(index, i);
            if (k >= 0 && k < size)
                memcpy(y, (const char *)x->data + (size_t)(a * size + k) * slice, slice);
            else
                memset(y, 0, slice);
        }
}

const soma__op soma__op_gather = {
    .name = "gather",
    .family = "index",
    .doc = "y[..., i..., ...] = x[..., index[i...], ...]; 0 where the index is out of range",
    .inputs = "x index",
    .min_inputs = 2,
    .max_inputs = 2,
    .attr_size = sizeof(soma__axis_attrs),
    .attrs =
        (const soma__attr[]){
            {"axis", SOMA__ATTR_INT, offsetof(soma__axis_attrs, axis), 1, "indexed"}, {0}},
    .rule = rule_gather,
    .gradient = grad_gather,
    .reference = reference_gather,
    .flops = soma__flops_none,
};

soma_var soma_gather(soma_var x, soma_var index, int64_t axis)
{
    const soma__axis_attrs attrs = {axis};
    const soma_var in[2] = {x, index};
    return soma__graph_add(x.graph, &soma__op_gather, in, 2, &attrs);
}

/* --- scatter_add ----------------------------------------------------------------------------- */

/* x [A,I…,B], index [I…] -> [A,size,B] */
static soma_status rule_scatter_add(soma__rule *rule)
{
    soma__scatter_attrs *attrs = rule->attrs;
    const soma_shape x = rule->in_shape[0], index = rule->in_shape[1];
    SOMA__TRY(soma__rule_float(rule, 0));
    SOMA__TRY(soma__rule_integer(rule, 1));
    if (attrs->size < 0)
        return soma__rule_fail(rule, SOMA_INVALID, "size %lld is negative", (long long)attrs->size);
    /* The axis is one of the result, which has `size` in the place of the index's dims. */
    const int ndim = x.ndim - index.ndim + 1;
    bool fits = ndim >= 1 && ndim <= SOMA_MAX_DIMS;
    if (fits)
        SOMA__TRY(soma__rule_axis(rule, &attrs->axis, ndim));
    for (int d = 0; fits && d < index.ndim; d++)
        fits = x.dim[attrs->axis + d] == index.dim[d];
    if (!fits) {
        char x_text[SOMA_SHAPE_TEXT_SIZE], index_text[SOMA_SHAPE_TEXT_SIZE];
        return soma__rule_fail(
            rule, SOMA_SHAPE, "x %s must have the index's sizes %s from axis %lld on",
            soma_shape_text(&x, x_text, sizeof(x_text)),
            soma_shape_text(&index, index_text, sizeof(index_text)), (long long)attrs->axis);
    }
    soma_shape y = {0};
    for (int d = 0; d < attrs->axis; d++)
        y.dim[y.ndim++] = x.dim[d];
    y.dim[y.ndim++] = attrs->size;
    for (int d = (int)attrs->axis + index.ndim; d < x.ndim; d++)
        y.dim[y.ndim++] = x.dim[d];
    rule->shape = y;
    return SOMA_OK;
}

static void grad_scatter_add(soma__grad *g)
{
    const soma__scatter_attrs *attrs = g->attrs;
    if (g->need[0])
        g->din[0] = soma_gather(g->dout, g->in[1], attrs->axis);
}

/* For each cell of y, the sum over the indexes that name it, in their order. Going over y keeps the
 * sum in double until its end; the price is a pass over the index for each k. */
static void reference_scatter_add(const soma__call *call)
{
    const soma__scatter_attrs *attrs = call->attrs;
    const soma__view *x = &call->in[0], *index = &call->in[1], *y = &call->out[0];
    int64_t before, after;
    soma__shape_around(&y->shape, attrs->axis, &before, &after);
    for (int64_t a = 0; a < before; a++)
        for (int64_t k = 0; k < attrs->size; k++)
            for (int64_t b = 0; b < after; b++) {
                double sum = 0;
                for (int64_t i = 0; i < index->count; i++)
                    if (soma__view_index(index, i) == k)
                        sum += soma__load(x->dtype, x->data, (a * index->count + i) * after + b);
                soma__store(y->dtype, y->data, (a * attrs->size + k) * after + b, sum);
            }
}

static double flops_scatter_add(const soma__call *call)
{
    return (double)call->in[0].count;
}

const soma__op soma__op_scatter_add = {
    .name = "scatter_add",
    .family = "index",
    .doc = "y = zeros; y[..., index[i...], ...] += x[..., i..., ...]",
    .inputs = "x index",
    .min_inputs = 2,
    .max_inputs = 2,
    .attr_size = sizeof(soma__scatter_attrs),
    .attrs =
        (const soma__attr[]){
            {"axis", SOMA__ATTR_INT, offsetof(soma__scatter_attrs, axis), 1, "indexed, of y"},
            {"size", SOMA__ATTR_INT, offsetof(soma__scatter_attrs, size), 1, "of that axis"},
            {0}},
    .rule = rule_scatter_add,
    .gradient = grad_scatter_add,
    .reference = reference_scatter_add,
    .flops = flops_scatter_add,
};

soma_var soma_scatter_add(soma_var x, soma_var index, int64_t axis, int64_t size)
{
    const soma__scatter_attrs attrs = {axis, size};
    const soma_var in[2] = {x, index};
    return soma__graph_add(x.graph, &soma__op_scatter_add, in, 2, &attrs);
}

/* --- one_hot --------------------------------------------------------------------------------- */

static soma_status rule_one_hot(soma__rule *rule)
{
    const soma__one_hot_attrs *attrs = rule->attrs;
    SOMA__TRY(soma__rule_integer(rule, 0));
    if (attrs->depth < 1)
        return soma__rule_fail(rule, SOMA_INVALID, "depth %lld; at least 1",
                               (long long)attrs->depth);
    if (rule->shape.ndim == SOMA_MAX_DIMS)
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "the index has %d dimensions, no room for one more", SOMA_MAX_DIMS);
    rule->shape.dim[rule->shape.ndim++] = attrs->depth;
    rule->dtype = SOMA_F32;
    return SOMA_OK;
}

static void reference_one_hot(const soma__call *call)
{
    const soma__one_hot_attrs *attrs = call->attrs;
    const soma__view *index = &call->in[0];
    float *y = call->out[0].data;
    for (int64_t i = 0; i < index->count; i++)
        for (int64_t k = 0; k < attrs->depth; k++)
            *y++ = soma__view_index(index, i) == k ? 1 : 0;
}

const soma__op soma__op_one_hot = {
    .name = "one_hot",
    .family = "index",
    .doc = "y[..., k] = 1 where index[...] = k, else 0",
    .inputs = "index",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__one_hot_attrs),
    .attrs = (const soma__attr[]){{"depth", SOMA__ATTR_INT, offsetof(soma__one_hot_attrs, depth), 1,
                                   "size of the new axis"},
                                  {0}},
    .rule = rule_one_hot,
    .gradient = soma__grad_none,
    .reference = reference_one_hot,
    .flops = soma__flops_none,
};

soma_var soma_one_hot(soma_var index, int64_t depth)
{
    const soma__one_hot_attrs attrs = {depth};
    return soma__graph_add(index.graph, &soma__op_one_hot, &index, 1, &attrs);
}
