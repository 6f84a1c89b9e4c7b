/* test_golden_sound.c: spectra, mel bands, MFCC and sampling rates against torchaudio and librosa.
 */
#include "golden.h"

#define HERE .rate = 8000, .fft = 64, .hop = 24
#define LIBROSA .rate = 8000, .fft = 128, .hop = 48, .mels = 12, .mel = SOMA_MEL_SLANEY
GOLDEN(stft, soma_stft(in[0], HERE))
GOLDEN(stft_inside, soma_stft(in[0], HERE, .inside = true))
GOLDEN(stft_zeros, soma_stft(in[0], HERE, .zeros = true))
GOLDEN(spectrogram_2, soma_spectrogram(in[0], HERE))
GOLDEN(spectrogram_1, soma_spectrogram(in[0], HERE, .power = 1))
GOLDEN(mel_htk, soma_mel_spectrogram(in[0], HERE, .mels = 10))
GOLDEN(mel_log, soma_mel_spectrogram(in[0], HERE, .mels = 10, .low = 100, .high = 3500,
                                     .level = SOMA_LEVEL_LOG))
GOLDEN(mfcc_htk, soma_mfcc(in[0], HERE, .mels = 10, .coefficients = 8))
GOLDEN(mel_slaney, soma_mel_spectrogram(in[0], LIBROSA))
GOLDEN(mel_db, soma_mel_spectrogram(in[0], LIBROSA, .level = SOMA_LEVEL_DB))
GOLDEN(mfcc_slaney, soma_mfcc(in[0], LIBROSA, .coefficients = 9))
GOLDEN(resample_up, soma_sound_resample(in[0], 8000, 16000))
GOLDEN(resample_down, soma_sound_resample(in[0], 16000, 8000))
GOLDEN(resample_odd, soma_sound_resample(in[0], 11025, 8000))

static const golden cases[] = {
    {"stft", "x", stft},
    {"stft_inside", "x", stft_inside},
    {"stft_zeros", "x", stft_zeros},
    {"spectrogram_2", "x", spectrogram_2},
    {"spectrogram_1", "x", spectrogram_1},
    {"mel_htk", "x", mel_htk},
    {"mel_log", "x", mel_log},
    {"mfcc_htk", "x", mfcc_htk},
    {"mel_slaney", "x", mel_slaney},
    {"mel_db", "x", mel_db},
    {"mfcc_slaney", "x", mfcc_slaney},
    {"resample_up", "x", resample_up},
    {"resample_down", "x", resample_down},
    {"resample_odd", "x", resample_odd},
};

int main(void)
{
    return golden_run("sound.safetensors", cases, sizeof(cases) / sizeof(cases[0]));
}
