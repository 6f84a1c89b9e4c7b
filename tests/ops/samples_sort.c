/* samples_sort.c: orders along an axis, and positions among borders. */
#include <math.h>

#include "driver.h"

#define S SOMA_SHAPE

/* Of numbers no two of which are near each other. */
#define SPREAD(name_, shape_, call_)                                                               \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        soma_var x = sample_spread(ctx, shape_, -1, 1);                                            \
        return call_;                                                                              \
    }
#define VALUES(name_, shape_, call_, ...)                                                          \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        soma_var x = sample_values(ctx, 0, shape_, (const double[]){__VA_ARGS__});                 \
        return call_;                                                                              \
    }
#define WHOLE(name_, dtype_, call_)                                                                \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        soma_var x = sample_int(ctx, dtype_, S(3, 40), 0, 9);                                      \
        return call_;                                                                              \
    }

SPREAD(argsort_last, S(3, 100), soma_argsort(x, -1, false))
SPREAD(argsort_down, S(3, 33), soma_argsort(x, 1, true))
SPREAD(argsort_first, S(70, 3), soma_argsort(x, 0, false))
SPREAD(argsort_one, S(3, 1), soma_argsort(x, 1, false))
SPREAD(argsort_none, S(3, 0), soma_argsort(x, 1, false))
WHOLE(argsort_ties, SOMA_I64, soma_argsort(x, 1, true))
WHOLE(argsort_ints, SOMA_I32, soma_argsort(x, 1, false))
WHOLE(argsort_bytes, SOMA_U8, soma_argsort(x, 0, true))
VALUES(argsort_worked, S(5), soma_argsort(x, 0, false), 3, NAN, -1, 3, -INFINITY)
VALUES(argsort_worked_down, S(5), soma_argsort(x, 0, true), 3, NAN, -1, 3, -INFINITY)
/* Both zeros are equal, so they stay as they are. */
VALUES(argsort_zeros, S(4), soma_argsort(x, 0, true), -0.0, 0, -1, -0.0)
SPREAD(argsort_axis, S(3, 4), soma_argsort(x, 2, false))
SPREAD(argsort_scalar, SOMA_SCALAR, soma_argsort(x, 0, false))

SPREAD(sort_last, S(3, 20), soma_sort(x, 1, false))
SPREAD(sort_first, S(9, 4), soma_sort(x, 0, true))
VALUES(sort_worked, S(2, 3), soma_sort(x, 1, true), 1, 3, 2, 6, 4, 5)
SPREAD(sort_axis, S(3, 4), soma_sort(x, -3, false))

SPREAD(top_index_last, S(4, 100), soma_topk_index(x, 5, 1, false))
SPREAD(top_index_middle, S(2, 30, 3), soma_topk_index(x, 4, 1, true))
SPREAD(top_index_all, S(2, 6), soma_topk_index(x, 6, 1, false))
SPREAD(top_index_none, S(2, 6), soma_topk_index(x, 0, 1, false))
WHOLE(top_index_ties, SOMA_I64, soma_topk_index(x, 7, 1, false))
VALUES(top_index_worked, S(6), soma_topk_index(x, 4, 0, false), 2, 5, NAN, 5, 1, 2)
SPREAD(top_index_large, S(2, 6), soma_topk_index(x, 7, 1, false))
SPREAD(top_index_negative, S(2, 6), soma_topk_index(x, -1, 1, false))

SPREAD(top_last, S(4, 12), soma_topk(x, 3, -1, false))
SPREAD(top_first, S(9, 3), soma_topk(x, 2, 0, true))
VALUES(top_worked, S(6), soma_topk(x, 3, 0, false), 2, 5, 0, 5, 1, 2)
SPREAD(top_large, S(2, 6), soma_topk(x, 7, 1, false))

SPREAD(quantile_last, S(4, 12), soma_quantile(x, 0.3, 1))
SPREAD(quantile_first, S(5, 4), soma_quantile(x, 1, 0))
SPREAD(quantile_median, S(3, 7, 2), soma_median(x, 1))
VALUES(quantile_worked, S(2, 4), soma_quantile(x, 0.25, 1), 4, 1, 2, 3, 10, 30, 20, 40)
SPREAD(quantile_outside, S(3), soma_quantile(x, 1.5, 0))
SPREAD(quantile_nan, S(3), soma_quantile(x, NAN, 0))
SPREAD(quantile_empty, S(3, 0), soma_quantile(x, 0.5, 1))

static soma_var search(soma__sample_ctx *ctx, bool right)
{
    soma_var borders = sample_values(ctx, 0, S(4), (const double[]){-1, 0, 0, 2});
    soma_var x = sample_values(ctx, 0, S(6), (const double[]){-3, -1, 0, 1, 2, 3});
    return soma_searchsorted(borders, x, right);
}

static soma_var search_left(soma__sample_ctx *ctx)
{
    return search(ctx, false);
}

static soma_var search_right(soma__sample_ctx *ctx)
{
    return search(ctx, true);
}

static soma_var search_many(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(7, 300), 0, 9);
    return soma_searchsorted(sample_values(ctx, 0, S(5), (const double[]){0.5, 1, 3.25, 7, 8}), x,
                             false);
}

static soma_var search_none(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(3), 0, 9);
    return soma_searchsorted(sample_values(ctx, 0, S(0), NULL), x, false);
}

static soma_var search_matrix(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(3, 2), 0, 9);
    return soma_searchsorted(x, x, false);
}

static soma_var search_dtypes(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(3), 0, 9);
    return soma_searchsorted(x, sample_int(ctx, SOMA_I64, S(3), 0, 3), false);
}

enum { EXACT = SAMPLE_EXACT, FLAT = SAMPLE_EXACT | SAMPLE_NO_GRADIENT };

const soma__sample soma__samples_sort[] = {
    {"argsort", "last", argsort_last, .flags = FLAT},
    {"argsort", "descending", argsort_down, .flags = FLAT},
    {"argsort", "first", argsort_first, .flags = FLAT},
    {"argsort", "one", argsort_one, .flags = FLAT},
    {"argsort", "none", argsort_none, .flags = FLAT},
    {"argsort", "ties", argsort_ties, .flags = FLAT},
    {"argsort", "integers", argsort_ints, .flags = FLAT},
    {"argsort", "bytes", argsort_bytes, .flags = FLAT},
    {"argsort", "worked", argsort_worked, .flags = FLAT, SAMPLE_EXPECT(4, 2, 0, 3, 1)},
    {"argsort", "worked descending", argsort_worked_down, .flags = FLAT,
     SAMPLE_EXPECT(0, 3, 2, 4, 1)},
    {"argsort", "zeros", argsort_zeros, .flags = FLAT, SAMPLE_EXPECT(0, 1, 3, 2)},
    {"argsort", "axis", argsort_axis, .status = SOMA_SHAPE, .message = "axis 2"},
    {"argsort", "scalar", argsort_scalar, .status = SOMA_SHAPE, .message = "0 dimensions"},
    {"sort", "last", sort_last, .flags = EXACT},
    {"sort", "first", sort_first, .flags = EXACT},
    {"sort", "worked", sort_worked, .flags = EXACT, SAMPLE_EXPECT(3, 2, 1, 6, 5, 4)},
    {"sort", "axis", sort_axis, .status = SOMA_SHAPE, .message = "sort: axis -3"},
    {"topk_index", "last", top_index_last, .flags = FLAT},
    {"topk_index", "middle", top_index_middle, .flags = FLAT},
    {"topk_index", "all", top_index_all, .flags = FLAT},
    {"topk_index", "none", top_index_none, .flags = FLAT},
    {"topk_index", "ties", top_index_ties, .flags = FLAT},
    {"topk_index", "worked", top_index_worked, .flags = FLAT, SAMPLE_EXPECT(1, 3, 0, 5)},
    {"topk_index", "large", top_index_large, .status = SOMA_SHAPE,
     .message = "k is 7, axis 1 has 6 cells"},
    {"topk_index", "negative", top_index_negative, .status = SOMA_SHAPE, .message = "k is -1"},
    {"topk", "last", top_last, .flags = EXACT},
    {"topk", "first", top_first, .flags = EXACT},
    {"topk", "worked", top_worked, .flags = EXACT | SAMPLE_NO_DIFFERENCES, SAMPLE_EXPECT(5, 5, 2)},
    {"topk", "large", top_large, .status = SOMA_SHAPE, .message = "k is 7"},
    {"quantile", "last", .build = quantile_last},
    {"quantile", "first", quantile_first, .flags = EXACT},
    {"quantile", "median", quantile_median, .flags = EXACT},
    {"quantile", "worked", .build = quantile_worked, SAMPLE_EXPECT(1.75, 17.5)},
    {"quantile", "outside", quantile_outside, .status = SOMA_INVALID, .message = "q is 1.5"},
    {"quantile", "NaN", quantile_nan, .status = SOMA_INVALID, .message = "must be in [0, 1]"},
    {"quantile", "empty", quantile_empty, .status = SOMA_SHAPE, .message = "axis 1 has no cells"},
    {"searchsorted", "left", search_left, .flags = FLAT, SAMPLE_EXPECT(0, 0, 1, 3, 3, 4)},
    {"searchsorted", "right", search_right, .flags = FLAT, SAMPLE_EXPECT(0, 1, 3, 3, 4, 4)},
    {"searchsorted", "many", search_many, .flags = FLAT},
    {"searchsorted", "no borders", search_none, .flags = FLAT},
    {"searchsorted", "matrix", search_matrix, .status = SOMA_SHAPE,
     .message = "the borders have 2 dimensions"},
    {"searchsorted", "dtypes", search_dtypes, .status = SOMA_DTYPE, .message = "different dtypes"},
    {0}};
