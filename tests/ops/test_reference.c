/* test_reference.c: reference kernels called by hand, without graph or plan, for what the samples
 * of the op driver do not reach: every dtype, sums in double, fused programs, views of another
 * shape. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "ops/ops.h"
#include "plan/program.h"

static soma__view view(void *data, soma_dtype dtype, soma_shape shape)
{
    soma__view v = {.data = data, .dtype = dtype, .shape = shape};
    assert_true(soma__shape_count(&shape, &v.count));
    return v;
}

static void call(const char *name, const void *attrs, soma__view *in, int nin, soma__view *out)
{
    const soma__op *op = soma__op_find(name);
    assert_non_null(op);
    soma__call c = {.op = op, .attrs = attrs, .nin = nin, .nout = 1, .in = in, .out = out};
    op->reference(&c);
    if (op->flops)
        assert_true(op->flops(&c) >= 0);
}

static const soma_dtype numbers[] = {SOMA_F32, SOMA_F64, SOMA_F16, SOMA_BF16,
                                     SOMA_I8,  SOMA_U8,  SOMA_I32, SOMA_I64};

/* a [2,1] + b [3] in every dtype that arithmetic takes. */
static void test_add_all_dtypes(void **state)
{
    (void)state;
    const double want[6] = {11, 12, 13, 21, 22, 23};
    for (size_t d = 0; d < sizeof(numbers) / sizeof(numbers[0]); d++) {
        const soma_dtype dtype = numbers[d];
        double a[2], b[3], y[6];
        soma__store(dtype, a, 0, 10);
        soma__store(dtype, a, 1, 20);
        for (int i = 0; i < 3; i++)
            soma__store(dtype, b, i, 1 + i);
        soma__view in[2] = {view(a, dtype, SOMA_SHAPE(2, 1)), view(b, dtype, SOMA_SHAPE(3))};
        soma__view out = view(y, dtype, SOMA_SHAPE(2, 3));
        call("add", NULL, in, 2, &out);
        for (int i = 0; i < 6; i++)
            assert_true(soma__load(dtype, y, i) == want[i]);
        uint8_t less[6];
        out = view(less, SOMA_BOOL, SOMA_SHAPE(2, 3));
        call("less", NULL, in, 2, &out);
        for (int i = 0; i < 6; i++)
            assert_int_equal(less[i], 0);
    }
}

/* Every pair of dtypes: 100 is a value of each; -1 saturates in u8, and is true. */
static void test_cast_all_pairs(void **state)
{
    (void)state;
    static const soma_dtype all[] = {SOMA_F32, SOMA_F64, SOMA_F16, SOMA_BF16, SOMA_I8,
                                     SOMA_U8,  SOMA_I32, SOMA_I64, SOMA_BOOL};
    for (size_t f = 0; f < 9; f++)
        for (size_t t = 0; t < 9; t++) {
            double x[2], y[2];
            soma__store(all[f], x, 0, 100);
            soma__store(all[f], x, 1, -1);
            soma__view in = view(x, all[f], SOMA_SHAPE(2)), out = view(y, all[t], SOMA_SHAPE(2));
            call("cast", &(soma__cast_attrs){all[t]}, &in, 1, &out);
            for (int i = 0; i < 2; i++) {
                double have = soma__load(all[f], x, i), want = have;
                if (all[t] == SOMA_BOOL)
                    want = have != 0;
                else if (all[t] == SOMA_U8 && have < 0)
                    want = 0;
                assert_true(soma__load(all[t], y, i) == want);
            }
        }
}

/* Integers do not pass through doubles, in sums, comparisons and choices either. */
static void test_large_integers(void **state)
{
    (void)state;
    int64_t a[2] = {INT64_MAX, INT64_MAX - 1}, b[2] = {INT64_MAX - 1, INT64_MAX}, y[2];
    uint8_t less[2];
    soma__view in[2] = {view(a, SOMA_I64, SOMA_SHAPE(2)), view(b, SOMA_I64, SOMA_SHAPE(2))};
    soma__view out = view(y, SOMA_I64, SOMA_SHAPE(2));
    call("maximum", NULL, in, 2, &out);
    assert_true(y[0] == INT64_MAX && y[1] == INT64_MAX);
    call("sub", NULL, in, 2, &out);
    assert_true(y[0] == 1 && y[1] == -1);
    call("add", NULL, in, 2, &out);
    assert_true(y[0] == -3 && y[1] == -3);
    out = view(less, SOMA_BOOL, SOMA_SHAPE(2));
    call("less", NULL, in, 2, &out);
    assert_true(less[0] == 0 && less[1] == 1);
    out = view(y, SOMA_I64, SOMA_SCALAR);
    call("argmax", &(soma__axis_attrs){0}, &in[1], 1, &out);
    assert_true(y[0] == 1);
    call("max", &(soma__reduce_attrs){.mask = 1}, &in[1], 1, &out);
    assert_true(y[0] == INT64_MAX);
}

/* 2^24 + 1 + 1 … is lost when added up in f32. */
static void test_sums_are_double(void **state)
{
    (void)state;
    float x[101], y;
    x[0] = 16777216;
    for (int i = 1; i < 101; i++)
        x[i] = 1;
    soma__view in = view(x, SOMA_F32, SOMA_SHAPE(101)), out = view(&y, SOMA_F32, SOMA_SCALAR);
    call("sum", &(soma__reduce_attrs){.mask = 1}, &in, 1, &out);
    assert_true(y == 16777316);
    int64_t index[101] = {0};
    soma__view pair[2] = {in, view(index, SOMA_I64, SOMA_SHAPE(101))};
    out = view(&y, SOMA_F32, SOMA_SHAPE(1));
    call("scatter_add", &(soma__scatter_attrs){0, 1}, pair, 2, &out);
    assert_true(y == 16777316);
}

/* y0 = relu(2a + b), y1 = y0 where c, b broadcast along rows; a u8 store rounds and saturates. */
static void test_fused_program(void **state)
{
    (void)state;
    float a[4] = {1, -2, 0.25f, 200}, b[2] = {0.5f, 1}, y0[4];
    uint8_t c[4] = {1, 1, 0, 1}, y1[4];
    soma__program program = {
        .shape = SOMA_SHAPE(2, 2),
        .loads = 3,
        .insns = 4,
        .stores = 2,
        .constants = 2,
        .insn = {{SOMA__SCALAR_MUL, 3, 0, SOMA__PROGRAM_REGISTERS, 0},
                 {SOMA__SCALAR_ADD, 3, 3, 1, 0},
                 {SOMA__SCALAR_RELU, 3, 3, 0, 0},
                 {SOMA__SCALAR_WHERE, 4, 2, 3, SOMA__PROGRAM_REGISTERS + 1}},
        .store = {3, 4},
        .constant = {2, 7},
        .flops = 3,
    };
    soma__view in[3] = {view(a, SOMA_F32, SOMA_SHAPE(2, 2)), view(b, SOMA_F32, SOMA_SHAPE(2)),
                        view(c, SOMA_BOOL, SOMA_SHAPE(2, 2))};
    soma__view out[2] = {view(y0, SOMA_F32, SOMA_SHAPE(2, 2)), view(y1, SOMA_U8, SOMA_SHAPE(2, 2))};
    soma__call fused = {.op = soma__op_find("fused"),
                        .nin = 3,
                        .nout = 2,
                        .in = in,
                        .out = out,
                        .program = &program};
    fused.op->reference(&fused);
    assert_true(y0[0] == 2.5f && y0[1] == 0 && y0[2] == 1 && y0[3] == 401);
    assert_int_equal(y1[0], 2); /* half to even */
    assert_int_equal(y1[1], 0);
    assert_int_equal(y1[2], 7);
    assert_int_equal(y1[3], 255);
    assert_true(fused.op->flops(&fused) == 12);
}

/* Copies of cells: 8-byte, 2-byte and 1-byte elements, and none at all. */
static void test_moves(void **state)
{
    (void)state;
    int64_t wide[6] = {1, INT64_MIN, 3, 4, INT64_MAX, 6}, wide_out[6];
    soma__permute_attrs swap = {.count = 2, .axes = {1, 0}};
    soma__view in = view(wide, SOMA_I64, SOMA_SHAPE(2, 3));
    soma__view out = view(wide_out, SOMA_I64, SOMA_SHAPE(3, 2));
    call("permute", &swap, &in, 1, &out);
    const int64_t want[6] = {1, 4, INT64_MIN, INT64_MAX, 3, 6};
    assert_memory_equal(wide_out, want, sizeof(want));

    uint16_t half[2] = {0x3c01, 0xfc00}, half_out[4];
    in = view(half, SOMA_F16, SOMA_SHAPE(1, 2));
    out = view(half_out, SOMA_F16, SOMA_SHAPE(2, 2));
    call("expand", &(soma__shape_attrs){2, {2, 2}}, &in, 1, &out);
    assert_memory_equal(half_out, ((uint16_t[]){0x3c01, 0xfc00, 0x3c01, 0xfc00}), 8);

    uint8_t bytes[3] = {1, 2, 3}, padded[5];
    in = view(bytes, SOMA_U8, SOMA_SHAPE(3));
    out = view(padded, SOMA_U8, SOMA_SHAPE(5));
    call("pad", &(soma__pad_attrs){.count = 1, .before = {1}, .after = {1}, .value = 300}, &in, 1,
         &out);
    assert_memory_equal(padded, ((uint8_t[]){255, 1, 2, 3, 255}), 5);

    in = view(bytes, SOMA_U8, SOMA_SHAPE(0, 3));
    out = view(padded, SOMA_U8, SOMA_SHAPE(3, 0));
    memset(padded, 9, sizeof(padded));
    call("permute", &swap, &in, 1, &out);
    call("slice", &(soma__slice_attrs){0, 0, 0}, &in, 1, &out);
    call("reshape", &(soma__shape_attrs){2, {3, 0}}, &in, 1, &out);
    for (int i = 0; i < 5; i++)
        assert_int_equal(padded[i], 9);
}

/* The fused op is for plans: a graph refuses it. */
static void test_fused_is_internal(void **state)
{
    (void)state;
    soma_graph *graph;
    soma_error err = {0};
    assert_int_equal(soma_graph_create(&graph, &err), SOMA_OK);
    soma_var x = soma_scalar(graph, SOMA_F32, 1);
    assert_false(soma_var_ok(soma__graph_add(graph, soma__op_find("fused"), &x, 1, NULL)));
    assert_int_equal(soma_graph_status(graph, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "made by plans only"));
    soma_graph_destroy(graph);
}

/* No builder may look at a var that is none: each passes the failure on. */
static void test_failed_vars_pass_through(void **state)
{
    (void)state;
    soma_graph *graph;
    soma_error err = {0};
    assert_int_equal(soma_graph_create(&graph, &err), SOMA_OK);
    soma_graph_fail(graph, SOMA_INVALID, "the first fault");
    const soma_var none[2] = {{NULL, -1}, {graph, -1}};
    const int64_t axes[2] = {0, 1};
    for (int i = 0; i < 2; i++) {
        const soma_var x = none[i];
        const soma_var made[] = {soma_neg(x),
                                 soma_gelu(x),
                                 soma_leaky_relu(x, 1),
                                 soma_elu(x, 1),
                                 soma_clamp(x, 0, 1),
                                 soma_add(x, x),
                                 soma_greater(x, x),
                                 soma_greater_equal(x, x),
                                 soma_add_scalar(x, 1),
                                 soma_mul_scalar(x, 1),
                                 soma_pow_scalar(x, 3),
                                 soma_pow_scalar(x, 1),
                                 soma_where(x, x, x),
                                 soma_cast(x, SOMA_F32),
                                 soma_stop_gradient(x),
                                 soma_sum(x),
                                 soma_mean(x, .axes = {0}, .count = 1),
                                 soma_max(x),
                                 soma_min(x),
                                 soma_variance(x),
                                 soma_argmax(x, 0),
                                 soma_reshape(x, SOMA_SHAPE(1)),
                                 soma_flatten(x, 0),
                                 soma_permute(x, axes, 2),
                                 soma_transpose(x),
                                 soma_expand(x, SOMA_SHAPE(1)),
                                 soma_slice(x, 0, 0, 1),
                                 soma_concat(&x, 1, 0),
                                 soma_concat(NULL, 0, 0),
                                 soma_pad(x, axes, axes, 2, 0),
                                 soma_gather(x, x, 0),
                                 soma_scatter_add(x, x, 0, 1),
                                 soma_one_hot(x, 1),
                                 soma__sum_to(x, &(soma_shape){0})};
        for (size_t k = 0; k < sizeof(made) / sizeof(made[0]); k++)
            assert_false(soma_var_ok(made[k]));
    }
    assert_int_equal(soma_graph_status(graph, &err), SOMA_INVALID);
    assert_string_equal(err.message, "the first fault");
    assert_int_equal(soma_graph_count(graph), 0);
    soma_graph_destroy(graph);
}

static void test_table(void **state)
{
    (void)state;
    assert_null(soma__op_find("no such op"));
    assert_null(soma__op_at(-1));
    assert_null(soma__op_at(soma__op_count()));
    for (int i = 0; i < soma__op_count(); i++)
        assert_ptr_equal(soma__op_find(soma__op_at(i)->name), soma__op_at(i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_all_dtypes),
        cmocka_unit_test(test_cast_all_pairs),
        cmocka_unit_test(test_large_integers),
        cmocka_unit_test(test_sums_are_double),
        cmocka_unit_test(test_fused_program),
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_fused_is_internal),
        cmocka_unit_test(test_failed_vars_pass_through),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
