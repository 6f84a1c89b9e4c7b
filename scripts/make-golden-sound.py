#!/usr/bin/env python3
"""Writes tests/golden/sound.safetensors: what torchaudio and librosa make of two waves.

    python3 scripts/make-golden-sound.py [FOLDER]

Needs PyTorch, torchaudio and librosa. The file holds cases as tests/golden/README.md says: inputs,
result, and for most of PyTorch's a random gradient of it with that of the wave.
"""
import importlib.util
import pathlib
import sys
import types

import librosa
import numpy
import torch
import torchaudio

here = pathlib.Path(__file__).resolve().parent
# make-golden.py writes the files; the onnxruntime that other groups of it need is not needed here.
sys.modules.setdefault("onnxruntime", types.ModuleType("onnxruntime"))
spec = importlib.util.spec_from_file_location("golden", here / "make-golden.py")
golden = importlib.util.module_from_spec(spec)
spec.loader.exec_module(golden)

RATE = 8000


def waves(length):
    """Two chirps with noise, exact in f32."""
    t = torch.arange(length, dtype=torch.float64) / RATE
    both = torch.stack([torch.sin(2 * torch.pi * (200 + 9000 * t) * t) * 0.5,
                        torch.sin(2 * torch.pi * 440 * t) * torch.exp(-4 * t)])
    return (both + 0.05 * golden.rand(2, length)).float().double()


def of_librosa(name, function, x):
    """librosa in double, one wave at a time, frames in front."""
    y = torch.stack([torch.from_numpy(numpy.ascontiguousarray(function(w.numpy()).T)) for w in x])
    golden.OPS.update({f"{name}/x": x, f"{name}/y": y})


def make_sound():
    T = torchaudio.transforms
    hann = dict(n_fft=64, hop_length=24)

    def stft(x, center, mode):
        y = torch.stft(x, 64, 24, window=torch.hann_window(64, dtype=torch.float64), center=center,
                       pad_mode=mode, return_complex=True).transpose(1, 2)
        return torch.cat([y.real, y.imag], 2)
    golden.case("stft", lambda x: stft(x, True, "reflect"), x=waves(300))
    golden.case("stft_inside", lambda x: stft(x, False, "reflect"), x=waves(300))
    golden.case("stft_zeros", lambda x: stft(x, True, "constant"), x=waves(30))
    golden.case("spectrogram_2", lambda x: T.Spectrogram(**hann).double()(x).transpose(1, 2),
                x=waves(300))
    # Roots and logarithms of what is nearly 0 have gradients that f32 does not hold to five digits;
    # they are those of ops that have golden values of their own.
    fixed = ("x",)
    golden.case("spectrogram_1", lambda x: T.Spectrogram(**hann, power=1).double()(x).transpose(1, 2),
                fixed, x=waves(300))
    mel = dict(**hann, n_mels=10)

    def bands(x, **more):
        return T.MelSpectrogram(RATE, **mel, **more).double()(x).transpose(1, 2)
    golden.case("mel_htk", bands, fixed, x=waves(300))
    golden.case("mel_log", lambda x: torch.log(bands(x, f_min=100, f_max=3500) + 1e-6), fixed,
                x=waves(300))
    of_librosa("mfcc_htk", lambda x: librosa.feature.mfcc(S=librosa.power_to_db(
        librosa.feature.melspectrogram(y=x, sr=RATE, **mel, pad_mode="reflect", htk=True, norm=None)),
        n_mfcc=8), waves(300))
    options = dict(sr=RATE, n_fft=128, hop_length=48, n_mels=12, pad_mode="reflect")
    of_librosa("mel_slaney", lambda x: librosa.feature.melspectrogram(y=x, **options), waves(600))
    of_librosa("mel_db", lambda x: librosa.power_to_db(
        librosa.feature.melspectrogram(y=x, **options)), waves(600))
    of_librosa("mfcc_slaney", lambda x: librosa.feature.mfcc(y=x, n_mfcc=9, **options), waves(600))
    for name, old, new in (("up", 8000, 16000), ("down", 16000, 8000), ("odd", 11025, 8000)):
        golden.case(f"resample_{name}", lambda x: torchaudio.functional.resample(x, old, new),
                    x=waves(101))


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here.parent / "tests" / "golden"
    golden.group(folder, "sound", make_sound)
