"""Stretches of sound that occur twice, sample for sample: a copied word, or copied background to cover a cut.

Nobody says a word twice with the same waveform. Candidates come from one matrix product over short spectral
patches; each is then checked on the whitened waveform (generalised cross-correlation with phase transform,
Knapp and Carter 1976), where natural repetitions and steady tones do not correlate but copies do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE = 16000
HOP = 256
WINDOW = 1024
CONTEXT = 8
_BANDS = np.geomspace(150, 7000, 17)
_BLOCK = 256
_PRODUCTS = 6_000_000  # values of one matrix product (24 MB): fewer rows at a time where the sound is long
_KEPT = 60
_CHECK = 4096  # samples of one waveform check, 0.26 s

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class Copy:
    """``first``, ``second``: seconds where it begins; ``length``: seconds; ``match``: 0..1; ``lags``: repeats."""

    first: float
    second: float
    length: float
    match: float
    lags: int = 1


def patches(wave: Wave) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(n, d) unit-length spectral patches every `HOP` samples, and (n,) level of each in dB."""
    bands = _bands(wave)
    level = bands.max(axis=1)
    n = len(bands) - CONTEXT + 1
    if n < 1:
        return np.zeros((0, 1), np.float32), np.zeros(0, np.float32)
    stacked = np.lib.stride_tricks.sliding_window_view(bands, CONTEXT, axis=0)[:, :, ::2].reshape(n, -1).copy()
    stacked -= stacked.mean(axis=1, keepdims=True)
    stacked -= stacked.mean(axis=0, keepdims=True)
    norm = np.sqrt((stacked**2).sum(axis=1, keepdims=True))
    stacked /= np.maximum(norm, 1e-3)
    return stacked, level[:n]


def _bands(wave: Wave) -> NDArray[np.float32]:
    """(n, bands) log energies in dB, floored 70 dB below the loudest."""
    if wave.size < WINDOW:
        return np.zeros((0, len(_BANDS) - 1), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(wave, WINDOW)[::HOP]
    window = np.hanning(WINDOW).astype(np.float32)
    edges = np.searchsorted(np.fft.rfftfreq(WINDOW, 1 / RATE), _BANDS)
    out = np.empty((len(frames), len(edges) - 1), np.float32)
    for start in range(0, len(frames), 2048):
        spectrum = np.fft.rfft(frames[start : start + 2048] * window, axis=1)
        power = spectrum.real**2 + spectrum.imag**2
        out[start : start + 2048] = np.add.reduceat(power, edges, axis=1)[:, :-1]
    decibels = 10 * np.log10(out + 1e-12)
    return np.asarray(np.maximum(decibels, decibels.max() - 70), np.float32)


def find_copies(wave: Wave, p: Mapping[str, float]) -> list[Copy]:
    """Stretches of (n,) mono sound at 16 kHz that recur, the longest first; ``copy_match_weak`` and better."""
    vectors, level = patches(wave)
    if len(vectors) < 40:
        return []
    active = level > level.max() - p["copy_active_db"]
    step = max(1, int(p["copy_query_seconds"] * RATE / HOP))
    queries = np.flatnonzero(active)[::step]
    pairs = _candidates(vectors, queries, active, p)
    found: list[Copy] = []
    for i, j in pairs:
        if any(_covers(c, i * HOP / RATE, j * HOP / RATE) for c in found):
            continue
        match, shift = correlation(wave, i * HOP, j * HOP)
        if match >= p["copy_match_weak"] and agreement(wave, i * HOP, j * HOP + shift) >= p["copy_agreement"]:
            found.append(_grow(wave, i * HOP, j * HOP + shift, match, p))
    return _merged([c for c in found if c.length >= p["copy_min_seconds"]])


def _candidates(
    vectors: NDArray[np.float32], queries: NDArray[np.intp], active: NDArray[np.bool_], p: Mapping[str, float]
) -> list[tuple[int, int]]:
    """The most similar pairs of patches at least ``copy_min_gap`` apart, best first."""
    gap = int(p["copy_min_gap"] * RATE / HOP)
    best: list[tuple[float, int, int]] = []
    vectors *= active[:, None]
    block = max(16, min(_BLOCK, _PRODUCTS // len(vectors)))
    for start in range(0, queries.size, block):
        rows = queries[start : start + block]
        begin = int(rows[0]) + gap
        if begin >= len(vectors):
            break
        similar = vectors[rows] @ vectors[begin:].T
        corner = int(rows[-1]) - int(rows[0])
        similar[:, :corner][np.arange(corner)[None, : similar.shape[1]] < (rows - rows[0])[:, None]] = 0
        top = similar.argmax(axis=1)
        score = similar[np.arange(rows.size), top]
        keep = score >= p["copy_similar"]
        best += [(float(s), int(i), int(j) + begin) for s, i, j in zip(score[keep], rows[keep], top[keep], strict=True)]
    best.sort(reverse=True)
    return [(i, j) for _, i, j in best[: int(p["copy_checks"])]]


def correlation(wave: Wave, i: int, j: int) -> tuple[float, int]:
    """Peak of the whitened cross-correlation of the stretches at samples i and j (0..1), and the shift of j.

    Bins 50 dB below the loudest are left out; so few bins that a tone could pass give 0.
    """
    reach = HOP
    lo = max(0, j - reach)
    a, b = wave[i : i + _CHECK], wave[lo : lo + _CHECK + 2 * reach]
    if a.size < _CHECK or b.size < _CHECK:
        return 0.0, 0
    size = 2 * _CHECK
    fa = np.fft.rfft(a * np.hanning(a.size), size)
    fb = np.fft.rfft(b * np.hanning(b.size), size)
    power = np.sqrt(np.abs(fa) * np.abs(fb))
    smooth = np.convolve(power, np.ones(9) / 9, "same")
    used = smooth > smooth.max() * 10 ** (-50 / 20)
    used[: int(200 * size / RATE)] = False
    if used.sum() * RATE / size < 1200:
        return 0.0, 0
    cross = np.where(used, fa * np.conj(fb), 0)
    cross = cross / np.maximum(np.abs(cross), 1e-12)
    lags = np.fft.irfft(cross, size) * (size / 2) / max(1, int(used.sum()))
    window = np.r_[lags[-(3 * reach) :], lags[: reach + 1]]
    peak = int(window.argmax())
    return float(window[peak]), -(peak - 3 * reach) - (j - lo)


def agreement(wave: Wave, i: int, j: int) -> float:
    """Plain correlation of the two waveforms, -1..1: whitened clicks alone (lost packets) do not pass it."""
    a, b = (wave[k : k + _CHECK].astype(np.float64) for k in (i, max(0, j)))
    size = min(a.size, b.size)
    a, b = a[:size] - a[:size].mean(), b[:size] - b[:size].mean()
    power = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / power if power > 0 else 0.0


def _grow(wave: Wave, i: int, j: int, match: float, p: Mapping[str, float]) -> Copy:
    """Extend a match to both sides in steps of a quarter check while the waveforms go on agreeing."""
    step = _CHECK // 4
    first, last = 0, _CHECK
    total, count = match, 1
    for direction in (-1, 1):
        at = direction * step
        while min(i, j) + at >= 0 and max(i, j) + at + _CHECK <= wave.size and abs(at) < 30 * RATE:
            m, shift = correlation(wave, i + at, j + at)
            if m < p["copy_match_grow"] * match or abs(shift) > 8 or i + at + _CHECK > j:
                break
            first, last = min(first, at), max(last, at + _CHECK)
            total, count, at = total + m, count + 1, at + direction * step
    return Copy((i + first) / RATE, (j + first) / RATE, (last - first) / RATE, total / count)


def _covers(c: Copy, first: float, second: float) -> bool:
    inside = c.first - 0.1 <= first <= c.first + c.length + 0.1
    return inside and abs((second - first) - (c.second - c.first)) < 0.1


def _merged(found: list[Copy]) -> list[Copy]:
    """Copies of the same stretch at several places count as one with several ``lags``."""
    kept: list[Copy] = []
    for c in sorted(found, key=lambda c: -c.length)[:_KEPT]:
        same = next((k for k in kept if _shared(k, c) > 0.5 * c.length), None)
        if same is None:
            kept.append(c)
        elif abs((c.second - c.first) - (same.second - same.first)) > 0.05:
            kept[kept.index(same)] = Copy(same.first, same.second, same.length, same.match, same.lags + 1)
    return kept


def _shared(a: Copy, b: Copy) -> float:
    spans = [(x, y) for x in (a.first, a.second) for y in (b.first, b.second)]
    return max(min(x + a.length, y + b.length) - max(x, y) for x, y in spans)
