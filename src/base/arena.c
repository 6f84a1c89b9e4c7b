/* arena.c: a list of blocks, filled from the front.
 *
 *   head ──▶ [ header | used ······ | free ··· ] ──▶ [ header | used ······ ] ──▶ NULL
 *
 * Blocks come from calloc, so memory is zero without a second sweep: fresh pages are zero already.
 * Each block is twice as large as the one before, up to a limit, so a small tree costs one small
 * block and a large graph few calls. */
#include "base/arena.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"

#define ALIGNMENT ((size_t)16)
#define FIRST_BLOCK ((size_t)4 << 10)
#define LARGEST_BLOCK ((size_t)1 << 20)

struct soma__arena_block {
    struct soma__arena_block *next;
    size_t used, capacity; /* bytes after the header */
};

#define HEADER ((sizeof(struct soma__arena_block) + ALIGNMENT - 1) & ~(ALIGNMENT - 1))

static void *take(struct soma__arena_block *block, size_t size)
{
    void *memory = (char *)block + HEADER + block->used;
    block->used += size;
    return memory;
}

void *soma__arena_alloc(soma__arena *arena, size_t size)
{
    if (size > SIZE_MAX - HEADER - ALIGNMENT)
        return NULL;
    size = soma__align_up(size ? size : 1, ALIGNMENT);

    struct soma__arena_block *head = arena->head;
    if (head && head->capacity - head->used >= size)
        return take(head, size);

    size_t capacity = head ? 2 * head->capacity : FIRST_BLOCK;
    if (capacity > LARGEST_BLOCK)
        capacity = LARGEST_BLOCK;
    /* A request that would fill most of a block gets one of its own behind the head, so that the
     * room left in the head is not lost. */
    bool own = size > capacity / 2;
    if (own)
        capacity = size;
    struct soma__arena_block *block = soma__calloc(1, HEADER + capacity);
    if (!block)
        return NULL;
    block->capacity = capacity;
    if (own && head) {
        block->next = head->next;
        head->next = block;
    } else {
        block->next = head;
        arena->head = block;
    }
    return take(block, size);
}

void *soma__arena_array(soma__arena *arena, size_t count, size_t size)
{
    size_t bytes;
    return soma__mul(count, size, &bytes) ? soma__arena_alloc(arena, bytes) : NULL;
}

void *soma__arena_copy(soma__arena *arena, const void *data, size_t size)
{
    void *copy = soma__arena_alloc(arena, size);
    if (copy && size)
        memcpy(copy, data, size);
    return copy;
}

char *soma__arena_strdup(soma__arena *arena, const char *text)
{
    return soma__arena_copy(arena, text, strlen(text) + 1);
}

void soma__arena_clear(soma__arena *arena)
{
    struct soma__arena_block *block = arena->head;
    while (block) {
        struct soma__arena_block *next = block->next;
        soma__free(block);
        block = next;
    }
    arena->head = NULL;
}
