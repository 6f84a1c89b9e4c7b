/* scores.c: everything that is usually asked about a model on a data set. */
#include <math.h>
#include <string.h>

#include "data/dataset.h"
#include "data/series.h"
#include "nn/nn.h"
#include "train/step.h"

#define CALIBRATION_BINS 15 /* as in Guo et al. 2017 */

/* What the model said of all samples, and what is true. */
typedef struct record {
    const soma_dataset *dataset;
    int64_t count, width; /* samples seen; outputs of a sample */
    float *raw;           /* [count, width] */
    int64_t *labels;      /* [count], where y is labels */
    float *values;        /* [count, width], where it is not */
} record;

static void see(void *user, const soma_tensor *raw, const void *y, int64_t count)
{
    record *r = user;
    int64_t first = r->count * r->width, cells = count * r->width;
    memcpy(r->raw + first, soma_tensor_const_data(raw), (size_t)cells * sizeof *r->raw);
    if (r->labels)
        memcpy(r->labels + r->count, y, (size_t)count * sizeof *r->labels);
    else
        for (int64_t i = 0; i < cells; i++)
            r->values[first + i] = (float)soma__load(r->dataset->y_dtype, y, i);
    r->count += count;
}

static soma_status record_create(record *r, const soma_model *model, const soma_dataset *dataset,
                                 int64_t width, soma_error *err)
{
    size_t cells;
    bool labels = soma_model_get_options(model)->task == SOMA_TASK_CLASSIFY;
    *r = (record){.dataset = dataset, .width = width};
    if (soma__mul((size_t)dataset->count, (size_t)width, &cells)) {
        r->raw = soma__calloc(cells, sizeof *r->raw);
        if (labels)
            r->labels = soma__calloc((size_t)dataset->count, sizeof *r->labels);
        else
            r->values = soma__calloc(cells, sizeof *r->values);
    }
    if (!r->raw || (!r->labels && !r->values))
        return soma__fail(err, SOMA_MEMORY, "no memory for %lld outputs of each of %lld samples",
                          (long long)width, (long long)dataset->count);
    return SOMA_OK;
}

static void record_clear(record *r)
{
    soma__free(r->raw);
    soma__free(r->labels);
    soma__free(r->values);
}

/* --- each task ----------------------------------------------------------------------------------
 */

static void from_confusion(soma_scores *out, const int64_t *confusion, int classes)
{
    soma_class_scores mean = soma_scores_average(confusion, classes, SOMA_AVERAGE_MACRO);
    out->classes = classes;
    out->precision = mean.precision;
    out->recall = mean.recall;
    out->f1 = mean.f1;
    out->balanced_accuracy = soma_scores_balanced_accuracy(confusion, classes);
    out->mcc = soma_scores_mcc(confusion, classes);
    out->kappa = soma_scores_kappa(confusion, classes);
}

/* Each row becomes its softmax. */
static void to_probabilities(float *row, int64_t width)
{
    double sum = 0, most = -INFINITY;
    for (int64_t c = 0; c < width; c++)
        most = fmax(most, (double)row[c]);
    for (int64_t c = 0; c < width; c++)
        sum += exp((double)row[c] - most);
    for (int64_t c = 0; c < width; c++)
        row[c] = (float)(exp((double)row[c] - most) / sum);
}

static soma_status score_classes(soma_scores *out, record *r, const int64_t *confusion,
                                 soma_error *err)
{
    int classes = (int)r->width;
    from_confusion(out, confusion, classes);
    if (classes > 5)
        out->top5 = soma_top_k(r->raw, r->labels, r->count, classes, 5);
    /* A column of logits is not comparable between samples, one of probabilities is. */
    for (int64_t i = 0; i < r->count; i++)
        to_probabilities(r->raw + i * r->width, r->width);
    out->calibration_error =
        soma_calibration_error(r->raw, r->labels, r->count, classes, CALIBRATION_BINS);
    return soma_one_vs_rest(&out->roc_auc, &out->average_precision, r->raw, r->labels, r->count,
                            classes, err);
}

/* Every target by itself: truth and prediction are split at a half, which is logit 0. */
static soma_status score_binary(soma_scores *out, const record *r, int64_t *confusion,
                                soma_error *err)
{
    int64_t cells = r->count * r->width;
    bool *positive = soma__calloc((size_t)cells + 1, sizeof *positive);
    float *pair = soma__calloc((size_t)cells + 1, 2 * sizeof *pair);
    int64_t *labels = soma__calloc((size_t)cells + 1, sizeof *labels);
    soma_status status = SOMA_OK;
    if (!positive || !pair || !labels)
        status = soma__fail(err, SOMA_MEMORY, "no memory to score %lld targets", (long long)cells);
    for (int64_t i = 0; i < cells && status == SOMA_OK; i++) {
        double p = 1 / (1 + exp(-(double)r->raw[i]));
        positive[i] = r->values[i] > 0.5F;
        labels[i] = positive[i];
        pair[2 * i] = (float)(1 - p);
        pair[2 * i + 1] = (float)p;
        confusion[2 * labels[i] + (r->raw[i] > 0)]++;
    }
    if (status == SOMA_OK) {
        from_confusion(out, confusion, 2);
        out->calibration_error = soma_calibration_error(pair, labels, cells, 2, CALIBRATION_BINS);
        status = soma_roc_auc(&out->roc_auc, r->raw, positive, cells, err);
    }
    if (status == SOMA_OK)
        status = soma_average_precision(&out->average_precision, r->raw, positive, cells, err);
    soma__free(positive);
    soma__free(pair);
    soma__free(labels);
    return status;
}

/* Beside the seasonal naive forecast, over the targets that have one. The order of the record is
 * that of the samples. */
static soma_status score_forecast(soma_scores *out, const record *r, soma_error *err)
{
    const soma__series_encoding *series = soma__dataset_series(r->dataset);
    int64_t cells = r->count * r->width, known = 0;
    soma_forecast_scores *f = &out->forecast;
    if (!series || r->width != series->options.horizon)
        return SOMA_OK;
    float *naive = soma__calloc((size_t)cells + 1, 2 * sizeof *naive);
    if (!naive)
        return soma__fail(err, SOMA_MEMORY, "no memory for %lld naive forecasts", (long long)cells);
    float *truth = naive + cells;
    for (int64_t i = 0; i < r->count; i++)
        soma__series_naive(r->dataset, i, naive + i * r->width);
    for (int64_t i = 0; i < cells; i++)
        if (!isnan(naive[i])) {
            naive[known] = naive[i];
            truth[known++] = r->values[i];
        }
    f->mase = soma_mase(r->raw, r->values, cells, series->scale);
    f->smape = soma_smape(r->raw, r->values, cells);
    f->naive_mae = soma_scores_regression(naive, truth, known).mae;
    f->naive_mase = soma_mase(naive, truth, known, series->scale);
    f->naive_smape = soma_smape(naive, truth, known);
    soma__free(naive);
    return SOMA_OK;
}

static soma_status score(soma_scores *out, soma_model *model, soma__evaluator *evaluator, record *r,
                         int64_t *confusion, soma_error *err)
{
    evaluator->see = see;
    evaluator->user = r;
    SOMA__TRY(soma__evaluator_run(evaluator, &out->metrics, confusion, NULL, err));
    switch (soma_model_get_options(model)->task) {
    case SOMA_TASK_CLASSIFY:
        return score_classes(out, r, confusion, err);
    case SOMA_TASK_BINARY:
        return score_binary(out, r, confusion, err);
    case SOMA_TASK_REGRESS:
        out->regression = soma_scores_regression(r->raw, r->values, r->count * r->width);
        return score_forecast(out, r, err);
    }
    return SOMA_OK;
}

/* A class for each step: a vocabulary is too large for a confusion matrix, and so are all the
 * answers of a text for memory. */
static soma_status score_steps(soma_scores *out, soma_model *model, const soma_dataset *dataset,
                               int64_t batch, soma_error *err)
{
    SOMA__TRY(soma_evaluate(model, dataset, batch, &out->metrics, NULL, err));
    if (!soma__reads_sequences(model, dataset))
        out->perplexity = exp(out->metrics.loss);
    return SOMA_OK;
}

soma_status soma_evaluate_scores(soma_model *model, const soma_dataset *dataset, int64_t batch,
                                 soma_scores *out, int64_t *confusion, soma_error *err)
{
    *out = (soma_scores){{NAN, NAN, 0},
                         0,
                         NAN,
                         NAN,
                         NAN,
                         NAN,
                         NAN,
                         NAN,
                         NAN,
                         NAN,
                         NAN,
                         NAN,
                         NAN,
                         {NAN, NAN, NAN, NAN, NAN, NAN, 0},
                         {NAN, NAN, NAN, NAN, NAN}};
    if (!model || !dataset)
        return soma__fail(err, SOMA_INVALID, "an evaluation needs a model and a data set");
    SOMA__TRY(soma__data_fits(model, NULL, dataset, "data", err));
    if (soma__model_steps(model))
        return score_steps(out, model, dataset, batch, err);
    soma_task task = soma_model_get_options(model)->task;
    size_t classes = task == SOMA_TASK_CLASSIFY ? (size_t)soma_model_class_count(model)
                     : task == SOMA_TASK_BINARY ? 2
                                                : 0;
    int64_t *counts = soma__calloc(classes + 1, (classes + 1) * sizeof *counts);
    if (!counts)
        return soma__fail(err, SOMA_MEMORY, "no memory for a %zu x %zu confusion matrix", classes,
                          classes);
    soma__evaluator evaluator;
    record r = {0};
    soma_status status = soma__evaluator_create(&evaluator, model, dataset, batch, NULL, err);
    if (status == SOMA_OK) {
        soma_shape shape =
            *soma_tensor_shape(soma_session_output(evaluator.full.session, evaluator.full.raw));
        int64_t cells = 0;
        soma__shape_count(&shape, &cells);
        status = record_create(&r, model, dataset, cells / evaluator.full.batch, err);
        if (status == SOMA_OK)
            status = score(out, model, &evaluator, &r, counts, err);
        soma__evaluator_destroy(&evaluator);
    }
    if (status == SOMA_OK && confusion)
        memcpy(confusion, counts, classes * classes * sizeof *counts);
    record_clear(&r);
    soma__free(counts);
    return status;
}
