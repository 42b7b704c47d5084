"""Raw scores to log10 likelihood ratios: monotone, smoothed, and never stronger than the data can bear."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, minimize

from unmask.card import interpolate

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SMALLEST_BIN = 12
MOST_BINS = 60
MOST_KNOTS = 16


@dataclass(frozen=True)
class Table:
    """A non-decreasing piecewise-linear map, flat outside its ends."""

    x: tuple[float, ...]
    log10_lr: tuple[float, ...]

    def __call__(self, values: Floats) -> Floats:
        """Map many values."""
        return np.asarray([interpolate(self.x, self.log10_lr, float(v)) for v in values], np.float64)


def fit(scores: Floats, truth: Bools, weights: Floats, independent: tuple[int, int]) -> Table:
    """Fit log10 LR by pooling adjacent violators on quantile bins (Brümmer and du Preez 2006).

    Args:
        scores: (n,) raw scores, larger is more manipulated.
        truth: (n,) True for manipulated.
        weights: (n,) how much each file counts within its class.
        independent: parents behind the bona fide and the manipulated files. Copies of one parent are no new
            evidence, so these numbers bound the ratios: no ratio above the first or below one over the second
            (the ELUB idea, Vergeer et al. 2016), and each block carries half a parent of doubt for either class.
    """
    share = _shares(truth, weights)
    edges = _bins(scores)
    which = np.searchsorted(edges, scores, "right")
    n = len(edges) + 1
    bona, forged = _mass(which, share * ~truth, n), _mass(which, share * truth, n)
    block = _pooled(bona, forged)
    blocks = int(block[-1]) + 1
    bona, forged = _mass(block, bona, blocks), _mass(block, forged, blocks)
    return _knots(*_levels(scores, block[which], bona, forged, independent))


def hushed(table: Table, below: float) -> Table:
    """The table with no ratio above one for scores under ``below``: what a detector itself tells as "no sign" must not
    speak for a change. The step at ``below`` is kept as two knots with the same x.
    """
    at = interpolate(table.x, table.log10_lr, below)
    knots = list(zip(table.x, table.log10_lr, strict=True))
    left = [(x, min(y, 0.0)) for x, y in knots if x < below]
    right = [(x, y) for x, y in knots if x > below]
    joined = [*left, (below, min(at, 0.0)), (below, at), *right]
    return Table(tuple(x for x, _ in joined), tuple(y for _, y in joined))


def _mass(which: NDArray[np.intp], weights: Floats, n: int) -> Floats:
    """(n,) weight in each of ``n`` groups."""
    return np.asarray(np.bincount(which, weights, n), np.float64)


def _pooled(bona: Floats, forged: Floats) -> NDArray[np.intp]:
    """(bins,) which block each bin falls into once adjacent violators are pooled."""
    total = np.maximum(bona + forged, 1e-12)
    level = isotonic_regression(forged / total, weights=total).x
    return np.asarray(np.r_[0, np.cumsum(np.diff(level) > 1e-9)], np.intp)


def _levels(
    scores: Floats, block: NDArray[np.intp], bona: Floats, forged: Floats, independent: tuple[int, int]
) -> tuple[Floats, Floats]:
    """Median score and log10 LR of each block, with half a parent of doubt for either class."""
    bona, forged = bona + 0.5 / independent[0], forged + 0.5 / independent[1]
    total = bona + forged
    level = isotonic_regression(forged / total, weights=total).x
    centre = np.asarray([np.median(scores[block == i]) for i in range(len(total))])
    bounds = (-np.log10(independent[1]), np.log10(independent[0]))
    return centre, np.clip(np.log10(level / (1 - level)), *bounds)


def _shares(truth: Bools, weights: Floats) -> Floats:
    """Weights that sum to one in each class."""
    out = weights.astype(np.float64).copy()
    for side in (truth, ~truth):
        out[side] /= out[side].sum()
    return out


def _bins(scores: Floats) -> Floats:
    """Inner edges of at most `MOST_BINS` bins of at least `SMALLEST_BIN` files; equal scores share a bin."""
    values, counts = np.unique(scores, return_counts=True)
    target = max(SMALLEST_BIN, len(scores) // MOST_BINS)
    edges, held = [], 0
    for i in range(len(values) - 1):
        held += counts[i]
        if held >= target and counts[i + 1 :].sum() >= SMALLEST_BIN:
            edges.append((values[i] + values[i + 1]) / 2)
            held = 0
    return np.asarray(edges, np.float64)


def _knots(x: Floats, y: Floats) -> Table:
    """Ends of flat stretches only, thinned; two knots at least."""
    if len(x) == 1:
        return Table((float(x[0]), float(x[0]) + 1.0), (float(y[0]), float(y[0])))
    turns = [i for i in range(len(x)) if i in (0, len(x) - 1) or y[i] != y[i - 1] or y[i] != y[i + 1]]
    if len(turns) > MOST_KNOTS:
        turns = [turns[i] for i in np.unique(np.round(np.linspace(0, len(turns) - 1, MOST_KNOTS)).astype(int))]
    return Table(tuple(round(float(x[i]), 5) for i in turns), tuple(round(float(y[i]), 3) for i in turns))


def smooth(scores: Floats, truth: Bools, weights: Floats, independent: tuple[int, int]) -> Table:
    """Fit log10 LR by logistic regression on a monotone linear spline; it rises everywhere, so no scores are tied.

    For scores of trained models, which overlap widely: pooling would lay flat stretches where labels begin. The
    arguments are those of `fit`. The slopes are at least a fiftieth of the straight line's and are pulled towards it
    (Platt 1999 is the straight line). The ends are bounded by `demonstrated`.
    """
    share = _shares(truth, weights)
    inner = np.unique(_weighted_quantiles(scores, share, (0.1, 0.3, 0.5, 0.7, 0.9)))
    low, high = float(scores.min()), float(scores.max())
    ends = np.unique(np.r_[low, inner, high]) if high > low else np.asarray([low, low + 1.0])
    steps = np.clip(scores[:, None] - ends[:-1], 0, np.diff(ends))
    line = _logistic(np.c_[scores - low], truth, share, np.zeros(1), 0.0)
    slope = max(float(line[1]), 1e-6)
    theta = _logistic(steps, truth, share, np.full(len(ends) - 1, slope), slope / 50)
    level = (theta[0] + np.r_[0.0, np.cumsum(theta[1:] * np.diff(ends))]) / np.log(10)
    return _bounded(ends, level, demonstrated(scores, truth, share, independent))


def demonstrated(scores: Floats, truth: Bools, weights: Floats, independent: tuple[int, int]) -> tuple[float, float]:
    """The least and the largest log10 LR that any threshold shows, were one more parent on its wrong side.

    This is the idea of the ELUB (Vergeer et al. 2016): beyond it a ratio would be extrapolation.
    """
    share = _shares(truth, weights)
    order = np.argsort(-scores, kind="stable")
    last = np.r_[np.diff(scores[order]) != 0, True]
    found = np.cumsum((share * truth)[order])[last]
    alarms = np.cumsum((share * ~truth)[order])[last]
    largest = np.max(found / (alarms + 1 / independent[0]))
    least = np.min((1 - found + 1 / independent[1]) / np.maximum(1 - alarms, 1e-12))
    return min(0.0, float(np.log10(least))), max(0.0, float(np.log10(largest)))


def _weighted_quantiles(scores: Floats, weights: Floats, at: tuple[float, ...]) -> Floats:
    order = np.argsort(scores, kind="stable")
    mass = np.cumsum(weights[order])
    where = np.searchsorted(mass / mass[-1], at)
    return np.asarray(scores[order][np.minimum(where, len(scores) - 1)], np.float64)


def _logistic(x: Floats, truth: Bools, share: Floats, towards: Floats, least: float) -> Floats:
    """Bias and slopes (not below ``least``) at even priors, each stretch's rise pulled a little ``towards`` a line."""
    scale = np.maximum(x.max(axis=0), 1e-9)
    z, aim, y = x / scale, towards * scale, truth.astype(np.float64)
    pull = 2e-3 if towards.any() else 0.0

    def loss(theta: Floats) -> tuple[float, Floats]:
        odds = theta[0] + z @ theta[1:]
        error = share * (1 / (1 + np.exp(-np.clip(odds, -500, 500))) - y)
        away = theta[1:] - aim
        value = (share * (np.logaddexp(0, odds) - y * odds)).sum() + pull * (away**2).sum()
        return float(value), np.r_[error.sum(), error @ z + 2 * pull * away]

    bounds = [(None, None), *((least * s, None) for s in scale)]
    found = minimize(loss, np.r_[0.0, aim], method="L-BFGS-B", jac=True, bounds=bounds)
    return np.asarray(np.r_[found.x[0], found.x[1:] / scale], np.float64)


def _bounded(x: Floats, y: Floats, bounds: tuple[float, float]) -> Table:
    """The spline cut where it crosses the bounds; two knots at least."""
    knots: list[tuple[float, float]] = []
    for i in range(len(x)):
        for bound in bounds:
            if i and (y[i - 1] - bound) * (y[i] - bound) < 0:
                knots.append((float(x[i - 1] + (bound - y[i - 1]) / (y[i] - y[i - 1]) * (x[i] - x[i - 1])), bound))
        if bounds[0] <= y[i] <= bounds[1]:
            knots.append((float(x[i]), float(y[i])))
    if len(knots) < 2:
        middle = float(np.clip(np.median(y), *bounds))
        knots = [(float(x[0]), middle), (float(x[-1]), middle)]
    knots.sort()
    return Table(tuple(round(a, 5) for a, _ in knots), tuple(round(b, 4) for _, b in knots))
