/* heap.h: a binary heap of any type of item, as two static functions over an array that has room.
 *
 * SOMA__HEAP(item_, goes_first_) defines heap_push and heap_pop, where goes_first_(a, b) says
 * whether item *a leaves before *b. */
#ifndef SOMA__HEAP_H
#define SOMA__HEAP_H

#include <stdbool.h>
#include <stddef.h>

#define SOMA__HEAP(item_, goes_first_)                                                             \
    static void heap_push(item_ *heap, size_t *count, item_ item)                                  \
    {                                                                                              \
        size_t i = (*count)++;                                                                     \
        for (; i > 0 && goes_first_(&item, &heap[(i - 1) / 2]); i = (i - 1) / 2)                   \
            heap[i] = heap[(i - 1) / 2];                                                           \
        heap[i] = item;                                                                            \
    }                                                                                              \
    static item_ heap_pop(item_ *heap, size_t *count)                                              \
    {                                                                                              \
        item_ top = heap[0], last = heap[--*count];                                                \
        size_t i = 0;                                                                              \
        for (size_t child; (child = 2 * i + 1) < *count; i = child) {                              \
            if (child + 1 < *count && goes_first_(&heap[child + 1], &heap[child]))                 \
                child++;                                                                           \
            if (!goes_first_(&heap[child], &last))                                                 \
                break;                                                                             \
            heap[i] = heap[child];                                                                 \
        }                                                                                          \
        heap[i] = last;                                                                            \
        return top;                                                                                \
    }

#endif
