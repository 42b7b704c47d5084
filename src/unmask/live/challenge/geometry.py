"""What a mesh of 468 points says of a head: pose against rest, shape, mouth. Pure functions of numbers.

Meshes are (468, 3) in pixels: x to the right, y down, z away from the camera, as from `unmask.faces.mesh.mesh`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.faces.face import Pose

Mesh = NDArray[np.floating]

# Points on bone or close to it: forehead, bridge and tip of the nose, corners of the eyes, temples, cheekbones.
RIGID = (
    *(1, 4, 5, 6, 168, 197, 195, 10, 151, 9, 8, 33, 133, 362, 263, 127, 356, 234, 454),
    *(21, 251, 54, 284, 103, 332, 67, 297, 109, 338, 116, 345, 98, 327, 2),
)
_OUTER_EYES = (33, 263)
_LIPS = (13, 14)


class Rigid(NamedTuple):
    """``now = scale * turn @ rest + shift``. ``turn``: (3, 3) rotation; ``shift``: (3,) pixels."""

    scale: float
    turn: NDArray[np.float64]
    shift: NDArray[np.float64]


def rigid(rest: Mesh, now: Mesh, points: Sequence[int] = RIGID) -> Rigid:
    """The scale, rotation and shift that best take the bony points of ``rest`` to those of ``now``.

    S. Umeyama: Least-squares estimation of transformation parameters between two point patterns. PAMI 13, 1991.
    """
    a, b = np.asarray(rest, np.float64)[list(points)], np.asarray(now, np.float64)[list(points)]
    a0, b0 = a.mean(axis=0), b.mean(axis=0)
    left, strength, right = np.linalg.svd((b - b0).T @ (a - a0))
    sign = np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right)) or 1.0])
    turn = left @ sign @ right
    spread = float(((a - a0) ** 2).sum())
    scale = float(np.trace(np.diag(strength) @ sign)) / max(spread, 1e-12)
    return Rigid(scale, turn, b0 - scale * turn @ a0)


def pose_against(rest: Mesh, now: Mesh) -> Pose:
    """Degrees that the head turned since ``rest``: yaw > 0 to the right of the picture, pitch > 0 up, roll > 0
    clockwise.
    """
    turn = rigid(rest, now).turn
    ahead = turn @ (0.0, 0.0, -1.0)
    yaw = np.degrees(np.arctan2(ahead[0], -ahead[2]))
    pitch = np.degrees(np.arcsin(np.clip(-ahead[1], -1.0, 1.0)))
    across = turn @ (1.0, 0.0, 0.0)
    roll = np.degrees(np.arctan2(across[1], across[0]))
    return Pose(round(float(yaw), 1), round(float(pitch), 1), round(float(roll), 1))


def size(mesh: Mesh) -> float:
    """Distance in space of the outer corners of the eyes, pixels; a turn of the head hardly changes it."""
    right, left = np.asarray(mesh, np.float64)[list(_OUTER_EYES)]
    return float(np.linalg.norm(left - right))


def shape_difference(rest: Mesh, now: Mesh) -> float:
    """How far the bony points lie from where the head at rest, turned and scaled, would have them.

    Root mean square over the points in the plane of the picture, in shares of `size`; 0 for one and the same head.
    """
    scale, turn, shift = rigid(rest, now)
    points = list(RIGID)
    there = scale * np.asarray(rest, np.float64)[points] @ turn.T + shift
    gap = (np.asarray(now, np.float64)[points] - there)[:, :2]
    return float(np.sqrt((gap**2).sum(axis=1).mean())) / max(size(now), 1e-9)


def flat_residual(rest: Mesh, now: Mesh) -> float:
    """What a flat picture turned in space leaves unexplained of the bony points' way, in shares of `size`.

    The root mean square after the best homography (R. Hartley, A. Zisserman: Multiple View Geometry, 2003, 4.1): small
    for a print or a screen that is turned, larger for a head. Told as a number only; no threshold was measured.
    """
    a, b = (np.asarray(m, np.float64)[list(RIGID), :2] for m in (rest, now))
    found, _ = cv2.findHomography(a, b)
    if found is None:
        return 0.0
    there = np.column_stack([a, np.ones(len(a))]) @ found.T
    there = there[:, :2] / there[:, 2:]
    return float(np.sqrt(((b - there) ** 2).sum(axis=1).mean())) / max(size(now), 1e-9)


def mouth_opening(mesh: Mesh) -> float:
    """Distance of the inner lips over `size`: about 0 shut, above 0.3 wide open."""
    upper, lower = np.asarray(mesh, np.float64)[list(_LIPS)]
    return float(np.linalg.norm(lower - upper)) / max(size(mesh), 1e-9)


def jump(before: Mesh, now: Mesh, seconds: float) -> float:
    """How far the bony points' centre moved, in shares of `size` for each tenth of a second (at least one tenth)."""
    points = list(RIGID)
    way = np.asarray(now, np.float64)[points, :2].mean(axis=0) - np.asarray(before, np.float64)[points, :2].mean(axis=0)
    return float(np.linalg.norm(way)) / max(size(before), 1e-9) / max(1.0, seconds / 0.1)


def likeness(rest: NDArray[np.uint8], now: NDArray[np.uint8]) -> tuple[float, float]:
    """How alike the left and the right half of two aligned face squares (s, s, 3) are: correlation, -1..1.

    Of slightly blurred luma, each half by itself: what lies over one half changes its value and not the other's.
    """
    a, b = (cv2.GaussianBlur(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY), (0, 0), 1.5).astype(np.float64) for x in (rest, now))
    half = a.shape[1] // 2
    return _correlation(a[:, :half], b[:, :half]), _correlation(a[:, half:], b[:, half:])


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / scale if scale > 1e-9 else 0.0


def middle_mesh(meshes: Sequence[Mesh]) -> NDArray[np.float64]:
    """The median of several meshes of a still head, each brought onto the last one first."""
    last = np.asarray(meshes[-1], np.float64)
    laid = []
    for one in meshes:
        scale, turn, shift = rigid(one, last)
        laid.append(scale * np.asarray(one, np.float64) @ turn.T + shift)
    return np.asarray(np.median(laid, axis=0), np.float64)
