/* samples_shape.c: ops that move cells. All of them keep every bit. */
#include "driver.h"

#define S SOMA_SHAPE

/* A sample of a random x of a shape; the call says what is done with it. */
#define MOVE(name_, shape_, call_)                                                                 \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        soma_var x = sample_in(ctx, shape_, -1, 1);                                                \
        return call_;                                                                              \
    }
/* The same of the numbers 1, 2, 3 …, for worked values. */
static const double counting[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
#define COUNT(name_, shape_, call_)                                                                \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        soma_var x = sample_values(ctx, 0, shape_, counting);                                      \
        return call_;                                                                              \
    }
#define AXES(...)                                                                                  \
    (const int64_t[])                                                                              \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* --- reshape, flatten
 * ------------------------------------------------------------------------------ */

MOVE(reshape_flat, S(3, 4), soma_reshape(x, S(12)))
MOVE(reshape_open, S(6, 4), soma_reshape(x, S(2, -1, 3)))
MOVE(reshape_scalar, S(1, 1), soma_reshape(x, SOMA_SCALAR))
MOVE(reshape_empty, S(0, 4), soma_reshape(x, S(2, 0, 7)))
MOVE(reshape_computed, S(6, 4), soma_exp(soma_reshape(soma_exp(x), S(4, 6))))
MOVE(flatten_images, S(2, 3, 4), soma_flatten(x, 1))
MOVE(flatten_open, S(2, 3, 4), soma_flatten(x, -2))
COUNT(reshape_worked, S(2, 3), soma_reshape(x, S(3, 2)))
MOVE(reshape_count, S(2, 3), soma_reshape(x, S(4)))
MOVE(reshape_divisor, S(2, 3), soma_reshape(x, S(4, -1)))
MOVE(reshape_two_open, S(2, 3), soma_reshape(x, S(-1, -1)))
MOVE(reshape_negative, S(2, 3), soma_reshape(x, S(-2, 3)))
MOVE(reshape_dims, S(2, 3), soma_reshape(x, (soma_shape){.ndim = 9}))
MOVE(flatten_axis, S(2, 3), soma_flatten(x, 3))

/* --- permute, transpose
 * ---------------------------------------------------------------------------- */

MOVE(permute_three, S(2, 3, 5), soma_permute(x, AXES(2, 0, 1), 3))
MOVE(permute_images, S(2, 9, 7, 3), soma_permute(x, AXES(0, 3, 1, 2), 4))
MOVE(permute_negative, S(2, 3, 4), soma_permute(x, AXES(0, -1, -2), 3))
MOVE(permute_empty, S(2, 0, 4), soma_permute(x, AXES(2, 1, 0), 3))
MOVE(permute_scalar, SOMA_SCALAR, soma_permute(x, NULL, 0))
MOVE(transpose_odd, S(33, 17), soma_transpose(x))
MOVE(transpose_batch, S(3, 5, 6), soma_transpose(x))
COUNT(permute_worked, S(2, 3), soma_permute(x, AXES(1, 0), 2))
MOVE(permute_count, S(2, 3), soma_permute(x, AXES(0, 1, 2), 3))
MOVE(permute_twice, S(2, 3), soma_permute(x, AXES(0, -2), 2))
MOVE(transpose_vector, S(3), soma_transpose(x))

static soma_var permute_bytes(soma__sample_ctx *ctx)
{
    return soma_transpose(sample_int(ctx, SOMA_U8, S(5, 7), 0, 256));
}

/* --- expand
 * ---------------------------------------------------------------------------------------- */

MOVE(expand_rows, S(7), soma_expand(x, S(3, 7)))
MOVE(expand_columns, S(3, 1), soma_expand(x, S(3, 5)))
MOVE(expand_both, S(1, 3, 1), soma_expand(x, S(2, 4, 3, 5)))
MOVE(expand_scalar, SOMA_SCALAR, soma_expand(x, S(3, 2)))
MOVE(expand_to_empty, S(1, 3), soma_expand(x, S(0, 3)))
COUNT(expand_worked, S(2, 1), soma_expand(x, S(2, 3)))
MOVE(expand_sizes, S(3), soma_expand(x, S(2, 4)))
MOVE(expand_fewer, S(2, 3), soma_expand(x, S(3)))
MOVE(expand_negative, S(3), soma_expand(x, S(-1, 3)))

/* --- slice
 * ----------------------------------------------------------------------------------------- */

MOVE(slice_last, S(3, 9), soma_slice(x, -1, 2, 7))
MOVE(slice_first, S(7, 5), soma_slice(x, 0, 1, 3))
MOVE(slice_middle, S(2, 6, 3), soma_slice(x, 1, -4, -1))
MOVE(slice_beyond, S(5), soma_slice(x, 0, 2, INT64_MAX))
MOVE(slice_nothing, S(5, 2), soma_slice(x, 0, 4, 1))
MOVE(slice_all, S(5, 2), soma_slice(x, 0, INT64_MIN, 5))
COUNT(slice_worked, S(2, 4), soma_slice(x, 1, 1, 3))
MOVE(slice_axis, S(5, 2), soma_slice(x, 2, 0, 1))

/* --- concat
 * ---------------------------------------------------------------------------------------- */

static soma_var concat_of(soma__sample_ctx *ctx, soma_shape a, soma_shape b, int64_t axis)
{
    soma_var x[2] = {sample_in(ctx, a, -1, 1), sample_in(ctx, b, -1, 1)};
    return soma_concat(x, 2, axis);
}

static soma_var concat_last(soma__sample_ctx *ctx)
{
    return concat_of(ctx, S(3, 4), S(3, 5), -1);
}

static soma_var concat_first(soma__sample_ctx *ctx)
{
    return concat_of(ctx, S(3, 4), S(2, 4), 0);
}

static soma_var concat_empty(soma__sample_ctx *ctx)
{
    return concat_of(ctx, S(3, 0), S(3, 2), 1);
}

static soma_var concat_three(soma__sample_ctx *ctx)
{
    soma_var x[3] = {sample_in(ctx, S(2, 1, 3), -1, 1), sample_in(ctx, S(2, 4, 3), -1, 1),
                     sample_in(ctx, S(2, 2, 3), -1, 1)};
    return soma_concat(x, 3, 1);
}

static soma_var concat_one(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(2, 3), -1, 1);
    return soma_concat(&x, 1, 0);
}

/* One value twice: its gradient is the sum of two slices. */
static soma_var concat_twice(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(2, 3), -1, 1);
    return soma_concat((soma_var[]){x, soma_exp(x), x}, 3, 0);
}

static soma_var concat_worked(soma__sample_ctx *ctx)
{
    soma_var x[2] = {sample_values(ctx, 0, S(2, 2), counting),
                     sample_values(ctx, 0, S(2, 1), counting + 4)};
    return soma_concat(x, 2, 1);
}

static soma_var concat_sizes(soma__sample_ctx *ctx)
{
    return concat_of(ctx, S(3, 4), S(2, 5), 1);
}

static soma_var concat_ndim(soma__sample_ctx *ctx)
{
    return concat_of(ctx, S(3, 4), S(3), 0);
}

static soma_var concat_axis(soma__sample_ctx *ctx)
{
    return concat_of(ctx, S(3, 4), S(3, 4), 2);
}

static soma_var concat_dtypes(soma__sample_ctx *ctx)
{
    soma_var x[2] = {sample_in(ctx, S(3), -1, 1), sample_int(ctx, SOMA_I64, S(3), 0, 3)};
    return soma_concat(x, 2, 0);
}

/* --- pad
 * ------------------------------------------------------------------------------------------- */

MOVE(pad_images, S(2, 3, 4, 2), soma_pad(x, AXES(0, 1, 2, 0), AXES(0, 2, 0, 0), 4, 0))
MOVE(pad_value, S(3, 5), soma_pad(x, AXES(1, 0), AXES(0, 3), 2, -1.5))
MOVE(pad_nothing, S(3, 5), soma_pad(x, AXES(0, 0), AXES(0, 0), 2, 7))
MOVE(pad_empty, S(0, 2), soma_pad(x, AXES(1, 0), AXES(1, 1), 2, 3))
MOVE(pad_scalar, SOMA_SCALAR, soma_pad(x, NULL, NULL, 0, 3))
COUNT(pad_worked, S(1, 2), soma_pad(x, AXES(1, 0), AXES(0, 1), 2, 9))
MOVE(pad_count, S(3, 5), soma_pad(x, AXES(1), AXES(1), 1, 0))
MOVE(pad_negative, S(3, 5), soma_pad(x, AXES(0, -1), AXES(0, 0), 2, 0))
MOVE(pad_large, S(3, 5), soma_pad(x, AXES(0, INT64_MAX), AXES(0, 0), 2, 0))

enum { EXACT = SAMPLE_EXACT };

const soma__sample soma__samples_shape[] = {
    {"reshape", "flat", reshape_flat, .flags = EXACT},
    {"reshape", "open size", reshape_open, .flags = EXACT},
    {"reshape", "scalar", reshape_scalar, .flags = EXACT},
    {"reshape", "empty", reshape_empty, .flags = EXACT},
    {"reshape", "between others", .build = reshape_computed},
    {"reshape", "flatten", flatten_images, .flags = EXACT},
    {"reshape", "flatten from -2", flatten_open, .flags = EXACT},
    {"reshape", "worked", reshape_worked, .flags = EXACT, SAMPLE_EXPECT(1, 2, 3, 4, 5, 6)},
    {"reshape", "count", reshape_count, .status = SOMA_SHAPE,
     .message = "[2,3] has 6 elements, [4] has 4"},
    {"reshape", "no divisor", reshape_divisor, .status = SOMA_SHAPE, .message = "4 is no divisor"},
    {"reshape", "two open", reshape_two_open, .status = SOMA_INVALID,
     .message = "only one size of [-1,-1] can be -1"},
    {"reshape", "negative", reshape_negative, .status = SOMA_INVALID, .message = "negative size"},
    {"reshape", "dimensions", reshape_dims, .status = SOMA_INVALID, .message = "9 dimensions"},
    {"reshape", "flatten axis", flatten_axis, .status = SOMA_SHAPE,
     .message = "flatten: axis 3 is outside of 2 dimensions"},

    {"permute", "three", permute_three, .flags = EXACT},
    {"permute", "channels first", permute_images, .flags = EXACT},
    {"permute", "negative axes", permute_negative, .flags = EXACT},
    {"permute", "empty", permute_empty, .flags = EXACT},
    {"permute", "scalar", permute_scalar, .flags = EXACT},
    {"permute", "transpose", transpose_odd, .flags = EXACT},
    {"permute", "transpose of a batch", transpose_batch, .flags = EXACT},
    {"permute", "bytes", permute_bytes, .flags = EXACT},
    {"permute", "worked", permute_worked, .flags = EXACT, SAMPLE_EXPECT(1, 4, 2, 5, 3, 6)},
    {"permute", "count", permute_count, .status = SOMA_SHAPE, .message = "3 axes for 2 dimensions"},
    {"permute", "axis twice", permute_twice, .status = SOMA_INVALID,
     .message = "axis 0 is named twice"},
    {"permute", "transpose of a vector", transpose_vector, .status = SOMA_SHAPE,
     .message = "transpose: swaps the last two of 1 dimensions"},

    {"expand", "rows", expand_rows, .flags = EXACT},
    {"expand", "columns", expand_columns, .flags = EXACT},
    {"expand", "both", expand_both, .flags = EXACT},
    {"expand", "scalar", expand_scalar, .flags = EXACT},
    {"expand", "to nothing", expand_to_empty, .flags = EXACT},
    {"expand", "worked", expand_worked, .flags = EXACT, SAMPLE_EXPECT(1, 1, 1, 2, 2, 2)},
    {"expand", "sizes", expand_sizes, .status = SOMA_SHAPE,
     .message = "expand: [3] does not broadcast to [2,4]"},
    {"expand", "fewer dimensions", expand_fewer, .status = SOMA_SHAPE,
     .message = "[2,3] does not broadcast to [3]"},
    {"expand", "negative", expand_negative, .status = SOMA_INVALID,
     .message = "size -1 is negative"},

    {"slice", "last axis", slice_last, .flags = EXACT},
    {"slice", "first axis", slice_first, .flags = EXACT},
    {"slice", "negative ends", slice_middle, .flags = EXACT},
    {"slice", "beyond the end", slice_beyond, .flags = EXACT},
    {"slice", "nothing", slice_nothing, .flags = EXACT},
    {"slice", "everything", slice_all, .flags = EXACT},
    {"slice", "worked", slice_worked, .flags = EXACT, SAMPLE_EXPECT(2, 3, 6, 7)},
    {"slice", "axis", slice_axis, .status = SOMA_SHAPE, .message = "axis 2"},

    {"concat", "last axis", concat_last, .flags = EXACT},
    {"concat", "first axis", concat_first, .flags = EXACT},
    {"concat", "with an empty one", concat_empty, .flags = EXACT},
    {"concat", "three", concat_three, .flags = EXACT},
    {"concat", "one", concat_one, .flags = EXACT},
    {"concat", "the same twice", .build = concat_twice},
    {"concat", "worked", concat_worked, .flags = EXACT, SAMPLE_EXPECT(1, 2, 5, 3, 4, 6)},
    {"concat", "sizes", concat_sizes, .status = SOMA_SHAPE,
     .message = "input 0 is [3,4], input 1 is [2,5]: they may differ in axis 1 only"},
    {"concat", "dimensions", concat_ndim, .status = SOMA_SHAPE, .message = "input 1 is [3]"},
    {"concat", "axis", concat_axis, .status = SOMA_SHAPE, .message = "axis 2"},
    {"concat", "dtypes", concat_dtypes, .status = SOMA_DTYPE, .message = "f32 and i64"},

    {"pad", "images", pad_images, .flags = EXACT},
    {"pad", "value", pad_value, .flags = EXACT},
    {"pad", "nothing", pad_nothing, .flags = EXACT},
    {"pad", "empty", pad_empty, .flags = EXACT},
    {"pad", "scalar", pad_scalar, .flags = EXACT},
    {"pad", "worked", pad_worked, .flags = EXACT, SAMPLE_EXPECT(9, 9, 9, 1, 2, 9)},
    {"pad", "count", pad_count, .status = SOMA_SHAPE, .message = "1 pairs for 2 dimensions"},
    {"pad", "negative", pad_negative, .status = SOMA_INVALID,
     .message = "dimension 1: -1 before and 0 after"},
    {"pad", "too large", pad_large, .status = SOMA_SHAPE, .message = "too large"},
    {0}};
