#include "text/strings.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"

static uint32_t hash_bytes(const char *data, size_t size)
{
    uint64_t hash = soma__hash(SOMA__HASH_SEED, data, size);
    return (uint32_t)(hash ^ hash >> 32);
}

static uint32_t hash_pair(uint64_t key)
{
    key *= UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(key >> 32);
}

/* A table of twice the slots (64 at first), all free; NULL when memory is out. */
static int32_t *more_slots(size_t slots, size_t *out)
{
    size_t wanted = slots ? 2 * slots : 64;
    int32_t *slot = wanted > INT32_MAX ? NULL : soma__calloc(wanted, sizeof *slot);
    if (slot)
        *out = wanted;
    return slot;
}

static void place(int32_t *slot, size_t slots, uint32_t hash, size_t item)
{
    size_t at = hash & (slots - 1);
    while (slot[at])
        at = (at + 1) & (slots - 1);
    slot[at] = (int32_t)item + 1;
}

static soma__string *find(const soma__strings *s, const char *data, size_t size, uint32_t hash)
{
    if (!s->slots)
        return NULL;
    for (size_t at = hash & (s->slots - 1); s->slot[at]; at = (at + 1) & (s->slots - 1)) {
        soma__string *item = &s->item[s->slot[at] - 1];
        if (item->hash == hash && item->size == size && memcmp(item->data, data, size) == 0)
            return item;
    }
    return NULL;
}

soma__string *soma__strings_find(const soma__strings *strings, const char *data, size_t size)
{
    return find(strings, data, size, hash_bytes(data, size));
}

soma__string *soma__strings_add(soma__strings *s, const char *data, size_t size)
{
    uint32_t hash = hash_bytes(data, size);
    soma__string *item = find(s, data, size, hash);
    if (item)
        return item;
    if (2 * (s->count + 1) > s->slots) {
        size_t slots;
        int32_t *slot = more_slots(s->slots, &slots);
        if (!slot)
            return NULL;
        for (size_t i = 0; i < s->count; i++)
            place(slot, slots, s->item[i].hash, i);
        soma__free(s->slot);
        s->slot = slot;
        s->slots = slots;
    }
    void *items = s->item;
    if (size >= INT32_MAX || !soma__grow(&items, &s->capacity, s->count, sizeof *s->item))
        return NULL;
    s->item = items;
    char *copy = soma__arena_alloc(&s->arena, size + 1);
    if (!copy)
        return NULL;
    memcpy(copy, data, size);
    s->item[s->count] = (soma__string){.data = copy, .size = (uint32_t)size, .hash = hash};
    place(s->slot, s->slots, hash, s->count);
    return &s->item[s->count++];
}

void soma__strings_clear(soma__strings *strings)
{
    soma__arena_clear(&strings->arena);
    soma__free(strings->item);
    soma__free(strings->slot);
    *strings = (soma__strings){0};
}

static uint64_t key_of(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

int32_t soma__pairs_find(const soma__pairs *pairs, int32_t left, int32_t right)
{
    uint64_t key = key_of(left, right);
    if (!pairs->slots)
        return -1;
    for (size_t at = hash_pair(key) & (pairs->slots - 1); pairs->slot[at];
         at = (at + 1) & (pairs->slots - 1))
        if (pairs->key[pairs->slot[at] - 1] == key)
            return pairs->slot[at] - 1;
    return -1;
}

int32_t soma__pairs_add(soma__pairs *p, int32_t left, int32_t right)
{
    int32_t there = soma__pairs_find(p, left, right);
    if (there >= 0)
        return there;
    if (2 * (p->count + 1) > p->slots) {
        size_t slots;
        int32_t *slot = more_slots(p->slots, &slots);
        if (!slot)
            return -1;
        for (size_t i = 0; i < p->count; i++)
            place(slot, slots, hash_pair(p->key[i]), i);
        soma__free(p->slot);
        p->slot = slot;
        p->slots = slots;
    }
    void *keys = p->key;
    if (!soma__grow(&keys, &p->capacity, p->count, sizeof *p->key))
        return -1;
    p->key = keys;
    p->key[p->count] = key_of(left, right);
    place(p->slot, p->slots, hash_pair(p->key[p->count]), p->count);
    return (int32_t)p->count++;
}

void soma__pairs_clear(soma__pairs *pairs)
{
    soma__free(pairs->key);
    soma__free(pairs->slot);
    *pairs = (soma__pairs){0};
}
