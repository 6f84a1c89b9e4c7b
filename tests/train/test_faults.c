/* The n-th allocation fails, for every n of a whole job by the digits recipe: recipe, data, model,
 * training with checkpoints, evaluation, saving, loading, predicting. Each time: a status that says
 * so (or success, where an allocation was one that may fail), nothing leaked, no file half written.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "soma/soma.h"
#include "support/door.h"

/* --- the job
 * --------------------------------------------------------------------------------------- */

static char folder[64];

static soma_status use(soma_context *context, const char *path, const soma_data *data,
                       soma_error *err)
{
    soma_model *model;
    soma_status status = soma_model_load(&model, context, path, err);
    if (status != SOMA_OK)
        return status;
    soma_metrics metrics;
    status = soma_evaluate(model, data->test, 128, &metrics, NULL, err);
    soma_tensor *x = NULL, *y = NULL;
    if (status == SOMA_OK)
        status = soma_tensor_create(&x, SOMA_U8, SOMA_SHAPE(2, 8, 8, 1), err);
    if (status == SOMA_OK)
        status = soma_model_predict(model, x, &y, err);
    soma_tensor_release(x);
    soma_tensor_release(y);
    soma_model_destroy(model);
    return status;
}

static soma_status job(soma_error *err)
{
    static const char *const overrides[] = {"train.epochs=1",           "train.batch=600",
                                            "model.0.conv2d.filters=2", "model.1.conv2d.filters=2",
                                            "model.5.dense.units=8",    "data.validation=0.3"};
    char path[128];
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    soma_context *context = NULL;
    soma_recipe *recipe = NULL;
    soma_data data = {0};
    soma_model *model = NULL;
    soma_history history = {0};
    soma_context_options one = {.threads = 1};
    soma_status status = soma_context_create(&context, &one, err);
    if (status == SOMA_OK)
        status = soma_recipe_load(&recipe, "digits-cnn", overrides, 6, NULL, err);
    if (status == SOMA_OK)
        status = soma_recipe_data(recipe, &data, err);
    if (status == SOMA_OK)
        status = soma_recipe_model(recipe, context, &data, &model, err);
    if (status == SOMA_OK) {
        soma_train_options options = *soma_recipe_options(recipe);
        options.folder = folder;
        options.checkpoint_steps = 1;
        status = soma_train(model, &data, &options, &history, err);
    }
    if (status == SOMA_OK)
        status = soma_model_save(model, path, err);
    if (status == SOMA_OK)
        status = use(context, path, &data, err);
    soma_history_clear(&history);
    soma_model_destroy(model);
    soma_data_clear(&data);
    soma_recipe_destroy(recipe);
    soma_context_destroy(context);
    return status;
}

/* Each file that is there is whole: models and checkpoints load with their checksums. */
static void check_folder(void)
{
    long failing = door_refuse;
    door_refuse = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    soma_context *context;
    soma_context_options one = {.threads = 1};
    assert_int_equal(soma_context_create(&context, &one, NULL), SOMA_OK);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.' && (!entry->d_name[1] || entry->d_name[1] == '.'))
            continue;
        char path[400];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (strcmp(entry->d_name, "history.jsonl") != 0) {
            soma_model *model;
            soma_error err = {0};
            if (soma_model_load(&model, context, path, &err))
                fail_msg("allocation %ld failed and left a broken '%s': %s", failing, path,
                         err.message);
            soma_model_destroy(model);
        }
        remove(path);
    }
    closedir(dir);
    soma_context_destroy(context);
}

static long job_calls;

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/soma-faults-XXXXXX");
    if (!mkdtemp(folder))
        return 1;
    soma_error err = {0};
    if (job(&err) != SOMA_OK) {
        fprintf(stderr, "the job fails without a fault: %s\n", err.message);
        return 1;
    }
    job_calls = door_calls;
    check_folder();
    return door_live != 0;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(folder);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(job_calls > 500);
    long survived = 0, checked = 0;
    for (long n = 1; n <= job_calls; n++) {
        soma_error err = {0};
        door_calls = 0;
        door_refuse = n;
        soma_status status = job(&err);
        door_refuse = 0;
        if (status != SOMA_OK && status != SOMA_MEMORY)
            fail_msg("allocation %ld: status %d: %s", n, (int)status, err.message);
        if (status == SOMA_MEMORY && !err.message[0])
            fail_msg("allocation %ld: no message", n);
        if (door_live != 0)
            fail_msg("allocation %ld: %ld blocks leaked after: %s", n, (long)door_live,
                     err.message);
        survived += status == SOMA_OK;
        /* Files appear late in a job; looking at each of thousands of empty folders is idle. */
        if (n % 16 == 0 || n == job_calls) {
            check_folder();
            checked++;
        }
    }
    print_message("%ld allocations failed one by one, %ld without harm; %ld folders checked\n",
                  job_calls, survived, checked);
    /* Caches may do without memory, a whole job may not: most faults must be seen. */
    assert_true(survived < job_calls / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
