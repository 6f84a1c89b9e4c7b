/* soma/optim.h: optimisers and learning-rate schedules. An optimiser is graph: it turns gradients
 * into updates of parameters and of its own state, which the plan fuses. */
#ifndef SOMA_OPTIM_H
#define SOMA_OPTIM_H

#include "graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* PyTorch's forms, or the paper's where PyTorch has none (lion, lamb, lars). `soma ops
 * --optimizers` tells more of each. */
typedef enum soma_optimizer_kind {
    SOMA_SGD,      /* momentum (Polyak), nesterov, dampening, sign */
    SOMA_ADAM,     /* Kingma & Ba 2015; weight decay is L2 */
    SOMA_ADAMW,    /* Loshchilov & Hutter 2019; decoupled decay */
    SOMA_RMSPROP,  /* Tieleman & Hinton 2012; momentum and centering optional */
    SOMA_ADAGRAD,  /* Duchi et al. 2011 */
    SOMA_ADADELTA, /* Zeiler 2012 */
    SOMA_ADAMAX,   /* Kingma & Ba 2015 */
    SOMA_NADAM,    /* Dozat 2016 */
    SOMA_RADAM,    /* Liu et al. 2020 */
    SOMA_LION,     /* Chen et al. 2023; decoupled decay */
    SOMA_LAMB,     /* You et al. 2020 */
    SOMA_LARS,     /* You et al. 2017 */
    SOMA_RPROP,    /* Riedmiller & Braun 1993; whole batches */
    SOMA_ASGD,     /* Polyak & Juditsky 1992 */
    SOMA_LBFGS     /* Nocedal & Wright 2006; whole batches; see soma_lbfgs below */
} soma_optimizer_kind;

typedef enum soma_schedule_kind {
    SOMA_SCHEDULE_CONSTANT,
    SOMA_SCHEDULE_STEP,            /* × gamma every `step_epochs` epochs */
    SOMA_SCHEDULE_COSINE,          /* half cosine from rate to min_rate over the whole training */
    SOMA_SCHEDULE_MULTISTEP,       /* × gamma at each epoch of `milestones` */
    SOMA_SCHEDULE_EXPONENTIAL,     /* × gamma each epoch */
    SOMA_SCHEDULE_LINEAR,          /* straight from rate to min_rate over the whole training */
    SOMA_SCHEDULE_POLYNOMIAL,      /* likewise, by the power `power` */
    SOMA_SCHEDULE_COSINE_RESTARTS, /* Loshchilov & Hutter 2017: half cosines of `cycle_epochs`, each
                                      `cycle_growth` times as long as the last */
    SOMA_SCHEDULE_ONE_CYCLE, /* Smith & Topin 2018: rises from rate / div_start for the share `rise`
                                of the training, then falls to rate / (div_start · div_end);
                                momentum the other way around */
    SOMA_SCHEDULE_CYCLIC, /* Smith 2017: triangles between min_rate and rate, `cycle_epochs` each;
                             momentum the other way around */
    SOMA_SCHEDULE_CYCLIC_HALVING,     /* each triangle half as high as the last */
    SOMA_SCHEDULE_CYCLIC_EXPONENTIAL, /* their height × gamma at each step */
    SOMA_SCHEDULE_INVERSE_SQRT,       /* Vaswani et al. 2017: linear to rate in warmup_steps, then
                                         rate · √(warmup_steps / step) */
    SOMA_SCHEDULE_PLATEAU /* × gamma when the watched metric got no better for `plateau_epochs` */
} soma_schedule_kind;

#define SOMA_MILESTONES 16

/* Parameters with options of their own: of several groups that match a name the first counts. */
typedef struct soma_optimizer_group {
    const char *match;   /* of the whole name: * any text, ? any one character */
    double rate;         /* instead of the optimiser's, schedules scale along [0: the same] */
    double rate_factor;  /* else × this [0: 1]; to hold parameters still freeze them */
    double weight_decay; /* instead of the optimiser's [0: the same]; negative: none */
} soma_optimizer_group;

/* Zeros mean the defaults in brackets. */
typedef struct soma_optimizer_options {
    soma_optimizer_kind kind;
    double rate;         /* learning rate [by kind, as PyTorch; lion 1e-4, lamb 0.001, lars 0.1] */
    double momentum;     /* sgd, rmsprop, lars [0] */
    double dampening;    /* sgd: this share of the gradient does not enter the momentum [0] */
    bool nesterov;       /* sgd */
    bool sign;           /* sgd: only the sign of the step counts */
    double beta1, beta2; /* the adams, lion, lamb [0.9, 0.999; lion 0.99] */
    bool amsgrad;        /* adam, adamw: the greatest second moment so far */
    double momentum_decay; /* nadam [0.004] */
    double alpha;          /* rmsprop, adadelta: smoothing [0.99, 0.9]; asgd: power [0.75] */
    bool centered;         /* rmsprop: divide by the deviation, not by the root mean square */
    double rate_decay, initial_sum;  /* adagrad [0] */
    double trust;                    /* lars: trust coefficient [0.001] */
    double shrink, grow;             /* rprop: factors of a step [0.5, 1.2] */
    double step_min, step_max;       /* rprop: limits of a step [1e-6, 50] */
    double lambda, average_from;     /* asgd: decay, first step that is averaged [1e-4, 1e6] */
    int64_t iterations, evaluations; /* lbfgs: at most so many a step [20, 5/4 of them] */
    int64_t history;                 /* lbfgs: steps remembered [10] */
    double tolerance_gradient, tolerance_change; /* lbfgs: ends a step [1e-7, 1e-9] */
    double eps;                                  /* [1e-8; adagrad 1e-10, adadelta and lamb 1e-6] */

    double weight_decay; /* L2, decoupled for adamw and lion [0; adamw 0.01]; negative: none */
    bool decoupled; /* other kinds too: p · (1 - rate · weight_decay) apart from the gradient */
    double l1;      /* adds l1 · sign(p) to the gradient [0] */
    bool decay_weights_only; /* no weight decay and no l1 where a parameter has less than two
                                dimensions (biases, norms) */
    double max_norm;         /* after each step: the weights of each output (axis 0 of two or more
                                dimensions) have at most this norm [0: off] */
    double clip_value; /* each number of the gradient is limited to ± this, after clip_norm [0] */
    double clip_norm;  /* global gradient norm is limited to this [0: off] */
    const soma_optimizer_group *groups; /* borrowed until the optimiser is made */
    int group_count;

    int64_t lookahead;      /* Zhang et al. 2019: every so many steps … [0: off] */
    double lookahead_alpha; /* … slow weights go this far towards the fast ones [0.5] */
    double sam; /* Foret et al. 2021: the gradient at the worst point this far away; a step costs
                   two passes; done by soma_train [0: off] */
    double ema; /* evaluates and keeps weights averaged with this decay, say 0.999 [0: off] */
    bool ema_warmup;   /* decay at step t at most (1 + t) / (10 + t) */
    int64_t swa_epoch; /* Izmailov et al. 2018: from this epoch (1 is the first) on evaluates and
                          keeps the mean of the weights at the epochs' ends [0: off] */
    double swa_rate;   /* the constant rate from then on [0: the schedule's] */

    soma_schedule_kind schedule;
    double warmup_steps; /* linear rise: step s < warmup_steps takes (s+1)/warmup_steps of the rate;
                            what spans the whole training begins after it [0] */
    double step_epochs, gamma;          /* [30; 0.1, exponential 0.95, cyclic_exponential 0.999] */
    double milestones[SOMA_MILESTONES]; /* epochs, rising, ended by a 0 */
    double min_rate;                    /* [0] */
    double power;                       /* polynomial [1] */
    double cycle_epochs, cycle_growth;  /* [10, 1] */
    double rise, div_start, div_end;    /* one_cycle [0.3, 25, 1e4] */
    bool straight;                      /* one_cycle: lines instead of half cosines */
    double momentum_low, momentum_high; /* one_cycle, cyclic, where the kind has momentum or beta1
                                           [0.85 and 0.95; cyclic 0.8 and 0.9] */
    bool keep_momentum;                 /* they move the rate alone */
    int64_t plateau_epochs;             /* [10] */
    double plateau_delta; /* what counts as better, as a share of the best value [1e-4] */
    int64_t cooldown;     /* plateau: epochs to wait after a drop [0] */
} soma_optimizer_options;

typedef struct soma_optimizer soma_optimizer;

/* State tensors for `count` parameters; names as in the model, for checkpoints and groups. Some
 * states begin as copies of the tensors, which hold their initial values by now. The tensors are
 * only looked at: apply takes the variables. Errors: SOMA_INVALID, SOMA_DTYPE, SOMA_MEMORY. */
SOMA_MUST_CHECK SOMA_API soma_status soma_optimizer_create(soma_optimizer **out,
                                                           const soma_optimizer_options *options,
                                                           const char *const *names,
                                                           soma_tensor *const *parameters,
                                                           int count, soma_error *err);
SOMA_API void soma_optimizer_destroy(soma_optimizer *optimizer);

/* Numbers of one step for the common options and for each group. */
#define SOMA_OPTIMIZER_HYPER 8

/* Adds one step to the graph: clipping, then for each parameter its updates. params[i], grads[i]
 * are vars of the same graph. `hyper` is an f32 [(groups + 1) · SOMA_OPTIMIZER_HYPER] input that
 * each step feeds with soma_optimizer_hyper(). `guard`, unless {0}, is a bool scalar: where false
 * nothing changes. `*norm` (may be NULL) receives the global gradient norm. Updates are added to
 * `updates`; *used grows (at most soma_optimizer_update_count). */
SOMA_API void soma_optimizer_apply(soma_optimizer *optimizer, const soma_var *params,
                                   const soma_var *grads, soma_var hyper, soma_var guard,
                                   soma_var *norm, soma_update *updates, int *used);
SOMA_API int soma_optimizer_update_count(const soma_optimizer *optimizer);

/* The learning rate of `step` (from 0) and the numbers to feed for it:
 * soma_optimizer_hyper_count() of them. */
SOMA_API double soma_optimizer_rate(const soma_optimizer *optimizer, int64_t step,
                                    int64_t steps_per_epoch, int64_t total_steps);
SOMA_API int soma_optimizer_hyper_count(const soma_optimizer *optimizer);
SOMA_API void soma_optimizer_hyper(const soma_optimizer *optimizer, int64_t step,
                                   int64_t steps_per_epoch, int64_t total_steps, float *out);
/* Scales all rates from now on, on top of the schedule; 1 at first. What is not a number above or
 * equal to 0 is ignored. */
SOMA_API void soma_optimizer_set_factor(soma_optimizer *optimizer, double factor);
SOMA_API double soma_optimizer_factor(const soma_optimizer *optimizer);

/* State for checkpoints: "<parameter>.exp_avg", …; names as PyTorch calls them. */
SOMA_API int soma_optimizer_state_count(const soma_optimizer *optimizer);
SOMA_API const char *soma_optimizer_state_name(const soma_optimizer *optimizer, int index);
SOMA_API soma_tensor *soma_optimizer_state(const soma_optimizer *optimizer, int index);
/* The averaged weights (ema, swa, asgd) of parameter `index`: borrowed; NULL without averaging. */
SOMA_API soma_tensor *soma_optimizer_average(const soma_optimizer *optimizer, int index);

/* --- L-BFGS ------------------------------------------------------------------------------------
 */

/* L-BFGS with a line search for the strong Wolfe conditions, as PyTorch's. It asks for the loss and
 * the gradient at points of its own choice, several times a step, so it calls a function instead of
 * being graph. For losses without chance in them: whole batches. */
typedef struct soma_lbfgs soma_lbfgs;
/* Writes the loss of the parameters as they are to *loss and its gradient into the gradient
 * tensors; a loss that is not finite makes the search turn back. Not SOMA_OK ends the step. */
typedef soma_status soma_closure(void *user, double *loss, soma_error *err);
/* `options` NULL: the defaults, else of kind SOMA_LBFGS; of the options common to all kinds it
 * takes rate and weight_decay (L2). Parameters and gradients, f32, are borrowed as long as it
 * lives. Errors: SOMA_INVALID, SOMA_MEMORY. */
SOMA_MUST_CHECK SOMA_API soma_status soma_lbfgs_create(soma_lbfgs **out,
                                                       const soma_optimizer_options *options,
                                                       soma_tensor *const *parameters,
                                                       soma_tensor *const *gradients, int count,
                                                       soma_error *err);
SOMA_API void soma_lbfgs_destroy(soma_lbfgs *lbfgs);
/* Up to `iterations` iterations. `*loss` (may be NULL) receives the loss before them. Errors:
 * SOMA_NUMERIC (not finite where it begins) and what the closure returns; the parameters are then
 * those of the last finished iteration. */
SOMA_MUST_CHECK SOMA_API soma_status soma_lbfgs_step(soma_lbfgs *lbfgs, soma_closure *closure,
                                                     void *user, double *loss, soma_error *err);
/* State for checkpoints, f64. */
SOMA_API int soma_lbfgs_state_count(const soma_lbfgs *lbfgs);
SOMA_API const char *soma_lbfgs_state_name(const soma_lbfgs *lbfgs, int index);
SOMA_API soma_tensor *soma_lbfgs_state(const soma_lbfgs *lbfgs, int index);

#ifdef __cplusplus
}
#endif
#endif
