/* softmax.h: softmax, its logarithm and cross-entropy over rows or columns of a matrix. */
#ifndef SOMA__SOFTMAX_H
#define SOMA__SOFTMAX_H

#include "backend/cpu/isa.h"

struct soma__isa_softmax {
    /* Along each of the rows of x [rows,n], or of its logarithm. */
    void (*rows)(bool logarithm, const float *x, int64_t rows, int64_t n, float *y);
    /* Along each column of [rows,n]; row r of x and y at r·ld. */
    void (*columns)(bool logarithm, const float *x, int64_t rows, int64_t n, int64_t ld, float *y);
    /* y[r] = log Σ e^x[r] - x[r][label[r]]; NaN for a label out of [0,n). */
    void (*cross_entropy)(const float *x, const int64_t *label, int64_t rows, int64_t n, float *y);
};

#endif
