"""Whose faces are in a film, from when to when: faces found in planned frames, joined to tracks, kept as small cuts.

Nobody is recognised: a track is one face from its appearance to its disappearance, and a person who comes back after
a cut gets a new number.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.faces.detect import detect
from unmask.faces.face import Face
from unmask.faces.track import Tracker
from unmask.films.plan import cuts, planned
from unmask.media.video import VideoView

MOST_FACES, MOST_TRACKS = 20, 60
"""Faces followed at once, and tracks whose pictures are kept; more faces are counted only."""

GLIMPSES = 16
"""Pictures kept of a track at the end; while the film runs up to twice as many."""

ROOM, MOST_SIDE = 2.3, 448
# Boxes of one face in frames a third of a second apart overlap less than in neighbouring ones.
LEAST_OVERLAP, PATIENCE = 0.2, 3

Rgb = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Glimpse:
    """One look at a face. ``time``: seconds; ``rgb``: (h, w, 3) the face with its surroundings, at most `MOST_SIDE`
    a side; ``face``: in pixels of ``rgb``; ``size``: side of the face in pixels of the frame.
    """

    time: float
    rgb: Rgb
    face: Face
    size: float


@dataclass
class FaceTrack:
    """One face through a film. ``times``: seconds of the frames that it was found in; ``boxes``: there, as x y w h in
    pixels of the upright frame; ``glimpses``: some of them with pixels, evenly over ``times``.
    """

    number: int
    times: list[float] = field(default_factory=list)
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    glimpses: list[Glimpse] = field(default_factory=list)
    stride: int = 1

    @property
    def start(self) -> float:
        """Seconds of its first appearance."""
        return self.times[0]

    @property
    def end(self) -> float:
        """Seconds of its last appearance."""
        return self.times[-1]

    def add(self, time: float, face: Face, rgb: Rgb) -> None:
        """One more frame with this face. Of a long track every second glimpse is let go again and again."""
        if (len(self.times)) % self.stride == 0:
            self.glimpses.append(glimpse(time, face, rgb))
        self.times.append(time)
        self.boxes.append(face.box)
        if len(self.glimpses) >= 2 * GLIMPSES:
            self.glimpses = self.glimpses[::2]
            self.stride *= 2


@dataclass(frozen=True)
class People:
    """``tracks``: by number; ``times``: (n,) seconds of all frames that were looked at; ``crowded``: frames with more
    than `MOST_FACES` faces; ``cuts``: seconds of scene cuts; ``left_out``: tracks beyond `MOST_TRACKS`.
    """

    tracks: tuple[FaceTrack, ...]
    times: NDArray[np.float64]
    cuts: tuple[float, ...]
    crowded: int
    left_out: int

    def share(self, track: FaceTrack) -> float:
        """Share (0..1) of the frames looked at in which the track's face was found."""
        return len(track.times) / max(1, self.times.size)


def people_of(video: VideoView) -> People:
    """Look for faces in the planned frames and join them.

    Raises:
        MediaError: the film cannot be decoded. ModelError: a model cannot be used on this machine.
    """
    small = video.small_frames
    scenes = cuts(small)
    tracker = Tracker(LEAST_OVERLAP, PATIENCE)
    tracks: dict[int, FaceTrack] = {}
    times: list[float] = []
    crowded, scene = 0, 0
    for frame in video.frames(rgb=True, upright=True, only=frozenset(planned(small).tolist())):
        now = int(np.searchsorted(scenes, frame.index, side="right"))
        if now != scene:
            tracker.cut()
            scene = now
        found = detect(frame.pixels)
        crowded += len(found) > MOST_FACES
        times.append(frame.time)
        for number, face in tracker.update(found[:MOST_FACES], frame.time):
            if number <= MOST_TRACKS:
                tracks.setdefault(number, FaceTrack(number)).add(frame.time, face, frame.pixels)
    left_out = len(tracker.tracks) - len(tracks)
    seconds = tuple(float(small.times[i]) for i in scenes)
    return People(tuple(tracks[n] for n in sorted(tracks)), np.asarray(times, np.float64), seconds, crowded, left_out)


def glimpse(time: float, face: Face, rgb: Rgb) -> Glimpse:
    """The face with `ROOM` times its box around it, reduced where that is larger than `MOST_SIDE`."""
    x, y, w, h = face.box
    half = max(w, h) * ROOM / 2
    middle = np.array([x + w / 2, y + h / 2 - 0.08 * h])
    low = np.maximum(0, middle - half).astype(int)
    high = np.maximum(low + 1, np.minimum(rgb.shape[1::-1], middle + half).astype(int))
    part = rgb[low[1] : high[1], low[0] : high[0]].copy()
    unit = min(1.0, MOST_SIDE / max(part.shape[:2]))
    if unit < 1:
        size = max(1, round(part.shape[1] * unit)), max(1, round(part.shape[0] * unit))
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    there = np.array([[unit, 0, unit * (0.5 - low[0]) - 0.5], [0, unit, unit * (0.5 - low[1]) - 0.5]], np.float64)
    return Glimpse(time, part, face.moved(there), face.size)
