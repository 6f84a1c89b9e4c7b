/* mem.c: the only file that talks to the heap. Everything else goes through these five functions,
 * so a test that wraps them sees every allocation of the library, and may refuse any of them. */
#include "base/mem.h"

#include <stdlib.h>
#include <sys/mman.h>

/* One cache line, and one AVX-512 register. */
#define ALIGNMENT ((size_t)64)
/* The usual huge page of x86-64 and of AArch64 with 4 KiB pages. */
#define HUGE_PAGE ((size_t)2 << 20)

/* The C library may answer NULL to a request for 0 bytes, which a caller would take for a failure;
 * asking for one byte avoids that. */
static size_t at_least_one(size_t size)
{
    return size ? size : 1;
}

void *soma__malloc(size_t size)
{
    return malloc(at_least_one(size));
}

void *soma__calloc(size_t count, size_t size)
{
    return count && size ? calloc(count, size) : calloc(1, 1);
}

void *soma__realloc(void *memory, size_t size)
{
    return realloc(memory, at_least_one(size));
}

void *soma__aligned(size_t size)
{
    size_t alignment = size >= HUGE_PAGE ? HUGE_PAGE : ALIGNMENT;
    void *memory;
    if (posix_memalign(&memory, alignment, at_least_one(size)) != 0)
        return NULL;
#ifdef MADV_HUGEPAGE
    /* Weights and activations are swept again and again; with huge pages the sweep misses the TLB
     * 512 times less often. Only whole huge pages are named, because the tail may share its page
     * with other blocks. It is a hint: a kernel without huge pages says no and nothing is lost. */
    if (size >= HUGE_PAGE)
        (void)madvise(memory, size & ~(HUGE_PAGE - 1), MADV_HUGEPAGE);
#endif
    return memory;
}

void soma__free(void *memory)
{
    free(memory);
}
