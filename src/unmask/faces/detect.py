"""Where the faces are: BlazeFace over tiles of several scales, each candidate confirmed by the face mesh."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.faces.align import sharpness
from unmask.faces.blaze import FULL, KEYPOINTS, SHORT, Floats, Network, answer, blend
from unmask.faces.face import Face
from unmask.faces.mesh import lay

# (network, longest side of the picture at this scale, smallest face it finds as a share of that side). The first
# scale leaves a margin around the picture, for faces that fill it.
SCALES = (
    (SHORT, 64, 0.36),
    (SHORT, 128, 0.18),
    (SHORT, 256, 0.09),
    (SHORT, 512, 0.045),
    (FULL, 768, 0.015),
    (FULL, 1536, 0.0075),
)
SMALLEST = 0.045
MIN_SCORE = 0.5
MIN_PRESENCE = 0.5
# A weak candidate needs a mesh that is sure.
FIRM_SCORE, FIRM_PRESENCE = 0.75, 0.9
# Tiles overlap by half, so that whatever one cuts another shows whole.
_STEP = 0.5
_CUT = 0.04
_SAME = 0.3
_INSIDE = 0.6
# The mesh confirms so many candidates, the best first; a picture with more is a crowd or a texture.
MAX_CANDIDATES = 60


def detect(rgb: NDArray[np.uint8], min_score: float = MIN_SCORE, smallest: float = SMALLEST) -> list[Face]:
    """Find faces, the largest first.

    Args:
        rgb: (h, w, 3) uint8, upright.
        min_score: least score of the detector, 0..1; the mesh must confirm the face in any case.
        smallest: smallest face wanted, as a share of the longer side; below 0.045 a second, slower network looks
            as well, down to 0.0075.

    Returns:
        Faces in pixels of ``rgb``.

    Raises:
        ModelError: a model cannot be used on this machine.
    """
    if min(rgb.shape[:2]) < 8:
        return []
    rows, scores = candidates(rgb, min_score, smallest)
    faces = (confirm(rgb, row, float(score)) for row, score in zip(rows, scores, strict=True))
    return sorted((face for face in faces if face is not None), key=lambda face: -face.size)


def candidates(rgb: NDArray[np.uint8], min_score: float, smallest: float) -> tuple[Floats, Floats]:
    """What BlazeFace takes for faces, (m, 16) rows in pixels of ``rgb`` as in `unmask.faces.blaze`, and (m,) scores."""
    rows, scores = [np.zeros((0, 4 + 2 * KEYPOINTS), np.float32)], [np.zeros(0, np.float32)]
    longest, reduced = max(rgb.shape[:2]), rgb
    for network, side, _ in reversed(_scales(longest, smallest)):
        # From the largest scale down, each made from the one before: one pass over the large picture.
        reduced = _resized(reduced, side)
        unit = longest / side
        for found, score in _look(network, reduced, min_score):
            rows.append(found * unit)
            scores.append(score)
    merged = blend(np.concatenate(rows), np.concatenate(scores), _SAME, _INSIDE)
    # Averages of neighbours may come to lie on each other.
    merged = blend(*merged, _SAME, _INSIDE)
    return merged[0][:MAX_CANDIDATES], merged[1][:MAX_CANDIDATES]


def confirm(rgb: NDArray[np.uint8], row: Floats, score: float) -> Face | None:
    """The face of one candidate, or None where the mesh sees none there."""
    x1, y1, x2, y2 = (float(v) for v in row[:4])
    box, points = (x1, y1, x2 - x1, y2 - y1), row[4:].reshape(KEYPOINTS, 2).astype(np.float32)
    if min(box[2:]) < 1:
        return None
    _, presence = lay(rgb, box, points)
    if presence < (MIN_PRESENCE if score >= FIRM_SCORE else FIRM_PRESENCE):
        return None
    return Face(box, points, round(score, 4), round(presence, 4), round(sharpness(rgb, box), 3))


def _scales(longest: int, smallest: float) -> list[tuple[Network, int, float]]:
    """The scales to look at: nothing is enlarged but thumbnails, and nothing smaller than asked for is sought."""
    first = [s for s in SCALES if s[1] <= SHORT.side]
    return first + [s for s in SCALES[len(first) :] if s[1] <= longest and SCALES[SCALES.index(s) - 1][2] > smallest]


def _look(network: Network, pixels: NDArray[np.uint8], min_score: float) -> Iterator[tuple[Floats, Floats]]:
    """Candidates of each tile in pixels of the scale, without those that the tile's border cuts."""
    height, width = pixels.shape[:2]
    for top in _starts(height, network.side):
        for left in _starts(width, network.side):
            rows, scores = answer(network, _tile(pixels, left, top, network.side), min_score)
            whole = _whole(rows, left, top, (width, height), network.side)
            rows = rows[whole] + np.tile(np.array([left, top], np.float32), 2 + KEYPOINTS)
            if len(rows):
                yield rows, scores[whole]


def _whole(rows: Floats, left: int, top: int, size: tuple[int, int], side: int) -> NDArray[np.bool_]:
    """Which boxes do not cross a border of the tile that lies inside the picture."""
    slack = _CUT * side
    keep = np.ones(len(rows), np.bool_)
    for axis, start in enumerate((left, top)):
        if start > 0:
            keep &= rows[:, axis] >= -slack
        if start + side < size[axis]:
            keep &= rows[:, 2 + axis] <= side + slack
    return keep


def _starts(length: int, side: int) -> list[int]:
    """Where tiles begin so that they cover ``length`` evenly; a shorter picture lies in the middle of one tile."""
    if length <= side:
        return [-((side - length) // 2)]
    count = int(np.ceil((length - side) / (side * _STEP))) + 1
    return [round(i * (length - side) / (count - 1)) for i in range(count)]


def _tile(pixels: NDArray[np.uint8], left: int, top: int, side: int) -> NDArray[np.uint8]:
    if left >= 0 and top >= 0 and left + side <= pixels.shape[1] and top + side <= pixels.shape[0]:
        return pixels[top : top + side, left : left + side]
    tile = np.zeros((side, side, 3), np.uint8)
    part = pixels[max(0, top) : top + side, max(0, left) : left + side]
    y, x = max(0, -top), max(0, -left)
    tile[y : y + part.shape[0], x : x + part.shape[1]] = part
    return tile


def _resized(rgb: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    height, width = rgb.shape[:2]
    scale = longest / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if (width, height) == size:
        return rgb
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR), np.uint8)
