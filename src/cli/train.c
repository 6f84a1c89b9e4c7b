/* train.c: `soma train`. */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/cli.h"
#include "train/train.h"

#define MODEL_FILE "model.safetensors"
#if defined(SOMA_HAVE_PNG) && SOMA_HAVE_PNG
#define CURVES_FILE "curves.png"
#else
#define CURVES_FILE "curves.svg"
#endif

/* --- stopping -----------------------------------------------------------------------------------
 */

volatile int cli_stop_requested;

/* The first signal asks to stop after this step. It also brings back the default action
 * (SA_RESETHAND), so a second one ends the program at once. */
static void on_signal(int number)
{
    (void)number;
    cli_stop_requested = 1;
}

void cli_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal,
                               .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* --- the run ------------------------------------------------------------------------------------
 */

/* All that one `soma train` has to do with. */
typedef struct job {
    const arguments *args;
    cli_model m;
    char *folder, *model_path, *curves_path;
    bool resumed;     /* the folder has a checkpoint to go on from */
    bool made_folder; /* it was not there before */
    cli_progress progress;
    soma_history history;
    cli_report report;   /* of the test part */
    soma_findings found; /* by the quick checks */
} job;

static soma_status name_paths(job *j, soma_error *err)
{
    if (j->args->out) {
        j->folder = soma__strdup(j->args->out);
        if (!j->folder)
            return soma__fail(err, SOMA_MEMORY, "no memory for a path");
    } else {
        /* The name comes from a file: it must not lead out of runs/. */
        char name[128];
        snprintf(name, sizeof name, "%s", soma_recipe_name(j->m.recipe));
        for (char *c = name; *c; c++)
            if (*c == '/' || (*c == '.' && c == name))
                *c = '_';
        SOMA__TRY(soma__path_join(&j->folder, "runs", *name ? name : "unnamed", err));
    }
    SOMA__TRY(soma__path_join(&j->model_path, j->folder, MODEL_FILE, err));
    return soma__path_join(&j->curves_path, j->folder, CURVES_FILE, err);
}

static bool folder_has(const job *j, const char *name)
{
    char *path;
    if (soma__path_join(&path, j->folder, name, NULL) != SOMA_OK)
        return false;
    bool there = soma__file_exists(path);
    soma__free(path);
    return there;
}

static const char *const run_files[] = {SOMA__CHECKPOINT_FILE, SOMA__BEST_FILE, SOMA__HISTORY_FILE,
                                        MODEL_FILE, CURVES_FILE};
#define RUN_FILES (sizeof run_files / sizeof run_files[0])

/* A folder with a training in it is not overwritten by accident. */
static soma_status check_folder(job *j, soma_error *err)
{
    bool checkpoint = folder_has(j, SOMA__CHECKPOINT_FILE);
    j->resumed = j->args->resume && checkpoint;
    if (j->args->resume || j->args->force || !(checkpoint || folder_has(j, MODEL_FILE)))
        return SOMA_OK;
    return soma__fail(
        err, SOMA_STATE,
        "'%s' holds a training already: --resume goes on with it, --force starts anew "
        "in its place, --out DIR takes another folder",
        j->folder);
}

static soma_status remove_file(const job *j, const char *name, soma_error *err)
{
    char *path;
    SOMA__TRY(soma__path_join(&path, j->folder, name, err));
    soma_status status = SOMA_OK;
    if (unlink(path) != 0 && errno != ENOENT)
        status = soma__fail(err, SOMA_IO, "cannot remove '%s': %s", path, strerror(errno));
    soma__free(path);
    return status;
}

/* "last.checkpoint.tmp-4711-0" of a process that is no more. */
static bool is_orphan(const char *name)
{
    for (size_t i = 0; i < RUN_FILES; i++) {
        size_t n = strlen(run_files[i]);
        long process;
        unsigned number;
        if (strncmp(name, run_files[i], n) == 0 &&
            sscanf(name + n, ".tmp-%ld-%u", &process, &number) == 2)
            return process > 0 && kill((pid_t)process, 0) != 0 && errno == ESRCH;
    }
    return false;
}

/* A run that was killed while it wrote leaves half a file beside the good one. */
static soma_status remove_orphans(const job *j, soma_error *err)
{
    DIR *folder = opendir(j->folder);
    soma_status status = SOMA_OK;
    if (!folder)
        return soma__fail(err, SOMA_IO, "cannot read folder '%s': %s", j->folder, strerror(errno));
    for (struct dirent *entry; status == SOMA_OK && (entry = readdir(folder)) != NULL;)
        if (is_orphan(entry->d_name))
            status = remove_file(j, entry->d_name, err);
    closedir(folder);
    return status;
}

/* Makes the folder and sees to it that it can be written to before hours go into a training. */
static soma_status make_folder(job *j, soma_error *err)
{
    j->made_folder = access(j->folder, F_OK) != 0;
    SOMA__TRY(soma__make_folder(j->folder, err));
    if (access(j->folder, W_OK | X_OK) != 0)
        return soma__fail(err, SOMA_IO, "cannot write to folder '%s': %s", j->folder,
                          strerror(errno));
    SOMA__TRY(remove_orphans(j, err));
    /* An old checkpoint left behind by --force would be taken for the new run's by --resume. */
    for (size_t i = 0; j->args->force && i < RUN_FILES; i++)
        SOMA__TRY(remove_file(j, run_files[i], err));
    return SOMA_OK;
}

/* --- what is shown while it runs ----------------------------------------------------------------
 */

static int64_t samples(const soma_dataset *dataset)
{
    return dataset ? soma_dataset_count(dataset) : 0;
}

static int64_t batch_of(const job *j)
{
    const soma_train_options *o = soma_recipe_options(j->m.recipe);
    return o->batch == SOMA_BATCH_ALL ? samples(j->m.data.train) : o->batch ? o->batch : 32;
}

static void show_start(const job *j, const soma_train_options *o)
{
    const soma_data *d = &j->m.data;
    const soma_recipe *recipe = j->m.recipe;
    const char *about = soma_recipe_description(recipe);
    char a[32], b[32], c[32], shape[SOMA_SHAPE_TEXT_SIZE];
    printf("%s%s%s\n", soma_recipe_name(recipe), *about ? ": " : "", about);
    printf("data   %s training, %s validation, %s test samples, %s %s\n",
           soma__format_count(samples(d->train), a, sizeof a),
           soma__format_count(samples(d->validation), b, sizeof b),
           soma__format_count(samples(d->test), c, sizeof c),
           soma_dtype_text(soma_dataset_x_dtype(d->train)),
           soma_shape_text(soma_dataset_x_shape(d->train), shape, sizeof shape));
    printf("model  %s parameters\n",
           soma__format_count(soma_model_size(j->m.model, false), a, sizeof a));
    printf("run    %lld %s, batch %lld, %d thread%s, %s, seed %llu; %s %s\n",
           (long long)(o->steps    ? o->steps
                       : o->epochs ? o->epochs
                                   : 10),
           o->steps ? "steps" : "epochs", (long long)batch_of(j),
           soma_context_threads(j->m.context), soma_context_threads(j->m.context) == 1 ? "" : "s",
           soma_context_isa(j->m.context), (unsigned long long)o->seed,
           j->resumed ? "goes on in" : "into", j->folder);
    fflush(stdout);
}

static void json_start(const job *j, const soma_event *e, const soma_train_options *o)
{
    const soma_data *d = &j->m.data;
    cli_json json;
    cli_json_begin(&json, "start");
    cli_json_string(&json, "recipe", soma_recipe_name(j->m.recipe));
    cli_json_string(&json, "folder", j->folder);
    cli_json_bool(&json, "resumed", j->resumed);
    cli_json_int(&json, "train_samples", samples(d->train));
    cli_json_int(&json, "validation_samples", samples(d->validation));
    cli_json_int(&json, "test_samples", samples(d->test));
    cli_json_shape(&json, "input", soma_dataset_x_shape(d->train));
    cli_json_int(&json, "parameters", soma_model_size(j->m.model, false));
    cli_json_int(&json, "epochs", e->epochs);
    cli_json_int(&json, "steps_per_epoch", e->steps_per_epoch);
    cli_json_int(&json, "steps_done", e->total_steps);
    cli_json_int(&json, "batch", batch_of(j));
    cli_json_number(&json, "seed", (double)o->seed);
    cli_json_int(&json, "threads", soma_context_threads(j->m.context));
    cli_json_string(&json, "isa", soma_context_isa(j->m.context));
    cli_json_end(&json);
}

static void show_epoch(const soma_event *e)
{
    char percent[32], time[32];
    int width = snprintf(NULL, 0, "%lld", (long long)e->epochs);
    printf("epoch %*lld/%lld  loss %.4f", width, (long long)e->epoch, (long long)e->epochs,
           e->train.loss);
    if (isfinite(e->train.accuracy))
        printf("  accuracy %s", cli_percent(e->train.accuracy, percent, sizeof percent));
    if (e->validation.samples) {
        printf("  validation loss %.4f", e->validation.loss);
        if (isfinite(e->validation.accuracy))
            printf(" accuracy %s", cli_percent(e->validation.accuracy, percent, sizeof percent));
    }
    printf("  %s%s\n", soma__format_duration(e->seconds, time, sizeof time),
           e->best ? "  best" : "");
    fflush(stdout);
}

static void json_epoch(const soma_event *e)
{
    cli_json json;
    cli_json_begin(&json, "epoch");
    cli_json_int(&json, "epoch", e->epoch);
    cli_json_number(&json, "loss", e->train.loss);
    cli_json_number(&json, "accuracy", e->train.accuracy);
    if (e->validation.samples) {
        cli_json_number(&json, "validation_loss", e->validation.loss);
        cli_json_number(&json, "validation_accuracy", e->validation.accuracy);
    }
    cli_json_number(&json, "rate", e->rate);
    cli_json_number(&json, "seconds", e->seconds);
    cli_json_bool(&json, "best", e->best);
    cli_json_end(&json);
}

static void show_warning(job *j, const char *message)
{
    cli_progress_clear(&j->progress);
    if (j->args->json) {
        cli_json json;
        cli_json_begin(&json, "warning");
        cli_json_string(&json, "message", message);
        cli_json_end(&json);
    }
    fprintf(stderr, "soma: warning: %s\n", message);
}

/* What a recipe may have wrong, as far as it is seen in milliseconds. Faults are left to
 * soma_train, which fails with them, and equal weights too, of which it warns itself. */
static void show_findings(job *j)
{
    for (int i = 0; i < j->found.count; i++) {
        const soma_finding *f = &j->found.list[i];
        char text[1024];
        if (f->severity != SOMA_SEVERITY_WARNING || strcmp(f->id, "constant-weights") == 0)
            continue;
        snprintf(text, sizeof text, "%.600s; %.300s [%.30s]", f->message, f->fix, f->id);
        show_warning(j, text);
    }
}

static bool on_event(void *user, const soma_event *e)
{
    job *j = user;
    const arguments *args = j->args;
    switch (e->kind) {
    case SOMA_EVENT_START:
        if (args->json)
            json_start(j, e, soma_recipe_options(j->m.recipe));
        show_findings(j);
        break;
    case SOMA_EVENT_STEP:
        if (!args->json && !args->quiet)
            cli_progress_step(&j->progress, e);
        break;
    case SOMA_EVENT_EPOCH:
        cli_progress_clear(&j->progress);
        if (args->json)
            json_epoch(e);
        else if (!args->quiet)
            show_epoch(e);
        break;
    case SOMA_EVENT_WARNING:
        show_warning(j, e->message);
        break;
    case SOMA_EVENT_DONE:
        break;
    }
    return true;
}

/* --- the end ------------------------------------------------------------------------------------
 */

static void show_done(const job *j)
{
    char time[32];
    const soma_history *h = &j->history;
    if (!j->args->quiet) {
        printf("%s after %lld epochs in %s", h->stopped_early ? "stopped early" : "done",
               (long long)h->count, soma__format_duration(h->seconds, time, sizeof time));
        const soma_train_options *o = soma_recipe_options(j->m.recipe);
        if (h->best >= 0 && !o->keep_last)
            printf("; kept epoch %lld, the best %s%s", (long long)h->epochs[h->best].epoch,
                   o->monitor ? "by " : "in validation", o->monitor ? o->monitor : "");
        printf("\n");
    }
    if (j->report.scores.metrics.samples) {
        cli_report_line(&j->report, "test");
        if (!j->args->quiet)
            cli_report_confusion(&j->report, j->m.model);
    }
    if (!j->args->quiet)
        printf("saved %s and %s\n", j->model_path, j->curves_path);
}

static void json_done(const job *j)
{
    const soma_history *h = &j->history;
    cli_json json;
    cli_json_begin(&json, "done");
    cli_json_int(&json, "epochs", h->count);
    cli_json_int(&json, "steps", h->steps);
    cli_json_number(&json, "seconds", h->seconds);
    cli_json_bool(&json, "stopped_early", h->stopped_early);
    if (h->best >= 0)
        cli_json_int(&json, "best_epoch", h->epochs[h->best].epoch);
    if (j->report.scores.metrics.samples)
        cli_report_json(&j->report, j->m.model, "test_", &json);
    cli_json_string(&json, "model", j->model_path);
    cli_json_string(&json, "curves", j->curves_path);
    cli_json_end(&json);
}

static soma_status train(job *j, soma_error *err)
{
    soma_train_options options = *soma_recipe_options(j->m.recipe);
    SOMA__TRY(make_folder(j, err));
    if (!j->args->json && !j->args->quiet)
        show_start(j, &options);
    if (!j->args->no_check && !j->resumed)
        SOMA__TRY(soma_check(j->m.model, &j->m.data, &options, true, &j->found, err));
    options.folder = j->folder;
    options.resume = j->args->resume;
    options.callback = on_event;
    options.user = j;
    options.stop = &cli_stop_requested;
    cli_progress_open(&j->progress, stdout);
    cli_catch_signals();
    soma_status status = soma_train(j->m.model, &j->m.data, &options, &j->history, err);
    cli_progress_clear(&j->progress);
    SOMA__TRY(status);
    /* The test part is looked at once, after every choice has been made. */
    if (j->m.data.test)
        SOMA__TRY(cli_report_make(&j->report, j->m.model, j->m.data.test, 0, err));
    SOMA__TRY(soma_model_save(j->m.model, j->model_path, err));
    return soma_history_plot(&j->history, j->curves_path, err);
}

/* --- dry run ------------------------------------------------------------------------------------
 */

/* Memory that is not there is refused from now on, instead of the kernel's ending the program (or
 * another one) when it is touched. */
static void limit_memory(double available)
{
    struct rlimit limit;
    FILE *file = fopen("/proc/self/statm", "r");
    long pages = 0;
    if (file) {
        if (fscanf(file, "%*d %*d %*d %*d %*d %ld", &pages) != 1)
            pages = 0;
        fclose(file);
    }
    double most = available + (double)pages * (double)sysconf(_SC_PAGESIZE);
    if (pages > 0 && most < 1e18 && getrlimit(RLIMIT_DATA, &limit) == 0 &&
        (limit.rlim_max == RLIM_INFINITY || most < (double)limit.rlim_max)) {
        limit.rlim_cur = (rlim_t)most;
        (void)setrlimit(RLIMIT_DATA, &limit);
    }
}

static void print_cost(const job *j, const soma_train_cost *cost, double available)
{
    int64_t n = samples(j->m.data.train), batch = batch_of(j);
    int64_t whole_steps = batch > 0 ? (n + batch - 1) / batch : 0;
    double steps = (double)whole_steps;
    bool fits = (double)cost->bytes <= available;
    char a[32], b[32];
    if (j->args->json) {
        cli_json json;
        cli_json_begin(&json, "done");
        cli_json_int(&json, "parameters", cost->parameters);
        cli_json_int(&json, "trainable", cost->trainable);
        cli_json_int(&json, "steps_per_epoch", (int64_t)steps);
        cli_json_number(&json, "step_flops", cost->step_flops);
        cli_json_number(&json, "epoch_flops", cost->step_flops * (double)n / (double)batch);
        cli_json_number(&json, "step_bytes", cost->step_bytes);
        cli_json_number(&json, "memory", (double)cost->bytes);
        cli_json_number(&json, "available", available);
        cli_json_bool(&json, "fits", fits);
        cli_json_end(&json);
        return;
    }
    printf("parameters   %s", soma__format_count(cost->parameters, a, sizeof a));
    if (cost->trainable != cost->parameters)
        printf(" (%s trainable)", soma__format_count(cost->trainable, b, sizeof b));
    printf("\nstep         %sflop, %s read and written, batch %lld\n",
           cli_si(cost->step_flops, a, sizeof a), soma__format_bytes(cost->step_bytes, b, sizeof b),
           (long long)batch);
    printf("epoch        %.0f steps, %sflop\n", steps,
           cli_si(cost->step_flops * (double)n / (double)batch, a, sizeof a));
    printf("memory       %s of %s available\n",
           soma__format_bytes((double)cost->bytes, a, sizeof a),
           soma__format_bytes(available, b, sizeof b));
}

static soma_status does_not_fit(double available, soma_error *err)
{
    char text[32], why[SOMA_ERROR_MESSAGE_SIZE];
    snprintf(why, sizeof why, "%s", err->message);
    *err = (soma_error){0};
    return soma__fail(
        err, SOMA_MEMORY,
        "the training does not fit into memory: %s are available%s%.300s%s; a smaller "
        "batch or model needs less",
        soma__format_bytes(available, text, sizeof text), *why ? " (" : "", why, *why ? ")" : "");
}

static soma_status open_model(job *j, soma_error *err)
{
    SOMA__TRY(cli_context(j->args, &j->m.context, err));
    SOMA__TRY(cli_recipe_data(j->m.recipe, &j->m.data, err));
    return soma_recipe_model(j->m.recipe, j->m.context, &j->m.data, &j->m.model, err);
}

static int dry_run(job *j, soma_error *err)
{
    soma_train_cost cost;
    double available = cli_available_memory();
    limit_memory(available);
    soma_status status = cli_recipe(j->args, j->args->positional[0], &j->m.recipe, err);
    if (status == SOMA_OK)
        status = open_model(j, err);
    if (status == SOMA_OK)
        status = soma_train_estimate(j->m.model, &j->m.data, soma_recipe_options(j->m.recipe),
                                     &cost, err);
    if (status == SOMA_OK) {
        print_cost(j, &cost, available);
        if ((double)cost.bytes > available)
            status = does_not_fit(available, err);
    } else if (status == SOMA_MEMORY) {
        status = does_not_fit(available, err);
    }
    return status == SOMA_OK ? EXIT_CODE_OK : cli_fail(j->args, status, err);
}

/* --- the list of recipes ------------------------------------------------------------------------
 */

static int list_recipes(const arguments *args)
{
    soma_error err = {0};
    int count = 0;
    for (const char *name; (name = soma_recipe_builtin(count)) != NULL; count++) {
        soma_recipe *recipe;
        soma_status status = soma_recipe_load(&recipe, name, NULL, 0, NULL, &err);
        if (status != SOMA_OK)
            return cli_fail(args, status, &err);
        if (args->json) {
            cli_json json;
            cli_json_begin(&json, "recipe");
            cli_json_string(&json, "name", name);
            cli_json_string(&json, "description", soma_recipe_description(recipe));
            cli_json_end(&json);
        } else {
            printf("%-30s %s\n", name, soma_recipe_description(recipe));
        }
        soma_recipe_destroy(recipe);
    }
    if (args->json) {
        cli_json json;
        cli_json_begin(&json, "done");
        cli_json_int(&json, "count", count);
        cli_json_end(&json);
    }
    return EXIT_CODE_OK;
}

/* --- the command --------------------------------------------------------------------------------
 */

static void close_job(job *j)
{
    cli_report_clear(&j->report);
    soma_history_clear(&j->history);
    soma_findings_clear(&j->found);
    cli_model_close(&j->m);
    soma__free(j->folder);
    soma__free(j->model_path);
    soma__free(j->curves_path);
}

/* The recipe alone is read first: that the folder is taken is told before data is loaded. */
static soma_status open_job(job *j, soma_error *err)
{
    const char *what = j->args->positional[0];
    SOMA__TRY(cli_recipe(j->args, what, &j->m.recipe, err));
    SOMA__TRY(name_paths(j, err));
    SOMA__TRY(check_folder(j, err));
    return open_model(j, err);
}

int cli_run_train(const arguments *args)
{
    if (args->list)
        return list_recipes(args);
    if (args->resume && args->force) {
        fprintf(stderr, "soma train: --resume and --force contradict each other\n");
        return EXIT_CODE_USAGE;
    }
    if (args->folds)
        return cli_run_folds(args);
    job j = {.args = args, .history = {.best = -1}};
    soma_error err = {0};
    int code;
    if (args->dry_run) {
        code = dry_run(&j, &err);
    } else {
        soma_status status = open_job(&j, &err);
        if (status == SOMA_OK)
            status = train(&j, &err);
        if (status == SOMA_OK && args->json)
            json_done(&j);
        else if (status == SOMA_OK)
            show_done(&j);
        code = status == SOMA_OK ? EXIT_CODE_OK : cli_fail(args, status, &err);
        /* rmdir only takes empty folders: one that a training has written to stays. */
        if (status != SOMA_OK && j.made_folder)
            (void)rmdir(j.folder);
    }
    close_job(&j);
    return code;
}
