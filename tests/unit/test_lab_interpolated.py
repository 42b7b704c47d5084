"""The study of interpolated frames: what it measures of made films, and how it tells them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from media_made import pan, write_film

from unmask_lab.evaluate import interpolated as study


@pytest.fixture(scope="module")
def shot() -> study.Clip:
    """A shaken pan, small."""
    return [np.ascontiguousarray(frame[:120, :160]) for frame in pan(40, step=1.0, shake=1.5)]


def scores(frames: study.Clip) -> dict[str, float]:
    return {name: study.alternation(study.against_neighbours(v)) for name, v in study.curves(frames).items()}


def test_frames_between_others_stand_out_in_the_motion(shot: study.Clip) -> None:
    before, after = scores(shot), scores(study.halved(shot))
    assert before["acc"] < 3
    assert after["acc"] > 5
    assert after["lin"] > before["lin"]


def test_doubling_gives_as_many_frames(shot: study.Clip) -> None:
    made = study.doubled(shot, "blend")
    assert 30 <= len(made) <= 40
    assert made[0].shape == shot[0].shape
    assert scores(made)["lin"] > 3


def test_coding_again_keeps_frames_and_tells_types(shot: study.Clip) -> None:
    frames, types = study.decoded(study.coded(shot, study.Coding(30, 0.5, (("bf", "1"), ("b_strategy", "0")))))
    assert len(frames) == len(types) == 40
    assert frames[0].shape == (60, 80, 3)
    assert types.count("B") >= 18


def test_frames_are_held_against_those_at_their_place() -> None:
    types = list("IBPBBPBPBBPBPBBP")
    assert study.places(types)[:6] == ["anchor", "1 of 2", "anchor", "1 of 3", "2 of 3", "anchor"]
    # All B-frames low: no difference is left among frames at the same place.
    values = np.array([0.0 if kind == "B" else 1.0 for kind in types])
    left = study.among_alike(values, types, least=3)
    assert np.nanmax(np.abs(left)) == 0
    assert study.alternation(values) != study.alternation(left)
    assert study.alternation(np.full(20, np.nan)) == 0


def test_levels_come_from_the_other_half() -> None:
    keys = [f"{begin}{short}" for short in study.CURVES.values() for begin in ("", "alike ")]
    halves = study.making.halves_of(["a", "b", "c", "d"])
    found = [
        study.Measured(film, name, dict.fromkeys(keys, value if half == "test" else 2.0))
        for film, half in halves.items()
        for name, value in (("h20", 1.0), ("h38-20", 3.0), ("dis2-20", 9.0))
    ]
    lines = list(study.table(found))
    assert lines[2].startswith("| level")
    assert "| untouched, CRF 20 | 0 of 2; 1.0 |" in lines[3]
    assert lines[4].count("2 of 2; 3.0") == len(keys)


def test_what_is_kept_is_not_made_again(tmp_path: Path, shot: study.Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    film = write_film(tmp_path / "one.mp4", shot, crf=20)
    monkeypatch.setattr(study, "VARIANTS", {name: study.VARIANTS[name] for name in ("h20", "dis2-20")})
    first = list(study.measure([film], tmp_path / "kept"))
    film.unlink()
    assert list(study.measure([film], tmp_path / "kept")) == first
    assert {one.variant for one in first} == {"h20", "dis2-20"}
    assert set(first[0].scores) >= {"acc", "alike acc"}
