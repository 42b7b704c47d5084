"""Whose faces are in a film, from when to when: faces found in planned frames, joined to tracks, kept as small cuts.

A track is one face from its appearance to its disappearance; tracks whose faces are alike make one person, numbered in
the order of appearance. Nobody is named or looked up: faces are compared within the film only.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.errors import ModelError
from unmask.faces.face import Face
from unmask.faces.track import Tracker
from unmask.films import identity
from unmask.films.ahead import ahead
from unmask.films.lookout import Lookout
from unmask.films.picked import picked
from unmask.films.plan import cuts, planned
from unmask.media.video import VideoView

MOST_FACES, MOST_TRACKS = 20, 120
"""Faces followed at once, and tracks that are kept; more faces are counted only."""

GLIMPSES = 16
"""Pictures kept of a track at the end; while the film runs up to twice as many."""

PIXEL_BYTES = 64 * 2**20
"""All pictures of all tracks together; beyond it the track with the most lets every second one go."""

ROOM, MOST_SIDE = 2.3, 448
# Boxes of one face in frames a third of a second apart overlap less than in neighbouring ones. A face may be missing
# for so many seconds without an end of its track; where frames are looked at more seldom, in none of them.
LEAST_OVERLAP, PATIENCE_SECONDS = 0.2, 1.0

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
    pixels of the upright frame; ``glimpses``: some of them with pixels, evenly over ``times``; ``person``: number of
    the `Person` whose appearance this is, 0 where nobody was compared.
    """

    number: int
    times: list[float] = field(default_factory=list)
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    glimpses: list[Glimpse] = field(default_factory=list)
    stride: int = 1
    person: int = 0

    @property
    def face(self) -> int:
        """The number that users see: the person's, or its own where nobody was compared."""
        return self.person or self.number

    @property
    def start(self) -> float:
        """Seconds of its first appearance."""
        return self.times[0]

    @property
    def end(self) -> float:
        """Seconds of its last appearance."""
        return self.times[-1]

    @property
    def size(self) -> float:
        """Median side of the face in pixels of the frame."""
        return float(np.median([(w * h) ** 0.5 for _, _, w, h in self.boxes]))

    @property
    def sharpness(self) -> float:
        """Median over the glimpses, 0..1; see `unmask.faces.align.sharpness`."""
        return float(np.median([g.face.sharpness for g in self.glimpses])) if self.glimpses else 0.0

    def add(self, time: float, face: Face, rgb: Rgb) -> None:
        """One more frame with this face. Of a long track every second glimpse is let go again and again."""
        if (len(self.times)) % self.stride == 0:
            self.glimpses.append(glimpse(time, face, rgb))
        self.times.append(time)
        self.boxes.append(face.box)
        if len(self.glimpses) >= 2 * GLIMPSES:
            self.thin()

    def thin(self) -> None:
        """Let every second glimpse go."""
        self.glimpses = self.glimpses[::2]
        self.stride *= 2

    def go_on(self, other: FaceTrack) -> None:
        """``other`` is the same face, found again later."""
        self.times += other.times
        self.boxes += other.boxes
        self.glimpses += other.glimpses
        while len(self.glimpses) >= 2 * GLIMPSES:
            self.thin()


@dataclass(frozen=True)
class Person:
    """Appearances of one face. ``number``: in the order of first appearance; ``tracks``: in the order of time, at least
    one; ``share``: 0..1 of the frames looked at.
    """

    number: int
    tracks: tuple[FaceTrack, ...]
    share: float

    @property
    def face(self) -> int:
        """The number that users see."""
        return self.number

    @property
    def start(self) -> float:
        """Seconds of the first appearance."""
        return self.tracks[0].start

    @property
    def end(self) -> float:
        """Seconds at which it was seen last."""
        return max(track.end for track in self.tracks)

    @property
    def glimpses(self) -> list[Glimpse]:
        """Those of all appearances, in the order of time."""
        return [g for track in self.tracks for g in track.glimpses]

    @property
    def seen(self) -> int:
        """Frames it was found in."""
        return sum(len(track.times) for track in self.tracks)

    @property
    def size(self) -> float:
        """Median side of the face in pixels of the frame, over its appearances weighted by their length."""
        return float(np.median([(w * h) ** 0.5 for track in self.tracks for _, _, w, h in track.boxes]))

    @property
    def sharpness(self) -> float:
        """Median over the glimpses, 0..1."""
        return float(np.median([g.face.sharpness for g in self.glimpses])) if self.glimpses else 0.0


@dataclass(frozen=True)
class People:
    """``tracks``: by number; ``times``: (n,) seconds of all frames that were looked at; ``crowded``: frames with more
    than `MOST_FACES` faces; ``cuts``: seconds of scene cuts; ``left_out``: tracks beyond `MOST_TRACKS`; ``persons``: by
    number, every track in one of them (each track a person of its own where none are given); ``compared``: False where
    the faces could not be compared on this machine, so that every appearance counts as somebody else.
    """

    tracks: tuple[FaceTrack, ...]
    times: NDArray[np.float64]
    cuts: tuple[float, ...]
    crowded: int
    left_out: int
    persons: tuple[Person, ...] = ()
    compared: bool = True

    def __post_init__(self) -> None:
        """Nobody was compared: every appearance is somebody else."""
        if not self.persons:
            alone = tuple(Person(track.number, (track,), self.share(track)) for track in self.tracks)
            object.__setattr__(self, "persons", alone)

    def share(self, track: FaceTrack) -> float:
        """Share (0..1) of the frames looked at in which the track's face was found."""
        return len(track.times) / max(1, self.times.size)


def people_of(video: VideoView) -> People:
    """Look for faces in the planned frames and join them to tracks and persons.

    Raises:
        MediaError: the film cannot be decoded. ModelError: a model cannot be used on this machine.
    """
    small = video.small_frames
    scenes, frames = cuts(small), planned(small)
    found, lookout = _Found(_patience(small.times[frames])), Lookout()
    scene = 0
    for frame in ahead(video, picked(video, frames, held=False)):
        now = int(np.searchsorted(scenes, frame.index, side="right"))
        if now != scene:
            found.tracker.cut()
            lookout.cut()
            scene = now
        found.add(frame.time, lookout.faces(frame.pixels, frame.time), frame.pixels)
    seconds = tuple(float(small.times[i]) for i in scenes)
    return found.people(seconds)


def _patience(times: NDArray[np.float64]) -> int:
    """Frames looked at in which a face may be missing."""
    step = float(np.median(np.diff(times))) if times.size > 1 else 1.0
    return int(PATIENCE_SECONDS / max(step, 1e-3) + 0.5)


class _Found:
    """What was found while the film runs."""

    def __init__(self, patience: int) -> None:
        self.tracker = Tracker(LEAST_OVERLAP, patience)
        self.tracks: dict[int, FaceTrack] = {}
        self.times: list[float] = []
        self.crowded = 0

    def add(self, time: float, faces: list[Face], rgb: Rgb) -> None:
        """One frame's faces, the largest first."""
        self.crowded += len(faces) > MOST_FACES
        self.times.append(time)
        for number, face in self.tracker.update(faces[:MOST_FACES], time):
            if number <= MOST_TRACKS:
                self.tracks.setdefault(number, FaceTrack(number)).add(time, face, rgb)
        held = {n: sum(g.rgb.nbytes for g in track.glimpses) for n, track in self.tracks.items()}
        while sum(held.values()) > PIXEL_BYTES:
            most = max(held, key=lambda n: held[n])
            if len(self.tracks[most].glimpses) < 2:
                break
            self.tracks[most].thin()
            held[most] = sum(g.rgb.nbytes for g in self.tracks[most].glimpses)

    def people(self, seconds: tuple[float, ...]) -> People:
        """Tracks that were lost for a moment are put together, then those of one person."""
        first = [self.tracks[n] for n in sorted(self.tracks)]
        try:
            alike, compared = [identity.likeness(track) for track in first], True
        except ModelError:
            # Without the network there are still faces to examine, each appearance for itself.
            alike, compared = [None] * len(first), False
        tracks, values = [], []
        for number, chain in enumerate(identity.bridges(first, alike, seconds), 1):
            tracks.append(_chained([first[i] for i in chain], number))
            parts = [value for i in chain if (value := alike[i]) is not None]
            values.append(identity.mean_likeness(parts) if parts else None)
        groups = identity.persons([(track.start, track.end) for track in tracks], values)
        times = np.asarray(self.times, np.float64)
        persons = tuple(_person(n, [tracks[i] for i in group], times.size) for n, group in enumerate(groups, 1))
        left_out = len(self.tracker.tracks) - len(first)
        return People(tuple(tracks), times, seconds, self.crowded, left_out, persons, compared)


def _chained(parts: list[FaceTrack], number: int) -> FaceTrack:
    """One track of several that follow each other."""
    track = parts[0]
    track.number = number
    for part in parts[1:]:
        track.go_on(part)
    return track


def _person(number: int, tracks: list[FaceTrack], looked: int) -> Person:
    for track in tracks:
        track.person = number
    seen = {time for track in tracks for time in track.times}
    return Person(number, tuple(tracks), len(seen) / max(1, looked))


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
