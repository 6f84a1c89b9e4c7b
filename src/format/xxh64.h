/* xxh64.h: the XXH64 checksum (Yann Collet, https://xxhash.com), streamed.
 *
 * Model files carry it, and reading them must not depend on an optional library, so the hundred
 * lines are our own. It runs at memory speed and notices every single-bit change in practice; it is
 * no defence against somebody who forges a file on purpose. */
#ifndef SOMA__XXH64_H
#define SOMA__XXH64_H

#include <stddef.h>
#include <stdint.h>

typedef struct soma__xxh64 {
    uint64_t lane[4];
    uint64_t total;
    unsigned char tail[32]; /* bytes that do not fill a stripe yet */
    size_t tail_size;
} soma__xxh64;

void soma__xxh64_start(soma__xxh64 *state);
void soma__xxh64_add(soma__xxh64 *state, const void *data, size_t size);
uint64_t soma__xxh64_end(const soma__xxh64 *state);

#endif
