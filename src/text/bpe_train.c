/* bpe_train.c: which pairs are joined, most frequent first.
 *
 * Texts are known as their different words and how often each occurs. A pair's count is the sum
 * over the words that it stands in; joining a pair changes only the words that it stands in, and
 * only the counts of the pairs beside it:
 *
 *     … x [a b] y …   ──▶   … x [ab] y …      (x,a) (b,y) lose,  (x,ab) (ab,y) win
 *
 * A heap holds the pairs by their counts. Counts that have fallen since are put right when the pair
 * comes to the top, those that have risen are put in again. */
#include <string.h>

#include "base/mem.h"
#include "text/heap.h"
#include "text/tokenizer.h"

typedef struct word {
    int32_t *symbol; /* in the arena */
    int32_t count;
    int64_t times;
} word;

typedef struct statistics {
    int64_t count;
    int32_t *words; /* where it stands or stood */
    size_t word_count, capacity;
    bool rises; /* noted in `risen` */
    bool known; /* is a merge already */
} statistics;

typedef struct choice {
    int64_t count;
    int32_t left, right, pair;
} choice;

typedef struct trainer {
    soma_tokenizer *tokenizer;
    soma__arena arena;
    word *words;
    size_t word_count;
    soma__pairs pairs;
    statistics *of; /* of each pair */
    size_t capacity;
    choice *heap;
    size_t heap_count, heap_capacity;
    int32_t *risen;
    size_t risen_count, risen_capacity;
} trainer;

static soma_status no_memory(soma_error *err)
{
    return soma__fail(err, SOMA_MEMORY, "no memory to train a tokeniser");
}

static void trainer_clear(trainer *t)
{
    for (size_t i = 0; i < t->pairs.count && t->of; i++)
        soma__free(t->of[i].words);
    soma__free(t->of);
    soma__free(t->words);
    soma__free(t->heap);
    soma__free(t->risen);
    soma__pairs_clear(&t->pairs);
    soma__arena_clear(&t->arena);
}

/* --- the heap -----------------------------------------------------------------------------------
 */

static bool goes_first(const choice *a, const choice *b)
{
    if (a->count != b->count)
        return a->count > b->count;
    return a->left != b->left ? a->left < b->left : a->right < b->right;
}
SOMA__HEAP(choice, goes_first)

static bool push(trainer *t, int32_t pair)
{
    choice c = {t->of[pair].count, soma__pairs_left(&t->pairs, pair),
                soma__pairs_right(&t->pairs, pair), pair};
    void *heap = t->heap;
    if (c.count < 1)
        return true;
    if (!soma__grow(&heap, &t->heap_capacity, t->heap_count, sizeof *t->heap))
        return false;
    t->heap = heap;
    heap_push(t->heap, &t->heap_count, c);
    return true;
}

/* --- counts -------------------------------------------------------------------------------------
 */

/* The number of a pair, with statistics. -1: no memory. */
static int32_t pair_of(trainer *t, int32_t left, int32_t right)
{
    int32_t pair = soma__pairs_find(&t->pairs, left, right);
    if (pair >= 0)
        return pair;
    void *of = t->of;
    if (!soma__grow(&of, &t->capacity, t->pairs.count, sizeof *t->of))
        return -1;
    t->of = of;
    t->of[t->pairs.count] = (statistics){0};
    return soma__pairs_add(&t->pairs, left, right);
}

static bool lose(trainer *t, int32_t left, int32_t right, int64_t times)
{
    int32_t pair = pair_of(t, left, right);
    if (pair >= 0)
        t->of[pair].count -= times;
    return pair >= 0;
}

static bool win(trainer *t, int32_t left, int32_t right, int64_t times, size_t w)
{
    int32_t pair = pair_of(t, left, right);
    if (pair < 0)
        return false;
    statistics *s = &t->of[pair];
    s->count += times;
    if (!s->word_count || s->words[s->word_count - 1] != (int32_t)w) {
        void *words = s->words;
        if (!soma__grow(&words, &s->capacity, s->word_count, sizeof *s->words))
            return false;
        s->words = words;
        s->words[s->word_count++] = (int32_t)w;
    }
    if (!s->rises) {
        void *risen = t->risen;
        if (!soma__grow(&risen, &t->risen_capacity, t->risen_count, sizeof *t->risen))
            return false;
        t->risen = risen;
        t->risen[t->risen_count++] = pair;
        s->rises = true;
    }
    return true;
}

/* The pairs that have risen go into the heap. */
static bool settle(trainer *t)
{
    bool fits = true;
    for (size_t i = 0; i < t->risen_count; i++) {
        t->of[t->risen[i]].rises = false;
        fits = fits && push(t, t->risen[i]);
    }
    t->risen_count = 0;
    return fits;
}

/* Joins left and right in one word. */
static bool join(trainer *t, size_t index, int32_t left, int32_t right, int32_t result)
{
    word *w = &t->words[index];
    int32_t to = 0;
    bool fits = true;
    for (int32_t from = 0; fits && from < w->count; to++) {
        if (w->symbol[from] != left || from + 1 == w->count || w->symbol[from + 1] != right) {
            w->symbol[to] = w->symbol[from++];
            continue;
        }
        from += 2;
        if (to > 0)
            fits = lose(t, w->symbol[to - 1], left, w->times) &&
                   win(t, w->symbol[to - 1], result, w->times, index);
        if (fits && from < w->count)
            fits = lose(t, right, w->symbol[from], w->times) &&
                   win(t, result, w->symbol[from], w->times, index);
        w->symbol[to] = result;
    }
    w->count = to;
    return fits;
}

static soma_status read_words(trainer *t, const soma__strings *strings, soma_error *err)
{
    t->words = soma__calloc(strings->count ? strings->count : 1, sizeof *t->words);
    if (!t->words)
        return no_memory(err);
    t->word_count = strings->count;
    for (size_t i = 0; i < strings->count; i++) {
        const soma__string *s = &strings->item[i];
        word *w = &t->words[i];
        w->symbol = soma__arena_array(&t->arena, s->size ? s->size : 1, sizeof *w->symbol);
        if (!w->symbol)
            return no_memory(err);
        w->count = (int32_t)s->size;
        w->times = s->value;
        for (int32_t k = 0; k < w->count; k++)
            w->symbol[k] = t->tokenizer->byte[(unsigned char)s->data[k]];
        for (int32_t k = 0; k + 1 < w->count; k++)
            if (!win(t, w->symbol[k], w->symbol[k + 1], w->times, i))
                return no_memory(err);
    }
    return settle(t) ? SOMA_OK : no_memory(err);
}

/* The token that the pair makes, a new one unless there is one of these bytes. */
static soma_status joined(trainer *t, int32_t left, int32_t right, int32_t *out, soma_error *err)
{
    soma_tokenizer *k = t->tokenizer;
    soma_text a = k->token[left].bytes, b = k->token[right].bytes;
    char *bytes = soma__malloc(a.size + b.size);
    if (!bytes)
        return no_memory(err);
    memcpy(bytes, a.data, a.size);
    memcpy(bytes + a.size, b.data, b.size);
    soma_text both = {bytes, a.size + b.size};
    int64_t id = soma_tokenizer_find(k, both);
    soma_status status = SOMA_OK;
    if (id < 0 || k->token[id].special) {
        id = (int64_t)k->count;
        status = soma__tokenizer_put(k, id, both, err);
    }
    soma__free(bytes);
    *out = (int32_t)id;
    return status;
}

/* Adds the merge of a pair, and carries it out. */
static soma_status merge(trainer *t, const choice *c, soma_error *err)
{
    int32_t result = -1;
    SOMA__TRY(joined(t, c->left, c->right, &result, err));
    /* A pair can come back when two pairs make the same token. */
    if (!t->of[c->pair].known)
        SOMA__TRY(soma__tokenizer_put_merge(t->tokenizer, c->left, c->right, result, err));
    t->of[c->pair].known = true;
    int32_t *words = t->of[c->pair].words;
    size_t count = t->of[c->pair].word_count;
    t->of[c->pair].words = NULL;
    t->of[c->pair].word_count = t->of[c->pair].capacity = 0;
    bool fits = true;
    for (size_t i = 0; fits && i < count; i++)
        fits = join(t, (size_t)words[i], c->left, c->right, result);
    soma__free(words);
    t->of[c->pair].count = 0;
    return fits && settle(t) ? SOMA_OK : no_memory(err);
}

soma_status soma__bpe_train(soma_tokenizer *tokenizer, const soma__strings *words, int64_t size,
                            int64_t min_count, soma_error *err)
{
    trainer t = {.tokenizer = tokenizer};
    soma_status status = read_words(&t, words, err);
    while (status == SOMA_OK && t.heap_count && (int64_t)tokenizer->count < size) {
        choice c = heap_pop(t.heap, &t.heap_count);
        if (c.count != t.of[c.pair].count) {
            if (!push(&t, c.pair))
                status = no_memory(err);
            continue;
        }
        if (c.count < min_count)
            break;
        status = merge(&t, &c, err);
    }
    trainer_clear(&t);
    return status;
}
