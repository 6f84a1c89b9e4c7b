/* test_golden_math.c: the functions of mathematics against PyTorch's. */
#include "golden.h"

/* clang-format off */
#define UNARY(X)                                                                                   \
    X(expm1) X(log1p) X(exp2) X(log2) X(log10) X(tan) X(asin) X(acos) X(atan) X(sinh) X(cosh)      \
    X(asinh) X(acosh) X(atanh) X(erfc) X(erfinv) X(cbrt) X(lgamma) X(digamma) X(trunc) X(frac)     \
    X(bitwise_not)
#define BINARY(X)                                                                                  \
    X(fmod) X(remainder) X(floor_divide) X(atan2) X(hypot) X(copysign) X(logaddexp) X(xlogy)       \
    X(bitwise_and) X(bitwise_or) X(bitwise_xor) X(shift_left) X(shift_right)
/* clang-format on */
#define UNARY_FUNCTION(name_) GOLDEN(op_##name_, soma_##name_(in[0]))
#define BINARY_FUNCTION(name_) GOLDEN(op_##name_, soma_##name_(in[0], in[1]))
UNARY(UNARY_FUNCTION)
BINARY(BINARY_FUNCTION)
GOLDEN(polygamma_2, soma_polygamma(2, in[0]))
GOLDEN(nan_to_num, soma_nan_to_num(in[0], 3, 4, -5))
GOLDEN(lerp, soma_lerp(in[0], in[1], in[2]))
static soma_var logical_xor(const soma_var *in)
{
    soma_var zero = soma_scalar(in[0].graph, SOMA_F32, 0);
    soma_var y = soma_logical_xor(soma_greater(in[0], zero), soma_greater(in[1], zero));
    return soma_cast(y, SOMA_F32);
}

#define UNARY_ROW(name_) {#name_, "x", op_##name_},
#define BINARY_ROW(name_) {#name_, "a b", op_##name_},
static const golden cases[] = {
    UNARY(UNARY_ROW) BINARY(BINARY_ROW){"digamma_negative", "x", op_digamma},
    {"fmod_integers", "a b", op_fmod},
    {"remainder_integers", "a b", op_remainder},
    {"floor_divide_integers", "a b", op_floor_divide},
    {"polygamma_2", "x", polygamma_2},
    {"nan_to_num", "x", nan_to_num},
    {"lerp", "a b weight", lerp},
    {"logical_xor", "a b", logical_xor},
};

int main(void)
{
    return golden_run("math.safetensors", cases, sizeof(cases) / sizeof(cases[0]));
}
