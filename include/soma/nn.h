/* soma/nn.h: layers and models.
 *
 * A layer is a description; a model turns descriptions into named parameters and graphs. Layers
 * come from one registry, which recipes use by the same names and keys (`soma ops --layers` lists
 * them).
 */
#ifndef SOMA_NN_H
#define SOMA_NN_H

#include "ops.h"
#include "sound.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum soma_activation {
    SOMA_LINEAR, /* none */
    SOMA_RELU,
    SOMA_TANH,
    SOMA_SIGMOID,
    SOMA_GELU,
    SOMA_GELU_TANH,
    SOMA_SILU,
    SOMA_LEAKY_RELU, /* slope 0.01 */
    SOMA_ELU,        /* alpha 1 */
    SOMA_SOFTPLUS,
    SOMA_SOFTMAX, /* over the last axis */
    SOMA_LOG_SOFTMAX,
    SOMA_RELU6, /* min(max(x, 0), 6) */
    SOMA_SELU,
    SOMA_CELU, /* alpha 1 */
    SOMA_HARD_SIGMOID,
    SOMA_HARD_SWISH,
    SOMA_HARD_TANH, /* within [-1, 1] */
    SOMA_MISH,
    SOMA_SOFTSIGN,
    SOMA_LOGSIGMOID,
    SOMA_SOFTSHRINK, /* lambda 0.5, as hardshrink */
    SOMA_HARDSHRINK,
    SOMA_TANHSHRINK,
    SOMA_SOFTMIN, /* over the last axis */
} soma_activation;

typedef enum soma_init {
    SOMA_INIT_DEFAULT, /* he_uniform before relu-like activations, else xavier_uniform; biases zeros
                        */
    SOMA_INIT_XAVIER_UNIFORM, /* Glorot & Bengio 2010: variance gain² / mean of the fans */
    SOMA_INIT_XAVIER_NORMAL,
    SOMA_INIT_HE_UNIFORM, /* He et al. 2015: gain² / fan_in, gain √2 */
    SOMA_INIT_HE_NORMAL,
    SOMA_INIT_NORMAL,  /* mean 0, deviation 0.05 */
    SOMA_INIT_UNIFORM, /* [-0.05, 0.05) */
    SOMA_INIT_ZEROS,
    SOMA_INIT_ONES,
    SOMA_INIT_LECUN_UNIFORM, /* LeCun et al. 1998: gain² / fan_in */
    SOMA_INIT_LECUN_NORMAL,
    SOMA_INIT_TRUNCATED_NORMAL, /* mean 0, deviation 0.05, cut at two deviations */
    SOMA_INIT_ORTHOGONAL,       /* Saxe et al. 2014: orthonormal rows or columns, times gain */
    SOMA_INIT_CONSTANT,         /* value */
    SOMA_INIT_IDENTITY,         /* of matrices, times gain */
    SOMA_INIT_DIRAC,            /* convolutions that pass their input channels on, times gain */
    SOMA_INIT_VARIANCE_SCALING, /* scale / fan, from the given distribution */
} soma_init;
typedef enum soma_fan { SOMA_FAN_DEFAULT, SOMA_FAN_IN, SOMA_FAN_OUT, SOMA_FAN_AVERAGE } soma_fan;
typedef enum soma_distribution {
    SOMA_DISTRIBUTION_TRUNCATED_NORMAL, /* cut at two deviations; its variance is as asked for */
    SOMA_DISTRIBUTION_NORMAL,
    SOMA_DISTRIBUTION_UNIFORM,
} soma_distribution;

/* Initial values. Each draw depends on (seed, parameter's name, element) only. Zero fields mean the
 * scheme's defaults: `.init = {.kind = SOMA_INIT_ORTHOGONAL, .gain = 1.4}`. Fans: of dense layers
 * inputs and units, of convolutions these times the window. */
typedef struct soma_init_options {
    soma_init kind;
    double gain;                    /* xavier, he, lecun, orthogonal, identity, dirac */
    soma_activation gain_of;        /* in the place of gain: soma_init_gain of this function */
    soma_fan fan;                   /* he, lecun: in; xavier: average; variance_scaling: in */
    double mean, deviation;         /* normal, truncated_normal */
    double low, high;               /* uniform: range; truncated_normal: cuts */
    double value;                   /* constant */
    double scale;                   /* variance_scaling; 0: 1 */
    soma_distribution distribution; /* variance_scaling */
} soma_init_options;

/* The gain that keeps the variance through an activation, as torch.nn.init.calculate_gain has it:
 * √2 for relu and its like, 5/3 for tanh, √(2/(1+0.01²)) for leaky_relu, else 1. */
SOMA_API double soma_init_gain(soma_activation activation);

/* A description. Builders never return NULL: a fault (say, no memory) is kept and reported when the
 * model is created. Whoever takes a layer (a block, a model) owns it; soma_layer_destroy frees one
 * that nobody took. */
typedef struct soma_layer soma_layer;
SOMA_API void soma_layer_destroy(soma_layer *layer);

typedef struct soma_dense_options {
    int64_t units; /* required */
    soma_activation activation;
    soma_init_options init, bias_init; /* default, zeros */
    bool no_bias;
    bool frozen; /* its parameters are not trained */
    const char *name;
} soma_dense_options;
/* [B…,I] -> [B…,units]; weight [units,I], bias [units]. */
SOMA_API soma_layer *soma_layer_dense_opt(soma_dense_options options);
#define soma_layer_dense(units_, ...)                                                              \
    soma_layer_dense_opt((soma_dense_options){.units = (units_), __VA_ARGS__})

typedef struct soma_conv2d_options {
    int64_t filters;     /* required */
    int64_t kernel[2];   /* height, width; 0: 3; kernel[1] 0: as kernel[0] */
    int64_t stride[2];   /* 0: 1 */
    int64_t dilation[2]; /* 0: 1 */
    int64_t pad[4];      /* top, left, bottom, right */
    soma_padding padding;
    int64_t groups;
    soma_activation activation;
    soma_init_options init, bias_init; /* default, zeros */
    bool no_bias, frozen;
    const char *name;
} soma_conv2d_options;
/* [N,H,W,C] -> [N,Ho,Wo,filters]; weight [filters,kh,kw,C/groups], bias [filters]. */
SOMA_API soma_layer *soma_layer_conv2d_opt(soma_conv2d_options options);
#define soma_layer_conv2d(filters_, kernel_, ...)                                                  \
    soma_layer_conv2d_opt((soma_conv2d_options){                                                   \
        .filters = (filters_), .kernel = {(kernel_), (kernel_)}, __VA_ARGS__})

/* Of the other convolution layers; arrays have one entry for each image axis, and those that are
 * left out are as the first (kernel) or 1. */
typedef struct soma_conv_nd_layer_options {
    int64_t filters;                /* required; not of depthwise_conv2d */
    int64_t multiplier;             /* depthwise, separable: outputs of each channel; 0: 1 */
    int64_t kernel[3];              /* 0: 3 */
    int64_t stride[3], dilation[3]; /* 0: 1 */
    int64_t pad[6];                 /* the begins of all axes, then their ends */
    soma_padding padding;
    int64_t output_padding[3]; /* transposed: cells added at the ends, less than the stride */
    int64_t groups;            /* 0: 1 */
    soma_activation activation;
    soma_init_options init, bias_init; /* default, zeros */
    bool no_bias, frozen;
    const char *name;
} soma_conv_nd_layer_options;
/* [N,L,C] -> [N,Lo,filters]; weight [filters,k,C/groups], bias [filters]. */
SOMA_API soma_layer *soma_layer_conv1d_opt(soma_conv_nd_layer_options options);
/* [N,D,H,W,C] -> [N,Do,Ho,Wo,filters]; weight [filters,kd,kh,kw,C/groups], bias [filters]. */
SOMA_API soma_layer *soma_layer_conv3d_opt(soma_conv_nd_layer_options options);
/* The transposes: weight [C,k…,filters/groups], bias [filters]. */
SOMA_API soma_layer *soma_layer_conv_transpose1d_opt(soma_conv_nd_layer_options options);
SOMA_API soma_layer *soma_layer_conv_transpose2d_opt(soma_conv_nd_layer_options options);
SOMA_API soma_layer *soma_layer_conv_transpose3d_opt(soma_conv_nd_layer_options options);
/* [N,H,W,C] -> [N,Ho,Wo,C·multiplier]; weight [C·multiplier,kh,kw,1], bias [C·multiplier]. */
SOMA_API soma_layer *soma_layer_depthwise_conv2d_opt(soma_conv_nd_layer_options options);
/* [N,H,W,C] -> [N,Ho,Wo,filters]; depthwise [C·multiplier,kh,kw,1], pointwise
 * [filters,1,1,C·multiplier], bias [filters]. */
SOMA_API soma_layer *soma_layer_separable_conv2d_opt(soma_conv_nd_layer_options options);
#define SOMA__CONV_ND(name_, filters_, kernel_, ...)                                               \
    soma_layer_##name_##_opt(                                                                      \
        (soma_conv_nd_layer_options){.filters = (filters_), .kernel = {(kernel_)}, __VA_ARGS__})
#define soma_layer_conv1d(filters_, kernel_, ...)                                                  \
    SOMA__CONV_ND(conv1d, filters_, kernel_, __VA_ARGS__)
#define soma_layer_conv3d(filters_, kernel_, ...)                                                  \
    SOMA__CONV_ND(conv3d, filters_, kernel_, __VA_ARGS__)
#define soma_layer_conv_transpose1d(filters_, kernel_, ...)                                        \
    SOMA__CONV_ND(conv_transpose1d, filters_, kernel_, __VA_ARGS__)
#define soma_layer_conv_transpose2d(filters_, kernel_, ...)                                        \
    SOMA__CONV_ND(conv_transpose2d, filters_, kernel_, __VA_ARGS__)
#define soma_layer_conv_transpose3d(filters_, kernel_, ...)                                        \
    SOMA__CONV_ND(conv_transpose3d, filters_, kernel_, __VA_ARGS__)
#define soma_layer_depthwise_conv2d(kernel_, ...)                                                  \
    SOMA__CONV_ND(depthwise_conv2d, 0, kernel_, __VA_ARGS__)
#define soma_layer_separable_conv2d(filters_, kernel_, ...)                                        \
    SOMA__CONV_ND(separable_conv2d, filters_, kernel_, __VA_ARGS__)

typedef struct soma_pool_layer_options {
    int64_t size[2];   /* required; size[1] 0: as size[0] */
    int64_t stride[2]; /* 0: the window */
    int64_t pad[4];
    soma_padding padding;
    int64_t dilation[2]; /* 0: 1 */
    bool ceil_mode, count_pad;
    const char *name;
} soma_pool_layer_options;
SOMA_API soma_layer *soma_layer_max_pool2d_opt(soma_pool_layer_options options);
SOMA_API soma_layer *soma_layer_avg_pool2d_opt(soma_pool_layer_options options);
#define soma_layer_max_pool2d(size_, ...)                                                          \
    soma_layer_max_pool2d_opt((soma_pool_layer_options){.size = {(size_), (size_)}, __VA_ARGS__})
#define soma_layer_avg_pool2d(size_, ...)                                                          \
    soma_layer_avg_pool2d_opt((soma_pool_layer_options){.size = {(size_), (size_)}, __VA_ARGS__})
/* [N,H,W,C] -> [N,C] */
SOMA_API soma_layer *soma_layer_global_avg_pool2d(void);
/* [N,…,C] -> [N,C], also of lines and volumes. */
SOMA_API soma_layer *soma_layer_global_max_pool2d(void);

/* Of the other pooling layers; arrays have one entry for each image axis. */
typedef struct soma_pool_nd_layer_options {
    int64_t size[3];     /* required; 0: as size[0] */
    int64_t stride[3];   /* 0: the window */
    int64_t dilation[3]; /* 0: 1 */
    int64_t pad[6];      /* the begins of all axes, then their ends */
    soma_padding padding;
    bool ceil_mode;
    bool count_pad; /* average */
    double p;       /* Lp; 0: 2 */
    const char *name;
} soma_pool_nd_layer_options;
SOMA_API soma_layer *soma_layer_max_pool1d_opt(soma_pool_nd_layer_options options);
SOMA_API soma_layer *soma_layer_max_pool3d_opt(soma_pool_nd_layer_options options);
SOMA_API soma_layer *soma_layer_avg_pool1d_opt(soma_pool_nd_layer_options options);
SOMA_API soma_layer *soma_layer_avg_pool3d_opt(soma_pool_nd_layer_options options);
SOMA_API soma_layer *soma_layer_lp_pool1d_opt(soma_pool_nd_layer_options options);
SOMA_API soma_layer *soma_layer_lp_pool2d_opt(soma_pool_nd_layer_options options);
SOMA_API soma_layer *soma_layer_lp_pool3d_opt(soma_pool_nd_layer_options options);
#define SOMA__POOL_ND(name_, size_, ...)                                                           \
    soma_layer_##name_##_opt((soma_pool_nd_layer_options){.size = {(size_)}, __VA_ARGS__})
#define soma_layer_max_pool1d(size_, ...) SOMA__POOL_ND(max_pool1d, size_, __VA_ARGS__)
#define soma_layer_max_pool3d(size_, ...) SOMA__POOL_ND(max_pool3d, size_, __VA_ARGS__)
#define soma_layer_avg_pool1d(size_, ...) SOMA__POOL_ND(avg_pool1d, size_, __VA_ARGS__)
#define soma_layer_avg_pool3d(size_, ...) SOMA__POOL_ND(avg_pool3d, size_, __VA_ARGS__)
#define soma_layer_lp_pool1d(size_, ...) SOMA__POOL_ND(lp_pool1d, size_, __VA_ARGS__)
#define soma_layer_lp_pool2d(size_, ...) SOMA__POOL_ND(lp_pool2d, size_, __VA_ARGS__)
#define soma_layer_lp_pool3d(size_, ...) SOMA__POOL_ND(lp_pool3d, size_, __VA_ARGS__)
/* [N,L,C], [N,H,W,C] or [N,D,H,W,C] to a result of this size, whatever that of x is. */
SOMA_API soma_layer *soma_layer_adaptive_max_pool1d(int64_t length);
SOMA_API soma_layer *soma_layer_adaptive_avg_pool1d(int64_t length);
SOMA_API soma_layer *soma_layer_adaptive_max_pool2d(int64_t height, int64_t width);
SOMA_API soma_layer *soma_layer_adaptive_avg_pool2d(int64_t height, int64_t width);
SOMA_API soma_layer *soma_layer_adaptive_max_pool3d(int64_t depth, int64_t height, int64_t width);
SOMA_API soma_layer *soma_layer_adaptive_avg_pool3d(int64_t depth, int64_t height, int64_t width);

typedef struct soma_upsample_options {
    int64_t scale[2]; /* 0: 2, unless there is a size; scale[1] 0: as scale[0] */
    int64_t size[2];  /* height and width of the result, in the place of scale */
    soma_resize_mode mode;
    bool align_corners;
    const char *name;
} soma_upsample_options;
/* [N,H,W,C] -> [N,Ho,Wo,C] */
SOMA_API soma_layer *soma_layer_upsample2d_opt(soma_upsample_options options);
#define soma_layer_upsample2d(scale_, ...)                                                         \
    soma_layer_upsample2d_opt((soma_upsample_options){.scale = {(scale_)}, __VA_ARGS__})
/* [N,H,W,C] -> [N,H·block,W·block,C/block²] and back; see soma_depth_to_space. */
SOMA_API soma_layer *soma_layer_depth_to_space(int64_t block, bool channels_first);
SOMA_API soma_layer *soma_layer_space_to_depth(int64_t block, bool channels_first);
/* Cells around an image: zeros, its cells mirrored, its outer cells, its opposite cells. */
SOMA_API soma_layer *soma_layer_zero_pad2d(int64_t top, int64_t left, int64_t bottom,
                                           int64_t right);
SOMA_API soma_layer *soma_layer_reflection_pad2d(int64_t top, int64_t left, int64_t bottom,
                                                 int64_t right);
SOMA_API soma_layer *soma_layer_replication_pad2d(int64_t top, int64_t left, int64_t bottom,
                                                  int64_t right);
SOMA_API soma_layer *soma_layer_circular_pad2d(int64_t top, int64_t left, int64_t bottom,
                                               int64_t right);

typedef struct soma_norm_options {
    double momentum; /* of the running statistics, batch norm; 0: 0.1 (weight of the new value) */
    double eps;      /* 0: 1e-5 */
    bool frozen;
    const char *name;
} soma_norm_options;
/* weight [C], bias [C], running_mean [C], running_var [C] (unbiased, as PyTorch). */
SOMA_API soma_layer *soma_layer_batch_norm_opt(soma_norm_options options);
/* weight [C], bias [C] over the last axis. */
SOMA_API soma_layer *soma_layer_layer_norm_opt(soma_norm_options options);
/* weight [C], bias [C]; the statistics are those of each sample over its cells. */
typedef struct soma_group_norm_options {
    int64_t groups; /* required; divides C */
    double eps;     /* 0: 1e-5 */
    bool frozen;
    const char *name;
} soma_group_norm_options;
SOMA_API soma_layer *soma_layer_group_norm_opt(soma_group_norm_options options);
SOMA_API soma_layer *soma_layer_instance_norm_opt(soma_norm_options options);
/* weight [C] over the last axis. */
SOMA_API soma_layer *soma_layer_rms_norm_opt(soma_norm_options options);
typedef struct soma_response_norm_options {
    int64_t size;          /* 0: 5 channels */
    double alpha, beta, k; /* 0: 1e-4, 0.75, 1 */
    const char *name;
} soma_response_norm_options;
SOMA_API soma_layer *soma_layer_local_response_norm_opt(soma_response_norm_options options);
#define soma_layer_group_norm(groups_, ...)                                                        \
    soma_layer_group_norm_opt((soma_group_norm_options){.groups = (groups_), __VA_ARGS__})
#define soma_layer_instance_norm(...) soma_layer_instance_norm_opt((soma_norm_options){__VA_ARGS__})
#define soma_layer_rms_norm(...) soma_layer_rms_norm_opt((soma_norm_options){__VA_ARGS__})
#define soma_layer_local_response_norm(...)                                                        \
    soma_layer_local_response_norm_opt((soma_response_norm_options){__VA_ARGS__})
/* Wrappers: the weights of the layers inside (those of two dimensions and more) become
 * weight_g · weight_v / ‖weight_v‖, or weight over its largest singular value as known from the
 * buffers weight_u and weight_v, which follow by one step of power iteration in each training
 * step. */
SOMA_API soma_layer *soma_layer_weight_norm(soma_layer *layer);
SOMA_API soma_layer *soma_layer_spectral_norm(soma_layer *layer);
#define soma_layer_batch_norm(...) soma_layer_batch_norm_opt((soma_norm_options){__VA_ARGS__})
#define soma_layer_layer_norm(...) soma_layer_layer_norm_opt((soma_norm_options){__VA_ARGS__})

SOMA_API soma_layer *soma_layer_activation(soma_activation activation);
/* Leaky relu with a learnt slope for each channel (He et al. 2015); weight [C], 0.25 at first. */
SOMA_API soma_layer *soma_layer_prelu(void);
typedef enum soma_gated { SOMA_GLU, SOMA_SWIGLU, SOMA_GEGLU } soma_gated;
/* [B…,2C] -> [B…,C]: soma_glu, soma_swiglu, soma_geglu along the last axis. */
SOMA_API soma_layer *soma_layer_gated(soma_gated function);
SOMA_API soma_layer *soma_layer_dropout(double p);
SOMA_API soma_layer *soma_layer_spatial_dropout(double p);
SOMA_API soma_layer *soma_layer_alpha_dropout(double p);
SOMA_API soma_layer *soma_layer_stochastic_depth(double p); /* drops whole samples */
SOMA_API soma_layer *soma_layer_gaussian_noise(double deviation);

typedef struct soma_mel_layer_options {
    soma_sound_options sound; /* without inside, zeros and power; with coefficients the MFCC */
    const char *name;
} soma_mel_layer_options;
/* Waves [B,N] -> spectra in mel bands, or MFCC: [B,1 + N/hop,mels] (sound.h). */
SOMA_API soma_layer *soma_layer_mel_spectrogram_opt(soma_mel_layer_options options);
#define soma_layer_mel_spectrogram(...)                                                            \
    soma_layer_mel_spectrogram_opt((soma_mel_layer_options){.sound = {__VA_ARGS__}})
typedef struct soma_spec_augment_options {
    int64_t time, bands; /* most that are covered; 0: none */
    const char *name;
} soma_spec_augment_options;
/* In training soma_spec_augment; else as it is. */
SOMA_API soma_layer *soma_layer_spec_augment(int64_t time, int64_t bands);
SOMA_API soma_layer *soma_layer_flatten(void);
/* [B, …] -> [B, dims…] of one sample; a -1 means what is left. */
SOMA_API soma_layer *soma_layer_reshape(soma_shape sample);
/* [B, d0, d1, …] -> [B, d(axes[0]), d(axes[1]), …]; axes of one sample, `count` = its dims. */
SOMA_API soma_layer *soma_layer_permute(const int64_t *axes, int count);

typedef struct soma_embedding_options {
    int64_t count;          /* categories; required */
    int64_t units;          /* size of each vector; required */
    bool padding;           /* category 0 stands for nothing: its vector is not learned */
    soma_init_options init; /* default: normal */
    bool frozen;
    const char *name;
} soma_embedding_options;
/* [B…] whole numbers from 0 to count - 1 (f32 or u8) -> [B…,units]; weight [count,units]. Other
 * numbers give zeros. */
SOMA_API soma_layer *soma_layer_embedding_opt(soma_embedding_options options);
#define soma_layer_embedding(count_, units_, ...)                                                  \
    soma_layer_embedding_opt(                                                                      \
        (soma_embedding_options){.count = (count_), .units = (units_), __VA_ARGS__})

typedef enum soma_recurrent_output {
    SOMA_RECURRENT_SEQUENCE, /* the states of all steps: [B,T,H], zeros beyond a length */
    SOMA_RECURRENT_LAST,     /* the top layer's after its last step: [B,H] */
    SOMA_RECURRENT_STATE,    /* those of all layers and directions, as a further input takes them */
} soma_recurrent_output;
typedef struct soma_recurrent_layer_options {
    int64_t units;      /* H; required */
    int64_t layers;     /* stacked; 0: 1 */
    bool bidirectional; /* results 2H wide: from start to end, then from end to start */
    bool backwards;     /* from end to start alone */
    soma_recurrent_output output;
    double dropout;                                    /* between layers */
    soma_init_options init, recurrent_init, bias_init; /* default: uniform in ±1/√H */
    bool no_bias, frozen;
    bool relu;        /* rnn: in the place of tanh */
    bool reset_first; /* gru: see soma_recurrent_options */
    const char *name;
} soma_recurrent_layer_options;
/* [B,T,I] -> [B,T,H]. In a graph they take, by their dimensions, two further inputs: lengths [B],
 * the steps of each sequence that count; and the first states [B,layers·directions·H], ordered by
 * layer, then direction (lstm: all h, then all c, so twice as many). Parameters as PyTorch's:
 * weight_ih_l0 [G·H,I], weight_hh_l0 [G·H,H], bias_ih_l0, bias_hh_l0 [G·H], then _l1 …, with
 * _reverse. */
SOMA_API soma_layer *soma_layer_rnn_opt(soma_recurrent_layer_options options);
SOMA_API soma_layer *soma_layer_lstm_opt(soma_recurrent_layer_options options);
SOMA_API soma_layer *soma_layer_gru_opt(soma_recurrent_layer_options options);
#define soma_layer_rnn(units_, ...)                                                                \
    soma_layer_rnn_opt((soma_recurrent_layer_options){.units = (units_), __VA_ARGS__})
#define soma_layer_lstm(units_, ...)                                                               \
    soma_layer_lstm_opt((soma_recurrent_layer_options){.units = (units_), __VA_ARGS__})
#define soma_layer_gru(units_, ...)                                                                \
    soma_layer_gru_opt((soma_recurrent_layer_options){.units = (units_), __VA_ARGS__})

typedef struct soma_attention_layer_options {
    int64_t heads;     /* required; divides the input's width C */
    int64_t key_heads; /* of keys and values; divides heads; 0: heads */
    bool causal, rotary, alibi;
    double dropout;         /* of weights */
    soma_init_options init; /* default: xavier_uniform; biases are zeros */
    bool no_bias, frozen;
    const char *name;
} soma_attention_layer_options;
/* [B,T,C] -> [B,T,C]. In a graph it takes, by their dimensions, a memory [B,S,M] that x attends to
 * in the place of itself, and the lengths [B] of what is attended to. Parameters as PyTorch's:
 * in_proj_weight [3C,C] (fewer rows with key_heads), in_proj_bias, out_proj.weight [C,C],
 * out_proj.bias; for a memory of another width q_proj_weight, k_proj_weight, v_proj_weight. */
SOMA_API soma_layer *soma_layer_multi_head_attention_opt(soma_attention_layer_options options);
#define soma_layer_multi_head_attention(heads_, ...)                                               \
    soma_layer_multi_head_attention_opt(                                                           \
        (soma_attention_layer_options){.heads = (heads_), __VA_ARGS__})
/* Adds to each step of [B,T,C] a vector: of a table weight [learned,C], T at most `learned`; 0:
 * soma_sinusoidal. */
SOMA_API soma_layer *soma_layer_positions(int64_t learned);
/* x · weightᵀ with the weight of the layer called `to` ("embedding1"), which comes before it. */
SOMA_API soma_layer *soma_layer_tied(const char *to);

typedef enum soma_transformer_norm {
    SOMA_TRANSFORMER_LAYER_NORM,
    SOMA_TRANSFORMER_RMS_NORM
} soma_transformer_norm;
typedef enum soma_feed {
    SOMA_FEED_RELU,
    SOMA_FEED_GELU,
    SOMA_FEED_GELU_TANH,
    SOMA_FEED_SILU,
    SOMA_FEED_SWIGLU, /* from here on gated: the first dense layer is twice as wide */
    SOMA_FEED_GEGLU,
} soma_feed;
typedef struct soma_transformer_options {
    int64_t heads;     /* required; divides the input's width C */
    int64_t key_heads; /* 0: heads */
    int64_t units;     /* between the dense layers; 0: 4C */
    soma_feed activation;
    soma_transformer_norm norm;
    bool norm_first; /* x + part(norm(x)); else norm(x + part(x)) */
    bool causal;     /* of an encoder: a block of a GPT. A decoder always is */
    bool rotary, alibi;
    double dropout;
    soma_init_options init; /* default: xavier_uniform */
    bool no_bias, frozen;
    const char *name;
} soma_transformer_options;
/* [B,T,C] (and lengths [B]) -> [B,T,C]; parts self_attn, linear1, linear2, norm1, norm2. */
SOMA_API soma_layer *soma_layer_transformer_encoder_opt(soma_transformer_options options);
#define soma_layer_transformer_encoder(heads_, ...)                                                \
    soma_layer_transformer_encoder_opt((soma_transformer_options){.heads = (heads_), __VA_ARGS__})
/* [B,T,C], a memory [B,S,M] (and its lengths [B]) -> [B,T,C]; parts self_attn, multihead_attn,
 * linear1, linear2, norm1, norm2, norm3. */
SOMA_API soma_layer *soma_layer_transformer_decoder_opt(soma_transformer_options options);
#define soma_layer_transformer_decoder(heads_, ...)                                                \
    soma_layer_transformer_decoder_opt((soma_transformer_options){.heads = (heads_), __VA_ARGS__})

/* [B,T…] -> [B]: the steps of each sequence up to the last one that is not all zeros, as padding
 * is. For the layers above that take lengths, and those below. */
SOMA_API soma_layer *soma_layer_lengths(void);
typedef enum soma_sequence_pooling {
    SOMA_SEQUENCE_MAX,
    SOMA_SEQUENCE_MEAN,
    SOMA_SEQUENCE_SUM,
    SOMA_SEQUENCE_LAST
} soma_sequence_pooling;
/* [B,T,C] (and in a graph lengths [B]) -> [B,C], over the steps that count; of no step zeros. */
SOMA_API soma_layer *soma_layer_sequence_pool(soma_sequence_pooling pooling);
/* [B,T,…] -> [B,T,…]: the body on each step, as if all steps of all sequences were samples. */
SOMA_API soma_layer *soma_layer_each_step(soma_layer *body);

/* [B,T,K] (and in a graph lengths [B]) -> [B,T+K+3,K], a chain (soma/sequence.h) of K tags: for
 * soma_chain_loss and soma_chain_tags. Parameters transitions [K,K], start_transitions and
 * end_transitions [K], at first uniform in ±0.1. */
SOMA_API soma_layer *soma_layer_crf(void);

/* Blocks take their layers. `layers` is NULL-terminated. */
SOMA_API soma_layer *soma_layer_sequential_list(soma_layer *const *layers);
#define soma_layer_sequential(...)                                                                 \
    soma_layer_sequential_list((soma_layer *const[]){__VA_ARGS__, NULL})
/* y = body(x) + shortcut(x); shortcut NULL: x itself (He et al. 2016). Activation after the sum. */
SOMA_API soma_layer *soma_layer_residual(soma_layer *body, soma_layer *shortcut,
                                         soma_activation activation);
/* Branches side by side, joined along the last axis (or added). */
SOMA_API soma_layer *soma_layer_concat_list(soma_layer *const *branches);
SOMA_API soma_layer *soma_layer_add_list(soma_layer *const *branches);
typedef enum soma_merge {
    SOMA_MERGE_CONCAT, /* along the last axis; all others want equal shapes */
    SOMA_MERGE_ADD,
    SOMA_MERGE_MULTIPLY,
    SOMA_MERGE_AVERAGE,
    SOMA_MERGE_MAXIMUM, /* element by element */
    SOMA_MERGE_MINIMUM,
    SOMA_MERGE_SUBTRACT, /* of two: first minus second */
    SOMA_MERGE_DOT,      /* of two: the product summed over the last axis, [B…,1] */
    SOMA_MERGE_COSINE,   /* of two: dot divided by both lengths */
} soma_merge;
/* Branches that all see the input, merged; without branches (NULL) the several inputs of a graph's
 * node. */
SOMA_API soma_layer *soma_layer_merge_list(soma_merge merge, soma_layer *const *branches);
#define soma_layer_merge(merge_) soma_layer_merge_list((merge_), NULL)
/* Part of a sample, [start, end) along `axis` of the sample (negative: from the end; `end` 0: to
 * the end): how one input feeds several branches. */
SOMA_API soma_layer *soma_layer_slice(int64_t axis, int64_t start, int64_t end);

/* Layers wired by names: several inputs and outputs, and layers used more than once (siamese
 * networks). Lists of names are separated by commas.
 *
 *     soma_layer_graph("left,right", (soma_graph_node[]){
 *         {"a", .from = "left", .layer = soma_layer_dense(32)},
 *         {"b", .from = "right", .share = "a"},
 *         {"distance", .from = "a,b", .layer = soma_layer_merge(SOMA_MERGE_SUBTRACT)},
 *         {"same", .layer = soma_layer_dense(1)}}, 4, "same,a")
 *
 * Several outputs are for the graph that is a model's outermost layer. */
typedef struct soma_graph_node {
    const char *name;  /* required; inputs and nodes have different names */
    soma_layer *layer; /* taken */
    const char *from;  /* inputs or nodes before this one; NULL: the node before, of the first node
                          the first input */
    const char *share; /* in the place of a layer: the node before whose layer and parameters it
                          uses */
} soma_graph_node;
/* `inputs` NULL: "input"; `outputs` NULL: the last node. Names are copied. */
SOMA_API soma_layer *soma_layer_graph(const char *inputs, const soma_graph_node *nodes, int count,
                                      const char *outputs);

/* The layers `times` times one after the other, each time with parameters of their own. */
SOMA_API soma_layer *soma_layer_repeat_list(int64_t times, soma_layer *const *layers);
#define soma_layer_repeat(times_, ...)                                                             \
    soma_layer_repeat_list((times_), (soma_layer *const[]){__VA_ARGS__, NULL})
/* y = x · body(x); the body gives x's shape, one that broadcasts to it, or [N,C] for whole maps. */
SOMA_API soma_layer *soma_layer_gate(soma_layer *body);
/* Gives a layer a name other than its type and number; returns it. */
SOMA_API soma_layer *soma_layer_named(soma_layer *layer, const char *name);

/* --- models ------------------------------------------------------------------------------------
 */

typedef enum soma_task {
    SOMA_TASK_CLASSIFY, /* k logits, class labels: cross-entropy, accuracy */
    SOMA_TASK_BINARY,   /* logits and targets in [0,1]: bce with logits, accuracy */
    SOMA_TASK_REGRESS,  /* values: mean squared error */
} soma_task;

typedef struct soma_model soma_model;

/* One of several inputs. */
typedef struct soma_model_input {
    const char *name; /* NULL: as the graph calls it */
    soma_shape shape; /* of one sample, without the batch */
    soma_dtype dtype; /* 0: f32. u8 input is cast inside the model */
} soma_model_input;

typedef struct soma_model_options {
    soma_shape input;       /* of one sample, without the batch */
    soma_dtype input_dtype; /* 0: f32. u8 input is cast inside the model */
    soma_task task;         /* of the first output */
    uint64_t seed;          /* of the initial weights */
    /* For a model whose outermost layer is a graph with several inputs, in the place of the two
     * above: one entry for each, in the graph's order. At most SOMA_MODEL_INPUTS. */
    const soma_model_input *inputs;
    int input_count; /* 0: one input */
} soma_model_options;
#define SOMA_MODEL_INPUTS 32

/* Checks the layers against the input shape (faults name layer and shapes), makes and initialises
 * the parameters. Takes `layer` whether it succeeds or not. */
SOMA_MUST_CHECK SOMA_API soma_status soma_model_create(soma_model **out, soma_context *context,
                                                       soma_layer *layer,
                                                       const soma_model_options *options,
                                                       soma_error *err);
SOMA_API void soma_model_destroy(soma_model *model);

/* One named tensor of a model: a trained parameter or a buffer (running statistics, scaling). */
typedef struct soma_parameter {
    const char *name;    /* "conv1.weight" */
    soma_tensor *tensor; /* borrowed */
    bool trainable;      /* false: a buffer or frozen */
    bool buffer;
} soma_parameter;
SOMA_API int soma_model_parameter_count(const soma_model *model);
/* NULL when out of range or unknown. */
SOMA_API const soma_parameter *soma_model_parameter(const soma_model *model, int index);
SOMA_API const soma_parameter *soma_model_find(const soma_model *model, const char *name);
/* True for weights of at least two units (first dimension) whose elements are all equal: such units
 * get equal gradients and stay equal, so the layer is worth one of them. A training warns of them.
 */
SOMA_API bool soma_parameter_is_constant(const soma_parameter *parameter);
/* Number of trainable scalars, and of all parameters that are not buffers. */
SOMA_API int64_t soma_model_size(const soma_model *model, bool trainable_only);
/* Freezes (or thaws) the parameters whose name begins with `prefix`; returns how many. */
SOMA_API int soma_model_freeze(soma_model *model, const char *prefix, bool frozen);
/* In what precision graphs that are built from now on in mode SOMA_TRAIN multiply in dense and
 * convolution layers: SOMA_F32 (so it is at first), or SOMA_BF16, with sums and results in f32
 * (soma_matmul). The weights stay f32, and so do all other layers, depthwise, 1-D, 3-D and
 * transposed convolutions among them, and evaluation; files know nothing of it. SOMA_INVALID:
 * another dtype. */
SOMA_MUST_CHECK SOMA_API soma_status soma_model_set_precision(soma_model *model,
                                                              soma_dtype precision,
                                                              soma_error *err);
SOMA_API soma_dtype soma_model_get_precision(const soma_model *model);

typedef enum soma_mode { SOMA_EVALUATE, SOMA_TRAIN } soma_mode;

/* Builds the model's graph on x [B, input…] and returns its output. `key` (i64 [2] {seed, step}) is
 * needed in SOMA_TRAIN for dropout, else (soma_var){0}. Updates of buffers (running statistics) are
 * added to `updates` (capacity `update_capacity`, *update_count used), which may be NULL. */
SOMA_API soma_var soma_model_apply(soma_model *model, soma_graph *graph, soma_var x, soma_mode mode,
                                   soma_var key, soma_update *updates, int update_capacity,
                                   int *update_count);
/* What one layer of a model of one input gives for x in evaluation, as features for something else:
 * `name` as soma_model_summary has it ("encoder.code"). */
SOMA_API soma_var soma_model_layer(soma_model *model, soma_graph *graph, soma_var x,
                                   const char *name);

/* The same for models of several inputs and outputs: x has an entry for each input, y receives all
 * outputs. On a fault (which stays with the graph) they are failed vars. */
SOMA_API void soma_model_apply_all(soma_model *model, soma_graph *graph, const soma_var *x,
                                   soma_mode mode, soma_var key, soma_update *updates,
                                   int update_capacity, int *update_count, soma_var *y);
SOMA_API int soma_model_input_count(const soma_model *model);
SOMA_API int soma_model_output_count(const soma_model *model);
/* Name, shape and dtype; a model that is no graph has "input" and "output". Borrowed; NULL when out
 * of range. */
SOMA_API const soma_model_input *soma_model_get_input(const soma_model *model, int index);
SOMA_API const soma_model_input *soma_model_get_output(const soma_model *model, int index);
/* The graph variable of parameter `index` in `graph` (made on first use, the same var afterwards).
 */
SOMA_API soma_var soma_model_variable(soma_model *model, soma_graph *graph, int index);

/* Scaling of inputs, y = (x - shift) · scale, broadcast from the last axis; stored in the model as
 * the buffers input.shift and input.scale and applied first in soma_model_apply; of several inputs
 * the first is scaled. */
SOMA_MUST_CHECK SOMA_API soma_status soma_model_set_scaling(soma_model *model,
                                                            const soma_tensor *shift,
                                                            const soma_tensor *scale,
                                                            soma_error *err);
/* Scaling of the targets of a regression, t = (y - shift) · scale, broadcast from the last axis of
 * the output; stored in the model as the buffers target.shift and target.scale. Training and its
 * loss see t; soma_model_predict and the scores give y. soma_model_apply returns what the network
 * says, in terms of t. A scale of 0 is SOMA_INVALID; SOMA_STATE unless the task is regress. */
SOMA_MUST_CHECK SOMA_API soma_status soma_model_set_target_scaling(soma_model *model,
                                                                   const soma_tensor *shift,
                                                                   const soma_tensor *scale,
                                                                   soma_error *err);
/* Text that is kept in the model file under `key`, such as how its data is to be read; copied; NULL
 * removes it. Keys that begin with "soma." are SOMA_INVALID. */
SOMA_MUST_CHECK SOMA_API soma_status soma_model_set_meta(soma_model *model, const char *key,
                                                         const char *text, soma_error *err);
SOMA_API const char *soma_model_meta(const soma_model *model, const char *key); /* NULL: none */
/* Class names, copied; needed by classify models to print names. */
SOMA_MUST_CHECK SOMA_API soma_status soma_model_set_classes(soma_model *model,
                                                            const char *const *names, int count,
                                                            soma_error *err);
SOMA_API int soma_model_class_count(const soma_model *model); /* outputs of a classify model */
SOMA_API const char *soma_model_class(const soma_model *model, int index); /* its name or number */
SOMA_API const soma_model_options *soma_model_get_options(const soma_model *model);
SOMA_API soma_context *soma_model_context(const soma_model *model);

/* One row per layer, in order, for `soma summary`. A block's row comes before those of its layers
 * and counts only what the block does itself, so columns add up to the model. */
typedef struct soma_layer_row {
    const char *name, *type; /* "features.conv1", "conv2d" */
    int depth;               /* of nesting */
    soma_shape output;       /* with batch size 1 */
    int64_t parameters, trainable;
    double flops; /* of one sample, forward */
} soma_layer_row;
/* `*rows` is released with soma_free; the strings are borrowed from the model. */
SOMA_MUST_CHECK SOMA_API soma_status soma_model_summary(soma_model *model, soma_layer_row **rows,
                                                        int *count, soma_error *err);

/* What layers come to for one sample of shape `input`, without making parameters: also networks
 * that would not fit into memory. The layers stay the caller's. Errors: those of soma_model_create.
 */
typedef struct soma_layer_cost {
    soma_shape output; /* of one sample */
    int64_t parameters, trainable;
    double flops; /* forward */
} soma_layer_cost;
SOMA_MUST_CHECK SOMA_API soma_status soma_layer_measure(const soma_layer *layer, soma_shape input,
                                                        soma_layer_cost *out, soma_error *err);

/* Runs the model in evaluation on x [B, input…] (any B; dtype of the input or f32) and returns its
 * raw output [B, …] (logits for classify). Threads may predict at the same time.
 *
 * The model keeps plans of the batch sizes used last, and with each the weights in the form that
 * its kernels want (soma_plan_prepare), which makes small batches faster and takes about as much
 * memory again as the weights. Training, loading, soma_tensor_set and soma_tensor_fill are noticed;
 * a parameter to whose data the program took a pointer is not kept but prepared at each call. */
SOMA_MUST_CHECK SOMA_API soma_status soma_model_predict(soma_model *model, const soma_tensor *x,
                                                        soma_tensor **out, soma_error *err);

/* The same for models of several inputs and outputs: `x` has a tensor for each input, all of the
 * same B; `out` receives a tensor for each output, the caller's. */
SOMA_MUST_CHECK SOMA_API soma_status soma_model_predict_all(soma_model *model,
                                                            const soma_tensor *const *x,
                                                            soma_tensor **out, soma_error *err);

/* A model file is a safetensors file: tensors by name; the architecture, task, class names and soma
 * version in its metadata. Saving is atomic. Loading checks names, shapes, dtypes and the checksum.
 */
SOMA_MUST_CHECK SOMA_API soma_status soma_model_save(const soma_model *model, const char *path,
                                                     soma_error *err);
SOMA_MUST_CHECK SOMA_API soma_status soma_model_load(soma_model **out, soma_context *context,
                                                     const char *path, soma_error *err);
/* Loads only weights into a model that exists; names and shapes must match. */
SOMA_MUST_CHECK SOMA_API soma_status soma_model_load_weights(soma_model *model, const char *path,
                                                             soma_error *err);

#ifdef __cplusplus
}
#endif
#endif
