/* safetensors.h: named tensors and text metadata in one file.
 *
 *   8 bytes   N, the size of the header, little-endian
 *   N bytes   JSON: {"__metadata__": {"key": "value", …},
 *                    "conv1.weight": {"dtype": "F32", "shape": [3,3,1,32],
 *                                     "data_offsets": [0, 1152]}, …}, padded with spaces
 *   the rest  the tensors' bytes, little-endian, without gaps
 *
 * A file that soma writes has two more metadata keys: "soma.format" (the version of these rules,
 * "1") and "soma.xxh64", the XXH64 of the whole file in which the sixteen digits of the checksum
 * itself count as zeros. Either key demands a checksum that fits, so one flipped bit anywhere is
 * noticed: one flip cannot hide both. Files of other tools have neither and load all the same.
 *
 * The header is read by a small parser of our own, as strict as the reference implementation in
 * Rust, so model files need no optional library.
 *
 * An archive owns its copies of the names and texts and a reference to each tensor. */
#ifndef SOMA__SAFETENSORS_H
#define SOMA__SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "soma/tensor.h"

typedef struct soma__archive_entry {
    char *name; /* first, so that the index can look at both kinds of item alike */
    soma_tensor *tensor;
} soma__archive_entry;

typedef struct soma__archive_meta_pair {
    char *key;
    char *value;
} soma__archive_meta_pair;

/* Open-addressed hash of item numbers, so that a header of a million names is not a trap. */
typedef struct soma__archive_index {
    uint32_t *slots; /* item number + 1, 0 is free */
    size_t size;     /* a power of two, or 0 */
} soma__archive_index;

/* {0} is an empty archive. `entries` and `meta` may be walked by the reader: entries are in the
 * order of addition, after a read in the order of the data in the file. */
typedef struct soma__archive {
    soma__archive_entry *entries;
    size_t count, capacity;
    soma__archive_meta_pair *meta;
    size_t meta_count, meta_capacity;
    soma__archive_index entry_index, meta_index;
} soma__archive;

/* Retains `tensor`. Errors: SOMA_INVALID for a name that is taken, empty, "__metadata__" or not
 * UTF-8; SOMA_MEMORY. */
soma_status soma__archive_add(soma__archive *archive, const char *name, soma_tensor *tensor,
                              soma_error *err);
/* Borrowed; NULL when absent. */
soma_tensor *soma__archive_find(const soma__archive *archive, const char *name);

/* Adds or replaces. Errors: SOMA_INVALID for the two keys that the writer sets itself or for text
 * that is not UTF-8; SOMA_MEMORY. */
soma_status soma__archive_set_meta(soma__archive *archive, const char *key, const char *value,
                                   soma_error *err);
/* Borrowed until the key is set again; NULL when absent. The two keys above are never seen here. */
const char *soma__archive_meta(const soma__archive *archive, const char *key);

/* Reads into *archive, which must be empty and stays empty on failure. Every tensor is a copy.
 * Errors: SOMA_FORMAT (damaged or not a safetensors file), SOMA_UNSUPPORTED (an element type or a
 * number of dimensions that soma lacks, or a newer "soma.format"), SOMA_IO, SOMA_MEMORY. */
soma_status soma__archive_read(soma__archive *archive, const char *path, soma_error *err);
/* `name` stands for the file in messages. */
soma_status soma__archive_parse(soma__archive *archive, const void *bytes, size_t size,
                                const char *name, soma_error *err);

/* Replaces the file atomically. The bytes depend on the archive alone: metadata in the order it was
 * set; tensors in the order of addition but those with larger elements first, which aligns each of
 * them (the header is padded to 8 bytes, as the reference does). */
soma_status soma__archive_write(const soma__archive *archive, const char *path, soma_error *err);

/* Releases what it holds; the archive is empty and usable again. */
void soma__archive_clear(soma__archive *archive);

#endif
