/* reduce.c: sum, mean, product, max, min over any axes, and argmax and argmin, of f32.
 *
 * Neighbouring axes of one kind are one axis, so that reduced (R) and kept (K) ones alternate:
 * K R K R … Each pass folds the innermost R of [outer, R, inner]; with inner = 1 that is along
 * rows, else along columns. The result of a pass is [outer, inner], so one pass is enough for
 * nearly all that networks do. Where R is long and there is little else to share among threads, a
 * pass cuts R into chunks and a second one folds the chunks' results in order. All cuts depend on
 * the shape. */
#include "backend/cpu/reduce.h"

#include <math.h>

#include "base/pool.h"
#include "ops/attrs.h"

/* Columns of a unit of work, elements of a chunk of R, elements of a block, and how many units are
 * surely enough for all threads. */
#define UNIT_COLUMNS 512
#define CHUNK 32768
#define BLOCK 16384
#define ENOUGH_UNITS 64

/* One pass: [outer, reduced, inner] to [outer, chunks, inner]. */
typedef struct fold_pass {
    int64_t outer, reduced, inner;
    int64_t chunk, chunks; /* rows of a chunk; how many */
} fold_pass;

/* Every R group may take two passes, and 8 axes hold four groups. */
#define MOST_PASSES 8

typedef struct fold_job {
    const struct soma__isa_reduce *isa;
    soma__fold fold;
    const float *x;
    float *y;
    fold_pass pass;
    int64_t panels; /* of columns */
    int64_t units, block_units;
    float divisor; /* 0: none */
} fold_job;

static fold_pass cut_pass(int64_t outer, int64_t reduced, int64_t inner, bool whole)
{
    fold_pass pass = {outer, reduced, inner, reduced, 1};
    int64_t columns = inner < UNIT_COLUMNS ? inner : UNIT_COLUMNS;
    int64_t units = outer * ((inner + UNIT_COLUMNS - 1) / UNIT_COLUMNS);
    int64_t chunk = CHUNK / columns;
    if (!whole && units < ENOUGH_UNITS && reduced >= 2 * chunk) {
        pass.chunk = chunk;
        pass.chunks = (reduced + chunk - 1) / chunk;
    }
    return pass;
}

/* Writes the passes of a reduction; returns how many. `whole`: no chunks, whose results might be
 * infinite where the whole one is not. */
static int plan_passes(const soma_shape *x, int64_t mask, bool whole, fold_pass passes[MOST_PASSES])
{
    int64_t size[SOMA_MAX_DIMS];
    bool reduced[SOMA_MAX_DIMS];
    int groups = 0, count = 0;
    for (int d = 0; d < x->ndim; d++) {
        bool r = (mask >> d & 1) != 0;
        if (x->dim[d] == 1)
            continue;
        if (groups > 0 && reduced[groups - 1] == r) {
            size[groups - 1] *= x->dim[d];
        } else {
            size[groups] = x->dim[d];
            reduced[groups++] = r;
        }
    }
    int64_t inner = 1;
    for (int g = groups - 1; g >= 0; g--) {
        if (!reduced[g]) {
            inner *= size[g];
            continue;
        }
        int64_t outer = 1;
        for (int o = 0; o < g; o++)
            outer *= size[o];
        fold_pass pass = cut_pass(outer, size[g], inner, whole);
        passes[count++] = pass;
        if (pass.chunks > 1)
            passes[count++] = (fold_pass){outer, pass.chunks, inner, pass.chunks, 1};
    }
    if (count == 0) /* only axes of size one are reduced: a copy */
        passes[count++] = (fold_pass){1, 1, inner, 1, 1};
    return count;
}

/* Units are numbered through outer, chunk, panel of columns. */
static void fold_unit(const fold_job *job, int64_t unit)
{
    const fold_pass *p = &job->pass;
    int64_t column = unit % job->panels * UNIT_COLUMNS;
    int64_t chunk = unit / job->panels % p->chunks;
    int64_t outer = unit / job->panels / p->chunks;
    int64_t first = chunk * p->chunk;
    int64_t rows = p->reduced - first < p->chunk ? p->reduced - first : p->chunk;
    int64_t columns = p->inner - column < UNIT_COLUMNS ? p->inner - column : UNIT_COLUMNS;
    const float *x = job->x + (outer * p->reduced + first) * p->inner + column;
    float *y = job->y + (outer * p->chunks + chunk) * p->inner + column;
    if (p->inner == 1)
        job->isa->rows(job->fold, x, 1, rows, rows, y);
    else
        job->isa->columns(job->fold, x, rows, columns, p->inner, y);
    if (job->divisor > 0)
        job->isa->divide(y, columns, job->divisor);
}

static void fold_block(void *context, int64_t block, int worker)
{
    const fold_job *job = context;
    const fold_pass *p = &job->pass;
    int64_t first = block * job->block_units;
    int64_t end = first + job->block_units < job->units ? first + job->block_units : job->units;
    (void)worker;
    if (p->inner == 1 && p->chunks == 1) { /* many rows at once */
        job->isa->rows(job->fold, job->x + first * p->reduced, end - first, p->reduced, p->reduced,
                       job->y + first);
        if (job->divisor > 0)
            job->isa->divide(job->y + first, end - first, job->divisor);
        return;
    }
    for (int64_t unit = first; unit < end; unit++)
        fold_unit(job, unit);
}

static const char *refuses(const soma__call *call)
{
    if (call->in[0].dtype != SOMA_F32)
        return "the dtype is not f32";
    if (call->in[0].count == 0)
        return "x is empty";
    return NULL;
}

static size_t scratch(const soma__call *call)
{
    const soma__reduce_attrs *attrs = call->attrs;
    fold_pass passes[MOST_PASSES];
    int count = plan_passes(&call->in[0].shape, attrs->mask, false, passes);
    size_t bytes = 0; /* at least what fewer passes need */
    for (int i = 0; i + 1 < count; i++)
        bytes += (size_t)(passes[i].outer * passes[i].chunks * passes[i].inner) * sizeof(float);
    return bytes;
}

static void run(const soma__call *call, const soma__isa_table *isa, soma__fold fold, bool mean)
{
    const soma__reduce_attrs *attrs = call->attrs;
    fold_pass passes[MOST_PASSES];
    int count = plan_passes(&call->in[0].shape, attrs->mask, fold == SOMA__FOLD_PROD, passes);
    float *spare = call->scratch;
    fold_job job = {.isa = isa->reduce, .fold = fold, .x = call->in[0].data};
    for (int i = 0; i < count; i++) {
        const fold_pass *p = &passes[i];
        bool last = i + 1 == count;
        job.pass = *p;
        job.y = last ? call->out[0].data : spare;
        if (!last)
            spare += p->outer * p->chunks * p->inner;
        if (last && mean)
            job.divisor = (float)((double)call->in[0].count / (double)call->out[0].count);
        job.panels = (p->inner + UNIT_COLUMNS - 1) / UNIT_COLUMNS;
        job.units = p->outer * p->chunks * job.panels;
        int64_t elements = p->chunk * (p->inner < UNIT_COLUMNS ? p->inner : UNIT_COLUMNS);
        job.block_units = elements >= BLOCK ? 1 : BLOCK / elements;
        soma__parallel(call->pool, (job.units + job.block_units - 1) / job.block_units, fold_block,
                       &job);
        job.x = job.y;
    }
}

#define REDUCTION(name_, fold_, mean_)                                                             \
    const char *soma__refuses_##name_(const soma__call *call)                                      \
    {                                                                                              \
        return refuses(call);                                                                      \
    }                                                                                              \
    size_t soma__scratch_##name_(const soma__call *call, const soma__isa_table *isa, int threads)  \
    {                                                                                              \
        (void)isa;                                                                                 \
        (void)threads;                                                                             \
        return scratch(call);                                                                      \
    }                                                                                              \
    void soma__run_##name_(const soma__call *call, const soma__isa_table *isa)                     \
    {                                                                                              \
        run(call, isa, fold_, mean_);                                                              \
    }
REDUCTION(sum, SOMA__FOLD_SUM, false)
REDUCTION(mean, SOMA__FOLD_SUM, true)
REDUCTION(max, SOMA__FOLD_MAX, false)
REDUCTION(min, SOMA__FOLD_MIN, false)
REDUCTION(prod, SOMA__FOLD_PROD, false)

/* --- argmax, argmin
 * --------------------------------------------------------------------------------------- */

typedef struct arg_job {
    const struct soma__isa_reduce *isa;
    soma__fold fold;
    const float *x;
    int64_t *y;
    int64_t outer, size, inner, block_outer;
} arg_job;

static void arg_block(void *context, int64_t block, int worker)
{
    const arg_job *job = context;
    int64_t first = block * job->block_outer;
    int64_t end = first + job->block_outer < job->outer ? first + job->block_outer : job->outer;
    const float *x = job->x + first * job->size * job->inner;
    (void)worker;
    if (job->inner == 1)
        job->isa->arg_rows(job->fold, x, end - first, job->size, job->size, job->y + first);
    else
        for (int64_t o = first; o < end; o++, x += job->size * job->inner)
            job->isa->arg_columns(job->fold, x, job->size, job->inner, job->inner,
                                  job->y + o * job->inner);
}

static void run_arg(const soma__call *call, const soma__isa_table *isa, soma__fold fold)
{
    const soma__axis_attrs *attrs = call->attrs;
    const soma_shape *shape = &call->in[0].shape;
    arg_job job = {.isa = isa->reduce,
                   .fold = fold,
                   .x = call->in[0].data,
                   .y = call->out[0].data,
                   .size = shape->dim[attrs->axis]};
    soma__shape_around(shape, attrs->axis, &job.outer, &job.inner);
    int64_t elements = job.size * job.inner;
    job.block_outer = elements >= BLOCK ? 1 : BLOCK / elements;
    soma__parallel(call->pool, (job.outer + job.block_outer - 1) / job.block_outer, arg_block,
                   &job);
}

#define ARG(name_, fold_)                                                                          \
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
    }                                                                                              \
    void soma__run_##name_(const soma__call *call, const soma__isa_table *isa)                     \
    {                                                                                              \
        run_arg(call, isa, fold_);                                                                 \
    }
ARG(argmax, SOMA__FOLD_MAX)
ARG(argmin, SOMA__FOLD_MIN)
