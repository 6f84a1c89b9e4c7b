/* conv.c: conv2d and conv2d_input_grad as products that gather their rows.
 *
 * Both compute destination pixels (of y, or of dx) from source pixels (of x, or of dy):
 *
 *     dst[pixel, :] = sum over taps:  src[pixel under the tap, :] · right[tap]
 *
 * where right[tap] is the weight's [channels in, channels out] of that tap, packed into panels:
 * once per call, or before it (call->prepared). A tile's left operand is a table of pointers to
 * source pixels, one for each tap and destination pixel; taps outside of the image point to a row
 * of zeros. So there is no matrix of windows, and the kernel's inner loop is that of a plain
 * product. (A zero row times an infinite weight is NaN where the plain definition leaves the tap
 * out; with finite weights there is no difference.)
 *
 * The input gradient of a strided conv reads y only through those taps that hit a whole stride.
 * Which ones depends on the pixel's position modulo the stride, so its pixels are taken class by
 * class, and each class has its own short list of taps.
 *
 *     forward     source row = i·stride + (u·dilation - pad)                       one class
 *     input grad  source row = i' + (r + pad - u·dilation) / stride, i = r + i'·stride
 *
 * Operands of bf16 go through the same tables: a pixel is then a row of pairs of channels (gemm.h).
 *
 * Few source channels would make the inner loop too short: then the pixels under the taps are first
 * copied into a panel. (Most convolutions of few channels are better off in conv_planes.c.)
 */
#include <string.h>

#include "backend/cpu/conv.h"
#include "backend/cpu/fused.h"

#define CHUNK_TILES 8   /* tiles of pixels in a task, at most */
#define TASKS 32        /* as many as keep many threads busy, where the work allows */
#define NARROW 8        /* fewer source channels than this are copied into panels */
#define PASS_DEPTH 1152 /* of the right operand used between two looks at the sums: 144 KB */

/* A tap that a class of pixels uses: source = class position · scale + at. */
typedef struct tap {
    int64_t index, at[2];
} tap;

typedef struct gather {
    soma__conv_sizes s;
    bool forward, staged, narrow, pairs;
    int64_t src_size[2], src_c, dst_size[2], dst_c, in, out; /* in, out: channels of a group; src_c
                                                                and in count pairs where they are */
    int64_t scale[2], step[2], classes;
    int64_t panels, depth; /* of a group's right operand; depth = taps · in */
    int64_t chunk, chunks, panels_a_task, panel_tasks;
    /* Scratch, in floats. */
    size_t right_at, zero_at, private_at;
    size_t private_taps, private_table, private_segments, private_left, private_block;
    size_t private_size;
    const soma__call *call;
    const soma__isa_table *isa;
    float *scratch;
    float *packed;      /* where pack_unit writes */
    const float *right; /* all panels */
} gather;

/* Everything that the shape decides; returns the floats of scratch. */
static size_t arrange(gather *g, const soma__conv_sizes *s, bool forward, bool epilogue, bool pairs,
                      const soma__isa_table *isa, int threads)
{
    const int64_t mr = isa->gemm->mr, nr = isa->gemm->nr, unit = pairs ? 2 : 1;
    *g = (gather){.s = *s, .forward = forward, .pairs = pairs, .isa = isa};
    const int64_t x_size[2] = {s->H, s->W}, y_size[2] = {s->Ho, s->Wo};
    int64_t positions = s->N;
    for (int d = 0; d < 2; d++) {
        g->src_size[d] = forward ? x_size[d] : y_size[d];
        g->dst_size[d] = forward ? y_size[d] : x_size[d];
        g->scale[d] = forward ? s->stride[d] : 1;
        g->step[d] = forward ? 1 : soma__least(s->stride[d], g->dst_size[d]);
        positions *= soma__ceil_div(g->dst_size[d], g->step[d]);
    }
    /* A stride beyond the image has a class for each pixel, of which most see no tap. */
    g->classes = g->step[0] * g->step[1];
    g->src_c = (forward ? s->C : s->O) / unit;
    g->dst_c = forward ? s->O : s->C;
    g->in = (forward ? s->group_c : s->group_o) / unit;
    g->out = forward ? s->group_o : s->group_c;
    g->staged = epilogue || g->classes > 1;
    g->narrow = g->in < NARROW && !pairs;
    g->panels = soma__ceil_div(g->out, nr);
    g->depth = s->taps * g->in;

    int64_t tiles = CHUNK_TILES;
    g->panels_a_task = g->panels;
    for (;;) {
        g->chunk = tiles * mr;
        g->chunks = soma__ceil_div(positions, g->chunk);
        g->panel_tasks = soma__ceil_div(g->panels, g->panels_a_task);
        if (g->chunks * g->panel_tasks * g->classes * s->groups >= TASKS)
            break;
        if (g->panels_a_task > 4)
            g->panels_a_task = soma__ceil_div(g->panels_a_task, 2);
        else if (tiles > 2)
            tiles /= 2;
        else if (g->panels_a_task > 1)
            g->panels_a_task = soma__ceil_div(g->panels_a_task, 2);
        else
            break;
    }

    size_t shared = 0, private = 0;
    g->right_at = soma__take(&shared, (size_t)(s->groups * g->panels * g->depth * nr));
    g->zero_at = soma__take(&shared, (size_t)g->src_c);
    g->private_taps = soma__take(&private, soma__floats_of(s->taps, sizeof(tap)));
    g->private_table =
        soma__take(&private, soma__floats_of(s->taps * g->chunk, sizeof(const float *)));
    g->private_segments =
        soma__take(&private, soma__floats_of(s->taps, sizeof(soma__gemm_segment)));
    g->private_left = soma__take(&private, g->narrow ? (size_t)(g->depth * g->chunk) : 0);
    g->private_block =
        soma__take(&private, g->staged ? (size_t)(g->chunk * g->panels_a_task * nr) : 0);
    g->private_size = private;
    g->private_at = soma__take(&shared, private * (size_t)(threads < 1 ? 1 : threads));
    return shared;
}

/* The panel of an input gradient whose sums run over pairs of output channels, `row` apart. */
static void pack_pairs(const gather *g, float *to, const uint16_t *w, int64_t row, int64_t count)
{
    const int64_t nr = g->isa->gemm->nr;
    for (int64_t t = 0; t < g->s.taps; t++)
        for (int64_t k = 0; k < g->in; k++, to += nr) {
            const uint16_t *even = w + 2 * k * row + t * g->s.group_c;
            g->isa->gemm->interleave(to, even, even + row, count);
            for (int64_t i = count; i < nr; i++)
                to[i] = 0;
        }
}

/* One panel of one group's right operand: [taps · in][nr]. */
static void pack_unit(void *context, int64_t unit, int worker)
{
    const gather *g = context;
    const soma__conv_sizes *s = &g->s;
    const int64_t nr = g->isa->gemm->nr, row = s->taps * s->group_c; /* of an output channel */
    (void)worker;
    int64_t group = unit / g->panels, j = unit % g->panels * nr;
    int64_t count = soma__least(nr, g->out - j), first = group * s->group_o * row;
    float *to = g->packed + unit * g->depth * nr;
    const void *w = g->call->in[1].data;
    if (g->forward) {
        const float *rows[SOMA__GEMM_MAX_NR];
        for (int64_t o = 0; o < count; o++)
            rows[o] = (const float *)w + (first + (j + o) * row) / (g->pairs ? 2 : 1);
        g->isa->gemm->pack_rows(to, nr, rows, count, g->depth);
    } else if (g->pairs) {
        pack_pairs(g, to, (const uint16_t *)w + first + j, row, count);
    } else {
        for (int64_t t = 0; t < s->taps; t++)
            g->isa->gemm->pack_cols(to + t * g->in * nr, nr,
                                    (const float *)w + first + t * s->group_c + j, row, count,
                                    g->in);
    }
}

/* The taps that pixels at `residue` (modulo the step) use. */
static int64_t list_taps(const gather *g, const int64_t residue[2], tap *taps)
{
    const soma__conv_sizes *s = &g->s;
    int64_t count = 0;
    for (int64_t t = 0; t < s->taps; t++) {
        const int64_t cell[2] = {t / s->kernel[1], t % s->kernel[1]};
        tap one = {.index = t};
        bool used = true;
        for (int d = 0; d < 2; d++) {
            int64_t offset = cell[d] * s->dilation[d] - s->pad[d];
            if (g->forward) {
                one.at[d] = offset;
            } else {
                used = used && (residue[d] - offset) % s->stride[d] == 0;
                one.at[d] = (residue[d] - offset) / s->stride[d];
            }
        }
        if (used)
            taps[count++] = one;
    }
    return count;
}

/* Fills table[tap][p] for `length` pixels of one row of a class, from class column `col`. */
static void fill_run(const gather *g, const tap *taps, int64_t count, int64_t image, int64_t row,
                     int64_t col, int64_t length, const float **table)
{
    const float *zero = g->scratch + g->zero_at, *src = g->call->in[0].data;
    for (int64_t t = 0; t < count; t++, table += g->chunk) {
        int64_t h = row * g->scale[0] + taps[t].at[0];
        int64_t first = 0, end = 0;
        int64_t w = col * g->scale[1] + taps[t].at[1];
        if (h >= 0 && h < g->src_size[0])
            soma__conv_valid(w, g->scale[1], g->src_size[1], length, &first, &end);
        for (int64_t p = 0; p < first; p++)
            table[p] = zero;
        const int64_t pixel = (image * g->src_size[0] + h) * g->src_size[1] + w;
        const int64_t step = g->scale[1] * g->src_c, base = pixel * g->src_c;
        for (int64_t p = first; p < end; p++)
            table[p] = src + (base + p * step);
        for (int64_t p = end; p < length; p++)
            table[p] = zero;
    }
}

/* Calls fill_run for each stretch of pixels [first, first + count) of a class of `size` rows and
 * columns. */
static void fill_table(const gather *g, const tap *taps, int64_t tap_count, const int64_t size[2],
                       int64_t first, int64_t count, const float **table)
{
    int64_t row = first / size[1], col = first % size[1];
    for (int64_t p = 0; p < count;) {
        int64_t length = soma__least(size[1] - col, count - p);
        fill_run(g, taps, tap_count, row / size[0], row % size[0], col, length, table + p);
        p += length;
        row++;
        col = 0;
    }
}

/* Copies the pixels under the taps into panels: left[tile][tap][channel][pixel of the tile]. */
static void pack_left(const gather *g, int64_t taps, int64_t first_channel, int64_t count,
                      const float *const *table, float *left)
{
    const int64_t mr = g->isa->gemm->mr;
    for (int64_t i = 0; i < count; i += mr) {
        int64_t rows = soma__least(mr, count - i);
        float *to = left + i * g->depth;
        for (int64_t t = 0; t < taps; t++) {
            const float *const *from = table + t * g->chunk + i;
            for (int64_t c = 0; c < g->in; c++, to += mr)
                for (int64_t r = 0; r < rows; r++)
                    to[r] = from[r][first_channel + c];
        }
    }
}

typedef struct block {
    int64_t group, first_panel, panels, count; /* count: pixels */
    int64_t taps;
    const tap *tap;
    const float *const *table;
    const float *left; /* narrow */
    soma__gemm_segment *segment;
    float *c;
    int64_t c_step;
} block;

/* The taps [t, t + count) of one tile of pixels, as segments. */
static int64_t make_segments(const gather *g, const block *b, int64_t i, int64_t t, int64_t count,
                             const float *right)
{
    const int64_t mr = g->isa->gemm->mr, nr = g->isa->gemm->nr;
    if (g->narrow && b->taps == g->s.taps) {
        b->segment[0] = (soma__gemm_segment){.left = b->left + i * g->depth + t * g->in * mr,
                                             .right = right + t * g->in * nr,
                                             .length = count * g->in};
        return 1;
    }
    for (int64_t q = 0; q < count; q++) {
        soma__gemm_segment *segment = &b->segment[q];
        segment->left = g->narrow ? b->left + i * g->depth + (t + q) * g->in * mr : NULL;
        segment->rows = g->narrow ? NULL : b->table + (t + q) * g->chunk + i;
        segment->right = right + b->tap[t + q].index * g->in * nr;
        segment->length = g->in;
    }
    return count;
}

static void compute(const gather *g, const block *b)
{
    const int64_t mr = g->isa->gemm->mr, nr = g->isa->gemm->nr;
    soma__tile_fn *const run_tile = g->pairs ? g->isa->gemm->tile_pairs : g->isa->gemm->tile;
    int64_t pass = PASS_DEPTH / g->in;
    pass = pass < 1 ? 1 : pass;
    soma__gemm_tile tile = {
        .segment = b->segment,
        .left_step = g->narrow ? mr : 1,
        .right_step = nr,
        .left_at = g->narrow ? 0 : b->group * g->in,
        .c_step = b->c_step,
    };
    for (int64_t p = 0; p < b->panels; p++) {
        int64_t j = (b->first_panel + p) * nr;
        const float *right = g->right + (b->group * g->panels + b->first_panel + p) * g->depth * nr;
        tile.cols = soma__least(nr, g->out - j);
        int64_t t = 0;
        do {
            int64_t count = soma__least(pass, b->taps - t);
            tile.add = t > 0;
            for (int64_t i = 0; i < b->count; i += mr) {
                tile.rows = soma__least(mr, b->count - i);
                tile.segments = make_segments(g, b, i, t, count, right);
                tile.c = b->c + i * b->c_step + p * nr;
                run_tile(&tile);
            }
            t += count;
        } while (t < b->taps);
    }
}

/* Rows of a staged block to their pixels. */
static void scatter(const gather *g, const block *b, const int64_t residue[2],
                    const int64_t size[2], int64_t first, int64_t col0, int64_t cols)
{
    float *dst = g->call->out[0].data;
    for (int64_t p = 0; p < b->count; p++) {
        int64_t at = first + p, row = at / size[1];
        int64_t h = row % size[0] * g->step[0] + residue[0];
        int64_t w = at % size[1] * g->step[1] + residue[1];
        int64_t pixel = (row / size[0] * g->dst_size[0] + h) * g->dst_size[1] + w;
        memcpy(dst + pixel * g->dst_c + col0, b->c + p * b->c_step, (size_t)cols * sizeof(float));
    }
}

static void gather_unit(void *context, int64_t unit, int worker)
{
    const gather *g = context;
    const int64_t nr = g->isa->gemm->nr;
    float *private = g->scratch + g->private_at + (size_t)worker * g->private_size;
    tap *taps = (void *)(private + g->private_taps);
    const float **table = (void *)(private + g->private_table);
    block b = {.segment = (void *)(private + g->private_segments),
               .left = private + g->private_left,
               .tap = taps,
               .table = table};

    int64_t chunk = unit % g->chunks;
    unit /= g->chunks;
    b.first_panel = unit % g->panel_tasks * g->panels_a_task;
    unit /= g->panel_tasks;
    b.group = unit % g->s.groups;
    unit /= g->s.groups;
    const int64_t residue[2] = {unit / g->step[1], unit % g->step[1]};
    const int64_t size[2] = {
        soma__ceil_div(g->dst_size[0] - residue[0], g->step[0]),
        soma__ceil_div(g->dst_size[1] - residue[1], g->step[1]),
    };
    int64_t first = chunk * g->chunk;
    b.count = soma__least(g->chunk, g->s.N * size[0] * size[1] - first);
    if (b.count <= 0)
        return;
    b.panels = soma__least(g->panels_a_task, g->panels - b.first_panel);
    int64_t col0 = b.group * g->out + b.first_panel * nr;
    int64_t cols = soma__least(b.panels * nr, g->out - b.first_panel * nr);

    b.taps = list_taps(g, residue, taps);
    fill_table(g, taps, b.taps, size, first, b.count, table);
    if (g->narrow)
        pack_left(g, b.taps, b.group * g->in, b.count, table, private + g->private_left);
    b.c_step = g->staged ? b.panels * nr : g->dst_c;
    b.c = g->staged ? private + g->private_block
                    : (float *)g->call->out[0].data + first * g->dst_c + col0;
    compute(g, &b);
    if (g->classes > 1)
        scatter(g, &b, residue, size, first, col0, cols);
    else if (g->staged)
        soma__epilogue_run(g->call, g->isa, b.c, b.c_step, first, b.count, col0, cols);
}

static void run_gather(gather *g, const soma__call *call)
{
    g->call = call;
    g->scratch = call->scratch;
    memset(g->scratch + g->zero_at, 0, (size_t)g->src_c * sizeof(float));
    g->packed = g->scratch + g->right_at;
    g->right = call->prepared ? call->prepared : g->packed;
    if (!call->prepared)
        soma__parallel(call->pool, g->s.groups * g->panels, pack_unit, g);
    soma__parallel(call->pool, g->chunks * g->panel_tasks * g->s.groups * g->classes, gather_unit,
                   g);
}

/* --- the kernels --------------------------------------------------------------------------------
 */

static const char *refuses(const soma__call *call)
{
    if (call->in[0].dtype != SOMA_F32 || call->in[1].dtype != SOMA_F32)
        return "operands are not f32";
    if (!call->program && call->out[0].dtype != SOMA_F32)
        return "the result is not f32";
    return NULL;
}

const char *soma__refuses_conv2d(const soma__call *call)
{
    return refuses(call);
}
const char *soma__refuses_conv2d_input_grad(const soma__call *call)
{
    return refuses(call);
}

static soma__conv_sizes forward_sizes(const soma__call *call)
{
    return soma__conv_read(call->attrs, &call->in[0].shape, &call->in[1].shape,
                           &call->out[0].shape);
}

static soma__conv_sizes input_grad_sizes(const soma__call *call)
{
    return soma__conv_read(call->attrs, &call->out[0].shape, &call->in[1].shape,
                           &call->in[0].shape);
}

soma__product soma__conv_product(const soma__conv_sizes *s, bool forward, bool epilogue)
{
    soma__product p = {.m = s->N * s->H * s->W, .a_col = 1, .batch = 1, .epilogue = epilogue};
    p.k = p.a_row = forward ? s->C : s->O;
    p.n = forward ? s->O : s->C;
    p.b_row = forward ? 1 : s->C;
    p.b_col = forward ? s->C : 1;
    return p;
}

/* bf16.c sends both operands as bf16, and only what gathers pairs. */
static bool of_pairs(const soma__call *call)
{
    return call->in[0].dtype == SOMA_BF16;
}

static size_t scratch(const soma__conv_sizes *s, const soma__call *call, bool forward,
                      const soma__isa_table *isa, int threads)
{
    bool epilogue = call->program != NULL;
    if (soma__conv_is_product(s)) {
        soma__product p = soma__conv_product(s, forward, epilogue);
        return soma__product_scratch(&p, isa, threads);
    }
    if (soma__conv_is_depthwise(s))
        return soma__depthwise_scratch(s, epilogue, threads);
    if (!of_pairs(call) && soma__conv_suits_planes(s, forward, isa))
        return soma__planes_scratch(s, forward, epilogue, isa, threads);
    gather g;
    return arrange(&g, s, forward, epilogue, of_pairs(call), isa, threads) * sizeof(float);
}

static void run(const soma__conv_sizes *s, const soma__call *call, bool forward,
                const soma__isa_table *isa)
{
    bool epilogue = call->program != NULL;
    if (call->out[0].count == 0)
        return;
    if (soma__conv_is_product(s)) {
        soma__product p = soma__conv_product(s, forward, epilogue);
        soma__product_data data = {.a = call->in[0].data,
                                   .b = call->in[1].data,
                                   .prepared = call->prepared,
                                   .c = epilogue ? NULL : call->out[0].data};
        soma__product_run(&p, &data, call, isa);
    } else if (soma__conv_is_depthwise(s)) {
        if (forward)
            soma__depthwise_forward(s, call, isa);
        else
            soma__depthwise_input_grad(s, call, isa);
    } else if (!of_pairs(call) && soma__conv_suits_planes(s, forward, isa)) {
        soma__planes_run(s, forward, call, isa);
    } else {
        gather g;
        arrange(&g, s, forward, epilogue, of_pairs(call), isa, soma__pool_threads(call->pool));
        run_gather(&g, call);
    }
}

static size_t prepared(const soma__conv_sizes *s, bool forward, const soma__isa_table *isa)
{
    if (soma__conv_is_product(s)) {
        soma__product p = soma__conv_product(s, forward, false);
        return soma__product_prepared(&p, isa);
    }
    if (soma__conv_is_depthwise(s))
        return (size_t)(s->taps * s->C) * sizeof(float);
    if (soma__conv_suits_planes(s, forward, isa))
        return soma__planes_prepared(s, forward, isa);
    gather g;
    arrange(&g, s, forward, false, false, isa, 1);
    return (size_t)(s->groups * g.panels * g.depth * isa->gemm->nr) * sizeof(float);
}

static void prepare(const soma__conv_sizes *s, const soma__call *call, bool forward,
                    const soma__isa_table *isa, float *to)
{
    if (soma__conv_is_product(s)) {
        soma__product p = soma__conv_product(s, forward, false);
        soma__product_prepare(&p, call->in[1].data, isa, call->pool, to);
    } else if (soma__conv_is_depthwise(s)) {
        isa->gemm->transpose(to, s->C, call->in[1].data, s->taps, s->C, s->taps);
    } else if (soma__conv_suits_planes(s, forward, isa)) {
        soma__planes_prepare(s, forward, call, isa, to);
    } else {
        gather g;
        arrange(&g, s, forward, false, false, isa, 1);
        g.call = call;
        g.packed = to;
        soma__parallel(call->pool, s->groups * g.panels, pack_unit, &g);
    }
}

size_t soma__scratch_conv2d(const soma__call *call, const soma__isa_table *isa, int threads)
{
    soma__conv_sizes s = forward_sizes(call);
    return scratch(&s, call, true, isa, threads);
}

void soma__run_conv2d(const soma__call *call, const soma__isa_table *isa)
{
    soma__conv_sizes s = forward_sizes(call);
    run(&s, call, true, isa);
}

size_t soma__scratch_conv2d_input_grad(const soma__call *call, const soma__isa_table *isa,
                                       int threads)
{
    soma__conv_sizes s = input_grad_sizes(call);
    return scratch(&s, call, false, isa, threads);
}

void soma__run_conv2d_input_grad(const soma__call *call, const soma__isa_table *isa)
{
    soma__conv_sizes s = input_grad_sizes(call);
    run(&s, call, false, isa);
}

size_t soma__prepared_conv2d(const soma__call *call, const soma__isa_table *isa)
{
    soma__conv_sizes s = forward_sizes(call);
    return prepared(&s, true, isa);
}

void soma__prepare_conv2d(const soma__call *call, const soma__isa_table *isa, void *to)
{
    soma__conv_sizes s = forward_sizes(call);
    prepare(&s, call, true, isa, to);
}

size_t soma__prepared_conv2d_input_grad(const soma__call *call, const soma__isa_table *isa)
{
    soma__conv_sizes s = input_grad_sizes(call);
    return prepared(&s, false, isa);
}

void soma__prepare_conv2d_input_grad(const soma__call *call, const soma__isa_table *isa, void *to)
{
    soma__conv_sizes s = input_grad_sizes(call);
    prepare(&s, call, false, isa, to);
}
