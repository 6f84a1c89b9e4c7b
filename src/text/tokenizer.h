/* tokenizer.h: the inside of a tokeniser. */
#ifndef SOMA__TOKENIZER_H
#define SOMA__TOKENIZER_H

#include <stdatomic.h>

#include "soma/text.h"

#include "base/error.h"
#include "base/value.h"
#include "text/normalize.h"
#include "text/strings.h"

/* More tokens than any vocabulary has, and few enough for sums of ids to be safe. */
#define SOMA__MAX_TOKENS (1 << 24)

typedef struct soma__token {
    soma_text bytes;  /* in the arena */
    bool known;       /* this id is taken */
    bool added;       /* looked for in texts before they are cut */
    bool special;     /* stands for no text */
    bool literal;     /* bpe: files write it as it is, not in letters for bytes */
    bool left, right; /* an added token that swallows the spaces at its left, right */
} soma__token;

struct soma_tokenizer {
    atomic_int references;
    soma_tokenizer_kind kind;
    bool lowercase, nfc;
    bool prefix_space; /* bpe: a space before the text, unless one is there */
    bool whole;        /* bpe: texts are not cut before pairs are joined */
    bool ready_words;  /* bpe: a word that is a token is one, whatever the merges say */
    bool wraps[2];     /* the file says that bos and eos belong around a text: kept for saving */
    soma__arena arena;
    soma__token *token; /* [count] */
    size_t count, capacity;
    soma__strings find;                  /* bytes -> id */
    int32_t special[SOMA_SPECIAL_COUNT]; /* ids, -1: none */
    int32_t byte[256];                   /* bpe and byte: the token of each byte, -1: none */
    /* bpe: merge i joins pair i into the token result[i]; lower i go first. */
    soma__pairs merges;
    int32_t *result;
    size_t result_capacity;
    /* The added tokens, the longest first, and which bytes they begin with. */
    int32_t *added;
    size_t added_count, added_capacity;
    bool begins[256];
};

/* An empty one with one reference. */
soma_status soma__tokenizer_new(soma_tokenizer **out, soma_tokenizer_kind kind, soma_error *err);
/* Gives token `id` its bytes. Errors: SOMA_FORMAT where the id is taken or too large. */
soma_status soma__tokenizer_put(soma_tokenizer *tokenizer, int64_t id, soma_text bytes,
                                soma_error *err);
/* A token that is looked for in texts. */
soma_status soma__tokenizer_put_added(soma_tokenizer *tokenizer, int64_t id, bool special,
                                      soma_error *err);
/* The special tokens that `which` names, as the next ids. */
soma_status soma__tokenizer_put_specials(soma_tokenizer *tokenizer, unsigned which,
                                         soma_error *err);
/* Merge number merges.count. Errors: SOMA_FORMAT (a pair twice), SOMA_MEMORY. */
soma_status soma__tokenizer_put_merge(soma_tokenizer *tokenizer, int32_t left, int32_t right,
                                      int32_t result, soma_error *err);
/* Once all is in: every id is taken, special tokens are known by their names. */
soma_status soma__tokenizer_finish(soma_tokenizer *tokenizer, soma_error *err);

/* The text of a special token: what we write, and what others do; NULL after the last. */
const char *soma__special_name(soma_special which, int alias);

/* GPT-2's letters for bytes: printable Latin-1 stands for itself, the other 68 bytes are U+0100 and
 * on. */
#define SOMA__LETTERS (0x100 + 68)
uint32_t soma__byte_letter(unsigned char byte);
/* The byte of each letter, -1: it is none's. */
void soma__letter_bytes(int16_t byte[SOMA__LETTERS]);
/* The bytes in the order of their letters. */
void soma__bytes_by_letter(unsigned char order[256]);

/* file.c: tokenizer.json in memory, GPT-2's files in memory, and writing. `name` stands for the
 * file in messages. */
soma_status soma__tokenizer_parse(soma_tokenizer **out, const char *text, size_t size,
                                  const char *name, soma_error *err);
soma_status soma__tokenizer_parse_gpt2(soma_tokenizer **out, const soma__tree *vocab,
                                       const char *merges, size_t size, const char *merges_name,
                                       soma_error *err);
soma_status soma__tokenizer_write(soma__text *out, const soma_tokenizer *tokenizer,
                                  soma_error *err);

/* --- encoding ------------------------------------------------------------------------------------
 *
 * An encoder holds what a thread needs to encode text after text: buffers, and the words that it
 * has met. */
typedef struct soma__bpe_cell {
    int32_t id, rank; /* rank of the pair that begins here; INT32_MAX: none */
    int32_t next, before;
    int32_t size;
} soma__bpe_cell;

typedef struct soma__bpe_choice {
    int32_t rank, at, left, right;
} soma__bpe_choice;

typedef struct soma__encoder {
    const soma_tokenizer *tokenizer;
    soma_tokens *out;
    size_t capacity;
    soma__normal normal;
    soma__bpe_cell *cell;
    size_t cells;
    soma__bpe_choice *heap;
    size_t heap_count, heap_capacity;
    /* Words that were met: value is where its tokens are in `known`: their number, then id and size
     * of each. */
    bool remember;
    soma__strings words;
    int32_t *known;
    size_t known_count, known_capacity;
} soma__encoder;

void soma__encoder_init(soma__encoder *encoder, const soma_tokenizer *tokenizer, bool remember);
/* The tokens of one text; *out is valid memory of an earlier call, or {0}. */
soma_status soma__encoder_run(soma__encoder *encoder, soma_text text,
                              const soma_encode_options *options, soma_tokens *out,
                              size_t *capacity, soma_error *err);
void soma__encoder_clear(soma__encoder *encoder);
/* Adds a token that covers [start, end). */
soma_status soma__encoder_add(soma__encoder *encoder, int32_t id, size_t start, size_t end,
                              soma_error *err);
/* bpe.c: the tokens of one piece of text that begins at `at`. */
soma_status soma__bpe_encode(soma__encoder *encoder, const char *piece, size_t size, size_t at,
                             soma_error *err);

/* --- training: the rest of a vocabulary, after the special tokens --------------------------------
 */

/* bpe_train.c: `words` hold how often each occurs. */
soma_status soma__bpe_train(soma_tokenizer *tokenizer, const soma__strings *words, int64_t size,
                            int64_t min_count, soma_error *err);

#endif
