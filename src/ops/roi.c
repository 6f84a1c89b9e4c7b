/* roi.c: parts of images under boxes, brought to one size (He et al. 2017, Girshick 2015).
 *
 * For given boxes roi_align is linear in x, and roi_align_grad is its transpose: each is the
 * other's gradient. Boxes have none, as everywhere. roi_max_pool looks up which cells are the
 * largest, which has no gradient, and gathers them, which has one. */
#include "ops/roi.h"

#include "ops/ops.h"

/* --- rules and gradients ---------------------------------------------------------------------- */

static soma_status check(soma__rule *rule, const char *what, const char *dims)
{
    const soma__roi_attrs *attrs = rule->attrs;
    const soma_shape *x = &rule->in_shape[0], *boxes = &rule->in_shape[1];
    const soma_shape *batch = &rule->in_shape[2];
    char text[SOMA_SHAPE_TEXT_SIZE], other[SOMA_SHAPE_TEXT_SIZE];
    bool fits = x->ndim == 4;
    SOMA__TRY(soma__rule_float(rule, 0));
    SOMA__TRY(soma__rule_float(rule, 1));
    SOMA__TRY(soma__rule_integer(rule, 2));
    for (int d = 1; fits && d < 4; d++)
        fits = x->dim[d] > 0;
    if (!fits)
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "%s must be %s, with sizes of at least 1, but is %s", what, dims,
                               soma_shape_text(x, text, sizeof text));
    if (boxes->ndim != 2 || boxes->dim[1] != 4 || batch->ndim != 1 ||
        batch->dim[0] != boxes->dim[0])
        return soma__rule_fail(
            rule, SOMA_SHAPE, "boxes must be [R,4] and batch [R], but they are %s and %s",
            soma_shape_text(boxes, text, sizeof text), soma_shape_text(batch, other, sizeof other));
    if (attrs->size[0] < 1 || attrs->size[1] < 1)
        return soma__rule_fail(rule, SOMA_INVALID, "bad size %lldx%lld of a box's result",
                               (long long)attrs->size[0], (long long)attrs->size[1]);
    if (!(attrs->scale > 0) || isinf(attrs->scale))
        return soma__rule_fail(rule, SOMA_INVALID, "scale %g must be a number above 0",
                               attrs->scale);
    if (attrs->samples < 0 || attrs->samples > SOMA__ROI_SAMPLES)
        return soma__rule_fail(rule, SOMA_INVALID, "%lld samples; 0 to %d",
                               (long long)attrs->samples, SOMA__ROI_SAMPLES);
    return SOMA_OK;
}

static soma_status roi_rule(soma__rule *rule)
{
    const soma__roi_attrs *attrs = rule->attrs;
    SOMA__TRY(check(rule, "x", "[N,H,W,C]"));
    rule->shape = SOMA_SHAPE(rule->in_shape[1].dim[0], attrs->size[0], attrs->size[1],
                             rule->in_shape[0].dim[3]);
    return SOMA_OK;
}

static soma_status roi_index_rule(soma__rule *rule)
{
    SOMA__TRY(roi_rule(rule));
    rule->dtype = SOMA_I64;
    return SOMA_OK;
}

static soma_status roi_grad_rule(soma__rule *rule)
{
    const soma__roi_attrs *attrs = rule->attrs;
    const soma_shape *dy = &rule->in_shape[0];
    char text[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(check(rule, "dy", "[R,h,w,C]"));
    if (dy->dim[0] != rule->in_shape[1].dim[0] || dy->dim[1] != attrs->size[0] ||
        dy->dim[2] != attrs->size[1])
        return soma__rule_fail(rule, SOMA_SHAPE, "dy is %s, but there are %lld boxes of %lldx%lld",
                               soma_shape_text(dy, text, sizeof text),
                               (long long)rule->in_shape[1].dim[0], (long long)attrs->size[0],
                               (long long)attrs->size[1]);
    if (attrs->input[0] < 0 || attrs->input[1] < 1 || attrs->input[2] < 1)
        return soma__rule_fail(rule, SOMA_INVALID, "bad size %lldx%lldx%lld of x",
                               (long long)attrs->input[0], (long long)attrs->input[1],
                               (long long)attrs->input[2]);
    rule->shape = SOMA_SHAPE(attrs->input[0], attrs->input[1], attrs->input[2], dy->dim[3]);
    return SOMA_OK;
}

static void roi_align_gradient(soma__grad *grad)
{
    soma__roi_attrs attrs = *(const soma__roi_attrs *)grad->attrs;
    const soma_shape x = soma_var_shape(grad->in[0]);
    for (int d = 0; d < 3; d++)
        attrs.input[d] = x.dim[d];
    if (grad->need[0])
        grad->din[0] =
            soma__graph_add(NULL, &soma__op_roi_align_grad,
                            (soma_var[]){grad->dout, grad->in[1], grad->in[2]}, 3, &attrs);
}

static void roi_align_grad_gradient(soma__grad *grad)
{
    soma__roi_attrs attrs = *(const soma__roi_attrs *)grad->attrs;
    attrs.input[0] = attrs.input[1] = attrs.input[2] = 0;
    if (grad->need[0])
        grad->din[0] =
            soma__graph_add(NULL, &soma__op_roi_align,
                            (soma_var[]){grad->dout, grad->in[1], grad->in[2]}, 3, &attrs);
}

/* --- reference kernels ------------------------------------------------------------------------ */

/* Calls `visit` for each of the places of one bin. */
#define EACH_PLACE(roi_, bin_, size_, place_, body_)                                               \
    for (int64_t s_ = 0; s_ < (roi_).samples[0] * (roi_).samples[1]; s_++) {                       \
        const int64_t sample_[2] = {s_ / (roi_).samples[1], s_ % (roi_).samples[1]};               \
        if (soma__roi_at(&(roi_), bin_, sample_, size_, &(place_)))                                \
            body_                                                                                  \
    }

static double count_of(const soma__roi *roi)
{
    int64_t count = roi->samples[0] * roi->samples[1];
    return count > 0 ? (double)count : 1;
}

static void roi_align_reference(const soma__call *call)
{
    const soma__roi_attrs *a = call->attrs;
    const soma__view *x = &call->in[0], *y = &call->out[0];
    const int64_t size[2] = {x->shape.dim[1], x->shape.dim[2]}, channels = x->shape.dim[3];
    int64_t at = 0;
    soma__roi_place place;
    for (int64_t r = 0; r < y->shape.dim[0]; r++) {
        soma__roi roi = soma__roi_read(a, &call->in[1], &call->in[2], x->shape.dim[0], r);
        for (int64_t b = 0; b < a->size[0] * a->size[1]; b++)
            for (int64_t c = 0; c < channels; c++) {
                const int64_t bin[2] = {b / a->size[1], b % a->size[1]};
                const int64_t first = roi.image * size[0] * size[1];
                double sum = 0;
                if (roi.image >= 0)
                    EACH_PLACE(roi, bin, size, place, {
                        for (int i = 0; i < 4; i++)
                            if (place.weight[i] != 0)
                                sum += place.weight[i] *
                                       soma__load(x->dtype, x->data,
                                                  (first + place.cell[i]) * channels + c);
                    })
                soma__store(y->dtype, y->data, at++, sum / count_of(&roi));
            }
    }
}

/* What all boxes send to one cell of one image and channel. */
static double received(const soma__call *call, int64_t image, int64_t cell, int64_t c)
{
    const soma__roi_attrs *a = call->attrs;
    const soma__view *dy = &call->in[0], *dx = &call->out[0];
    const int64_t size[2] = {dx->shape.dim[1], dx->shape.dim[2]}, channels = dx->shape.dim[3];
    const int64_t bins = a->size[0] * a->size[1];
    soma__roi_place place;
    double sum = 0;
    for (int64_t r = 0; r < dy->shape.dim[0]; r++) {
        soma__roi roi = soma__roi_read(a, &call->in[1], &call->in[2], dx->shape.dim[0], r);
        if (roi.image != image)
            continue;
        for (int64_t b = 0; b < bins; b++) {
            const int64_t bin[2] = {b / a->size[1], b % a->size[1]};
            double share = 0;
            EACH_PLACE(roi, bin, size, place, {
                for (int i = 0; i < 4; i++)
                    if (place.cell[i] == cell)
                        share += place.weight[i];
            })
            if (share != 0)
                sum += share / count_of(&roi) *
                       soma__load(dy->dtype, dy->data, (r * bins + b) * channels + c);
        }
    }
    return sum;
}

static void roi_align_grad_reference(const soma__call *call)
{
    const soma__view *dx = &call->out[0];
    const int64_t cells = dx->shape.dim[1] * dx->shape.dim[2], channels = dx->shape.dim[3];
    for (int64_t i = 0; i < dx->count; i++) {
        int64_t cell = i / channels;
        soma__store(dx->dtype, dx->data, i,
                    received(call, cell / cells, cell % cells, i % channels));
    }
}

/* The cells [first, end) of bin `b` along axis `d`: the box is rounded to whole cells, its bins
 * too.
 */
static void bin_cells(const soma__roi_attrs *a, const soma__view *boxes, int64_t r, int d,
                      int64_t b, int64_t size, int64_t *first, int64_t *end)
{
    double start = round(soma__load(boxes->dtype, boxes->data, 4 * r + 1 - d) * a->scale);
    double last = round(soma__load(boxes->dtype, boxes->data, 4 * r + 3 - d) * a->scale);
    double length = fmax(last - start + 1, 1), bins = (double)a->size[d];
    double from = start + floor((double)b * length / bins);
    double to = start + ceil((double)(b + 1) * length / bins);
    /* The comparisons are false for NaN. */
    *first = from > 0 ? (int64_t)fmin(from, (double)size) : 0;
    *end = to > 0 ? (int64_t)fmin(to, (double)size) : 0;
}

static void roi_max_index_reference(const soma__call *call)
{
    const soma__roi_attrs *a = call->attrs;
    const soma__view *x = &call->in[0];
    const int64_t height = x->shape.dim[1], width = x->shape.dim[2], channels = x->shape.dim[3];
    int64_t *to = call->out[0].data;
    for (int64_t r = 0; r < call->out[0].shape.dim[0]; r++) {
        soma__roi roi = soma__roi_read(a, &call->in[1], &call->in[2], x->shape.dim[0], r);
        for (int64_t b = 0; b < a->size[0] * a->size[1]; b++) {
            int64_t h0, h1, w0, w1;
            bin_cells(a, &call->in[1], r, 0, b / a->size[1], height, &h0, &h1);
            bin_cells(a, &call->in[1], r, 1, b % a->size[1], width, &w0, &w1);
            for (int64_t c = 0; c < channels; c++) {
                int64_t best = -1;
                double most = 0;
                for (int64_t h = h0; roi.image >= 0 && h < h1; h++)
                    for (int64_t w = w0; w < w1; w++) {
                        int64_t cell = (roi.image * height + h) * width + w;
                        double value = soma__load(x->dtype, x->data, cell * channels + c);
                        if (best < 0 || value > most || (isnan(value) && !isnan(most))) {
                            best = cell;
                            most = value;
                        }
                    }
                *to++ = best;
            }
        }
    }
}

/* --- roi_max_pool ----------------------------------------------------------------------------- */

static soma_var roi_max_decompose(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    const soma_shape x = soma_var_shape(in[0]);
    const int64_t channels = x.dim[3];
    soma_tensor *numbers;
    (void)nin;
    if (soma_tensor_create(&numbers, SOMA_I64, SOMA_SHAPE(channels), &graph->error))
        return soma__failed(in[0]);
    for (int64_t c = 0; c < channels; c++)
        ((int64_t *)soma_tensor_data(numbers))[c] = c;
    soma_var cell = soma__graph_add(NULL, &soma__op_roi_max_pool_index, in, 3, attrs);
    soma_var none = soma_less(cell, soma_scalar(graph, SOMA_I64, 0));
    soma_var index = soma_add(soma_mul(cell, soma_scalar(graph, SOMA_I64, (double)channels)),
                              soma__constant_of(graph, numbers));
    index = soma_where(none, soma_scalar(graph, SOMA_I64, -1), index);
    soma_var flat = soma_reshape(in[0], SOMA_SHAPE(x.dim[0] * x.dim[1] * x.dim[2] * channels));
    return soma_gather(flat, index, 0);
}

/* --- cost, descriptors, builders -------------------------------------------------------------- */

/* With four places a bin, where their number depends on the boxes. */
static double align_flops(const soma__call *call, const soma__view *bins)
{
    const soma__roi_attrs *a = call->attrs;
    double samples = a->samples > 0 ? (double)a->samples * (double)a->samples : 4;
    return 8 * samples * (double)bins->count;
}
static double roi_align_flops(const soma__call *call)
{
    return align_flops(call, &call->out[0]);
}
static double roi_align_grad_flops(const soma__call *call)
{
    return align_flops(call, &call->in[0]);
}

#define BOXES                                                                                      \
    {"size", SOMA__ATTR_INT, offsetof(soma__roi_attrs, size), 2, "height, width of the result"},   \
    {                                                                                              \
        "scale", SOMA__ATTR_FLOAT, offsetof(soma__roi_attrs, scale), 1, "cells to a unit of boxes" \
    }
#define SAMPLES                                                                                    \
    {"samples", SOMA__ATTR_INT, offsetof(soma__roi_attrs, samples), 1,                             \
     "along each side of a bin; 0: one to a cell"},                                                \
    {                                                                                              \
        "aligned", SOMA__ATTR_BOOL, offsetof(soma__roi_attrs, aligned), 1,                         \
            "boxes are measured from the cells' edges, not from their centres"                     \
    }

static const soma__attr align_attrs[] = {BOXES, SAMPLES, {0}};
static const soma__attr max_attrs[] = {BOXES, {0}};

#define OP(name_, inputs_, doc_, attrs_, rule_, ...)                                               \
    const soma__op soma__op_##name_ = {.name = #name_,                                             \
                                       .family = "roi",                                            \
                                       .doc = doc_,                                                \
                                       .inputs = inputs_,                                          \
                                       .min_inputs = 3,                                            \
                                       .max_inputs = 3,                                            \
                                       .attr_size = sizeof(soma__roi_attrs),                       \
                                       .attrs = attrs_,                                            \
                                       .rule = rule_,                                              \
                                       __VA_ARGS__}

OP(roi_align, "x boxes batch",
   "x [N,H,W,C], boxes [R,4] of (x1,y1,x2,y2), batch [R] -> [R,h,w,C], means of places between "
   "cells",
   align_attrs, roi_rule, .gradient = roi_align_gradient, .reference = roi_align_reference,
   .flops = roi_align_flops);
OP(roi_align_grad, "dy boxes batch", "dy [R,h,w,C] -> [N,H,W,C], the transpose of roi_align in x",
   ((const soma__attr[]){
       BOXES,
       SAMPLES,
       {"input", SOMA__ATTR_INT, offsetof(soma__roi_attrs, input), 3, "N, H, W of x"},
       {0}}),
   roi_grad_rule, .gradient = roi_align_grad_gradient, .reference = roi_align_grad_reference,
   .flops = roi_align_grad_flops);
OP(roi_max_pool_index, "x boxes batch",
   "i64 [R,h,w,C], the cell (n H + h) W + w that is largest in each bin; -1 of an empty one",
   max_attrs, roi_index_rule, .gradient = soma__grad_none, .reference = roi_max_index_reference);
OP(roi_max_pool, "x boxes batch",
   "x [N,H,W,C], boxes [R,4], batch [R] -> [R,h,w,C], the largest cell of each bin", max_attrs,
   roi_rule, .decompose = roi_max_decompose);

static soma__roi_attrs attrs_of(const soma_roi_options *o)
{
    return (soma__roi_attrs){.size = {o->size[0], o->size[1] ? o->size[1] : o->size[0]},
                             .scale = o->scale != 0 ? o->scale : 1,
                             .samples = o->samples,
                             .aligned = o->aligned};
}

soma_var soma_roi_align_opt(soma_var x, soma_var boxes, soma_var batch, soma_roi_options options)
{
    const soma__roi_attrs attrs = attrs_of(&options);
    return soma__graph_add(NULL, &soma__op_roi_align, (soma_var[]){x, boxes, batch}, 3, &attrs);
}

soma_var soma_roi_max_pool_opt(soma_var x, soma_var boxes, soma_var batch, soma_roi_options options)
{
    soma__roi_attrs attrs = attrs_of(&options);
    attrs.samples = attrs.aligned = 0; /* mean nothing here */
    return soma__graph_add(NULL, &soma__op_roi_max_pool, (soma_var[]){x, boxes, batch}, 3, &attrs);
}
