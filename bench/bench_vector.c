/* bench_vector: vector programs, reductions, softmax and pooling against the machine's memory
 * bandwidth, and the cost of a call on a small tensor.
 *
 *     bench_vector [threads]
 *
 * GB/s counts each input and output once. The time is the best of several rounds. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "ops/attrs.h"
#include "plan/backend.h"

#define SECONDS 0.3

typedef struct bench {
    const char *name;
    const char *op;
    const void *attrs;
    const soma__program *program;
    soma_dtype out_dtype;
    soma_shape in[4], out;
    int nin;
} bench;

static soma__view new_view(soma_dtype dtype, soma_shape shape)
{
    soma__view view = {.dtype = dtype, .shape = shape};
    if (!soma__shape_count(&shape, &view.count))
        exit(1);
    view.data = soma__aligned((size_t)view.count * soma_dtype_size(dtype));
    if (!view.data)
        exit(1);
    for (int64_t i = 0; i < view.count; i++)
        soma__store(dtype, view.data, i, (double)(i % 1000) * 0.001 + 0.1);
    return view;
}

static const soma__kernel *find(const soma__backend *backend, const soma__call *call)
{
    for (int i = 0; i < backend->count; i++)
        if (strcmp(backend->kernels[i].op, call->op->name) == 0 &&
            !backend->kernels[i].refuses(call))
            return &backend->kernels[i];
    return NULL;
}

static void run(const soma__backend *backend, soma__pool *pool, const bench *b, double bandwidth)
{
    soma__view in[4], out = new_view(b->out_dtype, b->out);
    double bytes = (double)out.count * (double)soma_dtype_size(out.dtype), best = INFINITY;
    for (int i = 0; i < b->nin; i++) {
        in[i] = new_view(SOMA_F32, b->in[i]);
        bytes += (double)in[i].count * 4;
    }
    soma__call call = {.op = soma__op_find(b->op),
                       .attrs = b->attrs,
                       .nin = b->nin,
                       .nout = 1,
                       .in = in,
                       .out = &out,
                       .program = b->program,
                       .pool = pool};
    const soma__kernel *kernel = find(backend, &call);
    if (!kernel) {
        printf("%-34s %-9s no kernel\n", b->name, backend->isa);
        return;
    }
    call.scratch =
        soma__aligned(kernel->scratch ? kernel->scratch(&call, soma__pool_threads(pool)) : 0);
    int repeats = bytes > 1e6 ? 1 : 1000;
    soma__pool_enter(pool);
    for (double start = soma__seconds(); soma__seconds() - start < SECONDS;) {
        double begin = soma__seconds();
        for (int i = 0; i < repeats; i++)
            kernel->run(&call);
        best = fmin(best, (soma__seconds() - begin) / repeats);
    }
    soma__pool_leave(pool);
    printf("%-34s %-9s %10.2f us %8.2f GB/s %5.0f %% of memory\n", b->name, backend->isa,
           best * 1e6, bytes / best * 1e-9, 100 * bytes / best / bandwidth);
    soma__free(call.scratch);
    soma__free(out.data);
    for (int i = 0; i < b->nin; i++)
        soma__free(in[i].data);
}

#define R SOMA__PROGRAM_REGISTERS
/* A chain of eight cheap ops, a normalisation by row and column values, gelu, and one addition. */
static soma__program chain = {
    .loads = 2,
    .stores = 1,
    .insns = 8,
    .constants = 2,
    .constant = {0.5F, 2},
    .insn = {{SOMA__SCALAR_ADD, 2, 0, 1, 0},
             {SOMA__SCALAR_MUL, 2, 2, R, 0},
             {SOMA__SCALAR_SQUARE, 3, 2, 0, 0},
             {SOMA__SCALAR_SUB, 3, 3, 0, 0},
             {SOMA__SCALAR_RELU, 3, 3, 0, 0},
             {SOMA__SCALAR_MAXIMUM, 3, 3, 1, 0},
             {SOMA__SCALAR_ADD, 3, 3, R + 1, 0},
             {SOMA__SCALAR_MUL, 2, 3, 2, 0}},
    .store = {2},
};
static soma__program normalise = {
    .loads = 4,
    .stores = 1,
    .insns = 3,
    .insn = {{SOMA__SCALAR_SUB, 4, 0, 1, 0},
             {SOMA__SCALAR_MUL, 4, 4, 2, 0},
             {SOMA__SCALAR_ADD, 4, 4, 3, 0}},
    .store = {4},
};
static soma__program gelu = {
    .loads = 1,
    .stores = 1,
    .insns = 5,
    .constants = 3,
    .constant = {0.70710678F, 1, 0.5F},
    .insn = {{SOMA__SCALAR_MUL, 1, 0, R, 0},
             {SOMA__SCALAR_ERF, 1, 1, 0, 0},
             {SOMA__SCALAR_ADD, 1, 1, R + 1, 0},
             {SOMA__SCALAR_MUL, 1, 1, 0, 0},
             {SOMA__SCALAR_MUL, 1, 1, R + 2, 0}},
    .store = {1},
};
static soma__program addition = {
    .loads = 2, .stores = 1, .insns = 1, .insn = {{SOMA__SCALAR_ADD, 0, 0, 1, 0}}, .store = {0}};

static void run_program(const soma__backend *backend, soma__pool *pool, double bandwidth,
                        const char *name, soma__program *program, soma_shape shape,
                        const soma_shape *in)
{
    bench b = {.name = name, .op = "fused", .program = program, .out_dtype = SOMA_F32};
    program->shape = b.out = shape;
    b.nin = program->loads;
    for (int i = 0; i < b.nin; i++)
        b.in[i] = in[i];
    run(backend, pool, &b, bandwidth);
}

static void run_all(const soma__backend *backend, soma__pool *pool, double bandwidth)
{
    const soma_shape large = SOMA_SHAPE(10000000), matrix = SOMA_SHAPE(8192, 1024);
    const soma_shape small = SOMA_SHAPE(32, 10), maps = SOMA_SHAPE(64, 24, 24, 64);
    const soma__reduce_attrs rows = {.mask = 2}, columns = {.mask = 1}, all = {.mask = 1};
    const soma__axis_attrs last = {1};
    const soma__pool_attrs two = {.size = {2, 2}, .stride = {2, 2}, .dilation = {1, 1}};
    const soma__permute_attrs turn = {.count = 2, .axes = {1, 0}};
    run_program(backend, pool, bandwidth, "8 ops, 10^7", &chain, large,
                (soma_shape[]){large, large});
    run_program(backend, pool, bandwidth, "normalise [8192,1024]", &normalise, matrix,
                (soma_shape[]){matrix, SOMA_SHAPE(8192, 1), SOMA_SHAPE(1024), SOMA_SHAPE(1024)});
    run_program(backend, pool, bandwidth, "gelu, 10^7", &gelu, large, &large);
    run_program(backend, pool, bandwidth, "a + b, 10^7", &addition, large,
                (soma_shape[]){large, large});
    run_program(backend, pool, bandwidth, "x + bias [32,10]", &addition, small,
                (soma_shape[]){small, SOMA_SHAPE(10)});
    const bench benches[] = {
        {"sum, 10^7", "sum", &all, NULL, SOMA_F32, {large}, SOMA_SCALAR, 1},
        {"sum of rows [8192,1024]", "sum", &rows, NULL, SOMA_F32, {matrix}, SOMA_SHAPE(8192), 1},
        {"sum of columns [8192,1024]",
         "sum",
         &columns,
         NULL,
         SOMA_F32,
         {matrix},
         SOMA_SHAPE(1024),
         1},
        {"sum of columns [32,10]", "sum", &columns, NULL, SOMA_F32, {small}, SOMA_SHAPE(10), 1},
        {"softmax [8192,1024]", "softmax", &last, NULL, SOMA_F32, {matrix}, matrix, 1},
        {"softmax [32,10]", "softmax", &last, NULL, SOMA_F32, {small}, small, 1},
        {"max pool 2x2 [64,24,24,64]",
         "max_pool2d",
         &two,
         NULL,
         SOMA_F32,
         {maps},
         SOMA_SHAPE(64, 12, 12, 64),
         1},
        {"its gradient",
         "max_pool2d_grad",
         &two,
         NULL,
         SOMA_F32,
         {maps, SOMA_SHAPE(64, 12, 12, 64)},
         maps,
         2},
        {"transpose [8192,1024]",
         "permute",
         &turn,
         NULL,
         SOMA_F32,
         {matrix},
         SOMA_SHAPE(1024, 8192),
         1},
    };
    for (size_t i = 0; i < sizeof(benches) / sizeof(benches[0]); i++)
        run(backend, pool, &benches[i], bandwidth);
}

int main(int argc, char **argv)
{
    soma_error err = {0};
    soma__pool *pool;
    soma_machine machine;
    if (soma__pool_create(&pool, argc > 1 ? atoi(argv[1]) : 0, &err) != SOMA_OK ||
        soma__cpu_backend(NULL)->measure(pool, &machine, &err) != SOMA_OK) {
        fprintf(stderr, "bench_vector: %s\n", err.message);
        return 1;
    }
    printf("%d threads; memory is read at %.1f GB/s\n", soma__pool_threads(pool),
           machine.bandwidth * 1e-9);
    for (const char *const *isa = soma__cpu_isas(); *isa; isa++)
        run_all(soma__cpu_backend(*isa), pool, machine.bandwidth);
    soma__pool_destroy(pool);
    return 0;
}
