/* names.h: lists of names of columns: copied, and in the descriptions of data that model files hold
 * as JSON. */
#ifndef SOMA__DATA_NAMES_H
#define SOMA__DATA_NAMES_H

#include "base/value.h"

typedef struct soma__names {
    const char *const *name;
    int count;
} soma__names;

/* A copy in `arena`. */
soma_status soma__names_copy(soma__names *out, soma__arena *arena, const soma__names *names,
                             soma_error *err);
/* A further member of a map: ,"key":["a","b"] */
void soma__names_write(soma__text *text, const char *key, const soma__names *names);
/* The same read back, copied to `arena`. `of` is what `source` describes: "table". */
soma_status soma__names_read(soma__names *out, soma__arena *arena, const soma__value *map,
                             const char *key, const char *source, const char *of, soma_error *err);
/* Fails: `what` of the description is wrong. */
soma_status soma__damaged(const char *source, const char *of, const char *what, soma_error *err);

#endif
