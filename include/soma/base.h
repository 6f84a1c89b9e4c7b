/* soma/base.h: version, status and messages, and the context that everything runs in.
 *
 * Conventions of every public header:
 *   - A function that can fail returns soma_status and takes a `soma_error *err` last. `err` may be
 *     NULL; otherwise it receives the code and a sentence that says what to change.
 *   - Outputs come first. `**out` belongs to the caller; a returned pointer is borrowed from the
 *     first argument. create/destroy, retain/release, open/close, load/save mean one thing each;
 *     destroying or releasing NULL is fine.
 *   - Option structs: a zero in a field means its default.
 */
#ifndef SOMA_BASE_H
#define SOMA_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SOMA_VERSION_MAJOR 0
#define SOMA_VERSION_MINOR 1
#define SOMA_VERSION_PATCH 0
#define SOMA_VERSION "0.1.0"

#if defined(__GNUC__) || defined(__clang__)
#define SOMA_API __attribute__((visibility("default")))
#define SOMA_MUST_CHECK __attribute__((warn_unused_result))
#define SOMA_PRINTF(fmt_, args_) __attribute__((format(printf, fmt_, args_)))
#else
#define SOMA_API
#define SOMA_MUST_CHECK
#define SOMA_PRINTF(fmt_, args_)
#endif

/* Every status, its value and its text: one list. */
#define SOMA_STATUS_LIST(X)                                                                        \
    X(OK, 0, "ok")                                                                                 \
    X(INVALID, -1, "invalid argument")                                                             \
    X(SHAPE, -2, "shapes do not fit")                                                              \
    X(DTYPE, -3, "data types do not fit")                                                          \
    X(MEMORY, -4, "out of memory")                                                                 \
    X(IO, -5, "input or output failed")                                                            \
    X(FORMAT, -6, "malformed data")                                                                \
    X(UNSUPPORTED, -7, "not supported")                                                            \
    X(NOT_FOUND, -8, "not found")                                                                  \
    X(NUMERIC, -9, "not a finite number")                                                          \
    X(CANCELLED, -10, "cancelled")                                                                 \
    X(STATE, -11, "not possible in this state")                                                    \
    X(INTERNAL, -12, "internal error, please report")

typedef enum soma_status {
#define SOMA__STATUS_ENUM(name_, value_, text_) SOMA_##name_ = (value_),
    SOMA_STATUS_LIST(SOMA__STATUS_ENUM)
#undef SOMA__STATUS_ENUM
} soma_status;

#define SOMA_ERROR_MESSAGE_SIZE 512

/* The message of the first fault. Owned by the caller, no allocation inside; initialise with {0}.
 */
typedef struct soma_error {
    soma_status code;
    char message[SOMA_ERROR_MESSAGE_SIZE];
} soma_error;

/* The short text of a status, never NULL. */
SOMA_API const char *soma_status_text(soma_status status);

/* "0.1.0" of the library that is linked, to compare with SOMA_VERSION. */
SOMA_API const char *soma_version(void);

/* A context owns the thread pool, the chosen instruction set and the plan cache. It must outlive
 * whatever was made with it. Two contexts do not know of each other. One context may be used by
 * several threads; their runs then take turns on the pool. */
typedef struct soma_context soma_context;

typedef struct soma_context_options {
    int threads;     /* 0: $SOMA_THREADS, else the CPUs that this process may use */
    const char *isa; /* NULL: $SOMA_ISA, else the best; "baseline", "avx2", "avx512", "avx512_bf16",
                        or "reference" for the plain kernels */
    bool no_winograd; /* convolutions by their definition only. Otherwise 3×3 ones of stride 1 may
                         run by Winograd's method, which multiplies up to 5 times less and rounds
                         more (within 1e-4 of the result's spread), unless $SOMA_WINOGRAD is 0 */
} soma_context_options;

/* Errors: SOMA_INVALID for a bad thread count or an unknown or unsupported instruction set,
 * SOMA_MEMORY. `options` may be NULL. */
SOMA_MUST_CHECK SOMA_API soma_status soma_context_create(soma_context **out,
                                                         const soma_context_options *options,
                                                         soma_error *err);
SOMA_API void soma_context_destroy(soma_context *context);
SOMA_API int soma_context_threads(const soma_context *context);
SOMA_API const char *soma_context_isa(const soma_context *context);

#ifdef __cplusplus
}
#endif
#endif
