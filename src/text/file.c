/* file.c: tokenizer.json, and GPT-2's two files.
 *
 * A tokenizer.json is a pipeline of parts, each {"type": …, …}. Those that mean one of our kinds
 * are read; every other part is refused by its name, because leaving it out would change ids. */
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "format/json.h"
#include "format/utf8.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

typedef struct reader {
    const char *path;
    soma_tokenizer *tokenizer;
    int16_t byte_of[SOMA__LETTERS];
    soma__text left, right; /* parts of a merge, as bytes */
} reader;

static soma_status reader_init(reader *r, const char *path, soma_tokenizer_kind kind,
                               soma_error *err)
{
    *r = (reader){.path = path};
    soma__letter_bytes(r->byte_of);
    return soma__tokenizer_new(&r->tokenizer, kind, err);
}

/* Hands over the tokeniser, or destroys it. */
static soma_status reader_end(reader *r, soma_tokenizer **out, soma_status status)
{
    soma__text_free(&r->left);
    soma__text_free(&r->right);
    if (status == SOMA_OK)
        *out = r->tokenizer;
    else
        soma_tokenizer_release(r->tokenizer);
    return status;
}

/* --- values -------------------------------------------------------------------------------------
 */

/* A member that is there and not null. */
static const soma__value *get(const soma__value *map, const char *key)
{
    const soma__value *value = map && map->kind == SOMA__MAP ? soma__value_find(map, key) : NULL;
    return value && value->kind != SOMA__NULL ? value : NULL;
}

static const char *get_text(const soma__value *map, const char *key)
{
    const soma__value *value = get(map, key);
    return value && value->kind == SOMA__STRING ? value->text : NULL;
}

static bool get_bool(const soma__value *map, const char *key, bool otherwise)
{
    const soma__value *value = get(map, key);
    return value && value->kind == SOMA__BOOL ? value->boolean : otherwise;
}

/* "type" of a part; "" where it has none. */
static const char *type_of(const soma__value *part)
{
    const char *type = get_text(part, "type");
    return type ? type : "";
}

static bool is(const soma__value *part, const char *type)
{
    return strcmp(type_of(part), type) == 0;
}

static soma_status refuse(const reader *r, const char *part, const char *what, soma_error *err)
{
    return soma__fail(err, SOMA_UNSUPPORTED, "%s: %s '%.60s' is not understood", r->path, part,
                      what);
}

/* Letters for bytes -> bytes. False: there is something else in it. */
static bool to_bytes(const reader *r, soma__text *out, const char *text, size_t size)
{
    out->length = 0;
    for (size_t at = 0; at < size;) {
        uint32_t letter;
        size_t length = soma__utf8_next(text + at, size - at, &letter);
        if (!length || letter >= SOMA__LETTERS || r->byte_of[letter] < 0)
            return false;
        char byte = (char)r->byte_of[letter];
        soma__text_append(out, &byte, 1);
        at += length;
    }
    return true;
}

static bool is_bpe(const reader *r)
{
    return r->tokenizer->kind == SOMA_TOKENIZER_BPE;
}

/* --- tokens -------------------------------------------------------------------------------------
 */

static soma_status read_token(reader *r, const char *text, int64_t id, soma_error *err)
{
    soma_tokenizer *t = r->tokenizer;
    size_t size = strlen(text);
    if (id >= 0 && (size_t)id < t->count && t->token[id].known && t->token[id].added &&
        strcmp(t->token[id].bytes.data, text) == 0)
        return SOMA_OK; /* an added token, in the vocabulary as well */
    bool literal = is_bpe(r) && !to_bytes(r, &r->left, text, size);
    soma_text bytes =
        is_bpe(r) && !literal ? (soma_text){r->left.data, r->left.length} : (soma_text){text, size};
    if (r->left.failed)
        return soma__fail(err, SOMA_MEMORY, "%s: no memory", r->path);
    if (!bytes.size)
        bytes.data = "";
    soma_status status = soma__tokenizer_put(t, id, bytes, err);
    if (status != SOMA_OK)
        return soma__fail_within(err, status, "%s", r->path);
    t->token[id].literal = literal;
    return SOMA_OK;
}

static soma_status read_vocabulary(reader *r, const soma__value *vocab, soma_error *err)
{
    if (!vocab || vocab->kind != SOMA__MAP || !vocab->count)
        return soma__fail(err, SOMA_FORMAT, "%s: the vocabulary is not a map of tokens to ids",
                          r->path);
    /* Ids are below the number of tokens, so a file that names one beyond promises too much. */
    int64_t limit = (int64_t)vocab->count + (int64_t)r->tokenizer->added_count;
    /* Only added tokens can be found as yet. */
    for (const soma__value *v = vocab->first; v; v = v->next) {
        const soma__string *added = soma__strings_find(&r->tokenizer->find, v->key, strlen(v->key));
        if (added && v->kind == SOMA__INT && added->value != v->integer)
            return soma__fail(err, SOMA_FORMAT,
                              "%s: '%.40s' has id %lld in the vocabulary and %lld in added_tokens",
                              r->path, v->key, (long long)v->integer, (long long)added->value);
    }
    for (const soma__value *v = vocab->first; v; v = v->next) {
        if (v->kind != SOMA__INT || v->integer < 0 || v->integer >= limit)
            return soma__fail(err, SOMA_FORMAT,
                              "%s: the id of '%.40s' is not a whole number from 0 to %lld, as for "
                              "%lld tokens",
                              r->path, v->key, (long long)limit - 1, (long long)limit);
        SOMA__TRY(read_token(r, v->key, v->integer, err));
    }
    return SOMA_OK;
}

/* Joins two tokens that are given as files write them. */
static soma_status read_merge(reader *r, size_t number, const char *left, size_t left_size,
                              const char *right, size_t right_size, soma_error *err)
{
    soma_tokenizer *t = r->tokenizer;
    if (!to_bytes(r, &r->left, left, left_size) || !to_bytes(r, &r->right, right, right_size))
        return soma__fail(err, SOMA_FORMAT,
                          "%s: merge %zu ('%.*s' and '%.*s') is not in GPT-2's letters for bytes",
                          r->path, number, (int)(left_size < 40 ? left_size : 40), left,
                          (int)(right_size < 40 ? right_size : 40), right);
    if (r->left.failed || r->right.failed)
        return soma__fail(err, SOMA_MEMORY, "%s: no memory", r->path);
    int64_t a = soma_tokenizer_find(t, (soma_text){r->left.data, r->left.length});
    int64_t b = soma_tokenizer_find(t, (soma_text){r->right.data, r->right.length});
    soma__text_append(&r->left, r->right.data, r->right.length);
    if (r->left.failed)
        return soma__fail(err, SOMA_MEMORY, "%s: no memory", r->path);
    int64_t result = soma_tokenizer_find(t, (soma_text){r->left.data, r->left.length});
    if (a < 0 || b < 0 || result < 0)
        return soma__fail(
            err, SOMA_FORMAT,
            "%s: merge %zu: '%.*s', '%.*s' or both together are not in the vocabulary", r->path,
            number, (int)(left_size < 40 ? left_size : 40), left,
            (int)(right_size < 40 ? right_size : 40), right);
    soma_status status = soma__tokenizer_put_merge(t, (int32_t)a, (int32_t)b, (int32_t)result, err);
    return status == SOMA_OK ? status : soma__fail_within(err, status, "%s", r->path);
}

/* "left right" of a line that is `size` long. */
static soma_status read_merge_line(reader *r, size_t number, const char *line, size_t size,
                                   soma_error *err)
{
    const char *blank = memchr(line, ' ', size);
    size_t left = blank ? (size_t)(blank - line) : 0;
    if (!left || left + 1 == size || memchr(blank + 1, ' ', size - left - 1))
        return soma__fail(err, SOMA_FORMAT, "%s: merge %zu, '%.*s', is not two tokens and a blank",
                          r->path, number, (int)(size < 40 ? size : 40), line);
    return read_merge(r, number, line, left, blank + 1, size - left - 1, err);
}

static soma_status read_merges(reader *r, const soma__value *merges, soma_error *err)
{
    size_t number = 0;
    if (!merges || merges->kind != SOMA__LIST)
        return soma__fail(err, SOMA_FORMAT, "%s: model.merges is not a list", r->path);
    for (const soma__value *m = merges->first; m; m = m->next, number++) {
        if (m->kind == SOMA__STRING) {
            SOMA__TRY(read_merge_line(r, number, m->text, strlen(m->text), err));
        } else if (m->kind == SOMA__LIST && m->count == 2 && m->first->kind == SOMA__STRING &&
                   m->last->kind == SOMA__STRING) {
            SOMA__TRY(read_merge(r, number, m->first->text, strlen(m->first->text), m->last->text,
                                 strlen(m->last->text), err));
        } else {
            return soma__fail(err, SOMA_FORMAT, "%s: merge %zu is not a pair of tokens", r->path,
                              number);
        }
    }
    return SOMA_OK;
}

static soma_status read_added(reader *r, const soma__value *added, const soma__value *vocab,
                              soma_error *err)
{
    if (!added)
        return SOMA_OK;
    if (added->kind != SOMA__LIST)
        return soma__fail(err, SOMA_FORMAT, "%s: added_tokens is not a list", r->path);
    /* Ids are below the number of tokens: a small file cannot ask for a large table. */
    int64_t limit = (int64_t)added->count + (vocab ? vocab->count : 0);
    for (const soma__value *v = added->first; v; v = v->next) {
        const char *text = get_text(v, "content");
        const soma__value *id = get(v, "id");
        if (!text || !id || id->kind != SOMA__INT || id->integer < 0 || id->integer >= limit)
            return soma__fail(err, SOMA_FORMAT,
                              "%s: an added token is {\"id\": number below %lld, \"content\": "
                              "text, …}",
                              r->path, (long long)limit);
        if (get_bool(v, "single_word", false))
            return refuse(r, "single_word of added token", text, err);
        if (get_bool(v, "normalized", false) && (r->tokenizer->lowercase || r->tokenizer->nfc))
            return refuse(r, "normalized of added token", text, err);
        if (soma__strings_find(&r->tokenizer->find, text, strlen(text)))
            return soma__fail(err, SOMA_FORMAT, "%s: '%.40s' is added twice", r->path, text);
        soma_status status =
            soma__tokenizer_put(r->tokenizer, id->integer, (soma_text){text, strlen(text)}, err);
        if (status == SOMA_OK)
            status = soma__tokenizer_put_added(r->tokenizer, id->integer,
                                               get_bool(v, "special", false), err);
        if (status != SOMA_OK)
            return soma__fail_within(err, status, "%s", r->path);
        r->tokenizer->token[id->integer].left = get_bool(v, "lstrip", false);
        r->tokenizer->token[id->integer].right = get_bool(v, "rstrip", false);
    }
    return SOMA_OK;
}

/* --- the other parts ----------------------------------------------------------------------------
 */

/* NFC, Lowercase, or these in this order. */
static soma_status read_normalizer(reader *r, const soma__value *part, soma_error *err)
{
    soma_tokenizer *t = r->tokenizer;
    if (!part)
        return SOMA_OK;
    if (is(part, "Sequence")) {
        const soma__value *list = get(part, "normalizers");
        for (const soma__value *v = list ? list->first : NULL; v; v = v->next)
            SOMA__TRY(read_normalizer(r, v, err));
        return SOMA_OK;
    }
    if (is(part, "NFC") && !t->lowercase)
        t->nfc = true;
    else if (is(part, "Lowercase"))
        t->lowercase = true;
    else
        return refuse(r, "normalizer", type_of(part), err);
    return soma__unicode_need(t->nfc ? "NFC" : "lower case", err);
}

#define ANY_CHARACTER "[\\s\\S]"

static soma_status read_byte_level(reader *r, const soma__value *part, soma_error *err)
{
    if (!is_bpe(r))
        return refuse(r, "pre_tokenizer", "ByteLevel of a model that is not BPE", err);
    r->tokenizer->prefix_space = get_bool(part, "add_prefix_space", true);
    r->tokenizer->whole = !get_bool(part, "use_regex", true);
    return SOMA_OK;
}

static soma_status read_pre_tokenizer(reader *r, const soma__value *part, soma_error *err)
{
    if (is(part, "Sequence")) {
        const soma__value *list = get(part, "pretokenizers");
        if (list && list->kind == SOMA__LIST && list->count == 1)
            return read_pre_tokenizer(r, list->first, err);
        return refuse(r, "pre_tokenizer", "Sequence of several", err);
    }
    if (is(part, "ByteLevel"))
        return read_byte_level(r, part, err);
    if (is_bpe(r))
        return refuse(r, "pre_tokenizer of a BPE model", part ? type_of(part) : "null", err);
    if (is(part, "Whitespace"))
        return SOMA_OK;
    if (is(part, "Split")) {
        const char *regex = get_text(get(part, "pattern"), "Regex");
        const char *behavior = get_text(part, "behavior");
        if (regex && behavior && strcmp(regex, ANY_CHARACTER) == 0 &&
            strcmp(behavior, "Isolated") == 0 && !get_bool(part, "invert", false)) {
            r->tokenizer->kind = SOMA_TOKENIZER_CHAR;
            return SOMA_OK;
        }
        return refuse(r, "pre_tokenizer Split by", regex ? regex : "a string", err);
    }
    return refuse(r, "pre_tokenizer", part ? type_of(part) : "null", err);
}

static soma_status wrap(reader *r, const char *name, bool after, soma_error *err)
{
    soma_tokenizer *t = r->tokenizer;
    int64_t id = soma_tokenizer_find(t, (soma_text){name, strlen(name)});
    if (id < 0 || r->tokenizer->wraps[after])
        return refuse(r, "post_processor with", name, err);
    t->special[after ? SOMA_SPECIAL_EOS : SOMA_SPECIAL_BOS] = (int32_t)id;
    t->wraps[after] = true;
    return SOMA_OK;
}

/* At most one token before the text and one after it. */
static soma_status read_template(reader *r, const soma__value *part, soma_error *err)
{
    const soma__value *single = get(part, "single");
    bool after = false;
    for (const soma__value *v = single ? single->first : NULL; v; v = v->next) {
        const char *special = get_text(get(v, "SpecialToken"), "id");
        if (special)
            SOMA__TRY(wrap(r, special, after, err));
        else if (get(v, "Sequence") && !after)
            after = true;
        else
            return refuse(r, "post_processor", "TemplateProcessing of several texts", err);
    }
    return SOMA_OK;
}

static soma_status read_post_processor(reader *r, const soma__value *part, soma_error *err)
{
    if (!part || is(part, "ByteLevel")) /* which only trims offsets */
        return SOMA_OK;
    if (is(part, "Sequence")) {
        const soma__value *list = get(part, "processors");
        for (const soma__value *v = list ? list->first : NULL; v; v = v->next)
            SOMA__TRY(read_post_processor(r, v, err));
        return SOMA_OK;
    }
    if (is(part, "TemplateProcessing"))
        return read_template(r, part, err);
    if (is(part, "RobertaProcessing")) {
        const soma__value *cls = get(part, "cls"), *sep = get(part, "sep");
        if (cls && cls->first && cls->first->kind == SOMA__STRING && sep && sep->first &&
            sep->first->kind == SOMA__STRING) {
            SOMA__TRY(wrap(r, cls->first->text, false, err));
            return wrap(r, sep->first->text, true, err);
        }
    }
    return refuse(r, "post_processor", type_of(part), err);
}

static soma_status read_unknown(reader *r, const soma__value *model, soma_error *err)
{
    const char *name = get_text(model, "unk_token");
    if (!name)
        return SOMA_OK;
    int64_t id = soma_tokenizer_find(r->tokenizer, (soma_text){name, strlen(name)});
    /* WordLevel always names one; without it in the vocabulary unknown words are errors there too.
     */
    if (id < 0 && is_bpe(r))
        return soma__fail(err, SOMA_FORMAT, "%s: unk_token '%.40s' is not in the vocabulary",
                          r->path, name);
    r->tokenizer->special[SOMA_SPECIAL_UNK] = (int32_t)id;
    return SOMA_OK;
}

static soma_status check_bpe(reader *r, const soma__value *model, soma_error *err)
{
    static const char *const texts[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    const soma__value *dropout = get(model, "dropout");
    for (size_t i = 0; i < 2; i++) {
        const char *text = get_text(model, texts[i]);
        if (text && *text)
            return refuse(r, texts[i], text, err);
    }
    if (get_bool(model, "byte_fallback", false))
        return refuse(r, "model.byte_fallback", "true", err);
    if (dropout && dropout->number > 0)
        return refuse(r, "model.dropout", "above 0", err);
    r->tokenizer->ready_words = get_bool(model, "ignore_merges", false);
    return soma__unicode_need("byte-level BPE", err);
}

static soma_status check_bytes(reader *r, const soma__value *model, soma_error *err)
{
    for (int b = 0; b < 256; b++)
        if (r->tokenizer->byte[b] < 0 && get_bool(model, "fuse_unk", false))
            return refuse(r, "model.fuse_unk of a vocabulary that lacks bytes", "true", err);
    return SOMA_OK;
}

static soma_status read_parts(reader *r, const soma__value *root, soma_error *err)
{
    const soma__value *model = get(root, "model");
    bool bpe = is_bpe(r);
    if (get(root, "truncation"))
        return refuse(r, "truncation", "(not null)", err);
    if (get(root, "padding"))
        return refuse(r, "padding", "(not null)", err);
    SOMA__TRY(read_normalizer(r, get(root, "normalizer"), err));
    SOMA__TRY(read_pre_tokenizer(r, get(root, "pre_tokenizer"), err));
    if (bpe)
        SOMA__TRY(check_bpe(r, model, err));
    else if (r->tokenizer->kind == SOMA_TOKENIZER_WORD)
        SOMA__TRY(soma__unicode_need("a word tokeniser", err));
    SOMA__TRY(read_added(r, get(root, "added_tokens"), get(model, "vocab"), err));
    SOMA__TRY(read_vocabulary(r, get(model, "vocab"), err));
    if (bpe)
        SOMA__TRY(read_merges(r, get(model, "merges"), err));
    SOMA__TRY(read_unknown(r, model, err));
    SOMA__TRY(read_post_processor(r, get(root, "post_processor"), err));
    /* A BPE that joins nothing and cuts nothing is a byte tokeniser. */
    if (bpe && !r->tokenizer->merges.count && r->tokenizer->whole && !r->tokenizer->prefix_space)
        r->tokenizer->kind = SOMA_TOKENIZER_BYTE;
    soma_status status = soma__tokenizer_finish(r->tokenizer, err);
    if (status != SOMA_OK)
        return soma__fail_within(err, status, "%s", r->path);
    if (r->tokenizer->kind == SOMA_TOKENIZER_BYTE)
        for (int b = 0; b < 256; b++)
            if (r->tokenizer->byte[b] < 0)
                return soma__fail(err, SOMA_FORMAT, "%s: no token for byte 0x%02x", r->path,
                                  (unsigned)b);
    return check_bytes(r, model, err);
}

static soma_status read_tree(soma_tokenizer **out, const soma__tree *tree, const char *path,
                             soma_error *err)
{
    const soma__value *model = get(tree->root, "model");
    reader r;
    bool bpe = is(model, "BPE") || (!*type_of(model) && get(model, "merges"));
    if (!model)
        return soma__fail(err, SOMA_FORMAT, "%s: there is no \"model\": not a tokenizer.json",
                          path);
    if (!bpe && !is(model, "WordLevel"))
        return soma__fail(err, SOMA_UNSUPPORTED,
                          "%s: a model of type '%.40s' is not understood; BPE and WordLevel are",
                          path, type_of(model));
    SOMA__TRY(reader_init(&r, path, bpe ? SOMA_TOKENIZER_BPE : SOMA_TOKENIZER_WORD, err));
    return reader_end(&r, out, read_parts(&r, tree->root, err));
}

soma_status soma__tokenizer_parse(soma_tokenizer **out, const char *text, size_t size,
                                  const char *name, soma_error *err)
{
    soma__tree tree = {0};
    *out = NULL;
    SOMA__TRY(soma__json_parse(&tree, text, size, name, err));
    soma_status status = read_tree(out, &tree, name, err);
    soma__tree_clear(&tree);
    return status;
}

soma_status soma_tokenizer_load(soma_tokenizer **out, const char *path, soma_error *err)
{
    soma__tree tree = {0};
    *out = NULL;
    SOMA__TRY(soma__json_read(&tree, path, err));
    soma_status status = read_tree(out, &tree, path, err);
    soma__tree_clear(&tree);
    return status;
}

/* --- GPT-2's files ------------------------------------------------------------------------------
 */

static soma_status read_merges_text(reader *r, const char *text, size_t size, soma_error *err)
{
    static const char version[] = "#version";
    size_t number = 0;
    for (size_t at = 0; at < size;) {
        const char *line = text + at, *end = memchr(line, '\n', size - at);
        size_t length = end ? (size_t)(end - line) : size - at;
        at += length + 1;
        if (length && line[length - 1] == '\r')
            length--;
        if (!length ||
            (length >= sizeof version - 1 && memcmp(line, version, sizeof version - 1) == 0))
            continue;
        SOMA__TRY(read_merge_line(r, number++, line, length, err));
    }
    return SOMA_OK;
}

static soma_status read_gpt2(reader *r, const soma__tree *vocab, const char *merges, size_t size,
                             const char *merges_path, soma_error *err)
{
    static const char end[] = "<|endoftext|>";
    SOMA__TRY(soma__unicode_need("byte-level BPE", err));
    SOMA__TRY(read_vocabulary(r, vocab->root, err));
    int64_t id = soma_tokenizer_find(r->tokenizer, (soma_text){end, sizeof end - 1});
    if (id >= 0)
        SOMA__TRY(soma__tokenizer_put_added(r->tokenizer, id, true, err));
    const char *vocab_path = r->path;
    r->path = merges_path;
    SOMA__TRY(read_merges_text(r, merges, size, err));
    soma_status status = soma__tokenizer_finish(r->tokenizer, err);
    return status == SOMA_OK ? status : soma__fail_within(err, status, "%s", vocab_path);
}

soma_status soma__tokenizer_parse_gpt2(soma_tokenizer **out, const soma__tree *vocab,
                                       const char *merges, size_t size, const char *merges_name,
                                       soma_error *err)
{
    reader r;
    *out = NULL;
    SOMA__TRY(reader_init(&r, vocab->source, SOMA_TOKENIZER_BPE, err));
    return reader_end(&r, out, read_gpt2(&r, vocab, merges, size, merges_name, err));
}

soma_status soma_tokenizer_load_gpt2(soma_tokenizer **out, const char *vocab, const char *merges,
                                     soma_error *err)
{
    soma__tree tree = {0};
    void *text;
    size_t size;
    *out = NULL;
    SOMA__TRY(soma__json_read(&tree, vocab, err));
    soma_status status = soma__file_read(&text, &size, merges, SOMA__JSON_MAX_BYTES, err);
    if (status == SOMA_OK) {
        status = soma__tokenizer_parse_gpt2(out, &tree, text, size, merges, err);
        soma__free(text);
    }
    soma__tree_clear(&tree);
    return status;
}

/* --- writing ------------------------------------------------------------------------------------
 */

/* A token as the vocabulary has it. */
static void write_token(soma__text *out, const soma_tokenizer *t, size_t id, soma__text *scratch)
{
    const soma__token *token = &t->token[id];
    bool bytes = t->kind == SOMA_TOKENIZER_BPE || t->kind == SOMA_TOKENIZER_BYTE;
    if (!bytes || token->added || token->literal) {
        soma__json_string(out, token->bytes.data);
        return;
    }
    scratch->length = 0;
    soma__text_append(scratch, "", 0);
    for (size_t i = 0; i < token->bytes.size; i++) {
        char letter[4];
        uint32_t code = soma__byte_letter((unsigned char)token->bytes.data[i]);
        soma__text_append(scratch, letter, soma__utf8_put(code, letter));
    }
    if (scratch->failed)
        out->failed = true;
    else
        soma__json_string(out, scratch->length ? scratch->data : "");
}

static const char *yes(bool value)
{
    return value ? "true" : "false";
}

static void write_added(soma__text *out, const soma_tokenizer *t)
{
    const char *between = "\n";
    soma__text_add(out, "  \"added_tokens\": [");
    for (size_t id = 0; id < t->count; id++) {
        const soma__token *token = &t->token[id];
        if (!token->added)
            continue;
        soma__text_add(out, "%s    {\"id\": %zu, \"content\": ", between, id);
        soma__json_string(out, token->bytes.data);
        soma__text_add(out,
                       ", \"single_word\": false, \"lstrip\": %s, \"rstrip\": %s, \"normalized\": "
                       "false, \"special\": %s}",
                       yes(token->left), yes(token->right), yes(token->special));
        between = ",\n";
    }
    soma__text_add(out, "\n  ],\n");
}

static void write_pipeline(soma__text *out, const soma_tokenizer *t)
{
    static const char nfc[] = "{\"type\": \"NFC\"}", lower[] = "{\"type\": \"Lowercase\"}";
    if (t->nfc && t->lowercase)
        soma__text_add(out,
                       "  \"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [%s, %s]},\n",
                       nfc, lower);
    else
        soma__text_add(out, "  \"normalizer\": %s,\n",
                       t->nfc         ? nfc
                       : t->lowercase ? lower
                                      : "null");
    soma__text_add(out, "  \"pre_tokenizer\": ");
    if (t->kind == SOMA_TOKENIZER_WORD)
        soma__text_add(out, "{\"type\": \"Whitespace\"},\n");
    else if (t->kind == SOMA_TOKENIZER_CHAR)
        soma__text_add(out, "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"[\\\\s\\\\S]\"}, "
                            "\"behavior\": \"Isolated\", \"invert\": false},\n");
    else
        soma__text_add(out,
                       "{\"type\": \"ByteLevel\", \"add_prefix_space\": %s, \"trim_offsets\": "
                       "false, \"use_regex\": %s},\n",
                       yes(t->prefix_space), yes(!t->whole && t->kind == SOMA_TOKENIZER_BPE));
}

static void write_special_piece(soma__text *out, const soma_tokenizer *t, soma_special which)
{
    soma__text_add(out, "{\"SpecialToken\": {\"id\": ");
    soma__json_string(out, t->token[t->special[which]].bytes.data);
    soma__text_add(out, ", \"type_id\": 0}}");
}

static void write_post_processor(soma__text *out, const soma_tokenizer *t)
{
    static const soma_special which[2] = {SOMA_SPECIAL_BOS, SOMA_SPECIAL_EOS};
    const char *between = "";
    soma__text_add(out, "  \"post_processor\": ");
    if (!t->wraps[0] && !t->wraps[1]) {
        soma__text_add(out, "null,\n");
        return;
    }
    soma__text_add(out, "{\"type\": \"TemplateProcessing\", \"single\": [");
    if (t->wraps[0]) {
        write_special_piece(out, t, which[0]);
        soma__text_add(out, ", ");
    }
    soma__text_add(out, "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}");
    if (t->wraps[1]) {
        soma__text_add(out, ", ");
        write_special_piece(out, t, which[1]);
    }
    soma__text_add(out, "], \"pair\": [{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, "
                        "{\"Sequence\": {\"id\": \"B\", \"type_id\": 0}}], \"special_tokens\": {");
    for (int i = 0; i < 2; i++) {
        if (!t->wraps[i])
            continue;
        const char *name = t->token[t->special[which[i]]].bytes.data;
        soma__text_add(out, "%s", between);
        soma__json_string(out, name);
        soma__text_add(out, ": {\"id\": ");
        soma__json_string(out, name);
        soma__text_add(out, ", \"ids\": [%d], \"tokens\": [", t->special[which[i]]);
        soma__json_string(out, name);
        soma__text_add(out, "]}");
        between = ", ";
    }
    soma__text_add(out, "}},\n");
}

static void write_model(soma__text *out, const soma_tokenizer *t, soma__text *scratch)
{
    int32_t unknown = t->special[SOMA_SPECIAL_UNK];
    bool bytes = t->kind == SOMA_TOKENIZER_BPE || t->kind == SOMA_TOKENIZER_BYTE;
    soma__text_add(out, "  \"model\": {\n    \"type\": \"%s\",\n", bytes ? "BPE" : "WordLevel");
    if (bytes)
        soma__text_add(out,
                       "    \"dropout\": null,\n    \"continuing_subword_prefix\": \"\",\n"
                       "    \"end_of_word_suffix\": \"\",\n    \"fuse_unk\": false,\n"
                       "    \"byte_fallback\": false,\n    \"ignore_merges\": %s,\n",
                       yes(t->ready_words));
    soma__text_add(out, "    \"unk_token\": ");
    if (unknown >= 0)
        soma__json_string(out, t->token[unknown].bytes.data);
    else
        soma__text_add(out, bytes ? "null" : "\"<unk>\"");
    soma__text_add(out, ",\n    \"vocab\": {");
    for (size_t id = 0; id < t->count && !out->failed; id++) {
        soma__text_add(out, id ? ",\n      " : "\n      ");
        write_token(out, t, id, scratch);
        soma__text_add(out, ": %zu", id);
    }
    soma__text_add(out, "\n    }");
    if (bytes)
        soma__text_add(out, ",\n    \"merges\": [");
    for (size_t i = 0; bytes && i < t->merges.count && !out->failed; i++) {
        soma__text_add(out, i ? ",\n      [" : "\n      [");
        write_token(out, t, (size_t)soma__pairs_left(&t->merges, (int32_t)i), scratch);
        soma__text_add(out, ", ");
        write_token(out, t, (size_t)soma__pairs_right(&t->merges, (int32_t)i), scratch);
        soma__text_add(out, "]");
    }
    soma__text_add(out, bytes ? "\n    ]\n  }\n}\n" : "\n  }\n}\n");
}

soma_status soma__tokenizer_write(soma__text *out, const soma_tokenizer *t, soma_error *err)
{
    bool bytes = t->kind == SOMA_TOKENIZER_BPE || t->kind == SOMA_TOKENIZER_BYTE;
    soma__text scratch = {0};
    soma__text_add(out,
                   "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n");
    write_added(out, t);
    write_pipeline(out, t);
    write_post_processor(out, t);
    soma__text_add(out, "  \"decoder\": %s,\n",
                   bytes ? "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
                           "\"trim_offsets\": false, \"use_regex\": false}"
                   : t->kind == SOMA_TOKENIZER_CHAR ? "{\"type\": \"Fuse\"}"
                                                    : "null");
    write_model(out, t, &scratch);
    soma__text_free(&scratch);
    return out->failed ? soma__fail(err, SOMA_MEMORY, "no memory to write a tokeniser") : SOMA_OK;
}

soma_status soma_tokenizer_save(const soma_tokenizer *tokenizer, const char *path, soma_error *err)
{
    soma__text out = {0};
    soma_status status = soma__tokenizer_write(&out, tokenizer, err);
    if (status == SOMA_OK)
        status = soma__file_write(path, out.data, out.length, err);
    soma__text_free(&out);
    return status;
}
