/* pool.c: max and average pooling.
 *
 * For a given x, max pooling picks one cell of each window. That choice P_x is linear in what it
 * picks from, and so is its transpose:
 *     max_pool2d(x)         = P_x x
 *     max_pool2d_grad(x,dy) = P_xᵀ dy   each dy goes to the cell that its window picked
 *     max_pool2d_pick(x,t)  = P_x t     the t of the cell that x's window picked
 * Their gradient by x is zero where it exists (a small change of x changes no choice). Average
 * pooling A and its transpose avg_pool2d_grad are linear outright. */
#include "ops/pool.h"
#include "ops/attrs.h"
#include "ops/ops.h"
#include "ops/window.h"

/* --- shapes ----------------------------------------------------------------------------------- */

static soma_status check_images(soma__rule *rule, const char *what, const soma_shape *shape)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    if (shape->ndim == 4 && shape->dim[3] > 0)
        return SOMA_OK;
    return soma__rule_fail(rule, SOMA_SHAPE,
                           "%s must be [N,H,W,C], with at least one channel, but is %s", what,
                           soma_shape_text(shape, text, sizeof(text)));
}

/* A window that starts before the image must reach into it, though its cells may lie so far apart
 * that they jump over a small image. */
static bool reaches(const soma__window *w, int d)
{
    const int64_t step = w->dilation[d], pad = w->pad[d];
    const int64_t extent = soma__window_extent(w->size[d], step);
    for (int64_t i = 0; w->input[d] < step && i * w->stride[d] < pad; i++) {
        int64_t before = (pad - i * w->stride[d]) % step;
        if ((step - before) % step >= w->input[d] || i > 65536)
            return false;
    }
    return pad < extent && w->pad[d + w->dims] < extent;
}

soma_status soma__pool_resolve(soma__rule *rule, const soma__window *w, int64_t *output)
{
    SOMA__TRY(soma__window_resolve(rule, w, output));
    for (int d = 0; d < w->dims; d++)
        if (!reaches(w, d))
            return soma__rule_fail(
                rule, SOMA_INVALID,
                "pads %lld and %lld must be less than the window's %lld: a window outside the "
                "image has no value",
                (long long)w->pad[d], (long long)w->pad[d + w->dims],
                (long long)soma__window_extent(w->size[d], w->dilation[d]));
    return SOMA_OK;
}

/* Checks the attributes against images of x's shape and gives the pooled shape. */
static soma_status resolve(soma__rule *rule, const soma_shape *x, soma_shape *y)
{
    soma__pool_attrs *attrs = rule->attrs;
    int64_t output[2] = {attrs->size[0], attrs->size[1]}, count;
    attrs->count_pad = attrs->count_pad != 0;
    attrs->ceil = attrs->ceil != 0;
    attrs->adaptive = attrs->adaptive != 0;
    if (attrs->divisor < 0)
        return soma__rule_fail(rule, SOMA_INVALID, "divisor %lld is negative",
                               (long long)attrs->divisor);
    const soma__window window = {.what = "window",
                                 .dims = 2,
                                 .input = &x->dim[1],
                                 .size = attrs->size,
                                 .stride = attrs->stride,
                                 .dilation = attrs->dilation,
                                 .pad = attrs->pad,
                                 .padding = &attrs->padding,
                                 .ceil = attrs->ceil};
    if (attrs->adaptive) {
        SOMA__TRY(soma__window_check(rule, &window));
        for (int d = 0; d < 2; d++)
            if (x->dim[d + 1] < 1 || !soma__mul64(x->dim[d + 1] + 1, attrs->size[d] + 1, &count))
                return soma__rule_fail(rule, SOMA_SHAPE, "cannot cut %lld cells into %lld windows",
                                       (long long)x->dim[d + 1], (long long)attrs->size[d]);
    } else {
        SOMA__TRY(soma__pool_resolve(rule, &window, output));
    }
    *y = SOMA_SHAPE(x->dim[0], output[0], output[1], x->dim[3]);
    if (!soma__shape_count(y, &count))
        return soma__rule_fail(rule, SOMA_SHAPE, "the output is too large");
    return SOMA_OK;
}

/* max_pool2d, its indices, and avg_pool2d. */
soma_status soma__pool_rule(soma__rule *rule)
{
    soma__pool_attrs *attrs = rule->attrs;
    SOMA__TRY(soma__rule_float(rule, 0));
    SOMA__TRY(check_images(rule, "x", &rule->in_shape[0]));
    attrs->input[0] = attrs->input[1] = 0;
    return resolve(rule, &rule->in_shape[0], &rule->shape);
}

static soma_status check_dy(soma__rule *rule, const soma_shape *dy, const soma_shape *y)
{
    char got[SOMA_SHAPE_TEXT_SIZE], want[SOMA_SHAPE_TEXT_SIZE];
    if (soma_shape_equal(dy, y))
        return SOMA_OK;
    return soma__rule_fail(rule, SOMA_SHAPE, "dy is %s, but the pooled shape is %s",
                           soma_shape_text(dy, got, sizeof(got)),
                           soma_shape_text(y, want, sizeof(want)));
}

static soma_status max_grad_rule(soma__rule *rule)
{
    soma_shape y;
    SOMA__TRY(soma__rule_float(rule, 0));
    SOMA__TRY(soma__rule_same_dtypes(rule));
    SOMA__TRY(check_images(rule, "x", &rule->in_shape[0]));
    SOMA__TRY(resolve(rule, &rule->in_shape[0], &y));
    return check_dy(rule, &rule->in_shape[1], &y); /* the result has x's shape */
}

static soma_status max_pick_rule(soma__rule *rule)
{
    char tx[SOMA_SHAPE_TEXT_SIZE], tt[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(soma__rule_float(rule, 0));
    SOMA__TRY(soma__rule_same_dtypes(rule));
    SOMA__TRY(check_images(rule, "x", &rule->in_shape[0]));
    if (!soma_shape_equal(&rule->in_shape[0], &rule->in_shape[1]))
        return soma__rule_fail(rule, SOMA_SHAPE, "x %s and t %s must have one shape",
                               soma_shape_text(&rule->in_shape[0], tx, sizeof(tx)),
                               soma_shape_text(&rule->in_shape[1], tt, sizeof(tt)));
    return resolve(rule, &rule->in_shape[0], &rule->shape);
}

static soma_status avg_grad_rule(soma__rule *rule)
{
    const soma__pool_attrs *attrs = rule->attrs;
    const soma_shape *dy = &rule->in_shape[0];
    soma_shape x, y;
    int64_t count;
    SOMA__TRY(soma__rule_float(rule, 0));
    SOMA__TRY(check_images(rule, "dy", dy));
    x = SOMA_SHAPE(dy->dim[0], attrs->input[0], attrs->input[1], dy->dim[3]);
    if (!soma__shape_count(&x, &count))
        return soma__rule_fail(rule, SOMA_SHAPE, "bad size %lldx%lld of the pool's input",
                               (long long)attrs->input[0], (long long)attrs->input[1]);
    SOMA__TRY(resolve(rule, &x, &y));
    SOMA__TRY(check_dy(rule, dy, &y));
    rule->shape = x;
    return SOMA_OK;
}

/* --- builders and gradients ------------------------------------------------------------------- */

soma_var soma__pool_add(const soma__op *op, soma_var x, const soma_pool_options *options)
{
    soma__pool_attrs attrs = {.ceil = options->ceil_mode,
                              .count_pad = options->count_pad,
                              .divisor = options->divisor,
                              .padding = (int64_t)options->padding};
    for (int d = 0; d < 2; d++) {
        attrs.size[d] = options->size[d];
        attrs.stride[d] = options->stride[d] ? options->stride[d] : options->size[d];
        attrs.dilation[d] = options->dilation[d] ? options->dilation[d] : 1;
    }
    for (int i = 0; i < 4; i++)
        attrs.pad[i] = options->pad[i];
    return soma__graph_add(NULL, op, &x, 1, &attrs);
}

soma_var soma_max_pool2d_opt(soma_var x, soma_pool_options options)
{
    /* These mean nothing here: one form, so that equal calls are equal. */
    options.count_pad = false;
    options.divisor = 0;
    return soma__pool_add(&soma__op_max_pool2d, x, &options);
}

soma_var soma_avg_pool2d_opt(soma_var x, soma_pool_options options)
{
    return soma__pool_add(&soma__op_avg_pool2d, x, &options);
}

static void max_gradient(soma__grad *grad)
{
    soma_var in[] = {grad->in[0], grad->dout};
    grad->din[0] = soma__graph_add(NULL, &soma__op_max_pool2d_grad, in, 2, grad->attrs);
}

static void max_grad_gradient(soma__grad *grad)
{
    soma_var in[] = {grad->in[0], grad->dout};
    if (grad->need[1])
        grad->din[1] = soma__graph_add(NULL, &soma__op_max_pool2d_pick, in, 2, grad->attrs);
}

static void max_pick_gradient(soma__grad *grad)
{
    soma_var in[] = {grad->in[0], grad->dout};
    if (grad->need[1])
        grad->din[1] = soma__graph_add(NULL, &soma__op_max_pool2d_grad, in, 2, grad->attrs);
}

static void avg_gradient(soma__grad *grad)
{
    soma__pool_attrs attrs = *(const soma__pool_attrs *)grad->attrs;
    soma_shape x = soma_var_shape(grad->in[0]);
    attrs.input[0] = x.dim[1];
    attrs.input[1] = x.dim[2];
    grad->din[0] = soma__graph_add(NULL, &soma__op_avg_pool2d_grad, &grad->dout, 1, &attrs);
}

static void avg_grad_gradient(soma__grad *grad)
{
    grad->din[0] = soma__graph_add(NULL, &soma__op_avg_pool2d, &grad->dout, 1, grad->attrs);
}

/* --- reference kernels ------------------------------------------------------------------------ */

/* The real cells of one window. */
typedef struct cells {
    soma__span h, w;
} cells;

static cells window(const soma__pool_attrs *attrs, const soma_shape *x, int64_t i, int64_t j)
{
    return (cells){soma__pool_span(attrs, 0, x->dim[1], i),
                   soma__pool_span(attrs, 1, x->dim[2], j)};
}

static int64_t cell_index(const soma_shape *x, int64_t n, int64_t h, int64_t w, int64_t c)
{
    return ((n * x->dim[1] + h) * x->dim[2] + w) * x->dim[3] + c;
}

/* The index in x of the first largest cell; a NaN is larger than all, so that faults show. */
static int64_t pick(const soma__view *x, cells at, int64_t n, int64_t c)
{
    int64_t best = cell_index(&x->shape, n, at.h.first, at.w.first, c);
    double most = soma__load(x->dtype, x->data, best);
    for (int64_t u = 0; u < at.h.count; u++)
        for (int64_t v = 0; v < at.w.count; v++) {
            int64_t index =
                cell_index(&x->shape, n, at.h.first + u * at.h.step, at.w.first + v * at.w.step, c);
            double value = soma__load(x->dtype, x->data, index);
            if (value > most || (isnan(value) && !isnan(most))) {
                best = index;
                most = value;
            }
        }
    return best;
}

/* P_x from in[0] (x) or in[1] (t). */
static void pick_from(const soma__call *call, const soma__view *from)
{
    const soma__view *x = &call->in[0], *y = &call->out[0];
    int64_t at = 0;
    for (int64_t n = 0; n < y->shape.dim[0]; n++)
        for (int64_t i = 0; i < y->shape.dim[1]; i++)
            for (int64_t j = 0; j < y->shape.dim[2]; j++) {
                cells seen = window(call->attrs, &x->shape, i, j);
                for (int64_t c = 0; c < y->shape.dim[3]; c++)
                    soma__store(y->dtype, y->data, at++,
                                soma__load(from->dtype, from->data, pick(x, seen, n, c)));
            }
}
static void max_reference(const soma__call *call)
{
    pick_from(call, &call->in[0]);
}
static void max_pick_reference(const soma__call *call)
{
    pick_from(call, &call->in[1]);
}

/* Gathers for each cell of x what the windows that see it send there: `share` says how much of
 * dy[i,j] that is. One sum in double for each cell, whatever the dtype. */
static void gather_shares(const soma__call *call, const soma__view *dy, const soma__view *x,
                          double (*share)(const soma__call *call, cells seen, int64_t index,
                                          int64_t n, int64_t c))
{
    const soma__pool_attrs *attrs = call->attrs;
    const soma__view *dx = &call->out[0];
    const int64_t *outputs = dy->shape.dim;
    int64_t at = 0, i0, i1, j0, j1;
    for (int64_t n = 0; n < x->shape.dim[0]; n++)
        for (int64_t h = 0; h < x->shape.dim[1]; h++)
            for (int64_t w = 0; w < x->shape.dim[2]; w++) {
                soma__pool_windows(attrs, 0, x->shape.dim[1], outputs[1], h, &i0, &i1);
                soma__pool_windows(attrs, 1, x->shape.dim[2], outputs[2], w, &j0, &j1);
                for (int64_t c = 0; c < x->shape.dim[3]; c++, at++) {
                    double sum = 0;
                    for (int64_t i = i0; i <= i1; i++)
                        for (int64_t j = j0; j <= j1; j++) {
                            cells seen = window(attrs, &x->shape, i, j);
                            double part = 0;
                            if (soma__span_sees(&seen.h, h) && soma__span_sees(&seen.w, w))
                                part = share(call, seen, at, n, c);
                            if (part != 0)
                                sum += part * soma__load(dy->dtype, dy->data,
                                                         cell_index(&dy->shape, n, i, j, c));
                        }
                    soma__store(dx->dtype, dx->data, at, sum);
                }
            }
}

static double picked(const soma__call *call, cells seen, int64_t index, int64_t n, int64_t c)
{
    return pick(&call->in[0], seen, n, c) == index ? 1 : 0;
}

static void max_grad_reference(const soma__call *call)
{
    gather_shares(call, &call->in[1], &call->in[0], picked);
}

static double averaged(const soma__call *call, cells seen, int64_t index, int64_t n, int64_t c)
{
    (void)index;
    (void)n;
    (void)c;
    return 1 / soma__pool_divisor(call->attrs, &seen.h, &seen.w);
}

static void avg_grad_reference(const soma__call *call)
{
    gather_shares(call, &call->in[0], &call->out[0], averaged);
}

static void avg_reference(const soma__call *call)
{
    const soma__view *x = &call->in[0], *y = &call->out[0];
    int64_t at = 0;
    for (int64_t n = 0; n < y->shape.dim[0]; n++)
        for (int64_t i = 0; i < y->shape.dim[1]; i++)
            for (int64_t j = 0; j < y->shape.dim[2]; j++) {
                cells seen = window(call->attrs, &x->shape, i, j);
                for (int64_t c = 0; c < y->shape.dim[3]; c++) {
                    double sum = 0;
                    for (int64_t u = 0; u < seen.h.count; u++)
                        for (int64_t v = 0; v < seen.w.count; v++)
                            sum +=
                                soma__load(x->dtype, x->data,
                                           cell_index(&x->shape, n, seen.h.first + u * seen.h.step,
                                                      seen.w.first + v * seen.w.step, c));
                    soma__store(y->dtype, y->data, at++,
                                sum / soma__pool_divisor(call->attrs, &seen.h, &seen.w));
                }
            }
}

/* --- cost: one compare or add for each window cell -------------------------------------------- */

static double window_flops(const soma__call *call, const soma__view *pooled)
{
    const soma__pool_attrs *attrs = call->attrs;
    /* Adaptive windows part the image; the few cells that two of them share are not counted. */
    if (attrs->adaptive)
        return (double)(call->in[0].count > pooled->count ? call->in[0].count : pooled->count);
    return (double)pooled->count * (double)attrs->size[0] * (double)attrs->size[1];
}
static double pooled_out_flops(const soma__call *call)
{
    return window_flops(call, &call->out[0]);
}
static double max_grad_flops(const soma__call *call)
{
    return window_flops(call, &call->in[1]);
}
static double avg_grad_flops(const soma__call *call)
{
    return window_flops(call, &call->in[0]);
}

/* --- descriptors ------------------------------------------------------------------------------ */

#define GEOMETRY                                                                                   \
    {"size", SOMA__ATTR_INT, offsetof(soma__pool_attrs, size), 2, "height, width of the window"},  \
        {"stride", SOMA__ATTR_INT, offsetof(soma__pool_attrs, stride), 2, "height, width"},        \
        {"dilation", SOMA__ATTR_INT, offsetof(soma__pool_attrs, dilation), 2, "height, width"},    \
        {"pad", SOMA__ATTR_INT, offsetof(soma__pool_attrs, pad), 4, "top, left, bottom, right"},   \
        {"ceil", SOMA__ATTR_BOOL, offsetof(soma__pool_attrs, ceil), 1,                             \
         "the last window may reach beyond the padding"},                                          \
    {                                                                                              \
        "adaptive", SOMA__ATTR_BOOL, offsetof(soma__pool_attrs, adaptive), 1,                      \
            "size is y's, and the windows part x evenly"                                           \
    }
#define COUNT                                                                                      \
    {"count_pad", SOMA__ATTR_BOOL, offsetof(soma__pool_attrs, count_pad), 1,                       \
     "padded cells count in the divisor"},                                                         \
    {                                                                                              \
        "divisor", SOMA__ATTR_INT, offsetof(soma__pool_attrs, divisor), 1,                         \
            "instead of the number of cells; 0: that number"                                       \
    }

static const soma__attr max_attrs[] = {GEOMETRY, {0}};
static const soma__attr avg_attrs[] = {GEOMETRY, COUNT, {0}};
static const soma__attr avg_grad_attrs[] = {
    GEOMETRY,
    COUNT,
    {"input", SOMA__ATTR_INT, offsetof(soma__pool_attrs, input), 2, "height, width of x"},
    {0},
};

const soma__op soma__op_max_pool2d = {
    .name = "max_pool2d",
    .family = "pool",
    .doc = "x [N,H,W,C] -> [N,Ho,Wo,C], the largest of each window",
    .inputs = "x",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__pool_attrs),
    .attrs = max_attrs,
    .rule = soma__pool_rule,
    .gradient = max_gradient,
    .reference = max_reference,
    .flops = pooled_out_flops,
};

const soma__op soma__op_max_pool2d_grad = {
    .name = "max_pool2d_grad",
    .family = "pool",
    .doc = "x [N,H,W,C], dy [N,Ho,Wo,C] -> [N,H,W,C], dy at the first largest cell of each window",
    .inputs = "x dy",
    .min_inputs = 2,
    .max_inputs = 2,
    .attr_size = sizeof(soma__pool_attrs),
    .attrs = max_attrs,
    .rule = max_grad_rule,
    .gradient = max_grad_gradient,
    .reference = max_grad_reference,
    .flops = max_grad_flops,
};

const soma__op soma__op_max_pool2d_pick = {
    .name = "max_pool2d_pick",
    .family = "pool",
    .doc = "x, t [N,H,W,C] -> [N,Ho,Wo,C], t at the first largest cell of each window of x",
    .inputs = "x t",
    .min_inputs = 2,
    .max_inputs = 2,
    .attr_size = sizeof(soma__pool_attrs),
    .attrs = max_attrs,
    .rule = max_pick_rule,
    .gradient = max_pick_gradient,
    .reference = max_pick_reference,
    .flops = pooled_out_flops,
};

const soma__op soma__op_avg_pool2d = {
    .name = "avg_pool2d",
    .family = "pool",
    .doc = "x [N,H,W,C] -> [N,Ho,Wo,C], the mean of each window",
    .inputs = "x",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__pool_attrs),
    .attrs = avg_attrs,
    .rule = soma__pool_rule,
    .gradient = avg_gradient,
    .reference = avg_reference,
    .flops = pooled_out_flops,
};

const soma__op soma__op_avg_pool2d_grad = {
    .name = "avg_pool2d_grad",
    .family = "pool",
    .doc = "dy [N,Ho,Wo,C] -> [N,H,W,C], the transpose of avg_pool2d",
    .inputs = "dy",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__pool_attrs),
    .attrs = avg_grad_attrs,
    .rule = avg_grad_rule,
    .gradient = avg_grad_gradient,
    .reference = avg_grad_reference,
    .flops = avg_grad_flops,
};
