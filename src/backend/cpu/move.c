/* move.c: kernels that only move elements: permute, expand, slices, pads, concat, gather, one_hot,
 * cast of whole arrays; and scatter_add. They see bytes, so they take every dtype.
 *
 * permute, expand, slices, place and pad are one strided copy. Its dims are merged where both sides
 * allow it; then the innermost dim decides: side by side on both sides (memcpy), one value
 * repeated, or a transpose, which goes by tiles so that both sides use whole cache lines. */
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "backend/cpu/move.h"
#include "base/pool.h"
#include "ops/attrs.h"
#include "ops/border.h"
#include "tensor/convert.h"

/* Bytes a block, for threads; rows of a transpose in a unit of work. */
#define BLOCK_BYTES ((int64_t)64 << 10)
#define UNIT_ROWS 64

#define NO_SCRATCH(name_) SOMA__NO_SCRATCH(name_)
#define TAKES_ALL(name_) SOMA__TAKES_ALL(name_) SOMA__NO_SCRATCH(name_)

typedef struct unit_job {
    void (*unit)(const void *context, int64_t unit);
    const void *context;
    int64_t units, block_units;
} unit_job;

static void unit_block(void *context, int64_t block, int worker)
{
    const unit_job *job = context;
    int64_t first = block * job->block_units;
    int64_t end = first + job->block_units < job->units ? first + job->block_units : job->units;
    (void)worker;
    for (int64_t unit = first; unit < end; unit++)
        job->unit(job->context, unit);
}

void soma__run_units(const soma__call *call, int64_t units, int64_t bytes, const void *context,
                     void (*unit)(const void *context, int64_t unit))
{
    unit_job job = {unit, context, units, 1};
    if (bytes < BLOCK_BYTES)
        job.block_units = BLOCK_BYTES / (bytes > 16 ? bytes : 16);
    soma__parallel(call->pool, (units + job.block_units - 1) / job.block_units, unit_block, &job);
}

/* --- the strided copy ---------------------------------------------------------------------------
 */

typedef enum copy_kind { RUNS, FILL, TRANSPOSE, SINGLE } copy_kind;

typedef struct strided_copy {
    const char *in;
    char *out;
    int64_t size; /* of an element, in bytes */
    int dims;
    int64_t dim[SOMA_MAX_DIMS], from[SOMA_MAX_DIMS], to[SOMA_MAX_DIMS]; /* strides in elements */
    copy_kind kind;
    int across;        /* TRANSPOSE: the dim that is side by side in the input */
    int64_t row_units; /* TRANSPOSE: units along it */
    int64_t row_block; /* TRANSPOSE: rows of a unit */
    int64_t bytes;     /* of the whole copy */
} strided_copy;

static void merge_dims(strided_copy *c)
{
    int dims = 0;
    for (int d = 0; d < c->dims; d++) {
        if (c->dim[d] == 1)
            continue;
        if (dims > 0 && c->from[dims - 1] == c->from[d] * c->dim[d] &&
            c->to[dims - 1] == c->to[d] * c->dim[d]) {
            c->dim[dims - 1] *= c->dim[d];
        } else {
            c->dim[dims] = c->dim[d];
            dims++;
        }
        c->from[dims - 1] = c->from[d];
        c->to[dims - 1] = c->to[d];
    }
    if (dims == 0) {
        c->dim[0] = c->from[0] = c->to[0] = 1;
        dims = 1;
    }
    c->dims = dims;
}

static void choose_kind(strided_copy *c)
{
    int last = c->dims - 1;
    c->kind = SINGLE;
    c->across = -1;
    if (c->to[last] != 1)
        return;
    if (c->from[last] == 1)
        c->kind = RUNS;
    else if (c->from[last] == 0)
        c->kind = FILL;
    else
        for (int d = 0; d < last; d++)
            if (c->from[d] == 1) {
                c->kind = TRANSPOSE;
                c->across = d;
            }
}

static void fill_run(char *to, const char *from, int64_t size, int64_t n)
{
    if (size == 1) {
        memset(to, *(const unsigned char *)from, (size_t)n);
    } else if (size == 4) {
        uint32_t value;
        memcpy(&value, from, sizeof(value));
        for (int64_t i = 0; i < n; i++)
            memcpy(to + 4 * i, &value, sizeof(value));
    } else {
        for (int64_t i = 0; i < n; i++)
            memcpy(to + size * i, from, (size_t)size);
    }
}

/* n single elements at their strides. */
#define COPY_FUNCTION(type_)                                                                       \
    static void copy_##type_(char *out, const char *in, int64_t n, int64_t to_stride,              \
                             int64_t from_stride)                                                  \
    {                                                                                              \
        const type_ *from = (const type_ *)(const void *)in;                                       \
        type_ *to = (type_ *)(void *)out;                                                          \
        if (to_stride == 1 && from_stride == -1)                                                   \
            for (int64_t i = 0; i < n; i++)                                                        \
                to[i] = from[-i];                                                                  \
        else                                                                                       \
            for (int64_t i = 0; i < n; i++)                                                        \
                to[i * to_stride] = from[i * from_stride];                                         \
    }
COPY_FUNCTION(uint8_t)
COPY_FUNCTION(uint16_t)
COPY_FUNCTION(uint32_t)
COPY_FUNCTION(uint64_t)

/* rows × cols elements: row r of the output at to + r·to_row, its neighbours side by side; in the
 * input rows are side by side and columns from_col apart. Strides in elements.
 *
 * A tile goes through a buffer of its own, so that every cache line is read or written once, as a
 * whole: with strides of a power of two all lines of a tile want the same few places in the cache.
 */
#define TRANSPOSE_FUNCTION(type_, tile_)                                                           \
    static void transpose_##type_(const char *in, char *out, int64_t rows, int64_t cols,           \
                                  int64_t from_col, int64_t to_row)                                \
    {                                                                                              \
        const type_ *from = (const type_ *)(const void *)in;                                       \
        type_ *to = (type_ *)(void *)out;                                                          \
        type_ tile[tile_][tile_];                                                                  \
        for (int64_t c0 = 0; c0 < cols; c0 += tile_)                                               \
            for (int64_t r0 = 0; r0 < rows; r0 += tile_) {                                         \
                int64_t c_count = cols - c0 < tile_ ? cols - c0 : tile_;                           \
                int64_t r_count = rows - r0 < tile_ ? rows - r0 : tile_;                           \
                for (int64_t c = 0; c < c_count; c++)                                              \
                    for (int64_t r = 0; r < r_count; r++)                                          \
                        tile[r][c] = from[r0 + r + (c0 + c) * from_col];                           \
                for (int64_t r = 0; r < r_count; r++) {                                            \
                    type_ *row = to + (r0 + r) * to_row + c0;                                      \
                    if (c_count == tile_) /* a size known here needs no call */                    \
                        memcpy(row, tile[r], sizeof(tile[r]));                                     \
                    else                                                                           \
                        memcpy(row, tile[r], (size_t)c_count * sizeof(type_));                     \
                }                                                                                  \
            }                                                                                      \
    }
TRANSPOSE_FUNCTION(uint8_t, 64)
TRANSPOSE_FUNCTION(uint16_t, 32)
TRANSPOSE_FUNCTION(uint64_t, 16)

/* Few columns or few rows: tiles would be mostly empty. The few are so many streams, read or
 * written side by side; the long side goes by pieces that stay in L1. */
#define FEW 8
#define PIECE 1024
#define THIN_FUNCTION(type_)                                                                       \
    static void thin_##type_(const char *in, char *out, int64_t rows, int64_t cols,                \
                             int64_t from_col, int64_t to_row)                                     \
    {                                                                                              \
        const type_ *from = (const type_ *)(const void *)in;                                       \
        type_ *to = (type_ *)(void *)out;                                                          \
        for (int64_t r = 0; cols <= FEW && r < rows; r++)                                          \
            for (int64_t c = 0; c < cols; c++)                                                     \
                to[r * to_row + c] = from[r + c * from_col];                                       \
        for (int64_t c0 = 0; cols > FEW && c0 < cols; c0 += PIECE) {                               \
            const int64_t end = cols - c0 < PIECE ? cols : c0 + PIECE;                             \
            for (int64_t r = 0; r < rows; r++)                                                     \
                for (int64_t c = c0; c < end; c++)                                                 \
                    to[r * to_row + c] = from[r + c * from_col];                                   \
        }                                                                                          \
    }
THIN_FUNCTION(uint8_t)
THIN_FUNCTION(uint16_t)
THIN_FUNCTION(uint32_t)
THIN_FUNCTION(uint64_t)

/* Words are most of what is transposed, so their tiles go through vectors, four by four, and the
 * source lines of the next tiles are asked for while these are turned. `stream`: the output is
 * larger than caches, so whole lines go to memory without being read first. */
#define TILE 16
#if defined(__SSE2__)
static void turn_tile(const uint32_t *from, int64_t from_col, uint32_t tile[TILE][TILE])
{
    for (int c = 0; c < TILE; c += 4)
        for (int r = 0; r < TILE; r += 4) {
            __m128 v[4];
            for (int k = 0; k < 4; k++)
                v[k] = _mm_loadu_ps((const float *)(const void *)(from + (c + k) * from_col + r));
            _MM_TRANSPOSE4_PS(v[0], v[1], v[2], v[3]);
            for (int k = 0; k < 4; k++)
                _mm_store_ps((float *)(void *)&tile[r + k][c], v[k]);
        }
}

static void write_line(uint32_t *to, const uint32_t *line, bool stream)
{
    for (int i = 0; i < TILE; i += 4) {
        const __m128i v = _mm_load_si128((const __m128i *)(const void *)(line + i));
        if (stream)
            _mm_stream_si128((__m128i *)(void *)(to + i), v);
        else
            _mm_storeu_si128((__m128i *)(void *)(to + i), v);
    }
}
#define STREAM_END() _mm_sfence()
#else
static void turn_tile(const uint32_t *from, int64_t from_col, uint32_t tile[TILE][TILE])
{
    for (int c = 0; c < TILE; c++)
        for (int r = 0; r < TILE; r++)
            tile[r][c] = from[c * from_col + r];
}

static void write_line(uint32_t *to, const uint32_t *line, bool stream)
{
    (void)stream;
    memcpy(to, line, TILE * sizeof(*to));
}
#define STREAM_END() ((void)0)
#endif

static void transpose_uint32_t(const char *in, char *out, int64_t rows, int64_t cols,
                               int64_t from_col, int64_t to_row, bool stream)
{
    const uint32_t *from = (const uint32_t *)(const void *)in;
    uint32_t *to = (uint32_t *)(void *)out;
    _Alignas(64) uint32_t tile[TILE][TILE];
    const int64_t whole_rows = rows / TILE * TILE, whole_cols = cols / TILE * TILE;
    stream = stream && to_row % 4 == 0 && (uintptr_t)to % 16 == 0;
    for (int64_t c0 = 0; c0 < whole_cols; c0 += TILE)
        for (int64_t r0 = 0; r0 < whole_rows; r0 += TILE) {
            const uint32_t *corner = from + c0 * from_col + r0;
            if (c0 + 2 * TILE <= cols)
                for (int c = TILE; c < 2 * TILE; c++)
                    __builtin_prefetch(corner + c * from_col);
            turn_tile(corner, from_col, tile);
            for (int r = 0; r < TILE; r++)
                write_line(to + (r0 + r) * to_row + c0, tile[r], stream);
        }
    if (stream)
        STREAM_END();
    for (int64_t c = whole_cols; c < cols; c++)
        for (int64_t r = 0; r < whole_rows; r++)
            to[r * to_row + c] = from[r + c * from_col];
    for (int64_t r = whole_rows; r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            to[r * to_row + c] = from[r + c * from_col];
}

/* Larger than the caches that a core may count on. */
#define STREAM_BYTES ((int64_t)16 << 20)

static void transpose(const strided_copy *c, const char *in, char *out, int64_t rows)
{
    int last = c->dims - 1;
    int64_t cols = c->dim[last], from_col = c->from[last], to_row = c->to[c->across];
    bool thin = rows <= FEW || cols <= FEW;
    if (c->size == 1)
        (thin ? thin_uint8_t : transpose_uint8_t)(in, out, rows, cols, from_col, to_row);
    else if (c->size == 2)
        (thin ? thin_uint16_t : transpose_uint16_t)(in, out, rows, cols, from_col, to_row);
    else if (c->size == 8)
        (thin ? thin_uint64_t : transpose_uint64_t)(in, out, rows, cols, from_col, to_row);
    else if (thin)
        thin_uint32_t(in, out, rows, cols, from_col, to_row);
    else
        transpose_uint32_t(in, out, rows, cols, from_col, to_row, c->bytes >= STREAM_BYTES);
}

/* Units are numbered through all dims but the last; of a transpose's dim, UNIT_ROWS are one unit.
 */
static void copy_unit(const void *context, int64_t unit)
{
    const strided_copy *c = context;
    const char *in = c->in;
    char *out = c->out;
    int last = c->dims - 1;
    int64_t n = c->dim[last], rows = 1;
    for (int d = last - 1; d >= 0; d--) {
        int64_t size = d == c->across ? c->row_units : c->dim[d];
        int64_t at = unit % size;
        unit /= size;
        if (d == c->across) {
            at *= c->row_block;
            rows = c->dim[d] - at < c->row_block ? c->dim[d] - at : c->row_block;
        }
        in += at * c->from[d] * c->size;
        out += at * c->to[d] * c->size;
    }
    switch (c->kind) {
    case RUNS:
        soma__copy_run(out, in, n * c->size);
        break;
    case FILL:
        fill_run(out, in, c->size, n);
        break;
    case TRANSPOSE:
        transpose(c, in, out, rows);
        break;
    case SINGLE:
        if (c->size == 1)
            copy_uint8_t(out, in, n, c->to[last], c->from[last]);
        else if (c->size == 2)
            copy_uint16_t(out, in, n, c->to[last], c->from[last]);
        else if (c->size == 4)
            copy_uint32_t(out, in, n, c->to[last], c->from[last]);
        else
            copy_uint64_t(out, in, n, c->to[last], c->from[last]);
        break;
    }
}

static void run_copy(const soma__call *call, strided_copy *c)
{
    int64_t units = 1;
    c->bytes = c->size;
    for (int d = 0; d < c->dims; d++) {
        if (c->dim[d] == 0)
            return;
        c->bytes *= c->dim[d];
    }
    merge_dims(c);
    /* One long run is cut, so that threads can share it. */
    int64_t most = BLOCK_BYTES / c->size;
    if (c->dims == 1 && c->dim[0] >= 2 * most) {
        int64_t n = c->dim[0], whole = n / most * most;
        strided_copy rest = *c;
        rest.dim[0] = n - whole;
        rest.in += whole * c->from[0] * c->size;
        rest.out += whole * c->to[0] * c->size;
        if (n > whole)
            run_copy(call, &rest);
        c->dims = 2;
        c->from[1] = c->from[0];
        c->to[1] = c->to[0];
        c->dim[1] = most;
        c->dim[0] = n / most;
        c->from[0] *= most;
        c->to[0] *= most;
    }
    choose_kind(c);
    int64_t elements = c->dim[c->dims - 1];
    if (c->kind == TRANSPOSE) {
        /* Of few columns, as many rows as make a block: their lines are side by side. */
        c->row_block = elements <= FEW ? BLOCK_BYTES / (elements * c->size) : UNIT_ROWS;
        c->row_units = (c->dim[c->across] + c->row_block - 1) / c->row_block;
        elements *= c->row_block;
    }
    for (int d = 0; d < c->dims - 1; d++)
        units *= d == c->across ? c->row_units : c->dim[d];
    soma__run_units(call, units, elements * c->size, c, copy_unit);
}

/* A copy that writes all of the output in order. */
static strided_copy to_whole_output(const soma__call *call)
{
    const soma__view *y = &call->out[0];
    strided_copy c = {.in = call->in[0].data, .out = y->data, .dims = y->shape.ndim};
    c.size = (int64_t)soma_dtype_size(y->dtype);
    memcpy(c.dim, y->shape.dim, sizeof(c.dim));
    soma__shape_strides(&y->shape, c.to);
    return c;
}

TAKES_ALL(permute)
void soma__run_permute(const soma__call *call, const soma__isa_table *isa)
{
    const soma__permute_attrs *attrs = call->attrs;
    strided_copy c = to_whole_output(call);
    int64_t stride[SOMA_MAX_DIMS];
    (void)isa;
    soma__shape_strides(&call->in[0].shape, stride);
    for (int d = 0; d < c.dims; d++)
        c.from[d] = stride[attrs->axes[d]];
    run_copy(call, &c);
}

TAKES_ALL(expand)
void soma__run_expand(const soma__call *call, const soma__isa_table *isa)
{
    strided_copy c = to_whole_output(call);
    (void)isa;
    soma__broadcast_strides(&call->in[0].shape, &call->out[0].shape, c.from);
    run_copy(call, &c);
}

TAKES_ALL(slice)
void soma__run_slice(const soma__call *call, const soma__isa_table *isa)
{
    const soma__slice_attrs *attrs = call->attrs;
    strided_copy c = to_whole_output(call);
    (void)isa;
    soma__shape_strides(&call->in[0].shape, c.from);
    if (call->out[0].count > 0)
        c.in += attrs->start * c.from[attrs->axis] * c.size;
    run_copy(call, &c);
}

/* Byte offset of the cell at `start` in an array of these strides, which become those of steps. */
static int64_t step_strides(int64_t *stride, const int64_t *start, const int64_t *step, int ndim,
                            int64_t size)
{
    int64_t first = 0;
    for (int d = 0; d < ndim; d++) {
        first += start[d] * stride[d];
        stride[d] *= step[d];
    }
    return first * size;
}

TAKES_ALL(slice_steps)
void soma__run_slice_steps(const soma__call *call, const soma__isa_table *isa)
{
    const soma__slice_steps_attrs *attrs = call->attrs;
    strided_copy c = to_whole_output(call);
    (void)isa;
    if (call->out[0].count == 0)
        return;
    soma__shape_strides(&call->in[0].shape, c.from);
    c.in += step_strides(c.from, attrs->start, attrs->step, c.dims, c.size);
    run_copy(call, &c);
}

/* One value everywhere. */
static void fill_output(const soma__call *call, const char *value)
{
    strided_copy fill = to_whole_output(call);
    fill.in = value;
    memset(fill.from, 0, sizeof(fill.from));
    run_copy(call, &fill);
}

TAKES_ALL(place)
void soma__run_place(const soma__call *call, const soma__isa_table *isa)
{
    static const char zero[8];
    const soma__place_attrs *attrs = call->attrs;
    const soma__view *x = &call->in[0], *y = &call->out[0];
    (void)isa;
    if (y->count == 0)
        return;
    if (x->count < y->count)
        fill_output(call, zero);
    if (x->count == 0)
        return;
    strided_copy c = to_whole_output(call);
    memcpy(c.dim, x->shape.dim, sizeof(c.dim));
    soma__shape_strides(&x->shape, c.from);
    c.out += step_strides(c.to, attrs->start, attrs->step, c.dims, c.size);
    run_copy(call, &c);
}

/* The value goes everywhere first: padding is a small part, and the second write hits the cache. */
TAKES_ALL(pad)
void soma__run_pad(const soma__call *call, const soma__isa_table *isa)
{
    const soma__pad_attrs *attrs = call->attrs;
    const soma__view *x = &call->in[0], *y = &call->out[0];
    char value[8];
    (void)isa;
    if (y->count == 0)
        return;
    soma__fill(y->dtype, value, 1, attrs->value);
    fill_output(call, value);
    if (x->count == 0)
        return;
    strided_copy c = to_whole_output(call);
    memcpy(c.dim, x->shape.dim, sizeof(c.dim));
    soma__shape_strides(&x->shape, c.from);
    for (int d = 0; d < c.dims; d++)
        c.out += attrs->before[d] * c.to[d] * c.size;
    run_copy(call, &c);
}

/* Rows run along the last dim that has a border; dims behind it are one wide cell. A row's middle
 * is one copy of x's row. */
typedef struct border_job {
    const soma__border_attrs *attrs;
    const char *x;
    char *y;
    const soma_shape *from, *to;
    int row;      /* the dim of rows */
    int64_t cell; /* bytes */
} border_job;

TAKES_ALL(pad_border)

static void border_unit(const void *context, int64_t unit)
{
    const border_job *job = context;
    const soma__border_attrs *attrs = job->attrs;
    const int r = job->row;
    const int64_t n = job->from->dim[r], before = attrs->before[r], after = attrs->after[r];
    char *y = job->y + unit * job->to->dim[r] * job->cell;
    int64_t from = 0, stride = n;
    for (int d = r - 1; d >= 0; d--) {
        const int64_t at = unit % job->to->dim[d] - attrs->before[d];
        unit /= job->to->dim[d];
        from += stride * soma__border_cell((soma_pad_mode)attrs->border, at, job->from->dim[d]);
        stride *= job->from->dim[d];
    }
    const char *x = job->x + from * job->cell;
    for (int64_t i = -before; i < 0; i++, y += job->cell)
        soma__copy_run(y, x + soma__border_cell((soma_pad_mode)attrs->border, i, n) * job->cell,
                       job->cell);
    soma__copy_run(y, x, n * job->cell);
    y += n * job->cell;
    for (int64_t i = n; i < n + after; i++, y += job->cell)
        soma__copy_run(y, x + soma__border_cell((soma_pad_mode)attrs->border, i, n) * job->cell,
                       job->cell);
}

void soma__run_pad_border(const soma__call *call, const soma__isa_table *isa)
{
    const soma__view *x = &call->in[0], *y = &call->out[0];
    border_job job = {.attrs = call->attrs, .x = x->data, .y = y->data};
    int64_t rows = 1;
    (void)isa;
    if (y->count == 0)
        return;
    job.from = &x->shape;
    job.to = &y->shape;
    job.cell = (int64_t)soma_dtype_size(y->dtype);
    job.row = y->shape.ndim - 1;
    while (job.row > 0 && y->shape.dim[job.row] == x->shape.dim[job.row])
        job.cell *= y->shape.dim[job.row--];
    if (job.row < 0) { /* a scalar */
        memcpy(y->data, x->data, (size_t)job.cell);
        return;
    }
    for (int d = 0; d < job.row; d++)
        rows *= y->shape.dim[d];
    soma__run_units(call, rows, y->shape.dim[job.row] * job.cell, &job, border_unit);
}

/* --- along one axis
 * --------------------------------------------------------------------------------- */

/* Each input is a copy into a part of each row of the output. */
TAKES_ALL(concat)
void soma__run_concat(const soma__call *call, const soma__isa_table *isa)
{
    const soma__axis_attrs *attrs = call->attrs;
    const soma__view *y = &call->out[0];
    int64_t before, after, at = 0;
    (void)isa;
    soma__shape_around(&y->shape, attrs->axis, &before, &after);
    for (int i = 0; i < call->nin; i++) {
        const soma__view *x = &call->in[i];
        int64_t run = x->shape.dim[attrs->axis] * after;
        strided_copy c = {.in = x->data, .dims = 2, .dim = {before, run}, .from = {run, 1}};
        c.size = (int64_t)soma_dtype_size(y->dtype);
        c.to[0] = y->shape.dim[attrs->axis] * after;
        c.to[1] = 1;
        if (x->count == 0)
            continue;
        c.out = (char *)y->data + at * c.size;
        at += run;
        run_copy(call, &c);
    }
}

static const char *refuses_index(const soma__view *index)
{
    return index->dtype == SOMA_I64 || index->dtype == SOMA_I32
               ? NULL
               : "the index is neither i32 nor i64";
}

typedef struct index_job {
    const soma__view *index;
    const char *x;
    char *y;
    int64_t size, before, after; /* of the axis, and around it */
    int64_t element;             /* bytes */
    int64_t panels;              /* scatter_add: groups of columns */
    int64_t ranges, range;       /* scatter_add: of the axis; cells of one */
} index_job;

const char *soma__refuses_gather(const soma__call *call)
{
    return refuses_index(&call->in[1]);
}
NO_SCRATCH(gather)

static void gather_unit(const void *context, int64_t unit)
{
    const index_job *job = context;
    int64_t bytes = job->after * job->element;
    int64_t k = soma__view_index(job->index, unit % job->index->count),
            a = unit / job->index->count;
    if (k >= 0 && k < job->size)
        soma__copy_run(job->y + unit * bytes, job->x + (a * job->size + k) * bytes, bytes);
    else
        memset(job->y + unit * bytes, 0, (size_t)bytes);
}

void soma__run_gather(const soma__call *call, const soma__isa_table *isa)
{
    const soma__axis_attrs *attrs = call->attrs;
    const soma__view *x = &call->in[0];
    index_job job = {.index = &call->in[1], .x = x->data, .y = call->out[0].data};
    (void)isa;
    if (call->out[0].count == 0)
        return;
    job.size = x->shape.dim[attrs->axis];
    job.element = (int64_t)soma_dtype_size(x->dtype);
    soma__shape_around(&x->shape, attrs->axis, &job.before, &job.after);
    soma__run_units(call, job.before * job.index->count, job.after * job.element, &job,
                    gather_unit);
}

/* A unit is a panel of columns of a range of y's rows: every cell is added up by one thread, in the
 * order of the index. With few columns the rows are cut into ranges as well, each of which reads
 * the whole index. */
#define SCATTER_COLUMNS 64
#define SCATTER_RANGES 16

const char *soma__refuses_scatter_add(const soma__call *call)
{
    if (call->in[0].dtype != SOMA_F32)
        return "the dtype is not f32";
    return refuses_index(&call->in[1]);
}
NO_SCRATCH(scatter_add)

static void scatter_unit(const void *context, int64_t unit)
{
    const index_job *job = context;
    const int64_t first = unit % job->ranges * job->range;
    const int64_t end = job->size - first < job->range ? job->size : first + job->range;
    unit /= job->ranges;
    int64_t column = unit % job->panels * SCATTER_COLUMNS, a = unit / job->panels;
    int64_t columns = job->after - column < SCATTER_COLUMNS ? job->after - column : SCATTER_COLUMNS;
    float *y = (float *)(void *)job->y + a * job->size * job->after + column;
    const float *x =
        (const float *)(const void *)job->x + a * job->index->count * job->after + column;
    if (columns == job->after && end > first)
        memset(y + first * columns, 0, (size_t)((end - first) * columns) * sizeof(float));
    else
        for (int64_t k = first; k < end; k++)
            memset(y + k * job->after, 0, (size_t)columns * sizeof(float));
    for (int64_t i = 0; i < job->index->count; i++, x += job->after) {
        int64_t k = soma__view_index(job->index, i);
        if (k < first || k >= end)
            continue;
        float *to = y + k * job->after;
        for (int64_t b = 0; b < columns; b++)
            to[b] += x[b];
    }
}

void soma__run_scatter_add(const soma__call *call, const soma__isa_table *isa)
{
    const soma__scatter_attrs *attrs = call->attrs;
    const soma__view *y = &call->out[0];
    index_job job = {.index = &call->in[1], .x = call->in[0].data, .y = y->data, .element = 4};
    (void)isa;
    if (y->count == 0)
        return;
    job.size = attrs->size;
    soma__shape_around(&y->shape, attrs->axis, &job.before, &job.after);
    job.panels = (job.after + SCATTER_COLUMNS - 1) / SCATTER_COLUMNS;
    job.ranges = job.before * job.panels < SCATTER_RANGES ? SCATTER_RANGES : 1;
    job.range = (job.size + job.ranges - 1) / job.ranges;
    job.ranges = (job.size + job.range - 1) / job.range;
    int64_t columns = job.after < SCATTER_COLUMNS ? job.after : SCATTER_COLUMNS;
    soma__run_units(call, job.before * job.panels * job.ranges,
                    (job.range + job.index->count / job.ranges) * columns * 4 +
                        job.index->count * 8,
                    &job, scatter_unit);
}

const char *soma__refuses_one_hot(const soma__call *call)
{
    return refuses_index(&call->in[0]);
}
NO_SCRATCH(one_hot)

static void one_hot_unit(const void *context, int64_t unit)
{
    const index_job *job = context;
    float *y = (float *)(void *)job->y + unit * job->size;
    int64_t k = soma__view_index(job->index, unit);
    memset(y, 0, (size_t)job->size * sizeof(float));
    if (k >= 0 && k < job->size)
        y[k] = 1;
}

void soma__run_one_hot(const soma__call *call, const soma__isa_table *isa)
{
    const soma__one_hot_attrs *attrs = call->attrs;
    index_job job = {.index = &call->in[0], .y = call->out[0].data, .size = attrs->depth};
    (void)isa;
    if (call->out[0].count == 0)
        return;
    soma__run_units(call, job.index->count, job.size * 4, &job, one_hot_unit);
}

/* --- cast
 * ------------------------------------------------------------------------------------------- */

/* Most casts are parts of fused programs; here are those that f32 lanes cannot hold (i64, f64). */
TAKES_ALL(cast)

#define CAST_ELEMENTS 8192

static void cast_block(void *context, int64_t block, int worker)
{
    const soma__call *call = context;
    const soma__view *x = &call->in[0], *y = &call->out[0];
    int64_t first = block * CAST_ELEMENTS;
    int64_t count = x->count - first < CAST_ELEMENTS ? x->count - first : CAST_ELEMENTS;
    (void)worker;
    soma__convert(y->dtype, (char *)y->data + first * (int64_t)soma_dtype_size(y->dtype), x->dtype,
                  (const char *)x->data + first * (int64_t)soma_dtype_size(x->dtype), count);
}

void soma__run_cast(const soma__call *call, const soma__isa_table *isa)
{
    soma__call copy = *call;
    (void)isa;
    soma__parallel(call->pool, (call->in[0].count + CAST_ELEMENTS - 1) / CAST_ELEMENTS, cast_block,
                   &copy);
}
