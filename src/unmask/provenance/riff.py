"""RIFF (WAV, AVI, WebP; Microsoft/IBM 1991), RF64 (EBU Tech 3306), bext (EBU Tech 3285) and AIFF."""

from __future__ import annotations

from typing import Literal

from unmask.media.limits import MAX_BOX_DEPTH, MAX_BOXES
from unmask.provenance.jpeg import note_trailing
from unmask.provenance.plain import decode
from unmask.provenance.source import Notes, Source

_INFO = {
    "IART": "Artist",
    "ICMT": "Comment",
    "ICOP": "Copyright",
    "ICRD": "CreationDate",
    "IENG": "Engineer",
    "IGNR": "Genre",
    "INAM": "Title",
    "IPRD": "Product",
    "ISFT": "Software",
    "ISRC": "Source",
    "ITCH": "Technician",
    "IDIT": "DateTimeOriginal",
    "ISMP": "TimeCode",
}
_STREAMING = (0, 0xFFFFFFFF)
_BIG = 256 * 1024


def read_riff(source: Source, notes: Notes) -> None:
    """All chunks, depth and count bounded; header sizes are compared with the file."""
    head = source.at(0, 12)
    big = head[:4] in (b"RIFX", b"FORM")
    order: Literal["big", "little"] = "big" if big else "little"
    declared = int.from_bytes(head[4:8], order)
    notes.fact("form", decode(head[8:12]))
    end = 8 + declared + declared % 2
    if head[:4] in (b"RF64", b"BW64") or declared in _STREAMING:
        end = source.size
        notes.fact("size_left_open", True)
    elif declared + 8 > source.size:
        notes.contradiction(
            "size.short",
            f"The header promises {declared + 8} bytes, the file has {source.size}: its end is missing.",
            "RIFF header",
        )
    _walk(source, notes, min(end, source.size), order)
    # A second RIFF chunk is how AVI (OpenDML) grows beyond 1 GB.
    if end < source.size and source.at(end, 4) != b"RIFF":
        note_trailing(source, notes, end)
    _check_format(notes)


def _walk(source: Source, notes: Notes, end: int, order: Literal["big", "little"]) -> None:
    stack: list[tuple[int, int, str]] = [(12, end, "")]
    names: list[str] = []
    count = 0
    while stack:
        offset, stop, parent = stack.pop()
        if offset + 8 > stop:
            continue
        count += 1
        if count > MAX_BOXES:
            notes.problem("container.too_many", f"More than {MAX_BOXES} chunks: the rest was not read.")
            break
        head = source.at(offset, 12)
        name, size = decode(head[:4]), int.from_bytes(head[4:8], order)
        following = offset + 8 + size + size % 2
        stack.append((following, stop, parent))
        if len(names) < 60 and (not names or names[-1] != name):
            names.append(name)
        if name in ("LIST", "RIFF", "FORM"):
            kind = decode(head[8:12])
            if len(stack) >= MAX_BOX_DEPTH:
                notes.problem(
                    "container.too_deep", f"Lists are nested more than {MAX_BOX_DEPTH} deep: the rest was not read."
                )
            elif kind != "movi":
                stack.append((offset + 12, min(following, stop), kind))
        else:
            _chunk(source, notes, name, parent, offset + 8, size, order)
    notes.fact("chunks", names)


def _chunk(
    source: Source, notes: Notes, name: str, parent: str, offset: int, size: int, order: Literal["big", "little"]
) -> None:
    if parent == "INFO" and name in _INFO:
        notes.tag(_INFO[name], source.at(offset, min(size, _BIG)), f"RIFF INFO {name}")
    elif parent == "INFO" or name in ("AIGC", "NAME", "AUTH", "ANNO", "(c) "):
        notes.tag(name, source.at(offset, min(size, _BIG)), f"RIFF {name}")
    elif name == "data" and parent == "":
        _samples(source, notes, offset, size)
    elif name in _BLOBS:
        body = source.at(offset, min(size, 1 << 20))
        body = body[6:] if name == "EXIF" and body.startswith(b"Exif\x00\x00") else body
        notes.blobs.setdefault(_BLOBS[name], body)
    elif name in _READERS:
        _READERS[name](source.at(offset, min(size, _BIG)), notes, order)
    elif name == "C2PA":
        notes.fact("c2pa_or_jumbf", True)


_BLOBS = {"EXIF": "exif", "XMP ": "xmp", "_PMX": "xmp", "ICCP": "icc", "id3 ": "id3", "ID3 ": "id3", "iXML": "ixml"}


def _samples(source: Source, notes: Notes, offset: int, size: int) -> None:
    notes.fact("data_chunks", int(str(notes.facts.get("data_chunks", 0))) + 1)
    if size in _STREAMING or size == 0xFFFFFFFF:
        notes.fact("size_left_open", True)
        size = source.size - offset
    notes.facts.setdefault("data_bytes", min(size, source.size - offset))
    if notes.facts.get("data_chunks") == 2:
        notes.contradiction(
            "data.twice", "The file holds two blocks of samples: two recordings were joined.", "WAV data"
        )


def _format(body: bytes, notes: Notes, order: Literal["big", "little"]) -> None:
    fields = [int.from_bytes(body[a:b], order) for a, b in ((0, 2), (2, 4), (4, 8), (8, 12), (12, 14), (14, 16))]
    code, channels, rate, byte_rate, align, bits = fields
    names = {1: "PCM", 2: "ADPCM", 3: "float", 6: "A-law", 7: "mu-law", 17: "IMA ADPCM", 0x55: "MP3", 0xFFFE: "PCM"}
    notes.fact("codec", names.get(code, f"0x{code:04x}"))
    notes.fact("channels", channels)
    notes.fact("sample_rate", rate)
    notes.fact("bits", bits)
    if code in (1, 3, 0xFFFE) and (align != channels * ((bits + 7) // 8) or byte_rate != rate * align):
        notes.contradiction("format.fields", "The fields of the format header do not fit each other.", "WAV fmt")
    notes.fact("byte_rate", byte_rate)


def _broadcast(body: bytes, notes: Notes, order: Literal["big", "little"]) -> None:  # noqa: ARG001
    notes.tag("Description", body[:256].partition(b"\x00")[0], "WAV bext")
    notes.tag("Originator", body[256:288].partition(b"\x00")[0], "WAV bext")
    notes.tag("OriginatorReference", body[288:320].partition(b"\x00")[0], "WAV bext")
    stamp = decode(body[320:330]).strip("\x00 ") + " " + decode(body[330:338]).strip("\x00 ")
    notes.tag("OriginationDate", stamp.strip(), "WAV bext")
    notes.tag("CodingHistory", body[602:].partition(b"\x00")[0], "WAV bext")


def _avi_header(body: bytes, notes: Notes, order: Literal["big", "little"]) -> None:
    if len(body) >= 40:
        notes.fact("frames", int.from_bytes(body[16:20], order))
        notes.fact("width", int.from_bytes(body[32:36], order))
        notes.fact("height", int.from_bytes(body[36:40], order))


def _avi_stream(body: bytes, notes: Notes, order: Literal["big", "little"]) -> None:
    codecs = notes.facts.setdefault("codecs", [])
    if isinstance(codecs, list) and len(codecs) < 16:
        codecs.append(f"{decode(body[:4])} {decode(body[4:8])}".strip())
    scale, rate = int.from_bytes(body[20:24], order), int.from_bytes(body[24:28], order)
    if body[:4] == b"vids" and scale:
        notes.fact("frame_rate", round(rate / scale, 3))


def _webp_header(body: bytes, notes: Notes, order: Literal["big", "little"]) -> None:
    if len(body) >= 10:
        notes.fact("width", 1 + int.from_bytes(body[4:7], order))
        notes.fact("height", 1 + int.from_bytes(body[7:10], order))
        notes.fact("animated", bool(body[0] & 2))


def _junk(body: bytes, notes: Notes, order: Literal["big", "little"]) -> None:  # noqa: ARG001
    text = body[:80].partition(b"\x00")[0]
    if len(text) > 3 and text.isascii() and text.decode("ascii").isprintable():
        notes.tag("JUNK", text, "RIFF JUNK")


_READERS = {
    "fmt ": _format,
    "bext": _broadcast,
    "avih": _avi_header,
    "strh": _avi_stream,
    "VP8X": _webp_header,
    "JUNK": _junk,
}


def _check_format(notes: Notes) -> None:
    bytes_, rate = notes.facts.get("data_bytes"), notes.facts.get("byte_rate")
    if isinstance(bytes_, int) and isinstance(rate, int) and rate > 0:
        notes.fact("duration", round(bytes_ / rate, 3))
