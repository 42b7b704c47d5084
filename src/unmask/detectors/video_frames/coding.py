"""How the film was coded: groups of pictures and periodic traces of an earlier coding.

A film that was coded before had key frames at its own interval. Coded again, the pictures that were key frames
then cost more bits than their neighbours, so the sizes of predicted frames rise periodically (Wang and Farid
2006; Vazquez-Padin et al. 2012 use the same periodicity of the prediction footprint). Packet sizes show it
without decoding. Every platform codes uploads again, so this is a fact, never a sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Period:
    """An earlier key-frame interval in frames, its offset, and log10 of one over the number of false alarms."""

    frames: int
    offset: int
    strength: float


@dataclass(frozen=True)
class Coding:
    """Key-frame intervals of the film as it is, frames by type, and a trace of an earlier interval."""

    intervals: NDArray[np.int64]
    counts: dict[str, int]
    earlier: Period | None


def read_coding(
    packets: NDArray[Any], times: NDArray[np.float64], types: NDArray[np.str_], p: Mapping[str, float]
) -> Coding:
    """From `VideoView.packet_table` and the times and types of the decoded frames."""
    keys = np.flatnonzero(packets["key"])
    counts = {str(t): int(n) for t, n in zip(*np.unique(types, return_counts=True), strict=True)}
    order = np.argsort(packets["pts"], kind="stable") if np.isfinite(packets["pts"]).all() else np.arange(len(packets))
    intervals = np.diff(np.flatnonzero(packets["key"][order])) if keys.size else np.zeros(0, np.int64)
    earlier = None
    if len(packets) == len(times) and len(times) >= p["coding_min_frames"]:
        earlier = earlier_interval(packets["size"][order], types, intervals, p)
    return Coding(intervals, counts, earlier)


def earlier_interval(
    sizes: NDArray[np.int64], types: NDArray[np.str_], intervals: NDArray[np.int64], p: Mapping[str, float]
) -> Period | None:
    """The most surprising period of size peaks among predicted frames, or None.

    The count of peaks at one phase is binomial under the hypothesis of no earlier coding; the number of periods
    and phases tried makes it a number of false alarms (a contrario).
    """
    from scipy.special import betainc

    peaks, valid = _peaks(sizes, types, p["coding_peak"])
    share = peaks.sum() / max(1, valid.sum())
    if not 0 < share < 0.25:
        return None
    n, best, tests = len(sizes), None, 0
    fixed = _fixed_interval(intervals)
    for period in range(int(p["coding_min_period"]), min(int(p["coding_max_period"]), n // 5) + 1):
        tests += period
        if fixed and (fixed % period == 0 or period % fixed == 0):
            continue  # the present coding has this rhythm itself
        phase = np.arange(n) % period
        hits = np.bincount(phase[peaks], minlength=period)
        tries = np.bincount(phase[valid], minlength=period)
        # P(at least so many hits), a binomial tail; scipy.stats would cost 0.3 s to import.
        tail = np.where(hits > 0, betainc(np.maximum(hits, 1), np.maximum(tries - hits, 0) + 1, share), 1.0)
        chance = np.log10(np.maximum(tail, 1e-300))
        offset = int(np.argmin(chance))
        if best is None or chance[offset] < best.strength:
            best = Period(period, offset, float(chance[offset]))
    if best is None:
        return None
    strength = -best.strength - float(np.log10(max(1, tests)))
    return Period(best.frames, best.offset, strength) if strength >= p["coding_strength"] else None


def _peaks(
    sizes: NDArray[np.int64], types: NDArray[np.str_], level: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Predicted frames much larger than their neighbours of the same type, and the frames that could be."""
    valid = (types == "P") | (types == "B")
    for i in np.flatnonzero(types == "I"):
        valid[max(0, i - 1) : i + 2] = False  # neighbours of a key frame are large for their own reasons
    ratio = np.zeros(len(sizes))
    for kind in ("P", "B"):
        where = np.flatnonzero(valid & (types == kind))
        if where.size >= 9:
            ratio[where] = sizes[where] / np.maximum(_median(sizes[where].astype(np.float64), 9), 1)
    return valid & (ratio > level), valid


def _median(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    from scipy.ndimage import median_filter

    return np.asarray(median_filter(values, size, mode="nearest"), np.float64)


def _fixed_interval(intervals: NDArray[np.int64]) -> int:
    if intervals.size < 2:
        return 0
    usual = int(np.median(intervals))
    return usual if (intervals == usual).mean() > 0.6 else 0
