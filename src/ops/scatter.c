/* scatter.c: reading and writing at places that an index names one by one.
 *
 *     elements   a cell for each cell of the index (torch.gather, torch.scatter)
 *     nd         a slice for each row of the index, whose numbers are the slice's position (ONNX)
 *
 * Both kinds say where slot i of the index lies in the array, and share everything else: rules of
 * gradients, kernels, the meaning of an index out of range (reads give 0, writes go nowhere). Slots
 * are written in their order, so repeated indexes give the same bits each time. */
#include <string.h>

#include "ops/ops.h"
#include "ops/places.h"

/* --- the two kinds, as gradients see them ------------------------------------------------------
 */

/* What gathers and scatters of one kind have in common: the attributes are those of the node. */
static soma_var again_gather(const soma__grad *g, bool nd, soma_var x, soma_var index)
{
    const soma__place_index_attrs attrs = {.axis =
                                               ((const soma__place_index_attrs *)g->attrs)->axis};
    const soma_var in[2] = {x, index};
    return soma__graph_add(g->graph, nd ? &soma__op_gather_nd : &soma__op_gather_elements, in, 2,
                           &attrs);
}

static soma_var again_scatter(const soma__grad *g, bool nd, soma_var x, soma_var index,
                              soma_var updates, soma_scatter how)
{
    const soma__place_index_attrs attrs = {
        .axis = ((const soma__place_index_attrs *)g->attrs)->axis, .reduction = (int64_t)how};
    const soma_var in[3] = {x, index, updates};
    return soma__graph_add(g->graph, nd ? &soma__op_scatter_nd : &soma__op_scatter_elements, in, 3,
                           &attrs);
}

static soma_var filled(soma_var like, double value)
{
    return soma_expand(soma_scalar(like.graph, soma_var_dtype(like), value), soma_var_shape(like));
}

static void grad_gather(soma__grad *g, bool nd)
{
    if (g->need[0])
        g->din[0] = again_scatter(g, nd, filled(g->in[0], 0), g->in[1], g->dout, SOMA_SCATTER_ADD);
}

/* 1 for the slots whose value stayed, 0 for those that a later one wrote over: each slot writes its
 * number, and looks whether it is still there. */
static soma_var survivors(const soma__grad *g, bool nd)
{
    const soma_var updates = g->in[2];
    soma_var none = soma_cast(filled(g->in[0], -1), SOMA_I64);
    soma_tensor *numbers;
    if (!soma_var_ok(updates) ||
        soma_tensor_create(&numbers, SOMA_I64, soma_var_shape(updates), &g->graph->error))
        return soma__failed(updates);
    int64_t *number = soma_tensor_data(numbers);
    for (int64_t i = 0; i < soma_tensor_count(numbers); i++)
        number[i] = i;
    soma_var slot = soma_constant(g->graph, numbers);
    soma_tensor_release(numbers);
    soma_var last = again_scatter(g, nd, none, g->in[1], slot, SOMA_SCATTER_SET);
    return soma_cast(soma_equal(again_gather(g, nd, last, g->in[1]), slot),
                     soma_var_dtype(updates));
}

/* Cells that equal the extreme share the gradient, as soma_max does it. */
static void grad_scatter_extreme(soma__grad *g, bool nd)
{
    const soma_var x = g->in[0], index = g->in[1], updates = g->in[2];
    const soma_dtype dtype = soma_var_dtype(x);
    soma_var from_x = soma_cast(soma_equal(x, g->out), dtype);
    soma_var from_updates =
        soma_cast(soma_equal(updates, again_gather(g, nd, g->out, index)), dtype);
    soma_var winners = again_scatter(g, nd, from_x, index, from_updates, SOMA_SCATTER_ADD);
    soma_var share = soma_div(g->dout, winners);
    if (g->need[0])
        g->din[0] = soma_mul(from_x, share);
    if (g->need[2])
        g->din[2] = soma_mul(from_updates, again_gather(g, nd, share, index));
}

static void grad_scatter(soma__grad *g, bool nd)
{
    const soma__place_index_attrs *attrs = g->attrs;
    const soma_var x = g->in[0], index = g->in[1], updates = g->in[2];
    switch ((soma_scatter)attrs->reduction) {
    case SOMA_SCATTER_SET:
        if (g->need[0])
            g->din[0] = again_scatter(g, nd, g->dout, index, filled(updates, 0), SOMA_SCATTER_SET);
        if (g->need[2])
            g->din[2] = soma_mul(again_gather(g, nd, g->dout, index), survivors(g, nd));
        break;
    case SOMA_SCATTER_ADD:
        if (g->need[0])
            g->din[0] = g->dout;
        if (g->need[2])
            g->din[2] = again_gather(g, nd, g->dout, index);
        break;
    case SOMA_SCATTER_MUL:
        if (g->need[0])
            g->din[0] = soma_mul(
                g->dout, again_scatter(g, nd, filled(x, 1), index, updates, SOMA_SCATTER_MUL));
        if (g->need[2])
            g->din[2] = soma_div(again_gather(g, nd, soma_mul(g->dout, g->out), index), updates);
        break;
    case SOMA_SCATTER_MAX:
    case SOMA_SCATTER_MIN:
        grad_scatter_extreme(g, nd);
        break;
    }
}

static void grad_gather_elements(soma__grad *g)
{
    grad_gather(g, false);
}

static void grad_gather_nd(soma__grad *g)
{
    grad_gather(g, true);
}

static void grad_scatter_elements(soma__grad *g)
{
    grad_scatter(g, false);
}

static void grad_scatter_nd(soma__grad *g)
{
    grad_scatter(g, true);
}

/* --- rules -------------------------------------------------------------------------------------
 */

static soma_status shapes_differ(soma__rule *rule, const char *text, int a, int b)
{
    char a_text[SOMA_SHAPE_TEXT_SIZE], b_text[SOMA_SHAPE_TEXT_SIZE];
    return soma__rule_fail(rule, SOMA_SHAPE, text,
                           soma_shape_text(&rule->in_shape[a], a_text, sizeof(a_text)),
                           soma_shape_text(&rule->in_shape[b], b_text, sizeof(b_text)));
}

/* x and index of the elements kind: as many dims, and no dim of the index larger but the axis. */
static soma_status rule_elements(soma__rule *rule)
{
    soma__place_index_attrs *attrs = rule->attrs;
    const soma_shape x = rule->in_shape[0], index = rule->in_shape[1];
    SOMA__TRY(soma__rule_integer(rule, 1));
    SOMA__TRY(soma__rule_axis(rule, &attrs->axis, x.ndim));
    bool fits = x.ndim == index.ndim;
    for (int d = 0; fits && d < x.ndim; d++)
        fits = d == attrs->axis || index.dim[d] <= x.dim[d];
    return fits ? SOMA_OK
                : shapes_differ(rule,
                                "x %s and index %s: both need as many dimensions, and but for the "
                                "axis the index none larger than x's",
                                0, 1);
}

/* Of the nd kind: x [B…,D…,R…], index [B…,I…,K] with K the number of D; the slices' shape
 * [B…,I…,R…]. */
static soma_status rule_nd(soma__rule *rule, soma_shape *slices)
{
    const soma__place_index_attrs *attrs = rule->attrs;
    const soma_shape x = rule->in_shape[0], index = rule->in_shape[1];
    const int64_t batch = attrs->axis;
    SOMA__TRY(soma__rule_integer(rule, 1));
    if (index.ndim < 1)
        return soma__rule_fail(rule, SOMA_SHAPE, "the index has no dimension for positions");
    if (batch < 0 || batch > index.ndim - 1 || batch > x.ndim)
        return soma__rule_fail(
            rule, SOMA_SHAPE,
            "%lld batch dimensions; x has %d dimensions, the index %d and a last "
            "one for positions",
            (long long)batch, x.ndim, index.ndim - 1);
    for (int d = 0; d < batch; d++)
        if (x.dim[d] != index.dim[d])
            return shapes_differ(rule, "x %s and index %s differ in a batch dimension", 0, 1);
    const int64_t k = index.dim[index.ndim - 1];
    if (k > x.ndim - batch)
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "a position of %lld numbers in the %d dimensions of x behind %lld "
                               "batch dimensions",
                               (long long)k, x.ndim, (long long)batch);
    const int ndim = index.ndim - 1 + x.ndim - (int)(batch + k);
    if (ndim > SOMA_MAX_DIMS)
        return soma__rule_fail(rule, SOMA_SHAPE, "the slices would have %d dimensions, at most %d",
                               ndim, SOMA_MAX_DIMS);
    *slices = (soma_shape){0};
    for (int d = 0; d < index.ndim - 1; d++)
        slices->dim[slices->ndim++] = index.dim[d];
    for (int d = (int)(batch + k); d < x.ndim; d++)
        slices->dim[slices->ndim++] = x.dim[d];
    return SOMA_OK;
}

static soma_status rule_gather_elements(soma__rule *rule)
{
    SOMA__TRY(rule_elements(rule));
    rule->shape = rule->in_shape[1];
    return SOMA_OK;
}

static soma_status rule_gather_nd(soma__rule *rule)
{
    soma_shape slices;
    SOMA__TRY(rule_nd(rule, &slices));
    rule->shape = slices;
    return SOMA_OK;
}

static soma_status rule_updates(soma__rule *rule, const soma_shape *wanted)
{
    const soma__place_index_attrs *attrs = rule->attrs;
    if (rule->in_dtype[0] != rule->in_dtype[2])
        return soma__rule_fail(rule, SOMA_DTYPE, "x is %s, updates are %s; use soma_cast",
                               soma_dtype_text(rule->in_dtype[0]),
                               soma_dtype_text(rule->in_dtype[2]));
    if (attrs->reduction < 0 || attrs->reduction > SOMA_SCATTER_MIN)
        return soma__rule_fail(rule, SOMA_INVALID, "%lld is no soma_scatter",
                               (long long)attrs->reduction);
    if (attrs->reduction != SOMA_SCATTER_SET && rule->in_dtype[0] == SOMA_BOOL)
        return soma__rule_fail(rule, SOMA_DTYPE, "bools can only be set");
    if (!soma_shape_equal(wanted, &rule->in_shape[2])) {
        char a[SOMA_SHAPE_TEXT_SIZE], b[SOMA_SHAPE_TEXT_SIZE];
        return soma__rule_fail(rule, SOMA_SHAPE, "updates are %s, the index asks for %s",
                               soma_shape_text(&rule->in_shape[2], a, sizeof(a)),
                               soma_shape_text(wanted, b, sizeof(b)));
    }
    return SOMA_OK;
}

static soma_status rule_scatter_elements(soma__rule *rule)
{
    SOMA__TRY(rule_elements(rule));
    return rule_updates(rule, &rule->in_shape[1]);
}

static soma_status rule_scatter_nd(soma__rule *rule)
{
    soma_shape slices;
    SOMA__TRY(rule_nd(rule, &slices));
    return rule_updates(rule, &slices);
}

/* --- reference kernels -------------------------------------------------------------------------
 */

static void reference_gather(const soma__call *call, bool nd)
{
    const soma__view *x = &call->in[0], *y = &call->out[0];
    const size_t size = soma_dtype_size(x->dtype);
    soma__places places;
    soma__places_start(&places, nd, call);
    if (y->count == 0)
        return;
    const size_t run = (size_t)places.run * size;
    char *to = y->data;
    for (int64_t i = 0; i < places.slots; i++, to += run) {
        const int64_t at = soma__place_of(&places, i);
        if (at >= 0)
            memcpy(to, (const char *)x->data + (size_t)at * size, run);
        else
            memset(to, 0, run);
    }
}

static double reduced(soma_scatter how, double have, double update)
{
    switch (how) {
    case SOMA_SCATTER_ADD:
        return have + update;
    case SOMA_SCATTER_MUL:
        return have * update;
    case SOMA_SCATTER_MAX:
        return have > update || have != have ? have : update;
    case SOMA_SCATTER_MIN:
        return have < update || have != have ? have : update;
    case SOMA_SCATTER_SET:
        break;
    }
    return update;
}

/* i64 does not fit into a double; its overflow wraps around as everywhere. */
static int64_t reduced_i64(soma_scatter how, int64_t have, int64_t update)
{
    switch (how) {
    case SOMA_SCATTER_ADD:
        return (int64_t)((uint64_t)have + (uint64_t)update);
    case SOMA_SCATTER_MUL:
        return (int64_t)((uint64_t)have * (uint64_t)update);
    case SOMA_SCATTER_MAX:
        return have > update ? have : update;
    case SOMA_SCATTER_MIN:
        return have < update ? have : update;
    case SOMA_SCATTER_SET:
        break;
    }
    return update;
}

/* Each step is rounded to the dtype: exact sums in double would take a pass over the index for each
 * cell. */
static void reference_scatter(const soma__call *call, bool nd)
{
    const soma__place_index_attrs *attrs = call->attrs;
    const soma__view *x = &call->in[0], *updates = &call->in[2], *y = &call->out[0];
    const soma_scatter how = (soma_scatter)attrs->reduction;
    const size_t size = soma_dtype_size(x->dtype);
    soma__places places;
    soma__places_start(&places, nd, call);
    if (y->count == 0)
        return;
    memcpy(y->data, x->data, (size_t)y->count * size);
    for (int64_t i = 0; i < places.slots; i++) {
        const int64_t at = soma__place_of(&places, i), from = i * places.run;
        if (at < 0)
            continue;
        for (int64_t k = 0; k < places.run; k++)
            if (how == SOMA_SCATTER_SET)
                memcpy((char *)y->data + (size_t)(at + k) * size,
                       (const char *)updates->data + (size_t)(from + k) * size, size);
            else if (y->dtype == SOMA_I64)
                ((int64_t *)y->data)[at + k] = reduced_i64(
                    how, ((int64_t *)y->data)[at + k], ((const int64_t *)updates->data)[from + k]);
            else
                soma__store(y->dtype, y->data, at + k,
                            reduced(how, soma__load(y->dtype, y->data, at + k),
                                    soma__load(y->dtype, updates->data, from + k)));
    }
}

static void reference_gather_elements(const soma__call *call)
{
    reference_gather(call, false);
}

static void reference_gather_nd(const soma__call *call)
{
    reference_gather(call, true);
}

static void reference_scatter_elements(const soma__call *call)
{
    reference_scatter(call, false);
}

static void reference_scatter_nd(const soma__call *call)
{
    reference_scatter(call, true);
}

/* --- descriptors and builders ------------------------------------------------------------------
 */

#define REDUCTION                                                                                  \
    {                                                                                              \
        "reduction", SOMA__ATTR_INT, offsetof(soma__place_index_attrs, reduction), 1,              \
            "0 set, 1 add, 2 mul, 3 max, 4 min"                                                    \
    }
#define AXIS(name_, doc_)                                                                          \
    {                                                                                              \
        name_, SOMA__ATTR_INT, offsetof(soma__place_index_attrs, axis), 1, doc_                    \
    }
#define PLACES_OP(name_, doc_, inputs_, count_, flops_, ...)                                       \
    const soma__op soma__op_##name_ = {                                                            \
        .name = #name_,                                                                            \
        .family = "scatter",                                                                       \
        .doc = doc_,                                                                               \
        .inputs = inputs_,                                                                         \
        .min_inputs = count_,                                                                      \
        .max_inputs = count_,                                                                      \
        .attr_size = sizeof(soma__place_index_attrs),                                              \
        .attrs = (const soma__attr[]){__VA_ARGS__, {0}},                                           \
        .rule = rule_##name_,                                                                      \
        .gradient = grad_##name_,                                                                  \
        .reference = reference_##name_,                                                            \
        .flops = flops_,                                                                           \
    };

static double flops_updates(const soma__call *call)
{
    return (double)call->in[2].count;
}

PLACES_OP(gather_elements, "y[i,j,k] = x[index[i,j,k],j,k] along an axis; 0 out of range",
          "x index", 2, soma__flops_none, AXIS("axis", "indexed"))
PLACES_OP(gather_nd, "y[i...] = x[index[i...,0],index[i...,1],...]; 0 out of range", "x index", 2,
          soma__flops_none, AXIS("batch_dims", "leading dims that x and index share"))
PLACES_OP(scatter_elements, "y = x; y[index[i,j,k],j,k] = or += ... updates[i,j,k] along an axis",
          "x index updates", 3, flops_updates, AXIS("axis", "indexed"), REDUCTION)
PLACES_OP(scatter_nd, "y = x; y[index[i...,0],index[i...,1],...] = or += ... updates[i...]",
          "x index updates", 3, flops_updates,
          AXIS("batch_dims", "leading dims that x and index share"), REDUCTION)

soma_var soma_gather_elements(soma_var x, soma_var index, int64_t axis)
{
    const soma__place_index_attrs attrs = {.axis = axis};
    const soma_var in[2] = {x, index};
    return soma__graph_add(x.graph, &soma__op_gather_elements, in, 2, &attrs);
}

soma_var soma_gather_nd(soma_var x, soma_var index, int64_t batch_dims)
{
    const soma__place_index_attrs attrs = {.axis = batch_dims};
    const soma_var in[2] = {x, index};
    return soma__graph_add(x.graph, &soma__op_gather_nd, in, 2, &attrs);
}

soma_var soma_scatter_elements(soma_var x, soma_var index, soma_var updates, int64_t axis,
                               soma_scatter how)
{
    const soma__place_index_attrs attrs = {.axis = axis, .reduction = (int64_t)how};
    const soma_var in[3] = {x, index, updates};
    return soma__graph_add(x.graph, &soma__op_scatter_elements, in, 3, &attrs);
}

soma_var soma_scatter_nd(soma_var x, soma_var index, soma_var updates, int64_t batch_dims,
                         soma_scatter how)
{
    const soma__place_index_attrs attrs = {.axis = batch_dims, .reduction = (int64_t)how};
    const soma_var in[3] = {x, index, updates};
    return soma__graph_add(x.graph, &soma__op_scatter_nd, in, 3, &attrs);
}

/* NumPy's: the index broadcasts against x but for the axis. */
soma_var soma_take_along(soma_var x, soma_var index, int64_t axis)
{
    if (!soma_var_ok(x) || !soma_var_ok(index))
        return soma__failed(x);
    soma_shape to = soma_var_shape(x), i = soma_var_shape(index);
    if (to.ndim == i.ndim && axis >= -to.ndim && axis < to.ndim) {
        axis += axis < 0 ? to.ndim : 0;
        to.dim[axis] = i.dim[axis];
        for (int d = 0; d < to.ndim; d++)
            if (to.dim[d] == 1 && i.dim[d] != 1 && d != axis)
                to.dim[d] = i.dim[d];
        soma_shape from = to;
        from.dim[axis] = soma_var_shape(x).dim[axis];
        index = soma_expand(index, to);
        x = soma_expand(x, from);
    }
    return soma_gather_elements(x, index, axis);
}

/* --- embedding, masked_fill --------------------------------------------------------------------
 */

static soma_status rule_embedding(soma__rule *rule)
{
    const soma__embedding_attrs *attrs = rule->attrs;
    const soma_shape w = rule->in_shape[0], index = rule->in_shape[1];
    SOMA__TRY(soma__rule_float(rule, 0));
    SOMA__TRY(soma__rule_integer(rule, 1));
    if (w.ndim != 2)
        return soma__rule_fail(rule, SOMA_SHAPE, "the table has %d dimensions, must have 2",
                               w.ndim);
    if (index.ndim == SOMA_MAX_DIMS)
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "the index has %d dimensions, no room for one more", index.ndim);
    if (attrs->padding < -1 || attrs->padding >= w.dim[0])
        return soma__rule_fail(rule, SOMA_INVALID, "padding row %lld of %lld rows; -1 means none",
                               (long long)attrs->padding, (long long)w.dim[0]);
    rule->shape = index;
    rule->shape.dim[rule->shape.ndim++] = w.dim[1];
    return SOMA_OK;
}

/* Cells of the padding row are read past the gradient. */
static soma_var decompose_embedding(soma_graph *graph, const soma_var *in, int nin,
                                    const void *attrs)
{
    const soma__embedding_attrs *a = attrs;
    soma_var y = soma_gather(in[0], in[1], 0);
    (void)nin;
    if (a->padding < 0)
        return y;
    soma_var row = soma_scalar(graph, soma_var_dtype(in[1]), (double)a->padding);
    soma_var padding = soma_unsqueeze(soma_equal(in[1], row), -1);
    return soma_where(padding, soma_stop_gradient(y), y);
}

const soma__op soma__op_embedding = {
    .name = "embedding",
    .family = "scatter",
    .doc = "rows of a table: y[i...] = table[index[i...]]; the padding row gets no gradient",
    .inputs = "table index",
    .min_inputs = 2,
    .max_inputs = 2,
    .attr_size = sizeof(soma__embedding_attrs),
    .attrs =
        (const soma__attr[]){{"padding", SOMA__ATTR_INT, offsetof(soma__embedding_attrs, padding),
                              1, "row that is not learned; -1: none"},
                             {0}},
    .rule = rule_embedding,
    .decompose = decompose_embedding,
};

soma_var soma_embedding(soma_var table, soma_var index, int64_t padding)
{
    const soma__embedding_attrs attrs = {padding};
    const soma_var in[2] = {table, index};
    return soma__graph_add(table.graph, &soma__op_embedding, in, 2, &attrs);
}

static soma_status rule_masked_fill(soma__rule *rule)
{
    soma_shape both;
    if (rule->in_dtype[1] != SOMA_BOOL)
        return soma__rule_fail(rule, SOMA_DTYPE, "the mask is %s, must be bool",
                               soma_dtype_text(rule->in_dtype[1]));
    if (!soma__shape_broadcast(&rule->in_shape[0], &rule->in_shape[1], &both) ||
        !soma_shape_equal(&both, &rule->in_shape[0]))
        return shapes_differ(rule, "x %s: the mask %s does not broadcast to it", 0, 1);
    return SOMA_OK;
}

static soma_var decompose_masked_fill(soma_graph *graph, const soma_var *in, int nin,
                                      const void *attrs)
{
    const soma__slope_attrs *a = attrs;
    (void)nin;
    return soma_where(in[1], soma_scalar(graph, soma_var_dtype(in[0]), a->slope), in[0]);
}

const soma__op soma__op_masked_fill = {
    .name = "masked_fill",
    .family = "scatter",
    .doc = "x with a number wherever the mask is true",
    .inputs = "x mask",
    .min_inputs = 2,
    .max_inputs = 2,
    .attr_size = sizeof(soma__slope_attrs),
    .attrs = (const soma__attr[]){{"value", SOMA__ATTR_FLOAT, offsetof(soma__slope_attrs, slope), 1,
                                   "of the masked cells"},
                                  {0}},
    .rule = rule_masked_fill,
    .decompose = decompose_masked_fill,
};

soma_var soma_masked_fill(soma_var x, soma_var mask, double value)
{
    const soma__slope_attrs attrs = {value};
    const soma_var in[2] = {x, mask};
    return soma__graph_add(x.graph, &soma__op_masked_fill, in, 2, &attrs);
}
