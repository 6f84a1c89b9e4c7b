/* dropout.c: dropout of units and of feature maps. The draws depend on the layer's path, the seed
 * and the step alone. */
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

/* True if this build drops anything at all. */
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

const soma__layer_type soma__layer_dropout = {
    .name = "dropout",
    .prefix = "dropout",
    .doc = "in training sets units to zero with chance p and scales the others "
           "(Srivastava et al. 2014)",
    .shapes = "[B…] -> [B…]",
    .parameters = "",
    .size = sizeof(options),
    .fields = fields,
    .field_count = SOMA__FIELD_COUNT(fields),
    .primary = "p",
    .transparent = true,
    .build = build_units,
};

const soma__layer_type soma__layer_spatial_dropout = {
    .name = "spatial_dropout",
    .prefix = "dropout",
    .doc = "the same with whole feature maps (Tompson et al. 2015)",
    .shapes = "[N,…,C] -> [N,…,C]",
    .parameters = "",
    .size = sizeof(options),
    .fields = fields,
    .field_count = SOMA__FIELD_COUNT(fields),
    .primary = "p",
    .transparent = true,
    .build = build_maps,
};

soma_layer *soma_layer_dropout(double p)
{
    return soma__layer_new(&soma__layer_dropout, &(options){.p = p}, NULL, 0);
}

soma_layer *soma_layer_spatial_dropout(double p)
{
    return soma__layer_new(&soma__layer_spatial_dropout, &(options){.p = p}, NULL, 0);
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

const soma__layer_type soma__layer_alpha_dropout = {
    .name = "alpha_dropout",
    .prefix = "dropout",
    .doc = "dropout for networks of selu, which keeps mean and variance (Klambauer et al. 2017)",
    .shapes = "[B…] -> [B…]",
    .parameters = "",
    .size = sizeof(options),
    .fields = fields,
    .field_count = SOMA__FIELD_COUNT(fields),
    .primary = "p",
    .transparent = true,
    .build = build_alpha,
};

const soma__layer_type soma__layer_stochastic_depth = {
    .name = "stochastic_depth",
    .prefix = "dropout",
    .doc = "drops whole samples: at the end of a residual body, the block (Huang et al. 2016)",
    .shapes = "[N,…] -> [N,…]",
    .parameters = "",
    .size = sizeof(options),
    .fields = fields,
    .field_count = SOMA__FIELD_COUNT(fields),
    .primary = "p",
    .transparent = true,
    .build = build_depth,
};

const soma__layer_type soma__layer_gaussian_noise = {
    .name = "gaussian_noise",
    .prefix = "noise",
    .doc = "in training adds normal noise to each value",
    .shapes = "[B…] -> [B…]",
    .parameters = "",
    .size = sizeof(options),
    .fields = noise_fields,
    .field_count = SOMA__FIELD_COUNT(noise_fields),
    .primary = "deviation",
    .transparent = true,
    .build = build_noise,
};

soma_layer *soma_layer_alpha_dropout(double p)
{
    return soma__layer_new(&soma__layer_alpha_dropout, &(options){.p = p}, NULL, 0);
}

soma_layer *soma_layer_stochastic_depth(double p)
{
    return soma__layer_new(&soma__layer_stochastic_depth, &(options){.p = p}, NULL, 0);
}

soma_layer *soma_layer_gaussian_noise(double deviation)
{
    return soma__layer_new(&soma__layer_gaussian_noise, &(options){.p = deviation}, NULL, 0);
}
