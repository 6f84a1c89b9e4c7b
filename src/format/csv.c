#include "format/csv.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "format/gzip.h"
#include "format/utf8.h"

#define MAX_COLUMNS 65536
#define MAX_BYTES ((size_t)4 << 30)

/* The fields of the whole file, row by row, as NUL-terminated text inside `buffer`: a private copy
 * of the file in which quoted fields were unescaped in place (that never makes them longer). */
typedef struct cells {
    char *buffer;
    char **field;
    size_t count, capacity;
    int columns; /* of the first row; all others must agree */
    int64_t rows;
} cells;

static soma_status no_memory(const char *name, soma_error *err)
{
    return soma__fail(err, SOMA_MEMORY, "%s: out of memory while reading the table", name);
}

/* --- text to cells ---------------------------------------------------------------------------- */

static bool add_cell(cells *c, char *text)
{
    void *array = c->field;
    if (!soma__grow(&array, &c->capacity, c->count, sizeof *c->field))
        return false;
    c->field = array;
    c->field[c->count++] = text;
    return true;
}

/* A quoted field: *at is after its opening quote. Unescapes in place, leaves *at after the closing
 * quote and *end where the text now ends (its NUL is put there when the separator has been seen).
 * False when there is no closing quote. Counts the lines that it spans. */
static bool read_quoted(char **at, char **end, int64_t *line)
{
    char *from = *at, *to = *at;

    for (;;) {
        if (*from == 0)
            return false;
        if (*from == '"') {
            from++;
            if (*from != '"')
                break;
        }
        if (*from == '\n')
            ++*line;
        *to++ = *from++;
    }
    *at = from;
    *end = to;
    return true;
}

/* Of , ; tab and | the one that is in each of the first rows equally often; if none is, the one
 * that the first row has most of; if there is none at all, the comma. */
static char guess_separator(const char *text)
{
    static const char candidates[] = ",;\t|";
    int first[sizeof candidates] = {0}, row[sizeof candidates] = {0}, rows = 0;
    bool equal[sizeof candidates], quoted = false;
    size_t best = 0;
    memset(equal, 1, sizeof equal);
    for (const char *at = text; rows < 16; at++) {
        const char *found = *at && !quoted ? strchr(candidates, *at) : NULL;
        if (found)
            row[found - candidates]++;
        if (*at == '"')
            quoted = !quoted;
        bool blank = at == text || at[-1] == '\n' || (at[-1] == '\r' && at[0] == '\n');
        if (*at == 0 || (*at == '\n' && !quoted)) {
            for (size_t i = 0; i < sizeof candidates - 1 && !blank; i++) {
                if (rows == 0)
                    first[i] = row[i];
                equal[i] = equal[i] && row[i] == first[i];
            }
            rows += !blank;
            memset(row, 0, sizeof row);
        }
        if (*at == 0)
            break;
    }
    for (size_t i = 1; i < sizeof candidates - 1; i++) {
        bool better = first[i] > 0 && equal[i], good = first[best] > 0 && equal[best];
        if (better != good ? better : first[i] > first[best])
            best = i;
    }
    return candidates[best];
}

/* Where blanks separate, a run of them is one separator, and none at a row's ends. */
static char *skip_blanks(char *at, char separator)
{
    return separator == ' ' ? at + strspn(at, " \t") : at;
}

static soma_status tokenise(cells *c, char *text, char separator, const char *name, soma_error *err)
{
    const char stops[] = {separator, '\n', '\r', '"', separator == ' ' ? '\t' : 0, 0};
    int64_t line = 1;
    char *at = text;

    while (*at) {
        int64_t row_line = line;
        int columns = 0;
        bool row_ends = false;

        at = skip_blanks(at, separator);
        if (*at == 0)
            break;
        /* A blank line is no row: files often end with one or two. */
        if (*at == '\n' || (*at == '\r' && at[1] == '\n')) {
            at += *at == '\r' ? 2 : 1;
            line++;
            continue;
        }
        while (!row_ends) {
            char *start = at, *end;
            if (*at == '"') {
                start = ++at;
                if (!read_quoted(&at, &end, &line))
                    return soma__fail(err, SOMA_FORMAT,
                                      "%s:%" PRId64 ": a quoted field does not end", name,
                                      row_line);
            } else {
                at += strcspn(at, stops);
                if (*at == '"')
                    return soma__fail(err, SOMA_FORMAT,
                                      "%s:%" PRId64 ": a quote inside a field that is not quoted",
                                      name, line);
                end = at;
            }
            if (columns == MAX_COLUMNS)
                return soma__fail(err, SOMA_FORMAT, "%s:%" PRId64 ": more than %d columns", name,
                                  line, MAX_COLUMNS);
            columns++;

            char *next = skip_blanks(at, separator);
            if (next != at && *next && *next != '\n' && *next != '\r') {
                at = next;
            } else if (separator != ' ' && *at == separator) {
                at++;
            } else if (*next == 0) {
                at = next;
                row_ends = true;
            } else if (*next == '\n' || (*next == '\r' && next[1] == '\n')) {
                at = next + (*next == '\r' ? 2 : 1);
                line++;
                row_ends = true;
            } else {
                return soma__fail(err, SOMA_FORMAT,
                                  *at == '\r' ? "%s:%" PRId64
                                                ": a carriage return without a line feed"
                                              : "%s:%" PRId64 ": text follows a closing quote",
                                  name, line);
            }
            /* Only now, as this may overwrite the separator that was looked at. */
            *end = 0;
            if (!add_cell(c, start))
                return no_memory(name, err);
        }
        if (c->rows == 0)
            c->columns = columns;
        else if (columns != c->columns)
            return soma__fail(err, SOMA_FORMAT,
                              "%s:%" PRId64 ": this row has %d fields, the first has %d", name,
                              row_line, columns, c->columns);
        c->rows++;
    }
    return SOMA_OK;
}

/* --- cells to columns ------------------------------------------------------------------------- */

static bool is_missing(const char *text)
{
    static const char *const words[] = {"", "na", "n/a", "nan", "null", "none", "?"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    return false;
}

/* Cuts off the spaces around a field. */
static char *trim(char *text)
{
    char *end;
    text += strspn(text, " \t");
    end = text + strlen(text);
    while (end > text && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *end = 0;
    return text;
}

static bool is_number(const char *text)
{
    double ignored;
    return soma__parse_float(text, &ignored);
}

static bool among(const char *text, const char *const *names, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(text, names[i]) == 0)
            return true;
    return false;
}

/* Is every field of the first row one of the names that are expected? */
static bool header_is_known(const cells *c, const soma__csv_options *options)
{
    for (int i = 0; i < c->columns; i++)
        if (!among(c->field[i], options->known, options->known_count))
            return false;
    return options->known_count > 0;
}

static bool guess_header(const cells *c)
{
    bool number_below = false;

    if (c->rows < 2)
        return false;
    for (int i = 0; i < c->columns; i++) {
        const char *below = c->field[c->columns + i];
        if (is_missing(c->field[i]) || is_number(c->field[i]))
            return false;
        number_below = number_below || is_number(below);
    }
    return number_below;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The column's distinct texts, sorted, and each row's index among them. `first` is the column's
 * field in the first row of data. */
static soma_status read_categories(soma__csv *csv, soma__csv_column *column, char **first,
                                   soma_error *err)
{
    size_t rows = (size_t)csv->rows, stride = (size_t)csv->columns, present = 0, distinct = 0;
    char **sorted = soma__calloc(rows ? rows : 1, sizeof *sorted);

    if (!sorted)
        return no_memory(csv->source, err);
    for (size_t i = 0; i < rows; i++)
        if (!is_missing(first[i * stride]))
            sorted[present++] = first[i * stride];
    qsort(sorted, present, sizeof *sorted, compare_texts);
    for (size_t i = 0; i < present; i++)
        if (i == 0 || strcmp(sorted[i], sorted[distinct - 1]) != 0)
            sorted[distinct++] = sorted[i];

    column->categorical = true;
    column->codes = soma__arena_array(&csv->arena, rows, sizeof *column->codes);
    column->values = soma__arena_array(&csv->arena, distinct, sizeof *column->values);
    bool enough = column->codes && column->values && distinct <= INT32_MAX;
    for (size_t i = 0; enough && i < distinct; i++) {
        column->values[i] = soma__arena_strdup(&csv->arena, sorted[i]);
        enough = column->values[i] != NULL;
    }
    for (size_t i = 0; enough && i < rows; i++) {
        char **found = is_missing(first[i * stride]) ? NULL
                                                     : bsearch(&first[i * stride], sorted, distinct,
                                                               sizeof *sorted, compare_texts);
        column->codes[i] = found ? (int32_t)(found - sorted) : -1;
        column->missing += !found;
    }
    column->value_count = (int32_t)distinct;
    soma__free(sorted);
    return enough ? SOMA_OK : no_memory(csv->source, err);
}

static soma_status read_column(soma__csv *csv, soma__csv_column *column, char **first,
                               const soma__csv_options *options, soma_error *err)
{
    size_t rows = (size_t)csv->rows, stride = (size_t)csv->columns;

    if (among(column->name, options->text, options->text_count))
        return read_categories(csv, column, first, err);
    column->numbers = soma__arena_array(&csv->arena, rows, sizeof *column->numbers);
    if (!column->numbers)
        return no_memory(csv->source, err);
    for (size_t i = 0; i < rows; i++) {
        const char *text = first[i * stride];
        if (is_missing(text)) {
            column->numbers[i] = NAN;
            column->missing++;
        } else if (!soma__parse_float(text, &column->numbers[i])) {
            column->numbers = NULL;
            column->missing = 0;
            return read_categories(csv, column, first, err);
        }
    }
    return SOMA_OK;
}

/* The names of columns without a header: those that are known, where their number says that they
 * are meant; else column1, column2, … */
static soma_status name_columns(soma__csv *csv, char **header, const soma__csv_options *options,
                                soma_error *err)
{
    const char **sorted = soma__calloc((size_t)csv->columns, sizeof *sorted);
    soma_status status = SOMA_OK;

    if (!sorted)
        return no_memory(csv->source, err);
    for (int i = 0; i < csv->columns; i++) {
        char number[24];
        const char *name = header                                 ? header[i]
                           : options->known_count == csv->columns ? options->known[i]
                                                                  : "";
        if (!*name) {
            snprintf(number, sizeof number, "column%d", i + 1);
            name = number;
        }
        csv->column[i].name = sorted[i] = soma__arena_strdup(&csv->arena, name);
        if (!sorted[i]) {
            soma__free(sorted);
            return no_memory(csv->source, err);
        }
    }
    qsort(sorted, (size_t)csv->columns, sizeof *sorted, compare_texts);
    for (int i = 1; i < csv->columns && status == SOMA_OK; i++)
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            status = soma__fail(err, SOMA_FORMAT, "%s: two columns are named '%s'", csv->source,
                                sorted[i]);
    soma__free(sorted);
    return status;
}

static soma_status build(soma__csv *csv, const cells *c, const soma__csv_options *options,
                         soma_error *err)
{
    bool header;

    if (c->rows == 0)
        return soma__fail(err, SOMA_FORMAT, "%s: the file is empty", csv->source);
    for (size_t i = 0; i < c->count; i++)
        c->field[i] = trim(c->field[i]);
    header = options->header == SOMA__CSV_HEADER_YES ||
             (options->header == SOMA__CSV_HEADER_AUTO &&
              (header_is_known(c, options) || guess_header(c)));
    csv->header = header;
    csv->rows = c->rows - header;
    csv->columns = c->columns;
    if (csv->rows == 0)
        return soma__fail(err, SOMA_FORMAT, "%s: there is a header but no row of data",
                          csv->source);
    csv->column = soma__arena_array(&csv->arena, (size_t)c->columns, sizeof *csv->column);
    if (!csv->column)
        return no_memory(csv->source, err);
    SOMA__TRY(name_columns(csv, header ? c->field : NULL, options, err));
    for (int i = 0; i < csv->columns; i++)
        SOMA__TRY(read_column(csv, &csv->column[i], c->field + (header ? c->columns : 0) + i,
                              options, err));
    return SOMA_OK;
}

/* `text` has `size` bytes and one NUL after them, and may be changed. */
static soma_status parse(soma__csv *out, char *text, size_t size, const char *name,
                         const soma__csv_options *options, soma_error *err)
{
    static const soma__csv_options usual = {0};
    char separator;
    const char *zero = size ? memchr(text, 0, size) : NULL;
    cells c = {0};
    soma_status status;

    options = options ? options : &usual;
    separator = options->separator;
    if (separator == '"' || separator == '\n' || separator == '\r')
        return soma__fail(err, SOMA_INVALID, "a quote or a line end cannot separate CSV fields");
    if (zero) {
        int64_t line = 1;
        for (const char *p = text; p < zero; p++)
            line += *p == '\n';
        return soma__fail(err, SOMA_FORMAT, "%s:%" PRId64 ": a NUL byte: this is not a text file",
                          name, line);
    }
    for (size_t at = 0, bytes; at < size; at += bytes) {
        bytes = (unsigned char)text[at] < 0x80 ? 1 : soma__utf8_next(text + at, size - at, NULL);
        if (!bytes) {
            int64_t line = 1;
            for (size_t i = 0; i < at; i++)
                line += text[i] == '\n';
            return soma__fail(err, SOMA_FORMAT,
                              "%s:%" PRId64 ": this is not UTF-8 text; `iconv -f latin1 -t utf8` "
                              "converts the old Western encoding",
                              name, line);
        }
    }
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3; /* the byte order mark that spreadsheets like to write */

    out->separator = separator ? separator : guess_separator(text);
    status = tokenise(&c, text, out->separator, name, err);
    if (status == SOMA_OK) {
        out->source = soma__arena_strdup(&out->arena, name);
        status = out->source ? build(out, &c, options, err) : no_memory(name, err);
    }
    soma__free(c.field);
    if (status != SOMA_OK)
        soma__csv_clear(out);
    return status;
}

soma_status soma__csv_parse(soma__csv *out, const void *bytes, size_t size, const char *name,
                            const soma__csv_options *options, soma_error *err)
{
    void *text = NULL;
    soma_status status;

    if (soma__gzip_is(bytes, size)) {
        SOMA__TRY(soma__gunzip_all(&text, &size, bytes, size, MAX_BYTES, name, err));
    } else {
        text = soma__malloc(size + 1);
        if (!text)
            return no_memory(name, err);
        if (size)
            memcpy(text, bytes, size);
        ((char *)text)[size] = 0;
    }
    status = parse(out, text, size, name, options, err);
    soma__free(text);
    return status;
}

soma_status soma__csv_read(soma__csv *out, const char *path, const soma__csv_options *options,
                           soma_error *err)
{
    void *data;
    size_t size;
    soma_status status;

    SOMA__TRY(soma__file_read(&data, &size, path, MAX_BYTES, err));
    /* What was read is ours to change, so plain text is parsed where it lies. */
    if (soma__gzip_is(data, size))
        status = soma__csv_parse(out, data, size, path, options, err);
    else
        status = parse(out, data, size, path, options, err);
    soma__free(data);
    return status;
}

void soma__csv_clear(soma__csv *csv)
{
    soma__arena_clear(&csv->arena);
    *csv = (soma__csv){0};
}

soma_status soma__csv_column_find(int *out, const soma__csv *csv, const char *which,
                                  soma_error *err)
{
    const char **names, *near;
    int64_t index;
    char hint[128] = "";

    for (int i = 0; i < csv->columns; i++) {
        if (strcmp(csv->column[i].name, which) == 0) {
            *out = i;
            return SOMA_OK;
        }
    }
    if (soma__parse_int(which, &index)) {
        if (index < -(int64_t)csv->columns || index >= csv->columns)
            return soma__fail(err, SOMA_NOT_FOUND, "%s: column %" PRId64 " of %d columns",
                              csv->source, index, csv->columns);
        *out = (int)(index < 0 ? index + csv->columns : index);
        return SOMA_OK;
    }
    names = soma__calloc((size_t)csv->columns + 1, sizeof *names);
    if (names) {
        for (int i = 0; i < csv->columns; i++)
            names[i] = csv->column[i].name;
        near = soma__nearest(which, names, (size_t)csv->columns);
        if (near)
            snprintf(hint, sizeof hint, "; did you mean '%s'?", near);
        soma__free(names);
    }
    return soma__fail(err, SOMA_NOT_FOUND, "%s: no column is named '%s'%s", csv->source, which,
                      hint);
}
