/* embedding.c: a learned vector for each of a number of categories. */
#include <math.h>
#include <stddef.h>

#include "nn/layer.h"

typedef soma_embedding_options options;

static const soma__field fields[] = {
    {.key = "count",
     .kind = SOMA__FIELD_INT,
     .offset = offsetof(options, count),
     .min = 1,
     .max = INFINITY,
     .required = true,
     .doc = "number of categories: inputs are whole numbers from 0 to count - 1"},
    {.key = "units",
     .kind = SOMA__FIELD_INT,
     .offset = offsetof(options, units),
     .min = 1,
     .max = INFINITY,
     .required = true,
     .doc = "size of each vector"},
    {.key = "padding",
     .kind = SOMA__FIELD_BOOL,
     .offset = offsetof(options, padding),
     .doc = "category 0 stands for nothing: its vector is not learned"},
    SOMA__FIELD_INIT(options, init, "initial vectors [normal]"),
    {.key = "frozen",
     .kind = SOMA__FIELD_BOOL,
     .offset = offsetof(options, frozen),
     .doc = "do not train the parameters"},
    SOMA__FIELD_NAME(options),
};

static soma_var build(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const options *o = (const options *)layer->options;
    if (soma_var_shape(x).ndim == SOMA_MAX_DIMS)
        return soma__layer_fail(b, layer, SOMA_SHAPE,
                                "samples have %d dimensions, no room for one more",
                                SOMA_MAX_DIMS - 1);
    soma_var weight = soma__layer_param(b, layer,
                                        &(soma__param){.name = "weight",
                                                       .shape = SOMA_SHAPE(o->count, o->units),
                                                       .init = SOMA_INIT_NORMAL,
                                                       .how = &o->init,
                                                       .fan_in = (double)o->units,
                                                       .fan_out = (double)o->count,
                                                       .frozen = o->frozen});
    return soma_embedding(weight, soma_cast(x, SOMA_I64), o->padding ? 0 : -1);
}

const soma__layer_type soma__layer_embedding = {
    .name = "embedding",
    .prefix = "embedding",
    .doc = "a learned vector for each category; a number that is none gives zeros",
    .shapes = "[B…] -> [B…,units]",
    .parameters = "weight [count,units]",
    .size = sizeof(options),
    .fields = fields,
    .field_count = SOMA__FIELD_COUNT(fields),
    .steps = true,
    .build = build,
};

soma_layer *soma_layer_embedding_opt(soma_embedding_options o)
{
    return soma__layer_new(&soma__layer_embedding, &o, NULL, 0);
}
