/* checkpoint.c: a run on disk. A checkpoint is a model file (it opens as one) that also holds,
 * under names with a '/', the optimiser's state and the best weights so far, and in its metadata
 * where the run stands. Together with the counter-based random numbers this makes a resumed run end
 * in the same bits as one that was never stopped. */
#include <string.h>

#include "base/file.h"
#include "format/json.h"
#include "format/safetensors.h"
#include "nn/nn.h"
#include "train/train.h"

#define META_KEY "soma.training"
#define META_VERSION 1

/* --- writing ------------------------------------------------------------------------------------
 */

static void add_int(soma__text *text, const char *key, int64_t value)
{
    soma__text_add(text, ",\"%s\":%lld", key, (long long)value);
}

static soma_status describe(const soma__run *run, char **out, soma_error *err)
{
    const soma__progress *p = &run->progress;
    soma__text text = {0};
    soma__text_add(&text, "{\"version\":%d", META_VERSION);
    /* Seeds use all 64 bits, JSON's integers here only 63: as text. */
    soma__text_add(&text, ",\"seed\":\"%llu\"", (unsigned long long)run->options.seed);
    add_int(&text, "batch", run->options.batch);
    add_int(&text, "samples", soma_dataset_count(run->data->train));
    add_int(&text, "optimizer", run->options.optimizer.kind);
    add_int(&text, "accumulate", run->options.accumulate);
    add_int(&text, "shuffle", !run->options.no_shuffle);
    add_int(&text, "balanced", run->options.balanced);
    soma__text_add(&text, ",\"precision\":\"%s\"",
                   soma_dtype_text(soma_model_get_precision(run->model)));
    add_int(&text, "epoch", p->epoch);
    add_int(&text, "step", p->step);
    add_int(&text, "steps", p->steps);
    soma__json_member(&text, "meter_loss", p->meter.loss);
    soma__json_member(&text, "meter_correct", p->meter.correct);
    soma__json_member(&text, "meter_weight", p->meter.weight);
    add_int(&text, "meter_samples", p->meter.samples);
    add_int(&text, "best", p->best);
    soma__json_member(&text, "best_value", p->best_value);
    soma__json_member(&text, "rate_factor", p->rate_factor);
    add_int(&text, "waiting", p->waiting);
    add_int(&text, "finished", p->finished);
    soma__text_add(&text, ",\"history\":[");
    for (int64_t i = 0; i < run->history.count; i++) {
        soma__text_add(&text, i ? "," : "");
        soma__history_line(&text, &run->history.epochs[i]);
    }
    soma__text_add(&text, "]}");
    return soma__text_take(&text, out, err);
}

static soma_status add_prefixed(soma__archive *archive, const char *prefix, const char *name,
                                soma_tensor *tensor, soma_error *err)
{
    soma__text text = {0};
    char *full;
    soma__text_add(&text, "%s/%s", prefix, name);
    SOMA__TRY(soma__text_take(&text, &full, err));
    soma_status status = soma__archive_add(archive, full, tensor, err);
    soma__free(full);
    return status;
}

static soma_status add_numbered(soma__archive *archive, int index, soma_tensor *sum,
                                soma_error *err)
{
    char name[24];
    snprintf(name, sizeof name, "%d", index);
    return add_prefixed(archive, "gradient", name, sum, err);
}

static soma_status fill(const soma__run *run, soma__archive *archive, soma_error *err)
{
    SOMA__TRY(soma__model_to_archive(run->model, archive, err));
    for (int i = 0; i < soma_optimizer_state_count(run->optimizer); i++)
        SOMA__TRY(add_prefixed(archive, "optimizer", soma_optimizer_state_name(run->optimizer, i),
                               soma_optimizer_state(run->optimizer, i), err));
    for (int i = 0; run->lbfgs && i < soma_lbfgs_state_count(run->lbfgs); i++)
        SOMA__TRY(add_prefixed(archive, "optimizer", soma_lbfgs_state_name(run->lbfgs, i),
                               soma_lbfgs_state(run->lbfgs, i), err));
    for (int i = 0; run->sums && i < run->trained; i++)
        SOMA__TRY(add_numbered(archive, i, run->sums[i], err));
    for (int i = 0; run->progress.best >= 0 && i < soma_model_parameter_count(run->model); i++)
        SOMA__TRY(add_prefixed(archive, "best", soma_model_parameter(run->model, i)->name,
                               run->best[i], err));
    char *text;
    SOMA__TRY(describe(run, &text, err));
    soma_status status = soma__archive_set_meta(archive, META_KEY, text, err);
    soma__free(text);
    return status;
}

soma_status soma__checkpoint_write(const soma__run *run, soma_error *err)
{
    if (!run->checkpoint_path)
        return SOMA_OK;
    soma__archive archive = {0};
    soma_status status = fill(run, &archive, err);
    if (status == SOMA_OK)
        status = soma__archive_write(&archive, run->checkpoint_path, err);
    soma__archive_clear(&archive);
    return status;
}

/* --- reading ------------------------------------------------------------------------------------
 */

/* A reader over the metadata: the first fault sticks, so that reading is a list of lines. */
typedef struct reader {
    const soma__value *map;
    const char *path;
    soma_status status;
    soma_error *err;
} reader;

static double number(reader *r, const soma__value *map, const char *key)
{
    const soma__value *value = soma__value_find(map, key);
    if (value && value->kind == SOMA__NULL)
        return NAN;
    if (value && (value->kind == SOMA__INT || value->kind == SOMA__FLOAT))
        return value->number;
    if (r->status == SOMA_OK)
        r->status =
            soma__fail(r->err, SOMA_FORMAT, "'%s': the checkpoint lacks '%s'", r->path, key);
    return NAN;
}

/* Counts and positions: never negative but for `best`, which is -1 for none. */
static int64_t integer(reader *r, const soma__value *map, const char *key, int64_t low)
{
    const soma__value *value = soma__value_find(map, key);
    if (value && value->kind == SOMA__INT && value->integer >= low)
        return value->integer;
    if (r->status == SOMA_OK)
        r->status =
            soma__fail(r->err, SOMA_FORMAT, "'%s': the checkpoint has no valid '%s'", r->path, key);
    return 0;
}

/* The run that goes on must be the one that stopped. */
static void same(reader *r, const char *key, int64_t now, const char *what)
{
    int64_t then = integer(r, r->map, key, 0);
    if (r->status == SOMA_OK && then != now)
        r->status = soma__fail(r->err, SOMA_INVALID,
                               "'%s': cannot resume with another %s: %lld then, %lld now", r->path,
                               what, (long long)then, (long long)now);
}

/* Checkpoints that do not say it are of a soma that knew f32 only. */
static void same_precision(reader *r, const soma__run *run)
{
    const soma__value *value = soma__value_find(r->map, "precision");
    const char *then = value && value->kind == SOMA__STRING ? value->text : "f32";
    const char *now = soma_dtype_text(soma_model_get_precision(run->model));
    if (r->status == SOMA_OK && strcmp(then, now) != 0)
        r->status = soma__fail(r->err, SOMA_INVALID,
                               "'%s': cannot resume with another precision: %s then, %s now",
                               r->path, then, now);
}

static void same_seed(reader *r, const soma__run *run)
{
    char now[32];
    snprintf(now, sizeof now, "%llu", (unsigned long long)run->options.seed);
    const soma__value *then = soma__value_find(r->map, "seed");
    if (r->status == SOMA_OK &&
        (!then || then->kind != SOMA__STRING || strcmp(then->text, now) != 0))
        r->status = soma__fail(r->err, SOMA_INVALID,
                               "'%s': cannot resume with another seed: %s then, %s now", r->path,
                               then && then->text ? then->text : "none", now);
}

static soma_status read_history(reader *r, soma__run *run)
{
    const soma__value *list = soma__value_find(r->map, "history");
    if (!list || list->kind != SOMA__LIST)
        return soma__fail(r->err, SOMA_FORMAT, "'%s': the checkpoint lacks its history", r->path);
    for (const soma__value *row = list->first; row && r->status == SOMA_OK; row = row->next) {
        const soma__value *best = soma__value_find(row, "best");
        soma_epoch epoch = {
            .epoch = integer(r, row, "epoch", 1),
            .train = {number(r, row, "loss"), number(r, row, "accuracy"),
                      integer(r, row, "samples", 0)},
            .validation = {number(r, row, "val_loss"), number(r, row, "val_accuracy"),
                           integer(r, row, "val_samples", 0)},
            .rate = number(r, row, "rate"),
            .seconds = number(r, row, "seconds"),
            .best = best && best->boolean,
        };
        if (r->status == SOMA_OK)
            r->status = soma__history_add(run, &epoch, r->err);
    }
    return r->status;
}

static soma_status read_progress(soma__run *run, const soma__value *map, soma_error *err)
{
    reader r = {map, run->checkpoint_path, SOMA_OK, err};
    soma__progress p = {0};
    if (integer(&r, map, "version", 1) != META_VERSION && r.status == SOMA_OK)
        return soma__fail(err, SOMA_UNSUPPORTED, "'%s': the checkpoint is of a newer soma",
                          run->checkpoint_path);
    same_seed(&r, run);
    same(&r, "batch", run->options.batch, "batch size");
    same(&r, "samples", soma_dataset_count(run->data->train), "number of training samples");
    same(&r, "optimizer", run->options.optimizer.kind, "optimizer");
    same(&r, "accumulate", run->options.accumulate, "number of batches of an update");
    same(&r, "shuffle", !run->options.no_shuffle, "shuffling");
    same(&r, "balanced", run->options.balanced, "balancing");
    same_precision(&r, run);
    p.epoch = integer(&r, map, "epoch", 0);
    p.step = integer(&r, map, "step", 0);
    p.steps = integer(&r, map, "steps", 0);
    p.meter.loss = number(&r, map, "meter_loss");
    p.meter.correct = number(&r, map, "meter_correct");
    p.meter.samples = integer(&r, map, "meter_samples", 0);
    p.meter.weight = soma__value_find(map, "meter_weight") ? number(&r, map, "meter_weight")
                                                           : (double)p.meter.samples;
    p.best = integer(&r, map, "best", -1);
    p.best_value = number(&r, map, "best_value");
    p.rate_factor = number(&r, map, "rate_factor");
    p.waiting = integer(&r, map, "waiting", 0);
    p.finished = integer(&r, map, "finished", 0) != 0;
    SOMA__TRY(r.status);
    SOMA__TRY(read_history(&r, run));
    if (p.step > run->steps_per_epoch || p.best >= run->history.count ||
        p.epoch != run->history.count || !(p.rate_factor >= 0))
        return soma__fail(err, SOMA_FORMAT, "'%s': the checkpoint contradicts itself",
                          run->checkpoint_path);
    run->progress = p;
    soma__run_resumed(run);
    return SOMA_OK;
}

static soma_status copy_prefixed(const soma__run *run, const soma__archive *archive,
                                 const char *prefix, const char *name, soma_tensor *to,
                                 soma_error *err)
{
    soma__text text = {0};
    char *full;
    soma__text_add(&text, "%s/%s", prefix, name);
    SOMA__TRY(soma__text_take(&text, &full, err));
    const soma_tensor *from = soma__archive_find(archive, full);
    soma_status status = SOMA_OK;
    if (!from || soma_tensor_dtype(from) != soma_tensor_dtype(to) ||
        !soma_shape_equal(soma_tensor_shape(from), soma_tensor_shape(to)))
        status = soma__fail(err, SOMA_FORMAT, "'%s': '%s' is missing or of another shape",
                            run->checkpoint_path, full);
    else
        memcpy(soma__tensor_write(to), soma_tensor_const_data(from), soma_tensor_bytes(to));
    soma__free(full);
    return status;
}

static soma_status restore(soma__run *run, const soma__archive *archive, soma_error *err)
{
    const char *text = soma__archive_meta(archive, META_KEY);
    if (!text)
        return soma__fail(err, SOMA_FORMAT, "'%s' is a model, not a checkpoint of a training",
                          run->checkpoint_path);
    soma__tree tree = {0};
    SOMA__TRY(soma__json_parse(&tree, text, strlen(text), run->checkpoint_path, err));
    soma_status status = read_progress(run, tree.root, err);
    soma__tree_clear(&tree);
    SOMA__TRY(status);
    SOMA__TRY(soma__model_copy_weights(run->model, archive, run->checkpoint_path, err));
    for (int i = 0; i < soma_optimizer_state_count(run->optimizer); i++)
        SOMA__TRY(copy_prefixed(run, archive, "optimizer",
                                soma_optimizer_state_name(run->optimizer, i),
                                soma_optimizer_state(run->optimizer, i), err));
    for (int i = 0; run->lbfgs && i < soma_lbfgs_state_count(run->lbfgs); i++)
        SOMA__TRY(copy_prefixed(run, archive, "optimizer", soma_lbfgs_state_name(run->lbfgs, i),
                                soma_lbfgs_state(run->lbfgs, i), err));
    for (int i = 0; run->sums && i < run->trained; i++) {
        char name[24];
        snprintf(name, sizeof name, "%d", i);
        SOMA__TRY(copy_prefixed(run, archive, "gradient", name, run->sums[i], err));
    }
    for (int i = 0; run->progress.best >= 0 && i < soma_model_parameter_count(run->model); i++)
        SOMA__TRY(copy_prefixed(run, archive, "best", soma_model_parameter(run->model, i)->name,
                                run->best[i], err));
    return SOMA_OK;
}

soma_status soma__checkpoint_read(soma__run *run, bool *found, soma_error *err)
{
    *found = run->checkpoint_path && soma__file_exists(run->checkpoint_path);
    if (!*found)
        return SOMA_OK;
    soma__archive archive = {0};
    SOMA__TRY(soma__archive_read(&archive, run->checkpoint_path, err));
    soma_status status = restore(run, &archive, err);
    soma__archive_clear(&archive);
    return status;
}
