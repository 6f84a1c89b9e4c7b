/* step.h: the graphs that training and evaluation run: model, loss and metrics of one batch, and in
 * training also gradients, clipping and updates. One plan and one session for each batch size that
 * occurs (the full one and that of an odd last batch). */
#ifndef SOMA__STEP_H
#define SOMA__STEP_H

#include "base/base.h"
#include "soma/train.h"
#include "train/loss.h"

/* A compiled batch. Outputs: 0 the sum of the samples' losses, 1 the number of correct samples (or
 * of their correct share), 2 in evaluation of a classifier the predicted classes i64 [B]; the last
 * one in evaluation what the model says, f32 [B, …]. */
typedef struct soma__step {
    int64_t batch;
    soma_plan *plan;
    soma_session *session;
    int raw;                /* evaluation: the output that holds what the model says */
    int hyper_count;        /* training: numbers that the optimiser is fed with */
    const soma__loss *loss; /* borrowed; NULL: the task's own */
    bool has_norm;          /* training with clipping: output 2 is the global gradient norm */
} soma__step;

/* `optimizer` NULL: evaluation. `loss` NULL: the task's own. `like` gives dtypes and shapes of x
 * and y. */
soma_status soma__step_create(soma__step *out, soma_model *model, const soma_dataset *like,
                              int64_t batch, soma_optimizer *optimizer, const soma__loss *loss,
                              soma_error *err);
void soma__step_destroy(soma__step *step);

/* Feeds a batch; in training also hyper (the optimiser's numbers) and key (i64[2]), else NULL. All
 * stay the caller's. */
soma_status soma__step_feed(soma__step *step, const soma_model *model, const soma_dataset *like,
                            const void *x, const void *y, const float *hyper, const int64_t *key,
                            soma_error *err);

/* Is this data what the model takes? `loss` NULL: every label is a class. Messages name shapes,
 * dtypes, classes and samples. */
soma_status soma__data_fits(const soma_model *model, const soma__loss *loss,
                            const soma_dataset *dataset, const char *part, soma_error *err);
/* Labels of one batch against the number of classes, for data sets that come from a function. */
soma_status soma__labels_fit(const soma_model *model, const soma__loss *loss,
                             const soma_dataset *dataset, const void *y, int64_t count,
                             soma_error *err);

/* An optimiser of the model's trainable parameters, and room for the numbers that its steps are fed
 * with (soma__free). */
soma_status soma__optimizer_for_model(soma_optimizer **out, float **hyper, const soma_model *model,
                                      const soma_optimizer_options *options, soma_error *err);

/* Running means, each sample counting once. */
typedef struct soma__meter {
    double loss, correct;
    int64_t samples;
} soma__meter;
void soma__meter_add(soma__meter *meter, const soma__step *step);
soma_metrics soma__meter_read(const soma__meter *meter, const soma_model *model);

/* An evaluation that is compiled once and run after each epoch. */
typedef struct soma__evaluator {
    soma_model *model;
    soma_dataset *dataset; /* borrowed */
    soma_loader *loader;
    soma__step full, rest;
    /* Unless NULL each batch is handed on: what the model said, and the batch's y. */
    void (*see)(void *user, const soma_tensor *raw, const void *y, int64_t count);
    void *user;
} soma__evaluator;
soma_status soma__evaluator_create(soma__evaluator *out, soma_model *model,
                                   const soma_dataset *dataset, int64_t batch,
                                   const soma__loss *loss, soma_error *err);
void soma__evaluator_destroy(soma__evaluator *evaluator);
soma_status soma__evaluator_run(soma__evaluator *evaluator, soma_metrics *out, int64_t *confusion,
                                const volatile int *stop, soma_error *err);

#endif
