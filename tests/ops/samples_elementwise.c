/* samples_elementwise.c: the elementwise ops and the activations. */
#include <math.h>

#include "elementwise.h"

/* --- one input: samples of the same three kinds, made by macros ------------------------------ */

UNARY(neg, -2, 2, -1, 0, 2.5, 3)
UNARY(abs, -2, 2, -1, 0, 2.5, -3)
UNARY(sign, -2, 2, -1, 0, 2.5, -3)
UNARY(square, -2, 2, -1, 0, 2.5, -3)
UNARY(reciprocal, 0.5, 2, -1, 0.5, 4, 8)
UNARY(sqrt, 0.5, 4, 0.25, 1, 4, 9)
UNARY(rsqrt, 0.5, 4, 0.25, 1, 4, 16)
UNARY(exp, -5, 3, 0, 1, -1, 2)
UNARY(log, 0.2, 4, 1, 2, 0.5, 10)
UNARY(sin, -4, 4, 0, 1, -1, 2)
UNARY(cos, -4, 4, 0, 1, -1, 2)
UNARY(tanh, -3, 3, 0, 1, -1, 20)
UNARY(erf, -3, 3, 0, 1, -1, 7)
UNARY(sigmoid, -6, 6, 0, 1, -1, 40)
UNARY(softplus, -6, 6, 0, 1, -1, 40)
UNARY(floor, -4, 4, -1.5, 0.5, 2, 2.5)
UNARY(ceil, -4, 4, -1.5, 0.5, 2, 2.5)
UNARY(round, -4, 4, -1.5, 0.5, 2, 2.5)
UNARY(relu, -2, 2, -1, 0, 2.5, -3)
UNARY(isfinite, -2, 2, -1, 0, INFINITY, NAN)
UNARY(isnan, -2, 2, -1, 0, INFINITY, NAN)
UNARY(isinf, -2, 2, NAN, 0, INFINITY, -INFINITY)
UNARY(isposinf, -2, 2, NAN, 0, INFINITY, -INFINITY)
UNARY(isneginf, -2, 2, NAN, 0, INFINITY, -INFINITY)
UNARY(gelu, -3, 3, 0, 1, -1, 2)
UNARY(gelu_tanh, -3, 3, 0, 1, -1, 2)
UNARY(silu, -4, 4, 0, 1, -1, 2)

REFUSES(neg, SOMA_BOOL)
REFUSES(abs, SOMA_BOOL)
REFUSES(sign, SOMA_BOOL)
REFUSES(square, SOMA_BOOL)
REFUSES(reciprocal, SOMA_I32)
REFUSES(sqrt, SOMA_I32)
REFUSES(rsqrt, SOMA_I32)
REFUSES(exp, SOMA_I32)
REFUSES(log, SOMA_I32)
REFUSES(sin, SOMA_I32)
REFUSES(cos, SOMA_I32)
REFUSES(tanh, SOMA_I32)
REFUSES(erf, SOMA_I32)
REFUSES(sigmoid, SOMA_I32)
REFUSES(softplus, SOMA_I32)
REFUSES(floor, SOMA_I32)
REFUSES(ceil, SOMA_I32)
REFUSES(round, SOMA_I32)
REFUSES(relu, SOMA_I32)
REFUSES(gelu, SOMA_I32)
REFUSES(gelu_tanh, SOMA_I32)
REFUSES(silu, SOMA_I32)
REFUSES(logical_not, SOMA_I32)

/* isfinite takes any dtype; what it cannot take is no value. */
static soma_var isfinite_refused(soma__sample_ctx *ctx)
{
    return soma_isfinite((soma_var){sample_graph(ctx), -1});
}

static soma_var isnan_refused(soma__sample_ctx *ctx)
{
    return soma_isnan((soma_var){sample_graph(ctx), -1});
}

static soma_var isinf_refused(soma__sample_ctx *ctx)
{
    return soma_isinf((soma_var){sample_graph(ctx), -1});
}

/* No integer is NaN. */
static soma_var isnan_integers(soma__sample_ctx *ctx)
{
    return soma_isnan(sample_int(ctx, SOMA_I32, SOMA_SHAPE(3), 0, 9));
}

static soma_var clamp_below(soma__sample_ctx *ctx)
{
    return soma_clamp(sample_values(ctx, 0, SOMA_SHAPE(3), (const double[]){-3, 1, 900}), -1,
                      INFINITY);
}

static soma_var clamp_integers_above(soma__sample_ctx *ctx)
{
    return soma_clamp(
        sample_values(ctx, SOMA_I64, SOMA_SHAPE(3), (const double[]){-9007199254740992, 1, 900}),
        -INFINITY, 5);
}

static soma_var stop_gradient_refused(soma__sample_ctx *ctx)
{
    return soma_stop_gradient((soma_var){sample_graph(ctx), -1});
}

static soma_var logical_not_random(soma__sample_ctx *ctx)
{
    return soma_logical_not(sample_int(ctx, SOMA_BOOL, SOMA_SHAPE(3, 7), 0, 2));
}

static soma_var logical_not_worked(soma__sample_ctx *ctx)
{
    return soma_logical_not(sample_values(ctx, SOMA_BOOL, SOMA_SHAPE(2), (const double[]){0, 1}));
}

static soma_var stop_gradient_random(soma__sample_ctx *ctx)
{
    return soma_stop_gradient(sample_in(ctx, SOMA_SHAPE(3, 7), -1, 1));
}

static soma_var stop_gradient_worked(soma__sample_ctx *ctx)
{
    return soma_stop_gradient(sample_values(ctx, 0, SOMA_SHAPE(2), (const double[]){-1.5, 2}));
}

/* Sizes of no dimension, no element, one element, and enough for several blocks. */
static soma_var exp_scalar(soma__sample_ctx *ctx)
{
    return soma_exp(sample_in(ctx, SOMA_SCALAR, -1, 1));
}

static soma_var exp_empty(soma__sample_ctx *ctx)
{
    return soma_exp(sample_in(ctx, SOMA_SHAPE(3, 0), -1, 1));
}

static soma_var tanh_large(soma__sample_ctx *ctx)
{
    return soma_tanh(sample_in(ctx, SOMA_SHAPE(67, 301), -4, 4));
}

/* Far from 0, where a careless formula overflows or loses all digits. */
static soma_var sigmoid_far(soma__sample_ctx *ctx)
{
    return soma_sigmoid(
        sample_values(ctx, 0, SOMA_SHAPE(6), (const double[]){-90, -20, -1, 1, 20, 90}));
}

static soma_var softplus_far(soma__sample_ctx *ctx)
{
    return soma_softplus(sample_values(ctx, 0, SOMA_SHAPE(4), (const double[]){-80, -20, 20, 500}));
}

static soma_var exp_far(soma__sample_ctx *ctx)
{
    return soma_exp(sample_values(ctx, 0, SOMA_SHAPE(4), (const double[]){-80, -30, 30, 80}));
}

static soma_var tanh_small(soma__sample_ctx *ctx)
{
    return soma_tanh(
        sample_values(ctx, 0, SOMA_SHAPE(4), (const double[]){1e-6, -1e-4, 3e-2, 0.5}));
}

static soma_var abs_integers(soma__sample_ctx *ctx)
{
    return soma_abs(sample_int(ctx, SOMA_I64, SOMA_SHAPE(21), -9, 9));
}

static soma_var neg_wraps(soma__sample_ctx *ctx)
{
    return soma_neg(sample_values(ctx, SOMA_I8, SOMA_SHAPE(3), (const double[]){-128, 127, 5}));
}

/* --- activations with a parameter
 * ----------------------------------------------------------------- */

static soma_var leaky_relu_random(soma__sample_ctx *ctx)
{
    return soma_leaky_relu(sample_spread(ctx, SOMA_SHAPE(5, 7), -2, 2), 0.1);
}

static soma_var leaky_relu_worked(soma__sample_ctx *ctx)
{
    return soma_leaky_relu(sample_values(ctx, 0, SOMA_SHAPE(3), (const double[]){-2, 0, 3}), 0.1);
}

static soma_var leaky_relu_refused(soma__sample_ctx *ctx)
{
    return soma_leaky_relu(sample_int(ctx, SOMA_I64, SOMA_SHAPE(3), 0, 2), 0.1);
}

static soma_var elu_random(soma__sample_ctx *ctx)
{
    return soma_elu(sample_spread(ctx, SOMA_SHAPE(5, 7), -3, 3), 0.7);
}

static soma_var elu_worked(soma__sample_ctx *ctx)
{
    return soma_elu(sample_values(ctx, 0, SOMA_SHAPE(4), (const double[]){-1, 0, 3, -1e-4}), 2);
}

/* Positive numbers whose exponential overflows. */
static soma_var elu_far(soma__sample_ctx *ctx)
{
    return soma_elu(sample_values(ctx, 0, SOMA_SHAPE(3), (const double[]){-200, 900, 3}), 1);
}

static soma_var elu_refused(soma__sample_ctx *ctx)
{
    return soma_elu(sample_int(ctx, SOMA_I64, SOMA_SHAPE(3), 0, 2), 1);
}

static soma_var clamp_random(soma__sample_ctx *ctx)
{
    return soma_clamp(sample_spread(ctx, SOMA_SHAPE(5, 7), -2, 2), -0.5, 1.25);
}

static soma_var clamp_worked(soma__sample_ctx *ctx)
{
    return soma_clamp(sample_values(ctx, 0, SOMA_SHAPE(5), (const double[]){-3, -1, 0.5, 2, 7}), -1,
                      2);
}

static soma_var clamp_integers(soma__sample_ctx *ctx)
{
    return soma_clamp(sample_int(ctx, SOMA_I32, SOMA_SHAPE(33), -9, 9), -3, 4);
}

static soma_var clamp_refused(soma__sample_ctx *ctx)
{
    return soma_clamp(sample_in(ctx, SOMA_SHAPE(3), 0, 1), 2, 1);
}

/* --- two inputs
 * ------------------------------------------------------------------------------------ */

BINARY(add, -2, 2)
BINARY(sub, -2, 2)
BINARY(mul, -2, 2)
BINARY(div, 0.5, 2)
BINARY(pow, 0.5, 2)
BINARY(maximum, -2, 2)
BINARY(minimum, -2, 2)
BINARY(equal, -2, 2)
BINARY(not_equal, -2, 2)
BINARY(less, -2, 2)
BINARY(less_equal, -2, 2)

static soma_var add_dtypes(soma__sample_ctx *ctx)
{
    soma_var a = sample_in(ctx, SOMA_SHAPE(3), 0, 1);
    return soma_add(a, sample_int(ctx, SOMA_I64, SOMA_SHAPE(3), 0, 2));
}

static soma_var add_inner(soma__sample_ctx *ctx)
{
    soma_var a = sample_in(ctx, SOMA_SHAPE(2, 3, 5), 0, 1);
    soma_scope_begin(sample_graph(ctx), "fc1");
    soma_var y = soma_add(a, sample_in(ctx, SOMA_SHAPE(4, 5), 0, 1));
    soma_scope_end(sample_graph(ctx));
    return y;
}

static soma_var add_scalar_value(soma__sample_ctx *ctx)
{
    return soma_add(sample_in(ctx, SOMA_SHAPE(3, 11), -1, 1), sample_in(ctx, SOMA_SCALAR, -1, 1));
}

static soma_var add_empty(soma__sample_ctx *ctx)
{
    return soma_add(sample_in(ctx, SOMA_SHAPE(0, 4), -1, 1),
                    sample_in(ctx, SOMA_SHAPE(1, 4), -1, 1));
}

/* 2^53 + 1 is no double: integers must not go through one. Then an overflow, which wraps around. */
static soma_var add_integers(soma__sample_ctx *ctx)
{
    soma_var big = sample_values(ctx, SOMA_I64, SOMA_SHAPE(2),
                                 (const double[]){9007199254740992, -9007199254740992});
    soma_var one = sample_values(ctx, SOMA_I64, SOMA_SHAPE(2), (const double[]){1, -1});
    return soma_sub(soma_add(big, one), big);
}

static soma_var mul_wraps(soma__sample_ctx *ctx)
{
    soma_var a = sample_values(ctx, SOMA_U8, SOMA_SHAPE(3), (const double[]){200, 16, 3});
    return soma_mul(a, sample_values(ctx, SOMA_U8, SOMA_SHAPE(3), (const double[]){2, 16, 5}));
}

static soma_var mul_self(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, SOMA_SHAPE(7), -2, 2);
    return soma_mul(x, x);
}

/* Bases at 0, where log is infinite, and a constant exponent, which takes a shorter rule. */
static soma_var pow_corners(soma__sample_ctx *ctx)
{
    soma_var a = sample_values(ctx, 0, SOMA_SHAPE(4), (const double[]){0, 0, 2, -2});
    return soma_pow(a, sample_values(ctx, 0, SOMA_SHAPE(4), (const double[]){0, 2, 0, 3}));
}

static soma_var pow_constant(soma__sample_ctx *ctx)
{
    return soma_pow_scalar(sample_in(ctx, SOMA_SHAPE(9), 0.5, 2), -1.5);
}

static soma_var pow_zero(soma__sample_ctx *ctx)
{
    return soma_pow_scalar(sample_in(ctx, SOMA_SHAPE(9), 0.5, 2), 0);
}

static soma_var maximum_ties(soma__sample_ctx *ctx)
{
    soma_var a = sample_values(ctx, 0, SOMA_SHAPE(3), (const double[]){1, 5, 3});
    soma_var y = soma_maximum(a, sample_values(ctx, 0, SOMA_SHAPE(3), (const double[]){1, 2, 3}));
    return y;
}

/* The gradient itself as a value: half each at ties. */
static soma_var maximum_share(soma__sample_ctx *ctx)
{
    soma_var in[2] = {sample_values(ctx, 0, SOMA_SHAPE(3), (const double[]){1, 5, 3}),
                      sample_values(ctx, 0, SOMA_SHAPE(3), (const double[]){1, 2, 4})};
    soma_var d[2];
    soma_gradients(soma_maximum(in[0], in[1]), in, 2, d);
    return soma_concat(d, 2, 0);
}

static soma_var minimum_integers(soma__sample_ctx *ctx)
{
    soma_var a = sample_int(ctx, SOMA_I64, SOMA_SHAPE(19), -9, 9);
    return soma_minimum(a, sample_int(ctx, SOMA_I64, SOMA_SHAPE(19), -9, 9));
}

static soma_var less_integers(soma__sample_ctx *ctx)
{
    soma_var a = sample_int(ctx, SOMA_I32, SOMA_SHAPE(4, 19), -3, 3);
    return soma_less(a, sample_int(ctx, SOMA_I32, SOMA_SHAPE(19), -3, 3));
}

static soma_var less_bool(soma__sample_ctx *ctx)
{
    soma_var a = sample_int(ctx, SOMA_BOOL, SOMA_SHAPE(3), 0, 2);
    return soma_less(a, a);
}

static soma_var equal_bool(soma__sample_ctx *ctx)
{
    soma_var a = sample_int(ctx, SOMA_BOOL, SOMA_SHAPE(23), 0, 2);
    return soma_equal(a, sample_int(ctx, SOMA_BOOL, SOMA_SHAPE(23), 0, 2));
}

static soma_var greater_worked(soma__sample_ctx *ctx)
{
    soma_var a = sample_values(ctx, 0, SOMA_SHAPE(3), (const double[]){1, 2, 3});
    return soma_greater(a, sample_values(ctx, 0, SOMA_SHAPE(3), (const double[]){4, 2, 0.5}));
}

static soma_var greater_equal_worked(soma__sample_ctx *ctx)
{
    soma_var a = sample_values(ctx, 0, SOMA_SHAPE(3), (const double[]){1, 2, 3});
    return soma_greater_equal(a, sample_values(ctx, 0, SOMA_SHAPE(3), (const double[]){4, 2, 0.5}));
}

#define LOGICAL(name_)                                                                             \
    static soma_var name_##_rows(soma__sample_ctx *ctx)                                            \
    {                                                                                              \
        soma_var a = sample_int(ctx, SOMA_BOOL, SOMA_SHAPE(5, 13), 0, 2);                          \
        return soma_##name_(a, sample_int(ctx, SOMA_BOOL, SOMA_SHAPE(13), 0, 2));                  \
    }                                                                                              \
    static soma_var name_##_worked(soma__sample_ctx *ctx)                                          \
    {                                                                                              \
        soma_var a = sample_values(ctx, SOMA_BOOL, SOMA_SHAPE(2, 1), (const double[]){0, 1});      \
        return soma_##name_(a,                                                                     \
                            sample_values(ctx, SOMA_BOOL, SOMA_SHAPE(2), (const double[]){0, 1})); \
    }                                                                                              \
    static soma_var name_##_refused(soma__sample_ctx *ctx)                                         \
    {                                                                                              \
        soma_var a = sample_int(ctx, SOMA_BOOL, SOMA_SHAPE(3), 0, 2);                              \
        return soma_##name_(a, sample_in(ctx, SOMA_SHAPE(3), 0, 2));                               \
    }

LOGICAL(logical_and)
LOGICAL(logical_or)
LOGICAL(logical_xor)

/* --- where, cast
 * ----------------------------------------------------------------------------------- */

static soma_var where_broadcast(soma__sample_ctx *ctx)
{
    soma_var condition = sample_int(ctx, SOMA_BOOL, SOMA_SHAPE(5, 1), 0, 2);
    soma_var a = sample_in(ctx, SOMA_SHAPE(5, 7), -1, 1);
    return soma_where(condition, a, sample_in(ctx, SOMA_SHAPE(7), -1, 1));
}

static soma_var where_worked(soma__sample_ctx *ctx)
{
    soma_var condition = sample_values(ctx, SOMA_BOOL, SOMA_SHAPE(3), (const double[]){1, 0, 1});
    soma_var a = sample_values(ctx, 0, SOMA_SHAPE(3), (const double[]){1, NAN, 3});
    return soma_where(condition, a,
                      sample_values(ctx, 0, SOMA_SHAPE(3), (const double[]){NAN, 5, INFINITY}));
}

static soma_var where_integers(soma__sample_ctx *ctx)
{
    soma_var condition = sample_int(ctx, SOMA_BOOL, SOMA_SHAPE(31), 0, 2);
    soma_var a = sample_int(ctx, SOMA_I64, SOMA_SHAPE(31), -99, 99);
    return soma_where(condition, a, sample_int(ctx, SOMA_I64, SOMA_SCALAR, -99, 99));
}

static soma_var where_refused(soma__sample_ctx *ctx)
{
    soma_var a = sample_in(ctx, SOMA_SHAPE(3), 0, 1);
    return soma_where(a, a, a);
}

static soma_var where_dtypes(soma__sample_ctx *ctx)
{
    soma_var condition = sample_int(ctx, SOMA_BOOL, SOMA_SHAPE(3), 0, 2);
    return soma_where(condition, condition, sample_in(ctx, SOMA_SHAPE(3), 0, 1));
}

static soma_var cast_to_int(soma__sample_ctx *ctx)
{
    return soma_cast(sample_in(ctx, SOMA_SHAPE(3, 15), -300, 300), SOMA_I8);
}

static soma_var cast_from_u8(soma__sample_ctx *ctx)
{
    return soma_cast(sample_int(ctx, SOMA_U8, SOMA_SHAPE(3, 45), 0, 256), SOMA_F32);
}

static soma_var cast_from_bool(soma__sample_ctx *ctx)
{
    return soma_cast(sample_int(ctx, SOMA_BOOL, SOMA_SHAPE(77), 0, 2), SOMA_F32);
}

static soma_var cast_floats(soma__sample_ctx *ctx)
{
    soma_dtype other = sample_dtype(ctx) == SOMA_F32 ? SOMA_F64 : SOMA_F32;
    return soma_cast(sample_in(ctx, SOMA_SHAPE(3, 5), -2, 2), other);
}

/* Rounding to f32 makes steps, so that the gradient cannot be had by differences: here it is a
 * value. */
static soma_var cast_gradient(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, SOMA_SHAPE(3), -2, 2), dx;
    soma_var y = soma_cast(x, sample_dtype(ctx) == SOMA_F32 ? SOMA_F64 : SOMA_F32);
    soma_gradients(soma_mul_scalar(y, 3), &x, 1, &dx);
    return dx;
}

static soma_var cast_worked(soma__sample_ctx *ctx)
{
    return soma_cast(
        sample_values(ctx, 0, SOMA_SHAPE(6), (const double[]){-300, -1.5, 0.5, 2.5, 1e9, NAN}),
        SOMA_I8);
}

static soma_var cast_integers(soma__sample_ctx *ctx)
{
    return soma_cast(sample_values(ctx, SOMA_I64, SOMA_SHAPE(4),
                                   (const double[]){-5, 300, 5e9, -9007199254740992}),
                     SOMA_I32);
}

static soma_var cast_refused(soma__sample_ctx *ctx)
{
    return soma_cast(sample_in(ctx, SOMA_SHAPE(3), 0, 1), (soma_dtype)99);
}

/* --- the table
 * ------------------------------------------------------------------------------------- */

const soma__sample soma__samples_elementwise[] = {
    UNARY_ROWS(neg, EXACT, NUMBER, 1, 0, -2.5, -3),
    UNARY_ROWS(abs, EXACT, NUMBER, 1, 0, 2.5, 3),
    UNARY_ROWS(sign, EXACT | NONE, NUMBER, -1, 0, 1, -1),
    UNARY_ROWS(square, 0, NUMBER, 1, 0, 6.25, 9),
    UNARY_ROWS(reciprocal, 0, FLOAT, -1, 2, 0.25, 0.125),
    UNARY_ROWS(sqrt, 0, FLOAT, 0.5, 1, 2, 3),
    UNARY_ROWS(rsqrt, 0, FLOAT, 2, 1, 0.5, 0.25),
    UNARY_ROWS(exp, 0, FLOAT, 1, 2.718281828, 0.367879441, 7.389056099),
    UNARY_ROWS(log, 0, FLOAT, 0, 0.693147181, -0.693147181, 2.302585093),
    UNARY_ROWS(sin, 0, FLOAT, 0, 0.841470985, -0.841470985, 0.909297427),
    UNARY_ROWS(cos, 0, FLOAT, 1, 0.540302306, 0.540302306, -0.416146837),
    UNARY_ROWS(tanh, 0, FLOAT, 0, 0.761594156, -0.761594156, 1),
    UNARY_ROWS(erf, 0, FLOAT, 0, 0.842700793, -0.842700793, 1),
    UNARY_ROWS(sigmoid, 0, FLOAT, 0.5, 0.731058579, 0.268941421, 1),
    UNARY_ROWS(softplus, 0, FLOAT, 0.693147181, 1.313261688, 0.313261688, 40),
    UNARY_ROWS(floor, EXACT | NONE, FLOAT, -2, 0, 2, 2),
    UNARY_ROWS(ceil, EXACT | NONE, FLOAT, -1, 1, 2, 3),
    UNARY_ROWS(round, EXACT | NONE, FLOAT, -2, 0, 2, 2),
    UNARY_ROWS(relu, EXACT, FLOAT, 0, 0, 2.5, 0),
    UNARY_ROWS(gelu, 0, FLOAT, 0, 0.841344746, -0.158655254, 1.954499736),
    UNARY_ROWS(gelu_tanh, 0, FLOAT, 0, 0.841191991, -0.158808009, 1.954597694),
    UNARY_ROWS(silu, 0, FLOAT, 0, 0.731058579, -0.268941421, 1.761594156),
    UNARY_ROWS(logical_not, EXACT | NONE, "takes bool, input 0 is i32", 1, 0),
    {"isfinite", "random", isfinite_random, .flags = EXACT | NONE},
    {"isfinite", "worked", isfinite_worked, .flags = EXACT | NONE, SAMPLE_EXPECT(1, 1, 0, 0)},
    {"isfinite", "no value", isfinite_refused, .status = SOMA_INVALID, .message = "not a value"},
    {"isnan", "random", isnan_random, .flags = EXACT | NONE},
    {"isnan", "worked", isnan_worked, .flags = EXACT | NONE, SAMPLE_EXPECT(0, 0, 0, 1)},
    {"isnan", "integers", isnan_integers, .flags = EXACT | NONE, SAMPLE_EXPECT(0, 0, 0)},
    {"isnan", "no value", isnan_refused, .status = SOMA_INVALID, .message = "not a value"},
    {"isinf", "random", isinf_random, .flags = EXACT | NONE},
    {"isinf", "worked", isinf_worked, .flags = EXACT | NONE, SAMPLE_EXPECT(0, 0, 1, 1)},
    {"isinf", "no value", isinf_refused, .status = SOMA_INVALID, .message = "not a value"},
    {"equal", "isposinf", isposinf_random, .flags = EXACT | NONE},
    {"equal", "isposinf worked", isposinf_worked, .flags = EXACT | NONE, SAMPLE_EXPECT(0, 0, 1, 0)},
    {"equal", "isneginf", isneginf_random, .flags = EXACT | NONE},
    {"equal", "isneginf worked", isneginf_worked, .flags = EXACT | NONE, SAMPLE_EXPECT(0, 0, 0, 1)},
    {"stop_gradient", "random", stop_gradient_random, .flags = EXACT | NONE},
    {"stop_gradient", "worked", stop_gradient_worked, .flags = EXACT | NONE,
     SAMPLE_EXPECT(-1.5, 2)},
    {"stop_gradient", "no value", stop_gradient_refused, .status = SOMA_INVALID,
     .message = "not a value"},
    {"exp", "scalar", .build = exp_scalar},
    {"exp", "empty", .build = exp_empty},
    {"exp", "far from 0", exp_far, .flags = KINK},
    {"tanh", "large", .build = tanh_large},
    {"tanh", "near 0", .build = tanh_small},
    {"sigmoid", "far from 0", .build = sigmoid_far},
    {"softplus", "far from 0", .build = softplus_far},
    {"abs", "integers", abs_integers, .flags = EXACT},
    {"neg", "integer overflow", neg_wraps, .flags = EXACT, SAMPLE_EXPECT(-128, -127, -5)},

    {"leaky_relu", "random", .build = leaky_relu_random},
    {"leaky_relu", "worked", leaky_relu_worked, .flags = KINK, SAMPLE_EXPECT(-0.2, 0, 3)},
    {"leaky_relu", "dtype", leaky_relu_refused, .status = SOMA_DTYPE, .message = FLOAT},
    {"elu", "random", .build = elu_random},
    {"elu", "worked", elu_worked, .flags = KINK,
     SAMPLE_EXPECT(-1.264241118, 0, 3, -1.999900003e-4)},
    {"elu", "far from 0", .build = elu_far},
    {"elu", "dtype", elu_refused, .status = SOMA_DTYPE, .message = FLOAT},
    {"clamp", "random", clamp_random, .flags = EXACT},
    {"clamp", "worked", clamp_worked, .flags = EXACT | KINK, SAMPLE_EXPECT(-1, -1, 0.5, 2, 2)},
    {"clamp", "integers", clamp_integers, .flags = EXACT},
    {"clamp", "open above", clamp_below, .flags = EXACT | KINK, SAMPLE_EXPECT(-1, 1, 900)},
    {"clamp", "integers, open below", clamp_integers_above, .flags = EXACT,
     SAMPLE_EXPECT(-9007199254740992, 1, 5)},
    {"clamp", "limits", clamp_refused, .status = SOMA_INVALID, .message = "not in order"},

    BINARY_ROWS(add, 0, 5, 4, 3.5),
    BINARY_ROWS(sub, 0, -3, 0, 2.5),
    BINARY_ROWS(mul, 0, 4, 4, 1.5),
    BINARY_ROWS(div, 0, 0.25, 1, 6),
    BINARY_ROWS(pow, 0, 1, 4, 1.732050808),
    BINARY_ROWS(maximum, EXACT, 4, 2, 3),
    BINARY_ROWS(minimum, EXACT, 1, 2, 0.5),
    BINARY_ROWS(equal, EXACT | NONE, 0, 1, 0),
    BINARY_ROWS(not_equal, EXACT | NONE, 1, 0, 1),
    BINARY_ROWS(less, EXACT | NONE, 1, 0, 0),
    BINARY_ROWS(less_equal, EXACT | NONE, 1, 1, 0),
    {"less", "greater", greater_worked, .flags = EXACT | NONE, SAMPLE_EXPECT(0, 0, 1)},
    {"less_equal", "greater_equal", greater_equal_worked, .flags = EXACT | NONE,
     SAMPLE_EXPECT(0, 1, 1)},
    {"add", "scalar", .build = add_scalar_value},
    {"add", "empty", .build = add_empty},
    {"add", "i64 beyond 2^53", add_integers, .flags = EXACT, SAMPLE_EXPECT(1, -1)},
    {"add", "dtypes", add_dtypes, .status = SOMA_DTYPE, .message = "use soma_cast"},
    {"add", "inner axis", add_inner, .status = SOMA_SHAPE,
     .message = "add 'fc1': shapes [2,3,5] and [4,5] do not broadcast: the sizes 3 and 4 of axis "
                "-2 differ"},
    {"mul", "integer overflow", mul_wraps, .flags = EXACT, SAMPLE_EXPECT(144, 0, 15)},
    {"mul", "with itself", .build = mul_self},
    {"pow", "corners", pow_corners, .flags = KINK, SAMPLE_EXPECT(1, 0, 1, -8)},
    {"pow", "constant exponent", .build = pow_constant},
    {"pow", "exponent 0", .build = pow_zero},
    {"maximum", "ties", maximum_ties, .flags = KINK, SAMPLE_EXPECT(1, 5, 3)},
    {"maximum", "share of ties", maximum_share, .flags = KINK, SAMPLE_EXPECT(0.5, 1, 0, 0.5, 0, 1)},
    {"minimum", "integers", minimum_integers, .flags = EXACT},
    {"less", "integers", less_integers, .flags = EXACT},
    {"less", "bool", less_bool, .status = SOMA_DTYPE, .message = NUMBER},
    {"equal", "bool", equal_bool, .flags = EXACT},
    {"logical_and", "rows", logical_and_rows, .flags = EXACT},
    {"logical_and", "worked", logical_and_worked, .flags = EXACT, SAMPLE_EXPECT(0, 0, 0, 1)},
    {"logical_and", "dtype", logical_and_refused, .status = SOMA_DTYPE, .message = "takes bool"},
    {"logical_or", "rows", logical_or_rows, .flags = EXACT},
    {"logical_or", "worked", logical_or_worked, .flags = EXACT, SAMPLE_EXPECT(0, 1, 1, 1)},
    {"logical_or", "dtype", logical_or_refused, .status = SOMA_DTYPE, .message = "takes bool"},

    {"logical_xor", "rows", logical_xor_rows, .flags = EXACT},
    {"logical_xor", "worked", logical_xor_worked, .flags = EXACT, SAMPLE_EXPECT(0, 1, 1, 0)},
    {"logical_xor", "dtype", logical_xor_refused, .status = SOMA_DTYPE, .message = "takes bool"},

    {"where", "broadcast", where_broadcast, .flags = EXACT},
    {"where", "worked", where_worked, .flags = EXACT | KINK, SAMPLE_EXPECT(1, 5, 3)},
    {"where", "integers", where_integers, .flags = EXACT},
    {"where", "condition", where_refused, .status = SOMA_DTYPE, .message = "must be bool, it is"},
    {"where", "dtypes", where_dtypes, .status = SOMA_DTYPE, .message = "must have one dtype"},
    {"cast", "to i8", cast_to_int, .flags = EXACT | NONE},
    {"cast", "from u8", cast_from_u8, .flags = EXACT},
    {"cast", "from bool", cast_from_bool, .flags = EXACT},
    {"cast", "between floats", cast_floats, .flags = KINK},
    {"cast", "gradient", cast_gradient, .flags = EXACT | KINK, SAMPLE_EXPECT(3, 3, 3)},
    {"cast", "worked", cast_worked, .flags = EXACT | NONE, SAMPLE_EXPECT(-128, -2, 0, 2, 127, 0)},
    {"cast", "between integers", cast_integers, .flags = EXACT,
     SAMPLE_EXPECT(-5, 300, 2147483647, -2147483648.0)},
    {"cast", "no dtype", cast_refused, .status = SOMA_INVALID, .message = "99 is no dtype"},
    {0}};
