/* activation.c: activation functions that are composites: building one emits the elementwise ops of
 * its formula, which plans fuse into one pass over memory. Their gradients are those of the parts.
 */
#include "ops/elementwise.h"

/* Functions with a kink are written with soma_where on the side that x is on, so that the gradient
 * at the kink is that of one side, as in PyTorch, and the side not taken cannot bring in NaN. */
static soma_var positive(soma_var x)
{
    return soma_less(soma_scalar(x.graph, soma_var_dtype(x), 0), x);
}

/* x/2 (1 + erf(x/√2)) */
static soma_var decompose_gelu(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)graph, (void)nin, (void)attrs;
    soma_var phi = soma_add_scalar(soma_erf(soma_mul_scalar(in[0], M_SQRT1_2)), 1);
    return soma_mul(soma_mul_scalar(in[0], 0.5), phi);
}

/* x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))) */
static soma_var decompose_gelu_tanh(soma_graph *graph, const soma_var *in, int nin,
                                    const void *attrs)
{
    (void)graph, (void)nin, (void)attrs;
    soma_var x = in[0];
    soma_var stretch = soma_add_scalar(soma_mul_scalar(soma_square(x), 0.044715), 1);
    soma_var inner = soma_mul_scalar(soma_mul(x, stretch), sqrt(2 / M_PI));
    return soma_mul(soma_mul_scalar(x, 0.5), soma_add_scalar(soma_tanh(inner), 1));
}

static soma_var decompose_silu(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)graph, (void)nin, (void)attrs;
    return soma_mul(in[0], soma_sigmoid(in[0]));
}

static soma_var decompose_leaky_relu(soma_graph *graph, const soma_var *in, int nin,
                                     const void *attrs)
{
    (void)graph, (void)nin;
    const soma__slope_attrs *a = attrs;
    return soma_where(positive(in[0]), in[0], soma_mul_scalar(in[0], a->slope));
}

/* x > 0 ? scale x : scale alpha (e^(x/stretch) - 1). Positive x is replaced by 0 first, since its
 * exponential may be infinite. */
static soma_var exponential_unit(soma_var x, double scale, double alpha, double stretch)
{
    soma_var right = positive(x);
    soma_var left = soma_where(right, soma__zero_like(x), x);
    if (stretch != 1)
        left = soma_mul_scalar(left, 1 / stretch);
    soma_var curve = soma_mul_scalar(soma_expm1(left), scale * alpha);
    return soma_where(right, scale == 1 ? x : soma_mul_scalar(x, scale), curve);
}

static soma_var decompose_elu(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)graph, (void)nin;
    const soma__slope_attrs *a = attrs;
    return exponential_unit(in[0], 1, a->slope, 1);
}

static soma_var decompose_celu(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)graph, (void)nin;
    const soma__slope_attrs *a = attrs;
    return exponential_unit(in[0], 1, a->slope, a->slope);
}

/* With these two numbers mean 0 and variance 1 are a fixed point (Klambauer et al. 2017). */
static soma_var decompose_selu(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)graph, (void)nin, (void)attrs;
    return exponential_unit(in[0], 1.0507009873554804934, 1.6732632423543772848, 1);
}

/* Limits without a gradient at the limits themselves, as PyTorch has it for this kind. */
static soma_var within(soma_var x, double low, double high)
{
    soma_var bottom = soma_scalar(x.graph, soma_var_dtype(x), low);
    soma_var top = soma_scalar(x.graph, soma_var_dtype(x), high);
    soma_var below = soma_where(soma_less_equal(top, x), top, x);
    return soma_where(soma_less_equal(x, bottom), bottom, below);
}

static soma_var decompose_relu6(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)graph, (void)nin, (void)attrs;
    return within(in[0], 0, 6);
}

static soma_var decompose_hard_tanh(soma_graph *graph, const soma_var *in, int nin,
                                    const void *attrs)
{
    (void)graph, (void)nin;
    const soma__clamp_attrs *a = attrs;
    return within(in[0], a->low, a->high);
}

static soma_var decompose_hard_sigmoid(soma_graph *graph, const soma_var *in, int nin,
                                       const void *attrs)
{
    (void)graph, (void)nin, (void)attrs;
    return soma_mul_scalar(within(soma_add_scalar(in[0], 3), 0, 6), 1.0 / 6);
}

static soma_var decompose_hard_swish(soma_graph *graph, const soma_var *in, int nin,
                                     const void *attrs)
{
    return soma_mul(in[0], decompose_hard_sigmoid(graph, in, nin, attrs));
}

static soma_var decompose_mish(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)graph, (void)nin, (void)attrs;
    return soma_mul(in[0], soma_tanh(soma_softplus(in[0])));
}

static soma_var decompose_softsign(soma_graph *graph, const soma_var *in, int nin,
                                   const void *attrs)
{
    (void)graph, (void)nin, (void)attrs;
    return soma_div(in[0], soma_add_scalar(soma_abs(in[0]), 1));
}

static soma_var decompose_logsigmoid(soma_graph *graph, const soma_var *in, int nin,
                                     const void *attrs)
{
    (void)graph, (void)nin, (void)attrs;
    return soma_neg(soma_softplus(soma_neg(in[0])));
}

static soma_var decompose_tanhshrink(soma_graph *graph, const soma_var *in, int nin,
                                     const void *attrs)
{
    (void)graph, (void)nin, (void)attrs;
    return soma_sub(in[0], soma_tanh(in[0]));
}

/* What the limits cut off. */
static soma_var decompose_softshrink(soma_graph *graph, const soma_var *in, int nin,
                                     const void *attrs)
{
    (void)graph, (void)nin;
    const soma__slope_attrs *a = attrs;
    return soma_sub(in[0], soma_clamp(in[0], -a->slope, a->slope));
}

static soma_var decompose_hardshrink(soma_graph *graph, const soma_var *in, int nin,
                                     const void *attrs)
{
    (void)nin;
    const soma__slope_attrs *a = attrs;
    soma_var limit = soma_scalar(graph, soma_var_dtype(in[0]), a->slope);
    return soma_where(soma_less_equal(soma_abs(in[0]), limit), soma__zero_like(in[0]), in[0]);
}

static soma_var decompose_threshold(soma_graph *graph, const soma_var *in, int nin,
                                    const void *attrs)
{
    (void)nin;
    const soma__threshold_attrs *a = attrs;
    soma_dtype dtype = soma_var_dtype(in[0]);
    soma_var limit = soma_scalar(graph, dtype, a->threshold);
    return soma_where(soma_less_equal(in[0], limit), soma_scalar(graph, dtype, a->value), in[0]);
}

static soma_var decompose_prelu(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)graph, (void)nin, (void)attrs;
    return soma_where(positive(in[0]), in[0], soma_mul(in[0], in[1]));
}

static soma_var decompose_softmin(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)graph, (void)nin;
    const soma__axis_attrs *a = attrs;
    return soma_softmax(soma_neg(in[0]), a->axis);
}

/* One half of the axis times a function of the other (Dauphin et al. 2017; Shazeer 2020). The
 * function is of the second half in glu, of the first in the others, as they were published. */
static soma_var gate(soma_var x, const soma__axis_attrs *a, int which)
{
    int64_t size = soma_var_shape(x).dim[a->axis];
    soma_var first = soma_slice(x, a->axis, 0, size / 2);
    soma_var second = soma_slice(x, a->axis, size / 2, size);
    if (which == 0)
        return soma_mul(first, soma_sigmoid(second));
    return soma_mul(which == 1 ? soma_silu(first) : soma_gelu(first), second);
}

static soma_var decompose_glu(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)graph, (void)nin;
    return gate(in[0], attrs, 0);
}

static soma_var decompose_swiglu(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)graph, (void)nin;
    return gate(in[0], attrs, 1);
}

static soma_var decompose_geglu(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)graph, (void)nin;
    return gate(in[0], attrs, 2);
}

/* --- rules --------------------------------------------------------------------------------------
 */

static soma_status rule_celu(soma__rule *rule)
{
    const soma__slope_attrs *attrs = rule->attrs;
    if (!(fabs(attrs->slope) > 0))
        return soma__rule_fail(rule, SOMA_INVALID, "alpha is %g, it divides x", attrs->slope);
    return soma__rule_float(rule, 0);
}

static soma_status rule_shrink(soma__rule *rule)
{
    const soma__slope_attrs *attrs = rule->attrs;
    if (!(attrs->slope >= 0))
        return soma__rule_fail(rule, SOMA_INVALID, "lambda is %g, must not be negative",
                               attrs->slope);
    return soma__rule_float(rule, 0);
}

static soma_status rule_prelu(soma__rule *rule)
{
    const soma_shape x = rule->in_shape[0], slope = rule->in_shape[1];
    SOMA__TRY(soma__rule_floats(rule));
    if (!soma_shape_equal(&rule->shape, &x)) {
        char x_text[SOMA_SHAPE_TEXT_SIZE], slope_text[SOMA_SHAPE_TEXT_SIZE];
        return soma__rule_fail(rule, SOMA_SHAPE, "slope %s is larger than x %s",
                               soma_shape_text(&slope, slope_text, sizeof(slope_text)),
                               soma_shape_text(&x, x_text, sizeof(x_text)));
    }
    return SOMA_OK;
}

static soma_status rule_softmin(soma__rule *rule)
{
    soma__axis_attrs *attrs = rule->attrs;
    SOMA__TRY(soma__rule_float(rule, 0));
    return soma__rule_axis(rule, &attrs->axis, rule->in_shape[0].ndim);
}

static soma_status rule_gate(soma__rule *rule)
{
    soma__axis_attrs *attrs = rule->attrs;
    SOMA__TRY(rule_softmin(rule));
    if (rule->shape.dim[attrs->axis] % 2 != 0)
        return soma__rule_fail(rule, SOMA_SHAPE, "axis %lld has %lld cells, which makes no halves",
                               (long long)attrs->axis, (long long)rule->shape.dim[attrs->axis]);
    rule->shape.dim[attrs->axis] /= 2;
    return SOMA_OK;
}

static soma_status rule_hard_tanh(soma__rule *rule)
{
    const soma__clamp_attrs *attrs = rule->attrs;
    if (!(attrs->low <= attrs->high))
        return soma__rule_fail(rule, SOMA_INVALID, "the limits %g and %g are not in order",
                               attrs->low, attrs->high);
    return soma__rule_float(rule, 0);
}

static soma_status rule_clamp(soma__rule *rule)
{
    const soma__clamp_attrs *attrs = rule->attrs;
    if (rule->in_dtype[0] == SOMA_BOOL)
        return soma__rule_fail(rule, SOMA_DTYPE, "takes numbers, not bool");
    if (!(attrs->low <= attrs->high))
        return soma__rule_fail(rule, SOMA_INVALID, "the limits %g and %g are not in order",
                               attrs->low, attrs->high);
    return SOMA_OK;
}

/* Comparisons rather than minimum and maximum: at the limits themselves the gradient is 1. */
static soma_var decompose_clamp(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)nin;
    const soma__clamp_attrs *a = attrs;
    soma_dtype dtype = soma_var_dtype(in[0]);
    soma_var low = soma_scalar(graph, dtype, a->low), high = soma_scalar(graph, dtype, a->high);
    soma_var below = soma_where(soma_less(high, in[0]), high, in[0]);
    return soma_where(soma_less(in[0], low), low, below);
}

/* --- descriptors and builders -------------------------------------------------------------------
 */

#define ACTIVATION(name_, doc_, ...) SOMA__COMPOSITE(activation, name_, "x", 1, doc_, __VA_ARGS__)

/* Without a parameter: soma_<name>(x). */
#define PLAIN(name_, doc_)                                                                         \
    ACTIVATION(name_, doc_, .rule = soma__rule_same_float)                                         \
    soma_var soma_##name_(soma_var x)                                                              \
    {                                                                                              \
        return soma__graph_add(x.graph, &soma__op_##name_, &x, 1, NULL);                           \
    }

/* With one number: soma_<name>(x, parameter). */
#define SLOPED(name_, doc_, parameter_, parameter_doc_, rule_)                                     \
    ACTIVATION(name_, doc_, .rule = rule_, .attr_size = sizeof(soma__slope_attrs),                 \
               .attrs =                                                                            \
                   (const soma__attr[]){{#parameter_, SOMA__ATTR_FLOAT,                            \
                                         offsetof(soma__slope_attrs, slope), 1, parameter_doc_},   \
                                        {0}})                                                      \
    soma_var soma_##name_(soma_var x, double parameter_)                                           \
    {                                                                                              \
        const soma__slope_attrs attrs = {parameter_};                                              \
        return soma__graph_add(x.graph, &soma__op_##name_, &x, 1, &attrs);                         \
    }

/* With two limits: soma_<name>(x, low, high). */
#define LIMITED(name_, doc_, rule_)                                                                \
    ACTIVATION(                                                                                    \
        name_, doc_, .rule = rule_, .attr_size = sizeof(soma__clamp_attrs),                        \
        .attrs = (const soma__attr[]){                                                             \
            {"low", SOMA__ATTR_FLOAT, offsetof(soma__clamp_attrs, low), 1, "smallest result"},     \
            {"high", SOMA__ATTR_FLOAT, offsetof(soma__clamp_attrs, high), 1, "largest result"},    \
            {0}})                                                                                  \
    soma_var soma_##name_(soma_var x, double low, double high)                                     \
    {                                                                                              \
        const soma__clamp_attrs attrs = {low, high};                                               \
        return soma__graph_add(x.graph, &soma__op_##name_, &x, 1, &attrs);                         \
    }

/* Along an axis: soma_<name>(x, axis). */
#define ALONG(name_, doc_, rule_, axis_doc_)                                                       \
    ACTIVATION(name_, doc_, .rule = rule_, .attr_size = sizeof(soma__axis_attrs),                  \
               .attrs = (const soma__attr[]){                                                      \
                   {"axis", SOMA__ATTR_INT, offsetof(soma__axis_attrs, axis), 1, axis_doc_}, {0}}) \
    soma_var soma_##name_(soma_var x, int64_t axis)                                                \
    {                                                                                              \
        const soma__axis_attrs attrs = {axis};                                                     \
        return soma__graph_add(x.graph, &soma__op_##name_, &x, 1, &attrs);                         \
    }

PLAIN(gelu, "x Phi(x), Phi the normal distribution's")
PLAIN(gelu_tanh, "gelu by its tanh approximation")
PLAIN(silu, "x sigmoid(x)")
PLAIN(selu, "elu scaled so that mean 0, variance 1 stay")
PLAIN(relu6, "min(max(x, 0), 6)")
PLAIN(hard_sigmoid, "min(max(x + 3, 0), 6) / 6")
PLAIN(hard_swish, "x hard_sigmoid(x)")
PLAIN(mish, "x tanh(softplus(x))")
PLAIN(softsign, "x / (1 + |x|)")
PLAIN(logsigmoid, "ln sigmoid(x)")
PLAIN(tanhshrink, "x - tanh x")
SLOPED(leaky_relu, "x where x > 0, else slope x", slope, "left of 0", soma__rule_same_float)
SLOPED(elu, "x where x > 0, else alpha (e^x - 1)", alpha, "scale left of 0", soma__rule_same_float)
SLOPED(celu, "x where x > 0, else alpha (e^(x/alpha) - 1)", alpha, "scale left of 0", rule_celu)
SLOPED(softshrink, "x less lambda in size; 0 where |x| <= lambda", lambda, "what is taken off",
       rule_shrink)
SLOPED(hardshrink, "x; 0 where |x| <= lambda", lambda, "the largest size that is 0", rule_shrink)
LIMITED(clamp, "min(max(x, low), high)", rule_clamp)
LIMITED(hard_tanh, "min(max(x, low), high); no gradient at the limits", rule_hard_tanh)
ALONG(softmin, "softmax(-x) along an axis", rule_softmin, "whose cells add up to 1")
ALONG(glu, "a sigmoid(b), x = [a b] along an axis", rule_gate, "halved")
ALONG(swiglu, "silu(a) b, x = [a b] along an axis", rule_gate, "halved")
ALONG(geglu, "gelu(a) b, x = [a b] along an axis", rule_gate, "halved")
SOMA__COMPOSITE(activation, prelu, "x slope", 2, "x where x > 0, else slope x", .rule = rule_prelu)
ACTIVATION(threshold, "x where x > threshold, else value", .rule = soma__rule_same_float,
           .attr_size = sizeof(soma__threshold_attrs),
           .attrs = (const soma__attr[]){
               {"threshold", SOMA__ATTR_FLOAT, offsetof(soma__threshold_attrs, threshold), 1,
                "the largest x that is replaced"},
               {"value", SOMA__ATTR_FLOAT, offsetof(soma__threshold_attrs, value), 1, "instead"},
               {0}})

soma_var soma_prelu(soma_var x, soma_var slope)
{
    const soma_var in[2] = {x, slope};
    return soma__graph_add(x.graph, &soma__op_prelu, in, 2, NULL);
}

soma_var soma_threshold(soma_var x, double threshold, double value)
{
    const soma__threshold_attrs attrs = {threshold, value};
    return soma__graph_add(x.graph, &soma__op_threshold, &x, 1, &attrs);
}

soma_var soma_softplus_beta(soma_var x, double beta)
{
    if (!soma_var_ok(x))
        return soma__failed(x);
    if (!(beta > 0)) {
        soma_graph_fail(x.graph, SOMA_INVALID, "softplus: beta is %g, must be positive", beta);
        return soma__failed(x);
    }
    return soma_mul_scalar(soma_softplus(soma_mul_scalar(x, beta)), 1 / beta);
}
