/* train.c: the loop.
 *
 *   for each epoch                        loader threads fill batches meanwhile
 *     for each batch
 *       feed, run the step's plan         forward, backward, clip, update in one plan
 *       look at the loss, tell the callback, save when due
 *     validate, remember the best, save, maybe stop early
 *   at the end: the best weights, unless the last ones were asked for
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "data/buckets.h"
#include "data/dataset.h"
#include "train/train.h"

/* --- setting up ---------------------------------------------------------------------------------
 */

static soma_status check_options(const soma_train_options *o, const soma_data *data,
                                 soma_error *err)
{
    if (o->epochs < 0 || o->steps < 0 || o->batch < SOMA_BATCH_ALL || o->patience < 0 ||
        o->checkpoint_steps < 0 || o->loader_threads < 0 || o->accumulate < 0 ||
        !(o->min_delta >= 0))
        return soma__fail(err, SOMA_INVALID,
                          "training: epochs, steps, batch, accumulate, patience, checkpoint_steps, "
                          "loader_threads and min_delta cannot be negative");
    if (o->epochs && o->steps)
        return soma__fail(err, SOMA_INVALID,
                          "training: %lld epochs and %lld steps: one of them says when it ends, "
                          "leave the other out (or 0)",
                          (long long)o->epochs, (long long)o->steps);
    if (o->patience && !data->validation && !o->monitor)
        return soma__fail(err, SOMA_INVALID,
                          "training: early stopping (patience %lld) needs a validation part, or "
                          "monitor: train.loss",
                          (long long)o->patience);
    if (o->optimizer.kind == SOMA_LBFGS && (o->batch != SOMA_BATCH_ALL || o->accumulate > 1))
        return soma__fail(
            err, SOMA_INVALID,
            "training: lbfgs compares losses of the same samples: it needs batch: all "
            "and no accumulation");
    if (o->bucket_count && (o->optimizer.kind == SOMA_LBFGS || o->no_shuffle))
        return soma__fail(err, SOMA_INVALID,
                          "training: buckets put samples into another order, which %s does not "
                          "allow",
                          o->no_shuffle ? "no_shuffle" : "lbfgs");
    if (o->monitor_mode > SOMA_MONITOR_MAX)
        return soma__fail(err, SOMA_INVALID, "training: there is no monitor mode number %d",
                          (int)o->monitor_mode);
    if (o->resume && !o->folder)
        return soma__fail(err, SOMA_INVALID, "training: to resume, give the run's folder");
    return SOMA_OK;
}

/* Which metric is watched, if any. */
static soma_status find_metric(soma__run *run, soma_error *err)
{
    const char *name = run->options.monitor, *names[16];
    size_t count = 0;
    if (!name && run->data->validation)
        name = "validation.loss";
    for (; soma__metric_at((int)count); count++) {
        names[count] = soma__metric_at((int)count)->name;
        if (name && strcmp(name, names[count]) == 0)
            run->metric = soma__metric_at((int)count);
    }
    const soma__metric *m = run->metric;
    if (!m) {
        const char *near = name ? soma__nearest(name, names, count) : NULL;
        if (name)
            return soma__fail(err, SOMA_INVALID, "training: there is no metric '%s'%s%s%s", name,
                              near ? "; did you mean '"
                                   : "; it can be validation.loss or .accuracy, "
                                     "train.loss or .accuracy",
                              near ? near : "", near ? "'?" : "");
        if (run->options.optimizer.schedule == SOMA_SCHEDULE_PLATEAU)
            return soma__fail(err, SOMA_INVALID,
                              "training: the schedule plateau needs a validation part, or monitor: "
                              "train.loss");
        return SOMA_OK;
    }
    if (m->validation && !run->data->validation)
        return soma__fail(err, SOMA_INVALID, "training: to watch %s a validation part is needed",
                          name);
    if (m->accuracy && soma_model_get_options(run->model)->task == SOMA_TASK_REGRESS)
        return soma__fail(err, SOMA_INVALID, "training: a regression has no %s to watch", name);
    run->greater =
        run->options.monitor_mode ? run->options.monitor_mode == SOMA_MONITOR_MAX : m->greater;
    return SOMA_OK;
}

static soma_status make_paths(soma__run *run, soma_error *err)
{
    const char *folder = run->options.folder;
    if (!folder)
        return SOMA_OK;
    SOMA__TRY(soma__make_folder(folder, err));
    SOMA__TRY(soma__path_join(&run->best_path, folder, SOMA__BEST_FILE, err));
    SOMA__TRY(soma__path_join(&run->checkpoint_path, folder, SOMA__CHECKPOINT_FILE, err));
    return soma__path_join(&run->history_path, folder, SOMA__HISTORY_FILE, err);
}

static soma_status make_best(soma__run *run, soma_error *err)
{
    if (!run->metric)
        return SOMA_OK;
    int count = soma_model_parameter_count(run->model);
    run->best = soma__calloc((size_t)count + 1, sizeof *run->best);
    if (!run->best)
        return soma__fail(err, SOMA_MEMORY, "no memory for the best weights");
    for (int i = 0; i < count; i++) {
        const soma_tensor *t = soma_model_parameter(run->model, i)->tensor;
        SOMA__TRY(
            soma_tensor_create(&run->best[i], soma_tensor_dtype(t), *soma_tensor_shape(t), err));
    }
    return SOMA_OK;
}

/* One tensor of zeros like each trained parameter. */
static soma_status make_sums(soma__run *run, soma_error *err)
{
    run->sums = soma__calloc((size_t)soma_model_parameter_count(run->model) + 1, sizeof *run->sums);
    if (!run->sums)
        return soma__fail(err, SOMA_MEMORY, "no memory for sums of gradients");
    for (int i = 0; i < soma_model_parameter_count(run->model); i++) {
        const soma_parameter *p = soma_model_parameter(run->model, i);
        if (p->trainable)
            SOMA__TRY(soma_tensor_create(&run->sums[run->trained++], SOMA_F32,
                                         *soma_tensor_shape(p->tensor), err));
    }
    return SOMA_OK;
}

/* The lengths that the loader cuts batches to. It has checked them. */
static void find_lengths(soma__run *run)
{
    const soma_train_options *o = &run->options;
    const int64_t steps = o->bucket_count ? soma_dataset_x_shape(run->data->train)->dim[0] : 0;
    run->length_count = soma__buckets_lengths(run->lengths, o->buckets, o->bucket_count, steps);
}

soma_status soma__run_steps(soma__run *run, soma__step *out, const soma__step_job *job,
                            soma_error *err)
{
    for (int i = 0; i < run->length_count; i++) {
        soma__step_job one = *job;
        one.length = run->lengths[i];
        SOMA__TRY(soma__step_create_for(&out[i], run->model, run->data->train, run->options.batch,
                                        &one, err));
    }
    return SOMA_OK;
}

soma__step *soma__run_step(const soma__run *run, soma__step *steps)
{
    int i = 0;
    while (i + 1 < run->length_count && run->lengths[i] != soma_loader_length(run->loader))
        i++;
    return &steps[i];
}

static soma_status make_steps(soma__run *run, soma_error *err)
{
    soma_dataset *train = run->data->train;
    int64_t batch = run->options.batch;
    soma_loader_options loader = {.batch = batch,
                                  .shuffle = !run->options.no_shuffle,
                                  .balanced = run->options.balanced,
                                  .buckets = run->options.buckets,
                                  .bucket_count = run->options.bucket_count,
                                  .seed = run->options.seed,
                                  .threads = run->options.loader_threads};
    SOMA__TRY(soma_loader_create(&run->loader, train, &loader, err));
    find_lengths(run);
    run->steps_per_epoch = soma_loader_batches(run->loader);
    int64_t together = run->options.accumulate;
    run->updates_per_epoch = (run->steps_per_epoch + together - 1) / together;
    if (run->options.steps)
        run->options.epochs =
            (run->options.steps + run->updates_per_epoch - 1) / run->updates_per_epoch;
    run->updates =
        run->options.steps ? run->options.steps : run->options.epochs * run->updates_per_epoch;
    soma__step_job job = {
        .purpose = SOMA__STEP_TRAIN, .optimizer = run->optimizer, .loss = &run->loss};
    if (run->options.optimizer.kind == SOMA_LBFGS) {
        SOMA__TRY(make_sums(run, err));
        job = (soma__step_job){SOMA__STEP_GRADIENT, NULL, run->sums, &run->loss, 0};
    } else if (together > 1) {
        SOMA__TRY(make_sums(run, err));
        job = (soma__step_job){SOMA__STEP_ACCUMULATE, run->optimizer, run->sums, &run->loss, 0};
        SOMA__TRY(soma__run_steps(run, run->part, &job, err));
        job.purpose = SOMA__STEP_FINISH;
    }
    SOMA__TRY(soma__run_steps(run, run->full, &job, err));
    if (train->count % batch)
        SOMA__TRY(
            soma__step_create_for(&run->rest, run->model, train, train->count % batch, &job, err));
    SOMA__TRY(soma__minimize_open(run, err));
    SOMA__TRY(soma__average_open(run, err));
    if (run->data->validation)
        SOMA__TRY(soma__evaluator_create(&run->evaluator, run->model, run->data->validation, 0,
                                         &run->loss, err));
    return SOMA_OK;
}

static soma_status run_open(soma__run *run, soma_model *model, const soma_data *data,
                            const soma_train_options *options, soma_error *err)
{
    *run = (soma__run){.model = model,
                       .data = data,
                       .options = options ? *options : (soma_train_options){0},
                       .progress = {.best = -1, .rate_factor = 1},
                       .plateau = {.factor = 1, .best = NAN},
                       .history = {.best = -1}};
    if (!model || !data || !data->train)
        return soma__fail(err, SOMA_INVALID, "training needs a model and a training part");
    SOMA__TRY(check_options(&run->options, data, err));
    if (run->options.precision)
        SOMA__TRY(soma_model_set_precision(model, run->options.precision, err));
    if (!run->options.steps)
        run->options.epochs = run->options.epochs ? run->options.epochs : 10;
    if (run->options.batch == SOMA_BATCH_ALL)
        run->options.batch = soma_dataset_count(data->train);
    run->options.batch = run->options.batch ? run->options.batch : 32;
    run->options.accumulate = run->options.accumulate ? run->options.accumulate : 1;
    SOMA__TRY(soma__loss_create(&run->loss, &run->options.loss, model, data->train, err));
    SOMA__TRY(soma__data_fits(model, &run->loss, data->train, "training data", err));
    if (data->validation)
        SOMA__TRY(soma__data_fits(model, &run->loss, data->validation, "validation data", err));
    SOMA__TRY(find_metric(run, err));
    SOMA__TRY(soma__optimizer_for_model(&run->optimizer, &run->hyper, model,
                                        &run->options.optimizer, err));
    SOMA__TRY(make_best(run, err));
    return make_steps(run, err);
}

static void run_close(soma__run *run)
{
    soma_loader_destroy(run->loader);
    for (int i = 0; i < run->length_count; i++) {
        soma__step_destroy(&run->full[i]);
        soma__step_destroy(&run->part[i]);
    }
    soma__step_destroy(&run->rest);
    soma__average_close(run);
    soma_lbfgs_destroy(run->lbfgs);
    for (int i = 0; run->sums && i < run->trained; i++)
        soma_tensor_release(run->sums[i]);
    soma__free(run->sums);
    soma__evaluator_destroy(&run->evaluator);
    for (int i = 0; run->best && i < soma_model_parameter_count(run->model); i++)
        soma_tensor_release(run->best[i]);
    soma__free(run->best);
    soma_optimizer_destroy(run->optimizer);
    soma__free(run->hyper);
    soma__loss_clear(&run->loss);
    soma__free(run->best_path);
    soma__free(run->checkpoint_path);
    soma__free(run->history_path);
    soma_history_clear(&run->history);
}

/* --- updates ------------------------------------------------------------------------------------
 */

/* The number of the update that step `step` (from 0) of `epoch` (from 0) belongs to. */
static int64_t update_of(const soma__run *run, int64_t epoch, int64_t step)
{
    return epoch * run->updates_per_epoch + step / run->options.accumulate;
}

/* Whether a step ends in an update or only adds to the sums. */
static bool updates(const soma__run *run, int64_t step)
{
    return (step + 1) % run->options.accumulate == 0 || step + 1 == run->steps_per_epoch;
}

/* Steps of the epoch under way: the last one may end before its data does. */
static int64_t epoch_steps(const soma__run *run)
{
    const int64_t left = run->updates - run->progress.epoch * run->updates_per_epoch;
    return left >= run->updates_per_epoch ? run->steps_per_epoch : left * run->options.accumulate;
}

/* Steps of all epochs. */
static int64_t planned_steps(const soma__run *run)
{
    const int64_t whole = run->updates / run->updates_per_epoch;
    return whole * run->steps_per_epoch +
           run->updates % run->updates_per_epoch * run->options.accumulate;
}

/* That of the last step done. */
static double rate_now(const soma__run *run)
{
    const soma__progress *p = &run->progress;
    int64_t epoch = p->epoch, step = p->step - 1;
    if (step < 0 && epoch > 0) {
        epoch--;
        step = run->steps_per_epoch - 1;
    }
    return soma_optimizer_rate(run->optimizer, update_of(run, epoch, step < 0 ? 0 : step),
                               run->updates_per_epoch, run->updates);
}

static void set_factor(soma__run *run)
{
    soma_optimizer_set_factor(run->optimizer, run->progress.rate_factor * run->plateau.factor);
}

soma_status soma_training_set_rate_factor(soma_training *training, double factor, soma_error *err)
{
    if (!(factor >= 0) || isinf(factor))
        return soma__fail(err, SOMA_INVALID,
                          "training: a factor of the rate is a number of at least 0, not %g",
                          factor);
    training->progress.rate_factor = factor;
    set_factor(training);
    return SOMA_OK;
}

double soma_training_rate_factor(const soma_training *training)
{
    return training->progress.rate_factor;
}

/* --- events -------------------------------------------------------------------------------------
 */

/* False: the callback wants to stop. */
static bool tell(soma__run *run, soma_event_kind kind, const char *message)
{
    if (!run->options.callback)
        return true;
    const soma__progress *p = &run->progress;
    bool after_epoch = kind == SOMA_EVENT_EPOCH || kind == SOMA_EVENT_DONE;
    double seconds = soma__seconds() - run->epoch_start;
    soma_event event = {
        .kind = kind,
        .epoch = after_epoch ? p->epoch : p->epoch + 1,
        .epochs = run->options.epochs,
        .step = p->step,
        .steps_per_epoch = run->steps_per_epoch,
        .total_steps = p->steps,
        .planned_steps = planned_steps(run),
        .train = soma__meter_read(&p->meter, run->model),
        .rate = rate_now(run),
        .gradient_norm = NAN,
        .seconds = seconds,
        .samples_per_second = seconds > 0 ? (double)p->meter.samples / seconds : 0,
        .message = message,
        .model = run->model,
        .training = run,
    };
    if (kind == SOMA_EVENT_STEP && run->last && run->last->norm)
        event.gradient_norm =
            soma_tensor_get(soma_session_output(run->last->session, run->last->norm), 0);
    if (after_epoch && run->history.count) {
        const soma_epoch *last = &run->history.epochs[run->history.count - 1];
        event.train = last->train;
        event.validation = last->validation;
        event.best = last->best;
        event.step = run->steps_per_epoch;
    }
    return run->options.callback(run->options.user, &event);
}

/* A k-class network that has learnt nothing guesses with loss ln k. Far above it, inputs are not
 * scaled or the initialiser is wrong; far below, the answer leaks into the input. The room between
 * is that of sound networks: relu layers under He's initialiser, batch norm and dropout begin up to
 * twice ln k. */
static void look_at_first_loss(soma__run *run, double loss)
{
    int classes = soma_model_class_count(run->model);
    if (run->loss.options.kind != SOMA_LOSS_CROSS_ENTROPY || run->loss.weight || classes < 2 ||
        soma__reads_sequences(run->model, run->data->train))
        return;
    double expected = log(classes);
    if (loss >= 0.5 * expected && loss <= 2.5 * expected)
        return;
    char message[SOMA_ERROR_MESSAGE_SIZE];
    snprintf(message, sizeof message,
             "the first loss is %.3g; a %d-class network that knows nothing has ln %d = %.3g: are "
             "the inputs scaled, the initialiser right, and is there no softmax before the loss?",
             loss, classes, classes, expected);
    tell(run, SOMA_EVENT_WARNING, message);
}

/* Equal weights give equal gradients: units that begin alike stay alike. */
static void look_at_weights(soma__run *run)
{
    char message[SOMA_ERROR_MESSAGE_SIZE];
    for (int i = 0; i < soma_model_parameter_count(run->model); i++) {
        const soma_parameter *parameter = soma_model_parameter(run->model, i);
        if (!parameter->trainable || !soma_parameter_is_constant(parameter))
            continue;
        snprintf(message, sizeof message,
                 "all weights of '%s' are %g: its units get equal gradients and stay equal; give "
                 "the layer an `init` that draws, such as he_uniform",
                 parameter->name, soma_tensor_get(parameter->tensor, 0));
        tell(run, SOMA_EVENT_WARNING, message);
    }
}

/* Training and validation loss drift apart: the last GAP_EPOCHS epochs had more than GAP times the
 * training loss in validation, and none of them came near the best one. Told once. */
#define GAP 2.0
#define GAP_RISE 1.1
#define GAP_EPOCHS 3

static void look_at_gap(soma__run *run)
{
    const soma_history *h = &run->history;
    if (run->gap_told || h->count < GAP_EPOCHS || run->progress.best < 0)
        return;
    for (int64_t i = h->count - GAP_EPOCHS; i < h->count; i++) {
        const soma_epoch *e = &h->epochs[i];
        if (!(e->validation.loss > GAP * e->train.loss &&
              e->validation.loss > GAP_RISE * h->epochs[run->progress.best].validation.loss))
            return;
    }
    const soma_epoch *last = &h->epochs[h->count - 1];
    char message[SOMA_ERROR_MESSAGE_SIZE];
    snprintf(message, sizeof message,
             "epoch %lld: the loss is %.3g on the training part, but %.3g in validation and rising "
             "since epoch %lld (%.3g): the model learns the training part by heart; more data, "
             "augmentation, dropout, weight_decay or a smaller model help, patience ends it",
             (long long)last->epoch, last->train.loss, last->validation.loss,
             (long long)h->epochs[run->progress.best].epoch,
             h->epochs[run->progress.best].validation.loss);
    run->gap_told = true;
    tell(run, SOMA_EVENT_WARNING, message);
}

/* --- the best -----------------------------------------------------------------------------------
 */

static void copy_weights(const soma__run *run, bool to_best)
{
    for (int i = 0; i < soma_model_parameter_count(run->model); i++) {
        soma_tensor *live = soma_model_parameter(run->model, i)->tensor;
        soma_tensor *from = to_best ? live : run->best[i], *to = to_best ? run->best[i] : live;
        memcpy(soma__tensor_write(to), soma_tensor_const_data(from), soma_tensor_bytes(to));
    }
}

static bool better(const soma__run *run, double value)
{
    const soma__progress *p = &run->progress;
    if (p->best < 0)
        return true;
    return run->greater ? value > p->best_value + run->options.min_delta
                        : value < p->best_value - run->options.min_delta;
}

/* Validates what would be kept, the weights or their average, and remembers the best. */
static soma_status judge(soma__run *run, soma_epoch *epoch, soma_error *err)
{
    if (run->evaluator.loader)
        SOMA__TRY(soma__evaluator_run(&run->evaluator, &epoch->validation, NULL, NULL, err));
    epoch->best = run->metric && better(run, soma__metric_value(run->metric, epoch));
    if (epoch->best)
        copy_weights(run, true);
    return SOMA_OK;
}

/* What the watched metric has to say about the rate. */
static void lower_rate(soma__run *run, const soma_epoch *epoch)
{
    const soma_optimizer_options *o = soma__optimizer_options(run->optimizer);
    if (o->schedule != SOMA_SCHEDULE_PLATEAU || !run->metric)
        return;
    soma__plateau_epoch(&run->plateau, o, soma__metric_value(run->metric, epoch), run->greater);
}

/* Validates and judges the epoch that has just ended. */
static soma_status end_epoch(soma__run *run, soma_error *err)
{
    soma__progress *p = &run->progress;
    soma_epoch epoch = {.epoch = p->epoch + 1,
                        .train = soma__meter_read(&p->meter, run->model),
                        .rate = rate_now(run)};
    soma_status status = soma__average_enter(run, err);
    if (status == SOMA_OK)
        status = judge(run, &epoch, err);
    soma__average_leave(run);
    SOMA__TRY(status);
    epoch.seconds = soma__seconds() - run->epoch_start;
    SOMA__TRY(soma__history_add(run, &epoch, err));
    if (epoch.best) {
        p->best = run->history.count - 1;
        p->best_value = soma__metric_value(run->metric, &epoch);
        p->waiting = 0;
    } else {
        p->waiting++;
    }
    p->epoch++;
    p->step = 0;
    p->finished = run->options.patience && p->waiting >= run->options.patience;
    lower_rate(run, &epoch);
    set_factor(run);
    return SOMA_OK;
}

void soma__run_resumed(soma__run *run)
{
    for (int64_t i = 0; i < run->history.count; i++)
        lower_rate(run, &run->history.epochs[i]);
    set_factor(run);
}

/* The best weights as a model file: they change places with those under way for as long. */
static soma_status save_best(const soma__run *run, soma_error *err)
{
    int count = soma_model_parameter_count(run->model);
    for (int i = 0; i < count; i++)
        soma__swap_tensors(soma_model_parameter(run->model, i)->tensor, run->best[i]);
    soma_status status = soma_model_save(run->model, run->best_path, err);
    for (int i = 0; i < count; i++)
        soma__swap_tensors(soma_model_parameter(run->model, i)->tensor, run->best[i]);
    return status;
}

static soma_status save_epoch(soma__run *run, soma_error *err)
{
    /* The best file first: were the run cut off between the two, the checkpoint is older and the
     * same epoch comes again with the same bits. */
    if (run->best_path && run->progress.best == run->history.count - 1)
        SOMA__TRY(save_best(run, err));
    SOMA__TRY(soma__checkpoint_write(run, err));
    return soma__history_write(run, err);
}

/* --- the loop -----------------------------------------------------------------------------------
 */

/* The loss is not finite: runs the same batch again, looking at every value. */
static soma_status explain(const soma__run *run, soma__step *step, double loss, soma_error *err)
{
    soma_error inner = {0};
    soma_status status = soma_session_check(step->session, &inner);
    return soma__fail(
        err, SOMA_NUMERIC,
        "epoch %lld, step %lld: the loss became %s; %s; try a smaller learning rate, "
        "clipping (clip_norm) or scaled inputs; the weights are those before this step",
        (long long)run->progress.epoch + 1, (long long)run->progress.step + 1,
        isnan(loss) ? "NaN" : "infinite",
        status == SOMA_NUMERIC ? inner.message : "no single op could be blamed");
}

/* The loss is fine, but a gradient is not. */
static soma_status explain_gradient(const soma__run *run, soma__step *step, int sick,
                                    soma_error *err)
{
    soma_error inner = {0};
    const char *name = "";
    for (int i = 0; i < soma_model_parameter_count(run->model); i++) {
        const soma_parameter *p = soma_model_parameter(run->model, i);
        if (p->trainable && sick-- == 0)
            name = p->name;
    }
    soma_status status = soma_session_check(step->session, &inner);
    return soma__fail(
        err, SOMA_NUMERIC,
        "epoch %lld, step %lld: the gradient of '%s' is not finite; %s; try a smaller learning "
        "rate or scaled inputs; the weights are those before this step",
        (long long)run->progress.epoch + 1, (long long)run->progress.step + 1, name,
        status == SOMA_NUMERIC ? inner.message : "no single op could be blamed");
}

static soma_status feed_step(soma__run *run, soma__step *step, const void *x, const void *y,
                             int64_t count, soma_error *err)
{
    soma__progress *p = &run->progress;
    /* What is fed is looked at when the plan runs, so it lies in the run. */
    run->key[0] = (int64_t)run->options.seed;
    run->key[1] = p->steps;
    soma_optimizer_hyper(run->optimizer, update_of(run, p->epoch, p->step), run->updates_per_epoch,
                         run->updates, run->hyper);
    SOMA__TRY(soma__step_feed(step, run->model, run->data->train, x, y, run->hyper, run->key, err));
    /* All batches of an update but the last are full ones. */
    int64_t before = p->step % run->options.accumulate * run->options.batch;
    run->share = 1 / (float)(before + count);
    return soma__step_feed_share(step, &run->share, err);
}

static soma_status one_step(soma__run *run, const void *x, const void *y, int64_t count,
                            soma_error *err)
{
    soma__progress *p = &run->progress;
    soma__step *step = !updates(run, p->step)        ? soma__run_step(run, run->part)
                       : count == run->options.batch ? soma__run_step(run, run->full)
                                                     : &run->rest;
    SOMA__TRY(feed_step(run, step, x, y, count, err));
    run->last = step;
    double loss;
    soma_status status =
        run->lbfgs ? soma__minimize_step(run, &loss, err) : soma_session_run(step->session, err);
    /* What lbfgs cannot begin with is explained like any other fault of that kind. */
    if (status != SOMA_NUMERIC)
        SOMA__TRY(status);
    if (!run->lbfgs || status == SOMA_NUMERIC)
        loss = soma_tensor_get(soma_session_output(step->session, 0), 0) / (double)count;
    if (!isfinite(loss))
        return explain(run, step, loss, err);
    int sick = !run->lbfgs || status == SOMA_NUMERIC ? soma__step_sick(step) : -1;
    if (sick >= 0)
        return explain_gradient(run, step, sick, err);
    SOMA__TRY(status);
    if (p->steps == 0)
        look_at_first_loss(run, loss);
    if (!run->lbfgs)
        soma__meter_add(&p->meter, step);
    p->step++;
    p->steps++;
    return SOMA_OK;
}

static bool asked_to_stop(const soma__run *run)
{
    return run->options.stop && *run->options.stop;
}

static soma_status stop_here(soma__run *run, soma_error *err)
{
    SOMA__TRY(soma__checkpoint_write(run, err));
    SOMA__TRY(soma__history_write(run, err));
    return soma__fail(err, SOMA_CANCELLED, "stopped in epoch %lld after step %lld of %lld%s%s",
                      (long long)run->progress.epoch + 1, (long long)run->progress.step,
                      (long long)run->steps_per_epoch,
                      run->checkpoint_path ? "; saved, --resume goes on from " : "",
                      run->checkpoint_path ? run->checkpoint_path : "");
}

static soma_status one_epoch(soma__run *run, soma_error *err)
{
    soma__progress *p = &run->progress;
    run->epoch_start = soma__seconds();
    if (p->step == 0)
        p->meter = (soma__meter){0};
    SOMA__TRY(soma_loader_start(run->loader, p->epoch, p->step, err));
    for (const int64_t steps = epoch_steps(run); p->step < steps;) {
        const void *x, *y;
        int64_t count;
        SOMA__TRY(soma_loader_next(run->loader, &x, &y, &count, err));
        SOMA__TRY(one_step(run, x, y, count, err));
        bool go_on = tell(run, SOMA_EVENT_STEP, NULL);
        if (!go_on || asked_to_stop(run))
            return stop_here(run, err);
        if (run->options.checkpoint_steps && p->steps % run->options.checkpoint_steps == 0)
            SOMA__TRY(soma__checkpoint_write(run, err));
    }
    SOMA__TRY(end_epoch(run, err));
    SOMA__TRY(save_epoch(run, err));
    look_at_gap(run);
    if (!tell(run, SOMA_EVENT_EPOCH, NULL))
        return stop_here(run, err);
    return SOMA_OK;
}

static soma_status loop(soma__run *run, soma_error *err)
{
    bool found = false;
    SOMA__TRY(make_paths(run, err));
    if (run->options.resume)
        SOMA__TRY(soma__checkpoint_read(run, &found, err));
    run->epoch_start = soma__seconds();
    if (!tell(run, SOMA_EVENT_START, NULL))
        return stop_here(run, err);
    if (run->progress.epoch == 0)
        look_at_weights(run);
    while (run->progress.epoch < run->options.epochs && !run->progress.finished)
        SOMA__TRY(one_epoch(run, err));
    return SOMA_OK;
}

soma_status soma_train(soma_model *model, const soma_data *data, const soma_train_options *options,
                       soma_history *history, soma_error *err)
{
    if (history)
        *history = (soma_history){.best = -1};
    double start = soma__seconds();
    soma__run run;
    soma_status status = run_open(&run, model, data, options, err);
    if (status == SOMA_OK)
        status = loop(&run, err);
    if (status == SOMA_OK && run.progress.best >= 0 && !run.options.keep_last)
        copy_weights(&run, false);
    else if (status == SOMA_OK)
        status = soma__average_enter(&run, err); /* for good */
    run.history.best = run.progress.best;
    run.history.steps = run.progress.steps;
    run.history.seconds = soma__seconds() - start;
    run.history.stopped_early = run.progress.finished;
    if (status == SOMA_OK)
        tell(&run, SOMA_EVENT_DONE, NULL);
    if (history) {
        *history = run.history;
        run.history = (soma_history){.best = -1};
    }
    run_close(&run);
    return status;
}

/* --- what it will take --------------------------------------------------------------------------
 */

static size_t step_bytes(const soma__step *step)
{
    if (!step->plan)
        return 0;
    soma_plan_info info;
    soma_plan_describe(step->plan, &info);
    return info.arena_bytes;
}

soma_status soma_train_estimate(soma_model *model, const soma_data *data,
                                const soma_train_options *options, soma_train_cost *out,
                                soma_error *err)
{
    *out = (soma_train_cost){0};
    soma__run run;
    soma_status status = run_open(&run, model, data, options, err);
    if (status == SOMA_OK) {
        soma_plan_info info;
        soma_plan_describe(run.full[run.length_count - 1].plan, &info);
        out->parameters = soma_model_size(model, false);
        out->trainable = soma_model_size(model, true);
        out->step_flops = info.flops;
        out->step_bytes = info.bytes;
        size_t prefetched = SOMA__PREFETCH * (size_t)run.options.batch *
                            (data->train->x_bytes + data->train->y_bytes);
        for (int i = 0; i < run.length_count; i++)
            out->bytes +=
                step_bytes(&run.full[i]) + step_bytes(&run.part[i]) + step_bytes(&run.count[i]);
        out->bytes += info.variable_bytes + step_bytes(&run.rest) + step_bytes(&run.count_rest) +
                      step_bytes(&run.evaluator.full) + step_bytes(&run.evaluator.rest) +
                      prefetched + soma__dataset_memory(data->train);
        /* The best weights are a second copy of the parameters. */
        for (int i = 0; run.best && i < soma_model_parameter_count(model); i++)
            out->bytes += soma_tensor_bytes(run.best[i]);
    }
    run_close(&run);
    return status;
}
