/* The generator against its published vectors, and the draws made from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

/* From Random123's kat_vectors, philox4x32 with 10 rounds. */
static void known_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < 3; i++) {
        uint32_t out[4];
        soma__philox(known[i].counter, known[i].key, out);
        assert_memory_equal(out, known[i].out, sizeof out);
    }
}

/* The layout is part of the file format in a way: a resumed run must draw what the first one did,
 * with any later version of the library too. */
static void layout_is_fixed(void **state)
{
    (void)state;
    soma__rng_key zero = {0};
    static const uint32_t first[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(soma__rng_u32(&zero, i), first[i]);

    soma__rng_key key = {.seed = UINT64_C(0x1122334455667788), .stream = 0x99AABBCC, .step = 77};
    uint32_t counter[4] = {5, 1, 0x99AABBCC, 77}, k[2] = {0x55667788, 0x11223344}, out[4];
    soma__philox(counter, k, out);
    uint64_t index = ((UINT64_C(1) << 32 | 5) << 2) + 3;
    assert_int_equal(soma__rng_u32(&key, index), out[3]);
    /* The last index of all is a valid one. */
    uint32_t last[4] = {UINT32_MAX, 0x3FFFFFFF, 0x99AABBCC, 77};
    soma__philox(last, k, out);
    assert_int_equal(soma__rng_u32(&key, UINT64_MAX), out[3]);
    key.step += UINT64_C(1) << 32;
    assert_int_not_equal(soma__rng_u32(&key, index), out[3]);
}

static void bulk_equals_single(void **state)
{
    (void)state;
    soma__rng_key key = {.seed = 42, .stream = 7, .step = 3};
    float out[600];
    const uint64_t firsts[] = {0, 1, 2, 3, 1000001, (UINT64_C(1) << 34) - 130};
    const int64_t counts[] = {0, 1, 3, 4, 63, 64, 65, 128, 255, 599};
    for (size_t f = 0; f < 6; f++)
        for (size_t c = 0; c < 10; c++) {
            out[counts[c]] = -5.0F;
            soma__rng_uniforms(&key, firsts[f], counts[c], out);
            for (int64_t i = 0; i < counts[c]; i++) {
                assert_true(out[i] == soma__rng_uniform(&key, firsts[f] + (uint64_t)i));
                assert_true(out[i] >= 0.0F && out[i] < 1.0F);
            }
            assert_true(out[counts[c]] == -5.0F);
        }
}

static void moments(void **state)
{
    (void)state;
    soma__rng_key key = {.seed = 1, .stream = soma__rng_stream("conv1.weight")};
    double sum = 0, squares = 0, normal = 0, normal2 = 0, normal4 = 0, pairs = 0;
    const int n = 200000;
    double before = 0;
    for (int i = 0; i < n; i++) {
        double u = (double)soma__rng_uniform(&key, (uint64_t)i);
        double z = soma__rng_normal(&key, (uint64_t)i);
        sum += u;
        squares += u * u;
        normal += z;
        normal2 += z * z;
        normal4 += z * z * z * z;
        pairs += i & 1 ? z * before : 0;
        before = z;
    }
    /* Five standard deviations of each mean. */
    double root = sqrt((double)n);
    assert_true(fabs(sum / n - 0.5) < 5 * 0.2887 / root);
    assert_true(fabs(squares / n - 1.0 / 3) < 5 * 0.2981 / root);
    assert_true(fabs(normal / n) < 5 / root);
    assert_true(fabs(normal2 / n - 1) < 5 * 1.4142 / root);
    assert_true(fabs(normal4 / n - 3) < 5 * 9.798 / root);
    assert_true(fabs(pairs / (n / 2)) < 5 * 1.4142 / root);
}

static void integers_are_unbiased(void **state)
{
    (void)state;
    soma__rng_key key = {.seed = 9};
    int seen[10] = {0};
    for (uint64_t i = 0; i < 100000; i++)
        seen[soma__rng_below(&key, i, 10)]++;
    double chi = 0;
    for (int i = 0; i < 10; i++)
        chi += (seen[i] - 10000.0) * (seen[i] - 10000.0) / 10000.0;
    assert_true(chi < 33.7); /* 9 degrees of freedom, p = 0.0001 */
    assert_int_equal(soma__rng_below(&key, 0, 0), 0);
    assert_int_equal(soma__rng_below(&key, 0, 1), 0);

    /* With n = 3 × 2^62 a quarter of the draws is refused; the thirds stay even. */
    uint64_t third = UINT64_C(1) << 62;
    int thirds[3] = {0};
    for (uint64_t i = 0; i < 30000; i++)
        thirds[soma__rng_below(&key, i, 3 * third) / third]++;
    for (int i = 0; i < 3; i++)
        assert_true(abs(thirds[i] - 10000) < 450);
}

static void permutations(void **state)
{
    (void)state;
    int64_t order[1000], again[1000];
    char seen[1000] = {0};
    soma__rng_key key = {.seed = 5, .step = 1};
    soma__rng_permutation(&key, 1000, order);
    int fixed = 0;
    for (int i = 0; i < 1000; i++) {
        assert_in_range(order[i], 0, 999);
        seen[order[i]]++;
        fixed += order[i] == i;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(seen[i], 1);
    assert_true(fixed < 10);
    soma__rng_permutation(&key, 1000, again);
    assert_memory_equal(order, again, sizeof order);
    key.step = 2;
    soma__rng_permutation(&key, 1000, again);
    assert_memory_not_equal(order, again, sizeof order);
    soma__rng_permutation(&key, 0, again);

    /* All 24 orders of four things are about equally frequent. */
    int counts[256] = {0}, kinds = 0;
    for (key.step = 0; key.step < 24000; key.step++) {
        soma__rng_permutation(&key, 4, again);
        counts[again[0] | again[1] << 2 | again[2] << 4 | again[3] << 6]++;
    }
    for (int i = 0; i < 256; i++)
        if (counts[i]) {
            kinds++;
            assert_in_range(counts[i], 830, 1170);
        }
    assert_int_equal(kinds, 24);
}

static void streams_differ(void **state)
{
    (void)state;
    assert_int_not_equal(soma__rng_stream("dropout1"), soma__rng_stream("dropout2"));
    soma__rng_key a = {.stream = 1}, b = {.stream = 2}, c = {.stream = 1, .step = 1};
    assert_int_not_equal(soma__rng_u32(&a, 0), soma__rng_u32(&b, 0));
    assert_int_not_equal(soma__rng_u32(&a, 0), soma__rng_u32(&c, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),         cmocka_unit_test(layout_is_fixed),
        cmocka_unit_test(bulk_equals_single),    cmocka_unit_test(moments),
        cmocka_unit_test(integers_are_unbiased), cmocka_unit_test(permutations),
        cmocka_unit_test(streams_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
