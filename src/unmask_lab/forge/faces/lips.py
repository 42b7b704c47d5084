"""The lower half of the face drawn anew at low resolution, as lip-sync tools do, and put back.

K. R. Prajwal et al.: A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild. ACM Multimedia 2020
(Wav2Lip draws 96 x 96 pixels); here a mesh moves the mouth instead of a network.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unmask_lab.forge.faces.parent import JAW, LIPS, NOSE, FaceJob, hull, laid, soft, warped
from unmask_lab.forge.faces.reenact import expression, rendered
from unmask_lab.forge.family import FamilyCard, PictureMade

CARD = FamilyCard(
    id="face_lips",
    makes="another mouth shape: the lower half of the face at 96-192 pixels, pasted back as a box or by its outline",
    licence="that of the parents",
    count=0,
    regional=True,
)
TOOL_SIDES = (96, 128, 192)


def forge(job: FaceJob) -> Iterator[PictureMade]:
    """One changed mouth."""
    parent, rng = job.parent, job.rng
    layer = rendered(
        warped(parent, expression(parent, job.donor, 1.0), parent.rgb.shape), parent, int(rng.choice(TOOL_SIDES))
    )
    points = parent.flat[[*NOSE[6:], *LIPS, *JAW]]
    if rng.random() < 0.5:
        (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
        points = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float32)
    mask = hull(points, parent.rgb.shape)
    alpha = soft(mask, parent.size * float(rng.uniform(0.01, 0.08)))
    yield PictureMade(laid(parent.rgb, layer, alpha), "lower face drawn anew", alpha > 0.1)
