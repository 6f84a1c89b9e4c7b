/* edits.c: word and character error rates. */
#include <math.h>

#include "soma/text_scores.h"

#include "base/mem.h"
#include "text/ngrams.h"

/* The best way from a beginning of the truth to a beginning of what was said. */
typedef struct way {
    int64_t substitutions, deletions, insertions;
} way;

static int64_t cost(const way *w)
{
    return w->substitutions + w->deletions + w->insertions;
}

static const way *better(const way *a, const way *b)
{
    if (cost(a) != cost(b))
        return cost(a) < cost(b) ? a : b;
    /* With equal costs, fewer deletions and substitutions leave more of the truth as it was. */
    return a->substitutions + a->deletions <= b->substitutions + b->deletions ? a : b;
}

/* Levenshtein's table, one row at a time: row[j] is the way from truth[0..i) to said[0..j). */
static void fewest(way *row, const soma__codes *truth, const soma__codes *said)
{
    for (size_t j = 0; j <= said->count; j++)
        row[j] = (way){.insertions = (int64_t)j};
    for (size_t i = 1; i <= truth->count; i++) {
        way diagonal = row[0];
        row[0] = (way){.deletions = (int64_t)i};
        for (size_t j = 1; j <= said->count; j++) {
            way change = diagonal, drop = row[j], insert = row[j - 1];
            diagonal = row[j];
            change.substitutions += truth->at[i - 1] != said->at[j - 1];
            drop.deletions++;
            insert.insertions++;
            row[j] = *better(&change, better(&drop, &insert));
        }
    }
}

/* Words as jiwer sees them: two spaces or more are one blank, only blanks separate. */
static void read_words(soma__codes *out, soma__codes *codes, soma__strings *words, soma_text text)
{
    size_t start = 0, at = 0;
    codes->count = 0;
    soma__codes_read(codes, text, false);
    while (codes->count && soma__is_python_space(codes->at[codes->count - 1]))
        codes->count--;
    while (start < codes->count && soma__is_python_space(codes->at[start]))
        start++;
    for (at = start; !codes->failed && at < codes->count; at = start) {
        size_t end = at, next;
        for (;; end = next) {
            for (next = end; next < codes->count && !soma__is_python_space(codes->at[next]);)
                next++;
            end = next;
            while (next < codes->count && soma__is_python_space(codes->at[next]))
                next++;
            /* A single tab, no-break space and the like are part of the word. */
            if (next == codes->count || next - end > 1 || codes->at[end] == ' ')
                break;
        }
        int32_t number = soma__word_number(words, codes->at + at, end - at);
        soma__codes_add(out, number);
        out->failed |= number < 0;
        start = next;
    }
}

static void read_characters(soma__codes *out, soma_text text)
{
    size_t start = 0;
    soma__codes_read(out, text, false);
    while (out->count && soma__is_python_space(out->at[out->count - 1]))
        out->count--;
    while (start < out->count && soma__is_python_space(out->at[start]))
        start++;
    for (size_t i = start; i < out->count; i++)
        out->at[i - start] = out->at[i];
    out->count -= start;
}

static soma_status error_rate(soma_error_rate *out, const soma_text *truth, const soma_text *said,
                              int64_t count, bool words, soma_error *err)
{
    soma__codes a = {0}, b = {0}, codes = {0};
    soma__strings numbers = {0};
    way *row = NULL;
    size_t capacity = 0;
    bool fits = true;
    *out = (soma_error_rate){.rate = NAN};
    if (count < 1)
        return soma__fail(err, SOMA_INVALID, "an error rate needs at least one pair of texts");
    for (int64_t i = 0; fits && i < count; i++) {
        a.count = b.count = 0;
        if (words) {
            read_words(&a, &codes, &numbers, truth[i]);
            read_words(&b, &codes, &numbers, said[i]);
        } else {
            read_characters(&a, truth[i]);
            read_characters(&b, said[i]);
        }
        if (!row || b.count + 1 > capacity) {
            way *wider = soma__realloc(row, (b.count + 1) * sizeof *row);
            fits = wider != NULL;
            row = wider ? wider : row;
            capacity = wider ? b.count + 1 : capacity;
        }
        fits = fits && !a.failed && !b.failed && !codes.failed;
        if (!fits)
            break;
        fewest(row, &a, &b);
        const way *w = &row[b.count];
        out->substitutions += w->substitutions;
        out->deletions += w->deletions;
        out->insertions += w->insertions;
        out->hits += (int64_t)a.count - w->substitutions - w->deletions;
    }
    soma__codes_clear(&a);
    soma__codes_clear(&b);
    soma__codes_clear(&codes);
    soma__strings_clear(&numbers);
    soma__free(row);
    if (!fits)
        return soma__fail(err, SOMA_MEMORY, "no memory to compare texts");
    int64_t length = out->hits + out->substitutions + out->deletions;
    if (length)
        out->rate =
            (double)(out->substitutions + out->deletions + out->insertions) / (double)length;
    return SOMA_OK;
}

soma_status soma_word_error_rate(soma_error_rate *out, const soma_text *truth,
                                 const soma_text *said, int64_t count, soma_error *err)
{
    return error_rate(out, truth, said, count, true, err);
}

soma_status soma_character_error_rate(soma_error_rate *out, const soma_text *truth,
                                      const soma_text *said, int64_t count, soma_error *err)
{
    return error_rate(out, truth, said, count, false, err);
}
