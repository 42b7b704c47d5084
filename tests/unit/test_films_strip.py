"""The small pictures of a film that a report shows on its time line."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from unmask import evidence
from unmask.execution.contract import Examination
from unmask.execution.work import send_preview
from unmask.films import strip
from unmask.report import SubjectInfo
from unmask.subject import Subject


def film(path: Path, frames: int, rate: int = 10, every: int = 5) -> Subject:
    """Grows from black to white, so that a frame tells its time; a key frame every so many."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 320, 180, "yuv420p", every
        for i in range(frames):
            picture = np.full((180, 320, 3), 20 + 200 * i // frames, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return Subject(path)


def shots(subject: Subject) -> list[dict[str, Any]]:
    found = strip.strip_of(subject.video)
    assert found is not None and found.kind == "frames" and found.data is not None
    return found.data["frames"]  # type: ignore[return-value]


def grey(shot: dict[str, Any]) -> float:
    return float(np.asarray(Image.open(io.BytesIO(base64.b64decode(shot["jpeg"]))).convert("L")).mean())


@pytest.mark.parametrize("short", [1500, 10])
def test_frames_are_spread_and_tell_their_time(tmp_path: Path, short: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strip, "SHORT_FRAMES", short)
    found = shots(film(tmp_path / "a.mp4", 240))
    times = [s["time"] for s in found]
    assert len(found) == 24 and times == sorted(set(times)) and times[0] < 1 and times[-1] > 22
    assert max(np.diff(times)) <= 1.6
    for shot in found:
        assert grey(shot) == pytest.approx(20 + 200 * shot["time"] * 10 / 240, abs=8)


def test_few_key_frames_are_not_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strip, "SHORT_FRAMES", 10)
    assert len(shots(film(tmp_path / "a.mp4", 120, every=100))) == 24


def test_short_films_give_what_they_have(tmp_path: Path) -> None:
    assert len(shots(film(tmp_path / "a.mp4", 3))) == 3
    assert strip.strip_of(film(tmp_path / "b.mp4", 1).video) is None


def test_the_strip_travels_with_the_preview(tmp_path: Path) -> None:
    sent: list[dict[str, Any]] = []
    send_preview(film(tmp_path / "a.mp4", 30), sent.append)
    assert [m["type"] for m in sent] == ["preview", "strip"]
    result = Examination(SubjectInfo(name="a.mp4"))
    for message in sent:
        result.take(message)
    assert result.subject.strip is not None and result.subject.preview


# The builder ------------------------------------------------------------------------------------------------


def test_pictures_are_few_and_small() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (720, 1280, 3), np.uint8)
    many = [evidence.Shot(float(i), noise) for i in range(100)]
    found = evidence.frames("a", "b", many, side=900).data
    assert found is not None
    items: list[dict[str, Any]] = found["frames"]  # type: ignore[assignment]
    assert 1 <= len(items) <= evidence.MAX_SHOTS
    assert sum(len(i["jpeg"]) for i in items) <= evidence.SHOTS_BYTES
    assert max(Image.open(io.BytesIO(base64.b64decode(items[0]["jpeg"]))).size) == evidence.MOST_SHOT_SIDE


def test_a_shot_has_its_map_and_box() -> None:
    heat = np.zeros((200, 100), np.float32)
    heat[:20], heat[180:] = 1.0, np.nan
    shot = evidence.Shot(1.23456789, np.zeros((200, 100, 3), np.uint8), "face 1", heat, (0.1, 0.2, 0.5, 1.5))
    made = evidence.frames("a", "b", [shot], "low", "high")
    assert made.data is not None and (made.start, made.data["low"], made.data["high"]) == (1.23456789, "low", "high")
    (item,) = made.data["frames"]  # type: ignore[misc,union-attr]
    assert isinstance(item, dict) and item["box"] == [0.1, 0.2, 0.5, 1.0] and item["time"] == 1.23457
    grey_map = np.asarray(Image.open(io.BytesIO(base64.b64decode(str(item["map"])))))
    assert grey_map.shape == (64, 32) and grey_map[0, 0] >= 254 and grey_map[-1, -1] == 0


def test_stretches_say_what_they_know() -> None:
    made = evidence.segments("a", "b", [(1, 2, "x"), evidence.Stretch(0.5, 3, "y", "Face 1", True, 9.87654321)]).data
    assert made is not None and made["count"] == 2
    assert made["segments"] == [
        {"start": 1, "end": 2, "label": "x"},
        {"start": 0.5, "end": 3, "label": "y", "lane": "Face 1", "sign": True, "score": 9.87654},
    ]


def test_plots_have_levels_where_there_are_some() -> None:
    plain = evidence.plot("a", "b", [0, 1], [("c", [1, 2])], "seconds", "y").data
    made = evidence.plot("a", "b", [0, 1], [("c", [1, 2])], "seconds", "y", levels=[(1.5, "reported from here")]).data
    assert plain is not None and "levels" not in plain
    assert made is not None and made["levels"] == [{"y": 1.5, "label": "reported from here"}]
