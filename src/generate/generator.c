/* generator.c: a model that is run step by step. */
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/mem.h"
#include "data/text.h"
#include "generate/generate.h"
#include "nn/nn.h"
#include "tensor/tensor.h"

/* --- the graphs ---------------------------------------------------------------------------------
 */

static const char *given_name(int index, char name[16])
{
    snprintf(name, 16, "given%d", index);
    return name;
}

/* What the model says of the last step that counts: [rows,vocabulary]. */
static soma_var last_scores(soma_generator *g, soma_var y, int64_t steps)
{
    if (!soma_var_ok(y))
        return y;
    if (steps > 1) {
        soma_var one = soma_scalar(y.graph, SOMA_I64, 1);
        y = soma_gather(y, soma_sub(g->carry.count, one), 1);
    }
    return soma_cast(soma_reshape(y, SOMA_SHAPE(g->carry.rows, g->vocabulary)), SOMA_F32);
}

static soma_status make_plan(soma_plan **out, soma_generator *g, soma_graph *graph, bool opening,
                             int64_t steps, soma_error *err)
{
    soma_model *model = g->model;
    const int last = model->input_count - 1;
    soma_var given[SOMA_MODEL_INPUTS], scores = {0};
    char name[16];
    soma_var *y = soma__arena_array(&graph->arena, (size_t)model->output_count, sizeof *y);
    if (!y)
        return soma__fail(err, SOMA_MEMORY, "no memory for the model's outputs");
    for (int i = 0; i < last; i++)
        given[i] = soma_input(graph, given_name(i, name), SOMA_F32,
                              soma__shape_batched(&model->inputs[i].shape, g->carry.rows));
    SOMA__TRY(soma__carry_begin(&g->carry, graph, opening, steps, err));
    soma__model_apply_steps(model, graph, given, &g->carry, y);
    SOMA__TRY(soma_graph_status(graph, err));
    if (!opening)
        scores = last_scores(g, y[0], steps);
    return soma_plan_create(out, model->context, &scores, opening ? 0 : 1, g->carry.update,
                            (int)g->carry.update_count, err);
}

static soma_status make_session(soma_session **out, soma_generator *g, bool opening, int64_t steps,
                                soma_error *err)
{
    soma_graph *graph;
    soma_plan *plan = NULL;
    SOMA__TRY(soma_graph_create(&graph, err));
    soma_status status = make_plan(&plan, g, graph, opening, steps, err);
    soma_graph_destroy(graph);
    if (status == SOMA_OK && !opening)
        status = soma_plan_prepare(plan, err);
    if (status == SOMA_OK)
        status = soma_session_create(out, plan, err);
    soma_plan_release(plan);
    return status;
}

/* --- making one ---------------------------------------------------------------------------------
 */

static soma_status check_model(const soma_model *model, soma_error *err)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    const soma_model_input *in = &model->inputs[model->input_count - 1];
    if (!soma__model_steps(model))
        return soma__fail(err, SOMA_UNSUPPORTED,
                          "the model gives %s a sample, not scores of the next token for each step "
                          "[steps,vocabulary]: it generates nothing",
                          soma_shape_text(&model->outputs[0].shape, text, sizeof text));
    if (in->shape.ndim != 1 || in->dtype != SOMA_F32 ||
        in->shape.dim[0] != soma__model_steps(model))
        return soma__fail(err, SOMA_UNSUPPORTED,
                          "the model reads %s %s, not ids f32 [%lld]: it generates nothing",
                          soma_dtype_text(in->dtype),
                          soma_shape_text(&in->shape, text, sizeof text),
                          (long long)soma__model_steps(model));
    return SOMA_OK;
}

static soma_status fill(soma_generator *g, soma_error *err)
{
    size_t most = 0;
    SOMA__TRY(make_session(&g->opening, g, true, 1, err));
    SOMA__TRY(make_session(&g->one, g, false, 1, err));
    if (g->chunk > 1)
        SOMA__TRY(make_session(&g->many, g, false, g->chunk, err));
    for (size_t i = 0; i < g->carry.state_count; i++) {
        const size_t bytes = soma_tensor_bytes(g->carry.state[i].tensor);
        most = bytes > most ? bytes : most;
    }
    g->x = soma__calloc((size_t)g->carry.rows, (size_t)g->chunk * sizeof *g->x);
    g->scratch = soma__malloc(most);
    return g->x && g->scratch ? SOMA_OK : soma__fail(err, SOMA_MEMORY, "no memory for a generator");
}

soma_status soma_generator_create(soma_generator **out, soma_model *model,
                                  const soma_generator_options *options, soma_error *err)
{
    *out = NULL;
    if (!model)
        return soma__fail(err, SOMA_INVALID, "a generator needs a model");
    SOMA__TRY(check_model(model, err));
    const int64_t rows = options && options->rows ? options->rows : 1;
    const int64_t room = options && options->room ? options->room : soma__model_steps(model);
    if (rows < 1 || room < 1 || room > INT32_MAX)
        return soma__fail(err, SOMA_INVALID,
                          "a generator has one row and one step or more, not %lld and %lld",
                          (long long)rows, (long long)room);
    soma_generator *g = soma__calloc(1, sizeof *g);
    if (!g)
        return soma__fail(err, SOMA_MEMORY, "no memory for a generator");
    g->model = model;
    g->carry.rows = rows;
    g->carry.room = room;
    g->vocabulary = soma_model_class_count(model);
    g->chunk = room < SOMA__GENERATOR_CHUNK ? room : SOMA__GENERATOR_CHUNK;
    soma_status status = fill(g, err);
    if (status != SOMA_OK) {
        soma_generator_destroy(g);
        return status;
    }
    *out = g;
    return SOMA_OK;
}

void soma_generator_destroy(soma_generator *g)
{
    if (!g)
        return;
    soma_session_destroy(g->opening);
    soma_session_destroy(g->one);
    soma_session_destroy(g->many);
    soma__carry_clear(&g->carry);
    soma__free(g->x);
    soma__free(g->scratch);
    soma__free(g);
}

/* --- running it ---------------------------------------------------------------------------------
 */

/* What a plan does not need it does not have. */
static soma_status feed(soma_session *s, const char *name, soma_dtype dtype, soma_shape shape,
                        const void *data, soma_error *err)
{
    soma_error inner = {0};
    soma_status status = soma_session_set(s, name, dtype, &shape, data, &inner);
    return status == SOMA_OK || status == SOMA_NOT_FOUND
               ? SOMA_OK
               : soma__fail(err, status, "%s", inner.message);
}

soma_status soma_generator_start(soma_generator *g, const soma_tensor *const *given,
                                 soma_error *err)
{
    const soma_model *model = g->model;
    char name[16], left[SOMA_SHAPE_TEXT_SIZE], right[SOMA_SHAPE_TEXT_SIZE];
    g->started = false;
    for (int i = 0; i + 1 < model->input_count; i++) {
        const soma_shape want = soma__shape_batched(&model->inputs[i].shape, g->carry.rows);
        if (!given || !given[i])
            return soma__fail(err, SOMA_INVALID,
                              "the model takes '%s' besides what it goes on from",
                              model->inputs[i].name);
        if (!soma_shape_equal(soma_tensor_shape(given[i]), &want) ||
            soma_tensor_dtype(given[i]) != SOMA_F32)
            return soma__fail(err, SOMA_SHAPE, "'%s' is %s %s, but must be f32 %s",
                              model->inputs[i].name, soma_dtype_text(soma_tensor_dtype(given[i])),
                              soma_shape_text(soma_tensor_shape(given[i]), left, sizeof left),
                              soma_shape_text(&want, right, sizeof right));
        SOMA__TRY(feed(g->opening, given_name(i, name), SOMA_F32, want,
                       soma_tensor_const_data(given[i]), err));
    }
    g->count = 1;
    SOMA__TRY(feed(g->opening, "count", SOMA_I64, SOMA_SHAPE(1), &g->count, err));
    SOMA__TRY(feed(g->opening, "steps", SOMA_F32, SOMA_SHAPE(g->carry.rows, 1), g->x, err));
    SOMA__TRY(soma_session_run(g->opening, err));
    g->length = 0;
    g->started = true;
    return SOMA_OK;
}

static soma_status check_ids(const soma_generator *g, const int64_t *ids, int64_t count,
                             soma_error *err)
{
    if (!g->started)
        return soma__fail(err, SOMA_STATE, "the generator was not started (soma_generator_start)");
    if (count < 1)
        return soma__fail(err, SOMA_INVALID, "there is nothing to go on from: no ids");
    if (count > g->carry.room - g->length)
        return soma__fail(
            err, SOMA_INVALID,
            "%lld steps more than the %lld before do not fit into the context of %lld",
            (long long)count, (long long)g->length, (long long)g->carry.room);
    for (int64_t i = 0; i < count * g->carry.rows; i++)
        if (ids[i] < 0 || ids[i] >= g->vocabulary)
            return soma__fail(err, SOMA_INVALID, "id %lld is not one of the %lld of the vocabulary",
                              (long long)ids[i], (long long)g->vocabulary);
    return SOMA_OK;
}

/* Steps [first, first + now) of ids [rows,count] in one run. */
static soma_status run(soma_generator *g, const int64_t *ids, int64_t count, int64_t first,
                       int64_t now, const float **scores, soma_error *err)
{
    const int64_t wide = now == 1 ? 1 : g->chunk;
    soma_session *s = now == 1 ? g->one : g->many;
    for (int64_t r = 0; r < g->carry.rows; r++)
        for (int64_t t = 0; t < wide; t++)
            g->x[r * wide + t] = t < now ? (float)ids[r * count + first + t] : 0;
    g->count = now;
    SOMA__TRY(feed(s, "steps", SOMA_F32, SOMA_SHAPE(g->carry.rows, wide), g->x, err));
    SOMA__TRY(feed(s, "count", SOMA_I64, SOMA_SHAPE(1), &g->count, err));
    SOMA__TRY(soma_session_run(s, err));
    *scores = soma_tensor_const_data(soma_session_output(s, 0));
    g->length += now;
    return SOMA_OK;
}

soma_status soma_generator_read(soma_generator *g, const int64_t *ids, int64_t count,
                                const float **scores, soma_error *err)
{
    *scores = NULL;
    SOMA__TRY(check_ids(g, ids, count, err));
    for (int64_t first = 0; first < count;) {
        const int64_t left = count - first, now = left < g->chunk ? left : g->chunk;
        SOMA__TRY(run(g, ids, count, first, now, scores, err));
        first += now;
    }
    return SOMA_OK;
}

soma_status soma_generator_select(soma_generator *g, const int64_t *from, soma_error *err)
{
    const int64_t rows = g->carry.rows;
    bool same = true;
    for (int64_t r = 0; r < rows; r++) {
        if (from[r] < 0 || from[r] >= rows)
            return soma__fail(err, SOMA_INVALID, "there is no row %lld among %lld",
                              (long long)from[r], (long long)rows);
        same &= from[r] == r;
    }
    for (size_t i = 0; !same && i < g->carry.state_count; i++) {
        const soma__state *s = &g->carry.state[i];
        if (!s->of_rows)
            continue;
        const size_t row = soma_tensor_bytes(s->tensor) / (size_t)rows;
        /* Of a cache only what is there already. */
        const size_t used = s->grows ? row / (size_t)g->carry.room * (size_t)g->length : row;
        char *data = soma__tensor_write(s->tensor);
        for (int64_t r = 0; r < rows; r++)
            memcpy(g->scratch + (size_t)r * used, data + (size_t)from[r] * row, used);
        for (int64_t r = 0; r < rows; r++)
            memcpy(data + (size_t)r * row, g->scratch + (size_t)r * used, used);
    }
    return SOMA_OK;
}

int64_t soma_generator_rows(const soma_generator *g)
{
    return g->carry.rows;
}

int64_t soma_generator_room(const soma_generator *g)
{
    return g->carry.room;
}

int64_t soma_generator_vocabulary(const soma_generator *g)
{
    return g->vocabulary;
}

int64_t soma_generator_length(const soma_generator *g)
{
    return g->length;
}

soma_status soma_model_tokenizer(soma_tokenizer **out, const soma_model *model, soma_error *err)
{
    soma__text_encoding *encoding;
    const char *meta = soma_model_meta(model, SOMA__TEXT_META);
    *out = NULL;
    if (!meta)
        return soma__fail(err, SOMA_NOT_FOUND,
                          "the model did not learn from text: it has no tokeniser");
    SOMA__TRY(soma__text_encoding_parse(&encoding, meta, "the model", err));
    *out = soma_tokenizer_retain(encoding->tokenizer);
    soma__text_encoding_release(encoding);
    return SOMA_OK;
}
