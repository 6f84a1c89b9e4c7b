/* scalar.c: the reference values of the scalar functions, from the lists in scalar.h, and those
 * functions that the C library lacks. */
#include "graph/scalar.h"

/* --- special functions --------------------------------------------------------------------------
 */

double soma__lgamma(double a)
{
    int sign;
    return lgamma_r(a, &sign);
}

/* A start from M. Giles' polynomials ("Approximating the erfinv function", 2010), which are right
 * to single precision, and two steps of Halley's method. */
double soma__erfinv(double x)
{
    static const double near_0[] = {2.81022636e-8,  3.43273939e-7, -3.5233877e-6,
                                    -4.39150654e-6, 2.1858087e-4,  -1.25372503e-3,
                                    -4.17768164e-3, 2.46640727e-1, 1.50140941};
    static const double near_1[] = {-2.00214257e-4, 1.00950558e-4, 1.34934322e-3,
                                    -3.67342844e-3, 5.73950773e-3, -7.6224613e-3,
                                    9.43887047e-3,  1.00167406,    2.83297682};
    double y = fabs(x);
    if (!(y < 1))
        return y == 1 ? copysign(INFINITY, x) : NAN;
    double w = -log((1 - y) * (1 + y));
    const double *p = w < 5 ? near_0 : near_1;
    double t = w < 5 ? w - 2.5 : sqrt(w) - 3, start = p[0];
    for (int i = 1; i < 9; i++)
        start = start * t + p[i];
    double a = start * y;
    for (int step = 0; step < 2; step++) {
        /* The difference from the nearer end, so that it keeps its digits. */
        double off = y < 0.5 ? erf(a) - y : (1 - y) - erfc(a);
        double newton = off / (M_2_SQRTPI * exp(-a * a));
        a -= newton / (1 + a * newton);
    }
    return copysign(a, x);
}

/* Hurwitz' zeta, the sum of (q + k)^-s over k = 0, 1, …, for s >= 2 and q > 0: ten terms, and the
 * rest by Euler and Maclaurin. */
static double hurwitz_zeta(double s, double q)
{
    /* Bernoulli numbers B_2j / (2j)! */
    static const double factor[] = {1.0 / 12,          -1.0 / 720,
                                    1.0 / 30240,       -1.0 / 1209600,
                                    1.0 / 47900160,    -691.0 / 1307674368000,
                                    1.0 / 74724249600, -3617.0 / 10670622842880000};
    double sum = 0, end = q + 10;
    for (int k = 0; k < 10; k++)
        sum += pow(q + k, -s);
    sum += pow(end, 1 - s) / (s - 1) + 0.5 * pow(end, -s);
    double term = s * pow(end, -s - 1);
    for (int j = 1; j <= 8; j++) {
        sum += factor[j - 1] * term;
        term *= (s + 2 * j - 1) / end * ((s + 2 * j) / end);
    }
    return sum;
}

/* Recurrence up to 10 and the asymptotic series; the reflection formula left of 0. At the poles it
 * is what PyTorch says: infinite at 0, NaN at the other ones, where the sign is open. */
static double digamma(double x)
{
    static const double factor[] = {1.0 / 12,  -1.0 / 120,     1.0 / 252, -1.0 / 240,
                                    1.0 / 132, -691.0 / 32760, 1.0 / 12};
    double y = 0;
    if (x == 0)
        return copysign(INFINITY, -x);
    if (x < 0) {
        if (x == floor(x))
            return NAN;
        y = -M_PI / tan(M_PI * (x - nearbyint(x)));
        x = 1 - x;
    }
    while (x < 10) {
        y -= 1 / x;
        x += 1;
    }
    double square = 1 / (x * x), power = square;
    y += log(x) - 0.5 / x;
    for (int i = 0; i < 7; i++, power *= square)
        y -= factor[i] * power;
    return y;
}

/* (-1)^(n+1) n! zeta(n + 1, x). Left of 0 the sum over all k of (x + k)^-s, which is the same for
 * each whole step of x, less the part that does not belong to it. */
double soma__polygamma(double n, double x)
{
    if (n == 0)
        return digamma(x);
    const double s = n + 1, parity = fmod(s, 2) == 0 ? 1 : -1;
    double zeta;
    if (x > 0 || isnan(x))
        zeta = hurwitz_zeta(s, x);
    else if (x == floor(x))
        zeta = INFINITY;
    else
        zeta = hurwitz_zeta(s, x - floor(x)) +
               parity * (hurwitz_zeta(s, ceil(x) - x) - hurwitz_zeta(s, 1 - x));
    return parity * tgamma(s) * zeta;
}

/* --- the lists ----------------------------------------------------------------------------------
 */

/* Formulas of few operands leave the others unused; the compiler drops them. */
double soma__scalar_apply(soma__scalar code, double a, double b, double c)
{
    (void)b;
    (void)c;
    switch (code) {
#define SOMA__SCALAR_CASE(name_, arity_, formula_, flops_)                                         \
    case SOMA__SCALAR_##name_:                                                                     \
        return (formula_);
        SOMA__SCALAR_LIST(SOMA__SCALAR_CASE)
#undef SOMA__SCALAR_CASE
    default:
        break;
    }
    return 0;
}

int64_t soma__scalar_apply_integer(soma__scalar code, int64_t a, int64_t b, int64_t c)
{
    (void)b;
    (void)c;
    switch (code) {
#define SOMA__INTEGER_CASE(name_, arity_, formula_)                                                \
    case SOMA__SCALAR_##name_:                                                                     \
        return (formula_);
        SOMA__INTEGER_LIST(SOMA__INTEGER_CASE)
#undef SOMA__INTEGER_CASE
    default: /* the rules let no other function have integers */
        break;
    }
    return 0;
}

int soma__scalar_arity(soma__scalar code)
{
    static const unsigned char arity[SOMA__SCALAR_COUNT] = {
#define SOMA__SCALAR_ARITY(name_, arity_, formula_, flops_) [SOMA__SCALAR_##name_] = (arity_),
        SOMA__SCALAR_LIST(SOMA__SCALAR_ARITY)
#undef SOMA__SCALAR_ARITY
    };
    return code < SOMA__SCALAR_COUNT ? arity[code] : 0;
}

int soma__scalar_flops(soma__scalar code)
{
    static const unsigned char flops[SOMA__SCALAR_COUNT] = {
#define SOMA__SCALAR_FLOPS(name_, arity_, formula_, flops_) [SOMA__SCALAR_##name_] = (flops_),
        SOMA__SCALAR_LIST(SOMA__SCALAR_FLOPS)
#undef SOMA__SCALAR_FLOPS
    };
    return code < SOMA__SCALAR_COUNT ? flops[code] : 1;
}
