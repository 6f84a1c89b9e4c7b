/* bpe.c: the tokens of one word: the pair with the lowest rank is joined, of equal ranks the
 * leftmost, until no pair has a rank.
 *
 * Most words are a few bytes long. For them one array of ranks is searched from the left for each
 * join: quadratic, and faster than anything clever. Longer ones (a text that is not cut, a row of a
 * thousand dashes) keep their pairs in a heap and their tokens in a linked list. */
#include <string.h>

#include "base/mem.h"
#include "text/heap.h"
#include "text/tokenizer.h"

#define NO_RANK INT32_MAX
#define SHORT_WORD 64
/* Words that are remembered, and how long they may be. */
#define MAX_WORDS 65536
#define MAX_WORD_BYTES 64

static int32_t rank_of(const soma_tokenizer *t, int32_t left, int32_t right)
{
    int32_t rank = left < 0 || right < 0 ? -1 : soma__pairs_find(&t->merges, left, right);
    return rank < 0 ? NO_RANK : rank;
}

/* --- short words --------------------------------------------------------------------------------
 */

/* cell[0..count) side by side; returns how many are left. */
static size_t join_short(const soma_tokenizer *t, soma__bpe_cell *cell, size_t count)
{
    for (size_t i = 0; i + 1 < count; i++)
        cell[i].rank = rank_of(t, cell[i].id, cell[i + 1].id);
    cell[count - 1].rank = NO_RANK;
    for (;;) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < count; i++)
            if (cell[i].rank < cell[best].rank)
                best = i;
        if (cell[best].rank == NO_RANK)
            return count;
        cell[best].id = t->result[cell[best].rank];
        cell[best].size += cell[best + 1].size;
        count--;
        memmove(cell + best + 1, cell + best + 2, (count - best - 1) * sizeof *cell);
        cell[best].rank = best + 1 < count ? rank_of(t, cell[best].id, cell[best + 1].id) : NO_RANK;
        if (best > 0)
            cell[best - 1].rank = rank_of(t, cell[best - 1].id, cell[best].id);
    }
}

/* --- long words ---------------------------------------------------------------------------------
 */

static bool goes_first(const soma__bpe_choice *a, const soma__bpe_choice *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}
SOMA__HEAP(soma__bpe_choice, goes_first)

static bool push(soma__encoder *e, int32_t at)
{
    const soma__bpe_cell *cell = e->cell;
    if (at < 0 || cell[at].next < 0)
        return true;
    soma__bpe_choice choice = {.at = at, .left = cell[at].id, .right = cell[cell[at].next].id};
    choice.rank = rank_of(e->tokenizer, choice.left, choice.right);
    if (choice.rank == NO_RANK)
        return true;
    void *heap = e->heap;
    if (!soma__grow(&heap, &e->heap_capacity, e->heap_count, sizeof *e->heap))
        return false;
    e->heap = heap;
    heap_push(e->heap, &e->heap_count, choice);
    return true;
}

/* The same with the cells linked; those that are left are moved together. */
static soma_status join_long(soma__encoder *e, size_t *count, soma_error *err)
{
    soma__bpe_cell *cell = e->cell;
    bool fits = true;
    e->heap_count = 0;
    for (size_t i = 0; i < *count; i++) {
        cell[i].before = (int32_t)i - 1;
        cell[i].next = i + 1 < *count ? (int32_t)i + 1 : -1;
    }
    for (size_t i = 0; fits && i < *count; i++)
        fits = push(e, (int32_t)i);
    while (fits && e->heap_count) {
        soma__bpe_choice choice = heap_pop(e->heap, &e->heap_count);
        soma__bpe_cell *left = &cell[choice.at];
        /* A pair one of whose tokens has been joined to another since is out of date. */
        if (left->size == 0 || left->id != choice.left || left->next < 0 ||
            cell[left->next].id != choice.right)
            continue;
        soma__bpe_cell *right = &cell[left->next];
        left->id = e->tokenizer->result[choice.rank];
        left->size += right->size;
        right->size = 0;
        left->next = right->next;
        if (left->next >= 0)
            cell[left->next].before = choice.at;
        fits = push(e, left->before) && push(e, choice.at);
    }
    if (!fits)
        return soma__fail(err, SOMA_MEMORY, "no memory to join %zu bytes", *count);
    size_t left = 0;
    for (size_t i = 0; i < *count; i++)
        if (cell[i].size)
            cell[left++] = cell[i];
    *count = left;
    return SOMA_OK;
}

/* --- words --------------------------------------------------------------------------------------
 */

static soma_status make_cells(soma__encoder *e, const char *piece, size_t size, size_t at,
                              soma_error *err)
{
    const soma_tokenizer *t = e->tokenizer;
    if (size > e->cells) {
        size_t bytes, wanted = size < SHORT_WORD ? SHORT_WORD : size;
        void *cells =
            soma__mul(wanted, sizeof *e->cell, &bytes) ? soma__realloc(e->cell, bytes) : NULL;
        if (!cells)
            return soma__fail(err, SOMA_MEMORY, "no memory to join %zu bytes", size);
        e->cell = cells;
        e->cells = wanted;
    }
    for (size_t i = 0; i < size; i++) {
        int32_t id = t->byte[(unsigned char)piece[i]];
        if (id < 0)
            id = t->special[SOMA_SPECIAL_UNK];
        if (id < 0)
            return soma__fail(err, SOMA_NOT_FOUND,
                              "byte 0x%02x at %zu is not in the vocabulary, which has no unknown "
                              "token",
                              (unsigned char)piece[i], at + i);
        e->cell[i] = (soma__bpe_cell){.id = id, .size = 1};
    }
    return SOMA_OK;
}

/* Keeps the tokens of a word; lack of memory only means that it is not kept. */
static void remember(soma__encoder *e, const char *piece, size_t size, size_t count)
{
    size_t wanted = e->known_count + 1 + 2 * count;
    if (e->words.count >= MAX_WORDS || wanted > INT32_MAX)
        return;
    if (wanted > e->known_capacity) {
        size_t capacity = wanted > 2 * e->known_capacity ? wanted + 1024 : 2 * e->known_capacity;
        int32_t *known = soma__realloc(e->known, capacity * sizeof *known);
        if (!known)
            return;
        e->known = known;
        e->known_capacity = capacity;
    }
    soma__string *word = soma__strings_add(&e->words, piece, size);
    if (!word)
        return;
    word->value = (int64_t)e->known_count;
    e->known[e->known_count++] = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        e->known[e->known_count++] = e->cell[i].id;
        e->known[e->known_count++] = e->cell[i].size;
    }
}

soma_status soma__bpe_encode(soma__encoder *e, const char *piece, size_t size, size_t at,
                             soma_error *err)
{
    const soma_tokenizer *t = e->tokenizer;
    if (t->ready_words) {
        int64_t id = soma_tokenizer_find(t, (soma_text){piece, size});
        if (id >= 0 && !t->token[id].added)
            return soma__encoder_add(e, (int32_t)id, at, at + size, err);
    }
    bool keeps = e->remember && size > 1 && size <= MAX_WORD_BYTES;
    const soma__string *word = keeps ? soma__strings_find(&e->words, piece, size) : NULL;
    if (word) {
        const int32_t *known = e->known + word->value;
        for (int32_t i = 0; i < known[0]; i++) {
            size_t end = at + (size_t)known[2 + 2 * i];
            SOMA__TRY(soma__encoder_add(e, known[1 + 2 * i], at, end, err));
            at = end;
        }
        return SOMA_OK;
    }
    size_t count = size;
    SOMA__TRY(make_cells(e, piece, size, at, err));
    if (size <= SHORT_WORD)
        count = join_short(t, e->cell, count);
    else
        SOMA__TRY(join_long(e, &count, err));
    if (keeps)
        remember(e, piece, size, count);
    for (size_t i = 0; i < count; i++) {
        SOMA__TRY(soma__encoder_add(e, e->cell[i].id, at, at + (size_t)e->cell[i].size, err));
        at += (size_t)e->cell[i].size;
    }
    return SOMA_OK;
}
