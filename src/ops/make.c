/* make.c: constants made by a formula, and selections whose size depends on values. */
#include <math.h>

#include "ops/ops.h"

static soma_var failed_in(soma_graph *graph)
{
    return (soma_var){graph, -1};
}

/* A constant of `count` cells start + i·step, or a fault. */
static soma_var progression(soma_graph *graph, soma_dtype dtype, double start, double step,
                            int64_t count)
{
    soma_tensor *tensor;
    if (soma_tensor_create(&tensor, dtype, SOMA_SHAPE(count), &graph->error))
        return failed_in(graph);
    for (int64_t i = 0; i < count; i++)
        soma_tensor_set(tensor, i, start + (double)i * step);
    soma_var x = soma_constant(graph, tensor);
    soma_tensor_release(tensor);
    return x;
}

soma_var soma_arange(soma_graph *graph, soma_dtype dtype, double start, double stop, double step)
{
    if (!graph || graph->error.code != SOMA_OK)
        return failed_in(graph);
    const double count = ceil((stop - start) / step);
    if (!(fabs(count) < 1e18)) { /* also for a step of 0 and numbers that are none */
        soma_graph_fail(graph, SOMA_INVALID, "arange: no steps of %g lead from %g to %g", step,
                        start, stop);
        return failed_in(graph);
    }
    return progression(graph, dtype, start, step, count > 0 ? (int64_t)count : 0);
}

soma_var soma_linspace(soma_graph *graph, soma_dtype dtype, double start, double stop,
                       int64_t count)
{
    if (!graph || graph->error.code != SOMA_OK)
        return failed_in(graph);
    if (count < 0 || !isfinite(start) || !isfinite(stop)) {
        soma_graph_fail(graph, SOMA_INVALID, "linspace: %lld numbers from %g to %g",
                        (long long)count, start, stop);
        return failed_in(graph);
    }
    soma_tensor *tensor;
    if (soma_tensor_create(&tensor, dtype, SOMA_SHAPE(count), &graph->error))
        return failed_in(graph);
    /* Weighted from both ends: the last number is `stop` itself. */
    for (int64_t i = 0; i < count; i++) {
        const double part = count > 1 ? (double)i / (double)(count - 1) : 0;
        soma_tensor_set(tensor, i, start * (1 - part) + stop * part);
    }
    soma_var x = soma_constant(graph, tensor);
    soma_tensor_release(tensor);
    return x;
}

soma_var soma_eye(soma_graph *graph, soma_dtype dtype, int64_t rows, int64_t cols, int64_t offset)
{
    soma_tensor *tensor;
    if (!graph || graph->error.code != SOMA_OK)
        return failed_in(graph);
    if (soma_tensor_create(&tensor, dtype, SOMA_SHAPE(rows, cols), &graph->error))
        return failed_in(graph);
    for (int64_t r = 0; r < rows; r++)
        if (offset >= -r && offset < cols - r)
            soma_tensor_set(tensor, r * cols + r + offset, 1);
    soma_var x = soma_constant(graph, tensor);
    soma_tensor_release(tensor);
    return x;
}

void soma_meshgrid(const soma_var *x, int count, soma_var *out)
{
    soma_shape shape = {.ndim = count};
    for (int i = 0; i < count; i++)
        out[i] = x ? soma__failed(x[i]) : failed_in(NULL);
    for (int i = 0; i < count; i++) {
        if (!x || !soma_var_ok(x[i]))
            return;
        if (count > SOMA_MAX_DIMS || soma_var_shape(x[i]).ndim != 1) {
            soma_graph_fail(x[i].graph, SOMA_SHAPE,
                            "meshgrid: takes at most %d vectors; input %d of %d has %d dimensions",
                            SOMA_MAX_DIMS, i, count, soma_var_shape(x[i]).ndim);
            return;
        }
        shape.dim[i] = soma_var_shape(x[i]).dim[0];
    }
    for (int i = 0; i < count; i++) {
        soma_shape own = {.ndim = count};
        for (int d = 0; d < count; d++)
            own.dim[d] = d == i ? shape.dim[d] : 1;
        out[i] = soma_expand(soma_reshape(x[i], own), shape);
    }
}

soma_var soma_masked_select(soma_var x, const soma_tensor *mask)
{
    const soma_shape shape = soma_var_shape(x);
    if (!soma_var_ok(x))
        return soma__failed(x);
    if (!mask || mask->dtype != SOMA_BOOL || !soma_shape_equal(&mask->shape, &shape)) {
        char text[SOMA_SHAPE_TEXT_SIZE];
        soma_graph_fail(x.graph, SOMA_SHAPE, "masked_select: the mask must be bool %s as x is",
                        soma_shape_text(&shape, text, sizeof(text)));
        return soma__failed(x);
    }
    const unsigned char *chosen = mask->data;
    int64_t count = 0;
    for (int64_t i = 0; i < mask->count; i++)
        count += chosen[i] != 0;
    soma_tensor *positions;
    if (soma_tensor_create(&positions, SOMA_I64, SOMA_SHAPE(count), &x.graph->error))
        return soma__failed(x);
    int64_t *position = positions->data;
    for (int64_t i = 0; i < mask->count; i++)
        if (chosen[i])
            *position++ = i;
    soma_var index = soma_constant(x.graph, positions);
    soma_tensor_release(positions);
    return soma_gather(soma_reshape(x, SOMA_SHAPE(mask->count)), index, 0);
}
