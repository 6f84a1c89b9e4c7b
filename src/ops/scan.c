/* scan.c: ops that run along an axis: cumsum, cumprod and the linear recurrence. The gradient of
 * each is a scan in the other direction; that of cumprod is a recurrence, so that zeros do no harm.
 */
#include <string.h>

#include "ops/ops.h"

/* --- rules
 * ---------------------------------------------------------------------------------------- */

static soma_status rule_scan(soma__rule *rule)
{
    soma__scan_attrs *attrs = rule->attrs;
    if (rule->in_dtype[0] == SOMA_BOOL)
        return soma__rule_fail(rule, SOMA_DTYPE,
                               "takes numbers, not bool: convert with soma_cast first");
    attrs->exclusive = attrs->exclusive != 0;
    attrs->reverse = attrs->reverse != 0;
    return soma__rule_axis(rule, &attrs->axis, rule->in_shape[0].ndim);
}

static soma_status rule_recurrence(soma__rule *rule)
{
    char a[SOMA_SHAPE_TEXT_SIZE], b[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(soma__rule_float(rule, 0));
    SOMA__TRY(soma__rule_same_dtypes(rule));
    if (!soma_shape_equal(&rule->in_shape[0], &rule->in_shape[1]))
        return soma__rule_fail(rule, SOMA_SHAPE, "the shapes of a %s and b %s differ",
                               soma_shape_text(&rule->in_shape[0], a, sizeof(a)),
                               soma_shape_text(&rule->in_shape[1], b, sizeof(b)));
    return rule_scan(rule);
}

/* --- reference kernel
 * ------------------------------------------------------------------------------ */

typedef enum scan { SUM, PRODUCT, RECURRENCE } scan;

/* One run of floats: element i of it is at first + i·step. */
static void run_floats(const soma__call *call, scan kind, int64_t first, int64_t step, int64_t size,
                       bool exclusive)
{
    const soma__view *x = &call->in[0], *y = &call->out[0];
    double total = kind == PRODUCT ? 1 : 0;
    for (int64_t i = 0; i < size; i++) {
        const int64_t at = first + i * step;
        const double value = soma__load(x->dtype, x->data, at), before = total;
        if (kind == RECURRENCE)
            total = value * total + soma__load(x->dtype, call->in[1].data, at);
        else
            total = kind == SUM ? total + value : total * value;
        soma__store(y->dtype, y->data, at, exclusive ? before : total);
    }
}

/* Integers wrap around; the low bits are right in an unsigned total of any width. */
static void run_integers(const soma__call *call, scan kind, int64_t first, int64_t step,
                         int64_t size, bool exclusive)
{
    const soma__view *x = &call->in[0], *y = &call->out[0];
    const size_t width = soma_dtype_size(x->dtype);
    uint64_t total = kind == PRODUCT;
    for (int64_t i = 0; i < size; i++) {
        const int64_t at = first + i * step;
        const uint64_t before = total;
        const uint64_t value = x->dtype == SOMA_I64
                                   ? (uint64_t)((const int64_t *)x->data)[at]
                                   : (uint64_t)(int64_t)soma__load(x->dtype, x->data, at);
        total = kind == SUM ? total + value : total * value;
        const uint64_t result = exclusive ? before : total;
        if (width == 8)
            ((uint64_t *)y->data)[at] = result;
        else if (width == 4)
            ((uint32_t *)y->data)[at] = (uint32_t)result;
        else
            ((uint8_t *)y->data)[at] = (uint8_t)result;
    }
}

static void reference(const soma__call *call, scan kind)
{
    const soma__scan_attrs *attrs = call->attrs;
    const soma__view *x = &call->in[0];
    const int64_t size = x->shape.dim[attrs->axis];
    int64_t outer, inner;
    soma__shape_around(&x->shape, attrs->axis, &outer, &inner);
    const int64_t runs = size ? outer * inner : 0;
    for (int64_t r = 0; r < runs; r++) {
        int64_t first = r / inner * size * inner + r % inner, step = inner;
        if (attrs->reverse) {
            first += (size - 1) * inner;
            step = -inner;
        }
        if (soma_dtype_is_float(x->dtype))
            run_floats(call, kind, first, step, size, attrs->exclusive);
        else
            run_integers(call, kind, first, step, size, attrs->exclusive);
    }
}

static void reference_cumsum(const soma__call *call)
{
    reference(call, SUM);
}
static void reference_cumprod(const soma__call *call)
{
    reference(call, PRODUCT);
}
static void reference_recurrence(const soma__call *call)
{
    reference(call, RECURRENCE);
}

static double flops_recurrence(const soma__call *call)
{
    return 2 * (double)call->out[0].count;
}

/* --- gradients
 * ------------------------------------------------------------------------------------- */

/* Each cell gets its neighbour's value: y_k = x_(k-1), or x_(k+1) with `back`; 0 comes in. */
static soma_var shift(soma_var x, int64_t axis, bool back)
{
    const soma_shape shape = soma_var_shape(x);
    int64_t before[SOMA_MAX_DIMS] = {0}, after[SOMA_MAX_DIMS] = {0};
    if (shape.dim[axis] == 0)
        return x;
    *(back ? &after[axis] : &before[axis]) = 1;
    soma_var kept = back ? soma_slice(x, axis, 1, shape.dim[axis])
                         : soma_slice(x, axis, 0, shape.dim[axis] - 1);
    return soma_pad(kept, before, after, shape.ndim, 0);
}

static void grad_cumsum(soma__grad *g)
{
    const soma__scan_attrs *a = g->attrs;
    g->din[0] = soma_cumsum(g->dout, a->axis, .exclusive = a->exclusive, .reverse = !a->reverse);
}

/* dx_k = (product of the cells before k) · r_k with r_k = dy_k + x_(k+1) r_(k+1): what each later
 * result has of the cells behind k. In an exclusive product the first result with x_k is k + 1. */
static void grad_cumprod(soma__grad *g)
{
    const soma__scan_attrs *a = g->attrs;
    soma_var next = shift(g->in[0], a->axis, !a->reverse);
    soma_var dy = a->exclusive ? shift(g->dout, a->axis, !a->reverse) : g->dout;
    soma_var before = soma_cumprod(g->in[0], a->axis, .exclusive = true, .reverse = a->reverse);
    g->din[0] = soma_mul(before, soma_recurrence(next, dy, a->axis, !a->reverse));
}

/* With l_k = dy_k + a_(k+1) l_(k+1): db = l, da_k = l_k y_(k-1). */
static void grad_recurrence(soma__grad *g)
{
    const soma__scan_attrs *a = g->attrs;
    soma_var next = shift(g->in[0], a->axis, !a->reverse);
    soma_var l = soma_recurrence(next, g->dout, a->axis, !a->reverse);
    if (g->need[0])
        g->din[0] = soma_mul(l, shift(g->out, a->axis, a->reverse));
    if (g->need[1])
        g->din[1] = l;
}

/* --- descriptors and builders
 * ---------------------------------------------------------------------- */

static const soma__attr scan_attrs[] = {
    {"axis", SOMA__ATTR_INT, offsetof(soma__scan_attrs, axis), 1, "to run along"},
    {"exclusive", SOMA__ATTR_BOOL, offsetof(soma__scan_attrs, exclusive), 1,
     "each result leaves its own cell out"},
    {"reverse", SOMA__ATTR_BOOL, offsetof(soma__scan_attrs, reverse), 1, "from the end on"},
    {0}};

#define SCAN(name_, inputs_, arity_, doc_, ...)                                                    \
    const soma__op soma__op_##name_ = {.name = #name_,                                             \
                                       .family = "scan",                                           \
                                       .doc = doc_,                                                \
                                       .inputs = inputs_,                                          \
                                       .min_inputs = arity_,                                       \
                                       .max_inputs = arity_,                                       \
                                       .attr_size = sizeof(soma__scan_attrs),                      \
                                       .attrs = scan_attrs,                                        \
                                       .gradient = grad_##name_,                                   \
                                       .reference = reference_##name_,                             \
                                       __VA_ARGS__};

SCAN(cumsum, "x", 1, "running sum along an axis", .rule = rule_scan)
SCAN(cumprod, "x", 1, "running product along an axis", .rule = rule_scan)
SCAN(recurrence, "a b", 2, "y_k = a_k y_(k-1) + b_k along an axis", .rule = rule_recurrence,
     .flops = flops_recurrence)

static soma_var scan_along(const soma__op *op, soma_var x, int64_t axis, soma_scan_options options)
{
    const soma__scan_attrs attrs = {axis, options.exclusive, options.reverse};
    return soma__graph_add(x.graph, op, &x, 1, &attrs);
}

soma_var soma_cumsum_opt(soma_var x, int64_t axis, soma_scan_options options)
{
    return scan_along(&soma__op_cumsum, x, axis, options);
}

soma_var soma_cumprod_opt(soma_var x, int64_t axis, soma_scan_options options)
{
    return scan_along(&soma__op_cumprod, x, axis, options);
}

soma_var soma_recurrence(soma_var a, soma_var b, int64_t axis, bool reverse)
{
    const soma__scan_attrs attrs = {axis, 0, reverse};
    const soma_var in[2] = {a, b};
    return soma__graph_add(a.graph, &soma__op_recurrence, in, 2, &attrs);
}
