"""face.swap on a film: every face gets one score, the median over the moments of all its appearances."""

from __future__ import annotations

import numpy as np

from unmask.card import Card
from unmask.detectors.face_swap import film_evidence
from unmask.detectors.face_swap.faces import crowd_score, levels, score_faces
from unmask.detectors.face_swap.film_again import looked_again
from unmask.detectors.face_swap.film_evidence import TrackScore
from unmask.detectors.face_swap.film_tower import with_tower
from unmask.films.people import FaceTrack, People, Person
from unmask.models.tower import networks_fact
from unmask.report import Finding
from unmask.subject import Subject


def examine_film(subject: Subject, card: Card, pictures: bool = False) -> Finding:
    """Ask the network about moments of each face; ``raw_score`` as for a picture, of the most suspicious face.

    ``pictures``: the evidence holds small pictures of faces.

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
    shown = film_evidence.lanes(people, [])
    scored = [one for one in (_score(person, p) for person in _longest(people, p)) if one is not None]
    if not scored:
        text = (
            f"No face is at least {p['least_size']:.0f} pixels wide and sharp enough in {p['film_least_moments']:.0f} "
            "moments of the film, so none can be examined."
        )
        return card.declined("swap.no_clear_face", text, shown)
    scored, stratum, why = with_tower(scored, p)
    p = levels(p, stratum)
    known = [one for one in scored if one.distance <= p["drift_limit"]]
    if not known:
        return card.declined(
            "drift.unlike_training",
            "The faces are unlike all faces that the network was trained and measured on, so no score is given.",
            shown,
        )
    known = looked_again(video, known, p)
    raw = crowd_score([one.score for one in known], p["crowd_slope"])
    shown = [*film_evidence.shown(people, known, p, pictures), networks_fact(card.id, why)]
    if raw < p["report_above"]:
        count = "the face" if len(known) == 1 else f"any of the {len(known)} faces"
        text = f"No clear sign of blending was found in {count} that could be followed through the film."
        return card.ok("swap.none", text, raw_score=raw, evidence=shown, stratum=stratum)
    worst = max(known, key=lambda one: one.score)
    text = (
        f"Face {worst.track.face} ({_when(worst.track)}) looks as if a part of it was blended in: its inner part and "
        "its surroundings differ in the way that swapped and reenacted faces do."
    )
    return card.ok("swap.signs", text, raw_score=raw, evidence=shown, stratum=stratum)


def _longest(people: People, p: dict[str, float]) -> list[Person]:
    """The faces that are seen most."""
    return sorted(people.persons, key=lambda person: -person.seen)[: int(p["most_faces"])]


def _score(person: Person, p: dict[str, float]) -> TrackScore | None:
    good = [g for g in person.glimpses if g.size >= p["least_size"] and g.face.sharpness >= p["least_sharpness"]]
    if len(good) < p["film_least_moments"]:
        return None
    said = [score_faces(g.rgb, [g.face])[0] for g in good]
    times = np.array([g.time for g in good])
    scores = np.array([one.score for one in said])
    distance = float(np.median([one.distance for one in said]))
    return TrackScore(person, times, scores, distance, tuple(zip(good, said, strict=True)))


def _when(person: FaceTrack | Person) -> str:
    several = f", in {len(person.tracks)} appearances" if isinstance(person, Person) and len(person.tracks) > 1 else ""
    return f"{person.start:.1f} to {person.end:.1f} s{several}"
