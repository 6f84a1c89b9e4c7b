/* arena.h: memory that is given back all at once. Grows by blocks, so pointers stay valid. */
#ifndef SOMA__ARENA_H
#define SOMA__ARENA_H

#include <stddef.h>

typedef struct soma__arena {
    struct soma__arena_block *head;
} soma__arena; /* {0} is an empty arena */

/* Zeroed, 16-byte aligned; NULL when memory is out. */
void *soma__arena_alloc(soma__arena *arena, size_t size);
void *soma__arena_array(soma__arena *arena, size_t count, size_t size); /* overflow-checked */
char *soma__arena_strdup(soma__arena *arena, const char *text);
void *soma__arena_copy(soma__arena *arena, const void *data, size_t size);
/* Frees every block; the arena is empty and usable again. */
void soma__arena_clear(soma__arena *arena);

#endif
