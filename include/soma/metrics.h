/* soma/metrics.h: how good predictions are, and clusters in features.
 *
 * Plain functions over arrays of the caller's, with the definitions of scikit-learn. A score that
 * has no value (no positives, no variance) is NaN, never a made-up 0.
 */
#ifndef SOMA_METRICS_H
#define SOMA_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- from a confusion matrix --------------------------------------------------------------------
 * confusion[truth * classes + predicted] counts samples, as soma_evaluate fills it.
 */

typedef struct soma_class_scores {
    double precision, recall; /* NaN where nothing was predicted, or nothing was there */
    double f1;                /* 2·tp / (2·tp + fp + fn); NaN where the class is in neither */
    int64_t support;          /* samples of the class */
} soma_class_scores;

typedef enum soma_average {
    SOMA_AVERAGE_MACRO,    /* each class counts once; classes without a value count as 0 */
    SOMA_AVERAGE_MICRO,    /* each sample counts once: all three are the accuracy */
    SOMA_AVERAGE_WEIGHTED, /* each class counts by its support */
} soma_average;

SOMA_API soma_class_scores soma_scores_class(const int64_t *confusion, int classes, int index);
/* Over the classes that are in truth or prediction. */
SOMA_API soma_class_scores soma_scores_average(const int64_t *confusion, int classes,
                                               soma_average average);
SOMA_API double soma_scores_accuracy(const int64_t *confusion, int classes);
/* Mean recall of the classes that occur. */
SOMA_API double soma_scores_balanced_accuracy(const int64_t *confusion, int classes);
/* Matthews' correlation coefficient in its form for many classes (Gorodkin 2004). */
SOMA_API double soma_scores_mcc(const int64_t *confusion, int classes);
/* Cohen's kappa (1960): agreement beyond chance. */
SOMA_API double soma_scores_kappa(const int64_t *confusion, int classes);

/* --- from scores --------------------------------------------------------------------------------
 */

/* Share of samples whose label is among the `k` highest of their `classes` scores. Of equal scores
 * the lower class goes first; a NaN goes last. scores [count, classes]. */
SOMA_API double soma_top_k(const float *scores, const int64_t *labels, int64_t count, int classes,
                           int k);
/* Area under the receiver operating characteristic: the chance that a positive sample scores higher
 * than a negative one, ties counting half. NaN without positives or without negatives.
 * Errors: SOMA_MEMORY; SOMA_NUMERIC for a score that is NaN. */
SOMA_MUST_CHECK SOMA_API soma_status soma_roc_auc(double *out, const float *scores,
                                                  const bool *positive, int64_t count,
                                                  soma_error *err);
/* Average precision: Σ (recall_i - recall_(i-1)) · precision_i over falling thresholds, which is
 * the area under the precision-recall steps. Errors as above. */
SOMA_MUST_CHECK SOMA_API soma_status soma_average_precision(double *out, const float *scores,
                                                            const bool *positive, int64_t count,
                                                            soma_error *err);
/* The same two for many classes, each against the rest, averaged over the classes that have a
 * value. scores [count, classes]: probabilities or logits, as each column is ranked by itself. `ap`
 * may be NULL. */
SOMA_MUST_CHECK SOMA_API soma_status soma_one_vs_rest(double *roc_auc, double *ap,
                                                      const float *scores, const int64_t *labels,
                                                      int64_t count, int classes, soma_error *err);
/* Expected calibration error (Guo et al. 2017): probabilities [count, classes] put into `bins`
 * equal bins by the highest of each sample; Σ bin share · |accuracy - mean confidence|. */
SOMA_API double soma_calibration_error(const float *probabilities, const int64_t *labels,
                                       int64_t count, int classes, int bins);

/* --- regression ---------------------------------------------------------------------------------
 */

typedef struct soma_regression_scores {
    double mae, mse, rmse;
    double r2;        /* 1 - Σ error² / Σ (truth - mean)²; NaN where truth does not vary */
    double max_error; /* the largest |error| */
    double mape;      /* mean |error| / |truth| over the samples whose truth is not 0 */
    int64_t count;
} soma_regression_scores;
SOMA_API soma_regression_scores soma_scores_regression(const float *predicted, const float *truth,
                                                       int64_t count);

/* --- forecasts ----------------------------------------------------------------------------------
 */

/* Mean |error| / scale (Hyndman & Koehler 2006), where scale is what a naive forecast errs by in
 * the past: soma_naive_scale of the training part. Below 1 is better than that. NaN for a scale
 * that is not above 0, or nothing. */
SOMA_API double soma_mase(const float *predicted, const float *truth, int64_t count, double scale);
/* Mean |y(t) - y(t - season)| over a series, of the pairs without NaN; NaN when there is none. */
SOMA_API double soma_naive_scale(const float *series, int64_t count, int64_t season);
/* Mean 2 |error| / (|predicted| + |truth|), from 0 to 2; 0 where both are 0. */
SOMA_API double soma_smape(const float *predicted, const float *truth, int64_t count);
/* Mean of max(q · error, (q - 1) · error) with error = truth - predicted. */
SOMA_API double soma_pinball_loss(const float *predicted, const float *truth, int64_t count,
                                  double q);

/* --- clusters -----------------------------------------------------------------------------------
 */

typedef struct soma_kmeans_options {
    int clusters;        /* required */
    int restarts;        /* 0: 10; the best of them is kept */
    int64_t most_rounds; /* 0: 300 */
    double tolerance;    /* 0: 1e-4; centres that move less, as a share of the variance, are done */
    uint64_t seed;
} soma_kmeans_options;

/* Lloyd's algorithm from k-means++ starts (Arthur & Vassilvitskii 2007). x [count, width]; centres
 * [clusters, width] and assigned [count] are the caller's; `inertia` (the sum of squared distances)
 * may be NULL. A cluster that runs empty takes the sample that is farthest from its centre.
 * Errors: SOMA_INVALID (more clusters than samples, a width or count below 1), SOMA_NUMERIC (a
 * feature is NaN or Inf), SOMA_MEMORY. */
SOMA_MUST_CHECK SOMA_API soma_status soma_kmeans(float *centres, int64_t *assigned, double *inertia,
                                                 const float *x, int64_t count, int64_t width,
                                                 const soma_kmeans_options *options,
                                                 soma_error *err);
/* Mean of (b - a) / max(a, b) over samples: a the mean distance to its own cluster's others, b to
 * the nearest other cluster (Rousseeuw 1987). Takes count² · width steps. Clusters are numbered
 * from 0. Errors: SOMA_INVALID (fewer than two clusters, a negative number), SOMA_MEMORY. */
SOMA_MUST_CHECK SOMA_API soma_status soma_silhouette(double *out, const float *x,
                                                     const int64_t *assigned, int64_t count,
                                                     int64_t width, soma_error *err);
/* Normalised mutual information of two labellings (arithmetic mean of the entropies), 1 where both
 * are one single cluster. Labels are numbered from 0. Errors: SOMA_INVALID, SOMA_MEMORY. */
SOMA_MUST_CHECK SOMA_API soma_status soma_nmi(double *out, const int64_t *a, const int64_t *b,
                                              int64_t count, soma_error *err);
/* Adjusted Rand index (Hubert & Arabie 1985). Errors as above. */
SOMA_MUST_CHECK SOMA_API soma_status soma_adjusted_rand(double *out, const int64_t *a,
                                                        const int64_t *b, int64_t count,
                                                        soma_error *err);
/* Share of samples that carry their cluster's most frequent label. Errors as above. */
SOMA_MUST_CHECK SOMA_API soma_status soma_purity(double *out, const int64_t *clusters,
                                                 const int64_t *labels, int64_t count,
                                                 soma_error *err);

#ifdef __cplusplus
}
#endif
#endif
