/* Norm layers, noise and wrappers of weights: parameters, what they compute in training and in
 * evaluation, that they train and come back from a file, and what is refused. */
#include "support.h"

#include <math.h>
#include <string.h>

#include "soma/soma.h"

static soma_tensor *ramp(soma_shape shape)
{
    soma_tensor *x;
    assert_int_equal(soma_tensor_create(&x, SOMA_F32, shape, NULL), SOMA_OK);
    for (int64_t i = 0; i < soma_tensor_count(x); i++)
        soma_tensor_set(x, i, sin(0.7 * (double)i) + 0.1 * (double)(i % 5));
    return x;
}

static soma_tensor *predict(soma_model *model, const soma_tensor *x)
{
    soma_tensor *y;
    soma_error err = {0};
    assert_ok(soma_model_predict(model, x, &y, &err), err);
    return y;
}

/* Mean and variance of cells [first, first + count) of a step. */
static void moments(const soma_tensor *y, int64_t first, int64_t count, int64_t step, double *mean,
                    double *var)
{
    double sum = 0, square = 0;
    for (int64_t i = 0; i < count; i++) {
        double value = soma_tensor_get(y, first + i * step);
        sum += value;
        square += value * value;
    }
    *mean = sum / (double)count;
    *var = square / (double)count - *mean * *mean;
}

static void norms_normalise(void **state)
{
    double mean, var;
    (void)state;
    soma_tensor *x = ramp(SOMA_SHAPE(2, 4, 4, 6));
    soma_model *model =
        model_of(soma_layer_instance_norm(), SOMA_SHAPE(4, 4, 6), SOMA_TASK_REGRESS);
    soma_tensor *y = predict(model, x);
    assert_int_equal(soma_model_size(model, true), 12);
    moments(y, 5, 16, 6, &mean, &var);
    assert_true(fabs(mean) < 1e-5 && fabs(var - 1) < 1e-3);
    soma_tensor_release(y);
    soma_model_destroy(model);

    model = model_of(soma_layer_group_norm(2), SOMA_SHAPE(4, 4, 6), SOMA_TASK_REGRESS);
    y = predict(model, x);
    double sum = 0;
    for (int64_t cell = 0; cell < 16; cell++)
        for (int64_t c = 3; c < 6; c++)
            sum += soma_tensor_get(y, cell * 6 + c);
    assert_true(fabs(sum) < 1e-4);
    soma_tensor_release(y);
    soma_model_destroy(model);

    model = model_of(soma_layer_rms_norm(), SOMA_SHAPE(4, 4, 6), SOMA_TASK_REGRESS);
    y = predict(model, x);
    assert_int_equal(soma_model_size(model, true), 6);
    moments(y, 6, 6, 1, &mean, &var);
    assert_true(fabs(var + mean * mean - 1) < 1e-3);
    soma_tensor_release(y);
    soma_model_destroy(model);

    model = model_of(soma_layer_local_response_norm(.size = 3, .alpha = 3, .beta = 1),
                     SOMA_SHAPE(4, 4, 6), SOMA_TASK_REGRESS);
    y = predict(model, x);
    double a = soma_tensor_get(x, 0), b = soma_tensor_get(x, 1);
    assert_true(fabs(soma_tensor_get(y, 0) - a / (1 + a * a + b * b)) < 1e-6);
    soma_tensor_release(y);
    soma_model_destroy(model);
    soma_tensor_release(x);
}

/* The layer's output in training for a key, and whether it differs from its input. */
static void is_noise(soma_layer *layer, bool samples)
{
    soma_error err = {0};
    soma_tensor *x = ramp(SOMA_SHAPE(16, 5)), *y, *plain, *key;
    soma_model *model = model_of(layer, SOMA_SHAPE(5), SOMA_TASK_REGRESS);
    const int64_t seed[2] = {3, 4};
    soma_graph *graph;
    assert_ok(soma_tensor_from(&key, SOMA_I64, SOMA_SHAPE(2), seed, &err), err);
    assert_ok(soma_graph_create(&graph, &err), err);
    soma_var in = soma_constant(graph, x);
    soma_var out =
        soma_model_apply(model, graph, in, SOMA_TRAIN, soma_constant(graph, key), NULL, 0, NULL);
    assert_ok(soma_eval(&y, soma_model_context(model), out, &err), err);
    plain = predict(model, x);
    int changed = 0;
    for (int64_t i = 0; i < 16; i++) {
        int here = 0;
        for (int64_t k = 0; k < 5; k++) {
            double value = soma_tensor_get(x, 5 * i + k);
            assert_true(fabs(soma_tensor_get(plain, 5 * i + k) - value) < 1e-7);
            here += fabs(soma_tensor_get(y, 5 * i + k) - value) > 1e-4;
            if (samples) /* all of a sample share their draw */
                assert_true(fabs(soma_tensor_get(y, 5 * i + k)) < 1e-7 ||
                            fabs(soma_tensor_get(y, 5 * i + k) - 2 * value) < 1e-5);
        }
        changed += here > 0;
    }
    assert_true(changed > 0);
    soma_graph_destroy(graph);
    soma_tensor_release(key);
    soma_tensor_release(x);
    soma_tensor_release(y);
    soma_tensor_release(plain);
    soma_model_destroy(model);
}

static void noise_is_of_training_alone(void **state)
{
    (void)state;
    is_noise(soma_layer_stochastic_depth(0.5), true);
    is_noise(soma_layer_alpha_dropout(0.5), false);
    is_noise(soma_layer_gaussian_noise(0.3), false);
}

/* Trains on a line and returns the last loss. */
static double train(soma_model *model)
{
    soma_error err = {0};
    soma_data data = {0};
    soma_history history;
    soma_tensor *x = ramp(SOMA_SHAPE(24, 4)), *y = ramp(SOMA_SHAPE(24, 3));
    soma_train_options how = {
        .epochs = 60, .batch = 24, .optimizer = {.kind = SOMA_ADAM, .rate = 0.02}};
    assert_ok(soma_dataset_from_tensors(&data.train, x, y, &err), err);
    assert_ok(soma_train(model, &data, &how, &history, &err), err);
    double first = history.epochs[0].train.loss, last = history.epochs[59].train.loss;
    assert_true(last < first);
    soma_history_clear(&history);
    soma_data_clear(&data);
    soma_tensor_release(x);
    soma_tensor_release(y);
    return last;
}

static void comes_back(soma_model *model)
{
    const char *path = scratch("norm.safetensors");
    soma_error err = {0};
    soma_model *again;
    soma_tensor *x = ramp(SOMA_SHAPE(5, 4));
    assert_ok(soma_model_save(model, path, &err), err);
    assert_ok(soma_model_load(&again, soma_model_context(model), path, &err), err);
    soma_tensor *a = predict(model, x), *b = predict(again, x);
    assert_memory_equal(soma_tensor_data(a), soma_tensor_data(b), soma_tensor_bytes(a));
    soma_tensor_release(a);
    soma_tensor_release(b);
    soma_tensor_release(x);
    soma_model_destroy(again);
}

static void weight_norm_learns_length_and_direction(void **state)
{
    (void)state;
    soma_model *model =
        model_of(soma_layer_weight_norm(soma_layer_dense(3)), SOMA_SHAPE(4), SOMA_TASK_REGRESS);
    const soma_parameter *v = soma_model_find(model, "weight_norm1.layer.weight_v");
    const soma_parameter *g = soma_model_find(model, "weight_norm1.layer.weight_g");
    assert_non_null(v);
    assert_non_null(g);
    assert_null(soma_model_find(model, "weight_norm1.layer.weight"));
    assert_true(soma_shape_equal(soma_tensor_shape(g->tensor), &SOMA_SHAPE(3, 1)));
    double sum = 0;
    for (int64_t i = 0; i < 4; i++)
        sum += pow(soma_tensor_get(v->tensor, 4 + i), 2);
    assert_true(fabs(soma_tensor_get(g->tensor, 1) - sqrt(sum)) < 1e-6);
    train(model);
    comes_back(model);
    soma_model_destroy(model);
}

/* The largest singular value of what the layer multiplies with is 1. */
static void spectral_norm_bounds_the_layer(void **state)
{
    (void)state;
    soma_layer *inside = soma_layer_sequential(soma_layer_dense(8, .no_bias = true),
                                               soma_layer_activation(SOMA_TANH),
                                               soma_layer_dense(3, .no_bias = true));
    soma_model *model =
        model_of(soma_layer_spectral_norm(inside), SOMA_SHAPE(4), SOMA_TASK_REGRESS);
    const soma_parameter *w = soma_model_find(model, "spectral_norm1.layer.dense1.weight");
    const soma_parameter *u = soma_model_find(model, "spectral_norm1.layer.dense1.weight_u");
    const soma_parameter *right = soma_model_find(model, "spectral_norm1.layer.dense1.weight_v");
    assert_true(w && u && right && u->buffer && !u->trainable && w->trainable);
    assert_non_null(soma_model_find(model, "spectral_norm1.layer.dense2.weight_u"));
    soma_tensor *before = NULL;
    soma_error err = {0};
    assert_ok(soma_tensor_from(&before, SOMA_F32, *soma_tensor_shape(u->tensor),
                               soma_tensor_data(u->tensor), &err),
              err);
    train(model);
    double moved = 0, sigma = 0, length = 0;
    for (int64_t o = 0; o < 8; o++) {
        moved += fabs(soma_tensor_get(u->tensor, o) - soma_tensor_get(before, o));
        double row = 0;
        for (int64_t i = 0; i < 4; i++)
            row += soma_tensor_get(w->tensor, 4 * o + i) * soma_tensor_get(right->tensor, i);
        sigma += soma_tensor_get(u->tensor, o) * row;
        length += row * row;
    }
    assert_true(moved > 1e-4);                              /* the buffers follow the weights … */
    assert_true(fabs(sigma - sqrt(length)) < 1e-2 * sigma); /* … and are the singular vectors */
    comes_back(model);
    soma_tensor_release(before);
    soma_model_destroy(model);
}

static void refuses(void **state)
{
    (void)state;
    expect_refusal(soma_layer_group_norm(4), SOMA_SHAPE(3, 3, 6), SOMA_TASK_REGRESS, SOMA_INVALID,
                   "6 channels cannot be cut into 4 groups");
    expect_refusal(soma_layer_group_norm(0), SOMA_SHAPE(3, 3, 6), SOMA_TASK_REGRESS, SOMA_INVALID,
                   "groups must be at least 1");
    expect_refusal(soma_layer_instance_norm(), SOMA_SHAPE(6), SOMA_TASK_REGRESS, SOMA_SHAPE,
                   "needs samples [cells");
    expect_refusal(soma_layer_weight_norm(soma_layer_spectral_norm(soma_layer_dense(3))),
                   SOMA_SHAPE(6), SOMA_TASK_REGRESS, SOMA_INVALID,
                   "cannot be inside of each other");
    expect_refusal(soma_layer_weight_norm(NULL), SOMA_SHAPE(6), SOMA_TASK_REGRESS, SOMA_INVALID,
                   "has no layer");
    expect_refusal(soma_layer_stochastic_depth(1), SOMA_SHAPE(6), SOMA_TASK_REGRESS, SOMA_INVALID,
                   "p must be from 0 to 0.999");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norms_normalise),
        cmocka_unit_test(noise_is_of_training_alone),
        cmocka_unit_test(weight_norm_learns_length_and_direction),
        cmocka_unit_test(spectral_norm_bounds_the_layer),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests_name("norm layers", tests, open_context, close_context);
}
