/* data.c: `soma data`: the data sets that are known, and what is in one. */
#include <math.h>
#include <string.h>

#include "cli/cli.h"
#include "data/dataset.h"

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

static soma_status show_one(const arguments *args, const char *what, soma_error *err)
{
    soma_data data = {0};
    if (strchr(what, ',') || soma__ends_with(what, ".csv") || soma__ends_with(what, ".csv.gz")) {
        SOMA__TRY(cli_dataset(args, what, false, &data.train, err));
        show_part(args, "all", data.train);
    } else {
        SOMA__TRY(soma_data_open(&data, what, args->data, err));
        show_part(args, "training", data.train);
        show_part(args, "validation", data.validation);
        show_part(args, "test", data.test);
    }
    soma_data_clear(&data);
    return SOMA_OK;
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
            printf("%-15s %-10s %s\n", name, found ? "found" : "not found", doc);
        }
    }
    if (!args->json && !args->quiet)
        printf("\nFiles are looked for in --data DIR, SOMA_DATA, ./data and the user's cache, and "
               "in a folder there with the data's name.\n");
}

int cli_run_data(const arguments *args)
{
    soma_error err = {0};
    soma_status status = SOMA_OK;
    if (args->positional_count)
        status = show_one(args, args->positional[0], &err);
    else
        list_sources(args);
    if (status != SOMA_OK)
        return cli_fail(args, status, &err);
    if (args->json) {
        cli_json json;
        cli_json_begin(&json, "done");
        cli_json_end(&json);
    }
    return EXIT_CODE_OK;
}
