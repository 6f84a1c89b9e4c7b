/* Every allocation of a check fails once: reported as lack of memory, nothing left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "soma/soma.h"
#include "support/door.h"

static soma_model *model;
static soma_data data;

/* A model with something to find, so that findings are allocated too. */
static soma_status work(soma_error *err)
{
    soma_findings found;
    SOMA__TRY(soma_check(model, &data, NULL, false, &found, err));
    assert_true(found.count >= 2);
    soma_findings_clear(&found);
    return SOMA_OK;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    soma_context *context;
    soma_tensor *x, *y;
    soma_error err = {0};
    soma_context_options options = {.threads = 1};
    soma_model_options takes = {.input = SOMA_SHAPE(4), .seed = 1};
    assert_int_equal(soma_context_create(&context, &options, NULL), SOMA_OK);
    assert_int_equal(soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(40, 4), NULL), SOMA_OK);
    assert_int_equal(soma_tensor_create(&y, SOMA_I64, SOMA_SHAPE(40), NULL), SOMA_OK);
    for (int64_t i = 0; i < 160; i++)
        soma_tensor_set(x, i, (double)(i * 37 % 11) * 40);
    for (int64_t i = 0; i < 40; i++)
        soma_tensor_set(y, i, (double)(i % 3));
    assert_int_equal(soma_dataset_from_tensors(&data.train, x, y, NULL), SOMA_OK);
    data.test = soma_dataset_retain(data.train);
    soma_tensor_release(x);
    soma_tensor_release(y);
    if (soma_model_create(&model, context,
                          soma_layer_sequential(soma_layer_dense(5), soma_layer_dropout(0.1),
                                                soma_layer_dense(6, .activation = SOMA_RELU),
                                                soma_layer_batch_norm(), soma_layer_dense(3)),
                          &takes, &err) != SOMA_OK)
        fail_msg("%s", err.message);
    assert_int_equal(work(&err), SOMA_OK);
    long before = door_live;
    door_refuse_each(work, 50, false);
    assert_int_equal(door_live, before);
    soma_model_destroy(model);
    soma_data_clear(&data);
    soma_context_destroy(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
