"""Further looks at a face between two looks that are far apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unmask.films.lookout import Box, near
from unmask.films.people import FaceTrack, Glimpse, glimpse
from unmask.media.video import VideoView


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
    times = video.small_frames.times[~video.small_frames.corrupt]
    wanted = [(_middle(times, gap), i) for i, gap in enumerate(gaps)]
    order = sorted((time, i) for time, i in wanted if time is not None)
    out: list[Glimpse | None] = [None] * len(gaps)
    frames = video.frames_at([time for time, _ in order])
    for (_, i), frame in zip(order, frames, strict=True):
        if frame is None:
            continue
        face = near(frame.pixels, expected(gaps[i].track, frame.time))
        out[i] = None if face is None else glimpse(frame.time, face, frame.pixels)
    return out


def _middle(times: np.ndarray, gap: Gap) -> float | None:
    """The time of the sound frame that lies nearest the middle; None where there is none between the two looks."""
    inside = times[(times > gap.before) & (times < gap.after)]
    return float(inside[np.argmin(np.abs(inside - (gap.before + gap.after) / 2))]) if inside.size else None


def expected(track: FaceTrack, time: float) -> Box:
    """Where the face is about then: straight between the frames that it was found in."""
    x, y, w, h = (float(np.interp(time, track.times, side)) for side in np.asarray(track.boxes, np.float64).T)
    return x, y, w, h
