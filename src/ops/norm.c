/* norm.c: normalisation layers, all composites. Statistics and scaling are ordinary nodes: a plan
 * fuses the elementwise part into one pass, and gradients need no rule of their own. */
#include "ops/attrs.h"
#include "ops/ops.h"

/* Checks that inputs [1, nin) are vectors as long as x's last axis. */
static soma_status norm_rule(soma__rule *rule, const char *const *names)
{
    const soma__norm_attrs *attrs = rule->attrs;
    const soma_shape *x = &rule->in_shape[0];
    char tx[SOMA_SHAPE_TEXT_SIZE], tp[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(soma__rule_float(rule, 0));
    SOMA__TRY(soma__rule_same_dtypes(rule));
    if (x->ndim < 1)
        return soma__rule_fail(rule, SOMA_SHAPE, "x must have at least one dimension");
    int64_t channels = x->dim[x->ndim - 1];
    for (int i = 1; i < rule->nin; i++) {
        const soma_shape *p = &rule->in_shape[i];
        if (p->ndim != 1 || p->dim[0] != channels)
            return soma__rule_fail(rule, SOMA_SHAPE, "%s must be [%lld] for x %s, but is %s",
                                   names[i], (long long)channels,
                                   soma_shape_text(x, tx, sizeof(tx)),
                                   soma_shape_text(p, tp, sizeof(tp)));
    }
    if (!(attrs->eps >= 0) || isinf(attrs->eps))
        return soma__rule_fail(rule, SOMA_INVALID, "eps %g must be a number of at least 0",
                               attrs->eps);
    return SOMA_OK;
}

static const soma__attr norm_attrs[] = {
    {"eps", SOMA__ATTR_FLOAT, offsetof(soma__norm_attrs, eps), 1, "added to the variance"},
    {0},
};

/* --- layer_norm ------------------------------------------------------------------------------- */

static soma_status layer_norm_rule(soma__rule *rule)
{
    static const char *const names[] = {"x", "gamma", "beta"};
    return norm_rule(rule, names);
}

/* The variance is the mean square of the centred values, which are needed anyway, and which do not
 * cancel as mean(x²) - mean(x)² does. */
static soma_var layer_norm_decompose(soma_graph *graph, const soma_var *in, int nin,
                                     const void *attrs)
{
    const soma__norm_attrs *norm = attrs;
    (void)graph;
    (void)nin;
    soma_var mean = soma_mean(in[0], .axes = {-1}, .count = 1, .keep_dims = true);
    soma_var centred = soma_sub(in[0], mean);
    soma_var var = soma_mean(soma_square(centred), .axes = {-1}, .count = 1, .keep_dims = true);
    soma_var scale = soma_rsqrt(soma_add_scalar(var, norm->eps));
    return soma_add(soma_mul(soma_mul(centred, scale), in[1]), in[2]);
}

const soma__op soma__op_layer_norm = {
    .name = "layer_norm",
    .family = "norm",
    .doc = "(x - mean) / √(var + eps) · gamma + beta over the last axis",
    .inputs = "x gamma beta",
    .min_inputs = 3,
    .max_inputs = 3,
    .attr_size = sizeof(soma__norm_attrs),
    .attrs = norm_attrs,
    .rule = layer_norm_rule,
    .decompose = layer_norm_decompose,
};

soma_var soma_layer_norm(soma_var x, soma_var gamma, soma_var beta, double eps)
{
    soma__norm_attrs attrs = {eps};
    return soma__graph_add(NULL, &soma__op_layer_norm, (soma_var[]){x, gamma, beta}, 3, &attrs);
}

/* --- batch_norm ------------------------------------------------------------------------------- */

static soma_status batch_norm_rule(soma__rule *rule)
{
    static const char *const names[] = {"x", "mean", "var", "gamma", "beta"};
    return norm_rule(rule, names);
}

/* gamma / √(var + eps) is made once for each channel, which leaves three operations for each value.
 */
static soma_var batch_norm_decompose(soma_graph *graph, const soma_var *in, int nin,
                                     const void *attrs)
{
    const soma__norm_attrs *norm = attrs;
    (void)graph;
    (void)nin;
    soma_var scale = soma_mul(soma_rsqrt(soma_add_scalar(in[2], norm->eps)), in[3]);
    return soma_add(soma_mul(soma_sub(in[0], in[1]), scale), in[4]);
}

const soma__op soma__op_batch_norm = {
    .name = "batch_norm",
    .family = "norm",
    .doc = "(x - mean) / √(var + eps) · gamma + beta, one of each per channel (last axis)",
    .inputs = "x mean var gamma beta",
    .min_inputs = 5,
    .max_inputs = 5,
    .attr_size = sizeof(soma__norm_attrs),
    .attrs = norm_attrs,
    .rule = batch_norm_rule,
    .decompose = batch_norm_decompose,
};

soma_var soma_batch_norm(soma_var x, soma_var mean, soma_var var, soma_var gamma, soma_var beta,
                         double eps)
{
    soma__norm_attrs attrs = {eps};
    return soma__graph_add(NULL, &soma__op_batch_norm, (soma_var[]){x, mean, var, gamma, beta}, 5,
                           &attrs);
}
