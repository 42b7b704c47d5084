"""ISO base media files: MP4, MOV, M4A, HEIC, AVIF (ISO/IEC 14496-12; Apple QuickTime File Format).

The walk is iterative; depth, number and bytes of boxes are bounded. Sample data are never read, but for the
first bytes of the media data, where encoders leave their name (x264's user data).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from unmask.media.limits import MAX_BOX_DEPTH, MAX_BOXES
from unmask.provenance.jpeg import note_trailing
from unmask.provenance.plain import clean, decode, decode_utf16
from unmask.provenance.source import Notes, Source

_EPOCH = datetime(1904, 1, 1, tzinfo=UTC)
_BIG = 256 * 1024
_SEI_SCAN = 512 * 1024
_PLAIN = {"moov", "trak", "mdia", "minf", "stbl", "udta", "edts", "ilst", "moof", "traf", "mvex", "tref", "gmhd"}
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
ENCODER_STRING = re.compile(rb"x264 - core [ -~]{1,400}|x265 \(build [ -~]{1,400}|Lavc[0-9. ]{3,20}[a-z0-9_]{0,20}")


@dataclass
class Track:
    """What one track says of itself; times in seconds."""

    kind: str = ""
    codec: str = ""
    handler: str = ""
    created: str = ""
    modified: str = ""
    duration: float | None = None
    media_duration: float | None = None
    edits: list[tuple[float, float]] = field(default_factory=list)
    deltas: int = 0
    rotation: int = 0
    scale: int = 0
    edit_raw: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class _Movie:
    tracks: list[Track] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    scale: int = 0
    duration: float | None = None

    @property
    def track(self) -> Track:
        if not self.tracks:
            self.tracks.append(Track())
        return self.tracks[-1]


def read_isobmff(source: Source, notes: Notes) -> None:
    """Boxes, tags and tracks of the file; see `unmask.provenance.contradictions` for what is concluded."""
    movie = _Movie()
    top: list[str] = []
    stack: list[tuple[int, int, str]] = [(0, source.size, "")]
    count = 0
    while stack:
        offset, stop, parent = stack.pop()
        if offset + 8 > stop:
            continue
        count += 1
        if count > MAX_BOXES:
            notes.problem("container.too_many", f"More than {MAX_BOXES} boxes: the rest was not read.")
            break
        name, body, end = _head(source, offset, stop)
        if end <= offset or (parent == "" and not _named(name)):
            _stray(source, notes, offset, parent, top)
            continue
        if end > stop:
            _short(notes, name, parent, end - stop)
            end = stop
        stack.append((end, stop, parent))
        if parent == "" and len(top) < 60 and (not top or top[-1] != name):
            top.append(name)
        start = _enter(source, notes, movie, name, parent, body, end)
        if start is None:
            continue
        if len(stack) >= MAX_BOX_DEPTH:
            notes.problem(
                "container.too_deep", f"Boxes are nested more than {MAX_BOX_DEPTH} deep: the rest was not read."
            )
            continue
        stack.append((start, end, f"{parent}/{name}"))
    notes.fact("boxes", top)
    _finish(notes, movie)


def more_boxes(path: Path, limit: int) -> bool:
    """Whether a file has more than ``limit`` boxes; stops counting there. Raises OSError."""
    with Source(path, budget=16 * limit + 64) as source:
        stack, count = [(0, source.size)], 0
        while stack and count <= limit:
            offset, stop = stack.pop()
            if offset + 8 > stop:
                continue
            count += 1
            name, body, end = _head(source, offset, stop)
            if end <= offset:
                continue
            stack.append((min(end, stop), stop))
            if name in _PLAIN and len(stack) < MAX_BOX_DEPTH:
                stack.append((body, min(end, stop)))
        return count > limit


def _head(source: Source, offset: int, stop: int) -> tuple[str, int, int]:
    head = source.at(offset, 16)
    size, name = int.from_bytes(head[:4], "big"), head[4:8].decode("latin-1")
    body = offset + 8
    if size == 1 and len(head) == 16:
        size, body = int.from_bytes(head[8:16], "big"), offset + 16
    elif size == 0:
        size = stop - offset
    if size < body - offset:
        return name, body, -1
    return name, body, offset + size


def _named(name: str) -> bool:
    return len(name) == 4 and all(c.isascii() and (c.isalnum() or c in " ©-_") for c in name)


def _stray(source: Source, notes: Notes, offset: int, parent: str, top: list[str]) -> None:
    """What is no box: after the last box of the file it is trailing data, inside one it is padding."""
    if parent == "" and top:
        note_trailing(source, notes, offset)
    elif parent == "":
        notes.problem("container.damaged", "The file does not begin with a readable box.")


def _short(notes: Notes, name: str, parent: str, missing: int) -> None:
    if parent == "":
        text = f"The box '{clean(name, 8)}' promises {missing} bytes more than the file has: its end is missing."
        notes.contradiction("size.short", text, f"box {clean(name, 8)}")
    else:
        notes.problem("container.damaged", f"The box '{clean(name, 8)}' reaches beyond the one that holds it.")


def _enter(source: Source, notes: Notes, movie: _Movie, name: str, parent: str, body: int, end: int) -> int | None:
    """Read a box; returns where its children start, or None for a leaf."""
    within = parent.rsplit("/", 1)[-1]
    if name == "trak":
        movie.tracks.append(Track())
    if name in _PLAIN:
        return body
    if name == "meta":
        # A full box in ISO files, a plain one in QuickTime: the handler's name tells.
        return body if source.at(body + 4, 4) == b"hdlr" else body + 4
    if within == "ilst":
        _item(source, notes, movie, name, body, end)
    elif within == "udta" and (
        name.startswith("©") or name in ("AIGC", "auth", "titl", "cprt", "loci", "SDLN", "manu", "modl")
    ):
        _user(source, notes, name, body, end)
    elif within == "udta" and name.startswith("Xtra"):
        notes.fact("windows_media_tags", True)
    elif name in _LEAVES:
        _LEAVES[name](source.at(body, min(end - body, _BIG)), notes, movie)
    elif name == "uuid":
        _uuid(source, notes, body, end)
    elif name == "mdat":
        _media_data(source, notes, body, end)
    elif name in ("XMP_", "AIGC"):
        notes.blobs.setdefault("xmp" if name == "XMP_" else "aigc", source.at(body, min(end - body, 1 << 20)))
    return None


def _media_data(source: Source, notes: Notes, body: int, end: int) -> None:
    notes.facts.setdefault("index_first", "mvhd" in notes.facts)
    offset = (
        source.find(ENCODER_STRING, body, min(_SEI_SCAN, end - body)) if "encoder_string" not in notes.facts else -1
    )
    if offset >= 0:
        match = ENCODER_STRING.search(source.at(offset, 600))
        if match:
            notes.tag("Encoder", match.group(), "encoder's note in the picture or sound data")
            notes.fact("encoder_string", True)


def _brands(data: bytes, notes: Notes, movie: _Movie) -> None:  # noqa: ARG001
    notes.tag("MajorBrand", data[:4], "box ftyp")
    brands = [clean(data[i : i + 4], 8) for i in range(8, min(len(data), 136) - 3, 4)]
    notes.fact("compatible_brands", brands)


def _time(seconds: int) -> str:
    """ISO time, or nothing where the writer left it open (0, or the start of 1970)."""
    if seconds == 0:
        return ""
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return ""
    return "" if moment.year <= 1970 else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _header_times(data: bytes) -> tuple[int, int, int, int]:
    """(creation, modification, time scale, duration) of an mvhd or mdhd box, either version."""
    wide = data[:1] == b"\x01"
    step = 8 if wide else 4
    created = int.from_bytes(data[4 : 4 + step], "big")
    modified = int.from_bytes(data[4 + step : 4 + 2 * step], "big")
    scale = int.from_bytes(data[4 + 2 * step : 8 + 2 * step], "big")
    raw = data[8 + 2 * step : 8 + 3 * step]
    unknown = raw == b"\xff" * step
    return created, modified, scale, -1 if unknown else int.from_bytes(raw, "big")


def _movie_header(data: bytes, notes: Notes, movie: _Movie) -> None:
    created, modified, scale, duration = _header_times(data)
    notes.tag("CreateDate", _time(created), "box mvhd")
    notes.tag("ModifyDate", _time(modified), "box mvhd")
    movie.scale = scale
    if scale and duration >= 0:
        movie.duration = duration / scale
        notes.fact("duration", round(movie.duration, 3))
    notes.fact("mvhd", True)
    if created and modified and 0 < modified < created - 1:
        notes.contradiction(
            "time.modified_before_created", "The film was changed before it was created, its header says.", "box mvhd"
        )


def _track_header(data: bytes, notes: Notes, movie: _Movie) -> None:  # noqa: ARG001
    wide = data[:1] == b"\x01"
    start = 52 if wide else 40
    matrix = [int.from_bytes(data[i : i + 4], "big", signed=True) for i in range(start, start + 36, 4)]
    turns = {(0, 1): 90, (-1, 0): 180, (0, -1): 270}
    if len(data) >= start + 36:
        movie.track.rotation = turns.get((matrix[0] >> 16, matrix[1] >> 16), 0)
    at = 28 if wide else 20
    raw = data[at : at + (8 if wide else 4)]
    if movie.scale and raw.strip(b"\xff"):
        movie.track.duration = int.from_bytes(raw, "big") / movie.scale


def _media_header(data: bytes, notes: Notes, movie: _Movie) -> None:  # noqa: ARG001
    created, modified, scale, duration = _header_times(data)
    track = movie.track
    track.created, track.modified, track.scale = _time(created), _time(modified), scale
    if scale and duration >= 0:
        track.media_duration = duration / scale


def _handler(data: bytes, notes: Notes, movie: _Movie) -> None:
    kind = decode(data[8:12])
    if kind in ("vide", "soun", "tmcd", "meta", "text", "sbtl", "hint") and movie.tracks and not movie.track.kind:
        movie.track.kind = kind
        name = data[24:].split(b"\x00")[0]
        if name and name[0] == len(name) - 1:
            name = name[1:]  # a Pascal string (QuickTime)
        movie.track.handler = clean(name, 60)
        notes.tag("HandlerName", name, f"track {len(movie.tracks)}, box hdlr")


def _sample_description(data: bytes, notes: Notes, movie: _Movie) -> None:
    track = movie.track
    track.codec = clean(data[12:16], 8)
    if track.kind == "vide" and len(data) >= 8 + 86:
        size = data[58]
        notes.tag("CompressorName", data[59 : 59 + min(size, 31)], f"track {len(movie.tracks)}, box stsd")


def _sample_times(data: bytes, notes: Notes, movie: _Movie) -> None:  # noqa: ARG001
    count = min(int.from_bytes(data[4:8], "big"), (len(data) - 8) // 8)
    deltas = [data[12 + 8 * i : 16 + 8 * i] for i in range(count)]
    movie.track.deltas = len(set(deltas[:-1] if count > 1 else deltas))


def _edit_list(data: bytes, notes: Notes, movie: _Movie) -> None:  # noqa: ARG001
    wide = data[:1] == b"\x01"
    step, size = (8, 20) if wide else (4, 12)
    count = min(int.from_bytes(data[4:8], "big"), 200, (len(data) - 8) // size)
    for i in range(count):
        at = 8 + size * i
        length = int.from_bytes(data[at : at + step], "big")
        start = int.from_bytes(data[at + step : at + 2 * step], "big", signed=True)
        movie.track.edit_raw.append((length, start))


def _keys(data: bytes, notes: Notes, movie: _Movie) -> None:  # noqa: ARG001
    offset = 8
    while offset + 8 <= len(data) and len(movie.keys) < 200:
        size = max(8, int.from_bytes(data[offset : offset + 4], "big"))
        movie.keys.append(clean(data[offset + 8 : offset + size], 100))
        offset += size


_LEAVES: dict[str, Callable[[bytes, Notes, _Movie], None]] = {
    "ftyp": _brands,
    "mvhd": _movie_header,
    "tkhd": _track_header,
    "mdhd": _media_header,
    "hdlr": _handler,
    "stsd": _sample_description,
    "stts": _sample_times,
    "elst": _edit_list,
    "keys": _keys,
}


def _item(source: Source, notes: Notes, movie: _Movie, name: str, body: int, end: int) -> None:
    """One entry of an iTunes list or of QuickTime metadata: its ``data`` box, and its name."""
    data = source.at(body, min(end - body, _BIG))
    index = int.from_bytes(name.encode("latin-1"), "big")
    title = movie.keys[index - 1] if 0 < index <= len(movie.keys) else _ITUNES.get(name, clean(name, 8))
    if name == "----":
        found = re.search(rb"name\x00{4}([ -~]{1,80}?)(?:\x00|$)", data)
        title = clean(found.group(1), 80) if found else title
    at = data.find(b"data")
    if at < 4:
        return
    kind = int.from_bytes(data[at + 4 : at + 8], "big") & 0xFFFFFF
    size = int.from_bytes(data[at - 4 : at], "big")
    value = data[at + 12 : max(at + 12, at - 4 + size)]
    if kind in (1, 0, 2):
        text = decode_utf16(value) if kind == 2 else decode(value)
        notes.tag(title, text if kind or text.isprintable() else f"{len(value)} bytes", "metadata list (ilst)")


_ITUNES = {
    "©too": "Encoder",
    "©nam": "Title",
    "©ART": "Artist",
    "©cmt": "Comment",
    "©day": "Date",
    "©swr": "Software",
    "©mak": "Make",
    "©mod": "Model",
    "desc": "Description",
    "cprt": "Copyright",
}


def _user(source: Source, notes: Notes, name: str, body: int, end: int) -> None:
    data = source.at(body, min(end - body, 64 * 1024))
    # QuickTime text: length, language, text; 3GPP text: version and flags, language, text.
    length = int.from_bytes(data[:2], "big")
    text = data[4 : 4 + length] if name.startswith("©") and 0 < length <= len(data) - 4 else data.lstrip(b"\x00")
    notes.tag(_ITUNES.get(name, name), text, f"user data ({clean(name, 8)})")


def _uuid(source: Source, notes: Notes, body: int, end: int) -> None:
    kind = source.at(body, 16)
    if kind == XMP_UUID:
        notes.blobs.setdefault("xmp", source.at(body + 16, min(end - body - 16, 1 << 20)))
    elif kind == C2PA_UUID:
        notes.fact("c2pa_or_jumbf", True)
    else:
        notes.facts.setdefault("uuid_box", kind.hex())


def _finish(notes: Notes, movie: _Movie) -> None:
    """Tracks as facts, and what contradicts between them."""
    shown = []
    for track in movie.tracks[:16]:
        if not track.kind:
            continue
        track.edits = [
            (raw / movie.scale if movie.scale else 0.0, start / track.scale if track.scale and start >= 0 else -1.0)
            for raw, start in track.edit_raw
        ]
        entry: dict[str, object] = {
            "kind": track.kind,
            "codec": track.codec,
            "handler": track.handler,
            "created": track.created,
        }
        entry |= {"duration": None if track.media_duration is None else round(track.media_duration, 3)}
        if track.rotation:
            entry["rotation"] = track.rotation
        if track.deltas > 1:
            entry["variable_rate"] = track.deltas
        if track.edits:
            entry["edits"] = [[round(a, 3), round(b, 3)] for a, b in track.edits[:20]]
        shown.append(entry)
    if shown:
        notes.fact("tracks", shown)
    notes.fact("time_code_track", any(t.kind == "tmcd" for t in movie.tracks))
    if movie.duration is not None:
        notes.fact("movie_duration", round(movie.duration, 3))
