/* pool_nd.c: pooling layers beside max_pool2d and avg_pool2d: over lines and volumes, Lp, adaptive
 * and global ones. */
#include <math.h>
#include <stddef.h>

#include "nn/layer.h"

static bool is_image(soma__layer_build *b, const soma_layer *layer, soma_var x, int least, int most)
{
    soma_shape shape = soma_var_shape(x);
    char text[SOMA_SHAPE_TEXT_SIZE];
    static const char *const wanted[] = {NULL, "lines [N,L,C]", "images [N,H,W,C]",
                                         "volumes [N,D,H,W,C]"};
    if (shape.ndim >= least + 2 && shape.ndim <= most + 2)
        return true;
    soma__layer_fail(b, layer, SOMA_SHAPE, "needs %s, got %s; use reshape before it",
                     least == most ? wanted[least] : "lines, images or volumes [N,…,C]",
                     soma_shape_text(&shape, text, sizeof text));
    return false;
}

/* --- windows -----------------------------------------------------------------------------------
 */

typedef soma_pool_nd_layer_options options;

#define EACH(key_, count_, min_, required_, doc_)                                                  \
    {                                                                                              \
        .key = #key_, .kind = SOMA__FIELD_INTS, .offset = offsetof(options, key_),                 \
        .count = count_, .min = min_, .max = INFINITY, .required = required_, .doc = doc_          \
    }
#define WINDOW(dims_)                                                                              \
    EACH(size, dims_, 1, true, "window along each image axis"),                                    \
        EACH(stride, dims_, 1, false, "step along each image axis [the window]"),                  \
        EACH(dilation, dims_, 1, false, "distance between the window's cells [1]"),                \
        EACH(pad, 2 * dims_, 0, false,                                                             \
             "cells at the begins of all image axes, then at their ends [0]"),                     \
        {.key = "padding",                                                                         \
         .kind = SOMA__FIELD_ENUM,                                                                 \
         .offset = offsetof(options, padding),                                                     \
         .choices = soma__padding_names,                                                           \
         .doc = "same: the output is as large as input / stride; valid: no padding"},              \
        {.key = "ceil_mode",                                                                       \
         .kind = SOMA__FIELD_BOOL,                                                                 \
         .offset = offsetof(options, ceil_mode),                                                   \
         .doc = "one more window for the cells that are left over"},                               \
        SOMA__FIELD_NAME(options)
#define COUNT_PAD                                                                                  \
    {                                                                                              \
        .key = "count_pad", .kind = SOMA__FIELD_BOOL, .offset = offsetof(options, count_pad),      \
        .doc = "padded cells count in the mean"                                                    \
    }
#define POWER                                                                                      \
    {                                                                                              \
        .key = "p", .kind = SOMA__FIELD_FLOAT, .offset = offsetof(options, p), .min = 1,           \
        .max = 1e6, .doc = "of the norm [2]"                                                       \
    }

static const soma__field max_pool1d_fields[] = {WINDOW(1)};
static const soma__field max_pool3d_fields[] = {WINDOW(3)};
static const soma__field avg_pool1d_fields[] = {WINDOW(1), COUNT_PAD};
static const soma__field avg_pool3d_fields[] = {WINDOW(3), COUNT_PAD};
static const soma__field lp_pool1d_fields[] = {WINDOW(1), POWER};
static const soma__field lp_pool2d_fields[] = {WINDOW(2), POWER};
static const soma__field lp_pool3d_fields[] = {WINDOW(3), POWER};

typedef soma_var pool_op(soma_var x, soma_pool_nd_options options);

static soma_var build_pool(soma__layer_build *b, const soma_layer *layer, soma_var x, int dims,
                           pool_op *op)
{
    const options *o = (const options *)layer->options;
    soma_pool_nd_options how = {
        .padding = o->padding, .ceil_mode = o->ceil_mode, .count_pad = o->count_pad, .p = o->p};
    if (!is_image(b, layer, x, dims, dims))
        return (soma_var){b->graph, -1};
    for (int d = 0; d < dims; d++) {
        how.size[d] = o->size[d];
        how.stride[d] = o->stride[d];
        how.dilation[d] = o->dilation[d];
        how.pad[d] = o->pad[d];
        how.pad[d + dims] = o->pad[d + dims];
    }
    return op(x, how);
}

/* As a recipe would say it: what has an entry for each axis is given as a whole or not at all. */
static soma_layer *pool_layer(const soma__layer_type *type, options o, int dims)
{
    bool stride = false, dilation = false;
    for (int d = 0; d < dims; d++) {
        o.size[d] = o.size[d] ? o.size[d] : o.size[0];
        stride = stride || o.stride[d] != 0;
        dilation = dilation || o.dilation[d] != 0;
    }
    for (int d = 0; d < dims; d++) {
        if (stride && !o.stride[d])
            o.stride[d] = o.size[d];
        if (dilation && !o.dilation[d])
            o.dilation[d] = 1;
    }
    return soma__layer_new(type, &o, NULL, 0);
}

#define POOL(name_, dims_, doc_, shapes_)                                                          \
    static soma_var build_##name_(soma__layer_build *b, const soma_layer *layer, soma_var x)       \
    {                                                                                              \
        return build_pool(b, layer, x, dims_, soma_##name_##_opt);                                 \
    }                                                                                              \
    const soma__layer_type soma__layer_##name_ = {                                                 \
        .name = #name_,                                                                            \
        .prefix = "pool",                                                                          \
        .doc = doc_,                                                                               \
        .shapes = shapes_,                                                                         \
        .parameters = "",                                                                          \
        .size = sizeof(options),                                                                   \
        .fields = name_##_fields,                                                                  \
        .field_count = SOMA__FIELD_COUNT(name_##_fields),                                          \
        .primary = "size",                                                                         \
        .transparent = true,                                                                       \
        .build = build_##name_,                                                                    \
    };                                                                                             \
    soma_layer *soma_layer_##name_##_opt(soma_pool_nd_layer_options o)                             \
    {                                                                                              \
        return pool_layer(&soma__layer_##name_, o, dims_);                                         \
    }
POOL(max_pool1d, 1, "the largest value of each window", "[N,L,C] -> [N,Lo,C]")
POOL(max_pool3d, 3, "the largest value of each window", "[N,D,H,W,C] -> [N,Do,Ho,Wo,C]")
POOL(avg_pool1d, 1, "the mean of each window", "[N,L,C] -> [N,Lo,C]")
POOL(avg_pool3d, 3, "the mean of each window", "[N,D,H,W,C] -> [N,Do,Ho,Wo,C]")
POOL(lp_pool1d, 1, "(Σ|x|^p)^(1/p) of each window", "[N,L,C] -> [N,Lo,C]")
POOL(lp_pool2d, 2, "(Σ|x|^p)^(1/p) of each window", "[N,H,W,C] -> [N,Ho,Wo,C]")
POOL(lp_pool3d, 3, "(Σ|x|^p)^(1/p) of each window", "[N,D,H,W,C] -> [N,Do,Ho,Wo,C]")

/* --- adaptive ----------------------------------------------------------------------------------
 */

typedef struct adaptive_options {
    int64_t size[3];
    const char *name;
} adaptive_options;

#define ADAPTIVE_FIELDS(dims_, doc_)                                                               \
    static const soma__field adaptive##dims_##d_fields[] = {                                       \
        {.key = "size",                                                                            \
         .kind = SOMA__FIELD_INTS,                                                                 \
         .offset = offsetof(adaptive_options, size),                                               \
         .count = dims_,                                                                           \
         .min = 1,                                                                                 \
         .max = INFINITY,                                                                          \
         .required = true,                                                                         \
         .doc = doc_},                                                                             \
        SOMA__FIELD_NAME(adaptive_options),                                                        \
    };
ADAPTIVE_FIELDS(1, "length of the result")
ADAPTIVE_FIELDS(2, "height and width of the result")
ADAPTIVE_FIELDS(3, "depth, height and width of the result")

static soma_layer *adaptive_layer(const soma__layer_type *type, int64_t first, int64_t second,
                                  int64_t third)
{
    return soma__layer_new(type, &(adaptive_options){.size = {first, second, third}}, NULL, 0);
}

#define ADAPTIVE(name_, dims_, op_, doc_, shapes_)                                                 \
    static soma_var build_##name_(soma__layer_build *b, const soma_layer *layer, soma_var x)       \
    {                                                                                              \
        const adaptive_options *o = (const adaptive_options *)layer->options;                      \
        return is_image(b, layer, x, dims_, dims_) ? op_(x, o->size, dims_)                        \
                                                   : (soma_var){b->graph, -1};                     \
    }                                                                                              \
    const soma__layer_type soma__layer_##name_ = {                                                 \
        .name = #name_,                                                                            \
        .prefix = "pool",                                                                          \
        .doc = doc_,                                                                               \
        .shapes = shapes_,                                                                         \
        .parameters = "",                                                                          \
        .size = sizeof(adaptive_options),                                                          \
        .fields = adaptive##dims_##d_fields,                                                       \
        .field_count = SOMA__FIELD_COUNT(adaptive##dims_##d_fields),                               \
        .primary = "size",                                                                         \
        .transparent = true,                                                                       \
        .build = build_##name_,                                                                    \
    };
#define ADAPTIVE_MAX(dims_, shapes_)                                                               \
    ADAPTIVE(adaptive_max_pool##dims_##d, dims_, soma_adaptive_max_pool,                           \
             "the largest value of each of so many even windows, whatever the input's size",       \
             shapes_)
#define ADAPTIVE_AVG(dims_, shapes_)                                                               \
    ADAPTIVE(adaptive_avg_pool##dims_##d, dims_, soma_adaptive_avg_pool,                           \
             "the mean of each of so many even windows, whatever the input's size", shapes_)
ADAPTIVE_MAX(1, "[N,L,C] -> [N,size,C]")
ADAPTIVE_MAX(2, "[N,H,W,C] -> [N,size,C]")
ADAPTIVE_MAX(3, "[N,D,H,W,C] -> [N,size,C]")
ADAPTIVE_AVG(1, "[N,L,C] -> [N,size,C]")
ADAPTIVE_AVG(2, "[N,H,W,C] -> [N,size,C]")
ADAPTIVE_AVG(3, "[N,D,H,W,C] -> [N,size,C]")

soma_layer *soma_layer_adaptive_max_pool1d(int64_t length)
{
    return adaptive_layer(&soma__layer_adaptive_max_pool1d, length, 0, 0);
}
soma_layer *soma_layer_adaptive_avg_pool1d(int64_t length)
{
    return adaptive_layer(&soma__layer_adaptive_avg_pool1d, length, 0, 0);
}
soma_layer *soma_layer_adaptive_max_pool2d(int64_t height, int64_t width)
{
    return adaptive_layer(&soma__layer_adaptive_max_pool2d, height, width, 0);
}
soma_layer *soma_layer_adaptive_avg_pool2d(int64_t height, int64_t width)
{
    return adaptive_layer(&soma__layer_adaptive_avg_pool2d, height, width, 0);
}
soma_layer *soma_layer_adaptive_max_pool3d(int64_t depth, int64_t height, int64_t width)
{
    return adaptive_layer(&soma__layer_adaptive_max_pool3d, depth, height, width);
}
soma_layer *soma_layer_adaptive_avg_pool3d(int64_t depth, int64_t height, int64_t width)
{
    return adaptive_layer(&soma__layer_adaptive_avg_pool3d, depth, height, width);
}

/* --- over all of a channel ---------------------------------------------------------------------
 */

typedef struct global_options {
    const char *name;
} global_options;

static const soma__field global_fields[] = {SOMA__FIELD_NAME(global_options)};

static soma_var build_global_max(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    return is_image(b, layer, x, 1, 3) ? soma_global_max_pool(x) : (soma_var){b->graph, -1};
}

const soma__layer_type soma__layer_global_max_pool2d = {
    .name = "global_max_pool2d",
    .prefix = "pool",
    .doc = "the largest value of each channel; of lines and volumes as well",
    .shapes = "[N,…,C] -> [N,C]",
    .parameters = "",
    .size = sizeof(global_options),
    .fields = global_fields,
    .field_count = SOMA__FIELD_COUNT(global_fields),
    .transparent = true,
    .build = build_global_max,
};

soma_layer *soma_layer_global_max_pool2d(void)
{
    return soma__layer_new(&soma__layer_global_max_pool2d, &(global_options){0}, NULL, 0);
}
