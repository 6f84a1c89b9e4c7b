/* generate.h: inside view of generators. */
#ifndef SOMA__GENERATE_H
#define SOMA__GENERATE_H

#include "nn/carry.h"
#include "soma/generate.h"

/* Steps that are read at once where there are many: a prompt. */
#define SOMA__GENERATOR_CHUNK 32

struct soma_generator {
    soma_model *model; /* borrowed */
    soma__carry carry;
    soma_session *opening, *one, *many; /* no step, one step, up to `chunk` steps */
    int64_t chunk, vocabulary, length;
    bool started;
    float *x; /* [rows,chunk], what a run reads */
    int64_t count;
    char *scratch; /* of select: the largest state */
};

soma_status soma__sampling_ok(const soma_sampling *sampling, soma_error *err);
/* Most tokens after a prompt of so many, by the options and the room. */
int64_t soma__most_tokens(const soma_generator *generator, int64_t prompt, int64_t wanted);

#endif
