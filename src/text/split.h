/* split.h: where text is cut before tokens are looked up. */
#ifndef SOMA__SPLIT_H
#define SOMA__SPLIT_H

#include <stddef.h>

/* The bytes of the next piece at `text` (size > 0), as GPT-2's pattern cuts it:
 *   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 * Pieces lie side by side. A sequence that is not UTF-8 counts as neither letter nor space. */
size_t soma__split_gpt2(const char *text, size_t size);
/* The next word of \w+|[^\w\s]+: it begins after *skipped bytes of space; 0 when none is left. */
size_t soma__split_word(const char *text, size_t size, size_t *skipped);

#endif
