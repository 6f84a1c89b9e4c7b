/* random.c: random tensors, in the same bits as the reference: element i is draw i of its key. */
#include <math.h>

#include "backend/cpu/isa.h"
#include "base/pool.h"
#include "base/rng.h"
#include "ops/attrs.h"

/* Elements of a block; draws made at a time. */
#define BLOCK 4096
#define DRAWS 512

typedef struct random_job {
    soma__rng_key key;
    double p;
    int64_t count;
    void *y;
} random_job;

static void uniform_block(void *context, int64_t block, int worker)
{
    const random_job *job = context;
    int64_t first = block * BLOCK;
    int64_t count = job->count - first < BLOCK ? job->count - first : BLOCK;
    (void)worker;
    soma__rng_uniforms(&job->key, (uint64_t)first, count, (float *)job->y + first);
}

static void normal_block(void *context, int64_t block, int worker)
{
    const random_job *job = context;
    float *y = job->y;
    (void)worker;
    for (int64_t i = block * BLOCK; i < (block + 1) * BLOCK && i < job->count; i++)
        y[i] = (float)soma__rng_normal(&job->key, (uint64_t)i);
}

/* A uniform has 24 bits, so it is less than p exactly when it is less than the next float at or
 * above p. */
static void bernoulli_block(void *context, int64_t block, int worker)
{
    const random_job *job = context;
    int64_t end = (block + 1) * BLOCK < job->count ? (block + 1) * BLOCK : job->count;
    float draw[DRAWS], limit = (float)job->p;
    (void)worker;
    if ((double)limit < job->p)
        limit = nextafterf(limit, 2);
    for (int64_t i = block * BLOCK; i < end; i += DRAWS) {
        int64_t count = end - i < DRAWS ? end - i : DRAWS;
        uint8_t *y = (uint8_t *)job->y + i;
        soma__rng_uniforms(&job->key, (uint64_t)i, count, draw);
        for (int64_t k = 0; k < count; k++)
            y[k] = draw[k] < limit;
    }
}

static void run(const soma__call *call, soma__block_fn *block)
{
    const soma__random_attrs *attrs = call->attrs;
    const int64_t *key = call->in[0].data;
    random_job job = {.key = {.seed = (uint64_t)key[0],
                              .stream = (uint32_t)attrs->stream,
                              .step = (uint64_t)key[1]},
                      .p = attrs->p,
                      .count = call->out[0].count,
                      .y = call->out[0].data};
    soma__parallel(call->pool, (job.count + BLOCK - 1) / BLOCK, block, &job);
}

#define KERNEL(name_, block_)                                                                      \
    const char *soma__refuses_##name_(const soma__call *call)                                      \
    {                                                                                              \
        (void)call;                                                                                \
        return NULL;                                                                               \
    }                                                                                              \
    size_t soma__scratch_##name_(const soma__call *call, const soma__isa_table *isa, int threads)  \
    {                                                                                              \
        (void)call;                                                                                \
        (void)isa;                                                                                 \
        (void)threads;                                                                             \
        return 0;                                                                                  \
    }                                                                                              \
    void soma__run_##name_(const soma__call *call, const soma__isa_table *isa)                     \
    {                                                                                              \
        (void)isa;                                                                                 \
        run(call, block_);                                                                         \
    }
KERNEL(random_uniform, uniform_block)
KERNEL(random_normal, normal_block)
KERNEL(random_bernoulli, bernoulli_block)
