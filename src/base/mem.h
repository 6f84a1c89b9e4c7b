/* mem.h: the one door to the heap, and sizes that cannot overflow.
 *
 * Tests wrap these four functions at link time (-Wl,--wrap=soma__malloc …) to make the n-th
 * allocation fail and to count them, so nothing else in the library may call malloc and kin. */
#ifndef SOMA__MEM_H
#define SOMA__MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *soma__malloc(size_t size);                /* NULL on failure; size 0 gives a unique pointer */
void *soma__calloc(size_t count, size_t size);  /* zeroed, overflow-checked */
void *soma__realloc(void *memory, size_t size); /* the old block stays on failure */
void *soma__aligned(size_t size);               /* 64-byte aligned, not zeroed; large blocks ask for
                                                   huge pages */
void soma__free(void *memory);                  /* any of the above; NULL is fine */

/* Copies of strings; NULL on failure. */
char *soma__strdup(const char *text);
char *soma__strndup(const char *text, size_t length);

/* *out = a*b, a+b; false on overflow (then *out is untouched). */
static inline bool soma__mul(size_t a, size_t b, size_t *out)
{
    size_t r;
    if (__builtin_mul_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}
static inline bool soma__add(size_t a, size_t b, size_t *out)
{
    size_t r;
    if (__builtin_add_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}
static inline bool soma__mul64(int64_t a, int64_t b, int64_t *out)
{
    int64_t r;
    if (__builtin_mul_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}
static inline bool soma__add64(int64_t a, int64_t b, int64_t *out)
{
    int64_t r;
    if (__builtin_add_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}
/* Rounds up to a multiple of a power of two; the caller has checked the range. */
static inline size_t soma__align_up(size_t n, size_t to)
{
    return (n + to - 1) & ~(to - 1);
}

/* Growing arrays: makes room for one more element of `*array` (count used, *capacity allocated).
 * False when memory is out (the array stays). */
bool soma__grow(void **array, size_t *capacity, size_t count, size_t element_size);

#endif
