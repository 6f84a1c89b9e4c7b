/* recurrent.c: networks that carry a state from step to step, a whole sequence in one op. The op
 * keeps all that its gradient needs as parts of its result, so nothing is computed twice; the
 * gradient is one op as well, for the inputs' part of all steps, and what is left (weights, biases)
 * are products and sums over it. */
#include <string.h>

#include "ops/ops.h"
#include "ops/recurrent.h"

/* --- rules -------------------------------------------------------------------------------------
 */

/* Input `index`, called `name`, must have this shape. */
static soma_status want(soma__rule *rule, int index, const char *name, soma_shape shape)
{
    char got[SOMA_SHAPE_TEXT_SIZE], text[SOMA_SHAPE_TEXT_SIZE];
    if (soma_shape_equal(&rule->in_shape[index], &shape))
        return SOMA_OK;
    return soma__rule_fail(rule, SOMA_SHAPE, "%s is %s, but must be %s", name,
                           soma_shape_text(&rule->in_shape[index], got, sizeof(got)),
                           soma_shape_text(&shape, text, sizeof(text)));
}

/* Inputs [0, count) are floats of one dtype; the one after, if any, lengths. */
static soma_status check_dtypes(soma__rule *rule, int count, bool lengths)
{
    if (rule->nin != count + lengths)
        return soma__rule_fail(rule, SOMA_INVALID, "takes %d inputs, got %d", count + lengths,
                               rule->nin);
    for (int i = 0; i < count; i++) {
        SOMA__TRY(soma__rule_float(rule, i));
        if (rule->in_dtype[i] != rule->in_dtype[0])
            return soma__rule_fail(rule, SOMA_DTYPE, "input %d is %s, but x is %s", i + 1,
                                   soma_dtype_text(rule->in_dtype[i]),
                                   soma_dtype_text(rule->in_dtype[0]));
    }
    if (lengths && rule->in_dtype[count] != SOMA_I32 && rule->in_dtype[count] != SOMA_I64)
        return soma__rule_fail(rule, SOMA_DTYPE, "lengths are %s, but must be i32 or i64",
                               soma_dtype_text(rule->in_dtype[count]));
    return SOMA_OK;
}

/* The weights, the first states from input `first` on and the lengths; x or y is known to be
 * [B,T,`parts`·H]. */
static soma_status check_rest(soma__rule *rule, const soma__recurrent *r, int first)
{
    const soma__recurrent_attrs *attrs = rule->attrs;
    const int64_t batch = rule->in_shape[0].dim[0], units = r->units;
    SOMA__TRY(want(rule, 1, "w", SOMA_SHAPE(r->gates * units, units)));
    SOMA__TRY(want(rule, first, "h0", SOMA_SHAPE(batch, units)));
    if (r->kind == SOMA__LSTM)
        SOMA__TRY(want(rule, first + 1, "c0", SOMA_SHAPE(batch, units)));
    return attrs->lengths ? want(rule, rule->nin - 1, "lengths", SOMA_SHAPE(batch)) : SOMA_OK;
}

/* [B,T,parts·H] with a step at least; fills in the units. */
static soma_status check_steps(soma__rule *rule, const char *name, int64_t parts, int64_t *units)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    const soma_shape *x = &rule->in_shape[0];
    if (x->ndim != 3 || x->dim[1] < 1 || x->dim[2] < 1 || x->dim[2] % parts)
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "%s is %s, but must be [B,T,%lld·H] of a step or more", name,
                               soma_shape_text(x, text, sizeof(text)), (long long)parts);
    *units = x->dim[2] / parts;
    return SOMA_OK;
}

static soma__recurrent sizes_of(soma__rule *rule, soma__recurrent_kind kind)
{
    soma__recurrent_attrs *attrs = rule->attrs;
    attrs->variant = kind != SOMA__LSTM && attrs->variant;
    attrs->reverse = attrs->reverse != 0;
    attrs->lengths = attrs->lengths != 0;
    attrs->states = attrs->states != 0;
    soma__recurrent r = {.kind = kind == SOMA__GRU && attrs->variant ? SOMA__GRU_FIRST : kind};
    soma__recurrent_sizes(&r);
    return r;
}

static soma_status forward_rule(soma__rule *rule, soma__recurrent_kind kind)
{
    soma__recurrent r = sizes_of(rule, kind);
    soma__recurrent_attrs *attrs = rule->attrs;
    attrs->states = 0;
    SOMA__TRY(check_dtypes(rule, kind == SOMA__LSTM ? 5 : 4, attrs->lengths));
    SOMA__TRY(check_steps(rule, "x", r.gates, &r.units));
    SOMA__TRY(check_rest(rule, &r, 3));
    SOMA__TRY(want(rule, 2, "bias", SOMA_SHAPE(r.gates * r.units)));
    rule->shape.dim[2] = r.parts * r.units;
    return SOMA_OK;
}

static soma_status backward_rule(soma__rule *rule, soma__recurrent_kind kind)
{
    soma__recurrent r = sizes_of(rule, kind);
    const soma__recurrent_attrs *attrs = rule->attrs;
    const int dy = kind == SOMA__LSTM ? 4 : 3;
    SOMA__TRY(check_dtypes(rule, dy + 1, attrs->lengths));
    SOMA__TRY(check_steps(rule, "y", r.parts, &r.units));
    SOMA__TRY(check_rest(rule, &r, 2));
    SOMA__TRY(want(rule, dy, "dy", rule->in_shape[0]));
    rule->shape.dim[1] += attrs->states;
    rule->shape.dim[2] = r.grads * r.units;
    return SOMA_OK;
}

/* --- gradients ---------------------------------------------------------------------------------
 */

/* Parts [from, end) of x's last axis. */
static soma_var parts_of(soma_var x, int64_t units, int64_t from, int64_t end)
{
    return soma_slice(x, 2, from * units, end * units);
}

/* The state before each step: [B,T,H]. */
static soma_var states_before(const soma__grad *g, const soma__recurrent *r)
{
    const soma__recurrent_attrs *attrs = g->attrs;
    soma_var h = parts_of(g->out, r->units, 0, 1);
    soma_var first = soma_reshape(g->in[r->first], SOMA_SHAPE(r->batch, 1, r->units));
    if (r->steps == 1)
        return first;
    soma_var both[2] = {first, soma_slice(h, 1, 0, r->steps - 1)};
    if (attrs->reverse) {
        both[0] = soma_slice(h, 1, 1, r->steps);
        both[1] = first;
    }
    return soma_concat(both, 2, 1);
}

/* Σ over batch and steps of dᵀ h: [K,H] of d [B,T,K]. */
static soma_var weights_of(soma_var d, soma_var h, const soma__recurrent *r)
{
    const int64_t rows = r->batch * r->steps, columns = soma_var_shape(d).dim[2];
    return soma_matmul(soma_reshape(d, SOMA_SHAPE(rows, columns)),
                       soma_reshape(h, SOMA_SHAPE(rows, r->units)), .transpose_a = true);
}

/* `hidden`: the gradients of all products of the state, [B,T,G·H]. */
static soma_var grad_weights(const soma__grad *g, const soma__recurrent *r, soma_var hidden)
{
    soma_var h = states_before(g, r);
    if (r->kind != SOMA__GRU_FIRST)
        return weights_of(hidden, h, r);
    soma_var reset = soma_mul(h, parts_of(g->out, r->units, 1, 2));
    const soma_var both[2] = {weights_of(parts_of(hidden, r->units, 0, 2), h, r),
                              weights_of(parts_of(hidden, r->units, 2, 3), reset, r)};
    return soma_concat(both, 2, 0);
}

static void forward_gradient(soma__grad *g, soma__recurrent_kind kind, const soma__op *op)
{
    soma__recurrent_attrs attrs = *(const soma__recurrent_attrs *)g->attrs;
    soma__recurrent r = {.kind = kind == SOMA__GRU && attrs.variant ? SOMA__GRU_FIRST : kind};
    if (!soma_var_ok(g->dout))
        return;
    const soma_shape shape = soma_var_shape(g->out);
    soma__recurrent_sizes(&r);
    r.batch = shape.dim[0];
    r.steps = shape.dim[1];
    r.units = shape.dim[2] / r.parts;
    r.first = 3;

    soma_var in[6];
    int count = 0, firsts = kind == SOMA__LSTM ? 2 : 1;
    in[count++] = g->out;
    in[count++] = g->in[1];
    for (int i = 0; i < firsts; i++)
        in[count++] = g->in[3 + i];
    in[count++] = g->dout;
    if (attrs.lengths)
        in[count++] = g->in[g->nin - 1];
    attrs.states = g->need[3] || (firsts == 2 && g->need[4]);
    soma_var all = soma__graph_add(g->graph, op, in, count, &attrs);
    soma_var d = attrs.states ? soma_slice(all, 1, 0, r.steps) : all;

    soma_var hidden = r.grads > r.gates ? parts_of(d, r.units, 0, r.gates) : d;
    if (g->need[0]) {
        const soma_var own[2] = {parts_of(d, r.units, 0, 2), parts_of(d, r.units, 3, 4)};
        g->din[0] = r.grads > r.gates ? soma_concat(own, 2, 2) : d;
    }
    if (g->need[1])
        g->din[1] = grad_weights(g, &r, hidden);
    if (g->need[2])
        g->din[2] = soma_sum(hidden, .axes = {0, 1}, .count = 2);
    for (int i = 0; i < firsts; i++)
        if (g->need[3 + i])
            g->din[3 + i] =
                soma_reshape(parts_of(soma_slice(all, 1, r.steps, r.steps + 1), r.units, i, i + 1),
                             SOMA_SHAPE(r.batch, r.units));
}

static void backward_gradient(soma__grad *g)
{
    soma_graph_fail(g->graph, SOMA_UNSUPPORTED,
                    "%s has no gradient: rnn, lstm and gru can be differentiated once, not twice",
                    soma__node_of(g->out)->op->name);
}

/* --- descriptors -------------------------------------------------------------------------------
 */

/* Products of the state; the cells' functions beside them are counted as ten flops a gate. */
static double forward_flops(const soma__call *call)
{
    const double cells = (double)call->in[0].count;
    return cells * (2 * (double)call->in[1].shape.dim[1] + 10);
}
static double backward_flops(const soma__call *call)
{
    const soma_shape *w = &call->in[1].shape, *y = &call->in[0].shape;
    return (double)y->dim[0] * (double)y->dim[1] * (double)w->dim[0] * (2 * (double)w->dim[1] + 10);
}

#define ATTR(member_, doc_)                                                                        \
    {                                                                                              \
#member_, SOMA__ATTR_BOOL, offsetof(soma__recurrent_attrs, member_), 1, doc_               \
    }
static const soma__attr recurrent_attrs[] = {
    ATTR(variant, "rnn: relu for tanh; gru: the state is reset before its product"),
    ATTR(reverse, "from the last step to the first"),
    ATTR(lengths, "the last input tells how many steps count"),
    {0},
};
static const soma__attr recurrent_grad_attrs[] = {
    ATTR(variant, "as the forward op's"),
    ATTR(reverse, "as the forward op's"),
    ATTR(lengths, "the last input tells how many steps count"),
    ATTR(states, "one step more: the gradients of the first states"),
    {0},
};

#define RECURRENT(name_, kind_, firsts_, names_, doc_)                                             \
    static soma_status rule_##name_(soma__rule *rule)                                              \
    {                                                                                              \
        return forward_rule(rule, kind_);                                                          \
    }                                                                                              \
    static soma_status rule_##name_##_grad(soma__rule *rule)                                       \
    {                                                                                              \
        return backward_rule(rule, kind_);                                                         \
    }                                                                                              \
    static void grad_##name_(soma__grad *g)                                                        \
    {                                                                                              \
        forward_gradient(g, kind_, &soma__op_##name_##_grad);                                      \
    }                                                                                              \
    static void reference_##name_(const soma__call *call)                                          \
    {                                                                                              \
        soma__recurrent_forward(call, kind_);                                                      \
    }                                                                                              \
    static void reference_##name_##_grad(const soma__call *call)                                   \
    {                                                                                              \
        soma__recurrent_backward(call, kind_);                                                     \
    }                                                                                              \
    const soma__op soma__op_##name_ = {                                                            \
        .name = #name_,                                                                            \
        .family = "recurrent",                                                                     \
        .doc = doc_,                                                                               \
        .inputs = "x w bias " names_ " lengths",                                                   \
        .min_inputs = 3 + (firsts_),                                                               \
        .max_inputs = 4 + (firsts_),                                                               \
        .attr_size = sizeof(soma__recurrent_attrs),                                                \
        .attrs = recurrent_attrs,                                                                  \
        .rule = rule_##name_,                                                                      \
        .gradient = grad_##name_,                                                                  \
        .reference = reference_##name_,                                                            \
        .flops = forward_flops,                                                                    \
    };                                                                                             \
    const soma__op soma__op_##name_##_grad = {                                                     \
        .name = #name_ "_grad",                                                                    \
        .family = "recurrent",                                                                     \
        .doc = "gradient of " #name_ " with respect to x, from all that it computed",              \
        .inputs = "y w " names_ " dy lengths",                                                     \
        .min_inputs = 3 + (firsts_),                                                               \
        .max_inputs = 4 + (firsts_),                                                               \
        .attr_size = sizeof(soma__recurrent_attrs),                                                \
        .attrs = recurrent_grad_attrs,                                                             \
        .rule = rule_##name_##_grad,                                                               \
        .gradient = backward_gradient,                                                             \
        .reference = reference_##name_##_grad,                                                     \
        .reference_scratch = soma__recurrent_scratch,                                              \
        .flops = backward_flops,                                                                   \
    };

RECURRENT(rnn, SOMA__RNN, 1, "h0", "h' = tanh or relu of x + w h + bias, over all steps")
RECURRENT(lstm, SOMA__LSTM, 2, "h0 c0",
          "c' = f c + i g, h' = o tanh(c'), over all steps: [B,T,6H] of h c i f g o")
RECURRENT(gru, SOMA__GRU, 1, "h0",
          "h' = (1 - z) n + z h, over all steps: [B,T,5H] of h r z n w_n h")

/* --- builders ----------------------------------------------------------------------------------
 */

/* `given`, or zeros of x's dtype. */
static soma_var or_zeros(soma_var given, soma_var x, soma_shape shape)
{
    return given.graph ? given : soma_full(x.graph, soma_var_dtype(x), shape, 0);
}

static soma_var build(const soma__op *op, soma_var x, soma_var w, const soma_recurrent_options *o,
                      bool variant)
{
    const soma__recurrent_attrs attrs = {variant, o->reverse, o->lengths.graph != NULL, 0};
    if (!soma_var_ok(x) || !soma_var_ok(w))
        return soma__failed(soma_var_ok(x) ? w : x);
    const soma_shape xs = soma_var_shape(x), ws = soma_var_shape(w);
    /* Where these are not there the rule says so. */
    const int64_t batch = xs.ndim > 0 ? xs.dim[0] : 1, units = ws.ndim > 1 ? ws.dim[1] : 1;
    soma_var in[6];
    int count = 0;
    in[count++] = x;
    in[count++] = w;
    in[count++] = or_zeros(o->bias, x, SOMA_SHAPE(ws.ndim > 0 ? ws.dim[0] : 1));
    in[count++] = or_zeros(o->h0, x, SOMA_SHAPE(batch, units));
    if (op == &soma__op_lstm)
        in[count++] = or_zeros(o->c0, x, SOMA_SHAPE(batch, units));
    if (attrs.lengths)
        in[count++] = o->lengths;
    return soma__graph_add(x.graph, op, in, count, &attrs);
}

soma_var soma_rnn_opt(soma_var x, soma_var w, soma_recurrent_options o)
{
    return build(&soma__op_rnn, x, w, &o, o.relu);
}

soma_var soma_lstm_opt(soma_var x, soma_var w, soma_recurrent_options o)
{
    return build(&soma__op_lstm, x, w, &o, false);
}

soma_var soma_gru_opt(soma_var x, soma_var w, soma_recurrent_options o)
{
    return build(&soma__op_gru, x, w, &o, o.reset_first);
}

soma_var soma_sequence_mask(soma_var lengths, int64_t steps)
{
    if (!soma_var_ok(lengths))
        return soma__failed(lengths);
    const soma_shape shape = soma_var_shape(lengths);
    if (shape.ndim != 1 || steps < 0) {
        soma_graph_fail(lengths.graph, SOMA_SHAPE,
                        "sequence_mask: lengths must be [B] and the steps not below 0");
        return soma__failed(lengths);
    }
    soma_var index = soma_arange(lengths.graph, soma_var_dtype(lengths), 0, (double)steps, 1);
    return soma_less(index, soma_reshape(lengths, SOMA_SHAPE(shape.dim[0], 1)));
}
