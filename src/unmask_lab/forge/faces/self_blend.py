"""Self-blended images: a face laid over itself, so that only the seam and the change of statistics remain.

Paper: K. Shiohara, T. Yamasaki: Detecting Deepfakes with Self-Blended Images. CVPR 2022.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from unmask_lab.forge.faces.parent import REGIONS, FaceJob, FaceParent, hull, laid
from unmask_lab.forge.family import FamilyCard, PictureMade
from unmask_lab.forge.forgery import Alpha, Rgb
from unmask_lab.launder.image import encode

CARD = FamilyCard(
    id="face_self_blend",
    makes="a face blended over itself after small changes of colour, sharpness, scale and place: for training only",
    licence="that of the parent",
    count=0,
    regional=True,
)
SHARES = (0.36, 0.2, 0.16, 0.12, 0.1, 0.06)
RATIOS = (0.5, 0.75, 1.0, 1.0, 1.0, 1.0)

Floats = NDArray[np.float32]


def forge(job: FaceJob) -> Iterator[PictureMade]:
    """One self-blended image. The mask is where the blend weighs at least a tenth."""
    rgb, alpha, region = self_blend(job.rng, job.parent)
    yield PictureMade(rgb, f"self-blended: {region}", alpha > 0.1)


def self_blend(rng: Generator, parent: FaceParent) -> tuple[Rgb, Alpha, str]:
    """The blended picture, the weight of the upper layer (h, w), and the region."""
    region = str(rng.choice(list(REGIONS), p=SHARES))
    alpha = blend_mask(rng, parent, region)
    layer, base = parent.rgb, parent.rgb
    if rng.random() < 0.6:
        layer = altered(rng, layer)
    else:
        base = altered(rng, base)
    layer = moved(rng, layer, parent.size)
    if rng.random() < 0.4:
        layer = bent(rng, layer, parent.size)
    return laid(base, layer, alpha), alpha, region


def blend_mask(rng: Generator, parent: FaceParent, region: str) -> Alpha:
    """(h, w) in 0..1: the region's hull with its outline bent, grown or shrunk, softened and made partly clear."""
    points = parent.flat[list(REGIONS[region])]
    middle = points.mean(axis=0)
    points = middle + (points - middle) * rng.uniform(0.88, 1.12, 2) + rng.normal(0, 0.015, 2) * parent.size
    mask = hull(points.astype(np.float32), parent.rgb.shape).astype(np.float32)
    mask = _elastic(rng, mask, parent.size, 0.09)
    small = region in ("mouth", "eyes")
    width = parent.size * float(np.exp(rng.uniform(np.log(0.006), np.log(0.05 if small else 0.12))))
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), max(0.5, width)), np.float32)
    # Thresholding between two blurs moves the seam outwards or inwards (the paper's dilation and erosion).
    if rng.random() < 0.5:
        mask = (mask > rng.uniform(0.25, 0.75)).astype(np.float32)
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), max(0.5, width * rng.uniform(0.3, 1))), np.float32)
    return mask / max(1e-6, float(mask.max())) * np.float32(rng.choice(RATIOS))


def altered(rng: Generator, rgb: Rgb) -> Rgb:
    """Colour, contrast and sharpness a little changed: each of them often, at least one."""
    x = rgb.astype(np.float32)
    done = False
    while not done:
        if rng.random() < 0.6:
            x, done = _colour(rng, x), True
        if rng.random() < 0.5:
            x, done = _resolution(rng, x), True
        if rng.random() < 0.15:
            x, done = x + rng.normal(0, rng.uniform(1, 5), x.shape).astype(np.float32), True
    return np.clip(np.round(x), 0, 255).astype(np.uint8)


def moved(rng: Generator, rgb: Rgb, size: float) -> Rgb:
    """Shifted by up to 3 %, scaled by up to 5 % and turned by up to 2 degrees around the middle."""
    h, w = rgb.shape[:2]
    affine = cv2.getRotationMatrix2D((w / 2, h / 2), float(rng.uniform(-2, 2)), float(rng.uniform(0.95, 1.05)))
    affine[:, 2] += rng.uniform(-0.03, 0.03, 2) * size
    kernel = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)[int(rng.integers(3))]
    return np.asarray(cv2.warpAffine(rgb, affine, (w, h), flags=kernel, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def bent(rng: Generator, rgb: Rgb, size: float) -> Rgb:
    """Warped smoothly by a few per cent of the face."""
    return np.asarray(_elastic(rng, rgb, size, float(rng.uniform(0.02, 0.06))), np.uint8)


def _elastic(rng: Generator, picture: NDArray[Any], size: float, amount: float) -> NDArray[Any]:
    """Smooth random displacement with a deviation of about ``amount`` x ``size`` at its peaks."""
    h, w = picture.shape[:2]
    cells = max(3, round(max(h, w) / size * 4))
    bends = (rng.normal(0, amount * size / 2, (cells, cells)).astype(np.float32) for _ in range(2))
    field = [cv2.resize(bend, (w, h), interpolation=cv2.INTER_CUBIC) for bend in bends]
    x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    return np.asarray(cv2.remap(picture, x + field[0], y + field[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _colour(rng: Generator, x: Floats) -> Floats:
    x = x + rng.uniform(-20, 20, 3).astype(np.float32) * np.float32(rng.random())
    grey = x.mean(axis=2, keepdims=True)
    x = grey + (x - grey) * np.float32(rng.uniform(0.75, 1.3))
    x = (x - 127) * np.float32(rng.uniform(0.88, 1.12)) + 127 + np.float32(rng.uniform(-12, 12))
    return np.asarray(np.clip(x, 0, 255), np.float32)


def _resolution(rng: Generator, x: Floats) -> Floats:
    """Sharper, or softer as by a network of a lower resolution, or compressed before."""
    h, w = x.shape[:2]
    pick = rng.random()
    if pick < 0.3:
        blurred = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.6, 1.6))
        return np.asarray(np.clip(x + (x - blurred) * rng.uniform(0.3, 1.2), 0, 255), np.float32)
    if pick < 0.75:
        factor = float(rng.uniform(1.2, 3.0))
        down = cv2.resize(x, (max(8, round(w / factor)), max(8, round(h / factor))), interpolation=cv2.INTER_AREA)
        kernel = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)[int(rng.integers(3))]
        return np.asarray(np.clip(cv2.resize(down, (w, h), interpolation=kernel), 0, 255), np.float32)
    pixels = np.clip(np.round(x), 0, 255).astype(np.uint8)
    return np.asarray(encode(pixels, "JPEG", int(rng.integers(35, 90))), np.float32)
