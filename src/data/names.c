/* names.c: see names.h. */
#include "data/names.h"

#include "base/base.h"
#include "format/json.h"

soma_status soma__names_copy(soma__names *out, soma__arena *arena, const soma__names *names,
                             soma_error *err)
{
    const char **copy = soma__arena_array(arena, (size_t)names->count + 1, sizeof *copy);
    bool complete = copy != NULL;
    for (int i = 0; complete && i < names->count; i++) {
        copy[i] = soma__arena_strdup(arena, names->name[i]);
        complete = copy[i] != NULL;
    }
    *out = (soma__names){copy, complete ? names->count : 0};
    return complete ? SOMA_OK : soma__fail(err, SOMA_MEMORY, "no memory for names of columns");
}

void soma__names_write(soma__text *text, const char *key, const soma__names *names)
{
    soma__text_add(text, ",\"%s\":[", key);
    for (int i = 0; i < names->count; i++) {
        soma__text_add(text, i ? "," : "");
        soma__json_string(text, names->name[i]);
    }
    soma__text_add(text, "]");
}

soma_status soma__names_read(soma__names *out, soma__arena *arena, const soma__value *map,
                             const char *key, const char *source, const char *of, soma_error *err)
{
    const soma__value *list = soma__value_find(map, key);
    if (!list || list->kind != SOMA__LIST)
        return soma__damaged(source, of, key, err);
    const char **names = soma__arena_array(arena, (size_t)list->count + 1, sizeof *names);
    int count = 0;
    *out = (soma__names){names, 0};
    if (!names)
        return soma__fail(err, SOMA_MEMORY, "%s: no memory for '%s'", source, key);
    for (const soma__value *item = list->first; item; item = item->next) {
        if (item->kind != SOMA__STRING)
            return soma__damaged(source, of, key, err);
        names[count] = soma__arena_strdup(arena, item->text);
        if (!names[count++])
            return soma__fail(err, SOMA_MEMORY, "%s: no memory for '%s'", source, key);
    }
    out->count = count;
    return SOMA_OK;
}

soma_status soma__damaged(const char *source, const char *of, const char *what, soma_error *err)
{
    return soma__fail(err, SOMA_FORMAT, "%s: the description of its %s is damaged: %s", source, of,
                      what);
}
