/* resample.c: resample and resample_grad, f32. Vectors run along what lies behind the axis: each
 * tap is a row times its weight, added to another row. A block of work is a few rows of results,
 * for the gradient a panel of columns, since there several rows add to one. */
#include <string.h>

#include "backend/cpu/pooling.h"
#include "base/pool.h"
#include "ops/attrs.h"

#define BLOCK 8192
#define PANEL 1024

typedef struct resample_job {
    const struct soma__isa_pool *isa;
    const soma__view *index;
    const float *from, *weight;
    float *to;
    int64_t cells, rows, taps; /* of x along the axis; of the tables */
    int64_t before, after;
    int64_t rows_of_block, panels;
} resample_job;

static const char *refuses(const soma__call *call)
{
    if (call->in[0].dtype != SOMA_F32)
        return "the dtype is not f32";
    if (call->in[0].count == 0 || call->in[1].count == 0 || call->out[0].count == 0)
        return "there are no cells";
    return NULL;
}

static resample_job start(const soma__call *call, const soma__isa_table *isa, const soma_shape *x)
{
    const soma__resample_attrs *attrs = call->attrs;
    resample_job job = {.isa = isa->pool,
                        .index = &call->in[1],
                        .from = call->in[0].data,
                        .weight = call->in[2].data,
                        .to = call->out[0].data,
                        .cells = x->dim[attrs->axis],
                        .rows = call->in[1].shape.dim[0],
                        .taps = call->in[1].shape.dim[1]};
    soma__shape_around(x, attrs->axis, &job.before, &job.after);
    return job;
}

/* The cell of tap t; -1 when there is none. */
static int64_t cell_of(const resample_job *job, int64_t t)
{
    int64_t i = soma__view_index(job->index, t);
    return i >= 0 && i < job->cells ? i : -1;
}

static void forward_block(void *context, int64_t block, int worker)
{
    const resample_job *job = context;
    int64_t row = block * job->rows_of_block, end = row + job->rows_of_block;
    (void)worker;
    for (; row < end && row < job->before * job->rows; row++) {
        const float *x = job->from + row / job->rows * job->cells * job->after;
        float *y = job->to + row * job->after;
        memset(y, 0, (size_t)job->after * sizeof(float));
        int64_t t = row % job->rows * job->taps;
        for (int64_t k = 0; k < job->taps; k++, t++) {
            int64_t i = cell_of(job, t);
            if (i >= 0)
                job->isa->add(x + i * job->after, job->after, job->weight[t], y);
        }
    }
}

const char *soma__refuses_resample(const soma__call *call)
{
    return refuses(call);
}

void soma__run_resample(const soma__call *call, const soma__isa_table *isa)
{
    resample_job job = start(call, isa, &call->in[0].shape);
    int64_t work = job.after * job.taps;
    job.rows_of_block = work >= BLOCK ? 1 : BLOCK / work;
    int64_t rows = job.before * job.rows;
    soma__parallel(call->pool, (rows + job.rows_of_block - 1) / job.rows_of_block, forward_block,
                   &job);
}

static void gradient_block(void *context, int64_t block, int worker)
{
    const resample_job *job = context;
    int64_t a = block / job->panels, b = block % job->panels * PANEL;
    int64_t count = job->after - b < PANEL ? job->after - b : PANEL;
    const float *dy = job->from + a * job->rows * job->after + b;
    float *dx = job->to + a * job->cells * job->after + b;
    (void)worker;
    for (int64_t i = 0; i < job->cells; i++)
        memset(dx + i * job->after, 0, (size_t)count * sizeof(float));
    for (int64_t t = 0; t < job->rows * job->taps; t++) {
        int64_t i = cell_of(job, t);
        if (i >= 0)
            job->isa->add(dy + t / job->taps * job->after, count, job->weight[t],
                          dx + i * job->after);
    }
}

const char *soma__refuses_resample_grad(const soma__call *call)
{
    return refuses(call);
}

void soma__run_resample_grad(const soma__call *call, const soma__isa_table *isa)
{
    resample_job job = start(call, isa, &call->out[0].shape);
    job.panels = (job.after + PANEL - 1) / PANEL;
    soma__parallel(call->pool, job.before * job.panels, gradient_block, &job);
}

#define NO_SCRATCH(name_)                                                                          \
    size_t soma__scratch_##name_(const soma__call *call, const soma__isa_table *isa, int threads)  \
    {                                                                                              \
        (void)call, (void)isa, (void)threads;                                                      \
        return 0;                                                                                  \
    }
NO_SCRATCH(resample)
NO_SCRATCH(resample_grad)
