/* Matrix products of every instruction set: sizes around the tiles, each orientation, stacks, long
 * sums, sizes beyond one round of packing, and epilogues. The values lie in the reference kernel's
 * bounds and the bits do not depend on the number of threads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backend/cpu/gemm.h"
#include "ops/attrs.h"
#include "products.h"

static void product(int64_t m, int64_t n, int64_t k, int mode)
{
    bool ta = mode & 1, tb = mode & 2, epilogue = mode & 4;
    soma__matmul_attrs attrs = {.transpose_a = ta, .transpose_b = tb};
    char what[80];
    snprintf(what, sizeof(what), "%lldx%lldx%lld%s%s", (long long)m, (long long)n, (long long)k,
             ta ? " a transposed" : "", tb ? " b transposed" : "");
    check_product("matmul", what, &attrs, ta ? SOMA_SHAPE(k, m) : SOMA_SHAPE(m, k),
                  tb ? SOMA_SHAPE(n, k) : SOMA_SHAPE(k, n), SOMA_SHAPE(m, n), k, epilogue);
}

static void product_bf16(int64_t m, int64_t n, int64_t k, int mode)
{
    bool ta = mode & 1, tb = mode & 2, epilogue = mode & 4;
    soma__matmul_attrs plain = {.transpose_a = ta, .transpose_b = tb}, attrs = plain;
    char what[80];
    attrs.precision = SOMA_BF16;
    snprintf(what, sizeof(what), "bf16 %lldx%lldx%lld%s%s", (long long)m, (long long)n,
             (long long)k, ta ? " a transposed" : "", tb ? " b transposed" : "");
    check_product_bf16("matmul", what, &attrs, &plain, ta ? SOMA_SHAPE(k, m) : SOMA_SHAPE(m, k),
                       tb ? SOMA_SHAPE(n, k) : SOMA_SHAPE(k, n), SOMA_SHAPE(m, n), k, epilogue);
}

/* Every m and n around the tiles of each instruction set, with a few depths. */
static void around_tiles(void **state)
{
    static const int64_t sizes[] = {1, 2, 5, 6, 7, 8, 9, 13, 14, 15, 16, 17, 31, 32, 33, 65};
    static const int64_t depths[] = {1, 3, 16, 17, 40};
    enum { COUNT = sizeof(sizes) / sizeof(sizes[0]) };
    (void)state;
    int mode = 0;
    for (int i = 0; i < COUNT; i++)
        for (int j = 0; j < COUNT; j += 1 + (i % 2))
            product(sizes[i], sizes[j], depths[(i + j) % 5], mode++ % 8);
}

/* The shapes at which the driver changes its ways: packed or in place, swapped or not. */
static void thin_and_wide(void **state)
{
    static const int64_t shapes[][3] = {
        {1, 300, 70},  {300, 1, 70},   {4, 2000, 50},  {2000, 3, 50}, {2, 4, 17},
        {3, 2, 130},   {32, 256, 100}, {256, 100, 32}, {10, 256, 32}, {32, 10, 80},
        {130, 130, 7}, {200, 150, 90}, {90, 70, 500},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        for (int mode = 0; mode < 8; mode++)
            product(shapes[i][0], shapes[i][1], shapes[i][2], mode);
}

/* Even and odd depths in each orientation: pairs in place, interleaved, or none. */
static void of_bf16(void **state)
{
    static const int64_t shapes[][3] = {
        {1, 1, 1},    {3, 5, 0},      {1, 300, 70},  {300, 3, 71},  {14, 32, 64},  {15, 33, 65},
        {29, 65, 16}, {200, 150, 90}, {80, 40, 519}, {9, 20, 9000}, {130, 130, 7},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        for (int mode = 0; mode < 8; mode++)
            product_bf16(shapes[i][0], shapes[i][1], shapes[i][2], mode);
}

/* Sums cut into parts, and operands that take several rounds of packing. */
static void long_sums(void **state)
{
    (void)state;
    for (int mode = 0; mode < 8; mode++)
        product(9, 20, 4500, mode);
    product(80, 140, 2100, 0);
    product(80, 140, 2100, 6);
    product(2100, 40, 65, 2);
    product(40, 2100, 65, 5);
    product(30, 2100, 70, 4);
}

static void nothing_to_sum(void **state)
{
    (void)state;
    for (int mode = 0; mode < 8; mode++)
        product(3, 5, 0, mode);
    product(0, 5, 4, 0);
    product(3, 0, 4, 0);
}

static void stacks(void **state)
{
    (void)state;
    for (int mode = 0; mode < 8; mode++) {
        bool ta = mode & 1, tb = mode & 2, epilogue = mode & 4;
        soma__matmul_attrs attrs = {.transpose_a = ta, .transpose_b = tb};
        int64_t m = 15, n = 34, k = 20;
        check_product("matmul", "stack", &attrs,
                      ta ? SOMA_SHAPE(3, 2, k, m) : SOMA_SHAPE(3, 2, m, k),
                      tb ? SOMA_SHAPE(3, 2, n, k) : SOMA_SHAPE(3, 2, k, n), SOMA_SHAPE(3, 2, m, n),
                      k, epilogue);
        check_product("matmul", "one matrix under a stack", &attrs,
                      ta ? SOMA_SHAPE(6, k, m) : SOMA_SHAPE(6, m, k),
                      tb ? SOMA_SHAPE(n, k) : SOMA_SHAPE(k, n), SOMA_SHAPE(6, m, n), k, epilogue);
        check_product("matmul", "crosswise broadcast stack", &attrs,
                      ta ? SOMA_SHAPE(3, 1, k, m) : SOMA_SHAPE(3, 1, m, k),
                      tb ? SOMA_SHAPE(2, n, k) : SOMA_SHAPE(2, k, n), SOMA_SHAPE(3, 2, m, n), k,
                      epilogue);
    }
    soma__matmul_attrs attrs = {.transpose_b = true}, bf16 = attrs;
    check_product("matmul", "stack of larger matrices", &attrs, SOMA_SHAPE(2, 130, 130),
                  SOMA_SHAPE(2, 140, 130), SOMA_SHAPE(2, 130, 140), 130, false);
    bf16.precision = SOMA_BF16;
    check_product_bf16("matmul", "stack of bf16", &bf16, &attrs, SOMA_SHAPE(2, 3, 20, 30),
                       SOMA_SHAPE(3, 17, 30), SOMA_SHAPE(2, 3, 20, 17), 30, true);
    check_product_bf16("matmul", "bf16 under a stack", &bf16, &attrs, SOMA_SHAPE(2, 3, 20, 30),
                       SOMA_SHAPE(17, 30), SOMA_SHAPE(2, 3, 20, 17), 30, false);
}

/* NaN and Inf come through: no zero is skipped. */
static void not_finite(void **state)
{
    (void)state;
    for (const char *const *name = soma__cpu_isas(); *name; name++) {
        const soma__isa_table *isa = soma__isa_find(*name);
        enum { M = 15, N = 17, K = 6 };
        float a[M * K] = {0}, b[K * N] = {0}, c[M * N];
        b[2 * N + 3] = INFINITY;
        b[5 * N + 16] = NAN;
        soma__matmul_attrs attrs = {0};
        soma__view in[2] = {{a, SOMA_F32, SOMA_SHAPE(M, K), M * K},
                            {b, SOMA_F32, SOMA_SHAPE(K, N), K * N}};
        soma__view out = {c, SOMA_F32, SOMA_SHAPE(M, N), M * N};
        soma__call call = {.attrs = &attrs, .nin = 2, .nout = 1, .in = in, .out = &out};
        call.scratch = soma__aligned(soma__scratch_matmul(&call, isa, 1));
        assert_non_null(call.scratch);
        soma__run_matmul(&call, isa);
        for (int i = 0; i < M; i++)
            for (int j = 0; j < N; j++)
                assert_int_equal(isnan(c[i * N + j]) != 0, j == 3 || j == 16);
        soma__free(call.scratch);
    }
}

static void refusals(void **state)
{
    (void)state;
    soma__matmul_attrs attrs = {0};
    soma__view in[2] = {{.dtype = SOMA_F64, .shape = SOMA_SHAPE(2, 2), .count = 4},
                        {.dtype = SOMA_F64, .shape = SOMA_SHAPE(2, 2), .count = 4}};
    soma__view out = in[0];
    soma__call call = {.attrs = &attrs, .nin = 2, .nout = 1, .in = in, .out = &out};
    assert_non_null(soma__refuses_matmul(&call));
    in[0].dtype = in[1].dtype = SOMA_F32;
    assert_non_null(soma__refuses_matmul(&call));
    out.dtype = SOMA_F32;
    assert_null(soma__refuses_matmul(&call));
    assert_non_null(soma__refuses_matmul_bf16(&call)); /* nothing to round */
    in[0].dtype = SOMA_BF16;
    assert_non_null(soma__refuses_matmul(&call));
    assert_null(soma__refuses_matmul_bf16(&call));
    out.dtype = SOMA_F64;
    assert_non_null(soma__refuses_matmul_bf16(&call));
    in[0].dtype = SOMA_F16;
    assert_non_null(soma__refuses_matmul_bf16(&call));
}

static void instruction_sets(void **state)
{
    (void)state;
    const char *const *names = soma__cpu_isas();
    int count = 0;
    assert_string_equal(names[0], "baseline");
    for (; names[count]; count++) {
        const soma__backend *backend = soma__cpu_backend(names[count]);
        assert_non_null(backend);
        assert_string_equal(backend->isa, names[count]);
        assert_string_equal(soma__isa_find(names[count])->name, names[count]);
        assert_true(backend->count > 10);
    }
    assert_string_equal(soma__cpu_backend(NULL)->isa, names[count - 1]);
    assert_null(soma__cpu_backend("reference"));
    assert_null(soma__cpu_backend("avx1024"));
    soma_machine machine = {0};
    assert_int_equal(soma__cpu_backend(NULL)->measure(NULL, &machine, NULL), SOMA_OK);
    assert_true(machine.flops > 1e8);
    assert_true(machine.bandwidth > 1e8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(around_tiles),     cmocka_unit_test(thin_and_wide),
        cmocka_unit_test(long_sums),        cmocka_unit_test(nothing_to_sum),
        cmocka_unit_test(stacks),           cmocka_unit_test(not_finite),
        cmocka_unit_test(refusals),         cmocka_unit_test(of_bf16),
        cmocka_unit_test(instruction_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
