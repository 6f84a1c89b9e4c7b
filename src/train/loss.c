/* loss.c: from the options of a loss to what a step minimises. */
#include "train/loss.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/dataset.h"
#include "nn/nn.h"
#include "soma/ctc.h"
#include "soma/ops.h"
#include "soma/sequence.h"

/* --- the table ---------------------------------------------------------------------------------
 */

#define LOSS(name_, number_) extern const soma__loss_type soma__loss_##name_;
#include "train/losses.def"
#undef LOSS

static const soma__loss_type *const types[] = {
#define LOSS(name_, number_) [SOMA_LOSS_##number_ - 1] = &soma__loss_##name_,
#include "train/losses.def"
#undef LOSS
};
#define TYPE_COUNT ((int)(sizeof types / sizeof types[0]))

int soma__loss_count(void)
{
    return TYPE_COUNT;
}

const soma__loss_type *soma__loss_at(int index)
{
    return index >= 0 && index < TYPE_COUNT ? types[index] : NULL;
}

const soma__loss_type *soma__loss_find(const char *name)
{
    for (int i = 0; i < TYPE_COUNT; i++)
        if (strcmp(types[i]->name, name) == 0)
            return types[i];
    return NULL;
}

const char *soma__loss_nearest(const char *name)
{
    const char *names[TYPE_COUNT];
    for (int i = 0; i < TYPE_COUNT; i++)
        names[i] = types[i]->name;
    return soma__nearest(name, names, TYPE_COUNT);
}

static soma_loss_kind kind_of(const soma__loss_type *type)
{
    int i = 0;
    while (types[i] != type)
        i++;
    return (soma_loss_kind)(i + 1);
}

/* --- from recipes ------------------------------------------------------------------------------
 */

static soma_status read_weights(soma_loss_options *out, soma__tree *tree, const soma__value *value,
                                const char *where, soma_error *err)
{
    if (!value || value->kind == SOMA__NULL)
        return SOMA_OK;
    if (value->kind == SOMA__STRING && strcmp(value->text, "balanced") == 0) {
        out->balanced = true;
        return SOMA_OK;
    }
    if (value->kind != SOMA__LIST || value->count == 0)
        return soma__value_fail(tree, value, err,
                                "%s.class_weights: expected balanced or a list of numbers", where);
    double *weights = soma__arena_array(&tree->arena, (size_t)value->count, sizeof *weights);
    if (!weights)
        return soma__fail(err, SOMA_MEMORY, "no memory for class weights");
    for (const soma__value *item = value->first; item; item = item->next) {
        if ((item->kind != SOMA__INT && item->kind != SOMA__FLOAT) || !(item->number >= 0) ||
            isinf(item->number))
            return soma__value_fail(tree, item, err,
                                    "%s.class_weights: number %d is not a number of at least 0",
                                    where, out->class_weight_count + 1);
        weights[out->class_weight_count++] = item->number;
    }
    out->class_weights = weights;
    return SOMA_OK;
}

/* The name in "huber" or {huber: {…}}, and what is behind it. */
static const char *name_of(const soma__value *value, const soma__value **options)
{
    *options = NULL;
    if (value->kind == SOMA__STRING)
        return value->text;
    if (value->kind != SOMA__MAP || value->count != 1)
        return NULL;
    *options = value->first;
    return value->first->key;
}

soma_status soma__loss_read(soma_loss_options *out, soma__tree *tree, const soma__value *value,
                            const char *where, soma_error *err)
{
    const soma__value *options;
    char path[128];
    if (!value || value->kind == SOMA__NULL)
        return SOMA_OK;
    const char *name = name_of(value, &options);
    if (!name)
        return soma__value_fail(tree, value, err,
                                "%s: expected a name, or one name with options: {huber: {delta: "
                                "2}}",
                                where);
    const soma__loss_type *type = soma__loss_find(name);
    if (!type) {
        const char *near = soma__loss_nearest(name);
        return soma__value_fail(
            tree, value, err, "%s: there is no loss '%s'%s%s%s; `soma ops --losses` lists them",
            where, name, near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    soma__loss_section section = {.options = {.kind = kind_of(type)}};
    snprintf(path, sizeof path, "%s.%s", where, name);
    SOMA__TRY(soma__fields_read(type->fields, (size_t)type->field_count, &section, tree, options,
                                path, err));
    const soma__value *index = options ? soma__value_find(options, "ignore_index") : NULL;
    section.options.ignores = index && index->kind != SOMA__NULL;
    SOMA__TRY(read_weights(&section.options, tree, section.class_weights, path, err));
    *out = section.options;
    return SOMA_OK;
}

/* --- does it fit? ------------------------------------------------------------------------------
 */

static const char *task_loss(soma_task task)
{
    return task == SOMA_TASK_CLASSIFY ? "cross_entropy"
           : task == SOMA_TASK_BINARY ? "bce_logits"
                                      : "mse";
}

static soma_status wrong_task(const soma__loss_type *type, soma_task task, soma_error *err)
{
    soma__text fitting = {0};
    for (int i = 0; i < TYPE_COUNT; i++)
        if (types[i]->tasks & SOMA__TASK_BIT(task))
            soma__text_add(&fitting, "%s%s", fitting.length ? ", " : "", types[i]->name);
    soma_status status = soma__fail(
        err, SOMA_INVALID,
        "the loss %s wants a model that gives %s, the task is %s, which takes one of: %s",
        type->name, type->wants, soma__task_text(task), fitting.failed ? "" : fitting.data);
    soma__text_free(&fitting);
    return status;
}

/* The numbers that C code has given: as the recipe's keys are checked. A loss without a key does
 * not look at its number. Zeros become the defaults. */
static soma_status check_numbers(const soma__loss_type *type, soma_loss_options *o, soma_error *err)
{
    for (int i = 0; i < type->field_count; i++) {
        const soma__field *field = &type->fields[i];
        double *number = (double *)(void *)((char *)o + field->offset);
        if (field->kind != SOMA__FIELD_FLOAT)
            continue;
        if (fpclassify(*number) == FP_ZERO)
            memcpy(number, (const char *)&type->defaults + field->offset, sizeof *number);
        else if (!(*number >= field->min && *number <= field->max))
            return soma__fail(err, SOMA_INVALID, "loss %s: %s must be from %g to %g, got %g",
                              type->name, field->key, field->min, field->max, *number);
    }
    return SOMA_OK;
}

static bool has_field(const soma__loss_type *type, const char *key)
{
    for (int i = 0; i < type->field_count; i++)
        if (strcmp(type->fields[i].key, key) == 0)
            return true;
    return false;
}

/* n / (K n_k): each class weighs the same in all. A class without samples gets 0. */
static soma_status balance(soma__loss *loss, int classes, const soma_dataset *train,
                           soma_error *err)
{
    const soma_loss_options *o = &loss->options;
    if (!train || !train->labels)
        return soma__fail(err, SOMA_INVALID,
                          "loss %s: balanced class weights are counted on training labels, of "
                          "which there are none",
                          loss->type->name);
    int64_t *counts = soma__calloc((size_t)classes, sizeof *counts), total = 0;
    if (!counts)
        return soma__fail(err, SOMA_MEMORY, "no memory for class weights");
    for (int64_t i = 0; i < train->count; i++) {
        int64_t label = soma__dataset_label(train, i);
        if (label < 0 || label >= classes || (o->ignores && label == o->ignore_index))
            continue;
        counts[label]++;
        total++;
    }
    for (int k = 0; k < classes; k++)
        soma_tensor_set(loss->weight, k,
                        counts[k] ? (double)total / ((double)classes * (double)counts[k]) : 0);
    soma__free(counts);
    return SOMA_OK;
}

static soma_status make_weights(soma__loss *loss, const soma_model *model,
                                const soma_dataset *train, soma_error *err)
{
    const soma_loss_options *o = &loss->options;
    if (!o->balanced && !o->class_weight_count)
        return SOMA_OK;
    const char *name = loss->type->name;
    int classes = soma_model_class_count(model);
    bool classify = soma_model_get_options(model)->task == SOMA_TASK_CLASSIFY;
    if (!classify || !has_field(loss->type, "class_weights"))
        return soma__fail(err, SOMA_INVALID, "loss %s: takes no class weights%s", name,
                          classify ? "" : " but with task classify");
    if (o->balanced && o->class_weight_count)
        return soma__fail(err, SOMA_INVALID,
                          "loss %s: class weights are given and balanced; leave one out", name);
    if (o->class_weight_count && (o->class_weight_count != classes || !o->class_weights))
        return soma__fail(err, SOMA_INVALID, "loss %s: %d class weights for %d classes", name,
                          o->class_weight_count, classes);
    SOMA__TRY(soma_tensor_create(&loss->weight, SOMA_F32, SOMA_SHAPE(classes), err));
    if (o->balanced)
        return balance(loss, classes, train, err);
    for (int k = 0; k < classes; k++) {
        if (!(o->class_weights[k] >= 0) || isinf(o->class_weights[k]))
            return soma__fail(err, SOMA_INVALID,
                              "loss %s: the weight of class %d is %g, must be a number of at "
                              "least 0",
                              name, k, o->class_weights[k]);
        soma_tensor_set(loss->weight, k, o->class_weights[k]);
    }
    return SOMA_OK;
}

static soma_status fit(soma__loss *loss, const soma_model *model, const soma_dataset *train,
                       soma_error *err)
{
    soma_task task = soma_model_get_options(model)->task;
    soma_loss_options *o = &loss->options;
    const bool chain = soma__model_chain(model);
    if (!(loss->type->tasks & SOMA__TASK_BIT(task)))
        return wrong_task(loss->type, task, err);
    if (chain != (o->kind == SOMA_LOSS_CRF))
        return soma__fail(err, SOMA_INVALID,
                          chain ? "the loss %s does not fit a crf layer, whose loss is crf"
                                : "the loss %s is that of a model whose last layer is crf",
                          loss->type->name);
    SOMA__TRY(check_numbers(loss->type, o, err));
    if (o->ignores && !has_field(loss->type, "ignore_index"))
        return soma__fail(err, SOMA_INVALID, "loss %s: takes no ignore_index", loss->type->name);
    return make_weights(loss, model, train, err);
}

soma_status soma__loss_create(soma__loss *out, const soma_loss_options *options,
                              const soma_model *model, const soma_dataset *train, soma_error *err)
{
    soma_task task = soma_model_get_options(model)->task;
    *out = (soma__loss){.options = options ? *options : (soma_loss_options){0}};
    int kind = (int)out->options.kind;
    if (kind < 0 || kind > TYPE_COUNT)
        return soma__fail(err, SOMA_INVALID, "there is no loss number %d", kind);
    out->type = kind ? types[kind - 1]
                     : soma__loss_find(soma__model_chain(model) ? "crf" : task_loss(task));
    out->options.kind = kind_of(out->type);
    soma_status status = fit(out, model, train, err);
    if (status != SOMA_OK)
        soma__loss_clear(out);
    return status;
}

void soma__loss_clear(soma__loss *loss)
{
    soma_tensor_release(loss->weight);
    *loss = (soma__loss){0};
}

/* --- in a graph --------------------------------------------------------------------------------
 */

/* [B,…] -> [B], the mean over a sample's values. */
static soma_var per_sample(soma_var loss)
{
    soma_shape shape = soma_var_shape(loss);
    return shape.ndim > 1 ? soma_mean(soma_flatten(loss, 1), .axes = {1}, .count = 1) : loss;
}

/* Targets in the dtype and shape of the model's output. */
static soma_var targets_like(soma_var y, soma_var out)
{
    y = soma_cast(y, soma_var_dtype(out));
    return soma_reshape(y, soma_var_shape(out));
}

/* x · B / Σ by, whose mean is Σ x / Σ by; nothing where all of `by` is 0. */
static soma_var spread_over(soma_var x, soma_var by)
{
    soma_shape shape = soma_var_shape(by);
    soma_var sum = soma_maximum(soma_sum(by), soma_scalar(by.graph, soma_var_dtype(by), 1e-12));
    return soma_mul(x,
                    soma_div(soma_scalar(by.graph, soma_var_dtype(by), (double)shape.dim[0]), sum));
}

/* Cross-entropy and nll divide by the weights of the samples that count, as PyTorch does. */
static void weigh(const soma__loss *loss, const soma__loss_build *b, soma_var counts,
                  soma_var *each)
{
    bool averages =
        loss->options.kind == SOMA_LOSS_CROSS_ENTROPY || loss->options.kind == SOMA_LOSS_NLL;
    soma_var by = counts;
    if (!averages || (!b->weight.graph && !counts.graph))
        return;
    if (b->weight.graph) {
        /* A label out of range, as an ignored one may be, reads weight 0. */
        by = soma_gather(b->weight, b->y, 0);
        if (counts.graph)
            by = soma_mul(by, counts);
    }
    *each = spread_over(*each, by);
}

static void apply_classes(const soma__loss *loss, const soma__loss_build *b, soma_var *each,
                          soma_var *correct, soma_var *classes)
{
    soma_graph *graph = b->out.graph;
    soma_var counts = {0}, labels = b->y;
    /* Of a distribution the largest share is the label; nothing of it can be ignored. */
    bool soft = soma_dtype_is_float(soma_var_dtype(b->y));
    *each = loss->type->each(b);
    if (soft)
        labels = soma_argmax(b->y, -1);
    if (loss->options.ignores && !soft) {
        soma_var index =
            soma_scalar(graph, soma_var_dtype(b->y), (double)loss->options.ignore_index);
        counts = soma_cast(soma_not_equal(b->y, index), SOMA_F32);
    }
    if (!soft)
        weigh(loss, b, counts, each);
    *classes = soma_argmax(b->out, -1);
    soma_var hit = soma_cast(soma_equal(*classes, labels), SOMA_F32);
    if (counts.graph)
        hit = spread_over(soma_mul(hit, counts), counts);
    *correct = soma_sum(hit);
}

/* Sums over a sample's steps, so that the mean over the B samples is Σ x / Σ by over all steps. */
static soma_var over_steps(soma_var x, soma_var by, soma_shape steps)
{
    return soma_sum(soma_reshape(spread_over(x, by), steps), .axes = {1}, .count = 1);
}

/* A class for each step. All steps of all samples are one long batch to the loss; those without a
 * label stand there as class 0 and weigh nothing. */
static void apply_steps(const soma__loss *loss, soma__loss_build *b, soma_var *each,
                        soma_var *correct, soma_var *classes, soma_var *weight)
{
    soma_graph *graph = b->out.graph;
    const soma_shape out = soma_var_shape(b->out);
    const int64_t steps = out.dim[1], all = out.dim[0] * steps;
    const soma_shape shape = SOMA_SHAPE(out.dim[0], steps);
    soma_var y = soma_reshape(b->y, SOMA_SHAPE(all));
    soma_var zero = soma_scalar(graph, SOMA_I64, 0);
    soma_var known = soma_greater_equal(y, zero);
    if (loss->options.ignores) {
        soma_var index = soma_scalar(graph, SOMA_I64, (double)loss->options.ignore_index);
        known = soma_logical_and(known, soma_not_equal(y, index));
    }
    soma_var counts = soma_cast(known, SOMA_F32), by = counts;
    b->y = soma_where(known, y, zero);
    b->out = soma_reshape(b->out, SOMA_SHAPE(all, out.dim[2]));
    *each = loss->type->each(b);
    if (b->weight.graph) /* the losses have the factors of their classes already */
        by = soma_mul(soma_gather(b->weight, b->y, 0), counts);
    *each = soma_mul_scalar(over_steps(soma_mul(*each, counts), by, shape), 1 / (double)steps);
    *classes = soma_argmax(b->out, -1);
    soma_var hit = soma_cast(soma_equal(*classes, b->y), SOMA_F32);
    hit = over_steps(soma_mul(hit, counts), counts, shape);
    *correct = soma_mul_scalar(soma_sum(hit), 1 / (double)steps);
    *classes = soma_reshape(*classes, shape);
    *weight = soma_sum(counts);
}

/* Sequences that are shorter than the steps: class 0 is the blank. A target that does not fit
 * counts for nothing; of each the loss is that of a label, as the mean of soma_ctc_loss has it.
 * Right is what the best path reads label for label. */
static void apply_ctc(const soma__loss_build *b, soma_var *each, soma_var *correct)
{
    soma_graph *graph = b->out.graph;
    const int64_t most = soma_var_shape(b->y).dim[1];
    soma_var zero = soma_scalar(graph, SOMA_I64, 0);
    soma_var length =
        soma_sum(soma_cast(soma_greater_equal(b->y, zero), SOMA_F32), .axes = {1}, .count = 1);
    *each = soma_ctc_loss(soma_log_softmax(b->out, 2), b->y, .zero_infinity = true);
    *each = soma_div(*each, soma_clamp(length, 1, (double)most));

    /* Label i of the path stands at the step where so many have been read; further ones at none. */
    soma_var path = soma_ctc_best_path(b->out, (soma_var){0}, 0);
    soma_var read = soma_greater_equal(path, zero);
    soma_var place = soma_add_scalar(soma_cumsum(soma_cast(read, SOMA_F32), 1), -1);
    soma_var said = soma_sum(soma_cast(read, SOMA_F32), .axes = {1}, .count = 1);
    soma_var index = soma_cast(soma_clamp(place, 0, (double)most - 1), SOMA_I64);
    soma_var same = soma_logical_and(read, soma_equal(soma_gather_elements(b->y, index, 1), path));
    soma_var hits = soma_sum(soma_cast(same, SOMA_F32), .axes = {1}, .count = 1);
    soma_var right = soma_logical_and(soma_equal(hits, length), soma_equal(said, length));
    *correct = soma_sum(soma_cast(right, SOMA_F32));
}

/* A class for each step, all steps of a sample together. The loss is spread over the steps that
 * have a label, as that of apply_steps is. */
static void apply_chain(const soma__loss *loss, const soma__loss_build *b, soma_var *each,
                        soma_var *correct, soma_var *classes, soma_var *weight)
{
    soma_graph *graph = b->out.graph;
    soma_var known = soma_greater_equal(b->y, soma_scalar(graph, SOMA_I64, 0));
    soma_var counts = soma_cast(known, SOMA_F32);
    soma_var one = soma_scalar(graph, SOMA_F32, 1), all = soma_sum(counts);
    const double batch = (double)soma_var_shape(b->out).dim[0];
    soma_var share = soma_div(soma_scalar(graph, SOMA_F32, batch), soma_maximum(all, one));
    *each = soma_mul(loss->type->each(b), share);
    *classes = soma_chain_tags(b->out);
    soma_var hit = soma_cast(soma_equal(*classes, b->y), SOMA_F32);
    *correct = soma_mul(soma_sum(soma_mul(hit, counts)), share);
    *weight = all;
}

void soma__loss_apply(const soma__loss *loss, soma_model *model, soma_var out, soma_var y,
                      soma_var *each, soma_var *correct, soma_var *classes, soma_var *weight)
{
    soma_graph *graph = out.graph;
    soma_task task = soma_model_get_options(model)->task;
    soma__loss_build b = {.options = &loss->options, .task = task, .out = out, .y = y};
    *classes = (soma_var){graph, -1};
    *weight = (soma_var){0};
    *correct = soma_scalar(graph, SOMA_F32, 0);
    soma_scope_begin(graph, "loss");
    if (loss->weight)
        b.weight = soma_constant(graph, loss->weight);
    const soma_shape said = soma_var_shape(out);
    if (soma__model_chain(model)) {
        apply_chain(loss, &b, each, correct, classes, weight);
    } else if (task == SOMA_TASK_CLASSIFY && said.ndim == 3 &&
               soma_var_shape(y).dim[1] < said.dim[1]) {
        apply_ctc(&b, each, correct);
    } else if (task == SOMA_TASK_CLASSIFY && said.ndim == 3) {
        apply_steps(loss, &b, each, correct, classes, weight);
    } else if (task == SOMA_TASK_CLASSIFY) {
        apply_classes(loss, &b, each, correct, classes);
    } else {
        b.y = targets_like(y, out);
        if (task == SOMA_TASK_REGRESS)
            b.y = soma__model_scale_target(model, b.y);
        *each = per_sample(loss->type->each(&b));
        if (task == SOMA_TASK_BINARY) {
            soma_var zero = soma_scalar(graph, SOMA_F32, 0),
                     half = soma_scalar(graph, SOMA_F32, 0.5);
            soma_var hit = soma_equal(soma_greater(out, zero), soma_greater(b.y, half));
            *correct = soma_sum(per_sample(soma_cast(hit, SOMA_F32)));
        }
    }
    soma_scope_end(graph);
}
