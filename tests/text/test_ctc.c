/* test_ctc.c: decoding against every path there is, and each allocation of it failing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "soma/ctc.h"

#include "base/rng.h"
#include "support/door.h"

enum { STEPS = 5, CLASSES = 3, PATHS = 243, READINGS = 64 };

/* log-probabilities of `steps` steps, drawn by `seed`. */
static void draw(float *p, int64_t steps, int64_t classes, uint64_t seed)
{
    soma__rng_uniforms(&(soma__rng_key){.seed = seed}, 0, steps * classes, p);
    for (int64_t t = 0; t < steps; t++) {
        double sum = 0;
        for (int64_t k = 0; k < classes; k++)
            sum += exp(3 * (double)p[t * classes + k]);
        for (int64_t k = 0; k < classes; k++)
            p[t * classes + k] = (float)(3 * (double)p[t * classes + k] - log(sum));
    }
}

/* All that can be read, with the logarithm of the sum of its paths. */
typedef struct known {
    int64_t labels[STEPS], count;
    double log_prob;
} known;

static int read_all(known *all, const float *p, int64_t blank)
{
    int found = 0;
    for (int path = 0; path < PATHS; path++) {
        known k = {0};
        int64_t before = -1;
        for (int t = 0, rest = path; t < STEPS; t++, rest /= CLASSES) {
            const int64_t label = rest % CLASSES;
            k.log_prob += (double)p[t * CLASSES + label];
            if (label != blank && label != before)
                k.labels[k.count++] = label;
            before = label;
        }
        int at = 0;
        while (at < found &&
               (all[at].count != k.count || memcmp(all[at].labels, k.labels, sizeof k.labels) != 0))
            at++;
        assert_true(at < READINGS);
        if (at == found)
            all[found++] = k;
        else
            all[at].log_prob = log(exp(all[at].log_prob) + exp(k.log_prob));
    }
    return found;
}

static const known *best_of(const known *all, int count, const known *below)
{
    const known *best = NULL;
    for (int i = 0; i < count; i++)
        if ((!below || all[i].log_prob < below->log_prob) &&
            (!best || all[i].log_prob > best->log_prob))
            best = &all[i];
    return best;
}

static void best_path(void **state)
{
    /* b a a b a c c, of which a a b a is read as a, a. */
    static const float p[7 * 3] = {-1, -2, -3, -2, -1, -3, -2, -1, -3, -1, -2,
                                   -3, -2, -1, -3, -3, -2, -1, -3, -2, -1};
    int64_t labels[7];
    double score;
    (void)state;
    assert_int_equal(soma_ctc_greedy(p, 7, 3, 0, labels, &score), 3);
    assert_true(labels[0] == 1 && labels[1] == 1 && labels[2] == 2 && fabs(score + 7) < 1e-9);
    assert_int_equal(soma_ctc_greedy(p, 0, 3, 0, labels, NULL), 0);
    assert_int_equal(soma_ctc_greedy(p, 7, 3, 3, labels, NULL), 0);
}

/* A beam that loses nothing finds all readings, in order, with their very probabilities. */
static void every_path(void **state)
{
    float p[STEPS * CLASSES];
    soma_error err = {0};
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        known all[READINGS];
        soma_ctc_reading *got;
        int64_t count;
        const int64_t blank = (int64_t)(seed % CLASSES);
        draw(p, STEPS, CLASSES, seed);
        const int found = read_all(all, p, blank);
        const soma_ctc_beam_options o = {.blank = blank, .beam = READINGS, .best = READINGS};
        assert_int_equal(soma_ctc_beam(&got, &count, p, STEPS, CLASSES, &o, &err), SOMA_OK);
        assert_int_equal(count, found);
        const known *want = NULL;
        for (int64_t i = 0; i < count; i++) {
            want = best_of(all, found, want);
            assert_non_null(want);
            assert_true(fabs(got[i].log_prob - want->log_prob) < 1e-6);
            assert_true(got[i].score >= got[i].log_prob && got[i].score <= got[i].log_prob);
            assert_int_equal(got[i].count, want->count);
            for (int64_t k = 0; k < want->count; k++)
                assert_int_equal(got[i].labels[k], want->labels[k]);
        }
        soma_ctc_readings_free(got, count);
    }
}

/* A narrow beam, in which readings die and come back, has no reading twice, never says more of one
 * than there is, and a wider one finds nothing worse. */
static void narrow_beams(void **state)
{
    float p[STEPS * CLASSES];
    soma_error err = {0};
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        known all[READINGS];
        draw(p, STEPS, CLASSES, seed);
        const int found = read_all(all, p, 0);
        for (int64_t beam = 1; beam <= 8; beam++) {
            soma_ctc_reading *got;
            int64_t count;
            const soma_ctc_beam_options o = {.beam = beam, .best = beam};
            assert_int_equal(soma_ctc_beam(&got, &count, p, STEPS, CLASSES, &o, &err), SOMA_OK);
            assert_true(count >= 1 && count <= beam);
            for (int64_t i = 0; i < count; i++) {
                int same = 0;
                for (int64_t k = 0; k < count; k++)
                    same += got[k].count == got[i].count &&
                            (!got[i].count || memcmp(got[k].labels, got[i].labels,
                                                     (size_t)got[i].count * sizeof(int64_t)) == 0);
                assert_int_equal(same, 1);
                for (int k = 0; k < found; k++)
                    if (all[k].count == got[i].count &&
                        (!got[i].count || memcmp(all[k].labels, got[i].labels,
                                                 (size_t)got[i].count * sizeof(int64_t)) == 0))
                        assert_true(got[i].log_prob <= all[k].log_prob + 1e-6);
            }
            soma_ctc_readings_free(got, count);
        }
    }
}

/* A language in which 2 never follows 1, and of which each label tells where it stands. */
static double language(void *user, const int64_t *labels, int64_t count, int64_t label)
{
    *(int64_t *)user = count > *(int64_t *)user ? count : *(int64_t *)user;
    for (int64_t i = 0; i < count; i++)
        assert_true(labels[i] == 1 || labels[i] == 2);
    return count && labels[count - 1] == 1 && label == 2 ? -INFINITY : -0.5;
}

static void language_model(void **state)
{
    /* 1 2 is what is heard; 1 1 and 2 2 are next. */
    static const float p[3 * 3] = {-4, -0.1f, -2.5f, -0.01f, -5, -5, -4, -2.5f, -0.1f};
    soma_error err = {0};
    soma_ctc_reading *got;
    int64_t count, longest = 0;
    soma_ctc_beam_options o = {.best = 2};
    (void)state;
    assert_int_equal(soma_ctc_beam(&got, &count, p, 3, 3, &o, &err), SOMA_OK);
    assert_true(got[0].count == 2 && got[0].labels[0] == 1 && got[0].labels[1] == 2);
    soma_ctc_readings_free(got, count);
    o.language = language;
    o.user = &longest;
    o.language_weight = 2;
    o.bonus = 1.5;
    assert_int_equal(soma_ctc_beam(&got, &count, p, 3, 3, &o, &err), SOMA_OK);
    assert_true(count == 2 && longest == 2 && got[0].count == 2);
    assert_int_equal(got[0].labels[0], got[0].labels[1]);
    for (int64_t i = 0; i < count; i++)
        assert_true(fabs(got[i].score - got[i].log_prob - 0.5 * (double)got[i].count) < 1e-9);
    soma_ctc_readings_free(got, count);
}

/* What is less probable than `least` is not tried; nothing at all is the empty reading. */
static void least(void **state)
{
    float p[STEPS * CLASSES];
    soma_error err = {0};
    soma_ctc_reading *got;
    int64_t count;
    (void)state;
    draw(p, STEPS, CLASSES, 3);
    const soma_ctc_beam_options o = {.best = 16, .least = 0.999};
    assert_int_equal(soma_ctc_beam(&got, &count, p, STEPS, CLASSES, &o, &err), SOMA_OK);
    assert_true(count == 1 && got[0].count == 0 && !got[0].labels);
    soma_ctc_readings_free(got, count);
    assert_int_equal(soma_ctc_beam(&got, &count, p, 0, CLASSES, NULL, &err), SOMA_OK);
    assert_true(count == 1 && got[0].count == 0 && fabs(got[0].log_prob) < 1e-12);
    soma_ctc_readings_free(got, count);
    /* Where all is impossible there is no reading. */
    for (int i = 0; i < CLASSES; i++)
        p[i] = -INFINITY;
    assert_int_equal(soma_ctc_beam(&got, &count, p, 1, CLASSES, NULL, &err), SOMA_OK);
    assert_int_equal(count, 0);
    soma_ctc_readings_free(got, count);
}

static void refused(void **state)
{
    static const struct {
        soma_ctc_beam_options options;
        const char *message;
    } cases[] = {
        {{.blank = 3}, "blank 3 is not one of 3 classes"},
        {{.blank = -1}, "blank -1 is not one of 3 classes"},
        {{.beam = -1}, "beam -1 must be at least 1"},
        {{.beam = 4, .best = 5}, "best 5 from 1 to the beam"},
        {{.least = 1}, "least 1 must be from 0 to below 1"},
        {{.least = NAN}, "least nan"},
    };
    const float p[3] = {-1, -1, -1};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        soma_error err = {0};
        soma_ctc_reading *got;
        int64_t count;
        assert_int_equal(soma_ctc_beam(&got, &count, p, 1, 3, &cases[i].options, &err),
                         SOMA_INVALID);
        assert_null(got);
        if (!strstr(err.message, cases[i].message))
            fail_msg("'%s' does not say '%s'", err.message, cases[i].message);
    }
}

static void without_memory(void **state)
{
    enum { LONG = 100 };
    float p[LONG * CLASSES];
    (void)state;
    draw(p, LONG, CLASSES, 7);
    for (long n = 1;; n++) {
        soma_error err = {0};
        soma_ctc_reading *got;
        int64_t count;
        door_calls = 0;
        door_refuse = n;
        soma_status status = soma_ctc_beam(&got, &count, p, LONG, CLASSES,
                                           &(soma_ctc_beam_options){.beam = 4, .best = 3}, &err);
        door_refuse = 0;
        if (status == SOMA_OK) {
            assert_true(n > 8 && count == 3);
            soma_ctc_readings_free(got, count);
            assert_int_equal(door_live, 0);
            break;
        }
        assert_int_equal(status, SOMA_MEMORY);
        assert_null(got);
        assert_int_equal(door_live, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(best_path),      cmocka_unit_test(every_path),
        cmocka_unit_test(narrow_beams),   cmocka_unit_test(language_model),
        cmocka_unit_test(least),          cmocka_unit_test(refused),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
