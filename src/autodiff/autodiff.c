/* autodiff.c: the reverse pass. It walks the nodes that y depends on from last to first (ids are
 * topological), asks each op's gradient rule for the gradients of its inputs, and adds them up. All
 * it makes are ordinary nodes, so gradients can be differentiated again. */
#include <string.h>

#include "graph/graph.h"
#include "soma/ops.h"

/* Which nodes lie on a path from some wrt to y: only these carry gradients. */
static void mark_paths(const soma_graph *graph, int32_t y, const soma_var *wrt, int count,
                       bool *on_path, bool *scratch)
{
    /* Upwards: what depends on a wrt. */
    for (int i = 0; i < count; i++)
        on_path[wrt[i].id] = true;
    for (int32_t id = 0; id <= y; id++)
        for (int k = 0; k < graph->nodes[id]->nin && !on_path[id]; k++)
            on_path[id] = on_path[graph->nodes[id]->in[k]];
    /* Downwards: what y depends on. */
    scratch[y] = true;
    for (int32_t id = y; id >= 0; id--)
        if (scratch[id])
            for (int k = 0; k < graph->nodes[id]->nin; k++)
                scratch[graph->nodes[id]->in[k]] = true;
    for (int32_t id = 0; id <= y; id++)
        on_path[id] = on_path[id] && scratch[id];
}

/* Memory of one pass over a graph whose nodes [0, y] exist before it. */
typedef struct pass {
    soma_var *gradient; /* of node id, graph NULL: none so far */
    bool *on_path;
    bool *scratch;
    soma_var *in, *din; /* of the node with the most inputs */
    bool *need;
} pass;

static bool pass_open(pass *p, const soma_graph *graph, int32_t y)
{
    size_t nodes = (size_t)y + 1, most = 1;
    for (size_t i = 0; i < nodes; i++)
        if ((size_t)graph->nodes[i]->nin > most)
            most = (size_t)graph->nodes[i]->nin;
    p->gradient = soma__calloc(nodes, sizeof *p->gradient);
    p->on_path = soma__calloc(nodes, sizeof *p->on_path);
    p->scratch = soma__calloc(nodes, sizeof *p->scratch);
    p->in = soma__calloc(most, sizeof *p->in);
    p->din = soma__calloc(most, sizeof *p->din);
    p->need = soma__calloc(most, sizeof *p->need);
    return p->gradient && p->on_path && p->scratch && p->in && p->din && p->need;
}

static void pass_close(pass *p)
{
    soma__free(p->gradient);
    soma__free(p->on_path);
    soma__free(p->scratch);
    soma__free(p->in);
    soma__free(p->din);
    soma__free(p->need);
}

/* A wrong gradient shape is a fault of the op's rule, which must not pass in silence. */
static bool fits(soma_graph *graph, const soma__node *of, const soma__node *input, soma_var din,
                 int index)
{
    soma_shape shape = soma_var_shape(din);
    if (soma_shape_equal(&shape, &input->shape) && soma_var_dtype(din) == input->dtype)
        return true;
    char have[SOMA_SHAPE_TEXT_SIZE], want[SOMA_SHAPE_TEXT_SIZE];
    soma_graph_fail(graph, SOMA_INTERNAL,
                    "%s: the gradient of input %d is %s %s, must be %s %s: please report",
                    of->op->name, index, soma_dtype_text(soma_var_dtype(din)),
                    soma_shape_text(&shape, have, sizeof have), soma_dtype_text(input->dtype),
                    soma_shape_text(&input->shape, want, sizeof want));
    return false;
}

/* Passes the gradient of node `id` on to its inputs. */
static void propagate(soma_graph *graph, pass *p, int32_t id)
{
    const soma__node *node = graph->nodes[id];
    bool any = false;
    for (int k = 0; k < node->nin; k++) {
        int32_t from = node->in[k];
        p->in[k] = (soma_var){graph, from};
        p->din[k] = (soma_var){0};
        /* Integers and booleans have no gradient; nothing flows into them. */
        p->need[k] = p->on_path[from] && soma_dtype_is_float(graph->nodes[from]->dtype);
        any = any || p->need[k];
    }
    if (!any || node->op->gradient == soma__grad_none)
        return;
    if (!node->op->gradient) {
        soma_graph_fail(graph, SOMA_UNSUPPORTED, "%s%s%s%s: has no gradient rule", node->op->name,
                        node->name ? " '" : "", node->name ? node->name : "",
                        node->name ? "'" : "");
        return;
    }
    soma__grad grad = {.graph = graph,
                       .attrs = node->attrs,
                       .nin = node->nin,
                       .in = p->in,
                       .out = {graph, id},
                       .dout = p->gradient[id],
                       .need = p->need,
                       .din = p->din};
    node->op->gradient(&grad);
    for (int k = 0; k < node->nin && graph->error.code == SOMA_OK; k++) {
        int32_t from = p->in[k].id;
        if (!p->need[k] || !p->din[k].graph)
            continue;
        if (!fits(graph, node, graph->nodes[from], p->din[k], k))
            return;
        p->gradient[from] =
            p->gradient[from].graph ? soma_add(p->gradient[from], p->din[k]) : p->din[k];
    }
}

/* Gradient nodes carry the name of the node that they are the gradient of. */
static void run_pass(soma_graph *graph, pass *p, int32_t y)
{
    char scope[sizeof graph->scope];
    memcpy(scope, graph->scope, sizeof scope);
    int overflow = graph->scope_overflow;
    for (int32_t id = y; id >= 0 && graph->error.code == SOMA_OK; id--) {
        if (!p->gradient[id].graph || (graph->nodes[id]->op->flags & SOMA__OP_LEAF))
            continue;
        graph->scope[0] = 0;
        graph->scope_overflow = 0;
        if (graph->nodes[id]->name)
            soma_scope_begin(graph, graph->nodes[id]->name);
        propagate(graph, p, id);
    }
    memcpy(graph->scope, scope, sizeof scope);
    graph->scope_overflow = overflow;
}

static bool check_arguments(soma_graph *graph, soma_var y, soma_var dy, const soma_var *wrt,
                            int count)
{
    if (!soma_var_ok(y) || !soma_var_ok(dy)) {
        soma_graph_fail(graph, SOMA_INVALID, "gradients: y is not a value of a graph");
        return false;
    }
    if (!soma_dtype_is_float(soma_var_dtype(y))) {
        soma_graph_fail(graph, SOMA_DTYPE, "gradients: y is %s, must be a float",
                        soma_dtype_text(soma_var_dtype(y)));
        return false;
    }
    soma_shape a = soma_var_shape(y), b = soma_var_shape(dy);
    if (!soma_shape_equal(&a, &b) || soma_var_dtype(y) != soma_var_dtype(dy)) {
        char y_text[SOMA_SHAPE_TEXT_SIZE], dy_text[SOMA_SHAPE_TEXT_SIZE];
        soma_graph_fail(
            graph, SOMA_SHAPE, "gradients: y is %s %s, the given gradient %s %s",
            soma_dtype_text(soma_var_dtype(y)), soma_shape_text(&a, y_text, sizeof y_text),
            soma_dtype_text(soma_var_dtype(dy)), soma_shape_text(&b, dy_text, sizeof dy_text));
        return false;
    }
    for (int i = 0; i < count; i++)
        if (wrt[i].graph != graph || !soma_var_ok(wrt[i])) {
            soma_graph_fail(graph, SOMA_INVALID, "gradients: wrt %d is not a value of y's graph",
                            i);
            return false;
        }
    return true;
}

void soma_gradients_from(soma_var y, soma_var dy, const soma_var *wrt, int count, soma_var *out)
{
    soma_graph *graph = y.graph;
    for (int i = 0; i < count; i++)
        out[i] = (soma_var){graph, -1};
    if (!graph || graph->error.code != SOMA_OK || !check_arguments(graph, y, dy, wrt, count))
        return;

    pass p = {0};
    /* A wrt made after y cannot be what y depends on; the tables cover both. */
    int32_t top = y.id;
    for (int i = 0; i < count; i++)
        top = wrt[i].id > top ? wrt[i].id : top;
    if (!pass_open(&p, graph, top)) {
        soma_graph_fail(graph, SOMA_MEMORY, "gradients: no memory for the reverse pass");
        pass_close(&p);
        return;
    }
    mark_paths(graph, y.id, wrt, count, p.on_path, p.scratch);
    p.gradient[y.id] = dy;
    run_pass(graph, &p, y.id);
    for (int i = 0; i < count && graph->error.code == SOMA_OK; i++) {
        const soma__node *node = graph->nodes[wrt[i].id];
        out[i] = p.gradient[wrt[i].id].graph ? p.gradient[wrt[i].id]
                                             : soma_full(graph, node->dtype, node->shape, 0);
    }
    pass_close(&p);
}

void soma_gradients(soma_var y, const soma_var *wrt, int count, soma_var *out)
{
    soma_var dy = {y.graph, -1};
    if (soma_var_ok(y))
        dy = soma_full(y.graph, soma_var_dtype(y), soma_var_shape(y), 1);
    soma_gradients_from(y, dy, wrt, count, out);
}

void soma__grad_none(soma__grad *grad)
{
    (void)grad;
}
