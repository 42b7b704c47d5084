"""Mains hum as a clock: where the hum of the electric network is audible, its phase runs on without steps.

Follows Rodriguez, Apolinario and Biscainho (2010): a cut removes a piece of the hum, so its phase jumps at the
join. Only a steady line with a clear margin over its neighbours is used; otherwise nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unmask.media.sound import Wave

RATE = 1000
LINES = (50.0, 60.0, 100.0, 120.0)
_HOP = 20
_WINDOW = 500
# A long recording is taken in parts, so that complex numbers of all of it never stand in memory.
_PART = 1 << 16
_ROWS = 4096


@dataclass(frozen=True)
class Hum:
    """A steady hum. ``frequency``: Hz; ``margin``: dB over its neighbours; ``times``, ``phase``: seconds, radians
    (trend removed); ``breaks``: (seconds, step in radians) where the phase jumps.
    """

    frequency: float
    margin: float
    times: NDArray[np.float64]
    phase: NDArray[np.float64]
    breaks: tuple[tuple[float, float], ...]


def find_hum(wave: Wave, p: Mapping[str, float]) -> Hum | None:
    """The steadiest hum of (n,) mono sound at 1000 Hz with its phase breaks, or None where none is steady."""
    if wave.size < p["hum_min_seconds"] * RATE:
        return None
    found = [h for line in LINES if (h := _follow(wave, line, p)) is not None]
    return max(found, key=lambda h: h.margin, default=None)


def _follow(wave: Wave, line: float, p: Mapping[str, float]) -> Hum | None:
    """Track the line; the margin must hold for most of the recording, so that a voice or a note does not pass."""
    centre = _peak(wave, line)
    track = _demodulate(wave, centre)
    around = np.minimum(np.abs(_demodulate(wave, centre - 7.0)), np.abs(_demodulate(wave, centre + 7.0)))
    margin = 20 * np.log10((np.abs(track) + 1e-9) / (around + 1e-9))
    if np.percentile(margin, 15) < p["hum_margin_db"] or np.median(np.abs(track)) < 1e-5:
        return None
    level = np.abs(track) / np.median(np.abs(track))
    if (np.abs(np.log2(level + 1e-9)) > 1).mean() > 0.15:
        return None  # mains hum does not swell and fade
    times = (np.arange(track.size) * _HOP + _WINDOW / 2) / RATE
    phase = np.unwrap(np.angle(track))
    flat = phase - np.polyval(np.polyfit(times, phase, 1), times)
    return Hum(centre, float(np.median(margin)), times, flat, _breaks(times, phase, p))


def _peak(wave: Wave, line: float) -> float:
    """The strongest frequency within 0.4 Hz of the nominal one."""
    size = 1 << int(np.ceil(np.log2(max(wave.size, 16 * RATE))))
    step = 1.0 / (size * (1 / RATE))
    near = np.arange(int((line - 0.5) / step), int((line + 0.5) / step) + 2)
    near = near[np.abs(near * step - line) <= 0.4]
    return float(near[np.abs(_spectrum(wave, size, near)).argmax()] * step)


def _spectrum(wave: Wave, size: int, near: NDArray[np.int64]) -> NDArray[np.complex128]:
    """Neighbouring lines of the Fourier transform of the wave under a Hann window, filled up to ``size``.

    Every ``count``-th sample is transformed by itself; the lines that are wanted are their sum, each turned by its
    delay (decimation in time, Cooley and Tukey 1965).
    """
    count = max(1, size // _PART)
    whole = size // count
    index = near % whole
    mirrored = index > whole // 2
    found = np.zeros(near.size, np.complex128)
    for first in range(count):
        at = np.arange(first, wave.size, count)
        window = 0.5 + 0.5 * np.cos(np.pi * (1 - wave.size + 2 * at) / max(1, wave.size - 1))
        lines = np.fft.rfft(wave[first::count] * window, whole)[np.where(mirrored, whole - index, index)]
        found += np.where(mirrored, lines.conj(), lines) * np.exp(-2j * np.pi * first * near / size)
    return found


def _demodulate(wave: Wave, frequency: float) -> NDArray[np.complex128]:
    """(m,) complex amplitude of one frequency every `_HOP` samples, seen through a half-second window."""
    window = np.hanning(_WINDOW)
    window /= window.sum()
    out = []
    for first in range(0, wave.size - _WINDOW + 1, _ROWS * _HOP):
        last = min(wave.size, first + _ROWS * _HOP + _WINDOW - _HOP)
        base = wave[first:last] * np.exp(-2j * np.pi * frequency * (np.arange(first, last) / RATE))
        # Only every hop is wanted, so the plain sum is cheaper than a convolution (and than importing scipy.signal).
        out.append(np.lib.stride_tricks.sliding_window_view(base, _WINDOW)[::_HOP] @ window)
    return np.asarray(np.concatenate(out), np.complex128)


def _breaks(
    times: NDArray[np.float64], phase: NDArray[np.float64], p: Mapping[str, float]
) -> tuple[tuple[float, float], ...]:
    """Times where straight lines through the phase before and after miss each other by more than their scatter."""
    half = int(p["hum_side_seconds"] * RATE / _HOP)
    gap = _WINDOW // 2 // _HOP + 1  # the window blurs the step over its own half length
    k = np.arange(half + gap, times.size - half - gap)
    if k.size == 0:
        return ()
    level, slope, scatter = _lines(phase, half)
    before, after = k - gap - half, k + gap
    reach = gap + 0.5 * (half - 1)
    step = (level[after] - reach * slope[after]) - (level[before] + reach * slope[before])
    step = (step + np.pi) % (2 * np.pi) - np.pi
    rough = np.maximum(scatter[before], scatter[after])
    drift = np.abs(slope[before] - slope[after]) * RATE / _HOP / (2 * np.pi)
    sure = (
        (rough < p["hum_scatter"])
        & (drift < p["hum_drift_hz"])
        & (np.abs(step) > np.maximum(p["hum_step"], p["hum_step_ratio"] * rough))
    )
    return _isolated(times[k], np.where(sure, step, 0.0), half + gap)


def _lines(
    phase: NDArray[np.float64], size: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Least-squares lines through every window of ``size`` values: middle level, slope a value, RMS scatter."""
    windows = np.lib.stride_tricks.sliding_window_view(phase, size)
    x = np.arange(size) - 0.5 * (size - 1)
    level = windows.mean(axis=1)
    slope = windows @ (x / (x @ x))
    parts = range(0, len(windows), _ROWS)
    rough = np.concatenate([(windows[i : i + _ROWS] - level[i : i + _ROWS, None]).var(axis=1) for i in parts])
    spread = np.maximum(rough - slope**2 * (x @ x) / size, 0.0)
    return level, slope, np.sqrt(spread)


def _isolated(times: NDArray[np.float64], steps: NDArray[np.float64], reach: int) -> tuple[tuple[float, float], ...]:
    """The largest step of each neighbourhood, in order of time."""
    steps, out = steps.copy(), []
    while np.abs(steps).max(initial=0) > 0:
        k = int(np.abs(steps).argmax())
        out.append((float(times[k]), float(steps[k])))
        steps[max(0, k - reach) : k + reach + 1] = 0
    return tuple(sorted(out))
