/* soma/ctc.h: connectionist temporal classification (Graves et al. 2006): learning to read a short
 * sequence of labels from a long one of features, without being told where each label lies.
 *
 * One class, the blank, stands for "no label here". A path says a class at each step; it reads as
 * the labels that are left when repetitions are joined and then blanks dropped. Loss and decoding
 * work on logarithms of probabilities (soma_log_softmax of what a model says). */
#ifndef SOMA_CTC_H
#define SOMA_CTC_H

#include "loss.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- the loss ----------------------------------------------------------------------------------
 */

typedef struct soma_ctc_options {
    soma_var input_lengths;  /* [B] i32 or i64: steps that count; none: all T */
    soma_var target_lengths; /* [B]: labels that count; none: those that are not negative */
    int64_t blank;
    bool zero_infinity; /* a target that does not fit loses 0 in the place of Inf */
    soma_reduction reduction;
} soma_ctc_options;
/* log_probs [B,T,K], targets [B,S] i32 or i64 -> [B]: -log of the sum over all paths that read as
 * the target. The mean is that of each loss over its target's length (at least 1), as PyTorch's.
 * What is defined, and never NaN: a target that is too long for its input (a repeated label takes a
 * step more) loses Inf, or 0 with zero_infinity, and has the gradient 0 either way; an empty target
 * loses -Σ log_probs of the blank. Lengths are limited to [0,T] and [0,S]. A label that is the
 * blank or no class makes the loss NaN. The gradient is that of log_probs as free numbers; it
 * cannot be differentiated again. */
SOMA_API soma_var soma_ctc_loss_opt(soma_var log_probs, soma_var targets, soma_ctc_options options);
#define soma_ctc_loss(log_probs_, targets_, ...)                                                   \
    soma_ctc_loss_opt((log_probs_), (targets_), (soma_ctc_options){__VA_ARGS__})

/* [B,T,K] -> i64 [B,T]: the label that the most probable path says at each step, -1 where it goes
 * on with the one before or says the blank, and beyond input_lengths ((soma_var){0}: all count). */
SOMA_API soma_var soma_ctc_best_path(soma_var log_probs, soma_var input_lengths, int64_t blank);

/* --- decoding: of one sequence, log_probs [steps][classes] --------------------------------------
 */

/* What the most probable path reads as, into labels [steps]; returns how many. `score`, unless
 * NULL, receives the path's log-probability. 0 too for a blank that is no class. */
SOMA_API int64_t soma_ctc_greedy(const float *log_probs, int64_t steps, int64_t classes,
                                 int64_t blank, int64_t *labels, double *score);

typedef struct soma_ctc_beam_options {
    int64_t blank;
    int64_t beam; /* readings kept at each step; 0: 16 */
    int64_t best; /* readings wanted, at most `beam`; 0: 1 */
    double least; /* labels less probable than this are not tried at a step; 0: all are */
    /* The logarithm of the probability of `label` after labels[0..count), as a language model has
     * it; NULL: none. It counts `language_weight` times (0: once), and each label adds `bonus`,
     * since long readings are improbable by themselves. */
    double (*language)(void *user, const int64_t *labels, int64_t count, int64_t label);
    void *user;
    double language_weight, bonus;
} soma_ctc_beam_options;

typedef struct soma_ctc_reading {
    int64_t *labels; /* count entries; NULL of none */
    int64_t count;
    double log_prob; /* of all paths that were followed and read so */
    double score;    /* with language and bonus: what readings are ordered by */
} soma_ctc_reading;

/* Prefix beam search (Graves 2012; Hannun et al. 2014): the readings with the best scores, best
 * first; of equal scores the one found first. `*count` may be less than wanted. Errors:
 * SOMA_INVALID (an option out of range), SOMA_MEMORY. */
SOMA_MUST_CHECK SOMA_API soma_status soma_ctc_beam(soma_ctc_reading **out, int64_t *count,
                                                   const float *log_probs, int64_t steps,
                                                   int64_t classes,
                                                   const soma_ctc_beam_options *options,
                                                   soma_error *err);
SOMA_API void soma_ctc_readings_free(soma_ctc_reading *readings, int64_t count);

#ifdef __cplusplus
}
#endif
#endif
