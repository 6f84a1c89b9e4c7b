/* ir.h: the plan's own copy of a graph: only the nodes that outputs and updates need, numbered
 * densely in topological order. Passes rewrite it; after each of them the verifier looks at all of
 * it. */
#ifndef SOMA__IR_H
#define SOMA__IR_H

#include "graph/graph.h"

typedef struct soma__ir_node {
    const soma__op *op;
    const void *attrs; /* NULL when the op has none */
    int32_t *in;       /* smaller ids */
    int nin;
    soma_dtype dtype;
    soma_shape shape;
    const char *name;    /* never NULL */
    soma_tensor *tensor; /* constants: kept alive by the ir's list of tensors */
    int slot;            /* inputs and variables: which; else -1 */
} soma__ir_node;

/* What an input or a variable must look like. Variables are known by slot, not by tensor, so that
 * one compiled plan serves every graph of the same structure. */
typedef struct soma__ir_slot {
    const char *name;
    soma_dtype dtype;
    soma_shape shape;
    int32_t node; /* -1: nothing needs it */
} soma__ir_slot;

typedef struct soma__ir_update {
    int variable; /* slot */
    int32_t value;
} soma__ir_update;

typedef struct soma__ir {
    soma__arena arena;
    soma__ir_node *node;
    int32_t count;
    int32_t built; /* nodes before any pass */
    soma__ir_slot *input, *variable;
    int input_count, variable_count;
    int32_t *output;
    int output_count;
    soma__ir_update *update;
    int update_count;
    soma_tensor **tensor; /* retained: constants of the graph and results of folding */
    int tensor_count, tensor_capacity;
} soma__ir;

/* Copies what is needed out of the graph of `outputs` and `updates` and checks both. `*bound` gets
 * the tensor of each variable slot: an array in the ir's arena, tensors borrowed from the graph. */
soma_status soma__ir_build(soma__ir **out, soma_tensor ***bound, const soma_var *outputs,
                           int output_count, const soma_update *updates, int update_count,
                           soma_error *err);
void soma__ir_destroy(soma__ir *ir);

/* Redirects every use of node i to replace[i] (chains are followed; replace[i] <= i), then drops
 * the nodes that nothing needs any more. `replace` may be NULL: only drops. */
soma_status soma__ir_compact(soma__ir *ir, int32_t *replace, soma_error *err);

/* Ids in order, arities, leaf slots, and shapes and dtypes as the op's own rule derives them again.
 * `after` names the pass for the message; a fault is SOMA_INTERNAL. */
soma_status soma__ir_verify(const soma__ir *ir, const char *after, soma_error *err);

/* --- passes ----------------------------------------------------------------------------------- */

/* Nodes whose inputs are all constants become constants (bounded size and work). */
soma_status soma__pass_fold(soma__ir *ir, soma_error *err);
/* x*1, x+0, x/1, casts and copies that change nothing, a view of a view, double negation. */
soma_status soma__pass_algebra(soma__ir *ir, soma_error *err);
/* Equal computations become one node. Random ops too: they are functions of their key. */
soma_status soma__pass_cse(soma__ir *ir, soma_error *err);

/* --- small helpers ---------------------------------------------------------------------------- */

static inline bool soma__ir_is_leaf(const soma__ir_node *n)
{
    return (n->op->flags & SOMA__OP_LEAF) != 0;
}
static inline bool soma__ir_is_view(const soma__ir_node *n)
{
    return (n->op->flags & SOMA__OP_VIEW) != 0;
}
static inline bool soma__ir_is_constant(const soma__ir_node *n)
{
    return n->op == &soma__op_constant;
}
/* A constant whose elements are all the same bits: its value in *value. */
bool soma__ir_uniform(const soma__ir_node *n, double *value);

#endif
