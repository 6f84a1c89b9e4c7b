/* move.h: what the kernels that move elements share. */
#ifndef SOMA__MOVE_H
#define SOMA__MOVE_H

#include <string.h>

#include "backend/cpu/isa.h"

/* Runs `units` pieces of work of `bytes` each, several to a block. */
void soma__run_units(const soma__call *call, int64_t units, int64_t bytes, const void *context,
                     void (*unit)(const void *context, int64_t unit));

static inline void soma__copy_run(char *to, const char *from, int64_t bytes)
{
    /* A call of memcpy costs more than a few words. */
    for (; bytes >= 8 && bytes <= 64; bytes -= 8, to += 8, from += 8)
        memcpy(to, from, 8);
    if (bytes == 4)
        memcpy(to, from, 4);
    else if (bytes > 0)
        memcpy(to, from, (size_t)bytes);
}

#define SOMA__NO_SCRATCH(name_)                                                                    \
    size_t soma__scratch_##name_(const soma__call *call, const soma__isa_table *isa, int threads)  \
    {                                                                                              \
        (void)call;                                                                                \
        (void)isa;                                                                                 \
        (void)threads;                                                                             \
        return 0;                                                                                  \
    }
#define SOMA__TAKES_ALL(name_)                                                                     \
    const char *soma__refuses_##name_(const soma__call *call)                                      \
    {                                                                                              \
        (void)call;                                                                                \
        return NULL;                                                                               \
    }

#endif
