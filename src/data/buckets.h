/* buckets.h: batches of sequences of a like length, cut to it. */
#ifndef SOMA__BUCKETS_H
#define SOMA__BUCKETS_H

#include "base/base.h"
#include "base/rng.h"
#include "soma/data.h"

/* Whether a data set's targets have a value for each step, so that they are cut with the samples.
 */
bool soma__buckets_cut_targets(const soma_dataset *dataset);

typedef struct soma__buckets {
    int64_t lengths[SOMA_BUCKETS + 1]; /* rising, the last one the samples' own */
    int count;                         /* 0: there are no buckets */
    int64_t samples, batch;            /* of the data set; in a batch */
    size_t x_step, y_step;             /* bytes of a step; of y 0: it is not cut */
    uint8_t *of_sample;                /* the bucket that holds a sample */
    uint8_t *of_batch;                 /* and that of a batch of the epoch under way */
    int64_t *scratch, *turns;
} soma__buckets;

/* The lengths that batches are cut to: the `count` given ones and, where the last is shorter, that
 * of the samples. Returns how many. */
int soma__buckets_lengths(int64_t out[SOMA_BUCKETS + 1], const int64_t *lengths, int count,
                          int64_t steps);
/* Reads all samples once, for their lengths. Errors: SOMA_INVALID (lengths that do not rise or are
 * beyond the samples', transforms), SOMA_SHAPE, SOMA_DTYPE (samples that are no sequences of f32),
 * those of reading, SOMA_MEMORY. */
soma_status soma__buckets_create(soma__buckets *out, const soma_dataset *dataset,
                                 const int64_t *lengths, int count, int64_t batch, soma_error *err);
void soma__buckets_clear(soma__buckets *buckets);

/* An order of samples becomes one in which batches have samples of a like length: sorted by bucket,
 * those of one bucket as they stood, then the full batches in an order drawn by `key`. What is left
 * over after them stays last and is not cut: batches have the sizes that they have without buckets,
 * and one of an odd size has one length. */
void soma__buckets_arrange(soma__buckets *buckets, const soma__rng_key *key, int64_t *order);

/* Steps of batch `batch` of the epoch; takes the steps beyond them out of its `count` samples. */
int64_t soma__buckets_cut(const soma__buckets *buckets, int64_t batch, int64_t count, void *x,
                          void *y);

#endif
