/* softmax.c: softmax and its logarithm along one axis, made stable by taking the largest value off
 * first. A row that holds a NaN or +Inf gives NaN, as the formula does; a row of -Inf alone as
 * well. */
#include "ops/attrs.h"
#include "ops/ops.h"

static soma_status softmax_rule(soma__rule *rule)
{
    soma__axis_attrs *attrs = rule->attrs;
    SOMA__TRY(soma__rule_float(rule, 0));
    if (rule->in_shape[0].ndim < 1)
        return soma__rule_fail(rule, SOMA_SHAPE, "x must have at least one dimension");
    return soma__rule_axis(rule, &attrs->axis, rule->in_shape[0].ndim);
}

/* y·(dy - Σ dy·y) */
static void softmax_gradient(soma__grad *grad)
{
    int64_t axis = ((const soma__axis_attrs *)grad->attrs)->axis;
    soma_var y = grad->out, dy = grad->dout;
    soma_var inner = soma_sum(soma_mul(dy, y), .axes = {axis}, .count = 1, .keep_dims = true);
    grad->din[0] = soma_mul(y, soma_sub(dy, inner));
}

/* dy - e^y·Σ dy */
static void log_softmax_gradient(soma__grad *grad)
{
    int64_t axis = ((const soma__axis_attrs *)grad->attrs)->axis;
    soma_var total = soma_sum(grad->dout, .axes = {axis}, .count = 1, .keep_dims = true);
    grad->din[0] = soma_sub(grad->dout, soma_mul(soma_exp(grad->out), total));
}

/* One row: `size` values from `first`, `step` apart. */
static void softmax_row(const soma__view *x, const soma__view *y, int64_t first, int64_t size,
                        int64_t step, bool logarithm)
{
    double most = -INFINITY, sum = 0;
    for (int64_t k = 0; k < size; k++) {
        double value = soma__load(x->dtype, x->data, first + k * step);
        if (value > most || isnan(value))
            most = value;
        if (isnan(most))
            break;
    }
    for (int64_t k = 0; k < size; k++)
        sum += exp(soma__load(x->dtype, x->data, first + k * step) - most);
    for (int64_t k = 0; k < size; k++) {
        double value = soma__load(x->dtype, x->data, first + k * step) - most;
        soma__store(y->dtype, y->data, first + k * step,
                    logarithm ? value - log(sum) : exp(value) / sum);
    }
}

static void softmax_rows(const soma__call *call, bool logarithm)
{
    int64_t axis = ((const soma__axis_attrs *)call->attrs)->axis;
    const soma__view *x = &call->in[0], *y = &call->out[0];
    int64_t size = x->shape.dim[axis], step = 1;
    if (x->count == 0)
        return;
    for (int d = (int)axis + 1; d < x->shape.ndim; d++)
        step *= x->shape.dim[d];
    for (int64_t outer = 0; outer < x->count; outer += size * step)
        for (int64_t inner = 0; inner < step; inner++)
            softmax_row(x, y, outer + inner, size, step, logarithm);
}

static void softmax_reference(const soma__call *call)
{
    softmax_rows(call, false);
}
static void log_softmax_reference(const soma__call *call)
{
    softmax_rows(call, true);
}

/* A compare, a subtraction, an exponential (10), an addition and a division. */
static double softmax_flops(const soma__call *call)
{
    return 14 * (double)call->out[0].count;
}

static const soma__attr axis_attrs[] = {
    {"axis", SOMA__ATTR_INT, offsetof(soma__axis_attrs, axis), 1, "along which values sum to 1"},
    {0},
};

const soma__op soma__op_softmax = {
    .name = "softmax",
    .family = "softmax",
    .doc = "e^x / Σ e^x along axis",
    .inputs = "x",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__axis_attrs),
    .attrs = axis_attrs,
    .rule = softmax_rule,
    .gradient = softmax_gradient,
    .reference = softmax_reference,
    .flops = softmax_flops,
};

const soma__op soma__op_log_softmax = {
    .name = "log_softmax",
    .family = "softmax",
    .doc = "x - log Σ e^x along axis",
    .inputs = "x",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__axis_attrs),
    .attrs = axis_attrs,
    .rule = softmax_rule,
    .gradient = log_softmax_gradient,
    .reference = log_softmax_reference,
    .flops = softmax_flops,
};

soma_var soma_softmax(soma_var x, int64_t axis)
{
    soma__axis_attrs attrs = {axis};
    return soma__graph_add(NULL, &soma__op_softmax, &x, 1, &attrs);
}

soma_var soma_log_softmax(soma_var x, int64_t axis)
{
    soma__axis_attrs attrs = {axis};
    return soma__graph_add(NULL, &soma__op_log_softmax, &x, 1, &attrs);
}
