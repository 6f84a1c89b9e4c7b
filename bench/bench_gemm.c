/* bench_gemm.c: what matrix products and convolutions reach of the machine's peak.
 *
 *     bench_gemm [threads] [isa] [bf16]
 *
 * Each row is the best of repeated runs. Its share is of the peak measured just before and just
 * after it (a loop of multiply-adds in registers on all threads), because clocks change with load.
 * Convolutions that run by Winograd's method are shown without it too; flops are the definition's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/gemm.h"
#include "base/file.h"
#include "ops/attrs.h"

#define SECONDS 0.25 /* for each row */

static soma__pool *pool;
static const soma__backend *backend;
static const soma__isa_table *isa;
static bool bf16;

static void burn_block(void *context, int64_t block, int worker)
{
    (void)worker;
    double *flops = context;
    float sink;
    flops[block * 8] = isa->gemm->burn(100000, &sink);
}

static double peak(void)
{
    double best = 0, flops[64 * 8];
    int threads = soma__pool_threads(pool);
    for (int round = 0; round < 10; round++) {
        double start = soma__seconds(), total = 0;
        soma__parallel(pool, threads, burn_block, flops);
        double time = soma__seconds() - start;
        for (int i = 0; i < threads; i++)
            total += flops[i * 8];
        if (total / time > best)
            best = total / time;
    }
    return best;
}

static soma__view view_of(soma_shape shape, soma_dtype dtype)
{
    soma__view view = {.dtype = dtype, .shape = shape};
    if (!soma__shape_count(&shape, &view.count))
        exit(1);
    void *values = soma__aligned((size_t)view.count * soma_dtype_size(dtype));
    if (!values) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    for (int64_t i = 0; i < view.count; i++)
        soma__store(dtype, values, i, (double)(i % 13) * 0.125 - 0.75);
    view.data = values;
    return view;
}

static void bench_call(const char *op, const char *what, const void *attrs, soma_shape a,
                       soma_shape b, soma_shape y, double flops, bool no_winograd)
{
    soma_dtype dtype = bf16 ? SOMA_BF16 : SOMA_F32;
    soma__view in[2] = {view_of(a, dtype), view_of(b, dtype)}, out = view_of(y, SOMA_F32);
    soma__call call = {.op = soma__op_find(op),
                       .attrs = attrs,
                       .nin = 2,
                       .nout = 1,
                       .in = in,
                       .out = &out,
                       .no_winograd = no_winograd,
                       .pool = pool};
    const soma__kernel *kernel = backend->kernels;
    while (strcmp(kernel->op, op) != 0 || kernel->refuses(&call))
        kernel++;
    bool winograd = strstr(kernel->name, "winograd") != NULL;
    size_t scratch = kernel->scratch(&call, soma__pool_threads(pool));
    call.scratch = soma__aligned(scratch);
    if (!call.scratch)
        exit(1);
    memset(call.scratch, 0, scratch);
    soma__pool_enter(pool);
    double before = peak(), best = 1e9, start = soma__seconds();
    do {
        double begin = soma__seconds();
        kernel->run(&call);
        double time = soma__seconds() - begin;
        best = time < best ? time : best;
    } while (soma__seconds() - start < SECONDS);
    double after = peak(), top = before > after ? before : after;
    soma__pool_leave(pool);
    printf("%-42s %9.1f us %7.1f GF/s %5.1f %%  scratch %6.0f KB%s\n", what, best * 1e6,
           flops / best / 1e9, 100 * flops / best / top, (double)scratch / 1024,
           winograd ? "  Winograd" : "");
    fflush(stdout);
    soma__free(call.scratch);
    soma__free(in[0].data);
    soma__free(in[1].data);
    soma__free(out.data);
    if (winograd)
        bench_call(op, what, attrs, a, b, y, flops, true);
}

static void bench(const char *op, const char *what, const void *attrs, soma_shape a, soma_shape b,
                  soma_shape y, double flops)
{
    bench_call(op, what, attrs, a, b, y, flops, false);
}

static void product(int64_t m, int64_t n, int64_t k, bool ta, bool tb)
{
    soma__matmul_attrs attrs = {
        .transpose_a = ta, .transpose_b = tb, .precision = bf16 ? SOMA_BF16 : 0};
    char what[80];
    snprintf(what, sizeof(what), "matmul %lldx%lldx%lld%s%s", (long long)m, (long long)n,
             (long long)k, ta ? " aT" : "", tb ? " bT" : "");
    bench("matmul", what, &attrs, ta ? SOMA_SHAPE(k, m) : SOMA_SHAPE(m, k),
          tb ? SOMA_SHAPE(n, k) : SOMA_SHAPE(k, n), SOMA_SHAPE(m, n),
          2.0 * (double)m * (double)n * (double)k);
}

/* A square conv, forward and both gradients. */
static void conv(int64_t n, int64_t size, int64_t c, int64_t o, int64_t kernel, int64_t stride,
                 int64_t pad, int64_t groups)
{
    int64_t depth = kernel * kernel * (c / groups);
    int64_t out = (size + 2 * pad - kernel) / stride + 1;
    soma__conv_attrs attrs = {.stride = {stride, stride},
                              .dilation = {1, 1},
                              .pad = {pad, pad, pad, pad},
                              .groups = groups,
                              .precision = bf16 ? SOMA_BF16 : 0};
    soma_shape x = SOMA_SHAPE(n, size, size, c), w = SOMA_SHAPE(o, kernel, kernel, c / groups);
    soma_shape y = SOMA_SHAPE(n, out, out, o);
    double flops = 2.0 * (double)(n * out * out * o) * (double)depth;
    char what[80], title[96];
    snprintf(what, sizeof(what), "%lldx%lldx%lldx%lld %lldx%lld/%lld to %lld", (long long)n,
             (long long)size, (long long)size, (long long)c, (long long)kernel, (long long)kernel,
             (long long)stride, (long long)o);
    snprintf(title, sizeof(title), "conv %s", what);
    bench("conv2d", title, &attrs, x, w, y, flops);
    attrs.size[0] = attrs.size[1] = size;
    snprintf(title, sizeof(title), "  dx %s", what);
    bench("conv2d_input_grad", title, &attrs, y, w, x, flops);
    attrs.size[0] = attrs.size[1] = kernel;
    snprintf(title, sizeof(title), "  dw %s", what);
    bench("conv2d_weight_grad", title, &attrs, x, y, w, flops);
}

int main(int argc, char **argv)
{
    soma_error err = {0};
    soma_machine machine;
    const char *name = argc > 2 ? argv[2] : NULL;
    bf16 = argc > 3 && strcmp(argv[3], "bf16") == 0;
    backend = soma__cpu_backend(name);
    isa = soma__isa_find(name);
    if (!backend || soma__pool_create(&pool, argc > 1 ? atoi(argv[1]) : 0, &err) != SOMA_OK ||
        soma__pool_threads(pool) > 64 || backend->measure(pool, &machine, &err) != SOMA_OK) {
        fprintf(stderr, "bench_gemm: %s\n",
                err.code ? err.message : "usage: bench_gemm [threads up to 64] [isa] [bf16]");
        return 1;
    }
    printf("%s, %d threads: peak %.1f GF/s, reads %.1f GB/s\n", isa->name, soma__pool_threads(pool),
           machine.flops / 1e9, machine.bandwidth / 1e9);
    product(256, 256, 256, false, false);
    product(512, 512, 512, false, false);
    product(512, 512, 512, false, true);
    product(512, 512, 512, true, false);
    product(1024, 1024, 1024, false, false);
    product(1024, 1024, 1024, false, true);
    product(2048, 2048, 2048, false, false);
    /* A dense layer 784 to 256 at batch 32 and 128: y, dw, dx; and its last layer of 10. */
    product(32, 256, 784, false, true);
    product(256, 784, 32, true, false);
    product(32, 784, 256, false, false);
    product(128, 256, 784, false, true);
    product(256, 784, 128, true, false);
    product(32, 10, 256, false, true);
    product(10, 256, 32, true, false);
    product(32, 256, 10, false, false);
    /* The dense layer after the convs of mnist-cnn. */
    product(64, 128, 9216, false, true);
    product(128, 9216, 64, true, false);
    product(64, 9216, 128, false, false);
    product(1, 256, 784, false, true);
    product(256, 10, 55000, true, false);
    conv(1, 56, 64, 64, 3, 1, 1, 1);
    conv(8, 56, 64, 64, 3, 1, 1, 1);
    conv(64, 28, 1, 32, 3, 1, 0, 1);
    conv(64, 26, 32, 64, 3, 1, 0, 1);
    conv(8, 28, 128, 128, 3, 2, 1, 1);
    conv(8, 14, 256, 256, 3, 1, 1, 1);
    conv(8, 7, 512, 512, 3, 1, 1, 1);
    conv(8, 28, 256, 64, 1, 1, 0, 1);
    conv(4, 112, 3, 64, 7, 2, 3, 1);
    conv(8, 56, 64, 64, 3, 1, 1, 64);
    soma__pool_destroy(pool);
    return 0;
}
