"""What a file is, by content."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from unmask.errors import SubjectError, UnsupportedMedia
from unmask.media.sniff import EXTENSIONS, MIME, name_disagrees, sniff, sniff_bytes


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("JPEG", "jpeg"),
        ("PNG", "png"),
        ("WEBP", "webp"),
        ("AVIF", "avif"),
        ("TIFF", "tiff"),
        ("GIF", "gif"),
        ("BMP", "bmp"),
    ],
)
def test_pictures_that_pillow_writes(form: str, expected: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(buffer, form)
    found = sniff_bytes(buffer.getvalue())
    assert (found.kind, found.format, found.mime) == ("image", expected, MIME[expected])


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"RIFF\x24\0\0\0WAVEfmt ", "wav"),
        (b"RIFF\x24\0\0\0AVI LIST", "avi"),
        (b"fLaC\0\0\0\x22", "flac"),
        (b"OggS\0\x02", "ogg"),
        (b"ID3\x04\0\0\0\0\0\0", "mp3"),
        (b"\xff\xfb\x90\x64", "mp3"),
        (b"\xff\xf1\x50\x80", "aac"),
        (b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm", "webm"),
        (b"\x1a\x45\xdf\xa3\xa3B\x86\x81\x01B\x82\x88matroska", "mkv"),
        (b"\0\0\0\x18ftypisom\0\0\2\0isomiso2", "mp4"),
        (b"\0\0\0\x14ftypqt  \0\0\2\0qt  ", "mov"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "mov"),
        (b"\0\0\0\x18ftypM4A \0\0\2\0M4A isom", "m4a"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "heic"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "avif"),
        (b"FORM\0\0\0\x10AIFFCOMM", "aiff"),
    ],
)
def test_magic_numbers(head: bytes, expected: str) -> None:
    assert sniff_bytes(head).format == expected


@pytest.mark.parametrize(
    ("head", "word"),
    [
        (b"%PDF-1.7", "PDF"),
        (b"PK\x03\x04", "ZIP"),
        (b"\x7fELF", "program"),
        (b"  <!DOCTYPE html>", "HTML"),
        (b"8BPS", "Photoshop"),
    ],
)
def test_what_is_refused_is_named(head: bytes, word: str) -> None:
    with pytest.raises(UnsupportedMedia, match=word):
        sniff_bytes(head)


def test_empty_and_missing(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(UnsupportedMedia, match="empty") as caught:
        sniff(tmp_path / "empty.jpg")
    assert caught.value.code == "media.empty"
    with pytest.raises(SubjectError):
        sniff(tmp_path / "missing.jpg")


@given(st.binary(max_size=64))
def test_any_bytes_give_a_format_or_a_reason(data: bytes) -> None:
    try:
        assert sniff_bytes(data).format in MIME
    except UnsupportedMedia as error:
        assert error.text.endswith(".")


def test_names_that_lie() -> None:
    assert name_disagrees("holiday.png", "jpeg")
    assert not name_disagrees("holiday.JPG", "jpeg")
    assert not name_disagrees("no extension", "jpeg")
    assert set(EXTENSIONS) == set(MIME)
