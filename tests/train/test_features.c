/* soma_features: what layers say of data, over batches that do not divide it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "soma/soma.h"
#include "support/door.h"

#define COUNT 11

static soma_context *context;
static soma_dataset *dataset;
static soma_model *model;

/* x = (i, 1), a hidden layer of 3 without activation, an output of 2. */
static int setup(void **state)
{
    (void)state;
    soma_tensor *x, *y;
    const soma_model_options options = {.input = SOMA_SHAPE(2), .seed = 3};
    soma_layer *layer = soma_layer_sequential(
        soma_layer_named(soma_layer_sequential(soma_layer_dense(3, .name = "code")), "encoder"),
        soma_layer_activation(SOMA_RELU), soma_layer_dense(2));
    if (soma_context_create(&context, NULL, NULL) ||
        soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(COUNT, 2), NULL) ||
        soma_tensor_create(&y, SOMA_I64, SOMA_SHAPE(COUNT), NULL))
        return 1;
    for (int64_t i = 0; i < COUNT; i++) {
        soma_tensor_set(x, 2 * i, (double)i);
        soma_tensor_set(x, 2 * i + 1, 1);
        soma_tensor_set(y, i, (double)(i % 2));
    }
    soma_status status = soma_dataset_from_tensors(&dataset, x, y, NULL);
    soma_tensor_release(x);
    soma_tensor_release(y);
    return status || soma_model_create(&model, context, layer, &options, NULL);
}

static int teardown(void **state)
{
    (void)state;
    soma_model_destroy(model);
    soma_dataset_release(dataset);
    soma_context_destroy(context);
    return 0;
}

static void a_layer_within_a_block(void **state)
{
    (void)state;
    soma_tensor *features;
    const soma_tensor *w = soma_model_find(model, "encoder.code.weight")->tensor;
    assert_int_equal(soma_features(model, dataset, "encoder.code", 4, &features, NULL), SOMA_OK);
    assert_true(soma_shape_equal(soma_tensor_shape(features), &SOMA_SHAPE(COUNT, 3)));
    for (int64_t i = 0; i < COUNT; i++)
        for (int64_t j = 0; j < 3; j++) {
            double want = (double)i * soma_tensor_get(w, 2 * j) + soma_tensor_get(w, 2 * j + 1);
            assert_true(fabs(soma_tensor_get(features, 3 * i + j) - want) < 1e-5);
        }
    soma_tensor_release(features);
}

static void the_last_layer_is_the_prediction(void **state)
{
    (void)state;
    soma_tensor *features, *x, *out;
    assert_int_equal(soma_features(model, dataset, NULL, 0, &features, NULL), SOMA_OK);
    assert_int_equal(soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(COUNT, 2), NULL), SOMA_OK);
    for (int64_t i = 0; i < COUNT; i++) {
        soma_tensor_set(x, 2 * i, (double)i);
        soma_tensor_set(x, 2 * i + 1, 1);
    }
    assert_int_equal(soma_model_predict(model, x, &out, NULL), SOMA_OK);
    assert_memory_equal(soma_tensor_const_data(features), soma_tensor_const_data(out),
                        soma_tensor_bytes(out));
    soma_tensor_release(features);
    soma_tensor_release(x);
    soma_tensor_release(out);
}

static void faults(void **state)
{
    (void)state;
    soma_tensor *features;
    soma_error err = {0};
    assert_int_equal(soma_features(model, dataset, "encoder.cod", 0, &features, &err),
                     SOMA_NOT_FOUND);
    assert_non_null(strstr(err.message, "no layer 'encoder.cod'"));
    soma_data iris;
    assert_int_equal(soma_data_open(&iris, "iris", NULL, NULL), SOMA_OK);
    err = (soma_error){0};
    assert_int_equal(soma_features(model, iris.train, NULL, 0, &features, &err), SOMA_SHAPE);
    assert_non_null(strstr(err.message, "samples are [4], the model takes [2]"));
    soma_data_clear(&iris);
}

static soma_status work(soma_error *err)
{
    soma_tensor *features;
    SOMA__TRY(soma_features(model, dataset, "encoder.code", 4, &features, err));
    soma_tensor_release(features);
    return SOMA_OK;
}

static void without_memory(void **state)
{
    (void)state;
    assert_int_equal(work(NULL), SOMA_OK);
    long live = door_live;
    door_refuse_each(work, 10, false);
    assert_int_equal(door_live, live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_layer_within_a_block),
        cmocka_unit_test(the_last_layer_is_the_prediction),
        cmocka_unit_test(faults),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
