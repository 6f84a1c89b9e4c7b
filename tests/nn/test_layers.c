/* Layers: shapes, parameters and their names, initial values, what each computes, and each refusal.
 */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "graph/graph.h"
#include "nn/nn.h"

#define IMAGE SOMA_SHAPE(28, 28, 1)

/* --- whole networks
 * ------------------------------------------------------------------------------- */

static soma_layer *mnist_cnn(void)
{
    return soma_layer_sequential(soma_layer_conv2d(32, 3, .activation = SOMA_RELU),
                                 soma_layer_conv2d(64, 3, .activation = SOMA_RELU),
                                 soma_layer_max_pool2d(2), soma_layer_spatial_dropout(0.25),
                                 soma_layer_flatten(),
                                 soma_layer_dense(128, .activation = SOMA_RELU),
                                 soma_layer_dropout(0.5), soma_layer_dense(10));
}

static soma_layer *mlp(int64_t first, int64_t second)
{
    if (second)
        return soma_layer_sequential(
            soma_layer_flatten(), soma_layer_dense(first, .activation = SOMA_RELU),
            soma_layer_dense(second, .activation = SOMA_RELU), soma_layer_dense(10));
    return soma_layer_sequential(soma_layer_flatten(),
                                 soma_layer_dense(first, .activation = SOMA_RELU),
                                 soma_layer_dense(10));
}

static soma_layer *lenet5(void)
{
    return soma_layer_sequential(
        soma_layer_conv2d(6, 5, .padding = SOMA_PAD_SAME, .activation = SOMA_TANH),
        soma_layer_avg_pool2d(2), soma_layer_conv2d(16, 5, .activation = SOMA_TANH),
        soma_layer_avg_pool2d(2), soma_layer_flatten(),
        soma_layer_dense(120, .activation = SOMA_TANH),
        soma_layer_dense(84, .activation = SOMA_TANH), soma_layer_dense(10));
}

static void counts_parameters(void **state)
{
    const struct {
        soma_layer *layer;
        int64_t size;
    } networks[] = {{mlp(256, 0), 203530},
                    {mlp(128, 64), 109386},
                    {mlp(500, 0), 397510},
                    {mnist_cnn(), 1199882},
                    {lenet5(), 61706}};
    (void)state;
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++) {
        soma_model *model = model_of(networks[i].layer, IMAGE, SOMA_TASK_CLASSIFY);
        assert_int_equal(soma_model_size(model, false), networks[i].size);
        assert_int_equal(soma_model_size(model, true), networks[i].size);
        assert_int_equal(soma_model_class_count(model), 10);
        assert_string_equal(soma_model_class(model, 9), "9");
        assert_null(soma_model_class(model, 10));
        soma_model_destroy(model);
    }
}

static void names_parameters(void **state)
{
    static const char *const names[] = {"conv1.weight",  "conv1.bias",    "conv2.weight",
                                        "conv2.bias",    "dense1.weight", "dense1.bias",
                                        "dense2.weight", "dense2.bias"};
    soma_model *model = model_of(mnist_cnn(), IMAGE, SOMA_TASK_CLASSIFY);
    (void)state;
    assert_int_equal(soma_model_parameter_count(model), 8);
    for (int i = 0; i < 8; i++)
        assert_string_equal(soma_model_parameter(model, i)->name, names[i]);
    assert_null(soma_model_parameter(model, 8));
    assert_null(soma_model_parameter(model, -1));
    assert_null(soma_model_find(model, "conv3.weight"));
    const soma_parameter *weight = soma_model_find(model, "conv2.weight");
    assert_true(soma_shape_equal(soma_tensor_shape(weight->tensor), &SOMA_SHAPE(64, 3, 3, 32)));
    assert_true(weight->trainable);
    assert_false(weight->buffer);
    soma_model_destroy(model);
}

static void summarises(void **state)
{
    static const struct {
        const char *name, *type;
        soma_shape output;
        int64_t parameters;
        double flops_low, flops_high; /* products count twice; bias and relu come on top */
    } want[] = {
        {"conv1", "conv2d", {4, {1, 26, 26, 32}}, 320, 389376, 389376 + 3 * 21632},
        {"conv2", "conv2d", {4, {1, 24, 24, 64}}, 18496, 21233664, 21233664 + 3 * 36864},
        {"pool1", "max_pool2d", {4, {1, 12, 12, 64}}, 0, 1, 40000},
        {"dropout1", "spatial_dropout", {4, {1, 12, 12, 64}}, 0, 0, 0},
        {"flatten1", "flatten", {2, {1, 9216}}, 0, 0, 0},
        {"dense1", "dense", {2, {1, 128}}, 1179776, 2359296, 2359296 + 3 * 128},
        {"dropout2", "dropout", {2, {1, 128}}, 0, 0, 0},
        {"dense2", "dense", {2, {1, 10}}, 1290, 2560, 2560 + 30},
    };
    soma_error err = {0};
    soma_layer_row *rows;
    int count;
    soma_model *model = model_of(mnist_cnn(), IMAGE, SOMA_TASK_CLASSIFY);
    (void)state;
    assert_int_equal(soma_model_freeze(model, "conv2.", true), 2);
    assert_ok(soma_model_summary(model, &rows, &count, &err), err);
    assert_int_equal(count, 8);
    for (int i = 0; i < count; i++) {
        assert_string_equal(rows[i].name, want[i].name);
        assert_string_equal(rows[i].type, want[i].type);
        assert_int_equal(rows[i].depth, 0);
        assert_true(soma_shape_equal(&rows[i].output, &want[i].output));
        assert_int_equal(rows[i].parameters, want[i].parameters);
        assert_int_equal(rows[i].trainable, i == 1 ? 0 : want[i].parameters);
        if (rows[i].flops < want[i].flops_low || rows[i].flops > want[i].flops_high)
            fail_msg("%s: %.0f flops", rows[i].name, rows[i].flops);
    }
    soma_free(rows);
    soma_model_destroy(model);
}

static void nests_names_and_rows(void **state)
{
    static const struct {
        const char *name, *type;
        int depth;
    } want[] = {{"stem", "conv2d", 0},
                {"residual1", "residual", 0},
                {"residual1.body", "sequential", 1},
                {"residual1.body.conv1", "conv2d", 2},
                {"residual1.body.norm1", "batch_norm", 2},
                {"residual1.body.relu1", "relu", 2},
                {"residual1.shortcut", "conv2d", 1},
                {"mix", "concat", 0},
                {"mix.branch1", "conv2d", 1},
                {"mix.wide", "max_pool2d", 1},
                {"pool1", "global_avg_pool2d", 0},
                {"dense1", "dense", 0}};
    soma_error err = {0};
    soma_layer_row *rows;
    int count;
    int64_t parameters = 0;
    soma_layer *body = soma_layer_sequential(soma_layer_conv2d(6, 1), soma_layer_batch_norm(),
                                             soma_layer_activation(SOMA_RELU));
    soma_layer *branches = soma_layer_concat_list((soma_layer *const[]){
        soma_layer_conv2d(4, 1),
        soma_layer_named(soma_layer_max_pool2d(3, .stride = {1, 1}, .padding = SOMA_PAD_SAME),
                         "wide"),
        NULL});
    soma_model *model = model_of(
        soma_layer_sequential(
            soma_layer_conv2d(4, 3, .name = "stem"),
            soma_layer_residual(body, soma_layer_conv2d(6, 1, .no_bias = true), SOMA_RELU),
            soma_layer_named(branches, "mix"), soma_layer_global_avg_pool2d(), soma_layer_dense(3)),
        SOMA_SHAPE(8, 8, 1), SOMA_TASK_CLASSIFY);
    (void)state;
    assert_ok(soma_model_summary(model, &rows, &count, &err), err);
    assert_int_equal(count, (int)(sizeof want / sizeof want[0]));
    for (int i = 0; i < count; i++) {
        assert_string_equal(rows[i].name, want[i].name);
        assert_string_equal(rows[i].type, want[i].type);
        assert_int_equal(rows[i].depth, want[i].depth);
        parameters += rows[i].parameters;
    }
    /* What the blocks hold is counted once. */
    assert_int_equal(parameters, soma_model_size(model, false));
    assert_true(soma_shape_equal(&rows[7].output, &SOMA_SHAPE(1, 6, 6, 10)));
    assert_non_null(soma_model_find(model, "residual1.body.norm1.running_var"));
    assert_non_null(soma_model_find(model, "residual1.shortcut.weight"));
    assert_null(soma_model_find(model, "residual1.shortcut.bias"));
    assert_non_null(soma_model_find(model, "mix.branch1.weight"));
    soma_free(rows);
    soma_model_destroy(model);
}

/* --- initial values
 * ------------------------------------------------------------------------------- */

static void check_uniform(const soma_model *model, const char *name, double bound)
{
    const soma_parameter *parameter = soma_model_find(model, name);
    double largest = 0, sum = 0;
    assert_non_null(parameter);
    int64_t count = soma_tensor_count(parameter->tensor);
    for (int64_t i = 0; i < count; i++) {
        double value = soma_tensor_get(parameter->tensor, i);
        largest = fmax(largest, fabs(value));
        sum += value * value;
    }
    if (largest > bound || largest < 0.98 * bound ||
        fabs(sum / (double)count / (bound * bound / 3) - 1) > 0.06)
        fail_msg("%s: largest %g, bound %g, variance %g", name, largest, bound,
                 sum / (double)count);
}

static void initialises_by_what_comes_next(void **state)
{
    soma_model *model = model_of(
        soma_layer_sequential(soma_layer_dense(100, .activation = SOMA_RELU), soma_layer_dense(100),
                              soma_layer_batch_norm(), soma_layer_dropout(0.1),
                              soma_layer_activation(SOMA_ELU),
                              soma_layer_dense(100, .activation = SOMA_TANH), soma_layer_dense(60)),
        SOMA_SHAPE(50), SOMA_TASK_REGRESS);
    (void)state;
    check_uniform(model, "dense1.weight", sqrt(6.0 / 50));
    check_uniform(model, "dense2.weight", sqrt(6.0 / 100));
    check_uniform(model, "dense3.weight", sqrt(6.0 / 200));
    check_uniform(model, "dense4.weight", sqrt(6.0 / 160));
    const soma_tensor *bias = soma_model_find(model, "dense1.bias")->tensor;
    for (int64_t i = 0; i < soma_tensor_count(bias); i++)
        assert_true(fpclassify(soma_tensor_get(bias, i)) == FP_ZERO);
    soma_model_destroy(model);

    /* Groups have fewer inputs. */
    model = model_of(soma_layer_conv2d(64, 3, .groups = 4, .activation = SOMA_RELU),
                     SOMA_SHAPE(8, 8, 16), SOMA_TASK_REGRESS);
    check_uniform(model, "conv1.weight", sqrt(6.0 / (9 * 4)));
    soma_model_destroy(model);
}

static void initialises_by_request(void **state)
{
    static const struct {
        soma_init init;
        double mean, deviation;
    } cases[] = {
        {SOMA_INIT_XAVIER_UNIFORM, 0, 0.1},
        {SOMA_INIT_XAVIER_NORMAL, 0, 0.1},
        {SOMA_INIT_HE_UNIFORM, 0, 0.141421},
        {SOMA_INIT_HE_NORMAL, 0, 0.141421},
        {SOMA_INIT_NORMAL, 0, 0.05},
        {SOMA_INIT_UNIFORM, 0, 0.05 / 1.7320508},
        {SOMA_INIT_ZEROS, 0, 0},
        {SOMA_INIT_ONES, 1, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        soma_model *model = model_of(soma_layer_dense(100, .init = {.kind = cases[i].init}),
                                     SOMA_SHAPE(100), SOMA_TASK_REGRESS);
        const soma_tensor *weight = soma_model_find(model, "dense1.weight")->tensor;
        double sum = 0, squares = 0, n = (double)soma_tensor_count(weight);
        for (int64_t k = 0; k < soma_tensor_count(weight); k++) {
            sum += soma_tensor_get(weight, k);
            squares += pow(soma_tensor_get(weight, k), 2);
        }
        double mean = sum / n, deviation = sqrt(fmax(0, squares / n - mean * mean));
        if (fabs(mean - cases[i].mean) > 0.005 ||
            fabs(deviation - cases[i].deviation) > 0.03 * cases[i].deviation + 1e-9)
            fail_msg("%s: mean %g, deviation %g", soma__init_names[cases[i].init], mean, deviation);
        soma_model_destroy(model);
    }
}

static void initialises_by_seed_and_name(void **state)
{
    soma_error err = {0};
    soma_model *model[3];
    (void)state;
    for (int i = 0; i < 3; i++) {
        /* The third has one more layer: the weights of the others stay. */
        soma_layer *layer =
            i < 2 ? soma_layer_sequential(soma_layer_dense(8), soma_layer_dense(4))
                  : soma_layer_sequential(soma_layer_dense(8), soma_layer_dense(8, .name = "new"),
                                          soma_layer_dense(4, .name = "dense2"));
        soma_model_options options = {
            .input = SOMA_SHAPE(5), .task = SOMA_TASK_REGRESS, .seed = i == 1 ? 4 : 3};
        assert_ok(soma_model_create(&model[i], context, layer, &options, &err), err);
    }
    const float *w[3];
    for (int i = 0; i < 3; i++)
        w[i] = soma_tensor_f32(soma_model_find(model[i], "dense2.weight")->tensor);
    assert_memory_equal(w[0], w[2], 32 * sizeof(float));
    assert_memory_not_equal(w[0], w[1], 32 * sizeof(float));
    for (int i = 0; i < 3; i++)
        soma_model_destroy(model[i]);
}

/* --- what they compute
 * ---------------------------------------------------------------------------- */

static void expect_values(const soma_tensor *y, const double *want, int count, double tolerance)
{
    assert_int_equal(soma_tensor_count(y), count);
    for (int i = 0; i < count; i++)
        if (!(fabs(soma_tensor_get(y, i) - want[i]) <= tolerance))
            fail_msg("element %d is %.9g, expected %.9g", i, soma_tensor_get(y, i), want[i]);
}

/* Predicts x and compares; takes layer and x. */
static void expect_output(soma_layer *layer, soma_shape input, soma_tensor *x, const double *want,
                          int count)
{
    soma_error err = {0};
    soma_tensor *y;
    soma_model *model = model_of(layer, input, SOMA_TASK_REGRESS);
    assert_ok(soma_model_predict(model, x, &y, &err), err);
    expect_values(y, want, count, 1e-5);
    soma_tensor_release(y);
    soma_tensor_release(x);
    soma_model_destroy(model);
}

static void activates(void **state)
{
    static const float values[] = {-2, 0.5F};
    static const double want[][2] = {
        [SOMA_LINEAR] = {-2, 0.5},
        [SOMA_RELU] = {0, 0.5},
        [SOMA_TANH] = {-0.96402758, 0.46211716},
        [SOMA_SIGMOID] = {0.11920292, 0.62245933},
        [SOMA_GELU] = {-0.04550026, 0.34573123},
        [SOMA_GELU_TANH] = {-0.04540231, 0.34571400},
        [SOMA_SILU] = {-0.23840584, 0.31122967},
        [SOMA_LEAKY_RELU] = {-0.02, 0.5},
        [SOMA_ELU] = {-0.86466472, 0.5},
        [SOMA_SOFTPLUS] = {0.12692801, 0.97407698},
        [SOMA_SOFTMAX] = {0.07585818, 0.92414182},
        [SOMA_LOG_SOFTMAX] = {-2.57888973, -0.07888973},
        [SOMA_RELU6] = {0, 0.5},
        [SOMA_SELU] = {-1.5201665, 0.52535049},
        [SOMA_CELU] = {-0.86466472, 0.5},
        [SOMA_HARD_SIGMOID] = {0.16666667, 0.58333333},
        [SOMA_HARD_SWISH] = {-0.33333333, 0.29166667},
        [SOMA_HARD_TANH] = {-1, 0.5},
        [SOMA_MISH] = {-0.25250148, 0.37524521},
        [SOMA_SOFTSIGN] = {-0.66666667, 0.33333333},
        [SOMA_LOGSIGMOID] = {-2.126928, -0.47407698},
        [SOMA_SOFTSHRINK] = {-1.5, 0},
        [SOMA_HARDSHRINK] = {-2, 0},
        [SOMA_TANHSHRINK] = {-1.0359724, 0.037882843},
        [SOMA_SOFTMIN] = {0.92414182, 0.07585818},
    };
    (void)state;
    for (int i = 0; i <= SOMA_SOFTMIN; i++)
        expect_output(soma_layer_activation((soma_activation)i), SOMA_SHAPE(2),
                      tensor_of(SOMA_SHAPE(1, 2), values), want[i], 2);
}

static void gates(void **state)
{
    static const float values[] = {1, -2, 0, 3};
    static const double want[][2] = {[SOMA_GLU] = {0.5, -1.90514825},
                                     [SOMA_SWIGLU] = {0, -0.71521754},
                                     [SOMA_GEGLU] = {0, -0.13650079}};
    (void)state;
    for (int i = 0; i <= SOMA_GEGLU; i++)
        expect_output(soma_layer_gated((soma_gated)i), SOMA_SHAPE(4),
                      tensor_of(SOMA_SHAPE(1, 4), values), want[i], 2);
    expect_output(soma_layer_prelu(), SOMA_SHAPE(4), tensor_of(SOMA_SHAPE(1, 4), values),
                  (const double[]){1, -0.5, 0, 3}, 4);
}

static void pools_and_reshapes(void **state)
{
    static const float values[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    soma_shape image = SOMA_SHAPE(4, 4, 1), batch = SOMA_SHAPE(1, 4, 4, 1);
    (void)state;
    expect_output(soma_layer_max_pool2d(2), image, tensor_of(batch, values),
                  (const double[]){6, 8, 14, 16}, 4);
    expect_output(soma_layer_avg_pool2d(2), image, tensor_of(batch, values),
                  (const double[]){3.5, 5.5, 11.5, 13.5}, 4);
    expect_output(soma_layer_avg_pool2d(4, .stride = {4, 4}, .pad = {1, 0, 3, 0}), image,
                  tensor_of(batch, values), (const double[]){6.5, 14.5}, 2);
    expect_output(
        soma_layer_avg_pool2d(4, .stride = {4, 4}, .pad = {1, 0, 3, 0}, .count_pad = true), image,
        tensor_of(batch, values), (const double[]){4.875, 3.625}, 2);
    expect_output(soma_layer_global_avg_pool2d(), image, tensor_of(batch, values),
                  (const double[]){8.5}, 1);
    expect_output(
        soma_layer_sequential(soma_layer_reshape(SOMA_SHAPE(2, -1, 4)),
                              soma_layer_max_pool2d_opt((soma_pool_layer_options){.size = {1, 2}})),
        image, tensor_of(batch, values), (const double[]){5, 6, 7, 8, 13, 14, 15, 16}, 8);
    static const float categories[] = {2, 0, 3, 7};
    expect_output(soma_layer_permute((const int64_t[]){-1, 0}, 2), SOMA_SHAPE(2, 2),
                  tensor_of(SOMA_SHAPE(1, 2, 2), categories), (const double[]){2, 3, 0, 7}, 4);
    /* 7 is no category of four, nor has it a vector. */
    expect_output(soma_layer_embedding(4, 2, .init = {.kind = SOMA_INIT_ONES}), SOMA_SHAPE(4),
                  tensor_of(SOMA_SHAPE(1, 4), categories), (const double[]){1, 1, 1, 1, 1, 1, 0, 0},
                  8);
}

static void joins_branches(void **state)
{
    static const float values[] = {1, -2};
    soma_layer *const side[] = {soma_layer_activation(SOMA_RELU), soma_layer_sequential_list(NULL),
                                NULL};
    soma_layer *const sum[] = {soma_layer_activation(SOMA_RELU), soma_layer_activation(SOMA_LINEAR),
                               NULL};
    (void)state;
    expect_output(soma_layer_concat_list(side), SOMA_SHAPE(2), tensor_of(SOMA_SHAPE(1, 2), values),
                  (const double[]){1, 0, 1, -2}, 4);
    expect_output(soma_layer_add_list(sum), SOMA_SHAPE(2), tensor_of(SOMA_SHAPE(1, 2), values),
                  (const double[]){2, -2}, 2);
    expect_output(soma_layer_residual(soma_layer_activation(SOMA_RELU), NULL, SOMA_RELU),
                  SOMA_SHAPE(2), tensor_of(SOMA_SHAPE(1, 2), values), (const double[]){2, 0}, 2);
    expect_output(soma_layer_residual(soma_layer_activation(SOMA_RELU),
                                      soma_layer_dense(2, .init = {.kind = SOMA_INIT_ONES}),
                                      SOMA_LINEAR),
                  SOMA_SHAPE(2), tensor_of(SOMA_SHAPE(1, 2), values), (const double[]){0, -1}, 2);
}

/* Applies the model in training to x; the output is returned and updates are written. */
static soma_tensor *train_once(soma_model *model, const soma_tensor *x, int64_t step,
                               int *update_count)
{
    soma_error err = {0};
    soma_graph *graph;
    soma_tensor *key, *y;
    soma_update updates[8];
    assert_ok(soma_graph_create(&graph, &err), err);
    assert_ok(soma_tensor_from(&key, SOMA_I64, SOMA_SHAPE(2), (int64_t[]){5, step}, &err), err);
    *update_count = 0;
    soma_var out = soma_model_apply(model, graph, soma_constant(graph, x), SOMA_TRAIN,
                                    soma_variable(graph, "key", key), updates, 8, update_count);
    assert_ok(soma_eval_many(&y, context, &out, 1, updates, *update_count, &err), err);
    soma_graph_destroy(graph);
    soma_tensor_release(key);
    return y;
}

static void normalises_batches(void **state)
{
    /* Two channels: 1 2 3 6 (mean 3, variance 3.5, unbiased 14/3) and four times 5. */
    static const float values[] = {1, 5, 2, 5, 3, 5, 6, 5};
    soma_error err = {0};
    int updates;
    soma_tensor *x = tensor_of(SOMA_SHAPE(2, 2, 1, 2), values), *y;
    soma_model *model =
        model_of(soma_layer_batch_norm(.momentum = 0.25), SOMA_SHAPE(2, 1, 2), SOMA_TASK_REGRESS);
    double d = sqrt(3.5 + 1e-5);
    (void)state;

    y = train_once(model, x, 0, &updates);
    assert_int_equal(updates, 2);
    expect_values(y, (const double[]){-2 / d, 0, -1 / d, 0, 0, 0, 3 / d, 0}, 8, 1e-4);
    soma_tensor_release(y);
    const soma_tensor *mean = soma_model_find(model, "norm1.running_mean")->tensor;
    const soma_tensor *var = soma_model_find(model, "norm1.running_var")->tensor;
    expect_values(mean, (const double[]){0.75, 1.25}, 2, 1e-6);
    expect_values(var, (const double[]){0.75 + 0.25 * 14 / 3, 0.75}, 2, 1e-6);

    /* Evaluation takes the running statistics and leaves them. */
    assert_ok(soma_model_predict(model, x, &y, &err), err);
    assert_true(fabs(soma_tensor_get(y, 0) - 0.25 / sqrt(0.75 + 3.5 / 3 + 1e-5)) < 1e-5);
    assert_true(fabs(soma_tensor_get(y, 1) - 3.75 / sqrt(0.75 + 1e-5)) < 1e-4);
    soma_tensor_release(y);
    expect_values(mean, (const double[]){0.75, 1.25}, 2, 1e-6);

    /* So does a frozen layer, in training too. */
    assert_int_equal(soma_model_freeze(model, "", true), 2);
    assert_int_equal(soma_model_size(model, true), 0);
    soma_tensor *frozen = train_once(model, x, 0, &updates);
    assert_int_equal(updates, 0);
    assert_ok(soma_model_predict(model, x, &y, &err), err);
    for (int i = 0; i < 8; i++)
        assert_true(fabs(soma_tensor_get(y, i) - soma_tensor_get(frozen, i)) < 1e-6);
    soma_tensor_release(y);
    soma_tensor_release(frozen);
    soma_tensor_release(x);
    soma_model_destroy(model);

    /* A single value has no variance: no statistics come of it, and no NaN. */
    model = model_of(soma_layer_batch_norm(), SOMA_SHAPE(2), SOMA_TASK_REGRESS);
    x = tensor_of(SOMA_SHAPE(1, 2), values);
    y = train_once(model, x, 0, &updates);
    assert_int_equal(updates, 0);
    expect_values(y, (const double[]){1, 5}, 2, 1e-4);
    soma_tensor_release(y);
    soma_tensor_release(x);
    soma_model_destroy(model);
}

static void normalises_layers(void **state)
{
    static const float values[] = {1, 2, 3, 6};
    double d = sqrt(3.5 + 1e-5);
    (void)state;
    expect_output(soma_layer_layer_norm(), SOMA_SHAPE(4), tensor_of(SOMA_SHAPE(1, 4), values),
                  (const double[]){-2 / d, -1 / d, 0, 3 / d}, 4);
}

static void drops_out(void **state)
{
    soma_error err = {0};
    int updates, zeros = 0, kept = 0, changed = 0;
    soma_tensor *x, *y, *again, *later;
    soma_model *model = model_of(soma_layer_dropout(0.3), SOMA_SHAPE(500), SOMA_TASK_REGRESS);
    (void)state;
    assert_ok(soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(20, 500), &err), err);
    soma_tensor_fill(x, 1);
    assert_ok(soma_model_predict(model, x, &y, &err), err);
    assert_memory_equal(soma_tensor_data(x), soma_tensor_data(y), soma_tensor_bytes(x));
    soma_tensor_release(y);
    y = train_once(model, x, 1, &updates);
    again = train_once(model, x, 1, &updates);
    later = train_once(model, x, 2, &updates);
    for (int i = 0; i < 10000; i++) {
        double value = soma_tensor_get(y, i);
        zeros += fpclassify(value) == FP_ZERO;
        kept += fabs(value - 1 / 0.7) < 1e-6;
        changed += fabs(value - soma_tensor_get(later, i)) > 0.1;
    }
    assert_int_equal(zeros + kept, 10000);
    assert_in_range(zeros, 2850, 3150);
    assert_in_range(changed, 3900, 4500); /* 2 · 0.3 · 0.7 of them */
    assert_memory_equal(soma_tensor_data(y), soma_tensor_data(again), soma_tensor_bytes(y));
    soma_tensor_release(y);
    soma_tensor_release(again);
    soma_tensor_release(later);
    soma_tensor_release(x);
    soma_model_destroy(model);

    /* Whole feature maps. */
    model = model_of(soma_layer_spatial_dropout(0.5), SOMA_SHAPE(3, 3, 40), SOMA_TASK_REGRESS);
    assert_ok(soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(2, 3, 3, 40), &err), err);
    soma_tensor_fill(x, 1);
    y = train_once(model, x, 1, &updates);
    zeros = 0;
    for (int n = 0; n < 2; n++)
        for (int c = 0; c < 40; c++) {
            double first = soma_tensor_get(y, n * 360 + c);
            zeros += first < 1;
            for (int p = 1; p < 9; p++)
                assert_true(fabs(soma_tensor_get(y, n * 360 + p * 40 + c) - first) < 1e-9);
        }
    assert_in_range(zeros, 25, 55);
    soma_tensor_release(y);
    soma_tensor_release(x);
    soma_model_destroy(model);
}

static void shares_variables(void **state)
{
    soma_error err = {0};
    soma_graph *graph;
    soma_model *model = model_of(mlp(8, 0), SOMA_SHAPE(4), SOMA_TASK_CLASSIFY);
    (void)state;
    assert_ok(soma_graph_create(&graph, &err), err);
    soma_var weight = soma_model_variable(model, graph, 0);
    soma_var x = soma_input(graph, "x", SOMA_F32, SOMA_SHAPE(3, 4));
    soma_model_apply(model, graph, x, SOMA_EVALUATE, (soma_var){0}, NULL, 0, NULL);
    int64_t count = soma_graph_count(graph);
    assert_int_equal(soma_model_variable(model, graph, 0).id, weight.id);
    for (int i = 0; i < 4; i++)
        assert_true(soma_var_ok(soma_model_variable(model, graph, i)));
    assert_int_equal(soma_graph_count(graph), count);
    assert_false(soma_var_ok(soma_model_variable(model, graph, 4)));
    soma_graph_destroy(graph);
    soma_model_destroy(model);
}

/* --- refusals
 * ------------------------------------------------------------------------------------- */

static void refuses_bad_layers(void **state)
{
    soma_layer *twice = soma_layer_dense(4);
    soma_layer *deep = soma_layer_dense(4);
    (void)state;
#define REFUSE(layer_, input_, code_, part_)                                                       \
    expect_refusal((layer_), input_, SOMA_TASK_REGRESS, (code_), (part_))
    REFUSE(soma_layer_dense(0), SOMA_SHAPE(4), SOMA_INVALID,
           "dense 'dense1': units must be at least 1");
    REFUSE(soma_layer_dense(-3, .name = "fc"), SOMA_SHAPE(4), SOMA_INVALID,
           "dense 'fc': units must be at least 1");
    REFUSE(soma_layer_dense(4), SOMA_SCALAR, SOMA_SHAPE, "got scalars");
    REFUSE(soma_layer_dense(4, .name = "a.b"), SOMA_SHAPE(4), SOMA_INVALID, "'a.b'");
    REFUSE(soma_layer_dense(4, .name = ""), SOMA_SHAPE(4), SOMA_INVALID, "1 to 63 characters");
    REFUSE(soma_layer_dense(4, .activation = (soma_activation)99), SOMA_SHAPE(4), SOMA_INVALID,
           "activation has no choice number 99");
    REFUSE(soma_layer_dense(INT64_MAX / 2), SOMA_SHAPE(4), SOMA_MEMORY, "weight");
    REFUSE(soma_layer_conv2d(8, 3), SOMA_SHAPE(28, 28), SOMA_SHAPE, "needs images");
    REFUSE(soma_layer_conv2d(8, 3, .groups = 3), SOMA_SHAPE(8, 8, 4), SOMA_SHAPE,
           "cannot be cut into 3 groups");
    REFUSE(soma_layer_conv2d(8, 5), SOMA_SHAPE(4, 4, 1), SOMA_SHAPE, "conv2d 'conv1'");
    REFUSE(soma_layer_conv2d(8, 3, .padding = SOMA_PAD_SAME, .pad = {1, 1, 1, 1}),
           SOMA_SHAPE(4, 4, 1), SOMA_INVALID, "leave one out");
    REFUSE(soma_layer_conv2d(8, 3, .stride = {-1, 1}), SOMA_SHAPE(4, 4, 1), SOMA_INVALID,
           "stride must be at least 1");
    REFUSE(soma_layer_max_pool2d(0), SOMA_SHAPE(4, 4, 1), SOMA_INVALID, "size must be at least 1");
    REFUSE(soma_layer_max_pool2d(2), SOMA_SHAPE(4), SOMA_SHAPE, "needs images");
    REFUSE(soma_layer_batch_norm(), SOMA_SCALAR, SOMA_SHAPE, "got scalars");
    REFUSE(soma_layer_batch_norm(.momentum = 1.5), SOMA_SHAPE(4), SOMA_INVALID, "momentum");
    REFUSE(soma_layer_dropout(1), SOMA_SHAPE(4), SOMA_INVALID, "p must be from 0 to 0.999");
    REFUSE(soma_layer_dropout((double)NAN), SOMA_SHAPE(4), SOMA_INVALID, "p must be");
    REFUSE(soma_layer_reshape(SOMA_SHAPE(3, 5)), SOMA_SHAPE(4, 4), SOMA_SHAPE, "reshape1");
    REFUSE(soma_layer_permute((const int64_t[]){1, 0}, 2), SOMA_SHAPE(4), SOMA_SHAPE,
           "has 2 axes, a sample has 1 dimensions");
    REFUSE(soma_layer_permute((const int64_t[]){1, 2}, 2), SOMA_SHAPE(4, 3), SOMA_SHAPE,
           "axis 2 is outside of the 2 dimensions of a sample");
    REFUSE(soma_layer_permute((const int64_t[]){1, -1}, 2), SOMA_SHAPE(4, 3), SOMA_INVALID,
           "named twice");
    REFUSE(soma_layer_embedding(0, 3), SOMA_SHAPE(4), SOMA_INVALID, "count must be at least 1");
    REFUSE(soma_layer_embedding(3, 0), SOMA_SHAPE(4), SOMA_INVALID, "units must be at least 1");
    REFUSE(soma_layer_residual(NULL, NULL, SOMA_LINEAR), SOMA_SHAPE(4), SOMA_INVALID,
           "has no body");
    REFUSE(soma_layer_residual(soma_layer_dense(5), NULL, SOMA_LINEAR), SOMA_SHAPE(4), SOMA_SHAPE,
           "residual 'residual1': the body gives [1,5], its input is [1,4]; give it a shortcut");
    REFUSE(soma_layer_residual(soma_layer_dense(5), soma_layer_dense(6), SOMA_LINEAR),
           SOMA_SHAPE(4), SOMA_SHAPE, "the body gives [1,5], the shortcut [1,6]");
    REFUSE(
        soma_layer_add_list((soma_layer *const[]){soma_layer_dense(5), soma_layer_dense(1), NULL}),
        SOMA_SHAPE(4), SOMA_SHAPE, "branch 1 gives [1,5], branch 2 gives [1,1]");
    REFUSE(soma_layer_concat_list(NULL), SOMA_SHAPE(4), SOMA_INVALID, "has no branches");
    REFUSE(soma_layer_concat_list((soma_layer *const[]){
               soma_layer_flatten(), soma_layer_reshape(SOMA_SHAPE(4, 4, 1)), NULL}),
           SOMA_SHAPE(4, 4, 1), SOMA_SHAPE, "branch 2 gives [1,4,4,1]");
    REFUSE(soma_layer_sequential(soma_layer_dense(4, .name = "same"),
                                 soma_layer_named(soma_layer_dense(4), "same")),
           SOMA_SHAPE(4), SOMA_INVALID, "layers 1 and 2 are both named 'same'");
    REFUSE(soma_layer_sequential(twice, twice), SOMA_SHAPE(4), SOMA_INVALID, "used in two places");
    for (int i = 0; i < 25; i++)
        deep = soma_layer_sequential(deep);
    REFUSE(deep, SOMA_SHAPE(4), SOMA_INVALID, "nested too deeply");
    REFUSE(soma_layer_dense(4), SOMA_SHAPE(4, 0), SOMA_SHAPE, "at least 1");
    REFUSE(soma_layer_dense(4), ((soma_shape){.ndim = 8}), SOMA_INVALID, "0 to 7 dimensions");
#undef REFUSE
    expect_refusal(soma_layer_dense(10), IMAGE, SOMA_TASK_CLASSIFY, SOMA_SHAPE,
                   "is a flatten or global_avg_pool2d missing?");
    expect_refusal(soma_layer_dense(1), SOMA_SHAPE(4), SOMA_TASK_CLASSIFY, SOMA_SHAPE,
                   "use the binary task");
    expect_refusal(soma_layer_dense(2), SOMA_SHAPE(4), (soma_task)7, SOMA_INVALID, "task number 7");
    expect_refusal(NULL, SOMA_SHAPE(4), SOMA_TASK_REGRESS, SOMA_INVALID, "needs a layer");
}

/* The path of a deep error, and what apply itself refuses. */
static void refuses_bad_use(void **state)
{
    soma_error err = {0};
    soma_graph *graph;
    soma_update updates[1];
    int used = 0;
    (void)state;
    expect_refusal(
        soma_layer_sequential(soma_layer_conv2d(4, 3),
                              soma_layer_sequential(soma_layer_conv2d(4, 9, .name = "big"))),
        SOMA_SHAPE(8, 8, 1), SOMA_TASK_REGRESS, SOMA_SHAPE, "conv2d 'sequential1.big'");

    soma_model *model =
        model_of(soma_layer_sequential(soma_layer_batch_norm(), soma_layer_dropout(0.5)),
                 SOMA_SHAPE(4), SOMA_TASK_REGRESS);
    assert_ok(soma_graph_create(&graph, &err), err);
    soma_var x = soma_input(graph, "x", SOMA_F32, SOMA_SHAPE(3, 5));
    soma_var y = soma_model_apply(model, graph, x, SOMA_EVALUATE, (soma_var){0}, NULL, 0, NULL);
    assert_false(soma_var_ok(y));
    assert_int_equal(soma_graph_status(graph, &err), SOMA_SHAPE);
    assert_contains(err.message, "samples of shape [4], got [3,5]");
    soma_graph_destroy(graph);

    assert_ok(soma_graph_create(&graph, &err), err);
    x = soma_input(graph, "x", SOMA_F32, SOMA_SHAPE(3, 4));
    soma_model_apply(model, graph, x, SOMA_TRAIN, (soma_var){0}, NULL, 0, NULL);
    assert_int_equal(soma_graph_status(graph, &err), SOMA_INVALID);
    assert_contains(err.message, "dropout 'dropout1': training needs a key");
    soma_graph_destroy(graph);

    assert_ok(soma_graph_create(&graph, &err), err);
    x = soma_input(graph, "x", SOMA_F32, SOMA_SHAPE(3, 4));
    soma_model_apply(model, graph, x, SOMA_TRAIN, (soma_var){0}, updates, 1, &used);
    assert_int_equal(soma_graph_status(graph, &err), SOMA_INVALID);
    assert_contains(err.message, "needs room for more than 1 updates");
    soma_graph_destroy(graph);
    soma_model_destroy(model);

    /* A layer that a model has cannot go into a second one. */
    soma_layer *layer = soma_layer_dense(2);
    model = model_of(layer, SOMA_SHAPE(4), SOMA_TASK_REGRESS);
    expect_refusal(layer, SOMA_SHAPE(4), SOMA_TASK_REGRESS, SOMA_INVALID, "belongs to");
    soma_model_destroy(model);
    soma_layer_destroy(soma_layer_sequential(soma_layer_dense(3), soma_layer_flatten()));
    soma_layer_destroy(NULL);
}

static void describes_the_registry(void **state)
{
    int choice;
    (void)state;
    for (int i = 0; i < soma__layer_type_count(); i++) {
        const soma__layer_type *type = soma__layer_type_at(i);
        assert_true(*type->doc && *type->shapes && type->parameters);
        assert_true(!type->build != !type->expand);
        assert_ptr_equal(soma__layer_type_find(type->name, &choice), type);
        assert_int_equal(choice, -1);
        if (type->primary)
            assert_non_null(soma__layer_field(type, type->primary));
        for (int f = 0; f < type->field_count; f++) {
            assert_non_null(type->fields[f].doc);
            assert_true(type->fields[f].offset < type->size);
        }
    }
    assert_null(soma__layer_type_at(-1));
    assert_null(soma__layer_type_at(soma__layer_type_count()));
    for (int i = 0; soma__activation_names[i]; i++) {
        assert_ptr_equal(soma__layer_type_find(soma__activation_names[i], &choice),
                         &soma__layer_activation);
        assert_int_equal(choice, i);
    }
    assert_null(soma__layer_type_find("conv4d", &choice));
    assert_string_equal(soma__layer_type_nearest("conv4d"), "conv2d");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_parameters),
        cmocka_unit_test(names_parameters),
        cmocka_unit_test(summarises),
        cmocka_unit_test(nests_names_and_rows),
        cmocka_unit_test(initialises_by_what_comes_next),
        cmocka_unit_test(initialises_by_request),
        cmocka_unit_test(initialises_by_seed_and_name),
        cmocka_unit_test(activates),
        cmocka_unit_test(gates),
        cmocka_unit_test(pools_and_reshapes),
        cmocka_unit_test(joins_branches),
        cmocka_unit_test(normalises_batches),
        cmocka_unit_test(normalises_layers),
        cmocka_unit_test(drops_out),
        cmocka_unit_test(shares_variables),
        cmocka_unit_test(refuses_bad_layers),
        cmocka_unit_test(refuses_bad_use),
        cmocka_unit_test(describes_the_registry),
    };
    return cmocka_run_group_tests_name("layers", tests, open_context, close_context);
}
