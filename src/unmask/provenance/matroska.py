"""Matroska and WebM (RFC 9559, EBML RFC 8794): who muxed it, when, and its tags. Clusters are stepped over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from unmask.media.limits import MAX_BOX_DEPTH, MAX_BOXES
from unmask.provenance.plain import clean, decode
from unmask.provenance.source import Notes, Source

_EBML, _SEGMENT, _INFO, _TRACKS, _TAGS, _CLUSTER = (
    0x1A45DFA3,
    0x18538067,
    0x1549A966,
    0x1654AE6B,
    0x1254C367,
    0x1F43B675,
)
_MASTERS = {_EBML, _SEGMENT, _INFO, _TRACKS, _TAGS, 0xAE, 0xE0, 0xE1, 0x7373, 0x67C8, 0x1941A469, 0x61A7}
_EPOCH = datetime(2001, 1, 1, tzinfo=UTC)
_TEXT = {
    0x4282: "DocType",
    0x4D80: "MuxingApp",
    0x5741: "WritingApp",
    0x7BA9: "Title",
    0x86: "CodecID",
    0x536E: "TrackName",
    0x466E: "AttachedFile",
}
_BIG = 64 * 1024


def read_matroska(source: Source, notes: Notes) -> None:
    """Header, segment information, tracks and tags; element count and depth bounded."""
    stack: list[tuple[int, int, int]] = [(0, source.size, 0)]
    reader = _Leaves(source, notes)
    count = 0
    while stack:
        offset, stop, depth = stack.pop()
        if offset + 2 > stop:
            continue
        count += 1
        if count > MAX_BOXES:
            notes.problem("container.too_many", f"More than {MAX_BOXES} elements: the rest was not read.")
            break
        ident, body, end, open_end = _element(source, notes, offset, stop)
        if not ident:
            continue
        if ident == _CLUSTER:
            reader.clusters += 1
            if open_end:
                continue  # a live stream: nothing behind it can be found without decoding
        stack.append((end, stop, depth))
        if ident not in _MASTERS:
            reader.read(ident, body, end)
        elif depth < MAX_BOX_DEPTH:
            stack.append((body, end, depth + 1))
        else:
            notes.problem("container.too_deep", f"Elements are nested more than {MAX_BOX_DEPTH} deep.")
    notes.fact("clusters", reader.clusters)


def _element(source: Source, notes: Notes, offset: int, stop: int) -> tuple[int, int, int, bool]:
    """(identifier, start of the body, end, whether the size is left open); identifier 0 where unreadable."""
    head = source.at(offset, 12)
    ident, used = _number(head, keep=True)
    size, more = _number(head[used:], keep=False)
    if not used or not more:
        notes.problem("container.damaged", "An element of the Matroska file cannot be read: it is cut off or damaged.")
        return 0, stop, stop, False
    body = offset + used + more
    open_end = size == (1 << 7 * more) - 1
    if not open_end and body + size > source.size and ident in (_SEGMENT, _CLUSTER):
        notes.contradiction(
            "size.short", f"The header promises {body + size} bytes, the file has {source.size}.", "EBML sizes"
        )
    return ident, body, stop if open_end else min(body + size, stop), open_end


class _Leaves:
    """Reads the elements that hold values; remembers a tag's name until its value comes."""

    def __init__(self, source: Source, notes: Notes) -> None:
        self.source, self.notes = source, notes
        self.scale, self.clusters, self.name = 1_000_000, 0, ""

    def read(self, ident: int, body: int, end: int) -> None:
        """Note one value."""
        if ident in _TEXT:
            self.notes.tag(_TEXT[ident], self._bytes(body, end), "Matroska")
        elif ident == 0x45A3:
            self.name = clean(self._bytes(body, end), 80)
        elif ident == 0x4487:
            self.notes.tag(self.name or "Tag", decode(self._bytes(body, end)), "Matroska tag")
        elif ident == 0x2AD7B1:
            self.scale = int.from_bytes(self._bytes(body, end)[:8], "big")
        elif ident == 0x4489:
            _duration(self._bytes(body, end), self.scale, self.notes)
        elif ident == 0x4461:
            microseconds = int.from_bytes(self._bytes(body, end)[:8], "big", signed=True) // 1000
            moment = _EPOCH + timedelta(microseconds=microseconds)
            self.notes.tag("CreateDate", moment.strftime("%Y-%m-%dT%H:%M:%SZ"), "Matroska DateUTC")

    def _bytes(self, body: int, end: int) -> bytes:
        return self.source.at(body, min(end - body, _BIG))


def _duration(data: bytes, scale: int, notes: Notes) -> None:
    import struct

    if len(data) in (4, 8):
        (value,) = struct.unpack(">f" if len(data) == 4 else ">d", data)
        notes.fact("duration", round(value * scale / 1e9, 3) if abs(value) < 1e15 else None)


def _number(data: bytes, keep: bool) -> tuple[int, int]:
    """An EBML variable-length number: (value, bytes used); (0, 0) where there is none. ``keep`` the marker bit."""
    if not data or not data[0]:
        return 0, 0
    length = 9 - data[0].bit_length()
    if len(data) < length:
        return 0, 0
    value = int.from_bytes(data[:length], "big")
    return (value if keep else value & (1 << 7 * length) - 1), length
