"""image.metadata on pictures made here: declarations, contradictions, thumbnails, hostile blocks."""

from __future__ import annotations

import io
import json
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from unmask.detectors.image_metadata.detector import CARD, examine
from unmask.detectors.image_metadata.thumbnail import compare
from unmask.options import Options
from unmask.provenance.contradictions import read_time
from unmask.provenance.plain import clean, json_safe
from unmask.provenance.source import Source, TooMuch
from unmask.report import Finding
from unmask.subject import Subject

A1111 = "a cat\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Model: x"
COMFY = json.dumps({"3": {"class_type": "KSampler", "inputs": {"seed": 1, "steps": 20}}})
TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def scene(seed: int, width: int = 640, height: int = 480) -> NDArray[np.uint8]:
    """A smooth scene with shapes, so that crops and thumbnails of it are recognisable."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (12, 16, 3)).astype(np.float32)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(12):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        cv2.circle(picture, (x, y), int(rng.integers(15, 80)), rng.integers(0, 255, 3).tolist(), -1)
    return np.clip(picture, 0, 255).astype(np.uint8)


def packet(body: str) -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        f'xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/">{body}</rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()


def jpeg(path: Path, picture: NDArray[np.uint8] | None = None, **save: Any) -> Path:
    Image.fromarray(scene(1) if picture is None else picture).save(path, "JPEG", quality=90, **save)
    return path


def exif(tags: dict[int, Any], sub: dict[int, Any] | None = None, gps: dict[int, Any] | None = None) -> bytes:
    block = Image.Exif()
    block.update(tags)
    for ident, values in ((0x8769, sub), (0x8825, gps)):
        if values:
            block.get_ifd(ident).update(values)
            block[ident] = block.get_ifd(ident)
    return block.tobytes()


def with_thumbnail(path: Path, picture: NDArray[np.uint8], thumbnail: NDArray[np.uint8]) -> Path:
    """A JPEG whose EXIF holds ``thumbnail`` in IFD1, byte for byte as cameras write it."""
    buffer = io.BytesIO()
    Image.fromarray(thumbnail).save(buffer, "JPEG", quality=80)
    small = buffer.getvalue()
    entry = lambda tag, kind, value: (  # noqa: E731
        tag.to_bytes(2, "little") + kind.to_bytes(2, "little") + (1).to_bytes(4, "little") + value.to_bytes(4, "little")
    )
    first = (1).to_bytes(2, "little") + entry(0x0112, 3, 1) + (26).to_bytes(4, "little")
    start = 26 + 2 + 2 * 12 + 4
    second = (2).to_bytes(2, "little") + entry(0x0201, 4, start) + entry(0x0202, 4, len(small)) + bytes(4)
    block = b"Exif\x00\x00II*\x00" + (8).to_bytes(4, "little") + first + second + small
    return jpeg(path, picture, exif=block)


def look(path: Path) -> Finding:
    finding = examine(Subject(path), Options())
    assert finding.status == "ok"
    assert finding.raw_score is None
    return finding


def shown(finding: Finding, title: str) -> list[Any]:
    return [e.data["value"] for e in finding.evidence if e.title == title and e.data]


# Declarations -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("parameters", A1111),
        ("prompt", COMFY),
        ("workflow", json.dumps({"nodes": [{"id": 1}], "links": []})),
        ("invokeai_metadata", json.dumps({"positive_prompt": "a cat"})),
        ("Software", "NovelAI"),
        ("Description", "a cat --v 6.0 --ar 3:2 Job ID: 0a1b2c3d-0000-1111-2222-333344445555"),
        ("AIGC", json.dumps({"Label": "1", "ContentProducer": "x"})),
        ("Comment", json.dumps({"steps": 28, "sampler": "k_euler", "scale": 5})),
    ],
)
def test_generators_that_leave_their_settings_in_png_text(tmp_path: Path, key: str, text: str) -> None:
    info = PngInfo()
    info.add_text(key, text)
    path = tmp_path / "a.png"
    Image.fromarray(scene(1)).save(path, pnginfo=info)
    finding = look(path)
    assert finding.reason.code == "declared.synthetic"
    assert "not signed" in finding.reason.text
    assert CARD.labels[finding.reason.code] == "declared_synthetic"


@pytest.mark.parametrize("zipped", [False, True])
def test_compressed_and_international_png_text(tmp_path: Path, zipped: bool) -> None:
    info = PngInfo()
    info.add_itxt("parameters", A1111, zip=zipped)
    Image.fromarray(scene(1)).save(tmp_path / "a.png", pnginfo=info)
    assert look(tmp_path / "a.png").reason.code == "declared.synthetic"


@pytest.mark.parametrize("order", ["utf-16-be", "utf-16-le"])
@pytest.mark.parametrize("format_", ["JPEG", "WEBP"])
def test_settings_in_the_user_comment(tmp_path: Path, order: str, format_: str) -> None:
    block = exif({}, {0x9286: b"UNICODE\x00" + A1111.encode(order)})
    path = tmp_path / "a.img"
    Image.fromarray(scene(1)).save(path, format_, exif=block)
    assert look(path).reason.code == "declared.synthetic"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("trainedAlgorithmicMedia", "declared.synthetic"),
        ("algorithmicMedia", "declared.synthetic"),
        ("compositeWithTrainedAlgorithmicMedia", "declared.composite"),
        ("compositeSynthetic", "declared.composite"),
        ("digitalCapture", "metadata.plain"),
        ("computationalCapture", "metadata.plain"),
        ("humanEdits", "metadata.plain"),
    ],
)
def test_digital_source_type(tmp_path: Path, kind: str, code: str) -> None:
    xmp = packet(f"<Iptc4xmpExt:DigitalSourceType>{TYPES}{kind}</Iptc4xmpExt:DigitalSourceType>")
    finding = look(jpeg(tmp_path / "a.jpg", xmp=xmp))
    assert finding.reason.code == code
    assert shown(finding, "Declared origin") == [f"digitalSourceType {kind}"]


@pytest.mark.parametrize(
    ("credit", "code"),
    [
        ("Made with Google AI", "declared.synthetic"),
        ("Imagined with AI", "declared.synthetic"),
        ("Edited with Google AI", "declared.composite"),
        ("Reuters/Jane Roe", "metadata.plain"),
        ("OpenAI/Handout via Reuters", "metadata.plain"),  # a press photograph, not a generated one
    ],
)
def test_credit_lines(tmp_path: Path, credit: str, code: str) -> None:
    iptc = b"\x1c\x02\x6e" + len(credit).to_bytes(2, "big") + credit.encode()
    resource = b"8BIM\x04\x04\x00\x00" + len(iptc).to_bytes(4, "big") + iptc + b"\x00" * (len(iptc) % 2)
    segment = b"Photoshop 3.0\x00" + resource
    data = jpeg(tmp_path / "a.jpg").read_bytes()
    path = tmp_path / "b.jpg"
    path.write_bytes(data[:2] + b"\xff\xed" + (len(segment) + 2).to_bytes(2, "big") + segment + data[2:])
    finding = look(path)
    assert finding.reason.code == code
    assert shown(finding, "Credit") == [credit]


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        (0x010E, "Visitors at the Midjourney exhibition look at Stable Diffusion pictures"),
        (0x013B, "Yui Sora"),
        (0x013B, "Adrian Flux"),
        (0x0131, "Ver.1.02 "),
    ],
)
def test_captions_and_names_declare_nothing(tmp_path: Path, tag: int, text: str) -> None:
    assert look(jpeg(tmp_path / "a.jpg", exif=exif({tag: text}))).reason.code == "metadata.plain"


@pytest.mark.parametrize("format_", ["HEIF", "AVIF", "TIFF"])
def test_metadata_of_other_formats(tmp_path: Path, format_: str) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    path = tmp_path / "a.img"
    Image.fromarray(scene(1, 1600, 1200)).save(path, format_, exif=exif({0x0131: "GIMP 2.10", 0x010F: "Canon"}))
    finding = look(path)
    assert finding.reason.code == "metadata.edited"
    assert shown(finding, "Make") == ["Canon"]


def test_gif_comments(tmp_path: Path) -> None:
    frames = [Image.fromarray(scene(i, 80, 60)) for i in (1, 2, 3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], comment=b"made with ezgif.com")
    finding = look(tmp_path / "a.gif")
    assert shown(finding, "Comment") == ["made with ezgif.com"]
    assert Subject(tmp_path / "a.gif").metadata["facts"]["pictures"] == 3  # type: ignore[index,call-overload]


def test_a_possibly_label_declares_nothing(tmp_path: Path) -> None:
    xmp = packet('<TC260:AIGC>{"Label":"2","ContentProducer":"x"}</TC260:AIGC>')
    finding = look(jpeg(tmp_path / "a.jpg", xmp=xmp))
    assert finding.reason.code == "metadata.plain"
    assert shown(finding, "Declared origin") == ["AIGC label 2"]


# Editing, contradictions, nothing ---------------------------------------------------------------------------


def test_nothing_is_said_of_a_bare_picture(tmp_path: Path) -> None:
    finding = look(jpeg(tmp_path / "a.jpg"))
    assert finding.reason.code == "metadata.none"
    assert "says nothing" in finding.reason.text
    assert CARD.labels.get(finding.reason.code) is None


def test_an_editing_program_is_a_fact_and_sets_no_label(tmp_path: Path) -> None:
    finding = look(jpeg(tmp_path / "a.jpg", exif=exif({0x0131: "Adobe Photoshop 25.0 (Windows)"})))
    assert finding.reason.code == "metadata.edited"
    assert shown(finding, "Editing program") == ["Adobe Photoshop 25.0 (Windows)"]
    assert CARD.labels.get(finding.reason.code) is None


def test_times_that_no_time_zone_explains(tmp_path: Path) -> None:
    late = exif({0x0132: "2024:05:01 10:00:00"}, {0x9003: "2024:05:03 10:00:00"})
    finding = look(jpeg(tmp_path / "a.jpg", exif=late))
    assert finding.reason.code == "metadata.contradiction"
    assert "before it was taken" in finding.reason.text
    zone = exif({0x0132: "2024:05:01 10:00:00"}, {0x9003: "2024:05:02 09:00:00"})
    assert look(jpeg(tmp_path / "b.jpg", exif=zone)).reason.code == "metadata.plain"


def test_satellite_time_against_the_cameras(tmp_path: Path) -> None:
    gps = {7: (10.0, 30.0, 0.0), 29: "2024:05:09"}
    finding = look(jpeg(tmp_path / "a.jpg", exif=exif({}, {0x9003: "2024:05:01 10:00:00"}, gps)))
    assert finding.reason.code == "metadata.contradiction"
    assert "satellite" in finding.reason.text
    near = exif({}, {0x9003: "2024:05:09 20:00:00"}, gps)
    assert look(jpeg(tmp_path / "b.jpg", exif=near)).reason.code == "metadata.plain"


def test_a_maker_note_of_another_maker(tmp_path: Path) -> None:
    note = {0x927C: b"Nikon\x00\x02\x10\x00\x00" + bytes(40)}
    assert look(jpeg(tmp_path / "a.jpg", exif=exif({0x010F: "Canon"}, note))).reason.code == "metadata.contradiction"
    own = exif({0x010F: "NIKON CORPORATION"}, note)
    assert look(jpeg(tmp_path / "b.jpg", exif=own)).reason.code == "metadata.plain"


def test_a_resized_picture_is_a_fact(tmp_path: Path) -> None:
    finding = look(jpeg(tmp_path / "a.jpg", exif=exif({}, {0xA002: 4000, 0xA003: 3000})))
    assert finding.reason.code == "metadata.plain"
    assert shown(finding, "Size since the camera") == [
        "The camera noted 4000x3000 pixels, the file has 640x480: it was made smaller or larger."
    ]


def test_a_declaration_outranks_an_editing_program(tmp_path: Path) -> None:
    xmp = packet(
        f"<Iptc4xmpExt:DigitalSourceType>{TYPES}trainedAlgorithmicMedia</Iptc4xmpExt:DigitalSourceType>"
        "<xmp:CreatorTool>Adobe Photoshop 26.0</xmp:CreatorTool>"
    )
    finding = look(jpeg(tmp_path / "a.jpg", xmp=xmp))
    assert finding.reason.code == "declared.synthetic"
    assert shown(finding, "Editing program") == ["Adobe Photoshop 26.0"]


def test_appended_archive_and_appended_padding(tmp_path: Path) -> None:
    data = jpeg(tmp_path / "a.jpg").read_bytes()
    zipped = tmp_path / "zip.jpg"
    zipped.write_bytes(data + b"PK\x03\x04" + bytes(100))
    finding = look(zipped)
    assert finding.reason.code == "metadata.contradiction"
    assert "ZIP" in finding.reason.text
    padded = tmp_path / "padded.jpg"
    padded.write_bytes(data + bytes(512))
    assert look(padded).reason.code == "metadata.none"
    two = tmp_path / "two.jpg"
    two.write_bytes(data + data)
    assert shown(look(two), "What follows the end of the media") == [["a second picture"]]


def test_a_name_that_lies_is_shown(tmp_path: Path) -> None:
    assert shown(look(jpeg(tmp_path / "photo.png")), "Name and content") == [
        "The name ends in .png, the content is jpeg."
    ]


# Thumbnails -------------------------------------------------------------------------------------------------


def small(picture: NDArray[np.uint8], size: tuple[int, int] = (160, 120)) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def test_a_thumbnail_of_another_picture_is_suspicious(tmp_path: Path) -> None:
    finding = look(with_thumbnail(tmp_path / "a.jpg", scene(1), small(scene(2))))
    assert finding.reason.code == "metadata.thumbnail"
    assert CARD.labels[finding.reason.code] == "suspicious"


def _bars(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    framed = np.zeros((120, 160, 3), np.uint8)
    framed[15:105] = small(picture, (160, 90))
    return framed


@pytest.mark.parametrize(
    ("name", "picture", "thumbnail"),
    [
        ("own", scene(1), small(scene(1))),
        ("cropped", scene(1)[60:420, 80:560], small(scene(1))),
        ("turned", np.ascontiguousarray(np.rot90(scene(1))), small(scene(1))),
        ("brighter", np.clip(scene(1) * 0.5 + 90, 0, 255).astype(np.uint8), small(scene(1))),
        ("letterbox", scene(1, 640, 360), _bars(scene(1, 640, 360))),
        ("plain", np.full((480, 640, 3), 200, np.uint8), small(scene(2))),
    ],
)
def test_innocent_thumbnails(
    tmp_path: Path, name: str, picture: NDArray[np.uint8], thumbnail: NDArray[np.uint8]
) -> None:
    finding = look(with_thumbnail(tmp_path / f"{name}.jpg", picture, thumbnail))
    assert finding.reason.code != "metadata.thumbnail"
    assert shown(finding, "Thumbnail") == [f"{thumbnail.shape[1]}x{thumbnail.shape[0]} pixels"]


def test_broken_thumbnails_are_no_answer() -> None:
    assert compare(b"\xff\xd8\xff\xe0nonsense", scene(1)[..., 0]) is None
    assert compare(b"", scene(1)[..., 0]) is None


@pytest.mark.kit
def test_no_cameras_own_thumbnail_is_suspicious(kit: Path) -> None:
    folder = kit / "images" / "real" / "metadata-extractor-images"
    codes = [examine(Subject(p), Options()).reason.code for p in sorted(folder.iterdir())]
    assert codes
    assert not [c for c in codes if c in CARD.labels or c == "metadata.contradiction"]


@pytest.mark.kit
def test_generated_pictures_of_the_kit_with_settings(kit: Path) -> None:
    folder = kit / "images" / "fake" / "stablediffusion-cheatsheet"
    codes = [examine(Subject(p), Options()).reason.code for p in sorted(folder.iterdir())]
    assert codes.count("declared.synthetic") == 4


# Hostile blocks ---------------------------------------------------------------------------------------------


def test_an_xml_bomb_is_refused(tmp_path: Path) -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>'
    finding = look(jpeg(tmp_path / "a.jpg", xmp=bomb))
    assert finding.reason.code == "metadata.damaged"
    assert "attack" in finding.reason.text


def test_a_text_bomb_in_png_stays_small(tmp_path: Path) -> None:
    body = b"Comment\x00\x00" + zlib.compress(b"A" * 50_000_000)
    chunk = len(body).to_bytes(4, "big") + b"zTXt" + body + zlib.crc32(b"zTXt" + body).to_bytes(4, "big")
    Image.fromarray(scene(1)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    path = tmp_path / "b.png"
    path.write_bytes(data[:33] + chunk + data[33:])
    started = time.perf_counter()
    assert len(json.dumps(Subject(path).metadata)) < 4000
    assert time.perf_counter() - started < 1


def test_an_exif_block_whose_directories_form_a_ring(tmp_path: Path) -> None:
    ring = (
        b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x01\x00\x00\x00\x08\x00\x00\x00"
    )
    started = time.perf_counter()
    look(jpeg(tmp_path / "a.jpg", exif=ring))
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("tenth", range(1, 10))
def test_cut_files_give_a_reason_and_no_exception(tmp_path: Path, tenth: int) -> None:
    whole = with_thumbnail(tmp_path / "a.jpg", scene(1), small(scene(1))).read_bytes()
    path = tmp_path / "cut.jpg"
    path.write_bytes(whole[: len(whole) * tenth // 10])
    assert look(path).reason.code == "metadata.damaged"


def test_random_damage_never_raises(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    whole = with_thumbnail(tmp_path / "a.jpg", scene(1, 160, 120), small(scene(1))).read_bytes()
    path = tmp_path / "b.jpg"
    for _ in range(40):
        data = bytearray(whole)
        for at in rng.integers(4, 600, 12):
            data[at] = int(rng.integers(0, 256))
        path.write_bytes(data)
        look(path)


def test_foreign_text_is_cut_cleaned_and_json() -> None:
    assert clean("a\x00b\x1b[0m\u202ec\nd") == "ab[0mc d"
    assert clean("x" * 1000, 10) == "xxxxxxxxx…"
    assert clean(b"caf\xe9") == "café"
    deep: Any = [1]
    for _ in range(50):
        deep = [deep]
    assert len(json.dumps(json_safe({"a": deep, "b": b"123", "c": float("nan"), "d": 1 << 80}))) < 200


def test_the_budget_of_a_source_holds(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(1000))
    with Source(path, budget=600) as source:
        assert len(source.at(0, 500)) == 500
        assert source.at(2000, 10) == b""
        with pytest.raises(TooMuch):
            source.at(0, 500)


def test_unset_clocks_are_no_times() -> None:
    assert read_time("1970:01:01 00:00:00") is None
    assert read_time("0000:00:00 00:00:00") is None
    assert read_time("2024:13:40 00:00:00") is None
    assert read_time("nothing") is None


def test_same_file_same_answer_and_untouched(tmp_path: Path) -> None:
    path = with_thumbnail(tmp_path / "a.jpg", scene(1), small(scene(1)))
    before = path.read_bytes()
    assert look(path) == look(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", [1, 6, 7])
def test_a_maker_note_that_claims_to_be_huge_costs_little_and_hides_nothing(tmp_path: Path, kind: int) -> None:
    def entry(tag: int, type_: int, count: int, value: int) -> bytes:
        return struct.pack("<HHII", tag, type_, count, value)

    make = entry(0x010F, 2, 4, int.from_bytes(b"Abc\x00", "little"))
    block = b"II*\x00\x08\x00\x00\x00\x02\x00" + make + entry(0x927C, kind, 0x0FFFFFFF, 8) + bytes(4)
    body = b"Exif\x00\x00" + block
    plain = jpeg(tmp_path / "plain.jpg").read_bytes()
    path = tmp_path / "swollen.jpg"
    path.write_bytes(plain[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + plain[2:])
    started = time.monotonic()
    metadata = Subject(path).metadata
    assert time.monotonic() - started < 5
    assert {"name": "Make", "value": "Abc", "source": "EXIF Image"} in metadata["tags"]  # type: ignore[operator]
    assert "exif.too_large" in str(metadata["problems"])
