/* mem_util.c: helpers built on mem.c. They live in a file of their own so that their calls cross a
 * file boundary, where the linker's --wrap can intercept them for fault injection. */
#include <string.h>

#include "base/mem.h"

char *soma__strndup(const char *text, size_t length)
{
    size_t size;
    length = strnlen(text, length);
    if (!soma__add(length, 1, &size))
        return NULL;
    char *copy = soma__malloc(size);
    if (!copy)
        return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

char *soma__strdup(const char *text)
{
    return soma__strndup(text, strlen(text));
}

bool soma__grow(void **array, size_t *capacity, size_t count, size_t element_size)
{
    if (count < *capacity)
        return true;
    /* Growing by half keeps the total copying linear and wastes at most a third of the block. */
    size_t wanted, bytes;
    if (!soma__add(*capacity, *capacity / 2, &wanted))
        return false;
    if (wanted <= count && !soma__add(count, 1, &wanted))
        return false;
    if (wanted < 8)
        wanted = 8;
    if (!soma__mul(wanted, element_size, &bytes))
        return false;
    void *grown = soma__realloc(*array, bytes);
    if (!grown)
        return false;
    *array = grown;
    *capacity = wanted;
    return true;
}
