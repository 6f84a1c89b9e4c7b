/* ctc.c: from what a model says at each step to labels: the best path, and prefix beam search.
 *
 * Readings that begin alike share their beginning in a trie; `beam` of its nodes are alive. At each
 * step every live reading either stays what it is (a blank, or its last label again) or grows by a
 * label. What it grows to may be alive already: then both ways add up. */
#include "soma/ctc.h"

#include <math.h>

#include "base/error.h"
#include "base/mem.h"

static int64_t likeliest(const float *p, int64_t classes)
{
    int64_t best = 0;
    for (int64_t k = 1; k < classes; k++)
        best = p[k] > p[best] ? k : best;
    return best;
}

int64_t soma_ctc_greedy(const float *log_probs, int64_t steps, int64_t classes, int64_t blank,
                        int64_t *labels, double *score)
{
    int64_t count = 0, before = -1;
    double sum = 0;
    for (int64_t t = 0; t < steps && blank >= 0 && blank < classes; t++) {
        const float *p = log_probs + t * classes;
        const int64_t k = likeliest(p, classes);
        sum += (double)p[k];
        if (k != blank && k != before)
            labels[count++] = k;
        before = k;
    }
    if (score)
        *score = sum;
    return count;
}

/* --- the trie ----------------------------------------------------------------------------------
 */

#define NONE (-1)

typedef struct node {
    int64_t parent, label; /* NONE: the empty reading */
    int64_t child, sibling;
    int64_t length;
    int64_t place;   /* in the beam, or NONE */
    double language; /* weighted, with the bonuses, of all its labels */
} node;

/* A reading that lives: the logarithms of all ways to it that end in a blank, or in its label. */
typedef struct alive {
    int64_t node;
    double blank, label;
} alive;

/* What a reading may become: slot k of it is grown by label k, slot `classes` is itself. */
typedef struct slot {
    double blank, label, language;
} slot;

typedef struct search {
    const soma_ctc_beam_options *o;
    int64_t classes, width;
    node *nodes;
    size_t count, capacity;
    alive *beam, *next; /* [width] */
    int64_t live;
    slot *slots;     /* [width, classes + 1] */
    int64_t *order;  /* [width]: slots, best first */
    double *scores;  /* of them */
    int64_t *prefix; /* [steps]: for the language model */
} search;

static double log_add(double a, double b)
{
    const double high = fmax(a, b), low = fmin(a, b);
    return isinf(high) && high < 0 ? high : high + log1p(exp(low - high));
}

static void search_free(search *s)
{
    soma__free(s->nodes);
    soma__free(s->beam);
    soma__free(s->next);
    soma__free(s->slots);
    soma__free(s->order);
    soma__free(s->scores);
    soma__free(s->prefix);
}

static soma_status no_memory(soma_error *err)
{
    return soma__fail(err, SOMA_MEMORY, "ctc_beam: out of memory");
}

static soma_status search_create(search *s, int64_t steps, soma_error *err)
{
    const size_t width = (size_t)s->width;
    size_t slots;
    if (!soma__mul(width, (size_t)s->classes + 1, &slots))
        return no_memory(err);
    s->beam = soma__calloc(width, sizeof *s->beam);
    s->next = soma__calloc(width, sizeof *s->next);
    s->slots = soma__calloc(slots, sizeof *s->slots);
    s->order = soma__calloc(width, sizeof *s->order);
    s->scores = soma__calloc(width, sizeof *s->scores);
    s->prefix = soma__calloc((size_t)steps + 1, sizeof *s->prefix);
    if (!soma__grow((void **)&s->nodes, &s->capacity, 0, sizeof *s->nodes) || !s->beam ||
        !s->next || !s->slots || !s->order || !s->scores || !s->prefix)
        return no_memory(err);
    s->nodes[0] = (node){.parent = NONE, .label = NONE, .child = NONE, .sibling = NONE};
    s->count = 1;
    s->beam[0] = (alive){0, 0, -INFINITY};
    s->live = 1;
    return SOMA_OK;
}

static int64_t child_of(const search *s, int64_t parent, int64_t label)
{
    int64_t child = s->nodes[parent].child;
    while (child != NONE && s->nodes[child].label != label)
        child = s->nodes[child].sibling;
    return child;
}

/* The node of a reading one label longer. A reading that died and comes back is the same node. */
static soma_status grow(search *s, int64_t parent, int64_t label, double language, int64_t *out,
                        soma_error *err)
{
    *out = child_of(s, parent, label);
    if (*out != NONE)
        return SOMA_OK;
    if (!soma__grow((void **)&s->nodes, &s->capacity, s->count, sizeof *s->nodes))
        return no_memory(err);
    *out = (int64_t)s->count++;
    s->nodes[*out] = (node){.parent = parent,
                            .label = label,
                            .child = NONE,
                            .sibling = s->nodes[parent].child,
                            .length = s->nodes[parent].length + 1,
                            .place = NONE,
                            .language = language};
    s->nodes[parent].child = *out;
    return SOMA_OK;
}

static void spell(const search *s, int64_t at, int64_t *labels)
{
    for (; s->nodes[at].parent != NONE; at = s->nodes[at].parent)
        labels[s->nodes[at].length - 1] = s->nodes[at].label;
}

/* --- a step ------------------------------------------------------------------------------------
 */

static double language_of(search *s, const node *n, int64_t label)
{
    const soma_ctc_beam_options *o = s->o;
    const double weight = o->language_weight > 0 || o->language_weight < 0 ? o->language_weight : 1;
    const double said =
        o->language ? weight * o->language(o->user, s->prefix, n->length, label) : 0;
    return n->language + said + o->bonus;
}

/* Reading `place` stays, or grows by each label. */
static void spread(search *s, int64_t place, const float *p)
{
    const alive *a = &s->beam[place];
    const node *n = &s->nodes[a->node];
    slot *own = s->slots + place * (s->classes + 1);
    const double any = log_add(a->blank, a->label);
    spell(s, a->node, s->prefix);
    for (int64_t k = 0; k < s->classes; k++) {
        own[k] = (slot){-INFINITY, -INFINITY, 0};
        if (k == s->o->blank || exp((double)p[k]) < s->o->least)
            continue;
        own[k].label = (k == n->label ? a->blank : any) + (double)p[k];
        if (isfinite(own[k].label))
            own[k].language = language_of(s, n, k);
    }
    own[s->classes] = (slot){.blank = any + (double)p[s->o->blank],
                             .label = n->label == NONE ? -INFINITY : a->label + (double)p[n->label],
                             .language = n->language};
}

/* What grows to a reading that is alive joins it. */
static void join(search *s)
{
    for (int64_t b = 0; b < s->live; b++) {
        const node *n = &s->nodes[s->beam[b].node];
        const int64_t from = n->parent == NONE ? NONE : s->nodes[n->parent].place;
        if (from == NONE)
            continue;
        slot *grown = s->slots + from * (s->classes + 1) + n->label;
        slot *own = s->slots + b * (s->classes + 1) + s->classes;
        own->label = log_add(own->label, grown->label);
        grown->label = -INFINITY;
    }
}

/* The best slots, in order; returns how many there are that anything leads to. */
static int64_t choose(search *s)
{
    int64_t found = 0;
    for (int64_t i = 0; i < s->live * (s->classes + 1); i++) {
        const slot *c = &s->slots[i];
        const double score = log_add(c->blank, c->label) + c->language;
        if (!(score > -INFINITY) || (found == s->width && score <= s->scores[found - 1]))
            continue;
        int64_t at = found < s->width ? found++ : found - 1;
        for (; at > 0 && s->scores[at - 1] < score; at--) {
            s->scores[at] = s->scores[at - 1];
            s->order[at] = s->order[at - 1];
        }
        s->scores[at] = score;
        s->order[at] = i;
    }
    return found;
}

static soma_status step(search *s, const float *p, soma_error *err)
{
    for (int64_t b = 0; b < s->live; b++)
        spread(s, b, p);
    join(s);
    const int64_t found = choose(s);
    for (int64_t b = 0; b < found; b++) {
        const int64_t from = s->order[b] / (s->classes + 1), k = s->order[b] % (s->classes + 1);
        const slot *c = &s->slots[s->order[b]];
        int64_t at = s->beam[from].node;
        if (k < s->classes)
            SOMA__TRY(grow(s, at, k, c->language, &at, err));
        s->next[b] = (alive){at, c->blank, c->label};
    }
    for (int64_t b = 0; b < s->live; b++)
        s->nodes[s->beam[b].node].place = NONE;
    for (int64_t b = 0; b < found; b++)
        s->nodes[s->next[b].node].place = b;
    alive *swap = s->beam;
    s->beam = s->next;
    s->next = swap;
    s->live = found;
    return SOMA_OK;
}

/* --- results -----------------------------------------------------------------------------------
 */

void soma_ctc_readings_free(soma_ctc_reading *readings, int64_t count)
{
    for (int64_t i = 0; readings && i < count; i++)
        soma__free(readings[i].labels);
    soma__free(readings);
}

static soma_status readings(soma_ctc_reading **out, int64_t *count, const search *s, int64_t best,
                            soma_error *err)
{
    const int64_t found = best < s->live ? best : s->live;
    soma_ctc_reading *all = soma__calloc((size_t)found + 1, sizeof *all);
    if (!all)
        return no_memory(err);
    for (int64_t i = 0; i < found; i++) {
        const alive *a = &s->beam[i];
        const node *n = &s->nodes[a->node];
        all[i].log_prob = log_add(a->blank, a->label);
        all[i].score = all[i].log_prob + n->language;
        all[i].count = n->length;
        if (n->length && !(all[i].labels = soma__calloc((size_t)n->length, sizeof(int64_t)))) {
            soma_ctc_readings_free(all, found);
            return no_memory(err);
        }
        spell(s, a->node, all[i].labels);
    }
    *out = all;
    *count = found;
    return SOMA_OK;
}

soma_status soma_ctc_beam(soma_ctc_reading **out, int64_t *count, const float *log_probs,
                          int64_t steps, int64_t classes, const soma_ctc_beam_options *options,
                          soma_error *err)
{
    const soma_ctc_beam_options none = {0};
    search s = {.o = options ? options : &none, .classes = classes};
    *out = NULL;
    *count = 0;
    s.width = s.o->beam ? s.o->beam : 16;
    const int64_t best = s.o->best ? s.o->best : 1;
    if (steps < 0 || classes < 1 || s.o->blank < 0 || s.o->blank >= classes)
        return soma__fail(err, SOMA_INVALID, "ctc_beam: blank %lld is not one of %lld classes",
                          (long long)s.o->blank, (long long)classes);
    if (s.width < 1 || best < 1 || best > s.width)
        return soma__fail(
            err, SOMA_INVALID,
            "ctc_beam: beam %lld must be at least 1, and best %lld from 1 to the beam",
            (long long)s.width, (long long)best);
    if (!(s.o->least >= 0 && s.o->least < 1))
        return soma__fail(err, SOMA_INVALID, "ctc_beam: least %g must be from 0 to below 1",
                          s.o->least);
    soma_status status = search_create(&s, steps, err);
    for (int64_t t = 0; status == SOMA_OK && t < steps; t++)
        status = step(&s, log_probs + t * classes, err);
    if (status == SOMA_OK)
        status = readings(out, count, &s, best, err);
    search_free(&s);
    return status;
}
