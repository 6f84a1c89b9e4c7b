/* samples_ctc.c: samples of ctc_loss and of its gradient. */
#include <math.h>

#include "driver.h"
#include "ops/attrs.h"

#define S SOMA_SHAPE
#define V(shape_, ...) sample_values(ctx, 0, shape_, (const double[]){__VA_ARGS__})
#define I(shape_, ...) sample_values(ctx, SOMA_I64, shape_, (const double[]){__VA_ARGS__})

/* --- fits ------------------------------------------------------------------------------------- */

/* Different labels, one twice in a row, none, and one that does not fit. */
static soma_var four(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(4, 6, 5), -3, 0);
    return soma_ctc_loss(x, I(S(4, 3), 1, 2, 4, 3, 3, -1, -1, -1, -1, 2, 2, 2),
                         .input_lengths = I(S(4), 6, 5, 4, 4), .zero_infinity = true);
}
static soma_var last_blank(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(2, 3, 4), -3, 0);
    soma_var targets =
        sample_values(ctx, SOMA_I32, S(2, 4), (const double[]){0, 1, 2, 0, 2, 2, 1, 1});
    return soma_ctc_loss(x, targets, .blank = 3,
                         .target_lengths =
                             sample_values(ctx, SOMA_I32, S(2), (const double[]){3, 2}),
                         .reduction = SOMA_REDUCTION_MEAN);
}
static soma_var summed(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(3, 4, 3), -3, 0);
    return soma_ctc_loss(x, I(S(3, 2), 1, 2, 2, 1, 2, -1), .reduction = SOMA_REDUCTION_SUM);
}
static soma_var longer(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(17, 60, 11), -8, 0);
    return soma_ctc_loss(x, sample_int(ctx, SOMA_I64, S(17, 9), 1, 11));
}
static soma_var nothing(soma__sample_ctx *ctx)
{
    return soma_ctc_loss(sample_in(ctx, S(0, 4, 3), -3, 0), I(S(0, 2), 0));
}
static soma_var no_labels(soma__sample_ctx *ctx)
{
    return soma_ctc_loss(sample_in(ctx, S(2, 4, 3), -3, 0), I(S(2, 0), 0));
}

/* --- worked: K = 2, all probabilities 1/2. [1] is read of 11, b1 and 1b: 3 of 4 paths; [] of one
 * path of four; [1,1] does not fit; no step reads as nothing, and as no label.
 * ------------------------- */

static soma_var halves(soma__sample_ctx *ctx, int64_t batch)
{
    return soma_full(sample_graph(ctx), sample_dtype(ctx), S(batch, 2, 2), -0.69314718055994531);
}
static soma_var worked(soma__sample_ctx *ctx)
{
    return soma_ctc_loss(halves(ctx, 5), I(S(5, 2), 1, -1, -1, -1, 1, 1, -1, -1, 1, -1),
                         .input_lengths = I(S(5), 2, 9, 2, 0, -1));
}
static soma_var worked_zero(soma__sample_ctx *ctx)
{
    return soma_ctc_loss(halves(ctx, 2), I(S(2, 2), 1, 1, 1, -1), .zero_infinity = true);
}
/* A label that is the blank, or no class. Certain paths, and impossible ones. */
static soma_var bad_labels(soma__sample_ctx *ctx)
{
    return soma_ctc_loss(halves(ctx, 3), I(S(3, 1), 0, 2, 1), .target_lengths = I(S(3), 1, 1, 1));
}
static soma_var certain(soma__sample_ctx *ctx)
{
    soma_var x = V(S(2, 2, 2), 0, -INFINITY, -INFINITY, 0, 0, -INFINITY, 0, -INFINITY);
    return soma_ctc_loss(x, I(S(2, 1), 1, 1));
}

static soma_var gradient(soma__sample_ctx *ctx, soma_var x, soma_var targets, soma_var dy)
{
    const int64_t batch = soma_var_shape(x).dim[0];
    soma_var steps = soma_full(sample_graph(ctx), SOMA_I64, S(batch), 2);
    soma_var labels = soma_full(sample_graph(ctx), SOMA_I64, S(batch), 1);
    const soma_var in[5] = {x, targets, steps, labels, dy};
    return sample_op(ctx, "ctc_loss_grad", in, 5, &(soma__ctc_attrs){0});
}
static soma_var grad_worked(soma__sample_ctx *ctx)
{
    return gradient(ctx, halves(ctx, 2), I(S(2, 1), 1, 0), V(S(2), 3, 1));
}
static soma_var grad_random(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(5, 7, 4), -3, 0);
    return gradient(ctx, x, sample_int(ctx, SOMA_I32, S(5, 3), 1, 4), sample_in(ctx, S(5), -1, 1));
}
static soma_var grad_refuse(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(2, 2, 2), -1, 0);
    return gradient(ctx, x, I(S(2, 1), 1, 1), sample_in(ctx, S(3), -1, 1));
}

/* --- refused
 * ------------------------------------------------------------------------------------*/

static soma_var refuse_x(soma__sample_ctx *ctx)
{
    return soma_ctc_loss(sample_in(ctx, S(2, 3), -1, 0), I(S(2, 1), 1, 1));
}
static soma_var refuse_targets(soma__sample_ctx *ctx)
{
    return soma_ctc_loss(sample_in(ctx, S(2, 4, 3), -1, 0), I(S(3, 1), 1, 1, 1));
}
static soma_var refuse_flat(soma__sample_ctx *ctx)
{
    return soma_ctc_loss(sample_in(ctx, S(2, 4, 3), -1, 0), I(S(2), 1, 1));
}
static soma_var refuse_floats(soma__sample_ctx *ctx)
{
    soma_var t = V(S(2, 1), 1, 1);
    return soma_ctc_loss(sample_in(ctx, S(2, 4, 3), -1, 0), t, .target_lengths = I(S(2), 1, 1));
}
static soma_var refuse_lengths(soma__sample_ctx *ctx)
{
    return soma_ctc_loss(sample_in(ctx, S(2, 4, 3), -1, 0), I(S(2, 1), 1, 1),
                         .input_lengths = I(S(1), 4));
}
static soma_var refuse_blank(soma__sample_ctx *ctx)
{
    return soma_ctc_loss(sample_in(ctx, S(2, 4, 3), -1, 0), I(S(2, 1), 1, 1), .blank = 3);
}
static soma_var refuse_reduction(soma__sample_ctx *ctx)
{
    return soma_ctc_loss(sample_in(ctx, S(2, 4, 3), -1, 0), I(S(2, 1), 1, 1), .reduction = 7);
}

const soma__sample soma__samples_ctc[] = {
    {"ctc_loss", "four", .build = four, .flags = SAMPLE_ONCE},
    {"ctc_loss", "the last class is the blank", .build = last_blank, .flags = SAMPLE_ONCE},
    {"ctc_loss", "summed", .build = summed, .flags = SAMPLE_ONCE},
    {"ctc_loss", "longer", .build = longer, .flags = SAMPLE_ONCE | SAMPLE_NO_DIFFERENCES},
    {"ctc_loss", "empty batch", .build = nothing, .flags = SAMPLE_ONCE},
    {"ctc_loss", "no labels at all", .build = no_labels, .flags = SAMPLE_ONCE},
    {"ctc_loss", "worked", .build = worked, .flags = SAMPLE_NO_GRADIENT,
     SAMPLE_EXPECT(0.28768207245178090, 1.3862943611198906, INFINITY, 0, INFINITY)},
    {"ctc_loss", "too long for its input", .build = worked_zero, .flags = SAMPLE_NO_GRADIENT,
     SAMPLE_EXPECT(0, 0.28768207245178090)},
    {"ctc_loss", "labels that are none", .build = bad_labels, .flags = SAMPLE_NO_GRADIENT,
     SAMPLE_EXPECT(NAN, NAN, 0.28768207245178090)},
    {"ctc_loss", "certain and impossible", .build = certain,
     .flags = SAMPLE_ONCE | SAMPLE_NO_DIFFERENCES, SAMPLE_EXPECT(0, INFINITY)},
    {"ctc_loss", "matrix", .build = refuse_x, .status = SOMA_SHAPE,
     .message = "log_probs are [2,3], but must be [B,T,classes]"},
    {"ctc_loss", "targets of another batch", .build = refuse_targets, .status = SOMA_SHAPE,
     .message = "targets are [3,1], but must be [2,1]"},
    {"ctc_loss", "flat targets", .build = refuse_flat, .status = SOMA_SHAPE,
     .message = "targets are [2], but must be [2,0]"},
    {"ctc_loss", "targets of floats", .build = refuse_floats, .status = SOMA_DTYPE,
     .message = "but must be i32 or i64"},
    {"ctc_loss", "lengths", .build = refuse_lengths, .status = SOMA_SHAPE,
     .message = "input_lengths are [1], but must be [2]"},
    {"ctc_loss", "blank", .build = refuse_blank, .status = SOMA_INVALID,
     .message = "blank 3 must be a class from 0 to 2"},
    {"ctc_loss", "reduction", .build = refuse_reduction, .status = SOMA_INVALID,
     .message = "there is no reduction 7"},

    {"ctc_loss_grad", "worked", .build = grad_worked, .flags = SAMPLE_REFUSES_GRADIENT,
     SAMPLE_EXPECT(-1, -2, -1, -2, NAN, NAN, NAN, NAN)},
    {"ctc_loss_grad", "random", .build = grad_random, .flags = SAMPLE_REFUSES_GRADIENT},
    {"ctc_loss_grad", "dy", .build = grad_refuse, .status = SOMA_SHAPE, .message = "dy is "},
    {0},
};
