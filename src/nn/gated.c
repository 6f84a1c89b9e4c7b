/* gated.c: activations with parameters or halves: prelu, and the gated linear units. */
#include <math.h>
#include <stddef.h>

#include "nn/layer.h"

/* --- prelu --------------------------------------------------------------------------------------
 */

typedef struct prelu_options {
    bool frozen;
    const char *name;
} prelu_options;

static const soma__field prelu_fields[] = {
    {.key = "frozen",
     .kind = SOMA__FIELD_BOOL,
     .offset = offsetof(prelu_options, frozen),
     .doc = "do not train the slopes"},
    SOMA__FIELD_NAME(prelu_options),
};

/* Slopes begin with 0.25, as He et al. have it. */
static soma_var build_prelu(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const prelu_options *o = (const prelu_options *)layer->options;
    soma_shape shape = soma_var_shape(x);
    if (shape.ndim < 2)
        return soma__layer_fail(b, layer, SOMA_SHAPE,
                                "needs samples with at least one dimension, got scalars");
    const soma_init_options start = {.kind = SOMA_INIT_CONSTANT, .value = 0.25};
    soma_var slope =
        soma__layer_param(b, layer,
                          &(soma__param){.name = "weight",
                                         .shape = SOMA_SHAPE(shape.dim[shape.ndim - 1]),
                                         .how = &start,
                                         .frozen = o->frozen});
    return soma_prelu(x, slope);
}

const soma__layer_type soma__layer_prelu = {
    .name = "prelu",
    .prefix = "prelu",
    .doc = "x where positive, else x times a learnt slope for each channel",
    .shapes = "[B…,C] -> [B…,C]",
    .parameters = "weight [C]",
    .size = sizeof(prelu_options),
    .fields = prelu_fields,
    .field_count = SOMA__FIELD_COUNT(prelu_fields),
    .steps = true,
    .build = build_prelu,
};

soma_layer *soma_layer_prelu(void)
{
    return soma__layer_new(&soma__layer_prelu, &(prelu_options){0}, NULL, 0);
}

/* --- gated linear units -------------------------------------------------------------------------
 */

typedef struct gated_options {
    soma_gated function;
    const char *name;
} gated_options;

static const char *const gated_names[] = {"glu", "swiglu", "geglu", NULL};

static const soma__field gated_fields[] = {
    {.key = "function",
     .kind = SOMA__FIELD_ENUM,
     .offset = offsetof(gated_options, function),
     .choices = gated_names,
     .doc = "which function; each is also a layer name of its own: \"- glu\""},
    SOMA__FIELD_NAME(gated_options),
};

static soma_var build_gated(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const gated_options *o = (const gated_options *)layer->options;
    if (soma_var_shape(x).ndim < 2)
        return soma__layer_fail(b, layer, SOMA_SHAPE,
                                "needs samples with at least one dimension, got scalars");
    switch (o->function) {
    case SOMA_GLU:
        return soma_glu(x, -1);
    case SOMA_SWIGLU:
        return soma_swiglu(x, -1);
    case SOMA_GEGLU:
        break;
    }
    return soma_geglu(x, -1);
}

const soma__layer_type soma__layer_gated = {
    .name = "gated",
    .prefix = "gated",
    .doc = "one half of the channels times a function of the other",
    .shapes = "[B…,2C] -> [B…,C]",
    .parameters = "",
    .size = sizeof(gated_options),
    .fields = gated_fields,
    .field_count = SOMA__FIELD_COUNT(gated_fields),
    .primary = "function",
    .alias = "function",
    .steps = true,
    .build = build_gated,
};

soma_layer *soma_layer_gated(soma_gated function)
{
    return soma__layer_new(&soma__layer_gated, &(gated_options){.function = function}, NULL, 0);
}
