/* spans.c: precision and recall of marked spans, as conlleval (and seqeval after it) counts them.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "soma/text_scores.h"

#include "base/error.h"
#include "base/mem.h"
#include "text/strings.h"

/* One sequence of tags as it is walked: the last tag, and the span that is open. */
typedef struct walker {
    char tag; /* B I O E S */
    int32_t type;
    int64_t begin;
} walker;

typedef struct span {
    int64_t begin, end; /* end < 0: none */
    int32_t type;
} span;

typedef struct tally {
    int64_t both, predicted, there;
} tally;

/* "B-PER" -> B and the number of PER; a tag without a type has the type "_". */
static soma_status read_tag(char *tag, int32_t *type, soma__strings *types, const char *text,
                            int64_t word, soma_error *err)
{
    if (!text || !*text || !strchr("BIOES", *text))
        return soma__fail(err, SOMA_INVALID,
                          "tag %lld is '%.40s'; tags are O, or B-, I-, E-, S- and a type",
                          (long long)word, text ? text : "");
    const char *dash = strchr(text + 1, '-'), *name = dash ? dash + 1 : text + 1;
    *tag = *text;
    *type = -1;
    if (*tag == 'O')
        return SOMA_OK;
    if (!*name)
        name = "_";
    size_t before = types->count;
    soma__string *string = soma__strings_add(types, name, strlen(name));
    if (!string)
        return soma__fail(err, SOMA_MEMORY, "no memory for types of spans");
    if (types->count > before)
        string->value = (int64_t)before;
    *type = (int32_t)string->value;
    return SOMA_OK;
}

static bool ends(const walker *w, char tag, int32_t type)
{
    if (w->tag == 'O')
        return false;
    return w->tag == 'E' || w->tag == 'S' || tag == 'B' || tag == 'S' || tag == 'O' ||
           type != w->type;
}

static bool begins(const walker *w, char tag, int32_t type)
{
    if (tag == 'O')
        return false;
    return tag == 'B' || tag == 'S' || w->tag == 'E' || w->tag == 'S' || w->tag == 'O' ||
           type != w->type;
}

/* The span that ends before word `at`, which has this tag. */
static span step(walker *w, char tag, int32_t type, int64_t at)
{
    span ended = {w->begin, ends(w, tag, type) ? at : -1, w->type};
    if (begins(w, tag, type))
        w->begin = at;
    w->tag = tag;
    w->type = type;
    return ended;
}

typedef struct spans {
    soma__strings types;
    tally *of; /* of each type */
    size_t capacity;
} spans;

static soma_status tag_of(spans *s, char *tag, int32_t *type, const char *text, int64_t at,
                          soma_error *err)
{
    SOMA__TRY(read_tag(tag, type, &s->types, text, at, err));
    while (s->capacity < s->types.count) {
        size_t wanted = s->capacity ? 2 * s->capacity : 8;
        tally *of = soma__realloc(s->of, wanted * sizeof *of);
        if (!of)
            return soma__fail(err, SOMA_MEMORY, "no memory for types of spans");
        memset(of + s->capacity, 0, (wanted - s->capacity) * sizeof *of);
        s->of = of;
        s->capacity = wanted;
    }
    return SOMA_OK;
}

/* Spans that both have end at the same word, so two walkers side by side see them together. */
static void count_spans(spans *s, span a, span b)
{
    if (a.end >= 0)
        s->of[a.type].there++;
    if (b.end >= 0)
        s->of[b.type].predicted++;
    if (a.end >= 0 && b.end >= 0 && a.begin == b.begin && a.type == b.type)
        s->of[a.type].both++;
}

static soma_status walk(spans *s, const char *const *truth, const char *const *predicted,
                        int64_t from, int64_t length, soma_error *err)
{
    walker a = {.tag = 'O', .type = -1}, b = a;
    char tag;
    int32_t type;
    for (int64_t i = from; i < from + length; i++) {
        SOMA__TRY(tag_of(s, &tag, &type, truth[i], i, err));
        span there = step(&a, tag, type, i);
        SOMA__TRY(tag_of(s, &tag, &type, predicted[i], i, err));
        count_spans(s, there, step(&b, tag, type, i));
    }
    span there = step(&a, 'O', -1, from + length);
    count_spans(s, there, step(&b, 'O', -1, from + length));
    return SOMA_OK;
}

static soma_class_scores scores_of(const tally *t)
{
    double both = (double)t->both;
    return (soma_class_scores){
        .precision = t->predicted ? both / (double)t->predicted : NAN,
        .recall = t->there ? both / (double)t->there : NAN,
        .f1 = t->predicted + t->there ? 2 * both / (double)(t->predicted + t->there) : NAN,
        .support = t->there,
    };
}

static int by_name(const void *a, const void *b)
{
    const soma__string *x = *(const soma__string *const *)a, *y = *(const soma__string *const *)b;
    return strcmp(x->data, y->data);
}

static soma_status gather(soma_span_scores *out, const spans *s, soma_error *err)
{
    size_t count = s->types.count;
    tally all = {0};
    const soma__string **order = soma__calloc(count ? count : 1, sizeof *order);
    out->type = soma__calloc(count ? count : 1, sizeof *out->type);
    out->scores = soma__calloc(count ? count : 1, sizeof *out->scores);
    bool fits = order && out->type && out->scores;
    out->macro_f1 = count ? 0 : NAN;
    for (size_t i = 0; fits && i < count; i++)
        order[i] = &s->types.item[i];
    if (fits && count)
        qsort(order, count, sizeof *order, by_name);
    for (size_t i = 0; fits && i < count; i++) {
        const tally *t = &s->of[order[i]->value];
        out->type[i] = soma__strdup(order[i]->data);
        out->scores[i] = scores_of(t);
        out->macro_f1 += out->scores[i].f1 / (double)count;
        all.both += t->both;
        all.predicted += t->predicted;
        all.there += t->there;
        fits = out->type[i] != NULL;
        out->type_count += fits;
    }
    soma__free(order);
    out->all = scores_of(&all);
    return fits ? SOMA_OK : soma__fail(err, SOMA_MEMORY, "no memory for scores of spans");
}

soma_status soma_spans(soma_span_scores *out, const char *const *truth,
                       const char *const *predicted, const int64_t *lengths, int64_t count,
                       soma_error *err)
{
    spans s = {0};
    soma_status status = SOMA_OK;
    int64_t from = 0;
    *out = (soma_span_scores){0};
    if (count < 1)
        return soma__fail(err, SOMA_INVALID, "spans are found in at least one sentence");
    for (int64_t i = 0; status == SOMA_OK && i < count; i++) {
        if (lengths[i] < 0 || !soma__add64(from, lengths[i], &(int64_t){0}))
            status = soma__fail(err, SOMA_INVALID, "sentence %lld has a length of %lld",
                                (long long)i, (long long)lengths[i]);
        else
            status = walk(&s, truth, predicted, from, lengths[i], err);
        from += status == SOMA_OK ? lengths[i] : 0;
    }
    if (status == SOMA_OK)
        status = gather(out, &s, err);
    if (status != SOMA_OK)
        soma_span_scores_clear(out);
    soma__strings_clear(&s.types);
    soma__free(s.of);
    return status;
}

void soma_span_scores_clear(soma_span_scores *scores)
{
    for (int i = 0; scores->type && i < scores->type_count; i++)
        soma__free(scores->type[i]);
    soma__free(scores->type);
    soma__free(scores->scores);
    *scores = (soma_span_scores){0};
}
