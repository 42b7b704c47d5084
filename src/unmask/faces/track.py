"""Which face in one frame is which in the next: tracks with stable numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from unmask.faces.blaze import overlap
from unmask.faces.face import Face


@dataclass
class Track:
    """One face through time. ``number``: never used again; ``times``: seconds, one a face; ``misses``: frames since."""

    number: int
    times: list[float] = field(default_factory=list)
    faces: list[Face] = field(default_factory=list)
    misses: int = 0

    @property
    def last(self) -> Face:
        """The face as it was seen last."""
        return self.faces[-1]


class Tracker:
    """Joins faces frame by frame by how much their boxes overlap, best pairs first.

    Args:
        least_overlap: least intersection over union, 0..1.
        patience: frames in which a face may be missing before its track ends.

    E. Bochinski, V. Eiselein, T. Sikora: High-Speed Tracking-by-Detection Without Using Image Information. AVSS 2017.
    """

    def __init__(self, least_overlap: float = 0.3, patience: int = 5) -> None:
        self.least_overlap = least_overlap
        self.patience = patience
        self.tracks: list[Track] = []
        self._alive: list[Track] = []

    def update(self, faces: Sequence[Face], time: float) -> list[tuple[int, Face]]:
        """Take one frame's faces in; returns each with the number of its track."""
        pairs = self._pair(faces)
        for track in self._alive:
            track.misses += 1
        out = []
        for index, face in enumerate(faces):
            track = pairs.get(index) or self._begin()
            track.times.append(time)
            track.faces.append(face)
            track.misses = 0
            out.append((track.number, face))
        self._alive = [track for track in self._alive if track.misses <= self.patience]
        return out

    def cut(self) -> None:
        """End all tracks: another scene begins, and what is at the same place in it is another face."""
        self._alive = []

    def _begin(self) -> Track:
        track = Track(len(self.tracks) + 1)
        self.tracks.append(track)
        self._alive.append(track)
        return track

    def _pair(self, faces: Sequence[Face]) -> dict[int, Track]:
        if not faces or not self._alive:
            return {}
        boxes = np.array([_corners(face) for face in faces], np.float32)
        shares = np.stack([overlap(np.array(_corners(t.last), np.float32), boxes) for t in self._alive])
        pairs: dict[int, Track] = {}
        taken: set[int] = set()
        for flat in np.argsort(-shares, axis=None, kind="stable"):
            row, index = divmod(int(flat), len(faces))
            if shares[row, index] < self.least_overlap:
                break
            if row not in taken and index not in pairs:
                pairs[index] = self._alive[row]
                taken.add(row)
        return pairs


def _corners(face: Face) -> tuple[float, float, float, float]:
    x, y, w, h = face.box
    return x, y, x + w, y + h
