/* shape.c: dtypes' sizes and names, and the arithmetic of shapes. */
#include <stdio.h>
#include <string.h>

#include "tensor/tensor.h"

/* --- dtypes -------------------------------------------------------------------------------------
 */

size_t soma_dtype_size(soma_dtype dtype)
{
    switch (dtype) {
#define SOMA__DTYPE_CASE(name_, value_, size_, text_)                                              \
    case SOMA_##name_:                                                                             \
        return size_;
        SOMA_DTYPE_LIST(SOMA__DTYPE_CASE)
#undef SOMA__DTYPE_CASE
    }
    return 0;
}

const char *soma_dtype_text(soma_dtype dtype)
{
    switch (dtype) {
#define SOMA__DTYPE_CASE(name_, value_, size_, text_)                                              \
    case SOMA_##name_:                                                                             \
        return text_;
        SOMA_DTYPE_LIST(SOMA__DTYPE_CASE)
#undef SOMA__DTYPE_CASE
    }
    return "unknown dtype";
}

bool soma_dtype_is_float(soma_dtype dtype)
{
    return dtype == SOMA_F32 || dtype == SOMA_F64 || dtype == SOMA_F16 || dtype == SOMA_BF16;
}

/* --- shapes -------------------------------------------------------------------------------------
 */

bool soma_shape_equal(const soma_shape *a, const soma_shape *b)
{
    if (a->ndim != b->ndim)
        return false;
    for (int i = 0; i < a->ndim; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

char *soma_shape_text(const soma_shape *shape, char *buffer, size_t size)
{
    /* A shape that is not valid must still be printable, because it is printed in errors. */
    int ndim = shape->ndim < 0 ? 0 : shape->ndim > SOMA_MAX_DIMS ? SOMA_MAX_DIMS : shape->ndim;
    char text[SOMA_SHAPE_TEXT_SIZE];
    size_t used = 0;
    text[used++] = '[';
    for (int i = 0; i < ndim; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%lld", i ? "," : "",
                                 (long long)shape->dim[i]);
    snprintf(text + used, sizeof text - used, "]");
    if (size > 0)
        snprintf(buffer, size, "%s", text);
    return buffer;
}

bool soma__shape_count(const soma_shape *shape, int64_t *out)
{
    if (shape->ndim < 0 || shape->ndim > SOMA_MAX_DIMS)
        return false;
    /* A zero anywhere makes the product 0, but the other sizes still have to be sizes; leaving the
     * zeros out of the product keeps [0, 2^62, 2^62] from passing merely by its order. */
    int64_t count = 1;
    bool empty = false;
    for (int i = 0; i < shape->ndim; i++) {
        if (shape->dim[i] < 0)
            return false;
        if (shape->dim[i] == 0)
            empty = true;
        else if (!soma__mul64(count, shape->dim[i], &count))
            return false;
    }
    *out = empty ? 0 : count;
    return true;
}

bool soma__shape_bytes(const soma_shape *shape, soma_dtype dtype, size_t *out)
{
    int64_t count;
    size_t bytes;
    /* Offsets into a tensor are signed, so half of the address space is the limit. */
    if (!soma__shape_count(shape, &count) || (uint64_t)count > PTRDIFF_MAX ||
        !soma__mul((size_t)count, soma_dtype_size(dtype), &bytes) || bytes > PTRDIFF_MAX)
        return false;
    *out = bytes;
    return true;
}

bool soma__shape_broadcast(const soma_shape *a, const soma_shape *b, soma_shape *out)
{
    soma_shape result = {.ndim = a->ndim > b->ndim ? a->ndim : b->ndim};
    for (int i = 1; i <= result.ndim; i++) {
        int64_t da = i <= a->ndim ? a->dim[a->ndim - i] : 1;
        int64_t db = i <= b->ndim ? b->dim[b->ndim - i] : 1;
        if (da != db && da != 1 && db != 1)
            return false;
        result.dim[result.ndim - i] = da == 1 ? db : da;
    }
    *out = result;
    return true;
}

void soma__shape_around(const soma_shape *shape, int64_t axis, int64_t *before, int64_t *after)
{
    *before = *after = 1;
    for (int d = 0; d < shape->ndim; d++)
        if (d != axis)
            *(d < axis ? before : after) *= shape->dim[d];
}

void soma__shape_strides(const soma_shape *shape, int64_t strides[SOMA_MAX_DIMS])
{
    memset(strides, 0, SOMA_MAX_DIMS * sizeof *strides);
    int64_t stride = 1;
    for (int i = shape->ndim - 1; i >= 0; i--) {
        strides[i] = stride;
        /* An empty tensor has no elements to stride over; its strides stay as if the size were 1,
         * as in NumPy. */
        stride *= shape->dim[i] > 0 ? shape->dim[i] : 1;
    }
}

void soma__broadcast_strides(const soma_shape *from, const soma_shape *to,
                             int64_t strides[SOMA_MAX_DIMS])
{
    int64_t own[SOMA_MAX_DIMS];
    soma__shape_strides(from, own);
    memset(strides, 0, SOMA_MAX_DIMS * sizeof *strides);
    for (int i = 1; i <= from->ndim && i <= to->ndim; i++)
        if (from->dim[from->ndim - i] != 1)
            strides[to->ndim - i] = own[from->ndim - i];
}

soma_shape soma__shape_batched(const soma_shape *sample, int64_t batch)
{
    soma_shape shape = {.ndim = sample->ndim + 1, .dim = {batch}};
    for (int i = 0; i < sample->ndim; i++)
        shape.dim[i + 1] = sample->dim[i];
    return shape;
}
