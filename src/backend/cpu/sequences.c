/* sequences.c: losses and decoding of whole sequences (CTC, conditional random fields): the
 * reference's arithmetic of a sequence, which is in double, with the sequences of a batch shared
 * out among threads. */
#include "backend/cpu/isa.h"
#include "base/mem.h"
#include "base/pool.h"
#include "ops/crf.h"
#include "ops/ctc.h"

typedef struct sequences_job {
    const soma__call *call;
    size_t own; /* bytes of scratch of a thread */
    void (*sequence)(const soma__call *call, int64_t b, double *scratch);
} sequences_job;

static void sequence_block(void *context, int64_t block, int worker)
{
    const sequences_job *job = context;
    void *own = (char *)job->call->scratch + job->own * (size_t)worker;
    job->sequence(job->call, block, own);
}

/* scratch_: the bytes that a sequence of `call` takes. */
#define SEQUENCES(name_, sequence_, scratch_)                                                      \
    const char *soma__refuses_##name_(const soma__call *call)                                      \
    {                                                                                              \
        return call->in[0].dtype != SOMA_F32 ? "the dtype is not f32" : NULL;                      \
    }                                                                                              \
    size_t soma__scratch_##name_(const soma__call *call, const soma__isa_table *isa, int threads)  \
    {                                                                                              \
        (void)isa;                                                                                 \
        return soma__align_up((scratch_), 64) * (size_t)(threads < 1 ? 1 : threads);               \
    }                                                                                              \
    void soma__run_##name_(const soma__call *call, const soma__isa_table *isa)                     \
    {                                                                                              \
        sequences_job job = {call, soma__align_up((scratch_), 64), (sequence_)};                   \
        (void)isa;                                                                                 \
        soma__parallel(call->pool, call->in[0].shape.dim[0], sequence_block, &job);                \
    }
SEQUENCES(ctc_loss, soma__ctc_forward, soma__ctc_scratch(call, false))
SEQUENCES(ctc_loss_grad, soma__ctc_backward, soma__ctc_scratch(call, true))
SEQUENCES(crf, soma__crf_loss, soma__crf_scratch(call))
SEQUENCES(crf_grad, soma__crf_grad, soma__crf_scratch(call))
SEQUENCES(crf_decode, soma__crf_decode, soma__crf_scratch(call))
