/* norm.c: normalisation layers. */
#include <stddef.h>

#include "nn/layer.h"

typedef soma_norm_options options;

#define DEFAULT_EPS 1e-5
#define DEFAULT_MOMENTUM 0.1

#define COMMON_FIELDS                                                                              \
    {.key = "eps",                                                                                 \
     .kind = SOMA__FIELD_FLOAT,                                                                    \
     .offset = offsetof(options, eps),                                                             \
     .min = 0,                                                                                     \
     .max = 1,                                                                                     \
     .doc = "added to the variance [1e-5]"},                                                       \
        {.key = "frozen",                                                                          \
         .kind = SOMA__FIELD_BOOL,                                                                 \
         .offset = offsetof(options, frozen),                                                      \
         .doc = "do not train the parameters (batch norm: nor follow the batches)"},               \
        SOMA__FIELD_NAME(options)

static const soma__field batch_fields[] = {
    {.key = "momentum",
     .kind = SOMA__FIELD_FLOAT,
     .offset = offsetof(options, momentum),
     .min = 0,
     .max = 1,
     .doc = "weight of a new batch in the running statistics [0.1]"},
    COMMON_FIELDS,
};
static const soma__field layer_fields[] = {COMMON_FIELDS};

static soma_var channel_param(soma__layer_build *b, const soma_layer *layer, const char *name,
                              int64_t channels, soma_init init, bool buffer, bool *trainable)
{
    const options *o = (const options *)layer->options;
    return soma__layer_param(b, layer,
                             &(soma__param){.name = name,
                                            .shape = SOMA_SHAPE(channels),
                                            .init = init,
                                            .frozen = o->frozen,
                                            .buffer = buffer,
                                            .trainable = trainable});
}

/* running + momentum · (fresh - running) */
static soma_var follow(const soma__layer_build *b, soma_var running, soma_var fresh,
                       double momentum)
{
    running = soma__layer_current(b, running);
    if (b->share.graph)
        return soma_add(running, soma_mul(soma_sub(fresh, running), b->share));
    return soma_add(soma_mul_scalar(running, 1 - momentum), soma_mul_scalar(fresh, momentum));
}

static soma_var build_batch(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const options *o = (const options *)layer->options;
    double eps = o->eps > 0 ? o->eps : DEFAULT_EPS;
    double momentum = o->momentum > 0 ? o->momentum : DEFAULT_MOMENTUM;
    soma_shape shape = soma_var_shape(x);
    bool trainable;

    if (shape.ndim < 2)
        return soma__layer_fail(b, layer, SOMA_SHAPE,
                                "needs samples with at least one dimension, got scalars");
    int64_t channels = shape.dim[shape.ndim - 1];
    soma_var weight =
        channel_param(b, layer, "weight", channels, SOMA_INIT_ONES, false, &trainable);
    soma_var bias = channel_param(b, layer, "bias", channels, SOMA_INIT_ZEROS, false, NULL);
    soma_var running_mean =
        channel_param(b, layer, "running_mean", channels, SOMA_INIT_ZEROS, true, NULL);
    soma_var running_var =
        channel_param(b, layer, "running_var", channels, SOMA_INIT_ONES, true, NULL);

    /* The values of one channel in this batch. A single one has no variance: such a batch (the odd
     * last one of an epoch) is normalised with the running statistics and leaves them alone. A
     * frozen layer does the same with every batch. */
    double n = 1;
    soma_reduce_options others = {.count = shape.ndim - 1};
    for (int i = 0; i < shape.ndim - 1; i++) {
        n *= (double)shape.dim[i];
        others.axes[i] = i;
    }
    if (b->mode == SOMA_EVALUATE || !trainable || n < 2)
        return soma_batch_norm(x, running_mean, running_var, weight, bias, eps);

    soma_var mean = soma_mean_opt(x, others), var = soma_var_opt(x, others);
    /* PyTorch normalises with the biased variance and keeps the unbiased one. */
    soma__layer_update(b, layer, running_mean, follow(b, running_mean, mean, momentum));
    soma__layer_update(b, layer, running_var,
                       follow(b, running_var, soma_mul_scalar(var, n / (n - 1)), momentum));
    return soma_batch_norm(x, mean, var, weight, bias, eps);
}

const soma__layer_type soma__layer_batch_norm = {
    .name = "batch_norm",
    .prefix = "norm",
    .doc = "each channel to mean 0 and variance 1 over the batch, then weight and bias "
           "(Ioffe & Szegedy 2015)",
    .shapes = "[B…,C] -> [B…,C]",
    .parameters = "weight [C], bias [C], buffers running_mean [C], running_var [C]",
    .size = sizeof(options),
    .fields = batch_fields,
    .field_count = SOMA__FIELD_COUNT(batch_fields),
    .transparent = true,
    .build = build_batch,
};

soma_layer *soma_layer_batch_norm_opt(soma_norm_options o)
{
    return soma__layer_new(&soma__layer_batch_norm, &o, NULL, 0);
}

static soma_var build_layer(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const options *o = (const options *)layer->options;
    soma_shape shape = soma_var_shape(x);

    if (shape.ndim < 2)
        return soma__layer_fail(b, layer, SOMA_SHAPE,
                                "needs samples with at least one dimension, got scalars");
    int64_t channels = shape.dim[shape.ndim - 1];
    soma_var weight = channel_param(b, layer, "weight", channels, SOMA_INIT_ONES, false, NULL);
    soma_var bias = channel_param(b, layer, "bias", channels, SOMA_INIT_ZEROS, false, NULL);
    return soma_layer_norm(x, weight, bias, o->eps > 0 ? o->eps : DEFAULT_EPS);
}

const soma__layer_type soma__layer_layer_norm = {
    .name = "layer_norm",
    .prefix = "norm",
    .doc = "the last axis to mean 0 and variance 1, then weight and bias (Ba et al. 2016)",
    .shapes = "[B…,C] -> [B…,C]",
    .parameters = "weight [C], bias [C]",
    .size = sizeof(options),
    .fields = layer_fields,
    .field_count = SOMA__FIELD_COUNT(layer_fields),
    .transparent = true,
    .build = build_layer,
};

soma_layer *soma_layer_layer_norm_opt(soma_norm_options o)
{
    return soma__layer_new(&soma__layer_layer_norm, &o, NULL, 0);
}
