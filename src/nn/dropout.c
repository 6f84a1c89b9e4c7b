/* dropout.c: what draws in training: dropouts, stochastic depth, noise. The draws depend on the
 * layer's path, the seed and the step alone. */
#include <stddef.h>

#include "nn/layer.h"

typedef struct options {
    double p;
    const char *name;
} options;

static const soma__field fields[] = {
    {.key = "p",
     .kind = SOMA__FIELD_FLOAT,
     .offset = offsetof(options, p),
     .min = 0,
     .max = 0.999,
     .required = true,
     .doc = "chance of a zero"},
    SOMA__FIELD_NAME(options),
};

static const soma__field noise_fields[] = {
    {.key = "deviation",
     .kind = SOMA__FIELD_FLOAT,
     .offset = offsetof(options, p),
     .min = 0,
     .max = 1e9,
     .required = true,
     .doc = "of the noise"},
    SOMA__FIELD_NAME(options),
};

/* True if this build draws anything at all. */
static bool active(soma__layer_build *b, const soma_layer *layer)
{
    const options *o = (const options *)layer->options;
    if (b->mode == SOMA_EVALUATE || !(o->p > 0))
        return false;
    if (!b->key.graph)
        soma__layer_fail(b, layer, SOMA_INVALID,
                         "training needs a key {seed, step}; give one to soma_model_apply");
    return true;
}

static soma_var build_units(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const options *o = (const options *)layer->options;
    return active(b, layer) ? soma_dropout(x, b->key, o->p, soma__layer_stream(b)) : x;
}

static soma_var build_maps(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const options *o = (const options *)layer->options;
    return active(b, layer) ? soma_spatial_dropout(x, b->key, o->p, soma__layer_stream(b)) : x;
}

static soma_var build_alpha(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const options *o = (const options *)layer->options;
    return active(b, layer) ? soma_alpha_dropout(x, b->key, o->p, soma__layer_stream(b)) : x;
}

static soma_var build_depth(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const options *o = (const options *)layer->options;
    return active(b, layer) ? soma_stochastic_depth(x, b->key, o->p, soma__layer_stream(b)) : x;
}

/* Here p is the deviation. */
static soma_var build_noise(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const options *o = (const options *)layer->options;
    if (!active(b, layer))
        return x;
    soma_var noise = soma_random_normal(b->key, soma_var_shape(x), soma__layer_stream(b));
    noise = soma_cast(soma_mul_scalar(noise, o->p), soma_var_dtype(x));
    return soma_add(x, noise);
}

#define LAYER(name_, prefix_, fields_, primary_, build_, shapes_, doc_)                            \
    const soma__layer_type soma__layer_##name_ = {                                                 \
        .name = #name_,                                                                            \
        .prefix = prefix_,                                                                         \
        .doc = doc_,                                                                               \
        .shapes = shapes_,                                                                         \
        .parameters = "",                                                                          \
        .size = sizeof(options),                                                                   \
        .fields = fields_,                                                                         \
        .field_count = SOMA__FIELD_COUNT(fields_),                                                 \
        .primary = primary_,                                                                       \
        .steps = true,                                                                             \
        .transparent = true,                                                                       \
        .build = build_,                                                                           \
    };                                                                                             \
    soma_layer *soma_layer_##name_(double p)                                                       \
    {                                                                                              \
        return soma__layer_new(&soma__layer_##name_, &(options){.p = p}, NULL, 0);                 \
    }
LAYER(dropout, "dropout", fields, "p", build_units, "[B…] -> [B…]",
      "in training sets units to zero with chance p and scales the others (Srivastava et al. 2014)")
LAYER(spatial_dropout, "dropout", fields, "p", build_maps, "[N,…,C] -> [N,…,C]",
      "the same with whole feature maps (Tompson et al. 2015)")
LAYER(alpha_dropout, "dropout", fields, "p", build_alpha, "[B…] -> [B…]",
      "dropout for networks of selu, which keeps mean and variance (Klambauer et al. 2017)")
LAYER(stochastic_depth, "dropout", fields, "p", build_depth, "[N,…] -> [N,…]",
      "drops whole samples: at the end of a residual body, the block (Huang et al. 2016)")
LAYER(gaussian_noise, "noise", noise_fields, "deviation", build_noise, "[B…] -> [B…]",
      "in training adds normal noise to each value")
