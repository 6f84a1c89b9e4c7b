/* The next token: chances by the definition of each filter, draws that follow them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "soma/soma.h"

enum { COUNT = 9 };

/* Two pairs of equal scores. */
static const float scores[COUNT] = {0.5F, -1, 2, 2, 0.1F, -3, 1.5F, 0.5F, -0.2F};

static void softmax(const double *x, double temperature, double *p)
{
    double sum = 0;
    for (int i = 0; i < COUNT; i++)
        sum += exp(x[i] / temperature);
    for (int i = 0; i < COUNT; i++)
        p[i] = exp(x[i] / temperature) / sum;
}

/* How many tokens come before token i: likelier ones, and of equal ones those with lower ids. */
static int rank_of(const double *p, int i)
{
    int before = 0;
    for (int k = 0; k < COUNT; k++)
        before += p[k] > p[i] || (k < i && !(p[k] < p[i]));
    return before;
}

/* Filter by filter, each written down as it is defined. */
static void by_hand(const soma_sampling *o, const int64_t *seen, int seen_count, double *p)
{
    double x[COUNT], all[COUNT], total = 0, left = 0, most = 0;
    bool in[COUNT];
    for (int i = 0; i < COUNT; i++) {
        bool was = false;
        x[i] = (double)scores[i];
        for (int k = 0; k < seen_count; k++)
            was |= seen[k] == i;
        if (was && o->repetition_penalty > 0)
            x[i] = x[i] > 0 ? x[i] / o->repetition_penalty : x[i] * o->repetition_penalty;
    }
    softmax(x, o->temperature > 0 ? o->temperature : 1, all);
    for (int i = 0; i < COUNT; i++) {
        in[i] = !(o->top_k > 0 && rank_of(all, i) >= o->top_k);
        in[i] = in[i] && !(o->greedy && rank_of(all, i) > 0);
        total += in[i] ? all[i] : 0;
        most = fmax(most, all[i]);
    }
    for (int i = 0; i < COUNT && o->top_p > 0; i++) {
        double before = 0; /* what the likelier ones have together */
        for (int k = 0; k < COUNT; k++)
            before += in[k] && rank_of(all, k) < rank_of(all, i) ? all[k] : 0;
        if (in[i] && before >= o->top_p * total)
            p[i] = -1;
        else
            p[i] = 0;
    }
    for (int i = 0; i < COUNT; i++) {
        if (o->top_p > 0 && p[i] < 0)
            in[i] = false;
        in[i] = in[i] && all[i] >= o->min_p * most;
        left += in[i] ? all[i] : 0;
    }
    for (int i = 0; i < COUNT; i++)
        p[i] = in[i] ? all[i] / left : 0;
}

static void filters(void **state)
{
    (void)state;
    static const int64_t seen[] = {2, 5, 2, 0};
    static const soma_sampling cases[] = {
        {.seed = 0},
        {.temperature = 0.5},
        {.temperature = 3},
        {.greedy = true},
        {.top_k = 1},
        {.top_k = 3},
        {.top_k = 100},
        {.top_p = 0.3},
        {.top_p = 0.62},
        {.top_p = 1},
        {.top_p = 1e-9},
        {.min_p = 0.2},
        {.min_p = 1},
        {.repetition_penalty = 1.7},
        {.repetition_penalty = 0.5},
        {.repetition_penalty = 1.3, .temperature = 0.8, .top_k = 6, .top_p = 0.9, .min_p = 0.1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double want[COUNT], got[COUNT], sum = 0;
        by_hand(&cases[i], seen, 4, want);
        assert_int_equal(soma_sample_chances(got, scores, COUNT, &cases[i], seen, 4, NULL),
                         SOMA_OK);
        for (int k = 0; k < COUNT; k++) {
            if (fabs(got[k] - want[k]) > 1e-12)
                fail_msg("case %zu, token %d: %g, not %g", i, k, got[k], want[k]);
            sum += got[k];
        }
        assert_true(fabs(sum - 1) < 1e-12);
    }
}

/* Tokens that cannot come, as masks make them. */
static void impossible_tokens(void **state)
{
    (void)state;
    const float masked[] = {-INFINITY, 1, -INFINITY, 1};
    double p[4];
    assert_int_equal(soma_sample_chances(p, masked, 4, NULL, NULL, 0, NULL), SOMA_OK);
    assert_true(fabs(p[1] - 0.5) < 1e-12 && fabs(p[3] - 0.5) < 1e-12 && !(p[0] > 0) && !(p[2] > 0));
}

static void draws_follow_the_chances(void **state)
{
    (void)state;
    enum { DRAWS = 20000 };
    const soma_sampling how = {.top_k = 5, .seed = 42};
    int counts[COUNT] = {0};
    double p[COUNT];
    assert_int_equal(soma_sample_chances(p, scores, COUNT, &how, NULL, 0, NULL), SOMA_OK);
    for (uint64_t i = 0; i < DRAWS; i++) {
        int64_t id, again;
        assert_int_equal(soma_sample(&id, scores, COUNT, &how, NULL, 0, i, NULL), SOMA_OK);
        assert_int_equal(soma_sample(&again, scores, COUNT, &how, NULL, 0, i, NULL), SOMA_OK);
        assert_int_equal(id, again);
        counts[id]++;
    }
    /* Five deviations; what has no chance never comes. */
    for (int i = 0; i < COUNT; i++)
        assert_true(fabs(counts[i] - DRAWS * p[i]) <= 5 * sqrt(DRAWS * p[i] * (1 - p[i])));
}

static void out_of_range(void **state)
{
    (void)state;
    static const soma_sampling bad[] = {
        {.temperature = -1}, {.temperature = NAN}, {.top_k = -1},  {.top_p = 1.5},
        {.top_p = -0.1},     {.min_p = 2},         {.min_p = NAN}, {.repetition_penalty = -1}};
    const float broken[] = {1, NAN}, infinite[] = {INFINITY, 0}, none[] = {-INFINITY, -INFINITY};
    const soma_sampling penal = {.repetition_penalty = 2};
    const int64_t outside = COUNT;
    double p[COUNT];
    soma_error err = {0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(soma_sample_chances(p, scores, COUNT, &bad[i], NULL, 0, &err),
                         SOMA_INVALID);
    assert_int_equal(soma_sample_chances(p, scores, 0, NULL, NULL, 0, &err), SOMA_INVALID);
    assert_int_equal(soma_sample_chances(p, scores, COUNT, &penal, &outside, 1, &err),
                     SOMA_INVALID);
    assert_int_equal(soma_sample_chances(p, broken, 2, NULL, NULL, 0, &err), SOMA_NUMERIC);
    assert_int_equal(soma_sample_chances(p, infinite, 2, NULL, NULL, 0, &err), SOMA_NUMERIC);
    assert_int_equal(soma_sample_chances(p, none, 2, NULL, NULL, 0, &err), SOMA_NUMERIC);
    assert_non_null(strstr(err.message, "no token is possible"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters),
        cmocka_unit_test(impossible_tokens),
        cmocka_unit_test(draws_follow_the_chances),
        cmocka_unit_test(out_of_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
