/* features.c: what a layer says of a data set. */
#include <string.h>

#include "data/dataset.h"
#include "nn/nn.h"
#include "train/step.h"

static soma_status make_session(soma_session **out, soma_model *model, const soma_dataset *dataset,
                                const char *layer, int64_t batch, soma_error *err)
{
    soma_graph *graph;
    soma_plan *plan = NULL;
    *out = NULL;
    SOMA__TRY(soma_graph_create(&graph, err));
    soma_var x =
        soma_input(graph, "x", dataset->x_dtype, soma__shape_batched(&dataset->x_shape, batch));
    soma_var in = soma_cast(x, soma_model_get_input(model, 0)->dtype);
    soma_var y =
        layer ? soma_model_layer(model, graph, in, layer)
              : soma_model_apply(model, graph, in, SOMA_EVALUATE, (soma_var){0}, NULL, 0, NULL);
    y = soma_flatten(soma_cast(y, SOMA_F32), 1);
    soma_status status = soma_plan_create(&plan, soma_model_context(model), &y, 1, NULL, 0, err);
    if (status == SOMA_OK)
        status = soma_session_create(out, plan, err);
    soma_plan_release(plan);
    soma_graph_destroy(graph);
    return status;
}

typedef struct extraction {
    soma_model *model;
    const soma_dataset *dataset;
    const char *layer;
    soma_session *session; /* for `batch` samples */
    int64_t batch, done;
    soma_tensor *features; /* [count, width], made with the first session */
} extraction;

static soma_status open_session(extraction *e, int64_t batch, soma_error *err)
{
    if (e->session && e->batch == batch)
        return SOMA_OK;
    soma_session_destroy(e->session);
    e->batch = batch;
    SOMA__TRY(make_session(&e->session, e->model, e->dataset, e->layer, batch, err));
    if (e->features)
        return SOMA_OK;
    const soma_shape *shape = soma_tensor_shape(soma_session_output(e->session, 0));
    return soma_tensor_create(&e->features, SOMA_F32, SOMA_SHAPE(e->dataset->count, shape->dim[1]),
                              err);
}

static soma_status extract(extraction *e, soma_loader *loader, soma_error *err)
{
    SOMA__TRY(soma_loader_start(loader, 0, 0, err));
    for (;;) {
        const void *x, *y;
        int64_t count;
        SOMA__TRY(soma_loader_next(loader, &x, &y, &count, err));
        if (!count)
            return SOMA_OK;
        SOMA__TRY(open_session(e, count, err));
        soma_shape shape = soma__shape_batched(&e->dataset->x_shape, count);
        SOMA__TRY(soma_session_set(e->session, "x", e->dataset->x_dtype, &shape, x, err));
        SOMA__TRY(soma_session_run(e->session, err));
        const soma_tensor *rows = soma_session_output(e->session, 0);
        size_t bytes = soma_tensor_bytes(rows);
        memcpy((char *)soma_tensor_data(e->features) + bytes / (size_t)count * (size_t)e->done,
               soma_tensor_const_data(rows), bytes);
        e->done += count;
    }
}

soma_status soma_features(soma_model *model, const soma_dataset *dataset, const char *layer,
                          int64_t batch, soma_tensor **out, soma_error *err)
{
    *out = NULL;
    if (!model || !dataset)
        return soma__fail(err, SOMA_INVALID, "features need a model and a data set");
    if (soma_model_input_count(model) != 1 ||
        !soma_shape_equal(&dataset->x_shape, &soma_model_get_input(model, 0)->shape)) {
        char have[SOMA_SHAPE_TEXT_SIZE], want[SOMA_SHAPE_TEXT_SIZE];
        return soma__fail(
            err, SOMA_SHAPE, "samples are %s, the model takes %s",
            soma_shape_text(&dataset->x_shape, have, sizeof have),
            soma_shape_text(&soma_model_get_input(model, 0)->shape, want, sizeof want));
    }
    batch = batch > 0 ? batch : 256;
    const soma_loader_options options = {.batch = batch < dataset->count ? batch : dataset->count};
    extraction e = {.model = model, .dataset = dataset, .layer = layer};
    soma_loader *loader;
    SOMA__TRY(soma_loader_create(&loader, (soma_dataset *)(uintptr_t)dataset, &options, err));
    soma_status status = extract(&e, loader, err);
    soma_loader_destroy(loader);
    soma_session_destroy(e.session);
    if (status != SOMA_OK)
        soma_tensor_release(e.features);
    else
        *out = e.features;
    return status;
}
