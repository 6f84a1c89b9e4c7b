/* ops.h: what the op files share: the descriptors of the whole table, and helpers for builders,
 * rules and gradients. */
#ifndef SOMA__OPS_H
#define SOMA__OPS_H

#include "graph/graph.h"
#include "ops/attrs.h"
#include "soma/ops.h"

#define SOMA__OP(name_, family_) extern const soma__op soma__op_##name_;
#include "ops/ops.def"
#undef SOMA__OP

/* What a builder returns when its input is no value: the fault is in the graph already. */
static inline soma_var soma__failed(soma_var x)
{
    return (soma_var){x.graph, -1};
}

/* The constant that holds `tensor`, which is released; a failed var where creating it failed. */
static inline soma_var soma__constant_of(soma_graph *graph, soma_tensor *tensor)
{
    soma_var x = soma_constant(graph, tensor);
    soma_tensor_release(tensor);
    return x;
}

/* pool.c: max_pool2d or avg_pool2d. */
soma_var soma__pool_add(const soma__op *op, soma_var x, const soma_pool_options *options);

/* x's shape with every dim 1 whose bit in `mask` is set. */
static inline soma_shape soma__shape_reduced(soma_shape shape, int64_t mask)
{
    for (int d = 0; d < shape.ndim; d++)
        if (mask >> d & 1)
            shape.dim[d] = 1;
    return shape;
}

/* A rule for ops that keep the shape and dtype of their one float input. */
soma_status soma__rule_same_float(soma__rule *rule);

/* matmul.c: checks the dtypes of products of bytes with their zeros, inputs 2 and 3, of which the
 * second may be one for each of the result's `columns`; sets the result's. */
soma_status soma__rule_bytes(soma__rule *rule, int64_t columns);

#endif
