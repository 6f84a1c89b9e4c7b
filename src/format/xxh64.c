#include "format/xxh64.h"

#include <string.h>

#define P1 UINT64_C(0x9E3779B185EBCA87)
#define P2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define P3 UINT64_C(0x165667B19E3779F9)
#define P4 UINT64_C(0x85EBCA77C2B2AE63)
#define P5 UINT64_C(0x27D4EB2F165667C5)

static uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

/* The algorithm reads little-endian words; memcpy lets the compiler emit one unaligned load. */
static uint64_t load64(const unsigned char *p)
{
    uint64_t x;
    memcpy(&x, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    return x;
}

static uint32_t load32(const unsigned char *p)
{
    uint32_t x;
    memcpy(&x, p, 4);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap32(x);
#endif
    return x;
}

static uint64_t round64(uint64_t lane, uint64_t input)
{
    return rotate(lane + input * P2, 31) * P1;
}

static void stripe(soma__xxh64 *state, const unsigned char *p)
{
    for (int i = 0; i < 4; i++)
        state->lane[i] = round64(state->lane[i], load64(p + 8 * i));
}

void soma__xxh64_start(soma__xxh64 *state)
{
    memset(state, 0, sizeof *state);
    state->lane[0] = P1 + P2;
    state->lane[1] = P2;
    state->lane[3] = 0 - P1;
}

void soma__xxh64_add(soma__xxh64 *state, const void *data, size_t size)
{
    const unsigned char *p = data;

    if (!size)
        return;
    state->total += size;
    if (state->tail_size) {
        size_t room = sizeof state->tail - state->tail_size;
        size_t part = size < room ? size : room;
        memcpy(state->tail + state->tail_size, p, part);
        state->tail_size += part;
        p += part;
        size -= part;
        if (state->tail_size < sizeof state->tail)
            return;
        stripe(state, state->tail);
        state->tail_size = 0;
    }
    for (; size >= sizeof state->tail; p += sizeof state->tail, size -= sizeof state->tail)
        stripe(state, p);
    memcpy(state->tail, p, size);
    state->tail_size = size;
}

uint64_t soma__xxh64_end(const soma__xxh64 *state)
{
    const unsigned char *p = state->tail, *end = p + state->tail_size;
    uint64_t h = P5;

    if (state->total >= sizeof state->tail) {
        const uint64_t *v = state->lane;
        h = rotate(v[0], 1) + rotate(v[1], 7) + rotate(v[2], 12) + rotate(v[3], 18);
        for (int i = 0; i < 4; i++)
            h = (h ^ round64(0, v[i])) * P1 + P4;
    }
    h += state->total;
    for (; end - p >= 8; p += 8)
        h = rotate(h ^ round64(0, load64(p)), 27) * P1 + P4;
    if (end - p >= 4) {
        h = rotate(h ^ load32(p) * P1, 23) * P2 + P3;
        p += 4;
    }
    for (; p < end; p++)
        h = rotate(h ^ *p * P5, 11) * P1;
    h = (h ^ h >> 33) * P2;
    h = (h ^ h >> 29) * P3;
    return h ^ h >> 32;
}
