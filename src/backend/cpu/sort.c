/* sort.c: argsort and topk_index, a row at a time.
 *
 * Each value becomes an unsigned key that rises in the order wanted: floats by their bits (all of
 * them turned round for negative numbers, else the sign alone), turned round again to descend; NaN
 * is the largest key both ways. Rows are sorted by their keys' digits (least digit first, which is
 * stable); a few largest are held in a short ordered list. */
#include <math.h>

#include "backend/cpu/move.h"
#include "base/pool.h"
#include "ops/attrs.h"

#define SHORT_LIST 64 /* up to this many are picked, more are sorted */
#define INSERTION 24  /* rows up to this length */
#define BLOCK_CELLS 4096

typedef struct entry {
    uint64_t key;
    int64_t index;
} entry;

typedef struct order_job {
    const soma__view *x;
    int64_t *y;
    entry *scratch;
    int64_t n, k, after; /* of the axis; of the result; cells behind the axis */
    int64_t rows, block_rows, blocks;
    int64_t room; /* entries of scratch for each worker */
    int threads, digits;
    uint64_t turn; /* all ones of a key to descend */
    bool pick;
} order_job;

static uint64_t key_f32(float v)
{
    uint32_t bits;
    v += 0; /* -0 and 0 are equal */
    memcpy(&bits, &v, sizeof(bits));
    return bits >> 31 ? (uint32_t)~bits : bits | UINT32_C(0x80000000);
}

static uint64_t key_f64(double v)
{
    uint64_t bits;
    v += 0;
    memcpy(&bits, &v, sizeof(bits));
    return bits >> 63 ? ~bits : bits | UINT64_C(0x8000000000000000);
}

/* Of the cell at `at`. */
static uint64_t key_of(const order_job *job, int64_t at)
{
    const soma__view *x = job->x;
    const uint64_t last = job->digits == 8 ? UINT64_MAX : UINT32_MAX;
    if (x->dtype == SOMA_F32) {
        const float v = ((const float *)x->data)[at];
        return isnan(v) ? last : key_f32(v) ^ job->turn;
    }
    if (x->dtype == SOMA_I64)
        return ((uint64_t)((const int64_t *)x->data)[at] ^ UINT64_C(0x8000000000000000)) ^
               job->turn;
    const double v = soma__load(x->dtype, x->data, at);
    if (!soma_dtype_is_float(x->dtype))
        return ((uint32_t)(int32_t)v ^ UINT32_C(0x80000000)) ^ job->turn;
    if (isnan(v))
        return last;
    return (x->dtype == SOMA_F64 ? key_f64(v) : key_f32((float)v)) ^ job->turn;
}

/* Puts an entry into a list of `count` in order, behind its equals; the list's place at its end
 * must be free. */
static void insert(entry *list, int64_t count, entry e)
{
    int64_t i = count;
    for (; i > 0 && list[i - 1].key > e.key; i--)
        list[i] = list[i - 1];
    list[i] = e;
}

/* Sorts a[n] with the help of b[n]; returns which of them holds the result. */
static entry *sort_digits(entry *a, entry *b, int64_t n, int digits)
{
    for (int digit = 0; digit < digits; digit++) {
        const int shift = 8 * digit;
        int64_t place[256] = {0}, sum = 0;
        for (int64_t i = 0; i < n; i++)
            place[a[i].key >> shift & 255]++;
        if (place[a[0].key >> shift & 255] == n)
            continue; /* all have the same digit */
        for (int v = 0; v < 256; v++) {
            const int64_t count = place[v];
            place[v] = sum;
            sum += count;
        }
        for (int64_t i = 0; i < n; i++)
            b[place[a[i].key >> shift & 255]++] = a[i];
        entry *swap = a;
        a = b;
        b = swap;
    }
    return a;
}

static const entry *sorted_row(const order_job *job, entry *list, int64_t from)
{
    for (int64_t i = 0; i < job->n; i++) {
        const entry e = {key_of(job, from + i * job->after), i};
        if (job->n <= INSERTION)
            insert(list, i, e);
        else
            list[i] = e;
    }
    return job->n <= INSERTION ? list : sort_digits(list, list + job->n, job->n, job->digits);
}

static const entry *picked_row(const order_job *job, entry *list, int64_t from)
{
    int64_t count = 0;
    for (int64_t i = 0; i < job->n; i++) {
        const entry e = {key_of(job, from + i * job->after), i};
        if (count == job->k && e.key >= list[count - 1].key)
            continue;
        insert(list, count < job->k ? count++ : count - 1, e);
    }
    return list;
}

static void order_block(void *context, int64_t block, int worker)
{
    const order_job *job = context;
    entry *list = job->scratch + (job->blocks <= job->threads ? block : worker) * job->room;
    const int64_t first = block * job->block_rows, left = job->rows - first;
    for (int64_t r = first; r < first + (left < job->block_rows ? left : job->block_rows); r++) {
        const int64_t outer = r / job->after, inner = r % job->after;
        const int64_t from = outer * job->n * job->after + inner;
        int64_t *y = job->y + outer * job->k * job->after + inner;
        const entry *order = job->pick ? picked_row(job, list, from) : sorted_row(job, list, from);
        for (int64_t i = 0; i < job->k; i++)
            y[i * job->after] = order[i].index;
    }
}

/* Sizes, which follow from the shapes alone. */
static order_job plan_order(const soma__call *call, int threads)
{
    const soma__order_attrs *attrs = call->attrs;
    const soma__view *x = &call->in[0], *y = &call->out[0];
    order_job job = {.x = x, .y = y->data, .scratch = call->scratch, .threads = threads};
    job.n = x->shape.dim[attrs->axis];
    job.k = y->shape.dim[attrs->axis];
    int64_t before;
    soma__shape_around(&x->shape, attrs->axis, &before, &job.after);
    job.rows = before * job.after;
    job.pick = job.k <= SHORT_LIST && job.k < job.n;
    job.room = job.pick ? job.k : job.n <= INSERTION ? job.n : 2 * job.n;
    job.block_rows = job.n < BLOCK_CELLS ? BLOCK_CELLS / (job.n > 0 ? job.n : 1) : 1;
    job.blocks = (job.rows + job.block_rows - 1) / job.block_rows;
    job.digits = x->dtype == SOMA_F64 || x->dtype == SOMA_I64 ? 8 : 4;
    if (attrs->descending)
        job.turn = job.digits == 8 ? UINT64_MAX : UINT32_MAX;
    return job;
}

static size_t scratch(const soma__call *call, int threads)
{
    const order_job job = plan_order(call, threads);
    const int64_t lists = job.blocks < threads ? job.blocks : threads;
    return (size_t)(lists * job.room) * sizeof(entry);
}

static void run(const soma__call *call)
{
    order_job job = plan_order(call, soma__pool_threads(call->pool));
    if (call->out[0].count > 0)
        soma__parallel(call->pool, job.blocks, order_block, &job);
}

#define ORDER_KERNEL(name_)                                                                        \
    SOMA__TAKES_ALL(name_)                                                                         \
    size_t soma__scratch_##name_(const soma__call *call, const soma__isa_table *isa, int threads)  \
    {                                                                                              \
        (void)isa;                                                                                 \
        return scratch(call, threads);                                                             \
    }                                                                                              \
    void soma__run_##name_(const soma__call *call, const soma__isa_table *isa)                     \
    {                                                                                              \
        (void)isa;                                                                                 \
        run(call);                                                                                 \
    }
ORDER_KERNEL(argsort)
ORDER_KERNEL(topk_index)
