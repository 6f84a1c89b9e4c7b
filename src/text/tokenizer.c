/* tokenizer.c: the tokens of a tokeniser, and from ids to text. */
#include "text/tokenizer.h"

#include <string.h>

#include "base/mem.h"
#include "format/utf8.h"
#include "text/unicode.h"

/* --- names --------------------------------------------------------------------------------------
 */

static const char *const special_names[SOMA_SPECIAL_COUNT] = {
#define SOMA__OURS(name_, text_) [SOMA_SPECIAL_##name_] = text_,
    SOMA_SPECIAL_LIST(SOMA__OURS)
#undef SOMA__OURS
};
static const char *const other_names[SOMA_SPECIAL_COUNT][3] = {
    [SOMA_SPECIAL_PAD] = {"[PAD]", "<|pad|>"},
    [SOMA_SPECIAL_UNK] = {"[UNK]", "<|unk|>"},
    [SOMA_SPECIAL_BOS] = {"<s>", "[BOS]", "<|begin_of_text|>"},
    [SOMA_SPECIAL_EOS] = {"</s>", "[EOS]", "<|endoftext|>"},
    [SOMA_SPECIAL_MASK] = {"[MASK]", "<|mask|>"},
};

const char *soma__special_name(soma_special which, int alias)
{
    if (alias == 0)
        return special_names[which];
    return alias <= 3 ? other_names[which][alias - 1] : NULL;
}

bool soma_tokenizer_kind_text(int index, const char **name, const char **doc)
{
    static const char *const texts[][2] = {
#define SOMA__TEXT(name_, text_, doc_) {#text_, doc_},
        SOMA_TOKENIZER_LIST(SOMA__TEXT)
#undef SOMA__TEXT
    };
    if (index < 0 || (size_t)index >= sizeof texts / sizeof texts[0])
        return false;
    *name = texts[index][0];
    *doc = texts[index][1];
    return true;
}

/* --- bytes as letters ---------------------------------------------------------------------------
 */

static bool stands_for_itself(unsigned char byte)
{
    return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte != 0xad);
}

uint32_t soma__byte_letter(unsigned char byte)
{
    if (stands_for_itself(byte))
        return byte;
    uint32_t letter = 0x100;
    for (unsigned char b = 0; b < byte; b++)
        letter += !stands_for_itself(b);
    return letter;
}

void soma__letter_bytes(int16_t byte[SOMA__LETTERS])
{
    for (int i = 0; i < SOMA__LETTERS; i++)
        byte[i] = -1;
    for (int b = 0; b < 256; b++)
        byte[soma__byte_letter((unsigned char)b)] = (int16_t)b;
}

void soma__bytes_by_letter(unsigned char order[256])
{
    int n = 0;
    for (int own = 1; own >= 0; own--)
        for (int b = 0; b < 256; b++)
            if (stands_for_itself((unsigned char)b) == own)
                order[n++] = (unsigned char)b;
}

/* --- life ---------------------------------------------------------------------------------------
 */

soma_status soma__tokenizer_new(soma_tokenizer **out, soma_tokenizer_kind kind, soma_error *err)
{
    soma_tokenizer *t = soma__calloc(1, sizeof *t);
    *out = t;
    if (!t)
        return soma__fail(err, SOMA_MEMORY, "no memory for a tokeniser");
    atomic_init(&t->references, 1);
    t->kind = kind;
    for (int i = 0; i < SOMA_SPECIAL_COUNT; i++)
        t->special[i] = -1;
    for (int i = 0; i < 256; i++)
        t->byte[i] = -1;
    return SOMA_OK;
}

soma_tokenizer *soma_tokenizer_retain(soma_tokenizer *tokenizer)
{
    if (tokenizer)
        atomic_fetch_add_explicit(&tokenizer->references, 1, memory_order_relaxed);
    return tokenizer;
}

void soma_tokenizer_release(soma_tokenizer *t)
{
    if (!t || atomic_fetch_sub_explicit(&t->references, 1, memory_order_acq_rel) != 1)
        return;
    soma__arena_clear(&t->arena);
    soma__strings_clear(&t->find);
    soma__pairs_clear(&t->merges);
    soma__free(t->token);
    soma__free(t->result);
    soma__free(t->added);
    soma__free(t);
}

/* --- making one ---------------------------------------------------------------------------------
 */

static soma_status no_memory(soma_error *err)
{
    return soma__fail(err, SOMA_MEMORY, "no memory for a vocabulary");
}

/* Room for ids up to `id`. A file may name them in any order, but none beyond its tokens, so the
 * table stays in proportion to the file. */
static soma_status make_room(soma_tokenizer *t, size_t id, soma_error *err)
{
    while (t->count <= id) {
        void *tokens = t->token;
        if (!soma__grow(&tokens, &t->capacity, t->count, sizeof *t->token))
            return no_memory(err);
        t->token = tokens;
        t->token[t->count++] = (soma__token){0};
    }
    return SOMA_OK;
}

soma_status soma__tokenizer_put(soma_tokenizer *t, int64_t id, soma_text bytes, soma_error *err)
{
    if (id < 0 || id >= SOMA__MAX_TOKENS)
        return soma__fail(err, SOMA_FORMAT, "token '%.*s' has id %lld; ids are from 0 to %d",
                          (int)(bytes.size < 40 ? bytes.size : 40), bytes.data, (long long)id,
                          SOMA__MAX_TOKENS - 1);
    SOMA__TRY(make_room(t, (size_t)id, err));
    soma__token *token = &t->token[id];
    if (token->known)
        return soma__fail(err, SOMA_FORMAT, "id %lld is that of two tokens, '%.40s' and '%.*s'",
                          (long long)id, token->bytes.data,
                          (int)(bytes.size < 40 ? bytes.size : 40), bytes.data);
    char *copy = soma__arena_alloc(&t->arena, bytes.size + 1);
    if (!copy)
        return no_memory(err);
    memcpy(copy, bytes.data, bytes.size);
    token->bytes = (soma_text){copy, bytes.size};
    token->known = true;
    size_t before = t->find.count;
    soma__string *string = soma__strings_add(&t->find, bytes.data, bytes.size);
    if (!string)
        return no_memory(err);
    /* Of two tokens of equal bytes the first is found, but a piece of text before an added one. */
    if (t->find.count > before || t->token[string->value].added)
        string->value = id;
    return SOMA_OK;
}

soma_status soma__tokenizer_put_added(soma_tokenizer *t, int64_t id, bool special, soma_error *err)
{
    void *added = t->added;
    if (t->token[id].added)
        return soma__fail(err, SOMA_FORMAT, "token '%.40s' is added twice",
                          t->token[id].bytes.data);
    if (!t->token[id].bytes.size)
        return soma__fail(err, SOMA_FORMAT, "added token %lld is empty", (long long)id);
    if (!soma__grow(&added, &t->added_capacity, t->added_count, sizeof *t->added))
        return no_memory(err);
    t->added = added;
    t->token[id].added = true;
    t->token[id].special = special;
    t->begins[(unsigned char)t->token[id].bytes.data[0]] = true;
    /* The longest first, so that <mask> is not taken for <m. */
    size_t at = t->added_count++;
    for (; at > 0 && t->token[t->added[at - 1]].bytes.size < t->token[id].bytes.size; at--)
        t->added[at] = t->added[at - 1];
    t->added[at] = (int32_t)id;
    return SOMA_OK;
}

soma_status soma__tokenizer_put_specials(soma_tokenizer *t, unsigned which, soma_error *err)
{
    for (int i = 0; i < SOMA_SPECIAL_COUNT; i++) {
        const char *name = soma__special_name((soma_special)i, 0);
        int64_t id = (int64_t)t->count;
        if (!(which & 1u << i))
            continue;
        SOMA__TRY(soma__tokenizer_put(t, id, (soma_text){name, strlen(name)}, err));
        SOMA__TRY(soma__tokenizer_put_added(t, id, true, err));
    }
    return SOMA_OK;
}

soma_status soma__tokenizer_put_merge(soma_tokenizer *t, int32_t left, int32_t right,
                                      int32_t result, soma_error *err)
{
    void *results = t->result;
    size_t before = t->merges.count;
    if (!soma__grow(&results, &t->result_capacity, before, sizeof *t->result))
        return no_memory(err);
    t->result = results;
    if (soma__pairs_add(&t->merges, left, right) < 0)
        return no_memory(err);
    if (t->merges.count == before)
        return soma__fail(err, SOMA_FORMAT, "merge %zu joins '%.40s' and '%.40s' a second time",
                          before, t->token[left].bytes.data, t->token[right].bytes.data);
    t->result[before] = result;
    return SOMA_OK;
}

soma_status soma__tokenizer_finish(soma_tokenizer *t, soma_error *err)
{
    if (!t->count)
        return soma__fail(err, SOMA_INVALID,
                          "the vocabulary is empty: there is no text in the "
                          "texts, and no special token");
    for (size_t i = 0; i < t->count; i++)
        if (!t->token[i].known)
            return soma__fail(err, SOMA_FORMAT,
                              "no token has id %zu, but there are ids up to %zu: ids must be 0, 1, "
                              "2, …",
                              i, t->count - 1);
    for (int i = 0; i < SOMA_SPECIAL_COUNT; i++)
        for (int alias = 0; t->special[i] < 0; alias++) {
            const char *name = soma__special_name((soma_special)i, alias);
            if (!name)
                break;
            int64_t id = soma_tokenizer_find(t, (soma_text){name, strlen(name)});
            if (id >= 0 && t->token[id].special)
                t->special[i] = (int32_t)id;
        }
    if (t->kind == SOMA_TOKENIZER_BYTE || t->kind == SOMA_TOKENIZER_BPE)
        for (int b = 0; b < 256; b++) {
            char byte = (char)b;
            t->byte[b] = (int32_t)soma_tokenizer_find(t, (soma_text){&byte, 1});
        }
    return SOMA_OK;
}

/* --- questions ----------------------------------------------------------------------------------
 */

soma_tokenizer_kind soma_tokenizer_kind_of(const soma_tokenizer *tokenizer)
{
    return tokenizer->kind;
}

int64_t soma_tokenizer_count(const soma_tokenizer *tokenizer)
{
    return (int64_t)tokenizer->count;
}

int64_t soma_tokenizer_special(const soma_tokenizer *tokenizer, soma_special which)
{
    return which >= 0 && which < SOMA_SPECIAL_COUNT ? tokenizer->special[which] : -1;
}

soma_text soma_tokenizer_token(const soma_tokenizer *t, int64_t id)
{
    return id >= 0 && id < (int64_t)t->count ? t->token[id].bytes : (soma_text){NULL, 0};
}

int64_t soma_tokenizer_find(const soma_tokenizer *tokenizer, soma_text token)
{
    const soma__string *string =
        token.size ? soma__strings_find(&tokenizer->find, token.data, token.size) : NULL;
    return string ? string->value : -1;
}

/* --- from ids to text ---------------------------------------------------------------------------
 */

soma_status soma_tokenizer_decode(const soma_tokenizer *t, const int32_t *ids, int64_t count,
                                  bool specials, char **text, size_t *size, soma_error *err)
{
    soma__text out = {0};
    bool first = true;
    *text = NULL;
    for (int64_t i = 0; i < count; i++) {
        if (ids[i] < 0 || (size_t)ids[i] >= t->count) {
            soma__text_free(&out);
            return soma__fail(err, SOMA_INVALID, "token %lld has id %d; ids are from 0 to %zu",
                              (long long)i, ids[i], t->count - 1);
        }
        const soma__token *token = &t->token[ids[i]];
        if (token->special && !specials)
            continue;
        if (t->kind == SOMA_TOKENIZER_WORD && !first)
            soma__text_append(&out, " ", 1);
        first = false;
        soma__text_append(&out, token->bytes.data, token->bytes.size);
    }
    size_t length = out.length;
    SOMA__TRY(soma__text_take(&out, text, err));
    if (size)
        *size = length;
    return SOMA_OK;
}
