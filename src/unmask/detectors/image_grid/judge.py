"""From tests to a judgement: which local grids are foreign, and which have an innocent explanation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from unmask.detectors.image_grid.regions import (
    Region,
    Window,
    compare,
    likeness,
    main_grid,
    offsets,
    region,
    rivals,
    scan,
    scan_missing,
)
from unmask.detectors.image_grid.votes import NONE, PHASES, SIDE, Zeros, count_zeros, vote


@dataclass(frozen=True)
class Grids:
    """What the votes say about one picture.

    ``main``: origin 8*dy+dx of the grid that rules the picture, or None; ``earlier``: origins of further grids
    that lie under the whole picture; ``foreign``: regions with a grid of their own; ``missing``: windows without
    the main grid, and ``missing_cells`` (rows, cols) bool; ``flat``: share of cells without any content;
    ``scattered``: many different grids, each somewhere; ``drifting``: as after a resize by a few pixels.
    """

    shape: tuple[int, int]
    stride: int
    votes: int
    flat: float
    main: int | None = None
    main_log_nfa: float = 0.0
    main_share: float = 0.0
    earlier: tuple[int, ...] = ()
    foreign: tuple[Region, ...] = ()
    missing: tuple[Window, ...] = ()
    missing_cells: NDArray[np.bool_] | None = field(default=None)
    scattered: bool = False
    drifting: bool = False


def find_grids(luma: NDArray[np.uint8], stride: int, p: Mapping[str, float]) -> Grids:
    """Examine (h, w) uint8 luma; ``p`` are the card's parameters."""
    zeros = count_zeros(luma, stride)
    shape = (zeros.counts.shape[0], zeros.counts.shape[1])
    flat = float((zeros.counts.min(axis=2) >= PHASES - 1).mean()) if zeros.counts.size else 1.0
    labels = vote(zeros, luma)
    votes = int(np.count_nonzero(labels >= 0))
    if votes < p["least_votes"] or min(shape) < p["least_side"]:
        return Grids(shape, stride, votes, flat)
    main, log_nfa, share = main_grid(labels)
    ruled = log_nfa <= p["log_nfa"] and share >= p["main_share"]
    foreign, earlier = _foreign(zeros, luma, labels, main if ruled else None, p)
    scattered = len({r.label for r in foreign}) >= p["collage_grids"]
    if not ruled or share < p["strong_main"]:
        # Without a firm grid of the whole, as after a resize, faint local agreement means nothing.
        foreign = [r for r in foreign if r.inside >= p["clear_inside"]]
    windows, cells = _missing(zeros, labels, main, foreign, p) if share >= p["missing_share"] else ([], None)
    return Grids(
        shape,
        stride,
        votes,
        flat,
        main if ruled else None,
        log_nfa,
        share,
        tuple(earlier),
        tuple(foreign),
        tuple(windows),
        cells,
        scattered,
        _drifts(foreign, main, share, p),
    )


def _foreign(
    zeros: Zeros, luma: NDArray[np.uint8], labels: NDArray[np.int8], main: int | None, p: Mapping[str, float]
) -> tuple[list[Region], list[int]]:
    """Regions with a grid of their own, strongest first, and the grids found all over the picture."""
    first = _regions(labels, rivals(main or 0, apart=False), p)
    if main is None:
        return _split(first, first, p)
    # The second ballot leaves out the main grid: where a last save wrote its own grid over everything, an
    # older one still comes second.
    apart = rivals(main, apart=True)
    second = vote(zeros, luma, apart)
    views = [compare(second, r.label, r.best, r.cells, r.area) if apart[r.label] else r for r in first]
    foreign, earlier = _split(first, views, p)
    for r in foreign:
        second[r.area] = NONE  # what it lends to other origins there is explained
    rest = [r for r in _regions(second, apart, p) if r.label not in {f.label for f in foreign}]
    more, under = _split(rest, rest, p)
    fresh = {0} if main and np.mean(labels[labels >= 0] == 0) >= p["everywhere_share"] else set()
    earlier = sorted({*earlier, *under, *fresh})
    kept = [r for r in foreign + more if not _explained(r.label, earlier)]
    return sorted(kept, key=lambda r: r.best.log_nfa), earlier


def _regions(ballot: NDArray[np.int8], among: NDArray[np.bool_], p: Mapping[str, float]) -> list[Region]:
    found = scan(ballot, among, int(p["least_side"])).items()
    return [region(ballot, label, ws) for label, ws in found if ws[0].log_nfa <= p["log_nfa"]]


def _split(regions: list[Region], views: list[Region], p: Mapping[str, float]) -> tuple[list[Region], list[int]]:
    """The local regions, and the labels found everywhere in either ballot (``views``: the same in the other)."""
    pairs = list(zip(regions, views, strict=True))
    everywhere = sorted({r.label for r, v in pairs if _everywhere(r, p) or _everywhere(v, p)})
    return [r for r in regions if r.label not in everywhere and _local(r, p)], everywhere


def _everywhere(r: Region, p: Mapping[str, float]) -> bool:
    return r.outside >= p["everywhere_share"] and r.outside_excess <= p["everywhere_log10"]


def _local(r: Region, p: Mapping[str, float]) -> bool:
    """Whether the grid is found in its region only: a crop and a new save leave an older grid everywhere."""
    ratio = r.inside / max(r.outside, 1 / PHASES)
    seen = r.beyond >= max(p["least_votes"], p["beyond_share"] * r.valid)
    by_ratio = ratio >= p["ratio"]
    by_chance = ratio >= p["ratio_by_chance"] and r.outside_excess > p["outside_log10"]
    return seen and (by_ratio or by_chance)


def _explained(label: int, earlier: list[int]) -> bool:
    """An older grid of the whole picture also lends zeros to origins in its rows and columns."""
    return any(label // SIDE == e // SIDE or label % SIDE == e % SIDE for e in earlier)


def _missing(
    zeros: Zeros, labels: NDArray[np.int8], main: int, foreign: list[Region], p: Mapping[str, float]
) -> tuple[list[Window], NDArray[np.bool_] | None]:
    smoothness = zeros.counts.mean(axis=2, dtype=np.float32)
    hoped = likeness(labels, smoothness, main)
    left = labels.copy()
    for r in foreign:
        left[r.cells] = NONE
    windows = [
        w
        for w in scan_missing(left, hoped, main, int(p["least_side"]))
        if w.log_nfa <= p["missing_log_nfa"] and w.votes <= p["missing_rest"] * w.valid + 2
    ]
    if not windows:
        return [], None
    cells = np.zeros(labels.shape, bool)
    for w in windows:
        cells[w.row : w.row + w.side, w.col : w.col + w.side] = True
    return windows, cells


def _drifts(foreign: list[Region], main: int, share: float, p: Mapping[str, float]) -> bool:
    """Whether the strongest region looks like a picture resized by a few pixels.

    Its older grid then drifts against the new one, so that neighbouring origins win in stripes or patches.
    """
    if not foreign:
        return False
    r = foreign[0]
    dy, dx = (abs(int(d[r.label])) for d in offsets(main))
    near = max(dy, dx) <= 1 or (min(dy, dx) == 0 and max(dy, dx) <= 2)
    spans = max(r.cells.any(axis=1).mean(), r.cells.any(axis=0).mean()) >= p["spanning"]
    return near and bool(spans or r.inside < p["clear_inside"] or share < p["strong_main"])
