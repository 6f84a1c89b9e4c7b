/* The n-th allocation fails, for every n, where optimisers are made and where training wraps around
 * them: SOMA_MEMORY (or success, where it may be done without), and nothing is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "soma/soma.h"
#include "support/door.h"

static soma_status make_optimizer(soma_error *err)
{
    static const soma_optimizer_group groups[] = {{"b", .rate = 0.1}};
    static const soma_optimizer_options options = {.kind = SOMA_ADAM,
                                                   .amsgrad = true,
                                                   .lookahead = 3,
                                                   .ema = 0.9,
                                                   .groups = groups,
                                                   .group_count = 1};
    soma_tensor *p[2] = {NULL, NULL};
    soma_optimizer *optimizer = NULL;
    soma_lbfgs *lbfgs = NULL;
    soma_status status = soma_tensor_create(&p[0], SOMA_F32, SOMA_SHAPE(2, 2), err);
    if (status == SOMA_OK)
        status = soma_tensor_create(&p[1], SOMA_F32, SOMA_SHAPE(2), err);
    if (status == SOMA_OK)
        status =
            soma_optimizer_create(&optimizer, &options, (const char *const[]){"w", "b"}, p, 2, err);
    if (status == SOMA_OK)
        status = soma_lbfgs_create(&lbfgs, NULL, p, p, 2, err);
    soma_optimizer_destroy(optimizer);
    soma_lbfgs_destroy(lbfgs);
    soma_tensor_release(p[0]);
    soma_tensor_release(p[1]);
    return status;
}

/* Every allocation of `job` in turn. */
static void fail_each(soma_status (*job)(soma_error *err))
{
    soma_error err = {0};
    long live = door_live;
    door_calls = 0;
    if (job(&err) != SOMA_OK)
        fail_msg("without a fault: %s", err.message);
    long calls = door_calls, refused = 0;
    assert_int_equal(door_live, live);
    assert_true(calls > 10);
    for (long n = 1; n <= calls; n++) {
        err = (soma_error){0};
        door_calls = 0;
        door_refuse = n;
        soma_status status = job(&err);
        door_refuse = 0;
        if (status != SOMA_OK && status != SOMA_MEMORY)
            fail_msg("allocation %ld: status %d: %s", n, status, err.message);
        if (door_live != live)
            fail_msg("allocation %ld: %ld blocks are left", n, (long)door_live - live);
        refused += status == SOMA_MEMORY;
    }
    assert_true(refused > 5);
}

static void making_optimizers(void **state)
{
    (void)state;
    fail_each(make_optimizer);
}

static const soma_train_options *trained; /* by train_once */

/* One epoch of a network with batch norm on 12 samples. */
static soma_status train_once(soma_error *err)
{
    float x[24], y[12];
    for (int i = 0; i < 24; i++)
        x[i] = (float)(i * i % 7);
    for (int i = 0; i < 12; i++)
        y[i] = x[2 * i] - x[2 * i + 1];
    soma_context *context = NULL;
    soma_tensor *tx = NULL, *ty = NULL;
    soma_data data = {0};
    soma_model *model = NULL;
    soma_model_options takes = {.input = SOMA_SHAPE(2), .task = SOMA_TASK_REGRESS};
    soma_context_options one = {.threads = 1};
    soma_status status = soma_context_create(&context, &one, err);
    if (status == SOMA_OK)
        status = soma_tensor_from(&tx, SOMA_F32, SOMA_SHAPE(12, 2), x, err);
    if (status == SOMA_OK)
        status = soma_tensor_from(&ty, SOMA_F32, SOMA_SHAPE(12, 1), y, err);
    if (status == SOMA_OK)
        status = soma_dataset_from_tensors(&data.train, tx, ty, err);
    if (status == SOMA_OK)
        status = soma_model_create(
            &model, context, soma_layer_sequential(soma_layer_batch_norm(), soma_layer_dense(1)),
            &takes, err);
    if (status == SOMA_OK)
        status = soma_train(model, &data, trained, NULL, err);
    soma_model_destroy(model);
    soma_data_clear(&data);
    soma_tensor_release(tx);
    soma_tensor_release(ty);
    soma_context_destroy(context);
    return status;
}

static void training_with_them(void **state)
{
    static const soma_train_options cases[] = {
        {.epochs = 1, .batch = 5, .optimizer = {.swa_epoch = 1}},
        {.epochs = 1, .batch = 5, .accumulate = 2, .optimizer = {.sam = 0.1}},
        {.epochs = 1, .batch = SOMA_BATCH_ALL, .optimizer = {.kind = SOMA_LBFGS, .iterations = 1}}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        trained = &cases[i];
        fail_each(train_once);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(making_optimizers),
                                       cmocka_unit_test(training_with_them)};
    return cmocka_run_group_tests_name("learning faults", tests, NULL, NULL);
}
