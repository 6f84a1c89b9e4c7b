#include "data/locate.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

soma_status soma__cache_folder(char **out, soma_error *err)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    *out = NULL;
    /* The XDG rules: a relative path there is to be ignored. */
    if (cache && cache[0] == '/')
        return soma__path_join(out, cache, "soma", err);
    if (home && *home)
        return soma__path_join(out, home, ".cache/soma", err);
    return SOMA_OK;
}

static soma_status look_in(char **path, const char *place, const char *const *subs,
                           const char *const *files, soma_error *err)
{
    for (; *files; files++)
        for (const char *const *sub = subs; *sub; sub++)
            for (int packed = 1; packed >= 0; packed--) {
                soma__text text = {0};
                soma__text_add(&text, "%s/%s%s%s%s", place, *sub, **sub ? "/" : "", *files,
                               packed ? ".gz" : "");
                SOMA__TRY(soma__text_take(&text, path, err));
                if (soma__file_exists(*path))
                    return SOMA_OK;
                soma__free(*path);
                *path = NULL;
            }
    return SOMA_OK;
}

soma_status soma__data_look(char **path, const char *folder, const char *const *subs,
                            const char *const *files, soma_error *err)
{
    char *cache;
    *path = NULL;
    SOMA__TRY(soma__cache_folder(&cache, err));
    const char *places[SOMA__PLACES] = {folder, getenv("SOMA_DATA"), "data", cache};
    soma_status status = SOMA_OK;
    for (size_t i = 0; i < SOMA__PLACES && !*path && status == SOMA_OK; i++)
        if (places[i] && *places[i])
            status = look_in(path, places[i], subs, files, err);
    soma__free(cache);
    return status;
}

soma_status soma__data_missing(soma_error *err, const char *name, const char *folder,
                               const char *wanted)
{
    char *cache;
    const char *environment = getenv("SOMA_DATA");
    SOMA__TRY(soma__cache_folder(&cache, err));
    soma__fail(err, SOMA_NOT_FOUND,
               "data '%s': found no %s in %s%s%s%s./data%s%s (or a '%s' folder there); give the "
               "folder with --data or SOMA_DATA",
               name, wanted, folder ? folder : "", folder ? ", " : "",
               environment ? environment : "", environment ? ", " : "", cache ? ", " : "",
               cache ? cache : "", name);
    soma__free(cache);
    return SOMA_NOT_FOUND;
}
