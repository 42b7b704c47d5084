"""Facts of a recording's history: digital silence, bandwidth, clicks, offset from zero.

None of them is a sign by itself: noise gates, editors, codecs and cheap converters make all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Wave = NDArray[np.float32]


def silent_runs(native: Wave, rate: int, min_seconds: float) -> list[tuple[float, float]]:
    """(start, end) seconds of stretches in which all channels hold one and the same value.

    ``native``: (channels, n) at ``rate`` Hz, as the file stores it.
    """
    if native.shape[1] < 2:
        return []
    same = np.all(native[:, 1:] == native[:, :-1], axis=0)
    edges = np.flatnonzero(np.diff(np.r_[0, same.view(np.int8), 0]))
    shortest = max(2, int(min_seconds * rate))
    return [(a / rate, (b + 1) / rate) for a, b in edges.reshape(-1, 2).tolist() if b - a >= shortest]


@dataclass(frozen=True)
class Bandwidth:
    """``cut_off``: Hz above which there is next to nothing; ``steepness``: dB the spectrum falls within 1 kHz there;
    ``frequencies``, ``levels``: the long-term spectrum, Hz and dB.
    """

    cut_off: float
    steepness: float
    frequencies: NDArray[np.float64]
    levels: NDArray[np.float64]


def bandwidth(wave: Wave, rate: int, max_blocks: int = 600) -> Bandwidth | None:
    """Effective bandwidth of (n,) mono sound at its own rate; None below a quarter second or in silence.

    At most ``max_blocks`` blocks, evenly spread, are looked at; quiet ones do not count.
    """
    size = 2048
    if wave.size < max(size, rate // 4):
        return None
    starts = np.unique(np.linspace(0, wave.size - size, max_blocks).astype(np.int64))
    blocks = np.stack([wave[s : s + size] for s in starts]) * np.hanning(size).astype(np.float32)
    power = np.abs(np.fft.rfft(blocks, axis=1)) ** 2
    loud = power.sum(axis=1)
    if loud.max(initial=0) < 1e-6:
        return None
    power = power[loud > loud.max() * 1e-4]
    f = np.fft.rfftfreq(size, 1 / rate)
    width = max(1, round(125 / (f[1])))
    bands = power.mean(axis=0)[: len(f) // width * width].reshape(-1, width).mean(axis=1)
    levels = 10 * np.log10(bands + 1e-12)
    middle = f[: len(f) // width * width].reshape(-1, width).mean(axis=1)
    present = np.flatnonzero(levels > max(levels.max() - 75.0, -60.0))
    top = int(present[-1]) if present.size else 0
    span = max(1, round(1000 / (middle[1] - middle[0])))
    below = float(np.median(levels[max(0, top - span) : top + 1]))
    above = float(np.median(levels[top + 2 : top + 2 + span])) if top + 3 < levels.size else below
    return Bandwidth(float(middle[top] + f[1] * width / 2), below - above, middle, levels)


def bandwidth_story(cut_off: float, steepness: float, rate: int, codec: str) -> str | None:
    """What a steep cut-off well below half the sampling rate usually comes from, or None where there is none."""
    if cut_off > 0.9 * rate / 2 or steepness < 20:
        return None
    if cut_off < 4200:
        return "The sound ends near 4 kHz, as on a telephone line, although the file could hold more."
    if 7000 < cut_off < 8300 and rate > 17000:
        return "The sound ends near 8 kHz: it was once sampled at 16 kHz (wide-band telephony, speech software)."
    lossless = codec.startswith(("pcm", "flac", "alac"))
    if 10500 < cut_off < 20500 and lossless:
        return (
            f"A lossless file whose sound ends at {cut_off / 1000:.1f} kHz: it was probably an MP3 or AAC file before."
        )
    return f"The sound ends at {cut_off / 1000:.1f} kHz although the file could hold {rate / 2000:.1f} kHz."


def offset_from_zero(native: Wave) -> float:
    """Largest mean value of a channel, 1.0 is full scale."""
    return float(np.abs(native.mean(axis=1)).max(initial=0.0)) if native.shape[1] else 0.0


def loudness_blocks(wave: Wave, rate: int, seconds: float = 0.05) -> NDArray[np.float64]:
    """(n,) level in dB of full scale of consecutive blocks."""
    size = max(1, int(seconds * rate))
    blocks = wave[: wave.size // size * size].reshape(-1, size)
    # einsum squares and sums in double precision without a copy of the whole recording.
    power = np.einsum("ij,ij->i", blocks, blocks, dtype=np.float64) / size
    return np.asarray(10 * np.log10(power + 1e-12), np.float64)


def mute_edges(runs: list[tuple[float, float]], native: Wave, rate: int, p: Mapping[str, float]) -> list[float]:
    """Times at which sound is cut hard into or out of digital silence: loud within 5 ms of the edge."""
    reach = max(2, int(0.005 * rate))
    out: list[float] = []
    for start, end in runs:
        first, last = round(start * rate), round(end * rate)
        for at, near in ((start, native[:, max(0, first - reach) : first]), (end, native[:, last : last + reach])):
            if near.shape[1] >= reach and float(np.sqrt(np.mean(near**2))) > p["mute_edge_level"]:
                out.append(at)
    return out
