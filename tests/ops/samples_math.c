/* samples_math.c: the further functions of mathematics, and the ops on bits. */
#include <math.h>

#include "elementwise.h"

/* --- one input ----------------------------------------------------------------------------------
 */

UNARY(expm1, -3, 2, 0, 1, -1, 1e-5)
UNARY(log1p, -0.6, 4, 0, 1, -0.5, 1e-5)
UNARY(exp2, -5, 3, 0, 1, -1, 0.5)
UNARY(log2, 0.2, 4, 1, 8, 0.5, 10)
UNARY(log10, 0.2, 4, 1, 2, 0.1, 1000)
UNARY(tan, -1.2, 1.2, 0, 1, -1, 2)
UNARY(asin, -0.8, 0.8, 0, 1, -0.5, 2)
UNARY(acos, -0.8, 0.8, 0, 1, -0.5, 2)
UNARY(atan, -3, 3, 0, 1, -1, INFINITY)
UNARY(sinh, -3, 3, 0, 1, -1, 2)
UNARY(cosh, -3, 3, 0, 1, -1, 2)
UNARY(asinh, -3, 3, 0, 1, -1, 2)
UNARY(acosh, 1.2, 4, 1, 2, 3, 0.5)
UNARY(atanh, -0.8, 0.8, 0, 0.5, -0.5, 1)
UNARY(erfc, -3, 3, 0, 1, -1, 5)
UNARY(erfinv, -0.9, 0.9, 0, 0.5, -0.842700793, 1)
UNARY(cbrt, 0.5, 4, -8, 0, 27, 0.125)
UNARY(lgamma, 0.5, 5, 1, 0.5, 5, -0.5)
UNARY(digamma, 0.5, 5, 1, 0.5, 2, -0.5)
UNARY(trunc, -4, 4, -1.5, 0.5, 2, 2.9)
UNARY(frac, 0.1, 0.9, -1.5, 0.5, 2, 2.75)

REFUSES(expm1, SOMA_I32)
REFUSES(log1p, SOMA_I32)
REFUSES(exp2, SOMA_I32)
REFUSES(log2, SOMA_I32)
REFUSES(log10, SOMA_I32)
REFUSES(tan, SOMA_I32)
REFUSES(asin, SOMA_I32)
REFUSES(acos, SOMA_I32)
REFUSES(atan, SOMA_I32)
REFUSES(sinh, SOMA_I32)
REFUSES(cosh, SOMA_I32)
REFUSES(asinh, SOMA_I32)
REFUSES(acosh, SOMA_I32)
REFUSES(atanh, SOMA_I32)
REFUSES(erfc, SOMA_I32)
REFUSES(erfinv, SOMA_I32)
REFUSES(cbrt, SOMA_I32)
REFUSES(lgamma, SOMA_I32)
REFUSES(digamma, SOMA_I32)
REFUSES(trunc, SOMA_I32)
REFUSES(frac, SOMA_I32)
REFUSES(bitwise_not, SOMA_BOOL)

/* Far from the middle, where a careless formula overflows or loses all digits. */
static soma_var expm1_far(soma__sample_ctx *ctx)
{
    return soma_expm1(
        sample_values(ctx, 0, SOMA_SHAPE(5), (const double[]){-90, -0.34, 0.36, 80, 1e-12}));
}

static soma_var log1p_far(soma__sample_ctx *ctx)
{
    return soma_log1p(
        sample_values(ctx, 0, SOMA_SHAPE(5), (const double[]){1e-12, -1e-6, 1e6, 1e30, -0.9}));
}

static soma_var lgamma_negative(soma__sample_ctx *ctx)
{
    return soma_lgamma(
        sample_values(ctx, 0, SOMA_SHAPE(4), (const double[]){-1.5, -2.25, -7.75, 80}));
}

static soma_var erfinv_ends(soma__sample_ctx *ctx)
{
    return soma_erfinv(
        sample_values(ctx, 0, SOMA_SHAPE(5), (const double[]){-0.99, 0.995, 1e-6, 0.5, -0.3}));
}

static soma_var polygamma_random(soma__sample_ctx *ctx)
{
    return soma_polygamma(1, sample_in(ctx, SOMA_SHAPE(5, 7), 0.5, 5));
}

static soma_var polygamma_negative(soma__sample_ctx *ctx)
{
    return soma_polygamma(
        2, sample_values(ctx, 0, SOMA_SHAPE(3), (const double[]){-0.4, -1.7, -12.5}));
}

/* pi²/6, pi²/2; then -2 zeta(3). */
static soma_var polygamma_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, SOMA_SHAPE(2), (const double[]){1, 0.5});
    soma_var y[2] = {soma_polygamma(1, x), soma_polygamma(2, soma_slice(x, 0, 0, 1))};
    return soma_concat(y, 2, 0);
}

static soma_var polygamma_refused(soma__sample_ctx *ctx)
{
    return soma_polygamma(-1, sample_in(ctx, SOMA_SHAPE(3), 0, 1));
}

static soma_var nan_to_num_random(soma__sample_ctx *ctx)
{
    return soma_nan_to_num(sample_in(ctx, SOMA_SHAPE(5, 7), -2, 2), 0, INFINITY, -INFINITY);
}

static soma_var nan_to_num_worked(soma__sample_ctx *ctx)
{
    return soma_nan_to_num(
        sample_values(ctx, 0, SOMA_SHAPE(4), (const double[]){NAN, INFINITY, -INFINITY, 2}), 5, 6,
        -7);
}

static soma_var nan_to_num_refused(soma__sample_ctx *ctx)
{
    return soma_nan_to_num(sample_int(ctx, SOMA_I32, SOMA_SHAPE(3), 0, 2), 0, 1, -1);
}

/* --- two and three inputs -----------------------------------------------------------------------
 */

BINARY(fmod, 0.5, 2)
BINARY(remainder, 0.5, 2)
BINARY(floor_divide, 0.5, 2)
BINARY(atan2, 0.5, 2)
BINARY(hypot, 0.5, 2)
BINARY(copysign, 0.5, 2)
BINARY(logaddexp, -2, 2)
BINARY(xlogy, 0.5, 2)

/* Signs: those of the first and of the second operand. */
#define SIGNS(name_)                                                                               \
    static soma_var name_##_signs(soma__sample_ctx *ctx)                                           \
    {                                                                                              \
        soma_var a = sample_values(ctx, 0, SOMA_SHAPE(4), (const double[]){7, -7, 7, -7});         \
        return soma_##name_(a,                                                                     \
                            sample_values(ctx, 0, SOMA_SHAPE(4), (const double[]){3, 3, -3, -3})); \
    }                                                                                              \
    static soma_var name_##_integers(soma__sample_ctx *ctx)                                        \
    {                                                                                              \
        soma_var a =                                                                               \
            sample_values(ctx, SOMA_I64, SOMA_SHAPE(5), (const double[]){7, -7, 7, -7, 5});        \
        return soma_##name_(                                                                       \
            a, sample_values(ctx, SOMA_I64, SOMA_SHAPE(5), (const double[]){3, 3, -3, -3, 0}));    \
    }
SIGNS(fmod)
SIGNS(remainder)
SIGNS(floor_divide)

/* The smallest integer by -1, which no processor likes. */
static soma_var floor_divide_wraps(soma__sample_ctx *ctx)
{
    soma_var a = sample_values(ctx, SOMA_I32, SOMA_SHAPE(2), (const double[]){INT32_MIN, 9});
    return soma_floor_divide(a, sample_values(ctx, SOMA_I32, SOMA_SCALAR, (const double[]){-1}));
}

static soma_var atan2_quadrants(soma__sample_ctx *ctx)
{
    soma_var a = sample_values(ctx, 0, SOMA_SHAPE(4), (const double[]){1, 1, -1, -1});
    return soma_atan2(a, sample_values(ctx, 0, SOMA_SHAPE(4), (const double[]){1, -1, -1, 1}));
}

static soma_var hypot_large(soma__sample_ctx *ctx)
{
    soma_var a = sample_values(ctx, 0, SOMA_SHAPE(2), (const double[]){3e30, 5});
    return soma_hypot(a, sample_values(ctx, 0, SOMA_SHAPE(2), (const double[]){4e30, 12}));
}

static soma_var copysign_signs(soma__sample_ctx *ctx)
{
    soma_var a = sample_values(ctx, 0, SOMA_SHAPE(3), (const double[]){2, -3, 4});
    return soma_copysign(a, sample_values(ctx, 0, SOMA_SHAPE(3), (const double[]){-1, -0.0, 0}));
}

static soma_var logaddexp_far(soma__sample_ctx *ctx)
{
    soma_var a = sample_values(ctx, 0, SOMA_SHAPE(3), (const double[]){500, -500, 3});
    return soma_logaddexp(a, sample_values(ctx, 0, SOMA_SHAPE(3), (const double[]){500, -501, 90}));
}

static soma_var xlogy_zero(soma__sample_ctx *ctx)
{
    soma_var a = sample_values(ctx, 0, SOMA_SHAPE(4), (const double[]){0, 0, 2, 0});
    return soma_xlogy(a, sample_values(ctx, 0, SOMA_SHAPE(4), (const double[]){0, 3, 1, NAN}));
}

static soma_var lerp_random(soma__sample_ctx *ctx)
{
    soma_var a = sample_in(ctx, SOMA_SHAPE(4, 9), -1, 1);
    soma_var b = sample_in(ctx, SOMA_SHAPE(9), -1, 1);
    return soma_lerp(a, b, sample_in(ctx, SOMA_SHAPE(4, 1), 0, 1));
}

static soma_var lerp_worked(soma__sample_ctx *ctx)
{
    soma_var a = sample_values(ctx, 0, SOMA_SHAPE(2), (const double[]){1, 2});
    soma_var b = sample_values(ctx, 0, SOMA_SHAPE(2), (const double[]){5, 4});
    return soma_lerp(a, b, sample_values(ctx, 0, SOMA_SCALAR, (const double[]){0.25}));
}

static soma_var lerp_refused(soma__sample_ctx *ctx)
{
    soma_var a = sample_in(ctx, SOMA_SHAPE(3), -1, 1);
    return soma_lerp(a, a, sample_in(ctx, SOMA_SHAPE(4), 0, 1));
}

/* --- bits ---------------------------------------------------------------------------------------
 */

#define BITS(name_, dtype_, low_, high_)                                                           \
    static soma_var name_##_rows(soma__sample_ctx *ctx)                                            \
    {                                                                                              \
        soma_var a = sample_int(ctx, dtype_, SOMA_SHAPE(7, 1, 33), -99, 99);                       \
        return soma_##name_(a, sample_int(ctx, dtype_, SOMA_SHAPE(5, 33), low_, high_));           \
    }                                                                                              \
    static soma_var name_##_refused(soma__sample_ctx *ctx)                                         \
    {                                                                                              \
        soma_var a = sample_in(ctx, SOMA_SHAPE(3), 0, 2);                                          \
        return soma_##name_(a, a);                                                                 \
    }                                                                                              \
    static soma_var name_##_worked(soma__sample_ctx *ctx)                                          \
    {                                                                                              \
        soma_var a = sample_values(ctx, SOMA_I32, SOMA_SHAPE(4), (const double[]){12, -1, -7, 3}); \
        return soma_##name_(                                                                       \
            a, sample_values(ctx, SOMA_I32, SOMA_SHAPE(4), (const double[]){10, 2, 1, 40}));       \
    }
BITS(bitwise_and, SOMA_I64, -99, 99)
BITS(bitwise_or, SOMA_I32, -99, 99)
BITS(bitwise_xor, SOMA_I8, -99, 99)
BITS(shift_left, SOMA_I32, 0, 33)
BITS(shift_right, SOMA_I64, 0, 70)

static soma_var bitwise_not_random(soma__sample_ctx *ctx)
{
    return soma_bitwise_not(sample_int(ctx, SOMA_I64, SOMA_SHAPE(3000), -99, 99));
}

static soma_var bitwise_not_worked(soma__sample_ctx *ctx)
{
    return soma_bitwise_not(
        sample_values(ctx, SOMA_U8, SOMA_SHAPE(3), (const double[]){0, 5, 255}));
}

static soma_var shift_right_bytes(soma__sample_ctx *ctx)
{
    soma_var a = sample_values(ctx, SOMA_U8, SOMA_SHAPE(3), (const double[]){200, 255, 7});
    return soma_shift_right(a,
                            sample_values(ctx, SOMA_U8, SOMA_SHAPE(3), (const double[]){1, 7, 9}));
}

/* --- the table ----------------------------------------------------------------------------------
 */

#define INTEGER "must be an integer"

const soma__sample soma__samples_math[] = {
    UNARY_ROWS(expm1, 0, FLOAT, 0, 1.718281828, -0.632120559, 1.000005e-5),
    UNARY_ROWS(log1p, 0, FLOAT, 0, 0.693147181, -0.693147181, 9.99995e-6),
    UNARY_ROWS(exp2, 0, FLOAT, 1, 2, 0.5, 1.414213562),
    UNARY_ROWS(log2, 0, FLOAT, 0, 3, -1, 3.321928095),
    UNARY_ROWS(log10, 0, FLOAT, 0, 0.301029996, -1, 3),
    UNARY_ROWS(tan, 0, FLOAT, 0, 1.557407725, -1.557407725, -2.185039863),
    UNARY_ROWS(asin, 0, FLOAT, 0, 1.570796327, -0.523598776, NAN),
    UNARY_ROWS(acos, 0, FLOAT, 1.570796327, 0, 2.094395102, NAN),
    UNARY_ROWS(atan, 0, FLOAT, 0, 0.785398163, -0.785398163, 1.570796327),
    UNARY_ROWS(sinh, 0, FLOAT, 0, 1.175201194, -1.175201194, 3.626860408),
    UNARY_ROWS(cosh, 0, FLOAT, 1, 1.543080635, 1.543080635, 3.762195691),
    UNARY_ROWS(asinh, 0, FLOAT, 0, 0.881373587, -0.881373587, 1.443635475),
    UNARY_ROWS(acosh, 0, FLOAT, 0, 1.316957897, 1.762747174, NAN),
    UNARY_ROWS(atanh, 0, FLOAT, 0, 0.549306144, -0.549306144, INFINITY),
    UNARY_ROWS(erfc, 0, FLOAT, 1, 0.157299207, 1.842700793, 1.537459794e-12),
    UNARY_ROWS(erfinv, 0, FLOAT, 0, 0.476936276, -1, INFINITY),
    UNARY_ROWS(cbrt, 0, FLOAT, -2, 0, 3, 0.5),
    UNARY_ROWS(lgamma, 0, FLOAT, 0, 0.572364943, 3.178053830, 1.265512123),
    UNARY_ROWS(digamma, 0, FLOAT, -0.577215665, -1.963510026, 0.422784335, 0.036489974),
    UNARY_ROWS(trunc, EXACT | NONE, FLOAT, -1, 0, 2, 2),
    UNARY_ROWS(frac, 0, FLOAT, -0.5, 0.5, 0, 0.75),
    {"expm1", "far from 0", expm1_far, .flags = KINK},
    {"log1p", "far from 0", log1p_far, .flags = KINK},
    {"lgamma", "negative", lgamma_negative, .flags = KINK},
    {"erfinv", "near the ends", erfinv_ends, .flags = KINK},
    {"polygamma", "first", .build = polygamma_random},
    {"polygamma", "negative", polygamma_negative, .flags = KINK},
    {"polygamma", "worked", polygamma_worked, .flags = KINK,
     SAMPLE_EXPECT(1.644934067, 4.934802201, -2.404113806)},
    {"polygamma", "order", polygamma_refused, .status = SOMA_INVALID,
     .message = "the order -1 is negative"},
    {"nan_to_num", "random", .build = nan_to_num_random},
    {"nan_to_num", "worked", nan_to_num_worked, .flags = KINK, SAMPLE_EXPECT(5, 6, -7, 2)},
    {"nan_to_num", "dtype", nan_to_num_refused, .status = SOMA_DTYPE, .message = FLOAT},

    BINARY_ROWS(fmod, 0, 1, 0, 0),
    BINARY_ROWS(remainder, 0, 1, 0, 0),
    BINARY_ROWS(floor_divide, EXACT | NONE, 0, 1, 6),
    BINARY_ROWS(atan2, 0, 0.244978663, 0.785398163, 1.405647649),
    BINARY_ROWS(hypot, 0, 4.123105626, 2.828427125, 3.041381265),
    BINARY_ROWS(copysign, 0, 1, 2, 3),
    BINARY_ROWS(logaddexp, 0, 4.048587352, 2.693147181, 3.078888735),
    BINARY_ROWS(xlogy, 0, 1.386294361, 1.386294361, -2.079441542),
    {"fmod", "signs", fmod_signs, .flags = KINK, SAMPLE_EXPECT(1, -1, 1, -1)},
    {"fmod", "integers", fmod_integers, .flags = EXACT, SAMPLE_EXPECT(1, -1, 1, -1, 0)},
    {"remainder", "signs", remainder_signs, .flags = KINK, SAMPLE_EXPECT(1, 2, -2, -1)},
    {"remainder", "integers", remainder_integers, .flags = EXACT, SAMPLE_EXPECT(1, 2, -2, -1, 0)},
    {"floor_divide", "signs", floor_divide_signs, .flags = EXACT | NONE,
     SAMPLE_EXPECT(2, -3, -3, 2)},
    {"floor_divide", "integers", floor_divide_integers, .flags = EXACT,
     SAMPLE_EXPECT(2, -3, -3, 2, 0)},
    {"floor_divide", "integer overflow", floor_divide_wraps, .flags = EXACT,
     SAMPLE_EXPECT(-2147483648.0, -9)},
    {"atan2", "quadrants", .build = atan2_quadrants,
     SAMPLE_EXPECT(0.785398163, 2.356194490, -2.356194490, -0.785398163)},
    {"hypot", "large", hypot_large, .flags = KINK, SAMPLE_EXPECT(5e30, 13)},
    {"copysign", "signs", copysign_signs, .flags = KINK, SAMPLE_EXPECT(-2, -3, 4)},
    {"logaddexp", "far from 0", .build = logaddexp_far,
     SAMPLE_EXPECT(500.693147181, -499.686738312, 90)},
    {"xlogy", "zero", xlogy_zero, .flags = KINK, SAMPLE_EXPECT(0, 0, 0, NAN)},
    {"lerp", "random", .build = lerp_random},
    {"lerp", "worked", .build = lerp_worked, SAMPLE_EXPECT(2, 2.5)},
    {"lerp", "shapes", lerp_refused, .status = SOMA_SHAPE, .message = "do not broadcast"},

#define BITS_ROWS(name_, ...)                                                                      \
    {#name_, "rows", name_##_rows, .flags = EXACT},                                                \
        {#name_, "worked", name_##_worked, .flags = EXACT, SAMPLE_EXPECT(__VA_ARGS__)},            \
    {                                                                                              \
#name_, "dtype", name_##_refused, .status = SOMA_DTYPE, .message = INTEGER                 \
    }
    BITS_ROWS(bitwise_and, 8, 2, 1, 0),
    BITS_ROWS(bitwise_or, 14, -1, -7, 43),
    BITS_ROWS(bitwise_xor, 6, -3, -8, 43),
    BITS_ROWS(shift_left, 12288, -4, -14, 0),
    BITS_ROWS(shift_right, 0, -1, -4, 0),
    {"bitwise_not", "random", bitwise_not_random, .flags = EXACT},
    {"bitwise_not", "worked", bitwise_not_worked, .flags = EXACT, SAMPLE_EXPECT(255, 250, 0)},
    {"bitwise_not", "dtype", bitwise_not_refused, .status = SOMA_DTYPE, .message = INTEGER},
    {"shift_right", "bytes", shift_right_bytes, .flags = EXACT, SAMPLE_EXPECT(100, 1, 0)},
    {0}};
