/* What a training warns of before its first step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "soma/soma.h"

typedef struct heard {
    int count;
    char last[SOMA_ERROR_MESSAGE_SIZE];
} heard;

static bool listen(void *user, const soma_event *event)
{
    heard *h = user;
    if (event->kind == SOMA_EVENT_WARNING &&
        (strstr(event->message, "stay equal") || strstr(event->message, "by heart"))) {
        h->count++;
        strncpy(h->last, event->message, sizeof h->last - 1);
    }
    return true;
}

/* Trains a small network whose hidden layer begins as told. */
static heard train_with(soma_init_options init, bool frozen)
{
    soma_error err = {0};
    soma_context *context;
    soma_data data;
    soma_model *model;
    heard h = {0};
    soma_model_options takes = {.input = SOMA_SHAPE(8, 8, 1), .input_dtype = SOMA_U8, .seed = 1};
    soma_train_options how = {.epochs = 1,
                              .batch = 1400,
                              .optimizer = {.kind = SOMA_SGD, .rate = 0.0001},
                              .callback = listen,
                              .user = &h};
    soma_layer *layers =
        soma_layer_sequential(soma_layer_flatten(), soma_layer_layer_norm(),
                              soma_layer_dense(5, .init = init, .frozen = frozen, .name = "hidden"),
                              soma_layer_dense(10));
    assert_int_equal(soma_context_create(&context, NULL, &err), SOMA_OK);
    assert_int_equal(soma_data_open(&data, "digits", NULL, &err), SOMA_OK);
    assert_int_equal(soma_model_create(&model, context, layers, &takes, &err), SOMA_OK);
    if (soma_train(model, &data, &how, NULL, &err) != SOMA_OK)
        fail_msg("%s", err.message);
    soma_model_destroy(model);
    soma_data_clear(&data);
    soma_context_destroy(context);
    return h;
}

static void warns_of_equal_weights(void **state)
{
    (void)state;
    heard h = train_with((soma_init_options){.kind = SOMA_INIT_CONSTANT, .value = 0.5}, false);
    assert_int_equal(h.count, 1);
    assert_non_null(strstr(h.last, "all weights of 'hidden.weight' are 0.5"));
    assert_int_equal(train_with((soma_init_options){.kind = SOMA_INIT_ZEROS}, false).count, 1);
    assert_int_equal(train_with((soma_init_options){0}, false).count, 0);
    assert_int_equal(train_with((soma_init_options){.kind = SOMA_INIT_ORTHOGONAL}, false).count, 0);
    /* What is not trained may be what it likes. */
    assert_int_equal(train_with((soma_init_options){.kind = SOMA_INIT_ONES}, true).count, 0);
}

/* Labels that follow from nothing: what is learnt of them is of no use in validation. */
static soma_dataset *noise(int64_t count, uint32_t seed)
{
    soma_tensor *x, *y;
    soma_dataset *out;
    assert_int_equal(soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(count, 8), NULL), SOMA_OK);
    assert_int_equal(soma_tensor_create(&y, SOMA_I64, SOMA_SHAPE(count), NULL), SOMA_OK);
    for (int64_t i = 0; i < count * 8; i++) {
        seed = seed * 1664525U + 1013904223U;
        soma_tensor_set(x, i, (double)(seed >> 8) / (1 << 23) - 1);
    }
    for (int64_t i = 0; i < count; i++) {
        seed = seed * 1664525U + 1013904223U;
        soma_tensor_set(y, i, (double)(seed >> 31));
    }
    assert_int_equal(soma_dataset_from_tensors(&out, x, y, NULL), SOMA_OK);
    soma_tensor_release(x);
    soma_tensor_release(y);
    return out;
}

static int gap_warnings(int64_t epochs)
{
    soma_context *context;
    soma_model *model;
    heard h = {0};
    soma_data data = {.train = noise(64, 1), .validation = noise(64, 2)};
    soma_model_options takes = {.input = SOMA_SHAPE(8), .seed = 1};
    soma_train_options how = {.epochs = epochs,
                              .batch = 16,
                              .optimizer = {.kind = SOMA_ADAM, .rate = 0.01},
                              .callback = listen,
                              .user = &h};
    soma_layer *layers =
        soma_layer_sequential(soma_layer_dense(64, .activation = SOMA_RELU), soma_layer_dense(2));
    assert_int_equal(soma_context_create(&context, NULL, NULL), SOMA_OK);
    assert_int_equal(soma_model_create(&model, context, layers, &takes, NULL), SOMA_OK);
    assert_int_equal(soma_train(model, &data, &how, NULL, NULL), SOMA_OK);
    soma_model_destroy(model);
    soma_data_clear(&data);
    soma_context_destroy(context);
    return h.count;
}

static void warns_of_a_gap_once(void **state)
{
    (void)state;
    assert_int_equal(gap_warnings(60), 1);
    assert_int_equal(gap_warnings(2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(warns_of_equal_weights),
                                       cmocka_unit_test(warns_of_a_gap_once)};
    return cmocka_run_group_tests_name("warnings", tests, NULL, NULL);
}
