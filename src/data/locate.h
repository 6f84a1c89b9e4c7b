/* locate.h: where the files of data sets are looked for: the folder that was given (--data),
 * $SOMA_DATA, ./data and the user's cache, which `soma data fetch` fills. */
#ifndef SOMA__LOCATE_H
#define SOMA__LOCATE_H

#include "base/error.h"

#define SOMA__PLACES 4

/* $XDG_CACHE_HOME/soma, else $HOME/.cache/soma; *out is NULL when neither variable is set. With
 * soma__free. */
soma_status soma__cache_folder(char **out, soma_error *err);

/* The first existing place/sub/file, plain or with ".gz" behind it; `subs` and `files` end in NULL,
 * and "" is the place itself. *path is NULL when there is none, else with soma__free. */
soma_status soma__data_look(char **path, const char *folder, const char *const *subs,
                            const char *const *files, soma_error *err);
/* The error for a set that is not there: names all places. `wanted` are the files in words. */
soma_status soma__data_missing(soma_error *err, const char *name, const char *folder,
                               const char *wanted);

#endif
