/* soma/optim.h: optimisers and learning-rate schedules. An optimiser is graph: it turns gradients
 * into updates of parameters and of its own state, which the plan fuses. */
#ifndef SOMA_OPTIM_H
#define SOMA_OPTIM_H

#include "graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum soma_optimizer_kind {
    SOMA_SGD,    /* momentum (Polyak), nesterov; PyTorch's forms */
    SOMA_ADAM,   /* Kingma & Ba 2015; weight decay is L2 */
    SOMA_ADAMW,  /* Loshchilov & Hutter 2019; decoupled decay */
    SOMA_RMSPROP /* Tieleman & Hinton 2012; PyTorch's form, momentum and centering optional */
} soma_optimizer_kind;

typedef enum soma_schedule_kind {
    SOMA_SCHEDULE_CONSTANT,
    SOMA_SCHEDULE_STEP,  /* × gamma every `step_epochs` epochs */
    SOMA_SCHEDULE_COSINE /* half cosine from rate to min_rate over the whole training */
} soma_schedule_kind;

/* Zeros mean the defaults in brackets. */
typedef struct soma_optimizer_options {
    soma_optimizer_kind kind;
    double rate;         /* learning rate [sgd 0.01, adam, adamw 0.001, rmsprop 0.01] */
    double momentum;     /* sgd, rmsprop [0] */
    bool nesterov;       /* sgd */
    double beta1, beta2; /* adam, adamw [0.9, 0.999] */
    double alpha;        /* rmsprop smoothing [0.99] */
    bool centered;       /* rmsprop: divide by the deviation, not by the root mean square */
    double eps;          /* [1e-8] */
    double weight_decay; /* [0; adamw 0.01]; negative: explicitly none */
    double clip_norm;    /* global gradient norm is limited to this [0: off] */
    soma_schedule_kind schedule;
    double warmup_steps; /* linear rise: step s < warmup_steps takes (s+1)/warmup_steps of the rate;
                            the cosine begins after it [0] */
    double step_epochs, gamma; /* step schedule [30, 0.1] */
    double min_rate;           /* cosine [0] */
} soma_optimizer_options;

typedef struct soma_optimizer soma_optimizer;

/* State tensors (zeros) for `count` parameters; names as in the model, for checkpoints. The tensors
 * are only looked at: apply takes the variables. */
SOMA_MUST_CHECK SOMA_API soma_status soma_optimizer_create(soma_optimizer **out,
                                                           const soma_optimizer_options *options,
                                                           const char *const *names,
                                                           soma_tensor *const *parameters,
                                                           int count, soma_error *err);
SOMA_API void soma_optimizer_destroy(soma_optimizer *optimizer);

/* Adds one step to the graph: clipping, then for each parameter its updates. params[i], grads[i]
 * are vars of the same graph. `hyper` is an f32 [4] input that each step feeds with
 * soma_optimizer_hyper(). `guard`, unless {0}, is a bool scalar: where false nothing changes.
 * `*norm` (may be NULL) receives the global gradient norm. Updates are added to `updates`; *used
 * grows (at most soma_optimizer_update_count). */
SOMA_API void soma_optimizer_apply(soma_optimizer *optimizer, const soma_var *params,
                                   const soma_var *grads, soma_var hyper, soma_var guard,
                                   soma_var *norm, soma_update *updates, int *used);
SOMA_API int soma_optimizer_update_count(const soma_optimizer *optimizer);

/* The learning rate of `step` (from 0) and the four numbers to feed for it. */
SOMA_API double soma_optimizer_rate(const soma_optimizer *optimizer, int64_t step,
                                    int64_t steps_per_epoch, int64_t total_steps);
SOMA_API void soma_optimizer_hyper(const soma_optimizer *optimizer, int64_t step,
                                   int64_t steps_per_epoch, int64_t total_steps, float out[4]);

/* State for checkpoints: "<parameter>.exp_avg", …; names as PyTorch calls them. */
SOMA_API int soma_optimizer_state_count(const soma_optimizer *optimizer);
SOMA_API const char *soma_optimizer_state_name(const soma_optimizer *optimizer, int index);
SOMA_API soma_tensor *soma_optimizer_state(const soma_optimizer *optimizer, int index);

#ifdef __cplusplus
}
#endif
#endif
