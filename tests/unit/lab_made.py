"""A picture that looks like a photograph to a detector: noise at many scales."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def texture(seed: int, h: int = 360, w: int = 480) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    fine = rng.normal(0, 1, (h, w, 3)).astype(np.float32)
    layers = sum(cv2.GaussianBlur(fine, (0, 0), s) * s * 22 for s in (1.0, 3.0, 9.0, 27.0))
    return np.clip(128 + np.asarray(layers) + fine * 2, 0, 255).astype(np.uint8)
