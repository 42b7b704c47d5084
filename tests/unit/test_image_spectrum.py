"""image.spectrum on made and real subjects: resized, with peaks put in, tiny and flat ones."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unmask.detectors.image_spectrum.detector import CARD, examine
from unmask.detectors.image_spectrum.spectrum import TILE, interpolation_rhythm, residual_spectrum
from unmask.options import Options
from unmask.report import Finding
from unmask.subject import Subject


def texture(seed: int, width: int = 480, height: int = 400) -> Image.Image:
    rng = np.random.default_rng(seed)
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    spectrum = np.fft.rfft2(rng.standard_normal((height, width))) / np.maximum(np.hypot(fy, fx), 0.01)
    field = np.fft.irfft2(spectrum, (height, width))
    field = 128 + 35 * field / field.std() + 3.0 * rng.standard_normal((height, width))
    return Image.fromarray(np.clip(field, 2, 253).astype(np.uint8))


def look(folder: Path, image: Image.Image, name: str = "a.png", **save: object) -> Finding:
    path = folder / name
    image.save(path, **save)
    return examine(Subject(path), Options())


def values(finding: Finding) -> dict[str, str]:
    return {e.title: str((e.data or {})["value"]) for e in finding.evidence if e.kind == "fact"}


@pytest.mark.parametrize(("factor", "quality"), [(1.3, None), (1.3, 85), (1.7, None), (1.7, 90)])
def test_enlarged(tmp_path: Path, factor: float, quality: int | None) -> None:
    image = texture(1)
    size = (int(image.width * factor), int(image.height * factor))
    image = image.resize(size, Image.Resampling.BICUBIC)
    name, save = ("a.png", {}) if quality is None else ("a.jpg", {"quality": quality})
    finding = look(tmp_path, image, name, **save)
    assert finding.reason.code == "spectrum.resampled"
    facts = values(finding)
    assert f"{factor:.2f}"[:3] in facts["Resize rhythm across"]
    assert facts["Same rhythm both ways"] == "True"
    assert finding.raw_score is None and finding.score is None


def test_untouched_and_jpeg(tmp_path: Path) -> None:
    assert look(tmp_path, texture(2)).reason.code == "spectrum.none"
    assert look(tmp_path, texture(2), "a.jpg", quality=75).reason.code == "spectrum.none"


def test_peaks_off_the_jpeg_grid(tmp_path: Path) -> None:
    y, x = np.mgrid[:400, :480]
    wave = 2.5 * np.cos(2 * np.pi * (20 * x + 27 * y) / TILE)
    image = Image.fromarray(np.clip(np.asarray(texture(3)) + wave, 0, 255).astype(np.uint8))
    finding = look(tmp_path, image)
    assert finding.reason.code == "spectrum.peaks"
    assert "(0.156, 0.211)" in values(finding)["Peaks beside JPEG's"]


def test_both_plots_are_there(tmp_path: Path) -> None:
    finding = look(tmp_path, texture(4))
    plots = [e for e in finding.evidence if e.kind == "plot"]
    assert len(plots) == 2
    for p in plots:
        assert p.data is not None
        assert {m["x"] for m in p.data["marks"]} >= {0.125, 0.25, 0.375, 0.5}  # type: ignore[union-attr,call-overload,index]


def test_declines(tmp_path: Path) -> None:
    assert look(tmp_path, texture(1, 150, 300)).reason.code == "spectrum.too_small"
    flat = look(tmp_path, Image.new("L", (300, 300), 90), "b.png")
    assert flat.status == "declined" and flat.reason.code == "spectrum.too_flat"


def test_same_subject_same_finding(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    texture(5).save(path, quality=90)
    assert examine(Subject(path), Options()) == examine(Subject(path), Options())


def test_noise_spectrum_is_level() -> None:
    luma = np.random.default_rng(1).normal(128, 20, (600, 600)).clip(0, 255).astype(np.uint8)
    spectrum = residual_spectrum(luma, 100, 0.3)
    assert spectrum is not None and spectrum.tiles > 20
    assert spectrum.z.shape == (TILE, TILE // 2 + 1)
    assert abs(float(np.median(spectrum.z))) < 0.5
    assert float(spectrum.z.max()) < CARD.parameters["peak_z"]


def test_rhythm_of_enlarging_by_one_and_a_quarter() -> None:
    image = texture(6, 320, 256).resize((400, 320), Image.Resampling.BILINEAR)
    curve = interpolation_rhythm(np.asarray(image), 1, 700)
    assert abs(int(np.argmax(curve)) / (2 * (len(curve) - 1)) - 0.2) < 0.006  # 1/1.25 = 0.8, seen at 1 - 0.8


@pytest.mark.kit
def test_real_picture_enlarged(kit: Path, tmp_path: Path) -> None:
    files = sorted((kit / "images/real/imagenet-sample-images").glob("*"))
    file = [f for f in files if min(Image.open(f).size) >= 330][1]
    image = Image.open(file).convert("RGB")
    image = image.resize((int(image.width * 1.45), int(image.height * 1.45)), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    path = tmp_path / "a.jpg"
    path.write_bytes(buffer.getvalue())
    assert examine(Subject(path), Options()).reason.code == "spectrum.resampled"
