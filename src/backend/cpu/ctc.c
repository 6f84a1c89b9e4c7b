/* ctc.c: connectionist temporal classification: the reference's arithmetic of a sequence, which is
 * in double, with the sequences of a batch shared out among threads. */
#include "ops/ctc.h"
#include "backend/cpu/isa.h"
#include "base/pool.h"

typedef struct ctc_job {
    const soma__call *call;
    size_t own; /* bytes of scratch of a thread */
    void (*sequence)(const soma__call *call, int64_t b, double *scratch);
} ctc_job;

static size_t own_scratch(const soma__call *call, bool gradient)
{
    return (soma__ctc_scratch(call, gradient) + 63) / 64 * 64;
}

static void ctc_block(void *context, int64_t block, int worker)
{
    const ctc_job *job = context;
    void *own = (char *)job->call->scratch + job->own * (size_t)worker;
    job->sequence(job->call, block, own);
}

static const char *refuses(const soma__call *call)
{
    return call->in[0].dtype != SOMA_F32 ? "the dtype is not f32" : NULL;
}

#define CTC(name_, gradient_, sequence_)                                                           \
    const char *soma__refuses_##name_(const soma__call *call)                                      \
    {                                                                                              \
        return refuses(call);                                                                      \
    }                                                                                              \
    size_t soma__scratch_##name_(const soma__call *call, const soma__isa_table *isa, int threads)  \
    {                                                                                              \
        (void)isa;                                                                                 \
        return own_scratch(call, gradient_) * (size_t)(threads < 1 ? 1 : threads);                 \
    }                                                                                              \
    void soma__run_##name_(const soma__call *call, const soma__isa_table *isa)                     \
    {                                                                                              \
        ctc_job job = {call, own_scratch(call, gradient_), sequence_};                             \
        (void)isa;                                                                                 \
        soma__parallel(call->pool, call->in[0].shape.dim[0], ctc_block, &job);                     \
    }
CTC(ctc_loss, false, soma__ctc_forward)
CTC(ctc_loss_grad, true, soma__ctc_backward)
