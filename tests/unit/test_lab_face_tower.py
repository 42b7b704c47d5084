"""The recipe of face.swap with CLIP's tower, end to end on drawn faces and a tower that only sees colours."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from test_lab_faces import banked  # noqa: E402

from unmask.models.store import read_model_card  # noqa: E402
from unmask.models.tower import BLOCKS  # noqa: E402
from unmask_lab import face_bank, scores  # noqa: E402
from unmask_lab.evaluate.metrics import auc  # noqa: E402
from unmask_lab.train.options import TrainOptions  # noqa: E402
from unmask_lab.train.recipes import face_swap as small  # noqa: E402
from unmask_lab.train.recipes import face_swap_tower as recipe  # noqa: E402


class Tower:
    """Class tokens that hold what differs from the neighbours, where CLIP's tower would be."""

    card = SimpleNamespace(inputs=[SimpleNamespace(name="pixels")])

    def run(self, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Both what the tower and what the small network would be asked."""
        if "face" in given:
            return {
                "score": np.array([given["face"].mean() / 100], np.float32),
                "distance": np.array([0.5], np.float32),
            }
        pixels = given["pixels"][0]
        rough = [np.abs(np.diff(pixels, axis=a)).mean() for a in (1, 2)]
        token = np.resize(np.array([*pixels.mean((1, 2)), *rough], np.float32), 768)
        return {f"cls{block}": token[None] * block for block in BLOCKS}


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainOptions:
    monkeypatch.setattr(recipe, "open_model", lambda name: Tower())
    monkeypatch.setattr(small, "VALIDATION_FACES", 2)
    (tmp_path / "manifest-images.csv").write_text("path,modality,label,method\n")
    sources = ["genconvit", "div-justadudewhohacks-face-api.js", *(f"s{i}" for i in range(8))]
    face_bank.write(tmp_path / "bank.npz", [banked(10 * s + i, name) for s, name in enumerate(sources) for i in (1, 2)])
    files = {"bank": tmp_path / "bank.npz"}
    return TrainOptions("face.swap_tower", tmp_path / "run", tmp_path, steps=2, fold=1, folds=2, files=files)


def test_one_command_goes_from_faces_to_a_model(options: TrainOptions, tmp_path: Path) -> None:
    told = dataclasses.replace(options, export=tmp_path / "face-swap-probe-1")
    recipe.train(told)
    log: dict[str, Any] = json.loads((told.folder / "log.json").read_text())
    assert set(log["validation_auc"]) == {"small", "head", "0.5", "1", "2", "3"}
    rows = scores.read(told.folder / "scores.csv")
    assert {row.stratum for row in rows} == {"small", "tower"} and {row.label for row in rows} == {0, 1}
    bank = face_bank.read(options.files["bank"])
    left = {face.origin.source for face in bank if small.outside(face, told)}
    assert {row.source for row in rows} == left, "only sources that never trained are scored"
    assert not {row.family for row in rows} & {"face_self_blend", "face_blend_other", "face_own_warp"}
    card = read_model_card(told.export or tmp_path)
    assert [one.name for one in card.inputs] == ["tokens"] and card.inputs[0].shape == (1, len(BLOCKS), 768)


def test_a_second_run_takes_what_the_tower_said_from_the_folder(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe.train(options)
    first = (options.folder / "scores.csv").read_text()

    def asked(faces: object) -> np.ndarray:
        pytest.fail("the tower was asked again")

    monkeypatch.setattr(recipe, "validation", lambda *_: {})
    monkeypatch.setattr(recipe, "looked", asked)
    recipe.train(options)
    assert (options.folder / "scores.csv").read_text() == first


def test_the_head_tells_apart_what_differs() -> None:
    rng = np.random.default_rng(0)
    tokens = rng.normal(0, 1, (200, len(BLOCKS), 768)).astype(np.float16)
    truth = np.arange(200) % 2 == 1
    tokens[truth, :, :4] += 3
    head = recipe.fit(tokens[:100], truth[:100])
    found = recipe.answers(head, tokens[100:])
    assert auc(found.astype(np.float64), truth[100:]) > 0.95


def test_pictures_that_were_repainted_whole_are_no_swaps() -> None:
    face = banked(1, "a", "fake")
    assert recipe.examined(face)
    for change in ({"method": "InstantID v1"}, {"native": 60.0}, {"sharpness": 0.2}):
        origin = dataclasses.replace(face.origin, **change)  # type: ignore[arg-type]
        assert not recipe.examined(dataclasses.replace(face, origin=origin)), change
