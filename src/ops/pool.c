/* pool.c: max and average pooling.
 *
 * For a given x, max pooling picks one cell of each window. That choice P_x is linear in what it
 * picks from, and so is its transpose: max_pool2d(x)         = P_x x max_pool2d_grad(x,dy) = P_xᵀ
 * dy    each dy goes to the cell that its window picked max_pool2d_pick(x,t)  = P_x t      the t of
 * the cell that x's window picked Their gradient by x is zero where it exists (a small change of x
 * changes no choice). Average pooling A and its transpose avg_pool2d_grad are linear outright. */
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

/* Checks the attributes against images of x's shape and gives the pooled shape. */
static soma_status resolve(soma__rule *rule, const soma_shape *x, soma_shape *y)
{
    soma__pool_attrs *attrs = rule->attrs;
    static const int64_t dense[2] = {1, 1};
    int64_t output[2], count;
    attrs->count_pad = attrs->count_pad != 0;
    SOMA__TRY(soma__window_resolve(rule, "window", &x->dim[1], attrs->size, attrs->stride, dense,
                                   attrs->pad, &attrs->padding, output));
    for (int i = 0; i < 4; i++)
        if (attrs->pad[i] >= attrs->size[i % 2])
            return soma__rule_fail(rule, SOMA_INVALID,
                                   "pad %lld must be less than the window's %lld: a window outside "
                                   "the image has no value",
                                   (long long)attrs->pad[i], (long long)attrs->size[i % 2]);
    *y = SOMA_SHAPE(x->dim[0], output[0], output[1], x->dim[3]);
    if (!soma__shape_count(y, &count))
        return soma__rule_fail(rule, SOMA_SHAPE, "the output is too large");
    return SOMA_OK;
}

/* max_pool2d and avg_pool2d. */
static soma_status pool_rule(soma__rule *rule)
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

static soma_var add_pool(const soma__op *op, soma_var x, const soma_pool_options *options)
{
    soma__pool_attrs attrs = {.count_pad = options->count_pad,
                              .padding = (int64_t)options->padding};
    for (int d = 0; d < 2; d++) {
        attrs.size[d] = options->size[d];
        attrs.stride[d] = options->stride[d] ? options->stride[d] : options->size[d];
    }
    for (int i = 0; i < 4; i++)
        attrs.pad[i] = options->pad[i];
    return soma__graph_add(NULL, op, &x, 1, &attrs);
}

soma_var soma_max_pool2d_opt(soma_var x, soma_pool_options options)
{
    options.count_pad = false; /* means nothing here: one form, so that equal calls are equal */
    return add_pool(&soma__op_max_pool2d, x, &options);
}

soma_var soma_avg_pool2d_opt(soma_var x, soma_pool_options options)
{
    return add_pool(&soma__op_avg_pool2d, x, &options);
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

/* The real cells of one window: rows [h0,h1), columns [w0,w1). */
typedef struct cells {
    int64_t h0, h1, w0, w1;
} cells;

static cells window(const soma__pool_attrs *attrs, const soma_shape *x, int64_t i, int64_t j)
{
    int64_t h = i * attrs->stride[0] - attrs->pad[0], w = j * attrs->stride[1] - attrs->pad[1];
    cells c = {h, h + attrs->size[0], w, w + attrs->size[1]};
    c.h0 = c.h0 > 0 ? c.h0 : 0;
    c.w0 = c.w0 > 0 ? c.w0 : 0;
    c.h1 = c.h1 < x->dim[1] ? c.h1 : x->dim[1];
    c.w1 = c.w1 < x->dim[2] ? c.w1 : x->dim[2];
    return c;
}

static int64_t cell_index(const soma_shape *x, int64_t n, int64_t h, int64_t w, int64_t c)
{
    return ((n * x->dim[1] + h) * x->dim[2] + w) * x->dim[3] + c;
}

/* The index in x of the first largest cell; a NaN is larger than all, so that faults show. */
static int64_t pick(const soma__view *x, cells at, int64_t n, int64_t c)
{
    int64_t best = cell_index(&x->shape, n, at.h0, at.w0, c);
    double most = soma__load(x->dtype, x->data, best);
    for (int64_t h = at.h0; h < at.h1; h++)
        for (int64_t w = at.w0; w < at.w1; w++) {
            int64_t index = cell_index(&x->shape, n, h, w, c);
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

/* The windows [first, last] along one axis that see input position `at`. */
static void windows_of(int64_t at, int64_t size, int64_t stride, int64_t pad, int64_t outputs,
                       int64_t *first, int64_t *last)
{
    int64_t low = at + pad - size + 1; /* i·stride >= low and i·stride <= at + pad */
    *first = low > 0 ? (low + stride - 1) / stride : 0;
    *last = (at + pad) / stride;
    if (*last >= outputs)
        *last = outputs - 1;
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
                windows_of(h, attrs->size[0], attrs->stride[0], attrs->pad[0], outputs[1], &i0,
                           &i1);
                windows_of(w, attrs->size[1], attrs->stride[1], attrs->pad[1], outputs[2], &j0,
                           &j1);
                for (int64_t c = 0; c < x->shape.dim[3]; c++, at++) {
                    double sum = 0;
                    for (int64_t i = i0; i <= i1; i++)
                        for (int64_t j = j0; j <= j1; j++) {
                            double part = share(call, window(attrs, &x->shape, i, j), at, n, c);
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

static double divisor(const soma__pool_attrs *attrs, cells seen)
{
    return attrs->count_pad ? (double)attrs->size[0] * (double)attrs->size[1]
                            : (double)(seen.h1 - seen.h0) * (double)(seen.w1 - seen.w0);
}

static double averaged(const soma__call *call, cells seen, int64_t index, int64_t n, int64_t c)
{
    (void)index;
    (void)n;
    (void)c;
    return 1 / divisor(call->attrs, seen);
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
                    for (int64_t h = seen.h0; h < seen.h1; h++)
                        for (int64_t w = seen.w0; w < seen.w1; w++)
                            sum += soma__load(x->dtype, x->data, cell_index(&x->shape, n, h, w, c));
                    soma__store(y->dtype, y->data, at++, sum / divisor(call->attrs, seen));
                }
            }
}

/* --- cost: one compare or add for each window cell -------------------------------------------- */

static double window_flops(const soma__call *call, const soma__view *pooled)
{
    const soma__pool_attrs *attrs = call->attrs;
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
    {                                                                                              \
        "pad", SOMA__ATTR_INT, offsetof(soma__pool_attrs, pad), 4, "top, left, bottom, right"      \
    }
#define COUNT_PAD                                                                                  \
    {                                                                                              \
        "count_pad", SOMA__ATTR_BOOL, offsetof(soma__pool_attrs, count_pad), 1,                    \
            "padded cells count in the divisor"                                                    \
    }

static const soma__attr max_attrs[] = {GEOMETRY, {0}};
static const soma__attr avg_attrs[] = {GEOMETRY, COUNT_PAD, {0}};
static const soma__attr avg_grad_attrs[] = {
    GEOMETRY,
    COUNT_PAD,
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
    .rule = pool_rule,
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
    .rule = pool_rule,
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
