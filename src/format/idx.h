/* idx.h: IDX, the format of MNIST, plain or compressed with gzip.
 *
 *   00 00 type ndim    type: 08 u8, 09 i8, 0b i16, 0c i32, 0d f32, 0e f64
 *   ndim × 4 bytes     sizes, outermost first
 *   elements           row-major; all numbers are big-endian
 *
 * i16 has no counterpart in soma and is widened to i32. */
#ifndef SOMA__IDX_H
#define SOMA__IDX_H

#include <stddef.h>

#include "base/error.h"
#include "soma/tensor.h"

/* Reads a file; gzip is recognised by its magic, not by the name. `*out` is the caller's.
 * Errors: SOMA_FORMAT (not IDX, damaged, cut short, or bytes after its end), SOMA_IO, SOMA_MEMORY,
 * SOMA_UNSUPPORTED (more than 8 dimensions; gzip without zlib). */
soma_status soma__idx_read(soma_tensor **out, const char *path, soma_error *err);
/* The same from memory; `name` stands for the file in messages. */
soma_status soma__idx_parse(soma_tensor **out, const void *bytes, size_t size, const char *name,
                            soma_error *err);

/* Replaces the file atomically; compressed, with no time stamp in it, when `path` ends in ".gz".
 * Errors: SOMA_DTYPE for a tensor that is not u8, i8, i32, f32 or f64; SOMA_SHAPE for a scalar or a
 * size beyond 32 bits; SOMA_IO, SOMA_MEMORY, SOMA_UNSUPPORTED. */
soma_status soma__idx_write(const char *path, const soma_tensor *tensor, soma_error *err);

#endif
