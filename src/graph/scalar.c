/* scalar.c: the reference values of the scalar functions, from the one list in scalar.h. */
#include "graph/scalar.h"

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
    case SOMA__SCALAR_NONE:
    case SOMA__SCALAR_COUNT:
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
    return code < SOMA__SCALAR_COUNT ? flops[code] : 0;
}
