/* soma/train.h: training, evaluation, checkpoints. */
#ifndef SOMA_TRAIN_H
#define SOMA_TRAIN_H

#include "data.h"
#include "metrics.h"
#include "nn.h"
#include "optim.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Means over samples (each sample counts once, whatever the batches). accuracy is NaN for
 * regression.
 */
typedef struct soma_metrics {
    double loss, accuracy;
    int64_t samples;
} soma_metrics;

/* What a callback sees. Borrowed, valid during the call. */
typedef enum soma_event_kind {
    SOMA_EVENT_START,   /* before the first step; initial loss has been looked at */
    SOMA_EVENT_STEP,    /* after a step */
    SOMA_EVENT_EPOCH,   /* after an epoch and its validation */
    SOMA_EVENT_WARNING, /* `message` says what */
    SOMA_EVENT_DONE
} soma_event_kind;
typedef struct soma_training soma_training;
typedef struct soma_event {
    soma_event_kind kind;
    int64_t epoch, epochs;         /* epoch from 1 */
    int64_t step, steps_per_epoch; /* step in the epoch, from 1 */
    int64_t total_steps;           /* steps done since the start of the training */
    int64_t planned_steps;         /* steps of the whole training, unless it stops early */
    soma_metrics train;            /* running means of this epoch */
    soma_metrics validation;       /* SOMA_EVENT_EPOCH; samples 0 without a validation part */
    double rate;                   /* learning rate of this step */
    double gradient_norm;          /* of this step, before clipping; NaN without clipping */
    double seconds;                /* of this epoch so far */
    double samples_per_second;     /* of this epoch */
    bool best;                     /* this epoch is the best so far */
    const char *message;
    soma_model *model; /* as trained so far: a callback may look at it, save it and change weights.
                          With ema, swa_epoch or asgd it holds the weights under way, not their
                          average */
    soma_training *training; /* for the functions below */
} soma_event;

/* What is minimised: a loss of loss.h by its recipe's name (`soma ops --losses` lists them with
 * their options), each for the tasks in brackets. */
typedef enum soma_loss_kind {
    SOMA_LOSS_DEFAULT,       /* the task's: cross_entropy, bce_logits, mse */
    SOMA_LOSS_CROSS_ENTROPY, /* [classify] */
    SOMA_LOSS_NLL,           /* [classify] of log-probabilities */
    SOMA_LOSS_MULTI_MARGIN,  /* [classify] */
    SOMA_LOSS_FOCAL,         /* [classify, binary] */
    SOMA_LOSS_BCE_LOGITS,    /* [binary] */
    SOMA_LOSS_HINGE,         /* [binary] */
    SOMA_LOSS_SQUARED_HINGE, /* [binary] */
    SOMA_LOSS_DICE,          /* [binary] of the sigmoid */
    SOMA_LOSS_IOU,           /* [binary] of the sigmoid */
    SOMA_LOSS_MSE,           /* [regress], and all below */
    SOMA_LOSS_HALF_MSE,
    SOMA_LOSS_MAE,
    SOMA_LOSS_HUBER,
    SOMA_LOSS_SMOOTH_L1,
    SOMA_LOSS_LOG_COSH,
    SOMA_LOSS_QUANTILE,
    SOMA_LOSS_POISSON,
    SOMA_LOSS_KL_DIV,
    SOMA_LOSS_COSINE,
    SOMA_LOSS_CRF, /* [classify] of models that end in a crf layer, which take no other */
} soma_loss_kind;

/* Zeros mean the defaults in brackets. A loss looks at what it names alone. */
typedef struct soma_loss_options {
    soma_loss_kind kind;
    double smoothing; /* cross_entropy: share of the target that all classes get [0] */
    /* cross_entropy, nll, multi_margin, focal of classes: class_weight_count numbers, one per
     * class, borrowed until the training ends [1 each]; or `balanced`: n / (K·n_k) of the training
     * part. */
    const double *class_weights;
    int class_weight_count;
    bool balanced;
    /* cross_entropy, nll: samples with this label count for nothing. The mean is over the weights
     * of those that count, as PyTorch's. */
    bool ignores;
    int64_t ignore_index;
    double gamma, alpha;   /* focal [2, none] */
    double margin;         /* multi_margin [1] */
    bool squared;          /* multi_margin: squares what falls short */
    double pos_weight;     /* bce_logits: weight of targets 1 [1] */
    double smooth;         /* dice, iou [1] */
    double delta, beta, q; /* huber [1], smooth_l1 [1], quantile [0.5] */
    bool rates, full;      /* poisson: the model says rates, not logarithms; with Stirling's term */
    bool log_target;       /* kl_div */
} soma_loss_options;

/* From a callback: scales the learning rate from the next step on, on top of its schedule (and a
 * plateau's drops); 1 at first. Saved in checkpoints. Errors: SOMA_INVALID (not a number of at
 * least 0). */
SOMA_MUST_CHECK SOMA_API soma_status soma_training_set_rate_factor(soma_training *training,
                                                                   double factor, soma_error *err);
SOMA_API double soma_training_rate_factor(const soma_training *training);

/* Whether a smaller or a greater value of the watched metric is better. */
typedef enum soma_monitor_mode {
    SOMA_MONITOR_AUTO,
    SOMA_MONITOR_MIN,
    SOMA_MONITOR_MAX
} soma_monitor_mode;

#define SOMA_BATCH_ALL (-1)

typedef struct soma_train_options {
    int64_t epochs;                   /* 0: 10 */
    int64_t steps;                    /* in place of epochs: how many updates; the last epoch ends
                                         where they do. 0: by epochs */
    int64_t batch;                    /* 0: 32; SOMA_BATCH_ALL: the whole training part, which lbfgs
                                         needs. More than the training samples is an error */
    soma_optimizer_options optimizer; /* kind 0 is sgd */
    soma_loss_options loss; /* of training and validation; soma_evaluate takes the task's own */
    soma_dtype precision;   /* SOMA_BF16: soma_model_set_precision; 0: as the model has it */
    uint64_t seed;          /* order of samples, dropout; the model has its own for the weights */
    int64_t accumulate;  /* batches whose gradients make one update, as if they were one batch (but
                            batch norm sees each apart); 0: 1. The last update of an epoch may have
                            fewer */
    const char *monitor; /* what says which epoch is the best: "validation.loss",
                            "validation.accuracy", "train.loss", "train.accuracy"; NULL:
                            validation.loss where there is a validation part, else nothing */
    soma_monitor_mode monitor_mode; /* auto: by the metric */
    int64_t patience; /* early stopping: epochs without a better value of it; 0: off */
    double min_delta; /* what counts as better */
    bool keep_last;   /* at the end keep the last weights, not those of the best epoch */
    bool no_shuffle;
    bool balanced; /* each class as often as any other (soma_loader_options) */
    /* Lengths that batches of sequences may be cut to (soma_loader_options); not with lbfgs. */
    const int64_t *buckets;
    int bucket_count;
    const char
        *folder; /* best.safetensors, last.checkpoint, history.jsonl go here; NULL: nothing */
    int64_t checkpoint_steps; /* also a checkpoint every so many steps; 0: at each epoch's end */
    bool resume;              /* go on from folder's last.checkpoint where there is one */
    int loader_threads;       /* 0: 1 */
    bool (*callback)(void *user, const soma_event *event); /* false: stop after this step */
    void *user;
    const volatile int *stop; /* non-zero: finish the step, save, end with SOMA_CANCELLED */
} soma_train_options;

/* Row e of the history. */
typedef struct soma_epoch {
    int64_t epoch;
    soma_metrics train, validation;
    double rate, seconds;
    bool best;
} soma_epoch;
typedef struct soma_history {
    soma_epoch *epochs; /* count entries */
    int64_t count;
    int64_t best;  /* index of the best epoch, -1: none */
    int64_t steps; /* done in all */
    double seconds;
    bool stopped_early;
} soma_history;
SOMA_API void soma_history_clear(soma_history *history);
/* A picture of the curves: ".svg" or ".png" by the path's end. */
SOMA_MUST_CHECK SOMA_API soma_status soma_history_plot(const soma_history *history,
                                                       const char *path, soma_error *err);

/* Trains on data->train, validates on data->validation; never looks at data->test. `history` may be
 * NULL. Errors: SOMA_SHAPE, SOMA_INVALID (data and model do not fit: "sample 17: label 10, but the
 * model has 10 classes"), SOMA_NUMERIC (the loss became NaN or Inf; the message names the first op;
 * the weights are those before that step), SOMA_CANCELLED (stop; everything was saved), SOMA_IO. */
SOMA_MUST_CHECK SOMA_API soma_status soma_train(soma_model *model, const soma_data *data,
                                                const soma_train_options *options,
                                                soma_history *history, soma_error *err);

/* Loss and accuracy on a data set. `confusion`, unless NULL, receives classes×classes counts
 * [truth][predicted] (zeroed first). */
SOMA_MUST_CHECK SOMA_API soma_status soma_evaluate(soma_model *model, const soma_dataset *dataset,
                                                   int64_t batch, soma_metrics *out,
                                                   int64_t *confusion, soma_error *err);

/* Of a data set that is a series (docs/sequences.md), beside the forecast that repeats the last
 * season: its errors on the same samples. Of other data all are NaN. */
typedef struct soma_forecast_scores {
    double mase, smape;                        /* soma/metrics.h */
    double naive_mae, naive_mase, naive_smape; /* of the seasonal naive forecast */
} soma_forecast_scores;

/* Everything that is usually asked about a model on a data set. What a task does not have is NaN.
 */
typedef struct soma_scores {
    soma_metrics metrics;
    int classes;      /* classify: those of the model, of steps 0; binary: 2; regress: 0 */
    double precision; /* the means of the classes (macro) */
    double recall, f1;
    double balanced_accuracy, mcc, kappa;
    double top5;              /* classify with more than 5 classes */
    double roc_auc;           /* the mean of each class against the rest */
    double average_precision; /* the same */
    double calibration_error; /* 15 bins; of the softmax or sigmoid of what the model says */
    double perplexity;        /* of a classifier of steps: e^loss. It has accuracy and loss besides,
                                 over the steps that have a label, and none of the above */
    soma_regression_scores regression;
    soma_forecast_scores forecast;
} soma_scores;
/* Keeps what the model says of all samples (4 bytes for each output of each sample) while it runs.
 * `confusion`, unless NULL, receives classes×classes counts; for binary 2×2 over all targets; of a
 * classifier of steps it stays as it is. */
SOMA_MUST_CHECK SOMA_API soma_status soma_evaluate_scores(soma_model *model,
                                                          const soma_dataset *dataset,
                                                          int64_t batch, soma_scores *out,
                                                          int64_t *confusion, soma_error *err);

/* What layer `layer` (NULL: the last one) says of all samples: f32 [count, width], the layer's
 * output of a sample as one row. Errors: SOMA_NOT_FOUND, and as soma_evaluate. */
SOMA_MUST_CHECK SOMA_API soma_status soma_features(soma_model *model, const soma_dataset *dataset,
                                                   const char *layer, int64_t batch,
                                                   soma_tensor **out, soma_error *err);

/* --- probes: short looks at a model before hours go into a training -----------------------------
 * Each leaves weights, buffers and data as they were. They take the same steps as soma_train.
 */

/* Learning-rate range test (Smith 2017): one step at each of `steps` rates that rise evenly on a
 * logarithmic scale, until the loss is four times its best or not finite. */
typedef struct soma_rate_test {
    double *rates, *losses; /* count entries; losses smoothed as by fastai (0.98, debiased) */
    int64_t count;
    double steepest; /* the rate at which the loss falls fastest; NaN: it never falls */
    double lowest;   /* a tenth of the rate at which the loss is lowest */
    double current;  /* the options' rate, or their kind's default */
} soma_rate_test;
SOMA_API void soma_rate_test_clear(soma_rate_test *test);
/* from, to, steps 0: 1e-7, 10, 100. The options' schedule and averages do not count. Errors as
 * soma_train, but a loss that is not finite is an end, not an error. */
SOMA_MUST_CHECK SOMA_API soma_status soma_find_rate(soma_model *model, soma_dataset *dataset,
                                                    const soma_train_options *options, double from,
                                                    double to, int64_t steps, soma_rate_test *out,
                                                    soma_error *err);
/* The curve as a picture: ".svg" or ".png" by the path's end. */
SOMA_MUST_CHECK SOMA_API soma_status soma_rate_test_plot(const soma_rate_test *test,
                                                         const char *path, soma_error *err);

/* Can the model learn one batch by heart? A sound one can; else model, loss or labels are at fault.
 * Takes `steps` steps (0: 200) on the first batch at the options' rate, without weight decay,
 * schedule or averages. */
typedef struct soma_overfit_test {
    int64_t samples, steps;
    double first_loss, last_loss;
    double worst_loss; /* the largest on the way */
    double accuracy;   /* of the batch in the last step; NaN for regression */
    bool learnt;       /* the loss fell to a tenth, or all labels are right */
} soma_overfit_test;
SOMA_MUST_CHECK SOMA_API soma_status soma_overfit(soma_model *model, soma_dataset *dataset,
                                                  const soma_train_options *options, int64_t steps,
                                                  soma_overfit_test *out, soma_error *err);

/* How gradients reach the parameters: root mean squares over `batches` batches (0: 4), without any
 * update. A weight's gradient has vanished or exploded when it is 1000 times below or above that of
 * the last weight (parameters of two or more dimensions), where it comes from, or is zero or not
 * finite. */
typedef enum soma_flow { SOMA_FLOW_SOUND, SOMA_FLOW_VANISHING, SOMA_FLOW_EXPLODING } soma_flow;
typedef struct soma_gradient_row {
    const char *name; /* borrowed from the model */
    double weight, gradient;
    soma_flow flow; /* of weights; else sound */
} soma_gradient_row;
/* One row a trainable parameter, in the model's order; `*rows` is released with soma_free. */
SOMA_MUST_CHECK SOMA_API soma_status soma_gradient_flow(soma_model *model, soma_dataset *dataset,
                                                        const soma_train_options *options,
                                                        int64_t batches, soma_gradient_row **rows,
                                                        int *count, soma_error *err);

/* What a training will take, before it runs. */
typedef struct soma_train_cost {
    int64_t parameters, trainable;
    double step_flops, step_bytes;
    size_t bytes; /* weights, optimiser state, planned buffers, batches, data in memory */
} soma_train_cost;
SOMA_MUST_CHECK SOMA_API soma_status soma_train_estimate(soma_model *model, const soma_data *data,
                                                         const soma_train_options *options,
                                                         soma_train_cost *out, soma_error *err);

#ifdef __cplusplus
}
#endif
#endif
