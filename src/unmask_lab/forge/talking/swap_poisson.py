"""Another person's face by smoothed landmarks, blended in the gradient domain in every frame.

Paper: P. Pérez, M. Gangnet, A. Blake: Poisson Image Editing. ACM Transactions on Graphics 22(3), 2003.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from unmask_lab.forge.faces.own_warp import bent_to
from unmask_lab.forge.faces.parent import REGIONS, FaceParent, hull
from unmask_lab.forge.family import FamilyCard
from unmask_lab.forge.forgery import Rgb
from unmask_lab.forge.talking.parent import TalkingJob, TalkingMade, donor_faces, matched, redrawn, smoothed

CARD = FamilyCard(
    id="swap_poisson",
    makes="another person's face by smoothed landmarks, blended in the gradient domain",
    licence="that of the parents",
    count=0,
)


def forge(job: TalkingJob) -> Iterator[TalkingMade]:
    """One swap of the whole face or of its part below the brows."""
    region = "face" if job.rng.random() < 0.7 else "below the brows"
    order = matched(job)
    donors = donor_faces(job, order[job.first : job.last].tolist())

    def draw(i: int, face: FaceParent) -> Rgb:
        mask = hull(face.flat[list(REGIONS[region])], face.rgb.shape)
        mask[:2], mask[-2:], mask[:, :2], mask[:, -2:] = False, False, False, False
        return cloned(bent_to(donors[int(order[i])], face.flat, face.rgb.shape), face.rgb, mask)

    yield TalkingMade(f"Poisson swap: {region}", redrawn(job, smoothed(job.parent.head.mesh), draw))


def cloned(layer: Rgb, base: Rgb, mask: np.ndarray) -> Rgb:
    """``layer`` seamlessly in ``base`` under ``mask``, at the same place."""
    if mask.sum() < 100:
        return base
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    # OpenCV centres the mask by the distance of its outermost pixels.
    middle = (x + (w - 1) // 2, y + (h - 1) // 2)
    return np.asarray(cv2.seamlessClone(layer, base, mask.astype(np.uint8) * 255, middle, cv2.NORMAL_CLONE), np.uint8)
