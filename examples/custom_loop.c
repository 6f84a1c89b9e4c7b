/* Three things that a ready-made loop does not do, on the same few lines of graph:
 *
 *   1. a loss and a training step of one's own, gradients and updates written out,
 *   2. a gradient of a gradient: a penalty on how steep the learnt function is,
 *   3. a network whose depth changes from step to step: the graph is built anew each time, and the
 *      context's plan cache recognises the shapes it has seen.
 *
 * The task: y = sin(3x) on [-1,1], learnt from 64 points by a network 1-32-…-32-1. */
#include <math.h>
#include <soma/soma.h>
#include <stdio.h>

#define POINTS 64
#define WIDTH 32
#define STEPS 600

#define TRY(call)                                                                                  \
    do {                                                                                           \
        soma_status try_ = (call);                                                                 \
        if (try_ != SOMA_OK)                                                                       \
            return try_;                                                                           \
    } while (0)

/* Weights live outside of the graphs that use them. */
enum { W_IN, B_IN, W_MID, B_MID, W_OUT, B_OUT, WEIGHTS };
typedef struct network {
    soma_tensor *weight[WEIGHTS];
    soma_tensor *x, *y; /* the points */
} network;

/* Deterministic numbers in [-1,1). */
static float noise(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / (float)(1 << 23) - 1.0f;
}

static soma_status network_create(network *n, soma_error *err)
{
    const soma_shape shapes[WEIGHTS] = {SOMA_SHAPE(1, WIDTH),     SOMA_SHAPE(WIDTH),
                                        SOMA_SHAPE(WIDTH, WIDTH), SOMA_SHAPE(WIDTH),
                                        SOMA_SHAPE(WIDTH, 1),     SOMA_SHAPE(1)};
    uint32_t state = 1;
    for (int i = 0; i < WEIGHTS; i++) {
        TRY(soma_tensor_create(&n->weight[i], SOMA_F32, shapes[i], err));
        float scale = i == W_IN ? 2.0f : sqrtf(3.0f / WIDTH);
        for (int64_t k = 0; k < soma_tensor_count(n->weight[i]); k++)
            soma_tensor_f32(n->weight[i])[k] = scale * noise(&state);
    }
    TRY(soma_tensor_create(&n->x, SOMA_F32, SOMA_SHAPE(POINTS, 1), err));
    TRY(soma_tensor_create(&n->y, SOMA_F32, SOMA_SHAPE(POINTS, 1), err));
    for (int i = 0; i < POINTS; i++) {
        float x = -1.0f + 2.0f * (float)i / (POINTS - 1);
        soma_tensor_f32(n->x)[i] = x;
        soma_tensor_f32(n->y)[i] = sinf(3 * x);
    }
    return SOMA_OK;
}

static void network_clear(network *n)
{
    for (int i = 0; i < WEIGHTS; i++)
        soma_tensor_release(n->weight[i]);
    soma_tensor_release(n->x);
    soma_tensor_release(n->y);
}

/* tanh layers; the middle one, with the same weights, `depth` times. */
static soma_var forward(const soma_var *w, soma_var x, int depth)
{
    soma_var h = soma_tanh(soma_add(soma_matmul(x, w[W_IN]), w[B_IN]));
    for (int i = 0; i < depth; i++)
        h = soma_tanh(soma_add(soma_matmul(h, w[W_MID]), w[B_MID]));
    return soma_add(soma_matmul(h, w[W_OUT]), w[B_OUT]);
}

/* One step. *loss is the mean squared error, *slope the mean square of dy/dx before the step. */
static soma_status step(network *n, soma_context *context, int depth, double penalty, double *loss,
                        double *slope, soma_error *err)
{
    soma_graph *graph;
    soma_var w[WEIGHTS], gradient[WEIGHTS], dx, out[2];
    soma_update update[WEIGHTS];
    soma_tensor *result[2];
    TRY(soma_graph_create(&graph, err));
    for (int i = 0; i < WEIGHTS; i++)
        w[i] = soma_variable(graph, "w", n->weight[i]);
    soma_var x = soma_variable(graph, "x", n->x), y = soma_variable(graph, "y", n->y);
    soma_var f = forward(w, x, depth);
    /* The derivative by x is part of the loss, whose derivative by the weights comes next. */
    soma_gradients(f, &x, 1, &dx);
    out[0] = soma_mean(soma_square(soma_sub(f, y)));
    out[1] = soma_mean(soma_square(dx));
    soma_gradients(soma_add(out[0], soma_mul_scalar(out[1], penalty)), w, WEIGHTS, gradient);
    for (int i = 0; i < WEIGHTS; i++)
        update[i] = (soma_update){w[i], soma_sub(w[i], soma_mul_scalar(gradient[i], 0.05))};
    soma_status status = soma_eval_many(result, context, out, 2, update, WEIGHTS, err);
    soma_graph_destroy(graph);
    TRY(status);
    *loss = soma_tensor_get(result[0], 0);
    *slope = soma_tensor_get(result[1], 0);
    soma_tensor_release(result[0]);
    soma_tensor_release(result[1]);
    return SOMA_OK;
}

/* Trains anew and hands out the last loss and slope. */
static soma_status train(soma_context *context, double penalty, bool dynamic, double *loss,
                         double *slope, soma_error *err)
{
    network n = {0};
    soma_status status = network_create(&n, err);
    for (int i = 0; i < STEPS && status == SOMA_OK; i++)
        status = step(&n, context, dynamic ? 1 + i % 3 : 1, penalty, loss, slope, err);
    network_clear(&n);
    return status;
}

int main(void)
{
    soma_error err = {0};
    soma_context *context;
    double plain[2] = {0}, flat[2] = {0}, dynamic[2] = {0};
    soma_status status = soma_context_create(&context, NULL, &err);
    if (status == SOMA_OK)
        status = train(context, 0, false, &plain[0], &plain[1], &err);
    if (status == SOMA_OK)
        status = train(context, 0.05, false, &flat[0], &flat[1], &err);
    if (status == SOMA_OK)
        status = train(context, 0, true, &dynamic[0], &dynamic[1], &err);
    soma_context_destroy(context);
    if (status != SOMA_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    printf("plain:            error %.5f, mean squared slope %.3f\n", plain[0], plain[1]);
    printf("gradient penalty: error %.5f, mean squared slope %.3f\n", flat[0], flat[1]);
    printf("depth 1, 2 or 3:  error %.5f, mean squared slope %.3f\n", dynamic[0], dynamic[1]);
    /* sin(3x) has a mean squared slope of about 4.4: the penalty must have flattened it. */
    bool ok = plain[0] < 0.01 && dynamic[0] < 0.05 && flat[1] < 0.9 * plain[1];
    return ok ? 0 : 1;
}
