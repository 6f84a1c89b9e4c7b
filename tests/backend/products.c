/* products.c: see products.h. */
#include "products.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

/* Sums of `depth` products of numbers in [-1, 1) round by a few times 2^-24 · sqrt(depth). */
static double tolerance_of(int64_t depth)
{
    return 1e-6 * sqrt((double)depth) + 1e-6;
}

static soma__view filled_as(soma_dtype dtype, soma_shape shape, uint32_t stream)
{
    soma__rng_key key = {.seed = 11, .stream = stream};
    soma__view view = {.dtype = dtype, .shape = shape};
    assert_true(soma__shape_count(&shape, &view.count));
    view.data = soma__aligned((size_t)view.count * soma_dtype_size(dtype));
    assert_non_null(view.data);
    for (int64_t i = 0; i < view.count; i++)
        soma__store(dtype, view.data, i, 2 * (double)soma__rng_uniform(&key, (uint64_t)i) - 1);
    return view;
}

static soma__view filled(soma_shape shape, uint32_t stream)
{
    return filled_as(SOMA_F32, shape, stream);
}

/* out[0] = relu(y + bias) + residual, out[1] = y. */
static soma__program bias_relu_residual(soma_shape shape)
{
    soma__program p = {.shape = shape, .loads = 3, .insns = 3, .stores = 2};
    p.insn[0] = (soma__insn){SOMA__SCALAR_ADD, 3, 0, 1, 0};
    p.insn[1] = (soma__insn){SOMA__SCALAR_RELU, 3, 3, 0, 0};
    p.insn[2] = (soma__insn){SOMA__SCALAR_ADD, 3, 3, 2, 0};
    p.store[0] = 3;
    p.store[1] = 0;
    return p;
}

static void compare(const char *op, const char *what, const char *isa, int threads,
                    const soma__view *in, const soma__view *y, const soma__view out[2],
                    double tolerance)
{
    const float *product = y->data, *bias = in[2].data, *residual = in[3].data;
    const float *got = out[0].data, *kept = out[1].data;
    for (int64_t i = 0; i < y->count; i++) {
        double sum = (double)product[i] + (double)bias[i % in[2].count];
        double want = (sum > 0 ? sum : 0) + (double)residual[i];
        double allowed = tolerance * fmax(1, fabs((double)product[i])) + 1e-6;
        if (!(fabs((double)got[i] - want) <= allowed) ||
            !(fabs((double)kept[i] - (double)product[i]) <= allowed))
            fail_msg("%s %s with epilogue, %s, %d threads: [%lld] is %.9g and %.9g, not %.9g and "
                     "%.9g",
                     op, what, isa, threads, (long long)i, (double)got[i], (double)kept[i], want,
                     (double)product[i]);
    }
}

static void check_epilogue(const char *op, const char *what, const void *attrs,
                           const soma_dtype dtype[2], soma_shape a, soma_shape b,
                           soma_shape y_shape, double tolerance)
{
    int64_t channels = y_shape.dim[y_shape.ndim - 1];
    soma__program p = bias_relu_residual(y_shape);
    soma__view in[4] = {filled_as(dtype[0], a, 1), filled_as(dtype[1], b, 2),
                        filled(SOMA_SHAPE(channels), 3), filled(y_shape, 4)};
    soma__view y = filled(y_shape, 5), out[2] = {filled(y_shape, 6), filled(y_shape, 7)};
    soma__call call = {.op = soma__op_find(op), .attrs = attrs, .in = in, .out = &y};
    assert_non_null(call.op);
    call.nin = 2;
    call.nout = 1;
    call.op->reference(&call);
    call.nin = 4;
    call.nout = 2;
    call.out = out;
    call.program = &p;
    call.epilogue_first = 2;
    call.no_winograd = true; /* see test_winograd.c */
    for (const char *const *isa = soma__cpu_isas(); *isa; isa++)
        for (int run = 0; run < 4;
             run++) { /* on one and two threads, without and with b prepared */
            const int threads = 1 + run / 2;
            soma__pool *pool = NULL;
            assert_int_equal(soma__pool_create(&pool, threads, NULL), SOMA_OK);
            const soma__kernel *kernel = find_kernel(*isa, &call);
            assert_true(kernel->epilogue);
            size_t scratch = kernel->scratch ? kernel->scratch(&call, threads) : 0;
            call.scratch = soma__aligned(scratch);
            assert_non_null(call.scratch);
            memset(call.scratch, 0xff, scratch); /* NaN: what is read must have been written */
            memset(out[0].data, 0xff, (size_t)y.count * sizeof(float));
            memset(out[1].data, 0xff, (size_t)y.count * sizeof(float));
            call.pool = pool;
            size_t prepared = run % 2 && kernel->prepared ? kernel->prepared(&call) : 0;
            void *form = prepared ? soma__aligned(prepared) : NULL;
            soma__pool_enter(pool);
            if (form)
                kernel->prepare(&call, form);
            call.prepared = form;
            kernel->run(&call);
            call.prepared = NULL;
            soma__pool_leave(pool);
            compare(op, what, *isa, threads, in, &y, out, tolerance);
            soma__free(form);
            soma__free(call.scratch);
            soma__pool_destroy(pool);
        }
    for (int i = 0; i < 4; i++)
        soma__free(in[i].data);
    soma__free(y.data);
    soma__free(out[0].data);
    soma__free(out[1].data);
}

static void check_dtypes(const char *op, const char *what, const void *attrs,
                         const soma_dtype dtype[3], soma_shape a, soma_shape b, soma_shape y,
                         double tolerance)
{
    kernel_case test = {.op = op, .what = what, .attrs = attrs, .tolerance = tolerance};
    add_input(&test, dtype[0], a, -1, 1);
    add_input(&test, dtype[1], b, -1, 1);
    add_output(&test, dtype[2], y);
    check_kernel(&test);
}

void check_product(const char *op, const char *what, const void *attrs, soma_shape a, soma_shape b,
                   soma_shape y, int64_t depth, bool epilogue)
{
    static const soma_dtype dtypes[] = {SOMA_F32, SOMA_F32, SOMA_F32};
    if (epilogue)
        check_epilogue(op, what, attrs, dtypes, a, b, y, tolerance_of(depth));
    else
        check_dtypes(op, what, attrs, dtypes, a, b, y, tolerance_of(depth));
}

void check_product_bf16(const char *op, const char *what, const void *attrs, const void *plain,
                        soma_shape a, soma_shape b, soma_shape y, int64_t depth, bool epilogue)
{
    static const soma_dtype dtypes[][3] = {{SOMA_BF16, SOMA_BF16, SOMA_F32},
                                           {SOMA_BF16, SOMA_F32, SOMA_F32},
                                           {SOMA_BF16, SOMA_BF16, SOMA_BF16}};
    for (int i = 0; i < 2; i++)
        if (epilogue)
            check_epilogue(op, what, attrs, dtypes[i], a, b, y, tolerance_of(depth));
        else
            check_dtypes(op, what, attrs, dtypes[i], a, b, y, tolerance_of(depth));
    if (!epilogue)
        check_dtypes(op, what, plain, dtypes[2], a, b, y, tolerance_of(depth) + 0x1p-7);
}
