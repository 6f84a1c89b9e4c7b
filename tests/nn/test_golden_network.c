/* A whole small network: ten losses, all gradients of the first step and the last weights against
 * PyTorch's (tests/golden/README.md). */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nn/nn.h"
#include "soma/optim.h"

#define STEPS 10
#define PARAMETERS 6

static int open_golden(void **state)
{
    return open_golden_file(state, "network.safetensors");
}

static soma_tensor *stored(const char *part, const char *name)
{
    char full[128];
    snprintf(full, sizeof full, "%s%s%s", part, *name ? "/" : "", name);
    soma_tensor *tensor = golden_tensor(full);
    if (!tensor)
        fail_msg("the golden file lacks '%s'", full);
    return tensor;
}

static soma_model *network(void)
{
    soma_model *model =
        model_of(soma_layer_sequential(soma_layer_conv2d(4, 3, .pad = {1, 1, 1, 1},
                                                         .activation = SOMA_RELU, .name = "conv"),
                                       soma_layer_max_pool2d(2), soma_layer_flatten(),
                                       soma_layer_dense(16, .activation = SOMA_RELU, .name = "fc1"),
                                       soma_layer_dense(10, .name = "fc2")),
                 SOMA_SHAPE(8, 8, 1), SOMA_TASK_CLASSIFY);
    assert_int_equal(soma_model_parameter_count(model), PARAMETERS);
    for (int i = 0; i < PARAMETERS; i++) {
        const soma_parameter *parameter = soma_model_parameter(model, i);
        const soma_tensor *initial = stored("initial", parameter->name);
        assert_true(
            soma_shape_equal(soma_tensor_shape(parameter->tensor), soma_tensor_shape(initial)));
        memcpy(soma_tensor_data(parameter->tensor), soma_tensor_const_data(initial),
               soma_tensor_bytes(initial));
    }
    return model;
}

/* The plan of one step. Outputs: loss, logits, then the gradient of each parameter. */
static soma_session *step_session(soma_model *model, soma_optimizer *optimizer)
{
    soma_error err = {0};
    soma_graph *graph;
    soma_plan *plan;
    soma_session *session;
    soma_var params[PARAMETERS], outputs[2 + PARAMETERS];
    soma_update updates[3 * PARAMETERS];
    int used = 0;

    assert_ok(soma_graph_create(&graph, &err), err);
    soma_var x = soma_input(graph, "x", SOMA_F32, SOMA_SHAPE(16, 8, 8, 1));
    soma_var labels = soma_input(graph, "labels", SOMA_I64, SOMA_SHAPE(16));
    soma_var hyper = soma_input(graph, "hyper", SOMA_F32, SOMA_SHAPE(SOMA_OPTIMIZER_HYPER));
    outputs[1] = soma_model_apply(model, graph, x, SOMA_TRAIN, (soma_var){0}, NULL, 0, NULL);
    outputs[0] = soma_mean(soma_cross_entropy(outputs[1], labels));
    for (int i = 0; i < PARAMETERS; i++)
        params[i] = soma_model_variable(model, graph, i);
    soma_gradients(outputs[0], params, PARAMETERS, outputs + 2);
    soma_optimizer_apply(optimizer, params, outputs + 2, hyper, (soma_var){0}, NULL, updates,
                         &used);
    assert_ok(soma_plan_create(&plan, context, outputs, 2 + PARAMETERS, updates, used, &err), err);
    assert_ok(soma_session_create(&session, plan, &err), err);
    soma_plan_release(plan);
    soma_graph_destroy(graph);
    return session;
}

static soma_optimizer *momentum_sgd(const soma_model *model)
{
    soma_error err = {0};
    const char *names[PARAMETERS];
    soma_tensor *tensors[PARAMETERS];
    soma_optimizer *optimizer;
    for (int i = 0; i < PARAMETERS; i++) {
        names[i] = soma_model_parameter(model, i)->name;
        tensors[i] = soma_model_parameter(model, i)->tensor;
    }
    soma_optimizer_options options = {.kind = SOMA_SGD, .rate = 0.05, .momentum = 0.9};
    assert_ok(soma_optimizer_create(&optimizer, &options, names, tensors, PARAMETERS, &err), err);
    return optimizer;
}

static void trains_as_pytorch_does(void **state)
{
    soma_error err = {0};
    soma_model *model = network();
    soma_optimizer *optimizer = momentum_sgd(model);
    soma_session *session = step_session(model, optimizer);
    float hyper[SOMA_OPTIMIZER_HYPER];
    (void)state;
    assert_ok(soma_session_set_tensor(session, "x", stored("x", ""), &err), err);
    assert_ok(soma_session_set_tensor(session, "labels", stored("labels", ""), &err), err);
    for (int64_t step = 0; step < STEPS; step++) {
        soma_optimizer_hyper(optimizer, step, STEPS, STEPS, hyper);
        assert_ok(soma_session_set(session, "hyper", SOMA_F32, &SOMA_SHAPE(SOMA_OPTIMIZER_HYPER),
                                   hyper, &err),
                  err);
        assert_ok(soma_session_run(session, &err), err);
        double loss = soma_tensor_get(soma_session_output(session, 0), 0);
        double want = soma_tensor_get(stored("losses", ""), step);
        if (!(fabs(loss - want) < 1e-5))
            fail_msg("step %d: loss %.9g, PyTorch %.9g", (int)step + 1, loss, want);
        if (step > 0)
            continue;
        expect_close("network", "logits", soma_session_output(session, 1), stored("logits1", ""),
                     1e-5);
        for (int i = 0; i < PARAMETERS; i++) {
            const char *name = soma_model_parameter(model, i)->name;
            expect_close("network", name, soma_session_output(session, 2 + i),
                         stored("grad1", name), 1e-6);
        }
    }
    for (int i = 0; i < PARAMETERS; i++) {
        const soma_parameter *parameter = soma_model_parameter(model, i);
        expect_close("network", parameter->name, parameter->tensor,
                     stored("final", parameter->name), 1e-5);
    }
    soma_session_destroy(session);
    soma_optimizer_destroy(optimizer);
    soma_model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(trains_as_pytorch_does)};
    return cmocka_run_group_tests_name("golden network", tests, open_golden, close_golden);
}
