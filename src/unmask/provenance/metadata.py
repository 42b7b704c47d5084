"""Metadata of pictures, films and recordings, read with bounded readers and put into plain facts.

Every reader is ours and walks bytes without recursion, but for EXIF tags (exifread), XML (defusedxml) and the
item index of HEIC and AVIF (pillow-heif, Pillow).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import JsonValue

from unmask.errors import SubjectError
from unmask.media.sniff import name_disagrees
from unmask.provenance import contradictions
from unmask.provenance.exif import read_exif, read_icc, read_tags, read_xmp
from unmask.provenance.isobmff import read_isobmff
from unmask.provenance.jpeg import read_jpeg
from unmask.provenance.matroska import read_matroska
from unmask.provenance.plain import decode
from unmask.provenance.png import read_gif, read_png
from unmask.provenance.riff import read_riff
from unmask.provenance.source import MAX_TAGS, Notes, Source, TooMuch, Window
from unmask.provenance.tags import read_flac, read_id3, read_mp3, read_ogg
from unmask.provenance.traces import find_traces

if TYPE_CHECKING:
    from unmask.subject import Subject


def _read_tiff(source: Source, notes: Notes) -> None:
    read_tags(Window(source), notes)


def _nothing(source: Source, notes: Notes) -> None:
    """BMP and AAC carry no metadata that is read here."""


_READERS: dict[str, Callable[[Source, Notes], None]] = {
    "jpeg": read_jpeg,
    "png": read_png,
    "gif": read_gif,
    "tiff": _read_tiff,
    "webp": read_riff,
    "wav": read_riff,
    "avi": read_riff,
    "aiff": read_riff,
    "mp4": read_isobmff,
    "mov": read_isobmff,
    "m4a": read_isobmff,
    "heic": read_isobmff,
    "avif": read_isobmff,
    "mkv": read_matroska,
    "webm": read_matroska,
    "ogg": read_ogg,
    "flac": read_flac,
    "mp3": read_mp3,
}


def read(subject: Subject) -> dict[str, JsonValue]:
    """All metadata of ``subject`` as bounded JSON; what is broken in the file becomes a problem in it.

    Returns:
        ``{"format", "tags": [{"name", "value", "source"}], "facts": {…}, "traces": [{"role", "name", "source",
        "declares", "text"}], "contradictions": [{"code", "text", "source"}], "problems": [{"code", "text"}],
        "more_tags": bool}``.

    Raises:
        SubjectError, UnsupportedMedia: the file cannot be read, or is of no known format.
    """
    notes = read_notes(subject)
    traces = [trace.as_dict() for trace in find_traces(notes)]
    return {
        "format": subject.sniffed.format,
        "tags": [dict(t) for t in notes.tags],
        "facts": dict(notes.facts),
        "traces": [dict(t) for t in traces],
        "contradictions": [dict(c) for c in notes.odd],
        "problems": [dict(p) for p in notes.problems],
        "more_tags": len(notes.tags) >= MAX_TAGS,
    }


def read_thumbnail(subject: Subject) -> bytes:
    """The camera's thumbnail (JPEG bytes) of a JPEG, WebP, PNG, HEIC or AVIF picture; empty where there is none."""
    if subject.sniffed.format == "tiff":
        return b""
    return _thumbnail(_notes_of_blocks(subject).blobs.get("exif", b""))


def _thumbnail(tiff: bytes) -> bytes:
    """The JPEG thumbnail that the second image directory (IFD1) of an EXIF block points to."""
    order: Literal["little", "big"] = "little" if tiff[:2] == b"II" else "big"

    def number(at: int, count: int) -> int:
        return int.from_bytes(tiff[at : at + count], order) if 0 <= at <= len(tiff) - count else 0

    first = number(4, 4)
    second = number(first + 2 + 12 * number(first, 2), 4)
    entries = [second + 2 + 12 * i for i in range(min(number(second, 2), 100))] if second else []
    places = {number(at, 2): number(at + 8, 4) for at in entries}
    start, size = places.get(0x0201, 0), places.get(0x0202, 0)
    return tiff[start : start + size] if 0 < start < len(tiff) else b""


def read_notes(subject: Subject) -> Notes:
    """The readers' notes, with the embedded blocks that `read` leaves out. Raises as `read` does."""
    notes, format_ = _notes_of_blocks(subject), subject.sniffed.format
    _blocks(notes)
    if name_disagrees(subject.name, format_):
        notes.fact("name_disagrees", f"The name ends in {Path(subject.name).suffix[:20]}, the content is {format_}.")
    contradictions.check_times(notes)
    contradictions.check_place(notes)
    contradictions.check_tracks(notes)
    width, height = notes.facts.get("width"), notes.facts.get("height")
    if format_ == "jpeg" and isinstance(width, int) and isinstance(height, int):
        contradictions.check_size(notes, width, height)
    return notes


def _notes_of_blocks(subject: Subject) -> Notes:
    notes, format_ = Notes(), subject.sniffed.format
    try:
        with Source(subject.path) as source:
            _READERS.get(format_, _nothing)(source, notes)
    except TooMuch as error:
        notes.problem(error.code, error.text)
    except OSError as error:
        raise SubjectError("subject.unreadable", f"Cannot read the file: {error.strerror}.") from error
    if format_ in ("heic", "avif"):
        _picture_items(subject.path, format_, notes)
    return notes


def _blocks(notes: Notes) -> None:
    blobs = notes.blobs
    if blobs.get("exif"):
        read_exif(blobs["exif"], notes)
    for name in ("xmp", "xmp_more"):
        if blobs.get(name):
            read_xmp(blobs[name], notes, "XMP" if name == "xmp" else "XMP extension")
    if blobs.get("icc"):
        read_icc(blobs["icc"], notes)
    if blobs.get("id3"):
        read_id3(blobs["id3"], notes)
    if blobs.get("ixml"):
        read_xmp(blobs["ixml"], notes, "iXML")
    if blobs.get("aigc"):
        notes.tag("AIGC", decode(blobs["aigc"]), "box AIGC")


def _picture_items(path: Path, format_: str, notes: Notes) -> None:
    """EXIF, XMP and ICC of HEIC and AVIF, whose place only the item index tells."""
    try:
        if format_ == "heic":
            import pillow_heif

            info = pillow_heif.open_heif(path, convert_hdr_to_8bit=False).info
        else:
            from PIL import Image

            with Image.open(path) as image:
                info = dict(image.info)
    except Exception:  # the libraries raise anything on hostile files
        notes.problem("heif.items", "The picture's item index cannot be read: its metadata were not read.")
        return
    exif = info.get("exif")
    if isinstance(exif, bytes) and exif:
        notes.blobs.setdefault("exif", exif[6:] if exif.startswith(b"Exif\x00\x00") else exif)
    for name, key in (("xmp", "xmp"), ("icc", "icc_profile")):
        if isinstance(info.get(key), bytes):
            notes.blobs.setdefault(name, info[key])
