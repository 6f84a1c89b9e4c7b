/* samples_random.c: samples of random arrays and dropout. The worked values are those of
 * Philox4x32-10 computed apart from the library: with all-zero key and counter its first block is
 * the published 6627e8d5 e169c58d bc57ac4c 9b00dbd8. */
#include "driver.h"

#define S SOMA_SHAPE

static soma_var uniform_published(soma__sample_ctx *ctx)
{
    return soma_random_uniform(sample_key(ctx, 0, 0), S(4), 0);
}
static soma_var uniform_keyed(soma__sample_ctx *ctx)
{
    return soma_random_uniform(sample_key(ctx, 42, 7), S(2, 3), 3);
}
static soma_var uniform_many(soma__sample_ctx *ctx)
{
    return soma_random_uniform(sample_key(ctx, 1, 2), S(7, 157), 0xffffffff);
}
static soma_var uniform_scalar(soma__sample_ctx *ctx)
{
    return soma_random_uniform(sample_key(ctx, -1, -2), SOMA_SCALAR, 5);
}
static soma_var uniform_empty(soma__sample_ctx *ctx)
{
    return soma_random_uniform(sample_key(ctx, 1, 2), S(0, 4), 5);
}
static soma_var uniform_refuse_key(soma__sample_ctx *ctx)
{
    return soma_random_uniform(sample_int(ctx, SOMA_I64, S(3), 0, 9), S(4), 0);
}
static soma_var uniform_refuse_dtype(soma__sample_ctx *ctx)
{
    return soma_random_uniform(sample_int(ctx, SOMA_I32, S(2), 0, 9), S(4), 0);
}
static soma_var uniform_refuse_shape(soma__sample_ctx *ctx)
{
    return soma_random_uniform(sample_key(ctx, 1, 2), S(4, -1), 0);
}
static soma_var uniform_refuse_dims(soma__sample_ctx *ctx)
{
    return soma_random_uniform(sample_key(ctx, 1, 2), (soma_shape){.ndim = 9}, 0);
}
static soma_var normal_keyed(soma__sample_ctx *ctx)
{
    return soma_random_normal(sample_key(ctx, 42, 7), S(4), 3);
}
static soma_var normal_many(soma__sample_ctx *ctx)
{
    return soma_random_normal(sample_key(ctx, 1, 2), S(3, 5, 7), 9);
}
static soma_var normal_empty(soma__sample_ctx *ctx)
{
    return soma_random_normal(sample_key(ctx, 1, 2), S(0), 9);
}
static soma_var normal_refuse_shape(soma__sample_ctx *ctx)
{
    return soma_random_normal(sample_key(ctx, 1, 2), S(INT64_MAX, INT64_MAX), 9);
}
static soma_var bernoulli_keyed(soma__sample_ctx *ctx)
{
    return soma_random_bernoulli(sample_key(ctx, 42, 7), S(6), 0.15, 3);
}
static soma_var bernoulli_never(soma__sample_ctx *ctx)
{
    return soma_random_bernoulli(sample_key(ctx, 42, 7), S(3), 0, 3);
}
static soma_var bernoulli_always(soma__sample_ctx *ctx)
{
    return soma_random_bernoulli(sample_key(ctx, 42, 7), S(3), 1, 3);
}
static soma_var bernoulli_many(soma__sample_ctx *ctx)
{
    return soma_random_bernoulli(sample_key(ctx, 1, 2), S(13, 101), 0.5, 4);
}
static soma_var bernoulli_refuse(soma__sample_ctx *ctx)
{
    return soma_random_bernoulli(sample_key(ctx, 1, 2), S(4), 1.5, 4);
}
static soma_var bernoulli_refuse_nan(soma__sample_ctx *ctx)
{
    return soma_random_bernoulli(sample_key(ctx, 1, 2), S(4), NAN, 4);
}

/* --- dropout ---------------------------------------------------------------------------------- */

/* Uniforms 0.94, 0.05, 0.12, 0.04, 0.57, 0.18 against 0.75: the first is dropped. */
static soma_var dropout_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(2, 3), (double[]){3, 6, 9, 12, 15, -3});
    return soma_dropout(x, sample_key(ctx, 42, 7), 0.25, 3);
}
static soma_var dropout_none(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(2), (double[]){3, 6});
    return soma_dropout(x, sample_key(ctx, 42, 7), 0, 3);
}
static soma_var dropout_many(soma__sample_ctx *ctx)
{
    return soma_dropout(sample_in(ctx, S(5, 67), -1, 1), sample_key(ctx, 1, 2), 0.5, 8);
}
static soma_var dropout_empty(soma__sample_ctx *ctx)
{
    return soma_dropout(sample_in(ctx, S(0, 67), -1, 1), sample_key(ctx, 1, 2), 0.5, 8);
}
static soma_var dropout_refuse_one(soma__sample_ctx *ctx)
{
    return soma_dropout(sample_in(ctx, S(5), -1, 1), sample_key(ctx, 1, 2), 1, 8);
}
static soma_var dropout_refuse_key(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(5), -1, 1);
    return soma_dropout(x, x, 0.5, 8);
}

/* Two maps of two cells: the draws 0.94 (dropped) and 0.05 hold for a whole map. */
static soma_var spatial_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 1, 2, 2), (double[]){3, 6, 9, 12});
    return soma_spatial_dropout(x, sample_key(ctx, 42, 7), 0.25, 3);
}
static soma_var spatial_many(soma__sample_ctx *ctx)
{
    return soma_spatial_dropout(sample_in(ctx, S(3, 4, 5, 17), -1, 1), sample_key(ctx, 1, 2), 0.5,
                                8);
}
static soma_var spatial_sequence(soma__sample_ctx *ctx)
{
    return soma_spatial_dropout(sample_in(ctx, S(3, 4, 8), -1, 1), sample_key(ctx, 1, 2), 0.5, 8);
}
static soma_var spatial_empty(soma__sample_ctx *ctx)
{
    return soma_spatial_dropout(sample_in(ctx, S(0, 4, 8), -1, 1), sample_key(ctx, 1, 2), 0.5, 8);
}
static soma_var spatial_refuse(soma__sample_ctx *ctx)
{
    return soma_spatial_dropout(sample_in(ctx, S(3, 8), -1, 1), sample_key(ctx, 1, 2), 0.5, 8);
}

/* --- alpha dropout, stochastic depth: the draws of dropout_worked ------------------------------
 */

static soma_var alpha_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(6), (double[]){3, 6, 9, 12, 15, -3});
    return soma_alpha_dropout(x, sample_key(ctx, 42, 7), 0.25, 3);
}
static soma_var alpha_many(soma__sample_ctx *ctx)
{
    return soma_alpha_dropout(sample_in(ctx, S(5, 67), -1, 1), sample_key(ctx, 1, 2), 0.5, 8);
}
static soma_var alpha_none(soma__sample_ctx *ctx)
{
    return soma_alpha_dropout(sample_in(ctx, S(3), -1, 1), sample_key(ctx, 1, 2), 0, 8);
}
static soma_var alpha_refuse(soma__sample_ctx *ctx)
{
    return soma_alpha_dropout(sample_in(ctx, S(3), -1, 1), sample_key(ctx, 1, 2), 1, 8);
}
static soma_var depth_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(3, 1, 2), (double[]){3, 6, 9, 12, 15, -3});
    return soma_stochastic_depth(x, sample_key(ctx, 42, 7), 0.25, 3);
}
static soma_var depth_many(soma__sample_ctx *ctx)
{
    return soma_stochastic_depth(sample_in(ctx, S(9, 3, 2, 5), -1, 1), sample_key(ctx, 1, 2), 0.5,
                                 8);
}
static soma_var depth_refuse(soma__sample_ctx *ctx)
{
    return soma_stochastic_depth(sample_in(ctx, SOMA_SCALAR, -1, 1), sample_key(ctx, 1, 2), 0.5, 8);
}

const soma__sample soma__samples_random[] = {
    {"random_uniform", "published block", .build = uniform_published,
     .flags = SAMPLE_NO_GRADIENT | SAMPLE_EXACT,
     SAMPLE_EXPECT(0.3990464210510254, 0.8805201649665833, 0.7357127666473389, 0.6054818034172058)},
    {"random_uniform", "seed 42, step 7, stream 3", .build = uniform_keyed,
     .flags = SAMPLE_NO_GRADIENT | SAMPLE_EXACT,
     SAMPLE_EXPECT(0.9437834024429321, 0.05287986993789673, 0.12407517433166504, 0.0430031418800354,
                   0.5731370449066162, 0.17792630195617676)},
    {"random_uniform", "1,099 values", .build = uniform_many,
     .flags = SAMPLE_NO_GRADIENT | SAMPLE_EXACT},
    {"random_uniform", "scalar, negative key", .build = uniform_scalar,
     .flags = SAMPLE_NO_GRADIENT | SAMPLE_EXACT},
    {"random_uniform", "empty", .build = uniform_empty, .flags = SAMPLE_NO_GRADIENT | SAMPLE_EXACT},
    {"random_uniform", "key of three", .build = uniform_refuse_key, .status = SOMA_SHAPE,
     .message = "key must be i64 [2] = {seed, step}, but is i64 [3]"},
    {"random_uniform", "key of i32", .build = uniform_refuse_dtype, .status = SOMA_DTYPE,
     .message = "but is i32 [2]"},
    {"random_uniform", "negative size", .build = uniform_refuse_shape, .status = SOMA_SHAPE,
     .message = "negative or too large"},
    {"random_uniform", "nine dims", .build = uniform_refuse_dims, .status = SOMA_INVALID,
     .message = "9 dimensions"},

    {"random_normal", "seed 42, step 7, stream 3", .build = normal_keyed,
     .flags = SAMPLE_NO_GRADIENT,
     SAMPLE_EXPECT(-0.6508646872921736, -1.5780009998333544, 0.3437291145542473,
                   0.9934175724102999)},
    {"random_normal", "105 values", .build = normal_many, .flags = SAMPLE_NO_GRADIENT},
    {"random_normal", "empty", .build = normal_empty, .flags = SAMPLE_NO_GRADIENT},
    {"random_normal", "too large", .build = normal_refuse_shape, .status = SOMA_SHAPE,
     .message = "too large"},

    {"random_bernoulli", "seed 42, step 7, stream 3", .build = bernoulli_keyed,
     .flags = SAMPLE_NO_GRADIENT | SAMPLE_EXACT, SAMPLE_EXPECT(0, 1, 1, 1, 0, 0)},
    {"random_bernoulli", "p 0", .build = bernoulli_never,
     .flags = SAMPLE_NO_GRADIENT | SAMPLE_EXACT, SAMPLE_EXPECT(0, 0, 0)},
    {"random_bernoulli", "p 1", .build = bernoulli_always,
     .flags = SAMPLE_NO_GRADIENT | SAMPLE_EXACT, SAMPLE_EXPECT(1, 1, 1)},
    {"random_bernoulli", "1,313 values", .build = bernoulli_many,
     .flags = SAMPLE_NO_GRADIENT | SAMPLE_EXACT},
    {"random_bernoulli", "p beyond 1", .build = bernoulli_refuse, .status = SOMA_INVALID,
     .message = "p 1.5 must be in [0, 1]"},
    {"random_bernoulli", "p NaN", .build = bernoulli_refuse_nan, .status = SOMA_INVALID,
     .message = "must be in [0, 1]"},

    {"dropout", "the first of six", .build = dropout_worked, SAMPLE_EXPECT(0, 8, 12, 16, 20, -4)},
    {"dropout", "p 0", .build = dropout_none, SAMPLE_EXPECT(3, 6)},
    {"dropout", "335 values", .build = dropout_many},
    {"dropout", "empty batch", .build = dropout_empty},
    {"dropout", "p 1", .build = dropout_refuse_one, .status = SOMA_INVALID,
     .message = "p 1 must be in [0, 1)"},
    {"dropout", "no key", .build = dropout_refuse_key, .status = SOMA_DTYPE,
     .message = "key must be i64"},

    {"spatial_dropout", "the first of two maps", .build = spatial_worked,
     SAMPLE_EXPECT(0, 8, 0, 16)},
    {"spatial_dropout", "images", .build = spatial_many},
    {"spatial_dropout", "sequences", .build = spatial_sequence},
    {"spatial_dropout", "empty batch", .build = spatial_empty},
    {"spatial_dropout", "no maps", .build = spatial_refuse, .status = SOMA_SHAPE,
     .message = "x must be [N,…,C] with feature maps between, but is [3,8]"},

    {"alpha_dropout", "the first of six", .build = alpha_worked,
     SAMPLE_EXPECT(-1.1435441882094726, 5.584728939217423, 8.186502710791224, 10.788276482365024,
                   13.390050253938822, -2.2205923755039754)},
    {"alpha_dropout", "335 values", .build = alpha_many},
    {"alpha_dropout", "p 0", .build = alpha_none},
    {"alpha_dropout", "p 1", .build = alpha_refuse, .status = SOMA_INVALID, .message = "p 1"},
    {"stochastic_depth", "the first of three", .build = depth_worked,
     SAMPLE_EXPECT(0, 0, 12, 16, 20, -4)},
    {"stochastic_depth", "images", .build = depth_many},
    {"stochastic_depth", "scalar", .build = depth_refuse, .status = SOMA_SHAPE,
     .message = "x must be [N,…]"},
    {0},
};
