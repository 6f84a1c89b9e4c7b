/* csv.h: RFC 4180 tables of numbers and categories.
 *
 * A field may be quoted, then it may hold separators, line ends and doubled quotes. Lines end in LF
 * or CRLF. A column is numeric when all of its fields that are present read as numbers, else it is
 * categorical. A field is missing when it is empty or one of NA, N/A, NaN, null, none, ? (in any
 * case). gzip is recognised by its magic. */
#ifndef SOMA__CSV_H
#define SOMA__CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

typedef enum soma__csv_header {
    SOMA__CSV_HEADER_AUTO, /* a first row without numbers, above a row with at least one, is names
                            */
    SOMA__CSV_HEADER_YES,
    SOMA__CSV_HEADER_NO, /* columns are then named column1, column2, … */
} soma__csv_header;

typedef struct soma__csv_options {
    soma__csv_header header;
    char separator; /* 0: a comma, semicolon, tab or |, whichever fits; ' ': runs of blanks */
    /* Names that are expected: a first row of nothing else is a header, and columns without a
     * header get them when there are as many. */
    const char *const *known;
    int known_count;
    const char *const *text; /* columns that are categories even where they hold numbers */
    int text_count;
} soma__csv_options;

typedef struct soma__csv_column {
    const char *name;
    bool categorical;
    int64_t missing;     /* fields without a value */
    double *numbers;     /* numeric: one a row, NaN where missing; else NULL */
    int32_t *codes;      /* categorical: index into values, -1 where missing; else NULL */
    const char **values; /* categorical: the distinct texts, sorted by their bytes */
    int32_t value_count;
} soma__csv_column;

/* {0} is an empty table. Everything in it lives in its arena. */
typedef struct soma__csv {
    soma__arena arena;
    const char *source; /* the file's name, for messages */
    bool header;        /* it had one */
    char separator;
    int64_t rows;
    int columns;
    soma__csv_column *column;
} soma__csv;

/* Reads into *out, which must be empty and stays empty on failure. `options` may be NULL.
 * Errors: SOMA_FORMAT with the line (ragged row, quote that does not end, NUL byte, no rows, two
 * columns of one name), SOMA_INVALID (separator), SOMA_IO, SOMA_MEMORY, SOMA_UNSUPPORTED (gzip
 * without zlib). */
soma_status soma__csv_read(soma__csv *out, const char *path, const soma__csv_options *options,
                           soma_error *err);
/* The same from memory; `name` stands for the file in messages. */
soma_status soma__csv_parse(soma__csv *out, const void *bytes, size_t size, const char *name,
                            const soma__csv_options *options, soma_error *err);
void soma__csv_clear(soma__csv *csv);

/* The number of the column that `which` means: its name, or else its position from 0, negative ones
 * counted from the end. Errors: SOMA_NOT_FOUND, with the nearest name. */
soma_status soma__csv_column_find(int *out, const soma__csv *csv, const char *which,
                                  soma_error *err);

#endif
