"""Faces followed without end: `unmask.faces.track.Tracker`, whose memory is cut to what it needs."""

from __future__ import annotations

from collections.abc import Sequence

from unmask.faces.face import Face
from unmask.faces.track import Tracker

MOST_TRACKS = 500
"""Tracks after which a new tracker takes over, with the faces of the last frame."""


class EndlessTracker:
    """As `Tracker`, with numbers that go on, and bounded memory.

    Args:
        least_overlap: least intersection over union of a face in two looks, 0..1.
        patience: looks in which a face may be missing before its track ends.
    """

    def __init__(self, least_overlap: float = 0.2, patience: int = 3) -> None:
        self._overlap, self._patience = least_overlap, patience
        self._tracker = Tracker(least_overlap, patience)
        self._numbers: dict[int, int] = {}
        self._last = 0

    def update(self, faces: Sequence[Face], time: float) -> list[tuple[int, Face]]:
        """Take one frame's faces in; returns each with its number."""
        out = [(self._number(inner), face) for inner, face in self._tracker.update(faces, time)]
        for track in self._tracker.tracks:
            del track.faces[:-1], track.times[:-1]
        if len(self._tracker.tracks) > MOST_TRACKS:
            self._renew(out, time)
        return out

    def cut(self) -> None:
        """Another scene begins."""
        self._tracker.cut()

    def _number(self, inner: int) -> int:
        if inner not in self._numbers:
            self._last += 1
            self._numbers[inner] = self._last
        return self._numbers[inner]

    def _renew(self, now: Sequence[tuple[int, Face]], time: float) -> None:
        self._tracker = Tracker(self._overlap, self._patience)
        fresh = self._tracker.update([face for _, face in now], time)
        self._numbers = {inner: number for (inner, _), (number, _) in zip(fresh, now, strict=True)}
