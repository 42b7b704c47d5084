"""Faces followed frame by frame: where, for how long, and what is done when they go."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from faces_made import Picture, scene
from test_films import film

from unmask.films.closeup import CROP_SIDE, SECONDS, Follower, _together, close_looks, window
from unmask.films.people import FaceTrack
from unmask.media.video import VideoView


def track(start: float, end: float) -> FaceTrack:
    times = np.arange(start, end + 1e-9, 1 / 3).tolist()
    return FaceTrack(1, times=times, boxes=[(10.0, 10.0, 90.0, 90.0)] * len(times))


def test_the_window_holds_the_most_speech() -> None:
    start, end = window(track(0.0, 60.0), [(40.0, 47.0), (2.0, 4.0)])
    assert end - start == SECONDS
    assert start <= 40.0
    assert end >= 47.0


def test_without_speech_the_middle_is_taken_and_short_tracks_whole() -> None:
    start, end = window(track(10.0, 50.0), [])
    assert abs((start + end) / 2 - 30.0) < 1.0
    assert window(track(1.0, 3.0), []) == pytest.approx((1.0, 3.0), abs=0.01)


def moving(count: int, gone: range = range(0)) -> list[Picture]:
    return [scene(*([] if i in gone else [(120 + 2 * i, 120, 220)])) for i in range(count)]


@pytest.mark.parametrize(("rate", "most"), [(5, 5), (30, 30), (240, 32)])
def test_every_frame_at_any_rate_up_to_a_limit(tmp_path: Path, rate: int, most: int) -> None:
    pictures = [scene((150 + i * 60 // (3 * rate), 120, 220)) for i in range(3 * rate)]
    (look,) = film(tmp_path / "a.mp4", pictures, rate).close_looks
    assert rate / 9 < look.rate <= most + 1
    assert look.seen.mean() > 0.9
    assert look.mesh.shape == (look.times.size, 468, 3)
    assert look.crops.shape[1:] == (CROP_SIDE, CROP_SIDE, 3)
    assert np.all(np.diff(look.times) > 0)


def test_a_face_that_goes_is_lost_and_found_again(tmp_path: Path) -> None:
    (look,) = film(tmp_path / "a.mp4", moving(60, range(28, 33)), 20).close_looks
    lost = ~look.seen
    assert 3 <= lost.sum() <= 9
    assert not look.crops[lost].any()
    assert look.seen[-10:].all()


def test_small_faces_and_no_faces_give_nothing(tmp_path: Path) -> None:
    assert film(tmp_path / "a.mp4", [scene()] * 20).close_looks == ()
    assert film(tmp_path / "b.mp4", [scene((100, 100, 40))] * 20).close_looks == ()


def test_two_faces_are_followed_in_one_pass_as_each_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [scene((60 + i, 60, 180), (350 - i, 120, 160)) for i in range(60)]
    subject = film(tmp_path / "a.mp4", pictures, 30)
    people, passes = subject.people, []
    frames = VideoView.frames

    def counted(video: VideoView, *given: object, **named: object) -> object:
        passes.append(named["start"])
        return frames(video, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(VideoView, "frames", counted)
    both = close_looks(subject.video, people)
    assert len(both) == 2 and len(passes) == 1
    for look in both:
        one = next(track for track in people.tracks if track.face == look.track)
        (alone,) = close_looks(subject.video, replace(people, tracks=(one,)))
        for name in ("times", "mesh", "presence", "crops"):
            assert np.array_equal(getattr(look, name), getattr(alone, name), equal_nan=True), name


def test_stretches_that_are_apart_are_not_decoded_together() -> None:
    far, near, other = (Follower(track(0.0, 60.0), *span, 1) for span in ((50.0, 58.0), (2.0, 10.0), (9.0, 12.0)))
    assert _together([far, near, other]) == [[near, other], [far]]
    assert [near.wants(time) for time in (1.0, 2.0, 10.0, 10.5)] == [False, True, True, False]
