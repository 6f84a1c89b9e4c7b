/* report.c: how well a model does, for people and for machines. */
#include <math.h>
#include <string.h>

#include "cli/cli.h"
#include "nn/nn.h"

/* A matrix of more classes does not fit a screen; then only its largest mistakes are shown. */
#define MATRIX_CLASSES 20
#define MISTAKES 10

/* A binary model has one output, and two classes. */
static int report_classes(const soma_model *model)
{
    switch (soma_model_get_options(model)->task) {
    case SOMA_TASK_CLASSIFY:
        return soma__model_steps(model) ? 0 : soma_model_class_count(model);
    case SOMA_TASK_BINARY:
        return 2;
    case SOMA_TASK_REGRESS:
        return 0;
    }
    return 0;
}

soma_status cli_report_make(cli_report *out, soma_model *model, const soma_dataset *dataset,
                            int64_t batch, soma_error *err)
{
    *out = (cli_report){.classes = report_classes(model)};
    size_t k = (size_t)out->classes;
    if (k) {
        out->confusion = soma__calloc(k, k * sizeof *out->confusion);
        if (!out->confusion)
            return soma__fail(err, SOMA_MEMORY, "no memory for a %zu x %zu confusion matrix", k, k);
    }
    soma_status status =
        soma_evaluate_scores(model, dataset, batch, &out->scores, out->confusion, err);
    if (status != SOMA_OK)
        cli_report_clear(out);
    return status;
}

/* The name of class `index`: of two, "0" and "1" where the model knows none. */
static const char *class_name(const cli_report *r, const soma_model *model, int index)
{
    if (soma_model_class_count(model) >= r->classes)
        return soma_model_class(model, index);
    return index ? "1" : "0";
}

void cli_report_clear(cli_report *report)
{
    soma__free(report->confusion);
    *report = (cli_report){0};
}

char *cli_percent(double share, char *buffer, size_t size)
{
    if (isfinite(share))
        snprintf(buffer, size, "%.2f %%", share * 100);
    else
        snprintf(buffer, size, "-");
    return buffer;
}

void cli_report_line(const cli_report *report, const char *part)
{
    const soma_metrics *m = &report->scores.metrics;
    char percent[32], right[32], all[32];
    soma__format_count(m->samples, all, sizeof all);
    if (isfinite(report->scores.perplexity))
        printf("%s: loss %.4f, perplexity %.4f, accuracy %s of the steps of %s samples\n", part,
               m->loss, report->scores.perplexity,
               cli_percent(m->accuracy, percent, sizeof percent), all);
    else if (isfinite(m->accuracy))
        printf("%s: accuracy %s (%s of %s), loss %.4f\n", part,
               cli_percent(m->accuracy, percent, sizeof percent),
               soma__format_count((int64_t)(m->accuracy * (double)m->samples + 0.5), right,
                                  sizeof right),
               all, m->loss);
    else
        printf(
            "%s: mean squared error %.6g (root %.6g), mean error %.6g, R2 %.4f over %s samples\n",
            part, report->scores.regression.mse, report->scores.regression.rmse,
            report->scores.regression.mae, report->scores.regression.r2, all);
    const soma_forecast_scores *f = &report->scores.forecast;
    if (isfinite(f->mase))
        printf("%s: MASE %.4f, sMAPE %.2f %%; the seasonal naive forecast: mean error %.6g, MASE "
               "%.4f, sMAPE %.2f %%\n",
               part, f->mase, f->smape * 100, f->naive_mae, f->naive_mase, f->naive_smape * 100);
}

/* --- confusion ----------------------------------------------------------------------------------
 */

static int64_t cell(const cli_report *r, int truth, int predicted)
{
    return r->confusion[(size_t)truth * (size_t)r->classes + (size_t)predicted];
}

/* Width of a column: its class name or its largest count, at least 3. */
static int column_width(const cli_report *r, const soma_model *model, int column)
{
    char text[32];
    size_t width = 3, name = strlen(class_name(r, model, column));
    width = name > width ? name : width;
    width = width > 12 ? 12 : width;
    for (int t = 0; t < r->classes; t++) {
        int digits = snprintf(text, sizeof text, "%lld", (long long)cell(r, t, column));
        width = (size_t)digits > width ? (size_t)digits : width;
    }
    return (int)width;
}

static int name_width(const cli_report *r, const soma_model *model)
{
    size_t width = 8;
    for (int i = 0; i < r->classes; i++) {
        size_t n = strlen(class_name(r, model, i));
        width = n > width ? n : width;
    }
    return (int)(width > 24 ? 24 : width);
}

static void print_matrix(const cli_report *r, const soma_model *model)
{
    int left = name_width(r, model);
    printf("confusion (row: truth, column: predicted)\n%*s", left, "");
    for (int p = 0; p < r->classes; p++)
        printf("  %*.12s", column_width(r, model, p), class_name(r, model, p));
    printf("\n");
    for (int t = 0; t < r->classes; t++) {
        printf("%*.24s", left, class_name(r, model, t));
        for (int p = 0; p < r->classes; p++) {
            int width = column_width(r, model, p);
            /* A dot for nothing makes the mistakes stand out. */
            if (cell(r, t, p))
                printf("  %*lld", width, (long long)cell(r, t, p));
            else
                printf("  %*s", width, ".");
        }
        printf("\n");
    }
}

/* The largest mistakes, each found by a pass that looks below the one before: few are wanted. */
static void print_mistakes(const cli_report *r, const soma_model *model)
{
    size_t cells = (size_t)r->classes * (size_t)r->classes, last = 0;
    int64_t limit = INT64_MAX;
    printf("most frequent mistakes (of %d classes)\n", r->classes);
    for (int shown = 0; shown < MISTAKES; shown++) {
        size_t best = cells;
        for (size_t i = 0; i < cells; i++) {
            bool wrong = i / (size_t)r->classes != i % (size_t)r->classes;
            bool after = r->confusion[i] < limit || (r->confusion[i] == limit && i > last);
            if (wrong && after && r->confusion[i] > 0 &&
                (best == cells || r->confusion[i] > r->confusion[best]))
                best = i;
        }
        if (best == cells)
            return;
        printf("  %6lld times %s taken for %s\n", (long long)r->confusion[best],
               class_name(r, model, (int)(best / (size_t)r->classes)),
               class_name(r, model, (int)(best % (size_t)r->classes)));
        limit = r->confusion[best];
        last = best;
    }
}

void cli_report_confusion(const cli_report *report, const soma_model *model)
{
    if (!report->classes)
        return;
    if (report->classes <= MATRIX_CLASSES)
        print_matrix(report, model);
    else
        print_mistakes(report, model);
}

/* --- each class ---------------------------------------------------------------------------------
 */

static void print_classes(const cli_report *report, const soma_model *model)
{
    char a[32], b[32], c[32];
    int left = name_width(report, model);
    printf("%*s  %9s  %9s  %9s  %8s\n", left, "class", "precision", "recall", "F1", "samples");
    for (int k = 0; k < report->classes; k++) {
        soma_class_scores s = soma_scores_class(report->confusion, report->classes, k);
        printf("%*.24s  %9s  %9s  %9s  %8lld\n", left, class_name(report, model, k),
               cli_percent(s.precision, a, sizeof a), cli_percent(s.recall, b, sizeof b),
               cli_percent(s.f1, c, sizeof c), (long long)s.support);
    }
}

/* --- all classes together -----------------------------------------------------------------------
 */

/* The figures of a report, in the order in which they are shown; the first two have a line of their
 * own. */
static const struct figure {
    const char *key, *text;
    size_t offset;
} figures[] = {
    {"loss", "loss", offsetof(soma_scores, metrics.loss)},
    {"accuracy", "accuracy", offsetof(soma_scores, metrics.accuracy)},
    {"precision", "precision (mean of classes)", offsetof(soma_scores, precision)},
    {"recall", "recall (mean of classes)", offsetof(soma_scores, recall)},
    {"f1", "F1 (mean of classes)", offsetof(soma_scores, f1)},
    {"balanced_accuracy", "balanced accuracy", offsetof(soma_scores, balanced_accuracy)},
    {"top5_accuracy", "top-5 accuracy", offsetof(soma_scores, top5)},
    {"mcc", "Matthews correlation", offsetof(soma_scores, mcc)},
    {"kappa", "Cohen's kappa", offsetof(soma_scores, kappa)},
    {"roc_auc", "area under ROC", offsetof(soma_scores, roc_auc)},
    {"average_precision", "average precision", offsetof(soma_scores, average_precision)},
    {"calibration_error", "calibration error", offsetof(soma_scores, calibration_error)},
    {"perplexity", "perplexity", offsetof(soma_scores, perplexity)},
    {"mse", "mean squared error", offsetof(soma_scores, regression.mse)},
    {"rmse", "its root", offsetof(soma_scores, regression.rmse)},
    {"mae", "mean error", offsetof(soma_scores, regression.mae)},
    {"r2", "R2", offsetof(soma_scores, regression.r2)},
    {"max_error", "largest error", offsetof(soma_scores, regression.max_error)},
    {"mape", "mean relative error", offsetof(soma_scores, regression.mape)},
    {"mase", "MASE", offsetof(soma_scores, forecast.mase)},
    {"smape", "sMAPE", offsetof(soma_scores, forecast.smape)},
    {"naive_mae", "seasonal naive: mean error", offsetof(soma_scores, forecast.naive_mae)},
    {"naive_mase", "seasonal naive: MASE", offsetof(soma_scores, forecast.naive_mase)},
    {"naive_smape", "seasonal naive: sMAPE", offsetof(soma_scores, forecast.naive_smape)},
};
#define FIGURES (sizeof figures / sizeof figures[0])
#define ON_THEIR_LINE 2

bool cli_report_figure(const cli_report *report, size_t index, const char **key, const char **text,
                       double *value)
{
    if (index >= FIGURES)
        return false;
    *key = figures[index].key;
    *text = figures[index].text;
    memcpy(value, (const char *)&report->scores + figures[index].offset, sizeof *value);
    return true;
}

static void print_figures(const cli_report *r)
{
    const char *key, *text;
    double value;
    for (size_t i = ON_THEIR_LINE; cli_report_figure(r, i, &key, &text, &value); i++)
        if (!isnan(value))
            printf("%-28s %.6g\n", text, value);
}

void cli_report_classes(const cli_report *report, const soma_model *model)
{
    if (report->classes)
        print_classes(report, model);
    print_figures(report);
}

/* --- JSON ---------------------------------------------------------------------------------------
 */

static void add_key(cli_json *json, const char *prefix, const char *name, double value)
{
    char key[64];
    snprintf(key, sizeof key, "%s%s", prefix, name);
    cli_json_number(json, key, value);
}

static void add_confusion(const cli_report *r, cli_json *json)
{
    soma__text text = {0};
    for (int t = 0; t < r->classes; t++) {
        soma__text_add(&text, t ? ",[" : "[[");
        for (int p = 0; p < r->classes; p++)
            soma__text_add(&text, "%s%lld", p ? "," : "", (long long)cell(r, t, p));
        soma__text_add(&text, "]");
    }
    soma__text_add(&text, "]");
    if (!text.failed)
        cli_json_raw(json, "confusion", text.data);
    soma__text_free(&text);
}

static void add_classes(const cli_report *r, const soma_model *model, cli_json *json)
{
    cli_json list = {0};
    soma__text_add(&list.text, "[");
    for (int k = 0; k < r->classes; k++) {
        soma_class_scores s = soma_scores_class(r->confusion, r->classes, k);
        soma__text_add(&list.text, k ? ",{" : "{");
        list.first = true;
        cli_json_string(&list, "class", class_name(r, model, k));
        cli_json_number(&list, "precision", s.precision);
        cli_json_number(&list, "recall", s.recall);
        cli_json_number(&list, "f1", s.f1);
        cli_json_int(&list, "samples", s.support);
        soma__text_add(&list.text, "}");
    }
    soma__text_add(&list.text, "]");
    if (!list.text.failed)
        cli_json_raw(json, "classes", list.text.data);
    soma__text_free(&list.text);
}

void cli_report_json(const cli_report *report, const soma_model *model, const char *prefix,
                     cli_json *json)
{
    char key[64];
    const char *name, *text;
    double value;
    for (size_t i = 0; cli_report_figure(report, i, &name, &text, &value); i++)
        if (i < ON_THEIR_LINE || !isnan(value))
            add_key(json, prefix, name, value);
    snprintf(key, sizeof key, "%ssamples", prefix);
    cli_json_int(json, key, report->scores.metrics.samples);
    if (!report->classes)
        return;
    add_confusion(report, json);
    add_classes(report, model, json);
}
