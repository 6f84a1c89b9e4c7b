/* precision.h: products of fewer bits, for the ops that have a `precision`.
 *
 * With precision bf16 a product rounds each operand that is not bf16 yet, multiplies these numbers
 * exactly and adds in f32: what the dot-product instructions of processors do. The result is f32
 * (f64 where an operand is, as the tests' truth wants it), so that nothing is rounded twice.
 * Without a precision the operands are of one dtype, and so is the result. */
#ifndef SOMA__PRECISION_H
#define SOMA__PRECISION_H

#include "ops/ops.h"

/* Checks the dtypes of the two operands in 0 and 1, and sets the result's. */
static inline soma_status soma__rule_precision(soma__rule *rule, int64_t precision)
{
    const soma_dtype *in = rule->in_dtype;
    if (precision == 0) {
        SOMA__TRY(soma__rule_float(rule, 0));
        return soma__rule_same_dtypes(rule);
    }
    if (precision != SOMA_BF16)
        return soma__rule_fail(rule, SOMA_DTYPE,
                               "precision must be bf16, or 0 for the operands' own, not %s",
                               soma_dtype_text((soma_dtype)precision));
    SOMA__TRY(soma__rule_float(rule, 0));
    SOMA__TRY(soma__rule_float(rule, 1));
    if (in[0] != SOMA_BF16 && in[1] != SOMA_BF16)
        return soma__rule_fail(rule, SOMA_DTYPE,
                               "with precision bf16 an operand must be bf16: soma_cast the larger "
                               "one, here %s and %s",
                               soma_dtype_text(in[0]), soma_dtype_text(in[1]));
    rule->dtype = in[0] == SOMA_F64 || in[1] == SOMA_F64 ? SOMA_F64 : SOMA_F32;
    return SOMA_OK;
}

/* What builders do with the operand that is the larger one as a rule: rounded here, it is kept for
 * the backward pass in half the bytes. */
static inline soma_var soma__at_precision(soma_var x, int64_t precision)
{
    return precision ? soma_cast(x, (soma_dtype)precision) : x;
}

/* Element `i` of an operand, for reference kernels. */
static inline double soma__load_at_precision(int64_t precision, const soma__view *x, int64_t i)
{
    double value = soma__load(x->dtype, x->data, i);
    if (precision == 0 || x->dtype == SOMA_BF16)
        return value;
    uint16_t rounded;
    soma__store(SOMA_BF16, &rounded, 0, value);
    return soma__load(SOMA_BF16, &rounded, 0);
}

#endif
