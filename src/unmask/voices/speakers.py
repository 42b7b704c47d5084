"""Who speaks when, within one recording: windows that lie near one another are one speaker; nobody is recognised.

The model `speakers-1` places each window of two seconds. Windows are joined by average linkage (agglomerative
clustering, as in speaker diarisation: Park et al. 2022), groups too small to be a person go to their nearest, groups
whose middles are near are one, and the course is smoothed by the cheapest path (Viterbi). One speaker is the usual
answer: two need evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unmask.models.runtime import open_model
from unmask.voices.speech import RATE, STEP, Speech

MODEL = "speakers-1"
WINDOW = 2.0
_EARLIER = 0.5  # seconds by which a change may lie outside the middles of the windows that differ

Numbers = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Turn:
    """One speaker from ``start`` to ``end`` in seconds; ``speaker`` counts from 0 in the order of first words."""

    start: float
    end: float
    speaker: int


@dataclass(frozen=True)
class Rules:
    """``near``: mean product of two windows from which they are one group; ``alike``: of two groups' middles from
    which they are one speaker; ``switch``: what a change costs against the product; ``least``: windows of a speaker;
    ``most``: speakers; ``pause``: seconds of silence that end a turn.
    """

    near: float
    alike: float
    switch: float
    least: int
    most: int
    pause: float

    @classmethod
    def of(cls, parameters: Mapping[str, float]) -> Rules:
        """From a card's parameters ``speaker_near`` and so on."""
        p = parameters
        least, most = int(p["speaker_least"]), int(p["speaker_most"])
        return cls(p["speaker_near"], p["speaker_alike"], p["speaker_switch"], least, most, p["speaker_pause"])


def placed(layers: NDArray[np.float32]) -> Numbers:
    """(n, 64) places of length 1 of (n, 4096), the output ``layers`` of the voice network. Raises `ModelError`."""
    model = open_model(MODEL)
    return np.asarray([model.run({"layers": row[None]})["place"][0] for row in layers], np.float64)


def turns_of(starts: Numbers, places: Numbers, speech: Speech, rules: Rules) -> tuple[Turn, ...]:
    """Turns in the order of time, not overlapping, over speech alone.

    Args:
        starts: (n,) seconds of the windows, in order.
        places: (n, width) of length 1.
        speech: where somebody speaks.
        rules: thresholds.
    """
    if not len(starts):
        return ()
    labels = _in_order(grouped(places, rules))
    middles = np.asarray(starts) + WINDOW / 2
    edges = [0.0, *_changes(middles, labels, speech), speech.duration]
    who = [int(labels[0]), *(int(labels[i + 1]) for i in np.flatnonzero(np.diff(labels)))]
    found: list[Turn] = []
    for first, last, speaker in zip(edges, edges[1:], who, strict=False):
        found += [Turn(a, b, speaker) for a, b in _spoken(speech, first, last, rules.pause)]
    return tuple(found)


def grouped(places: Numbers, rules: Rules) -> Labels:
    """(n,) a group for each window of (n, width) places; one group unless two are plainly there."""
    from scipy.cluster.hierarchy import fcluster, linkage  # slow to import, and pictures have no voices

    if len(places) < 2 * rules.least:
        return np.zeros(len(places), np.int64)
    tree = linkage(places, "average", metric="cosine")
    labels = fcluster(tree, 1 - rules.near, "distance").astype(np.int64)
    middles = _middles(places, labels, rules)
    return _cheapest(places @ middles.T, rules.switch, rules.least)


def _middles(places: Numbers, labels: Labels, rules: Rules) -> Numbers:
    """(k, width): middles of the groups that are large enough, near ones joined; of all windows where there is none."""
    sizes = {int(label): int((labels == label).sum()) for label in np.unique(labels)}
    kept = sorted((label for label, size in sizes.items() if size >= rules.least), key=lambda label: -sizes[label])
    groups = [np.flatnonzero(labels == label) for label in kept[: 4 * rules.most]]
    if not groups:
        return _middle(places)[None]
    while len(groups) > 1:
        middles = np.stack([_middle(places[group]) for group in groups])
        near = middles @ middles.T - 2 * np.eye(len(groups))
        i, j = np.unravel_index(int(near.argmax()), near.shape)
        if near[i, j] < rules.alike and len(groups) <= rules.most:
            break
        groups[min(i, j)] = np.concatenate([groups[i], groups[j]])
        del groups[max(i, j)]
    return np.stack([_middle(places[group]) for group in groups])


def _middle(places: Numbers) -> Numbers:
    mean = places.mean(0)
    return np.asarray(mean / (np.linalg.norm(mean) + 1e-9))


def _cheapest(near: Numbers, switch: float, least: int) -> Labels:
    """(n,) the path through (n, k) with the largest sum, a change costing ``switch``; rare groups are left out."""
    while True:
        labels = _path(near, switch)
        count = np.bincount(labels, minlength=near.shape[1])
        rare = np.flatnonzero((count > 0) & (count < least))
        if not rare.size or np.count_nonzero(count) == 1:
            return labels
        near = near.copy()
        near[:, rare[int(count[rare].argmin())]] = -np.inf


def _path(near: Numbers, switch: float) -> Labels:
    best, back = near[0], []
    for row in near[1:]:
        jump = best.max() - switch
        back.append(np.where(best >= jump, np.arange(best.size), int(best.argmax())))
        best = np.maximum(best, jump) + row
    labels = [int(best.argmax())]
    for step in back[::-1]:
        labels.append(int(step[labels[-1]]))
    return np.asarray(labels[::-1], np.int64)


def _in_order(labels: Labels) -> Labels:
    """The same groups, numbered by their first window."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)


def _changes(middles: Numbers, labels: Labels, speech: Speech) -> list[float]:
    """Seconds at which the speaker changes, rising: where speech is least likely about the two windows' middles."""
    out: list[float] = []
    for i in np.flatnonzero(np.diff(labels)):
        a, b = max(0.0, middles[i] - _EARLIER), middles[i + 1] + _EARLIER
        first = round(a * RATE / STEP)
        between = speech.probability[first : round(b * RATE / STEP)]
        found = float(middles[i] + middles[i + 1]) / 2
        if between.size:
            # A pause is flat: its middle, not its first step.
            quiet = np.flatnonzero(between <= between.min() + 0.05)
            found = float(first + quiet.mean() + 0.5) * STEP / RATE
        out.append(max([found, *out]))
    return out


def _spoken(speech: Speech, first: float, last: float, pause: float) -> list[tuple[float, float]]:
    """Speech between two seconds; pauses up to ``pause`` belong to the turn."""
    out: list[tuple[float, float]] = []
    for start, end in speech.segments:
        a, b = max(start, first), min(end, last)
        if b - a < 2 * STEP / RATE:
            continue
        if out and a - out[-1][1] <= pause:
            out[-1] = (out[-1][0], b)
        else:
            out.append((a, b))
    return out
