/* speech.h: spoken digits, one a sample or joined to strings. */
#ifndef SOMA__DATA_SPEECH_H
#define SOMA__DATA_SPEECH_H

#include "soma/data.h"

#define SOMA__SPEECH_RATE 8000 /* of the Free Spoken Digit Dataset */

typedef struct soma__speech_options {
    int64_t length;       /* cells of a sample; 0: a second, of strings half one for each digit */
    int64_t join;         /* most digits of a string; 0: single digits, with their class */
    const char *held_out; /* a speaker whose recordings are the test part; NULL: numbers 0 to 4 of
                             each digit and speaker, as the set's authors say */
} soma__speech_options;

/* The archive of recordings DIGIT_SPEAKER_NUMBER.wav. Samples are f32 [length], silent beyond their
 * end; y is the class, or i64 [join] of digits + 1 (0 is left to a blank), -1 after the last. A
 * string begins with each recording four times (once in the test part), goes on with some of the
 * same speaker and part that fixed draws choose, with pauses between, and ends where the next has
 * no room. Errors: SOMA_IO, SOMA_FORMAT (the archive, a name, another rate), SOMA_NOT_FOUND (the
 * speaker), SOMA_INVALID, SOMA_MEMORY, SOMA_UNSUPPORTED (zlib or libsndfile are not there). */
soma_status soma__speech_open(soma_data *out, const char *path, const soma__speech_options *options,
                              soma_error *err);

#endif
