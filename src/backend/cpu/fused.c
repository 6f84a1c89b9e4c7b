/* fused.c: runs the vector programs of plans, tile by tile.
 *
 * A run first looks at the program and its operands (a fraction of a microsecond, all on the
 * stack):
 *
 *   1. Dims are merged where every operand allows it. What is left is a stack of matrices, and in a
 *      matrix each operand is full (neighbours side by side), or one value a column (all rows the
 *      same), or one a row, or one in all: the last two steps of a broadcast are 0 or not.
 *   2. Tiles are pieces of such a matrix: part of a row, or several whole rows. f32 operands are
 * read where they are. Per-row and single values become splats (SOMA__SPLAT copies).
 *      Rows of a few columns are not worth a loop each: then such operands are repeated until they
 *      fill the tile, and the tile is one row.
 *   3. Each register that the program writes has a buffer of one tile, unless the instruction that
 *      gives an output its value can write there at once.
 *
 * Folds (sums, means, variances, extremes) add up each tile while it is there. A unit of work is
 * then all tiles of a few results, or, where those are many, a chunk of them; chunks are added in
 * order.
 *
 * Blocks of tiles go to threads. An output may be one of the inputs: the tile's loads come before
 * its stores, and step 3 keeps out of memory that later instructions still read. */
#include "backend/cpu/fused.h"

#include <math.h>
#include <string.h>

#include "backend/cpu/reduce.h"
#include "base/pool.h"

/* Floats of the buffers of one thread: they and the streams share a first-level cache of 32 or 48
 * KiB. Every buffer has at least SMALLEST_TILE floats, so a large program gets more. */
#define BUFFER_FLOATS 8192
#define SMALLEST_TILE 256
#define LARGEST_TILE 2048
/* Between buffers, so that they do not all start at the same offset in a page: the processor takes
 * a load for a repeat of an earlier store when only the upper address bits differ. */
#define STAGGER 80
#define MOST_BUFFERS (SOMA__PROGRAM_OPERANDS + SOMA__PROGRAM_REGISTERS)
#define MEMORY_FLOATS (MOST_BUFFERS * (SMALLEST_TILE + STAGGER) + LARGEST_TILE)
#define MOST_CONSTANTS 64
/* Most columns that are repeated: two vectors of the widest. */
#define FLAT_COLS 32

/* Where an operand or output is. Strides are in elements. */
typedef struct place {
    char *data;
    soma_dtype dtype;
    int64_t size; /* bytes of an element */
    int64_t stride[SOMA_MAX_DIMS];
    bool copy; /* must not be read where it is: an output that is stored before it is used lies
                  there */
} place;

/* How the folds of a program see its tiles. */
typedef struct fold_cut {
    enum { FOLD_NOTHING, FOLD_COLUMNS, FOLD_ROWS, FOLD_ALL } kind; /* of a tile */
    int64_t lead;          /* matrices one after the other that belong to the same results */
    int64_t groups, tiles; /* of results, and what each is made of */
    int64_t chunk, chunks; /* tiles of a unit; units of a group */
    int64_t width;         /* results of a group */
    int64_t unit_floats;   /* of partial results, with what is counted in front */
    int64_t block_units;   /* units of a block */
    int part[SOMA__PROGRAM_STORES]; /* where the output's begin, in widths */
    float *partial;
} fold_cut;

/* In front of a unit's partial results: how many elements went into each. A cache line. */
#define COUNT_FLOATS 16
/* Elements of a chunk. */
#define CHUNK 32768

typedef struct fused_job {
    const soma__program *program;
    const struct soma__isa_fused *isa;
    const struct soma__isa_reduce *reduce;
    place in[SOMA__PROGRAM_OPERANDS], out[SOMA__PROGRAM_STORES];
    int dims;
    int64_t dim[SOMA_MAX_DIMS];
    bool folded[SOMA_MAX_DIMS];
    fold_cut fold;
    bool flat;                           /* a tile is run as one row */
    int64_t tile_rows, tile_cols;        /* of the last two dims */
    int64_t row_tiles, col_tiles, tiles; /* tiles = matrices · row_tiles · col_tiles */
    int64_t block_tiles;
    int64_t tile;                             /* floats of a buffer */
    int8_t buffer[SOMA__PROGRAM_REGISTERS];   /* of instruction results; -1: none */
    int8_t in_buffer[SOMA__PROGRAM_OPERANDS]; /* of operands that need one */
    int8_t direct[SOMA__PROGRAM_INSNS]; /* the output that an instruction writes to; -1: none */
    bool stored[SOMA__PROGRAM_STORES];  /* by an instruction */
    uint8_t code[SOMA__PROGRAM_INSNS], arity[SOMA__PROGRAM_INSNS];
} fused_job;

/* What a thread works with. */
typedef struct fused_frame {
    _Alignas(64) float memory[MEMORY_FLOATS];
    float constants[MOST_CONSTANTS * SOMA__SPLAT];
    /* Registers, then constants, as instructions number them. */
    soma__strip strip[SOMA__PROGRAM_REGISTERS + MOST_CONSTANTS];
    float *partial; /* of the unit; NULL: the program has no folds */
    int64_t count;  /* elements that went into each of them so far */
} fused_frame;

/* One operand or output as a tile sees it. */
typedef struct window {
    char *data;
    int64_t ld;
    bool moves; /* along the row */
} window;

/* --- looking at the program ----------------------------------------------------------------------
 */

/* The instruction that last writes register `reg`; -1: none does. */
static int last_write(const soma__program *p, int reg)
{
    for (int i = p->insns - 1; i >= 0; i--)
        if (p->insn[i].dst == reg)
            return i;
    return -1;
}

/* Whether an instruction after `at` still reads operand `reg` as it was loaded. */
static bool read_after(const soma__program *p, int reg, int at)
{
    for (int i = 0; i < p->insns; i++) {
        const soma__insn *insn = &p->insn[i];
        int arity = soma__scalar_arity((soma__scalar)insn->code);
        if (i > at &&
            (insn->a == reg || (arity > 1 && insn->b == reg) || (arity > 2 && insn->c == reg)))
            return true;
        if (insn->dst == reg)
            return false;
    }
    return false;
}

/* Decides which instructions write to outputs, and which operands must be copied. */
static void find_direct(fused_job *job)
{
    const soma__program *p = job->program;
    for (int i = 0; i < p->insns; i++)
        job->direct[i] = -1;
    for (int k = 0; k < p->stores; k++) {
        if (p->fold[k] != SOMA__FOLD_NONE) {
            job->stored[k] = false;
            continue;
        }
        int at = last_write(p, p->store[k]);
        /* at < p->insns, which the analyser does not know to have a bound.
         * NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
        bool direct = at >= 0 && job->out[k].dtype == SOMA_F32 && job->direct[at] < 0;
        for (int i = 0; i < p->loads; i++) {
            if (job->in[i].data != job->out[k].data)
                continue;
            direct = direct && !read_after(p, i, at);
            /* Stored as it was loaded, to another place: a store to k may come first. */
            for (int other = 0; other < p->stores; other++)
                if (other != k && p->store[other] == i && last_write(p, i) < 0)
                    job->in[i].copy = true;
        }
        job->stored[k] = direct;
        if (direct)
            job->direct[at] = (int8_t)k;
    }
}

/* x^2 and the like by what they are; the general power is slow. */
static uint8_t simplify(const soma__program *p, const soma__insn *insn)
{
    if (insn->code != SOMA__SCALAR_POW || insn->b < SOMA__PROGRAM_REGISTERS)
        return insn->code;
    float power = p->constant[insn->b - SOMA__PROGRAM_REGISTERS];
    return power == 2.0F    ? SOMA__SCALAR_SQUARE
           : power == 1.0F  ? SOMA__SCALAR_COPY
           : power == -1.0F ? SOMA__SCALAR_RECIPROCAL
                            : insn->code;
}

/* Numbers the buffers and makes the tile as large as they allow. `cols`: of the last dim. */
static void place_buffers(fused_job *job, int64_t cols)
{
    const soma__program *p = job->program;
    bool written[SOMA__PROGRAM_REGISTERS] = {false};
    int count = 0, most = p->loads;
    /* Folds take tiles as they are. */
    job->flat = !p->folded && job->dims > 1 && cols <= FLAT_COLS;
    for (int i = 0; i < p->loads; i++) {
        const place *in = &job->in[i];
        bool whole = in->dtype == SOMA_F32 && in->stride[job->dims - 1] != 0 && !in->copy;
        if (job->flat && in->stride[job->dims - 2] == 0)
            whole = false;
        job->in_buffer[i] = (int8_t)(whole ? -1 : count++);
    }
    for (int i = 0; i < SOMA__PROGRAM_REGISTERS; i++)
        job->buffer[i] = -1;
    for (int i = 0; i < p->insns; i++) {
        int dst = p->insn[i].dst;
        job->code[i] = simplify(p, &p->insn[i]);
        job->arity[i] = (uint8_t)soma__scalar_arity((soma__scalar)job->code[i]);
        most += !written[dst];
        written[dst] = true;
        if (job->direct[i] < 0 && job->buffer[dst] < 0)
            job->buffer[dst] = (int8_t)count++;
    }
    /* How folds are cut must not depend on addresses, which are not known when scratch is asked
     * for: then every operand and register counts. */
    if (p->folded)
        count = most;
    int64_t tile = count ? BUFFER_FLOATS / count / 64 * 64 : LARGEST_TILE;
    job->tile = tile < SMALLEST_TILE ? SMALLEST_TILE : tile > LARGEST_TILE ? LARGEST_TILE : tile;
}

/* Merges neighbouring dims wherever all operands step through both as through one. */
static void merge_dims(fused_job *job)
{
    const soma_shape *shape = &job->program->shape;
    int loads = job->program->loads, dims = 0;
    for (int d = 0; d < shape->ndim; d++) {
        if (shape->dim[d] == 1)
            continue;
        bool folded = (job->program->folded >> d & 1) != 0;
        bool merge = dims > 0 && job->folded[dims - 1] == folded;
        for (int i = 0; i < loads && merge; i++)
            merge = job->in[i].stride[dims - 1] == job->in[i].stride[d] * shape->dim[d];
        if (merge)
            job->dim[dims - 1] *= shape->dim[d];
        else
            job->dim[dims++] = shape->dim[d];
        job->folded[dims - 1] = folded;
        for (int i = 0; i < loads; i++)
            job->in[i].stride[dims - 1] = job->in[i].stride[d];
    }
    if (dims == 0) {
        job->folded[dims] = job->program->folded != 0;
        job->dim[dims++] = 1;
        for (int i = 0; i < loads; i++)
            job->in[i].stride[0] = 0;
    }
    job->dims = dims;
}

/* The rows of a tile. Where it is not flat, a splat table of them must fit a buffer as well. */
static int64_t tile_height(const fused_job *job, int64_t cols)
{
    return job->tile / (job->flat || cols > SOMA__SPLAT ? cols : SOMA__SPLAT);
}

static void cut_tiles(fused_job *job)
{
    int64_t cols = job->dim[job->dims - 1], rows = job->dims > 1 ? job->dim[job->dims - 2] : 1;
    int64_t matrices = 1;
    for (int d = 0; d + 2 < job->dims; d++)
        matrices *= job->dim[d];
    job->tile_cols = cols < job->tile ? cols : job->tile;
    int64_t height = tile_height(job, job->tile_cols);
    job->tile_rows = height < rows ? height : rows;
    job->row_tiles = (rows + job->tile_rows - 1) / job->tile_rows;
    job->col_tiles = (cols + job->tile_cols - 1) / job->tile_cols;
    job->tiles = matrices * job->row_tiles * job->col_tiles;
    int64_t elements = job->tile_rows * job->tile_cols;
    job->block_tiles = elements >= SOMA__FUSED_BLOCK ? 1 : SOMA__FUSED_BLOCK / elements;
}

/* Cuts what is folded into units. Dims are kept ones, then folded ones, then perhaps a kept one
 * (tiles fold to columns) or a kept and a folded one (to rows). False where they are not. */
static bool cut_folds(fused_job *job)
{
    const soma__program *p = job->program;
    fold_cut *fold = &job->fold;
    int last = job->dims - 1, parts = 0;
    int64_t outer = 1;
    *fold = (fold_cut){.lead = 1, .block_units = 1};
    if (!p->folded)
        return true;
    bool above = last > 0 && job->folded[last - 1];
    fold->kind = !job->folded[last] ? FOLD_COLUMNS : above ? FOLD_ALL : FOLD_ROWS;
    if (fold->kind == FOLD_COLUMNS && !above)
        return false;
    for (int d = 0; d + 1 < last; d++) {
        bool folded = job->folded[d], ends = folded && !job->folded[d + 1];
        if (ends && (fold->kind != FOLD_ROWS || d + 2 < last))
            return false;
        *(folded ? &fold->lead : &outer) *= job->dim[d];
    }
    if (fold->kind == FOLD_COLUMNS) {
        fold->groups = outer * job->col_tiles;
        fold->tiles = fold->lead * job->row_tiles;
        fold->width = job->tile_cols;
    } else if (fold->kind == FOLD_ROWS) {
        fold->groups = outer * job->row_tiles;
        fold->tiles = fold->lead * job->col_tiles;
        fold->width = job->tile_rows;
    } else {
        fold->groups = outer;
        fold->tiles = fold->lead * job->row_tiles * job->col_tiles;
        fold->width = 1;
    }
    int64_t elements = job->tile_rows * job->tile_cols;
    fold->chunk = elements < CHUNK ? CHUNK / elements : 1;
    if (fold->tiles < 2 * fold->chunk)
        fold->chunk = fold->tiles;
    fold->chunks = (fold->tiles + fold->chunk - 1) / fold->chunk;
    fold->block_units = 1 + (SOMA__FUSED_BLOCK - 1) / (fold->chunk * elements);
    for (int k = 0; k < p->stores; k++) {
        fold->part[k] = parts;
        parts += p->fold[k] == SOMA__FOLD_NONE ? 0 : p->fold[k] == SOMA__FOLD_VARIANCE ? 3 : 1;
    }
    fold->unit_floats = COUNT_FLOATS + (parts * fold->width + 15) / 16 * 16;
    return true;
}

/* Everything about a call that its shapes say. False when its folds are of another form. */
static bool prepare(fused_job *job, const soma__call *call)
{
    const soma__program *p = call->program;
    job->program = p;
    for (int i = 0; i < p->loads; i++) {
        const soma__view *v = &call->in[i];
        job->in[i].data = v->data;
        job->in[i].dtype = v->dtype;
        job->in[i].size = (int64_t)soma_dtype_size(v->dtype);
        job->in[i].copy = false;
        soma__broadcast_strides(&v->shape, &p->shape, job->in[i].stride);
    }
    for (int k = 0; k < p->stores; k++) {
        job->out[k].data = call->out[k].data;
        job->out[k].dtype = call->out[k].dtype;
        job->out[k].size = (int64_t)soma_dtype_size(call->out[k].dtype);
    }
    merge_dims(job);
    find_direct(job);
    place_buffers(job, job->dim[job->dims - 1]);
    cut_tiles(job);
    return cut_folds(job);
}

static int64_t units(const fold_cut *fold)
{
    return fold->groups * fold->chunks;
}

static bool is_empty(const soma_shape *shape)
{
    for (int d = 0; d < shape->ndim; d++)
        if (shape->dim[d] == 0)
            return true;
    return false;
}

static const char *refuses_folds(const soma__call *call)
{
    const soma__program *p = call->program;
    fused_job job;
    if (is_empty(&p->shape))
        return "there is nothing to fold";
    for (int k = 0; k < p->stores; k++)
        if (p->fold[k] != SOMA__FOLD_NONE && call->out[k].dtype != SOMA_F32)
            return "the dtype of a fold is not f32";
    return prepare(&job, call) ? NULL : "the folded axes are not in one place";
}

const char *soma__refuses_fused(const soma__call *call)
{
    const soma__program *p = call->program;
    if (!p)
        return "there is no program";
    if (p->loads > SOMA__PROGRAM_OPERANDS || p->stores > SOMA__PROGRAM_STORES ||
        p->insns > SOMA__PROGRAM_INSNS || p->constants > MOST_CONSTANTS)
        return "the program is too large";
    if (p->stores != call->nout || p->loads != call->nin)
        return "operands or outputs are not as many as the program has";
    for (int i = 0; i < call->nin + call->nout; i++) {
        const soma__view *v = i < call->nin ? &call->in[i] : &call->out[i - call->nin];
        switch (v->dtype) {
        case SOMA_F32:
        case SOMA_U8:
        case SOMA_I8:
        case SOMA_I32:
        case SOMA_BOOL:
        case SOMA_BF16:
        case SOMA_F16:
            break;
        default:
            return "f64 and i64 do not fit f32 lanes";
        }
    }
    return p->folded ? refuses_folds(call) : NULL;
}

size_t soma__scratch_fused(const soma__call *call, const soma__isa_table *isa, int threads)
{
    fused_job job;
    (void)isa;
    if (!call->program->folded || is_empty(&call->program->shape))
        return 0;
    prepare(&job, call);
    /* A group that is one unit is done when the unit is. */
    int64_t kept = job.fold.chunks > 1 ? units(&job.fold) : threads > 0 ? threads : 1;
    return (size_t)(kept * job.fold.unit_floats) * sizeof(float);
}

/* --- folding a tile
 * -------------------------------------------------------------------------------*/

static float fold_two(soma__fold fold, float a, float b)
{
    if (fold == SOMA__FOLD_MAX || fold == SOMA__FOLD_MIN) {
        bool beats = fold == SOMA__FOLD_MAX ? b > a : b < a;
        return isnan(a) ? a : beats || isnan(b) ? b : a;
    }
    return a + b;
}

/* What a tile folds to by itself: to[0 … width of the tile). */
static void fold_alone(const fused_job *job, soma__fold fold, const soma__strip *s, int64_t rows,
                       int64_t n, float *to)
{
    fold = fold == SOMA__FOLD_MAX || fold == SOMA__FOLD_MIN ? fold : SOMA__FOLD_SUM;
    if (job->fold.kind == FOLD_COLUMNS) {
        job->reduce->columns(fold, s->p, rows, n, s->ld, to);
        return;
    }
    job->reduce->rows(fold, s->p, rows, n, s->ld, to);
    for (int64_t r = 1; job->fold.kind == FOLD_ALL && r < rows; r++)
        to[0] = fold_two(fold, to[0], to[r]);
}

/* Adds a tile to sums of deviations from a shift, and of their squares. The shift is the mean of
 * the unit's first tile: were it far from the unit's own, the variance that this alone makes would
 * outweigh what cancels. */
static void add_deviations(const fused_job *job, const fused_frame *frame, const soma__strip *s,
                           int64_t rows, int64_t n, int64_t width, float *acc)
{
    float *shift = acc, *sum = acc + job->fold.width, *squares = sum + job->fold.width;
    const int64_t cells = job->fold.kind == FOLD_COLUMNS ? rows
                          : job->fold.kind == FOLD_ROWS  ? n
                                                         : rows * n;
    if (frame->count == 0) {
        float own[LARGEST_TILE];
        fold_alone(job, SOMA__FOLD_SUM, s, rows, n, own);
        for (int64_t i = 0; i < width; i++) {
            shift[i] = own[i] / (float)cells;
            sum[i] = squares[i] = 0;
        }
    }
    if (job->fold.kind == FOLD_COLUMNS) {
        job->reduce->centred_columns(s->p, rows, n, s->ld, shift, sum, squares);
    } else if (job->fold.kind == FOLD_ROWS) {
        job->reduce->centred_rows(s->p, rows, n, s->ld, shift, sum, squares);
    } else {
        for (int64_t r = 0; r < rows; r++)
            job->reduce->centred_rows(s->p + r * s->ld, 1, n, s->ld, shift, sum, squares);
    }
}

static void fold_tile(const fused_job *job, fused_frame *frame, int k, int64_t rows, int64_t n)
{
    const soma__program *p = job->program;
    const soma__strip *s = &frame->strip[p->store[k]];
    float own[LARGEST_TILE], spread[LARGEST_TILE];
    soma__strip all = {spread, n, false};
    int64_t width = job->fold.kind == FOLD_COLUMNS ? n : job->fold.kind == FOLD_ROWS ? rows : 1;
    float *acc = frame->partial + COUNT_FLOATS + job->fold.part[k] * job->fold.width;
    if (s->splat) { /* an operand that broadcasts */
        job->isa->store(SOMA_F32, spread, n, rows, n, s);
        s = &all;
    }
    if (p->fold[k] == SOMA__FOLD_VARIANCE) {
        add_deviations(job, frame, s, rows, n, width, acc);
        return;
    }
    fold_alone(job, p->fold[k], s, rows, n, own);
    if (frame->count == 0)
        memcpy(acc, own, (size_t)width * sizeof(float));
    else if (p->fold[k] == SOMA__FOLD_MAX || p->fold[k] == SOMA__FOLD_MIN)
        for (int64_t i = 0; i < width; i++)
            acc[i] = fold_two(p->fold[k], acc[i], own[i]);
    else
        for (int64_t i = 0; i < width; i++)
            acc[i] += own[i];
}

/* --- running a tile
 * -------------------------------------------------------------------------------*/

static float load_one(const struct soma__isa_fused *isa, soma_dtype dtype, const void *from)
{
    float value;
    if (dtype == SOMA_F32)
        memcpy(&value, from, sizeof(value));
    else
        isa->load(dtype, from, 1, &value);
    return value;
}

static void splat(float *to, float value)
{
    for (int i = 0; i < SOMA__SPLAT; i++)
        to[i] = value;
}

/* `count` values to f32. */
static void load_run(const fused_job *job, const place *in, const char *from, int64_t count,
                     float *to)
{
    if (in->dtype == SOMA_F32)
        memcpy(to, from, (size_t)count * sizeof(float));
    else
        job->isa->load(in->dtype, from, count, to);
}

/* Fills a tile of rows × n with the one row that `buffer` begins with. */
static void repeat_row(float *buffer, int64_t rows, int64_t n)
{
    int64_t filled = n, all = rows * n;
    while (filled < all) {
        int64_t more = filled < all - filled ? filled : all - filled;
        memcpy(buffer + filled, buffer, (size_t)more * sizeof(float));
        filled += more;
    }
}

/* Makes the strip of an operand that each row has one value of, in a flat tile. */
static soma__strip spread_rows(const fused_job *job, const place *in, float *buffer,
                               const window *w, int64_t rows, int64_t n)
{
    for (int64_t r = 0; r < rows; r++) {
        float value = load_one(job->isa, in->dtype, w->data + r * w->ld * in->size);
        for (int64_t j = 0; j < n; j++)
            buffer[r * n + j] = value;
    }
    return (soma__strip){buffer, n, false};
}

/* Makes the strip of an operand. */
static soma__strip load_operand(const fused_job *job, int i, float *buffer, const window *w,
                                int64_t rows, int64_t n)
{
    const place *in = &job->in[i];
    /* Set for each i < p->loads; the analyser takes p->loads for something that changes.
     * NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Branch) */
    if (w->moves && job->in_buffer[i] < 0)
        return (soma__strip){(float *)(void *)w->data, w->ld, false};
    int64_t different = w->ld == 0 ? 1 : rows;
    if (!w->moves && job->flat && different > 1)
        return spread_rows(job, in, buffer, w, rows, n);
    if (!w->moves) {
        for (int64_t r = 0; r < different; r++)
            splat(buffer + r * SOMA__SPLAT,
                  load_one(job->isa, in->dtype, w->data + r * w->ld * in->size));
        return (soma__strip){buffer, w->ld == 0 ? 0 : SOMA__SPLAT, true};
    }
    if (w->ld == n)
        load_run(job, in, w->data, rows * n, buffer);
    else
        for (int64_t r = 0; r < different; r++)
            load_run(job, in, w->data + r * w->ld * in->size, n, buffer + r * n);
    if (job->flat && w->ld == 0) {
        repeat_row(buffer, rows, n);
        return (soma__strip){buffer, n, false};
    }
    return (soma__strip){buffer, w->ld == 0 ? 0 : n, false};
}

/* Strips whose rows follow each other without a gap are one long row. */
static bool one_row(const soma__strip *s, int64_t n)
{
    return s->splat ? s->ld == 0 : s->ld == n;
}

static void apply(soma__vector_fn *fn, int arity, int64_t rows, int64_t n, const soma__strip *d,
                  const soma__strip *a, const soma__strip *b, const soma__strip *c)
{
    if (rows > 1 && one_row(d, n) && one_row(a, n) && (arity < 2 || one_row(b, n)) &&
        (arity < 3 || one_row(c, n))) {
        n *= rows;
        rows = 1;
    }
    fn(rows, n, d, a, b, c);
}

static void store_output(const fused_job *job, int k, const window *out, int64_t rows, int64_t n,
                         const soma__strip *from)
{
    if (rows > 1 && out->ld == n && one_row(from, n)) {
        n *= rows;
        rows = 1;
    }
    job->isa->store(job->out[k].dtype, out->data, out->ld, rows, n, from);
}

/* Runs the program on rows × n elements. in[] and out[] say where operands and outputs of this tile
 * lie. */
static void run_tile(const fused_job *job, fused_frame *frame, const window *in, const window *out,
                     int64_t rows, int64_t n)
{
    const soma__program *p = job->program;
    soma__strip *strip = frame->strip;
    int64_t apart = job->tile + STAGGER;
    for (int i = 0; i < p->loads; i++) {
        int buffer = job->in_buffer[i] < 0 ? 0 : job->in_buffer[i];
        strip[i] = load_operand(job, i, frame->memory + buffer * apart, &in[i], rows, n);
    }
    for (int i = 0; i < p->insns; i++) {
        const soma__insn *insn = &p->insn[i];
        int k = job->direct[i]; /* NOLINT(bugprone-signed-char-misuse): -1 is meant */
        soma__strip d;
        if (k >= 0)
            d = (soma__strip){(float *)(void *)out[k].data, out[k].ld, false};
        else
            d = (soma__strip){frame->memory + job->buffer[insn->dst] * apart, n, false};
        int arity = job->arity[i];
        const soma__strip *a = &strip[insn->a];
        const soma__strip *b = arity > 1 ? &strip[insn->b] : a,
                          *c = arity > 2 ? &strip[insn->c] : a;
        apply(job->isa->apply[job->code[i]], arity, rows, n, &d, a, b, c);
        strip[insn->dst] = d;
    }
    for (int k = 0; frame->partial && k < p->stores; k++)
        if (p->fold[k] != SOMA__FOLD_NONE)
            fold_tile(job, frame, k, rows, n);
    for (int k = 0; k < p->stores; k++)
        if (!job->stored[k] && p->fold[k] == SOMA__FOLD_NONE)
            store_output(job, k, &out[k], rows, n, &strip[p->store[k]]);
}

static void fill_constants(const soma__program *p, fused_frame *frame)
{
    for (int i = 0; i < p->constants; i++) {
        float *at = frame->constants + i * SOMA__SPLAT;
        splat(at, p->constant[i]);
        frame->strip[SOMA__PROGRAM_REGISTERS + i] = (soma__strip){at, 0, true};
    }
}

/* --- whole arrays
 * --------------------------------------------------------------------------------- */

/* Runs tile `t`; returns how many elements of it a fold makes one. Where it begins: its row and
 * column in the last two dims, and the number of its matrix. */
static int64_t run_one(const fused_job *job, fused_frame *frame, int64_t t)
{
    const soma__program *p = job->program;
    int last = job->dims - 1, above = last > 0 ? last - 1 : -1;
    int64_t col = t % job->col_tiles * job->tile_cols;
    int64_t rest = t / job->col_tiles;
    int64_t row = rest % job->row_tiles * job->tile_rows;
    int64_t matrix = rest / job->row_tiles;
    int64_t all_rows = above >= 0 ? job->dim[above] : 1, all_cols = job->dim[last];
    int64_t rows = all_rows - row < job->tile_rows ? all_rows - row : job->tile_rows;
    int64_t n = all_cols - col < job->tile_cols ? all_cols - col : job->tile_cols;
    int64_t index[SOMA_MAX_DIMS] = {0};
    rest = matrix;
    for (int d = last - 2; d >= 0; d--) {
        index[d] = rest % job->dim[d];
        rest /= job->dim[d];
    }
    window in[SOMA__PROGRAM_OPERANDS], out[SOMA__PROGRAM_STORES];
    for (int i = 0; i < p->loads; i++) {
        const place *from = &job->in[i];
        int64_t at = col * from->stride[last];
        if (above >= 0)
            at += row * from->stride[above];
        for (int d = 0; d + 1 < last; d++)
            at += index[d] * from->stride[d];
        in[i].data = from->data + at * from->size;
        in[i].ld = above >= 0 ? from->stride[above] : 0;
        in[i].moves = from->stride[last] != 0;
    }
    for (int k = 0; k < p->stores; k++) {
        int64_t at = (matrix * all_rows + row) * all_cols + col;
        if (p->fold[k] == SOMA__FOLD_NONE)
            out[k] = (window){job->out[k].data + at * job->out[k].size, all_cols, true};
    }
    run_tile(job, frame, in, out, rows, n);
    return job->fold.kind == FOLD_COLUMNS ? rows : job->fold.kind == FOLD_ROWS ? n : rows * n;
}

static void run_block(void *context, int64_t block, int worker)
{
    const fused_job *job = context;
    fused_frame frame;
    int64_t end = (block + 1) * job->block_tiles;
    (void)worker;
    frame.partial = NULL;
    fill_constants(job->program, &frame);
    for (int64_t t = block * job->block_tiles; t < end && t < job->tiles; t++)
        run_one(job, &frame, t);
}

/* --- whole folds
 * ----------------------------------------------------------------------------------*/

/* The tile that is the t-th of a group. */
static int64_t tile_of(const fused_job *job, int64_t group, int64_t t)
{
    const fold_cut *fold = &job->fold;
    if (fold->kind == FOLD_ALL)
        return group * fold->tiles + t;
    if (fold->kind == FOLD_COLUMNS)
        return (group / job->col_tiles * fold->tiles + t) * job->col_tiles + group % job->col_tiles;
    int64_t matrix = group / job->row_tiles * fold->lead + t / job->col_tiles;
    return (matrix * job->row_tiles + group % job->row_tiles) * job->col_tiles + t % job->col_tiles;
}

/* Where in the outputs a group's results begin, and how many they are. */
static int64_t results_of(const fused_job *job, int64_t group, int64_t *count)
{
    const fold_cut *fold = &job->fold;
    int last = job->dims - 1;
    int64_t all = fold->kind == FOLD_COLUMNS            ? job->dim[last]
                  : fold->kind == FOLD_ROWS && last > 0 ? job->dim[last - 1]
                                                        : 1;
    int64_t cut = (all + fold->width - 1) / fold->width, first = group % cut * fold->width;
    *count = all - first < fold->width ? all - first : fold->width;
    return group / cut * all + first;
}

static void put_count(float *partial, int64_t count)
{
    memcpy(partial, &count, sizeof(count));
}
static int64_t get_count(const float *partial)
{
    int64_t count;
    memcpy(&count, partial, sizeof(count));
    return count;
}

/* Result i of a fold from its partial results, which lie unit_floats apart, one for each chunk. */
static double combine(const fused_job *job, int k, const float *partial, int64_t i)
{
    const fold_cut *fold = &job->fold;
    const float *from = partial + COUNT_FLOATS + fold->part[k] * fold->width + i;
    soma__fold kind = job->program->fold[k];
    double total = (double)from[0], mean = 0, count = 0;
    if (kind == SOMA__FOLD_VARIANCE) {
        total = 0;
        for (int64_t c = 0; c < fold->chunks; c++, from += fold->unit_floats) {
            /* Chan et al.: the deviations of both parts, and of their means from each other. */
            double own = (double)get_count(partial + c * fold->unit_floats);
            double sum = (double)from[fold->width], squares = (double)from[2 * fold->width];
            double deviations = squares - sum * sum / own;
            double away = (double)from[0] + sum / own - mean;
            total += (deviations < 0 ? 0 : deviations) + away * away * count * own / (count + own);
            count += own;
            mean += away * own / count;
        }
    } else if (kind == SOMA__FOLD_MAX || kind == SOMA__FOLD_MIN) {
        for (int64_t c = 1; c < fold->chunks; c++)
            total = (double)fold_two(kind, (float)total, from[c * fold->unit_floats]);
    } else {
        for (int64_t c = 1; c < fold->chunks; c++)
            total += (double)from[c * fold->unit_floats];
    }
    return kind == SOMA__FOLD_MEAN || kind == SOMA__FOLD_VARIANCE ? total / job->program->divisor[k]
                                                                  : total;
}

static void finish_group(const fused_job *job, int64_t group, const float *partial)
{
    int64_t count, first = results_of(job, group, &count);
    for (int k = 0; k < job->program->stores; k++) {
        float *y = (float *)(void *)job->out[k].data + first;
        if (job->program->fold[k] == SOMA__FOLD_NONE)
            continue;
        for (int64_t i = 0; i < count; i++)
            y[i] = (float)combine(job, k, partial, i);
    }
}

static void finish_block(void *context, int64_t group, int worker)
{
    const fused_job *job = context;
    (void)worker;
    finish_group(job, group, job->fold.partial + group * job->fold.chunks * job->fold.unit_floats);
}

static void fold_block(void *context, int64_t block, int worker)
{
    const fused_job *job = context;
    const fold_cut *fold = &job->fold;
    fused_frame frame;
    int64_t end = (block + 1) * fold->block_units;
    fill_constants(job->program, &frame);
    for (int64_t u = block * fold->block_units; u < end && u < units(fold); u++) {
        int64_t group = u / fold->chunks, first = u % fold->chunks * fold->chunk;
        frame.partial = fold->partial + (fold->chunks > 1 ? u : worker) * fold->unit_floats;
        frame.count = 0;
        for (int64_t t = first; t < first + fold->chunk && t < fold->tiles; t++)
            frame.count += run_one(job, &frame, tile_of(job, group, t));
        put_count(frame.partial, frame.count);
        if (fold->chunks == 1)
            finish_group(job, group, frame.partial);
    }
}

void soma__run_fused(const soma__call *call, const soma__isa_table *isa)
{
    fused_job job;
    if (is_empty(&call->program->shape) || soma__moments_run(call, isa))
        return;
    job.isa = isa->fused;
    job.reduce = isa->reduce;
    prepare(&job, call);
    if (job.fold.kind == FOLD_NOTHING) {
        int64_t blocks = (job.tiles + job.block_tiles - 1) / job.block_tiles;
        soma__parallel(call->pool, blocks, run_block, &job);
        return;
    }
    job.fold.partial = call->scratch;
    int64_t blocks = (units(&job.fold) + job.fold.block_units - 1) / job.fold.block_units;
    soma__parallel(call->pool, blocks, fold_block, &job);
    if (job.fold.chunks > 1)
        soma__parallel(call->pool, job.fold.groups, finish_block, &job);
}

/* --- epilogues
 * ------------------------------------------------------------------------------------ */

/* The strides of an epilogue's operand in an [M,N] product, told from its shape. */
static void epilogue_strides(const soma__view *v, int64_t count, int64_t n, int64_t stride[2])
{
    int64_t last = v->shape.ndim ? v->shape.dim[v->shape.ndim - 1] : 1;
    bool columns = n == 1 || last == n; /* it has a value for each column */
    bool rows = v->count == (columns ? count : count / n) && v->count > (columns ? n : 1);
    stride[1] = columns && n > 1 ? 1 : 0;
    stride[0] = !rows ? 0 : columns ? n : 1;
}

void soma__epilogue_run(const soma__call *call, const soma__isa_table *isa, float *block,
                        int64_t ld, int64_t row0, int64_t rows, int64_t col0, int64_t cols)
{
    const soma__program *p = call->program;
    const soma__view *y = &call->out[0];
    int64_t n_all = y->shape.dim[y->shape.ndim - 1];
    int64_t at = row0 * n_all + col0;
    if (soma__chain_run(call, isa, block, ld, row0, rows, col0, cols))
        return;
    fused_job job;
    fused_frame frame;
    frame.partial = NULL;
    job.program = p;
    job.isa = isa->fused;
    job.fold.kind = FOLD_NOTHING;
    job.dims = 2;
    job.in[0] = (place){.data = (char *)block, .dtype = SOMA_F32, .size = 4, .stride = {ld, 1}};
    for (int i = 1; i < p->loads; i++) {
        const soma__view *v = &call->in[call->epilogue_first + i - 1];
        place *in = &job.in[i];
        in->dtype = v->dtype;
        in->size = (int64_t)soma_dtype_size(v->dtype);
        in->copy = false;
        epilogue_strides(v, y->count, n_all, in->stride);
        in->data = (char *)v->data + (row0 * in->stride[0] + col0 * in->stride[1]) * in->size;
    }
    for (int k = 0; k < p->stores; k++) {
        job.out[k].dtype = call->out[k].dtype;
        job.out[k].size = (int64_t)soma_dtype_size(call->out[k].dtype);
        job.out[k].data = (char *)call->out[k].data + at * job.out[k].size;
    }
    find_direct(&job);
    place_buffers(&job, cols);
    fill_constants(p, &frame);
    int64_t tile_cols = cols < job.tile ? cols : job.tile;
    int64_t tile_rows = tile_height(&job, tile_cols);
    window in[SOMA__PROGRAM_OPERANDS], out[SOMA__PROGRAM_STORES] = {{NULL, 0, false}};
    for (int64_t row = 0; row < rows; row += tile_rows)
        for (int64_t col = 0; col < cols; col += tile_cols) {
            for (int i = 0; i < p->loads; i++) {
                const place *from = &job.in[i];
                int64_t offset = row * from->stride[0] + col * from->stride[1];
                in[i] = (window){from->data + offset * from->size, from->stride[0],
                                 from->stride[1] != 0};
            }
            for (int k = 0; k < p->stores; k++)
                out[k] =
                    (window){job.out[k].data + (row * n_all + col) * job.out[k].size, n_all, true};
            run_tile(&job, &frame, in, out, rows - row < tile_rows ? rows - row : tile_rows,
                     cols - col < tile_cols ? cols - col : tile_cols);
        }
}
