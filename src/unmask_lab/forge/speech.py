"""Signal processing that several voice families share: spectra, mel bands, pitch, envelopes. All at 16 kHz, mono."""

from __future__ import annotations

from functools import cache

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy import signal

from unmask_lab.forge.family import Wave

RATE = 16000
HOP = 80
"""Frame step of pitch and envelopes: 5 ms."""
LOW_PITCH, HIGH_PITCH = 65.0, 420.0
Float = NDArray[np.floating]


def stft(wave: Float, size: int, hop: int) -> NDArray[np.complexfloating]:
    """Centred Hann spectra, (frames, size // 2 + 1)."""
    padded = np.pad(wave, size // 2, "reflect" if wave.size > size // 2 else "constant")
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    return np.fft.rfft(frames * np.hanning(size + 1)[:-1], axis=1)


def istft(spectra: NDArray[np.complexfloating], size: int, hop: int, length: int) -> Wave:
    """The inverse of `stft` by overlap and add, ``length`` samples."""
    window = np.hanning(size + 1)[:-1]
    frames = np.fft.irfft(spectra, size, axis=1) * window
    total = np.zeros(size + hop * (len(frames) - 1))
    weight = np.full_like(total, 1e-8)
    for i, frame in enumerate(frames):
        total[i * hop : i * hop + size] += frame
        weight[i * hop : i * hop + size] += window**2
    # At the very edges few windows overlap: dividing by their tiny sum would blow noise up.
    out = (total / np.maximum(weight, 0.1 * weight.max()))[size // 2 : size // 2 + length]
    return fitted(out, length)


@cache
def mel_filters(rate: int, size: int, bands: int, low: float, high: float) -> NDArray[np.float64]:
    """(bands, size // 2 + 1) triangles on Slaney's mel scale, each of unit area (Slaney 1998)."""

    def mel(hertz: Float) -> Float:
        return np.where(hertz < 1000, hertz * 3 / 200, 15 + 27 * np.log(np.maximum(hertz, 1) / 1000) / np.log(6.4))

    def hertz(mels: Float) -> Float:
        return np.where(mels < 15, mels * 200 / 3, 1000 * np.exp(np.log(6.4) / 27 * (mels - 15)))

    first, last = (float(value) for value in mel(np.asarray([low, high])))
    edges = hertz(np.linspace(first, last, bands + 2))
    bins = np.arange(size // 2 + 1) * rate / size
    rise = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    triangles = np.maximum(0, np.minimum(rise, fall))
    return np.asarray(triangles * 2 / (edges[2:] - edges[:-2])[:, None])


def griffin_lim(magnitude: Float, size: int, hop: int, length: int, rng: np.random.Generator, steps: int = 32) -> Wave:
    """A wave whose spectra have these magnitudes (Griffin and Lim 1984, with momentum: Perraudin et al. 2013)."""
    phase = np.exp(2j * np.pi * rng.random(magnitude.shape))
    before: NDArray[np.complexfloating] = np.zeros_like(phase)
    for _ in range(steps):
        now = stft(istft(magnitude * phase, size, hop, length), size, hop)[: len(magnitude)]
        phase = now + 0.99 * (now - before)
        before = now
        phase /= np.abs(phase) + 1e-9
    return istft(magnitude * phase, size, hop, length)


def pitch(wave: Float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pitch in hertz and how periodic each frame is (0..1), one value every `HOP` samples, by autocorrelation.

    Pitch is followed by dynamic programming, so that it doesn't jump by octaves.
    """
    size, most = 640, 1024
    padded = np.pad(wave, (size // 2, size // 2 + HOP))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::HOP][: wave.size // HOP + 1]
    window = np.hanning(size)
    frames = (frames - frames.mean(1, keepdims=True)) * window
    power = np.abs(np.fft.rfft(frames, 2 * most, axis=1)) ** 2
    own = np.fft.irfft(np.abs(np.fft.rfft(window, 2 * most)) ** 2)
    lags = np.arange(int(RATE / HIGH_PITCH), int(RATE / LOW_PITCH) + 1)
    auto = np.fft.irfft(power, axis=1)
    score = auto[:, lags] / (auto[:, :1] + 1e-9) / (own[lags] / own[0])
    best = _path(np.clip(score - 0.0007 * lags, 0, 1), lags)
    rows = np.arange(len(score))
    loud = np.clip(10 * auto[:, 0] / (np.percentile(auto[:, 0], 95) + 1e-9), 0, 1) ** 0.25
    return RATE / lags[best], np.clip(score[rows, best], 0, 1) * loud


def _path(score: NDArray[np.float64], lags: NDArray[np.int_]) -> NDArray[np.int_]:
    """The lag of each frame: large scores, small steps in octaves (Viterbi)."""
    octaves = np.log2(lags)
    cost = 1.5 * np.abs(octaves[:, None] - octaves[None])
    total = score[0].copy()
    came = np.zeros((len(score), len(lags)), np.int64)
    for i in range(1, len(score)):
        options = total[None] - cost
        came[i] = options.argmax(1)
        total = options[np.arange(len(lags)), came[i]] + score[i]
    out = np.zeros(len(score), np.int64)
    out[-1] = int(total.argmax())
    for i in range(len(score) - 1, 0, -1):
        out[i - 1] = came[i, out[i]]
    return out


def envelope(wave: Float, hertz: NDArray[np.float64], size: int = 1024) -> NDArray[np.float64]:
    """Smooth magnitude spectra, (frames, size // 2 + 1) every `HOP` samples, by liftering the cepstrum.

    Quefrencies below 0.7 of a pitch period stay, so the harmonics go and the formants remain.
    """
    log = np.log(np.abs(stft(wave, size, HOP))[: len(hertz)] + 1e-6)
    cepstrum = np.fft.irfft(log, axis=1)
    keep = np.clip(0.7 * RATE / hertz[: len(log)], 20, 120)[:, None]
    quefrency = np.minimum(np.arange(size), size - np.arange(size))[None]
    lifter = 0.5 + 0.5 * np.cos(np.pi * np.clip(quefrency / keep, 0, 1))
    # The log-mean lies below the peaks of the harmonics: half a neper brings the level back.
    return np.asarray(np.exp(np.fft.rfft(cepstrum * np.sqrt(lifter), axis=1).real + 0.3))


def resampled(wave: Float, rate: int) -> Wave:
    """From ``rate`` to 16 kHz."""
    return np.asarray(wave if rate == RATE else soxr.resample(wave.astype(np.float32), rate, RATE), np.float32)


def fitted(wave: Float, length: int) -> Wave:
    """Cut or padded with silence at the end."""
    return np.pad(wave[:length], (0, max(0, length - wave.size))).astype(np.float32)


def levelled(wave: Float, like: Float) -> Wave:
    """Brought to the RMS of ``like``."""
    gain = np.sqrt(np.mean(np.square(like))) / (np.sqrt(np.mean(np.square(wave))) + 1e-9)
    return np.asarray(wave * gain, np.float32)


def trimmed(wave: Wave, below: float = 35.0) -> Wave:
    """Without the silence at both ends: frames more than ``below`` dB under the loudest go."""
    if wave.size < 800:
        return wave
    power = signal.convolve(wave.astype(np.float64) ** 2, np.ones(400) / 400, "same")
    loud = np.flatnonzero(power > power.max() * 10 ** (-below / 10))
    return wave[max(0, loud[0] - 400) : loud[-1] + 400]
