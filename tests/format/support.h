/* support.h: what the tests of file formats share. */
#ifndef SOMA__TEST_FORMAT_SUPPORT_H
#define SOMA__TEST_FORMAT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"

/* Parses and releases what came out; leaves nothing behind on failure. */
typedef soma_status parse_fn(const void *bytes, size_t size, soma_error *err);

/* A path in a folder of this process' own under $TMPDIR; the string is static. */
const char *scratch(const char *name);

/* Whether that folder holds a file with `part` in its name. */
bool scratch_has(const char *part);

/* The whole file; the caller frees it. */
void *slurp(const char *path, size_t *size);

/* Parses every proper prefix of the bytes. Each must fail with a message, or, when `may_pass`, at
 * least not crash. The copies are of exact size, so that the sanitizer sees any read beyond. */
void every_truncation(parse_fn *parse, const void *bytes, size_t size, bool may_pass);

/* Parses the bytes with each single bit flipped; returns how many of these were accepted. Failures
 * must come with a message. */
size_t every_flip(parse_fn *parse, const void *bytes, size_t size);

/* Parses text that must fail with `code` and a message that holds `part`. */
void expect_failure(parse_fn *parse, const void *bytes, size_t size, soma_status code,
                    const char *part);

#define assert_ok(expression_, error_)                                                             \
    do {                                                                                           \
        soma_status status_ok_ = (expression_);                                                    \
        if (status_ok_ != SOMA_OK)                                                                 \
            fail_msg("%s: %d: %s", #expression_, status_ok_, (error_).message);                    \
    } while (0)

#endif
