/* Attention, blocks of Transformers, positions and tied weights as layers: against PyTorch's
 * modules (tests/golden/README.md), what they refuse, and a small GPT that learns. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nn/nn.h"
#include "soma/soma.h"

#define TOLERANCE 1e-5

static int open_golden(void **state)
{
    return open_golden_file(state, "attention_layers.safetensors");
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

/* The layer alone in a graph with the further inputs that the case has, and its parameters. */
static soma_model *module_of(soma_layer *layer, const char *name, int *count)
{
    soma_error err = {0};
    const soma_tensor *memory = stored(name, "memory", "");
    const bool padded = stored(name, "lengths", "") != NULL;
    const char *const froms[] = {"x", "x,memory", "x,lengths", "x,memory,lengths"};
    const soma_graph_node node = {
        .name = "m", .from = froms[(memory != NULL) + 2 * padded], .layer = layer};
    soma_model_input inputs[3] = {{.shape = SOMA_SHAPE(5, 8)}};
    *count = 1;
    if (memory)
        inputs[(*count)++].shape = SOMA_SHAPE(6, soma_tensor_shape(memory)->dim[2]);
    if (padded)
        inputs[(*count)++].shape = SOMA_SCALAR;
    const soma_model_options options = {
        .task = SOMA_TASK_REGRESS, .inputs = inputs, .input_count = *count};
    soma_model *model;
    assert_ok(soma_model_create(&model, context, soma_layer_graph(node.from, &node, 1, "m"),
                                &options, &err),
              err);
    for (int i = 0; i < soma_model_parameter_count(model); i++) {
        const soma_parameter *p = soma_model_parameter(model, i);
        const soma_tensor *value = stored(name, "", p->name + strlen("m."));
        if (!value)
            fail_msg("%s: PyTorch has no %s", name, p->name);
        assert_true(soma_shape_equal(soma_tensor_shape(p->tensor), soma_tensor_shape(value)));
        memcpy(soma_tensor_data(p->tensor), soma_tensor_const_data(value),
               soma_tensor_bytes(value));
    }
    return model;
}

static void try_module(soma_layer *layer, const char *name, int parameters)
{
    soma_error err = {0};
    soma_graph *graph;
    soma_var out[40], variable[40], x[3];
    soma_tensor *got[40];
    int inputs, given = 0;
    soma_model *model = module_of(layer, name, &inputs);
    const int count = soma_model_parameter_count(model);
    assert_int_equal(count, parameters);
    assert_ok(soma_graph_create(&graph, &err), err);
    x[given++] = soma_constant(graph, stored(name, "x", ""));
    if (stored(name, "memory", ""))
        x[given++] = soma_constant(graph, stored(name, "memory", ""));
    if (stored(name, "lengths", ""))
        x[given++] = soma_cast(soma_constant(graph, stored(name, "lengths", "")), SOMA_F32);
    assert_int_equal(given, inputs);
    soma_model_apply_all(model, graph, x, SOMA_EVALUATE, (soma_var){0}, NULL, 0, NULL, &out[0]);
    for (int i = 0; i < count; i++)
        variable[i] = soma_model_variable(model, graph, i);
    soma_gradients_from(out[0], soma_constant(graph, stored(name, "dy", "")), variable, count,
                        out + 1);
    assert_ok(soma_eval_many(got, context, out, 1 + count, NULL, 0, &err), err);
    expect_close(name, "y", got[0], stored(name, "y", ""), TOLERANCE);
    for (int i = 0; i < count; i++) {
        const char *own = soma_model_parameter(model, i)->name + strlen("m.");
        expect_close(name, own, got[1 + i], stored(name, "grad/", own), TOLERANCE);
    }
    for (int i = 0; i <= count; i++)
        soma_tensor_release(got[i]);
    soma_graph_destroy(graph);
    soma_model_destroy(model);
}

static void as_pytorch(void **state)
{
    (void)state;
    try_module(soma_layer_multi_head_attention(2), "self", 4);
    try_module(soma_layer_multi_head_attention(2, .causal = true, .no_bias = true), "causal", 2);
    try_module(soma_layer_multi_head_attention(2), "cross", 4);
    try_module(soma_layer_multi_head_attention(2), "cross_other", 6);
    try_module(soma_layer_transformer_encoder(2, .units = 12), "encoder", 12);
    try_module(soma_layer_transformer_encoder(2, .units = 12, .norm_first = true,
                                              .activation = SOMA_FEED_GELU, .causal = true),
               "encoder_first", 12);
    try_module(soma_layer_transformer_decoder(2, .units = 12), "decoder", 18);
}

/* --- variants -----------------------------------------------------------------------------------
 */

static soma_tensor *predict(soma_layer *layer, const soma_tensor *x)
{
    soma_error err = {0};
    soma_tensor *y;
    soma_model *model = model_of(layer, SOMA_SHAPE(5, 8), SOMA_TASK_REGRESS);
    assert_ok(soma_model_predict(model, x, &y, &err), err);
    soma_model_destroy(model);
    return y;
}

/* What a causal block says of the first steps does not change with the later ones; with positions
 * of any kind equal steps differ. */
static void sees_no_later_steps(void **state)
{
    (void)state;
    soma_tensor *x = noise(SOMA_SHAPE(1, 5, 8), 1), *y[2];
    for (int kind = 0; kind < 3; kind++) {
        const soma_transformer_options how = {.heads = 2,
                                              .key_heads = 1,
                                              .units = 6,
                                              .activation = SOMA_FEED_SWIGLU,
                                              .norm = SOMA_TRANSFORMER_RMS_NORM,
                                              .norm_first = true,
                                              .causal = true,
                                              .rotary = kind == 1,
                                              .alibi = kind == 2,
                                              .no_bias = true};
        y[0] = predict(soma_layer_transformer_encoder_opt(how), x);
        for (int64_t c = 0; c < 8; c++)
            soma_tensor_set(x, 4 * 8 + c, 3 - (double)c);
        y[1] = predict(soma_layer_transformer_encoder_opt(how), x);
        for (int64_t i = 0; i < 5 * 8; i++)
            assert_true((fabs(soma_tensor_get(y[0], i) - soma_tensor_get(y[1], i)) < 1e-6) ==
                        (i < 4 * 8));
        soma_tensor_release(y[0]);
        soma_tensor_release(y[1]);
        for (int64_t c = 0; c < 8; c++)
            soma_tensor_set(x, 4 * 8 + c, 0.1 * (double)c);
    }
    soma_tensor_release(x);
}

static void adds_positions(void **state)
{
    (void)state;
    soma_tensor *x = noise(SOMA_SHAPE(2, 5, 8), 1);
    soma_tensor *y = predict(soma_layer_positions(0), x);
    assert_true(fabs(soma_tensor_get(y, 8) - soma_tensor_get(x, 8) - sin(1)) < 1e-6);
    assert_true(fabs(soma_tensor_get(y, 9) - soma_tensor_get(x, 9) - cos(1)) < 1e-6);
    soma_tensor_release(y);
    soma_tensor_release(x);
}

static void refuses(void **state)
{
    (void)state;
    const soma_shape input = SOMA_SHAPE(5, 8);
    expect_refusal(soma_layer_multi_head_attention(3), input, SOMA_TASK_REGRESS, SOMA_SHAPE,
                   "3 heads must divide the input's width 8");
    expect_refusal(soma_layer_multi_head_attention(4, .key_heads = 3), input, SOMA_TASK_REGRESS,
                   SOMA_SHAPE, "3 key heads");
    expect_refusal(soma_layer_multi_head_attention(8, .rotary = true), input, SOMA_TASK_REGRESS,
                   SOMA_SHAPE, "heads of an even size");
    expect_refusal(soma_layer_multi_head_attention(2), SOMA_SHAPE(8), SOMA_TASK_REGRESS, SOMA_SHAPE,
                   "needs sequences");
    expect_refusal(soma_layer_transformer_encoder(2), SOMA_SHAPE(8), SOMA_TASK_REGRESS, SOMA_SHAPE,
                   "needs sequences");
    expect_refusal(soma_layer_transformer_decoder(2), input, SOMA_TASK_REGRESS, SOMA_INVALID,
                   "a memory [B,S,M]");
    expect_refusal(soma_layer_positions(4), input, SOMA_TASK_REGRESS, SOMA_SHAPE,
                   "knows 4 positions, but the sequence has 5 steps");
    expect_refusal(soma_layer_tied("embedding1"), input, SOMA_TASK_REGRESS, SOMA_NOT_FOUND,
                   "no layer 'embedding1'");
    expect_refusal(soma_layer_sequential(soma_layer_dense(3), soma_layer_tied("dense1")), input,
                   SOMA_TASK_REGRESS, SOMA_SHAPE, "as wide as the input");
}

/* --- learning -----------------------------------------------------------------------------------
 */

enum { SAMPLES = 128, HALF = 6, STEPS = 2 * HALF - 1, KINDS = 6 };

/* Two blocks of a GPT whose output shares the embedding's weights. */
static soma_model *gpt(void)
{
    const soma_transformer_options block = {
        .heads = 2, .norm_first = true, .causal = true, .activation = SOMA_FEED_GELU};
    return model_of(soma_layer_sequential(
                        soma_layer_embedding(KINDS, 16, .name = "wte"), soma_layer_positions(STEPS),
                        soma_layer_transformer_encoder_opt(block),
                        soma_layer_transformer_encoder_opt(block), soma_layer_layer_norm(),
                        soma_layer_slice(0, STEPS - 1, STEPS), soma_layer_flatten(),
                        soma_layer_tied("wte")),
                    SOMA_SHAPE(STEPS), SOMA_TASK_CLASSIFY);
}

/* Random symbols, then the same once more but for the last, which is to be told. */
static void learns_to_repeat(void **state)
{
    soma_error err = {0};
    soma_data data = {0};
    soma_tensor *x, *y;
    soma_metrics metrics;
    (void)state;
    soma_tensor *draws = noise(SOMA_SHAPE(SAMPLES, HALF), 3);
    assert_ok(soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(SAMPLES, STEPS), &err), err);
    assert_ok(soma_tensor_create(&y, SOMA_I64, SOMA_SHAPE(SAMPLES), &err), err);
    for (int64_t b = 0; b < SAMPLES; b++)
        for (int64_t s = 0; s <= STEPS; s++) {
            const double draw = soma_tensor_get(draws, b * HALF + s % HALF);
            const double kind = floor((draw + 1) * 0.4999 * KINDS);
            if (s < STEPS)
                soma_tensor_set(x, b * STEPS + s, kind);
            else
                soma_tensor_set(y, b, kind);
        }
    assert_ok(soma_dataset_from_tensors(&data.train, x, y, &err), err);
    soma_tensor_release(draws);
    soma_tensor_release(x);
    soma_tensor_release(y);

    soma_model *model = gpt();
    assert_int_equal(soma_model_size(model, true),
                     KINDS * 16 + STEPS * 16 + 2 * (12 * 16 * 16 + 13 * 16) + 2 * 16);
    const soma_train_options options = {
        .epochs = 40, .batch = 32, .optimizer = {.kind = SOMA_ADAM, .rate = 0.01}, .seed = 1};
    assert_ok(soma_train(model, &data, &options, NULL, &err), err);
    assert_ok(soma_evaluate(model, data.train, 64, &metrics, NULL, &err), err);
    assert_true(metrics.accuracy > 0.95);
    soma_model_destroy(model);
    soma_dataset_release(data.train);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_pytorch),       cmocka_unit_test(sees_no_later_steps),
        cmocka_unit_test(adds_positions),   cmocka_unit_test(refuses),
        cmocka_unit_test(learns_to_repeat),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
