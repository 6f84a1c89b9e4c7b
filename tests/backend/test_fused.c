/* Vector programs against their reference interpreter: all kinds of broadcasting, dtypes, sizes
 * around the tiles, several outputs, outputs in place, folds, random programs, and epilogues. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/cpu/fused.h"
#include "kernels.h"

#define CONSTANT(i_) (SOMA__PROGRAM_REGISTERS + (i_))

/* Adds an instruction by its name in scalar.h. */
#define INSN(program_, name_, dst_, a_, b_, c_)                                                    \
    ((program_)->insn[(program_)->insns++] =                                                       \
         (soma__insn){SOMA__SCALAR_##name_, (dst_), (a_), (b_), (c_)})

/* y = tanh(x · w + b) · 0.5 over whatever shapes. */
static void broadcast_case(soma_shape shape, soma_shape w, soma_shape b, const char *what)
{
    soma__program p = {.shape = shape, .loads = 3, .stores = 1, .constants = 1, .constant = {0.5F}};
    INSN(&p, MUL, 0, 0, 1, 0);
    INSN(&p, ADD, 3, 0, 2, 0);
    INSN(&p, TANH, 3, 3, 0, 0);
    INSN(&p, MUL, 0, 3, CONSTANT(0), 0);
    p.store[0] = 0;
    kernel_case test = {.op = "fused", .what = what, .program = &p, .tolerance = 1e-6};
    add_input(&test, SOMA_F32, shape, -1, 1);
    add_input(&test, SOMA_F32, w, -2, 2);
    add_input(&test, SOMA_F32, b, -1, 1);
    add_output(&test, SOMA_F32, shape);
    check_kernel(&test);
}

static void broadcasts(void **state)
{
    (void)state;
    const soma_shape one = SOMA_SCALAR;
    broadcast_case(one, one, one, "scalars");
    broadcast_case(SOMA_SHAPE(1), one, SOMA_SHAPE(1), "one element");
    broadcast_case(SOMA_SHAPE(0, 5), SOMA_SHAPE(5), SOMA_SHAPE(0, 1), "no element");
    for (int64_t n = 1; n < 40; n++)
        broadcast_case(SOMA_SHAPE(n), SOMA_SHAPE(n), one, "short vectors");
    static const int64_t cols[] = {1, 3, 10, 16, 33, 255, 700, 2048, 2049, 5000};
    for (size_t i = 0; i < sizeof(cols) / sizeof(cols[0]); i++) {
        int64_t n = cols[i];
        broadcast_case(SOMA_SHAPE(37, n), SOMA_SHAPE(n), SOMA_SHAPE(37, 1), "row and column");
        broadcast_case(SOMA_SHAPE(n, 37), one, SOMA_SHAPE(1, 37), "scalar and row");
    }
    broadcast_case(SOMA_SHAPE(100003), SOMA_SHAPE(100003), one, "long");
    broadcast_case(SOMA_SHAPE(5003, 3), SOMA_SHAPE(3), SOMA_SHAPE(5003, 1), "narrow rows");
    broadcast_case(SOMA_SHAPE(700, 32), SOMA_SHAPE(700, 1), SOMA_SHAPE(32), "the last flat tile");
    broadcast_case(SOMA_SHAPE(9, 300, 6), SOMA_SHAPE(9, 1, 6), SOMA_SHAPE(300, 1), "narrow maps");
    broadcast_case(SOMA_SHAPE(4, 30, 17, 8), SOMA_SHAPE(4, 1, 1, 8), SOMA_SHAPE(8), "maps");
    broadcast_case(SOMA_SHAPE(3, 5, 7, 9), SOMA_SHAPE(5, 1, 9), SOMA_SHAPE(3, 1, 7, 1), "mixed");
    broadcast_case(SOMA_SHAPE(2, 3, 2, 3, 2, 3, 2, 3), SOMA_SHAPE(3, 1, 3, 1, 3, 1, 3),
                   SOMA_SHAPE(2, 1, 2, 1, 2, 1, 2, 1), "eight dims");
}

/* Operands and outputs of each dtype that fits, and three outputs of one program. */
static void dtypes(void **state)
{
    static const soma_dtype all[] = {SOMA_U8,   SOMA_I8,  SOMA_I32, SOMA_BOOL,
                                     SOMA_BF16, SOMA_F16, SOMA_F32};
    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        for (int64_t n = 5; n < 4000; n = n * 3 + 2) {
            soma__program p = {.shape = SOMA_SHAPE(6, n),
                               .loads = 3,
                               .stores = 4,
                               .constants = 1,
                               .constant = {1.5F}};
            INSN(&p, ADD, 3, 0, 1, 0);
            INSN(&p, MUL, 4, 3, 2, 0);
            INSN(&p, MUL, 5, 4, CONSTANT(0), 0);
            p.store[0] = 5;
            p.store[1] = 3;
            p.store[2] = 1; /* an operand as it was loaded, broadcast */
            p.store[3] = 4;
            kernel_case test = {
                .op = "fused", .what = soma_dtype_text(all[i]), .program = &p, .tolerance = 1e-6};
            add_input(&test, all[i], p.shape, 0, 100);
            add_input(&test, all[i], SOMA_SHAPE(n), 0, 100);
            add_input(&test, all[i], SOMA_SHAPE(6, 1), -50, 50);
            for (int k = 0; k < 4; k++)
                add_output(&test, all[k == 3 ? sizeof(all) / sizeof(all[0]) - 1 : i], p.shape);
            /* Outputs of 16 bits may round to the other neighbour where f32 and f64 sums differ. */
            if (all[i] == SOMA_BF16 || all[i] == SOMA_F16)
                test.tolerance = all[i] == SOMA_BF16 ? 0x1p-8 : 0x1p-10;
            check_kernel(&test);
        }
}

/* Output 0 lies in an input: read again later, stored raw elsewhere, or of another dtype. */
static void in_place(void **state)
{
    (void)state;
    for (int input = 0; input < 2; input++)
        for (int64_t n = 7; n < 100000; n = n * 11 + 3) {
            soma__program p = {.shape = SOMA_SHAPE(n), .loads = 2, .stores = 3};
            INSN(&p, SUB, 2, 0, 1,
                 0); /* stored to output 0, while both operands are still needed */
            INSN(&p, MUL, 3, 0, 1, 0);
            p.store[0] = 2;
            p.store[1] = 3;
            p.store[2] = (uint8_t)input; /* as it was */
            kernel_case test = {
                .op = "fused", .what = "in place", .program = &p, .in_place = 1 + input};
            add_input(&test, SOMA_F32, p.shape, -1, 1);
            add_input(&test, SOMA_F32, p.shape, -1, 1);
            for (int k = 0; k < 3; k++)
                add_output(&test, SOMA_F32, p.shape);
            check_kernel(&test);
        }
    soma__program p = {.shape = SOMA_SHAPE(3000), .loads = 2, .stores = 1};
    INSN(&p, SUB, 0, 0, 1, 0);
    INSN(&p, MUL, 0, 0, 1, 0);
    kernel_case test = {.op = "fused", .what = "in place of i32", .program = &p, .in_place = 2};
    add_input(&test, SOMA_F32, p.shape, 0, 100);
    add_input(&test, SOMA_I32, p.shape, 0, 100);
    add_output(&test, SOMA_F32, p.shape);
    test.tolerance = 1e-6;
    check_kernel(&test);
}

static uint32_t next(uint32_t *state)
{
    return (*state = *state * 1664525U + 1013904223U) >> 8;
}

/* Random programs of functions that are exact in f32 whatever the order, so that the bits must be
 * the reference's: registers are written over, operands too. */
static void random_programs(void **state)
{
    static const uint8_t codes[] = {
        SOMA__SCALAR_COPY,       SOMA__SCALAR_NEG,      SOMA__SCALAR_ABS,  SOMA__SCALAR_SIGN,
        SOMA__SCALAR_FLOOR,      SOMA__SCALAR_ROUND,    SOMA__SCALAR_RELU, SOMA__SCALAR_NOT,
        SOMA__SCALAR_MAXIMUM,    SOMA__SCALAR_MINIMUM,  SOMA__SCALAR_LESS, SOMA__SCALAR_EQUAL,
        SOMA__SCALAR_LESS_EQUAL, SOMA__SCALAR_WHERE,    SOMA__SCALAR_AND,  SOMA__SCALAR_OR,
        SOMA__SCALAR_CEIL,       SOMA__SCALAR_NOT_EQUAL};
    (void)state;
    for (uint32_t seed = 1; seed <= 60; seed++) {
        uint32_t s = seed;
        soma__program p = {.shape = SOMA_SHAPE(1 + next(&s) % 50, 1 + next(&s) % 300)};
        p.loads = 1 + (int)(next(&s) % 10);
        p.insns = 1 + (int)(next(&s) % SOMA__PROGRAM_INSNS);
        p.stores = 1 + (int)(next(&s) % SOMA__PROGRAM_STORES);
        p.constants = 8;
        for (int i = 0; i < p.constants; i++)
            p.constant[i] = (float)i * 0.75F - 3;
        int written = p.loads; /* registers [0, written) have values */
        for (int i = 0; i < p.insns; i++) {
            soma__insn *insn = &p.insn[i];
            uint8_t from[3];
            for (int k = 0; k < 3; k++)
                from[k] =
                    (uint8_t)(next(&s) % 5 ? next(&s) % (uint32_t)written : CONSTANT(next(&s) % 8));
            int dst = (int)(next(&s) % SOMA__PROGRAM_REGISTERS);
            dst = dst < written ? dst : written;
            written += dst == written;
            *insn = (soma__insn){codes[next(&s) % sizeof(codes)], (uint8_t)dst, from[0], from[1],
                                 from[2]};
        }
        for (int k = 0; k < p.stores; k++)
            p.store[k] = (uint8_t)(next(&s) % (uint32_t)written);
        kernel_case test = {.op = "fused", .what = "random program", .program = &p};
        for (int i = 0; i < p.loads; i++) {
            soma_shape shape = p.shape;
            uint32_t kind = next(&s) % 6;
            if (kind == 1 || kind == 3)
                shape.dim[0] = 1;
            if (kind == 2 || kind == 3)
                shape.dim[1] = 1;
            add_input(&test, kind == 4 ? SOMA_I8 : SOMA_F32, shape, -4, 4);
        }
        for (int k = 0; k < p.stores; k++)
            add_output(&test, next(&s) % 4 ? SOMA_F32 : SOMA_BOOL, p.shape);
        if (test.out[0].dtype == SOMA_F32 && next(&s) % 2)
            for (int i = 0; i < p.loads && !test.in_place; i++)
                if (test.in[i].dtype == SOMA_F32 && test.in[i].count == test.out[0].count)
                    test.in_place = 1 + i;
        check_kernel(&test);
    }
}

static soma_shape kept_of(soma_shape shape, int64_t mask)
{
    for (int d = 0; d < shape.ndim; d++)
        if (mask >> d & 1)
            shape.dim[d] = 1;
    return shape;
}

static double cells_of(soma_shape shape, int64_t mask)
{
    double cells = 1;
    for (int d = 0; d < shape.ndim; d++)
        cells *= mask >> d & 1 ? (double)shape.dim[d] : 1;
    return cells;
}

/* d = x · w is stored, over x where in_place says so, and folded in every way; so is x as it was,
 * and w, which may broadcast. `at` >= 0: x[at] is NaN. */
static void fold_case(soma_shape shape, soma_shape w, int64_t mask, double low, bool in_place,
                      int64_t at, const char *what)
{
    static const uint8_t folds[][2] = {
        {SOMA__FOLD_NONE, 2}, {SOMA__FOLD_SUM, 2}, {SOMA__FOLD_MAX, 2}, {SOMA__FOLD_VARIANCE, 0},
        {SOMA__FOLD_MEAN, 0}, {SOMA__FOLD_MIN, 0}, {SOMA__FOLD_SUM, 1}, {SOMA__FOLD_VARIANCE, 2}};
    soma__program p = {.shape = shape, .loads = 2, .folded = mask};
    kernel_case test = {.op = "fused", .what = what, .program = &p, .tolerance = 2e-6};
    INSN(&p, MUL, 2, 0, 1, 0);
    float *x = add_input(&test, SOMA_F32, shape, low, low + 1);
    add_input(&test, SOMA_F32, w, -0.5, 0.5);
    double cells = cells_of(shape, mask);
    for (size_t k = 0; k < sizeof folds / sizeof folds[0]; k++) {
        p.fold[k] = folds[k][0];
        p.store[k] = folds[k][1];
        p.divisor[k] = p.fold[k] == SOMA__FOLD_VARIANCE ? cells - 0.5 : cells;
        add_output(&test, SOMA_F32, k ? kept_of(shape, mask) : shape);
        p.stores++;
    }
    if (at >= 0)
        x[at] = NAN;
    test.in_place = in_place;
    /* Sums are of numbers around 0 and grow with the root of how many they are. */
    test.tolerance *= sqrt(cells) * fmax(1, fabs(low) / 8);
    check_kernel(&test);
}

static void folds(void **state)
{
    static const int64_t rows[] = {1, 2, 7, 33, 300}, cols[] = {1, 3, 16, 33, 64, 700, 2049};
    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++)
        for (size_t c = 0; c < sizeof cols / sizeof cols[0]; c++) {
            soma_shape shape = SOMA_SHAPE(rows[r], cols[c]);
            for (int64_t mask = 1; mask <= 3; mask++) {
                /* One element in all, and axes of one element only, are left to other kernels. */
                if (cells_of(shape, mask) == 1)
                    continue;
                fold_case(shape, SOMA_SHAPE(cols[c]), mask, -0.5, false, -1, "per column");
                fold_case(shape, SOMA_SHAPE(rows[r], 1), mask, -0.5, true, -1, "per row");
                fold_case(shape, shape, mask, -0.5, true, -1, "full");
            }
        }
    fold_case(SOMA_SHAPE(3, 5, 7, 18), SOMA_SHAPE(3, 1, 1, 18), 7, -0.5, true, -1, "maps");
    fold_case(SOMA_SHAPE(3, 5, 7, 18), SOMA_SHAPE(5, 1, 18), 6, -0.5, true, -1, "of each map");
    fold_case(SOMA_SHAPE(3, 5, 7, 18), SOMA_SHAPE(3, 1, 7, 18), 14, -0.5, false, -1, "of a map");
    fold_case(SOMA_SHAPE(3, 25, 7, 18), SOMA_SHAPE(7, 18), 10, -0.5, true, -1, "of groups");
    fold_case(SOMA_SHAPE(90, 25, 700), SOMA_SHAPE(25, 1), 5, -0.5, true, -1, "of the middle");
    fold_case(SOMA_SHAPE(3, 5, 40), SOMA_SHAPE(3, 1, 40), 7, -0.5, false, -1, "of all");
    fold_case(SOMA_SHAPE(9000, 64), SOMA_SHAPE(64), 1, -0.5, true, -1, "chunks of columns");
    fold_case(SOMA_SHAPE(3, 100003), SOMA_SCALAR, 2, -0.5, true, -1, "chunks of rows");
    fold_case(SOMA_SHAPE(300007), SOMA_SCALAR, 1, -0.5, false, -1, "chunks of all");
}

/* Variances of numbers far from 0, where mean(x²) - mean(x)² would keep no digit. */
static void far_folds(void **state)
{
    (void)state;
    for (int64_t mask = 1; mask <= 3; mask++) {
        soma__program p = {.shape = SOMA_SHAPE(1200, 70), .loads = 1, .stores = 1, .folded = mask};
        kernel_case test = {.op = "fused", .what = "far", .program = &p, .tolerance = 2e-6};
        add_input(&test, SOMA_F32, p.shape, 4000, 4001);
        add_output(&test, SOMA_F32, kept_of(p.shape, mask));
        p.fold[0] = SOMA__FOLD_VARIANCE;
        p.divisor[0] = cells_of(p.shape, mask);
        check_kernel(&test);
    }
}

/* Whether outputs lie in operands says how many buffers there are, and must say nothing about how
 * folds are cut: a plan asks for scratch before it knows. */
static void folds_of_many(void **state)
{
    enum { LOADS = 6 };
    (void)state;
    for (int64_t mask = 1; mask <= 3; mask++) {
        soma__program p = {.shape = SOMA_SHAPE(40, 2049), .loads = LOADS, .folded = mask};
        kernel_case test = {.op = "fused", .what = "many", .program = &p, .tolerance = 1e-3};
        add_output(&test, SOMA_F32, p.shape);
        p.store[p.stores++] = LOADS;
        for (uint8_t i = 0; i < LOADS; i++) {
            add_input(&test, SOMA_F32, p.shape, -0.5, 0.5);
            add_output(&test, SOMA_F32, kept_of(p.shape, mask));
            INSN(&p, ADD, LOADS, i ? LOADS : 0, i, 0);
            p.fold[p.stores] = SOMA__FOLD_SUM;
            p.store[p.stores++] = i;
        }
        check_kernel(&test);
    }
}

static void folds_of_nan(void **state)
{
    (void)state;
    for (int64_t mask = 1; mask <= 3; mask++)
        for (int64_t at = 0; at < 3000; at += 997)
            fold_case(SOMA_SHAPE(60, 50), SOMA_SHAPE(50), mask, -0.5, false, at, "with a NaN");
}

/* The epilogue on blocks of a product, in a buffer of their own or where the output is. */
static void check_epilogue(const char *isa_name, int64_t rows, int64_t cols, bool there)
{
    const soma__isa_table *isa = soma__isa_find(isa_name);
    soma__program p = {.shape = SOMA_SHAPE(rows, cols), .loads = 5, .stores = 2};
    enum { BLOCK_ROWS = 14, BLOCK_COLS = 32 };
    INSN(&p, ADD, 0, 0, 1, 0); /* + bias */
    INSN(&p, RELU, 5, 0, 0, 0);
    INSN(&p, ADD, 5, 5, 2, 0); /* + residual */
    INSN(&p, MUL, 5, 5, 3, 0); /* · row's factor */
    INSN(&p, SUB, 5, 5, 4, 0); /* - a number */
    p.store[0] = 5;
    p.store[1] = 0;
    float *product = calloc((size_t)(rows * cols), sizeof(float)),
          *y = calloc((size_t)(rows * cols), sizeof(float));
    float *z = calloc((size_t)(rows * cols), sizeof(float)),
          *residual = calloc((size_t)(rows * cols), sizeof(float));
    float *bias = calloc((size_t)cols, sizeof(float)),
          *factor = calloc((size_t)rows, sizeof(float)), number = 3;
    assert_true(product && y && z && residual && bias && factor);
    for (int64_t i = 0; i < rows * cols; i++) {
        product[i] = (float)(i % 17) - 8;
        residual[i] = (float)(i % 5);
    }
    for (int64_t i = 0; i < cols; i++)
        bias[i] = (float)(i % 3) - 1;
    for (int64_t i = 0; i < rows; i++)
        factor[i] = (float)(1 + i % 4);
    soma__view in[6] = {{0},
                        {0},
                        {bias, SOMA_F32, SOMA_SHAPE(cols), cols},
                        {residual, SOMA_F32, p.shape, rows * cols},
                        {factor, SOMA_F32, SOMA_SHAPE(rows, 1), rows},
                        {&number, SOMA_F32, SOMA_SCALAR, 1}};
    soma__view out[2] = {{y, SOMA_F32, p.shape, rows * cols}, {z, SOMA_F32, p.shape, rows * cols}};
    soma__call call = {
        .nin = 6, .nout = 2, .in = in, .out = out, .program = &p, .epilogue_first = 2};
    if (there)
        memcpy(y, product, (size_t)(rows * cols) * sizeof(float));
    for (int64_t r = 0; r < rows; r += BLOCK_ROWS)
        for (int64_t c = 0; c < cols; c += BLOCK_COLS) {
            int64_t m = rows - r < BLOCK_ROWS ? rows - r : BLOCK_ROWS;
            int64_t n = cols - c < BLOCK_COLS ? cols - c : BLOCK_COLS;
            float block[BLOCK_ROWS * BLOCK_COLS];
            for (int64_t i = 0; i < m; i++)
                memcpy(block + i * BLOCK_COLS, product + (r + i) * cols + c,
                       (size_t)n * sizeof(float));
            if (there)
                soma__epilogue_run(&call, isa, y + r * cols + c, cols, r, m, c, n);
            else
                soma__epilogue_run(&call, isa, block, BLOCK_COLS, r, m, c, n);
        }
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) {
            int64_t i = r * cols + c;
            float sum = product[i] + bias[c];
            float want = ((sum > 0 ? sum : 0) + residual[i]) * factor[r] - number;
            if (y[i] != want || z[i] != sum)
                fail_msg("%s epilogue of [%lld,%lld]: [%lld,%lld] is %g, %g, not %g, %g", isa_name,
                         (long long)rows, (long long)cols, (long long)r, (long long)c, (double)y[i],
                         (double)z[i], (double)want, (double)sum);
        }
    free(product);
    free(y);
    free(z);
    free(residual);
    free(bias);
    free(factor);
}

static void epilogues(void **state)
{
    static const int64_t sizes[][2] = {{1, 1},   {1, 7},    {7, 1},  {14, 32},
                                       {15, 33}, {40, 100}, {33, 33}};
    (void)state;
    for (const char *const *isa = soma__cpu_isas(); *isa; isa++)
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            check_epilogue(*isa, sizes[i][0], sizes[i][1], false);
            check_epilogue(*isa, sizes[i][0], sizes[i][1], true);
        }
}

/* Runs `p` (register 0 the block, then a mean, factor and bias for each column and a summand as
 * large as y) as an epilogue in blocks and as a fused program; whether it is a chain is `wanted`.
 */
static void check_chain(const char *isa_name, soma__program p, int64_t rows, int64_t cols,
                        bool wanted, const char *what)
{
    const soma__isa_table *isa = soma__isa_find(isa_name);
    enum { MOST = 40 * 100, BLOCK_ROWS = 14, BLOCK_COLS = 37 };
    float product[MOST], term[MOST], y[MOST], want[MOST], column[3][100];
    assert_true(rows * cols <= MOST && cols <= 100);
    p.shape = SOMA_SHAPE(rows, cols);
    p.loads = 5;
    p.stores = 1;
    for (int64_t i = 0; i < rows * cols; i++) {
        product[i] = i % 23 == 5 ? NAN : (float)(i % 17) * 0.7f - 5;
        term[i] = (float)(i % 5) - 2;
    }
    for (int k = 0; k < 3; k++)
        for (int64_t i = 0; i < cols; i++)
            column[k][i] = 0.3f + (float)((i + k) % 7) / 4;
    soma__view in[6] = {{product, SOMA_F32, p.shape, rows * cols},
                        {product, SOMA_F32, p.shape, rows * cols},
                        {column[0], SOMA_F32, SOMA_SHAPE(cols), cols},
                        {column[1], SOMA_F32, SOMA_SHAPE(cols), cols},
                        {column[2], SOMA_F32, SOMA_SHAPE(1, cols), cols},
                        {term, SOMA_F32, p.shape, rows * cols}};
    soma__view out = {want, SOMA_F32, p.shape, rows * cols};
    soma__call fused = {.op = soma__op_find("fused"),
                        .nin = 5,
                        .nout = 1,
                        .in = in + 1,
                        .out = &out,
                        .program = &p};
    fused.op->reference(&fused);
    out.data = y;
    soma__call call = {
        .nin = 6, .nout = 1, .in = in, .out = &out, .program = &p, .epilogue_first = 2};
    for (int64_t r = 0; r < rows; r += BLOCK_ROWS)
        for (int64_t c = 0; c < cols; c += BLOCK_COLS) {
            int64_t m = rows - r < BLOCK_ROWS ? rows - r : BLOCK_ROWS;
            int64_t n = cols - c < BLOCK_COLS ? cols - c : BLOCK_COLS;
            float *block = product + r * cols + c;
            if (soma__chain_run(&call, isa, block, cols, r, m, c, n) != wanted)
                fail_msg("%s, %s: is%s taken for a chain", what, isa_name, wanted ? " not" : "");
            if (!wanted)
                soma__epilogue_run(&call, isa, block, cols, r, m, c, n);
        }
    for (int64_t i = 0; i < rows * cols; i++)
        if (!(isnan(y[i]) && isnan(want[i])) && !(fabsf(y[i] - want[i]) <= 1e-5f * fabsf(want[i])))
            fail_msg("%s, %s: [%lld] is %g, not %g", what, isa_name, (long long)i, (double)y[i],
                     (double)want[i]);
}

/* `low` and `high` are constants 0 and 1: as relu6 and clamps build it, and in turn. */
static void limit(soma__program *p, bool in_turn)
{
    INSN(p, LESS_EQUAL, 7, CONSTANT(1), 0, 0);
    INSN(p, WHERE, 6, 7, CONSTANT(1), 0);
    INSN(p, LESS_EQUAL, 8, in_turn ? 6 : 0, CONSTANT(0), 0);
    INSN(p, WHERE, 6, 8, CONSTANT(0), 6);
    p->store[0] = 6;
}

static void norm(soma__program *p)
{
    INSN(p, SUB, 0, 0, 1, 0);
    INSN(p, MUL, 0, 0, 2, 0);
    INSN(p, ADD, 0, 3, 0, 0);
}

static void chains(void **state)
{
    static const int64_t sizes[][2] = {{1, 1}, {3, 7}, {14, 32}, {29, 33}, {40, 100}};
    const soma__program limits = {.constants = 2, .constant = {0, 2.5f}};
    (void)state;
    for (const char *const *isa = soma__cpu_isas(); *isa; isa++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            const int64_t rows = sizes[i][0], cols = sizes[i][1];
            soma__program p = {0};
            norm(&p);
            check_chain(*isa, p, rows, cols, true, "norm");
            INSN(&p, ADD, 0, 0, 4, 0);
            check_chain(*isa, p, rows, cols, true, "norm, term");
            INSN(&p, RELU, 0, 0, 0, 0);
            check_chain(*isa, p, rows, cols, true, "norm, term, relu");
            if (rows > 1) { /* of one row a term looks like a bias */
                norm(&p);
                check_chain(*isa, p, rows, cols, false, "a norm after a relu");
            }
            for (int in_turn = 0; in_turn < 2; in_turn++) {
                p = limits;
                limit(&p, in_turn);
                check_chain(*isa, p, rows, cols, true, "limits");
                p = limits;
                INSN(&p, ADD, 0, 0, 1, 0);
                limit(&p, in_turn);
                check_chain(*isa, p, rows, cols, true, "bias, limits");
                p = limits;
                norm(&p);
                limit(&p, in_turn);
                check_chain(*isa, p, rows, cols, true, "norm, limits");
                p.constant[0] = 3; /* above the other: which is first matters */
                check_chain(*isa, p, rows, cols, false, "limits in the wrong order");
            }
            p = (soma__program){0};
            INSN(&p, MUL, 0, 0, 2, 0);
            check_chain(*isa, p, rows, cols, false, "a factor alone");
            p = (soma__program){0};
            INSN(&p, SUB, 0, 1, 0, 0);
            check_chain(*isa, p, rows, cols, false, "a mean less the block");
            p = (soma__program){0};
            INSN(&p, ADD, 0, 0, 3, 0);
            INSN(&p, TANH, 0, 0, 0, 0);
            check_chain(*isa, p, rows, cols, false, "another function");
        }
}

static void refusals(void **state)
{
    (void)state;
    soma__program p = {.shape = SOMA_SHAPE(3), .loads = 1, .stores = 1};
    soma__view in = {.dtype = SOMA_I64, .shape = p.shape, .count = 3};
    soma__view out = {.dtype = SOMA_F32, .shape = p.shape, .count = 3};
    soma__call call = {.nin = 1, .nout = 1, .in = &in, .out = &out, .program = &p};
    assert_non_null(soma__refuses_fused(&call));
    in.dtype = SOMA_F32;
    assert_null(soma__refuses_fused(&call));
    call.nin = 0;
    assert_non_null(soma__refuses_fused(&call));
    call.nin = 1;
    p.shape = in.shape = SOMA_SHAPE(3, 4, 5, 6);
    in.count = 360;
    p.fold[0] = SOMA__FOLD_SUM;
    p.folded = 5; /* the first and the third: not in one place */
    out.shape = SOMA_SHAPE(4, 6);
    assert_non_null(soma__refuses_fused(&call));
    p.folded = 3;
    out.shape = SOMA_SHAPE(5, 6);
    assert_null(soma__refuses_fused(&call));
    out.dtype = SOMA_BF16;
    assert_non_null(soma__refuses_fused(&call));
    out.dtype = SOMA_F32;
    p.shape = in.shape = SOMA_SHAPE(3, 0, 5);
    assert_non_null(soma__refuses_fused(&call));
    call.program = NULL;
    assert_non_null(soma__refuses_fused(&call));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broadcasts),   cmocka_unit_test(dtypes),
        cmocka_unit_test(in_place),     cmocka_unit_test(folds),
        cmocka_unit_test(far_folds),    cmocka_unit_test(folds_of_many),
        cmocka_unit_test(folds_of_nan), cmocka_unit_test(random_programs),
        cmocka_unit_test(epilogues),    cmocka_unit_test(chains),
        cmocka_unit_test(refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
