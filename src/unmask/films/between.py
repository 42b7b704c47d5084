"""Further looks at a face between two looks that are far apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unmask.films.lookout import Box, near
from unmask.films.people import FaceTrack, Glimpse, glimpse
from unmask.media.video import SmallFrames, VideoView


@dataclass(frozen=True)
class Gap:
    """Two looks at one appearance of a face with none between them. ``before``, ``after``: seconds."""

    track: FaceTrack
    before: float
    after: float


def looks_between(video: VideoView, gaps: Sequence[Gap]) -> list[Glimpse | None]:
    """One look near the middle of each gap, in their order; None where no face is found or the frame is out of reach.

    Raises:
        MediaError: the film cannot be decoded. ModelError: a model cannot be used on this machine.
    """
    wanted = [(_middle(video.small_frames, gap), i) for i, gap in enumerate(gaps)]
    order = sorted((index, i) for index, i in wanted if index is not None)
    out: list[Glimpse | None] = [None] * len(gaps)
    frames = video.frames_at([index for index, _ in order])
    for (_, i), frame in zip(order, frames, strict=True):
        if frame is None:
            continue
        face = near(frame.pixels, expected(gaps[i].track, frame.time))
        out[i] = None if face is None else glimpse(frame.time, face, frame.pixels)
    return out


def _middle(small: SmallFrames, gap: Gap) -> int | None:
    """Index of the sound frame that lies nearest the middle; None where there is none between the two looks."""
    inside = np.flatnonzero((small.times > gap.before) & (small.times < gap.after) & ~small.corrupt)
    apart = np.abs(small.times[inside] - (gap.before + gap.after) / 2)
    return int(inside[np.argmin(apart)]) if inside.size else None


def expected(track: FaceTrack, time: float) -> Box:
    """Where the face is about then: straight between the frames that it was found in."""
    x, y, w, h = (float(np.interp(time, track.times, side)) for side in np.asarray(track.boxes, np.float64).T)
    return x, y, w, h
