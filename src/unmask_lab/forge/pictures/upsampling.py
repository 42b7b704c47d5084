"""Down and up again as generators do it: nearest, bilinear or transposed convolution, then small random filters.

Any network that ends in x2 upsampling leaves periodic correlations of neighbouring pixels (Zhang et al. 2019; NPR, Tan
et al. 2024). Here they are made without a network: the filters are drawn anew for each picture, so that the trace is
learned and not one network's colours.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask_lab.forge.family import FamilyCard, PictureJob, PictureMade
from unmask_lab.forge.pictures.latent_round_trip import rounded

CARD = FamilyCard(
    id="upsampling",
    makes="the picture at half size, brought back by one of three x2 upsamplings and a random residual filter",
    licence="none: no weights",
    count=240,
)
Float = NDArray[np.float32]


def forge(job: PictureJob) -> Iterator[PictureMade]:
    """One chain of one or two halvings."""
    rng = job.rng
    steps = 2 if rng.random() < 0.25 and min(job.rgb.shape[:2]) >= 320 else 1
    h, w = (side - side % 2**steps for side in job.rgb.shape[:2])
    picture = job.rgb[:h, :w].astype(np.float32)
    detail = float(rng.uniform(0, 0.8))
    small = cv2.resize(picture, (w >> steps, h >> steps), interpolation=cv2.INTER_AREA)
    names = []
    for _ in range(steps):
        name = ("nearest", "bilinear", "transposed")[int(rng.integers(3))]
        small = _convolved(_doubled(small, name, rng), rng)
        names.append(name)
    # Some fine structure of the parent comes back, as a network invents it; the grid stays in what is made.
    fine = picture - cv2.GaussianBlur(picture, (0, 0), 1.2)
    yield PictureMade(rounded(small + detail * fine), f"x2 {'+'.join(names)}, detail {detail:.2f}")


def _doubled(x: Float, name: str, rng: np.random.Generator) -> Float:
    h, w = x.shape[:2]
    if name != "transposed":
        how = cv2.INTER_NEAREST if name == "nearest" else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(x, (2 * w, 2 * h), interpolation=how), np.float32)
    # Transposed convolution, stride 2: samples among zeros, a kernel of odd size whose overlaps are uneven.
    spread = np.zeros((2 * h, 2 * w, 3), np.float32)
    spread[::2, ::2] = x
    row = np.asarray([0.5, 1.0, 0.5], np.float32) * (1 + rng.normal(0, 0.04, 3))
    column = np.asarray([0.5, 1.0, 0.5], np.float32) * (1 + rng.normal(0, 0.04, 3))
    return np.asarray(cv2.sepFilter2D(spread, -1, row, column, borderType=cv2.BORDER_REFLECT), np.float32)


def _convolved(x: Float, rng: np.random.Generator) -> Float:
    """A 3x3 filter near a mild sharpening, another one for each channel."""
    out = np.empty_like(x)
    for channel in range(3):
        kernel = rng.normal(0, 0.05, (3, 3)) - float(rng.uniform(0, 0.06))
        kernel[1, 1] = 0
        kernel[1, 1] = 1 - kernel.sum()
        out[..., channel] = cv2.filter2D(x[..., channel], -1, kernel, borderType=cv2.BORDER_REFLECT)
    return np.clip(out, 0, 255)
