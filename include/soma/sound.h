/* soma/sound.h: sound: files, sampling rates, and what ears make of it: spectra, mel bands, MFCC.
 *
 * A wave is f32 in [-1,1]. The features are composed of other ops, so they are planned, fused and
 * differentiated like the rest of a network; their figures are librosa's and torchaudio's. */
#ifndef SOMA_SOUND_H
#define SOMA_SOUND_H

#include "graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Reads WAV, FLAC and whatever else libsndfile knows: *out f32 [frames, channels], *rate in Hz.
 * Errors: SOMA_IO, SOMA_FORMAT (no sound file, damaged, cut short, without a frame), SOMA_MEMORY,
 * SOMA_UNSUPPORTED (libsndfile is not there; more than 2^31 values). */
SOMA_MUST_CHECK SOMA_API soma_status soma_sound_read(soma_tensor **out, int64_t *rate,
                                                     const char *path, soma_error *err);

/* x [B,N] at `from` Hz -> [B, ceil(N·to/from)] at `to` Hz: a sinc of six zero crossings under a
 * Hann window, rolled off at 0.99 of the lower rate, as torchaudio's. The rates over their greatest
 * common divisor are at most 4096. */
SOMA_API soma_var soma_sound_resample(soma_var x, int64_t from, int64_t to);

typedef enum soma_mel_kind {
    SOMA_MEL_HTK,   /* 2595 log10(1 + f/700), triangles of height 1: torchaudio */
    SOMA_MEL_SLANEY /* linear to 1 kHz, triangles of equal area: librosa */
} soma_mel_kind;

typedef enum soma_sound_level {
    SOMA_LEVEL_NONE, /* as it is */
    SOMA_LEVEL_LOG,  /* ln(x + 1e-6) */
    SOMA_LEVEL_DB    /* 10 log10 max(x, 1e-10), at most 80 below the largest of the sound */
} soma_sound_level;

typedef struct soma_sound_options {
    int64_t rate;      /* of the wave, in Hz; 0: 16000 */
    int64_t fft;       /* cells of a window, Hann's; 0: 400 */
    int64_t hop;       /* from one window to the next; 0: fft / 2 */
    bool inside;       /* no window reaches beyond the ends; else they are centred on multiples of
                          hop, and what they miss at the ends is the wave mirrored */
    bool zeros;        /* or zeros */
    double power;      /* of the spectrum's magnitude; 0: 2 */
    int64_t mels;      /* bands; 0: 64 */
    double low, high;  /* in Hz, of the bands; 0: 0 and half the rate */
    soma_mel_kind mel; /* 0: htk */
    soma_sound_level level; /* of mel bands */
    int64_t coefficients;   /* of the MFCC; 0: 13 */
} soma_sound_options;

/* x [B,N] -> [B,T,2F], F = fft/2 + 1 frequencies: the real parts of all, then the imaginary ones.
 * T = 1 + N / hop, or with `inside` 1 + (N - fft) / hop. */
SOMA_API soma_var soma_stft_opt(soma_var x, soma_sound_options options);
/* |stft|^power: [B,T,F] */
SOMA_API soma_var soma_spectrogram_opt(soma_var x, soma_sound_options options);
/* The spectrogram in mel bands at its level: [B,T,mels] */
SOMA_API soma_var soma_mel_spectrogram_opt(soma_var x, soma_sound_options options);
/* The first coefficients of the orthonormal cosine transform of mel bands in dB, whatever `level`
 * says: [B,T,coefficients]. */
SOMA_API soma_var soma_mfcc_opt(soma_var x, soma_sound_options options);
#define soma_stft(x_, ...) soma_stft_opt((x_), (soma_sound_options){__VA_ARGS__})
#define soma_spectrogram(x_, ...) soma_spectrogram_opt((x_), (soma_sound_options){__VA_ARGS__})
#define soma_mel_spectrogram(x_, ...)                                                              \
    soma_mel_spectrogram_opt((x_), (soma_sound_options){__VA_ARGS__})
#define soma_mfcc(x_, ...) soma_mfcc_opt((x_), (soma_sound_options){__VA_ARGS__})

/* SpecAugment (Park et al. 2019): in each [T,F] of x [B,T,F] one run of at most `time` steps and
 * one of at most `bands` bands become x's mean over them; which is drawn by key and stream. */
SOMA_API soma_var soma_spec_augment(soma_var x, soma_var key, int64_t time, int64_t bands,
                                    uint32_t stream);

#ifdef __cplusplus
}
#endif
#endif
