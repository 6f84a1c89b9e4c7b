/* step.h: the graphs that training and evaluation run: model, loss and metrics of one batch, and in
 * training also gradients, clipping and updates. One plan and one session for each batch size that
 * occurs (the full one and that of an odd last batch). */
#ifndef SOMA__STEP_H
#define SOMA__STEP_H

#include "base/base.h"
#include "soma/train.h"
#include "train/loss.h"

/* What a step is for. */
typedef enum soma__step_purpose {
    SOMA__STEP_EVALUATE,
    SOMA__STEP_TRAIN,      /* one batch, one update */
    SOMA__STEP_ACCUMULATE, /* the batch's gradient joins the sums; no update */
    SOMA__STEP_FINISH,     /* it joins them, the update follows, the sums are zero again */
    SOMA__STEP_GRADIENT,   /* the sums become the gradient of the mean loss; no update */
    SOMA__STEP_STATISTICS, /* running statistics only, this batch with the weight `share` */
} soma__step_purpose;

typedef struct soma__step_job {
    soma__step_purpose purpose;
    soma_optimizer *optimizer; /* TRAIN, FINISH; ACCUMULATE takes its options */
    soma_tensor *const *sums;  /* ACCUMULATE, FINISH, GRADIENT: one like each trained parameter */
    const soma__loss *loss;    /* NULL: the task's own */
    int64_t length;            /* steps that the samples were cut to; 0: their own */
} soma__step_job;

/* A compiled batch. Outputs: 0 the sum of the samples' losses, 1 the number of correct samples (or
 * of their correct share); the last one in evaluation what the model says, f32 [B, …]; others as
 * below. */
typedef struct soma__step {
    int64_t batch, length; /* length: as of its job */
    soma_plan *plan;
    soma_session *session;
    int raw;                /* evaluation: the output that holds what the model says */
    int classes;            /* evaluation of a classifier: that of the classes, i64 [B] or [B,T] */
    int weight;             /* that of how much the batch counts; 0: a sample counts one */
    int hyper_count;        /* training: numbers that the optimiser is fed with */
    const soma__loss *loss; /* borrowed; NULL: the task's own */
    int norm;   /* training with clipping: the output that is the global gradient norm; 0: none */
    int health; /* training: one number for each trained parameter, not finite where its gradient
                   is not; 0: none */
} soma__step;

/* `optimizer` NULL: evaluation, else SOMA__STEP_TRAIN. `loss` NULL: the task's own. `like` gives
 * dtypes and shapes of x and y. */
soma_status soma__step_create(soma__step *out, soma_model *model, const soma_dataset *like,
                              int64_t batch, soma_optimizer *optimizer, const soma__loss *loss,
                              soma_error *err);
soma_status soma__step_create_for(soma__step *out, soma_model *model, const soma_dataset *like,
                                  int64_t batch, const soma__step_job *job, soma_error *err);
void soma__step_destroy(soma__step *step);

/* Feeds a batch; in training also hyper (the optimiser's numbers) and key (i64[2]), else NULL. All
 * stay the caller's. `share` (FINISH: 1 / the samples of all batches) is fed apart. */
soma_status soma__step_feed(soma__step *step, const soma_model *model, const soma_dataset *like,
                            const void *x, const void *y, const float *hyper, const int64_t *key,
                            soma_error *err);

soma_status soma__step_feed_share(soma__step *step, const float *share, soma_error *err);
/* Index among the trained parameters of the first whose gradient was not finite; -1: none. */
int soma__step_sick(const soma__step *step);

/* Is this data what the model takes? `loss` NULL: every label is a class. Messages name shapes,
 * dtypes, classes and samples. */
soma_status soma__data_fits(const soma_model *model, const soma__loss *loss,
                            const soma_dataset *dataset, const char *part, soma_error *err);
/* Whether the model says a class for each step, and the data have fewer labels than that: they are
 * learnt and read by CTC, class 0 the blank, -1 after the last label. */
bool soma__reads_sequences(const soma_model *model, const soma_dataset *dataset);
/* Labels of one batch against the number of classes, for data sets that come from a function. A
 * classifier of steps has so many `steps` of each sample in it. */
soma_status soma__labels_fit(const soma_model *model, const soma__loss *loss,
                             const soma_dataset *dataset, const void *y, int64_t count,
                             int64_t steps, soma_error *err);

/* An optimiser of the model's trainable parameters, and room for the numbers that its steps are fed
 * with (soma__free). */
soma_status soma__optimizer_for_model(soma_optimizer **out, float **hyper, const soma_model *model,
                                      const soma_optimizer_options *options, soma_error *err);

/* Running means. Each sample counts once, of sequences each step that has a label. */
typedef struct soma__meter {
    double loss, correct, weight;
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
