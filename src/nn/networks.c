/* networks.c: well-known networks as one layer each, which stands for its layers and blocks. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include "nn/blocks.h"

typedef soma_network_options options;

#define CLASSES SOMA__FIELD_WHOLE(options, classes, "number of outputs [1000]")
#define DROPOUT                                                                                    \
    {                                                                                              \
        .key = "dropout", .kind = SOMA__FIELD_FLOAT, .offset = offsetof(options, dropout),         \
        .min = -1, .max = 0.99,                                                                    \
        .doc = "share of values dropped before dense layers [as published]; negative: none"        \
    }
#define DEPTH(doc_)                                                                                \
    {                                                                                              \
        .key = "depth", .kind = SOMA__FIELD_INT, .offset = offsetof(options, depth), .min = 1,     \
        .max = 2000, .required = true, .doc = doc_                                                 \
    }
#define WIDTH                                                                                      \
    {                                                                                              \
        .key = "width", .kind = SOMA__FIELD_FLOAT, .offset = offsetof(options, width),             \
        .min = 0.01, .max = 100, .doc = "factor of all filters [1]"                                \
    }
#define STEM                                                                                       \
    {                                                                                              \
        .key = "stem", .kind = SOMA__FIELD_ENUM, .offset = offsetof(options, stem),                \
        .choices = stem_names,                                                                     \
        .doc = "for images of about 224x224 (imagenet) or 32x32 (cifar) [by the depth]"            \
    }
#define UNITS SOMA__FIELD_WHOLE(options, units, "of the dense layers [4096]")
#define HEADLESS                                                                                   \
    SOMA__FIELD_FLAG(options, headless, "end with the feature maps: no pooling, no dense layers")
#define BATCH_NORM SOMA__FIELD_FLAG(options, batch_norm, "after each convolution")
#define NAME SOMA__FIELD_NAME(options)

/* The common part of the descriptors. */
#define NETWORK(name_, doc_)                                                                       \
    .name = #name_, .prefix = #name_, .doc = doc_, .shapes = "[N,H,W,C] -> [N,classes]",           \
    .parameters = "of its layers", .size = sizeof(options), .fields = name_##_fields,              \
    .field_count = SOMA__FIELD_COUNT(name_##_fields), .expand = expand_##name_

static const char *const stem_names[] = {"auto", "imagenet", "cifar", NULL};

static int64_t classes(const options *o)
{
    return soma__or(o->classes, 1000);
}

/* Dropout with the given or the published share. */
static void add_dropout(soma__layer_list *list, const options *o, double published)
{
    double p = o->dropout > 0 ? o->dropout : o->dropout < 0 ? 0 : published;
    if (p > 0)
        soma__layer_list_add(list, soma_layer_dropout(p));
}

/* Means over the maps, dropout, a dense layer. */
static soma_layer *with_head(soma__layer_list *list, const options *o, double dropout)
{
    if (!o->headless) {
        soma__layer_list_add(list, soma_layer_global_avg_pool2d());
        add_dropout(list, o, dropout);
        soma__layer_list_add(list, soma_layer_dense(classes(o)));
    }
    return soma__layer_list_sequential(list);
}

/* --- alexnet, vgg -------------------------------------------------------------------------------
 */

/* Two hidden dense layers, as both networks have them. */
static soma_layer *with_dense_head(soma__layer_list *list, const options *o)
{
    if (!o->headless) {
        int64_t units = soma__or(o->units, 4096);
        soma__layer_list_add(list, soma_layer_flatten());
        for (int i = 0; i < 2; i++) {
            add_dropout(list, o, 0.5);
            soma__layer_list_add(list, soma_layer_dense(units, .activation = SOMA_RELU));
        }
        soma__layer_list_add(list, soma_layer_dense(classes(o)));
    }
    return soma__layer_list_sequential(list);
}

static const soma__field alexnet_fields[] = {CLASSES, UNITS, DROPOUT, HEADLESS, NAME};

static soma_layer *expand_alexnet(soma__layer_build *b, const soma_layer *layer,
                                  const soma_shape *x)
{
    static const int8_t kernel[5] = {11, 5, 3, 3, 3}, pad[5] = {2, 2, 1, 1, 1};
    static const int16_t filters[5] = {64, 192, 384, 256, 256};
    soma__layer_list list = {0};

    if (!soma__wants_images(b, layer, x))
        return NULL;
    for (int i = 0; i < 5; i++) {
        int64_t stride = i == 0 ? 4 : 1;
        soma__layer_list_add(&list,
                             soma_layer_conv2d(filters[i], kernel[i], .stride = {stride, stride},
                                               .pad = {pad[i], pad[i], pad[i], pad[i]},
                                               .activation = SOMA_RELU));
        if (i < 2 || i == 4)
            soma__layer_list_add(&list, soma_layer_max_pool2d(3, .stride = {2, 2}));
    }
    return with_dense_head(&list, (const options *)layer->options);
}

const soma__layer_type soma__layer_alexnet = {
    NETWORK(alexnet, "AlexNet in the one-tower form (Krizhevsky 2014)")};

static const soma__field vgg_fields[] = {
    DEPTH("11, 13, 16 or 19"), CLASSES, UNITS, DROPOUT, BATCH_NORM, HEADLESS, NAME};

static soma_layer *expand_vgg(soma__layer_build *b, const soma_layer *layer, const soma_shape *x)
{
    static const struct {
        int depth;
        int8_t convs[5];
    } forms[] = {
        {11, {1, 1, 2, 2, 2}}, {13, {2, 2, 2, 2, 2}}, {16, {2, 2, 3, 3, 3}}, {19, {2, 2, 4, 4, 4}}};
    const options *o = (const options *)layer->options;
    soma__layer_list list = {0};
    int form = 0;

    if (!soma__wants_images(b, layer, x))
        return NULL;
    while (form < 4 && forms[form].depth != o->depth)
        form++;
    if (form == 4)
        return soma__layer_fail(b, layer, SOMA_INVALID, "depth is 11, 13, 16 or 19, not %lld",
                                (long long)o->depth),
               NULL;
    for (int stage = 0; stage < 5; stage++) {
        int64_t filters = stage < 3 ? 64 << stage : 512;
        for (int i = 0; i < forms[form].convs[stage]; i++) {
            if (o->batch_norm)
                soma__add_conv_norm(&list, filters, 3, 1, 1, SOMA_RELU);
            else
                soma__layer_list_add(&list, soma_layer_conv2d(filters, 3, .pad = {1, 1, 1, 1},
                                                              .activation = SOMA_RELU));
        }
        soma__layer_list_add(&list, soma_layer_max_pool2d(2));
    }
    return with_dense_head(&list, o);
}

const soma__layer_type soma__layer_vgg = {
    NETWORK(vgg, "VGG: stacks of 3x3 convolutions (Simonyan & Zisserman 2015)"),
    .primary = "depth"};

/* --- resnet -------------------------------------------------------------------------------------
 */

static const soma__field resnet_fields[] = {
    DEPTH("18, 34, 50, 101, 152, or 6n+2 (20, 32, 44, 56, 110) for the CIFAR form"),
    CLASSES,
    STEM,
    SOMA__FIELD_SHORTCUT(options),
    SOMA__FIELD_WHOLE(options, filters, "of the first stage [64, in the CIFAR form 16]"),
    HEADLESS,
    NAME};

/* The first convolution, in the ImageNet form with a pool. */
static void add_stem(soma__layer_list *list, bool large, int64_t filters)
{
    soma__add_conv_norm(list, filters, large ? 7 : 3, large ? 2 : 1, 1, SOMA_RELU);
    if (large)
        soma__layer_list_add(list, soma_layer_max_pool2d(3, .stride = {2, 2}, .pad = {1, 1, 1, 1}));
}

/* Blocks of one resolution, "stage1" and so on. */
static void add_stage(soma__layer_list *list, int stage, int64_t blocks, bool bottleneck,
                      soma_residual_block_options o)
{
    char name[16];
    soma__layer_list all = {0};
    for (int64_t i = 0; i < blocks; i++) {
        o.stride = i == 0 && stage > 0 ? 2 : 1;
        soma__layer_list_add(&all, bottleneck ? soma_layer_bottleneck_opt(o)
                                              : soma_layer_basic_block_opt(o));
    }
    snprintf(name, sizeof name, "stage%d", stage + 1);
    soma__layer_list_add(list, soma_layer_named(soma__layer_list_sequential(&all), name));
}

static soma_layer *expand_resnet(soma__layer_build *b, const soma_layer *layer, const soma_shape *x)
{
    static const struct {
        int depth;
        int8_t blocks[4];
        bool bottleneck;
    } forms[] = {{18, {2, 2, 2, 2}, false},
                 {34, {3, 4, 6, 3}, false},
                 {50, {3, 4, 6, 3}, true},
                 {101, {3, 4, 23, 3}, true},
                 {152, {3, 8, 36, 3}, true}};
    const options *o = (const options *)layer->options;
    soma__layer_list list = {0};
    int form = 0;

    if (!soma__wants_images(b, layer, x))
        return NULL;
    while (form < 5 && forms[form].depth != o->depth)
        form++;
    bool cifar = form == 5;
    if (cifar && (o->depth < 8 || o->depth % 6 != 2))
        return soma__layer_fail(b, layer, SOMA_INVALID,
                                "depth is 18, 34, 50, 101, 152, or 6n+2 for the CIFAR form, not "
                                "%lld",
                                (long long)o->depth),
               NULL;
    int64_t filters = soma__or(o->filters, cifar ? 16 : 64);
    if (filters > INT64_MAX / 64)
        return soma__layer_fail(b, layer, SOMA_SHAPE, "filters are too many"), NULL;
    soma_shortcut shortcut = o->shortcut;
    if (shortcut == SOMA_SHORTCUT_DEFAULT && cifar)
        shortcut = SOMA_SHORTCUT_PAD;
    add_stem(&list, o->stem == SOMA_STEM_AUTO ? !cifar : o->stem == SOMA_STEM_IMAGENET, filters);
    for (int stage = 0; stage < (cifar ? 3 : 4); stage++)
        add_stage(&list, stage, cifar ? (o->depth - 2) / 6 : forms[form].blocks[stage],
                  !cifar && forms[form].bottleneck,
                  (soma_residual_block_options){.filters = filters << stage, .shortcut = shortcut});
    return with_head(&list, o, 0);
}

const soma__layer_type soma__layer_resnet = {
    NETWORK(resnet, "residual network (He et al. 2016), stride in the 3x3 convolutions"),
    .primary = "depth"};

/* --- mobilenet ----------------------------------------------------------------------------------
 */

static const soma__field mobilenet_fields[] = {CLASSES, WIDTH, DROPOUT, HEADLESS, NAME};
#define mobilenet_v2_fields mobilenet_fields

/* filters · width to the nearest multiple of 8, but not 10 % less. */
static int64_t scaled(const options *o, int64_t filters)
{
    double wanted = (double)filters * (o->width > 0 ? o->width : 1);
    int64_t eights = (int64_t)floor((wanted + 4) / 8) * 8;
    if (eights < 8)
        eights = 8;
    return (double)eights < 0.9 * wanted ? eights + 8 : eights;
}

static soma_layer *expand_mobilenet(soma__layer_build *b, const soma_layer *layer,
                                    const soma_shape *x)
{
    static const struct {
        int16_t filters, stride;
    } blocks[] = {{64, 1},  {128, 2}, {128, 1}, {256, 2}, {256, 1},  {512, 2}, {512, 1},
                  {512, 1}, {512, 1}, {512, 1}, {512, 1}, {1024, 2}, {1024, 1}};
    const options *o = (const options *)layer->options;
    soma__layer_list list = {0};

    if (!soma__wants_images(b, layer, x))
        return NULL;
    soma__add_conv_norm(&list, scaled(o, 32), 3, 2, 1, SOMA_RELU);
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        soma__layer_list_add(&list, soma_layer_separable_block(scaled(o, blocks[i].filters),
                                                               .stride = blocks[i].stride));
    return with_head(&list, o, 0.001);
}

static soma_layer *expand_mobilenet_v2(soma__layer_build *b, const soma_layer *layer,
                                       const soma_shape *x)
{
    static const struct {
        int16_t expand, filters, blocks, stride;
    } stages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                  {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
    const options *o = (const options *)layer->options;
    soma__layer_list list = {0};

    if (!soma__wants_images(b, layer, x))
        return NULL;
    soma__add_conv_norm(&list, scaled(o, 32), 3, 2, 1, SOMA_RELU6);
    for (size_t s = 0; s < sizeof stages / sizeof stages[0]; s++)
        for (int i = 0; i < stages[s].blocks; i++)
            soma__layer_list_add(&list,
                                 soma_layer_inverted_residual(scaled(o, stages[s].filters),
                                                              .stride = i ? 1 : stages[s].stride,
                                                              .expand = stages[s].expand));
    /* The last convolution never becomes narrower. */
    soma__add_conv_norm(&list, o->width > 1 ? scaled(o, 1280) : 1280, 1, 1, 1, SOMA_RELU6);
    return with_head(&list, o, 0.2);
}

const soma__layer_type soma__layer_mobilenet = {
    NETWORK(mobilenet, "MobileNet: depthwise separable convolutions (Howard et al. 2017)"),
    .primary = "classes"};
const soma__layer_type soma__layer_mobilenet_v2 = {
    NETWORK(mobilenet_v2, "MobileNetV2: inverted residuals (Sandler et al. 2018)"),
    .primary = "classes"};

/* --- densenet -----------------------------------------------------------------------------------
 */

static const soma__field densenet_fields[] = {
    DEPTH("121, 161, 169, 201, or 6n+4 (40, 100, 190) for the CIFAR form"),
    CLASSES,
    STEM,
    SOMA__FIELD_WHOLE(options, growth, "channels a layer adds [32; 161: 48; CIFAR form: 12]"),
    DROPOUT,
    HEADLESS,
    NAME};

static soma_layer *expand_densenet(soma__layer_build *b, const soma_layer *layer,
                                   const soma_shape *x)
{
    static const struct {
        int16_t depth, growth;
        int8_t layers[4];
    } forms[] = {{121, 32, {6, 12, 24, 16}},
                 {161, 48, {6, 12, 36, 24}},
                 {169, 32, {6, 12, 32, 32}},
                 {201, 32, {6, 12, 48, 32}}};
    const options *o = (const options *)layer->options;
    soma__layer_list list = {0};
    int form = 0;

    if (!soma__wants_images(b, layer, x))
        return NULL;
    while (form < 4 && forms[form].depth != o->depth)
        form++;
    bool cifar = form == 4;
    if (cifar && (o->depth < 10 || o->depth % 6 != 4))
        return soma__layer_fail(b, layer, SOMA_INVALID,
                                "depth is 121, 161, 169, 201, or 6n+4 for the CIFAR form, not %lld",
                                (long long)o->depth),
               NULL;
    int64_t growth = soma__or(o->growth, cifar ? 12 : forms[form].growth);
    if (growth > INT32_MAX)
        return soma__layer_fail(b, layer, SOMA_SHAPE, "growth is too large"), NULL;
    /* The first dense layer begins with a norm; for small images there is no other before it. */
    if (o->stem == SOMA_STEM_AUTO ? !cifar : o->stem == SOMA_STEM_IMAGENET)
        add_stem(&list, true, 2 * growth);
    else
        soma__add_conv(&list, 2 * growth, 3, 1, 1);
    int stages = cifar ? 3 : 4;
    for (int stage = 0; stage < stages; stage++) {
        soma__layer_list_add(
            &list, soma_layer_dense_block(cifar ? (o->depth - 4) / 6 : forms[form].layers[stage],
                                          .growth = growth));
        if (stage < stages - 1)
            soma__layer_list_add(&list, soma_layer_dense_transition(0.5));
    }
    soma__layer_list_add(&list, soma_layer_batch_norm());
    soma__layer_list_add(&list, soma_layer_activation(SOMA_RELU));
    return with_head(&list, o, 0);
}

const soma__layer_type soma__layer_densenet = {
    NETWORK(densenet, "densely connected network (Huang et al. 2017)"), .primary = "depth"};

/* --- googlenet, inception_v3 --------------------------------------------------------------------
 */

static const soma__field googlenet_fields[] = {
    CLASSES,    DROPOUT,
    BATCH_NORM, SOMA__FIELD_WHOLE(options, kernel, "of the blocks' third branch [5]"),
    HEADLESS,   NAME};

/* 3x3 max pool, stride 2, output rounded up. */
static soma_layer *half_pool(void)
{
    return soma_layer_max_pool2d(3, .stride = {2, 2}, .padding = SOMA_PAD_SAME);
}

static void add_google_conv(soma__layer_list *list, const options *o, int64_t filters, int64_t k,
                            int64_t stride)
{
    if (o->batch_norm)
        soma__add_conv_norm(list, filters, k, stride, 1, SOMA_RELU);
    else
        soma__layer_list_add(list, soma_layer_conv2d(filters, k, .stride = {stride, stride},
                                                     .pad = {k / 2, k / 2, k / 2, k / 2},
                                                     .activation = SOMA_RELU));
}

static soma_layer *expand_googlenet(soma__layer_build *b, const soma_layer *layer,
                                    const soma_shape *x)
{
    static const int16_t blocks[9][6] = {
        {64, 96, 128, 16, 32, 32},     {128, 128, 192, 32, 96, 64},   {192, 96, 208, 16, 48, 64},
        {160, 112, 224, 24, 64, 64},   {128, 128, 256, 24, 64, 64},   {112, 144, 288, 32, 64, 64},
        {256, 160, 320, 32, 128, 128}, {256, 160, 320, 32, 128, 128}, {384, 192, 384, 48, 128, 128},
    };
    const options *o = (const options *)layer->options;
    soma__layer_list list = {0};

    if (!soma__wants_images(b, layer, x))
        return NULL;
    add_google_conv(&list, o, 64, 7, 2);
    soma__layer_list_add(&list, half_pool());
    add_google_conv(&list, o, 64, 1, 1);
    add_google_conv(&list, o, 192, 3, 1);
    soma__layer_list_add(&list, half_pool());
    for (int i = 0; i < 9; i++) {
        soma_inception_options block = {.kernel = o->kernel, .batch_norm = o->batch_norm};
        for (int k = 0; k < 6; k++)
            block.filters[k] = blocks[i][k];
        soma__layer_list_add(&list, soma_layer_inception_opt(block));
        if (i == 1 || i == 6)
            soma__layer_list_add(&list, half_pool());
    }
    return with_head(&list, o, 0.4);
}

const soma__layer_type soma__layer_googlenet = {
    NETWORK(googlenet, "GoogLeNet, Inception v1, without auxiliary outputs (Szegedy et al. 2015)"),
    .primary = "classes"};

static const soma__field inception_v3_fields[] = {CLASSES, DROPOUT, HEADLESS, NAME};

static soma_layer *expand_inception_v3(soma__layer_build *b, const soma_layer *layer,
                                       const soma_shape *x)
{
    static const struct {
        soma_inception_kind kind;
        int64_t filters;
    } blocks[] = {{SOMA_INCEPTION_A, 32},  {SOMA_INCEPTION_A, 64},  {SOMA_INCEPTION_A, 64},
                  {SOMA_INCEPTION_B, 0},   {SOMA_INCEPTION_C, 128}, {SOMA_INCEPTION_C, 160},
                  {SOMA_INCEPTION_C, 160}, {SOMA_INCEPTION_C, 192}, {SOMA_INCEPTION_D, 0},
                  {SOMA_INCEPTION_E, 0},   {SOMA_INCEPTION_E, 0}};
    const options *o = (const options *)layer->options;
    soma__layer_list list = {0};

    if (!soma__wants_images(b, layer, x))
        return NULL;
    soma__layer_list_add(&list,
                         soma_layer_conv_norm(32, 3, .stride = {2, 2}, .padding = SOMA_PAD_VALID));
    soma__layer_list_add(&list, soma_layer_conv_norm(32, 3, .padding = SOMA_PAD_VALID));
    soma__layer_list_add(&list, soma_layer_conv_norm(64, 3));
    soma__layer_list_add(&list, soma_layer_max_pool2d(3, .stride = {2, 2}));
    soma__layer_list_add(&list, soma_layer_conv_norm(80, 1));
    soma__layer_list_add(&list, soma_layer_conv_norm(192, 3, .padding = SOMA_PAD_VALID));
    soma__layer_list_add(&list, soma_layer_max_pool2d(3, .stride = {2, 2}));
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        soma__layer_list_add(&list,
                             soma_layer_inception_v3_block(blocks[i].kind, blocks[i].filters));
    return with_head(&list, o, 0.5);
}

const soma__layer_type soma__layer_inception_v3 = {
    NETWORK(inception_v3, "Inception v3 without the auxiliary output (Szegedy et al. 2016)"),
    .primary = "classes"};

/* --- builders -----------------------------------------------------------------------------------
 */

#define BUILDER(name_)                                                                             \
    soma_layer *soma_layer_##name_##_opt(soma_network_options o)                                   \
    {                                                                                              \
        return soma__layer_new(&soma__layer_##name_, &o, NULL, 0);                                 \
    }
BUILDER(alexnet)
BUILDER(vgg)
BUILDER(resnet)
BUILDER(mobilenet)
BUILDER(mobilenet_v2)
BUILDER(densenet)
BUILDER(googlenet)
BUILDER(inception_v3)
