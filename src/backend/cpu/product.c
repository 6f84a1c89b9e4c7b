/* product.c: cuts matrix products into tiles (gemm.h).
 *
 * The shape alone decides tiles and the cuts of each sum, so any number of threads gives the same
 * bits. The threads decide only who packs what, and which task computes a tile.
 *
 * - Swap: C = A·B or Cᵀ = Bᵀ·Aᵀ, whichever fills the vectors better and packs less. Tiles
 *   want the right operand's rows contiguous, so a transposed B must be packed, and the
 *   smaller of A and B is cheaper to pack.
 * - Shared: one large matrix. All threads pack the operands into panels, then all compute
 *   blocks of C that they take from a list. Operands beyond SPAN rows, columns or depth are
 *   taken in several rounds, which bounds the scratch.
 * - Stripes: a large matrix with columns enough. A task has all rows of some columns, so that it
 *   alone needs its right panels and packs them for itself: a panel that another core has just
 *   written comes slowly. Few threads each pack the left operand too, for the same reason.
 * - Solo: many small matrices, or a small C with a long sum. One task does a whole matrix, or
 *   one part of its sum, packing what it needs for itself; parts are added up in order.
 * - Dots: A of few rows, or B of few columns, both with their sums along memory. Each value of
 *   C is a dot product, and nothing is packed, since nothing is used often enough to pay.
 * - Few: A of few rows, B with its rows along memory, which is read once, row by row.
 *
 * Thin products read an operand in place, when packing it would cost more than it gains.
 *
 * B may have been prepared: all of it in panels as deep as k, [panel][k][row of the panel]. Then
 * packing it costs nothing, and is left out of every decision. The cuts of a sum depend on m, n and
 * k only, not on who packs what or on a swap, so all of these ways give the same bits.
 */
#include <string.h>

#include "backend/cpu/fused.h"
#include "backend/cpu/gemm.h"

#define SPAN 2048        /* bounds rows, columns and depth of what is packed at once */
#define DEPTH 256        /* of one pass over k, so that a right panel stays in L1, a round in L2 */
#define WAY_FLOATS 1024  /* rows so far apart fall into one set of L1, and must be packed */
#define TASK_FLOPS 1.5e6 /* smaller tasks cost more in handing out than they gain in balance */
#define TASKS 4          /* for each thread at least, where the work allows, to share it evenly */
#define SWEEP_ROWS 512   /* whose left panels of one pass stay in L2 while right panels pass by */
#define PACK_DEPTH 16    /* rows of the right operand that are packed together, along memory */
#define OWN_LEFT 4       /* most threads that each pack the left operand */
#define BLOCK_ROWS 128   /* bounds the block of C of one task */
#define BLOCK_COLS 512
#define SOLO_VALUES 65536 /* most values of a matrix C done by one task */
#define SOLO_FLOPS 4e6    /* most flops of a matrix of a stack done by one task */
#define PART_DEPTH 1024   /* least depth of one part of a split sum */
#define MAX_PARTS 64
#define DOTS_VALUES 65536     /* of the larger operand, in one task of dots */
#define PART_VALUES (4 << 20) /* bounds the partial sums kept: 16 MB */

typedef struct layout {
    bool swap, solo, dots, few, stripes, own_left, left_by_rows;
    /* An operand is in panels; they were given, prepared (else this call packs them). */
    bool pack_left, pack_right, given_left, given_right;
    /* After the swap: left [m,k], right [k,n]; steps as in soma__product. */
    int64_t m, n, k, left_row, left_col, right_row, right_col;
    int64_t height; /* rows of a tile */
    int64_t span_m, span_n, span_k;
    int64_t block_m, block_n; /* of a task; multiples of height and nr */
    int64_t depth;
    int64_t parts, part_k;
    /* Scratch, in floats: shared, then for each thread. */
    size_t left_at, right_at, sums_at, private_at;
    size_t private_left, private_round, private_right, private_block, private_turned, private_size;
} layout;

typedef struct work {
    const soma__product *p;
    const soma__product_data *data;
    const soma__call *call;
    const soma__isa_table *isa;
    layout l;
    float *scratch;
    /* The round at hand (shared). */
    int64_t matrix;
    const float *left, *right;
    float *c;
    int64_t m0, rows, n0, cols, k0, deep;
    int64_t left_units, chunk;
    bool first, last;
    int64_t round; /* counted from 1 */
} work;

/* `size` cut into equal pieces of at most `limit`, each rounded up to a multiple of `unit`. */
static int64_t even(int64_t size, int64_t limit, int64_t unit)
{
    int64_t pieces = soma__ceil_div(size, limit);
    return pieces < 1 ? unit : soma__ceil_div(soma__ceil_div(size, pieces), unit) * unit;
}

/* --- decisions ----------------------------------------------------------------------------------
 */

/* Estimated cycles of the orientation left [m,k] · right [k,n]. */
static double cost(double m, double n, double k, bool pack_right, bool turn,
                   const soma__isa_table *isa)
{
    double width = isa->width, mr = isa->gemm->mr;
    double vectors = (double)(int64_t)((n + width - 1) / width);
    double tiles = (double)(int64_t)((m + mr - 1) / mr);
    double height = m / tiles, pairs = vectors > 1 ? vectors / 2 : 0.5;
    double step = height * (vectors > 1 ? 1.0 : 0.5); /* two multiply-adds a cycle … */
    step = step < 4 ? 4 : step;                       /* … but each takes four */
    double cycles = tiles * (vectors > 1 ? pairs : 1) * k * step;
    if (pack_right)
        cycles += 0.5 * k * n;
    if (turn)
        cycles += 1.0 * m * n;
    return cycles;
}

/* So few rows of A that B, with its rows along memory, is best read where it lies. */
static bool few_rows(const soma__product *p)
{
    return p->m <= SOMA__GEMM_FEW && p->b_col == 1 && !p->pairs;
}

static void orient(layout *l, const soma__product *p, const soma__isa_table *isa, bool prepared)
{
    double m = (double)p->m, n = (double)p->n, k = (double)p->k;
    bool pack_b = p->b_col != 1 && !prepared;
    l->swap =
        !few_rows(p) && cost(n, m, k, p->a_row != 1, true, isa) < cost(m, n, k, pack_b, false, isa);
    *l = l->swap ? (layout){.swap = true,
                            .m = p->n,
                            .n = p->m,
                            .k = p->k,
                            .left_row = p->b_col,
                            .left_col = p->b_row,
                            .right_row = p->a_col,
                            .right_col = p->a_row}
                 : (layout){.m = p->m,
                            .n = p->n,
                            .k = p->k,
                            .left_row = p->a_row,
                            .left_col = p->a_col,
                            .right_row = p->b_row,
                            .right_col = p->b_col};
    l->left_by_rows = l->left_col == 1;
}

/* Cuts the block of one task: halves the longer side until there are tasks enough or they would get
 * too small. */
static void cut_blocks(layout *l, int64_t nr, int threads)
{
    int64_t m = l->span_m, n = l->span_n;
    for (;;) {
        int64_t tasks = soma__ceil_div(l->span_m, m) * soma__ceil_div(l->span_n, n);
        bool fits = m <= BLOCK_ROWS && n <= BLOCK_COLS;
        double flops = 2.0 * (double)m * (double)n * (double)l->span_k;
        if (fits && (tasks >= TASKS * threads || flops < 2 * TASK_FLOPS))
            break;
        bool can_m = m > l->height, can_n = n > nr;
        if (!can_m && !can_n)
            break;
        if (can_m && (!can_n || m > BLOCK_ROWS || (n <= BLOCK_COLS && 2 * m >= n)))
            m = soma__ceil_div(soma__ceil_div(m, l->height), 2) * l->height;
        else
            n = soma__ceil_div(soma__ceil_div(n, nr), 2) * nr;
    }
    l->block_m = m;
    l->block_n = n;
}

static bool use_dots(const soma__product *p)
{
    return p->batch == 1 && soma__least(p->m, p->n) <= SOMA__GEMM_DOTS && p->a_col == 1 &&
           p->b_row == 1 && p->k >= 16 && !p->pairs;
}

/* Left: the many rows, block_m of them in a task. */
static size_t arrange_dots(layout *l, const soma__product *p, int threads)
{
    bool swap = p->m <= SOMA__GEMM_DOTS;
    *l = (layout){
        .dots = true,
        .swap = swap,
        .m = swap ? p->n : p->m,
        .n = swap ? p->m : p->n,
        .k = p->k,
        .left_row = swap ? p->b_col : p->a_row,
        .right_col = swap ? p->a_row : p->b_col,
    };
    l->block_m = soma__ceil_div(DOTS_VALUES, l->k);
    size_t shared = 0, private = 0;
    l->private_block = soma__take(&private, p->epilogue ? (size_t)(l->block_m * l->n) : 0);
    l->private_size = private;
    l->private_at = soma__take(&shared, private * (size_t)(threads < 1 ? 1 : threads));
    return shared;
}

/* Rows of a tile: at most mr and all about as high; where every one of `shares` threads gets some,
 * a little lower (still filling the multipliers) if that gives them equally many rows. */
static int64_t tile_height(int64_t m, int64_t mr, int64_t shares)
{
    if (m < 1)
        return 1;
    int64_t best = soma__ceil_div(m, soma__ceil_div(m, mr)), least = INT64_MAX;
    if (m < 2 * shares * mr)
        return best;
    for (int64_t height = best; 4 * height >= 3 * mr; height--) {
        int64_t rows = soma__ceil_div(soma__ceil_div(m, height), shares) * height;
        if (rows < least - least / 64) {
            least = rows;
            best = height;
        }
    }
    return best;
}

/* Everything that the shape decides, with or without a prepared B. Returns the floats of scratch
 * for `threads`. */
static size_t arrange(layout *l, const soma__product *p, const soma__isa_table *isa, bool prepared,
                      int threads)
{
    const int64_t mr = isa->gemm->mr, nr = isa->gemm->nr;
    threads = threads < 1 ? 1 : threads;
    if (use_dots(p))
        return arrange_dots(l, p, threads);
    orient(l, p, isa, prepared);
    l->given_left = prepared && l->swap;
    l->given_right = prepared && !l->swap;
    l->few = few_rows(p);
    /* Prepared panels serve any number of threads. */
    l->height = tile_height(l->m, mr, l->given_left ? 1 : threads);
    double flops = 2.0 * (double)l->m * (double)l->n * (double)l->k;
    bool small_c = l->m <= SOLO_VALUES && l->n <= SOLO_VALUES && l->m * l->n <= SOLO_VALUES &&
                   l->m <= SPAN && l->n <= SPAN;
    l->parts = 1;
    if (p->batch > 1) {
        l->solo = small_c && flops <= SOLO_FLOPS;
    } else if (small_c && l->m * l->n < 32 * mr * nr && l->k >= 4 * PART_DEPTH) {
        l->solo = true;
        l->parts = soma__least(l->k / PART_DEPTH, MAX_PARTS);
        if (l->m * l->n > 0)
            l->parts = soma__least(l->parts, PART_VALUES / (l->m * l->n));
    }
    l->part_k = soma__ceil_div(l->k, l->parts);
    bool right = l->right_col != 1 || (l->m > 4 * mr && l->n > nr && l->k >= 32);
    bool left = l->n >= 4 * nr && l->m >= 2 * mr && l->k >= 64 &&
                (!l->left_by_rows || l->left_row % WAY_FLOATS == 0);
    l->pack_right = right || l->given_right;
    l->pack_left = left || l->given_left;
    right = l->pack_right && !l->given_right;
    left = l->pack_left && !l->given_left;
    bool packs = left || right, staged = l->swap || p->epilogue;
    l->stripes = !l->solo && right && l->n >= TASKS * threads * nr;
    l->own_left = l->stripes && left && threads <= OWN_LEFT;
    l->span_m = packs && !l->solo ? even(l->m, SPAN, l->height) : l->m;
    l->span_n = packs && !l->solo ? even(l->n, SPAN, nr) : l->n;
    /* A round that is shallow stays in the L2 caches that the threads read it from; staged blocks
     * would have to keep their sums between rounds. */
    l->depth = even(l->part_k, DEPTH, 1);
    l->span_k = l->solo  ? l->part_k
                : !packs ? l->k
                : staged ? soma__least(l->depth * (SPAN / DEPTH), l->k)
                         : soma__least(l->depth, l->k);
    if (l->solo) {
        l->block_m = l->m;
        l->block_n = l->n;
    } else if (l->stripes) {
        l->block_m = l->span_m;
        l->block_n = even(l->span_n, soma__ceil_div(l->span_n, TASKS * threads), nr);
    } else {
        cut_blocks(l, nr, threads);
    }

    size_t padded_m = (size_t)(soma__ceil_div(l->span_m, l->height) * l->height);
    size_t padded_n = (size_t)(soma__ceil_div(l->span_n, nr) * nr);
    size_t packed_k = (size_t)(l->solo ? l->depth : l->span_k);
    size_t left_size = left ? padded_m * packed_k : 0;
    size_t right_size = right ? padded_n * packed_k : 0;
    size_t block = (size_t)l->block_m * (size_t)l->block_n;
    size_t shared = 0, private = 0;
    if (l->solo) {
        l->private_left = soma__take(&private, left_size);
        l->private_right = soma__take(&private, right_size);
        l->sums_at =
            soma__take(&shared, l->parts > 1 ? (size_t)l->parts * (size_t)(l->m * l->n) : 0);
    } else {
        l->private_left = soma__take(&private, l->own_left ? left_size : 0);
        l->private_round = soma__take(&private, l->own_left ? sizeof(int64_t) / sizeof(float) : 0);
        l->left_at = soma__take(&shared, l->own_left ? 0 : left_size);
        l->private_right = soma__take(&private, l->stripes ? (size_t)(l->block_n * l->depth) : 0);
        l->right_at = soma__take(&shared, l->stripes ? 0 : right_size);
        l->sums_at = soma__take(&shared, staged && l->span_k < l->k ? padded_m * padded_n : 0);
    }
    l->private_block = soma__take(&private, staged ? block : 0);
    l->private_turned = soma__take(&private, l->swap && p->epilogue ? block : 0);
    l->private_size = private;
    l->private_at = soma__take(&shared, private * (size_t)threads);
    return shared;
}

/* Stacks have many B, or one that each matrix packs for itself; dots and products of very few rows
 * are as fast without panels. */
static bool can_prepare(const soma__product *p)
{
    return p->batch == 1 && p->m > 0 && p->n > 0 && p->k > 0 && !few_rows(p) && !use_dots(p);
}

size_t soma__product_scratch(const soma__product *p, const soma__isa_table *isa, int threads)
{
    layout l;
    if (p->m == 0 || p->n == 0 || p->batch == 0)
        return 0; /* nothing to compute, and no layout of it */
    size_t packing = arrange(&l, p, isa, false, threads);
    size_t given = can_prepare(p) ? arrange(&l, p, isa, true, threads) : 0;
    return (packing > given ? packing : given) * sizeof(float);
}

/* --- packing ------------------------------------------------------------------------------------
 */

/* One panel of the left operand: rows [i, i + count) of `left`, k in [k, k + deep). */
static void pack_left(const work *w, float *to, const float *left, int64_t i, int64_t count,
                      int64_t k, int64_t deep)
{
    const layout *l = &w->l;
    if (l->left_by_rows) {
        const float *rows[SOMA__GEMM_MAX_MR];
        for (int64_t r = 0; r < count; r++)
            rows[r] = left + (i + r) * l->left_row + k;
        w->isa->gemm->pack_rows(to, l->height, rows, count, deep);
    } else {
        w->isa->gemm->pack_cols(to, l->height, left + i * l->left_row + k * l->left_col,
                                l->left_col, count, deep);
    }
}

static void pack_right(const work *w, float *to, const float *right, int64_t j, int64_t count,
                       int64_t k, int64_t deep)
{
    const layout *l = &w->l;
    const int64_t nr = w->isa->gemm->nr;
    if (l->right_col != 1) {
        const float *rows[SOMA__GEMM_MAX_NR];
        for (int64_t r = 0; r < count; r++)
            rows[r] = right + (j + r) * l->right_col + k * l->right_row;
        w->isa->gemm->pack_rows(to, nr, rows, count, deep);
    } else {
        w->isa->gemm->pack_cols(to, nr, right + k * l->right_row + j, l->right_row, count, deep);
    }
}

/* All panels of rows [i, i + rows) of the left operand, or of columns [j, j + cols) of the right
 * one.
 */
static void pack_all_left(const work *w, float *to, const float *left, int64_t i, int64_t rows,
                          int64_t k, int64_t deep)
{
    const int64_t height = w->l.height;
    for (int64_t r = 0; r < rows; r += height)
        pack_left(w, to + r * deep, left, i + r, soma__least(height, rows - r), k, deep);
}

static void pack_all_right(const work *w, float *to, const float *right, int64_t j, int64_t cols,
                           int64_t k, int64_t deep)
{
    const int64_t nr = w->isa->gemm->nr;
    const int64_t chunk = w->l.right_col == 1 ? PACK_DEPTH : deep;
    for (int64_t first = 0; first < deep; first += chunk)
        for (int64_t c = 0; c < cols; c += nr)
            pack_right(w, to + c * deep + first * nr, right, j + c, soma__least(nr, cols - c),
                       k + first, soma__least(chunk, deep - first));
}

/* --- computing ----------------------------------------------------------------------------------
 */

/* Operands of a block, packed (then panel p is at data + p·panel_step) or in place. */
typedef struct operand {
    const float *data;
    int64_t panel_step;
} operand;

/* The left operand of the tile's rows, of which the first is row i of the block. `row` has room for
 * their pointers. */
static void place_left(const layout *l, soma__gemm_segment *segment, operand left, int64_t i,
                       int64_t rows, const float **row)
{
    if (l->pack_left) {
        segment->left = left.data + i / l->height * left.panel_step;
    } else if (l->left_by_rows) {
        for (int64_t r = 0; r < rows; r++)
            row[r] = left.data + (i + r) * l->left_row;
        segment->rows = row;
    } else {
        segment->left = left.data + i;
    }
}

/* c[rows, cols] (+)= left · right over `deep` steps of k. */
static void compute(const work *w, operand left, operand right, int64_t rows, int64_t cols,
                    int64_t deep, float *c, int64_t c_step, bool add)
{
    const layout *l = &w->l;
    const int64_t nr = w->isa->gemm->nr, height = l->height;
    soma__tile_fn *const run = w->p->pairs ? w->isa->gemm->tile_pairs : w->isa->gemm->tile;
    soma__gemm_segment segment = {.length = deep};
    soma__gemm_tile tile = {.segment = &segment, .segments = 1, .c_step = c_step, .add = add};
    const float *row[SOMA__GEMM_MAX_MR];
    tile.right_step = l->pack_right ? nr : l->right_row;
    tile.left_step = l->pack_left ? height : l->left_col;
    if (l->few) {
        tile.rows = rows;
        tile.cols = cols;
        tile.c = c;
        place_left(l, &segment, left, 0, rows, row);
        segment.right = right.data;
        w->isa->gemm->few(&tile);
        return;
    }
    /* Deep tiles take their time from the operands: a panel of the right one stays in L1 while
     * those of the left one pass by, as many of them as stay in L2. Shallow ones take it from C,
     * which is then walked along its rows. */
    const bool deep_tiles = deep >= DEPTH / 2 + 1;
    const int64_t sweep = deep_tiles ? SWEEP_ROWS / height * height : height;
    for (int64_t first = 0; first < rows; first += sweep)
        for (int64_t j = 0; j < cols; j += nr)
            for (int64_t i = first; i < rows && i < first + sweep; i += height) {
                tile.rows = soma__least(height, rows - i);
                tile.cols = soma__least(nr, cols - j);
                place_left(l, &segment, left, i, tile.rows, row);
                segment.right =
                    l->pack_right ? right.data + j / nr * right.panel_step : right.data + j;
                tile.c = c + i * c_step + j;
                run(&tile);
            }
}

/* A finished block (rows [m0, m0 + rows), columns [n0, n0 + cols) after the swap) goes to its
 * place: turned if the product was swapped, then through the epilogue. */
static void finish(const work *w, float *block, int64_t step, int64_t matrix, int64_t m0,
                   int64_t rows, int64_t n0, int64_t cols, float *private, float *c)
{
    const layout *l = &w->l;
    int64_t row0 = l->swap ? n0 : m0, col0 = l->swap ? m0 : n0;
    int64_t out_rows = l->swap ? cols : rows, out_cols = l->swap ? rows : cols;
    if (l->swap) {
        float *to = w->p->epilogue ? private + l->private_turned : c + row0 * w->p->n + col0;
        int64_t to_step = w->p->epilogue ? out_cols : w->p->n;
        w->isa->gemm->transpose(to, to_step, block, step, rows, cols);
        block = to;
        step = to_step;
    }
    if (w->p->epilogue)
        soma__epilogue_run(w->call, w->isa, block, step, matrix * w->p->m + row0, out_rows, col0,
                           out_cols);
}

static void pack_unit(void *context, int64_t unit, int worker)
{
    const work *w = context;
    const layout *l = &w->l;
    const int64_t nr = w->isa->gemm->nr;
    (void)worker;
    bool is_left = unit < w->left_units;
    unit -= is_left ? 0 : w->left_units;
    int64_t chunks = soma__ceil_div(w->deep, w->chunk);
    int64_t panel = unit / chunks, k = unit % chunks * w->chunk;
    int64_t deep = soma__least(w->chunk, w->deep - k);
    if (is_left) {
        float *to = w->scratch + l->left_at + (panel * w->deep + k) * l->height;
        int64_t i = panel * l->height;
        pack_left(w, to, w->left, w->m0 + i, soma__least(l->height, w->rows - i), w->k0 + k, deep);
    } else {
        float *to = w->scratch + l->right_at + (panel * w->deep + k) * nr;
        int64_t j = panel * nr;
        pack_right(w, to, w->right, w->n0 + j, soma__least(nr, w->cols - j), w->k0 + k, deep);
    }
}

/* The left panels of this round that belong to one worker, packed on its first task of the round.
 */
static const float *own_left(const work *w, float *private)
{
    float *to = private + w->l.private_left;
    int64_t *round = (int64_t *)(void *)(private + w->l.private_round);
    if (*round != w->round)
        pack_all_left(w, to, w->left, w->m0, w->rows, w->k0, w->deep);
    *round = w->round;
    return to;
}

/* The prepared panels from row (or column) `at` on, from k on. */
static operand given(const work *w, int64_t at, int64_t width, int64_t k)
{
    return (operand){w->data->prepared + at * w->l.k + k * width, w->l.k * width};
}

static void compute_unit(void *context, int64_t unit, int worker)
{
    const work *w = context;
    const layout *l = &w->l;
    const int64_t nr = w->isa->gemm->nr;
    float *private = w->scratch + l->private_at + (size_t)worker * l->private_size;
    int64_t across = soma__ceil_div(w->cols, l->block_n);
    int64_t i = unit / across * l->block_m, j = unit % across * l->block_n;
    int64_t rows = soma__least(l->block_m, w->rows - i),
            cols = soma__least(l->block_n, w->cols - j);
    float *c;
    int64_t step;
    if (!l->swap && !w->p->epilogue) {
        c = w->c + (w->m0 + i) * l->n + w->n0 + j;
        step = l->n;
    } else if (l->span_k < l->k) {
        c = w->scratch + l->sums_at + i * l->span_n + j;
        step = l->span_n;
    } else {
        c = private + l->private_block;
        step = cols;
    }
    int64_t k = 0;
    do {
        int64_t deep = soma__least(l->depth, w->deep - k);
        operand left, right; /* of a given one the original may not be there */
        if (l->given_left) {
            left = given(w, w->m0 + i, l->height, w->k0 + k);
        } else if (l->pack_left) {
            const float *panels = l->own_left ? own_left(w, private) : w->scratch + l->left_at;
            left =
                (operand){panels + (i / l->height * w->deep + k) * l->height, w->deep * l->height};
        } else {
            left = (operand){w->left + (w->m0 + i) * l->left_row + (w->k0 + k) * l->left_col, 0};
        }
        if (l->given_right) {
            right = given(w, w->n0 + j, nr, w->k0 + k);
        } else if (l->stripes) {
            float *panels = private + l->private_right;
            pack_all_right(w, panels, w->right, w->n0 + j, cols, w->k0 + k, deep);
            right = (operand){panels, deep * nr};
        } else if (l->pack_right) {
            right = (operand){w->scratch + l->right_at + (j / nr * w->deep + k) * nr, w->deep * nr};
        } else {
            right =
                (operand){w->right + (w->k0 + k) * l->right_row + (w->n0 + j) * l->right_col, 0};
        }
        compute(w, left, right, rows, cols, deep, c, step, !w->first || k > 0);
        k += deep;
    } while (k < w->deep);
    if (w->last)
        finish(w, c, step, w->matrix, w->m0 + i, rows, w->n0 + j, cols, private, w->c);
}

/* First elements of matrix `index`'s operands. */
static void locate(const work *w, int64_t index, const float **left, const float **right)
{
    const soma__product_data *d = w->data;
    const float *a = d->a, *b = d->b;
    for (int i = d->batch_dims - 1; i >= 0; i--) {
        int64_t at = index % d->batch_dim[i];
        index /= d->batch_dim[i];
        a += at * d->a_step[i];
        b += at * d->b_step[i];
    }
    *left = w->l.swap ? b : a;
    *right = w->l.swap ? a : b;
}

static void run_shared(work *w)
{
    const layout *l = &w->l;
    const int64_t nr = w->isa->gemm->nr;
    w->round = 0;
    for (int t = 0; l->own_left && t < soma__pool_threads(w->call->pool); t++) {
        float *private = w->scratch + l->private_at + (size_t)t * l->private_size;
        *(int64_t *)(void *)(private + l->private_round) = 0;
    }
    for (w->m0 = 0; w->m0 < l->m; w->m0 += l->span_m)
        for (w->n0 = 0; w->n0 < l->n; w->n0 += l->span_n) {
            w->rows = soma__least(l->span_m, l->m - w->m0);
            w->cols = soma__least(l->span_n, l->n - w->n0);
            w->k0 = 0;
            do {
                w->deep = soma__least(l->span_k, l->k - w->k0);
                w->first = w->k0 == 0;
                w->last = w->k0 + w->deep == l->k;
                w->round++;
                /* Panels are packed in pieces, so that one wide panel does not keep one thread
                 * busy and the others waiting. */
                w->chunk = 256;
                int64_t chunks = soma__ceil_div(w->deep, w->chunk);
                bool share_left = l->pack_left && !l->own_left && !l->given_left;
                bool share_right = l->pack_right && !l->stripes && !l->given_right;
                w->left_units = share_left ? soma__ceil_div(w->rows, l->height) * chunks : 0;
                int64_t right_units = share_right ? soma__ceil_div(w->cols, nr) * chunks : 0;
                soma__parallel(w->call->pool, w->left_units + right_units, pack_unit, w);
                soma__parallel(w->call->pool,
                               soma__ceil_div(w->rows, l->block_m) *
                                   soma__ceil_div(w->cols, l->block_n),
                               compute_unit, w);
                w->k0 += w->deep;
            } while (w->k0 < l->k);
        }
}

/* --- solo ---------------------------------------------------------------------------------------
 */

static void solo_unit(void *context, int64_t unit, int worker)
{
    work *w = context;
    const layout *l = &w->l;
    const int64_t nr = w->isa->gemm->nr;
    float *private = w->scratch + l->private_at + (size_t)worker * l->private_size;
    float *packed_left = private + l->private_left, *packed_right = private + l->private_right;
    int64_t matrix = unit / l->parts, part = unit % l->parts;
    const float *left, *right;
    locate(w, matrix, &left, &right);
    /* A part's sums, or the matrix itself. */
    float *out = l->parts > 1 ? w->scratch + l->sums_at + part * l->m * l->n
                 : w->data->c ? w->data->c + matrix * l->m * l->n
                              : NULL;
    bool staged = l->swap || (w->p->epilogue && l->parts == 1);
    float *c = staged ? private + l->private_block : out;
    int64_t first = soma__least(part * l->part_k, l->k), k = first;
    int64_t end = soma__least(first + l->part_k, l->k);
    do {
        int64_t deep = soma__least(l->depth, end - k);
        operand left_k, right_k;
        if (l->given_left) {
            left_k = given(w, 0, l->height, k);
        } else if (l->pack_left) {
            pack_all_left(w, packed_left, left, 0, l->m, k, deep);
            left_k = (operand){packed_left, deep * l->height};
        } else {
            left_k = (operand){left + k * l->left_col, 0};
        }
        if (l->given_right) {
            right_k = given(w, 0, nr, k);
        } else if (l->pack_right) {
            pack_all_right(w, packed_right, right, 0, l->n, k, deep);
            right_k = (operand){packed_right, deep * nr};
        } else {
            right_k = (operand){right + k * l->right_row, 0};
        }
        compute(w, left_k, right_k, l->m, l->n, deep, c, l->n, k > first);
        k += deep;
    } while (k < end);
    if (l->parts == 1)
        finish(w, c, l->n, matrix, 0, l->m, 0, l->n, private, out);
    else if (l->swap)
        w->isa->gemm->transpose(out, l->m, c, l->n, l->m, l->n);
}

#define SUM_VALUES 4096

/* Adds the parts in order, a stretch of whole rows at a time, into the first of them or into C. */
static void sum_unit(void *context, int64_t unit, int worker)
{
    work *w = context;
    const layout *l = &w->l;
    (void)worker;
    int64_t m = w->p->m, n = w->p->n;
    int64_t rows = n < SUM_VALUES ? SUM_VALUES / n : 1;
    int64_t row0 = unit * rows;
    rows = soma__least(rows, m - row0);
    float *parts = w->scratch + l->sums_at + row0 * n;
    for (int64_t part = 1; part < l->parts; part++)
        w->isa->gemm->accumulate(parts, parts + part * m * n, rows * n);
    if (w->p->epilogue)
        soma__epilogue_run(w->call, w->isa, parts, n, row0, rows, 0, n);
    else
        memcpy(w->data->c + row0 * n, parts, (size_t)(rows * n) * sizeof(float));
}

/* --- dots ---------------------------------------------------------------------------------------
 */

static void dots_unit(void *context, int64_t unit, int worker)
{
    const work *w = context;
    const layout *l = &w->l;
    int64_t first = unit * l->block_m, count = soma__least(l->block_m, l->m - first);
    int64_t row0 = l->swap ? 0 : first, col0 = l->swap ? first : 0;
    int64_t rows = l->swap ? l->n : count, cols = l->swap ? count : l->n;
    bool epilogue = w->p->epilogue;
    int64_t step = epilogue ? cols : w->p->n;
    float *c =
        epilogue ? w->scratch + l->private_at + (size_t)worker * l->private_size + l->private_block
                 : w->data->c + row0 * step + col0;
    const float *few[SOMA__GEMM_DOTS], *many[SOMA__GEMM_DOTS];
    for (int64_t j = 0; j < l->n; j++)
        few[j] = w->right + j * l->right_col;
    /* A single one is multiplied with several of the many at once: memory delivers several streams
     * faster than one. */
    const int64_t together = l->n == 1 ? SOMA__GEMM_DOTS : 1;
    for (int64_t i = 0; i < count; i += together) {
        float values[SOMA__GEMM_DOTS];
        int64_t part = soma__least(together, count - i), results = part * l->n;
        for (int64_t r = 0; r < part; r++)
            many[r] = w->left + (first + i + r) * l->left_row;
        if (l->n == 1)
            w->isa->gemm->dots(values, many, part, few[0], l->k);
        else
            w->isa->gemm->dots(values, few, l->n, many[0], l->k);
        for (int64_t v = 0; v < results; v++) {
            int64_t at = i + (l->n == 1 ? v : 0), j = l->n == 1 ? 0 : v;
            c[l->swap ? j * step + at : at * step + j] = values[v];
        }
    }
    if (epilogue)
        soma__epilogue_run(w->call, w->isa, c, step, row0, rows, col0, cols);
}

void soma__product_run(const soma__product *p, const soma__product_data *data,
                       const soma__call *call, const soma__isa_table *isa)
{
    work w = {.p = p, .data = data, .call = call, .isa = isa, .scratch = call->scratch};
    if (p->m == 0 || p->n == 0 || p->batch == 0)
        return;
    arrange(&w.l, p, isa, data->prepared != NULL, soma__pool_threads(call->pool));
    if (w.l.dots) {
        locate(&w, 0, &w.left, &w.right);
        soma__parallel(call->pool, soma__ceil_div(w.l.m, w.l.block_m), dots_unit, &w);
        return;
    }
    if (w.l.solo) {
        soma__parallel(call->pool, p->batch * w.l.parts, solo_unit, &w);
        if (w.l.parts > 1) {
            int64_t rows = p->n < SUM_VALUES ? SUM_VALUES / p->n : 1;
            soma__parallel(call->pool, soma__ceil_div(p->m, rows), sum_unit, &w);
        }
        return;
    }
    for (w.matrix = 0; w.matrix < p->batch; w.matrix++) {
        locate(&w, w.matrix, &w.left, &w.right);
        w.c = data->c ? data->c + w.matrix * p->m * p->n : NULL;
        run_shared(&w);
    }
}

/* --- preparing B --------------------------------------------------------------------------------
 */

static void prepare_unit(void *context, int64_t panel, int worker)
{
    const work *w = context;
    const layout *l = &w->l;
    const int64_t nr = w->isa->gemm->nr;
    (void)worker;
    if (l->swap) {
        int64_t i = panel * l->height;
        pack_left(w, w->scratch + i * l->k, w->left, i, soma__least(l->height, l->m - i), 0, l->k);
    } else {
        int64_t j = panel * nr;
        pack_right(w, w->scratch + j * l->k, w->right, j, soma__least(nr, l->n - j), 0, l->k);
    }
}

/* Panels and their width. */
static int64_t prepared_panels(layout *l, const soma__product *p, const soma__isa_table *isa,
                               int64_t *width)
{
    arrange(l, p, isa, true, 1);
    *width = l->swap ? l->height : isa->gemm->nr;
    return soma__ceil_div(p->n, *width);
}

size_t soma__product_prepared(const soma__product *p, const soma__isa_table *isa)
{
    layout l;
    int64_t width;
    if (!can_prepare(p))
        return 0;
    int64_t panels = prepared_panels(&l, p, isa, &width);
    return (size_t)(panels * width * p->k) * sizeof(float);
}

void soma__product_prepare(const soma__product *p, const float *b, const soma__isa_table *isa,
                           soma__pool *pool, void *to)
{
    work w = {.p = p, .isa = isa, .left = b, .right = b, .scratch = to};
    int64_t width, panels = prepared_panels(&w.l, p, isa, &width);
    soma__parallel(pool, panels, prepare_unit, &w);
}
