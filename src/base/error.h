/* error.h: how faults are reported inside the library. */
#ifndef SOMA__ERROR_H
#define SOMA__ERROR_H

#include <stdarg.h>

#include "soma/base.h"

/* Every fault passes through here: a place for a breakpoint. Writes the message (truncated to fit)
 * and returns `code`. `err` may be NULL. */
soma_status soma__fail(soma_error *err, soma_status code, const char *format, ...)
    SOMA_PRINTF(3, 4);
soma_status soma__vfail(soma_error *err, soma_status code, const char *format, va_list args);

/* Puts "prefix: " before the message that is there, to say where it happened; returns err's code,
 * or `code` when err is NULL. */
soma_status soma__fail_within(soma_error *err, soma_status code, const char *format, ...)
    SOMA_PRINTF(3, 4);

/* The static analyser does not see that a failure's code is never SOMA_OK and would follow paths
 * on which a fault counts as success: this tells it. */
#ifdef __clang_analyzer__
#define soma__fail(err_, code_, ...) ((void)soma__fail((err_), (code_), __VA_ARGS__), (code_))
#define soma__fail_within(err_, code_, ...)                                                        \
    ((void)soma__fail_within((err_), (code_), __VA_ARGS__), (code_))
#endif

/* Passes a failure on. */
#define SOMA__TRY(expression_)                                                                     \
    do {                                                                                           \
        soma_status status_try_ = (expression_);                                                   \
        if (status_try_ != SOMA_OK)                                                                \
            return status_try_;                                                                    \
    } while (0)

/* An invariant of our own code. A debug build stops; a release build returns SOMA_INTERNAL from the
 * enclosing function. Never for files, shapes, options or memory. */
#ifdef SOMA_DEBUG
#define SOMA_ASSERT(condition_, err_)                                                              \
    do {                                                                                           \
        if (!(condition_))                                                                         \
            __builtin_trap();                                                                      \
    } while (0)
#else
#define SOMA_ASSERT(condition_, err_)                                                              \
    do {                                                                                           \
        if (!(condition_))                                                                         \
            return soma__fail((err_), SOMA_INTERNAL, "%s:%d: %s", __FILE__, __LINE__,              \
                              #condition_);                                                        \
    } while (0)
#endif

#endif
