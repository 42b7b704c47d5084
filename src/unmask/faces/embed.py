"""Who is like whom: an aligned face as 128 numbers, near each other for two looks at one person.

The numbers tell the faces of one subject apart (`unmask.films.identity`); they are never kept or compared with those of
another file. The face is aligned by the corners of the eyes and the foot of the nose, as D. E. King: Dlib-ml: A Machine
Learning Toolkit. JMLR 10, 2009, does in its ``get_face_chip_details``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.faces.align import similarity, warp
from unmask.faces.mesh import mesh
from unmask.models.runtime import open_model

if TYPE_CHECKING:
    from unmask.faces.face import Face

MODEL = "face-identity-1"
SIDE = 150
# Mesh points at the outer and inner corners of the left and the right eye (of the person), and below the nose.
POINTS = (263, 362, 33, 133, 2)
# Where they lie in the chip, in shares of its side: dlib's mean face with a quarter of it around.
PLACES = np.array(
    [(0.7397, 0.3090), (0.5974, 0.3193), (0.2471, 0.3092), (0.3894, 0.3194), (0.4934, 0.5852)],
    np.float64,
)


def chip(rgb: NDArray[np.uint8], face: Face, side: int = SIDE, room: int = 0) -> NDArray[np.uint8]:
    """The face upright, (side + 2 room, side + 2 room, 3) uint8; beyond the picture the edge is repeated.

    Raises:
        ModelError: the mesh cannot be used on this machine.
    """
    points = mesh(rgb, face)[list(POINTS), :2]
    return warp(rgb, similarity(points, PLACES * side + room), side + 2 * room, cv2.BORDER_REPLICATE)


def embed(rgb: NDArray[np.uint8], face: Face) -> NDArray[np.float32]:
    """(128,) float32 of length 1; the nearer two are (Euclidean distance 0..2), the more alike the faces.

    Args:
        rgb: (h, w, 3) uint8, the picture in which the face was found.
        face: from `unmask.faces.detect`.

    Raises:
        ModelError: a model cannot be used on this machine.
    """
    session = open_model(MODEL)
    out = session.run({"face": chip(rgb, face)[None].astype(np.float32)})["identity"][0]
    return np.asarray(out / max(1e-6, float(np.linalg.norm(out))), np.float32)
