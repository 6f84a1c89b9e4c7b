/* strings.h: two hash tables: byte strings to numbers, and pairs of numbers to numbers. Both keep
 * what they hold in the order it came, so that walking them does not depend on hashes. */
#ifndef SOMA__STRINGS_H
#define SOMA__STRINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

typedef struct soma__string {
    const char *data; /* followed by a NUL */
    uint32_t size, hash;
    int64_t value; /* the caller's; 0 at first */
} soma__string;

/* {0} is an empty table. */
typedef struct soma__strings {
    soma__arena arena;
    soma__string *item;
    size_t count, capacity;
    int32_t *slot; /* a power of two, at most half of it used; item + 1, 0: free */
    size_t slots;
} soma__strings;

/* NULL: not there. Strings are shorter than 2 GiB. */
soma__string *soma__strings_find(const soma__strings *strings, const char *data, size_t size);
/* The string, added if it was not there. NULL: no memory. Pointers hold until the next one is
 * added.
 */
soma__string *soma__strings_add(soma__strings *strings, const char *data, size_t size);
void soma__strings_clear(soma__strings *strings);

/* {0} is an empty table of pairs; pairs are numbered 0, 1, 2, … as they are added. */
typedef struct soma__pairs {
    uint64_t *key;
    size_t count, capacity;
    int32_t *slot;
    size_t slots;
} soma__pairs;

/* The number of a pair, -1: not there. */
int32_t soma__pairs_find(const soma__pairs *pairs, int32_t left, int32_t right);
/* Its number, added if it was not there; -1: no memory. */
int32_t soma__pairs_add(soma__pairs *pairs, int32_t left, int32_t right);
static inline int32_t soma__pairs_left(const soma__pairs *pairs, int32_t i)
{
    return (int32_t)(pairs->key[i] >> 32);
}
static inline int32_t soma__pairs_right(const soma__pairs *pairs, int32_t i)
{
    return (int32_t)(pairs->key[i] & 0xffffffffu);
}
void soma__pairs_clear(soma__pairs *pairs);

#endif
