/* resample.c: weighted sums of cells along one axis, what resizing of any kind comes down to.
 *
 * For given tables y = R x is linear, and resample_grad is its transpose: dx = Rᵀ dy. Each is the
 * other's gradient. An array is seen as [A, I, B] around the axis. */
#include "ops/ops.h"

/* --- rules and gradients ---------------------------------------------------------------------- */

static soma_status check_tables(soma__rule *rule)
{
    soma__resample_attrs *attrs = rule->attrs;
    const soma_shape *index = &rule->in_shape[1], *weight = &rule->in_shape[2];
    char ti[SOMA_SHAPE_TEXT_SIZE], tw[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(soma__rule_float(rule, 0));
    SOMA__TRY(soma__rule_integer(rule, 1));
    if (rule->in_dtype[2] != rule->in_dtype[0])
        return soma__rule_fail(rule, SOMA_DTYPE, "weight is %s, x %s",
                               soma_dtype_text(rule->in_dtype[2]),
                               soma_dtype_text(rule->in_dtype[0]));
    SOMA__TRY(soma__rule_axis(rule, &attrs->axis, rule->in_shape[0].ndim));
    if (index->ndim != 2 || !soma_shape_equal(index, weight))
        return soma__rule_fail(rule, SOMA_SHAPE, "index %s and weight %s must be one [J,K]",
                               soma_shape_text(index, ti, sizeof ti),
                               soma_shape_text(weight, tw, sizeof tw));
    return SOMA_OK;
}

static soma_status resample_rule(soma__rule *rule)
{
    soma__resample_attrs *attrs = rule->attrs;
    SOMA__TRY(check_tables(rule));
    attrs->size = 0;
    rule->shape.dim[attrs->axis] = rule->in_shape[1].dim[0];
    return SOMA_OK;
}

static soma_status resample_grad_rule(soma__rule *rule)
{
    const soma__resample_attrs *attrs = rule->attrs;
    SOMA__TRY(check_tables(rule));
    if (attrs->size < 0)
        return soma__rule_fail(rule, SOMA_INVALID, "size %lld is negative", (long long)attrs->size);
    if (rule->in_shape[0].dim[attrs->axis] != rule->in_shape[1].dim[0])
        return soma__rule_fail(
            rule, SOMA_SHAPE, "dy has %lld cells along the axis, the tables %lld",
            (long long)rule->in_shape[0].dim[attrs->axis], (long long)rule->in_shape[1].dim[0]);
    rule->shape.dim[attrs->axis] = attrs->size;
    return SOMA_OK;
}

static soma_var transposed(soma_var dy, soma_var index, soma_var weight, int64_t axis, int64_t size)
{
    const soma__resample_attrs attrs = {axis, size};
    return soma__graph_add(NULL, &soma__op_resample_grad, (soma_var[]){dy, index, weight}, 3,
                           &attrs);
}

/* dweight[j,k] = Σ dy[…, j, …] · x[…, index[j,k], …] */
static soma_var weight_gradient(soma_var x, soma_var index, soma_var dy, int64_t axis)
{
    soma_shape each = soma_var_shape(dy);
    soma_reduce_options others = {0};
    if (each.ndim == SOMA_MAX_DIMS) {
        soma_graph_fail(x.graph, SOMA_SHAPE,
                        "resample: there is no gradient by weight of x with %d dimensions",
                        SOMA_MAX_DIMS);
        return soma__failed(x);
    }
    for (int d = each.ndim++; d > axis + 1; d--)
        each.dim[d] = each.dim[d - 1];
    each.dim[axis + 1] = 1;
    for (int d = 0; d < each.ndim; d++)
        if (d != axis && d != axis + 1)
            others.axes[others.count++] = d;
    soma_var product = soma_mul(soma_gather(x, index, axis), soma_reshape(dy, each));
    return others.count ? soma_sum_opt(product, others) : product;
}

static void resample_gradient(soma__grad *grad)
{
    const soma__resample_attrs *attrs = grad->attrs;
    const soma_var *in = grad->in;
    if (grad->need[0])
        grad->din[0] = transposed(grad->dout, in[1], in[2], attrs->axis,
                                  soma_var_shape(in[0]).dim[attrs->axis]);
    if (grad->need[2])
        grad->din[2] = weight_gradient(in[0], in[1], grad->dout, attrs->axis);
}

static void resample_grad_gradient(soma__grad *grad)
{
    const soma__resample_attrs *attrs = grad->attrs;
    const soma_var *in = grad->in;
    if (grad->need[0])
        grad->din[0] = soma_resample(grad->dout, in[1], in[2], attrs->axis);
    if (grad->need[2])
        grad->din[2] = weight_gradient(grad->dout, in[1], in[0], attrs->axis);
}

/* --- reference kernels ------------------------------------------------------------------------ */

static void resample_reference(const soma__call *call)
{
    const soma__resample_attrs *attrs = call->attrs;
    const soma__view *x = &call->in[0], *index = &call->in[1], *weight = &call->in[2];
    const soma__view *y = &call->out[0];
    const int64_t inputs = x->shape.dim[attrs->axis], taps = index->shape.dim[1];
    int64_t before, after, at = 0;
    soma__shape_around(&y->shape, attrs->axis, &before, &after);
    for (int64_t a = 0; a < before; a++)
        for (int64_t j = 0; j < index->shape.dim[0]; j++)
            for (int64_t b = 0; b < after; b++) {
                double sum = 0;
                for (int64_t k = 0; k < taps; k++) {
                    int64_t i = soma__view_index(index, j * taps + k);
                    if (i >= 0 && i < inputs)
                        sum += soma__load(weight->dtype, weight->data, j * taps + k) *
                               soma__load(x->dtype, x->data, (a * inputs + i) * after + b);
                }
                soma__store(y->dtype, y->data, at++, sum);
            }
}

static void resample_grad_reference(const soma__call *call)
{
    const soma__resample_attrs *attrs = call->attrs;
    const soma__view *dy = &call->in[0], *index = &call->in[1], *weight = &call->in[2];
    const soma__view *dx = &call->out[0];
    const int64_t outputs = index->shape.dim[0], taps = index->shape.dim[1];
    int64_t before, after, at = 0;
    soma__shape_around(&dx->shape, attrs->axis, &before, &after);
    for (int64_t a = 0; a < before; a++)
        for (int64_t i = 0; i < attrs->size; i++)
            for (int64_t b = 0; b < after; b++) {
                double sum = 0;
                for (int64_t t = 0; t < index->count; t++)
                    if (soma__view_index(index, t) == i)
                        sum +=
                            soma__load(weight->dtype, weight->data, t) *
                            soma__load(dy->dtype, dy->data, (a * outputs + t / taps) * after + b);
                soma__store(dx->dtype, dx->data, at++, sum);
            }
}

static double resample_flops(const soma__call *call)
{
    return 2 * (double)call->out[0].count * (double)call->in[1].shape.dim[1];
}

static double resample_grad_flops(const soma__call *call)
{
    return 2 * (double)call->in[0].count * (double)call->in[1].shape.dim[1];
}

/* --- descriptors ------------------------------------------------------------------------------ */

static const soma__attr attributes[] = {
    {"axis", SOMA__ATTR_INT, offsetof(soma__resample_attrs, axis), 1, "of x"},
    {"size", SOMA__ATTR_INT, offsetof(soma__resample_attrs, size), 1,
     "resample_grad: cells of x along the axis"},
    {0}};

const soma__op soma__op_resample = {
    .name = "resample",
    .family = "resample",
    .doc = "y[..., j, ...] = sum over k of weight[j,k] x[..., index[j,k], ...]",
    .inputs = "x index weight",
    .min_inputs = 3,
    .max_inputs = 3,
    .attr_size = sizeof(soma__resample_attrs),
    .attrs = attributes,
    .rule = resample_rule,
    .gradient = resample_gradient,
    .reference = resample_reference,
    .flops = resample_flops,
};

const soma__op soma__op_resample_grad = {
    .name = "resample_grad",
    .family = "resample",
    .doc = "dx = zeros; dx[..., index[j,k], ...] += weight[j,k] dy[..., j, ...]",
    .inputs = "dy index weight",
    .min_inputs = 3,
    .max_inputs = 3,
    .attr_size = sizeof(soma__resample_attrs),
    .attrs = attributes,
    .rule = resample_grad_rule,
    .gradient = resample_grad_gradient,
    .reference = resample_grad_reference,
    .flops = resample_grad_flops,
};

soma_var soma_resample(soma_var x, soma_var index, soma_var weight, int64_t axis)
{
    const soma__resample_attrs attrs = {axis, 0};
    return soma__graph_add(NULL, &soma__op_resample, (soma_var[]){x, index, weight}, 3, &attrs);
}
