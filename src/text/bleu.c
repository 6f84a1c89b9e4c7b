/* bleu.c: BLEU, cutting texts as the WMT's scripts do.
 *
 * The scripts are lists of substitutions; each is one pass over the code points here. */
#include <math.h>
#include <string.h>

#include "soma/text_scores.h"

#include "base/mem.h"
#include "text/ngrams.h"
#include "text/unicode.h"

/* --- cutting ------------------------------------------------------------------------------------
 */

typedef bool test(int32_t code);

static bool is_digit(int32_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_not_digit(int32_t c)
{
    return !is_digit(c);
}

static bool is_dot(int32_t c)
{
    return c == '.' || c == ',';
}

static bool is_dash(int32_t c)
{
    return c == '-';
}

/* [\{-\~\[-\` -\&\(-\+\:-\@\/] */
static bool is_mark(int32_t c)
{
    return (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c >= ' ' && c <= '&') ||
           (c >= '(' && c <= '+') || (c >= ':' && c <= '@') || c == '/';
}

static bool is_punctuation(int32_t c)
{
    return soma__unicode_class((uint32_t)c) == SOMA__CLASS_PUNCTUATION;
}

static bool is_not_number(int32_t c)
{
    return soma__unicode_class((uint32_t)c) != SOMA__CLASS_NUMBER;
}

static bool is_symbol(int32_t c)
{
    return soma__unicode_class((uint32_t)c) == SOMA__CLASS_SYMBOL;
}

static bool is_any(int32_t c)
{
    return !soma__is_python_space(c);
}

/* Two lists that passes go between: each reads one and writes the other. */
typedef struct line {
    soma__codes now, next;
} line;

static void turn(line *l)
{
    soma__codes written = l->next;
    l->next = l->now;
    l->next.count = 0;
    l->now = written;
    l->now.failed |= l->next.failed;
}

/* c -> " c " */
static void set_apart(line *l, test *which)
{
    for (size_t i = 0; i < l->now.count; i++) {
        bool apart = which(l->now.at[i]);
        if (apart)
            soma__codes_add(&l->next, ' ');
        soma__codes_add(&l->next, l->now.at[i]);
        if (apart)
            soma__codes_add(&l->next, ' ');
    }
    turn(l);
}

/* ab -> "a b ", or " a b" where `before`; from the left, and what was changed is not looked at
 * again. */
static void set_pair_apart(line *l, test *first, test *second, bool before)
{
    for (size_t i = 0; i < l->now.count; i++) {
        int32_t a = l->now.at[i];
        if (i + 1 == l->now.count || !first(a) || !second(l->now.at[i + 1])) {
            soma__codes_add(&l->next, a);
            continue;
        }
        if (before)
            soma__codes_add(&l->next, ' ');
        soma__codes_add(&l->next, a);
        soma__codes_add(&l->next, ' ');
        soma__codes_add(&l->next, l->now.at[++i]);
        if (!before)
            soma__codes_add(&l->next, ' ');
    }
    turn(l);
}

static void replace(line *l, const char *what, const char *by)
{
    size_t size = strlen(what);
    for (size_t i = 0; i < l->now.count;) {
        size_t same = 0;
        while (same < size && i + same < l->now.count && l->now.at[i + same] == what[same])
            same++;
        if (same < size) {
            soma__codes_add(&l->next, l->now.at[i++]);
            continue;
        }
        for (const char *c = by; *c; c++)
            soma__codes_add(&l->next, *c);
        i += size;
    }
    turn(l);
}

static void cut_13a(line *l)
{
    static const char *const replaced[][2] = {
        {"<skipped>", ""}, {"-\n", ""},   {"\n", " "},   {"&quot;", "\""},
        {"&amp;", "&"},    {"&lt;", "<"}, {"&gt;", ">"},
    };
    for (size_t i = 0; i < sizeof replaced / sizeof replaced[0]; i++)
        replace(l, replaced[i][0], replaced[i][1]);
    /* A blank on both sides, so that a mark at an end has a neighbour. */
    soma__codes_add(&l->next, ' ');
    for (size_t i = 0; i < l->now.count; i++)
        soma__codes_add(&l->next, l->now.at[i]);
    soma__codes_add(&l->next, ' ');
    turn(l);
    set_apart(l, is_mark);
    set_pair_apart(l, is_not_digit, is_dot, false);
    set_pair_apart(l, is_dot, is_not_digit, true);
    set_pair_apart(l, is_digit, is_dash, false);
}

/* The tokens of a text, as numbers of words. */
static void cut(soma__codes *out, line *l, soma__strings *words, soma_text text,
                const soma_bleu_options *o)
{
    out->count = l->now.count = l->next.count = 0;
    soma__codes_read(&l->now, text, o->lowercase);
    while (l->now.count && soma__is_python_space(l->now.at[l->now.count - 1]))
        l->now.count--;
    if (o->tokens == SOMA_BLEU_13A) {
        cut_13a(l);
    } else if (o->tokens == SOMA_BLEU_INTL) {
        set_pair_apart(l, is_not_number, is_punctuation, false);
        set_pair_apart(l, is_punctuation, is_not_number, true);
        set_apart(l, is_symbol);
    } else if (o->tokens == SOMA_BLEU_CHAR) {
        set_apart(l, is_any);
    }
    soma__codes_words(out, words, l->now.at, l->now.count);
    out->failed |= l->now.failed;
}

/* --- counting -----------------------------------------------------------------------------------
 */

typedef struct bleu {
    const soma_bleu_options *options;
    line line;
    soma__codes tokens;
    soma__strings words, ours, theirs, one;
    int64_t matched[SOMA_BLEU_ORDER], total[SOMA_BLEU_ORDER];
    int64_t length, reference_length;
} bleu;

static bool count_orders(soma__strings *counts, const soma__codes *tokens)
{
    for (size_t order = 1; order <= SOMA_BLEU_ORDER; order++)
        if (!soma__ngrams_count(counts, tokens->at, tokens->count, order))
            return false;
    return !tokens->failed;
}

/* Each n-gram of the references, as often as in the one that has it most. */
static bool read_reference(bleu *b, soma_text text, int64_t length, int64_t *nearest)
{
    cut(&b->tokens, &b->line, &b->words, text, b->options);
    soma__strings_clear(&b->one);
    if (!count_orders(&b->one, &b->tokens))
        return false;
    for (size_t i = 0; i < b->one.count; i++) {
        const soma__string *s = &b->one.item[i];
        soma__string *most = soma__strings_add(&b->theirs, s->data, s->size);
        if (!most)
            return false;
        if (s->value > most->value)
            most->value = s->value;
    }
    int64_t own = (int64_t)b->tokens.count;
    int64_t far = own > length ? own - length : length - own;
    int64_t best = *nearest > length ? *nearest - length : length - *nearest;
    if (*nearest < 0 || far < best || (far == best && own < *nearest))
        *nearest = own;
    return true;
}

static bool add_text(bleu *b, soma_text text, const soma_text *references, int64_t stride,
                     int reference_count)
{
    int64_t nearest = -1;
    soma__strings_clear(&b->ours);
    soma__strings_clear(&b->theirs);
    cut(&b->tokens, &b->line, &b->words, text, b->options);
    if (!count_orders(&b->ours, &b->tokens))
        return false;
    int64_t length = (int64_t)b->tokens.count;
    for (int r = 0; r < reference_count; r++)
        if (!read_reference(b, references[r * stride], length, &nearest))
            return false;
    for (size_t i = 0; i < b->ours.count; i++) {
        const soma__string *s = &b->ours.item[i];
        const soma__string *there = soma__strings_find(&b->theirs, s->data, s->size);
        size_t order = s->size / sizeof(int32_t) - 1;
        b->total[order] += s->value;
        if (there)
            b->matched[order] += s->value < there->value ? s->value : there->value;
    }
    b->length += length;
    b->reference_length += nearest;
    return true;
}

static void score(soma_bleu_score *out, const bleu *b)
{
    double smooth = 1, logs = 0;
    *out = (soma_bleu_score){
        .length = b->length, .reference_length = b->reference_length, .brevity = 1};
    if (b->length < b->reference_length)
        out->brevity = b->length > 0 ? exp(1 - (double)b->reference_length / (double)b->length) : 0;
    if (!b->matched[0])
        return;
    for (int i = 0; i < SOMA_BLEU_ORDER && b->total[i]; i++) {
        if (!b->matched[i])
            smooth *= 2;
        out->precisions[i] =
            100 * (b->matched[i] ? (double)b->matched[i] : 1 / smooth) / (double)b->total[i];
    }
    /* Without a single n-gram of an order (texts of three words) there is no mean: 0. */
    for (int i = 0; i < SOMA_BLEU_ORDER; i++)
        logs += out->precisions[i] > 0 ? log(out->precisions[i]) : -INFINITY;
    out->score = out->brevity * exp(logs / SOMA_BLEU_ORDER);
}

soma_status soma_bleu(soma_bleu_score *out, const soma_text *texts, const soma_text *references,
                      int64_t count, int reference_count, const soma_bleu_options *options,
                      soma_error *err)
{
    const soma_bleu_options defaults = {0};
    bleu b = {.options = options ? options : &defaults};
    bool fits = true;
    *out = (soma_bleu_score){0};
    if (count < 1 || reference_count < 1)
        return soma__fail(err, SOMA_INVALID, "BLEU needs texts and at least one set of references");
    if (b.options->tokens < SOMA_BLEU_13A || b.options->tokens > SOMA_BLEU_NONE)
        return soma__fail(err, SOMA_INVALID, "there is no way %d to cut texts for BLEU",
                          (int)b.options->tokens);
    if (b.options->tokens == SOMA_BLEU_INTL || b.options->lowercase)
        SOMA__TRY(soma__unicode_need("BLEU with intl tokens or in lower case", err));
    for (int64_t i = 0; fits && i < count; i++)
        fits = add_text(&b, texts[i], references + i, count, reference_count);
    if (fits)
        score(out, &b);
    soma__codes_clear(&b.line.now);
    soma__codes_clear(&b.line.next);
    soma__codes_clear(&b.tokens);
    soma__strings_clear(&b.words);
    soma__strings_clear(&b.ours);
    soma__strings_clear(&b.theirs);
    soma__strings_clear(&b.one);
    return fits ? SOMA_OK : soma__fail(err, SOMA_MEMORY, "no memory to count n-grams");
}
