from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from unmask.detectors.image_copy_move import dense, keypoints
from unmask.detectors.image_copy_move.detector import CARD, examine
from unmask.options import Options
from unmask.report import Finding
from unmask.subject import Subject

Rgb = NDArray[np.uint8]
REPORTED = CARD.parameters["report_above"]


def photo(seed: int = 0, h: int = 420, w: int = 560) -> Rgb:
    """Photo-like: structure at many scales, blobs with edges, and sensor noise."""
    rng = np.random.default_rng(seed)
    total = np.zeros((h, w), np.float32)
    for level in range(1, 7):
        small = rng.normal(0, 1, (h // 2**level + 2, w // 2**level + 2)).astype(np.float32)
        total += cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC) * 2.0**level * 0.45
    picture = np.repeat((total + 120)[..., None], 3, 2)
    for _ in range(60):
        centre = (int(rng.integers(0, w)), int(rng.integers(0, h)))
        axes = (int(rng.integers(6, 40)), int(rng.integers(6, 40)))
        colour = rng.integers(30, 220, 3).astype(float).tolist()
        layer = picture.copy()
        cv2.ellipse(layer, centre, axes, float(rng.integers(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
        picture = 0.6 * picture + 0.4 * layer
    picture = cv2.GaussianBlur(picture, (0, 0), 0.8) + rng.normal(0, 2.5, (h, w, 1))
    return np.clip(picture, 0, 255).astype(np.uint8)


def paste(rgb: Rgb, matrix: NDArray[np.float64], centre: tuple[int, int] = (150, 150), radius: int = 55) -> Rgb:
    """Copies the disc around ``centre`` to where ``matrix`` takes it."""
    h, w = rgb.shape[:2]
    mask = np.zeros((h, w), np.float32)
    cv2.circle(mask, centre, radius, 1.0, -1, cv2.LINE_AA)
    moved = cv2.warpAffine(rgb, matrix, (w, h), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    alpha = cv2.warpAffine(mask, matrix, (w, h))[..., None]
    return np.clip(rgb * (1 - alpha) + moved * alpha, 0, 255).astype(np.uint8)


def turned(angle: float, scale: float, shift: tuple[int, int]) -> NDArray[np.float64]:
    matrix = cv2.getRotationMatrix2D((150, 150), angle, scale)
    matrix[:, 2] += shift
    return np.asarray(matrix, np.float64)


def look(folder: Path, rgb: Rgb, quality: int | None = None, name: str = "s") -> Finding:
    path = folder / (name + (".png" if quality is None else ".jpg"))
    Image.fromarray(rgb).save(path, **({} if quality is None else {"quality": quality}))
    before = path.read_bytes()
    finding = examine(Subject(path), Options())
    assert path.read_bytes() == before
    return finding


def boxes(finding: Finding) -> list[dict[str, float]]:
    (found,) = [e for e in finding.evidence if e.kind == "boxes"]
    assert found.data is not None
    return found.data["boxes"]  # type: ignore[return-value]


@pytest.mark.parametrize("quality", [None, 95, 80])
def test_a_moved_copy_is_found_where_it_is(tmp_path: Path, quality: int | None) -> None:
    forged = paste(photo(), turned(0, 1, (250, 120)))
    finding = look(tmp_path, forged, quality)
    assert finding.status == "ok"
    assert finding.reason.code == "copy_move.found"
    assert finding.raw_score is not None and finding.raw_score > REPORTED
    centres = sorted((b["x"] + b["w"] / 2, b["y"] + b["h"] / 2) for b in boxes(finding)[:2])
    assert centres == [pytest.approx((150, 150), abs=20), pytest.approx((400, 270), abs=20)]


@pytest.mark.parametrize(("angle", "scale"), [(25, 1.0), (90, 1.0), (0, 1.3), (0, 0.75), (-20, 1.15)], ids=str)
def test_a_turned_or_resized_copy_is_found(tmp_path: Path, angle: float, scale: float) -> None:
    finding = look(tmp_path, paste(photo(1), turned(angle, scale, (240, 110))), 90)
    assert finding.raw_score is not None and finding.raw_score > REPORTED


def test_a_mirrored_copy_is_found(tmp_path: Path) -> None:
    matrix = np.array([[-1, 0, 300 + 240], [0, 1, 110]], float)
    finding = look(tmp_path, paste(photo(2), matrix), 90)
    assert finding.reason.code == "copy_move.found"
    assert "mirrored" in finding.reason.text


def test_copies_of_mere_noise_are_found_by_the_dense_search() -> None:
    rng = np.random.default_rng(5)
    smooth = np.clip(120 + rng.normal(0, 3, (400, 500)), 0, 255).astype(np.uint8)
    smooth[240:340, 330:450] = smooth[60:160, 40:160]
    shifts = dense.find_shifts(dense.whitened(smooth), 20, 6.0, 6, 4)
    assert shifts
    found = shifts[0].matrix[:, 2]
    assert np.allclose(np.abs(found), [290, 180], atol=1)
    assert found[0] * found[1] > 0


@pytest.mark.parametrize("quality", [None, 90, 75])
@pytest.mark.parametrize("seed", [0, 3])
def test_untouched_pictures_are_quiet(tmp_path: Path, quality: int | None, seed: int) -> None:
    finding = look(tmp_path, photo(seed), quality)
    assert finding.reason.code == "copy_move.none"
    assert finding.raw_score is not None and finding.raw_score < REPORTED / 2
    assert not finding.evidence


def test_things_that_only_look_alike_are_quiet(tmp_path: Path) -> None:
    """Windows of one facade: the same design, each with its own light and noise."""
    rng = np.random.default_rng(8)
    wall = cv2.GaussianBlur(rng.normal(150, 25, (420, 560)).astype(np.float32), (0, 0), 1.5)
    for y in range(20, 380, 90):
        for x in range(20, 500, 80):
            cv2.rectangle(wall, (x, y), (x + 40, y + 55), 60, -1)
            cv2.rectangle(wall, (x, y), (x + 40, y + 55), 220, 3)
            cv2.line(wall, (x + 20, y), (x + 20, y + 55), 220, 2)
            wall[y : y + 55, x : x + 40] += rng.normal(0, 10)
    noisy = np.clip(wall + rng.normal(0, 3, wall.shape), 0, 255).astype(np.uint8)
    finding = look(tmp_path, np.repeat(noisy[..., None], 3, 2), 85)
    assert finding.reason.code == "copy_move.none"


@pytest.mark.parametrize("quality", [None, 85])
def test_drawn_icons_that_repeat_are_quiet(tmp_path: Path, quality: int | None) -> None:
    page = Image.new("RGB", (700, 500), (240, 242, 245))
    pen = ImageDraw.Draw(page)
    for y in range(40, 420, 110):
        for x in range(40, 620, 130):
            pen.rounded_rectangle([x, y, x + 70, y + 70], 12, fill=(60, 120, 220))
            pen.ellipse([x + 15, y + 15, x + 55, y + 55], fill=(250, 210, 60))
            pen.line([x + 20, y + 60, x + 60, y + 20], fill=(20, 20, 20), width=3)
    finding = look(tmp_path, np.asarray(page), quality)
    assert finding.reason.code != "copy_move.found"
    assert finding.raw_score is None or finding.raw_score < REPORTED


def test_too_small_and_blank_are_declined(tmp_path: Path) -> None:
    assert look(tmp_path, photo()[:100, :100]).reason.code == "copy_move.too_small"
    assert look(tmp_path, np.full((300, 400, 3), 128, np.uint8)).reason.code == "copy_move.blank"
    assert look(tmp_path, np.zeros((300, 400, 3), np.uint8), 80).status == "declined"


def test_same_picture_same_finding_and_evidence_follows_the_orientation(tmp_path: Path) -> None:
    forged = Image.fromarray(paste(photo(), turned(0, 1, (250, 120))))
    plain, turned_path = tmp_path / "a.jpg", tmp_path / "b.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    forged.save(plain, quality=92)
    forged.save(turned_path, quality=92, exif=exif)
    first, again, side = (examine(Subject(p), Options()) for p in (plain, plain, turned_path))
    assert first == again
    assert side.raw_score == first.raw_score
    a, b = boxes(first)[0], boxes(side)[0]
    assert (b["w"], b["h"]) == (a["h"], a["w"])
    assert b["x"] == pytest.approx(420 - a["y"] - a["h"])


def test_large_pictures_say_that_they_were_compared_smaller(tmp_path: Path) -> None:
    forged = paste(photo(7, 1200, 1500), turned(0, 1, (700, 500)), radius=140)
    finding = look(tmp_path, forged, 90)
    assert finding.reason.code == "copy_move.found"
    assert [e.title for e in finding.evidence if e.kind == "fact"] == ["Compared at"]
    assert max(b["x"] + b["w"] for b in boxes(finding)) > 900


def test_mirrored_descriptors_are_those_of_the_mirrored_patch() -> None:
    grey = photo(4)[..., 0]
    sift = cv2.SIFT.create()
    key = [cv2.KeyPoint(200.0, 200.0, 30.0, 20.0)]
    flipped = [cv2.KeyPoint(grey.shape[1] - 1 - 200.0, 200.0, 30.0, 160.0)]
    _, a = sift.compute(grey, key)
    _, b = sift.compute(np.ascontiguousarray(grey[:, ::-1]), flipped)
    mirrored = keypoints._mirror(np.asarray(a, np.float32))
    cosine = float((mirrored * b).sum() / np.linalg.norm(mirrored) / np.linalg.norm(b))
    assert cosine > 0.98


@pytest.mark.kit
def test_photographs_of_the_kit_are_quiet(kit: Path) -> None:
    folders = ["div-openmvg-imagedataset_sceauxcastle", "div-beauwoods-photo-portfolio"]
    paths = [p for f in folders for p in sorted((kit / "images" / "real" / f).glob("*.jpg"))[:4]]
    assert len(paths) == 8
    scores = [examine(Subject(p), Options()).raw_score for p in paths]
    assert max(s or 0.0 for s in scores) < REPORTED
