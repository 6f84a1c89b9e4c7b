/* pairs.c: sentences and their translations as samples of two inputs. */
#include <string.h>

#include "base/file.h"
#include "data/dataset.h"
#include "data/text.h"
#include "format/xxh64.h"
#include "text/tokenizer.h"

typedef enum part { TRAIN, VALIDATION, TEST, PARTS } part;

/* The lines of a file, sorted into parts. */
typedef struct pairs {
    const char *path;
    void *bytes;
    soma_text *line[PARTS]; /* 2 texts for each pair: source, target */
    int64_t count[PARTS];
    size_t capacity[PARTS];
} pairs;

static soma_status no_memory(const char *path, soma_error *err)
{
    return soma__fail(err, SOMA_MEMORY, "%s: out of memory for pairs of texts", path);
}

/* --- reading ------------------------------------------------------------------------------------
 */

/* The part that a source belongs to: its hash as a number from 0 to 1. */
static part part_of(soma_text source, double validation, double test)
{
    soma__xxh64 hash;
    soma__xxh64_start(&hash);
    soma__xxh64_add(&hash, source.data, source.size);
    const double at = (double)(soma__xxh64_end(&hash) >> 11) * 0x1p-53;
    return at < test ? TEST : at < test + validation ? VALIDATION : TRAIN;
}

static soma_status add_pair(pairs *p, part to, soma_text source, soma_text target, soma_error *err)
{
    void *lines = p->line[to];
    const int64_t n = p->count[to];
    if (!soma__grow(&lines, &p->capacity[to], (size_t)n * 2 + 1, sizeof(soma_text)))
        return no_memory(p->path, err);
    p->line[to] = lines;
    p->line[to][2 * n] = source;
    p->line[to][2 * n + 1] = target;
    p->count[to]++;
    return SOMA_OK;
}

/* Cuts a line at its tabs; false: there is none. */
static bool cut(soma_text line, soma_text *source, soma_text *target)
{
    const char *end = line.data + line.size, *tab = memchr(line.data, '\t', line.size);
    if (!tab)
        return false;
    *source = (soma_text){line.data, (size_t)(tab - line.data)};
    const char *next = memchr(tab + 1, '\t', (size_t)(end - tab - 1));
    *target = (soma_text){tab + 1, (size_t)((next ? next : end) - tab - 1)};
    return true;
}

static soma_status read_pairs(pairs *p, double validation, double test, soma_error *err)
{
    size_t size;
    SOMA__TRY(soma__text_file(&p->bytes, &size, p->path, err));
    const char *at = p->bytes, *end = at + size;
    int64_t lines = 0;
    for (const char *c = at; c < end; c++)
        lines += *c == '\n';
    /* Numbers of lines become shares. */
    test = test >= 1 ? test / (double)(lines ? lines : 1) : test;
    validation = validation >= 1 ? validation / (double)(lines ? lines : 1) : validation;
    for (int64_t number = 1; at < end; number++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        soma_text line = {at, (size_t)((stop ? stop : end) - at)}, source, target;
        at += line.size + 1;
        line.size -= line.size && line.data[line.size - 1] == '\r';
        if (!line.size)
            continue;
        if (!cut(line, &source, &target) || !source.size || !target.size)
            return soma__fail(err, SOMA_FORMAT,
                              "%s:%lld: a line is a text, a tab and its translation", p->path,
                              (long long)number);
        SOMA__TRY(add_pair(p, part_of(source, validation, test), source, target, err));
    }
    if (p->count[TRAIN] == 0)
        return soma__fail(err, SOMA_FORMAT, "%s: has no pairs to learn from", p->path);
    return SOMA_OK;
}

/* --- samples ------------------------------------------------------------------------------------
 */

/* The special tokens that samples are framed by. */
typedef struct frame {
    int64_t pad, begin, end;
} frame;

static soma_status frame_of(frame *f, const soma_tokenizer *t, soma_error *err)
{
    *f = (frame){soma_tokenizer_special(t, SOMA_SPECIAL_PAD),
                 soma_tokenizer_special(t, SOMA_SPECIAL_BOS),
                 soma_tokenizer_special(t, SOMA_SPECIAL_EOS)};
    if (f->pad < 0 || f->begin < 0 || f->end < 0)
        return soma__fail(err, SOMA_INVALID,
                          "the tokeniser has no '%s', which pairs of texts are framed by",
                          f->pad < 0     ? "<pad>"
                          : f->begin < 0 ? "<bos>"
                                         : "<eos>");
    return SOMA_OK;
}

/* Ids and <eos>, cut off or filled up. A text that is cut has no end. */
static void fill_source(float *x, const soma_tokens *tokens, int64_t length, const frame *f)
{
    for (int64_t i = 0; i < length; i++)
        x[i] = (float)(i < tokens->count ? tokens->ids[i] : i == tokens->count ? f->end : f->pad);
}

/* What is read begins with <bos>, what is to be said ends with <eos>. */
static void fill_target(float *x, int64_t *y, const soma_tokens *tokens, int64_t length,
                        const frame *f)
{
    for (int64_t i = 0; i < length; i++) {
        x[i] = (float)(i == 0 ? f->begin : i - 1 < tokens->count ? tokens->ids[i - 1] : f->pad);
        y[i] = i < tokens->count ? tokens->ids[i] : i == tokens->count ? f->end : -1;
    }
}

/* Samples of pairs, or with y NULL of sources alone. */
static soma_status fill(float *x, int64_t *y, const soma_text *texts, int64_t count,
                        const soma__text_encoding *e, soma_error *err)
{
    const soma_encode_options plain = {.plain = true};
    const int64_t width = e->length + (y ? e->target : 0);
    soma_tokens tokens = {0};
    size_t capacity = 0;
    soma__encoder encoder;
    frame f;
    SOMA__TRY(frame_of(&f, e->tokenizer, err));
    soma__encoder_init(&encoder, e->tokenizer, true);
    soma_status status = SOMA_OK;
    for (int64_t i = 0; i < count && status == SOMA_OK; i++) {
        status = soma__encoder_run(&encoder, texts[y ? 2 * i : i], &plain, &tokens, &capacity, err);
        if (status == SOMA_OK)
            fill_source(x + i * width, &tokens, e->length, &f);
        if (status == SOMA_OK && y)
            status = soma__encoder_run(&encoder, texts[2 * i + 1], &plain, &tokens, &capacity, err);
        if (status == SOMA_OK && y)
            fill_target(x + i * width + e->length, y + i * e->target, &tokens, e->target, &f);
    }
    soma__encoder_clear(&encoder);
    soma_tokens_clear(&tokens);
    return status;
}

soma_status soma__pair_sources(soma_tensor **out, const soma_text *texts, int64_t count,
                               const soma__text_encoding *e, soma_error *err)
{
    SOMA__TRY(soma_tensor_create(out, SOMA_F32, SOMA_SHAPE(count, e->length), err));
    soma_status status = fill(soma_tensor_data(*out), NULL, texts, count, e, err);
    if (status != SOMA_OK) {
        soma_tensor_release(*out);
        *out = NULL;
    }
    return status;
}

static soma_status make_part(soma_dataset **out, const pairs *p, part which, soma__text_encoding *e,
                             soma_error *err)
{
    soma_tensor *x, *y = NULL;
    const int64_t count = p->count[which];
    SOMA__TRY(soma_tensor_create(&x, SOMA_F32, SOMA_SHAPE(count, e->length + e->target), err));
    soma_status status = soma_tensor_create(&y, SOMA_I64, SOMA_SHAPE(count, e->target), err);
    if (status == SOMA_OK)
        status = fill(soma_tensor_data(x), soma_tensor_data(y), p->line[which], count, e, err);
    if (status == SOMA_OK)
        status = soma_dataset_from_tensors(out, x, y, err);
    soma_tensor_release(x);
    soma_tensor_release(y);
    if (status == SOMA_OK)
        (*out)->text_encoding = soma__text_encoding_retain(e);
    return status;
}

static soma_status make_encoding(soma__text_encoding **out, const pairs *p,
                                 const soma__text_options *o, soma_error *err)
{
    soma_tokenizer *tokenizer;
    const unsigned special = 1u << SOMA_SPECIAL_PAD | 1u << SOMA_SPECIAL_UNK |
                             1u << SOMA_SPECIAL_BOS | 1u << SOMA_SPECIAL_EOS;
    const int64_t length = o->length ? o->length : SOMA__PAIR_LENGTH;
    SOMA__TRY(soma__text_tokenizer(&tokenizer, o, SOMA_TOKENIZER_BPE, special, p->line[TRAIN],
                                   2 * p->count[TRAIN], err));
    return soma__text_encoding_new(out, tokenizer, length, false,
                                   o->target_length ? o->target_length : length, err);
}

static soma_status make_parts(soma_data *out, const pairs *p, soma__text_encoding *e,
                              soma_error *err)
{
    SOMA__TRY(make_part(&out->train, p, TRAIN, e, err));
    if (p->count[VALIDATION])
        SOMA__TRY(make_part(&out->validation, p, VALIDATION, e, err));
    return p->count[TEST] ? make_part(&out->test, p, TEST, e, err) : SOMA_OK;
}

soma_status soma__pairs_open(soma_data *out, const char *path, const soma__text_options *options,
                             double validation, double test, soma__text_encoding *encoding,
                             soma_error *err)
{
    pairs p = {.path = path};
    soma__text_encoding *e = encoding ? soma__text_encoding_retain(encoding) : NULL;
    *out = (soma_data){0};
    soma_status status = read_pairs(&p, validation, test, err);
    if (status == SOMA_OK && e && !e->target)
        status = soma__fail(err, SOMA_INVALID,
                            "%s: pairs of texts, but the model learned from single ones", path);
    if (status == SOMA_OK && !e)
        status = make_encoding(&e, &p, options, err);
    if (status == SOMA_OK)
        status = make_parts(out, &p, e, err);
    soma__text_encoding_release(e);
    for (int i = 0; i < PARTS; i++)
        soma__free(p.line[i]);
    soma__free(p.bytes);
    if (status != SOMA_OK)
        soma_data_clear(out);
    return status;
}
