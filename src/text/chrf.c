/* chrf.c: chrF and chrF++, sacrebleu's way: the mean precision and recall of all orders that both
 * texts are long enough for, then their F. */
#include <math.h>

#include "soma/text_scores.h"

#include "base/mem.h"
#include "text/ngrams.h"
#include "text/unicode.h"

#define MAX_ORDER 16

typedef struct counts {
    int64_t ours, theirs, matched;
} counts;

/* A text as characters without spaces, and as words with punctuation apart. */
typedef struct units {
    soma__codes characters, words;
} units;

typedef struct chrf {
    int orders, character_orders;
    double factor; /* beta² */
    bool lowercase;
    soma__codes codes;
    soma__strings numbers, ours, theirs;
    units text, reference;
} chrf;

static bool is_punctuation(int32_t c)
{
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
           (c >= '{' && c <= '~');
}

/* "(hi)" is "(hi" and ")": one mark is cut off, at the end if there is one. */
static void add_word(chrf *c, soma__codes *words, const int32_t *word, size_t count)
{
    size_t first = count;
    if (count > 1 && is_punctuation(word[count - 1]))
        first = count - 1;
    else if (count > 1 && is_punctuation(word[0]))
        first = 1;
    soma__codes_add(words, soma__word_number(&c->numbers, word, first));
    if (first < count)
        soma__codes_add(words, soma__word_number(&c->numbers, word + first, count - first));
    words->failed |= words->count && words->at[words->count - 1] < 0;
}

static bool read_units(chrf *c, units *u, soma_text text)
{
    soma__codes *codes = &c->codes;
    codes->count = u->characters.count = u->words.count = 0;
    soma__codes_read(codes, text, c->lowercase);
    for (size_t at = 0, end; at < codes->count; at = end) {
        end = at + 1;
        if (soma__is_python_space(codes->at[at]))
            continue;
        while (end < codes->count && !soma__is_python_space(codes->at[end]))
            end++;
        for (size_t i = at; i < end; i++)
            soma__codes_add(&u->characters, codes->at[i]);
        add_word(c, &u->words, codes->at + at, end - at);
    }
    return !codes->failed && !u->characters.failed && !u->words.failed;
}

/* The n-grams of one order in both. */
static bool count_order(chrf *c, counts *out, const soma__codes *ours, const soma__codes *theirs,
                        size_t order)
{
    soma__strings_clear(&c->ours);
    soma__strings_clear(&c->theirs);
    *out = (counts){0};
    if (!soma__ngrams_count(&c->ours, ours->at, ours->count, order) ||
        !soma__ngrams_count(&c->theirs, theirs->at, theirs->count, order))
        return false;
    for (size_t i = 0; i < c->theirs.count; i++)
        out->theirs += c->theirs.item[i].value;
    for (size_t i = 0; i < c->ours.count && out->theirs; i++) {
        const soma__string *s = &c->ours.item[i];
        const soma__string *there = soma__strings_find(&c->theirs, s->data, s->size);
        out->ours += s->value;
        if (there)
            out->matched += s->value < there->value ? s->value : there->value;
    }
    return true;
}

static double f_score(const chrf *c, const counts *of)
{
    double precision = 0, recall = 0, orders = 0;
    for (int i = 0; i < c->orders; i++) {
        if (!of[i].ours || !of[i].theirs)
            continue;
        precision += (double)of[i].matched / (double)of[i].ours;
        recall += (double)of[i].matched / (double)of[i].theirs;
        orders++;
    }
    if (!(precision + recall > 0))
        return 0;
    precision /= orders;
    recall /= orders;
    return 100 * (1 + c->factor) * precision * recall / (c->factor * precision + recall);
}

/* Adds the counts against the reference that scores best. */
static bool add_text(chrf *c, counts *sum, soma_text text, const soma_text *references,
                     int64_t stride, int reference_count)
{
    counts best[2 * MAX_ORDER] = {0}, now[2 * MAX_ORDER];
    double best_score = -1;
    if (!read_units(c, &c->text, text))
        return false;
    for (int r = 0; r < reference_count; r++) {
        if (!read_units(c, &c->reference, references[r * stride]))
            return false;
        for (int i = 0; i < c->orders; i++) {
            bool words = i >= c->character_orders;
            size_t order = (size_t)(words ? i - c->character_orders : i) + 1;
            if (!count_order(c, &now[i], words ? &c->text.words : &c->text.characters,
                             words ? &c->reference.words : &c->reference.characters, order))
                return false;
        }
        double score = f_score(c, now);
        for (int i = 0; i < c->orders && score > best_score; i++)
            best[i] = now[i];
        best_score = score > best_score ? score : best_score;
    }
    for (int i = 0; i < c->orders; i++) {
        sum[i].ours += best[i].ours;
        sum[i].theirs += best[i].theirs;
        sum[i].matched += best[i].matched;
    }
    return true;
}

soma_status soma_chrf(double *out, const soma_text *texts, const soma_text *references,
                      int64_t count, int reference_count, const soma_chrf_options *options,
                      soma_error *err)
{
    const soma_chrf_options defaults = {0}, *o = options ? options : &defaults;
    int characters = o->character_order ? o->character_order : 6;
    double beta = o->beta > 0 ? o->beta : 2;
    counts sum[2 * MAX_ORDER] = {0};
    bool fits = true;
    *out = 0;
    if (count < 1 || reference_count < 1)
        return soma__fail(err, SOMA_INVALID, "chrF needs texts and at least one set of references");
    if (characters < 0 || characters > MAX_ORDER || o->word_order < 0 ||
        o->word_order > MAX_ORDER || !(o->beta >= 0) || !isfinite(o->beta))
        return soma__fail(err, SOMA_INVALID,
                          "chrF takes orders from 0 to %d and a beta of at least 0", MAX_ORDER);
    if (o->lowercase)
        SOMA__TRY(soma__unicode_need("chrF in lower case", err));
    chrf c = {.orders = characters + o->word_order,
              .character_orders = characters,
              .factor = beta * beta,
              .lowercase = o->lowercase};
    for (int64_t i = 0; fits && i < count; i++)
        fits = add_text(&c, sum, texts[i], references + i, count, reference_count);
    if (fits)
        *out = f_score(&c, sum);
    soma__codes_clear(&c.codes);
    soma__codes_clear(&c.text.characters);
    soma__codes_clear(&c.text.words);
    soma__codes_clear(&c.reference.characters);
    soma__codes_clear(&c.reference.words);
    soma__strings_clear(&c.numbers);
    soma__strings_clear(&c.ours);
    soma__strings_clear(&c.theirs);
    return fits ? SOMA_OK : soma__fail(err, SOMA_MEMORY, "no memory to count n-grams");
}
