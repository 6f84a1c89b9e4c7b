/* isa_gemm.c: the tile of all matrix products and convolutions, and what packs its operands.
 * Compiled once per instruction set; see isa.h and gemm.h.
 *
 * A tile holds rows × 2 vectors of sums in registers: 14×32 with AVX-512 (28 of 32 registers), 6×16
 * with AVX2, 6×8 with SSE2 (12 of 16), 12×8 with NEON. Every step of k reads two vectors of the
 * right operand and broadcasts one value for each row. The number of rows is a compile-time
 * constant of each variant, since registers have no index; `tile` picks the variant. Sums run over
 * k in order without splitting, so their bits depend on the shape alone.
 */
#include "backend/cpu/gemm.h"
#include "backend/cpu/simd.h"

#if VF_WIDTH == 16
#define MR 14
#elif defined(__aarch64__)
#define MR 12
#else
#define MR 6
#endif
#define NR (2 * VF_WIDTH)

/* Checks of every access (by sanitizers) in unrolled loops take minutes to compile. */
#if !defined(__clang__)
#define UNROLL _Pragma("GCC unroll 16")
#elif __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define UNROLL _Pragma("clang loop unroll(disable)")
#else
#define UNROLL _Pragma("clang loop unroll(full)")
#endif

/* sum + l · r, where with `pairs` a lane's l · r is a sum of two products of bf16. */
VF_INLINE vf multiply(vf l, vf r, vf sum, const bool pairs)
{
#if VF_PAIRS
    if (pairs)
        return vf_dot_pairs(l, r, sum);
#else
    (void)pairs;
#endif
    return vf_fma(l, r, sum);
}

/* Sums of one tile; `rows`, `vectors` (1 or 2), `by_rows`, `part` (the last vector is not full) and
 * `pairs` are constants wherever this is inlined. */
VF_INLINE void tile_sums(const soma__gemm_tile *t, const int rows, const int vectors,
                         const bool by_rows, const bool part, const bool pairs)
{
    const int64_t left_step = t->left_step, right_step = t->right_step;
    const int64_t last = t->cols - (vectors - 1) * VF_WIDTH; /* lanes of the last vector */
    vf sum[MR][2];
    UNROLL
    for (int i = 0; i < rows; i++) {
        sum[i][0] = sum[i][1] = vf_zero();
        __builtin_prefetch(t->c + i * t->c_step, 1);
        if (vectors == 2)
            __builtin_prefetch(t->c + i * t->c_step + VF_WIDTH, 1);
    }

    for (int64_t s = 0; s < t->segments; s++) {
        const soma__gemm_segment *segment = &t->segment[s];
        const float *right = segment->right + t->right_at;
        const float *left = by_rows ? NULL : segment->left + t->left_at;
        const float *row[MR];
        if (by_rows) {
            UNROLL
            for (int i = 0; i < rows; i++)
                row[i] = segment->rows[i];
        }
        int64_t at = t->left_at;
        for (int64_t k = segment->length; k > 0; k--) {
            vf r0, r1 = vf_zero();
            if (vectors == 1) {
                r0 = part ? vf_load_part(right, last) : vf_load(right);
            } else {
                r0 = vf_load(right);
                r1 = part ? vf_load_part(right + VF_WIDTH, last) : vf_load(right + VF_WIDTH);
            }
            right += right_step;
            UNROLL
            for (int i = 0; i < rows; i++) {
                vf l = vf_set1(by_rows ? row[i][at] : left[i]);
                sum[i][0] = multiply(l, r0, sum[i][0], pairs);
                if (vectors == 2)
                    sum[i][1] = multiply(l, r1, sum[i][1], pairs);
            }
            if (by_rows)
                at += left_step;
            else
                left += left_step;
        }
    }

    UNROLL
    for (int i = 0; i < rows; i++) {
        float *c = t->c + i * t->c_step;
        if (vectors == 2) {
            vf_store(c, t->add ? vf_add(vf_load(c), sum[i][0]) : sum[i][0]);
            c += VF_WIDTH;
        }
        vf end = vectors == 2 ? sum[i][1] : sum[i][0];
        if (part)
            vf_store_part(c, t->add ? vf_add(vf_load_part(c, last), end) : end, last);
        else
            vf_store(c, t->add ? vf_add(vf_load(c), end) : end);
    }
}

#define TILE_VARIANT(rows_, name_, by_rows_, pairs_)                                               \
    static void tile_##rows_##_##name_(const soma__gemm_tile *t)                                   \
    {                                                                                              \
        if (t->cols == NR)                                                                         \
            tile_sums(t, rows_, 2, by_rows_, false, pairs_);                                       \
        else if (t->cols > VF_WIDTH)                                                               \
            tile_sums(t, rows_, 2, by_rows_, true, pairs_);                                        \
        else                                                                                       \
            tile_sums(t, rows_, 1, by_rows_, true, pairs_);                                        \
    }
#define TILE_VARIANTS(rows_)                                                                       \
    TILE_VARIANT(rows_, rows, true, false) TILE_VARIANT(rows_, left, false, false)
#define TILE_PAIR_VARIANTS(rows_)                                                                  \
    TILE_VARIANT(rows_, pair_rows, true, true) TILE_VARIANT(rows_, pair_left, false, true)

#if MR == 14
#define HEIGHTS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#elif MR == 12
#define HEIGHTS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
#else
#define HEIGHTS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#endif

HEIGHTS(TILE_VARIANTS)

#define BY_ROWS(rows_) tile_##rows_##_rows,
#define BY_LEFT(rows_) tile_##rows_##_left,
static soma__tile_fn *const tile_variants[2][MR] = {{HEIGHTS(BY_LEFT)}, {HEIGHTS(BY_ROWS)}};

static void tile(const soma__gemm_tile *t)
{
    tile_variants[t->segments > 0 && t->segment[0].left == NULL][t->rows - 1](t);
}

#if VF_PAIRS
HEIGHTS(TILE_PAIR_VARIANTS)

#define PAIRS_BY_ROWS(rows_) tile_##rows_##_pair_rows,
#define PAIRS_BY_LEFT(rows_) tile_##rows_##_pair_left,
static soma__tile_fn *const pair_variants[2][MR] = {{HEIGHTS(PAIRS_BY_LEFT)},
                                                    {HEIGHTS(PAIRS_BY_ROWS)}};

static void tile_pairs(const soma__gemm_tile *t)
{
    pair_variants[t->segments > 0 && t->segment[0].left == NULL][t->rows - 1](t);
}
#endif

/* --- few rows ------------------------------------------------------------------------------------
 */

/* Rows of the right operand that are asked for ahead: the processor's own prefetching ends with
 * each page, thus with each row. */
#define FEW_AHEAD 8

/* Adds `depth` (a constant) steps of k to columns [j, j + lanes) of `rows` (a constant) rows. */
VF_INLINE void few_lanes(float *const *c, const float *const *left, int64_t left_step,
                         const float *right, int64_t right_step, int64_t j, const int rows,
                         const int depth, int64_t lanes)
{
    vf r[4];
    UNROLL
    for (int k = 0; k < depth; k++) {
        r[k] = vf_load_lanes(right + k * right_step + j, lanes);
        __builtin_prefetch(right + (k + FEW_AHEAD) * right_step + j);
    }
    UNROLL
    for (int i = 0; i < rows; i++) {
        vf sum = vf_load_lanes(c[i] + j, lanes);
        UNROLL
        for (int k = 0; k < depth; k++)
            sum = vf_fma(vf_set1(left[i][k * left_step]), r[k], sum);
        vf_store_lanes(c[i] + j, sum, lanes);
    }
}

VF_INLINE void few_depth(float *const *c, const float *const *left, int64_t left_step,
                         const float *right, int64_t right_step, int64_t cols, const int rows,
                         const int depth)
{
    int64_t j = 0;
    for (; j + VF_WIDTH <= cols; j += VF_WIDTH)
        few_lanes(c, left, left_step, right, right_step, j, rows, depth, VF_WIDTH);
    if (j < cols)
        few_lanes(c, left, left_step, right, right_step, j, rows, depth, cols - j);
}

VF_INLINE void few_rows(const soma__gemm_tile *t, const int rows)
{
    const soma__gemm_segment *segment = &t->segment[0];
    const float *left[SOMA__GEMM_FEW], *right = segment->right + t->right_at;
    float *c[SOMA__GEMM_FEW];
    for (int i = 0; i < rows; i++) {
        left[i] = segment->left ? segment->left + t->left_at + i : segment->rows[i] + t->left_at;
        c[i] = t->c + i * t->c_step;
        for (int64_t j = 0; j < t->cols && !t->add; j++)
            c[i][j] = 0;
    }
    for (int64_t k = segment->length; k > 0;) {
        const int64_t depth = k >= 4 ? 4 : 1;
        if (depth == 4)
            few_depth(c, left, t->left_step, right, t->right_step, t->cols, rows, 4);
        else
            few_depth(c, left, t->left_step, right, t->right_step, t->cols, rows, 1);
        for (int i = 0; i < rows; i++)
            left[i] += depth * t->left_step;
        right += depth * t->right_step;
        k -= depth;
    }
}

static void few(const soma__gemm_tile *t)
{
    if (t->rows == 1)
        few_rows(t, 1);
    else if (t->rows == 2)
        few_rows(t, 2);
    else if (t->rows == 3)
        few_rows(t, 3);
    else
        few_rows(t, SOMA__GEMM_FEW);
}

/* --- packing ------------------------------------------------------------------------------------
 */

#if VF_WIDTH == 16
/* Turns r[i] lane j into r[j] lane i: pairs, then quadruples within 128-bit lanes, then the lanes.
 */
VF_INLINE void transpose_block(vf r[16])
{
    __m512 t[16];
    UNROLL
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    UNROLL
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
        r[i + 4] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
        r[i + 12] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xdd);
    }
}
#elif VF_WIDTH == 8
VF_INLINE void transpose_block(vf r[8])
{
    __m256 t[8];
    UNROLL
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    UNROLL
    for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
    }
    UNROLL
    for (int i = 0; i < 8; i++)
        r[i] = t[i];
}
#else
VF_INLINE void transpose_block(vf r[4])
{
    float t[4][4];
    for (int i = 0; i < 4; i++)
        vf_store(t[i], r[i]);
    for (int i = 0; i < 4; i++) {
        float column[4] = {t[0][i], t[1][i], t[2][i], t[3][i]};
        r[i] = vf_load(column);
    }
}
#endif

/* Rows and columns of one block of at most VF_WIDTH × VF_WIDTH values: to[k·step + i] = rows[i][k].
 * Values from `count` up to `width` become zeros. */
VF_INLINE void pack_block(float *to, int64_t step, const float *const *rows, int64_t at,
                          int64_t count, int64_t width, int64_t depth)
{
    vf r[VF_WIDTH];
    UNROLL
    for (int i = 0; i < VF_WIDTH; i++) {
        if (i >= count)
            r[i] = vf_zero();
        else
            r[i] = depth == VF_WIDTH ? vf_load(rows[i] + at) : vf_load_part(rows[i] + at, depth);
    }
    transpose_block(r);
    UNROLL
    for (int k = 0; k < VF_WIDTH; k++)
        if (k < depth) {
            if (width == VF_WIDTH)
                vf_store(to + k * step, r[k]);
            else
                vf_store_part(to + k * step, r[k], width);
        }
}

static void pack_rows(float *to, int64_t width, const float *const *rows, int64_t count,
                      int64_t depth)
{
    for (int64_t k = 0; k < depth; k += VF_WIDTH) {
        int64_t deep = depth - k < VF_WIDTH ? depth - k : VF_WIDTH;
        for (int64_t i = 0; i < width; i += VF_WIDTH) {
            int64_t wide = width - i < VF_WIDTH ? width - i : VF_WIDTH;
            pack_block(to + k * width + i, width, rows + (i < count ? i : 0), k,
                       i < count ? count - i : 0, wide, deep);
        }
    }
}

static void pack_cols(float *to, int64_t width, const float *from, int64_t step, int64_t count,
                      int64_t depth)
{
    for (int64_t k = 0; k < depth; k++) {
        int64_t j = 0;
        for (; j + VF_WIDTH <= count; j += VF_WIDTH)
            vf_store(to + j, vf_load(from + j));
        if (j < count) {
            vf end = vf_load_part(from + j, count - j);
            vf_store_part(to + j, end, width - j < VF_WIDTH ? width - j : VF_WIDTH);
            j += VF_WIDTH;
        }
        for (; j < width; j++)
            to[j] = 0;
        to += width;
        from += step;
    }
}

static void interleave(float *to, const uint16_t *even, const uint16_t *odd, int64_t count)
{
    int64_t i = 0;
    for (; i + VF_WIDTH <= count; i += VF_WIDTH) {
        vi pair = vi_load_u16(even + i);
        if (odd)
            pair = vi_or(pair, vi_shl(vi_load_u16(odd + i), 16));
        vf_store(to + i, vi_as_float(pair));
    }
    if (i < count) {
        vi pair = vi_load_u16_part(even + i, count - i);
        if (odd)
            pair = vi_or(pair, vi_shl(vi_load_u16_part(odd + i, count - i), 16));
        vf_store_part(to + i, vi_as_float(pair), count - i);
    }
}

/* Two vectors of partial sums for each product: lane l of vector v adds k = v·VF_WIDTH + l of each
 * stretch of 2·VF_WIDTH, then all lanes are added in the tree of vf_sum. */
VF_INLINE void dots_of(float *to, const float *const *rows, const int count, const float *row,
                       int64_t depth)
{
    vf sum[SOMA__GEMM_DOTS][2];
    UNROLL
    for (int i = 0; i < count; i++)
        sum[i][0] = sum[i][1] = vf_zero();
    int64_t k = 0;
    for (; k + 2 * VF_WIDTH <= depth; k += 2 * VF_WIDTH) {
        vf r0 = vf_load(row + k), r1 = vf_load(row + k + VF_WIDTH);
        UNROLL
        for (int i = 0; i < count; i++) {
            sum[i][0] = vf_fma(vf_load(rows[i] + k), r0, sum[i][0]);
            sum[i][1] = vf_fma(vf_load(rows[i] + k + VF_WIDTH), r1, sum[i][1]);
        }
    }
    for (; k < depth; k += VF_WIDTH) {
        int64_t n = depth - k < VF_WIDTH ? depth - k : VF_WIDTH;
        vf r = vf_load_part(row + k, n);
        UNROLL
        for (int i = 0; i < count; i++)
            sum[i][0] = vf_fma(vf_load_part(rows[i] + k, n), r, sum[i][0]);
    }
    UNROLL
    for (int i = 0; i < count; i++)
        to[i] = vf_sum(vf_add(sum[i][0], sum[i][1]));
}

static void dots(float *to, const float *const *rows, int64_t count, const float *row,
                 int64_t depth)
{
    switch (count) {
    case 1:
        dots_of(to, rows, 1, row, depth);
        break;
    case 2:
        dots_of(to, rows, 2, row, depth);
        break;
    case 3:
        dots_of(to, rows, 3, row, depth);
        break;
    default:
        dots_of(to, rows, SOMA__GEMM_DOTS, row, depth);
        break;
    }
}

static void transpose(float *to, int64_t to_step, const float *from, int64_t from_step,
                      int64_t rows, int64_t cols)
{
    for (int64_t i = 0; i < rows; i += VF_WIDTH) {
        int64_t count = rows - i < VF_WIDTH ? rows - i : VF_WIDTH;
        const float *row[VF_WIDTH];
        for (int64_t r = 0; r < count; r++)
            row[r] = from + (i + r) * from_step;
        for (int64_t j = 0; j < cols; j += VF_WIDTH)
            pack_block(to + j * to_step + i, to_step, row, j, count, count,
                       cols - j < VF_WIDTH ? cols - j : VF_WIDTH);
    }
}

static void accumulate(float *to, const float *from, int64_t count)
{
    int64_t i = 0;
    for (; i + VF_WIDTH <= count; i += VF_WIDTH)
        vf_store(to + i, vf_add(vf_load(to + i), vf_load(from + i)));
    if (i < count)
        vf_store_part(to + i,
                      vf_add(vf_load_part(to + i, count - i), vf_load_part(from + i, count - i)),
                      count - i);
}

/* --- depthwise convolutions ---------------------------------------------------------------------
 */

/* One vector of channels of `pixels` (a constant) neighbours, which share the weights. */
VF_INLINE void depthwise_lanes(float *to, int64_t to_step, const float *const *x, int64_t at,
                               const float *const *w, int64_t c, int64_t taps, int64_t x_step,
                               const int pixels, int64_t lanes)
{
    vf sum[4];
    UNROLL
    for (int p = 0; p < pixels; p++)
        sum[p] = vf_zero();
    for (int64_t t = 0; t < taps; t++) {
        vf weight = vf_load_lanes(w[t] + c, lanes);
        const float *from = x[t] + at + c;
        UNROLL
        for (int p = 0; p < pixels; p++)
            sum[p] = vf_fma(vf_load_lanes(from + p * x_step, lanes), weight, sum[p]);
    }
    UNROLL
    for (int p = 0; p < pixels; p++)
        vf_store_lanes(to + p * to_step + c, sum[p], lanes);
}

static void depthwise(float *to, int64_t to_step, const float *const *x, const float *const *w,
                      int64_t taps, int64_t x_step, int64_t pixels, int64_t channels)
{
    int64_t p = 0, full = channels - channels % VF_WIDTH, rest = channels - full;
    for (; p + 4 <= pixels; p += 4, to += 4 * to_step) {
        for (int64_t c = 0; c < full; c += VF_WIDTH)
            depthwise_lanes(to, to_step, x, p * x_step, w, c, taps, x_step, 4, VF_WIDTH);
        if (rest)
            depthwise_lanes(to, to_step, x, p * x_step, w, full, taps, x_step, 4, rest);
    }
    for (; p < pixels; p++, to += to_step) {
        for (int64_t c = 0; c < full; c += VF_WIDTH)
            depthwise_lanes(to, to_step, x, p * x_step, w, c, taps, x_step, 1, VF_WIDTH);
        if (rest)
            depthwise_lanes(to, to_step, x, p * x_step, w, full, taps, x_step, 1, rest);
    }
}

/* One vector of channels; `taps` is a constant. */
VF_INLINE void depthwise_sum_lanes(float *const *sums, const float *const *x, const int taps,
                                   int64_t x_step, const float *dy, int64_t dy_step, int64_t pixels,
                                   int64_t c, int64_t lanes)
{
    vf sum[4];
    const float *from[4];
    UNROLL
    for (int t = 0; t < taps; t++) {
        sum[t] = vf_zero();
        from[t] = x[t] + c;
    }
    for (int64_t p = 0; p < pixels; p++) {
        vf d = vf_load_lanes(dy + p * dy_step + c, lanes);
        UNROLL
        for (int t = 0; t < taps; t++)
            sum[t] = vf_fma(vf_load_lanes(from[t] + p * x_step, lanes), d, sum[t]);
    }
    UNROLL
    for (int t = 0; t < taps; t++)
        vf_store_lanes(sums[t] + c, vf_add(vf_load_lanes(sums[t] + c, lanes), sum[t]), lanes);
}

static void depthwise_sum(float *const *sums, const float *const *x, int64_t taps, int64_t x_step,
                          const float *dy, int64_t dy_step, int64_t pixels, int64_t channels)
{
    for (int64_t c = 0; c < channels; c += VF_WIDTH) {
        int64_t lanes = channels - c < VF_WIDTH ? channels - c : VF_WIDTH;
#define TAPS(taps_)                                                                                \
    if (lanes == VF_WIDTH)                                                                         \
        depthwise_sum_lanes(sums, x, taps_, x_step, dy, dy_step, pixels, c, VF_WIDTH);             \
    else                                                                                           \
        depthwise_sum_lanes(sums, x, taps_, x_step, dy, dy_step, pixels, c, lanes)
        if (taps == 1) {
            TAPS(1);
        } else if (taps == 2) {
            TAPS(2);
        } else if (taps == 3) {
            TAPS(3);
        } else {
            TAPS(4);
        }
#undef TAPS
    }
}

/* --- measuring the machine ----------------------------------------------------------------------
 */

static double burn(int64_t rounds, float *sink)
{
    /* As many independent sums as hide the latency of two pipes; all stay in registers. */
    vf sum[12], factor = vf_set1(0.5f), term = vf_set1(1.0f);
    UNROLL
    for (int i = 0; i < 12; i++)
        sum[i] = vf_set1((float)i);
    for (int64_t r = 0; r < rounds; r++) {
        UNROLL
        for (int i = 0; i < 12; i++)
            sum[i] = vf_fma(sum[i], factor, term);
    }
    vf total = vf_zero();
    UNROLL
    for (int i = 0; i < 12; i++)
        total = vf_add(total, sum[i]);
    *sink = vf_sum(total);
    return (double)rounds * 12 * 2 * VF_WIDTH;
}

static float sum_array(const float *from, int64_t count)
{
    vf sum[4] = {vf_zero(), vf_zero(), vf_zero(), vf_zero()};
    for (int64_t i = 0; i + 4 * VF_WIDTH <= count; i += 4 * VF_WIDTH) {
        UNROLL
        for (int v = 0; v < 4; v++)
            sum[v] = vf_add(sum[v], vf_load(from + i + v * VF_WIDTH));
    }
    return vf_sum(vf_add(vf_add(sum[0], sum[1]), vf_add(sum[2], sum[3])));
}

const soma__isa_gemm SOMA__ISA_NAME(soma__isa_gemm);
const soma__isa_gemm SOMA__ISA_NAME(soma__isa_gemm) = {
    .mr = MR,
    .nr = NR,
    .tile = tile,
#if VF_PAIRS
    .tile_pairs = tile_pairs,
#endif
    .few = few,
    .pack_rows = pack_rows,
    .pack_cols = pack_cols,
    .interleave = interleave,
    .dots = dots,
    .transpose = transpose,
    .accumulate = accumulate,
    .depthwise = depthwise,
    .depthwise_sum = depthwise_sum,
    .burn = burn,
    .sum = sum_array,
};
