/* summary.c: `soma summary`. */
#include <string.h>

#include "cli/cli.h"

/* Sizes of one sample: the batch of 1 in front is left out. */
static soma_shape sample_shape(const soma_shape *shape)
{
    soma_shape sample = {.ndim = shape->ndim > 0 ? shape->ndim - 1 : 0};
    memcpy(sample.dim, shape->dim + 1, (size_t)sample.ndim * sizeof sample.dim[0]);
    return sample;
}

static const char *task_text(const soma_model *model)
{
    switch (soma_model_get_options(model)->task) {
    case SOMA_TASK_CLASSIFY:
        return "classify";
    case SOMA_TASK_BINARY:
        return "binary";
    case SOMA_TASK_REGRESS:
        return "regress";
    }
    return "";
}

static void print_rows(const soma_layer_row *rows, int count)
{
    char shape[SOMA_SHAPE_TEXT_SIZE], parameters[32], flops[32], name[96];
    printf("%-28s %-18s %-16s %12s %12s\n", "layer", "type", "output", "parameters", "flop");
    for (int i = 0; i < count; i++) {
        const soma_layer_row *r = &rows[i];
        soma_shape output = sample_shape(&r->output);
        snprintf(name, sizeof name, "%*s%s%s", r->depth > 0 ? 2 * r->depth : 0, "", r->name,
                 r->trainable < r->parameters ? " (frozen)" : "");
        printf("%-28s %-18s %-16s %12s %12s\n", name, r->type,
               soma_shape_text(&output, shape, sizeof shape),
               soma__format_count(r->parameters, parameters, sizeof parameters),
               cli_si(r->flops, flops, sizeof flops));
    }
}

static void json_rows(const soma_layer_row *rows, int count)
{
    for (int i = 0; i < count; i++) {
        soma_shape output = sample_shape(&rows[i].output);
        cli_json json;
        cli_json_begin(&json, "layer");
        cli_json_string(&json, "name", rows[i].name);
        cli_json_string(&json, "type", rows[i].type);
        cli_json_int(&json, "depth", rows[i].depth);
        cli_json_shape(&json, "output", &output);
        cli_json_int(&json, "parameters", rows[i].parameters);
        cli_json_int(&json, "trainable", rows[i].trainable);
        cli_json_number(&json, "flops", rows[i].flops);
        cli_json_end(&json);
    }
}

/* "input u8 [28,28], "; several with their names. */
static void print_values(const char *what, const soma_model *model, int count,
                         const soma_model_input *(*get)(const soma_model *, int))
{
    char shape[SOMA_SHAPE_TEXT_SIZE];
    for (int i = 0; i < count; i++) {
        const soma_model_input *value = get(model, i);
        printf("%s%s%s%s %s %s, ", what, count > 1 ? " '" : "", count > 1 ? value->name : "",
               count > 1 ? "'" : "", soma_dtype_text(value->dtype),
               soma_shape_text(&value->shape, shape, sizeof shape));
    }
}

static void print_totals(soma_model *model, double flops)
{
    const soma_model_options *o = soma_model_get_options(model);
    int64_t all = soma_model_size(model, false), trainable = soma_model_size(model, true);
    char a[32], b[32], c[32], shape[SOMA_SHAPE_TEXT_SIZE];
    printf("\n");
    print_values("input", model, soma_model_input_count(model), soma_model_get_input);
    if (soma_model_output_count(model) > 1)
        print_values("output", model, soma_model_output_count(model), soma_model_get_output);
    printf("task %s", task_text(model));
    if (o->task == SOMA_TASK_CLASSIFY)
        printf(" (%d classes)", soma_model_class_count(model));
    if (soma_model_find(model, "input.scale"))
        printf(", inputs are scaled");
    printf("\n%s parameters (%s trainable), %s, %sflop a sample\n",
           soma__format_count(all, a, sizeof a), soma__format_count(trainable, b, sizeof b),
           soma__format_bytes((double)all * 4, c, sizeof c), cli_si(flops, shape, sizeof shape));
}

static void json_totals(soma_model *model, double flops)
{
    const soma_model_options *o = soma_model_get_options(model);
    cli_json json;
    cli_json_begin(&json, "done");
    cli_json_shape(&json, "input", &o->input);
    cli_json_string(&json, "input_dtype",
                    soma_dtype_text(o->input_dtype ? o->input_dtype : SOMA_F32));
    cli_json_string(&json, "task", task_text(model));
    cli_json_int(&json, "parameters", soma_model_size(model, false));
    cli_json_int(&json, "trainable", soma_model_size(model, true));
    cli_json_number(&json, "flops", flops);
    cli_json_end(&json);
}

int cli_run_summary(const arguments *args)
{
    cli_model m;
    soma_error err = {0};
    soma_layer_row *rows = NULL;
    int count = 0;
    soma_status status = cli_model_open(args, args->positional[0], &m, &err);
    if (status == SOMA_OK)
        status = soma_model_summary(m.model, &rows, &count, &err);
    int code = EXIT_CODE_OK;
    if (status != SOMA_OK) {
        code = cli_fail(args, status, &err);
    } else {
        double flops = 0;
        for (int i = 0; i < count; i++)
            flops += rows[i].flops;
        if (args->json) {
            json_rows(rows, count);
            json_totals(m.model, flops);
        } else {
            if (!args->quiet)
                print_rows(rows, count);
            print_totals(m.model, flops);
        }
    }
    soma_free(rows);
    cli_model_close(&m);
    return code;
}
