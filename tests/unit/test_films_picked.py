"""Single frames of films by searching, which must be those that one pass gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from media_made import pan

from unmask.films.picked import frames_on_the_way, picked
from unmask.films.plan import spread
from unmask.media.video import HELD_FRAMES, Frame, VideoView
from unmask.subject import Subject

PICTURES = pan(120)


def film(
    path: Path, group: int = 12, codec: str = "libx264", form: str | None = None, seconds: float = 0.0
) -> VideoView:
    """A film with a key frame every ``group`` frames and frames that lean on later ones, begun at ``seconds``."""
    with av.open(str(path), "w", format=form) as container:
        options = {"bf": "2", "sc_threshold": "0", "x264-params": "open-gop=0"} if codec == "libx264" else {}
        stream = container.add_stream(codec, rate=24, options={"g": str(group), **options})
        stream.height, stream.width = PICTURES[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 2_000_000
        for i, picture in enumerate(PICTURES):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = i + round(seconds * 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return Subject(path).video


def indexes(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def by_one_pass(video: VideoView, wanted: np.ndarray) -> list[Frame]:
    return list(video.frames(rgb=True, upright=True, only=frozenset(wanted.tolist())))


@pytest.mark.parametrize(
    ("name", "codec", "form", "seconds"),
    [
        ("a.mp4", "libx264", None, 0.0),
        ("b.mkv", "libx264", None, 3.0),
        ("c.mp4", "mpeg4", None, 0.0),
        ("d.avi", "mpeg4", None, 0.0),
    ],
)
def test_searched_frames_are_those_of_one_pass(
    tmp_path: Path, name: str, codec: str, form: str | None, seconds: float
) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"no encoder {codec} here")
    video = film(tmp_path / name, 12, codec, form, seconds)
    wanted = indexes(0, 7, 30, 31, 59, 100, 119)
    found, expected = list(picked(video, wanted)), by_one_pass(video, wanted)
    assert [f.index for f in found] == [f.index for f in expected] == wanted.tolist()
    for one, other in zip(found, expected, strict=True):
        assert one.time == pytest.approx(other.time) and np.array_equal(one.pixels, other.pixels)


def test_few_frames_are_searched_and_many_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = film(tmp_path / "a.mp4", codec="mpeg4")
    few, many = indexes(5, 50, 100), np.arange(0, 120, 5)
    assert frames_on_the_way(video, few) == 6 + 3 + 5 and frames_on_the_way(video, indexes(50, 52, 53)) == 6
    assert frames_on_the_way(video, many) > 0.7 * 116
    monkeypatch.setattr(VideoView, "frames", lambda *_, **__: pytest.fail("decoded from the beginning"))
    assert [f.index for f in picked(video, few)] == few.tolist()
    with pytest.raises(pytest.fail.Exception):
        list(picked(video, many))


def test_what_cannot_be_searched_is_decoded_from_the_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = film(tmp_path / "a.mp4", codec="mpeg4")
    wanted = indexes(5, 50, 100)

    def other_pictures(self: VideoView, asked: list[int]) -> Iterator[Frame | None]:
        yield next(iter(by_one_pass(self, indexes(asked[0]))))
        yield None

    monkeypatch.setattr(VideoView, "frames_at", other_pictures)
    assert [f.index for f in picked(video, wanted)] == wanted.tolist()


def test_key_frames_far_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = film(tmp_path / "a.mp4", 600, codec="mpeg4")
    monkeypatch.setattr("unmask.films.picked.MOST_REACH", 50)
    assert frames_on_the_way(video, indexes(100)) == np.inf
    monkeypatch.setattr("unmask.media.video.MOST_REACH", 50)
    assert [f is not None for f in video.frames_at([10, 100, 110])] == [True, False, False]
    assert [f.index for f in picked(video, indexes(10, 100))] == [10, 100]


def test_another_picture_than_the_pass_saw_is_not_taken(tmp_path: Path) -> None:
    video = film(tmp_path / "a.mp4", codec="mpeg4")
    video.small_frames.luma[50] ^= 1
    assert [f is not None for f in video.frames_at([20, 50, 80])] == [True, False, True]
    assert not list(picked(video, indexes()))


def test_the_first_pass_holds_frames_that_are_spread_over_the_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = film(tmp_path / "a.mp4")
    wanted = spread(video.small_frames, HELD_FRAMES)
    expected = by_one_pass(video, wanted)
    again = video._decode
    monkeypatch.setattr(video, "_decode", lambda *_: pytest.fail("decoded once more"))
    found = list(picked(video, wanted))
    assert [f.index for f in found] == wanted.tolist()
    assert all(np.array_equal(one.pixels, other.pixels) for one, other in zip(found, expected, strict=True))
    monkeypatch.setattr(video, "_decode", again)
    assert video.held(int(wanted[0])) is None, "a frame is given away once"
    assert [f.index for f in picked(video, wanted)] == wanted.tolist()


def test_large_frames_are_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unmask.media.video.HELD_BYTES", 8 * PICTURES[0].shape[0] * PICTURES[0].shape[1])
    video = film(tmp_path / "a.mp4")
    wanted = spread(video.small_frames, HELD_FRAMES)
    assert video.held(int(wanted[0])) is None
    assert [f.index for f in picked(video, wanted)] == wanted.tolist()


def test_held_frames_come_in_their_order_among_others(tmp_path: Path) -> None:
    video = film(tmp_path / "a.mp4")
    wanted = np.union1d(spread(video.small_frames, HELD_FRAMES), indexes(0, 50, 51, 119))
    expected = by_one_pass(video, wanted)
    found = list(picked(video, wanted))
    assert [f.index for f in found] == wanted.tolist()
    assert all(np.array_equal(one.pixels, other.pixels) for one, other in zip(found, expected, strict=True))


def test_held_frames_stay_for_those_who_want_no_others(tmp_path: Path) -> None:
    video = film(tmp_path / "a.mp4")
    wanted = spread(video.small_frames, HELD_FRAMES)
    assert len(list(picked(video, wanted, held=False))) == HELD_FRAMES
    assert video.held(int(wanted[0])) is not None
