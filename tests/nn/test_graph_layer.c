/* Layers wired by names: several inputs and outputs, shared layers, merges; from C, from recipes,
 * through files, in predictions and in training. */
#include "support.h"

#include <math.h>
#include <string.h>

#include "format/yaml.h"
#include "nn/nn.h"

#define NODES(...) (soma_graph_node[]){__VA_ARGS__}, COUNT(((soma_graph_node[]){__VA_ARGS__}))
#define COUNT(array_) ((int)(sizeof(array_) / sizeof((array_)[0])))

/* Two vectors through one encoder; outputs: how alike they are, and the first one's code. */
static soma_layer *siamese(void)
{
    return soma_layer_graph(
        "left,right",
        NODES({.name = "a", .from = "left", .layer = soma_layer_dense(3, .activation = SOMA_TANH)},
              {.name = "b", .from = "right", .share = "a"},
              {.name = "gap", .from = "a, b", .layer = soma_layer_merge(SOMA_MERGE_SUBTRACT)},
              {.name = "same", .layer = soma_layer_dense(1)}),
        "same,a");
}

static soma_model *siamese_model(void)
{
    soma_error err = {0};
    soma_model *model;
    soma_model_options options = {
        .task = SOMA_TASK_REGRESS,
        .seed = 5,
        .inputs = (soma_model_input[]){{.name = "left", .shape = SOMA_SHAPE(4)},
                                       {.shape = SOMA_SHAPE(4), .dtype = SOMA_U8}},
        .input_count = 2};
    assert_ok(soma_model_create(&model, context, siamese(), &options, &err), err);
    return model;
}

static void describes_inputs_and_outputs(void **state)
{
    soma_error err = {0};
    soma_model *model = siamese_model();
    soma_layer_row *rows;
    int count;
    (void)state;
    assert_int_equal(soma_model_input_count(model), 2);
    assert_int_equal(soma_model_output_count(model), 2);
    assert_string_equal(soma_model_get_input(model, 1)->name, "right");
    assert_int_equal(soma_model_get_input(model, 1)->dtype, SOMA_U8);
    assert_string_equal(soma_model_get_output(model, 0)->name, "same");
    assert_true(soma_shape_equal(&soma_model_get_output(model, 1)->shape, &SOMA_SHAPE(3)));
    assert_null(soma_model_get_input(model, 2));
    assert_null(soma_model_get_output(model, -1));
    /* The shared layer's parameters are there once. */
    assert_int_equal(soma_model_parameter_count(model), 4);
    assert_int_equal(soma_model_size(model, true), 15 + 4);
    assert_non_null(soma_model_find(model, "a.weight"));
    assert_null(soma_model_find(model, "b.weight"));
    assert_ok(soma_model_summary(model, &rows, &count, &err), err);
    assert_int_equal(count, 4);
    assert_string_equal(rows[1].name, "b");
    assert_string_equal(rows[1].type, "dense");
    assert_int_equal(rows[0].parameters, 15);
    assert_int_equal(rows[1].parameters, 0);
    assert_true(rows[1].flops > 0 && fabs(rows[1].flops - rows[0].flops) < 0.5);
    soma_free(rows);
    soma_model_destroy(model);

    /* Any other model has one of each. */
    model = model_of(soma_layer_dense(2), SOMA_SHAPE(3), SOMA_TASK_REGRESS);
    assert_int_equal(soma_model_input_count(model), 1);
    assert_string_equal(soma_model_get_input(model, 0)->name, "input");
    assert_string_equal(soma_model_get_output(model, 0)->name, "output");
    soma_model_destroy(model);
}

/* tanh(left W + b), and (that - tanh(right W + b)) · V + c, by hand. */
static void expect_siamese(const soma_model *model, const soma_tensor *left,
                           const soma_tensor *right, const soma_tensor *same,
                           const soma_tensor *code)
{
    const float *w = soma_tensor_f32(soma_model_find(model, "a.weight")->tensor);
    const float *b = soma_tensor_f32(soma_model_find(model, "a.bias")->tensor);
    const float *v = soma_tensor_f32(soma_model_find(model, "same.weight")->tensor);
    const float *c = soma_tensor_f32(soma_model_find(model, "same.bias")->tensor);
    for (int64_t n = 0; n < soma_tensor_shape(left)->dim[0]; n++) {
        double sum = (double)c[0];
        for (int u = 0; u < 3; u++) {
            double one = (double)b[u], other = (double)b[u];
            for (int i = 0; i < 4; i++) {
                one += (double)w[4 * u + i] * soma_tensor_get(left, n * 4 + i);
                other += (double)w[4 * u + i] * soma_tensor_get(right, n * 4 + i);
            }
            assert_true(fabs(soma_tensor_get(code, 3 * n + u) - tanh(one)) < 1e-5);
            sum += (double)v[u] * (tanh(one) - tanh(other));
        }
        assert_true(fabs(soma_tensor_get(same, n) - sum) < 1e-5);
    }
}

static soma_tensor *bytes_of(int64_t samples)
{
    soma_error err = {0};
    soma_tensor *tensor;
    assert_ok(soma_tensor_create(&tensor, SOMA_U8, SOMA_SHAPE(samples, 4), &err), err);
    for (int64_t i = 0; i < 4 * samples; i++)
        soma_tensor_set(tensor, i, (double)(i * 7 % 3));
    return tensor;
}

static void predicts_all_outputs(void **state)
{
    soma_error err = {0};
    soma_model *model = siamese_model(), *loaded;
    soma_tensor *y[2], *again[2];
    (void)state;
    /* More samples than one piece, and then fewer. */
    for (int64_t samples = 300; samples > 0; samples -= 297) {
        soma_tensor *left = noise(SOMA_SHAPE(samples, 4), 1), *right = bytes_of(samples);
        const soma_tensor *x[2] = {left, right};
        assert_ok(soma_model_predict_all(model, x, y, &err), err);
        expect_siamese(model, left, right, y[0], y[1]);

        assert_ok(soma_model_save(model, scratch("siamese"), &err), err);
        assert_ok(soma_model_load(&loaded, context, scratch("siamese"), &err), err);
        assert_int_equal(soma_model_get_input(loaded, 1)->dtype, SOMA_U8);
        assert_string_equal(soma_model_get_input(loaded, 1)->name, "right");
        assert_ok(soma_model_predict_all(loaded, x, again, &err), err);
        for (int i = 0; i < 2; i++) {
            assert_memory_equal(soma_tensor_data(y[i]), soma_tensor_data(again[i]),
                                soma_tensor_bytes(y[i]));
            soma_tensor_release(y[i]);
            soma_tensor_release(again[i]);
        }
        soma_model_destroy(loaded);
        soma_tensor_release(left);
        soma_tensor_release(right);
    }

    /* The way for one input says what to do; other samples and shapes are refused. */
    soma_tensor *left = noise(SOMA_SHAPE(2, 4), 1), *right = noise(SOMA_SHAPE(3, 4), 1), *one;
    assert_int_equal(soma_model_predict(model, left, &one, &err), SOMA_INVALID);
    assert_contains(err.message, "soma_model_predict_all");
    assert_int_equal(soma_model_predict_all(model, (const soma_tensor *[]){left, right}, y, &err),
                     SOMA_SHAPE);
    assert_contains(err.message, "input 'right' has 3 samples, the first one 2");
    assert_null(y[0]);
    assert_int_equal(soma_model_predict_all(model, (const soma_tensor *[]){left, NULL}, y, &err),
                     SOMA_INVALID);
    soma_tensor_release(left);
    soma_tensor_release(right);
    soma_model_destroy(model);
}

/* Both outputs of the siamese network are trained by a loop of the user's own; what both branches
 * learn goes into the one set of weights. */
static void trains_shared_layers(void **state)
{
    soma_error err = {0};
    soma_model *model = siamese_model();
    soma_tensor *left = noise(SOMA_SHAPE(16, 4), 1), *right = noise(SOMA_SHAPE(16, 4), 2);
    double first = 0, last = 0;
    (void)state;
    for (int step = 0; step < 60; step++) {
        soma_graph *graph;
        soma_var parameter[4], gradient[4], y[2];
        soma_update updates[4];
        soma_tensor *loss;
        assert_ok(soma_graph_create(&graph, &err), err);
        soma_var x[2] = {soma_constant(graph, left), soma_constant(graph, right)};
        soma_model_apply_all(model, graph, x, SOMA_TRAIN, (soma_var){0}, NULL, 0, NULL, y);
        /* The gap is to be the difference of the first elements; the code small. */
        soma_var want = soma_sub(soma_slice(x[0], 1, 0, 1), soma_slice(x[1], 1, 0, 1));
        soma_var both = soma_add(soma_mean(soma_square(soma_sub(y[0], want))),
                                 soma_mul_scalar(soma_mean(soma_square(y[1])), 0.01));
        for (int i = 0; i < 4; i++)
            parameter[i] = soma_model_variable(model, graph, i);
        soma_gradients(both, parameter, 4, gradient);
        for (int i = 0; i < 4; i++)
            updates[i] = (soma_update){parameter[i],
                                       soma_sub(parameter[i], soma_mul_scalar(gradient[i], 0.3))};
        assert_ok(soma_eval_many(&loss, context, &both, 1, updates, 4, &err), err);
        last = soma_tensor_get(loss, 0);
        first = step == 0 ? last : first;
        soma_tensor_release(loss);
        soma_graph_destroy(graph);
    }
    if (!(last < 0.1 * first))
        fail_msg("the loss went from %g to %g", first, last);
    soma_tensor_release(left);
    soma_tensor_release(right);
    soma_model_destroy(model);
}

/* A norm used twice follows both batches, one after the other; two dropouts of one layer differ. */
static void shares_state_and_draws(void **state)
{
    soma_error err = {0};
    soma_model *model = model_of(
        soma_layer_graph(NULL,
                         NODES({.name = "n", .layer = soma_layer_batch_norm()},
                               {.name = "again", .share = "n"},
                               {.name = "d", .from = "input", .layer = soma_layer_dropout(0.5)},
                               {.name = "d2", .from = "input", .share = "d"}),
                         "again,d,d2"),
        SOMA_SHAPE(8), SOMA_TASK_REGRESS);
    soma_graph *graph;
    soma_var y[3];
    soma_update updates[4];
    soma_tensor *out[5], *x = noise(SOMA_SHAPE(6, 8), 3);
    int count = 0;
    (void)state;
    soma_tensor *key;
    assert_ok(soma_tensor_from(&key, SOMA_I64, SOMA_SHAPE(2), (const int64_t[]){1, 2}, &err), err);
    assert_ok(soma_graph_create(&graph, &err), err);
    soma_var in = soma_constant(graph, x);
    soma_model_apply_all(model, graph, &in, SOMA_TRAIN, soma_constant(graph, key), updates, 4,
                         &count, y);
    assert_int_equal(count, 2);
    soma_var all[5] = {y[0], y[1], y[2], updates[0].value, updates[1].value};
    assert_ok(soma_eval_many(out, context, all, 5, NULL, 0, &err), err);
    assert_memory_not_equal(soma_tensor_data(out[1]), soma_tensor_data(out[2]), 48 * sizeof(float));
    /* mean: 0.9 · 0.1 · mean(x) + 0.1 · 0, as the first norm's output has the mean 0. */
    for (int c = 0; c < 8; c++) {
        double mean = 0;
        for (int n = 0; n < 6; n++)
            mean += soma_tensor_get(x, n * 8 + c) / 6;
        assert_true(fabs(soma_tensor_get(out[3], c) - 0.09 * mean) < 1e-6);
    }
    for (int i = 0; i < 5; i++)
        soma_tensor_release(out[i]);
    soma_tensor_release(x);
    soma_tensor_release(key);
    soma_graph_destroy(graph);
    soma_model_destroy(model);
}

/* --- merges -------------------------------------------------------------------------------------
 */

static void expect_merge(soma_merge merge, const float *want, int count)
{
    soma_error err = {0};
    soma_tensor *y;
    soma_model *model = model_of(
        soma_layer_graph("x",
                         NODES({.name = "a", .layer = soma_layer_slice(0, 0, 2)},
                               {.name = "b", .from = "x", .layer = soma_layer_slice(-1, 2, 0)},
                               {.name = "m", .from = "a,b", .layer = soma_layer_merge(merge)}),
                         NULL),
        SOMA_SHAPE(4), SOMA_TASK_REGRESS);
    /* The same as branches. */
    soma_model *branches = model_of(
        soma_layer_merge_list(merge, (soma_layer *const[]){soma_layer_slice(0, -4, -2),
                                                           soma_layer_slice(0, -2, 0), NULL}),
        SOMA_SHAPE(4), SOMA_TASK_REGRESS);
    soma_tensor *x = tensor_of(SOMA_SHAPE(1, 4), (const float[]){3, -4, 4, 3});
    for (int form = 0; form < 2; form++) {
        assert_ok(soma_model_predict(form ? branches : model, x, &y, &err), err);
        assert_int_equal(soma_tensor_count(y), count);
        for (int i = 0; i < count; i++)
            if (fabs(soma_tensor_get(y, i) - (double)want[i]) > 1e-6)
                fail_msg("merge %d: %g, expected %g", (int)merge, soma_tensor_get(y, i),
                         (double)want[i]);
        soma_tensor_release(y);
    }
    soma_tensor_release(x);
    soma_model_destroy(model);
    soma_model_destroy(branches);
}

static void merges_by_hand(void **state)
{
    (void)state;
    expect_merge(SOMA_MERGE_CONCAT, (const float[]){3, -4, 4, 3}, 4);
    expect_merge(SOMA_MERGE_ADD, (const float[]){7, -1}, 2);
    expect_merge(SOMA_MERGE_MULTIPLY, (const float[]){12, -12}, 2);
    expect_merge(SOMA_MERGE_AVERAGE, (const float[]){3.5F, -0.5F}, 2);
    expect_merge(SOMA_MERGE_MAXIMUM, (const float[]){4, 3}, 2);
    expect_merge(SOMA_MERGE_MINIMUM, (const float[]){3, -4}, 2);
    expect_merge(SOMA_MERGE_SUBTRACT, (const float[]){-1, -7}, 2);
    expect_merge(SOMA_MERGE_DOT, (const float[]){0}, 1);
    expect_merge(SOMA_MERGE_COSINE, (const float[]){0}, 1);
    /* (1,2) and (2,4) point the same way. */
    soma_error err = {0};
    soma_tensor *y, *x = tensor_of(SOMA_SHAPE(2, 2), (const float[]){1, 2, 0, 0});
    soma_model *model =
        model_of(soma_layer_graph(NULL,
                                  NODES({.name = "m",
                                         .from = "input,input",
                                         .layer = soma_layer_merge(SOMA_MERGE_COSINE)}),
                                  NULL),
                 SOMA_SHAPE(2), SOMA_TASK_REGRESS);
    assert_ok(soma_model_predict(model, x, &y, &err), err);
    assert_true(fabs(soma_tensor_get(y, 0) - 1) < 1e-6 && fabs(soma_tensor_get(y, 1)) < 1e-9);
    soma_tensor_release(x);
    soma_tensor_release(y);
    soma_model_destroy(model);
}

/* --- recipes ------------------------------------------------------------------------------------
 */

static soma_status parse(const char *yaml, soma_layer **out, soma_error *err)
{
    soma__tree tree = {0};
    *out = NULL;
    soma_status status = soma__yaml_parse(&tree, yaml, strlen(yaml), "m.yaml", err);
    if (status == SOMA_OK)
        status = soma__layer_from_value(out, &tree, tree.root, "model", err);
    soma__tree_clear(&tree);
    return status;
}

static const char two_towers[] =
    "- graph:\n"
    "    inputs: [image]\n"
    "    nodes:\n"
    "      - {name: top, layer: {slice: {axis: 0, end: 4}}}\n"
    "      - {name: down, from: image, layer: {slice: {start: 4}}}\n"
    "      - {name: one, from: top, layer: [conv2d: 3, relu]}\n"
    "      - {name: two, from: [down], share: one}\n"
    "      - {name: both, from: [one, two], layer: [concat, flatten]}\n"
    "      - name: sub\n"
    "        from: [both, both]\n"
    "        layer:\n"
    "          graph:\n"
    "            inputs: [p, q]\n"
    "            nodes: [{name: s, from: [p, q], layer: add}]\n"
    "      - {name: out, layer: {dense: 3}}\n";

static void reads_and_writes_recipes(void **state)
{
    soma_error err = {0};
    soma_layer *layer;
    soma_model *loaded;
    soma_layer_cost cost;
    (void)state;
    assert_ok(parse(two_towers, &layer, &err), err);
    assert_ok(soma_layer_measure(layer, SOMA_SHAPE(8, 4, 1), &cost, &err), err);
    soma_model *model = model_of(layer, SOMA_SHAPE(8, 4, 1), SOMA_TASK_CLASSIFY);
    assert_int_equal(cost.parameters, 27 + 3 + 3 * (2 * 2 * 6) + 3);
    assert_int_equal(soma_model_size(model, false), cost.parameters);
    assert_non_null(soma_model_find(model, "one.conv1.weight"));
    assert_ok(soma_model_save(model, scratch("towers"), &err), err);
    assert_ok(soma_model_load(&loaded, context, scratch("towers"), &err), err);
    soma_tensor *x = noise(SOMA_SHAPE(2, 8, 4, 1), 8), *y, *z;
    assert_ok(soma_model_predict(model, x, &y, &err), err);
    assert_ok(soma_model_predict(loaded, x, &z, &err), err);
    assert_memory_equal(soma_tensor_data(y), soma_tensor_data(z), soma_tensor_bytes(y));
    soma_tensor_release(x);
    soma_tensor_release(y);
    soma_tensor_release(z);
    soma_model_destroy(model);
    soma_model_destroy(loaded);
}

/* --- refusals -----------------------------------------------------------------------------------
 */

static void refuses_bad_recipes(void **state)
{
    static const struct {
        const char *yaml, *part;
    } cases[] = {
        {"graph: {nodes: relu}", "expected a list of nodes"},
        {"graph: {nodes: [{layer: relu}]}", "'name' is missing"},
        {"graph: {nodes: [{name: a}]}", "either a layer or share"},
        {"graph: {nodes: [{name: a, layer: relu, share: b}]}", "either a layer or share"},
        {"graph: {nodes: [{name: a, layer: rleu}]}", "did you mean 'relu'"},
        {"graph: {nodes: [{name: a, layer: relu, form: b}]}", "did you mean 'from'"},
        {"graph: {nodes: [{name: a, layer: relu, from: [[b]]}]}", "a list of names"},
        {"graph: {nodes: [{name: a, layer: relu, from: []}]}", "the list is empty"},
        {"graph: {inputs: {a: b}, nodes: [{name: a, layer: relu}]}", "a list of names"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        soma_error err = {0};
        soma_layer *layer;
        assert_int_equal(parse(cases[i].yaml, &layer, &err), SOMA_INVALID);
        assert_contains(err.message, cases[i].part);
        assert_contains(err.message, "m.yaml:1: model.graph");
    }
}

static void refuses_bad_graphs(void **state)
{
    const soma_task task = SOMA_TASK_REGRESS;
    const soma_shape four = SOMA_SHAPE(4);
    (void)state;
    expect_refusal(
        soma_layer_graph("a,b", NODES({.name = "n", .layer = soma_layer_dense(1)}), NULL), four,
        task, SOMA_INVALID, "takes 2 inputs (a,b), got 1");
    expect_refusal(soma_layer_graph(NULL, NULL, 0, NULL), four, task, SOMA_INVALID, "no nodes");
    expect_refusal(
        soma_layer_graph("a,a", NODES({.name = "n", .layer = soma_layer_dense(1)}), NULL), four,
        task, SOMA_INVALID, "got 1");
    expect_refusal(
        soma_layer_graph(NULL, NODES({.name = "input", .layer = soma_layer_dense(1)}), NULL), four,
        task, SOMA_INVALID, "two nodes or inputs are named 'input'");
    expect_refusal(
        soma_layer_graph(NULL, NODES({.name = "a.b", .layer = soma_layer_dense(1)}), NULL), four,
        task, SOMA_INVALID, "may hold only letters");
    expect_refusal(soma_layer_graph(NULL, NODES({.layer = soma_layer_dense(1)}), NULL), four, task,
                   SOMA_INVALID, "a name has 1 to");
    expect_refusal(soma_layer_graph(
                       NULL, NODES({.name = "n", .from = "x", .layer = soma_layer_dense(1)}), NULL),
                   four, task, SOMA_INVALID, "node 'n': there is no input or node 'x'");
    expect_refusal(soma_layer_graph(NULL,
                                    NODES({.name = "n", .from = "m", .layer = soma_layer_dense(1)},
                                          {.name = "m", .layer = soma_layer_dense(1)}),
                                    NULL),
                   four, task, SOMA_INVALID, "no input or node 'm' before it");
    expect_refusal(soma_layer_graph(NULL, NODES({.name = "n", .layer = soma_layer_dense(1)}), "q"),
                   four, task, SOMA_INVALID, "outputs: there is no input or node 'q'");
    expect_refusal(soma_layer_graph(NULL, NODES({.name = "n", .share = "m"}), NULL), four, task,
                   SOMA_INVALID, "shares 'm', but there is no such node before it");
    expect_refusal(soma_layer_graph(NULL, NODES({.name = "n"}), NULL), four, task, SOMA_INVALID,
                   "node 'n' has no layer");
    expect_refusal(
        soma_layer_graph(
            NULL, NODES({.name = "n", .from = "input,input", .layer = soma_layer_dense(1)}), NULL),
        four, task, SOMA_INVALID, "takes one input, got 2");
    expect_refusal(
        soma_layer_graph(
            NULL,
            NODES({.name = "n", .layer = soma_layer_dense(1)},
                  {.name = "m", .from = "input,n", .layer = soma_layer_merge(SOMA_MERGE_ADD)}),
            NULL),
        four, task, SOMA_SHAPE, "input 1 is [1,4], input 2 is [1,1]");
    /* Other sizes do not fit the shared weights. */
    expect_refusal(soma_layer_graph(NULL,
                                    NODES({.name = "n", .layer = soma_layer_dense(3)},
                                          {.name = "m", .share = "n"}),
                                    NULL),
                   four, task, SOMA_SHAPE, "linear");
    expect_refusal(
        soma_layer_sequential(
            soma_layer_graph(NULL, NODES({.name = "n", .layer = soma_layer_dense(1)}), "n,input"),
            soma_layer_dense(1)),
        four, task, SOMA_INVALID, "only the outermost graph");
    expect_refusal(soma_layer_slice(1, 0, 0), four, task, SOMA_SHAPE, "no axis 1");
    expect_refusal(soma_layer_slice(0, 3, 9), four, task, SOMA_SHAPE, "not within");
    expect_refusal(soma_layer_merge(SOMA_MERGE_ADD), four, task, SOMA_INVALID, "no branches");
}

static void refuses_other_inputs(void **state)
{
    soma_error err = {0};
    soma_model *model;
    const soma_model_input wrong[2] = {{.name = "right", .shape = SOMA_SHAPE(4)},
                                       {.shape = SOMA_SHAPE(4)}};
    soma_model_options options = {.task = SOMA_TASK_REGRESS, .inputs = wrong, .input_count = 2};
    (void)state;
    assert_int_equal(soma_model_create(&model, context, siamese(), &options, &err), SOMA_INVALID);
    assert_contains(err.message, "input 1 is called 'right' in the options, but 'left'");
    options.input_count = 33;
    assert_int_equal(soma_model_create(&model, context, siamese(), &options, &err), SOMA_INVALID);
    assert_contains(err.message, "1 to 32 inputs");
    options = (soma_model_options){
        .inputs = (soma_model_input[]){{.shape = SOMA_SHAPE(4), .dtype = SOMA_I64},
                                       {.shape = SOMA_SHAPE(4)}},
        .input_count = 2};
    assert_int_equal(soma_model_create(&model, context, siamese(), &options, &err), SOMA_DTYPE);
    /* Several inputs into a layer that takes one. */
    options.inputs = &wrong[1];
    options.input_count = 1;
    assert_int_equal(soma_model_create(&model, context, siamese(), &options, &err), SOMA_INVALID);

    model = siamese_model();
    soma_graph *graph;
    assert_ok(soma_graph_create(&graph, &err), err);
    soma_var x = soma_input(graph, "x", SOMA_F32, SOMA_SHAPE(1, 4));
    assert_false(soma_var_ok(
        soma_model_apply(model, graph, x, SOMA_EVALUATE, (soma_var){0}, NULL, 0, NULL)));
    assert_int_equal(soma_graph_status(graph, &err), SOMA_INVALID);
    assert_contains(err.message, "soma_model_apply_all");
    soma_graph_destroy(graph);
    soma_model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(describes_inputs_and_outputs),
        cmocka_unit_test(predicts_all_outputs),
        cmocka_unit_test(trains_shared_layers),
        cmocka_unit_test(shares_state_and_draws),
        cmocka_unit_test(merges_by_hand),
        cmocka_unit_test(reads_and_writes_recipes),
        cmocka_unit_test(refuses_bad_recipes),
        cmocka_unit_test(refuses_bad_graphs),
        cmocka_unit_test(refuses_other_inputs),
    };
    return cmocka_run_group_tests_name("graph layer", tests, open_context, close_context);
}
