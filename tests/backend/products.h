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

#endif
