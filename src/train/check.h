/* check.h: what the checks of the linter work with. check.c has the table of checks and those that
 * look at data and run the model, check_graph.c those that read the model's graph. */
#ifndef SOMA__TRAIN_CHECK_H
#define SOMA__TRAIN_CHECK_H

#include "soma/check.h"
#include "train/loss.h"

/* The model's graph in one mode, and what in it depends on the input. */
typedef struct soma__check_graph {
    soma_graph *graph;
    soma_var out;
    bool *depends; /* of each node: on the model's input */
    bool *random;  /* of each node: on a draw, but not on the input */
} soma__check_graph;

typedef struct soma__linter soma__linter;

/* One row of the table. */
typedef struct soma__lint {
    const char *id;
    soma_severity severity; /* the highest that it reports */
    bool slow;              /* reads all samples or runs the model */
    soma_status (*run)(soma__linter *l, soma_error *err);
    const char *doc;
} soma__lint;

struct soma__linter {
    soma_model *model;
    const soma_data *data;
    soma_train_options options; /* with defaults filled in */
    soma__loss loss;            /* type NULL: it does not fit; `loss_error` says why */
    soma_error loss_error;
    soma__check_graph evaluate, train;
    const soma__lint *now; /* the check that runs */
    soma_findings *out;
    size_t capacity;
};

/* Reports; `fix` says what to do. Errors: SOMA_MEMORY. */
soma_status soma__lint_found(soma__linter *l, soma_severity severity, soma_error *err,
                             const char *fix, const char *format, ...) SOMA_PRINTF(5, 6);

/* check_graph.c */
soma_status soma__check_graph_create(soma__check_graph *out, soma_model *model, soma_mode mode,
                                     soma_error *err);
void soma__check_graph_destroy(soma__check_graph *g);
/* Name of the op that makes the model's output ("softmax", "matmul"), behind views and casts. */
const char *soma__check_output_op(const soma__check_graph *g);
soma_status soma__check_no_nonlinearity(soma__linter *l, soma_error *err);
soma_status soma__check_dropout(soma__linter *l, soma_error *err);
soma_status soma__check_dead_relu(soma__linter *l, soma_error *err);

/* check.c: `count` samples spread over the training part, as evaluation sees them; x and y are
 * released with soma__free. *count may come out smaller. */
soma_status soma__check_samples(soma__linter *l, int64_t *count, void **x, void **y,
                                soma_error *err);

#endif
