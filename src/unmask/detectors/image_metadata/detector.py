"""Metadata of a picture: declarations, contradictions, programs, the camera's thumbnail."""

from __future__ import annotations

from typing import Any

from unmask.card import own_card
from unmask.detectors.image_metadata.thumbnail import Match, compare
from unmask.errors import MediaError
from unmask.evidence import fact
from unmask.options import Options
from unmask.provenance.metadata import read_thumbnail
from unmask.provenance.report import declaration, editing, facts, first_of
from unmask.report import Evidence, Finding
from unmask.subject import Subject

CARD = own_card(__file__)
# Tags that the file format itself asks for: a file with nothing else has no metadata.
_FORMAL = ("MajorBrand", "ProfileDescription", "ExifOffset", "Orientation", "ColorSpace", "ExifVersion")
_NONE = "There are no metadata. That is usual for pictures from messengers and web pages; it says nothing."
_PLAIN = "The metadata contain no declaration, no contradiction and no editing program."
_UNLIKE = (
    "The small preview that the camera stored shows another picture: the picture was replaced or changed strongly "
    "after the preview was made."
)


def examine(subject: Subject, options: Options) -> Finding:  # noqa: ARG001 - every detector takes options
    """All facts with their source; the reason is the most important of them."""
    found: dict[str, Any] = dict(subject.metadata)
    unlike, thumbnail_facts = _thumbnail(subject)
    code, text = reason(found, unlike)
    return CARD.ok(code, text, evidence=[*thumbnail_facts, *facts(found)])


def reason(found: dict[str, Any], unlike: bool) -> tuple[str, str]:
    """(code, sentence): declared before contradictory before edited before plain before none."""
    candidates = (
        declaration(found),
        ("metadata.thumbnail", _UNLIKE) if unlike else None,
        first_of(found["contradictions"], "metadata.contradiction"),
        first_of(found["problems"], "metadata.damaged"),
        editing(found, "metadata.edited"),
        ("metadata.plain", _PLAIN) if any(tag["name"] not in _FORMAL for tag in found["tags"]) else None,
    )
    return next((c for c in candidates if c), ("metadata.none", _NONE))


def _thumbnail(subject: Subject) -> tuple[bool, list[Evidence]]:
    """Whether the stored thumbnail shows another picture, and what is to be said of it."""
    data = read_thumbnail(subject)
    if not data:
        return False, []
    try:
        match = compare(data, subject.image.luma)
    except MediaError:
        return False, []  # the pixel detectors say what is wrong with the picture
    if match is None:
        return False, [fact("Thumbnail", "not readable", "EXIF thumbnail")]
    return _judge(match)


def _judge(match: Match) -> tuple[bool, list[Evidence]]:
    size = f"{match.size[0]}x{match.size[1]} pixels"
    if match.texture < CARD.parameters["thumbnail_texture"]:
        return False, [fact("Thumbnail", size, "EXIF thumbnail", "Too plain to compare with the picture.")]
    unlike = match.correlation < CARD.parameters["thumbnail_unlike"]
    text = "Shows another picture than the file." if unlike else "Shows the same picture."
    text += f" Correlation after turning and cropping: {match.correlation:.2f}."
    return unlike, [fact("Thumbnail", size, "EXIF thumbnail", text)]
