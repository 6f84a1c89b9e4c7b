/* Initial values: the distribution of each scheme, exact matrices, gains, recipes, refusals. */
#include "support.h"

#include <math.h>
#include <string.h>

#include "format/yaml.h"
#include "nn/nn.h"

/* The weights of a dense layer of 80 units on 120 inputs. */
static soma_model *dense_with(soma_init_options init)
{
    return model_of(soma_layer_dense(80, .init = init, .name = "d"), SOMA_SHAPE(120),
                    SOMA_TASK_REGRESS);
}

static void draws_as_asked(void **state)
{
    static const struct {
        soma_init_options init;
        double mean, deviation, low, high;
    } cases[] = {
        {{.kind = SOMA_INIT_LECUN_UNIFORM}, 0, 0.0912871, -0.158114, 0.158114},
        {{.kind = SOMA_INIT_LECUN_NORMAL}, 0, 0.0912871, -1, 1},
        {{.kind = SOMA_INIT_LECUN_NORMAL, .gain = 2}, 0, 0.1825742, -1, 1},
        {{.kind = SOMA_INIT_HE_NORMAL, .fan = SOMA_FAN_OUT}, 0, 0.1581139, -1, 1},
        {{.kind = SOMA_INIT_HE_NORMAL, .gain_of = SOMA_TANH}, 0, 0.1521452, -1, 1},
        {{.kind = SOMA_INIT_XAVIER_UNIFORM, .gain = 3}, 0, 0.3, -0.519616, 0.519616},
        {{.kind = SOMA_INIT_NORMAL, .mean = 1, .deviation = 0.2}, 1, 0.2, -1, 3},
        {{.kind = SOMA_INIT_UNIFORM, .low = 1, .high = 3}, 2, 0.577350, 1, 3},
        {{.kind = SOMA_INIT_TRUNCATED_NORMAL}, 0, 0.0439813, -0.1, 0.1},
        {{.kind = SOMA_INIT_TRUNCATED_NORMAL, .mean = 1, .deviation = 1, .low = 1, .high = 9},
         1.797885,
         0.602810,
         1,
         9},
        {{.kind = SOMA_INIT_CONSTANT, .value = -0.25}, -0.25, 0, -0.25, -0.25},
        {{.kind = SOMA_INIT_VARIANCE_SCALING}, 0, 0.0912871, -0.207563, 0.207563},
        {{.kind = SOMA_INIT_VARIANCE_SCALING,
          .scale = 2,
          .fan = SOMA_FAN_AVERAGE,
          .distribution = SOMA_DISTRIBUTION_UNIFORM},
         0,
         0.1414214,
         -0.244949,
         0.244949},
        {{.kind = SOMA_INIT_VARIANCE_SCALING, .distribution = SOMA_DISTRIBUTION_NORMAL},
         0,
         0.0912871,
         -1,
         1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        soma_model *model = dense_with(cases[i].init);
        const soma_tensor *weight = soma_model_find(model, "d.weight")->tensor;
        double sum = 0, squares = 0, n = (double)soma_tensor_count(weight);
        for (int64_t k = 0; k < soma_tensor_count(weight); k++) {
            double value = soma_tensor_get(weight, k);
            if (value < cases[i].low - 1e-6 || value > cases[i].high + 1e-6)
                fail_msg("case %zu: %g lies outside", i, value);
            sum += value;
            squares += value * value;
        }
        double mean = sum / n, deviation = sqrt(fmax(0, squares / n - mean * mean));
        double doubt = cases[i].deviation / sqrt(n);
        if (fabs(mean - cases[i].mean) > 4 * doubt + 1e-9 ||
            fabs(deviation - cases[i].deviation) > 4 * doubt + 1e-7)
            fail_msg("case %zu: mean %g, deviation %g", i, mean, deviation);
        soma_model_destroy(model);
    }
}

/* The rows (or, of a high matrix, the columns) are orthogonal and of length `gain`. */
static void expect_orthogonal(soma_layer *layer, soma_shape input, const char *name, double gain)
{
    soma_model *model = model_of(layer, input, SOMA_TASK_REGRESS);
    const soma_tensor *w = soma_model_find(model, name)->tensor;
    int64_t rows = soma_tensor_shape(w)->dim[0], columns = soma_tensor_count(w) / rows;
    int64_t vectors = rows < columns ? rows : columns, length = rows < columns ? columns : rows;
    int64_t step = rows < columns ? columns : 1, along = rows < columns ? 1 : columns;
    for (int64_t i = 0; i < vectors; i++)
        for (int64_t j = 0; j <= i; j++) {
            double dot = 0, want = i == j ? gain * gain : 0;
            for (int64_t k = 0; k < length; k++)
                dot += soma_tensor_get(w, i * step + k * along) *
                       soma_tensor_get(w, j * step + k * along);
            if (fabs(dot - want) > 2e-6 * gain * gain)
                fail_msg("%s: vectors %d and %d: %g, expected %g", name, (int)i, (int)j, dot, want);
        }
    soma_model_destroy(model);
}

static void makes_orthogonal_weights(void **state)
{
    (void)state;
    expect_orthogonal(soma_layer_dense(7, .init = {.kind = SOMA_INIT_ORTHOGONAL}), SOMA_SHAPE(7),
                      "dense1.weight", 1);
    expect_orthogonal(soma_layer_dense(31, .init = {.kind = SOMA_INIT_ORTHOGONAL, .gain = 1.4}),
                      SOMA_SHAPE(12), "dense1.weight", 1.4);
    expect_orthogonal(
        soma_layer_dense(12, .init = {.kind = SOMA_INIT_ORTHOGONAL, .gain_of = SOMA_RELU}),
        SOMA_SHAPE(31), "dense1.weight", sqrt(2));
    expect_orthogonal(soma_layer_dense(1, .init = {.kind = SOMA_INIT_ORTHOGONAL}), SOMA_SHAPE(5),
                      "dense1.weight", 1);
    expect_orthogonal(soma_layer_conv2d(5, 3, .init = {.kind = SOMA_INIT_ORTHOGONAL}),
                      SOMA_SHAPE(4, 4, 2), "conv1.weight", 1);
    /* A unit matrix: its one element is ±1, either sign by the seed's draw. */
    soma_model *model = model_of(soma_layer_dense(1, .init = {.kind = SOMA_INIT_ORTHOGONAL}),
                                 SOMA_SHAPE(1), SOMA_TASK_REGRESS);
    assert_true(
        fabs(fabs(soma_tensor_get(soma_model_find(model, "dense1.weight")->tensor, 0)) - 1) < 1e-7);
    soma_model_destroy(model);
}

/* The network passes x on (times factor). */
static void expect_passes(soma_layer *layer, soma_shape batch, int64_t keep, double factor)
{
    soma_error err = {0};
    soma_shape input = {.ndim = batch.ndim - 1};
    for (int i = 1; i < batch.ndim; i++)
        input.dim[i - 1] = batch.dim[i];
    soma_model *model = model_of(layer, input, SOMA_TASK_REGRESS);
    soma_tensor *x = noise(batch, 4), *y;
    assert_ok(soma_model_predict(model, x, &y, &err), err);
    int64_t in = batch.dim[batch.ndim - 1];
    int64_t out = soma_tensor_shape(y)->dim[soma_tensor_shape(y)->ndim - 1];
    for (int64_t i = 0; i < soma_tensor_count(x) / in; i++)
        for (int64_t c = 0; c < out; c++) {
            double want = c < keep ? factor * soma_tensor_get(x, i * in + c) : 0;
            if (fabs(soma_tensor_get(y, i * out + c) - want) > 1e-6)
                fail_msg("cell %d, channel %d: %g, expected %g", (int)i, (int)c,
                         soma_tensor_get(y, i * out + c), want);
        }
    soma_tensor_release(x);
    soma_tensor_release(y);
    soma_model_destroy(model);
}

static void passes_values_on(void **state)
{
    (void)state;
    expect_passes(soma_layer_dense(4, .init = {.kind = SOMA_INIT_IDENTITY}), SOMA_SHAPE(2, 4), 4,
                  1);
    expect_passes(soma_layer_dense(6, .init = {.kind = SOMA_INIT_IDENTITY, .gain = 3}),
                  SOMA_SHAPE(2, 4), 4, 3);
    expect_passes(
        soma_layer_conv2d(3, 3, .padding = SOMA_PAD_SAME, .init = {.kind = SOMA_INIT_DIRAC}),
        SOMA_SHAPE(1, 4, 5, 3), 3, 1);
    expect_passes(
        soma_layer_conv2d(5, 5, .padding = SOMA_PAD_SAME, .init = {.kind = SOMA_INIT_DIRAC}),
        SOMA_SHAPE(1, 4, 5, 3), 3, 1);
    expect_passes(soma_layer_conv2d(4, 3, .padding = SOMA_PAD_SAME, .groups = 2,
                                    .init = {.kind = SOMA_INIT_DIRAC, .gain = 2}),
                  SOMA_SHAPE(1, 4, 5, 4), 4, 2);
}

/* torch.nn.init.calculate_gain */
static void knows_gains(void **state)
{
    (void)state;
    assert_true(fabs(soma_init_gain(SOMA_LINEAR) - 1) < 1e-12);
    assert_true(fabs(soma_init_gain(SOMA_SIGMOID) - 1) < 1e-12);
    assert_true(fabs(soma_init_gain(SOMA_TANH) - 1.6666666666666667) < 1e-12);
    assert_true(fabs(soma_init_gain(SOMA_RELU) - 1.4142135623730951) < 1e-12);
    assert_true(fabs(soma_init_gain(SOMA_LEAKY_RELU) - 1.4141428569978354) < 1e-12);
}

static void finds_equal_weights(void **state)
{
    soma_model *model = model_of(
        soma_layer_sequential(soma_layer_dense(4, .init = {.kind = SOMA_INIT_CONSTANT, .value = 2}),
                              soma_layer_batch_norm(), soma_layer_dense(3),
                              soma_layer_dense(1, .init = {.kind = SOMA_INIT_ZEROS})),
        SOMA_SHAPE(3), SOMA_TASK_REGRESS);
    (void)state;
    assert_true(soma_parameter_is_constant(soma_model_find(model, "dense1.weight")));
    assert_false(soma_parameter_is_constant(soma_model_find(model, "dense1.bias")));
    assert_false(soma_parameter_is_constant(soma_model_find(model, "norm1.weight")));
    assert_false(soma_parameter_is_constant(soma_model_find(model, "dense2.weight")));
    /* One unit has no other to be equal to. */
    assert_false(soma_parameter_is_constant(soma_model_find(model, "dense3.weight")));
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

static void reads_recipes(void **state)
{
    soma_error err = {0};
    soma_layer *layer;
    soma_model *loaded;
    (void)state;
    assert_ok(parse("- dense: {units: 4, init: lecun_normal, bias_init: {constant: 0.5}}\n"
                    "- dense: {units: 4, init: {orthogonal: {gain: 2}}}\n"
                    "- dense: {units: 4, init: {uniform: {low: 1, high: 2}},"
                    " bias_init: {normal: {mean: 3, deviation: 0.001}}}\n"
                    "- dense: {units: 4, init: {constant: 7}, bias_init: ones}\n",
                    &layer, &err),
              err);
    soma_model *model = model_of(layer, SOMA_SHAPE(4), SOMA_TASK_REGRESS);
    const float *bias = soma_tensor_f32(soma_model_find(model, "dense1.bias")->tensor);
    const float *square = soma_tensor_f32(soma_model_find(model, "dense2.weight")->tensor);
    const float *drawn = soma_tensor_f32(soma_model_find(model, "dense3.weight")->tensor);
    assert_true(fabsf(bias[0] - 0.5F) < 1e-9F && fabsf(bias[3] - 0.5F) < 1e-9F);
    assert_true(fabs(pow((double)square[0], 2) + pow((double)square[1], 2) +
                     pow((double)square[2], 2) + pow((double)square[3], 2) - 4) < 1e-5);
    assert_true(drawn[0] >= 1 && drawn[0] < 2);
    assert_true(fabs(soma_tensor_get(soma_model_find(model, "dense3.bias")->tensor, 0) - 3) < 0.01);
    assert_true(fabs(soma_tensor_get(soma_model_find(model, "dense4.weight")->tensor, 9) - 7) <
                1e-9);

    /* The file keeps the schemes. */
    assert_ok(soma_model_save(model, scratch("init"), &err), err);
    assert_ok(soma_model_load(&loaded, context, scratch("init"), &err), err);
    soma__tree tree = {0};
    const soma__value *value = soma__layer_to_value(&tree, loaded->layer);
    assert_non_null(value);
    const soma__value *init =
        soma__value_find(soma__value_find(value->first->next, "dense"), "init");
    assert_string_equal(init->first->key, "orthogonal");
    assert_true(fabs(soma__value_find(init->first, "gain")->number - 2) < 1e-12);
    assert_string_equal(soma__value_find(soma__value_find(value->first, "dense"), "init")->text,
                        "lecun_normal");
    soma__tree_clear(&tree);
    soma_model_destroy(loaded);
    soma_model_destroy(model);
}

static void refuses(void **state)
{
    static const struct {
        const char *yaml, *part;
    } cases[] = {
        {"- dense: {units: 4, init: he_norml}", "did you mean 'he_normal'"},
        {"- dense: {units: 4, init: {he_normal: 2}}", "takes no short form"},
        {"- dense: {units: 4, init: {constant: abc}}", "expected a number"},
        {"- dense: {units: 4, init: {orthogonal: {gian: 2}}}", "did you mean 'gain'"},
        {"- dense: {units: 4, init: {orthogonal: {gain: -2}}}", "at least 0"},
        {"- dense: {units: 4, init: {normal: 1, uniform: 2}}", "one name with options"},
        {"- dense: {units: 4, init: [normal]}", "normal"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        soma_error err = {0};
        soma_layer *layer;
        assert_int_equal(parse(cases[i].yaml, &layer, &err), SOMA_INVALID);
        assert_contains(err.message, cases[i].part);
        assert_contains(err.message, "m.yaml:1: model.0.dense.init");
    }
    const soma_task task = SOMA_TASK_REGRESS;
    expect_refusal(soma_layer_dense(3, .bias_init = {.kind = SOMA_INIT_ORTHOGONAL}), SOMA_SHAPE(3),
                   task, SOMA_SHAPE, "bias: orthogonal needs at least two");
    expect_refusal(soma_layer_dense(3, .init = {.kind = SOMA_INIT_DIRAC}), SOMA_SHAPE(3), task,
                   SOMA_SHAPE, "dirac is for convolutions");
    expect_refusal(soma_layer_conv2d(3, 3, .init = {.kind = SOMA_INIT_IDENTITY}),
                   SOMA_SHAPE(5, 5, 2), task, SOMA_SHAPE, "identity is for matrices");
    expect_refusal(soma_layer_dense(3, .init = {.kind = SOMA_INIT_UNIFORM, .low = 2, .high = 1}),
                   SOMA_SHAPE(3), task, SOMA_INVALID, "above high");
    expect_refusal(
        soma_layer_dense(3, .init = {.kind = SOMA_INIT_TRUNCATED_NORMAL, .low = 5, .high = 6}),
        SOMA_SHAPE(3), task, SOMA_INVALID, "less than 1 %");
    expect_refusal(soma_layer_dense(3, .init = {.kind = (soma_init)99}), SOMA_SHAPE(3), task,
                   SOMA_INVALID, "kind has no choice number 99");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_as_asked),
        cmocka_unit_test(makes_orthogonal_weights),
        cmocka_unit_test(passes_values_on),
        cmocka_unit_test(knows_gains),
        cmocka_unit_test(finds_equal_weights),
        cmocka_unit_test(reads_recipes),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests_name("init", tests, open_context, close_context);
}
