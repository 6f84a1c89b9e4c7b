/* support.h: the golden files of HuggingFace tokenizers and what reads them. */
#ifndef TESTS_TEXT_SUPPORT_H
#define TESTS_TEXT_SUPPORT_H

#include "base/base.h"
#include "base/value.h"
#include "soma/text.h"

#define GOLDEN SOMA_TEST_FOLDER "/golden/text/"

/* A golden JSON file; ends the test where it cannot be read. */
void golden_read(soma__tree *tree, const char *path);
/* A member, which must be there. */
const soma__value *member(const soma__value *map, const char *key);
soma_text text_of(const char *string);
/* The whole of a file; with soma__free. */
char *read_all(const char *path, size_t *size);
/* Do the built-in libraries (utf8proc, Jansson) allow these tests? Prints and returns false if not.
 */
bool have_unicode(void);

#endif
