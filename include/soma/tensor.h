/* soma/tensor.h: concrete n-dimensional arrays.
 *
 * A tensor is a reference-counted, contiguous, row-major array of at most SOMA_MAX_DIMS dimensions.
 * Images are N H W C. The data starts at a 64-byte boundary.
 */
#ifndef SOMA_TENSOR_H
#define SOMA_TENSOR_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SOMA_MAX_DIMS 8

/* name, value, bytes per element, text */
#define SOMA_DTYPE_LIST(X)                                                                         \
    X(F32, 1, 4, "f32")                                                                            \
    X(F64, 2, 8, "f64")                                                                            \
    X(F16, 3, 2, "f16")                                                                            \
    X(BF16, 4, 2, "bf16")                                                                          \
    X(I8, 5, 1, "i8")                                                                              \
    X(U8, 6, 1, "u8")                                                                              \
    X(I32, 7, 4, "i32")                                                                            \
    X(I64, 8, 8, "i64")                                                                            \
    X(BOOL, 9, 1, "bool")

typedef enum soma_dtype {
#define SOMA__DTYPE_ENUM(name_, value_, size_, text_) SOMA_##name_ = (value_),
    SOMA_DTYPE_LIST(SOMA__DTYPE_ENUM)
#undef SOMA__DTYPE_ENUM
} soma_dtype;

/* Bytes of one element (0 for a value that is no dtype); the text is never NULL. */
SOMA_API size_t soma_dtype_size(soma_dtype dtype);
SOMA_API const char *soma_dtype_text(soma_dtype dtype);
SOMA_API bool soma_dtype_is_float(soma_dtype dtype);

/* Sizes of each dimension, outermost first; ndim 0 is a scalar. Unused entries are 0. */
typedef struct soma_shape {
    int ndim;
    int64_t dim[SOMA_MAX_DIMS];
} soma_shape;

/* SOMA_SHAPE(2, 3): a [2,3] shape. SOMA_SCALAR: the shape of one number. */
#ifdef __cplusplus
extern "C++" {
template <class... D> inline soma_shape soma__shape_cxx(D... d)
{
    return soma_shape{(int)sizeof...(d), {(int64_t)d...}};
}
}
#define SOMA_SHAPE(...) soma__shape_cxx(__VA_ARGS__)
#define SOMA_SCALAR (soma_shape{})
#else
#define SOMA_SHAPE(...)                                                                            \
    ((soma_shape){.ndim = (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),               \
                  .dim = {__VA_ARGS__}})
#define SOMA_SCALAR ((soma_shape){0})
#endif

SOMA_API bool soma_shape_equal(const soma_shape *a, const soma_shape *b);
/* Writes "[2,3]" (at most `size` bytes with the final 0) and returns `buffer`. */
SOMA_API char *soma_shape_text(const soma_shape *shape, char *buffer, size_t size);
#define SOMA_SHAPE_TEXT_SIZE 192

typedef struct soma_tensor soma_tensor;

/* A new tensor of zeros with one reference. Errors: SOMA_INVALID (dtype, negative size, too many
 * dimensions), SOMA_MEMORY (also when the byte count overflows). */
SOMA_MUST_CHECK SOMA_API soma_status soma_tensor_create(soma_tensor **out, soma_dtype dtype,
                                                        soma_shape shape, soma_error *err);
/* The same, filled with a copy of `data` (count × element size bytes). */
SOMA_MUST_CHECK SOMA_API soma_status soma_tensor_from(soma_tensor **out, soma_dtype dtype,
                                                      soma_shape shape, const void *data,
                                                      soma_error *err);
SOMA_API soma_tensor *soma_tensor_retain(soma_tensor *tensor);
SOMA_API void soma_tensor_release(soma_tensor *tensor);

SOMA_API soma_dtype soma_tensor_dtype(const soma_tensor *tensor);
SOMA_API const soma_shape *soma_tensor_shape(const soma_tensor *tensor);
SOMA_API int64_t soma_tensor_count(const soma_tensor *tensor);
SOMA_API size_t soma_tensor_bytes(const soma_tensor *tensor);
/* For reading, const_data: whoever has had the other pointer may write through it at any time, so
 * plans keep no prepared form (soma_plan_prepare) of such a tensor's values. */
SOMA_API void *soma_tensor_data(soma_tensor *tensor);
SOMA_API const void *soma_tensor_const_data(const soma_tensor *tensor);
/* soma_tensor_data as float, NULL when the dtype is not f32 */
SOMA_API float *soma_tensor_f32(soma_tensor *tensor);

/* Element `index` (row-major) as a double, whatever the dtype; 0 when out of range. */
SOMA_API double soma_tensor_get(const soma_tensor *tensor, int64_t index);
/* Sets element `index`, converted with rounding and saturation; ignored when out of range. */
SOMA_API void soma_tensor_set(soma_tensor *tensor, int64_t index, double value);
SOMA_API void soma_tensor_fill(soma_tensor *tensor, double value);

/* A copy in another dtype (values rounded to nearest even, integers saturated). */
SOMA_MUST_CHECK SOMA_API soma_status soma_tensor_cast(soma_tensor **out, const soma_tensor *tensor,
                                                      soma_dtype dtype, soma_error *err);
/* A copy with another shape of the same count. */
SOMA_MUST_CHECK SOMA_API soma_status soma_tensor_reshape(soma_tensor **out,
                                                         const soma_tensor *tensor,
                                                         soma_shape shape, soma_error *err);

/* Results whose size depends on the values, which plans cannot have: they take what soma_eval gave
 * (define by run), and go back into a graph by soma_constant.
 * nonzero: the positions of x's cells that are not 0, i64 [n, ndim], in order: an index for
 * soma_gather_nd.
 * unique: the values of x, each once, ascending (NaN last) [n]; for each cell of x the number of
 * its value, i64 of x's shape; how often each value is there, i64 [n]. `inverse` and `counts` may
 * be NULL. Errors: SOMA_MEMORY. */
SOMA_MUST_CHECK SOMA_API soma_status soma_tensor_nonzero(soma_tensor **out, const soma_tensor *x,
                                                         soma_error *err);
SOMA_MUST_CHECK SOMA_API soma_status soma_tensor_unique(soma_tensor **values, soma_tensor **inverse,
                                                        soma_tensor **counts, const soma_tensor *x,
                                                        soma_error *err);

/* The tensor as NumPy would print it: "f32 [2,3]" and rows; long dimensions show three values at
 * either end. `*out` is released with soma_free. */
SOMA_MUST_CHECK SOMA_API soma_status soma_tensor_string(char **out, const soma_tensor *tensor,
                                                        soma_error *err);
/* Frees a string or array that a soma function handed out. */
SOMA_API void soma_free(void *memory);

#ifdef __cplusplus
}
#endif
#endif
