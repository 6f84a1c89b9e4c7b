/* train.c: the vocabulary of a tokeniser, from texts. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "format/utf8.h"
#include "text/split.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

#define DEFAULT_SIZE 30000

/* Counts the words, characters or pieces of texts. */
typedef struct counter {
    soma_tokenizer_kind kind;
    soma__strings strings;
} counter;

static soma_status count_one(counter *c, const char *piece, size_t size, soma_error *err)
{
    soma__string *string = soma__strings_add(&c->strings, piece, size);
    if (!string)
        return soma__fail(err, SOMA_MEMORY, "no memory to count words");
    string->value++;
    return SOMA_OK;
}

static soma_status count_text(counter *c, soma_text text, soma_error *err)
{
    for (size_t at = 0; at < text.size;) {
        const char *rest = text.data + at;
        size_t left = text.size - at, skipped = 0, size;
        if (c->kind == SOMA_TOKENIZER_WORD)
            size = soma__split_word(rest, left, &skipped);
        else if (c->kind == SOMA_TOKENIZER_CHAR)
            size = soma__utf8_step(rest, left, NULL);
        else
            size = soma__split_gpt2(rest, left);
        if (!size)
            break;
        SOMA__TRY(count_one(c, rest + skipped, size, err));
        at += skipped + size;
    }
    return SOMA_OK;
}

static soma_status count_all(counter *c, const soma_text *texts, int64_t count,
                             const soma_tokenizer_options *o, soma_error *err)
{
    bool text_only = o->kind != SOMA_TOKENIZER_BPE; /* its bytes may be anything */
    soma__normal normal = {0};
    soma_status status = SOMA_OK;
    for (int64_t i = 0; status == SOMA_OK && i < count; i++) {
        if (!texts[i].size)
            continue;
        if (texts[i].size >= INT32_MAX) {
            status = soma__fail(err, SOMA_INVALID,
                                "text %lld has %zu bytes, more than fits (2 GiB): cut it",
                                (long long)i, texts[i].size);
        } else if (text_only || o->nfc || o->lowercase) {
            soma__normal_reset(&normal);
            status = soma__normal_make(&normal, texts[i], o->nfc, o->lowercase, false, err);
            if (status == SOMA_OK)
                status = count_text(c, (soma_text){normal.text.data, normal.text.length}, err);
        } else {
            status = count_text(c, texts[i], err);
        }
    }
    soma__normal_clear(&normal);
    return status;
}

/* --- words and characters -----------------------------------------------------------------------
 */

static int by_count(const void *a, const void *b)
{
    const soma__string *x = *(const soma__string *const *)a, *y = *(const soma__string *const *)b;
    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    size_t shorter = x->size < y->size ? x->size : y->size;
    int order = memcmp(x->data, y->data, shorter);
    return order ? order : (x->size > y->size) - (x->size < y->size);
}

static soma_status put_frequent(soma_tokenizer *t, const soma__strings *strings, int64_t size,
                                int64_t min_count, soma_error *err)
{
    const soma__string **order = soma__calloc(strings->count ? strings->count : 1, sizeof *order);
    if (!order)
        return soma__fail(err, SOMA_MEMORY, "no memory for a vocabulary");
    for (size_t i = 0; i < strings->count; i++)
        order[i] = &strings->item[i];
    if (strings->count)
        qsort(order, strings->count, sizeof *order, by_count);
    soma_status status = SOMA_OK;
    for (size_t i = 0; status == SOMA_OK && i < strings->count && (int64_t)t->count < size; i++) {
        soma_text bytes = {order[i]->data, order[i]->size};
        if (order[i]->value < min_count)
            break;
        /* A NUL cannot be in a JSON file, and the name of a special token is taken. */
        if (memchr(bytes.data, 0, bytes.size) || soma_tokenizer_find(t, bytes) >= 0)
            continue;
        status = soma__tokenizer_put(t, (int64_t)t->count, bytes, err);
    }
    soma__free(order);
    return status;
}

/* --- all kinds ----------------------------------------------------------------------------------
 */

static soma_status check(const soma_tokenizer_options *o, unsigned special, soma_error *err)
{
    if (o->kind < SOMA_TOKENIZER_WORD || o->kind > SOMA_TOKENIZER_BPE)
        return soma__fail(err, SOMA_INVALID, "there is no kind of tokeniser %d", (int)o->kind);
    if (o->size < 0 || o->size > SOMA__MAX_TOKENS || o->min_count < 0)
        return soma__fail(err, SOMA_INVALID,
                          "a vocabulary has 1 to %d tokens that occur at least once, not %lld that "
                          "occur %lld times",
                          SOMA__MAX_TOKENS, (long long)o->size, (long long)o->min_count);
    if (special >= 2 * SOMA_SPECIAL_NONE ||
        (special & SOMA_SPECIAL_NONE && special != SOMA_SPECIAL_NONE))
        return soma__fail(err, SOMA_INVALID, "special: bits 1 << SOMA_SPECIAL_PAD and so on");
    bool bytes = o->kind == SOMA_TOKENIZER_BYTE || o->kind == SOMA_TOKENIZER_BPE;
    int64_t least = bytes ? 256 : 1;
    least += __builtin_popcount(special & (SOMA_SPECIAL_NONE - 1));
    if (o->size && o->size < least)
        return soma__fail(err, SOMA_INVALID, "a size of %lld has no room for %s: at least %lld",
                          (long long)o->size,
                          bytes ? "the 256 bytes and the special tokens"
                                : "the special tokens and one more",
                          (long long)least);
    if (o->kind == SOMA_TOKENIZER_WORD || o->kind == SOMA_TOKENIZER_BPE)
        SOMA__TRY(soma__unicode_need(
            o->kind == SOMA_TOKENIZER_WORD ? "a word tokeniser" : "byte-level BPE", err));
    if (o->nfc || o->lowercase)
        SOMA__TRY(soma__unicode_need(o->nfc ? "NFC" : "lower case", err));
    return SOMA_OK;
}

static soma_status put_bytes(soma_tokenizer *t, soma_error *err)
{
    unsigned char order[256];
    soma__bytes_by_letter(order);
    for (int i = 0; i < 256; i++) {
        char byte = (char)(t->kind == SOMA_TOKENIZER_BYTE ? i : order[i]);
        SOMA__TRY(soma__tokenizer_put(t, (int64_t)t->count, (soma_text){&byte, 1}, err));
        t->byte[(unsigned char)byte] = (int32_t)t->count - 1;
    }
    return SOMA_OK;
}

static soma_status fill(soma_tokenizer *t, const soma_text *texts, int64_t count,
                        const soma_tokenizer_options *o, unsigned special, soma_error *err)
{
    bool bytes = o->kind == SOMA_TOKENIZER_BYTE || o->kind == SOMA_TOKENIZER_BPE;
    int64_t size = o->size;
    if (!size)
        size = o->kind == SOMA_TOKENIZER_CHAR ? SOMA__MAX_TOKENS : DEFAULT_SIZE;
    t->lowercase = o->lowercase;
    t->nfc = o->nfc;
    SOMA__TRY(soma__tokenizer_put_specials(t, special, err));
    if (bytes)
        SOMA__TRY(put_bytes(t, err));
    if (o->kind != SOMA_TOKENIZER_BYTE) {
        counter c = {.kind = o->kind};
        int64_t least = o->min_count ? o->min_count : bytes ? 2 : 1;
        soma_status status = count_all(&c, texts, count, o, err);
        if (status == SOMA_OK)
            status = bytes ? soma__bpe_train(t, &c.strings, size, least, err)
                           : put_frequent(t, &c.strings, size, least, err);
        soma__strings_clear(&c.strings);
        SOMA__TRY(status);
    }
    return soma__tokenizer_finish(t, err);
}

soma_status soma_tokenizer_train(soma_tokenizer **out, const soma_text *texts, int64_t count,
                                 const soma_tokenizer_options *options, soma_error *err)
{
    const soma_tokenizer_options defaults = {0}, *o = options ? options : &defaults;
    unsigned special = o->special;
    *out = NULL;
    if (!special && (o->kind == SOMA_TOKENIZER_WORD || o->kind == SOMA_TOKENIZER_CHAR))
        special = 1u << SOMA_SPECIAL_PAD | 1u << SOMA_SPECIAL_UNK;
    else if (!special)
        special = 1u << SOMA_SPECIAL_PAD;
    SOMA__TRY(check(o, special, err));
    soma_tokenizer *t;
    SOMA__TRY(soma__tokenizer_new(&t, o->kind, err));
    soma_status status = fill(t, texts, count, o, special, err);
    if (status != SOMA_OK) {
        soma_tokenizer_release(t);
        return status;
    }
    *out = t;
    return SOMA_OK;
}
