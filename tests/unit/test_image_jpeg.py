"""image.jpeg: tables, earlier compression, and the region whose history differs."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegPresets import presets

from unmask.detectors.image_jpeg import blocks, ghosts, tables
from unmask.detectors.image_jpeg.detector import CARD, examine
from unmask.detectors.image_jpeg.history import find_combs
from unmask.options import Options
from unmask.report import Finding
from unmask.subject import Subject

Pixels = NDArray[np.uint8]


def texture(side: int = 448, seed: int = 0, strength: float = 18.0) -> Pixels:
    """A photo-like picture: noise whose spectrum falls as that of photographs, and mild colour."""
    rng = np.random.default_rng(seed)
    fy, fx = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :]
    falloff = 1.0 / np.maximum(np.hypot(fy, fx), 2.0 / side) ** 0.9
    planes = []
    for _ in range(3):
        noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((side, side))) * falloff, (side, side))
        planes.append(noise / noise.std())
    grey = planes[0]
    rgb = np.stack([grey + 0.15 * planes[1], grey, grey + 0.15 * planes[2]], axis=-1) * strength + 125
    return np.clip(np.rint(rgb), 8, 247).astype(np.uint8)


def jpeg(pixels: Pixels, quality: int, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, **options)
    return buffer.getvalue()


def decode(data: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def spliced(first: int, box: tuple[int, int, int, int] = (120, 200, 130, 110), seed: int = 0) -> Pixels:
    """A picture saved at quality ``first`` with a part (x, y, w, h) of a picture that was never compressed."""
    base, other = decode(jpeg(texture(seed=seed), first)).astype(np.float32), texture(seed=seed + 100)
    mask = np.zeros(base.shape[:2], np.float32)
    x, y, w, h = box
    mask[y : y + h, x : x + w] = 1
    soft = cv2.GaussianBlur(mask, (0, 0), 1.5)[..., None]
    return np.rint(base * (1 - soft) + other * soft).astype(np.uint8)


def find(tmp_path: Path, data: bytes, name: str = "subject.jpg") -> Finding:
    path = tmp_path / name
    path.write_bytes(data)
    return examine(Subject(path), Options())


def score(finding: Finding) -> float:
    assert finding.status == "ok", finding.reason
    assert finding.raw_score is not None
    return finding.raw_score


def fact(finding: Finding, name: str) -> object:
    return next(e.data["value"] for e in finding.evidence if e.title == name and e.data)


def png(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(("first", "last"), [(60, 95), (75, 90), (60, 75), (84, 95)])
def test_marks_the_part_that_was_put_in(tmp_path: Path, first: int, last: int) -> None:
    finding = find(tmp_path, jpeg(spliced(first), last))
    assert finding.reason.code == "jpeg.region"
    assert score(finding) > 15
    region = finding.evidence[0].region
    assert region is not None
    assert abs(region.x - 120) <= 24
    assert abs(region.y - 200) <= 24
    assert abs(region.w - 130) <= 32
    assert abs(region.h - 110) <= 32


@pytest.mark.parametrize("last", [70, 80, 90, 95])
@pytest.mark.parametrize("first", [None, 60, 75, 90, 97])
def test_whole_pictures_are_quiet(tmp_path: Path, first: int | None, last: int) -> None:
    pixels = texture(seed=3) if first is None else decode(jpeg(texture(seed=3), first))
    assert score(find(tmp_path, jpeg(pixels, last))) < 4


def test_flat_and_clipped_parts_are_no_region(tmp_path: Path) -> None:
    pixels = texture(seed=4).astype(np.int16)
    pixels[:160] += 200
    pixels[300:, 300:] = 130
    pixels[300:, :120] -= 220
    again = decode(jpeg(np.clip(pixels, 0, 255).astype(np.uint8), 70))
    assert score(find(tmp_path, jpeg(again, 92))) < 4


def test_quiet_and_busy_halves_with_one_history(tmp_path: Path) -> None:
    pixels = texture(seed=5)
    pixels[:, :220] = texture(seed=6, strength=5.0)[:, :220]
    again = decode(jpeg(pixels, 72))
    assert score(find(tmp_path, jpeg(again, 90))) < 4


def test_earlier_quality_is_a_fact_and_no_sign(tmp_path: Path) -> None:
    finding = find(tmp_path, jpeg(decode(jpeg(texture(seed=7), 60)), 92))
    assert finding.reason.code == "jpeg.same_history"
    assert fact(finding, "Earlier compression") == "about IJG quality 60"
    assert score(finding) < 2


def test_single_compression_shows_none(tmp_path: Path) -> None:
    finding = find(tmp_path, jpeg(texture(seed=8), 88))
    assert finding.reason.code == "jpeg.one_history"
    assert fact(finding, "Earlier compression") == "no trace found"


def test_lossless_picture_made_from_a_jpeg(tmp_path: Path) -> None:
    assert find(tmp_path, png(texture(seed=9)), "a.png").reason.code == "jpeg.one_history"
    whole = find(tmp_path, png(decode(jpeg(texture(seed=9), 80))), "b.png")
    assert fact(whole, "Earlier compression") == "about IJG quality 80"
    assert score(whole) < 4
    cropped = find(tmp_path, png(decode(jpeg(texture(seed=9), 80))[5:, 3:]), "c.png")
    assert fact(cropped, "Earlier compression") == "about IJG quality 80"
    forged = find(tmp_path, png(spliced(80)), "d.png")
    assert score(forged) > 15


def test_the_region_follows_the_orientation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying, shown turned clockwise
    finding = find(tmp_path, jpeg(spliced(60), 92, exif=exif))
    region = finding.evidence[0].region
    assert region is not None
    assert abs(region.x - (448 - 200 - 110)) <= 24
    assert abs(region.y - 120) <= 24


def test_same_subject_same_finding(tmp_path: Path) -> None:
    data = jpeg(spliced(70), 93)
    assert find(tmp_path, data) == find(tmp_path, data)


def test_grey_progressive_and_444(tmp_path: Path) -> None:
    grey = Image.fromarray(texture(seed=10)).convert("L")
    buffer = io.BytesIO()
    grey.save(buffer, "JPEG", quality=85, progressive=True)
    finding = find(tmp_path, buffer.getvalue())
    assert fact(finding, "Colour resolution") == "grey, no chroma"
    assert fact(finding, "Scan order") == "progressive"
    assert fact(finding, "Quality of the last saving") == "brightness 85"
    full = find(tmp_path, jpeg(texture(seed=10), 85, subsampling=0))
    assert fact(full, "Colour resolution") == "4:4:4"


def test_declines(tmp_path: Path) -> None:
    assert find(tmp_path, jpeg(texture(96), 80)).reason.code == "jpeg.small"
    assert find(tmp_path, jpeg(np.full((400, 400, 3), 90, np.uint8), 80)).reason.code == "jpeg.flat"
    assert find(tmp_path, jpeg(texture(), 8)).reason.code == "jpeg.too_compressed"
    buffer = io.BytesIO()
    Image.fromarray(texture()).save(buffer, "WEBP")
    finding = find(tmp_path, buffer.getvalue(), "a.webp")
    assert (finding.status, finding.reason.code) == ("not_applicable", "jpeg.other_codec")


@pytest.mark.parametrize("mode", ["CMYK", "RGB"])
def test_other_colour_spaces_are_declined(tmp_path: Path, mode: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(texture()).convert(mode).save(buffer, "JPEG", quality=90, keep_rgb=True)
    assert find(tmp_path, buffer.getvalue()).reason.code == "jpeg.colour_space"


def test_a_grid_of_text_without_history_is_no_region_in_a_png(tmp_path: Path) -> None:
    pixels = np.full((400, 600, 3), 235, np.uint8)
    for i in range(12):
        cv2.putText(pixels, "plain words on a screen", (10, 30 + 30 * i), 0, 0.8, (40, 40, 40), 1, cv2.LINE_AA)
    finding = find(tmp_path, png(pixels), "text.png")
    assert finding.raw_score is None or finding.raw_score == 0


@pytest.mark.parametrize("quality", [2, 30, 50, 71, 75, 84, 95, 99])
def test_ijg_tables_are_named(quality: int) -> None:
    with Image.open(io.BytesIO(jpeg(texture(64), quality))) as image:
        luma, chroma = (np.array(image.quantization[i], np.int32).reshape(8, 8) for i in (0, 1))
    encoder = tables.identify(luma, chroma)
    assert (encoder.family, encoder.exact, encoder.luma_quality) == ("ijg", True, quality)
    luma[3, 3] += 1
    assert tables.identify(luma, chroma).family == "own"
    assert abs(tables.identify(luma, chroma).luma_quality - quality) <= 1


def test_other_families_are_named() -> None:
    luma, chroma = np.array(presets["web_high"]["quantization"], np.int32).reshape(2, 8, 8)
    assert tables.identify(luma, chroma).name == "Adobe Photoshop, Save for Web, high tables"
    moz = tables.scaled(tables.ROBIDOUX, 75)
    assert tables.identify(moz, moz).name == "mozjpeg tables, quality 75"
    mixed = tables.identify(tables.scaled(tables.STANDARD_LUMA, 80), tables.scaled(tables.STANDARD_CHROMA, 60))
    assert (mixed.family, mixed.luma_quality, mixed.chroma_quality) == ("ijg-mixed", 80, 60)


def test_steps_are_recovered() -> None:
    pixels = decode(jpeg(texture(seed=11), 65))
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    combs = find_combs(blocks.from_pixels(luma, pixels), blocks.off_grid(luma, 8000))
    expected = tables.scaled(tables.STANDARD_LUMA, 65)
    assert [c.earlier for c in combs] == [expected[f] for f in blocks.FREQUENCIES]
    assert ghosts.earlier_quality(combs) == (65, 1.0)


def test_ghost_curve_dips_at_the_earlier_quality() -> None:
    pixels = decode(jpeg(texture(seed=12), 66))
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    read = blocks.from_pixels(luma, pixels)
    found = ghosts.curve(read, np.ones(read.usable.shape, np.bool_))
    assert ghosts.QUALITIES[int(np.argmin(found[:20]))] == 66
    assert min(found) < 0.5


def test_grid_origin() -> None:
    pixels = decode(jpeg(texture(seed=13), 60))
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    for y, x in ((0, 0), (3, 6), (7, 1)):
        assert blocks.grid_origin(luma[y:, x:]) == ((-y) % 8, (-x) % 8)


@pytest.mark.kit
def test_camera_original_is_quiet_whole_and_speaks_when_forged(kit: Path, tmp_path: Path) -> None:
    path = kit / "provenance" / "c2pa-nikon-20221019-building.jpeg"
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))[800:1600, 1000:2000].copy()
    assert score(find(tmp_path, jpeg(pixels, 92))) < 4
    pixels[296:496, 400:640] = cv2.GaussianBlur(pixels, (0, 0), 1.0)[100:300, 105:345]
    assert score(find(tmp_path, jpeg(pixels, 92))) > 12


def test_card_says_what_it_needs() -> None:
    assert CARD.scored
    assert CARD.min_side == 128
