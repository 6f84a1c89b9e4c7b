/* bf16.c: matmul, conv2d and its gradients on operands of bf16.
 *
 * An operand may also be f32 (ops/precision.h); it is rounded on the way. Where the instruction set
 * multiplies pairs of bf16, operands are brought into an order in which two neighbours along the
 * sum lie side by side (gemm.h), and the code that cuts up f32 products and convs does the rest:
 *
 * - Product: an operand whose sum runs along memory is in that order already; of another, rows
 *   2k and 2k + 1 are interleaved.
 * - Gather, conv2d and its input gradient: pairs are neighbouring channels.
 * - Images, the weight gradient, which sums over pixels: pairs are the same pixel of two images, so
 *   that no border of an image comes between them.
 *
 * - Winograd, 3×3 windows where that costs less (winograd.h): of x and dy as bf16, of weights as
 *   they are.
 *
 * Elsewhere, and for what has no such pairs (few or oddly many channels, depthwise convs), the
 * operands become f32 arrays, and an f32 kernel runs: its sums of products of bf16 are as good. */
#include <string.h>

#include "backend/cpu/conv.h"
#include "backend/cpu/fused.h"
#include "backend/cpu/winograd.h"

#define CHUNK 4096 /* elements converted at a time */
#define LEAST_CHANNELS 8

typedef enum operation { MATMUL, CONV, INPUT_GRAD, WEIGHT_GRAD } operation;
typedef enum way { WIDE, PRODUCT, GATHER, IMAGES, WINOGRAD } way;
typedef enum layout {
    AS_F32,  /* rounded to bf16, in the bits of f32 */
    AS_BF16, /* as it is where it is bf16 */
    AS_PAIRS
} layout;

typedef struct job {
    const soma__call *call;
    const soma__isa_table *isa;
    way mode;
    layout form[2];
    int64_t rows[2], cols[2]; /* of an operand that becomes pairs: so many rows, taken two by two */
    soma__product p;
    int a;       /* the operand of the call that is p's left one */
    int m;       /* of Winograd's tiles, also of WIDE ones; 0: by the definition */
    bool rounds; /* the result, which is f32 first */
    /* Scratch, in bytes. */
    size_t operand_at[2], result_at, inner_at;
    char *scratch;
    /* The f32 kernel's call. */
    soma__view in[SOMA__PROGRAM_OPERANDS + 8], out;
    soma__call inner;
} job;

static const struct {
    size_t (*scratch)(const soma__call *call, const soma__isa_table *isa, int threads);
    void (*run)(const soma__call *call, const soma__isa_table *isa);
} kernels[] = {
    [MATMUL] = {soma__scratch_matmul, soma__run_matmul},
    [CONV] = {soma__scratch_conv2d, soma__run_conv2d},
    [INPUT_GRAD] = {soma__scratch_conv2d_input_grad, soma__run_conv2d_input_grad},
    [WEIGHT_GRAD] = {soma__scratch_conv2d_weight_grad, soma__run_conv2d_weight_grad},
};

/* --- decisions ----------------------------------------------------------------------------------
 */

static soma__conv_sizes sizes_of(const soma__call *call, operation kind)
{
    const soma_shape *in[2] = {&call->in[0].shape, &call->in[1].shape}, *out = &call->out[0].shape;
    return kind == CONV         ? soma__conv_read(call->attrs, in[0], in[1], out)
           : kind == INPUT_GRAD ? soma__conv_read(call->attrs, out, in[1], in[0])
                                : soma__conv_read(call->attrs, in[0], out, in[1]);
}

/* The m of Winograd's tiles, or 0. */
static int winograd_tile(const soma__call *call, operation kind, bool fixed)
{
    if (kind == MATMUL || call->no_winograd)
        return 0;
    const soma__conv_sizes s = sizes_of(call, kind);
    return kind == WEIGHT_GRAD ? soma__winograd_choose_weight(&s, fixed)
                               : soma__winograd_choose(&s, kind == CONV, fixed);
}

/* Whether an operand of k steps can be one of pairs: in place only if they come out even. */
static bool pairs_of(int64_t k, int64_t k_step)
{
    return k_step != 1 || k % 2 == 0;
}

/* j->p of elements becomes one of pairs. */
static void pair_product(job *j)
{
    soma__product *p = &j->p;
    int64_t *row[2] = {&p->a_row, &p->b_col};
    const int64_t step[2] = {p->a_col, p->b_row}, across[2] = {p->m, p->n};
    for (int i = 0; i < 2; i++) {
        int operand = i == 0 ? j->a : 1 - j->a;
        if (step[i] == 1) {
            j->form[operand] = AS_BF16;
            *row[i] /= 2;
        } else {
            j->form[operand] = AS_PAIRS;
            j->rows[operand] = p->k;
            j->cols[operand] = across[i];
        }
    }
    p->k = (p->k + 1) / 2;
    p->pairs = true;
    j->mode = PRODUCT;
}

static void choose_mode(job *j, operation kind)
{
    const soma__call *call = j->call;
    bool product = kind == MATMUL;
    soma__conv_sizes s;
    j->mode = WIDE;
    j->form[0] = j->form[1] = AS_F32;
    const bool pairs = j->isa->gemm->tile_pairs != NULL;
    j->m = winograd_tile(call, kind, pairs);
    if (j->m && pairs) {
        j->mode = WINOGRAD;
        j->form[0] = AS_BF16;
        j->form[1] = kind == WEIGHT_GRAD ? AS_BF16 : AS_F32;
    }
    if (j->m || !pairs)
        return;
    if (kind == MATMUL) {
        soma__matmul_read(call, &j->p, NULL);
    } else {
        s = sizes_of(call, kind);
        product = soma__conv_is_product(&s);
        if (product)
            j->p = kind == WEIGHT_GRAD
                       ? soma__conv_weight_product(&s)
                       : soma__conv_product(&s, kind == CONV, call->program != NULL);
        j->a = kind == WEIGHT_GRAD; /* dyᵀ · x */
    }
    if (product) {
        if (j->p.batch == 1 && pairs_of(j->p.k, j->p.a_col) && pairs_of(j->p.k, j->p.b_row))
            pair_product(j);
    } else if (!soma__conv_is_depthwise(&s)) {
        int64_t channels = kind == CONV ? s.group_c : s.group_o;
        if (kind == WEIGHT_GRAD) {
            j->mode = IMAGES;
            for (int i = 0; i < 2; i++) {
                j->form[i] = AS_PAIRS;
                j->rows[i] = s.N;
                j->cols[i] = s.N ? call->in[i].count / s.N : 0;
            }
        } else if (channels % 2 == 0 && channels >= LEAST_CHANNELS) {
            j->mode = GATHER;
            j->form[0] = j->form[1] = AS_BF16;
        }
    }
}

static size_t take(size_t *at, size_t bytes)
{
    size_t here = *at;
    *at += (bytes + 63) & ~(size_t)63;
    return here;
}

static bool in_place(const job *j, int operand)
{
    soma_dtype dtype = j->call->in[operand].dtype;
    /* What Winograd's method makes of weights is rounded anyway. */
    return j->form[operand] == AS_BF16 ? dtype == SOMA_BF16
                                       : j->mode == WINOGRAD && dtype == SOMA_F32;
}

/* The views that the kernel within sees, less the addresses. */
static void fill_views(job *j)
{
    const soma__call *call = j->call;
    j->inner = *call;
    j->inner.in = j->in;
    memcpy(j->in, call->in, (size_t)call->nin * sizeof *call->in);
    for (int i = 0; i < 2; i++) {
        j->in[i].dtype = j->form[i] == AS_F32 ? SOMA_F32 : SOMA_BF16;
        if (j->mode == IMAGES) {
            j->in[i].shape.dim[0] = (j->rows[i] + 1) / 2;
            j->in[i].count = j->in[i].shape.dim[0] * j->cols[i];
        }
    }
    if (j->rounds) {
        j->out = call->out[0];
        j->out.dtype = SOMA_F32;
        j->inner.out = &j->out;
    }
}

/* Everything that shapes and dtypes decide; returns the bytes of scratch. */
static size_t arrange(job *j, const soma__call *call, operation kind, const soma__isa_table *isa,
                      int threads)
{
    *j = (job){.call = call, .isa = isa};
    j->rounds = !call->program && call->out[0].dtype == SOMA_BF16;
    choose_mode(j, kind);
    fill_views(j);
    size_t bytes = 0;
    for (int i = 0; i < 2; i++) {
        int64_t count = call->in[i].count;
        size_t size = j->form[i] == AS_BF16 ? sizeof(uint16_t) : sizeof(float);
        if (j->form[i] == AS_PAIRS)
            count = (j->rows[i] + 1) / 2 * j->cols[i];
        j->operand_at[i] = take(&bytes, in_place(j, i) ? 0 : (size_t)count * size);
    }
    j->result_at = take(&bytes, j->rounds ? (size_t)call->out[0].count * sizeof(float) : 0);
    j->inner_at = bytes;
    if (j->m)
        return bytes + (kind == WEIGHT_GRAD
                            ? soma__winograd_weight_scratch(j->m, &j->inner, isa, threads)
                            : soma__winograd_scratch(j->m, &j->inner, kind == CONV, isa, threads));
    return bytes + (j->mode == PRODUCT ? soma__product_scratch(&j->p, isa, threads)
                                       : kernels[kind].scratch(&j->inner, isa, threads));
}

/* --- conversion ---------------------------------------------------------------------------------
 */

typedef struct conversion {
    const struct soma__isa_fused *isa;
    const soma__isa_gemm *gemm;
    const soma__view *from;
    layout form;
    int64_t rows, cols;
    char *to;
} conversion;

static void round_to(const struct soma__isa_fused *isa, const soma__view *from, int64_t at,
                     int64_t n, uint16_t *to)
{
    const soma__strip strip = {(float *)from->data + at, 0, false};
    isa->store(SOMA_BF16, to, 0, 1, n, &strip);
}

/* n elements from `at` on as bf16: where they are, or rounded into `room`. */
static const uint16_t *as_bf16(const conversion *c, int64_t at, int64_t n, uint16_t *room)
{
    if (c->from->dtype == SOMA_BF16)
        return (const uint16_t *)c->from->data + at;
    round_to(c->isa, c->from, at, n, room);
    return room;
}

static void convert_chunk(void *context, int64_t chunk, int worker)
{
    const conversion *c = context;
    uint16_t even_room[CHUNK], odd_room[CHUNK];
    (void)worker;
    int64_t chunks = (c->cols + CHUNK - 1) / CHUNK;
    int64_t row = chunk / chunks, col = chunk % chunks * CHUNK;
    int64_t n = c->cols - col < CHUNK ? c->cols - col : CHUNK;
    if (c->form == AS_BF16) {
        round_to(c->isa, c->from, col, n, (uint16_t *)(void *)c->to + col);
    } else if (c->form == AS_F32) {
        const uint16_t *bits = as_bf16(c, col, n, even_room);
        c->isa->load(SOMA_BF16, bits, n, (float *)(void *)c->to + col);
    } else {
        int64_t at = 2 * row * c->cols + col;
        const uint16_t *even = as_bf16(c, at, n, even_room);
        const uint16_t *odd = 2 * row + 1 < c->rows ? as_bf16(c, at + c->cols, n, odd_room) : NULL;
        c->gemm->interleave((float *)(void *)c->to + row * c->cols + col, even, odd, n);
    }
}

static void *convert(const job *j, int operand)
{
    const soma__view *from = &j->call->in[operand];
    if (in_place(j, operand))
        return from->data;
    conversion c = {.isa = j->isa->fused,
                    .gemm = j->isa->gemm,
                    .from = from,
                    .form = j->form[operand],
                    .rows = 1,
                    .cols = from->count,
                    .to = j->scratch + j->operand_at[operand]};
    if (c.form == AS_PAIRS) {
        c.rows = j->rows[operand];
        c.cols = j->cols[operand];
    }
    int64_t chunks = (c.cols + CHUNK - 1) / CHUNK;
    int64_t rows = c.form == AS_PAIRS ? (c.rows + 1) / 2 : 1;
    soma__parallel(j->call->pool, rows * chunks, convert_chunk, &c);
    return c.to;
}

static void round_result(void *context, int64_t chunk, int worker)
{
    const job *j = context;
    (void)worker;
    int64_t at = chunk * CHUNK, count = j->out.count;
    round_to(j->isa->fused, &j->out, at, count - at < CHUNK ? count - at : CHUNK,
             (uint16_t *)j->call->out[0].data + at);
}

/* --- the kernels --------------------------------------------------------------------------------
 */

static void run(const soma__call *call, operation kind, const soma__isa_table *isa)
{
    job j;
    arrange(&j, call, kind, isa, soma__pool_threads(call->pool));
    j.scratch = call->scratch;
    j.in[0].data = convert(&j, 0);
    j.in[1].data = convert(&j, 1);
    j.inner.scratch = j.scratch + j.inner_at;
    j.out.data = j.scratch + j.result_at;
    if (j.m && kind == WEIGHT_GRAD) {
        soma__winograd_weight_run(j.m, &j.inner, isa);
    } else if (j.m) {
        soma__winograd_run(j.m, &j.inner, kind == CONV, isa);
    } else if (j.mode == PRODUCT) {
        soma__product_data data = {.a = j.in[j.a].data,
                                   .b = j.in[1 - j.a].data,
                                   .c = call->program ? NULL : j.inner.out[0].data};
        soma__product_run(&j.p, &data, &j.inner, isa);
    } else {
        kernels[kind].run(&j.inner, isa);
    }
    if (j.rounds)
        soma__parallel(call->pool, (j.out.count + CHUNK - 1) / CHUNK, round_result, &j);
}

static size_t scratch(const soma__call *call, operation kind, const soma__isa_table *isa,
                      int threads)
{
    job j;
    return arrange(&j, call, kind, isa, threads);
}

static const char *refuses(const soma__call *call)
{
    soma_dtype a = call->in[0].dtype, b = call->in[1].dtype, out = call->out[0].dtype;
    if ((a != SOMA_BF16 && a != SOMA_F32) || (b != SOMA_BF16 && b != SOMA_F32) ||
        a + b == 2 * SOMA_F32)
        return "operands are not bf16 and f32";
    if (!call->program && out != SOMA_BF16 && out != SOMA_F32)
        return "the result is neither f32 nor bf16";
    return NULL;
}

/* Blocks of an input gradient with a stride are not whole rows of pixels, as epilogues want them,
 * and depthwise convs have none. */
static const char *refuses_input_grad(const soma__call *call)
{
    const soma__conv_attrs *attrs = call->attrs;
    if (call->program && (attrs->stride[0] > 1 || attrs->stride[1] > 1))
        return "there is no epilogue with a stride";
    const soma__conv_sizes s = sizes_of(call, INPUT_GRAD);
    if (call->program && soma__conv_is_depthwise(&s))
        return "there is no epilogue of depthwise convs";
    return refuses(call);
}

#define ROW(name_, kind_, refuses_)                                                                \
    const char *soma__refuses_##name_(const soma__call *call)                                      \
    {                                                                                              \
        return refuses_(call);                                                                     \
    }                                                                                              \
    size_t soma__scratch_##name_(const soma__call *call, const soma__isa_table *isa, int threads)  \
    {                                                                                              \
        return scratch(call, kind_, isa, threads);                                                 \
    }                                                                                              \
    void soma__run_##name_(const soma__call *call, const soma__isa_table *isa)                     \
    {                                                                                              \
        run(call, kind_, isa);                                                                     \
    }
ROW(matmul_bf16, MATMUL, refuses)
ROW(conv2d_bf16, CONV, refuses)
ROW(conv2d_input_grad_bf16, INPUT_GRAD, refuses_input_grad)
ROW(conv2d_weight_grad_bf16, WEIGHT_GRAD, refuses)
