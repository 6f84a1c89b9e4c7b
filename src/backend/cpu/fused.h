/* fused.h: the executor of soma__program, and the vector functions that it calls.
 *
 * The iteration space is cut into tiles that stay in the first-level cache. A register of the
 * program is a strip: a tile's worth of f32 lanes, which lies in a buffer, or, without a copy, in
 * the operand or the output itself. */
#ifndef SOMA__FUSED_H
#define SOMA__FUSED_H

#include "backend/cpu/isa.h"
#include "plan/program.h"

/* Floats of a splat: one value as often as the widest vector has lanes. */
#define SOMA__SPLAT 16
/* Elements of a block of work; fewer than two blocks stay on the calling thread. */
#define SOMA__FUSED_BLOCK 8192

/* rows × n lanes. Row r starts at p + r·ld; ld 0: all rows are the same. With `splat`, p + r·ld
 * holds SOMA__SPLAT copies of the one value of row r. */
typedef struct soma__strip {
    float *p;
    int64_t ld;
    bool splat;
} soma__strip;

/* d = f(a, b, c), each rows × n; d may be the same strip as an operand. Unused operands: any strip.
 */
typedef void soma__vector_fn(int64_t rows, int64_t n, const soma__strip *d, const soma__strip *a,
                             const soma__strip *b, const soma__strip *c);

/* to = limit(((from - shift) · scale + bias) + term) over rows × cols: see chain.c. */
typedef struct soma__chain {
    const float *shift, *scale, *bias; /* [cols]; NULL: none. The first two come with all three */
    const float *term;                 /* row r at term + r·step; NULL: none */
    float low, high;
    int limits; /* 0; 1: x <= low ? low : x; 2: that after high <= x ? high : x */
    const float *from;
    int64_t from_step;
    float *to; /* may be `from`; row r at to + r·step */
    int64_t step, rows, cols;
} soma__chain;

/* A step of Adam: see moments.c. */
typedef struct soma__moments {
    int64_t elements;
    const float *grad;
    float *param, *mean, *square; /* read */
    float *to[3];                 /* written: param, mean, square; may be where they were read */
    float keep[2], part[2];       /* of the averages of g and of g² */
    float clip, l2, decay;
    bool clips, adds_l2, decays;
    float rate, correction, eps;
} soma__moments;

struct soma__isa_fused {
    soma__vector_fn *apply[SOMA__SCALAR_COUNT]; /* by soma__scalar; [0] is NULL */
    /* n values of u8, i8, i32, bool, bf16 or f16 to f32. */
    void (*load)(soma_dtype dtype, const void *from, int64_t n, float *to);
    /* Row r of `from` to `to` + r·ld elements: rounded to nearest even, saturated, NaN to integer
     * 0; bool is value != 0. The same types and f32. */
    void (*store)(soma_dtype dtype, void *to, int64_t ld, int64_t rows, int64_t n,
                  const soma__strip *from);
    void (*chain)(const soma__chain *chain);
    void (*moments)(const soma__moments *moments, int64_t from, int64_t n);
};

/* Runs call->program as the epilogue of a product y [rows_total,N] on a finished block: register 0
 * is `block`, whose row r is row row0 + r of y, columns [col0, col0 + cols), at block + r·ld. The
 * other operands are call->in[call->epilogue_first …]; each has the shape of y, or one value per
 * column, per row, or for all. Stores to call->out[k] at the same positions; the block may lie
 * there already (then ld is N). */
void soma__epilogue_run(const soma__call *call, const soma__isa_table *isa, float *block,
                        int64_t ld, int64_t row0, int64_t rows, int64_t col0, int64_t cols);

/* The same in one pass, where the program is a chain (chain.c); false: it is not, nothing is done.
 */
bool soma__chain_run(const soma__call *call, const soma__isa_table *isa, const float *block,
                     int64_t ld, int64_t row0, int64_t rows, int64_t col0, int64_t cols);

/* Runs call->program where it is a step of Adam (moments.c); false: it is not, nothing is done. */
bool soma__moments_run(const soma__call *call, const soma__isa_table *isa);

#endif
