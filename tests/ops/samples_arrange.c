/* samples_arrange.c: slices with steps, borders, flips, rolls, repetitions, diagonals, triangles.
 */
#include "driver.h"

#define S SOMA_SHAPE
#define LOWEST INT64_MIN

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
#define LIST(...)                                                                                  \
    (const int64_t[])                                                                              \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* --- slice_steps, place --- */

MOVE(steps_two, S(7, 9), soma_slice_steps(x, NULL, LIST(1, 0), LIST(7, 9), LIST(2, 3), 2))
MOVE(steps_negative, S(4, 33), soma_slice_steps(x, LIST(-1), LIST(-1), LIST(LOWEST), LIST(-1), 1))
MOVE(steps_images, S(2, 9, 8, 3),
     soma_slice_steps(x, LIST(1, 2), LIST(-1, 0), LIST(LOWEST, 100), LIST(-2, 2), 2))
MOVE(steps_ones, S(5, 6), soma_slice_steps(x, LIST(1, 0), LIST(1, 2), LIST(-1, 4), NULL, 2))
MOVE(steps_nothing, S(5, 2), soma_slice_steps(x, LIST(0), LIST(1), LIST(3), LIST(-1), 1))
MOVE(steps_empty, S(0, 2), soma_slice_steps(x, LIST(0), LIST(-1), LIST(LOWEST), LIST(-1), 1))
MOVE(steps_far, S(5, 2), soma_slice_steps(x, LIST(0), LIST(3), LIST(LOWEST), LIST(LOWEST), 1))
MOVE(steps_scalar, SOMA_SCALAR, soma_slice_steps(x, NULL, NULL, NULL, NULL, 0))
/* Rows 2 and 0, of each the columns 3 and 1. */
COUNT(steps_worked, S(3, 4),
      soma_slice_steps(x, NULL, LIST(2, -1), LIST(LOWEST, 0), LIST(-2, -2), 2))
MOVE(steps_zero, S(5, 2), soma_slice_steps(x, NULL, LIST(0), LIST(3), LIST(0), 1))
MOVE(steps_axis, S(5, 2), soma_slice_steps(x, LIST(2), LIST(0), LIST(3), LIST(1), 1))
MOVE(steps_twice, S(5, 2), soma_slice_steps(x, LIST(1, -1), LIST(0, 0), LIST(1, 1), NULL, 2))
MOVE(steps_count, S(5), soma_slice_steps(x, NULL, LIST(0, 0), LIST(1, 1), NULL, 2))

static soma_var steps_bytes(soma__sample_ctx *ctx)
{
    soma_var x = sample_int(ctx, SOMA_U8, S(5, 70), 0, 256);
    return soma_slice_steps(x, LIST(1), LIST(-1), LIST(LOWEST), LIST(-3), 1);
}

MOVE(place_steps, S(3, 4), soma_place(x, S(9, 10), LIST(1, 9), LIST(3, -3)))
MOVE(place_plain, S(3, 4), soma_place(x, S(3, 5), NULL, NULL))
MOVE(place_images, S(2, 3, 3, 5), soma_place(x, S(2, 5, 6, 5), NULL, LIST(1, 2, 2, 1)))
MOVE(place_empty, S(0, 2), soma_place(x, S(3, 2), NULL, NULL))
COUNT(place_worked, S(2, 2), soma_place(x, S(2, 4), LIST(1, 0), LIST(-1, 3)))
MOVE(place_outside, S(3), soma_place(x, S(6), LIST(1), LIST(3)))
MOVE(place_before, S(3), soma_place(x, S(6), LIST(3), LIST(-2)))
MOVE(place_zero, S(3), soma_place(x, S(6), LIST(3), LIST(0)))
MOVE(place_dims, S(3), soma_place(x, S(6, 3), NULL, NULL))
MOVE(place_size, S(3), soma_place(x, S(-1), NULL, NULL))

/* --- pad_border --- */

MOVE(border_reflect, S(2, 5, 6, 3),
     soma_pad_border(x, LIST(0, 2, 1, 0), LIST(0, 1, 3, 0), 4, SOMA_PAD_REFLECT))
MOVE(border_symmetric, S(3, 4), soma_pad_border(x, LIST(3, 1), LIST(2, 4), 2, SOMA_PAD_SYMMETRIC))
MOVE(border_edge, S(1, 4), soma_pad_border(x, LIST(3, 5), LIST(2, 0), 2, SOMA_PAD_EDGE))
MOVE(border_wrap, S(2, 5, 4), soma_pad_border(x, LIST(0, 5, 1), LIST(2, 5, 2), 3, SOMA_PAD_WRAP))
MOVE(border_nothing, S(0, 3), soma_pad_border(x, LIST(0, 1), LIST(0, 0), 2, SOMA_PAD_EDGE))
MOVE(border_none, S(2, 3), soma_pad_border(x, LIST(0, 0), LIST(0, 0), 2, SOMA_PAD_WRAP))
MOVE(border_scalar, SOMA_SCALAR, soma_pad_border(x, NULL, NULL, 0, SOMA_PAD_WRAP))
COUNT(border_reflect_worked, S(4), soma_pad_border(x, LIST(2), LIST(2), 1, SOMA_PAD_REFLECT))
COUNT(border_symmetric_worked, S(4), soma_pad_border(x, LIST(2), LIST(2), 1, SOMA_PAD_SYMMETRIC))
COUNT(border_edge_worked, S(4), soma_pad_border(x, LIST(2), LIST(2), 1, SOMA_PAD_EDGE))
COUNT(border_wrap_worked, S(4), soma_pad_border(x, LIST(2), LIST(2), 1, SOMA_PAD_WRAP))
MOVE(border_wide, S(3, 4), soma_pad_border(x, LIST(0, 4), LIST(0, 0), 2, SOMA_PAD_REFLECT))
MOVE(border_of_nothing, S(0), soma_pad_border(x, LIST(1), LIST(0), 1, SOMA_PAD_EDGE))
MOVE(border_negative, S(3), soma_pad_border(x, LIST(-1), LIST(0), 1, SOMA_PAD_EDGE))
MOVE(border_count, S(3), soma_pad_border(x, LIST(1, 0), LIST(0, 1), 2, SOMA_PAD_EDGE))
MOVE(border_unknown, S(3), soma_pad_border(x, LIST(1), LIST(0), 1, (soma_pad_mode)7))

/* --- flip, roll, tile, repeat_interleave, stack --- */

MOVE(flip_all, S(3, 5), soma_flip(x, NULL, 0))
MOVE(flip_images, S(2, 3, 9, 3), soma_flip(x, LIST(2), 1))
COUNT(flip_worked, S(2, 3), soma_flip(x, LIST(-1), 1))
MOVE(flip_axis, S(2, 3), soma_flip(x, LIST(2), 1))
MOVE(flip_twice, S(2, 3), soma_flip(x, LIST(1, 1), 2))

MOVE(roll_two, S(4, 7), soma_roll(x, LIST(0, 1), LIST(5, -2), 2))
MOVE(roll_nothing, S(0, 3), soma_roll(x, LIST(0), LIST(1), 1))
COUNT(roll_worked, S(2, 3), soma_roll(x, LIST(1), LIST(1), 1))
MOVE(roll_axis, S(2, 3), soma_roll(x, LIST(-3), LIST(1), 1))

MOVE(tile_both, S(2, 3), soma_tile(x, LIST(2, 3), 2))
MOVE(tile_more, S(2, 3), soma_tile(x, LIST(2, 1, 2), 3))
MOVE(tile_fewer, S(2, 2, 3), soma_tile(x, LIST(2), 1))
MOVE(tile_nothing, S(2, 3), soma_tile(x, LIST(0, 2), 2))
MOVE(tile_eight, S(1, 2, 1, 2, 1, 2, 1, 2), soma_tile(x, LIST(2, 2, 1, 1, 1, 1, 1, 2), 8))
COUNT(tile_worked, S(2, 2), soma_tile(x, LIST(1, 2), 2))
MOVE(tile_negative, S(2, 2), soma_tile(x, LIST(1, -2), 2))
MOVE(tile_large, S(2, 2), soma_tile(x, LIST(1, INT64_MAX), 2))
MOVE(tile_count, S(2, 2), soma_tile(x, LIST(1, 1, 1, 1, 1, 1, 1, 1, 1), 9))

MOVE(repeat_first, S(3, 4), soma_repeat_interleave(x, 3, 0))
MOVE(repeat_last, S(3, 4), soma_repeat_interleave(x, 2, -1))
COUNT(repeat_worked, S(2, 2), soma_repeat_interleave(x, 2, 1))
MOVE(repeat_axis, S(2, 2), soma_repeat_interleave(x, 2, 2))
MOVE(repeat_negative, S(2, 2), soma_repeat_interleave(x, -2, 1))
MOVE(repeat_large, S(2, 2), soma_repeat_interleave(x, INT64_MAX, 1))

MOVE(stack_last, S(3, 4), soma_stack((soma_var[]){x, soma_exp(x), x}, 3, -1))
MOVE(stack_first, S(3, 4), soma_stack((soma_var[]){x, soma_neg(x)}, 2, 0))
COUNT(stack_worked, S(2), soma_stack((soma_var[]){x, soma_neg(x)}, 2, 1))
MOVE(stack_shapes, S(3, 4), soma_stack((soma_var[]){x, soma_transpose(x)}, 2, 0))
MOVE(stack_axis, S(3, 4), soma_stack(&x, 1, 3))
MOVE(stack_dims, S(1, 1, 1, 1, 1, 1, 1, 1), soma_stack(&x, 1, 0))

/* --- tril, triu, diagonal, diag --- */

MOVE(tril_batch, S(2, 4, 3), soma_tril(x, 0))
MOVE(triu_batch, S(2, 4, 5), soma_triu(x, -1))
COUNT(tril_worked, S(2, 3), soma_tril(x, 1))
COUNT(triu_worked, S(3, 3), soma_triu(x, 1))
MOVE(tril_vector, S(3), soma_tril(x, 0))
MOVE(triu_vector, S(3), soma_triu(x, 0))

MOVE(diagonal_batch, S(3, 2, 4), soma_diagonal(x, 1, 0, -1))
MOVE(diagonal_below, S(5, 3), soma_diagonal(x, -2, 0, 1))
MOVE(diagonal_outside, S(3, 4), soma_diagonal(x, 4, 0, 1))
COUNT(diagonal_worked, S(3, 4), soma_diagonal(x, 1, 0, 1))
MOVE(diagonal_axes, S(3, 4), soma_diagonal(x, 0, 1, -1))
MOVE(diagonal_vector, S(3), soma_diagonal(x, 0, 0, 1))

MOVE(diag_above, S(2, 3), soma_diag(x, 1))
MOVE(diag_below, S(4), soma_diag(x, -2))
MOVE(diag_nothing, S(0), soma_diag(x, 1))
COUNT(diag_worked, S(2), soma_diag(x, 0))
MOVE(diag_scalar, SOMA_SCALAR, soma_diag(x, 0))
MOVE(diag_offset, S(2), soma_diag(x, INT64_MIN))
MOVE(diag_large, S(2), soma_diag(x, INT64_C(1) << 40))

/* --- builders over reshape, permute and slice --- */

MOVE(unsqueeze_last, S(2, 3), soma_unsqueeze(x, -1))
MOVE(unsqueeze_axis, S(2, 3), soma_unsqueeze(x, 3))
MOVE(unsqueeze_dims, S(1, 1, 1, 1, 1, 1, 1, 1), soma_unsqueeze(x, 0))
MOVE(squeeze_middle, S(2, 1, 3), soma_squeeze(x, 1))
MOVE(squeeze_axis, S(2, 1), soma_squeeze(x, 2))
MOVE(squeeze_size, S(2, 3), soma_squeeze(x, 0))
MOVE(swapaxes_axis, S(2, 3), soma_swapaxes(x, 0, 2))
MOVE(moveaxis_back, S(2, 3, 4), soma_moveaxis(x, -1, 0))
MOVE(moveaxis_axis, S(2, 3), soma_moveaxis(x, 0, 2))

static soma_var split_of(soma__sample_ctx *ctx, const int64_t *sizes, int64_t axis)
{
    soma_var out[2];
    soma_split(sample_in(ctx, S(3, 4), -1, 1), axis, sizes, 2, out);
    return out[1];
}

static soma_var split_equal(soma__sample_ctx *ctx)
{
    return split_of(ctx, NULL, 1);
}

static soma_var split_odd(soma__sample_ctx *ctx)
{
    return split_of(ctx, NULL, 0);
}

static soma_var split_sizes(soma__sample_ctx *ctx)
{
    return split_of(ctx, LIST(3, -1), 0);
}

static soma_var split_axis(soma__sample_ctx *ctx)
{
    return split_of(ctx, NULL, 2);
}

static soma_var unstack_of(soma__sample_ctx *ctx)
{
    soma_var out[2];
    soma_unstack(sample_in(ctx, S(3, 4), -1, 1), 0, 2, out);
    return out[0];
}

enum { EXACT = SAMPLE_EXACT };

const soma__sample soma__samples_arrange[] = {
    {"slice_steps", "two axes", steps_two, .flags = EXACT},
    {"slice_steps", "reversed", steps_negative, .flags = EXACT},
    {"slice_steps", "images", steps_images, .flags = EXACT},
    {"slice_steps", "steps of one", steps_ones, .flags = EXACT},
    {"slice_steps", "wrong direction", steps_nothing, .flags = EXACT},
    {"slice_steps", "empty", steps_empty, .flags = EXACT},
    {"slice_steps", "largest step", steps_far, .flags = EXACT},
    {"slice_steps", "scalar", steps_scalar, .flags = EXACT},
    {"slice_steps", "bytes", steps_bytes, .flags = EXACT},
    {"slice_steps", "worked", steps_worked, .flags = EXACT, SAMPLE_EXPECT(12, 10, 4, 2)},
    {"slice_steps", "step 0", steps_zero, .status = SOMA_INVALID,
     .message = "the step of axis 0 is 0"},
    {"slice_steps", "axis", steps_axis, .status = SOMA_SHAPE, .message = "axis 2 is outside"},
    {"slice_steps", "axis twice", steps_twice, .status = SOMA_INVALID,
     .message = "axis 1 is named twice"},
    {"slice_steps", "count", steps_count, .status = SOMA_SHAPE,
     .message = "2 axes for 1 dimensions"},
    {"place", "steps", place_steps, .flags = EXACT},
    {"place", "plain", place_plain, .flags = EXACT},
    {"place", "images", place_images, .flags = EXACT},
    {"place", "empty", place_empty, .flags = EXACT},
    {"place", "worked", place_worked, .flags = EXACT, SAMPLE_EXPECT(3, 0, 0, 4, 1, 0, 0, 2)},
    {"place", "outside", place_outside, .status = SOMA_SHAPE,
     .message = "axis 0: 3 cells from 1 on by 3 do not fit into 6"},
    {"place", "in front", place_before, .status = SOMA_SHAPE,
     .message = "axis 0: 3 cells from 3 on by -2 do not fit into 6"},
    {"place", "step 0", place_zero, .status = SOMA_INVALID, .message = "the step of axis 0 is 0"},
    {"place", "dimensions", place_dims, .status = SOMA_SHAPE,
     .message = "x has 1 dimensions, the result 2"},
    {"place", "size", place_size, .status = SOMA_INVALID, .message = "size -1 is negative"},

    {"pad_border", "reflect", border_reflect, .flags = EXACT},
    {"pad_border", "symmetric", border_symmetric, .flags = EXACT},
    {"pad_border", "edge", border_edge, .flags = EXACT},
    {"pad_border", "wrap", border_wrap, .flags = EXACT},
    {"pad_border", "nothing", border_nothing, .flags = EXACT},
    {"pad_border", "no border", border_none, .flags = EXACT},
    {"pad_border", "scalar", border_scalar, .flags = EXACT},
    {"pad_border", "reflect worked", border_reflect_worked, .flags = EXACT,
     SAMPLE_EXPECT(3, 2, 1, 2, 3, 4, 3, 2)},
    {"pad_border", "symmetric worked", border_symmetric_worked, .flags = EXACT,
     SAMPLE_EXPECT(2, 1, 1, 2, 3, 4, 4, 3)},
    {"pad_border", "edge worked", border_edge_worked, .flags = EXACT,
     SAMPLE_EXPECT(1, 1, 1, 2, 3, 4, 4, 4)},
    {"pad_border", "wrap worked", border_wrap_worked, .flags = EXACT,
     SAMPLE_EXPECT(3, 4, 1, 2, 3, 4, 1, 2)},
    {"pad_border", "too wide", border_wide, .status = SOMA_SHAPE,
     .message = "dimension 1 has 4 cells: a border \"reflect\" has at most 3, not 4"},
    {"pad_border", "of nothing", border_of_nothing, .status = SOMA_SHAPE,
     .message = "dimension 0 has 0 cells: a border \"edge\" has at most 0, not 1"},
    {"pad_border", "negative", border_negative, .status = SOMA_INVALID,
     .message = "-1 before and 0 after"},
    {"pad_border", "count", border_count, .status = SOMA_SHAPE,
     .message = "2 pairs for 1 dimensions"},
    {"pad_border", "unknown", border_unknown, .status = SOMA_INVALID,
     .message = "7 is no soma_pad_mode"},

    {"flip", "all", flip_all, .flags = EXACT},
    {"flip", "images", flip_images, .flags = EXACT},
    {"flip", "worked", flip_worked, .flags = EXACT, SAMPLE_EXPECT(3, 2, 1, 6, 5, 4)},
    {"flip", "axis", flip_axis, .status = SOMA_SHAPE, .message = "flip: axis 2 is outside"},
    {"flip", "axis twice", flip_twice, .status = SOMA_INVALID, .message = "named twice"},
    {"roll", "two", roll_two, .flags = EXACT},
    {"roll", "nothing", roll_nothing, .flags = EXACT},
    {"roll", "worked", roll_worked, .flags = EXACT, SAMPLE_EXPECT(3, 1, 2, 6, 4, 5)},
    {"roll", "axis", roll_axis, .status = SOMA_SHAPE, .message = "roll: axis -3 is outside"},
    {"tile", "both", tile_both, .flags = EXACT},
    {"tile", "more repeats", tile_more, .flags = EXACT},
    {"tile", "fewer repeats", tile_fewer, .flags = EXACT},
    {"tile", "no repeats", tile_nothing, .flags = EXACT},
    {"tile", "eight dimensions", tile_eight, .flags = EXACT},
    {"tile", "worked", tile_worked, .flags = EXACT, SAMPLE_EXPECT(1, 2, 1, 2, 3, 4, 3, 4)},
    {"tile", "negative", tile_negative, .status = SOMA_INVALID,
     .message = "repeats -2 is negative"},
    {"tile", "large", tile_large, .status = SOMA_SHAPE, .message = "dimension 1 gets too large"},
    {"tile", "count", tile_count, .status = SOMA_INVALID, .message = "9 repeats"},
    {"repeat_interleave", "first", repeat_first, .flags = EXACT},
    {"repeat_interleave", "last", repeat_last, .flags = EXACT},
    {"repeat_interleave", "worked", repeat_worked, .flags = EXACT,
     SAMPLE_EXPECT(1, 1, 2, 2, 3, 3, 4, 4)},
    {"repeat_interleave", "axis", repeat_axis, .status = SOMA_SHAPE, .message = "axis 2"},
    {"repeat_interleave", "negative", repeat_negative, .status = SOMA_INVALID,
     .message = "repeats -2 is negative"},
    {"repeat_interleave", "large", repeat_large, .status = SOMA_SHAPE, .message = "too large"},
    {"stack", "last", .build = stack_last},
    {"stack", "first", .build = stack_first},
    {"stack", "worked", .build = stack_worked, SAMPLE_EXPECT(1, -1, 2, -2)},
    {"stack", "shapes", stack_shapes, .status = SOMA_SHAPE,
     .message = "input 0 is [3,4], input 1 is [4,3]: they must be equal"},
    {"stack", "axis", stack_axis, .status = SOMA_SHAPE, .message = "axis 3"},
    {"stack", "dimensions", stack_dims, .status = SOMA_SHAPE, .message = "no room"},

    {"tril", "batch", tril_batch, .flags = EXACT},
    {"tril", "worked", tril_worked, .flags = EXACT, SAMPLE_EXPECT(1, 2, 0, 4, 5, 6)},
    {"tril", "vector", tril_vector, .status = SOMA_SHAPE, .message = "needs at least 2"},
    {"triu", "batch", triu_batch, .flags = EXACT},
    {"triu", "worked", triu_worked, .flags = EXACT, SAMPLE_EXPECT(0, 2, 3, 0, 0, 6, 0, 0, 0)},
    {"triu", "vector", triu_vector, .status = SOMA_SHAPE, .message = "needs at least 2"},
    {"diagonal", "batch", diagonal_batch, .flags = EXACT},
    {"diagonal", "below", diagonal_below, .flags = EXACT},
    {"diagonal", "outside", diagonal_outside, .flags = EXACT},
    {"diagonal", "worked", diagonal_worked, .flags = EXACT, SAMPLE_EXPECT(2, 7, 12)},
    {"diagonal", "axes", diagonal_axes, .status = SOMA_INVALID, .message = "named twice"},
    {"diagonal", "vector", diagonal_vector, .status = SOMA_SHAPE, .message = "needs at least 2"},
    {"diag", "above", diag_above, .flags = EXACT},
    {"diag", "below", diag_below, .flags = EXACT},
    {"diag", "nothing", diag_nothing, .flags = EXACT},
    {"diag", "worked", diag_worked, .flags = EXACT, SAMPLE_EXPECT(1, 0, 0, 2)},
    {"diag", "scalar", diag_scalar, .status = SOMA_SHAPE, .message = "needs 1 to 7"},
    {"diag", "offset", diag_offset, .status = SOMA_SHAPE, .message = "is too large"},
    {"diag", "large", diag_large, .status = SOMA_SHAPE, .message = "too large to address"},

    {"reshape", "unsqueeze", unsqueeze_last, .flags = EXACT},
    {"reshape", "unsqueeze axis", unsqueeze_axis, .status = SOMA_SHAPE,
     .message = "unsqueeze: axis 3 is outside of 3 dimensions"},
    {"reshape", "unsqueeze dimensions", unsqueeze_dims, .status = SOMA_SHAPE,
     .message = "no room for one more"},
    {"reshape", "squeeze", squeeze_middle, .flags = EXACT},
    {"reshape", "squeeze axis", squeeze_axis, .status = SOMA_SHAPE, .message = "squeeze: axis 2"},
    {"reshape", "squeeze size", squeeze_size, .status = SOMA_SHAPE,
     .message = "squeeze: axis 0 has 2 cells, not 1"},
    {"permute", "swapaxes", swapaxes_axis, .status = SOMA_SHAPE, .message = "swapaxes: axis 2"},
    {"permute", "moveaxis", moveaxis_back, .flags = EXACT},
    {"permute", "moveaxis axis", moveaxis_axis, .status = SOMA_SHAPE,
     .message = "moveaxis: axis 2"},
    {"slice", "split", split_equal, .flags = EXACT},
    {"slice", "split odd", split_odd, .status = SOMA_SHAPE,
     .message = "split: axis 0 has 3 cells, which makes no 2 equal parts"},
    {"slice", "split sizes", split_sizes, .status = SOMA_SHAPE,
     .message = "add up to the 3 cells of axis 0"},
    {"slice", "split axis", split_axis, .status = SOMA_SHAPE, .message = "split: axis 2"},
    {"slice", "unstack", unstack_of, .status = SOMA_SHAPE,
     .message = "unstack: axis 0 has 3 cells, not 2"},
    {0}};
