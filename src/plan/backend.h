/* backend.h: what a backend offers to plans, and the context that holds them. A plan asks each
 * kernel row in order (best first); the op's reference kernel is the last answer. */
#ifndef SOMA__BACKEND_H
#define SOMA__BACKEND_H

#include <pthread.h>

#include "base/pool.h"
#include "plan/program.h"

/* Whether a kernel may write its result over an operand. */
typedef enum soma__in_place {
    SOMA__APART = false,   /* never */
    SOMA__OVER_ANY = true, /* out[0] may be in[0] or any same-sized input (elementwise) */
    SOMA__OVER_FIRST = 2,  /* out[0] may be in[0], of which it changes parts */
} soma__in_place;

typedef struct soma__kernel {
    const char *op;   /* op name; "fused" runs call->program */
    const char *name; /* "gemm avx512", for profiles */
    soma__in_place in_place;
    bool epilogue; /* call->program is run on finished blocks */
    /* NULL: takes the call; else the reason why not. Sees shapes and dtypes; data pointers are
     * NULL. */
    const char *(*refuses)(const soma__call *call);
    /* Bytes of scratch for this call; NULL: none. `threads` is the pool's size. */
    size_t (*scratch)(const soma__call *call, int threads);
    void (*run)(const soma__call *call);
    /* A form of in[1] that is worth keeping between calls, where in[1] does not change: its bytes
     * (0: none for this call; NULL: never), and how it is made (64-byte aligned; of the call only
     * shapes, attributes, in[1].data and the pool may be used). A call with call->prepared gives
     * the same bits as one without, and its scratch is no larger than `scratch` says. */
    size_t (*prepared)(const soma__call *call);
    void (*prepare)(const soma__call *call, void *to);
} soma__kernel;

typedef struct soma__backend {
    const char *name; /* "cpu" */
    const char *isa;
    const soma__kernel *kernels;
    int count;
    /* Best case rates for the profiler, measured now. */
    soma_status (*measure)(soma__pool *pool, soma_machine *out, soma_error *err);
} soma__backend;

struct soma__plan_cache;

struct soma_context {
    soma__pool *pool;
    const soma__backend *backend; /* NULL: reference kernels only */
    bool no_winograd;
    pthread_mutex_t lock; /* of the plan cache and the layers */
    struct soma__plan_cache *cache;
    void *layers; /* kinds of layers that the user's program registered (nn/custom.c); NULL: none */
    void (*layers_destroy)(void *layers);
};

/* The CPU backend of an instruction set (NULL: the best this machine has); NULL when unknown or not
 * supported here. "reference" is not a backend. */
const soma__backend *soma__cpu_backend(const char *isa);
/* "baseline", … as this machine supports them, best last; NULL-terminated. */
const char *const *soma__cpu_isas(void);

/* plan/cache.c */
soma_status soma__plan_cache_create(struct soma__plan_cache **out, soma_error *err);
void soma__plan_cache_destroy(struct soma__plan_cache *cache);

#endif
