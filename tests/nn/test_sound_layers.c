/* mel_spectrogram and spec_augment: what they give is what the ops give, and what they refuse. */
#include "support.h"

#include <math.h>
#include <string.h>

#include "soma/soma.h"

static soma_tensor *predict(soma_layer *layer, soma_shape sample, const soma_tensor *x)
{
    soma_error err = {0};
    soma_tensor *y;
    soma_model *model = model_of(layer, sample, SOMA_TASK_REGRESS);
    assert_ok(soma_model_predict(model, x, &y, &err), err);
    soma_model_destroy(model);
    return y;
}

static void expect_op(soma_layer *layer, const soma_tensor *x, bool mfcc)
{
    soma_error err = {0};
    soma_graph *graph;
    soma_tensor *want, *got = predict(layer, SOMA_SHAPE(900), x);
    assert_ok(soma_graph_create(&graph, &err), err);
    soma_tensor *copy;
    assert_ok(
        soma_tensor_from(&copy, SOMA_F32, SOMA_SHAPE(2, 900), soma_tensor_const_data(x), &err),
        err);
    soma_var wave = soma_constant(graph, copy);
    soma_var y =
        mfcc ? soma_mfcc(wave, .rate = 8000, .fft = 128, .mels = 20, .coefficients = 7)
             : soma_mel_spectrogram(wave, .rate = 8000, .fft = 128, .hop = 40, .mels = 20,
                                    .low = 50, .mel = SOMA_MEL_SLANEY, .level = SOMA_LEVEL_LOG);
    assert_ok(soma_eval_many(&want, context, &y, 1, NULL, 0, &err), err);
    expect_close(mfcc ? "mfcc" : "mel", "y", got, want, 1e-5);
    soma_graph_destroy(graph);
    soma_tensor_release(copy);
    soma_tensor_release(want);
    soma_tensor_release(got);
}

static void features(void **state)
{
    soma_tensor *x = noise(SOMA_SHAPE(2, 900), 5);
    (void)state;
    expect_op(soma_layer_mel_spectrogram(.rate = 8000, .fft = 128, .hop = 40, .mels = 20, .low = 50,
                                         .mel = SOMA_MEL_SLANEY, .level = SOMA_LEVEL_LOG),
              x, false);
    expect_op(soma_layer_mel_spectrogram(.rate = 8000, .fft = 128, .mels = 20, .coefficients = 7),
              x, true);
    soma_tensor_release(x);
}

/* What is evaluated is covered by nothing. */
static void evaluation_is_not_covered(void **state)
{
    soma_tensor *x = noise(SOMA_SHAPE(2, 6, 5), 5);
    (void)state;
    soma_tensor *y = predict(soma_layer_spec_augment(3, 2), SOMA_SHAPE(6, 5), x);
    expect_close("spec_augment", "y", y, x, 0);
    soma_tensor_release(x);
    soma_tensor_release(y);
}

static void refused(void **state)
{
    (void)state;
    expect_refusal(soma_layer_mel_spectrogram(.rate = 8000), SOMA_SHAPE(10, 3), SOMA_TASK_REGRESS,
                   SOMA_SHAPE, "needs waves [B,N]");
    expect_refusal(soma_layer_mel_spectrogram(.rate = 8000), SOMA_SHAPE(100), SOMA_TASK_REGRESS,
                   SOMA_SHAPE, "100 cells are too few for a window of 400");
    expect_refusal(soma_layer_mel_spectrogram(.rate = -1), SOMA_SHAPE(1000), SOMA_TASK_REGRESS,
                   SOMA_INVALID, "rate");
    expect_refusal(soma_layer_mel_spectrogram(.high = 9000), SOMA_SHAPE(1000), SOMA_TASK_REGRESS,
                   SOMA_INVALID, "half the rate");
    expect_refusal(soma_layer_spec_augment(-1, 0), SOMA_SHAPE(6, 5), SOMA_TASK_REGRESS,
                   SOMA_INVALID, "time");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(features),
        cmocka_unit_test(evaluation_is_not_covered),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
