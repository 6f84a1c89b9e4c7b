/* utf8.h: one code point at a time, strict as RFC 3629 (no surrogates, no overlong forms). */
#ifndef SOMA__UTF8_H
#define SOMA__UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the code point at `text` (1..4), stored in *out; 0 when the bytes there are not UTF-8 or
 * `size` is 0. `out` may be NULL. */
size_t soma__utf8_next(const char *text, size_t size, uint32_t *out);
/* The same for text that may be anything: never 0 while there are bytes. What is not UTF-8 gives
 * U+FFFD and moves on by the maximal subpart that could have begun a code point, as the Unicode
 * standard recommends (chapter 3, "U+FFFD Substitution of Maximal Subparts") and browsers do. */
#define SOMA__UTF8_REPLACEMENT 0xfffdu
size_t soma__utf8_step(const char *text, size_t size, uint32_t *out);
/* Writes a code point (at most U+10FFFF, no surrogate) and returns its 1..4 bytes. */
size_t soma__utf8_put(uint32_t code, char out[4]);
bool soma__utf8_valid(const char *text, size_t size);

#endif
