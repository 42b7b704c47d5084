"""PNG chunks (ISO/IEC 15948) and GIF blocks (GIF89a)."""

from __future__ import annotations

import zlib

from unmask.media.limits import MAX_BOXES
from unmask.provenance.jpeg import note_trailing
from unmask.provenance.plain import decode
from unmask.provenance.source import Notes, Source

MAX_INFLATED = 1 << 20
_KEPT = (b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"iCCP", b"tIME", b"IHDR", b"caBX")


def read_png(source: Source, notes: Notes) -> None:
    """Chunks in order, text, ``exif``/``xmp``/``icc`` blobs and trailing data."""
    order: list[str] = []
    offset = 8
    for _ in range(MAX_BOXES):
        head = source.at(offset, 8)
        if len(head) < 8:
            notes.problem("png.no_end", "The PNG has no end chunk: the end of the file is missing.")
            break
        size, kind = int.from_bytes(head[:4], "big"), head[4:]
        name = decode(kind)
        if len(order) < 60 and (not order or order[-1] != name):
            order.append(name)
        if kind in _KEPT:
            _chunk(kind, source.at(offset + 8, size), notes)
        offset += 12 + size
        if kind == b"IEND":
            note_trailing(source, notes, offset)
            break
    notes.fact("chunks", order)


def _chunk(kind: bytes, body: bytes, notes: Notes) -> None:
    if kind == b"IHDR" and len(body) >= 13:
        notes.fact("width", int.from_bytes(body[:4], "big"))
        notes.fact("height", int.from_bytes(body[4:8], "big"))
        notes.fact("bit_depth", body[8])
    elif kind == b"eXIf":
        notes.blobs.setdefault("exif", body)
    elif kind == b"caBX":
        notes.fact("c2pa_or_jumbf", True)
    elif kind == b"tIME" and len(body) == 7:
        year = int.from_bytes(body[:2], "big")
        month, day, hour, minute, second = body[2:]
        notes.tag("tIME", f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}Z", "PNG tIME")
    elif kind == b"iCCP":
        notes.blobs.setdefault("icc", inflate(body.partition(b"\x00")[2][1:]))
    elif kind in (b"tEXt", b"zTXt", b"iTXt"):
        _text(kind, body, notes)


def _text(kind: bytes, body: bytes, notes: Notes) -> None:
    key, _, rest = body.partition(b"\x00")
    if kind == b"zTXt":
        text = decode(inflate(rest[1:]))
    elif kind == b"iTXt" and len(rest) >= 2:
        packed = rest[0] == 1
        parts = rest[2:].split(b"\x00", 2)
        raw = parts[2] if len(parts) == 3 else b""
        text = decode(inflate(raw) if packed else raw)
    else:
        text = rest.decode("latin-1")
        # Several generators write UTF-8 where the standard says Latin-1.
        text = decode(rest) if any(ord(c) > 127 for c in text) else text
    name = decode(key)
    if name == "XML:com.adobe.xmp":
        notes.blobs.setdefault("xmp", text.encode("utf-8", "replace"))
    elif name.lower().startswith("raw profile type "):
        _raw_profile(name[17:].lower(), text, notes)
    else:
        notes.tag(name, text, f"PNG {decode(kind)}")


def _raw_profile(kind: str, text: str, notes: Notes) -> None:
    """ImageMagick's hexadecimal profiles: a line with the name, a line with the length, then hex."""
    try:
        data = bytes.fromhex("".join(text.split("\n")[3:]).strip())
    except ValueError:
        notes.problem("png.broken_profile", "An embedded profile (ImageMagick) is not readable.")
        return
    notes.fact("imagemagick_profile", True)
    if kind in ("exif", "app1") and data.startswith(b"Exif\x00\x00"):
        notes.blobs.setdefault("exif", data[6:])
    elif kind == "xmp":
        notes.blobs.setdefault("xmp", data)


def inflate(data: bytes) -> bytes:
    """Deflated data, at most `MAX_INFLATED` bytes of it; what is damaged ends there."""
    try:
        return zlib.decompressobj().decompress(data, MAX_INFLATED)
    except zlib.error:
        return b""


def read_gif(source: Source, notes: Notes) -> None:
    """Comments, application blocks and the number of pictures (counted up to a limit)."""
    head = source.at(0, 13)
    if len(head) < 13:
        notes.problem("gif.broken", "The GIF ends in its header: the file is cut off.")
        return
    notes.fact("width", int.from_bytes(head[6:8], "little"))
    notes.fact("height", int.from_bytes(head[8:10], "little"))
    offset = 13 + (3 << (head[10] & 7) + 1 if head[10] & 0x80 else 0)
    pictures = 0
    for _ in range(MAX_BOXES):
        block = source.at(offset, 16)
        if block[:1] == b"\x3b":
            note_trailing(source, notes, offset + 1)
            break
        if block[:1] == b"\x2c" and len(block) >= 10:
            pictures += 1
            table = 3 << (block[9] & 7) + 1 if block[9] & 0x80 else 0
            offset = _skip(source, offset + 11 + table)
        elif block[:1] == b"\x21" and len(block) >= 2:
            offset = _extension(source, offset, block, notes)
        else:
            notes.problem("gif.broken", "The GIF has no end mark: the end of the file is missing or damaged.")
            break
    notes.fact("pictures", pictures)


def _extension(source: Source, offset: int, block: bytes, notes: Notes) -> int:
    if block[1] == 0xFE:
        size = block[2] if len(block) > 2 else 0
        notes.tag("Comment", source.at(offset + 3, size), "GIF comment")
    elif block[1] == 0xFF and block[3:14] == b"XMP DataXMP":
        packet = source.at(offset + 14, MAX_INFLATED)
        notes.blobs.setdefault("xmp", packet.partition(b"\x01\xff\xfe")[0])
    elif block[1] == 0xFF:
        notes.fact("application", decode(block[3:14]))
    return _skip(source, offset + 2)


def _skip(source: Source, offset: int) -> int:
    """Offset behind a chain of data sub-blocks."""
    for _ in range(MAX_BOXES * 16):
        size = source.at(offset, 1)
        if not size or size[0] == 0:
            return offset + 1
        offset += 1 + size[0]
    return source.size
