/* train.h: inside view of a training run. */
#ifndef SOMA__TRAIN_H
#define SOMA__TRAIN_H

#include "data/table.h"
#include "optim/optim.h"
#include "train/step.h"

#define SOMA__BEST_FILE "best.safetensors"
#define SOMA__CHECKPOINT_FILE "last.checkpoint"
#define SOMA__HISTORY_FILE "history.jsonl"

/* Where a run stands: all that a checkpoint must bring back besides tensors. */
typedef struct soma__progress {
    int64_t epoch;     /* finished epochs */
    int64_t step;      /* finished steps of the epoch under way */
    int64_t steps;     /* finished steps in all */
    soma__meter meter; /* of the epoch under way */
    int64_t best;      /* index in the history, -1: none */
    double best_value;
    int64_t waiting;    /* epochs since the best one */
    double rate_factor; /* of the callback */
    bool finished;      /* nothing is left to do (stopped early) */
} soma__progress;

typedef struct soma__metric {
    const char *name; /* "validation.loss" */
    bool greater;     /* is better */
    bool validation;  /* needs a validation part */
    bool accuracy;    /* needs a task that has one */
} soma__metric;

/* The metrics that can be watched; NULL: the end. */
const soma__metric *soma__metric_at(int index);
double soma__metric_value(const soma__metric *metric, const soma_epoch *epoch);

/* A run of soma_train; what callbacks know as soma_training. */
typedef struct soma_training {
    soma_model *model;
    const soma_data *data;
    soma_train_options options; /* with defaults filled in */
    soma_optimizer *optimizer;
    soma_lbfgs *lbfgs; /* steps instead of the optimiser; NULL: another kind */
    int evaluations;   /* of its step under way */
    float *hyper;      /* what a step of the optimiser is fed with */
    soma__loss loss;
    soma_loader *loader;
    int64_t lengths[SOMA_BUCKETS + 1]; /* that batches are cut to; without buckets one, 0 */
    int length_count;
    /* Steps of full batches, one for each of these lengths; an odd last batch is never cut. */
    soma__step full[SOMA_BUCKETS + 1], rest;        /* those that end in an update */
    soma__step part[SOMA_BUCKETS + 1];              /* that only join the sums; accumulate > 1 */
    soma__step count[SOMA_BUCKETS + 1], count_rest; /* running statistics anew, for swa */
    const soma__step *last;                         /* the one that ran last */
    soma_tensor **sums;         /* of gradients, one a trained parameter; NULL: none */
    int trained;                /* parameters that are */
    int64_t key[2];             /* seed and step, for dropout */
    float share;                /* 1 / the samples of an update */
    soma__evaluator evaluator;  /* loader NULL: no validation */
    const soma__metric *metric; /* what is watched; NULL: nothing */
    bool greater;               /* is better */
    soma__plateau plateau;
    soma_tensor **best; /* copies of the best weights, one a parameter; NULL: none kept */
    bool entered;       /* the model holds the average just now */
    soma_tensor **kept; /* of buffers, while running statistics are those of an average */
    soma__progress progress;
    soma_history history;
    size_t history_capacity;
    int64_t steps_per_epoch, updates_per_epoch;
    int64_t updates;    /* of the whole training */
    bool gap_told;      /* the warning that training and validation drift apart */
    double epoch_start; /* when this process began the epoch */
    char *best_path, *checkpoint_path, *history_path; /* NULL without a folder */
} soma__run;

/* train.c: steps of full batches of each length, in out[0..length_count); and the one of them for
 * the batch that the loader gave last. */
soma_status soma__run_steps(soma__run *run, soma__step *out, const soma__step_job *job,
                            soma_error *err);
soma__step *soma__run_step(const soma__run *run, soma__step *steps);

/* minimize.c: steps of L-BFGS; run->sums are its gradients. */
soma_status soma__minimize_open(soma__run *run, soma_error *err);
soma_status soma__minimize_step(soma__run *run, double *loss, soma_error *err);

/* average.c: the weights under way and their average (ema, swa, asgd) change places, and with swa
 * the running statistics are taken anew. What is evaluated and kept lies between the two. */
bool soma__averages(const soma__run *run);
soma_status soma__average_open(soma__run *run, soma_error *err);
soma_status soma__average_enter(soma__run *run, soma_error *err);
void soma__average_leave(soma__run *run);
void soma__average_close(soma__run *run);

void soma__swap_tensors(soma_tensor *a, soma_tensor *b); /* of the same size */

/* train.c: brings what follows from the history up to date, after reading it back. */
void soma__run_resumed(soma__run *run);

/* recipe.c: what a table's label columns become for a task. */
soma__target soma__task_target(soma_task task);

/* checkpoint.c */
soma_status soma__checkpoint_write(const soma__run *run, soma_error *err);
/* Brings a run back to where its checkpoint was; *found false when there is none. */
soma_status soma__checkpoint_read(soma__run *run, bool *found, soma_error *err);

/* history.c */
soma_status soma__history_add(soma__run *run, const soma_epoch *epoch, soma_error *err);
/* {"epoch":1,…} without a line end. */
void soma__history_line(soma__text *out, const soma_epoch *epoch);
soma_status soma__history_write(const soma__run *run, soma_error *err);

#endif
