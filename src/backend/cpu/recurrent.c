/* recurrent.c: whole sequences of recurrent networks, f32. The weights are packed once per call. A
 * task takes some sequences of the batch through all steps, so threads never wait for each other;
 * at each step the tile of gemm.h gives the products of the state for a run of units, which the
 * cell takes while they are in L1. */
#include <string.h>

#include "backend/cpu/gemm.h"
#include "backend/cpu/recurrent.h"
#include "base/pool.h"
#include "ops/recurrent.h"

#define ROWS 8 /* most sequences of a task: fewer wait for the weights, more leave threads idle */

typedef struct work {
    const soma__call *call;
    const struct soma__isa_recurrent *cell;
    const soma__isa_gemm *gemm;
    soma__recurrent r;
    int64_t rows;        /* of a task */
    int64_t runs;        /* of units, nr in each */
    const float *x;      /* forward */
    const float *y, *dy; /* backward */
    const float *bias, *first[2];
    float *out;
    float *packed; /* of run u and gate g: [units, nr], or of run u: [gates·units, nr] */
    float *own;    /* of each thread own_size floats */
    int64_t own_size;
} work;

/* What a thread has for its task. */
typedef struct task {
    const work *w;
    int64_t b, rows; /* sequences [b, b + rows) */
    int64_t length[ROWS];
    int64_t t;
    float *a;  /* forward: products, [rows, 4 nr] */
    float *rh; /* [rows, units], as those below */
    float *dh, *dc, *next, *drh;
} task;

static int64_t padded(int64_t floats)
{
    return (floats + 15) / 16 * 16;
}

static int64_t rows_of(int64_t batch, const soma__isa_gemm *gemm)
{
    const int64_t most = gemm->mr < ROWS ? gemm->mr : ROWS, tasks = (batch + most - 1) / most;
    return (batch + tasks - 1) / tasks;
}

static work start(const soma__call *call, const soma__isa_table *isa, soma__recurrent_kind kind,
                  bool backward)
{
    work w = {.call = call,
              .cell = isa->recurrent,
              .gemm = isa->gemm,
              .r = soma__recurrent_of(call, kind, backward),
              .out = call->out[0].data,
              .packed = call->scratch};
    const int64_t nr = isa->gemm->nr, units = w.r.units;
    w.rows = rows_of(w.r.batch, isa->gemm);
    w.runs = (units + nr - 1) / nr;
    w.own = w.packed ? w.packed + padded(w.r.gates * units * w.runs * nr) : NULL;
    w.own_size =
        backward ? 4 * padded(w.rows * units) : padded(w.rows * 4 * nr) + padded(w.rows * units);
    w.first[0] = call->in[w.r.first].data;
    w.first[1] = kind == SOMA__LSTM ? call->in[w.r.first + 1].data : NULL;
    if (backward) {
        w.y = call->in[0].data;
        w.dy = call->in[w.r.first + (kind == SOMA__LSTM ? 2 : 1)].data;
    } else {
        w.x = call->in[0].data;
        w.y = w.out;
        w.bias = call->in[2].data;
    }
    return w;
}

static size_t scratch(const soma__call *call, const soma__isa_table *isa, int threads,
                      soma__recurrent_kind kind, bool backward)
{
    const work w = start(call, isa, kind, backward);
    const int64_t packed = padded(w.r.gates * w.r.units * w.runs * isa->gemm->nr);
    return ((size_t)packed + (size_t)w.own_size * (size_t)(threads < 1 ? 1 : threads)) *
           sizeof(float);
}

static const char *refuses(const soma__call *call)
{
    if (call->in[0].dtype != SOMA_F32)
        return "the dtype is not f32";
    return call->in[0].count == 0 ? "x is empty" : NULL;
}

/* The state (part 0: h, 1: c) before step t of row i. */
static const float *before(const task *k, int64_t part, int64_t i)
{
    const soma__recurrent *r = &k->w->r;
    const int64_t t = r->reverse ? k->t + 1 : k->t - 1, b = k->b + i;
    if (t < 0 || t >= r->steps)
        return k->w->first[part] + b * r->units;
    return k->w->y + ((b * r->steps + t) * r->parts + part) * r->units;
}

static void begin(task *k, const work *w, int64_t block)
{
    k->w = w;
    k->b = block * w->rows;
    k->rows = w->r.batch - k->b < w->rows ? w->r.batch - k->b : w->rows;
    for (int64_t i = 0; i < k->rows; i++)
        k->length[i] = soma__recurrent_length(&w->r, k->b + i);
}

/* c (+)= rows · right, right packed `deep` deep. */
static void product(const task *k, const float *const *rows, const float *right, int64_t deep,
                    int64_t cols, float *c, int64_t c_step, bool add)
{
    const soma__gemm_segment segment = {.rows = rows, .right = right, .length = deep};
    k->w->gemm->tile(&(soma__gemm_tile){.rows = k->rows,
                                        .cols = cols,
                                        .segment = &segment,
                                        .segments = 1,
                                        .left_step = 1,
                                        .right_step = k->w->gemm->nr,
                                        .c = c,
                                        .c_step = c_step,
                                        .add = add});
}

/* --- forward -----------------------------------------------------------------------------------
 */

static void pack_forward(void *context, int64_t block, int worker)
{
    const work *w = context;
    const int64_t nr = w->gemm->nr, units = w->r.units, gate = block % w->r.gates;
    const int64_t u = block / w->r.gates * nr, count = units - u < nr ? units - u : nr;
    const float *weights = w->call->in[1].data, *rows[SOMA__GEMM_MAX_NR];
    (void)worker;
    for (int64_t i = 0; i < count; i++)
        rows[i] = weights + (gate * units + u + i) * units;
    w->gemm->pack_rows(w->packed + block * units * nr, nr, rows, count, units);
}

static soma__cell cell_of(const task *k, int64_t i, int64_t u, int64_t count)
{
    const work *w = k->w;
    const soma__recurrent *r = &w->r;
    const int64_t units = r->units, at = (k->b + i) * r->steps + k->t;
    return (soma__cell){.count = count,
                        .units = units,
                        .x = w->x + at * r->gates * units + u,
                        .bias = w->bias + u,
                        .a = k->a + i * 4 * w->gemm->nr,
                        .a_step = w->gemm->nr,
                        .h = before(k, 0, i) + u,
                        .c = r->kind == SOMA__LSTM ? before(k, 1, i) + u : NULL,
                        .y = w->out + at * r->parts * units + u,
                        .rh = r->kind == SOMA__GRU_FIRST ? k->rh + i * units + u : NULL};
}

/* A step that does not count keeps the state. */
static void keep(const task *k, int64_t i)
{
    const soma__recurrent *r = &k->w->r;
    const int64_t units = r->units;
    const size_t bytes = (size_t)units * sizeof(float);
    float *y = k->w->out + ((k->b + i) * r->steps + k->t) * r->parts * units;
    memcpy(y, before(k, 0, i), bytes);
    if (r->kind == SOMA__LSTM)
        memcpy(y + units, before(k, 1, i), bytes);
    const int64_t states = r->kind == SOMA__LSTM ? 2 : 1;
    memset(y + states * units, 0, (size_t)(r->parts - states) * bytes);
}

static void cell(const task *k, const soma__cell *c)
{
    const work *w = k->w;
    switch (w->r.kind) {
    case SOMA__RNN:
        w->cell->rnn(c, w->r.relu);
        break;
    case SOMA__LSTM:
        w->cell->lstm(c);
        break;
    case SOMA__GRU:
    case SOMA__GRU_FIRST:
        w->cell->gru_gates(c);
        break;
    }
}

/* Gates [from, end) of all rows for the run of units at u. */
static void gates(const task *k, const float *const *rows, int64_t run, int64_t from, int64_t end,
                  int64_t count)
{
    const work *w = k->w;
    const int64_t nr = w->gemm->nr, deep = w->r.units;
    for (int64_t g = from; g < end; g++)
        product(k, rows, w->packed + (run * w->r.gates + g) * deep * nr, deep, count,
                k->a + (g - from) * nr, 4 * nr, false);
}

static void forward_step(const task *k)
{
    const work *w = k->w;
    const soma__recurrent *r = &w->r;
    const int64_t nr = w->gemm->nr, units = r->units;
    const bool gru = r->kind == SOMA__GRU || r->kind == SOMA__GRU_FIRST;
    const float *h[ROWS], *rh[ROWS];
    for (int64_t i = 0; i < k->rows; i++) {
        h[i] = before(k, 0, i);
        rh[i] = k->rh + i * units;
        if (k->t >= k->length[i]) {
            keep(k, i);
            if (r->kind == SOMA__GRU_FIRST)
                memset(k->rh + i * units, 0, (size_t)units * sizeof(float));
        }
    }
    for (int64_t run = 0; run < w->runs; run++) {
        const int64_t u = run * nr, count = units - u < nr ? units - u : nr;
        gates(k, h, run, 0, gru ? 2 : r->gates, count);
        for (int64_t i = 0; i < k->rows; i++)
            if (k->t < k->length[i]) {
                const soma__cell c = cell_of(k, i, u, count);
                cell(k, &c);
            }
    }
    for (int64_t run = 0; gru && run < w->runs; run++) {
        const int64_t u = run * nr, count = units - u < nr ? units - u : nr;
        gates(k, r->kind == SOMA__GRU_FIRST ? rh : h, run, 2, 3, count);
        for (int64_t i = 0; i < k->rows; i++)
            if (k->t < k->length[i]) {
                const soma__cell c = cell_of(k, i, u, count);
                w->cell->gru(&c, r->kind == SOMA__GRU_FIRST);
            }
    }
}

static void forward_block(void *context, int64_t block, int worker)
{
    const work *w = context;
    float *own = w->own + worker * w->own_size;
    task k = {.a = own, .rh = own + padded(w->rows * 4 * w->gemm->nr)};
    begin(&k, w, block);
    for (int64_t s = 0; s < w->r.steps; s++) {
        k.t = w->r.reverse ? w->r.steps - 1 - s : s;
        forward_step(&k);
    }
}

static void run_forward(const soma__call *call, const soma__isa_table *isa,
                        soma__recurrent_kind kind)
{
    work w = start(call, isa, kind, false);
    soma__parallel(call->pool, w.runs * w.r.gates, pack_forward, &w);
    soma__parallel(call->pool, (w.r.batch + w.rows - 1) / w.rows, forward_block, &w);
}

/* --- backward ----------------------------------------------------------------------------------
 */

static void pack_backward(void *context, int64_t block, int worker)
{
    const work *w = context;
    const int64_t nr = w->gemm->nr, units = w->r.units, deep = w->r.gates * units;
    const int64_t u = block * nr, count = units - u < nr ? units - u : nr;
    const float *weights = w->call->in[1].data;
    (void)worker;
    w->gemm->pack_cols(w->packed + block * deep * nr, nr, weights + u, units, count, deep);
}

static float *grads(const task *k, int64_t i)
{
    const soma__recurrent *r = &k->w->r;
    return k->w->out + ((k->b + i) * (r->steps + r->states) + k->t) * r->grads * r->units;
}

static soma__cell_back back_of(const task *k, int64_t i)
{
    const soma__recurrent *r = &k->w->r;
    const int64_t units = r->units, at = ((k->b + i) * r->steps + k->t) * r->parts * units;
    return (soma__cell_back){.count = units,
                             .units = units,
                             .y = k->w->y + at,
                             .h = before(k, 0, i),
                             .c = r->kind == SOMA__LSTM ? before(k, 1, i) : NULL,
                             .dy = k->w->dy + at,
                             .dh = k->dh + i * units,
                             .dc = k->dc + i * units,
                             .dx = grads(k, i),
                             .next = k->next + i * units,
                             .drh = k->drh + i * units};
}

/* A step that does not count: the state's gradients pass through. */
static void pass(const task *k, const soma__cell_back *c)
{
    const soma__recurrent *r = &k->w->r;
    for (int64_t j = 0; j < r->units; j++)
        c->next[j] = c->dh[j] + c->dy[j];
    for (int64_t j = 0; r->kind == SOMA__LSTM && j < r->units; j++)
        c->dc[j] += c->dy[r->units + j];
}

/* to (+)= gates [from, end) of the gradients · weights. */
static void through_weights(const task *k, int64_t from, int64_t end, float *to, bool add)
{
    const work *w = k->w;
    const int64_t nr = w->gemm->nr, units = w->r.units;
    const float *rows[ROWS];
    for (int64_t i = 0; i < k->rows; i++)
        rows[i] = grads(k, i) + from * units;
    for (int64_t run = 0; run < w->runs; run++) {
        const int64_t u = run * nr, count = units - u < nr ? units - u : nr;
        const float *right = w->packed + (run * w->r.gates + from) * units * nr;
        product(k, rows, right, (end - from) * units, count, to + u, units, add);
    }
}

static void backward_step(task *k)
{
    const work *w = k->w;
    const soma__recurrent *r = &w->r;
    for (int64_t i = 0; i < k->rows; i++) {
        const soma__cell_back c = back_of(k, i);
        if (k->t >= k->length[i])
            memset(c.dx, 0, (size_t)(r->grads * r->units) * sizeof(float));
        else if (r->kind == SOMA__RNN)
            w->cell->rnn_back(&c, r->relu);
        else if (r->kind == SOMA__LSTM)
            w->cell->lstm_back(&c);
        else
            w->cell->gru_back(&c, r->kind == SOMA__GRU_FIRST);
    }
    if (r->kind == SOMA__GRU_FIRST) {
        through_weights(k, 2, 3, k->drh, false);
        for (int64_t i = 0; i < k->rows; i++)
            if (k->t < k->length[i]) {
                const soma__cell_back c = back_of(k, i);
                w->cell->gru_back_reset(&c);
            }
    }
    through_weights(k, 0, r->kind == SOMA__GRU_FIRST ? 2 : r->gates, k->next, true);
    /* Only now: zeros times weights that are not finite are no zeros. */
    for (int64_t i = 0; i < k->rows; i++)
        if (k->t >= k->length[i]) {
            const soma__cell_back c = back_of(k, i);
            pass(k, &c);
        }
    float *swap = k->dh;
    k->dh = k->next;
    k->next = swap;
}

/* The step beyond the last: what reaches the first states. */
static void first_states(task *k)
{
    const soma__recurrent *r = &k->w->r;
    const size_t bytes = (size_t)r->units * sizeof(float);
    k->t = r->steps;
    for (int64_t i = 0; i < k->rows; i++) {
        float *to = grads(k, i);
        memset(to, 0, (size_t)r->grads * bytes);
        memcpy(to, k->dh + i * r->units, bytes);
        if (r->kind == SOMA__LSTM)
            memcpy(to + r->units, k->dc + i * r->units, bytes);
    }
}

static void backward_block(void *context, int64_t block, int worker)
{
    const work *w = context;
    const int64_t each = padded(w->rows * w->r.units);
    float *own = w->own + worker * w->own_size;
    task k = {.dh = own, .dc = own + each, .next = own + 2 * each, .drh = own + 3 * each};
    begin(&k, w, block);
    memset(own, 0, (size_t)(2 * each) * sizeof(float));
    for (int64_t s = 0; s < w->r.steps; s++) {
        k.t = w->r.reverse ? s : w->r.steps - 1 - s;
        backward_step(&k);
    }
    if (w->r.states)
        first_states(&k);
}

static void run_backward(const soma__call *call, const soma__isa_table *isa,
                         soma__recurrent_kind kind)
{
    work w = start(call, isa, kind, true);
    soma__parallel(call->pool, w.runs, pack_backward, &w);
    soma__parallel(call->pool, (w.r.batch + w.rows - 1) / w.rows, backward_block, &w);
}

#define KERNEL(name_, kind_, backward_, run_)                                                      \
    const char *soma__refuses_##name_(const soma__call *call)                                      \
    {                                                                                              \
        return refuses(call);                                                                      \
    }                                                                                              \
    size_t soma__scratch_##name_(const soma__call *call, const soma__isa_table *isa, int threads)  \
    {                                                                                              \
        return scratch(call, isa, threads, kind_, backward_);                                      \
    }                                                                                              \
    void soma__run_##name_(const soma__call *call, const soma__isa_table *isa)                     \
    {                                                                                              \
        run_(call, isa, kind_);                                                                    \
    }
KERNEL(rnn, SOMA__RNN, false, run_forward)
KERNEL(lstm, SOMA__LSTM, false, run_forward)
KERNEL(gru, SOMA__GRU, false, run_forward)
KERNEL(rnn_grad, SOMA__RNN, true, run_backward)
KERNEL(lstm_grad, SOMA__LSTM, true, run_backward)
KERNEL(gru_grad, SOMA__GRU, true, run_backward)
