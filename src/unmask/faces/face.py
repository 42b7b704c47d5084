"""One face: where it is, its six key points, which way it looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# The six key points of a usual head in millimetres, facing the camera: x to the right of the picture, y down,
# z towards the camera. From common anthropometry (eyes 63 mm apart, tragions 144 mm apart and 95 mm behind them).
HEAD = np.array([(-31.5, 0, 0), (31.5, 0, 0), (0, 36, 30), (0, 68, 12), (-72, 20, -92), (72, 20, -92)], np.float64)


class Pose(NamedTuple):
    """Degrees. ``yaw``: > 0 looks to the right of the picture; ``pitch``: > 0 looks up; ``roll``: > 0 is tilted
    clockwise.
    """

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, eq=False)
class Face:
    """A face in the pixels of the picture or frame it was found in.

    ``box``: x, y, w, h, from the brows to the chin; it may reach beyond the picture. ``keypoints``: (6, 2) float32
    x y of the right eye, left eye, nose tip, mouth, right and left tragion (right: of the person). ``score``: of
    the detector, 0..1. ``presence``: of the face mesh, 0..1, whether this is a face at all. ``sharpness``: 0..1, see
    `unmask.faces.align.sharpness`.
    """

    box: tuple[float, float, float, float]
    keypoints: NDArray[np.float32]
    score: float
    presence: float
    sharpness: float

    @property
    def size(self) -> float:
        """Side in pixels of the square that is as large as the box."""
        return float(np.sqrt(self.box[2] * self.box[3]))

    @property
    def pose(self) -> Pose:
        """Where the face looks, from the six key points; good to about 10 degrees."""
        return pose_of(self.keypoints)

    def moved(self, transform: NDArray[np.float64]) -> Face:
        """The same face after an affine map (2, 3) that turns, mirrors by right angles, scales or shifts."""
        x, y, w, h = self.box
        corners = np.array([(x, y), (x + w, y + h)], np.float64) @ transform[:, :2].T + transform[:, 2]
        low, high = corners.min(axis=0), corners.max(axis=0)
        points = (self.keypoints @ transform[:, :2].T + transform[:, 2]).astype(np.float32)
        box = (float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))
        return Face(box, points, self.score, self.presence, self.sharpness)


def pose_of(keypoints: NDArray[np.floating]) -> Pose:
    """Yaw, pitch and roll in degrees of (6, 2) key points: the scaled-orthographic pose of a usual head.

    D. F. DeMenthon, L. S. Davis: Model-Based Object Pose in 25 Lines of Code. IJCV 15, 1995 (its first step).
    """
    head = HEAD - HEAD.mean(axis=0)
    seen = np.asarray(keypoints, np.float64)
    rows = np.linalg.lstsq(head, seen - seen.mean(axis=0), rcond=None)[0].T
    scale = np.linalg.norm(rows, axis=1)
    if scale.min() <= 1e-9:
        return Pose(0.0, 0.0, 0.0)
    # The nearest pair of orthogonal rows; the third follows.
    left, _, right = np.linalg.svd(rows, full_matrices=False)
    first, second = left @ right
    third = np.cross(first, second)
    # The head is turned first, then tipped, then tilted: rows of Rz(roll) Rx(pitch) Ry(yaw).
    yaw = np.degrees(np.arctan2(-third[0], third[2]))
    pitch = np.degrees(np.arcsin(np.clip(third[1], -1, 1)))
    roll = np.degrees(np.arctan2(-first[1], second[1]))
    return Pose(round(float(yaw), 1), round(float(pitch), 1), round(float(roll), 1))
