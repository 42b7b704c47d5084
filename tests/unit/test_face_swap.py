"""face.swap: which faces are examined, what is said of them, and where the map lies."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from faces_made import scene
from numpy.typing import NDArray
from PIL import Image
from tower_made import make_tower

from unmask.card import find_cards
from unmask.detectors.face_swap import detector
from unmask.detectors.face_swap.faces import (
    MARGIN,
    PROBE,
    SIDE,
    FaceScore,
    crowd_score,
    heat,
    score_faces,
    tower_scores,
)
from unmask.errors import ModelError
from unmask.execution.work import run_one
from unmask.faces import Face, crop, detect
from unmask.faces.align import TEMPLATE
from unmask.models import runtime, store, tower
from unmask.options import Options
from unmask.report import Finding
from unmask.subject import Subject

CARD = next(card for card in find_cards() if card.id == "face.swap")
P = CARD.parameters
Picture = NDArray[np.uint8]


def face_at(x: float, y: float, side: float, sharpness: float = 0.6) -> Face:
    """A face whose aligned square without margin is the square at x, y."""
    points = (TEMPLATE * side + (x, y)).astype(np.float32)
    return Face((x + side * 0.15, y + side * 0.2, side * 0.7, side * 0.7), points, 0.9, 0.99, sharpness)


def examine(path: Path) -> Finding:
    return run_one(CARD, Subject(path), Options())


def saved(path: Path, rgb: Picture) -> Path:
    Image.fromarray(rgb).save(path)
    return path


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[float]]:
    """Makes the network answer as the test says: scores and distances, face by face."""
    told: dict[str, list[float]] = {"score": [0.0], "distance": [0.5]}

    def answer(rgb: Picture, faces: list[Face]) -> list[FaceScore]:
        assert rgb.dtype == np.uint8
        cells = np.full((10, 10), 0.5, np.float32)
        return [
            FaceScore(face, told["score"][i % len(told["score"])], cells, told["distance"][i % len(told["distance"])])
            for i, face in enumerate(faces)
        ]

    monkeypatch.setattr(detector, "score_faces", answer)
    monkeypatch.setattr(detector, "tower_scores", lambda rgb, faces: ModelError("model.unknown", "none"))
    return told


def test_a_picture_without_a_face_is_not_judged(tmp_path: Path) -> None:
    finding = examine(saved(tmp_path / "a.png", scene()))
    assert (finding.status, finding.reason.code) == ("not_applicable", "swap.no_face")


def test_small_and_blurred_faces_are_declined(tmp_path: Path, answers: dict[str, list[float]]) -> None:
    small = examine(saved(tmp_path / "a.png", scene((100, 100, 70), size=(320, 320))))
    assert (small.status, small.reason.code) == ("declined", "swap.small_faces")
    blurred = cv2.GaussianBlur(scene((100, 100, 300)), (0, 0), 9)
    finding = examine(saved(tmp_path / "b.png", np.asarray(blurred, np.uint8)))
    assert (finding.status, finding.reason.code) == ("declined", "swap.blurred")


def test_signs_are_told_with_the_face_and_its_place(tmp_path: Path, answers: dict[str, list[float]]) -> None:
    answers["score"] = [P["report_above_small"] + 3, P["report_above_small"] - 3]
    path = saved(tmp_path / "a.png", scene((40, 60, 280), (380, 120, 200)))
    finding = examine(path)
    assert (finding.status, finding.reason.code) == ("ok", "swap.signs")
    assert "Face 1 of 2" in finding.reason.text
    boxes = next(e for e in finding.evidence if e.kind == "boxes").data
    labels = [box["label"] for box in boxes["boxes"]]  # type: ignore[index, union-attr]
    assert [label.split(" (")[0] for label in labels] == ["face 1: signs of blending", "face 2: no clear sign"]
    region = next(e for e in finding.evidence if e.kind == "heatmap").region
    assert region is not None
    assert 40 <= region.x + region.w / 2 <= 320


def test_more_faces_need_a_higher_score(tmp_path: Path, answers: dict[str, list[float]]) -> None:
    answers["score"] = [P["report_above_small"] + 0.1 * P["crowd_slope"]]
    one = examine(saved(tmp_path / "a.png", scene((40, 60, 240))))
    two = examine(saved(tmp_path / "b.png", scene((40, 60, 240), (340, 60, 240))))
    assert one.reason.code == "swap.signs"
    assert two.reason.code == "swap.none"
    assert one.raw_score is not None
    assert two.raw_score is not None
    assert one.raw_score - two.raw_score == pytest.approx(P["crowd_slope"] * np.log(2), abs=1e-6)


def test_faces_unlike_the_training_are_left_out_or_declined(tmp_path: Path, answers: dict[str, list[float]]) -> None:
    path = saved(tmp_path / "a.png", scene((40, 60, 240), (340, 60, 240)))
    answers["score"], answers["distance"] = [9.0, -5.0], [P["drift_limit_small"] + 1, 0.5]
    finding = examine(path)
    assert (finding.status, finding.raw_score) == ("ok", -5.0)
    assert any(e.data.get("value") == "1 of 2" for e in finding.evidence if e.kind == "fact")
    answers["distance"] = [P["drift_limit_small"] + 1]
    assert (examine(path).status, examine(path).reason.code) == ("declined", "drift.unlike_training")


def test_the_tower_speaks_where_it_is_installed(
    tmp_path: Path, answers: dict[str, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "a.png", scene((40, 60, 280), (380, 120, 200)))
    answers["score"] = [1.0, 2.0]
    alone = examine(path)
    assert (alone.stratum, alone.raw_score) == ("small", pytest.approx(2.0 - P["crowd_slope"] * np.log(2)))
    assert any("models get clip-vit-b16" in e.text for e in alone.evidence if e.kind == "fact")
    monkeypatch.setattr(detector, "tower_scores", lambda rgb, faces: [4.0, -1.0])
    both = examine(path)
    best = 1.0 + 4.0 * P["tower_weight"]
    assert (both.stratum, both.raw_score) == ("tower", pytest.approx(best - P["crowd_slope"] * np.log(2)))
    assert not any("models get" in e.text for e in both.evidence)
    assert both.score != alone.score


def test_the_head_is_asked_about_what_the_tower_says_of_the_face(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNMASK_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(runtime, "_sessions", {})
    faces = [face_at(200, 100, 120), face_at(20, 30, 100)]
    none = tower_scores(scene((140, 40, 120)), faces)
    assert isinstance(none, ModelError) and none.code == "model.unknown"
    known = store.reference_input(store.find_model(PROBE))["tokens"][0]
    make_tower(tmp_path / "models", {f"cls{block}": known[i] for i, block in enumerate(tower.BLOCKS)})
    found = tower_scores(scene((140, 40, 120)), faces)
    assert isinstance(found, list) and len(found) == 2 and np.isfinite(found).all() and found[0] != found[1]


def test_a_picture_that_exif_turns_is_marked_upright(tmp_path: Path, answers: dict[str, list[float]]) -> None:
    answers["score"] = [P["report_above_small"] + 3]
    upright = scene((40, 60, 280))
    exif = Image.Exif()
    exif[0x0112] = 6  # the picture must be turned by 90 degrees clockwise
    Image.fromarray(np.rot90(upright)).save(tmp_path / "a.jpg", exif=exif, quality=95)
    finding = examine(tmp_path / "a.jpg")
    region = next(e for e in finding.evidence if e.kind == "heatmap").region
    assert region is not None
    assert 40 <= region.x + region.w / 2 <= 320
    assert 60 <= region.y + region.h / 2 <= 340


def test_crowd_score_is_the_highest_of_one() -> None:
    assert crowd_score([1.5], 0.7) == 1.5
    assert crowd_score([1.5, -4.0, 0.2], 0.7) == pytest.approx(1.5 - 0.7 * np.log(3))


def test_the_map_lies_on_the_face() -> None:
    face = face_at(200, 100, 120)
    cells = np.zeros((10, 10), np.float32)
    cells[:, 5:] = 1.0
    found = heat((400, 600), [FaceScore(face, 1.0, cells, 0.5)], 300)
    assert found.shape == (200, 300)
    spots = np.argwhere(found > 0.9) * 2
    # The right half of the square with its margin: from the middle of the face to its right border.
    assert spots[:, 1].min() == pytest.approx(260, abs=10)
    assert spots[:, 1].max() == pytest.approx(320 + MARGIN * 120, abs=12)
    assert spots[:, 0].min() == pytest.approx(100 - MARGIN * 120, abs=12)
    assert spots[:, 0].max() == pytest.approx(220 + MARGIN * 120, abs=12)


def test_maps_of_two_faces_keep_the_stronger() -> None:
    faces = [face_at(100, 100, 100), face_at(150, 100, 100)]
    scored = [FaceScore(f, 0.0, np.full((10, 10), v, np.float32), 0.5) for f, v in zip(faces, (0.2, 0.7), strict=True)]
    found = heat((300, 400), scored, 400)
    assert found[150, 110] == pytest.approx(0.2, abs=0.02)
    assert found[150, 200] == pytest.approx(0.7, abs=0.02)
    assert found.max() <= 0.7 + 1e-5


def test_the_network_answers_one_number_a_face() -> None:
    rgb = scene((60, 60, 320))
    found = detect(rgb)
    assert crop(rgb, found[0], SIDE, MARGIN).shape == (SIDE, SIDE, 3)
    scored = score_faces(rgb, found)
    assert len(scored) == len(found) >= 1
    assert np.isfinite([scored[0].score, scored[0].distance]).all()
    assert scored[0].cells.shape == (14, 14)
    assert 0 <= scored[0].cells.min() <= scored[0].cells.max() <= 1
    assert score_faces(rgb, []) == []
