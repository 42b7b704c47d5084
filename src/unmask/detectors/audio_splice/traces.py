"""Facts of a recording's history: digital silence, bandwidth, clicks, offset from zero.

None of them is a sign by itself: noise gates, editors, codecs and cheap converters make all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unmask.media.sound import Sound, Span, Wave, cuts

_LOUDNESS_BLOCKS = 200


def silent_runs(constant: Iterable[Span], rate: int, min_seconds: float) -> list[tuple[float, float]]:
    """(start, end) seconds of the longer ones of the stretches [first, last) of samples that hold one value."""
    shortest = max(2, int(min_seconds * rate))
    return [(a / rate, b / rate) for a, b in constant if b - a > shortest]


@dataclass(frozen=True)
class Bandwidth:
    """``cut_off``: Hz above which there is next to nothing; ``steepness``: dB the spectrum falls within 1 kHz there;
    ``frequencies``, ``levels``: the long-term spectrum, Hz and dB.
    """

    cut_off: float
    steepness: float
    frequencies: NDArray[np.float64]
    levels: NDArray[np.float64]


def bandwidth(sound: Sound, max_blocks: int = 600) -> Bandwidth | None:
    """Effective bandwidth of sound at its own rate; None below a quarter second or in silence.

    At most ``max_blocks`` blocks, evenly spread, are looked at; quiet ones do not count.
    """
    size, rate = 2048, sound.rate
    if sound.size < max(size, rate // 4):
        return None
    starts = np.unique(np.linspace(0, sound.size - size, max_blocks).astype(np.int64)).tolist()
    # Copies, so that what they are cut from can go.
    blocks = np.stack([wave.copy() for wave in sound.cuts((s, s + size) for s in starts)])
    blocks *= np.hanning(size).astype(np.float32)
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


def loudness_blocks(sound: Sound, seconds: float = 0.05) -> NDArray[np.float64]:
    """(n,) level in dB of full scale of consecutive blocks."""
    size = max(1, int(seconds * sound.rate))
    power = [np.zeros(0)]
    for piece in sound.pieces(_LOUDNESS_BLOCKS * size):
        blocks = piece[: piece.size // size * size].reshape(-1, size)
        # einsum squares and sums in double precision without a copy of the sound.
        power.append(np.einsum("ij,ij->i", blocks, blocks, dtype=np.float64) / size)
    return np.asarray(10 * np.log10(np.concatenate(power) + 1e-12), np.float64)


def mute_edges(
    runs: Sequence[tuple[float, float]], blocks: Iterable[Wave], rate: int, p: Mapping[str, float]
) -> list[float]:
    """Times at which sound is cut hard into or out of digital silence: loud within 5 ms of the edge.

    ``blocks``: (channels, n) at ``rate`` Hz, as the file stores them; read only where there are ``runs``.
    """
    if not runs:
        return []
    reach = max(2, int(0.005 * rate))
    places = sorted([(round(a * rate) - reach, a) for a, _ in runs] + [(round(b * rate), b) for _, b in runs])
    near = cuts(blocks, [(max(0, first), first + reach) for first, _ in places])
    return sorted(
        at
        for (first, at), part in zip(places, near, strict=True)
        if first >= 0 and part.shape[1] >= reach and float(np.sqrt(np.mean(part**2))) > p["mute_edge_level"]
    )
