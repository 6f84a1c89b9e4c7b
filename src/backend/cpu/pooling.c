/* pooling.c: max and average pooling, their gradients, and the pick that the gradient of the max
 * pool's gradient needs; f32, N H W C.
 *
 * A block of work is one row of results, except for the gradient of the max pool: there windows of
 * several rows add to one cell, so a block is a group of channels of one image. */
#include "backend/cpu/pooling.h"

#include <string.h>

#include "base/pool.h"
#include "ops/pool.h"

#define GRAD_CHANNELS 64

typedef struct pool_job {
    const struct soma__isa_pool *isa;
    const soma__pool_attrs *attrs;
    const float *x, *t; /* t: the second input */
    float *y;
    int64_t h, w, ho, wo, c; /* sizes of the image and of the pooled one */
    int64_t groups, rows_of_block, all_rows;
    bool alone, all; /* max_pool2d_grad: no cell is in two windows; each is in one */
} pool_job;

static const char *refuses(const soma__call *call)
{
    for (int i = 0; i < call->nin; i++)
        if (call->in[i].dtype != SOMA_F32)
            return "the dtype is not f32";
    if (call->in[0].count == 0 || call->out[0].count == 0)
        return "there are no images";
    return NULL;
}

static pool_job start(const soma__call *call, const soma__isa_table *isa, const soma_shape *image,
                      const soma_shape *pooled)
{
    pool_job job = {.isa = isa->pool,
                    .attrs = call->attrs,
                    .x = call->in[0].data,
                    .t = call->nin > 1 ? call->in[1].data : NULL,
                    .y = call->out[0].data,
                    .h = image->dim[1],
                    .w = image->dim[2],
                    .ho = pooled->dim[1],
                    .wo = pooled->dim[2],
                    .c = image->dim[3]};
    return job;
}

/* How many windows of a row are like window j, which sees all of its cells: from it on, each a
 * stride further. */
static int64_t alike(const pool_job *job, int64_t j)
{
    const soma__pool_attrs *a = job->attrs;
    int64_t first = j * a->stride[1] - a->pad[1];
    int64_t room = job->w - 1 - (a->size[1] - 1) * a->dilation[1] - first;
    if (a->adaptive || first < 0 || room < 0)
        return 1;
    int64_t count = room / a->stride[1] + 1;
    return count < job->wo - j ? count : job->wo - j;
}

/* The cells that window (i, j) and those like it see, and where the first of them is in the image.
 * `share`, unless NULL: what a sum over them is multiplied by to give the mean. */
static soma__cells windows(const pool_job *job, int64_t i, int64_t j, int64_t *at, float *share)
{
    soma__span h = soma__pool_span(job->attrs, 0, job->h, i);
    soma__span w = soma__pool_span(job->attrs, 1, job->w, j);
    *at = (h.first * job->w + w.first) * job->c;
    if (share)
        *share = (float)(1 / soma__pool_divisor(job->attrs, &h, &w));
    return (soma__cells){.rows = h.count,
                         .cols = w.count,
                         .row = h.step * job->w * job->c,
                         .cell = w.step * job->c,
                         .channels = job->c,
                         .windows = alike(job, j),
                         .step = job->attrs->stride[1] * job->c,
                         .out = job->c};
}

/* Calls `row` for each row of results, in blocks of about as many elements as pay for a hand-over.
 */
#define BLOCK 8192

static void run_rows(const soma__call *call, pool_job *job, int64_t rows, int64_t row_elements,
                     soma__block_fn *block)
{
    job->all_rows = rows;
    job->rows_of_block = row_elements >= BLOCK ? 1 : BLOCK / row_elements;
    soma__parallel(call->pool, (rows + job->rows_of_block - 1) / job->rows_of_block, block, job);
}

#define EACH_ROW(job_, block_, row_)                                                               \
    for (int64_t row_ = (block_) * (job_)->rows_of_block;                                          \
         row_ < ((block_) + 1) * (job_)->rows_of_block && row_ < (job_)->all_rows; row_++)

/* --- forward
 * --------------------------------------------------------------------------------------- */

typedef enum pool_kind { MAX, PICK, AVERAGE } pool_kind;

static void forward_row(const pool_job *job, pool_kind kind, int64_t row)
{
    int64_t image = row / job->ho * job->h * job->w * job->c;
    float *y = job->y + row * job->wo * job->c;
    for (int64_t j = 0; j < job->wo;) {
        int64_t at;
        float share = 0;
        soma__cells seen = windows(job, row % job->ho, j, &at, kind == AVERAGE ? &share : NULL);
        at += image;
        if (kind == MAX)
            job->isa->max(job->x + at, &seen, y);
        else if (kind == PICK)
            job->isa->pick(job->x + at, job->t + at, &seen, y);
        else
            job->isa->average(job->x + at, &seen, share, y);
        j += seen.windows;
        y += seen.windows * job->c;
    }
}

#define FORWARD(name_, kind_)                                                                      \
    static void name_##_block(void *context, int64_t block, int worker)                            \
    {                                                                                              \
        const pool_job *job = context;                                                             \
        (void)worker;                                                                              \
        EACH_ROW(job, block, row)                                                                  \
        forward_row(job, kind_, row);                                                              \
    }                                                                                              \
    void soma__run_##name_(const soma__call *call, const soma__isa_table *isa)                     \
    {                                                                                              \
        const soma_shape *y = &call->out[0].shape;                                                 \
        pool_job job = start(call, isa, &call->in[0].shape, y);                                    \
        run_rows(call, &job, y->dim[0] * y->dim[1],                                                \
                 job.wo * job.c * job.attrs->size[0] * job.attrs->size[1], name_##_block);         \
    }
FORWARD(max_pool2d, MAX)
FORWARD(max_pool2d_pick, PICK)
FORWARD(avg_pool2d, AVERAGE)

/* --- gradients
 * -------------------------------------------------------------------------------------- */

/* Whether no cell is seen by two windows; *all: and each by one. */
static bool windows_part(const pool_job *job, bool *all)
{
    const soma__pool_attrs *a = job->attrs;
    const int64_t size[2] = {job->h, job->w}, count[2] = {job->ho, job->wo};
    bool part = !a->adaptive;
    *all = part;
    for (int d = 0; d < 2; d++) {
        part = part && a->stride[d] > (a->size[d] - 1) * a->dilation[d];
        *all = *all && a->dilation[d] == 1 && a->stride[d] == a->size[d] &&
               count[d] * a->size[d] - a->pad[d] >= size[d];
    }
    return part;
}

/* in: x, dy. */
static void max_grad_block(void *context, int64_t block, int worker)
{
    const pool_job *job = context;
    int64_t n = block / job->groups, c = block % job->groups * GRAD_CHANNELS;
    int64_t channels = job->c - c < GRAD_CHANNELS ? job->c - c : GRAD_CHANNELS;
    const float *x = job->x + n * job->h * job->w * job->c + c;
    const float *dy = job->t + n * job->ho * job->wo * job->c + c;
    float *dx = job->y + n * job->h * job->w * job->c + c;
    (void)worker;
    for (int64_t i = 0; i < job->h * job->w && !job->all; i++)
        memset(dx + i * job->c, 0, (size_t)channels * sizeof(float));
    for (int64_t i = 0; i < job->ho; i++)
        for (int64_t j = 0; j < job->wo;) {
            int64_t at;
            soma__cells seen = windows(job, i, j, &at, NULL);
            seen.channels = channels;
            job->isa->max_grad(x + at, dy + (i * job->wo + j) * job->c, &seen, job->alone, dx + at);
            j += seen.windows;
        }
}

void soma__run_max_pool2d_grad(const soma__call *call, const soma__isa_table *isa)
{
    const soma_shape *x = &call->in[0].shape;
    pool_job job = start(call, isa, x, &call->in[1].shape);
    job.groups = (job.c + GRAD_CHANNELS - 1) / GRAD_CHANNELS;
    job.alone = windows_part(&job, &job.all);
    soma__parallel(call->pool, x->dim[0] * job.groups, max_grad_block, &job);
}

/* in: dy. Every cell of dx gathers from the windows that see it. */
static void avg_grad_row(const pool_job *job, int64_t row)
{
    const soma__pool_attrs *a = job->attrs;
    int64_t n = row / job->h, at = row % job->h, i0, i1, j0, j1;
    float *dx = job->y + row * job->w * job->c;
    soma__pool_windows(a, 0, job->h, job->ho, at, &i0, &i1);
    memset(dx, 0, (size_t)(job->w * job->c) * sizeof(float));
    for (int64_t w = 0; w < job->w; w++, dx += job->c) {
        soma__pool_windows(a, 1, job->w, job->wo, w, &j0, &j1);
        for (int64_t i = i0; i <= i1; i++) {
            soma__span rows = soma__pool_span(a, 0, job->h, i);
            if (!soma__span_sees(&rows, at))
                continue;
            for (int64_t j = j0; j <= j1; j++) {
                soma__span cols = soma__pool_span(a, 1, job->w, j);
                if (soma__span_sees(&cols, w))
                    job->isa->add(job->x + ((n * job->ho + i) * job->wo + j) * job->c, job->c,
                                  (float)(1 / soma__pool_divisor(a, &rows, &cols)), dx);
            }
        }
    }
}

static void avg_grad_block(void *context, int64_t block, int worker)
{
    const pool_job *job = context;
    (void)worker;
    EACH_ROW(job, block, row)
    avg_grad_row(job, row);
}

void soma__run_avg_pool2d_grad(const soma__call *call, const soma__isa_table *isa)
{
    const soma_shape *dx = &call->out[0].shape;
    pool_job job = start(call, isa, dx, &call->in[0].shape);
    run_rows(call, &job, dx->dim[0] * dx->dim[1], job.w * job.c, avg_grad_block);
}

/* --- rows of the kernel table
 * ------------------------------------------------------------------------ */

#define KERNEL(name_)                                                                              \
    const char *soma__refuses_##name_(const soma__call *call)                                      \
    {                                                                                              \
        return refuses(call);                                                                      \
    }                                                                                              \
    size_t soma__scratch_##name_(const soma__call *call, const soma__isa_table *isa, int threads)  \
    {                                                                                              \
        (void)call;                                                                                \
        (void)isa;                                                                                 \
        (void)threads;                                                                             \
        return 0;                                                                                  \
    }
KERNEL(max_pool2d)
KERNEL(max_pool2d_grad)
KERNEL(max_pool2d_pick)
KERNEL(avg_pool2d)
KERNEL(avg_pool2d_grad)
