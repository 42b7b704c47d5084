"""JPEG segments (ISO/IEC 10918-1) and what follows the end marker. Coefficients are another reader's."""

from __future__ import annotations

import re

from unmask.media.limits import MAX_BOXES
from unmask.provenance.iptc import read_photoshop
from unmask.provenance.plain import clean
from unmask.provenance.source import Notes, Source

_XMP = b"http://ns.adobe.com/xap/1.0/\x00"
_XMP_MORE = b"http://ns.adobe.com/xmp/extension/\x00"
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]", re.DOTALL)
_EOI = 0xD9
_SOS = 0xDA
_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


def read_jpeg(source: Source, notes: Notes) -> None:
    """Segments, embedded blocks (``exif``, ``xmp``, ``icc`` blobs) and trailing data."""
    order: list[str] = []
    offset, icc = 2, bytearray()
    for _ in range(MAX_BOXES):
        head = source.at(offset, 4)
        if len(head) < 2 or head[0] != 0xFF:
            notes.problem(
                "jpeg.broken_segments", "The JPEG segments end in the middle: the file is cut off or damaged."
            )
            break
        marker = head[1]
        if marker == 0xFF:
            offset += 1
            continue
        if marker == _EOI:
            _trailing(source, notes, offset + 2)
            break
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            offset += 2
            continue
        if len(head) < 4:
            notes.problem(
                "jpeg.broken_segments", "The JPEG segments end in the middle: the file is cut off or damaged."
            )
            break
        length = max(2, int.from_bytes(head[2:4], "big"))
        body = source.at(offset + 4, length - 2)
        name = _segment(marker, body, notes, icc)
        if len(order) < 60:
            order.append(name)
        offset += 2 + length
        if marker == _SOS:
            offset = source.find(_MARKER, offset)
            if offset < 0:
                notes.problem("jpeg.no_end", "The JPEG has no end marker: the end of the file is missing.")
                break
    if icc:
        notes.blobs["icc"] = bytes(icc)
    notes.fact("segments", order)


def _segment(marker: int, body: bytes, notes: Notes, icc: bytearray) -> str:
    if marker in _SIZES and len(body) >= 6:
        notes.facts.setdefault("width", int.from_bytes(body[3:5], "big"))
        notes.facts.setdefault("height", int.from_bytes(body[1:3], "big"))
        notes.facts.setdefault("progressive", marker == 0xC2)
        return f"SOF{marker - 0xC0}"
    if 0xE0 <= marker <= 0xEF:
        return _application(marker - 0xE0, body, notes, icc)
    if marker == 0xFE:
        notes.tag("Comment", body, "JPEG comment")
        return "COM"
    return {0xDB: "DQT", 0xC4: "DHT", 0xDA: "SOS", 0xDD: "DRI"}.get(marker, f"{marker:02X}")


def _application(number: int, body: bytes, notes: Notes, icc: bytearray) -> str:
    kind = clean(body[:20].split(b"\x00", 1)[0], 20)
    if number == 0 and body.startswith(b"JFIF"):
        notes.fact("jfif", True)
    elif number == 1 and body.startswith(b"Exif\x00\x00"):
        notes.blobs.setdefault("exif", body[6:])
    elif number == 1 and body.startswith(_XMP):
        notes.blobs.setdefault("xmp", body[len(_XMP) :])
        kind = "XMP"
    elif number == 1 and body.startswith(_XMP_MORE):
        # 32 bytes of digest, 4 of length, 4 of offset, then a part of the second packet.
        notes.blobs["xmp_more"] = notes.blobs.get("xmp_more", b"") + body[len(_XMP_MORE) + 40 :]
        kind = "XMP extension"
    elif number == 2 and body.startswith(b"ICC_PROFILE\x00"):
        icc.extend(body[14:])
    elif number == 2 and body.startswith(b"MPF\x00"):
        notes.fact("multi_picture", True)
    elif number == 11 and body.startswith(b"JP"):
        notes.fact("c2pa_or_jumbf", True)
        kind = "JUMBF"
    elif number == 12 and body.startswith(b"Ducky") and len(body) >= 15:
        notes.tag("Save for Web quality", body[14], "JPEG APP12 Ducky (Adobe Photoshop)")
    elif number == 13 and body.startswith(b"Photoshop 3.0\x00"):
        read_photoshop(body[14:], notes)
        kind = "Photoshop"
    elif number == 14 and body.startswith(b"Adobe"):
        notes.fact("adobe_marker", True)
    return f"APP{number} {kind}".strip()


_ENDINGS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"PK\x03\x04|PK\x05\x06"), "a ZIP archive"),
    (re.compile(rb"Rar!\x1a\x07"), "a RAR archive"),
    (re.compile(rb"7z\xbc\xaf\x27\x1c"), "a 7-Zip archive"),
    (re.compile(rb"%PDF-"), "a PDF document"),
    (re.compile(rb"....ftyp", re.DOTALL), "a short film (a motion photo)"),
    (re.compile(rb"SEFT|SEFH"), "a phone maker's trailer (Samsung)"),
    (re.compile(rb"\xff\xd8\xff"), "a second picture"),
    (re.compile(rb"\x89PNG\r\n"), "a second picture (PNG)"),
)
_HIDDEN = ("a ZIP archive", "a RAR archive", "a 7-Zip archive", "a PDF document")


def _trailing(source: Source, notes: Notes, end: int) -> None:
    note_trailing(source, notes, end, expected=bool(notes.facts.get("multi_picture")))


def note_trailing(source: Source, notes: Notes, end: int, expected: bool = False) -> None:
    """Say what follows the end of a picture or container at offset ``end``."""
    extra = source.size - end
    if extra <= 0:
        return
    head = source.at(end, min(extra, 65536))
    if not head.strip(b"\x00\xff\n\r ") and extra <= len(head):
        return  # padding
    kinds = [name for pattern, name in _ENDINGS if source.find(pattern, end, 64 << 20) >= 0]
    notes.fact("trailing_bytes", extra)
    notes.fact("trailing_kinds", kinds)
    hidden = [k for k in kinds if k in _HIDDEN]
    if hidden and head[:4] in (b"PK\x03\x04", b"Rar!", b"7z\xbc\xaf", b"%PDF"):
        notes.contradiction(
            "polyglot",
            f"{hidden[0][0].upper()}{hidden[0][1:]} is appended after the end of the media.",
            "file structure",
        )
    elif not kinds and not expected:
        notes.fact("trailing_note", "unknown data after the end of the media")
