/* conv_winograd_weight.c: conv2d_weight_grad of 3×3 windows by Winograd's method (winograd.h).
 *
 *     V[p] [tiles, C] = Bᵀ x B        the tiles of x that conv_winograd.c makes
 *     W[p] [tiles, O] = A dy Aᵀ       the tiles of dy, p < n²
 *     S[p] [o, c]     = W[p]ᵀ · V[p]  a block of o and c, summed over tiles
 *     dw              = Gᵀ S G
 *
 * The tiles come in spans whose V and W stay in the shared cache. A task owns a block of dw, makes
 * its S in a core's own cache and adds its transform to dw, span after span; so there are no copies
 * of dw, and each value adds its tiles in order, however many threads there are.
 */
#include <string.h>

#include "backend/cpu/integer.h"
#include "backend/cpu/winograd.h"

#define SPAN_FLOATS (1 << 20) /* of V and W: 4 MB */
#define BLOCK_HEIGHT 48       /* of a block of dw, at most, in o */
#define BLOCK_WIDTH 64        /* … and in c */
#define TASKS 8               /* at least, where the work allows */
#define INPUT_TILES 4         /* tiles of a task that makes V and W */
#define LEAST_TILES 16        /* fewer make sums too short */
#define FIXED_SPAN 128        /* tiles of a span, at most: longer sums are less exact */

typedef struct sums {
    soma__conv_sizes s;
    bool fixed;
    soma__winograd_grid grid;
    int64_t points, span;
    int64_t v_row, v_plane, w_row, w_plane, s_plane; /* floats */
    int64_t height, width, down, across;             /* a block of dw; blocks */
    int64_t span_first, span_tiles;                  /* of the round */
    size_t zero_at, v_at, w_at, private_at, private_size;
    int64_t v_fixed_plane, w_fixed_plane; /* fixed: of pairs; v_at and w_at are what is packed */
    size_t v_fixed_at, w_fixed_at, v_scale_at, w_scale_at;
    const soma__call *call;
    const soma__isa_table *isa;
    float *scratch;
} sums;

static soma__conv_sizes sizes_of(const soma__call *call)
{
    return soma__conv_read(call->attrs, &call->in[0].shape, &call->out[0].shape,
                           &call->in[1].shape);
}

/* Everything that the shape decides; returns the floats of scratch. */
static size_t arrange(sums *g, int m, const soma__call *call, const soma__isa_table *isa,
                      int threads)
{
    const int64_t mr = isa->gemm->mr, nr = isa->gemm->nr;
    const bool fixed = call->in[0].dtype == SOMA_BF16;
    *g = (sums){.s = sizes_of(call), .fixed = fixed, .isa = isa};
    const soma__conv_sizes *s = &g->s;
    g->grid = soma__winograd_grid_of(m, s->N, s->Ho, s->Wo);
    g->points = (int64_t)g->grid.n * g->grid.n;
    g->v_row = soma__winograd_row(s->C);
    g->w_row = soma__winograd_row(s->O);
    g->span = soma__least(g->grid.tiles,
                          soma__most(SPAN_FLOATS / (g->points * (g->v_row + g->w_row)), 4 * mr));
    g->span = soma__most(fixed ? soma__least(g->span, FIXED_SPAN) : g->span, 1);
    g->span = soma__ceil_div(g->grid.tiles, soma__ceil_div(g->grid.tiles, g->span));

    g->height = BLOCK_HEIGHT / mr * mr;
    g->width = soma__most(BLOCK_WIDTH / nr, 1) * nr;
    while (soma__ceil_div(s->O, g->height) * soma__ceil_div(s->C, g->width) < TASKS &&
           (g->height > mr || g->width > nr)) {
        if (g->height > mr)
            g->height = soma__ceil_div(g->height / 2, mr) * mr;
        else
            g->width = soma__ceil_div(g->width / 2, nr) * nr;
    }
    g->down = soma__ceil_div(s->O, g->height);
    g->height = soma__ceil_div(s->O, g->down); /* even blocks */
    g->across = soma__ceil_div(s->C, g->width);
    g->v_plane = soma__winograd_plane(g->span * g->v_row);
    g->w_plane = soma__winograd_plane(g->span * g->w_row);
    g->s_plane = soma__winograd_plane(soma__winograd_row(g->height * g->width));

    size_t shared = 0;
    g->zero_at = soma__take(&shared, (size_t)soma__most(s->C, s->O));
    g->v_at = soma__take(&shared, (size_t)(g->points * g->v_plane));
    g->w_at = soma__take(&shared, (size_t)(g->points * g->w_plane));
    if (fixed) {
        int64_t pairs = soma__ceil_div(g->span, 2);
        g->v_fixed_plane = soma__winograd_plane(pairs * g->v_row);
        g->w_fixed_plane = soma__winograd_plane(pairs * g->w_row);
        g->v_fixed_at = soma__take(&shared, (size_t)(g->points * g->v_fixed_plane));
        g->w_fixed_at = soma__take(&shared, (size_t)(g->points * g->w_fixed_plane));
        g->v_scale_at = soma__take(&shared, (size_t)(g->points * g->v_row));
        g->w_scale_at = soma__take(&shared, (size_t)(g->points * g->w_row));
    }
    g->private_size = (size_t)(g->points * g->s_plane);
    g->private_at = soma__take(&shared, g->private_size * (size_t)(threads < 1 ? 1 : threads));
    return shared;
}

/* V and W of a few tiles. */
static void tiles_unit(void *context, int64_t unit, int worker)
{
    const sums *g = context;
    const soma__conv_sizes *s = &g->s;
    const soma__winograd_grid *grid = &g->grid;
    const int64_t bytes = g->fixed ? sizeof(uint16_t) : sizeof(float);
    const int64_t x_pixel = s->C * bytes, dy_pixel = s->O * bytes;
    const char *x = g->call->in[0].data, *dy = g->call->in[1].data;
    const float *zero = g->scratch + g->zero_at;
    const void *window[SOMA__WINOGRAD_MAX_POINTS];
    (void)worker;
    int64_t first = unit * INPUT_TILES;
    int64_t end = soma__least(first + INPUT_TILES, g->span_tiles);
    for (int64_t t = first; t < end; t++) {
        int64_t tile = g->span_first + t, each = grid->rows * grid->cols;
        int64_t image = tile / each, at = tile % each;
        int64_t h = at / grid->cols * grid->m, w = at % grid->cols * grid->m;
        soma__winograd_window(x + image * s->H * s->W * x_pixel, s->H, s->W, x_pixel, h - s->pad[0],
                              w - s->pad[1], grid->n, zero, window);
        g->isa->winograd->input(grid->m, window, g->fixed, s->C,
                                g->scratch + g->v_at + t * g->v_row, g->v_plane);
        soma__winograd_window(dy + image * s->Ho * s->Wo * dy_pixel, s->Ho, s->Wo, dy_pixel, h, w,
                              grid->m, zero, window);
        g->isa->winograd->output_grad(grid->m, window, g->fixed, s->O,
                                      g->scratch + g->w_at + t * g->w_row, g->w_plane);
    }
}

/* One point of V or of W in fixed point. */
static void fix_unit(void *context, int64_t unit, int worker)
{
    const sums *g = context;
    int64_t p = unit / 2;
    (void)worker;
    if (unit % 2 == 0)
        g->isa->integer->fix_columns(g->scratch + g->v_at + p * g->v_plane, g->v_row, g->span_tiles,
                                     g->s.C, g->scratch + g->v_fixed_at + p * g->v_fixed_plane,
                                     g->v_row, g->scratch + g->v_scale_at + p * g->v_row);
    else
        g->isa->integer->fix_columns(g->scratch + g->w_at + p * g->w_plane, g->w_row, g->span_tiles,
                                     g->s.O, g->scratch + g->w_fixed_at + p * g->w_fixed_plane,
                                     g->w_row, g->scratch + g->w_scale_at + p * g->w_row);
}

/* S of one point for a block of dw from (o, c) on. */
static void fixed_block(const sums *g, int64_t p, int64_t o, int64_t rows, int64_t c, int64_t cols,
                        float *to)
{
    const int64_t nr = g->isa->gemm->nr;
    int64_t even = soma__ceil_div(rows, soma__ceil_div(rows, g->isa->gemm->mr));
    const float *w = g->scratch + g->w_fixed_at + p * g->w_fixed_plane + o;
    const float *v = g->scratch + g->v_fixed_at + p * g->v_fixed_plane + c;
    const float *w_scale = g->scratch + g->w_scale_at + p * g->w_row + o;
    const float *v_scale = g->scratch + g->v_scale_at + p * g->v_row + c;
    soma__fixed_tile tile = {.length = soma__ceil_div(g->span_tiles, 2),
                             .left_row = 1,
                             .left_step = g->w_row,
                             .right_step = g->v_row,
                             .c_step = g->width};
    for (int64_t j = 0; j < cols; j += nr)
        for (int64_t i = 0; i < rows; i += even) {
            tile.rows = soma__least(even, rows - i);
            tile.cols = soma__least(nr, cols - j);
            tile.left = w + i;
            tile.left_scale = w_scale + i;
            tile.right = v + j;
            tile.right_scale = v_scale + j;
            tile.c = to + i * g->width + j;
            g->isa->integer->fixed_tile(&tile);
        }
}

/* One block of dw. */
static void block_unit(void *context, int64_t unit, int worker)
{
    const sums *g = context;
    const soma__conv_sizes *s = &g->s;
    const int64_t mr = g->isa->gemm->mr, nr = g->isa->gemm->nr;
    float *block = g->scratch + g->private_at + (size_t)worker * g->private_size;
    int64_t o = unit / g->across * g->height, c = unit % g->across * g->width;
    int64_t rows = soma__least(g->height, s->O - o), cols = soma__least(g->width, s->C - c);
    int64_t even = soma__ceil_div(rows, soma__ceil_div(rows, mr));
    soma__gemm_segment segment = {.length = g->span_tiles};
    soma__gemm_tile tile = {.segment = &segment,
                            .segments = 1,
                            .left_step = g->w_row,
                            .right_step = g->v_row,
                            .c_step = g->width};
    for (int64_t p = 0; p < g->points; p++) {
        if (g->fixed) {
            fixed_block(g, p, o, rows, c, cols, block + p * g->s_plane);
            continue;
        }
        segment.left = g->scratch + g->w_at + p * g->w_plane + o;
        segment.right = g->scratch + g->v_at + p * g->v_plane + c;
        for (int64_t j = 0; j < cols; j += nr)
            for (int64_t i = 0; i < rows; i += even) {
                tile.rows = soma__least(even, rows - i);
                tile.cols = soma__least(nr, cols - j);
                tile.left_at = i;
                tile.right_at = j;
                tile.c = block + p * g->s_plane + i * g->width + j;
                g->isa->gemm->tile(&tile);
            }
    }
    float *dw = (float *)g->call->out[0].data + o * 9 * s->C + c;
    for (int64_t i = 0; i < rows; i++)
        g->isa->winograd->weight_grad(g->grid.m, block + i * g->width, g->s_plane, cols,
                                      dw + i * 9 * s->C, s->C, g->span_first > 0);
}

int soma__winograd_choose_weight(const soma__conv_sizes *s, bool fixed)
{
    return soma__winograd_cheapest(s, fixed, (double)s->C, (double)s->O, s->Ho, s->Wo, 6,
                                   LEAST_TILES);
}

/* --- the kernel ---------------------------------------------------------------------------------
 */

size_t soma__winograd_weight_scratch(int m, const soma__call *call, const soma__isa_table *isa,
                                     int threads)
{
    sums g;
    return arrange(&g, m, call, isa, threads) * sizeof(float);
}

void soma__winograd_weight_run(int m, const soma__call *call, const soma__isa_table *isa)
{
    sums g;
    arrange(&g, m, call, isa, soma__pool_threads(call->pool));
    g.call = call;
    g.scratch = call->scratch;
    memset(g.scratch + g.zero_at, 0, (size_t)soma__most(g.s.C, g.s.O) * sizeof(float));
    for (g.span_first = 0; g.span_first < g.grid.tiles; g.span_first += g.span) {
        g.span_tiles = soma__least(g.span, g.grid.tiles - g.span_first);
        soma__parallel(call->pool, soma__ceil_div(g.span_tiles, INPUT_TILES), tiles_unit, &g);
        if (g.fixed)
            soma__parallel(call->pool, 2 * g.points, fix_unit, &g);
        soma__parallel(call->pool, g.down * g.across, block_unit, &g);
    }
}

const char *soma__refuses_conv2d_weight_grad_winograd(const soma__call *call)
{
    if (call->no_winograd)
        return "Winograd's method is switched off";
    if (call->in[0].dtype != SOMA_F32 || call->in[1].dtype != SOMA_F32 ||
        call->out[0].dtype != SOMA_F32)
        return "operands are not f32";
    soma__conv_sizes s = sizes_of(call);
    return soma__winograd_choose_weight(&s, false) ? NULL
                                                   : "the definition is as fast, or the only way";
}

/* The m of a call that the row takes; of others, for which nothing is run, the smallest. */
static int chosen(const soma__call *call)
{
    soma__conv_sizes s = sizes_of(call);
    int m = soma__winograd_choose_weight(&s, false);
    return m ? m : 2;
}

size_t soma__scratch_conv2d_weight_grad_winograd(const soma__call *call, const soma__isa_table *isa,
                                                 int threads)
{
    return soma__winograd_weight_scratch(chosen(call), call, isa, threads);
}

void soma__run_conv2d_weight_grad_winograd(const soma__call *call, const soma__isa_table *isa)
{
    soma__winograd_weight_run(chosen(call), call, isa);
}
