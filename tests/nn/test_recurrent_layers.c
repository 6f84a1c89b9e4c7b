/* rnn, lstm and gru as layers: against PyTorch's modules (tests/golden/README.md), what they give,
 * what they refuse, and that they learn what only a state can tell. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nn/nn.h"
#include "soma/soma.h"

#define TOLERANCE 2e-6

static int open_golden(void **state)
{
    return open_golden_file(state, "recurrent_layers.safetensors");
}

/* NULL: the file has none. */
static soma_tensor *stored(const char *name, const char *part, const char *parameter)
{
    char full[160];
    snprintf(full, sizeof full, "%s/%s%s", name, part, parameter);
    return golden_tensor(full);
}

/* --- as PyTorch's modules -----------------------------------------------------------------------
 */

/* The layer alone in a graph with lengths, where the case has them, and a state; the parameters of
 * the case. `own` is its name in the model. */
static soma_model *module_of(soma_layer *layer, const char *name, int64_t width)
{
    soma_error err = {0};
    const bool padded = stored(name, "lengths", "") != NULL;
    const soma_graph_node node = {
        .name = "r", .from = padded ? "x,lengths,state" : "x,state", .layer = layer};
    soma_model_input inputs[3] = {{.shape = SOMA_SHAPE(5, 3)}, {.shape = SOMA_SCALAR}, {0}};
    inputs[1 + padded].shape = SOMA_SHAPE(width);
    const soma_model_options options = {
        .task = SOMA_TASK_REGRESS, .inputs = inputs, .input_count = 2 + padded};
    soma_model *model;
    assert_ok(soma_model_create(&model, context, soma_layer_graph(node.from, &node, 1, "r"),
                                &options, &err),
              err);
    for (int i = 0; i < soma_model_parameter_count(model); i++) {
        const soma_parameter *p = soma_model_parameter(model, i);
        const soma_tensor *value = stored(name, "", p->name + strlen("r."));
        if (!value)
            fail_msg("PyTorch has no %s", p->name);
        assert_true(soma_shape_equal(soma_tensor_shape(p->tensor), soma_tensor_shape(value)));
        memcpy(soma_tensor_data(p->tensor), soma_tensor_const_data(value),
               soma_tensor_bytes(value));
    }
    return model;
}

static soma_var apply(soma_model *model, soma_graph *graph, const char *name)
{
    soma_var x[3], y;
    int count = 0;
    soma_tensor *lengths = stored(name, "lengths", "");
    x[count++] = soma_constant(graph, stored(name, "x", ""));
    if (lengths)
        x[count++] = soma_cast(soma_constant(graph, lengths), SOMA_F32);
    x[count++] = soma_constant(graph, stored(name, "state", ""));
    soma_model_apply_all(model, graph, x, SOMA_EVALUATE, (soma_var){0}, NULL, 0, NULL, &y);
    return y;
}

/* `options` of the layer `make` against a case: states, gradients of all parameters, last states.
 */
static void try_module(soma_layer *(*make)(soma_recurrent_layer_options), const char *name,
                       soma_recurrent_layer_options options, int64_t width)
{
    soma_error err = {0};
    soma_graph *graph;
    soma_var out[20], variable[20];
    soma_tensor *got[20];
    options.units = 4;
    soma_model *model = module_of(make(options), name, width);
    const int count = soma_model_parameter_count(model);
    assert_true(count < 20);
    assert_ok(soma_graph_create(&graph, &err), err);
    out[0] = apply(model, graph, name);
    for (int i = 0; i < count; i++)
        variable[i] = soma_model_variable(model, graph, i);
    soma_gradients_from(out[0], soma_constant(graph, stored(name, "dy", "")), variable, count,
                        out + 1);
    assert_ok(soma_eval_many(got, context, out, 1 + count, NULL, 0, &err), err);
    expect_close(name, "y", got[0], stored(name, "y", ""), TOLERANCE);
    for (int i = 0; i < count; i++) {
        const char *own = soma_model_parameter(model, i)->name + strlen("r.");
        expect_close(name, own, got[1 + i], stored(name, "grad/", own), TOLERANCE);
    }
    for (int i = 0; i <= count; i++)
        soma_tensor_release(got[i]);
    soma_graph_destroy(graph);
    soma_model_destroy(model);

    options.output = SOMA_RECURRENT_STATE;
    model = module_of(make(options), name, width);
    assert_ok(soma_graph_create(&graph, &err), err);
    assert_ok(soma_eval(&got[0], context, apply(model, graph, name), &err), err);
    expect_close(name, "last", got[0], stored(name, "last", ""), TOLERANCE);
    soma_tensor_release(got[0]);
    soma_graph_destroy(graph);
    soma_model_destroy(model);
}

static void as_pytorch(void **state)
{
    typedef soma_recurrent_layer_options options;
    (void)state;
    try_module(soma_layer_rnn_opt, "rnn", (options){.layers = 2, .relu = true}, 8);
    try_module(soma_layer_lstm_opt, "lstm", (options){.layers = 2, .bidirectional = true}, 32);
    try_module(soma_layer_gru_opt, "gru", (options){.layers = 2}, 8);
    try_module(soma_layer_gru_opt, "gru_bidirectional",
               (options){.bidirectional = true, .no_bias = true}, 8);
}

/* --- results ------------------------------------------------------------------------------------
 */

static soma_tensor *predict(soma_layer *layer, const soma_tensor *x)
{
    soma_error err = {0};
    soma_tensor *y;
    soma_model *model = model_of(layer, SOMA_SHAPE(5, 3), SOMA_TASK_REGRESS);
    assert_ok(soma_model_predict(model, x, &y, &err), err);
    soma_model_destroy(model);
    return y;
}

/* The last state is the sequence's last row, of the second direction its first. */
static void gives_the_last_state(void **state)
{
    (void)state;
    soma_tensor *x = noise(SOMA_SHAPE(2, 5, 3), 1);
    soma_tensor *all = predict(soma_layer_lstm(4, .bidirectional = true), x);
    soma_tensor *last =
        predict(soma_layer_lstm(4, .bidirectional = true, .output = SOMA_RECURRENT_LAST), x);
    assert_true(soma_shape_equal(soma_tensor_shape(all), &SOMA_SHAPE(2, 5, 8)));
    assert_true(soma_shape_equal(soma_tensor_shape(last), &SOMA_SHAPE(2, 8)));
    for (int64_t b = 0; b < 2; b++)
        for (int64_t j = 0; j < 8; j++)
            assert_true(soma_tensor_get(last, b * 8 + j) ==
                        soma_tensor_get(all, (b * 5 + (j < 4 ? 4 : 0)) * 8 + j));
    soma_tensor_release(last);
    soma_tensor_release(all);

    all = predict(soma_layer_gru(4, .backwards = true), x);
    last = predict(soma_layer_gru(4, .backwards = true, .output = SOMA_RECURRENT_LAST), x);
    for (int64_t j = 0; j < 4; j++)
        assert_true(soma_tensor_get(last, j) == soma_tensor_get(all, j));
    soma_tensor_release(last);
    soma_tensor_release(all);
    soma_tensor_release(x);
}

/* Dropout lies between layers alone, and draws in training alone. */
static void drops_between_layers(void **state)
{
    soma_error err = {0};
    const int64_t seed[2] = {1, 2};
    (void)state;
    soma_tensor *x = noise(SOMA_SHAPE(2, 5, 3), 1), *key, *y[2];
    assert_ok(soma_tensor_from(&key, SOMA_I64, SOMA_SHAPE(2), seed, &err), err);
    for (int layers = 1; layers <= 2; layers++) {
        soma_model *model = model_of(soma_layer_rnn(4, .layers = layers, .dropout = 0.5),
                                     SOMA_SHAPE(5, 3), SOMA_TASK_REGRESS);
        soma_graph *graph;
        assert_ok(soma_graph_create(&graph, &err), err);
        soma_var in = soma_constant(graph, x), none = {0};
        const soma_var out[2] = {
            soma_model_apply(model, graph, in, SOMA_EVALUATE, none, NULL, 0, NULL),
            soma_model_apply(model, graph, in, SOMA_TRAIN, soma_constant(graph, key), NULL, 0,
                             NULL)};
        assert_ok(soma_eval_many(y, context, out, 2, NULL, 0, &err), err);
        assert_int_equal(memcmp(soma_tensor_const_data(y[0]), soma_tensor_const_data(y[1]),
                                soma_tensor_bytes(y[0])) != 0,
                         layers == 2);
        soma_tensor_release(y[0]);
        soma_tensor_release(y[1]);
        soma_graph_destroy(graph);
        soma_model_destroy(model);
    }
    soma_tensor_release(key);
    soma_tensor_release(x);
}

/* Uniform in ±1/√H. */
static void begins_as_pytorch(void **state)
{
    (void)state;
    soma_model *model =
        model_of(soma_layer_lstm(16, .recurrent_init = {.kind = SOMA_INIT_ORTHOGONAL}),
                 SOMA_SHAPE(5, 3), SOMA_TASK_REGRESS);
    const char *const names[] = {"lstm1.weight_ih_l0", "lstm1.bias_ih_l0", "lstm1.bias_hh_l0"};
    for (int k = 0; k < 3; k++) {
        double most = 0;
        const soma_parameter *p = soma_model_find(model, names[k]);
        assert_non_null(p);
        for (int64_t i = 0; i < soma_tensor_count(p->tensor); i++)
            most = fmax(most, fabs(soma_tensor_get(p->tensor, i)));
        assert_true(most <= 0.25 && most > 0.2);
    }
    /* Columns of length 1. */
    const soma_tensor *w = soma_model_find(model, "lstm1.weight_hh_l0")->tensor;
    double square = 0;
    for (int64_t i = 0; i < 64; i++)
        square += pow(soma_tensor_get(w, i * 16), 2);
    assert_true(fabs(square - 1) < 1e-5);
    soma_model_destroy(model);
}

static void refuses(void **state)
{
    (void)state;
    expect_refusal(soma_layer_rnn(0), SOMA_SHAPE(5, 3), SOMA_TASK_REGRESS, SOMA_INVALID,
                   "units must be at least 1");
    expect_refusal(soma_layer_lstm(4), SOMA_SHAPE(5), SOMA_TASK_REGRESS, SOMA_SHAPE,
                   "needs sequences [B,T,I]");
    expect_refusal(soma_layer_gru(4, .bidirectional = true, .backwards = true), SOMA_SHAPE(5, 3),
                   SOMA_TASK_REGRESS, SOMA_INVALID, "leave one out");
    const soma_graph_node node = {.name = "r", .from = "a,b", .layer = soma_layer_gru(4)};
    const soma_model_input inputs[2] = {{.shape = SOMA_SHAPE(5, 3)}, {.shape = SOMA_SHAPE(5)}};
    soma_error err = {0};
    soma_model *model;
    assert_int_equal(soma_model_create(&model, context, soma_layer_graph("a,b", &node, 1, "r"),
                                       &(soma_model_options){.inputs = inputs, .input_count = 2},
                                       &err),
                     SOMA_SHAPE);
    assert_contains(err.message, "further inputs are lengths");
}

/* --- learning -----------------------------------------------------------------------------------
 */

/* Ten symbols of four kinds; the label is the first. Only a state that is kept through nine others
 * tells it at the end. */
static void learns_to_remember(void **state)
{
    enum { COUNT = 256, STEPS = 10, KINDS = 4 };
    soma_error err = {0};
    soma_data data = {0};
    soma_tensor *x, *y;
    soma_metrics metrics;
    (void)state;
    soma_tensor *draws = noise(SOMA_SHAPE(COUNT, STEPS), 3);
    assert_ok(soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(COUNT, STEPS, KINDS), &err), err);
    assert_ok(soma_tensor_create(&y, SOMA_I64, SOMA_SHAPE(COUNT), &err), err);
    for (int64_t i = 0; i < COUNT * STEPS; i++) {
        const int64_t kind = (int64_t)((soma_tensor_get(draws, i) + 1) * 1.999);
        for (int64_t k = 0; k < KINDS; k++)
            soma_tensor_set(x, i * KINDS + k, k == kind);
        if (i % STEPS == 0)
            soma_tensor_set(y, i / STEPS, (double)kind);
    }
    assert_ok(soma_dataset_from_tensors(&data.train, x, y, &err), err);
    soma_tensor_release(draws);
    soma_tensor_release(x);
    soma_tensor_release(y);
    soma_model *model =
        model_of(soma_layer_sequential(soma_layer_lstm(16, .output = SOMA_RECURRENT_LAST),
                                       soma_layer_dense(KINDS)),
                 SOMA_SHAPE(STEPS, KINDS), SOMA_TASK_CLASSIFY);
    const soma_train_options options = {
        .epochs = 60, .batch = 32, .optimizer = {.kind = SOMA_ADAM, .rate = 0.02}, .seed = 1};
    assert_ok(soma_train(model, &data, &options, NULL, &err), err);
    assert_ok(soma_evaluate(model, data.train, 64, &metrics, NULL, &err), err);
    assert_true(metrics.accuracy > 0.95);
    soma_model_destroy(model);
    soma_dataset_release(data.train);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_pytorch),
        cmocka_unit_test(gives_the_last_state),
        cmocka_unit_test(drops_between_layers),
        cmocka_unit_test(begins_as_pytorch),
        cmocka_unit_test(refuses),
        cmocka_unit_test(learns_to_remember),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
