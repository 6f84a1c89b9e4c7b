/* conv_weight.c: conv2d_weight_grad, a product that sums over pixels:
 *
 *     dw[o, tap, c] = sum over output pixels:  dy[pixel, o] · x[pixel under the tap, c]
 *
 * Along one row of the output both factors lie at constant steps, so a row, less those ends of it
 * that see padding, is a segment of a tile (gemm.h) and nothing is packed. The rows are cut into
 * parts by shape. A task sums one part into its own copy of dw, a chunk of rows at a time, so that
 * the chunk's x and dy are still in cache for the next tap; then the copies are added in order.
 * When dw is so large that few copies fit, tasks share a part by its taps.
 *
 *     wide     tile rows o,        left = dy, right = x        dw's own layout
 *     narrow   tile rows (tap, c), left = x by row pointers, right = dy
 *
 * Where nothing is padded to the sides, the pixels under a row of the kernel are one stretch of x:
 * such a row can be taken for a single tap of kw·C channels, which wide then does if it fills its
 * vectors better. Narrow serves other inputs of few channels, where a vector along c would be
 * mostly empty. Its copies are [taps·c, o] and are turned at the end. Rows of pointers need a value
 * for each tap, so pixels at the ends of a row are segments of length one, and pointers outside of
 * the image go to zeros.
 */
#include <string.h>

#include "backend/cpu/conv.h"

#define CHUNK_PIXELS 256      /* output pixels between two looks at the sums */
#define PARTS 32              /* as many as keep many threads busy, where memory allows */
#define PART_PIXELS 256       /* least of one part */
#define COPY_VALUES (4 << 20) /* bounds all copies of dw: 16 MB */
#define TASKS 16
#define NARROW 8
#define SUM_VALUES 4096

typedef struct sums {
    soma__conv_sizes s;
    bool narrow;
    int64_t values;                 /* of dw */
    int64_t parts, part_rows;       /* of N·Ho output rows */
    int64_t tap_tasks, taps_a_task; /* wide */
    int64_t chunk_rows, segments;   /* most segments of a chunk */
    size_t zero_at, copies_at, private_at, private_segments, private_rows, private_size;
    soma__tile_fn *tile;
    const soma__call *call;
    const soma__isa_table *isa;
    float *scratch;
} sums;

/* Multiply-adds of vectors for one pixel, as wide and as narrow. */
static int64_t cost_wide(const soma__conv_sizes *s, int64_t taps, int64_t cols,
                         const soma__isa_table *isa)
{
    return taps * s->group_o * soma__ceil_div(cols, isa->width);
}
static int64_t cost_narrow(const soma__conv_sizes *s, const soma__isa_table *isa)
{
    return s->taps * s->group_c * soma__ceil_div(s->group_o, isa->width);
}

/* Makes each row of the kernel one tap, where that pays. */
static bool join_rows(soma__conv_sizes *s, const soma__isa_table *isa)
{
    int64_t joined = s->kernel[1] * s->group_c;
    if (s->groups != 1 || s->kernel[1] == 1 || s->dilation[1] != 1 || s->pad[1] != 0)
        return false;
    /* Padding on the right alone shows in the last window. */
    if ((s->Wo - 1) * s->stride[1] + s->kernel[1] > s->W)
        return false;
    int64_t now = s->group_c < NARROW ? cost_narrow(s, isa) : cost_wide(s, s->taps, s->C, isa);
    if (cost_wide(s, s->kernel[0], joined, isa) >= now)
        return false;
    s->group_c = joined;
    s->taps = s->kernel[0];
    s->kernel[1] = 1;
    return true;
}

static size_t arrange(sums *g, const soma__conv_sizes *sizes, const soma__isa_table *isa,
                      int threads)
{
    *g = (sums){.s = *sizes, .isa = isa};
    const soma__conv_sizes *s = &g->s;
    g->narrow = !join_rows(&g->s, isa) && s->group_c < NARROW;
    g->values = s->O * s->taps * s->group_c;
    int64_t rows = s->N * s->Ho;
    g->parts = soma__least(PARTS, soma__ceil_div(rows * s->Wo, PART_PIXELS));
    g->parts = soma__least(g->parts, COPY_VALUES / soma__most(g->values, 1));
    g->parts = soma__most(soma__least(g->parts, rows), 1);
    g->part_rows = soma__most(soma__ceil_div(rows, g->parts), 1);
    g->taps_a_task = s->taps;
    while (!g->narrow && g->taps_a_task > 1 &&
           g->parts * s->groups * soma__ceil_div(s->taps, g->taps_a_task) < TASKS)
        g->taps_a_task = soma__ceil_div(g->taps_a_task, 2);
    g->tap_tasks = soma__ceil_div(s->taps, g->taps_a_task);
    g->chunk_rows = soma__most(CHUNK_PIXELS / soma__most(s->Wo, 1), 1);
    g->segments = g->chunk_rows;
    int64_t table = 0;
    if (g->narrow) {
        /* A row's middle is one segment and each pixel at its ends another. */
        int64_t reach = (s->kernel[1] - 1) * s->dilation[1];
        int64_t ends = soma__least(s->Wo, 2 * (s->pad[1] + reach) + 2);
        g->segments = g->chunk_rows * (1 + ends);
        table = g->segments * s->taps * s->group_c;
    }
    size_t shared = 0, private = 0;
    /* Only the middle of a row is longer than one pixel, and it lies within a row of x. */
    size_t zeros = g->narrow ? (size_t)(s->W * s->C) : 0;
    g->zero_at = soma__take(&shared, zeros);
    g->copies_at = soma__take(&shared, (size_t)(g->parts * g->values));
    g->private_segments =
        soma__take(&private, soma__floats_of(g->segments, sizeof(soma__gemm_segment)));
    g->private_rows = soma__take(&private, soma__floats_of(table, sizeof(const float *)));
    g->private_size = private;
    g->private_at = soma__take(&shared, private * (size_t)(threads < 1 ? 1 : threads));
    return shared;
}

/* Input row under kernel row `u` of output row `row` (of N·Ho), as a row of N·H; -1 outside. */
static int64_t input_row(const soma__conv_sizes *s, int64_t row, int64_t u)
{
    int64_t h = row % s->Ho * s->stride[0] - s->pad[0] + u * s->dilation[0];
    return h >= 0 && h < s->H ? row / s->Ho * s->H + h : -1;
}

/* --- wide ---------------------------------------------------------------------------------------
 */

/* The segments of output rows [row, end) under tap `t`. */
static int64_t wide_segments(const sums *g, int64_t t, int64_t row, int64_t end,
                             soma__gemm_segment *segment)
{
    const soma__conv_sizes *s = &g->s;
    const float *x = g->call->in[0].data, *dy = g->call->in[1].data;
    int64_t u = t / s->kernel[1], v = t % s->kernel[1], count = 0;
    int64_t at = v * s->dilation[1] - s->pad[1], first, last;
    soma__conv_valid(at, s->stride[1], s->W, s->Wo, &first, &last);
    for (; row < end && first < last; row++) {
        int64_t h = input_row(s, row, u);
        if (h < 0)
            continue;
        segment[count++] = (soma__gemm_segment){
            .left = dy + (row * s->Wo + first) * s->O,
            .right = x + (h * s->W + first * s->stride[1] + at) * s->C,
            .length = last - first,
        };
    }
    return count;
}

static void wide_unit(void *context, int64_t unit, int worker)
{
    const sums *g = context;
    const soma__conv_sizes *s = &g->s;
    const int64_t mr = g->isa->gemm->mr, nr = g->isa->gemm->nr;
    soma__gemm_segment *segment = (void *)(g->scratch + g->private_at +
                                           (size_t)worker * g->private_size + g->private_segments);
    int64_t tap0 = unit % g->tap_tasks * g->taps_a_task;
    unit /= g->tap_tasks;
    int64_t group = unit % s->groups, part = unit / s->groups;
    int64_t tap_end = soma__least(tap0 + g->taps_a_task, s->taps);
    int64_t first = part * g->part_rows;
    int64_t end = soma__least(first + g->part_rows, s->N * s->Ho);
    int64_t step = s->taps * s->group_c;
    int64_t height = soma__ceil_div(s->group_o, soma__ceil_div(s->group_o, mr)); /* even tiles */
    float *copy = g->scratch + g->copies_at + part * g->values + group * s->group_o * step;
    soma__gemm_tile tile = {
        .segment = segment, .left_step = s->O, .right_step = s->stride[1] * s->C, .c_step = step};
    int64_t row = first;
    do {
        int64_t row_end = soma__least(row + g->chunk_rows, end);
        tile.add = row > first;
        for (int64_t t = tap0; t < tap_end; t++) {
            tile.segments = wide_segments(g, t, row, row_end, segment);
            for (int64_t i = 0; i < s->group_o; i += height)
                for (int64_t j = 0; j < s->group_c; j += nr) {
                    tile.rows = soma__least(height, s->group_o - i);
                    tile.cols = soma__least(nr, s->group_c - j);
                    tile.left_at = group * s->group_o + i;
                    tile.right_at = group * s->group_c + j;
                    tile.c = copy + i * step + t * s->group_c + j;
                    g->tile(&tile);
                }
        }
        row = row_end;
    } while (row < end);
}

/* --- narrow -------------------------------------------------------------------------------------
 */

/* One segment: output columns [col, col + length) of `row`, whose taps are either inside of the
 * image for all of them or outside for all of them. */
static void narrow_segment(const sums *g, int64_t group, int64_t row, int64_t col, int64_t length,
                           soma__gemm_segment *segment, const float **pointer)
{
    const soma__conv_sizes *s = &g->s;
    const float *x = g->call->in[0].data, *dy = g->call->in[1].data;
    *segment = (soma__gemm_segment){
        .rows = pointer, .right = dy + (row * s->Wo + col) * s->O, .length = length};
    for (int64_t u = 0; u < s->kernel[0]; u++) {
        int64_t h = input_row(s, row, u);
        for (int64_t v = 0; v < s->kernel[1]; v++) {
            int64_t w = col * s->stride[1] - s->pad[1] + v * s->dilation[1];
            bool inside = h >= 0 && w >= 0 && w < s->W;
            const float *from =
                inside ? x + (h * s->W + w) * s->C + group * s->group_c : g->scratch + g->zero_at;
            for (int64_t c = 0; c < s->group_c; c++)
                *pointer++ = from + c;
        }
    }
}

static int64_t narrow_segments(const sums *g, int64_t group, int64_t row, int64_t end,
                               soma__gemm_segment *segment, const float **pointers)
{
    const soma__conv_sizes *s = &g->s;
    const int64_t width = s->taps * s->group_c;
    /* The middle: columns where all taps are inside. */
    int64_t reach = (s->kernel[1] - 1) * s->dilation[1], lo, hi, ignored;
    soma__conv_valid(-s->pad[1], s->stride[1], s->W, s->Wo, &lo, &ignored);
    soma__conv_valid(reach - s->pad[1], s->stride[1], s->W, s->Wo, &ignored, &hi);
    int64_t count = 0;
    for (; row < end; row++)
        for (int64_t col = 0; col < s->Wo;) {
            int64_t length = col == lo && hi > lo ? hi - lo : 1;
            narrow_segment(g, group, row, col, length, &segment[count], pointers + count * width);
            count++;
            col += length;
        }
    return count;
}

static void narrow_unit(void *context, int64_t unit, int worker)
{
    const sums *g = context;
    const soma__conv_sizes *s = &g->s;
    const int64_t mr = g->isa->gemm->mr, nr = g->isa->gemm->nr;
    float *private = g->scratch + g->private_at + (size_t)worker * g->private_size;
    soma__gemm_segment *segment = (void *)(private + g->private_segments);
    const float **pointers = (void *)(private + g->private_rows);
    int64_t group = unit % s->groups, part = unit / s->groups;
    int64_t first = part * g->part_rows;
    int64_t end = soma__least(first + g->part_rows, s->N * s->Ho);
    const int64_t width = s->taps * s->group_c;
    float *copy = g->scratch + g->copies_at + part * g->values + group * width * s->group_o;
    soma__gemm_tile tile = {.segment = segment,
                            .left_step = s->stride[1] * s->C,
                            .right_step = s->O,
                            .c_step = s->group_o};
    int64_t row = first;
    do {
        int64_t row_end = soma__least(row + g->chunk_rows, end);
        tile.add = row > first;
        tile.segments = narrow_segments(g, group, row, row_end, segment, pointers);
        for (int64_t i = 0; i < width; i += mr) {
            tile.rows = soma__least(mr, width - i);
            for (int64_t j = 0; j < s->group_o; j += nr) {
                tile.cols = soma__least(nr, s->group_o - j);
                tile.right_at = group * s->group_o + j;
                tile.c = copy + i * s->group_o + j;
                g->tile(&tile);
            }
            for (int64_t q = 0; q < tile.segments; q++)
                segment[q].rows += tile.rows; /* the next tile's pointers */
        }
        row = row_end;
    } while (row < end);
}

/* --- the sum of the copies ----------------------------------------------------------------------
 */

static void sum_unit(void *context, int64_t unit, int worker)
{
    const sums *g = context;
    (void)worker;
    int64_t first = unit * SUM_VALUES, count = soma__least(SUM_VALUES, g->values - first);
    float *sum = g->scratch + g->copies_at + first;
    for (int64_t part = 1; part < g->parts; part++)
        g->isa->gemm->accumulate(sum, sum + part * g->values, count);
    if (!g->narrow)
        memcpy((float *)g->call->out[0].data + first, sum, (size_t)count * sizeof(float));
}

static void turn_unit(void *context, int64_t group, int worker)
{
    const sums *g = context;
    const soma__conv_sizes *s = &g->s;
    (void)worker;
    int64_t width = s->taps * s->group_c, at = group * width * s->group_o;
    g->isa->gemm->transpose((float *)g->call->out[0].data + at, width,
                            g->scratch + g->copies_at + at, s->group_o, width, s->group_o);
}

/* --- the kernel ---------------------------------------------------------------------------------
 */

const char *soma__refuses_conv2d_weight_grad(const soma__call *call)
{
    if (call->in[0].dtype != SOMA_F32 || call->in[1].dtype != SOMA_F32 ||
        call->out[0].dtype != SOMA_F32)
        return "operands are not f32";
    return NULL;
}

static soma__conv_sizes sizes_of(const soma__call *call)
{
    return soma__conv_read(call->attrs, &call->in[0].shape, &call->out[0].shape,
                           &call->in[1].shape);
}

soma__product soma__conv_weight_product(const soma__conv_sizes *s)
{
    return (soma__product){.m = s->O,
                           .n = s->C,
                           .k = s->N * s->H * s->W,
                           .a_row = 1,
                           .a_col = s->O,
                           .b_row = s->C,
                           .b_col = 1,
                           .batch = 1};
}

size_t soma__scratch_conv2d_weight_grad(const soma__call *call, const soma__isa_table *isa,
                                        int threads)
{
    soma__conv_sizes s = sizes_of(call);
    if (soma__conv_is_product(&s)) {
        soma__product p = soma__conv_weight_product(&s);
        return soma__product_scratch(&p, isa, threads);
    }
    if (soma__conv_is_depthwise(&s))
        return soma__depthwise_weight_scratch(&s);
    sums g;
    return arrange(&g, &s, isa, threads) * sizeof(float);
}

void soma__run_conv2d_weight_grad(const soma__call *call, const soma__isa_table *isa)
{
    soma__conv_sizes s = sizes_of(call);
    if (call->out[0].count == 0)
        return;
    if (soma__conv_is_product(&s)) {
        soma__product p = soma__conv_weight_product(&s);
        soma__product_data data = {
            .a = call->in[1].data, .b = call->in[0].data, .c = call->out[0].data};
        soma__product_run(&p, &data, call, isa);
        return;
    }
    if (soma__conv_is_depthwise(&s)) {
        soma__depthwise_weight_grad(&s, call, isa);
        return;
    }
    sums g;
    arrange(&g, &s, isa, soma__pool_threads(call->pool));
    g.call = call;
    g.scratch = call->scratch;
    /* Of bf16 are pairs of images (bf16.c). */
    g.tile = call->in[0].dtype == SOMA_BF16 ? isa->gemm->tile_pairs : isa->gemm->tile;
    if (g.narrow)
        memset(g.scratch + g.zero_at, 0, (size_t)(s.W * s.C) * sizeof(float));
    soma__parallel(call->pool, g.parts * s.groups * (g.narrow ? 1 : g.tap_tasks),
                   g.narrow ? narrow_unit : wide_unit, &g);
    soma__parallel(call->pool, soma__ceil_div(g.values, SUM_VALUES), sum_unit, &g);
    if (g.narrow)
        soma__parallel(call->pool, s.groups, turn_unit, &g);
}
