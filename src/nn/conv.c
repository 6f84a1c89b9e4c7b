/* conv.c: the convolution layer. */
#include <math.h>
#include <stddef.h>

#include "nn/layer.h"

typedef soma_conv2d_options options;

#define DEFAULT_KERNEL 3

/* In the order of soma_padding. */
const char *const soma__padding_names[] = {"explicit", "same", "valid", "same_lower", NULL};

static const soma__field fields[] = {
    {.key = "filters",
     .kind = SOMA__FIELD_INT,
     .offset = offsetof(options, filters),
     .min = 1,
     .max = INFINITY,
     .required = true,
     .doc = "number of output channels"},
    {.key = "kernel",
     .kind = SOMA__FIELD_INTS,
     .offset = offsetof(options, kernel),
     .count = 2,
     .min = 1,
     .max = INFINITY,
     .doc = "height and width of the window [3]"},
    {.key = "stride",
     .kind = SOMA__FIELD_INTS,
     .offset = offsetof(options, stride),
     .count = 2,
     .min = 1,
     .max = INFINITY,
     .doc = "step down and right [1]"},
    {.key = "dilation",
     .kind = SOMA__FIELD_INTS,
     .offset = offsetof(options, dilation),
     .count = 2,
     .min = 1,
     .max = INFINITY,
     .doc = "distance between the window's cells [1]"},
    {.key = "pad",
     .kind = SOMA__FIELD_INTS,
     .offset = offsetof(options, pad),
     .count = 4,
     .min = 0,
     .max = INFINITY,
     .doc = "zeros at top, left, bottom, right [0]"},
    {.key = "padding",
     .kind = SOMA__FIELD_ENUM,
     .offset = offsetof(options, padding),
     .choices = soma__padding_names,
     .doc = "same: the output is as large as input / stride; valid: no padding"},
    {.key = "groups",
     .kind = SOMA__FIELD_INT,
     .offset = offsetof(options, groups),
     .min = 1,
     .max = INFINITY,
     .doc = "channels are cut into so many groups that do not see each other [1]"},
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
    char text[SOMA_SHAPE_TEXT_SIZE];

    if (shape.ndim != 4)
        return soma__layer_fail(b, layer, SOMA_SHAPE,
                                "needs images [N,H,W,C], got %s; use reshape before it",
                                soma_shape_text(&shape, text, sizeof text));
    int64_t channels = shape.dim[3], groups = o->groups ? o->groups : 1;
    int64_t kh = o->kernel[0] ? o->kernel[0] : DEFAULT_KERNEL;
    int64_t kw = o->kernel[0] ? o->kernel[1] : DEFAULT_KERNEL;
    if (channels % groups || o->filters % groups)
        return soma__layer_fail(
            b, layer, SOMA_SHAPE,
            "%lld input channels and %lld filters cannot be cut into %lld groups",
            (long long)channels, (long long)o->filters, (long long)groups);
    if (o->padding != SOMA_PAD_EXPLICIT && (o->pad[0] || o->pad[1] || o->pad[2] || o->pad[3]))
        return soma__layer_fail(b, layer, SOMA_INVALID,
                                "both pad and padding: %s are given; leave one out",
                                soma__padding_names[o->padding]);
    if (o->activation != SOMA_LINEAR)
        b->next = o->activation;

    double window = (double)kh * (double)kw;
    int64_t group_channels = channels / groups;
    soma_var weight =
        soma__layer_param(b, layer,
                          &(soma__param){.name = "weight",
                                         .shape = SOMA_SHAPE(o->filters, kh, kw, group_channels),
                                         .how = &o->init,
                                         .fan_in = window * (double)group_channels,
                                         .fan_out = window * (double)o->filters,
                                         .groups = groups,
                                         .frozen = o->frozen});
    soma_var y =
        soma_conv2d_opt(x, weight,
                        (soma_conv_options){.stride = {o->stride[0], o->stride[1]},
                                            .dilation = {o->dilation[0], o->dilation[1]},
                                            .pad = {o->pad[0], o->pad[1], o->pad[2], o->pad[3]},
                                            .padding = o->padding,
                                            .groups = groups,
                                            .precision = b->precision});
    if (!o->no_bias)
        y = soma_add(y, soma__layer_param(b, layer,
                                          &(soma__param){.name = "bias",
                                                         .shape = SOMA_SHAPE(o->filters),
                                                         .init = SOMA_INIT_ZEROS,
                                                         .how = &o->bias_init,
                                                         .frozen = o->frozen}));
    return soma__activate(o->activation, y);
}

const soma__layer_type soma__layer_conv2d = {
    .name = "conv2d",
    .prefix = "conv",
    .doc = "convolution over images: activation(x ∗ weight + bias)",
    .shapes = "[N,H,W,C] -> [N,Ho,Wo,filters]",
    .parameters = "weight [filters,kh,kw,C/groups], bias [filters]",
    .size = sizeof(options),
    .fields = fields,
    .field_count = SOMA__FIELD_COUNT(fields),
    .primary = "filters",
    .build = build,
};

soma_layer *soma_layer_conv2d_opt(soma_conv2d_options o)
{
    /* As a recipe would say it: a pair is given as a whole or not at all. */
    if (o.kernel[1] && !o.kernel[0])
        o.kernel[0] = DEFAULT_KERNEL;
    if (!o.kernel[1])
        o.kernel[1] = o.kernel[0];
    for (int i = 0; i < 2; i++) {
        if (!o.stride[i] && o.stride[1 - i])
            o.stride[i] = 1;
        if (!o.dilation[i] && o.dilation[1 - i])
            o.dilation[i] = 1;
    }
    return soma__layer_new(&soma__layer_conv2d, &o, NULL, 0);
}
