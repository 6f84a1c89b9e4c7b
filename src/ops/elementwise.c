/* elementwise.c: ops that compute each element on its own: y[i] = f(a[i], b[i], c[i]), with NumPy
 * broadcasting. The functions themselves are in graph/scalar.h; here are their shape rules,
 * gradients and the one reference kernel that they share. Less usual functions are in math.c and
 * bits.c.
 *
 * To add one: a row in scalar.h (its formula), a row in ops.def, and here a row in a list below and
 * a gradient function above it. */
#include <string.h>

#include "ops/elementwise.h"
#include "tensor/walk.h"

/* --- reference kernel ------------------------------------------------------------------------ */

static int64_t load_integer(soma_dtype dtype, const void *data, int64_t i)
{
    switch (dtype) {
    case SOMA_I64:
        return ((const int64_t *)data)[i];
    case SOMA_I32:
        return ((const int32_t *)data)[i];
    case SOMA_I8:
        return ((const int8_t *)data)[i];
    default:
        return ((const uint8_t *)data)[i]; /* u8, bool */
    }
}

/* Keeps the low bits, as two's complement arithmetic does. */
static void store_integer(soma_dtype dtype, void *data, int64_t i, int64_t value)
{
    switch (dtype) {
    case SOMA_I64:
        ((int64_t *)data)[i] = value;
        break;
    case SOMA_I32:
        ((int32_t *)data)[i] = (int32_t)(uint32_t)(uint64_t)value;
        break;
    case SOMA_I8:
        ((int8_t *)data)[i] = (int8_t)(uint8_t)(uint64_t)value;
        break;
    case SOMA_BOOL:
        ((uint8_t *)data)[i] = value != 0;
        break;
    default:
        ((uint8_t *)data)[i] = (uint8_t)(uint64_t)value;
        break;
    }
}

/* The limits that a cast saturates at. */
static int64_t saturate(soma_dtype dtype, int64_t value)
{
    int64_t low = INT64_MIN, high = INT64_MAX;
    if (dtype == SOMA_I32)
        low = INT32_MIN, high = INT32_MAX;
    else if (dtype == SOMA_I8)
        low = INT8_MIN, high = INT8_MAX;
    else if (dtype == SOMA_U8)
        low = 0, high = UINT8_MAX;
    return value < low ? low : value > high ? high : value;
}

static bool is_integer(soma_dtype dtype)
{
    return dtype == SOMA_I8 || dtype == SOMA_U8 || dtype == SOMA_I32 || dtype == SOMA_I64;
}

/* The last input is a value in every op (where's first is its condition). */
bool soma__elementwise_integers(const soma__call *call)
{
    const soma_dtype from = call->in[call->nin - 1].dtype, to = call->out[0].dtype;
    return is_integer(from) && (is_integer(to) || to == SOMA_BOOL);
}

void soma__reference_elementwise(const soma__call *call)
{
    const soma__view *out = &call->out[0];
    const soma__scalar code = call->op->scalar;
    const bool integers = soma__elementwise_integers(call);
    soma__walk walk;
    soma__walk_start(&walk, &out->shape);
    for (int i = 0; i < call->nin; i++)
        soma__walk_broadcast(&walk, &call->in[i].shape);
    for (int64_t cell = 0; cell < out->count; cell++, soma__walk_next(&walk)) {
        if (integers) {
            int64_t v[3] = {0};
            for (int i = 0; i < call->nin; i++)
                v[i] = load_integer(call->in[i].dtype, call->in[i].data, walk.at[i]);
            int64_t y = soma__scalar_apply_integer(code, v[0], v[1], v[2]);
            /* Only a copy changes the dtype of integers: then it is a cast. */
            if (code == SOMA__SCALAR_COPY)
                y = saturate(out->dtype, y);
            store_integer(out->dtype, out->data, cell, y);
        } else {
            double v[3] = {0};
            for (int i = 0; i < call->nin; i++)
                v[i] = soma__load(call->in[i].dtype, call->in[i].data, walk.at[i]);
            soma__store(out->dtype, out->data, cell, soma__scalar_apply(code, v[0], v[1], v[2]));
        }
    }
}

double soma__flops_elementwise(const soma__call *call)
{
    return (double)soma__scalar_flops(call->op->scalar) * (double)call->out[0].count;
}

/* --- shape rules ----------------------------------------------------------------------------- */

soma_status soma__rule_same_float(soma__rule *rule)
{
    return soma__rule_float(rule, 0);
}

/* Sets the result's shape to that of inputs [first, nin) broadcast together. */
static soma_status broadcast_inputs(soma__rule *rule)
{
    rule->shape = rule->in_shape[0];
    for (int i = 1; i < rule->nin; i++) {
        const soma_shape a = rule->shape, *b = &rule->in_shape[i];
        if (soma__shape_broadcast(&a, b, &rule->shape))
            continue;
        char a_text[SOMA_SHAPE_TEXT_SIZE], b_text[SOMA_SHAPE_TEXT_SIZE];
        soma_shape_text(&a, a_text, sizeof(a_text));
        soma_shape_text(b, b_text, sizeof(b_text));
        for (int d = 1; d <= a.ndim && d <= b->ndim; d++) {
            int64_t na = a.dim[a.ndim - d], nb = b->dim[b->ndim - d];
            if (na == nb || na == 1 || nb == 1)
                continue;
            if (d == 1)
                return soma__rule_fail(rule, SOMA_SHAPE,
                                       "shapes %s and %s do not broadcast: the last sizes %lld and "
                                       "%lld differ",
                                       a_text, b_text, (long long)na, (long long)nb);
            return soma__rule_fail(rule, SOMA_SHAPE,
                                   "shapes %s and %s do not broadcast: the sizes %lld and %lld of "
                                   "axis -%d differ",
                                   a_text, b_text, (long long)na, (long long)nb, d);
        }
        return soma__rule_fail(rule, SOMA_SHAPE, "shapes %s and %s do not broadcast", a_text,
                               b_text);
    }
    return SOMA_OK;
}

/* The named kinds of the lists below: what dtypes an op takes, and what it gives. */
soma_status soma__rule_floats(soma__rule *rule)
{
    for (int i = 0; i < rule->nin; i++)
        SOMA__TRY(soma__rule_float(rule, i));
    SOMA__TRY(soma__rule_same_dtypes(rule));
    return broadcast_inputs(rule);
}

soma_status soma__rule_numbers(soma__rule *rule)
{
    for (int i = 0; i < rule->nin; i++)
        if (rule->in_dtype[i] == SOMA_BOOL)
            return soma__rule_fail(rule, SOMA_DTYPE,
                                   "takes numbers, not bool: convert with soma_cast first");
    SOMA__TRY(soma__rule_same_dtypes(rule));
    return broadcast_inputs(rule);
}

static soma_status rule_any(soma__rule *rule)
{
    SOMA__TRY(soma__rule_same_dtypes(rule));
    return broadcast_inputs(rule);
}

soma_status soma__rule_any_to_bool(soma__rule *rule)
{
    SOMA__TRY(rule_any(rule));
    rule->dtype = SOMA_BOOL;
    return SOMA_OK;
}

static soma_status rule_number_to_bool(soma__rule *rule)
{
    SOMA__TRY(soma__rule_numbers(rule));
    rule->dtype = SOMA_BOOL;
    return SOMA_OK;
}

soma_status soma__rule_bools(soma__rule *rule)
{
    for (int i = 0; i < rule->nin; i++)
        if (rule->in_dtype[i] != SOMA_BOOL)
            return soma__rule_fail(rule, SOMA_DTYPE, "takes bool, input %d is %s", i,
                                   soma_dtype_text(rule->in_dtype[i]));
    return broadcast_inputs(rule);
}

soma_status soma__rule_integers(soma__rule *rule)
{
    for (int i = 0; i < rule->nin; i++)
        if (!is_integer(rule->in_dtype[i]))
            return soma__rule_fail(rule, SOMA_DTYPE, "input %d is %s, must be an integer", i,
                                   soma_dtype_text(rule->in_dtype[i]));
    SOMA__TRY(soma__rule_same_dtypes(rule));
    return broadcast_inputs(rule);
}

static soma_status rule_where(soma__rule *rule)
{
    if (rule->in_dtype[0] != SOMA_BOOL)
        return soma__rule_fail(rule, SOMA_DTYPE, "the condition must be bool, it is %s",
                               soma_dtype_text(rule->in_dtype[0]));
    if (rule->in_dtype[1] != rule->in_dtype[2])
        return soma__rule_fail(rule, SOMA_DTYPE, "the two values must have one dtype: %s and %s",
                               soma_dtype_text(rule->in_dtype[1]),
                               soma_dtype_text(rule->in_dtype[2]));
    rule->dtype = rule->in_dtype[1];
    return broadcast_inputs(rule);
}

static soma_status rule_cast(soma__rule *rule)
{
    const soma__cast_attrs *attrs = rule->attrs;
    if (attrs->dtype < 0 || attrs->dtype > INT32_MAX ||
        soma_dtype_size((soma_dtype)attrs->dtype) == 0)
        return soma__rule_fail(rule, SOMA_INVALID, "%lld is no dtype", (long long)attrs->dtype);
    rule->dtype = (soma_dtype)attrs->dtype;
    return SOMA_OK;
}

/* --- gradients of functions of one input: dx = dy · f'(x) ------------------------------------ */

soma_var soma__zero_like(soma_var x)
{
    return soma_scalar(x.graph, soma_var_dtype(x), 0);
}

static void grad_neg(soma__grad *g)
{
    g->din[0] = soma_neg(g->dout);
}

static void grad_abs(soma__grad *g)
{
    g->din[0] = soma_mul(g->dout, soma_sign(g->in[0]));
}

static void grad_square(soma__grad *g)
{
    g->din[0] = soma_mul(g->dout, soma_mul_scalar(g->in[0], 2));
}

/* (1/x)' = -y² */
static void grad_reciprocal(soma__grad *g)
{
    g->din[0] = soma_neg(soma_mul(g->dout, soma_square(g->out)));
}

/* (√x)' = 1/(2y) */
static void grad_sqrt(soma__grad *g)
{
    g->din[0] = soma_div(soma_mul_scalar(g->dout, 0.5), g->out);
}

/* (1/√x)' = -y³/2 */
static void grad_rsqrt(soma__grad *g)
{
    soma_var cube = soma_mul(soma_square(g->out), g->out);
    g->din[0] = soma_mul(soma_mul_scalar(g->dout, -0.5), cube);
}

static void grad_exp(soma__grad *g)
{
    g->din[0] = soma_mul(g->dout, g->out);
}

static void grad_log(soma__grad *g)
{
    g->din[0] = soma_div(g->dout, g->in[0]);
}

static void grad_sin(soma__grad *g)
{
    g->din[0] = soma_mul(g->dout, soma_cos(g->in[0]));
}

static void grad_cos(soma__grad *g)
{
    g->din[0] = soma_neg(soma_mul(g->dout, soma_sin(g->in[0])));
}

/* 1 - y² */
static void grad_tanh(soma__grad *g)
{
    soma_var slope = soma_add_scalar(soma_neg(soma_square(g->out)), 1);
    g->din[0] = soma_mul(g->dout, slope);
}

/* 2/√π · e^(-x²) */
static void grad_erf(soma__grad *g)
{
    soma_var bell = soma_exp(soma_neg(soma_square(g->in[0])));
    g->din[0] = soma_mul(g->dout, soma_mul_scalar(bell, 2 / sqrt(M_PI)));
}

/* y (1 - y) */
static void grad_sigmoid(soma__grad *g)
{
    soma_var slope = soma_mul(g->out, soma_add_scalar(soma_neg(g->out), 1));
    g->din[0] = soma_mul(g->dout, slope);
}

static void grad_softplus(soma__grad *g)
{
    g->din[0] = soma_mul(g->dout, soma_sigmoid(g->in[0]));
}

/* A selection, not a product with a mask: an infinite dy must not turn into NaN where x <= 0. */
static void grad_relu(soma__grad *g)
{
    soma_var zero = soma__zero_like(g->dout);
    g->din[0] = soma_where(soma_less(zero, g->in[0]), g->dout, zero);
}

/* --- gradients of functions of two and three inputs ------------------------------------------ */

/* din[i] = value, summed over the axes along which input i was broadcast. */
void soma__grad_to(soma__grad *g, int i, soma_var value)
{
    soma_shape shape = soma_var_shape(g->in[i]);
    g->din[i] = soma__sum_to(value, &shape);
}

static void grad_add(soma__grad *g)
{
    for (int i = 0; i < 2; i++)
        if (g->need[i])
            soma__grad_to(g, i, g->dout);
}

static void grad_sub(soma__grad *g)
{
    if (g->need[0])
        soma__grad_to(g, 0, g->dout);
    if (g->need[1])
        soma__grad_to(g, 1, soma_neg(g->dout));
}

static void grad_mul(soma__grad *g)
{
    for (int i = 0; i < 2; i++)
        if (g->need[i])
            soma__grad_to(g, i, soma_mul(g->dout, g->in[1 - i]));
}

/* y = a/b: da = dy/b, db = -dy·y/b */
static void grad_div(soma__grad *g)
{
    soma_var da = soma_div(g->dout, g->in[1]);
    if (g->need[0])
        soma__grad_to(g, 0, da);
    if (g->need[1])
        soma__grad_to(g, 1, soma_neg(soma_mul(da, g->out)));
}

/* y = a^b: da = dy·b·a^(b-1), db = dy·y·log a. With a constant scalar exponent, the usual case, da
 * is two nodes. Else both are kept finite at a = 0: there a^(b-1) is infinite for b = 0, and log a
 * for any b, while the derivatives are 0 (for b > 0). The values are made harmless before the
 * function that would blow up, so that the gradients of these gradients are finite too. */
static void grad_pow(soma__grad *g)
{
    const soma_var a = g->in[0], b = g->in[1];
    const soma__node *exponent = soma__node_of(b);
    if (g->need[0] && exponent->op == &soma__op_constant && exponent->shape.ndim == 0) {
        double p = soma_tensor_get(exponent->tensor, 0);
        if (p == 0)
            soma__grad_none(g);
        else
            soma__grad_to(g, 0, soma_mul(g->dout, soma_mul_scalar(soma_pow_scalar(a, p - 1), p)));
    } else if (g->need[0]) {
        soma_var zero = soma__zero_like(a), one = soma_scalar(g->graph, soma_var_dtype(a), 1);
        soma_var corner = soma_logical_and(soma_equal(a, zero), soma_equal(b, zero));
        soma_var power = soma_pow(a, soma_sub(soma_where(corner, one, b), one));
        soma__grad_to(g, 0, soma_mul(g->dout, soma_mul(b, power)));
    }
    if (g->need[1]) {
        soma_var zero = soma__zero_like(a), one = soma_scalar(g->graph, soma_var_dtype(a), 1);
        soma_var safe = soma_where(soma_equal(a, zero), one, a);
        soma__grad_to(g, 1, soma_mul(g->dout, soma_mul(g->out, soma_log(safe))));
    }
}

/* The gradient goes to the input that was chosen (`better`: input i beats the other one), half to
 * each where both are equal. */
static void grad_choice(soma__grad *g, bool largest)
{
    soma_var zero = soma__zero_like(g->dout);
    soma_var half = soma_where(soma_equal(g->in[0], g->in[1]), soma_mul_scalar(g->dout, 0.5), zero);
    for (int i = 0; i < 2; i++) {
        if (!g->need[i])
            continue;
        soma_var mine = g->in[i], other = g->in[1 - i];
        soma_var better = largest ? soma_less(other, mine) : soma_less(mine, other);
        soma__grad_to(g, i, soma_where(better, g->dout, half));
    }
}

static void grad_maximum(soma__grad *g)
{
    grad_choice(g, true);
}
static void grad_minimum(soma__grad *g)
{
    grad_choice(g, false);
}

static void grad_where(soma__grad *g)
{
    soma_var zero = soma__zero_like(g->dout);
    if (g->need[1])
        soma__grad_to(g, 1, soma_where(g->in[0], g->dout, zero));
    if (g->need[2])
        soma__grad_to(g, 2, soma_where(g->in[0], zero, g->dout));
}

static void grad_cast(soma__grad *g)
{
    soma_dtype from = soma_var_dtype(g->in[0]);
    if (soma_dtype_is_float(from) && soma_dtype_is_float(soma_var_dtype(g->out)))
        g->din[0] = soma_cast(g->dout, from);
    else
        soma__grad_none(g);
}

/* --- the lists ------------------------------------------------------------------------------- */

/* clang-format off */
/* name, scalar code, dtypes, gradient, formula */
#define UNARY_LIST(X)                                                                \
    X(neg,         NEG,        soma__rule_numbers,      grad_neg,        "-x")              \
    X(abs,         ABS,        soma__rule_numbers,      grad_abs,        "|x|")             \
    X(sign,        SIGN,       soma__rule_numbers,      soma__grad_none, "-1, 0 or 1")      \
    X(square,      SQUARE,     soma__rule_numbers,      grad_square,     "x^2")             \
    X(reciprocal,  RECIPROCAL, soma__rule_floats,       grad_reciprocal, "1 / x")           \
    X(sqrt,        SQRT,       soma__rule_floats,       grad_sqrt,       "x^(1/2)")         \
    X(rsqrt,       RSQRT,      soma__rule_floats,       grad_rsqrt,      "x^(-1/2)")        \
    X(exp,         EXP,        soma__rule_floats,       grad_exp,        "e^x")             \
    X(log,         LOG,        soma__rule_floats,       grad_log,        "ln x")            \
    X(sin,         SIN,        soma__rule_floats,       grad_sin,        "sin x")           \
    X(cos,         COS,        soma__rule_floats,       grad_cos,        "cos x")           \
    X(tanh,        TANH,       soma__rule_floats,       grad_tanh,       "tanh x")          \
    X(erf,         ERF,        soma__rule_floats,       grad_erf,        "erf x")           \
    X(sigmoid,     SIGMOID,    soma__rule_floats,       grad_sigmoid,    "1 / (1 + e^-x)")  \
    X(softplus,    SOFTPLUS,   soma__rule_floats,       grad_softplus,   "ln(1 + e^x)")     \
    X(floor,       FLOOR,      soma__rule_floats,       soma__grad_none, "largest whole number <= x")  \
    X(ceil,        CEIL,       soma__rule_floats,       soma__grad_none, "smallest whole number >= x") \
    X(round,       ROUND,      soma__rule_floats,       soma__grad_none, "nearest whole number, half to even") \
    X(relu,        RELU,       soma__rule_floats,       grad_relu,       "max(x, 0)")       \
    X(isfinite,    ISFINITE,   soma__rule_any_to_bool, soma__grad_none, "x is neither NaN nor Inf") \
    X(isnan,       ISNAN,      soma__rule_any_to_bool, soma__grad_none, "x is NaN")         \
    X(isinf,       ISINF,      soma__rule_any_to_bool, soma__grad_none, "x is Inf or -Inf") \
    X(logical_not, NOT,        soma__rule_bools,        soma__grad_none, "not x")

#define BINARY_LIST(X)                                                               \
    X(add,         ADD,        soma__rule_numbers,         grad_add,        "a + b")        \
    X(sub,         SUB,        soma__rule_numbers,         grad_sub,        "a - b")        \
    X(mul,         MUL,        soma__rule_numbers,         grad_mul,        "a b")          \
    X(div,         DIV,        soma__rule_floats,          grad_div,        "a / b")        \
    X(pow,         POW,        soma__rule_floats,          grad_pow,        "a^b")          \
    X(maximum,     MAXIMUM,    soma__rule_numbers,         grad_maximum,    "max(a, b)")    \
    X(minimum,     MINIMUM,    soma__rule_numbers,         grad_minimum,    "min(a, b)")    \
    X(equal,       EQUAL,      soma__rule_any_to_bool,    soma__grad_none, "a = b")        \
    X(not_equal,   NOT_EQUAL,  soma__rule_any_to_bool,    soma__grad_none, "a != b")       \
    X(less,        LESS,       rule_number_to_bool, soma__grad_none, "a < b")        \
    X(less_equal,  LESS_EQUAL, rule_number_to_bool, soma__grad_none, "a <= b")       \
    X(logical_and, AND,        soma__rule_bools,           soma__grad_none, "a and b")      \
    X(logical_or,  OR,         soma__rule_bools,           soma__grad_none, "a or b")     \
    X(logical_xor, XOR,        soma__rule_bools,           soma__grad_none, "either a or b")
/* clang-format on */

#define UNARY(name_, code_, rule_, gradient_, doc_)                                                \
    SOMA__UNARY(elementwise, name_, code_, rule_, gradient_, doc_)
#define BINARY(name_, code_, rule_, gradient_, doc_)                                               \
    SOMA__BINARY(elementwise, name_, code_, rule_, gradient_, doc_)
UNARY_LIST(UNARY)
BINARY_LIST(BINARY)

SOMA__ELEMENTWISE(elementwise, where, WHERE, rule_where, grad_where, "condition a b", 3,
                  "a where condition, else b")

soma_var soma_where(soma_var cond, soma_var a, soma_var b)
{
    const soma_var in[3] = {cond, a, b};
    return soma__graph_add(cond.graph, &soma__op_where, in, 3, NULL);
}

/* A copy in the graph, so that the reverse pass has a place to stop at. */
SOMA__ELEMENTWISE(elementwise, stop_gradient, COPY, rule_any, soma__grad_none, "x", 1,
                  "x; passes no gradient")

soma_var soma_stop_gradient(soma_var x)
{
    return soma__graph_add(x.graph, &soma__op_stop_gradient, &x, 1, NULL);
}

const soma__op soma__op_cast = {
    .name = "cast",
    .family = "elementwise",
    .doc = "x in another dtype; integers saturate, floats round to nearest even",
    .inputs = "x",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__cast_attrs),
    .attrs = (const soma__attr[]){{"dtype", SOMA__ATTR_DTYPE, offsetof(soma__cast_attrs, dtype), 1,
                                   "of the result"},
                                  {0}},
    .scalar = SOMA__SCALAR_COPY,
    .rule = rule_cast,
    .gradient = grad_cast,
    .reference = soma__reference_elementwise,
    .flops = soma__flops_elementwise,
};

/* A cast to the dtype that x has already is x itself. */
soma_var soma_cast(soma_var x, soma_dtype dtype)
{
    const soma__cast_attrs attrs = {.dtype = (int64_t)dtype};
    if (soma_var_ok(x) && soma_var_dtype(x) == dtype)
        return x;
    return soma__graph_add(x.graph, &soma__op_cast, &x, 1, &attrs);
}

/* --- spelled with the others ----------------------------------------------------------------- */

soma_var soma_greater(soma_var a, soma_var b)
{
    return soma_less(b, a);
}
soma_var soma_greater_equal(soma_var a, soma_var b)
{
    return soma_less_equal(b, a);
}

/* A number of x's dtype; x is a value. */
static soma_var number(soma_var x, double value)
{
    return soma_scalar(x.graph, soma_var_dtype(x), value);
}

soma_var soma_add_scalar(soma_var x, double value)
{
    return soma_var_ok(x) ? soma_add(x, number(x, value)) : soma__failed(x);
}

soma_var soma_mul_scalar(soma_var x, double value)
{
    return soma_var_ok(x) ? soma_mul(x, number(x, value)) : soma__failed(x);
}

/* The exponents for which there is a cheap function with the same results. */
soma_var soma_pow_scalar(soma_var x, double value)
{
    if (!soma_var_ok(x))
        return soma__failed(x);
    if (value == 1 && soma_dtype_is_float(soma_var_dtype(x)))
        return x;
    if (value == 2)
        return soma_square(x);
    if (value == -1)
        return soma_reciprocal(x);
    return soma_pow(x, number(x, value));
}
