/* reduce.h: sums and extremes over rows and columns of a matrix. */
#ifndef SOMA__REDUCE_H
#define SOMA__REDUCE_H

#include "backend/cpu/isa.h"

/* x [rows,n], row r at x + r·ld. Sums go in runs of bounded length whose totals are added in double
 * (rows) or f32 (columns), so the error grows far slower than with one running sum. A NaN is the
 * largest and the smallest of its row. Products are made in double. Rows and n are at least 1. */
struct soma__isa_reduce {
    /* fold: SUM, MAX, MIN or PROD */
    void (*rows)(soma__fold fold, const float *x, int64_t rows, int64_t n, int64_t ld, float *y);
    void (*columns)(soma__fold fold, const float *x, int64_t rows, int64_t n, int64_t ld, float *y);
    /* Where the first largest (MAX) or smallest (MIN) is, or the first NaN. */
    void (*arg_rows)(soma__fold fold, const float *x, int64_t rows, int64_t n, int64_t ld,
                     int64_t *y);
    void (*arg_columns)(soma__fold fold, const float *x, int64_t rows, int64_t n, int64_t ld,
                        int64_t *y);
    /* Adds to sum and squares what x - shift and its square add up to, one of each per column or
     * per row. Against a shift near the mean nothing cancels. */
    void (*centred_columns)(const float *x, int64_t rows, int64_t n, int64_t ld, const float *shift,
                            float *sum, float *squares);
    void (*centred_rows)(const float *x, int64_t rows, int64_t n, int64_t ld, const float *shift,
                         float *sum, float *squares);
    void (*divide)(float *x, int64_t n, float divisor);
};

#endif
