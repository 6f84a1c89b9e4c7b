/* samples_index.c: gather, scatter_add, one_hot. */
#include "driver.h"

#define S SOMA_SHAPE

static soma_var gather_rows(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(11, 5), -1, 1);
    return soma_gather(x, sample_int(ctx, SOMA_I64, S(17), 0, 11), 0);
}

static soma_var gather_middle(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(2, 4, 3), -1, 1);
    return soma_gather(x, sample_int(ctx, SOMA_I32, S(2, 3), 0, 4), 1);
}

static soma_var gather_last(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(3, 6), -1, 1);
    return soma_gather(x, sample_int(ctx, SOMA_I64, S(4), 0, 6), -1);
}

/* A scalar index takes the axis away. */
static soma_var gather_scalar(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(3, 6), -1, 1);
    return soma_gather(x, sample_int(ctx, SOMA_I64, SOMA_SCALAR, 0, 3), 0);
}

static soma_var gather_nothing(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(3, 6), -1, 1);
    return soma_gather(x, sample_int(ctx, SOMA_I64, S(0), 0, 3), 0);
}

/* -1 and 3 are outside: zeros. */
static soma_var gather_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(3, 2), (const double[]){1, 2, 3, 4, 5, 6});
    return soma_gather(x, sample_values(ctx, SOMA_I64, S(4), (const double[]){2, -1, 0, 3}), 0);
}

static soma_var gather_float(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(3, 2), -1, 1);
    return soma_gather(x, x, 0);
}

static soma_var gather_axis(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(3, 2), -1, 1);
    return soma_gather(x, sample_int(ctx, SOMA_I64, S(4), 0, 3), 2);
}

static soma_var gather_dims(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(1, 1, 1, 1, 1), -1, 1);
    return soma_gather(x, sample_int(ctx, SOMA_I64, S(1, 1, 1, 1, 1), 0, 1), 0);
}

static soma_var scatter_rows(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(17, 5), -1, 1);
    return soma_scatter_add(x, sample_int(ctx, SOMA_I64, S(17), 0, 6), 0, 6);
}

static soma_var scatter_middle(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(2, 2, 3, 4), -1, 1);
    return soma_scatter_add(x, sample_int(ctx, SOMA_I32, S(2, 3), 0, 5), 1, 5);
}

static soma_var scatter_last(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(3, 6), -1, 1);
    return soma_scatter_add(x, sample_int(ctx, SOMA_I64, S(6), 0, 4), -1, 4);
}

static soma_var scatter_nothing(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(0, 2), -1, 1);
    return soma_scatter_add(x, sample_int(ctx, SOMA_I64, S(0), 0, 4), 0, 3);
}

/* The index 1 comes twice and adds up; -1 and 3 go nowhere. */
static soma_var scatter_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(4, 2), (const double[]){1, 2, 3, 4, 5, 6, 7, 8});
    return soma_scatter_add(x, sample_values(ctx, SOMA_I64, S(4), (const double[]){1, -1, 1, 3}), 0,
                            3);
}

static soma_var scatter_sizes(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(3, 2), -1, 1);
    return soma_scatter_add(x, sample_int(ctx, SOMA_I64, S(4), 0, 3), 0, 3);
}

static soma_var scatter_negative(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(3, 2), -1, 1);
    return soma_scatter_add(x, sample_int(ctx, SOMA_I64, S(3), 0, 3), 0, -1);
}

static soma_var scatter_integers(soma__sample_ctx *ctx)
{
    soma_var x = sample_int(ctx, SOMA_I64, S(3), 0, 3);
    return soma_scatter_add(x, x, 0, 3);
}

static soma_var one_hot_vector(soma__sample_ctx *ctx)
{
    return soma_one_hot(sample_int(ctx, SOMA_I64, S(9), 0, 10), 10);
}

static soma_var one_hot_matrix(soma__sample_ctx *ctx)
{
    return soma_one_hot(sample_int(ctx, SOMA_I32, S(3, 4), 0, 5), 5);
}

static soma_var one_hot_worked(soma__sample_ctx *ctx)
{
    return soma_one_hot(sample_values(ctx, SOMA_I64, S(3), (const double[]){1, -1, 2}), 2);
}

static soma_var one_hot_float(soma__sample_ctx *ctx)
{
    return soma_one_hot(sample_in(ctx, S(3), 0, 1), 3);
}

static soma_var one_hot_depth(soma__sample_ctx *ctx)
{
    return soma_one_hot(sample_int(ctx, SOMA_I64, S(3), 0, 3), 0);
}

enum { EXACT = SAMPLE_EXACT };

const soma__sample soma__samples_index[] = {
    {"gather", "rows", gather_rows, .flags = EXACT},
    {"gather", "middle axis", gather_middle, .flags = EXACT},
    {"gather", "last axis", gather_last, .flags = EXACT},
    {"gather", "scalar index", gather_scalar, .flags = EXACT},
    {"gather", "no index", gather_nothing, .flags = EXACT},
    {"gather", "worked", gather_worked, .flags = EXACT, SAMPLE_EXPECT(5, 6, 0, 0, 1, 2, 0, 0)},
    {"gather", "float index", gather_float, .status = SOMA_DTYPE, .message = "i32 or i64"},
    {"gather", "axis", gather_axis, .status = SOMA_SHAPE, .message = "axis 2"},
    {"gather", "dimensions", gather_dims, .status = SOMA_SHAPE,
     .message = "would have 9 dimensions"},
    {"scatter_add", "rows", .build = scatter_rows},
    {"scatter_add", "middle axis", .build = scatter_middle},
    {"scatter_add", "last axis", .build = scatter_last},
    {"scatter_add", "nothing", .build = scatter_nothing, SAMPLE_EXPECT(0, 0, 0, 0, 0, 0)},
    {"scatter_add", "worked", .build = scatter_worked, SAMPLE_EXPECT(0, 0, 6, 8, 0, 0)},
    {"scatter_add", "sizes", scatter_sizes, .status = SOMA_SHAPE,
     .message = "x [3,2] must have the index's sizes [4] from axis 0 on"},
    {"scatter_add", "size", scatter_negative, .status = SOMA_INVALID,
     .message = "size -1 is negative"},
    {"scatter_add", "integers", scatter_integers, .status = SOMA_DTYPE,
     .message = "must be a float"},
    {"one_hot", "vector", one_hot_vector, .flags = EXACT},
    {"one_hot", "matrix", one_hot_matrix, .flags = EXACT},
    {"one_hot", "worked", one_hot_worked, .flags = EXACT, SAMPLE_EXPECT(0, 1, 0, 0, 0, 0)},
    {"one_hot", "float", one_hot_float, .status = SOMA_DTYPE, .message = "i32 or i64"},
    {"one_hot", "depth", one_hot_depth, .status = SOMA_INVALID, .message = "at least 1"},
    {0}};
