"""image.synthetic: views, patches, what it declines, and which network answered."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tower_made import make_tower

from unmask.detectors.image_synthetic import detector, networks, views
from unmask.models import runtime, store, tower
from unmask.options import Options
from unmask.subject import Subject


def textured(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Blurred noise over a slope: no flat tile."""
    rng = np.random.default_rng(seed)
    base = cv2.GaussianBlur(rng.normal(0, 1, (height, width, 3)).astype(np.float32), (0, 0), 2) * 160
    slope = np.linspace(60, 190, width, dtype=np.float32)[None, :, None]
    return np.clip(base + slope + rng.normal(0, 4, (height, width, 3)), 0, 255).astype(np.uint8)


def saved(folder: Path, pixels: NDArray[np.uint8], name: str = "a.png") -> Path:
    Image.fromarray(pixels).save(folder / name)
    return folder / name


def examine(path: Path) -> detector.Finding:
    return detector.examine(Subject(path), Options())


@pytest.mark.parametrize(
    ("height", "width"), [(160, 160), (224, 224), (300, 900), (1000, 1000), (1600, 1067), (90, 1600)]
)
def test_patches_lie_inside_and_are_few(height: int, width: int) -> None:
    at = views.places(height, width, 9)
    assert 1 <= len(at) <= 9 and len(set(at)) == len(at)
    for y, x in at:
        assert 0 <= y <= max(0, height - views.SIDE) and 0 <= x <= max(0, width - views.SIDE)


def test_patches_cover_a_picture_that_needs_no_more_than_allowed() -> None:
    covered = np.zeros((600, 430), bool)
    for y, x in views.places(600, 430, 9):
        covered[y : y + views.SIDE, x : x + views.SIDE] = True
    assert covered.all()


def test_large_pictures_are_reduced_and_small_ones_kept() -> None:
    assert views.bounded(np.zeros((2000, 3000, 3), np.uint8)).shape == (1066, 1600, 3)
    small = textured(300, 400)
    assert views.bounded(small) is small


def test_a_patch_of_a_small_picture_is_mirrored_not_stretched() -> None:
    pixels = textured(180, 230)
    part = views.patch(pixels, 0, 0)
    assert part.shape == (224, 224, 3)
    assert np.array_equal(part[:180], pixels[:, :224])
    assert np.array_equal(part[180], pixels[179, :224])


def test_the_tower_sees_clips_own_units() -> None:
    white = tower.for_tower(np.full((224, 224, 3), 255, np.uint8))
    assert white.shape == (1, 3, 224, 224)
    assert white[0, :, 0, 0] == pytest.approx([1.930336, 2.074884, 2.145897], abs=1e-5)


def test_flat_share_tells_paper_from_photographs() -> None:
    page = np.full((400, 400, 3), 255, np.uint8)
    page[100:130, 40:300] = textured(30, 260)
    assert detector.flat_share(page) > 0.85
    assert detector.flat_share(textured(400, 400)) < 0.05


def test_heat_is_bright_where_the_patch_scores_high() -> None:
    patches = networks.Patches(np.asarray([-6.0, 6.0], np.float32), [(0, 0), (0, 576)])
    heat = detector.heat(patches, 224, 800)
    assert heat.shape == (14, 50)
    assert heat[:, :10].max() < 0.1 and heat[:, -10:].min() > 0.9
    assert 0.2 < heat[7, 25] < 0.8


def test_a_family_is_named_only_when_it_stands_out() -> None:
    even = np.zeros(len(networks.FAMILIES), np.float32)
    assert detector.name_family(even) == ""
    even[1] = 9
    assert detector.name_family(even) == networks.FAMILIES[1]


@pytest.mark.parametrize(
    ("pixels", "code"),
    [
        (np.full((100, 400, 3), 90, np.uint8), "synthetic.too_small"),
        (np.full((400, 400, 3), 255, np.uint8), "synthetic.flat"),
        (textured(200, 3000), "synthetic.odd_shape"),
    ],
)
def test_what_cannot_be_judged_is_declined(pixels: NDArray[np.uint8], code: str, tmp_path: Path) -> None:
    finding = examine(saved(tmp_path, pixels))
    assert (finding.status, finding.reason.code) == ("declined", code)


def test_a_picture_that_seems_enlarged_may_be_a_photograph() -> None:
    def told(family: str) -> str:
        opinion = networks.Opinion(9.0, np.zeros(len(networks.FAMILIES), np.float32), 0.1)
        patches = networks.Patches(np.zeros(1, np.float32), [(0, 0)])
        return detector._sentence(detector.Answer(9.0, "tower", family, 0.1, opinion, patches, ""), True)

    assert "may be a photograph" in told(networks.ENLARGED) and "may be a photograph" not in told(networks.FAMILIES[1])
    assert "cannot be told" in told("")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for the user's models; sessions made with it are forgotten."""
    monkeypatch.setenv("UNMASK_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(runtime, "_sessions", {})
    return tmp_path / "models"


def known_tokens() -> dict[str, NDArray[np.float32]]:
    """Class tokens of a picture that the head knows: its own reference input."""
    tokens = store.reference_input(store.find_model(networks.PROBE))["tokens"][0]
    return {f"cls{block}": tokens[i] for i, block in enumerate(tower.BLOCKS)}


def facts(finding: detector.Finding) -> str:
    return " ".join(f"{e.data['value']} {e.text}" for e in finding.evidence if e.kind == "fact" and e.data)


def test_without_the_tower_the_small_network_answers_and_says_so(examples: Path, home: Path) -> None:
    finding = examine(examples / "dandelion.jpg")
    assert (finding.status, finding.stratum) == ("ok", "small")
    assert "small network alone" in facts(finding) and "unmask models get clip-vit-b16" in facts(finding)
    assert finding.score is not None and any(e.kind == "heatmap" for e in finding.evidence)


def test_with_the_tower_its_head_answers(examples: Path, home: Path) -> None:
    make_tower(home, known_tokens())
    finding = examine(examples / "dandelion.jpg")
    assert (finding.status, finding.stratum) == ("ok", "tower")
    assert "CLIP tower" in facts(finding) and "models get" not in facts(finding)
    assert finding.raw_score != examine_alone(examples / "dandelion.jpg").raw


def examine_alone(path: Path) -> networks.Opinion | detector.Answer:
    pixels = views.bounded(Subject(path).image.rgb)
    small, patches = networks.ask_small(pixels, 2, 0.5)
    return detector.Answer(small.score, "small", "", small.distance, small, patches, "")


def test_a_tower_that_gives_other_numbers_is_not_believed(examples: Path, home: Path) -> None:
    make_tower(home, known_tokens(), spoilt=True)
    finding = examine(examples / "dandelion.jpg")
    assert finding.stratum == "small" and "other numbers on this machine" in facts(finding)


def test_a_broken_card_of_the_tower_leaves_the_small_network(examples: Path, home: Path) -> None:
    (make_tower(home, known_tokens()) / "model.toml").write_text("id = ")
    finding = examine(examples / "dandelion.jpg")
    assert finding.stratum == "small" and "not valid TOML" in facts(finding)


def test_a_picture_unlike_all_training_is_declined(examples: Path, home: Path) -> None:
    make_tower(home, {name: 40 * tokens for name, tokens in known_tokens().items()})
    finding = examine(examples / "dandelion.jpg")
    assert (finding.status, finding.reason.code) == ("declined", "drift.unlike_training")


def test_the_number_of_patches_is_bounded(examples: Path) -> None:
    pixels = textured(1600, 1600)
    _, patches = networks.ask_small(pixels, 3, 0.5)
    assert len(patches.scores) <= 3


def test_the_same_picture_gives_the_same_finding(examples: Path, home: Path) -> None:
    assert examine(examples / "dogs.jpg") == examine(examples / "dogs.jpg")
