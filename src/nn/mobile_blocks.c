/* mobile_blocks.c: squeeze-and-excitation, and the blocks of MobileNets. */
#include <math.h>
#include <stddef.h>

#include "nn/blocks.h"

/* --- squeeze_excite -----------------------------------------------------------------------------
 */

typedef soma_squeeze_options squeeze_options;

static const soma__field squeeze_fields[] = {
    SOMA__FIELD_WHOLE(squeeze_options, ratio, "hidden units: channels / ratio [16]"),
    SOMA__FIELD_WHOLE(squeeze_options, units, "hidden units, in the place of the ratio"),
    SOMA__FIELD_ACTIVATION(squeeze_options, activation, "of the hidden units [relu]"),
    SOMA__FIELD_ACTIVATION(squeeze_options, gate, "of the factors [sigmoid]"),
    SOMA__FIELD_NAME(squeeze_options),
};

static soma_layer *expand_squeeze(soma__layer_build *b, const soma_layer *layer,
                                  const soma_shape *x)
{
    const squeeze_options *o = (const squeeze_options *)layer->options;

    if (!soma__wants_images(b, layer, x))
        return NULL;
    int64_t channels = x->dim[3], units = channels / soma__or(o->ratio, 16);
    if (o->units)
        units = o->units;
    return soma_layer_gate(soma_layer_sequential(
        soma_layer_global_avg_pool2d(),
        soma_layer_dense(units ? units : 1,
                         .activation = soma__or_activation(o->activation, SOMA_RELU)),
        soma_layer_dense(channels, .activation = soma__or_activation(o->gate, SOMA_SIGMOID))));
}

const soma__layer_type soma__layer_squeeze_excite = {
    .name = "squeeze_excite",
    .prefix = "squeeze",
    .doc = "each channel times a factor learnt from all channels' means (Hu et al. 2018)",
    .shapes = "[N,H,W,C] -> [N,H,W,C]",
    .parameters = "of body.dense1, body.dense2",
    .size = sizeof(squeeze_options),
    .fields = squeeze_fields,
    .field_count = SOMA__FIELD_COUNT(squeeze_fields),
    .primary = "ratio",
    .expand = expand_squeeze,
};

soma_layer *soma_layer_squeeze_excite_opt(soma_squeeze_options o)
{
    return soma__layer_new(&soma__layer_squeeze_excite, &o, NULL, 0);
}

/* --- separable_block, inverted_residual ---------------------------------------------------------
 */

typedef soma_mobile_options options;

static const soma__field separable_fields[] = {
    SOMA__FIELD_FILTERS(options, "number of output channels"),
    SOMA__FIELD_WHOLE(options, stride, "of the depthwise convolution [1]"),
    SOMA__FIELD_WHOLE(options, kernel, "of the depthwise convolution [3]"),
    SOMA__FIELD_ACTIVATION(options, activation, "after each convolution [relu]"),
    SOMA__FIELD_NAME(options),
};
static const soma__field inverted_fields[] = {
    SOMA__FIELD_FILTERS(options, "number of output channels"),
    SOMA__FIELD_WHOLE(options, stride, "of the depthwise convolution [1]"),
    SOMA__FIELD_WHOLE(options, kernel, "of the depthwise convolution [3]"),
    SOMA__FIELD_WHOLE(options, expand, "hidden channels / input channels [6]"),
    SOMA__FIELD_WHOLE(options, squeeze, "squeeze_excite with this ratio [none]"),
    SOMA__FIELD_ACTIVATION(options, activation, "after the first two convolutions [relu6]"),
    SOMA__FIELD_ACTIVATION(options, gate, "of the squeeze_excite [sigmoid]"),
    SOMA__FIELD_NAME(options),
};

static soma_layer *expand_separable(soma__layer_build *b, const soma_layer *layer,
                                    const soma_shape *x)
{
    const options *o = (const options *)layer->options;
    soma_activation activation = soma__or_activation(o->activation, SOMA_RELU);
    soma__layer_list list = {0};

    if (!soma__wants_images(b, layer, x))
        return NULL;
    soma__add_conv_norm(&list, x->dim[3], soma__or(o->kernel, 3), soma__or(o->stride, 1), x->dim[3],
                        activation);
    soma__add_conv_norm(&list, o->filters, 1, 1, 1, activation);
    return soma__layer_list_sequential(&list);
}

static soma_layer *expand_inverted(soma__layer_build *b, const soma_layer *layer,
                                   const soma_shape *x)
{
    const options *o = (const options *)layer->options;
    soma_activation activation = soma__or_activation(o->activation, SOMA_RELU6);
    int64_t factor = soma__or(o->expand, 6), stride = soma__or(o->stride, 1);
    soma__layer_list list = {0};

    if (!soma__wants_images(b, layer, x))
        return NULL;
    if (x->dim[3] > INT64_MAX / factor)
        return soma__layer_fail(b, layer, SOMA_SHAPE, "the hidden channels are too many"), NULL;
    int64_t hidden = x->dim[3] * factor;
    if (factor != 1)
        soma__add_conv_norm(&list, hidden, 1, 1, 1, activation);
    soma__add_conv_norm(&list, hidden, soma__or(o->kernel, 3), stride, hidden, activation);
    if (o->squeeze)
        soma__layer_list_add(&list,
                             soma_layer_squeeze_excite(.ratio = o->squeeze, .gate = o->gate));
    soma__add_conv_norm(&list, o->filters, 1, 1, 1, SOMA_LINEAR);
    soma_layer *body = soma__layer_list_sequential(&list);
    return stride == 1 && x->dim[3] == o->filters ? soma_layer_residual(body, NULL, SOMA_LINEAR)
                                                  : body;
}

const soma__layer_type soma__layer_separable_block = {
    .name = "separable_block",
    .prefix = "block",
    .doc = "depthwise and 1x1 convolution, each with batch norm (MobileNet, Howard et al. 2017)",
    .shapes = "[N,H,W,C] -> [N,H/stride,W/stride,filters]",
    .parameters = "of conv1, norm1, conv2, norm2",
    .size = sizeof(options),
    .fields = separable_fields,
    .field_count = SOMA__FIELD_COUNT(separable_fields),
    .primary = "filters",
    .expand = expand_separable,
};

const soma__layer_type soma__layer_inverted_residual = {
    .name = "inverted_residual",
    .prefix = "block",
    .doc = "1x1 expansion, depthwise, linear 1x1, added to the input where the shape stays "
           "(MobileNetV2, Sandler et al. 2018)",
    .shapes = "[N,H,W,C] -> [N,H/stride,W/stride,filters]",
    .parameters = "of body, or conv1, norm1, … where nothing is added",
    .size = sizeof(options),
    .fields = inverted_fields,
    .field_count = SOMA__FIELD_COUNT(inverted_fields),
    .primary = "filters",
    .expand = expand_inverted,
};

soma_layer *soma_layer_separable_block_opt(soma_mobile_options o)
{
    return soma__layer_new(&soma__layer_separable_block, &o, NULL, 0);
}

soma_layer *soma_layer_inverted_residual_opt(soma_mobile_options o)
{
    return soma__layer_new(&soma__layer_inverted_residual, &o, NULL, 0);
}
