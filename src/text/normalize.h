/* normalize.h: text in the form that is cut into tokens, and the way back to the places in the
 * original. */
#ifndef SOMA__NORMALIZE_H
#define SOMA__NORMALIZE_H

#include "soma/text.h"

#include "base/error.h"
#include "base/text.h"

/* A stretch of the new text and what it was made of. Where both sizes are equal, byte i came from
 * byte i; elsewhere all of it came from all of it. */
typedef struct soma__stretch {
    size_t at, size;
    size_t from, from_size;
} soma__stretch;

/* {0} is empty. */
typedef struct soma__normal {
    soma__text text;
    soma__stretch *stretch;
    size_t count, capacity;
} soma__normal;

/* `prefix_space`: one space in front unless there is one. */
soma_status soma__normal_make(soma__normal *out, soma_text text, bool nfc, bool lowercase,
                              bool prefix_space, soma_error *err);
/* The bytes of the original that the bytes [*start, *end) of the new text were made of. */
void soma__normal_origin(const soma__normal *normal, int64_t *start, int64_t *end);
/* Empty, its memory kept for the next text. */
void soma__normal_reset(soma__normal *normal);
void soma__normal_clear(soma__normal *normal);

#endif
