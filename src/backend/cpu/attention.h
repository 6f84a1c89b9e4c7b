/* attention.h: what attention does to a row of scores: one query, a block of keys. */
#ifndef SOMA__CPU_ATTENTION_H
#define SOMA__CPU_ATTENTION_H

#include "backend/cpu/isa.h"

typedef struct soma__scores {
    float *x;            /* products q · k on the way in */
    int64_t count, seen; /* cells of the row; the first `seen` count */
    float scale;
    const float *mask; /* added; NULL: none */
    int64_t mask_step; /* 0 or 1 */
    float slope;       /* times |distance|, taken off; 0: none */
    float distance;    /* of the first key: query's place - key's */
} soma__scores;

struct soma__isa_attention {
    /* Products to scores, in place; the largest of those that are seen (-Inf: none; NaN wins). */
    float (*scores)(const soma__scores *s);
    /* x = e^(x - most) where seen, else 0; the sum. */
    float (*exps)(const soma__scores *s, float most);
    /* x *= by. */
    void (*scale)(float *x, int64_t count, float by);
    /* x = draw < p ? 0 : x · grow. */
    void (*drop)(float *x, const float *draw, int64_t count, float p, float grow);
    float (*dot)(const float *x, const float *y, int64_t count);
    /* dx = weight · (dx - delta) where seen, else 0. */
    void (*back)(const soma__scores *s, float *dx, float delta);
};

#endif
