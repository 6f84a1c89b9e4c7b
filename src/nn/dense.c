/* dense.c: the fully connected layer. */
#include <math.h>
#include <stddef.h>

#include "nn/layer.h"

typedef soma_dense_options options;

static const soma__field fields[] = {
    {.key = "units",
     .kind = SOMA__FIELD_INT,
     .offset = offsetof(options, units),
     .min = 1,
     .max = INFINITY,
     .required = true,
     .doc = "number of outputs"},
    {.key = "activation",
     .kind = SOMA__FIELD_ENUM,
     .offset = offsetof(options, activation),
     .choices = soma__activation_names,
     .doc = "function applied to the result"},
    SOMA__FIELD_INIT(options, init, "initial weights"),
    SOMA__FIELD_INIT(options, bias_init, "initial bias [zeros]"),
    {.key = "no_bias",
     .kind = SOMA__FIELD_BOOL,
     .offset = offsetof(options, no_bias),
     .doc = "leave the bias out"},
    {.key = "frozen",
     .kind = SOMA__FIELD_BOOL,
     .offset = offsetof(options, frozen),
     .doc = "do not train the parameters"},
    SOMA__FIELD_NAME(options),
};

static soma_var build(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const options *o = (const options *)layer->options;
    soma_shape shape = soma_var_shape(x);
    soma_var weight, bias = {0};

    if (shape.ndim < 2)
        return soma__layer_fail(b, layer, SOMA_SHAPE,
                                "needs samples with at least one dimension, got scalars");
    int64_t inputs = shape.dim[shape.ndim - 1];
    if (o->activation != SOMA_LINEAR)
        b->next = o->activation;
    weight = soma__layer_param(b, layer,
                               &(soma__param){.name = "weight",
                                              .shape = SOMA_SHAPE(o->units, inputs),
                                              .how = &o->init,
                                              .fan_in = (double)inputs,
                                              .fan_out = (double)o->units,
                                              .frozen = o->frozen});
    if (!o->no_bias)
        bias = soma__layer_param(b, layer,
                                 &(soma__param){.name = "bias",
                                                .shape = SOMA_SHAPE(o->units),
                                                .init = SOMA_INIT_ZEROS,
                                                .how = &o->bias_init,
                                                .frozen = o->frozen});
    return soma__activate(o->activation, soma_linear(x, weight, bias, .precision = b->precision));
}

const soma__layer_type soma__layer_dense = {
    .name = "dense",
    .prefix = "dense",
    .doc = "fully connected: activation(x · weightᵀ + bias) over the last axis",
    .shapes = "[B…,I] -> [B…,units]",
    .parameters = "weight [units,I], bias [units]",
    .size = sizeof(options),
    .fields = fields,
    .field_count = SOMA__FIELD_COUNT(fields),
    .primary = "units",
    .steps = true,
    .build = build,
};

soma_layer *soma_layer_dense_opt(soma_dense_options o)
{
    return soma__layer_new(&soma__layer_dense, &o, NULL, 0);
}
