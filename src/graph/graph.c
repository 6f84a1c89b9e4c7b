/* graph.c: building graphs.
 *
 * Every builder ends in soma__graph_add. The first fault sticks to the graph: from then on each
 * call returns a failed var at once, so that user code reads as formulas and checks once at its
 * end. */
#include "graph/graph.h"

#include <stdio.h>
#include <string.h>

static soma_var failed(soma_graph *graph)
{
    return (soma_var){graph, -1};
}

soma_status soma_graph_create(soma_graph **out, soma_error *err)
{
    *out = soma__calloc(1, sizeof **out);
    if (!*out)
        return soma__fail(err, SOMA_MEMORY, "no memory for a graph");
    return SOMA_OK;
}

void soma_graph_destroy(soma_graph *graph)
{
    if (!graph)
        return;
    for (size_t i = 0; i < graph->count; i++)
        soma_tensor_release(graph->nodes[i]->tensor);
    soma__free(graph->nodes);
    soma__arena_clear(&graph->arena);
    soma__free(graph);
}

soma_status soma_graph_status(const soma_graph *graph, soma_error *err)
{
    if (!graph)
        return soma__fail(err, SOMA_INVALID, "there is no graph: a var of no graph was used");
    if (graph->error.code != SOMA_OK)
        return soma__fail(err, graph->error.code, "%s", graph->error.message);
    return SOMA_OK;
}

void soma_graph_fail(soma_graph *graph, soma_status code, const char *format, ...)
{
    if (!graph || graph->error.code != SOMA_OK)
        return;
    va_list args;
    va_start(args, format);
    soma__vfail(&graph->error, code == SOMA_OK ? SOMA_INVALID : code, format, args);
    va_end(args);
}

int64_t soma_graph_count(const soma_graph *graph)
{
    return graph ? (int64_t)graph->count : 0;
}

/* --- names --------------------------------------------------------------------------------------
 */

void soma_scope_begin(soma_graph *graph, const char *name)
{
    if (!graph || !name)
        return;
    size_t used = strlen(graph->scope);
    size_t length = strlen(name);
    /* A path that no longer fits is not cut in the middle: deeper scopes keep their parent's name.
     */
    if (graph->scope_overflow || used + length + 2 > sizeof graph->scope) {
        graph->scope_overflow++;
        return;
    }
    /* Separators inside a name would make scope_end stop early; they are stored as another byte and
     * shown as dots (see scope_name). */
    if (used)
        graph->scope[used++] = '\n';
    memcpy(graph->scope + used, name, length + 1);
}

void soma_scope_end(soma_graph *graph)
{
    if (!graph)
        return;
    if (graph->scope_overflow) {
        graph->scope_overflow--;
        return;
    }
    char *last = strrchr(graph->scope, '\n');
    *(last ? last : graph->scope) = 0;
}

/* The scope as the user sees it, "a.b", into `buffer`. */
static const char *scope_name(const soma_graph *graph, char buffer[256])
{
    memcpy(buffer, graph->scope, sizeof graph->scope);
    for (char *c = buffer; *c; c++)
        if (*c == '\n')
            *c = '.';
    return buffer;
}

soma_var soma_name(soma_var x, const char *name)
{
    if (soma_var_ok(x) && name) {
        char *copy = soma__arena_strdup(&x.graph->arena, name);
        if (copy)
            x.graph->nodes[x.id]->name = copy;
        else
            soma_graph_fail(x.graph, SOMA_MEMORY, "no memory for the name '%s'", name);
    }
    return x;
}

/* --- nodes --------------------------------------------------------------------------------------
 */

/* Appends an empty node; NULL (and a sticky error) when memory is out. */
static soma__node *append(soma_graph *graph, const soma__op *op)
{
    if (graph->count >= INT32_MAX) {
        soma_graph_fail(graph, SOMA_INVALID, "%s: a graph holds at most %d nodes", op->name,
                        INT32_MAX);
        return NULL;
    }
    soma__node *node = soma__arena_alloc(&graph->arena, sizeof *node);
    if (!node || !soma__grow((void **)&graph->nodes, &graph->capacity, graph->count,
                             sizeof graph->nodes[0])) {
        soma_graph_fail(graph, SOMA_MEMORY, "%s: no memory for a node", op->name);
        return NULL;
    }
    char buffer[256];
    const char *name = scope_name(graph, buffer);
    if (*name) {
        /* Neighbours mostly share a scope, so they share its text. */
        const soma__node *last = graph->count ? graph->nodes[graph->count - 1] : NULL;
        node->name = last && last->name && strcmp(last->name, name) == 0
                         ? last->name
                         : soma__arena_strdup(&graph->arena, name);
        if (!node->name) {
            soma_graph_fail(graph, SOMA_MEMORY, "%s: no memory for a node", op->name);
            return NULL;
        }
    }
    node->op = op;
    graph->nodes[graph->count++] = node;
    return node;
}

static soma_var last_var(soma_graph *graph)
{
    return (soma_var){graph, (int32_t)graph->count - 1};
}

/* The graph of a call: the one given or that of its inputs. NULL after recording a fault that can
 * be recorded. */
static soma_graph *common_graph(soma_graph *graph, const soma__op *op, const soma_var *in, int nin)
{
    for (int i = 0; i < nin; i++) {
        if (!graph)
            graph = in[i].graph;
        else if (in[i].graph != graph && in[i].graph) {
            soma_graph_fail(graph, SOMA_INVALID, "%s: input %d belongs to another graph", op->name,
                            i);
            soma_graph_fail(in[i].graph, SOMA_INVALID,
                            "%s: a var of this graph was used with another graph", op->name);
        }
    }
    if (graph)
        for (int i = 0; i < nin; i++)
            if (!in[i].graph || in[i].id < 0 || (size_t)in[i].id >= graph->count)
                soma_graph_fail(graph, SOMA_INVALID,
                                "%s: input %d is not a value of any graph (was it set?)", op->name,
                                i);
    return graph;
}

soma_var soma__graph_add(soma_graph *graph, const soma__op *op, const soma_var *in, int nin,
                         const void *attrs)
{
    graph = common_graph(graph, op, in, nin);
    if (!graph || graph->error.code != SOMA_OK)
        return failed(graph);

    char buffer[256];
    const char *name = scope_name(graph, buffer);
    soma__rule rule = {.op = op, .name = name, .nin = nin, .err = &graph->error};
    if (nin < op->min_inputs || (op->max_inputs >= 0 && nin > op->max_inputs)) {
        soma__rule_fail(&rule, SOMA_INVALID, "takes %d to %d inputs, not %d", op->min_inputs,
                        op->max_inputs, nin);
        return failed(graph);
    }

    /* Ids, shapes and attributes live in the graph's arena; on a fault they wait there for its end.
     */
    size_t n = (size_t)nin;
    int32_t *ids = soma__arena_array(&graph->arena, n ? n : 1, sizeof *ids);
    soma_dtype *dtypes = soma__arena_array(&graph->arena, n ? n : 1, sizeof *dtypes);
    soma_shape *shapes = soma__arena_array(&graph->arena, n ? n : 1, sizeof *shapes);
    void *stored = soma__arena_alloc(&graph->arena, op->attr_size ? op->attr_size : 1);
    if (!ids || !dtypes || !shapes || !stored) {
        soma__rule_fail(&rule, SOMA_MEMORY, "no memory for a node");
        return failed(graph);
    }
    for (int i = 0; i < nin; i++) {
        const soma__node *node = graph->nodes[in[i].id];
        ids[i] = in[i].id;
        dtypes[i] = node->dtype;
        shapes[i] = node->shape;
    }
    if (op->attr_size)
        memcpy(stored, attrs, op->attr_size);
    rule.in_dtype = dtypes;
    rule.in_shape = shapes;
    rule.attrs = stored;
    if (nin) {
        rule.dtype = dtypes[0];
        rule.shape = shapes[0];
    }
    soma_status status = op->rule(&rule);
    if (status != SOMA_OK) {
        if (graph->error.code == SOMA_OK)
            soma__rule_fail(&rule, status, "%s", soma_status_text(status));
        return failed(graph);
    }
    int64_t count;
    size_t bytes;
    if (!soma__shape_count(&rule.shape, &count) ||
        !soma__shape_bytes(&rule.shape, rule.dtype, &bytes)) {
        char text[SOMA_SHAPE_TEXT_SIZE];
        soma__rule_fail(&rule, SOMA_SHAPE, "the result %s is too large to address",
                        soma_shape_text(&rule.shape, text, sizeof text));
        return failed(graph);
    }
    if (op->decompose)
        return op->decompose(graph, in, nin, stored);

    soma__node *node = append(graph, op);
    if (!node)
        return failed(graph);
    node->attrs = op->attr_size ? stored : NULL;
    node->in = ids;
    node->nin = nin;
    node->dtype = rule.dtype;
    node->shape = rule.shape;
    return last_var(graph);
}

/* --- leaves -------------------------------------------------------------------------------------
 */

static soma_var add_leaf(soma_graph *graph, const soma__op *op, const char *name, soma_dtype dtype,
                         const soma_shape *shape, soma_tensor *tensor)
{
    soma__node *node = append(graph, op);
    if (!node)
        return failed(graph);
    node->dtype = dtype;
    node->shape = *shape;
    node->tensor = tensor ? soma_tensor_retain(tensor) : NULL;
    soma_var x = last_var(graph);
    if (name)
        soma_name(x, name);
    return graph->error.code == SOMA_OK ? x : failed(graph);
}

soma_var soma_input(soma_graph *graph, const char *name, soma_dtype dtype, soma_shape shape)
{
    if (!graph || graph->error.code != SOMA_OK)
        return failed(graph);
    if (!name || !*name) {
        soma_graph_fail(graph, SOMA_INVALID, "input: needs a name");
        return failed(graph);
    }
    for (size_t i = 0; i < graph->count; i++)
        if (graph->nodes[i]->input && strcmp(graph->nodes[i]->input, name) == 0) {
            soma_graph_fail(graph, SOMA_INVALID, "input '%s': the name is already taken", name);
            return failed(graph);
        }
    size_t bytes;
    if (!soma_dtype_size(dtype) || !soma__shape_bytes(&shape, dtype, &bytes)) {
        soma_graph_fail(graph, SOMA_INVALID, "input '%s': bad dtype or shape", name);
        return failed(graph);
    }
    soma_var x = add_leaf(graph, &soma__op_input, name, dtype, &shape, NULL);
    if (soma_var_ok(x))
        graph->nodes[x.id]->input = graph->nodes[x.id]->name;
    return x;
}

soma_var soma_variable(soma_graph *graph, const char *name, soma_tensor *tensor)
{
    if (!graph || graph->error.code != SOMA_OK)
        return failed(graph);
    if (!tensor) {
        soma_graph_fail(graph, SOMA_INVALID, "variable '%s': there is no tensor", name ? name : "");
        return failed(graph);
    }
    return add_leaf(graph, &soma__op_variable, name, tensor->dtype, &tensor->shape, tensor);
}

/* Takes over the reference. */
static soma_var constant_take(soma_graph *graph, soma_tensor *tensor)
{
    soma_var x = add_leaf(graph, &soma__op_constant, NULL, tensor->dtype, &tensor->shape, tensor);
    soma_tensor_release(tensor);
    return x;
}

soma_var soma_constant(soma_graph *graph, const soma_tensor *tensor)
{
    if (!graph || graph->error.code != SOMA_OK)
        return failed(graph);
    if (!tensor) {
        soma_graph_fail(graph, SOMA_INVALID, "constant: there is no tensor");
        return failed(graph);
    }
    soma_tensor *copy;
    if (soma_tensor_from(&copy, tensor->dtype, tensor->shape, tensor->data, &graph->error))
        return failed(graph);
    return constant_take(graph, copy);
}

soma_var soma_full(soma_graph *graph, soma_dtype dtype, soma_shape shape, double value)
{
    if (!graph || graph->error.code != SOMA_OK)
        return failed(graph);
    soma_tensor *tensor;
    if (soma_tensor_create(&tensor, dtype, shape, &graph->error))
        return failed(graph);
    if (value != 0)
        soma_tensor_fill(tensor, value);
    return constant_take(graph, tensor);
}

soma_var soma_scalar(soma_graph *graph, soma_dtype dtype, double value)
{
    return soma_full(graph, dtype, SOMA_SCALAR, value);
}

bool soma_var_ok(soma_var x)
{
    return x.graph && x.graph->error.code == SOMA_OK && x.id >= 0 && (size_t)x.id < x.graph->count;
}

soma_shape soma_var_shape(soma_var x)
{
    return soma_var_ok(x) ? x.graph->nodes[x.id]->shape : SOMA_SCALAR;
}

soma_dtype soma_var_dtype(soma_var x)
{
    return soma_var_ok(x) ? x.graph->nodes[x.id]->dtype : (soma_dtype)0;
}

/* --- rules --------------------------------------------------------------------------------------
 */

#undef soma__rule_fail /* a macro when the static analyser looks: op.h */
soma_status soma__rule_fail(soma__rule *rule, soma_status code, const char *format, ...)
{
    char text[SOMA_ERROR_MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (rule->name && *rule->name)
        return soma__fail(rule->err, code, "%s '%s': %s", rule->op->name, rule->name, text);
    return soma__fail(rule->err, code, "%s: %s", rule->op->name, text);
}

soma_status soma__rule_same_dtypes(soma__rule *rule)
{
    for (int i = 1; i < rule->nin; i++)
        if (rule->in_dtype[i] != rule->in_dtype[0])
            return soma__rule_fail(
                rule, SOMA_DTYPE, "inputs have different dtypes: %s and %s; use soma_cast",
                soma_dtype_text(rule->in_dtype[0]), soma_dtype_text(rule->in_dtype[i]));
    return SOMA_OK;
}

soma_status soma__rule_float(soma__rule *rule, int input)
{
    if (!soma_dtype_is_float(rule->in_dtype[input]))
        return soma__rule_fail(rule, SOMA_DTYPE, "input %d is %s, must be a float; use soma_cast",
                               input, soma_dtype_text(rule->in_dtype[input]));
    return SOMA_OK;
}

soma_status soma__rule_integer(soma__rule *rule, int input)
{
    if (rule->in_dtype[input] != SOMA_I32 && rule->in_dtype[input] != SOMA_I64)
        return soma__rule_fail(rule, SOMA_DTYPE, "input %d is %s, must be i32 or i64", input,
                               soma_dtype_text(rule->in_dtype[input]));
    return SOMA_OK;
}

soma_status soma__rule_axis(soma__rule *rule, int64_t *axis, int ndim)
{
    if (*axis < -ndim || *axis >= ndim)
        return soma__rule_fail(rule, SOMA_SHAPE, "axis %lld is outside of %d dimensions",
                               (long long)*axis, ndim);
    if (*axis < 0)
        *axis += ndim;
    return SOMA_OK;
}
