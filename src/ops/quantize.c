/* quantize.c: numbers as bytes, value = (byte - zero) · scale. Composites: plans fuse them with
 * what is around. The products of bytes are in matmul.c and conv.c. */
#include "ops/elementwise.h"

/* Scale and zero: one number each, or one for each slice along the last axis of x. */
static soma_status check_scales(soma__rule *rule)
{
    const soma_shape *x = &rule->in_shape[0];
    char text[SOMA_SHAPE_TEXT_SIZE];
    int64_t last = x->ndim > 0 ? x->dim[x->ndim - 1] : 1;
    for (int i = 1; i < 3; i++) {
        const soma_shape *s = &rule->in_shape[i];
        if (s->ndim > 1 || (s->ndim == 1 && s->dim[0] != 1 && s->dim[0] != last))
            return soma__rule_fail(rule, SOMA_SHAPE,
                                   "the %s is one number or one of each of the %lld slices along "
                                   "the last axis, not %s",
                                   i == 1 ? "scale" : "zero", (long long)last,
                                   soma_shape_text(s, text, sizeof(text)));
    }
    return SOMA_OK;
}

static soma_status check_byte(soma__rule *rule, int input, const char *what)
{
    soma_dtype dtype = rule->in_dtype[input];
    if (dtype == SOMA_U8 || dtype == SOMA_I8)
        return SOMA_OK;
    return soma__rule_fail(rule, SOMA_DTYPE, "%s must be u8 or i8, not %s", what,
                           soma_dtype_text(dtype));
}

static soma_status rule_quantize(soma__rule *rule)
{
    SOMA__TRY(soma__rule_float(rule, 0));
    if (rule->in_dtype[1] != rule->in_dtype[0])
        return soma__rule_fail(rule, SOMA_DTYPE, "scale is %s, must be %s as x",
                               soma_dtype_text(rule->in_dtype[1]),
                               soma_dtype_text(rule->in_dtype[0]));
    SOMA__TRY(check_byte(rule, 2, "zero"));
    rule->dtype = rule->in_dtype[2];
    return check_scales(rule);
}

static soma_status rule_dequantize(soma__rule *rule)
{
    SOMA__TRY(check_byte(rule, 0, "q"));
    SOMA__TRY(soma__rule_float(rule, 1));
    if (rule->in_dtype[2] != rule->in_dtype[0])
        return soma__rule_fail(rule, SOMA_DTYPE, "zero is %s, must be %s as q",
                               soma_dtype_text(rule->in_dtype[2]),
                               soma_dtype_text(rule->in_dtype[0]));
    rule->dtype = rule->in_dtype[1];
    return check_scales(rule);
}

/* NaN, which no byte stands for, becomes the zero. */
static soma_var decompose_quantize_linear(soma_graph *graph, const soma_var *in, int nin,
                                          const void *attrs)
{
    (void)nin;
    (void)attrs;
    const soma_dtype dtype = soma_var_dtype(in[0]), to = soma_var_dtype(in[2]);
    soma_var steps = soma_round(soma_div(in[0], in[1]));
    steps = soma_where(soma_isnan(steps), soma_scalar(graph, dtype, 0), steps);
    steps = soma_add(steps, soma_cast(in[2], dtype));
    soma_var low = soma_scalar(graph, dtype, to == SOMA_U8 ? 0 : -128);
    soma_var high = soma_scalar(graph, dtype, to == SOMA_U8 ? 255 : 127);
    return soma_cast(soma_minimum(soma_maximum(steps, low), high), to);
}

static soma_var decompose_dequantize_linear(soma_graph *graph, const soma_var *in, int nin,
                                            const void *attrs)
{
    (void)graph;
    (void)nin;
    (void)attrs;
    const soma_dtype dtype = soma_var_dtype(in[1]);
    return soma_mul(soma_sub(soma_cast(in[0], dtype), soma_cast(in[2], dtype)), in[1]);
}

SOMA__COMPOSITE(quantize, quantize_linear, "x scale zero", 3,
                "round(x / scale) + zero, ties to even, kept in the range of zero's u8 or i8",
                .rule = rule_quantize)
SOMA__COMPOSITE(quantize, dequantize_linear, "q scale zero", 3, "(q - zero) scale",
                .rule = rule_dequantize)

soma_var soma_quantize_linear(soma_var x, soma_var scale, soma_var zero)
{
    const soma_var in[3] = {x, scale, zero};
    return soma__graph_add(x.graph, &soma__op_quantize_linear, in, 3, NULL);
}

soma_var soma_dequantize_linear(soma_var q, soma_var scale, soma_var zero)
{
    const soma_var in[3] = {q, scale, zero};
    return soma__graph_add(q.graph, &soma__op_dequantize_linear, in, 3, NULL);
}

soma_quantized soma_dynamic_quantize_linear(soma_var x)
{
    if (!soma_var_ok(x))
        return (soma_quantized){soma__failed(x), soma__failed(x), soma__failed(x)};
    const soma_dtype dtype = soma_var_dtype(x);
    soma_var none = soma_scalar(x.graph, dtype, 0);
    soma_var low = soma_minimum(soma_min(x), none), high = soma_maximum(soma_max(x), none);
    soma_var scale = soma_div(soma_sub(high, low), soma_scalar(x.graph, dtype, 255));
    /* Of nothing but zeros any scale will do. */
    scale = soma_where(soma_equal(scale, none), soma_scalar(x.graph, dtype, 1), scale);
    soma_var zero = soma_cast(soma_round(soma_div(soma_neg(low), scale)), SOMA_U8);
    return (soma_quantized){soma_quantize_linear(x, scale, zero), scale, zero};
}
