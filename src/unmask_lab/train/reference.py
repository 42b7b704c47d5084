"""Pictures for a model's reference: drawn, so that nobody's photograph travels with the product."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def drawn_picture(height: int, width: int, seed: int = 1) -> NDArray[np.uint8]:
    """(height, width, 3) uint8 with detail at every scale, as a photograph has: clouds, edges, a little noise."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 110.0, np.float32)
    for cells in (3, 7, 15, 40):
        coarse = rng.normal(0, 1, (cells, cells, 3)).astype(np.float32)
        picture += 90 / cells**0.5 * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(12):
        middle = (int(rng.integers(width)), int(rng.integers(height)))
        colour = tuple(float(c) for c in rng.uniform(20, 235, 3))
        cv2.circle(picture, middle, int(rng.integers(4, max(5, min(height, width) // 6))), colour, -1, cv2.LINE_AA)
    picture += rng.normal(0, 3, picture.shape).astype(np.float32)
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)
