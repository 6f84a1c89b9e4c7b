/* ir.c: from a graph to the plan's own nodes, and the clean-up that every pass ends with. */
#include "plan/ir.h"

#include <string.h>

static soma_status no_memory(soma_error *err)
{
    return soma__fail(err, SOMA_MEMORY, "out of memory while a plan was made");
}

static const char *named(const char *name)
{
    return name ? name : "";
}

/* --- building --------------------------------------------------------------------------------- */

/* All vars must be valid and of one graph, whose sticky error is reported here. */
static soma_status check_var(soma_graph **graph, soma_var x, const char *what, int index,
                             soma_error *err)
{
    if (!x.graph)
        return soma__fail(err, SOMA_INVALID, "plan: %s %d belongs to no graph", what, index);
    if (*graph && *graph != x.graph)
        return soma__fail(err, SOMA_INVALID, "plan: %s %d belongs to another graph", what, index);
    *graph = x.graph;
    SOMA__TRY(soma_graph_status(x.graph, err));
    if (x.id < 0 || (size_t)x.id >= x.graph->count)
        return soma__fail(err, SOMA_INVALID, "plan: %s %d is not a value of its graph", what,
                          index);
    return SOMA_OK;
}

static soma_status check_update(soma_var variable, soma_var value, soma_error *err)
{
    const soma__node *v = soma__node_of(variable), *x = soma__node_of(value);
    if (v->op != &soma__op_variable)
        return soma__fail(err, SOMA_INVALID,
                          "plan: an update needs a value made by soma_variable, '%s' is made by %s",
                          named(v->name), v->op->name);
    if (v->dtype != x->dtype)
        return soma__fail(err, SOMA_DTYPE,
                          "plan: variable '%s' is %s, its update %s; soma_cast makes them equal",
                          named(v->name), soma_dtype_text(v->dtype), soma_dtype_text(x->dtype));
    if (!soma_shape_equal(&v->shape, &x->shape)) {
        char a[SOMA_SHAPE_TEXT_SIZE], b[SOMA_SHAPE_TEXT_SIZE];
        return soma__fail(err, SOMA_SHAPE, "plan: variable '%s' is %s, its update %s",
                          named(v->name), soma_shape_text(&v->shape, a, sizeof a),
                          soma_shape_text(&x->shape, b, sizeof b));
    }
    return SOMA_OK;
}

static soma_status check_roots(soma_graph **graph, const soma_var *outputs, int output_count,
                               const soma_update *updates, int update_count, soma_error *err)
{
    *graph = NULL;
    if (output_count < 0 || update_count < 0 || output_count + update_count == 0)
        return soma__fail(err, SOMA_INVALID, "plan: nothing to compute, no outputs and no updates");
    for (int i = 0; i < output_count; i++)
        SOMA__TRY(check_var(graph, outputs[i], "output", i, err));
    for (int i = 0; i < update_count; i++) {
        SOMA__TRY(check_var(graph, updates[i].variable, "updated variable", i, err));
        SOMA__TRY(check_var(graph, updates[i].value, "value of update", i, err));
        SOMA__TRY(check_update(updates[i].variable, updates[i].value, err));
    }
    return SOMA_OK;
}

/* The slot of an input: all inputs of the graph have one, needed or not, so that a caller may feed
 * an input (a random key, say) that this plan happens not to use. */
static soma_status input_slot(soma__ir *ir, const soma__node *node, int *slot, soma_error *err)
{
    const char *name = named(node->input ? node->input : node->name);
    for (*slot = 0; *slot < ir->input_count; ++*slot) {
        const soma__ir_slot *s = &ir->input[*slot];
        if (strcmp(s->name, name) != 0)
            continue;
        if (s->dtype != node->dtype || !soma_shape_equal(&s->shape, &node->shape))
            return soma__fail(err, SOMA_INVALID,
                              "plan: input '%s' is declared twice with different shapes or dtypes",
                              name);
        return SOMA_OK;
    }
    char *copy = soma__arena_strdup(&ir->arena, name);
    if (!copy)
        return no_memory(err);
    ir->input[ir->input_count++] = (soma__ir_slot){copy, node->dtype, node->shape, -1};
    return SOMA_OK;
}

/* Slots of variables are told apart by tensor: two nodes over one tensor are one variable. */
static soma_status variable_slot(soma__ir *ir, soma_tensor **bound, const soma__node *node,
                                 int *slot, soma_error *err)
{
    for (*slot = 0; *slot < ir->variable_count; ++*slot)
        if (bound[*slot] == node->tensor)
            return SOMA_OK;
    char *copy = soma__arena_strdup(&ir->arena, named(node->name));
    if (!copy)
        return no_memory(err);
    bound[*slot] = node->tensor;
    ir->variable[ir->variable_count++] = (soma__ir_slot){copy, node->dtype, node->shape, -1};
    return SOMA_OK;
}

/* Copies one node. Leaves of a slot that is known already give that slot's node. */
static soma_status copy_node(soma__ir *ir, soma_tensor **bound, const soma__node *from,
                             int32_t *map, int32_t id, soma_error *err)
{
    int slot = -1;
    soma__ir_slot *s = NULL;
    if (from->op == &soma__op_input) {
        SOMA__TRY(input_slot(ir, from, &slot, err));
        s = &ir->input[slot];
    } else if (from->op == &soma__op_variable) {
        SOMA__TRY(variable_slot(ir, bound, from, &slot, err));
        s = &ir->variable[slot];
    }
    if (s && s->node >= 0) {
        map[id] = s->node;
        return SOMA_OK;
    }
    soma__ir_node *n = &ir->node[ir->count];
    *n = (soma__ir_node){
        .op = from->op, .nin = from->nin, .dtype = from->dtype, .shape = from->shape, .slot = slot};
    n->name = soma__arena_strdup(&ir->arena, named(from->name));
    n->in = soma__arena_array(&ir->arena, (size_t)from->nin + 1, sizeof *n->in);
    if (!n->name || !n->in)
        return no_memory(err);
    if (from->op->attr_size && from->attrs) {
        n->attrs = soma__arena_copy(&ir->arena, from->attrs, from->op->attr_size);
        if (!n->attrs)
            return no_memory(err);
    }
    for (int i = 0; i < from->nin; i++)
        n->in[i] = map[from->in[i]];
    if (from->op == &soma__op_constant) {
        n->tensor = soma_tensor_retain(from->tensor);
        ir->tensor[ir->tensor_count++] = n->tensor;
    }
    if (s)
        s->node = ir->count;
    map[id] = ir->count++;
    return SOMA_OK;
}

/* live[i]: 1 + number of needed nodes seen is not kept; only whether. Returns how many are needed.
 */
static int32_t mark_live(const soma_graph *graph, bool *live, const soma_var *outputs,
                         int output_count, const soma_update *updates, int update_count)
{
    int32_t last = -1, count = 0;
    for (int i = 0; i < output_count; i++) {
        live[outputs[i].id] = true;
        last = outputs[i].id > last ? outputs[i].id : last;
    }
    for (int i = 0; i < update_count; i++) {
        live[updates[i].variable.id] = live[updates[i].value.id] = true;
        last = updates[i].variable.id > last ? updates[i].variable.id : last;
        last = updates[i].value.id > last ? updates[i].value.id : last;
    }
    for (int32_t id = last; id >= 0; id--) {
        if (!live[id])
            continue;
        count++;
        const soma__node *n = graph->nodes[id];
        for (int i = 0; i < n->nin; i++)
            live[n->in[i]] = true;
    }
    return count;
}

/* Makes the arrays, whose sizes are bounded by the number of nodes. */
static bool make_arrays(soma__ir *ir, soma_tensor ***bound, size_t live, size_t inputs,
                        int output_count, int update_count)
{
    ir->node = soma__arena_array(&ir->arena, live + 1, sizeof *ir->node);
    ir->input = soma__arena_array(&ir->arena, inputs + 1, sizeof *ir->input);
    ir->variable = soma__arena_array(&ir->arena, live + 1, sizeof *ir->variable);
    *bound = soma__arena_array(&ir->arena, live + 1, sizeof **bound);
    ir->tensor = soma__arena_array(&ir->arena, live + 1, sizeof *ir->tensor);
    ir->tensor_capacity = (int)live;
    ir->output = soma__arena_array(&ir->arena, (size_t)output_count + 1, sizeof *ir->output);
    ir->update = soma__arena_array(&ir->arena, (size_t)update_count + 1, sizeof *ir->update);
    return ir->node && ir->input && ir->variable && *bound && ir->tensor && ir->output &&
           ir->update;
}

static soma_status add_updates(soma__ir *ir, const soma_update *updates, int update_count,
                               const int32_t *map, soma_error *err)
{
    for (int i = 0; i < update_count; i++) {
        int slot = ir->node[map[updates[i].variable.id]].slot;
        for (int k = 0; k < ir->update_count; k++)
            if (ir->update[k].variable == slot)
                return soma__fail(err, SOMA_INVALID, "plan: variable '%s' has two updates",
                                  ir->variable[slot].name);
        ir->update[ir->update_count++] = (soma__ir_update){slot, map[updates[i].value.id]};
    }
    return SOMA_OK;
}

static soma_status build(soma__ir *ir, soma__arena *temporary, soma_tensor ***bound,
                         const soma_graph *graph, const soma_var *outputs, int output_count,
                         const soma_update *updates, int update_count, soma_error *err)
{
    bool *live = soma__arena_array(temporary, graph->count + 1, sizeof *live);
    int32_t *map = soma__arena_array(temporary, graph->count + 1, sizeof *map);
    if (!live || !map)
        return no_memory(err);
    int32_t count = mark_live(graph, live, outputs, output_count, updates, update_count);
    size_t inputs = 0;
    for (size_t i = 0; i < graph->count; i++)
        inputs += graph->nodes[i]->op == &soma__op_input;
    if (!make_arrays(ir, bound, (size_t)count, inputs, output_count, update_count))
        return no_memory(err);
    for (size_t i = 0; i < graph->count; i++) {
        int slot;
        if (live[i])
            SOMA__TRY(copy_node(ir, *bound, graph->nodes[i], map, (int32_t)i, err));
        else if (graph->nodes[i]->op == &soma__op_input)
            SOMA__TRY(input_slot(ir, graph->nodes[i], &slot, err));
    }
    ir->built = ir->count;
    for (int i = 0; i < output_count; i++)
        ir->output[ir->output_count++] = map[outputs[i].id];
    return add_updates(ir, updates, update_count, map, err);
}

soma_status soma__ir_build(soma__ir **out, soma_tensor ***bound, const soma_var *outputs,
                           int output_count, const soma_update *updates, int update_count,
                           soma_error *err)
{
    *out = NULL;
    soma_graph *graph;
    SOMA__TRY(check_roots(&graph, outputs, output_count, updates, update_count, err));
    SOMA_ASSERT(graph, err);
    soma__ir *ir = soma__calloc(1, sizeof *ir);
    if (!ir)
        return no_memory(err);
    soma__arena temporary = {0};
    soma_status status =
        build(ir, &temporary, bound, graph, outputs, output_count, updates, update_count, err);
    soma__arena_clear(&temporary);
    if (status != SOMA_OK) {
        soma__ir_destroy(ir);
        return status;
    }
    *out = ir;
    return SOMA_OK;
}

void soma__ir_destroy(soma__ir *ir)
{
    if (!ir)
        return;
    for (int i = 0; i < ir->tensor_count; i++)
        soma_tensor_release(ir->tensor[i]);
    soma__arena_clear(&ir->arena);
    soma__free(ir);
}

/* --- compaction ------------------------------------------------------------------------------- */

static void redirect(soma__ir *ir, int32_t *replace)
{
    /* replace[i] <= i, so one pass in order resolves chains. */
    for (int32_t i = 0; i < ir->count; i++)
        replace[i] = replace[replace[i]];
    for (int32_t i = 0; i < ir->count; i++)
        for (int k = 0; k < ir->node[i].nin; k++)
            ir->node[i].in[k] = replace[ir->node[i].in[k]];
    for (int i = 0; i < ir->output_count; i++)
        ir->output[i] = replace[ir->output[i]];
    for (int i = 0; i < ir->update_count; i++)
        ir->update[i].value = replace[ir->update[i].value];
}

soma_status soma__ir_compact(soma__ir *ir, int32_t *replace, soma_error *err)
{
    if (replace)
        redirect(ir, replace);
    size_t n = (size_t)ir->count;
    bool *live = soma__calloc(n + 1, sizeof *live);
    int32_t *map = soma__calloc(n + 1, sizeof *map);
    if (!live || !map) {
        soma__free(live);
        soma__free(map);
        return no_memory(err);
    }
    for (int i = 0; i < ir->output_count; i++)
        live[ir->output[i]] = true;
    for (int i = 0; i < ir->update_count; i++)
        live[ir->update[i].value] = live[ir->variable[ir->update[i].variable].node] = true;
    for (int32_t i = ir->count - 1; i >= 0; i--)
        for (int k = 0; live[i] && k < ir->node[i].nin; k++)
            live[ir->node[i].in[k]] = true;
    int32_t count = 0;
    for (int32_t i = 0; i < ir->count; i++) {
        map[i] = live[i] ? count : -1;
        if (!live[i])
            continue;
        ir->node[count] = ir->node[i];
        for (int k = 0; k < ir->node[count].nin; k++)
            ir->node[count].in[k] = map[ir->node[count].in[k]];
        count++;
    }
    ir->count = count;
    for (int i = 0; i < ir->output_count; i++)
        ir->output[i] = map[ir->output[i]];
    for (int i = 0; i < ir->update_count; i++)
        ir->update[i].value = map[ir->update[i].value];
    for (int i = 0; i < ir->input_count; i++)
        ir->input[i].node = ir->input[i].node < 0 ? -1 : map[ir->input[i].node];
    for (int i = 0; i < ir->variable_count; i++)
        ir->variable[i].node = ir->variable[i].node < 0 ? -1 : map[ir->variable[i].node];
    soma__free(live);
    soma__free(map);
    return SOMA_OK;
}

bool soma__ir_uniform(const soma__ir_node *n, double *value)
{
    if (!soma__ir_is_constant(n) || n->tensor->count == 0)
        return false;
    size_t size = soma_dtype_size(n->dtype);
    const char *data = n->tensor->data;
    for (int64_t i = 1; i < n->tensor->count; i++)
        if (memcmp(data, data + (size_t)i * size, size) != 0)
            return false;
    *value = soma__load(n->dtype, data, 0);
    return true;
}
