/* pooling.c: max and average pooling, their gradients, and the pick that the gradient of the max
 * pool's gradient needs; f32, N H W C.
 *
 * A block of work is one row of results, except for the gradient of the max pool: there windows of
 * several rows add to one cell, so a block is a group of channels of one image. */
#include "backend/cpu/pooling.h"

#include <string.h>

#include "base/pool.h"
#include "ops/attrs.h"

#define GRAD_CHANNELS 64

typedef struct pool_job {
    const struct soma__isa_pool *isa;
    const soma__pool_attrs *attrs;
    const float *x, *t; /* t: the second input */
    float *y;
    int64_t h, w, ho, wo, c; /* sizes of the image and of the pooled one */
    int64_t groups, rows_of_block, all_rows;
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

/* The cells that window (i, j) sees, and where the first of them is in the image. */
static soma__cells window(const pool_job *job, int64_t i, int64_t j, int64_t *at)
{
    const soma__pool_attrs *a = job->attrs;
    int64_t h0 = i * a->stride[0] - a->pad[0], w0 = j * a->stride[1] - a->pad[1];
    int64_t h1 = h0 + a->size[0], w1 = w0 + a->size[1];
    h0 = h0 > 0 ? h0 : 0;
    w0 = w0 > 0 ? w0 : 0;
    h1 = h1 < job->h ? h1 : job->h;
    w1 = w1 < job->w ? w1 : job->w;
    *at = (h0 * job->w + w0) * job->c;
    return (soma__cells){h1 - h0, w1 - w0, job->w * job->c, job->c, job->c};
}

static float share(const pool_job *job, const soma__cells *seen)
{
    const soma__pool_attrs *a = job->attrs;
    double cells = a->count_pad ? (double)a->size[0] * (double)a->size[1]
                                : (double)seen->rows * (double)seen->cols;
    return (float)(1 / cells);
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
    for (int64_t j = 0; j < job->wo; j++, y += job->c) {
        int64_t at;
        soma__cells seen = window(job, row % job->ho, j, &at);
        at += image;
        if (kind == MAX)
            job->isa->max(job->x + at, &seen, y);
        else if (kind == PICK)
            job->isa->pick(job->x + at, job->t + at, &seen, y);
        else
            job->isa->average(job->x + at, &seen, share(job, &seen), y);
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
    for (int64_t i = 0; i < job->h * job->w; i++)
        memset(dx + i * job->c, 0, (size_t)channels * sizeof(float));
    for (int64_t i = 0; i < job->ho; i++)
        for (int64_t j = 0; j < job->wo; j++) {
            int64_t at;
            soma__cells seen = window(job, i, j, &at);
            seen.channels = channels;
            job->isa->max_grad(x + at, dy + (i * job->wo + j) * job->c, &seen, dx + at);
        }
}

void soma__run_max_pool2d_grad(const soma__call *call, const soma__isa_table *isa)
{
    const soma_shape *x = &call->in[0].shape;
    pool_job job = start(call, isa, x, &call->in[1].shape);
    job.groups = (job.c + GRAD_CHANNELS - 1) / GRAD_CHANNELS;
    soma__parallel(call->pool, x->dim[0] * job.groups, max_grad_block, &job);
}

/* The windows [first, last] along one axis that see cell `at`. */
static void windows_of(int64_t at, int64_t size, int64_t stride, int64_t pad, int64_t outputs,
                       int64_t *first, int64_t *last)
{
    int64_t low = at + pad - size + 1;
    *first = low > 0 ? (low + stride - 1) / stride : 0;
    *last = (at + pad) / stride;
    *last = *last < outputs ? *last : outputs - 1;
}

/* in: dy. Every cell of dx gathers from the windows that see it. */
static void avg_grad_row(const pool_job *job, int64_t row)
{
    const soma__pool_attrs *a = job->attrs;
    int64_t n = row / job->h, i0, i1, j0, j1;
    float *dx = job->y + row * job->w * job->c;
    windows_of(row % job->h, a->size[0], a->stride[0], a->pad[0], job->ho, &i0, &i1);
    memset(dx, 0, (size_t)(job->w * job->c) * sizeof(float));
    for (int64_t w = 0; w < job->w; w++, dx += job->c) {
        windows_of(w, a->size[1], a->stride[1], a->pad[1], job->wo, &j0, &j1);
        for (int64_t i = i0; i <= i1; i++)
            for (int64_t j = j0; j <= j1; j++) {
                int64_t at;
                soma__cells seen = window(job, i, j, &at);
                job->isa->add(job->x + ((n * job->ho + i) * job->wo + j) * job->c, job->c,
                              share(job, &seen), dx);
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
