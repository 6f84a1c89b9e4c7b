/* dense_blocks.c: the blocks of densely connected networks. */
#include <math.h>
#include <stddef.h>

#include "nn/blocks.h"

typedef soma_dense_block_options options;

static const soma__field block_fields[] = {
    {.key = "layers",
     .kind = SOMA__FIELD_INT,
     .offset = offsetof(options, layers),
     .min = 1,
     .max = 1000,
     .required = true,
     .doc = "how many"},
    SOMA__FIELD_WHOLE(options, growth, "channels that each layer adds [32]"),
    SOMA__FIELD_WHOLE(options, bottleneck, "filters of the 1x1 convolutions / growth [4]"),
    SOMA__FIELD_FLAG(options, plain, "without the 1x1 convolutions"),
    {.key = "dropout",
     .kind = SOMA__FIELD_FLOAT,
     .offset = offsetof(options, dropout),
     .min = 0,
     .max = 0.99,
     .doc = "share of values that is dropped after each layer [0]"},
    SOMA__FIELD_NAME(options),
};

static soma_layer *expand_block(soma__layer_build *b, const soma_layer *layer, const soma_shape *x)
{
    const options *o = (const options *)layer->options;
    int64_t growth = soma__or(o->growth, 32), wide = soma__or(o->bottleneck, 4);
    soma__layer_list all = {0};

    if (!soma__wants_images(b, layer, x))
        return NULL;
    if (growth > INT64_MAX / wide)
        return soma__layer_fail(b, layer, SOMA_SHAPE, "growth · bottleneck is too large"), NULL;
    for (int64_t i = 0; i < o->layers; i++) {
        soma__layer_list one = {0}, pair = {0};
        if (!o->plain)
            soma__add_norm_conv(&one, growth * wide, 1);
        soma__add_norm_conv(&one, growth, 3);
        if (o->dropout > 0)
            soma__layer_list_add(&one, soma_layer_dropout(o->dropout));
        soma__layer_list_add(&pair, soma_layer_sequential_list(NULL));
        soma__layer_list_add(&pair, soma_layer_named(soma__layer_list_sequential(&one), "layer"));
        soma__layer_list_add(&all, soma__layer_list_concat(&pair));
    }
    return soma__layer_list_sequential(&all);
}

const soma__layer_type soma__layer_dense_block = {
    .name = "dense_block",
    .prefix = "block",
    .doc = "convolutions that each see the outputs of all before (DenseNet, Huang et al. 2017)",
    .shapes = "[N,H,W,C] -> [N,H,W,C+layers·growth]",
    .parameters = "of concat1.layer, concat2.layer, …",
    .size = sizeof(options),
    .fields = block_fields,
    .field_count = SOMA__FIELD_COUNT(block_fields),
    .primary = "layers",
    .expand = expand_block,
};

soma_layer *soma_layer_dense_block_opt(soma_dense_block_options o)
{
    return soma__layer_new(&soma__layer_dense_block, &o, NULL, 0);
}

/* --- transition ---------------------------------------------------------------------------------
 */

typedef struct transition_options {
    double compression;
    const char *name;
} transition_options;

static const soma__field transition_fields[] = {
    {.key = "compression",
     .kind = SOMA__FIELD_FLOAT,
     .offset = offsetof(transition_options, compression),
     .min = 0,
     .max = 1,
     .doc = "output channels / input channels [0.5]"},
    SOMA__FIELD_NAME(transition_options),
};

static soma_layer *expand_transition(soma__layer_build *b, const soma_layer *layer,
                                     const soma_shape *x)
{
    const transition_options *o = (const transition_options *)layer->options;
    soma__layer_list list = {0};

    if (!soma__wants_images(b, layer, x))
        return NULL;
    int64_t filters =
        (int64_t)floor((double)x->dim[3] * (o->compression > 0 ? o->compression : 0.5));
    soma__add_norm_conv(&list, filters ? filters : 1, 1);
    soma__layer_list_add(&list, soma_layer_avg_pool2d(2));
    return soma__layer_list_sequential(&list);
}

const soma__layer_type soma__layer_dense_transition = {
    .name = "dense_transition",
    .prefix = "transition",
    .doc = "between dense blocks: batch norm, relu, 1x1 convolution, 2x2 average pooling",
    .shapes = "[N,H,W,C] -> [N,H/2,W/2,C·compression]",
    .parameters = "of norm1, conv1",
    .size = sizeof(transition_options),
    .fields = transition_fields,
    .field_count = SOMA__FIELD_COUNT(transition_fields),
    .primary = "compression",
    .expand = expand_transition,
};

soma_layer *soma_layer_dense_transition(double compression)
{
    return soma__layer_new(&soma__layer_dense_transition,
                           &(transition_options){.compression = compression}, NULL, 0);
}
