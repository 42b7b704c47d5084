"""Stretches of another bandwidth: a word from a telephone call inside a studio recording, and the reverse.

The highest frequency that carries sound is followed over time. A natural recording keeps one limit, set by its
converter and codec; only a clean change between two steady limits, while sound is present on both sides, counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unmask.media.sound import Sound, Wave

RATE = 16000
_SIZE = 1024
_HOP = 256
_GROUP = 8  # FFT bins in a band: 125 Hz
_SIDE = 32  # frames looked at together: half a second
_STEP = 8

_FRAMES = 2048  # frames of one Fourier transform


@dataclass(frozen=True)
class Width:
    """``times``: (n,) seconds; ``limit``: (n,) Hz, NaN where too little sounds; ``joins``: seconds where the limit
    changes for good; ``low``/``high``: the two limits in Hz (equal where there is but one).
    """

    times: NDArray[np.float64]
    limit: NDArray[np.float64]
    joins: tuple[float, ...]
    low: float
    high: float


def follow_width(sound: Sound, p: Mapping[str, float]) -> Width | None:
    """Follow the upper limit of sound at 16 kHz; None below two seconds."""
    if sound.size < 2 * RATE:
        return None
    limit = _limits(_levels(sound), p)
    times = (np.arange(limit.size) * _STEP + 0.5 * _SIDE) * _HOP / RATE
    known = limit[np.isfinite(limit)]
    if known.size < 2 * _SIDE // _STEP:
        return Width(times, limit, (), 0.0, 0.0)
    low, high = _two_levels(np.log2(known))
    if not _two_steady(np.log2(known), low, high, p):
        middle = float(np.median(known))
        return Width(times, limit, (), middle, middle)
    return Width(times, limit, _joins(times, limit, 2 ** (0.5 * (low + high)), p), 2.0**low, 2.0**high)


def _levels(sound: Sound) -> NDArray[np.float32]:
    """(n, 64) loud-moment level of each 125-Hz band over half a second, every `_STEP` frames, dB."""
    tops = []
    rest = np.zeros((0, _SIZE // 2 // _GROUP), np.float32)
    for piece in sound.pieces(_FRAMES * _HOP, after=_SIZE - _HOP):
        if piece.size < _SIZE:
            break
        frames = np.concatenate([rest, _decibels(piece)])
        if len(frames) >= _SIDE:
            tops += _tops(np.lib.stride_tricks.sliding_window_view(frames, _SIDE, axis=0)[::_STEP])
            # The next stretch begins a step after the last one's beginning.
            frames = frames[((len(frames) - _SIDE) // _STEP + 1) * _STEP :]
        rest = frames
    return np.concatenate(tops)


def _decibels(wave: Wave) -> NDArray[np.float32]:
    """(n, 64) level of each band, a row for each `_HOP` samples."""
    frames = np.lib.stride_tricks.sliding_window_view(wave, _SIZE)[::_HOP]
    spectrum = np.fft.rfft(frames * np.hanning(_SIZE).astype(np.float32), axis=1)[:, : _SIZE // 2]
    power = (spectrum.real**2 + spectrum.imag**2).reshape(len(spectrum), -1, _GROUP).mean(axis=2)
    return np.asarray(10 * np.log10(power / 150 + 1e-11), np.float32)


def _tops(views: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """The level of each (stretch, band, frame) that a fifth of its frames exceeds."""
    rank = int(0.8 * _SIDE)
    # Copies, so that the sorted frames can go.
    return [np.partition(views[i : i + 512], rank, axis=2)[:, :, rank].copy() for i in range(0, len(views), 512)]


def _limits(levels: NDArray[np.float32], p: Mapping[str, float]) -> NDArray[np.float64]:
    """Upper limit in Hz of each half second that carries sound."""
    voice = levels[:, 4:20].max(axis=1)
    present = levels > np.maximum(voice - p["width_range_db"], p["width_floor_db"])[:, None]
    top = levels.shape[1] - present[:, ::-1].argmax(axis=1)
    hertz = top * _GROUP * RATE / _SIZE
    return np.where((voice > p["width_active_db"]) & present.any(axis=1), hertz, np.nan).astype(np.float64)


def _two_levels(logs: NDArray[np.float64]) -> tuple[float, float]:
    """Two-means of the limits in octaves."""
    low, high = float(np.percentile(logs, 2)), float(np.percentile(logs, 98))
    for _ in range(12):
        upper = logs > 0.5 * (low + high)
        if upper.all() or not upper.any():
            return low, low
        low, high = float(np.median(logs[~upper])), float(np.median(logs[upper]))
    return low, high


def _two_steady(logs: NDArray[np.float64], low: float, high: float, p: Mapping[str, float]) -> bool:
    """Whether nearly all limits lie close to one of two clearly different values."""
    if high - low < p["width_octaves"]:
        return False
    upper = logs > 0.5 * (low + high)
    near = np.minimum(np.abs(logs - low), np.abs(logs - high)) < p["width_spread"]
    shares = (near[upper].mean(), near[~upper].mean())
    return bool(min(shares) > p["width_near_share"] and min(upper.sum(), (~upper).sum()) >= _SIDE // _STEP)


def _joins(
    times: NDArray[np.float64], limit: NDArray[np.float64], middle: float, p: Mapping[str, float]
) -> tuple[float, ...]:
    """Changes between two limits that each hold for a while; so many that the limit follows the sound are none."""
    known = np.flatnonzero(np.isfinite(limit))
    upper = limit[known] > middle
    edges = np.flatnonzero(np.diff(upper.astype(np.int8))) + 1
    runs = np.split(np.arange(known.size), edges)
    shortest = min(len(r) for r in runs) * _STEP * _HOP / RATE
    if not 0 < edges.size <= p["width_max_joins"] or shortest < p["width_min_seconds"]:
        return ()
    return tuple(float(0.5 * (times[known[i - 1]] + times[known[i]])) for i in edges)
