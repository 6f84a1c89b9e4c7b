/* tensor.h: inside view of tensors, shapes and element conversion. */
#ifndef SOMA__TENSOR_H
#define SOMA__TENSOR_H

#include <stdatomic.h>

#include "base/base.h"
#include "soma/tensor.h"

struct soma_tensor {
    atomic_int references;
    soma_dtype dtype;
    soma_shape shape;
    int64_t count;
    size_t bytes;
    void *data;
    bool borrowed;         /* data belongs to somebody else (a session's arena) */
    atomic_bool exposed;   /* a pointer through which data may change unseen was handed out */
    atomic_ulong versions; /* writes so far, of those that are seen */
};

/* Writing from inside of the library, which ends before the caller does anything else: the tensor
 * stays one whose changes are all seen (soma_tensor_data cannot promise that). */
static inline void *soma__tensor_write(soma_tensor *tensor)
{
    atomic_fetch_add_explicit(&tensor->versions, 1, memory_order_release);
    return tensor->data;
}
/* True when `versions` tells of every change. */
static inline bool soma__tensor_watched(const soma_tensor *tensor)
{
    return !tensor->borrowed && !atomic_load_explicit(&tensor->exposed, memory_order_acquire);
}

/* A tensor over memory that the caller keeps alive; release frees only the header. */
soma_status soma__tensor_wrap(soma_tensor **out, soma_dtype dtype, soma_shape shape, void *data,
                              soma_error *err);

/* Product of the dims; false on overflow or a negative size. */
bool soma__shape_count(const soma_shape *shape, int64_t *out);
/* Seen around an axis an array is [before, dim[axis], after]. */
void soma__shape_around(const soma_shape *shape, int64_t axis, int64_t *before, int64_t *after);
/* count × element size. */
bool soma__shape_bytes(const soma_shape *shape, soma_dtype dtype, size_t *out);
/* NumPy broadcasting of two shapes; false when they do not fit. */
bool soma__shape_broadcast(const soma_shape *a, const soma_shape *b, soma_shape *out);
/* The shape of `batch` samples, [batch, sample…]; a sample has fewer than SOMA_MAX_DIMS dimensions.
 */
soma_shape soma__shape_batched(const soma_shape *sample, int64_t batch);
/* Row-major strides in elements. */
void soma__shape_strides(const soma_shape *shape, int64_t strides[SOMA_MAX_DIMS]);
/* Strides for reading `from` as if it had shape `to` (0 where broadcast), aligned at the last dim;
 * `from` must broadcast to `to`. */
void soma__broadcast_strides(const soma_shape *from, const soma_shape *to,
                             int64_t strides[SOMA_MAX_DIMS]);

/* One element of any dtype as double and back (rounded to nearest even, integers saturated, NaN to
 * integer gives 0, bool is value != 0). */
double soma__load(soma_dtype dtype, const void *data, int64_t index);
void soma__store(soma_dtype dtype, void *data, int64_t index, double value);

float soma__bf16_to_f32(uint16_t h);
uint16_t soma__f32_to_bf16(float f);
float soma__f16_to_f32(uint16_t h);
uint16_t soma__f32_to_f16(float f);

#endif
