/* order.h: the order that sorting ops share: by value, NaN behind everything. */
#ifndef SOMA__ORDER_H
#define SOMA__ORDER_H

#include "graph/op.h"

/* a's cell i < b's cell j, with NaN as the largest. Of one dtype; i64 does not fit into a double.
 */
static inline bool soma__below(const soma__view *a, int64_t i, const soma__view *b, int64_t j)
{
    if (a->dtype == SOMA_I64)
        return ((const int64_t *)a->data)[i] < ((const int64_t *)b->data)[j];
    const double u = soma__load(a->dtype, a->data, i), v = soma__load(b->dtype, b->data, j);
    return u < v || (u == u && v != v);
}

/* Cell i of x comes strictly before cell j; NaN last also when the largest come first. */
static inline bool soma__comes_first(const soma__view *x, int64_t i, int64_t j, bool descending)
{
    if (!descending || x->dtype == SOMA_I64)
        return descending ? soma__below(x, j, x, i) : soma__below(x, i, x, j);
    const double u = soma__load(x->dtype, x->data, i), v = soma__load(x->dtype, x->data, j);
    return u > v || (u == u && v != v);
}

#endif
