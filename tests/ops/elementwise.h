/* elementwise.h: samples of elementwise ops come in the same few kinds; here are the macros that
 * write them. */
#ifndef SOMA__TEST_ELEMENTWISE_H
#define SOMA__TEST_ELEMENTWISE_H

#include "driver.h"

/* A sample over [low, high) of a size that leaves a tail behind any vector, and a worked one on
 * four given numbers. */
#define UNARY(name_, low_, high_, ...)                                                             \
    static soma_var name_##_random(soma__sample_ctx *ctx)                                          \
    {                                                                                              \
        return soma_##name_(sample_in(ctx, SOMA_SHAPE(5, 29), low_, high_));                       \
    }                                                                                              \
    static soma_var name_##_worked(soma__sample_ctx *ctx)                                          \
    {                                                                                              \
        return soma_##name_(sample_values(ctx, 0, SOMA_SHAPE(4), (const double[]){__VA_ARGS__}));  \
    }

/* What the float ops and the number ops refuse. */
#define REFUSES(name_, dtype_)                                                                     \
    static soma_var name_##_refused(soma__sample_ctx *ctx)                                         \
    {                                                                                              \
        return soma_##name_(sample_int(ctx, dtype_, SOMA_SHAPE(3), 0, 2));                         \
    }

/* Plain, with the second input broadcast along rows, with both broadcast, and a worked one. Inputs
 * are spread out: no two are equal, where comparisons and choices have their kink. */
#define BINARY(name_, low_, high_)                                                                 \
    static soma_var name_##_same(soma__sample_ctx *ctx)                                            \
    {                                                                                              \
        soma_var a = sample_spread(ctx, SOMA_SHAPE(4, 9), low_, high_);                            \
        return soma_##name_(a, sample_in(ctx, SOMA_SHAPE(4, 9), low_, high_));                     \
    }                                                                                              \
    static soma_var name_##_rows(soma__sample_ctx *ctx)                                            \
    {                                                                                              \
        soma_var a = sample_spread(ctx, SOMA_SHAPE(3, 37), low_, high_);                           \
        return soma_##name_(a, sample_in(ctx, SOMA_SHAPE(37), low_, high_));                       \
    }                                                                                              \
    static soma_var name_##_both(soma__sample_ctx *ctx)                                            \
    {                                                                                              \
        soma_var a = sample_spread(ctx, SOMA_SHAPE(2, 1, 3), low_, high_);                         \
        return soma_##name_(a, sample_in(ctx, SOMA_SHAPE(4, 1), low_, high_));                     \
    }                                                                                              \
    static soma_var name_##_refused(soma__sample_ctx *ctx)                                         \
    {                                                                                              \
        soma_var a = sample_in(ctx, SOMA_SHAPE(32, 128), low_, high_);                             \
        return soma_##name_(a, sample_in(ctx, SOMA_SHAPE(64), low_, high_));                       \
    }                                                                                              \
    static soma_var name_##_worked(soma__sample_ctx *ctx)                                          \
    {                                                                                              \
        soma_var a = sample_values(ctx, 0, SOMA_SHAPE(3), (const double[]){1, 2, 3});              \
        return soma_##name_(a, sample_values(ctx, 0, SOMA_SHAPE(3), (const double[]){4, 2, 0.5})); \
    }

#define FLOAT "must be a float"
#define NUMBER "takes numbers, not bool"
#define LAST "shapes [32,128] and [64] do not broadcast: the last sizes 128 and 64 differ"

/* clang-format off */
#define UNARY_ROWS(name_, flags_, message_, ...)                                                   \
    {#name_, "random", name_##_random, .flags = flags_},                                                    \
    {#name_, "worked", name_##_worked, .flags = (flags_) | SAMPLE_NO_DIFFERENCES, SAMPLE_EXPECT(__VA_ARGS__)}, \
    {#name_, "dtype", name_##_refused, .status = SOMA_DTYPE, .message = message_}
#define BINARY_ROWS(name_, flags_, ...)                                                            \
    {#name_, "same shapes", name_##_same, .flags = flags_},                                                 \
    {#name_, "rows", name_##_rows, .flags = flags_},                                                        \
    {#name_, "both broadcast", name_##_both, .flags = flags_},                                              \
    {#name_, "worked", name_##_worked, .flags = (flags_) | SAMPLE_NO_DIFFERENCES, SAMPLE_EXPECT(__VA_ARGS__)}, \
    {#name_, "shapes", name_##_refused, .status = SOMA_SHAPE, .message = LAST}
/* clang-format on */

enum { NONE = SAMPLE_NO_GRADIENT, KINK = SAMPLE_NO_DIFFERENCES, EXACT = SAMPLE_EXACT };

#endif
