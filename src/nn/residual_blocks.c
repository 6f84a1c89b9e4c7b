/* residual_blocks.c: conv_norm and the blocks of residual networks. */
#include <math.h>
#include <stddef.h>

#include "nn/blocks.h"

/* --- what all blocks share ----------------------------------------------------------------------
 */

void soma__add_conv(soma__layer_list *list, int64_t filters, int64_t k, int64_t stride,
                    int64_t groups)
{
    int64_t pad = k / 2;
    soma__layer_list_add(list, soma_layer_conv2d(filters, k, .stride = {stride, stride},
                                                 .pad = {pad, pad, pad, pad}, .groups = groups,
                                                 .no_bias = true));
}

void soma__add_conv_norm(soma__layer_list *list, int64_t filters, int64_t k, int64_t stride,
                         int64_t groups, soma_activation activation)
{
    soma__add_conv(list, filters, k, stride, groups);
    soma__layer_list_add(list, soma_layer_batch_norm());
    if (activation != SOMA_LINEAR)
        soma__layer_list_add(list, soma_layer_activation(activation));
}

void soma__add_norm_conv(soma__layer_list *list, int64_t filters, int64_t k)
{
    soma__layer_list_add(list, soma_layer_batch_norm());
    soma__layer_list_add(list, soma_layer_activation(SOMA_RELU));
    soma__add_conv(list, filters, k, 1, 1);
}

bool soma__wants_images(soma__layer_build *b, const soma_layer *layer, const soma_shape *x)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    if (x->ndim != 4)
        soma__layer_fail(b, layer, SOMA_SHAPE,
                         "needs images [N,H,W,C], got %s; use reshape before it",
                         soma_shape_text(x, text, sizeof text));
    return x->ndim == 4;
}

/* --- conv_norm ----------------------------------------------------------------------------------
 */

typedef soma_conv_norm_options conv_norm_options;

static const soma__field conv_norm_fields[] = {
    SOMA__FIELD_FILTERS(conv_norm_options, "number of output channels"),
    {.key = "kernel",
     .kind = SOMA__FIELD_INTS,
     .offset = offsetof(conv_norm_options, kernel),
     .count = 2,
     .min = 1,
     .max = INFINITY,
     .doc = "height and width of the window [3]"},
    {.key = "stride",
     .kind = SOMA__FIELD_INTS,
     .offset = offsetof(conv_norm_options, stride),
     .count = 2,
     .min = 1,
     .max = INFINITY,
     .doc = "step down and right [1]"},
    {.key = "padding",
     .kind = SOMA__FIELD_ENUM,
     .offset = offsetof(conv_norm_options, padding),
     .choices = soma__padding_names,
     .doc = "explicit: kernel/2 cells on all sides; same: output = input / stride; valid: none"},
    SOMA__FIELD_WHOLE(conv_norm_options, groups, "groups of channels that do not see each other"),
    SOMA__FIELD_ACTIVATION(conv_norm_options, activation, "after the norm [relu]"),
    SOMA__FIELD_FLAG(conv_norm_options, no_activation, "leave the activation out"),
    SOMA__FIELD_NAME(conv_norm_options),
};

static soma_layer *expand_conv_norm(soma__layer_build *b, const soma_layer *layer,
                                    const soma_shape *x)
{
    const conv_norm_options *o = (const conv_norm_options *)layer->options;
    int64_t kh = soma__or(o->kernel[0], 3), kw = soma__or(o->kernel[1], kh);
    bool explicit_pad = o->padding == SOMA_PAD_EXPLICIT;
    int64_t down = explicit_pad ? kh / 2 : 0, right = explicit_pad ? kw / 2 : 0;
    soma__layer_list list = {0};

    if (!soma__wants_images(b, layer, x))
        return NULL;
    soma__layer_list_add(
        &list, soma_layer_conv2d_opt((soma_conv2d_options){.filters = o->filters,
                                                           .kernel = {kh, kw},
                                                           .stride = {o->stride[0], o->stride[1]},
                                                           .pad = {down, right, down, right},
                                                           .padding = o->padding,
                                                           .groups = o->groups,
                                                           .no_bias = true}));
    soma__layer_list_add(&list, soma_layer_batch_norm());
    if (!o->no_activation)
        soma__layer_list_add(&list,
                             soma_layer_activation(soma__or_activation(o->activation, SOMA_RELU)));
    return soma__layer_list_sequential(&list);
}

const soma__layer_type soma__layer_conv_norm = {
    .name = "conv_norm",
    .prefix = "conv",
    .doc = "conv2d without bias, batch_norm, activation",
    .shapes = "[N,H,W,C] -> [N,Ho,Wo,filters]",
    .parameters = "of conv1, norm1",
    .size = sizeof(conv_norm_options),
    .fields = conv_norm_fields,
    .field_count = SOMA__FIELD_COUNT(conv_norm_fields),
    .primary = "filters",
    .expand = expand_conv_norm,
};

soma_layer *soma_layer_conv_norm_opt(soma_conv_norm_options o)
{
    if (o.kernel[1] && !o.kernel[0])
        o.kernel[0] = 3;
    if (!o.kernel[1])
        o.kernel[1] = o.kernel[0];
    for (int i = 0; i < 2; i++)
        if (!o.stride[i] && o.stride[1 - i])
            o.stride[i] = 1;
    return soma__layer_new(&soma__layer_conv_norm, &o, NULL, 0);
}

/* --- pad_shortcut -------------------------------------------------------------------------------
 */

typedef struct pad_options {
    int64_t filters, stride;
    const char *name;
} pad_options;

static const soma__field pad_fields[] = {
    SOMA__FIELD_FILTERS(pad_options, "number of output channels, at least the input's"),
    SOMA__FIELD_WHOLE(pad_options, stride, "every so many cells one stays [1]"),
    SOMA__FIELD_NAME(pad_options),
};

static soma_var build_pad_shortcut(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const pad_options *o = (const pad_options *)layer->options;
    soma_shape shape = soma_var_shape(x);
    int64_t stride = soma__or(o->stride, 1);

    if (!soma__wants_images(b, layer, &shape))
        return (soma_var){b->graph, -1};
    int64_t more = o->filters - shape.dim[3];
    if (more < 0)
        return soma__layer_fail(b, layer, SOMA_SHAPE,
                                "%lld filters are fewer than the input's %lld channels",
                                (long long)o->filters, (long long)shape.dim[3]);
    if (stride > 1)
        x = soma_avg_pool2d(x, .size = {1, 1}, .stride = {stride, stride});
    return soma_pad(x, (const int64_t[]){0, 0, 0, more / 2},
                    (const int64_t[]){0, 0, 0, more - more / 2}, 4, 0);
}

const soma__layer_type soma__layer_pad_shortcut = {
    .name = "pad_shortcut",
    .prefix = "shortcut",
    .doc = "every stride-th cell, and zeros as further channels (He et al. 2016, option A)",
    .shapes = "[N,H,W,C] -> [N,H/stride,W/stride,filters]",
    .parameters = "",
    .size = sizeof(pad_options),
    .fields = pad_fields,
    .field_count = SOMA__FIELD_COUNT(pad_fields),
    .primary = "filters",
    .build = build_pad_shortcut,
};

soma_layer *soma_layer_pad_shortcut(int64_t filters, int64_t stride)
{
    return soma__layer_new(&soma__layer_pad_shortcut,
                           &(pad_options){.filters = filters, .stride = stride}, NULL, 0);
}

/* --- basic_block, bottleneck --------------------------------------------------------------------
 */

typedef soma_residual_block_options block_options;

const char *const soma__shortcut_names[] = {"default", "projection", "pad", NULL};

#define BLOCK_FIELDS                                                                               \
    SOMA__FIELD_FILTERS(block_options, "channels of the 3x3 convolutions"),                        \
        SOMA__FIELD_WHOLE(block_options, stride, "of the first 3x3 convolution [1]"),              \
        SOMA__FIELD_SHORTCUT(block_options),                                                       \
        SOMA__FIELD_WHOLE(block_options, squeeze, "squeeze_excite with this ratio [none]"),        \
        SOMA__FIELD_ACTIVATION(block_options, activation, "within and after the sum [relu]"),      \
        SOMA__FIELD_NAME(block_options)

static const soma__field basic_fields[] = {BLOCK_FIELDS};
static const soma__field bottleneck_fields[] = {
    SOMA__FIELD_WHOLE(block_options, outputs, "output channels [4 filters]"),
    SOMA__FIELD_WHOLE(block_options, groups, "of the 3x3 convolution (Xie et al. 2017) [1]"),
    BLOCK_FIELDS,
};

/* activation(body + shortcut), with the shortcut that the change of shape asks for. */
static soma_layer *around(const block_options *o, soma__layer_list *body, const soma_shape *x,
                          int64_t outputs)
{
    int64_t stride = soma__or(o->stride, 1);
    soma_layer *side = NULL;

    if (o->squeeze)
        soma__layer_list_add(body, soma_layer_squeeze_excite(.ratio = o->squeeze));
    if (stride != 1 || x->dim[3] != outputs) {
        if (o->shortcut == SOMA_SHORTCUT_PAD) {
            side = soma_layer_pad_shortcut(outputs, stride);
        } else {
            soma__layer_list list = {0};
            soma__add_conv_norm(&list, outputs, 1, stride, 1, SOMA_LINEAR);
            side = soma__layer_list_sequential(&list);
        }
    }
    return soma_layer_residual(soma__layer_list_sequential(body), side,
                               soma__or_activation(o->activation, SOMA_RELU));
}

static soma_layer *expand_basic(soma__layer_build *b, const soma_layer *layer, const soma_shape *x)
{
    const block_options *o = (const block_options *)layer->options;
    soma__layer_list body = {0};

    if (!soma__wants_images(b, layer, x))
        return NULL;
    soma__add_conv_norm(&body, o->filters, 3, soma__or(o->stride, 1), 1,
                        soma__or_activation(o->activation, SOMA_RELU));
    soma__add_conv_norm(&body, o->filters, 3, 1, 1, SOMA_LINEAR);
    return around(o, &body, x, o->filters);
}

static soma_layer *expand_bottleneck(soma__layer_build *b, const soma_layer *layer,
                                     const soma_shape *x)
{
    const block_options *o = (const block_options *)layer->options;
    soma_activation activation = soma__or_activation(o->activation, SOMA_RELU);
    soma__layer_list body = {0};

    if (!soma__wants_images(b, layer, x))
        return NULL;
    if (!o->outputs && o->filters > INT64_MAX / 4)
        return soma__layer_fail(b, layer, SOMA_SHAPE, "filters are too many"), NULL;
    int64_t outputs = o->outputs ? o->outputs : 4 * o->filters;
    soma__add_conv_norm(&body, o->filters, 1, 1, 1, activation);
    soma__add_conv_norm(&body, o->filters, 3, soma__or(o->stride, 1), soma__or(o->groups, 1),
                        activation);
    soma__add_conv_norm(&body, outputs, 1, 1, 1, SOMA_LINEAR);
    return around(o, &body, x, outputs);
}

const soma__layer_type soma__layer_basic_block = {
    .name = "basic_block",
    .prefix = "block",
    .doc = "residual block of two 3x3 convolutions (He et al. 2016)",
    .shapes = "[N,H,W,C] -> [N,H/stride,W/stride,filters]",
    .parameters = "of body, shortcut",
    .size = sizeof(block_options),
    .fields = basic_fields,
    .field_count = SOMA__FIELD_COUNT(basic_fields),
    .primary = "filters",
    .expand = expand_basic,
};

const soma__layer_type soma__layer_bottleneck = {
    .name = "bottleneck",
    .prefix = "block",
    .doc = "residual block of 1x1, 3x3 and 1x1 convolutions (He et al. 2016)",
    .shapes = "[N,H,W,C] -> [N,H/stride,W/stride,outputs]",
    .parameters = "of body, shortcut",
    .size = sizeof(block_options),
    .fields = bottleneck_fields,
    .field_count = SOMA__FIELD_COUNT(bottleneck_fields),
    .primary = "filters",
    .expand = expand_bottleneck,
};

soma_layer *soma_layer_basic_block_opt(soma_residual_block_options o)
{
    return soma__layer_new(&soma__layer_basic_block, &o, NULL, 0);
}

soma_layer *soma_layer_bottleneck_opt(soma_residual_block_options o)
{
    return soma__layer_new(&soma__layer_bottleneck, &o, NULL, 0);
}
