/* tensor.c: life and elements of tensors. */
#include "tensor/tensor.h"

#include <string.h>

#include "tensor/convert.h"

/* Checks dtype and shape and makes the header, still without data. */
static soma_status create_header(soma_tensor **out, soma_dtype dtype, const soma_shape *shape,
                                 soma_error *err)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    *out = NULL;
    if (soma_dtype_size(dtype) == 0)
        return soma__fail(err, SOMA_INVALID, "tensor: %d is not a dtype", (int)dtype);
    if (shape->ndim < 0 || shape->ndim > SOMA_MAX_DIMS)
        return soma__fail(err, SOMA_INVALID, "tensor: %d dimensions, but 0 to %d are possible",
                          shape->ndim, SOMA_MAX_DIMS);
    for (int i = 0; i < shape->ndim; i++)
        if (shape->dim[i] < 0)
            return soma__fail(err, SOMA_INVALID, "tensor: the size of dimension %d is negative: %s",
                              i, soma_shape_text(shape, text, sizeof text));
    int64_t count;
    size_t bytes;
    if (!soma__shape_count(shape, &count) || !soma__shape_bytes(shape, dtype, &bytes))
        return soma__fail(err, SOMA_MEMORY, "tensor: %s %s is larger than any memory",
                          soma_dtype_text(dtype), soma_shape_text(shape, text, sizeof text));

    soma_tensor *tensor = soma__calloc(1, sizeof *tensor);
    if (!tensor)
        return soma__fail(err, SOMA_MEMORY, "tensor: out of memory");
    atomic_init(&tensor->references, 1);
    atomic_init(&tensor->exposed, false);
    atomic_init(&tensor->versions, 0);
    tensor->dtype = dtype;
    tensor->shape.ndim = shape->ndim;
    /* Entries beyond ndim stay 0 whatever the caller left there, so shapes can be hashed whole. */
    for (int i = 0; i < shape->ndim; i++)
        tensor->shape.dim[i] = shape->dim[i];
    tensor->count = count;
    tensor->bytes = bytes;
    *out = tensor;
    return SOMA_OK;
}

/* A tensor whose data is not initialised. */
static soma_status create_raw(soma_tensor **out, soma_dtype dtype, const soma_shape *shape,
                              soma_error *err)
{
    soma_tensor *tensor;
    *out = NULL;
    SOMA__TRY(create_header(&tensor, dtype, shape, err));
    tensor->data = soma__aligned(tensor->bytes);
    if (!tensor->data) {
        char text[SOMA_SHAPE_TEXT_SIZE], size[32];
        soma__format_bytes((double)tensor->bytes, size, sizeof size);
        soma__free(tensor);
        return soma__fail(err, SOMA_MEMORY, "tensor: no memory for %s %s, which takes %s",
                          soma_dtype_text(dtype), soma_shape_text(shape, text, sizeof text), size);
    }
    *out = tensor;
    return SOMA_OK;
}

soma_status soma_tensor_create(soma_tensor **out, soma_dtype dtype, soma_shape shape,
                               soma_error *err)
{
    SOMA__TRY(create_raw(out, dtype, &shape, err));
    memset((*out)->data, 0, (*out)->bytes);
    return SOMA_OK;
}

soma_status soma_tensor_from(soma_tensor **out, soma_dtype dtype, soma_shape shape,
                             const void *data, soma_error *err)
{
    SOMA__TRY(create_raw(out, dtype, &shape, err));
    if ((*out)->bytes)
        memcpy((*out)->data, data, (*out)->bytes);
    return SOMA_OK;
}

soma_status soma__tensor_wrap(soma_tensor **out, soma_dtype dtype, soma_shape shape, void *data,
                              soma_error *err)
{
    SOMA__TRY(create_header(out, dtype, &shape, err));
    (*out)->data = data;
    (*out)->borrowed = true;
    return SOMA_OK;
}

soma_tensor *soma_tensor_retain(soma_tensor *tensor)
{
    /* Whoever retains holds a reference already, so nothing needs to be ordered here. */
    if (tensor)
        atomic_fetch_add_explicit(&tensor->references, 1, memory_order_relaxed);
    return tensor;
}

void soma_tensor_release(soma_tensor *tensor)
{
    /* All uses by other threads happen before their release, and all releases before the free. */
    if (!tensor || atomic_fetch_sub_explicit(&tensor->references, 1, memory_order_acq_rel) != 1)
        return;
    if (!tensor->borrowed)
        soma__free(tensor->data);
    soma__free(tensor);
}

soma_dtype soma_tensor_dtype(const soma_tensor *tensor)
{
    return tensor->dtype;
}

const soma_shape *soma_tensor_shape(const soma_tensor *tensor)
{
    return &tensor->shape;
}

int64_t soma_tensor_count(const soma_tensor *tensor)
{
    return tensor->count;
}

size_t soma_tensor_bytes(const soma_tensor *tensor)
{
    return tensor->bytes;
}

void *soma_tensor_data(soma_tensor *tensor)
{
    atomic_store_explicit(&tensor->exposed, true, memory_order_release);
    return tensor->data;
}

const void *soma_tensor_const_data(const soma_tensor *tensor)
{
    return tensor->data;
}

float *soma_tensor_f32(soma_tensor *tensor)
{
    return tensor->dtype == SOMA_F32 ? soma_tensor_data(tensor) : NULL;
}

double soma_tensor_get(const soma_tensor *tensor, int64_t index)
{
    if (index < 0 || index >= tensor->count)
        return 0.0;
    return soma__load(tensor->dtype, tensor->data, index);
}

void soma_tensor_set(soma_tensor *tensor, int64_t index, double value)
{
    if (index >= 0 && index < tensor->count)
        soma__store(tensor->dtype, soma__tensor_write(tensor), index, value);
}

void soma_tensor_fill(soma_tensor *tensor, double value)
{
    soma__fill(tensor->dtype, soma__tensor_write(tensor), tensor->count, value);
}

soma_status soma_tensor_cast(soma_tensor **out, const soma_tensor *tensor, soma_dtype dtype,
                             soma_error *err)
{
    SOMA__TRY(create_raw(out, dtype, &tensor->shape, err));
    soma__convert(dtype, (*out)->data, tensor->dtype, tensor->data, tensor->count);
    return SOMA_OK;
}

soma_status soma_tensor_reshape(soma_tensor **out, const soma_tensor *tensor, soma_shape shape,
                                soma_error *err)
{
    int64_t count;
    char from[SOMA_SHAPE_TEXT_SIZE], to[SOMA_SHAPE_TEXT_SIZE];
    *out = NULL;
    if (!soma__shape_count(&shape, &count) || count != tensor->count)
        return soma__fail(err, SOMA_SHAPE, "reshape: %s has %lld elements and cannot become %s",
                          soma_shape_text(&tensor->shape, from, sizeof from),
                          (long long)tensor->count, soma_shape_text(&shape, to, sizeof to));
    return soma_tensor_from(out, tensor->dtype, shape, tensor->data, err);
}

void soma_free(void *memory)
{
    soma__free(memory);
}
