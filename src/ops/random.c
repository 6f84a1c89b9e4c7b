/* random.c: random arrays, and dropout made of them.
 *
 * Element i is draw i of a counter-based generator keyed by (seed, step, stream): the same for any
 * number of threads, and the same again after a resume. `key` is a value of the graph, so that one
 * plan serves all steps. */
#include "base/rng.h"
#include "ops/attrs.h"
#include "ops/ops.h"

static soma_status check_key(soma__rule *rule, int input)
{
    const soma_shape *key = &rule->in_shape[input];
    char text[SOMA_SHAPE_TEXT_SIZE];
    if (rule->in_dtype[input] == SOMA_I64 && key->ndim == 1 && key->dim[0] == 2)
        return SOMA_OK;
    return soma__rule_fail(rule, rule->in_dtype[input] == SOMA_I64 ? SOMA_SHAPE : SOMA_DTYPE,
                           "key must be i64 [2] = {seed, step}, but is %s %s",
                           soma_dtype_text(rule->in_dtype[input]),
                           soma_shape_text(key, text, sizeof(text)));
}

static soma_status check_stream(soma__rule *rule, int64_t stream)
{
    if (stream >= 0 && stream <= (int64_t)UINT32_MAX)
        return SOMA_OK;
    return soma__rule_fail(rule, SOMA_INVALID, "stream %lld must have 32 bits", (long long)stream);
}

static soma_status random_rule(soma__rule *rule)
{
    const soma__random_attrs *attrs = rule->attrs;
    soma_shape shape = {0};
    int64_t count;
    SOMA__TRY(check_key(rule, 0));
    SOMA__TRY(check_stream(rule, attrs->stream));
    if (attrs->ndim < 0 || attrs->ndim > SOMA_MAX_DIMS)
        return soma__rule_fail(rule, SOMA_INVALID, "%lld dimensions, but at most %d are possible",
                               (long long)attrs->ndim, SOMA_MAX_DIMS);
    shape.ndim = (int)attrs->ndim;
    for (int d = 0; d < shape.ndim; d++)
        shape.dim[d] = attrs->dim[d];
    if (!soma__shape_count(&shape, &count)) {
        char text[SOMA_SHAPE_TEXT_SIZE];
        return soma__rule_fail(rule, SOMA_SHAPE, "the shape %s is negative or too large",
                               soma_shape_text(&shape, text, sizeof(text)));
    }
    rule->dtype = SOMA_F32;
    rule->shape = shape;
    return SOMA_OK;
}

static soma_status bernoulli_rule(soma__rule *rule)
{
    const soma__random_attrs *attrs = rule->attrs;
    SOMA__TRY(random_rule(rule));
    if (!(attrs->p >= 0 && attrs->p <= 1))
        return soma__rule_fail(rule, SOMA_INVALID, "p %g must be in [0, 1]", attrs->p);
    rule->dtype = SOMA_BOOL;
    return SOMA_OK;
}

static soma__rng_key key_of(const soma__call *call)
{
    const int64_t *key = call->in[0].data;
    const soma__random_attrs *attrs = call->attrs;
    return (soma__rng_key){
        .seed = (uint64_t)key[0], .stream = (uint32_t)attrs->stream, .step = (uint64_t)key[1]};
}

static void uniform_reference(const soma__call *call)
{
    soma__rng_key key = key_of(call);
    for (int64_t i = 0; i < call->out[0].count; i++)
        soma__store(SOMA_F32, call->out[0].data, i, (double)soma__rng_uniform(&key, (uint64_t)i));
}

static void normal_reference(const soma__call *call)
{
    soma__rng_key key = key_of(call);
    for (int64_t i = 0; i < call->out[0].count; i++)
        soma__store(SOMA_F32, call->out[0].data, i, soma__rng_normal(&key, (uint64_t)i));
}

/* The uniform has 24 bits and p is a double: the comparison is exact, and p = 1 is always true. */
static void bernoulli_reference(const soma__call *call)
{
    const soma__random_attrs *attrs = call->attrs;
    soma__rng_key key = key_of(call);
    for (int64_t i = 0; i < call->out[0].count; i++)
        soma__store(SOMA_BOOL, call->out[0].data, i,
                    (double)soma__rng_uniform(&key, (uint64_t)i) < attrs->p ? 1 : 0);
}

/* Ten rounds of Philox for four words: about 25 integer operations a word. */
static double random_flops(const soma__call *call)
{
    return 25 * (double)call->out[0].count;
}

#define SHAPE_ATTRS                                                                                \
    {"stream", SOMA__ATTR_INT, offsetof(soma__random_attrs, stream), 1,                            \
     "tells draws of one step apart"},                                                             \
        {"ndim", SOMA__ATTR_INT, offsetof(soma__random_attrs, ndim), 1, "of the result"},          \
    {                                                                                              \
        "dim", SOMA__ATTR_INT, offsetof(soma__random_attrs, dim), SOMA_MAX_DIMS, "of the result"   \
    }

static const soma__attr random_attrs[] = {SHAPE_ATTRS, {0}};
static const soma__attr bernoulli_attrs[] = {
    SHAPE_ATTRS,
    {"p", SOMA__ATTR_FLOAT, offsetof(soma__random_attrs, p), 1, "chance of true"},
    {0},
};

const soma__op soma__op_random_uniform = {
    .name = "random_uniform",
    .family = "random",
    .doc = "f32, uniform in [0,1)",
    .inputs = "key",
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = SOMA__OP_RANDOM,
    .attr_size = sizeof(soma__random_attrs),
    .attrs = random_attrs,
    .rule = random_rule,
    .gradient = soma__grad_none,
    .reference = uniform_reference,
    .flops = random_flops,
};

const soma__op soma__op_random_normal = {
    .name = "random_normal",
    .family = "random",
    .doc = "f32, standard normal",
    .inputs = "key",
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = SOMA__OP_RANDOM,
    .attr_size = sizeof(soma__random_attrs),
    .attrs = random_attrs,
    .rule = random_rule,
    .gradient = soma__grad_none,
    .reference = normal_reference,
    .flops = random_flops,
};

const soma__op soma__op_random_bernoulli = {
    .name = "random_bernoulli",
    .family = "random",
    .doc = "bool, true with chance p",
    .inputs = "key",
    .min_inputs = 1,
    .max_inputs = 1,
    .flags = SOMA__OP_RANDOM,
    .attr_size = sizeof(soma__random_attrs),
    .attrs = bernoulli_attrs,
    .rule = bernoulli_rule,
    .gradient = soma__grad_none,
    .reference = bernoulli_reference,
    .flops = random_flops,
};

static soma_var add_random(const soma__op *op, soma_var key, soma_shape shape, double p,
                           uint32_t stream)
{
    soma__random_attrs attrs = {.stream = stream, .ndim = shape.ndim, .p = p};
    for (int d = 0; d < shape.ndim && d < SOMA_MAX_DIMS; d++)
        attrs.dim[d] = shape.dim[d];
    return soma__graph_add(NULL, op, &key, 1, &attrs);
}

soma_var soma_random_uniform(soma_var key, soma_shape shape, uint32_t stream)
{
    return add_random(&soma__op_random_uniform, key, shape, 0, stream);
}

soma_var soma_random_normal(soma_var key, soma_shape shape, uint32_t stream)
{
    return add_random(&soma__op_random_normal, key, shape, 0, stream);
}

soma_var soma_random_bernoulli(soma_var key, soma_shape shape, double p, uint32_t stream)
{
    return add_random(&soma__op_random_bernoulli, key, shape, p, stream);
}

/* --- dropout ---------------------------------------------------------------------------------- */

static soma_status dropout_rule(soma__rule *rule)
{
    const soma__dropout_attrs *attrs = rule->attrs;
    SOMA__TRY(soma__rule_float(rule, 0));
    SOMA__TRY(check_key(rule, 1));
    SOMA__TRY(check_stream(rule, attrs->stream));
    if (!(attrs->p >= 0 && attrs->p < 1))
        return soma__rule_fail(rule, SOMA_INVALID, "p %g must be in [0, 1)", attrs->p);
    return SOMA_OK;
}

static soma_status spatial_dropout_rule(soma__rule *rule)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(dropout_rule(rule));
    if (rule->in_shape[0].ndim < 3)
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "x must be [N,…,C] with feature maps between, but is %s: use "
                               "soma_dropout for single units",
                               soma_shape_text(&rule->in_shape[0], text, sizeof(text)));
    return SOMA_OK;
}

/* The mask stays bool (one byte) and is scaled where it is read: the whole is one fused pass, and
 * the gradient dy·scaled shares it. */
static soma_var drop(soma_var x, soma_var key, soma_shape mask_shape,
                     const soma__dropout_attrs *attrs)
{
    if (attrs->p == 0)
        return x;
    double keep = 1 - attrs->p;
    soma_var mask = soma_random_bernoulli(key, mask_shape, keep, (uint32_t)attrs->stream);
    soma_var scaled = soma_mul_scalar(soma_cast(mask, soma_var_dtype(x)), 1 / keep);
    return soma_mul(x, scaled);
}

static soma_var dropout_decompose(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)graph;
    (void)nin;
    return drop(in[0], in[1], soma_var_shape(in[0]), attrs);
}

static soma_var spatial_dropout_decompose(soma_graph *graph, const soma_var *in, int nin,
                                          const void *attrs)
{
    soma_shape shape = soma_var_shape(in[0]);
    (void)graph;
    (void)nin;
    for (int d = 1; d + 1 < shape.ndim; d++)
        shape.dim[d] = 1;
    return drop(in[0], in[1], shape, attrs);
}

/* What is dropped becomes -α', selu's limit, and the result is moved so that mean and variance
 * stay: a·(x·m + (m - 1)·α' + α'·p), a = 1/√((1 + p·α'²)(1 - p)). */
static soma_var alpha_dropout_decompose(soma_graph *graph, const soma_var *in, int nin,
                                        const void *attributes)
{
    const soma__dropout_attrs *attrs = attributes;
    const double limit = 1.7580993408473766;
    double p = attrs->p, keep = 1 - p;
    (void)graph;
    (void)nin;
    if (p == 0)
        return in[0];
    double a = 1 / sqrt((1 + p * limit * limit) * keep);
    soma_var mask =
        soma_random_bernoulli(in[1], soma_var_shape(in[0]), keep, (uint32_t)attrs->stream);
    soma_var dropped = soma_scalar(in[0].graph, soma_var_dtype(in[0]), -limit);
    soma_var kept = soma_where(mask, in[0], dropped);
    return soma_mul_scalar(soma_add_scalar(kept, limit * p), a);
}

static soma_status stochastic_depth_rule(soma__rule *rule)
{
    SOMA__TRY(dropout_rule(rule));
    if (rule->in_shape[0].ndim < 1)
        return soma__rule_fail(rule, SOMA_SHAPE, "x must be [N,…]: one draw for each sample");
    return SOMA_OK;
}

static soma_var stochastic_depth_decompose(soma_graph *graph, const soma_var *in, int nin,
                                           const void *attrs)
{
    soma_shape shape = soma_var_shape(in[0]);
    (void)graph;
    (void)nin;
    for (int d = 1; d < shape.ndim; d++)
        shape.dim[d] = 1;
    return drop(in[0], in[1], shape, attrs);
}

static const soma__attr dropout_attrs[] = {
    {"stream", SOMA__ATTR_INT, offsetof(soma__dropout_attrs, stream), 1,
     "tells draws of one step apart"},
    {"p", SOMA__ATTR_FLOAT, offsetof(soma__dropout_attrs, p), 1, "chance of zero"},
    {0},
};

const soma__op soma__op_dropout = {
    .name = "dropout",
    .family = "random",
    .doc = "x · mask / (1-p), mask true with chance 1-p",
    .inputs = "x key",
    .min_inputs = 2,
    .max_inputs = 2,
    .attr_size = sizeof(soma__dropout_attrs),
    .attrs = dropout_attrs,
    .rule = dropout_rule,
    .decompose = dropout_decompose,
};

const soma__op soma__op_spatial_dropout = {
    .name = "spatial_dropout",
    .family = "random",
    .doc = "dropout with one draw per feature map: x [N,…,C], mask [N,1…,C]",
    .inputs = "x key",
    .min_inputs = 2,
    .max_inputs = 2,
    .attr_size = sizeof(soma__dropout_attrs),
    .attrs = dropout_attrs,
    .rule = spatial_dropout_rule,
    .decompose = spatial_dropout_decompose,
};

soma_var soma_dropout(soma_var x, soma_var key, double p, uint32_t stream)
{
    soma__dropout_attrs attrs = {stream, p};
    return soma__graph_add(NULL, &soma__op_dropout, (soma_var[]){x, key}, 2, &attrs);
}

soma_var soma_spatial_dropout(soma_var x, soma_var key, double p, uint32_t stream)
{
    soma__dropout_attrs attrs = {stream, p};
    return soma__graph_add(NULL, &soma__op_spatial_dropout, (soma_var[]){x, key}, 2, &attrs);
}

const soma__op soma__op_alpha_dropout = {
    .name = "alpha_dropout",
    .family = "random",
    .doc = "dropout after selu: mean and variance stay",
    .inputs = "x key",
    .min_inputs = 2,
    .max_inputs = 2,
    .attr_size = sizeof(soma__dropout_attrs),
    .attrs = dropout_attrs,
    .rule = dropout_rule,
    .decompose = alpha_dropout_decompose,
};

const soma__op soma__op_stochastic_depth = {
    .name = "stochastic_depth",
    .family = "random",
    .doc = "dropout with one draw per sample: x [N,…], mask [N,1…]",
    .inputs = "x key",
    .min_inputs = 2,
    .max_inputs = 2,
    .attr_size = sizeof(soma__dropout_attrs),
    .attrs = dropout_attrs,
    .rule = stochastic_depth_rule,
    .decompose = stochastic_depth_decompose,
};

soma_var soma_alpha_dropout(soma_var x, soma_var key, double p, uint32_t stream)
{
    soma__dropout_attrs attrs = {stream, p};
    return soma__graph_add(NULL, &soma__op_alpha_dropout, (soma_var[]){x, key}, 2, &attrs);
}

soma_var soma_stochastic_depth(soma_var x, soma_var key, double p, uint32_t stream)
{
    soma__dropout_attrs attrs = {stream, p};
    return soma__graph_add(NULL, &soma__op_stochastic_depth, (soma_var[]){x, key}, 2, &attrs);
}
