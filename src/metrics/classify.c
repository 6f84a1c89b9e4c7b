/* classify.c: scores of classifiers. */
#include <math.h>
#include <stdlib.h>

#include "base/base.h"
#include "soma/metrics.h"

/* --- from a confusion matrix --------------------------------------------------------------------
 */

/* Truth, prediction and agreement of one class. */
typedef struct sums {
    double truth, predicted, hit;
} sums;

static sums sums_of(const int64_t *confusion, int classes, int index)
{
    sums s = {0};
    for (int i = 0; i < classes; i++) {
        s.truth += (double)confusion[(int64_t)index * classes + i];
        s.predicted += (double)confusion[(int64_t)i * classes + index];
    }
    s.hit = (double)confusion[(int64_t)index * classes + index];
    return s;
}

static double ratio(double part, double whole)
{
    return whole > 0 ? part / whole : NAN;
}

static double or_zero(double value)
{
    return isnan(value) ? 0 : value;
}

soma_class_scores soma_scores_class(const int64_t *confusion, int classes, int index)
{
    sums s = sums_of(confusion, classes, index);
    return (soma_class_scores){
        .precision = ratio(s.hit, s.predicted),
        .recall = ratio(s.hit, s.truth),
        .f1 = ratio(2 * s.hit, s.truth + s.predicted),
        .support = (int64_t)s.truth,
    };
}

soma_class_scores soma_scores_average(const int64_t *confusion, int classes, soma_average average)
{
    soma_class_scores out = {0};
    double weights = 0, accuracy = soma_scores_accuracy(confusion, classes);
    for (int i = 0; i < classes; i++) {
        sums s = sums_of(confusion, classes, i);
        soma_class_scores c = soma_scores_class(confusion, classes, i);
        double weight = average == SOMA_AVERAGE_WEIGHTED ? s.truth : s.truth + s.predicted > 0;
        out.precision += weight * or_zero(c.precision);
        out.recall += weight * or_zero(c.recall);
        out.f1 += weight * or_zero(c.f1);
        out.support += c.support;
        weights += weight;
    }
    if (average == SOMA_AVERAGE_MICRO)
        return (soma_class_scores){accuracy, accuracy, accuracy, out.support};
    out.precision = ratio(out.precision, weights);
    out.recall = ratio(out.recall, weights);
    out.f1 = ratio(out.f1, weights);
    return out;
}

double soma_scores_accuracy(const int64_t *confusion, int classes)
{
    double hit = 0, all = 0;
    for (int i = 0; i < classes; i++) {
        sums s = sums_of(confusion, classes, i);
        hit += s.hit;
        all += s.truth;
    }
    return ratio(hit, all);
}

double soma_scores_balanced_accuracy(const int64_t *confusion, int classes)
{
    double recall = 0, present = 0;
    for (int i = 0; i < classes; i++) {
        sums s = sums_of(confusion, classes, i);
        if (s.truth > 0) {
            recall += s.hit / s.truth;
            present++;
        }
    }
    return ratio(recall, present);
}

double soma_scores_mcc(const int64_t *confusion, int classes)
{
    double hit = 0, all = 0, both = 0, truths = 0, predictions = 0;
    for (int i = 0; i < classes; i++) {
        sums s = sums_of(confusion, classes, i);
        hit += s.hit;
        all += s.truth;
        both += s.truth * s.predicted;
        truths += s.truth * s.truth;
        predictions += s.predicted * s.predicted;
    }
    double spread = sqrt(all * all - truths) * sqrt(all * all - predictions);
    return ratio(hit * all - both, spread);
}

double soma_scores_kappa(const int64_t *confusion, int classes)
{
    double hit = 0, all = 0, both = 0;
    for (int i = 0; i < classes; i++) {
        sums s = sums_of(confusion, classes, i);
        hit += s.hit;
        all += s.truth;
        both += s.truth * s.predicted;
    }
    double chance = ratio(both, all * all);
    return ratio(ratio(hit, all) - chance, 1 - chance);
}

/* --- from scores --------------------------------------------------------------------------------
 */

double soma_top_k(const float *scores, const int64_t *labels, int64_t count, int classes, int k)
{
    int64_t hit = 0;
    for (int64_t i = 0; i < count; i++) {
        const float *row = scores + i * classes;
        int label = (int)labels[i], before = 0;
        if (label < 0 || label >= classes || isnan(row[label]))
            continue;
        for (int c = 0; c < classes; c++)
            before += row[c] > row[label] || (c < label && row[c] == row[label]);
        hit += before < k;
    }
    return ratio((double)hit, (double)count);
}

typedef struct ranked {
    float score;
    bool positive;
} ranked;

static int falling(const void *a, const void *b)
{
    float x = ((const ranked *)a)->score, y = ((const ranked *)b)->score;
    return (x < y) - (x > y);
}

/* Both areas from samples sorted by falling score; equal scores are one threshold. */
static void areas(const ranked *sample, int64_t count, double *roc, double *ap)
{
    double positives = 0, negatives = 0;
    for (int64_t i = 0; i < count; i++) {
        positives += sample[i].positive;
        negatives += !sample[i].positive;
    }
    double hit = 0, miss = 0, area = 0, precision = 0;
    for (int64_t i = 0; i < count;) {
        double more_hit = 0, more_miss = 0;
        int64_t first = i;
        for (; i < count && !(sample[i].score < sample[first].score); i++) {
            more_hit += sample[i].positive;
            more_miss += !sample[i].positive;
        }
        area += more_miss * (hit + more_hit / 2);
        hit += more_hit;
        miss += more_miss;
        precision += more_hit * hit / (hit + miss);
    }
    *roc = ratio(area, positives * negatives);
    *ap = ratio(precision, positives);
}

/* Column `column` of scores [count, classes] ranked against labels, or against `positive`. */
static soma_status rank(ranked *to, const float *scores, int classes, int column,
                        const int64_t *labels, const bool *positive, int64_t count, soma_error *err)
{
    for (int64_t i = 0; i < count; i++) {
        float score = scores[i * classes + column];
        if (isnan(score))
            return soma__fail(err, SOMA_NUMERIC, "sample %lld: its score for class %d is NaN",
                              (long long)i, column);
        to[i] = (ranked){score, labels ? labels[i] == column : positive && positive[i]};
    }
    qsort(to, (size_t)count, sizeof *to, falling);
    return SOMA_OK;
}

static soma_status ranks(ranked **out, int64_t count, soma_error *err)
{
    size_t bytes;
    if (count < 0 || !soma__mul((size_t)count, sizeof **out, &bytes))
        return soma__fail(err, SOMA_INVALID, "%lld samples cannot be ranked", (long long)count);
    *out = soma__malloc(bytes);
    return *out ? SOMA_OK
                : soma__fail(err, SOMA_MEMORY, "no memory to rank %lld samples", (long long)count);
}

static soma_status binary_areas(double *roc, double *ap, const float *scores, const bool *positive,
                                int64_t count, soma_error *err)
{
    ranked *sample;
    SOMA__TRY(ranks(&sample, count, err));
    soma_status status = rank(sample, scores, 1, 0, NULL, positive, count, err);
    if (status == SOMA_OK)
        areas(sample, count, roc, ap);
    soma__free(sample);
    return status;
}

soma_status soma_roc_auc(double *out, const float *scores, const bool *positive, int64_t count,
                         soma_error *err)
{
    double ap;
    *out = NAN;
    return binary_areas(out, &ap, scores, positive, count, err);
}

soma_status soma_average_precision(double *out, const float *scores, const bool *positive,
                                   int64_t count, soma_error *err)
{
    double roc;
    *out = NAN;
    return binary_areas(&roc, out, scores, positive, count, err);
}

soma_status soma_one_vs_rest(double *roc_auc, double *ap, const float *scores,
                             const int64_t *labels, int64_t count, int classes, soma_error *err)
{
    ranked *sample;
    double roc_sum = 0, ap_sum = 0, roc_classes = 0, ap_classes = 0;
    *roc_auc = NAN;
    SOMA__TRY(ranks(&sample, count, err));
    soma_status status = SOMA_OK;
    for (int c = 0; c < classes && status == SOMA_OK; c++) {
        double roc = NAN, precision = NAN;
        status = rank(sample, scores, classes, c, labels, NULL, count, err);
        if (status == SOMA_OK)
            areas(sample, count, &roc, &precision);
        roc_sum += or_zero(roc);
        roc_classes += !isnan(roc);
        ap_sum += or_zero(precision);
        ap_classes += !isnan(precision);
    }
    soma__free(sample);
    if (status != SOMA_OK)
        return status;
    *roc_auc = ratio(roc_sum, roc_classes);
    if (ap)
        *ap = ratio(ap_sum, ap_classes);
    return SOMA_OK;
}

/* One pass over the samples for each bin: bins are few, and nothing has to be allocated. */
double soma_calibration_error(const float *probabilities, const int64_t *labels, int64_t count,
                              int classes, int bins)
{
    double error = 0;
    for (int bin = 0; bin < bins; bin++) {
        double confidence = 0, hit = 0;
        for (int64_t i = 0; i < count; i++) {
            const float *row = probabilities + i * classes;
            int best = 0;
            for (int c = 1; c < classes; c++)
                best = row[c] > row[best] ? c : best;
            /* Bins are open below and closed above, as in the paper; 0 itself goes to the first. */
            int at = (int)ceil((double)row[best] * bins) - 1;
            at = at < 0 ? 0 : at >= bins ? bins - 1 : at;
            if (at != bin)
                continue;
            confidence += (double)row[best];
            hit += labels[i] == best;
        }
        error += fabs(hit - confidence);
    }
    return ratio(error, (double)count);
}
