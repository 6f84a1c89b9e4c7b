/* Layers of images, lines and volumes: their recipe forms, shapes, parameters and values. */
#include "support.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "format/json.h"
#include "format/yaml.h"
#include "nn/layer.h"

static soma_layer *read_yaml(const char *yaml)
{
    soma_error err = {0};
    soma__tree tree = {0};
    soma_layer *layer;
    assert_ok(soma__yaml_parse(&tree, yaml, strlen(yaml), "r.yaml", &err), err);
    assert_ok(soma__layer_from_value(&layer, &tree, tree.root, "model", &err), err);
    soma__tree_clear(&tree);
    return layer;
}

/* The caller frees it. */
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

#define S SOMA_SHAPE

/* Samples of ones through weights of ones: `first` is the first value that comes out. */
static void shapes_and_values(void **state)
{
    static const struct {
        const char *yaml;
        soma_shape input, output;
        int64_t parameters;
        double first;
    } cases[] = {
        {"- conv1d: {filters: 4, init: ones}", {2, {8, 2}}, {3, {1, 6, 4}}, 28, 6},
        {"- conv1d: {filters: 4, kernel: 2, stride: 2, groups: 2, init: ones, no_bias: true}",
         {2, {8, 2}},
         {3, {1, 4, 4}},
         8,
         2},
        {"- conv1d: {filters: 1, kernel: 2, padding: same_lower, init: ones}",
         {2, {8, 1}},
         {3, {1, 8, 1}},
         3,
         1},
        {"- conv3d: {filters: 2, kernel: 2, init: ones}",
         {4, {4, 4, 4, 3}},
         {5, {1, 3, 3, 3, 2}},
         50,
         24},
        {"- conv3d: {filters: 1, kernel: [1, 2, 3], stride: [2, 1, 1], pad: 1, init: ones}",
         {4, {3, 3, 3, 1}},
         {5, {1, 3, 4, 3, 1}},
         7,
         0},
        {"- conv_transpose1d: {filters: 2, stride: 2, init: ones}",
         {2, {5, 3}},
         {3, {1, 11, 2}},
         20,
         3},
        {"- conv_transpose2d: {filters: 2, kernel: 2, stride: 2, init: ones}",
         {3, {4, 4, 3}},
         {4, {1, 8, 8, 2}},
         26,
         3},
        {"- conv_transpose2d: {filters: 1, stride: 2, pad: 1, output_padding: 1, init: ones, "
         "bias_init: ones}",
         {3, {4, 4, 3}},
         {4, {1, 8, 8, 1}},
         28,
         4},
        {"- conv_transpose3d: {filters: 1, kernel: 2, padding: same, stride: 2, init: ones}",
         {4, {2, 2, 2, 2}},
         {5, {1, 4, 4, 4, 1}},
         17,
         2},
        {"- depthwise_conv2d: {padding: same, init: ones}",
         {3, {5, 5, 4}},
         {4, {1, 5, 5, 4}},
         40,
         4},
        {"- depthwise_conv2d: {multiplier: 2, activation: relu, init: ones}",
         {3, {5, 5, 4}},
         {4, {1, 3, 3, 8}},
         80,
         9},
        {"- separable_conv2d: {filters: 6, init: ones}", {3, {5, 5, 4}}, {4, {1, 3, 3, 6}}, 66, 36},
        {"- separable_conv2d: {filters: 1, multiplier: 3, kernel: [1, 2], no_bias: true, "
         "init: ones}",
         {3, {5, 5, 2}},
         {4, {1, 5, 4, 1}},
         18,
         12},
        {"- max_pool1d: 2", {2, {8, 2}}, {3, {1, 4, 2}}, 0, 1},
        {"- max_pool1d: {size: 3, dilation: 2, stride: 1}", {2, {8, 2}}, {3, {1, 4, 2}}, 0, 1},
        {"- max_pool2d: {size: 2, ceil_mode: true}", {3, {5, 5, 1}}, {4, {1, 3, 3, 1}}, 0, 1},
        {"- max_pool2d: {size: 2, dilation: 3, stride: 1}",
         {3, {5, 5, 1}},
         {4, {1, 2, 2, 1}},
         0,
         1},
        {"- max_pool3d: [1, 2, 2]", {4, {3, 4, 4, 2}}, {5, {1, 3, 2, 2, 2}}, 0, 1},
        {"- avg_pool1d: {size: 4, stride: 2, pad: 1, count_pad: true}",
         {2, {6, 1}},
         {3, {1, 3, 1}},
         0,
         0.75},
        {"- avg_pool3d: {size: 2, stride: 2, pad: 1}",
         {4, {4, 4, 4, 1}},
         {5, {1, 3, 3, 3, 1}},
         0,
         1},
        {"- lp_pool2d: 2", {3, {4, 4, 1}}, {4, {1, 2, 2, 1}}, 0, 2},
        {"- lp_pool2d: {size: 2, p: 1}", {3, {4, 4, 1}}, {4, {1, 2, 2, 1}}, 0, 4},
        {"- adaptive_avg_pool2d: [2, 3]", {3, {7, 5, 3}}, {4, {1, 2, 3, 3}}, 0, 1},
        {"- adaptive_max_pool2d: 2", {3, {7, 5, 3}}, {4, {1, 2, 2, 3}}, 0, 1},
        {"- lp_pool1d: {size: 3, p: 1}", {2, {6, 2}}, {3, {1, 2, 2}}, 0, 3},
        {"- lp_pool3d: {size: 2, p: 3}", {4, {4, 4, 4, 1}}, {5, {1, 2, 2, 2, 1}}, 0, 2},
        {"- adaptive_avg_pool1d: 3", {2, {7, 2}}, {3, {1, 3, 2}}, 0, 1},
        {"- adaptive_max_pool1d: 2", {2, {5, 3}}, {3, {1, 2, 3}}, 0, 1},
        {"- adaptive_avg_pool3d: [1, 2, 3]", {4, {2, 5, 7, 3}}, {5, {1, 1, 2, 3, 3}}, 0, 1},
        {"- adaptive_max_pool3d: 2", {4, {3, 4, 5, 2}}, {5, {1, 2, 2, 2, 2}}, 0, 1},
        {"- global_max_pool2d", {3, {4, 4, 3}}, {2, {1, 3}}, 0, 1},
        {"- global_max_pool2d", {4, {4, 2, 2, 3}}, {2, {1, 3}}, 0, 1},
        {"- upsample2d", {3, {4, 3, 2}}, {4, {1, 8, 6, 2}}, 0, 1},
        {"- upsample2d: {scale: [3, 1], mode: cubic}", {3, {4, 3, 2}}, {4, {1, 12, 3, 2}}, 0, 1},
        {"- upsample2d: {size: [5, 9], mode: linear, align_corners: true}",
         {3, {4, 3, 2}},
         {4, {1, 5, 9, 2}},
         0,
         1},
        {"- depth_to_space: 2", {3, {3, 3, 8}}, {4, {1, 6, 6, 2}}, 0, 1},
        {"- space_to_depth: {block: 3, channels_first: true}",
         {3, {3, 6, 2}},
         {4, {1, 1, 2, 18}},
         0,
         1},
        {"- zero_pad2d: 1", {3, {4, 4, 2}}, {4, {1, 6, 6, 2}}, 0, 0},
        {"- reflection_pad2d: [1, 2, 0, 3]", {3, {4, 4, 2}}, {4, {1, 5, 9, 2}}, 0, 1},
        {"- replication_pad2d: 2", {3, {4, 4, 2}}, {4, {1, 8, 8, 2}}, 0, 1},
        {"- circular_pad2d: [1, 0, 0, 1]", {3, {4, 4, 2}}, {4, {1, 5, 5, 2}}, 0, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        soma_error err = {0};
        soma_layer *layer = read_yaml(cases[i].yaml);
        /* There and back. */
        char *json = json_of(layer);
        soma_layer *again = read_yaml(json);
        char *second = json_of(again);
        assert_string_equal(json, second);
        soma_layer_destroy(again);
        soma__free(json);
        soma__free(second);

        soma_shape batch = cases[i].input;
        memmove(batch.dim + 1, batch.dim, (size_t)batch.ndim * sizeof batch.dim[0]);
        batch.dim[0] = 1;
        batch.ndim++;
        soma_model *model = model_of(layer, cases[i].input, SOMA_TASK_REGRESS);
        soma_tensor *x, *y;
        assert_ok(soma_tensor_create(&x, SOMA_F32, batch, &err), err);
        soma_tensor_fill(x, 1);
        assert_ok(soma_model_predict(model, x, &y, &err), err);
        if (!soma_shape_equal(soma_tensor_shape(y), &cases[i].output) ||
            soma_model_size(model, true) != cases[i].parameters ||
            fabs(soma_tensor_get(y, 0) - cases[i].first) > 1e-6) {
            char got[SOMA_SHAPE_TEXT_SIZE];
            fail_msg("%s gives %s, %lld parameters, first value %g", cases[i].yaml,
                     soma_shape_text(soma_tensor_shape(y), got, sizeof got),
                     (long long)soma_model_size(model, true), soma_tensor_get(y, 0));
        }
        soma_tensor_release(x);
        soma_tensor_release(y);
        soma_model_destroy(model);
    }
}

static void agrees_with_c(void **state)
{
    soma_layer *layer = soma_layer_sequential(
        soma_layer_conv1d(4, 5), soma_layer_conv3d(2, 3, .stride = {0, 2}),
        soma_layer_conv_transpose2d_opt(
            (soma_conv_nd_layer_options){.filters = 3, .kernel = {2, 4}, .padding = SOMA_PAD_SAME}),
        soma_layer_depthwise_conv2d(5, .multiplier = 2),
        soma_layer_separable_conv2d(8, 3, .activation = SOMA_RELU),
        soma_layer_max_pool1d(3, .stride = {2}),
        soma_layer_avg_pool3d(2, .stride = {1}, .count_pad = true), soma_layer_lp_pool2d(2, .p = 3),
        soma_layer_adaptive_avg_pool2d(7, 7), soma_layer_adaptive_max_pool1d(4),
        soma_layer_adaptive_avg_pool3d(1, 2, 3), soma_layer_global_max_pool2d(),
        soma_layer_upsample2d(3, .mode = SOMA_RESIZE_LINEAR), soma_layer_depth_to_space(2, true),
        soma_layer_zero_pad2d(1, 2, 3, 4));
    (void)state;
    char *json = json_of(layer);
    assert_string_equal(
        json,
        "[{\"conv1d\": {\"filters\": 4, \"kernel\": [5]}}, "
        "{\"conv3d\": {\"filters\": 2, \"kernel\": [3, 3, 3], \"stride\": [1, 2, 1]}}, "
        "{\"conv_transpose2d\": {\"filters\": 3, \"kernel\": [2, 4], \"padding\": \"same\"}}, "
        "{\"depthwise_conv2d\": {\"multiplier\": 2, \"kernel\": [5, 5]}}, "
        "{\"separable_conv2d\": {\"filters\": 8, \"kernel\": [3, 3], \"activation\": "
        "\"relu\"}}, "
        "{\"max_pool1d\": {\"size\": [3], \"stride\": [2]}}, "
        "{\"avg_pool3d\": {\"size\": [2, 2, 2], \"stride\": [1, 2, 2], \"count_pad\": true}}, "
        "{\"lp_pool2d\": {\"size\": [2, 2], \"p\": 3.0}}, "
        "{\"adaptive_avg_pool2d\": {\"size\": [7, 7]}}, "
        "{\"adaptive_max_pool1d\": {\"size\": [4]}}, "
        "{\"adaptive_avg_pool3d\": {\"size\": [1, 2, 3]}}, \"global_max_pool2d\", "
        "{\"upsample2d\": {\"scale\": [3, 3], \"mode\": \"linear\"}}, "
        "{\"depth_to_space\": {\"block\": 2, \"channels_first\": true}}, "
        "{\"zero_pad2d\": {\"pad\": [1, 2, 3, 4]}}]");
    soma__free(json);
    soma_layer_destroy(layer);
}

static void refuses(void **state)
{
    (void)state;
#define REFUSE(layer_, input_, code_, part_)                                                       \
    expect_refusal(layer_, input_, SOMA_TASK_REGRESS, code_, part_)
    REFUSE(soma_layer_conv1d(4, 3), S(8, 8, 1), SOMA_SHAPE,
           "conv1d 'conv1': needs lines [N,L,C], got [1,8,8,1]; use reshape before it");
    REFUSE(soma_layer_conv1d(4, 9), S(8, 1), SOMA_SHAPE, "the kernel covers 9 cells");
    REFUSE(soma_layer_conv3d(4, 3), S(8, 8, 1), SOMA_SHAPE, "needs volumes [N,D,H,W,C]");
    REFUSE(soma_layer_conv1d(3, 3, .groups = 2), S(8, 2), SOMA_SHAPE,
           "2 input channels and 3 filters cannot be cut into 2 groups");
    REFUSE(soma_layer_conv3d(3, 3, .pad = {1}, .padding = SOMA_PAD_SAME), S(4, 4, 4, 2),
           SOMA_INVALID, "both pad and padding: same are given; leave one out");
    REFUSE(soma_layer_conv_transpose2d(3, 3, .output_padding = {1, 0}), S(4, 4, 2), SOMA_INVALID,
           "output_padding 1 must be at least 0 and less than the stride 1");
    REFUSE(soma_layer_conv_transpose2d(0, 3), S(4, 4, 2), SOMA_INVALID,
           "filters must be at least 1");
    REFUSE(soma_layer_depthwise_conv2d(3, .multiplier = INT64_MAX), S(4, 4, 2), SOMA_INVALID,
           "multiplier");
    REFUSE(soma_layer_separable_conv2d(3, 3), S(4, 4), SOMA_SHAPE, "needs images");
    REFUSE(soma_layer_max_pool1d(0), S(4, 4), SOMA_INVALID, "size must be at least 1");
    REFUSE(soma_layer_max_pool3d(2), S(4, 4), SOMA_SHAPE, "needs volumes");
    REFUSE(soma_layer_lp_pool2d(2, .p = 0.5), S(4, 4, 1), SOMA_INVALID, "p must be from 1");
    REFUSE(soma_layer_lp_pool3d(2), S(4, 4, 1), SOMA_SHAPE, "needs volumes");
    REFUSE(soma_layer_adaptive_max_pool1d(0), S(4, 4), SOMA_INVALID, "size must be at least 1");
    REFUSE(soma_layer_adaptive_avg_pool3d(2, 2, 2), S(4, 4, 1), SOMA_SHAPE, "needs volumes");
    REFUSE(soma_layer_global_max_pool2d(), S(4), SOMA_SHAPE, "needs lines, images or volumes");
    REFUSE(soma_layer_upsample2d(2, .size = {8, 8}), S(4, 4, 1), SOMA_INVALID,
           "both scale and size are given; leave one out");
    REFUSE(soma_layer_depth_to_space(2, false), S(4, 4, 6), SOMA_SHAPE,
           "6 channels do not divide into blocks of 2x2");
    REFUSE(soma_layer_reflection_pad2d(4, 0, 0, 0), S(4, 4, 1), SOMA_SHAPE, "at most 3, not 4");
#undef REFUSE
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_and_values),
        cmocka_unit_test(agrees_with_c),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
