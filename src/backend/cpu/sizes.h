/* sizes.h: arithmetic of cutting work into blocks and of handing out scratch. */
#ifndef SOMA__CPU_SIZES_H
#define SOMA__CPU_SIZES_H

#include <stddef.h>
#include <stdint.h>

static inline int64_t soma__least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
static inline int64_t soma__most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
static inline int64_t soma__ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* What `count` items of `size` bytes take of scratch, in floats. */
static inline size_t soma__floats_of(int64_t count, size_t size)
{
    return ((size_t)count * size + sizeof(float) - 1) / sizeof(float);
}
/* Scratch is handed out in floats, each piece at 64 bytes. */
static inline size_t soma__take(size_t *at, size_t floats)
{
    size_t here = *at;
    *at += (floats + 15) & ~(size_t)15;
    return here;
}

#endif
