/* Optimisers: state and its names, schedules, clipping, the guard, and that each one descends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "optim/optim.h"
#include "soma/soma.h"

#define assert_ok(expression_, error_)                                                             \
    do {                                                                                           \
        soma_status status_ok_ = (expression_);                                                    \
        if (status_ok_ != SOMA_OK)                                                                 \
            fail_msg("%s: %d: %s", #expression_, status_ok_, (error_).message);                    \
    } while (0)

static soma_context *context;

static int open_context(void **state)
{
    soma_error err = {0};
    (void)state;
    return soma_context_create(&context, &(soma_context_options){.threads = 1}, &err) != SOMA_OK;
}

static int close_context(void **state)
{
    (void)state;
    soma_context_destroy(context);
    return 0;
}

static soma_optimizer *optimizer_of(soma_optimizer_options options, soma_tensor *const *parameters,
                                    int count)
{
    static const char *const names[] = {"w", "b"};
    soma_error err = {0};
    soma_optimizer *optimizer;
    assert_ok(soma_optimizer_create(&optimizer, &options, names, parameters, count, &err), err);
    return optimizer;
}

/* --- state
 * ---------------------------------------------------------------------------------------- */

static void names_state(void **state)
{
    static const struct {
        soma_optimizer_options options;
        const char *states[3];
    } cases[] = {
        {{.kind = SOMA_SGD}, {NULL}},
        {{.kind = SOMA_SGD, .momentum = 0.9}, {"momentum_buffer"}},
        {{.kind = SOMA_ADAM}, {"exp_avg", "exp_avg_sq"}},
        {{.kind = SOMA_ADAMW}, {"exp_avg", "exp_avg_sq"}},
        {{.kind = SOMA_RMSPROP}, {"square_avg"}},
        {{.kind = SOMA_RMSPROP, .centered = true}, {"square_avg", "grad_avg"}},
        {{.kind = SOMA_RMSPROP, .momentum = 0.5, .centered = true},
         {"square_avg", "momentum_buffer", "grad_avg"}},
        {{.kind = SOMA_ADAM, .amsgrad = true}, {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}},
        {{.kind = SOMA_ADAGRAD}, {"sum"}},
        {{.kind = SOMA_ADADELTA}, {"square_avg", "acc_delta"}},
        {{.kind = SOMA_RPROP}, {"prev", "step_size"}},
        {{.kind = SOMA_ASGD}, {"ax"}},
        {{.kind = SOMA_LION, .lookahead = 5, .ema = 0.9}, {"exp_avg", "slow", "ema"}},
        {{.swa_epoch = 2}, {"swa"}},
    };
    soma_error err = {0};
    soma_tensor *parameters[2];
    (void)state;
    assert_ok(soma_tensor_create(&parameters[0], SOMA_F32, SOMA_SHAPE(2, 3), &err), err);
    assert_ok(soma_tensor_create(&parameters[1], SOMA_F32, SOMA_SCALAR, &err), err);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        soma_optimizer *optimizer = optimizer_of(cases[i].options, parameters, 2);
        int states = 0;
        while (states < 3 && cases[i].states[states])
            states++;
        assert_int_equal(soma_optimizer_state_count(optimizer), 2 * states);
        assert_int_equal(soma_optimizer_update_count(optimizer), 2 * (states + 1));
        for (int k = 0; k < 2 * states; k++) {
            char want[64];
            snprintf(want, sizeof want, "%s.%s", k < states ? "w" : "b",
                     cases[i].states[k % states]);
            assert_string_equal(soma_optimizer_state_name(optimizer, k), want);
            assert_true(soma_shape_equal(soma_tensor_shape(soma_optimizer_state(optimizer, k)),
                                         soma_tensor_shape(parameters[k >= states])));
        }
        assert_null(soma_optimizer_state_name(optimizer, 2 * states));
        assert_null(soma_optimizer_state(optimizer, -1));
        soma_optimizer_destroy(optimizer);
    }
    soma_tensor_release(parameters[0]);
    soma_tensor_release(parameters[1]);
}

static void refuses_bad_options(void **state)
{
    static const soma_optimizer_group nameless, backwards = {"*", .rate = -1};
    static const struct {
        soma_optimizer_options options;
        const char *part;
    } cases[] = {
        {{.kind = (soma_optimizer_kind)99}, "kind number 99"},
        {{.schedule = (soma_schedule_kind)99}, "schedule number 99"},
        {{.rate = -1}, "rate must be a number of at least 0, got -1"},
        {{.rate = HUGE_VAL}, "rate must be"},
        {{.rate = (double)NAN}, "rate must be"},
        {{.momentum = 1}, "momentum must be in [0, 1)"},
        {{.nesterov = true}, "nesterov needs a momentum"},
        {{.kind = SOMA_ADAM, .beta1 = -0.1}, "beta1 must be in"},
        {{.kind = SOMA_ADAM, .beta2 = 1}, "beta2 must be in"},
        {{.kind = SOMA_RMSPROP, .alpha = 2}, "alpha must be in"},
        {{.eps = -1}, "eps must be"},
        {{.weight_decay = (double)NAN}, "weight_decay must be finite"},
        {{.clip_norm = -1}, "clip_norm must be"},
        {{.warmup_steps = -1}, "warmup_steps must be"},
        {{.dampening = 1}, "dampening must be in [0, 1)"},
        {{.momentum = 0.9, .nesterov = true, .dampening = 0.1}, "nesterov takes no dampening"},
        {{.ema = 1}, "ema must be in [0, 1)"},
        {{.ema = 0.9, .swa_epoch = 3}, "choose one"},
        {{.kind = SOMA_ASGD, .ema = 0.9}, "choose one"},
        {{.lookahead = -1}, "cannot be negative"},
        {{.lookahead_alpha = 2}, "lookahead_alpha must be at most 1"},
        {{.kind = SOMA_RPROP, .grow = 0.9}, "grow must be a number of at least 1"},
        {{.kind = SOMA_RPROP, .step_min = 2, .step_max = 1}, "step_min 2 is above step_max 1"},
        {{.schedule = SOMA_SCHEDULE_MULTISTEP}, "needs milestones"},
        {{.schedule = SOMA_SCHEDULE_MULTISTEP, .milestones = {3, 2}}, "must be rising"},
        {{.schedule = SOMA_SCHEDULE_CYCLIC, .warmup_steps = 2}, "takes no warmup_steps"},
        {{.momentum_low = 0.9, .momentum_high = 0.5}, "momentum_low 0.9 is above"},
        {{.group_count = 1}, "1 groups"},
        {{.groups = &nameless, .group_count = 1}, "has no match"},
        {{.groups = &backwards, .group_count = 1}, "group '*': rate and decay must be finite"},
        {{.schedule = SOMA_SCHEDULE_COSINE, .rate = 0.1, .min_rate = 0.2},
         "min_rate 0.2 is above the learning rate 0.1"},
    };
    soma_error err = {0};
    soma_optimizer *optimizer;
    soma_tensor *half;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        soma_status status =
            soma_optimizer_create(&optimizer, &cases[i].options, NULL, NULL, 0, &err);
        if (status != SOMA_INVALID || !strstr(err.message, cases[i].part))
            fail_msg("case %zu: status %d: %s", i, status, err.message);
        assert_null(optimizer);
    }
    assert_int_equal(soma_optimizer_create(&optimizer, NULL, NULL, NULL, 1, &err), SOMA_INVALID);
    assert_ok(soma_tensor_create(&half, SOMA_F16, SOMA_SHAPE(2), &err), err);
    assert_int_equal(
        soma_optimizer_create(&optimizer, NULL, (const char *const[]){"w"}, &half, 1, &err),
        SOMA_DTYPE);
    assert_non_null(strstr(err.message, "'w' is f16"));
    soma_tensor_release(half);
}

/* --- schedules
 * ------------------------------------------------------------------------------------- */

static void follows_schedules(void **state)
{
    static const struct {
        soma_optimizer_options options;
        int64_t step;
        double rate;
    } cases[] = {
        {{.kind = SOMA_SGD}, 0, 0.01},
        {{.kind = SOMA_ADAM}, 5, 0.001},
        {{.kind = SOMA_ADAMW}, 5, 0.001},
        {{.kind = SOMA_RMSPROP}, 5, 0.01},
        {{.rate = 1, .warmup_steps = 4}, 0, 0.25},
        {{.rate = 1, .warmup_steps = 4}, 2, 0.75},
        {{.rate = 1, .warmup_steps = 4}, 3, 1},
        {{.rate = 1, .warmup_steps = 4}, 4, 1},
        /* Ten steps an epoch: a drop every two epochs. */
        {{.rate = 1, .schedule = SOMA_SCHEDULE_STEP, .step_epochs = 2}, 19, 1},
        {{.rate = 1, .schedule = SOMA_SCHEDULE_STEP, .step_epochs = 2}, 20, 0.1},
        {{.rate = 1, .schedule = SOMA_SCHEDULE_STEP, .step_epochs = 2}, 59, 0.01},
        {{.rate = 1, .schedule = SOMA_SCHEDULE_STEP, .step_epochs = 0.5, .gamma = 0.5}, 5, 0.5},
        {{.rate = 1, .schedule = SOMA_SCHEDULE_STEP}, 300, 0.1},
        {{.rate = 1, .schedule = SOMA_SCHEDULE_STEP, .step_epochs = 1, .warmup_steps = 12}, 11, 1},
        {{.rate = 1, .schedule = SOMA_SCHEDULE_STEP, .step_epochs = 1, .warmup_steps = 12},
         12,
         0.1},
        /* A hundred steps in all. */
        {{.rate = 1, .schedule = SOMA_SCHEDULE_COSINE}, 0, 1},
        {{.rate = 1, .schedule = SOMA_SCHEDULE_COSINE}, 50, 0.5},
        {{.rate = 1, .schedule = SOMA_SCHEDULE_COSINE}, 25, 0.85355339059327},
        {{.rate = 1, .schedule = SOMA_SCHEDULE_COSINE}, 100, 0},
        {{.rate = 1, .schedule = SOMA_SCHEDULE_COSINE, .min_rate = 0.2}, 50, 0.6},
        {{.rate = 1, .schedule = SOMA_SCHEDULE_COSINE, .min_rate = 0.2}, 1000, 0.2},
        {{.rate = 1, .schedule = SOMA_SCHEDULE_COSINE, .warmup_steps = 20}, 9, 0.5},
        {{.rate = 1, .schedule = SOMA_SCHEDULE_COSINE, .warmup_steps = 20}, 20, 1},
        {{.rate = 1, .schedule = SOMA_SCHEDULE_COSINE, .warmup_steps = 20}, 60, 0.5},
        {{.rate = 1, .schedule = SOMA_SCHEDULE_COSINE, .warmup_steps = 200}, 99, 0.5},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        soma_optimizer *optimizer = optimizer_of(cases[i].options, NULL, 0);
        double rate = soma_optimizer_rate(optimizer, cases[i].step, 10, 100);
        if (!(fabs(rate - cases[i].rate) < 1e-12))
            fail_msg("case %zu: rate %.15g", i, rate);
        float hyper[SOMA_OPTIMIZER_HYPER];
        soma_optimizer_hyper(optimizer, cases[i].step, 10, 100, hyper);
        assert_true(fabs((double)hyper[0] - rate) < 1e-7);
        assert_true(isfinite(hyper[1]) && isfinite(hyper[2]));
        soma_optimizer_destroy(optimizer);
    }
}

/* --- steps
 * ------------------------------------------------------------------------------------------ */

/* Two parameters, w [2,3] and a scalar b, and the sum of (p - 1)² over them. */
typedef struct problem {
    soma_tensor *w, *b;
    soma_optimizer *optimizer;
    double norm; /* of the last step's gradient */
} problem;

static problem begin(soma_optimizer_options options)
{
    soma_error err = {0};
    problem p = {0};
    assert_ok(soma_tensor_create(&p.w, SOMA_F32, SOMA_SHAPE(2, 3), &err), err);
    assert_ok(soma_tensor_create(&p.b, SOMA_F32, SOMA_SCALAR, &err), err);
    for (int i = 0; i < 6; i++)
        soma_tensor_set(p.w, i, i - 3);
    p.optimizer = optimizer_of(options, (soma_tensor *const[]){p.w, p.b}, 2);
    return p;
}

static void end(problem *p)
{
    soma_tensor_release(p->w);
    soma_tensor_release(p->b);
    soma_optimizer_destroy(p->optimizer);
}

/* One step; the loss before it. `guard` -1: without one. */
static double take_step(problem *p, int64_t step, int guard)
{
    soma_error err = {0};
    soma_graph *graph;
    soma_update updates[16];
    soma_tensor *hyper, *out[2];
    soma_var params[2], grads[2], norm;
    int used = 0;
    float numbers[SOMA_OPTIMIZER_HYPER];

    assert_ok(soma_graph_create(&graph, &err), err);
    params[0] = soma_variable(graph, "w", p->w);
    params[1] = soma_variable(graph, "b", p->b);
    soma_var loss = soma_add(soma_sum(soma_square(soma_add_scalar(params[0], -1))),
                             soma_square(soma_add_scalar(params[1], -1)));
    soma_gradients(loss, params, 2, grads);
    soma_optimizer_hyper(p->optimizer, step, 10, 100, numbers);
    assert_ok(soma_tensor_from(&hyper, SOMA_F32, SOMA_SHAPE(SOMA_OPTIMIZER_HYPER), numbers, &err),
              err);
    soma_optimizer_apply(p->optimizer, params, grads, soma_variable(graph, "hyper", hyper),
                         guard < 0 ? (soma_var){0} : soma_scalar(graph, SOMA_BOOL, guard), &norm,
                         updates, &used);
    assert_int_equal(used, soma_optimizer_update_count(p->optimizer));
    assert_ok(soma_eval_many(out, context, (const soma_var[]){loss, norm}, 2, updates, used, &err),
              err);
    double value = soma_tensor_get(out[0], 0);
    p->norm = soma_tensor_get(out[1], 0);
    soma_tensor_release(out[0]);
    soma_tensor_release(out[1]);
    soma_tensor_release(hyper);
    soma_graph_destroy(graph);
    return value;
}

static void descends(void **state)
{
    static const soma_optimizer_options cases[] = {
        {.kind = SOMA_SGD, .rate = 0.1},
        {.kind = SOMA_SGD, .rate = 0.05, .momentum = 0.8},
        {.kind = SOMA_SGD, .rate = 0.05, .momentum = 0.8, .nesterov = true},
        {.kind = SOMA_ADAM, .rate = 0.3},
        {.kind = SOMA_ADAMW, .rate = 0.3, .weight_decay = -1},
        {.kind = SOMA_RMSPROP, .rate = 0.1},
        {.kind = SOMA_RMSPROP, .rate = 0.02, .momentum = 0.8},
        {.kind = SOMA_RMSPROP, .rate = 0.1, .schedule = SOMA_SCHEDULE_COSINE},
        {.kind = SOMA_SGD, .rate = 0.1, .clip_norm = 3, .warmup_steps = 5},
        {.kind = SOMA_ADAGRAD, .rate = 1},
        {.kind = SOMA_ADADELTA, .rate = 50},
        {.kind = SOMA_ADAMAX, .rate = 0.3},
        {.kind = SOMA_NADAM, .rate = 0.3},
        {.kind = SOMA_RADAM, .rate = 0.5},
        {.kind = SOMA_LION,
         .rate = 0.1,
         .beta2 = 0.9,
         .weight_decay = -1,
         .schedule = SOMA_SCHEDULE_COSINE},
        {.kind = SOMA_LAMB, .rate = 0.05},
        {.kind = SOMA_LARS, .rate = 0.3, .momentum = 0.5, .trust = 0.5},
        {.kind = SOMA_RPROP, .rate = 0.1},
        {.kind = SOMA_ASGD, .rate = 0.1},
        {.kind = SOMA_SGD, .rate = 0.1, .lookahead = 5},
        {.kind = SOMA_ADAM, .rate = 0.3, .schedule = SOMA_SCHEDULE_ONE_CYCLE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        problem p = begin(cases[i]);
        double first = take_step(&p, 0, -1), last = first;
        for (int64_t step = 1; step < 100; step++)
            last = take_step(&p, step, -1);
        if (!(last < 0.02 * first))
            fail_msg("case %zu: from %g to %g", i, first, last);
        end(&p);
    }
}

static void decays_weights(void **state)
{
    /* With a rate of 0.5 the gradient 2 (p - 1) alone takes every p to 1; L2 adds 0.5 · 0.1 p, and
     * adamw first shrinks p by 1 - 0.1 · 0.01, then moves by the rate. */
    problem p = begin((soma_optimizer_options){.rate = 0.5, .weight_decay = 0.1});
    (void)state;
    take_step(&p, 0, -1);
    for (int i = 0; i < 6; i++)
        assert_true(fabs(soma_tensor_get(p.w, i) - (1 - 0.05 * (i - 3))) < 1e-6);
    end(&p);
    p = begin((soma_optimizer_options){.kind = SOMA_ADAMW, .rate = 0.1});
    take_step(&p, 0, -1);
    assert_true(fabs(soma_tensor_get(p.w, 0) - (-3 * 0.999 + 0.1)) < 1e-5);
    assert_true(fabs(soma_tensor_get(p.w, 5) - (2 * 0.999 - 0.1)) < 1e-5);
    end(&p);
}

/* The centred form divides by √(alpha-mean of g² - (alpha-mean of g)²). */
static void centers(void **state)
{
    problem p = begin((soma_optimizer_options){
        .kind = SOMA_RMSPROP, .rate = 0.1, .alpha = 0.75, .centered = true});
    (void)state;
    take_step(&p, 0, -1);
    /* g = -8: 0.25 · 64 - (0.25 · 8)² = 12 */
    assert_true(fabs(soma_tensor_get(p.w, 0) - (-3 + 0.8 / sqrt(12))) < 1e-5);
    end(&p);
}

static void clips(void **state)
{
    /* The gradient is 2 (p - 1): squares 4 · (16 + 9 + 4 + 1 + 0 + 1 + 1) = 128. */
    problem p = begin((soma_optimizer_options){.rate = 1, .clip_norm = 2});
    double factor = 2 / (sqrt(128) + 1e-6);
    (void)state;
    take_step(&p, 0, -1);
    assert_true(fabs(p.norm - sqrt(128)) < 1e-5);
    assert_true(fabs(soma_tensor_get(p.w, 0) - (-3 + 8 * factor)) < 1e-5);
    assert_true(fabs(soma_tensor_get(p.b, 0) - 2 * factor) < 1e-5);
    end(&p);
    p = begin((soma_optimizer_options){.rate = 0.5, .clip_norm = 20});
    take_step(&p, 0, -1);
    assert_true(fabs(soma_tensor_get(p.w, 0) - 1) < 1e-6);
    end(&p);
}

static void is_held_by_the_guard(void **state)
{
    problem p = begin((soma_optimizer_options){.kind = SOMA_ADAM, .rate = 0.1});
    (void)state;
    take_step(&p, 0, 0);
    assert_true(fabs(soma_tensor_get(p.w, 0) + 3) < 1e-9);
    for (int i = 0; i < soma_optimizer_state_count(p.optimizer); i++)
        assert_true(fabs(soma_tensor_get(soma_optimizer_state(p.optimizer, i), 0)) < 1e-9);
    take_step(&p, 0, 1);
    assert_true(fabs(soma_tensor_get(p.w, 0) + 2.9) < 1e-5);
    assert_true(fabs(soma_tensor_get(soma_optimizer_state(p.optimizer, 0), 0) + 0.8) < 1e-6);
    end(&p);
}

/* A gradient that is not finite gives a norm that is not finite, for the guard to be made of. */
static void lets_bad_numbers_be_seen(void **state)
{
    problem p = begin((soma_optimizer_options){.rate = 0.1, .clip_norm = 1});
    (void)state;
    soma_tensor_set(p.w, 2, (double)NAN);
    take_step(&p, 0, 0);
    assert_true(isnan(p.norm));
    assert_true(fabs(soma_tensor_get(p.w, 0) + 3) < 1e-9);
    end(&p);
}

static void works_without_parameters(void **state)
{
    soma_error err = {0};
    soma_graph *graph;
    soma_tensor *norm_value;
    soma_var norm;
    int used = 0;
    soma_optimizer *optimizer = optimizer_of((soma_optimizer_options){.clip_norm = 1}, NULL, 0);
    (void)state;
    assert_ok(soma_graph_create(&graph, &err), err);
    soma_var hyper = soma_full(graph, SOMA_F32, SOMA_SHAPE(SOMA_OPTIMIZER_HYPER), 0.1);
    soma_optimizer_apply(optimizer, NULL, NULL, hyper, (soma_var){0}, &norm, NULL, &used);
    assert_int_equal(used, 0);
    assert_ok(soma_eval(&norm_value, context, norm, &err), err);
    assert_true(fabs(soma_tensor_get(norm_value, 0)) < 1e-9);
    soma_tensor_release(norm_value);
    soma_graph_destroy(graph);

    assert_ok(soma_graph_create(&graph, &err), err);
    hyper = soma_full(graph, SOMA_F32, SOMA_SHAPE(3), 0.1);
    soma_optimizer_apply(optimizer, NULL, NULL, hyper, (soma_var){0}, &norm, NULL, &used);
    assert_int_equal(soma_graph_status(graph, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "hyper must be f32 [8]"));
    soma_graph_destroy(graph);
    soma_optimizer_destroy(optimizer);
}

/* Names and patterns; the first group that fits counts. */
static void finds_groups(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool fits;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "conv1.bias", true},
        {"*.bias", "conv1.bias", true},
        {"*.bias", "conv1.bias2", false},
        {"conv?.*", "conv1.weight", true},
        {"conv?.*", "conv12.weight", false},
        {"a*b*c", "axxbyyc", true},
        {"a*b*c", "axxbyy", false},
        {"*ab", "aab", true},
        {"a", "A", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (soma__glob(cases[i].pattern, cases[i].text) != cases[i].fits)
            fail_msg("'%s' against '%s'", cases[i].pattern, cases[i].text);
    const soma_optimizer_group groups[] = {{"b", .rate = 0.2}, {"*", .rate_factor = 2}};
    soma_optimizer_options options = {.rate = 0.5, .groups = groups, .group_count = 2};
    problem p = begin(options);
    float hyper[3 * SOMA_OPTIMIZER_HYPER];
    assert_int_equal(soma_optimizer_hyper_count(p.optimizer), 3 * SOMA_OPTIMIZER_HYPER);
    soma_optimizer_set_factor(p.optimizer, 0.5);
    soma_optimizer_set_factor(p.optimizer, -1);
    soma_optimizer_set_factor(p.optimizer, (double)NAN);
    soma_optimizer_hyper(p.optimizer, 0, 10, 100, hyper);
    assert_true(fabs((double)hyper[0] - 0.25) < 1e-7);
    assert_true(fabs((double)hyper[SOMA_OPTIMIZER_HYPER] - 0.1) < 1e-7);
    assert_true(fabs((double)hyper[2 * SOMA_OPTIMIZER_HYPER] - 0.5) < 1e-7);
    end(&p);
    /* A pattern that nothing fits is a mistake. */
    const soma_optimizer_group none = {"conv*", .rate = 0.2};
    soma_error err = {0};
    soma_tensor *w;
    soma_optimizer *optimizer;
    options.groups = &none;
    options.group_count = 1;
    assert_ok(soma_tensor_create(&w, SOMA_F32, SOMA_SHAPE(2), &err), err);
    assert_int_equal(
        soma_optimizer_create(&optimizer, &options, (const char *const[]){"w"}, &w, 1, &err),
        SOMA_INVALID);
    assert_non_null(strstr(err.message, "group 'conv*' matches no trained parameter"));
    soma_tensor_release(w);
}

static void spares_biases(void **state)
{
    /* As in decays_weights, but the scalar b gets neither L2 nor l1. */
    problem p = begin((soma_optimizer_options){
        .rate = 0.5, .weight_decay = 0.1, .l1 = 0.2, .decay_weights_only = true});
    (void)state;
    soma_tensor_set(p.b, 0, 3);
    take_step(&p, 0, -1);
    assert_true(fabs(soma_tensor_get(p.w, 5) - (1 - 0.05 * 2 - 0.1)) < 1e-6);
    assert_true(fabs(soma_tensor_get(p.b, 0) - 1) < 1e-6);
    end(&p);
}

static void takes_signs(void **state)
{
    problem p = begin((soma_optimizer_options){.rate = 0.25, .sign = true});
    (void)state;
    take_step(&p, 0, -1);
    assert_true(fabs(soma_tensor_get(p.w, 0) + 2.75) < 1e-6);
    assert_true(fabs(soma_tensor_get(p.w, 4) - 1) < 1e-6); /* no gradient, no step */
    assert_true(fabs(soma_tensor_get(p.w, 5) - 1.75) < 1e-6);
    end(&p);
}

/* The mean of the weights at the ends of epochs 2, 3, 4 (ten steps each), and only those. */
static void averages_epochs(void **state)
{
    problem p = begin((soma_optimizer_options){.rate = 0.02, .swa_epoch = 2, .swa_rate = 0.03});
    double sum = 0;
    (void)state;
    assert_null(soma_optimizer_average(p.optimizer, 2));
    for (int64_t step = 0; step < 40; step++) {
        double rate = soma_optimizer_rate(p.optimizer, step, 10, 100);
        assert_true(fabs(rate - (step < 10 ? 0.02 : 0.03)) < 1e-12);
        take_step(&p, step, -1);
        if (step % 10 != 9 || step < 10)
            continue;
        sum += soma_tensor_get(p.w, 0);
        double mean = sum / (double)(step / 10);
        assert_true(fabs(soma_tensor_get(soma_optimizer_average(p.optimizer, 0), 0) - mean) < 1e-5);
    }
    end(&p);
}

/* The decay of step t is at most (1 + t) / (10 + t). */
static void warms_averages_up(void **state)
{
    problem p = begin((soma_optimizer_options){.rate = 0.1, .ema = 0.5, .ema_warmup = true});
    double mean = 0;
    (void)state;
    for (int64_t step = 0; step < 20; step++) {
        take_step(&p, step, -1);
        double t = (double)step, decay = step ? fmin(0.5, (1 + t) / (10 + t)) : 0;
        mean = decay * mean + (1 - decay) * soma_tensor_get(p.w, 0);
        assert_true(fabs(soma_tensor_get(soma_optimizer_average(p.optimizer, 0), 0) - mean) < 1e-5);
    }
    end(&p);
}

/* Steps of a plan that updates `count` parameters of 8 numbers by gradients that are fed in. */
static int64_t steps_for(soma_optimizer_options options, int count)
{
    soma_error err = {0};
    soma_graph *graph;
    soma_plan *plan;
    soma_plan_info info;
    soma_tensor *p[2];
    soma_var params[2], grads[2];
    soma_update updates[16];
    int used = 0;
    for (int i = 0; i < 2; i++)
        assert_ok(soma_tensor_create(&p[i], SOMA_F32, SOMA_SHAPE(8), &err), err);
    soma_optimizer *optimizer = optimizer_of(options, p, count);
    assert_ok(soma_graph_create(&graph, &err), err);
    for (int i = 0; i < count; i++) {
        params[i] = soma_variable(graph, i ? "b" : "w", p[i]);
        grads[i] = soma_input(graph, i ? "g1" : "g0", SOMA_F32, SOMA_SHAPE(8));
    }
    soma_var hyper = soma_input(graph, "hyper", SOMA_F32, SOMA_SHAPE(SOMA_OPTIMIZER_HYPER));
    soma_optimizer_apply(optimizer, params, grads, hyper, (soma_var){0}, NULL, updates, &used);
    assert_ok(soma_plan_create(&plan, context, NULL, 0, updates, used, &err), err);
    soma_plan_describe(plan, &info);
    soma_plan_release(plan);
    soma_graph_destroy(graph);
    soma_optimizer_destroy(optimizer);
    soma_tensor_release(p[0]);
    soma_tensor_release(p[1]);
    return info.steps;
}

/* One parameter more is one step of the plan more: states, lookahead and average included. */
static void makes_one_pass_of_a_parameter(void **state)
{
    (void)state;
    for (int kind = 0; soma__optimizer_names[kind]; kind++) {
        soma_optimizer_options options = {
            .kind = (soma_optimizer_kind)kind, .weight_decay = 0.1, .l1 = 0.1, .lookahead = 4};
        if (kind == SOMA_LAMB || kind == SOMA_LARS || kind == SOMA_LBFGS)
            continue; /* norms of whole parameters; no graph */
        options.ema = kind == SOMA_ASGD ? 0 : 0.9;
        int64_t more = steps_for(options, 2) - steps_for(options, 1);
        if (more != 1)
            fail_msg("%s: %d steps", soma__optimizer_names[kind], (int)more);
    }
}

static void names_its_kinds(void **state)
{
    (void)state;
    for (int i = 0; soma__optimizer_names[i]; i++)
        assert_string_equal(soma__optim_kind_of((soma_optimizer_kind)i)->name,
                            soma__optimizer_names[i]);
    assert_null(soma__optim_kind_of((soma_optimizer_kind)99));
    for (int i = 0; i < soma__optimizer_field_count; i++)
        assert_true(soma__optimizer_fields[i].offset < sizeof(soma__optimizer_section));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_state),
        cmocka_unit_test(refuses_bad_options),
        cmocka_unit_test(follows_schedules),
        cmocka_unit_test(descends),
        cmocka_unit_test(decays_weights),
        cmocka_unit_test(centers),
        cmocka_unit_test(clips),
        cmocka_unit_test(is_held_by_the_guard),
        cmocka_unit_test(lets_bad_numbers_be_seen),
        cmocka_unit_test(works_without_parameters),
        cmocka_unit_test(makes_one_pass_of_a_parameter),
        cmocka_unit_test(finds_groups),
        cmocka_unit_test(spares_biases),
        cmocka_unit_test(takes_signs),
        cmocka_unit_test(averages_epochs),
        cmocka_unit_test(warms_averages_up),
        cmocka_unit_test(names_its_kinds),
    };
    return cmocka_run_group_tests_name("optim", tests, open_context, close_context);
}
