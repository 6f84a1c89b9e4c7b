/* soma/loss.h: losses, as ops of graphs.
 *
 * Each takes predictions and targets and ends with a reduction; zero keeps one value for each
 * element, sample or row, as each says. Arrays of "one shape" must have equal shapes: nothing is
 * broadcast, since [N,1] against [N] would quietly become [N,N]. Predictions, float targets and
 * weights have one dtype. All but cross_entropy on labels are composites of other ops, so plans
 * fuse them and gradients of any order exist, to targets as well. Formulas agree with PyTorch's
 * where it has the loss. Recipes choose among them by `train.loss` (train.h).
 */
#ifndef SOMA_LOSS_H
#define SOMA_LOSS_H

#include "graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum soma_reduction {
    SOMA_REDUCTION_NONE,
    SOMA_REDUCTION_MEAN, /* NaN of nothing */
    SOMA_REDUCTION_SUM,
} soma_reduction;

/* --- values: x and t of one shape, one loss for each element -----------------------------------
 */

SOMA_API soma_var soma_squared_error(soma_var x, soma_var t);                      /* (x - t)² */
SOMA_API soma_var soma_mse(soma_var x, soma_var t, soma_reduction reduction);      /* (x - t)² */
SOMA_API soma_var soma_half_mse(soma_var x, soma_var t, soma_reduction reduction); /* (x - t)²/2 */
SOMA_API soma_var soma_mae(soma_var x, soma_var t, soma_reduction reduction);      /* |x - t| */
/* e = |x - t|: e²/2 up to delta, delta·(e - delta/2) beyond (Huber 1964); delta > 0. */
SOMA_API soma_var soma_huber(soma_var x, soma_var t, double delta, soma_reduction reduction);
/* e²/(2·beta) up to beta, e - beta/2 beyond (Girshick 2015); beta 0 is |x - t|. */
SOMA_API soma_var soma_smooth_l1(soma_var x, soma_var t, double beta, soma_reduction reduction);
/* ln cosh(x - t), which is (x - t)²/2 near 0 and |x - t| - ln 2 far off. */
SOMA_API soma_var soma_log_cosh(soma_var x, soma_var t, soma_reduction reduction);
/* q·e for e = t - x >= 0, (q - 1)·e below: least for the q-quantile (Koenker & Bassett 1978); q in
 * (0, 1). */
SOMA_API soma_var soma_pinball(soma_var x, soma_var t, double q, soma_reduction reduction);
/* Counts: e^x - t·x with `log_input`, else x - t·ln(x + 1e-8). `full` adds Stirling's approximation
 * of ln t! where t > 1: t ln t - t + ln(2πt)/2. */
SOMA_API soma_var soma_poisson_nll(soma_var x, soma_var t, bool log_input, bool full,
                                   soma_reduction reduction);
/* (ln v + (x - t)²/v)/2 with v = max(var, 1e-6), whose gradient goes to var as if it were not
 * limited; `full` adds ln(2π)/2. var has x's shape and is a variance, not a deviation. */
SOMA_API soma_var soma_gaussian_nll(soma_var x, soma_var t, soma_var var, bool full,
                                    soma_reduction reduction);

/* --- two classes: one loss for each element ----------------------------------------------------
 */

/* -(t ln x + (1-t) ln(1-x)), x a probability, t in [0,1]. Logarithms are limited to -100, and
 * have no gradient there: on logits, soma_bce_logits is exact everywhere. */
SOMA_API soma_var soma_bce(soma_var x, soma_var t, soma_reduction reduction);
typedef struct soma_bce_options {
    soma_var pos_weight; /* [C], C the last axis of x, or a scalar: factor of the t part; none: 1 */
    soma_var weight;     /* x's shape, [C] or a scalar: factor of each loss; none: 1 */
    soma_reduction reduction;
} soma_bce_options;
/* bce of sigmoid(x) in a stable form: (1 + (pos_weight - 1)·t)·softplus(-x) + (1 - t)·x. */
SOMA_API soma_var soma_bce_logits_opt(soma_var x, soma_var t, soma_bce_options options);
#define soma_bce_logits(x_, t_, ...)                                                               \
    soma_bce_logits_opt((x_), (t_), (soma_bce_options){__VA_ARGS__})
/* max(0, 1 - t·x) and its square, t -1 or 1. */
SOMA_API soma_var soma_hinge(soma_var x, soma_var t, soma_reduction reduction);
SOMA_API soma_var soma_squared_hinge(soma_var x, soma_var t, soma_reduction reduction);
/* Focal loss (Lin et al. 2017) on logits: (1 - p)^gamma · bce, p the probability of the truth,
 * times alpha for t = 1 and 1 - alpha for t = 0; alpha 0: no such factor. gamma >= 0. */
SOMA_API soma_var soma_focal(soma_var x, soma_var t, double gamma, double alpha,
                             soma_reduction reduction);

/* --- K classes: one loss for each sample -------------------------------------------------------
 */

/* Options zero: the plain loss. */
typedef struct soma_cross_entropy_options {
    soma_var weight;      /* [K]: factor of each class; none: 1 */
    double smoothing;     /* this share of the target is spread evenly over the classes; [0, 1) */
    bool ignores;         /* labels that are ignore_index count for nothing … */
    int64_t ignore_index; /* … (PyTorch's is -100); not with distributions */
    soma_reduction reduction;
} soma_cross_entropy_options;
/* logits [B…,K] -> [B…]: -log softmax(logits) at the target, which is labels i32/i64 [B…], or a
 * distribution [B…,K] in the dtype of the logits. With labels the mean divides by the weights of
 * the samples that count, with distributions by their number. A label out of range gives NaN (the
 * data layer refuses it before). */
SOMA_API soma_var soma_cross_entropy_opt(soma_var logits, soma_var target,
                                         soma_cross_entropy_options options);
#define soma_cross_entropy(logits_, target_, ...)                                                  \
    soma_cross_entropy_opt((logits_), (target_), (soma_cross_entropy_options){__VA_ARGS__})
/* The same of log-probabilities [B…,K] and labels: -weight[label]·x[label]; smoothing must be 0. */
SOMA_API soma_var soma_nll_opt(soma_var log_probabilities, soma_var labels,
                               soma_cross_entropy_options options);
#define soma_nll(x_, labels_, ...)                                                                 \
    soma_nll_opt((x_), (labels_), (soma_cross_entropy_options){__VA_ARGS__})
/* (1 - p)^gamma · cross-entropy, p the probability of the label. `weight` [K] (alpha) or
 * (soma_var){0}; the mean is over samples. */
SOMA_API soma_var soma_softmax_focal(soma_var logits, soma_var labels, double gamma,
                                     soma_var weight, soma_reduction reduction);
/* Σ over other classes k of weight[label]·max(0, margin - x[label] + x[k])^p / K; p 1 or 2; weight
 * [K] or (soma_var){0}; the mean is over samples. */
SOMA_API soma_var soma_multi_margin(soma_var x, soma_var labels, int p, double margin,
                                    soma_var weight, soma_reduction reduction);
/* Σ t (ln t - x) element by element, not summed: x log-probabilities, t probabilities or with
 * `log_target` their logarithms. t ln t is 0 at 0. Of divergences per sample the mean is
 * SOMA_REDUCTION_SUM over the batch size. */
SOMA_API soma_var soma_kl_div(soma_var x, soma_var t, bool log_target, soma_reduction reduction);

/* --- regions: x, t [B,…] in [0,1] of one shape, one loss for each sample ------------------------
 */

/* 1 - (2 Σ x·t + smooth) / (Σ x + Σ t + smooth) (Milletari et al. 2016); smooth >= 0. */
SOMA_API soma_var soma_dice(soma_var x, soma_var t, double smooth, soma_reduction reduction);
/* Soft Jaccard: 1 - (Σ x·t + smooth) / (Σ x + Σ t - Σ x·t + smooth). */
SOMA_API soma_var soma_iou(soma_var x, soma_var t, double smooth, soma_reduction reduction);
/* Boxes [B…,4] as left, top, right, bottom -> [B…]: 1 - intersection / union; `generalised` adds
 * the share of the smallest box around both that neither covers (Rezatofighi et al. 2019). */
SOMA_API soma_var soma_box_iou(soma_var x, soma_var t, bool generalised, soma_reduction reduction);

/* --- embeddings: vectors along the last axis, [B…,D], one loss for each -------------------------
 */

/* a·b / (max(‖a‖, eps) max(‖b‖, eps)) along `axis`, which goes; not a loss but what some are made
 * of. */
SOMA_API soma_var soma_cosine_similarity(soma_var a, soma_var b, int64_t axis, double eps);
/* 1 - cos for y = 1, max(0, cos - margin) for y = -1; y [B…]. */
SOMA_API soma_var soma_cosine_embedding(soma_var a, soma_var b, soma_var y, double margin,
                                        soma_reduction reduction);
/* max(0, d(anchor, positive) - d(anchor, negative) + margin), d(u, v) = ‖u - v + 1e-6‖_p. With
 * `swap` the negative's distance to the positive counts where it is smaller. */
SOMA_API soma_var soma_triplet(soma_var anchor, soma_var positive, soma_var negative, double margin,
                               double p, bool swap, soma_reduction reduction);
/* (t·d² + (1-t)·max(0, margin - d)²)/2 with d = ‖a - b + 1e-6‖, t [B…] 1 for pairs that belong
 * together, 0 for others (Hadsell et al. 2006). */
SOMA_API soma_var soma_contrastive(soma_var a, soma_var b, soma_var t, double margin,
                                   soma_reduction reduction);
/* max(0, margin - y·(a - b)): y = 1 where a should rank higher, -1 where b. All of one shape. */
SOMA_API soma_var soma_margin_ranking(soma_var a, soma_var b, soma_var y, double margin,
                                      soma_reduction reduction);

#ifdef __cplusplus
}
#endif
#endif
