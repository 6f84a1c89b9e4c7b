/* samples_recurrent.c: samples of rnn, lstm, gru and of their gradients. Sizes lie around those of
 * the vectors, the tiles' columns and the sequences of a task. */
#include "driver.h"
#include "ops/attrs.h"

#define S SOMA_SHAPE

/* An op on [batch,steps,gates·units], all inputs given. */
typedef soma_var recurrent_fn(soma_var x, soma_var w, soma_recurrent_options o);

static soma_var whole(soma__sample_ctx *ctx, recurrent_fn *op, int64_t gates, int64_t batch,
                      int64_t steps, int64_t units, soma_recurrent_options o)
{
    soma_var x = sample_in(ctx, S(batch, steps, gates * units), -1, 1);
    soma_var w = sample_in(ctx, S(gates * units, units), -0.5, 0.5);
    o.bias = sample_in(ctx, S(gates * units), -0.5, 0.5);
    o.h0 = sample_in(ctx, S(batch, units), -1, 1);
    if (op == soma_lstm_opt)
        o.c0 = sample_in(ctx, S(batch, units), -1, 1);
    return op(x, w, o);
}

#define WHOLE(name_, op_, gates_, batch_, steps_, units_, ...)                                     \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        return whole(ctx, soma_##op_##_opt, gates_, batch_, steps_, units_,                        \
                     (soma_recurrent_options){__VA_ARGS__});                                       \
    }
/* Of four sequences one is empty, one whole, one is said to be longer than it can be. */
#define LENGTHS .lengths = sample_values(ctx, SOMA_I64, S(4), (const double[]){3, 0, 5, 9})
#define NEGATIVE .lengths = sample_values(ctx, SOMA_I32, S(4), (const double[]){-2, 1, 4, 5})

WHOLE(rnn_small, rnn, 1, 2, 3, 3, 0)
WHOLE(rnn_reverse, rnn, 1, 4, 5, 5, .reverse = true, LENGTHS)
WHOLE(rnn_relu, rnn, 1, 3, 4, 9, .relu = true)
WHOLE(rnn_wide, rnn, 1, 17, 3, 65, 0)
WHOLE(lstm_small, lstm, 4, 2, 3, 2, 0)
WHOLE(lstm_one, lstm, 4, 1, 1, 1, 0)
WHOLE(lstm_lengths, lstm, 4, 4, 5, 3, LENGTHS)
WHOLE(lstm_reverse, lstm, 4, 4, 5, 17, .reverse = true, NEGATIVE)
WHOLE(lstm_wide, lstm, 4, 17, 4, 33, 0)
WHOLE(lstm_large, lstm, 4, 32, 6, 64, 0)
WHOLE(lstm_no_batch, lstm, 4, 0, 3, 5, 0)
WHOLE(gru_small, gru, 3, 2, 3, 2, 0)
WHOLE(gru_lengths, gru, 3, 4, 5, 3, .reverse = true, LENGTHS)
WHOLE(gru_wide, gru, 3, 9, 3, 33, 0)
WHOLE(gru_first, gru, 3, 2, 3, 2, .reset_first = true)
WHOLE(gru_first_lengths, gru, 3, 4, 5, 18, .reset_first = true, NEGATIVE)
WHOLE(gru_first_reverse, gru, 3, 15, 3, 7, .reset_first = true, .reverse = true)

/* Without what may be left out: zeros. */
static soma_var rnn_bare(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(2, 3, 4), -1, 1);
    return soma_rnn(x, sample_in(ctx, S(4, 4), -0.5, 0.5));
}

/* --- worked ------------------------------------------------------------------------------------
 */

#define V(shape_, ...) sample_values(ctx, 0, shape_, (const double[]){__VA_ARGS__})

/* relu(x + 2 h + 1) from h0 = 1: x -1, -9, 0.5 give 2, 0, 1.5. */
static soma_var rnn_worked(soma__sample_ctx *ctx)
{
    return soma_rnn(V(S(1, 3, 1), -1, -9, 0.5), V(S(1, 1), 2), .bias = V(S(1), 1),
                    .h0 = V(S(1, 1), 1), .relu = true);
}

/* Without weights: x = ln 3 opens a gate by 3/4, 0 by 1/2; tanh(ln 3 / 2) = 1/2.
 * c = 1/2 · 1/2 + 3/4 · 1/2 = 5/8, h = 3/4 tanh(5/8). */
static soma_var lstm_worked(soma__sample_ctx *ctx)
{
    const double ln3 = 1.0986122886681098;
    return soma_lstm(V(S(1, 1, 4), ln3, 0, ln3 / 2, ln3), V(S(4, 1), 0, 0, 0, 0),
                     .h0 = V(S(1, 1), 3), .c0 = V(S(1, 1), 0.5));
}

/* r = 3/4, z = 1/2; w_n h + bias = 2 · 1 + 0 = 2, n = tanh(x + 3/2) with x = ln 3 / 2 - 3/2: 1/2.
 * h = 1/2 · 1/2 + 1/2 · 1. */
static soma_var gru_worked(soma__sample_ctx *ctx)
{
    const double ln3 = 1.0986122886681098;
    return soma_gru(V(S(1, 1, 3), ln3, 0, ln3 / 2 - 1.5), V(S(3, 1), 0, 0, 2), .h0 = V(S(1, 1), 1));
}

/* A sequence of no steps keeps its first state. */
static soma_var gru_worked_empty(soma__sample_ctx *ctx)
{
    return soma_gru(V(S(1, 1, 3), 1, 2, 3), V(S(3, 1), 1, 2, 3), .h0 = V(S(1, 1), 0.25),
                    .lengths = sample_values(ctx, SOMA_I64, S(1), (const double[]){0}),
                    .reset_first = true);
}

/* --- refused -----------------------------------------------------------------------------------
 */

static soma_var rnn_refuse_x(soma__sample_ctx *ctx)
{
    return soma_rnn(sample_in(ctx, S(2, 4), -1, 1), sample_in(ctx, S(4, 4), -1, 1));
}
static soma_var lstm_refuse_gates(soma__sample_ctx *ctx)
{
    return soma_lstm(sample_in(ctx, S(2, 3, 6), -1, 1), sample_in(ctx, S(6, 6), -1, 1));
}
static soma_var gru_refuse_w(soma__sample_ctx *ctx)
{
    return soma_gru(sample_in(ctx, S(2, 3, 6), -1, 1), sample_in(ctx, S(2, 6), -1, 1));
}
static soma_var lstm_refuse_c0(soma__sample_ctx *ctx)
{
    return soma_lstm(sample_in(ctx, S(2, 3, 4), -1, 1), sample_in(ctx, S(4, 1), -1, 1),
                     .c0 = sample_in(ctx, S(2, 2), -1, 1));
}
static soma_var gru_refuse_lengths(soma__sample_ctx *ctx)
{
    return soma_gru(sample_in(ctx, S(2, 3, 3), -1, 1), sample_in(ctx, S(3, 1), -1, 1),
                    .lengths = sample_in(ctx, S(2), 0, 3));
}
static soma_var rnn_refuse_lengths(soma__sample_ctx *ctx)
{
    return soma_rnn(sample_in(ctx, S(2, 3, 1), -1, 1), sample_in(ctx, S(1, 1), -1, 1),
                    .lengths = sample_int(ctx, SOMA_I64, S(3), 0, 3));
}

/* --- the gradients -----------------------------------------------------------------------------
 */

static soma_var backward(soma__sample_ctx *ctx, const char *op, int64_t gates, int64_t parts,
                         soma_shape y, int64_t dy_parts, soma__recurrent_attrs attrs)
{
    const int64_t units = y.dim[2] / parts;
    soma_var in[6];
    int count = 0;
    in[count++] = sample_in(ctx, y, 0.1, 0.9);
    in[count++] = sample_in(ctx, S(gates * units, units), -0.5, 0.5);
    for (int i = 0; i < (gates == 4 ? 2 : 1); i++)
        in[count++] = sample_in(ctx, S(y.dim[0], units), -1, 1);
    in[count++] = sample_in(ctx, S(y.dim[0], y.dim[1], dy_parts * units), -1, 1);
    if (attrs.lengths)
        in[count++] = sample_values(ctx, SOMA_I64, S(4), (const double[]){2, 0, 3, 7});
    return sample_op(ctx, op, in, count, &attrs);
}
#define BACKWARD(name_, op_, gates_, parts_, batch_, steps_, units_, dy_, ...)                     \
    static soma_var name_(soma__sample_ctx *ctx)                                                   \
    {                                                                                              \
        return backward(ctx, op_, gates_, parts_, S(batch_, steps_, (parts_) * (units_)), dy_,     \
                        (soma__recurrent_attrs){__VA_ARGS__});                                     \
    }
BACKWARD(rnn_grad, "rnn_grad", 1, 1, 4, 3, 19, 1, .lengths = 1, .states = 1)
BACKWARD(rnn_grad_relu, "rnn_grad", 1, 1, 3, 2, 5, 1, .variant = 1, .reverse = 1)
BACKWARD(lstm_grad, "lstm_grad", 4, 6, 4, 3, 18, 6, .lengths = 1, .states = 1)
BACKWARD(lstm_grad_plain, "lstm_grad", 4, 6, 9, 2, 33, 6, 0)
BACKWARD(gru_grad, "gru_grad", 3, 5, 4, 3, 17, 5, .lengths = 1, .states = 1, .reverse = 1)
BACKWARD(gru_grad_first, "gru_grad", 3, 4, 5, 3, 35, 4, .variant = 1, .states = 1)
BACKWARD(rnn_grad_refuse, "rnn_grad", 1, 1, 2, 3, 4, 2, 0)
BACKWARD(lstm_grad_refuse, "lstm_grad", 4, 6, 2, 3, 4, 5, 0)
BACKWARD(gru_grad_refuse, "gru_grad", 3, 5, 2, 3, 4, 4, 0)

/* y = 1/2 in two steps of rnn, w = 2: dy (1 - y²) = 3/4 at the last; it comes back as 3/2, and the
 * first has (1 + 3/2) 3/4 = 15/8, which reaches h0 twice. */
static soma_var rnn_grad_worked(soma__sample_ctx *ctx)
{
    const soma__recurrent_attrs attrs = {.states = 1};
    const soma_var in[4] = {V(S(1, 2, 1), 0.5, 0.5), V(S(1, 1), 2), V(S(1, 1), 0),
                            V(S(1, 2, 1), 1, 1)};
    return sample_op(ctx, "rnn_grad", in, 4, &attrs);
}

/* All gates 1/2, c = 0, c0 = 1, dh = 0, dc = 1: di = g i (1 - i) = 1/8, df = c0/4, dg = i (1 - g²)
 * = 3/8, do = 0. Without weights only c0 gets anything: f. */
static soma_var lstm_grad_worked(soma__sample_ctx *ctx)
{
    const soma__recurrent_attrs attrs = {.states = 1};
    const soma_var in[5] = {V(S(1, 1, 6), 0, 0, 0.5, 0.5, 0.5, 0.5), V(S(4, 1), 0, 0, 0, 0),
                            V(S(1, 1), 0), V(S(1, 1), 1), V(S(1, 1, 6), 0, 1, 0, 0, 0, 0)};
    return sample_op(ctx, "lstm_grad", in, 5, &attrs);
}

/* r = z = n = 1/2, w_n h = 2, h0 = 1, dh = 1: dn = 1/2 · 3/4, dz = (1 - 1/2)/4, dr = 2 dn / 4, of
 * w_n h dn / 2. */
static soma_var gru_grad_worked(soma__sample_ctx *ctx)
{
    const soma__recurrent_attrs attrs = {0};
    const soma_var in[4] = {V(S(1, 1, 5), 0.75, 0.5, 0.5, 0.5, 2), V(S(3, 1), 0, 0, 2),
                            V(S(1, 1), 1), V(S(1, 1, 5), 1, 0, 0, 0, 0)};
    return sample_op(ctx, "gru_grad", in, 4, &attrs);
}

/* The weights' gradients are sums over batch and steps. */
#define FIT(op_, name_, build_)                                                                    \
    {                                                                                              \
        op_, name_, .build = build_, .flags = SAMPLE_ONCE, .tolerance = 4e-6                       \
    }
#define BACK(op_, name_, build_)                                                                   \
    {                                                                                              \
        op_, name_, .build = build_, .flags = SAMPLE_REFUSES_GRADIENT, .tolerance = 4e-6           \
    }
#define REFUSED(op_, name_, build_, status_, message_)                                             \
    {                                                                                              \
        op_, name_, .build = build_, .status = status_, .message = message_                        \
    }
#define WORKED(op_, name_, build_, flags_, ...)                                                    \
    {                                                                                              \
        op_, name_, .build = build_, .flags = flags_, SAMPLE_EXPECT(__VA_ARGS__)                   \
    }

const soma__sample soma__samples_recurrent[] = {
    FIT("rnn", "small", rnn_small),
    FIT("rnn", "bare", rnn_bare),
    FIT("rnn", "reverse", rnn_reverse),
    FIT("rnn", "relu", rnn_relu),
    FIT("rnn", "wide", rnn_wide),
    WORKED("rnn", "worked", rnn_worked, SAMPLE_ONCE, 2, 0, 1.5),
    REFUSED("rnn", "matrix", rnn_refuse_x, SOMA_SHAPE, "x is [2,4], but must be [B,T,1·H]"),
    REFUSED("rnn", "lengths", rnn_refuse_lengths, SOMA_SHAPE, "lengths is [3], but must be [2]"),

    FIT("lstm", "small", lstm_small),
    FIT("lstm", "one", lstm_one),
    FIT("lstm", "lengths", lstm_lengths),
    FIT("lstm", "reverse", lstm_reverse),
    FIT("lstm", "wide", lstm_wide),
    FIT("lstm", "large", lstm_large),
    FIT("lstm", "no batch", lstm_no_batch),
    WORKED("lstm", "worked", lstm_worked, SAMPLE_ONCE, 0.4159497918, 0.625, 0.75, 0.5, 0.5, 0.75),
    REFUSED("lstm", "gates", lstm_refuse_gates, SOMA_SHAPE, "must be [B,T,4·H]"),
    REFUSED("lstm", "c0", lstm_refuse_c0, SOMA_SHAPE, "c0 is [2,2], but must be [2,1]"),

    FIT("gru", "small", gru_small),
    FIT("gru", "lengths", gru_lengths),
    FIT("gru", "wide", gru_wide),
    FIT("gru", "reset first", gru_first),
    FIT("gru", "reset first, lengths", gru_first_lengths),
    FIT("gru", "reset first, reverse", gru_first_reverse),
    WORKED("gru", "worked", gru_worked, SAMPLE_ONCE, 0.75, 0.75, 0.5, 0.5, 2),
    WORKED("gru", "empty", gru_worked_empty, SAMPLE_ONCE, 0.25, 0, 0, 0),
    REFUSED("gru", "w", gru_refuse_w, SOMA_SHAPE, "w is [2,6], but must be [6,2]"),
    REFUSED("gru", "lengths of floats", gru_refuse_lengths, SOMA_DTYPE, "must be i32 or i64"),

    BACK("rnn_grad", "lengths", rnn_grad),
    BACK("rnn_grad", "relu", rnn_grad_relu),
    WORKED("rnn_grad", "worked", rnn_grad_worked, SAMPLE_REFUSES_GRADIENT, 1.875, 0.75, 3.75),
    REFUSED("rnn_grad", "dy", rnn_grad_refuse, SOMA_SHAPE, "dy is [2,3,8], but must be [2,3,4]"),
    BACK("lstm_grad", "lengths", lstm_grad),
    BACK("lstm_grad", "plain", lstm_grad_plain),
    WORKED("lstm_grad", "worked", lstm_grad_worked, SAMPLE_REFUSES_GRADIENT, 0.125, 0.25, 0.375, 0,
           0, 0.5, 0, 0),
    REFUSED("lstm_grad", "dy", lstm_grad_refuse, SOMA_SHAPE,
            "dy is [2,3,20], but must be [2,3,24]"),
    BACK("gru_grad", "lengths", gru_grad),
    BACK("gru_grad", "reset first", gru_grad_first),
    WORKED("gru_grad", "worked", gru_grad_worked, SAMPLE_REFUSES_GRADIENT, 0.1875, 0.125, 0.1875,
           0.375),
    REFUSED("gru_grad", "dy", gru_grad_refuse, SOMA_SHAPE, "dy is [2,3,16], but must be [2,3,20]"),
    {0},
};
