/* bench_nets.c: networks of `soma bench`: training steps and inference on random data. */
#include <string.h>

#include "cli/bench.h"
#include "tensor/tensor.h"
#include "train/step.h"

/* The networks that rows name by their index here. */
enum { MNIST_MLP, MNIST_CNN, CIFAR10_LENET, RESNET18_CIFAR, RESNET18, VGG16, MOBILENET_V2 };

static soma_layer *layers_of(int network, bool plain)
{
    switch (network) {
    case MNIST_MLP:
        return soma_layer_sequential(soma_layer_flatten(),
                                     soma_layer_dense(256, .activation = SOMA_RELU),
                                     soma_layer_dense(10));
    case MNIST_CNN:
        return soma_layer_sequential(
            soma_layer_conv2d(32, 3, .activation = SOMA_RELU),
            soma_layer_conv2d(64, 3, .activation = SOMA_RELU), soma_layer_max_pool2d(2),
            soma_layer_spatial_dropout(plain ? 0 : 0.25), soma_layer_flatten(),
            soma_layer_dense(128, .activation = SOMA_RELU), soma_layer_dropout(plain ? 0 : 0.5),
            soma_layer_dense(10));
    case CIFAR10_LENET:
        return soma_layer_sequential(
            soma_layer_conv2d(6, 5, .activation = SOMA_RELU), soma_layer_max_pool2d(2),
            soma_layer_conv2d(16, 5, .activation = SOMA_RELU), soma_layer_max_pool2d(2),
            soma_layer_flatten(), soma_layer_dense(120, .activation = SOMA_RELU),
            soma_layer_dense(84, .activation = SOMA_RELU), soma_layer_dense(10));
    case RESNET18_CIFAR:
        return soma_layer_resnet(18, .classes = 10, .stem = SOMA_STEM_CIFAR);
    case RESNET18:
        return soma_layer_resnet(18);
    case VGG16:
        return soma_layer_vgg(16);
    default:
        return soma_layer_mobilenet_v2();
    }
}

static soma_status make_model(bench_job *job, int network, soma_error *err)
{
    soma_model_options options = {.input = SOMA_SHAPE(224, 224, 3), .seed = 1};
    if (network == MNIST_MLP || network == MNIST_CNN)
        options.input = SOMA_SHAPE(28, 28, 1);
    else if (network == CIFAR10_LENET || network == RESNET18_CIFAR)
        options.input = SOMA_SHAPE(32, 32, 3);
    return soma_model_create(&job->model, job->context, layers_of(network, job->plain), &options,
                             err);
}

/* {network, batch, optimizer} */
static soma_status open_training(bench_job *job, const int64_t *size, soma_error *err)
{
    soma_optimizer_options options = {.kind = (soma_optimizer_kind)size[2], .rate = 0.001};
    if (options.kind == SOMA_SGD)
        options.momentum = 0.9;
    SOMA__TRY(make_model(job, (int)size[0], err));
    if (size[3])
        SOMA__TRY(soma_model_set_precision(job->model, (soma_dtype)size[3], err));
    SOMA__TRY(cli_step_make(&job->step, job->model, size[1], &options, err));
    job->session = job->step.step->session;
    job->samples = size[1];
    job->name[0] = "x";
    job->tensor[0] = soma_tensor_retain(job->step.x);
    job->name[1] = "y";
    job->tensor[1] = soma_tensor_retain(job->step.y);
    job->tensors = 2;
    return SOMA_OK;
}

/* Statistics and factors of a fresh batch norm are 0 and 1, of which a network with a fault in them
 * would not tell: these are like those of a trained one. */
static void age_norms(soma_model *model)
{
    for (int i = 0; i < soma_model_parameter_count(model); i++) {
        const soma_parameter *p = soma_model_parameter(model, i);
        if (soma_tensor_shape(p->tensor)->ndim != 1)
            continue;
        const char *dot = strrchr(p->name, '.');
        bool around_one = dot && (!strcmp(dot, ".weight") || !strcmp(dot, ".running_var"));
        for (int64_t k = 0; k < soma_tensor_count(p->tensor); k++)
            soma_tensor_set(p->tensor, k,
                            (around_one ? 0.75 : -0.25) + 0.5 * (double)((k * 7 + i) % 16) / 15);
    }
}

/* {network, batch} */
static soma_status open_inference(bench_job *job, const int64_t *size, soma_error *err)
{
    SOMA__TRY(make_model(job, (int)size[0], err));
    age_norms(job->model);
    soma_shape shape = soma__shape_batched(&soma_model_get_options(job->model)->input, size[1]);
    soma_tensor *x = bench_tensor(job, "x", shape, 0, 1, err);
    if (!x)
        return SOMA_MEMORY;
    SOMA__TRY(soma_graph_create(&job->graph, err));
    soma_var y =
        soma_model_apply(job->model, job->graph, soma_input(job->graph, "x", SOMA_F32, shape),
                         SOMA_EVALUATE, (soma_var){0}, NULL, 0, NULL);
    SOMA__TRY(soma_plan_create(&job->plan, job->context, &y, 1, NULL, 0, err));
    SOMA__TRY(soma_plan_prepare(job->plan, err)); /* as predictions do */
    SOMA__TRY(soma_session_create(&job->own, job->plan, err));
    job->session = job->own;
    job->samples = size[1];
    return soma_session_set_tensor(job->session, "x", x, err);
}

const bench_row bench_net_rows[] = {
    {"mnist-mlp training step batch 32", open_training, {MNIST_MLP, 32, SOMA_ADAM}, false, NULL},
    {"mnist-mlp training step batch 128", open_training, {MNIST_MLP, 128, SOMA_ADAM}, false, NULL},
    {"mnist-cnn training step batch 64", open_training, {MNIST_CNN, 64, SOMA_ADAM}, false, NULL},
    {"cifar10-lenet training step batch 64",
     open_training,
     {CIFAR10_LENET, 64, SOMA_ADAM},
     false,
     NULL},
    {"resnet18-cifar training step batch 32",
     open_training,
     {RESNET18_CIFAR, 32, SOMA_SGD},
     false,
     NULL},
    {"resnet18-cifar training step batch 32 bf16",
     open_training,
     {RESNET18_CIFAR, 32, SOMA_SGD, SOMA_BF16},
     false,
     NULL},
    {"resnet18 inference batch 1", open_inference, {RESNET18, 1}, false, NULL},
    {"resnet18 inference batch 8", open_inference, {RESNET18, 8}, false, NULL},
    {"vgg16 inference batch 1", open_inference, {VGG16, 1}, false, NULL},
    {"mobilenet_v2 inference batch 1", open_inference, {MOBILENET_V2, 1}, false, NULL},
};
const int bench_net_count = (int)(sizeof bench_net_rows / sizeof bench_net_rows[0]);
