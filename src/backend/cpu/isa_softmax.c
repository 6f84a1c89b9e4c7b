/* isa_softmax.c: the loops of softmax.h. The largest value is taken off before the exponential, so
 * that nothing overflows; a NaN anywhere in a row makes all of it NaN. */
#include "backend/cpu/softmax.h"
#include "backend/cpu/vmath.h"

extern const struct soma__isa_softmax SOMA__ISA_NAME(soma__isa_softmax);

static float largest(const float *x, int64_t n)
{
    vf best = vf_set1(x[0]);
    int64_t i = 0;
    for (; i + VF_WIDTH <= n; i += VF_WIDTH)
        best = vf_maximum(best, vf_load(x + i));
    if (i < n)
        best = vf_maximum(best, vf_select(vm_first(n - i), vf_load_part(x + i, n - i), best));
    return vf_maximum_lane(best);
}

/* Vectors whose sum is kept in f32 before it is added to the total in double. */
#define RUN 64

/* Σ e^(x - most); with y, the terms are kept there. */
VF_INLINE double sum_exp(const float *x, int64_t n, float most, float *y)
{
    vf m = vf_set1(most);
    double total = 0;
    int64_t i = 0;
    while (i < n) {
        int64_t end = n - i < RUN * VF_WIDTH ? n : i + RUN * VF_WIDTH;
        vf sum = vf_zero();
        for (; i + VF_WIDTH <= end; i += VF_WIDTH) {
            vf e = vf_exp(vf_load(x + i) - m);
            if (y)
                vf_store(y + i, e);
            sum += e;
        }
        if (i < end) {
            vf e = vf_exp(vf_load_part(x + i, end - i) - m);
            if (y)
                vf_store_part(y + i, e, end - i);
            sum += vf_select(vm_first(end - i), e, vf_zero());
            i = end;
        }
        total += (double)vf_sum(sum);
    }
    return total;
}

/* y = x · scale or x - shift. */
VF_INLINE void finish(bool logarithm, const float *x, int64_t n, vf by, vf by2, float *y)
{
    int64_t i = 0;
    for (; i + VF_WIDTH <= n; i += VF_WIDTH) {
        vf v = vf_load(x + i);
        vf_store(y + i, logarithm ? (v - by) - by2 : v * by);
    }
    if (i < n) {
        vf v = vf_load_part(x + i, n - i);
        vf_store_part(y + i, logarithm ? (v - by) - by2 : v * by, n - i);
    }
}

static void softmax_rows(bool logarithm, const float *x, int64_t rows, int64_t n, float *y)
{
    for (int64_t r = 0; r < rows; r++, x += n, y += n) {
        float most = largest(x, n);
        if (logarithm) {
            double sum = sum_exp(x, n, most, NULL);
            finish(true, x, n, vf_set1(most), vf_set1((float)log(sum)), y);
        } else {
            double sum = sum_exp(x, n, most, y);
            finish(false, y, n, vf_set1((float)(1 / sum)), vf_zero(), y);
        }
    }
}

/* k columns side by side in a vector. */
VF_INLINE void few_columns(bool logarithm, const float *x, int64_t rows, int64_t ld, float *y,
                           int64_t k)
{
    vf most = vf_load_part(x, k);
    for (int64_t r = 1; r < rows; r++)
        most = vf_maximum(most, vf_load_part(x + r * ld, k));
    vf total = vf_zero();
    for (int64_t r = 0; r < rows;) {
        int64_t end = rows - r < RUN ? rows : r + RUN;
        vf sum = vf_zero();
        for (; r < end; r++) {
            vf e = vf_exp(vf_load_part(x + r * ld, k) - most);
            if (!logarithm)
                vf_store_part(y + r * ld, e, k);
            sum += e;
        }
        total += sum;
    }
    vf by;
    if (logarithm)
        by = vf_log(total);
    else
        by = vf_set1(1) / total;
    for (int64_t r = 0; r < rows; r++) {
        vf v = logarithm ? (vf_load_part(x + r * ld, k) - most) - by
                         : vf_load_part(y + r * ld, k) * by;
        vf_store_part(y + r * ld, v, k);
    }
}

static void softmax_columns(bool logarithm, const float *x, int64_t rows, int64_t n, int64_t ld,
                            float *y)
{
    for (int64_t i = 0; i < n; i += VF_WIDTH) {
        int64_t k = n - i < VF_WIDTH ? n - i : VF_WIDTH;
        if (logarithm)
            few_columns(true, x + i, rows, ld, y + i, k);
        else
            few_columns(false, x + i, rows, ld, y + i, k);
    }
}

static void cross_entropy(const float *x, const int64_t *label, int64_t rows, int64_t n, float *y)
{
    for (int64_t r = 0; r < rows; r++, x += n) {
        if (label[r] < 0 || label[r] >= n) {
            y[r] = (float)NAN;
            continue;
        }
        float most = largest(x, n);
        double sum = sum_exp(x, n, most, NULL);
        y[r] = (float)(log(sum) + ((double)most - (double)x[label[r]]));
    }
}

const struct soma__isa_softmax SOMA__ISA_NAME(soma__isa_softmax) = {
    .rows = softmax_rows,
    .columns = softmax_columns,
    .cross_entropy = cross_entropy,
};
