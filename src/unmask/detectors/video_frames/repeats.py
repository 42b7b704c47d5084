"""Stretches of frames that occur twice: copied in the same order, or copied and reversed.

Two frames are the same picture when they look alike *and* the change from the frame before is the same, pixel
by pixel: a scene that is merely still looks alike everywhere, but does not move alike. The idea of matching
by temporal correlation follows Wang and Farid (2007); here it is one matrix product over thumbnails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
MATCH_SIDES = ((3000, 64), (8000, 40), (1 << 40, 32))  # longest side of what is matched, by number of frames
_LAGS_KEPT = 24
_BLOCK = 256
# Numbers held at once where frames are compared: what a long film takes beside them stays small.
_AT_ONCE = 4 << 20


@dataclass(frozen=True)
class Repeat:
    """Frames ``first .. first+length-1`` occur again from ``second`` on (backwards where ``reverse``).

    ``match``: mean correlation of the motion, 0..1. ``lags``: how many distances repeat the same stretch.
    """

    first: int
    second: int
    length: int
    match: float
    reverse: bool
    lags: int = 1


@dataclass(frozen=True)
class Motion:
    """Reduced frames and the normalised change between neighbours.

    ``frames``: (n, d) uint8 grey levels; ``change``: (n, d) change from the frame before, mean removed, unit length;
    ``energy``: (n,) RMS of that change in grey levels (0 for the first frame).
    """

    frames: NDArray[np.uint8]
    change: Array
    energy: Array


def motion_of(luma: NDArray[np.uint8]) -> Motion:
    """(n, h, w) uint8 thumbnails to `Motion`."""
    import cv2

    n, h, w = luma.shape
    side = next(s for most, s in MATCH_SIDES if n <= most)
    scale = min(1.0, side / max(h, w))
    size = max(2, round(w * scale)), max(2, round(h * scale))
    frames = np.empty((n, size[0] * size[1]), np.uint8)
    for i in range(n):
        frames[i] = cv2.resize(luma[i], size, interpolation=cv2.INTER_AREA).ravel()
    change = np.zeros(frames.shape, np.float32)
    np.subtract(frames[1:], frames[:-1], out=change[1:], dtype=np.float32)
    change -= change.mean(axis=1, keepdims=True)
    energy = np.concatenate([np.sqrt(np.mean(change[part] ** 2, axis=1)) for part in _parts(n, frames.shape[1])])
    change /= np.maximum(energy, 1e-6)[:, None] * np.float32(np.sqrt(frames.shape[1]))
    return Motion(frames, change, energy)


def _parts(n: int, width: int) -> list[slice]:
    """Rows of ``width`` numbers in parts of at most `_AT_ONCE` numbers."""
    step = max(1, _AT_ONCE // width)
    return [slice(start, start + step) for start in range(0, n, step)]


def find_repeats(
    motion: Motion, moving: NDArray[np.bool_], parameters: Mapping[str, float], rate: float
) -> list[Repeat]:
    """All repeated stretches, the longest first.

    ``moving``: (n,) frames whose change is motion, not noise. ``rate``: frames a second.
    """
    gap = max(4, int(parameters["repeat_min_seconds"] * rate))
    queries = np.flatnonzero(moving)
    if queries.size < 2:
        return []
    queries = queries[:: max(1, queries.size // int(parameters["repeat_queries"]))]
    forward, backward = _votes(motion, queries, moving, parameters["repeat_vote"], gap)
    found: list[Repeat] = []
    for lag in _peaks(forward):
        found += _runs_forward(motion, moving, lag, gap, parameters)
    for total in _peaks(backward):
        found += _runs_backward(motion, moving, total, gap, parameters, rate)
    return _merged(found)


def _votes(
    motion: Motion, queries: NDArray[np.intp], moving: NDArray[np.bool_], level: float, gap: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many query frames match some later frame, by distance (forward) and by sum of indices (backward)."""
    n = len(moving)
    forward = np.zeros(n + 1, np.int64)
    backward = np.zeros(2 * n + 1, np.int64)
    block = max(1, min(_BLOCK, _AT_ONCE // n))
    for start in range(0, queries.size, block):
        rows = queries[start : start + block]
        similar = motion.change[rows] @ motion.change.T
        similar[:, ~moving] = 0
        i, j = np.nonzero(similar > level)
        lag = j - rows[i]
        forward += np.bincount(lag[lag >= gap], minlength=n + 1)[: n + 1]
        i, j = np.nonzero(similar < -level)
        later = j > rows[i]
        backward += np.bincount(rows[i][later] + j[later], minlength=2 * n + 1)[: 2 * n + 1]
    return forward, backward


def _peaks(votes: NDArray[np.int64]) -> list[int]:
    order = np.argsort(votes, kind="stable")[::-1][:_LAGS_KEPT]
    return [int(v) for v in order if votes[v] >= 2]


def _alike(
    motion: Motion, a: NDArray[np.intp], b: NDArray[np.intp], share: float, asked: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Frames that look the same: their difference is small beside the motion at that place. False where not asked."""
    out = np.zeros(a.size, np.bool_)
    where = np.flatnonzero(asked)
    for part in _parts(where.size, motion.frames.shape[1]):
        i, j = a[where[part]], b[where[part]]
        apart = motion.frames[i].astype(np.float32) - motion.frames[j]
        difference = np.sqrt(np.mean(apart**2, axis=1))
        out[where[part]] = difference < share * np.maximum(motion.energy[i], motion.energy[j])
    return out


def _correlation(change: Array, a: slice, b: slice) -> Array:
    """(n,) of the motion into frames ``a`` and into frames ``b``, -1..1. Slices, so that nothing is copied."""
    return np.asarray(np.einsum("ij,ij->i", change[a], change[b]), np.float32)


def _runs_forward(
    motion: Motion, moving: NDArray[np.bool_], lag: int, gap: int, p: Mapping[str, float]
) -> list[Repeat]:
    n = len(moving)
    a = np.arange(1, n - lag)
    match = _correlation(motion.change, np.s_[1 : n - lag], np.s_[1 + lag : n])
    good = _alike(motion, a, a + lag, p["repeat_alike"], match > p["repeat_match"])
    both = moving[a] & moving[a + lag]
    return [
        Repeat(int(a[s]), int(a[s] + lag), e - s, float(match[s:e].mean()), False)
        for s, e in _stretches(good, both, gap, p)
    ]


def _runs_backward(
    motion: Motion, moving: NDArray[np.bool_], total: int, gap: int, p: Mapping[str, float], rate: float
) -> list[Repeat]:
    """Change into frame i equals minus the change into frame j where i + j = total, and frame i looks like j - 1."""
    n = len(moving)
    a = np.arange(max(1, total - n + 1), (total - 1) // 2 + 1)
    b = total - a
    if not a.size:
        return []
    match = -_correlation(motion.change, np.s_[a[0] : a[-1] + 1], np.s_[b[0] : b[-1] - 1 : -1])
    good = _alike(motion, a, b - 1, p["repeat_alike"], match > p["repeat_match"])
    both = moving[a] & moving[b]
    runs = _stretches(good, both, gap, p)
    found = [Repeat(int(a[s]), int(b[e - 1]), e - s, float(match[s:e].mean()), True) for s, e in runs]
    return [one for one in found if not _turns(one, rate, p)]


def _turns(one: Repeat, rate: float, p: Mapping[str, float]) -> bool:
    """Whether a mirrored stretch may be a movement that turns round: a head that shakes passes the same places twice.

    Only a stretch that touches its own mirror image can be that; a copy of frames is longer or more alike.
    """
    touches = one.second - (one.first + one.length) <= p["repeat_turn_gap"]
    return touches and (one.match < p["repeat_turn_match"] or one.length < p["repeat_turn_seconds"] * rate)


def _stretches(
    good: NDArray[np.bool_], both: NDArray[np.bool_], gap: int, p: Mapping[str, float]
) -> list[tuple[int, int]]:
    """Runs of at least ``gap`` frames that match; still frames may lie between, mismatches hardly."""
    runs: list[tuple[int, int]] = []
    tolerance = int(p["repeat_tolerance"])
    start = last = -1
    for i in np.flatnonzero(good):
        misses = int(both[last + 1 : i].sum()) if start >= 0 else 0
        if start < 0 or misses > tolerance or i - last > gap:
            if start >= 0:
                runs.append((start, last + 1))
            start = int(i)
        last = int(i)
    if start >= 0:
        runs.append((start, last + 1))
    enough = p["repeat_moving_share"]
    return [(s, e) for s, e in runs if e - s >= gap and (good & both)[s:e].sum() >= max(gap * enough, (e - s) * enough)]


def _merged(found: list[Repeat]) -> list[Repeat]:
    """The longest of overlapping repeats, each with the number of distances at which it repeats."""
    found = sorted(found, key=lambda r: (-r.length, r.first))
    kept: list[Repeat] = []
    for repeat in found:
        rivals = [k for k in kept if _overlap(k, repeat) > 0.5 * repeat.length]
        if not rivals:
            kept.append(repeat)
            continue
        best = rivals[0]
        distant = all(abs((r.second - r.first) - (repeat.second - repeat.first)) > 2 for r in rivals)
        if distant:
            i = kept.index(best)
            kept[i] = Repeat(best.first, best.second, best.length, best.match, best.reverse, best.lags + 1)
    return kept


def _overlap(a: Repeat, b: Repeat) -> int:
    return max(0, min(a.first + a.length, b.first + b.length) - max(a.first, b.first))
