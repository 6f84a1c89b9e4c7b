/* conv_nd.c: convolution layers beside conv2d: over lines and volumes, transposed, depthwise and
 * separable ones. They share their options; each has the fields that mean something to it. */
#include <math.h>
#include <stddef.h>

#include "nn/layer.h"

typedef soma_conv_nd_layer_options options;

#define DEFAULT_KERNEL 3

/* --- fields ------------------------------------------------------------------------------------
 */

#define WHOLE(key_, required_, doc_)                                                               \
    {                                                                                              \
        .key = #key_, .kind = SOMA__FIELD_INT, .offset = offsetof(options, key_), .min = 1,        \
        .max = INFINITY, .required = required_, .doc = doc_                                        \
    }
#define EACH(key_, count_, min_, doc_)                                                             \
    {                                                                                              \
        .key = #key_, .kind = SOMA__FIELD_INTS, .offset = offsetof(options, key_),                 \
        .count = count_, .min = min_, .max = INFINITY, .doc = doc_                                 \
    }
#define GEOMETRY(dims_)                                                                            \
    EACH(kernel, dims_, 1, "window along each image axis [3]"),                                    \
        EACH(stride, dims_, 1, "step along each image axis [1]"),                                  \
        EACH(dilation, dims_, 1, "distance between the window's cells [1]"),                       \
        EACH(pad, 2 * dims_, 0, "zeros at the begins of all image axes, then at their ends [0]")
#define PADDING(doc_)                                                                              \
    {                                                                                              \
        .key = "padding", .kind = SOMA__FIELD_ENUM, .offset = offsetof(options, padding),          \
        .choices = soma__padding_names, .doc = doc_                                                \
    }
#define FORWARD_PADDING PADDING("same: the output is as large as input / stride; valid: no padding")
#define GROUPS                                                                                     \
    WHOLE(groups, false, "channels are cut into so many groups that do not see each other [1]")
#define COMMON                                                                                     \
    {.key = "activation",                                                                          \
     .kind = SOMA__FIELD_ENUM,                                                                     \
     .offset = offsetof(options, activation),                                                      \
     .choices = soma__activation_names,                                                            \
     .doc = "function applied to the result"},                                                     \
        SOMA__FIELD_INIT(options, init, "initial weights"),                                        \
        SOMA__FIELD_INIT(options, bias_init, "initial bias [zeros]"),                              \
        {.key = "no_bias",                                                                         \
         .kind = SOMA__FIELD_BOOL,                                                                 \
         .offset = offsetof(options, no_bias),                                                     \
         .doc = "leave the bias out"},                                                             \
        {.key = "frozen",                                                                          \
         .kind = SOMA__FIELD_BOOL,                                                                 \
         .offset = offsetof(options, frozen),                                                      \
         .doc = "do not train the parameters"},                                                    \
        SOMA__FIELD_NAME(options)

#define FILTERS WHOLE(filters, true, "number of output channels")
#define MULTIPLIER WHOLE(multiplier, false, "outputs of each input channel [1]")
#define FORWARD(dims_)                                                                             \
    {                                                                                              \
        FILTERS, GEOMETRY(dims_), FORWARD_PADDING, GROUPS, COMMON                                  \
    }
#define TRANSPOSED(dims_)                                                                          \
    {                                                                                              \
        FILTERS, GEOMETRY(dims_), PADDING("same: the output is as large as input · stride"),       \
            EACH(output_padding, dims_, 0, "cells added at the ends of the output [0]"), GROUPS,   \
            COMMON                                                                                 \
    }

static const soma__field conv1d_fields[] = FORWARD(1);
static const soma__field conv3d_fields[] = FORWARD(3);
static const soma__field conv_transpose1d_fields[] = TRANSPOSED(1);
static const soma__field conv_transpose2d_fields[] = TRANSPOSED(2);
static const soma__field conv_transpose3d_fields[] = TRANSPOSED(3);
static const soma__field depthwise_conv2d_fields[] = {MULTIPLIER, GEOMETRY(2), FORWARD_PADDING,
                                                      COMMON};
static const soma__field separable_conv2d_fields[] = {FILTERS, MULTIPLIER, GEOMETRY(2),
                                                      FORWARD_PADDING, COMMON};

/* --- building ----------------------------------------------------------------------------------
 */

static bool is_image(soma__layer_build *b, const soma_layer *layer, soma_var x, int dims)
{
    static const char *const wanted[] = {NULL, "lines [N,L,C]", "images [N,H,W,C]",
                                         "volumes [N,D,H,W,C]"};
    soma_shape shape = soma_var_shape(x);
    char text[SOMA_SHAPE_TEXT_SIZE];
    if (shape.ndim == dims + 2)
        return true;
    soma__layer_fail(b, layer, SOMA_SHAPE, "needs %s, got %s; use reshape before it", wanted[dims],
                     soma_shape_text(&shape, text, sizeof text));
    return false;
}

/* The options as the op takes them; false with both pad and padding. */
static bool geometry(soma__layer_build *b, const soma_layer *layer, int dims,
                     soma_conv_nd_options *to)
{
    const options *o = (const options *)layer->options;
    *to = (soma_conv_nd_options){.padding = o->padding, .groups = o->groups ? o->groups : 1};
    bool padded = false;
    for (int d = 0; d < dims; d++) {
        to->stride[d] = o->stride[d];
        to->dilation[d] = o->dilation[d];
        to->output_padding[d] = o->output_padding[d];
    }
    for (int i = 0; i < 2 * dims; i++) {
        to->pad[i] = o->pad[i];
        padded = padded || o->pad[i] != 0;
    }
    if (padded && o->padding != SOMA_PAD_EXPLICIT) {
        soma__layer_fail(b, layer, SOMA_INVALID,
                         "both pad and padding: %s are given; leave one out",
                         soma__padding_names[o->padding]);
        return false;
    }
    if (o->activation != SOMA_LINEAR)
        b->next = o->activation;
    return true;
}

/* [first, kernel…, last], and the product of the kernel. */
static soma_shape weight_shape(const options *o, int dims, int64_t first, int64_t last,
                               double *window)
{
    soma_shape shape = {.ndim = dims + 2};
    *window = 1;
    shape.dim[0] = first;
    shape.dim[dims + 1] = last;
    for (int d = 0; d < dims; d++) {
        shape.dim[d + 1] = o->kernel[0] ? o->kernel[d] : DEFAULT_KERNEL;
        *window *= (double)shape.dim[d + 1];
    }
    return shape;
}

static soma_var finish(soma__layer_build *b, const soma_layer *layer, soma_var y, int64_t channels)
{
    const options *o = (const options *)layer->options;
    if (!o->no_bias)
        y = soma_add(y, soma__layer_param(b, layer,
                                          &(soma__param){.name = "bias",
                                                         .shape = SOMA_SHAPE(channels),
                                                         .init = SOMA_INIT_ZEROS,
                                                         .how = &o->bias_init,
                                                         .frozen = o->frozen}));
    return soma__activate(o->activation, y);
}

typedef soma_var conv_op(soma_var x, soma_var w, soma_conv_nd_options options);

/* `transposed`: the weight is that of the conv which goes the other way. */
static soma_var build_conv(soma__layer_build *b, const soma_layer *layer, soma_var x, int dims,
                           conv_op *op, bool transposed)
{
    const options *o = (const options *)layer->options;
    soma_conv_nd_options how;
    double window = 0, steps = 1;
    if (!is_image(b, layer, x, dims) || !geometry(b, layer, dims, &how))
        return (soma_var){b->graph, -1};
    const int64_t channels = soma_var_shape(x).dim[dims + 1];
    if (channels % how.groups || o->filters % how.groups)
        return soma__layer_fail(
            b, layer, SOMA_SHAPE,
            "%lld input channels and %lld filters cannot be cut into %lld groups",
            (long long)channels, (long long)o->filters, (long long)how.groups);
    soma_shape shape = transposed
                           ? weight_shape(o, dims, channels, o->filters / how.groups, &window)
                           : weight_shape(o, dims, o->filters, channels / how.groups, &window);
    const int64_t per_group = channels / how.groups;
    /* An output of a transposed conv is reached by one in `stride` of the window's cells. */
    for (int d = 0; transposed && d < dims; d++)
        steps *= how.stride[d] ? (double)how.stride[d] : 1;
    soma_var weight =
        soma__layer_param(b, layer,
                          &(soma__param){.name = "weight",
                                         .shape = shape,
                                         .how = &o->init,
                                         .fan_in = fmax(window / steps, 1) * (double)per_group,
                                         .fan_out = window * (double)o->filters,
                                         .groups = how.groups,
                                         .frozen = o->frozen});
    return finish(b, layer, op(x, weight, how), o->filters);
}

/* The depthwise part of both layers: `outputs` channels. */
static soma_var depthwise(soma__layer_build *b, const soma_layer *layer, soma_var x,
                          const char *name, const soma_conv_nd_options *how, int64_t *outputs)
{
    const options *o = (const options *)layer->options;
    const int64_t channels = soma_var_shape(x).dim[3];
    double window = 0;
    if (!soma__mul64(channels, o->multiplier ? o->multiplier : 1, outputs))
        return soma__layer_fail(b, layer, SOMA_INVALID, "multiplier %lld is too large",
                                (long long)o->multiplier);
    /* Before the struct, whose members are filled in no certain order. */
    const soma_shape shape = weight_shape(o, 2, *outputs, 1, &window);
    soma_var weight = soma__layer_param(b, layer,
                                        &(soma__param){.name = name,
                                                       .shape = shape,
                                                       .how = &o->init,
                                                       .fan_in = window,
                                                       .fan_out = window,
                                                       .groups = channels,
                                                       .frozen = o->frozen});
    return soma_conv2d_opt(
        x, weight,
        (soma_conv_options){.stride = {how->stride[0], how->stride[1]},
                            .dilation = {how->dilation[0], how->dilation[1]},
                            .pad = {how->pad[0], how->pad[1], how->pad[2], how->pad[3]},
                            .padding = how->padding,
                            .groups = channels});
}

static soma_var build_depthwise_conv2d(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    soma_conv_nd_options how;
    int64_t outputs = 0;
    if (!is_image(b, layer, x, 2) || !geometry(b, layer, 2, &how))
        return (soma_var){b->graph, -1};
    soma_var y = depthwise(b, layer, x, "weight", &how, &outputs);
    return soma_var_ok(y) ? finish(b, layer, y, outputs) : y;
}

static soma_var build_separable_conv2d(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const options *o = (const options *)layer->options;
    soma_conv_nd_options how;
    int64_t between;
    if (!is_image(b, layer, x, 2) || !geometry(b, layer, 2, &how))
        return (soma_var){b->graph, -1};
    x = depthwise(b, layer, x, "depthwise", &how, &between);
    if (!soma_var_ok(x))
        return x;
    soma_var weight =
        soma__layer_param(b, layer,
                          &(soma__param){.name = "pointwise",
                                         .shape = SOMA_SHAPE(o->filters, 1, 1, between),
                                         .how = &o->init,
                                         .fan_in = (double)between,
                                         .fan_out = (double)o->filters,
                                         .frozen = o->frozen});
    return finish(b, layer, soma_conv2d(x, weight, .precision = b->precision), o->filters);
}

/* --- descriptors and builders for C ------------------------------------------------------------
 */

/* As a recipe would say it: what has an entry for each axis is given as a whole or not at all. */
static void complete(int64_t *values, int dims, int64_t rest)
{
    bool given = false;
    for (int d = 0; d < dims; d++)
        given = given || values[d] != 0;
    for (int d = 0; given && d < dims; d++)
        if (!values[d])
            values[d] = rest;
}

static soma_layer *new_layer(const soma__layer_type *type, options o, int dims)
{
    complete(o.kernel, dims, o.kernel[0] ? o.kernel[0] : DEFAULT_KERNEL);
    complete(o.stride, dims, 1);
    complete(o.dilation, dims, 1);
    return soma__layer_new(type, &o, NULL, 0);
}

#define LAYER_TYPE(name_, dims_, prefix_, primary_, doc_, shapes_, parameters_)                    \
    const soma__layer_type soma__layer_##name_ = {                                                 \
        .name = #name_,                                                                            \
        .prefix = prefix_,                                                                         \
        .doc = doc_,                                                                               \
        .shapes = shapes_,                                                                         \
        .parameters = parameters_,                                                                 \
        .size = sizeof(options),                                                                   \
        .fields = name_##_fields,                                                                  \
        .field_count = SOMA__FIELD_COUNT(name_##_fields),                                          \
        .primary = primary_,                                                                       \
        .build = build_##name_,                                                                    \
    };                                                                                             \
    soma_layer *soma_layer_##name_##_opt(soma_conv_nd_layer_options o)                             \
    {                                                                                              \
        return new_layer(&soma__layer_##name_, o, dims_);                                          \
    }

#define CONV(name_, dims_, transposed_)                                                            \
    static soma_var build_##name_(soma__layer_build *b, const soma_layer *layer, soma_var x)       \
    {                                                                                              \
        return build_conv(b, layer, x, dims_, soma_##name_##_opt, transposed_);                    \
    }
CONV(conv1d, 1, false)
CONV(conv3d, 3, false)
CONV(conv_transpose1d, 1, true)
CONV(conv_transpose2d, 2, true)
CONV(conv_transpose3d, 3, true)

LAYER_TYPE(conv1d, 1, "conv", "filters", "convolution over lines: activation(x ∗ weight + bias)",
           "[N,L,C] -> [N,Lo,filters]", "weight [filters,k,C/groups], bias [filters]")
LAYER_TYPE(conv3d, 3, "conv", "filters", "convolution over volumes: activation(x ∗ weight + bias)",
           "[N,D,H,W,C] -> [N,Do,Ho,Wo,filters]",
           "weight [filters,kd,kh,kw,C/groups], bias [filters]")
LAYER_TYPE(conv_transpose1d, 1, "deconv", "filters",
           "transposed convolution over lines, which makes them longer",
           "[N,L,C] -> [N,Lo,filters]", "weight [C,k,filters/groups], bias [filters]")
LAYER_TYPE(conv_transpose2d, 2, "deconv", "filters",
           "transposed convolution over images, which makes them larger",
           "[N,H,W,C] -> [N,Ho,Wo,filters]", "weight [C,kh,kw,filters/groups], bias [filters]")
LAYER_TYPE(conv_transpose3d, 3, "deconv", "filters",
           "transposed convolution over volumes, which makes them larger",
           "[N,D,H,W,C] -> [N,Do,Ho,Wo,filters]",
           "weight [C,kd,kh,kw,filters/groups], bias [filters]")
LAYER_TYPE(depthwise_conv2d, 2, "depthwise", NULL,
           "convolution of each channel on its own: activation(x ∗ weight + bias)",
           "[N,H,W,C] -> [N,Ho,Wo,C·multiplier]",
           "weight [C·multiplier,kh,kw,1], bias [C·multiplier]")
LAYER_TYPE(separable_conv2d, 2, "separable", "filters",
           "a depthwise convolution, then one of 1x1: activation(x ∗ depthwise ∗ pointwise + bias)",
           "[N,H,W,C] -> [N,Ho,Wo,filters]",
           "depthwise [C·multiplier,kh,kw,1], pointwise [filters,1,1,C·multiplier], bias "
           "[filters]")
