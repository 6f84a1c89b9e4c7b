/* summary.c: reductions that are composites of those in reduce.c: std, norm, logsumexp, any, all,
 * count_nonzero. */
#include "ops/reduce.h"

/* Axes as a composite's rule has resolved them. */
static soma_var over(const soma__op *op, soma_var x, const soma__reduce_attrs *axes)
{
    return soma__graph_add(x.graph, op, &x, 1, axes);
}

static soma_var number(soma_var x, double value)
{
    return soma_scalar(x.graph, soma_var_dtype(x), value);
}

/* x^p, and 0 with gradient 0 where x is 0: there the slope of a root is infinite. */
static soma_var root(soma_var x, double p)
{
    soma_var zero = number(x, 0), none = soma_equal(x, zero);
    soma_var safe = soma_where(none, number(x, 1), x);
    return soma_where(none, zero, p == 0.5 ? soma_sqrt(safe) : soma_pow_scalar(safe, p));
}

static soma_var decompose_std(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)graph, (void)nin;
    return root(over(&soma__op_variance, in[0], attrs), 0.5);
}

static soma_var decompose_norm(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)graph, (void)nin;
    const soma__lp_attrs *a = attrs;
    soma_var x = in[0];
    if (a->p == 0)
        return over(&soma__op_sum, soma_cast(soma_not_equal(x, number(x, 0)), soma_var_dtype(x)),
                    &a->reduce);
    if (a->p == 2)
        return root(over(&soma__op_sum, soma_square(x), &a->reduce), 0.5);
    if (a->p == 1)
        return over(&soma__op_sum, soma_abs(x), &a->reduce);
    if (isinf(a->p))
        return over(a->p > 0 ? &soma__op_max : &soma__op_min, soma_abs(x), &a->reduce);
    soma_var power = a->p > 0 ? root(soma_abs(x), a->p) : soma_pow_scalar(soma_abs(x), a->p);
    soma_var sum = over(&soma__op_sum, power, &a->reduce);
    return a->p > 0 ? root(sum, 1 / a->p) : soma_pow_scalar(sum, 1 / a->p);
}

/* The largest value is taken off before and added again, as a constant: any number there gives the
 * same result, so that no gradient need go through it. Where it is infinite, 0 does as well. */
static soma_var decompose_logsumexp(soma_graph *graph, const soma_var *in, int nin,
                                    const void *attrs)
{
    (void)graph, (void)nin;
    soma__reduce_attrs keep = *(const soma__reduce_attrs *)attrs;
    soma_var x = in[0];
    keep.keep_dims = 1;
    if (soma__reduced_cells(x, keep.mask) == 0)
        return soma_log(over(&soma__op_sum, soma_exp(x), attrs));
    soma_var most = soma_stop_gradient(over(&soma__op_max, x, &keep));
    most = soma_where(soma_isfinite(most), most, number(x, 0));
    soma_var sum = over(&soma__op_sum, soma_exp(soma_sub(x, most)), attrs);
    return soma_add(soma_log(sum), soma_reshape(most, soma_var_shape(sum)));
}

/* 1 for cells that are (not) 0, as f32, whose sums have fast kernels. A sum of ones cannot round to
 * 0, and up to 2^24 it is exact. */
static soma_var ones(soma_var x, bool of_zeros, soma_dtype dtype)
{
    soma_var zero = number(x, 0);
    return soma_cast(of_zeros ? soma_equal(x, zero) : soma_not_equal(x, zero), dtype);
}

static soma_var decompose_any(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)nin;
    soma_var count = over(&soma__op_sum, ones(in[0], false, SOMA_F32), attrs);
    return soma_less(soma_scalar(graph, SOMA_F32, 0), count);
}

static soma_var decompose_all(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)nin;
    soma_var count = over(&soma__op_sum, ones(in[0], true, SOMA_F32), attrs);
    return soma_equal(count, soma_scalar(graph, SOMA_F32, 0));
}

static soma_var decompose_count_nonzero(soma_graph *graph, const soma_var *in, int nin,
                                        const void *attrs)
{
    (void)graph, (void)nin;
    const soma__reduce_attrs *axes = attrs;
    bool exact = soma__reduced_cells(in[0], axes->mask) <= 0x1p24;
    soma_var each = ones(in[0], false, exact ? SOMA_F32 : SOMA_I64);
    return soma_cast(over(&soma__op_sum, each, axes), SOMA_I64);
}

static soma_status rule_bool(soma__rule *rule)
{
    rule->dtype = SOMA_BOOL;
    return soma__rule_reduce(rule);
}

static soma_status rule_count(soma__rule *rule)
{
    rule->dtype = SOMA_I64;
    return soma__rule_reduce(rule);
}

static soma_status rule_norm(soma__rule *rule)
{
    const soma__lp_attrs *attrs = rule->attrs;
    SOMA__TRY(soma__rule_reduce_float(rule));
    if (isnan(attrs->p))
        return soma__rule_fail(rule, SOMA_INVALID, "p is not a number");
    for (int d = 0; isinf(attrs->p) && d < rule->in_shape[0].ndim; d++)
        if ((attrs->reduce.mask >> d & 1) && rule->in_shape[0].dim[d] == 0)
            return soma__rule_fail(rule, SOMA_SHAPE, "an empty axis %d has no %s value", d,
                                   attrs->p > 0 ? "largest" : "smallest");
    return SOMA_OK;
}

SOMA__REDUCE(summary, std, soma_std_opt, "root of the variance over axes",
             .rule = soma__rule_reduce_float, .decompose = decompose_std)
SOMA__REDUCE(summary, logsumexp, soma_logsumexp_opt, "ln of the sum of e^x over axes",
             .rule = soma__rule_reduce_float, .decompose = decompose_logsumexp)
SOMA__REDUCE(summary, any, soma_any_opt, "whether any value over axes is not 0", .rule = rule_bool,
             .decompose = decompose_any)
SOMA__REDUCE(summary, all, soma_all_opt, "whether no value over axes is 0", .rule = rule_bool,
             .decompose = decompose_all)
SOMA__REDUCE(summary, count_nonzero, soma_count_nonzero_opt, "how many values over axes are not 0",
             .rule = rule_count, .decompose = decompose_count_nonzero)

const soma__op soma__op_norm = {
    .name = "norm",
    .family = "summary",
    .doc = "(sum of |x|^p)^(1/p) over axes",
    .inputs = "x",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__lp_attrs),
    .attrs =
        (const soma__attr[]){
            {"mask", SOMA__ATTR_INT, offsetof(soma__lp_attrs, reduce.mask), 1,
             "bit i: axis i is reduced"},
            {"keep_dims", SOMA__ATTR_BOOL, offsetof(soma__lp_attrs, reduce.keep_dims), 1,
             "reduced axes stay with size 1"},
            {"p", SOMA__ATTR_FLOAT, offsetof(soma__lp_attrs, p), 1, "order of the norm"},
            {0}},
    .rule = rule_norm,
    .decompose = decompose_norm,
};

soma_var soma_norm_opt(soma_var x, double p, soma_reduce_options options)
{
    const soma__lp_attrs attrs = {soma__reduce_options(&options), p};
    return soma__graph_add(x.graph, &soma__op_norm, &x, 1, &attrs);
}
