/* attention.c: multi-head attention, positions, and the product with an embedding's weights. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "nn/carry.h"
#include "nn/nn.h"

/* --- multi_head_attention -----------------------------------------------------------------------
 */

typedef soma_attention_layer_options options;

static const soma__field fields[] = {
    {.key = "heads",
     .kind = SOMA__FIELD_INT,
     .offset = offsetof(options, heads),
     .min = 1,
     .max = INFINITY,
     .required = true,
     .doc = "of the queries"},
    {.key = "key_heads",
     .kind = SOMA__FIELD_INT,
     .offset = offsetof(options, key_heads),
     .min = 1,
     .max = INFINITY,
     .doc = "of keys and values; divides heads, whose neighbours share one [heads]"},
    {.key = "causal",
     .kind = SOMA__FIELD_BOOL,
     .offset = offsetof(options, causal),
     .doc = "no step sees a later one"},
    {.key = "rotary",
     .kind = SOMA__FIELD_BOOL,
     .offset = offsetof(options, rotary),
     .doc = "turn queries and keys by their steps (Su et al. 2021)"},
    {.key = "alibi",
     .kind = SOMA__FIELD_BOOL,
     .offset = offsetof(options, alibi),
     .doc = "take slope · distance off the scores (Press et al. 2022)"},
    {.key = "dropout",
     .kind = SOMA__FIELD_FLOAT,
     .offset = offsetof(options, dropout),
     .min = 0,
     .max = 0.999,
     .doc = "chance that a weight counts as zero in training [0]"},
    SOMA__FIELD_INIT(options, init, "initial weights [xavier_uniform]"),
    {.key = "no_bias",
     .kind = SOMA__FIELD_BOOL,
     .offset = offsetof(options, no_bias),
     .doc = "leave the biases out"},
    {.key = "frozen",
     .kind = SOMA__FIELD_BOOL,
     .offset = offsetof(options, frozen),
     .doc = "do not train the parameters"},
    SOMA__FIELD_NAME(options),
};

/* One build. */
typedef struct heads {
    soma__layer_build *b;
    const soma_layer *layer;
    const options *o;
    int64_t batch, width, count, key_count, depth;
    soma_var memory, lengths; /* graph NULL: none */
} heads;

static soma_var matrix(const heads *h, const char *name, int64_t rows, int64_t inputs)
{
    return soma__layer_param(h->b, h->layer,
                             &(soma__param){.name = name,
                                            .shape = SOMA_SHAPE(rows, inputs),
                                            .init = SOMA_INIT_XAVIER_UNIFORM,
                                            .how = &h->o->init,
                                            .fan_in = (double)inputs,
                                            .fan_out = (double)rows,
                                            .frozen = h->o->frozen});
}

static soma_var vector(const heads *h, const char *name, int64_t size)
{
    if (h->o->no_bias)
        return (soma_var){0};
    return soma__layer_param(h->b, h->layer,
                             &(soma__param){.name = name,
                                            .shape = SOMA_SHAPE(size),
                                            .init = SOMA_INIT_ZEROS,
                                            .frozen = h->o->frozen});
}

/* Rows [from, end) of a bias that may be none. */
static soma_var rows_of(soma_var x, int64_t from, int64_t end)
{
    return x.graph ? soma_slice(x, 0, from, end) : x;
}

/* Cells [from, end) of x's last axis as heads: [B,T,heads,D]. */
static soma_var as_heads(const heads *h, soma_var x, int64_t from, int64_t end)
{
    const int64_t steps = soma_var_shape(x).dim[1];
    if (end - from < soma_var_shape(x).dim[2])
        x = soma_slice(x, 2, from, end);
    return soma_reshape(x, SOMA_SHAPE(h->batch, steps, (end - from) / h->depth, h->depth));
}

/* Queries, keys and values. One product makes all three of one input; of two it takes its rows of
 * the same matrix, unless the other input has another width. */
static void project(const heads *h, soma_var x, soma_var out[3])
{
    const int64_t q = h->count * h->depth, kv = h->key_count * h->depth;
    const int64_t other = h->memory.graph ? soma_var_shape(h->memory).dim[2] : h->width;
    if (other != h->width) {
        soma_var w[3] = {matrix(h, "q_proj_weight", q, h->width),
                         matrix(h, "k_proj_weight", kv, other),
                         matrix(h, "v_proj_weight", kv, other)};
        soma_var bias = vector(h, "in_proj_bias", q + 2 * kv);
        out[0] = as_heads(h, soma_linear(x, w[0], rows_of(bias, 0, q)), 0, q);
        out[1] = as_heads(h, soma_linear(h->memory, w[1], rows_of(bias, q, q + kv)), 0, kv);
        out[2] =
            as_heads(h, soma_linear(h->memory, w[2], rows_of(bias, q + kv, q + 2 * kv)), 0, kv);
        return;
    }
    soma_var w = matrix(h, "in_proj_weight", q + 2 * kv, h->width);
    soma_var bias = vector(h, "in_proj_bias", q + 2 * kv);
    soma_var all, from = h->memory;
    if (from.graph) {
        out[0] = as_heads(h, soma_linear(x, soma_slice(w, 0, 0, q), rows_of(bias, 0, q)), 0, q);
        all = soma_linear(from, soma_slice(w, 0, q, q + 2 * kv), rows_of(bias, q, q + 2 * kv));
    } else {
        all = soma_linear(x, w, bias);
        if (!soma_var_ok(all))
            return;
        out[0] = as_heads(h, all, 0, q);
    }
    if (!soma_var_ok(all))
        return;
    const int64_t at = from.graph ? 0 : q;
    out[1] = as_heads(h, all, at, at + kv);
    out[2] = as_heads(h, all, at + kv, at + 2 * kv);
}

/* Slopes of ALiBi: 2^(-8 i/n) for head i of n, a power of two; for other numbers of heads those of
 * the next smaller power, then every second one of twice as many. */
static soma_var slopes(const heads *h)
{
    soma_tensor *table;
    int64_t power = 1;
    while (2 * power <= h->count)
        power *= 2;
    if (soma_tensor_create(&table, SOMA_F32, SOMA_SHAPE(h->count), &h->b->graph->error))
        return (soma_var){h->b->graph, -1};
    for (int64_t i = 0; i < h->count; i++)
        soma_tensor_set(table, i,
                        i < power ? pow(2, -8 * (double)(i + 1) / (double)power)
                                  : pow(2, -4 * (double)(2 * (i - power) + 1) / (double)power));
    soma_var y = soma_constant(h->b->graph, table);
    soma_tensor_release(table);
    return y;
}

/* --- step by step -------------------------------------------------------------------------------
 */

/* soma_rotary of steps that begin at a position which only the run knows: its angles, computed once
 * for all positions, are looked up. */
static soma_var turn(const heads *h, soma_var x)
{
    const soma_shape shape = soma_var_shape(x);
    const int64_t steps = shape.dim[1], half = shape.dim[3] / 2, room = h->b->carry->room;
    soma_tensor *table[2] = {NULL, NULL};
    soma_var wave[2], y = {h->b->graph, -1};
    for (int part = 0; part < 2; part++)
        if (soma_tensor_create(&table[part], SOMA_F32, SOMA_SHAPE(room, half),
                               &h->b->graph->error)) {
            soma_tensor_release(table[0]);
            return y;
        }
    for (int64_t t = 0; t < room; t++)
        for (int64_t i = 0; i < half; i++) {
            const double angle = (double)t * pow(10000, -2 * (double)i / (double)shape.dim[3]);
            soma_tensor_set(table[0], t * half + i, cos(angle));
            soma_tensor_set(table[1], t * half + i, sin(angle));
        }
    for (int part = 0; part < 2; part++) {
        wave[part] = soma_gather(soma_constant(h->b->graph, table[part]),
                                 soma__carry_numbers(h->b, steps), 0);
        wave[part] = soma_reshape(wave[part], SOMA_SHAPE(1, steps, 1, half));
        soma_tensor_release(table[part]);
    }
    soma_var a = soma_slice(x, 3, 0, half), b = soma_slice(x, 3, half, 2 * half);
    soma_var turned[2] = {soma_sub(soma_mul(a, wave[0]), soma_mul(b, wave[1])),
                          soma_add(soma_mul(b, wave[0]), soma_mul(a, wave[1]))};
    return soma_concat(turned, 2, 3);
}

/* What the steps at hand see of the keys so far: themselves and those before. */
static void hide_later(const heads *h, soma_attention_options *how, int64_t steps)
{
    soma_graph *graph = h->b->graph;
    const int64_t room = h->b->carry->room;
    soma_var end = soma_add(h->b->carry->position, soma_scalar(graph, SOMA_I64, (double)steps));
    how->causal = false;
    how->lengths = soma_expand(end, SOMA_SHAPE(h->batch));
    if (steps == 1 && !h->o->alibi)
        return;
    soma_var key =
        soma_reshape(soma_arange(graph, SOMA_I64, 0, (double)room, 1), SOMA_SHAPE(1, 1, 1, room));
    soma_var query = soma_reshape(soma__carry_numbers(h->b, steps), SOMA_SHAPE(1, 1, steps, 1));
    soma_var later = soma_less(query, key);
    if (!h->o->alibi) {
        how->mask = soma_logical_not(later);
        return;
    }
    soma_var distance = soma_cast(soma_sub(query, key), SOMA_F32);
    soma_var slope = soma_reshape(slopes(h), SOMA_SHAPE(1, h->count, 1, 1));
    soma_var scores = soma_neg(soma_mul(slope, distance));
    how->mask = soma_where(later, soma_scalar(graph, SOMA_F32, -INFINITY), scores);
}

/* Steps that come one after another attend to all before them, whose keys and values are kept. */
static bool carry_on(const heads *h, soma_var part[3], soma_attention_options *how)
{
    const int64_t steps = soma_var_shape(part[0]).dim[1];
    if (!h->o->causal || h->lengths.graph) {
        soma__layer_fail(h->b, h->layer, SOMA_UNSUPPORTED,
                         "%s: the model cannot go on step by step",
                         h->o->causal ? "takes lengths of its steps"
                                      : "is not causal, its steps see later ones");
        return false;
    }
    if (h->o->rotary) {
        part[0] = turn(h, part[0]);
        part[1] = turn(h, part[1]);
    }
    part[1] = soma__carry_append(h->b, h->layer, "keys", part[1]);
    part[2] = soma__carry_append(h->b, h->layer, "values", part[2]);
    hide_later(h, how, steps);
    return true;
}

/* --- the layer ----------------------------------------------------------------------------------
 */

static soma_var attend(heads *h, soma_var x)
{
    const options *o = h->o;
    const bool moves = soma__carry_moves(h->b, x);
    soma_var part[3] = {{0}, {0}, {0}};
    project(h, x, part);
    for (int i = 0; i < 3; i++)
        if (!part[i].graph || !soma_var_ok(part[i]))
            return (soma_var){h->b->graph, -1};
    soma_attention_options how = {.causal = o->causal, .lengths = h->lengths};
    if (moves && !h->memory.graph) {
        if (!carry_on(h, part, &how))
            return (soma_var){h->b->graph, -1};
    } else if (o->rotary) {
        part[0] = soma_rotary(part[0], 0);
        part[1] = soma_rotary(part[1], 0);
    }
    if (moves && h->memory.graph) {
        if (o->causal || o->rotary || o->alibi || soma__carry_moves(h->b, h->memory))
            return soma__layer_fail(h->b, h->layer, SOMA_UNSUPPORTED,
                                    "attends to a memory with positions of its own, or one that "
                                    "is still to come: the model cannot go on step by step");
        part[1] = soma__carry_kept(h->b, h->layer, "memory_keys", part[1]);
        part[2] = soma__carry_kept(h->b, h->layer, "memory_values", part[2]);
        how.lengths = soma__carry_kept(h->b, h->layer, "memory_lengths", h->lengths);
    }
    if (o->alibi && !moves)
        how.slopes = slopes(h);
    if (o->dropout > 0 && h->b->mode != SOMA_EVALUATE) {
        how.key = h->b->key;
        how.dropout = o->dropout;
        how.stream = soma__layer_stream(h->b);
    }
    soma_var y = soma_attention_opt(part[0], part[1], part[2], how);
    if (!soma_var_ok(y))
        return y;
    const int64_t inner = h->count * h->depth;
    y = soma_reshape(y, SOMA_SHAPE(h->batch, soma_var_shape(y).dim[1], inner));
    soma_var w = matrix(h, "out_proj.weight", h->width, inner);
    return soma_linear(y, w, vector(h, "out_proj.bias", h->width));
}

/* Takes the further inputs by their dimensions: a memory [B,S,M], lengths [B]. */
static bool take_inputs(heads *h, const soma_var *x, int count)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    for (int i = 1; i < count; i++) {
        const soma_shape shape = soma_var_shape(x[i]);
        const bool fits = shape.ndim > 0 && shape.dim[0] == h->batch;
        if (fits && shape.ndim == 1 && !h->lengths.graph) {
            h->lengths = soma_cast(x[i], SOMA_I64);
        } else if (fits && shape.ndim == 3 && !h->memory.graph) {
            h->memory = x[i];
        } else {
            soma__layer_fail(h->b, h->layer, SOMA_SHAPE,
                             "input %d is %s, but further inputs are a memory [%lld,S,M] and "
                             "lengths [%lld] of what is attended to",
                             i + 1, soma_shape_text(&shape, text, sizeof text), (long long)h->batch,
                             (long long)h->batch);
            return false;
        }
    }
    return true;
}

static soma_var merge(soma__layer_build *b, const soma_layer *layer, const soma_var *x, int count)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    const options *o = (const options *)layer->options;
    const soma_shape shape = soma_var_shape(x[0]);
    heads h = {.b = b,
               .layer = layer,
               .o = o,
               .count = o->heads,
               .key_count = o->key_heads ? o->key_heads : o->heads};
    if (shape.ndim != 3)
        return soma__layer_fail(b, layer, SOMA_SHAPE, "needs sequences [B,T,C], got %s",
                                soma_shape_text(&shape, text, sizeof text));
    h.batch = shape.dim[0];
    h.width = shape.dim[2];
    if (h.width % o->heads || o->heads % h.key_count)
        return soma__layer_fail(b, layer, SOMA_SHAPE,
                                "%lld heads must divide the input's width %lld, and %lld key heads "
                                "the heads",
                                (long long)o->heads, (long long)h.width, (long long)h.key_count);
    h.depth = h.width / o->heads;
    if (o->rotary && h.depth % 2)
        return soma__layer_fail(b, layer, SOMA_SHAPE,
                                "rotary needs heads of an even size, not %lld", (long long)h.depth);
    if (o->dropout > 0 && b->mode != SOMA_EVALUATE && !b->key.graph)
        return soma__layer_fail(b, layer, SOMA_INVALID,
                                "training needs a key {seed, step}; give one to soma_model_apply");
    return take_inputs(&h, x, count) ? attend(&h, x[0]) : (soma_var){b->graph, -1};
}

static soma_var build(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    return merge(b, layer, &x, 1);
}

const soma__layer_type soma__layer_multi_head_attention = {
    .name = "multi_head_attention",
    .prefix = "attention",
    .doc = "each step sees the others, or a memory, by several heads (Vaswani et al. 2017)",
    .shapes = "[B,T,C] (and memory [B,S,M], lengths [B]) -> [B,T,C]",
    .parameters = "in_proj_weight [3C,C], in_proj_bias [3C], out_proj.weight [C,C], out_proj.bias "
                  "[C]; of a memory of another width q_proj_weight, k_proj_weight, v_proj_weight",
    .size = sizeof(options),
    .fields = fields,
    .field_count = SOMA__FIELD_COUNT(fields),
    .primary = "heads",
    .steps = true,
    .build = build,
    .merge = merge,
};

soma_layer *soma_layer_multi_head_attention_opt(soma_attention_layer_options o)
{
    return soma__layer_new(&soma__layer_multi_head_attention, &o, NULL, 0);
}

/* --- positions ----------------------------------------------------------------------------------
 */

typedef struct position_options {
    int64_t learned;
    bool frozen;
    const char *name;
} position_options;

static const soma__field position_fields[] = {
    {.key = "learned",
     .kind = SOMA__FIELD_INT,
     .offset = offsetof(position_options, learned),
     .min = 1,
     .max = INFINITY,
     .doc = "a learned vector for each of so many steps [none: sines and cosines]"},
    {.key = "frozen",
     .kind = SOMA__FIELD_BOOL,
     .offset = offsetof(position_options, frozen),
     .doc = "do not train the parameters"},
    SOMA__FIELD_NAME(position_options),
};

static soma_var build_positions(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const position_options *o = (const position_options *)layer->options;
    char text[SOMA_SHAPE_TEXT_SIZE];
    const soma_shape shape = soma_var_shape(x);
    if (shape.ndim != 3)
        return soma__layer_fail(b, layer, SOMA_SHAPE, "needs sequences [B,T,C], got %s",
                                soma_shape_text(&shape, text, sizeof text));
    const bool moves = soma__carry_moves(b, x);
    const int64_t steps = moves ? b->carry->room : shape.dim[1];
    if (!o->learned) {
        soma_var waves = soma_sinusoidal(b->graph, soma_var_dtype(x), steps, shape.dim[2]);
        return soma_add(x, moves ? soma_gather(waves, soma__carry_numbers(b, shape.dim[1]), 0)
                                 : waves);
    }
    if (steps > o->learned)
        return soma__layer_fail(b, layer, SOMA_SHAPE,
                                "knows %lld positions, but the sequence has %lld steps",
                                (long long)o->learned, (long long)steps);
    const soma_init_options small = {.kind = SOMA_INIT_NORMAL, .deviation = 0.02};
    soma_var weight =
        soma__layer_param(b, layer,
                          &(soma__param){.name = "weight",
                                         .shape = SOMA_SHAPE(o->learned, shape.dim[2]),
                                         .how = &small,
                                         .frozen = o->frozen});
    return soma_add(x, moves ? soma_gather(weight, soma__carry_numbers(b, shape.dim[1]), 0)
                             : soma_slice(weight, 0, 0, steps));
}

const soma__layer_type soma__layer_positions = {
    .name = "positions",
    .prefix = "positions",
    .doc = "adds a vector of its own to each step: learned, or sines and cosines",
    .shapes = "[B,T,C] -> [B,T,C]",
    .parameters = "weight [learned,C]",
    .size = sizeof(position_options),
    .fields = position_fields,
    .field_count = SOMA__FIELD_COUNT(position_fields),
    .primary = "learned",
    .steps = true,
    .build = build_positions,
};

soma_layer *soma_layer_positions(int64_t learned)
{
    return soma__layer_new(&soma__layer_positions, &(position_options){.learned = learned}, NULL,
                           0);
}

/* --- tied ---------------------------------------------------------------------------------------
 */

typedef struct tied_options {
    const char *to;
    const char *name;
} tied_options;

static const soma__field tied_fields[] = {
    {.key = "to",
     .kind = SOMA__FIELD_STRING,
     .offset = offsetof(tied_options, to),
     .required = true,
     .doc = "the layer before this one whose weight it uses, as soma summary calls it"},
    SOMA__FIELD_NAME(tied_options),
};

/* The variable of a parameter that another layer of the model asked for; graph NULL: there is none.
 * Where parameters are only counted a placeholder stands for it. */
static soma_var find_weight(soma__layer_build *b, const char *full)
{
    char name[SOMA__LAYER_PATH_SIZE + 48];
    const int index = b->measuring ? -1 : soma__model_index(b->model, full, -1);
    if (index >= 0)
        return soma_model_variable(b->model, b->graph, index);
    snprintf(name, sizeof name, "%s#0", full);
    for (size_t i = 0; b->measuring && i < b->graph->count; i++)
        if (b->graph->nodes[i]->input && strcmp(b->graph->nodes[i]->input, name) == 0)
            return (soma_var){b->graph, (int32_t)i};
    return (soma_var){0};
}

static soma_var build_tied(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const tied_options *o = (const tied_options *)layer->options;
    char full[SOMA__LAYER_PATH_SIZE + 32];
    const soma_shape shape = soma_var_shape(x);
    snprintf(full, sizeof full, "%.*s.weight", SOMA__LAYER_PATH_SIZE, o->to ? o->to : "");
    soma_var weight = find_weight(b, full);
    if (!weight.graph)
        return soma__layer_fail(b, layer, SOMA_NOT_FOUND,
                                "there is no layer '%s' with a weight before it", o->to);
    const soma_shape w = soma_var_shape(weight);
    if (shape.ndim < 2 || w.ndim != 2 || w.dim[1] != shape.dim[shape.ndim - 1])
        return soma__layer_fail(b, layer, SOMA_SHAPE,
                                "the weight of '%s' must be a matrix as wide as the input", o->to);
    return soma_linear(x, weight, (soma_var){0});
}

const soma__layer_type soma__layer_tied = {
    .name = "tied",
    .prefix = "tied",
    .doc =
        "x · weightᵀ with the weight of another layer: of an embedding, scores of all categories",
    .shapes = "[B…,units] -> [B…,count]",
    .parameters = "",
    .size = sizeof(tied_options),
    .fields = tied_fields,
    .field_count = SOMA__FIELD_COUNT(tied_fields),
    .primary = "to",
    .steps = true,
    .build = build_tied,
};

soma_layer *soma_layer_tied(const char *to)
{
    return soma__layer_new(&soma__layer_tied, &(tied_options){.to = to}, NULL, 0);
}
