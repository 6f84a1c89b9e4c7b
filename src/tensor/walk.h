/* walk.h: visiting the cells of a shape in row-major order while following several arrays that are
 * laid over it with strides of their own. Reference kernels are written with it. */
#ifndef SOMA__WALK_H
#define SOMA__WALK_H

#include "tensor/tensor.h"

#define SOMA__WALK_OPERANDS 16

typedef struct soma__walk {
    soma_shape shape;
    int64_t index[SOMA_MAX_DIMS];
    int operands;
    int64_t stride[SOMA__WALK_OPERANDS][SOMA_MAX_DIMS];
    int64_t at[SOMA__WALK_OPERANDS]; /* element of each operand at the present cell */
} soma__walk;

static inline void soma__walk_start(soma__walk *walk, const soma_shape *shape)
{
    walk->shape = *shape;
    walk->operands = 0;
    for (int d = 0; d < SOMA_MAX_DIMS; d++)
        walk->index[d] = 0;
}

/* Adds an operand with these strides, at element `first` for the first cell; returns its number. */
static inline int soma__walk_strides(soma__walk *walk, const int64_t *stride, int64_t first)
{
    int i = walk->operands++;
    for (int d = 0; d < walk->shape.ndim; d++)
        walk->stride[i][d] = stride[d];
    walk->at[i] = first;
    return i;
}

/* Adds a contiguous array of shape `from` that broadcasts to the walk's shape. */
static inline int soma__walk_broadcast(soma__walk *walk, const soma_shape *from)
{
    int64_t stride[SOMA_MAX_DIMS];
    soma__broadcast_strides(from, &walk->shape, stride);
    return soma__walk_strides(walk, stride, 0);
}

/* Goes to the next cell, like a counter whose digits are the index. After the last cell it stands
 * at the first again; who walks counts the cells. */
static inline void soma__walk_next(soma__walk *walk)
{
    for (int d = walk->shape.ndim - 1; d >= 0; d--) {
        if (++walk->index[d] < walk->shape.dim[d]) {
            for (int i = 0; i < walk->operands; i++)
                walk->at[i] += walk->stride[i][d];
            return;
        }
        for (int i = 0; i < walk->operands; i++)
            walk->at[i] -= walk->stride[i][d] * (walk->shape.dim[d] - 1);
        walk->index[d] = 0;
    }
}

#endif
