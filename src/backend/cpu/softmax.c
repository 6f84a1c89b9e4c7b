/* softmax.c: softmax, log_softmax along any axis, and cross_entropy, of f32. */
#include "backend/cpu/softmax.h"

#include "base/pool.h"
#include "ops/attrs.h"

/* Elements of a block of work, and columns where the axis is not the last. */
#define BLOCK 4096
#define BLOCK_COLUMNS 64
#define LABELS 256 /* converted at a time */

/* x is [outer, size, inner], the softmax along size. */
typedef struct softmax_job {
    const struct soma__isa_softmax *isa;
    bool logarithm;
    const float *x;
    const soma__view *labels;
    float *y;
    int64_t outer, size, inner;
    int64_t block_outer, panels;
} softmax_job;

static const char *refuses(const soma__call *call)
{
    if (call->in[0].dtype != SOMA_F32)
        return "the dtype is not f32";
    if (call->in[0].count == 0)
        return "x is empty";
    return NULL;
}

static void softmax_block(void *context, int64_t block, int worker)
{
    const softmax_job *job = context;
    (void)worker;
    if (job->inner == 1) {
        int64_t first = block * job->block_outer, count = job->outer - first;
        count = count < job->block_outer ? count : job->block_outer;
        job->isa->rows(job->logarithm, job->x + first * job->size, count, job->size,
                       job->y + first * job->size);
        return;
    }
    int64_t column = block % job->panels * BLOCK_COLUMNS;
    int64_t columns = job->inner - column < BLOCK_COLUMNS ? job->inner - column : BLOCK_COLUMNS;
    int64_t at = block / job->panels * job->size * job->inner + column;
    job->isa->columns(job->logarithm, job->x + at, job->size, columns, job->inner, job->y + at);
}

static int64_t rows_of_block(int64_t size)
{
    return size >= BLOCK ? 1 : BLOCK / size;
}

static void run(const soma__call *call, const soma__isa_table *isa, bool logarithm)
{
    const soma__axis_attrs *attrs = call->attrs;
    const soma_shape *shape = &call->in[0].shape;
    softmax_job job = {.isa = isa->softmax,
                       .logarithm = logarithm,
                       .x = call->in[0].data,
                       .y = call->out[0].data,
                       .size = shape->dim[attrs->axis]};
    soma__shape_around(shape, attrs->axis, &job.outer, &job.inner);
    job.block_outer = rows_of_block(job.size);
    job.panels = (job.inner + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS;
    int64_t blocks = job.inner == 1 ? (job.outer + job.block_outer - 1) / job.block_outer
                                    : job.outer * job.panels;
    soma__parallel(call->pool, blocks, softmax_block, &job);
}

static size_t no_scratch(const soma__call *call, const soma__isa_table *isa, int threads)
{
    (void)call;
    (void)isa;
    (void)threads;
    return 0;
}

const char *soma__refuses_softmax(const soma__call *call)
{
    return refuses(call);
}
size_t soma__scratch_softmax(const soma__call *call, const soma__isa_table *isa, int threads)
{
    return no_scratch(call, isa, threads);
}
void soma__run_softmax(const soma__call *call, const soma__isa_table *isa)
{
    run(call, isa, false);
}

const char *soma__refuses_log_softmax(const soma__call *call)
{
    return refuses(call);
}
size_t soma__scratch_log_softmax(const soma__call *call, const soma__isa_table *isa, int threads)
{
    return no_scratch(call, isa, threads);
}
void soma__run_log_softmax(const soma__call *call, const soma__isa_table *isa)
{
    run(call, isa, true);
}

/* --- cross_entropy
 * -------------------------------------------------------------------------------- */

const char *soma__refuses_cross_entropy(const soma__call *call)
{
    if (call->in[1].dtype != SOMA_I32 && call->in[1].dtype != SOMA_I64)
        return "the labels are neither i32 nor i64";
    return refuses(call);
}
size_t soma__scratch_cross_entropy(const soma__call *call, const soma__isa_table *isa, int threads)
{
    return no_scratch(call, isa, threads);
}

static void cross_entropy_block(void *context, int64_t block, int worker)
{
    const softmax_job *job = context;
    int64_t first = block * job->block_outer;
    int64_t end = first + job->block_outer < job->outer ? first + job->block_outer : job->outer;
    int64_t label[LABELS];
    (void)worker;
    for (int64_t r = first; r < end; r += LABELS) {
        int64_t rows = end - r < LABELS ? end - r : LABELS;
        for (int64_t i = 0; i < rows; i++)
            label[i] = job->labels->dtype == SOMA_I64 ? ((const int64_t *)job->labels->data)[r + i]
                                                      : ((const int32_t *)job->labels->data)[r + i];
        job->isa->cross_entropy(job->x + r * job->size, label, rows, job->size, job->y + r);
    }
}

void soma__run_cross_entropy(const soma__call *call, const soma__isa_table *isa)
{
    const soma_shape *shape = &call->in[0].shape;
    softmax_job job = {.isa = isa->softmax,
                       .x = call->in[0].data,
                       .labels = &call->in[1],
                       .y = call->out[0].data,
                       .outer = call->out[0].count,
                       .size = shape->dim[shape->ndim - 1],
                       .inner = 1};
    job.block_outer = rows_of_block(job.size);
    soma__parallel(call->pool, (job.outer + job.block_outer - 1) / job.block_outer,
                   cross_entropy_block, &job);
}
