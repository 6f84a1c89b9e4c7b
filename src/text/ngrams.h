/* ngrams.h: what the scores of texts share: code points, words, counts of n-grams. */
#ifndef SOMA__NGRAMS_H
#define SOMA__NGRAMS_H

#include "soma/text.h"

#include "base/error.h"
#include "text/strings.h"

/* A growing list of code points, or of numbers of words. {0} is empty; lack of memory sticks. */
typedef struct soma__codes {
    int32_t *at;
    size_t count, capacity;
    bool failed;
} soma__codes;

void soma__codes_add(soma__codes *codes, int32_t code);
void soma__codes_clear(soma__codes *codes);
/* The code points of a text, added. */
void soma__codes_read(soma__codes *codes, soma_text text, bool lowercase);

/* Python's str.isspace */
bool soma__is_python_space(int32_t code);
/* The words between spaces, as numbers that `words` gives them, added. */
void soma__codes_words(soma__codes *out, soma__strings *words, const int32_t *codes, size_t count);
/* The number of one word. */
int32_t soma__word_number(soma__strings *words, const int32_t *codes, size_t count);

/* Counts every run of `order` units. False: no memory. */
bool soma__ngrams_count(soma__strings *counts, const int32_t *units, size_t count, size_t order);

#endif
