"""Pictures with drawn faces, shared by the tests of faces and of what is asked of them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.models.store import find_model, reference_input

Picture = NDArray[np.uint8]


def drawn_face(side: int) -> Picture:
    """The drawn face of a model's reference, (side, side, 3)."""
    pixels = reference_input(find_model("face-detection-full-range-sparse-1"))["input_1"][0]
    return cv2.resize(np.clip((pixels + 1) * 127.5, 0, 255).astype(np.uint8), (side, side))


def scene(*places: tuple[int, int, int], size: tuple[int, int] = (480, 640)) -> Picture:
    """Drawn faces (x, y, side) on a textured ground."""
    rng = np.random.default_rng(5)
    ground = cv2.resize(rng.integers(90, 150, (size[0] // 16, size[1] // 16, 3), np.uint8), size[::-1])
    for x, y, side in places:
        ground[y : y + side, x : x + side] = drawn_face(side)
    return ground
