/* text.h: data sets of text. Rows of texts with labels become samples of ids [length]; one long
 * text becomes windows of ids with the ids that come next as targets. */
#ifndef SOMA__DATA_TEXT_H
#define SOMA__DATA_TEXT_H

#include <stdatomic.h>

#include "soma/data.h"
#include "soma/text.h"

#define SOMA__TEXT_LENGTH 256  /* of samples from rows, unless told otherwise */
#define SOMA__WINDOW_LENGTH 64 /* and of windows */

typedef struct soma__text_options {
    const char *text, *label; /* columns, by number or name; NULL: the last, the first */
    const char *tokenizer;    /* a kind, or a tokenizer.json; NULL: word, of windows char */
    int64_t vocabulary, min_count;
    bool lowercase;
    int64_t length;        /* tokens of a sample, of pairs of the source; 0: the defaults above */
    int64_t target_length; /* pairs: of the target; 0: the same */
    int64_t stride; /* windows: from one to the next; 0: the length, so that no token is twice */
    bool keep_end;  /* of a text that is too long the end is kept, not the beginning */
    const char *const *classes; /* names for labels 0, 1, 2, …; NULL: the labels */
    int class_count;
} soma__text_options;

/* How texts became samples: what the model file keeps, so that others become samples alike. */
typedef struct soma__text_encoding {
    atomic_int references;
    soma_tokenizer *tokenizer;
    int64_t length;
    bool keep_end;
    int64_t target; /* of pairs: tokens of the target; else 0 */
} soma__text_encoding;
/* Takes the tokeniser over, also when it fails. */
soma_status soma__text_encoding_new(soma__text_encoding **out, soma_tokenizer *tokenizer,
                                    int64_t length, bool keep_end, int64_t target, soma_error *err);
/* The tokeniser that options ask for, of kind `usual` unless they name one: loaded, or trained on
 * texts. */
soma_status soma__text_tokenizer(soma_tokenizer **out, const soma__text_options *options,
                                 soma_tokenizer_kind usual, unsigned special,
                                 const soma_text *texts, int64_t count, soma_error *err);
/* A file, unpacked where it is gzipped; with soma__free. */
soma_status soma__text_file(void **out, size_t *size, const char *path, soma_error *err);
soma__text_encoding *soma__text_encoding_retain(soma__text_encoding *encoding);
void soma__text_encoding_release(soma__text_encoding *encoding);
/* As text for the model file (SOMA__TEXT_META), with soma__free, and back. */
#define SOMA__TEXT_META "data.text"
soma_status soma__text_encoding_text(char **out, const soma__text_encoding *encoding,
                                     soma_error *err);
soma_status soma__text_encoding_parse(soma__text_encoding **out, const char *text,
                                      const char *source, soma_error *err);
/* Of a data set, or what it is a part of; NULL: it is not of text, or rows yet. */
const soma__text_encoding *soma__dataset_text(const soma_dataset *dataset);

/* Rows of a file: lines with tabs between fields (no quotes), or a .csv; gzip is recognised. They
 * are rows until soma__texts_encode. `test_path` may be NULL. Errors: SOMA_FORMAT with the line
 * (too few fields), SOMA_NOT_FOUND (no such column), SOMA_IO, SOMA_MEMORY. */
soma_status soma__texts_open(soma_data *out, const char *path, const char *test_path,
                             const soma__text_options *options, soma_error *err);
/* Rows of all parts become samples f32 [length], short texts filled up with <pad>: by a tokeniser
 * that is trained on the training part, or loaded. Data that is not rows of text stays. */
soma_status soma__texts_encode(soma_data *data, soma_error *err);
soma_status soma__texts_encode_by(soma_data *data, soma__text_encoding *encoding, soma_error *err);

/* Samples f32 [count,length] of texts. Errors: SOMA_INVALID where the tokeniser has no <pad>. */
soma_status soma__texts_samples(soma_tensor **out, const soma_text *texts, int64_t count,
                                const soma__text_encoding *encoding, soma_error *err);

/* Windows over a text: x f32 [length], y i64 [length], the token after each. The parts are cut from
 * the text's end, first test, then validation (shares, or numbers of windows), so that no window
 * reaches into another part; the vocabulary is that of the training part. `encoding` NULL: made so.
 * Errors: SOMA_INVALID (a text that is too short), those of reading and tokenisers. */
soma_status soma__windows_open(soma_data *out, const char *path, const soma__text_options *options,
                               double validation, double test, soma__text_encoding *encoding,
                               soma_error *err);

/* --- pairs.c: sentences and their translations --------------------------------------------------
 *
 * Lines of a source, a tab and a target (further fields are passed over). A sample is x f32
 * [length + target_length], the source's ids with <eos> and then the target's after <bos>, and y
 * i64 [target_length], the target's with <eos>; what is left is <pad>, in y -1. One tokeniser
 * serves both. Parts are drawn by the bytes of the source, so that no source is in two of them:
 * `validation` and `test` are shares, or numbers of lines that are met about. Errors: SOMA_FORMAT
 * with the line, SOMA_INVALID (a part without samples, a tokeniser without these tokens). */
soma_status soma__pairs_open(soma_data *out, const char *path, const soma__text_options *options,
                             double validation, double test, soma__text_encoding *encoding,
                             soma_error *err);
#define SOMA__PAIR_LENGTH 24 /* unless told otherwise */
/* Sources alone, f32 [count,length], for a model to translate. */
soma_status soma__pair_sources(soma_tensor **out, const soma_text *texts, int64_t count,
                               const soma__text_encoding *encoding, soma_error *err);

#endif
