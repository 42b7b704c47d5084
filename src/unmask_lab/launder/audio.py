"""What voices go through: rooms, telephones, codecs, noise, gain. Seeded, and blind to the label.

Every clip, laundered or not, ends as `unmask.voices.neutral` makes it: shortcuts that tell collections apart rather
than speech from synthesis are taken out.
"""

from __future__ import annotations

import io

import av
import numpy as np
import soxr
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import signal

from unmask.voices.neutral import RATE, neutral

Wave = NDArray[np.float32]


def launder(wave: Wave, rng: Generator) -> Wave:
    """One random way through the world: room, noise, band, one or two codecs, gain; then `neutral` again."""
    for chance, step in ((0.3, room), (0.5, noise), (0.3, telephone), (0.75, codec), (0.25, codec)):
        if rng.random() < chance:
            wave = step(wave, rng)
    return neutral(wave)


def noise(wave: Wave, rng: Generator) -> Wave:
    """Coloured noise at 8-40 dB below the voice."""
    spectrum = np.fft.rfft(rng.standard_normal(wave.size))
    slope = rng.uniform(0, 1.2)
    spectrum /= np.maximum(np.arange(spectrum.size), 8.0) ** slope
    added = np.fft.irfft(spectrum, wave.size)
    level = np.sqrt(np.mean(wave**2) / (np.mean(added**2) + 1e-12)) * 10 ** (-rng.uniform(8, 40) / 20)
    return np.asarray(wave + level * added, np.float32)


def room(wave: Wave, rng: Generator) -> Wave:
    """A made room: exponentially fading noise, 0.1-0.6 s, 0-15 dB below the direct sound."""
    length = int(RATE * rng.uniform(0.1, 0.6))
    tail = rng.standard_normal(length) * np.exp(-6.9 * np.arange(length) / length)
    tail *= 10 ** (-rng.uniform(0, 15) / 20) / np.sqrt(np.sum(tail**2))
    tail[0] += 1.0
    return np.asarray(signal.fftconvolve(wave, tail)[: wave.size], np.float32)


def telephone(wave: Wave, rng: Generator) -> Wave:
    """300-3400 Hz at 8 kHz, with G.711 half of the time, and back to 16 kHz."""
    narrow = soxr.resample(wave, RATE, 8000)
    band = signal.butter(4, [rng.uniform(150, 320), rng.uniform(3200, 3700)], "bandpass", fs=8000, output="sos")
    narrow = signal.sosfilt(band, narrow)
    if rng.random() < 0.5:
        peak = np.abs(narrow).max() + 1e-9
        coded = np.sign(narrow) * np.log1p(255 * np.abs(narrow) / peak) / np.log(256)
        coded = np.round(coded * 127) / 127
        narrow = np.sign(coded) * np.expm1(np.abs(coded) * np.log(256)) / 255 * peak
    return _fit(soxr.resample(narrow.astype(np.float32), 8000, RATE), wave.size)


def codec(wave: Wave, rng: Generator) -> Wave:
    """MP3, Opus or AAC at a random bit rate."""
    name, rates = _CODECS[int(rng.integers(len(_CODECS)))]
    return through_codec(wave, name, int(rng.choice(rates)) * 1000)


_CODECS: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("libmp3lame", (32, 48, 64, 96, 128)),
    ("libopus", (12, 16, 24, 32, 48)),
    ("aac", (24, 32, 48, 64)),
)
_CONTAINERS = {"libmp3lame": "mp3", "libopus": "ogg", "aac": "adts"}


def through_codec(wave: Wave, name: str, bit_rate: int, rate: int = RATE) -> Wave:
    """Encode and decode with FFmpeg; the same length comes back, delay included."""
    buffer = io.BytesIO()
    coded_rate = 48000 if name == "libopus" else rate
    samples = soxr.resample(wave, rate, coded_rate) if coded_rate != rate else wave
    with av.open(buffer, "w", format=_CONTAINERS[name]) as container:
        stream = container.add_stream(name, rate=coded_rate, layout="mono")
        stream.bit_rate = bit_rate
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=coded_rate)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None], np.float32), "fltp", "mono")
        frame.sample_rate = coded_rate
        for part in resampler.resample(frame):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer) as container:
        back = av.AudioResampler(format="fltp", layout="mono", rate=rate)
        parts = [p.to_ndarray()[0] for f in container.decode(audio=0) for p in back.resample(f)]
    return _fit(np.concatenate(parts) if parts else np.zeros(0, np.float32), wave.size)


def _fit(wave: NDArray[np.floating], size: int) -> Wave:
    return np.pad(wave[:size], (0, max(0, size - wave.size))).astype(np.float32)
