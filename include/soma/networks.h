/* soma/networks.h: the blocks of well-known networks, and these networks, as layers.
 *
 * They stand for the layers of nn.h and are made of them when a model is built: a summary shows
 * these, and parameters are called by them ("block1.body.conv1.weight"). Recipes use the same names
 * and keys; options that are zero have their default.
 */
#ifndef SOMA_NETWORKS_H
#define SOMA_NETWORKS_H

#include "nn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- blocks -------------------------------------------------------------------------------------
 *
 * Convolutions have no bias where a batch norm follows, and are padded with kernel/2 cells on all
 * sides unless something else is said. `activation` SOMA_LINEAR (0) means the usual one. */

typedef struct soma_conv_norm_options {
    int64_t filters;            /* required */
    int64_t kernel[2];          /* height, width; 0: 3; kernel[1] 0: as kernel[0] */
    int64_t stride[2];          /* 0: 1 */
    int64_t groups;             /* 0: 1 */
    soma_padding padding;       /* SOMA_PAD_EXPLICIT: kernel/2 cells on all sides */
    soma_activation activation; /* 0: relu */
    bool no_activation;
    const char *name;
} soma_conv_norm_options;
/* conv2d without bias, batch_norm, activation. */
SOMA_API soma_layer *soma_layer_conv_norm_opt(soma_conv_norm_options options);
#define soma_layer_conv_norm(filters_, kernel_, ...)                                               \
    soma_layer_conv_norm_opt((soma_conv_norm_options){                                             \
        .filters = (filters_), .kernel = {(kernel_), (kernel_)}, __VA_ARGS__})

typedef enum soma_shortcut {
    SOMA_SHORTCUT_DEFAULT, /* projection; in resnets of the CIFAR form pad, as the paper has it */
    SOMA_SHORTCUT_PROJECTION, /* 1x1 conv and batch norm where the shape changes (option B) */
    SOMA_SHORTCUT_PAD,        /* every stride-th cell, zeros as further channels (option A) */
} soma_shortcut;

typedef struct soma_residual_block_options {
    int64_t filters; /* required; of the 3x3 convolutions */
    int64_t stride;  /* 0: 1 */
    int64_t outputs; /* bottleneck: output channels; 0: 4 · filters */
    int64_t groups;  /* bottleneck: of the 3x3 convolution (ResNeXt); 0: 1 */
    int64_t squeeze; /* squeeze_excite with this ratio at the body's end; 0: none */
    soma_shortcut shortcut;
    soma_activation activation; /* 0: relu */
    const char *name;
} soma_residual_block_options;
/* He et al. 2016. basic: 3x3, 3x3; bottleneck: 1x1, 3x3 (which takes the stride), 1x1.
 * [N,H,W,C] -> [N,Ho,Wo,filters or outputs] */
SOMA_API soma_layer *soma_layer_basic_block_opt(soma_residual_block_options options);
SOMA_API soma_layer *soma_layer_bottleneck_opt(soma_residual_block_options options);
#define soma_layer_basic_block(filters_, ...)                                                      \
    soma_layer_basic_block_opt((soma_residual_block_options){.filters = (filters_), __VA_ARGS__})
#define soma_layer_bottleneck(filters_, ...)                                                       \
    soma_layer_bottleneck_opt((soma_residual_block_options){.filters = (filters_), __VA_ARGS__})
/* [N,H,W,C] -> [N,ceil(H/stride),ceil(W/stride),filters]: every stride-th cell, and zero channels,
 * as many before as after (one more after). */
SOMA_API soma_layer *soma_layer_pad_shortcut(int64_t filters, int64_t stride);

typedef struct soma_squeeze_options {
    int64_t ratio;              /* hidden units: C / ratio, at least 1; 0: 16 */
    int64_t units;              /* hidden units, in the place of the ratio */
    soma_activation activation; /* of the hidden units; 0: relu */
    soma_activation gate;       /* of the factors; 0: sigmoid */
    const char *name;
} soma_squeeze_options;
/* Each channel times a factor that is learnt from all channels' means (Hu et al. 2018). */
SOMA_API soma_layer *soma_layer_squeeze_excite_opt(soma_squeeze_options options);
#define soma_layer_squeeze_excite(...)                                                             \
    soma_layer_squeeze_excite_opt((soma_squeeze_options){__VA_ARGS__})

typedef struct soma_mobile_options {
    int64_t filters;            /* required; output channels */
    int64_t stride;             /* 0: 1 */
    int64_t kernel;             /* of the depthwise convolution; 0: 3 */
    int64_t expand;             /* inverted_residual: hidden channels / input channels; 0: 6 */
    int64_t squeeze;            /* inverted_residual: squeeze_excite with this ratio; 0: none */
    soma_activation activation; /* 0: relu; inverted_residual: relu6 */
    soma_activation gate;       /* of the squeeze_excite; 0: sigmoid */
    const char *name;
} soma_mobile_options;
/* Depthwise, then 1x1, each with batch norm and activation (MobileNet, Howard et al. 2017). */
SOMA_API soma_layer *soma_layer_separable_block_opt(soma_mobile_options options);
/* 1x1 expansion, depthwise, linear 1x1, and the input added where the shape stays (MobileNetV2,
 * Sandler et al. 2018; with squeeze and hard_swish, MobileNetV3). */
SOMA_API soma_layer *soma_layer_inverted_residual_opt(soma_mobile_options options);
#define soma_layer_separable_block(filters_, ...)                                                  \
    soma_layer_separable_block_opt((soma_mobile_options){.filters = (filters_), __VA_ARGS__})
#define soma_layer_inverted_residual(filters_, ...)                                                \
    soma_layer_inverted_residual_opt((soma_mobile_options){.filters = (filters_), __VA_ARGS__})

typedef struct soma_tcn_options {
    int64_t filters;        /* required; output channels of every level */
    int64_t levels;         /* level l has dilation 2^(l-1); 0: 4 */
    int64_t kernel;         /* 0: 3 */
    double dropout;         /* of whole channels, after each convolution */
    soma_init_options init; /* default: he_uniform with a gain of 1/√3, PyTorch's convolutions' */
    soma_activation activation; /* 0: relu */
    const char *name;
} soma_tcn_options;
/* Causal convolutions of doubling dilation, two a level, with residuals: step t sees the
 * 1 + 2 (kernel - 1) (2^levels - 1) steps up to itself (Bai et al. 2018). [B,T,C] ->
 * [B,T,filters] */
SOMA_API soma_layer *soma_layer_tcn_opt(soma_tcn_options options);
#define soma_layer_tcn(filters_, ...)                                                              \
    soma_layer_tcn_opt((soma_tcn_options){.filters = (filters_), __VA_ARGS__})

typedef struct soma_dense_block_options {
    int64_t layers;     /* required */
    int64_t growth;     /* channels that each layer adds; 0: 32 */
    int64_t bottleneck; /* the 1x1 convolution's filters / growth; 0: 4 */
    bool plain;         /* without the 1x1 convolutions */
    double dropout;     /* after each layer */
    const char *name;
} soma_dense_block_options;
/* Each layer sees the outputs of all before it (DenseNet, Huang et al. 2017). C channels become
 * C + layers · growth. */
SOMA_API soma_layer *soma_layer_dense_block_opt(soma_dense_block_options options);
#define soma_layer_dense_block(layers_, ...)                                                       \
    soma_layer_dense_block_opt((soma_dense_block_options){.layers = (layers_), __VA_ARGS__})
/* Batch norm, relu, 1x1 convolution to C · compression channels (0: 0.5), 2x2 average pooling. */
SOMA_API soma_layer *soma_layer_dense_transition(double compression);

typedef struct soma_inception_options {
    int64_t filters[6]; /* required: 1x1; 3x3 reduction, 3x3; 5x5 reduction, 5x5; after the pool */
    int64_t kernel;     /* of the third branch; 0: 5 */
    bool batch_norm;    /* after each convolution */
    const char *name;
} soma_inception_options;
/* Four branches side by side (GoogLeNet, Szegedy et al. 2015). */
SOMA_API soma_layer *soma_layer_inception_opt(soma_inception_options options);
#define soma_layer_inception(...) soma_layer_inception_opt((soma_inception_options){__VA_ARGS__})

typedef enum soma_inception_kind { /* Szegedy et al. 2016; the letters are torchvision's */
                                   SOMA_INCEPTION_A, /* 5x5 and two 3x3; `filters` (0: 32) after the
                                                        pool */
                                   SOMA_INCEPTION_B, /* halves height and width */
                                   SOMA_INCEPTION_C, /* 7x7 as 1x7 and 7x1; `filters` (0: 128)
                                                        within */
                                   SOMA_INCEPTION_D, /* halves height and width */
                                   SOMA_INCEPTION_E, /* 3x3 as 1x3 beside 3x1 */
} soma_inception_kind;
SOMA_API soma_layer *soma_layer_inception_v3_block(soma_inception_kind kind, int64_t filters);

/* --- networks -----------------------------------------------------------------------------------
 *
 * Whole networks as one layer, from images [N,H,W,C] to logits [N,classes]. Parameter counts are
 * those of 1000 classes and three channels. */

typedef enum soma_stem {
    SOMA_STEM_AUTO,     /* as the depth says */
    SOMA_STEM_IMAGENET, /* for images of about 224x224: 7x7 stride 2, 3x3 max pool stride 2 */
    SOMA_STEM_CIFAR,    /* for images of about 32x32: one 3x3 */
} soma_stem;

/* Each network reads the options that it is said to have; 0 means the default. */
typedef struct soma_network_options {
    int64_t classes;        /* 0: 1000 */
    int64_t depth;          /* resnet, vgg, densenet: required */
    soma_stem stem;         /* resnet, densenet */
    soma_shortcut shortcut; /* resnet */
    int64_t filters;        /* resnet: of the first stage; 0: 64, in the CIFAR form 16 */
    int64_t growth;         /* densenet; 0: 32, for depth 161 48, in the CIFAR form 12 */
    int64_t units;          /* alexnet, vgg: of the dense layers; 0: 4096 */
    double width;           /* mobilenet, mobilenet_v2: factor of all filters; 0: 1 */
    double dropout;         /* before dense layers; 0: as published; negative: none */
    bool batch_norm;        /* vgg, googlenet: after each convolution */
    int64_t kernel;         /* googlenet: of the blocks' third branch; 0: 5 */
    bool headless;          /* ends with the feature maps: no pooling and no dense layers */
    const char *name;
} soma_network_options;

/* Krizhevsky 2014 (the one-tower form): 61,100,840 parameters. Options: classes units dropout. */
SOMA_API soma_layer *soma_layer_alexnet_opt(soma_network_options options);
/* Simonyan & Zisserman 2015; depth 11, 13, 16 (138,357,544 parameters at 224x224) or 19. Options:
 * depth classes units dropout batch_norm headless. */
SOMA_API soma_layer *soma_layer_vgg_opt(soma_network_options options);
/* He et al. 2016: depth 18 (11,689,512 parameters), 34, 50 (25,557,032; stride in the 3x3), 101,
 * 152 with four stages; or the CIFAR form, depth 6n+2, with three (20: 0.27 M for 10 classes).
 * Options: depth classes stem shortcut filters headless. */
SOMA_API soma_layer *soma_layer_resnet_opt(soma_network_options options);
/* Howard et al. 2017: 4,231,976 parameters. Options: classes width dropout headless. */
SOMA_API soma_layer *soma_layer_mobilenet_opt(soma_network_options options);
/* Sandler et al. 2018: 3,504,872 parameters. Options: classes width dropout headless. */
SOMA_API soma_layer *soma_layer_mobilenet_v2_opt(soma_network_options options);
/* Huang et al. 2017: depth 121 (7,978,856 parameters), 161, 169, 201 with four dense blocks; or the
 * CIFAR form, depth 6n+4, with three. Options: depth classes stem growth headless. */
SOMA_API soma_layer *soma_layer_densenet_opt(soma_network_options options);
/* Szegedy et al. 2015, without the auxiliary classifiers: 6,998,552 parameters. torchvision's form
 * is batch_norm with kernel 3: 6,624,904. Options: classes dropout batch_norm kernel headless. */
SOMA_API soma_layer *soma_layer_googlenet_opt(soma_network_options options);
/* Szegedy et al. 2016, without the auxiliary classifier, for images of about 299x299: 23,834,568
 * parameters. Options: classes dropout headless. */
SOMA_API soma_layer *soma_layer_inception_v3_opt(soma_network_options options);
#define soma_layer_alexnet(...) soma_layer_alexnet_opt((soma_network_options){__VA_ARGS__})
#define soma_layer_vgg(depth_, ...)                                                                \
    soma_layer_vgg_opt((soma_network_options){.depth = (depth_), __VA_ARGS__})
#define soma_layer_resnet(depth_, ...)                                                             \
    soma_layer_resnet_opt((soma_network_options){.depth = (depth_), __VA_ARGS__})
#define soma_layer_mobilenet(...) soma_layer_mobilenet_opt((soma_network_options){__VA_ARGS__})
#define soma_layer_mobilenet_v2(...)                                                               \
    soma_layer_mobilenet_v2_opt((soma_network_options){__VA_ARGS__})
#define soma_layer_densenet(depth_, ...)                                                           \
    soma_layer_densenet_opt((soma_network_options){.depth = (depth_), __VA_ARGS__})
#define soma_layer_googlenet(...) soma_layer_googlenet_opt((soma_network_options){__VA_ARGS__})
#define soma_layer_inception_v3(...)                                                               \
    soma_layer_inception_v3_opt((soma_network_options){__VA_ARGS__})

#ifdef __cplusplus
}
#endif
#endif
