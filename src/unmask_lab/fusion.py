"""Fits the fusion of calibrated findings: non-negative logistic regression, cross-validated by source."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from unmask.card import find_cards
from unmask_lab import ratios
from unmask_lab.data import Data, balanced_weights
from unmask_lab.kit import quarter_of
from unmask_lab.ratios import Table

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

FOLDS = 5
RIDGES = (1e-3, 1e-2, 1e-1)
RATES = (0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.015, 0.01, 0.005, 0.003, 0.001)
SUSPICIOUS, LIKELY = 0.05, 0.01
SUSPICIOUS_RATIO, LIKELY_RATIO = 0.5, 1.0
"""Least log10 LR of each label. Where bona fide files show nothing at all, the false-alarm share alone would let the
faintest sign through; ten is where the ENFSI guideline begins to speak of moderate support."""
ENOUGH_PARENTS = 8


@dataclass(frozen=True)
class Fitted:
    """Calibration a detector, fusion weights, and the tables of ``verdict.toml`` for one kind of media."""

    calibrations: dict[str, Table]
    weights: dict[str, float]
    bias: float
    table: Table
    false_alarms: tuple[tuple[float, float], ...]
    suspicious: float
    likely_manipulated: float
    n_bona_fide: int
    n_manipulated: int
    parents: tuple[int, int]


def fit(data: Data, detectors: list[str], share: float = 1.0) -> Fitted:
    """Fit everything for one modality; ``share`` (0..1) is the group's share of the false-alarm budget.

    The weights are learnt on ratios whose calibrations never saw the file's source, and so are the final table,
    the false-alarm table and the thresholds: what a calibration says of its own material is too kind. Sources that a
    detector was trained on calibrate the others only.
    """
    everything, data = data, unseen(data, detectors)
    folds = split(data.sources, FOLDS)
    held_out = _held_out_ratios(data, detectors, folds, everything)
    weight = balanced_weights(data)
    ridge = _best_ridge(held_out, data.truth, weight, folds)
    scores = np.zeros(len(data.rows))
    for fold in range(FOLDS):
        rest, here = folds != fold, folds == fold
        scores[here] = _score(held_out[here], _regress(held_out[rest], data.truth[rest], weight[rest], ridge))
    final = _regress(held_out, data.truth, weight, ridge)
    parents = independent(data, data.truth)
    bona = ~data.truth
    table = ratios.fit(scores, data.truth, weight, parents)
    alarms = (scores[bona], data.kinds[bona], data.parents[bona])
    shares = false_alarm_table(scores[bona], weight[bona])
    suspicious, likely = SUSPICIOUS * share, LIKELY * share
    return Fitted(
        calibrations={d: calibrate(unseen(everything, [d]), d) for d in detectors},
        weights={d: round(float(w), 4) for d, w in zip(detectors, final[1:], strict=True)},
        bias=round(float(final[0]), 4),
        table=table,
        false_alarms=shares,
        suspicious=max(_label_score(alarms, table, suspicious, SUSPICIOUS_RATIO), least_told(shares, suspicious)),
        likely_manipulated=max(_label_score(alarms, table, likely, LIKELY_RATIO), least_told(shares, likely)),
        n_bona_fide=int(bona.sum()),
        n_manipulated=int(data.truth.sum()),
        parents=parents,
    )


def least_told(shares: tuple[tuple[float, float], ...], rate: float) -> float:
    """The least score at which the verdict's own table tells at most ``rate`` false alarms (parents weighed alike)."""
    return min(score for score, share in shares if share <= rate)


def calibrate(data: Data, detector: str) -> Table:
    """One detector's raw scores to log10 LR, on the files that it answered."""
    kept = data.pick(~np.isnan(data.raw[detector]))
    table = ratios.fit(kept.raw[detector], kept.truth, balanced_weights(kept), independent(kept, kept.truth))
    below = reporting_level(detector)
    return table if below is None else ratios.hushed(table, below)


def unseen(data: Data, detectors: list[str]) -> Data:
    """The files of sources that none of ``detectors`` was trained on (``trained_quarters`` in their cards)."""
    quarters = {q for card in find_cards() if card.id in detectors for q in card.trained_quarters}
    return data.pick(np.asarray([quarter_of(str(source)) not in quarters for source in data.sources], bool))


def reporting_level(detector: str) -> float | None:
    """The raw score from which the detector says that it saw something (``report_above`` in its card)."""
    return next((c.parameters.get("report_above") for c in find_cards() if c.id == detector), None)


def independent(data: Data, truth: Bools) -> tuple[int, int]:
    """Parents behind the bona fide and the manipulated files."""
    return max(1, len(np.unique(data.parents[~truth]))), max(1, len(np.unique(data.parents[truth])))


def split(sources: NDArray[np.str_], folds: int) -> NDArray[np.intp]:
    """(n,) a fold for each file: whole sources, largest first into the smallest fold."""
    names, counts = np.unique(sources, return_counts=True)
    load = np.zeros(folds)
    fold_of: dict[str, int] = {}
    for i in np.argsort(-counts, kind="stable"):
        fold_of[str(names[i])] = int(np.argmin(load))
        load[fold_of[str(names[i])]] += counts[i]
    return np.asarray([fold_of[str(s)] for s in sources])


def _label_score(
    alarms: tuple[Floats, NDArray[np.str_], NDArray[np.str_]], table: Table, rate: float, ratio: float
) -> float:
    """Where a label begins; out of reach where the bona fide files are too few to show such a false-alarm rate."""
    if len(alarms[0]) + 1 < 1 / rate:
        return round(table.x[-1] + 1.0, 4)
    return max(threshold(*alarms, rate), reaching(table, ratio))


def threshold(scores: Floats, kinds: NDArray[np.str_], parents: NDArray[np.str_], rate: float) -> float:
    """Fused score that at most ``rate`` of bona fide files reach: overall, and in each kind with enough parents."""
    least = _reached(scores, rate)
    for kind in np.unique(kinds):
        inside = kinds == kind
        if len(np.unique(parents[inside])) >= ENOUGH_PARENTS:
            least = max(least, _reached(scores[inside], rate))
    return round(float(np.nextafter(least, np.inf)) + 1e-4, 4)


def reaching(table: Table, level: float) -> float:
    """The least score whose log10 LR is at least ``level``; beyond the table where none is."""
    x, y = np.asarray(table.x), np.asarray(table.log10_lr)
    above = np.flatnonzero(y >= level)
    if not len(above):
        return round(float(x[-1]) + 1.0, 4)
    i = int(above[0])
    if i == 0 or y[i] == y[i - 1]:
        return round(float(x[i]), 4)
    share = (level - y[i - 1]) / (y[i] - y[i - 1])
    return round(float(x[i - 1] + share * (x[i] - x[i - 1])), 4)


def _reached(scores: Floats, rate: float) -> float:
    """The (k+1)-th largest score, k the number of false alarms that ``rate`` allows (rounded down)."""
    ordered = np.sort(scores)[::-1]
    return float(ordered[min(len(ordered) - 1, int(np.floor(rate * len(ordered))))])


def false_alarm_table(scores: Floats, weights: Floats) -> tuple[tuple[float, float], ...]:
    """(score, share of bona fide at or above it), falling shares; equal scores are not parted."""
    order = np.argsort(-scores, kind="stable")
    ordered, share = scores[order], np.cumsum(weights[order]) / weights.sum()
    out: list[tuple[float, float]] = []
    for rate in RATES:
        i = min(int(np.searchsorted(share, rate, "right")), len(ordered) - 1)
        at = float(ordered[i])
        out.append((round(at, 4), round(float(share[ordered >= round(at, 4)].max(initial=0.0)), 4)))
    # Above all bona fide files the share is below what they can tell; the verdict quotes one over their number.
    out.append((round(float(ordered[0]) + 1e-3, 4), 0.0))
    return tuple(dict(out).items())


def _held_out_ratios(data: Data, detectors: list[str], folds: NDArray[np.intp], everything: Data) -> Floats:
    """(n, detectors) log10 LR from calibrations on other sources of ``everything``; 0 where a detector is silent."""
    out = np.zeros((len(data.rows), len(detectors)))
    for fold in range(FOLDS):
        here = np.flatnonzero(folds == fold)
        rest = everything.pick(~np.isin(everything.sources, data.sources[here]))
        for j, detector in enumerate(detectors):
            answered = here[~np.isnan(data.raw[detector][here])]
            out[answered, j] = calibrate(unseen(rest, [detector]), detector)(data.raw[detector][answered])
    return out


def _score(x: Floats, theta: Floats) -> Floats:
    return np.asarray(theta[0] + x @ theta[1:], np.float64)


def _loss(theta: Floats, x: Floats, y: Floats, weight: Floats, ridge: float) -> tuple[float, Floats]:
    """Cross-entropy of natural-log odds at even priors, pulled towards weights of one (independent findings)."""
    z = np.log(10) * _score(x, theta)
    error = weight * (1 / (1 + np.exp(-z)) - y)
    value = float((weight * (np.logaddexp(0, z) - y * z)).sum() + ridge * ((theta[1:] - 1) ** 2).sum())
    gradient = np.log(10) * np.r_[error.sum(), error @ x]
    gradient[1:] += 2 * ridge * (theta[1:] - 1)
    return value, gradient


def _regress(x: Floats, truth: Bools, weight: Floats, ridge: float) -> Floats:
    """Bias and weights; the weights are at least zero, so that a finding never speaks against itself."""
    even = weight.copy()
    for side in (truth, ~truth):
        even[side] *= 0.5 / even[side].sum()
    start = np.r_[0.0, np.full(x.shape[1], 0.5)]
    bounds = [(-3.0, 3.0), *[(0.0, 2.0)] * x.shape[1]]
    y = truth.astype(np.float64)
    found = minimize(_loss, start, (x, y, even, ridge), method="L-BFGS-B", jac=True, bounds=bounds)
    return np.asarray(found.x, np.float64)


def _best_ridge(x: Floats, truth: Bools, weight: Floats, folds: NDArray[np.intp]) -> float:
    def loss(ridge: float) -> float:
        total = 0.0
        for fold in range(FOLDS):
            rest, here = folds != fold, folds == fold
            theta = _regress(x[rest], truth[rest], weight[rest], ridge)
            total += _loss(theta, x[here], truth[here].astype(np.float64), weight[here], 0.0)[0]
        return total

    return min(RIDGES, key=loss)
