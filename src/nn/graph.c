/* graph.c: the layer that is wired by names: several inputs and outputs, layers used more than
 * once. Its children are the nodes' layers, in order; a node that shares another's has none. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "nn/layer.h"

/* One node; the texts are its own. */
typedef struct node {
    char *name, *from, *share; /* from: "a,b"; share NULL: none */
} node;

typedef struct graph_options {
    const soma__value *inputs_value, *nodes_value, *outputs_value; /* while a recipe is read */
    char *inputs, *outputs;                                        /* "a,b" */
    node *nodes;
    int count;
    const char *name;
} graph_options;

static const soma__field fields[] = {
    {.key = "inputs",
     .kind = SOMA__FIELD_VALUE,
     .offset = offsetof(graph_options, inputs_value),
     .doc = "list of names [input]"},
    {.key = "nodes",
     .kind = SOMA__FIELD_VALUE,
     .offset = offsetof(graph_options, nodes_value),
     .required = true,
     .doc = "list of {name, layer, from, share}; from: names of inputs or nodes before it [the one "
            "before]; share: the node whose layer and parameters it uses"},
    {.key = "outputs",
     .kind = SOMA__FIELD_VALUE,
     .offset = offsetof(graph_options, outputs_value),
     .doc = "list of names [the last node]"},
    SOMA__FIELD_NAME(graph_options),
};

static const graph_options *options_of(const soma_layer *layer)
{
    return (const graph_options *)layer->options;
}

static void release(soma_layer *layer)
{
    graph_options *o = (graph_options *)layer->options;
    for (int i = 0; i < o->count; i++) {
        soma__free(o->nodes[i].name);
        soma__free(o->nodes[i].from);
        soma__free(o->nodes[i].share);
    }
    soma__free(o->nodes);
    soma__free(o->inputs);
    soma__free(o->outputs);
}

/* --- lists of names -----------------------------------------------------------------------------
 */

/* The next name of "a, b" without the spaces around it; false at the end. */
static bool next_name(const char **list, const char **name, int *length)
{
    const char *at = *list;
    if (!at)
        return false;
    const char *comma = strchr(at, ','), *end = comma ? comma : at + strlen(at);
    while (at < end && *at == ' ')
        at++;
    while (end > at && end[-1] == ' ')
        end--;
    *list = comma ? comma + 1 : NULL;
    *name = at;
    *length = (int)(end - at);
    return true;
}

static int name_count(const char *list)
{
    const char *name;
    int count = 0, length;
    while (next_name(&list, &name, &length))
        count++;
    return count;
}

static bool is_name(const char *text, const char *name, int length)
{
    return strlen(text) == (size_t)length && memcmp(text, name, (size_t)length) == 0;
}

/* Values of a graph are numbered: its inputs, then its nodes. -1: unknown among the first `known`.
 */
static int value_of(const graph_options *o, const char *name, int length, int known)
{
    const char *list = o->inputs, *input;
    int index = 0, size;
    for (; next_name(&list, &input, &size) && index < known; index++)
        if (size == length && memcmp(input, name, (size_t)length) == 0)
            return index;
    int inputs = name_count(o->inputs);
    for (int i = 0; i < o->count && inputs + i < known; i++)
        if (is_name(o->nodes[i].name, name, length))
            return inputs + i;
    return -1;
}

int soma__graph_input_count(const soma_layer *layer)
{
    return name_count(options_of(layer)->inputs);
}

int soma__graph_output_count(const soma_layer *layer)
{
    return name_count(options_of(layer)->outputs);
}

bool soma__graph_name(const soma_layer *layer, bool output, int index, const char **name,
                      int *length)
{
    const char *list = output ? options_of(layer)->outputs : options_of(layer)->inputs;
    while (next_name(&list, name, length))
        if (index-- == 0)
            return true;
    return false;
}

/* --- building -----------------------------------------------------------------------------------
 */

/* The values that a list names, appended to `out` (room for all names); their number or -1. */
static int look_up(soma__layer_build *b, const soma_layer *layer, const char *list, int known,
                   const char *who, const soma_var *value, soma_var *out)
{
    const graph_options *o = options_of(layer);
    const char *name;
    int count = 0, length;

    while (next_name(&list, &name, &length)) {
        int index = value_of(o, name, length, known);
        if (index < 0) {
            bool later = value_of(o, name, length, INT32_MAX) >= 0;
            soma__layer_fail(b, layer, SOMA_INVALID, "%s: there is no input or node '%.*s'%s", who,
                             length, name, later ? " before it" : "");
            return -1;
        }
        out[count++] = value[index];
    }
    return count;
}

/* The node whose layer node `index` uses: itself, or the one it shares (which may share too). */
static int origin_of(soma__layer_build *b, const soma_layer *layer, int index)
{
    const graph_options *o = options_of(layer);
    int at = index;
    while (o->nodes[at].share) {
        const char *wanted = o->nodes[at].share;
        int found = -1;
        for (int i = 0; i < at && found < 0; i++)
            if (strcmp(o->nodes[i].name, wanted) == 0)
                found = i;
        if (found < 0) {
            soma__layer_fail(b, layer, SOMA_INVALID,
                             "node '%s' shares '%s', but there is no such node before it",
                             o->nodes[index].name, wanted);
            return -1;
        }
        at = found;
    }
    return at;
}

static soma_var build_node(soma__layer_build *b, const soma_layer *layer, int index,
                           const soma_var *x, int count)
{
    const graph_options *o = options_of(layer);
    const char *name = o->nodes[index].name;
    int origin = origin_of(b, layer, index);
    soma_var none = {b->graph, -1};

    if (origin < 0)
        return none;
    if (!layer->children[origin])
        return soma__layer_fail(b, layer, SOMA_INVALID, "node '%s' has no layer", name), none;
    b->next = SOMA_LINEAR;
    if (origin != index)
        return soma__layer_apply_again(b, layer->children[origin], name, o->nodes[origin].name, x,
                                       count);
    return soma__layer_apply_many(b, layer->children[index], name, x, count);
}

/* Names must be there and differ, inputs and nodes together. */
static bool names_ok(soma__layer_build *b, const soma_layer *layer)
{
    const graph_options *o = options_of(layer);
    const char *list = o->inputs, *name;
    char message[SOMA_ERROR_MESSAGE_SIZE];
    int index = 0, length;

    for (; next_name(&list, &name, &length); index++)
        if (length == 0 || value_of(o, name, length, INT32_MAX) != index) {
            soma__layer_fail(b, layer, SOMA_INVALID,
                             length ? "two inputs are named '%.*s'" : "an input has no name%.*s",
                             length, name);
            return false;
        }
    for (int i = 0; i < o->count; i++, index++) {
        name = o->nodes[i].name;
        if (!soma__layer_name_ok(name, message, sizeof message)) {
            soma__layer_fail(b, layer, SOMA_INVALID, "node %d: %s", i + 1, message);
            return false;
        }
        if (o->nodes[i].share && layer->children[i]) {
            soma__layer_fail(b, layer, SOMA_INVALID, "node '%s' has both a layer and share", name);
            return false;
        }
        if (value_of(o, name, (int)strlen(name), INT32_MAX) != index) {
            soma__layer_fail(b, layer, SOMA_INVALID, "two nodes or inputs are named '%s'", name);
            return false;
        }
    }
    return true;
}

void soma__graph_build(soma__layer_build *b, const soma_layer *layer, const soma_var *x, int count,
                       soma_var *y)
{
    const graph_options *o = options_of(layer);
    int inputs = name_count(o->inputs), outputs = name_count(o->outputs);
    char message[SOMA__LAYER_NAME_SIZE + 16];

    for (int i = 0; i < outputs; i++)
        y[i] = (soma_var){b->graph, -1};
    if (count != inputs) {
        soma__layer_fail(b, layer, SOMA_INVALID, "takes %d inputs (%s), got %d", inputs, o->inputs,
                         count);
        return;
    }
    if (o->count == 0) {
        soma__layer_fail(b, layer, SOMA_INVALID, "has no nodes");
        return;
    }
    if (b->creating && !names_ok(b, layer))
        return;
    int most = 1;
    for (int i = 0; i < o->count; i++)
        if (name_count(o->nodes[i].from) > most)
            most = name_count(o->nodes[i].from);
    soma_var *value =
        soma__arena_array(&b->graph->arena, (size_t)inputs + (size_t)o->count, sizeof *value);
    soma_var *in = soma__arena_array(&b->graph->arena, (size_t)most, sizeof *in);
    if (!value || !in) {
        soma__layer_fail(b, layer, SOMA_MEMORY, "out of memory for %d nodes", o->count);
        return;
    }
    memcpy(value, x, (size_t)inputs * sizeof *value);
    for (int i = 0; i < o->count; i++) {
        int known = inputs + i, from = 1;
        snprintf(message, sizeof message, "node '%s'", o->nodes[i].name);
        in[0] = value[i ? known - 1 : 0];
        if (o->nodes[i].from)
            from = look_up(b, layer, o->nodes[i].from, known, message, value, in);
        if (from < 0)
            return;
        value[known] = build_node(b, layer, i, in, from);
        if (!soma_var_ok(value[known]))
            return;
    }
    look_up(b, layer, o->outputs, inputs + o->count, "outputs", value, y);
}

static soma_var merge(soma__layer_build *b, const soma_layer *layer, const soma_var *x, int count)
{
    soma_var y;
    int outputs = soma__graph_output_count(layer);
    if (outputs != 1)
        return soma__layer_fail(b, layer, SOMA_INVALID,
                                "has %d outputs; only the outermost graph of a model may have more "
                                "than one",
                                outputs);
    soma__graph_build(b, layer, x, count, &y);
    return y;
}

static soma_var build(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    return merge(b, layer, &x, 1);
}

/* --- from and to recipes ------------------------------------------------------------------------
 */

/* What an entry of `nodes` says. */
typedef struct entry {
    const char *name, *share;
    const soma__value *layer, *from;
} entry;

static const soma__field entry_fields[] = {
    {.key = "name",
     .kind = SOMA__FIELD_STRING,
     .offset = offsetof(entry, name),
     .required = true,
     .doc = "by which others call it"},
    {.key = "layer", .kind = SOMA__FIELD_VALUE, .offset = offsetof(entry, layer)},
    {.key = "from", .kind = SOMA__FIELD_VALUE, .offset = offsetof(entry, from)},
    {.key = "share", .kind = SOMA__FIELD_STRING, .offset = offsetof(entry, share)},
};

/* A name or a list of names as one text, the caller's; NULL stays NULL. */
static soma_status read_names(char **out, const soma__tree *tree, const soma__value *value,
                              const char *where, soma_error *err)
{
    soma__text text = {0};
    *out = NULL;
    if (!value || value->kind == SOMA__NULL)
        return SOMA_OK;
    const soma__value *item = value->kind == SOMA__LIST ? value->first : value;
    if (!item)
        return soma__value_fail(tree, value, err, "%s: the list is empty", where);
    for (; item; item = value->kind == SOMA__LIST ? item->next : NULL) {
        if (item->kind >= SOMA__LIST || !item->text) {
            soma__text_free(&text);
            return soma__value_fail(tree, item, err,
                                    "%s: expected a name or a list of names, got %s", where,
                                    soma__value_kind_text(item->kind));
        }
        soma__text_add(&text, "%s%s", text.length ? "," : "", item->text);
    }
    return soma__text_take(&text, out, err);
}

static soma_status read_node(soma_layer *layer, int index, const soma__tree *tree,
                             const soma__value *value, const char *where, soma_error *err)
{
    graph_options *o = (graph_options *)layer->options;
    node *out = &o->nodes[index];
    entry e = {0};
    char path[256];

    snprintf(path, sizeof path, "%.200s.nodes.%d", where, index);
    SOMA__TRY(soma__fields_read(entry_fields, SOMA__FIELD_COUNT(entry_fields), &e, tree, value,
                                path, err));
    if (!e.layer == !e.share)
        return soma__value_fail(tree, value, err, "%s: a node has either a layer or share", path);
    out->name = soma__strdup(e.name);
    out->share = e.share ? soma__strdup(e.share) : NULL;
    if (!out->name || (e.share && !out->share))
        return soma__fail(err, SOMA_MEMORY, "out of memory while reading layers");
    SOMA__TRY(read_names(&out->from, tree, e.from, path, err));
    if (!e.layer)
        return SOMA_OK;
    SOMA__TRY(soma__layer_from_value(&layer->children[index], tree, e.layer, path, err));
    layer->children[index]->taken = true;
    if (layer->children[index]->depth >= layer->depth)
        layer->depth = layer->children[index]->depth + 1;
    if (layer->depth > SOMA__LAYER_DEPTH)
        return soma__value_fail(tree, value, err, "%s: blocks are nested more than %d levels deep",
                                path, SOMA__LAYER_DEPTH);
    return SOMA_OK;
}

/* What was left out: one input, and the last node as the output. */
static soma_status fill_defaults(graph_options *o, soma_error *err)
{
    if (!o->inputs)
        o->inputs = soma__strdup("input");
    if (!o->outputs)
        o->outputs = soma__strdup(o->count ? o->nodes[o->count - 1].name : "input");
    if (!o->inputs || !o->outputs)
        return soma__fail(err, SOMA_MEMORY, "out of memory while a graph was made");
    return SOMA_OK;
}

static soma_status read(soma_layer *layer, const soma__tree *tree, const soma__value *value,
                        const char *where, soma_error *err)
{
    graph_options *o = (graph_options *)layer->options;
    const soma__value *list = o->nodes_value;
    char path[256];
    int index = 0;
    (void)value;

    if (list->kind != SOMA__LIST)
        return soma__value_fail(tree, list, err, "%s.nodes: expected a list of nodes, got %s",
                                where, soma__value_kind_text(list->kind));
    size_t room = (size_t)list->count + 1;
    o->nodes = soma__calloc(room, sizeof *o->nodes);
    layer->children = soma__calloc(room, sizeof(soma_layer *));
    if (!o->nodes || !layer->children)
        return soma__fail(err, SOMA_MEMORY, "out of memory while reading layers");
    for (const soma__value *item = list->first; item; item = item->next) {
        /* Counted first, so that what a failure leaves behind is released. */
        layer->child_count = o->count = index + 1;
        SOMA__TRY(read_node(layer, index++, tree, item, where, err));
    }
    snprintf(path, sizeof path, "%.200s.inputs", where);
    SOMA__TRY(read_names(&o->inputs, tree, o->inputs_value, path, err));
    snprintf(path, sizeof path, "%.200s.outputs", where);
    SOMA__TRY(read_names(&o->outputs, tree, o->outputs_value, path, err));
    o->inputs_value = o->nodes_value = o->outputs_value = NULL;
    return fill_defaults(o, err);
}

static soma__value *write_names(soma__tree *tree, const char *list)
{
    soma__value *out = soma__value_new(tree, SOMA__LIST);
    const char *name;
    char text[SOMA__LAYER_PATH_SIZE];
    int length;
    while (out && next_name(&list, &name, &length)) {
        snprintf(text, sizeof text, "%.*s", length, name);
        soma__value *item = soma__value_string(tree, text);
        if (!item)
            return NULL;
        soma__value_append(out, item);
    }
    return out;
}

static bool set(soma__tree *tree, soma__value *map, const char *key, soma__value *value)
{
    return value && soma__value_set(tree, map, key, value);
}

static soma__value *write_node(soma__tree *tree, const soma_layer *layer, int index)
{
    const node *n = &options_of(layer)->nodes[index];
    soma__value *map = soma__value_new(tree, SOMA__MAP);
    if (!map || !set(tree, map, "name", soma__value_string(tree, n->name)) ||
        (n->from && !set(tree, map, "from", write_names(tree, n->from))))
        return NULL;
    if (n->share)
        return set(tree, map, "share", soma__value_string(tree, n->share)) ? map : NULL;
    return set(tree, map, "layer", soma__layer_to_value(tree, layer->children[index])) ? map : NULL;
}

static soma__value *write(const soma_layer *layer, const soma__field *field, soma__tree *tree)
{
    const graph_options *o = options_of(layer);
    if (strcmp(field->key, "inputs") == 0)
        return write_names(tree, o->inputs);
    if (strcmp(field->key, "outputs") == 0)
        return write_names(tree, o->outputs);
    soma__value *list = soma__value_new(tree, SOMA__LIST);
    for (int i = 0; list && i < o->count; i++) {
        soma__value *item = write_node(tree, layer, i);
        if (!item)
            return NULL;
        soma__value_append(list, item);
    }
    return list;
}

const soma__layer_type soma__layer_graph = {
    .name = "graph",
    .prefix = "graph",
    .doc = "layers wired by names: several inputs and outputs, layers that are used more than once",
    .shapes = "as its nodes",
    .parameters = "",
    .size = sizeof(graph_options),
    .fields = fields,
    .field_count = SOMA__FIELD_COUNT(fields),
    .primary = "nodes",
    .children = SOMA__CHILDREN_OWN,
    .steps = true,
    .build = build,
    .merge = merge,
    .read = read,
    .write = write,
    .release = release,
};

/* --- the builder --------------------------------------------------------------------------------
 */

static bool copy(char **out, const char *text)
{
    *out = text ? soma__strdup(text) : NULL;
    return !text || *out;
}

soma_layer *soma_layer_graph(const char *inputs, const soma_graph_node *nodes, int count,
                             const char *outputs)
{
    static const char no_memory[] = "out of memory while a graph was made";
    soma__layer_list list = {0};
    soma_error err = {0};
    bool ok = true;

    /* The layers are handed over whatever happens: a block takes them, then gives its list. */
    count = count < 0 ? 0 : count;
    for (int i = 0; i < count; i++)
        soma__layer_list_add(&list, nodes[i].layer);
    soma_layer *block = soma__layer_list_sequential(&list);
    if (block->fault)
        return block;
    soma_layer *layer = soma__layer_new(&soma__layer_graph, &(graph_options){0}, NULL, 0);
    if (layer->fault) {
        soma_layer_destroy(block);
        return layer;
    }
    graph_options *o = (graph_options *)layer->options;
    o->nodes = soma__calloc((size_t)count + 1, sizeof *o->nodes);
    layer->children = soma__calloc((size_t)count + 1, sizeof(soma_layer *));
    ok = o->nodes && layer->children;
    for (int i = 0, next = 0; ok && i < count; i++) {
        layer->child_count = o->count = i + 1;
        if (nodes[i].layer) {
            layer->children[i] = block->children[next];
            block->children[next++] = NULL;
        }
        ok = copy(&o->nodes[i].name, nodes[i].name ? nodes[i].name : "") &&
             copy(&o->nodes[i].from, nodes[i].from) && copy(&o->nodes[i].share, nodes[i].share);
    }
    layer->depth = block->depth;
    soma_layer_destroy(block);
    ok = ok && copy(&o->inputs, inputs) && copy(&o->outputs, outputs);
    if (!ok || fill_defaults(o, &err) != SOMA_OK) {
        layer->status = SOMA_MEMORY;
        layer->fault = no_memory;
    }
    return layer;
}
