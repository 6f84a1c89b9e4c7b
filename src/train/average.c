/* average.c: evaluating and keeping averaged weights (ema, swa, asgd) instead of those under way.
 *
 * The average is a state of the optimiser, made in the same pass as the weights. To evaluate it the
 * two change places for a while, so that everything else looks at one model. Batch norm's running
 * statistics follow the weights under way, which is near enough for a moving average (as in
 * PyTorch's AveragedModel); those of swa lie elsewhere, so the training part passes through once
 * more and each batch's statistics enter with the same weight (PyTorch's update_bn). */
#include <string.h>

#include "data/dataset.h"
#include "train/train.h"

bool soma__averages(const soma__run *run)
{
    return soma_optimizer_average(run->optimizer, 0) != NULL;
}

/* With swa there is nothing to evaluate before its first epoch has ended. */
static bool has_average(const soma__run *run)
{
    const soma_optimizer_options *o = soma__optimizer_options(run->optimizer);
    int64_t done = run->progress.epoch + (run->progress.step == run->steps_per_epoch);
    return soma__averages(run) && (!o->swa_epoch || done >= o->swa_epoch);
}

static bool has_statistics(const soma__run *run)
{
    return run->kept != NULL;
}

soma_status soma__average_open(soma__run *run, soma_error *err)
{
    int count = soma_model_parameter_count(run->model), buffers = 0;
    const soma_dataset *train = run->data->train;
    int64_t batch = run->options.batch;
    for (int i = 0; i < count; i++)
        buffers += soma_model_parameter(run->model, i)->buffer;
    if (!soma__optimizer_options(run->optimizer)->swa_epoch || !buffers)
        return SOMA_OK;
    run->kept = soma__calloc((size_t)count + 1, sizeof *run->kept);
    if (!run->kept)
        return soma__fail(err, SOMA_MEMORY, "no memory for running statistics");
    for (int i = 0; i < count; i++) {
        const soma_parameter *p = soma_model_parameter(run->model, i);
        if (p->buffer)
            SOMA__TRY(soma_tensor_create(&run->kept[i], soma_tensor_dtype(p->tensor),
                                         *soma_tensor_shape(p->tensor), err));
    }
    soma__step_job job = {.purpose = SOMA__STEP_STATISTICS, .loss = &run->loss};
    SOMA__TRY(soma__run_steps(run, run->count, &job, err));
    if (train->count % batch)
        SOMA__TRY(soma__step_create_for(&run->count_rest, run->model, train, train->count % batch,
                                        &job, err));
    return SOMA_OK;
}

void soma__average_close(soma__run *run)
{
    for (int i = 0; run->kept && i < soma_model_parameter_count(run->model); i++)
        soma_tensor_release(run->kept[i]);
    soma__free(run->kept);
    for (int i = 0; i < run->length_count; i++)
        soma__step_destroy(&run->count[i]);
    soma__step_destroy(&run->count_rest);
}

void soma__swap_tensors(soma_tensor *a, soma_tensor *b)
{
    char some[4096], *x = soma__tensor_write(a), *y = soma__tensor_write(b);
    for (size_t at = 0, left = soma_tensor_bytes(a); left;) {
        size_t part = left < sizeof some ? left : sizeof some;
        memcpy(some, x + at, part);
        memcpy(x + at, y + at, part);
        memcpy(y + at, some, part);
        at += part;
        left -= part;
    }
}

static void swap_weights(const soma__run *run)
{
    for (int i = 0, trained = 0; i < soma_model_parameter_count(run->model); i++) {
        const soma_parameter *p = soma_model_parameter(run->model, i);
        if (p->trainable)
            soma__swap_tensors(p->tensor, soma_optimizer_average(run->optimizer, trained++));
    }
}

/* Copies buffers to `kept`, or back. */
static void copy_buffers(const soma__run *run, bool to_kept)
{
    for (int i = 0; i < soma_model_parameter_count(run->model); i++) {
        soma_tensor *live = soma_model_parameter(run->model, i)->tensor, *kept = run->kept[i];
        if (kept)
            memcpy(soma__tensor_write(to_kept ? kept : live),
                   soma_tensor_const_data(to_kept ? live : kept), soma_tensor_bytes(live));
    }
}

/* Each batch of the training part once: the i-th enters with weight 1 / i, which makes the mean. */
static soma_status count_statistics(soma__run *run, soma_error *err)
{
    int64_t key[2] = {(int64_t)run->options.seed, run->progress.steps};
    int64_t epoch = run->progress.epoch;
    SOMA__TRY(soma_loader_start(run->loader, epoch, 0, err));
    for (int64_t i = 1; i <= run->steps_per_epoch; i++) {
        const void *x, *y;
        int64_t count;
        float share = 1 / (float)i;
        SOMA__TRY(soma_loader_next(run->loader, &x, &y, &count, err));
        bool full = count == run->options.batch;
        soma__step *step = full ? soma__run_step(run, run->count) : &run->count_rest;
        SOMA__TRY(soma__step_feed(step, run->model, run->data->train, x, y, NULL, key, err));
        SOMA__TRY(soma__step_feed_share(step, &share, err));
        SOMA__TRY(soma_session_run(step->session, err));
    }
    return SOMA_OK;
}

soma_status soma__average_enter(soma__run *run, soma_error *err)
{
    run->entered = has_average(run);
    if (!run->entered)
        return SOMA_OK;
    swap_weights(run);
    if (!has_statistics(run))
        return SOMA_OK;
    copy_buffers(run, true);
    return count_statistics(run, err);
}

void soma__average_leave(soma__run *run)
{
    if (!run->entered)
        return;
    run->entered = false;
    swap_weights(run);
    if (has_statistics(run))
        copy_buffers(run, false);
}
