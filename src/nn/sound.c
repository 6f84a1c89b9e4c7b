/* sound.c: layers over waves and spectra. */
#include "soma/sound.h"

#include <math.h>
#include <stddef.h>

#include "nn/layer.h"

/* --- mel_spectrogram ---------------------------------------------------------------------------
 */

typedef soma_mel_layer_options mel_options;

static const char *const scale_names[] = {"htk", "slaney", NULL};
static const char *const level_names[] = {"none", "log", "db", NULL};

#define WHOLE(key_, most_, doc_)                                                                   \
    {                                                                                              \
        .key = #key_, .kind = SOMA__FIELD_INT, .offset = offsetof(mel_options, sound.key_),        \
        .min = 1, .max = most_, .doc = doc_                                                        \
    }
#define HERTZ(key_, doc_)                                                                          \
    {                                                                                              \
        .key = #key_, .kind = SOMA__FIELD_FLOAT, .offset = offsetof(mel_options, sound.key_),      \
        .min = 0, .max = 1e9, .doc = doc_                                                          \
    }
static const soma__field mel_fields[] = {
    WHOLE(rate, 1e9, "of the wave, in Hz [16000]"),
    WHOLE(fft, 65536, "cells of a window [400]"),
    WHOLE(hop, 1e9, "cells from one window to the next [fft / 2]"),
    WHOLE(mels, 65536, "bands [64]"),
    HERTZ(low, "lower end of the bands in Hz [0]"),
    HERTZ(high, "upper end [half the rate]"),
    {.key = "scale",
     .kind = SOMA__FIELD_ENUM,
     .offset = offsetof(mel_options, sound.mel),
     .choices = scale_names,
     .doc = "htk, as torchaudio, or slaney, as librosa"},
    {.key = "level",
     .kind = SOMA__FIELD_ENUM,
     .offset = offsetof(mel_options, sound.level),
     .choices = level_names,
     .doc = "none, log: ln(x + 1e-6), or db: at most 80 below the largest"},
    WHOLE(coefficients, 65536, "so many MFCC in the place of bands"),
    SOMA__FIELD_NAME(mel_options),
};

static soma_var build_mel(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const mel_options *o = (const mel_options *)layer->options;
    const soma_shape shape = soma_var_shape(x);
    char text[SOMA_SHAPE_TEXT_SIZE];
    if (shape.ndim != 2)
        return soma__layer_fail(b, layer, SOMA_SHAPE, "needs waves [B,N], got %s",
                                soma_shape_text(&shape, text, sizeof text));
    return o->sound.coefficients ? soma_mfcc_opt(x, o->sound)
                                 : soma_mel_spectrogram_opt(x, o->sound);
}

const soma__layer_type soma__layer_mel_spectrogram = {
    .name = "mel_spectrogram",
    .prefix = "mel",
    .doc = "short-time spectra of a wave in mel bands, or their MFCC",
    .shapes = "[B,N] -> [B,1+N/hop,mels]",
    .parameters = "",
    .size = sizeof(mel_options),
    .fields = mel_fields,
    .field_count = SOMA__FIELD_COUNT(mel_fields),
    .primary = "rate",
    .build = build_mel,
};

soma_layer *soma_layer_mel_spectrogram_opt(soma_mel_layer_options o)
{
    return soma__layer_new(&soma__layer_mel_spectrogram, &o, NULL, 0);
}

/* --- spec_augment ------------------------------------------------------------------------------
 */

typedef soma_spec_augment_options cover_options;

static const soma__field cover_fields[] = {
    {.key = "time",
     .kind = SOMA__FIELD_INT,
     .offset = offsetof(cover_options, time),
     .min = 0,
     .max = INFINITY,
     .doc = "most steps that are covered [0]"},
    {.key = "bands",
     .kind = SOMA__FIELD_INT,
     .offset = offsetof(cover_options, bands),
     .min = 0,
     .max = INFINITY,
     .doc = "most bands that are covered [0]"},
    SOMA__FIELD_NAME(cover_options),
};

static soma_var build_cover(soma__layer_build *b, const soma_layer *layer, soma_var x)
{
    const cover_options *o = (const cover_options *)layer->options;
    if (b->mode == SOMA_EVALUATE || (!o->time && !o->bands))
        return x;
    if (!b->key.graph)
        return soma__layer_fail(b, layer, SOMA_INVALID,
                                "training needs a key {seed, step}; give one to soma_model_apply");
    return soma_spec_augment(x, b->key, o->time, o->bands, soma__layer_stream(b));
}

const soma__layer_type soma__layer_spec_augment = {
    .name = "spec_augment",
    .prefix = "cover",
    .doc = "in training covers a run of steps and one of bands (Park et al. 2019)",
    .shapes = "[B,T,F] -> [B,T,F]",
    .parameters = "",
    .size = sizeof(cover_options),
    .fields = cover_fields,
    .field_count = SOMA__FIELD_COUNT(cover_fields),
    .transparent = true,
    .build = build_cover,
};

soma_layer *soma_layer_spec_augment(int64_t time, int64_t bands)
{
    return soma__layer_new(&soma__layer_spec_augment,
                           &(cover_options){.time = time, .bands = bands}, NULL, 0);
}
