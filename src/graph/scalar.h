/* scalar.h: the scalar functions that elementwise ops compute. One list; the op table, the fused
 * elementwise programs and the vector kernels all use its codes.
 *
 * name, arity, formula in C over doubles a, b, c (the reference), approximate flops */
#ifndef SOMA__SCALAR_H
#define SOMA__SCALAR_H

/* clang-format off */
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
    X(WHERE,      3, a != 0 ? b : c,                                 1)
/* clang-format on */

typedef enum soma__scalar {
    SOMA__SCALAR_NONE, /* not elementwise */
#define SOMA__SCALAR_ENUM(name_, arity_, formula_, flops_) SOMA__SCALAR_##name_,
    SOMA__SCALAR_LIST(SOMA__SCALAR_ENUM)
#undef SOMA__SCALAR_ENUM
        SOMA__SCALAR_COUNT
} soma__scalar;

#include <math.h>
static inline double soma__sigmoid(double a)
{
    return a >= 0 ? 1 / (1 + exp(-a)) : exp(a) / (1 + exp(a));
}
static inline double soma__softplus(double a)
{
    return (a > 0 ? a : 0) + log1p(exp(-fabs(a)));
}

/* The reference value, number of operands, flops of one application. */
double soma__scalar_apply(soma__scalar code, double a, double b, double c);
int soma__scalar_arity(soma__scalar code);
int soma__scalar_flops(soma__scalar code);

#endif
