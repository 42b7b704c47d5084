"""What face.swap shows of a film."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from faces_made import scene
from test_films import film

from unmask.detectors.face_swap.detector import CARD
from unmask.detectors.face_swap.faces import SMALL, FaceScore, levels
from unmask.detectors.face_swap.film_evidence import TrackScore, runs, shown, worst_moments
from unmask.faces.face import Face
from unmask.films.people import FaceTrack, Glimpse, People

P = levels(CARD.parameters, SMALL)
ABOVE = P["report_above"]


def scored(number: int, scores: list[float], step: float = 1.0) -> TrackScore:
    """A face with these scores, one each ``step`` seconds, a bright spot where its map is high."""
    times = np.arange(len(scores)) * step
    track = FaceTrack(number, times.tolist(), [(0.0, 0.0, 60.0, 60.0)] * len(scores))
    keypoints = np.array([(80, 90), (120, 90), (100, 110), (100, 130), (60, 95), (140, 95)], np.float32)
    face = Face((60.0, 60.0, 80.0, 80.0), keypoints, 0.9, 0.9, 0.5)
    cells = np.zeros((10, 10), np.float32)
    cells[4:6, 4:6] = 1.0
    moments = tuple(
        (Glimpse(float(t), np.full((200, 200, 3), 90, np.uint8), face, 80.0), FaceScore(face, s, cells, 1.0))
        for t, s in zip(times, scores, strict=True)
    )
    return TrackScore(track, times, np.array(scores), 1.0, moments)


def people(*faces: TrackScore) -> People:
    return People(tuple(one.track for one in faces), faces[0].times, (), 0, 0)


def test_runs_reach_half_way_to_their_neighbours() -> None:
    one = scored(1, [0, 11, 12, 13, 0, 12, 12, 0, 14, 14, 14])
    found = list(runs(one.times, one.scores, ABOVE, 3))
    assert [(a, b, n) for a, b, _, n in found] == [(0.5, 3.5, 3), (7.5, 10.0, 3)]
    assert [s for _, _, s, _ in found] == pytest.approx([12.0, 14.0])
    assert not list(runs(one.times, one.scores, 15.0, 3))


def test_quiet_films_have_lanes_and_curves_and_no_suspicious_stretch() -> None:
    faces = scored(1, [1, 2, 12, 1]), scored(2, [0, 0, 0])
    found = shown(people(*faces), faces, P, pictures=False)
    assert [e.kind for e in found] == ["segments", "plot", "plot", "fact"]
    lanes = found[0].data
    assert lanes is not None and [s["lane"] for s in lanes["segments"]] == ["Face 1", "Face 2"]  # type: ignore[union-attr,index,call-overload]
    curve = found[1].data
    assert curve is not None and curve["levels"] == [{"y": ABOVE, "label": "reported from here"}]
    assert found[1].title == "Face 1 over time"


def test_suspicious_stretches_are_told_with_their_face_and_score() -> None:
    faces = scored(1, [0, 0, 0, 0]), scored(2, [0, 12, 12, 12, 0])
    found = [e for e in shown(people(*faces), faces, P, False) if e.kind == "segments"]
    assert found[1].title == "Suspicious stretches of a face" and found[1].data is not None
    (one,) = found[1].data["segments"]  # type: ignore[misc,union-attr]
    assert one == {
        "start": 0.5,
        "end": 3.5,
        "label": "mean score +12.0 in 3 moments",
        "lane": "Face 2",
        "sign": True,
        "score": 12.0,
    }


def test_a_run_is_widened_to_the_lower_level() -> None:
    one = scored(1, [0, 3, 5, 5, 5, 3, 0, 3, 3, 3])
    assert [(a, b) for a, b, _, _ in runs(one.times, one.scores, 4.0, 3)] == [(1.5, 4.5)]
    assert [(a, b) for a, b, _, _ in runs(one.times, one.scores, 4.0, 3, 2.0)] == [(0.5, 5.5)]


def test_a_face_that_rises_above_itself_is_shown_but_is_no_sign() -> None:
    faces = scored(1, [-3, -3, -3, 0, 3, 3, 3, -3, -3, -3, -3]), scored(2, [2] * 11)
    found = [e for e in shown(people(*faces), faces, P, False) if e.kind == "segments"]
    assert [e.title for e in found] == ["Faces through the film", "Where a face stands out from itself"]
    assert found[1].data is not None
    (one,) = found[1].data["segments"]  # type: ignore[misc,union-attr]
    assert (one["start"], one["end"], one["lane"]) == (2.5, 6.5, "Face 1 stands out")  # type: ignore[index,call-overload]
    assert not one.get("sign")  # type: ignore[union-attr]


def test_pictures_show_the_worst_face_and_one_of_each_other() -> None:
    faces = [scored(n, [n + 0.1 * i for i in range(12)]) for n in range(1, 8)]
    made = shown(people(*faces), faces, P, pictures=True)
    shots = next(e for e in made if e.kind == "frames")
    assert shots.data is not None
    labels = [str(f["label"]).split(",")[0] for f in shots.data["frames"]]  # type: ignore[union-attr,index,call-overload]
    assert labels == ["Face 7"] * 4 + ["Face 6", "Face 5", "Face 4", "Face 3"]
    assert all(f["map"] and f["jpeg"] for f in shots.data["frames"])  # type: ignore[union-attr,index,call-overload]
    assert len([e for e in made if e.kind == "plot"]) == 4


def test_worst_moments_lie_apart() -> None:
    one = scored(1, [0.0] * 10 + [9, 8, 7, 6, 5] + [1.0] * 10)
    chosen = worst_moments(one, 4)
    assert 10 in chosen and len(chosen) == 4 and min(np.diff(chosen)) >= 3
    assert worst_moments(scored(1, [3, 4]), 4) == [0, 1]


def test_pictures_only_where_they_are_asked_for(tmp_path: Path) -> None:

    from unmask.detectors.face_swap.detector import examine
    from unmask.options import Options

    subject = film(tmp_path / "a.mp4", [scene((100 + i, 100, 220)) for i in range(30)])
    assert not [e for e in examine(subject, Options()).evidence if e.kind == "frames"]
    asked = examine(subject, Options(preview=True))
    assert bool([e for e in asked.evidence if e.kind == "frames"]) == (asked.status == "ok")
