/* bits.c: elementwise ops on the bits of integers, in two's complement. */
#include "ops/elementwise.h"

/* clang-format off */
SOMA__UNARY(bits, bitwise_not, BIT_NOT, soma__rule_integers, soma__grad_none, "every bit turned over")
SOMA__BINARY(bits, bitwise_and, BIT_AND, soma__rule_integers, soma__grad_none, "bits set in both")
SOMA__BINARY(bits, bitwise_or, BIT_OR, soma__rule_integers, soma__grad_none, "bits set in a or b")
SOMA__BINARY(bits, bitwise_xor, BIT_XOR, soma__rule_integers, soma__grad_none, "bits in which a and b differ")
SOMA__BINARY(bits, shift_left, SHIFT_LEFT, soma__rule_integers, soma__grad_none, "a 2^b, low bits kept")
SOMA__BINARY(bits, shift_right, SHIFT_RIGHT, soma__rule_integers, soma__grad_none, "floor(a / 2^b)")
/* clang-format on */
