/* optim.h: inside view of optimisers.
 *
 * A kind of optimiser is described once: its name, its defaults, the state that it keeps for each
 * parameter, the numbers that it wants anew for each step, and the rule that turns a gradient into
 * a step. The rule emits elementwise ops only (those that look at whole norms apart), so that a
 * plan fuses all of one parameter's update into a single pass over its memory. What is common to
 * all kinds (clipping, decay, max-norm, lookahead, averages) wraps around the rule in optim.c. */
#ifndef SOMA__OPTIM_H
#define SOMA__OPTIM_H

#include "base/value.h"
#include "graph/graph.h"
#include "soma/ops.h"
#include "soma/optim.h"

#define SOMA__OPTIM_STATES 5 /* three of a kind, lookahead's slow weights, an average */

/* A state tensor: the shape of the parameter, full of `start` or a copy of the parameter. */
typedef struct soma__optim_state {
    const char *name; /* as PyTorch calls it */
    double start;
    bool copy;
} soma__optim_state;

/* What step t (from 1) needs besides tensors; a, b, c are the kind's own. */
typedef struct soma__optim_numbers {
    const soma_optimizer_options *options;
    double t, rate, momentum; /* momentum: or beta1, as the schedule has it now */
    double a, b, c;
} soma__optim_numbers;

/* One parameter's update: the rule reads everything here and replaces `param` and `state` by their
 * next values. Scalars are vars of shape []. */
typedef struct soma__optim_step {
    const soma_optimizer_options *options; /* defaults filled in */
    soma_var rate, a, b, c;                /* of this parameter's group */
    soma_var momentum, fresh; /* graph NULL: constant as in the options; fresh: 1 - momentum */
    double decay;             /* of this parameter; 0: none */
    soma_var grad;
    soma_var param;
    soma_var state[SOMA__OPTIM_STATES];
} soma__optim_step;

typedef enum soma__optim_cycles {
    SOMA__CYCLES_NONE,
    SOMA__CYCLES_MOMENTUM,
    SOMA__CYCLES_BETA1
} soma__optim_cycles;

typedef struct soma__optim_kind {
    const char *name; /* "adamw", as recipes call it */
    const char *doc;
    double rate, weight_decay, eps, alpha, beta2; /* defaults; 0: those common to all */
    bool decoupled;                               /* weight decay apart from the gradient */
    bool own_decay;                               /* the rule sees to weight decay itself */
    soma__optim_cycles cycles; /* what one_cycle and cyclic schedules move against the rate */
    int average;               /* 1 + index of a state that is evaluated instead of the weights */
    int (*states)(const soma_optimizer_options *options,
                  soma__optim_state states[SOMA__OPTIM_STATES]);
    void (*numbers)(soma__optim_numbers *numbers); /* NULL: needs none */
    void (*step)(soma__optim_step *step);
} soma__optim_kind;

/* By soma_optimizer_kind; NULL: unknown. */
const soma__optim_kind *soma__optim_kind_of(soma_optimizer_kind kind);
/* NULL-terminated names; index is the value. */
extern const char *const soma__optimizer_names[];
extern const char *const soma__schedule_names[];
extern const char *const soma__schedule_docs[];

/* The options as a recipe's `optimizer:` map gives them, and what needs more than a field. */
typedef struct soma__optimizer_section {
    soma_optimizer_options options; /* first: offsets are those of the options */
    const soma__value *groups, *milestones;
} soma__optimizer_section;
extern const soma__field soma__optimizer_fields[];
extern const int soma__optimizer_field_count;
extern const soma__field soma__optimizer_group_fields[];
extern const int soma__optimizer_group_field_count;
/* Reads `optimizer: adam` or a map; what the options point to lives in the tree's arena. `where` is
 * the path for messages. Errors: SOMA_INVALID, SOMA_MEMORY. */
soma_status soma__optimizer_read(soma_optimizer_options *out, soma__tree *tree,
                                 const soma__value *value, const char *where, soma_error *err);

/* Replaces zeros by defaults and checks ranges. Errors: SOMA_INVALID. */
soma_status soma__optimizer_defaults(soma_optimizer_options *options, soma_error *err);

/* Does it limit the gradient norm (and so computes it anyway)? */
bool soma__optimizer_clips(const soma_optimizer *optimizer);
const soma_optimizer_options *soma__optimizer_options(const soma_optimizer *optimizer);
/* The group of a parameter: 0 the common options, i the options' group i - 1. */
int soma__optimizer_group_of(const soma_optimizer_options *options, const char *name);
/* "backbone.*" against a name: * any text, ? any one byte. */
bool soma__glob(const char *pattern, const char *text);

/* Where a step lies in the training. */
typedef struct soma__when {
    int64_t step, steps_per_epoch, total_steps;
} soma__when;
double soma__schedule_rate(const soma_optimizer_options *options, soma__when when);
/* Whether the schedule moves momentum, and where to at this step. */
bool soma__schedule_cycles(const soma_optimizer_options *options);
/* What a plateau schedule remembers of the epochs so far; begin with factor 1 and best NaN. */
typedef struct soma__plateau {
    double factor; /* of the rate, by all drops so far */
    double best;
    int64_t bad, cooldown; /* epochs without a better value; epochs to wait */
} soma__plateau;
/* One more epoch brought `value`; `greater`: greater is better. */
void soma__plateau_epoch(soma__plateau *plateau, const soma_optimizer_options *options,
                         double value, bool greater);
double soma__schedule_momentum(const soma_optimizer_options *options, soma__when when);

#endif
