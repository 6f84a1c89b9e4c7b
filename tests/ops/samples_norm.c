/* samples_norm.c: samples of the normalisations. */
#include "driver.h"

#define S SOMA_SHAPE

static soma_var layer(soma__sample_ctx *ctx, soma_shape x, soma_shape parameters)
{
    soma_var vx = sample_in(ctx, x, -2, 3), gamma = sample_in(ctx, parameters, 0.5, 1.5);
    return soma_layer_norm(vx, gamma, sample_in(ctx, parameters, -1, 1), 1e-5);
}
static soma_var layer_matrix(soma__sample_ctx *ctx)
{
    return layer(ctx, S(4, 10), S(10));
}
static soma_var layer_sequence(soma__sample_ctx *ctx)
{
    return layer(ctx, S(2, 3, 33), S(33));
}
static soma_var layer_vector(soma__sample_ctx *ctx)
{
    return layer(ctx, S(17), S(17));
}
static soma_var layer_empty(soma__sample_ctx *ctx)
{
    return layer(ctx, S(0, 8), S(8));
}
static soma_var layer_refuse(soma__sample_ctx *ctx)
{
    return layer(ctx, S(4, 10), S(4));
}
static soma_var layer_refuse_scalar(soma__sample_ctx *ctx)
{
    return layer(ctx, SOMA_SCALAR, S(1));
}

/* Mean 5, variance 14, with eps √16: -4/4, -1/4, 5/4. */
static soma_var layer_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 3), (double[]){1, 4, 10});
    soma_var gamma = sample_values(ctx, 0, S(3), (double[]){2, 4, 8});
    return soma_layer_norm(x, gamma, sample_values(ctx, 0, S(3), (double[]){10, 20, 30}), 2);
}
/* One value has no spread: what is left is beta. */
static soma_var layer_one(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(2, 1), (double[]){5, -3});
    soma_var gamma = sample_values(ctx, 0, S(1), (double[]){2});
    return soma_layer_norm(x, gamma, sample_values(ctx, 0, S(1), (double[]){0.5}), 1e-5);
}
static soma_var layer_refuse_eps(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(4, 3), 0, 1), p = sample_in(ctx, S(3), 0, 1);
    return soma_layer_norm(x, p, p, -1e-5);
}

static soma_var batch(soma__sample_ctx *ctx, soma_shape x, soma_shape parameters)
{
    soma_var vx = sample_in(ctx, x, -2, 3), mean = sample_in(ctx, parameters, -1, 1);
    soma_var var = sample_in(ctx, parameters, 0.5, 2), gamma = sample_in(ctx, parameters, 0.5, 1.5);
    return soma_batch_norm(vx, mean, var, gamma, sample_in(ctx, parameters, -1, 1), 1e-5);
}
static soma_var batch_images(soma__sample_ctx *ctx)
{
    return batch(ctx, S(2, 3, 4, 5), S(5));
}
static soma_var batch_matrix(soma__sample_ctx *ctx)
{
    return batch(ctx, S(6, 33), S(33));
}
static soma_var batch_empty(soma__sample_ctx *ctx)
{
    return batch(ctx, S(0, 8), S(8));
}
static soma_var batch_refuse(soma__sample_ctx *ctx)
{
    return batch(ctx, S(6, 8), S(6));
}

/* As in training: the statistics are those of x, and their gradients flow. */
static soma_var batch_training(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(3, 2, 2, 4), -2, 3), gamma = sample_in(ctx, S(4), 0.5, 1.5);
    soma_var mean = soma_mean(x, .axes = {0, 1, 2}, .count = 3);
    soma_var var = soma_variance(x, .axes = {0, 1, 2}, .count = 3);
    return soma_batch_norm(x, mean, var, gamma, sample_in(ctx, S(4), -1, 1), 1e-5);
}
static soma_var batch_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(2, 2), (double[]){1, 10, 7, 30});
    soma_var mean = sample_values(ctx, 0, S(2), (double[]){4, 20});
    soma_var var = sample_values(ctx, 0, S(2), (double[]){8.5, 24.5});
    soma_var gamma = sample_values(ctx, 0, S(2), (double[]){1, 5});
    return soma_batch_norm(x, mean, var, gamma, sample_values(ctx, 0, S(2), (double[]){100, 200}),
                           0.5);
}

static soma_var group(soma__sample_ctx *ctx, soma_shape x, int64_t channels, int64_t groups)
{
    soma_var vx = sample_in(ctx, x, -2, 3), gamma = sample_in(ctx, S(channels), 0.5, 1.5);
    return soma_group_norm(vx, gamma, sample_in(ctx, S(channels), -1, 1), groups, 1e-5);
}
static soma_var group_images(soma__sample_ctx *ctx)
{
    return group(ctx, S(2, 3, 4, 6), 6, 3);
}
static soma_var group_matrix(soma__sample_ctx *ctx)
{
    return group(ctx, S(3, 8), 8, 2);
}
static soma_var group_empty(soma__sample_ctx *ctx)
{
    return group(ctx, S(0, 3, 8), 8, 2);
}
static soma_var group_uneven(soma__sample_ctx *ctx)
{
    return group(ctx, S(2, 3, 8), 8, 3);
}
static soma_var group_vector(soma__sample_ctx *ctx)
{
    return group(ctx, S(8), 8, 2);
}
/* Two groups of one cell: means 2 and 20, variances 1 and 100. */
static soma_var group_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 4), (double[]){1, 3, 10, 30});
    soma_var gamma = sample_values(ctx, 0, S(4), (double[]){1, 2, 3, 4});
    return soma_group_norm(x, gamma, sample_values(ctx, 0, S(4), (double[]){0, 0, 0, 5}), 2, 0);
}
static soma_var instance_images(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(2, 3, 4, 5), -2, 3), gamma = sample_in(ctx, S(5), 0.5, 1.5);
    return soma_instance_norm(x, gamma, sample_in(ctx, S(5), -1, 1), 1e-5);
}
static soma_var instance_refuse(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(2, 3, 5), -2, 3), p = sample_in(ctx, S(3), 0, 1);
    return soma_instance_norm(x, p, p, 1e-5);
}
/* Channels 1, 3 and 10, 30. */
static soma_var instance_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 2, 2), (double[]){1, 10, 3, 30});
    soma_var gamma = sample_values(ctx, 0, S(2), (double[]){1, 2});
    return soma_instance_norm(x, gamma, sample_values(ctx, 0, S(2), (double[]){0, 1}), 0);
}
static soma_var rms_matrix(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(4, 33), -2, 3);
    return soma_rms_norm(x, sample_in(ctx, S(33), 0.5, 1.5), 1e-5);
}
static soma_var rms_refuse(soma__sample_ctx *ctx)
{
    soma_var x = sample_in(ctx, S(4, 33), -2, 3);
    return soma_rms_norm(x, sample_in(ctx, S(4), 0.5, 1.5), 1e-5);
}
/* The mean square of 3, 4, 12, 0 is 169/4. */
static soma_var rms_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 4), (double[]){3, 4, 12, 0});
    soma_var gamma = sample_values(ctx, 0, S(4), (double[]){1, 1, 2, 1});
    return soma_rms_norm(x, gamma, 0);
}
static soma_var response(soma__sample_ctx *ctx)
{
    return soma_local_response_norm(sample_in(ctx, S(2, 3, 2, 7), -2, 3), 5, 0.5, 0.75, 2);
}
static soma_var response_even(soma__sample_ctx *ctx)
{
    return soma_local_response_norm(sample_in(ctx, S(3, 4), -2, 3), 4, 1, 0.5, 1);
}
static soma_var response_wide(soma__sample_ctx *ctx)
{
    return soma_local_response_norm(sample_in(ctx, S(3, 4), -2, 3), 11, 1, 1, 1);
}
/* 1 + (sums of squares 5, 14, 13) */
static soma_var response_worked(soma__sample_ctx *ctx)
{
    soma_var x = sample_values(ctx, 0, S(1, 3), (double[]){1, 2, 3});
    return soma_local_response_norm(x, 3, 3, 1, 1);
}
static soma_var response_refuse(soma__sample_ctx *ctx)
{
    return soma_local_response_norm(sample_in(ctx, S(3, 4), -2, 3), 0, 1, 1, 1);
}
static soma_var weights(soma__sample_ctx *ctx)
{
    soma_var v = sample_in(ctx, S(4, 3, 3, 2), -1, 1);
    return soma_weight_norm(v, sample_in(ctx, S(4, 1, 1, 1), 0.5, 2));
}
static soma_var weights_worked(soma__sample_ctx *ctx)
{
    soma_var v = sample_values(ctx, 0, S(2, 2), (double[]){3, 4, 0, -2});
    return soma_weight_norm(v, sample_values(ctx, 0, S(2, 1), (double[]){10, 7}));
}
static soma_var weights_refuse(soma__sample_ctx *ctx)
{
    soma_var v = sample_in(ctx, S(4, 3), -1, 1);
    return soma_weight_norm(v, sample_in(ctx, S(4), 0.5, 2));
}
static soma_var spectral(soma__sample_ctx *ctx)
{
    soma_var w = sample_in(ctx, S(4, 2, 3), 0.1, 1), u = sample_in(ctx, S(4), 0.1, 1);
    return soma_spectral_norm(w, u, sample_in(ctx, S(6), 0.1, 1));
}
/* u picks the row 3, 4, v its second cell. */
static soma_var spectral_worked(soma__sample_ctx *ctx)
{
    soma_var w = sample_values(ctx, 0, S(2, 2), (double[]){1, 2, 3, 4});
    soma_var u = sample_values(ctx, 0, S(2), (double[]){0, 1});
    return soma_spectral_norm(w, u, sample_values(ctx, 0, S(2), (double[]){0, 1}));
}
static soma_var spectral_refuse(soma__sample_ctx *ctx)
{
    soma_var w = sample_in(ctx, S(4, 2, 3), 0.1, 1), u = sample_in(ctx, S(4), 0.1, 1);
    return soma_spectral_norm(w, u, u);
}

const soma__sample soma__samples_norm[] = {
    {"layer_norm", "1, 4, 10", .build = layer_worked, SAMPLE_EXPECT(8, 19, 40)},
    {"layer_norm", "one value", .build = layer_one, .flags = SAMPLE_NO_DIFFERENCES,
     SAMPLE_EXPECT(0.5, 0.5)},
    {"layer_norm", "matrix", .build = layer_matrix, .tolerance = 1e-5},
    {"layer_norm", "sequence", .build = layer_sequence, .tolerance = 1e-5},
    {"layer_norm", "vector", .build = layer_vector, .tolerance = 1e-5},
    {"layer_norm", "empty batch", .build = layer_empty},
    {"layer_norm", "gamma of another size", .build = layer_refuse, .status = SOMA_SHAPE,
     .message = "gamma must be [10] for x [4,10], but is [4]"},
    {"layer_norm", "scalar", .build = layer_refuse_scalar, .status = SOMA_SHAPE,
     .message = "at least one dimension"},
    {"layer_norm", "negative eps", .build = layer_refuse_eps, .status = SOMA_INVALID,
     .message = "eps"},

    {"batch_norm", "two channels", .build = batch_worked, SAMPLE_EXPECT(99, 190, 101, 210)},
    {"batch_norm", "images", .build = batch_images, .tolerance = 1e-5},
    {"batch_norm", "matrix", .build = batch_matrix, .tolerance = 1e-5},
    {"batch_norm", "training", .build = batch_training, .tolerance = 1e-5},
    {"batch_norm", "empty batch", .build = batch_empty},
    {"batch_norm", "mean of another size", .build = batch_refuse, .status = SOMA_SHAPE,
     .message = "mean must be [8] for x [6,8], but is [6]"},

    {"group_norm", "two groups", .build = group_worked, SAMPLE_EXPECT(-1, 2, -3, 9)},
    {"group_norm", "images", .build = group_images, .tolerance = 1e-5},
    {"group_norm", "matrix", .build = group_matrix, .tolerance = 1e-5},
    {"group_norm", "empty batch", .build = group_empty},
    {"group_norm", "uneven groups", .build = group_uneven, .status = SOMA_INVALID,
     .message = "8 channels cannot be cut into 3 groups"},
    {"group_norm", "no batch", .build = group_vector, .status = SOMA_SHAPE, .message = "[N,…,C]"},
    {"instance_norm", "two channels", .build = instance_worked, SAMPLE_EXPECT(-1, -1, 1, 3)},
    {"instance_norm", "images", .build = instance_images, .tolerance = 1e-5},
    {"instance_norm", "gamma of another size", .build = instance_refuse, .status = SOMA_SHAPE,
     .message = "gamma must be [5]"},
    {"rms_norm", "3, 4, 12, 0", .build = rms_worked, SAMPLE_EXPECT(3 / 6.5, 4 / 6.5, 24 / 6.5, 0)},
    {"rms_norm", "matrix", .build = rms_matrix, .tolerance = 1e-5},
    {"rms_norm", "gamma of another size", .build = rms_refuse, .status = SOMA_SHAPE,
     .message = "gamma must be [33]"},
    {"local_response_norm", "1, 2, 3", .build = response_worked,
     SAMPLE_EXPECT(1 / 6.0, 2 / 15.0, 3 / 14.0)},
    {"local_response_norm", "images", .build = response, .tolerance = 1e-5},
    {"local_response_norm", "even size", .build = response_even, .tolerance = 1e-5},
    {"local_response_norm", "wider than the channels", .build = response_wide, .tolerance = 1e-5},
    {"local_response_norm", "no size", .build = response_refuse, .status = SOMA_INVALID,
     .message = "size 0"},
    {"weight_norm", "lengths 10 and 7", .build = weights_worked, SAMPLE_EXPECT(6, 8, 0, -7)},
    {"weight_norm", "4x3x3x2", .build = weights, .tolerance = 1e-5},
    {"weight_norm", "g without its ones", .build = weights_refuse, .status = SOMA_SHAPE,
     .message = "[O,…] and [O,1,…]"},
    {"spectral_norm", "sigma 4", .build = spectral_worked, SAMPLE_EXPECT(0.25, 0.5, 0.75, 1)},
    {"spectral_norm", "4x2x3", .build = spectral, .tolerance = 1e-5},
    {"spectral_norm", "v of another size", .build = spectral_refuse, .status = SOMA_SHAPE,
     .message = "[product of …]"},
    {0},
};
