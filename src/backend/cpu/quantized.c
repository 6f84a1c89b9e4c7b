/* quantized.c: matmul_integer and conv2d_integer, sums of products of bytes (integer.h).
 *
 *     y[row, o] = sum over k:  (left[row, k] - zero) · (right[k, o] - zero of o)
 *
 * A row is one of a's, or the pixels under the window of an output pixel, group by group. A task
 * copies a chunk of rows, which are short next to what is computed of them, into the form that
 * tiles want, and multiplies it with some panels of the right operand. Sums are exact, so blocks
 * may be cut as one likes. */
#include <string.h>

#include "backend/cpu/conv.h"
#include "backend/cpu/integer.h"

#define CHUNK_TILES 4 /* tiles of rows in a task */
#define TASKS 16      /* at least, where the work allows */

typedef struct job {
    soma__conv_sizes s; /* of a product: taps = 0 */
    int64_t rows, depth, cols, groups;
    int64_t out;            /* columns of y */
    int64_t places, panels; /* of 32 bits along the sum; of a group */
    int64_t chunk, chunks, panels_a_task, panel_tasks;
    bool quads;
    int zero;
    const int8_t *right_zero;
    int64_t right_zeros; /* 1 or `out` */
    /* Scratch, in floats. */
    size_t right_at, minus_at, private_at, private_size;
    const soma__call *call;
    const soma__isa_table *isa;
    float *scratch;
} job;

/* Everything that shapes decide; returns the floats of scratch. */
static size_t arrange(job *j, const soma__call *call, bool conv, bool quads,
                      const soma__isa_table *isa, int threads)
{
    const soma_shape *a = &call->in[0].shape, *b = &call->in[1].shape;
    const int64_t nr = isa->gemm->nr;
    *j = (job){.call = call, .isa = isa, .groups = 1, .quads = quads};
    if (conv) {
        j->s = soma__conv_read(call->attrs, a, b, &call->out[0].shape);
        j->groups = j->s.groups;
        j->depth = j->s.taps * j->s.group_c;
        j->cols = j->s.group_o;
    } else {
        j->depth = b->dim[0];
        j->cols = b->dim[1];
    }
    j->out = j->groups * j->cols;
    j->rows = j->out ? call->out[0].count / j->out : 0;
    j->places = soma__ceil_div(j->depth, quads ? 4 : 2);
    j->panels = soma__ceil_div(j->cols, nr);
    j->chunk = CHUNK_TILES * isa->gemm->mr;
    j->chunks = soma__ceil_div(j->rows, j->chunk);
    j->panels_a_task = j->panels;
    while (j->panels_a_task > 1 &&
           j->chunks * j->groups * soma__ceil_div(j->panels, j->panels_a_task) < TASKS)
        j->panels_a_task = soma__ceil_div(j->panels_a_task, 2);
    j->panel_tasks = soma__ceil_div(j->panels, soma__most(j->panels_a_task, 1));

    size_t shared = 0;
    j->right_at = soma__take(&shared, (size_t)(j->groups * j->panels * j->places * nr));
    j->minus_at = soma__take(&shared, (size_t)(j->groups * j->panels * nr));
    j->private_size = (size_t)((j->chunk * j->places + 15) & ~(int64_t)15);
    j->private_at = soma__take(&shared, j->private_size * (size_t)(threads < 1 ? 1 : threads));
    return shared;
}

static void pack_unit(void *context, int64_t unit, int worker)
{
    const job *j = context;
    const int64_t nr = j->isa->gemm->nr;
    (void)worker;
    int64_t group = unit / j->panels, col = unit % j->panels * nr, at = group * j->cols + col;
    const bool conv = j->s.taps > 0;
    const soma__integer_panel panel = {
        .from = (const int8_t *)j->call->in[1].data + (conv ? at * j->depth : at),
        .zero = j->right_zero + (j->right_zeros > 1 ? at : 0),
        .k_step = conv ? 1 : j->cols,
        .j_step = conv ? j->depth : 1,
        .zero_step = j->right_zeros > 1,
        .depth = j->depth,
        .cols = soma__least(nr, j->cols - col),
    };
    int32_t *to = (void *)(j->scratch + j->right_at + unit * j->places * nr);
    int32_t *minus = (void *)(j->scratch + j->minus_at + unit * nr);
    if (!j->quads) {
        j->isa->integer->pack_pairs(to, &panel);
        memset(minus, 0, (size_t)nr * sizeof *minus);
        return;
    }
    j->isa->integer->pack_quads(to, minus, &panel);
    for (int64_t i = 0; i < nr; i++)
        minus[i] = (int32_t)((uint32_t)minus[i] * (uint32_t)j->zero);
}

/* A stretch of `count` values of a row, from place `at` of it on; NULL: of zeros. */
static void put(const job *j, int32_t *row, int64_t at, const uint8_t *from, int64_t count)
{
    if (j->quads && from)
        memcpy((uint8_t *)(void *)row + at, from, (size_t)count);
    else if (j->quads)
        memset((uint8_t *)(void *)row + at, j->zero, (size_t)count);
    else if (from)
        j->isa->integer->widen((int16_t *)(void *)row + at, from, count, j->zero);
    else
        memset((int16_t *)(void *)row + at, 0, (size_t)count * sizeof(int16_t));
}

/* Row `index` of the group's left operand. What is beyond its end meets zeros on the right. */
static void put_row(const job *j, int64_t group, int64_t index, int32_t *row)
{
    const soma__conv_sizes *s = &j->s;
    const uint8_t *a = j->call->in[0].data;
    row[j->places - 1] = 0;
    if (s->taps == 0) {
        put(j, row, 0, a + index * j->depth, j->depth);
        return;
    }
    int64_t at = 0, col = index % s->Wo, line = index / s->Wo;
    int64_t image = line / s->Ho, h0 = line % s->Ho * s->stride[0] - s->pad[0];
    for (int64_t u = 0; u < s->kernel[0]; u++)
        for (int64_t v = 0; v < s->kernel[1]; v++, at += s->group_c) {
            int64_t h = h0 + u * s->dilation[0];
            int64_t w = col * s->stride[1] - s->pad[1] + v * s->dilation[1];
            bool inside = h >= 0 && h < s->H && w >= 0 && w < s->W;
            int64_t pixel = (image * s->H + h) * s->W + w;
            put(j, row, at, inside ? a + pixel * s->C + group * s->group_c : NULL, s->group_c);
        }
}

static void product_unit(void *context, int64_t unit, int worker)
{
    const job *j = context;
    const int64_t mr = j->isa->gemm->mr, nr = j->isa->gemm->nr;
    int32_t *left = (void *)(j->scratch + j->private_at + (size_t)worker * j->private_size);
    int64_t part = unit % j->panel_tasks, first = unit / j->panel_tasks % j->chunks * j->chunk;
    int64_t group = unit / j->panel_tasks / j->chunks;
    int64_t count = soma__least(j->chunk, j->rows - first);
    for (int64_t i = 0; i < count; i++)
        put_row(j, group, first + i, left + i * j->places);
    int64_t panel = part * j->panels_a_task;
    const int64_t end = soma__least(panel + j->panels_a_task, j->panels);
    int32_t *y = (int32_t *)j->call->out[0].data + first * j->out + group * j->cols;
    for (; panel < end; panel++) {
        const int64_t at = group * j->panels + panel;
        soma__integer_tile tile = {
            .cols = soma__least(nr, j->cols - panel * nr),
            .length = j->places,
            .right = (const void *)(j->scratch + j->right_at + at * j->places * nr),
            .left_step = j->places,
            .minus = (const void *)(j->scratch + j->minus_at + at * nr),
            .c_step = j->out,
        };
        for (int64_t i = 0; i < count; i += mr) {
            tile.rows = soma__least(mr, count - i);
            tile.left = left + i * j->places;
            tile.c = y + i * j->out + panel * nr;
            (j->quads ? j->isa->integer->tile_quads : j->isa->integer->tile_pairs)(&tile);
        }
    }
}

static void run(const soma__call *call, bool conv, const soma__isa_table *isa)
{
    const soma__view *zero = &call->in[3];
    bool quads = isa->integer->quads;
    for (int64_t i = 0; i < zero->count; i++)
        quads = quads && ((const int8_t *)zero->data)[i] == 0;
    job j;
    arrange(&j, call, conv, quads, isa, soma__pool_threads(call->pool));
    if (call->out[0].count == 0)
        return;
    if (j.depth == 0) {
        memset(call->out[0].data, 0, (size_t)call->out[0].count * sizeof(int32_t));
        return;
    }
    j.scratch = call->scratch;
    j.zero = *(const uint8_t *)call->in[2].data;
    j.right_zero = zero->data;
    j.right_zeros = zero->count;
    soma__parallel(call->pool, j.groups * j.panels, pack_unit, &j);
    soma__parallel(call->pool, j.groups * j.chunks * j.panel_tasks, product_unit, &j);
}

/* The rule of the op has checked everything. */
#define ROW(name_, conv_)                                                                          \
    const char *soma__refuses_##name_(const soma__call *call)                                      \
    {                                                                                              \
        (void)call;                                                                                \
        return NULL;                                                                               \
    }                                                                                              \
    size_t soma__scratch_##name_(const soma__call *call, const soma__isa_table *isa, int threads)  \
    {                                                                                              \
        job j;                                                                                     \
        return arrange(&j, call, conv_, false, isa, threads) * sizeof(float); /* the larger */     \
    }                                                                                              \
    void soma__run_##name_(const soma__call *call, const soma__isa_table *isa)                     \
    {                                                                                              \
        run(call, conv_, isa);                                                                     \
    }
ROW(matmul_integer, false)
ROW(conv2d_integer, true)
