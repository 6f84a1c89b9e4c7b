/* text.h: growing strings and small text helpers. */
#ifndef SOMA__TEXT_H
#define SOMA__TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "soma/base.h"

/* A growing string. {0} is empty. When memory runs out `failed` sticks and later calls do nothing,
 * so that a writer checks once at its end. */
typedef struct soma__text {
    char *data; /* NUL-terminated, NULL while empty */
    size_t length, capacity;
    bool failed;
} soma__text;

void soma__text_add(soma__text *text, const char *format, ...) SOMA_PRINTF(2, 3);
void soma__text_append(soma__text *text, const void *bytes, size_t length);
/* Hands the string over (an empty one as ""); SOMA_MEMORY if it had failed. Resets `text`. */
soma_status soma__text_take(soma__text *text, char **out, soma_error *err);
void soma__text_free(soma__text *text);

/* snprintf in the C locale, whatever the program's locale is: "0.5", never "0,5". */
int soma__format(char *buffer, size_t size, const char *format, ...) SOMA_PRINTF(3, 4);

/* Does `text` end in `end`? */
bool soma__ends_with(const char *text, const char *end);

/* Strict number readers: the whole string must be the number. */
bool soma__parse_int(const char *text, int64_t *out);
bool soma__parse_float(const char *text, double *out);

/* The nearest of `count` names to `text` by edit distance, or NULL when none is near: for "did you
 * mean". */
const char *soma__nearest(const char *text, const char *const *names, size_t count);

/* "1,199,882", "4.6 MB" style, into `buffer`, which is returned. */
char *soma__format_count(int64_t value, char *buffer, size_t size);
char *soma__format_bytes(double bytes, char *buffer, size_t size);
char *soma__format_duration(double seconds, char *buffer, size_t size);

/* FNV-1a over bytes, chained through `seed` (start with SOMA__HASH_SEED). */
#define SOMA__HASH_SEED UINT64_C(0xcbf29ce484222325)
uint64_t soma__hash(uint64_t seed, const void *data, size_t size);

#endif
