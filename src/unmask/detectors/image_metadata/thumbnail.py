"""The camera's thumbnail against the picture.

Programs that do not know of the thumbnail leave the old one when they change the picture (Kee, Farid: Digital
image authentication from thumbnails, 2010). The comparison is of structure (correlation), so that tone, colour
and sharpening do not matter, and it allows for turning, black bars and cropping either way, which are innocent.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Grey = NDArray[np.float32]

_MAX_THUMB_PIXELS = 1_000_000
_SIDE = 128
_BAR = 16.0
_MIN_SIDE = 24
_SURE = 0.8


@dataclass(frozen=True)
class Match:
    """Best correlation (-1..1) over turns and crops; ``texture`` is the smaller standard deviation (grey levels)."""

    correlation: float
    texture: float
    size: tuple[int, int]


def compare(thumbnail: bytes, luma: NDArray[np.uint8]) -> Match | None:
    """Compare an embedded thumbnail with the picture's luma (h, w); None where the thumbnail cannot be read."""
    small = _decode(thumbnail)
    if small is None:
        return None
    size = (small.shape[1], small.shape[0])
    small = _fit(_without_bars(small), _SIDE)
    if min(small.shape) < _MIN_SIDE or min(luma.shape) < _MIN_SIDE:
        return None
    whole = _fit(np.asarray(luma), 4 * _SIDE)
    texture = float(min(small.std(), whole.std()))
    best = -1.0
    for turn in range(4):
        best = max(best, _best(small, np.ascontiguousarray(np.rot90(whole, turn))))
        if best > _SURE:
            break
    return Match(best, texture, size)


def _decode(data: bytes) -> Grey | None:
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.size[0] * image.size[1] > _MAX_THUMB_PIXELS:
                return None
            return np.asarray(image.convert("L"), np.float32)
    except Exception:  # Pillow raises anything on damaged data
        return None


def _without_bars(grey: Grey) -> Grey:
    """The thumbnail without the black bars that cameras add to keep 4:3."""
    rows, columns = np.flatnonzero(grey.max(axis=1) > _BAR), np.flatnonzero(grey.max(axis=0) > _BAR)
    if len(rows) == 0 or len(columns) == 0:
        return grey
    return grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _fit(grey: NDArray[Any], side: int) -> Grey:
    scale = side / max(grey.shape)
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float32)


def _best(small: Grey, whole: Grey) -> float:
    """Best correlation of the picture, shrunk to various sizes, with the thumbnail; either may be a crop."""
    best = -1.0
    widest = small.shape[1] / whole.shape[1], small.shape[0] / whole.shape[0]
    for factor in (1.0, 1.06, 0.94, 1.12, 0.88, 1.25, 0.8, 0.7, 0.6, 0.5, 0.4):
        if best > _SURE:
            break
        for scale in {round(widest[0] * factor, 4), round(widest[1] * factor, 4)}:
            size = (round(whole.shape[1] * scale), round(whole.shape[0] * scale))
            if min(size) >= _MIN_SIDE and max(size) <= 3 * _SIDE:
                shrunk = np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), np.float32)
                best = max(best, _correlate(small, shrunk))
    return best


def _correlate(one: Grey, other: Grey) -> float:
    """The largest normalised correlation where one lies inside the other, up to a small overhang."""
    h, w = min(one.shape[0], other.shape[0]), min(one.shape[1], other.shape[1])
    if min(h, w) < _MIN_SIDE:
        return -1.0
    # Where neither contains the other, the middle of the wider one stands for it.
    template, field = (_middle(one, h, w), other) if one.size < other.size else (_middle(other, h, w), one)
    if template.std() < 1.0:
        return -1.0
    scores = cv2.matchTemplate(field, template, cv2.TM_CCOEFF_NORMED)
    return float(np.nan_to_num(scores, nan=-1.0, posinf=-1.0, neginf=-1.0).max())


def _middle(grey: Grey, h: int, w: int) -> Grey:
    y, x = (grey.shape[0] - h) // 2, (grey.shape[1] - w) // 2
    return grey[y : y + h, x : x + w]
