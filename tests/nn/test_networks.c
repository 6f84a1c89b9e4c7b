/* Blocks and networks of the literature: parameter counts as published or as torchvision has them,
 * what blocks expand to and compute, recipes, files, and each refusal. */
#include "support.h"

#include <math.h>
#include <string.h>

#include "format/yaml.h"
#include "nn/nn.h"
#include "soma/networks.h"

#define LARGE SOMA_SHAPE(224, 224, 3)
#define SMALL SOMA_SHAPE(32, 32, 3)

/* Measured, so that half a billion bytes need not be drawn. */
static void counts_networks(void **state)
{
    const struct {
        soma_layer *layer;
        soma_shape input;
        int64_t parameters;
    } networks[] = {
        {soma_layer_alexnet(), LARGE, 61100840},
        {soma_layer_vgg(11), LARGE, 132863336},
        {soma_layer_vgg(13), LARGE, 133047848},
        {soma_layer_vgg(16), LARGE, 138357544},
        /* torchvision keeps 4,224 biases that the norms cancel. */
        {soma_layer_vgg(16, .batch_norm = true), LARGE, 138365992 - 4224},
        {soma_layer_vgg(19), LARGE, 143667240},
        {soma_layer_resnet(18), LARGE, 11689512},
        {soma_layer_resnet(34), LARGE, 21797672},
        {soma_layer_resnet(50), LARGE, 25557032},
        {soma_layer_resnet(101), LARGE, 44549160},
        {soma_layer_resnet(152), LARGE, 60192808},
        {soma_layer_resnet(20, .classes = 10), SMALL, 269722},
        {soma_layer_resnet(32, .classes = 10), SMALL, 464154},
        {soma_layer_resnet(56, .classes = 10), SMALL, 853018},
        {soma_layer_resnet(110, .classes = 10), SMALL, 1727962},
        {soma_layer_resnet(20, .classes = 10, .shortcut = SOMA_SHORTCUT_PROJECTION), SMALL,
         /* 1x1 convolutions 16·32 and 32·64, and their norms */
         269722 + 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64},
        {soma_layer_mobilenet(), LARGE, 4231976},
        {soma_layer_mobilenet_v2(), LARGE, 3504872},
        {soma_layer_densenet(121), LARGE, 7978856},
        {soma_layer_densenet(161), LARGE, 28681000},
        {soma_layer_densenet(169), LARGE, 14149480},
        {soma_layer_densenet(201), LARGE, 20013928},
        {soma_layer_densenet(100, .classes = 10), SMALL, 769162},
        {soma_layer_googlenet(), LARGE, 6998552},
        {soma_layer_googlenet(.batch_norm = true, .kernel = 3), LARGE, 6624904},
        {soma_layer_inception_v3(), SOMA_SHAPE(299, 299, 3), 23834568},
    };
    (void)state;
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++) {
        soma_error err = {0};
        soma_layer_cost cost;
        assert_ok(soma_layer_measure(networks[i].layer, networks[i].input, &cost, &err), err);
        if (cost.parameters != networks[i].parameters)
            fail_msg("network %zu: %lld parameters, expected %lld", i, (long long)cost.parameters,
                     (long long)networks[i].parameters);
        assert_int_equal(cost.trainable, cost.parameters);
        assert_int_equal(cost.output.ndim, 1);
        assert_true(cost.flops > 1e6);
        soma_layer_destroy(networks[i].layer);
    }
}

/* 2 · 4.09 G multiply-adds, as everybody counts ResNet-50's. */
static void counts_flops(void **state)
{
    soma_error err = {0};
    soma_layer_cost cost;
    soma_layer *layer = soma_layer_resnet(50, .headless = true);
    (void)state;
    assert_ok(soma_layer_measure(layer, LARGE, &cost, &err), err);
    assert_true(soma_shape_equal(&cost.output, &SOMA_SHAPE(7, 7, 2048)));
    assert_true(fabs(cost.flops / 2 - 4.1e9) < 0.1e9);
    soma_layer_destroy(layer);
}

/* Measuring and making must agree, buffers and all. */
static void makes_what_it_measures(void **state)
{
    soma_error err = {0};
    soma_layer_cost cost;
    soma_layer *layer = soma_layer_resnet(8, .classes = 10);
    (void)state;
    assert_ok(soma_layer_measure(layer, SMALL, &cost, &err), err);
    soma_model *model = model_of(layer, SMALL, SOMA_TASK_CLASSIFY);
    assert_int_equal(soma_model_size(model, false), cost.parameters);
    assert_non_null(soma_model_find(model, "resnet1.conv1.weight"));
    assert_non_null(soma_model_find(model, "resnet1.stage2.block1.body.norm2.running_var"));
    assert_null(soma_model_find(model, "resnet1.stage2.block1.shortcut.weight"));
    soma_tensor *x = noise(SOMA_SHAPE(2, 32, 32, 3), 3), *y, *again;
    assert_ok(soma_model_predict(model, x, &y, &err), err);
    assert_true(soma_shape_equal(soma_tensor_shape(y), &SOMA_SHAPE(2, 10)));

    soma_model *loaded;
    assert_ok(soma_model_save(model, scratch("resnet"), &err), err);
    assert_ok(soma_model_load(&loaded, context, scratch("resnet"), &err), err);
    assert_ok(soma_model_predict(loaded, x, &again, &err), err);
    assert_memory_equal(soma_tensor_data(y), soma_tensor_data(again), soma_tensor_bytes(y));
    soma_tensor_release(x);
    soma_tensor_release(y);
    soma_tensor_release(again);
    soma_model_destroy(loaded);
    soma_model_destroy(model);
}

/* --- blocks -------------------------------------------------------------------------------------
 */

static void expect_cost(soma_layer *layer, soma_shape input, int64_t parameters, soma_shape output)
{
    soma_error err = {0};
    soma_layer_cost cost;
    assert_ok(soma_layer_measure(layer, input, &cost, &err), err);
    assert_int_equal(cost.parameters, parameters);
    if (!soma_shape_equal(&cost.output, &output)) {
        char left[SOMA_SHAPE_TEXT_SIZE], right[SOMA_SHAPE_TEXT_SIZE];
        fail_msg("output %s, expected %s", soma_shape_text(&cost.output, left, sizeof left),
                 soma_shape_text(&output, right, sizeof right));
    }
    soma_layer_destroy(layer);
}

static void counts_blocks(void **state)
{
    (void)state;
    expect_cost(soma_layer_conv_norm(8, 3), SOMA_SHAPE(6, 6, 4), 8 * 36 + 16, SOMA_SHAPE(6, 6, 8));
    expect_cost(soma_layer_conv_norm(8, 3, .padding = SOMA_PAD_VALID, .no_activation = true),
                SOMA_SHAPE(6, 6, 4), 8 * 36 + 16, SOMA_SHAPE(4, 4, 8));
    expect_cost(soma_layer_conv_norm_opt((soma_conv_norm_options){.filters = 8, .kernel = {1, 7}}),
                SOMA_SHAPE(6, 6, 4), 8 * 28 + 16, SOMA_SHAPE(6, 6, 8));
    expect_cost(soma_layer_basic_block(4), SOMA_SHAPE(6, 6, 4), 2 * (4 * 36 + 8),
                SOMA_SHAPE(6, 6, 4));
    expect_cost(soma_layer_basic_block(8, .stride = 2), SOMA_SHAPE(7, 7, 4),
                8 * 36 + 16 + 8 * 72 + 16 + 8 * 4 + 16, SOMA_SHAPE(4, 4, 8));
    expect_cost(soma_layer_basic_block(8, .stride = 2, .shortcut = SOMA_SHORTCUT_PAD),
                SOMA_SHAPE(7, 7, 4), 8 * 36 + 16 + 8 * 72 + 16, SOMA_SHAPE(4, 4, 8));
    expect_cost(soma_layer_bottleneck(4), SOMA_SHAPE(6, 6, 16),
                4 * 16 + 8 + 4 * 36 + 8 + 16 * 4 + 32, SOMA_SHAPE(6, 6, 16));
    expect_cost(soma_layer_bottleneck(4, .outputs = 6, .groups = 2), SOMA_SHAPE(6, 6, 6),
                4 * 6 + 8 + 4 * 18 + 8 + 6 * 4 + 12, SOMA_SHAPE(6, 6, 6));
    expect_cost(soma_layer_squeeze_excite(.ratio = 4), SOMA_SHAPE(5, 5, 8), 2 * 8 + 2 + 8 * 2 + 8,
                SOMA_SHAPE(5, 5, 8));
    expect_cost(soma_layer_squeeze_excite(), SOMA_SHAPE(5, 5, 8), 8 + 1 + 8 + 8,
                SOMA_SHAPE(5, 5, 8));
    expect_cost(soma_layer_basic_block(8, .squeeze = 4), SOMA_SHAPE(6, 6, 8),
                2 * (8 * 72 + 16) + 42, SOMA_SHAPE(6, 6, 8));
    expect_cost(soma_layer_separable_block(6, .stride = 2), SOMA_SHAPE(8, 8, 4),
                4 * 9 + 8 + 6 * 4 + 12, SOMA_SHAPE(4, 4, 6));
    expect_cost(soma_layer_inverted_residual(4, .expand = 2), SOMA_SHAPE(8, 8, 4),
                8 * 4 + 16 + 8 * 9 + 16 + 4 * 8 + 8, SOMA_SHAPE(8, 8, 4));
    expect_cost(
        soma_layer_inverted_residual(6, .stride = 2, .expand = 1, .kernel = 5, .squeeze = 2),
        SOMA_SHAPE(8, 8, 4), 4 * 25 + 8 + (8 + 2 + 8 + 4) + 6 * 4 + 12, SOMA_SHAPE(4, 4, 6));
    expect_cost(soma_layer_tcn(6, .levels = 2), SOMA_SHAPE(9, 4),
                6 * 12 + 6 + 6 * 18 + 6 + 6 * 4 + 6 + 2 * (6 * 18 + 6), SOMA_SHAPE(9, 6));
    expect_cost(soma_layer_tcn(4, .levels = 1, .kernel = 2, .dropout = 0.1), SOMA_SHAPE(9, 4),
                2 * (4 * 8 + 4), SOMA_SHAPE(9, 4));
    expect_cost(soma_layer_dense_block(2, .growth = 3, .bottleneck = 2), SOMA_SHAPE(5, 5, 4),
                8 + 6 * 4 + 12 + 3 * 54 + 14 + 6 * 7 + 12 + 3 * 54, SOMA_SHAPE(5, 5, 10));
    expect_cost(soma_layer_dense_block(2, .growth = 3, .plain = true, .dropout = 0.2),
                SOMA_SHAPE(5, 5, 4), 8 + 3 * 36 + 14 + 3 * 63, SOMA_SHAPE(5, 5, 10));
    expect_cost(soma_layer_dense_transition(0), SOMA_SHAPE(6, 6, 8), 16 + 4 * 8,
                SOMA_SHAPE(3, 3, 4));
    expect_cost(soma_layer_inception(.filters = {2, 3, 4, 1, 2, 3}), SOMA_SHAPE(6, 6, 5),
                2 * 6 + 3 * 6 + 4 * 28 + 1 * 6 + 2 * 26 + 3 * 6, SOMA_SHAPE(6, 6, 11));
    expect_cost(soma_layer_repeat(3, soma_layer_dense(4), soma_layer_activation(SOMA_RELU)),
                SOMA_SHAPE(4), 3 * 20, SOMA_SHAPE(4));
}

/* A block and the layers that it stands for, with the same parameters, give the same. */
static void computes_as_its_layers(void **state)
{
    soma_error err = {0};
    soma_model *block = model_of(soma_layer_named(soma_layer_basic_block(6, .stride = 2), "b"),
                                 SOMA_SHAPE(6, 6, 4), SOMA_TASK_REGRESS);
    soma_model *plain = model_of(
        soma_layer_named(
            soma_layer_residual(
                soma_layer_sequential(
                    soma_layer_conv2d(6, 3, .stride = {2, 2}, .pad = {1, 1, 1, 1}, .no_bias = true),
                    soma_layer_batch_norm(), soma_layer_activation(SOMA_RELU),
                    soma_layer_conv2d(6, 3, .pad = {1, 1, 1, 1}, .no_bias = true),
                    soma_layer_batch_norm()),
                soma_layer_sequential(soma_layer_conv2d(6, 1, .stride = {2, 2}, .no_bias = true),
                                      soma_layer_batch_norm()),
                SOMA_RELU),
            "b"),
        SOMA_SHAPE(6, 6, 4), SOMA_TASK_REGRESS);
    soma_tensor *x = noise(SOMA_SHAPE(2, 6, 6, 4), 5), *y, *z;
    (void)state;
    assert_ok(soma_model_predict(block, x, &y, &err), err);
    assert_ok(soma_model_predict(plain, x, &z, &err), err);
    assert_memory_equal(soma_tensor_data(y), soma_tensor_data(z), soma_tensor_bytes(y));
    soma_tensor_release(x);
    soma_tensor_release(y);
    soma_tensor_release(z);
    soma_model_destroy(block);
    soma_model_destroy(plain);
}

static void expect_values(soma_layer *layer, soma_shape input, const float *x, const float *want)
{
    soma_error err = {0};
    soma_model *model = model_of(layer, input, SOMA_TASK_REGRESS);
    soma_tensor *in, *out;
    soma_shape batch = {.ndim = input.ndim + 1, .dim = {1}};
    for (int i = 0; i < input.ndim; i++)
        batch.dim[i + 1] = input.dim[i];
    in = tensor_of(batch, x);
    assert_ok(soma_model_predict(model, in, &out, &err), err);
    for (int64_t i = 0; i < soma_tensor_count(out); i++)
        if (fabs(soma_tensor_get(out, i) - (double)want[i]) > 1e-6)
            fail_msg("value %d is %g, expected %g", (int)i, soma_tensor_get(out, i),
                     (double)want[i]);
    soma_tensor_release(in);
    soma_tensor_release(out);
    soma_model_destroy(model);
}

static void pads_and_gates_by_hand(void **state)
{
    (void)state;
    /* 3x3 cells of one channel: the four corners stay, between a zero channel and one after. */
    expect_values(soma_layer_pad_shortcut(3, 2), SOMA_SHAPE(3, 3, 1),
                  (const float[]){1, 2, 3, 4, 5, 6, 7, 8, 9},
                  (const float[]){0, 1, 0, 0, 3, 0, 0, 7, 0, 0, 9, 0});
    /* Two cells of two channels, times the channels' means 2 and 30. */
    expect_values(soma_layer_gate(soma_layer_global_avg_pool2d()), SOMA_SHAPE(1, 2, 2),
                  (const float[]){1, 20, 3, 40}, (const float[]){2, 600, 6, 1200});
    /* x · x */
    expect_values(soma_layer_gate(soma_layer_sequential_list(NULL)), SOMA_SHAPE(3),
                  (const float[]){1, -2, 3}, (const float[]){1, 4, 9});
    expect_values(soma_layer_activation(SOMA_RELU6), SOMA_SHAPE(3), (const float[]){-1, 5, 7},
                  (const float[]){0, 5, 6});
    /* ((1+1)+1)+1 times 2 each round: a residual of the input itself doubles it. */
    expect_values(soma_layer_repeat(3, soma_layer_add_list((soma_layer *const[]){
                                           soma_layer_sequential_list(NULL),
                                           soma_layer_sequential_list(NULL), NULL})),
                  SOMA_SHAPE(2), (const float[]){1, -3}, (const float[]){8, -24});
}

static void names_repeated_layers(void **state)
{
    soma_model *model = model_of(soma_layer_sequential(soma_layer_repeat(2, soma_layer_dense(3))),
                                 SOMA_SHAPE(3), SOMA_TASK_REGRESS);
    const soma_parameter *a = soma_model_find(model, "repeat1.1.dense1.weight");
    const soma_parameter *b = soma_model_find(model, "repeat1.2.dense1.weight");
    (void)state;
    assert_non_null(a);
    assert_non_null(b);
    assert_true(soma_tensor_get(a->tensor, 0) < soma_tensor_get(b->tensor, 0) ||
                soma_tensor_get(a->tensor, 0) > soma_tensor_get(b->tensor, 0));
    soma_model_destroy(model);
}

/* --- recipes and refusals -----------------------------------------------------------------------
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

/* Step t of a TCN's output depends on the steps up to t, and on as many as it says. */
static void tcn_looks_back(void **state)
{
    enum { STEPS = 24, CHANNELS = 2, FILTERS = 3, CHANGED = 9, SEEN = 1 + 2 * 2 * 3 };
    soma_error err = {0};
    soma_model *model = model_of(soma_layer_tcn(FILTERS, .levels = 2), SOMA_SHAPE(STEPS, CHANNELS),
                                 SOMA_TASK_REGRESS);
    soma_tensor *x = noise(SOMA_SHAPE(1, STEPS, CHANNELS), 7), *y, *z;
    (void)state;
    assert_ok(soma_model_predict(model, x, &y, &err), err);
    for (int c = 0; c < CHANNELS; c++)
        soma_tensor_set(x, CHANGED * CHANNELS + c, 40 + c);
    assert_ok(soma_model_predict(model, x, &z, &err), err);
    for (int t = 0; t < STEPS; t++) {
        size_t size = FILTERS * sizeof(float), at = (size_t)t * size;
        bool same = memcmp((const char *)soma_tensor_data(y) + at,
                           (const char *)soma_tensor_data(z) + at, size) == 0;
        if (t < CHANGED || t >= CHANGED + SEEN)
            assert_true(same);
        else if (t == CHANGED)
            assert_false(same);
    }
    soma_tensor_release(x);
    soma_tensor_release(y);
    soma_tensor_release(z);
    soma_model_destroy(model);
}

static void reads_recipes(void **state)
{
    const struct {
        const char *yaml;
        soma_shape input;
        int64_t parameters;
    } cases[] = {
        {"resnet: {depth: 20, classes: 10}", SMALL, 269722},
        {"- resnet: {depth: 18, classes: 10, stem: cifar}\n", SMALL, 11173962},
        {"vgg: 16", LARGE, 138357544},
        {"mobilenet_v2: {classes: 1000, width: 1.0}", LARGE, 3504872},
        {"mobilenet_v2: {width: 0.5}", LARGE, 1968680},
        {"- conv_norm: 8\n- basic_block: {filters: 8, shortcut: pad, squeeze: 4}\n"
         "- bottleneck: {filters: 4, stride: 2}\n- inverted_residual: {filters: 6, squeeze: 4}\n"
         "- separable_block: 8\n- dense_block: 2\n- dense_transition\n"
         "- inception: [1, 2, 3, 4, 5, 6]\n- squeeze_excite: 2\n- gate: [global_avg_pool2d]\n"
         "- repeat: {times: 2, layers: [conv_norm: 4, relu6]}\n",
         SOMA_SHAPE(16, 16, 1), 0},
        {"- tcn: {filters: 4, levels: 2, kernel: 2, dropout: 0.2, activation: tanh}\n- tcn: 3\n",
         SOMA_SHAPE(12, 2), 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        soma_error err = {0};
        soma_layer *layer, *back;
        soma_layer_cost cost, other;
        soma__tree tree = {0};
        assert_ok(parse(cases[i].yaml, &layer, &err), err);
        assert_ok(soma_layer_measure(layer, cases[i].input, &cost, &err), err);
        if (cases[i].parameters && cost.parameters != cases[i].parameters)
            fail_msg("%s: %lld parameters", cases[i].yaml, (long long)cost.parameters);
        /* Written and read again it is the same. */
        tree.root = soma__layer_to_value(&tree, layer);
        assert_non_null(tree.root);
        assert_ok(soma__layer_from_value(&back, &tree, tree.root, "model", &err), err);
        assert_ok(soma_layer_measure(back, cases[i].input, &other, &err), err);
        assert_int_equal(other.parameters, cost.parameters);
        assert_true(soma_shape_equal(&other.output, &cost.output));
        soma__tree_clear(&tree);
        soma_layer_destroy(back);
        soma_layer_destroy(layer);
    }
}

static void refuses(void **state)
{
    const soma_task task = SOMA_TASK_REGRESS;
    soma_error err = {0};
    soma_layer_cost cost;
    (void)state;
    expect_refusal(soma_layer_resnet(21), SMALL, task, SOMA_INVALID, "or 6n+2 for the CIFAR form");
    expect_refusal(soma_layer_vgg(12), SMALL, task, SOMA_INVALID, "11, 13, 16 or 19, not 12");
    expect_refusal(soma_layer_densenet(41), SMALL, task, SOMA_INVALID, "6n+4");
    expect_refusal(soma_layer_resnet(20), SOMA_SHAPE(4), task, SOMA_SHAPE, "needs images");
    expect_refusal(soma_layer_alexnet(), SMALL, task, SOMA_SHAPE, "pool");
    expect_refusal(soma_layer_basic_block(0), SMALL, task, SOMA_INVALID, "filters");
    expect_refusal(soma_layer_pad_shortcut(2, 1), SMALL, task, SOMA_SHAPE, "fewer than the input");
    expect_refusal(soma_layer_tcn(4), SMALL, task, SOMA_SHAPE, "needs sequences");
    expect_refusal(soma_layer_tcn(0), SOMA_SHAPE(9, 4), task, SOMA_INVALID, "filters");
    expect_refusal(soma_layer_tcn(4, .levels = 32), SOMA_SHAPE(9, 4), task, SOMA_INVALID, "levels");
    expect_refusal(soma_layer_inception(.filters = {1, 2}), SMALL, task, SOMA_INVALID, "six");
    expect_refusal(soma_layer_repeat(0, soma_layer_flatten()), SMALL, task, SOMA_INVALID, "times");
    expect_refusal(soma_layer_gate(soma_layer_dense(5)), SMALL, task, SOMA_SHAPE, "do not fit");
    expect_refusal(soma_layer_gate(NULL), SMALL, task, SOMA_INVALID, "no body");
    expect_refusal(soma_layer_resnet(20, .filters = INT64_MAX), SMALL, task, SOMA_SHAPE,
                   "too many");
    assert_int_equal(soma_layer_measure(NULL, SMALL, &cost, &err), SOMA_INVALID);
    soma_layer *layer = soma_layer_dense(INT64_MAX / 2);
    assert_int_equal(soma_layer_measure(layer, SOMA_SHAPE(64), &cost, &err), SOMA_SHAPE);
    assert_contains(err.message, "larger than any memory");
    soma_layer_destroy(layer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_networks),        cmocka_unit_test(counts_flops),
        cmocka_unit_test(makes_what_it_measures), cmocka_unit_test(counts_blocks),
        cmocka_unit_test(computes_as_its_layers), cmocka_unit_test(tcn_looks_back),
        cmocka_unit_test(pads_and_gates_by_hand), cmocka_unit_test(names_repeated_layers),
        cmocka_unit_test(reads_recipes),          cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests_name("networks", tests, open_context, close_context);
}
