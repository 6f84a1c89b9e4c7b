/* pool.c: pooling layers. */
#include <math.h>
#include <stddef.h>

#include "nn/layer.h"

typedef soma_pool_layer_options options;

#define WINDOW_FIELDS                                                                              \
    {.key = "size",                                                                                \
     .kind = SOMA__FIELD_INTS,                                                                     \
     .offset = offsetof(options, size),                                                            \
     .count = 2,                                                                                   \
     .min = 1,                                                                                     \
     .max = INFINITY,                                                                              \
     .required = true,                                                                             \
     .doc = "height and width of the window"},                                                     \
        {.key = "stride",                                                                          \
         .kind = SOMA__FIELD_INTS,                                                                 \
         .offset = offsetof(options, stride),                                                      \
         .count = 2,                                                                               \
         .min = 1,                                                                                 \
         .max = INFINITY,                                                                          \
         .doc = "step down and right [the window]"},                                               \
        {.key = "pad",                                                                             \
         .kind = SOMA__FIELD_INTS,                                                                 \
         .offset = offsetof(options, pad),                                                         \
         .count = 4,                                                                               \
         .min = 0,                                                                                 \
         .max = INFINITY,                                                                          \
         .doc = "cells at top, left, bottom, right [0]"},                                          \
        {.key = "padding",                                                                         \
         .kind = SOMA__FIELD_ENUM,                                                                 \
         .offset = offsetof(options, padding),                                                     \
         .choices = soma__padding_names,                                                           \
         .doc = "same: the output is as large as input / stride; valid: no padding"},              \
        {.key = "dilation",                                                                        \
         .kind = SOMA__FIELD_INTS,                                                                 \
         .offset = offsetof(options, dilation),                                                    \
         .count = 2,                                                                               \
         .min = 1,                                                                                 \
         .max = INFINITY,                                                                          \
         .doc = "distance between the window's cells [1]"},                                        \
        {.key = "ceil_mode",                                                                       \
         .kind = SOMA__FIELD_BOOL,                                                                 \
         .offset = offsetof(options, ceil_mode),                                                   \
         .doc = "one more window for the cells that are left over"},                               \
        SOMA__FIELD_NAME(options)

static const soma__field max_fields[] = {WINDOW_FIELDS};
static const soma__field avg_fields[] = {
    WINDOW_FIELDS,
    {.key = "count_pad",
     .kind = SOMA__FIELD_BOOL,
     .offset = offsetof(options, count_pad),
     .doc = "padded cells count in the mean"},
};

static bool is_image(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    soma_shape shape = soma_var_shape(x);
    char text[SOMA_SHAPE_TEXT_SIZE];
    if (shape.ndim != 4)
        soma__layer_fail(b, layer, SOMA_SHAPE,
                         "needs images [N,H,W,C], got %s; use reshape before it",
                         soma_shape_text(&shape, text, sizeof text));
    return shape.ndim == 4;
}

static soma_pool_options window(const options *o)
{
    return (soma_pool_options){.size = {o->size[0], o->size[1]},
                               .stride = {o->stride[0], o->stride[1]},
                               .pad = {o->pad[0], o->pad[1], o->pad[2], o->pad[3]},
                               .dilation = {o->dilation[0], o->dilation[1]},
                               .padding = o->padding,
                               .ceil_mode = o->ceil_mode,
                               .count_pad = o->count_pad};
}

static soma_var build_max(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    if (!is_image(b, layer, x))
        return (soma_var){b->graph, -1};
    return soma_max_pool2d_opt(x, window((const options *)layer->options));
}

static soma_var build_avg(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    if (!is_image(b, layer, x))
        return (soma_var){b->graph, -1};
    return soma_avg_pool2d_opt(x, window((const options *)layer->options));
}

const soma__layer_type soma__layer_max_pool2d = {
    .name = "max_pool2d",
    .prefix = "pool",
    .doc = "the largest value of each window",
    .shapes = "[N,H,W,C] -> [N,Ho,Wo,C]",
    .parameters = "",
    .size = sizeof(options),
    .fields = max_fields,
    .field_count = SOMA__FIELD_COUNT(max_fields),
    .primary = "size",
    .transparent = true,
    .build = build_max,
};

const soma__layer_type soma__layer_avg_pool2d = {
    .name = "avg_pool2d",
    .prefix = "pool",
    .doc = "the mean of each window",
    .shapes = "[N,H,W,C] -> [N,Ho,Wo,C]",
    .parameters = "",
    .size = sizeof(options),
    .fields = avg_fields,
    .field_count = SOMA__FIELD_COUNT(avg_fields),
    .primary = "size",
    .transparent = true,
    .build = build_avg,
};

/* As a recipe would say it: a pair is given as a whole or not at all. */
static soma_layer *pool_layer(const soma__layer_type *type, soma_pool_layer_options o)
{
    if (!o.size[1])
        o.size[1] = o.size[0];
    for (int i = 0; i < 2; i++)
        if (!o.stride[i] && o.stride[1 - i])
            o.stride[i] = o.size[i];
    if (o.dilation[0] || o.dilation[1])
        for (int i = 0; i < 2; i++)
            o.dilation[i] = o.dilation[i] ? o.dilation[i] : 1;
    return soma__layer_new(type, &o, NULL, 0);
}

soma_layer *soma_layer_max_pool2d_opt(soma_pool_layer_options o)
{
    return pool_layer(&soma__layer_max_pool2d, o);
}

soma_layer *soma_layer_avg_pool2d_opt(soma_pool_layer_options o)
{
    return pool_layer(&soma__layer_avg_pool2d, o);
}

/* --- over the whole image -----------------------------------------------------------------------
 */

typedef struct global_options {
    const char *name;
} global_options;

static const soma__field global_fields[] = {SOMA__FIELD_NAME(global_options)};

static soma_var build_global(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    if (!is_image(b, layer, x))
        return (soma_var){b->graph, -1};
    return soma_mean(x, .axes = {1, 2}, .count = 2);
}

const soma__layer_type soma__layer_global_avg_pool2d = {
    .name = "global_avg_pool2d",
    .prefix = "pool",
    .doc = "the mean of each channel",
    .shapes = "[N,H,W,C] -> [N,C]",
    .parameters = "",
    .size = sizeof(global_options),
    .fields = global_fields,
    .field_count = SOMA__FIELD_COUNT(global_fields),
    .transparent = true,
    .build = build_global,
};

soma_layer *soma_layer_global_avg_pool2d(void)
{
    return soma__layer_new(&soma__layer_global_avg_pool2d, &(global_options){0}, NULL, 0);
}
