/* soma/sequence.h: ops over sequences. Batch first: [B,T,…], T steps.
 *
 * Sequences of unequal length share a batch by `lengths` (i32 or i64 [B]): of sequence b only the
 * first lengths[b] steps count. A length below 0 is as 0, one beyond T as T. */
#ifndef SOMA_SEQUENCE_H
#define SOMA_SEQUENCE_H

#include "graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- recurrent ---------------------------------------------------------------------------------
 *
 * A whole sequence in one op. x holds the inputs' part of all steps, which is one product outside:
 * soma_linear(inputs, w_ih, b_ih) [B,T,G·H] with H units of G gates; w [G·H,H] multiplies the state
 * before. Weights are PyTorch's, gates in its order. The result holds all that was computed, parts
 * of H along the last axis: the state first, y = soma_slice(result, 2, 0, H); its last step is the
 * last state (the first step with `reverse`). The steps beyond a sequence's length keep the state
 * as it is, their gates are 0.
 *
 * Gradients go to every part, and to x, w, bias, h0 and c0; they have no gradients of their own. */
typedef struct soma_recurrent_options {
    soma_var bias;    /* [G·H], added to w · state; none: zeros */
    soma_var h0, c0;  /* [B,H], the first states; none: zeros. c0 of lstm alone */
    soma_var lengths; /* none: all T steps */
    bool reverse;     /* from the last step to the first; the results stay in place */
    bool relu;        /* rnn: relu in the place of tanh */
    bool reset_first; /* gru: reset the state before its product (Cho et al. 2014), not after it as
                         PyTorch does */
} soma_recurrent_options;

/* h' = tanh(x + w h + bias); G = 1, result [B,T,H]. */
SOMA_API soma_var soma_rnn_opt(soma_var x, soma_var w, soma_recurrent_options options);
#define soma_rnn(x_, w_, ...) soma_rnn_opt((x_), (w_), (soma_recurrent_options){__VA_ARGS__})
/* Gates i f g o (Hochreiter & Schmidhuber 1997; Gers et al. 2000): c' = f c + i g, h' = o tanh(c'),
 * with i, f, o through the sigmoid and g through tanh; result [B,T,6H]: h c i f g o. */
SOMA_API soma_var soma_lstm_opt(soma_var x, soma_var w, soma_recurrent_options options);
#define soma_lstm(x_, w_, ...) soma_lstm_opt((x_), (w_), (soma_recurrent_options){__VA_ARGS__})
/* Gates r z n: h' = (1 - z) n + z h, with r, z through the sigmoid, n = tanh(x_n + r (w_n h +
 * bias_n)); result [B,T,5H]: h r z n and w_n h + bias_n. With reset_first n = tanh(x_n + w_n (r h)
 * + bias_n); result [B,T,4H]: h r z n. */
SOMA_API soma_var soma_gru_opt(soma_var x, soma_var w, soma_recurrent_options options);
#define soma_gru(x_, w_, ...) soma_gru_opt((x_), (w_), (soma_recurrent_options){__VA_ARGS__})

/* True for the steps that count: bool [B,steps] of lengths [B]. Composite. */
SOMA_API soma_var soma_sequence_mask(soma_var lengths, int64_t steps);

#ifdef __cplusplus
}
#endif
#endif
