/* table.c: from a CSV file to rows with labels, and from rows to features by an encoding that is
 * fitted on some of them. */
#include "data/table.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"

/* One feature for each value: more than this is a text or a key, not a category. */
#define MAX_VALUES 1000

static soma_status no_memory(const char *source, soma_error *err)
{
    return soma__fail(err, SOMA_MEMORY, "%s: out of memory for the table", source);
}

soma__table *soma__table_retain(soma__table *table)
{
    if (table)
        atomic_fetch_add_explicit(&table->references, 1, memory_order_relaxed);
    return table;
}

void soma__table_release(soma__table *table)
{
    if (!table || atomic_fetch_sub_explicit(&table->references, 1, memory_order_acq_rel) != 1)
        return;
    soma__csv_clear(&table->csv);
    soma__arena_clear(&table->arena);
    soma__free(table);
}

/* --- roles of columns ---------------------------------------------------------------------------
 */

static bool holds(const int *list, int count, int column)
{
    for (int i = 0; i < count; i++)
        if (list[i] == column)
            return true;
    return false;
}

static soma_status find_columns(int **out, soma__table *table, const soma__names *names,
                                soma_error *err)
{
    *out = soma__arena_array(&table->arena, (size_t)names->count + 1, sizeof **out);
    if (!*out)
        return no_memory(table->csv.source, err);
    for (int i = 0; i < names->count; i++) {
        SOMA__TRY(soma__csv_column_find(&(*out)[i], &table->csv, names->name[i], err));
        if (holds(*out, i, (*out)[i]))
            return soma__fail(err, SOMA_INVALID, "%s: column '%s' is named twice",
                              table->csv.source, names->name[i]);
    }
    return SOMA_OK;
}

static soma_status find_features(soma__table *table, const soma__table_options *o, soma_error *err)
{
    const soma__csv *csv = &table->csv;
    int *ignored;
    SOMA__TRY(find_columns(&ignored, table, &o->ignore, err));
    if (o->columns.count) {
        SOMA__TRY(find_columns(&table->feature, table, &o->columns, err));
        table->feature_count = o->columns.count;
        for (int i = 0; i < table->feature_count; i++)
            if (holds(table->label, table->label_count, table->feature[i]))
                return soma__fail(err, SOMA_INVALID,
                                  "%s: column '%s' is the label, so it cannot be a feature",
                                  csv->source, csv->column[table->feature[i]].name);
        return SOMA_OK;
    }
    table->feature = soma__arena_array(&table->arena, (size_t)csv->columns, sizeof(int));
    if (!table->feature)
        return no_memory(csv->source, err);
    for (int i = 0; i < csv->columns; i++)
        if (!holds(table->label, table->label_count, i) && !holds(ignored, o->ignore.count, i))
            table->feature[table->feature_count++] = i;
    if (table->feature_count == 0)
        return soma__fail(err, SOMA_INVALID, "%s: no column is left to be a feature", csv->source);
    return SOMA_OK;
}

static soma_status find_roles(soma__table *table, const soma__table_options *o, soma_error *err)
{
    static const char *const last[] = {"-1"};
    const soma__names usual = {last, 1}, *labels = o->labels.count ? &o->labels : &usual;
    if (labels->count > 1 && o->target != SOMA__TARGET_NUMBERS)
        return soma__fail(err, SOMA_INVALID,
                          "%s: %d label columns: only a regression has more than one",
                          table->csv.source, labels->count);
    SOMA__TRY(find_columns(&table->label, table, labels, err));
    table->label_count = labels->count;
    return find_features(table, o, err);
}

/* Which rows stay: all, or with SOMA__MISSING_DROP those without a gap. */
static soma_status choose_rows(soma__table *table, soma_error *err)
{
    const soma__csv *csv = &table->csv;
    table->row = soma__arena_array(&table->arena, (size_t)csv->rows, sizeof *table->row);
    if (!table->row)
        return no_memory(csv->source, err);
    for (int64_t i = 0; i < csv->rows; i++) {
        bool gap = false;
        for (int k = 0; table->missing == SOMA__MISSING_DROP && k < table->feature_count; k++)
            gap = gap || soma__csv_missing(&csv->column[table->feature[k]], i);
        for (int k = 0; table->missing == SOMA__MISSING_DROP && k < table->label_count; k++)
            gap = gap || soma__csv_missing(&csv->column[table->label[k]], i);
        if (!gap)
            table->row[table->rows++] = i;
    }
    if (table->rows == 0)
        return soma__fail(err, SOMA_INVALID,
                          "%s: every row has a missing value, so dropping leaves none: choose "
                          "another `missing`, or fewer columns",
                          csv->source);
    return SOMA_OK;
}

/* --- labels -------------------------------------------------------------------------------------
 */

static soma_status number_targets(soma_tensor **y, const soma__csv *csv, const int *label,
                                  int label_count, const int64_t *row, int64_t rows,
                                  soma_error *err)
{
    SOMA__TRY(soma_tensor_create(y, SOMA_F32, SOMA_SHAPE(rows, label_count), err));
    for (int k = 0; k < label_count; k++) {
        const soma__csv_column *column = &csv->column[label[k]];
        if (column->categorical)
            return soma__fail(err, SOMA_INVALID,
                              "%s: column '%s' is text, a regression needs numbers", csv->source,
                              column->name);
        for (int64_t i = 0; i < rows; i++)
            soma_tensor_f32(*y)[i * label_count + k] = (float)column->numbers[row[i]];
    }
    return SOMA_OK;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The distinct numbers of a label column as texts, in order of size. */
static soma_status number_names(soma__names *names, soma__arena *arena, const soma__csv *csv,
                                const soma__csv_column *column, const int64_t *row, int64_t rows,
                                soma_error *err)
{
    double *sorted = soma__calloc((size_t)rows, sizeof *sorted);
    size_t distinct = 0;
    soma_status status = sorted ? SOMA_OK : no_memory(csv->source, err);
    for (int64_t i = 0; i < rows && status == SOMA_OK; i++) {
        double value = sorted[i] = column->numbers[row[i]];
        /* Beyond 2^53 neighbouring whole numbers are the same double. */
        if (value != floor(value) || fabs(value) > 9007199254740992.0)
            status = soma__fail(err, SOMA_INVALID,
                                "%s: label column '%s' holds %g (data row %" PRId64
                                "): classes must be whole numbers or texts; `task: regress` learns "
                                "numbers",
                                csv->source, column->name, value, row[i] + 1);
    }
    if (status == SOMA_OK) {
        qsort(sorted, (size_t)rows, sizeof *sorted, compare_doubles);
        for (int64_t i = 0; i < rows; i++)
            if (i == 0 || sorted[i] > sorted[distinct - 1])
                sorted[distinct++] = sorted[i];
        const char **name = soma__arena_array(arena, distinct, sizeof *name);
        for (size_t i = 0; name && i < distinct; i++) {
            char text[32];
            snprintf(text, sizeof text, "%" PRId64, (int64_t)sorted[i]);
            name[i] = soma__arena_strdup(arena, text);
            if (!name[i])
                name = NULL;
        }
        *names = (soma__names){name, (int)distinct};
        if (!name || distinct > INT32_MAX)
            status = no_memory(csv->source, err);
    }
    soma__free(sorted);
    return status;
}

/* The texts that are used in these rows, in order. */
static soma_status text_names(soma__names *names, soma__arena *arena, const soma__csv *csv,
                              const soma__csv_column *column, const int64_t *row, int64_t rows,
                              soma_error *err)
{
    size_t values = (size_t)column->value_count;
    bool *used = soma__calloc(values + 1, sizeof *used);
    const char **name = soma__arena_array(arena, values + 1, sizeof *name);
    int count = 0;
    bool complete = used && name;
    for (int64_t i = 0; complete && i < rows; i++)
        if (column->codes[row[i]] >= 0)
            used[column->codes[row[i]]] = true;
    for (size_t i = 0; complete && i < values; i++)
        if (used[i]) {
            name[count] = soma__arena_strdup(arena, column->values[i]);
            complete = name[count++] != NULL;
        }
    soma__free(used);
    *names = (soma__names){name, count};
    return complete ? SOMA_OK : no_memory(csv->source, err);
}

static int name_index(const soma__names *names, const char *text)
{
    for (int i = 0; i < names->count; i++)
        if (strcmp(names->name[i], text) == 0)
            return i;
    return -1;
}

static soma_status number_of_class(int64_t *out, const soma__names *names, const soma__csv *csv,
                                   const soma__csv_column *column, int64_t row, soma_error *err)
{
    char number[32];
    const char *text = number;
    if (column->categorical)
        text = column->values[column->codes[row]];
    else
        snprintf(number, sizeof number, "%.17g", column->numbers[row] + 0.0); /* not "-0" */
    *out = name_index(names, text);
    if (*out < 0)
        return soma__fail(err, SOMA_INVALID,
                          "%s: data row %" PRId64 " has the label '%s', which is none of the %d "
                          "classes that the model knows",
                          csv->source, row + 1, text, names->count);
    return SOMA_OK;
}

static soma_status class_labels(soma_tensor **y, const soma__names *names, const soma__csv *csv,
                                const soma__csv_column *column, const int64_t *row, int64_t rows,
                                soma_error *err)
{
    SOMA__TRY(soma_tensor_create(y, SOMA_I64, SOMA_SHAPE(rows), err));
    int64_t *label = soma_tensor_data(*y);
    /* A text column has few distinct values, so each is looked up once. */
    int64_t *known = soma__calloc((size_t)column->value_count + 1, sizeof *known);
    soma_status status = known ? SOMA_OK : no_memory(csv->source, err);
    for (int64_t i = 0; i < rows && status == SOMA_OK; i++) {
        int64_t *seen = column->categorical ? &known[column->codes[row[i]]] : NULL;
        if (seen && *seen) {
            label[i] = *seen - 1;
            continue;
        }
        status = number_of_class(&label[i], names, csv, column, row[i], err);
        if (seen)
            *seen = label[i] + 1;
    }
    soma__free(known);
    return status;
}

/* Two values become 0 and 1 in their order; numbers in [0,1] stay. */
static soma_status binary_targets(soma_tensor **y, soma__arena *arena, const soma__csv *csv,
                                  const soma__csv_column *column, const int64_t *row, int64_t rows,
                                  soma_error *err)
{
    soma__names names;
    soma_tensor *labels = NULL;
    SOMA__TRY(column->categorical ? text_names(&names, arena, csv, column, row, rows, err)
                                  : number_names(&names, arena, csv, column, row, rows, err));
    if (names.count != 2)
        return soma__fail(err, SOMA_INVALID,
                          "%s: label column '%s' has %d distinct values, a binary task has two",
                          csv->source, column->name, names.count);
    soma_status status = class_labels(&labels, &names, csv, column, row, rows, err);
    if (status == SOMA_OK)
        status = soma_tensor_create(y, SOMA_F32, SOMA_SHAPE(rows, 1), err);
    for (int64_t i = 0; i < rows && status == SOMA_OK; i++)
        soma_tensor_f32(*y)[i] = (float)soma_tensor_get(labels, i);
    soma_tensor_release(labels);
    return status;
}

static bool within_unit(const soma__csv_column *column, const int64_t *row, int64_t rows)
{
    for (int64_t i = 0; i < rows && !column->categorical; i++)
        if (!(column->numbers[row[i]] >= 0 && column->numbers[row[i]] <= 1))
            return false;
    return !column->categorical;
}

soma_status soma__table_labels(soma_tensor **y, soma__names *names, soma__arena *arena,
                               const soma__csv *csv, const int *label, int label_count,
                               const int64_t *row, int64_t rows, soma__target target,
                               const soma__names *classes, soma_error *err)
{
    const soma__csv_column *column = &csv->column[label[0]];
    *y = NULL;
    *names = (soma__names){0};
    for (int k = 0; k < label_count; k++)
        for (int64_t i = 0; i < rows; i++)
            if (soma__csv_missing(&csv->column[label[k]], row[i]))
                return soma__fail(err, SOMA_INVALID,
                                  "%s: label column '%s' has no value in data row %" PRId64
                                  " (`missing: drop` leaves such rows out)",
                                  csv->source, csv->column[label[k]].name, row[i] + 1);
    soma_status status = SOMA_OK;
    if (target == SOMA__TARGET_NUMBERS ||
        (target == SOMA__TARGET_BINARY && within_unit(column, row, rows))) {
        status = number_targets(y, csv, label, label_count, row, rows, err);
    } else if (target == SOMA__TARGET_BINARY) {
        status = binary_targets(y, arena, csv, column, row, rows, err);
    } else {
        if (classes && classes->count)
            *names = *classes;
        else
            status = column->categorical ? text_names(names, arena, csv, column, row, rows, err)
                                         : number_names(names, arena, csv, column, row, rows, err);
        if (status == SOMA_OK)
            status = class_labels(y, names, csv, column, row, rows, err);
    }
    if (status != SOMA_OK) {
        soma_tensor_release(*y);
        *y = NULL;
    }
    return status;
}

/* --- opening ------------------------------------------------------------------------------------
 */

/* The data set of rows: x is the number of the row among those that stay. */
static soma_status rows_dataset(soma_dataset **out, soma__table *table, soma_error *err)
{
    soma_tensor *x, *y = NULL;
    soma__names names;
    SOMA__TRY(soma_tensor_create(&x, SOMA_I64, SOMA_SHAPE(table->rows), err));
    for (int64_t i = 0; i < table->rows; i++)
        ((int64_t *)soma_tensor_data(x))[i] = i;
    soma_status status =
        soma__table_labels(&y, &names, &table->arena, &table->csv, table->label, table->label_count,
                           table->row, table->rows, table->target, NULL, err);
    if (status == SOMA_OK) {
        status = soma_dataset_from_tensors(out, x, y, err);
        if (status != SOMA_OK)
            soma__fail_within(err, status, "%s", table->csv.source);
    }
    if (status == SOMA_OK && names.count) {
        status = soma__dataset_set_classes(*out, names.name, names.count, err);
        if (status != SOMA_OK) {
            soma_dataset_release(*out);
            *out = NULL;
        }
    }
    if (status == SOMA_OK)
        (*out)->table = soma__table_retain(table);
    soma_tensor_release(x);
    soma_tensor_release(y);
    return status;
}

soma_status soma__table_open(soma_dataset **out, const char *path, const void *bytes, size_t size,
                             const soma__table_options *o, soma_error *err)
{
    *out = NULL;
    soma__table *table = soma__calloc(1, sizeof *table);
    if (!table)
        return no_memory(path, err);
    atomic_init(&table->references, 1);
    table->index = o->index;
    table->missing = o->missing;
    table->target = o->target;
    const soma__csv_options reading = {.header = o->header,
                                       .separator = o->separator,
                                       .known = o->names.name,
                                       .known_count = o->names.count,
                                       .text = o->categorical.name,
                                       .text_count = o->categorical.count};
    soma_status status = bytes ? soma__csv_parse(&table->csv, bytes, size, path, &reading, err)
                               : soma__csv_read(&table->csv, path, &reading, err);
    if (status == SOMA_OK && o->names.count && o->names.count != table->csv.columns)
        status = soma__fail(err, SOMA_INVALID, "%s: has %d columns, but %d names are given", path,
                            table->csv.columns, o->names.count);
    for (int i = 0; i < o->categorical.count && status == SOMA_OK; i++) {
        int column;
        status = soma__csv_column_find(&column, &table->csv, o->categorical.name[i], err);
        if (status == SOMA_OK && !table->csv.column[column].categorical)
            status = soma__fail(err, SOMA_INVALID,
                                "%s: give the column '%s' in `categorical` by its name", path,
                                table->csv.column[column].name);
    }
    if (status == SOMA_OK)
        status = find_roles(table, o, err);
    if (status == SOMA_OK)
        status = choose_rows(table, err);
    if (status == SOMA_OK)
        status = rows_dataset(out, table, err);
    soma__table_release(table);
    return status;
}

/* --- fitting ------------------------------------------------------------------------------------
 */

const soma__encoding *soma__dataset_encoding(const soma_dataset *dataset)
{
    return dataset ? soma__dataset_whole(dataset)->encoding : NULL;
}

/* Mean, median or most frequent of the values that are there. */
static double fill_number(double *value, int64_t count, soma__missing how)
{
    if (how == SOMA__MISSING_MEAN || how == SOMA__MISSING_INDICATOR) {
        double sum = 0;
        for (int64_t i = 0; i < count; i++)
            sum += value[i] - value[0]; /* exact also far from zero */
        return value[0] + sum / (double)count;
    }
    qsort(value, (size_t)count, sizeof *value, compare_doubles);
    if (how == SOMA__MISSING_MEDIAN)
        return (value[(count - 1) / 2] + value[count / 2]) / 2;
    int64_t best = 0, longest = 0;
    for (int64_t i = 0, from = 0; i <= count; i++)
        if (i == count || value[i] > value[from]) {
            if (i - from > longest) {
                longest = i - from;
                best = from;
            }
            from = i;
        }
    return value[best];
}

static soma_status fit_number(soma__encoded_column *out, const soma__table *table,
                              const soma__csv_column *column, const int64_t *row, int64_t rows,
                              soma_error *err)
{
    double *value = soma__calloc((size_t)rows + 1, sizeof *value);
    int64_t count = 0;
    if (!value)
        return no_memory(table->csv.source, err);
    for (int64_t i = 0; i < rows; i++)
        if (!soma__csv_missing(column, row[i]))
            value[count++] = column->numbers[row[i]];
    soma_status status = SOMA_OK;
    out->indicator = table->missing == SOMA__MISSING_INDICATOR && count < rows;
    out->fills = table->missing >= SOMA__MISSING_MEAN;
    if (out->fills && count == 0)
        status = soma__fail(err, SOMA_INVALID,
                            "%s: column '%s' has no value at all in the training part: leave it "
                            "out with `ignore`",
                            table->csv.source, column->name);
    else if (out->fills)
        out->fill = fill_number(value, count, table->missing);
    soma__free(value);
    return status;
}

static soma_status fit_category(soma__encoded_column *out, soma__arena *arena,
                                const soma__table *table, const soma__csv_column *column,
                                const int64_t *row, int64_t rows, soma_error *err)
{
    soma__names names;
    SOMA__TRY(text_names(&names, arena, &table->csv, column, row, rows, err));
    if (names.count > MAX_VALUES && !table->index)
        return soma__fail(err, SOMA_INVALID,
                          "%s: column '%s' holds %d different texts, too many to be a feature each "
                          "(at most %d): leave it out with `ignore`, or use `encode: index`",
                          table->csv.source, column->name, names.count, MAX_VALUES);
    out->values = (const char **)(uintptr_t)names.name;
    out->value_count = names.count;
    out->index = table->index;
    out->fills = table->missing >= SOMA__MISSING_MEAN;
    out->fill = -1;
    int64_t most = 0, gaps = 0;
    int64_t *times = soma__calloc((size_t)column->value_count + 1, sizeof *times);
    if (!times)
        return no_memory(table->csv.source, err);
    for (int64_t i = 0; i < rows; i++)
        if (column->codes[row[i]] < 0)
            gaps++;
        else
            times[column->codes[row[i]]]++;
    out->indicator = table->missing == SOMA__MISSING_INDICATOR && gaps > 0 && !table->index;
    for (int v = 0, k = 0; v < column->value_count; v++) {
        if (times[v] > most && table->missing != SOMA__MISSING_INDICATOR) {
            most = times[v];
            out->fill = k;
        }
        k += times[v] > 0;
    }
    soma__free(times);
    return SOMA_OK;
}

static soma_status copy_column_names(soma__names *out, soma__arena *arena, const soma__csv *csv,
                                     const int *column, int count, soma_error *err)
{
    const char **names = soma__calloc((size_t)count + 1, sizeof *names);
    if (!names)
        return no_memory(csv->source, err);
    for (int i = 0; i < count; i++)
        names[i] = csv->column[column ? column[i] : i].name;
    soma__names list = {names, count};
    soma_status status = soma__names_copy(out, arena, &list, err);
    soma__free(names);
    return status;
}

static soma_status fit(soma__encoding *e, const soma__table *table, const soma_dataset *all,
                       const int64_t *row, int64_t rows, soma_error *err)
{
    const soma__csv *csv = &table->csv;
    e->separator = csv->separator;
    SOMA__TRY(copy_column_names(&e->names, &e->arena, csv, NULL, csv->columns, err));
    SOMA__TRY(copy_column_names(&e->labels, &e->arena, csv, table->label, table->label_count, err));
    if (all->class_names) {
        soma__names classes = {(const char *const *)all->class_names, all->class_count};
        SOMA__TRY(soma__names_copy(&e->classes, &e->arena, &classes, err));
    }
    e->column = soma__arena_array(&e->arena, (size_t)table->feature_count, sizeof *e->column);
    if (!e->column)
        return no_memory(csv->source, err);
    for (int i = 0; i < table->feature_count; i++) {
        const soma__csv_column *column = &csv->column[table->feature[i]];
        soma__encoded_column *to = &e->column[e->count++];
        to->name = soma__arena_strdup(&e->arena, column->name);
        if (!to->name)
            return no_memory(csv->source, err);
        SOMA__TRY(column->categorical ? fit_category(to, &e->arena, table, column, row, rows, err)
                                      : fit_number(to, table, column, row, rows, err));
        e->features += (to->values && !to->index ? to->value_count : 1) + to->indicator;
    }
    return SOMA_OK;
}

/* --- encoding the parts -------------------------------------------------------------------------
 */

/* The encoded whole, with one reference. */
static soma_status encode_whole(soma_dataset **out, const soma_dataset *all,
                                soma__encoding *encoding, soma_error *err)
{
    soma__table *table = all->table;
    soma_tensor *x = NULL;
    int *at = soma__calloc((size_t)encoding->count + 1, sizeof *at);
    *out = NULL;
    soma_status status = at ? soma__encoding_find(at, encoding, &table->csv, err)
                            : no_memory(table->csv.source, err);
    if (status == SOMA_OK)
        status = soma__encoding_apply(&x, encoding, &table->csv, at, table->row, table->rows, err);
    if (status == SOMA_OK) {
        status = soma_dataset_from_tensors(out, x, all->y, err);
        if (status != SOMA_OK)
            soma__fail_within(err, status, "%s", table->csv.source);
    }
    if (status == SOMA_OK && all->class_names)
        status = soma__dataset_set_classes(*out, (const char *const *)all->class_names,
                                           all->class_count, err);
    if (status == SOMA_OK) {
        (*out)->table = soma__table_retain(table);
        (*out)->encoding = soma__encoding_retain(encoding);
    } else {
        soma_dataset_release(*out);
        *out = NULL;
    }
    soma_tensor_release(x);
    soma__free(at);
    return status;
}

soma_status soma__table_encode_by(soma_data *data, soma__encoding *encoding, soma_error *err)
{
    soma_dataset *root;
    if (!data->train || !soma__dataset_whole(data->train)->table)
        return SOMA_OK;
    SOMA__TRY(encode_whole(&root, soma__dataset_whole(data->train), encoding, err));
    soma_status status = soma__dataset_move(&data->train, root, err);
    if (status == SOMA_OK)
        status = soma__dataset_move(&data->validation, root, err);
    if (status == SOMA_OK)
        status = soma__dataset_move(&data->test, root, err);
    soma_dataset_release(root);
    return status;
}

soma_status soma__table_encode(soma_data *data, soma_error *err)
{
    const soma_dataset *train = data->train, *all = soma__dataset_whole(train);
    if (!train || !all->table)
        return SOMA_OK;
    int64_t *row = soma__calloc((size_t)train->count, sizeof *row);
    soma__encoding *encoding = soma__encoding_new();
    soma_status status = row && encoding ? SOMA_OK : no_memory(all->table->csv.source, err);
    for (int64_t i = 0; i < train->count && status == SOMA_OK; i++)
        row[i] = all->table->row[soma__dataset_in_whole(train, i)];
    if (status == SOMA_OK)
        status = fit(encoding, all->table, all, row, train->count, err);
    if (status == SOMA_OK)
        status = soma__table_encode_by(data, encoding, err);
    soma__encoding_release(encoding);
    soma__free(row);
    return status;
}
