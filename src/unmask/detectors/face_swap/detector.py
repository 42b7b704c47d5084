"""face.swap: was a face in this picture swapped, reenacted or partly replaced?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unmask import evidence
from unmask.card import own_card
from unmask.detectors.face_swap.faces import (
    BOTH,
    SMALL,
    FaceScore,
    crowd_score,
    heat,
    levels,
    score_faces,
    tower_scores,
)
from unmask.detectors.face_swap.film import examine_film
from unmask.models.tower import networks_fact, why_not

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unmask.faces.face import Face
    from unmask.media.image import ImageView
    from unmask.options import Options
    from unmask.report import Evidence, Finding
    from unmask.subject import Subject

CARD = own_card(__file__)
P = CARD.parameters


def examine(subject: Subject, options: Options) -> Finding:
    """Ask the networks about the largest faces of a picture, or about each face that can be followed through a film.

    ``raw_score`` is the log-odds of the most suspicious face, less a correction for the number of faces; roughly -8
    to 8, with the tower -14 to 14. What it means depends on the stratum.

    Raises:
        MediaError: the picture cannot be decoded. ModelError: a model cannot be used on this machine.
    """
    return examine_film(subject, CARD, options.preview) if subject.kind == "video" else _examine_picture(subject)


def _examine_picture(subject: Subject) -> Finding:
    image = subject.image
    if min(image.width, image.height) < CARD.min_side:
        return CARD.declined("swap.too_small", f"The picture is smaller than {CARD.min_side} pixels on a side.")
    found = subject.faces
    if not found:
        return CARD.not_applicable("swap.no_face", "No face was found, so there is none to examine.")
    usable = [face for face in found if face.size >= P["least_size"] and face.sharpness >= P["least_sharpness"]]
    if not usable:
        return _unusable(found)
    usable = usable[: int(P["most_faces"])]
    scored, stratum, why = _scored(image.rgb, usable)
    p = levels(P, stratum)
    known = [one for one in scored if one.distance <= p["drift_limit"]]
    if not known:
        return CARD.declined(
            "drift.unlike_training",
            "The faces are unlike all faces that the network was trained and measured on, so no score is given.",
            [_boxes(image, scored, p)],
        )
    raw = crowd_score([one.score for one in known], p["crowd_slope"])
    shown = [*_evidence(image, known, len(found), p), networks_fact(CARD.id, why)]
    if raw < p["report_above"]:
        return CARD.ok("swap.none", _quiet(len(known), len(found)), raw_score=raw, evidence=shown, stratum=stratum)
    return CARD.ok("swap.signs", _alarm(known), raw_score=raw, evidence=shown, stratum=stratum)


def _scored(rgb: NDArray[np.uint8], faces: Sequence[Face]) -> tuple[list[FaceScore], str, str]:
    """The faces with the score of all networks that answer, the stratum, and why the tower does not answer."""
    scored, second = score_faces(rgb, faces), tower_scores(rgb, faces)
    if not isinstance(second, list):
        return scored, SMALL, why_not(second)
    both = [replace(one, score=one.score + P["tower_weight"] * more) for one, more in zip(scored, second, strict=True)]
    return both, BOTH, ""


def _unusable(found: Sequence[Face]) -> Finding:
    if max(face.size for face in found) < P["least_size"]:
        return CARD.declined(
            "swap.small_faces",
            f"The largest face is {found[0].size:.0f} pixels wide; below {P['least_size']:.0f} pixels too little is "
            "left to examine.",
        )
    return CARD.declined("swap.blurred", "The faces are too blurred to examine: the traces of a blend are lost.")


def _quiet(examined: int, found: int) -> str:
    faces = "the face" if examined == 1 else f"any of the {examined} faces examined"
    left = "" if examined == found else f" {found - examined} more faces were too small, too blurred or too many."
    return f"No clear sign of blending was found in {faces}.{left}"


def _alarm(known: Sequence[FaceScore]) -> str:
    number = 1 + max(range(len(known)), key=lambda i: known[i].score)
    which = "The face" if len(known) == 1 else f"Face {number} of {len(known)}"
    return (
        f"{which} looks as if a part of it was blended in: its inner part and its surroundings differ in the way that "
        "swapped and reenacted faces do."
    )


def _evidence(image: ImageView, known: Sequence[FaceScore], found: int, p: dict[str, float]) -> list[Evidence]:
    shown = [
        _boxes(image, known, p),
        evidence.heatmap(
            image,
            heat((image.height, image.width), known, evidence.MAP_SIDE),
            "Where a face may have been blended in",
            "What the small network says of each part of the examined faces. It shows where to look; the edge of the "
            "marked area is not the edge of the change.",
            low="like its surroundings",
            high="blended in",
            region=image.upright_box(*max(known, key=lambda one: one.score).face.box),
        ),
    ]
    if found > len(known):
        text = "Faces that were too small, too blurred, too many or too unlike the training faces were left out."
        shown.append(evidence.fact("Faces examined", f"{len(known)} of {found}", CARD.id, text))
    return shown


def _boxes(image: ImageView, scored: Sequence[FaceScore], p: dict[str, float]) -> Evidence:
    items = [
        (image.upright_box(*one.face.box), f"face {i}: {_word(one.score, p)} ({one.score:+.1f})")
        for i, one in enumerate(scored, 1)
    ]
    return evidence.boxes(
        "Faces examined for blending",
        f"The number is the score of the face; a picture of one face is reported from {p['report_above']:.1f}.",
        items,
    )


def _word(score: float, p: dict[str, float]) -> str:
    return "signs of blending" if score >= p["report_above"] else "no clear sign"
