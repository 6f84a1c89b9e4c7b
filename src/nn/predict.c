/* predict.c: runs a model on data. Plans and sessions of the usual batch sizes are kept. */
#include <string.h>

#include "nn/nn.h"

/* Larger batches are cut into pieces of this many samples: it bounds the memory, and one plan
 * serves all sizes but that of the last piece. */
#define PIECE 256

void soma__model_forget_sessions(soma_model *model)
{
    pthread_mutex_lock(&model->lock);
    for (int i = 0; i < SOMA__PREDICT_SESSIONS; i++) {
        soma_session_destroy(model->sessions[i].session);
        model->sessions[i] = (soma__predict_session){0};
    }
    pthread_mutex_unlock(&model->lock);
}

static soma_status make_session(soma_session **out, soma_model *model, int64_t batch,
                                soma_dtype dtype, soma_error *err)
{
    soma_graph *graph;
    soma_plan *plan = NULL;
    SOMA__TRY(soma_graph_create(&graph, err));
    soma_var x = soma_input(graph, "x", dtype, soma__shape_batched(&model->options.input, batch));
    soma_var y = soma__model_unscale_target(
        model, soma_model_apply(model, graph, x, SOMA_EVALUATE, (soma_var){0}, NULL, 0, NULL));
    soma_status status = soma_plan_create(&plan, model->context, &y, 1, NULL, 0, err);
    if (status == SOMA_OK)
        status = soma_session_create(out, plan, err);
    soma_plan_release(plan);
    soma_graph_destroy(graph);
    return status;
}

/* A session for the batch size, of those that wait or a new one. */
static soma_status take_session(soma_session **out, soma_model *model, int64_t batch,
                                soma_dtype dtype, soma_error *err)
{
    *out = NULL;
    pthread_mutex_lock(&model->lock);
    for (int i = 0; i < SOMA__PREDICT_SESSIONS && !*out; i++) {
        soma__predict_session *slot = &model->sessions[i];
        if (!slot->session || slot->batch != batch || slot->dtype != dtype)
            continue;
        *out = slot->session;
        slot->session = NULL;
    }
    pthread_mutex_unlock(&model->lock);
    return *out ? SOMA_OK : make_session(out, model, batch, dtype, err);
}

/* Keeps a session for the next call; the one that was used longest ago makes room. Slot 0 is the
 * latest. */
static void give_session(soma_model *model, soma_session *session, int64_t batch, soma_dtype dtype)
{
    const int last = SOMA__PREDICT_SESSIONS - 1;
    int hole = 0;

    pthread_mutex_lock(&model->lock);
    while (hole < last && model->sessions[hole].session)
        hole++;
    soma_session *leaving = model->sessions[hole].session;
    memmove(&model->sessions[1], &model->sessions[0], (size_t)hole * sizeof model->sessions[0]);
    model->sessions[0] = (soma__predict_session){session, batch, dtype};
    pthread_mutex_unlock(&model->lock);
    soma_session_destroy(leaving);
}

/* Samples [first, first + batch) of x into the same ones of y. */
static soma_status predict_piece(soma_model *model, const soma_tensor *x, soma_tensor *y,
                                 int64_t first, int64_t batch, soma_error *err)
{
    soma_dtype dtype = soma_tensor_dtype(x);
    soma_shape shape = soma__shape_batched(&model->options.input, batch);
    size_t samples = (size_t)soma_tensor_shape(x)->dim[0];
    const char *from =
        (const char *)soma_tensor_const_data(x) + soma_tensor_bytes(x) / samples * (size_t)first;
    soma_session *session;

    SOMA__TRY(take_session(&session, model, batch, dtype, err));
    soma_status status = soma_session_set(session, "x", dtype, &shape, from, err);
    if (status == SOMA_OK)
        status = soma_session_run(session, err);
    if (status != SOMA_OK) {
        soma_session_destroy(session);
        return status;
    }
    const soma_tensor *piece = soma_session_output(session, 0);
    memcpy((char *)soma_tensor_data(y) + soma_tensor_bytes(y) / samples * (size_t)first,
           soma_tensor_const_data(piece), soma_tensor_bytes(piece));
    give_session(model, session, batch, dtype);
    return SOMA_OK;
}

soma_status soma_model_predict(soma_model *model, const soma_tensor *x, soma_tensor **out,
                               soma_error *err)
{
    char left[SOMA_SHAPE_TEXT_SIZE], right[SOMA_SHAPE_TEXT_SIZE];
    soma_tensor *cast = NULL;

    *out = NULL;
    if (!x)
        return soma__fail(err, SOMA_INVALID, "there is no tensor to predict from");
    const soma_shape *given = soma_tensor_shape(x);
    soma_shape want = soma__shape_batched(&model->options.input, given->ndim ? given->dim[0] : 0);
    if (given->ndim == 0 || !soma_shape_equal(given, &want)) {
        bool single = soma_shape_equal(given, &model->options.input);
        return soma__fail(err, SOMA_SHAPE,
                          "the model takes a batch of samples of shape %s, got %s%s",
                          soma_shape_text(&model->options.input, left, sizeof left),
                          soma_shape_text(given, right, sizeof right),
                          single ? "; one sample needs a first dimension of 1" : "");
    }

    /* The graph itself casts bytes; other types are rare and converted here. */
    soma_dtype dtype = soma_tensor_dtype(x);
    if (dtype != SOMA_F32 && dtype != SOMA_U8) {
        SOMA__TRY(soma_tensor_cast(&cast, x, SOMA_F32, err));
        x = cast;
    }
    int64_t samples = given->dim[0];
    soma_tensor *y;
    soma_status status =
        soma_tensor_create(&y, SOMA_F32, soma__shape_batched(&model->output, samples), err);
    for (int64_t first = 0; first < samples && status == SOMA_OK; first += PIECE)
        status = predict_piece(model, x, y, first,
                               samples - first < PIECE ? samples - first : PIECE, err);
    soma_tensor_release(cast);
    if (status != SOMA_OK) {
        soma_tensor_release(y);
        return status;
    }
    *out = y;
    return SOMA_OK;
}
