"""Another person's face, bent to this one's mesh and blended in the gradient domain.

Paper: P. Pérez, M. Gangnet, A. Blake: Poisson Image Editing. ACM Transactions on Graphics 22(3), 2003.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from unmask_lab.forge.faces.parent import REGIONS, FaceJob, hull, warped
from unmask_lab.forge.family import FamilyCard, PictureMade

CARD = FamilyCard(
    id="face_swap_poisson",
    makes="another person's face by landmarks, blended in the gradient domain",
    licence="that of the parents",
    count=0,
    regional=True,
)


def forge(job: FaceJob) -> Iterator[PictureMade]:
    """One swap; nothing where the face touches the picture's border, which the method cannot solve."""
    parent = job.parent
    region = "face" if job.rng.random() < 0.7 else "below the brows"
    mask = hull(parent.flat[list(REGIONS[region])], parent.rgb.shape)
    mask[:2], mask[-2:], mask[:, :2], mask[:, -2:] = False, False, False, False
    if mask.sum() < 100:
        return
    layer = warped(job.donor, parent.flat, parent.rgb.shape)
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    # OpenCV centres the mask by the distance of its outermost pixels.
    middle = (x + (w - 1) // 2, y + (h - 1) // 2)
    mixed = cv2.seamlessClone(layer, parent.rgb, mask.astype(np.uint8) * 255, middle, cv2.NORMAL_CLONE)
    yield PictureMade(np.asarray(mixed, np.uint8), f"Poisson swap: {region}", mask)
