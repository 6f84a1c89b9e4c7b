/* Rates and momenta of each step against torch.optim.lr_scheduler's (tests/golden/README.md). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "format/safetensors.h"
#include "optim/optim.h"
#include "soma/soma.h"

#define STEPS 60
#define EPOCH 10

static soma__archive golden;

static const struct {
    const char *name;
    soma_optimizer_options options; /* kind sgd, momentum 0.9, rate 0.2 */
} cases[] = {
    {"step", {.schedule = SOMA_SCHEDULE_STEP, .step_epochs = 2, .gamma = 0.5}},
    {"multistep", {.schedule = SOMA_SCHEDULE_MULTISTEP, .milestones = {1, 3, 4}, .gamma = 0.3}},
    {"exponential", {.schedule = SOMA_SCHEDULE_EXPONENTIAL, .gamma = 0.7}},
    {"linear", {.schedule = SOMA_SCHEDULE_LINEAR, .min_rate = 0.02}},
    {"polynomial", {.schedule = SOMA_SCHEDULE_POLYNOMIAL, .power = 2.5}},
    {"cosine", {.schedule = SOMA_SCHEDULE_COSINE, .min_rate = 0.02}},
    {"cosine_restarts",
     {.schedule = SOMA_SCHEDULE_COSINE_RESTARTS,
      .cycle_epochs = 1,
      .cycle_growth = 2,
      .min_rate = 0.02}},
    {"cosine_restarts_equal",
     {.schedule = SOMA_SCHEDULE_COSINE_RESTARTS, .cycle_epochs = 1.5, .min_rate = 0.02}},
    {"one_cycle", {.schedule = SOMA_SCHEDULE_ONE_CYCLE}},
    {"one_cycle_linear",
     {.schedule = SOMA_SCHEDULE_ONE_CYCLE,
      .rise = 0.4,
      .straight = true,
      .momentum_low = 0.7,
      .momentum_high = 0.8,
      .div_start = 10,
      .div_end = 100}},
    {"cyclic", {.schedule = SOMA_SCHEDULE_CYCLIC, .cycle_epochs = 2, .min_rate = 0.02}},
    {"cyclic_halving",
     {.schedule = SOMA_SCHEDULE_CYCLIC_HALVING,
      .cycle_epochs = 2,
      .min_rate = 0.02,
      .keep_momentum = true}},
    {"cyclic_exponential",
     {.schedule = SOMA_SCHEDULE_CYCLIC_EXPONENTIAL,
      .cycle_epochs = 2,
      .min_rate = 0.02,
      .gamma = 0.97,
      .keep_momentum = true}},
    {"inverse_sqrt", {.schedule = SOMA_SCHEDULE_INVERSE_SQRT, .warmup_steps = 9}},
};

static int open_golden(void **state)
{
    soma_error err = {0};
    (void)state;
    if (soma__archive_read(&golden, SOMA_TEST_FOLDER "/golden/schedules.safetensors", &err))
        fprintf(stderr, "%s\n", err.message);
    return err.code != SOMA_OK;
}

static int close_golden(void **state)
{
    (void)state;
    soma__archive_clear(&golden);
    return 0;
}

static double stored(const char *name, const char *part, int64_t index)
{
    char full[96];
    snprintf(full, sizeof full, "%s%s%s", name, *part ? "/" : "", part);
    const soma_tensor *tensor = soma__archive_find(&golden, full);
    if (!tensor || index >= soma_tensor_count(tensor))
        fail_msg("the golden file lacks '%s' [%d]", full, (int)index);
    return soma_tensor_get(tensor, index);
}

static soma_optimizer *optimizer_of(soma_optimizer_options options)
{
    soma_error err = {0};
    soma_optimizer *optimizer;
    options.momentum = 0.9;
    options.rate = 0.2;
    if (soma_optimizer_create(&optimizer, &options, NULL, NULL, 0, &err))
        fail_msg("%s", err.message);
    return optimizer;
}

static void rates_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        soma_optimizer *optimizer = optimizer_of(cases[i].options);
        for (int64_t step = 0; step < STEPS; step++) {
            float hyper[SOMA_OPTIMIZER_HYPER];
            double rate = soma_optimizer_rate(optimizer, step, EPOCH, STEPS);
            double want = stored(cases[i].name, "rate", step);
            if (!(fabs(rate - want) <= 1e-7 * (1e-3 + want)))
                fail_msg("%s, step %d: rate %.9g, PyTorch %.9g", cases[i].name, (int)step, rate,
                         want);
            soma_optimizer_hyper(optimizer, step, EPOCH, STEPS, hyper);
            want = stored(cases[i].name, "momentum", step);
            if (!(fabs((double)hyper[4] - want) <= 1e-6))
                fail_msg("%s, step %d: momentum %.9g, PyTorch %.9g", cases[i].name, (int)step,
                         (double)hyper[4], want);
        }
        soma_optimizer_destroy(optimizer);
    }
}

static void plateaus_agree(void **state)
{
    (void)state;
    for (int greater = 0; greater < 2; greater++) {
        soma_optimizer *optimizer =
            optimizer_of((soma_optimizer_options){.schedule = SOMA_SCHEDULE_PLATEAU,
                                                  .gamma = 0.5,
                                                  .plateau_epochs = 2,
                                                  .cooldown = 1,
                                                  .min_rate = 0.03});
        const soma_optimizer_options *o = soma__optimizer_options(optimizer);
        soma__plateau plateau = {.factor = 1, .best = (double)NAN};
        int64_t count = soma_tensor_count(soma__archive_find(&golden, "metric"));
        assert_true(count > 20);
        for (int64_t i = 0; i < count; i++) {
            double rate = 0.2 * plateau.factor, want = stored("plateau", "rate", i);
            if (!greater && !(fabs(rate - want) <= 1e-8))
                fail_msg("epoch %d: rate %.9g, PyTorch %.9g", (int)i, rate, want);
            soma__plateau_epoch(&plateau, o, stored("metric", "", i), greater);
        }
        /* Falling values are no gain where greater is better: all that can drop has dropped. */
        assert_true(fabs(plateau.factor - 0.15) < 1e-12);
        soma_optimizer_destroy(optimizer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rates_agree),
                                       cmocka_unit_test(plateaus_agree)};
    return cmocka_run_group_tests_name("golden schedules", tests, open_golden, close_golden);
}
