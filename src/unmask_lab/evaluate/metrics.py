"""Measures of detection: ROC, error rates, calibration, and intervals by bootstrap over parents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Measure = Callable[[Floats, Bools], float]
"""Of scores (larger is more manipulated) and truth (True for manipulated)."""


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """For a table: ``.71 [.66, .75]``."""
        return f"{_dot(self.value)} [{_dot(self.low)}, {_dot(self.high)}]"


def auc(scores: Floats, truth: Bools) -> float:
    """Area under the ROC curve; ties count half. NaN where a class is missing."""
    positive, negative = scores[truth], np.sort(scores[~truth])
    if not len(positive) or not len(negative):
        return float("nan")
    below = np.searchsorted(negative, positive, "left")
    upto = np.searchsorted(negative, positive, "right")
    return float((below + upto).mean() / 2 / len(negative))


def tpr_at(scores: Floats, truth: Bools, false_alarms: float) -> float:
    """Share of manipulated found at the lowest threshold whose false-alarm share is at most ``false_alarms``."""
    positive, negative = scores[truth], scores[~truth]
    if not len(positive) or not len(negative):
        return float("nan")
    return float((positive > threshold_at(negative, false_alarms)).mean())


def threshold_at(negative: Floats, false_alarms: float) -> float:
    """The value above which at most ``false_alarms`` of ``negative`` lie."""
    ordered = np.sort(negative)[::-1]
    return float(ordered[min(len(ordered) - 1, int(np.floor(false_alarms * len(ordered))))])


def eer(scores: Floats, truth: Bools) -> float:
    """Equal error rate, 0..1."""
    values = np.unique(scores)
    positive, negative = np.sort(scores[truth]), np.sort(scores[~truth])
    if not len(positive) or not len(negative):
        return float("nan")
    missed = np.searchsorted(positive, values, "left") / len(positive)
    alarms = 1 - np.searchsorted(negative, values, "left") / len(negative)
    i = int(np.argmin(np.abs(missed - alarms)))
    return float((missed[i] + alarms[i]) / 2)


def roc(scores: Floats, truth: Bools) -> tuple[Floats, Floats]:
    """False-alarm rate and share found, from the strictest threshold (0, 0) to the mildest (1, 1)."""
    if not truth.any() or truth.all():
        return np.zeros(0), np.zeros(0)
    order = np.argsort(-scores, kind="stable")
    last = np.r_[scores[order][1:] != scores[order][:-1], True]
    hits, alarms = np.cumsum(truth[order])[last], np.cumsum(~truth[order])[last]
    return np.r_[0.0, alarms / (~truth).sum()], np.r_[0.0, hits / truth.sum()]


def det(scores: Floats, truth: Bools) -> tuple[Floats, Floats]:
    """False-alarm rate and miss rate along the threshold (Martin et al. 1997); plot both on `probit` axes."""
    alarms, found = roc(scores, truth)
    return alarms, 1 - found


def probit(rate: Floats, least: float = 1e-3) -> Floats:
    """Standard normal quantile of a rate, clipped to ``least``: equal-variance normal scores give a straight line."""
    return np.asarray(ndtri(np.clip(rate, least, 1 - least)), np.float64)


def within_sources(scores: Floats, truth: Bools, sources: NDArray[np.str_]) -> dict[str, float]:
    """AUC inside each source that gives files of both classes: there they differ in little but the label."""
    each = ((str(s), sources == s) for s in np.unique(sources[truth]))
    return {name: auc(scores[i], truth[i]) for name, i in each if not truth[i].all()}


def ece(probabilities: Floats, truth: Bools, bins: int = 10, weight: Floats | None = None) -> float:
    """Expected calibration error at even priors: both classes weigh the same whatever their numbers."""
    return float(sum(w * abs(p - t) for _, w, p, t in reliability(probabilities, truth, bins, weight)))


def reliability(
    probabilities: Floats, truth: Bools, bins: int = 10, weight: Floats | None = None
) -> list[tuple[int, float, float, float]]:
    """By bin of the stated probability: files, weight, mean stated, share manipulated (even priors).

    ``weight`` (n,): how much each file counts within its class; alike by default.
    """
    if truth.all() or not truth.any():
        return []
    weight = np.ones(len(truth)) if weight is None else weight
    weight = np.where(truth, 0.5 * weight / weight[truth].sum(), 0.5 * weight / weight[~truth].sum())
    which = np.minimum((probabilities * bins).astype(int), bins - 1)
    out = []
    for b in range(bins):
        inside = which == b
        if inside.any():
            w = float(weight[inside].sum())
            stated = float((weight[inside] * probabilities[inside]).sum() / w)
            out.append((int(inside.sum()), w, stated, float(weight[inside & truth].sum() / w)))
    return out


def bootstrap(
    measure: Callable[[NDArray[np.intp]], float], groups: NDArray[np.str_], rounds: int = 200, seed: int = 1
) -> Interval:
    """``measure`` of index arrays, with a 95 % interval from drawing ``groups`` (parents) with replacement."""
    everything = np.arange(len(groups))
    value = measure(everything)
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.r_[True, groups[order][1:] != groups[order][:-1]]) if len(groups) else np.array([])
    parts = np.split(order, starts[1:]) if len(starts) else []
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(rounds if len(parts) > 1 else 0):
        pick = rng.integers(0, len(parts), len(parts))
        drawn.append(measure(np.concatenate([parts[i] for i in pick])))
    kept = [d for d in drawn if not np.isnan(d)]
    low, high = np.percentile(kept, (2.5, 97.5)) if kept else (float("nan"), float("nan"))
    return Interval(value, float(low), float(high))


def _dot(value: float) -> str:
    """``.71`` for 0.71, ``1.0`` for 1, ``–`` for NaN."""
    if np.isnan(value):
        return "–"
    return f"{value:.2f}".lstrip("0") if value < 0.995 else "1.0"
