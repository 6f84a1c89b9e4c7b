/* check.c: the linter: a table of checks over a model, its data and the options of a training. Each
 * looks for one mistake and says how to mend it. A check must not cry wolf: limits lie far outside
 * of what sound networks show, and the tests run all of them over the shipped recipes. */
#include "train/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "data/check.h"
#include "data/dataset.h"
#include "data/text.h"
#include "data/transform.h"
#include "nn/nn.h"
#include "optim/optim.h"
#include "train/step.h"

#define SAMPLES 256
#define FEW_SAMPLES 32     /* where reading takes time */
#define MOST_STREAMED 2000 /* samples that are read to be compared, where that takes time */
/* Root mean square of inputs and targets as the network sees them; scaled ones have about 1. */
#define LARGE 10.0
#define SMALL 1e-3
#define LARGE_TARGETS 100.0
/* Deviation of one feature against another's. */
#define UNEVEN 1000.0
#define IMBALANCE 10
#define MOST_BYTES ((double)(512 << 20)) /* of samples that are compared with each other */
/* Of the rate's probe: a batch is to be learned by heart, which any fitting rate begins. */
#define PROBE_STEPS 25
#define PROBE_BATCH 32
#define PROBE_FLOPS 1e10 /* about half a second */
#define DIVERGED 2.0
#define WORSE 4.0 /* on the way, where the end is no better than the start */
#define MOVED 1e-3
/* Share of the test part that is also in the training part. */
#define LEAK_SHARE 0.05

/* --- findings -----------------------------------------------------------------------------------
 */

static char *format_text(const char *format, va_list args)
{
    char buffer[SOMA_ERROR_MESSAGE_SIZE];
    vsnprintf(buffer, sizeof buffer, format, args);
    return soma__strdup(buffer);
}

soma_status soma__lint_found(soma__linter *l, soma_severity severity, soma_error *err,
                             const char *fix, const char *format, ...)
{
    va_list args;
    size_t count = (size_t)l->out->count;
    if (!soma__grow((void **)&l->out->list, &l->capacity, count, sizeof *l->out->list))
        return soma__fail(err, SOMA_MEMORY, "no memory for what the checks find");
    va_start(args, format);
    soma_finding finding = {l->now->id, severity, format_text(format, args), soma__strdup(fix)};
    va_end(args);
    if (!finding.message || !finding.fix) {
        soma__free(finding.message);
        soma__free(finding.fix);
        return soma__fail(err, SOMA_MEMORY, "no memory for what the checks find");
    }
    l->out->list[l->out->count++] = finding;
    return SOMA_OK;
}

void soma_findings_clear(soma_findings *findings)
{
    if (!findings)
        return;
    for (int i = 0; i < findings->count; i++) {
        soma__free(findings->list[i].message);
        soma__free(findings->list[i].fix);
    }
    soma__free(findings->list);
    *findings = (soma_findings){0};
}

const char *soma_severity_text(soma_severity severity)
{
    static const char *const texts[] = {"note", "warning", "fault"};
    return (int)severity >= 0 && (int)severity < 3 ? texts[severity] : "";
}

static bool has_fault(const soma_findings *findings)
{
    for (int i = 0; i < findings->count; i++)
        if (findings->list[i].severity == SOMA_SEVERITY_FAULT)
            return true;
    return false;
}

/* --- samples ------------------------------------------------------------------------------------
 */

soma_status soma__check_samples(soma__linter *l, int64_t *count, void **x, void **y,
                                soma_error *err)
{
    const soma_dataset *train = l->data->train;
    int64_t n = *count < train->count ? *count : train->count;
    /* Pictures are decoded, streams read: a few must do. */
    if (!soma__dataset_memory(train) && n > FEW_SAMPLES)
        n = FEW_SAMPLES;
    size_t scratch_bytes = soma__dataset_scratch(train), x_bytes, y_bytes;
    void *scratch = scratch_bytes ? soma__aligned(scratch_bytes) : NULL;
    soma_status status = SOMA_OK;
    *x = *y = NULL;
    *count = n;
    if (soma__mul((size_t)n, train->x_bytes, &x_bytes) &&
        soma__mul((size_t)n, train->y_bytes, &y_bytes)) {
        *x = soma__aligned(x_bytes);
        *y = soma__aligned(y_bytes);
    }
    if (!*x || !*y || (scratch_bytes && !scratch))
        status = soma__fail(err, SOMA_MEMORY, "no memory to look at samples");
    for (int64_t i = 0; i < n && status == SOMA_OK; i++) {
        int64_t index = (int64_t)((double)i * (double)train->count / (double)n);
        status = soma__dataset_read_epoch(train, SOMA__EPOCH_PLAIN, &index, 1, scratch,
                                          (char *)*x + (size_t)i * train->x_bytes,
                                          (char *)*y + (size_t)i * train->y_bytes, err);
    }
    soma__free(scratch);
    if (status != SOMA_OK) {
        soma__free(*x);
        soma__free(*y);
        *x = *y = NULL;
    }
    return status;
}

/* --- labels, data-fit ---------------------------------------------------------------------------
 */

static soma_status labels_of(soma__linter *l, const soma_dataset *dataset, const char *part,
                             soma_error *err)
{
    int classes = soma_model_class_count(l->model);
    int64_t bad = 0, first = -1, largest = 0;
    if (!dataset || !dataset->labels)
        return SOMA_OK;
    for (int64_t i = 0; i < dataset->count; i++) {
        int64_t label = soma__dataset_label(dataset, i);
        bool ignored = l->options.loss.ignores && label == l->options.loss.ignore_index;
        if (label >= classes && !ignored) {
            first = first < 0 ? i : first;
            bad++;
        }
        largest = label > largest ? label : largest;
    }
    if (bad)
        return soma__lint_found(
            l, SOMA_SEVERITY_FAULT, err,
            "make the last layer as wide as there are classes, or mend the labels (they count from "
            "0)",
            "%s part: %lld samples have labels of %d and more, the first is sample %lld; the model "
            "has %d outputs, so labels go from 0 to %d",
            part, (long long)bad, classes, (long long)first, classes, classes - 1);
    /* Twice as many outputs as classes are no rounding up to a nice number. */
    if (dataset == l->data->train && soma__dataset_label(dataset, 0) >= 0 &&
        classes > 2 * (largest + 1))
        return soma__lint_found(
            l, SOMA_SEVERITY_WARNING, err, "make the last layer as wide as there are classes",
            "the model has %d outputs, but labels only go up to %lld", classes, (long long)largest);
    return SOMA_OK;
}

static soma_status check_labels(soma__linter *l, soma_error *err)
{
    if (soma_model_get_options(l->model)->task != SOMA_TASK_CLASSIFY)
        return SOMA_OK;
    SOMA__TRY(labels_of(l, l->data->train, "training", err));
    SOMA__TRY(labels_of(l, l->data->validation, "validation", err));
    return labels_of(l, l->data->test, "test", err);
}

/* What soma_train would refuse, unless a check above has told it better. */
static soma_status check_data_fit(soma__linter *l, soma_error *err)
{
    soma_error inner = {0};
    if (has_fault(l->out) || !l->loss.type)
        return SOMA_OK;
    soma_status status =
        soma__data_fits(l->model, &l->loss, l->data->train, "training data", &inner);
    if (status == SOMA_OK && l->data->validation)
        status =
            soma__data_fits(l->model, &l->loss, l->data->validation, "validation data", &inner);
    if (status == SOMA_OK)
        return SOMA_OK;
    return soma__lint_found(l, SOMA_SEVERITY_FAULT, err,
                            "change the input or output of the model, or the task, to fit the data",
                            "%s", inner.message);
}

/* --- the end of the network against the loss ----------------------------------------------------
 */

static bool loss_is(const soma__linter *l, const char *names)
{
    const char *name = l->loss.type ? l->loss.type->name : "", *at = strstr(names, name);
    size_t n = strlen(name);
    return n && at && (at == names || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0');
}

static soma_status check_softmax(soma__linter *l, soma_error *err)
{
    const char *last = soma__check_output_op(&l->evaluate);
    soma_task task = soma_model_get_options(l->model)->task;
    bool softmax = strcmp(last, "softmax") == 0;
    bool logarithm = strcmp(last, "log_softmax") == 0;
    if (task == SOMA_TASK_CLASSIFY && (softmax || logarithm) && loss_is(l, "cross_entropy focal"))
        return soma__lint_found(
            l, SOMA_SEVERITY_WARNING, err,
            logarithm ? "leave it out, or take `loss: nll`"
                      : "leave the softmax out: the loss and `soma predict` apply it themselves",
            "the model ends in %s, and %s applies softmax again%s", last, l->loss.type->name,
            softmax ? ": gradients become small, and the loss cannot fall far below ln(classes)"
                    : ", for nothing");
    if (task == SOMA_TASK_BINARY && (softmax || strcmp(last, "sigmoid") == 0) &&
        loss_is(l, "bce_logits focal dice iou"))
        return soma__lint_found(
            l, SOMA_SEVERITY_WARNING, err,
            "leave it out: the loss and `soma predict` apply the sigmoid themselves",
            "the model ends in %s, and %s applies the sigmoid again", last, l->loss.type->name);
    return SOMA_OK;
}

/* Range of the targets as the network learns them, over some samples. */
static soma_status target_range(soma__linter *l, double *low, double *high, double *square,
                                soma_error *err)
{
    int64_t n = SAMPLES;
    void *x, *y;
    const soma_dataset *train = l->data->train;
    const soma_parameter *shift = soma_model_find(l->model, "target.shift");
    const soma_parameter *scale = soma_model_find(l->model, "target.scale");
    SOMA__TRY(soma__check_samples(l, &n, &x, &y, err));
    int64_t each = (int64_t)(train->y_bytes / soma_dtype_size(train->y_dtype));
    *low = INFINITY;
    *high = -INFINITY;
    *square = 0;
    for (int64_t i = 0; i < n * each; i++) {
        double value = soma__load(train->y_dtype, y, i);
        if (shift && scale) {
            int64_t k = i % soma_tensor_count(shift->tensor);
            value = (value - soma_tensor_get(shift->tensor, k)) * soma_tensor_get(scale->tensor, k);
        }
        *low = fmin(*low, value);
        *high = fmax(*high, value);
        *square += value * value / (double)(n * each);
    }
    soma__free(x);
    soma__free(y);
    return SOMA_OK;
}

/* The ends of a network that leave some targets out of reach. */
static const struct {
    const char *op;
    double low, high;
} ranges[] = {
    {"relu", 0, INFINITY}, {"sigmoid", 0, 1},         {"softmax", 0, 1},
    {"tanh", -1, 1},       {"softplus", 0, INFINITY},
};

static soma_status check_regression(soma__linter *l, const char *last, soma_error *err)
{
    double low, high, square;
    /* Poisson's loss takes logarithms of rates, the others what the targets are. */
    if (!loss_is(l, "mse half_mse mae huber smooth_l1 log_cosh quantile"))
        return SOMA_OK;
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        if (strcmp(last, ranges[i].op) != 0)
            continue;
        SOMA__TRY(target_range(l, &low, &high, &square, err));
        if (low < ranges[i].low - 1e-6 || high > ranges[i].high + 1e-6)
            return soma__lint_found(
                l, SOMA_SEVERITY_WARNING, err, "end with a dense layer without activation",
                "the model ends in %s, which gives values from %g to %g, but targets go from %.4g "
                "to %.4g",
                last, ranges[i].low, ranges[i].high, low, high);
    }
    return SOMA_OK;
}

static soma_status check_binary(soma__linter *l, soma_error *err)
{
    double low, high, square;
    if (soma__dataset_label(l->data->train, 0) < 0 && l->data->train->y_dtype == SOMA_I64)
        return SOMA_OK;
    SOMA__TRY(target_range(l, &low, &high, &square, err));
    if (low < 0 || high > 1)
        return soma__lint_found(l, SOMA_SEVERITY_FAULT, err,
                                "give targets of 0 and 1, or take `task: classify` or `regress`",
                                "the task is binary, but targets go from %.4g to %.4g", low, high);
    return SOMA_OK;
}

static soma_status check_loss(soma__linter *l, soma_error *err)
{
    const char *last = soma__check_output_op(&l->evaluate);
    soma_task task = soma_model_get_options(l->model)->task;
    bool probabilities = strcmp(last, "softmax") == 0, logs = strcmp(last, "log_softmax") == 0;
    if (!l->loss.type)
        return soma__lint_found(l, SOMA_SEVERITY_FAULT, err,
                                "`soma ops --losses` tells which task each loss is for", "%s",
                                l->loss_error.message);
    if (task == SOMA_TASK_REGRESS)
        return check_regression(l, last, err);
    if (task == SOMA_TASK_BINARY)
        return check_binary(l, err);
    if (soma_model_class_count(l->model) < 2)
        return soma__lint_found(
            l, SOMA_SEVERITY_FAULT, err,
            "one output per class; for two classes on one output `task: binary`",
            "the model has one output: a classifier of one class knows nothing");
    if (loss_is(l, "nll") && !logs)
        return soma__lint_found(
            l, SOMA_SEVERITY_FAULT, err,
            probabilities ? "log_softmax instead of softmax, or `loss: cross_entropy` without it"
                          : "end with log_softmax, or take `loss: cross_entropy`",
            "nll takes logarithms of probabilities, but the model ends in %s", last);
    if (strcmp(last, "relu") == 0 || strcmp(last, "sigmoid") == 0 || strcmp(last, "tanh") == 0)
        return soma__lint_found(
            l, SOMA_SEVERITY_WARNING, err, "leave it out: scores of classes are any numbers",
            "the model ends in %s: %s wants scores without bounds", last, l->loss.type->name);
    return SOMA_OK;
}

/* --- parts --------------------------------------------------------------------------------------
 */

static const soma_dataset *resolve(const soma_dataset *dataset, int64_t *i)
{
    for (; dataset->parent; dataset = dataset->parent)
        *i = dataset->index ? dataset->index[*i] : *i;
    return dataset;
}

/* How many samples of `part` are also in `other`, by where they come from; the same set opened
 * twice is found by its contents (check_leak). */
static soma_status shared_samples(const soma_dataset *part, const soma_dataset *other, int64_t *out,
                                  soma_error *err)
{
    int64_t zero = 0, same = 0;
    *out = 0;
    if (!part || !other)
        return SOMA_OK;
    const soma_dataset *root = resolve(part, &zero), *other_root = resolve(other, &same);
    if (root != other_root)
        return SOMA_OK;
    bool *taken = soma__calloc((size_t)root->count, sizeof *taken);
    if (!taken)
        return soma__fail(err, SOMA_MEMORY, "no memory to compare parts");
    for (int64_t i = 0; i < other->count; i++) {
        int64_t at = i;
        (void)resolve(other, &at);
        taken[at] = true;
    }
    for (int64_t i = 0; i < part->count; i++) {
        int64_t at = i;
        (void)resolve(part, &at);
        *out += taken[at];
    }
    soma__free(taken);
    return SOMA_OK;
}

static soma_status check_parts(soma__linter *l, soma_error *err)
{
    int64_t shared;
    const soma_data *d = l->data;
    SOMA__TRY(shared_samples(d->validation, d->test, &shared, err));
    if (shared)
        SOMA__TRY(soma__lint_found(
            l, SOMA_SEVERITY_WARNING, err,
            "split a validation part off the training part (data.validation: 0.1)",
            "%lld of %lld validation samples are of the test part: what chooses the best epoch "
            "cannot measure it as well",
            (long long)shared, (long long)d->validation->count));
    SOMA__TRY(shared_samples(d->validation, d->train, &shared, err));
    if (shared)
        SOMA__TRY(
            soma__lint_found(l, SOMA_SEVERITY_WARNING, err,
                             "split a validation part off the training part "
                             "(data.validation: 0.1)",
                             "%lld of %lld validation samples are trained on: validation will "
                             "not show overfitting",
                             (long long)shared, (long long)d->validation->count));
    SOMA__TRY(shared_samples(d->test, d->train, &shared, err));
    if (shared)
        SOMA__TRY(soma__lint_found(l, SOMA_SEVERITY_WARNING, err,
                                   "take other samples for the test part",
                                   "%lld of %lld test samples are trained on: the test score will "
                                   "mean nothing",
                                   (long long)shared, (long long)d->test->count));
    return SOMA_OK;
}

typedef struct leak {
    int64_t count, conflicts;
    char example[256], conflict[256];
} leak;

static void on_finding(void *user, const soma__finding *finding)
{
    leak *k = user;
    if (finding->check == SOMA__CHECK_LEAK) {
        if (!k->example[0])
            snprintf(k->example, sizeof k->example, "%.250s", finding->message);
        k->count = finding->count > k->count ? finding->count : k->count;
    } else if (finding->check == SOMA__CHECK_LABEL_CONFLICT) {
        if (!k->conflict[0])
            snprintf(k->conflict, sizeof k->conflict, "%.250s", finding->message);
        k->conflicts = finding->count > k->conflicts ? finding->count : k->conflicts;
    }
}

static double part_bytes(const soma_dataset *dataset)
{
    return dataset ? (double)dataset->count * (double)dataset->x_bytes : 0;
}

/* A few equal samples are in most collections; a share of them is a mistake of the split. */
static soma_status check_leak(soma__linter *l, soma_error *err)
{
    const soma_data *d = l->data;
    leak found = {0};
    const soma__check_options options = {.examples = 1, .found = on_finding, .user = &found};
    int64_t others = (d->validation ? d->validation->count : 0) + (d->test ? d->test->count : 0);
    if (!others ||
        part_bytes(d->train) + part_bytes(d->validation) + part_bytes(d->test) > MOST_BYTES)
        return SOMA_OK;
    SOMA__TRY(soma__data_check(d, &options, err));
    bool many = (double)found.count > LEAK_SHARE * (double)others;
    if (found.count)
        SOMA__TRY(soma__lint_found(
            l, many ? SOMA_SEVERITY_WARNING : SOMA_SEVERITY_NOTE, err,
            "take duplicates out before the data is split (`soma data check` lists them)",
            "%lld of %lld validation and test samples are in an earlier part as well: %s",
            (long long)found.count, (long long)others, found.example));
    if ((double)found.conflicts > LEAK_SHARE * (double)(d->train->count + others))
        SOMA__TRY(soma__lint_found(l, SOMA_SEVERITY_NOTE, err,
                                   "mend the labels (`soma data check` lists them)",
                                   "%lld equal samples have different labels: %s",
                                   (long long)found.conflicts, found.conflict));
    return SOMA_OK;
}

static soma_status check_balance(soma__linter *l, soma_error *err)
{
    const soma_dataset *train = l->data->train;
    int classes = soma_dataset_class_count(train), most = 0, least = -1;
    const soma_loss_options *loss = &l->options.loss;
    bool dealt_with = l->options.balanced || loss->balanced || loss->class_weight_count ||
                      loss->kind == SOMA_LOSS_FOCAL;
    if (classes < 2 || dealt_with || has_fault(l->out) || soma__dataset_label(train, 0) < 0 ||
        soma_model_get_options(l->model)->task == SOMA_TASK_REGRESS)
        return SOMA_OK;
    int64_t *counts = soma__calloc((size_t)classes, sizeof *counts);
    if (!counts)
        return soma__fail(err, SOMA_MEMORY, "no memory to count %d classes", classes);
    for (int64_t i = 0; i < train->count; i++)
        counts[soma__dataset_label(train, i)]++;
    for (int k = 0; k < classes; k++) {
        most = counts[k] > counts[most] ? k : most;
        least = counts[k] && (least < 0 || counts[k] < counts[least]) ? k : least;
    }
    int64_t high = counts[most], low = counts[least];
    soma__free(counts);
    if (high < IMBALANCE * low)
        return SOMA_OK;
    char a[32], b[32];
    const char *large = soma_dataset_class(train, most), *small = soma_dataset_class(train, least);
    snprintf(a, sizeof a, "%d", most);
    snprintf(b, sizeof b, "%d", least);
    return soma__lint_found(
        l, SOMA_SEVERITY_WARNING, err,
        "`train.balanced: true` draws each class equally often, class weights of the loss weigh "
        "them; look at precision and recall instead of accuracy",
        "class '%s' has %lld training samples, class '%s' only %lld: always answering the first "
        "is right in %.0f %%",
        large ? large : a, (long long)high, small ? small : b, (long long)low,
        100 * (double)high / (double)train->count);
}

/* --- weights, batches ---------------------------------------------------------------------------
 */

static soma_status check_weights(soma__linter *l, soma_error *err)
{
    int last = -1;
    for (int i = 0; i < soma_model_parameter_count(l->model); i++) {
        const soma_parameter *p = soma_model_parameter(l->model, i);
        if (p->trainable && soma_tensor_shape(p->tensor)->ndim >= 2)
            last = i;
    }
    for (int i = 0; i < soma_model_parameter_count(l->model); i++) {
        const soma_parameter *p = soma_model_parameter(l->model, i);
        /* The units of the last layer are told apart by the targets. */
        if (i != last && p->trainable && soma_tensor_shape(p->tensor)->ndim >= 2 &&
            soma_parameter_is_constant(p))
            SOMA__TRY(soma__lint_found(
                l, SOMA_SEVERITY_WARNING, err,
                "take an initialiser that draws, such as the default (leave `init` out)",
                "all weights of '%s' are %g: its units get the same gradients and stay the same",
                p->name, soma_tensor_get(p->tensor, 0)));
    }
    return SOMA_OK;
}

static soma_status check_batch_norm(soma__linter *l, soma_error *err)
{
    soma_layer_row *rows;
    int count;
    const char *norm = NULL;
    int64_t batch = l->options.batch, rest = l->data->train->count % batch;
    SOMA__TRY(soma_model_summary(l->model, &rows, &count, err));
    for (int i = 0; i < count && !norm; i++) {
        bool pixels = rows[i].output.ndim > 2 && rows[i].output.dim[1] * rows[i].output.dim[2] > 1;
        if (strcmp(rows[i].type, "batch_norm") == 0 && (batch == 1 || !pixels))
            norm = rows[i].name;
    }
    soma_status status = SOMA_OK;
    if (norm && batch == 1)
        status = soma__lint_found(
            l, SOMA_SEVERITY_WARNING, err, "a larger `train.batch`, or layer_norm instead",
            "'%s' takes its statistics over a batch of 1: each sample is only compared with itself",
            norm);
    else if (norm && rest == 1)
        status = soma__lint_found(l, SOMA_SEVERITY_WARNING, err,
                                  "another `train.batch`, or another split",
                                  "the last batch of each epoch has 1 sample (%lld samples in "
                                  "batches of %lld), over which "
                                  "'%s' takes its statistics",
                                  (long long)l->data->train->count, (long long)batch, norm);
    soma_free(rows);
    return status;
}

/* --- scaling ------------------------------------------------------------------------------------
 */

/* The first layer with parameters: one that normalises makes scaling needless, and what an
 * embedding reads are numbers of categories. */
static soma_status normalizes_itself(soma__linter *l, bool *out, soma_error *err)
{
    soma_layer_row *rows;
    int count;
    *out = false;
    SOMA__TRY(soma_model_summary(l->model, &rows, &count, err));
    for (int i = 0; i < count; i++) {
        bool leaf = i + 1 == count || rows[i + 1].depth <= rows[i].depth;
        if (leaf && rows[i].parameters > 0) {
            *out = strcmp(rows[i].type, "embedding") == 0 ||
                   (strstr(rows[i].type, "_norm") && strcmp(rows[i].type, "conv_norm") != 0);
            break;
        }
    }
    soma_free(rows);
    return SOMA_OK;
}

typedef struct spread {
    double square;    /* mean of all */
    double low, high; /* least and largest deviation of a feature */
    int64_t features;
} spread;

/* Over values as the network sees them. Deviations of features for rows of numbers only. */
static soma_status measure(const soma__linter *l, const void *x, int64_t n, spread *out,
                           soma_error *err)
{
    const soma_dataset *train = l->data->train;
    const soma_parameter *shift = soma_model_find(l->model, "input.shift");
    const soma_parameter *scale = soma_model_find(l->model, "input.scale");
    int64_t each = (int64_t)(train->x_bytes / soma_dtype_size(train->x_dtype));
    *out = (spread){.low = INFINITY, .features = train->x_shape.ndim == 1 ? each : 0};
    double *sum = soma__calloc((size_t)each + 1, 2 * sizeof *sum);
    if (!sum)
        return soma__fail(err, SOMA_MEMORY, "no memory to look at the inputs");
    double *squares = sum + each;
    for (int64_t i = 0; i < n * each; i++) {
        double value = soma__load(train->x_dtype, x, i);
        if (shift && scale) {
            int64_t k = i % soma_tensor_count(shift->tensor);
            value = (value - soma_tensor_get(shift->tensor, k)) *
                    soma_tensor_get(scale->tensor, i % soma_tensor_count(scale->tensor));
        }
        out->square += value * value / (double)(n * each);
        sum[i % each] += value / (double)n;
        squares[i % each] += value * value / (double)n;
    }
    for (int64_t k = 0; k < out->features; k++) {
        double deviation = sqrt(fmax(0, squares[k] - sum[k] * sum[k]));
        out->high = fmax(out->high, deviation);
    }
    for (int64_t k = 0; k < out->features; k++) {
        double deviation = sqrt(fmax(0, squares[k] - sum[k] * sum[k]));
        /* A constant feature, up to rounding, is another matter. */
        if (deviation > 1e-6 * out->high)
            out->low = fmin(out->low, deviation);
    }
    soma__free(sum);
    return SOMA_OK;
}

static soma_status check_scaling(soma__linter *l, soma_error *err)
{
    int64_t n = SAMPLES;
    void *x, *y;
    bool itself;
    spread s;
    SOMA__TRY(normalizes_itself(l, &itself, err));
    if (itself || soma__dataset_text(l->data->train)) /* ids of words have no size */
        return SOMA_OK;
    SOMA__TRY(soma__check_samples(l, &n, &x, &y, err));
    soma_status status = measure(l, x, n, &s, err);
    soma__free(x);
    soma__free(y);
    SOMA__TRY(status);
    double size = sqrt(s.square);
    static const char fix[] = "`data.scale: standard` (or unit, for pictures)";
    if (size > LARGE || (size < SMALL && size > 0))
        return soma__lint_found(
            l, SOMA_SEVERITY_WARNING, err, fix,
            "inputs are %s: their root mean square is %.3g, and initial weights and learning rates "
            "are made for about 1",
            size > LARGE ? "large" : "small", size);
    if (s.features > 1 && s.high > UNEVEN * s.low)
        return soma__lint_found(l, SOMA_SEVERITY_WARNING, err, fix,
                                "features differ in size: deviations go from %.3g to %.3g, so the "
                                "smallest hardly count",
                                s.low, s.high);
    return SOMA_OK;
}

static soma_status check_targets(soma__linter *l, soma_error *err)
{
    double low, high, square;
    if (soma_model_get_options(l->model)->task != SOMA_TASK_REGRESS)
        return SOMA_OK;
    SOMA__TRY(target_range(l, &low, &high, &square, err));
    if (sqrt(square) > LARGE_TARGETS)
        return soma__lint_found(
            l, SOMA_SEVERITY_WARNING, err, "`data.target_scale: standard`",
            "targets are large (%.4g to %.4g): a network begins with outputs of about 1, and "
            "gradients grow with the distance",
            low, high);
    return SOMA_OK;
}

/* --- rate ---------------------------------------------------------------------------------------
 */

/* Steps and batch that take about a second; false: one step takes longer. */
static soma_status probe_size(soma__linter *l, int64_t *batch, int64_t *steps, soma_error *err)
{
    soma_layer_row *rows;
    int count;
    double flops = 0;
    SOMA__TRY(soma_model_summary(l->model, &rows, &count, err));
    for (int i = 0; i < count; i++)
        if (i + 1 == count || rows[i + 1].depth <= rows[i].depth)
            flops += rows[i].flops;
    soma_free(rows);
    *batch = l->options.batch < PROBE_BATCH ? l->options.batch : PROBE_BATCH;
    /* Backward is twice forward. */
    double fits = PROBE_FLOPS / fmax(1, 3 * flops * (double)*batch);
    while (fits<PROBE_STEPS && * batch> 8) {
        *batch /= 2;
        fits *= 2;
    }
    *steps = (int64_t)fmin(PROBE_STEPS, fits);
    return SOMA_OK;
}

/* How far the steps moved the loss. Where dropout draws anew each step the loss moves without
 * learning, so it is held against steps of next to nothing with the same draws. */
static soma_status moved_by(soma__linter *l, const soma_train_options *options, int64_t steps,
                            const soma_overfit_test *test, double *out, soma_error *err)
{
    bool random = false;
    for (size_t i = 0; i < l->train.graph->count; i++)
        random = random || l->train.random[i];
    *out = fabs(test->last_loss - test->first_loss);
    if (!random || *out > 0.2 * fabs(test->first_loss))
        return SOMA_OK;
    soma_train_options still = *options;
    soma_overfit_test control;
    still.optimizer.rate *= 1e-6;
    SOMA__TRY(soma_overfit(l->model, l->data->train, &still, steps, &control, err));
    *out = fabs(test->last_loss - control.last_loss);
    return SOMA_OK;
}

static soma_status check_rate(soma__linter *l, soma_error *err)
{
    soma_train_options options = l->options;
    soma_overfit_test test;
    soma_error inner = {0};
    int64_t steps;
    double moved = 0;
    /* It searches for its step along the line, whatever the rate. */
    if (options.optimizer.kind == SOMA_LBFGS)
        return SOMA_OK;
    SOMA__TRY(probe_size(l, &options.batch, &steps, err));
    if (steps < 5)
        return SOMA_OK;
    SOMA__TRY(soma__optimizer_defaults(&options.optimizer, err));
    double rate = options.optimizer.rate;
    soma_status status = soma_overfit(l->model, l->data->train, &options, steps, &test, &inner);
    if (status == SOMA_OK && isfinite(test.last_loss))
        status = moved_by(l, &options, steps, &test, &moved, &inner);
    if (status == SOMA_MEMORY)
        return soma__fail(err, status, "%s", inner.message);
    if (status != SOMA_OK)
        return soma__lint_found(l, SOMA_SEVERITY_FAULT, err, "mend this first",
                                "a training step fails: %s", inner.message);
    double first = fabs(test.first_loss);
    if (!isfinite(test.last_loss) || test.last_loss > DIVERGED * first + 1 ||
        (test.worst_loss > WORSE * first + 1 && test.last_loss > 0.7 * first))
        return soma__lint_found(
            l, SOMA_SEVERITY_WARNING, err,
            "a smaller `train.optimizer.rate`; `soma probe RECIPE --rate` finds one",
            "at the rate %g the loss of one batch goes from %.3g by way of %.3g to %.3g in %lld "
            "steps: it diverges",
            rate, test.first_loss, test.worst_loss, test.last_loss, (long long)steps);
    if (moved < MOVED * first)
        return soma__lint_found(
            l, SOMA_SEVERITY_WARNING, err,
            "a larger `train.optimizer.rate`; `soma probe RECIPE --rate` finds one",
            "at the rate %g the loss of one batch, %.3g, does not move in %lld steps", rate,
            test.first_loss, (long long)steps);
    return SOMA_OK;
}

/* --- the table ----------------------------------------------------------------------------------
 */

#define WARNING SOMA_SEVERITY_WARNING
#define FAULT SOMA_SEVERITY_FAULT
static const soma__lint checks[] = {
    {"labels", FAULT, false, check_labels, "labels outside the classes, outputs without a class"},
    {"softmax-twice", WARNING, false, check_softmax,
     "softmax or sigmoid before a loss that applies it again"},
    {"loss-fit", FAULT, false, check_loss, "a loss that does not fit the task, output or targets"},
    {"data-fit", FAULT, false, check_data_fit, "data that the model cannot take"},
    {"test-as-validation", WARNING, false, check_parts,
     "samples that are in two of the training, validation and test parts"},
    {"constant-weights", WARNING, false, check_weights, "initial weights that are all equal"},
    {"no-nonlinearity", WARNING, false, soma__check_no_nonlinearity,
     "dense layers in a row without an activation between them"},
    {"dropout-after-output", WARNING, false, soma__check_dropout,
     "dropout after the last layer with weights"},
    {"inputs-scaled", WARNING, false, check_scaling, "inputs, or single features, far from size 1"},
    {"targets-scaled", WARNING, false, check_targets, "targets of a regression far from size 1"},
    {"batch-norm-one", WARNING, false, check_batch_norm, "batch norm over batches of one sample"},
    {"class-balance", WARNING, false, check_balance, "classes of very different size"},
    {"duplicates", WARNING, true, check_leak, "equal samples in the training and the test part"},
    {"dead-relu", WARNING, true, soma__check_dead_relu, "relu units that are 0 for every sample"},
    {"rate", WARNING, true, check_rate, "a learning rate at which the loss diverges or stays"},
};
#define CHECKS (sizeof checks / sizeof checks[0])

bool soma_check_text(int index, const char **id, const char **doc)
{
    if (index < 0 || (size_t)index >= CHECKS)
        return false;
    *id = checks[index].id;
    *doc = checks[index].doc;
    return true;
}

static soma_status run_checks(soma__linter *l, bool quick, soma_error *err)
{
    SOMA__TRY(soma__check_graph_create(&l->evaluate, l->model, SOMA_EVALUATE, err));
    SOMA__TRY(soma__check_graph_create(&l->train, l->model, SOMA_TRAIN, err));
    for (size_t i = 0; i < CHECKS; i++) {
        l->now = &checks[i];
        /* A model that cannot take its data is not run. */
        if (l->now->slow && (quick || has_fault(l->out)))
            continue;
        soma_status status = l->now->run(l, err);
        if (status != SOMA_OK)
            return soma__fail_within(err, status, "check '%s'", l->now->id);
    }
    return SOMA_OK;
}

soma_status soma_check(soma_model *model, const soma_data *data, const soma_train_options *options,
                       bool quick, soma_findings *out, soma_error *err)
{
    *out = (soma_findings){0};
    if (!model || !data || !data->train)
        return soma__fail(err, SOMA_INVALID, "a check needs a model and a training part");
    soma__linter l = {.model = model,
                      .data = data,
                      .options = options ? *options : (soma_train_options){0},
                      .out = out};
    if (l.options.batch == SOMA_BATCH_ALL)
        l.options.batch = data->train->count;
    l.options.batch = l.options.batch > 0 ? l.options.batch : 32;
    soma_status status =
        soma__loss_create(&l.loss, &l.options.loss, model, data->train, &l.loss_error);
    if (status == SOMA_MEMORY)
        status = soma__fail(err, status, "%s", l.loss_error.message);
    else
        status = run_checks(&l, quick, err);
    soma__loss_clear(&l.loss);
    soma__check_graph_destroy(&l.evaluate);
    soma__check_graph_destroy(&l.train);
    if (status != SOMA_OK)
        soma_findings_clear(out);
    return status;
}
