/* Spoken digits: an archive made here: parts, padding, strings, and what is refused; and the real
 * recordings where SOMA_DATA has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "data/dataset.h"
#include "data/speech.h"
#include "soma/soma.h"

#if defined(SOMA_HAVE_SNDFILE) && SOMA_HAVE_SNDFILE

enum { BLOCK = 512, HEAD = 44, FRAMES = 40, ROOM = 1 << 18 };

static unsigned char archive[ROOM];
static size_t archive_size;
static char path[] = "/tmp/soma-speech-XXXXXX";

static void put(unsigned char *to, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (unsigned char)(value >> 8 * i);
}

/* FRAMES + number cells, all digit + 1 (of 32768), 16 bits. */
static size_t make_wav(unsigned char *to, int digit, int number, uint32_t rate)
{
    const uint32_t frames = (uint32_t)(FRAMES + number);
    memcpy(to, "RIFF____WAVEfmt ____________________data", 40);
    put(to + 4, HEAD - 8 + 2 * frames, 4);
    put(to + 16, 16, 4);
    put(to + 20, 1, 2);
    put(to + 22, 1, 2);
    put(to + 24, rate, 4);
    put(to + 28, 2 * rate, 4);
    put(to + 32, 2, 2);
    put(to + 34, 16, 2);
    put(to + 40, 2 * frames, 4);
    for (uint32_t i = 0; i < frames; i++)
        put(to + HEAD + 2 * i, (uint32_t)digit + 1, 2);
    return HEAD + 2 * frames;
}

static void add(const char *name, const unsigned char *bytes, size_t size)
{
    unsigned char *h = archive + archive_size;
    unsigned sum = 0;
    memset(h, 0, BLOCK);
    snprintf((char *)h, 100, "recordings/%s", name);
    snprintf((char *)h + 124, 12, "%011o", (unsigned)size);
    h[156] = '0';
    memcpy(h + 257, "ustar", 6);
    memset(h + 148, ' ', 8);
    for (int i = 0; i < BLOCK; i++)
        sum += h[i];
    snprintf((char *)h + 148, 8, "%06o", sum);
    memcpy(h + BLOCK, bytes, size);
    archive_size += BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK;
    assert_true(archive_size + 4 * BLOCK < ROOM);
}

static void add_wav(const char *name, int digit, int number, uint32_t rate)
{
    unsigned char wav[1024];
    add(name, wav, make_wav(wav, digit, number, rate));
}

/* Two speakers, three digits, numbers 3 to 6: of each digit two of the four are of the test part.
 */
static void make_archive(void)
{
    memset(archive, 0, sizeof archive);
    archive_size = 0;
    for (int number = 6; number >= 3; number--)
        for (int digit = 0; digit < 3; digit++)
            for (int who = 0; who < 2; who++) {
                char name[64];
                snprintf(name, sizeof name, "%d_%s_%d.wav", digit, who ? "zoe" : "ann", number);
                add_wav(name, digit, number, 8000);
            }
    add("README.md", (const unsigned char *)"hello", 5);
}

static soma_status open_archive(soma_data *data, soma__speech_options options, soma_error *err)
{
    assert_int_equal(soma__file_write(path, archive, archive_size + 2 * BLOCK, err), SOMA_OK);
    return soma__speech_open(data, path, &options, err);
}

static void single_digits(void **state)
{
    soma_data data;
    soma_error err = {0};
    float x[50];
    int64_t y;
    (void)state;
    make_archive();
    assert_int_equal(open_archive(&data, (soma__speech_options){.length = 50}, &err), SOMA_OK);
    assert_int_equal(soma_dataset_count(data.train), 12);
    assert_int_equal(soma_dataset_count(data.test), 12);
    assert_int_equal(soma_dataset_class_count(data.train), 10);
    assert_string_equal(soma_dataset_class(data.test, 7), "7");
    for (int64_t i = 0; i < 12; i++) {
        /* Sorted by speaker, digit and number; what is not sound is silence. */
        assert_int_equal(soma_dataset_read(data.train, &i, 1, x, &y, &err), SOMA_OK);
        assert_int_equal(y, i / 2 % 3);
        assert_int_equal(soma__dataset_label(data.train, i), y);
        for (int k = 0; k < 50; k++)
            assert_true(x[k] * 32768 == (k < FRAMES + 5 + (int)(i % 2) ? (float)y + 1 : 0));
    }
    soma_data_clear(&data);
    /* What is too long is cut; a speaker may be the test part. */
    assert_int_equal(
        open_archive(&data, (soma__speech_options){.length = 7, .held_out = "zoe"}, &err), SOMA_OK);
    assert_int_equal(soma_dataset_count(data.test), 12);
    assert_int_equal(soma_dataset_read(data.test, (int64_t[]){11}, 1, x, &y, &err), SOMA_OK);
    assert_true(y == 2 && x[6] * 32768 == 3);
    soma_data_clear(&data);
}

/* What is heard in a string is what its labels say. */
static void strings(void **state)
{
    enum { LENGTH = 2500, MOST = 3 };
    static float x[LENGTH], again[LENGTH];
    int64_t y[MOST], y_again[MOST];
    int lengths[MOST + 1] = {0};
    soma_data data;
    soma_error err = {0};
    (void)state;
    make_archive();
    assert_int_equal(
        open_archive(&data, (soma__speech_options){.length = LENGTH, .join = MOST}, &err), SOMA_OK);
    assert_int_equal(soma_dataset_count(data.train), 48);
    assert_int_equal(soma_dataset_count(data.test), 12);
    for (int64_t i = 0; i < 48; i++) {
        int heard = 0;
        assert_int_equal(soma_dataset_read(data.train, &i, 1, x, y, &err), SOMA_OK);
        assert_int_equal(soma_dataset_read(data.train, &i, 1, again, y_again, &err), SOMA_OK);
        assert_memory_equal(x, again, sizeof x);
        assert_memory_equal(y, y_again, sizeof y);
        assert_int_equal(y[0], i % 12 / 2 % 3 + 1);
        for (int64_t at = 0; at < LENGTH; at++)
            if (x[at] > 0 && (at == 0 || x[at] * 32768 != x[at - 1] * 32768)) {
                assert_true(heard < MOST && x[at] * 32768 == (float)y[heard]);
                heard++;
            }
        /* Two of one digit without a pause between are heard as one. */
        int said = 0;
        while (said < MOST && y[said] >= 0)
            said++;
        assert_true(heard <= said);
        lengths[said]++;
        for (int k = said; k < MOST; k++)
            assert_int_equal(y[k], -1);
    }
    assert_true(!lengths[0] && lengths[1] && lengths[2] && lengths[3]);
    soma_data_clear(&data);
    /* Where there is no room for a second digit there is none. */
    assert_int_equal(open_archive(&data, (soma__speech_options){.length = 60, .join = 2}, &err),
                     SOMA_OK);
    for (int64_t i = 0; i < 12; i++) {
        assert_int_equal(soma_dataset_read(data.test, &i, 1, x, y, &err), SOMA_OK);
        assert_true(y[0] > 0 && y[1] == -1);
    }
    soma_data_clear(&data);
}

static void refuse(soma__speech_options options, soma_status status, const char *message)
{
    soma_data data;
    soma_error err = {0};
    assert_int_equal(open_archive(&data, options, &err), status);
    assert_true(!data.train && !data.test);
    if (!strstr(err.message, message))
        fail_msg("'%s' does not say '%s'", err.message, message);
}

static void refused(void **state)
{
    const soma__speech_options none = {0};
    (void)state;
    make_archive();
    refuse((soma__speech_options){.held_out = "bob"}, SOMA_NOT_FOUND, "by or beside bob");
    refuse((soma__speech_options){.length = -1}, SOMA_INVALID, "-1 cells");
    add_wav("3_ann_1.wav", 3, 1, 16000);
    refuse(none, SOMA_FORMAT, "3_ann_1.wav has 1 channels at 16000 Hz, not 1 at 8000");
    make_archive();
    add("x_ann_1.wav", archive, 10);
    refuse(none, SOMA_FORMAT, "'recordings/x_ann_1.wav' is not named DIGIT_SPEAKER_NUMBER.wav");
    make_archive();
    add("1_ann_1.wav", (const unsigned char *)"what", 4);
    refuse(none, SOMA_FORMAT, "recordings/1_ann_1.wav: not a sound file");
    archive_size = 0;
    memset(archive, 0, sizeof archive);
    refuse(none, SOMA_FORMAT, "has no recordings in it");
}

static void real_recordings(void **state)
{
    const char *shared = getenv("SOMA_DATA");
    char file[512];
    soma_data data;
    soma_error err = {0};
    (void)state;
    snprintf(file, sizeof file, "%s/speech-fsdd/fsdd-recordings.tar.gz", shared ? shared : "");
    if (!shared || !soma__file_exists(file))
        skip();
    assert_int_equal(soma_data_open(&data, "speech-digits", shared, &err), SOMA_OK);
    assert_int_equal(soma_dataset_count(data.train), 2700);
    assert_int_equal(soma_dataset_count(data.test), 300);
    soma_data_clear(&data);
}

static int make_path(void **state)
{
    (void)state;
    const int file = mkstemp(path);
    return file < 0 ? -1 : close(file);
}
static int remove_path(void **state)
{
    (void)state;
    return remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_digits),
        cmocka_unit_test(strings),
        cmocka_unit_test(refused),
        cmocka_unit_test(real_recordings),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
#else
int main(void)
{
    return 77; /* built without libsndfile */
}
#endif
