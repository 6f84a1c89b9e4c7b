/* rotary.c: pairs of values turned by the angles of their steps, f32: a table of all angles, then
 * one pass over x. */
#include <math.h>

#include "backend/cpu/isa.h"
#include "base/pool.h"
#include "ops/attrs.h"

#define BLOCK 16384 /* values of a task */

typedef struct job {
    const soma__call *call;
    const soma__rotary_attrs *attrs;
    int64_t steps, heads, half; /* of x [batch,steps,heads,2 half] */
    float *turn;                /* [steps,2,half]: cosines and sines */
    int64_t rows, block_rows;
} job;

static job start(const soma__call *call)
{
    const soma_shape *x = &call->in[0].shape;
    job j = {.call = call,
             .attrs = call->attrs,
             .steps = x->dim[1],
             .heads = x->dim[2],
             .half = x->dim[3] / 2,
             .turn = call->scratch,
             .rows = x->dim[0] * x->dim[1] * x->dim[2]};
    j.block_rows = x->dim[3] >= BLOCK ? 1 : BLOCK / x->dim[3];
    return j;
}

static void table_block(void *context, int64_t t, int worker)
{
    const job *j = context;
    float *turn = j->turn + t * 2 * j->half;
    (void)worker;
    for (int64_t i = 0; i < j->half; i++) {
        const double step = (double)(t + j->attrs->offset);
        const double angle = step * pow(j->attrs->base, -(double)i / (double)j->half);
        turn[i] = (float)cos(angle);
        turn[j->half + i] = (float)(j->attrs->inverse ? -sin(angle) : sin(angle));
    }
}

/* Pairs lie `apart`, and from one to the next is `step`. */
static void turn_row(const float *x, float *y, const float *turn, int64_t half, int64_t apart,
                     int64_t step)
{
    for (int64_t i = 0; i < half; i++) {
        const float a = x[i * step], b = x[i * step + apart];
        y[i * step] = a * turn[i] - b * turn[half + i];
        y[i * step + apart] = b * turn[i] + a * turn[half + i];
    }
}

static void rotary_block(void *context, int64_t block, int worker)
{
    const job *j = context;
    const float *x = j->call->in[0].data;
    float *y = j->call->out[0].data;
    const int64_t width = 2 * j->half;
    (void)worker;
    for (int64_t r = block * j->block_rows; r < (block + 1) * j->block_rows && r < j->rows; r++) {
        const float *turn = j->turn + r / j->heads % j->steps * width;
        if (j->attrs->interleaved)
            turn_row(x + r * width, y + r * width, turn, j->half, 1, 2);
        else
            turn_row(x + r * width, y + r * width, turn, j->half, j->half, 1);
    }
}

const char *soma__refuses_rotary(const soma__call *call)
{
    if (call->in[0].dtype != SOMA_F32)
        return "the dtype is not f32";
    return call->in[0].count == 0 ? "x is empty" : NULL;
}

size_t soma__scratch_rotary(const soma__call *call, const soma__isa_table *isa, int threads)
{
    (void)isa;
    (void)threads;
    const job j = start(call);
    return (size_t)(j.steps * 2 * j.half) * sizeof(float);
}

void soma__run_rotary(const soma__call *call, const soma__isa_table *isa)
{
    job j = start(call);
    (void)isa;
    soma__parallel(call->pool, j.steps, table_block, &j);
    soma__parallel(call->pool, (j.rows + j.block_rows - 1) / j.block_rows, rotary_block, &j);
}
