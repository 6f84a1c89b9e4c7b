/* rng.c: Philox4x32-10 and the draws made from it.
 *
 * The generator is a keyed bijection of 128 bits. A draw is placed in it like this:
 *
 *   key      = { seed low,  seed high ^ step high }
 *   counter  = { block low, block high (30 bits) | kind << 30,  stream,  step low }
 *
 * `block` counts the 128-bit outputs of one kind of draw. The kinds have counters of their own, so
 * that normals and uniforms with one key are independent:
 *
 *   kind 0, words:     word i is output i & 3 of block i >> 2, for every i that 64 bits hold
 *   kind 1, integers:  draw i starts at block i             (62 bits of i)
 *   kind 2, normals:   draws 2 j and 2 j + 1 share block j  (63 bits of i)
 *
 * So for one seed, two draws meet in the same counter only if steps beyond 2^32 are used; then a
 * high step equals a low step of another seed, which is harmless unless both runs are compared. */
#include "base/rng.h"

#include <math.h>
#include <stddef.h>

#include "base/text.h"

enum { WORDS, INTEGERS, NORMALS };

#define MULTIPLIER_0 UINT32_C(0xD2511F53)
#define MULTIPLIER_1 UINT32_C(0xCD9E8D57)
#define WEYL_0 UINT32_C(0x9E3779B9)
#define WEYL_1 UINT32_C(0xBB67AE85)
#define ROUNDS 10

void soma__philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t p0 = (uint64_t)MULTIPLIER_0 * c0;
        uint64_t p1 = (uint64_t)MULTIPLIER_1 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += WEYL_0;
        k1 += WEYL_1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

static void place_key(const soma__rng_key *key, uint32_t out[2])
{
    out[0] = (uint32_t)key->seed;
    out[1] = (uint32_t)(key->seed >> 32) ^ (uint32_t)(key->step >> 32);
}

static uint32_t high_word(uint64_t block, uint32_t kind)
{
    return ((uint32_t)(block >> 32) & UINT32_C(0x3FFFFFFF)) | kind << 30;
}

static void draw(const soma__rng_key *key, uint32_t kind, uint64_t block, uint32_t out[4])
{
    uint32_t k[2];
    place_key(key, k);
    uint32_t counter[4] = {(uint32_t)block, high_word(block, kind), key->stream,
                           (uint32_t)key->step};
    soma__philox(counter, k, out);
}

uint32_t soma__rng_u32(const soma__rng_key *key, uint64_t index)
{
    uint32_t out[4];
    draw(key, WORDS, index >> 2, out);
    return out[index & 3];
}

/* The top 24 bits: every value is a float exactly, and 1 cannot come out by rounding. */
static float unit(uint32_t word)
{
    return (float)(int32_t)(word >> 8) * 0x1p-24F;
}

float soma__rng_uniform(const soma__rng_key *key, uint64_t index)
{
    return unit(soma__rng_u32(key, index));
}

/* Blocks computed side by side: lane l of the arrays is block first + l. All loops have this fixed
 * length, so the compiler turns each into a few vector instructions; eight lanes were the fastest
 * over gcc's -O2 and -O3, with SSE2 and with AVX2, as more of them spill registers. */
#define LANES 8

static void uniform_lanes(const uint32_t k[2], const soma__rng_key *key, uint64_t first, float *out)
{
    uint32_t c0[LANES], c1[LANES], c2[LANES], c3[LANES];
    uint32_t k0 = k[0], k1 = k[1];
    for (uint32_t l = 0; l < LANES; l++) {
        c0[l] = (uint32_t)(first + l);
        c1[l] = high_word(first + l, WORDS);
        c2[l] = key->stream;
        c3[l] = (uint32_t)key->step;
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int l = 0; l < LANES; l++) {
            uint64_t p0 = (uint64_t)MULTIPLIER_0 * c0[l];
            uint64_t p1 = (uint64_t)MULTIPLIER_1 * c2[l];
            c0[l] = (uint32_t)(p1 >> 32) ^ c1[l] ^ k0;
            c2[l] = (uint32_t)(p0 >> 32) ^ c3[l] ^ k1;
            c1[l] = (uint32_t)p1;
            c3[l] = (uint32_t)p0;
        }
        k0 += WEYL_0;
        k1 += WEYL_1;
    }
    for (int l = 0; l < LANES; l++) {
        out[4 * l + 0] = unit(c0[l]);
        out[4 * l + 1] = unit(c1[l]);
        out[4 * l + 2] = unit(c2[l]);
        out[4 * l + 3] = unit(c3[l]);
    }
}

void soma__rng_uniforms(const soma__rng_key *key, uint64_t first, int64_t count, float *out)
{
    uint32_t k[2];
    place_key(key, k);
    int64_t i = 0;
    for (; i < count && ((first + (uint64_t)i) & 3) != 0; i++)
        out[i] = soma__rng_uniform(key, first + (uint64_t)i);
    for (; count - i >= 4 * LANES; i += 4 * LANES)
        uniform_lanes(k, key, (first + (uint64_t)i) >> 2, out + i);
    while (i < count) {
        uint32_t words[4];
        draw(key, WORDS, (first + (uint64_t)i) >> 2, words);
        for (int w = 0; w < 4 && i < count; w++, i++)
            out[i] = unit(words[w]);
    }
}

static uint64_t join(uint32_t low, uint32_t high)
{
    return (uint64_t)high << 32 | low;
}

/* The high and low halves of a 64 by 64 bit product. */
static uint64_t multiply(uint64_t a, uint64_t b, uint64_t *low)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    *low = (uint64_t)product;
    return (uint64_t)(product >> 64);
}

/* Lemire's method: the high half of x * n is the answer, and an x whose low half falls into the
 * uneven remainder is refused. A refused draw feeds the whole output back as the next counter,
 * which keeps the result a function of (key, index) for any number of refusals. */
uint64_t soma__rng_below(const soma__rng_key *key, uint64_t index, uint64_t n)
{
    if (n < 2)
        return 0;
    uint32_t k[2], out[4];
    place_key(key, k);
    draw(key, INTEGERS, index, out);
    uint64_t low, high = multiply(join(out[0], out[1]), n, &low);
    if (low < n) {
        uint64_t remainder = (0 - n) % n; /* 2^64 mod n */
        while (low < remainder) {
            soma__philox(out, k, out);
            high = multiply(join(out[0], out[1]), n, &low);
        }
    }
    return high;
}

double soma__rng_normal(const soma__rng_key *key, uint64_t index)
{
    uint32_t out[4];
    draw(key, NORMALS, index >> 1, out);
    /* The radius takes its uniform from (0,1] so that the logarithm is finite. */
    double u = (double)((join(out[0], out[1]) >> 11) + 1) * 0x1p-53;
    double angle = 6.28318530717958647692 * ((double)(join(out[2], out[3]) >> 11) * 0x1p-53);
    double radius = sqrt(-2.0 * log(u));
    return radius * ((index & 1) ? sin(angle) : cos(angle));
}

void soma__rng_permutation(const soma__rng_key *key, int64_t n, int64_t *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)soma__rng_below(key, (uint64_t)i, (uint64_t)i + 1);
        int64_t t = out[i];
        out[i] = out[j];
        out[j] = t;
    }
}

uint32_t soma__rng_stream(const char *name)
{
    size_t length = 0;
    while (name[length])
        length++;
    uint64_t hash = soma__hash(SOMA__HASH_SEED, name, length);
    return (uint32_t)(hash ^ hash >> 32);
}
