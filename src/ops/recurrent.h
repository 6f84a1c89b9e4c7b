/* recurrent.h: how the recurrent ops lay out what they read and write, for rules and kernels. */
#ifndef SOMA__OPS_RECURRENT_H
#define SOMA__OPS_RECURRENT_H

#include "graph/op.h"
#include "ops/attrs.h"

typedef enum soma__recurrent_kind {
    SOMA__RNN,
    SOMA__LSTM,
    SOMA__GRU,
    SOMA__GRU_FIRST, /* resets the state before its product */
} soma__recurrent_kind;

/* Arrays are [batch, steps, k, units]: x with k = gates, results with k = parts, gradients of x
 * with k = grads (and one step more with states). Inputs of the forward ops: x w bias h0 (c0)
 * (lengths); of the gradients: y w h0 (c0) dy (lengths). */
typedef struct soma__recurrent {
    soma__recurrent_kind kind;
    bool relu, reverse, states;
    int64_t batch, steps, units;
    int64_t gates, parts, grads;
    int first;                 /* input that holds h0, and the next c0 */
    const soma__view *lengths; /* NULL: all steps count */
} soma__recurrent;

/* gates, parts and grads of a kind. A gradient of gru has r z hn n: all that w sees come first. */
static inline void soma__recurrent_sizes(soma__recurrent *r)
{
    static const int64_t gates[] = {1, 4, 3, 3}, parts[] = {1, 6, 5, 4}, grads[] = {1, 4, 4, 3};
    r->gates = gates[r->kind];
    r->parts = parts[r->kind];
    r->grads = grads[r->kind];
}

static inline soma__recurrent soma__recurrent_of(const soma__call *call, soma__recurrent_kind kind,
                                                 bool gradient)
{
    const soma__recurrent_attrs *attrs = call->attrs;
    const soma_shape *x = &call->in[0].shape, *w = &call->in[1].shape;
    soma__recurrent r = {.kind = kind == SOMA__GRU && attrs->variant ? SOMA__GRU_FIRST : kind,
                         .relu = kind == SOMA__RNN && attrs->variant,
                         .reverse = attrs->reverse,
                         .states = attrs->states,
                         .batch = x->dim[0],
                         .steps = x->dim[1],
                         .units = w->dim[1],
                         .first = gradient ? 2 : 3,
                         .lengths = attrs->lengths ? &call->in[call->nin - 1] : NULL};
    soma__recurrent_sizes(&r);
    return r;
}

/* The steps of sequence b that count. */
static inline int64_t soma__recurrent_length(const soma__recurrent *r, int64_t b)
{
    if (!r->lengths)
        return r->steps;
    const int64_t length = soma__view_index(r->lengths, b);
    return length < 0 ? 0 : length < r->steps ? length : r->steps;
}

/* The reference kernels (recurrent_kernels.c). */
void soma__recurrent_forward(const soma__call *call, soma__recurrent_kind kind);
void soma__recurrent_backward(const soma__call *call, soma__recurrent_kind kind);
size_t soma__recurrent_scratch(const soma__call *call);

#endif
