"""The faces of a subject's picture, looked for upright and handed out in stored pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unmask.faces.detect import detect
from unmask.faces.face import Face
from unmask.media.image import ImageView


def faces_of(image: ImageView) -> tuple[Face, ...]:
    """Faces in stored pixels, the largest first.

    The networks know upright faces only, so a picture that EXIF turns is turned first; the result lies in the
    stored pixels, as everything that detectors share does. `Face.pose` is then that of the stored picture.
    """
    found = detect(image.rgb if image.orientation == 1 else image.upright(image.rgb))
    if image.orientation == 1:
        return tuple(found)
    back = stored_from_upright(image)
    return tuple(face.moved(back) for face in found)


def stored_from_upright(image: ImageView) -> NDArray[np.float64]:
    """The map (2, 3) from upright to stored pixels."""
    zero, right, down = (np.array(image.upright_point(*p)) for p in ((0, 0), (1, 0), (0, 1)))
    there = np.vstack([np.column_stack([right - zero, down - zero, zero]), (0, 0, 1)])
    return np.asarray(np.linalg.inv(there)[:2], np.float64)
