/* attention.c: attention and its gradients, f32, in blocks of queries and keys: scores live in
 * scratch of a thread, never in memory as a whole (Dao et al. 2022). A task has one block: forward
 * and for q, of queries; for k and v, of keys, so that none adds to another's cells. The products
 * run through the tile of gemm.h. */
#include "backend/cpu/attention.h"

#include <math.h>
#include <string.h>

#include "backend/cpu/gemm.h"
#include "base/pool.h"
#include "base/rng.h"
#include "ops/attention.h"

#define QUERIES 56 /* of a block: whole tiles of 14 rows */
#define KEYS 128   /* of a block: a multiple of every nr */

typedef struct work {
    const struct soma__isa_attention *row;
    const soma__isa_gemm *gemm;
    soma__attention a;
    const float *q, *k, *v, *y, *dy;
    float *out;
    int64_t blocks; /* of queries, or of keys, of one head */
    float *own;
    int64_t own_size, panels; /* floats of a thread; of a packed operand */
} work;

/* What a thread has for its task: one sequence, query head, block of queries. */
typedef struct task {
    const work *w;
    int64_t b, h;
    int64_t t, rows; /* queries [t, t + rows) */
    int64_t s, cols; /* keys [s, s + cols) */
    float *x, *dx;   /* scores and their gradients, [rows, KEYS] */
    float *sum;      /* [rows, depth] */
    float *delta;    /* [rows]: dy · y - what arrives at the logarithm */
    float *draw;     /* [KEYS] */
    float *panel[4]; /* packed operands */
} task;

static int64_t padded(int64_t floats)
{
    return soma__ceil_div(floats, 16) * 16;
}

static work start(const soma__call *call, const soma__isa_table *isa, bool gradient)
{
    work w = {.row = isa->attention,
              .gemm = isa->gemm,
              .a = soma__attention_of(call, gradient),
              .out = call->out[0].data,
              .own = call->scratch};
    w.q = w.a.q->data;
    w.k = w.a.k->data;
    w.v = w.a.v->data;
    w.y = gradient ? w.a.y->data : NULL;
    w.dy = gradient ? w.a.dy->data : NULL;
    /* An operand is KEYS or QUERIES by depth, either of them in whole panels. */
    const int64_t nr = isa->gemm->nr;
    w.panels = padded(KEYS * soma__ceil_div(w.a.depth, nr) * nr);
    w.own_size = 2 * padded(QUERIES * KEYS) + padded(KEYS * 2 * w.a.depth) + padded(QUERIES) +
                 padded(KEYS) + 4 * w.panels;
    return w;
}

static void begin(task *k, const work *w, int worker)
{
    float *at = w->own + worker * w->own_size;
    k->w = w;
    k->x = at;
    k->dx = at += padded(QUERIES * KEYS);
    k->sum = at += padded(QUERIES * KEYS);
    k->delta = at += padded(KEYS * 2 * w->a.depth);
    k->draw = at += padded(QUERIES);
    at += padded(KEYS);
    for (int i = 0; i < 4; i++)
        k->panel[i] = at + i * w->panels;
}

/* --- rows --------------------------------------------------------------------------------------
 */

/* First cell of the row of query t in an array [batch,queries,heads,width], of key s in k or v. */
static int64_t query_at(const task *k, int64_t t, int64_t width)
{
    const soma__attention *a = &k->w->a;
    return ((k->b * a->queries + t) * a->heads + k->h) * width;
}
static const float *query_row(const task *k, const float *x, int64_t t, int64_t width)
{
    return x + query_at(k, t, width);
}
static const float *key_row(const task *k, const float *x, int64_t s)
{
    const soma__attention *a = &k->w->a;
    return x + ((k->b * a->keys + s) * a->key_heads + k->h / a->group) * a->depth;
}

/* Cells of row i: scores of query t + i for the keys of the block. */
static soma__scores scores_of(const task *k, int64_t i)
{
    const soma__attention *a = &k->w->a;
    const int64_t t = k->t + i, seen = soma__attention_seen(a, k->b, t) - k->s;
    soma__scores s = {.x = k->x + i * KEYS,
                      .count = k->cols,
                      .seen = seen < 0 ? 0 : soma__least(seen, k->cols),
                      .scale = (float)a->scale};
    if (a->mask) {
        s.mask = (const float *)a->mask->data + k->b * a->mask_step[0] + k->h * a->mask_step[1] +
                 t * a->mask_step[2] + k->s * a->mask_step[3];
        s.mask_step = a->mask_step[3];
    }
    if (a->slopes) {
        s.slope = ((const float *)a->slopes->data)[k->h];
        s.distance = (float)(t + a->offset - k->s);
    }
    return s;
}

/* Drops of row i what the draws say. */
static void drop(const task *k, int64_t i, float *x)
{
    const soma__attention *a = &k->w->a;
    if (!a->key)
        return;
    const int64_t *key = a->key->data;
    const soma__rng_key draw = {(uint64_t)key[0], a->stream, (uint64_t)key[1]};
    /* As random.c: a uniform is less than p when it is less than the next float above it. */
    float limit = (float)a->p;
    if ((double)limit < a->p)
        limit = nextafterf(limit, 2);
    soma__rng_uniforms(&draw, soma__attention_draw(a, k->b, k->h, k->t + i, k->s), k->cols,
                       k->draw);
    k->w->row->drop(x, k->draw, k->cols, limit, (float)(1 / (1 - a->p)));
}

/* --- products ----------------------------------------------------------------------------------
 */

/* Rows as the columns of a right operand: panels of [depth, nr]. */
static void pack_rows(const task *k, float *to, const float *first, int64_t step, int64_t count)
{
    const int64_t nr = k->w->gemm->nr, depth = k->w->a.depth;
    const float *rows[SOMA__GEMM_MAX_NR];
    for (int64_t j = 0; j < count; j += nr) {
        const int64_t some = soma__least(nr, count - j);
        for (int64_t r = 0; r < some; r++)
            rows[r] = first + (j + r) * step;
        k->w->gemm->pack_rows(to + j * depth, nr, rows, some, depth);
    }
}

/* Rows as the rows of a right operand: panels of [count, nr]. */
static void pack_cols(const task *k, float *to, const float *first, int64_t step, int64_t count)
{
    const int64_t nr = k->w->gemm->nr, depth = k->w->a.depth;
    for (int64_t j = 0; j < depth; j += nr)
        k->w->gemm->pack_cols(to + j * count, nr, first + j, step, soma__least(nr, depth - j),
                              count);
}

/* c[rows, cols] (+)= left · right of packed panels, `deep` deep. The left operand is rows `step`
 * apart, or, turned, columns: its cell (i, k) at k·step + i. */
static void product(const task *k, const float *left, int64_t step, bool turned, int64_t rows,
                    int64_t deep, const float *right, int64_t cols, float *c, int64_t c_step,
                    bool add)
{
    const soma__isa_gemm *gemm = k->w->gemm;
    const int64_t height = soma__ceil_div(rows, soma__ceil_div(rows, gemm->mr)), nr = gemm->nr;
    const float *row[SOMA__GEMM_MAX_MR];
    for (int64_t j = 0; j < cols; j += nr)
        for (int64_t i = 0; i < rows; i += height) {
            const int64_t some = soma__least(height, rows - i);
            for (int64_t r = 0; r < some && !turned; r++)
                row[r] = left + (i + r) * step;
            const soma__gemm_segment segment = {.left = turned ? left : NULL,
                                                .rows = turned ? NULL : row,
                                                .right = right + j * deep,
                                                .length = deep};
            gemm->tile(&(soma__gemm_tile){.rows = some,
                                          .cols = soma__least(nr, cols - j),
                                          .segment = &segment,
                                          .segments = 1,
                                          .left_step = turned ? step : 1,
                                          .left_at = turned ? i : 0,
                                          .right_step = nr,
                                          .c = c + i * c_step + j,
                                          .c_step = c_step,
                                          .add = add});
        }
}

/* Distances between rows of one head. */
static int64_t query_step(const soma__attention *a, int64_t width)
{
    return a->heads * width;
}
static int64_t key_step(const soma__attention *a)
{
    return a->key_heads * a->depth;
}

/* x = q · kᵀ, with k packed in panel 0. */
static void score_products(const task *k)
{
    const soma__attention *a = &k->w->a;
    product(k, query_row(k, k->w->q, k->t, a->depth), query_step(a, a->depth), false, k->rows,
            a->depth, k->panel[0], k->cols, k->x, KEYS, false);
}

/* --- forward -----------------------------------------------------------------------------------
 */

/* Few queries: nothing is used often enough to be packed. */
static void few_scores(const task *k)
{
    const soma__attention *a = &k->w->a;
    const float *rows[SOMA__GEMM_DOTS];
    float to[SOMA__GEMM_DOTS];
    for (int64_t i = 0; i < k->rows; i++)
        rows[i] = query_row(k, k->w->q, k->t + i, a->depth);
    for (int64_t j = 0; j < k->cols; j++) {
        k->w->gemm->dots(to, rows, k->rows, key_row(k, k->w->k, k->s + j), a->depth);
        for (int64_t i = 0; i < k->rows; i++)
            k->x[i * KEYS + j] = to[i];
    }
}

static void few_values(const task *k)
{
    const soma__attention *a = &k->w->a;
    const int64_t nr = k->w->gemm->nr;
    const float *rows[SOMA__GEMM_DOTS];
    for (int64_t i = 0; i < k->rows; i++)
        rows[i] = k->x + i * KEYS;
    for (int64_t j = 0; j < a->depth; j += nr) {
        const soma__gemm_segment segment = {
            .rows = rows, .right = key_row(k, k->w->v, k->s) + j, .length = k->cols};
        k->w->gemm->tile(&(soma__gemm_tile){.rows = k->rows,
                                            .cols = soma__least(nr, a->depth - j),
                                            .segment = &segment,
                                            .segments = 1,
                                            .left_step = 1,
                                            .right_step = key_step(a),
                                            .c = k->sum + j,
                                            .c_step = a->depth,
                                            .add = true});
    }
}

/* Keys that some query of the block sees. */
static int64_t seen_by_block(const task *k)
{
    return soma__attention_seen(&k->w->a, k->b, k->t + k->rows - 1);
}

/* One block of keys: what was summed up so far shrinks to the largest score's measure. */
static void forward_keys(const task *k, float *most, float *total)
{
    const work *w = k->w;
    const soma__attention *a = &w->a;
    const bool few = a->queries <= SOMA__GEMM_DOTS;
    if (few) {
        few_scores(k);
    } else {
        pack_rows(k, k->panel[0], key_row(k, w->k, k->s), key_step(a), k->cols);
        pack_cols(k, k->panel[1], key_row(k, w->v, k->s), key_step(a), k->cols);
        score_products(k);
    }
    for (int64_t i = 0; i < k->rows; i++) {
        const soma__scores s = scores_of(k, i);
        float best = w->row->scores(&s);
        best = isnan(best) || best > most[i] ? best : most[i];
        const float from = isinf(best) && best < 0 ? 0 : best; /* nothing is seen yet */
        const float by = most[i] < best ? expf(most[i] - best) : 1;
        if (most[i] < best) {
            w->row->scale(k->sum + i * a->depth, a->depth, by);
            total[i] *= by;
        }
        total[i] += w->row->exps(&s, from);
        most[i] = best;
        drop(k, i, s.x);
    }
    if (few)
        few_values(k);
    else
        product(k, k->x, KEYS, false, k->rows, k->cols, k->panel[1], a->depth, k->sum, a->depth,
                true);
}

static void place_queries(task *k, int64_t block)
{
    const soma__attention *a = &k->w->a;
    const int64_t per_head = k->w->blocks;
    k->t = block % per_head * QUERIES;
    k->rows = soma__least(QUERIES, a->queries - k->t);
    k->h = block / per_head % a->heads;
    k->b = block / per_head / a->heads;
}

static void forward_block(void *context, int64_t block, int worker)
{
    const work *w = context;
    const soma__attention *a = &w->a;
    float most[QUERIES], total[QUERIES];
    task k = {0};
    begin(&k, w, worker);
    place_queries(&k, block);
    memset(k.sum, 0, (size_t)(k.rows * a->depth) * sizeof(float));
    for (int64_t i = 0; i < k.rows; i++) {
        most[i] = -INFINITY;
        total[i] = 0;
    }
    const int64_t end = seen_by_block(&k);
    for (k.s = 0; k.s < end; k.s += KEYS) {
        k.cols = soma__least(KEYS, a->keys - k.s);
        forward_keys(&k, most, total);
    }
    for (int64_t i = 0; i < k.rows; i++) {
        float *y = w->out + query_at(&k, k.t + i, a->depth + 1);
        const bool none = !(total[i] > 0) && !isnan(total[i]);
        w->row->scale(k.sum + i * a->depth, a->depth, none ? 0 : 1 / total[i]);
        memcpy(y, k.sum + i * a->depth, (size_t)a->depth * sizeof(float));
        y[a->depth] = none ? 0 : most[i] + logf(total[i]);
    }
}

/* --- backward ----------------------------------------------------------------------------------
 */

/* dy · y - what arrives at the logarithm, of each query of the block. */
static void deltas(const task *k)
{
    const work *w = k->w;
    const int64_t depth = w->a.depth;
    for (int64_t i = 0; i < k->rows; i++) {
        const float *y = query_row(k, w->y, k->t + i, depth + 1);
        const float *dy = query_row(k, w->dy, k->t + i, depth + 1);
        k->delta[i] = w->row->dot(dy, y, depth) - dy[depth];
    }
}

/* x: the weights (what is dropped gone, where `dropped`); dx: the gradients of the scores. k and v
 * are packed in panels 0 and 1. */
static void backward_scores(const task *k, bool dropped)
{
    const work *w = k->w;
    const soma__attention *a = &w->a;
    const int64_t wide = a->depth + 1;
    score_products(k);
    product(k, query_row(k, w->dy, k->t, wide), query_step(a, wide), false, k->rows, a->depth,
            k->panel[1], k->cols, k->dx, KEYS, false);
    for (int64_t i = 0; i < k->rows; i++) {
        const soma__scores s = scores_of(k, i);
        w->row->scores(&s);
        w->row->exps(&s, query_row(k, w->y, k->t + i, wide)[a->depth]);
        drop(k, i, k->dx + i * KEYS);
        w->row->back(&s, k->dx + i * KEYS, k->delta[i]);
        if (dropped)
            drop(k, i, s.x);
    }
}

static void grad_q_block(void *context, int64_t block, int worker)
{
    const work *w = context;
    const soma__attention *a = &w->a;
    task k = {0};
    begin(&k, w, worker);
    place_queries(&k, block);
    deltas(&k);
    memset(k.sum, 0, (size_t)(k.rows * a->depth) * sizeof(float));
    const int64_t end = seen_by_block(&k);
    for (k.s = 0; k.s < end; k.s += KEYS) {
        k.cols = soma__least(KEYS, a->keys - k.s);
        const float *keys = key_row(&k, w->k, k.s);
        pack_rows(&k, k.panel[0], keys, key_step(a), k.cols);
        pack_rows(&k, k.panel[1], key_row(&k, w->v, k.s), key_step(a), k.cols);
        pack_cols(&k, k.panel[2], keys, key_step(a), k.cols);
        backward_scores(&k, false);
        product(&k, k.dx, KEYS, false, k.rows, k.cols, k.panel[2], a->depth, k.sum, a->depth, true);
    }
    w->row->scale(k.sum, k.rows * a->depth, (float)a->scale);
    for (int64_t i = 0; i < k.rows; i++)
        memcpy(w->out + query_at(&k, k.t + i, a->depth), k.sum + i * a->depth,
               (size_t)a->depth * sizeof(float));
}

/* One block of queries for a block of keys; sum is [cols, 2 depth]: of k, then of v. */
static void grad_kv_queries(task *k)
{
    const work *w = k->w;
    const soma__attention *a = &w->a;
    const int64_t wide = a->depth + 1;
    deltas(k);
    pack_cols(k, k->panel[2], query_row(k, w->q, k->t, a->depth), query_step(a, a->depth), k->rows);
    pack_cols(k, k->panel[3], query_row(k, w->dy, k->t, wide), query_step(a, wide), k->rows);
    backward_scores(k, true);
    product(k, k->dx, KEYS, true, k->cols, k->rows, k->panel[2], a->depth, k->sum, 2 * a->depth,
            true);
    product(k, k->x, KEYS, true, k->cols, k->rows, k->panel[3], a->depth, k->sum + a->depth,
            2 * a->depth, true);
}

static void grad_kv_block(void *context, int64_t block, int worker)
{
    const work *w = context;
    const soma__attention *a = &w->a;
    const int64_t head = block / w->blocks % a->key_heads, row = 2 * a->depth;
    task k = {.b = block / w->blocks / a->key_heads, .s = block % w->blocks * KEYS};
    begin(&k, w, worker);
    k.cols = soma__least(KEYS, a->keys - k.s);
    k.h = head * a->group;
    memset(k.sum, 0, (size_t)(k.cols * row) * sizeof(float));
    pack_rows(&k, k.panel[0], key_row(&k, w->k, k.s), key_step(a), k.cols);
    pack_rows(&k, k.panel[1], key_row(&k, w->v, k.s), key_step(a), k.cols);
    for (; k.h < (head + 1) * a->group; k.h++)
        for (k.t = 0; k.t < a->queries; k.t += QUERIES) {
            k.rows = soma__least(QUERIES, a->queries - k.t);
            if (seen_by_block(&k) > k.s)
                grad_kv_queries(&k);
        }
    for (int64_t i = 0; i < k.cols; i++) {
        float *to = w->out + ((k.b * a->keys + k.s + i) * a->key_heads + head) * row;
        w->row->scale(k.sum + i * row, a->depth, (float)a->scale);
        memcpy(to, k.sum + i * row, (size_t)row * sizeof(float));
    }
}

/* --- kernels -----------------------------------------------------------------------------------
 */

static void run(const soma__call *call, const soma__isa_table *isa, bool gradient, bool keys,
                soma__block_fn *block)
{
    work w = start(call, isa, gradient);
    w.blocks = keys ? soma__ceil_div(w.a.keys, KEYS) : soma__ceil_div(w.a.queries, QUERIES);
    const int64_t heads = keys ? w.a.key_heads : w.a.heads;
    soma__parallel(call->pool, w.a.batch * heads * w.blocks, block, &w);
}

#define KERNEL(name_, gradient_, keys_, block_)                                                    \
    const char *soma__refuses_##name_(const soma__call *call)                                      \
    {                                                                                              \
        if (call->in[0].dtype != SOMA_F32)                                                         \
            return "the dtype is not f32";                                                         \
        return call->out[0].count == 0 ? "there is nothing to do" : NULL;                          \
    }                                                                                              \
    size_t soma__scratch_##name_(const soma__call *call, const soma__isa_table *isa, int threads)  \
    {                                                                                              \
        const work w = start(call, isa, gradient_);                                                \
        return (size_t)w.own_size * (size_t)(threads < 1 ? 1 : threads) * sizeof(float);           \
    }                                                                                              \
    void soma__run_##name_(const soma__call *call, const soma__isa_table *isa)                     \
    {                                                                                              \
        run(call, isa, gradient_, keys_, block_);                                                  \
    }
KERNEL(attention, false, false, forward_block)
KERNEL(attention_grad_q, true, false, grad_q_block)
KERNEL(attention_grad_kv, true, true, grad_kv_block)
