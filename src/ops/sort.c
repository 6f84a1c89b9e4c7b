/* sort.c: orders along an axis. The ops give positions; values are gathered by them, so gradients
 * flow through the gather. Equal values keep their order, NaN comes last both upwards and
 * downwards.
 */
#include <string.h>

#include "ops/ops.h"
#include "ops/order.h"

static soma_status rule_order(soma__rule *rule)
{
    soma__order_attrs *attrs = rule->attrs;
    SOMA__TRY(soma__rule_axis(rule, &attrs->axis, rule->in_shape[0].ndim));
    rule->dtype = SOMA_I64;
    return SOMA_OK;
}

static soma_status rule_topk_index(soma__rule *rule)
{
    soma__order_attrs *attrs = rule->attrs;
    SOMA__TRY(rule_order(rule));
    const int64_t size = rule->in_shape[0].dim[attrs->axis];
    if (attrs->k < 0 || attrs->k > size)
        return soma__rule_fail(rule, SOMA_SHAPE, "k is %lld, axis %lld has %lld cells",
                               (long long)attrs->k, (long long)attrs->axis, (long long)size);
    rule->shape.dim[attrs->axis] = attrs->k;
    return SOMA_OK;
}

/* By the definition: cell i goes behind all cells that come before it. */
static void reference_order(const soma__call *call)
{
    const soma__order_attrs *attrs = call->attrs;
    const soma__view *x = &call->in[0], *y = &call->out[0];
    const int64_t n = x->shape.dim[attrs->axis], k = y->shape.dim[attrs->axis];
    int64_t before, after;
    soma__shape_around(&x->shape, attrs->axis, &before, &after);
    for (int64_t row = 0; row < before * after; row++) {
        const int64_t from = row / after * n * after + row % after;
        int64_t *to = (int64_t *)y->data + row / after * k * after + row % after;
        for (int64_t i = 0; i < n; i++) {
            int64_t rank = 0;
            for (int64_t j = 0; j < n; j++)
                rank += soma__comes_first(x, from + j * after, from + i * after,
                                          attrs->descending != 0) ||
                        (j < i && !soma__comes_first(x, from + i * after, from + j * after,
                                                     attrs->descending != 0));
            if (rank < k)
                to[rank * after] = i;
        }
    }
}

static double flops_order(const soma__call *call)
{
    return (double)call->in[0].count;
}

static const soma__attr order_attr_list[] = {
    {"axis", SOMA__ATTR_INT, offsetof(soma__order_attrs, axis), 1, "ordered"},
    {"descending", SOMA__ATTR_BOOL, offsetof(soma__order_attrs, descending), 1, "largest first"},
    {"k", SOMA__ATTR_INT, offsetof(soma__order_attrs, k), 1, "topk: how many"},
    {0}};

#define ORDER_OP(name_, doc_, rule_, ...)                                                          \
    const soma__op soma__op_##name_ = {.name = #name_,                                             \
                                       .family = "sort",                                           \
                                       .doc = doc_,                                                \
                                       .inputs = "x",                                              \
                                       .min_inputs = 1,                                            \
                                       .max_inputs = 1,                                            \
                                       .attr_size = sizeof(soma__order_attrs),                     \
                                       .attrs = order_attr_list,                                   \
                                       .rule = rule_,                                              \
                                       __VA_ARGS__};

ORDER_OP(argsort, "positions that put an axis in order; stable, NaN last", rule_order,
         .gradient = soma__grad_none, .reference = reference_order, .flops = flops_order)
ORDER_OP(topk_index, "positions of the k first in order along an axis, in order", rule_topk_index,
         .gradient = soma__grad_none, .reference = reference_order, .flops = flops_order)

static soma_var add_order(const soma__op *op, soma_var x, int64_t axis, bool descending, int64_t k)
{
    const soma__order_attrs attrs = {axis, descending, k};
    return soma__graph_add(x.graph, op, &x, 1, &attrs);
}

soma_var soma_argsort(soma_var x, int64_t axis, bool descending)
{
    return add_order(&soma__op_argsort, x, axis, descending, 0);
}

soma_var soma_topk_index(soma_var x, int64_t k, int64_t axis, bool smallest)
{
    return add_order(&soma__op_topk_index, x, axis, !smallest, k);
}

/* --- values: composites ------------------------------------------------------------------------
 */

static soma_status rule_sort(soma__rule *rule)
{
    SOMA__TRY(rule_order(rule));
    rule->dtype = rule->in_dtype[0];
    return SOMA_OK;
}

static soma_status rule_topk(soma__rule *rule)
{
    SOMA__TRY(rule_topk_index(rule));
    rule->dtype = rule->in_dtype[0];
    return SOMA_OK;
}

static soma_var decompose_sort(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    const soma__order_attrs *a = attrs;
    (void)graph, (void)nin;
    return soma_gather_elements(in[0], soma_argsort(in[0], a->axis, a->descending), a->axis);
}

static soma_var decompose_topk(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    const soma__order_attrs *a = attrs;
    (void)graph, (void)nin;
    return soma_gather_elements(in[0], soma_topk_index(in[0], a->k, a->axis, !a->descending),
                                a->axis);
}

ORDER_OP(sort, "an axis put in order; NaN last", rule_sort, .decompose = decompose_sort)
ORDER_OP(topk, "the k first in order along an axis, in order", rule_topk,
         .decompose = decompose_topk)

soma_var soma_sort(soma_var x, int64_t axis, bool descending)
{
    return add_order(&soma__op_sort, x, axis, descending, 0);
}

soma_var soma_topk(soma_var x, int64_t k, int64_t axis, bool smallest)
{
    return add_order(&soma__op_topk, x, axis, !smallest, k);
}

static soma_status rule_quantile(soma__rule *rule)
{
    soma__quantile_attrs *attrs = rule->attrs;
    const soma_shape x = rule->in_shape[0];
    SOMA__TRY(soma__rule_float(rule, 0));
    SOMA__TRY(soma__rule_axis(rule, &attrs->axis, x.ndim));
    if (!(attrs->q >= 0 && attrs->q <= 1))
        return soma__rule_fail(rule, SOMA_INVALID, "q is %g, must be in [0, 1]", attrs->q);
    if (x.dim[attrs->axis] == 0)
        return soma__rule_fail(rule, SOMA_SHAPE, "axis %lld has no cells", (long long)attrs->axis);
    rule->shape.ndim--;
    for (int d = (int)attrs->axis; d < rule->shape.ndim; d++)
        rule->shape.dim[d] = x.dim[d + 1];
    rule->shape.dim[rule->shape.ndim] = 0;
    return SOMA_OK;
}

/* Between the two cells around position q·(n - 1), as NumPy does by default. */
static soma_var decompose_quantile(soma_graph *graph, const soma_var *in, int nin,
                                   const void *attrs)
{
    const soma__quantile_attrs *a = attrs;
    const int64_t n = soma_var_shape(in[0]).dim[a->axis];
    const double position = a->q * (double)(n - 1);
    const int64_t low = (int64_t)position;
    const double part = position - (double)low;
    (void)graph, (void)nin;
    soma_var sorted = soma_topk(in[0], part > 0 ? low + 2 : low + 1, a->axis, true);
    soma_var y = soma_slice(sorted, a->axis, low, low + 1);
    if (part > 0)
        y = soma_add(soma_mul_scalar(y, 1 - part),
                     soma_mul_scalar(soma_slice(sorted, a->axis, low + 1, low + 2), part));
    return soma_squeeze(y, a->axis);
}

const soma__op soma__op_quantile = {
    .name = "quantile",
    .family = "sort",
    .doc = "the value below which a part q of an axis lies, between cells by their distance",
    .inputs = "x",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__quantile_attrs),
    .attrs = (const soma__attr[]){{"axis", SOMA__ATTR_INT, offsetof(soma__quantile_attrs, axis), 1,
                                   "removed"},
                                  {"q", SOMA__ATTR_FLOAT, offsetof(soma__quantile_attrs, q), 1,
                                   "in [0, 1]; 0.5 is the median"},
                                  {0}},
    .rule = rule_quantile,
    .decompose = decompose_quantile,
};

soma_var soma_quantile(soma_var x, double q, int64_t axis)
{
    const soma__quantile_attrs attrs = {axis, q};
    return soma__graph_add(x.graph, &soma__op_quantile, &x, 1, &attrs);
}

soma_var soma_median(soma_var x, int64_t axis)
{
    return soma_quantile(x, 0.5, axis);
}

/* --- searchsorted ------------------------------------------------------------------------------
 */

static soma_status rule_searchsorted(soma__rule *rule)
{
    if (rule->in_shape[0].ndim != 1)
        return soma__rule_fail(rule, SOMA_SHAPE, "the borders have %d dimensions, must have 1",
                               rule->in_shape[0].ndim);
    SOMA__TRY(soma__rule_same_dtypes(rule));
    rule->shape = rule->in_shape[1];
    rule->dtype = SOMA_I64;
    return SOMA_OK;
}

/* Bisection; what is not in order gives some position, but never one outside. */
static void reference_searchsorted(const soma__call *call)
{
    const soma__searchsorted_attrs *attrs = call->attrs;
    const soma__view *borders = &call->in[0], *x = &call->in[1];
    int64_t *y = call->out[0].data;
    for (int64_t i = 0; i < x->count; i++) {
        int64_t low = 0, high = borders->count;
        while (low < high) {
            const int64_t middle = low + (high - low) / 2;
            const bool behind = attrs->right ? !soma__below(x, i, borders, middle)
                                             : soma__below(borders, middle, x, i);
            if (behind)
                low = middle + 1;
            else
                high = middle;
        }
        y[i] = low;
    }
}

static double flops_searchsorted(const soma__call *call)
{
    return (double)call->in[1].count;
}

const soma__op soma__op_searchsorted = {
    .name = "searchsorted",
    .family = "sort",
    .doc = "how many of the borders, which are in order, lie below x (right: not above x)",
    .inputs = "borders x",
    .min_inputs = 2,
    .max_inputs = 2,
    .attr_size = sizeof(soma__searchsorted_attrs),
    .attrs =
        (const soma__attr[]){{"right", SOMA__ATTR_BOOL, offsetof(soma__searchsorted_attrs, right),
                              1, "equal borders count"},
                             {0}},
    .rule = rule_searchsorted,
    .gradient = soma__grad_none,
    .reference = reference_searchsorted,
    .flops = flops_searchsorted,
};

soma_var soma_searchsorted(soma_var borders, soma_var x, bool right)
{
    const soma__searchsorted_attrs attrs = {right};
    const soma_var in[2] = {borders, x};
    return soma__graph_add(borders.graph, &soma__op_searchsorted, in, 2, &attrs);
}
