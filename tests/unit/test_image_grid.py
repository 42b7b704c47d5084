"""image.grid on made and real subjects: spliced, cropped, resized, framed, tiny and flat ones."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unmask.detectors.image_grid.detector import CARD, examine
from unmask.detectors.image_grid.regions import log10_tail, main_grid
from unmask.detectors.image_grid.votes import PHASES, choose_stride, count_zeros, vote
from unmask.options import Options
from unmask.report import Finding
from unmask.subject import Subject


def texture(seed: int, width: int = 512, height: int = 448) -> Image.Image:
    """A photograph-like field: noise with a falling spectrum, some of it rough and some smooth, plus edges."""
    rng = np.random.default_rng(seed)
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    spectrum = np.fft.rfft2(rng.standard_normal((height, width))) / np.maximum(np.hypot(fy, fx), 0.01) ** 1.1
    field = np.fft.irfft2(spectrum, (height, width))
    field = 128 + 38 * field / field.std() + 2.0 * rng.standard_normal((height, width))
    field[height // 3 :, width // 2 :] += 20
    return Image.fromarray(np.clip(np.dstack([field, field * 0.9, field * 0.8]), 2, 253).astype(np.uint8))


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def splice(at: tuple[int, int], size: int = 160, donor: Image.Image | None = None) -> Image.Image:
    """A square of another JPEG, cut on the donor's grid, pasted at ``at`` into a JPEG."""
    host = jpeg(texture(1), 85)
    host.paste((donor or jpeg(texture(2), 75)).crop((64, 64, 64 + size, 64 + size)), at)
    return host


def look(folder: Path, image: Image.Image, name: str = "a.png", **save: object) -> Finding:
    path = folder / name
    image.save(path, **save)
    return examine(Subject(path), Options())


def test_foreign_grid_is_found_where_it_is(tmp_path: Path) -> None:
    finding = look(tmp_path, splice((203, 133)))
    assert finding.reason.code == "grid.foreign"
    assert finding.raw_score is not None and finding.raw_score > 20
    boxes = next(e for e in finding.evidence if e.kind == "boxes")
    assert boxes.region is not None
    box = boxes.region
    assert abs(box.x - 203) < 24 and abs(box.y - 133) < 24
    assert abs(box.w - 160) < 40 and abs(box.h - 160) < 40
    assert "(3, 5)" in str(boxes.data)
    assert {e.kind for e in finding.evidence} == {"fact", "boxes", "heatmap"}


def test_foreign_grid_survives_a_good_save(tmp_path: Path) -> None:
    finding = look(tmp_path, splice((203, 133)), "a.jpg", quality=97)
    assert finding.reason.code == "grid.foreign"
    assert finding.raw_score is not None and finding.raw_score > 5


def test_box_is_turned_with_the_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter clockwise: (x, y) becomes (height - y, x)
    finding = look(tmp_path, splice((203, 133)), "a.jpg", quality=97, exif=exif)
    region = next(e.region for e in finding.evidence if e.kind == "boxes")
    assert region is not None
    assert abs(region.y - 203) < 24 and abs(region.x - (448 - 133 - 160)) < 30


def test_same_grid_is_not_foreign(tmp_path: Path) -> None:
    finding = look(tmp_path, splice((200, 136)))
    assert finding.reason.code == "grid.uniform" and finding.raw_score == 0


def test_missing_grid(tmp_path: Path) -> None:
    finding = look(tmp_path, splice((203, 133), donor=texture(2)))
    assert finding.reason.code == "grid.missing"
    assert finding.raw_score is not None and finding.raw_score > 5


@pytest.mark.parametrize("quality", [60, 75, 85, 90, 95, 98])
def test_crop_and_new_save_is_no_sign(tmp_path: Path, quality: int) -> None:
    cropped = jpeg(texture(3), 75).crop((3, 5, 500, 440))
    finding = look(tmp_path, cropped, "a.jpg", quality=quality)
    assert finding.status == "ok" and finding.raw_score == 0


def test_main_grid_off_the_corner_is_a_fact_only(tmp_path: Path) -> None:
    finding = look(tmp_path, jpeg(texture(3), 80).crop((3, 5, 500, 440)))
    assert finding.raw_score == 0
    assert finding.evidence[0].data is not None
    assert finding.evidence[0].data["value"] == "5 px right, 3 px down"
    assert "cropped" in finding.evidence[0].text


@pytest.mark.parametrize("factor", [0.6, 0.77, 0.97, 1.03, 1.5, 2.0])
@pytest.mark.parametrize("quality", [None, 85])
def test_resized_is_hardly_scored(tmp_path: Path, factor: float, quality: int | None) -> None:
    image = jpeg(texture(4), 75)
    image = image.resize((int(image.width * factor), int(image.height * factor)), Image.Resampling.BILINEAR)
    image = image if quality is None else jpeg(image, quality)
    finding = look(tmp_path, image)
    assert finding.raw_score is None or finding.raw_score <= 1


def test_pixel_doubled_and_dithered(tmp_path: Path) -> None:
    image = jpeg(texture(5, 256, 224), 80)
    doubled = image.resize((512, 448), Image.Resampling.NEAREST)
    assert (look(tmp_path, doubled).raw_score or 0) <= 1
    assert (look(tmp_path, texture(6).convert("L").convert("1"), "b.png").raw_score or 0) <= 1
    assert (look(tmp_path, texture(6).quantize(16), "a.gif").raw_score or 0) <= 1


def test_never_compressed(tmp_path: Path) -> None:
    finding = look(tmp_path, texture(7))
    assert finding.reason.code == "grid.none" and finding.raw_score == 0


def test_pictures_on_a_page_are_a_collage(tmp_path: Path) -> None:
    page = Image.new("RGB", (900, 700), "white")
    for i, at in enumerate([(21, 34), (470, 43), (29, 380)]):
        page.paste(jpeg(texture(10 + i, 400, 300), 80), at)
    finding = look(tmp_path, page)
    assert finding.reason.code == "grid.collage"
    assert finding.raw_score is not None and finding.raw_score <= 1


def test_black_frame(tmp_path: Path) -> None:
    framed = Image.new("RGB", (560, 520))
    framed.paste(jpeg(texture(8), 80), (21, 43))
    assert (look(tmp_path, framed).raw_score or 0) <= 1
    assert (look(tmp_path, framed, "a.jpg", quality=90).raw_score or 0) <= 1


def test_declines(tmp_path: Path) -> None:
    assert look(tmp_path, texture(1, 100, 100)).reason.code == "grid.too_small"
    flat = look(tmp_path, Image.new("RGB", (300, 300), "grey"), "b.png")
    assert flat.status == "declined" and flat.reason.code == "grid.too_few_votes"
    thin = look(tmp_path, texture(1, 2000, 130), "c.png")
    assert thin.status == "ok"


def test_same_subject_same_finding(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    splice((203, 133)).save(path)
    assert examine(Subject(path), Options()) == examine(Subject(path), Options())


def test_votes_name_the_grid() -> None:
    luma = np.asarray(jpeg(texture(9), 75).convert("L"))[2:, 6:]
    votes = vote(count_zeros(luma), luma)
    label, log_nfa, share = main_grid(votes)
    assert divmod(label, 8) == (6, 2)
    assert log_nfa < -100 and share > 0.5


def test_noise_votes_for_nothing() -> None:
    luma = np.random.default_rng(0).integers(2, 253, (700, 700)).astype(np.uint8)
    votes = vote(count_zeros(luma), luma)
    counts = np.bincount(votes[votes >= 0].ravel(), minlength=PHASES)
    assert counts.sum() > 1000
    assert counts.max() < 3 * counts.mean()
    assert main_grid(votes)[1] > -2


def test_chernoff_bounds_the_binomial_tail() -> None:
    from scipy.stats import binom

    for k, n, p in [(5, 20, 1 / 64), (12, 200, 1 / 64), (60, 100, 0.4)]:
        bound = log10_tail(np.array([float(k)]), np.array([float(n)]), p)[0]
        assert np.log10(binom.sf(k - 1, n, p)) <= bound < 0
    assert log10_tail(np.array([1.0]), np.array([100.0]), 0.5)[0] == 0


def test_large_pictures_are_thinned() -> None:
    assert choose_stride(576, 576, int(CARD.parameters["max_cells"])) == 9
    assert choose_stride(3000, 4000, int(CARD.parameters["max_cells"])) == 17


@pytest.mark.kit
def test_real_pictures_saved_again(kit: Path, tmp_path: Path) -> None:
    files = sorted((kit / "images/real/div-google-coral-test_data").glob("*"))[:6]
    assert files
    for i, file in enumerate(files):
        image = Image.open(file).convert("RGB")
        for q in (75, 90, 96):
            finding = look(tmp_path, image.crop((3, 6, *image.size)), f"{i}-{q}.jpg", quality=q)
            assert (finding.raw_score or 0) < 4, file


@pytest.mark.kit
def test_real_splice(kit: Path, tmp_path: Path) -> None:
    files = [
        f for f in sorted((kit / "images/real/imagenet-sample-images").glob("*")) if min(Image.open(f).size) >= 330
    ]
    host, donor = (Image.open(f).convert("RGB") for f in files[1:3])
    host.paste(jpeg(donor, 80).crop((64, 64, 224, 224)), (107, 85))
    finding = look(tmp_path, host)
    assert finding.reason.code == "grid.foreign"
    assert finding.raw_score is not None and finding.raw_score > 10
