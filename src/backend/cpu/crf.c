/* crf.c: conditional random fields: the reference's arithmetic of a sequence, which is in double,
 * with the sequences of a batch shared out among threads. */
#include "ops/crf.h"
#include "backend/cpu/isa.h"
#include "base/mem.h"
#include "base/pool.h"

typedef struct crf_job {
    const soma__call *call;
    size_t own; /* bytes of scratch of a thread */
    void (*sequence)(const soma__call *call, int64_t b, double *scratch);
} crf_job;

static size_t own_scratch(const soma__call *call)
{
    return soma__align_up(soma__crf_scratch(call), 64);
}

static void crf_block(void *context, int64_t block, int worker)
{
    const crf_job *job = context;
    char *scratch = (char *)job->call->scratch + job->own * (size_t)worker;
    job->sequence(job->call, block, (double *)(void *)scratch);
}

static size_t crf_scratch(const soma__call *call, int threads)
{
    return own_scratch(call) * (size_t)(threads < 1 ? 1 : threads);
}

static void crf_run(const soma__call *call,
                    void (*sequence)(const soma__call *call, int64_t b, double *scratch))
{
    crf_job job = {call, own_scratch(call), sequence};
    soma__parallel(call->pool, call->in[0].shape.dim[0], crf_block, &job);
}

#define CRF(name_, sequence_)                                                                      \
    const char *soma__refuses_##name_(const soma__call *call)                                      \
    {                                                                                              \
        return call->in[0].dtype != SOMA_F32 ? "the dtype is not f32" : NULL;                      \
    }                                                                                              \
    size_t soma__scratch_##name_(const soma__call *call, const soma__isa_table *isa, int threads)  \
    {                                                                                              \
        (void)isa;                                                                                 \
        return crf_scratch(call, threads);                                                         \
    }                                                                                              \
    void soma__run_##name_(const soma__call *call, const soma__isa_table *isa)                     \
    {                                                                                              \
        (void)isa;                                                                                 \
        crf_run(call, sequence_);                                                                  \
    }
CRF(crf, soma__crf_loss)
CRF(crf_grad, soma__crf_grad)
CRF(crf_decode, soma__crf_decode)
