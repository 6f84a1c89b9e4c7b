/* norm.c: normalisation layers. */
#include <math.h>
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
    .steps = true,
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
    .steps = true,
    .transparent = true,
    .build = build_layer,
};

soma_layer *soma_layer_layer_norm_opt(soma_norm_options o)
{
    return soma__layer_new(&soma__layer_layer_norm, &o, NULL, 0);
}

/* --- group, instance, RMS ----------------------------------------------------------------------
 */

typedef soma_group_norm_options group_options;

static const soma__field group_fields[] = {
    {.key = "groups",
     .kind = SOMA__FIELD_INT,
     .offset = offsetof(group_options, groups),
     .min = 1,
     .max = INFINITY,
     .required = true,
     .doc = "runs of channels that share their statistics; divides their number"},
    {.key = "eps",
     .kind = SOMA__FIELD_FLOAT,
     .offset = offsetof(group_options, eps),
     .min = 0,
     .max = 1,
     .doc = "added to the variance [1e-5]"},
    {.key = "frozen",
     .kind = SOMA__FIELD_BOOL,
     .offset = offsetof(group_options, frozen),
     .doc = "do not train the parameters"},
    SOMA__FIELD_NAME(group_options),
};

/* weight [C] and bias [C] of the last axis; false: the fault is told. */
static bool affine(soma__layer_build *b, const soma_layer *layer, soma_var x, bool frozen,
                   soma_var *weight, soma_var *bias)
{
    soma_shape shape = soma_var_shape(x);
    if (shape.ndim < 2) {
        soma__layer_fail(b, layer, SOMA_SHAPE,
                         "needs samples with at least one dimension, got scalars");
        return false;
    }
    soma__param param = {.name = "weight",
                         .shape = SOMA_SHAPE(shape.dim[shape.ndim - 1]),
                         .init = SOMA_INIT_ONES,
                         .frozen = frozen};
    *weight = soma__layer_param(b, layer, &param);
    param.name = "bias";
    param.init = SOMA_INIT_ZEROS;
    if (bias)
        *bias = soma__layer_param(b, layer, &param);
    return true;
}

static soma_var build_group(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const group_options *o = (const group_options *)layer->options;
    soma_var weight, bias;
    if (!affine(b, layer, x, o->frozen, &weight, &bias))
        return (soma_var){b->graph, -1};
    return soma_group_norm(x, weight, bias, o->groups, o->eps > 0 ? o->eps : DEFAULT_EPS);
}

static soma_var build_instance(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const options *o = (const options *)layer->options;
    soma_shape shape = soma_var_shape(x);
    soma_var weight, bias;
    if (shape.ndim < 3)
        return soma__layer_fail(b, layer, SOMA_SHAPE,
                                "needs samples [cells…,C]; of a single cell nothing is left");
    if (!affine(b, layer, x, o->frozen, &weight, &bias))
        return (soma_var){b->graph, -1};
    return soma_instance_norm(x, weight, bias, o->eps > 0 ? o->eps : DEFAULT_EPS);
}

static soma_var build_rms(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const options *o = (const options *)layer->options;
    soma_var weight;
    if (!affine(b, layer, x, o->frozen, &weight, NULL))
        return (soma_var){b->graph, -1};
    return soma_rms_norm(x, weight, o->eps > 0 ? o->eps : DEFAULT_EPS);
}

const soma__layer_type soma__layer_group_norm = {
    .name = "group_norm",
    .prefix = "norm",
    .doc = "each group of channels of a sample to mean 0 and variance 1, then weight and bias "
           "(Wu & He 2018)",
    .shapes = "[N,…,C] -> [N,…,C]",
    .parameters = "weight [C], bias [C]",
    .size = sizeof(group_options),
    .fields = group_fields,
    .field_count = SOMA__FIELD_COUNT(group_fields),
    .primary = "groups",
    .transparent = true,
    .build = build_group,
};

const soma__layer_type soma__layer_instance_norm = {
    .name = "instance_norm",
    .prefix = "norm",
    .doc = "each channel of a sample to mean 0 and variance 1, then weight and bias "
           "(Ulyanov et al. 2016)",
    .shapes = "[N,…,C] -> [N,…,C]",
    .parameters = "weight [C], bias [C]",
    .size = sizeof(options),
    .fields = layer_fields,
    .field_count = SOMA__FIELD_COUNT(layer_fields),
    .transparent = true,
    .build = build_instance,
};

const soma__layer_type soma__layer_rms_norm = {
    .name = "rms_norm",
    .prefix = "norm",
    .doc = "the last axis to mean square 1, then weight (Zhang & Sennrich 2019)",
    .shapes = "[B…,C] -> [B…,C]",
    .parameters = "weight [C]",
    .size = sizeof(options),
    .fields = layer_fields,
    .field_count = SOMA__FIELD_COUNT(layer_fields),
    .steps = true,
    .transparent = true,
    .build = build_rms,
};

soma_layer *soma_layer_group_norm_opt(soma_group_norm_options o)
{
    return soma__layer_new(&soma__layer_group_norm, &o, NULL, 0);
}

soma_layer *soma_layer_instance_norm_opt(soma_norm_options o)
{
    return soma__layer_new(&soma__layer_instance_norm, &o, NULL, 0);
}

soma_layer *soma_layer_rms_norm_opt(soma_norm_options o)
{
    return soma__layer_new(&soma__layer_rms_norm, &o, NULL, 0);
}

/* --- local response ----------------------------------------------------------------------------
 */

typedef soma_response_norm_options response_options;

static const soma__field response_fields[] = {
    {.key = "size",
     .kind = SOMA__FIELD_INT,
     .offset = offsetof(response_options, size),
     .min = 1,
     .max = INT32_MAX,
     .doc = "neighbouring channels that count [5]"},
    {.key = "alpha",
     .kind = SOMA__FIELD_FLOAT,
     .offset = offsetof(response_options, alpha),
     .min = 0,
     .max = 1e9,
     .doc = "factor of their mean square [1e-4]"},
    {.key = "beta",
     .kind = SOMA__FIELD_FLOAT,
     .offset = offsetof(response_options, beta),
     .min = 0,
     .max = 100,
     .doc = "exponent [0.75]"},
    {.key = "k",
     .kind = SOMA__FIELD_FLOAT,
     .offset = offsetof(response_options, k),
     .min = 0,
     .max = 1e9,
     .doc = "added to it [1; the paper's is 2]"},
    SOMA__FIELD_NAME(response_options),
};

static soma_var build_response(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const response_options *o = (const response_options *)layer->options;
    (void)b;
    return soma_local_response_norm(x, o->size ? o->size : 5, o->alpha > 0 ? o->alpha : 1e-4,
                                    o->beta > 0 ? o->beta : 0.75, o->k > 0 ? o->k : 1);
}

const soma__layer_type soma__layer_local_response_norm = {
    .name = "local_response_norm",
    .prefix = "norm",
    .doc = "each value over a power of its neighbours' mean square across channels "
           "(Krizhevsky et al. 2012)",
    .shapes = "[N,…,C] -> [N,…,C]",
    .parameters = "",
    .size = sizeof(response_options),
    .fields = response_fields,
    .field_count = SOMA__FIELD_COUNT(response_fields),
    .primary = "size",
    .build = build_response,
};

soma_layer *soma_layer_local_response_norm_opt(soma_response_norm_options o)
{
    return soma__layer_new(&soma__layer_local_response_norm, &o, NULL, 0);
}
