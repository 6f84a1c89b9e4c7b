/* roi.c: roi_align and its transpose, f32, vectors along the channels. A bin is the sum of places
 * between four cells; the transpose adds a bin to all of its cells, in the order of the boxes, and
 * is cut by images and channels. */
#include <string.h>

#include "backend/cpu/pooling.h"
#include "base/pool.h"
#include "ops/roi.h"

#define PANEL 64
#define BLOCK 4096

typedef struct roi_job {
    const struct soma__isa_pool *isa;
    const soma__call *call;
    const soma__roi_attrs *attrs;
    const soma_shape *image;
    int64_t boxes, bins, panels, bins_of_block;
} roi_job;

static const char *refuses(const soma__call *call)
{
    if (call->in[0].dtype != SOMA_F32)
        return "the dtype is not f32";
    if (call->out[0].count == 0)
        return "there is nothing to do";
    return NULL;
}

static roi_job start(const soma__call *call, const soma__isa_table *isa, const soma_shape *image)
{
    const soma__roi_attrs *attrs = call->attrs;
    return (roi_job){.isa = isa->pool,
                     .call = call,
                     .attrs = attrs,
                     .image = image,
                     .boxes = call->in[1].shape.dim[0],
                     .bins = attrs->size[0] * attrs->size[1]};
}

/* Adds `channels` of the cells of bin `b` to `bin`, or the other way round. */
static void add_bin(const roi_job *job, const soma__roi *roi, int64_t b, float *cells, float *bin,
                    int64_t channels, bool gather)
{
    const int64_t size[2] = {job->image->dim[1], job->image->dim[2]}, step = job->image->dim[3];
    const int64_t at[2] = {b / job->attrs->size[1], b % job->attrs->size[1]};
    const int64_t count = roi->samples[0] * roi->samples[1];
    const double share = 1 / (double)(count > 0 ? count : 1);
    for (int64_t s = 0; s < count; s++) {
        const int64_t sample[2] = {s / roi->samples[1], s % roi->samples[1]};
        soma__roi_place place;
        if (!soma__roi_at(roi, at, sample, size, &place))
            continue;
        for (int i = 0; i < 4; i++) {
            float weight = (float)(place.weight[i] * share), *cell = cells + place.cell[i] * step;
            if (place.weight[i] == 0)
                continue;
            if (gather)
                job->isa->add(cell, channels, weight, bin);
            else
                job->isa->add(bin, channels, weight, cell);
        }
    }
}

static void forward_block(void *context, int64_t block, int worker)
{
    const roi_job *job = context;
    const soma__view *x = &job->call->in[0];
    const int64_t channels = job->image->dim[3], all = job->boxes * job->bins;
    const int64_t image = job->image->dim[1] * job->image->dim[2] * channels;
    float *cells = x->data, *y = job->call->out[0].data;
    (void)worker;
    for (int64_t i = block * job->bins_of_block; i < (block + 1) * job->bins_of_block && i < all;
         i++) {
        soma__roi roi = soma__roi_read(job->attrs, &job->call->in[1], &job->call->in[2],
                                       job->image->dim[0], i / job->bins);
        memset(y + i * channels, 0, (size_t)channels * sizeof(float));
        if (roi.image >= 0)
            add_bin(job, &roi, i % job->bins, cells + roi.image * image, y + i * channels, channels,
                    true);
    }
}

const char *soma__refuses_roi_align(const soma__call *call)
{
    return refuses(call);
}

void soma__run_roi_align(const soma__call *call, const soma__isa_table *isa)
{
    roi_job job = start(call, isa, &call->in[0].shape);
    int64_t work = 8 * job.image->dim[3];
    job.bins_of_block = work >= BLOCK ? 1 : BLOCK / work;
    int64_t all = job.boxes * job.bins;
    soma__parallel(call->pool, (all + job.bins_of_block - 1) / job.bins_of_block, forward_block,
                   &job);
}

static void gradient_block(void *context, int64_t block, int worker)
{
    const roi_job *job = context;
    const int64_t step = job->image->dim[3], cells = job->image->dim[1] * job->image->dim[2];
    const int64_t image = block / job->panels, c = block % job->panels * PANEL;
    const int64_t channels = step - c < PANEL ? step - c : PANEL;
    float *dx = (float *)job->call->out[0].data + image * cells * step + c;
    float *dy = (float *)job->call->in[0].data + c;
    (void)worker;
    for (int64_t i = 0; i < cells; i++)
        memset(dx + i * step, 0, (size_t)channels * sizeof(float));
    for (int64_t r = 0; r < job->boxes; r++) {
        soma__roi roi =
            soma__roi_read(job->attrs, &job->call->in[1], &job->call->in[2], job->image->dim[0], r);
        for (int64_t b = 0; roi.image == image && b < job->bins; b++)
            add_bin(job, &roi, b, dx, dy + (r * job->bins + b) * step, channels, false);
    }
}

const char *soma__refuses_roi_align_grad(const soma__call *call)
{
    return refuses(call);
}

void soma__run_roi_align_grad(const soma__call *call, const soma__isa_table *isa)
{
    roi_job job = start(call, isa, &call->out[0].shape);
    job.panels = (job.image->dim[3] + PANEL - 1) / PANEL;
    soma__parallel(call->pool, job.image->dim[0] * job.panels, gradient_block, &job);
}

#define NO_SCRATCH(name_)                                                                          \
    size_t soma__scratch_##name_(const soma__call *call, const soma__isa_table *isa, int threads)  \
    {                                                                                              \
        (void)call, (void)isa, (void)threads;                                                      \
        return 0;                                                                                  \
    }
NO_SCRATCH(roi_align)
NO_SCRATCH(roi_align_grad)
