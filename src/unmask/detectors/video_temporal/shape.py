"""Trembling of the mesh, and how far the mouth is open.

Trembling is what is left of a point's path when the motion of the head is taken out (an affine camera over the mean
shape; J. J. Koenderink, A. J. van Doorn: Affine structure from motion. JOSA A 8, 1991) and its second difference over
time is taken, which smooth mimic hardly has.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unmask.detectors.video_temporal.points import INNER, MOUTH, OVAL, STILL

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def trembling(place: Floats, follows: Flags) -> tuple[Floats, Floats]:
    """(n,) thousandths of the crop's side, of points inside the face and of its outline; NaN where not to be told.

    Args:
        place: (n, 468, 3) mesh in the aligned pictures.
        follows: (n,) frames that follow the one before without a gap, the face seen in both.
    """
    left = _head_taken_out(place)
    steps = np.full(place.shape[:2], np.nan)
    steps[1:-1] = np.linalg.norm(left[:-2] - 2 * left[1:-1] + left[2:], axis=2) / np.sqrt(6)
    told = np.zeros(len(place), np.bool_)
    told[1:-1] = follows[1:-1] & follows[2:]
    steps[~told] = np.nan
    return 1e3 * np.median(steps[:, list(INNER)], axis=1), 1e3 * np.median(steps[:, list(OVAL)], axis=1)


def _head_taken_out(place: Floats) -> Floats:
    """(n, 468, 2) each frame's mesh less the affine view of the mean shape that fits it best."""
    mean = np.concatenate([np.nanmean(place, axis=0), np.ones((place.shape[1], 1))], axis=1)
    fit = np.linalg.pinv(mean[list(STILL)])
    views = np.einsum("ak,nkj->naj", fit, place[:, list(STILL), :2])
    return np.asarray(place[..., :2] - np.einsum("ka,naj->nkj", mean, views), np.float64)


def mouth_opening(place: Floats) -> Floats:
    """(n,) distance of the lips' inner edges by the mouth's width; 0 is closed."""
    return _opening(place, *MOUTH)


def _opening(place: Floats, upper: Sequence[int], lower: Sequence[int], corners: Sequence[int]) -> Floats:
    def distance(a: Floats, b: Floats) -> Floats:
        return np.asarray(np.linalg.norm((a - b)[..., :2], axis=-1), np.float64)

    height = distance(place[:, list(upper)].mean(axis=1), place[:, list(lower)].mean(axis=1))
    return height / np.maximum(1e-6, distance(place[:, corners[0]], place[:, corners[1]]))
