"""Faces followed frame by frame through short stretches: mesh and aligned pixels, for what shows in motion only.

`People` looks three times a second, which is too seldom for lips and flicker. Here a few stretches of a film are
decoded again, every frame (at most `MOST_RATE` a second), and the mesh is carried from frame to frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unmask.faces.align import TEMPLATE, WEIGHTS, similarity, warp
from unmask.faces.blaze import overlap
from unmask.faces.detect import detect
from unmask.faces.mesh import LEFT_EYE, LEFT_SIDE, LIPS, NOSE_TIP, POINTS, RIGHT_EYE, RIGHT_SIDE, lay
from unmask.films.ahead import ahead
from unmask.films.people import FaceTrack, People
from unmask.media.video import VideoView

MOST_LOOKS, SECONDS = 3, 8.0
"""Stretches of a film, and how long one is at most."""

LEAST_SECONDS, LEAST_SIZE = 1.0, 48.0
MOST_RATE, MOST_SIDE = 32.0, 1280
CROP_SIDE = 112
LEAST_PRESENCE, LEAST_OVERLAP = 0.5, 0.3

_KEYPOINTS = (RIGHT_EYE, LEFT_EYE, NOSE_TIP, LIPS, RIGHT_SIDE, LEFT_SIDE)
_SEARCH_EVERY = 3  # a lost face is looked for in every third frame

Box = tuple[float, float, float, float]
Stretches = Sequence[tuple[float, float]]


@dataclass(frozen=True, eq=False)
class CloseLook:
    """One face through one stretch.

    ``track``: the face's number as users see it; ``times``: (n,) seconds; ``mesh``: (n, 468, 3) float32 in pixels of
    the (perhaps reduced) upright frame, NaN where the face was lost; ``presence``: (n,) 0..1, of the mesh;
    ``crops``: (n, 112, 112, 3) uint8 faces aligned by the mesh's own key points, black where lost; ``size``: usual
    width of the mesh in those pixels; ``unit``: pixels of the reduced frame for one of the film's own.
    """

    track: int
    times: NDArray[np.float64]
    mesh: NDArray[np.float32]
    presence: NDArray[np.float32]
    crops: NDArray[np.uint8]
    size: float
    unit: float

    @property
    def seen(self) -> NDArray[np.bool_]:
        """(n,) frames in which the face was followed."""
        return np.isfinite(self.mesh[:, 0, 0])

    @property
    def rate(self) -> float:
        """Frames a second, as looked at."""
        steps = np.diff(self.times)
        return float(1.0 / max(1e-6, np.median(steps))) if steps.size else 0.0


def close_looks(video: VideoView, people: People, speech: Stretches = ()) -> tuple[CloseLook, ...]:
    """Follow the most visible faces through the stretches in which most is spoken.

    Args:
        video: the film.
        people: the faces found in it.
        speech: (start, end) in seconds where somebody speaks; without it the middle of each appearance is taken.

    Raises:
        MediaError: the film cannot be decoded. ModelError: a model cannot be used on this machine.
    """
    ranked = sorted(people.tracks, key=_weight, reverse=True)
    every = _every(video)
    followers = [Follower(track, *window(track, speech), every) for track in ranked[:MOST_LOOKS] if _usable(track)]
    unit = min(1.0, MOST_SIDE / max(video.width, video.height))
    for together in _together(followers):
        _watch(video, together, unit)
    looks = (one.look(unit) for one in followers)
    return tuple(look for look in looks if look is not None)


def _together(followers: Sequence[Follower]) -> list[list[Follower]]:
    """Those whose stretches overlap, so that no frame is decoded and converted for each of them anew."""
    groups: list[list[Follower]] = []
    for one in sorted(followers, key=lambda one: one.start):
        if groups and one.start <= max(other.end for other in groups[-1]):
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups


def _watch(video: VideoView, together: Sequence[Follower], unit: float) -> None:
    """Show the followers the frames from the first one's start to the last one's end."""
    takers: deque[list[Follower]] = deque()

    def wanted(time: float) -> bool:
        # Asked ahead of what is looked at, in the same order.
        mine = [one for one in together if one.wants(time)]
        if mine:
            takers.append(mine)
        return bool(mine)

    start, end = min(one.start for one in together), max(one.end for one in together)
    side = MOST_SIDE if unit < 1 else 0
    alone = bool(video.small_frames.damaged)
    frames = video.frames(side, rgb=True, start=start, end=end, upright=True, wanted=wanted, alone=alone)
    for frame in ahead(video, frames):
        for one in takers.popleft():
            one.see(frame.time, frame.pixels, unit)


def _usable(track: FaceTrack) -> bool:
    return track.end - track.start >= LEAST_SECONDS and _side(track) >= LEAST_SIZE


def _side(track: FaceTrack) -> float:
    boxes = np.asarray(track.boxes, np.float64)
    return float(np.median(np.sqrt(boxes[:, 2] * boxes[:, 3])))


def _weight(track: FaceTrack) -> float:
    """A large face for a while is worth more than a small one for long."""
    return min(SECONDS, track.end - track.start) * _side(track)


def window(track: FaceTrack, speech: Stretches) -> tuple[float, float]:
    """(start, end) in seconds: the `SECONDS` of a track with the most speech, the middle one of equals."""
    length = min(SECONDS, track.end - track.start)
    starts = np.arange(track.start, track.end - length + 1e-6, 0.5)
    if not starts.size:
        return track.start, track.end
    spoken = np.array([sum(max(0.0, min(b, s + length) - max(a, s)) for a, b in speech) for s in starts])
    best = np.flatnonzero(spoken >= spoken.max() - 1e-6)
    start = float(starts[best[best.size // 2]])
    return start, start + length


def _every(video: VideoView) -> int:
    times = video.small_frames.times
    steps = np.diff(times)
    rate = 1.0 / max(1e-3, float(np.median(steps))) if steps.size else 25.0
    return max(1, int(np.ceil(rate / MOST_RATE)))


class Follower:
    """Carries the mesh of one face from frame to frame.

    Args:
        track: whose.
        start: seconds.
        end: seconds.
        every: one frame in so many is looked at.
    """

    def __init__(self, track: FaceTrack, start: float, end: float, every: int) -> None:
        self.track, self.start, self.end = track, start, end
        self._every = every
        self._count = self._misses = 0
        self._last: NDArray[np.float32] | None = None
        self._seen: list[tuple[float, NDArray[np.float32], np.float32, NDArray[np.uint8]]] = []

    def wants(self, time: float) -> bool:
        """Whether the next frame is one of those that are looked at; asked of each frame once."""
        if not self.start <= time <= self.end:
            return False
        self._count += 1
        return (self._count - 1) % self._every == 0

    def see(self, time: float, rgb: NDArray[np.uint8], unit: float) -> None:
        """Take a frame in."""
        if self._last is None and self._misses % _SEARCH_EVERY == 0:
            self._last = _find(rgb, _expected(self.track, time, unit))
        found = _carry(rgb, self._last)
        if found is None:
            self._misses, self._last = self._misses + 1, None
            lost = np.full((POINTS, 3), np.nan, np.float32), np.zeros((CROP_SIDE, CROP_SIDE, 3), np.uint8)
            self._seen.append((time, lost[0], np.float32(0), lost[1]))
        else:
            self._last, self._misses = found[0], 0
            self._seen.append((time, found[0], np.float32(found[1]), aligned(rgb, found[0])))

    def look(self, unit: float) -> CloseLook | None:
        """What was seen, which is given away; None where that is nothing."""
        seen, self._seen = self._seen, []
        if len(seen) < 2:
            return None
        times, meshes, presence, crops = (np.array(part) for part in zip(*seen, strict=True))
        widths = np.ptp(meshes[:, :, 0], axis=1)
        if not np.isfinite(widths).any():
            return None
        return CloseLook(self.track.face, times, meshes, presence, crops, float(np.nanmedian(widths)), unit)


def _expected(track: FaceTrack, time: float, unit: float) -> Box:
    """Where the track says the face is about then."""
    nearest = int(np.argmin(np.abs(np.asarray(track.times) - time)))
    x, y, w, h = (v * unit for v in track.boxes[nearest])
    return x, y, w, h


def _find(rgb: NDArray[np.uint8], expected: Box) -> NDArray[np.float32] | None:
    """The mesh of the detected face that lies where one is expected."""
    faces = detect(rgb)
    if not faces:
        return None
    boxes = np.array([_corners(face.box) for face in faces], np.float32)
    shares = overlap(np.array(_corners(expected), np.float32), boxes)
    best = int(np.argmax(shares))
    if shares[best] < LEAST_OVERLAP:
        return None
    return lay(rgb, faces[best].box, faces[best].keypoints)[0]


def _corners(box: Box) -> Box:
    x, y, w, h = box
    return x, y, x + w, y + h


def _carry(rgb: NDArray[np.uint8], last: NDArray[np.float32] | None) -> tuple[NDArray[np.float32], float] | None:
    """The mesh laid anew where it was a frame ago, as MediaPipe's tracking does; None where no face is left there."""
    if last is None:
        return None
    low, high = last[:, :2].min(axis=0), last[:, :2].max(axis=0)
    box = (float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))
    points, presence = lay(rgb, box, keypoints_of(last))
    return (points, presence) if presence >= LEAST_PRESENCE else None


def keypoints_of(mesh: NDArray[np.floating]) -> NDArray[np.float32]:
    """(6, 2) key points in the order of `unmask.faces.Face` of a mesh (468, 3)."""
    return np.stack([mesh[list(ids), :2].mean(axis=0) for ids in _KEYPOINTS]).astype(np.float32)


def aligned(rgb: NDArray[np.uint8], mesh: NDArray[np.floating], side: int = CROP_SIDE) -> NDArray[np.uint8]:
    """(side, side, 3) uint8: the face upright, eyes, nose and mouth where `unmask.faces.align.TEMPLATE` says."""
    return warp(rgb, similarity(keypoints_of(mesh), TEMPLATE * side, WEIGHTS), side)
