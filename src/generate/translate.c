/* translate.c: texts from texts, many at a time, and how good they are. */
#include <string.h>

#include "base/base.h"
#include "base/mem.h"
#include "data/dataset.h"
#include "data/text.h"
#include "generate/generate.h"
#include "nn/nn.h"

/* Rows of a run: sequences times beams. */
#define ROWS 128

typedef struct translator {
    soma_model *model;
    soma__text_encoding *encoding;
    soma_generator *g;
    soma_generate_options how;
    int64_t begin, together; /* sequences of a run */
    soma_tensor *source;     /* [rows,length] */
    int64_t **ids, *counts;  /* [together] */
} translator;

static void translator_close(translator *t)
{
    soma_generator_destroy(t->g);
    soma_tensor_release(t->source);
    soma__text_encoding_release(t->encoding);
    soma__free(t->ids);
    soma__free(t->counts);
}

static soma_status begin(translator *t, int64_t count, soma_error *err)
{
    const char *meta = soma_model_meta(t->model, SOMA__TEXT_META);
    if (meta)
        SOMA__TRY(soma__text_encoding_parse(&t->encoding, meta, "the model", err));
    if (!t->encoding || !t->encoding->target || t->model->input_count != 2)
        return soma__fail(err, SOMA_NOT_FOUND,
                          "the model did not learn from pairs of texts: it translates nothing");
    const soma_tokenizer *tokenizer = t->encoding->tokenizer;
    t->begin = soma_tokenizer_special(tokenizer, SOMA_SPECIAL_BOS);
    t->how.end = soma_tokenizer_special(tokenizer, SOMA_SPECIAL_EOS);
    t->how.ends = true;
    if (t->begin < 0 || t->how.end < 0)
        return soma__fail(err, SOMA_INVALID, "the model's tokeniser has no <bos> and <eos>");
    const int64_t beams = t->how.beams > 1 ? t->how.beams : 1;
    t->together = beams < ROWS ? ROWS / beams : 1;
    t->together = count < t->together ? count : t->together;
    const int64_t rows = t->together * beams;
    SOMA__TRY(soma_generator_create(&t->g, t->model, &(soma_generator_options){.rows = rows}, err));
    SOMA__TRY(soma_tensor_create(&t->source, SOMA_F32, SOMA_SHAPE(rows, t->encoding->length), err));
    t->ids = soma__calloc((size_t)t->together, sizeof *t->ids);
    t->counts = soma__calloc((size_t)t->together, sizeof *t->counts);
    return t->ids && t->counts ? SOMA_OK
                               : soma__fail(err, SOMA_MEMORY, "no memory for translations");
}

static soma_status to_text(char **out, const soma_tokenizer *tokenizer, const int64_t *ids,
                           int64_t count, soma_error *err)
{
    size_t size;
    int32_t *narrow = soma__calloc((size_t)count + 1, sizeof *narrow);
    if (!narrow)
        return soma__fail(err, SOMA_MEMORY, "no memory for a text");
    for (int64_t i = 0; i < count; i++)
        narrow[i] = (int32_t)ids[i];
    soma_status status = soma_tokenizer_decode(tokenizer, narrow, count, false, out, &size, err);
    soma__free(narrow);
    return status;
}

/* Sequences [first, first + now) of x [count,length]; rows without one repeat the last. */
static soma_status some(translator *t, const float *x, int64_t first, int64_t now, char **out,
                        soma_error *err)
{
    const int64_t length = t->encoding->length, rows = soma_generator_rows(t->g);
    const int64_t beams = rows / t->together;
    float *source = soma_tensor_data(t->source);
    for (int64_t r = 0; r < rows; r++) {
        const int64_t of = r / beams < now ? r / beams : now - 1;
        memcpy(source + r * length, x + (first + of) * length, (size_t)length * sizeof *x);
    }
    SOMA__TRY(soma_generator_start(t->g, (const soma_tensor *const *)&t->source, err));
    SOMA__TRY(soma_beam_search(t->g, &t->begin, 1, &t->how, t->ids, t->counts, err));
    soma_status status = SOMA_OK;
    for (int64_t i = 0; i < t->together; i++) {
        if (i < now && status == SOMA_OK)
            status = to_text(&out[first + i], t->encoding->tokenizer, t->ids[i], t->counts[i], err);
        soma_free(t->ids[i]);
    }
    return status;
}

/* Translations of x [count,length]. */
static soma_status translate(translator *t, const float *x, int64_t count, char **out,
                             soma_error *err)
{
    soma_status status = SOMA_OK;
    for (int64_t first = 0; status == SOMA_OK && first < count; first += t->together)
        status =
            some(t, x, first, count - first < t->together ? count - first : t->together, out, err);
    for (int64_t i = 0; status != SOMA_OK && i < count; i++) {
        soma_text_free(out[i]);
        out[i] = NULL;
    }
    return status;
}

soma_status soma_translate(soma_model *model, const soma_text *texts, int64_t count,
                           const soma_generate_options *options, char **out, soma_error *err)
{
    translator t = {.model = model};
    soma_tensor *x = NULL;
    if (options)
        t.how = *options;
    for (int64_t i = 0; i < count; i++)
        out[i] = NULL;
    if (count < 1)
        return SOMA_OK;
    soma_status status = begin(&t, count, err);
    if (status == SOMA_OK)
        status = soma__pair_sources(&x, texts, count, t.encoding, err);
    if (status == SOMA_OK)
        status = translate(&t, soma_tensor_const_data(x), count, out, err);
    soma_tensor_release(x);
    translator_close(&t);
    return status;
}

/* --- BLEU ---------------------------------------------------------------------------------------
 */

/* Samples, as sources and as the texts of their targets. */
typedef struct corpus {
    int64_t count;
    float *x;             /* [count,length] */
    char **wanted, **got; /* [count] */
    soma_text *texts;     /* [2 count]: what is compared */
} corpus;

static void corpus_clear(corpus *c)
{
    for (int64_t i = 0; i < c->count; i++) {
        if (c->wanted)
            soma_text_free(c->wanted[i]);
        if (c->got)
            soma_text_free(c->got[i]);
    }
    soma__free(c->x);
    soma__free(c->wanted);
    soma__free(c->got);
    soma__free(c->texts);
}

static soma_status read_corpus(corpus *c, const translator *t, const soma_dataset *dataset,
                               soma_error *err)
{
    const soma__text_encoding *e = t->encoding;
    const size_t n = (size_t)c->count, width = (size_t)(e->length + e->target);
    float *x = soma__calloc(width, sizeof *x);
    int64_t *y = soma__calloc((size_t)e->target, sizeof *y);
    c->x = soma__calloc(n, (size_t)e->length * sizeof *c->x);
    c->wanted = soma__calloc(n, sizeof *c->wanted);
    c->got = soma__calloc(n, sizeof *c->got);
    c->texts = soma__calloc(n, 2 * sizeof *c->texts);
    soma_status status = x && y && c->x && c->wanted && c->got && c->texts
                             ? SOMA_OK
                             : soma__fail(err, SOMA_MEMORY, "no memory for translations");
    for (int64_t i = 0; i < c->count && status == SOMA_OK; i++) {
        int64_t count = 0;
        status = soma_dataset_read(dataset, &i, 1, x, y, err);
        if (status != SOMA_OK)
            break;
        memcpy(c->x + i * e->length, x, (size_t)e->length * sizeof *x);
        while (count < e->target && y[count] >= 0 && y[count] != t->how.end)
            count++;
        status = to_text(&c->wanted[i], e->tokenizer, y, count, err);
    }
    soma__free(x);
    soma__free(y);
    return status;
}

soma_status soma_evaluate_bleu(soma_model *model, const soma_dataset *dataset,
                               const soma_generate_options *options, soma_bleu_score *out,
                               soma_error *err)
{
    translator t = {.model = model};
    corpus c = {.count = soma_dataset_count(dataset)};
    *out = (soma_bleu_score){0};
    if (options)
        t.how = *options;
    soma_status status = begin(&t, c.count, err);
    const soma_shape sample = soma__model_sample(model);
    if (status == SOMA_OK && !soma_shape_equal(&dataset->x_shape, &sample))
        status = soma__fail(err, SOMA_SHAPE, "the data is not pairs as the model takes them");
    if (status == SOMA_OK)
        status = read_corpus(&c, &t, dataset, err);
    if (status == SOMA_OK)
        status = translate(&t, c.x, c.count, c.got, err);
    for (int64_t i = 0; status == SOMA_OK && i < c.count; i++) {
        c.texts[i] = (soma_text){c.got[i], strlen(c.got[i])};
        c.texts[c.count + i] = (soma_text){c.wanted[i], strlen(c.wanted[i])};
    }
    if (status == SOMA_OK)
        status = soma_bleu(out, c.texts, c.texts + c.count, c.count, 1, NULL, err);
    corpus_clear(&c);
    translator_close(&t);
    return status;
}
