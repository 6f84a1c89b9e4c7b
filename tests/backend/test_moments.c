/* Steps of Adam in one pass (moments.c): that what optimisers build is taken, with the bits that
 * the same program gives instruction by instruction, and that other programs are left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/cpu/fused.h"
#include "plan/plan.h"
#include "soma/soma.h"

void soma__run_fused(const soma__call *call, const soma__isa_table *isa);

#define assert_ok(expression_)                                                                     \
    do {                                                                                           \
        soma_error err = {0};                                                                      \
        if ((expression_) != SOMA_OK)                                                              \
            fail_msg("%s: %s", #expression_, err.message);                                         \
    } while (0)

static soma_context *context;

/* A plan of one update of `n` weights by a gradient that is given. */
static soma_plan *plan_step(const soma_optimizer_options *options, bool guarded, int64_t n)
{
    const char *const names[] = {"w"};
    soma_graph *graph;
    soma_tensor *w;
    soma_optimizer *optimizer;
    soma_plan *plan;
    soma_update update[8];
    int used = 0;
    assert_ok(soma_tensor_create(&w, SOMA_F32, SOMA_SHAPE(n), &err));
    assert_ok(soma_graph_create(&graph, &err));
    assert_ok(soma_optimizer_create(&optimizer, options, names, &w, 1, &err));
    soma_var param = soma_variable(graph, "w", w);
    soma_var grad = soma_input(graph, "g", SOMA_F32, SOMA_SHAPE(n));
    soma_var hyper =
        soma_input(graph, "hyper", SOMA_F32, SOMA_SHAPE(soma_optimizer_hyper_count(optimizer)));
    soma_var guard = {0};
    if (guarded)
        guard = soma_input(graph, "guard", SOMA_BOOL, SOMA_SCALAR);
    assert_true(soma_optimizer_update_count(optimizer) <= 8);
    soma_optimizer_apply(optimizer, &param, &grad, hyper, guard, NULL, update, &used);
    assert_ok(soma_plan_create(&plan, context, NULL, 0, update, used, &err));
    soma_optimizer_destroy(optimizer);
    soma_graph_destroy(graph);
    soma_tensor_release(w);
    return plan;
}

/* The plan's step over n elements that writes `stores` of them. */
static const soma__step *step_of(const soma_plan *plan, int64_t n, int stores)
{
    for (int32_t s = 0; s < plan->core->step_count; s++) {
        const soma__step *step = &plan->core->step[s];
        if (step->program && step->program->stores == stores && step->program->shape.ndim == 1 &&
            step->program->shape.dim[0] == n)
            return step;
    }
    return NULL;
}

enum { MOST_ARRAYS = SOMA__PROGRAM_OPERANDS + SOMA__PROGRAM_STORES };

/* A call of the step over numbers of its own; outputs apart from the operands. */
typedef struct call_data {
    soma__view view[MOST_ARRAYS];
    soma__call call;
    int arrays;
} call_data;

static void open_call(call_data *d, const soma_plan *plan, const soma__step *step, soma__pool *pool,
                      bool guard)
{
    d->call = soma__call_of(plan->core, step, d->view, false);
    d->call.pool = pool;
    d->arrays = step->nin + step->nout;
    for (int i = 0; i < d->arrays; i++) {
        soma__view *v = &d->view[i];
        v->data = calloc((size_t)v->count + 1, 8);
        assert_non_null(v->data);
        float *f = v->data;
        for (int64_t j = 0; v->dtype == SOMA_F32 && j < v->count; j++)
            f[j] = 0.01f * (float)((j * 37 + i * 11) % 101 + 1);
        if (v->dtype == SOMA_BOOL)
            *(uint8_t *)v->data = guard;
    }
}

static void close_call(call_data *d)
{
    for (int i = 0; i < d->arrays; i++)
        free(d->view[i].data);
}

/* Instruction by instruction: one pass takes three outputs, so a fourth is added. */
static void run_long(const call_data *d, const soma__isa_table *isa, float *out[3])
{
    soma__program p = *d->call.program;
    soma__call call = d->call;
    soma__view view[4];
    float *fourth = malloc((size_t)d->call.out[0].count * sizeof(float));
    assert_non_null(fourth);
    for (int k = 0; k < 3; k++) {
        view[k] = d->call.out[k];
        view[k].data = out[k];
    }
    view[3] = view[0];
    view[3].data = fourth;
    p.stores = 4;
    p.store[3] = p.store[0];
    p.fold[3] = SOMA__FOLD_NONE;
    call.out = view;
    call.nout = 4;
    call.program = &p;
    assert_false(soma__moments_run(&call, isa));
    soma__run_fused(&call, isa);
    free(fourth);
}

static void check_step(const soma_optimizer_options *options, bool guarded, int64_t n,
                       const char *what)
{
    soma_plan *plan = plan_step(options, guarded, n);
    const soma__step *step = step_of(plan, n, 3);
    if (!step)
        fail_msg("%s: no step of three outputs", what);
    for (const char *const *name = soma__cpu_isas(); *name; name++) {
        const soma__isa_table *isa = soma__isa_find(*name);
        for (int guard = 1; guard >= !guarded; guard--) {
            call_data d;
            float *want[3];
            open_call(&d, plan, step, context->pool, guard != 0);
            for (int k = 0; k < 3; k++) {
                want[k] = malloc((size_t)n * sizeof(float));
                assert_non_null(want[k]);
            }
            run_long(&d, isa, want);
            if (soma__moments_run(&d.call, isa) != (guard != 0))
                fail_msg("%s, %s, guard %d: is%s taken", what, *name, guard, guard ? " not" : "");
            soma__run_fused(&d.call, isa);
            for (int k = 0; k < 3; k++) {
                if (memcmp(d.call.out[k].data, want[k], (size_t)n * sizeof(float)) != 0)
                    fail_msg("%s, %s: output %d differs", what, *name, k);
                free(want[k]);
            }
            close_call(&d);
        }
    }
    soma_plan_release(plan);
}

static void one_pass(void **state)
{
    static const int64_t sizes[] = {2, 15, 16, 33, 8192, 20001};
    static const struct {
        const char *what;
        soma_optimizer_options options;
    } cases[] = {
        {"adam", {.kind = SOMA_ADAM}},
        {"adam, L2", {.kind = SOMA_ADAM, .weight_decay = 0.01}},
        {"adam, clipped", {.kind = SOMA_ADAM, .clip_norm = 1}},
        {"adam, clipped, L2", {.kind = SOMA_ADAM, .clip_norm = 1, .weight_decay = 0.01}},
        {"adamw", {.kind = SOMA_ADAMW, .weight_decay = 0.01}},
        {"adamw, clipped", {.kind = SOMA_ADAMW, .clip_norm = 1, .weight_decay = 0.01}},
        {"adam, one cycle", {.kind = SOMA_ADAM, .schedule = SOMA_SCHEDULE_ONE_CYCLE}},
    };
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            check_step(&cases[c].options, false, sizes[i], cases[c].what);
            check_step(&cases[c].options, true, sizes[i], cases[c].what);
        }
}

/* Programs that are nearly a step of Adam. */
static void left_alone(void **state)
{
    const soma__isa_table *isa = soma__isa_find(NULL);
    soma_plan *plan = plan_step(&(soma_optimizer_options){.kind = SOMA_ADAM}, false, 40);
    const soma__step *step = step_of(plan, 40, 3);
    call_data d;
    (void)state;
    assert_non_null(step);
    open_call(&d, plan, step, context->pool, true);
    const soma__program whole = *d.call.program;
    assert_true(soma__moments_run(&d.call, isa));
    soma__program p;
    d.call.program = &p;
    for (int i = 0; i < whole.insns; i++) { /* another function in each place */
        p = whole;
        p.insn[i].code = p.insn[i].code == SOMA__SCALAR_MUL      ? SOMA__SCALAR_MAXIMUM
                         : p.insn[i].code == SOMA__SCALAR_SQUARE ? SOMA__SCALAR_ABS
                         : p.insn[i].code == SOMA__SCALAR_SQRT   ? SOMA__SCALAR_EXP
                                                                 : SOMA__SCALAR_MUL;
        if (soma__moments_run(&d.call, isa))
            fail_msg("taken with another function in place %d", i);
    }
    p = whole; /* an output over an array that another one is made of */
    void *own = d.call.out[0].data;
    for (int i = 0; i < d.call.nin; i++)
        if (d.call.in[i].count == 40) {
            int arrays = 0;
            for (int k = 0; k < 3; k++) {
                void *before = d.call.out[k].data;
                d.call.out[k].data = d.call.in[i].data;
                arrays += soma__moments_run(&d.call, isa);
                d.call.out[k].data = before;
            }
            assert_in_range(arrays, 0, 1); /* at most over the one that it replaces */
        }
    assert_ptr_equal(d.call.out[0].data, own);
    close_call(&d);
    soma_plan_release(plan);
}

static int open_context(void **state)
{
    (void)state;
    return soma_context_create(&context, &(soma_context_options){.threads = 2}, NULL) != SOMA_OK;
}

static int close_context(void **state)
{
    (void)state;
    soma_context_destroy(context);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_pass),
        cmocka_unit_test(left_alone),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
