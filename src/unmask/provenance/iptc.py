"""Photoshop image resources and the IPTC-IIM record within (IPTC-NAA Information Interchange Model 4.2)."""

from __future__ import annotations

from unmask.media.limits import MAX_BOXES
from unmask.provenance.source import Notes

_NAMES = {
    5: "Title",
    25: "Keyword",
    40: "Instructions",
    55: "DateCreated",
    60: "TimeCreated",
    62: "DigitalCreationDate",
    65: "OriginatingProgram",
    70: "ProgramVersion",
    80: "By-line",
    85: "By-lineTitle",
    90: "City",
    101: "Country",
    103: "TransmissionReference",
    105: "Headline",
    110: "Credit",
    115: "Source",
    116: "CopyrightNotice",
    120: "Caption",
    122: "CaptionWriter",
}


def read_photoshop(data: bytes, notes: Notes) -> None:
    """The 8BIM resources of a JPEG APP13 segment or a TIFF tag: IPTC and whether Photoshop left its own."""
    offset = 0
    for _ in range(MAX_BOXES):
        if data[offset : offset + 4] != b"8BIM" or len(data) < offset + 12:
            return
        number = int.from_bytes(data[offset + 4 : offset + 6], "big")
        name = data[offset + 6]
        start = offset + 6 + 1 + name + (name + 1) % 2
        size = int.from_bytes(data[start : start + 4], "big")
        body = data[start + 4 : start + 4 + size]
        if number == 0x0404:
            read_iptc(body, notes)
        elif number == 0x0406:
            notes.fact("photoshop_quality", True)
        elif number == 0x0421:
            notes.fact("photoshop_version_info", True)
        offset = start + 4 + size + size % 2


def read_iptc(data: bytes, notes: Notes) -> None:
    """The data sets of an IPTC-IIM record."""
    offset = 0
    for _ in range(MAX_BOXES):
        if len(data) < offset + 5 or data[offset] != 0x1C:
            return
        record, number = data[offset + 1], data[offset + 2]
        size = int.from_bytes(data[offset + 3 : offset + 5], "big")
        if size & 0x8000:
            return  # extended lengths are for megabytes that no honest record has
        if record == 2 and number in _NAMES:
            notes.tag(_NAMES[number], data[offset + 5 : offset + 5 + size], f"IPTC 2:{number:03d}")
        offset += 5 + size
