/* series.c: from a table of steps to windows and what comes after them. */
#include "data/series.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/dataset.h"
#include "format/json.h"
#include "soma/metrics.h"

#define VERSION 1
#define MOST_STEPS 16777216

/* The steps of a file, which its parts share. */
typedef struct steps {
    atomic_int references;
    char *source;
    int64_t count, channels;
    float *value;   /* [count, channels]; channel 0 is the series */
    int32_t *holes; /* [count + 1]: how many steps before have no x, to be told in O(1) */
    int32_t *blank; /* [count + 1]: how many steps before have no target */
    int64_t test;   /* where the test part begins */
} steps;

/* A part: the windows that it has. */
typedef struct part {
    steps *steps;
    soma__series_encoding *encoding;
    int64_t *start; /* the first step of each window */
    int64_t count;
} part;

static soma_status no_memory(const char *source, soma_error *err)
{
    return soma__fail(err, SOMA_MEMORY, "%s: out of memory for a series", source);
}

static void steps_release(steps *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) != 1)
        return;
    soma__free(s->source);
    soma__free(s->value);
    soma__free(s->holes);
    soma__free(s->blank);
    soma__free(s);
}

static void part_destroy(void *user)
{
    part *p = user;
    steps_release(p->steps);
    soma__series_encoding_release(p->encoding);
    soma__free(p->start);
    soma__free(p);
}

/* --- encodings ----------------------------------------------------------------------------------
 */

soma__series_encoding *soma__series_encoding_retain(soma__series_encoding *encoding)
{
    atomic_fetch_add_explicit(&encoding->references, 1, memory_order_relaxed);
    return encoding;
}

void soma__series_encoding_release(soma__series_encoding *e)
{
    if (!e || atomic_fetch_sub_explicit(&e->references, 1, memory_order_acq_rel) != 1)
        return;
    soma__arena_clear(&e->arena);
    soma__free(e);
}

/* A copy of the options with their defaults. `label` is the column's name. */
static soma_status encoding_new(soma__series_encoding **out, const soma__series_options *o,
                                const char *label, soma_error *err)
{
    soma__series_encoding *e = soma__calloc(1, sizeof *e);
    *out = NULL;
    if (!e)
        return soma__fail(err, SOMA_MEMORY, "no memory for the encoding of a series");
    atomic_init(&e->references, 1);
    e->scale = NAN;
    e->options = *o;
    e->options.length = o->length ? o->length : SOMA__SERIES_LENGTH;
    e->options.horizon = o->horizon ? o->horizon : 1;
    e->options.season = o->season ? o->season : 1;
    e->options.stride = o->stride ? o->stride : 1;
    e->options.label = soma__arena_strdup(&e->arena, label);
    soma_status status =
        e->options.label ? SOMA_OK : soma__fail(err, SOMA_MEMORY, "no memory for a column's name");
    if (status == SOMA_OK)
        status = soma__names_copy(&e->options.names, &e->arena, &o->names, err);
    if (status == SOMA_OK)
        status = soma__names_copy(&e->options.columns, &e->arena, &o->columns, err);
    if (status != SOMA_OK) {
        soma__series_encoding_release(e);
        return status;
    }
    *out = e;
    return SOMA_OK;
}

static int64_t channels_of(const soma__series_options *o)
{
    return 1 + o->columns.count + 2 * o->cycles;
}

static const part *part_of(const soma_dataset *dataset)
{
    const soma_dataset *whole = soma__dataset_whole(dataset);
    return whole && whole->series ? whole->source.user : NULL;
}

soma__series_encoding *soma__dataset_series(const soma_dataset *dataset)
{
    const part *p = part_of(dataset);
    return p ? p->encoding : NULL;
}

/* --- the model file -----------------------------------------------------------------------------
 */

soma_status soma__series_encoding_text(char **out, const soma__series_encoding *e, soma_error *err)
{
    const soma__series_options *o = &e->options;
    soma__text text = {0};
    soma__text_add(&text, "{\"version\":%d,\"label\":", VERSION);
    soma__json_string(&text, o->label);
    soma__names_write(&text, "names", &o->names);
    soma__names_write(&text, "columns", &o->columns);
    soma__json_member(&text, "length", (double)o->length);
    soma__json_member(&text, "horizon", (double)o->horizon);
    soma__json_member(&text, "season", (double)o->season);
    soma__json_member(&text, "stride", (double)o->stride);
    soma__json_member(&text, "gaps", (double)o->gaps);
    soma__json_member(&text, "scale", e->scale);
    soma__text_add(&text, ",\"cycles\":[");
    for (int i = 0; i < o->cycles; i++) {
        soma__text_add(&text, i ? "," : "");
        soma__json_number(&text, o->cycle[i]);
    }
    soma__text_add(&text, "]}");
    return soma__text_take(&text, out, err);
}

static soma_status damaged(const char *source, const char *what, soma_error *err)
{
    return soma__damaged(source, "series", what, err);
}

static soma_status get_whole(int64_t *out, const soma__value *root, const char *key, double least,
                             double most, const char *source, soma_error *err)
{
    const soma__value *value = soma__value_find(root, key);
    if (!value || (value->kind != SOMA__INT && value->kind != SOMA__FLOAT) ||
        !(value->number >= least && value->number <= most))
        return damaged(source, key, err);
    *out = (int64_t)value->number;
    return SOMA_OK;
}

/* Lists of names live in `arena`, the label in the tree, until encoding_new copies them. */
static soma_status get_options(soma__series_options *o, double *scale, soma__arena *arena,
                               const soma__value *root, const char *source, soma_error *err)
{
    int64_t version = 0, gaps = 0;
    if (root->kind != SOMA__MAP)
        return damaged(source, "it is not a map", err);
    SOMA__TRY(get_whole(&version, root, "version", 0, 1e9, source, err));
    if (version != VERSION)
        return soma__fail(err, SOMA_UNSUPPORTED,
                          "%s: its series has version %" PRId64 ", this soma reads %d", source,
                          version, VERSION);
    const soma__value *label = soma__value_find(root, "label"),
                      *fitted = soma__value_find(root, "scale"),
                      *cycles = soma__value_find(root, "cycles");
    if (!label || label->kind != SOMA__STRING)
        return damaged(source, "label", err);
    o->label = label->text;
    SOMA__TRY(soma__names_read(&o->names, arena, root, "names", source, "series", err));
    SOMA__TRY(soma__names_read(&o->columns, arena, root, "columns", source, "series", err));
    SOMA__TRY(get_whole(&o->length, root, "length", 1, MOST_STEPS, source, err));
    SOMA__TRY(get_whole(&o->horizon, root, "horizon", 1, MOST_STEPS, source, err));
    SOMA__TRY(get_whole(&o->season, root, "season", 1, MOST_STEPS, source, err));
    SOMA__TRY(get_whole(&o->stride, root, "stride", 1, MOST_STEPS, source, err));
    SOMA__TRY(get_whole(&gaps, root, "gaps", 0, SOMA__GAPS_PREVIOUS, source, err));
    o->gaps = (soma__gaps)gaps;
    /* NaN is written as null. */
    *scale = fitted && fitted->kind != SOMA__NULL ? fitted->number : NAN;
    if (!cycles || cycles->kind != SOMA__LIST || cycles->count > SOMA__SERIES_CYCLES)
        return damaged(source, "cycles", err);
    for (const soma__value *item = cycles->first; item; item = item->next) {
        if (!(item->number > 0))
            return damaged(source, "cycles", err);
        o->cycle[o->cycles++] = item->number;
    }
    return SOMA_OK;
}

soma_status soma__series_encoding_parse(soma__series_encoding **out, const char *text,
                                        const char *source, soma_error *err)
{
    soma__tree tree = {0};
    soma__series_options options = {0};
    double scale = NAN;
    *out = NULL;
    SOMA__TRY(soma__json_parse(&tree, text, strlen(text), source, err));
    soma_status status = get_options(&options, &scale, &tree.arena, tree.root, source, err);
    if (status == SOMA_OK)
        status = encoding_new(out, &options, options.label, err);
    if (status == SOMA_OK)
        (*out)->scale = scale;
    soma__tree_clear(&tree);
    return status;
}

/* --- reading ------------------------------------------------------------------------------------
 */

/* One column into its channel. What has no value repeats the one before, or stays NaN. */
static soma_status read_channel(steps *s, int64_t channel, const soma__csv *csv, int at,
                                const soma__series_options *o, soma_error *err)
{
    const soma__csv_column *column = &csv->column[at];
    if (column->categorical)
        return soma__fail(err, SOMA_INVALID,
                          "%s: column '%s' holds texts, a series is made of numbers", s->source,
                          column->name);
    for (int64_t t = 0; t < s->count; t++) {
        float *value = &s->value[t * s->channels + channel];
        bool missing = isnan(column->numbers[t]);
        *value = (float)column->numbers[t];
        if (!missing && !isfinite(*value))
            return soma__fail(err, SOMA_NUMERIC,
                              "%s: column '%s', data row %" PRId64 " is not a finite number",
                              s->source, column->name, t + 1);
        if (missing && o->gaps == SOMA__GAPS_ERROR)
            return soma__fail(err, SOMA_INVALID,
                              "%s: column '%s' has no value in data row %" PRId64
                              ": with `gaps: drop` windows that touch a gap are left out, with "
                              "`gaps: previous` the value before it stands there",
                              s->source, column->name, t + 1);
        if (missing && o->gaps == SOMA__GAPS_PREVIOUS && t > 0)
            *value = value[-s->channels];
        if (channel == 0)
            s->blank[t + 1] = missing;
    }
    return SOMA_OK;
}

/* Phases of the cycles, counted from the file's first step. */
static void add_cycles(steps *s, const soma__series_options *o)
{
    static const double turn = 6.283185307179586;
    for (int k = 0; k < o->cycles; k++) {
        float *value = s->value + 1 + o->columns.count + (ptrdiff_t)2 * k;
        for (int64_t t = 0; t < s->count; t++) {
            double phase = turn * fmod((double)t / o->cycle[k], 1);
            value[t * s->channels] = (float)sin(phase);
            value[t * s->channels + 1] = (float)cos(phase);
        }
    }
}

/* From marks to counts of all marks before. */
static void count_gaps(steps *s)
{
    for (int64_t t = 0; t < s->count; t++) {
        bool hole = false;
        for (int64_t c = 0; c < s->channels; c++)
            hole = hole || isnan(s->value[t * s->channels + c]);
        s->holes[t + 1] = s->holes[t] + hole;
        s->blank[t + 1] += s->blank[t];
    }
}

static soma_status read_steps(steps *s, const soma__csv *csv, int label,
                              const soma__series_options *o, soma_error *err)
{
    int at;
    s->source = soma__strdup(csv->source);
    s->count = csv->rows;
    s->channels = channels_of(o);
    if (s->count > MOST_STEPS)
        return soma__fail(err, SOMA_INVALID, "%s: %" PRId64 " steps are more than %d", csv->source,
                          csv->rows, MOST_STEPS);
    size_t cells, rows = (size_t)s->count;
    if (s->source && soma__mul(rows, (size_t)s->channels, &cells)) {
        s->value = soma__calloc(cells, sizeof *s->value);
        s->holes = soma__calloc(rows + 1, sizeof *s->holes);
        s->blank = soma__calloc(rows + 1, sizeof *s->blank);
    }
    if (!s->value || !s->holes || !s->blank)
        return no_memory(csv->source, err);
    SOMA__TRY(read_channel(s, 0, csv, label, o, err));
    for (int k = 0; k < o->columns.count; k++) {
        SOMA__TRY(soma__csv_column_find(&at, csv, o->columns.name[k], err));
        SOMA__TRY(read_channel(s, 1 + k, csv, at, o, err));
    }
    add_cycles(s, o);
    count_gaps(s);
    return SOMA_OK;
}

/* Reads a file. `*label` is the name of the column that is forecast, in `arena`. */
static soma_status read_file(steps **out, char **label, soma__arena *arena, const char *path,
                             const soma__series_options *o, soma_error *err)
{
    const soma__csv_options reading = {.header = o->header,
                                       .separator = o->separator,
                                       .known = o->names.name,
                                       .known_count = o->names.count};
    soma__csv csv = {0};
    int at = 0;
    *out = NULL;
    SOMA__TRY(soma__csv_read(&csv, path, &reading, err));
    steps *s = soma__calloc(1, sizeof *s);
    soma_status status = s ? SOMA_OK : no_memory(path, err);
    if (s)
        atomic_init(&s->references, 1);
    if (status == SOMA_OK)
        status = soma__csv_column_find(&at, &csv, o->label ? o->label : "-1", err);
    if (status == SOMA_OK && label) {
        *label = soma__arena_strdup(arena, csv.column[at].name);
        status = *label ? SOMA_OK : no_memory(path, err);
    }
    if (status == SOMA_OK)
        status = read_steps(s, &csv, at, o, err);
    soma__csv_clear(&csv);
    if (status != SOMA_OK) {
        steps_release(s);
        return status;
    }
    *out = s;
    return SOMA_OK;
}

/* --- windows ------------------------------------------------------------------------------------
 */

static soma_status read_window(void *user, int64_t index, void *x, void *y, soma_error *err)
{
    const part *p = user;
    const steps *s = p->steps;
    const soma__series_options *o = &p->encoding->options;
    int64_t start = p->start[index], next = start + o->length;
    (void)err;
    memcpy(x, s->value + start * s->channels, (size_t)(o->length * s->channels) * sizeof *s->value);
    for (int64_t h = 0; h < o->horizon; h++)
        ((float *)y)[h] = s->value[(next + h) * s->channels];
    return SOMA_OK;
}

static bool is_whole(const steps *s, const soma__series_options *o, int64_t start)
{
    int64_t next = start + o->length;
    return s->holes[next] == s->holes[start] && s->blank[next + o->horizon] == s->blank[next];
}

static soma_status no_window(const steps *s, const soma__series_options *o, const char *name,
                             int64_t from, int64_t to, soma_error *err)
{
    int64_t needs = from > o->length ? o->horizon : o->length + o->horizon - from;
    if (to - from >= needs)
        return soma__fail(err, SOMA_INVALID,
                          "%s: every window of the %s part touches a gap: with `gaps: previous` "
                          "only those go whose targets have one",
                          s->source, name);
    return soma__fail(err, SOMA_INVALID,
                      "%s: the %s part has %" PRId64 " steps, a window there needs %" PRId64
                      " (length %" PRId64 ", horizon %" PRId64 "): make both, or the other parts, "
                      "smaller",
                      s->source, name, to - from, needs, o->length, o->horizon);
}

/* The windows whose targets lie in [from,to). */
static soma_status make_part(soma_dataset **out, steps *s, soma__series_encoding *e,
                             const char *name, int64_t from, int64_t to, soma_error *err)
{
    const soma__series_options *o = &e->options;
    int64_t first = from > o->length ? from - o->length : 0;
    int64_t last = to - o->length - o->horizon;
    part *p = soma__calloc(1, sizeof *p);
    if (!p)
        return no_memory(s->source, err);
    atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
    p->steps = s;
    p->encoding = soma__series_encoding_retain(e);
    p->start = soma__calloc(last >= first ? (size_t)(last - first) / (size_t)o->stride + 1 : 1,
                            sizeof *p->start);
    soma_status status = p->start ? SOMA_OK : no_memory(s->source, err);
    for (int64_t t = first; t <= last && p->start; t += o->stride)
        if (is_whole(s, o, t))
            p->start[p->count++] = t;
    if (status == SOMA_OK && p->count == 0)
        status = no_window(s, o, name, from, to, err);
    const soma_dataset_source source = {.count = p->count,
                                        .x_dtype = SOMA_F32,
                                        .x_shape = SOMA_SHAPE(o->length, s->channels),
                                        .y_dtype = SOMA_F32,
                                        .y_shape = SOMA_SHAPE(o->horizon),
                                        .read = read_window,
                                        .destroy = part_destroy,
                                        .user = p};
    if (status == SOMA_OK)
        status = soma_dataset_from_callback(out, &source, err);
    if (status != SOMA_OK)
        part_destroy(p);
    else
        (*out)->series = true;
    return status;
}

/* What a naive forecast of one season errs by up to `end`. */
static soma_status fit_scale(soma__series_encoding *e, const steps *s, int64_t end, soma_error *err)
{
    float *known = soma__calloc((size_t)end + 1, sizeof *known);
    if (!known)
        return no_memory(s->source, err);
    for (int64_t t = 0; t < end; t++)
        known[t] = s->blank[t + 1] > s->blank[t] ? NAN : s->value[t * s->channels];
    e->scale = soma_naive_scale(known, end, e->options.season);
    soma__free(known);
    return SOMA_OK;
}

/* A share of the steps, or their number, cut from the end of `steps`. */
static int64_t steps_of(double wanted, int64_t count)
{
    double n = wanted < 1 ? floor(wanted * (double)count + 0.5) : wanted;
    return n < (double)count ? (int64_t)n : count;
}

/* Training, validation and test part: up to `learn` and from there up to `end`. The encoding's
 * scale is fitted unless it has one. */
static soma_status cut(soma_data *out, steps *s, soma__series_encoding *e, bool fit, int64_t learn,
                       int64_t end, double validation, soma_error *err)
{
    int64_t train = learn - steps_of(validation, learn);
    if (fit && e->options.season >= train)
        return soma__fail(err, SOMA_INVALID,
                          "%s: a season of %" PRId64 " steps is longer than the training part, "
                          "which has %" PRId64,
                          s->source, e->options.season, train);
    if (fit)
        SOMA__TRY(fit_scale(e, s, train, err));
    SOMA__TRY(make_part(&out->train, s, e, "training", 0, train, err));
    if (train < learn)
        SOMA__TRY(make_part(&out->validation, s, e, "validation", train, learn, err));
    return learn < end ? make_part(&out->test, s, e, "test", learn, end, err) : SOMA_OK;
}

soma_status soma__series_open(soma_data *out, const char *path, const soma__series_options *o,
                              double validation, double test, soma__series_encoding *encoding,
                              soma_error *err)
{
    soma__arena arena = {0};
    soma__series_encoding *e = encoding ? soma__series_encoding_retain(encoding) : NULL;
    char *label;
    steps *s;
    *out = (soma_data){0};
    soma_status status = read_file(&s, &label, &arena, path, e ? &e->options : o, err);
    if (status == SOMA_OK && !e)
        status = encoding_new(&e, o, label, err);
    if (status == SOMA_OK) {
        s->test = s->count - steps_of(test, s->count);
        status = cut(out, s, e, !encoding, s->test, s->count, validation, err);
    }
    soma__series_encoding_release(e);
    steps_release(s);
    soma__arena_clear(&arena);
    if (status != SOMA_OK)
        soma_data_clear(out);
    return status;
}

soma_status soma__series_read(soma_dataset **out, const char *path, soma__series_encoding *encoding,
                              soma_error *err)
{
    steps *s;
    *out = NULL;
    SOMA__TRY(read_file(&s, NULL, NULL, path, &encoding->options, err));
    soma_status status = make_part(out, s, encoding, "only", 0, s->count, err);
    steps_release(s);
    return status;
}

soma_status soma__series_last(soma_tensor **out, const char *path, soma__series_encoding *encoding,
                              soma_error *err)
{
    const soma__series_options *o = &encoding->options;
    steps *s;
    *out = NULL;
    SOMA__TRY(read_file(&s, NULL, NULL, path, o, err));
    soma_status status = SOMA_OK;
    int64_t start = s->count - o->length;
    if (start < 0)
        status = soma__fail(err, SOMA_INVALID,
                            "%s: has %" PRId64 " steps, the model looks back over %" PRId64, path,
                            s->count, o->length);
    else if (s->holes[s->count] > s->holes[start])
        status = soma__fail(err, SOMA_INVALID,
                            "%s: the last %" PRId64 " steps have a gap, so nothing can be said",
                            path, o->length);
    else
        status = soma_tensor_from(out, SOMA_F32, SOMA_SHAPE(1, o->length, s->channels),
                                  s->value + start * s->channels, err);
    steps_release(s);
    return status;
}

soma_status soma__series_fold(soma_data *data, int folds, int fold, double validation, bool *done,
                              soma_error *err)
{
    const part *p = part_of(data->train);
    *done = p != NULL;
    if (!p)
        return SOMA_OK;
    steps *s = p->steps;
    soma__series_encoding *e;
    soma_data parts = {0};
    double stretch = (double)s->test / (folds + 1);
    SOMA__TRY(encoding_new(&e, &p->encoding->options, p->encoding->options.label, err));
    soma_status status = cut(&parts, s, e, true, (int64_t)(stretch * (fold + 1)),
                             (int64_t)(stretch * (fold + 2)), validation, err);
    soma__series_encoding_release(e);
    if (status == SOMA_OK) {
        soma_data_clear(data);
        *data = parts;
    } else {
        soma_data_clear(&parts);
    }
    return status;
}

void soma__series_naive(const soma_dataset *dataset, int64_t i, float *out)
{
    const part *p = part_of(dataset);
    const steps *s = p->steps;
    const soma__series_options *o = &p->encoding->options;
    int64_t next = p->start[soma__dataset_in_whole(dataset, i)] + o->length;
    for (int64_t h = 0; h < o->horizon; h++) {
        int64_t back = next + h - (h / o->season + 1) * o->season;
        out[h] = back >= 0 ? s->value[back * s->channels] : NAN;
    }
}
