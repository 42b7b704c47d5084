"""A film in two dozen small pictures, evenly over its length, for people to look at."""

from __future__ import annotations

from collections.abc import Iterator

from unmask import evidence
from unmask.films.plan import spread
from unmask.media.video import Frame, VideoView
from unmask.report import Evidence

COUNT, SIDE = 24, 256

SHORT_FRAMES, MOST_FRAMES = 1500, 6000
"""Films of at most `SHORT_FRAMES` frames are decoded once more for frames in equal steps. Of longer ones the key frames
near those places are taken, which costs the same however long the film is; where these are few and the film has at most
`MOST_FRAMES`, it is decoded all the same."""


def strip_of(video: VideoView) -> Evidence | None:
    """Evidence of kind ``frames``; None where the film does not give two pictures.

    Raises:
        MediaError: the film cannot be decoded.
    """
    expected = video.frame_count or int((video.duration or 0.0) * (video.average_rate or 30.0))
    seen = list(_key_frames(video)) if expected > SHORT_FRAMES or not expected else []
    if len(seen) < COUNT // 2 and expected <= MOST_FRAMES:
        seen = list(_even_frames(video))
    if len(seen) < 2:
        return None
    shots = [evidence.Shot(frame.time, frame.pixels) for frame in seen]
    return evidence.frames("The film at a glance", f"{len(shots)} frames spread over the film.", shots, side=SIDE)


def _even_frames(video: VideoView) -> Iterator[Frame]:
    wanted = frozenset(spread(video.small_frames, COUNT).tolist())
    return video.frames(SIDE, rgb=True, upright=True, only=wanted)


def _key_frames(video: VideoView) -> Iterator[Frame]:
    length = video.duration or 0.0
    return video.key_frames([(i + 0.5) / COUNT * length for i in range(COUNT)], SIDE)
