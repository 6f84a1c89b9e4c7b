/* cifar.h: the binary records of CIFAR-10 and CIFAR-100 (Krizhevsky 2009): one or two label bytes,
 * then 1024 bytes each of red, green and blue, row by row. No header: the length alone tells how
 * many records there are.
 *
 *   CIFAR-10     label          3072 pixels
 *   CIFAR-100    coarse  fine   3072 pixels
 */
#ifndef SOMA__CIFAR_H
#define SOMA__CIFAR_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define SOMA__CIFAR_SIDE 32
#define SOMA__CIFAR_PIXELS ((size_t)3 * SOMA__CIFAR_SIDE * SOMA__CIFAR_SIDE)

typedef struct soma__cifar_layout {
    int label_bytes; /* 1 or 2 */
    int label;       /* which of them counts */
    int classes;     /* labels are below */
} soma__cifar_layout;

/* The number of records in a file of `size` bytes. Errors: SOMA_FORMAT when it is not a whole
 * number, or none. `name` stands for the file in messages. */
soma_status soma__cifar_count(int64_t *count, size_t size, const soma__cifar_layout *layout,
                              const char *name, soma_error *err);
/* One record into pixels [32,32,3] and its label. Errors: SOMA_FORMAT (label out of range). */
soma_status soma__cifar_record(uint8_t *pixels, int64_t *label, const uint8_t *record,
                               const soma__cifar_layout *layout, int64_t index, const char *name,
                               soma_error *err);
/* `count` records, one behind the other, into pixels [count,32,32,3] and labels [count]. Errors: as
 * above. */
soma_status soma__cifar_decode(uint8_t *pixels, int64_t *labels, const void *bytes, int64_t count,
                               const soma__cifar_layout *layout, const char *name, soma_error *err);

#endif
