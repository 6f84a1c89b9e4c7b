/* conv_nd.c: convs over one and three axes, and the transposed ones. All are composites of conv2d
 * and its input gradient, so they have its kernels and gradients of any order.
 *
 *     one axis     an image of height 1
 *     three axes   the sum over the kernel's depth of 2-D convs: tap u sees, for each depth of y,
 *                  one slice of x, and these slices stand side by side in the batch
 *     transposed   conv2d_input_grad: y is an image that the conv would have made x of
 */
#include "ops/ops.h"
#include "ops/window.h"

#define LIMIT (INT64_C(1) << 40)

/* --- rules ------------------------------------------------------------------------------------ */

static const char *const image_dims[] = {NULL, "[N,L,C]", "[N,H,W,C]", "[N,D,H,W,C]"};
static const char *const weight_dims[] = {NULL, "[O,k,C/groups]", NULL, "[O,kd,kh,kw,C/groups]"};
static const char *const transposed_dims[] = {NULL, "[C,k,O/groups]", "[C,kh,kw,O/groups]",
                                              "[C,kd,kh,kw,O/groups]"};

static soma_status check_array(soma__rule *rule, const char *what, const soma_shape *shape,
                               int dims, const char *layout, bool batch)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    bool fits = shape->ndim == dims + 2;
    for (int d = batch ? 1 : 0; fits && d < shape->ndim; d++)
        fits = shape->dim[d] > 0;
    if (fits)
        return SOMA_OK;
    return soma__rule_fail(rule, SOMA_SHAPE, "%s must be %s, with sizes of at least 1, but is %s",
                           what, layout, soma_shape_text(shape, text, sizeof text));
}

static soma__window window_of(soma__rule *rule, int dims)
{
    soma__conv_nd_attrs *attrs = rule->attrs;
    return (soma__window){.what = "kernel",
                          .dims = dims,
                          .input = &rule->in_shape[0].dim[1],
                          .size = &rule->in_shape[1].dim[1],
                          .stride = attrs->stride,
                          .dilation = attrs->dilation,
                          .pad = attrs->pad,
                          .padding = &attrs->padding};
}

static soma_status check_groups(soma__rule *rule, int64_t groups, int64_t outputs)
{
    if (groups < 1)
        return soma__rule_fail(rule, SOMA_INVALID, "groups %lld must be at least 1",
                               (long long)groups);
    if (outputs % groups != 0)
        return soma__rule_fail(rule, SOMA_SHAPE, "%lld channels do not divide into %lld groups",
                               (long long)outputs, (long long)groups);
    return SOMA_OK;
}

static soma_status conv_rule(soma__rule *rule, int dims)
{
    const soma__conv_nd_attrs *attrs = rule->attrs;
    const soma_shape *x = &rule->in_shape[0], *w = &rule->in_shape[1];
    char tx[SOMA_SHAPE_TEXT_SIZE], tw[SOMA_SHAPE_TEXT_SIZE];
    int64_t channels;
    SOMA__TRY(soma__rule_float(rule, 0));
    SOMA__TRY(soma__rule_same_dtypes(rule));
    SOMA__TRY(check_array(rule, "x", x, dims, image_dims[dims], true));
    SOMA__TRY(check_array(rule, "w", w, dims, weight_dims[dims], false));
    SOMA__TRY(check_groups(rule, attrs->groups, w->dim[0]));
    if (!soma__mul64(w->dim[dims + 1], attrs->groups, &channels) || channels != x->dim[dims + 1])
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "input has %lld channels, weight expects %lld for each of %lld "
                               "groups: x %s, w %s",
                               (long long)x->dim[dims + 1], (long long)w->dim[dims + 1],
                               (long long)attrs->groups, soma_shape_text(x, tx, sizeof tx),
                               soma_shape_text(w, tw, sizeof tw));
    const soma__window window = window_of(rule, dims);
    SOMA__TRY(soma__window_resolve(rule, &window, &rule->shape.dim[1]));
    rule->shape.dim[dims + 1] = w->dim[0];
    return SOMA_OK;
}

/* The size of y along axis `d`, and the pads that SAME stands for: those that give input · stride,
 * the odd cell at the end. */
static soma_status transposed_size(soma__rule *rule, const soma__window *w, int d, int64_t *size)
{
    soma__conv_nd_attrs *attrs = rule->attrs;
    int64_t *begin = &attrs->pad[d], *end = &attrs->pad[d + w->dims];
    int64_t *more = &attrs->output_padding[d];
    const int64_t stride = attrs->stride[d];
    const int64_t extent = soma__window_extent(w->size[d], attrs->dilation[d]);
    int64_t steps;
    if (*more < 0 || (*more >= stride && *more >= attrs->dilation[d]))
        return soma__rule_fail(rule, SOMA_INVALID,
                               "output_padding %lld must be at least 0 and less than the stride "
                               "%lld or the dilation %lld",
                               (long long)*more, (long long)stride, (long long)attrs->dilation[d]);
    if (w->input[d] > LIMIT || !soma__mul64(w->input[d] - 1, stride, &steps) || steps > LIMIT)
        return soma__rule_fail(rule, SOMA_SHAPE, "the output is too large");
    if (attrs->padding == SOMA_PAD_SAME || attrs->padding == SOMA_PAD_SAME_LOWER) {
        int64_t total = extent + *more - stride;
        if (total < 0) /* gaps between the windows: y ends with one */
            *more -= total;
        total = total > 0 ? total : 0;
        *begin = attrs->padding == SOMA_PAD_SAME ? total / 2 : total - total / 2;
        *end = total - *begin;
    }
    *size = steps + extent - *begin - *end + *more;
    if (*size < 1)
        return soma__rule_fail(
            rule, SOMA_SHAPE, "pads %lld and %lld leave nothing of %lld output cells",
            (long long)*begin, (long long)*end, (long long)(steps + extent + *more));
    /* What the end pad takes away, output_padding gives back. */
    int64_t both = *more < *end ? *more : *end;
    *more -= both;
    *end -= both;
    return SOMA_OK;
}

static soma_status transposed_rule(soma__rule *rule, int dims)
{
    soma__conv_nd_attrs *attrs = rule->attrs;
    const soma_shape *x = &rule->in_shape[0], *w = &rule->in_shape[1];
    char tx[SOMA_SHAPE_TEXT_SIZE], tw[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(soma__rule_float(rule, 0));
    SOMA__TRY(soma__rule_same_dtypes(rule));
    SOMA__TRY(check_array(rule, "x", x, dims, image_dims[dims], true));
    SOMA__TRY(check_array(rule, "w", w, dims, transposed_dims[dims], false));
    SOMA__TRY(check_groups(rule, attrs->groups, x->dim[dims + 1]));
    if (w->dim[0] != x->dim[dims + 1])
        return soma__rule_fail(
            rule, SOMA_SHAPE, "input has %lld channels, weight expects %lld: x %s, w %s",
            (long long)x->dim[dims + 1], (long long)w->dim[0], soma_shape_text(x, tx, sizeof tx),
            soma_shape_text(w, tw, sizeof tw));
    const soma__window window = window_of(rule, dims);
    SOMA__TRY(soma__window_check(rule, &window));
    for (int d = 0; d < dims; d++)
        SOMA__TRY(transposed_size(rule, &window, d, &rule->shape.dim[d + 1]));
    attrs->padding = SOMA_PAD_EXPLICIT;
    if (!soma__mul64(w->dim[dims + 1], attrs->groups, &rule->shape.dim[dims + 1]))
        return soma__rule_fail(rule, SOMA_SHAPE, "the output is too large");
    return SOMA_OK;
}

/* --- the 2-D parts ---------------------------------------------------------------------------- */

/* The last two of `dims` axes; of a single one, with a height of 1 before it. */
static soma__conv_attrs flat_attrs(const soma__conv_nd_attrs *nd, int dims)
{
    soma__conv_attrs attrs = {.stride = {1, 1}, .dilation = {1, 1}, .groups = nd->groups};
    for (int d = dims > 1 ? 0 : 1; d < 2; d++) {
        int from = dims - 2 + d;
        attrs.stride[d] = nd->stride[from];
        attrs.dilation[d] = nd->dilation[from];
        attrs.pad[d] = nd->pad[from];
        attrs.pad[d + 2] = nd->pad[from + dims];
    }
    return attrs;
}

/* x with `first` in the place of all axes but the last three; a line gets a height of 1. */
static soma_var as_images(soma_var x, int64_t first)
{
    if (!soma_var_ok(x))
        return soma__failed(x);
    soma_shape s = soma_var_shape(x);
    int64_t height = s.ndim > 3 ? s.dim[s.ndim - 3] : 1;
    return soma_reshape(x, SOMA_SHAPE(first, height, s.dim[s.ndim - 2], s.dim[s.ndim - 1]));
}

static soma_var forward2d(soma_var x, soma_var w, const soma__conv_nd_attrs *nd, int dims)
{
    soma__conv_attrs attrs = flat_attrs(nd, dims);
    return soma__graph_add(NULL, &soma__op_conv2d, (soma_var[]){x, w}, 2, &attrs);
}

/* What output_padding leaves over is cells that no window reaches, and there may be more of them
 * than a conv with this stride would pass over: those are added as zeros. */
static soma_var transposed2d(soma_var x, soma_var w, const soma__conv_nd_attrs *nd, int dims)
{
    soma__conv_attrs attrs = flat_attrs(nd, dims);
    soma_shape sx = soma_var_shape(x), sw = soma_var_shape(w);
    int64_t before[4] = {0}, after[4] = {0};
    bool short_of = false;
    for (int d = 0; d < 2; d++) {
        int from = dims - 2 + d;
        int64_t more = from < 0 ? 0 : nd->output_padding[from];
        int64_t within = more < attrs.stride[d] ? more : attrs.stride[d] - 1;
        attrs.size[d] = (sx.dim[d + 1] - 1) * attrs.stride[d] +
                        soma__window_extent(sw.dim[d + 1], attrs.dilation[d]) - attrs.pad[d] -
                        attrs.pad[d + 2] + within;
        after[d + 1] = more - within;
        short_of = short_of || more > within;
    }
    soma_var y = soma__graph_add(NULL, &soma__op_conv2d_input_grad, (soma_var[]){x, w}, 2, &attrs);
    return short_of ? soma_pad(y, before, after, 4, 0) : y;
}

/* --- one axis --------------------------------------------------------------------------------- */

static soma_var one_axis(const soma_var *in, const soma__conv_nd_attrs *attrs,
                         soma_var (*flat)(soma_var x, soma_var w, const soma__conv_nd_attrs *nd,
                                          int dims))
{
    soma_var x = as_images(in[0], soma_var_shape(in[0]).dim[0]);
    soma_var y = flat(x, as_images(in[1], soma_var_shape(in[1]).dim[0]), attrs, 1);
    soma_shape s = soma_var_shape(y);
    return soma_reshape(y, SOMA_SHAPE(s.dim[0], s.dim[2], s.dim[3]));
}

static soma_var decompose_conv1d(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)graph, (void)nin;
    return one_axis(in, attrs, forward2d);
}

static soma_var decompose_conv_transpose1d(soma_graph *graph, const soma_var *in, int nin,
                                           const void *attrs)
{
    (void)graph, (void)nin;
    return one_axis(in, attrs, transposed2d);
}

static soma_var decompose_conv_transpose2d(soma_graph *graph, const soma_var *in, int nin,
                                           const void *attrs)
{
    (void)graph, (void)nin;
    return transposed2d(in[0], in[1], attrs, 2);
}

/* --- three axes ------------------------------------------------------------------------------- */

/* Tap `u` of w: [O,kh,kw,I]. */
static soma_var depth_tap(soma_var w, int64_t u)
{
    return as_images(soma_slice(w, 1, u, u + 1), soma_var_shape(w).dim[0]);
}

/* x [N,D,…] at the depths `index` [count], a depth of zeros where it is -1. */
static soma_var depths(soma_var x, soma_tensor *index)
{
    const int64_t *at = soma_tensor_const_data(index), count = soma_tensor_count(index);
    bool same = count == soma_var_shape(x).dim[1];
    for (int64_t i = 0; i < count && same; i++)
        same = at[i] == i;
    return same ? x : soma_gather(x, soma_constant(x.graph, index), 1);
}

/* The sum over u of part(u), each with its own table of depths; `table` fills it and returns false
 * where tap u never meets a cell. */
typedef struct depth_sum {
    const soma__conv_nd_attrs *attrs;
    int64_t inputs, outputs; /* depths of x and of y */
} depth_sum;

static bool forward_table(const depth_sum *g, int64_t u, int64_t *index)
{
    bool met = false;
    for (int64_t i = 0; i < g->outputs; i++) {
        int64_t at = i * g->attrs->stride[0] - g->attrs->pad[0] + u * g->attrs->dilation[0];
        index[i] = at >= 0 && at < g->inputs ? at : -1;
        met = met || index[i] >= 0;
    }
    return met;
}

static bool transposed_table(const depth_sum *g, int64_t u, int64_t *index)
{
    bool met = false;
    for (int64_t i = 0; i < g->outputs; i++) {
        int64_t at = i + g->attrs->pad[0] - u * g->attrs->dilation[0];
        bool read = at >= 0 && at % g->attrs->stride[0] == 0;
        index[i] = read && at / g->attrs->stride[0] < g->inputs ? at / g->attrs->stride[0] : -1;
        met = met || index[i] >= 0;
    }
    return met;
}

/* Before the 2-D conv the depths that y's depths see are looked up; transposed, they are after it.
 */
static soma_var three_axes(soma_graph *graph, const soma_var *in, const soma__conv_nd_attrs *attrs,
                           bool transposed)
{
    const soma_shape x = soma_var_shape(in[0]), w = soma_var_shape(in[1]);
    const int64_t extent = soma__window_extent(w.dim[1], attrs->dilation[0]);
    const int64_t ends = attrs->pad[0] + attrs->pad[3], n = x.dim[0];
    depth_sum g = {.attrs = attrs, .inputs = x.dim[1]};
    if (transposed)
        g.outputs = (g.inputs - 1) * attrs->stride[0] + extent - ends + attrs->output_padding[0];
    else
        g.outputs = (g.inputs + ends - extent) / attrs->stride[0] + 1;

    soma_tensor *index;
    if (soma_tensor_create(&index, SOMA_I64, SOMA_SHAPE(g.outputs), &graph->error) != SOMA_OK)
        return soma__failed(in[0]);
    soma_var sum = {0};
    for (int64_t u = 0; u < w.dim[1]; u++) {
        int64_t *table = soma_tensor_data(index);
        soma_var part;
        /* The first tap stays, so that there is a sum. */
        if (!(transposed ? transposed_table : forward_table)(&g, u, table) && u > 0)
            continue;
        if (transposed) {
            part = transposed2d(as_images(in[0], n * g.inputs), depth_tap(in[1], u), attrs, 3);
            soma_shape s = soma_var_shape(part);
            part = soma_reshape(part, SOMA_SHAPE(n, g.inputs, s.dim[1], s.dim[2], s.dim[3]));
            part = depths(part, index);
        } else {
            part = as_images(depths(in[0], index), n * g.outputs);
            part = forward2d(part, depth_tap(in[1], u), attrs, 3);
        }
        sum = sum.graph ? soma_add(sum, part) : part;
    }
    soma_tensor_release(index);
    if (transposed)
        return sum;
    soma_shape s = soma_var_shape(sum);
    return soma_reshape(sum, SOMA_SHAPE(n, g.outputs, s.dim[1], s.dim[2], s.dim[3]));
}

static soma_var decompose_conv3d(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)nin;
    return three_axes(graph, in, attrs, false);
}

static soma_var decompose_conv_transpose3d(soma_graph *graph, const soma_var *in, int nin,
                                           const void *attrs)
{
    (void)nin;
    return three_axes(graph, in, attrs, true);
}

/* --- descriptors and builders ----------------------------------------------------------------- */

#define ATTR(name_, kind_, count_, doc_)                                                           \
    {                                                                                              \
#name_, kind_, offsetof(soma__conv_nd_attrs, name_), count_, doc_                          \
    }
#define GEOMETRY                                                                                   \
    ATTR(stride, SOMA__ATTR_INT, 3, "of each image axis"),                                         \
        ATTR(dilation, SOMA__ATTR_INT, 3, "of each image axis"),                                   \
        ATTR(pad, SOMA__ATTR_INT, 6, "begins of the image axes, then their ends"),                 \
        ATTR(groups, SOMA__ATTR_INT, 1, "channels fall into so many separate convs")
static const soma__attr conv_attrs[] = {GEOMETRY, {0}};
static const soma__attr transposed_attrs[] = {
    GEOMETRY, ATTR(output_padding, SOMA__ATTR_INT, 3, "cells added at the ends"), {0}};

#define CONV_ND(name_, rule_, dims_, attrs_, doc_)                                                 \
    static soma_status name_##_rule(soma__rule *rule)                                              \
    {                                                                                              \
        return rule_(rule, dims_);                                                                 \
    }                                                                                              \
    const soma__op soma__op_##name_ = {.name = #name_,                                             \
                                       .family = "conv_nd",                                        \
                                       .doc = doc_,                                                \
                                       .inputs = "x w",                                            \
                                       .min_inputs = 2,                                            \
                                       .max_inputs = 2,                                            \
                                       .attr_size = sizeof(soma__conv_nd_attrs),                   \
                                       .attrs = attrs_,                                            \
                                       .rule = name_##_rule,                                       \
                                       .decompose = decompose_##name_};                            \
    soma_var soma_##name_##_opt(soma_var x, soma_var w, soma_conv_nd_options options)              \
    {                                                                                              \
        return add(&soma__op_##name_, x, w, &options, dims_);                                      \
    }

static soma_var add(const soma__op *op, soma_var x, soma_var w, const soma_conv_nd_options *o,
                    int dims)
{
    soma__conv_nd_attrs attrs = {.groups = o->groups ? o->groups : 1,
                                 .padding = (int64_t)o->padding};
    for (int d = 0; d < dims; d++) {
        attrs.stride[d] = o->stride[d] ? o->stride[d] : 1;
        attrs.dilation[d] = o->dilation[d] ? o->dilation[d] : 1;
        attrs.pad[d] = o->pad[d];
        attrs.pad[d + dims] = o->pad[d + dims];
        attrs.output_padding[d] = o->output_padding[d];
    }
    return soma__graph_add(NULL, op, (soma_var[]){x, w}, 2, &attrs);
}

CONV_ND(conv1d, conv_rule, 1, conv_attrs, "x [N,L,C] * w [O,k,C/groups] -> [N,Lo,O]")
CONV_ND(conv3d, conv_rule, 3, conv_attrs,
        "x [N,D,H,W,C] * w [O,kd,kh,kw,C/groups] -> [N,Do,Ho,Wo,O]")
CONV_ND(conv_transpose1d, transposed_rule, 1, transposed_attrs,
        "x [N,L,C], w [C,k,O/groups] -> [N,Lo,O], the transpose of conv1d")
CONV_ND(conv_transpose2d, transposed_rule, 2, transposed_attrs,
        "x [N,H,W,C], w [C,kh,kw,O/groups] -> [N,Ho,Wo,O], the transpose of conv2d")
CONV_ND(conv_transpose3d, transposed_rule, 3, transposed_attrs,
        "x [N,D,H,W,C], w [C,kd,kh,kw,O/groups] -> [N,Do,Ho,Wo,O], the transpose of conv3d")
