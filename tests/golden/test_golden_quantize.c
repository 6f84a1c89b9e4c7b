/* test_golden_quantize.c: bytes for numbers and products of them, against onnxruntime.
 * QLinearMatMul and QLinearConv are products followed by a bias and the way back to bytes. */
#include "golden.h"

static soma_var u8(soma_var x)
{
    return soma_cast(x, SOMA_U8);
}
static soma_var i8(soma_var x)
{
    return soma_cast(x, SOMA_I8);
}
static soma_var f32(soma_var x)
{
    return soma_cast(x, SOMA_F32);
}

/* u8 under a scale and zero of its own, of sums under the scales of their operands. */
static soma_var requantized(soma_var sums, soma_var a_scale, soma_var b_scale, soma_var y_scale,
                            soma_var y_zero)
{
    soma_var y = soma_mul(f32(sums), soma_mul(a_scale, b_scale));
    return f32(soma_quantize_linear(y, y_scale, u8(y_zero)));
}

GOLDEN(quantize, f32(soma_quantize_linear(in[0], in[1], u8(in[2]))))
GOLDEN(quantize_columns, f32(soma_quantize_linear(in[0], in[1], i8(in[2]))))
GOLDEN(dequantize, soma_dequantize_linear(u8(in[0]), in[1], u8(in[2])))
GOLDEN(dequantize_columns, soma_dequantize_linear(i8(in[0]), in[1], i8(in[2])))
GOLDEN(dynamic_quantize, f32(soma_dynamic_quantize_linear(in[0]).q))
GOLDEN(matmul, f32(soma_matmul_integer(u8(in[0]), i8(in[1]), u8(in[2]), i8(in[3]))))
GOLDEN(qlinear_matmul, requantized(soma_matmul_integer(u8(in[0]), i8(in[3]), u8(in[2]), i8(in[5])),
                                   in[1], in[4], in[6], in[7]))
GOLDEN(conv, f32(soma_conv2d_integer(u8(in[0]), i8(in[1]), u8(in[2]), i8(in[3]),
                                     .pad = {1, 0, 2, 1}, .stride = {2, 1})))
GOLDEN(conv_groups, f32(soma_conv2d_integer(u8(in[0]), i8(in[1]), u8(in[2]), i8(in[3]),
                                            .pad = {1, 1, 1, 1}, .groups = 2)))
GOLDEN(qlinear_conv, requantized(soma_add(soma_conv2d_integer(u8(in[0]), i8(in[3]), u8(in[2]),
                                                              i8(in[5]), .pad = {1, 1, 1, 1}),
                                          soma_cast(in[8], SOMA_I32)),
                                 in[1], in[4], in[6], in[7]))

static const golden cases[] = {
    {"quantize", "x scale zero", quantize},
    {"quantize_columns", "x scale zero", quantize_columns},
    {"dequantize", "x scale zero", dequantize},
    {"dequantize_columns", "x scale zero", dequantize_columns},
    {"dynamic_quantize", "x", dynamic_quantize},
    {"matmul", "a b a_zero b_zero", matmul},
    {"matmul_columns", "a b a_zero b_zero", matmul},
    {"qlinear_matmul", "a a_scale a_zero b b_scale b_zero y_scale y_zero", qlinear_matmul},
    {"conv", "x w x_zero w_zero", conv},
    {"conv_groups", "x w x_zero w_zero", conv_groups},
    {"qlinear_conv", "x x_scale x_zero w w_scale w_zero y_scale y_zero bias", qlinear_conv},
};

int main(void)
{
    return golden_run("quantize.safetensors", cases, sizeof(cases) / sizeof(cases[0]));
}
