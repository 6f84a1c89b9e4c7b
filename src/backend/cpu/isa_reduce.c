/* isa_reduce.c: the loops of reduce.h. The order of additions depends on sizes and vector width
 * only. */
#include "backend/cpu/reduce.h"
#include "backend/cpu/vmath.h"

extern const struct soma__isa_reduce SOMA__ISA_NAME(soma__isa_reduce);

VF_INLINE vf fold_two(soma__fold fold, vf a, vf b)
{
    if (fold == SOMA__FOLD_SUM)
        return a + b;
    if (fold == SOMA__FOLD_MAX)
        return vf_maximum(a, b);
    return vf_minimum(a, b);
}

/* --- rows ---------------------------------------------------------------------------------------
 */

/* Longest run that is summed in f32: its four vectors of partial sums take few additions each. */
#define RUN (64 * VF_WIDTH)

static float sum_row(const float *x, int64_t n)
{
    double total = 0;
    int64_t i = 0;
    while (n - i >= 4 * VF_WIDTH) {
        int64_t end = n - i < RUN ? n : i + RUN;
        vf a = vf_zero(), b = a, c = a, d = a;
        for (; i + 4 * VF_WIDTH <= end; i += 4 * VF_WIDTH) {
            a += vf_load(x + i);
            b += vf_load(x + i + VF_WIDTH);
            c += vf_load(x + i + 2 * VF_WIDTH);
            d += vf_load(x + i + 3 * VF_WIDTH);
        }
        total += (double)vf_sum((a + b) + (c + d));
    }
    vf a = vf_zero();
    for (; i + VF_WIDTH <= n; i += VF_WIDTH)
        a += vf_load(x + i);
    if (i < n)
        a += vf_load_part(x + i, n - i);
    return (float)(total + (double)vf_sum(a));
}

/* The extreme of the lanes. */
static float fold_lanes(soma__fold fold, vf a)
{
    float t[VF_WIDTH];
    vf_store(t, a);
    float best = t[0];
    for (int i = 1; i < VF_WIDTH; i++) {
        bool beats = fold == SOMA__FOLD_MAX ? t[i] > best : t[i] < best;
        best = isnan(best) ? best : beats || isnan(t[i]) ? t[i] : best;
    }
    return best;
}

VF_INLINE float extreme_row(soma__fold fold, const float *x, int64_t n)
{
    vf a = vf_set1(x[0]), b = a;
    int64_t i = 0;
    for (; i + 2 * VF_WIDTH <= n; i += 2 * VF_WIDTH) {
        a = fold_two(fold, a, vf_load(x + i));
        b = fold_two(fold, b, vf_load(x + i + VF_WIDTH));
    }
    a = fold_two(fold, a, b);
    for (; i < n; i += VF_WIDTH) {
        /* Lanes beyond the end repeat what is there already. */
        int64_t k = n - i < VF_WIDTH ? n - i : VF_WIDTH;
        a = fold_two(fold, a, vf_select(vm_first(k), vf_load_part(x + i, k), a));
    }
    return fold_lanes(fold, a);
}

/* Four products side by side, multiplied at the end. */
static float prod_row(const float *x, int64_t n)
{
    double p[4] = {1, 1, 1, 1};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; k++)
            p[k] *= (double)x[i + k];
    for (; i < n; i++)
        p[0] *= (double)x[i];
    return (float)((p[0] * p[1]) * (p[2] * p[3]));
}

static void fold_rows(soma__fold fold, const float *x, int64_t rows, int64_t n, int64_t ld,
                      float *y)
{
    if (fold == SOMA__FOLD_SUM)
        for (int64_t r = 0; r < rows; r++)
            y[r] = sum_row(x + r * ld, n);
    else if (fold == SOMA__FOLD_MAX)
        for (int64_t r = 0; r < rows; r++)
            y[r] = extreme_row(SOMA__FOLD_MAX, x + r * ld, n);
    else if (fold == SOMA__FOLD_PROD)
        for (int64_t r = 0; r < rows; r++)
            y[r] = prod_row(x + r * ld, n);
    else
        for (int64_t r = 0; r < rows; r++)
            y[r] = extreme_row(SOMA__FOLD_MIN, x + r * ld, n);
}

/* --- columns -------------------------------------------------------------------------------------
 */

/* Rows that are summed before the sum is added to the total. */
#define STRIP_ROWS 32
/* Vectors of a panel of columns, held in registers over a strip of rows. */
#define PANEL 8

VF_INLINE void panel(soma__fold fold, const float *x, int64_t rows, int64_t ld, float *y)
{
    vf acc[PANEL];
    for (int64_t r = 0; r < rows;) {
        int64_t end = rows - r < STRIP_ROWS ? rows : r + STRIP_ROWS;
        bool first = r == 0;
        for (int v = 0; v < PANEL; v++)
            acc[v] = vf_load(x + r * ld + v * VF_WIDTH);
        for (r++; r < end; r++)
            for (int v = 0; v < PANEL; v++)
                acc[v] = fold_two(fold, acc[v], vf_load(x + r * ld + v * VF_WIDTH));
        for (int v = 0; v < PANEL; v++)
            vf_store(y + v * VF_WIDTH,
                     first ? acc[v] : fold_two(fold, vf_load(y + v * VF_WIDTH), acc[v]));
    }
}

/* One vector of columns, the first k of them. */
VF_INLINE void few_columns(soma__fold fold, const float *x, int64_t rows, int64_t ld, float *y,
                           int64_t k)
{
    vf total = vf_zero();
    for (int64_t r = 0; r < rows;) {
        int64_t end = rows - r < STRIP_ROWS ? rows : r + STRIP_ROWS;
        bool first = r == 0;
        vf acc = vf_load_part(x + r * ld, k);
        for (r++; r < end; r++)
            acc = fold_two(fold, acc, vf_load_part(x + r * ld, k));
        total = first ? acc : fold_two(fold, total, acc);
    }
    vf_store_part(y, total, k);
}

VF_INLINE void all_columns(soma__fold fold, const float *x, int64_t rows, int64_t n, int64_t ld,
                           float *y)
{
    int64_t i = 0;
    for (; i + PANEL * VF_WIDTH <= n; i += PANEL * VF_WIDTH)
        panel(fold, x + i, rows, ld, y + i);
    for (; i < n; i += VF_WIDTH)
        few_columns(fold, x + i, rows, ld, y + i, n - i < VF_WIDTH ? n - i : VF_WIDTH);
}

static void prod_columns(const float *x, int64_t rows, int64_t n, int64_t ld, float *y)
{
    enum { SOME = 64 };
    for (int64_t i = 0; i < n; i += SOME) {
        const int64_t k = n - i < SOME ? n - i : SOME;
        double p[SOME];
        for (int64_t c = 0; c < k; c++)
            p[c] = 1;
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < k; c++)
                p[c] *= (double)x[r * ld + i + c];
        for (int64_t c = 0; c < k; c++)
            y[i + c] = (float)p[c];
    }
}

static void fold_columns(soma__fold fold, const float *x, int64_t rows, int64_t n, int64_t ld,
                         float *y)
{
    if (fold == SOMA__FOLD_SUM)
        all_columns(SOMA__FOLD_SUM, x, rows, n, ld, y);
    else if (fold == SOMA__FOLD_MAX)
        all_columns(SOMA__FOLD_MAX, x, rows, n, ld, y);
    else if (fold == SOMA__FOLD_PROD)
        prod_columns(x, rows, n, ld, y);
    else
        all_columns(SOMA__FOLD_MIN, x, rows, n, ld, y);
}

/* --- deviations ----------------------------------------------------------------------------------
 */

static void centred_columns(const float *x, int64_t rows, int64_t n, int64_t ld, const float *shift,
                            float *sum, float *squares)
{
    for (int64_t i = 0; i < n; i += VF_WIDTH) {
        const int64_t k = n - i < VF_WIDTH ? n - i : VF_WIDTH;
        const vf from = vf_load_part(shift + i, k);
        vf s = vf_zero(), q = s, t = s, u = s;
        int64_t r = 0;
        if (k == VF_WIDTH)
            for (; r + 2 <= rows; r += 2) {
                vf a = vf_load(x + r * ld + i) - from, b = vf_load(x + (r + 1) * ld + i) - from;
                s += a;
                t += b;
                q = vf_fma(a, a, q);
                u = vf_fma(b, b, u);
            }
        for (; r < rows; r++) {
            vf a = vf_load_part(x + r * ld + i, k) - from;
            s += a;
            q = vf_fma(a, a, q);
        }
        vf_store_part(sum + i, vf_load_part(sum + i, k) + (s + t), k);
        vf_store_part(squares + i, vf_load_part(squares + i, k) + (q + u), k);
    }
}

static void centred_rows(const float *x, int64_t rows, int64_t n, int64_t ld, const float *shift,
                         float *sum, float *squares)
{
    for (int64_t r = 0; r < rows; r++, x += ld) {
        const vf from = vf_set1(shift[r]);
        vf s = vf_zero(), q = s, t = s, u = s;
        int64_t i = 0;
        for (; i + 2 * VF_WIDTH <= n; i += 2 * VF_WIDTH) {
            vf a = vf_load(x + i) - from, b = vf_load(x + i + VF_WIDTH) - from;
            s += a;
            t += b;
            q = vf_fma(a, a, q);
            u = vf_fma(b, b, u);
        }
        for (; i < n; i += VF_WIDTH) {
            int64_t k = n - i < VF_WIDTH ? n - i : VF_WIDTH;
            vf a = vf_select(vm_first(k), vf_load_part(x + i, k) - from, vf_zero());
            s += a;
            q = vf_fma(a, a, q);
        }
        sum[r] += vf_sum(s + t);
        squares[r] += vf_sum(q + u);
    }
}

/* --- argmax, argmin
 * --------------------------------------------------------------------------------------- */

/* Finds the value first and then where it is: two fast passes over a row that is in the cache. */
static void arg_rows(soma__fold fold, const float *x, int64_t rows, int64_t n, int64_t ld,
                     int64_t *y)
{
    for (int64_t r = 0; r < rows; r++, x += ld) {
        float best = fold == SOMA__FOLD_MAX ? extreme_row(SOMA__FOLD_MAX, x, n)
                                            : extreme_row(SOMA__FOLD_MIN, x, n);
        vf value = vf_set1(best);
        int64_t i = 0;
        if (!isnan(best))
            while (i + VF_WIDTH <= n && !vm_any(vf_eq(vf_load(x + i), value)))
                i += VF_WIDTH;
        while (i + 1 < n && !(isnan(best) ? isnan(x[i]) : x[i] == best))
            i++;
        y[r] = i;
    }
}

static void arg_columns(soma__fold fold, const float *x, int64_t rows, int64_t n, int64_t ld,
                        int64_t *y)
{
    for (int64_t i = 0; i < n; i += VF_WIDTH) {
        int64_t k = n - i < VF_WIDTH ? n - i : VF_WIDTH;
        float t[VF_WIDTH], best[VF_WIDTH];
        vf_store(best, vf_load_part(x + i, k));
        for (int64_t c = 0; c < k; c++)
            y[i + c] = 0;
        for (int64_t r = 1; r < rows; r++) {
            vf_store(t, vf_load_part(x + r * ld + i, k));
            for (int64_t c = 0; c < k; c++)
                if (!isnan(best[c]) &&
                    ((fold == SOMA__FOLD_MAX ? t[c] > best[c] : t[c] < best[c]) || isnan(t[c]))) {
                    best[c] = t[c];
                    y[i + c] = r;
                }
        }
    }
}

static void divide(float *x, int64_t n, float divisor)
{
    vf d = vf_set1(divisor);
    int64_t i = 0;
    for (; i + VF_WIDTH <= n; i += VF_WIDTH)
        vf_store(x + i, vf_load(x + i) / d);
    for (; i < n; i++)
        x[i] /= divisor;
}

const struct soma__isa_reduce SOMA__ISA_NAME(soma__isa_reduce) = {
    .rows = fold_rows,
    .columns = fold_columns,
    .arg_rows = arg_rows,
    .arg_columns = arg_columns,
    .centred_columns = centred_columns,
    .centred_rows = centred_rows,
    .divide = divide,
};
