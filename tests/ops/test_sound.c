/* test_sound.c: what golden values do not show of the features of sound: sizes, refusals, what
 * SpecAugment covers, and rates there and back. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "soma/soma.h"

static soma_context *context;
static soma_graph *graph;

static int begin(void **state)
{
    (void)state;
    soma_error err = {0};
    return soma_context_create(&context, NULL, &err) || soma_graph_create(&graph, &err);
}

static int end(void **state)
{
    (void)state;
    soma_graph_destroy(graph);
    soma_context_destroy(context);
    return 0;
}

static soma_var wave(int64_t batch, int64_t length)
{
    return soma_full(graph, SOMA_F32, SOMA_SHAPE(batch, length), 0);
}

static void is_shape(soma_var x, soma_shape want)
{
    const soma_shape shape = soma_var_ok(x) ? soma_var_shape(x) : SOMA_SCALAR;
    assert_true(soma_shape_equal(&shape, &want));
}

static void sizes(void **state)
{
    (void)state;
    is_shape(soma_stft(wave(3, 1000)), SOMA_SHAPE(3, 6, 402));
    is_shape(soma_stft(wave(3, 1000), .inside = true), SOMA_SHAPE(3, 4, 402));
    is_shape(soma_spectrogram(wave(1, 1), .fft = 65, .hop = 7, .zeros = true),
             SOMA_SHAPE(1, 1, 33));
    is_shape(soma_mel_spectrogram(wave(2, 999), .hop = 100), SOMA_SHAPE(2, 10, 64));
    is_shape(soma_mfcc(wave(2, 999), .fft = 64), SOMA_SHAPE(2, 32, 13));
    is_shape(soma_sound_resample(wave(2, 999), 44100, 8000), SOMA_SHAPE(2, 182));
    is_shape(soma_sound_resample(wave(2, 999), 8000, 8000), SOMA_SHAPE(2, 999));
    is_shape(soma_sound_resample(wave(2, 1), 16000, 1000), SOMA_SHAPE(2, 1));
}

static soma_var flat(void)
{
    return soma_input(graph, "flat", SOMA_F32, SOMA_SHAPE(8));
}
static soma_var bytes(void)
{
    return soma_input(graph, "bytes", SOMA_U8, SOMA_SHAPE(2, 800));
}
static soma_var spectra(void)
{
    return soma_input(graph, "s", SOMA_F32, SOMA_SHAPE(2, 5, 4));
}
static soma_var key(void)
{
    return soma_input(graph, "key", SOMA_I64, SOMA_SHAPE(2));
}

#define REFUSED(name_, y_)                                                                         \
    static soma_var name_(void)                                                                    \
    {                                                                                              \
        return y_;                                                                                 \
    }
REFUSED(a_row, soma_stft(flat()))
REFUSED(of_bytes, soma_mfcc(bytes()))
REFUSED(short_wave, soma_stft(wave(1, 200)))
REFUSED(short_inside, soma_stft(wave(1, 399), .inside = true))
REFUSED(no_hop, soma_spectrogram(wave(1, 800), .hop = -1))
REFUSED(large_fft, soma_spectrogram(wave(1, 800), .fft = 65537))
REFUSED(no_power, soma_spectrogram(wave(1, 800), .power = -1))
REFUSED(no_bands, soma_mel_spectrogram(wave(1, 800), .mels = -1))
REFUSED(above_half, soma_mel_spectrogram(wave(1, 800), .high = 8001))
REFUSED(turned, soma_mel_spectrogram(wave(1, 800), .low = 500, .high = 400))
REFUSED(no_level, soma_mel_spectrogram(wave(1, 800), .level = 9))
REFUSED(many_coefficients, soma_mfcc(wave(1, 800), .mels = 8, .coefficients = 9))
REFUSED(no_rate, soma_sound_resample(wave(1, 800), 0, 8000))
REFUSED(odd_rates, soma_sound_resample(wave(1, 800), 44101, 8000))
REFUSED(rates_of_a_row, soma_sound_resample(flat(), 8000, 16000))
REFUSED(cover_a_row, soma_spec_augment(flat(), key(), 1, 1, 0))
REFUSED(cover_much, soma_spec_augment(spectra(), key(), 6, 1, 0))

static void refused(void **state)
{
    static const struct {
        soma_var (*build)(void);
        soma_status status;
        const char *message;
    } cases[] = {
        {a_row, SOMA_SHAPE, "stft: waves are f32 [8], but must be floats [B,N]"},
        {of_bytes, SOMA_SHAPE, "mfcc: waves are u8 [2,800]"},
        {short_wave, SOMA_SHAPE, "200 cells are too few for a window of 400, which is filled up"},
        {short_inside, SOMA_SHAPE, "399 cells are too few for a window of 400"},
        {no_hop, SOMA_INVALID, "hop -1 must be at least 1"},
        {large_fft, SOMA_INVALID, "fft 65537 from 2 to 65536"},
        {no_power, SOMA_INVALID, "power -1 must be a number above 0"},
        {no_bands, SOMA_INVALID, "-1 bands from 0 to 8000 Hz"},
        {above_half, SOMA_INVALID, "half the rate, which is 8000"},
        {turned, SOMA_INVALID, "64 bands from 500 to 400 Hz"},
        {no_level, SOMA_INVALID, "no such level"},
        {many_coefficients, SOMA_INVALID, "coefficients must be from 1 to the bands"},
        {no_rate, SOMA_INVALID, "at least 1 Hz"},
        {odd_rates, SOMA_UNSUPPORTED, "too little in common"},
        {rates_of_a_row, SOMA_SHAPE, "floats [B,N] of a cell or more"},
        {cover_a_row, SOMA_SHAPE, "spectra must be [B,T,F]"},
        {cover_much, SOMA_INVALID, "from 0 to all steps"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        soma_graph_destroy(graph);
        assert_int_equal(soma_graph_create(&graph, NULL), SOMA_OK);
        assert_false(soma_var_ok(cases[i].build()));
        soma_error err = {0};
        assert_int_equal(soma_graph_status(graph, &err), cases[i].status);
        if (!strstr(err.message, cases[i].message))
            fail_msg("'%s' does not say '%s'", err.message, cases[i].message);
    }
}

static soma_tensor *value_of(soma_var y)
{
    soma_error err = {0};
    soma_tensor *got;
    if (soma_eval_many(&got, context, &y, 1, NULL, 0, &err) != SOMA_OK)
        fail_msg("%s", err.message);
    return got;
}

/* A sine that is slow beside both rates comes back, away from the ends. */
static void there_and_back(void **state)
{
    enum { LENGTH = 800 };
    float x[LENGTH];
    soma_tensor *tensor;
    (void)state;
    for (int i = 0; i < LENGTH; i++)
        x[i] = (float)sin(0.05 * i);
    assert_int_equal(soma_tensor_from(&tensor, SOMA_F32, SOMA_SHAPE(1, LENGTH), x, NULL), SOMA_OK);
    soma_var up = soma_sound_resample(soma_constant(graph, tensor), 8000, 11025);
    soma_tensor *y = value_of(soma_sound_resample(up, 11025, 8000));
    for (int i = 50; i < LENGTH - 50; i++)
        assert_true(fabs(soma_tensor_get(y, i) - (double)x[i]) < 2e-3);
    soma_tensor_release(y);
    soma_tensor_release(tensor);
}

/* Of numbers that rise, those that are covered are the mean; they make one run of steps and one of
 * bands, no longer than asked for, and other ones for each sample and step. */
static void cover(void **state)
{
    enum { BATCH = 64, STEPS = 9, BANDS = 7, MOST_STEPS = 4, MOST_BANDS = 2 };
    soma_var x = soma_reshape(soma_arange(graph, SOMA_F32, 0, BATCH * STEPS * BANDS, 1),
                              SOMA_SHAPE(BATCH, STEPS, BANDS));
    soma_tensor *k;
    (void)state;
    assert_int_equal(soma_tensor_from(&k, SOMA_I64, SOMA_SHAPE(2), (const int64_t[]){7, 1}, NULL),
                     SOMA_OK);
    soma_tensor *y =
        value_of(soma_spec_augment(x, soma_constant(graph, k), MOST_STEPS, MOST_BANDS, 3));
    int seen[MOST_STEPS + 1][MOST_BANDS + 1] = {{0}}, kinds = 0;
    for (int b = 0; b < BATCH; b++) {
        const double mean = (b + 0.5) * STEPS * BANDS - 0.5;
        bool covered[STEPS][BANDS], row[STEPS], column[BANDS];
        int rows = 0, columns = 0, edges = 0;
        for (int t = 0; t < STEPS; t++)
            for (int f = 0; f < BANDS; f++) {
                const int64_t i = ((int64_t)b * STEPS + t) * BANDS + f;
                const double got = soma_tensor_get(y, i);
                covered[t][f] = fabs(got - (double)i) > 0.25;
                assert_true(!covered[t][f] || fabs(got - mean) < 0.01);
            }
        /* A step is covered whole, but for the very cell that is the mean. */
        for (int t = 0; t < STEPS; t++)
            rows += row[t] = covered[t][0] && covered[t][BANDS - 1] && covered[t][2];
        for (int f = 0; f < BANDS; f++)
            columns += column[f] = covered[0][f] && covered[STEPS - 1][f] && covered[2][f];
        for (int t = 1; t < STEPS; t++)
            edges += row[t] != row[t - 1];
        assert_true(rows <= MOST_STEPS && columns <= MOST_BANDS && edges <= 2);
        for (int t = 0; t < STEPS; t++)
            for (int f = 0; f < BANDS; f++)
                if (t != STEPS / 2 || f != BANDS / 2)
                    assert_true(covered[t][f] == (row[t] || column[f]));
        seen[rows][columns]++;
    }
    for (int i = 0; i <= MOST_STEPS; i++)
        for (int j = 0; j <= MOST_BANDS; j++)
            kinds += seen[i][j] > 0;
    assert_true(kinds > 8);
    soma_tensor_release(y);
    soma_tensor_release(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sizes, begin, end),
        cmocka_unit_test_setup_teardown(refused, begin, end),
        cmocka_unit_test_setup_teardown(there_and_back, begin, end),
        cmocka_unit_test_setup_teardown(cover, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
