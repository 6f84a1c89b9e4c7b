/* optim.h: inside view of optimisers.
 *
 * A kind of optimiser is described once: its name, the state that it keeps for each parameter, and
 * the rule that turns a gradient into a step. The rule emits elementwise ops only, so that a plan
 * fuses all of one parameter's update into a single pass over its memory. */
#ifndef SOMA__OPTIM_H
#define SOMA__OPTIM_H

#include "base/value.h"
#include "graph/graph.h"
#include "soma/ops.h"
#include "soma/optim.h"

#define SOMA__OPTIM_STATES 3

/* One parameter's update: the rule reads everything here and replaces `param` and `state` by their
 * next values. Scalars are vars of shape []. */
typedef struct soma__optim_step {
    const soma_optimizer_options *options; /* defaults filled in */
    soma_var rate;                         /* learning rate */
    soma_var step_size;                    /* adam: rate / (1 - beta1^t) */
    soma_var unbias;                       /* adam: 1 / sqrt(1 - beta2^t) */
    soma_var grad;
    soma_var param;
    soma_var state[SOMA__OPTIM_STATES];
} soma__optim_step;

typedef struct soma__optim_kind {
    const char *name; /* "adamw", as recipes call it */
    const char *doc;
    double rate, weight_decay; /* defaults */
    /* Names of the state tensors for these options, as PyTorch calls them; the count. */
    int (*states)(const soma_optimizer_options *options, const char *names[SOMA__OPTIM_STATES]);
    void (*step)(soma__optim_step *step);
} soma__optim_kind;

/* By soma_optimizer_kind; NULL: unknown. */
const soma__optim_kind *soma__optim_kind_of(soma_optimizer_kind kind);
/* NULL-terminated names; index is the value. */
extern const char *const soma__optimizer_names[];
extern const char *const soma__schedule_names[];

/* The options as a recipe's `optimizer:` map gives them. */
extern const soma__field soma__optimizer_fields[];
extern const int soma__optimizer_field_count;

/* Replaces zeros by defaults and checks ranges. Errors: SOMA_INVALID. */
soma_status soma__optimizer_defaults(soma_optimizer_options *options, soma_error *err);

/* Does it limit the gradient norm (and so computes it anyway)? */
bool soma__optimizer_clips(const soma_optimizer *optimizer);

double soma__schedule_rate(const soma_optimizer_options *options, int64_t step,
                           int64_t steps_per_epoch, int64_t total_steps);

#endif
