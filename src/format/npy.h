/* npy.h: NumPy's arrays: .npy files, and .npz, which are ZIP archives of them.
 *
 *   93 'NUMPY' major minor  header length (2 or 4 bytes, little-endian)
 *   {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }   padded with blanks, '\n'
 *   elements
 *
 * Elements are booleans, whole numbers and floats of either byte order; those without a counterpart
 * are widened (u2, i2 to i32, u4 to i64; u8 to i64 where it fits). Objects, texts and structures
 * are refused: nothing here runs a pickle. Format versions 1.0 to 3.0. */
#ifndef SOMA__NPY_H
#define SOMA__NPY_H

#include "base/error.h"
#include "soma/tensor.h"

typedef struct soma__npy_header {
    soma_shape shape;
    soma_dtype dtype; /* in memory */
    char kind;        /* in the file: b, u, i, f */
    int size;         /* of an element there */
    bool swap;        /* its bytes are the other way round here */
    bool fortran;     /* the first index runs fastest */
    size_t offset;    /* of the first element */
} soma__npy_header;

/* Reads the header at the begin of a file of which the first `size` bytes are given. Errors:
 * SOMA_FORMAT (not npy, damaged), SOMA_UNSUPPORTED (element type, more than 8 dimensions). */
soma_status soma__npy_read_header(soma__npy_header *out, const void *bytes, size_t size,
                                  const char *name, soma_error *err);
/* `count` elements from the file's form (which are raw bytes) to the tensor's; `to` may not overlap
 * `from`. Errors: SOMA_UNSUPPORTED (a u8 beyond int64). */
soma_status soma__npy_convert(void *to, const void *from, int64_t count,
                              const soma__npy_header *header, const char *name, soma_error *err);

/* A whole array; *out is the caller's. Errors as above, SOMA_IO, SOMA_MEMORY. */
soma_status soma__npy_parse(soma_tensor **out, const void *bytes, size_t size, const char *name,
                            soma_error *err);
soma_status soma__npy_read(soma_tensor **out, const char *path, soma_error *err);
/* Replaces the file atomically (version 1.0, little-endian, C order). bf16 is SOMA_DTYPE. */
soma_status soma__npy_write(const char *path, const soma_tensor *tensor, soma_error *err);

/* One array of a .npz, stored or deflated. `*out` is NULL when there is none of that name ("x" is
 * the member "x.npy"). Errors also SOMA_UNSUPPORTED for other compression and encryption. */
soma_status soma__npz_parse(soma_tensor **out, const void *bytes, size_t size, const char *key,
                            const char *name, soma_error *err);
typedef struct soma__npz_entry {
    const char *key;
    const soma_tensor *tensor;
} soma__npz_entry;
/* An archive of stored members, without time stamps: equal arrays give equal files. Errors:
 * SOMA_DTYPE, SOMA_UNSUPPORTED (4 GiB or more), SOMA_IO, SOMA_MEMORY. */
soma_status soma__npz_write(const char *path, const soma__npz_entry *entries, int count,
                            soma_error *err);

#endif
