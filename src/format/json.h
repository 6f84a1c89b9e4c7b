/* json.h: JSON text <-> soma__value trees.
 *
 * Reading goes through Jansson (SOMA_UNSUPPORTED without it) and is strict RFC 8259: UTF-8, no
 * duplicate keys, no NUL inside strings, integers that fit 64 bits. Writing is our own, needs no
 * library and always gives valid JSON. */
#ifndef SOMA__JSON_H
#define SOMA__JSON_H

#include "base/error.h"
#include "base/text.h"
#include "base/value.h"

#define SOMA__JSON_MAX_DEPTH 64
#define SOMA__JSON_MAX_BYTES ((size_t)64 << 20)

/* Parses `size` bytes into *out, which must be empty ({0} or cleared) and stays empty on failure;
 * soma__tree_clear releases it. `name` is used in messages and kept as the tree's source. The
 * values carry no line numbers, because Jansson drops them; syntax errors do name the line. Errors:
 * SOMA_FORMAT (syntax, depth, size, duplicates), SOMA_MEMORY, SOMA_UNSUPPORTED. */
soma_status soma__json_parse(soma__tree *out, const char *text, size_t size, const char *name,
                             soma_error *err);
/* The same from a file; also SOMA_IO. */
soma_status soma__json_read(soma__tree *out, const char *path, soma_error *err);

/* Adds `value` to `out`: on one line when `indent` is 0, else one item a line, indented by `indent`
 * spaces a level. Lack of memory sticks to `out`. NULL is written as null. */
void soma__json_write(soma__text *out, const soma__value *value, int indent);

/* The parts, for writers that stream: a quoted and escaped string (bytes that are not UTF-8 become
 * U+FFFD), and a number in the fewest of up to 17 digits that read back the same (NaN and
 * infinities, which JSON lacks, are null). */
void soma__json_string(soma__text *out, const char *text);
void soma__json_number(soma__text *out, double number);
/* A further member of an object: ,"key":number. `key` needs no escapes. */
void soma__json_member(soma__text *out, const char *key, double number);

#endif
