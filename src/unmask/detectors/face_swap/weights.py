"""What each look counts: looks that are taken because their neighbours disagree must not outvote the others."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def shares(times: Floats, later: NDArray[np.bool_]) -> Floats:
    """(n,) what each look counts; 1 each where none was taken later, and always as much as those taken first.

    A look that was taken first stands for half of the time to either neighbour. What was taken later between two of
    them divides the time there anew: each look gets what lies nearer to it than to any other.

    Args:
        times: (n,) seconds, rising; the first and the last look are not later ones.
        later: (n,) looks taken because their neighbours disagree.
    """
    firsts = np.flatnonzero(~later)
    out = np.where(later, 0.0, 1.0)
    for a, b in pairwise(firsts):
        if b > a + 1:
            part = times[a : b + 1]
            borders = np.concatenate([part[:1], (part[1:] + part[:-1]) / 2, part[-1:]])
            out[[a, b]] -= 0.5
            out[a : b + 1] += np.diff(borders) / (part[-1] - part[0])
    return out


def weighted_median(values: Floats, weights: Floats) -> float:
    """The value with as much weight below as above it; the usual median where all weights are alike.

    Args:
        values: (n,), at least one.
        weights: (n,), positive.
    """
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order])
    half = below[-1] / 2
    low, high = (int(np.searchsorted(below, half + slack)) for slack in (-1e-9, 1e-9))
    return float((values[order[low]] + values[order[min(high, values.size - 1)]]) / 2)
