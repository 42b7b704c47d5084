"""Another person's face, bent to this one's mesh, colours matched, laid over with a soft edge.

The classical landmark face swap, as in D. Bitouk et al.: Face Swapping: Automatically Replacing Faces in Photographs.
ACM Transactions on Graphics 27(3), 2008, and the FaceSwap part of FaceForensics++ (Rössler et al., ICCV 2019).
"""

from __future__ import annotations

from collections.abc import Iterator

from unmask_lab.forge.faces.parent import REGIONS, FaceJob, colours_of, hull, laid, soft, warped
from unmask_lab.forge.family import FamilyCard, PictureMade

CARD = FamilyCard(
    id="face_swap_alpha",
    makes="another person's face by landmarks, colours matched, soft edge",
    licence="that of the parents",
    count=0,
    regional=True,
)


def forge(job: FaceJob) -> Iterator[PictureMade]:
    """One swap; the edge is 1-10 % of the face wide."""
    parent, rng = job.parent, job.rng
    region = "face" if rng.random() < 0.7 else "below the brows"
    layer = warped(job.donor, parent.flat, parent.rgb.shape)
    mask = hull(parent.flat[list(REGIONS[region])], parent.rgb.shape)
    layer = colours_of(layer, parent.rgb, mask, float(rng.uniform(0.7, 1.0)))
    alpha = soft(mask, parent.size * float(rng.uniform(0.01, 0.1)))
    yield PictureMade(laid(parent.rgb, layer, alpha), f"alpha swap: {region}", alpha > 0.1)
