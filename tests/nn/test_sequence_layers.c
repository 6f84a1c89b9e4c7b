/* lengths, sequence_pool and each_step: worked by hand, padding of any amount, what they refuse. */
#include "support.h"

#include <math.h>
#include <string.h>

#include "soma/soma.h"

/* What `layer` gives of x, whose samples have the shape `sample`. */
static soma_tensor *predict(soma_layer *layer, soma_shape sample, const soma_tensor *x)
{
    soma_error err = {0};
    soma_tensor *y;
    soma_model *model = model_of(layer, sample, SOMA_TASK_REGRESS);
    assert_ok(soma_model_predict(model, x, &y, &err), err);
    soma_model_destroy(model);
    return y;
}

static void expect_values(soma_tensor *y, soma_shape shape, const double *want)
{
    assert_true(soma_shape_equal(soma_tensor_shape(y), &shape));
    for (int64_t i = 0; i < soma_tensor_count(y); i++)
        if (fabs(soma_tensor_get(y, i) - want[i]) > 1e-6)
            fail_msg("%d: %g, expected %g", (int)i, soma_tensor_get(y, i), want[i]);
    soma_tensor_release(y);
}

/* The last step that holds something counts, whatever lies before it; an empty text has none. */
static void a_length_is_where_padding_begins(void **state)
{
    (void)state;
    const float ids[] = {5, 3, 2, 0, 7, 0, 0, 9, 0, 0, 0, 0, 1, 0, 0, 0};
    const float wide[] = {0, 0, 0, -1, 0, 0, 0, 0, 0, 0, 0, 0};
    soma_tensor *x = tensor_of(SOMA_SHAPE(4, 4), ids), *w = tensor_of(SOMA_SHAPE(2, 3, 2), wide);
    expect_values(predict(soma_layer_lengths(), SOMA_SHAPE(4), x), SOMA_SHAPE(4),
                  (const double[]){3, 4, 0, 1});
    expect_values(predict(soma_layer_lengths(), SOMA_SHAPE(3, 2), w), SOMA_SHAPE(2),
                  (const double[]){2, 0});
    soma_tensor_release(x);
    soma_tensor_release(w);
}

static const float values[] = {-1, 5, -3, 2, 8, 9,  /* of two steps of three */
                               4,  4, 6,  0, 1, 7,  /* of three, and of more than there are */
                               1,  2, 3,  4, 5, 6}; /* of none */

/* A graph of one node over x and lengths. */
static soma_tensor *pool(soma_sequence_pooling pooling, const float lengths[3])
{
    soma_error err = {0};
    soma_model *model;
    const soma_graph_node node = {
        .name = "p", .from = "x,lengths", .layer = soma_layer_sequence_pool(pooling)};
    const soma_model_input inputs[2] = {{.shape = SOMA_SHAPE(3, 2)}, {.shape = SOMA_SCALAR}};
    const soma_model_options options = {
        .task = SOMA_TASK_REGRESS, .inputs = inputs, .input_count = 2};
    assert_ok(soma_model_create(&model, context, soma_layer_graph("x,lengths", &node, 1, "p"),
                                &options, &err),
              err);
    soma_tensor *x[2] = {tensor_of(SOMA_SHAPE(3, 3, 2), values), tensor_of(SOMA_SHAPE(3), lengths)};
    soma_tensor *y;
    assert_ok(soma_model_predict_all(model, (const soma_tensor *const *)x, &y, &err), err);
    soma_model_destroy(model);
    soma_tensor_release(x[0]);
    soma_tensor_release(x[1]);
    return y;
}

static void pools_the_steps_that_count(void **state)
{
    (void)state;
    const float lengths[3] = {2, 5, 0};
    const soma_shape shape = SOMA_SHAPE(3, 2);
    expect_values(pool(SOMA_SEQUENCE_MAX, lengths), shape, (const double[]){-1, 5, 6, 7, 0, 0});
    expect_values(pool(SOMA_SEQUENCE_SUM, lengths), shape, (const double[]){-4, 7, 11, 11, 0, 0});
    expect_values(pool(SOMA_SEQUENCE_MEAN, lengths), shape,
                  (const double[]){-2, 3.5, 11 / 3.0, 11 / 3.0, 0, 0});
    expect_values(pool(SOMA_SEQUENCE_LAST, lengths), shape, (const double[]){-3, 2, 1, 7, 0, 0});

    soma_tensor *x = tensor_of(SOMA_SHAPE(3, 3, 2), values);
    const double want[4][6] = {{8, 9, 6, 7, 5, 6},
                               {4 / 3.0, 16 / 3.0, 11 / 3.0, 11 / 3.0, 3, 4},
                               {4, 16, 11, 11, 9, 12},
                               {8, 9, 1, 7, 5, 6}};
    for (int k = 0; k < 4; k++)
        expect_values(
            predict(soma_layer_sequence_pool((soma_sequence_pooling)k), SOMA_SHAPE(3, 2), x), shape,
            want[k]);
    soma_tensor_release(x);
}

/* Where nothing counts nothing is learned, and nothing becomes NaN. */
static void no_step_has_no_gradient(void **state)
{
    (void)state;
    soma_error err = {0};
    soma_tensor *x = tensor_of(SOMA_SHAPE(1, 3), (const float[]){0, 0, 0}), *got;
    const soma_graph_node nodes[] = {
        {.name = "lengths", .layer = soma_layer_lengths()},
        {.name = "e", .from = "input", .layer = soma_layer_embedding(4, 2)},
        {.name = "p", .from = "e,lengths", .layer = soma_layer_sequence_pool(SOMA_SEQUENCE_MAX)}};
    soma_model *model =
        model_of(soma_layer_graph(NULL, nodes, 3, NULL), SOMA_SHAPE(3), SOMA_TASK_REGRESS);
    soma_graph *graph;
    assert_ok(soma_graph_create(&graph, &err), err);
    soma_var y = soma_model_apply(model, graph, soma_constant(graph, x), SOMA_TRAIN, (soma_var){0},
                                  NULL, 0, NULL);
    soma_var weight = soma_model_variable(model, graph, 0), gradient;
    soma_gradients(soma_sum(y), &weight, 1, &gradient);
    assert_ok(soma_eval(&got, context, gradient, &err), err);
    for (int64_t i = 0; i < soma_tensor_count(got); i++)
        assert_true(fabs(soma_tensor_get(got, i)) <= 0);
    soma_tensor_release(got);
    soma_graph_destroy(graph);
    soma_model_destroy(model);
    soma_tensor_release(x);
}

/* The body sees each step as a sample of its own. */
static void each_step_by_itself(void **state)
{
    (void)state;
    soma_error err = {0};
    soma_tensor *x = noise(SOMA_SHAPE(2, 3, 4), 1), *y, *steps, *z;
    soma_model *apart =
        model_of(soma_layer_each_step(soma_layer_dense(5)), SOMA_SHAPE(3, 4), SOMA_TASK_REGRESS);
    soma_model *one = model_of(soma_layer_dense(5), SOMA_SHAPE(4), SOMA_TASK_REGRESS);
    assert_non_null(soma_model_find(apart, "each_step1.body.weight"));
    for (int i = 0; i < 2; i++) {
        soma_tensor *from = soma_model_parameter(apart, i)->tensor;
        memcpy(soma_tensor_data(soma_model_parameter(one, i)->tensor), soma_tensor_const_data(from),
               soma_tensor_bytes(from));
    }
    assert_ok(soma_tensor_from(&steps, SOMA_F32, SOMA_SHAPE(6, 4), soma_tensor_const_data(x), &err),
              err);
    assert_ok(soma_model_predict(apart, x, &y, &err), err);
    assert_ok(soma_model_predict(one, steps, &z, &err), err);
    assert_true(soma_shape_equal(soma_tensor_shape(y), &SOMA_SHAPE(2, 3, 5)));
    assert_memory_equal(soma_tensor_const_data(y), soma_tensor_const_data(z), soma_tensor_bytes(y));
    soma_tensor_release(x);
    soma_tensor_release(y);
    soma_tensor_release(z);
    soma_tensor_release(steps);
    soma_model_destroy(apart);
    soma_model_destroy(one);
}

static void refuses(void **state)
{
    (void)state;
    expect_refusal(soma_layer_lengths(), SOMA_SCALAR, SOMA_TASK_REGRESS, SOMA_SHAPE,
                   "needs sequences [B,T…]");
    expect_refusal(soma_layer_sequence_pool(SOMA_SEQUENCE_MAX), SOMA_SHAPE(5), SOMA_TASK_REGRESS,
                   SOMA_SHAPE, "needs sequences [B,T,C]");
    expect_refusal(soma_layer_each_step(NULL), SOMA_SHAPE(3, 4), SOMA_TASK_REGRESS, SOMA_INVALID,
                   "has no body");
    expect_refusal(soma_layer_each_step(soma_layer_dense(2)), SOMA_SCALAR, SOMA_TASK_REGRESS,
                   SOMA_SHAPE, "needs sequences [B,T…]");
    const soma_graph_node node = {
        .name = "p", .from = "a,b", .layer = soma_layer_sequence_pool(SOMA_SEQUENCE_MEAN)};
    const soma_model_input inputs[2] = {{.shape = SOMA_SHAPE(5, 3)}, {.shape = SOMA_SHAPE(5)}};
    soma_error err = {0};
    soma_model *model;
    assert_int_equal(soma_model_create(&model, context, soma_layer_graph("a,b", &node, 1, "p"),
                                       &(soma_model_options){.inputs = inputs, .input_count = 2},
                                       &err),
                     SOMA_SHAPE);
    assert_contains(err.message, "and lengths");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_length_is_where_padding_begins),
        cmocka_unit_test(pools_the_steps_that_count),
        cmocka_unit_test(no_step_has_no_gradient),
        cmocka_unit_test(each_step_by_itself),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
