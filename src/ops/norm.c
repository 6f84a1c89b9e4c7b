/* norm.c: normalisation layers, all composites. Statistics and scaling are ordinary nodes: a plan
 * fuses the elementwise part into one pass, and gradients need no rule of their own. */
#include "ops/attrs.h"
#include "ops/ops.h"

/* Checks that inputs [1, nin) are vectors as long as x's last axis; `names` has all that the op
 * takes. */
static soma_status norm_rule(soma__rule *rule, const char *const *names, int named)
{
    const soma__norm_attrs *attrs = rule->attrs;
    const soma_shape *x = &rule->in_shape[0];
    char tx[SOMA_SHAPE_TEXT_SIZE], tp[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(soma__rule_float(rule, 0));
    SOMA__TRY(soma__rule_same_dtypes(rule));
    if (x->ndim < 1)
        return soma__rule_fail(rule, SOMA_SHAPE, "x must have at least one dimension");
    int64_t channels = x->dim[x->ndim - 1];
    for (int i = 1; i < rule->nin && i < named; i++) {
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
    return norm_rule(rule, names, (int)(sizeof names / sizeof names[0]));
}

static soma_var layer_norm_decompose(soma_graph *graph, const soma_var *in, int nin,
                                     const void *attrs)
{
    const soma__norm_attrs *norm = attrs;
    (void)graph;
    (void)nin;
    soma_reduce_options over = {.axes = {-1}, .count = 1, .keep_dims = true};
    soma_var centred = soma_sub(in[0], soma_mean_opt(in[0], over));
    soma_var scale = soma_rsqrt(soma_add_scalar(soma_var_opt(in[0], over), norm->eps));
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
    soma__norm_attrs attrs = {.eps = eps};
    return soma__graph_add(NULL, &soma__op_layer_norm, (soma_var[]){x, gamma, beta}, 3, &attrs);
}

/* --- batch_norm ------------------------------------------------------------------------------- */

static soma_status batch_norm_rule(soma__rule *rule)
{
    static const char *const names[] = {"x", "mean", "var", "gamma", "beta"};
    return norm_rule(rule, names, (int)(sizeof names / sizeof names[0]));
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
    soma__norm_attrs attrs = {.eps = eps};
    return soma__graph_add(NULL, &soma__op_batch_norm, (soma_var[]){x, mean, var, gamma, beta}, 5,
                           &attrs);
}

/* --- group_norm, instance_norm, rms_norm -------------------------------------------------------
 */

static soma_status group_norm_rule(soma__rule *rule)
{
    static const char *const names[] = {"x", "gamma", "beta"};
    const soma__norm_attrs *attrs = rule->attrs;
    const soma_shape *x = &rule->in_shape[0];
    char text[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(norm_rule(rule, names, (int)(sizeof names / sizeof names[0])));
    if (x->ndim < 2)
        return soma__rule_fail(rule, SOMA_SHAPE, "x is %s, but must be [N,…,C]",
                               soma_shape_text(x, text, sizeof(text)));
    int64_t channels = x->dim[x->ndim - 1];
    if (rule->op == &soma__op_group_norm && (attrs->groups < 1 || channels % attrs->groups))
        return soma__rule_fail(rule, SOMA_INVALID, "%lld channels cannot be cut into %lld groups",
                               (long long)channels, (long long)attrs->groups);
    return SOMA_OK;
}

/* x as [N, cells, groups, channels of a group]: the statistics are over the second and the last. */
static soma_var normalise_groups(const soma_var *in, int64_t groups, double eps)
{
    soma_shape shape = soma_var_shape(in[0]);
    int64_t cells = 1, channels = shape.dim[shape.ndim - 1];
    for (int d = 1; d + 1 < shape.ndim; d++)
        cells *= shape.dim[d];
    int64_t members = groups > 0 ? channels / groups : 1;
    soma_reduce_options over = {.axes = {1, 3}, .count = 2, .keep_dims = true};
    soma_var x = soma_reshape(in[0], SOMA_SHAPE(shape.dim[0], cells, groups, members));
    soma_var centred = soma_sub(x, soma_mean_opt(x, over));
    soma_var scale = soma_rsqrt(soma_add_scalar(soma_var_opt(x, over), eps));
    soma_var y = soma_reshape(soma_mul(centred, scale), shape);
    return soma_add(soma_mul(y, in[1]), in[2]);
}

static soma_var group_norm_decompose(soma_graph *graph, const soma_var *in, int nin,
                                     const void *attrs)
{
    const soma__norm_attrs *norm = attrs;
    (void)graph;
    (void)nin;
    return normalise_groups(in, norm->groups, norm->eps);
}

static soma_var instance_norm_decompose(soma_graph *graph, const soma_var *in, int nin,
                                        const void *attrs)
{
    const soma__norm_attrs *norm = attrs;
    soma_shape shape = soma_var_shape(in[0]);
    (void)graph;
    (void)nin;
    return normalise_groups(in, shape.dim[shape.ndim - 1], norm->eps);
}

static const soma__attr group_attrs[] = {
    {"eps", SOMA__ATTR_FLOAT, offsetof(soma__norm_attrs, eps), 1, "added to the variance"},
    {"groups", SOMA__ATTR_INT, offsetof(soma__norm_attrs, groups), 1, "of neighbouring channels"},
    {0},
};

const soma__op soma__op_group_norm = {
    .name = "group_norm",
    .family = "norm",
    .doc = "(x - mean) / √(var + eps) · gamma + beta over the cells and each group of channels",
    .inputs = "x gamma beta",
    .min_inputs = 3,
    .max_inputs = 3,
    .attr_size = sizeof(soma__norm_attrs),
    .attrs = group_attrs,
    .rule = group_norm_rule,
    .decompose = group_norm_decompose,
};

const soma__op soma__op_instance_norm = {
    .name = "instance_norm",
    .family = "norm",
    .doc = "(x - mean) / √(var + eps) · gamma + beta over the cells of each channel",
    .inputs = "x gamma beta",
    .min_inputs = 3,
    .max_inputs = 3,
    .attr_size = sizeof(soma__norm_attrs),
    .attrs = norm_attrs,
    .rule = group_norm_rule,
    .decompose = instance_norm_decompose,
};

soma_var soma_group_norm(soma_var x, soma_var gamma, soma_var beta, int64_t groups, double eps)
{
    soma__norm_attrs attrs = {.eps = eps, .groups = groups};
    return soma__graph_add(NULL, &soma__op_group_norm, (soma_var[]){x, gamma, beta}, 3, &attrs);
}

soma_var soma_instance_norm(soma_var x, soma_var gamma, soma_var beta, double eps)
{
    soma__norm_attrs attrs = {.eps = eps};
    return soma__graph_add(NULL, &soma__op_instance_norm, (soma_var[]){x, gamma, beta}, 3, &attrs);
}

static soma_status rms_norm_rule(soma__rule *rule)
{
    static const char *const names[] = {"x", "gamma"};
    return norm_rule(rule, names, (int)(sizeof names / sizeof names[0]));
}

static soma_var rms_norm_decompose(soma_graph *graph, const soma_var *in, int nin,
                                   const void *attrs)
{
    const soma__norm_attrs *norm = attrs;
    (void)graph;
    (void)nin;
    soma_var power = soma_mean(soma_square(in[0]), .axes = {-1}, .count = 1, .keep_dims = true);
    return soma_mul(soma_mul(in[0], soma_rsqrt(soma_add_scalar(power, norm->eps))), in[1]);
}

const soma__op soma__op_rms_norm = {
    .name = "rms_norm",
    .family = "norm",
    .doc = "x / √(mean(x²) + eps) · gamma over the last axis",
    .inputs = "x gamma",
    .min_inputs = 2,
    .max_inputs = 2,
    .attr_size = sizeof(soma__norm_attrs),
    .attrs = norm_attrs,
    .rule = rms_norm_rule,
    .decompose = rms_norm_decompose,
};

soma_var soma_rms_norm(soma_var x, soma_var gamma, double eps)
{
    soma__norm_attrs attrs = {.eps = eps};
    return soma__graph_add(NULL, &soma__op_rms_norm, (soma_var[]){x, gamma}, 2, &attrs);
}

/* --- local_response_norm -----------------------------------------------------------------------
 */

static soma_status response_rule(soma__rule *rule)
{
    const soma__response_attrs *a = rule->attrs;
    SOMA__TRY(soma__rule_float(rule, 0));
    if (rule->in_shape[0].ndim < 2)
        return soma__rule_fail(rule, SOMA_SHAPE, "x must be [N,…,C]");
    if (a->size < 1 || a->size > INT32_MAX)
        return soma__rule_fail(rule, SOMA_INVALID, "size %lld must be at least 1",
                               (long long)a->size);
    if (!isfinite(a->alpha) || !isfinite(a->beta) || !isfinite(a->k))
        return soma__rule_fail(rule, SOMA_INVALID, "alpha %g, beta %g, k %g must be numbers",
                               a->alpha, a->beta, a->k);
    return SOMA_OK;
}

/* The window over the channels is an average pool over images that are one channel wide. */
static soma_var response_decompose(soma_graph *graph, const soma_var *in, int nin,
                                   const void *attrs)
{
    const soma__response_attrs *a = attrs;
    soma_shape shape = soma_var_shape(in[0]);
    int64_t channels = shape.dim[shape.ndim - 1], rows = 1;
    (void)graph;
    (void)nin;
    for (int d = 0; d + 1 < shape.ndim; d++)
        rows *= shape.dim[d];
    soma_var power = soma_reshape(soma_square(in[0]), SOMA_SHAPE(rows, channels, 1, 1));
    power = soma_avg_pool2d(power, .size = {a->size, 1}, .stride = {1, 1},
                            .pad = {a->size / 2, 0, (a->size - 1) / 2, 0}, .count_pad = true);
    soma_var base = soma_add_scalar(soma_mul_scalar(soma_reshape(power, shape), a->alpha), a->k);
    return soma_mul(in[0], soma_pow_scalar(base, -a->beta));
}

const soma__op soma__op_local_response_norm = {
    .name = "local_response_norm",
    .family = "norm",
    .doc = "x / (k + alpha/size · Σ x² over size neighbouring channels)^beta",
    .inputs = "x",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__response_attrs),
    .attrs =
        (const soma__attr[]){
            {"size", SOMA__ATTR_INT, offsetof(soma__response_attrs, size), 1, "channels"},
            {"alpha", SOMA__ATTR_FLOAT, offsetof(soma__response_attrs, alpha), 1, "factor"},
            {"beta", SOMA__ATTR_FLOAT, offsetof(soma__response_attrs, beta), 1, "exponent"},
            {"k", SOMA__ATTR_FLOAT, offsetof(soma__response_attrs, k), 1, "added"},
            {0}},
    .rule = response_rule,
    .decompose = response_decompose,
};

soma_var soma_local_response_norm(soma_var x, int64_t size, double alpha, double beta, double k)
{
    soma__response_attrs attrs = {size, alpha, beta, k};
    return soma__graph_add(NULL, &soma__op_local_response_norm, &x, 1, &attrs);
}

/* --- of weights --------------------------------------------------------------------------------
 */

static soma_status weight_norm_rule(soma__rule *rule)
{
    const soma_shape *v = &rule->in_shape[0];
    char tv[SOMA_SHAPE_TEXT_SIZE], tg[SOMA_SHAPE_TEXT_SIZE];
    soma_shape want = *v;
    SOMA__TRY(soma__rule_float(rule, 0));
    SOMA__TRY(soma__rule_same_dtypes(rule));
    for (int d = 1; d < want.ndim; d++)
        want.dim[d] = 1;
    if (v->ndim < 2 || !soma_shape_equal(&want, &rule->in_shape[1]))
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "v is %s, g %s, but they must be [O,…] and [O,1,…]",
                               soma_shape_text(v, tv, sizeof(tv)),
                               soma_shape_text(&rule->in_shape[1], tg, sizeof(tg)));
    return SOMA_OK;
}

static soma_var weight_norm_decompose(soma_graph *graph, const soma_var *in, int nin,
                                      const void *attrs)
{
    soma_shape shape = soma_var_shape(in[0]);
    soma_reduce_options over = {.count = shape.ndim - 1, .keep_dims = true};
    (void)graph;
    (void)nin;
    (void)attrs;
    for (int d = 1; d < shape.ndim; d++)
        over.axes[d - 1] = d;
    soma_var length = soma_sum_opt(soma_square(in[0]), over);
    return soma_mul(in[0], soma_mul(in[1], soma_rsqrt(length)));
}

const soma__op soma__op_weight_norm = {
    .name = "weight_norm",
    .family = "norm",
    .doc = "g · v / ‖v‖, one length for each slice along axis 0",
    .inputs = "v g",
    .min_inputs = 2,
    .max_inputs = 2,
    .rule = weight_norm_rule,
    .decompose = weight_norm_decompose,
};

soma_var soma_weight_norm(soma_var v, soma_var g)
{
    return soma__graph_add(NULL, &soma__op_weight_norm, (soma_var[]){v, g}, 2, NULL);
}

static soma_status spectral_norm_rule(soma__rule *rule)
{
    const soma_shape *w = &rule->in_shape[0], *u = &rule->in_shape[1], *v = &rule->in_shape[2];
    char tw[SOMA_SHAPE_TEXT_SIZE], tu[SOMA_SHAPE_TEXT_SIZE], tv[SOMA_SHAPE_TEXT_SIZE];
    int64_t width = 1;
    SOMA__TRY(soma__rule_float(rule, 0));
    SOMA__TRY(soma__rule_same_dtypes(rule));
    for (int d = 1; d < w->ndim; d++)
        width *= w->dim[d];
    if (w->ndim < 2 || u->ndim != 1 || v->ndim != 1 || u->dim[0] != w->dim[0] || v->dim[0] != width)
        return soma__rule_fail(
            rule, SOMA_SHAPE, "w is %s, u %s, v %s, but they must be [O,…], [O] and [product of …]",
            soma_shape_text(w, tw, sizeof(tw)), soma_shape_text(u, tu, sizeof(tu)),
            soma_shape_text(v, tv, sizeof(tv)));
    return SOMA_OK;
}

static soma_var spectral_norm_decompose(soma_graph *graph, const soma_var *in, int nin,
                                        const void *attrs)
{
    soma_shape u = soma_var_shape(in[1]), v = soma_var_shape(in[2]);
    (void)graph;
    (void)nin;
    (void)attrs;
    soma_var matrix = soma_reshape(in[0], SOMA_SHAPE(u.dim[0], v.dim[0]));
    soma_var column = soma_matmul(matrix, soma_reshape(in[2], SOMA_SHAPE(v.dim[0], 1)));
    soma_var sigma = soma_sum(soma_mul(in[1], soma_reshape(column, u)));
    return soma_div(in[0], sigma);
}

const soma__op soma__op_spectral_norm = {
    .name = "spectral_norm",
    .family = "norm",
    .doc = "w / (uᵀ W v), W the matrix [O, rest] of w, u and v near its first singular vectors",
    .inputs = "w u v",
    .min_inputs = 3,
    .max_inputs = 3,
    .rule = spectral_norm_rule,
    .decompose = spectral_norm_decompose,
};

soma_var soma_spectral_norm(soma_var w, soma_var u, soma_var v)
{
    return soma__graph_add(NULL, &soma__op_spectral_norm, (soma_var[]){w, u, v}, 3, NULL);
}
