"""EXIF (CIPA DC-008), XMP (ISO 16684-1) and ICC (ISO 15076-1) blocks."""

from __future__ import annotations

import io
import logging
import warnings
from typing import BinaryIO
from xml.etree.ElementTree import Element

from unmask.media.limits import MAX_BOX_DEPTH, MAX_BOXES
from unmask.provenance.plain import clean, decode, decode_utf16
from unmask.provenance.source import Notes, TooMuch, Window

_NOT_SHOWN = ("Thumbnail JPEGInterchangeFormat", "EXIF MakerNote", "EXIF UserComment", "JPEGThumbnail", "TIFFThumbnail")
_MAX_XMP = 2 << 20
# exifread reads a maker note byte by byte, as many as its length claims; no honest block needs a quarter of this.
MAX_READS = 200_000
# How a maker note begins, and whose it is (as the makers write themselves in tag Make, lower case).
_MAKER_SIGNS: tuple[tuple[bytes, tuple[str, ...]], ...] = (
    (b"Nikon\x00", ("nikon",)),
    (b"Apple iOS\x00", ("apple",)),
    (b"OLYMP", ("olympus", "om digital", "seiko", "minolta")),
    (b"OM SYSTEM", ("om digital", "olympus")),
    (b"SONY ", ("sony",)),
    (b"FUJIFILM", ("fuji", "general imaging")),
    (b"Panasonic\x00", ("panasonic", "leica")),
    (b"PENTAX ", ("pentax", "ricoh")),
    (b"AOC\x00", ("pentax", "asahi", "samsung", "ricoh")),
    (b"SIGMA", ("sigma",)),
    (b"HUAWEI", ("huawei", "honor")),
)


def read_exif(tiff: bytes, notes: Notes) -> None:
    """All EXIF tags of a TIFF block, the user comment decoded."""
    read_tags(io.BytesIO(tiff), notes)
    _raw_tags(tiff, notes)


def read_tags(file: BinaryIO | Window, notes: Notes) -> None:
    """The tags of a TIFF structure in a file; what is damaged becomes a problem."""
    import exifread

    logging.getLogger("exifread").setLevel(logging.CRITICAL)
    try:
        try:
            tags = exifread.process_file(_Counted(file), details=True, extract_thumbnail=False)
        except TooMuch as error:
            notes.problem(error.code, error.text)
            # Without the maker note and the like, so that a swollen one does not hide the other tags.
            file.seek(0)
            tags = exifread.process_file(_Counted(file), details=False, extract_thumbnail=False)
    except TooMuch as error:
        notes.problem(error.code, error.text)
        return
    except Exception:  # the reader has no error of its own: hostile blocks raise anything
        notes.problem("exif.damaged", "The EXIF block is damaged and cannot be read.")
        return
    for name, tag in tags.items():
        if name not in _NOT_SHOWN and not name.startswith("MakerNote Tag 0x"):
            group, _, short = name.partition(" ")
            notes.tag(short or name, _printable(short, tag), f"EXIF {group}")


class _Counted:
    """A file that may be read `MAX_READS` times: a length that lies costs no more than that. Raises `TooMuch`."""

    def __init__(self, file: BinaryIO | Window) -> None:
        self._file, self._left = file, MAX_READS

    def seek(self, offset: int, whence: int = 0) -> int:
        """As a file's."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As a file's."""
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        """As a file's."""
        self._left -= 1
        if self._left < 0:
            raise TooMuch("exif.too_large", "The EXIF block is larger than any honest one: a part was not read.")
        return self._file.read(size)


def _printable(name: str, tag: object) -> str:
    values = getattr(tag, "values", None)
    if name.startswith("XP") or (isinstance(values, list) and len(values) > 64):
        try:
            return decode_utf16(bytes(values or [])) if name.startswith("XP") else f"{len(values or [])} values"
        except (ValueError, TypeError):
            return ""
    return str(getattr(tag, "printable", tag))


def _raw_tags(tiff: bytes, notes: Notes) -> None:
    """User comment and maker note as bytes, which exifread shortens."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of damage that is noted already
            exif = Image.Exif()
            exif.load(b"Exif\x00\x00" + tiff)
            sub = exif.get_ifd(0x8769)
            make = clean(exif.get(0x010F, ""), 60)
            comment, note = sub.get(0x9286), sub.get(0x927C)
            description = exif.get(0x010E)
    except Exception:
        return  # exifread has said already what it could read
    if isinstance(comment, bytes | str):
        notes.tag("UserComment", user_comment(comment), "EXIF EXIF")
    if isinstance(description, str) and len(description) > 50:
        notes.tag("ImageDescription (whole)", description, "EXIF Image")
    if isinstance(note, bytes) and make:
        _check_maker(note, make, notes)


def user_comment(value: bytes | str) -> str:
    """The EXIF user comment: eight bytes name its character code."""
    if isinstance(value, str):
        return value
    code, body = value[:8], value[8:]
    if code.startswith(b"UNICODE"):
        return decode_utf16(body)
    if code.startswith((b"ASCII", b"JIS", b"\x00\x00\x00\x00")):
        return decode(body)
    return decode(value)


def _check_maker(note: bytes, make: str, notes: Notes) -> None:
    for sign, makers in _MAKER_SIGNS:
        if note.startswith(sign) and not any(m in make.lower() for m in makers):
            whose = sign.strip(b"\x00 ").decode("ascii").title()
            text = f"The camera's private note is written as {whose} writes it, but the maker is given as {make}."
            notes.contradiction("camera.maker_note", text, "EXIF MakerNote and Make")
            return


def read_xmp(packet: bytes, notes: Notes, source: str = "XMP") -> None:
    """The properties of an XMP packet; external entities and DTDs are refused."""
    from defusedxml import ElementTree
    from defusedxml.common import DefusedXmlException

    packet = packet[:_MAX_XMP]
    start, end = packet.find(b"<x:xmpmeta"), packet.rfind(b"</x:xmpmeta>")
    if start >= 0 and end > start:
        packet = packet[start : end + 12]
    else:
        start, end = packet.find(b"<rdf:RDF"), packet.rfind(b"</rdf:RDF>")
        packet = packet[start : end + 10] if 0 <= start < end else packet.strip(b"\x00 \r\n")
    try:
        root = ElementTree.fromstring(packet, forbid_dtd=True)
    except DefusedXmlException:
        notes.problem("xmp.refused", "The XMP packet holds constructions that attack readers: it was not read.")
        return
    except Exception:  # ParseError, and whatever a broken encoding raises
        notes.problem("xmp.damaged", "The XMP packet is damaged and cannot be read.")
        return
    _walk(root, notes, source)


def _walk(root: Element, notes: Notes, source: str) -> None:
    stack: list[tuple[Element, str, int]] = [(root, "", 0)]
    seen = 0
    while stack:
        element, name, depth = stack.pop()
        seen += 1
        if seen > MAX_BOXES or depth > MAX_BOX_DEPTH:
            notes.problem("xmp.too_large", "The XMP packet is nested too deep or too long: the rest was not read.")
            return
        short = _short(element.tag)
        name = name if short in ("li", "Seq", "Bag", "Alt", "Description", "RDF", "xmpmeta") else short
        for key, value in element.attrib.items():
            if _short(key) not in ("about", "parseType", "lang", "xmptk"):
                notes.tag(name if _short(key) == "resource" else _short(key), value, source)
        if element.text and element.text.strip() and name:
            notes.tag(name, element.text.strip(), source)
        stack.extend((child, name, depth + 1) for child in reversed(list(element)))


def _short(tag: object) -> str:
    return str(tag).rpartition("}")[2]


def read_icc(profile: bytes, notes: Notes) -> None:
    """The description of a colour profile."""
    if len(profile) < 132 or profile[36:40] != b"acsp":
        notes.problem("icc.damaged", "The colour profile is damaged.")
        return
    count = min(int.from_bytes(profile[128:132], "big"), 100)
    for i in range(count):
        entry = profile[132 + 12 * i : 144 + 12 * i]
        if entry[:4] == b"desc":
            at, size = int.from_bytes(entry[4:8], "big"), int.from_bytes(entry[8:12], "big")
            data = profile[at : at + min(size, 4096)]
            text = decode_utf16(data[28:]) if data[:4] == b"mluc" else decode(data[12:].partition(b"\x00")[0])
            notes.tag("ProfileDescription", text, "ICC profile")
            return
