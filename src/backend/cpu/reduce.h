/* reduce.h: sums and extremes over rows and columns of a matrix. */
#ifndef SOMA__REDUCE_H
#define SOMA__REDUCE_H

#include "backend/cpu/isa.h"

typedef enum soma__fold {
    SOMA__FOLD_SUM,
    SOMA__FOLD_MAX,
    SOMA__FOLD_MIN,
    SOMA__FOLD_PROD
} soma__fold;

/* x [rows,n], row r at x + r·ld. Sums go in runs of bounded length whose totals are added in double
 * (rows) or f32 (columns), so the error grows far slower than with one running sum. A NaN is the
 * largest and the smallest of its row. Products are made in double. Rows and n are at least 1. */
struct soma__isa_reduce {
    void (*rows)(soma__fold fold, const float *x, int64_t rows, int64_t n, int64_t ld, float *y);
    void (*columns)(soma__fold fold, const float *x, int64_t rows, int64_t n, int64_t ld, float *y);
    /* Where the first largest (MAX) or smallest (MIN) is, or the first NaN. */
    void (*arg_rows)(soma__fold fold, const float *x, int64_t rows, int64_t n, int64_t ld,
                     int64_t *y);
    void (*arg_columns)(soma__fold fold, const float *x, int64_t rows, int64_t n, int64_t ld,
                        int64_t *y);
    void (*divide)(float *x, int64_t n, float divisor);
};

#endif
