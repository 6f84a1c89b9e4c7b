/* bench_heap.c: counts the library's allocations. The program is linked with the door to the heap
 * wrapped (base/mem.h), so the library itself keeps no counter. */
#include <stdatomic.h>

#include "base/mem.h"
#include "cli/bench.h"

void *__real_soma__malloc(size_t size);
void *__real_soma__calloc(size_t count, size_t size);
void *__real_soma__realloc(void *memory, size_t size);
void *__real_soma__aligned(size_t size);
void *__wrap_soma__malloc(size_t size);
void *__wrap_soma__calloc(size_t count, size_t size);
void *__wrap_soma__realloc(void *memory, size_t size);
void *__wrap_soma__aligned(size_t size);

static _Atomic int64_t allocations;

static void count(void)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
}

void *__wrap_soma__malloc(size_t size)
{
    count();
    return __real_soma__malloc(size);
}

void *__wrap_soma__calloc(size_t items, size_t size)
{
    count();
    return __real_soma__calloc(items, size);
}

void *__wrap_soma__realloc(void *memory, size_t size)
{
    count();
    return __real_soma__realloc(memory, size);
}

void *__wrap_soma__aligned(size_t size)
{
    count();
    return __real_soma__aligned(size);
}

int64_t bench_allocations(void)
{
    return atomic_load_explicit(&allocations, memory_order_relaxed);
}
