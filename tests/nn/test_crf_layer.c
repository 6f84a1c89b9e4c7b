/* The crf layer, its loss and its best tags: against pytorch-crf (tests/golden/README.md), what it
 * refuses, and that a tagger learns what pairs of tags alone tell. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "soma/soma.h"

#define TOLERANCE 2e-6

static int open_golden(void **state)
{
    return open_golden_file(state, "crf.safetensors");
}

/* The layer over x and lengths, with the parameters of the file. */
static soma_model *golden_model(void)
{
    soma_error err = {0};
    soma_model *model;
    const soma_graph_node node = {.name = "c", .from = "x,lengths", .layer = soma_layer_crf()};
    const soma_model_input inputs[2] = {{.shape = SOMA_SHAPE(6, 4)}, {.shape = SOMA_SCALAR}};
    const soma_model_options options = {
        .task = SOMA_TASK_REGRESS, .inputs = inputs, .input_count = 2};
    assert_ok(soma_model_create(&model, context, soma_layer_graph("x,lengths", &node, 1, "c"),
                                &options, &err),
              err);
    assert_int_equal(soma_model_parameter_count(model), 3);
    for (int i = 0; i < 3; i++) {
        const soma_parameter *p = soma_model_parameter(model, i);
        const soma_tensor *value = golden_tensor(p->name + strlen("c."));
        if (!value)
            fail_msg("pytorch-crf has no %s", p->name);
        for (int64_t k = 0; k < soma_tensor_count(p->tensor); k++)
            assert_true(fabs(soma_tensor_get(p->tensor, k)) <= 0.1);
        memcpy(soma_tensor_data(p->tensor), soma_tensor_const_data(value),
               soma_tensor_bytes(value));
    }
    return model;
}

static void as_pytorch_crf(void **state)
{
    (void)state;
    soma_error err = {0};
    soma_graph *graph;
    soma_model *model = golden_model();
    soma_var chain, out[6], from[4];
    soma_tensor *got[6];
    assert_ok(soma_graph_create(&graph, &err), err);
    from[0] = soma_constant(graph, golden_tensor("x"));
    const soma_var in[2] = {from[0],
                            soma_cast(soma_constant(graph, golden_tensor("lengths")), SOMA_F32)};
    soma_model_apply_all(model, graph, in, SOMA_EVALUATE, (soma_var){0}, NULL, 0, NULL, &chain);
    for (int i = 0; i < 3; i++)
        from[1 + i] = soma_model_variable(model, graph, i);
    out[0] = soma_chain_loss(chain, soma_constant(graph, golden_tensor("tags")));
    out[1] = soma_chain_tags(chain);
    soma_gradients_from(out[0], soma_constant(graph, golden_tensor("dy")), from, 4, out + 2);
    assert_ok(soma_eval_many(got, context, out, 6, NULL, 0, &err), err);
    expect_close("crf", "y", got[0], golden_tensor("y"), TOLERANCE);
    expect_close("crf", "best", got[1], golden_tensor("best"), 0);
    expect_close("crf", "grad/x", got[2], golden_tensor("grad/x"), TOLERANCE);
    for (int i = 0; i < 3; i++) {
        char name[64];
        const char *own = soma_model_parameter(model, i)->name + strlen("c.");
        snprintf(name, sizeof name, "grad/%s", own);
        expect_close("crf", own, got[3 + i], golden_tensor(name), TOLERANCE);
    }
    for (int i = 0; i < 6; i++)
        soma_tensor_release(got[i]);
    soma_graph_destroy(graph);
    soma_model_destroy(model);
}

static void refuses(void **state)
{
    (void)state;
    soma_error err = {0};
    soma_graph *graph;
    soma_model *model;
    expect_refusal(soma_layer_crf(), SOMA_SHAPE(5), SOMA_TASK_REGRESS, SOMA_SHAPE,
                   "needs a score of each tag at each step");
    const soma_graph_node node = {.name = "c", .from = "a,b", .layer = soma_layer_crf()};
    const soma_model_input inputs[2] = {{.shape = SOMA_SHAPE(5, 3)}, {.shape = SOMA_SHAPE(5)}};
    assert_int_equal(soma_model_create(&model, context, soma_layer_graph("a,b", &node, 1, "c"),
                                       &(soma_model_options){.inputs = inputs, .input_count = 2},
                                       &err),
                     SOMA_SHAPE);
    assert_contains(err.message, "and lengths");
    for (int kind = 0; kind < 3; kind++) {
        assert_ok(soma_graph_create(&graph, &err), err);
        soma_var x = soma_full(graph, SOMA_F32, SOMA_SHAPE(2, 6, 3), 0), y;
        if (kind == 0)
            y = soma_chain_tags(x);
        else if (kind == 1)
            y = soma_chain(soma_full(graph, SOMA_F32, SOMA_SHAPE(2, 6), 0), (soma_var){0});
        else
            y = soma_chain_loss(x, soma_full(graph, SOMA_I64, SOMA_SHAPE(2, 1), 0));
        assert_false(soma_var_ok(y));
        assert_int_equal(soma_graph_status(graph, &err), SOMA_SHAPE);
        assert_contains(err.message,
                        kind == 1 ? "scores of a chain are [B,T+K+2,K]" : "a chain is [B,T+K+3,K]");
        soma_graph_destroy(graph);
    }
}

/* --- learning -----------------------------------------------------------------------------------
 */

/* Tags take turns, and the first word alone tells where they begin: a step by itself cannot know
 * its tag, the pairs can. */
static void learns_pairs(void **state)
{
    enum { COUNT = 16, STEPS = 7, TAGS = 3 };
    soma_error err = {0};
    soma_graph *graph;
    soma_plan *plan;
    soma_session *session;
    (void)state;
    soma_tensor *words, *tags, *best;
    assert_ok(soma_tensor_create(&words, SOMA_F32, SOMA_SHAPE(COUNT, STEPS), &err), err);
    assert_ok(soma_tensor_create(&tags, SOMA_I64, SOMA_SHAPE(COUNT, STEPS), &err), err);
    for (int64_t i = 0; i < COUNT; i++)
        for (int64_t t = 0; t < STEPS; t++) {
            /* The first word tells where the turns begin, all others are the same. */
            const bool counts = t < 2 + i % (STEPS - 1);
            soma_tensor_set(words, i * STEPS + t,
                            !counts  ? 0
                            : t == 0 ? 1 + (double)(i % TAGS)
                                     : 4);
            soma_tensor_set(tags, i * STEPS + t, counts ? (double)((i + t) % TAGS) : -1);
        }
    const soma_graph_node nodes[] = {
        {.name = "lengths", .layer = soma_layer_lengths()},
        {.name = "words", .from = "input", .layer = soma_layer_embedding(5, TAGS)},
        {.name = "crf", .from = "words,lengths", .layer = soma_layer_crf()}};
    soma_model *model =
        model_of(soma_layer_graph(NULL, nodes, 3, NULL), SOMA_SHAPE(STEPS), SOMA_TASK_REGRESS);
    soma_var parameter[4], gradient[4];
    soma_update update[4];
    assert_ok(soma_graph_create(&graph, &err), err);
    soma_var chain = soma_model_apply(model, graph, soma_constant(graph, words), SOMA_TRAIN,
                                      (soma_var){0}, NULL, 0, NULL);
    soma_var loss = soma_mean(soma_chain_loss(chain, soma_constant(graph, tags)));
    for (int i = 0; i < 4; i++)
        parameter[i] = soma_model_variable(model, graph, i);
    soma_gradients(loss, parameter, 4, gradient);
    for (int i = 0; i < 4; i++)
        update[i] =
            (soma_update){parameter[i], soma_sub(parameter[i], soma_mul_scalar(gradient[i], 0.5))};
    const soma_var out[2] = {loss, soma_chain_tags(chain)};
    assert_ok(soma_plan_create(&plan, context, out, 2, update, 4, &err), err);
    assert_ok(soma_session_create(&session, plan, &err), err);
    double first = 0;
    for (int step = 0; step < 100; step++) {
        assert_ok(soma_session_run(session, &err), err);
        if (step == 0)
            first = soma_tensor_get(soma_session_output(session, 0), 0);
    }
    assert_true(soma_tensor_get(soma_session_output(session, 0), 0) < 0.1 * first);
    best = (soma_tensor *)(uintptr_t)soma_session_output(session, 1);
    assert_memory_equal(soma_tensor_const_data(best), soma_tensor_const_data(tags),
                        soma_tensor_bytes(tags));
    soma_session_destroy(session);
    soma_plan_release(plan);
    soma_graph_destroy(graph);
    soma_model_destroy(model);
    soma_tensor_release(words);
    soma_tensor_release(tags);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_pytorch_crf),
        cmocka_unit_test(refuses),
        cmocka_unit_test(learns_pairs),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
