"""``image.faces``: where the faces are that other detectors look at. Facts only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unmask.card import own_card
from unmask.evidence import boxes, fact

if TYPE_CHECKING:
    from unmask.faces.face import Face
    from unmask.media.image import ImageView
    from unmask.options import Options
    from unmask.report import Box, Evidence, Finding
    from unmask.subject import Subject

CARD = own_card(__file__)
_P = CARD.parameters
_SOURCE = "BlazeFace and the MediaPipe face mesh"


def examine(subject: Subject, options: Options) -> Finding:  # noqa: ARG001 - the common signature
    """Boxes, sizes and sharpness of all faces. Raises `MediaError` and `ModelError`."""
    image = subject.image
    if min(image.width, image.height) < CARD.min_side:
        return CARD.declined("faces.small", f"The picture is smaller than {CARD.min_side} pixels on a side.")
    found = subject.faces
    if not found:
        return CARD.ok("faces.none", "No face was found in the picture.")
    number = "One face was" if len(found) == 1 else f"{len(found)} faces were"
    text = f"{number} found; the largest is {found[0].size:.0f} pixels wide."
    return CARD.ok("faces.found", text, evidence=_evidence(image, found))


def _evidence(image: ImageView, found: tuple[Face, ...]) -> list[Evidence]:
    items = [(_box(image, face), f"face {i}: {face.size:.0f} px") for i, face in enumerate(found, 1)]
    shown = boxes("Faces", "Where faces were found. A box says nothing about what was done to the face.", items)
    listed = found[: int(_P["most_listed"])]
    facts = [fact(f"Face {i}", _describe(face), _SOURCE, _use(face)) for i, face in enumerate(listed, 1)]
    return [shown, *facts]


def _box(image: ImageView, face: Face) -> Box:
    return image.upright_box(*face.box)


def _describe(face: Face) -> str:
    look = "blurred" if face.sharpness < _P["blurred"] else "sharp"
    return f"{face.box[2]:.0f} x {face.box[3]:.0f} pixels, {look} ({face.sharpness:.2f}), found with {face.score:.2f}"


def _use(face: Face) -> str:
    if face.size < _P["small_face"]:
        return "So small a face holds too little to be examined closely."
    if face.sharpness < _P["blurred"]:
        return "In a blurred face fine traces are lost."
    return ""
