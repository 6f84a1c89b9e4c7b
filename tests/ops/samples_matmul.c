/* samples_matmul.c: samples of matmul and linear. Sizes lie around the tiles of fast kernels (rows
 * of 6 and 14, columns of 16 and 32) and their remainders. */
#include "driver.h"

#define S SOMA_SHAPE

/* A sample that multiplies two random arrays; options follow. */
#define PRODUCT(name_, a_, b_, ...)                                                                \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        soma_var a = sample_in(ctx, a_, -1, 1), b = sample_in(ctx, b_, -1, 1);                     \
        return soma_matmul_opt(a, b, (soma_matmul_options){__VA_ARGS__});                          \
    }

PRODUCT(one, S(1, 1), S(1, 1), 0)
PRODUCT(column_by_row, S(5, 1), S(1, 9), 0)
PRODUCT(row_by_column, S(1, 64), S(64, 1), 0)
PRODUCT(vector_matrix, S(1, 33), S(33, 47), 0)
PRODUCT(matrix_vector, S(45, 31), S(31, 1), 0)
PRODUCT(tile_6_16, S(6, 7), S(7, 16), 0)
PRODUCT(tile_14_32, S(14, 64), S(64, 32), 0)
PRODUCT(below_tiles, S(5, 7), S(7, 15), 0)
PRODUCT(above_tiles, S(15, 64), S(64, 33), 0)
PRODUCT(two_tiles, S(29, 8), S(8, 65), 0)
PRODUCT(long_sum, S(7, 300), S(300, 17), 0)
PRODUCT(large, S(130, 70), S(70, 100), 0)
PRODUCT(ta, S(7, 15), S(7, 33), .transpose_a = true)
PRODUCT(tb, S(15, 7), S(33, 7), .transpose_b = true)
PRODUCT(ta_tb, S(7, 15), S(33, 7), .transpose_a = true, .transpose_b = true)
PRODUCT(ta_long, S(300, 14), S(300, 32), .transpose_a = true)
PRODUCT(tb_long, S(14, 300), S(31, 300), .transpose_b = true)
PRODUCT(ta_tb_long, S(300, 6), S(16, 300), .transpose_a = true, .transpose_b = true)
PRODUCT(batch, S(3, 5, 6), S(3, 6, 7), 0)
PRODUCT(batch_ta_tb, S(2, 6, 5), S(2, 7, 6), .transpose_a = true, .transpose_b = true)
PRODUCT(batch_one_b, S(3, 2, 5, 6), S(6, 7), 0)
PRODUCT(batch_one_b_tb, S(4, 5, 6), S(7, 6), .transpose_b = true)
PRODUCT(batch_one_b_ta, S(4, 6, 5), S(6, 7), .transpose_a = true)
PRODUCT(batch_one_a, S(5, 6), S(3, 6, 7), 0)
PRODUCT(batch_cross, S(2, 1, 5, 6), S(1, 3, 6, 7), 0)
PRODUCT(batch_empty, S(0, 5, 6), S(6, 7), 0)
PRODUCT(rows_empty, S(0, 6), S(6, 7), 0)
PRODUCT(columns_empty, S(5, 6), S(6, 0), 0)
PRODUCT(sum_empty, S(2, 0), S(0, 3), 0)
PRODUCT(refuse_inner, S(32, 128), S(64, 10), 0)
PRODUCT(refuse_inner_tb, S(32, 128), S(128, 10), .transpose_b = true)
PRODUCT(refuse_vector, S(6), S(6, 7), 0)
PRODUCT(refuse_batch, S(2, 5, 6), S(3, 6, 7), 0)

static soma_var worked(soma__sample_ctx *ctx)
{
    soma_var a = sample_values(ctx, 0, S(2, 3), (double[]){1, 2, 3, 4, 5, 6});
    soma_var b = sample_values(ctx, 0, S(3, 2), (double[]){7, 8, 9, 10, 11, 12});
    return soma_matmul(a, b);
}
static soma_var worked_transposed(soma__sample_ctx *ctx)
{
    soma_var a = sample_values(ctx, 0, S(3, 2), (double[]){1, 4, 2, 5, 3, 6});
    soma_var b = sample_values(ctx, 0, S(2, 3), (double[]){7, 9, 11, 8, 10, 12});
    return soma_matmul(a, b, .transpose_a = true, .transpose_b = true);
}
/* A NaN in a reaches its row, an Inf its row, nothing else. */
static soma_var nonfinite(soma__sample_ctx *ctx)
{
    soma_var a = sample_values(ctx, 0, S(3, 2), (double[]){1, 2, NAN, 1, INFINITY, 1});
    soma_var b = sample_values(ctx, 0, S(2, 2), (double[]){1, 2, 3, 4});
    return soma_matmul(a, b);
}
static soma_var refuse_dtypes(soma__sample_ctx *ctx)
{
    soma_var a = sample_in(ctx, S(2, 3), -1, 1);
    return soma_matmul(a, soma_cast(sample_in(ctx, S(3, 2), -1, 1), SOMA_F16));
}
static soma_var refuse_integers(soma__sample_ctx *ctx)
{
    soma_var a = sample_int(ctx, SOMA_I32, S(2, 2), 0, 5);
    return soma_matmul(a, a);
}
static soma_var named(soma__sample_ctx *ctx)
{
    soma_var a = sample_in(ctx, S(32, 128), -1, 1), b = sample_in(ctx, S(64, 10), -1, 1);
    soma_scope_begin(sample_graph(ctx), "fc1");
    soma_var y = soma_matmul(a, b);
    soma_scope_end(sample_graph(ctx));
    return y;
}

/* --- of bf16 ---------------------------------------------------------------------------------- */

/* Gradients of what is rounded to bf16 are, and may fall on the other side of a tie. */
#define OF_HALF .flags = SAMPLE_NO_DIFFERENCES, .tolerance = 0x1p-7

static soma_var half(soma__sample_ctx *ctx, soma_shape a, soma_shape b, bool ta, bool tb)
{
    soma_var x = sample_in(ctx, a, -1, 1), y = sample_in(ctx, b, -1, 1);
    return soma_matmul(x, y, .transpose_a = ta, .transpose_b = tb, .precision = SOMA_BF16);
}
#define HALF(name_, ...)                                                                           \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        return half(ctx, __VA_ARGS__);                                                             \
    }
HALF(half_plain, S(15, 64), S(64, 33), false, false)
HALF(half_odd, S(15, 63), S(63, 33), false, false)
HALF(half_transposed, S(63, 15), S(33, 63), true, true)
HALF(half_right, S(32, 100), S(10, 100), false, true)
HALF(half_left, S(31, 20), S(31, 40), true, false)
HALF(half_stack, S(2, 3, 5, 8), S(8, 7), false, false)
HALF(half_stacks, S(2, 3, 5, 8), S(3, 8, 7), false, false)

static soma_var half_worked(soma__sample_ctx *ctx)
{
    soma_var a = sample_values(ctx, 0, S(1, 2), (double[]){257, 1}); /* 257 becomes 256 */
    return soma_matmul(a, sample_values(ctx, 0, S(2, 1), (double[]){2, 0.5}),
                       .precision = SOMA_BF16);
}
static soma_var half_refused(soma__sample_ctx *ctx)
{
    soma_var a = sample_in(ctx, S(2, 2), -1, 1);
    return soma_matmul(a, a, .precision = SOMA_I8);
}
static soma_var half_linear(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(5, 20), -1, 1), w = sample_in(ctx, S(33, 20), -1, 1);
    return soma_linear(x, w, sample_in(ctx, S(33), -1, 1), .precision = SOMA_BF16);
}
static soma_var half_linear_refused(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(5, 20), -1, 1), w = sample_in(ctx, S(33, 20), -1, 1);
    soma_var b = soma_cast(sample_in(ctx, S(33), -1, 1), SOMA_BF16);
    return soma_linear(x, w, b, .precision = SOMA_BF16);
}

/* --- linear ----------------------------------------------------------------------------------- */

static soma_var dense(soma__sample_ctx *ctx, soma_shape x, soma_shape w, soma_shape b)
{
    soma_var vx = sample_in(ctx, x, -1, 1), vw = sample_in(ctx, w, -1, 1);
    return soma_linear(vx, vw, b.ndim ? sample_in(ctx, b, -1, 1) : (soma_var){0});
}
#define DENSE(name_, ...)                                                                          \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        return dense(ctx, __VA_ARGS__);                                                            \
    }

DENSE(linear_plain, S(5, 20), S(33, 20), S(33))
DENSE(linear_no_bias, S(5, 20), S(10, 20), SOMA_SCALAR)
DENSE(linear_vector, S(20), S(10, 20), S(10))
DENSE(linear_sequence, S(2, 3, 20), S(10, 20), S(10))
DENSE(linear_empty, S(0, 20), S(10, 20), S(10))
DENSE(linear_refuse_inputs, S(5, 20), S(10, 21), S(10))
DENSE(linear_refuse_bias, S(5, 20), S(10, 20), S(20))
DENSE(linear_refuse_weight, S(5, 20), S(10, 2, 10), S(10))

static soma_var linear_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 2), (double[]){3, 4});
    soma_var w = sample_values(ctx, 0, S(3, 2), (double[]){1, 0, 0, 1, 2, -1});
    return soma_linear(x, w, sample_values(ctx, 0, S(3), (double[]){10, 20, 30}));
}

const soma__sample soma__samples_matmul[] = {
    {"matmul", "bf16, a worked value", .build = half_worked, .flags = SAMPLE_NO_DIFFERENCES,
     SAMPLE_EXPECT(512.5)},
    {"matmul", "bf16", .build = half_plain, OF_HALF},
    {"matmul", "bf16, K odd", .build = half_odd, OF_HALF},
    {"matmul", "bf16, both transposed", .build = half_transposed, OF_HALF},
    {"matmul", "bf16, b transposed", .build = half_right, OF_HALF},
    {"matmul", "bf16, a transposed", .build = half_left, OF_HALF},
    {"matmul", "bf16, one matrix under a stack", .build = half_stack, OF_HALF},
    {"matmul", "bf16, stacks", .build = half_stacks, OF_HALF},
    {"matmul", "precision i8", .build = half_refused, .status = SOMA_DTYPE,
     .message = "precision must be bf16"},
    {"linear", "bf16", .build = half_linear, OF_HALF},
    {"linear", "bf16 with a bias of bf16", .build = half_linear_refused, .status = SOMA_DTYPE,
     .message = "b is bf16"},
    {"matmul", "2x3 by 3x2", .build = worked, SAMPLE_EXPECT(58, 64, 139, 154)},
    {"matmul", "the same, both transposed", .build = worked_transposed,
     SAMPLE_EXPECT(58, 64, 139, 154)},
    {"matmul", "NaN and Inf stay in their rows", .build = nonfinite, .flags = SAMPLE_NO_DIFFERENCES,
     SAMPLE_EXPECT(7, 10, NAN, NAN, INFINITY, INFINITY)},
    {"matmul", "1x1x1", .build = one},
    {"matmul", "K 1", .build = column_by_row},
    {"matmul", "M 1, N 1", .build = row_by_column},
    {"matmul", "M 1", .build = vector_matrix},
    {"matmul", "N 1", .build = matrix_vector},
    {"matmul", "tile 6x16, K 7", .build = tile_6_16},
    {"matmul", "tile 14x32, K 64", .build = tile_14_32},
    {"matmul", "one below tiles", .build = below_tiles},
    {"matmul", "one above tiles", .build = above_tiles},
    {"matmul", "two tiles and one", .build = two_tiles},
    {"matmul", "K 300", .build = long_sum},
    {"matmul", "130x70x100", .build = large},
    {"matmul", "a transposed", .build = ta},
    {"matmul", "b transposed", .build = tb},
    {"matmul", "both transposed", .build = ta_tb},
    {"matmul", "a transposed, K 300", .build = ta_long},
    {"matmul", "b transposed, K 300", .build = tb_long},
    {"matmul", "both transposed, K 300", .build = ta_tb_long},
    {"matmul", "batch of 3", .build = batch},
    {"matmul", "batch, both transposed", .build = batch_ta_tb},
    {"matmul", "one b for a batch of a", .build = batch_one_b},
    {"matmul", "one b for a batch of a, b transposed", .build = batch_one_b_tb},
    {"matmul", "one b for a batch of a, a transposed", .build = batch_one_b_ta},
    {"matmul", "one a for a batch of b", .build = batch_one_a},
    {"matmul", "batches broadcast both ways", .build = batch_cross},
    {"matmul", "empty batch", .build = batch_empty},
    {"matmul", "no rows", .build = rows_empty},
    {"matmul", "no columns", .build = columns_empty},
    {"matmul", "empty sums are zero", .build = sum_empty, SAMPLE_EXPECT(0, 0, 0, 0, 0, 0)},
    {"matmul", "inner sizes", .build = refuse_inner, .status = SOMA_SHAPE,
     .message = "matmul: inner sizes differ: a [32,128], b [64,10]"},
    {"matmul", "the user's name", .build = named, .status = SOMA_SHAPE,
     .message = "matmul 'fc1': inner sizes differ: a [32,128], b [64,10]"},
    {"matmul", "inner sizes, transposed", .build = refuse_inner_tb, .status = SOMA_SHAPE,
     .message = "b [128,10] transposed"},
    {"matmul", "vector", .build = refuse_vector, .status = SOMA_SHAPE, .message = "soma_reshape"},
    {"matmul", "batches", .build = refuse_batch, .status = SOMA_SHAPE,
     .message = "batch sizes do not broadcast: a [2,5,6], b [3,6,7]"},
    {"matmul", "two dtypes", .build = refuse_dtypes, .status = SOMA_DTYPE, .message = "soma_cast"},
    {"matmul", "integers", .build = refuse_integers, .status = SOMA_DTYPE, .message = "float"},

    {"linear", "1x2 to 3", .build = linear_worked, SAMPLE_EXPECT(13, 24, 32)},
    {"linear", "5x20 to 33", .build = linear_plain},
    {"linear", "no bias", .build = linear_no_bias},
    {"linear", "one vector", .build = linear_vector},
    {"linear", "sequence", .build = linear_sequence},
    {"linear", "empty batch", .build = linear_empty},
    {"linear", "inputs", .build = linear_refuse_inputs, .status = SOMA_SHAPE,
     .message = "x [5,20] ends in 20, w [10,21] expects 21 inputs"},
    {"linear", "bias", .build = linear_refuse_bias, .status = SOMA_SHAPE,
     .message = "b must be [10]"},
    {"linear", "weight", .build = linear_refuse_weight, .status = SOMA_SHAPE,
     .message = "[outputs,inputs]"},
    {0},
};
