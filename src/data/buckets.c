/* buckets.c: batches of sequences of a like length, cut to it. Few lengths, so that each has a plan
 * of its own. */
#include "data/buckets.h"

#include <string.h>

#include "data/dataset.h"

/* Samples that are read at once to look at their lengths. */
#define PIECE 64

/* Steps up to the last one that is not all zeros. */
static int64_t length_of(const float *x, int64_t steps, int64_t width)
{
    int64_t cells = steps * width;
    while (cells > 0 && x[cells - 1] == 0.0F)
        cells--;
    return (cells + width - 1) / width;
}

static soma_status measure(soma__buckets *b, const soma_dataset *dataset, soma_error *err)
{
    const int64_t steps = b->lengths[b->count - 1];
    const int64_t width = (int64_t)(b->x_step / sizeof(float));
    int64_t index[PIECE];
    float *x = soma__calloc(PIECE, dataset->x_bytes);
    void *y = soma__calloc(PIECE, dataset->y_bytes + 1);
    soma_status status = SOMA_OK;
    if (!x || !y)
        status = soma__fail(err, SOMA_MEMORY, "no memory to look at the lengths of samples");
    for (int64_t at = 0; status == SOMA_OK && at < b->samples; at += PIECE) {
        int64_t count = b->samples - at < PIECE ? b->samples - at : PIECE;
        for (int64_t i = 0; i < count; i++)
            index[i] = at + i;
        status = soma_dataset_read(dataset, index, count, x, y, err);
        for (int64_t i = 0; status == SOMA_OK && i < count; i++) {
            const int64_t length = length_of(x + i * steps * width, steps, width);
            while (b->lengths[b->of_sample[at + i]] < length)
                b->of_sample[at + i]++;
        }
    }
    soma__free(x);
    soma__free(y);
    return status;
}

bool soma__buckets_cut_targets(const soma_dataset *dataset)
{
    const soma_shape *x = &dataset->x_shape, *y = &dataset->y_shape;
    return dataset->y_dtype == SOMA_I64 && x->ndim && y->ndim && y->dim[0] == x->dim[0];
}

static bool is_transformed(const soma_dataset *dataset)
{
    for (; dataset; dataset = dataset->parent)
        if (dataset->pipeline)
            return true;
    return false;
}

static soma_status check(const soma_dataset *dataset, const int64_t *lengths, int count,
                         soma_error *err)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    const soma_shape *x = &dataset->x_shape;
    if (count > SOMA_BUCKETS || !lengths)
        return soma__fail(err, SOMA_INVALID, "a loader has at most %d buckets, not %d",
                          SOMA_BUCKETS, count);
    if (dataset->x_dtype != SOMA_F32)
        return soma__fail(err, SOMA_DTYPE, "buckets are for samples of f32, these are %s",
                          soma_dtype_text(dataset->x_dtype));
    if (x->ndim < 1 || dataset->x_bytes == 0)
        return soma__fail(err, SOMA_SHAPE, "buckets are for sequences [T…], samples are %s",
                          soma_shape_text(x, text, sizeof text));
    if (is_transformed(dataset))
        return soma__fail(err, SOMA_INVALID,
                          "samples that transforms change have no lengths to sort them by: leave "
                          "out the buckets or the transforms");
    for (int i = 0; i < count; i++)
        if (lengths[i] <= (i ? lengths[i - 1] : 0) || lengths[i] > x->dim[0])
            return soma__fail(err, SOMA_INVALID,
                              "bucket %d: lengths rise from 1 to at most %lld steps, got %lld",
                              i + 1, (long long)x->dim[0], (long long)lengths[i]);
    return SOMA_OK;
}

int soma__buckets_lengths(int64_t out[SOMA_BUCKETS + 1], const int64_t *lengths, int count,
                          int64_t steps)
{
    for (int i = 0; i < count; i++)
        out[i] = lengths[i];
    if (count == 0 || out[count - 1] < steps)
        out[count++] = steps;
    return count;
}

soma_status soma__buckets_create(soma__buckets *out, const soma_dataset *dataset,
                                 const int64_t *lengths, int count, int64_t batch, soma_error *err)
{
    *out = (soma__buckets){0};
    SOMA__TRY(check(dataset, lengths, count, err));
    const int64_t steps = dataset->x_shape.dim[0];
    soma__buckets b = {.samples = dataset->count, .batch = batch};
    b.count = soma__buckets_lengths(b.lengths, lengths, count, steps);
    b.x_step = dataset->x_bytes / (size_t)steps;
    if (soma__buckets_cut_targets(dataset))
        b.y_step = dataset->y_bytes / (size_t)steps;
    const size_t samples = (size_t)b.samples, batches = (size_t)(b.samples / batch) + 1;
    b.of_sample = soma__calloc(samples, sizeof *b.of_sample);
    b.of_batch = soma__calloc(batches, sizeof *b.of_batch);
    b.scratch = soma__calloc(samples, sizeof *b.scratch);
    b.turns = soma__calloc(batches, sizeof *b.turns);
    soma_status status = SOMA_OK;
    if (!b.of_sample || !b.of_batch || !b.scratch || !b.turns)
        status = soma__fail(err, SOMA_MEMORY, "no memory for buckets of %zu samples", samples);
    if (status == SOMA_OK)
        status = measure(&b, dataset, err);
    if (status != SOMA_OK) {
        soma__buckets_clear(&b);
        return status;
    }
    *out = b;
    return SOMA_OK;
}

void soma__buckets_clear(soma__buckets *b)
{
    soma__free(b->of_sample);
    soma__free(b->of_batch);
    soma__free(b->scratch);
    soma__free(b->turns);
    *b = (soma__buckets){0};
}

void soma__buckets_arrange(soma__buckets *b, const soma__rng_key *key, int64_t *order)
{
    const int64_t full = b->samples / b->batch;
    int64_t at = 0;
    for (int k = 0; k < b->count; k++)
        for (int64_t i = 0; i < b->samples; i++)
            if (b->of_sample[order[i]] == k)
                b->scratch[at++] = order[i];
    soma__rng_permutation(key, full, b->turns);
    b->turns[full] = full;
    for (int64_t i = 0; i * b->batch < b->samples; i++) {
        const int64_t from = b->turns[i] * b->batch;
        const int64_t left = b->samples - from, count = left < b->batch ? left : b->batch;
        memcpy(order + i * b->batch, b->scratch + from, (size_t)count * sizeof *order);
        /* They are sorted: the last one is the longest. */
        b->of_batch[i] =
            i < full ? b->of_sample[b->scratch[from + count - 1]] : (uint8_t)(b->count - 1);
    }
}

/* Rows of `steps` steps become rows of `kept`, in place. */
static void cut_rows(char *rows, int64_t count, size_t step, int64_t steps, int64_t kept)
{
    for (int64_t i = 1; i < count; i++)
        memmove(rows + (size_t)(i * kept) * step, rows + (size_t)(i * steps) * step,
                (size_t)kept * step);
}

int64_t soma__buckets_cut(const soma__buckets *b, int64_t batch, int64_t count, void *x, void *y)
{
    const int64_t steps = b->lengths[b->count - 1], kept = b->lengths[b->of_batch[batch]];
    if (kept < steps) {
        cut_rows(x, count, b->x_step, steps, kept);
        if (b->y_step)
            cut_rows(y, count, b->y_step, steps, kept);
    }
    return kept;
}
