/* graph.h: inside view of graphs. Nodes are stored in the order they were made, so inputs always
 * have smaller ids and the order is topological. */
#ifndef SOMA__GRAPH_H
#define SOMA__GRAPH_H

#include "graph/op.h"

typedef struct soma__node {
    const soma__op *op;
    const void *attrs;
    const int32_t *in;
    int nin;
    soma_dtype dtype;
    soma_shape shape;
    const char *name;    /* user's name or scope; NULL: none */
    soma_tensor *tensor; /* variable, constant: retained; else NULL */
    const char *input;   /* placeholder's name; else NULL */
} soma__node;

struct soma_graph {
    soma__arena arena;
    soma__node **nodes;
    size_t count, capacity;
    soma_error error; /* the first fault */
    char scope[256];
    int scope_overflow; /* nested scopes that did not fit */
};

/* Adds a node of `op`: checks inputs, runs the rule on a copy of `attrs`. On a fault the graph's
 * error is set and {graph,-1} returned. `graph` may be NULL when inputs tell it. Composites expand.
 */
soma_var soma__graph_add(soma_graph *graph, const soma__op *op, const soma_var *in, int nin,
                         const void *attrs);
static inline const soma__node *soma__node_of(soma_var x)
{
    return x.graph->nodes[x.id];
}

/* y as it would be were each from[i] the value to[i] (same dtype and shape, made after y if need
 * be): what depends on them is built again. */
soma_var soma__substitute(soma_var y, const soma_var *from, const soma_var *to, int count);

/* The three leaf ops, described in graph/leaf.c. */
extern const soma__op soma__op_input, soma__op_variable, soma__op_constant;

#endif
