/* conv_planes.c: convolutions of few channels, from planes.
 *
 * With few channels in, a pixel is a short run of memory, and to gather the pixels under the taps
 * costs as much as to multiply them. With few channels out, vectors along them are mostly empty.
 * So a task first copies the source rows that a band of destination rows sees into planes, one for
 * each channel, with zeros where they leave the image. There the pixels that neighbours see under
 * one tap are neighbours as well, and whatever a tile (gemm.h) wants is in place:
 *
 *     along    tile rows pixels, columns channels out:  left = planes,  right = weights
 *     across   tile rows channels out, columns pixels:  left = weights, right = planes
 *
 * Across fills its vectors with pixels; its tiles are turned when they are done. Steps of a strided
 * convolution have planes of their own: pixel q of phase p is column q·stride + p.
 *
 *     forward     source row = i·stride + u·dilation - pad
 *     input grad  source row = i + pad - u·dilation           stride 1 only
 */
#include <string.h>

#include "backend/cpu/conv.h"
#include "backend/cpu/fused.h"

#define NARROW 8           /* channels in: fewer are better copied into planes than gathered */
#define MOST_STRIDE 4      /* each step has planes */
#define LEAST_ALONG 6      /* pixels of a row: fewer do not fill a tile along */
#define BAND_FLOATS 16384  /* of planes and of results of one task: both stay in L2 */
#define MOST_PLANES 131072 /* floats of the planes that a single row needs */
#define TASKS 32           /* as many as keep many threads busy, where the work allows */
#define LEAST_BAND 4       /* rows, where they are cut only for the sake of tasks */

typedef struct planes {
    soma__conv_sizes s;
    bool forward, across, epilogue;
    int64_t src_size[2], dst_size[2], in, out, stride[2];
    int64_t least[2];              /* of what the taps add to a position */
    int64_t pitch, length;         /* of a row of a plane: floats, and pixels that are used */
    int64_t rows, plane;           /* rows of a phase; floats from a channel to the next */
    int64_t band, bands;           /* destination rows of a task; tasks of an image */
    int64_t width, panels, depth;  /* of the packed weights: [panel][depth][width] */
    int64_t height;                /* rows of a tile */
    size_t weights_at, private_at; /* scratch, in floats */
    size_t private_planes, private_block, private_segments, private_size;
    const soma__call *call;
    const soma__isa_table *isa;
    float *scratch;
    float *packed;        /* where pack_unit writes */
    const float *weights; /* all panels */
} planes;

/* What tap row or column `cell` adds to a position, of dimension `d`. */
static int64_t reach(const planes *g, int d, int64_t cell)
{
    int64_t at = cell * g->s.dilation[d];
    return g->forward ? at - g->s.pad[d] : g->s.pad[d] - at;
}

static void set_sizes(planes *g, const soma__conv_sizes *s, bool forward)
{
    const int64_t x_size[2] = {s->H, s->W}, y_size[2] = {s->Ho, s->Wo};
    *g = (planes){.s = *s, .forward = forward};
    for (int d = 0; d < 2; d++) {
        g->src_size[d] = forward ? x_size[d] : y_size[d];
        g->dst_size[d] = forward ? y_size[d] : x_size[d];
        g->stride[d] = s->stride[d];
        g->least[d] = reach(g, d, forward ? 0 : s->kernel[d] - 1);
    }
    g->in = forward ? s->C : s->O;
    g->out = forward ? s->O : s->C;
    g->depth = s->taps * g->in;
    int64_t last = (s->kernel[1] - 1) * s->dilation[1] / g->stride[1];
    g->length = g->dst_size[1] + last;
    g->pitch = (g->length + 3) / 4 * 4;
}

/* Floats of the planes that `band` destination rows need; sets rows and plane. */
static int64_t size_planes(planes *g, int64_t band)
{
    g->rows = (band - 1) * g->stride[0] + (g->s.kernel[0] - 1) * g->s.dilation[0] + 1;
    g->plane = g->stride[1] * g->rows * g->pitch;
    /* Planes a power of two apart would share a few sets of L1. */
    g->plane = (g->plane / 16 | 1) * 16 + (g->plane % 16 ? 32 : 0);
    return g->in * g->plane;
}

/* Multiply-adds of vectors for one row of results and one value of k. */
static int64_t cost_along(const planes *g, const soma__isa_table *isa)
{
    return g->dst_size[1] * soma__ceil_div(g->out, isa->width);
}
static int64_t cost_across(const planes *g, const soma__isa_table *isa)
{
    return g->out * soma__ceil_div(g->dst_size[1], isa->width);
}

bool soma__conv_suits_planes(const soma__conv_sizes *s, bool forward, const soma__isa_table *isa)
{
    planes g;
    if (s->groups != 1 || s->taps == 1 || s->C == 0 || s->O == 0)
        return false;
    if (s->stride[0] > MOST_STRIDE || s->stride[1] > MOST_STRIDE ||
        (!forward && (s->stride[0] > 1 || s->stride[1] > 1)))
        return false;
    set_sizes(&g, s, forward);
    if (size_planes(&g, 1) > MOST_PLANES)
        return false;
    int64_t along = cost_along(&g, isa), across = cost_across(&g, isa);
    /* Many channels in are gathered at no cost: then across must be much better. */
    if (g.in < NARROW)
        return across < along || g.dst_size[1] >= LEAST_ALONG;
    return 4 * across <= 3 * along;
}

/* Everything that the shape decides; returns the floats of scratch. */
static size_t arrange(planes *g, const soma__conv_sizes *s, bool forward, bool epilogue,
                      const soma__isa_table *isa, int threads)
{
    const int64_t mr = isa->gemm->mr, nr = isa->gemm->nr;
    set_sizes(g, s, forward);
    g->isa = isa;
    g->epilogue = epilogue;
    g->across = cost_across(g, isa) < cost_along(g, isa);
    int64_t cells = g->across ? g->out : g->dst_size[1]; /* that are rows of tiles */
    g->height = soma__ceil_div(cells, soma__ceil_div(cells, mr));
    g->width = g->across ? g->height : nr;
    g->panels = soma__ceil_div(g->out, g->width);

    const int64_t row = g->dst_size[1] * g->out;
    g->band = g->dst_size[0];
    for (;;) {
        g->bands = soma__ceil_div(g->dst_size[0], g->band);
        bool fits = size_planes(g, g->band) <= BAND_FLOATS && g->band * row <= BAND_FLOATS;
        bool enough = g->bands * s->N >= TASKS || g->band <= LEAST_BAND;
        if (g->band == 1 || (fits && enough))
            break;
        g->band = soma__ceil_div(g->band, 2);
    }

    size_t shared = 0, private = 0;
    g->weights_at = soma__take(&shared, (size_t)(g->panels * g->depth * g->width));
    g->private_planes = soma__take(&private, (size_t)(g->in * g->plane));
    g->private_block = soma__take(&private, epilogue ? (size_t)(g->band * row) : 0);
    g->private_segments =
        soma__take(&private, (size_t)s->taps * sizeof(soma__gemm_segment) / sizeof(float));
    g->private_size = private;
    g->private_at = soma__take(&shared, private * (size_t)(threads < 1 ? 1 : threads));
    return shared;
}

/* One panel of the weights: [taps · in][width]. */
static void pack_unit(void *context, int64_t panel, int worker)
{
    const planes *g = context;
    const soma__conv_sizes *s = &g->s;
    const soma__isa_gemm *gemm = g->isa->gemm;
    const float *w = g->call->in[1].data;
    int64_t first = panel * g->width, count = soma__least(g->width, g->out - first);
    float *to = g->packed + panel * g->depth * g->width;
    (void)worker;
    if (g->forward) {
        const float *rows[SOMA__GEMM_MAX_NR];
        for (int64_t o = 0; o < count; o++)
            rows[o] = w + (first + o) * g->depth;
        gemm->pack_rows(to, g->width, rows, count, g->depth);
    } else {
        for (int64_t t = 0; t < s->taps; t++)
            gemm->pack_cols(to + t * g->in * g->width, g->width, w + t * s->C + first,
                            s->taps * s->C, count, g->in);
    }
}

/* Fills row `r` of the planes of one phase from source row h of an image, or with zeros. */
static void fill_row(const planes *g, const float *image, int64_t h, int64_t phase, float *to)
{
    int64_t first = 0, end = 0, at = phase + g->least[1];
    if (h >= 0 && h < g->src_size[0])
        soma__conv_valid(at, g->stride[1], g->src_size[1], g->length, &first, &end);
    if (first < end)
        g->isa->gemm->transpose(to + first, g->plane,
                                image + (h * g->src_size[1] + first * g->stride[1] + at) * g->in,
                                g->stride[1] * g->in, end - first, g->in);
    for (int64_t c = 0; c < g->in; c++, to += g->plane) {
        memset(to, 0, (size_t)first * sizeof(float));
        memset(to + end, 0, (size_t)(g->length - end) * sizeof(float));
    }
}

/* The planes of destination rows [row, row + band) of an image. */
static void fill(const planes *g, const float *image, int64_t row, int64_t band, float *to)
{
    int64_t rows = (band - 1) * g->stride[0] + (g->s.kernel[0] - 1) * g->s.dilation[0] + 1;
    for (int64_t phase = 0; phase < g->stride[1]; phase++) {
        bool used = false;
        for (int64_t v = 0; v < g->s.kernel[1] && !used; v++)
            used = v * g->s.dilation[1] % g->stride[1] == phase;
        for (int64_t r = 0; r < rows && used; r++)
            fill_row(g, image, row * g->stride[0] + g->least[0] + r, phase,
                     to + (phase * g->rows + r) * g->pitch);
    }
}

/* The taps of row i of a band, as segments: planes on the side that takes pixels. */
static void make_segments(const planes *g, const float *from, int64_t i,
                          soma__gemm_segment *segment)
{
    const soma__conv_sizes *s = &g->s;
    for (int64_t t = 0; t < s->taps; t++, segment++) {
        int64_t u = reach(g, 0, t / s->kernel[1]) - g->least[0];
        int64_t v = reach(g, 1, t % s->kernel[1]) - g->least[1];
        int64_t row = v % g->stride[1] * g->rows + i * g->stride[0] + u;
        const float *pixels = from + row * g->pitch + v / g->stride[1];
        const float *weight = g->weights + t * g->in * g->width;
        *segment = (soma__gemm_segment){.left = g->across ? weight : pixels,
                                        .right = g->across ? pixels : weight,
                                        .length = g->in};
    }
}

/* One row of results, [pixels][out]. */
static void row_along(const planes *g, const soma__gemm_tile *taps, float *to)
{
    soma__gemm_tile tile = *taps;
    tile.left_step = g->plane;
    tile.right_step = g->width;
    tile.c_step = g->out;
    for (int64_t p = 0; p < g->panels; p++) {
        tile.cols = soma__least(g->width, g->out - p * g->width);
        tile.right_at = p * g->depth * g->width;
        for (int64_t j = 0; j < g->dst_size[1]; j += g->height) {
            tile.rows = soma__least(g->height, g->dst_size[1] - j);
            tile.left_at = j;
            tile.c = to + j * g->out + p * g->width;
            g->isa->gemm->tile(&tile);
        }
    }
}

static void row_across(const planes *g, const soma__gemm_tile *taps, float *to)
{
    const int64_t nr = g->isa->gemm->nr;
    soma__gemm_tile tile = *taps;
    _Alignas(64) float turned[SOMA__GEMM_MAX_MR * SOMA__GEMM_MAX_NR];
    tile.left_step = g->width;
    tile.right_step = g->plane;
    tile.c = turned;
    tile.c_step = nr;
    for (int64_t j = 0; j < g->dst_size[1]; j += nr) {
        tile.cols = soma__least(nr, g->dst_size[1] - j);
        tile.right_at = j;
        for (int64_t p = 0; p < g->panels; p++) {
            tile.rows = soma__least(g->width, g->out - p * g->width);
            tile.left_at = p * g->depth * g->width;
            g->isa->gemm->tile(&tile);
            g->isa->gemm->transpose(to + j * g->out + p * g->width, g->out, turned, nr, tile.rows,
                                    tile.cols);
        }
    }
}

static void band_unit(void *context, int64_t unit, int worker)
{
    const planes *g = context;
    float *private = g->scratch + g->private_at + (size_t)worker * g->private_size;
    float *from = private + g->private_planes;
    soma__gemm_segment *segment = (void *)(private + g->private_segments);
    int64_t image = unit / g->bands, first = unit % g->bands * g->band;
    int64_t band = soma__least(g->band, g->dst_size[0] - first);
    if (band <= 0)
        return;
    int64_t pixel = (image * g->dst_size[0] + first) * g->dst_size[1];
    float *block =
        g->epilogue ? private + g->private_block : (float *)g->call->out[0].data + pixel * g->out;
    fill(g, (const float *)g->call->in[0].data + image * g->src_size[0] * g->src_size[1] * g->in,
         first, band, from);
    soma__gemm_tile tile = {.segment = segment, .segments = g->s.taps};
    for (int64_t i = 0; i < band; i++) {
        make_segments(g, from, i, segment);
        (g->across ? row_across : row_along)(g, &tile, block + i * g->dst_size[1] * g->out);
    }
    if (g->epilogue)
        soma__epilogue_run(g->call, g->isa, block, g->out, pixel, band * g->dst_size[1], 0, g->out);
}

size_t soma__planes_scratch(const soma__conv_sizes *s, bool forward, bool epilogue,
                            const soma__isa_table *isa, int threads)
{
    planes g;
    return arrange(&g, s, forward, epilogue, isa, threads) * sizeof(float);
}

void soma__planes_run(const soma__conv_sizes *s, bool forward, const soma__call *call,
                      const soma__isa_table *isa)
{
    planes g;
    arrange(&g, s, forward, call->program != NULL, isa, soma__pool_threads(call->pool));
    g.call = call;
    g.scratch = call->scratch;
    g.packed = g.scratch + g.weights_at;
    g.weights = call->prepared ? call->prepared : g.packed;
    if (!call->prepared)
        soma__parallel(call->pool, g.panels, pack_unit, &g);
    soma__parallel(call->pool, s->N * g.bands, band_unit, &g);
}

size_t soma__planes_prepared(const soma__conv_sizes *s, bool forward, const soma__isa_table *isa)
{
    planes g;
    arrange(&g, s, forward, false, isa, 1);
    return (size_t)(g.panels * g.depth * g.width) * sizeof(float);
}

void soma__planes_prepare(const soma__conv_sizes *s, bool forward, const soma__call *call,
                          const soma__isa_table *isa, float *to)
{
    planes g;
    arrange(&g, s, forward, false, isa, 1);
    g.call = call;
    g.packed = to;
    soma__parallel(call->pool, g.panels, pack_unit, &g);
}
