/* products.h: matrix products and convolutions of every instruction set against the reference. */
#ifndef SOMA__TEST_PRODUCTS_H
#define SOMA__TEST_PRODUCTS_H

#include "kernels.h"

/* Checks op(a, b) of the shapes given: bits on one, two and three threads, guards, and values
 * within what rounding explains for sums of `depth` terms. With `epilogue` the product is followed
 * by relu(y + bias) + residual, whose last store overwrites nothing else; a second store keeps y.
 */
void check_product(const char *op, const char *what, const void *attrs, soma_shape a, soma_shape b,
                   soma_shape y, int64_t depth, bool epilogue);

/* The same of bf16: two operands of it, or the second one f32, with `attrs` that say precision
 * bf16, and, without an epilogue, a result of bf16 with `plain` attrs, which say nothing of it. */
void check_product_bf16(const char *op, const char *what, const void *attrs, const void *plain,
                        soma_shape a, soma_shape b, soma_shape y, int64_t depth, bool epilogue);

#endif
