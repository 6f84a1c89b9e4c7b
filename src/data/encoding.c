/* encoding.c: how the columns of a table become features. Fitted in table.c, kept in the model file
 * as JSON:
 *
 *   {"version": 1, "separator": ",", "names": ["a", "b", "y"], "labels": ["y"],
 *    "classes": ["no", "yes"],
 *    "columns": [{"name": "a", "fill": 1.5, "indicator": true},
 *                {"name": "b", "values": ["u", "v"], "index": false, "fill": 0}]}
 */
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/value.h"
#include "data/dataset.h"
#include "data/table.h"
#include "format/json.h"

#define VERSION 1

soma__encoding *soma__encoding_new(void)
{
    soma__encoding *encoding = soma__calloc(1, sizeof *encoding);
    if (encoding)
        atomic_init(&encoding->references, 1);
    return encoding;
}

soma__encoding *soma__encoding_retain(soma__encoding *encoding)
{
    if (encoding)
        atomic_fetch_add_explicit(&encoding->references, 1, memory_order_relaxed);
    return encoding;
}

void soma__encoding_release(soma__encoding *encoding)
{
    if (!encoding || atomic_fetch_sub_explicit(&encoding->references, 1, memory_order_acq_rel) != 1)
        return;
    soma__arena_clear(&encoding->arena);
    soma__free(encoding);
}

int64_t soma__encoding_features(const soma__encoding *encoding)
{
    return encoding->features;
}

/* --- to features --------------------------------------------------------------------------------
 */

static soma_status gap(const soma__csv *csv, const char *name, int64_t row, soma_error *err)
{
    return soma__fail(err, SOMA_INVALID,
                      "%s: data row %" PRId64 " has no value for '%s' (`missing` says what to do "
                      "with gaps)",
                      csv->source, row + 1, name);
}

static soma_status numbers(float *x, int64_t width, const soma__encoded_column *column,
                           const soma__csv *csv, const soma__csv_column *from, const int64_t *row,
                           int64_t rows, soma_error *err)
{
    if (from->categorical)
        return soma__fail(err, SOMA_INVALID,
                          "%s: column '%s' holds the text '%s', the model was trained on numbers "
                          "there",
                          csv->source, from->name, from->value_count ? from->values[0] : "");
    for (int64_t i = 0; i < rows; i++) {
        bool missing = soma__csv_missing(from, row[i]);
        if (missing && !column->fills)
            return gap(csv, from->name, row[i], err);
        x[i * width] = (float)(missing ? column->fill : from->numbers[row[i]]);
        if (column->indicator)
            x[i * width + 1] = missing;
    }
    return SOMA_OK;
}

/* `place` translates the file's values into those of the encoding; -1: unknown there. */
static soma_status categories(float *x, int64_t width, const soma__encoded_column *column,
                              const soma__csv *csv, const soma__csv_column *from, const int *place,
                              const int64_t *row, int64_t rows, soma_error *err)
{
    for (int64_t i = 0; i < rows; i++) {
        bool missing = soma__csv_missing(from, row[i]);
        if (missing && !column->fills)
            return gap(csv, from->name, row[i], err);
        int value = missing ? (int)column->fill : place[from->codes[row[i]]];
        if (column->index)
            x[i * width] = (float)(value + 1);
        else if (value >= 0)
            x[i * width + value] = 1;
        if (column->indicator)
            x[i * width + column->value_count] = missing;
    }
    return SOMA_OK;
}

static soma_status translate(int **place, const soma__encoded_column *column, const soma__csv *csv,
                             const soma__csv_column *from, soma_error *err)
{
    *place = soma__calloc((size_t)from->value_count + 1, sizeof **place);
    if (!*place)
        return soma__fail(err, SOMA_MEMORY, "%s: no memory for the values of '%s'", csv->source,
                          column->name);
    /* Both lists are sorted by their bytes. */
    for (int i = 0, k = 0; i < from->value_count; i++) {
        while (k < column->value_count && strcmp(column->values[k], from->values[i]) < 0)
            k++;
        bool same = k < column->value_count && strcmp(column->values[k], from->values[i]) == 0;
        (*place)[i] = same ? k : -1;
    }
    return SOMA_OK;
}

soma_status soma__encoding_apply(soma_tensor **out, const soma__encoding *e, const soma__csv *csv,
                                 const int *at, const int64_t *row, int64_t rows, soma_error *err)
{
    SOMA__TRY(soma_tensor_create(out, SOMA_F32, SOMA_SHAPE(rows, e->features), err));
    float *x = soma_tensor_f32(*out);
    soma_status status = SOMA_OK;
    for (int i = 0; i < e->count && status == SOMA_OK; i++) {
        const soma__encoded_column *column = &e->column[i];
        const soma__csv_column *from = &csv->column[at[i]];
        if (!column->values) {
            status = numbers(x, e->features, column, csv, from, row, rows, err);
            x += 1 + column->indicator;
            continue;
        }
        int *place;
        if (!from->categorical) {
            status = soma__fail(err, SOMA_INVALID,
                                "%s: column '%s' holds numbers, the model was trained on "
                                "categories there",
                                csv->source, from->name);
            break;
        }
        status = translate(&place, column, csv, from, err);
        if (status == SOMA_OK)
            status = categories(x, e->features, column, csv, from, place, row, rows, err);
        soma__free(place);
        x += (column->index ? 1 : column->value_count) + column->indicator;
    }
    if (status != SOMA_OK) {
        soma_tensor_release(*out);
        *out = NULL;
    }
    return status;
}

soma_status soma__encoding_find(int *at, const soma__encoding *e, const soma__csv *csv,
                                soma_error *err)
{
    for (int i = 0; i < e->count; i++) {
        int k = 0;
        while (k < csv->columns && strcmp(csv->column[k].name, e->column[i].name) != 0)
            k++;
        if (k == csv->columns)
            return soma__fail(err, SOMA_SHAPE,
                              "%s: the model needs the column '%s', which is not there",
                              csv->source, e->column[i].name);
        at[i] = k;
    }
    return SOMA_OK;
}

soma_status soma__encoding_categories(soma__names *out, soma__arena *arena, const soma__encoding *e,
                                      soma_error *err)
{
    const char **name = soma__arena_array(arena, (size_t)e->count + 1, sizeof *name);
    *out = (soma__names){name, 0};
    if (!name)
        return soma__fail(err, SOMA_MEMORY, "no memory for names of columns");
    for (int i = 0; i < e->count; i++)
        if (e->column[i].values)
            name[out->count++] = e->column[i].name;
    return SOMA_OK;
}

/* --- other files --------------------------------------------------------------------------------
 */

/* A file read as the one was that the encoding was fitted on, with the features' columns found. */
typedef struct other {
    soma__csv csv;
    int *at;
    int64_t *row;
} other;

static void other_clear(other *o)
{
    soma__csv_clear(&o->csv);
    soma__free(o->at);
    soma__free(o->row);
}

static bool is_label(const soma__encoding *e, const char *name)
{
    for (int i = 0; i < e->labels.count; i++)
        if (strcmp(e->labels.name[i], name) == 0)
            return true;
    return false;
}

/* Without a header and without its labels, a file has the other columns in their order. */
static soma_status unlabelled_names(const char ***out, int *count, const soma__encoding *e,
                                    soma_error *err)
{
    *count = 0;
    *out = soma__calloc((size_t)e->names.count + 1, sizeof **out);
    if (!*out)
        return soma__fail(err, SOMA_MEMORY, "no memory for names of columns");
    for (int i = 0; i < e->names.count; i++)
        if (!is_label(e, e->names.name[i]))
            (*out)[(*count)++] = e->names.name[i];
    return SOMA_OK;
}

/* Reads twice where the first reading shows that there is neither header nor label. */
static soma_status read_other(other *o, const soma__encoding *e, const char *path, soma_error *err)
{
    soma__arena arena = {0};
    soma__names text;
    const char **names = NULL;
    int name_count = 0;
    soma_status status = soma__encoding_categories(&text, &arena, e, err);
    soma__csv_options reading = {.separator = e->separator == ' ' ? ' ' : 0,
                                 .known = e->names.name,
                                 .known_count = e->names.count,
                                 .text = text.name,
                                 .text_count = text.count};
    if (status == SOMA_OK)
        status = soma__csv_read(&o->csv, path, &reading, err);
    if (status == SOMA_OK)
        status = unlabelled_names(&names, &name_count, e, err);
    if (status == SOMA_OK && !o->csv.header && o->csv.columns != e->names.count) {
        if (o->csv.columns == name_count) {
            soma__csv_clear(&o->csv);
            reading.known = names;
            reading.known_count = name_count;
            reading.header = SOMA__CSV_HEADER_NO;
            status = soma__csv_read(&o->csv, path, &reading, err);
        } else {
            status = soma__fail(err, SOMA_SHAPE,
                                "%s: has %d columns without names; the model was trained on %d, %d "
                                "of them features",
                                path, o->csv.columns, e->names.count, name_count);
        }
    }
    soma__free(names);
    soma__arena_clear(&arena);
    return status;
}

static soma_status open_other(other *o, const soma__encoding *e, const char *path, soma_error *err)
{
    SOMA__TRY(read_other(o, e, path, err));
    o->at = soma__calloc((size_t)e->count + 1, sizeof *o->at);
    o->row = soma__calloc((size_t)o->csv.rows, sizeof *o->row);
    if (!o->at || !o->row)
        return soma__fail(err, SOMA_MEMORY, "%s: no memory for the table", path);
    for (int64_t i = 0; i < o->csv.rows; i++)
        o->row[i] = i;
    return soma__encoding_find(o->at, e, &o->csv, err);
}

soma_status soma__encoding_read(soma_tensor **out, const soma__encoding *e, const char *path,
                                soma_error *err)
{
    other o = {0};
    *out = NULL;
    soma_status status = open_other(&o, e, path, err);
    if (status == SOMA_OK)
        status = soma__encoding_apply(out, e, &o.csv, o.at, o.row, o.csv.rows, err);
    other_clear(&o);
    return status;
}

static soma_status find_labels(int *at, const other *o, const soma__encoding *e, const char *label,
                               soma_error *err)
{
    if (label)
        return soma__csv_column_find(&at[0], &o->csv, label, err);
    for (int i = 0; i < e->labels.count; i++)
        SOMA__TRY(soma__csv_column_find(&at[i], &o->csv, e->labels.name[i], err));
    return SOMA_OK;
}

soma_status soma__encoding_open(soma_dataset **out, const soma__encoding *e, const char *path,
                                const char *label, soma__target target, soma_error *err)
{
    other o = {0};
    soma_tensor *x = NULL, *y = NULL;
    soma__arena arena = {0};
    soma__names names = {0};
    int count = label ? 1 : e->labels.count;
    int *at = soma__calloc((size_t)e->labels.count + 1, sizeof *at);
    *out = NULL;
    soma_status status = at ? open_other(&o, e, path, err)
                            : soma__fail(err, SOMA_MEMORY, "no memory for label columns");
    if (status == SOMA_OK)
        status = find_labels(at, &o, e, label, err);
    if (status == SOMA_OK)
        status = soma__encoding_apply(&x, e, &o.csv, o.at, o.row, o.csv.rows, err);
    if (status == SOMA_OK)
        status = soma__table_labels(&y, &names, &arena, &o.csv, at, count, o.row, o.csv.rows,
                                    target, &e->classes, err);
    if (status == SOMA_OK)
        status = soma_dataset_from_tensors(out, x, y, err);
    if (status == SOMA_OK && names.count) {
        status = soma__dataset_set_classes(*out, names.name, names.count, err);
        if (status != SOMA_OK) {
            soma_dataset_release(*out);
            *out = NULL;
        }
    }
    soma_tensor_release(x);
    soma_tensor_release(y);
    soma__arena_clear(&arena);
    soma__free(at);
    other_clear(&o);
    return status;
}

/* --- JSON ---------------------------------------------------------------------------------------
 */

soma_status soma__encoding_text(char **out, const soma__encoding *e, soma_error *err)
{
    soma__text text = {0};
    const char separator[2] = {e->separator, 0};
    soma__text_add(&text, "{\"version\":%d,\"separator\":", VERSION);
    soma__json_string(&text, separator);
    soma__names_write(&text, "names", &e->names);
    soma__names_write(&text, "labels", &e->labels);
    if (e->classes.count)
        soma__names_write(&text, "classes", &e->classes);
    soma__text_add(&text, ",\"columns\":[");
    for (int i = 0; i < e->count; i++) {
        const soma__encoded_column *column = &e->column[i];
        const soma__names values = {column->values, column->value_count};
        soma__text_add(&text, "%s{\"name\":", i ? "," : "");
        soma__json_string(&text, column->name);
        if (column->values)
            soma__names_write(&text, "values", &values);
        if (column->fills)
            soma__json_member(&text, "fill", column->fill);
        if (column->index)
            soma__text_add(&text, ",\"index\":true");
        if (column->indicator)
            soma__text_add(&text, ",\"indicator\":true");
        soma__text_add(&text, "}");
    }
    soma__text_add(&text, "]}");
    return soma__text_take(&text, out, err);
}

static soma_status damaged(const char *source, const char *what, soma_error *err)
{
    return soma__damaged(source, "table", what, err);
}

static bool get_flag(const soma__value *map, const char *key)
{
    const soma__value *value = soma__value_find(map, key);
    return value && value->kind == SOMA__BOOL && value->boolean;
}

static soma_status get_column(soma__encoded_column *out, soma__arena *arena, const soma__value *map,
                              const char *source, soma_error *err)
{
    const soma__value *name = soma__value_find(map, "name"), *fill = soma__value_find(map, "fill");
    if (map->kind != SOMA__MAP || !name || name->kind != SOMA__STRING)
        return damaged(source, "a column without a name", err);
    out->name = soma__arena_strdup(arena, name->text);
    if (!out->name)
        return soma__fail(err, SOMA_MEMORY, "%s: no memory for a column", source);
    out->index = get_flag(map, "index");
    out->indicator = get_flag(map, "indicator");
    if (soma__value_find(map, "values")) {
        soma__names values;
        SOMA__TRY(soma__names_read(&values, arena, map, "values", source, "table", err));
        out->values = (const char **)(uintptr_t)values.name;
        out->value_count = values.count;
        for (int i = 1; i < values.count; i++)
            if (strcmp(values.name[i - 1], values.name[i]) >= 0)
                return damaged(source, "values out of order", err);
    }
    out->fills = fill != NULL;
    if (fill && fill->kind != SOMA__INT && fill->kind != SOMA__FLOAT)
        return damaged(source, "fill", err);
    out->fill = fill ? fill->number : -1;
    if (out->values && !(out->fill >= -1 && out->fill < out->value_count))
        return damaged(source, "fill", err);
    return SOMA_OK;
}

static soma_status get_encoding(soma__encoding *e, const soma__value *root, const char *source,
                                soma_error *err)
{
    const soma__value *version, *separator, *columns;
    if (root->kind != SOMA__MAP)
        return damaged(source, "it is not a map", err);
    version = soma__value_find(root, "version");
    separator = soma__value_find(root, "separator");
    columns = soma__value_find(root, "columns");
    if (!version || version->kind != SOMA__INT || version->integer != VERSION)
        return soma__fail(err, SOMA_UNSUPPORTED,
                          "%s: its table has another version than %d, which this soma reads",
                          source, VERSION);
    if (!separator || separator->kind != SOMA__STRING || strlen(separator->text) != 1)
        return damaged(source, "separator", err);
    e->separator = separator->text[0];
    SOMA__TRY(soma__names_read(&e->names, &e->arena, root, "names", source, "table", err));
    SOMA__TRY(soma__names_read(&e->labels, &e->arena, root, "labels", source, "table", err));
    if (soma__value_find(root, "classes"))
        SOMA__TRY(soma__names_read(&e->classes, &e->arena, root, "classes", source, "table", err));
    if (!columns || columns->kind != SOMA__LIST || columns->count == 0)
        return damaged(source, "columns", err);
    e->column = soma__arena_array(&e->arena, (size_t)columns->count, sizeof *e->column);
    if (!e->column)
        return soma__fail(err, SOMA_MEMORY, "%s: no memory for its columns", source);
    for (const soma__value *item = columns->first; item; item = item->next) {
        soma__encoded_column *column = &e->column[e->count++];
        SOMA__TRY(get_column(column, &e->arena, item, source, err));
        e->features +=
            (column->values && !column->index ? column->value_count : 1) + column->indicator;
    }
    return SOMA_OK;
}

soma_status soma__encoding_parse(soma__encoding **out, const char *text, const char *source,
                                 soma_error *err)
{
    soma__tree tree = {0};
    *out = NULL;
    SOMA__TRY(soma__json_parse(&tree, text, strlen(text), source, err));
    soma__encoding *encoding = soma__encoding_new();
    soma_status status = encoding ? get_encoding(encoding, tree.root, source, err)
                                  : soma__fail(err, SOMA_MEMORY, "%s: no memory", source);
    soma__tree_clear(&tree);
    if (status != SOMA_OK) {
        soma__encoding_release(encoding);
        return status;
    }
    *out = encoding;
    return SOMA_OK;
}
