"""What face.swap shows of a film: a lane and a curve for each face, suspicious stretches, faces at their worst moments.

Nobody is named: appearances whose faces are alike within the film have one number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unmask import evidence
from unmask.detectors.face_swap.faces import FaceScore, heat
from unmask.detectors.face_swap.weights import shares, weighted_median
from unmask.films.people import FaceTrack, Glimpse, People, Person
from unmask.report import Evidence

CURVES, WORST, OTHERS = 4, 4, 4
"""Faces with a curve; pictures of the worst face; other faces with one picture."""

CROP, SIDE = 1.7, 200


@dataclass(frozen=True, eq=False)
class Course:
    """What the tower adds to a face's score over time: ``times`` (m,) seconds, ``values`` (m,) log-odds there. The
    tower is dear, so it is asked at some looks; between them it is taken to change evenly.
    """

    times: NDArray[np.float64]
    values: NDArray[np.float64]

    def at(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) what is added at (n,) seconds."""
        return np.asarray(np.interp(times, self.times, self.values), np.float64)


@dataclass(frozen=True, eq=False)
class TrackScore:
    """``times``: (n,) seconds; ``scores``: (n,) log-odds there; ``distance``: from training faces, median;
    ``moments``: what was looked at there, and what the small network said of each part of it; ``later``: (n,) looks
    that were taken only because their neighbours disagreed (none where it is left out); ``tower``: what of the scores
    is the tower's.
    """

    track: FaceTrack | Person
    times: NDArray[np.float64]
    scores: NDArray[np.float64]
    distance: float
    moments: tuple[tuple[Glimpse, FaceScore], ...] = ()
    later: NDArray[np.bool_] | None = None
    tower: Course | None = None

    @property
    def small(self) -> NDArray[np.float64]:
        """(n,) what the small network alone says: the tower, asked less often, is no measure of single moments."""
        return self.scores if self.tower is None else self.scores - self.tower.at(self.times)

    @property
    def score(self) -> float:
        """Median over time: one blurred or turned moment does not make a swapped face."""
        return weighted_median(self.scores, self.weights)

    @property
    def weights(self) -> NDArray[np.float64]:
        """(n,) how long each look stands for, in usual looks."""
        return shares(self.times, np.zeros(self.times.size, np.bool_) if self.later is None else self.later)


def lane(track: FaceTrack | Person) -> str:
    """How the face is called in all lanes and captions."""
    return f"Face {track.face}"


def lanes(people: People, known: Sequence[TrackScore]) -> list[Evidence]:
    """Each face from its appearance to its disappearance."""
    if not people.tracks:
        return []
    scores = {one.track.face: one for one in known}
    items = []
    for track in people.tracks:
        said = _said(scores.get(track.face), track)
        text = f"in {people.share(track):.0%} of the film{said}"
        items.append(evidence.Stretch(track.start, track.end, text, lane(track)))
    text = (
        "Each face from its appearance to its disappearance. Nobody is named: appearances whose faces are alike within "
        "the film have one number; who looks very different from one to the next may have two."
    )
    return [evidence.segments("Faces through the film", text, items)]


def _said(one: TrackScore | None, track: FaceTrack) -> str:
    """The score of one appearance: the answer is the median over all of them."""
    if one is None:
        return ", not examined"
    here = (one.times >= track.start) & (one.times <= track.end)
    return f", score {weighted_median(one.scores[here], one.weights[here]):+.1f}" if here.any() else ", not examined"


def shown(people: People, known: Sequence[TrackScore], p: dict[str, float], pictures: bool) -> list[Evidence]:
    """All evidence of the examined faces (at least one); ``pictures``: with pictures of them."""
    worst_first = sorted(known, key=lambda one: -one.score)
    out = [*lanes(people, known), *stretches(worst_first, p["report_above"], int(p["film_stretch_moments"]))]
    out += standing_out(worst_first, p["film_stands_out"], int(p["film_stretch_moments"]))
    if pictures:
        out += _pictures(worst_first)
    out += [_curve(one, p["report_above"]) for one in worst_first[:CURVES]]
    return [*out, _fact(people, known)]


def stretches(known: Sequence[TrackScore], above: float, least: int) -> list[Evidence]:
    """Where at least ``least`` moments in a row are above the level that a film is reported from."""
    items = [
        evidence.Stretch(start, end, f"mean score {score:+.1f} in {count} moments", lane(one.track), True, score)
        for one in known
        for start, end, score, count in runs(one.times, one.scores, above, least)
    ]
    if not items:
        return []
    text = (
        f"At least {least} moments in a row with a score above {above:.1f}, the level from which a film of one face is "
        "reported. The answer is the median over all moments: one such stretch in a long film does not decide."
    )
    return [evidence.segments("Suspicious stretches of a face", text, sorted(items))]


def standing_out(known: Sequence[TrackScore], rise: float, least: int) -> list[Evidence]:
    """Where a face's score rises ``rise`` above its own median; widened to where half of that is left."""
    items = [
        evidence.Stretch(
            start, end, f"{above:+.1f} against the rest, {count} moments", f"{lane(one.track)} stands out", score=above
        )
        for one in known
        for start, end, above, count in runs(
            one.times, one.small - weighted_median(one.small, one.weights), rise, least, rise / 2
        )
    ]
    if not items:
        return []
    text = (
        f"At least {least} moments in a row with a score of the small network {rise:.1f} above the median of the same "
        "face, and what rises half as far beside them: the moments to look at first. Light, mimic and turning do this "
        "too, so it is no sign."
    )
    return [evidence.segments("Where a face stands out from itself", text, sorted(items))]


def runs(
    times: NDArray[np.float64], scores: NDArray[np.float64], above: float, least: int, down_to: float | None = None
) -> Iterator[tuple[float, float, float, int]]:
    """(start, end, mean score, moments) of each run of ``least`` or more at the level, half-way to its neighbours.

    ``down_to``: a lower level, to which a run that reaches the level is widened.
    """
    borders = np.concatenate([times[:1], (times[1:] + times[:-1]) / 2, times[-1:]])
    for first, after in rises(scores, above, above if down_to is None else down_to, least):
        yield float(borders[first]), float(borders[after]), float(scores[first:after].mean()), after - first


def rises(scores: NDArray[np.float64], above: float, down_to: float, least: int) -> list[tuple[int, int]]:
    """(first, after) of each run of ``least`` or more at ``above``, widened to ``down_to``: hysteresis (Canny 1986)."""
    clear = [first for first, after in _flagged(scores >= above) if after - first >= least]
    return [(a, b) for a, b in _flagged(scores >= down_to) if any(a <= first < b for first in clear)]


def _flagged(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, after) of each run of true values."""
    padded = np.concatenate([[False], flags, [False]])
    edges = np.flatnonzero(padded[1:] != padded[:-1]).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def worst_moments(one: TrackScore, count: int) -> list[int]:
    """Indexes of the highest scores that lie apart, in the order of time."""
    gap = (one.times[-1] - one.times[0]) / (2 * count)
    chosen: list[int] = []
    for i in np.argsort(-one.scores, kind="stable"):
        if len(chosen) < count and all(abs(one.times[i] - one.times[j]) >= gap for j in chosen):
            chosen.append(int(i))
    return sorted(chosen)


def _pictures(worst_first: Sequence[TrackScore]) -> list[Evidence]:
    wanted = [(one, i) for one in worst_first[:1] for i in worst_moments(one, WORST)]
    wanted += [(one, int(np.argmax(one.scores))) for one in worst_first[1 : 1 + OTHERS]]
    shots = [_shot(one, i) for one, i in wanted if one.moments]
    if not shots:
        return []
    text = (
        "The moments with the highest scores, as they are and with what the network says of each part. The map shows "
        "where to look; the edge of the marked area is not the edge of the change. Every face has a highest moment: "
        "that there is one is no sign."
    )
    return [
        evidence.frames("Faces at their worst moments", text, shots, "like its surroundings", "blended in", side=SIDE)
    ]


def _shot(one: TrackScore, index: int) -> evidence.Shot:
    seen, said = one.moments[index]
    h, w = seen.rgb.shape[:2]
    rows, columns = _around(seen.face.box, w, h)
    warm = heat((h, w), [said], max(h, w))
    label = f"{lane(one.track)}, score {one.scores[index]:+.1f}"
    return evidence.Shot(seen.time, seen.rgb[rows, columns], label, warm[rows, columns])


def _around(box: tuple[float, float, float, float], width: int, height: int) -> tuple[slice, slice]:
    """The square of `CROP` times the face, as far as the picture reaches."""
    x, y, w, h = box
    half = max(w, h) * CROP / 2
    left, right = (int(np.clip(x + w / 2 + s * half, 0, width)) for s in (-1, 1))
    top, bottom = (int(np.clip(y + h / 2 + s * half, 0, height)) for s in (-1, 1))
    return slice(min(top, height - 1), max(bottom, top + 1)), slice(min(left, width - 1), max(right, left + 1))


def _curve(one: TrackScore, above: float) -> Evidence:
    peak = int(np.argmax(one.scores))
    return evidence.plot(
        f"{lane(one.track)} over time",
        f"Log-odds that a part of the face was blended in, at {one.scores.size} moments. The answer is their median; "
        f"a film of one face is reported from {above:.1f}.",
        one.times.tolist(),
        [("log-odds", one.scores.tolist())],
        "seconds",
        "log-odds",
        [(float(one.times[peak]), "highest")],
        [(above, "reported from here")],
    )


def _fact(people: People, known: Sequence[TrackScore]) -> Evidence:
    moments = sum(one.scores.size for one in known)
    more = people.left_out + len(people.persons) - len(known)
    text = f"{moments} moments were examined."
    if more:
        text += f" {more} more faces or appearances were too short, small or blurred, or too many."
    if people.crowded:
        text += f" {people.crowded} frames show a crowd, of which only the largest faces were followed."
    return evidence.fact("Faces examined", str(len(known)), "face.swap", text)
