/* scalar.h: the scalar functions that elementwise ops compute. One list; the op table, the fused
 * elementwise programs and the vector kernels all use its codes. A second list has what they mean
 * for integers. */
#ifndef SOMA__SCALAR_H
#define SOMA__SCALAR_H

#include <math.h>
#include <stdint.h>

/* clang-format off */
/* name, arity, formula in C over doubles a, b, c (the reference), approximate flops */
#define SOMA__SCALAR_LIST(X)                                                     \
    X(COPY,       1, a,                                              0)          \
    X(NEG,        1, -a,                                             1)          \
    X(ABS,        1, fabs(a),                                        1)          \
    X(SIGN,       1, isnan(a) ? a : (a > 0) - (a < 0),               1)          \
    X(SQUARE,     1, a * a,                                          1)          \
    X(RECIPROCAL, 1, 1 / a,                                          1)          \
    X(SQRT,       1, sqrt(a),                                        1)          \
    X(RSQRT,      1, 1 / sqrt(a),                                    2)          \
    X(EXP,        1, exp(a),                                        10)          \
    X(LOG,        1, log(a),                                        10)          \
    X(SIN,        1, sin(a),                                        10)          \
    X(COS,        1, cos(a),                                        10)          \
    X(TANH,       1, tanh(a),                                       12)          \
    X(ERF,        1, erf(a),                                        15)          \
    X(SIGMOID,    1, soma__sigmoid(a),                              12)          \
    X(SOFTPLUS,   1, soma__softplus(a),                             20)          \
    X(FLOOR,      1, floor(a),                                       1)          \
    X(CEIL,       1, ceil(a),                                        1)          \
    X(ROUND,      1, nearbyint(a),                                   1)          \
    X(RELU,       1, a > 0 ? a : isnan(a) ? a : 0,                   1)          \
    X(ISFINITE,   1, isfinite(a) ? 1 : 0,                            1)          \
    X(EXPM1,        1, expm1(a),                                          12)     \
    X(LOG1P,        1, log1p(a),                                          14)     \
    X(EXP2,         1, exp2(a),                                           10)     \
    X(LOG2,         1, log2(a),                                           10)     \
    X(LOG10,        1, log10(a),                                          10)     \
    X(TAN,          1, tan(a),                                            15)     \
    X(ASIN,         1, asin(a),                                           15)     \
    X(ACOS,         1, acos(a),                                           15)     \
    X(ATAN,         1, atan(a),                                           15)     \
    X(SINH,         1, sinh(a),                                           15)     \
    X(COSH,         1, cosh(a),                                           15)     \
    X(ASINH,        1, asinh(a),                                          20)     \
    X(ACOSH,        1, acosh(a),                                          20)     \
    X(ATANH,        1, atanh(a),                                          20)     \
    X(ERFC,         1, erfc(a),                                           20)     \
    X(ERFINV,       1, soma__erfinv(a),                                   60)     \
    X(CBRT,         1, cbrt(a),                                           15)     \
    X(LGAMMA,       1, soma__lgamma(a),                                   40)     \
    X(TRUNC,        1, trunc(a),                                           1)     \
    X(ISNAN,        1, isnan(a) ? 1 : 0,                                   1)     \
    X(ISINF,        1, isinf(a) ? 1 : 0,                                   1)     \
    X(NOT,        1, a == 0 ? 1 : 0,                                 1)          \
    X(ADD,        2, a + b,                                          1)          \
    X(SUB,        2, a - b,                                          1)          \
    X(MUL,        2, a * b,                                          1)          \
    X(DIV,        2, a / b,                                          1)          \
    X(POW,        2, pow(a, b),                                     25)          \
    X(MAXIMUM,    2, isnan(a) ? a : isnan(b) ? b : a > b ? a : b,    1)          \
    X(MINIMUM,    2, isnan(a) ? a : isnan(b) ? b : a < b ? a : b,    1)          \
    X(EQUAL,      2, a == b ? 1 : 0,                                 1)          \
    X(NOT_EQUAL,  2, a != b ? 1 : 0,                                 1)          \
    X(LESS,       2, a < b ? 1 : 0,                                  1)          \
    X(LESS_EQUAL, 2, a <= b ? 1 : 0,                                 1)          \
    X(AND,        2, (a != 0) && (b != 0) ? 1 : 0,                   1)          \
    X(OR,         2, (a != 0) || (b != 0) ? 1 : 0,                   1)          \
    X(FMOD,         2, fmod(a, b),                                        15)     \
    X(REMAINDER,    2, soma__remainder(a, b),                             17)     \
    X(FLOOR_DIVIDE, 2, soma__floor_divide(a, b),                          17)     \
    X(ATAN2,        2, atan2(a, b),                                       25)     \
    X(HYPOT,        2, hypot(a, b),                                       10)     \
    X(COPYSIGN,     2, copysign(a, b),                                     1)     \
    X(LOGADDEXP,    2, soma__logaddexp(a, b),                             25)     \
    X(POLYGAMMA,    2, soma__polygamma(a, b),                             100)     \
    X(XOR,          2, (a != 0) != (b != 0) ? 1 : 0,                       1)     \
    X(WHERE,      3, a != 0 ? b : c,                                 1)

/* The same over int64_t, from which the low bits are kept: a double holds only 53 bits of an i64.
 * Overflow wraps around, as in NumPy: hence the unsigned types. */
#define SOMA__INTEGER_LIST(X)                                                              \
    SOMA__INTEGER_ONLY_LIST(X)                                                             \
    X(COPY,         1, a)                                                         \
    X(NEG,          1, (int64_t)(0 - (uint64_t)a))                                \
    X(ABS,          1, a < 0 ? (int64_t)(0 - (uint64_t)a) : a)                    \
    X(SIGN,         1, (a > 0) - (a < 0))                                         \
    X(SQUARE,       1, (int64_t)((uint64_t)a * (uint64_t)a))                      \
    X(ADD,          2, (int64_t)((uint64_t)a + (uint64_t)b))                      \
    X(SUB,          2, (int64_t)((uint64_t)a - (uint64_t)b))                      \
    X(MUL,          2, (int64_t)((uint64_t)a * (uint64_t)b))                      \
    X(MAXIMUM,      2, a > b ? a : b)                                             \
    X(MINIMUM,      2, a < b ? a : b)                                             \
    X(EQUAL,        2, a == b)                                                    \
    X(NOT_EQUAL,    2, a != b)                                                    \
    X(LESS,         2, a < b)                                                     \
    X(LESS_EQUAL,   2, a <= b)                                                    \
    X(FMOD,         2, soma__int_fmod(a, b))                                      \
    X(REMAINDER,    2, soma__int_remainder(a, b))                                 \
    X(FLOOR_DIVIDE, 2, soma__int_floor_divide(a, b))                              \
    X(NOT,          1, a == 0)                                                    \
    X(AND,          2, (a != 0) & (b != 0))                                       \
    X(OR,           2, (a != 0) | (b != 0))                                       \
    X(XOR,          2, (a != 0) != (b != 0))                                      \
    X(ISFINITE,     1, a == a)                                                    \
    X(ISNAN,        1, a != a)                                                    \
    X(ISINF,        1, a != a)                                                    \
    X(WHERE,        3, a != 0 ? b : c)

/* Those that are defined for integers only. */
#define SOMA__INTEGER_ONLY_LIST(X)                                                         \
    X(BIT_NOT,      1, ~a)                                                        \
    X(BIT_AND,      2, a & b)                                                     \
    X(BIT_OR,       2, a | b)                                                     \
    X(BIT_XOR,      2, a ^ b)                                                     \
    X(SHIFT_LEFT,   2, soma__shift_left(a, b))                                    \
    X(SHIFT_RIGHT,  2, soma__shift_right(a, b))
/* clang-format on */

typedef enum soma__scalar {
    SOMA__SCALAR_NONE, /* not elementwise */
#define SOMA__SCALAR_ENUM(name_, arity_, formula_, flops_) SOMA__SCALAR_##name_,
    SOMA__SCALAR_LIST(SOMA__SCALAR_ENUM)
#undef SOMA__SCALAR_ENUM
        SOMA__SCALAR_COUNT, /* of the functions of floats; the others come after */
    SOMA__SCALAR_BEFORE_INTEGERS = SOMA__SCALAR_COUNT,
#define SOMA__SCALAR_ENUM(name_, arity_, formula_) SOMA__SCALAR_##name_,
    SOMA__INTEGER_ONLY_LIST(SOMA__SCALAR_ENUM)
#undef SOMA__SCALAR_ENUM
        SOMA__SCALAR_END
} soma__scalar;

/* --- what the formulas call ---------------------------------------------------------------------
 */

static inline double soma__sigmoid(double a)
{
    return a >= 0 ? 1 / (1 + exp(-a)) : exp(a) / (1 + exp(a));
}
static inline double soma__softplus(double a)
{
    return (a > 0 ? a : 0) + log1p(exp(-fabs(a)));
}
/* Of the sign of b, as Python's and NumPy's %; fmod's is that of a. */
static inline double soma__remainder(double a, double b)
{
    double r = fmod(a, b);
    return r == 0 ? copysign(0, b) : (r < 0) != (b < 0) ? r + b : r;
}
/* floor(a / b) by way of the exact remainder, since a / b itself may round up to a whole number. */
static inline double soma__floor_divide(double a, double b)
{
    if (b == 0 || isinf(a))
        return b == 0 ? a / b : NAN;
    double r = fmod(a, b), q = (a - r) / b;
    if (r != 0 && (r < 0) != (b < 0))
        q -= 1;
    return q == 0 ? copysign(0, a / b) : nearbyint(q);
}
static inline double soma__logaddexp(double a, double b)
{
    if (a == b) /* also both infinite */
        return a + M_LN2;
    return (a > b ? a : b) + log1p(exp(-fabs(a - b)));
}
/* Integers divided by zero give 0, as in NumPy; the smallest by -1 wraps around. */
static inline int64_t soma__int_fmod(int64_t a, int64_t b)
{
    return b == 0 || b == -1 ? 0 : a % b;
}
static inline int64_t soma__int_remainder(int64_t a, int64_t b)
{
    int64_t r = soma__int_fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
static inline int64_t soma__int_floor_divide(int64_t a, int64_t b)
{
    if (b == 0 || b == -1)
        return b == 0 ? 0 : (int64_t)(0 - (uint64_t)a);
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}
/* Shifts by less than 0 or more than all bits push every bit out. */
static inline int64_t soma__shift_left(int64_t a, int64_t by)
{
    return (uint64_t)by > 63 ? 0 : (int64_t)((uint64_t)a << by);
}
static inline int64_t soma__shift_right(int64_t a, int64_t by)
{
    return (uint64_t)by > 63 ? (a < 0 ? -1 : 0) : a >> by;
}
/* ln |gamma(a)|; C's lgamma writes to a global variable besides. */
double soma__lgamma(double a);
/* The a with erf(a) = x. */
double soma__erfinv(double x);
/* The derivative of order n of digamma, ln gamma's; n = 0: digamma itself. */
double soma__polygamma(double n, double x);

/* The reference value, number of operands, flops of one application. */
double soma__scalar_apply(soma__scalar code, double a, double b, double c);
int64_t soma__scalar_apply_integer(soma__scalar code, int64_t a, int64_t b, int64_t c);
int soma__scalar_arity(soma__scalar code);
int soma__scalar_flops(soma__scalar code);

#endif
