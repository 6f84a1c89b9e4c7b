/* carry.c: the states of a model that reads a sequence step by step. */
#include "nn/carry.h"

#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/mem.h"
#include "nn/nn.h"

void soma__carry_clear(soma__carry *carry)
{
    for (size_t i = 0; i < carry->state_count; i++) {
        soma__free(carry->state[i].name);
        soma_tensor_release(carry->state[i].tensor);
    }
    soma__free(carry->state);
    soma__free(carry->update);
    soma__free(carry->moves);
    *carry = (soma__carry){0};
}

/* --- states -------------------------------------------------------------------------------------
 */

/* The state of that name, made where there is none: zeros. */
static soma__state *find_state(soma__carry *carry, const char *name, soma_dtype dtype,
                               soma_shape shape, soma_error *err)
{
    void *states = carry->state;
    for (size_t i = 0; i < carry->state_count; i++)
        if (strcmp(carry->state[i].name, name) == 0)
            return &carry->state[i];
    if (!soma__grow(&states, &carry->state_capacity, carry->state_count, sizeof *carry->state)) {
        soma__fail(err, SOMA_MEMORY, "no memory for the state '%s'", name);
        return NULL;
    }
    carry->state = states;
    soma__state s = {.name = soma__strdup(name)};
    if (!s.name)
        soma__fail(err, SOMA_MEMORY, "no memory for the state '%s'", name);
    if (!s.name || soma_tensor_create(&s.tensor, dtype, shape, err) != SOMA_OK) {
        soma__free(s.name);
        return NULL;
    }
    carry->state[carry->state_count] = s;
    return &carry->state[carry->state_count++];
}

static bool add_update(soma__carry *carry, soma_graph *graph, soma_var state, soma_var value)
{
    void *updates = carry->update;
    if (!soma__grow(&updates, &carry->update_capacity, carry->update_count,
                    sizeof *carry->update)) {
        soma_graph_fail(graph, SOMA_MEMORY, "no memory for the states of a sequence");
        return false;
    }
    carry->update = updates;
    carry->update[carry->update_count++] = (soma_update){state, value};
    return true;
}

soma_status soma__carry_begin(soma__carry *carry, soma_graph *graph, bool opening, int64_t steps,
                              soma_error *err)
{
    carry->opening = opening;
    carry->update_count = carry->looked = 0;
    const soma__state *position = find_state(carry, "position", SOMA_I64, SOMA_SHAPE(1), err);
    if (!position)
        return SOMA_MEMORY;
    carry->x = soma_input(graph, "steps", SOMA_F32, SOMA_SHAPE(carry->rows, steps));
    carry->count = soma_input(graph, "count", SOMA_I64, SOMA_SHAPE(1));
    carry->position = soma_variable(graph, "position", position->tensor);
    return SOMA_OK;
}

void soma__carry_end(soma__carry *carry, soma_graph *graph)
{
    soma_var next = carry->opening ? soma_full(graph, SOMA_I64, SOMA_SHAPE(1), 0)
                                   : soma_add(carry->position, carry->count);
    add_update(carry, graph, carry->position, next);
}

/* --- for layers ---------------------------------------------------------------------------------
 */

bool soma__carry_moves(soma__layer_build *b, soma_var x)
{
    soma__carry *carry = b->carry;
    if (!carry || !soma_var_ok(x))
        return false;
    /* Inputs come before what is made of them, so what has been looked at stays true. */
    for (; carry->looked <= (size_t)x.id; carry->looked++) {
        void *moves = carry->moves;
        const soma__node *node = b->graph->nodes[carry->looked];
        if (!soma__grow(&moves, &carry->moves_capacity, carry->looked, sizeof *carry->moves)) {
            soma_graph_fail(b->graph, SOMA_MEMORY, "no memory for the states of a sequence");
            return false;
        }
        carry->moves = moves;
        bool found = carry->looked == (size_t)carry->x.id;
        for (int i = 0; i < node->nin && !found; i++)
            found = carry->moves[node->in[i]];
        carry->moves[carry->looked] = found;
    }
    return carry->moves[x.id];
}

/* Of a layer that is used several times each use has states of its own. */
static soma__state *layer_state(soma__layer_build *b, const char *name, soma_dtype dtype,
                                soma_shape shape)
{
    char full[SOMA__LAYER_PATH_SIZE + 64];
    soma_error err = {0};
    if (b->use)
        snprintf(full, sizeof full, "%s#%u.%s", b->path, (unsigned)b->use, name);
    else
        snprintf(full, sizeof full, "%s.%s", b->path, name);
    soma__state *state = find_state(b->carry, full, dtype, shape, &err);
    if (state)
        state->of_rows = true;
    else
        soma_graph_fail(b->graph, err.code, "%s", err.message);
    return state;
}

soma_var soma__carry_state(soma__layer_build *b, const soma_layer *layer, const char *name,
                           soma_var first)
{
    if (!soma_var_ok(first))
        return first;
    const soma__state *state = layer_state(b, name, soma_var_dtype(first), soma_var_shape(first));
    if (!state)
        return soma__layer_fail(b, layer, SOMA_MEMORY, "out of memory for a state");
    soma_var variable = soma_variable(b->graph, state->name, state->tensor);
    if (!b->carry->opening)
        return variable;
    add_update(b->carry, b->graph, variable, first);
    return first;
}

void soma__carry_next(soma__layer_build *b, soma_var state, soma_var next)
{
    if (!b->carry->opening && soma_var_ok(state) && soma_var_ok(next))
        add_update(b->carry, b->graph, state, next);
}

soma_var soma__carry_kept(soma__layer_build *b, const soma_layer *layer, const char *name,
                          soma_var x)
{
    return b->carry && x.graph && !soma__carry_moves(b, x) ? soma__carry_state(b, layer, name, x)
                                                           : x;
}

soma_var soma__carry_numbers(const soma__layer_build *b, int64_t steps)
{
    soma_var number = soma_arange(b->graph, SOMA_I64, 0, (double)steps, 1);
    return soma_add(b->carry->position, number);
}

soma_var soma__carry_append(soma__layer_build *b, const soma_layer *layer, const char *name,
                            soma_var x)
{
    if (!soma_var_ok(x))
        return x;
    soma_shape shape = soma_var_shape(x);
    const int64_t rows = shape.dim[0], steps = shape.dim[1];
    shape.dim[1] = b->carry->room;
    soma__state *state = layer_state(b, name, soma_var_dtype(x), shape);
    if (!state)
        return soma__layer_fail(b, layer, SOMA_MEMORY, "out of memory for a state");
    state->grows = true;
    /* What it begins as does not matter: steps that have not come are not looked at. */
    soma_var before = soma_variable(b->graph, state->name, state->tensor);
    soma_var at = soma_expand(soma_reshape(soma__carry_numbers(b, steps), SOMA_SHAPE(1, steps, 1)),
                              SOMA_SHAPE(rows, steps, 1));
    soma_var after = soma_scatter_nd(before, at, x, 1, SOMA_SCATTER_SET);
    soma__carry_next(b, before, after);
    return after;
}
