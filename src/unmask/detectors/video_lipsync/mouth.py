"""How a mouth moves: four measures of the lips in each frame, free of where the head is and how large.

The mesh is laid over its own rigid points (eyes, forehead, bridge of the nose) by the least-squares similarity of
S. Umeyama (IEEE PAMI 13(4), 1991), so that turning, nodding and coming nearer leave the measures as they are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

NAMES = ("opening", "width", "lower_lip", "corners")
"""The columns of `measures`; ``weights.toml`` has one row for each."""

# Points of MediaPipe's mesh.
_RIGID = (33, 133, 362, 263, 168, 6, 197, 10, 9, 151, 127, 356, 195, 5)
_EYES = ((0, 1), (2, 3))
_OUTER, _CORNERS, _LOWER = (0, 17), (61, 291), 17
_NOSE, _SIDES = 1, (234, 454)


def measures(mesh: NDArray[np.floating]) -> Float:
    """Lip measures of each frame.

    Args:
        mesh: (n, 468, 3), NaN where the face was lost; at least one frame is not.

    Returns:
        (n, 4) in distances between the eyes, columns as `NAMES`: opening and width of the outer lips, the others
        heights below the middle of the rigid points. NaN where the face was lost.
    """
    at = upright(mesh)

    def apart(pair: tuple[int, int]) -> Float:
        return np.asarray(np.linalg.norm(at[:, pair[0]] - at[:, pair[1]], axis=-1), np.float64)

    corners = at[:, list(_CORNERS), 1].mean(axis=1)
    return np.stack([apart(_OUTER), apart(_CORNERS), at[:, _LOWER, 1], corners], axis=1)


def upright(mesh: NDArray[np.floating]) -> Float:
    """(n, 468, 3): every frame's mesh brought onto the usual place of its rigid points, in distances of the eyes."""
    points = np.asarray(mesh, np.float64)
    out = np.full(points.shape, np.nan)
    seen = np.flatnonzero(np.isfinite(points[:, 0, 0]))
    rigid = points[:, list(_RIGID)]
    usual = np.median(rigid[seen], axis=0)
    usual -= usual.mean(axis=0)
    right, left = (usual[list(pair)].mean(axis=0) for pair in _EYES)
    usual /= max(1e-6, float(np.linalg.norm(right - left)))
    for i in seen:
        middle = rigid[i].mean(axis=0)
        out[i] = (points[i] - middle) @ _turn(rigid[i] - middle, usual)
    return out


def _turn(points: Float, onto: Float) -> Float:
    """(3, 3): rotation times scale that brings centred ``points`` closest to ``onto``."""
    u, s, vt = np.linalg.svd(points.T @ onto)
    kept = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    size = float(np.square(points).sum())
    return np.asarray((u * kept) @ vt * ((s * kept).sum() / max(size, 1e-12)), np.float64)


def turned(mesh: NDArray[np.floating]) -> float:
    """How far the face is turned aside, usually: 0 frontal, 1 where the nose hides one side of the face."""
    right = mesh[:, _NOSE, 0] - mesh[:, _SIDES[0], 0]
    left = mesh[:, _SIDES[1], 0] - mesh[:, _NOSE, 0]
    share = np.abs(right - left) / np.maximum(1e-6, np.abs(right + left))
    return float(min(1.0, np.nanmedian(share)))
