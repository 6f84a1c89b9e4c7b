/* door.h: the library's door to the heap, watched. A test that includes this is linked with the
 * door's functions wrapped (cmake/tests.cmake sees the include): it counts allocations and live
 * blocks, and makes the n-th allocation fail. For the one source file of a test program; include
 * cmocka first. */
#ifndef TESTS_SUPPORT_DOOR_H
#define TESTS_SUPPORT_DOOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "soma/base.h"

static atomic_long door_calls;           /* since the test last set it to 0 */
static atomic_long door_refuse;          /* the call that fails, counted from 1; 0: none */
static atomic_long door_live;            /* blocks that are not freed */
static atomic_size_t door_aligned_bytes; /* asked for by soma__aligned */

void *__real_soma__malloc(size_t size);
void *__real_soma__calloc(size_t count, size_t size);
void *__real_soma__realloc(void *memory, size_t size);
void *__real_soma__aligned(size_t size);
void __real_soma__free(void *memory);
void *__wrap_soma__malloc(size_t size);
void *__wrap_soma__calloc(size_t count, size_t size);
void *__wrap_soma__realloc(void *memory, size_t size);
void *__wrap_soma__aligned(size_t size);
void __wrap_soma__free(void *memory);

static bool door_refuses(void)
{
    return atomic_fetch_add(&door_calls, 1) + 1 == door_refuse;
}

static void *door_count(void *memory)
{
    door_live += memory != NULL;
    return memory;
}

void *__wrap_soma__malloc(size_t size)
{
    return door_refuses() ? NULL : door_count(__real_soma__malloc(size));
}

void *__wrap_soma__calloc(size_t count, size_t size)
{
    return door_refuses() ? NULL : door_count(__real_soma__calloc(count, size));
}

void *__wrap_soma__aligned(size_t size)
{
    door_aligned_bytes += size;
    return door_refuses() ? NULL : door_count(__real_soma__aligned(size));
}

void *__wrap_soma__realloc(void *memory, size_t size)
{
    if (door_refuses())
        return NULL;
    void *grown = __real_soma__realloc(memory, size);
    door_live += grown && !memory;
    return grown;
}

void __wrap_soma__free(void *memory)
{
    door_live -= memory != NULL;
    __real_soma__free(memory);
}

/* Runs `work` again and again, the n-th time with its n-th allocation refused, until it gets
 * through without reaching the refusal. Each time it reports lack of memory with a message (or,
 * where it `survives`, may do without the memory). The number of refusals must be at least
 * `at_least`. */
static inline void door_refuse_each(soma_status (*work)(soma_error *err), long at_least,
                                    bool survives)
{
    for (long n = 1;; n++) {
        soma_error err = {0};
        door_calls = 0;
        door_refuse = n;
        soma_status status = work(&err);
        bool reached = door_calls >= n;
        door_refuse = 0;
        if (!reached) {
            assert_int_equal(status, SOMA_OK);
            assert_true(n > at_least);
            return;
        }
        if (status == SOMA_OK && survives)
            continue;
        if (status != SOMA_MEMORY || err.code != SOMA_MEMORY || !err.message[0])
            fail_msg("allocation %ld: %s: %s", n, soma_status_text(status), err.message);
        assert_true(n < 100000);
    }
}

#endif
