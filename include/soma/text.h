/* soma/text.h: text to numbers and back.
 *
 * A tokeniser cuts text into tokens, each of which has a number, its id. Four kinds, one type:
 *
 *   word    what HuggingFace calls Whitespace: \w+|[^\w\s]+, in any script; spaces are left out
 *   char    one token a code point
 *   byte    one token a byte: any input, no unknown token
 *   bpe     byte-level byte-pair encoding, as GPT-2 has it: any input, no unknown token
 *
 * Text is UTF-8 of any length, NUL bytes included. What is not UTF-8 counts as U+FFFD (one for each
 * maximal subpart) for word and char, stays as it is for byte and bpe, and is an error when
 * encoding `strict`. A tokeniser does not change after it was made: any number of threads may use
 * one.
 *
 * word and bpe need utf8proc, files need Jansson: SOMA_UNSUPPORTED without. */
#ifndef SOMA_TEXT_H
#define SOMA_TEXT_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A piece of text that is somebody else's. */
typedef struct soma_text {
    const char *data;
    size_t size;
} soma_text;

#define SOMA_TOKENIZER_LIST(X)                                                                     \
    X(WORD, word, "words and runs of punctuation")                                                 \
    X(CHAR, char, "characters (code points)")                                                      \
    X(BYTE, byte, "bytes")                                                                         \
    X(BPE, bpe, "byte-level byte-pair encoding, as GPT-2")
typedef enum soma_tokenizer_kind {
#define SOMA__TOKENIZER_ENUM(name_, text_, doc_) SOMA_TOKENIZER_##name_,
    SOMA_TOKENIZER_LIST(SOMA__TOKENIZER_ENUM)
#undef SOMA__TOKENIZER_ENUM
} soma_tokenizer_kind;

/* Tokens that stand for no text: X(identifier, text). A file that is loaded may write them
 * "[PAD]", "</s>" and the like; `soma_tokenizer_special` finds them all. */
#define SOMA_SPECIAL_LIST(X)                                                                       \
    X(PAD, "<pad>")   /* fills short texts up */                                                   \
    X(UNK, "<unk>")   /* what is not in the vocabulary */                                          \
    X(BOS, "<bos>")   /* before a text */                                                          \
    X(EOS, "<eos>")   /* after a text */                                                           \
    X(MASK, "<mask>") /* a word that is to be guessed */
typedef enum soma_special {
#define SOMA__SPECIAL_ENUM(name_, text_) SOMA_SPECIAL_##name_,
    SOMA_SPECIAL_LIST(SOMA__SPECIAL_ENUM)
#undef SOMA__SPECIAL_ENUM
        SOMA_SPECIAL_COUNT
} soma_special;
/* 1 << SOMA_SPECIAL_PAD and so on, for soma_tokenizer_options.special. */
#define SOMA_SPECIAL_NONE (1u << SOMA_SPECIAL_COUNT)

typedef struct soma_tokenizer_options {
    soma_tokenizer_kind kind;
    int64_t size;      /* most tokens, special ones included; 0: 30,000 for word and bpe */
    int64_t min_count; /* rarer words, characters or pairs are left out; 0: 1, bpe 2 */
    bool lowercase;    /* before anything else; not exact for decoding */
    bool nfc;          /* canonical composition, before lowercase */
    unsigned special;  /* bits; 0: pad and unk, for byte and bpe pad; SOMA_SPECIAL_NONE: none. They
                          get the first ids, in the order of the list */
} soma_tokenizer_options;

typedef struct soma_tokenizer soma_tokenizer;

/* Makes the vocabulary from texts. Equal texts give equal tokenisers:
 *   word, char: by falling count; of equal counts the one whose bytes come first
 *   bpe: the pair that occurs most is joined next; of equal counts the one whose left token, then
 *        whose right token, has the lower id. Bytes get their ids in the order of GPT-2's letters
 * for them. The same merges as HuggingFace's BpeTrainer with ByteLevel's alphabet. Errors:
 * SOMA_INVALID (an option, a size that has no room for the bytes), SOMA_MEMORY, SOMA_UNSUPPORTED.
 */
SOMA_MUST_CHECK SOMA_API soma_status soma_tokenizer_train(soma_tokenizer **out,
                                                          const soma_text *texts, int64_t count,
                                                          const soma_tokenizer_options *options,
                                                          soma_error *err);
/* A HuggingFace tokenizer.json: byte-level BPE (GPT-2, RoBERTa and their like), or what
 * soma_tokenizer_save wrote. What it says and is not understood is SOMA_UNSUPPORTED with its name:
 * nothing is passed over that would change an id. Errors: SOMA_FORMAT, SOMA_IO, SOMA_MEMORY too. */
SOMA_MUST_CHECK SOMA_API soma_status soma_tokenizer_load(soma_tokenizer **out, const char *path,
                                                         soma_error *err);
/* GPT-2's pair of files, vocab.json and merges.txt. */
SOMA_MUST_CHECK SOMA_API soma_status soma_tokenizer_load_gpt2(soma_tokenizer **out,
                                                              const char *vocab, const char *merges,
                                                              soma_error *err);
/* Writes tokenizer.json, which `tokenizers` and `transformers` open. */
SOMA_MUST_CHECK SOMA_API soma_status soma_tokenizer_save(const soma_tokenizer *tokenizer,
                                                         const char *path, soma_error *err);
SOMA_API soma_tokenizer *soma_tokenizer_retain(soma_tokenizer *tokenizer);
SOMA_API void soma_tokenizer_release(soma_tokenizer *tokenizer);

SOMA_API soma_tokenizer_kind soma_tokenizer_kind_of(const soma_tokenizer *tokenizer);
SOMA_API int64_t soma_tokenizer_count(const soma_tokenizer *tokenizer); /* ids are below it */
/* The id of a special token, -1: there is none. */
SOMA_API int64_t soma_tokenizer_special(const soma_tokenizer *tokenizer, soma_special which);
/* The bytes that a token stands for (of a special token its name); {NULL, 0}: no such id. */
SOMA_API soma_text soma_tokenizer_token(const soma_tokenizer *tokenizer, int64_t id);
/* The id of the token that stands for exactly these bytes, -1: none. */
SOMA_API int64_t soma_tokenizer_find(const soma_tokenizer *tokenizer, soma_text token);
/* Name and one line about a kind of tokeniser; false when index is out of range. */
SOMA_API bool soma_tokenizer_kind_text(int index, const char **name, const char **doc);

typedef struct soma_encode_options {
    bool strict;   /* what is not UTF-8 is SOMA_FORMAT, with its place */
    bool plain;    /* "<pad>" in the text is text; otherwise it is the special token */
    bool bos, eos; /* add these around; SOMA_INVALID where the tokeniser has none */
} soma_encode_options;

/* Token i has ids[i] and covers the text's bytes start[i] to before end[i]. What bos and eos add
 * covers nothing, and so do spaces in word. */
typedef struct soma_tokens {
    int64_t count;
    int32_t *ids;
    int64_t *start, *end;
} soma_tokens;

/* *out is to be cleared with soma_tokens_clear. `options` may be NULL. An empty text has no tokens.
 * Errors: SOMA_FORMAT (strict), SOMA_NOT_FOUND (an unknown word or character, and no unknown
 * token), SOMA_INVALID, SOMA_MEMORY. */
SOMA_MUST_CHECK SOMA_API soma_status soma_tokenizer_encode(const soma_tokenizer *tokenizer,
                                                           soma_text text,
                                                           const soma_encode_options *options,
                                                           soma_tokens *out, soma_error *err);
SOMA_API void soma_tokens_clear(soma_tokens *tokens);
/* The text of ids, NUL-terminated; *text with soma_text_free. Words are joined by one space;
 * special tokens are left out unless `specials`. byte and bpe give back exactly what was encoded,
 * so half a character where the ids end in one. Errors: SOMA_INVALID (an id that is not below the
 * count), SOMA_MEMORY. */
SOMA_MUST_CHECK SOMA_API soma_status soma_tokenizer_decode(const soma_tokenizer *tokenizer,
                                                           const int32_t *ids, int64_t count,
                                                           bool specials, char **text, size_t *size,
                                                           soma_error *err);
SOMA_API void soma_text_free(char *text);

/* --- Unicode ------------------------------------------------------------------------------------
 */

/* Valid UTF-8 of any bytes: what is not becomes U+FFFD, one for each maximal subpart; `nfc` and
 * `lowercase` as in soma_tokenizer_options (SOMA_UNSUPPORTED without utf8proc). *out with
 * soma_text_free. Errors: SOMA_MEMORY. */
SOMA_MUST_CHECK SOMA_API soma_status soma_text_normalize(char **out, size_t *size, soma_text text,
                                                         bool nfc, bool lowercase, soma_error *err);

#ifdef __cplusplus
}
#endif
#endif
