/* Probes: what they find on models that are sound or not, and that they leave no trace. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "soma/soma.h"
#include "support/door.h"

static soma_context *context;
static soma_data iris;

static int setup(void **state)
{
    (void)state;
    return soma_context_create(&context, NULL, NULL) || soma_data_open(&iris, "iris", NULL, NULL);
}

static int teardown(void **state)
{
    (void)state;
    soma_data_clear(&iris);
    soma_context_destroy(context);
    return 0;
}

static soma_model *model_of(soma_layer *layer)
{
    soma_model *model;
    const soma_model_options options = {.input = SOMA_SHAPE(4), .seed = 3};
    assert_int_equal(soma_model_create(&model, context, layer, &options, NULL), SOMA_OK);
    return model;
}

static soma_model *sound(void)
{
    return model_of(soma_layer_sequential(soma_layer_dense(16, .activation = SOMA_TANH),
                                          soma_layer_batch_norm(), soma_layer_dense(3)));
}

/* All bytes of all parameters and buffers, summed up. */
static uint64_t fingerprint(const soma_model *model)
{
    uint64_t hash = 14695981039346656037U;
    for (int i = 0; i < soma_model_parameter_count(model); i++) {
        const soma_tensor *t = soma_model_parameter(model, i)->tensor;
        const unsigned char *bytes = soma_tensor_const_data(t);
        for (size_t b = 0; b < soma_tensor_bytes(t); b++)
            hash = (hash ^ bytes[b]) * 1099511628211U;
    }
    return hash;
}

static void rate_is_found(void **state)
{
    (void)state;
    soma_model *model = sound();
    uint64_t before = fingerprint(model);
    const soma_train_options options = {
        .batch = 16, .optimizer = {.kind = SOMA_SGD, .schedule = SOMA_SCHEDULE_COSINE}};
    soma_rate_test test;
    assert_int_equal(soma_find_rate(model, iris.train, &options, 1e-5, 100, 120, &test, NULL),
                     SOMA_OK);
    assert_in_range(test.count, 60, 120);
    /* Batch-normalised features, 3 classes: sgd learns with rates about 0.1, not 1e-4, not 30. */
    assert_true(test.steepest > 0.003 && test.steepest < 3);
    assert_true(test.lowest > 0.003 && test.lowest < 10);
    for (int64_t i = 1; i < test.count; i++)
        assert_true(test.rates[i] > test.rates[i - 1] && isfinite(test.losses[i]));
    assert_int_equal(soma_rate_test_plot(&test, "rate.svg", NULL), SOMA_OK);
    assert_int_equal(remove("rate.svg"), 0);
    soma_rate_test_clear(&test);
    assert_true(fingerprint(model) == before);
    soma_error err = {0};
    assert_int_equal(soma_find_rate(model, iris.train, &options, 1, 0.1, 0, &test, &err),
                     SOMA_INVALID);
    assert_non_null(strstr(err.message, "rising range"));
    soma_model_destroy(model);
}

static void one_batch_is_learnt(void **state)
{
    (void)state;
    soma_model *model = sound();
    uint64_t before = fingerprint(model);
    const soma_train_options options = {.batch = 16,
                                        .optimizer = {.kind = SOMA_ADAM, .rate = 0.02}};
    soma_overfit_test test;
    assert_int_equal(soma_overfit(model, iris.train, &options, 0, &test, NULL), SOMA_OK);
    assert_true(test.learnt);
    assert_int_equal(test.samples, 16);
    assert_int_equal(test.steps, 200);
    assert_true(test.last_loss < test.first_loss / 10);
    assert_true(fingerprint(model) == before);
    soma_model_destroy(model);
    /* What does not see its input cannot learn. */
    model = model_of(soma_layer_sequential(
        soma_layer_dense(8, .init = {.kind = SOMA_INIT_ZEROS}, .frozen = true),
        soma_layer_dense(3)));
    assert_int_equal(soma_overfit(model, iris.train, &options, 50, &test, NULL), SOMA_OK);
    assert_false(test.learnt);
    soma_model_destroy(model);
}

static const soma_gradient_row *find(const soma_gradient_row *rows, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    fail_msg("no row for %s", name);
    return NULL;
}

/* A stack of sigmoids halves a gradient's variance 16 times a layer: the first layers get nothing.
 */
static void vanishing_gradients_are_named(void **state)
{
    (void)state;
    soma_layer *layers[14] = {NULL};
    for (int i = 0; i < 12; i++)
        layers[i] = soma_layer_dense(8, .activation = SOMA_SIGMOID);
    layers[12] = soma_layer_dense(3);
    soma_model *model = model_of(soma_layer_sequential_list(layers));
    uint64_t before = fingerprint(model);
    soma_gradient_row *rows;
    int count;
    const soma_train_options options = {.batch = 32};
    assert_int_equal(soma_gradient_flow(model, iris.train, &options, 2, &rows, &count, NULL),
                     SOMA_OK);
    assert_int_equal(count, 26);
    assert_int_equal(find(rows, count, "dense1.weight")->flow, SOMA_FLOW_VANISHING);
    assert_int_equal(find(rows, count, "dense12.weight")->flow, SOMA_FLOW_SOUND);
    assert_true(find(rows, count, "dense13.weight")->gradient >
                1000 * find(rows, count, "dense1.weight")->gradient);
    assert_true(fingerprint(model) == before);
    soma_free(rows);
    soma_model_destroy(model);

    model = sound();
    assert_int_equal(soma_gradient_flow(model, iris.train, &options, 0, &rows, &count, NULL),
                     SOMA_OK);
    for (int i = 0; i < count; i++)
        assert_int_equal(rows[i].flow, SOMA_FLOW_SOUND);
    soma_free(rows);
    soma_model_destroy(model);
}

static soma_model *probed;

static soma_status work(soma_error *err)
{
    const soma_train_options options = {.batch = 30};
    soma_rate_test test;
    soma_overfit_test overfit;
    soma_gradient_row *rows;
    int count;
    SOMA__TRY(soma_find_rate(probed, iris.train, &options, 0, 0, 4, &test, err));
    soma_rate_test_clear(&test);
    SOMA__TRY(soma_overfit(probed, iris.train, &options, 2, &overfit, err));
    SOMA__TRY(soma_gradient_flow(probed, iris.train, &options, 1, &rows, &count, err));
    soma_free(rows);
    return SOMA_OK;
}

static void without_memory(void **state)
{
    (void)state;
    probed = sound();
    uint64_t before = fingerprint(probed);
    assert_int_equal(work(NULL), SOMA_OK);
    long live = door_live;
    door_refuse_each(work, 20, false);
    assert_true(fingerprint(probed) == before);
    assert_int_equal(door_live, live);
    soma_model_destroy(probed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rate_is_found),
        cmocka_unit_test(one_batch_is_learnt),
        cmocka_unit_test(vanishing_gradients_are_named),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
