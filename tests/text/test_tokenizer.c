/* Tokenisers against HuggingFace tokenizers: pieces, training, ids, offsets, files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "support.h"
#include "support/door.h"
#include "text/split.h"
#include "text/tokenizer.h"

static soma__tree cases;
static char *story;
static size_t story_size;

/* The call with &fault as its soma_error. */
#define must(call_)                                                                                \
    do {                                                                                           \
        soma_error fault = {0};                                                                    \
        if ((call_) != SOMA_OK)                                                                    \
            fail_msg("%s: %s", #call_, fault.message);                                             \
    } while (0)

static int setup(void **state)
{
    (void)state;
    golden_read(&cases, GOLDEN "cases.json");
    story = read_all(GOLDEN "story.txt", &story_size);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    soma__tree_clear(&cases);
    soma__free(story);
    return 0;
}

static soma_tokenizer *trained(soma_tokenizer_options options)
{
    soma_tokenizer *t;
    soma_text text = {story, story_size};
    must(soma_tokenizer_train(&t, &text, 1, &options, &fault));
    return t;
}

static soma_tokenizer *golden_bpe(void)
{
    soma_tokenizer *t;
    must(soma_tokenizer_load(&t, GOLDEN "bpe.json", &fault));
    return t;
}

/* --- golden -------------------------------------------------------------------------------------
 */

static void pieces(void **state)
{
    (void)state;
    for (const soma__value *c = member(cases.root, "texts")->first; c; c = c->next) {
        soma_text text = text_of(member(c, "text")->text);
        size_t at = 0;
        for (const soma__value *v = member(c, "pieces")->first; v; v = v->next) {
            size_t size = soma__split_gpt2(text.data + at, text.size - at);
            if ((int64_t)size != v->integer)
                fail_msg("'%s' at %zu: a piece of %zu bytes, expected %lld", text.data, at, size,
                         (long long)v->integer);
            at += size;
        }
        assert_int_equal(at, text.size);
    }
}

/* Does NFC change it? Theirs then counts a mark to no token, ours to the letter that took it. */
static bool is_composed(soma_text text)
{
    char *composed;
    must(soma_text_normalize(&composed, NULL, text, true, false, &fault));
    bool same = strcmp(composed, text.data) == 0;
    soma_text_free(composed);
    return same;
}

/* The ids of each golden text, and (where our offsets mean the same) the offsets. */
static void check_ids(const soma_tokenizer *t, const char *name, bool offsets)
{
    for (const soma__value *c = member(cases.root, "texts")->first; c; c = c->next) {
        soma_text text = text_of(member(c, "text")->text);
        const soma__value *expected = member(c, name);
        const soma__value *id = member(expected, "ids")->first;
        bool places = offsets && is_composed(text);
        const soma__value *place = member(expected, "offsets")->first;
        soma_tokens tokens;
        must(soma_tokenizer_encode(t, text, NULL, &tokens, &fault));
        if (tokens.count != member(expected, "ids")->count)
            fail_msg("%s: '%s' has %lld tokens, expected %d", name, text.data,
                     (long long)tokens.count, member(expected, "ids")->count);
        for (int64_t i = 0; i < tokens.count; i++, id = id->next, place = place->next) {
            if (tokens.ids[i] != id->integer)
                fail_msg("%s: '%s': token %lld is %d, expected %lld", name, text.data, (long long)i,
                         tokens.ids[i], (long long)id->integer);
            if (places &&
                (tokens.start[i] != place->first->integer || tokens.end[i] != place->last->integer))
                fail_msg("%s: '%s': token %lld is at %lld to %lld, expected %lld to %lld", name,
                         text.data, (long long)i, (long long)tokens.start[i],
                         (long long)tokens.end[i], (long long)place->first->integer,
                         (long long)place->last->integer);
        }
        soma_tokens_clear(&tokens);
    }
}

static void loaded_bpe(void **state)
{
    (void)state;
    soma_tokenizer *t = golden_bpe();
    assert_int_equal(soma_tokenizer_kind_of(t), SOMA_TOKENIZER_BPE);
    assert_int_equal(soma_tokenizer_count(t), 400);
    assert_int_equal(soma_tokenizer_special(t, SOMA_SPECIAL_PAD), 0);
    assert_int_equal(soma_tokenizer_special(t, SOMA_SPECIAL_UNK), -1);
    check_ids(t, "bpe", false);
    soma_tokenizer_release(t);
}

static void loaded_gpt2(void **state)
{
    (void)state;
    soma_tokenizer *t;
    must(soma_tokenizer_load_gpt2(&t, GOLDEN "vocab.json", GOLDEN "merges.txt", &fault));
    assert_int_equal(soma_tokenizer_special(t, SOMA_SPECIAL_EOS), 0);
    check_ids(t, "gpt2", false);
    soma_tokens tokens;
    must(soma_tokenizer_encode(t, text_of("a<|endoftext|>b"), NULL, &tokens, &fault));
    assert_int_equal(tokens.count, 3);
    assert_int_equal(tokens.ids[1], 0);
    assert_int_equal(tokens.start[1], 1);
    assert_int_equal(tokens.end[1], 14);
    soma_tokens_clear(&tokens);
    soma_tokenizer_release(t);
}

/* The same tokens with the same ids as HuggingFace's trainer makes. */
static void trained_bpe(void **state)
{
    (void)state;
    soma_tokenizer *ours =
        trained((soma_tokenizer_options){.kind = SOMA_TOKENIZER_BPE, .size = 400});
    soma_tokenizer *theirs = golden_bpe();
    assert_int_equal(soma_tokenizer_count(ours), soma_tokenizer_count(theirs));
    for (int64_t i = 0; i < soma_tokenizer_count(ours); i++) {
        soma_text a = soma_tokenizer_token(ours, i), b = soma_tokenizer_token(theirs, i);
        if (a.size != b.size || memcmp(a.data, b.data, a.size) != 0)
            fail_msg("token %lld is '%s', expected '%s'", (long long)i, a.data, b.data);
    }
    check_ids(ours, "bpe", false);
    soma_tokenizer_release(ours);
    soma_tokenizer_release(theirs);
}

static void check_trained(const char *name, soma_tokenizer_options options)
{
    soma_tokenizer *t = trained(options);
    const soma__value *vocabulary = member(member(cases.root, "vocabulary"), name);
    assert_int_equal(soma_tokenizer_count(t), vocabulary->count);
    int64_t i = 0;
    for (const soma__value *v = vocabulary->first; v; v = v->next, i++)
        assert_string_equal(soma_tokenizer_token(t, i).data, v->text);
    assert_null(soma_tokenizer_token(t, i).data);
    check_ids(t, name, true);
    soma_tokenizer_release(t);
}

static void trained_words(void **state)
{
    (void)state;
    check_trained("word", (soma_tokenizer_options){.kind = SOMA_TOKENIZER_WORD, .size = 120});
    check_trained("word_lower", (soma_tokenizer_options){
                                    .kind = SOMA_TOKENIZER_WORD, .lowercase = true, .nfc = true});
}

static void trained_characters(void **state)
{
    (void)state;
    check_trained("char", (soma_tokenizer_options){.kind = SOMA_TOKENIZER_CHAR});
    check_trained("char_nfc", (soma_tokenizer_options){.kind = SOMA_TOKENIZER_CHAR, .nfc = true});
}

/* --- what must hold of any text -----------------------------------------------------------------
 */

/* Joins the pair of lowest rank, the leftmost of equals, by looking at all of them each time. */
static size_t join_plainly(const soma_tokenizer *t, int32_t *id, size_t count)
{
    for (;;) {
        int32_t best = INT32_MAX;
        size_t at = 0;
        for (size_t i = 0; i + 1 < count; i++) {
            int32_t rank = soma__pairs_find(&t->merges, id[i], id[i + 1]);
            if (rank >= 0 && rank < best) {
                best = rank;
                at = i;
            }
        }
        if (best == INT32_MAX)
            return count;
        id[at] = t->result[best];
        count--;
        memmove(id + at + 1, id + at + 2, (count - at - 1) * sizeof *id);
    }
}

/* Pieces of all lengths around where the heap takes over, of few letters so that much is joined. */
static void joins(void **state)
{
    (void)state;
    soma_tokenizer *t = golden_bpe();
    static const char letters[] = "theandwrsi";
    char text[300];
    int32_t plain[300];
    uint64_t seed = 7;
    for (size_t size = 1; size < sizeof text; size += size < 80 ? 1 : 17)
        for (int round = 0; round < 5; round++) {
            for (size_t i = 0; i < size; i++) {
                seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                text[i] = letters[(seed >> 33) % (sizeof letters - 1)];
                plain[i] = t->byte[(unsigned char)text[i]];
            }
            size_t count = join_plainly(t, plain, size);
            soma_tokens tokens;
            must(soma_tokenizer_encode(t, (soma_text){text, size}, NULL, &tokens, &fault));
            assert_int_equal(tokens.count, count);
            assert_memory_equal(tokens.ids, plain, count * sizeof *plain);
            soma_tokens_clear(&tokens);
        }
    soma_tokenizer_release(t);
}

static void any_bytes_come_back(void **state)
{
    (void)state;
    char all[5 * 256];
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (char)(i * 7 + i / 256);
    const soma_text texts[] = {{all, sizeof all}, {story, story_size}, {"\xe2\x82", 2}, {NULL, 0}};
    for (int kind = SOMA_TOKENIZER_BYTE; kind <= SOMA_TOKENIZER_BPE; kind++) {
        soma_tokenizer *t = trained((soma_tokenizer_options){.kind = (soma_tokenizer_kind)kind,
                                                             .special = SOMA_SPECIAL_NONE});
        for (size_t i = 0; i < 4; i++) {
            soma_tokens tokens;
            char *back;
            size_t size;
            must(soma_tokenizer_encode(t, texts[i], NULL, &tokens, &fault));
            must(soma_tokenizer_decode(t, tokens.ids, tokens.count, true, &back, &size, &fault));
            assert_int_equal(size, texts[i].size);
            if (size)
                assert_memory_equal(back, texts[i].data, size);
            /* Tokens lie side by side and each is its bytes. */
            int64_t at = 0;
            for (int64_t k = 0; k < tokens.count; k++) {
                soma_text token = soma_tokenizer_token(t, tokens.ids[k]);
                assert_int_equal(tokens.start[k], at);
                at += (int64_t)token.size;
                assert_int_equal(tokens.end[k], at);
            }
            if (kind == SOMA_TOKENIZER_BYTE && tokens.count)
                assert_int_equal(tokens.ids[0], (unsigned char)texts[i].data[0]);
            soma_tokens_clear(&tokens);
            soma_text_free(back);
        }
        soma_tokenizer_release(t);
    }
}

static void unknown_and_bad(void **state)
{
    (void)state;
    soma_tokenizer *t = trained((soma_tokenizer_options){.kind = SOMA_TOKENIZER_CHAR});
    soma_tokens tokens;
    soma_error err = {0};
    must(soma_tokenizer_encode(t, (soma_text){"a\xff\xe6\x9f\0z", 6}, NULL, &tokens, &fault));
    assert_int_equal(tokens.count, 5);
    const int64_t places[] = {0, 1, 2, 4, 5};
    for (int i = 1; i < 4; i++)
        assert_int_equal(tokens.ids[i], soma_tokenizer_special(t, SOMA_SPECIAL_UNK));
    for (int i = 0; i < 5; i++)
        assert_int_equal(tokens.start[i], places[i]);
    soma_tokens_clear(&tokens);
    assert_int_equal(soma_tokenizer_encode(t, (soma_text){"ab\xff", 3},
                                           &(soma_encode_options){.strict = true}, &tokens, &err),
                     SOMA_FORMAT);
    assert_non_null(strstr(err.message, "byte 2 (0xff)"));
    assert_null(tokens.ids);
    soma_tokenizer_release(t);
    t = trained(
        (soma_tokenizer_options){.kind = SOMA_TOKENIZER_WORD, .special = SOMA_SPECIAL_NONE});
    assert_int_equal(soma_tokenizer_encode(t, text_of("the zebra"), NULL, &tokens, &err),
                     SOMA_NOT_FOUND);
    assert_non_null(strstr(err.message, "'zebra' at byte 4"));
    soma_tokenizer_release(t);
}

static void specials(void **state)
{
    (void)state;
    soma_tokenizer *t =
        trained((soma_tokenizer_options){.kind = SOMA_TOKENIZER_WORD, .special = 31});
    soma_tokens tokens;
    for (int i = 0; i < SOMA_SPECIAL_COUNT; i++)
        assert_int_equal(soma_tokenizer_special(t, (soma_special)i), i);
    assert_int_equal(soma_tokenizer_special(t, SOMA_SPECIAL_COUNT), -1);
    must(soma_tokenizer_encode(t, text_of("the <mask> dog"),
                               &(soma_encode_options){.bos = true, .eos = true}, &tokens, &fault));
    assert_int_equal(tokens.count, 5);
    assert_int_equal(tokens.ids[0], SOMA_SPECIAL_BOS);
    assert_int_equal(tokens.ids[2], SOMA_SPECIAL_MASK);
    assert_int_equal(tokens.ids[4], SOMA_SPECIAL_EOS);
    assert_int_equal(tokens.end[4], 14);
    char *text;
    must(soma_tokenizer_decode(t, tokens.ids, tokens.count, false, &text, NULL, &fault));
    assert_string_equal(text, "the dog");
    soma_text_free(text);
    must(soma_tokenizer_decode(t, tokens.ids, tokens.count, true, &text, NULL, &fault));
    assert_string_equal(text, "<bos> the <mask> dog <eos>");
    soma_text_free(text);
    soma_tokens_clear(&tokens);
    must(soma_tokenizer_encode(t, text_of("<mask>"), &(soma_encode_options){.plain = true}, &tokens,
                               &fault));
    assert_int_equal(tokens.count, 3);
    soma_tokens_clear(&tokens);
    soma_error err = {0};
    const int32_t beyond[] = {0, (int32_t)soma_tokenizer_count(t)};
    assert_int_equal(soma_tokenizer_decode(t, beyond, 2, false, &text, NULL, &err), SOMA_INVALID);
    assert_non_null(strstr(err.message, "token 1 has id"));
    soma_tokenizer_release(t);
    t = golden_bpe();
    assert_int_equal(
        soma_tokenizer_encode(t, text_of("a"), &(soma_encode_options){.bos = true}, &tokens, &err),
        SOMA_INVALID);
    assert_non_null(strstr(err.message, "no <bos> token"));
    soma_tokenizer_release(t);
}

static void options(void **state)
{
    (void)state;
    static const struct {
        soma_tokenizer_options options;
        const char *message;
    } bad[] = {
        {{.kind = SOMA_TOKENIZER_BPE, .size = 256}, "at least 257"},
        {{.kind = SOMA_TOKENIZER_WORD, .size = 2}, "at least 3"},
        {{.kind = SOMA_TOKENIZER_WORD, .size = -1}, "not -1"},
        {{.kind = SOMA_TOKENIZER_WORD, .min_count = -2}, "occur -2 times"},
        {{.kind = (soma_tokenizer_kind)9}, "no kind of tokeniser 9"},
        {{.special = 64}, "special: bits"},
        {{.special = SOMA_SPECIAL_NONE | 1}, "special: bits"},
    };
    soma_text text = {story, story_size};
    soma_tokenizer *t;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        soma_error err = {0};
        assert_int_equal(soma_tokenizer_train(&t, &text, 1, &bad[i].options, &err), SOMA_INVALID);
        assert_null(t);
        if (!strstr(err.message, bad[i].message))
            fail_msg("'%s' has no '%s'", err.message, bad[i].message);
    }
    soma_error err = {0};
    assert_int_equal(soma_tokenizer_train(&t, NULL, 0,
                                          &(soma_tokenizer_options){.special = SOMA_SPECIAL_NONE},
                                          &err),
                     SOMA_INVALID);
    assert_non_null(strstr(err.message, "empty"));
    /* Rare words are left out; a NUL in a text is unknown, not the end of it. */
    t = trained((soma_tokenizer_options){.kind = SOMA_TOKENIZER_WORD, .min_count = 3});
    assert_true(soma_tokenizer_find(t, text_of("keeper")) > 0);
    assert_int_equal(soma_tokenizer_find(t, text_of("waiter")), -1);
    soma_tokenizer_release(t);
}

/* --- files --------------------------------------------------------------------------------------
 */

static void saved_and_loaded(void **state)
{
    (void)state;
    const soma_tokenizer_options all[] = {
        {.kind = SOMA_TOKENIZER_WORD, .lowercase = true, .nfc = true},
        {.kind = SOMA_TOKENIZER_CHAR, .special = 31, .nfc = true},
        {.kind = SOMA_TOKENIZER_BYTE, .lowercase = true},
        {.kind = SOMA_TOKENIZER_BPE, .size = 400, .special = 31},
    };
    char path[] = "/tmp/soma-tokenizer-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    for (size_t i = 0; i < 4; i++) {
        soma_tokenizer *t = trained(all[i]), *again;
        must(soma_tokenizer_save(t, path, &fault));
        must(soma_tokenizer_load(&again, path, &fault));
        assert_int_equal(soma_tokenizer_kind_of(again), all[i].kind);
        assert_int_equal(soma_tokenizer_count(again), soma_tokenizer_count(t));
        for (int s = 0; s < SOMA_SPECIAL_COUNT; s++)
            assert_int_equal(soma_tokenizer_special(again, (soma_special)s),
                             soma_tokenizer_special(t, (soma_special)s));
        for (const soma__value *c = member(cases.root, "texts")->first; c; c = c->next) {
            soma_tokens a, b;
            soma_text text = text_of(member(c, "text")->text);
            must(soma_tokenizer_encode(t, text, NULL, &a, &fault));
            must(soma_tokenizer_encode(again, text, NULL, &b, &fault));
            assert_int_equal(a.count, b.count);
            if (a.count)
                assert_memory_equal(a.ids, b.ids, (size_t)a.count * sizeof *a.ids);
            soma_tokens_clear(&a);
            soma_tokens_clear(&b);
        }
        soma__text first = {0}, second = {0};
        must(soma__tokenizer_write(&first, t, &fault));
        must(soma__tokenizer_write(&second, again, &fault));
        assert_string_equal(first.data, second.data);
        soma__text_free(&first);
        soma__text_free(&second);
        soma_tokenizer_release(t);
        soma_tokenizer_release(again);
    }
    unlink(path);
}

#define HEAD "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},"
#define MODEL                                                                                      \
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}"

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        soma_status status;
        const char *message;
    } bad[] = {
        {"{", SOMA_FORMAT, "not valid JSON"},
        {"[]", SOMA_FORMAT, "no \"model\""},
        {"{\"model\":{\"type\":\"Unigram\"}}", SOMA_UNSUPPORTED, "type 'Unigram'"},
        {"{\"model\":{\"type\":\"BPE\"}}", SOMA_UNSUPPORTED, "pre_tokenizer of a BPE model 'null'"},
        {"{\"pre_tokenizer\":{\"type\":\"Metaspace\"}," MODEL "}", SOMA_UNSUPPORTED, "'Metaspace'"},
        {"{\"pre_tokenizer\":{\"type\":\"Whitespace\"},\"model\":{\"type\":\"WordLevel\"}}",
         SOMA_FORMAT, "not a map of tokens"},
        {"{\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"model\":{\"type\":\"WordLevel\"}}",
         SOMA_UNSUPPORTED, "pre_tokenizer 'BertPreTokenizer'"},
        {"{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"x\"}},\"model\":{"
         "\"type\":"
         "\"WordLevel\"}}",
         SOMA_UNSUPPORTED, "Split by 'x'"},
        {HEAD "\"truncation\":{}," MODEL "}", SOMA_UNSUPPORTED, "truncation"},
        {HEAD "\"padding\":{}," MODEL "}", SOMA_UNSUPPORTED, "padding"},
        {HEAD "\"normalizer\":{\"type\":\"NFKC\"}," MODEL "}", SOMA_UNSUPPORTED, "'NFKC'"},
        {HEAD "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Lowercase\"},{"
              "\"type\":\"NFC\"}]}," MODEL "}",
         SOMA_UNSUPPORTED, "normalizer 'NFC'"},
        {HEAD "\"post_processor\":{\"type\":\"BertProcessing\"}," MODEL "}", SOMA_UNSUPPORTED,
         "'BertProcessing'"},
        {HEAD "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{"
              "\"id\":\"[CLS]\"}}]}," MODEL "}",
         SOMA_UNSUPPORTED, "'[CLS]'"},
        {HEAD "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":2},\"merges\":[]}}",
         SOMA_FORMAT, "from 0 to 1"},
        {HEAD "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}}",
         SOMA_FORMAT, "id 0 is that of two"},
        {HEAD "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}", SOMA_FORMAT,
         "the id of 'a'"},
        {HEAD "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":\"0\"},\"merges\":[]}}", SOMA_FORMAT,
         "the id of 'a'"},
        {HEAD "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a\"]}}", SOMA_FORMAT,
         "merge 0, 'a', is not two tokens"},
        {HEAD "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}}", SOMA_FORMAT,
         "merge 0: 'a', 'b' or both"},
        {HEAD "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}}", SOMA_FORMAT,
         "merge 0 is not a pair"},
        {HEAD "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a \\u4e00\"]}}",
         SOMA_FORMAT, "letters for bytes"},
        {HEAD
         "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\","
         "[\"a\",\"b\"]]}}",
         SOMA_FORMAT, "a second time"},
        {HEAD
         "\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"vocab\":{\"a\":0},\"merges\":[]}}",
         SOMA_UNSUPPORTED, "byte_fallback"},
        {HEAD "\"model\":{\"type\":\"BPE\",\"dropout\":0.1,\"vocab\":{\"a\":0},\"merges\":[]}}",
         SOMA_UNSUPPORTED, "dropout"},
        {HEAD "\"model\":{\"type\":\"BPE\",\"end_of_word_suffix\":\"</w>\",\"vocab\":{\"a\":0},"
              "\"merges\":[]}}",
         SOMA_UNSUPPORTED, "'</w>'"},
        {HEAD "\"model\":{\"type\":\"BPE\",\"unk_token\":\"?\",\"vocab\":{\"a\":0},\"merges\":[]}}",
         SOMA_FORMAT, "unk_token '?'"},
        {HEAD "\"added_tokens\":[{\"id\":9,\"content\":\"x\"}]," MODEL "}", SOMA_FORMAT,
         "number below 4"},
        {HEAD "\"added_tokens\":[{\"id\":3,\"content\":\"\"}]," MODEL "}", SOMA_FORMAT, "is empty"},
        {HEAD "\"added_tokens\":[{\"id\":3,\"content\":\"x\",\"single_word\":true}]," MODEL "}",
         SOMA_UNSUPPORTED, "single_word"},
        {HEAD "\"added_tokens\":[{\"id\":2,\"content\":\"x\"}]," MODEL "}", SOMA_FORMAT,
         "id 2 is that of two tokens"},
        {HEAD "\"added_tokens\":[{\"id\":3,\"content\":\"a\"}]," MODEL "}", SOMA_FORMAT,
         "'a' has id 0 in the vocabulary and 3 in added_tokens"},
        {HEAD "\"added_tokens\":[{\"id\":3,\"content\":\"x\"},{\"id\":4,\"content\":\"x\"}]," MODEL
              "}",
         SOMA_FORMAT, "'x' is added twice"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        soma_tokenizer *t = NULL;
        soma_error err = {0};
        soma_status status =
            soma__tokenizer_parse(&t, bad[i].json, strlen(bad[i].json), "bad.json", &err);
        assert_null(t);
        if (status != bad[i].status || !strstr(err.message, bad[i].message) ||
            !strstr(err.message, "bad.json"))
            fail_msg("%s: status %d, '%s'", bad[i].json, status, err.message);
    }
    soma_tokenizer *t;
    soma_error err = {0};
    assert_int_equal(soma_tokenizer_load(&t, "/no/such/file", &err), SOMA_IO);
    assert_int_equal(soma_tokenizer_load_gpt2(&t, GOLDEN "vocab.json", GOLDEN "story.txt", &err),
                     SOMA_FORMAT);
    assert_non_null(strstr(err.message, "story.txt: merge 0"));
}

static void check_spans(const soma_tokenizer *t, const char *text, int count, const int32_t *ids,
                        const int64_t *start, const int64_t *end)
{
    soma_tokens tokens;
    must(soma_tokenizer_encode(t, text_of(text), NULL, &tokens, &fault));
    assert_int_equal(tokens.count, count);
    assert_memory_equal(tokens.ids, ids, (size_t)count * sizeof *ids);
    assert_memory_equal(tokens.start, start, (size_t)count * sizeof *start);
    assert_memory_equal(tokens.end, end, (size_t)count * sizeof *end);
    soma_tokens_clear(&tokens);
}

/* What other files can say: a space put in front, tokens that swallow spaces, ready words, unknown
 * bytes, tokens around a text. */
static void other_files(void **state)
{
    (void)state;
    static const char json[] =
        "{\"added_tokens\":[{\"id\":5,\"content\":\"<mask>\",\"lstrip\":true,\"special\":true},"
        "{\"id\":6,\"content\":\"<m\",\"rstrip\":true,\"special\":false},"
        "{\"id\":7,\"content\":\"<s>\",\"special\":true},{\"id\":8,\"content\":\"</"
        "s>\",\"special\":"
        "true}],\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\"post_processor\":{\"type\":"
        "\"RobertaProcessing\",\"sep\":[\"</s>\",8],\"cls\":[\"<s>\",7]},"
        "\"model\":{\"unk_token\":\"?\",\"ignore_merges\":true,\"vocab\":{\"?\":0,\"a\":1,\"b\":2,"
        "\"\\u0120\":3,\"\\u0120ab\":4},\"merges\":[]}}";
    soma_tokenizer *t, *again;
    must(soma__tokenizer_parse(&t, json, sizeof json - 1, "other.json", &fault));
    check_spans(t, "ab", 1, (int32_t[]){4}, (int64_t[]){0}, (int64_t[]){2});
    check_spans(t, " ab", 1, (int32_t[]){4}, (int64_t[]){0}, (int64_t[]){3});
    check_spans(t, "aab", 4, (int32_t[]){3, 1, 1, 2}, (int64_t[]){0, 0, 1, 2},
                (int64_t[]){0, 1, 2, 3});
    check_spans(t, "ab  <mask>ab", 3, (int32_t[]){4, 5, 4}, (int64_t[]){0, 2, 10},
                (int64_t[]){2, 10, 12});
    check_spans(t, "<m  ab", 2, (int32_t[]){6, 4}, (int64_t[]){0, 4}, (int64_t[]){4, 6});
    check_spans(t, " z", 2, (int32_t[]){3, 0}, (int64_t[]){0, 1}, (int64_t[]){1, 2});
    assert_int_equal(soma_tokenizer_special(t, SOMA_SPECIAL_BOS), 7);
    assert_int_equal(soma_tokenizer_special(t, SOMA_SPECIAL_EOS), 8);
    soma__text text = {0}, second = {0};
    must(soma__tokenizer_write(&text, t, &fault));
    must(soma__tokenizer_parse(&again, text.data, text.length, "again", &fault));
    must(soma__tokenizer_write(&second, again, &fault));
    assert_string_equal(text.data, second.data);
    soma__text_free(&text);
    soma__text_free(&second);
    soma_tokenizer_release(t);
    soma_tokenizer_release(again);
}

/* A vocabulary of 5,000 trained on Shakespeare's plays: HuggingFace's ids, by their sum. */
static void shakespeare(void **state)
{
    (void)state;
    const char *folder = getenv("SOMA_DATA");
    char path[1024];
    snprintf(path, sizeof path, "%s/text-tinyshakespeare/input.txt", folder ? folder : "");
    if (!folder || !soma__file_exists(path)) {
        puts("skipped: no text-tinyshakespeare under SOMA_DATA");
        return;
    }
    size_t size;
    char *all = read_all(path, &size);
    soma_text text = {all, size};
    soma_tokenizer *t;
    soma_tokens tokens;
    must(soma_tokenizer_train(&t, &text, 1,
                              &(soma_tokenizer_options){.kind = SOMA_TOKENIZER_BPE,
                                                        .size = 5000,
                                                        .special = SOMA_SPECIAL_NONE},
                              &fault));
    must(soma_tokenizer_encode(t, text, NULL, &tokens, &fault));
    uint64_t hash = 0;
    for (int64_t i = 0; i < tokens.count; i++)
        hash = hash * 31 + (uint64_t)tokens.ids[i];
    assert_int_equal(tokens.count, 334840);
    assert_true(hash == UINT64_C(8097122645553423727));
    soma_tokens_clear(&tokens);
    soma_tokenizer_release(t);
    soma__free(all);
}

/* --- lack of memory -----------------------------------------------------------------------------
 */

static soma_status use_one(soma_tokenizer_options options, soma_error *err)
{
    soma_text texts[2] = {{story, 700}, {"caf\xc3\xa9 e\xcc\x81 <pad> \xff", 17}};
    soma_tokenizer *t;
    soma_tokens tokens = {0};
    soma__text out = {0};
    char *text = NULL;
    SOMA__TRY(soma_tokenizer_train(&t, texts, 2, &options, err));
    soma_status status = soma_tokenizer_encode(t, texts[1], NULL, &tokens, err);
    if (status == SOMA_OK)
        status = soma_tokenizer_decode(t, tokens.ids, tokens.count, true, &text, NULL, err);
    if (status == SOMA_OK)
        status = soma__tokenizer_write(&out, t, err);
    soma_text_free(text);
    soma__text_free(&out);
    soma_tokens_clear(&tokens);
    soma_tokenizer_release(t);
    return status;
}

static soma_status use_words(soma_error *err)
{
    return use_one((soma_tokenizer_options){.kind = SOMA_TOKENIZER_WORD, .nfc = true, .size = 30},
                   err);
}

static soma_status use_pairs(soma_error *err)
{
    return use_one((soma_tokenizer_options){.kind = SOMA_TOKENIZER_BPE, .size = 280}, err);
}

static soma_status load_one(soma_error *err)
{
    static const char json[] = HEAD MODEL "}";
    soma_tokenizer *t;
    SOMA__TRY(soma__tokenizer_parse(&t, json, sizeof json - 1, "x", err));
    soma_tokenizer_release(t);
    return SOMA_OK;
}

static void without_memory(void **state)
{
    (void)state;
    long before = door_live;
    door_refuse_each(use_words, 20, false);
    door_refuse_each(use_pairs, 50, false);
    door_refuse_each(load_one, 10, false);
    assert_int_equal(door_live, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces),          cmocka_unit_test(loaded_bpe),
        cmocka_unit_test(loaded_gpt2),     cmocka_unit_test(trained_bpe),
        cmocka_unit_test(trained_words),   cmocka_unit_test(trained_characters),
        cmocka_unit_test(joins),           cmocka_unit_test(any_bytes_come_back),
        cmocka_unit_test(unknown_and_bad), cmocka_unit_test(specials),
        cmocka_unit_test(options),         cmocka_unit_test(saved_and_loaded),
        cmocka_unit_test(refused),         cmocka_unit_test(other_files),
        cmocka_unit_test(shakespeare),     cmocka_unit_test(without_memory),
    };
    if (!have_unicode())
        return 77;
    return cmocka_run_group_tests(tests, setup, teardown);
}
