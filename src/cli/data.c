/* data.c: `soma data`: the data sets that are known, and what is in one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/cli.h"
#include "data/check.h"
#include "data/dataset.h"
#include "data/fetch.h"
#include "data/locate.h"

/* More classes than this are counted, not listed. */
#define LISTED_CLASSES 20

/* How many samples of each class; NULL when there are no labels, or no memory. */
static int64_t *count_classes(const soma_dataset *d)
{
    int classes = soma_dataset_class_count(d);
    if (classes < 1 || soma__dataset_label(d, 0) < 0)
        return NULL;
    int64_t *counts = soma__calloc((size_t)classes, sizeof *counts);
    for (int64_t i = 0; counts && i < soma_dataset_count(d); i++)
        counts[soma__dataset_label(d, i)]++;
    return counts;
}

static void print_part(const char *name, const soma_dataset *d)
{
    char count[32], x[SOMA_SHAPE_TEXT_SIZE], y[SOMA_SHAPE_TEXT_SIZE];
    int classes = soma_dataset_class_count(d);
    if (!d)
        return;
    printf("%-10s %s samples, x %s %s, y %s %s", name,
           soma__format_count(soma_dataset_count(d), count, sizeof count),
           soma_dtype_text(soma_dataset_x_dtype(d)),
           soma_shape_text(soma_dataset_x_shape(d), x, sizeof x),
           soma_dtype_text(soma_dataset_y_dtype(d)),
           soma_shape_text(soma_dataset_y_shape(d), y, sizeof y));
    int64_t *counts = count_classes(d);
    if (classes > 0)
        printf(", %d classes%s", classes, counts && classes <= LISTED_CLASSES ? ":" : "");
    for (int k = 0; counts && classes <= LISTED_CLASSES && k < classes; k++) {
        const char *class_name = soma_dataset_class(d, k);
        if (class_name)
            printf("%s %s %lld", k ? "," : "", class_name, (long long)counts[k]);
        else
            printf("%s %d: %lld", k ? "," : "", k, (long long)counts[k]);
    }
    printf("\n");
    soma__free(counts);
}

static void json_part(const char *name, const soma_dataset *d)
{
    if (!d)
        return;
    cli_json json;
    cli_json_begin(&json, "part");
    cli_json_string(&json, "name", name);
    cli_json_int(&json, "samples", soma_dataset_count(d));
    cli_json_string(&json, "x_dtype", soma_dtype_text(soma_dataset_x_dtype(d)));
    cli_json_shape(&json, "x_shape", soma_dataset_x_shape(d));
    cli_json_string(&json, "y_dtype", soma_dtype_text(soma_dataset_y_dtype(d)));
    cli_json_shape(&json, "y_shape", soma_dataset_y_shape(d));
    cli_json_int(&json, "classes", soma_dataset_class_count(d));
    int64_t *counts = count_classes(d);
    if (counts) {
        soma__text list = {0};
        for (int k = 0; k < soma_dataset_class_count(d); k++)
            soma__text_add(&list, "%c%lld", k ? ',' : '[', (long long)counts[k]);
        soma__text_add(&list, "]");
        if (!list.failed)
            cli_json_raw(&json, "class_samples", list.data);
        soma__text_free(&list);
        soma__free(counts);
    }
    cli_json_end(&json);
}

static void show_part(const arguments *args, const char *name, const soma_dataset *d)
{
    if (args->json)
        json_part(name, d);
    else
        print_part(name, d);
}

/* --- opening whatever the user names ------------------------------------------------------------
 */

bool cli_known_source(const char *what)
{
    const char *name, *doc;
    for (int i = 0; soma_data_source(i, &name, &doc); i++)
        if (strcmp(name, what) == 0)
            return true;
    return false;
}

static bool names_recipe(const char *what)
{
    const char *name;
    if (soma__ends_with(what, ".yaml") || soma__ends_with(what, ".yml"))
        return true;
    for (int i = 0; (name = soma_recipe_builtin(i)) != NULL; i++)
        if (strcmp(name, what) == 0)
            return true;
    return false;
}

/* Numbers that are no classes are targets. */
static soma_status open_table(const arguments *args, const char *what, soma_data *out,
                              soma_error *err)
{
    soma_status status = cli_dataset(args, what, false, &out->train, err);
    if (status == SOMA_INVALID && strstr(err->message, "`task: regress`"))
        status = cli_dataset(args, what, true, &out->train, err);
    return status;
}

soma_status cli_data_open(const arguments *args, const char *what, soma_data *out, soma_error *err)
{
    *out = (soma_data){0};
    if (strchr(what, ','))
        return cli_dataset(args, what, false, &out->train, err);
    if (soma__ends_with(what, ".csv") || soma__ends_with(what, ".csv.gz"))
        return open_table(args, what, out, err);
    if (!cli_known_source(what) && names_recipe(what)) {
        soma_recipe *recipe;
        SOMA__TRY(cli_recipe(args, what, &recipe, err));
        soma_status status = cli_recipe_data(recipe, out, err);
        soma_recipe_destroy(recipe);
        return status;
    }
    if (!cli_known_source(what) && soma__is_folder(what))
        return soma__folder_open(out, what, &(soma__folder_options){0}, err);
    return soma_data_open(out, what, args->data, err);
}

/* --- show ---------------------------------------------------------------------------------------
 */

/* More columns than this are counted, not listed. */
#define LISTED_COLUMNS 40

static void show_moments(const arguments *args, const char *name, const soma__moments *m,
                         int64_t missing)
{
    if (args->json) {
        cli_json json;
        cli_json_begin(&json, "feature");
        cli_json_string(&json, "name", name);
        cli_json_number(&json, "mean", m->mean);
        cli_json_number(&json, "deviation", m->deviation);
        cli_json_number(&json, "min", m->low);
        cli_json_number(&json, "max", m->high);
        cli_json_int(&json, "missing", missing);
        cli_json_end(&json);
    } else {
        printf("  %-28s %12.6g %12.6g %12.6g %12.6g %9lld\n", name, m->mean, m->deviation, m->low,
               m->high, (long long)missing);
    }
}

/* Fields without a value in the column of this name; 0 when there is no such column. */
static int64_t missing_in(const soma_dataset *d, const char *column)
{
    const char *name;
    int64_t missing;
    bool is_label;
    for (int i = 0; soma__data_column(d, i, &name, &missing, &is_label); i++)
        if (strcmp(name, column) == 0)
            return missing;
    return 0;
}

/* A table's features by their columns; those of other data by number, or as channels. */
static void show_features(const arguments *args, const soma_dataset *d, const soma__moments *m,
                          int64_t count)
{
    const soma__encoding *e = soma__dataset_encoding(d);
    const soma_shape *shape = soma_dataset_x_shape(d);
    char name[96];
    int64_t at = 0;
    if (!args->json)
        printf("  %-28s %12s %12s %12s %12s %9s\n", "", "mean", "deviation", "min", "max",
               "missing");
    for (int k = 0; e && k < e->count; k++) {
        const soma__encoded_column *column = &e->column[k];
        bool one_hot = column->values && !column->index;
        int64_t missing = missing_in(d, column->name);
        for (int v = 0; v < (one_hot ? column->value_count : 1); v++) {
            snprintf(name, sizeof name, "%.60s%s%.24s", column->name, one_hot ? "=" : "",
                     one_hot ? column->values[v] : "");
            show_moments(args, name, &m[at++], missing);
        }
        if (column->indicator) {
            snprintf(name, sizeof name, "%.60s is missing", column->name);
            show_moments(args, name, &m[at++], 0);
        }
    }
    for (; at < count && (args->json || at < LISTED_COLUMNS); at++) {
        static const char *const colours[] = {"red", "green", "blue"};
        bool picture = shape->ndim == 3;
        snprintf(name, sizeof name, "%s %lld", picture ? "channel" : "feature", (long long)at);
        show_moments(args, picture && count == 3 ? colours[at] : name, &m[at], 0);
    }
    if (!args->json && at < count)
        printf("  … and %lld more\n", (long long)(count - at));
}

static soma_status show_one(const arguments *args, const char *what, bool all, soma_error *err)
{
    soma_data data;
    SOMA__TRY(cli_data_open(args, what, &data, err));
    bool parts = data.validation || data.test;
    show_part(args, parts ? "training" : "all", data.train);
    show_part(args, "validation", data.validation);
    show_part(args, "test", data.test);
    soma_status status = SOMA_OK;
    if (all) {
        soma__moments *m = NULL;
        int64_t count;
        status = soma__data_moments(&m, &count, data.train, args->limit, err);
        if (status == SOMA_OK)
            show_features(args, data.train, m, count);
        soma__free(m);
    }
    if (status == SOMA_OK && args->sheet)
        status = cli_data_sheet(data.train, args->sheet, err);
    if (status == SOMA_OK && args->sheet && !args->json && !args->quiet)
        printf("sheet: %s\n", args->sheet);
    soma_data_clear(&data);
    return status;
}

/* --- check --------------------------------------------------------------------------------------
 */

typedef struct watcher {
    const arguments *args;
    int64_t findings, faults;
    bool terminal;
    double last; /* when the progress was drawn */
} watcher;

static void erase(const watcher *w)
{
    if (w->terminal && w->last > 0)
        fprintf(stderr, "\r\033[K");
}

static void found(void *user, const soma__finding *finding)
{
    static const char *const severities[] = {"note", "warning", "fault"};
    watcher *w = user;
    w->findings += finding->severity != SOMA__NOTE;
    w->faults += finding->severity == SOMA__FAULT;
    erase(w);
    if (w->args->json) {
        cli_json json;
        cli_json_begin(&json, "finding");
        cli_json_string(&json, "check", soma__check_name(finding->check));
        cli_json_string(&json, "severity", severities[finding->severity]);
        cli_json_int(&json, "count", finding->count);
        cli_json_string(&json, "message", finding->message);
        cli_json_end(&json);
    } else if (!w->args->quiet || finding->severity != SOMA__NOTE) {
        printf("%-8s %-15s %s\n", severities[finding->severity], soma__check_name(finding->check),
               finding->message);
    }
}

static bool progress(void *user, int64_t done, int64_t all)
{
    watcher *w = user;
    double now = soma__seconds();
    if (w->terminal && now - w->last > 0.1) {
        fprintf(stderr, "\r%lld of %lld samples", (long long)done, (long long)all);
        w->last = now;
    }
    return true;
}

static soma_status check_one(const arguments *args, const char *what, bool *faults, soma_error *err)
{
    watcher w = {.args = args, .terminal = !args->json && !args->quiet && isatty(2)};
    const soma__check_options options = {.found = found, .progress = progress, .user = &w};
    soma_data data;
    SOMA__TRY(cli_data_open(args, what, &data, err));
    soma_status status = soma__data_check(&data, &options, err);
    erase(&w);
    soma_data_clear(&data);
    if (status == SOMA_OK && !args->json && !w.findings)
        printf("%s: nothing is wrong\n", what);
    *faults = w.faults > 0;
    return status;
}

/* --- fetch --------------------------------------------------------------------------------------
 */

typedef struct download {
    bool terminal;
    double last, started;
    int64_t first; /* bytes that were there when it began */
    const char *file;
} download;

/* train-images-idx3-ubyte.gz [########------------] 40 %  10.6 MB of 26.4 MB, 3.2 MB/s */
static bool draw_download(void *user, const char *file, int64_t done, int64_t all)
{
    enum { WIDTH = 20 };
    download *d = user;
    char have[32], whole[32], rate[32], bar[WIDTH + 1];
    double now = soma__seconds();
    if (!d->file || strcmp(d->file, file) != 0) {
        d->file = file;
        d->started = now;
        d->first = done;
    }
    if (!d->terminal || (now - d->last < 0.1 && done < all))
        return true;
    d->last = now;
    int filled = all > 0 ? (int)(done * WIDTH / all) : 0;
    for (int i = 0; i < WIDTH; i++)
        bar[i] = i < filled ? '#' : '-';
    bar[WIDTH] = 0;
    double speed = now > d->started ? (double)(done - d->first) / (now - d->started) : 0;
    fprintf(stderr, "\r\033[K%s [%s] %lld %%  %s of %s, %s/s", file, bar,
            (long long)(all > 0 ? done * 100 / all : 0),
            soma__format_bytes((double)done, have, sizeof have),
            soma__format_bytes((double)all, whole, sizeof whole),
            soma__format_bytes(speed, rate, sizeof rate));
    return true;
}

static soma_status fetch_one(const arguments *args, const char *name, soma_error *err)
{
    download d = {.terminal = !args->json && !args->quiet && isatty(2)};
    const soma__fetch_options options = {
        .folder = args->data, .url = args->url, .progress = draw_download, .user = &d};
    char *folder;
    soma_status status = soma__data_fetch(&folder, name, &options, err);
    if (d.terminal && d.last > 0)
        fprintf(stderr, "\r\033[K");
    SOMA__TRY(status);
    if (args->json) {
        cli_json json;
        cli_json_begin(&json, "fetched");
        cli_json_string(&json, "name", name);
        cli_json_string(&json, "folder", folder);
        cli_json_end(&json);
    } else {
        printf("%s: complete in %s\n", name, folder);
    }
    soma__free(folder);
    return SOMA_OK;
}

/* --- the command --------------------------------------------------------------------------------
 */

static void print_places(const arguments *args)
{
    char *cache;
    const char *environment = getenv("SOMA_DATA");
    if (soma__cache_folder(&cache, NULL) != SOMA_OK)
        cache = NULL;
    printf("\nFiles are looked for, there and in a folder of the data's name, in:\n");
    printf("  --data     %s\n", args->data ? args->data : "(not given)");
    printf("  SOMA_DATA  %s\n", environment ? environment : "(not set)");
    printf("  here       ./data\n");
    printf("  cache      %s\n", cache ? cache : "(no HOME)");
    soma__free(cache);
}

static void list_sources(const arguments *args)
{
    const char *name, *doc;
    for (int i = 0; soma_data_source(i, &name, &doc); i++) {
        soma_data data;
        soma_error why = {0};
        bool found = soma_data_open(&data, name, args->data, &why) == SOMA_OK;
        if (found)
            soma_data_clear(&data);
        if (args->json) {
            cli_json json;
            cli_json_begin(&json, "source");
            cli_json_string(&json, "name", name);
            cli_json_string(&json, "doc", doc);
            cli_json_bool(&json, "found", found);
            cli_json_string(&json, "message", why.message);
            cli_json_end(&json);
        } else {
            printf("%-18s %-10s %s\n", name, found ? "found" : "not found", doc);
        }
    }
    if (!args->json && !args->quiet)
        print_places(args);
}

/* `soma data`, `soma data NAME`, or a verb and what it is done to. */
int cli_run_data(const arguments *args)
{
    soma_error err = {0};
    soma_status status = SOMA_OK;
    const char *verb = args->positional[0], *what = args->positional[1];
    bool faults = false;
    if (args->positional_count == 0) {
        list_sources(args);
    } else if (args->positional_count == 1 && strcmp(verb, "list") == 0) {
        list_sources(args);
    } else if (args->positional_count == 1) {
        status = show_one(args, verb, false, &err);
    } else if (strcmp(verb, "show") == 0) {
        status = show_one(args, what, true, &err);
    } else if (strcmp(verb, "check") == 0) {
        status = check_one(args, what, &faults, &err);
    } else if (strcmp(verb, "fetch") == 0) {
        status = fetch_one(args, what, &err);
    } else {
        fprintf(stderr,
                "soma data: knows list, show, check and fetch, not '%s'; see soma data --help\n",
                verb);
        return EXIT_CODE_USAGE;
    }
    if (status != SOMA_OK)
        return cli_fail(args, status, &err);
    if (args->json) {
        cli_json json;
        cli_json_begin(&json, "done");
        cli_json_end(&json);
    }
    return faults ? EXIT_CODE_INPUT : EXIT_CODE_OK;
}
