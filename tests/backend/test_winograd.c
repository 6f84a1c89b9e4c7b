/* Winograd's convolutions (winograd.h) of every tile size and instruction set against sums in
 * double: sizes around the tiles, paddings, channels around the vectors, epilogues, the same bits
 * on one, two and three threads, the bound on the error, and the switch that turns them off. The
 * same in fixed point, of operands of bf16. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/cpu/integer.h"
#include "backend/cpu/winograd.h"
#include "base/rng.h"
#include "kernels.h"
#include "soma/soma.h"

#define GUARD 16 /* floats */
#define GUARD_VALUE 12345.0F

/* The error may be this share of what the result's values spread (a sum of `depth` products of
 * unit variance spreads by the root of depth), by tile size. */
static double bound_of(int m)
{
    return m == 2 ? 1e-5 : m == 4 ? 3e-5 : 1e-4;
}

typedef enum kind { FORWARD, INPUT_GRAD, WEIGHT_GRAD } kind;
static const char *const ops[] = {"conv2d", "conv2d_input_grad", "conv2d_weight_grad"};

typedef struct conv {
    kind what;
    int64_t n, h, w, c, o, pad[4];
} conv;

typedef struct data {
    soma__conv_attrs attrs;
    soma__view x, w, y; /* with their gradients as the kind says */
} data;

/* Unit variance, roughly normal. */
static soma__view filled(soma_shape shape, uint32_t stream)
{
    soma__rng_key key = {.seed = 5, .stream = stream};
    soma__view view = {.dtype = SOMA_F32, .shape = shape};
    assert_true(soma__shape_count(&shape, &view.count));
    float *values = soma__aligned((size_t)(view.count + 2 * GUARD) * sizeof(float));
    assert_non_null(values);
    for (int64_t i = 0; i < GUARD; i++)
        values[i] = values[GUARD + view.count + i] = GUARD_VALUE;
    for (int64_t i = 0; i < view.count; i++) {
        double sum = -2;
        for (uint64_t k = 0; k < 4; k++)
            sum += (double)soma__rng_uniform(&key, (uint64_t)i * 4 + k);
        values[GUARD + i] = (float)(sum * sqrt(3));
    }
    view.data = values + GUARD;
    return view;
}

static void free_view(soma__view *view)
{
    soma__free((float *)view->data - GUARD);
}

static void check_guards(const soma__view *view)
{
    const float *values = view->data;
    for (int64_t i = 0; i < GUARD; i++)
        if (values[i - GUARD] != GUARD_VALUE || values[view->count + i] != GUARD_VALUE)
            fail_msg("writes outside of the output");
}

static data make(const conv *t)
{
    data d = {.attrs = {.stride = {1, 1}, .dilation = {1, 1}, .groups = 1}};
    memcpy(d.attrs.pad, t->pad, sizeof(d.attrs.pad));
    d.x = filled(SOMA_SHAPE(t->n, t->h, t->w, t->c), 1);
    d.w = filled(SOMA_SHAPE(t->o, 3, 3, t->c), 2);
    d.y = filled(
        SOMA_SHAPE(t->n, t->h + t->pad[0] + t->pad[2] - 2, t->w + t->pad[1] + t->pad[3] - 2, t->o),
        3);
    d.attrs.size[0] = t->what == INPUT_GRAD ? t->h : 3;
    d.attrs.size[1] = t->what == INPUT_GRAD ? t->w : 3;
    return d;
}

static void drop(data *d)
{
    free_view(&d->x);
    free_view(&d->w);
    free_view(&d->y);
}

static soma__view *output_of(const conv *t, data *d)
{
    return t->what == FORWARD ? &d->y : t->what == INPUT_GRAD ? &d->x : &d->w;
}

static soma__call call_of(const conv *t, data *d, soma__view in[2])
{
    in[0] = t->what == INPUT_GRAD ? d->y : d->x;
    in[1] = t->what == WEIGHT_GRAD ? d->y : d->w;
    return (soma__call){.op = soma__op_find(ops[t->what]),
                        .attrs = &d->attrs,
                        .nin = 2,
                        .nout = 1,
                        .in = in,
                        .out = output_of(t, d)};
}

static double value(const soma__view *view, int64_t a, int64_t b, int64_t c, int64_t d)
{
    const int64_t *size = view->shape.dim;
    if (b < 0 || b >= size[1] || c < 0 || c >= size[2])
        return 0;
    return (double)((const float *)view->data)[((a * size[1] + b) * size[2] + c) * size[3] + d];
}

/* dw[o, u, v, c] by the definition. */
static double exact_weight(const conv *t, data *d, int64_t o, int64_t u, int64_t v, int64_t c)
{
    const int64_t *size = d->y.shape.dim;
    double sum = 0;
    for (int64_t n = 0; n < size[0]; n++)
        for (int64_t h = 0; h < size[1]; h++)
            for (int64_t w = 0; w < size[2]; w++)
                sum += value(&d->x, n, h + u - t->pad[0], w + v - t->pad[1], c) *
                       value(&d->y, n, h, w, o);
    return sum;
}

/* Element `index` of the output, by the definition. */
static double exact(const conv *t, data *d, int64_t index)
{
    const int64_t *size = output_of(t, d)->shape.dim;
    int64_t last = index % size[3], w = index / size[3] % size[2];
    int64_t h = index / size[3] / size[2] % size[1], n = index / size[3] / size[2] / size[1];
    double sum = 0;
    if (t->what == WEIGHT_GRAD)
        return exact_weight(t, d, n, h, w, last);
    for (int64_t u = 0; u < 3; u++)
        for (int64_t v = 0; v < 3; v++)
            if (t->what == FORWARD)
                for (int64_t c = 0; c < t->c; c++)
                    sum += value(&d->x, n, h + u - t->pad[0], w + v - t->pad[1], c) *
                           value(&d->w, last, u, v, c);
            else
                for (int64_t o = 0; o < t->o; o++)
                    sum += value(&d->y, n, h - u + t->pad[0], w - v + t->pad[1], o) *
                           value(&d->w, o, u, v, last);
    return sum;
}

static double spread(const conv *t, const data *d)
{
    const int64_t *y = d->y.shape.dim;
    if (t->what == WEIGHT_GRAD)
        return sqrt((double)(y[0] * y[1] * y[2]));
    return sqrt(9 * (double)(t->what == FORWARD ? t->c : t->o));
}

/* Runs one tile size, on prepared weights where `keep` says so. Scratch is full of NaN: what is
 * read must have been written. */
static void run(int m, const conv *t, soma__call *call, const soma__isa_table *isa, int threads,
                bool keep)
{
    soma__view form = {0};
    void *weights = call->in[1].data;
    soma_error err = {0};
    assert_int_equal(soma__pool_create(&call->pool, threads, &err), SOMA_OK);
    size_t bytes = t->what == WEIGHT_GRAD
                       ? soma__winograd_weight_scratch(m, call, isa, threads)
                       : soma__winograd_scratch(m, call, t->what == FORWARD, isa, threads);
    call->scratch = soma__aligned(bytes + GUARD * sizeof(float));
    assert_non_null(call->scratch);
    memset(call->scratch, 0xff, bytes + GUARD * sizeof(float));
    for (int k = 0; k < call->nout; k++)
        memset(call->out[k].data, 0xff, (size_t)call->out[k].count * sizeof(float));
    soma__pool_enter(call->pool);
    if (keep && t->what != WEIGHT_GRAD) {
        size_t prepared = soma__winograd_prepared(m, call, t->what == FORWARD, isa);
        form = filled(SOMA_SHAPE((int64_t)(prepared / sizeof(float))), 9);
        soma__winograd_prepare(m, call, t->what == FORWARD, isa, form.data);
        check_guards(&form);
        call->prepared = form.data;
        call->in[1].data = NULL; /* must not be read any more */
    }
    if (t->what == WEIGHT_GRAD)
        soma__winograd_weight_run(m, call, isa);
    else
        soma__winograd_run(m, call, t->what == FORWARD, isa);
    soma__pool_leave(call->pool);
    call->in[1].data = weights;
    call->prepared = NULL;
    if (form.data)
        free_view(&form);
    for (size_t i = bytes; i < bytes + GUARD * sizeof(float); i++)
        assert_int_equal(((unsigned char *)call->scratch)[i], 0xff);
    for (int k = 0; k < call->nout; k++)
        check_guards(&call->out[k]);
    soma__free(call->scratch);
    soma__pool_destroy(call->pool);
}

/* The largest error of about `samples` values of the output, as a share of the spread. */
static double error_of(const conv *t, data *d, const double *want, int64_t step)
{
    const soma__view *out = output_of(t, d);
    const float *got = out->data;
    double worst = 0;
    for (int64_t i = 0; i < out->count; i += step) {
        double error = fabs((double)got[i] - want[i / step]);
        worst = error <= worst ? worst : error; /* NaN stays */
    }
    return worst / spread(t, d);
}

/* All tile sizes in `sizes` (0: all), instruction sets and thread counts. */
static void check(const conv *t, int only, int64_t samples)
{
    data d = make(t);
    soma__view in[2], *out = output_of(t, &d);
    int64_t step = out->count / samples + 1;
    double *want = malloc((size_t)(out->count / step + 1) * sizeof(double));
    float *first = malloc((size_t)out->count * sizeof(float) + 1);
    assert_non_null(want);
    assert_non_null(first);
    for (int64_t i = 0; i < out->count; i += step)
        want[i / step] = exact(t, &d, i);
    for (const char *const *name = soma__cpu_isas(); *name; name++)
        for (int m = only ? only : 2; m <= (only ? only : 6); m += 2)
            for (int turn = 0; turn < 6; turn++) { /* threads, without and with kept weights */
                int threads = 1 + turn / 2;
                soma__call call = call_of(t, &d, in);
                run(m, t, &call, soma__isa_find(*name), threads, turn % 2);
                double error = error_of(t, &d, want, step);
                if (!(error <= bound_of(m)))
                    fail_msg("%s %lldx%lldx%lldx%lld to %lld, pad %lld %lld %lld %lld, m = %d, %s: "
                             "error %.3g",
                             ops[t->what], (long long)t->n, (long long)t->h, (long long)t->w,
                             (long long)t->c, (long long)t->o, (long long)t->pad[0],
                             (long long)t->pad[1], (long long)t->pad[2], (long long)t->pad[3], m,
                             *name, error);
                if (turn == 0)
                    memcpy(first, out->data, (size_t)out->count * sizeof(float));
                else
                    assert_memory_equal(first, out->data, (size_t)out->count * sizeof(float));
            }
    free(want);
    free(first);
    drop(&d);
}

/* --- values -------------------------------------------------------------------------------------
 */

/* Heights and widths around one to several tiles of each size, one axis at a time, with the
 * paddings that are in use: none, one cell, SAME of even sizes elsewhere, two, more than a window.
 */
static void sizes_around_the_tiles(void **state)
{
    (void)state;
    static const int64_t pads[][4] = {
        {0, 0, 0, 0}, {1, 1, 1, 1}, {0, 1, 1, 0}, {2, 2, 2, 2}, {1, 0, 2, 3}, {3, 4, 0, 0},
    };
    for (int64_t size = 1; size <= 20; size++)
        for (size_t p = 0; p < sizeof pads / sizeof *pads; p++)
            for (int what = FORWARD; what <= WEIGHT_GRAD; what++) {
                int64_t other = 1 + (size * 7 + (int64_t)p) % 9;
                conv t = {(kind)what, 1 + size % 2, size, other, 5, 3, {0}};
                memcpy(t.pad, pads[p], sizeof t.pad);
                if (size % 2) {
                    t.h = other;
                    t.w = size;
                }
                if (t.h + t.pad[0] + t.pad[2] > 2 && t.w + t.pad[1] + t.pad[3] > 2)
                    check(&t, 0, 400);
            }
}

/* Channels around vectors, panels and stretches. */
static void channels(void **state)
{
    (void)state;
    static const int64_t counts[][2] = {{1, 1},   {3, 16},  {16, 15}, {17, 33},
                                        {31, 64}, {64, 31}, {65, 97}, {130, 40}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        for (int what = FORWARD; what <= WEIGHT_GRAD; what++) {
            conv t = {(kind)what, 1, 11, 9, counts[i][0], counts[i][1], {1, 1, 1, 1}};
            check(&t, 0, 500);
        }
}

/* Many tiles and few weights, by tiles; and so many weights that the tiles come in spans. */
static void both_orders(void **state)
{
    (void)state;
    for (int what = FORWARD; what <= WEIGHT_GRAD; what++) {
        check(&(conv){(kind)what, 3, 29, 31, 20, 70, {1, 1, 1, 1}}, 0, 1000);
        check(&(conv){(kind)what, 4, 28, 12, 270, 280, {1, 1, 1, 1}}, 4, 300);
        check(&(conv){(kind)what, 6, 30, 18, 210, 200, {1, 1, 1, 1}}, 6, 300);
    }
}

static int chosen(const conv *t)
{
    data d = make(t);
    soma__conv_sizes s = soma__conv_read(&d.attrs, &d.x.shape, &d.w.shape, &d.y.shape);
    drop(&d);
    return t->what == WEIGHT_GRAD ? soma__winograd_choose_weight(&s, false)
                                  : soma__winograd_choose(&s, t->what == FORWARD, false);
}

/* The bound that the documentation promises, for the tiles that shapes get, up to 512 channels. */
static void errors_stay_within_the_bound(void **state)
{
    (void)state;
    static const int64_t shapes[][3] = {{24, 24, 64}, {24, 24, 128}, {16, 16, 256}, {8, 8, 512}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int what = FORWARD; what <= WEIGHT_GRAD; what++) {
            conv t = {(kind)what,   1 + (what == WEIGHT_GRAD),
                      shapes[i][0], shapes[i][1],
                      shapes[i][2], 64,
                      {1, 1, 1, 1}};
            if (what == INPUT_GRAD) {
                t.c = 64;
                t.o = shapes[i][2];
            }
            int m = chosen(&t);
            assert_true(m > 0);
            check(&t, m, 6000);
        }
}

/* --- fixed point --------------------------------------------------------------------------------
 */

static soma__view rounded(const soma__view *from)
{
    soma__view view = *from;
    view.dtype = SOMA_BF16;
    view.data = soma__aligned((size_t)view.count * sizeof(uint16_t) + 1);
    assert_non_null(view.data);
    for (int64_t i = 0; i < view.count; i++)
        soma__store(SOMA_BF16, view.data, i, (double)((const float *)from->data)[i]);
    for (int64_t i = 0; i < view.count; i++)
        ((float *)from->data)[i] = (float)soma__load(SOMA_BF16, view.data, i);
    return view;
}

/* Data of bf16 where the kernel takes it; `d` then has the same numbers in f32. */
static soma__call fixed_call(const conv *t, data *d, soma__view in[2])
{
    soma__call call = call_of(t, d, in);
    in[0] = rounded(&in[0]);
    if (t->what == WEIGHT_GRAD)
        in[1] = rounded(&in[1]);
    return call;
}

static void drop_fixed(const conv *t, data *d, soma__view in[2])
{
    soma__free(in[0].data);
    if (t->what == WEIGHT_GRAD)
        soma__free(in[1].data);
    drop(d);
}

/* The root of the mean square error, as a share of the spread, by tile size. Sums of operands
 * rounded to bf16 have 2.3e-3, more than any here. */
static double fixed_bound_of(int m)
{
    return m == 2 ? 7e-4 : 1.8e-3;
}

static void check_fixed(const conv *t, int only, int64_t samples)
{
    for (const char *const *name = soma__cpu_isas(); *name; name++) {
        const soma__isa_table *isa = soma__isa_find(*name);
        if (!isa->integer->fixed_tile)
            continue;
        data d = make(t);
        soma__view in[2], *out = output_of(t, &d);
        soma__call call = fixed_call(t, &d, in);
        float *first = malloc((size_t)out->count * sizeof(float) + 1);
        assert_non_null(first);
        int64_t step = out->count / samples + 1;
        for (int m = only ? only : 2; m <= (only ? only : 4); m += 2) {
            run(m, t, &call, isa, 1, false);
            memcpy(first, out->data, (size_t)out->count * sizeof(float));
            double sum = 0, count = 0;
            for (int64_t i = 0; i < out->count; i += step, count++)
                sum += pow((double)first[i] - exact(t, &d, i), 2);
            double error = sqrt(sum / fmax(count, 1)) / spread(t, &d);
            if (!(error <= fixed_bound_of(m)))
                fail_msg("%s %lldx%lldx%lldx%lld to %lld, m = %d: error %.3g", ops[t->what],
                         (long long)t->n, (long long)t->h, (long long)t->w, (long long)t->c,
                         (long long)t->o, m, error);
            for (int threads = 2; threads <= 3; threads++) {
                run(m, t, &call, isa, threads, false);
                assert_memory_equal(first, out->data, (size_t)out->count * sizeof(float));
            }
        }
        free(first);
        drop_fixed(t, &d, in);
    }
}

static void fixed_point(void **state)
{
    (void)state;
    static const int64_t shapes[][5] = {
        {1, 5, 7, 1, 1},       {2, 9, 6, 3, 16},    {1, 11, 9, 16, 15},   {1, 8, 12, 17, 33},
        {1, 7, 7, 31, 64},     {1, 9, 5, 65, 97},   {1, 10, 10, 130, 40}, {3, 29, 31, 20, 70},
        {2, 16, 12, 512, 270}, {5, 4, 4, 290, 512},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int what = FORWARD; what <= WEIGHT_GRAD; what++) {
            const int64_t *n = shapes[i];
            check_fixed(&(conv){(kind)what, n[0], n[1], n[2], n[3], n[4], {1, 1, 1, 1}}, 0, 300);
            check_fixed(&(conv){(kind)what, n[0], n[1], n[2], n[3], n[4], {0, 2, 1, 0}}, 4, 100);
        }
}

/* Numbers whose squares are none, a tile of zeros, and what is not finite. */
static void fixed_point_at_the_ends(void **state)
{
    (void)state;
    static const float factors[] = {0, 1e-28F, 1e-20F, 1e22F};
    for (const char *const *name = soma__cpu_isas(); *name; name++) {
        const soma__isa_table *isa = soma__isa_find(*name);
        for (int what = FORWARD; what <= WEIGHT_GRAD && isa->integer->fixed_tile; what++) {
            conv t = {(kind)what, 2, 8, 8, 20, 20, {1, 1, 1, 1}};
            for (size_t f = 0; f < sizeof factors / sizeof *factors; f++) {
                data d = make(&t);
                soma__view in[2], *out = output_of(&t, &d), *x = what == INPUT_GRAD ? &d.y : &d.x;
                for (int64_t i = 0; i < x->count; i++)
                    ((float *)x->data)[i] *= factors[f];
                soma__call call = fixed_call(&t, &d, in);
                run(4, &t, &call, isa, 1, false);
                double limit = 0.02 * (double)factors[f] * spread(&t, &d);
                for (int64_t i = 0; i < out->count; i += 7)
                    assert_true(fabs((double)((const float *)out->data)[i] - exact(&t, &d, i)) <=
                                limit);
                /* One of them, in reach of the first outputs. */
                const uint16_t infinite = 0x7f80, nan = 0x7fc0;
                ((uint16_t *)in[0].data)[0] = f % 2 ? infinite : nan;
                run(4, &t, &call, isa, 1, false);
                const float reached = ((const float *)out->data)[what == WEIGHT_GRAD ? 80 : 0];
                assert_true(isnan(reached) || isinf(reached));
                drop_fixed(&t, &d, in);
            }
        }
    }
}

/* --- epilogues ----------------------------------------------------------------------------------
 */

/* out[0] = relu(y + bias) + residual, out[1] = y, in f32 as the plain kernels round them. */
static void epilogue(void **state)
{
    (void)state;
    static const conv shapes[] = {
        {FORWARD, 2, 13, 9, 20, 37, {1, 1, 1, 1}},
        {FORWARD, 1, 4, 57, 17, 33, {1, 1, 1, 1}}, /* a row of tiles in several blocks */
        {FORWARD, 9, 4, 4, 16, 64, {1, 1, 1, 1}},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (const char *const *name = soma__cpu_isas(); *name; name++)
            for (int turn = 0; turn < 4; turn++) { /* the last in fixed point */
                const int m = turn < 3 ? 2 + 2 * turn : 4;
                const soma__isa_table *isa = soma__isa_find(*name);
                const bool fixed = turn == 3;
                if (fixed && !isa->integer->fixed_tile)
                    continue;
                data d = make(&shapes[i]);
                soma__view in[4], out[2] = {filled(d.y.shape, 4), filled(d.y.shape, 5)};
                soma__call call =
                    fixed ? fixed_call(&shapes[i], &d, in) : call_of(&shapes[i], &d, in);
                run(m, &shapes[i], &call, isa, 1, false); /* y without an epilogue: in d.y */
                soma__program p = {.shape = d.y.shape, .loads = 3, .insns = 3, .stores = 2};
                p.insn[0] = (soma__insn){SOMA__SCALAR_ADD, 3, 0, 1, 0};
                p.insn[1] = (soma__insn){SOMA__SCALAR_RELU, 3, 3, 0, 0};
                p.insn[2] = (soma__insn){SOMA__SCALAR_ADD, 3, 3, 2, 0};
                p.store[0] = 3;
                p.store[1] = 0;
                in[2] = filled(SOMA_SHAPE(shapes[i].o), 6);
                in[3] = filled(d.y.shape, 7);
                call.nin = 4;
                call.nout = 2;
                call.out = out;
                call.program = &p;
                call.epilogue_first = 2;
                const float *y = d.y.data, *bias = in[2].data, *residual = in[3].data;
                for (int threads = 1; threads <= 2; threads++) {
                    run(m, &shapes[i], &call, isa, threads, threads == 2 && !fixed);
                    assert_memory_equal(out[1].data, y, (size_t)d.y.count * sizeof(float));
                    for (int64_t k = 0; k < d.y.count; k++) {
                        float sum = y[k] + bias[k % shapes[i].o];
                        float want = (sum > 0 ? sum : 0) + residual[k];
                        assert_true(((const float *)out[0].data)[k] == want);
                    }
                }
                free_view(&in[2]);
                free_view(&in[3]);
                free_view(&out[0]);
                free_view(&out[1]);
                if (fixed)
                    soma__free(in[0].data);
                drop(&d);
            }
}

/* --- what is taken, and the switch --------------------------------------------------------------
 */

static void refusals(void **state)
{
    (void)state;
    conv t = {FORWARD, 1, 32, 32, 64, 64, {1, 1, 1, 1}};
    data d = make(&t);
    soma__view in[2], rounded = d.y;
    soma__call call = call_of(&t, &d, in);
    assert_null(soma__refuses_conv2d_winograd(&call));
    d.attrs.stride[0] = 2;
    assert_non_null(soma__refuses_conv2d_winograd(&call));
    d.attrs.stride[0] = 1;
    d.attrs.dilation[1] = 2;
    assert_non_null(soma__refuses_conv2d_winograd(&call));
    d.attrs.dilation[1] = 1;
    d.attrs.groups = 2;
    assert_non_null(soma__refuses_conv2d_winograd(&call));
    d.attrs.groups = 1;
    in[1].shape.dim[2] = 5;
    assert_non_null(soma__refuses_conv2d_winograd(&call));
    in[1].shape.dim[2] = 3;
    in[0].dtype = SOMA_F64;
    assert_non_null(soma__refuses_conv2d_winograd(&call));
    in[0].dtype = SOMA_F32;
    rounded.dtype = SOMA_BF16;
    call.out = &rounded;
    assert_non_null(soma__refuses_conv2d_winograd(&call));
    call.out = &d.y;
    call.no_winograd = true;
    assert_non_null(soma__refuses_conv2d_winograd(&call));
    call.no_winograd = false;
    in[0].shape.dim[3] = in[1].shape.dim[3] = 3; /* too few channels */
    assert_non_null(soma__refuses_conv2d_winograd(&call));
    t.what = INPUT_GRAD;
    call = call_of(&t, &d, in);
    assert_null(soma__refuses_conv2d_input_grad_winograd(&call));
    call.no_winograd = true;
    assert_non_null(soma__refuses_conv2d_input_grad_winograd(&call));
    drop(&d);

    t = (conv){WEIGHT_GRAD, 1, 32, 32, 64, 64, {1, 1, 1, 1}};
    d = make(&t);
    call = call_of(&t, &d, in);
    assert_null(soma__refuses_conv2d_weight_grad_winograd(&call));
    call.no_winograd = true;
    assert_non_null(soma__refuses_conv2d_weight_grad_winograd(&call));
    call.no_winograd = false;
    in[1].dtype = SOMA_F64;
    assert_non_null(soma__refuses_conv2d_weight_grad_winograd(&call));
    in[1].dtype = SOMA_F32;
    d.attrs.stride[1] = 2;
    assert_non_null(soma__refuses_conv2d_weight_grad_winograd(&call));
    drop(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_around_the_tiles),
        cmocka_unit_test(channels),
        cmocka_unit_test(both_orders),
        cmocka_unit_test(errors_stay_within_the_bound),
        cmocka_unit_test(fixed_point),
        cmocka_unit_test(fixed_point_at_the_ends),
        cmocka_unit_test(epilogue),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
