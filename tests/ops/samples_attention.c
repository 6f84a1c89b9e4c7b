/* samples_attention.c: samples of attention, its gradients and rotary positions. Sizes lie around
 * the blocks of queries and keys, the panels and the few queries that are not packed. */
#include <math.h>

#include "driver.h"
#include "ops/attention.h"

#define S SOMA_SHAPE

static soma_var attend(soma__sample_ctx *ctx, soma_shape q, int64_t keys, int64_t key_heads,
                       soma_attention_options o)
{
    const soma_shape k = S(q.dim[0], keys, key_heads, q.dim[3]);
    soma_var x = sample_in(ctx, q, -1, 1), y = sample_in(ctx, k, -1, 1);
    return soma_attention_opt(x, y, sample_in(ctx, k, -1, 1), o);
}

#define ATTEND(name_, batch_, queries_, heads_, depth_, keys_, key_heads_, ...)                    \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        return attend(ctx, S(batch_, queries_, heads_, depth_), keys_, key_heads_,                 \
                      (soma_attention_options){__VA_ARGS__});                                      \
    }
/* Numbers of the dtype under test that are not differentiated: masks and slopes have no gradient.
 */
static soma_var fixed(soma__sample_ctx *ctx, soma_shape shape, double low, double high)
{
    double values[64];
    for (int i = 0; i < 64; i++)
        values[i] = (float)(low + (high - low) * fabs(sin(1.7 * i + 1)));
    return sample_values(ctx, sample_dtype(ctx), shape, values);
}
#define FIXED(shape_, low_, high_) fixed(ctx, shape_, low_, high_)
#define LENGTHS(...) .lengths = sample_values(ctx, SOMA_I64, S(3), (const double[]){__VA_ARGS__})

ATTEND(small, 2, 3, 2, 2, 4, 2, 0)
ATTEND(one_query, 2, 1, 4, 5, 9, 2, 0)
ATTEND(few_queries, 1, 4, 2, 33, 131, 1, .causal = true, .offset = 127)
ATTEND(causal, 1, 5, 2, 3, 5, 1, .causal = true)
ATTEND(cached, 1, 7, 1, 4, 12, 1, .causal = true, .offset = 5)
ATTEND(before_keys, 1, 6, 1, 4, 3, 1, .causal = true, .offset = -2)
ATTEND(lengths, 3, 5, 2, 4, 6, 2, LENGTHS(6, 0, 3))
ATTEND(lengths_beyond, 3, 6, 1, 3, 6, 1, LENGTHS(-1, 9, 1), .causal = true)
ATTEND(full_mask, 2, 3, 2, 3, 4, 2, .mask = FIXED(S(2, 2, 3, 4), -2, 2))
ATTEND(row_mask, 2, 5, 2, 3, 4, 2, .mask = FIXED(S(5, 1), -2, 2), .scale = 0.3)
ATTEND(head_mask, 2, 5, 2, 3, 4, 1, .mask = FIXED(S(2, 1, 4), -2, 2))
ATTEND(alibi, 1, 7, 2, 3, 9, 2, .causal = true, .offset = 2, .slopes = FIXED(S(2), 0.1, 0.9))
ATTEND(dropout, 2, 6, 2, 3, 5, 2, .key = sample_key(ctx, 3, 4), .dropout = 0.4, .stream = 5)
ATTEND(grouped, 2, 9, 6, 8, 7, 2, .causal = true)
ATTEND(blocks, 1, 115, 2, 17, 259, 1, .causal = true, .offset = 144)
ATTEND(blocks_wide, 1, 57, 1, 65, 130, 1, .key = sample_key(ctx, 1, 2), .dropout = 0.2)
ATTEND(no_queries, 1, 0, 2, 3, 4, 2, 0)
ATTEND(no_keys, 1, 5, 2, 3, 0, 2, 0)
ATTEND(refuse_depth, 1, 5, 2, 3, 4, 3, 0)
ATTEND(refuse_p, 1, 5, 2, 3, 4, 1, .key = sample_key(ctx, 3, 4), .dropout = 1)
ATTEND(refuse_mask, 1, 5, 2, 3, 4, 1, .mask = FIXED(S(4, 5), 0, 1))
ATTEND(refuse_lengths, 1, 5, 2, 3, 4, 1, .lengths = sample_int(ctx, SOMA_I64, S(2), 0, 3))
ATTEND(refuse_slopes, 1, 5, 2, 3, 4, 1, .slopes = FIXED(S(3), 0, 1))
ATTEND(refuse_scale, 1, 5, 2, 3, 4, 1, .scale = -1)
ATTEND(refuse_key, 1, 5, 2, 3, 4, 1, .key = sample_int(ctx, SOMA_I64, S(3), 0, 3), .dropout = 0.5)

/* A bool mask hides; the second query sees nothing. */
static soma_var bool_mask(soma__sample_ctx *ctx)
{
    soma_var mask = sample_values(ctx, SOMA_BOOL, S(3, 4),
                                  (const double[]){1, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0});
    return attend(ctx, S(1, 3, 2, 4), 4, 2, (soma_attention_options){.mask = mask});
}

#define V(shape_, ...) sample_values(ctx, 0, shape_, (const double[]){__VA_ARGS__})

/* Scores 0 and ln 3: weights 1/4 and 3/4 of 4 and 8; without a score of the second, all of 4. */
static soma_var worked(soma__sample_ctx *ctx)
{
    soma_var q = V(S(1, 2, 1, 1), 0, 1.0986122886681098), k = V(S(1, 2, 1, 1), 0, 1);
    return soma_attention(q, k, V(S(1, 2, 1, 1), 4, 8), .causal = true);
}
static soma_var worked_hidden(soma__sample_ctx *ctx)
{
    soma_var q = V(S(1, 1, 1, 2), 1, 2), k = V(S(1, 2, 1, 2), 1, 2, 3, 4);
    return soma_attention(q, k, k, .lengths = sample_values(ctx, SOMA_I32, S(1), (double[]){0}));
}

/* --- the gradients -----------------------------------------------------------------------------
 */

/* y and dy are numbers: what the op computes is defined for any. The logarithm is large enough. */
static soma_var backward(soma__sample_ctx *ctx, const char *op, soma_shape q, int64_t keys,
                         int64_t key_heads, int more, soma__attention_attrs attrs)
{
    const soma_shape k = S(q.dim[0], keys, key_heads, q.dim[3]);
    soma_shape y = q;
    soma_var in[9];
    int count = 0;
    y.dim[3] += more;
    in[count++] = sample_in(ctx, q, -1, 1);
    in[count++] = sample_in(ctx, k, -1, 1);
    in[count++] = sample_in(ctx, k, -1, 1);
    in[count++] = sample_in(ctx, y, 0, 1);
    in[count++] = sample_in(ctx, y, -1, 1);
    if (attrs.optional & SOMA__ATTENTION_MASK)
        in[count++] = sample_in(ctx, S(q.dim[1], keys), -1, 1);
    if (attrs.optional & SOMA__ATTENTION_LENGTHS)
        in[count++] = sample_values(ctx, SOMA_I64, S(3), (const double[]){4, 0, 9});
    if (attrs.optional & SOMA__ATTENTION_SLOPES)
        in[count++] = sample_in(ctx, S(q.dim[2]), 0, 1);
    if (attrs.optional & SOMA__ATTENTION_KEY)
        in[count++] = sample_key(ctx, 5, 6);
    return sample_op(ctx, op, in, count, &attrs);
}
#define BACKWARD(name_, batch_, queries_, heads_, depth_, keys_, key_heads_, more_, ...)           \
    static soma_var q_##name_(soma__sample_ctx *ctx)                                               \
    {                                                                                              \
        return backward(ctx, "attention_grad_q", S(batch_, queries_, heads_, depth_), keys_,       \
                        key_heads_, more_, (soma__attention_attrs){__VA_ARGS__});                  \
    }                                                                                              \
    static soma_var kv_##name_(soma__sample_ctx *ctx)                                              \
    {                                                                                              \
        return backward(ctx, "attention_grad_kv", S(batch_, queries_, heads_, depth_), keys_,      \
                        key_heads_, more_, (soma__attention_attrs){__VA_ARGS__});                  \
    }
BACKWARD(plain, 2, 5, 2, 3, 6, 1, 1, .scale = 0.5)
BACKWARD(all, 3, 7, 2, 5, 8, 2, 1, .scale = 0.4, .causal = 1, .offset = 1, .p = 0.3, .optional = 15)
BACKWARD(blocks, 1, 60, 1, 33, 140, 1, 1, .scale = 0.2, .causal = 1, .offset = 80)
BACKWARD(refused, 2, 5, 2, 3, 6, 1, 0, .scale = 0.5)

/* One key of score 0 and a logarithm of ln 2: its weight is 1/2. dy · v - dy · y + dlse = 6 - 2 +
 * 1; times 1/2 and scale 2, and k or q. */
static soma_var worked_back(soma__sample_ctx *ctx, const char *op)
{
    const soma__attention_attrs attrs = {.scale = 2};
    const soma_var in[5] = {V(S(1, 1, 1, 1), 0), V(S(1, 1, 1, 1), 3), V(S(1, 1, 1, 1), 3),
                            V(S(1, 1, 1, 2), 1, 0.69314718055994531), V(S(1, 1, 1, 2), 2, 1)};
    return sample_op(ctx, op, in, 5, &attrs);
}
static soma_var q_worked(soma__sample_ctx *ctx)
{
    return worked_back(ctx, "attention_grad_q");
}
static soma_var kv_worked(soma__sample_ctx *ctx)
{
    return worked_back(ctx, "attention_grad_kv");
}

/* --- rotary ------------------------------------------------------------------------------------
 */

#define ROTARY(name_, batch_, steps_, heads_, depth_, ...)                                         \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        return soma_rotary(sample_in(ctx, S(batch_, steps_, heads_, depth_), -1, 1), __VA_ARGS__); \
    }
ROTARY(rotary, 2, 3, 2, 6, 0)
ROTARY(rotary_pairs, 1, 5, 3, 8, .interleaved = true, .offset = 3, .base = 100)
ROTARY(rotary_many, 2, 40, 5, 64, 0)
ROTARY(rotary_refuse, 2, 3, 2, 5, 0)
ROTARY(rotary_refuse_base, 2, 3, 2, 4, .base = -1)

/* Base 1 turns all pairs by the step: by 0, then by 1. */
static soma_var rotary_worked(soma__sample_ctx *ctx)
{
    return soma_rotary(V(S(1, 2, 1, 4), 1, 2, 3, 4, 1, 2, 3, 4), .base = 1);
}

#define FIT(name_, build_)                                                                         \
    {                                                                                              \
        "attention", name_, .build = build_, .flags = SAMPLE_ONCE, .tolerance = 4e-6               \
    }
/* Several blocks of the kernels; small samples have shown that the gradient's rule is right. */
#define FIT_BLOCKS(name_, build_)                                                                  \
    {                                                                                              \
        "attention", name_, .build = build_, .flags = SAMPLE_ONCE | SAMPLE_NO_DIFFERENCES,         \
                            .tolerance = 4e-6                                                      \
    }
#define REFUSED(op_, name_, build_, status_, message_)                                             \
    {                                                                                              \
        op_, name_, .build = build_, .status = status_, .message = message_                        \
    }
#define BACK(name_)                                                                                \
    {"attention_grad_q", #name_, .build = q_##name_, .flags = SAMPLE_REFUSES_GRADIENT,             \
     .tolerance = 4e-6},                                                                           \
    {                                                                                              \
        "attention_grad_kv", #name_, .build = kv_##name_, .flags = SAMPLE_REFUSES_GRADIENT,        \
                                     .tolerance = 4e-6                                             \
    }

const soma__sample soma__samples_attention[] = {
    FIT("small", small),
    FIT("one query", one_query),
    FIT("few queries", few_queries),
    FIT("causal", causal),
    FIT("cached", cached),
    FIT("before the keys", before_keys),
    FIT("lengths", lengths),
    FIT("lengths beyond", lengths_beyond),
    FIT("full mask", full_mask),
    FIT("row mask", row_mask),
    FIT("head mask", head_mask),
    FIT("bool mask", bool_mask),
    FIT("alibi", alibi),
    FIT("dropout", dropout),
    FIT("grouped", grouped),
    FIT_BLOCKS("blocks", blocks),
    FIT_BLOCKS("blocks, wide", blocks_wide),
    FIT("no queries", no_queries),
    FIT("no keys", no_keys),
    {"attention", "worked", .build = worked, .flags = SAMPLE_ONCE, SAMPLE_EXPECT(4, 7)},
    {"attention", "hidden", .build = worked_hidden, .flags = SAMPLE_ONCE, SAMPLE_EXPECT(0, 0)},
    REFUSED("attention", "heads", refuse_depth, SOMA_SHAPE, "a divisor of 2"),
    REFUSED("attention", "p", refuse_p, SOMA_INVALID, "p 1 must be from 0"),
    REFUSED("attention", "mask", refuse_mask, SOMA_SHAPE, "must broadcast to [1,2,5,4]"),
    REFUSED("attention", "lengths", refuse_lengths, SOMA_SHAPE, "lengths are [2]"),
    REFUSED("attention", "slopes", refuse_slopes, SOMA_SHAPE, "slopes are [3], but must be [2]"),
    REFUSED("attention", "scale", refuse_scale, SOMA_INVALID, "scale -1"),
    REFUSED("attention", "key", refuse_key, SOMA_SHAPE, "the key must be i64 [2]"),

    BACK(plain),
    BACK(all),
    BACK(blocks),
    {"attention_grad_q", "worked", .build = q_worked, .flags = SAMPLE_REFUSES_GRADIENT,
     SAMPLE_EXPECT(15)},
    {"attention_grad_kv", "worked", .build = kv_worked, .flags = SAMPLE_REFUSES_GRADIENT,
     SAMPLE_EXPECT(0, 1)},
    REFUSED("attention_grad_q", "y", q_refused, SOMA_SHAPE, "y is [2,5,2,3]"),
    REFUSED("attention_grad_kv", "y", kv_refused, SOMA_SHAPE, "y is [2,5,2,3]"),

    {"rotary", "halves", .build = rotary},
    {"rotary", "pairs", .build = rotary_pairs},
    {"rotary", "many", .build = rotary_many},
    {"rotary", "worked", .build = rotary_worked,
     SAMPLE_EXPECT(1, 2, 3, 4, 0.5403023059 - 3 * 0.8414709848, 2 * 0.5403023059 - 4 * 0.8414709848,
                   3 * 0.5403023059 + 0.8414709848, 4 * 0.5403023059 + 2 * 0.8414709848)},
    REFUSED("rotary", "odd", rotary_refuse, SOMA_SHAPE, "of an even D"),
    REFUSED("rotary", "base", rotary_refuse_base, SOMA_INVALID, "base -1"),
    {0},
};
