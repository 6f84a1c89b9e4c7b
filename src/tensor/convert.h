/* convert.h: runs of elements; single ones are in tensor.h. */
#ifndef SOMA__CONVERT_H
#define SOMA__CONVERT_H

#include "tensor/tensor.h"

/* Converts `count` elements, as soma__load and soma__store would but correctly rounded also from
 * i64 to floats. `out` and `in` do not overlap. */
void soma__convert(soma_dtype to, void *out, soma_dtype from, const void *in, int64_t count);

/* Stores `value` in `count` elements. */
void soma__fill(soma_dtype dtype, void *data, int64_t count, double value);

#endif
