/* Layers in recipes: every form, the way there and back, and each mistake with its message. */
#include "support.h"

#include <string.h>

#include "base/mem.h"
#include "format/json.h"
#include "format/yaml.h"
#include "nn/layer.h"

static soma_status read(soma_layer **out, const char *yaml, soma_error *err)
{
    soma__tree tree = {0};
    soma_status status = soma__yaml_parse(&tree, yaml, strlen(yaml), "r.yaml", err);
    *out = NULL;
    if (status == SOMA_OK)
        status = soma__layer_from_value(out, &tree, tree.root, "model", err);
    /* The layers must not need the tree any more. */
    soma__tree_clear(&tree);
    return status;
}

/* The layers as JSON; the caller frees it. */
static char *json_of(const soma_layer *layer)
{
    soma_error err = {0};
    soma__tree tree = {0};
    soma__text text = {0};
    char *out;
    const soma__value *value = soma__layer_to_value(&tree, layer);
    assert_non_null(value);
    soma__json_write(&text, value, 0);
    assert_ok(soma__text_take(&text, &out, &err), err);
    soma__tree_clear(&tree);
    return out;
}

/* Reads YAML, writes JSON, reads that (it is YAML as well) and writes it again. */
static void expect_json(const char *yaml, const char *want)
{
    soma_error err = {0};
    soma_layer *layer, *again;
    assert_ok(read(&layer, yaml, &err), err);
    char *json = json_of(layer);
    assert_string_equal(json, want);
    assert_ok(read(&again, json, &err), err);
    char *second = json_of(again);
    assert_string_equal(second, want);
    soma__free(json);
    soma__free(second);
    soma_layer_destroy(layer);
    soma_layer_destroy(again);
}

static void reads_every_form(void **state)
{
    (void)state;
    expect_json("[flatten]", "[\"flatten\"]");
    expect_json("- permute: [2, 0, 1]\n", "[{\"permute\": {\"axes\": [2, 0, 1]}}]");
    expect_json("- embedding: {count: 9, units: 4, padding: true}\n",
                "[{\"embedding\": {\"count\": 9, \"units\": 4, \"padding\": true}}]");
    expect_json("relu", "\"relu\"");
    expect_json("- flatten:\n- relu: {}\n", "[\"flatten\", \"relu\"]");
    expect_json("- dense: 128\n", "[{\"dense\": {\"units\": 128}}]");
    expect_json("- dense:\n    units: 5\n    activation: relu\n    name: fc1\n    no_bias: true\n",
                "[{\"dense\": {\"units\": 5, \"activation\": \"relu\", \"no_bias\": true, "
                "\"name\": \"fc1\"}}]");
    expect_json("- conv2d: 32\n- max_pool2d: 2\n",
                "[{\"conv2d\": {\"filters\": 32}}, {\"max_pool2d\": {\"size\": [2, 2]}}]");
    expect_json(
        "- conv2d: {filters: 8, kernel: [3, 5], stride: 2, dilation: 1, pad: 1, groups: 2,\n"
        "           init: he_normal, frozen: true}\n",
        "[{\"conv2d\": {\"filters\": 8, \"kernel\": [3, 5], \"stride\": [2, 2], "
        "\"dilation\": [1, 1], \"pad\": [1, 1, 1, 1], \"groups\": 2, "
        "\"init\": \"he_normal\", \"frozen\": true}}]");
    expect_json("- avg_pool2d: {size: [2, 3], stride: [1, 2], padding: same, count_pad: true}\n",
                "[{\"avg_pool2d\": {\"size\": [2, 3], \"stride\": [1, 2], \"padding\": \"same\", "
                "\"count_pad\": true}}]");
    expect_json("- max_pool2d: [3, 2]\n", "[{\"max_pool2d\": {\"size\": [3, 2]}}]");
    expect_json("- batch_norm\n- layer_norm: {eps: 0.001}\n- batch_norm: {momentum: 0.2}\n",
                "[\"batch_norm\", {\"layer_norm\": {\"eps\": 0.001}}, "
                "{\"batch_norm\": {\"momentum\": 0.2}}]");
    expect_json("- dropout: 0.5\n- spatial_dropout: 0\n- dropout: {p: 0.25, name: d}\n",
                "[{\"dropout\": {\"p\": 0.5}}, {\"spatial_dropout\": {\"p\": 0.0}}, "
                "{\"dropout\": {\"p\": 0.25, \"name\": \"d\"}}]");
    expect_json("- activation: tanh\n- activation: {function: elu, name: a}\n- gelu: {name: g}\n",
                "[\"tanh\", {\"elu\": {\"name\": \"a\"}}, {\"gelu\": {\"name\": \"g\"}}]");
    expect_json("- reshape: [28, -1, 1]\n- global_avg_pool2d\n",
                "[{\"reshape\": {\"shape\": [28, -1, 1]}}, \"global_avg_pool2d\"]");
}

static void reads_blocks(void **state)
{
    (void)state;
    expect_json("- residual:\n    body: [conv2d: 4, relu]\n    shortcut: {conv2d: 4}\n"
                "    activation: relu\n",
                "[{\"residual\": {\"body\": [{\"conv2d\": {\"filters\": 4}}, \"relu\"], "
                "\"shortcut\": {\"conv2d\": {\"filters\": 4}}, \"activation\": \"relu\"}}]");
    expect_json("- residual: [flatten]\n", "[{\"residual\": {\"body\": [\"flatten\"]}}]");
    expect_json("- concat: [[relu, tanh], relu, []]\n",
                "[{\"concat\": {\"branches\": [[\"relu\", \"tanh\"], \"relu\", []]}}]");
    expect_json("- add: {branches: [relu, tanh], name: sum}\n",
                "[{\"add\": {\"branches\": [\"relu\", \"tanh\"], \"name\": \"sum\"}}]");
    expect_json("- [relu, [tanh]]\n- sequential: {layers: [relu], name: tail}\n- sequential: []\n",
                "[[\"relu\", [\"tanh\"]], {\"sequential\": {\"layers\": [\"relu\"], "
                "\"name\": \"tail\"}}, []]");
}

/* What C builds is the same. */
static void agrees_with_c(void **state)
{
    soma_layer *layer = soma_layer_sequential(
        soma_layer_conv2d(4, 3, .stride = {2}),
        soma_layer_conv2d_opt((soma_conv2d_options){.filters = 4, .kernel = {0, 5}}),
        soma_layer_max_pool2d(3, .stride = {0, 1}), soma_layer_activation(SOMA_SILU),
        soma_layer_residual(soma_layer_flatten(), NULL, SOMA_TANH),
        soma_layer_named(soma_layer_dropout(0.5), "drop"));
    (void)state;
    char *json = json_of(layer);
    assert_string_equal(json,
                        "[{\"conv2d\": {\"filters\": 4, \"kernel\": [3, 3], \"stride\": [2, 1]}}, "
                        "{\"conv2d\": {\"filters\": 4, \"kernel\": [3, 5]}}, "
                        "{\"max_pool2d\": {\"size\": [3, 3], \"stride\": [3, 1]}}, \"silu\", "
                        "{\"residual\": {\"body\": \"flatten\", \"activation\": \"tanh\"}}, "
                        "{\"dropout\": {\"p\": 0.5, \"name\": \"drop\"}}]");
    soma__free(json);
    soma_layer_destroy(layer);
}

static void explains_mistakes(void **state)
{
    static const struct {
        const char *yaml, *place, *part;
    } cases[] = {
        {"- flatten\n- dens: 10\n",
         "r.yaml:2: ", "model.1: unknown layer 'dens', did you mean 'dense'?"},
        {"- rellu\n", "r.yaml:1: ", "did you mean 'relu'?"},
        {"- transmogrify\n", "r.yaml:1: ", "`soma ops --layers` lists them"},
        {"- dense\n", "r.yaml:1: ", "model.0.dense: 'units' is missing"},
        {"- dense: {unit: 3}\n", "r.yaml:1: ", "unknown key 'unit', did you mean 'units'?"},
        {"- dense: many\n", "r.yaml:1: ", "model.0.dense.units: expected a whole number"},
        {"- dense: 0\n", "r.yaml:1: ", "must be at least 1"},
        {"- dense: [1, 2]\n", "r.yaml:1: ", "expected a whole number"},
        {"- dense: {units: 3, activation: rellu}\n", "r.yaml:1: ", "did you mean 'relu'?"},
        {"- dense: {units: 3, name: a.b}\n", "r.yaml:1: ", "'a.b' may hold only"},
        {"- dense:\n  units: 3\n", "r.yaml:1: ", "options go into braces: `dense: {units: …}`"},
        {"- relu: 3\n", "r.yaml:1: ", "model.0.relu: takes no short form"},
        {"- relu: {function: tanh}\n", "r.yaml:1: ", "contradicts the layer's name"},
        {"- flatten: 3\n", "r.yaml:1: ", "takes no short form"},
        {"- conv2d: {filters: 3, kernel: [1, 2, 3]}\n", "r.yaml:1: ", "expected 2 whole numbers"},
        {"- conv2d: {filters: 3, stride: 0}\n", "r.yaml:1: ", "must be at least 1"},
        {"- conv2d: {filters: 3, pad: -1}\n", "r.yaml:1: ", "must be at least 0"},
        {"- dropout: 1.5\n", "r.yaml:1: ", "must be from 0 to 0.999"},
        {"- reshape: 5\n", "r.yaml:1: ", "expected a list of at most 7 whole numbers"},
        {"- reshape: [a]\n", "r.yaml:1: ", "expected a whole number, got text"},
        {"- concat: relu\n", "r.yaml:1: ", "expected a list of layers, got text"},
        {"- residual:\n", "r.yaml:1: ", "'body' is missing"},
        {"- residual:\n    body:\n      - relu\n      - tanhh\n",
         "r.yaml:4: ", "model.0.residual.body.1: unknown layer 'tanhh'"},
        {"- 3\n", "r.yaml:1: ", "expected a layer such as `relu` or `dense: 128`"},
        {"- {}\n", "r.yaml:1: ", "an empty map"},
        {"[[[[[[[[[[[[[[[[[[[[[[relu]]]]]]]]]]]]]]]]]]]]]]",
         "r.yaml:1: ", "nested more than 20 levels deep"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        soma_error err = {0};
        soma_layer *layer;
        if (read(&layer, cases[i].yaml, &err) == SOMA_OK)
            fail_msg("accepted: %s", cases[i].yaml);
        assert_null(layer);
        assert_contains(err.message, cases[i].part);
        assert_contains(err.message, cases[i].place);
    }
}

static void nests_as_deep_as_files_can_hold(void **state)
{
    soma_error err = {0};
    soma_layer *layer = soma_layer_conv2d(1, 1), *back;
    (void)state;
    for (int i = 1; i < SOMA__LAYER_DEPTH; i++)
        layer = soma_layer_named(soma_layer_sequential(layer), "level");
    assert_null(layer->fault);
    char *json = json_of(layer);
    soma__tree tree = {0};
    assert_ok(soma__json_parse(&tree, json, strlen(json), "deep", &err), err);
    assert_ok(soma__layer_from_value(&back, &tree, tree.root, "model", &err), err);
    assert_int_equal(back->depth, SOMA__LAYER_DEPTH);
    soma__tree_clear(&tree);
    soma__free(json);
    soma_layer_destroy(back);
    soma_layer_destroy(layer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_form),
        cmocka_unit_test(reads_blocks),
        cmocka_unit_test(agrees_with_c),
        cmocka_unit_test(explains_mistakes),
        cmocka_unit_test(nests_as_deep_as_files_can_hold),
    };
    return cmocka_run_group_tests_name("recipe layers", tests, NULL, NULL);
}
