"""Faces in the frames of a film that are a third of a second apart: a whole look every fourth time, near looks between.

A whole look searches all tiles of all scales, which takes dozens of inferences. Between two of them a face is where
it was, or nearly: one small square around it is enough. New faces wait for the next whole look.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unmask.faces.blaze import overlap
from unmask.faces.detect import detect
from unmask.faces.face import Face

WHOLE_EVERY = 1.3
"""Seconds after which the whole frame is searched again."""

REMEMBERED = 1.5
"""Seconds for which a face that is gone is looked for where it was."""

MOST_NEAR = 6
"""With more faces than this a whole look costs no more than the near ones."""

# The square that is searched, in sides of the face: it fills what the short-range network likes best, and a face may
# move by half its size. Nothing smaller than the second figure, as a share of the square, is wanted.
ROOM, SMALLEST = 2.2, 0.3
LEAST_OVERLAP, SAME = 0.2, 0.5

Rgb = NDArray[np.uint8]
Box = tuple[float, float, float, float]


class Lookout:
    """Finds the faces of one frame after the other."""

    def __init__(self) -> None:
        self._last: list[Face] = []
        self._gone: list[tuple[Face, float]] = []
        self._whole = -np.inf

    def cut(self) -> None:
        """Another scene begins: nothing is where it was."""
        self._last, self._gone, self._whole = [], [], -np.inf

    def faces(self, rgb: Rgb, time: float) -> list[Face]:
        """The faces of a frame, the largest first.

        Args:
            rgb: (h, w, 3) uint8, upright.
            time: seconds; frames come in order.

        Raises:
            ModelError: a model cannot be used on this machine.
        """
        found = self._near(rgb) if time - self._whole < WHOLE_EVERY else None
        if found is None:
            found, self._whole = detect(rgb), time
        self._gone = [(face, at) for face, at in self._gone if time - at < REMEMBERED and not _is_any(face, found)]
        self._gone += [(face, time) for face in self._last if not found or _shared(face, found) < LEAST_OVERLAP]
        self._last = found
        return found

    def _near(self, rgb: Rgb) -> list[Face] | None:
        """The faces of the frame before, found again, and those that come back; None where one is gone."""
        if len(self._last) > MOST_NEAR:
            return None
        found: list[Face] = []
        for face in self._last:
            again = near(rgb, face.box)
            # Two faces that were apart have run into one: only a whole look can tell them.
            if again is None or _is_any(again, found):
                return None
            found.append(again)
        for face, _ in self._gone[-MOST_NEAR:]:
            again = near(rgb, face.box)
            if again is not None and not _is_any(again, found):
                found.append(again)
        return sorted(found, key=lambda face: -face.size)


def near(rgb: Rgb, box: Box) -> Face | None:
    """The face in a square around where one was or is expected, in pixels of ``rgb``; None where there is none now.

    Raises:
        ModelError: a model cannot be used on this machine.
    """
    x, y, w, h = box
    half = ROOM * max(w, h) / 2
    low = np.maximum(0, np.array([x + w / 2 - half, y + h / 2 - half])).astype(int)
    high = np.minimum(rgb.shape[1::-1], np.array([x + w / 2 + half, y + h / 2 + half])).astype(int)
    part = rgb[low[1] : high[1], low[0] : high[0]]
    if min(part.shape[:2]) < 16:
        return None
    back = np.array([[1, 0, low[0]], [0, 1, low[1]]], np.float64)
    candidates = [one.moved(back) for one in detect(part, smallest=SMALLEST)]
    return max((c for c in candidates if _overlap(c.box, [box]) >= LEAST_OVERLAP), key=lambda c: c.score, default=None)


def _is_any(face: Face, others: Sequence[Face]) -> bool:
    """Whether a face lies where one of the others does."""
    return bool(others) and _shared(face, others) >= SAME


def _shared(face: Face, others: Sequence[Face]) -> float:
    """The largest intersection over union with any of the others."""
    return _overlap(face.box, [one.box for one in others])


def _overlap(box: Box, others: Sequence[Box]) -> float:
    corners = [(x, y, x + w, y + h) for x, y, w, h in (box, *others)]
    return float(overlap(np.array(corners[0], np.float32), np.array(corners[1:], np.float32)).max())
