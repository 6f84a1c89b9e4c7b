/* probe.c: `soma probe`: a fitting learning rate, one batch by heart, and the gradients' way back.
 */
#include <math.h>
#include <string.h>

#include "cli/cli.h"

typedef struct probing {
    const arguments *args;
    cli_model m;
} probing;

/* --- learning rate ------------------------------------------------------------------------------
 */

static void show_rate(const probing *p, const soma_rate_test *test)
{
    double now = test->current;
    if (p->args->json) {
        cli_json json;
        cli_json_begin(&json, "rate");
        cli_json_number(&json, "steepest", test->steepest);
        cli_json_number(&json, "lowest", test->lowest);
        cli_json_number(&json, "recipe", now);
        cli_json_int(&json, "steps", test->count);
        cli_json_end(&json);
        return;
    }
    printf("learning rate\n");
    if (isnan(test->steepest)) {
        printf("  no rate from %.3g to %.3g lowers the loss in %lld steps\n", 1e-7, 10.0,
               (long long)test->count);
    } else {
        printf("  the loss falls fastest at %.2g; a tenth of where it is lowest is %.2g\n",
               test->steepest, test->lowest);
        printf("  the recipe has %.2g%s\n", now,
               now > 10 * fmax(test->steepest, test->lowest)   ? ": far too high"
               : now < fmin(test->steepest, test->lowest) / 30 ? ": far too low"
                                                               : "");
    }
    if (p->args->plot)
        printf("  curve in %s\n", p->args->plot);
}

static soma_status probe_rate(probing *p, soma_error *err)
{
    const soma_train_options *o = soma_recipe_options(p->m.recipe);
    soma_rate_test test;
    soma_status status =
        soma_find_rate(p->m.model, p->m.data.train, o, 0, 0, p->args->steps, &test, err);
    if (status == SOMA_OK && p->args->plot)
        status = soma_rate_test_plot(&test, p->args->plot, err);
    if (status == SOMA_OK)
        show_rate(p, &test);
    soma_rate_test_clear(&test);
    return status;
}

/* --- one batch ----------------------------------------------------------------------------------
 */

static soma_status probe_batch(probing *p, soma_error *err)
{
    soma_overfit_test test;
    SOMA__TRY(soma_overfit(p->m.model, p->m.data.train, soma_recipe_options(p->m.recipe),
                           p->args->steps, &test, err));
    if (p->args->json) {
        cli_json json;
        cli_json_begin(&json, "overfit");
        cli_json_int(&json, "samples", test.samples);
        cli_json_int(&json, "steps", test.steps);
        cli_json_number(&json, "first_loss", test.first_loss);
        cli_json_number(&json, "last_loss", test.last_loss);
        cli_json_number(&json, "accuracy", test.accuracy);
        cli_json_bool(&json, "learnt", test.learnt);
        cli_json_end(&json);
        return SOMA_OK;
    }
    char percent[32];
    printf("one batch of %lld samples, %lld steps\n  loss %.4g to %.4g", (long long)test.samples,
           (long long)test.steps, test.first_loss, test.last_loss);
    if (!isnan(test.accuracy))
        printf(", accuracy %s", cli_percent(test.accuracy, percent, sizeof percent));
    printf("\n  %s\n", test.learnt
                           ? "learnt by heart: model, loss and labels fit together"
                           : "not learnt: look at the rate, the labels, the loss and dropout");
    return SOMA_OK;
}

/* --- gradients ----------------------------------------------------------------------------------
 */

static const char *const flow_names[] = {"", "vanishing", "exploding"};

static void show_flow(const probing *p, const soma_gradient_row *rows, int count)
{
    int bad = 0, width = 9;
    for (int i = 0; i < count; i++) {
        int n = (int)strlen(rows[i].name);
        width = n > width ? n : width;
        bad += rows[i].flow != SOMA_FLOW_SOUND;
    }
    if (!p->args->json)
        printf("gradients (root mean squares)\n  %-*s  %10s  %10s\n", width, "parameter", "weight",
               "gradient");
    for (int i = 0; i < count; i++) {
        const soma_gradient_row *r = &rows[i];
        if (p->args->json) {
            cli_json json;
            cli_json_begin(&json, "gradient");
            cli_json_string(&json, "parameter", r->name);
            cli_json_number(&json, "weight", r->weight);
            cli_json_number(&json, "gradient", r->gradient);
            cli_json_string(&json, "flow", r->flow ? flow_names[r->flow] : "sound");
            cli_json_end(&json);
        } else {
            printf("  %-*s  %10.3g  %10.3g  %s\n", width, r->name, r->weight, r->gradient,
                   flow_names[r->flow]);
        }
    }
    if (!p->args->json)
        printf(bad ? "  %d of the weights get gradients 1000 times off the last one's: look at the "
                     "initialiser, norms, skips or the activation\n"
                   : "  all weights get gradients of like size\n",
               bad);
}

static soma_status probe_gradients(probing *p, soma_error *err)
{
    soma_gradient_row *rows;
    int count;
    SOMA__TRY(soma_gradient_flow(p->m.model, p->m.data.train, soma_recipe_options(p->m.recipe), 0,
                                 &rows, &count, err));
    show_flow(p, rows, count);
    soma_free(rows);
    return SOMA_OK;
}

/* --- the command --------------------------------------------------------------------------------
 */

static soma_status run(probing *p, soma_error *err)
{
    const arguments *a = p->args;
    bool all = !a->rate && !a->overfit && !a->gradients;
    SOMA__TRY(cli_recipe(a, a->positional[0], &p->m.recipe, err));
    SOMA__TRY(cli_context(a, &p->m.context, err));
    SOMA__TRY(cli_recipe_data(p->m.recipe, &p->m.data, err));
    SOMA__TRY(soma_recipe_model(p->m.recipe, p->m.context, &p->m.data, &p->m.model, err));
    if (all || a->gradients)
        SOMA__TRY(probe_gradients(p, err));
    if (all || a->overfit)
        SOMA__TRY(probe_batch(p, err));
    if (all || a->rate)
        SOMA__TRY(probe_rate(p, err));
    if (a->json) {
        cli_json json;
        cli_json_begin(&json, "done");
        cli_json_string(&json, "recipe", soma_recipe_name(p->m.recipe));
        cli_json_end(&json);
    }
    return SOMA_OK;
}

int cli_run_probe(const arguments *args)
{
    probing p = {.args = args};
    soma_error err = {0};
    soma_status status = run(&p, &err);
    cli_model_close(&p.m);
    return status == SOMA_OK ? EXIT_CODE_OK : cli_fail(args, status, &err);
}
