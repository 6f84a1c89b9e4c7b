/* bench_ops.c: single ops of `soma bench`, on random numbers. */
#include "base/rng.h"
#include "cli/bench.h"
#include "tensor/tensor.h"

soma_tensor *bench_tensor(bench_job *job, const char *name, soma_shape shape, double low,
                          double high, soma_error *err)
{
    size_t bytes;
    soma_tensor *tensor = NULL;
    soma__rng_key key = {.seed = 1, .stream = soma__rng_stream(name)};
    float *value = soma__shape_bytes(&shape, SOMA_F32, &bytes) ? soma__aligned(bytes) : NULL;
    if (!value) {
        (void)soma__fail(err, SOMA_MEMORY, "no memory for '%s'", name);
        return NULL;
    }
    int64_t count = (int64_t)(bytes / sizeof *value);
    soma__rng_uniforms(&key, 0, count, value);
    for (int64_t i = 0; i < count; i++)
        value[i] = (float)(low + (high - low) * (double)value[i]);
    /* A copy, since a plan prepares only weights to which nobody has a pointer. */
    soma_status status = soma_tensor_from(&tensor, SOMA_F32, shape, value, err);
    soma__free(value);
    if (status != SOMA_OK)
        return NULL;
    job->name[job->tensors] = name;
    job->tensor[job->tensors++] = tensor;
    return tensor;
}

static soma_status begin(bench_job *job, soma_error *err)
{
    return soma_graph_create(&job->graph, err);
}

/* Plans what `y` and the updates need and feeds it the job's tensors that it has as inputs. */
static soma_status end(bench_job *job, const soma_var *y, int outputs, const soma_update *updates,
                       int update_count, soma_error *err)
{
    SOMA__TRY(soma_plan_create(&job->plan, job->context, y, outputs, updates, update_count, err));
    SOMA__TRY(soma_plan_prepare(job->plan, err));
    SOMA__TRY(soma_session_create(&job->own, job->plan, err));
    job->session = job->own;
    for (int i = 0; i < job->tensors; i++) {
        soma_error inner = {0};
        soma_status status =
            soma_session_set_tensor(job->own, job->name[i], job->tensor[i], &inner);
        if (status != SOMA_OK && status != SOMA_NOT_FOUND)
            return soma__fail(err, status, "%s", inner.message);
    }
    return SOMA_OK;
}

/* An input, or a variable as weights are, which the plan keeps as its kernels want it. */
static soma_var input(bench_job *job, const char *name, soma_shape shape, soma_error *err)
{
    if (!bench_tensor(job, name, shape, -1, 1, err))
        return (soma_var){job->graph, -1};
    return soma_input(job->graph, name, SOMA_F32, shape);
}

static soma_var weight(bench_job *job, const char *name, soma_shape shape, soma_error *err)
{
    soma_tensor *tensor = bench_tensor(job, name, shape, -1, 1, err);
    return tensor ? soma_variable(job->graph, name, tensor) : (soma_var){job->graph, -1};
}

/* {M, K, N} */
static soma_status open_matmul(bench_job *job, const int64_t *size, soma_error *err)
{
    SOMA__TRY(begin(job, err));
    soma_var x = input(job, "x", SOMA_SHAPE(size[0], size[1]), err);
    soma_var w = weight(job, "w", SOMA_SHAPE(size[1], size[2]), err);
    SOMA__TRY(job->tensors == 2 ? SOMA_OK : SOMA_MEMORY);
    soma_var y = soma_matmul(x, w);
    return end(job, &y, 1, NULL, 0, err);
}

/* {batch, side, channels, kernel} */
static soma_status open_conv(bench_job *job, const int64_t *size, soma_error *err)
{
    SOMA__TRY(begin(job, err));
    soma_var x = input(job, "x", SOMA_SHAPE(size[0], size[1], size[1], size[2]), err);
    soma_var w = weight(job, "w", SOMA_SHAPE(size[2], size[3], size[3], size[2]), err);
    SOMA__TRY(job->tensors == 2 ? SOMA_OK : SOMA_MEMORY);
    soma_var y = soma_conv2d(x, w, .padding = SOMA_PAD_SAME);
    return end(job, &y, 1, NULL, 0, err);
}

/* sigmoid(x · √(|2x + 1| + ½)) - x on {count} values: eight ops, of which one has to be an exp for
 * the chain to be like those of networks. */
static soma_status open_chain(bench_job *job, const int64_t *size, soma_error *err)
{
    SOMA__TRY(begin(job, err));
    soma_var x = input(job, "x", SOMA_SHAPE(size[0]), err);
    SOMA__TRY(job->tensors == 1 ? SOMA_OK : SOMA_MEMORY);
    soma_var root =
        soma_sqrt(soma_add_scalar(soma_abs(soma_add_scalar(soma_mul_scalar(x, 2), 1)), 0.5));
    soma_var y = soma_sub(soma_sigmoid(soma_mul(x, root)), x);
    return end(job, &y, 1, NULL, 0, err);
}

/* {rows, columns}, as the two after it */
static soma_status open_layer_norm(bench_job *job, const int64_t *size, soma_error *err)
{
    SOMA__TRY(begin(job, err));
    soma_var x = input(job, "x", SOMA_SHAPE(size[0], size[1]), err);
    soma_var gamma = weight(job, "gamma", SOMA_SHAPE(size[1]), err);
    soma_var beta = weight(job, "beta", SOMA_SHAPE(size[1]), err);
    SOMA__TRY(job->tensors == 3 ? SOMA_OK : SOMA_MEMORY);
    soma_var y = soma_layer_norm(x, gamma, beta, 1e-5);
    return end(job, &y, 1, NULL, 0, err);
}

static soma_status open_softmax(bench_job *job, const int64_t *size, soma_error *err)
{
    SOMA__TRY(begin(job, err));
    soma_var x = input(job, "x", SOMA_SHAPE(size[0], size[1]), err);
    SOMA__TRY(job->tensors == 1 ? SOMA_OK : SOMA_MEMORY);
    soma_var y = soma_softmax(x, 1);
    return end(job, &y, 1, NULL, 0, err);
}

/* One update of {count} weights by a gradient that is given. */
static soma_status open_adam(bench_job *job, const int64_t *size, soma_error *err)
{
    static const soma_optimizer_options adam = {.kind = SOMA_ADAM};
    const char *const names[] = {"w"};
    SOMA__TRY(begin(job, err));
    soma_var w = weight(job, "w", SOMA_SHAPE(size[0]), err);
    soma_var g = input(job, "g", SOMA_SHAPE(size[0]), err);
    SOMA__TRY(job->tensors == 2 ? SOMA_OK : SOMA_MEMORY);
    SOMA__TRY(soma_optimizer_create(&job->optimizer, &adam, names, job->tensor, 1, err));
    int numbers = soma_optimizer_hyper_count(job->optimizer), used = 0;
    job->hyper = soma__calloc((size_t)numbers, sizeof(float));
    soma_update *updates =
        soma__calloc((size_t)soma_optimizer_update_count(job->optimizer), sizeof *updates);
    soma_status status = SOMA_OK;
    if (!job->hyper || !updates) {
        status = soma__fail(err, SOMA_MEMORY, "no memory for an optimizer");
    } else {
        soma_optimizer_hyper(job->optimizer, 0, 1, 1, job->hyper);
        soma_var hyper = soma_input(job->graph, "hyper", SOMA_F32, SOMA_SHAPE(numbers));
        soma_optimizer_apply(job->optimizer, &w, &g, hyper, (soma_var){0}, NULL, updates, &used);
        status = end(job, NULL, 0, updates, used, err);
    }
    soma__free(updates);
    SOMA__TRY(status);
    return soma_session_set(job->session, "hyper", SOMA_F32, &SOMA_SHAPE(numbers), job->hyper, err);
}

/* {count} steps, none of which can be merged with the next, each on one value: what a step costs
 * besides its work. */
static soma_status open_steps(bench_job *job, const int64_t *size, soma_error *err)
{
    SOMA__TRY(begin(job, err));
    soma_var x = input(job, "x", SOMA_SHAPE(1), err);
    SOMA__TRY(job->tensors == 1 ? SOMA_OK : SOMA_MEMORY);
    for (int64_t i = 0; i < size[0]; i++)
        x = soma_cumsum(x, 0);
    SOMA__TRY(end(job, &x, 1, NULL, 0, err));
    job->samples = size[0];
    return SOMA_OK;
}

const bench_row bench_op_rows[] = {
    {"matmul 64x64x64", open_matmul, {64, 64, 64}, false, NULL},
    {"matmul 128x128x128", open_matmul, {128, 128, 128}, false, NULL},
    {"matmul 256x256x256", open_matmul, {256, 256, 256}, false, NULL},
    {"matmul 512x512x512", open_matmul, {512, 512, 512}, false, NULL},
    {"matmul 1024x1024x1024", open_matmul, {1024, 1024, 1024}, false, NULL},
    {"matmul 2048x2048x2048", open_matmul, {2048, 2048, 2048}, false, NULL},
    {"matmul 32x784x256", open_matmul, {32, 784, 256}, false, NULL},
    {"matmul 128x784x256", open_matmul, {128, 784, 256}, false, NULL},
    {"matmul 1x4096x4096", open_matmul, {1, 4096, 4096}, true, NULL},
    {"matmul 64x9216x128", open_matmul, {64, 9216, 128}, false, NULL},
    {"matmul 4096x64x64", open_matmul, {4096, 64, 64}, false, NULL},
    {"matmul 64x64x4096", open_matmul, {64, 64, 4096}, false, NULL},
    {"conv 3x3 64-64 56x56 batch 1", open_conv, {1, 56, 64, 3}, false, NULL},
    {"conv 3x3 64-64 56x56 batch 8", open_conv, {8, 56, 64, 3}, false, NULL},
    {"chain of 8 ops over 1e7", open_chain, {10000000}, true, NULL},
    {"layer_norm 10000x1000", open_layer_norm, {10000, 1000}, true, NULL},
    {"softmax 10000x1000", open_softmax, {10000, 1000}, true, NULL},
    {"adam over 1e7", open_adam, {10000000}, true, NULL},
    {"1000 steps on one value", open_steps, {1000}, false, "steps"},
};
const int bench_op_count = (int)(sizeof bench_op_rows / sizeof bench_op_rows[0]);
