/* sequence.c: a whole sequence, token by token. */
#include <string.h>

#include "base/base.h"
#include "base/mem.h"
#include "generate/generate.h"
#include "nn/nn.h"

/* What is there: the prompt and what was made. */
typedef struct story {
    soma_generator *g;
    const soma_generate_options *o;
    int64_t *ids;
    size_t capacity;
    int64_t count, prompt, most; /* tokens to make; 0: as many as there is room for */
} story;

int64_t soma__most_tokens(const soma_generator *g, int64_t prompt, int64_t wanted)
{
    /* The last token needs no step: nothing comes after it. */
    const int64_t room = g->carry.room - prompt + 1;
    return wanted && wanted < room ? wanted : room;
}

static soma_status add(story *s, int64_t id, soma_error *err)
{
    void *ids = s->ids;
    if (!soma__grow(&ids, &s->capacity, (size_t)s->count, sizeof *s->ids))
        return soma__fail(err, SOMA_MEMORY, "no memory for %lld ids", (long long)s->count);
    s->ids = ids;
    s->ids[s->count++] = id;
    return SOMA_OK;
}

/* Reads the last id, or where there is no room anew the later half of what there is. */
static soma_status go_on(story *s, const float **scores, soma_error *err)
{
    int64_t again = 1;
    if (s->g->length == s->g->carry.room) {
        again = s->g->carry.room / 2 > 0 ? s->g->carry.room / 2 : 1;
        SOMA__TRY(soma_generator_start(s->g, NULL, err));
    }
    return soma_generator_read(s->g, s->ids + s->count - again, again, scores, err);
}

static soma_status tell(story *s, soma_error *err)
{
    const soma_generate_options *o = s->o;
    const float *scores;
    /* Of a prompt beyond the context its end counts. */
    const int64_t room = s->g->carry.room, read = s->prompt < room ? s->prompt : room;
    SOMA__TRY(soma_generator_read(s->g, s->ids + s->prompt - read, read, &scores, err));
    for (int64_t made = 0;; made++) {
        int64_t id;
        SOMA__TRY(soma_sample(&id, scores, s->g->vocabulary, &o->sampling, s->ids, s->count,
                              (uint64_t)made, err));
        if (o->ends && id == o->end)
            return SOMA_OK;
        SOMA__TRY(add(s, id, err));
        if ((o->callback && !o->callback(o->user, id)) || (s->most && made + 1 == s->most))
            return SOMA_OK;
        SOMA__TRY(go_on(s, &scores, err));
    }
}

static soma_status one_row(soma_generator *g, const int64_t *prompt, int64_t prompt_count,
                           const soma_generate_options *o, int64_t **ids, int64_t *count,
                           soma_error *err)
{
    story s = {.g = g, .o = o, .prompt = prompt_count, .most = o->tokens};
    soma_status status = SOMA_OK;
    if (g->carry.rows != 1)
        return soma__fail(err, SOMA_INVALID, "a generator of %lld rows makes one sequence by beams",
                          (long long)g->carry.rows);
    /* What a sequence was given besides is not there to begin anew with. */
    if (!o->tokens || g->model->input_count > 1)
        s.most = soma__most_tokens(g, prompt_count < g->carry.room ? prompt_count : g->carry.room,
                                   o->tokens);
    for (int64_t i = 0; status == SOMA_OK && i < prompt_count; i++)
        status = add(&s, prompt[i], err);
    if (status == SOMA_OK)
        status = tell(&s, err);
    if (status == SOMA_OK && ids) {
        memmove(s.ids, s.ids + prompt_count, (size_t)(s.count - prompt_count) * sizeof *s.ids);
        *ids = s.ids;
        *count = s.count - prompt_count;
        s.ids = NULL;
    }
    soma__free(s.ids);
    return status;
}

static soma_status by_beams(soma_generator *g, const int64_t *prompt, int64_t prompt_count,
                            const soma_generate_options *o, int64_t **ids, int64_t *count,
                            soma_error *err)
{
    int64_t *found = NULL, made = 0;
    if (g->carry.rows != o->beams)
        return soma__fail(err, SOMA_INVALID, "%lld beams need as many rows, the generator has %lld",
                          (long long)o->beams, (long long)g->carry.rows);
    const int64_t room = g->carry.room, read = prompt_count < room ? prompt_count : room;
    SOMA__TRY(soma_beam_search(g, prompt + prompt_count - read, read, o, &found, &made, err));
    for (int64_t i = 0; o->callback && i < made; i++)
        if (!o->callback(o->user, found[i]))
            made = i + 1;
    if (ids) {
        *ids = found;
        *count = made;
    } else {
        soma__free(found);
    }
    return SOMA_OK;
}

soma_status soma_generate(soma_generator *g, const int64_t *prompt, int64_t prompt_count,
                          const soma_generate_options *options, int64_t **ids, int64_t *count,
                          soma_error *err)
{
    static const soma_generate_options plain;
    const soma_generate_options *o = options ? options : &plain;
    if (ids) {
        *ids = NULL;
        *count = 0;
    }
    if (prompt_count < 1)
        return soma__fail(err, SOMA_INVALID,
                          "the prompt is empty: a sequence goes on from one token or more");
    if (o->tokens < 0 || o->beams < 0)
        return soma__fail(err, SOMA_INVALID, "tokens and beams cannot be negative");
    SOMA__TRY(soma__sampling_ok(&o->sampling, err));
    if (g->model->input_count == 1)
        SOMA__TRY(soma_generator_start(g, NULL, err));
    return o->beams > 1 ? by_beams(g, prompt, prompt_count, o, ids, count, err)
                        : one_row(g, prompt, prompt_count, o, ids, count, err);
}
