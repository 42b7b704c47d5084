"""Which grid rules the picture, and where another one rules locally: tests with a bounded number of false alarms.

All tests are a contrario (Desolneux, Moisan, Morel): under "no grid here" each vote falls on an origin with a
known probability p, independently. NFA = (number of tests) x P(at least k of n votes); fewer than NFA such
events are expected in a picture without any grid. The tail is bounded by Chernoff's inequality, exp(-n KL(k/n, p)),
so the NFA shown is never too small.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask.detectors.image_grid.votes import PHASES, SIDE

_LEAST_VOTES = 4


@dataclass(frozen=True)
class Window:
    """A square of cells and the log10 NFA of its votes; ``votes`` of ``valid`` fell on the label."""

    log_nfa: float
    row: int
    col: int
    side: int
    votes: int
    valid: int


@dataclass(frozen=True)
class Region:
    """Cells (rows, cols) bool whose votes agree on ``label``, with the shares of votes inside and outside.

    ``beyond`` of ``valid`` votes lie clear of it; ``outside_excess``: log10 of the bound on the probability of as
    many votes for ``label`` there by chance.
    """

    label: int
    best: Window
    cells: NDArray[np.bool_]
    area: NDArray[np.bool_]  # the windows that hold the cells
    inside: float
    outside: float
    outside_excess: float
    beyond: int
    valid: int


def log10_tail(k: NDArray[np.float64], n: NDArray[np.float64], p: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """log10 of Chernoff's bound on P(Binomial(n, p) >= k); 0 where k/n <= p."""
    q = np.clip(k / np.maximum(n, 1), 1e-12, 1 - 1e-12)
    divergence = q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p))
    return np.where(q > p, -n * divergence / np.log(10), 0.0)


def main_grid(labels: NDArray[np.int8]) -> tuple[int, float, float]:
    """(label, log10 NFA, share of valid votes) of the origin with most votes in the whole picture."""
    counts = np.bincount(labels[labels >= 0].ravel(), minlength=PHASES).astype(np.float64)
    best, total = int(counts.argmax()), counts.sum()
    tail = log10_tail(counts[best : best + 1], np.array([total]), 1 / PHASES)
    return best, float(tail[0] + np.log10(PHASES)), float(counts[best] / max(total, 1))


def rivals(main: int, apart: bool) -> NDArray[np.bool_]:
    """(64,) the origins that may count as foreign to ``main``.

    Half a block away (4 pixels) is never foreign: transforms of 4 and 16 pixels (WebP, HEIC, AVIF, video) leave
    such grids by themselves. Nor is (0,0), where every fresh save puts its grid. ``apart`` also bars those in the
    main grid's own rows and columns, and its diagonal neighbours: they profit from its zeros.
    """
    dy, dx = offsets(main)
    foreign = ~((dy % 4 == 0) & (dx % 4 == 0))
    foreign[0] = False
    near = (dy == 0) | (dx == 0) | ((np.abs(dy) <= 1) & (np.abs(dx) <= 1))
    return np.asarray(foreign & ~near if apart else foreign, bool)


def offsets(main: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(64,) dy and dx, -4..3, of every origin from ``main``."""
    dy, dx = np.divmod(np.arange(PHASES), SIDE)
    return (dy - main // SIDE + 4) % SIDE - 4, (dx - main % SIDE + 4) % SIDE - 4


def scan(labels: NDArray[np.int8], among: NDArray[np.bool_], least_side: int) -> dict[int, list[Window]]:
    """For each origin among ``among`` the square windows, of all sizes, with NFA below 1, best first."""
    valid = _integral(labels >= 0)
    sides = list(_sides(least_side, min(labels.shape)))
    tests = PHASES * sum(_corners(valid, s)[0].size for s in sides)
    total = max(1, int(valid[-1, -1]))
    found: dict[int, list[Window]] = {}
    for label in np.flatnonzero(among):
        table = _integral(labels == label)
        if table[-1, -1] < _LEAST_VOTES:
            continue
        p = max(1 / PHASES, float(table[-1, -1]) / total)
        windows = [w for s in sides for w in _significant(table, valid, s, p, np.log10(max(tests, 1)))]
        if windows:
            found[int(label)] = sorted(windows, key=lambda w: w.log_nfa)
    return found


def region(labels: NDArray[np.int8], label: int, windows: list[Window]) -> Region:
    """The cells around the votes for ``label`` inside its significant windows."""
    import cv2

    best = windows[0]
    inside = np.zeros(labels.shape, bool)
    for w in windows:
        # A far weaker window mostly contains the best one with its surroundings.
        if w.votes / w.valid >= 0.5 * best.votes / best.valid:
            inside[w.row : w.row + w.side, w.col : w.col + w.side] = True
    votes, valid = (labels == label) & inside, (labels >= 0) & inside
    near = cv2.boxFilter(votes.astype(np.float32), -1, (5, 5), normalize=False)
    of = cv2.boxFilter(valid.astype(np.float32), -1, (5, 5), normalize=False)
    cells = inside & (near >= 0.5 * (best.votes / best.valid) * np.maximum(of, 1)) & (near >= 2)
    return compare(labels, label, best, cells, inside)


def compare(
    labels: NDArray[np.int8], label: int, best: Window, cells: NDArray[np.bool_], area: NDArray[np.bool_]
) -> Region:
    """Count the votes for ``label`` in ``cells`` and clear of ``area`` in a ballot (rows, cols)."""
    import cv2

    votes, valid = labels == label, labels >= 0
    beyond = cv2.dilate(area.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0
    k, n = (int(np.count_nonzero(m & beyond)) for m in (votes, valid))
    excess = log10_tail(np.array([float(k)]), np.array([float(n)]), 1 / PHASES)
    share = int(np.count_nonzero(votes & cells)) / max(1, int(np.count_nonzero(valid & cells)))
    total = int(np.count_nonzero(valid))
    return Region(label, best, cells, area, share, k / max(n, 1), float(excess[0]), n, total)


def scan_missing(labels: NDArray[np.int8], likeness: NDArray[np.float32], main: int, least_side: int) -> list[Window]:
    """Square windows whose votes avoid the main grid although equally smooth cells elsewhere follow it.

    ``likeness``: (rows, cols) 0..1, how many of such cells in the whole picture vote for ``main``. The number
    that do in a window is then a sum of independent trials, whose lower tail Hoeffding (1963) bounds by
    exp(-n KL(k/n, mean)). NFA below 1 only, best first.
    """
    valid, hits = _integral(labels >= 0), _integral(labels == main)
    hoped = _integral(np.where(labels >= 0, likeness, 0).astype(np.float32))
    sides = list(_sides(least_side, min(labels.shape)))
    log_tests = np.log10(max(1, sum(_corners(valid, s)[0].size for s in sides)))
    found = []
    for side in sides:
        k, n, mean = _sums(hits, side), _sums(valid, side), _sums(hoped, side)
        r, c = np.nonzero((n >= 4 * _LEAST_VOTES) & (k < mean))
        k, n = k[r, c].astype(np.float64), n[r, c].astype(np.float64)
        log_nfa = log10_tail(n - k, n, 1 - np.clip(mean[r, c] / n, 1e-6, 1 - 1e-6)) + log_tests
        step = max(1, side // 8)
        found += [
            Window(float(log_nfa[i]), int(r[i]) * step, int(c[i]) * step, side, int(k[i]), int(n[i]))
            for i in np.flatnonzero(log_nfa < 0)
        ]
    return sorted(found, key=lambda w: w.log_nfa)


def likeness(
    labels: NDArray[np.int8], smoothness: NDArray[np.float32], main: int, bins: int = 12
) -> NDArray[np.float32]:
    """(rows, cols): the share of cells of about the same smoothness that vote for ``main``."""
    valid = labels >= 0
    edges = np.quantile(smoothness[valid], np.linspace(0, 1, bins + 1)[1:-1])
    level = np.digitize(smoothness, edges)
    of = np.bincount(level[valid], minlength=bins)
    hits = np.bincount(level[labels == main], minlength=bins)
    return np.asarray((hits / np.maximum(of, 1))[level], np.float32)


def _integral(values: NDArray[Any]) -> NDArray[Any]:
    import cv2

    return np.asarray(cv2.integral(values.astype(np.uint8) if values.dtype == bool else values))


def _sides(least: int, most: int) -> Iterator[int]:
    side = float(least)
    while side <= most:
        yield int(side)
        side *= 1.5


def _corners(table: NDArray[Any], side: int) -> tuple[NDArray[Any], ...]:
    """The sums below ``side`` x ``side`` windows need: four shifted views, thinned to an eighth of the side."""
    step = max(1, side // 8)
    views = (table[side:, side:], table[:-side, side:], table[side:, :-side], table[:-side, :-side])
    return tuple(v[::step, ::step] for v in views)


def _sums(table: NDArray[Any], side: int) -> NDArray[Any]:
    a, b, c, d = _corners(table, side)
    return np.asarray(a - b - c + d)


def _significant(table: NDArray[Any], valid: NDArray[Any], side: int, p: float, log_tests: float) -> list[Window]:
    step = max(1, side // 8)
    votes, of = _sums(table, side), _sums(valid, side)
    r, c = np.nonzero((votes >= _LEAST_VOTES) & (votes > p * of))
    k, n = votes[r, c].astype(np.float64), of[r, c].astype(np.float64)
    log_nfa = log10_tail(k, n, p) + log_tests
    return [
        Window(float(log_nfa[i]), int(r[i]) * step, int(c[i]) * step, side, int(k[i]), int(n[i]))
        for i in np.flatnonzero(log_nfa < 0)
    ]
