/* kernels.c: see kernels.h. */
#include "kernels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

#define GUARD 64
#define GUARD_BYTE 0x5a

static size_t view_bytes(const soma__view *view)
{
    return (size_t)view->count * soma_dtype_size(view->dtype);
}

/* Guards on both sides of the data show writes beyond the ends. */
static void *new_data(size_t bytes)
{
    unsigned char *memory = soma__aligned(bytes + 2 * GUARD);
    assert_non_null(memory);
    memset(memory, GUARD_BYTE, bytes + 2 * GUARD);
    return memory + GUARD;
}

static void free_data(void *data)
{
    soma__free((unsigned char *)data - GUARD);
}

static bool guards_hold(const void *data, size_t bytes)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < GUARD; i++)
        if (p[-1 - (ptrdiff_t)i] != GUARD_BYTE || p[bytes + i] != GUARD_BYTE)
            return false;
    return true;
}

static soma__view new_view(soma_dtype dtype, soma_shape shape)
{
    soma__view view = {.dtype = dtype, .shape = shape};
    assert_true(soma__shape_count(&shape, &view.count));
    view.data = new_data(view_bytes(&view));
    return view;
}

void *add_input(kernel_case *test, soma_dtype dtype, soma_shape shape, double low, double high)
{
    soma__rng_key key = {.seed = 7, .stream = (uint32_t)test->nin};
    soma__view view = new_view(dtype, shape);
    for (int64_t i = 0; i < view.count; i++) {
        double value = low + (high - low) * (double)soma__rng_uniform(&key, (uint64_t)i);
        soma__store(dtype, view.data, i, soma_dtype_is_float(dtype) ? value : floor(value));
    }
    test->in[test->nin++] = view;
    return view.data;
}

void add_output(kernel_case *test, soma_dtype dtype, soma_shape shape)
{
    test->out[test->nout++] = new_view(dtype, shape);
}

const soma__kernel *find_kernel(const char *isa, const soma__call *call)
{
    const soma__backend *backend = soma__cpu_backend(isa);
    const char *reason = "there is no kernel";
    assert_non_null(backend);
    for (int i = 0; i < backend->count; i++)
        if (strcmp(backend->kernels[i].op, call->op->name) == 0) {
            reason = backend->kernels[i].refuses(call);
            if (!reason)
                return &backend->kernels[i];
        }
    fail_msg("%s %s: %s", isa, call->op->name, reason);
    return NULL;
}

static void compare(const kernel_case *test, const char *isa, int output, const soma__view *got,
                    const soma__view *want)
{
    if (!guards_hold(got->data, view_bytes(got)))
        fail_msg("%s %s, %s: writes outside of output %d", test->op, test->what, isa, output);
    for (int64_t i = 0; i < got->count; i++) {
        double a = soma__load(got->dtype, got->data, i), b = soma__load(want->dtype, want->data, i);
        bool same = a == b || (isnan(a) && isnan(b));
        bool near = test->tolerance > 0 && fabs(a - b) <= test->tolerance * fmax(1, fabs(b));
        if (!same && !near)
            fail_msg("%s %s, %s: output %d [%lld] is %.9g, reference %.9g", test->op, test->what,
                     isa, output, (long long)i, a, b);
    }
}

/* One run with outputs of its own (which the caller frees); with `keep` on a prepared form of in[1]
 * where the kernel has one. */
static void run_once(const kernel_case *test, soma__call call, const char *isa, int threads,
                     bool keep, soma__view out[MOST_VIEWS])
{
    soma_error err = {0};
    soma__pool *pool = NULL;
    soma__view in[MOST_VIEWS], shapes[2][MOST_VIEWS];
    soma__call blank = call; /* as plans ask, which have no addresses yet */
    blank.in = memcpy(shapes[0], test->in, sizeof(shapes[0]));
    blank.out = memcpy(shapes[1], test->out, sizeof(shapes[1]));
    for (int k = 0; k < MOST_VIEWS; k++)
        shapes[0][k].data = shapes[1][k].data = NULL;
    assert_int_equal(soma__pool_create(&pool, threads, &err), SOMA_OK);
    const soma__kernel *kernel = find_kernel(isa, &call);
    memcpy(in, test->in, sizeof(in));
    for (int k = 0; k < test->nout; k++)
        out[k] = new_view(test->out[k].dtype, test->out[k].shape);
    if (test->in_place) {
        int i = test->in_place - 1;
        assert_true(kernel->in_place);
        memcpy(out[0].data, in[i].data, view_bytes(&in[i]));
        in[i].data = out[0].data;
    }
    call.in = in;
    call.out = out;
    call.pool = pool;
    size_t scratch = kernel->scratch ? kernel->scratch(&blank, threads) : 0;
    size_t prepared = keep && kernel->prepared ? kernel->prepared(&call) : 0;
    void *form = NULL;
    call.scratch = new_data(scratch);
    soma__pool_enter(pool);
    if (prepared) {
        form = new_data(prepared);
        kernel->prepare(&call, form);
        call.prepared = form;
        call.in[1].data = NULL; /* must not be read any more */
    }
    kernel->run(&call);
    soma__pool_leave(pool);
    if (!guards_hold(call.scratch, scratch))
        fail_msg("%s %s, %s: writes outside of scratch", test->op, test->what, isa);
    free_data(call.scratch);
    if (form) {
        if (!guards_hold(form, prepared))
            fail_msg("%s %s, %s: writes outside of the prepared form", test->op, test->what, isa);
        free_data(form);
    }
    soma__pool_destroy(pool);
}

void check_kernel(kernel_case *test)
{
    soma__call call = {.op = soma__op_find(test->op),
                       .attrs = test->attrs,
                       .nin = test->nin,
                       .nout = test->nout,
                       .in = test->in,
                       .out = test->out,
                       .program = test->program,
                       .no_winograd = true}; /* see test_winograd.c */
    assert_non_null(call.op);
    call.op->reference(&call);
    for (const char *const *isa = soma__cpu_isas(); *isa; isa++) {
        soma__view first[MOST_VIEWS];
        for (int run = 0; run < 6; run++) { /* each number of threads, without and with `keep` */
            soma__view out[MOST_VIEWS];
            int threads = 1 + run / 2;
            run_once(test, call, *isa, threads, run % 2, out);
            for (int k = 0; k < test->nout; k++) {
                if (run == 0) {
                    compare(test, *isa, k, &out[k], &test->out[k]);
                    first[k] = out[k];
                    continue;
                }
                if (memcmp(out[k].data, first[k].data, view_bytes(&out[k])) != 0)
                    fail_msg("%s %s, %s: other bits on %d threads%s", test->op, test->what, *isa,
                             threads, run % 2 ? ", prepared" : "");
                free_data(out[k].data);
            }
        }
        for (int k = 0; k < test->nout; k++)
            free_data(first[k].data);
    }
    for (int i = 0; i < test->nin; i++)
        free_data(test->in[i].data);
    for (int k = 0; k < test->nout; k++)
        free_data(test->out[k].data);
}
