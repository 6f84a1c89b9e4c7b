/* resize.c: images in other sizes. Every kind of resizing is separable: along each axis a cell of
 * the result is a weighted sum of a few cells of x. Here the tables of indexes and weights are
 * made; resample.c does the sums, and the transposed ones of the gradient. */
#include "ops/ops.h"

#define LIMIT (INT64_C(1) << 40)

/* --- where a cell lies, and what it is made of ------------------------------------------------ */

/* Cell y of the result along axis `d`, in cells of x. */
static double position(const soma__resize_attrs *a, int d, int64_t in, int64_t y)
{
    const double at = (double)y, scale = a->scale[d], size = (double)in;
    const int64_t out = a->size[d];
    const double half = (at + 0.5) / scale - 0.5;
    switch ((soma_resize_coordinates)a->coordinates) {
    case SOMA_COORD_PYTORCH_HALF_PIXEL:
        return out > 1 ? half : 0;
    case SOMA_COORD_ALIGN_CORNERS:
        return out > 1 ? at * (size - 1) / (double)(out - 1) : 0;
    case SOMA_COORD_ASYMMETRIC:
        return at / scale;
    case SOMA_COORD_HALF_PIXEL_SYMMETRIC:
        return size / 2 * (1 - (double)out / (scale * size)) + half;
    case SOMA_COORD_CROP:
        if (out > 1)
            return a->start[d] * (size - 1) +
                   at * (a->end[d] - a->start[d]) * (size - 1) / (double)(out - 1);
        return (a->start[d] + a->end[d]) * (size - 1) / 2;
    case SOMA_COORD_HALF_PIXEL:
    default:
        return half;
    }
}

static double round_by(int64_t rounding, double x)
{
    switch ((soma_resize_rounding)rounding) {
    case SOMA_ROUND_PREFER_CEIL:
        return floor(x + 0.5);
    case SOMA_ROUND_FLOOR:
        return floor(x);
    case SOMA_ROUND_CEIL:
        return ceil(x);
    case SOMA_ROUND_PREFER_FLOOR:
    default:
        return ceil(x - 0.5);
    }
}

/* The weight of a cell at this distance: a tent, or Keys' cubic. */
static double kernel(const soma__resize_attrs *a, double distance)
{
    const double x = fabs(distance), c = a->cubic_a;
    if (a->mode == SOMA_RESIZE_LINEAR)
        return x < 1 ? 1 - x : 0;
    if (x <= 1)
        return ((c + 2) * x - (c + 3)) * x * x + 1;
    return x < 2 ? c * (((x - 5) * x + 8) * x - 4) : 0;
}

/* Half the cells that the kernel covers, and how much it is stretched. */
static double stretch_of(const soma__resize_attrs *a, int d)
{
    return a->antialias && a->scale[d] < 1 ? 1 / a->scale[d] : 1;
}

static int64_t taps_of(const soma__resize_attrs *a, int d)
{
    const double reach = a->mode == SOMA_RESIZE_LINEAR ? 1 : 2;
    double stretch = stretch_of(a, d);
    if (a->mode == SOMA_RESIZE_NEAREST)
        return 1;
    return stretch > 1 ? (int64_t)ceil(2 * reach * stretch) + 2 : (int64_t)(2 * reach);
}

/* One row of a table; taps that are not used keep weight 0 and index -1. */
static void fill_row(const soma__resize_attrs *a, int d, int64_t in, int64_t y, int64_t taps,
                     int64_t *index, double *weight)
{
    const double x = position(a, d, in, y), stretch = stretch_of(a, d);
    const double last = (double)(in - 1);
    for (int64_t k = 0; k < taps; k++) {
        index[k] = -1;
        weight[k] = 0;
    }
    if (a->coordinates == SOMA_COORD_CROP && !(x >= 0 && x <= last))
        return;
    if (a->mode == SOMA_RESIZE_NEAREST) {
        index[0] = (int64_t)fmin(fmax(round_by(a->rounding, x), 0), last);
        weight[0] = 1;
        return;
    }
    const double reach = (a->mode == SOMA_RESIZE_LINEAR ? 1 : 2) * stretch;
    /* Stretched, all cells under the kernel count; else the same number of them, at whose far ends
     * the kernel may be 0. */
    double first = stretch > 1 ? fmax(floor(x - reach + 1), 0) : floor(x) - reach + 1;
    double sum = 0;
    bool part = a->exclude_outside || stretch > 1;
    for (int64_t k = 0; k < taps; k++) {
        double cell = first + (double)k;
        bool inside = cell >= 0 && cell <= last;
        if (part && !inside)
            continue;
        index[k] = (int64_t)fmin(fmax(cell, 0), last);
        weight[k] = kernel(a, (cell - x) / stretch);
        sum += weight[k];
    }
    for (int64_t k = 0; part && sum != 0 && k < taps; k++)
        weight[k] /= sum;
}

/* --- the composite ---------------------------------------------------------------------------- */

/* x along axis d + 1, unless that stays as it is. */
static soma_var resize_axis(soma_var x, const soma__resize_attrs *a, int d)
{
    if (!soma_var_ok(x))
        return soma__failed(x);
    soma_graph *graph = x.graph;
    const int64_t in = soma_var_shape(x).dim[d + 1], out = a->size[d], taps = taps_of(a, d);
    const bool nearest = a->mode == SOMA_RESIZE_NEAREST;
    const soma_dtype dtype = nearest ? SOMA_F64 : soma_var_dtype(x);
    soma_tensor *index = NULL, *weight = NULL, *row = NULL;
    soma_var y = soma__failed(x);
    if (soma_tensor_create(&index, SOMA_I64, SOMA_SHAPE(out, taps), &graph->error) ||
        soma_tensor_create(&weight, dtype, SOMA_SHAPE(out, taps), &graph->error) ||
        soma_tensor_create(&row, SOMA_F64, SOMA_SHAPE(taps), &graph->error))
        goto done;
    double *weights = soma_tensor_data(row);
    bool same = in == out;
    for (int64_t j = 0; j < out; j++) {
        int64_t *at = (int64_t *)soma_tensor_data(index) + j * taps;
        double own = 0;
        fill_row(a, d, in, j, taps, at, weights);
        for (int64_t k = 0; k < taps; k++) {
            soma_tensor_set(weight, j * taps + k, weights[k]);
            if (at[k] == j)
                own += weights[k];
            else
                same = same && weights[k] == 0;
        }
        same = same && own == 1;
    }
    if (same)
        y = x;
    else if (nearest)
        y = soma_gather(x, soma_reshape(soma_constant(graph, index), SOMA_SHAPE(out)), d + 1);
    else
        y = soma_resample(x, soma_constant(graph, index), soma_constant(graph, weight), d + 1);
done:
    soma_tensor_release(index);
    soma_tensor_release(weight);
    soma_tensor_release(row);
    return y;
}

/* What crop adds to the cells outside of x, which the tables leave at 0. */
static soma_var add_outside(soma_var y, const soma__resize_attrs *a, const soma_shape *x)
{
    soma_shape shape = {.ndim = x->ndim, .dim = {1, 1, 1, 1, 1}};
    const int axes = x->ndim - 2;
    soma_tensor *values;
    for (int d = 0; d < axes; d++)
        shape.dim[d + 1] = a->size[d];
    if (soma_tensor_create(&values, soma_var_dtype(y), shape, &y.graph->error))
        return soma__failed(y);
    for (int64_t i = 0; i < soma_tensor_count(values); i++) {
        bool outside = false;
        int64_t rest = i;
        for (int d = axes - 1; d >= 0; rest /= a->size[d], d--) {
            double at = position(a, d, x->dim[d + 1], rest % a->size[d]);
            outside = outside || !(at >= 0 && at <= (double)(x->dim[d + 1] - 1));
        }
        soma_tensor_set(values, i, outside ? a->outside : 0);
    }
    return soma_add(y, soma__constant_of(y.graph, values));
}

/* Axes that shrink come first, so that the others have less to do. */
static soma_var resize_decompose(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    const soma__resize_attrs *a = attrs;
    const soma_shape shape = soma_var_shape(in[0]);
    soma_var y = in[0];
    (void)graph, (void)nin;
    for (int larger = 0; larger < 2; larger++)
        for (int d = 0; d < shape.ndim - 2; d++)
            if ((a->size[d] >= shape.dim[d + 1]) == (larger == 1))
                y = resize_axis(y, a, d);
    if (a->coordinates == SOMA_COORD_CROP && a->outside != 0 && soma_var_ok(y))
        y = add_outside(y, a, &shape);
    return y;
}

/* --- rule ------------------------------------------------------------------------------------- */

static soma_status check_options(soma__rule *rule, const soma__resize_attrs *a)
{
    if (a->mode < SOMA_RESIZE_NEAREST || a->mode > SOMA_RESIZE_CUBIC)
        return soma__rule_fail(rule, SOMA_INVALID, "unknown mode %lld", (long long)a->mode);
    if (a->coordinates < SOMA_COORD_HALF_PIXEL || a->coordinates > SOMA_COORD_CROP)
        return soma__rule_fail(rule, SOMA_INVALID, "unknown coordinates %lld",
                               (long long)a->coordinates);
    if (a->rounding < SOMA_ROUND_PREFER_FLOOR || a->rounding > SOMA_ROUND_CEIL)
        return soma__rule_fail(rule, SOMA_INVALID, "unknown rounding %lld", (long long)a->rounding);
    if (a->mode != SOMA_RESIZE_NEAREST || a->outside != 0)
        SOMA__TRY(soma__rule_float(rule, 0));
    if (!isfinite(a->cubic_a) || isnan(a->outside))
        return soma__rule_fail(rule, SOMA_INVALID, "cubic_a %g and outside %g must be numbers",
                               a->cubic_a, a->outside);
    return SOMA_OK;
}

static soma_status resolve_axis(soma__rule *rule, soma__resize_attrs *a, int d, int64_t in)
{
    if (a->size[d] < 0 || a->size[d] > LIMIT || (a->size[d] > 0 && a->scale[d] != 0))
        return soma__rule_fail(rule, SOMA_INVALID,
                               "size %lld and scale %g: give one of them, at least 1 or above 0",
                               (long long)a->size[d], a->scale[d]);
    if (a->size[d] == 0 && a->scale[d] == 0)
        a->scale[d] = 1;
    if (!isfinite(a->start[d]) || !isfinite(a->end[d]))
        return soma__rule_fail(rule, SOMA_INVALID, "start %g and end %g must be numbers",
                               a->start[d], a->end[d]);
    if (a->size[d] > 0) {
        a->scale[d] = (double)a->size[d] / (double)in;
        return SOMA_OK;
    }
    double part = a->coordinates == SOMA_COORD_CROP ? a->end[d] - a->start[d] : 1;
    double size = floor((double)in * part * a->scale[d]);
    if (!(a->scale[d] > 0) || !(size >= 1 && size <= (double)LIMIT))
        return soma__rule_fail(rule, SOMA_INVALID, "scale %g makes %g cells of %lld", a->scale[d],
                               size, (long long)in);
    a->size[d] = (int64_t)size;
    return SOMA_OK;
}

static soma_status resize_rule(soma__rule *rule)
{
    soma__resize_attrs *a = rule->attrs;
    const soma_shape x = rule->in_shape[0];
    char text[SOMA_SHAPE_TEXT_SIZE];
    bool fits = x.ndim >= 3 && x.ndim <= 5;
    for (int d = 1; fits && d < x.ndim - 1; d++)
        fits = x.dim[d] > 0;
    if (!fits)
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "x must be [N,…,C] with 1 to 3 image axes that are not empty, but "
                               "is %s",
                               soma_shape_text(&x, text, sizeof text));
    SOMA__TRY(check_options(rule, a));
    for (int d = 0; d < 3; d++) {
        if (d < x.ndim - 2) {
            SOMA__TRY(resolve_axis(rule, a, d, x.dim[d + 1]));
            rule->shape.dim[d + 1] = a->size[d];
        } else if (a->size[d] != 0 || a->scale[d] != 0) {
            return soma__rule_fail(rule, SOMA_INVALID,
                                   "more sizes or scales than x %s has image axes",
                                   soma_shape_text(&x, text, sizeof text));
        }
    }
    return SOMA_OK;
}

#define ATTR(name_, kind_, count_, doc_)                                                           \
    {                                                                                              \
#name_, SOMA__ATTR_##kind_, offsetof(soma__resize_attrs, name_), count_, doc_              \
    }

const soma__op soma__op_resize = {
    .name = "resize",
    .family = "resize",
    .doc = "x [N,…,C] -> [N,size…,C], nearest, linear or cubic",
    .inputs = "x",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__resize_attrs),
    .attrs =
        (const soma__attr[]){
            ATTR(size, INT, 3, "of each image axis"),
            ATTR(scale, FLOAT, 3, "of each image axis"),
            ATTR(mode, INT, 1, "0 nearest, 1 linear, 2 cubic"),
            ATTR(coordinates, INT, 1,
                 "0 half_pixel, 1 pytorch_half_pixel, 2 align_corners, 3 asymmetric, 4 "
                 "half_pixel_symmetric, 5 crop"),
            ATTR(rounding, INT, 1, "0 round_prefer_floor, 1 round_prefer_ceil, 2 floor, 3 ceil"),
            ATTR(cubic_a, FLOAT, 1, "of the cubic kernel"),
            ATTR(exclude_outside, BOOL, 1, "cells outside do not count"),
            ATTR(antialias, BOOL, 1, "a smaller result averages over all of x"),
            ATTR(start, FLOAT, 3, "crop: where it starts, in shares of x"),
            ATTR(end, FLOAT, 3, "crop: where it ends"),
            ATTR(outside, FLOAT, 1, "crop: the value outside of x"),
            {0}},
    .rule = resize_rule,
    .decompose = resize_decompose,
};

soma_var soma_resize_opt(soma_var x, soma_resize_options o)
{
    soma__resize_attrs attrs = {.mode = (int64_t)o.mode,
                                .coordinates = (int64_t)o.coordinates,
                                .rounding = (int64_t)o.rounding,
                                .exclude_outside = o.exclude_outside,
                                .antialias = o.antialias,
                                .cubic_a = o.cubic_a != 0 ? o.cubic_a : -0.75,
                                .outside = o.outside};
    for (int d = 0; d < 3; d++) {
        attrs.size[d] = o.size[d];
        attrs.scale[d] = o.scale[d];
        attrs.start[d] = o.start[d];
        attrs.end[d] = o.end[d] != 0 ? o.end[d] : 1;
    }
    return soma__graph_add(NULL, &soma__op_resize, &x, 1, &attrs);
}
