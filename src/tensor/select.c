/* select.c: results whose size depends on the values: where they are not zero, and which there are.
 * Plans know all sizes beforehand, so these take tensors, not vars. */
#include <string.h>

#include "tensor/tensor.h"

static bool set(const soma_tensor *x, int64_t i)
{
    return x->dtype == SOMA_I64 ? ((const int64_t *)x->data)[i] != 0
                                : soma__load(x->dtype, x->data, i) != 0;
}

soma_status soma_tensor_nonzero(soma_tensor **out, const soma_tensor *x, soma_error *err)
{
    int64_t count = 0, index[SOMA_MAX_DIMS] = {0};
    for (int64_t i = 0; i < x->count; i++)
        count += set(x, i);
    SOMA__TRY(soma_tensor_create(out, SOMA_I64, SOMA_SHAPE(count, x->shape.ndim), err));
    int64_t *row = (*out)->data;
    for (int64_t i = 0; i < x->count; i++) {
        if (set(x, i))
            for (int d = 0; d < x->shape.ndim; d++)
                *row++ = index[d];
        for (int d = x->shape.ndim - 1; d >= 0 && ++index[d] == x->shape.dim[d]; d--)
            index[d] = 0;
    }
    return SOMA_OK;
}

/* --- unique ------------------------------------------------------------------------------------
 */

/* NaN is the largest, and equal to itself. i64 does not fit into a double. */
static bool below(const soma_tensor *x, int64_t i, int64_t j)
{
    if (x->dtype == SOMA_I64)
        return ((const int64_t *)x->data)[i] < ((const int64_t *)x->data)[j];
    const double a = soma__load(x->dtype, x->data, i), b = soma__load(x->dtype, x->data, j);
    return a < b || (a == a && b != b);
}

/* Positions in ascending, stable order: runs of doubled length are merged from `order` to `spare`
 * and back. Returns which of the two holds the result. */
static int64_t *sorted(const soma_tensor *x, int64_t *order, int64_t *spare)
{
    const int64_t n = x->count;
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    for (int64_t run = 1; run < n; run *= 2) {
        for (int64_t first = 0; first < n; first += 2 * run) {
            const int64_t middle = first + run < n ? first + run : n;
            const int64_t end = first + 2 * run < n ? first + 2 * run : n;
            int64_t a = first, b = middle;
            for (int64_t k = first; k < end; k++)
                spare[k] = b < end && (a == middle || below(x, order[b], order[a])) ? order[b++]
                                                                                    : order[a++];
        }
        int64_t *swap = order;
        order = spare;
        spare = swap;
    }
    return order;
}

soma_status soma_tensor_unique(soma_tensor **values, soma_tensor **inverse, soma_tensor **counts,
                               const soma_tensor *x, soma_error *err)
{
    const size_t n = (size_t)x->count, size = soma_dtype_size(x->dtype);
    soma_tensor *results[3] = {NULL, NULL, NULL};
    int64_t *memory = n <= SIZE_MAX / 2 / sizeof(*memory)
                          ? soma__malloc((n ? 2 * n : 1) * sizeof(*memory))
                          : NULL;
    if (!memory)
        return soma__fail(err, SOMA_MEMORY, "unique: no memory to sort %lld values",
                          (long long)x->count);
    const int64_t *order = sorted(x, memory, memory + n);
    int64_t found = 0;
    for (int64_t i = 0; i < x->count; i++)
        found += i == 0 || below(x, order[i - 1], order[i]);
    soma_status status = soma_tensor_create(&results[0], x->dtype, SOMA_SHAPE(found), err);
    if (status == SOMA_OK)
        status = soma_tensor_create(&results[1], SOMA_I64, x->shape, err);
    if (status == SOMA_OK)
        status = soma_tensor_create(&results[2], SOMA_I64, SOMA_SHAPE(found), err);
    soma_tensor **const wanted[3] = {values, inverse, counts};
    if (status == SOMA_OK) {
        int64_t at = -1;
        for (int64_t i = 0; i < x->count; i++) {
            if (i == 0 || below(x, order[i - 1], order[i])) {
                at++;
                memcpy((char *)results[0]->data + (size_t)at * size,
                       (const char *)x->data + (size_t)order[i] * size, size);
            }
            ((int64_t *)results[1]->data)[order[i]] = at;
            ((int64_t *)results[2]->data)[at]++;
        }
    }
    for (int i = 0; i < 3; i++)
        if (status == SOMA_OK && wanted[i])
            *wanted[i] = results[i];
        else
            soma_tensor_release(results[i]);
    soma__free(memory);
    return status;
}
