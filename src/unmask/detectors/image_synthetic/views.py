"""What the networks look at: the whole picture in small, and patches at its own resolution.

Training cuts its views with these functions, too, so that a network never meets another picture in use than it learned
from.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]

SIDE = 224
MAX_SIDE = 1600


def bounded(pixels: Pixels) -> Pixels:
    """The (h, w, 3) picture, its larger side at most `MAX_SIDE`: no network learned from larger ones."""
    scale = MAX_SIDE / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    size = (max(1, int(pixels.shape[1] * scale)), max(1, int(pixels.shape[0] * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def whole(pixels: Pixels) -> Pixels:
    """(224, 224, 3): the whole bounded picture, its sides pressed to the same length."""
    return np.asarray(cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def patch(pixels: Pixels, y: int, x: int) -> Pixels:
    """(224, 224, 3) at its own resolution from (y, x); a picture that is smaller is mirrored at its edges."""
    part = pixels[y : y + SIDE, x : x + SIDE]
    down, right = SIDE - part.shape[0], SIDE - part.shape[1]
    if down or right:
        part = np.pad(part, ((0, down), (0, right), (0, 0)), mode="symmetric")
    return part


def places(height: int, width: int, most: int) -> list[tuple[int, int]]:
    """(y, x) of at most ``most`` patches spread evenly; they overlap where the picture is small, never outside it."""
    h, w = max(height - SIDE, 0), max(width - SIDE, 0)
    rows, columns = _counts(h / SIDE + 1, w / SIDE + 1, most)
    return [(round(h * _share(i, rows)), round(w * _share(j, columns))) for i in range(rows) for j in range(columns)]


def _counts(tall: float, wide: float, most: int) -> tuple[int, int]:
    """Rows and columns of patches, in the picture's proportion."""
    rows, columns = math.ceil(tall), math.ceil(wide)
    if rows * columns > most:
        rows = max(1, min(rows, round(math.sqrt(most * tall / wide))))
        columns = max(1, min(columns, most // rows))
    return rows, columns


def _share(index: int, count: int) -> float:
    return 0.5 if count == 1 else index / (count - 1)


def for_net(views: list[Pixels]) -> Float:
    """(n, 3, 224, 224) float32, 0..255 RGB, as the small network wants it."""
    return np.ascontiguousarray(np.stack(views).transpose(0, 3, 1, 2), np.float32)
