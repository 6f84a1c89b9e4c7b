/* soma/generate.h: sequences from a model, token by token.
 *
 * The model names the next token at each step, [T,vocabulary] of a sample; what it reads is ids,
 * f32 [T] (the last of its inputs, where it takes several). It is run step by step: each layer
 * keeps what later steps need (keys and values of an attention, the state of an lstm), so a token
 * costs one step and a look at those before it. Layers that look ahead cannot go on like this, and
 * say so.
 */
#ifndef SOMA_GENERATE_H
#define SOMA_GENERATE_H

#include "data.h"
#include "nn.h"
#include "text_scores.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- the next token -----------------------------------------------------------------------------
 *
 * Zero in every field: drawn as the model says. The filters work in this order. */
typedef struct soma_sampling {
    double repetition_penalty; /* of tokens that were there: positive scores are divided by it,
                                  negative ones multiplied (Keskar et al. 2019); 0: 1 */
    bool greedy;               /* the token with the highest score, of equal ones the lowest id */
    double temperature;        /* scores are divided by it; 0: 1 */
    int64_t top_k;             /* only so many tokens, the likeliest (Fan et al. 2018); 0: all */
    double
        top_p; /* of these the fewest that have this share together (Holtzman et al. 2020); 0: 1 */
    double min_p; /* of these those with at least this share of the likeliest one's probability */
    uint64_t seed;
} soma_sampling;
/* What each of `count` tokens' chance is, from scores (logits): p receives the probabilities.
 * `seen` are the ids that were there. Of equal scores the lower id comes first. Errors:
 * SOMA_INVALID (a number out of its range, an id in `seen` that is none), SOMA_NUMERIC (scores that
 * are not numbers, or none that is possible), SOMA_MEMORY. */
SOMA_MUST_CHECK SOMA_API soma_status soma_sample_chances(double *p, const float *scores,
                                                         int64_t count, const soma_sampling *how,
                                                         const int64_t *seen, int64_t seen_count,
                                                         soma_error *err);
/* A token drawn by them: draw number `step` of the seed. */
SOMA_MUST_CHECK SOMA_API soma_status soma_sample(int64_t *out, const float *scores, int64_t count,
                                                 const soma_sampling *how, const int64_t *seen,
                                                 int64_t seen_count, uint64_t step,
                                                 soma_error *err);

/* --- a model, step by step -----------------------------------------------------------------------
 *
 * `rows` sequences of equal length side by side, each of at most `room` steps. */
typedef struct soma_generator soma_generator;
typedef struct soma_generator_options {
    int64_t rows; /* 0: 1 */
    int64_t room; /* 0: as many steps as the model's samples have */
} soma_generator_options;
/* The model must outlive it. Errors: SOMA_UNSUPPORTED (the model's answers are not those of steps,
 * or a layer looks at steps to come: the message names it), SOMA_INVALID, SOMA_MEMORY. */
SOMA_MUST_CHECK SOMA_API soma_status soma_generator_create(soma_generator **out, soma_model *model,
                                                           const soma_generator_options *options,
                                                           soma_error *err);
SOMA_API void soma_generator_destroy(soma_generator *generator);
/* Begins anew. `given` are the model's inputs before the last one, f32 [rows,…] (the source of a
 * translation); NULL where there is none. */
SOMA_MUST_CHECK SOMA_API soma_status soma_generator_start(soma_generator *generator,
                                                          const soma_tensor *const *given,
                                                          soma_error *err);
/* Goes on by `count` ids in each row, ids [rows,count]. *scores [rows,vocabulary] are those of the
 * token after the last: borrowed, until the next call. Errors: SOMA_INVALID (an id outside of the
 * vocabulary, no ids, no room), SOMA_STATE (not started). */
SOMA_MUST_CHECK SOMA_API soma_status soma_generator_read(soma_generator *generator,
                                                         const int64_t *ids, int64_t count,
                                                         const float **scores, soma_error *err);
/* Row i goes on as row from[i] did. */
SOMA_MUST_CHECK SOMA_API soma_status soma_generator_select(soma_generator *generator,
                                                           const int64_t *from, soma_error *err);
SOMA_API int64_t soma_generator_rows(const soma_generator *generator);
SOMA_API int64_t soma_generator_room(const soma_generator *generator);
SOMA_API int64_t soma_generator_vocabulary(const soma_generator *generator);
SOMA_API int64_t soma_generator_length(const soma_generator *generator); /* steps read */

/* The tokeniser that travels in the model's file; *out with soma_tokenizer_release. Errors:
 * SOMA_NOT_FOUND (the model did not learn from text), SOMA_FORMAT, SOMA_MEMORY. */
SOMA_MUST_CHECK SOMA_API soma_status soma_model_tokenizer(soma_tokenizer **out,
                                                          const soma_model *model, soma_error *err);

/* --- whole sequences ----------------------------------------------------------------------------
 */

typedef struct soma_generate_options {
    soma_sampling sampling;
    int64_t tokens; /* most; 0: until the sequence has no room */
    bool ends;      /* the token `end` ends it and is not part of the result */
    int64_t end;
    int64_t beams; /* more than 1: the likeliest sequence that a beam search of so many finds; the
                       sampling does not count */
    double length_penalty; /* of beams: log p / tokens^this (the end counts) is what is compared; 0:
                              no penalty */
    /* Each token as it is made (of beams at the end); false: stop after it. */
    bool (*callback)(void *user, int64_t id);
    void *user;
} soma_generate_options;
/* Goes on after `prompt` (one id or more) in a generator of 1 row, of beams of `beams` rows for
 * each sequence; with beams `prompt` is that of all. When the room is used up and `tokens` asks for
 * more, it begins anew with the later half of what is there. *ids receives *count new ids, with
 * soma_free, unless NULL. */
SOMA_MUST_CHECK SOMA_API soma_status soma_generate(soma_generator *generator, const int64_t *prompt,
                                                   int64_t prompt_count,
                                                   const soma_generate_options *options,
                                                   int64_t **ids, int64_t *count, soma_error *err);
/* Beam search for all of rows / beams sequences at once, which `start` may have given different
 * sources (each in `beams` rows beside each other): ids[i], counts[i] with soma_free each. */
SOMA_MUST_CHECK SOMA_API soma_status soma_beam_search(soma_generator *generator,
                                                      const int64_t *prompt, int64_t prompt_count,
                                                      const soma_generate_options *options,
                                                      int64_t **ids, int64_t *counts,
                                                      soma_error *err);

/* --- translation --------------------------------------------------------------------------------
 *
 * Of models of two inputs that learned from pairs of texts (data source `pairs`): a source, and
 * what has been said of its translation. */

/* Translations of `count` texts, many at a time: out [count], with soma_text_free each. Of the
 * options beams, length_penalty and tokens count; 1 beam takes the likeliest token each time.
 * Errors: SOMA_UNSUPPORTED, SOMA_NOT_FOUND (the model did not learn from pairs), SOMA_MEMORY. */
SOMA_MUST_CHECK SOMA_API soma_status soma_translate(soma_model *model, const soma_text *texts,
                                                    int64_t count,
                                                    const soma_generate_options *options,
                                                    char **out, soma_error *err);
/* BLEU (as sacrebleu, 13a) of the translations of a data set of such pairs against its targets. */
SOMA_MUST_CHECK SOMA_API soma_status soma_evaluate_bleu(soma_model *model,
                                                        const soma_dataset *dataset,
                                                        const soma_generate_options *options,
                                                        soma_bleu_score *out, soma_error *err);

#ifdef __cplusplus
}
#endif
#endif
