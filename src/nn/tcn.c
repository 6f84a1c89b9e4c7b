/* tcn.c: the temporal convolutional network of Bai et al. 2018: causal convolutions whose dilation
 * doubles from level to level, so that few levels look far back. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include "nn/blocks.h"

typedef soma_tcn_options options;

/* 2^30 steps between the cells of a kernel are more than any series has. */
#define MOST_LEVELS 31

static const soma__field fields[] = {
    SOMA__FIELD_FILTERS(options, "output channels of every level"),
    {.key = "levels",
     .kind = SOMA__FIELD_INT,
     .offset = offsetof(options, levels),
     .min = 1,
     .max = MOST_LEVELS,
     .doc = "level l has dilation 2^(l-1) [4]"},
    SOMA__FIELD_WHOLE(options, kernel, "cells of each convolution [3]"),
    {.key = "dropout",
     .kind = SOMA__FIELD_FLOAT,
     .offset = offsetof(options, dropout),
     .min = 0,
     .max = 0.999,
     .doc = "of whole channels, after each convolution [0]"},
    SOMA__FIELD_ACTIVATION(options, activation, "[relu]"),
    SOMA__FIELD_INIT(options, init, "initial weights [he_uniform: {gain: 0.57735}]"),
    SOMA__FIELD_NAME(options),
};

/* Uniform within 1/√fan, as PyTorch's convolutions begin: a level is a sum with its input, and
 * with the variance of `default` the sums would grow from level to level. */
static soma_init_options init_of(const options *o)
{
    const soma_init_options small = {.kind = SOMA_INIT_HE_UNIFORM, .gain = 0.57735026918962573};
    return o->init.kind == SOMA_INIT_DEFAULT ? small : o->init;
}

/* A convolution that sees nothing of what comes later: padded in front alone. */
static void add_causal(soma__layer_list *list, const options *o, int64_t kernel, int64_t dilation)
{
    soma__layer_list_add(
        list, soma_layer_conv1d(o->filters, kernel, .dilation = {dilation},
                                .pad = {(kernel - 1) * dilation, 0}, .init = init_of(o),
                                .activation = soma__or_activation(o->activation, SOMA_RELU)));
    if (o->dropout > 0)
        soma__layer_list_add(list, soma_layer_spatial_dropout(o->dropout));
}

static soma_layer *expand(soma__layer_build *b, const soma_layer *layer, const soma_shape *x)
{
    const options *o = (const options *)layer->options;
    int64_t kernel = soma__or(o->kernel, 3), levels = soma__or(o->levels, 4);
    soma__layer_list all = {0};

    if (x->ndim != 3) {
        char text[SOMA_SHAPE_TEXT_SIZE];
        soma__layer_fail(b, layer, SOMA_SHAPE, "needs sequences [B,T,C], got %s",
                         soma_shape_text(x, text, sizeof text));
        return NULL;
    }
    if (levels > MOST_LEVELS || kernel > INT64_MAX >> MOST_LEVELS)
        return soma__layer_fail(b, layer, SOMA_INVALID,
                                "has more than %d levels, or its kernel is "
                                "too long",
                                MOST_LEVELS),
               NULL;
    for (int64_t level = 0, channels = x->dim[2]; level < levels; level++) {
        soma__layer_list body = {0};
        char name[16];
        snprintf(name, sizeof name, "level%d", (int)level + 1);
        add_causal(&body, o, kernel, (int64_t)1 << level);
        add_causal(&body, o, kernel, (int64_t)1 << level);
        soma_layer *shortcut =
            channels == o->filters ? NULL : soma_layer_conv1d(o->filters, 1, .init = init_of(o));
        soma_layer *both = soma_layer_residual(soma__layer_list_sequential(&body), shortcut,
                                               soma__or_activation(o->activation, SOMA_RELU));
        soma__layer_list_add(&all, soma_layer_named(both, name));
        channels = o->filters;
    }
    return soma__layer_list_sequential(&all);
}

const soma__layer_type soma__layer_tcn = {
    .name = "tcn",
    .prefix = "tcn",
    .doc = "causal convolutions of doubling dilation, two a level, with residuals (Bai et al. "
           "2018)",
    .shapes = "[B,T,C] -> [B,T,filters]",
    .parameters = "of level1.body.conv1, …",
    .size = sizeof(options),
    .fields = fields,
    .field_count = SOMA__FIELD_COUNT(fields),
    .primary = "filters",
    .expand = expand,
};

soma_layer *soma_layer_tcn_opt(soma_tcn_options o)
{
    return soma__layer_new(&soma__layer_tcn, &o, NULL, 0);
}
