/* samples_scatter.c: gathers and scatters by cells and by positions, embedding, masked_fill. */
#include "driver.h"

#define S SOMA_SHAPE

#define IN(...) sample_in(ctx, S(__VA_ARGS__), -1, 1)
#define SPREAD(...) sample_spread(ctx, S(__VA_ARGS__), -1, 1)
#define INDEX(below_, ...) sample_int(ctx, SOMA_I64, S(__VA_ARGS__), 0, below_)
#define SHORT_INDEX(below_, ...) sample_int(ctx, SOMA_I32, S(__VA_ARGS__), 0, below_)
#define NUMBERS(shape_, ...) sample_values(ctx, 0, shape_, (const double[]){__VA_ARGS__})
#define AT(shape_, ...) sample_values(ctx, SOMA_I64, shape_, (const double[]){__VA_ARGS__})

/* Operands are evaluated in any order, so each sample's inputs are made one by one. */
#define GATHER(name_, x_, index_, call_)                                                           \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        soma_var x = x_;                                                                           \
        soma_var index = index_;                                                                   \
        return call_;                                                                              \
    }
#define SCATTER(name_, x_, index_, updates_, call_)                                                \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        soma_var x = x_;                                                                           \
        soma_var index = index_;                                                                   \
        soma_var updates = updates_;                                                               \
        return call_;                                                                              \
    }
#define ELEMENTS(how_, axis_) soma_scatter_elements(x, index, updates, axis_, SOMA_SCATTER_##how_)
#define ND(how_, batch_) soma_scatter_nd(x, index, updates, batch_, SOMA_SCATTER_##how_)

/* --- gather_elements --- */

GATHER(elements_last, IN(3, 9), INDEX(9, 3, 4), soma_gather_elements(x, index, -1))
GATHER(elements_first, IN(5, 70), INDEX(5, 3, 66), soma_gather_elements(x, index, 0))
GATHER(elements_middle, IN(2, 4, 3), SHORT_INDEX(4, 2, 7, 2), soma_gather_elements(x, index, 1))
GATHER(elements_none, IN(2, 4), INDEX(4, 2, 0), soma_gather_elements(x, index, 1))
GATHER(elements_along, IN(3, 1, 4), INDEX(4, 1, 5, 2), soma_take_along(x, index, 2))
GATHER(elements_worked, NUMBERS(S(2, 3), 1, 2, 3, 4, 5, 6), AT(S(2, 2), 2, 0, -1, 1),
       soma_gather_elements(x, index, 1))
GATHER(elements_dims, IN(2, 3), INDEX(2, 3), soma_gather_elements(x, index, 0))
GATHER(elements_larger, IN(2, 3), INDEX(2, 2, 4), soma_gather_elements(x, index, 0))
GATHER(elements_axis, IN(2, 3), INDEX(2, 2, 3), soma_gather_elements(x, index, 2))
GATHER(elements_float, IN(2, 3), IN(2, 3), soma_gather_elements(x, index, 0))

/* --- gather_nd --- */

GATHER(nd_rows, IN(5, 7), INDEX(5, 6, 1), soma_gather_nd(x, index, 0))
GATHER(nd_cells, IN(4, 3, 5), INDEX(3, 2, 3, 3), soma_gather_nd(x, index, 0))
GATHER(nd_batch, IN(2, 4, 3, 5), SHORT_INDEX(3, 2, 6, 2), soma_gather_nd(x, index, 1))
GATHER(nd_whole, IN(2, 3), INDEX(2, 4, 0), soma_gather_nd(x, index, 0))
GATHER(nd_empty, IN(2, 3), INDEX(2, 0, 2), soma_gather_nd(x, index, 0))
/* ONNX' own example: batch_dims 1. */
GATHER(nd_worked, NUMBERS(S(2, 2, 2), 0, 1, 2, 3, 4, 5, 6, 7), AT(S(2, 1), 1, 0),
       soma_gather_nd(x, index, 1))
GATHER(nd_outside, NUMBERS(S(2, 2), 1, 2, 3, 4), AT(S(3, 2), 0, 1, 1, 2, -1, 0),
       soma_gather_nd(x, index, 0))
GATHER(nd_scalar, IN(2, 3), sample_int(ctx, SOMA_I64, SOMA_SCALAR, 0, 2),
       soma_gather_nd(x, index, 0))
GATHER(nd_long, IN(2, 3), INDEX(2, 4, 3), soma_gather_nd(x, index, 0))
GATHER(nd_batches, IN(2, 3), INDEX(2, 4, 1), soma_gather_nd(x, index, 1))
GATHER(nd_batch_count, IN(2, 3), INDEX(2, 2, 1), soma_gather_nd(x, index, 2))
GATHER(nd_dims, IN(1, 1, 1, 1, 1, 1), INDEX(1, 1, 1, 1, 1, 1), soma_gather_nd(x, index, 0))

/* --- scatter_elements --- */

SCATTER(set_last, IN(3, 9), INDEX(9, 3, 4), IN(3, 4), ELEMENTS(SET, 1))
SCATTER(set_repeated, IN(2, 3), INDEX(3, 2, 8), IN(2, 8), ELEMENTS(SET, -1))
SCATTER(add_first, IN(5, 70), INDEX(5, 7, 66), IN(7, 66), ELEMENTS(ADD, 0))
SCATTER(add_middle, IN(2, 4, 3), SHORT_INDEX(4, 2, 9, 3), IN(2, 9, 3), ELEMENTS(ADD, 1))
SCATTER(add_last, IN(3, 4), INDEX(4, 2, 7), IN(2, 7), ELEMENTS(ADD, 1))
SCATTER(mul_some, IN(3, 4), INDEX(3, 5, 4), sample_in(ctx, S(5, 4), 0.5, 1.5), ELEMENTS(MUL, 0))
SCATTER(max_some, SPREAD(3, 4), INDEX(3, 5, 4), sample_spread(ctx, S(5, 4), -1.1, 0.93),
        ELEMENTS(MAX, 0))
SCATTER(min_some, SPREAD(3, 4), INDEX(3, 5, 4), sample_spread(ctx, S(5, 4), -1.1, 0.93),
        ELEMENTS(MIN, 0))
SCATTER(set_none, IN(3, 4), INDEX(3, 0, 4), IN(0, 4), ELEMENTS(SET, 0))
/* Cell 1 gets 7 and then 9, cell 4 does not exist. */
SCATTER(set_worked, NUMBERS(S(4), 1, 2, 3, 4), AT(S(4), 1, 4, 1, 3), NUMBERS(S(4), 7, 8, 9, 5),
        ELEMENTS(SET, 0))
SCATTER(add_worked, NUMBERS(S(4), 1, 2, 3, 4), AT(S(4), 1, 4, 1, 3), NUMBERS(S(4), 7, 8, 9, 5),
        ELEMENTS(ADD, 0))
SCATTER(mul_worked, NUMBERS(S(4), 1, 2, 3, 4), AT(S(4), 1, 4, 1, 3), NUMBERS(S(4), 7, 8, 9, 5),
        ELEMENTS(MUL, 0))
SCATTER(max_worked, NUMBERS(S(4), 1, 2, 3, 6), AT(S(4), 1, 4, 1, 3), NUMBERS(S(4), 9, 8, 7, 5),
        ELEMENTS(MAX, 0))
SCATTER(min_worked, NUMBERS(S(4), 1, 8, 3, 4), AT(S(4), 1, 4, 1, 3), NUMBERS(S(4), 7, 8, 9, 5),
        ELEMENTS(MIN, 0))
/* Beyond 2^53, where doubles have gaps: 1 + (-1) leaves 9007199254740992 as it was. */
SCATTER(add_i64, AT(S(2), 9007199254740992.0, 5), AT(S(3), 0, 0, 1), AT(S(3), 1, -1, 2),
        soma_sub(ELEMENTS(ADD, 0), x))
SCATTER(set_shape, IN(3, 4), INDEX(3, 2, 4), IN(2, 3), ELEMENTS(SET, 0))
SCATTER(set_dtype, IN(3, 4), INDEX(3, 2, 4), INDEX(3, 2, 4), ELEMENTS(SET, 0))
SCATTER(set_how, IN(3), INDEX(3, 2), IN(2),
        soma_scatter_elements(x, index, updates, 0, (soma_scatter)9))
SCATTER(add_bools, sample_int(ctx, SOMA_BOOL, S(3), 0, 2), INDEX(3, 2),
        sample_int(ctx, SOMA_BOOL, S(2), 0, 2), ELEMENTS(ADD, 0))

/* --- scatter_nd --- */

SCATTER(nd_set, IN(5, 7), INDEX(5, 3, 1), IN(3, 7), ND(SET, 0))
SCATTER(nd_add, IN(4, 3, 5), INDEX(3, 9, 2), IN(9, 5), ND(ADD, 0))
SCATTER(nd_add_batch, IN(2, 4, 70), SHORT_INDEX(4, 2, 9, 1), IN(2, 9, 70), ND(ADD, 1))
SCATTER(nd_mul, IN(4, 3), INDEX(3, 6, 2), sample_in(ctx, S(6), 0.5, 1.5), ND(MUL, 0))
SCATTER(nd_max, SPREAD(4, 3), INDEX(4, 6, 1), sample_spread(ctx, S(6, 3), -1.1, 0.93), ND(MAX, 0))
SCATTER(nd_min, SPREAD(4, 3), INDEX(4, 6, 1), sample_spread(ctx, S(6, 3), -1.1, 0.93), ND(MIN, 0))
SCATTER(nd_set_worked, NUMBERS(S(3, 2), 1, 2, 3, 4, 5, 6), AT(S(3, 1), 2, 3, 0),
        NUMBERS(S(3, 2), 10, 20, 30, 40, 50, 60), ND(SET, 0))
SCATTER(nd_add_worked, NUMBERS(S(2, 2), 1, 2, 3, 4), AT(S(3, 2), 0, 1, 0, 1, 1, 0),
        NUMBERS(S(3), 10, 20, 30), ND(ADD, 0))
SCATTER(nd_shape, IN(3, 4), INDEX(3, 2, 1), IN(2, 3), ND(SET, 0))

/* --- embedding, masked_fill --- */

GATHER(embedding_plain, IN(11, 5), INDEX(11, 3, 4), soma_embedding(x, index, -1))
GATHER(embedding_worked, NUMBERS(S(3, 2), 1, 2, 3, 4, 5, 6), AT(S(3), 2, 0, 0),
       soma_embedding(x, index, 0))
GATHER(embedding_ndim, IN(11), INDEX(11, 3), soma_embedding(x, index, -1))
GATHER(embedding_padding, IN(11, 2), INDEX(11, 3), soma_embedding(x, index, 11))
GATHER(embedding_float, IN(11, 2), IN(3), soma_embedding(x, index, -1))

GATHER(fill_rows, IN(4, 5), sample_int(ctx, SOMA_BOOL, S(4, 1), 0, 2),
       soma_masked_fill(x, index, -3))
GATHER(fill_worked, NUMBERS(S(2, 2), 1, 2, 3, 4),
       sample_values(ctx, SOMA_BOOL, S(2), (const double[]){0, 1}), soma_masked_fill(x, index, 9))
GATHER(fill_float, IN(4, 5), IN(4, 5), soma_masked_fill(x, index, 0))
GATHER(fill_wide, IN(1, 5), sample_int(ctx, SOMA_BOOL, S(4, 5), 0, 2),
       soma_masked_fill(x, index, 0))

enum { EXACT = SAMPLE_EXACT };

const soma__sample soma__samples_scatter[] = {
    {"gather_elements", "last", elements_last, .flags = EXACT},
    {"gather_elements", "first", elements_first, .flags = EXACT},
    {"gather_elements", "middle", elements_middle, .flags = EXACT},
    {"gather_elements", "none", elements_none, .flags = EXACT},
    {"gather_elements", "take_along", elements_along, .flags = EXACT},
    {"gather_elements", "worked", elements_worked, .flags = EXACT, SAMPLE_EXPECT(3, 1, 0, 5)},
    {"gather_elements", "dimensions", elements_dims, .status = SOMA_SHAPE,
     .message = "x [2,3] and index [3]"},
    {"gather_elements", "larger", elements_larger, .status = SOMA_SHAPE,
     .message = "none larger than x's"},
    {"gather_elements", "axis", elements_axis, .status = SOMA_SHAPE, .message = "axis 2"},
    {"gather_elements", "float", elements_float, .status = SOMA_DTYPE, .message = "i32 or i64"},

    {"gather_nd", "rows", nd_rows, .flags = EXACT},
    {"gather_nd", "cells", nd_cells, .flags = EXACT},
    {"gather_nd", "batch", nd_batch, .flags = EXACT},
    {"gather_nd", "whole x", nd_whole, .flags = EXACT},
    {"gather_nd", "empty", nd_empty, .flags = EXACT},
    {"gather_nd", "worked", nd_worked, .flags = EXACT, SAMPLE_EXPECT(2, 3, 4, 5)},
    {"gather_nd", "outside", nd_outside, .flags = EXACT, SAMPLE_EXPECT(2, 0, 0)},
    {"gather_nd", "scalar index", nd_scalar, .status = SOMA_SHAPE,
     .message = "the index has no dimension for positions"},
    {"gather_nd", "long position", nd_long, .status = SOMA_SHAPE,
     .message = "a position of 3 numbers in the 2 dimensions"},
    {"gather_nd", "batch sizes", nd_batches, .status = SOMA_SHAPE,
     .message = "x [2,3] and index [4,1] differ in a batch dimension"},
    {"gather_nd", "batch count", nd_batch_count, .status = SOMA_SHAPE,
     .message = "2 batch dimensions"},
    {"gather_nd", "dimensions", nd_dims, .status = SOMA_SHAPE,
     .message = "the slices would have 9 dimensions"},

    {"scatter_elements", "set", set_last, .flags = EXACT},
    {"scatter_elements", "set repeated", set_repeated, .flags = EXACT},
    {"scatter_elements", "set none", set_none, .flags = EXACT},
    {"scatter_elements", "add first", .build = add_first},
    {"scatter_elements", "add middle", .build = add_middle},
    {"scatter_elements", "add last", .build = add_last},
    {"scatter_elements", "mul", .build = mul_some},
    {"scatter_elements", "max", .build = max_some},
    {"scatter_elements", "min", .build = min_some},
    {"scatter_elements", "set worked", set_worked, .flags = EXACT, SAMPLE_EXPECT(1, 9, 3, 5)},
    {"scatter_elements", "add worked", add_worked, .flags = EXACT, SAMPLE_EXPECT(1, 18, 3, 9)},
    {"scatter_elements", "mul worked", mul_worked, .flags = EXACT, SAMPLE_EXPECT(1, 126, 3, 20)},
    {"scatter_elements", "max worked", max_worked, .flags = EXACT, SAMPLE_EXPECT(1, 9, 3, 6)},
    {"scatter_elements", "min worked", min_worked, .flags = EXACT | SAMPLE_NO_DIFFERENCES,
     SAMPLE_EXPECT(1, 7, 3, 4)},
    {"scatter_elements", "i64", add_i64, .flags = EXACT, SAMPLE_EXPECT(0, 2)},
    {"scatter_elements", "shape", set_shape, .status = SOMA_SHAPE,
     .message = "updates are [2,3], the index asks for [2,4]"},
    {"scatter_elements", "dtype", set_dtype, .status = SOMA_DTYPE, .message = "updates are i64"},
    {"scatter_elements", "how", set_how, .status = SOMA_INVALID, .message = "9 is no soma_scatter"},
    {"scatter_elements", "bools", add_bools, .status = SOMA_DTYPE,
     .message = "bools can only be set"},

    {"scatter_nd", "set", nd_set, .flags = EXACT},
    {"scatter_nd", "add", .build = nd_add},
    {"scatter_nd", "add batch", .build = nd_add_batch},
    {"scatter_nd", "mul", .build = nd_mul},
    {"scatter_nd", "max", .build = nd_max},
    {"scatter_nd", "min", .build = nd_min},
    {"scatter_nd", "set worked", nd_set_worked, .flags = EXACT,
     SAMPLE_EXPECT(50, 60, 3, 4, 10, 20)},
    {"scatter_nd", "add worked", nd_add_worked, .flags = EXACT, SAMPLE_EXPECT(1, 32, 33, 4)},
    {"scatter_nd", "shape", nd_shape, .status = SOMA_SHAPE,
     .message = "updates are [2,3], the index asks for [2,4]"},

    {"embedding", "plain", embedding_plain, .flags = EXACT},
    /* The gradient stops at row 0, so differences would not agree; golden values show it. */
    {"embedding", "worked", embedding_worked, .flags = EXACT | SAMPLE_NO_DIFFERENCES,
     SAMPLE_EXPECT(5, 6, 1, 2, 1, 2)},
    {"embedding", "dimensions", embedding_ndim, .status = SOMA_SHAPE,
     .message = "the table has 1 dimensions, must have 2"},
    {"embedding", "padding", embedding_padding, .status = SOMA_INVALID,
     .message = "padding row 11 of 11 rows"},
    {"embedding", "float", embedding_float, .status = SOMA_DTYPE, .message = "i32 or i64"},

    {"masked_fill", "rows", fill_rows, .flags = EXACT},
    {"masked_fill", "worked", fill_worked, .flags = EXACT, SAMPLE_EXPECT(1, 9, 3, 9)},
    {"masked_fill", "float", fill_float, .status = SOMA_DTYPE, .message = "must be bool"},
    {"masked_fill", "wide", fill_wide, .status = SOMA_SHAPE,
     .message = "the mask [4,5] does not broadcast to it"},
    {0}};
