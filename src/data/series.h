/* series.h: time series as data sets: windows of the past with the values that come next.
 *
 *        length            horizon
 *   ├──────────────────┼───────────────┤
 *     x [length, C]      y [horizon]            one row of the file a step
 *
 * x holds the series itself, then its covariates, then sine and cosine of each cycle; y the series
 * alone. Parts are cut by time: the targets of a part lie all in its own stretch of the file, while
 * its windows may look back into the stretches before, as a forecast may.
 *
 *   file ─┬─ training ─────────────┬─ validation ─┬─ test ───────┐
 *         └────────────────────────┴──────────────┴──────────────┘ time → */
#ifndef SOMA__DATA_SERIES_H
#define SOMA__DATA_SERIES_H

#include <stdatomic.h>

#include "data/table.h"
#include "soma/data.h"

#define SOMA__SERIES_LENGTH 32 /* steps of a window, unless told otherwise */
#define SOMA__SERIES_CYCLES 8

/* What becomes of steps without a value. */
typedef enum soma__gaps {
    SOMA__GAPS_ERROR,
    SOMA__GAPS_DROP,     /* windows that touch one are left out */
    SOMA__GAPS_PREVIOUS, /* in x the last value before it; windows whose targets have one are left
                            out */
} soma__gaps;

typedef struct soma__series_options {
    soma__csv_header header;
    char separator;
    soma__names names;               /* of all columns, for a file without a header */
    const char *label;               /* the column that is forecast; NULL: the last */
    soma__names columns;             /* covariates: known up to the end of the window */
    int64_t length, horizon, season; /* steps; 0: SOMA__SERIES_LENGTH, 1, 1 */
    int64_t stride;                  /* from one window to the next; 0: 1 */
    soma__gaps gaps;
    double cycle[SOMA__SERIES_CYCLES]; /* periods, in steps */
    int cycles;
} soma__series_options;

/* How a series became samples: what the model file keeps, so that others become samples alike. */
typedef struct soma__series_encoding {
    atomic_int references;
    soma__arena arena;
    soma__series_options options; /* its texts in the arena; every number set */
    double scale; /* mean |y(t) - y(t - season)| in the training part; NaN: it has no such pair */
} soma__series_encoding;
soma__series_encoding *soma__series_encoding_retain(soma__series_encoding *encoding);
void soma__series_encoding_release(soma__series_encoding *encoding);
/* As text for the model file (SOMA__SERIES_META), with soma__free, and back. */
#define SOMA__SERIES_META "data.series"
soma_status soma__series_encoding_text(char **out, const soma__series_encoding *encoding,
                                       soma_error *err);
soma_status soma__series_encoding_parse(soma__series_encoding **out, const char *text,
                                        const char *source, soma_error *err);
/* Of a data set, or what it is a part of; NULL: it is no series. */
soma__series_encoding *soma__dataset_series(const soma_dataset *dataset);

/* The parts of a file; `validation` and `test` are shares of the steps before and of all, or
 * numbers of steps; 0: no such part. `encoding` NULL: fitted on the training part. Errors:
 * SOMA_INVALID (too few steps, a gap that may not be, a column of texts), SOMA_NOT_FOUND (no such
 * column), those of soma__csv_read. */
soma_status soma__series_open(soma_data *out, const char *path, const soma__series_options *options,
                              double validation, double test, soma__series_encoding *encoding,
                              soma_error *err);
/* All windows of a file, by an encoding that was fitted before. */
soma_status soma__series_read(soma_dataset **out, const char *path, soma__series_encoding *encoding,
                              soma_error *err);
/* The last window of a file, x [1,length,C]: what comes after it is to be forecast. */
soma_status soma__series_last(soma_tensor **out, const char *path, soma__series_encoding *encoding,
                              soma_error *err);

/* Walk-forward validation over what is before the test part, which goes: the steps are cut into
 * folds + 1 equal stretches; fold i learns from the first i + 1 (`validation` of them at the end
 * for choosing a model) and is tested on the next. Does nothing (*done false) to other data. */
soma_status soma__series_fold(soma_data *data, int folds, int fold, double validation, bool *done,
                              soma_error *err);

/* The seasonal naive forecast of sample i's targets [horizon]: the value one season before, of
 * those that the window's end knows; NaN where the file has none. */
void soma__series_naive(const soma_dataset *dataset, int64_t i, float *out);

#endif
