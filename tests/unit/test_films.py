"""Planned frames, faces through a film, and the questions of pictures asked of films."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from faces_made import Picture, scene

from unmask.detectors.face_swap.film_evidence import TrackScore
from unmask.detectors.image_synthetic.detector import CARD as SYNTHETIC
from unmask.detectors.image_synthetic.film import examine_film
from unmask.faces.face import Face
from unmask.films.people import GLIMPSES, MOST_SIDE, FaceTrack, glimpse
from unmask.films.plan import cuts, planned, spread
from unmask.media.video import SmallFrames
from unmask.options import Options
from unmask.subject import Subject


def small(times: np.ndarray, change: np.ndarray | None = None, corrupt: np.ndarray | None = None) -> SmallFrames:
    n = len(times)
    return SmallFrames(
        luma=np.zeros((n, 8, 8), np.uint8),
        times=times,
        types=np.full(n, "P"),
        corrupt=np.zeros(n, np.bool_) if corrupt is None else corrupt,
        change=np.zeros(n, np.float32) if change is None else change.astype(np.float32),
        complete=True,
    )


def film(path: Path, pictures: list[Picture], rate: int = 10) -> Subject:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return Subject(path)


def test_planned_frames_are_even_and_few() -> None:
    short, long = np.arange(300) / 30, np.arange(72000) / 10
    found = planned(small(short))
    assert found.tolist() == list(range(0, 300, 10))
    assert 200 <= planned(small(long)).size <= 240


@pytest.mark.parametrize("rate", [5.0, 24.0, 29.97, 240.0])
def test_any_frame_rate_gives_three_a_second_at_most(rate: float) -> None:
    times = np.arange(int(rate * 20)) / rate
    assert 55 <= planned(small(times)).size <= 60


def test_the_first_frame_of_a_scene_is_planned_and_guessed_frames_are_not() -> None:
    change = np.full(90, 1.0)
    change[44] = 60.0
    corrupt = np.zeros(90, np.bool_)
    corrupt[:5] = True
    made = small(np.arange(90) / 30, change, corrupt)
    assert cuts(made).tolist() == [44]
    assert 44 in planned(made) and not set(planned(made)) & set(range(5))


def test_steady_motion_is_no_cut() -> None:
    assert cuts(small(np.arange(60) / 30, np.full(60, 25.0))).size == 0


def test_nothing_sound_means_nothing_planned() -> None:
    made = small(np.arange(9) / 30, corrupt=np.ones(9, np.bool_))
    assert planned(made).size == 0 and spread(made, 8).size == 0
    assert spread(small(np.arange(3) / 30), 8).tolist() == [0, 1, 2]


def test_two_faces_are_followed_and_a_cut_ends_them(tmp_path: Path) -> None:
    first = [scene((40 + i, 120, 180), (380, 150, 160)) for i in range(20)]
    flash = np.full_like(first[0], 235)
    second = [np.maximum(scene((60, 120, 180)), 60) for _ in range(20)]
    people = film(tmp_path / "a.mp4", [*first, *[flash] * 5, *second]).people
    assert len(people.tracks) == 3
    a, b, c = people.tracks
    assert (a.start, b.start) == (0.0, 0.0) and a.end < 2.0 < c.start
    assert len(a.times) == len(b.times) and people.share(c) < 1
    assert max(a.boxes[0][0], b.boxes[0][0]) > 300 > min(a.boxes[0][0], b.boxes[0][0])
    assert all(max(g.rgb.shape) <= MOST_SIDE for g in a.glimpses)
    assert people.left_out == 0 and people.crowded == 0 and people.cuts


def test_a_glimpse_keeps_the_face_where_it_was() -> None:
    face = Face((300.0, 200.0, 400.0, 400.0), np.full((6, 2), (500.0, 400.0), np.float32), 0.9, 0.9, 0.5)
    rgb = np.zeros((900, 1600, 3), np.uint8)
    rgb[396:405, 496:505] = 255
    seen = glimpse(1.0, face, rgb)
    x, y = seen.face.keypoints[0]
    assert seen.size == 400 and seen.rgb[round(float(y)), round(float(x))].min() > 200


def test_long_tracks_keep_few_pictures_evenly() -> None:
    track = FaceTrack(1)
    face = Face((10.0, 10.0, 20.0, 20.0), np.zeros((6, 2), np.float32), 0.9, 0.9, 0.5)
    for i in range(500):
        track.add(float(i), face, np.zeros((64, 64, 3), np.uint8))
    kept = [g.time for g in track.glimpses]
    assert GLIMPSES <= len(kept) < 2 * GLIMPSES and len(track.times) == 500
    assert len(set(np.diff(kept))) == 1 and kept[0] == 0 and kept[-1] > 450


def test_one_bad_moment_does_not_decide() -> None:
    track = FaceTrack(1, [0.0, 1.0, 2.0], [(0.0, 0.0, 1.0, 1.0)] * 3)
    assert TrackScore(track, np.arange(3.0), np.array([-1.0, 14.0, -2.0]), 1.0).score == -1.0


def test_faces_of_a_film_are_examined(tmp_path: Path) -> None:
    from unmask.detectors.face_swap.detector import examine

    subject = film(tmp_path / "a.mp4", [scene((100 + i, 100, 220)) for i in range(30)])
    found = examine(subject, Options())
    assert found.status in ("ok", "declined")
    lanes = next(e for e in found.evidence if e.kind == "segments")
    assert lanes.data is not None and lanes.data["count"] == 1
    if found.status == "declined":
        assert found.reason.code == "drift.unlike_training"


def test_a_film_without_faces_and_one_that_is_too_small(tmp_path: Path) -> None:
    from unmask.detectors.face_swap.detector import examine

    none = film(tmp_path / "a.mp4", [scene() for _ in range(12)])
    assert examine(none, Options()).reason.code == "swap.no_face"
    tiny = film(tmp_path / "b.mp4", [scene(size=(32, 48)) for _ in range(12)])
    assert examine(tiny, Options()).reason.code == "swap.too_small"


def test_a_film_is_asked_frame_by_frame(examples: Path) -> None:
    from unmask.detectors.image_synthetic.detector import examine

    found = examine(Subject(examples / "pan.mp4"), Options())
    assert found.status == "ok" and found.stratum in ("tower", "small")
    curve = next(e for e in found.evidence if e.kind == "plot")
    assert curve.data is not None and len(curve.data["x"]) == int(SYNTHETIC.parameters["film_frames"])  # type: ignore[arg-type]
    values = curve.data["series"][0]["y"]  # type: ignore[index,call-overload]
    assert found.raw_score == pytest.approx(float(np.median(values)), abs=1e-3)  # type: ignore[arg-type]


def test_black_frames_are_declined(tmp_path: Path) -> None:
    from unmask.detectors.image_synthetic.detector import examine

    black = film(tmp_path / "a.mp4", [np.zeros((240, 320, 3), np.uint8)] * 12)
    assert examine(black, Options()).reason.code == "synthetic.flat"
    assert examine_film(black, SYNTHETIC, lambda _: pytest.fail("asked"), lambda _: False).status == "declined"
