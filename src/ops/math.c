/* math.c: the elementwise functions of mathematics beyond the core: exponentials and logarithms,
 * trigonometry, division with remainder, special functions. Formulas: graph/scalar.h. */
#include "ops/elementwise.h"

static soma_var times(const soma__grad *g, soma_var slope)
{
    return soma_mul(g->dout, slope);
}

/* 1 + s·v² for s = 1 or -1 */
static soma_var one_and_square(soma_var v, double s)
{
    return soma_add_scalar(soma_mul_scalar(soma_square(v), s), 1);
}

/* --- gradients, one input -----------------------------------------------------------------------
 */

/* y + 1 */
static void grad_expm1(soma__grad *g)
{
    g->din[0] = times(g, soma_add_scalar(g->out, 1));
}

static void grad_log1p(soma__grad *g)
{
    g->din[0] = soma_div(g->dout, soma_add_scalar(g->in[0], 1));
}

static void grad_exp2(soma__grad *g)
{
    g->din[0] = soma_mul_scalar(times(g, g->out), M_LN2);
}

static void grad_log2(soma__grad *g)
{
    g->din[0] = soma_div(soma_mul_scalar(g->dout, 1 / M_LN2), g->in[0]);
}

static void grad_log10(soma__grad *g)
{
    g->din[0] = soma_div(soma_mul_scalar(g->dout, 1 / M_LN10), g->in[0]);
}

/* 1 + y² */
static void grad_tan(soma__grad *g)
{
    g->din[0] = times(g, one_and_square(g->out, 1));
}

/* 1 / √(1 - x²) */
static void grad_asin(soma__grad *g)
{
    g->din[0] = times(g, soma_rsqrt(one_and_square(g->in[0], -1)));
}

static void grad_acos(soma__grad *g)
{
    g->din[0] = soma_neg(times(g, soma_rsqrt(one_and_square(g->in[0], -1))));
}

static void grad_atan(soma__grad *g)
{
    g->din[0] = soma_div(g->dout, one_and_square(g->in[0], 1));
}

static void grad_sinh(soma__grad *g)
{
    g->din[0] = times(g, soma_cosh(g->in[0]));
}

static void grad_cosh(soma__grad *g)
{
    g->din[0] = times(g, soma_sinh(g->in[0]));
}

static void grad_asinh(soma__grad *g)
{
    g->din[0] = times(g, soma_rsqrt(one_and_square(g->in[0], 1)));
}

/* 1 / √(x² - 1), as two roots: x² may overflow, and left of 1 there is no slope. */
static void grad_acosh(soma__grad *g)
{
    soma_var below = soma_rsqrt(soma_add_scalar(g->in[0], -1));
    g->din[0] = times(g, soma_mul(below, soma_rsqrt(soma_add_scalar(g->in[0], 1))));
}

static void grad_atanh(soma__grad *g)
{
    g->din[0] = soma_div(g->dout, one_and_square(g->in[0], -1));
}

/* -2/√π · e^(-x²) */
static void grad_erfc(soma__grad *g)
{
    soma_var bell = soma_exp(soma_neg(soma_square(g->in[0])));
    g->din[0] = times(g, soma_mul_scalar(bell, -M_2_SQRTPI));
}

/* √π/2 · e^(y²) */
static void grad_erfinv(soma__grad *g)
{
    g->din[0] = times(g, soma_mul_scalar(soma_exp(soma_square(g->out)), 1 / M_2_SQRTPI));
}

/* 1 / (3 y²) */
static void grad_cbrt(soma__grad *g)
{
    g->din[0] = soma_div(g->dout, soma_mul_scalar(soma_square(g->out), 3));
}

static void grad_lgamma(soma__grad *g)
{
    g->din[0] = times(g, soma_digamma(g->in[0]));
}

/* --- gradients, two inputs ----------------------------------------------------------------------
 */

/* a - b·quotient, where the quotient is a whole number. */
static void grad_modulo(soma__grad *g, soma_var quotient)
{
    if (g->need[0])
        soma__grad_to(g, 0, g->dout);
    if (g->need[1])
        soma__grad_to(g, 1, soma_neg(times(g, quotient)));
}

static void grad_fmod(soma__grad *g)
{
    grad_modulo(g, soma_trunc(soma_div(g->in[0], g->in[1])));
}

static void grad_remainder(soma__grad *g)
{
    grad_modulo(g, soma_floor(soma_div(g->in[0], g->in[1])));
}

/* The angle of (b, a): b/(a² + b²), -a/(a² + b²) */
static void grad_atan2(soma__grad *g)
{
    soma_var share = soma_div(g->dout, soma_add(soma_square(g->in[0]), soma_square(g->in[1])));
    if (g->need[0])
        soma__grad_to(g, 0, soma_mul(share, g->in[1]));
    if (g->need[1])
        soma__grad_to(g, 1, soma_neg(soma_mul(share, g->in[0])));
}

/* a/y, b/y */
static void grad_hypot(soma__grad *g)
{
    for (int i = 0; i < 2; i++)
        if (g->need[i])
            soma__grad_to(g, i, times(g, soma_div(g->in[i], g->out)));
}

/* 1 where y has kept a's sign, -1 where not, 0 at a = 0; nothing depends on the size of b. */
static void grad_copysign(soma__grad *g)
{
    if (g->need[0])
        soma__grad_to(g, 0, times(g, soma_mul(soma_sign(g->in[0]), soma_sign(g->out))));
}

/* e^(a-y) = sigmoid(a - b) */
static void grad_logaddexp(soma__grad *g)
{
    for (int i = 0; i < 2; i++)
        if (g->need[i])
            soma__grad_to(g, i, times(g, soma_sigmoid(soma_sub(g->in[i], g->in[1 - i]))));
}

/* The next order; none with respect to the order. */
static void grad_polygamma(soma__grad *g)
{
    const soma_var in[2] = {soma_add_scalar(g->in[0], 1), g->in[1]};
    if (g->need[1])
        soma__grad_to(g, 1, times(g, soma__graph_add(g->graph, &soma__op_polygamma, in, 2, NULL)));
}

/* --- the lists ----------------------------------------------------------------------------------
 */

/* clang-format off */
/* name, scalar code, dtypes, gradient, formula */
#define UNARY_LIST(X)                                                                              \
    X(expm1,  EXPM1,  soma__rule_floats, grad_expm1,  "e^x - 1, exact near 0")                     \
    X(log1p,  LOG1P,  soma__rule_floats, grad_log1p,  "ln(1 + x), exact near 0")                   \
    X(exp2,   EXP2,   soma__rule_floats, grad_exp2,   "2^x")                                       \
    X(log2,   LOG2,   soma__rule_floats, grad_log2,   "logarithm to base 2")                       \
    X(log10,  LOG10,  soma__rule_floats, grad_log10,  "logarithm to base 10")                      \
    X(tan,    TAN,    soma__rule_floats, grad_tan,    "tan x")                                     \
    X(asin,   ASIN,   soma__rule_floats, grad_asin,   "the angle in [-pi/2, pi/2] whose sine is x") \
    X(acos,   ACOS,   soma__rule_floats, grad_acos,   "the angle in [0, pi] whose cosine is x")    \
    X(atan,   ATAN,   soma__rule_floats, grad_atan,   "the angle in (-pi/2, pi/2) whose tangent is x") \
    X(sinh,   SINH,   soma__rule_floats, grad_sinh,   "(e^x - e^-x) / 2")                          \
    X(cosh,   COSH,   soma__rule_floats, grad_cosh,   "(e^x + e^-x) / 2")                          \
    X(asinh,  ASINH,  soma__rule_floats, grad_asinh,  "the number whose sinh is x")                \
    X(acosh,  ACOSH,  soma__rule_floats, grad_acosh,  "the number >= 0 whose cosh is x")           \
    X(atanh,  ATANH,  soma__rule_floats, grad_atanh,  "the number whose tanh is x")                \
    X(erfc,   ERFC,   soma__rule_floats, grad_erfc,   "1 - erf x, exact for large x")              \
    X(erfinv, ERFINV, soma__rule_floats, grad_erfinv, "the number whose erf is x")                 \
    X(cbrt,   CBRT,   soma__rule_floats, grad_cbrt,   "the cube root of x, of either sign")        \
    X(lgamma, LGAMMA, soma__rule_floats, grad_lgamma, "ln |gamma(x)|")                             \
    X(trunc,  TRUNC,  soma__rule_floats, soma__grad_none, "x without its fraction")

#define BINARY_LIST(X)                                                                             \
    X(fmod,         FMOD,         soma__rule_numbers, grad_fmod,       "a - b trunc(a/b): has the sign of a") \
    X(remainder,    REMAINDER,    soma__rule_numbers, grad_remainder,  "a - b floor(a/b): has the sign of b") \
    X(floor_divide, FLOOR_DIVIDE, soma__rule_numbers, soma__grad_none, "floor(a/b)")               \
    X(atan2,        ATAN2,        soma__rule_floats,  grad_atan2,      "the angle of the point with y = a, x = b") \
    X(hypot,        HYPOT,        soma__rule_floats,  grad_hypot,      "(a^2 + b^2)^(1/2)")        \
    X(copysign,     COPYSIGN,     soma__rule_floats,  grad_copysign,   "|a| with the sign of b")   \
    X(logaddexp,    LOGADDEXP,    soma__rule_floats,  grad_logaddexp,  "ln(e^a + e^b)")
/* clang-format on */

#define UNARY(name_, code_, rule_, gradient_, doc_)                                                \
    SOMA__UNARY(math, name_, code_, rule_, gradient_, doc_)
#define BINARY(name_, code_, rule_, gradient_, doc_)                                               \
    SOMA__BINARY(math, name_, code_, rule_, gradient_, doc_)

UNARY_LIST(UNARY)
BINARY_LIST(BINARY)

SOMA__ELEMENTWISE(math, polygamma, POLYGAMMA, soma__rule_floats, grad_polygamma, "order x", 2,
                  "derivative of that order of digamma at x")

soma_var soma_polygamma(int order, soma_var x)
{
    if (!soma_var_ok(x))
        return soma__failed(x);
    if (order < 0) {
        soma_graph_fail(x.graph, SOMA_INVALID, "polygamma: the order %d is negative", order);
        return soma__failed(x);
    }
    const soma_var in[2] = {soma_scalar(x.graph, soma_var_dtype(x), order), x};
    return soma__graph_add(x.graph, &soma__op_polygamma, in, 2, NULL);
}

/* --- composites ---------------------------------------------------------------------------------
 */

static soma_var decompose_digamma(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)graph, (void)nin, (void)attrs;
    return soma_polygamma(0, in[0]);
}

static soma_var decompose_frac(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)graph, (void)nin, (void)attrs;
    return soma_sub(in[0], soma_trunc(in[0]));
}

/* Where a is 0 the product is 0 also when the logarithm is infinite or none. */
static soma_var decompose_xlogy(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)nin, (void)attrs;
    soma_dtype dtype = soma_var_dtype(in[0]);
    soma_var zero = soma_scalar(graph, dtype, 0), one = soma_scalar(graph, dtype, 1);
    soma_var infinite = soma_equal(in[1], soma_scalar(graph, dtype, INFINITY));
    soma_var none = soma_logical_and(soma_equal(in[0], zero),
                                     soma_logical_or(soma_less_equal(in[1], zero), infinite));
    soma_var product = soma_mul(in[0], soma_log(soma_where(none, one, in[1])));
    return soma_where(none, zero, product);
}

static soma_var decompose_lerp(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    (void)graph, (void)nin, (void)attrs;
    return soma_add(in[0], soma_mul(in[2], soma_sub(in[1], in[0])));
}

/* Infinite limits stand for the largest finite number of the dtype. */
static double finite_limit(soma_dtype dtype, double value)
{
    double most = dtype == SOMA_F64    ? 0x1.fffffffffffffp1023
                  : dtype == SOMA_F16  ? 65504
                  : dtype == SOMA_BF16 ? 0x1.fep127
                                       : 0x1.fffffep127;
    return isinf(value) ? copysign(most, value) : value;
}

static soma_var decompose_nan_to_num(soma_graph *graph, const soma_var *in, int nin,
                                     const void *attrs)
{
    (void)nin;
    const soma__nan_attrs *a = attrs;
    soma_dtype dtype = soma_var_dtype(in[0]);
    soma_var x = in[0], infinite = soma_scalar(graph, dtype, INFINITY);
    soma_var high = soma_scalar(graph, dtype, finite_limit(dtype, a->high));
    soma_var low = soma_scalar(graph, dtype, finite_limit(dtype, a->low));
    soma_var y = soma_where(soma_isnan(x), soma_scalar(graph, dtype, a->nan), x);
    y = soma_where(soma_equal(x, infinite), high, y);
    return soma_where(soma_equal(x, soma_neg(infinite)), low, y);
}

SOMA__COMPOSITE(math, digamma, "x", 1, "slope of ln gamma(x)", .rule = soma__rule_same_float)
SOMA__COMPOSITE(math, frac, "x", 1, "x - trunc(x): has the sign of x",
                .rule = soma__rule_same_float)
SOMA__COMPOSITE(math, xlogy, "a b", 2, "a ln b; 0 where a is 0", .rule = soma__rule_floats)
SOMA__COMPOSITE(math, lerp, "a b weight", 3, "a + weight (b - a)", .rule = soma__rule_floats)
SOMA__COMPOSITE(math, nan_to_num, "x", 1, "x with NaN, Inf and -Inf replaced",
                .rule = soma__rule_same_float, .attr_size = sizeof(soma__nan_attrs),
                .attrs = (const soma__attr[]){
                    {"nan", SOMA__ATTR_FLOAT, offsetof(soma__nan_attrs, nan), 1, "for NaN"},
                    {"high", SOMA__ATTR_FLOAT, offsetof(soma__nan_attrs, high), 1, "for Inf"},
                    {"low", SOMA__ATTR_FLOAT, offsetof(soma__nan_attrs, low), 1, "for -Inf"},
                    {0}})

soma_var soma_digamma(soma_var x)
{
    return soma__graph_add(x.graph, &soma__op_digamma, &x, 1, NULL);
}

soma_var soma_frac(soma_var x)
{
    return soma__graph_add(x.graph, &soma__op_frac, &x, 1, NULL);
}

soma_var soma_xlogy(soma_var a, soma_var b)
{
    const soma_var in[2] = {a, b};
    return soma__graph_add(a.graph, &soma__op_xlogy, in, 2, NULL);
}

soma_var soma_lerp(soma_var a, soma_var b, soma_var weight)
{
    const soma_var in[3] = {a, b, weight};
    return soma__graph_add(a.graph, &soma__op_lerp, in, 3, NULL);
}

soma_var soma_nan_to_num(soma_var x, double nan, double high, double low)
{
    const soma__nan_attrs attrs = {nan, high, low};
    return soma__graph_add(x.graph, &soma__op_nan_to_num, &x, 1, &attrs);
}

soma_var soma_isposinf(soma_var x)
{
    if (!soma_var_ok(x))
        return soma__failed(x);
    return soma_equal(x, soma_scalar(x.graph, soma_var_dtype(x), INFINITY));
}

soma_var soma_isneginf(soma_var x)
{
    if (!soma_var_ok(x))
        return soma__failed(x);
    return soma_equal(x, soma_scalar(x.graph, soma_var_dtype(x), -INFINITY));
}
