"""Where in time a detector's curve points, asked of films that were forged in one stretch only.

A finding marks a stretch only where it reports something; here every look of a curve at or above a level is marked. The
level is what a given share of the looks of untouched talking heads exceed, of other people than the film's; each film
counts alike. Change points by penalised likelihood: R. Killick, P. Fearnhead, I. A. Eckley: Optimal detection of
changepoints with a linear computational cost. JASA 107, 2012.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unmask.detectors.face_swap.film_evidence import rises
from unmask_lab.evaluate.films import Judged, curve_of
from unmask_lab.evaluate.metrics import Floats

FALLING = ("video.lipsync",)
"""Detectors whose curve is low where something is wrong."""

EXCEEDED, MILD = 0.05, 0.20
"""Share of honest looks above the level, and above the milder one that a marked stretch may be widened to."""

PENALTY = 3.0
"""Of a change point, in squared deviations of the noise times the logarithm of the looks."""

Smoother = Callable[[Floats], Floats]


@dataclass(frozen=True, eq=False)
class Trace:
    """A film's curve.

    ``values``: (n,) the higher the more suspicious; ``starts``, ``ends``: (n,) seconds that each look stands for;
    ``truth``: the forged stretch in seconds, None in an untouched film.
    """

    person: str
    family: str
    compression: str
    values: Floats
    starts: Floats
    ends: Floats
    seconds: float
    truth: tuple[float, float] | None

    @property
    def spans(self) -> Floats:
        """(n,) seconds."""
        return np.asarray(self.ends - self.starts, np.float64)

    def with_values(self, values: Floats) -> Trace:
        """The same looks with other values."""
        return replace(self, values=values)


def trace(one: Judged, detector: str) -> Trace | None:
    """The film's curve by this detector; None where it answered nothing or with fewer than three looks."""
    found = one.findings.get(detector)
    curve = curve_of(found) if found is not None and found.status == "ok" else None
    if curve is None or len(curve[0]) < 3:
        return None
    times, values = np.array(curve[0]), np.array(curve[1]) * (-1 if detector in FALLING else 1)
    middle = (times[1:] + times[:-1]) / 2
    edges = np.concatenate([[2 * times[0] - middle[0]], middle, [2 * times[-1] - middle[-1]]])
    edges = np.clip(edges, 0.0, one.row.seconds)
    truth = one.row.stretch if one.row.forged else None
    row = one.row
    return Trace(row.person, row.family, row.compression, values, edges[:-1], edges[1:], row.seconds, truth)


def overlap_of(marked: NDArray[np.bool_], one: Trace) -> float:
    """Intersection over union (0..1) of the marked looks with the true stretch."""
    inside = _inside(one)
    truth = one.truth or (0.0, 0.0)
    shared = float(inside[marked].sum())
    union = float(one.spans[marked].sum()) + truth[1] - truth[0] - shared
    return shared / union if union > 0 else 0.0


def _inside(one: Trace) -> Floats:
    """(n,) seconds of each look inside the true stretch."""
    low, high = one.truth or (0.0, 0.0)
    return np.asarray(np.maximum(0.0, np.minimum(one.ends, high) - np.maximum(one.starts, low)), np.float64)


def best_overlap(one: Trace) -> float:
    """The IoU at the level that suits this very film best: what no fixed level can beat."""
    order = np.argsort(-one.values, kind="stable")
    # Looks of one value are marked together.
    last = np.append(np.diff(one.values[order]) != 0, True)
    shared, marked = np.cumsum(_inside(one)[order])[last], np.cumsum(one.spans[order])[last]
    low, high = one.truth or (0.0, 0.0)
    return float((shared / np.maximum(1e-9, marked + high - low - shared)).max())


def turned_overlap(one: Trace) -> float:
    """The same with the curve turned in time, mean over all turns: what the best level gives a curve by accident."""
    turned = [one.with_values(np.roll(one.values, k)) for k in range(1, len(one.values))]
    return float(np.mean([best_overlap(t) for t in turned]))


def whole_overlap(one: Trace) -> float:
    """IoU where the whole film is marked."""
    low, high = one.truth or (0.0, 0.0)
    return (high - low) / one.seconds


def random_overlap(one: Trace, places: int = 401) -> float:
    """Mean IoU of a stretch as long as the true one, put anywhere in the film."""
    low, high = one.truth or (0.0, 0.0)
    starts = np.linspace(0.0, one.seconds - (high - low), places)
    shared = np.maximum(0.0, np.minimum(starts + high - low, high) - np.maximum(starts, low))
    return float(np.mean(shared / (2 * (high - low) - shared)))


def level_of(honest: Sequence[Trace], share: float) -> float:
    """The level that ``share`` (0..1) of the honest looks exceed; each film counts alike. Infinite without any."""
    if not honest:
        return float("inf")
    values = np.concatenate([one.values for one in honest])
    weights = np.concatenate([np.full(len(one.values), 1 / len(one.values)) for one in honest])
    order = np.argsort(-values, kind="stable")
    above = np.cumsum(weights[order]) / weights.sum()
    return float(np.nextafter(values[order][min(len(order) - 1, int((above <= share + 1e-9).sum()))], np.inf))


def as_it_is(values: Floats) -> Floats:
    """Unchanged."""
    return values


def running_median(values: Floats, looks: int = 5) -> Floats:
    """(n,) median of so many looks around each; fewer at the ends."""
    half = looks // 2
    return np.array([np.median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))])


def stepwise(values: Floats, penalty: float = PENALTY) -> Floats:
    """(n,) the mean of each look's piece between the change points of the mean, by penalised least squares (PELT)."""
    n = len(values)
    if n < 2:
        return values
    noise = max(1e-9, float(np.median(np.abs(np.diff(values)))) / 0.954)
    fine = penalty * noise**2 * np.log(n)
    sums, squares = (np.concatenate([[0.0], np.cumsum(v)]) for v in (values, values**2))
    cost, last, alive = np.full(n + 1, -fine), np.zeros(n + 1, np.int64), np.array([0])
    for end in range(1, n + 1):
        rest = squares[end] - squares[alive] - (sums[end] - sums[alive]) ** 2 / (end - alive)
        tried = cost[alive] + rest + fine
        cost[end], last[end] = tried.min(), alive[int(tried.argmin())]
        alive = np.append(alive[tried - fine <= cost[end]], end)
    out, end = np.empty(n), n
    while end > 0:
        start = int(last[end])
        out[start:end] = (sums[end] - sums[start]) / (end - start)
        end = start
    return out


def against_itself(values: Floats) -> Floats:
    """(n,) less the film's own median: a face that scores high throughout does not stand out from itself."""
    return values - float(np.median(values)) if len(values) else values


def widened(values: Floats, level: float, mild: float) -> NDArray[np.bool_]:
    """(n,) looks at or above ``level``, and those next to them at or above ``mild``: two-level hysteresis (Canny)."""
    return runs_above(values, level, min(mild, level), 1)


def runs_above(values: Floats, level: float, mild: float, least: int) -> NDArray[np.bool_]:
    """(n,) runs of at least ``least`` looks at or above ``level``, each widened to the looks at or above ``mild``."""
    out = np.zeros(len(values), np.bool_)
    for first, after in rises(values, level, mild, least):
        out[first:after] = True
    return out
