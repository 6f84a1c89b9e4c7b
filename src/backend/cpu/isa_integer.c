/* isa_integer.c: products of integers (integer.h). Compiled once per instruction set; see isa.h. */
#include "backend/cpu/gemm.h"
#include "backend/cpu/integer.h"
#include "backend/cpu/simd.h"

extern const struct soma__isa_integer SOMA__ISA_NAME(soma__isa_integer);

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Those of isa_gemm.c, whose tiles share scratch with these. */
#if VF_WIDTH == 16
#define MR 14
#define HEIGHTS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#elif defined(__aarch64__)
#define MR 12
#define HEIGHTS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
#else
#define MR 6
#define HEIGHTS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#endif
#define NR (2 * VF_WIDTH)

/* --- bytes --------------------------------------------------------------------------------------
 */

VF_INLINE vi multiply(vi l, vi r, vi sum, const bool quads)
{
#if VF_PAIRS
    if (quads)
        return vi_dot_quads(l, r, sum);
#else
    (void)quads;
#endif
    return vi_dot_pairs(l, r, sum);
}

/* `rows` and `quads` are constants wherever this is inlined. */
VF_INLINE void byte_sums(const soma__integer_tile *t, const int rows, const bool quads)
{
    vi sum[MR][2];
    const int32_t *row[MR], *right = t->right;
    vi m0 = vi_load(t->minus), m1 = vi_load(t->minus + VF_WIDTH);
    UNROLL
    for (int i = 0; i < rows; i++) {
        sum[i][0] = sum[i][1] = vi_set1(0);
        row[i] = t->left + i * t->left_step;
    }
    for (int64_t k = 0; k < t->length; k++, right += NR) {
        vi r0 = vi_load(right), r1 = vi_load(right + VF_WIDTH);
        UNROLL
        for (int i = 0; i < rows; i++) {
            vi l = vi_set1(row[i][k]);
            sum[i][0] = multiply(l, r0, sum[i][0], quads);
            sum[i][1] = multiply(l, r1, sum[i][1], quads);
        }
    }
    const int64_t first = t->cols < VF_WIDTH ? t->cols : VF_WIDTH, rest = t->cols - first;
    UNROLL
    for (int i = 0; i < rows; i++) {
        int32_t *c = t->c + i * t->c_step;
        vi_store_part(c, vi_sub(sum[i][0], m0), first);
        if (rest > 0)
            vi_store_part(c + VF_WIDTH, vi_sub(sum[i][1], m1), rest);
    }
}

#define BYTES_VARIANT(rows_)                                                                       \
    static void pairs_##rows_(const soma__integer_tile *t)                                         \
    {                                                                                              \
        byte_sums(t, rows_, false);                                                                \
    }
HEIGHTS(BYTES_VARIANT)

static void tile_pairs(const soma__integer_tile *t)
{
#define PAIRS(rows_) pairs_##rows_,
    static void (*const variants[MR])(const soma__integer_tile *) = {HEIGHTS(PAIRS)};
    variants[t->rows - 1](t);
}

static void pack_pairs(int32_t *to, const soma__integer_panel *p)
{
    for (int64_t k = 0; k < p->depth; k += 2, to += NR) {
        int16_t *pair = (int16_t *)(void *)to;
        const int8_t *even = p->from + k * p->k_step, *odd = even + p->k_step;
        for (int64_t j = 0; j < p->cols; j++) {
            int zero = p->zero[j * p->zero_step];
            pair[2 * j] = (int16_t)(even[j * p->j_step] - zero);
            pair[2 * j + 1] = k + 1 < p->depth ? (int16_t)(odd[j * p->j_step] - zero) : 0;
        }
        memset(to + p->cols, 0, (size_t)(NR - p->cols) * sizeof *to);
    }
}

static void widen(int16_t *to, const uint8_t *from, int64_t count, int zero)
{
    for (int64_t i = 0; i < count; i++)
        to[i] = (int16_t)(from[i] - zero);
}

#if VF_PAIRS
#define QUADS_VARIANT(rows_)                                                                       \
    static void quads_##rows_(const soma__integer_tile *t)                                         \
    {                                                                                              \
        byte_sums(t, rows_, true);                                                                 \
    }
HEIGHTS(QUADS_VARIANT)

static void tile_quads(const soma__integer_tile *t)
{
#define QUADS(rows_) quads_##rows_,
    static void (*const variants[MR])(const soma__integer_tile *) = {HEIGHTS(QUADS)};
    variants[t->rows - 1](t);
}

/* Four neighbours of each of NR columns, of which `count` and `cols` are there. */
VF_INLINE void pack_four(int8_t *to, const soma__integer_panel *p, int64_t k, int64_t count,
                         int64_t cols, const bool by_rows)
{
    const int8_t *from = p->from + k * p->k_step;
    if (by_rows) {
        for (int64_t j = 0; j < cols; j++)
            memcpy(to + 4 * j, from + j * p->j_step, (size_t)count);
    } else {
        for (int64_t i = 0; i < count; i++)
            for (int64_t j = 0; j < cols; j++)
                to[4 * j + i] = from[i * p->k_step + j];
    }
}

static void pack_quads(int32_t *to, int32_t *sums, const soma__integer_panel *p)
{
    vi sum[2] = {vi_set1(0), vi_set1(0)};
    for (int64_t k = 0; k < p->depth; k += 4, to += NR) {
        const int64_t count = p->depth - k < 4 ? p->depth - k : 4;
        int8_t *quad = (int8_t *)(void *)to;
        if (count < 4 || p->cols < NR) {
            memset(to, 0, NR * sizeof *to);
            if (p->k_step == 1)
                pack_four(quad, p, k, count, p->cols, true);
            else
                pack_four(quad, p, k, count, p->cols, false);
        } else if (p->k_step == 1) {
            pack_four(quad, p, k, 4, NR, true);
        } else {
            pack_four(quad, p, k, 4, NR, false);
        }
        for (int v = 0; v < 2; v++)
            sum[v] = vi_dot_quads(vi_set1(0x01010101), vi_load(to + v * VF_WIDTH), sum[v]);
    }
    vi_store(sums, sum[0]);
    vi_store(sums + VF_WIDTH, sum[1]);
}

/* --- fixed point --------------------------------------------------------------------------------
 */

/* |v̂|₂ is at most this: so much less than 2¹⁵ that the roundings, each at most 1/2 and so √k / 2 in
 * all, fit below it for any k that there is memory for two operands of. */
#define LIMIT 31000.0F

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
    .tile_pairs = tile_pairs,
    .pack_pairs = pack_pairs,
    .widen = widen,
#if VF_PAIRS
    .quads = true,
    .tile_quads = tile_quads,
    .pack_quads = pack_quads,
    .fixed_tile = fixed_tile,
    .fix_rows = fix_rows,
    .fix_columns = fix_columns,
#else
    .fixed_tile = NULL,
#endif
};
