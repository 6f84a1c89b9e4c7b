/* encode.c: from text to ids.
 *
 *     text ── added tokens cut out ──▶ stretches ── normalised ──▶ cut into words ──▶ looked up
 */
#include <string.h>

#include "base/mem.h"
#include "format/utf8.h"
#include "text/split.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

#define MAX_TEXT ((size_t)INT32_MAX - 1)

void soma__encoder_init(soma__encoder *encoder, const soma_tokenizer *tokenizer, bool remember)
{
    *encoder = (soma__encoder){.tokenizer = tokenizer, .remember = remember};
}

void soma__encoder_clear(soma__encoder *e)
{
    soma__normal_clear(&e->normal);
    soma__free(e->cell);
    soma__free(e->heap);
    soma__strings_clear(&e->words);
    soma__free(e->known);
    *e = (soma__encoder){0};
}

/* Three arrays that grow together. */
static soma_status grow_tokens(soma__encoder *e, soma_error *err)
{
    soma_tokens *out = e->out;
    size_t wanted = e->capacity ? 2 * e->capacity : 16;
    int32_t *ids = soma__realloc(out->ids, wanted * sizeof *ids);
    if (ids)
        out->ids = ids;
    int64_t *start = ids ? soma__realloc(out->start, wanted * sizeof *start) : NULL;
    if (start)
        out->start = start;
    int64_t *end = start ? soma__realloc(out->end, wanted * sizeof *end) : NULL;
    if (!end)
        return soma__fail(err, SOMA_MEMORY, "no memory for %zu tokens", wanted);
    out->end = end;
    e->capacity = wanted;
    return SOMA_OK;
}

soma_status soma__encoder_add(soma__encoder *e, int32_t id, size_t start, size_t end,
                              soma_error *err)
{
    soma_tokens *out = e->out;
    if ((size_t)out->count == e->capacity)
        SOMA__TRY(grow_tokens(e, err));
    out->ids[out->count] = id;
    out->start[out->count] = (int64_t)start;
    out->end[out->count++] = (int64_t)end;
    return SOMA_OK;
}

/* --- pieces -------------------------------------------------------------------------------------
 */

/* The token of a word or character that begins at `at`. */
static soma_status look_up(soma__encoder *e, soma_text piece, size_t at, size_t size,
                           soma_error *err)
{
    const soma_tokenizer *t = e->tokenizer;
    int64_t id = soma_tokenizer_find(t, piece);
    if (id < 0)
        id = t->special[SOMA_SPECIAL_UNK];
    if (id < 0)
        return soma__fail(err, SOMA_NOT_FOUND,
                          "'%.*s' at byte %zu is not in the vocabulary, which has no unknown token",
                          (int)(piece.size < 60 ? piece.size : 60), piece.data, at);
    return soma__encoder_add(e, (int32_t)id, at, at + size, err);
}

static soma_status encode_words(soma__encoder *e, soma_text text, size_t at, soma_error *err)
{
    for (size_t done = 0; done < text.size;) {
        size_t skipped;
        size_t size = soma__split_word(text.data + done, text.size - done, &skipped);
        done += skipped;
        if (!size)
            break;
        /* Bad bytes were replaced before, where there are any. */
        SOMA__TRY(look_up(e, (soma_text){text.data + done, size}, at + done, size, err));
        done += size;
    }
    return SOMA_OK;
}

static soma_status encode_characters(soma__encoder *e, soma_text text, size_t at, soma_error *err)
{
    for (size_t done = 0; done < text.size;) {
        size_t size = soma__utf8_step(text.data + done, text.size - done, NULL);
        SOMA__TRY(look_up(e, (soma_text){text.data + done, size}, at + done, size, err));
        done += size;
    }
    return SOMA_OK;
}

static soma_status encode_bytes(soma__encoder *e, soma_text text, size_t at, soma_error *err)
{
    for (size_t i = 0; i < text.size; i++)
        SOMA__TRY(soma__encoder_add(e, e->tokenizer->byte[(unsigned char)text.data[i]], at + i,
                                    at + i + 1, err));
    return SOMA_OK;
}

static soma_status encode_pairs(soma__encoder *e, soma_text text, size_t at, soma_error *err)
{
    for (size_t done = 0; done < text.size;) {
        size_t left = text.size - done;
        size_t size = e->tokenizer->whole ? left : soma__split_gpt2(text.data + done, left);
        SOMA__TRY(soma__bpe_encode(e, text.data + done, size, at + done, err));
        done += size;
    }
    return SOMA_OK;
}

/* --- stretches between added tokens -------------------------------------------------------------
 */

/* Words and characters are looked up by their bytes, so bad ones are replaced first. */
static bool needs_normal(const soma_tokenizer *t, soma_text text)
{
    if (t->lowercase || t->nfc)
        return true;
    if (t->prefix_space)
        return text.data[0] != ' ';
    return (t->kind == SOMA_TOKENIZER_WORD || t->kind == SOMA_TOKENIZER_CHAR) &&
           !soma__utf8_valid(text.data, text.size);
}

static soma_status encode_pieces(soma__encoder *e, soma_text text, size_t at, soma_error *err)
{
    switch (e->tokenizer->kind) {
    case SOMA_TOKENIZER_WORD:
        return encode_words(e, text, at, err);
    case SOMA_TOKENIZER_CHAR:
        return encode_characters(e, text, at, err);
    case SOMA_TOKENIZER_BYTE:
        return encode_bytes(e, text, at, err);
    default:
        return encode_pairs(e, text, at, err);
    }
}

static soma_status encode_stretch(soma__encoder *e, soma_text text, size_t at, soma_error *err)
{
    const soma_tokenizer *t = e->tokenizer;
    if (!text.size)
        return SOMA_OK;
    if (!needs_normal(t, text))
        return encode_pieces(e, text, at, err);
    int64_t first = e->out->count;
    soma__normal_reset(&e->normal);
    SOMA__TRY(soma__normal_make(&e->normal, text, t->nfc, t->lowercase, t->prefix_space, err));
    soma_text normal = {e->normal.text.data, e->normal.text.length};
    SOMA__TRY(encode_pieces(e, normal, 0, err));
    for (int64_t i = first; i < e->out->count; i++) {
        soma__normal_origin(&e->normal, &e->out->start[i], &e->out->end[i]);
        e->out->start[i] += (int64_t)at;
        e->out->end[i] += (int64_t)at;
    }
    return SOMA_OK;
}

/* The added token that begins at `at`, NULL: none. */
static const soma__token *added_at(const soma_tokenizer *t, soma_text text, size_t at, int32_t *id)
{
    if (!t->begins[(unsigned char)text.data[at]])
        return NULL;
    for (size_t i = 0; i < t->added_count; i++) {
        const soma__token *token = &t->token[t->added[i]];
        if (token->bytes.size <= text.size - at &&
            memcmp(text.data + at, token->bytes.data, token->bytes.size) == 0) {
            *id = t->added[i];
            return token;
        }
    }
    return NULL;
}

/* The spaces before `at` and not before `from`, and those after it. */
static size_t spaces_before(soma_text text, size_t from, size_t at)
{
    while (at > from) {
        size_t start = at - 1;
        uint32_t code;
        while (start > from && ((unsigned char)text.data[start] & 0xc0) == 0x80)
            start--;
        if (start + soma__utf8_step(text.data + start, at - start, &code) != at ||
            soma__unicode_class(code) != SOMA__CLASS_SPACE)
            break;
        at = start;
    }
    return at;
}

static size_t spaces_after(soma_text text, size_t at)
{
    uint32_t code;
    size_t length;
    while ((length = soma__utf8_step(text.data + at, text.size - at, &code)) != 0 &&
           soma__unicode_class(code) == SOMA__CLASS_SPACE)
        at += length;
    return at;
}

static soma_status encode_text(soma__encoder *e, soma_text text, bool plain, soma_error *err)
{
    const soma_tokenizer *t = e->tokenizer;
    size_t from = 0;
    for (size_t at = 0; !plain && t->added_count && at < text.size;) {
        int32_t id = 0;
        const soma__token *token = added_at(t, text, at, &id);
        if (!token) {
            at++;
            continue;
        }
        size_t start = token->left ? spaces_before(text, from, at) : at;
        size_t end = at + token->bytes.size;
        if (token->right)
            end = spaces_after(text, end);
        SOMA__TRY(encode_stretch(e, (soma_text){text.data + from, start - from}, from, err));
        SOMA__TRY(soma__encoder_add(e, id, start, end, err));
        from = at = end;
    }
    if (from == text.size)
        return SOMA_OK;
    return encode_stretch(e, (soma_text){text.data + from, text.size - from}, from, err);
}

static soma_status add_special(soma__encoder *e, soma_special which, size_t at, soma_error *err)
{
    int32_t id = e->tokenizer->special[which];
    if (id < 0)
        return soma__fail(err, SOMA_INVALID, "the tokeniser has no %s token",
                          soma__special_name(which, 0));
    return soma__encoder_add(e, id, at, at, err);
}

static soma_status check_strict(soma_text text, soma_error *err)
{
    for (size_t at = 0; at < text.size;) {
        size_t length = soma__utf8_next(text.data + at, text.size - at, NULL);
        if (!length)
            return soma__fail(err, SOMA_FORMAT, "the text is not UTF-8 at byte %zu (0x%02x)", at,
                              (unsigned char)text.data[at]);
        at += length;
    }
    return SOMA_OK;
}

soma_status soma__encoder_run(soma__encoder *e, soma_text text, const soma_encode_options *options,
                              soma_tokens *out, size_t *capacity, soma_error *err)
{
    const soma_encode_options defaults = {0}, *o = options ? options : &defaults;
    if (text.size > MAX_TEXT)
        return soma__fail(err, SOMA_INVALID,
                          "a text of %zu bytes is more than fits (%zu): cut it at ends of lines",
                          text.size, MAX_TEXT);
    if (o->strict)
        SOMA__TRY(check_strict(text, err));
    e->out = out;
    e->capacity = *capacity;
    out->count = 0;
    soma_status status = o->bos ? add_special(e, SOMA_SPECIAL_BOS, 0, err) : SOMA_OK;
    if (status == SOMA_OK)
        status = encode_text(e, text, o->plain, err);
    if (status == SOMA_OK && o->eos)
        status = add_special(e, SOMA_SPECIAL_EOS, text.size, err);
    *capacity = e->capacity;
    return status;
}

/* Below this many bytes remembering words costs more than it saves. */
#define SHORT_TEXT 2048

soma_status soma_tokenizer_encode(const soma_tokenizer *tokenizer, soma_text text,
                                  const soma_encode_options *options, soma_tokens *out,
                                  soma_error *err)
{
    soma__encoder encoder;
    size_t capacity = 0;
    *out = (soma_tokens){0};
    soma__encoder_init(&encoder, tokenizer, text.size > SHORT_TEXT);
    soma_status status = soma__encoder_run(&encoder, text, options, out, &capacity, err);
    soma__encoder_clear(&encoder);
    if (status != SOMA_OK)
        soma_tokens_clear(out);
    return status;
}

void soma_tokens_clear(soma_tokens *tokens)
{
    soma__free(tokens->ids);
    soma__free(tokens->start);
    soma__free(tokens->end);
    *tokens = (soma_tokens){0};
}
