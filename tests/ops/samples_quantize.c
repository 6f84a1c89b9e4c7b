/* samples_quantize.c: bytes for numbers, and products of bytes. Sizes of these lie around the tiles
 * of fast kernels and the two or four bytes that these take together. */
#include "driver.h"

#define S SOMA_SHAPE
#define NUMBERS(shape_, ...) sample_values(ctx, 0, shape_, (const double[]){__VA_ARGS__})
#define BYTES(dtype_, shape_, ...)                                                                 \
    sample_values(ctx, SOMA_##dtype_, shape_, (const double[]){__VA_ARGS__})

/* Operands are evaluated in any order, so each sample's inputs are made one by one. */
#define SAMPLE(name_, op_, x_, scale_, zero_)                                                      \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        soma_var x = x_;                                                                           \
        soma_var scale = scale_;                                                                   \
        soma_var zero = zero_;                                                                     \
        return soma_##op_##_linear(x, scale, zero);                                                \
    }

SAMPLE(ties, quantize, NUMBERS(S(8), -1, 0.25, 0.75, 1.25, 64, 1000, -1000, 0), NUMBERS(S(), 0.5),
       BYTES(U8, S(), 2))
SAMPLE(signs, quantize, NUMBERS(S(2, 3), -1, 0, 1, -300, 5, 300), NUMBERS(S(3), 0.5, 1, 2),
       BYTES(I8, S(3), 0, -3, 7))
SAMPLE(many, quantize, sample_in(ctx, S(7, 37), -3, 3), NUMBERS(S(1), 0.03125),
       BYTES(U8, S(1), 100))
SAMPLE(integer_scale, quantize, NUMBERS(S(2), 1, 2), BYTES(I8, S(), 1), BYTES(I8, S(), 1))
SAMPLE(wide_zero, quantize, NUMBERS(S(2), 1, 2), NUMBERS(S(), 1),
       sample_int(ctx, SOMA_I32, S(), 0, 5))
SAMPLE(scales, quantize, NUMBERS(S(2), 1, 2), NUMBERS(S(3), 1, 1, 1), BYTES(I8, S(), 1))
SAMPLE(back, dequantize, BYTES(U8, S(4), 0, 2, 7, 255), NUMBERS(S(), 0.5), BYTES(U8, S(), 2))
SAMPLE(back_signs, dequantize, BYTES(I8, S(2, 2), -128, 2, 7, 127), NUMBERS(S(2), 0.5, 2),
       BYTES(I8, S(2), 2, -1))
SAMPLE(back_many, dequantize, sample_int(ctx, SOMA_I8, S(5, 33), -128, 128), NUMBERS(S(), 0.125),
       BYTES(I8, S(), 3))
SAMPLE(back_number, dequantize, NUMBERS(S(2), 1, 2), NUMBERS(S(), 1), BYTES(U8, S(), 1))
SAMPLE(back_zero, dequantize, BYTES(U8, S(1), 1), NUMBERS(S(), 1), BYTES(I8, S(), 1))
SAMPLE(back_zeros, dequantize, BYTES(U8, S(1), 1), NUMBERS(S(), 1), BYTES(U8, S(2), 1, 2))

/* All values of both bytes, so that 16 bits would not hold a sum of two products. */
static soma_var product(soma__sample_ctx *ctx, soma_shape a, soma_shape b, int64_t a_zero,
                        int64_t b_low, int64_t b_high, soma_shape b_zeros)
{
    soma_var x = sample_int(ctx, SOMA_U8, a, 0, 256), y = sample_int(ctx, SOMA_I8, b, -128, 128);
    soma_var x_zero = sample_int(ctx, SOMA_U8, S(), a_zero, a_zero + 1);
    return soma_matmul_integer(x, y, x_zero, sample_int(ctx, SOMA_I8, b_zeros, b_low, b_high));
}
#define PRODUCT(name_, ...)                                                                        \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        return product(ctx, __VA_ARGS__);                                                          \
    }
PRODUCT(one, S(1, 1), S(1, 1), 3, 0, 1, S())
PRODUCT(below, S(13, 63), S(63, 31), 128, 0, 1, S())
PRODUCT(tile, S(14, 64), S(64, 32), 255, 0, 1, S(1))
PRODUCT(above, S(15, 65), S(65, 33), 0, 0, 1, S())
PRODUCT(narrow, S(7, 6), S(6, 5), 9, 0, 1, S())
PRODUCT(stack, S(3, 2, 30, 130), S(130, 70), 7, 0, 1, S())
PRODUCT(zeros, S(20, 66), S(66, 37), 130, -128, 128, S(37))
PRODUCT(zero, S(61, 7), S(7, 49), 1, -128, -127, S(1))
PRODUCT(no_rows, S(0, 7), S(7, 49), 1, 0, 1, S())
PRODUCT(no_sum, S(2, 0), S(0, 2), 1, 0, 1, S())
PRODUCT(inner, S(2, 3), S(4, 5), 1, 0, 1, S())
PRODUCT(stacked, S(2, 3), S(1, 3, 5), 1, 0, 1, S())
PRODUCT(too_many, S(2, 3), S(3, 5), 1, 0, 1, S(3))
static soma_var worked(soma__sample_ctx *ctx)
{
    soma_var a = BYTES(U8, S(1, 3), 255, 255, 2),
             b = BYTES(I8, S(3, 2), 127, -128, 127, -128, 1, 1);
    soma_var a_zero = BYTES(U8, S(), 1);
    return soma_matmul_integer(a, b, a_zero, BYTES(I8, S(2), 0, 1));
}
static soma_var signs_left(soma__sample_ctx *ctx)
{
    soma_var a = sample_int(ctx, SOMA_I8, S(2, 2), 0, 2);
    return soma_matmul_integer(a, a, BYTES(U8, S(), 1), BYTES(I8, S(), 1));
}
static soma_var zeros_left(soma__sample_ctx *ctx)
{
    soma_var a = sample_int(ctx, SOMA_U8, S(2, 2), 0, 2),
             b = sample_int(ctx, SOMA_I8, S(2, 2), 0, 2);
    return soma_matmul_integer(a, b, BYTES(U8, S(2), 1, 1), BYTES(I8, S(), 1));
}

static soma_var conv(soma__sample_ctx *ctx, soma_shape x, soma_shape w, int64_t x_zero,
                     int64_t w_low, int64_t w_high, soma_shape w_zeros, soma_conv_options options)
{
    soma_var a = sample_int(ctx, SOMA_U8, x, 0, 256), b = sample_int(ctx, SOMA_I8, w, -128, 128);
    soma_var a_zero = sample_int(ctx, SOMA_U8, S(1), x_zero, x_zero + 1);
    soma_var b_zero = sample_int(ctx, SOMA_I8, w_zeros, w_low, w_high);
    return soma_conv2d_integer_opt(a, b, a_zero, b_zero, options);
}
#define CONV(name_, x_, w_, x_zero_, w_low_, w_high_, w_zeros_, ...)                               \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        return conv(ctx, x_, w_, x_zero_, w_low_, w_high_, w_zeros_,                               \
                    (soma_conv_options){__VA_ARGS__});                                             \
    }
CONV(same, S(2, 9, 7, 5), S(33, 3, 3, 5), 120, 0, 1, S(), .padding = SOMA_PAD_SAME)
CONV(strided, S(1, 12, 11, 16), S(31, 3, 2, 16), 3, 0, 1, S(), .stride = {2, 3},
     .pad = {1, 0, 2, 1})
CONV(groups, S(2, 6, 6, 12), S(8, 3, 3, 3), 255, 0, 1, S(), .groups = 4, .pad = {1, 1, 1, 1})
CONV(depthwise, S(1, 8, 8, 6), S(6, 3, 3, 1), 60, -9, 9, S(6), .groups = 6, .dilation = {2, 2})
CONV(pointwise, S(1, 8, 8, 64), S(40, 1, 1, 64), 60, 5, 6, S(1), 0)
CONV(kernel_zeros, S(1, 8, 8, 7), S(35, 3, 3, 7), 60, -128, 128, S(35), .pad = {1, 1, 1, 1})
CONV(channels, S(1, 6, 6, 3), S(4, 3, 3, 1), 0, 0, 1, S(), 0)
CONV(kernel_matrix, S(1, 6, 6, 3), S(3, 3), 0, 0, 1, S(), 0)
CONV(conv_zeros, S(1, 6, 6, 3), S(4, 3, 3, 3), 0, 0, 1, S(3), 0)
static soma_var conv_worked(soma__sample_ctx *ctx)
{
    soma_var x = BYTES(U8, S(1, 2, 2, 1), 255, 1, 2, 3),
             w = BYTES(I8, S(1, 2, 2, 1), 127, 2, 3, -128);
    soma_var x_zero = BYTES(U8, S(), 1);
    return soma_conv2d_integer(x, w, x_zero, BYTES(I8, S(), 0), .pad = {0, 0, 0, 1});
}
static soma_var conv_signs(soma__sample_ctx *ctx)
{
    soma_var x = sample_int(ctx, SOMA_U8, S(1, 2, 2, 1), 0, 2);
    return soma_conv2d_integer(x, x, BYTES(U8, S(), 1), BYTES(I8, S(), 0), 0);
}

#define OF_BYTES .flags = SAMPLE_NO_GRADIENT | SAMPLE_EXACT

const soma__sample soma__samples_quantize[] = {
    {"matmul_integer", "by hand", .build = worked, OF_BYTES, SAMPLE_EXPECT(64517, -65532)},
    {"matmul_integer", "1x1x1", .build = one, OF_BYTES},
    {"matmul_integer", "below tiles", .build = below, OF_BYTES},
    {"matmul_integer", "a tile", .build = tile, OF_BYTES},
    {"matmul_integer", "above tiles", .build = above, OF_BYTES},
    {"matmul_integer", "a part of a vector", .build = narrow, OF_BYTES},
    {"matmul_integer", "stack", .build = stack, OF_BYTES},
    {"matmul_integer", "zeros of columns", .build = zeros, OF_BYTES},
    {"matmul_integer", "one zero", .build = zero, OF_BYTES},
    {"matmul_integer", "no rows", .build = no_rows, OF_BYTES},
    {"matmul_integer", "empty sums are zero", .build = no_sum, OF_BYTES, SAMPLE_EXPECT(0, 0, 0, 0)},
    {"matmul_integer", "inner sizes", .build = inner, .status = SOMA_SHAPE,
     .message = "inner sizes differ: a [2,3], b [4,5]"},
    {"matmul_integer", "stack of b", .build = stacked, .status = SOMA_SHAPE,
     .message = "needs a [B…,M,K] and b [K,N]"},
    {"matmul_integer", "zeros of rows", .build = too_many, .status = SOMA_SHAPE,
     .message = "one of each of the 5 columns of the result, not [3]"},
    {"matmul_integer", "a with signs", .build = signs_left, .status = SOMA_DTYPE,
     .message = "the first operand must be u8, not i8"},
    {"matmul_integer", "zeros of a", .build = zeros_left, .status = SOMA_SHAPE,
     .message = "the zero of the first operand is one number, not [2]"},

    {"conv2d_integer", "by hand", .build = conv_worked, OF_BYTES, SAMPLE_EXPECT(32005, 6)},
    {"conv2d_integer", "3x3, same", .build = same, OF_BYTES},
    {"conv2d_integer", "strides", .build = strided, OF_BYTES},
    {"conv2d_integer", "groups", .build = groups, OF_BYTES},
    {"conv2d_integer", "depthwise, dilated", .build = depthwise, OF_BYTES},
    {"conv2d_integer", "1x1", .build = pointwise, OF_BYTES},
    {"conv2d_integer", "zeros of channels", .build = kernel_zeros, OF_BYTES},
    {"conv2d_integer", "channels", .build = channels, .status = SOMA_SHAPE,
     .message = "input has 3 channels, weight expects 1"},
    {"conv2d_integer", "a matrix", .build = kernel_matrix, .status = SOMA_SHAPE,
     .message = "w must be [O,kh,kw,C/groups]"},
    {"conv2d_integer", "zeros", .build = conv_zeros, .status = SOMA_SHAPE,
     .message = "one of each of the 4 columns"},
    {"conv2d_integer", "kernel without signs", .build = conv_signs, .status = SOMA_DTYPE,
     .message = "the second operand must be i8, not u8"},

    {"quantize_linear", "ties and ends", .build = ties, .flags = SAMPLE_NO_GRADIENT | SAMPLE_EXACT,
     SAMPLE_EXPECT(0, 2, 4, 4, 130, 255, 0, 2)},
    {"quantize_linear", "with signs, by slices", .build = signs,
     .flags = SAMPLE_NO_GRADIENT | SAMPLE_EXACT, SAMPLE_EXPECT(-2, -3, 7, -128, 2, 127)},
    {"quantize_linear", "many", .build = many, .flags = SAMPLE_NO_GRADIENT | SAMPLE_EXACT},
    {"quantize_linear", "scale of bytes", integer_scale, .status = SOMA_DTYPE,
     .message = "scale is i8, must be"},
    {"quantize_linear", "zero of 32 bits", wide_zero, .status = SOMA_DTYPE,
     .message = "zero must be u8 or i8, not i32"},
    {"quantize_linear", "too many scales", scales, .status = SOMA_SHAPE,
     .message = "one of each of the 2 slices"},
    {"dequantize_linear", "u8", .build = back, SAMPLE_EXPECT(-1, 0, 2.5, 126.5)},
    {"dequantize_linear", "i8, by slices", .build = back_signs, SAMPLE_EXPECT(-65, 6, 2.5, 256)},
    {"dequantize_linear", "many", .build = back_many},
    {"dequantize_linear", "a number", back_number, .status = SOMA_DTYPE,
     .message = "q must be u8 or i8"},
    {"dequantize_linear", "another zero", back_zero, .status = SOMA_DTYPE,
     .message = "zero is i8, must be u8 as q"},
    {"dequantize_linear", "too many zeros", back_zeros, .status = SOMA_SHAPE,
     .message = "the zero is one number"},
    {0},
};
