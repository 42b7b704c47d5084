"""Another person's face laid over this one by an affine map or by the mesh, colours partly matched.

Paper: L. Li et al.: Face X-ray for More General Face Forgery Detection. CVPR 2020.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.random import Generator

from unmask_lab.forge.faces.own_warp import bent_to, drawn_by_tool
from unmask_lab.forge.faces.parent import FaceJob, FaceParent, colours_of, hull, laid
from unmask_lab.forge.faces.self_blend import altered, blend_mask
from unmask_lab.forge.family import FamilyCard, PictureMade
from unmask_lab.forge.forgery import Alpha, Rgb

CARD = FamilyCard(
    id="face_blend_other",
    makes="another person's face by an affine map or the mesh, colours partly matched, soft mask: for training only",
    licence="that of the parents",
    count=0,
    regional=True,
)
MESH_SHARE = 0.5
SHARES = {"face": 0.45, "below the brows": 0.3, "features": 0.15, "lower face": 0.1}


def forge(job: FaceJob) -> Iterator[PictureMade]:
    """One blended image. The mask is where the blend weighs at least a tenth."""
    rgb, alpha, region = blend_other(job.rng, job.parent, job.donor)
    yield PictureMade(rgb, f"blended with another face: {region}", alpha > 0.1)


def blend_other(rng: Generator, parent: FaceParent, donor: FaceParent) -> tuple[Rgb, Alpha, str]:
    """The blended picture, the weight of the other face (h, w), and the region."""
    region = str(rng.choice(list(SHARES), p=list(SHARES.values())))
    alpha = blend_mask(rng, parent, region)
    h, w = parent.rgb.shape[:2]
    if rng.random() < MESH_SHARE:
        layer = bent_to(donor, parent.flat, parent.rgb.shape)
    else:
        # The affine map that takes the donor's mesh nearest to the parent's.
        there = np.linalg.lstsq(np.column_stack([donor.flat, np.ones(len(donor.flat))]), parent.flat, rcond=None)[0].T
        flags = cv2.INTER_LINEAR if rng.random() < 0.5 else cv2.INTER_CUBIC
        moved = cv2.warpAffine(donor.rgb, there, (w, h), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        layer = np.asarray(moved, np.uint8)
    if rng.random() < 0.4:
        layer = drawn_by_tool(rng, layer, parent.size)
    layer = colours_of(layer, parent.rgb, hull(parent.flat, parent.rgb.shape), float(rng.uniform(0.4, 1.0)))
    if rng.random() < 0.3:
        layer = altered(rng, layer)
    return laid(parent.rgb, layer, alpha), alpha, region
