/* conv_depthwise.c: convolutions in which every channel has its own kernel. There is no sum over
 * channels to make a product of, so vectors run along the channels and each tap of a pixel is one
 * multiply-add of a row of channels. The weight [C,kh,kw,1] is turned to [kh·kw,C] first. */
#include <string.h>

#include "backend/cpu/conv.h"
#include "backend/cpu/fused.h"

#define PARTS 32
#define COPY_VALUES (4 << 20)

typedef struct depthwise {
    const soma__conv_sizes *s;
    const soma__call *call;
    const soma__isa_table *isa;
    float *weight, *staged;
    int64_t parts, part_rows;
    size_t row_floats;
} depthwise;

static size_t padded(int64_t floats)
{
    return ((size_t)floats + 15) & ~(size_t)15;
}

/* The turned weight, and with an epilogue a row of output pixels for each thread. */
size_t soma__depthwise_scratch(const soma__conv_sizes *s, bool epilogue, int threads)
{
    size_t rows = epilogue ? padded(s->Wo * s->C) * (size_t)(threads < 1 ? 1 : threads) : 0;
    return (padded(s->taps * s->C) + rows) * sizeof(float);
}

/* One row of the output. */
static void forward_row(void *context, int64_t row, int worker)
{
    const depthwise *g = context;
    const soma__conv_sizes *s = g->s;
    const float *x = g->call->in[0].data;
    const bool epilogue = g->call->program != NULL;
    float *y = epilogue ? g->staged + (size_t)worker * g->row_floats
                        : (float *)g->call->out[0].data + row * s->Wo * s->C;
    memset(y, 0, (size_t)(s->Wo * s->C) * sizeof(float));
    for (int64_t t = 0; t < s->taps; t++) {
        int64_t h = row % s->Ho * s->stride[0] - s->pad[0] + t / s->kernel[1] * s->dilation[0];
        int64_t at = t % s->kernel[1] * s->dilation[1] - s->pad[1], first, end;
        if (h < 0 || h >= s->H)
            continue;
        soma__conv_valid(at, s->stride[1], s->W, s->Wo, &first, &end);
        const float *from = x + (row / s->Ho * s->H + h) * s->W * s->C;
        for (int64_t j = first; j < end; j++)
            g->isa->gemm->multiply_add(y + j * s->C, from + (j * s->stride[1] + at) * s->C,
                                       g->weight + t * s->C, s->C);
    }
    if (epilogue)
        soma__epilogue_run(g->call, g->isa, y, s->C, row * s->Wo, s->Wo, 0, s->C);
}

/* One row of dx: gathers from the rows of dy that read it. */
static void input_grad_row(void *context, int64_t row, int worker)
{
    const depthwise *g = context;
    const soma__conv_sizes *s = g->s;
    const float *dy = g->call->in[0].data;
    (void)worker;
    float *dx = (float *)g->call->out[0].data + row * s->W * s->C;
    memset(dx, 0, (size_t)(s->W * s->C) * sizeof(float));
    for (int64_t t = 0; t < s->taps; t++) {
        int64_t i = row % s->H + s->pad[0] - t / s->kernel[1] * s->dilation[0];
        int64_t at = t % s->kernel[1] * s->dilation[1] - s->pad[1], first, end;
        if (i < 0 || i % s->stride[0] != 0 || i / s->stride[0] >= s->Ho)
            continue;
        soma__conv_valid(at, s->stride[1], s->W, s->Wo, &first, &end);
        const float *from = dy + (row / s->H * s->Ho + i / s->stride[0]) * s->Wo * s->C;
        for (int64_t j = first; j < end; j++)
            g->isa->gemm->multiply_add(dx + (j * s->stride[1] + at) * s->C, from + j * s->C,
                                       g->weight + t * s->C, s->C);
    }
}

static void start(depthwise *g, const soma__conv_sizes *s, const soma__call *call,
                  const soma__isa_table *isa)
{
    *g = (depthwise){.s = s, .call = call, .isa = isa, .weight = call->scratch};
    g->row_floats = padded(s->Wo * s->C);
    g->staged = g->weight + padded(s->taps * s->C);
    isa->gemm->transpose(g->weight, s->C, call->in[1].data, s->taps, s->C, s->taps);
}

void soma__depthwise_forward(const soma__conv_sizes *s, const soma__call *call,
                             const soma__isa_table *isa)
{
    depthwise g;
    start(&g, s, call, isa);
    soma__parallel(call->pool, s->N * s->Ho, forward_row, &g);
}

void soma__depthwise_input_grad(const soma__conv_sizes *s, const soma__call *call,
                                const soma__isa_table *isa)
{
    depthwise g;
    start(&g, s, call, isa);
    soma__parallel(call->pool, s->N * s->H, input_grad_row, &g);
}

/* --- weight gradient ----------------------------------------------------------------------------
 */

/* The rows of y are cut into parts by shape; each part has its own sums [taps,C]. */
static int64_t cut_parts(const soma__conv_sizes *s)
{
    int64_t parts = soma__conv_least(PARTS, s->N * s->Ho);
    parts = soma__conv_least(parts, COPY_VALUES / (s->taps * s->C));
    return parts < 1 ? 1 : parts;
}

size_t soma__depthwise_weight_scratch(const soma__conv_sizes *s)
{
    return (size_t)(cut_parts(s) * s->taps * s->C) * sizeof(float);
}

static void weight_part(void *context, int64_t part, int worker)
{
    const depthwise *g = context;
    const soma__conv_sizes *s = g->s;
    const float *x = g->call->in[0].data, *dy = g->call->in[1].data;
    (void)worker;
    float *sums = g->weight + part * s->taps * s->C;
    int64_t end_row = soma__conv_least((part + 1) * g->part_rows, s->N * s->Ho);
    memset(sums, 0, (size_t)(s->taps * s->C) * sizeof(float));
    for (int64_t row = part * g->part_rows; row < end_row; row++)
        for (int64_t t = 0; t < s->taps; t++) {
            int64_t h = row % s->Ho * s->stride[0] - s->pad[0] + t / s->kernel[1] * s->dilation[0];
            int64_t at = t % s->kernel[1] * s->dilation[1] - s->pad[1], first, end;
            if (h < 0 || h >= s->H)
                continue;
            soma__conv_valid(at, s->stride[1], s->W, s->Wo, &first, &end);
            const float *from = x + (row / s->Ho * s->H + h) * s->W * s->C;
            for (int64_t j = first; j < end; j++)
                g->isa->gemm->multiply_add(sums + t * s->C, from + (j * s->stride[1] + at) * s->C,
                                           dy + (row * s->Wo + j) * s->C, s->C);
        }
}

void soma__depthwise_weight_grad(const soma__conv_sizes *s, const soma__call *call,
                                 const soma__isa_table *isa)
{
    depthwise g = {.s = s, .call = call, .isa = isa, .weight = call->scratch};
    g.parts = cut_parts(s);
    g.part_rows = soma__conv_ceil_div(s->N * s->Ho, g.parts);
    soma__parallel(call->pool, g.parts, weight_part, &g);
    for (int64_t part = 1; part < g.parts; part++)
        isa->gemm->accumulate(g.weight, g.weight + part * s->taps * s->C, s->taps * s->C);
    isa->gemm->transpose(call->out[0].data, s->taps, g.weight, s->C, s->taps, s->C);
}
