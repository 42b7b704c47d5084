"""face.swap on a film: every face that is followed gets one score, the median over its moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unmask import evidence
from unmask.card import Card
from unmask.detectors.face_swap.faces import crowd_score, score_faces
from unmask.films.people import FaceTrack, People
from unmask.report import Evidence, Finding
from unmask.subject import Subject


@dataclass(frozen=True, eq=False)
class TrackScore:
    """``times``: (n,) seconds; ``scores``: (n,) log-odds there; ``distance``: from training faces, median."""

    track: FaceTrack
    times: NDArray[np.float64]
    scores: NDArray[np.float64]
    distance: float

    @property
    def score(self) -> float:
        """Median over time: one blurred or turned moment does not make a swapped face."""
        return float(np.median(self.scores))


def examine_film(subject: Subject, card: Card) -> Finding:
    """Ask the network about moments of each face; ``raw_score`` as for a picture, of the most suspicious face.

    Raises:
        MediaError: the film cannot be decoded. ModelError: a model cannot be used on this machine.
    """
    p = card.parameters
    video = subject.video
    if min(video.width, video.height) < card.min_side:
        return card.declined("swap.too_small", f"The film is smaller than {card.min_side} pixels on a side.")
    people = subject.people
    if not people.tracks:
        return card.not_applicable("swap.no_face", "No face was found in the film, so there is none to examine.")
    shown = _lanes(people, [])
    scored = [one for one in (_score(track, p) for track in _longest(people, p)) if one is not None]
    if not scored:
        text = (
            f"No face is at least {p['least_size']:.0f} pixels wide and sharp enough in {p['film_least_moments']:.0f} "
            "moments of the film, so none can be examined."
        )
        return card.declined("swap.no_clear_face", text, shown)
    known = [one for one in scored if one.distance <= p["drift_limit"]]
    if not known:
        return card.declined(
            "drift.unlike_training",
            "The faces are unlike all faces that the network was trained and measured on, so no score is given.",
            shown,
        )
    raw = crowd_score([one.score for one in known], p["crowd_slope"])
    shown = [*_lanes(people, known), _curve(known, p["report_above"]), _fact(people, known)]
    if raw < p["report_above"]:
        count = "the face" if len(known) == 1 else f"any of the {len(known)} faces"
        text = f"No clear sign of blending was found in {count} that could be followed through the film."
        return card.ok("swap.none", text, raw_score=raw, evidence=shown)
    worst = max(known, key=lambda one: one.score)
    text = (
        f"Face {worst.track.number} ({_when(worst.track)}) looks as if a part of it was blended in: its inner part and "
        "its surroundings differ in the way that swapped and reenacted faces do."
    )
    return card.ok("swap.signs", text, raw_score=raw, evidence=shown)


def _longest(people: People, p: dict[str, float]) -> list[FaceTrack]:
    """The faces that are seen most."""
    return sorted(people.tracks, key=lambda track: -len(track.times))[: int(p["most_faces"])]


def _score(track: FaceTrack, p: dict[str, float]) -> TrackScore | None:
    good = [g for g in track.glimpses if g.size >= p["least_size"] and g.face.sharpness >= p["least_sharpness"]]
    if len(good) < p["film_least_moments"]:
        return None
    said = [score_faces(g.rgb, [g.face])[0] for g in good]
    times = np.array([g.time for g in good])
    return TrackScore(
        track, times, np.array([one.score for one in said]), float(np.median([one.distance for one in said]))
    )


def _when(track: FaceTrack) -> str:
    return f"{track.start:.1f} to {track.end:.1f} s"


def _lanes(people: People, known: Sequence[TrackScore]) -> list[Evidence]:
    if not people.tracks:
        return []
    scores = {one.track.number: one.score for one in known}
    items = []
    for track in people.tracks:
        said = f", score {scores[track.number]:+.1f}" if track.number in scores else ", not examined"
        items.append((track.start, track.end, f"face {track.number}: in {people.share(track):.0%} of the film{said}"))
    text = (
        "Each face from its appearance to its disappearance. Nobody is recognised: who comes back after a cut gets a "
        "new number."
    )
    return [evidence.segments("Faces through the film", text, items)]


def _curve(known: Sequence[TrackScore], report_above: float) -> Evidence:
    worst = max(known, key=lambda one: one.score)
    peak = int(np.argmax(worst.scores))
    return evidence.plot(
        f"Face {worst.track.number} over time",
        f"Log-odds that a part of the face was blended in, at {worst.scores.size} moments. The answer is their median; "
        f"a film of one face is reported from {report_above:.1f}.",
        worst.times.tolist(),
        [("log-odds", worst.scores.tolist())],
        "seconds",
        "log-odds",
        [(float(worst.times[peak]), "highest")],
    )


def _fact(people: People, known: Sequence[TrackScore]) -> Evidence:
    moments = sum(one.scores.size for one in known)
    more = people.left_out + len(people.tracks) - len(known)
    text = f"{moments} moments were examined."
    if more:
        text += f" {more} more appearances of a face were too short, small or blurred, or too many."
    if people.crowded:
        text += f" {people.crowded} frames show a crowd, of which only the largest faces were followed."
    return evidence.fact("Faces examined", str(len(known)), "face.swap", text)
