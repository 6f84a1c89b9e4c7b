/* step.c: one batch as a graph, compiled. */
#include "train/step.h"

#include <math.h>
#include <string.h>

#include "data/buckets.h"
#include "data/dataset.h"
#include "nn/nn.h"
#include "optim/optim.h"

/* --- does the data fit the model? ----------------------------------------------------------------
 */

/* Data may be u8 where the model takes f32 (a cast comes first), not the other way around. */
static bool dtype_fits(soma_dtype data, soma_dtype model)
{
    return data == model || model == SOMA_F32;
}

static soma_dtype input_dtype(const soma_model *model)
{
    soma_dtype dtype = soma_model_get_options(model)->input_dtype;
    return dtype ? dtype : SOMA_F32;
}

static soma_status wrong_label(int64_t sample, int64_t label, int classes, soma_error *err)
{
    return soma__fail(err, SOMA_INVALID,
                      "sample %lld: label %lld, but the model has %d classes (labels 0 to %d)",
                      (long long)sample, (long long)label, classes, classes - 1);
}

static bool is_ignored(const soma__loss *loss, int64_t label)
{
    return loss && loss->options.ignores && label == loss->options.ignore_index;
}

bool soma__reads_sequences(const soma_model *model, const soma_dataset *dataset)
{
    const soma_shape *y = &dataset->y_shape;
    return !soma__model_chain(model) && dataset->y_dtype == SOMA_I64 && y->ndim == 1 &&
           y->dim[0] > 0 && y->dim[0] < soma__model_steps(model);
}

soma_status soma__labels_fit(const soma_model *model, const soma__loss *loss,
                             const soma_dataset *dataset, const void *y, int64_t count,
                             int64_t steps, soma_error *err)
{
    if (soma_model_get_options(model)->task != SOMA_TASK_CLASSIFY)
        return SOMA_OK;
    int classes = soma_model_class_count(model);
    const int64_t *label = y;
    const bool blank = soma__reads_sequences(model, dataset); /* it is no label */
    for (int64_t i = 0; i < count * steps && blank; i++)
        if (label[i] == 0)
            return soma__fail(err, SOMA_INVALID,
                              "sample %lld: label 0 is the blank of CTC, labels begin with 1",
                              (long long)(i / steps));
    for (int64_t i = 0; i < count * steps && soma__model_steps(model); i++)
        if (label[i] >= classes && !is_ignored(loss, label[i]))
            return wrong_label(i / steps, label[i], classes, err);
    if (!dataset->labels)
        return SOMA_OK;
    for (int64_t i = 0; i < count; i++)
        if ((label[i] < 0 || label[i] >= classes) && !is_ignored(loss, label[i]))
            return wrong_label(i, label[i], classes, err);
    return SOMA_OK;
}

/* Labels as distributions over the classes. */
static bool is_soft(const soma_dataset *dataset, int classes)
{
    return dataset->y_dtype == SOMA_F32 && dataset->y_shape.ndim == 1 &&
           dataset->y_shape.dim[0] == classes;
}

/* A class for each step. What they are is looked at batch by batch (soma__labels_fit). */
static soma_status steps_fit(const soma_model *model, const soma__loss *loss,
                             const soma_dataset *dataset, const char *part, soma_error *err)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    const int64_t steps = soma__model_steps(model);
    const soma_shape *y = &dataset->y_shape;
    if (dataset->y_dtype == SOMA_I64 && y->ndim == 1 && y->dim[0] == steps)
        return SOMA_OK;
    if (soma__reads_sequences(model, dataset)) {
        if (!loss || loss->options.kind == SOMA_LOSS_CROSS_ENTROPY)
            return SOMA_OK;
        return soma__fail(err, SOMA_INVALID,
                          "%s: %lld labels of %lld steps are learnt by CTC; leave the loss %s out",
                          part, (long long)y->dim[0], (long long)steps, loss->type->name);
    }
    return soma__fail(err, SOMA_SHAPE,
                      "%s: the model names a class for each of %lld steps, so a sample's labels "
                      "are i64 [%lld], or fewer for CTC; the data has %s %s%s",
                      part, (long long)steps, (long long)steps, soma_dtype_text(dataset->y_dtype),
                      soma_shape_text(y, text, sizeof text),
                      dataset->labels ? "; is a pooling layer or `last` missing?" : "");
}

static soma_status labels_fit(const soma_model *model, const soma__loss *loss,
                              const soma_dataset *dataset, const char *part, soma_error *err)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    int classes = soma_model_class_count(model);
    if (soma__model_steps(model))
        return steps_fit(model, loss, dataset, part, err);
    if (!dataset->labels && !is_soft(dataset, classes))
        return soma__fail(err, SOMA_DTYPE,
                          "%s: a classifier needs one i64 label per sample, or an f32 distribution "
                          "over its %d classes; the data has %s %s",
                          part, classes, soma_dtype_text(dataset->y_dtype),
                          soma_shape_text(&dataset->y_shape, text, sizeof text));
    if (!dataset->labels && loss && loss->options.kind != SOMA_LOSS_CROSS_ENTROPY)
        return soma__fail(err, SOMA_DTYPE,
                          "%s: the loss %s takes labels, the data has distributions over the "
                          "classes; cross_entropy takes both",
                          part, loss->type->name);
    for (int64_t i = 0; i < dataset->count; i++) {
        int64_t label = soma__dataset_label(dataset, i);
        if (label >= classes && !is_ignored(loss, label))
            return soma__fail_within(err, wrong_label(i, label, classes, err), "%s", part);
    }
    int known = soma_dataset_class_count(dataset);
    bool ignores = loss && loss->options.ignores; /* a name more may be that of no class */
    if (soma_dataset_class(dataset, 0) && known != classes && !ignores)
        return soma__fail(err, SOMA_SHAPE,
                          "%s: the data has %d classes, the model %d outputs: make the last layer "
                          "%d units",
                          part, known, classes, known);
    return SOMA_OK;
}

soma_status soma__data_fits(const soma_model *model, const soma__loss *loss,
                            const soma_dataset *dataset, const char *part, soma_error *err)
{
    const soma_model_options *options = soma_model_get_options(model);
    const soma_shape sample = soma__model_sample(model);
    if (!soma_shape_equal(&dataset->x_shape, &sample)) {
        char have[SOMA_SHAPE_TEXT_SIZE], want[SOMA_SHAPE_TEXT_SIZE];
        return soma__fail(err, SOMA_SHAPE, "%s: samples are %s, the model takes %s", part,
                          soma_shape_text(&dataset->x_shape, have, sizeof have),
                          soma_shape_text(&sample, want, sizeof want));
    }
    if (!dtype_fits(dataset->x_dtype, input_dtype(model)))
        return soma__fail(err, SOMA_DTYPE, "%s: samples are %s, the model takes %s", part,
                          soma_dtype_text(dataset->x_dtype), soma_dtype_text(input_dtype(model)));
    return options->task == SOMA_TASK_CLASSIFY ? labels_fit(model, loss, dataset, part, err)
                                               : SOMA_OK;
}

/* --- the graph ----------------------------------------------------------------------------------
 */

/* Everything that is built for one step, so that it is freed in one place. */
typedef struct builder {
    soma_graph *graph;
    soma_var *parameters, *gradients, *moved, *sums; /* of those that are trained */
    soma_update *updates;
    int trainable, update_count, update_capacity;
} builder;

static void builder_free(builder *b)
{
    soma__free(b->parameters);
    soma__free(b->gradients);
    soma__free(b->moved);
    soma__free(b->sums);
    soma__free(b->updates);
    soma_graph_destroy(b->graph);
}

static soma_status builder_create(builder *b, soma_model *model, const soma_optimizer *optimizer,
                                  soma_error *err)
{
    int count = soma_model_parameter_count(model);
    size_t room = (size_t)count + 1;
    b->update_capacity = 2 * count + (optimizer ? soma_optimizer_update_count(optimizer) : 0);
    b->parameters = soma__calloc(room, sizeof *b->parameters);
    b->gradients = soma__calloc(room, sizeof *b->gradients);
    b->moved = soma__calloc(room, sizeof *b->moved);
    b->sums = soma__calloc(room, sizeof *b->sums);
    b->updates = soma__calloc((size_t)b->update_capacity + 1, sizeof *b->updates);
    if (!b->parameters || !b->gradients || !b->moved || !b->sums || !b->updates)
        return soma__fail(err, SOMA_MEMORY, "no memory for the training graph");
    return soma_graph_create(&b->graph, err);
}

/* Gradients of `loss` (a scalar) where the parameters, moved together by `rho` along the gradient,
 * have it worst (Foret et al. 2021, equation 2), in place of those here. Running statistics stay
 * those of the first pass. */
static void climb(builder *b, soma_var loss, double rho)
{
    soma_var squares = {b->graph, -1};
    soma_scope_begin(b->graph, "sam");
    for (int i = 0; i < b->trainable; i++) {
        soma_var one = soma_sum(soma_square(b->gradients[i]));
        squares = i ? soma_add(squares, one) : one;
    }
    soma_var scale =
        soma_mul_scalar(soma_reciprocal(soma_add_scalar(soma_sqrt(squares), 1e-12)), rho);
    for (int i = 0; i < b->trainable; i++)
        b->moved[i] = soma_add(b->parameters[i], soma_mul(b->gradients[i], scale));
    soma_var worst = soma__substitute(loss, b->parameters, b->moved, b->trainable);
    soma_gradients(worst, b->moved, b->trainable, b->gradients);
    soma_scope_end(b->graph);
}

/* One number for each gradient: [P]. The sum is not finite where one of its terms is not. */
static soma_var health(builder *b)
{
    for (int i = 0; i < b->trainable; i++)
        b->moved[i] = soma_reshape(soma_sum(b->gradients[i]), SOMA_SHAPE(1));
    return b->trainable ? soma_concat(b->moved, b->trainable, 0)
                        : soma_full(b->graph, SOMA_F32, SOMA_SHAPE(1), 0);
}

static void add_update(builder *b, soma_var guard, soma_var variable, soma_var value)
{
    b->updates[b->update_count++] = (soma_update){variable, soma_where(guard, value, variable)};
}

/* Gradients, clipping and updates. Nothing changes when the loss or a gradient is not finite. */
static void build_update(soma__step *step, builder *b, soma_model *model, const soma__step_job *job,
                         soma_var loss, soma_var hyper, soma_var share, soma_var *outputs,
                         int *count)
{
    bool sums = job->purpose == SOMA__STEP_ACCUMULATE || job->purpose == SOMA__STEP_FINISH;
    soma_var norm = {0};
    for (int i = 0; i < soma_model_parameter_count(model); i++)
        if (soma_model_parameter(model, i)->trainable)
            b->parameters[b->trainable++] = soma_model_variable(model, b->graph, i);
    /* Parts of a large batch are weighed by their samples: by the sum, divided at the end. */
    soma_var total = sums ? soma_sum(loss) : soma_mean(loss);
    soma_gradients(total, b->parameters, b->trainable, b->gradients);
    if (job->optimizer && soma__optimizer_options(job->optimizer)->sam > 0)
        climb(b, total, soma__optimizer_options(job->optimizer)->sam);
    for (int i = 0; i < b->trainable && job->purpose != SOMA__STEP_TRAIN; i++) {
        b->sums[i] = soma_variable(b->graph, "gradient", job->sums[i]);
        if (sums)
            b->gradients[i] = soma_add(b->sums[i], b->gradients[i]);
        if (job->purpose == SOMA__STEP_FINISH)
            b->gradients[i] = soma_mul(b->gradients[i], share);
    }
    soma_var well = health(b);
    soma_var guard = soma_isfinite(soma_add(total, soma_sum(well)));
    /* Running statistics are guarded like the weights. */
    for (int i = 0; i < b->update_count; i++)
        b->updates[i].value = soma_where(guard, b->updates[i].value, b->updates[i].variable);
    /* The norm is one more pass over all gradients, so it is there when clipping pays for it. */
    if (job->purpose == SOMA__STEP_TRAIN || job->purpose == SOMA__STEP_FINISH)
        soma_optimizer_apply(job->optimizer, b->parameters, b->gradients, hyper, guard,
                             soma__optimizer_clips(job->optimizer) ? &norm : NULL, b->updates,
                             &b->update_count);
    for (int i = 0; i < b->trainable && job->purpose != SOMA__STEP_TRAIN; i++) {
        soma_shape shape = soma_var_shape(b->sums[i]);
        soma_var next = job->purpose == SOMA__STEP_FINISH ? soma_full(b->graph, SOMA_F32, shape, 0)
                                                          : b->gradients[i];
        add_update(b, guard, b->sums[i], next);
    }
    step->health = *count;
    outputs[(*count)++] = well;
    if (soma_var_ok(norm)) {
        step->norm = *count;
        outputs[(*count)++] = norm;
    }
}

/* [batch, sample…] of x, or of targets that go with its steps. */
static soma_shape fed_shape(const soma__step *step, const soma_shape *sample, bool cut)
{
    soma_shape shape = soma__shape_batched(sample, step->batch);
    if (step->length && cut)
        shape.dim[1] = step->length;
    return shape;
}

static soma_shape y_shape(const soma__step *step, const soma_dataset *like)
{
    return fed_shape(step, &like->y_shape, soma__buckets_cut_targets(like));
}

static soma_status build(soma__step *step, builder *b, soma_model *model, const soma_dataset *like,
                         const soma__step_job *job, const soma__loss *used, soma_error *err)
{
    soma_graph *graph = b->graph;
    soma_var key = {0}, hyper = {0}, share = {0};
    bool evaluates = job->purpose == SOMA__STEP_EVALUATE;
    bool statistics = job->purpose == SOMA__STEP_STATISTICS;
    soma_var x = soma_input(graph, "x", like->x_dtype, fed_shape(step, &like->x_shape, true));
    soma_var y = soma_input(graph, "y", like->y_dtype, y_shape(step, like));
    if (!evaluates)
        key = soma_input(graph, "key", SOMA_I64, SOMA_SHAPE(2));
    if (job->optimizer) {
        step->hyper_count = soma_optimizer_hyper_count(job->optimizer);
        hyper = soma_input(graph, "hyper", SOMA_F32, SOMA_SHAPE(step->hyper_count));
    }
    if (statistics || job->purpose == SOMA__STEP_FINISH)
        share = soma_input(graph, "share", SOMA_F32, SOMA_SCALAR);
    if (like->x_dtype != input_dtype(model))
        x = soma_cast(x, input_dtype(model));
    soma_var out = soma__model_apply(model, graph, x, evaluates ? SOMA_EVALUATE : SOMA_TRAIN, key,
                                     statistics ? share : (soma_var){0}, step->length, b->updates,
                                     b->update_capacity, &b->update_count);
    soma_var loss, correct, classes, weight, outputs[5];
    soma__loss_apply(used, model, out, y, &loss, &correct, &classes, &weight);
    int count = 2;
    outputs[0] = soma_sum(loss);
    outputs[1] = correct;
    if (weight.graph) {
        step->weight = count;
        outputs[count++] = weight;
    }
    if (evaluates) {
        if (soma_var_ok(classes))
            step->classes = count;
        if (soma_var_ok(classes))
            outputs[count++] = classes;
        step->raw = count;
        outputs[count++] = soma_cast(soma__model_unscale_target(model, out), SOMA_F32);
    } else if (!statistics) {
        build_update(step, b, model, job, loss, hyper, share, outputs, &count);
    }
    return soma_plan_create(&step->plan, soma_model_context(model), outputs, count, b->updates,
                            b->update_count, err);
}

soma_status soma__step_create_for(soma__step *out, soma_model *model, const soma_dataset *like,
                                  int64_t batch, const soma__step_job *job, soma_error *err)
{
    *out = (soma__step){.batch = batch, .length = job->length, .loss = job->loss};
    soma__loss own = {0};
    builder b = {0};
    soma_status status = builder_create(&b, model, job->optimizer, err);
    if (status == SOMA_OK && !job->loss)
        status = soma__loss_create(&own, NULL, model, NULL, err);
    if (status == SOMA_OK)
        status = build(out, &b, model, like, job, job->loss ? job->loss : &own, err);
    builder_free(&b);
    soma__loss_clear(&own);
    if (status == SOMA_OK)
        status = soma_session_create(&out->session, out->plan, err);
    if (status != SOMA_OK)
        soma__step_destroy(out);
    return status;
}

soma_status soma__step_create(soma__step *out, soma_model *model, const soma_dataset *like,
                              int64_t batch, soma_optimizer *optimizer, const soma__loss *loss,
                              soma_error *err)
{
    soma__step_job job = {.purpose = optimizer ? SOMA__STEP_TRAIN : SOMA__STEP_EVALUATE,
                          .optimizer = optimizer,
                          .loss = loss};
    return soma__step_create_for(out, model, like, batch, &job, err);
}

void soma__step_destroy(soma__step *step)
{
    soma_session_destroy(step->session);
    soma_plan_release(step->plan);
    *step = (soma__step){0};
}

/* A model without dropout has no "key" in its plan, one without a use of x no "x": the plan keeps
 * only what is needed, and feeding what it does not need is not a fault here. */
static soma_status feed(soma_session *session, const char *name, soma_dtype dtype, soma_shape shape,
                        const void *data, soma_error *err)
{
    soma_error inner = {0};
    soma_status status = soma_session_set(session, name, dtype, &shape, data, &inner);
    if (status == SOMA_NOT_FOUND)
        return SOMA_OK;
    return status == SOMA_OK ? SOMA_OK : soma__fail(err, status, "%s", inner.message);
}

soma_status soma__step_feed(soma__step *step, const soma_model *model, const soma_dataset *like,
                            const void *x, const void *y, const float *hyper, const int64_t *key,
                            soma_error *err)
{
    soma_session *s = step->session;
    const soma_shape targets = y_shape(step, like);
    SOMA__TRY(soma__labels_fit(model, step->loss, like, y, step->batch,
                               targets.ndim > 1 ? targets.dim[1] : 0, err));
    SOMA__TRY(feed(s, "x", like->x_dtype, fed_shape(step, &like->x_shape, true), x, err));
    SOMA__TRY(feed(s, "y", like->y_dtype, targets, y, err));
    if (hyper)
        SOMA__TRY(feed(s, "hyper", SOMA_F32, SOMA_SHAPE(step->hyper_count), hyper, err));
    if (key)
        SOMA__TRY(feed(s, "key", SOMA_I64, SOMA_SHAPE(2), key, err));
    return SOMA_OK;
}

soma_status soma__step_feed_share(soma__step *step, const float *share, soma_error *err)
{
    return feed(step->session, "share", SOMA_F32, SOMA_SCALAR, share, err);
}

int soma__step_sick(const soma__step *step)
{
    const soma_tensor *well =
        step->health ? soma_session_output(step->session, step->health) : NULL;
    for (int64_t i = 0; well && i < soma_tensor_count(well); i++)
        if (!isfinite(soma_tensor_get(well, i)))
            return (int)i;
    return -1;
}

/* --- the optimiser ------------------------------------------------------------------------------
 */

soma_status soma__optimizer_for_model(soma_optimizer **out, float **hyper, const soma_model *model,
                                      const soma_optimizer_options *options, soma_error *err)
{
    int count = soma_model_parameter_count(model), used = 0;
    const char **names = soma__calloc((size_t)count + 1, sizeof *names);
    soma_tensor **tensors = soma__calloc((size_t)count + 1, sizeof *tensors);
    soma_status status = SOMA_OK;
    if (!names || !tensors)
        status = soma__fail(err, SOMA_MEMORY, "no memory for the optimizer");
    for (int i = 0; i < count && status == SOMA_OK; i++) {
        const soma_parameter *p = soma_model_parameter(model, i);
        if (p->trainable) {
            names[used] = p->name;
            tensors[used++] = p->tensor;
        }
    }
    if (status == SOMA_OK && !used)
        status = soma__fail(err, SOMA_INVALID,
                            "training: the model has no trainable parameter (all are frozen?)");
    if (status == SOMA_OK)
        status = soma_optimizer_create(out, options, names, tensors, used, err);
    soma__free(names);
    soma__free(tensors);
    SOMA__TRY(status);
    *hyper = soma__calloc((size_t)soma_optimizer_hyper_count(*out), sizeof(float));
    return *hyper ? SOMA_OK : soma__fail(err, SOMA_MEMORY, "no memory for the optimizer");
}

/* --- metrics ------------------------------------------------------------------------------------
 */

void soma__meter_add(soma__meter *meter, const soma__step *step)
{
    const double n = (double)step->batch;
    const double weight =
        step->weight ? soma_tensor_get(soma_session_output(step->session, step->weight), 0) : n;
    meter->loss += soma_tensor_get(soma_session_output(step->session, 0), 0) * (weight / n);
    meter->correct += soma_tensor_get(soma_session_output(step->session, 1), 0) * (weight / n);
    meter->weight += weight;
    meter->samples += step->batch;
}

soma_metrics soma__meter_read(const soma__meter *meter, const soma_model *model)
{
    double n = meter->weight;
    bool has_accuracy = soma_model_get_options(model)->task != SOMA_TASK_REGRESS;
    return (soma_metrics){.loss = n > 0 ? meter->loss / n : NAN,
                          .accuracy = n > 0 && has_accuracy ? meter->correct / n : NAN,
                          .samples = meter->samples};
}
