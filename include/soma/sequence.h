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

/* --- attention ---------------------------------------------------------------------------------
 *
 * Memory grows with the lengths, not with their product: scores are never kept. */
typedef struct soma_attention_options {
    double scale;     /* of q · k; 0: 1/√D */
    bool causal;      /* query t sees keys up to t + offset */
    int64_t offset;   /* of the first query among the keys: how many a cache had before */
    soma_var mask;    /* broadcasts to [B,heads,T,S]: added to the scores; of bool, false hides */
    soma_var lengths; /* i32 or i64 [B]: keys that count, as above */
    soma_var slopes;  /* [heads]: slope · |distance| is taken off (ALiBi, Press et al. 2022) */
    soma_var key;     /* i64 [2] {seed, step}, for dropout of weights */
    double dropout;   /* from 0 to less than 1 */
    uint32_t stream;  /* which draws: as soma_dropout */
} soma_attention_options;
/* softmax(scale q · kᵀ + …) · v (Vaswani et al. 2017): q [B,T,heads,D], k and v [B,S,h,D] ->
 * [B,T,heads,D]; h divides heads, of which neighbours share a key head. A query that sees nothing
 * gets zeros. What is hidden must be finite all the same. Gradients go to q, k and v, which have no
 * gradients of their own; mask and slopes have none. */
SOMA_API soma_var soma_attention_opt(soma_var q, soma_var k, soma_var v,
                                     soma_attention_options options);
#define soma_attention(q_, k_, v_, ...)                                                            \
    soma_attention_opt((q_), (k_), (v_), (soma_attention_options){__VA_ARGS__})

typedef struct soma_rotary_options {
    double base;    /* 0: 10000 */
    int64_t offset; /* of the first step */
    bool
        interleaved; /* pairs are neighbours (Su et al. 2021); else cell i and i + D/2 (GPT-NeoX) */
} soma_rotary_options;
/* x [B,T,heads,D] with pairs of values turned by step · base^(-2 pair/D): dot products of q and k
 * so turned depend on the distance alone. */
SOMA_API soma_var soma_rotary_opt(soma_var x, soma_rotary_options options);
#define soma_rotary(x_, ...) soma_rotary_opt((x_), (soma_rotary_options){__VA_ARGS__})

/* A constant [steps,width]: column 2i is sin(step / 10000^(2i/width)), the next the cosine (Vaswani
 * et al. 2017). */
SOMA_API soma_var soma_sinusoidal(soma_graph *graph, soma_dtype dtype, int64_t steps,
                                  int64_t width);

/* --- lengths -----------------------------------------------------------------------------------
 */

/* True for the steps that count: bool [B,steps] of lengths [B]. Composite. */
SOMA_API soma_var soma_sequence_mask(soma_var lengths, int64_t steps);

/* --- tags ---------------------------------------------------------------------------------------
 *
 * A linear-chain conditional random field (Lafferty et al. 2001): the score of a row of tags is the
 * sum of what each step gives its tag (emissions), what each tag gives the one that follows
 * (transitions [from,to]), and what its first and last tags get. */
typedef struct soma_crf_options {
    soma_var first, last; /* [K]; none: 0 */
} soma_crf_options;
/* All of them in one value for the two functions below: emissions [B,T,K], transitions [K,K] (none:
 * 0) give [B,T+K+2,K], the rows of each sequence in this order: emissions, transitions, first,
 * last. Composite. */
SOMA_API soma_var soma_crf_scores_opt(soma_var emissions, soma_var transitions,
                                      soma_crf_options options);
#define soma_crf_scores(emissions_, transitions_, ...)                                             \
    soma_crf_scores_opt((emissions_), (transitions_), (soma_crf_options){__VA_ARGS__})
/* -log P(tags) of each sequence: [B]. tags i32 or i64 [B,T], lengths as above ({0}: T). A tag below
 * 0 is not known: the sum goes over all that it could be; one of K or more makes NaN. Of no step:
 * 0. Infinite where the scores forbid the tags. Its gradient has none. */
SOMA_API soma_var soma_crf(soma_var scores, soma_var tags, soma_var lengths);
/* The most probable tags, i64 [B,T], -1 behind the length (Viterbi 1967); of equal scores the lower
 * tags from the end on. */
SOMA_API soma_var soma_crf_decode(soma_var scores, soma_var lengths);
/* A chain: the scores and, in one row more, how many steps count (lengths [B], none: all T):
 * [B,T+K+3,K]. It is what the layer crf gives, so that what a model says of a text holds all that
 * its tags follow from. Composite, as its loss [B] and its best tags [B,T] are. */
SOMA_API soma_var soma_chain(soma_var scores, soma_var lengths);
SOMA_API soma_var soma_chain_loss(soma_var chain, soma_var tags);
SOMA_API soma_var soma_chain_tags(soma_var chain);

#ifdef __cplusplus
}
#endif
#endif
