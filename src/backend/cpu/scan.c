/* scan.c: running sums, products and linear recurrences of f32, in double as their reference. Runs
 * along an axis are independent: threads share them, and neighbouring ones go side by side. */
#include "backend/cpu/isa.h"
#include "base/pool.h"
#include "ops/attrs.h"

/* Runs side by side, and elements of a block. */
#define PANEL 64
#define BLOCK 16384

typedef enum scan { SUM, PRODUCT, RECURRENCE } scan;

typedef struct scan_job {
    scan kind;
    bool exclusive, reverse;
    const float *x, *b;
    float *y;
    int64_t size, inner;
    int64_t panels; /* of the inner axis */
    int64_t units, block_units;
} scan_job;

/* k neighbouring runs; x, b and y at their first cells. */
static void scan_panel(const scan_job *job, const float *x, const float *b, float *y, int64_t k)
{
    double total[PANEL];
    int64_t step = job->inner;
    if (job->reverse) {
        const int64_t last = (job->size - 1) * step;
        x += last;
        b += last;
        y += last;
        step = -step;
    }
    for (int64_t c = 0; c < k; c++)
        total[c] = job->kind == PRODUCT ? 1 : 0;
    for (int64_t i = 0; i < job->size; i++, x += step, b += step, y += step) {
        if (job->exclusive)
            for (int64_t c = 0; c < k; c++)
                y[c] = (float)total[c];
        if (job->kind == SUM)
            for (int64_t c = 0; c < k; c++)
                total[c] += (double)x[c];
        else if (job->kind == PRODUCT)
            for (int64_t c = 0; c < k; c++)
                total[c] *= (double)x[c];
        else
            for (int64_t c = 0; c < k; c++)
                total[c] = (double)x[c] * total[c] + (double)b[c];
        if (!job->exclusive)
            for (int64_t c = 0; c < k; c++)
                y[c] = (float)total[c];
    }
}

static void scan_block(void *context, int64_t block, int worker)
{
    const scan_job *job = context;
    (void)worker;
    for (int64_t u = block * job->block_units; u < (block + 1) * job->block_units; u++) {
        if (u >= job->units)
            return;
        const int64_t column = u % job->panels * PANEL;
        const int64_t at = u / job->panels * job->size * job->inner + column;
        const int64_t k = job->inner - column < PANEL ? job->inner - column : PANEL;
        scan_panel(job, job->x + at, job->b + at, job->y + at, k);
    }
}

static void run(const soma__call *call, scan kind)
{
    const soma__scan_attrs *attrs = call->attrs;
    const soma_shape *shape = &call->in[0].shape;
    scan_job job = {.kind = kind,
                    .exclusive = attrs->exclusive,
                    .reverse = attrs->reverse,
                    .x = call->in[0].data,
                    .b = call->in[call->nin - 1].data,
                    .y = call->out[0].data,
                    .size = shape->dim[attrs->axis]};
    int64_t outer;
    soma__shape_around(shape, attrs->axis, &outer, &job.inner);
    job.panels = (job.inner + PANEL - 1) / PANEL;
    job.units = outer * job.panels;
    const int64_t elements = job.size * (job.inner < PANEL ? job.inner : PANEL);
    job.block_units = elements >= BLOCK ? 1 : BLOCK / elements;
    soma__parallel(call->pool, (job.units + job.block_units - 1) / job.block_units, scan_block,
                   &job);
}

#define SCAN(name_, kind_)                                                                         \
    const char *soma__refuses_##name_(const soma__call *call)                                      \
    {                                                                                              \
        if (call->in[0].dtype != SOMA_F32)                                                         \
            return "the dtype is not f32";                                                         \
        return call->in[0].count == 0 ? "x is empty" : NULL;                                       \
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
        run(call, kind_);                                                                          \
    }
SCAN(cumsum, SUM)
SCAN(cumprod, PRODUCT)
SCAN(recurrence, RECURRENCE)
