/* cli.h: the grammar of the `soma` program. One table of options, one of commands; parsing, help,
 * shell completion and the man page are made from them. A command's logic is the library's. */
#ifndef SOMA__CLI_H
#define SOMA__CLI_H

#include <stdio.h>

#include "base/base.h"
#include "data/folder.h"
#include "data/table.h"
#include "soma/soma.h"

#define SOMA__CLI_MAX_ARGUMENTS 256

/* What the program ends with. */
enum exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_FAILED = 1,    /* anything else */
    EXIT_CODE_USAGE = 2,     /* the command line is wrong */
    EXIT_CODE_INPUT = 3,     /* a file, recipe, shape or label is wrong */
    EXIT_CODE_IO = 4,        /* reading or writing failed: missing, not allowed, disk full */
    EXIT_CODE_MEMORY = 5,    /* too little memory, or --dry-run says so */
    EXIT_CODE_NUMERIC = 6,   /* the loss became NaN or Inf */
    EXIT_CODE_STOPPED = 130, /* SIGINT or SIGTERM: saved and ended */
};
int cli_exit_code(soma_status status);

/* The values of all options; a command looks at those that it lists. */
typedef struct arguments {
    const char *positional[SOMA__CLI_MAX_ARGUMENTS];
    int positional_count;
    const char *set[SOMA__CLI_MAX_ARGUMENTS];
    int set_count;
    bool help, json, rate, overfit, gradients, quiet, dry_run, no_check, resume, list, layers,
        transforms, train, invert, force, lowercase, nfc;
    bool optimizers, schedules, losses;
    const char *data, *out, *isa, *label, *sheet, *url, *dot, *plot, *layer, *kind, *by, *trace;
    int64_t threads, folds, steps, clusters, seed, epochs, batch, runs, top, limit, size, min_count;
    const char *prompt;
    int64_t tokens, top_k, beam;
    double temperature, top_p, min_p, repetition_penalty, length_penalty;
    bool seed_given, temperature_given;
} arguments;

typedef enum option_kind {
    OPTION_FLAG,
    OPTION_TEXT,
    OPTION_NUMBER,
    OPTION_REAL,
    OPTION_LIST
} option_kind;

typedef struct option {
    const char *name; /* "threads" for --threads */
    char letter;      /* 0: none */
    option_kind kind;
    const char *argument; /* "N"; NULL for flags */
    size_t offset;        /* in struct arguments */
    int64_t min;          /* numbers and reals */
    const char *doc;
} option;

typedef struct command {
    const char *name;
    const char *usage;    /* "RECIPE [options]" */
    const char *summary;  /* one line */
    const char *details;  /* a paragraph */
    const char *examples; /* lines "command\tmeaning\n" */
    const char *options; /* names of its options, separated by blanks; the common ones not listed */
    int min_positional, max_positional;
    int (*run)(const arguments *args);
} command;

extern const command cli_commands[];
extern const int cli_command_count;

/* args.c */
const option *cli_option(const char *name); /* NULL: unknown */
extern const char cli_common_options[];     /* blank-separated, as command.options */
/* Calls fn for each name in a blank-separated list. */
void cli_each(const char *names, void (*fn)(const option *option, void *user), void *user);
/* False after printing what is wrong. */
bool cli_parse(const command *command, int argc, char **argv, arguments *args);

/* help.c */
void cli_help(FILE *out);
void cli_help_command(FILE *out, const command *command);
int cli_run_completion(const arguments *args);
int cli_run_man(const arguments *args);

/* The commands, one file each. */
int cli_run_train(const arguments *args);
/* Set by SIGINT and SIGTERM once they are caught; a second one ends the program at once. */
extern volatile int cli_stop_requested;
void cli_catch_signals(void);
/* folds.c: `soma train --folds K`. */
int cli_run_folds(const arguments *args);
int cli_run_probe(const arguments *args);
int cli_run_cluster(const arguments *args);
int cli_run_check(const arguments *args);
int cli_run_eval(const arguments *args);
int cli_run_predict(const arguments *args);
int cli_run_summary(const arguments *args);
int cli_run_profile(const arguments *args);
int cli_run_ops(const arguments *args);
int cli_run_data(const arguments *args);
int cli_run_tokenize(const arguments *args);
int cli_run_generate(const arguments *args);
int cli_run_bench(const arguments *args);
/* bench_transforms.c: adds the number of lines printed to *lines. */
soma_status cli_bench_transforms(const arguments *args, int *lines, soma_error *err);

/* common.c */
/* Prints "soma: message" (or an error object with --json) and returns the exit code. */
int cli_fail(const arguments *args, soma_status status, const soma_error *err);
/* A context with --threads and --isa. */
soma_status cli_context(const arguments *args, soma_context **out, soma_error *err);
/* A recipe with --set, --seed, --epochs, --batch applied. */
soma_status cli_recipe(const arguments *args, const char *name, soma_recipe **out, soma_error *err);
/* Its data; and data as `soma eval` is given it. Bad values are SOMA_INVALID here. */
soma_status cli_recipe_data(const soma_recipe *recipe, soma_data *out, soma_error *err);
soma_status cli_dataset(const arguments *args, const char *what, bool regress, soma_dataset **out,
                        soma_error *err);
/* The name of a data set (data.c); a folder that is called like one is meant by ./NAME. */
bool cli_known_source(const char *what);
/* Data as positional[1] names it (eval.c), read as what the model positional[0] learned from, for a
 * task that may be another than the model's. */
soma_status cli_model_data(const arguments *args, const soma_model *model, soma_task task,
                           soma_dataset **out, soma_error *err);
/* How the model `file` reads tables; *out is NULL where it says nothing, else released with
 * soma__encoding_release. */
soma_status cli_encoding(soma__encoding **out, const soma_model *model, const char *file,
                         soma_error *err);
/* data.c: whatever `soma data` is given: a set's name, a table, a folder, IDX files, a recipe. */
soma_status cli_data_open(const arguments *args, const char *what, soma_data *out, soma_error *err);
/* data_sheet.c: sample pictures with their classes as one PNG. */
soma_status cli_data_sheet(const soma_dataset *dataset, const char *path, soma_error *err);
/* How the model brings pictures to its size: as in training, else stretched. */
soma__fit cli_picture_fit(const soma_model *model);
/* A model from a model file, or a fresh one from a recipe; then *recipe (destroy it) and *data
 * (clear it) are filled, else empty. */
typedef struct cli_model {
    soma_context *context;
    soma_recipe *recipe;
    soma_data data;
    soma_model *model;
} cli_model;
soma_status cli_model_open(const arguments *args, const char *what, cli_model *out,
                           soma_error *err);
void cli_model_close(cli_model *m);
/* One JSON object a line: cli_json_begin("epoch"), add members, end. Numbers that are not finite
 * are null. */
typedef struct cli_json {
    soma__text text;
    bool first;
} cli_json;
void cli_json_begin(cli_json *json, const char *event);
void cli_json_string(cli_json *json, const char *key, const char *value);
void cli_json_number(cli_json *json, const char *key, double value);
void cli_json_int(cli_json *json, const char *key, int64_t value);
void cli_json_bool(cli_json *json, const char *key, bool value);
void cli_json_shape(cli_json *json, const char *key, const soma_shape *shape);
/* Any text that is JSON already. */
void cli_json_raw(cli_json *json, const char *key, const char *value);
void cli_json_end(cli_json *json); /* prints and frees */

/* --- progress.c: one line that is drawn over and over on a terminal ------------------------------
 */
typedef struct cli_progress {
    FILE *out;
    bool on;            /* a terminal that can go back to the start of its line */
    bool utf8;          /* it shows block characters */
    bool drawn;         /* the line is on the screen now */
    double last;        /* when it was drawn */
    double started;     /* when the first step of this process began */
    int64_t first_step; /* steps done before this process (resumed) */
} cli_progress;
void cli_progress_open(cli_progress *progress, FILE *out);
/* At most ten times a second. */
void cli_progress_step(cli_progress *progress, const soma_event *event);
/* Takes the line off the screen, before anything else is printed. */
void cli_progress_clear(cli_progress *progress);

/* --- report.c: how results are shown ------------------------------------------------------------
 */
typedef struct cli_report {
    soma_scores scores;
    int classes;        /* 0: no confusion matrix (regression) */
    int64_t *confusion; /* [truth][predicted] */
    bool translated;    /* the model translates: bleu counts */
    double bleu;
} cli_report;
/* Evaluates `dataset` into *out; cli_report_clear releases. */
soma_status cli_report_make(cli_report *out, soma_model *model, const soma_dataset *dataset,
                            int64_t batch, soma_error *err);
void cli_report_clear(cli_report *report);
/* "test: accuracy 98.33 % (354 of 360), loss 0.0653" */
void cli_report_line(const cli_report *report, const char *part);
void cli_report_confusion(const cli_report *report, const soma_model *model);
/* Precision, recall and F1 of each class, and what sums all of them up. */
void cli_report_classes(const cli_report *report, const soma_model *model);
/* Adds loss, accuracy, samples, confusion and the classes to a JSON line; keys get `prefix`. */
/* Figure `index` of a report, its key and its name: loss, accuracy and all that soma_scores has.
 * NaN where the task has no such figure; false after the last. */
bool cli_report_figure(const cli_report *report, size_t index, const char **key, const char **text,
                       double *value);
void cli_report_json(const cli_report *report, const soma_model *model, const char *prefix,
                     cli_json *json);
/* An accuracy or share for people: "98.33 %"; "-" for NaN. */
char *cli_percent(double share, char *buffer, size_t size);

/* --- synthetic.c: data and training steps out of nothing, to measure with
 * -------------------------- */
/* `count` samples that `model` takes, random inputs and labels. */
soma_status cli_synthetic(soma_dataset **out, soma_model *model, int64_t count, soma_error *err);
/* A training step of one batch of such data, fed and ready to run. */
typedef struct cli_step {
    soma_dataset *dataset;
    soma_optimizer *optimizer;
    struct soma__step *step;
    void *x, *y;
    float *hyper;
    int64_t key[2];
} cli_step;
soma_status cli_step_make(cli_step *out, soma_model *model, int64_t batch,
                          const soma_optimizer_options *options, soma_error *err);
void cli_step_clear(cli_step *step);

/* 1.23e+09 -> "1.23 G"; into `buffer`, which is returned. */
char *cli_si(double value, char *buffer, size_t size);
/* Bytes that this process may still take: of the machine, or of its cgroup. */
double cli_available_memory(void);

#endif
