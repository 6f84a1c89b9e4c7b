/* folds.c: `soma train --folds K`: cross-validation. Each fold has a model of its own, trained from
 * the recipe's seed on the other folds and tested on this one; nothing is saved. */
#include <math.h>

#include "cli/cli.h"

#define MOST_FOLDS 1000

typedef struct folding {
    const arguments *args;
    soma_context *context;
    soma_recipe *recipe;
    cli_report *reports; /* one a fold */
    int folds, done;
} folding;

static soma_status train_fold(folding *f, soma_model *model, const soma_data *data,
                              cli_report *report, soma_error *err)
{
    soma_train_options options = *soma_recipe_options(f->recipe);
    options.stop = &cli_stop_requested;
    SOMA__TRY(soma_train(model, data, &options, NULL, err));
    return cli_report_make(report, model, data->test, 0, err);
}

static soma_status run_fold(folding *f, int fold, soma_error *err)
{
    soma_data data;
    soma_model *model = NULL;
    SOMA__TRY(soma_recipe_fold(f->recipe, f->folds, fold, &data, err));
    soma_status status = soma_recipe_model(f->recipe, f->context, &data, &model, err);
    if (status == SOMA_OK)
        status = train_fold(f, model, &data, &f->reports[fold], err);
    soma_model_destroy(model);
    soma_data_clear(&data);
    return status;
}

static void show_fold(const folding *f, int fold)
{
    if (f->args->json) {
        cli_json json;
        cli_json_begin(&json, "fold");
        cli_json_int(&json, "fold", fold + 1);
        const char *key, *text;
        double value;
        for (size_t i = 0; cli_report_figure(&f->reports[fold], i, &key, &text, &value); i++)
            if (!isnan(value))
                cli_json_number(&json, key, value);
        cli_json_end(&json);
    } else if (!f->args->quiet) {
        char name[48];
        snprintf(name, sizeof name, "fold %d of %d", fold + 1, f->folds);
        cli_report_line(&f->reports[fold], name);
        fflush(stdout);
    }
}

/* Mean and standard deviation (of a sample: n - 1) over the folds that have the figure. */
static bool summarise(const folding *f, size_t figure, const char **key, const char **text,
                      double *mean, double *deviation)
{
    double sum = 0, square = 0, n = 0, value;
    for (int i = 0; i < f->folds; i++) {
        if (!cli_report_figure(&f->reports[i], figure, key, text, &value))
            return false;
        if (!isnan(value)) {
            sum += value;
            n++;
        }
    }
    *mean = n > 0 ? sum / n : NAN;
    for (int i = 0; i < f->folds; i++) {
        (void)cli_report_figure(&f->reports[i], figure, key, text, &value);
        if (!isnan(value))
            square += (value - *mean) * (value - *mean);
    }
    *deviation = n > 1 ? sqrt(square / (n - 1)) : NAN;
    return true;
}

static void show_all(const folding *f)
{
    const char *key = NULL, *text = NULL;
    double mean = NAN, deviation = NAN;
    cli_json json;
    if (f->args->json) {
        cli_json_begin(&json, "done");
        cli_json_int(&json, "folds", f->folds);
    } else {
        printf("%-28s %12s %12s  (over %d folds)\n", "", "mean", "deviation", f->folds);
    }
    for (size_t i = 0; summarise(f, i, &key, &text, &mean, &deviation); i++) {
        if (isnan(mean))
            continue;
        if (f->args->json) {
            char name[64];
            cli_json_number(&json, key, mean);
            snprintf(name, sizeof name, "%s_deviation", key);
            cli_json_number(&json, name, deviation);
        } else {
            printf("%-28s %12.6g %12.3g\n", text, mean, deviation);
        }
    }
    if (f->args->json)
        cli_json_end(&json);
}

static soma_status run(folding *f, soma_error *err)
{
    if (f->args->folds > MOST_FOLDS)
        return soma__fail(err, SOMA_INVALID, "--folds takes at most %d", MOST_FOLDS);
    f->folds = (int)f->args->folds;
    f->reports = soma__calloc((size_t)f->folds, sizeof *f->reports);
    if (!f->reports)
        return soma__fail(err, SOMA_MEMORY, "no memory for %d folds", f->folds);
    SOMA__TRY(cli_recipe(f->args, f->args->positional[0], &f->recipe, err));
    SOMA__TRY(cli_context(f->args, &f->context, err));
    cli_catch_signals();
    for (int fold = 0; fold < f->folds; fold++) {
        soma_status status = run_fold(f, fold, err);
        if (status != SOMA_OK)
            return soma__fail_within(err, status, "fold %d", fold + 1);
        show_fold(f, fold);
    }
    return SOMA_OK;
}

int cli_run_folds(const arguments *args)
{
    folding f = {.args = args};
    soma_error err = {0};
    soma_status status = run(&f, &err);
    if (status == SOMA_OK)
        show_all(&f);
    for (int i = 0; i < f.folds && f.reports; i++)
        cli_report_clear(&f.reports[i]);
    soma__free(f.reports);
    soma_recipe_destroy(f.recipe);
    soma_context_destroy(f.context);
    return status == SOMA_OK ? EXIT_CODE_OK : cli_fail(args, status, &err);
}
