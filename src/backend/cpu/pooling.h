/* pooling.h: pooling of N H W C images, vectorised over channels. */
#ifndef SOMA__POOLING_H
#define SOMA__POOLING_H

#include "backend/cpu/isa.h"

/* A row of windows that are alike. Each sees a rectangle of cells of one image: rows × cols of
 * them, `channels` used of each; a cell is `cell` floats wide, a row `row` floats. The next window
 * lies `step` floats further on, and its result `out` floats. */
typedef struct soma__cells {
    int64_t rows, cols, row, cell, channels;
    int64_t windows, step, out;
} soma__cells;

struct soma__isa_pool {
    /* y = the largest of each channel of x; NaN is the largest. */
    void (*max)(const float *x, const soma__cells *in, float *y);
    /* y = t where x is largest (the first of equal ones). */
    void (*pick)(const float *x, const float *t, const soma__cells *in, float *y);
    /* Adds dy to dx where x is largest; with `alone` no other window sees these cells, and dx,
     * which may hold anything, becomes dy there and 0 elsewhere. */
    void (*max_grad)(const float *x, const float *dy, const soma__cells *in, bool alone, float *dx);
    /* y = Σ x · scale. */
    void (*average)(const float *x, const soma__cells *in, float scale, float *y);
    /* y += x · scale, `channels` of them. */
    void (*add)(const float *x, int64_t channels, float scale, float *y);
};

#endif
