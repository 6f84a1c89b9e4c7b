/* soma/text_scores.h: how good texts are that a model wrote, and the spans that it marked.
 *
 * The figures are those of sacrebleu (BLEU, chrF), jiwer (error rates) and seqeval (spans), to the
 * last digits. Texts are UTF-8; what is not counts as U+FFFD. Spaces are what Python's str.split
 * takes for them. Lower case is that of single code points (a final sigma is a sigma).
 *
 * Errors of all: SOMA_INVALID (no texts), SOMA_MEMORY. */
#ifndef SOMA_TEXT_SCORES_H
#define SOMA_TEXT_SCORES_H

#include "metrics.h"
#include "text.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How texts are cut before their n-grams are counted. */
typedef enum soma_bleu_tokens {
    SOMA_BLEU_13A,  /* as mteval-v13a of the WMT; the default of sacrebleu */
    SOMA_BLEU_INTL, /* as mteval-v14: Unicode punctuation and symbols apart. Needs utf8proc */
    SOMA_BLEU_CHAR, /* characters */
    SOMA_BLEU_NONE  /* at spaces only */
} soma_bleu_tokens;

#define SOMA_BLEU_ORDER 4

typedef struct soma_bleu_options {
    soma_bleu_tokens tokens;
    bool lowercase; /* needs utf8proc */
} soma_bleu_options;

typedef struct soma_bleu_score {
    double score;                       /* 0 to 100 */
    double precisions[SOMA_BLEU_ORDER]; /* percent; smoothed where nothing matched */
    double brevity;                     /* the penalty for texts that are too short, 0 to 1 */
    int64_t length, reference_length;   /* tokens; of several references the nearest in length */
} soma_bleu_score;

/* BLEU of a corpus (Papineni et al. 2002): texts [count], references [reference_count][count], one
 * whole set after the other. An n-gram order without a match counts 1/2, 1/4, … of one (method 3 of
 * Chen and Cherry 2014, sacrebleu's "exp"); with no match at all the score is 0. */
SOMA_MUST_CHECK SOMA_API soma_status soma_bleu(soma_bleu_score *out, const soma_text *texts,
                                               const soma_text *references, int64_t count,
                                               int reference_count,
                                               const soma_bleu_options *options, soma_error *err);

typedef struct soma_chrf_options {
    int character_order; /* 0: 6 */
    int word_order;      /* 0: none; 2 makes it chrF++ */
    double beta;         /* recall counts beta times as much as precision; 0: 2 */
    bool lowercase;      /* needs utf8proc */
} soma_chrf_options;

/* chrF of a corpus (Popović 2015, 2017), 0 to 100; of several references the one that scores best.
 * SOMA_INVALID too for orders that are not 0 to 16. */
SOMA_MUST_CHECK SOMA_API soma_status soma_chrf(double *out, const soma_text *texts,
                                               const soma_text *references, int64_t count,
                                               int reference_count,
                                               const soma_chrf_options *options, soma_error *err);

/* Edits that make `truth` of what was said, the fewest; among equals those with most hits. */
typedef struct soma_error_rate {
    double rate; /* edits / length of the truth, can be above 1; NaN where that is empty */
    int64_t hits, substitutions, deletions, insertions;
} soma_error_rate;
/* Of words (at spaces), of characters (code points, spaces at both ends left out), over `count`
 * pairs of texts. */
SOMA_MUST_CHECK SOMA_API soma_status soma_word_error_rate(soma_error_rate *out,
                                                          const soma_text *truth,
                                                          const soma_text *said, int64_t count,
                                                          soma_error *err);
SOMA_MUST_CHECK SOMA_API soma_status soma_character_error_rate(soma_error_rate *out,
                                                               const soma_text *truth,
                                                               const soma_text *said, int64_t count,
                                                               soma_error *err);

/* Spans of words that tags mark: B-x begins one of type x, I-x goes on, O is outside; E-x and S-x
 * (end, single) are understood. As conlleval: an I-x after O or after another type begins one. */
typedef struct soma_span_scores {
    soma_class_scores all; /* over all spans; precision NaN where none was predicted, recall where
                              none was there */
    double macro_f1;       /* mean over the types; NaN without any */
    int type_count;
    char **type;               /* sorted by their bytes */
    soma_class_scores *scores; /* of each type */
} soma_span_scores;
/* Tags of `count` sentences, one after the other; sentence i has lengths[i]. To be cleared. */
SOMA_MUST_CHECK SOMA_API soma_status soma_spans(soma_span_scores *out, const char *const *truth,
                                                const char *const *predicted,
                                                const int64_t *lengths, int64_t count,
                                                soma_error *err);
SOMA_API void soma_span_scores_clear(soma_span_scores *scores);

#ifdef __cplusplus
}
#endif
#endif
