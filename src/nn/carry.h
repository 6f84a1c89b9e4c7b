/* carry.h: what layers keep of a sequence whose steps come one after another, so that a new step
 * costs what it adds and not all of the sequence again.
 *
 * A model is built for it as two graphs over the same states, which are tensors outside of both:
 *
 *     opening   what is known beforehand (the source of a translation)  -> each state's first value
 *     steps     some new steps, and the states so far                   -> the answer, states after
 * them
 *
 * A state is a variable of the plan and what becomes of it an update, which the plan writes in
 * place where that is safe: a key goes into its row of the cache, and nothing else is moved. So
 * there is nothing about caches in plans or sessions; a layer that keeps something asks for a state
 * here, and one that only ever looks at a step by itself says so in its descriptor (`steps`). */
#ifndef SOMA__CARRY_H
#define SOMA__CARRY_H

#include "nn/layer.h"

typedef struct soma__state {
    char *name; /* "block1.self_attn.keys" */
    soma_tensor *tensor;
    bool of_rows; /* [rows,…] */
    bool grows;   /* [rows,room,…]: what steps bring goes behind what is there */
} soma__state;

typedef struct soma__carry {
    bool opening;
    int64_t rows, room; /* sequences side by side; steps that each may have */
    soma__state *state;
    size_t state_count, state_capacity;
    /* Of the graph that is being built: */
    soma_var x;        /* the input whose steps come one after another, [rows,T] */
    soma_var count;    /* i64 [1]: how many of these steps count; the others are padding */
    soma_var position; /* i64 [1]: steps before these */
    soma_update *update;
    size_t update_count, update_capacity;
    bool *moves; /* of nodes [0, looked): depends on x */
    size_t looked, moves_capacity;
} soma__carry;

void soma__carry_clear(soma__carry *carry);

/* Starts a graph whose inputs are "steps", f32 [rows,steps], and "count". The updates are
 * carry->update when it is built. */
soma_status soma__carry_begin(soma__carry *carry, soma_graph *graph, bool opening, int64_t steps,
                              soma_error *err);
/* After the layers: the position moves on. */
void soma__carry_end(soma__carry *carry, soma_graph *graph);

/* --- for layers ---------------------------------------------------------------------------------
 */

/* Is x one of the values whose steps come one after another? Never where nothing is carried. */
bool soma__carry_moves(soma__layer_build *b, soma_var x);
/* The state `name` of the layer at work, as these steps find it; `first` is what it begins as, and
 * tells its shape and dtype. */
soma_var soma__carry_state(soma__layer_build *b, const soma_layer *layer, const char *name,
                           soma_var first);
/* What it is after these steps. */
void soma__carry_next(soma__layer_build *b, soma_var state, soma_var next);
/* A value that all steps share, such as the keys of a memory: computed by the opening, kept for the
 * steps. x itself where nothing is carried, or where it moves. */
soma_var soma__carry_kept(soma__layer_build *b, const soma_layer *layer, const char *name,
                          soma_var x);
/* x [rows,T,h,D] of these steps goes behind those before: [rows,room,h,D]. */
soma_var soma__carry_append(soma__layer_build *b, const soma_layer *layer, const char *name,
                            soma_var x);
/* i64 [T], the numbers of T steps: position, position + 1, … */
soma_var soma__carry_numbers(const soma__layer_build *b, int64_t steps);

#endif
