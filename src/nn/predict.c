/* predict.c: runs a model on data. Plans and sessions of the usual batch sizes are kept. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
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
        soma_plan_release(model->plans[i].plan);
        model->plans[i] = (soma__predict_plan){0};
    }
    pthread_mutex_unlock(&model->lock);
}

/* Name of input `index` in the sessions' graphs. */
static const char *input_name(int index, char name[16])
{
    snprintf(name, 16, "x%d", index);
    return name;
}

static soma_status make_plan(soma_plan **out, soma_model *model, int64_t batch, uint32_t bytes,
                             soma_error *err)
{
    soma_graph *graph;
    soma_var x[SOMA_MODEL_INPUTS];
    char name[16];
    SOMA__TRY(soma_graph_create(&graph, err));
    for (int i = 0; i < model->input_count; i++)
        x[i] = soma_input(graph, input_name(i, name), bytes >> i & 1 ? SOMA_U8 : SOMA_F32,
                          soma__shape_batched(&model->inputs[i].shape, batch));
    soma_var *y = soma__arena_array(&graph->arena, (size_t)model->output_count, sizeof *y);
    soma_status status =
        y ? SOMA_OK : soma__fail(err, SOMA_MEMORY, "out of memory for the model's outputs");
    if (y) {
        soma_model_apply_all(model, graph, x, SOMA_EVALUATE, (soma_var){0}, NULL, 0, NULL, y);
        y[0] = soma__model_unscale_target(model, y[0]);
        status = soma_plan_create(out, model->context, y, model->output_count, NULL, 0, err);
    }
    soma_graph_destroy(graph);
    if (status == SOMA_OK) {
        status = soma_plan_prepare(*out, err);
        if (status != SOMA_OK) {
            soma_plan_release(*out);
            *out = NULL;
        }
    }
    return status;
}

/* The plan that is kept for a batch size, retained; NULL: none. */
static soma_plan *find_plan(soma_model *model, int64_t batch, uint32_t bytes)
{
    soma_plan *plan = NULL;
    pthread_mutex_lock(&model->lock);
    for (int i = 0; i < SOMA__PREDICT_SESSIONS && !plan; i++) {
        const soma__predict_plan *slot = &model->plans[i];
        if (slot->plan && slot->batch == batch && slot->bytes == bytes)
            plan = soma_plan_retain(slot->plan);
    }
    pthread_mutex_unlock(&model->lock);
    return plan;
}

/* Keeps a plan in place of the one that was made longest ago. */
static void keep_plan(soma_model *model, soma_plan *plan, int64_t batch, uint32_t bytes)
{
    const int last = SOMA__PREDICT_SESSIONS - 1;
    pthread_mutex_lock(&model->lock);
    soma_plan *leaving = model->plans[last].plan;
    memmove(&model->plans[1], &model->plans[0], (size_t)last * sizeof model->plans[0]);
    model->plans[0] = (soma__predict_plan){soma_plan_retain(plan), batch, bytes};
    pthread_mutex_unlock(&model->lock);
    soma_plan_release(leaving);
}

static soma_status make_session(soma_session **out, soma_model *model, int64_t batch,
                                uint32_t bytes, soma_error *err)
{
    soma_plan *plan = find_plan(model, batch, bytes);
    if (!plan) {
        SOMA__TRY(make_plan(&plan, model, batch, bytes, err));
        keep_plan(model, plan, batch, bytes);
    }
    soma_status status = soma_session_create(out, plan, err);
    soma_plan_release(plan);
    return status;
}

/* A session for the batch size, of those that wait or a new one. */
static soma_status take_session(soma_session **out, soma_model *model, int64_t batch,
                                uint32_t bytes, soma_error *err)
{
    *out = NULL;
    pthread_mutex_lock(&model->lock);
    for (int i = 0; i < SOMA__PREDICT_SESSIONS && !*out; i++) {
        soma__predict_session *slot = &model->sessions[i];
        if (!slot->session || slot->batch != batch || slot->bytes != bytes)
            continue;
        *out = slot->session;
        slot->session = NULL;
    }
    pthread_mutex_unlock(&model->lock);
    return *out ? SOMA_OK : make_session(out, model, batch, bytes, err);
}

/* Keeps a session for the next call; the one that was used longest ago makes room. Slot 0 is the
 * latest. */
static void give_session(soma_model *model, soma_session *session, int64_t batch, uint32_t bytes)
{
    const int last = SOMA__PREDICT_SESSIONS - 1;
    int hole = 0;

    pthread_mutex_lock(&model->lock);
    while (hole < last && model->sessions[hole].session)
        hole++;
    soma_session *leaving = model->sessions[hole].session;
    memmove(&model->sessions[1], &model->sessions[0], (size_t)hole * sizeof model->sessions[0]);
    model->sessions[0] = (soma__predict_session){session, batch, bytes};
    pthread_mutex_unlock(&model->lock);
    soma_session_destroy(leaving);
}

/* Bytes of one sample of a batch. */
static size_t sample_bytes(const soma_tensor *tensor)
{
    return soma_tensor_bytes(tensor) / (size_t)soma_tensor_shape(tensor)->dim[0];
}

/* Feeds samples [first, first + batch) of all inputs. */
static soma_status feed(soma_session *session, const soma_model *model, const soma_tensor *const *x,
                        int64_t first, int64_t batch, soma_error *err)
{
    char name[16];
    for (int i = 0; i < model->input_count; i++) {
        soma_shape shape = soma__shape_batched(&model->inputs[i].shape, batch);
        const char *from = soma_tensor_const_data(x[i]);
        soma_status status =
            soma_session_set(session, input_name(i, name), soma_tensor_dtype(x[i]), &shape,
                             from + sample_bytes(x[i]) * (size_t)first, err);
        /* An input that no output depends on is not in the plan. */
        if (status != SOMA_OK && status != SOMA_NOT_FOUND)
            return status;
    }
    return SOMA_OK;
}

/* Samples [first, first + batch) of x into the same ones of y. */
static soma_status predict_piece(soma_model *model, const soma_tensor *const *x, soma_tensor **y,
                                 uint32_t bytes, int64_t first, int64_t batch, soma_error *err)
{
    soma_session *session;

    SOMA__TRY(take_session(&session, model, batch, bytes, err));
    soma_status status = feed(session, model, x, first, batch, err);
    if (status == SOMA_OK)
        status = soma_session_run(session, err);
    if (status != SOMA_OK) {
        soma_session_destroy(session);
        return status;
    }
    for (int i = 0; i < model->output_count; i++) {
        const soma_tensor *piece = soma_session_output(session, i);
        memcpy((char *)soma_tensor_data(y[i]) + sample_bytes(y[i]) * (size_t)first,
               soma_tensor_const_data(piece), soma_tensor_bytes(piece));
    }
    give_session(model, session, batch, bytes);
    return SOMA_OK;
}

/* Is x [B, input…]? */
static soma_status check_tensor(const soma_model *model, int index, const soma_tensor *x,
                                int64_t samples, soma_error *err)
{
    char left[SOMA_SHAPE_TEXT_SIZE], right[SOMA_SHAPE_TEXT_SIZE];
    const soma_shape *input = &model->inputs[index].shape, *given = soma_tensor_shape(x);
    soma_shape want = soma__shape_batched(input, given->ndim ? given->dim[0] : 0);
    if (given->ndim == 0 || !soma_shape_equal(given, &want)) {
        bool single = soma_shape_equal(given, input);
        return soma__fail(
            err, SOMA_SHAPE, "the model takes a batch of samples of shape %s, got %s%s",
            soma_shape_text(input, left, sizeof left), soma_shape_text(given, right, sizeof right),
            single ? "; one sample needs a first dimension of 1" : "");
    }
    if (given->dim[0] != samples)
        return soma__fail(err, SOMA_SHAPE, "input '%s' has %lld samples, the first one %lld",
                          model->inputs[index].name, (long long)given->dim[0], (long long)samples);
    return SOMA_OK;
}

static void release_all(soma_tensor **tensors, int count)
{
    for (int i = 0; i < count; i++) {
        soma_tensor_release(tensors[i]);
        tensors[i] = NULL;
    }
}

/* The graph itself casts bytes; other types are rare and converted here, into `cast`. */
static soma_status take_tensors(const soma_model *model, const soma_tensor *const *x,
                                const soma_tensor **in, soma_tensor **cast, uint32_t *bytes,
                                soma_error *err)
{
    *bytes = 0;
    for (int i = 0; i < model->input_count; i++) {
        if (!x[i])
            return soma__fail(err, SOMA_INVALID, "there is no tensor to predict from");
        SOMA__TRY(check_tensor(model, i, x[i],
                               soma_tensor_shape(x[0])->ndim ? soma_tensor_shape(x[0])->dim[0] : 0,
                               err));
        soma_dtype dtype = soma_tensor_dtype(x[i]);
        in[i] = x[i];
        if (dtype == SOMA_U8) {
            *bytes |= (uint32_t)1 << i;
        } else if (dtype != SOMA_F32) {
            SOMA__TRY(soma_tensor_cast(&cast[i], x[i], SOMA_F32, err));
            in[i] = cast[i];
        }
    }
    return SOMA_OK;
}

soma_status soma_model_predict_all(soma_model *model, const soma_tensor *const *x,
                                   soma_tensor **out, soma_error *err)
{
    const soma_tensor *in[SOMA_MODEL_INPUTS] = {0};
    soma_tensor *cast[SOMA_MODEL_INPUTS] = {0};
    uint32_t bytes;

    for (int i = 0; i < model->output_count; i++)
        out[i] = NULL;
    soma_status status = take_tensors(model, x, in, cast, &bytes, err);
    int64_t samples = status == SOMA_OK ? soma_tensor_shape(in[0])->dim[0] : 0;
    for (int i = 0; i < model->output_count && status == SOMA_OK; i++)
        status = soma_tensor_create(&out[i], model->outputs[i].dtype,
                                    soma__shape_batched(&model->outputs[i].shape, samples), err);
    for (int64_t first = 0; first < samples && status == SOMA_OK; first += PIECE)
        status = predict_piece(model, in, out, bytes, first,
                               samples - first < PIECE ? samples - first : PIECE, err);
    release_all(cast, model->input_count);
    if (status != SOMA_OK)
        release_all(out, model->output_count);
    return status;
}

soma_status soma_model_predict(soma_model *model, const soma_tensor *x, soma_tensor **out,
                               soma_error *err)
{
    *out = NULL;
    if (model->input_count != 1)
        return soma__fail(err, SOMA_INVALID,
                          "the model takes %d inputs; soma_model_predict_all feeds them",
                          model->input_count);
    soma_tensor **y = soma__calloc((size_t)model->output_count, sizeof *y);
    if (!y)
        return soma__fail(err, SOMA_MEMORY, "out of memory for the model's outputs");
    soma_status status = soma_model_predict_all(model, &x, y, err);
    *out = y[0];
    release_all(y + 1, model->output_count - 1);
    soma__free(y);
    return status;
}
