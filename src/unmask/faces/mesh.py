"""The mesh of 468 points over one face.

Paper: Y. Kartynnik, A. Ablavatski, I. Grishchenko, M. Grundmann: Real-time Facial Surface Geometry from Monocular
Video on Mobile GPUs. CVPR Workshop on Computer Vision for AR/VR, 2019.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unmask.faces.align import warp
from unmask.models.runtime import open_model

if TYPE_CHECKING:
    from unmask.faces.face import Face

MODEL = "face-landmark-1"
SIDE = 192
POINTS = 468
# The network was trained on squares one and a half times the face box, with the eyes level.
ROOM = 1.5
# Points of the mesh that lie near the six key points (the eyes between their corners).
RIGHT_EYE, LEFT_EYE, NOSE_TIP, LIPS, RIGHT_SIDE, LEFT_SIDE = (33, 133), (362, 263), (1,), (13, 14), (234,), (454,)


def mesh(rgb: NDArray[np.uint8], face: Face) -> NDArray[np.float32]:
    """The mesh of a face.

    Args:
        rgb: (h, w, 3) uint8, the picture in which the face was found.
        face: from `unmask.faces.detect`.

    Returns:
        (468, 3) float32 x, y, z in pixels of ``rgb``; z is depth in the same unit, growing away from the camera.

    Raises:
        ModelError: the model cannot be used on this machine.
    """
    return lay(rgb, face.box, face.keypoints)[0]


def lay(
    rgb: NDArray[np.uint8], box: tuple[float, float, float, float], keypoints: NDArray[np.floating]
) -> tuple[NDArray[np.float32], float]:
    """The mesh over a box (x, y, w, h) with six key points, and whether there is a face at all, 0..1."""
    there = _square(box, keypoints)
    patch = warp(rgb, there, SIDE)
    session = open_model(MODEL)
    out = session.run({session.card.inputs[0].name: patch[None].astype(np.float32) / 255.0})
    points, logit = (out[tensor.name].ravel() for tensor in session.card.outputs)
    presence = 1.0 / (1.0 + np.exp(-np.clip(logit[0], -50.0, 50.0)))
    return _back(points.reshape(POINTS, 3), there), float(presence)


def _square(box: tuple[float, float, float, float], keypoints: NDArray[np.floating]) -> NDArray[np.float64]:
    """The map (2, 3) from the picture to the network's square."""
    x, y, w, h = box
    along = np.asarray(keypoints[1], np.float64) - keypoints[0]
    length = float(np.hypot(*along))
    cos, sin = along / length if length > 1e-6 else (1.0, 0.0)
    scale = SIDE / max(1e-6, ROOM * max(w, h))
    linear = scale * np.array([[cos, sin], [-sin, cos]])
    return np.column_stack([linear, SIDE / 2 - linear @ (x + w / 2, y + h / 2)])


def _back(points: NDArray[np.float32], there: NDArray[np.float64]) -> NDArray[np.float32]:
    linear = np.linalg.inv(there[:, :2])
    flat = (points[:, :2] - there[:, 2]) @ linear.T
    depth = points[:, 2] * np.sqrt(abs(np.linalg.det(linear)))
    return np.column_stack([flat, depth]).astype(np.float32)
