/* sha256.h: SHA-256 (FIPS 180-4), for the checksums of downloads. Written here, 60 lines, because
 * the check must be there in every build. */
#ifndef SOMA__SHA256_H
#define SOMA__SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SOMA__SHA256_TEXT 65 /* 64 hexadecimal digits and the end */

typedef struct soma__sha256 {
    uint32_t state[8];
    uint64_t total;
    unsigned char block[64];
} soma__sha256;

void soma__sha256_start(soma__sha256 *s);
void soma__sha256_add(soma__sha256 *s, const void *data, size_t size);
void soma__sha256_end(soma__sha256 *s, char out[SOMA__SHA256_TEXT]);

#endif
