/* axes.c: builders that only rename, move or cut axes: each is a reshape, a permutation or slices.
 */
#include "ops/ops.h"

/* Makes the axis positive; false (and a fault that names the builder) when it is outside. */
static bool axis_in(soma_var x, const char *builder, int64_t *axis, int ndim)
{
    if (*axis < -ndim || *axis >= ndim) {
        soma_graph_fail(x.graph, SOMA_SHAPE, "%s: axis %lld is outside of %d dimensions", builder,
                        (long long)*axis, ndim);
        return false;
    }
    if (*axis < 0)
        *axis += ndim;
    return true;
}

soma_var soma_unsqueeze(soma_var x, int64_t axis)
{
    soma_shape shape = soma_var_shape(x);
    if (!soma_var_ok(x))
        return soma__failed(x);
    if (shape.ndim == SOMA_MAX_DIMS) {
        soma_graph_fail(x.graph, SOMA_SHAPE, "unsqueeze: x has %d dimensions, no room for one more",
                        shape.ndim);
        return soma__failed(x);
    }
    if (!axis_in(x, "unsqueeze", &axis, shape.ndim + 1))
        return soma__failed(x);
    for (int d = shape.ndim++; d > axis; d--)
        shape.dim[d] = shape.dim[d - 1];
    shape.dim[axis] = 1;
    return soma_reshape(x, shape);
}

soma_var soma_squeeze(soma_var x, int64_t axis)
{
    soma_shape shape = soma_var_shape(x);
    if (!soma_var_ok(x) || !axis_in(x, "squeeze", &axis, shape.ndim))
        return soma__failed(x);
    if (shape.dim[axis] != 1) {
        soma_graph_fail(x.graph, SOMA_SHAPE, "squeeze: axis %lld has %lld cells, not 1",
                        (long long)axis, (long long)shape.dim[axis]);
        return soma__failed(x);
    }
    shape.ndim--;
    for (int d = (int)axis; d < shape.ndim; d++)
        shape.dim[d] = shape.dim[d + 1];
    shape.dim[shape.ndim] = 0;
    return soma_reshape(x, shape);
}

soma_var soma_swapaxes(soma_var x, int64_t axis1, int64_t axis2)
{
    const int ndim = soma_var_shape(x).ndim;
    int64_t order[SOMA_MAX_DIMS];
    if (!soma_var_ok(x) || !axis_in(x, "swapaxes", &axis1, ndim) ||
        !axis_in(x, "swapaxes", &axis2, ndim))
        return soma__failed(x);
    for (int d = 0; d < ndim; d++)
        order[d] = d;
    order[axis1] = axis2;
    order[axis2] = axis1;
    return soma_permute(x, order, ndim);
}

soma_var soma_moveaxis(soma_var x, int64_t from, int64_t to)
{
    const int ndim = soma_var_shape(x).ndim;
    int64_t order[SOMA_MAX_DIMS];
    if (!soma_var_ok(x) || !axis_in(x, "moveaxis", &from, ndim) ||
        !axis_in(x, "moveaxis", &to, ndim))
        return soma__failed(x);
    for (int d = 0, next = 0; d < ndim; d++) {
        next += next == from;
        order[d] = d == to ? from : next++;
    }
    return soma_permute(x, order, ndim);
}

static void all_failed(soma_var x, int count, soma_var *out)
{
    for (int i = 0; i < count; i++)
        out[i] = soma__failed(x);
}

void soma_split(soma_var x, int64_t axis, const int64_t *sizes, int count, soma_var *out)
{
    const soma_shape shape = soma_var_shape(x);
    int64_t sum = 0, start = 0;
    all_failed(x, count, out);
    if (!soma_var_ok(x) || !axis_in(x, "split", &axis, shape.ndim))
        return;
    const int64_t have = shape.dim[axis];
    if (count < 1 || (!sizes && have % count != 0)) {
        soma_graph_fail(x.graph, SOMA_SHAPE,
                        "split: axis %lld has %lld cells, which makes no %d equal parts",
                        (long long)axis, (long long)have, count);
        return;
    }
    for (int i = 0; sizes && i < count; i++)
        if (sizes[i] < 0 || sizes[i] > have - sum) {
            sum = -1;
            break;
        } else {
            sum += sizes[i];
        }
    if (sizes && sum != have) {
        soma_graph_fail(x.graph, SOMA_SHAPE,
                        "split: the sizes must be 0 or more and add up to the %lld cells of axis "
                        "%lld",
                        (long long)have, (long long)axis);
        return;
    }
    for (int i = 0; i < count; i++) {
        const int64_t size = sizes ? sizes[i] : have / count;
        out[i] = soma_slice(x, axis, start, start + size);
        start += size;
    }
}

void soma_unstack(soma_var x, int64_t axis, int count, soma_var *out)
{
    const soma_shape shape = soma_var_shape(x);
    all_failed(x, count, out);
    if (!soma_var_ok(x) || !axis_in(x, "unstack", &axis, shape.ndim))
        return;
    if (shape.dim[axis] != count) {
        soma_graph_fail(x.graph, SOMA_SHAPE, "unstack: axis %lld has %lld cells, not %d",
                        (long long)axis, (long long)shape.dim[axis], count);
        return;
    }
    for (int i = 0; i < count; i++)
        out[i] = soma_squeeze(soma_slice(x, axis, i, i + 1), axis);
}
