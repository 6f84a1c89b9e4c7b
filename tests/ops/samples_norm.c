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
    {0},
};
