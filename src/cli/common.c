/* common.c: what the commands share. */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "cli/cli.h"
#include "format/json.h"

int cli_exit_code(soma_status status)
{
    switch (status) {
    case SOMA_OK:
        return EXIT_CODE_OK;
    case SOMA_INVALID:
    case SOMA_SHAPE:
    case SOMA_DTYPE:
    case SOMA_FORMAT:
    case SOMA_NOT_FOUND:
    case SOMA_UNSUPPORTED:
        return EXIT_CODE_INPUT;
    case SOMA_IO:
        return EXIT_CODE_IO;
    case SOMA_MEMORY:
        return EXIT_CODE_MEMORY;
    case SOMA_NUMERIC:
        return EXIT_CODE_NUMERIC;
    case SOMA_CANCELLED:
        return EXIT_CODE_STOPPED;
    case SOMA_STATE:
    case SOMA_INTERNAL:
        break;
    }
    return EXIT_CODE_FAILED;
}

int cli_fail(const arguments *args, soma_status status, const soma_error *err)
{
    const char *message = err->message[0] ? err->message : soma_status_text(status);
    if (args->json) {
        cli_json json;
        cli_json_begin(&json, status == SOMA_CANCELLED ? "stopped" : "error");
        cli_json_string(&json, "message", message);
        cli_json_int(&json, "exit_code", cli_exit_code(status));
        cli_json_end(&json);
    }
    fprintf(stderr, "soma: %s\n", message);
    return cli_exit_code(status);
}

soma_status cli_context(const arguments *args, soma_context **out, soma_error *err)
{
    if (args->threads > 1024)
        return soma__fail(err, SOMA_INVALID, "--threads is at most 1024");
    soma_context_options options = {.threads = (int)args->threads, .isa = args->isa};
    return soma_context_create(out, &options, err);
}

soma_status cli_recipe(const arguments *args, const char *name, soma_recipe **out, soma_error *err)
{
    char epochs[64], batch[64];
    const char *overrides[SOMA__CLI_MAX_ARGUMENTS + 2];
    int count = 0;
    for (; count < args->set_count; count++)
        overrides[count] = args->set[count];
    if (args->epochs) {
        snprintf(epochs, sizeof epochs, "train.epochs=%lld", (long long)args->epochs);
        overrides[count++] = epochs;
    }
    if (args->batch) {
        snprintf(batch, sizeof batch, "train.batch=%lld", (long long)args->batch);
        overrides[count++] = batch;
    }
    SOMA__TRY(soma_recipe_load(out, name, overrides, count, args->data, err));
    if (args->seed_given)
        soma_recipe_set_seed(*out, (uint64_t)args->seed);
    return SOMA_OK;
}

/* NaN among the samples is a fault of the input, not of the arithmetic. */
static soma_status input_status(soma_status status)
{
    return status == SOMA_NUMERIC ? SOMA_INVALID : status;
}

soma_status cli_recipe_data(const soma_recipe *recipe, soma_data *out, soma_error *err)
{
    return input_status(soma_recipe_data(recipe, out, err));
}

soma_status cli_dataset(const arguments *args, const char *what, bool regress, soma_dataset **out,
                        soma_error *err)
{
    return input_status(soma_dataset_open(out, what, args->data, args->label, regress, err));
}

soma_status cli_encoding(soma__encoding **out, const soma_model *model, const char *file,
                         soma_error *err)
{
    const char *text = soma_model_meta(model, SOMA__TABLE_META);
    *out = NULL;
    return text ? soma__encoding_parse(out, text, file, err) : SOMA_OK;
}

soma__fit cli_picture_fit(const soma_model *model)
{
    const char *text = soma_model_meta(model, SOMA__PICTURE_META);
    return text && strcmp(text, "crop") == 0 ? SOMA__FIT_CROP : SOMA__FIT_STRETCH;
}

static bool is_model_file(const char *what)
{
    size_t n = strlen(what);
    return (n > 12 && strcmp(what + n - 12, ".safetensors") == 0) ||
           (n > 11 && strcmp(what + n - 11, ".checkpoint") == 0);
}

soma_status cli_model_open(const arguments *args, const char *what, cli_model *out, soma_error *err)
{
    *out = (cli_model){0};
    soma_status status = cli_context(args, &out->context, err);
    if (status == SOMA_OK && is_model_file(what)) {
        status = soma_model_load(&out->model, out->context, what, err);
    } else if (status == SOMA_OK) {
        status = cli_recipe(args, what, &out->recipe, err);
        if (status == SOMA_OK)
            status = cli_recipe_data(out->recipe, &out->data, err);
        if (status == SOMA_OK)
            status = soma_recipe_model(out->recipe, out->context, &out->data, &out->model, err);
    }
    if (status != SOMA_OK)
        cli_model_close(out);
    return status;
}

void cli_model_close(cli_model *m)
{
    soma_model_destroy(m->model);
    soma_data_clear(&m->data);
    soma_recipe_destroy(m->recipe);
    soma_context_destroy(m->context);
    *m = (cli_model){0};
}

/* --- JSON lines
 * ----------------------------------------------------------------------------------- */

static void key(cli_json *json, const char *name)
{
    soma__text_add(&json->text, "%s", json->first ? "" : ",");
    json->first = false;
    soma__json_string(&json->text, name);
    soma__text_add(&json->text, ":");
}

void cli_json_begin(cli_json *json, const char *event)
{
    *json = (cli_json){.first = true};
    soma__text_add(&json->text, "{");
    cli_json_string(json, "event", event);
}

void cli_json_string(cli_json *json, const char *name, const char *value)
{
    key(json, name);
    soma__json_string(&json->text, value);
}

void cli_json_number(cli_json *json, const char *name, double value)
{
    key(json, name);
    soma__json_number(&json->text, value);
}

void cli_json_int(cli_json *json, const char *name, int64_t value)
{
    key(json, name);
    soma__text_add(&json->text, "%lld", (long long)value);
}

void cli_json_bool(cli_json *json, const char *name, bool value)
{
    key(json, name);
    soma__text_add(&json->text, value ? "true" : "false");
}

void cli_json_shape(cli_json *json, const char *name, const soma_shape *shape)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    cli_json_raw(json, name, soma_shape_text(shape, text, sizeof text));
}

void cli_json_raw(cli_json *json, const char *name, const char *value)
{
    key(json, name);
    soma__text_add(&json->text, "%s", value);
}

void cli_json_end(cli_json *json)
{
    soma__text_add(&json->text, "}");
    if (!json->text.failed)
        puts(json->text.data);
    fflush(stdout);
    soma__text_free(&json->text);
}

/* --- numbers
 * -------------------------------------------------------------------------------------- */

char *cli_si(double value, char *buffer, size_t size)
{
    static const char units[] = " kMGTPE";
    int unit = 0;
    while (fabs(value) >= 1000 && units[unit + 1]) {
        value /= 1000;
        unit++;
    }
    snprintf(buffer, size, unit ? "%.3g %c" : "%.3g", value, units[unit]);
    return buffer;
}

/* The number in a file such as /sys/fs/cgroup/memory.max; -1 for "max" or no such file. */
static double number_in(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return -1;
    double value;
    int got = fscanf(file, "%lf", &value);
    fclose(file);
    return got == 1 ? value : -1;
}

double cli_available_memory(void)
{
    double available = INFINITY;
    FILE *file = fopen("/proc/meminfo", "r");
    if (file) {
        char line[256];
        double kib;
        while (fgets(line, sizeof line, file))
            if (sscanf(line, "MemAvailable: %lf kB", &kib) == 1)
                available = kib * 1024;
        fclose(file);
    }
    double limit = number_in("/sys/fs/cgroup/memory.max");
    double used = number_in("/sys/fs/cgroup/memory.current");
    if (limit >= 0 && used >= 0)
        available = fmin(available, fmax(0, limit - used));
    return available;
}
