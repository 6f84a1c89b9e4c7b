/* samples_reduce.c: reductions over axes. */
#include <math.h>

#include "driver.h"

/* Every reduction gets the same shapes: the last axis, the first, one in the middle, two apart, all
 * of them, axes of size 1, and sizes that leave a tail behind any vector. Numbers are far apart, so
 * that the largest is not changed by a small step. */
#define REDUCTION(name_)                                                                           \
    static soma_var name_##_all(soma__sample_ctx *ctx)                                             \
    {                                                                                              \
        return soma_##name_(sample_spread(ctx, SOMA_SHAPE(5, 7), -2, 3));                          \
    }                                                                                              \
    static soma_var name_##_last(soma__sample_ctx *ctx)                                            \
    {                                                                                              \
        return soma_##name_(sample_spread(ctx, SOMA_SHAPE(4, 37), -2, 3), .axes = {-1},            \
                            .count = 1);                                                           \
    }                                                                                              \
    static soma_var name_##_first(soma__sample_ctx *ctx)                                           \
    {                                                                                              \
        return soma_##name_(sample_spread(ctx, SOMA_SHAPE(19, 35), -2, 3), .axes = {0},            \
                            .count = 1);                                                           \
    }                                                                                              \
    static soma_var name_##_middle(soma__sample_ctx *ctx)                                          \
    {                                                                                              \
        return soma_##name_(sample_spread(ctx, SOMA_SHAPE(3, 5, 4), -2, 3), .axes = {1},           \
                            .count = 1, .keep_dims = true);                                        \
    }                                                                                              \
    static soma_var name_##_apart(soma__sample_ctx *ctx)                                           \
    {                                                                                              \
        return soma_##name_(sample_spread(ctx, SOMA_SHAPE(2, 3, 2, 3), -2, 3), .axes = {2, -4},    \
                            .count = 2);                                                           \
    }                                                                                              \
    static soma_var name_##_ones(soma__sample_ctx *ctx)                                            \
    {                                                                                              \
        return soma_##name_(sample_spread(ctx, SOMA_SHAPE(1, 3, 1), -2, 3), .axes = {0, 2},        \
                            .count = 2);                                                           \
    }                                                                                              \
    static soma_var name_##_scalar(soma__sample_ctx *ctx)                                          \
    {                                                                                              \
        return soma_##name_(sample_spread(ctx, SOMA_SCALAR, -2, 3));                               \
    }                                                                                              \
    static soma_var name_##_images(soma__sample_ctx *ctx)                                          \
    {                                                                                              \
        return soma_##name_(sample_spread(ctx, SOMA_SHAPE(4, 9, 9, 20), -2, 3), .axes = {0, 1, 2}, \
                            .count = 3);                                                           \
    }                                                                                              \
    static soma_var name_##_long(soma__sample_ctx *ctx)                                            \
    {                                                                                              \
        return soma_##name_(sample_spread(ctx, SOMA_SHAPE(20011), -2, 3));                         \
    }                                                                                              \
    static soma_var name_##_worked(soma__sample_ctx *ctx)                                          \
    {                                                                                              \
        return soma_##name_(                                                                       \
            sample_values(ctx, 0, SOMA_SHAPE(2, 3), (const double[]){1, 5, -3, 2, 0, 7}),          \
            .axes = {1}, .count = 1);                                                              \
    }                                                                                              \
    static soma_var name_##_axis(soma__sample_ctx *ctx)                                            \
    {                                                                                              \
        return soma_##name_(sample_in(ctx, SOMA_SHAPE(2, 3), 0, 1), .axes = {2}, .count = 1);      \
    }                                                                                              \
    static soma_var name_##_twice(soma__sample_ctx *ctx)                                           \
    {                                                                                              \
        return soma_##name_(sample_in(ctx, SOMA_SHAPE(2, 3), 0, 1), .axes = {1, -1}, .count = 2);  \
    }                                                                                              \
    static soma_var name_##_many(soma__sample_ctx *ctx)                                            \
    {                                                                                              \
        return soma_##name_(sample_in(ctx, SOMA_SHAPE(2, 3), 0, 1), .count = 9);                   \
    }                                                                                              \
    static soma_var name_##_bool(soma__sample_ctx *ctx)                                            \
    {                                                                                              \
        return soma_##name_(sample_int(ctx, SOMA_BOOL, SOMA_SHAPE(3), 0, 2));                      \
    }

REDUCTION(sum)
REDUCTION(mean)
REDUCTION(max)
REDUCTION(min)
REDUCTION(variance)

/* 0, not an error: sums over no numbers; the mean of none is NaN. */
static soma_var sum_nothing(soma__sample_ctx *ctx)
{
    return soma_sum(sample_in(ctx, SOMA_SHAPE(2, 0), 0, 1), .axes = {1}, .count = 1);
}

static soma_var mean_nothing(soma__sample_ctx *ctx)
{
    return soma_mean(sample_in(ctx, SOMA_SHAPE(2, 0), 0, 1), .axes = {1}, .count = 1);
}

static soma_var max_nothing(soma__sample_ctx *ctx)
{
    return soma_max(sample_in(ctx, SOMA_SHAPE(2, 0), 0, 1), .axes = {1}, .count = 1);
}

static soma_var min_nothing(soma__sample_ctx *ctx)
{
    return soma_min(sample_in(ctx, SOMA_SHAPE(2, 0), 0, 1), .axes = {1}, .count = 1);
}

static soma_var max_of_no_rows(soma__sample_ctx *ctx)
{
    return soma_max(sample_in(ctx, SOMA_SHAPE(0, 3), 0, 1), .axes = {1}, .count = 1);
}

/* 2^53 + 1 is no double; and a sum that leaves i8 wraps around. */
static soma_var sum_i64(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, SOMA_I64, SOMA_SHAPE(4),
                               (const double[]){9007199254740992, 1, -9007199254740992, 1});
    return soma_sum(x);
}

static soma_var sum_i8(soma__sample_ctx *ctx)
{
    return soma_sum(sample_values(ctx, SOMA_I8, SOMA_SHAPE(3), (const double[]){100, 100, 1}));
}

static soma_var max_integers(soma__sample_ctx *ctx)
{
    return soma_max(sample_int(ctx, SOMA_I32, SOMA_SHAPE(9, 11), -50, 50), .axes = {1}, .count = 1);
}

static soma_var max_nan(soma__sample_ctx *ctx)
{
    return soma_max(
        sample_values(ctx, 0, SOMA_SHAPE(2, 3), (const double[]){1, NAN, 3, -INFINITY, 0, 2}),
        .axes = {1}, .count = 1);
}

/* Two largest values share the gradient. */
static soma_var max_share(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, SOMA_SHAPE(4), (const double[]){3, 1, 3, 2});
    soma_var dx;
    soma_gradients(soma_max(x), &x, 1, &dx);
    return dx;
}

/* E[x²] - E[x]² would have no correct digit left here. */
static soma_var variance_offset(soma__sample_ctx *ctx)
{
    return soma_variance(
        sample_values(ctx, 0, SOMA_SHAPE(4), (const double[]){100001, 100002, 100003, 100004}));
}

/* The special values: several sizes, ties (the first wins), NaN (it is the largest). */
static soma_var argmax_last(soma__sample_ctx *ctx)
{
    return soma_argmax(sample_spread(ctx, SOMA_SHAPE(6, 37), -1, 1), -1);
}

static soma_var argmax_first(soma__sample_ctx *ctx)
{
    return soma_argmax(sample_spread(ctx, SOMA_SHAPE(7, 3, 2), -1, 1), 0);
}

static soma_var argmax_worked(soma__sample_ctx *ctx)
{
    return soma_argmax(
        sample_values(ctx, 0, SOMA_SHAPE(3, 3), (const double[]){1, 5, 5, NAN, 9, NAN, 2, 1, 0}),
        1);
}

static soma_var argmax_integers(soma__sample_ctx *ctx)
{
    return soma_argmax(sample_int(ctx, SOMA_I64, SOMA_SHAPE(5, 9), -3, 3), 1);
}

static soma_var argmax_axis(soma__sample_ctx *ctx)
{
    return soma_argmax(sample_in(ctx, SOMA_SHAPE(2, 3), 0, 1), -3);
}

static soma_var argmax_nothing(soma__sample_ctx *ctx)
{
    return soma_argmax(sample_in(ctx, SOMA_SHAPE(2, 0), 0, 1), 1);
}

enum { NONE = SAMPLE_NO_GRADIENT, KINK = SAMPLE_NO_DIFFERENCES, EXACT = SAMPLE_EXACT };

/* clang-format off */
#define REDUCTION_ROWS(name_, flags_, dtype_message_, ...)                                         \
    {#name_, "all", name_##_all, .flags = flags_},                                                 \
    {#name_, "last axis", name_##_last, .flags = flags_},                                          \
    {#name_, "first axis", name_##_first, .flags = flags_},                                        \
    {#name_, "middle axis", name_##_middle, .flags = flags_},                                      \
    {#name_, "two axes apart", name_##_apart, .flags = flags_},                                    \
    {#name_, "axes of one", name_##_ones, .flags = flags_},                                        \
    {#name_, "scalar", name_##_scalar, .flags = flags_},                                           \
    {#name_, "feature maps", name_##_images, .flags = flags_},                                     \
    {#name_, "long", name_##_long, .flags = flags_},                                               \
    {#name_, "worked", name_##_worked, .flags = flags_, SAMPLE_EXPECT(__VA_ARGS__)},               \
    {#name_, "axis", name_##_axis, .status = SOMA_SHAPE, .message = "axis 2"},                     \
    {#name_, "axis twice", name_##_twice, .status = SOMA_INVALID, .message = "axis 1 is named twice"}, \
    {#name_, "too many axes", name_##_many, .status = SOMA_INVALID, .message = "9 axes"},          \
    {#name_, "bool", name_##_bool, .status = SOMA_DTYPE, .message = dtype_message_}
/* clang-format on */

#define NUMBER "takes numbers, not bool"
#define FLOAT "must be a float"

const soma__sample soma__samples_reduce[] = {
    REDUCTION_ROWS(sum, 0, NUMBER, 3, 9),
    REDUCTION_ROWS(mean, 0, FLOAT, 1, 3),
    REDUCTION_ROWS(max, EXACT, NUMBER, 5, 7),
    REDUCTION_ROWS(min, EXACT, NUMBER, -3, 0),
    REDUCTION_ROWS(variance, 0, FLOAT, 32.0 / 3, 26.0 / 3),
    {"sum", "of nothing", .build = sum_nothing, SAMPLE_EXPECT(0, 0)},
    {"sum", "i64 beyond 2^53", sum_i64, .flags = EXACT, SAMPLE_EXPECT(2)},
    {"sum", "i8 overflow", sum_i8, .flags = EXACT, SAMPLE_EXPECT(-55)},
    {"mean", "of nothing", .build = mean_nothing, SAMPLE_EXPECT(NAN, NAN)},
    {"max", "of nothing", max_nothing, .status = SOMA_SHAPE,
     .message = "max: x is [2,0]: an empty axis 1 has no maximum"},
    {"min", "of nothing", min_nothing, .status = SOMA_SHAPE, .message = "no minimum"},
    {"max", "no rows", .build = max_of_no_rows},
    {"max", "integers", max_integers, .flags = EXACT},
    {"max", "NaN", max_nan, .flags = EXACT | KINK, SAMPLE_EXPECT(NAN, 2)},
    {"max", "share of ties", max_share, .flags = KINK, SAMPLE_EXPECT(0.5, 0, 0.5, 0)},
    {"variance", "far from 0", .build = variance_offset, SAMPLE_EXPECT(1.25)},
    {"argmax", "last axis", argmax_last, .flags = EXACT | NONE},
    {"argmax", "first axis", argmax_first, .flags = EXACT | NONE},
    {"argmax", "worked", argmax_worked, .flags = EXACT | NONE, SAMPLE_EXPECT(1, 0, 0)},
    {"argmax", "integers", argmax_integers, .flags = EXACT},
    {"argmax", "axis", argmax_axis, .status = SOMA_SHAPE, .message = "axis -3"},
    {"argmax", "of nothing", argmax_nothing, .status = SOMA_SHAPE, .message = "is empty"},
    {0}};
