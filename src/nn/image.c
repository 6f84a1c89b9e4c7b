/* image.c: layers that give an image another size or border without learning anything. */
#include <math.h>
#include <stddef.h>

#include "nn/layer.h"

static bool is_image(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    soma_shape shape = soma_var_shape(x);
    char text[SOMA_SHAPE_TEXT_SIZE];
    if (shape.ndim == 4)
        return true;
    soma__layer_fail(b, layer, SOMA_SHAPE, "needs images [N,H,W,C], got %s; use reshape before it",
                     soma_shape_text(&shape, text, sizeof text));
    return false;
}

/* --- upsample2d --------------------------------------------------------------------------------
 */

typedef soma_upsample_options upsample_options;

/* In the order of soma_resize_mode. */
static const char *const mode_names[] = {"nearest", "linear", "cubic", NULL};

static const soma__field upsample_fields[] = {
    {.key = "scale",
     .kind = SOMA__FIELD_INTS,
     .offset = offsetof(upsample_options, scale),
     .count = 2,
     .min = 1,
     .max = INFINITY,
     .doc = "how many times higher and wider [2, unless there is a size]"},
    {.key = "size",
     .kind = SOMA__FIELD_INTS,
     .offset = offsetof(upsample_options, size),
     .count = 2,
     .min = 1,
     .max = INFINITY,
     .doc = "height and width of the result, in the place of scale"},
    {.key = "mode",
     .kind = SOMA__FIELD_ENUM,
     .offset = offsetof(upsample_options, mode),
     .choices = mode_names,
     .doc = "between the cells of the image"},
    {.key = "align_corners",
     .kind = SOMA__FIELD_BOOL,
     .offset = offsetof(upsample_options, align_corners),
     .doc = "the outer cells stay in the corners (linear, cubic)"},
    SOMA__FIELD_NAME(upsample_options),
};

static soma_var build_upsample(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const upsample_options *o = (const upsample_options *)layer->options;
    soma_resize_options how = {.mode = o->mode};
    if (!is_image(b, layer, x))
        return (soma_var){b->graph, -1};
    if (o->scale[0] && o->size[0])
        return soma__layer_fail(b, layer, SOMA_INVALID,
                                "both scale and size are given; leave one out");
    for (int d = 0; d < 2; d++) {
        how.size[d] = o->size[d];
        if (!o->size[0])
            how.scale[d] = o->scale[0] ? (double)o->scale[d] : 2;
    }
    if (o->align_corners && o->mode != SOMA_RESIZE_NEAREST)
        how.coordinates = SOMA_COORD_ALIGN_CORNERS;
    return soma_resize_opt(x, how);
}

const soma__layer_type soma__layer_upsample2d = {
    .name = "upsample2d",
    .prefix = "upsample",
    .doc = "larger images, by the values in between",
    .shapes = "[N,H,W,C] -> [N,Ho,Wo,C]",
    .parameters = "",
    .size = sizeof(upsample_options),
    .fields = upsample_fields,
    .field_count = SOMA__FIELD_COUNT(upsample_fields),
    .primary = "scale",
    .transparent = true,
    .build = build_upsample,
};

soma_layer *soma_layer_upsample2d_opt(soma_upsample_options o)
{
    if (!o.scale[1])
        o.scale[1] = o.scale[0];
    if (!o.size[1])
        o.size[1] = o.size[0];
    return soma__layer_new(&soma__layer_upsample2d, &o, NULL, 0);
}

/* --- depth_to_space, space_to_depth ------------------------------------------------------------
 */

typedef struct block_options {
    int64_t block;
    bool channels_first;
    const char *name;
} block_options;

static const soma__field block_fields[] = {
    {.key = "block",
     .kind = SOMA__FIELD_INT,
     .offset = offsetof(block_options, block),
     .min = 1,
     .max = 1024,
     .required = true,
     .doc = "pixels along a block's side"},
    {.key = "channels_first",
     .kind = SOMA__FIELD_BOOL,
     .offset = offsetof(block_options, channels_first),
     .doc = "a pixel's channels count channels before rows and columns (PyTorch's pixel_shuffle)"},
    SOMA__FIELD_NAME(block_options),
};

#define BLOCK(name_, prefix_, doc_, shapes_)                                                       \
    static soma_var build_##name_(soma__layer_build *b, const soma_layer *layer, soma_var x)       \
    {                                                                                              \
        const block_options *o = (const block_options *)layer->options;                            \
        return is_image(b, layer, x) ? soma_##name_(x, o->block, o->channels_first)                \
                                     : (soma_var){b->graph, -1};                                   \
    }                                                                                              \
    const soma__layer_type soma__layer_##name_ = {                                                 \
        .name = #name_,                                                                            \
        .prefix = prefix_,                                                                         \
        .doc = doc_,                                                                               \
        .shapes = shapes_,                                                                         \
        .parameters = "",                                                                          \
        .size = sizeof(block_options),                                                             \
        .fields = block_fields,                                                                    \
        .field_count = SOMA__FIELD_COUNT(block_fields),                                            \
        .primary = "block",                                                                        \
        .transparent = true,                                                                       \
        .build = build_##name_,                                                                    \
    };                                                                                             \
    soma_layer *soma_layer_##name_(int64_t block, bool channels_first)                             \
    {                                                                                              \
        return soma__layer_new(&soma__layer_##name_,                                               \
                               &(block_options){.block = block, .channels_first = channels_first}, \
                               NULL, 0);                                                           \
    }
BLOCK(depth_to_space, "shuffle", "channels to blocks of pixels (Shi et al. 2016)",
      "[N,H,W,C] -> [N,H·block,W·block,C/block²]")
BLOCK(space_to_depth, "unshuffle", "blocks of pixels to channels",
      "[N,H,W,C] -> [N,H/block,W/block,C·block²]")

/* --- borders -----------------------------------------------------------------------------------
 */

typedef struct pad_options {
    int64_t pad[4];
    const char *name;
} pad_options;

static const soma__field pad_fields[] = {
    {.key = "pad",
     .kind = SOMA__FIELD_INTS,
     .offset = offsetof(pad_options, pad),
     .count = 4,
     .min = 0,
     .max = INFINITY,
     .required = true,
     .doc = "cells at top, left, bottom, right"},
    SOMA__FIELD_NAME(pad_options),
};

static soma_var pad_image(soma__layer_build *b, const soma_layer *layer, soma_var x, int border)
{
    const pad_options *o = (const pad_options *)layer->options;
    const int64_t *pad = o->pad;
    const int64_t before[4] = {0, pad[0], pad[1], 0}, after[4] = {0, pad[2], pad[3], 0};
    if (!is_image(b, layer, x))
        return (soma_var){b->graph, -1};
    return border < 0 ? soma_pad(x, before, after, 4, 0)
                      : soma_pad_border(x, before, after, 4, (soma_pad_mode)border);
}

#define PAD(name_, border_, doc_)                                                                  \
    static soma_var build_##name_(soma__layer_build *b, const soma_layer *layer, soma_var x)       \
    {                                                                                              \
        return pad_image(b, layer, x, border_);                                                    \
    }                                                                                              \
    const soma__layer_type soma__layer_##name_ = {                                                 \
        .name = #name_,                                                                            \
        .prefix = "pad",                                                                           \
        .doc = doc_,                                                                               \
        .shapes = "[N,H,W,C] -> [N,Ho,Wo,C]",                                                      \
        .parameters = "",                                                                          \
        .size = sizeof(pad_options),                                                               \
        .fields = pad_fields,                                                                      \
        .field_count = SOMA__FIELD_COUNT(pad_fields),                                              \
        .primary = "pad",                                                                          \
        .transparent = true,                                                                       \
        .build = build_##name_,                                                                    \
    };                                                                                             \
    soma_layer *soma_layer_##name_(int64_t top, int64_t left, int64_t bottom, int64_t right)       \
    {                                                                                              \
        return soma__layer_new(&soma__layer_##name_,                                               \
                               &(pad_options){.pad = {top, left, bottom, right}}, NULL, 0);        \
    }
PAD(zero_pad2d, -1, "zeros around an image")
PAD(reflection_pad2d, SOMA_PAD_REFLECT,
    "an image's cells mirrored around it, without the outer ones")
PAD(replication_pad2d, SOMA_PAD_EDGE, "an image's outer cells repeated around it")
PAD(circular_pad2d, SOMA_PAD_WRAP, "an image's opposite cells around it")
