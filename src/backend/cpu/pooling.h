/* pooling.h: pooling of N H W C images, vectorised over channels. */
#ifndef SOMA__POOLING_H
#define SOMA__POOLING_H

#include "backend/cpu/isa.h"

/* A rectangle of cells of one image: rows × cols of them, `channels` used of each; a cell is `cell`
 * floats wide, a row `row` floats. */
typedef struct soma__cells {
    int64_t rows, cols, row, cell, channels;
} soma__cells;

struct soma__isa_pool {
    /* y = the largest of each channel of x; NaN is the largest. */
    void (*max)(const float *x, const soma__cells *in, float *y);
    /* y = t where x is largest (the first of equal ones). */
    void (*pick)(const float *x, const float *t, const soma__cells *in, float *y);
    /* Adds dy to dx where x is largest. */
    void (*max_grad)(const float *x, const float *dy, const soma__cells *in, float *dx);
    /* y = Σ x · scale. */
    void (*average)(const float *x, const soma__cells *in, float scale, float *y);
    /* y += x · scale, `channels` of them. */
    void (*add)(const float *x, int64_t channels, float scale, float *y);
};

#endif
