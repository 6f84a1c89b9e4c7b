/* sound.h: sound files to f32 tensors [frames, channels], behind the one place that knows
 * libsndfile. The library is opened when the first sound is read: linked, the codecs that it brings
 * would slow every start. */
#ifndef SOMA__SOUND_H
#define SOMA__SOUND_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "soma/tensor.h"

/* As soma_sound_read, of a file in memory; `name` stands for it in messages. */
soma_status soma__sound_parse(soma_tensor **out, int64_t *rate, const void *bytes, size_t size,
                              const char *name, soma_error *err);

#endif
