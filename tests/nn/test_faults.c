/* Every allocation of a model's life fails once: each must be reported as lack of memory and leave
 * nothing behind (the leak sanitizer looks). */
#include "support.h"

#include <string.h>

#include "base/mem.h"
#include "format/yaml.h"
#include "nn/nn.h"
#include "soma/networks.h"
#include "support/door.h"

static soma_layer *layers(void)
{
    return soma_layer_sequential(
        soma_layer_conv2d(2, 3, .name = "first"),
        soma_layer_repeat(2, soma_layer_basic_block(2, .squeeze = 2)),
        soma_layer_dense_block(1, .growth = 2),
        soma_layer_residual(soma_layer_sequential(soma_layer_conv2d(4, 1), soma_layer_batch_norm()),
                            NULL, SOMA_RELU),
        soma_layer_concat_list((soma_layer *const[]){
            soma_layer_max_pool2d(2), soma_layer_named(soma_layer_avg_pool2d(2), "mean"), NULL}),
        soma_layer_graph(
            "in",
            (soma_graph_node[]){
                {.name = "a", .layer = soma_layer_conv2d(1, 1)},
                {.name = "b", .from = "in", .share = "a"},
                {.name = "c", .from = "a,b", .layer = soma_layer_merge(SOMA_MERGE_ADD)}},
            3, "c"),
        soma_layer_flatten(), soma_layer_reshape(SOMA_SHAPE(-1)), soma_layer_dropout(0.5),
        soma_layer_dense(3, .init = {.kind = SOMA_INIT_ORTHOGONAL, .gain = 2}));
}

static soma_status create(soma_error *err)
{
    soma_model *model;
    soma_status status = soma_model_create(
        &model, context, layers(), &(soma_model_options){.input = SOMA_SHAPE(4, 4, 1)}, err);
    soma_model_destroy(model);
    return status;
}

static soma_status from_recipe(soma_error *err)
{
    static const char yaml[] =
        "- conv2d: {filters: 2, name: c}\n- residual: {body: [relu]}\n"
        "- graph: {nodes: [{name: a, layer: relu}, {name: b, from: [a, a], layer: add}]}\n"
        "- concat: [[flatten], flatten]\n- reshape: [-1]\n- dense: {units: 3, init: {normal: 1}}\n";
    soma__tree tree = {0};
    soma_layer *layer;
    soma_status status = soma__yaml_parse(&tree, yaml, strlen(yaml), "r.yaml", err);
    if (status == SOMA_OK)
        status = soma__layer_from_value(&layer, &tree, tree.root, "model", err);
    if (status == SOMA_OK)
        soma_layer_destroy(layer);
    soma__tree_clear(&tree);
    return status;
}

static soma_status use(soma_model *model, soma_error *err)
{
    soma_tensor *tensor, *y;
    soma_layer_row *rows;
    int count;
    SOMA__TRY(soma_tensor_create(&tensor, SOMA_F32, SOMA_SHAPE(1), err));
    soma_status status = soma_model_set_scaling(model, tensor, tensor, err);
    soma_tensor_release(tensor);
    SOMA__TRY(status);
    SOMA__TRY(soma_model_set_classes(model, (const char *const[]){"a", "b", "c"}, 3, err));
    SOMA__TRY(soma_model_summary(model, &rows, &count, err));
    soma_free(rows);
    SOMA__TRY(soma_tensor_create(&tensor, SOMA_F64, SOMA_SHAPE(2, 4, 4, 1), err));
    status = soma_model_predict(model, tensor, &y, err);
    soma_tensor_release(tensor);
    if (status == SOMA_OK)
        soma_tensor_release(y);
    SOMA__TRY(status);
    return soma_model_save(model, scratch("model"), err);
}

static soma_status whole_life(soma_error *err)
{
    soma_model *model;
    SOMA__TRY(soma_model_create(&model, context, layers(),
                                &(soma_model_options){.input = SOMA_SHAPE(4, 4, 1)}, err));
    soma_status status = use(model, err);
    soma_model_destroy(model);
    SOMA__TRY(status);
    SOMA__TRY(soma_model_load(&model, context, scratch("model"), err));
    status = soma_model_load_weights(model, scratch("model"), err);
    soma_model_destroy(model);
    return status;
}

static void survives_every_refusal(void **state)
{
    (void)state;
    door_refuse_each(create, 50, false);
    door_refuse_each(from_recipe, 20, false);
}

static void survives_a_life_of_refusals(void **state)
{
    /* The plan cache keeps what it has, so each try has a context of its own. */
    soma_context *outer = context;
    int failures = 0;
    (void)state;
    for (;; failures++) {
        soma_error err = {0};
        assert_ok(soma_context_create(
                      &context, &(soma_context_options){.threads = 1, .isa = "reference"}, &err),
                  err);
        door_calls = 0;
        door_refuse = failures + 1;
        soma_status status = whole_life(&err);
        door_refuse = 0;
        soma_context_destroy(context);
        if (status == SOMA_OK)
            break;
        if (status != SOMA_MEMORY || !err.message[0])
            fail_msg("allocation %d: %s: %s", failures + 1, soma_status_text(status), err.message);
    }
    context = outer;
    assert_true(failures > 150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_every_refusal),
        cmocka_unit_test(survives_a_life_of_refusals),
    };
    return cmocka_run_group_tests_name("nn faults", tests, open_context, close_context);
}
