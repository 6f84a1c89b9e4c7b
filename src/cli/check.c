/* check.c: `soma check`: mistakes in a recipe that a training would not complain of. */
#include <string.h>

#include "cli/cli.h"

static void show(const arguments *args, const soma_finding *f)
{
    if (!args->json) {
        printf("%s: %s [%s]\n    fix: %s\n", soma_severity_text(f->severity), f->message, f->id,
               f->fix);
        return;
    }
    cli_json json;
    cli_json_begin(&json, "finding");
    cli_json_string(&json, "id", f->id);
    cli_json_string(&json, "severity", soma_severity_text(f->severity));
    cli_json_string(&json, "message", f->message);
    cli_json_string(&json, "fix", f->fix);
    cli_json_end(&json);
}

static int list_checks(const arguments *args)
{
    const char *id, *doc;
    int count = 0;
    for (; soma_check_text(count, &id, &doc); count++) {
        if (!args->json) {
            printf("%-21s %s\n", id, doc);
            continue;
        }
        cli_json json;
        cli_json_begin(&json, "check");
        cli_json_string(&json, "id", id);
        cli_json_string(&json, "doc", doc);
        cli_json_end(&json);
    }
    if (args->json) {
        cli_json json;
        cli_json_begin(&json, "done");
        cli_json_int(&json, "count", count);
        cli_json_end(&json);
    }
    return EXIT_CODE_OK;
}

/* Notes are good to know; what is worse shows in the exit code. */
static int show_all(const arguments *args, const soma_findings *found)
{
    int count[3] = {0}, code = EXIT_CODE_OK;
    for (int i = 0; i < found->count; i++) {
        const soma_finding *f = &found->list[i];
        count[f->severity]++;
        if (!args->quiet || f->severity != SOMA_SEVERITY_NOTE || args->json)
            show(args, f);
    }
    if (count[SOMA_SEVERITY_WARNING])
        code = EXIT_CODE_FAILED;
    if (count[SOMA_SEVERITY_FAULT])
        code = EXIT_CODE_INPUT;
    if (args->json) {
        cli_json json;
        cli_json_begin(&json, "done");
        cli_json_int(&json, "faults", count[SOMA_SEVERITY_FAULT]);
        cli_json_int(&json, "warnings", count[SOMA_SEVERITY_WARNING]);
        cli_json_int(&json, "notes", count[SOMA_SEVERITY_NOTE]);
        cli_json_end(&json);
    } else if (!args->quiet && !found->count) {
        printf("nothing found\n");
    }
    return code;
}

int cli_run_check(const arguments *args)
{
    if (args->list)
        return list_checks(args);
    cli_model m = {0};
    soma_error err = {0};
    soma_findings found = {0};
    soma_status status = cli_context(args, &m.context, &err);
    if (status == SOMA_OK)
        status = cli_recipe(args, args->positional[0], &m.recipe, &err);
    if (status == SOMA_OK)
        status = cli_recipe_data(m.recipe, &m.data, &err);
    if (status == SOMA_OK)
        status = soma_recipe_model(m.recipe, m.context, &m.data, &m.model, &err);
    if (status == SOMA_OK)
        status = soma_check(m.model, &m.data, soma_recipe_options(m.recipe), false, &found, &err);
    int code = status == SOMA_OK ? show_all(args, &found) : cli_fail(args, status, &err);
    soma_findings_clear(&found);
    cli_model_close(&m);
    return code;
}
