/* recurrent.c: rnn, lstm and gru over sequences: stacked, in both directions, with lengths and
 * first states as further inputs. Weights have PyTorch's names, shapes and initial values. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include "nn/carry.h"

typedef soma_recurrent_layer_options options;

static const char *const output_names[] = {"sequence", "last", "state", NULL};

#define COMMON_FIELDS                                                                              \
    {.key = "units",                                                                               \
     .kind = SOMA__FIELD_INT,                                                                      \
     .offset = offsetof(options, units),                                                           \
     .min = 1,                                                                                     \
     .max = INFINITY,                                                                              \
     .required = true,                                                                             \
     .doc = "size of the state, H"},                                                               \
        {.key = "layers",                                                                          \
         .kind = SOMA__FIELD_INT,                                                                  \
         .offset = offsetof(options, layers),                                                      \
         .min = 1,                                                                                 \
         .max = 1000,                                                                              \
         .doc = "stacked, each on the states of the one below [1]"},                               \
        {.key = "bidirectional",                                                                   \
         .kind = SOMA__FIELD_BOOL,                                                                 \
         .offset = offsetof(options, bidirectional),                                               \
         .doc = "a second one from the end to the start; their states side by side"},              \
        {.key = "backwards",                                                                       \
         .kind = SOMA__FIELD_BOOL,                                                                 \
         .offset = offsetof(options, backwards),                                                   \
         .doc = "from the end to the start alone"},                                                \
        {.key = "output",                                                                          \
         .kind = SOMA__FIELD_ENUM,                                                                 \
         .offset = offsetof(options, output),                                                      \
         .choices = output_names,                                                                  \
         .doc =                                                                                    \
             "sequence: the states of all steps; last: after the last step; state: last of all "   \
             "layers and directions, for the state of another"},                                   \
        {.key = "dropout",                                                                         \
         .kind = SOMA__FIELD_FLOAT,                                                                \
         .offset = offsetof(options, dropout),                                                     \
         .min = 0,                                                                                 \
         .max = 0.999,                                                                             \
         .doc = "chance of a zero between layers [0]"},                                            \
        SOMA__FIELD_INIT(options, init, "initial weight_ih [uniform in ±1/√H]"),                   \
        SOMA__FIELD_INIT(options, recurrent_init, "initial weight_hh [uniform in ±1/√H]"),         \
        SOMA__FIELD_INIT(options, bias_init, "initial biases [uniform in ±1/√H]"),                 \
        {.key = "no_bias",                                                                         \
         .kind = SOMA__FIELD_BOOL,                                                                 \
         .offset = offsetof(options, no_bias),                                                     \
         .doc = "leave the biases out"},                                                           \
        {.key = "frozen",                                                                          \
         .kind = SOMA__FIELD_BOOL,                                                                 \
         .offset = offsetof(options, frozen),                                                      \
         .doc = "do not train the parameters"},                                                    \
        SOMA__FIELD_NAME(options)

static const soma__field rnn_fields[] = {
    COMMON_FIELDS,
    {.key = "relu",
     .kind = SOMA__FIELD_BOOL,
     .offset = offsetof(options, relu),
     .doc = "in the place of tanh"},
};
static const soma__field lstm_fields[] = {COMMON_FIELDS};
static const soma__field gru_fields[] = {
    COMMON_FIELDS,
    {.key = "reset_first",
     .kind = SOMA__FIELD_BOOL,
     .offset = offsetof(options, reset_first),
     .doc = "reset the state before its product (Cho et al. 2014), not after it as PyTorch does"},
};

/* One build: what all layers and directions share. */
typedef struct stack {
    soma__layer_build *b;
    const soma_layer *layer;
    const options *o;
    int64_t gates, batch, steps;
    int64_t kept; /* parts of the state: h, of lstm also c */
    int64_t layers, directions;
    soma_var lengths, state; /* graph NULL: none */
} stack;

/* "weight_ih_l0_reverse" of this shape. */
static soma_var param(const stack *s, const char *what, int64_t l, bool reverse, soma_shape shape,
                      const soma_init_options *how)
{
    char name[SOMA__LAYER_NAME_SIZE];
    const double bound = 1 / sqrt((double)s->o->units);
    const soma_init_options standard = {.kind = SOMA_INIT_UNIFORM, .low = -bound, .high = bound};
    snprintf(name, sizeof name, "%s_l%d%s", what, (int)l, reverse ? "_reverse" : "");
    return soma__layer_param(s->b, s->layer,
                             &(soma__param){.name = name,
                                            .shape = shape,
                                            .how = how->kind == SOMA_INIT_DEFAULT ? &standard : how,
                                            .fan_in = (double)shape.dim[shape.ndim - 1],
                                            .fan_out = (double)s->o->units,
                                            .frozen = s->o->frozen});
}

/* Part `part` (0: h, 1: c) of the first state of a layer and direction. */
static soma_var first_state(const stack *s, int64_t part, int64_t l, bool reverse)
{
    const int64_t units = s->o->units;
    const int64_t at = (part * s->layers + l) * s->directions + (s->directions == 2 && reverse);
    return s->state.graph ? soma_slice(s->state, 1, at * units, (at + 1) * units) : s->state;
}

/* All that one layer computes in one direction: [B,T,parts·H]. */
static soma_var run(const stack *s, soma_var x, int64_t l, bool reverse)
{
    const options *o = s->o;
    const int64_t rows = s->gates * o->units, inputs = soma_var_shape(x).dim[2];
    soma_var bias = {0};
    soma_recurrent_options r = {.lengths = s->lengths,
                                .reverse = reverse,
                                .relu = o->relu,
                                .reset_first = o->reset_first,
                                .h0 = first_state(s, 0, l, reverse)};
    soma_var w_ih = param(s, "weight_ih", l, reverse, SOMA_SHAPE(rows, inputs), &o->init);
    soma_var w_hh =
        param(s, "weight_hh", l, reverse, SOMA_SHAPE(rows, o->units), &o->recurrent_init);
    if (!o->no_bias) {
        bias = param(s, "bias_ih", l, reverse, SOMA_SHAPE(rows), &o->bias_init);
        r.bias = param(s, "bias_hh", l, reverse, SOMA_SHAPE(rows), &o->bias_init);
    }
    soma_var projected = soma_linear(x, w_ih, bias);
    if (s->gates == 4) {
        r.c0 = first_state(s, 1, l, reverse);
        return soma_lstm_opt(projected, w_hh, r);
    }
    return s->gates == 3 ? soma_gru_opt(projected, w_hh, r) : soma_rnn_opt(projected, w_hh, r);
}

/* Part `part` after the last step: [B,H]. */
static soma_var last_of(const stack *s, soma_var all, int64_t part, bool reverse)
{
    const int64_t units = s->o->units, t = reverse ? 0 : s->steps - 1;
    soma_var step = soma_slice(all, 1, t, t + 1);
    return soma_reshape(soma_slice(step, 2, part * units, (part + 1) * units),
                        SOMA_SHAPE(s->batch, units));
}

/* y with zeros where steps do not count. */
static soma_var masked(const stack *s, soma_var y)
{
    if (!s->lengths.graph)
        return y;
    soma_var mask = soma_cast(soma_sequence_mask(s->lengths, s->steps), soma_var_dtype(y));
    return soma_mul(y, soma_reshape(mask, SOMA_SHAPE(s->batch, s->steps, 1)));
}

/* The layers one on the other; what the layer gives. *state, unless NULL, is the last of all. */
static soma_var run_all(const stack *s, soma_var x, soma_var *state)
{
    const options *o = s->o;
    const int64_t states = s->kept * s->layers * s->directions;
    soma_var *last = soma__arena_array(&s->b->graph->arena, (size_t)states, sizeof *last);
    soma_var y = x, side[2] = {{0}}, end[2] = {{0}};
    if (!last)
        return soma__layer_fail(s->b, s->layer, SOMA_MEMORY, "out of memory for %lld states",
                                (long long)states);
    for (int64_t l = 0; l < s->layers; l++) {
        if (l > 0 && o->dropout > 0 && s->b->mode != SOMA_EVALUATE)
            y = soma_dropout(y, s->b->key, o->dropout, soma__layer_stream(s->b) + (uint32_t)l);
        for (int64_t d = 0; d < s->directions; d++) {
            const bool reverse = s->directions == 2 ? d == 1 : o->backwards;
            soma_var all = run(s, y, l, reverse);
            if (!soma_var_ok(all))
                return all;
            for (int64_t part = 0; part < s->kept; part++)
                last[(part * s->layers + l) * s->directions + d] = last_of(s, all, part, reverse);
            side[d] = soma_slice(all, 2, 0, o->units);
            end[d] = last[l * s->directions + d];
        }
        y = s->directions == 2 ? soma_concat(side, 2, 2) : side[0];
    }
    if (o->output == SOMA_RECURRENT_STATE || state) {
        soma_var all = states > 1 ? soma_concat(last, (int)states, 1) : last[0];
        if (!state)
            return all;
        *state = all;
    }
    if (o->output == SOMA_RECURRENT_LAST)
        return s->directions == 2 ? soma_concat(end, 2, 1) : end[0];
    return masked(s, y);
}

/* Steps that come one after another go on from the state after those before. */
static soma_var carry_on(stack *s, soma_var x)
{
    const options *o = s->o;
    const int64_t width = s->kept * s->layers * o->units;
    if (s->directions == 2 || o->backwards || s->lengths.graph)
        return soma__layer_fail(
            s->b, s->layer, SOMA_UNSUPPORTED, "%s: the model cannot go on step by step",
            s->lengths.graph ? "takes lengths of its steps" : "begins at the end of a sequence");
    if (o->output != SOMA_RECURRENT_SEQUENCE)
        return soma__layer_fail(s->b, s->layer, SOMA_UNSUPPORTED,
                                "gives the last step alone: the model cannot go on step by step");
    soma_var first = s->state;
    if (!first.graph)
        first = soma_full(s->b->graph, soma_var_dtype(x), SOMA_SHAPE(s->batch, width), 0);
    s->state = soma__carry_state(s->b, s->layer, "state", first);
    s->lengths = soma_expand(s->b->carry->count, SOMA_SHAPE(s->batch));
    soma_var last = {0}, y = run_all(s, x, &last);
    soma__carry_next(s->b, s->state, last);
    return y;
}

/* Takes the further inputs by their dimensions: lengths [B], a state [B,kept·layers·directions·H].
 */
static bool take_inputs(stack *s, const soma_var *x, int count)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    const int64_t width = s->kept * s->layers * s->directions * s->o->units;
    for (int i = 1; i < count; i++) {
        const soma_shape shape = soma_var_shape(x[i]);
        if (shape.ndim == 1 && shape.dim[0] == s->batch && !s->lengths.graph) {
            s->lengths = soma_cast(x[i], SOMA_I64);
        } else if (shape.ndim == 2 && shape.dim[1] == width && !s->state.graph) {
            s->state = x[i];
        } else {
            soma__layer_fail(s->b, s->layer, SOMA_SHAPE,
                             "input %d is %s, but further inputs are lengths [%lld] and a state "
                             "[%lld,%lld]",
                             i + 1, soma_shape_text(&shape, text, sizeof text), (long long)s->batch,
                             (long long)s->batch, (long long)width);
            return false;
        }
    }
    return true;
}

static soma_var build(soma__layer_build *b, const soma_layer *layer, const soma_var *x, int count,
                      int64_t gates)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    const options *o = (const options *)layer->options;
    const soma_shape shape = soma_var_shape(x[0]);
    stack s = {.b = b,
               .layer = layer,
               .o = o,
               .gates = gates,
               .kept = gates == 4 ? 2 : 1,
               .layers = o->layers ? o->layers : 1,
               .directions = o->bidirectional ? 2 : 1};
    if (shape.ndim != 3 || shape.dim[1] < 1)
        return soma__layer_fail(b, layer, SOMA_SHAPE,
                                "needs sequences [B,T,I] of a step or more, got %s",
                                soma_shape_text(&shape, text, sizeof text));
    if (o->bidirectional && o->backwards)
        return soma__layer_fail(b, layer, SOMA_INVALID,
                                "has both bidirectional and backwards; leave one out");
    if (o->dropout > 0 && b->mode != SOMA_EVALUATE && s.layers > 1 && !b->key.graph)
        return soma__layer_fail(b, layer, SOMA_INVALID,
                                "training needs a key {seed, step}; give one to soma_model_apply");
    s.batch = shape.dim[0];
    s.steps = shape.dim[1];
    if (!take_inputs(&s, x, count))
        return (soma_var){b->graph, -1};
    return soma__carry_moves(b, x[0]) ? carry_on(&s, x[0]) : run_all(&s, x[0], NULL);
}

#define RECURRENT(name_, gates_, parameters_, doc_)                                                \
    static soma_var merge_##name_(soma__layer_build *b, const soma_layer *layer,                   \
                                  const soma_var *x, int count)                                    \
    {                                                                                              \
        return build(b, layer, x, count, gates_);                                                  \
    }                                                                                              \
    static soma_var build_##name_(soma__layer_build *b, const soma_layer *layer, soma_var x)       \
    {                                                                                              \
        return build(b, layer, &x, 1, gates_);                                                     \
    }                                                                                              \
    const soma__layer_type soma__layer_##name_ = {                                                 \
        .name = #name_,                                                                            \
        .prefix = #name_,                                                                          \
        .doc = doc_,                                                                               \
        .shapes = "[B,T,I] (and lengths [B], state) -> [B,T,units]; last: [B,units]",              \
        .parameters = parameters_,                                                                 \
        .size = sizeof(options),                                                                   \
        .fields = name_##_fields,                                                                  \
        .field_count = SOMA__FIELD_COUNT(name_##_fields),                                          \
        .primary = "units",                                                                        \
        .steps = true,                                                                             \
        .build = build_##name_,                                                                    \
        .merge = merge_##name_,                                                                    \
    };                                                                                             \
    soma_layer *soma_layer_##name_##_opt(soma_recurrent_layer_options o)                           \
    {                                                                                              \
        return soma__layer_new(&soma__layer_##name_, &o, NULL, 0);                                 \
    }

RECURRENT(rnn, 1, "weight_ih_l0 [H,I], weight_hh_l0 [H,H], bias_ih_l0 [H], bias_hh_l0 [H], …",
          "a state carried from step to step: tanh(W x + U h) (Elman 1990)")
RECURRENT(lstm, 4, "weight_ih_l0 [4H,I], weight_hh_l0 [4H,H], bias_ih_l0 [4H], bias_hh_l0 [4H], …",
          "long short-term memory (Hochreiter & Schmidhuber 1997)")
RECURRENT(gru, 3, "weight_ih_l0 [3H,I], weight_hh_l0 [3H,H], bias_ih_l0 [3H], bias_hh_l0 [3H], …",
          "gated recurrent unit (Cho et al. 2014)")
