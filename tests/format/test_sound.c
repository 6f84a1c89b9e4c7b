/* Sound files: what is in them comes back, whatever their rate and channels; damage is refused. */
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "format/sound.h"
#include "soma/sound.h"

#if defined(SOMA_HAVE_SNDFILE) && SOMA_HAVE_SNDFILE

enum { HEAD = 44, MOST = 256 };

static size_t put(unsigned char *to, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (unsigned char)(value >> 8 * i);
    return (size_t)bytes;
}

/* A WAV of 16-bit samples 0, 1, 2, … (of 32768). */
static size_t make_wav(unsigned char *to, uint32_t rate, uint32_t channels, uint32_t frames)
{
    const uint32_t size = frames * channels * 2;
    size_t at = 0;
    memcpy(to, "RIFF", 4);
    put(to + 4, HEAD - 8 + size, 4);
    memcpy(to + 8, "WAVEfmt ", 8);
    at = 16;
    at += put(to + at, 16, 4);
    at += put(to + at, 1, 2);
    at += put(to + at, channels, 2);
    at += put(to + at, rate, 4);
    at += put(to + at, rate * channels * 2, 4);
    at += put(to + at, channels * 2, 2);
    at += put(to + at, 16, 2);
    memcpy(to + at, "data", 4);
    at += 4;
    at += put(to + at, size, 4);
    for (uint32_t i = 0; i < frames * channels; i++)
        at += put(to + at, i, 2);
    return at;
}

/* 20 frames of two channels at 11,025 Hz, 0, 1/64, 2/64, …, written by libsndfile. */
static const unsigned char flac[] = {
    0x66, 0x4c, 0x61, 0x43, 0x00, 0x00, 0x00, 0x22, 0x10, 0x00, 0x10, 0x00, 0x00, 0x00, 0x16, 0x00,
    0x00, 0x16, 0x02, 0xb1, 0x12, 0xf0, 0x00, 0x00, 0x00, 0x14, 0xbe, 0x2f, 0x4f, 0x43, 0xc8, 0x7a,
    0x10, 0x6d, 0x7e, 0x32, 0x7a, 0xf4, 0x20, 0x8e, 0x95, 0xb9, 0x84, 0x00, 0x00, 0x28, 0x20, 0x00,
    0x00, 0x00, 0x72, 0x65, 0x66, 0x65, 0x72, 0x65, 0x6e, 0x63, 0x65, 0x20, 0x6c, 0x69, 0x62, 0x46,
    0x4c, 0x41, 0x43, 0x20, 0x31, 0x2e, 0x34, 0x2e, 0x33, 0x20, 0x32, 0x30, 0x32, 0x33, 0x30, 0x36,
    0x32, 0x33, 0x00, 0x00, 0x00, 0x00, 0xff, 0xf8, 0x6d, 0x88, 0x00, 0x13, 0x2b, 0x11, 0xdc, 0x15,
    0x00, 0x40, 0x04, 0x00, 0xff, 0xff, 0xc0, 0x40, 0x3f, 0xe0, 0x43, 0x84};

static soma_status parse(const void *bytes, size_t size, soma_error *err)
{
    soma_tensor *sound;
    int64_t rate;
    soma_status status = soma__sound_parse(&sound, &rate, bytes, size, "s", err);
    assert_true((status == SOMA_OK) == (sound != NULL));
    assert_true(status != SOMA_OK || rate > 0);
    soma_tensor_release(sound);
    return status;
}

static void expect(const void *bytes, size_t size, int64_t want_rate, int64_t frames,
                   int64_t channels, double step)
{
    soma_error err = {0};
    soma_tensor *sound;
    int64_t rate;
    assert_ok(soma__sound_parse(&sound, &rate, bytes, size, "s", &err), err);
    const soma_shape want = SOMA_SHAPE(frames, channels);
    assert_true(rate == want_rate && soma_shape_equal(soma_tensor_shape(sound), &want));
    for (int64_t i = 0; i < frames * channels; i++)
        assert_true(fabs(soma_tensor_get(sound, i) - step * (double)i) < 1e-9);
    soma_tensor_release(sound);
}

static void rates_and_channels(void **state)
{
    unsigned char wav[MOST];
    (void)state;
    expect(wav, make_wav(wav, 8000, 1, 9), 8000, 9, 1, 1.0 / 32768);
    expect(wav, make_wav(wav, 44100, 2, 7), 44100, 7, 2, 1.0 / 32768);
    expect(wav, make_wav(wav, 11127, 7, 3), 11127, 3, 7, 1.0 / 32768);
    expect(flac, sizeof flac, 11025, 20, 2, 1.0 / 64);
}

static void from_a_path(void **state)
{
    unsigned char wav[MOST];
    soma_error err = {0};
    soma_tensor *sound;
    int64_t rate;
    const char *path = scratch("a.wav");
    const size_t size = make_wav(wav, 8000, 1, 9);
    (void)state;
    assert_ok(soma__file_write(path, wav, size, &err), err);
    assert_ok(soma_sound_read(&sound, &rate, path, &err), err);
    assert_true(rate == 8000 && soma_tensor_count(sound) == 9);
    soma_tensor_release(sound);
    assert_int_equal(soma_sound_read(&sound, &rate, scratch("missing.wav"), &err), SOMA_IO);
    assert_null(sound);
}

/* A pipe's WAV promises the most there is, or more than a byte's worth of chunks stands before. */
static void sizes_that_are_not_known(void **state)
{
    unsigned char wav[MOST];
    (void)state;
    const size_t size = make_wav(wav, 8000, 1, 9);
    put(wav + HEAD - 4, 0xffffffffu, 4);
    expect(wav, size, 8000, 9, 1, 1.0 / 32768);
}

static void damage(void **state)
{
    unsigned char wav[MOST];
    (void)state;
    const size_t size = make_wav(wav, 8000, 2, 9);
    every_truncation(parse, wav, size, false);
    every_truncation(parse, flac, sizeof flac, false);
    every_flip(parse, wav, HEAD + 8);
    every_flip(parse, flac, sizeof flac);
    expect_failure(parse, "once upon a time", 16, SOMA_FORMAT, "s: not a sound file");
    expect_failure(parse, wav, size - 1, SOMA_FORMAT, "s: is cut short");
    expect_failure(parse, wav, make_wav(wav, 8000, 2, 0), SOMA_FORMAT, "s: has no sound in it");
    expect_failure(parse, flac, sizeof flac - 4, SOMA_FORMAT, "s: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_and_channels),
        cmocka_unit_test(from_a_path),
        cmocka_unit_test(sizes_that_are_not_known),
        cmocka_unit_test(damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void)
{
    return 77; /* built without libsndfile */
}
#endif
