"""Frames that are made while somebody looks at the last one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_films_picked import film

from unmask.errors import DamagedMedia
from unmask.films.ahead import MOST, ahead
from unmask.media.video import Frame, VideoView


@pytest.fixture
def video(tmp_path: Path) -> VideoView:
    return film(tmp_path / "a.mp4", codec="mpeg4")


def test_the_same_frames_in_the_same_order_by_another_thread(video: VideoView) -> None:
    threads = set()

    def noted() -> Iterator[Frame]:
        for frame in video.frames(end=1.0):
            threads.add(threading.current_thread())
            yield frame

    assert [f.index for f in ahead(video, noted())] == [f.index for f in video.frames(end=1.0)]
    assert threading.current_thread() not in threads


def test_only_a_few_are_made_ahead_and_none_when_nobody_looks_any_more(video: VideoView) -> None:
    made = []

    def counted() -> Iterator[Frame]:
        for frame in video.frames():
            made.append(frame.index)
            yield frame

    frames = ahead(video, counted())
    assert next(frames).index == 0
    frames.close()
    assert len(made) <= 1 + MOST
    assert not [t for t in threading.enumerate() if t.name.startswith("frames")]


def test_what_making_them_raises_is_raised(video: VideoView) -> None:
    def broken() -> Iterator[Frame]:
        yield next(video.frames())
        raise DamagedMedia("media.damaged", "no more")

    frames = ahead(video, broken())
    assert next(frames).index == 0
    with pytest.raises(DamagedMedia, match="no more"):
        next(frames)


def test_one_thread_decodes_the_same_pictures(video: VideoView) -> None:
    for one, other in zip(video.frames(), video.frames(alone=False), strict=True):
        assert one.index == other.index and (one.pixels == other.pixels).all()
