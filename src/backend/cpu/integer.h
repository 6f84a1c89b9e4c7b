/* integer.h: products of small integers with exact sums in 32 bits (isa_integer.c).
 *
 * Bytes, for quantised matmul and conv2d (quantized.c): the sums of (left - zero) · (right - zero).
 * Where an instruction multiplies bytes, a float's place holds four neighbours along the sum, left
 * ones without sign and right ones with it, and the left zero is taken off at the end, times the
 * sum of each right column. Elsewhere, or where right zeros are not all 0, it holds a pair of
 * 16 bits, zeros taken off before: the instruction for pairs of bytes there is would saturate.
 * Either way sums are exact, but for multiples of 2³², and so the same everywhere.
 *
 * Fixed point, for Winograd's method on operands of bf16. Its transforms magnify the error of a
 * rounding to the 8 bits of bf16 four times and more; 16 bits under a scale of their own leave
 * errors below those of direct sums of bf16, and multiply as fast. A vector v, one operand of the
 * sums over k, becomes v̂ = v·s rounded, s = LIMIT / |v|₂. By Cauchy and Schwarz no sum of products
 * of two such vectors leaves 32 bits, whatever the values and however long; and the rounding is at
 * most √k / 2¹⁶ of |v|₂. Pairs of neighbours along the sum lie in the 32 bits of a float, as those
 * of bf16 do (gemm.h).
 *
 *     C[i][j] (+)= left_scale[i] · right_scale[j] · Σ over k of left(i, k) · right(k, j) */
#ifndef SOMA__INTEGER_H
#define SOMA__INTEGER_H

#include "backend/cpu/isa.h"
#include "backend/cpu/sizes.h"

/* Lengths and steps count pairs, in floats. One of left_row and left_step is 1. */
typedef struct soma__fixed_tile {
    int64_t rows, cols; /* 1 … mr, 1 … nr of the family gemm */
    int64_t length;
    const float *left, *right; /* left(i, k) = left[i·left_row + k·left_step] */
    int64_t left_row, left_step, right_step;
    const float *left_scale, *right_scale;
    float *c;
    int64_t c_step;
    bool add; /* to what c holds; else c is overwritten */
} soma__fixed_tile;

/* Lengths and steps count places of 32 bits. */
typedef struct soma__integer_tile {
    int64_t rows, cols; /* 1 … mr, 1 … nr of the family gemm */
    int64_t length;
    const int32_t *left, *right; /* [rows][left_step], [length][nr] */
    int64_t left_step;
    const int32_t *minus; /* [nr]: taken off each sum */
    int32_t *c;
    int64_t c_step;
} soma__integer_tile;

/* One panel of the right operand: value (k, j) is from[k·k_step + j·j_step], one of the two steps
 * being 1; `zero` is that of column j at zero[j·zero_step]. */
typedef struct soma__integer_panel {
    const int8_t *from, *zero;
    int64_t k_step, j_step, zero_step;
    int64_t depth, cols;
} soma__integer_panel;

struct soma__isa_integer {
    bool quads;                                         /* has products of bytes */
    void (*tile_quads)(const soma__integer_tile *tile); /* NULL without */
    void (*tile_pairs)(const soma__integer_tile *tile);
    /* to[k][j] of ⌈depth / 4⌉ and ⌈depth / 2⌉ rows, nr wide, zeros beyond; sums[j] of a column, nr
     * of them. */
    void (*pack_quads)(int32_t *to, int32_t *sums, const soma__integer_panel *panel);
    void (*pack_pairs)(int32_t *to, const soma__integer_panel *panel);
    /* to[i] = from[i] - zero. */
    void (*widen)(int16_t *to, const uint8_t *from, int64_t count, int zero);
    /* NULL, as are the other two: this instruction set has no such products. */
    void (*fixed_tile)(const soma__fixed_tile *tile);
    /* One operand of `points` products, vectors along memory of `count` values each, `step` apart:
     * times weight[point], under one common scale. Pairs go to to + point·to_step, whole vectors of
     * them, zeros beyond. Returns what gives the values back. */
    float (*fix_rows)(int64_t points, const float *weight, const float *from, int64_t step,
                      int64_t count, float *to, int64_t to_step);
    /* `cols` vectors across memory, of `rows` values `step` apart, each under its own scale:
     * scale[j] gives the values of column j back. Row k of the pairs goes to to + k·to_step. Scales
     * and rows are written in whole vectors. */
    void (*fix_columns)(const float *from, int64_t step, int64_t rows, int64_t cols, float *to,
                        int64_t to_step, float *scale);
};

#endif
