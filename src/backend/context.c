/* context.c: what a run needs beside its plan: threads, kernels, and the cache of plans. */
#include <stdlib.h>
#include <string.h>

#include "plan/backend.h"

/* NULL with SOMA_OK: the plain kernels, by wish. */
static soma_status choose_backend(const soma__backend **out, const char *isa, soma_error *err)
{
    *out = NULL;
    if (!isa || !*isa)
        isa = getenv("SOMA_ISA");
    if (isa && !*isa)
        isa = NULL;
    if (isa && !strcmp(isa, "reference"))
        return SOMA_OK;
    *out = soma__cpu_backend(isa);
    if (*out)
        return SOMA_OK;
    soma__text known = {0};
    for (const char *const *name = soma__cpu_isas(); *name; name++)
        soma__text_add(&known, "%s, ", *name);
    soma_status status =
        soma__fail(err, SOMA_INVALID,
                   "instruction set '%s' is unknown or not supported here; there are %sreference",
                   isa ? isa : "(best)", known.data ? known.data : "");
    soma__text_free(&known);
    return status;
}

soma_status soma_context_create(soma_context **out, const soma_context_options *options,
                                soma_error *err)
{
    soma_context_options given = options ? *options : (soma_context_options){0};
    *out = NULL;
    if (given.threads < 0)
        return soma__fail(err, SOMA_INVALID, "%d threads; 0 means as many as this process may use",
                          given.threads);
    const soma__backend *backend;
    SOMA__TRY(choose_backend(&backend, given.isa, err));
    soma_context *context = soma__calloc(1, sizeof *context);
    if (!context)
        return soma__fail(err, SOMA_MEMORY, "no memory for a context");
    context->backend = backend;
    const char *winograd = getenv("SOMA_WINOGRAD");
    context->no_winograd = given.no_winograd || (winograd && !strcmp(winograd, "0"));
    if (pthread_mutex_init(&context->lock, NULL)) {
        soma__free(context);
        return soma__fail(err, SOMA_MEMORY, "no memory for a context's lock");
    }
    soma_status status = soma__plan_cache_create(&context->cache, err);
    if (status == SOMA_OK)
        status = soma__pool_create(&context->pool, given.threads, err);
    if (status != SOMA_OK) {
        soma_context_destroy(context);
        return status;
    }
    *out = context;
    return SOMA_OK;
}

void soma_context_destroy(soma_context *context)
{
    if (!context)
        return;
    if (context->layers)
        context->layers_destroy(context->layers);
    soma__plan_cache_destroy(context->cache);
    soma__pool_destroy(context->pool);
    pthread_mutex_destroy(&context->lock);
    soma__free(context);
}

int soma_context_threads(const soma_context *context)
{
    return soma__pool_threads(context->pool);
}

const char *soma_context_isa(const soma_context *context)
{
    return context->backend ? context->backend->isa : "reference";
}
