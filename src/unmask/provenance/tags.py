"""Sound tags: ID3 (id3.org), APEv2, MPEG frame heads, Vorbis comments in Ogg (RFC 3533, 7845) and FLAC (RFC 9639)."""

from __future__ import annotations

import re
import zlib

from unmask.media.limits import MAX_BOXES
from unmask.provenance.plain import decode, decode_utf16
from unmask.provenance.source import Notes, Source

_FRAMES = {
    "TSSE": "EncoderSettings",
    "TSS": "EncoderSettings",
    "TENC": "EncodedBy",
    "TEN": "EncodedBy",
    "TIT2": "Title",
    "TT2": "Title",
    "TPE1": "Artist",
    "TP1": "Artist",
    "TALB": "Album",
    "TDRC": "Date",
    "TYER": "Date",
    "TDEN": "EncodingTime",
    "TDTG": "TaggingTime",
    "COMM": "Comment",
    "COM": "Comment",
    "TXXX": "",
    "TXX": "",
    "TCOP": "Copyright",
    "TPUB": "Publisher",
    "WXXX": "URL",
}
_MAX_TAG = 4 << 20
_MAX_FRAME = 256 * 1024


def read_mp3(source: Source, notes: Notes) -> None:
    """ID3v2 at the start, ID3v1 and APEv2 at the end, the first frame's header and the encoder's name in it."""
    offset = 0
    head = source.at(0, 10)
    if head[:3] == b"ID3" and len(head) == 10:
        size = syncsafe(head[6:10])
        if 10 + size > source.size:
            notes.contradiction(
                "size.short", "The ID3 tag is longer than the file: the sound is missing.", "ID3 header"
            )
        read_id3(head + source.at(10, min(size, _MAX_TAG)), notes)
        offset = 10 + size
    _first_frame(source, notes, offset)
    end = source.at(source.size - 128, 128)
    if end[:3] == b"TAG":
        notes.tag("Title", end[3:33].partition(b"\x00")[0], "ID3v1")
        notes.tag("Comment", end[97:127].partition(b"\x00")[0], "ID3v1")
    _ape(source, notes, source.size - (128 if end[:3] == b"TAG" else 0))


def syncsafe(data: bytes) -> int:
    """A number of seven bits a byte."""
    value = 0
    for byte in data:
        value = value << 7 | byte & 0x7F
    return value


def read_id3(data: bytes, notes: Notes) -> None:
    """The text frames of an ID3v2.2, 2.3 or 2.4 tag."""
    if data[:3] != b"ID3" or len(data) < 10:
        return
    version, flags = data[3], data[5]
    body = data[10 : 10 + syncsafe(data[6:10])]
    if flags & 0x80 and version < 4:
        body = body.replace(b"\xff\x00", b"\xff")
    offset = 0
    if flags & 0x40 and version >= 3:
        offset = (syncsafe(body[:4]) if version == 4 else 4 + int.from_bytes(body[:4], "big")) or len(body)
    short = version == 2
    for _ in range(MAX_BOXES):
        head = body[offset : offset + (6 if short else 10)]
        if len(head) < (6 if short else 10) or not head[0]:
            return
        name = head[: 3 if short else 4].decode("latin-1")
        if not name.isalnum():
            notes.problem("id3.damaged", "The ID3 tag is damaged: the rest of it was not read.")
            return
        size = int.from_bytes(head[3:6], "big") if short else _size(head[4:8], version)
        start = offset + len(head)
        frame = body[start : start + min(size, _MAX_FRAME)]
        _frame(name, _unpacked(frame, 0 if short else head[9], version, notes), notes)
        offset = start + size


def _size(raw: bytes, version: int) -> int:
    return syncsafe(raw) if version >= 4 else int.from_bytes(raw, "big")


def _unpacked(frame: bytes, flags: int, version: int, notes: Notes) -> bytes:
    """A frame's bytes without compression and grouping."""
    if version == 3 and flags & 0x80:
        if len(frame) < 4:
            notes.problem("id3.damaged", "A compressed ID3 frame is too short to hold its own length.")
            return b""
        frame = frame[4:]
    elif version == 4 and flags & 0x08:
        frame = frame[4:] if flags & 0x01 else frame
    elif version == 4 and flags & 0x01:
        return frame[4:]
    else:
        return frame
    try:
        return zlib.decompressobj().decompress(frame, _MAX_FRAME)
    except zlib.error:
        notes.problem("id3.damaged", "A compressed ID3 frame cannot be unpacked.")
        return b""


def _frame(name: str, data: bytes, notes: Notes) -> None:
    source = f"ID3 {name}"
    if name == "PRIV":
        notes.tag("Private", data.partition(b"\x00")[0], source)
    elif name == "GEOB" and b"c2pa" in data[:200].lower():
        notes.fact("c2pa_or_jumbf", True)
    elif (name in _FRAMES or name.startswith("T")) and data:
        text = _text(data[0], data[1:])
        if name in ("COMM", "COM") and len(data) > 4:
            text = _text(data[0], data[4:])
        key, separator, value = text.partition("\x00")
        if name in ("TXXX", "TXX", "WXXX"):
            notes.tag(key or _FRAMES.get(name, name), value, source)
        else:
            notes.tag(_FRAMES.get(name, name), value if separator and name in ("COMM", "COM") else key, source)


def _text(encoding: int, data: bytes) -> str:
    if encoding in (1, 2):
        return "\x00".join(decode_utf16(part) for part in _split_utf16(data))
    return data.decode("utf-8" if encoding == 3 else "latin-1", "replace").rstrip("\x00")


def _split_utf16(data: bytes) -> list[bytes]:
    at = next((i for i in range(0, len(data) - 1, 2) if data[i : i + 2] == b"\x00\x00"), -1)
    return [data] if at < 0 else [data[:at], data[at + 2 :]]


_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_SYNC = re.compile(rb"\xff[\xe2-\xff][\x00-\xef]", re.DOTALL)
_LAME = re.compile(rb"LAME[0-9.a-z ]{2,6}|Lavc[0-9.]{2,12}|Lavf[0-9.]{2,12}|GOGO[0-9.]*|Xing|Info|VBRI")


def _first_frame(source: Source, notes: Notes, offset: int) -> None:
    at = source.find(_SYNC, offset, 1 << 20)
    if at < 0:
        notes.problem("mp3.no_sound", "No MPEG sound frame was found: the file holds tags, but no sound.")
        return
    frame = source.at(at, 1024)
    version, rate = frame[1] >> 3 & 3, frame[2] >> 2 & 3
    if version in _RATES and rate < 3:
        notes.fact("sample_rate", _RATES[version][rate])
        notes.fact("channels", 1 if len(frame) > 3 and frame[3] >> 6 == 3 else 2)
    found = dict.fromkeys(m.group().decode("latin-1").strip() for m in _LAME.finditer(frame))
    encoders = [name for name in found if name not in ("Xing", "Info", "VBRI")]
    if encoders:
        notes.tag("Encoder", encoders[0], "first sound frame (LAME tag)")
    notes.fact(
        "rate_kind", "constant" if "Info" in found else "variable" if {"Xing", "VBRI"} & set(found) else "not stated"
    )


def _ape(source: Source, notes: Notes, end: int) -> None:
    footer = source.at(end - 32, 32)
    if footer[:8] != b"APETAGEX":
        return
    size = int.from_bytes(footer[12:16], "little")
    data = source.at(end - min(size, end), min(size, _MAX_TAG))
    offset = 0
    for _ in range(min(int.from_bytes(footer[16:20], "little"), 200)):
        length = int.from_bytes(data[offset : offset + 4], "little")
        key, _, rest = data[offset + 8 :].partition(b"\x00")
        if len(key) > 255:
            return
        notes.tag(decode(key), rest[: min(length, _MAX_FRAME)], "APE tag")
        offset += 8 + len(key) + 1 + length


def read_flac(source: Source, notes: Notes) -> None:
    """FLAC metadata blocks (after an ID3 tag, where one precedes)."""
    offset = 4
    for _ in range(MAX_BOXES):
        head = source.at(offset, 4)
        if len(head) < 4:
            notes.problem("flac.cut", "The FLAC file ends inside its header.")
            return
        kind, size = head[0] & 0x7F, int.from_bytes(head[1:4], "big")
        if kind == 0:
            _stream_info(source.at(offset + 4, size), notes)
        elif kind == 4:
            vorbis_comments(source.at(offset + 4, size), notes, "FLAC")
        elif kind == 2:
            notes.tag("Application", source.at(offset + 4, 4), "FLAC APPLICATION")
        elif kind == 6:
            notes.fact("cover_picture", True)
        offset += 4 + size
        if head[0] & 0x80:
            return


def _stream_info(data: bytes, notes: Notes) -> None:
    if len(data) < 34:
        return
    packed = int.from_bytes(data[10:18], "big")
    rate, samples = packed >> 44, packed & (1 << 36) - 1
    notes.fact("sample_rate", rate)
    notes.fact("channels", (packed >> 41 & 7) + 1)
    notes.fact("bits", (packed >> 36 & 31) + 1)
    if rate and samples:
        notes.fact("duration", round(samples / rate, 3))
    notes.fact("checksum_present", any(data[18:34]))


def vorbis_comments(data: bytes, notes: Notes, source: str) -> None:
    """A Vorbis comment block: the vendor (the encoder's name) and ``NAME=value`` lists."""
    length = int.from_bytes(data[:4], "little")
    notes.tag("Encoder", data[4 : 4 + min(length, 1000)], f"{source} vendor string")
    offset = 4 + length
    count = int.from_bytes(data[offset : offset + 4], "little")
    offset += 4
    for _ in range(min(count, MAX_BOXES)):
        size = int.from_bytes(data[offset : offset + 4], "little")
        if offset + 4 + size > len(data):
            return
        name, _, value = decode(data[offset + 4 : offset + 4 + min(size, _MAX_FRAME)]).partition("=")
        if name.upper() != "METADATA_BLOCK_PICTURE":
            notes.tag(name, value, f"{source} comment")
        offset += 4 + size


def read_ogg(source: Source, notes: Notes) -> None:
    """Ogg pages: heads and comments of each stream, chained streams, missing pages."""
    offset, began, chained = 0, False, False
    following: dict[bytes, int] = {}
    packets: dict[bytes, bytes] = {}
    for _ in range(MAX_BOXES):
        head = source.at(offset, 27)
        if head[:4] != b"OggS" or len(head) < 27:
            break
        lacing = source.at(offset + 27, head[26])
        serial, number = head[14:18], int.from_bytes(head[18:22], "little")
        body, size = offset + 27 + len(lacing), sum(lacing)
        if head[5] & 2:
            chained = chained or began
            _ogg_head(source.at(body, min(size, 64)), notes)
        else:
            began = True
        if serial in following and number != following[serial]:
            notes.contradiction(
                "ogg.pages", "Pages of the Ogg stream are missing: a part was cut out or lost.", "Ogg pages"
            )
        following[serial] = number + 1
        if number in (1, 2) and len(packets.get(serial, b"")) < _MAX_FRAME:
            packets[serial] = packets.get(serial, b"") + source.at(body, min(size, _MAX_FRAME))
        offset = body + size
    for packet in list(packets.values())[:8]:
        _ogg_comment(packet, notes)
    notes.fact("streams", len(following))
    if chained:
        notes.contradiction(
            "ogg.chained", "The file is several recordings put one after the other.", "Ogg stream starts"
        )


def _ogg_head(body: bytes, notes: Notes) -> None:
    codec = next((n for m, n in _OGG_HEADS if body.startswith(m)), "unknown")
    codecs = notes.facts.setdefault("codecs", [])
    if isinstance(codecs, list) and len(codecs) < 16:
        codecs.append(codec)
    if codec == "opus" and len(body) >= 16:
        notes.fact("channels", body[9])
        notes.fact("input_sample_rate", int.from_bytes(body[12:16], "little"))
    elif codec == "vorbis" and len(body) >= 16:
        notes.fact("channels", body[11])
        notes.fact("sample_rate", int.from_bytes(body[12:16], "little"))


_OGG_HEADS = (
    (b"OpusHead", "opus"),
    (b"\x01vorbis", "vorbis"),
    (b"\x7fFLAC", "flac"),
    (b"\x80theora", "theora"),
    (b"Speex", "speex"),
)


def _ogg_comment(packet: bytes, notes: Notes) -> None:
    for magic in (b"OpusTags", b"\x03vorbis", b"\x81theora"):
        if packet.startswith(magic):
            vorbis_comments(packet[len(magic) :], notes, "Ogg")
