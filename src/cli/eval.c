/* eval.c: `soma eval`. */
#include <string.h>

#include "cli/cli.h"

/* The same number of classes in another order, or other classes, would give a wrong figure in
 * silence. Numbers as names are what models have that were never told names. */
static soma_status classes_agree(const soma_model *model, const soma_dataset *dataset,
                                 soma_error *err)
{
    int count = soma_dataset_class_count(dataset);
    if (soma_model_get_options(model)->task != SOMA_TASK_CLASSIFY ||
        count != soma_model_class_count(model))
        return SOMA_OK;
    for (int i = 0; i < count; i++) {
        const char *in_data = soma_dataset_class(dataset, i),
                   *in_model = soma_model_class(model, i);
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        if (in_data && strcmp(in_data, in_model) != 0 && strcmp(in_model, number) != 0)
            return soma__fail(err, SOMA_INVALID,
                              "class %d is '%s' in the data, but '%s' in the model: this data "
                              "labels something else",
                              i, in_data, in_model);
    }
    return SOMA_OK;
}

static soma_status evaluate(const arguments *args, cli_model *m, cli_report *report,
                            soma_error *err)
{
    SOMA__TRY(cli_context(args, &m->context, err));
    SOMA__TRY(soma_model_load(&m->model, m->context, args->positional[0], err));
    bool regress = soma_model_get_options(m->model)->task != SOMA_TASK_CLASSIFY;
    SOMA__TRY(cli_dataset(args, args->positional[1], regress, &m->data.test, err));
    SOMA__TRY(classes_agree(m->model, m->data.test, err));
    return cli_report_make(report, m->model, m->data.test, args->batch, err);
}

int cli_run_eval(const arguments *args)
{
    cli_model m = {0};
    cli_report report = {0};
    soma_error err = {0};
    soma_status status = evaluate(args, &m, &report, &err);
    int code = EXIT_CODE_OK;
    if (status != SOMA_OK) {
        code = cli_fail(args, status, &err);
    } else if (args->json) {
        cli_json json;
        cli_json_begin(&json, "done");
        cli_report_json(&report, m.model, "", &json);
        cli_json_end(&json);
    } else {
        cli_report_line(&report, args->positional[1]);
        if (!args->quiet) {
            cli_report_confusion(&report, m.model);
            cli_report_classes(&report, m.model);
        }
    }
    cli_report_clear(&report);
    cli_model_close(&m);
    return code;
}
