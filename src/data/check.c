#include "data/check.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "data/dataset.h"
#include "data/folder.h"
#include "data/table.h"
#include "data/transform.h"
#include "format/xxh64.h"

#define EXAMPLES 3
#define PARTS 3
/* A class with this many times the samples of another is worth a word. */
#define IMBALANCE 10

static const char *const part_names[PARTS] = {"training", "validation", "test"};

const char *soma__check_name(soma__check check)
{
    static const char *const names[] = {
#define X(identifier_, name_) name_,
        SOMA__CHECKS(X)
#undef X
    };
    return check < SOMA__CHECK_COUNT ? names[check] : "";
}

/* A sample of one part, by its contents. */
typedef struct print {
    uint64_t hash;
    int64_t index, label;
    int part;
} print;

typedef struct checker {
    const soma_dataset *part[PARTS];
    soma__check_options options;
    soma_error *err;
    int64_t counts[SOMA__CHECK_COUNT], done, all;
    print *prints;
    int64_t print_count;
    void *x, *y, *scratch; /* of the part that is read */
    double *low, *high;    /* of each value of a sample, where samples are rows */
} checker;

static void report(checker *c, soma__check check, soma__severity severity, int64_t count,
                   const char *format, ...) SOMA_PRINTF(5, 6);
static void report(checker *c, soma__check check, soma__severity severity, int64_t count,
                   const char *format, ...)
{
    soma_error text = {0};
    va_list args;
    va_start(args, format);
    soma__vfail(&text, SOMA_INVALID, format, args);
    va_end(args);
    const soma__finding finding = {check, severity, count, text.message};
    c->options.found(c->options.user, &finding);
}

/* Is this one of the first findings of its kind? Counts it. */
static bool example(checker *c, soma__check check)
{
    return c->counts[check]++ < c->options.examples;
}

/* After the examples, the number of all. */
static void sum_up(checker *c, soma__check check, soma__severity severity, const char *what)
{
    if (c->counts[check] > c->options.examples)
        report(c, check, severity, c->counts[check], "%" PRId64 " %s in all", c->counts[check],
               what);
}

/* --- contents -----------------------------------------------------------------------------------
 */

static void look_at_values(checker *c, int part, int64_t index, bool rows, int64_t each)
{
    const soma_dataset *d = c->part[part];
    char name[64];
    bool same = each > 1;
    double first = soma__load(d->x_dtype, c->x, 0);
    for (int64_t i = 0; i < each; i++) {
        double value = soma__load(d->x_dtype, c->x, i);
        if (!isfinite(value)) {
            if (example(c, SOMA__CHECK_NOT_FINITE))
                report(c, SOMA__CHECK_NOT_FINITE, SOMA__FAULT, 1,
                       "%s part, %s: value %" PRId64 " is %s: fill or remove it", part_names[part],
                       soma__dataset_sample(d, index, name, sizeof name), i,
                       isnan(value) ? "NaN" : "infinite");
            return;
        }
        same = same && value >= first && value <= first;
        if (rows) {
            c->low[i] = index ? fmin(c->low[i], value) : value;
            c->high[i] = index ? fmax(c->high[i], value) : value;
        }
    }
    if (same && !rows && example(c, SOMA__CHECK_CONSTANT))
        report(c, SOMA__CHECK_CONSTANT, SOMA__WARNING, 1,
               "%s part, %s: all values are %g: an empty picture?", part_names[part],
               soma__dataset_sample(d, index, name, sizeof name), first);
}

static void look_at_sample(checker *c, int part, int64_t index, bool rows, int64_t each)
{
    const soma_dataset *d = c->part[part];
    soma_error inner = {0};
    char name[64];
    soma_status status =
        soma__dataset_read_epoch(d, SOMA__EPOCH_PLAIN, &index, 1, c->scratch, c->x, c->y, &inner);
    if (status != SOMA_OK) {
        if (example(c, SOMA__CHECK_UNREADABLE))
            report(c, SOMA__CHECK_UNREADABLE, SOMA__FAULT, 1, "%s part, %s: %s", part_names[part],
                   soma__dataset_sample(d, index, name, sizeof name),
                   inner.message[0] ? inner.message : soma_status_text(status));
        return;
    }
    look_at_values(c, part, index, rows, each);
    soma__xxh64 hash;
    soma__xxh64_start(&hash);
    soma__xxh64_add(&hash, c->x, d->x_bytes);
    int64_t label = -1;
    if (d->labels)
        memcpy(&label, c->y, sizeof label);
    c->prints[c->print_count++] = (print){soma__xxh64_end(&hash), index, label, part};
}

/* The names of features of a table are those of its columns; others have numbers. */
static void constant_features(checker *c, int64_t each)
{
    const soma_dataset *d = c->part[0];
    const soma__encoding *encoding = soma__dataset_encoding(d);
    int64_t at = 0;
    for (int64_t i = 0; i < each; i++) {
        const char *name = NULL, *value = "";
        at = 0;
        for (int k = 0; encoding && k < encoding->count && !name; k++) {
            const soma__encoded_column *column = &encoding->column[k];
            int64_t wide = column->values && !column->index ? column->value_count : 1;
            if (i < at + wide + column->indicator) {
                name = column->name;
                if (column->values && !column->index && i < at + wide)
                    value = column->values[i - at];
            }
            at += wide + column->indicator;
        }
        if (c->low[i] < c->high[i] || !example(c, SOMA__CHECK_CONSTANT))
            continue;
        if (name)
            report(c, SOMA__CHECK_CONSTANT, SOMA__WARNING, 1,
                   "column '%s'%s%s is %g in every training row: it tells nothing, `ignore` leaves "
                   "it out",
                   name, *value ? "=" : "", value, c->low[i]);
        else
            report(c, SOMA__CHECK_CONSTANT, SOMA__WARNING, 1,
                   "feature %" PRId64 " is %g in every training sample: it tells nothing", i,
                   c->low[i]);
    }
}

static soma_status read_part(checker *c, int part)
{
    const soma_dataset *d = c->part[part];
    size_t scratch = soma__dataset_scratch(d);
    int64_t each = (int64_t)(d->x_bytes / soma_dtype_size(d->x_dtype));
    bool rows = d->x_shape.ndim == 1 && part == 0;
    soma_status status = SOMA_OK;
    c->x = soma__malloc(d->x_bytes);
    c->y = soma__malloc(d->y_bytes);
    c->scratch = scratch ? soma__aligned(scratch) : NULL;
    c->low = rows ? soma__calloc((size_t)each, sizeof *c->low) : NULL;
    c->high = rows ? soma__calloc((size_t)each, sizeof *c->high) : NULL;
    if (!c->x || !c->y || (scratch && !c->scratch) || (rows && (!c->low || !c->high)))
        status = soma__fail(c->err, SOMA_MEMORY, "no memory to check the data");
    for (int64_t i = 0; i < d->count && status == SOMA_OK; i++) {
        look_at_sample(c, part, i, rows, each);
        c->done++;
        if (c->options.progress && !c->options.progress(c->options.user, c->done, c->all))
            status = soma__fail(c->err, SOMA_CANCELLED, "stopped");
    }
    if (rows && status == SOMA_OK && d->count > 1)
        constant_features(c, each);
    soma__free(c->x);
    soma__free(c->y);
    soma__free(c->scratch);
    soma__free(c->low);
    soma__free(c->high);
    return status;
}

/* --- duplicates ---------------------------------------------------------------------------------
 */

static int compare_prints(const void *a, const void *b)
{
    const print *p = a, *q = b;
    if (p->hash != q->hash)
        return p->hash < q->hash ? -1 : 1;
    if (p->part != q->part)
        return p->part - q->part;
    return (p->index > q->index) - (p->index < q->index);
}

/* p is the first sample of its contents, q another one. */
static void duplicate(checker *c, const print *p, const print *q)
{
    char a[64], b[64];
    const char *one = soma__dataset_sample(c->part[p->part], p->index, a, sizeof a);
    const char *two = soma__dataset_sample(c->part[q->part], q->index, b, sizeof b);
    if (p->label != q->label && example(c, SOMA__CHECK_LABEL_CONFLICT))
        report(c, SOMA__CHECK_LABEL_CONFLICT, SOMA__WARNING, 1,
               "%s (%s part) and %s (%s part) are the same, but with the labels %" PRId64
               " and %" PRId64 ": one of them is wrong",
               one, part_names[p->part], two, part_names[q->part], p->label, q->label);
    if (p->part == q->part) {
        if (example(c, SOMA__CHECK_DUPLICATE))
            report(c, SOMA__CHECK_DUPLICATE, SOMA__WARNING, 1, "%s part: %s is the same as %s",
                   part_names[p->part], two, one);
    } else if (example(c, SOMA__CHECK_LEAK)) {
        report(c, SOMA__CHECK_LEAK, SOMA__WARNING, 1,
               "%s of the %s part is also in the %s part (%s): the score there is too good", two,
               part_names[q->part], part_names[p->part], one);
    }
}

/* 64 bits of hash: among a million samples a false alarm has a chance of 3 in 10^8. */
static void find_duplicates(checker *c)
{
    if (c->print_count)
        qsort(c->prints, (size_t)c->print_count, sizeof *c->prints, compare_prints);
    for (int64_t first = 0, i = 1; i < c->print_count; i++) {
        if (c->prints[i].hash != c->prints[first].hash)
            first = i;
        else
            duplicate(c, &c->prints[first], &c->prints[i]);
    }
}

/* --- labels -------------------------------------------------------------------------------------
 */

static const char *class_name(const soma_dataset *d, int k, char *buffer, size_t size)
{
    const char *name = soma_dataset_class(d, k);
    if (!name)
        snprintf(buffer, size, "%d", k);
    return name ? name : buffer;
}

static soma_status check_labels(checker *c, int part)
{
    const soma_dataset *d = c->part[part];
    int classes = soma_dataset_class_count(d), least = -1, most = 0;
    char a[16], b[16];
    if (classes < 1 || soma__dataset_label(d, 0) < 0)
        return SOMA_OK;
    int64_t *counts = soma__calloc((size_t)classes, sizeof *counts);
    if (!counts)
        return soma__fail(c->err, SOMA_MEMORY, "no memory to count %d classes", classes);
    for (int64_t i = 0; i < d->count; i++)
        counts[soma__dataset_label(d, i)]++;
    for (int k = 0; k < classes; k++) {
        if (counts[k] > counts[most])
            most = k;
        if (counts[k] && (least < 0 || counts[k] < counts[least]))
            least = k;
        if (!counts[k] && example(c, SOMA__CHECK_EMPTY_CLASS))
            report(c, SOMA__CHECK_EMPTY_CLASS, part ? SOMA__NOTE : SOMA__WARNING, 1,
                   part ? "%s part: class '%s' has no sample, so nothing is measured of it"
                        : "%s part: class '%s' has no sample, so it cannot be learned",
                   part_names[part], class_name(d, k, a, sizeof a));
    }
    if (part == 0 && counts[most] >= IMBALANCE * counts[least])
        report(c, SOMA__CHECK_IMBALANCE, SOMA__WARNING, counts[least],
               "class '%s' has %" PRId64 " training samples, class '%s' %" PRId64
               ": accuracy will say little; class weights or balanced batches help",
               class_name(d, most, a, sizeof a), counts[most], class_name(d, least, b, sizeof b),
               counts[least]);
    soma__free(counts);
    return SOMA_OK;
}

/* --- columns and pictures -----------------------------------------------------------------------
 */

bool soma__data_column(const soma_dataset *dataset, int index, const char **name, int64_t *missing,
                       bool *is_label)
{
    const soma_dataset *all = soma__dataset_whole(dataset);
    const soma__table *table = all ? all->table : NULL;
    if (!table || index < 0 || index >= table->feature_count + table->label_count)
        return false;
    *is_label = index >= table->feature_count;
    int column = *is_label ? table->label[index - table->feature_count] : table->feature[index];
    *name = table->csv.column[column].name;
    *missing = table->csv.column[column].missing;
    return true;
}

/* 1, 2, 3, …: a row's number, which a model learns by heart. */
static bool counts_rows(const soma__csv *csv, const soma__csv_column *column)
{
    if (column->categorical || csv->rows < 10)
        return false;
    for (int64_t i = 1; i < csv->rows; i++)
        if (!(column->numbers[i] - column->numbers[i - 1] >= 1 &&
              column->numbers[i] - column->numbers[i - 1] <= 1))
            return false;
    return true;
}

static void check_columns(checker *c)
{
    const soma_dataset *all = soma__dataset_whole(c->part[0]);
    const char *name;
    int64_t missing;
    bool is_label;
    for (int i = 0; soma__data_column(all, i, &name, &missing, &is_label); i++) {
        const soma__csv *csv = &all->table->csv;
        if (missing)
            report(c, SOMA__CHECK_MISSING, SOMA__NOTE, missing,
                   "column '%s' has no value in %" PRId64 " of %" PRId64 " rows", name, missing,
                   csv->rows);
        if (!is_label && counts_rows(csv, &csv->column[all->table->feature[i]]))
            report(c, SOMA__CHECK_COUNTER, SOMA__WARNING, 1,
                   "column '%s' counts the rows: as a feature it is learned by heart, `ignore` "
                   "leaves it out",
                   name);
    }
}

/* Pictures are brought to one size; those that are much smaller, or of other proportions, lose. */
static void check_sizes(checker *c, int part)
{
    const soma_dataset *d = c->part[part], *all = soma__dataset_whole(d);
    int64_t smallest[2] = {0, 0}, largest[2] = {0, 0}, small = 0, odd = 0;
    if (soma__dataset_fit(d) < 0)
        return;
    int64_t height = all->x_shape.dim[0], width = all->x_shape.dim[1];
    for (int64_t i = 0; i < d->count; i++) {
        char name[64];
        soma_tensor *picture;
        if (soma__picture_read(&picture, soma__dataset_sample(d, i, name, sizeof name), 0, NULL) !=
            SOMA_OK)
            continue; /* that was told already */
        const int64_t *size = soma_tensor_shape(picture)->dim;
        if (!largest[0] || size[0] * size[1] < smallest[0] * smallest[1])
            memcpy(smallest, size, sizeof smallest);
        if (size[0] * size[1] > largest[0] * largest[1])
            memcpy(largest, size, sizeof largest);
        small += size[0] < height || size[1] < width;
        double stretch = (double)size[0] * (double)width / ((double)size[1] * (double)height);
        odd += stretch > 2 || stretch < 0.5;
        soma_tensor_release(picture);
    }
    if (largest[0] && (smallest[0] != largest[0] || smallest[1] != largest[1]))
        report(c, SOMA__CHECK_SIZES, SOMA__NOTE, d->count,
               "%s part: pictures from %" PRId64 "x%" PRId64 " to %" PRId64 "x%" PRId64
               " pixels become %" PRId64 "x%" PRId64,
               part_names[part], smallest[0], smallest[1], largest[0], largest[1], height, width);
    if (small)
        report(c, SOMA__CHECK_SIZES, SOMA__NOTE, small,
               "%s part: %" PRId64 " pictures are smaller and are enlarged", part_names[part],
               small);
    if (odd)
        report(c, SOMA__CHECK_SIZES, SOMA__WARNING, odd,
               "%s part: %" PRId64 " pictures have more than twice other proportions: much of them "
               "is cut off or distorted",
               part_names[part], odd);
}

/* --- all of it ----------------------------------------------------------------------------------
 */

static soma_status check_contents(checker *c)
{
    soma_status status = SOMA_OK;
    c->prints = soma__calloc((size_t)c->all + 1, sizeof *c->prints);
    if (!c->prints)
        return soma__fail(c->err, SOMA_MEMORY, "no memory to check %lld samples",
                          (long long)c->all);
    for (int p = 0; p < PARTS && status == SOMA_OK; p++)
        if (c->part[p])
            status = read_part(c, p);
    if (status == SOMA_OK) {
        find_duplicates(c);
        for (int p = 0; p < PARTS; p++)
            if (c->part[p])
                check_sizes(c, p);
        sum_up(c, SOMA__CHECK_UNREADABLE, SOMA__FAULT, "samples that cannot be read");
        sum_up(c, SOMA__CHECK_NOT_FINITE, SOMA__FAULT, "samples with values that are not finite");
        sum_up(c, SOMA__CHECK_CONSTANT, SOMA__WARNING, "constant features or pictures");
        sum_up(c, SOMA__CHECK_DUPLICATE, SOMA__WARNING, "duplicates within a part");
        sum_up(c, SOMA__CHECK_LEAK, SOMA__WARNING, "samples that are in two parts");
        sum_up(c, SOMA__CHECK_LABEL_CONFLICT, SOMA__WARNING, "equal samples with other labels");
    }
    soma__free(c->prints);
    return status;
}

soma_status soma__data_check(const soma_data *data, const soma__check_options *options,
                             soma_error *err)
{
    checker c = {
        .part = {data->train, data->validation, data->test}, .options = *options, .err = err};
    if (!c.options.examples)
        c.options.examples = EXAMPLES;
    for (int p = 0; p < PARTS; p++)
        c.all += c.part[p] ? c.part[p]->count : 0;
    for (int p = 0; p < PARTS; p++)
        if (c.part[p])
            SOMA__TRY(check_labels(&c, p));
    sum_up(&c, SOMA__CHECK_EMPTY_CLASS, SOMA__WARNING, "classes without a sample in a part");
    if (c.part[0])
        check_columns(&c);
    return options->no_contents ? SOMA_OK : check_contents(&c);
}

soma_status soma__data_moments(soma__moments **out, int64_t *count, const soma_dataset *d,
                               int64_t limit, soma_error *err)
{
    int64_t channels = d->x_shape.ndim ? d->x_shape.dim[d->x_shape.ndim - 1] : 1;
    int64_t each = (int64_t)(d->x_bytes / soma_dtype_size(d->x_dtype));
    int64_t samples = limit && limit < d->count ? limit : d->count;
    void *x = soma__malloc(d->x_bytes), *y = soma__malloc(d->y_bytes);
    double *first = soma__calloc((size_t)channels, sizeof *first);
    soma__moments *m = soma__calloc((size_t)channels, sizeof *m);
    soma_status status =
        x && y && m && first ? SOMA_OK : soma__fail(err, SOMA_MEMORY, "no memory for statistics");
    for (int64_t i = 0; i < samples && status == SOMA_OK; i++) {
        status = soma_dataset_read(d, &i, 1, x, y, err);
        for (int64_t j = 0; j < each && status == SOMA_OK; j++) {
            int64_t k = j % channels;
            double value = soma__load(d->x_dtype, x, j);
            if (i == 0 && j < channels)
                m[k].low = m[k].high = first[k] = value;
            /* Differences from the first value keep the deviation of far-off channels exact. */
            m[k].mean += value - first[k];
            m[k].deviation += (value - first[k]) * (value - first[k]);
            m[k].low = fmin(m[k].low, value);
            m[k].high = fmax(m[k].high, value);
        }
    }
    double n = (double)samples * (double)each / (double)channels;
    for (int64_t k = 0; k < channels && status == SOMA_OK; k++) {
        double mean = m[k].mean / n;
        m[k].deviation = sqrt(fmax(0, m[k].deviation / n - mean * mean));
        m[k].mean = first[k] + mean;
    }
    soma__free(x);
    soma__free(y);
    soma__free(first);
    if (status != SOMA_OK) {
        soma__free(m);
        return status;
    }
    *out = m;
    *count = channels;
    return SOMA_OK;
}
