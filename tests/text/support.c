#include "support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "format/json.h"

void golden_read(soma__tree *tree, const char *path)
{
    soma_error err = {0};
    if (soma__json_read(tree, path, &err) != SOMA_OK)
        fail_msg("%s", err.message);
}

const soma__value *member(const soma__value *map, const char *key)
{
    const soma__value *value = soma__value_find(map, key);
    if (!value)
        fail_msg("no '%s' in the golden file", key);
    return value;
}

soma_text text_of(const char *string)
{
    return (soma_text){string, strlen(string)};
}

char *read_all(const char *path, size_t *size)
{
    void *data;
    soma_error err = {0};
    if (soma__file_read(&data, size, path, 0, &err) != SOMA_OK)
        fail_msg("%s", err.message);
    return data;
}

bool have_unicode(void)
{
    bool both = SOMA_HAVE_UTF8PROC && SOMA_HAVE_JANSSON;
    if (!both)
        puts("skipped: built without utf8proc or Jansson");
    return both;
}
