/* step.c: one batch as a graph, compiled. */
#include "train/step.h"

#include <math.h>
#include <string.h>

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

soma_status soma__labels_fit(const soma_model *model, const soma__loss *loss,
                             const soma_dataset *dataset, const void *y, int64_t count,
                             soma_error *err)
{
    if (!dataset->labels || soma_model_get_options(model)->task != SOMA_TASK_CLASSIFY)
        return SOMA_OK;
    int classes = soma_model_class_count(model);
    const int64_t *label = y;
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

static soma_status labels_fit(const soma_model *model, const soma__loss *loss,
                              const soma_dataset *dataset, const char *part, soma_error *err)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    int classes = soma_model_class_count(model);
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
    if (!soma_shape_equal(&dataset->x_shape, &options->input)) {
        char have[SOMA_SHAPE_TEXT_SIZE], want[SOMA_SHAPE_TEXT_SIZE];
        return soma__fail(err, SOMA_SHAPE, "%s: samples are %s, the model takes %s", part,
                          soma_shape_text(&dataset->x_shape, have, sizeof have),
                          soma_shape_text(&options->input, want, sizeof want));
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
    soma_var *parameters, *gradients;
    soma_update *updates;
    int trainable, update_count, update_capacity;
} builder;

static void builder_free(builder *b)
{
    soma__free(b->parameters);
    soma__free(b->gradients);
    soma__free(b->updates);
    soma_graph_destroy(b->graph);
}

static soma_status builder_create(builder *b, soma_model *model, const soma_optimizer *optimizer,
                                  soma_error *err)
{
    int count = soma_model_parameter_count(model);
    size_t room = (size_t)count + 1;
    b->update_capacity = count + (optimizer ? soma_optimizer_update_count(optimizer) : 0);
    b->parameters = soma__calloc(room, sizeof *b->parameters);
    b->gradients = soma__calloc(room, sizeof *b->gradients);
    b->updates = soma__calloc((size_t)b->update_capacity + 1, sizeof *b->updates);
    if (!b->parameters || !b->gradients || !b->updates)
        return soma__fail(err, SOMA_MEMORY, "no memory for the training graph");
    return soma_graph_create(&b->graph, err);
}

/* Gradients of the mean loss, clipping and updates; nothing changes when the loss is not finite. */
static void build_update(builder *b, soma_model *model, soma_optimizer *optimizer, soma_var loss,
                         soma_var hyper, soma_var *norm)
{
    for (int i = 0; i < soma_model_parameter_count(model); i++)
        if (soma_model_parameter(model, i)->trainable)
            b->parameters[b->trainable++] = soma_model_variable(model, b->graph, i);
    soma_var mean = soma_mean(loss);
    soma_gradients(mean, b->parameters, b->trainable, b->gradients);
    soma_var guard = soma_isfinite(mean);
    /* Running statistics are guarded like the weights. */
    for (int i = 0; i < b->update_count; i++)
        b->updates[i].value = soma_where(guard, b->updates[i].value, b->updates[i].variable);
    soma_optimizer_apply(optimizer, b->parameters, b->gradients, hyper, guard, norm, b->updates,
                         &b->update_count);
}

static soma_status build(soma__step *step, builder *b, soma_model *model, const soma_dataset *like,
                         soma_optimizer *optimizer, const soma__loss *used, soma_error *err)
{
    soma_graph *graph = b->graph;
    soma_var key = {0}, hyper = {0};
    soma_var x =
        soma_input(graph, "x", like->x_dtype, soma__shape_batched(&like->x_shape, step->batch));
    soma_var y =
        soma_input(graph, "y", like->y_dtype, soma__shape_batched(&like->y_shape, step->batch));
    if (optimizer) {
        key = soma_input(graph, "key", SOMA_I64, SOMA_SHAPE(2));
        step->hyper_count = soma_optimizer_hyper_count(optimizer);
        hyper = soma_input(graph, "hyper", SOMA_F32, SOMA_SHAPE(step->hyper_count));
    }
    if (like->x_dtype != input_dtype(model))
        x = soma_cast(x, input_dtype(model));
    soma_var out = soma_model_apply(model, graph, x, optimizer ? SOMA_TRAIN : SOMA_EVALUATE, key,
                                    b->updates, b->update_capacity, &b->update_count);
    soma_var loss, correct, classes, outputs[4];
    soma__loss_apply(used, model, out, y, &loss, &correct, &classes);
    int count = 2;
    outputs[0] = soma_sum(loss);
    outputs[1] = correct;
    if (optimizer) {
        soma_var norm = {0};
        /* The norm is one more pass over all gradients, so it is there when clipping pays for it.
         */
        bool clips = soma__optimizer_clips(optimizer);
        build_update(b, model, optimizer, loss, hyper, clips ? &norm : NULL);
        step->has_norm = soma_var_ok(norm);
        if (step->has_norm)
            outputs[count++] = norm;
    } else {
        if (soma_var_ok(classes))
            outputs[count++] = classes;
        step->raw = count;
        outputs[count++] = soma_cast(soma__model_unscale_target(model, out), SOMA_F32);
    }
    return soma_plan_create(&step->plan, soma_model_context(model), outputs, count, b->updates,
                            b->update_count, err);
}

soma_status soma__step_create(soma__step *out, soma_model *model, const soma_dataset *like,
                              int64_t batch, soma_optimizer *optimizer, const soma__loss *loss,
                              soma_error *err)
{
    *out = (soma__step){.batch = batch, .loss = loss};
    soma__loss own = {0};
    builder b = {0};
    soma_status status = builder_create(&b, model, optimizer, err);
    if (status == SOMA_OK && !loss)
        status = soma__loss_create(&own, NULL, model, NULL, err);
    if (status == SOMA_OK)
        status = build(out, &b, model, like, optimizer, loss ? loss : &own, err);
    builder_free(&b);
    soma__loss_clear(&own);
    if (status == SOMA_OK)
        status = soma_session_create(&out->session, out->plan, err);
    if (status != SOMA_OK)
        soma__step_destroy(out);
    return status;
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
    SOMA__TRY(soma__labels_fit(model, step->loss, like, y, step->batch, err));
    SOMA__TRY(
        feed(s, "x", like->x_dtype, soma__shape_batched(&like->x_shape, step->batch), x, err));
    SOMA__TRY(
        feed(s, "y", like->y_dtype, soma__shape_batched(&like->y_shape, step->batch), y, err));
    if (hyper)
        SOMA__TRY(feed(s, "hyper", SOMA_F32, SOMA_SHAPE(step->hyper_count), hyper, err));
    if (key)
        SOMA__TRY(feed(s, "key", SOMA_I64, SOMA_SHAPE(2), key, err));
    return SOMA_OK;
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
    meter->loss += soma_tensor_get(soma_session_output(step->session, 0), 0);
    meter->correct += soma_tensor_get(soma_session_output(step->session, 1), 0);
    meter->samples += step->batch;
}

soma_metrics soma__meter_read(const soma__meter *meter, const soma_model *model)
{
    double n = (double)meter->samples;
    bool has_accuracy = soma_model_get_options(model)->task != SOMA_TASK_REGRESS;
    return (soma_metrics){.loss = meter->samples ? meter->loss / n : NAN,
                          .accuracy = meter->samples && has_accuracy ? meter->correct / n : NAN,
                          .samples = meter->samples};
}
