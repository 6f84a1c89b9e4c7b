/* places.c: gather_elements, gather_nd and their scatters.
 *
 * Of the elements kind a row of the index along its last dim is one unit: its coordinates are
 * worked out once. Scatters first copy x; then what can meet in one cell stays with one thread, in
 * the order of the index: rows of different leading coordinates, and columns, are independent. */
#include "ops/places.h"
#include "backend/cpu/move.h"
#include "soma/ops.h"

/* Columns that a thread takes on its own. */
#define PANEL 128

typedef struct places_job {
    soma__places places;
    const char *from; /* gather: x; scatter: the updates */
    char *y;
    int64_t size;            /* of an element, in bytes */
    int64_t row, row_stride; /* elements: cells of a row of the index; from one to the next in x */
    int64_t rows, panels;    /* scatter: rows of a unit; units side by side */
    bool add;
} places_job;

static const char *refuses(const soma__call *call, bool scatter)
{
    const soma__place_index_attrs *attrs = call->attrs;
    if (!scatter || attrs->reduction == SOMA_SCATTER_SET)
        return NULL;
    if (attrs->reduction != SOMA_SCATTER_ADD)
        return "only set and add";
    return call->in[0].dtype == SOMA_F32 ? NULL : "the dtype is not f32";
}

static void start(places_job *job, bool nd, const soma__call *call, const soma__view *from)
{
    *job = (places_job){.from = from->data, .y = call->out[0].data};
    soma__places_start(&job->places, nd, call);
    job->size = (int64_t)soma_dtype_size(from->dtype);
    if (!nd) {
        const int last = job->places.ndim - 1;
        job->row = call->in[1].shape.dim[last];
        job->row_stride = job->places.axis == last ? 0 : job->places.stride[last];
    }
}

/* Where the row of the index that starts at slot i lies in the array, its axis at 0. */
static int64_t row_base(const soma__places *p, int64_t i)
{
    int64_t at = 0;
    for (int d = p->ndim - 1; d >= 0; d--) {
        const int64_t dim = p->index->shape.dim[d];
        if (d != p->axis)
            at += i % dim * p->stride[d];
        i /= dim;
    }
    return at;
}

/* --- gathers -----------------------------------------------------------------------------------
 */

#define GATHER_ROW(type_)                                                                          \
    static void gather_row_##type_(const places_job *job, int64_t first, int64_t base)             \
    {                                                                                              \
        const type_ *x = (const type_ *)(const void *)job->from + base;                            \
        type_ *y = (type_ *)(void *)job->y + first;                                                \
        const int64_t size = job->places.size[job->places.axis];                                   \
        const int64_t stride = job->places.stride[job->places.axis];                               \
        for (int64_t i = 0; i < job->row; i++, x += job->row_stride) {                             \
            const int64_t number = soma__view_index(job->places.index, first + i);                 \
            y[i] = number >= 0 && number < size ? x[number * stride] : 0;                          \
        }                                                                                          \
    }
GATHER_ROW(uint8_t)
GATHER_ROW(uint16_t)
GATHER_ROW(uint32_t)
GATHER_ROW(uint64_t)

static void gather_elements_unit(const void *context, int64_t unit)
{
    const places_job *job = context;
    const int64_t first = unit * job->row, base = row_base(&job->places, first);
    if (job->size == 1)
        gather_row_uint8_t(job, first, base);
    else if (job->size == 2)
        gather_row_uint16_t(job, first, base);
    else if (job->size == 4)
        gather_row_uint32_t(job, first, base);
    else
        gather_row_uint64_t(job, first, base);
}

static void gather_nd_unit(const void *context, int64_t unit)
{
    const places_job *job = context;
    const int64_t bytes = job->places.run * job->size, at = soma__place_of(&job->places, unit);
    if (at >= 0)
        soma__copy_run(job->y + unit * bytes, job->from + at * job->size, bytes);
    else
        memset(job->y + unit * bytes, 0, (size_t)bytes);
}

SOMA__TAKES_ALL(gather_elements)
SOMA__NO_SCRATCH(gather_elements)
SOMA__TAKES_ALL(gather_nd)
SOMA__NO_SCRATCH(gather_nd)

void soma__run_gather_elements(const soma__call *call, const soma__isa_table *isa)
{
    places_job job;
    (void)isa;
    if (call->out[0].count == 0)
        return;
    start(&job, false, call, &call->in[0]);
    soma__run_units(call, job.places.slots / job.row, job.row * job.size, &job,
                    gather_elements_unit);
}

void soma__run_gather_nd(const soma__call *call, const soma__isa_table *isa)
{
    places_job job;
    (void)isa;
    if (call->out[0].count == 0)
        return;
    start(&job, true, call, &call->in[0]);
    soma__run_units(call, job.places.slots, job.places.run * job.size, &job, gather_nd_unit);
}

/* --- scatters ----------------------------------------------------------------------------------
 */

#define COPY_BYTES ((int64_t)1 << 16)

typedef struct copy_job {
    const char *x;
    char *y;
    int64_t bytes;
} copy_job;

static void copy_unit(const void *context, int64_t unit)
{
    const copy_job *job = context;
    const int64_t first = unit * COPY_BYTES, left = job->bytes - first;
    memcpy(job->y + first, job->x + first, (size_t)(left < COPY_BYTES ? left : COPY_BYTES));
}

/* Where the result lies over x there is nothing to copy. */
static void copy_x(const soma__call *call, int64_t size)
{
    if (call->out[0].data == call->in[0].data)
        return;
    const copy_job job = {call->in[0].data, call->out[0].data, call->out[0].count * size};
    soma__run_units(call, (job.bytes + COPY_BYTES - 1) / COPY_BYTES, COPY_BYTES, &job, copy_unit);
}

static void write_cells(const places_job *job, int64_t to, int64_t from, int64_t cells)
{
    if (job->add) {
        float *y = (float *)(void *)job->y + to;
        const float *x = (const float *)(const void *)job->from + from;
        for (int64_t i = 0; i < cells; i++)
            y[i] += x[i];
    } else {
        soma__copy_run(job->y + to * job->size, job->from + from * job->size, cells * job->size);
    }
}

/* A unit: the rows of one leading coordinate, of them one panel of columns. */
static void scatter_elements_unit(const void *context, int64_t unit)
{
    const places_job *job = context;
    const soma__places *p = &job->places;
    const int64_t column = unit % job->panels * PANEL;
    const int64_t end = job->panels > 1 && job->row - column > PANEL ? column + PANEL : job->row;
    for (int64_t r = 0; r < job->rows; r++) {
        const int64_t first = (unit / job->panels * job->rows + r) * job->row;
        const int64_t base = row_base(p, first);
        for (int64_t i = column; i < end; i++) {
            const int64_t number = soma__view_index(p->index, first + i);
            if (number >= 0 && number < p->size[p->axis])
                write_cells(job, base + number * p->stride[p->axis] + i * job->row_stride,
                            first + i, 1);
        }
    }
}

/* A unit: the slices of one batch, of them one panel of columns. */
static void scatter_nd_unit(const void *context, int64_t unit)
{
    const places_job *job = context;
    const soma__places *p = &job->places;
    const int64_t column = unit % job->panels * PANEL, left = p->run - column;
    const int64_t batch = unit / job->panels, cells = left < PANEL ? left : PANEL;
    for (int64_t i = batch * p->per_batch; i < (batch + 1) * p->per_batch; i++) {
        const int64_t at = soma__place_of(p, i);
        if (at >= 0)
            write_cells(job, at + column, i * p->run + column, cells);
    }
}

const char *soma__refuses_scatter_elements(const soma__call *call)
{
    return refuses(call, true);
}
SOMA__NO_SCRATCH(scatter_elements)

const char *soma__refuses_scatter_nd(const soma__call *call)
{
    return refuses(call, true);
}
SOMA__NO_SCRATCH(scatter_nd)

void soma__run_scatter_elements(const soma__call *call, const soma__isa_table *isa)
{
    places_job job;
    int64_t leading = 1;
    (void)isa;
    if (call->out[0].count == 0)
        return;
    start(&job, false, call, &call->in[2]);
    copy_x(call, job.size);
    if (job.places.slots == 0)
        return;
    job.add = ((const soma__place_index_attrs *)call->attrs)->reduction == SOMA_SCATTER_ADD;
    for (int d = 0; d < job.places.axis; d++)
        leading *= call->in[1].shape.dim[d];
    job.panels = job.places.axis == job.places.ndim - 1 ? 1 : (job.row + PANEL - 1) / PANEL;
    job.rows = job.places.slots / job.row;
    /* With the axis last, a row of the index meets one row of x. */
    if (job.places.axis == job.places.ndim - 1)
        leading = job.rows;
    job.rows /= leading;
    soma__run_units(call, leading * job.panels,
                    job.rows * (job.row < PANEL ? job.row : PANEL) * job.size, &job,
                    scatter_elements_unit);
}

void soma__run_scatter_nd(const soma__call *call, const soma__isa_table *isa)
{
    places_job job;
    (void)isa;
    if (call->out[0].count == 0)
        return;
    start(&job, true, call, &call->in[2]);
    copy_x(call, job.size);
    if (job.places.slots == 0 || job.places.run == 0)
        return;
    job.add = ((const soma__place_index_attrs *)call->attrs)->reduction == SOMA_SCATTER_ADD;
    job.panels = (job.places.run + PANEL - 1) / PANEL;
    soma__run_units(call, job.places.slots / job.places.per_batch * job.panels,
                    job.places.per_batch * (job.places.run < PANEL ? job.places.run : PANEL) *
                        job.size,
                    &job, scatter_nd_unit);
}
