/* isa_integer.c: products of integers (integer.h). Compiled once per instruction set; see isa.h. */
#include "backend/cpu/gemm.h"
#include "backend/cpu/integer.h"
#include "backend/cpu/simd.h"

extern const struct soma__isa_integer SOMA__ISA_NAME(soma__isa_integer);

#if VF_PAIRS

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#define MR 14
#define NR (2 * VF_WIDTH)

/* |v̂|₂ is at most this: so much less than 2¹⁵ that the roundings, each at most 1/2 and so √k / 2 in
 * all, fit below it for any k that there is memory for two operands of. */
#define LIMIT 31000.0F

/* --- tiles --------------------------------------------------------------------------------------
 */

/* `rows`, `vectors` (1 or 2) and `by_rows` (left_step is 1, else left_row is) are constants
 * wherever this is inlined. */
VF_INLINE void tile_sums(const soma__fixed_tile *t, const int rows, const int vectors,
                         const bool by_rows)
{
    const int64_t right_step = t->right_step;
    const int64_t left_row = by_rows ? t->left_row : 1, left_step = by_rows ? 1 : t->left_step;
    const int64_t last = t->cols - (vectors - 1) * VF_WIDTH; /* lanes of the last vector */
    vi sum[MR][2];
    const float *row[MR], *right = t->right;
    UNROLL
    for (int i = 0; i < rows; i++) {
        sum[i][0] = sum[i][1] = vi_set1(0);
        row[i] = t->left + i * left_row;
        __builtin_prefetch(t->c + i * t->c_step, 1);
    }
    for (int64_t k = 0; k < t->length; k++) {
        vi r0 = vf_bits(vectors == 2 ? vf_load(right) : vf_load_part(right, last)), r1 = r0;
        if (vectors == 2)
            r1 = vf_bits(last == VF_WIDTH ? vf_load(right + VF_WIDTH)
                                          : vf_load_part(right + VF_WIDTH, last));
        right += right_step;
        UNROLL
        for (int i = 0; i < rows; i++) {
            vi l = vf_bits(vf_set1(row[by_rows ? i : 0][by_rows ? k : k * left_step + i]));
            sum[i][0] = vi_dot_pairs(l, r0, sum[i][0]);
            if (vectors == 2)
                sum[i][1] = vi_dot_pairs(l, r1, sum[i][1]);
        }
    }
    vf s0 = vf_load_lanes(t->right_scale, vectors == 2 ? VF_WIDTH : last), s1 = s0;
    if (vectors == 2)
        s1 = vf_load_lanes(t->right_scale + VF_WIDTH, last);
    UNROLL
    for (int i = 0; i < rows; i++) {
        float *c = t->c + i * t->c_step;
        vf scale = vf_set1(t->left_scale[i]);
        UNROLL
        for (int v = 0; v < vectors; v++, c += VF_WIDTH) {
            const int64_t lanes = v + 1 < vectors ? VF_WIDTH : last;
            vf by = vf_mul(scale, v ? s1 : s0), x = vi_to_float(sum[i][v]);
            x = t->add ? vf_fma(x, by, vf_load_lanes(c, lanes)) : vf_mul(x, by);
            vf_store_lanes(c, x, lanes);
        }
    }
}

#define HEIGHTS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#define TILE_VARIANT(rows_)                                                                        \
    static void tile_##rows_(const soma__fixed_tile *t)                                            \
    {                                                                                              \
        if (t->cols > VF_WIDTH) {                                                                  \
            if (t->left_step == 1)                                                                 \
                tile_sums(t, rows_, 2, true);                                                      \
            else                                                                                   \
                tile_sums(t, rows_, 2, false);                                                     \
        } else {                                                                                   \
            if (t->left_step == 1)                                                                 \
                tile_sums(t, rows_, 1, true);                                                      \
            else                                                                                   \
                tile_sums(t, rows_, 1, false);                                                     \
        }                                                                                          \
    }
HEIGHTS(TILE_VARIANT)

static void fixed_tile(const soma__fixed_tile *t)
{
#define VARIANT(rows_) tile_##rows_,
    static void (*const variants[MR])(const soma__fixed_tile *) = {HEIGHTS(VARIANT)};
    variants[t->rows - 1](t);
}

/* --- rounding -----------------------------------------------------------------------------------
 */

/* Sums of squares outside of this range, or of NaN, are not to be trusted. */
#define LEAST_SQUARES 1e-28F
#define MOST_SQUARES 1e30F

static float fix_rows(int64_t points, const float *weight, const float *from, int64_t step,
                      int64_t count, float *to, int64_t to_step)
{
    /* A sum over lanes of each lane's largest is an upper bound, and one sum instead of many. */
    vf most = vf_zero();
    for (int64_t p = 0; p < points; p++) {
        vf squares = vf_zero();
        int64_t k = 0;
        for (; k + VF_WIDTH <= count; k += VF_WIDTH) {
            vf x = vf_load(from + p * step + k);
            squares = vf_fma(x, x, squares);
        }
        if (k < count) {
            vf x = vf_load_part(from + p * step + k, count - k);
            squares = vf_fma(x, x, squares);
        }
        most = vf_maximum(most, vf_mul(squares, vf_set1(weight[p] * weight[p])));
    }
    float squares = vf_sum(most), norm = sqrtf(squares);
    if (!(squares > LEAST_SQUARES && squares < MOST_SQUARES)) {
        vf largest = vf_zero();
        for (int64_t p = 0; p < points; p++)
            for (int64_t k = 0; k < count; k += VF_WIDTH) {
                int64_t lanes = count - k < VF_WIDTH ? count - k : VF_WIDTH;
                vf x = vf_load_lanes(from + p * step + k, lanes);
                largest = vf_maximum(largest, vf_abs(vf_mul(x, vf_set1(weight[p]))));
            }
        norm = vf_maximum_lane(largest) * sqrtf((float)count);
    }
    /* Of numbers this small the reciprocal is none; they count as zeros. */
    const float scale = norm > 1e-33F ? LIMIT / norm : 0;
    for (int64_t p = 0; p < points; p++) {
        const vf by = vf_set1(scale * weight[p]);
        int16_t *out = (int16_t *)(void *)(to + p * to_step);
        const float *x = from + p * step;
        int64_t k = 0;
        for (; k + VF_WIDTH <= count; k += VF_WIDTH)
            vi_store_i16(out + k, vf_to_int(vf_mul(vf_load(x + k), by)));
        if (k < count) {
            vi_store_i16(out + k, vf_to_int(vf_mul(vf_load_part(x + k, count - k), by)));
            k += VF_WIDTH;
        }
        if (k / VF_WIDTH % 2)
            vi_store_i16(out + k, vi_set1(0));
    }
    return norm / LIMIT;
}

static void fix_columns(const float *from, int64_t step, int64_t rows, int64_t cols, float *to,
                        int64_t to_step, float *scale)
{
    for (int64_t j = 0; j < cols; j += VF_WIDTH) {
        const int64_t lanes = cols - j < VF_WIDTH ? cols - j : VF_WIDTH;
        const float *x = from + j;
        vf squares = vf_zero();
        for (int64_t k = 0; k < rows; k++) {
            vf row = vf_load_lanes(x + k * step, lanes);
            squares = vf_fma(row, row, squares);
        }
        vf norm = vf_sqrt(squares);
        vm trusted =
            vm_and(vf_gt(squares, vf_set1(LEAST_SQUARES)), vf_lt(squares, vf_set1(MOST_SQUARES)));
        if (vm_any(vm_not(trusted))) {
            vf largest = vf_zero();
            for (int64_t k = 0; k < rows; k++)
                largest = vf_maximum(largest, vf_abs(vf_load_lanes(x + k * step, lanes)));
            norm = vf_select(trusted, norm, vf_mul(largest, vf_set1(sqrtf((float)rows))));
        }
        vf_store(scale + j, vf_mul(norm, vf_set1(1 / LIMIT)));
        vf by = vf_select(vf_gt(norm, vf_set1(1e-33F)), vf_div(vf_set1(LIMIT), norm), vf_zero());
        float *out = to + j;
        for (int64_t k = 0; k < rows; k += 2, out += to_step) {
            vi even = vf_to_int(vf_mul(vf_load_lanes(x + k * step, lanes), by)), odd = vi_set1(0);
            if (k + 1 < rows)
                odd = vf_to_int(vf_mul(vf_load_lanes(x + (k + 1) * step, lanes), by));
            vi pair = vi_or(vi_and(even, vi_set1(0xffff)), vi_shl(odd, 16));
            vf_store(out, vi_as_float(pair));
        }
    }
}

#endif

const struct soma__isa_integer SOMA__ISA_NAME(soma__isa_integer) = {
#if VF_PAIRS
    .fixed_tile = fixed_tile,
    .fix_rows = fix_rows,
    .fix_columns = fix_columns,
#else
    .fixed_tile = NULL,
#endif
};
