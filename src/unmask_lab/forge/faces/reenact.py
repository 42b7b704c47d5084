"""The same person with another expression: the mesh is bent, rendered at a tool's resolution and put back.

As motion-transfer tools do (A. Siarohin et al.: First Order Motion Model for Image Animation. NeurIPS 2019; J. Guo et
al.: LivePortrait, 2024), but by a mesh instead of a network: the paste and the warp are the same, the texture is not.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from unmask.faces.align import similarity
from unmask_lab.forge.faces.parent import (
    BROWS,
    LEFT_EYE,
    LIPS,
    OVAL,
    RIGHT_EYE,
    FaceJob,
    FaceParent,
    Points,
    hull,
    laid,
    soft,
    warped,
)
from unmask_lab.forge.family import FamilyCard, PictureMade
from unmask_lab.forge.forgery import Rgb

CARD = FamilyCard(
    id="face_reenact",
    makes="another person's expression on this face: mesh warp at 128-256 pixels, pasted back",
    licence="that of the parents",
    count=0,
    regional=True,
)
TOOL_SIDES = (128, 160, 192, 256)


def forge(job: FaceJob) -> Iterator[PictureMade]:
    """One reenactment of the whole inner face."""
    parent, rng = job.parent, job.rng
    target = expression(parent, job.donor, float(rng.uniform(0.6, 1.0)))
    layer = rendered(warped(parent, target, parent.rgb.shape), parent, int(rng.choice(TOOL_SIDES)))
    mask = hull(parent.flat[list(OVAL)], parent.rgb.shape)
    alpha = soft(mask, parent.size * float(rng.uniform(0.02, 0.1)))
    yield PictureMade(laid(parent.rgb, layer, alpha), "reenacted by mesh", alpha > 0.1)


def expression(parent: FaceParent, donor: FaceParent, amount: float) -> Points:
    """(468, 2): the parent's mesh with mouth, eyes and brows moved as the donor's lie; the outline stays."""
    there = similarity(donor.flat, parent.flat)
    shift = donor.flat @ there[:, :2].T + there[:, 2] - parent.flat
    weight = np.zeros(len(parent.flat))
    for group, share in ((LIPS, 1.0), (LEFT_EYE, 0.7), (RIGHT_EYE, 0.7), (BROWS, 0.7)):
        distance = np.linalg.norm(parent.flat[:, None] - parent.flat[list(group)][None], axis=-1).min(axis=1)
        weight = np.maximum(weight, share * np.exp(-((distance / (0.08 * parent.size)) ** 2)))
    weight[list(OVAL)] = 0
    return (parent.flat + amount * weight[:, None] * shift).astype(np.float32)


def rendered(rgb: Rgb, parent: FaceParent, side: int) -> Rgb:
    """``rgb`` as a tool shows it that works on a square of ``side`` pixels around the face."""
    unit = min(1.0, side / (1.6 * parent.size))
    h, w = rgb.shape[:2]
    # The tool's pixels never fall on the picture's.
    size = max(8, round(w * unit) - 1), max(8, round(h * unit) - 1)
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if unit < 1 else cv2.INTER_LINEAR)
    return np.asarray(cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC), np.uint8)
