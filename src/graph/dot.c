/* dot.c: pictures of graphs in Graphviz' dot language. */
#include <string.h>

#include "graph/graph.h"

static const char *fill_of(const soma__node *node)
{
    if (!(node->op->flags & SOMA__OP_LEAF))
        return "white";
    return node->input ? "lightblue" : node->op == &soma__op_variable ? "khaki" : "gray90";
}

/* Text inside a dot string: quotes and backslashes are escaped. */
static void add_quoted(soma__text *text, const char *s)
{
    for (; *s; s++)
        soma__text_add(text, *s == '"' || *s == '\\' ? "\\%c" : "%c", *s);
}

soma_status soma_graph_dot(char **out, const soma_graph *graph, soma_error *err)
{
    soma__text text = {0};
    soma__text_add(&text, "digraph soma {\n  rankdir=TB;\n"
                          "  node [shape=box, style=filled, fontname=\"sans-serif\"];\n");
    for (size_t i = 0; graph && i < graph->count; i++) {
        const soma__node *node = graph->nodes[i];
        char shape[SOMA_SHAPE_TEXT_SIZE];
        soma__text_add(&text, "  n%zu [label=\"%s", i, node->op->name);
        if (node->name) {
            soma__text_add(&text, "\\n");
            add_quoted(&text, node->name);
        }
        soma__text_add(&text, "\\n%s %s\", fillcolor=%s];\n", soma_dtype_text(node->dtype),
                       soma_shape_text(&node->shape, shape, sizeof shape), fill_of(node));
        for (int k = 0; k < node->nin; k++)
            soma__text_add(&text, "  n%d -> n%zu;\n", node->in[k], i);
    }
    soma__text_add(&text, "}\n");
    return soma__text_take(&text, out, err);
}
