from __future__ import annotations

import base64
import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from unmask.detectors.image_noise import outliers
from unmask.detectors.image_noise.detector import CARD, examine
from unmask.detectors.image_noise.statistics import measure
from unmask.options import Options
from unmask.report import Finding
from unmask.subject import Subject

Rgb = NDArray[np.uint8]
REPORTED = CARD.parameters["report_above"]
FORGED = (slice(120, 260), slice(300, 460))


def photo(seed: int = 0, noise: float = 3.0, h: int = 420, w: int = 620) -> Rgb:
    """Photo-like: structure at many scales, brightness that varies, and sensor noise."""
    rng = np.random.default_rng(seed)
    total = np.zeros((h, w), np.float32)
    for level in range(2, 8):
        small = rng.normal(0, 1, (h // 2**level + 2, w // 2**level + 2)).astype(np.float32)
        total += cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC) * 2.0 ** (level / 1.5)
    grey = 120 + total + rng.normal(0, noise, (h, w))
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, 2)


def noisier(rgb: Rgb, sigma: float) -> Rgb:
    out = rgb.astype(np.float32)
    out[FORGED] += np.random.default_rng(1).normal(0, sigma, out[FORGED].shape)
    return np.clip(out, 0, 255).astype(np.uint8)


def smoother(rgb: Rgb) -> Rgb:
    out = rgb.copy()
    out[FORGED] = cv2.GaussianBlur(rgb, (0, 0), 1.5)[FORGED]
    return out


def look(folder: Path, rgb: Rgb, quality: int | None = None) -> Finding:
    path = folder / ("s.png" if quality is None else "s.jpg")
    Image.fromarray(rgb).save(path, **({} if quality is None else {"quality": quality}))
    before = path.read_bytes()
    finding = examine(Subject(path), Options())
    assert path.read_bytes() == before
    return finding


def strength(finding: Finding) -> float | None:
    shown = [e.data for e in finding.evidence if e.title == "Strength of the difference"]
    return float(str(shown[0]["value"])) if shown and shown[0] else None


def heat(finding: Finding) -> NDArray[np.float64]:
    (shown,) = [e for e in finding.evidence if e.kind == "heatmap"]
    assert shown.data is not None
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(str(shown.data["png"])))), np.float64)


def inside_and_outside(finding: Finding, h: int = 420, w: int = 620) -> tuple[float, float]:
    values = cv2.resize(heat(finding), (w, h))
    mask = np.zeros((h, w), bool)
    mask[FORGED] = True
    return float(values[mask].mean()), float(values[~mask].mean())


@pytest.mark.parametrize("quality", [None, 95])
def test_a_noisier_part_is_found_where_it_is(tmp_path: Path, quality: int | None) -> None:
    finding = look(tmp_path, noisier(photo(), 6), quality)
    assert finding.reason.code == "noise.uneven"
    assert (strength(finding) or 0) >= REPORTED
    assert finding.raw_score is None
    (region,) = [e.region for e in finding.evidence if e.kind == "boxes"]
    assert region is not None
    assert abs(region.x + region.w / 2 - 380) < 40
    assert abs(region.y + region.h / 2 - 190) < 40


def test_a_smoothed_part_is_bright_in_the_heatmap(tmp_path: Path) -> None:
    finding = look(tmp_path, smoother(photo(2)), 95)
    inside, outside = inside_and_outside(finding)
    assert inside > 2 * outside


@pytest.mark.parametrize("quality", [None, 90, 75])
@pytest.mark.parametrize("seed", [0, 5])
def test_even_noise_is_quiet(tmp_path: Path, quality: int | None, seed: int) -> None:
    finding = look(tmp_path, photo(seed, noise=4.0), quality)
    assert finding.reason.code in ("noise.even", "noise.none")
    assert (strength(finding) or 0) < REPORTED


def test_brighter_and_darker_parts_with_the_same_noise_are_quiet(tmp_path: Path) -> None:
    split = photo(3, noise=4.0).astype(np.int16)
    split[:, 300:] = split[:, 300:] // 2 + 110  # another contrast would also change the noise, so it is put back
    split[:, 300:] += np.random.default_rng(2).normal(0, 3.4, split[:, 300:].shape).astype(np.int16)
    finding = look(tmp_path, np.clip(split, 0, 255).astype(np.uint8))
    assert (strength(finding) or 99) < REPORTED


def test_what_holds_no_noise_is_declined(tmp_path: Path) -> None:
    assert look(tmp_path, photo()[:200, :200]).reason.code == "noise.too_small"
    assert look(tmp_path, np.zeros((400, 500, 3), np.uint8)).reason.code == "noise.clipped"
    assert look(tmp_path, np.full((400, 500, 3), 120, np.uint8)).reason.code == "noise.none"
    ramp = np.tile(np.linspace(20, 230, 600).astype(np.uint8)[None, :, None], (420, 1, 3))
    assert look(tmp_path, ramp).status == "declined"


def test_same_picture_same_finding_and_the_map_follows_the_orientation(tmp_path: Path) -> None:
    forged = Image.fromarray(noisier(photo(), 6))
    exif = Image.Exif()
    exif[0x0112] = 6
    plain, turned = tmp_path / "a.jpg", tmp_path / "b.jpg"
    forged.save(plain, quality=95)
    forged.save(turned, quality=95, exif=exif)
    first, again, side = (examine(Subject(p), Options()) for p in (plain, plain, turned))
    assert first == again
    assert strength(first) == strength(side)
    assert np.array_equal(heat(side), np.rot90(heat(first), -1))


def test_content_that_explains_the_values_is_taken_out() -> None:
    rng = np.random.default_rng(0)
    content = rng.normal(0, 1, (30, 40, 7)).astype(np.float32)
    values = np.dstack([content[..., 0] * 2 + content[..., 3] ** 2, content[..., 1] - 3.0])
    left = outliers.without_content(values, content)
    assert np.abs(left).max() < 0.05
    values[10:14, 10:14, 0] += 5
    assert outliers.without_content(values, content)[11:13, 11:13, 0].min() > 3


def test_the_distance_is_robust_against_a_tenth_of_outliers() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, (40, 40, 20))
    values[:4] += 4
    far = outliers.distance(values, np.ones((40, 40), bool), 12)
    assert far[:4].min() > far[4:].max()


@pytest.mark.parametrize(("h", "w", "side"), [(400, 600, 8), (1300, 1500, 16), (2400, 3200, 32)])
def test_cells_grow_with_the_picture(h: int, w: int, side: int) -> None:
    rng = np.random.default_rng(0)
    cells = measure(rng.integers(90, 160, (h, w), dtype=np.uint8), 8, 0.3)
    assert cells.side == side
    assert cells.patterns.shape == (h // side, w // side, 50)
    assert cells.usable.all()
    # frequencies: the squares sum to one
    assert np.allclose((cells.patterns**2).sum(2), 1, atol=1e-3)


@pytest.mark.kit
def test_photographs_of_the_kit_are_quiet(kit: Path) -> None:
    folders = ["div-openmvg-imagedataset_sceauxcastle", "div-beauwoods-photo-portfolio"]
    paths = [p for f in folders for p in sorted((kit / "images" / "real" / f).glob("*.jpg"))[:6]]
    scores = [strength(examine(Subject(p), Options())) for p in paths]
    assert len(scores) == 12
    assert sum((s or 0.0) >= REPORTED for s in scores) == 0
