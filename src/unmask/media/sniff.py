"""What a file is, by its content. The name is only compared, never believed.

Magic numbers: PNG (ISO/IEC 15948), JPEG (ISO/IEC 10918-1), GIF89a, TIFF 6.0, RIFF, ISO base media
(ISO/IEC 14496-12), Matroska (RFC 9559), Ogg (RFC 3533), FLAC (RFC 9639), ID3v2, MPEG audio frame sync.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unmask.errors import SubjectError, UnsupportedMedia

HEAD_BYTES = 4096

SniffedKind = Literal["image", "audio", "container"]


@dataclass(frozen=True)
class Sniffed:
    """``kind`` is ``container`` where only the streams inside tell sound from film."""

    kind: SniffedKind
    format: str
    mime: str


MIME = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "avif": "image/avif",
    "heic": "image/heic",
    "tiff": "image/tiff",
    "gif": "image/gif",
    "bmp": "image/bmp",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "m4a": "audio/mp4",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
    "avi": "video/x-msvideo",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "aac": "audio/aac",
    "ogg": "audio/ogg",
    "aiff": "audio/aiff",
}

IMAGES = ("jpeg", "png", "webp", "avif", "heic", "tiff", "gif", "bmp")
SOUNDS = ("wav", "flac", "mp3", "aac", "aiff")

# What a name may honestly end in, by format.
EXTENSIONS: dict[str, tuple[str, ...]] = {
    "jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "png": (".png", ".apng"),
    "webp": (".webp",),
    "avif": (".avif", ".avifs"),
    "heic": (".heic", ".heif", ".hif", ".heics"),
    "tiff": (".tif", ".tiff", ".dng"),
    "gif": (".gif",),
    "bmp": (".bmp", ".dib"),
    "mp4": (".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".f4v", ".m4a", ".m4b"),
    "mov": (".mov", ".qt", ".mp4"),
    "m4a": (".m4a", ".m4b", ".mp4", ".aac", ".m4r"),
    "mkv": (".mkv", ".mka", ".mk3d"),
    "webm": (".webm", ".weba"),
    "avi": (".avi",),
    "wav": (".wav", ".wave", ".bwf"),
    "flac": (".flac",),
    "mp3": (".mp3",),
    "aac": (".aac",),
    "ogg": (".ogg", ".oga", ".opus", ".ogv", ".spx"),
    "aiff": (".aif", ".aiff", ".aifc"),
}

# Recognised, so that the refusal can say what the file is.
_REFUSED: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive (or an office document)"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"<!DOCTYPE", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<?xml", "an XML document"),
    (b"<svg", "a vector drawing (SVG)"),
    (b"8BPS", "a Photoshop document"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
)

_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}
_M4A_BRANDS = {b"M4A ", b"M4B ", b"M4P "}


def sniff(path: Path) -> Sniffed:
    """Kind and format of a file.

    Raises:
        SubjectError: the file cannot be read.
        UnsupportedMedia: empty, or no picture, film or sound that Unmask reads.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise SubjectError("subject.unreadable", f"Cannot read {path.name!r}: {error.strerror}.") from error
    return sniff_bytes(head)


def sniff_bytes(head: bytes) -> Sniffed:
    """Kind and format from the first `HEAD_BYTES` bytes; raises `UnsupportedMedia`."""
    if not head:
        raise UnsupportedMedia("media.empty", "The file is empty (0 bytes). Get the original again.")
    for look in _LOOKS:
        format_ = look(head)
        if format_:
            return _sniffed(format_)
    for magic, name in _REFUSED:
        if head.lstrip()[: len(magic)].lower() == magic.lower():
            raise UnsupportedMedia(
                "media.unsupported",
                f"This is {name}, not a picture, film or recording. Extract the media and scan that.",
            )
    raise UnsupportedMedia(
        "media.unsupported",
        "This is not a picture, film or recording that Unmask reads (see `unmask scan --help` for formats).",
    )


def name_disagrees(name: str, format_: str) -> bool:
    """Whether the extension claims another format than the content has; no extension claims nothing."""
    suffix = Path(name).suffix.lower()
    return bool(suffix) and suffix not in EXTENSIONS[format_]


def _sniffed(format_: str) -> Sniffed:
    kind: SniffedKind = "image" if format_ in IMAGES else "audio" if format_ in SOUNDS else "container"
    return Sniffed(kind, format_, MIME[format_])


def _simple(head: bytes) -> str | None:
    for magic, format_ in (
        (b"\xff\xd8\xff", "jpeg"),
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"GIF87a", "gif"),
        (b"GIF89a", "gif"),
        (b"II*\x00", "tiff"),
        (b"MM\x00*", "tiff"),
        (b"II+\x00", "tiff"),
        (b"MM\x00+", "tiff"),
        (b"fLaC", "flac"),
        (b"OggS", "ogg"),
    ):
        if head.startswith(magic):
            return format_
    if head[:2] == b"BM" and len(head) > 26 and head[14] in (12, 40, 52, 56, 108, 124) and not any(head[15:18]):
        return "bmp"
    return None


def _riff(head: bytes) -> str | None:
    if head[:4] in (b"RIFF", b"RF64", b"BW64", b"RIFX"):
        return {b"WAVE": "wav", b"WEBP": "webp", b"AVI ": "avi"}.get(head[8:12])
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    return None


def _iso_base_media(head: bytes) -> str | None:
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
        return "mov"
    if head[4:8] != b"ftyp":
        return None
    size = max(16, min(int.from_bytes(head[:4], "big"), len(head)))
    major = head[8:12]
    brands = {major, *(head[i : i + 4] for i in range(16, size - 3, 4))}
    if major in _AVIF_BRANDS or (major in (b"mif1", b"msf1") and brands & _AVIF_BRANDS):
        return "avif"
    if major in _HEIC_BRANDS:
        return "heic"
    if major in _M4A_BRANDS:
        return "m4a"
    return "mov" if major == b"qt  " else "mp4"


def _matroska(head: bytes) -> str | None:
    if not head.startswith(b"\x1a\x45\xdf\xa3"):
        return None
    return "webm" if b"webm" in head[:64] else "mkv"


def _mpeg_audio(head: bytes) -> str | None:
    if head.startswith(b"ID3"):
        return "mp3"
    # 11 sync bits, then version, layer, bit rate and sampling rate must not be the reserved values.
    if len(head) >= 4 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        layer, version = head[1] >> 1 & 3, head[1] >> 3 & 3
        if layer == 0 and head[1] & 0xF6 == 0xF0:
            return "aac"
        if layer and version != 1 and head[2] >> 4 not in (0, 15) and head[2] >> 2 & 3 != 3:
            return "mp3"
    return None


_LOOKS: tuple[Callable[[bytes], str | None], ...] = (_simple, _riff, _iso_base_media, _matroska, _mpeg_audio)
