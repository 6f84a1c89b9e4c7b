/* places.h: where the slots of an index lie in an array, for gather_elements, gather_nd and their
 * scatters. A slot is what one position names: a cell, or a slice of `run` cells. */
#ifndef SOMA__PLACES_H
#define SOMA__PLACES_H

#include "graph/op.h"
#include "ops/attrs.h"
#include "tensor/tensor.h"

typedef struct soma__places {
    const soma__view *index;
    int64_t slots, run; /* slots of the index; cells of each, side by side in the array */
    bool nd;
    /* elements: slot i's coordinates in the index' shape, with the axis' one replaced.
     * nd: slot i's first number is index[i·k]; batches of `per_batch` slots, `batch_cells` apart.
     */
    int axis, ndim;
    int64_t k, per_batch, batch_cells;
    int64_t size[SOMA_MAX_DIMS];   /* of the indexed dims of the array */
    int64_t stride[SOMA_MAX_DIMS]; /* of the array: elements: all dims; nd: the indexed dims */
} soma__places;

/* Of a call whose first inputs are the array and the index. */
static inline void soma__places_start(soma__places *p, bool nd, const soma__call *call)
{
    const soma__place_index_attrs *attrs = (const soma__place_index_attrs *)call->attrs;
    const soma__view *x = &call->in[0], *index = &call->in[1];
    int64_t stride[SOMA_MAX_DIMS];
    soma__shape_strides(&x->shape, stride);
    *p = (soma__places){.index = index, .nd = nd, .slots = index->count, .run = 1};
    p->ndim = index->shape.ndim;
    if (!nd) {
        p->axis = (int)attrs->axis;
        for (int d = 0; d < p->ndim; d++) {
            p->size[d] = x->shape.dim[d];
            p->stride[d] = stride[d];
        }
        return;
    }
    const int batch = (int)attrs->axis;
    p->k = index->shape.dim[p->ndim - 1];
    p->slots = p->per_batch = p->batch_cells = 1;
    for (int d = 0; d < p->ndim - 1; d++) {
        p->slots *= index->shape.dim[d];
        p->per_batch *= d < batch ? 1 : index->shape.dim[d];
    }
    for (int d = batch; d < x->shape.ndim; d++) {
        p->batch_cells *= x->shape.dim[d];
        if (d < batch + p->k) {
            p->size[d - batch] = x->shape.dim[d];
            p->stride[d - batch] = stride[d];
        } else {
            p->run *= x->shape.dim[d];
        }
    }
}

/* The first cell of slot i in the array; -1: out of range. */
static inline int64_t soma__place_of(const soma__places *p, int64_t i)
{
    int64_t at = 0;
    if (p->nd) {
        for (int64_t j = 0; j < p->k; j++) {
            const int64_t number = soma__view_index(p->index, i * p->k + j);
            if (number < 0 || number >= p->size[j])
                return -1;
            at += number * p->stride[j];
        }
        return at + i / p->per_batch * p->batch_cells;
    }
    const int64_t number = soma__view_index(p->index, i);
    if (number < 0 || number >= p->size[p->axis])
        return -1;
    for (int d = p->ndim - 1; d >= 0; d--) {
        const int64_t dim = p->index->shape.dim[d];
        at += (d == p->axis ? number : i % dim) * p->stride[d];
        i /= dim;
    }
    return at;
}

#endif
