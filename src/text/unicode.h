/* unicode.h: what a code point is, through utf8proc (SOMA_HAVE_UTF8PROC).
 *
 * ASCII needs no library. Without utf8proc every code point beyond it is "other", so whoever needs
 * to know asks soma__unicode_need first. */
#ifndef SOMA__UNICODE_H
#define SOMA__UNICODE_H

#include <stdint.h>

#include "base/error.h"
#include "base/text.h"

typedef enum soma__class {
    SOMA__CLASS_OTHER,       /* marks, controls, unassigned */
    SOMA__CLASS_LETTER,      /* \p{L} */
    SOMA__CLASS_NUMBER,      /* \p{N} */
    SOMA__CLASS_SPACE,       /* \s: the property White_Space */
    SOMA__CLASS_PUNCTUATION, /* \p{P} */
    SOMA__CLASS_SYMBOL,      /* \p{S} */
} soma__class;

/* SOMA_UNSUPPORTED without utf8proc: "<what> needs utf8proc: …". */
soma_status soma__unicode_need(const char *what, soma_error *err);
soma__class soma__unicode_class(uint32_t code);
/* \w of regular expressions (UTS 18): Alphabetic, marks, decimal digits, connectors, joiners. */
bool soma__unicode_is_word(uint32_t code);
/* The lower case of one code point, 1 or 2 of them. No context: a final sigma is a sigma. */
int soma__unicode_lower(uint32_t code, uint32_t out[2]);
/* The bytes of the first extended grapheme cluster: no composition crosses its end. */
size_t soma__unicode_cluster(const char *text, size_t size);
/* Adds NFC of `text`, in which bytes that are not UTF-8 are U+FFFD. Lack of memory sticks to `out`.
 */
void soma__unicode_nfc(soma__text *out, const char *text, size_t size);

#endif
