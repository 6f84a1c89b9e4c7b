/* train.h: inside view of a training run. */
#ifndef SOMA__TRAIN_H
#define SOMA__TRAIN_H

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
    double best_loss;
    int64_t waiting; /* epochs since the best one */
    bool finished;   /* nothing is left to do (stopped early) */
} soma__progress;

typedef struct soma__run {
    soma_model *model;
    const soma_data *data;
    soma_train_options options; /* with defaults filled in */
    soma_optimizer *optimizer;
    float *hyper; /* what a step of the optimiser is fed with */
    soma__loss loss;
    soma_loader *loader;
    soma__step full, rest;
    soma__evaluator evaluator; /* loader NULL: no validation */
    soma_tensor **best;        /* copies of the best weights, one a parameter; NULL: none kept */
    soma__progress progress;
    soma_history history;
    size_t history_capacity;
    int64_t steps_per_epoch;
    bool gap_told;      /* the warning that training and validation drift apart */
    double epoch_start; /* when this process began the epoch */
    char *best_path, *checkpoint_path, *history_path; /* NULL without a folder */
} soma__run;

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
