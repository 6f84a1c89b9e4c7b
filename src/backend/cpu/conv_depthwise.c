/* conv_depthwise.c: convolutions in which every channel has its own kernel. There is no sum over
 * channels to make a product of, so vectors run along the channels, and a cell's sum over the taps
 * stays in a register. The weight [C,kh,kw,1] is turned to [kh·kw,C] first, by the call or
 * before it (call->prepared).
 *
 * The input gradient is the same sum, over the taps that hit a whole stride: those are the same for
 * all columns of one residue modulo the stride, so a row is taken residue by residue. In columns j
 * of a class (the only one when going forward) forward     y  column j                     reads x
 * column j·stride + v·dilation - pad input grad  dx column residue + j·stride    reads dy column j
 * + (residue + pad - v·dilation) / stride
 */
#include <string.h>

#include "backend/cpu/conv.h"
#include "backend/cpu/fused.h"

#define PARTS 32
#define COPY_VALUES (4 << 20)
#define TAPS_AT_ONCE 4 /* of the weight gradient */

/* A tap as one row of results sees it: its columns [first, end) read `row` at j·scale + at. */
typedef struct row_tap {
    const float *row, *weight;
    int64_t at, first, end;
} row_tap;

typedef struct depthwise {
    const soma__conv_sizes *s;
    const soma__call *call;
    const soma__isa_table *isa;
    bool forward;
    int64_t src_size[2], dst_size[2], scale[2], step[2];
    float *weight, *private;
    const float *turned; /* the weight, [kh·kw,C] */
    size_t private_size, private_tables,
        private_row; /* floats of one thread, where its parts are */
    int64_t parts, part_rows;
} depthwise;

/* The turned weight; for each thread the taps of a row, pointers to them, and with an epilogue a
 * row of output pixels. */
static size_t arrange(depthwise *g, const soma__conv_sizes *s, bool epilogue, int threads)
{
    size_t shared = 0, private = 0;
    soma__take(&shared, (size_t)(s->taps * s->C));
    soma__take(&private, soma__floats_of(s->taps, sizeof(row_tap)));
    g->private_tables = soma__take(&private, soma__floats_of(2 * s->taps, sizeof(const float *)));
    g->private_row = soma__take(&private, epilogue ? (size_t)(s->Wo * s->C) : 0);
    g->private_size = private;
    size_t at = soma__take(&shared, private * (size_t)(threads < 1 ? 1 : threads));
    g->private = g->weight ? g->weight + at : NULL;
    return shared;
}

size_t soma__depthwise_scratch(const soma__conv_sizes *s, bool epilogue, int threads)
{
    depthwise g = {0};
    return arrange(&g, s, epilogue, threads) * sizeof(float);
}

/* The source row under kernel row u of destination row `row` (of all images), or -1. */
static int64_t source_row(const depthwise *g, int64_t row, int64_t u)
{
    const soma__conv_sizes *s = g->s;
    int64_t at = row % g->dst_size[0], image = row / g->dst_size[0];
    if (g->forward) {
        at = at * s->stride[0] - s->pad[0] + u * s->dilation[0];
    } else {
        at += s->pad[0] - u * s->dilation[0];
        if (at % s->stride[0] != 0)
            return -1;
        at /= s->stride[0];
    }
    return at >= 0 && at < g->src_size[0] ? image * g->src_size[0] + at : -1;
}

/* The taps of the columns of a row that are `residue` modulo the step, `count` of them. */
static int64_t list_taps(const depthwise *g, int64_t row, int64_t residue, int64_t count,
                         row_tap *taps)
{
    const soma__conv_sizes *s = g->s;
    const float *src = g->call->in[0].data;
    int64_t used = 0;
    for (int64_t t = 0; t < s->taps; t++) {
        int64_t from = source_row(g, row, t / s->kernel[1]);
        int64_t at = t % s->kernel[1] * s->dilation[1] - s->pad[1];
        if (!g->forward) {
            at = residue - at;
            if (at % s->stride[1] != 0)
                continue;
            at /= s->stride[1];
        }
        if (from < 0)
            continue;
        row_tap *tap = &taps[used];
        *tap = (row_tap){
            .row = src + from * g->src_size[1] * s->C, .weight = g->turned + t * s->C, .at = at};
        soma__conv_valid(at, g->scale[1], g->src_size[1], count, &tap->first, &tap->end);
        used += tap->first < tap->end;
    }
    return used;
}

/* One row of results: the columns in the middle, which all taps see, are one run, each of the
 * others is one of its own with the taps that it has. */
static void row_unit(void *context, int64_t row, int worker)
{
    const depthwise *g = context;
    const soma__conv_sizes *s = g->s;
    float *private = g->private + (size_t)worker * g->private_size;
    row_tap *taps = (void *)private;
    const float **from = (void *)(private + g->private_tables), **weight = from + s->taps;
    const bool epilogue = g->call->program != NULL;
    const int64_t width = g->dst_size[1];
    float *dst =
        epilogue ? private + g->private_row : (float *)g->call->out[0].data + row * width * s->C;
    for (int64_t residue = 0; residue < g->step[1] && residue < width; residue++) {
        int64_t columns = soma__ceil_div(width - residue, g->step[1]);
        int64_t count = list_taps(g, row, residue, columns, taps), lo = 0, hi = columns;
        for (int64_t t = 0; t < count; t++) {
            lo = taps[t].first > lo ? taps[t].first : lo;
            hi = soma__least(taps[t].end, hi);
        }
        for (int64_t j = 0; j < columns;) {
            int64_t run = j == lo && hi > lo ? hi - lo : 1, used = 0;
            for (int64_t t = 0; t < count; t++)
                if (j >= taps[t].first && j < taps[t].end) {
                    from[used] = taps[t].row + (j * g->scale[1] + taps[t].at) * s->C;
                    weight[used++] = taps[t].weight;
                }
            g->isa->gemm->depthwise(dst + (residue + j * g->step[1]) * s->C, g->step[1] * s->C,
                                    from, weight, used, g->scale[1] * s->C, run, s->C);
            j += run;
        }
    }
    if (epilogue)
        soma__epilogue_run(g->call, g->isa, dst, s->C, row * s->Wo, s->Wo, 0, s->C);
}

static void run_rows(const soma__conv_sizes *s, const soma__call *call, const soma__isa_table *isa,
                     bool forward)
{
    depthwise g = {.s = s, .call = call, .isa = isa, .forward = forward, .weight = call->scratch};
    const int64_t x_size[2] = {s->H, s->W}, y_size[2] = {s->Ho, s->Wo};
    for (int d = 0; d < 2; d++) {
        g.src_size[d] = forward ? x_size[d] : y_size[d];
        g.dst_size[d] = forward ? y_size[d] : x_size[d];
        g.scale[d] = forward ? s->stride[d] : 1;
        g.step[d] = forward ? 1 : s->stride[d];
    }
    arrange(&g, s, call->program != NULL, soma__pool_threads(call->pool));
    g.turned = call->prepared ? call->prepared : g.weight;
    if (!call->prepared)
        isa->gemm->transpose(g.weight, s->C, call->in[1].data, s->taps, s->C, s->taps);
    soma__parallel(call->pool, s->N * g.dst_size[0], row_unit, &g);
}

void soma__depthwise_forward(const soma__conv_sizes *s, const soma__call *call,
                             const soma__isa_table *isa)
{
    run_rows(s, call, isa, true);
}

void soma__depthwise_input_grad(const soma__conv_sizes *s, const soma__call *call,
                                const soma__isa_table *isa)
{
    run_rows(s, call, isa, false);
}

/* --- weight gradient ----------------------------------------------------------------------------
 */

/* The rows of y are cut into parts by shape; each part has its own sums [taps,C]. */
static int64_t cut_parts(const soma__conv_sizes *s)
{
    int64_t parts = soma__least(PARTS, s->N * s->Ho);
    parts = soma__least(parts, COPY_VALUES / (s->taps * s->C));
    return parts < 1 ? 1 : parts;
}

size_t soma__depthwise_weight_scratch(const soma__conv_sizes *s)
{
    return (size_t)(cut_parts(s) * s->taps * s->C) * sizeof(float);
}

/* Adds what columns [j, end) of y's row give to `count` taps. */
static void add_columns(const depthwise *g, float *const *sums, const row_tap *taps, int64_t count,
                        const float *dy, int64_t j, int64_t end)
{
    const soma__conv_sizes *s = g->s;
    const float *from[TAPS_AT_ONCE];
    if (j >= end)
        return;
    for (int64_t t = 0; t < count; t++)
        from[t] = taps[t].row + (j * s->stride[1] + taps[t].at) * s->C;
    g->isa->gemm->depthwise_sum(sums, from, count, s->stride[1] * s->C, dy + j * s->C, s->C,
                                end - j, s->C);
}

/* Taps [v, v + count) of kernel row u: together where all of them see the image, else alone. */
static void add_taps(const depthwise *g, float *sums, int64_t row, int64_t u, int64_t v,
                     int64_t count)
{
    const soma__conv_sizes *s = g->s;
    const float *x = g->call->in[0].data;
    const float *dy = (const float *)g->call->in[1].data + row * s->Wo * s->C;
    int64_t from = source_row(g, row, u), lo = 0, hi = s->Wo;
    row_tap taps[TAPS_AT_ONCE];
    float *to[TAPS_AT_ONCE];
    if (from < 0)
        return;
    for (int64_t t = 0; t < count; t++) {
        to[t] = sums + (u * s->kernel[1] + v + t) * s->C;
        taps[t] =
            (row_tap){.row = x + from * s->W * s->C, .at = (v + t) * s->dilation[1] - s->pad[1]};
        soma__conv_valid(taps[t].at, s->stride[1], s->W, s->Wo, &taps[t].first, &taps[t].end);
        lo = taps[t].first > lo ? taps[t].first : lo;
        hi = soma__least(taps[t].end, hi);
    }
    if (lo >= hi)
        lo = hi = 0;
    add_columns(g, to, taps, count, dy, lo, hi);
    for (int64_t t = 0; t < count; t++) {
        add_columns(g, to + t, taps + t, 1, dy, taps[t].first, hi > lo ? lo : taps[t].end);
        if (hi > lo)
            add_columns(g, to + t, taps + t, 1, dy, hi, taps[t].end);
    }
}

static void weight_part(void *context, int64_t part, int worker)
{
    const depthwise *g = context;
    const soma__conv_sizes *s = g->s;
    (void)worker;
    float *sums = g->weight + part * s->taps * s->C;
    int64_t end_row = soma__least((part + 1) * g->part_rows, s->N * s->Ho);
    memset(sums, 0, (size_t)(s->taps * s->C) * sizeof(float));
    for (int64_t row = part * g->part_rows; row < end_row; row++)
        for (int64_t u = 0; u < s->kernel[0]; u++)
            for (int64_t v = 0; v < s->kernel[1]; v += TAPS_AT_ONCE)
                add_taps(g, sums, row, u, v, soma__least(TAPS_AT_ONCE, s->kernel[1] - v));
}

void soma__depthwise_weight_grad(const soma__conv_sizes *s, const soma__call *call,
                                 const soma__isa_table *isa)
{
    depthwise g = {.s = s,
                   .call = call,
                   .isa = isa,
                   .forward = true,
                   .src_size = {s->H, s->W},
                   .dst_size = {s->Ho, s->Wo},
                   .weight = call->scratch};
    g.parts = cut_parts(s);
    g.part_rows = soma__ceil_div(s->N * s->Ho, g.parts);
    soma__parallel(call->pool, g.parts, weight_part, &g);
    for (int64_t part = 1; part < g.parts; part++)
        isa->gemm->accumulate(g.weight, g.weight + part * s->taps * s->C, s->taps * s->C);
    isa->gemm->transpose(call->out[0].data, s->taps, g.weight, s->C, s->taps, s->C);
}
