"""JPEG ghosts (Farid 2009), computed from histograms of coefficients instead of pixels.

A part that was once saved at quality Q changes least when it is saved at Q again. For each quality the mean squared
change of the coefficients is compared with the change that a coefficient without history would suffer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unmask.detectors.image_jpeg.blocks import FREQUENCIES, Blocks
from unmask.detectors.image_jpeg.history import Comb
from unmask.detectors.image_jpeg.tables import STANDARD_LUMA, scaled

QUALITIES = tuple(range(40, 100, 2))


def curve(blocks: Blocks, where: NDArray[np.bool_]) -> list[float]:
    """Change at each of `QUALITIES`, about 1 without history, near 0 at the quality of a strong earlier one.

    ``where``: (rows, cols), the blocks to look at.
    """
    tables = [scaled(STANDARD_LUMA, q) for q in QUALITIES]
    change, expected = np.zeros(len(QUALITIES)), np.zeros(len(QUALITIES))
    for k, (v, u) in enumerate(FREQUENCIES):
        counts = np.bincount(blocks.levels[k][where & blocks.usable], minlength=256).astype(np.float64)
        counts[0] = 0.0  # zeros do not change, whatever their history
        values = np.arange(256.0) * blocks.steps[k]
        for i, table in enumerate(tables):
            step = float(table[v, u])
            moved = values - np.rint(values / step) * step
            change[i] += float(counts @ moved**2) / step**2
            expected[i] += counts.sum() / 12.0
    return [float(c / max(e, 1e-9)) for c, e in zip(change, expected, strict=True)]


def earlier_quality(combs: Sequence[Comb]) -> tuple[int, float] | None:
    """The IJG quality whose steps fit the earlier steps best, and the share of frequencies within one step of it."""
    if not combs:
        return None
    earlier = np.array([c.earlier for c in combs], np.float64)
    best = (-1.0, -np.inf, 0)
    for quality in range(20, 101):
        table = scaled(STANDARD_LUMA, quality)
        steps = np.array([table[c.frequency] for c in combs], np.float64)
        near = float((np.abs(steps - earlier) <= 0.5).mean())
        best = max(best, (near, -float(np.abs(np.log(steps / earlier)).mean()), quality))
    steps = np.array([scaled(STANDARD_LUMA, best[2])[c.frequency] for c in combs])
    return best[2], float((np.abs(steps - earlier) <= 1).mean())
