/* activation.c: activation functions that are composites: building one emits the elementwise ops of
 * its formula, which plans fuse into one pass over memory. Their gradients are those of the parts.
 */
#include "ops/ops.h"

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

/* x > 0 ? x : alpha (e^x - 1). With t = tanh(x/2), e^x - 1 = 2t / (1 - t): this keeps its digits
 * near 0, where e^x - 1 loses them. Positive x is replaced by 0 first: t = 1 would divide by zero.
 */
static soma_var decompose_elu(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)nin;
    const soma__slope_attrs *a = attrs;
    soma_var x = in[0], right = positive(x);
    soma_var left = soma_where(right, soma_scalar(graph, soma_var_dtype(x), 0), x);
    soma_var t = soma_tanh(soma_mul_scalar(left, 0.5));
    soma_var curve = soma_div(soma_mul_scalar(t, 2 * a->slope), soma_add_scalar(soma_neg(t), 1));
    return soma_where(right, x, curve);
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

#define ACTIVATION(name_, doc_, ...)                                                               \
    const soma__op soma__op_##name_ = {.name = #name_,                                             \
                                       .family = "activation",                                     \
                                       .doc = doc_,                                                \
                                       .inputs = "x",                                              \
                                       .min_inputs = 1,                                            \
                                       .max_inputs = 1,                                            \
                                       .decompose = decompose_##name_,                             \
                                       __VA_ARGS__}

ACTIVATION(gelu, "x Phi(x), Phi the normal distribution's", .rule = soma__rule_same_float);
ACTIVATION(gelu_tanh, "gelu by its tanh approximation", .rule = soma__rule_same_float);
ACTIVATION(silu, "x sigmoid(x)", .rule = soma__rule_same_float);
ACTIVATION(leaky_relu, "x where x > 0, else slope x", .rule = soma__rule_same_float,
           .attr_size = sizeof(soma__slope_attrs),
           .attrs = (const soma__attr[]){
               {"slope", SOMA__ATTR_FLOAT, offsetof(soma__slope_attrs, slope), 1, "left of 0"},
               {0}});
ACTIVATION(elu, "x where x > 0, else alpha (e^x - 1)", .rule = soma__rule_same_float,
           .attr_size = sizeof(soma__slope_attrs),
           .attrs = (const soma__attr[]){{"alpha", SOMA__ATTR_FLOAT,
                                          offsetof(soma__slope_attrs, slope), 1, "scale left of 0"},
                                         {0}});
ACTIVATION(clamp, "min(max(x, low), high)", .rule = rule_clamp,
           .attr_size = sizeof(soma__clamp_attrs),
           .attrs = (const soma__attr[]){
               {"low", SOMA__ATTR_FLOAT, offsetof(soma__clamp_attrs, low), 1, "smallest result"},
               {"high", SOMA__ATTR_FLOAT, offsetof(soma__clamp_attrs, high), 1, "largest result"},
               {0}});

soma_var soma_gelu(soma_var x)
{
    return soma__graph_add(x.graph, &soma__op_gelu, &x, 1, NULL);
}

soma_var soma_gelu_tanh(soma_var x)
{
    return soma__graph_add(x.graph, &soma__op_gelu_tanh, &x, 1, NULL);
}

soma_var soma_silu(soma_var x)
{
    return soma__graph_add(x.graph, &soma__op_silu, &x, 1, NULL);
}

soma_var soma_leaky_relu(soma_var x, double slope)
{
    const soma__slope_attrs attrs = {slope};
    return soma__graph_add(x.graph, &soma__op_leaky_relu, &x, 1, &attrs);
}

soma_var soma_elu(soma_var x, double alpha)
{
    const soma__slope_attrs attrs = {alpha};
    return soma__graph_add(x.graph, &soma__op_elu, &x, 1, &attrs);
}

soma_var soma_clamp(soma_var x, double low, double high)
{
    const soma__clamp_attrs attrs = {low, high};
    return soma__graph_add(x.graph, &soma__op_clamp, &x, 1, &attrs);
}
