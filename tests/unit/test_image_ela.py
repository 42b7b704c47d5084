"""image.ela: a picture to look at, never a score."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unmask.detectors.image_ela.detector import CARD, error_levels, examine
from unmask.options import Options
from unmask.report import Finding
from unmask.subject import Subject


def noise(h: int, w: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(40, 215, (h, w, 3)).astype(np.uint8)


def save(path: Path, pixels: NDArray[np.uint8], form: str, **options: object) -> Finding:
    Image.fromarray(pixels).save(path, form, **options)
    return examine(Subject(path), Options())


def shown(finding: Finding) -> NDArray[np.uint8]:
    data = finding.evidence[0].data
    assert data is not None
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(str(data["png"])))))


def test_new_part_is_brighter_than_a_part_saved_before(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(noise(256, 256)).save(buffer, "JPEG", quality=90, subsampling=0)
    pixels = np.asarray(Image.open(buffer).convert("RGB")).copy()
    pixels[64:128, 128:224] = noise(256, 256, 1)[64:128, 128:224]
    finding = save(tmp_path / "a.png", pixels, "PNG")
    assert (finding.status, finding.raw_score, finding.score) == ("ok", None, None)
    seen = shown(finding).astype(float)
    part = seen[8:16, 16:28].mean()
    seen[7:17, 15:29] = np.nan
    assert part > 1.3 * np.nanmean(seen)


def test_it_is_never_scored() -> None:
    assert not CARD.scored
    assert CARD.calibration is None


def test_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    finding = save(tmp_path / "a.jpg", noise(160, 320), "JPEG", exif=exif)
    assert shown(finding).shape == (40, 20)


def test_blank_and_tiny_are_declined(tmp_path: Path) -> None:
    blank = save(tmp_path / "a.png", np.full((200, 200, 3), 128, np.uint8), "PNG")
    assert (blank.status, blank.reason.code) == ("declined", "ela.blank")
    tiny = save(tmp_path / "b.png", noise(9, 9), "PNG")
    assert (tiny.status, tiny.reason.code) == ("declined", "ela.small")


def test_large_pictures_are_thinned_on_the_grid() -> None:
    luma = np.ascontiguousarray(noise(2000, 3003)[..., 0])
    luma[:, 1600:] = 128
    levels, sampled = error_levels(luma, 90)
    assert sampled
    assert levels.shape == (125, 188)
    assert levels[:, 101:].max() == 0
    assert levels[:, :99].min() > 0


def test_odd_sizes_and_same_answer(tmp_path: Path) -> None:
    first = save(tmp_path / "a.png", noise(101, 77), "PNG")
    assert first == save(tmp_path / "a.png", noise(101, 77), "PNG")
    assert shown(first).shape == (13, 10)
