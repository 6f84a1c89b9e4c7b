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
 *   3. Each register that the program writes has a buffer of one tile, unless the instruction that
 *      gives an output its value can write there at once.
 *
 * Blocks of tiles go to threads. An output may be one of the inputs: the tile's loads come before
 * its stores, and step 3 keeps out of memory that later instructions still read. */
#include "backend/cpu/fused.h"

#include <string.h>

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
/* Elements a block; work of fewer than two blocks stays on the calling thread. */
#define BLOCK 8192

/* Where an operand or output is. Strides are in elements. */
typedef struct place {
    char *data;
    soma_dtype dtype;
    int64_t size; /* bytes of an element */
    int64_t stride[SOMA_MAX_DIMS];
    bool copy; /* must not be read where it is: an output that is stored before it is used lies
                  there */
} place;

typedef struct fused_job {
    const soma__program *program;
    const struct soma__isa_fused *isa;
    place in[SOMA__PROGRAM_OPERANDS], out[SOMA__PROGRAM_STORES];
    int dims;
    int64_t dim[SOMA_MAX_DIMS];
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
} fused_frame;

/* One operand or output as a tile sees it. */
typedef struct window {
    char *data;
    int64_t ld;
    bool moves; /* along the row */
} window;

/* --- looking at the program ----------------------------------------------------------------------
 */

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
    return NULL;
}

size_t soma__scratch_fused(const soma__call *call, const soma__isa_table *isa, int threads)
{
    (void)call;
    (void)isa;
    (void)threads;
    return 0;
}

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

/* Numbers the buffers and makes the tile as large as they allow. */
static void place_buffers(fused_job *job)
{
    const soma__program *p = job->program;
    int count = 0;
    for (int i = 0; i < p->loads; i++) {
        const place *in = &job->in[i];
        bool whole = in->dtype == SOMA_F32 && in->stride[job->dims - 1] != 0 && !in->copy;
        job->in_buffer[i] = (int8_t)(whole ? -1 : count++);
    }
    for (int i = 0; i < SOMA__PROGRAM_REGISTERS; i++)
        job->buffer[i] = -1;
    for (int i = 0; i < p->insns; i++) {
        int dst = p->insn[i].dst;
        job->code[i] = simplify(p, &p->insn[i]);
        job->arity[i] = (uint8_t)soma__scalar_arity((soma__scalar)job->code[i]);
        if (job->direct[i] < 0 && job->buffer[dst] < 0)
            job->buffer[dst] = (int8_t)count++;
    }
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
        bool merge = dims > 0;
        for (int i = 0; i < loads && merge; i++)
            merge = job->in[i].stride[dims - 1] == job->in[i].stride[d] * shape->dim[d];
        if (merge)
            job->dim[dims - 1] *= shape->dim[d];
        else
            job->dim[dims++] = shape->dim[d];
        for (int i = 0; i < loads; i++)
            job->in[i].stride[dims - 1] = job->in[i].stride[d];
    }
    if (dims == 0) {
        job->dim[dims++] = 1;
        for (int i = 0; i < loads; i++)
            job->in[i].stride[0] = 0;
    }
    job->dims = dims;
}

static void cut_tiles(fused_job *job)
{
    int64_t cols = job->dim[job->dims - 1], rows = job->dims > 1 ? job->dim[job->dims - 2] : 1;
    int64_t matrices = 1;
    for (int d = 0; d + 2 < job->dims; d++)
        matrices *= job->dim[d];
    job->tile_cols = cols < job->tile ? cols : job->tile;
    /* A splat table of the rows must fit a buffer as well. */
    int64_t wide = job->tile_cols > SOMA__SPLAT ? job->tile_cols : SOMA__SPLAT;
    job->tile_rows = job->tile / wide < rows ? job->tile / wide : rows;
    job->row_tiles = (rows + job->tile_rows - 1) / job->tile_rows;
    job->col_tiles = (cols + job->tile_cols - 1) / job->tile_cols;
    job->tiles = matrices * job->row_tiles * job->col_tiles;
    int64_t elements = job->tile_rows * job->tile_cols;
    job->block_tiles = elements >= BLOCK ? 1 : BLOCK / elements;
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
    if (!w->moves) {
        for (int64_t r = 0; r < different; r++)
            splat(buffer + r * SOMA__SPLAT,
                  load_one(job->isa, in->dtype, w->data + r * w->ld * in->size));
        return (soma__strip){buffer, w->ld == 0 ? 0 : SOMA__SPLAT, true};
    }
    for (int64_t r = 0; r < different; r++) {
        const char *from = w->data + r * w->ld * in->size;
        if (in->dtype == SOMA_F32)
            memcpy(buffer + r * n, from, (size_t)n * sizeof(float));
        else
            job->isa->load(in->dtype, from, n, buffer + r * n);
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
    for (int k = 0; k < p->stores; k++)
        if (!job->stored[k]) /* out[k] is set for each k < p->stores, which does not change */
            /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage) */
            job->isa->store(job->out[k].dtype, out[k].data, out[k].ld, rows, n,
                            &strip[p->store[k]]);
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

/* Where tile `t` begins: its row and column in the last two dims, and the number of its matrix. */
static void run_one(const fused_job *job, fused_frame *frame, int64_t t)
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
        out[k] = (window){job->out[k].data + at * job->out[k].size, all_cols, true};
    }
    run_tile(job, frame, in, out, rows, n);
}

static void run_block(void *context, int64_t block, int worker)
{
    const fused_job *job = context;
    fused_frame frame;
    int64_t end = (block + 1) * job->block_tiles;
    (void)worker;
    fill_constants(job->program, &frame);
    for (int64_t t = block * job->block_tiles; t < end && t < job->tiles; t++)
        run_one(job, &frame, t);
}

void soma__run_fused(const soma__call *call, const soma__isa_table *isa)
{
    const soma__program *p = call->program;
    fused_job job;
    job.program = p;
    job.isa = isa->fused;
    for (int d = 0; d < p->shape.ndim; d++)
        if (p->shape.dim[d] == 0)
            return;
    for (int i = 0; i < p->loads; i++) {
        const soma__view *v = &call->in[i];
        job.in[i].data = v->data;
        job.in[i].dtype = v->dtype;
        job.in[i].size = (int64_t)soma_dtype_size(v->dtype);
        job.in[i].copy = false;
        soma__broadcast_strides(&v->shape, &p->shape, job.in[i].stride);
    }
    for (int k = 0; k < p->stores; k++) {
        job.out[k].data = call->out[k].data;
        job.out[k].dtype = call->out[k].dtype;
        job.out[k].size = (int64_t)soma_dtype_size(call->out[k].dtype);
    }
    merge_dims(&job);
    find_direct(&job);
    place_buffers(&job);
    cut_tiles(&job);
    int64_t blocks = (job.tiles + job.block_tiles - 1) / job.block_tiles;
    soma__parallel(call->pool, blocks, run_block, &job);
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
    fused_job job;
    fused_frame frame;
    job.program = p;
    job.isa = isa->fused;
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
    place_buffers(&job);
    fill_constants(p, &frame);
    int64_t tile_cols = cols < job.tile ? cols : job.tile;
    int64_t tile_rows = job.tile / (tile_cols > SOMA__SPLAT ? tile_cols : SOMA__SPLAT);
    window in[SOMA__PROGRAM_OPERANDS], out[SOMA__PROGRAM_STORES];
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
