/* beam.c: the likeliest sequence, by beam search. Several sequences are searched for at once: a
 * group of rows, its beams, is one of them.
 *
 * Each step every beam of a group goes on with every token, and of all these the likeliest that do
 * not end are the group's next beams. Those that end, where none of as many as there are beams is
 * likelier, are its results so far; the best is kept. A group is done when none of its beams could
 * still become better. */
#include <math.h>
#include <string.h>

#include "base/base.h"
#include "base/mem.h"
#include "generate/generate.h"

/* A beam and a token after it. */
typedef struct step {
    double log_p;
    int64_t beam, id;
} step;

typedef struct result {
    double best;    /* of its results, as they are compared; -inf: none yet */
    int64_t *found; /* [most], the best one's tokens */
    int64_t found_count;
    bool done;
} result;

typedef struct search {
    soma_generator *g;
    const soma_generate_options *o;
    int64_t beams, groups, most, made;
    result *group;
    double *log_p;  /* [rows]; -inf: no beam */
    int64_t *ids;   /* [rows,most] */
    int64_t *other; /* the same, for the next ones */
    int64_t *from;  /* [rows], the row that a beam goes on from */
    int64_t *last;  /* [rows], its newest token */
    step *best;     /* [2 beams], sorted */
    void *memory;
} search;

/* What is compared: the end counts as a token. */
static double worth(const search *s, double log_p, int64_t tokens)
{
    return log_p / pow((double)tokens, s->o->length_penalty);
}

static bool likelier(const step *a, const step *b)
{
    if (a->log_p > b->log_p || a->log_p < b->log_p)
        return a->log_p > b->log_p;
    return a->beam != b->beam ? a->beam < b->beam : a->id < b->id;
}

/* Keeps the 2·beams likeliest steps of a group, sorted; how many there are. */
static int64_t best_steps(search *s, int64_t first, const float *scores)
{
    const int64_t most = 2 * s->beams, vocabulary = s->g->vocabulary;
    int64_t count = 0;
    for (int64_t row = first; row < first + s->beams; row++) {
        const float *of = scores + row * vocabulary;
        double top = -INFINITY, sum = 0;
        if (isinf(s->log_p[row]))
            continue;
        for (int64_t i = 0; i < vocabulary; i++)
            top = (double)of[i] > top ? (double)of[i] : top;
        for (int64_t i = 0; i < vocabulary; i++)
            sum += exp((double)of[i] - top);
        const double base = s->log_p[row] - top - log(sum);
        for (int64_t i = 0; i < vocabulary; i++) {
            const step new = {base + (double)of[i], row, i};
            if (!isfinite(new.log_p) || (count == most && !likelier(&new, &s->best[most - 1])))
                continue;
            int64_t at = count < most ? count++ : most - 1;
            for (; at > 0 && likelier(&new, &s->best[at - 1]); at--)
                s->best[at] = s->best[at - 1];
            s->best[at] = new;
        }
    }
    return count;
}

/* A result: the tokens of a row, if it is better than the group's best. */
static void finish(search *s, result *group, int64_t row, int64_t tokens, double value)
{
    if (!(value > group->best))
        return;
    group->best = value;
    group->found_count = tokens;
    memcpy(group->found, s->ids + row * s->most, (size_t)tokens * sizeof *group->found);
}

/* Could a beam of this log p still become better than `best`? Longer ones only get less likely, but
 * the penalty may make up for it. */
static bool hopeful(const search *s, double log_p, double best)
{
    const int64_t tokens = s->o->length_penalty > 0 ? s->most + 1 : s->made + 1;
    return worth(s, log_p, tokens) > best;
}

/* The next beams of a group; what ends is a result. */
static void next_beams(search *s, int64_t index, const float *scores)
{
    result *group = &s->group[index];
    const int64_t first = index * s->beams, count = best_steps(s, first, scores);
    int64_t live = 0;
    for (int64_t i = 0; i < count && live < s->beams; i++) {
        const step *at = &s->best[i];
        if (s->o->ends && at->id == s->o->end) {
            if (i < s->beams)
                finish(s, group, at->beam, s->made, worth(s, at->log_p, s->made + 1));
            continue;
        }
        const int64_t row = first + live++;
        memcpy(s->other + row * s->most, s->ids + at->beam * s->most,
               (size_t)s->made * sizeof *s->ids);
        s->other[row * s->most + s->made] = at->id;
        s->from[row] = at->beam;
        s->last[row] = at->id;
    }
    double likeliest = -INFINITY;
    for (int64_t i = 0, row = first; i < count && row < first + live; i++)
        if (!(s->o->ends && s->best[i].id == s->o->end)) {
            s->log_p[row++] = s->best[i].log_p;
            likeliest = fmax(likeliest, s->best[i].log_p);
        }
    for (int64_t row = first + live; row < first + s->beams; row++)
        s->log_p[row] = -INFINITY;
    group->done = live == 0 || !hopeful(s, likeliest, group->best);
}

/* Rows that are no beams, as all of a group that is done, go on reading something, since all rows
 * are read together. */
static void stand_still(search *s, int64_t index)
{
    for (int64_t row = index * s->beams; row < (index + 1) * s->beams; row++) {
        s->from[row] = row;
        s->last[row] = 0;
    }
}

static soma_status step_on(search *s, const float **scores, soma_error *err)
{
    bool all = true;
    for (int64_t i = 0; i < s->groups; i++) {
        stand_still(s, i);
        if (!s->group[i].done)
            next_beams(s, i, *scores);
        all &= s->group[i].done;
    }
    int64_t *ids = s->ids;
    s->ids = s->other;
    s->other = ids;
    s->made++;
    if (all || s->made == s->most)
        return SOMA_OK;
    SOMA__TRY(soma_generator_select(s->g, s->from, err));
    return soma_generator_read(s->g, s->last, 1, scores, err);
}

static soma_status search_all(search *s, const int64_t *prompt, int64_t prompt_count,
                              soma_error *err)
{
    const int64_t rows = s->beams * s->groups;
    const float *scores;
    int64_t *all = soma__calloc((size_t)rows, (size_t)prompt_count * sizeof *all);
    if (!all)
        return soma__fail(err, SOMA_MEMORY, "no memory for a beam search");
    for (int64_t i = 0; i < rows * prompt_count; i++)
        all[i] = prompt[i % prompt_count];
    soma_status status = soma_generator_read(s->g, all, prompt_count, &scores, err);
    soma__free(all);
    bool done = false;
    while (status == SOMA_OK && s->made < s->most && !done) {
        status = step_on(s, &scores, err);
        done = true;
        for (int64_t i = 0; i < s->groups; i++)
            done &= s->group[i].done;
    }
    /* What has not ended is a result as well. */
    for (int64_t row = 0; status == SOMA_OK && row < rows; row++)
        if (!s->group[row / s->beams].done && isfinite(s->log_p[row]))
            finish(s, &s->group[row / s->beams], row, s->made, worth(s, s->log_p[row], s->made));
    return status;
}

static soma_status make_room(search *s, soma_error *err)
{
    const size_t rows = (size_t)(s->beams * s->groups), most = (size_t)s->most;
    s->group = soma__calloc((size_t)s->groups, sizeof *s->group);
    s->log_p = soma__calloc(rows, sizeof *s->log_p);
    s->ids = soma__calloc(rows, most * sizeof *s->ids);
    s->other = soma__calloc(rows, most * sizeof *s->other);
    s->from = soma__calloc(rows, sizeof *s->from);
    s->last = soma__calloc(rows, sizeof *s->last);
    s->best = soma__calloc((size_t)s->beams, 2 * sizeof *s->best);
    bool all = s->group && s->log_p && s->ids && s->other && s->from && s->last && s->best;
    for (int64_t i = 0; all && i < s->groups; i++) {
        s->group[i].best = -INFINITY;
        s->group[i].found = soma__calloc(most, sizeof *s->group[i].found);
        all = s->group[i].found;
    }
    /* At first all beams of a group are one. */
    for (size_t row = 0; all && row < rows; row++)
        s->log_p[row] = row % (size_t)s->beams ? -INFINITY : 0;
    return all ? SOMA_OK : soma__fail(err, SOMA_MEMORY, "no memory for a beam search");
}

static void clear(search *s)
{
    for (int64_t i = 0; s->group && i < s->groups; i++)
        soma__free(s->group[i].found);
    soma__free(s->group);
    soma__free(s->log_p);
    soma__free(s->ids);
    soma__free(s->other);
    soma__free(s->from);
    soma__free(s->last);
    soma__free(s->best);
}

soma_status soma_beam_search(soma_generator *g, const int64_t *prompt, int64_t prompt_count,
                             const soma_generate_options *o, int64_t **ids, int64_t *counts,
                             soma_error *err)
{
    search s = {.g = g, .o = o, .beams = o->beams > 0 ? o->beams : 1};
    if (g->carry.rows % s.beams)
        return soma__fail(err, SOMA_INVALID, "%lld rows are not sequences of %lld beams each",
                          (long long)g->carry.rows, (long long)s.beams);
    if (prompt_count < 1 || !(fabs(o->length_penalty) <= 100))
        return soma__fail(err, SOMA_INVALID, "%s",
                          prompt_count < 1
                              ? "the prompt is empty: a sequence goes on from one token "
                                "or more"
                              : "the length penalty must be from -100 to 100");
    s.groups = g->carry.rows / s.beams;
    s.most = soma__most_tokens(g, g->length + prompt_count, o->tokens);
    if (s.most < 1)
        return soma__fail(err, SOMA_INVALID,
                          "a prompt of %lld does not fit into the context of "
                          "%lld",
                          (long long)prompt_count, (long long)g->carry.room);
    soma_status status = make_room(&s, err);
    if (status == SOMA_OK)
        status = search_all(&s, prompt, prompt_count, err);
    for (int64_t i = 0; i < s.groups; i++) {
        ids[i] = NULL;
        counts[i] = 0;
        if (status != SOMA_OK)
            continue;
        ids[i] = s.group[i].found;
        counts[i] = s.group[i].found_count;
        s.group[i].found = NULL;
    }
    clear(&s);
    return status;
}
