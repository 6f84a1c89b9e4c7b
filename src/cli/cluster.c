/* cluster.c: `soma cluster`: k-means on what a layer of a model says of data. */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "cli/cli.h"
#include "data/dataset.h"

/* A silhouette looks at each pair of samples; beyond this many it is taken of the first ones. */
#define SILHOUETTE_SAMPLES 5000

typedef struct clustering {
    const arguments *args;
    cli_model m;
    soma_dataset *data;
    soma_tensor *features;
    int64_t count, width;
    int clusters;
    int64_t *assigned, *labels; /* labels NULL: there are none */
    float *centres;
    double inertia, silhouette, nmi, rand, purity;
} clustering;

static const float *rows(const clustering *c)
{
    return soma_tensor_const_data(c->features);
}

/* The labels of all samples, where y is labels. */
static soma_status read_labels(clustering *c, soma_error *err)
{
    const soma_dataset *d = c->data;
    if (soma_dataset_y_dtype(d) != SOMA_I64 || soma_dataset_y_shape(d)->ndim != 0)
        return SOMA_OK;
    c->labels = soma__calloc((size_t)c->count, sizeof *c->labels);
    if (!c->labels)
        return soma__fail(err, SOMA_MEMORY, "no memory for %lld labels", (long long)c->count);
    for (int64_t i = 0; i < c->count; i++)
        c->labels[i] = soma__dataset_label(d, i);
    return SOMA_OK;
}

static soma_status judge(clustering *c, soma_error *err)
{
    int64_t looked_at = c->count < SILHOUETTE_SAMPLES ? c->count : SILHOUETTE_SAMPLES;
    c->silhouette = c->nmi = c->rand = c->purity = NAN;
    if (c->clusters > 1)
        SOMA__TRY(soma_silhouette(&c->silhouette, rows(c), c->assigned, looked_at, c->width, err));
    if (!c->labels)
        return SOMA_OK;
    SOMA__TRY(soma_nmi(&c->nmi, c->assigned, c->labels, c->count, err));
    SOMA__TRY(soma_adjusted_rand(&c->rand, c->assigned, c->labels, c->count, err));
    return soma_purity(&c->purity, c->assigned, c->labels, c->count, err);
}

static soma_status write_table(const clustering *c, const char *path, soma_error *err)
{
    soma__text text = {0};
    soma__text_add(&text, c->labels ? "sample,cluster,label\n" : "sample,cluster\n");
    for (int64_t i = 0; i < c->count; i++) {
        soma__text_add(&text, "%lld,%lld", (long long)i, (long long)c->assigned[i]);
        if (c->labels)
            soma__text_add(&text, ",%lld", (long long)c->labels[i]);
        soma__text_add(&text, "\n");
    }
    soma_status status = text.failed ? soma__fail(err, SOMA_MEMORY, "no memory for the table")
                                     : soma__file_write(path, text.data, text.length, err);
    soma__text_free(&text);
    return status;
}

static soma_status run(clustering *c, soma_error *err)
{
    const arguments *a = c->args;
    SOMA__TRY(cli_context(a, &c->m.context, err));
    SOMA__TRY(soma_model_load(&c->m.model, c->m.context, a->positional[0], err));
    SOMA__TRY(cli_model_data(a, c->m.model, SOMA_TASK_CLASSIFY, &c->data, err));
    c->count = soma_dataset_count(c->data);
    SOMA__TRY(soma_features(c->m.model, c->data, a->layer, a->batch, &c->features, err));
    c->width = soma_tensor_shape(c->features)->dim[1];
    SOMA__TRY(read_labels(c, err));
    int classes = c->labels ? soma_dataset_class_count(c->data) : 0;
    int64_t clusters = a->clusters ? a->clusters : classes;
    if (clusters < 1 || clusters > 1000000)
        return soma__fail(err, SOMA_INVALID, "say how many: --clusters K");
    c->clusters = (int)clusters;
    c->assigned = soma__calloc((size_t)c->count, sizeof *c->assigned);
    c->centres = soma__calloc((size_t)c->clusters, (size_t)c->width * sizeof *c->centres);
    if (!c->assigned || !c->centres)
        return soma__fail(err, SOMA_MEMORY, "no memory for %d clusters", c->clusters);
    const soma_kmeans_options options = {.clusters = c->clusters, .seed = (uint64_t)a->seed};
    SOMA__TRY(soma_kmeans(c->centres, c->assigned, &c->inertia, rows(c), c->count, c->width,
                          &options, err));
    SOMA__TRY(judge(c, err));
    return a->out ? write_table(c, a->out, err) : SOMA_OK;
}

static const struct row {
    const char *key, *text;
    size_t offset;
} figures[] = {
    {"inertia", "inertia", offsetof(clustering, inertia)},
    {"silhouette", "silhouette", offsetof(clustering, silhouette)},
    {"nmi", "normalised mutual information with the labels", offsetof(clustering, nmi)},
    {"adjusted_rand", "adjusted Rand index with the labels", offsetof(clustering, rand)},
    {"purity", "purity", offsetof(clustering, purity)},
};

static void show(const clustering *c)
{
    cli_json json;
    if (c->args->json) {
        cli_json_begin(&json, "done");
        cli_json_int(&json, "samples", c->count);
        cli_json_int(&json, "features", c->width);
        cli_json_int(&json, "clusters", c->clusters);
    } else {
        printf("%d clusters of %lld samples by %lld features of %s\n", c->clusters,
               (long long)c->count, (long long)c->width,
               c->args->layer ? c->args->layer : "the last layer");
    }
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        double value;
        memcpy(&value, (const char *)c + figures[i].offset, sizeof value);
        if (isnan(value))
            continue;
        if (c->args->json)
            cli_json_number(&json, figures[i].key, value);
        else
            printf("  %-46s %.4g\n", figures[i].text, value);
    }
    if (c->args->json)
        cli_json_end(&json);
    else if (c->args->out)
        printf("saved %s\n", c->args->out);
}

int cli_run_cluster(const arguments *args)
{
    clustering c = {.args = args};
    soma_error err = {0};
    soma_status status = run(&c, &err);
    if (status == SOMA_OK)
        show(&c);
    soma__free(c.assigned);
    soma__free(c.labels);
    soma__free(c.centres);
    soma_tensor_release(c.features);
    soma_dataset_release(c.data);
    cli_model_close(&c.m);
    return status == SOMA_OK ? EXIT_CODE_OK : cli_fail(args, status, &err);
}
