/* loss.h: the losses that a training can take: one table (losses.def), each with the keys of its
 * options, the tasks it fits and how it is built. `soma ops --losses` prints it. */
#ifndef SOMA__TRAIN_LOSS_H
#define SOMA__TRAIN_LOSS_H

#include "base/value.h"
#include "soma/train.h"

#define SOMA__TASK_BIT(task_) (1U << (task_))

/* A loss at work in one graph. */
typedef struct soma__loss_build {
    const soma_loss_options *options; /* defaults filled in */
    soma_task task;
    soma_var out;    /* what the model says, [B, …] */
    soma_var y;      /* classify: labels [B]; else targets in out's shape and dtype */
    soma_var weight; /* of the classes, [K]; graph NULL: 1 each */
} soma__loss_build;

typedef struct soma__loss_type {
    const char *name; /* "huber", as recipes call it */
    const char *doc;
    const char *wants;         /* what the model says and what the targets are */
    unsigned tasks;            /* SOMA__TASK_BIT of each */
    const soma__field *fields; /* of a soma__loss_section */
    int field_count;
    soma_loss_options defaults; /* what a zero stands for */
    /* One value for each sample or element. */
    soma_var (*each)(const soma__loss_build *b);
} soma__loss_type;

/* What the field tables fill: class_weights is read by soma__loss_read. */
typedef struct soma__loss_section {
    soma_loss_options options;
    const soma__value *class_weights;
} soma__loss_section;

int soma__loss_count(void);
const soma__loss_type *soma__loss_at(int index);          /* NULL: out of range */
const soma__loss_type *soma__loss_find(const char *name); /* NULL: unknown */
const char *soma__loss_nearest(const char *name);         /* or NULL */

/* A recipe's `loss:`, a name or {name: {options}}, into `*out`, whose class_weights are in the
 * tree's arena. NULL and null leave it alone. */
soma_status soma__loss_read(soma_loss_options *out, soma__tree *tree, const soma__value *value,
                            const char *where, soma_error *err);

/* A loss that fits a model. */
typedef struct soma__loss {
    const soma__loss_type *type;
    soma_loss_options options; /* defaults filled in */
    soma_tensor *weight;       /* of the classes, f32 [K], or NULL */
} soma__loss;

/* `options` NULL: the task's own loss. `train` is what balanced class weights are counted on; NULL:
 * they cannot be. Errors: SOMA_INVALID (it does not fit task or classes: the message says what
 * does), SOMA_MEMORY. */
soma_status soma__loss_create(soma__loss *out, const soma_loss_options *options,
                              const soma_model *model, const soma_dataset *train, soma_error *err);
void soma__loss_clear(soma__loss *loss);

/* Of a batch: *loss [B], whose mean is what is minimised; *correct a scalar, how many (or which
 * share) of the B samples are right; *classes the predicted classes i64 [B], or a failed var.
 *
 * Of a classifier of steps (out [B,T,K], y i64 [B,T]) steps with a negative label count for
 * nothing: they are padding. The mean of the losses is that over all steps that count, *classes is
 * [B,T] and *weight how many they are; else its graph is NULL. */
void soma__loss_apply(const soma__loss *loss, soma_model *model, soma_var out, soma_var y,
                      soma_var *each, soma_var *correct, soma_var *classes, soma_var *weight);

#endif
