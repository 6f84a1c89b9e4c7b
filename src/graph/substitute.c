/* substitute.c: the same computation on other values. What y computed from `from` is built again,
 * node by node, on `to`; nodes that do not depend on `from` serve both, and so do random numbers,
 * which are functions of their key. */
#include "base/mem.h"
#include "graph/graph.h"

static bool copies(soma_graph *graph, int32_t last, soma_var *copy)
{
    size_t most = 1;
    for (int32_t id = 0; id <= last; id++)
        if ((size_t)graph->nodes[id]->nin > most)
            most = (size_t)graph->nodes[id]->nin;
    soma_var *in = soma__calloc(most, sizeof *in);
    for (int32_t id = 0; in && id <= last; id++) {
        const soma__node *node = graph->nodes[id];
        bool changed = false;
        for (int k = 0; k < node->nin; k++) {
            in[k] = copy[node->in[k]].graph ? copy[node->in[k]] : (soma_var){graph, node->in[k]};
            changed = changed || copy[node->in[k]].graph;
        }
        if (changed && !copy[id].graph)
            copy[id] = soma__graph_add(graph, node->op, in, node->nin, node->attrs);
    }
    soma__free(in);
    return in != NULL;
}

soma_var soma__substitute(soma_var y, const soma_var *from, const soma_var *to, int count)
{
    soma_graph *graph = y.graph;
    if (!soma_var_ok(y))
        return y;
    soma_var *copy = soma__calloc((size_t)y.id + 1, sizeof *copy);
    for (int i = 0; copy && i < count; i++)
        if (from[i].id >= 0 && from[i].id <= y.id)
            copy[from[i].id] = to[i];
    if (!copy || !copies(graph, y.id, copy)) {
        soma__free(copy);
        soma_graph_fail(graph, SOMA_MEMORY, "no memory to build a graph again on other values");
        return (soma_var){graph, -1};
    }
    soma_var result = copy[y.id].graph ? copy[y.id] : y;
    soma__free(copy);
    return result;
}
