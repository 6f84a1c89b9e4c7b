/* transformer.c: blocks of Transformers, encoder and decoder, made of the layers of this folder.
 * The names of their parts are PyTorch's. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "nn/layer.h"

typedef soma_transformer_options options;

static const char *const norm_names[] = {"layer_norm", "rms_norm", NULL};
static const char *const feed_names[] = {"relu",   "gelu",  "gelu_tanh", "silu",
                                         "swiglu", "geglu", NULL};

#define FLAG(member_, doc_)                                                                        \
    {                                                                                              \
        .key = #member_, .kind = SOMA__FIELD_BOOL, .offset = offsetof(options, member_),           \
        .doc = doc_                                                                                \
    }
static const soma__field fields[] = {
    {.key = "heads",
     .kind = SOMA__FIELD_INT,
     .offset = offsetof(options, heads),
     .min = 1,
     .max = INFINITY,
     .required = true,
     .doc = "of the attention"},
    {.key = "key_heads",
     .kind = SOMA__FIELD_INT,
     .offset = offsetof(options, key_heads),
     .min = 1,
     .max = INFINITY,
     .doc = "of keys and values [heads]"},
    {.key = "units",
     .kind = SOMA__FIELD_INT,
     .offset = offsetof(options, units),
     .min = 1,
     .max = INFINITY,
     .doc = "between the two dense layers [4C]"},
    {.key = "activation",
     .kind = SOMA__FIELD_ENUM,
     .offset = offsetof(options, activation),
     .choices = feed_names,
     .doc = "between them; swiglu and geglu make the first one twice as wide [relu]"},
    {.key = "norm",
     .kind = SOMA__FIELD_ENUM,
     .offset = offsetof(options, norm),
     .choices = norm_names,
     .doc = "[layer_norm]"},
    FLAG(norm_first, "norms before each part, not after its sum"),
    FLAG(causal, "no step sees a later one; of a decoder always"),
    FLAG(rotary, "positions by turning queries and keys"),
    FLAG(alibi, "positions by slopes"),
    {.key = "dropout",
     .kind = SOMA__FIELD_FLOAT,
     .offset = offsetof(options, dropout),
     .min = 0,
     .max = 0.999,
     .doc = "of weights of the attention, between the dense layers and after each part [0]"},
    SOMA__FIELD_INIT(options, init, "initial weights [xavier_uniform]"),
    FLAG(no_bias, "leave the biases of attention and dense layers out"),
    FLAG(frozen, "do not train the parameters"),
    SOMA__FIELD_NAME(options),
};

/* Applies a layer, which it takes, under a name of its own. */
static soma_var apply(soma__layer_build *b, soma_layer *layer, const char *name, const soma_var *x,
                      int count)
{
    soma_var y = soma__layer_apply_many(b, layer, name, x, count);
    soma_layer_destroy(layer);
    return y;
}

static soma_var normalise(soma__layer_build *b, const options *o, const char *name, soma_var x)
{
    soma_layer *norm = o->norm == SOMA_TRANSFORMER_RMS_NORM
                           ? soma_layer_rms_norm(.frozen = o->frozen)
                           : soma_layer_layer_norm(.frozen = o->frozen);
    return apply(b, norm, name, &x, 1);
}

static soma_var drop(soma__layer_build *b, const options *o, const char *name, soma_var x)
{
    return o->dropout > 0 ? apply(b, soma_layer_dropout(o->dropout), name, &x, 1) : x;
}

/* Attention of x to itself, or to the memory that comes second. */
static soma_var attend(soma__layer_build *b, const options *o, const char *name, const soma_var *x,
                       int count, bool causal, bool places)
{
    soma_layer *attention = soma_layer_multi_head_attention(
        o->heads, .key_heads = o->key_heads, .causal = causal, .rotary = places && o->rotary,
        .alibi = places && o->alibi, .dropout = o->dropout, .init = o->init, .no_bias = o->no_bias,
        .frozen = o->frozen);
    return apply(b, attention, name, x, count);
}

static soma_var feed(soma__layer_build *b, const options *o, soma_var x)
{
    static const soma_activation functions[] = {SOMA_RELU, SOMA_GELU, SOMA_GELU_TANH, SOMA_SILU};
    const bool gated = o->activation >= SOMA_FEED_SWIGLU;
    const int64_t width = soma_var_shape(x).dim[2], units = o->units ? o->units : 4 * width;
    const soma_init_options standard = {.kind = SOMA_INIT_XAVIER_UNIFORM};
    const soma_init_options init = o->init.kind == SOMA_INIT_DEFAULT ? standard : o->init;
    soma_var y =
        apply(b,
              soma_layer_dense(gated ? 2 * units : units, .init = init,
                               .activation = gated ? SOMA_LINEAR : functions[o->activation],
                               .no_bias = o->no_bias, .frozen = o->frozen),
              "linear1", &x, 1);
    if (gated)
        y = o->activation == SOMA_FEED_SWIGLU ? soma_swiglu(y, -1) : soma_geglu(y, -1);
    y = drop(b, o, "dropout", y);
    return apply(b,
                 soma_layer_dense(width, .init = init, .no_bias = o->no_bias, .frozen = o->frozen),
                 "linear2", &y, 1);
}

/* The parts of a block in order; a decoder's second one attends to the memory. */
typedef enum part { SELF, MEMORY, FEED } part;

static soma_var run_part(soma__layer_build *b, const options *o, part which, const soma_var *x,
                         int count)
{
    switch (which) {
    case SELF:
        return attend(b, o, "self_attn", x, count, o->causal, true);
    case MEMORY:
        return attend(b, o, "multihead_attn", x, count, false, false);
    case FEED:
        break;
    }
    return feed(b, o, x[0]);
}

/* x + part(norm(x)), or norm(x + part(x)). `more`: further inputs of the part. */
static soma_var residual(soma__layer_build *b, const options *o, part which, int number, soma_var x,
                         const soma_var *more, int count)
{
    static const char *const norms[] = {"norm1", "norm2", "norm3"};
    static const char *const drops[] = {"dropout1", "dropout2", "dropout3"};
    soma_var in[3] = {o->norm_first ? normalise(b, o, norms[number], x) : x};
    for (int i = 0; i < count; i++)
        in[1 + i] = more[i];
    soma_var y = drop(b, o, drops[number], run_part(b, o, which, in, 1 + count));
    if (!soma_var_ok(y))
        return y;
    y = soma_add(x, y);
    return o->norm_first ? y : normalise(b, o, norms[number], y);
}

static bool is_sequence(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    const soma_shape shape = soma_var_shape(x);
    if (shape.ndim != 3)
        soma__layer_fail(b, layer, SOMA_SHAPE, "needs sequences [B,T,C], got %s",
                         soma_shape_text(&shape, text, sizeof text));
    return shape.ndim == 3;
}

static soma_var merge_encoder(soma__layer_build *b, const soma_layer *layer, const soma_var *x,
                              int count)
{
    const options *o = (const options *)layer->options;
    if (!is_sequence(b, layer, x[0]))
        return (soma_var){b->graph, -1};
    if (count > 2 || (count == 2 && soma_var_shape(x[1]).ndim != 1))
        return soma__layer_fail(b, layer, SOMA_INVALID, "takes [B,T,C] and lengths [B] alone");
    soma_var y = residual(b, o, SELF, 0, x[0], x + 1, count - 1);
    return soma_var_ok(y) ? residual(b, o, FEED, 1, y, NULL, 0) : y;
}

static soma_var build_encoder(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    return merge_encoder(b, layer, &x, 1);
}

/* Without a memory there is nothing to decode. */
static soma_var merge_decoder(soma__layer_build *b, const soma_layer *layer, const soma_var *x,
                              int count)
{
    options o;
    memcpy(&o, layer->options, sizeof o);
    o.causal = true;
    if (!is_sequence(b, layer, x[0]))
        return (soma_var){b->graph, -1};
    if (count < 2 || count > 3 || soma_var_shape(x[1]).ndim != 3)
        return soma__layer_fail(b, layer, SOMA_INVALID,
                                "takes [B,T,C], a memory [B,S,M] and its lengths [B]");
    soma_var y = residual(b, &o, SELF, 0, x[0], NULL, 0);
    if (soma_var_ok(y))
        y = residual(b, &o, MEMORY, 1, y, x + 1, count - 1);
    return soma_var_ok(y) ? residual(b, &o, FEED, 2, y, NULL, 0) : y;
}

static soma_var build_decoder(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    return merge_decoder(b, layer, &x, 1);
}

const soma__layer_type soma__layer_transformer_encoder = {
    .name = "transformer_encoder",
    .prefix = "block",
    .doc = "attention to itself, then two dense layers, each added to its input (Vaswani et al. "
           "2017); causal: a block of a GPT",
    .shapes = "[B,T,C] (and lengths [B]) -> [B,T,C]",
    .parameters = "of self_attn, linear1, linear2, norm1, norm2",
    .size = sizeof(options),
    .fields = fields,
    .field_count = SOMA__FIELD_COUNT(fields),
    .primary = "heads",
    .steps = true,
    .build = build_encoder,
    .merge = merge_encoder,
};

const soma__layer_type soma__layer_transformer_decoder = {
    .name = "transformer_decoder",
    .prefix = "block",
    .doc = "causal attention to itself, attention to a memory, two dense layers (Vaswani et al. "
           "2017)",
    .shapes = "[B,T,C], memory [B,S,M] (and its lengths [B]) -> [B,T,C]",
    .parameters = "of self_attn, multihead_attn, linear1, linear2, norm1, norm2, norm3",
    .size = sizeof(options),
    .fields = fields,
    .field_count = SOMA__FIELD_COUNT(fields),
    .primary = "heads",
    .steps = true,
    .build = build_decoder,
    .merge = merge_decoder,
};

soma_layer *soma_layer_transformer_encoder_opt(soma_transformer_options o)
{
    return soma__layer_new(&soma__layer_transformer_encoder, &o, NULL, 0);
}

soma_layer *soma_layer_transformer_decoder_opt(soma_transformer_options o)
{
    return soma__layer_new(&soma__layer_transformer_decoder, &o, NULL, 0);
}
