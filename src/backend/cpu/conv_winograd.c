/* conv_winograd.c: conv2d and conv2d_input_grad of 3×3 windows by Winograd's method (winograd.h).
 *
 * The input gradient is the same convolution of dy with the weights turned by half a turn, their
 * two channel axes swapped. So there is one source and one destination, and
 *
 *     V[p] [tiles, in]  = transformed tiles of the source        p < n²
 *     U[p] [in, out]    = transformed weights, in panels of the gemm tile's width
 *     M[p] [tiles, nr]  = V[p] · U[p], a block of tiles by one panel
 *     destination       = transformed M, through the epilogue
 *
 * M and one of V, U never leave a core's own cache. Which one depends on how much there is of each:
 *
 *     by tiles    few weights: U is made once for all; a task makes V of its tiles, then goes
 *                 through all panels.
 *     by weights  many weights: V of a span of tiles is made once for all; a task makes the U of
 *                 its panel, a stretch of channels at a time. All of U would be several times the
 *                 weights, and would come from memory.
 *
 * Prepared weights (call->prepared) are U by tiles, and the packed taps that U is made of by
 * weights.
 *
 * In fixed point (integer.h) V is scaled tile by tile and U in each stretch, point and channel;
 * both are transformed in f32, a tile or stretch at a time, and then packed as pairs of channels.
 *
 * Blocks are cut by shape; each value of M adds its channels in order, a stretch at a time, which
 * also halves the error of m = 6 (long sums in f32 are what its coefficients magnify).
 */
#include <string.h>

#include "backend/cpu/fused.h"
#include "backend/cpu/integer.h"
#include "backend/cpu/winograd.h"

#define WEIGHTS_FLOATS (2500 << 10) /* of U, at most, by tiles: 10 MB */
#define SPAN_FLOATS (1 << 20)       /* of V, by weights: 4 MB */
#define BLOCK_FLOATS (128 << 10)    /* of M, by weights: 512 KB */
#define STRETCH 64                  /* channels of U, and of a sum with m = 6, at a time */
#define FIXED_STRETCH 128           /* by tiles; even */
#define BLOCK_TILES 14              /* by tiles */
#define TASKS 8                     /* at least, where the work allows */
#define INPUT_TILES 4               /* tiles of a task that makes V */

typedef struct winograd {
    soma__conv_sizes s;
    bool forward, by_tiles, fixed;
    soma__winograd_grid grid;
    int64_t src_size[2], dst_size[2], pad[2], in, out;
    int64_t points, panels, stretch;
    int64_t span, block;            /* tiles */
    int64_t row, v_plane, m_plane;  /* floats */
    int64_t u_plane, u_panel;       /* of U */
    int64_t wide_plane, u_scales;   /* fixed: of f32, before it is packed; scales of a stretch */
    int64_t run;                    /* most tiles of a block in one row of tiles */
    int64_t span_first, span_tiles; /* of the round */
    /* Scratch, in floats. */
    size_t zero_at, u_at, v_at, private_at, private_size;
    size_t private_u, private_v, private_m, private_stage, private_wide;
    size_t v_scale_at, u_scale_at, private_v_scale, private_u_scale;
    const soma__call *call;
    const soma__isa_table *isa;
    float *scratch;
    float *made;          /* where weights_unit writes */
    const float *weights; /* U by tiles, packed taps or NULL by weights */
} winograd;

static soma__conv_sizes sizes_of(const soma__call *call, bool forward)
{
    const soma_shape *x = forward ? &call->in[0].shape : &call->out[0].shape;
    const soma_shape *y = forward ? &call->out[0].shape : &call->in[0].shape;
    return soma__conv_read(call->attrs, x, &call->in[1].shape, y);
}

/* Everything that the shape decides; returns the floats of scratch. */
static size_t arrange(winograd *g, int m, const soma__call *call, bool forward,
                      const soma__isa_table *isa, int threads)
{
    const int64_t mr = isa->gemm->mr, nr = isa->gemm->nr;
    const bool fixed = call->in[0].dtype == SOMA_BF16;
    const int64_t unit = fixed ? 2 : 1; /* channels in a float */
    *g = (winograd){.s = sizes_of(call, forward), .forward = forward, .fixed = fixed, .isa = isa};
    const soma__conv_sizes *s = &g->s;
    const int64_t x_size[2] = {s->H, s->W}, y_size[2] = {s->Ho, s->Wo};
    for (int d = 0; d < 2; d++) {
        g->src_size[d] = forward ? x_size[d] : y_size[d];
        g->dst_size[d] = forward ? y_size[d] : x_size[d];
        g->pad[d] = forward ? s->pad[d] : 2 - s->pad[d];
    }
    g->in = forward ? s->C : s->O;
    g->out = forward ? s->O : s->C;
    g->grid = soma__winograd_grid_of(m, s->N, g->dst_size[0], g->dst_size[1]);
    g->points = (int64_t)g->grid.n * g->grid.n;
    g->panels = soma__ceil_div(g->out, nr);
    g->row = soma__winograd_row(soma__ceil_div(g->in, unit));
    g->by_tiles =
        g->points * g->in * g->panels * nr / unit <= WEIGHTS_FLOATS && g->grid.tiles > 2 * mr;

    g->span = g->grid.tiles;
    if (g->by_tiles) {
        g->stretch = fixed ? soma__least(g->in, FIXED_STRETCH) : m == 6 ? STRETCH : g->in;
        g->block = BLOCK_TILES / mr * mr;
    } else {
        g->stretch = soma__least(g->in, STRETCH);
        g->span = soma__least(g->span, soma__most(SPAN_FLOATS / (g->points * g->row), 4 * mr));
        g->block = soma__most(BLOCK_FLOATS / (g->points * nr) / mr * mr, mr);
        while (g->block > mr && soma__ceil_div(g->span, g->block) * g->panels < TASKS)
            g->block = soma__ceil_div(g->block / 2, mr) * mr;
    }
    g->block = soma__least(g->block, g->span);
    g->block = soma__ceil_div(g->span, soma__ceil_div(g->span, g->block)); /* even */
    g->v_plane = soma__winograd_plane((g->by_tiles ? g->block : g->span) * g->row);
    g->m_plane = soma__winograd_plane(soma__winograd_row(g->block * nr));
    g->u_plane =
        g->by_tiles
            ? soma__ceil_div(g->in, unit) * nr
            : soma__winograd_plane(soma__winograd_row(soma__ceil_div(g->stretch, unit) * nr));
    g->u_panel = g->points * g->u_plane;
    g->run = soma__least(g->block, g->grid.cols);

    g->u_scales = fixed ? g->points * nr : 0;
    /* A stretch of U of the panel, or a tile of V. */
    g->wide_plane = soma__winograd_plane(
        soma__winograd_row(soma__most(soma__least(g->stretch, g->in) * nr, g->in)));

    size_t shared = 0, private = 0;
    g->zero_at = soma__take(&shared, (size_t)g->in);
    g->u_at = soma__take(&shared, g->by_tiles ? (size_t)(g->panels * g->u_panel) : 0);
    g->v_at = soma__take(&shared, g->by_tiles ? 0 : (size_t)(g->points * g->v_plane));
    g->private_u = soma__take(&private, g->by_tiles ? 0 : (size_t)g->u_panel);
    g->private_v = soma__take(&private, g->by_tiles ? (size_t)(g->points * g->v_plane) : 0);
    g->private_m = soma__take(&private, (size_t)(g->points * g->m_plane));
    if (fixed) {
        int64_t scales = g->panels * soma__ceil_div(g->in, g->stretch) * g->u_scales;
        g->u_scale_at = soma__take(&shared, g->by_tiles ? (size_t)scales : 0);
        g->v_scale_at = soma__take(&shared, g->by_tiles ? 0 : (size_t)g->span);
        g->private_u_scale = soma__take(&private, (size_t)g->u_scales);
        g->private_v_scale = soma__take(&private, g->by_tiles ? (size_t)g->block : 0);
        g->private_wide = soma__take(&private, (size_t)(g->points * g->wide_plane));
    }
    int64_t stage = call->program ? g->run * g->grid.m * g->grid.m * nr : 0;
    g->private_stage = soma__take(&private, (size_t)stage);
    g->private_size = private;
    g->private_at = soma__take(&shared, private * (size_t)(threads < 1 ? 1 : threads));
    return shared;
}

static float *private_of(const winograd *g, int worker)
{
    return g->scratch + g->private_at + (size_t)worker * g->private_size;
}

/* --- transforms of the weights and of the source ------------------------------------------------
 */

/* The nine taps of a panel, channels [first, first + count), as [tap][channel][nr]. */
static void pack_taps(const winograd *g, int64_t panel, int64_t first, int64_t count, float *to,
                      int64_t tap_step)
{
    const soma__conv_sizes *s = &g->s;
    const int64_t nr = g->isa->gemm->nr, depth = 9 * s->C;
    int64_t j = panel * nr, cols = soma__least(nr, g->out - j);
    const float *w = g->call->in[1].data;
    for (int64_t t = 0; t < 9; t++, to += tap_step) {
        if (g->forward) {
            const float *rows[SOMA__GEMM_MAX_NR];
            for (int64_t o = 0; o < cols; o++)
                rows[o] = w + (j + o) * depth + t * s->C + first;
            g->isa->gemm->pack_rows(to, nr, rows, cols, count);
        } else {
            g->isa->gemm->pack_cols(to, nr, w + first * depth + (8 - t) * s->C + j, depth, cols,
                                    count);
        }
    }
}

/* U of the same. The taps are packed into its first nine planes; the transform reads them all
 * before it writes. */
static void make_weights(const winograd *g, int64_t panel, int64_t first, int64_t count, float *u,
                         int64_t plane)
{
    pack_taps(g, panel, first, count, u, plane);
    g->isa->winograd->weight(g->grid.m, u, plane, count * g->isa->gemm->nr, u, plane);
}

/* |Bᵀ|'s rows by m: where the values of a tile are independent, V spreads by the product of its
 * row's and its column's. Divided by them, all points use the common scale's bits alike. */
static const double gains[][SOMA__WINOGRAD_MAX_N] = {
    [2] = {1.414, 1.414, 1.414, 1.414},
    [4] = {2.957, 2.904, 2.904, 1.935, 1.935, 2.957},
    [6] = {7.558, 7.246, 7.246, 6.334, 6.334, 3.623, 3.623, 7.558},
};

static float gain_of(const winograd *g, int64_t point)
{
    const int n = g->grid.n;
    return (float)(gains[g->grid.m][point / n] * gains[g->grid.m][point % n]);
}

/* The same in fixed point, with its scales [point][nr], which also undo the gains of V. */
static void make_fixed_weights(const winograd *g, int64_t panel, int64_t first, int64_t count,
                               float *wide, float *u, float *scale)
{
    const int64_t nr = g->isa->gemm->nr;
    make_weights(g, panel, first, count, wide, g->wide_plane);
    for (int64_t p = 0; p < g->points; p++) {
        g->isa->integer->fix_columns(wide + p * g->wide_plane, nr, count, nr, u + p * g->u_plane,
                                     nr, scale + p * nr);
        for (int64_t j = 0; j < nr; j++)
            scale[p * nr + j] *= gain_of(g, p);
    }
}

/* Channels of a unit. */
static int64_t unit_of(const winograd *g)
{
    return g->fixed ? g->stretch : STRETCH;
}

static int64_t weights_units(const winograd *g)
{
    return g->panels * soma__ceil_div(g->in, unit_of(g));
}

/* What is kept of a panel and a stretch: of U, or of the taps. */
static void weights_unit(void *context, int64_t unit, int worker)
{
    const winograd *g = context;
    const int64_t nr = g->isa->gemm->nr, stretches = soma__ceil_div(g->in, unit_of(g));
    int64_t panel = unit / stretches, first = unit % stretches * unit_of(g);
    int64_t count = soma__least(unit_of(g), g->in - first);
    if (g->fixed)
        make_fixed_weights(g, panel, first, count, private_of(g, worker) + g->private_wide,
                           g->made + panel * g->u_panel + first / 2 * nr,
                           g->scratch + g->u_scale_at + unit * g->u_scales);
    else if (g->by_tiles)
        make_weights(g, panel, first, count, g->made + panel * g->u_panel + first * nr, g->u_plane);
    else
        pack_taps(g, panel, first, count, g->made + (panel * g->in + first) * 9 * nr, count * nr);
}

/* V of tiles [first, first + count), in fixed point with their scales. */
static void make_input(const winograd *g, int64_t first, int64_t count, float *v, float *scale,
                       float *wide)
{
    const soma__winograd_grid *grid = &g->grid;
    const int n = grid->n;
    const void *x[SOMA__WINOGRAD_MAX_POINTS];
    float weight[SOMA__WINOGRAD_MAX_POINTS];
    const int64_t pixel = g->in * (int64_t)(g->fixed ? sizeof(uint16_t) : sizeof(float));
    const char *src = g->call->in[0].data;
    for (int64_t p = 0; p < g->points; p++)
        weight[p] = 1 / gain_of(g, p);
    for (int64_t t = first; t < first + count; t++, v += g->row) {
        int64_t image = t / (grid->rows * grid->cols), at = t % (grid->rows * grid->cols);
        soma__winograd_window(src + image * g->src_size[0] * g->src_size[1] * pixel, g->src_size[0],
                              g->src_size[1], pixel, at / grid->cols * grid->m - g->pad[0],
                              at % grid->cols * grid->m - g->pad[1], n, g->scratch + g->zero_at, x);
        if (!g->fixed) {
            g->isa->winograd->input(grid->m, x, false, g->in, v, g->v_plane);
            continue;
        }
        g->isa->winograd->input(grid->m, x, true, g->in, wide, g->wide_plane);
        *scale++ =
            g->isa->integer->fix_rows(g->points, weight, wide, g->wide_plane, g->in, v, g->v_plane);
    }
}

static void input_unit(void *context, int64_t unit, int worker)
{
    const winograd *g = context;
    int64_t first = unit * INPUT_TILES;
    make_input(g, g->span_first + first, soma__least(INPUT_TILES, g->span_tiles - first),
               g->scratch + g->v_at + first * g->row, g->scratch + g->v_scale_at + first,
               private_of(g, worker) + g->private_wide);
}

/* --- products -----------------------------------------------------------------------------------
 */

/* M (+)= V · U for `count` tiles, channels [first, first + length). */
static void multiply_fixed(const winograd *g, const float *v, const float *v_scale, const float *u,
                           const float *u_scale, int64_t first, int64_t length, int64_t count,
                           int64_t cols, float *m)
{
    const int64_t mr = g->isa->gemm->mr, nr = g->isa->gemm->nr;
    soma__fixed_tile tile = {.cols = cols,
                             .length = soma__ceil_div(length, 2),
                             .left_row = g->row,
                             .left_step = 1,
                             .right_step = nr,
                             .c_step = nr,
                             .add = first > 0};
    int64_t height = soma__ceil_div(count, soma__ceil_div(count, mr));
    for (int64_t p = 0; p < g->points; p++) {
        tile.right = u + p * g->u_plane;
        tile.right_scale = u_scale + p * nr;
        for (int64_t i = 0; i < count; i += height) {
            tile.rows = soma__least(height, count - i);
            tile.left = v + p * g->v_plane + i * g->row + first / 2;
            tile.left_scale = v_scale + i;
            tile.c = m + p * g->m_plane + i * nr;
            g->isa->integer->fixed_tile(&tile);
        }
    }
}

/* The same in f32. */
static void multiply(const winograd *g, const float *v, const float *u, int64_t first,
                     int64_t length, int64_t count, int64_t cols, float *m)
{
    const int64_t mr = g->isa->gemm->mr, nr = g->isa->gemm->nr;
    const float *rows[SOMA__GEMM_MAX_MR];
    soma__gemm_segment segment = {.rows = rows, .length = length};
    soma__gemm_tile tile = {.cols = cols,
                            .segment = &segment,
                            .segments = 1,
                            .left_step = 1,
                            .right_step = nr,
                            .left_at = first,
                            .c_step = nr,
                            .add = first > 0};
    int64_t height = soma__ceil_div(count, soma__ceil_div(count, mr));
    for (int64_t p = 0; p < g->points; p++) {
        segment.right = u + p * g->u_plane;
        for (int64_t i = 0; i < count; i += height) {
            tile.rows = soma__least(height, count - i);
            for (int64_t r = 0; r < tile.rows; r++)
                rows[r] = v + p * g->v_plane + (i + r) * g->row;
            tile.c = m + p * g->m_plane + i * nr;
            g->isa->gemm->tile(&tile);
        }
    }
}

/* --- the destination ----------------------------------------------------------------------------
 */

/* A run of tiles: `count` neighbours of one row of tiles. M's rows of them to `cols` channels of
 * the destination from channel col0. */
static void finish_run(const winograd *g, int64_t tile, int64_t count, const float *m, float *stage,
                       int64_t col0, int64_t cols)
{
    const soma__winograd_grid *grid = &g->grid;
    const int64_t size = grid->m, nr = g->isa->gemm->nr;
    int64_t image = tile / (grid->rows * grid->cols), at = tile % (grid->rows * grid->cols);
    int64_t h = at / grid->cols * size, w = at % grid->cols * size;
    int64_t high = soma__least(size, g->dst_size[0] - h);
    int64_t wide = soma__least(count * size, g->dst_size[1] - w);
    int64_t pixel = (image * g->dst_size[0] + h) * g->dst_size[1] + w;
    const bool epilogue = g->call->program != NULL;
    float *to = epilogue ? stage : (float *)g->call->out[0].data + pixel * g->out + col0;
    const int64_t step = epilogue ? nr : g->out, line = epilogue ? wide : g->dst_size[1];
    for (int64_t t = 0; t < count; t++, m += nr) {
        float *y[SOMA__WINOGRAD_MAX_POINTS];
        for (int64_t i = 0; i < size; i++)
            for (int64_t j = 0; j < size; j++) {
                int64_t across = t * size + j;
                y[i * size + j] =
                    i < high && across < wide ? to + (i * line + across) * step : NULL;
            }
        g->isa->winograd->output(grid->m, m, g->m_plane, cols, y);
    }
    if (!epilogue)
        return;
    if (wide == g->dst_size[1]) {
        soma__epilogue_run(g->call, g->isa, stage, nr, pixel, high * wide, col0, cols);
        return;
    }
    for (int64_t i = 0; i < high; i++)
        soma__epilogue_run(g->call, g->isa, stage + i * wide * nr, nr, pixel + i * g->dst_size[1],
                           wide, col0, cols);
}

static void finish(const winograd *g, int64_t first, int64_t count, const float *m, float *stage,
                   int64_t col0, int64_t cols)
{
    const int64_t nr = g->isa->gemm->nr;
    for (int64_t t = 0; t < count;) {
        int64_t run = soma__least(g->grid.cols - (first + t) % g->grid.cols, count - t);
        finish_run(g, first + t, run, m + t * nr, stage, col0, cols);
        t += run;
    }
}

/* One block of tiles, all panels. */
static void tiles_unit(void *context, int64_t unit, int worker)
{
    const winograd *g = context;
    const int64_t nr = g->isa->gemm->nr, stretches = soma__ceil_div(g->in, g->stretch);
    float *private = private_of(g, worker), *m = private + g->private_m;
    float *v = private + g->private_v, *v_scale = private + g->private_v_scale;
    int64_t first = unit * g->block, count = soma__least(g->block, g->grid.tiles - first);
    make_input(g, first, count, v, v_scale, private + g->private_wide);
    for (int64_t panel = 0; panel < g->panels; panel++) {
        int64_t cols = soma__least(nr, g->out - panel * nr);
        const float *u = g->weights + panel * g->u_panel;
        const float *u_scale = g->scratch + g->u_scale_at + panel * stretches * g->u_scales;
        for (int64_t at = 0; at < g->in; at += g->stretch, u_scale += g->u_scales) {
            int64_t length = soma__least(g->stretch, g->in - at);
            if (g->fixed)
                multiply_fixed(g, v, v_scale, u + at / 2 * nr, u_scale, at, length, count, cols, m);
            else
                multiply(g, v, u + at * nr, at, length, count, cols, m);
        }
        finish(g, first, count, m, private + g->private_stage, panel * nr, cols);
    }
}

/* One block of tiles of the span, one panel. */
static void panel_unit(void *context, int64_t unit, int worker)
{
    const winograd *g = context;
    const int64_t nr = g->isa->gemm->nr;
    float *private = private_of(g, worker), *m = private + g->private_m;
    float *u = private + g->private_u, *u_scale = private + g->private_u_scale;
    int64_t panel = unit % g->panels, at = unit / g->panels * g->block;
    int64_t count = soma__least(g->block, g->span_tiles - at);
    int64_t cols = soma__least(nr, g->out - panel * nr);
    const float *v = g->scratch + g->v_at + at * g->row;
    for (int64_t first = 0; first < g->in; first += g->stretch) {
        int64_t length = soma__least(g->stretch, g->in - first);
        if (g->fixed) {
            make_fixed_weights(g, panel, first, length, private + g->private_wide, u, u_scale);
            multiply_fixed(g, v, g->scratch + g->v_scale_at + at, u, u_scale, first, length, count,
                           cols, m);
            continue;
        }
        if (g->weights)
            g->isa->winograd->weight(g->grid.m, g->weights + (panel * g->in + first) * 9 * nr,
                                     length * nr, length * nr, u, g->u_plane);
        else
            make_weights(g, panel, first, length, u, g->u_plane);
        multiply(g, v, u, first, length, count, cols, m);
    }
    finish(g, g->span_first + at, count, m, private + g->private_stage, panel * nr, cols);
}

static void run(winograd *g, const soma__call *call)
{
    g->call = call;
    g->scratch = call->scratch;
    g->weights = call->prepared;
    memset(g->scratch + g->zero_at, 0, (size_t)g->in * sizeof(float));
    if (g->by_tiles) {
        if (!g->weights) {
            g->weights = g->made = g->scratch + g->u_at;
            soma__parallel(call->pool, weights_units(g), weights_unit, g);
        }
        soma__parallel(call->pool, soma__ceil_div(g->grid.tiles, g->block), tiles_unit, g);
        return;
    }
    for (g->span_first = 0; g->span_first < g->grid.tiles; g->span_first += g->span) {
        g->span_tiles = soma__least(g->span, g->grid.tiles - g->span_first);
        soma__parallel(call->pool, soma__ceil_div(g->span_tiles, INPUT_TILES), input_unit, g);
        soma__parallel(call->pool, soma__ceil_div(g->span_tiles, g->block) * g->panels, panel_unit,
                       g);
    }
}

/* --- the choice of a tile -----------------------------------------------------------------------
 */

/* What a multiplication costs and what transforms do, in multiplications of a product of f32: for
 * each tile and channel of the source and of the destination, and for each pair of channels.
 * Measured. Those of fixed point include the packing, and no m = 6, which would err more than sums
 * of bf16 do. */
typedef struct costs {
    double direct, product; /* sums of the definition are longer */
    struct {
        int m; /* 0 ends the list */
        double input, output, weight;
    } tile[4];
} costs;

static const costs of_f32 = {0.8, 1, {{2, 100, 60, 40}, {4, 280, 200, 100}, {6, 600, 450, 250}}};
static const costs of_fixed = {0.4, 0.5, {{2, 160, 60, 60}, {4, 460, 200, 160}}};

/* Fewer channels leave vectors empty; with more, the weights of m = 6 leave the cache. */
#define LEAST_CHANNELS 16
#define MOST_CHANNELS_OF_6 128

int soma__winograd_cheapest(const soma__conv_sizes *s, bool fixed, double in, double out, int64_t h,
                            int64_t w, int largest, int64_t least_tiles)
{
    const costs *c = fixed ? &of_fixed : &of_f32;
    if (!soma__winograd_fits(s) || s->C < LEAST_CHANNELS || s->O < LEAST_CHANNELS)
        return 0;
    double best = c->direct * 9 * in * out * (double)(s->N * h * w);
    int chosen = 0;
    for (int i = 0; c->tile[i].m > 0 && c->tile[i].m <= largest; i++) {
        soma__winograd_grid grid = soma__winograd_grid_of(c->tile[i].m, s->N, h, w);
        double cost = (double)grid.tiles * (c->product * grid.n * grid.n * in * out +
                                            c->tile[i].input * in + c->tile[i].output * out) +
                      c->tile[i].weight * in * out;
        if (grid.tiles >= least_tiles && cost < best) {
            best = cost;
            chosen = c->tile[i].m;
        }
    }
    return chosen;
}

int soma__winograd_choose(const soma__conv_sizes *s, bool forward, bool fixed)
{
    int64_t in = forward ? s->C : s->O, out = forward ? s->O : s->C;
    return soma__winograd_cheapest(s, fixed, (double)in, (double)out, forward ? s->Ho : s->H,
                                   forward ? s->Wo : s->W, in > MOST_CHANNELS_OF_6 ? 4 : 6, 0);
}

/* --- the kernels --------------------------------------------------------------------------------
 */

size_t soma__winograd_scratch(int m, const soma__call *call, bool forward,
                              const soma__isa_table *isa, int threads)
{
    winograd g;
    return arrange(&g, m, call, forward, isa, threads) * sizeof(float);
}

void soma__winograd_run(int m, const soma__call *call, bool forward, const soma__isa_table *isa)
{
    winograd g;
    arrange(&g, m, call, forward, isa, soma__pool_threads(call->pool));
    run(&g, call);
}

size_t soma__winograd_prepared(int m, const soma__call *call, bool forward,
                               const soma__isa_table *isa)
{
    winograd g;
    arrange(&g, m, call, forward, isa, 1);
    int64_t panel = g.by_tiles ? g.u_panel : 9 * g.in * isa->gemm->nr;
    return (size_t)(g.panels * panel) * sizeof(float);
}

void soma__winograd_prepare(int m, const soma__call *call, bool forward, const soma__isa_table *isa,
                            void *to)
{
    winograd g;
    arrange(&g, m, call, forward, isa, 1);
    g.call = call;
    g.made = to;
    soma__parallel(call->pool, weights_units(&g), weights_unit, &g);
}

static const char *refuses(const soma__call *call, bool forward)
{
    if (call->no_winograd)
        return "Winograd's method is switched off";
    if (call->in[0].dtype != SOMA_F32 || call->in[1].dtype != SOMA_F32 ||
        (!call->program && call->out[0].dtype != SOMA_F32))
        return "operands are not f32";
    soma__conv_sizes s = sizes_of(call, forward);
    return soma__winograd_choose(&s, forward, false) ? NULL
                                                     : "the definition is as fast, or the only way";
}

/* The m of a call that the row takes; of others, for which nothing is run, the smallest. */
static int chosen(const soma__call *call, bool forward)
{
    soma__conv_sizes s = sizes_of(call, forward);
    int m = soma__winograd_choose(&s, forward, false);
    return m ? m : 2;
}

const char *soma__refuses_conv2d_winograd(const soma__call *call)
{
    return refuses(call, true);
}
size_t soma__scratch_conv2d_winograd(const soma__call *call, const soma__isa_table *isa,
                                     int threads)
{
    return soma__winograd_scratch(chosen(call, true), call, true, isa, threads);
}
void soma__run_conv2d_winograd(const soma__call *call, const soma__isa_table *isa)
{
    soma__winograd_run(chosen(call, true), call, true, isa);
}

const char *soma__refuses_conv2d_input_grad_winograd(const soma__call *call)
{
    return refuses(call, false);
}
size_t soma__scratch_conv2d_input_grad_winograd(const soma__call *call, const soma__isa_table *isa,
                                                int threads)
{
    return soma__winograd_scratch(chosen(call, false), call, false, isa, threads);
}
void soma__run_conv2d_input_grad_winograd(const soma__call *call, const soma__isa_table *isa)
{
    soma__winograd_run(chosen(call, false), call, false, isa);
}

size_t soma__prepared_conv2d_winograd(const soma__call *call, const soma__isa_table *isa)
{
    return soma__winograd_prepared(chosen(call, true), call, true, isa);
}
void soma__prepare_conv2d_winograd(const soma__call *call, const soma__isa_table *isa, void *to)
{
    soma__winograd_prepare(chosen(call, true), call, true, isa, to);
}

size_t soma__prepared_conv2d_input_grad_winograd(const soma__call *call, const soma__isa_table *isa)
{
    return soma__winograd_prepared(chosen(call, false), call, false, isa);
}
void soma__prepare_conv2d_input_grad_winograd(const soma__call *call, const soma__isa_table *isa,
                                              void *to)
{
    soma__winograd_prepare(chosen(call, false), call, false, isa, to);
}
