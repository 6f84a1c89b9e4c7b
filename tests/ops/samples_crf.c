/* samples_crf.c: samples of crf, of its gradient and of Viterbi's decoding. */
#include <math.h>

#include "driver.h"

#define S SOMA_SHAPE
#define V(shape_, ...) sample_values(ctx, 0, shape_, (const double[]){__VA_ARGS__})
#define I(shape_, ...) sample_values(ctx, SOMA_I64, shape_, (const double[]){__VA_ARGS__})

/* Scores of all kinds, random. */
static soma_var random_scores(soma__sample_ctx *ctx, int64_t batch, int64_t steps, int64_t tags)
{
    soma_var emissions = sample_in(ctx, S(batch, steps, tags), -2, 2);
    soma_var transitions = sample_in(ctx, S(tags, tags), -1, 1);
    soma_var first = sample_in(ctx, S(tags), -1, 1), last = sample_in(ctx, S(tags), -1, 1);
    return soma_crf_scores(emissions, transitions, .first = first, .last = last);
}

/* Of four sequences one is empty, one whole, one is said to be longer than it can be; of one a tag
 * is not known. */
static soma_var padded(soma__sample_ctx *ctx)
{
    soma_var tags = I(S(4, 3), 0, 2, 1, -1, -1, -1, 1, -1, 0, 2, 2, 2);
    return soma_crf(random_scores(ctx, 4, 3, 3), tags, I(S(4), 2, 0, 3, 9));
}
static soma_var no_lengths(soma__sample_ctx *ctx)
{
    soma_var scores = random_scores(ctx, 2, 4, 2);
    return soma_crf(scores, sample_int(ctx, SOMA_I32, S(2, 4), 0, 2), (soma_var){0});
}
static soma_var longer(soma__sample_ctx *ctx)
{
    soma_var scores = random_scores(ctx, 9, 33, 13);
    return soma_crf(scores, sample_int(ctx, SOMA_I64, S(9, 33), 0, 13),
                    sample_int(ctx, SOMA_I32, S(9), -1, 40));
}
static soma_var one_tag(soma__sample_ctx *ctx)
{
    return soma_crf(random_scores(ctx, 2, 1, 1), I(S(2, 1), 0, -1), (soma_var){0});
}
static soma_var no_batch(soma__sample_ctx *ctx)
{
    return soma_crf(random_scores(ctx, 0, 2, 2), I(S(0, 2), 0), (soma_var){0});
}

/* --- worked -------------------------------------------------------------------------------------
 */

#define LN2 0.69314718055994531
#define LN3 1.0986122886681098

/* Two steps, two tags: emissions 1 2 and 3 1, transitions 1 1 and 2 1, first 1 3, last 1 2, as
 * factors. The rows 00 01 10 11 have 3, 2, 36 and 12: 53 in all. */
static soma_var small(soma__sample_ctx *ctx, int64_t batch)
{
    soma_var emissions = soma_expand(V(S(1, 2, 2), 0, LN2, LN3, 0), S(batch, 2, 2));
    return soma_crf_scores(emissions, V(S(2, 2), 0, 0, LN2, 0), .first = V(S(2), 0, LN3),
                           .last = V(S(2), 0, LN2));
}
/* Of one step the rows 0 and 1 have 1 and 12. A tag that is none, and one that is not known. */
static soma_var worked(soma__sample_ctx *ctx)
{
    return soma_crf(small(ctx, 6), I(S(6, 2), 1, 0, 0, 1, 1, 7, 0, 0, 0, 2, -1, 0),
                    I(S(6), 2, 2, 1, -3, 2, 2));
}
/* What cannot be, and where nothing can. */
static soma_var forbidden(soma__sample_ctx *ctx)
{
    soma_var emissions = V(S(3, 1, 2), 0, -INFINITY, 0, -INFINITY, -INFINITY, -INFINITY);
    return soma_crf(soma_crf_scores(emissions, (soma_var){0}), I(S(3, 1), 0, 1, 0), (soma_var){0});
}
static soma_var gradient(soma__sample_ctx *ctx, soma_var scores, soma_var tags, soma_var dy)
{
    const int64_t batch = soma_var_shape(scores).dim[0];
    const soma_var in[4] = {scores, tags, soma_full(sample_graph(ctx), SOMA_I64, S(batch), 2), dy};
    return sample_op(ctx, "crf_grad", in, 4, NULL);
}
/* Probabilities of the first tags 5/53 48/53, of the second 39/53 14/53, of pairs as the rows; from
 * them are taken those of the row 10; all times 53. */
static soma_var grad_worked(soma__sample_ctx *ctx)
{
    return gradient(ctx, small(ctx, 1), I(S(1, 2), 1, 0), V(S(1), 53));
}
/* Tags that cannot be have no probabilities to take off: 1 and 0 are left. */
static soma_var grad_forbidden(soma__sample_ctx *ctx)
{
    soma_var emissions = V(S(1, 1, 2), 0, -INFINITY);
    return gradient(ctx, soma_crf_scores(emissions, (soma_var){0}), I(S(1, 1), 1), V(S(1), 1));
}
static soma_var grad_random(soma__sample_ctx *ctx)
{
    soma_var scores = random_scores(ctx, 5, 4, 3);
    return gradient(ctx, scores, sample_int(ctx, SOMA_I64, S(5, 4), -1, 3),
                    sample_in(ctx, S(5), -1, 1));
}
static soma_var decode_worked(soma__sample_ctx *ctx)
{
    return soma_crf_decode(small(ctx, 3), I(S(3), 2, 1, 0));
}
/* Equal scores: the lower tags. */
static soma_var decode_ties(soma__sample_ctx *ctx)
{
    return soma_crf_decode(soma_full(sample_graph(ctx), sample_dtype(ctx), S(1, 8, 3), 1),
                           (soma_var){0});
}
static soma_var decode_random(soma__sample_ctx *ctx)
{
    return soma_crf_decode(random_scores(ctx, 7, 19, 9), sample_int(ctx, SOMA_I32, S(7), 0, 21));
}

/* --- refused ------------------------------------------------------------------------------------
 */

static soma_var refuse_emissions(soma__sample_ctx *ctx)
{
    return soma_crf_scores(sample_in(ctx, S(2, 3), -1, 1), (soma_var){0});
}
static soma_var refuse_transitions(soma__sample_ctx *ctx)
{
    return soma_crf_scores(sample_in(ctx, S(2, 3, 4), -1, 1), sample_in(ctx, S(4, 3), -1, 1));
}
static soma_var refuse_first(soma__sample_ctx *ctx)
{
    return soma_crf_scores(sample_in(ctx, S(2, 3, 4), -1, 1), (soma_var){0},
                           .first = sample_in(ctx, S(3), -1, 1));
}
static soma_var refuse_rows(soma__sample_ctx *ctx)
{
    return soma_crf(sample_in(ctx, S(2, 4, 2), -1, 1), I(S(2, 0), 0), (soma_var){0});
}
static soma_var refuse_tags(soma__sample_ctx *ctx)
{
    return soma_crf(small(ctx, 2), I(S(2, 3), 0, 0, 0, 0, 0, 0), (soma_var){0});
}
static soma_var refuse_float_tags(soma__sample_ctx *ctx)
{
    return soma_crf(small(ctx, 1), V(S(1, 2), 0, 0), (soma_var){0});
}
static soma_var refuse_lengths(soma__sample_ctx *ctx)
{
    return soma_crf(small(ctx, 2), I(S(2, 2), 0, 0, 0, 0), I(S(1), 2));
}
static soma_var refuse_dy(soma__sample_ctx *ctx)
{
    return gradient(ctx, small(ctx, 1), I(S(1, 2), 1, 0), V(S(2), 1, 1));
}
static soma_var refuse_decode(soma__sample_ctx *ctx)
{
    return soma_crf_decode(small(ctx, 2), V(S(2), 1, 1));
}

const soma__sample soma__samples_crf[] = {
    {"crf", "padded", .build = padded, .flags = SAMPLE_ONCE},
    {"crf", "two tags", .build = no_lengths, .flags = SAMPLE_ONCE},
    {"crf", "13 tags, 33 steps", .build = longer, .flags = SAMPLE_ONCE | SAMPLE_NO_DIFFERENCES},
    {"crf", "one tag, one step", .build = one_tag, .flags = SAMPLE_ONCE},
    {"crf", "empty batch", .build = no_batch, .flags = SAMPLE_ONCE},
    {"crf", "worked", .build = worked, .flags = SAMPLE_ONCE | SAMPLE_NO_DIFFERENCES,
     SAMPLE_EXPECT(0.38677297509601, 3.27714473299218, 0.08004270767354, 0, NAN, 0.30673026742248)},
    {"crf", "forbidden tags", .build = forbidden, .flags = SAMPLE_ONCE | SAMPLE_NO_DIFFERENCES,
     SAMPLE_EXPECT(0, INFINITY, INFINITY)},
    {"crf", "matrix", .build = refuse_emissions, .status = SOMA_SHAPE,
     .message = "emissions are [2,3], but must be [B,T,K]"},
    {"crf", "transitions", .build = refuse_transitions, .status = SOMA_SHAPE,
     .message = "transitions are [4,3], but must be [K,K] with K = 4 tags"},
    {"crf", "first tag", .build = refuse_first, .status = SOMA_SHAPE,
     .message = "scores of the first or last tag are [3], but must be [K]"},
    {"crf", "no step", .build = refuse_rows, .status = SOMA_SHAPE,
     .message = "must be [B,T+K+2,K] of a step or more"},
    {"crf", "tags of other steps", .build = refuse_tags, .status = SOMA_SHAPE,
     .message = "tags are [2,3], but must be [2,2]"},
    {"crf", "tags of floats", .build = refuse_float_tags, .status = SOMA_DTYPE,
     .message = "must be i32 or i64"},
    {"crf", "lengths of another batch", .build = refuse_lengths, .status = SOMA_SHAPE,
     .message = "lengths are [1], but must be [2]"},
    {"crf_grad", "worked", .build = grad_worked, .flags = SAMPLE_REFUSES_GRADIENT,
     SAMPLE_EXPECT(5, -5, -14, 14, 3, 2, -17, 12, 5, -5, -14, 14)},
    {"crf_grad", "forbidden tags", .build = grad_forbidden, .flags = SAMPLE_REFUSES_GRADIENT,
     SAMPLE_EXPECT(1, 0, 0, 0, 0, 0, 1, 0, 1, 0)},
    {"crf_grad", "random", .build = grad_random, .flags = SAMPLE_REFUSES_GRADIENT},
    {"crf_grad", "dy of another batch", .build = refuse_dy, .status = SOMA_SHAPE,
     .message = "dy is [2], but must be [1]"},
    {"crf_decode", "worked", .build = decode_worked, .flags = SAMPLE_NO_GRADIENT | SAMPLE_EXACT,
     SAMPLE_EXPECT(1, 0, 1, -1, -1, -1)},
    {"crf_decode", "equal scores", .build = decode_ties, .flags = SAMPLE_NO_GRADIENT | SAMPLE_EXACT,
     SAMPLE_EXPECT(0, 0, 0)},
    {"crf_decode", "random", .build = decode_random, .flags = SAMPLE_NO_GRADIENT},
    {"crf_decode", "lengths of floats", .build = refuse_decode, .status = SOMA_DTYPE,
     .message = "must be i32 or i64"},
    {0},
};
