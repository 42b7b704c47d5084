"""Which points of the mesh are what, and where they lie in the aligned pictures of a face.

Numbers are those of MediaPipe's canonical face (Kartynnik et al. 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.faces.align import TEMPLATE, WEIGHTS, similarity
from unmask.films.closeup import CROP_SIDE, CloseLook, keypoints_of

OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150,
    136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
LIPS = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185, 78, 95, 88, 178, 87, 14,
    317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415,
)  # fmt: skip
RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
BROWS = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46, 300, 293, 334, 296, 336, 285, 295, 282, 283, 276)

# The inner edges of the lips and the corners of the mouth.
MOUTH = ((13,), (14,), (78, 308))

STILL = tuple(sorted(set(range(468)) - {*LIPS, *RIGHT_EYE, *LEFT_EYE, *BROWS}))
"""Points that hardly move against the skull."""

INNER = tuple(sorted(set(STILL) - set(OVAL)))

_EDGE, _SEAM, _FEATURE = 7, 4, 3  # pixels of the aligned picture

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Regions:
    """Parts of the aligned picture, (112, 112) each: ``skin`` inside the face without eyes and mouth, ``seam`` along
    its outline, ``around`` outside of it (hair, ears, neck, background).
    """

    skin: Mask
    seam: Mask
    around: Mask


def placed(look: CloseLook) -> NDArray[np.float64]:
    """(n, 468, 3) the mesh in the aligned pictures, in shares of their side; NaN where the face was lost.

    Turn, size and place of the head are taken out by the key points, as in the crops.
    """
    out = np.full(look.mesh.shape, np.nan)
    for i in np.flatnonzero(look.seen):
        move = similarity(keypoints_of(look.mesh[i]), TEMPLATE, WEIGHTS)
        unit = np.sqrt(abs(np.linalg.det(move[:, :2])))
        out[i, :, :2] = look.mesh[i, :, :2] @ move[:, :2].T + move[:, 2]
        out[i, :, 2] = look.mesh[i, :, 2] * unit
    return out


def regions(place: NDArray[np.float64]) -> Regions:
    """The parts of the aligned picture where the mesh usually lies. ``place``: as `placed` gives it, seen frames."""
    usual = np.nanmedian(place[..., :2], axis=0) * CROP_SIDE
    oval = _hull(usual, OVAL)
    features = _grown(_hull(usual, LIPS) | _hull(usual, RIGHT_EYE) | _hull(usual, LEFT_EYE), _FEATURE)
    skin = _shrunk(oval, _EDGE) & ~features.astype(bool)
    seam = _grown(oval, _SEAM).astype(bool) & ~_shrunk(oval, _SEAM).astype(bool)
    return Regions(skin.astype(bool), seam, ~_grown(oval, _SEAM + 1).astype(bool))


def _hull(points: NDArray[np.float64], ids: Sequence[int]) -> NDArray[np.uint8]:
    out = np.zeros((CROP_SIDE, CROP_SIDE), np.uint8)
    cv2.fillConvexPoly(out, cv2.convexHull(points[list(ids)].astype(np.int32)), 1)
    return out


def _disc(radius: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2), np.uint8)


def _grown(mask: NDArray[np.uint8], radius: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.dilate(mask, _disc(radius)), np.uint8)


def _shrunk(mask: NDArray[np.uint8], radius: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.erode(mask, _disc(radius)), np.uint8)
