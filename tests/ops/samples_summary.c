/* samples_summary.c: products, composite reductions, and scans along an axis. */
#include <math.h>

#include "driver.h"

enum { NONE = SAMPLE_NO_GRADIENT, KINK = SAMPLE_NO_DIFFERENCES, EXACT = SAMPLE_EXACT };

#define S SOMA_SHAPE
#define SAMPLE(name_, value_)                                                                      \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        return value_;                                                                             \
    }

/* Numbers far apart, and six to work with by hand. */
static soma_var some(soma__sample_ctx *ctx, soma_shape shape)
{
    return sample_spread(ctx, shape, -2, 3);
}
static soma_var near_1(soma__sample_ctx *ctx, soma_shape shape)
{
    return sample_in(ctx, shape, 0.8, 1.25);
}
static soma_var six(soma__sample_ctx *ctx)
{
    return sample_values(ctx, 0, S(2, 3), (const double[]){1, 5, -3, 2, 0, 7});
}
static soma_var flags(soma__sample_ctx *ctx)
{
    return sample_values(ctx, SOMA_BOOL, S(2, 3), (const double[]){1, 1, 1, 0, 0, 1});
}

/* --- reductions
 * ----------------------------------------------------------------------------------- */

/* The shapes that kernels tell apart; `in_` makes the input. */
#define REDUCTION(name_, in_)                                                                      \
    SAMPLE(name_##_all, soma_##name_(in_(ctx, S(5, 7))))                                           \
    SAMPLE(name_##_last, soma_##name_(in_(ctx, S(4, 37)), .axes = {-1}, .count = 1))               \
    SAMPLE(name_##_first, soma_##name_(in_(ctx, S(19, 35)), .axes = {0}, .count = 1))              \
    SAMPLE(name_##_middle,                                                                         \
           soma_##name_(in_(ctx, S(3, 5, 4)), .axes = {1}, .count = 1, .keep_dims = true))         \
    SAMPLE(name_##_apart, soma_##name_(in_(ctx, S(2, 3, 2, 3)), .axes = {2, -4}, .count = 2))      \
    SAMPLE(name_##_scalar, soma_##name_(in_(ctx, SOMA_SCALAR)))                                    \
    SAMPLE(name_##_worked, soma_##name_(six(ctx), .axes = {1}, .count = 1))                        \
    SAMPLE(name_##_twice, soma_##name_(in_(ctx, S(2, 3)), .axes = {1, -1}, .count = 2))

REDUCTION(prod, near_1)
REDUCTION(std, some)
REDUCTION(logsumexp, some)
REDUCTION(any, some)
REDUCTION(all, some)
REDUCTION(count_nonzero, some)

/* One zero and two of them: with two, no cell changes the product. */
SAMPLE(prod_zeros, soma_prod(sample_values(ctx, 0, S(3, 4),
                                           (const double[]){2, 0, 3, 4, 0, 5, 0, 2, 1, 2, 3, 4}),
                             .axes = {1}, .count = 1))
SAMPLE(prod_nothing, soma_prod(some(ctx, S(2, 0)), .axes = {1}, .count = 1))
SAMPLE(prod_wraps, soma_prod(sample_values(ctx, SOMA_U8, S(3), (const double[]){16, 17, 3})))
SAMPLE(prod_bool, soma_prod(flags(ctx)))
SAMPLE(prod_correction, soma_prod(some(ctx, S(3)), .correction = 1))

SAMPLE(variance_unbiased, soma_variance(six(ctx), .axes = {1}, .count = 1, .correction = 1))
SAMPLE(variance_of_one, soma_variance(some(ctx, S(2, 1)), .axes = {1}, .count = 1, .correction = 1))
SAMPLE(std_unbiased, soma_std(some(ctx, S(5, 7)), .axes = {0}, .count = 1, .correction = 1))
static soma_var std_constant(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(3), (const double[]){2, 2, 2}), dx;
    soma_gradients(soma_std(x), &x, 1, &dx);
    return dx;
}

#define NORM(name_, p_)                                                                            \
    SAMPLE(norm_##name_, soma_norm(some(ctx, S(4, 3, 5)), p_, .axes = {0, 2}, .count = 2))         \
    SAMPLE(norm_##name_##_worked, soma_norm(six(ctx), p_, .axes = {1}, .count = 1))
NORM(zero, 0)
NORM(one, 1)
NORM(two, 2)
NORM(three, 3)
NORM(largest, INFINITY)
NORM(smallest, -INFINITY)
SAMPLE(norm_negative, soma_norm(sample_in(ctx, S(3, 4), 0.5, 2), -1, .axes = {1}, .count = 1))
SAMPLE(norm_nan, soma_norm(some(ctx, S(3)), NAN))
static soma_var norm_nothing(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(3), (const double[]){0, 0, 0}), dx;
    soma_gradients(soma_norm(x, 2), &x, 1, &dx);
    return dx;
}

/* Where e^x is infinite or 0, and where all cells are -Inf. */
SAMPLE(logsumexp_far,
       soma_logsumexp(sample_values(ctx, 0, S(3, 2),
                                    (const double[]){900, 900, -900, -901, -INFINITY, -INFINITY}),
                      .axes = {1}, .count = 1))
SAMPLE(logsumexp_nothing, soma_logsumexp(some(ctx, S(2, 0)), .axes = {1}, .count = 1))
SAMPLE(logsumexp_dtype, soma_logsumexp(flags(ctx)))
SAMPLE(std_dtype, soma_std(flags(ctx)))

SAMPLE(any_flags, soma_any(flags(ctx), .axes = {1}, .count = 1))
SAMPLE(all_flags, soma_all(flags(ctx), .axes = {1}, .count = 1))
SAMPLE(any_nothing, soma_any(some(ctx, S(2, 0)), .axes = {1}, .count = 1))
SAMPLE(all_nothing, soma_all(some(ctx, S(2, 0)), .axes = {1}, .count = 1))
SAMPLE(count_flags, soma_count_nonzero(flags(ctx)))
SAMPLE(count_many, soma_count_nonzero(sample_int(ctx, SOMA_I64, S(700, 30), -1, 2)))

/* --- argmin
 * --------------------------------------------------------------------------------------- */

SAMPLE(argmin_last, soma_argmin(some(ctx, S(6, 37)), -1))
SAMPLE(argmin_first, soma_argmin(some(ctx, S(7, 3, 2)), 0))
SAMPLE(argmin_worked,
       soma_argmin(sample_values(ctx, 0, S(3, 3), (const double[]){2, 1, 1, NAN, 9, NAN, 2, 1, 0}),
                   1))
SAMPLE(argmin_integers, soma_argmin(sample_int(ctx, SOMA_I64, S(5, 9), -3, 3), 1))
SAMPLE(argmin_nothing, soma_argmin(some(ctx, S(2, 0)), 1))
SAMPLE(argmin_all, soma_argmin_opt(six(ctx), (soma_reduce_options){0}))
SAMPLE(argmax_apart,
       soma_argmax_opt(some(ctx, S(3, 4, 5)),
                       (soma_reduce_options){.axes = {0, 2}, .count = 2, .keep_dims = true}))
SAMPLE(argmax_twice,
       soma_argmax_opt(some(ctx, S(3, 4)), (soma_reduce_options){.axes = {0, 0}, .count = 2}))

/* --- scans
 * ---------------------------------------------------------------------------------------- */

#define SCAN(name_)                                                                                \
    SAMPLE(name_##_last, soma_##name_(near_1(ctx, S(4, 9)), -1))                                   \
    SAMPLE(name_##_first, soma_##name_(near_1(ctx, S(5, 70)), 0))                                  \
    SAMPLE(name_##_middle, soma_##name_(near_1(ctx, S(3, 4, 5)), 1, .reverse = true))              \
    SAMPLE(name_##_exclusive, soma_##name_(near_1(ctx, S(3, 5)), 1, .exclusive = true))            \
    SAMPLE(name_##_both,                                                                           \
           soma_##name_(near_1(ctx, S(3, 5)), 0, .exclusive = true, .reverse = true))              \
    SAMPLE(name_##_empty, soma_##name_(near_1(ctx, S(3, 0)), 1))                                   \
    SAMPLE(name_##_long, soma_##name_(sample_in(ctx, S(20011), 0.998, 1.002), 0))                  \
    SAMPLE(name_##_worked, soma_##name_(six(ctx), 1))                                              \
    SAMPLE(name_##_worked_back, soma_##name_(six(ctx), 1, .exclusive = true, .reverse = true))     \
    SAMPLE(name_##_bytes,                                                                          \
           soma_##name_(sample_values(ctx, SOMA_I8, S(3), (const double[]){100, 2, 50}), 0))       \
    SAMPLE(name_##_axis, soma_##name_(some(ctx, S(2, 3)), 2))
SCAN(cumsum)
SCAN(cumprod)

SAMPLE(cumsum_i64,
       soma_cumsum(sample_values(ctx, SOMA_I64, S(3),
                                 (const double[]){9007199254740992, 1, -9007199254740992}),
                   0))
/* Zeros, where a quotient of products would be none. */
SAMPLE(cumprod_zeros, soma_cumprod(sample_values(ctx, 0, S(5), (const double[]){2, 0, 3, 0, 5}), 0))
SAMPLE(cumprod_zeros_both,
       soma_cumprod(sample_values(ctx, 0, S(5), (const double[]){2, 0, 3, 0, 5}), 0,
                    .exclusive = true, .reverse = true))

static soma_var recurrence_of(soma__sample_ctx *ctx, soma_shape shape, int64_t axis, bool reverse)
{
    soma_var a = sample_in(ctx, shape, -0.9, 0.9);
    return soma_recurrence(a, sample_in(ctx, shape, -1, 1), axis, reverse);
}
SAMPLE(recurrence_last, recurrence_of(ctx, S(3, 7), 1, false))
SAMPLE(recurrence_first, recurrence_of(ctx, S(6, 70), 0, true))
static soma_var recurrence_worked(soma__sample_ctx *ctx)
{
    soma_var a = sample_values(ctx, 0, S(3), (const double[]){9, 2, 3});
    return soma_recurrence(a, sample_values(ctx, 0, S(3), (const double[]){1, 4, 5}), 0, false);
}
static soma_var recurrence_shapes(soma__sample_ctx *ctx)
{
    soma_var a = some(ctx, S(3));
    return soma_recurrence(a, some(ctx, S(2, 3)), 0, false);
}

/* --- the table
 * ------------------------------------------------------------------------------------ */

/* clang-format off */
#define REDUCTION_ROWS(name_, flags_, ...)                                                         \
    {#name_, "all", name_##_all, .flags = flags_},                                                 \
    {#name_, "last axis", name_##_last, .flags = flags_},                                          \
    {#name_, "first axis", name_##_first, .flags = flags_},                                        \
    {#name_, "middle axis", name_##_middle, .flags = flags_},                                      \
    {#name_, "two axes apart", name_##_apart, .flags = flags_},                                    \
    {#name_, "scalar", name_##_scalar, .flags = (flags_) | KINK},                                  \
    {#name_, "worked", name_##_worked, .flags = flags_, SAMPLE_EXPECT(__VA_ARGS__)},               \
    {#name_, "axis twice", name_##_twice, .status = SOMA_INVALID, .message = "axis 1 is named twice"}
#define SCAN_ROWS(name_)                                                                           \
    {#name_, "last axis", .build = name_##_last},                                                  \
    {#name_, "first axis", .build = name_##_first},                                                \
    {#name_, "middle axis, reverse", .build = name_##_middle},                                     \
    {#name_, "exclusive", .build = name_##_exclusive},                                             \
    {#name_, "exclusive, reverse", .build = name_##_both},                                         \
    {#name_, "empty", .build = name_##_empty},                                                     \
    {#name_, "long", name_##_long, .flags = KINK},                                                 \
    {#name_, "axis", name_##_axis, .status = SOMA_SHAPE, .message = "axis 2"}
/* clang-format on */

const soma__sample soma__samples_summary[] = {
    REDUCTION_ROWS(prod, 0, -15, 0),
    {"prod", "zeros", .build = prod_zeros, SAMPLE_EXPECT(0, 0, 24)},
    {"prod", "of nothing", .build = prod_nothing, SAMPLE_EXPECT(1, 1)},
    {"prod", "integer overflow", prod_wraps, .flags = EXACT, SAMPLE_EXPECT(48)},
    {"prod", "bool", prod_bool, .status = SOMA_DTYPE, .message = "takes numbers, not bool"},
    {"prod", "correction", prod_correction, .status = SOMA_INVALID, .message = "no correction"},
    {"variance", "unbiased", .build = variance_unbiased, SAMPLE_EXPECT(16, 13)},
    {"variance", "unbiased, of one", variance_of_one, .flags = KINK, SAMPLE_EXPECT(NAN, NAN)},
    REDUCTION_ROWS(std, 0, 3.265986324, 2.943920289),
    {"std", "unbiased", .build = std_unbiased},
    {"std", "constant", std_constant, .flags = KINK, SAMPLE_EXPECT(0, 0, 0)},
    {"std", "dtype", std_dtype, .status = SOMA_DTYPE, .message = "must be a float"},
    {"norm", "0", norm_zero, .flags = EXACT | NONE},
    {"norm", "0 worked", norm_zero_worked, .flags = EXACT | NONE, SAMPLE_EXPECT(3, 2)},
    {"norm", "1", .build = norm_one},
    {"norm", "1 worked", norm_one_worked, .flags = KINK, SAMPLE_EXPECT(9, 9)},
    {"norm", "2", .build = norm_two},
    {"norm", "2 worked", .build = norm_two_worked, SAMPLE_EXPECT(5.916079783, 7.280109889)},
    {"norm", "3", .build = norm_three},
    {"norm", "3 worked", norm_three_worked, .flags = KINK, SAMPLE_EXPECT(5.348481241, 7.054004063)},
    {"norm", "infinite", norm_largest, .flags = EXACT},
    {"norm", "infinite worked", norm_largest_worked, .flags = EXACT, SAMPLE_EXPECT(5, 7)},
    {"norm", "-infinite", norm_smallest, .flags = EXACT},
    {"norm", "-infinite worked", norm_smallest_worked, .flags = EXACT | KINK, SAMPLE_EXPECT(1, 0)},
    {"norm", "-1", .build = norm_negative},
    {"norm", "gradient at 0", norm_nothing, .flags = KINK, SAMPLE_EXPECT(0, 0, 0)},
    {"norm", "p", norm_nan, .status = SOMA_INVALID, .message = "p is not a number"},
    REDUCTION_ROWS(logsumexp, 0, 5.018479328, 7.007626653),
    {"logsumexp", "far from 0", logsumexp_far, .flags = KINK,
     SAMPLE_EXPECT(900.693147181, -899.686738312, -INFINITY)},
    {"logsumexp", "of nothing", .build = logsumexp_nothing, SAMPLE_EXPECT(-INFINITY, -INFINITY)},
    {"logsumexp", "dtype", logsumexp_dtype, .status = SOMA_DTYPE, .message = "must be a float"},
    REDUCTION_ROWS(any, EXACT | NONE, 1, 1),
    REDUCTION_ROWS(all, EXACT | NONE, 1, 0),
    REDUCTION_ROWS(count_nonzero, EXACT | NONE, 3, 2),
    {"any", "flags", any_flags, .flags = EXACT, SAMPLE_EXPECT(1, 1)},
    {"all", "flags", all_flags, .flags = EXACT, SAMPLE_EXPECT(1, 0)},
    {"any", "of nothing", any_nothing, .flags = EXACT | NONE, SAMPLE_EXPECT(0, 0)},
    {"all", "of nothing", all_nothing, .flags = EXACT | NONE, SAMPLE_EXPECT(1, 1)},
    {"count_nonzero", "flags", count_flags, .flags = EXACT, SAMPLE_EXPECT(4)},
    {"count_nonzero", "many", count_many, .flags = EXACT},
    {"argmin", "last axis", argmin_last, .flags = EXACT | NONE},
    {"argmin", "first axis", argmin_first, .flags = EXACT | NONE},
    {"argmin", "worked", argmin_worked, .flags = EXACT | NONE, SAMPLE_EXPECT(1, 0, 2)},
    {"argmin", "integers", argmin_integers, .flags = EXACT},
    {"argmin", "over all", argmin_all, .flags = EXACT | NONE, SAMPLE_EXPECT(2)},
    {"argmin", "of nothing", argmin_nothing, .status = SOMA_SHAPE, .message = "has no minimum"},
    {"argmax", "two axes apart", argmax_apart, .flags = EXACT | NONE},
    {"argmax", "axis twice", argmax_twice, .status = SOMA_INVALID,
     .message = "argmax: axis 0 is named twice"},
    SCAN_ROWS(cumsum),
    {"cumsum", "worked", .build = cumsum_worked, SAMPLE_EXPECT(1, 6, 3, 2, 2, 9)},
    {"cumsum", "worked in reverse", .build = cumsum_worked_back, SAMPLE_EXPECT(2, -3, 0, 7, 7, 0)},
    {"cumsum", "integer overflow", cumsum_bytes, .flags = EXACT, SAMPLE_EXPECT(100, 102, -104)},
    {"cumsum", "i64 beyond 2^53", cumsum_i64, .flags = EXACT,
     SAMPLE_EXPECT(9007199254740992, 9007199254740992, 1)},
    SCAN_ROWS(cumprod),
    {"cumprod", "worked", .build = cumprod_worked, SAMPLE_EXPECT(1, 5, -15, 2, 0, 0)},
    {"cumprod", "worked in reverse", .build = cumprod_worked_back,
     SAMPLE_EXPECT(-15, -3, 1, 0, 7, 1)},
    {"cumprod", "integer overflow", cumprod_bytes, .flags = EXACT, SAMPLE_EXPECT(100, -56, 16)},
    {"cumprod", "zeros", .build = cumprod_zeros},
    {"cumprod", "zeros in reverse", .build = cumprod_zeros_both},
    {"recurrence", "last axis", .build = recurrence_last},
    {"recurrence", "first axis, reverse", .build = recurrence_first},
    {"recurrence", "worked", .build = recurrence_worked, SAMPLE_EXPECT(1, 6, 23)},
    {"recurrence", "shapes", recurrence_shapes, .status = SOMA_SHAPE,
     .message = "a [3] and b [2,3] differ"},
    {0}};
