/* gemm.h: the vector code of matrix products and convolutions (isa_gemm.c), and the product driver
 * that both kernels share (product.c).
 *
 * One tile is everything's core: a block of C of at most `mr` rows and `nr` columns that lives in
 * registers while the sum over k runs. Where its operands lie is open:
 *
 *     C[i][j] (+)= sum over segments s, over k < length_s:  left_s(i, k) · right_s(k, j)
 *
 *     right_s(k, j) = segment.right[right_at + k·right_step + j]
 *     left_s(i, k)  = segment.left[left_at + k·left_step + i]  left operand in panels, or
 * transposed = segment.rows[i][left_at + k·left_step]   through a table of row pointers
 *
 * Tiles of pairs do the same to operands of bf16. What lies in memory at each k is then not one
 * number but two neighbours along the sum, 2k and 2k + 1, in the 32 bits of a float: left · right
 * stands for the sum of both products, and lengths and steps count pairs. So whatever cuts a
 * product or convolution into tiles serves both, given operands in that order (bf16.c).
 *
 * A dense product has one segment. A convolution has one for each tap of its window, whose rows are
 * the pixels under that tap, so that no matrix of windows is ever written to memory. A weight
 * gradient has one for each image row. */
#ifndef SOMA__GEMM_H
#define SOMA__GEMM_H

#include "backend/cpu/isa.h"
#include "backend/cpu/sizes.h"

typedef struct soma__gemm_segment {
    const float *left;        /* or, where NULL, */
    const float *const *rows; /* `rows` pointers */
    const float *right;
    int64_t length;
} soma__gemm_segment;

typedef struct soma__gemm_tile {
    int64_t rows, cols; /* 1 … mr, 1 … nr; nothing outside of them is read or written */
    const soma__gemm_segment *segment; /* all by `left` or all by `rows` */
    int64_t segments;
    int64_t left_step, right_step;
    int64_t left_at, right_at;
    float *c;
    int64_t c_step;
    bool add; /* to what c holds; else c is overwritten */
} soma__gemm_tile;

#define SOMA__GEMM_MAX_MR 14
#define SOMA__GEMM_MAX_NR 32
#define SOMA__GEMM_DOTS 4
#define SOMA__GEMM_FEW 4

typedef void soma__tile_fn(const soma__gemm_tile *tile);

typedef struct soma__isa_gemm {
    int mr, nr;
    soma__tile_fn *tile;
    soma__tile_fn *tile_pairs; /* NULL: this instruction set has no products of bf16 */
    /* As tile, for at most SOMA__GEMM_FEW rows, one segment and any number of columns: goes through
     * the right operand along its rows, four at a time, with the sums in C. So memory delivers it
     * in a few long streams. */
    soma__tile_fn *few;
    /* to[k·width + i] = rows[i][k·1] for i < count, 0 for count <= i < width; k < depth. */
    void (*pack_rows)(float *to, int64_t width, const float *const *rows, int64_t count,
                      int64_t depth);
    /* to[k·width + j] = from[k·step + j] for j < count, 0 for count <= j < width; k < depth. */
    void (*pack_cols)(float *to, int64_t width, const float *from, int64_t step, int64_t count,
                      int64_t depth);
    /* Pairs: the first of to[i] is even[i], the second odd[i], or 0 where `odd` is NULL. */
    void (*interleave)(float *to, const uint16_t *even, const uint16_t *odd, int64_t count);
    /* to[i] = sum over k of rows[i][k] · row[k]; i < count <= SOMA__GEMM_DOTS, k < depth. */
    void (*dots)(float *to, const float *const *rows, int64_t count, const float *row,
                 int64_t depth);
    /* to[j·to_step + i] = from[i·from_step + j]; i < rows, j < cols. */
    void (*transpose)(float *to, int64_t to_step, const float *from, int64_t from_step,
                      int64_t rows, int64_t cols);
    /* to[i] += from[i]. */
    void (*accumulate)(float *to, const float *from, int64_t count);
    /* to[p·to_step + c] = sum over t < taps of x[t][p·x_step + c] · w[t][c]; c < channels: pixels
     * of a depthwise convolution. */
    void (*depthwise)(float *to, int64_t to_step, const float *const *x, const float *const *w,
                      int64_t taps, int64_t x_step, int64_t pixels, int64_t channels);
    /* sums[t][c] += sum over p < pixels of x[t][p·x_step + c] · dy[p·dy_step + c]; at most 4 taps.
     */
    void (*depthwise_sum)(float *const *sums, const float *const *x, int64_t taps, int64_t x_step,
                          const float *dy, int64_t dy_step, int64_t pixels, int64_t channels);
    /* For measure(): flops done by `rounds` rounds of independent multiply-adds, and the sum of an
     * array read once. Results are returned so that they cannot be optimised away. */
    double (*burn)(int64_t rounds, float *sink);
    float (*sum)(const float *from, int64_t count);
} soma__isa_gemm;

/* --- product.c ----------------------------------------------------------------------------------
 */

/* C[m,n] = A·B for one matrix, or for a stack of them. Element (i, k) of A is a[i·a_row + k·a_col],
 * (k, j) of B is b[k·b_row + j·b_col]; of each operand one of the two steps is 1. C is dense. */
typedef struct soma__product {
    int64_t m, n, k;
    int64_t a_row, a_col, b_row, b_col;
    int64_t batch; /* matrices */
    bool epilogue; /* call->program */
    bool pairs;    /* of bf16: k, steps and operands count pairs */
} soma__product;

size_t soma__product_scratch(const soma__product *p, const soma__isa_table *isa, int threads);
typedef struct soma__product_data {
    const float *a, *b;
    const float *prepared; /* B by soma__product_prepare, NULL: it was not */
    float *c;              /* NULL with an epilogue */
    int batch_dims;        /* index of a matrix → its operands: steps in elements, 0: broadcast */
    int64_t batch_dim[SOMA_MAX_DIMS], a_step[SOMA_MAX_DIMS], b_step[SOMA_MAX_DIMS];
} soma__product_data;
void soma__product_run(const soma__product *p, const soma__product_data *data,
                       const soma__call *call, const soma__isa_table *isa);

/* B in the form that the product wants: its bytes (0: b as it is) and how it is made. */
size_t soma__product_prepared(const soma__product *p, const soma__isa_table *isa);
void soma__product_prepare(const soma__product *p, const float *b, const soma__isa_table *isa,
                           soma__pool *pool, void *to);

/* matmul.c: the product of an op matmul; with `data` also its operands. */
void soma__matmul_read(const soma__call *call, soma__product *p, soma__product_data *data);

#endif
