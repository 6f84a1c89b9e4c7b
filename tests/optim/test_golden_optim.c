/* Ten steps of each optimiser against PyTorch's (tests/golden/README.md). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "format/safetensors.h"
#include "soma/soma.h"

#define STEPS 10
#define assert_ok(expression_, error_)                                                             \
    do {                                                                                           \
        soma_status status_ok_ = (expression_);                                                    \
        if (status_ok_ != SOMA_OK)                                                                 \
            fail_msg("%s: %d: %s", #expression_, status_ok_, (error_).message);                    \
    } while (0)

static const struct {
    const char *name;
    soma_optimizer_options options;
} cases[] = {
    {"sgd", {.kind = SOMA_SGD, .rate = 0.1}},
    {"sgd_momentum", {.kind = SOMA_SGD, .rate = 0.05, .momentum = 0.9}},
    {"sgd_dampening", {.kind = SOMA_SGD, .rate = 0.05, .momentum = 0.9, .dampening = 0.3}},
    {"sgd_nesterov", {.kind = SOMA_SGD, .rate = 0.05, .momentum = 0.9, .nesterov = true}},
    {"sgd_weight_decay", {.kind = SOMA_SGD, .rate = 0.05, .momentum = 0.9, .weight_decay = 0.1}},
    {"adam", {.kind = SOMA_ADAM, .rate = 0.05}},
    {"adam_weight_decay",
     {.kind = SOMA_ADAM, .rate = 0.05, .beta1 = 0.8, .beta2 = 0.95, .weight_decay = 0.1}},
    {"adam_amsgrad", {.kind = SOMA_ADAM, .rate = 0.1, .beta1 = 0.7, .beta2 = 0.6, .amsgrad = true}},
    {"adamw", {.kind = SOMA_ADAMW, .rate = 0.05, .weight_decay = 0.1}},
    {"adamw", {.kind = SOMA_ADAM, .rate = 0.05, .weight_decay = 0.1, .decoupled = true}},
    {"adamw_amsgrad",
     {.kind = SOMA_ADAMW,
      .rate = 0.1,
      .beta1 = 0.7,
      .beta2 = 0.6,
      .weight_decay = 0.1,
      .amsgrad = true}},
    {"rmsprop", {.kind = SOMA_RMSPROP, .rate = 0.02}},
    {"rmsprop_momentum", {.kind = SOMA_RMSPROP, .rate = 0.02, .alpha = 0.9, .momentum = 0.8}},
    {"rmsprop_weight_decay", {.kind = SOMA_RMSPROP, .rate = 0.02, .weight_decay = 0.1}},
    {"rmsprop_centered", {.kind = SOMA_RMSPROP, .rate = 0.02, .alpha = 0.9, .centered = true}},
    {"rmsprop_centered_momentum",
     {.kind = SOMA_RMSPROP, .rate = 0.01, .alpha = 0.9, .centered = true, .momentum = 0.7}},
    {"adagrad", {.kind = SOMA_ADAGRAD, .rate = 0.1}},
    {"adagrad_decay",
     {.kind = SOMA_ADAGRAD,
      .rate = 0.2,
      .rate_decay = 0.1,
      .initial_sum = 0.5,
      .weight_decay = 0.1}},
    {"adadelta", {.kind = SOMA_ADADELTA}},
    {"adadelta_rho", {.kind = SOMA_ADADELTA, .rate = 2, .alpha = 0.7, .weight_decay = 0.1}},
    {"adamax", {.kind = SOMA_ADAMAX, .rate = 0.05}},
    {"adamax_weight_decay",
     {.kind = SOMA_ADAMAX, .rate = 0.05, .beta1 = 0.8, .beta2 = 0.7, .weight_decay = 0.1}},
    {"nadam", {.kind = SOMA_NADAM, .rate = 0.05}},
    {"nadam_decoupled",
     {.kind = SOMA_NADAM,
      .rate = 0.05,
      .beta1 = 0.8,
      .beta2 = 0.9,
      .momentum_decay = 0.1,
      .weight_decay = 0.1,
      .decoupled = true}},
    {"radam", {.kind = SOMA_RADAM, .rate = 0.05}},
    {"radam_decoupled",
     {.kind = SOMA_RADAM,
      .rate = 0.05,
      .beta1 = 0.8,
      .beta2 = 0.95,
      .weight_decay = 0.1,
      .decoupled = true}},
    {"rprop", {.kind = SOMA_RPROP, .rate = 0.03}},
    {"rprop_steps",
     {.kind = SOMA_RPROP,
      .rate = 0.2,
      .shrink = 0.4,
      .grow = 1.5,
      .step_min = 0.05,
      .step_max = 0.3}},
    {"asgd",
     {.kind = SOMA_ASGD, .rate = 0.1, .average_from = 3, .lambda = 0.05, .weight_decay = 0.1}},
    {"lion", {.kind = SOMA_LION, .rate = 0.02, .weight_decay = 0.1}},
    {"lamb", {.kind = SOMA_LAMB, .rate = 0.05, .weight_decay = 0.1}},
    {"lars", {.kind = SOMA_LARS, .rate = 2, .momentum = 0.9, .trust = 0.02, .weight_decay = 0.1}},
    {"sgd_clip", {.kind = SOMA_SGD, .rate = 0.1, .momentum = 0.9, .clip_norm = 0.5}},
    {"sgd_clip_value", {.kind = SOMA_SGD, .rate = 0.1, .momentum = 0.9, .clip_value = 0.3}},
    {"adam_max_norm", {.kind = SOMA_ADAM, .rate = 0.05, .max_norm = 0.8}},
    {"sgd_l1", {.kind = SOMA_SGD, .rate = 0.05, .l1 = 0.1}},
    {"adamw_groups",
     {.kind = SOMA_ADAMW,
      .rate = 0.05,
      .weight_decay = 0.1,
      .groups = &(const soma_optimizer_group){"b*", .rate_factor = 0.1, .weight_decay = -1},
      .group_count = 1}},
    {"adam_ema", {.kind = SOMA_ADAM, .rate = 0.05, .ema = 0.8}},
    {"sgd_lookahead",
     {.kind = SOMA_SGD, .rate = 0.1, .momentum = 0.8, .lookahead = 3, .lookahead_alpha = 0.4}},
};
static const char *const keys[] = {"w", "b"};

static soma__archive golden;

static int open_golden(void **state)
{
    soma_error err = {0};
    (void)state;
    if (soma__archive_read(&golden, SOMA_TEST_FOLDER "/golden/optim.safetensors", &err) != SOMA_OK)
        fprintf(stderr, "%s\n", err.message);
    return err.code != SOMA_OK;
}

static int close_golden(void **state)
{
    (void)state;
    soma__archive_clear(&golden);
    return 0;
}

static soma_tensor *stored(const char *name, const char *part, const char *key)
{
    char full[128];
    snprintf(full, sizeof full, "%s%s%s%s%s", name, *part ? "/" : "", part, *key ? "/" : "", key);
    soma_tensor *tensor = soma__archive_find(&golden, full);
    if (!tensor)
        fail_msg("the golden file lacks '%s'", full);
    return tensor;
}

/* The plan of one step, fed with gradients "g0", "g1" and "hyper"; its output is the norm. */
static soma_session *step_session(soma_context *context, soma_optimizer *optimizer,
                                  soma_tensor *const *parameters)
{
    soma_error err = {0};
    soma_graph *graph;
    soma_plan *plan;
    soma_session *session;
    soma_update updates[16];
    soma_var params[2], grads[2], norm;
    int used = 0;
    assert_ok(soma_graph_create(&graph, &err), err);
    for (int i = 0; i < 2; i++) {
        params[i] = soma_variable(graph, keys[i], parameters[i]);
        grads[i] = soma_input(graph, i ? "g1" : "g0", SOMA_F32, *soma_tensor_shape(parameters[i]));
    }
    soma_var hyper =
        soma_input(graph, "hyper", SOMA_F32, SOMA_SHAPE(soma_optimizer_hyper_count(optimizer)));
    soma_optimizer_apply(optimizer, params, grads, hyper, (soma_var){0}, &norm, updates, &used);
    assert_ok(soma_plan_create(&plan, context, &norm, 1, updates, used, &err), err);
    assert_ok(soma_session_create(&session, plan, &err), err);
    soma_plan_release(plan);
    soma_graph_destroy(graph);
    return session;
}

/* `part`: "p" the parameter, "average" its average. */
static void expect_step(const char *name, const char *part, const char *key,
                        const soma_tensor *parameter, int64_t step)
{
    const soma_tensor *want = stored(name, part, key);
    int64_t count = soma_tensor_count(parameter);
    for (int64_t i = 0; i < count; i++) {
        double got = soma_tensor_get(parameter, i),
               wanted = soma_tensor_get(want, step * count + i);
        if (!(fabs(got - wanted) <= 2e-6 * (1 + fabs(wanted))))
            fail_msg("%s, step %d, %s/%s[%d]: %.9g, PyTorch %.9g", name, (int)step + 1, part, key,
                     (int)i, got, wanted);
    }
}

static void agrees(soma_context *context, const char *name, const soma_optimizer_options *options)
{
    soma_error err = {0};
    soma_tensor *parameters[2];
    soma_optimizer *optimizer;
    for (int i = 0; i < 2; i++)
        assert_ok(soma_tensor_cast(&parameters[i], stored("initial", keys[i], ""), SOMA_F32, &err),
                  err);
    assert_ok(soma_optimizer_create(&optimizer, options, keys, parameters, 2, &err), err);
    soma_session *session = step_session(context, optimizer, parameters);
    for (int64_t step = 0; step < STEPS; step++) {
        float hyper[2 * SOMA_OPTIMIZER_HYPER];
        soma_optimizer_hyper(optimizer, step, STEPS, STEPS, hyper);
        assert_ok(soma_session_set(session, "hyper", SOMA_F32,
                                   &SOMA_SHAPE(soma_optimizer_hyper_count(optimizer)), hyper, &err),
                  err);
        for (int i = 0; i < 2; i++) {
            soma_tensor *g = stored(name, "g", keys[i]);
            assert_ok(soma_session_set(
                          session, i ? "g1" : "g0", SOMA_F32, soma_tensor_shape(parameters[i]),
                          soma_tensor_f32(g) + step * soma_tensor_count(parameters[i]), &err),
                      err);
        }
        assert_ok(soma_session_run(session, &err), err);
        for (int i = 0; i < 2; i++)
            expect_step(name, "p", keys[i], parameters[i], step);
        for (int i = 0; i < 2 && soma_optimizer_average(optimizer, i); i++)
            expect_step(name, "average", keys[i], soma_optimizer_average(optimizer, i), step);
        if (options->clip_norm > 0) {
            double norm = soma_tensor_get(soma_session_output(session, 0), 0);
            double want = soma_tensor_get(stored(name, "norm", ""), step);
            assert_true(fabs(norm - want) < 1e-5);
        }
    }
    soma_session_destroy(session);
    soma_optimizer_destroy(optimizer);
    soma_tensor_release(parameters[0]);
    soma_tensor_release(parameters[1]);
}

static void agrees_with_pytorch(void **state)
{
    static const char *const isas[] = {NULL, "reference"};
    soma_error err = {0};
    soma_context *context;
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        assert_ok(soma_context_create(&context,
                                      &(soma_context_options){.threads = 1, .isa = isas[k]}, &err),
                  err);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
            agrees(context, cases[i].name, &cases[i].options);
        soma_context_destroy(context);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_pytorch)};
    return cmocka_run_group_tests_name("golden optim", tests, open_golden, close_golden);
}
