/* table.h: tables of numbers and categories as data sets.
 *
 *   file ── csv ──▶ table: columns with roles ──▶ data set of row numbers and labels
 *                                                     │ split into train, validation, test
 *                       encoding fitted on train ◀────┘
 *                              │
 *                     data sets of features f32 [F]        model file: the encoding as JSON
 *
 * What is fitted (the values of a category, what fills a gap) looks at the training part alone. The
 * encoding goes into the model file, so that `soma predict` reads other files in the same way. */
#ifndef SOMA__TABLE_H
#define SOMA__TABLE_H

#include <stdatomic.h>

#include "data/names.h"
#include "format/csv.h"
#include "soma/data.h"

/* What becomes of a field without a value. The mean and the median are those of the column in the
 * training part; categories take the most frequent value in their place. */
typedef enum soma__missing {
    SOMA__MISSING_ERROR,
    SOMA__MISSING_DROP, /* of the whole row */
    SOMA__MISSING_MEAN,
    SOMA__MISSING_MEDIAN,
    SOMA__MISSING_MOST_FREQUENT,
    SOMA__MISSING_INDICATOR /* the mean and one more feature, 1 where it was missing; for a
                               category, one more value */
} soma__missing;

typedef enum soma__target {
    SOMA__TARGET_CLASSES, /* y is i64: the number of the class */
    SOMA__TARGET_BINARY,  /* y is f32 [1]: 0 or 1 */
    SOMA__TARGET_NUMBERS, /* y is f32 [one for each label column] */
} soma__target;

typedef struct soma__table_options {
    soma__csv_header header;
    char separator;          /* 0: as it fits */
    soma__names names;       /* of all columns, for a file without a header */
    soma__names labels;      /* by name or number; none: the last column */
    soma__names columns;     /* the features, in this order; none: all but the labels */
    soma__names ignore;      /* not features */
    soma__names categorical; /* categories although they look like numbers */
    bool index;              /* a category is one feature, its number (0: none of those known), not
                                one feature for each value */
    soma__missing missing;
    soma__target target;
} soma__table_options;

typedef struct soma__table soma__table;
typedef struct soma__encoding soma__encoding;

soma__table *soma__table_retain(soma__table *table);
void soma__table_release(soma__table *table);
soma__encoding *soma__encoding_retain(soma__encoding *encoding);
void soma__encoding_release(soma__encoding *encoding);

/* Reads a file into a data set of its rows: x is the row's number, y the label. To be split, then
 * encoded. Errors: those of soma__csv_read; SOMA_NOT_FOUND (no such column), SOMA_INVALID (roles
 * that contradict each other, labels that do not fit the target). `bytes` NULL: from the file
 * `path`. */
soma_status soma__table_open(soma_dataset **out, const char *path, const void *bytes, size_t size,
                             const soma__table_options *options, soma_error *err);

/* Turns the parts of a table, given as rows or encoded before, into features, fitted on the
 * training part. Does nothing to other data. Errors: SOMA_INVALID (a gap that may not be, a
 * category of too many values), SOMA_MEMORY. */
soma_status soma__table_encode(soma_data *data, soma_error *err);
/* The same by an encoding that was fitted before. */
soma_status soma__table_encode_by(soma_data *data, soma__encoding *encoding, soma_error *err);

/* Where a model file keeps the encoding of its data. */
#define SOMA__TABLE_META "data.table"

/* The encoding of a data set that came from a table, borrowed; else NULL. */
const soma__encoding *soma__dataset_encoding(const soma_dataset *dataset);
/* To JSON and back. Errors of reading: SOMA_FORMAT, SOMA_MEMORY, SOMA_UNSUPPORTED. */
soma_status soma__encoding_text(char **out, const soma__encoding *encoding, soma_error *err);
soma_status soma__encoding_parse(soma__encoding **out, const char *text, const char *source,
                                 soma_error *err);
int64_t soma__encoding_features(const soma__encoding *encoding);
/* The features f32 [rows,F] of another file; columns are found by name, or by position in a file
 * without a header. Labels may be in it or not. */
soma_status soma__encoding_read(soma_tensor **out, const soma__encoding *encoding, const char *path,
                                soma_error *err);
/* The same with its labels, which must be there: in `label`, or (NULL) where they were in training.
 */
soma_status soma__encoding_open(soma_dataset **out, const soma__encoding *encoding,
                                const char *path, const char *label, soma__target target,
                                soma_error *err);

/* --- inside ------------------------------------------------------------------------------------
 */

struct soma__table {
    atomic_int references;
    soma__csv csv;
    soma__arena arena;
    int *feature, *label; /* numbers of columns */
    int feature_count, label_count;
    int64_t *row; /* those that stay; the samples of the data sets */
    int64_t rows;
    bool index;
    soma__missing missing;
    soma__target target;
};

typedef struct soma__encoded_column {
    const char *name;
    const char **values; /* NULL: numbers */
    int value_count;
    bool index;     /* one feature, not one a value */
    bool indicator; /* one more feature */
    bool fills;     /* else a gap is an error */
    double fill;    /* number or index of a value, -1: none of them */
} soma__encoded_column;

struct soma__encoding {
    atomic_int references;
    soma__arena arena;
    soma__names names; /* of all columns in the file that it was fitted on */
    soma__names labels;
    soma__names classes; /* SOMA__TARGET_CLASSES */
    char separator;
    soma__encoded_column *column;
    int count;
    int64_t features;
};

/* Where the encoding's columns are in `csv`. Errors: SOMA_SHAPE (one is not there). */
soma_status soma__encoding_find(int *at, const soma__encoding *encoding, const soma__csv *csv,
                                soma_error *err);
/* The names of the columns that are categories; the list lives in `arena`. */
soma_status soma__encoding_categories(soma__names *out, soma__arena *arena,
                                      const soma__encoding *encoding, soma_error *err);
/* The columns of `csv` as features; `at` are the numbers of the columns there. */
soma_status soma__encoding_apply(soma_tensor **out, const soma__encoding *encoding,
                                 const soma__csv *csv, const int *at, const int64_t *row,
                                 int64_t rows, soma_error *err);
/* Labels of the rows: y as `target` says, and class names (in `arena`) for classes. `classes`,
 * unless empty, are the only ones that may be. */
soma_status soma__table_labels(soma_tensor **y, soma__names *names, soma__arena *arena,
                               const soma__csv *csv, const int *label, int label_count,
                               const int64_t *row, int64_t rows, soma__target target,
                               const soma__names *classes, soma_error *err);
/* A new empty encoding. NULL: no memory. */
soma__encoding *soma__encoding_new(void);
/* Is there no value in this field? */
static inline bool soma__csv_missing(const soma__csv_column *column, int64_t row)
{
    return column->categorical ? column->codes[row] < 0
                               : column->numbers[row] != column->numbers[row];
}

#endif
