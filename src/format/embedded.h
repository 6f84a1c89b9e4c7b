/* embedded.h: files that are part of the program, so that it runs from any folder with nothing
 * installed. The list is embedded.def. */
#ifndef SOMA__EMBEDDED_H
#define SOMA__EMBEDDED_H

#include <stdbool.h>
#include <stddef.h>

/* The bytes of the file that embedded.def calls `name`; constant memory, not NUL-terminated. False
 * when there is none. */
bool soma__embedded_find(const char *name, const void **data, size_t *size);

/* The names in the order of the list, for listings; NULL beyond the last. */
const char *soma__embedded_name(size_t index);

#endif
