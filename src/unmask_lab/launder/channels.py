"""More that voices go through: telephone codecs, lost packets, clipping, noise suppression. Seeded, label-blind.

`widely` is `unmask_lab.launder.audio.launder` with these added. It is another function, because features are cached by
seed: what `launder` gives for a seed never changes.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import av
import numpy as np
import soxr
from numpy.random import Generator

from unmask.voices.neutral import RATE, neutral
from unmask_lab.launder.audio import Wave, codec, noise, room, telephone

Step = Callable[[Wave, Generator], Wave]
PACKET = 320
"""20 ms, what calls over the Internet send at once."""

CODECS: dict[str, tuple[str, int, tuple[int, ...]]] = {
    "pcm_alaw": ("wav", 8000, (64000,)),
    "pcm_mulaw": ("wav", 8000, (64000,)),
    "libopencore_amrnb": ("amr", 8000, (4750, 7950, 12200)),
    "g723_1": ("wav", 8000, (6300,)),
    "g726": ("wav", 8000, (16000, 24000, 32000)),
    "g722": ("wav", 16000, (64000,)),
    "wmav2": ("asf", 16000, (24000, 32000)),
    "sbc": ("sbc", 16000, (64000, 128000)),
}
"""Codec: container, sample rate, bits a second: land lines, mobile phones, meetings, old files, wireless headsets."""


def widely(wave: Wave, rng: Generator) -> Wave:
    """One random way through the world, the longer list; `neutral` at the end as ever."""
    steps: tuple[tuple[float, Step], ...] = (
        (0.25, room),
        (0.4, noise),
        (0.2, denoised),
        (0.12, clipped),
        (0.2, telephone),
        (0.3, called),
        (0.15, lossy),
        (0.5, codec),
        (0.2, codec),
    )
    for chance, step in steps:
        if rng.random() < chance:
            wave = step(wave, rng)
    return neutral(wave)


def here() -> list[str]:
    """The codecs of `CODECS` that this FFmpeg can write."""
    found = []
    for name in CODECS:
        try:
            av.Codec(name, "w")
        except av.codec.codec.UnknownCodecError:
            continue
        found.append(name)
    return found


def called(wave: Wave, rng: Generator) -> Wave:
    """Through one telephone or meeting codec."""
    name = str(rng.choice(here()))
    return through(wave, name, int(rng.choice(CODECS[name][2])))


def through(wave: Wave, name: str, bit_rate: int) -> Wave:
    """Encode and decode with codec ``name`` of `CODECS` at its own sample rate; the same length and peak come back."""
    form, rate, _ = CODECS[name]
    level = 0.5 / (np.abs(wave).max() + 1e-9)
    data = _encoded(np.asarray(soxr.resample(wave * level, RATE, rate), np.float32), name, form, rate, bit_rate)
    with av.open(io.BytesIO(data), format=form) as container:
        back = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
        parts = [p.to_ndarray()[0] for f in container.decode(audio=0) for p in back.resample(f)]
        parts += [p.to_ndarray()[0] for p in back.resample(None)]
    out = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    return np.asarray(np.pad(out[: wave.size], (0, max(0, wave.size - out.size))) / level, np.float32)


def _encoded(wave: Wave, name: str, form: str, rate: int, bit_rate: int) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=form) as container:
        stream = container.add_stream(name, rate=rate, layout="mono")
        stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave[None], np.float32), "fltp", "mono")
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def lossy(wave: Wave, rng: Generator) -> Wave:
    """2-15 % of packets lost, often several in turn: silence, or the last packet again, fading (concealment)."""
    rate, stay = float(rng.uniform(0.02, 0.15)), float(rng.uniform(0.2, 0.7))
    fills = bool(rng.random() < 0.7)
    out = wave.copy()
    lost = False
    for start in range(PACKET, wave.size - PACKET, PACKET):
        lost = rng.random() < (stay if lost else rate * (1 - stay))
        if lost:
            before = out[start - PACKET : start]
            out[start : start + PACKET] = before * 0.6 if fills else 0
    return out


def clipped(wave: Wave, rng: Generator) -> Wave:
    """Overdriven: the loudest samples cut off hard or bent softly, at the 90th to 99.7th percentile of the level."""
    edge = float(np.quantile(np.abs(wave), rng.uniform(0.9, 0.997))) + 1e-6
    cut = np.clip(wave, -edge, edge) if rng.random() < 0.6 else edge * np.tanh(wave / edge)
    return np.asarray(cut, np.float32)


def denoised(wave: Wave, rng: Generator) -> Wave:
    """Noise suppression as phones and meetings do it: spectral subtraction with a floor (Boll 1979; Berouti 1979).

    The noise is taken from the quietest frames; too much of it is subtracted, which leaves the known warble.
    """
    size, hop = 512, 128
    if wave.size < 4 * size:
        return wave
    padded = np.pad(wave, size)
    window = np.hanning(size + 1)[:-1]
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop] * window
    spectra = np.fft.rfft(frames, axis=1)
    power = np.abs(spectra) ** 2
    quiet = power[np.argsort(power.sum(1))[: max(4, len(power) // 8)]].mean(0)
    over, floor = float(rng.uniform(1, 4)), float(10 ** rng.uniform(-2.5, -1))
    gain = np.sqrt(np.maximum(power - over * quiet, floor * power) / (power + 1e-12))
    out = np.zeros(padded.size)
    for i, frame in enumerate(np.fft.irfft(spectra * gain, size, axis=1)):
        out[i * hop : i * hop + size] += frame * window
    return np.asarray(out[size : size + wave.size] / 1.5, np.float32)
