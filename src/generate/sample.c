/* sample.c: the next token. */
#include <math.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/mem.h"
#include "base/rng.h"
#include "generate/generate.h"

/* A token among the candidates: those with the highest scores first, of equal ones the lower id. */
typedef struct candidate {
    double score;
    int64_t id;
} candidate;

static int by_score(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->score > y->score || x->score < y->score)
        return x->score > y->score ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

soma_status soma__sampling_ok(const soma_sampling *o, soma_error *err)
{
    if (!(o->temperature >= 0) || isinf(o->temperature))
        return soma__fail(err, SOMA_INVALID,
                          "sampling: the temperature must be above 0, not %g; greedy takes the "
                          "likeliest token",
                          o->temperature);
    if (!(o->repetition_penalty >= 0) || isinf(o->repetition_penalty))
        return soma__fail(err, SOMA_INVALID,
                          "sampling: the repetition penalty must be above 0, not %g",
                          o->repetition_penalty);
    if (!(o->top_p >= 0 && o->top_p <= 1) || !(o->min_p >= 0 && o->min_p <= 1))
        return soma__fail(err, SOMA_INVALID, "sampling: top_p %g and min_p %g must be from 0 to 1",
                          o->top_p, o->min_p);
    if (o->top_k < 0)
        return soma__fail(err, SOMA_INVALID, "sampling: top_k cannot be negative (%lld)",
                          (long long)o->top_k);
    return SOMA_OK;
}

/* Scores with the penalty; a token is penalised once, however often it was there. */
static soma_status take_scores(candidate *c, const float *scores, int64_t count,
                               const soma_sampling *o, const int64_t *seen, int64_t seen_count,
                               soma_error *err)
{
    bool possible = false;
    for (int64_t i = 0; i < count; i++) {
        c[i] = (candidate){(double)scores[i], i};
        if (isnan(scores[i]) || (isinf(scores[i]) && scores[i] > 0))
            return soma__fail(err, SOMA_NUMERIC, "sampling: the score of token %lld is %s",
                              (long long)i, isnan(scores[i]) ? "NaN" : "infinite");
        possible |= isfinite(scores[i]);
    }
    if (!possible)
        return soma__fail(err, SOMA_NUMERIC, "sampling: no token is possible");
    const double penalty = o->repetition_penalty;
    for (int64_t i = 0; penalty > 0 && i < seen_count; i++) {
        if (seen[i] < 0 || seen[i] >= count)
            return soma__fail(err, SOMA_INVALID,
                              "sampling: token %lld is not one of the %lld of the vocabulary",
                              (long long)seen[i], (long long)count);
        const double score = (double)scores[seen[i]];
        c[seen[i]].score = score > 0 ? score / penalty : score * penalty;
    }
    return SOMA_OK;
}

/* How many of the sorted candidates, whose probabilities are p, are drawn from. */
static int64_t kept(const double *p, int64_t count, const soma_sampling *o)
{
    int64_t keep = count;
    if (o->top_k > 0 && o->top_k < keep)
        keep = o->top_k;
    double total = 0, sum = 0;
    for (int64_t i = 0; i < keep; i++)
        total += p[i];
    if (o->top_p > 0 && o->top_p < 1)
        for (int64_t i = 0; i < keep; i++) {
            sum += p[i];
            if (sum >= o->top_p * total)
                keep = i + 1;
        }
    for (int64_t i = 1; i < keep; i++)
        if (p[i] < o->min_p * p[0])
            keep = i;
    return keep;
}

/* The likeliest alone: nothing has to be sorted for it. */
static void greedy_chances(double *p, const candidate *c, int64_t count)
{
    const candidate *best = c;
    for (int64_t i = 1; i < count; i++)
        best = by_score(&c[i], best) < 0 ? &c[i] : best;
    for (int64_t i = 0; i < count; i++)
        p[i] = i == best->id;
}

static soma_status chances(double *p, candidate *c, const float *scores, int64_t count,
                           const soma_sampling *o, const int64_t *seen, int64_t seen_count,
                           soma_error *err)
{
    const double temperature = o->temperature > 0 ? o->temperature : 1;
    SOMA__TRY(take_scores(c, scores, count, o, seen, seen_count, err));
    if (o->greedy) {
        greedy_chances(p, c, count);
        return SOMA_OK;
    }
    qsort(c, (size_t)count, sizeof *c, by_score);
    for (int64_t i = 0; i < count; i++)
        p[i] = exp((c[i].score - c[0].score) / temperature);
    const int64_t keep = kept(p, count, o);
    double total = 0;
    for (int64_t i = 0; i < keep; i++)
        total += p[i];
    for (int64_t i = 0; i < count; i++)
        c[i].score = i < keep ? p[i] / total : 0;
    for (int64_t i = 0; i < count; i++)
        p[c[i].id] = c[i].score;
    return SOMA_OK;
}

soma_status soma_sample_chances(double *p, const float *scores, int64_t count,
                                const soma_sampling *how, const int64_t *seen, int64_t seen_count,
                                soma_error *err)
{
    static const soma_sampling plain;
    how = how ? how : &plain;
    if (count < 1)
        return soma__fail(err, SOMA_INVALID, "sampling: there are no tokens");
    SOMA__TRY(soma__sampling_ok(how, err));
    candidate *c = soma__calloc((size_t)count, sizeof *c);
    if (!c)
        return soma__fail(err, SOMA_MEMORY, "no memory to draw from %lld tokens", (long long)count);
    soma_status status = chances(p, c, scores, count, how, seen, seen_count, err);
    soma__free(c);
    return status;
}

soma_status soma_sample(int64_t *out, const float *scores, int64_t count, const soma_sampling *how,
                        const int64_t *seen, int64_t seen_count, uint64_t step, soma_error *err)
{
    const soma__rng_key key = {
        .seed = how ? how->seed : 0, .stream = soma__rng_stream("generate"), .step = step};
    double *p = soma__calloc((size_t)(count > 0 ? count : 1), sizeof *p);
    if (!p)
        return soma__fail(err, SOMA_MEMORY, "no memory to draw from %lld tokens", (long long)count);
    soma_status status = soma_sample_chances(p, scores, count, how, seen, seen_count, err);
    /* 48 bits: a token of chance 1e-9 is drawn as often as it should be. */
    const double high = (double)soma__rng_uniform(&key, 0),
                 low = (double)soma__rng_uniform(&key, 1);
    double left = high + low / (1 << 24);
    *out = 0;
    for (int64_t i = 0; status == SOMA_OK && i < count; i++) {
        if (!(p[i] > 0))
            continue;
        *out = i; /* the last possible one where rounding leaves something over */
        left -= p[i];
        if (left < 0)
            break;
    }
    soma__free(p);
    return status;
}
