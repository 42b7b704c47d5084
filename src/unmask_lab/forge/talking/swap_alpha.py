"""Another person's face bent to this one's mesh in every frame, colours matched, laid over with a soft edge.

The landmark swap of FaceForensics++ (A. Rössler et al., ICCV 2019: FaceSwap), with landmarks smoothed over time.
"""

from __future__ import annotations

from collections.abc import Iterator

from unmask_lab.forge.faces.own_warp import bent_to
from unmask_lab.forge.faces.parent import REGIONS, FaceParent, colours_of, hull, laid, soft
from unmask_lab.forge.family import FamilyCard
from unmask_lab.forge.forgery import Rgb
from unmask_lab.forge.talking.parent import TalkingJob, TalkingMade, donor_faces, matched, redrawn, smoothed

CARD = FamilyCard(
    id="swap_alpha",
    makes="another person's face by smoothed landmarks, colours matched, soft edge",
    licence="that of the parents",
    count=0,
)


def forge(job: TalkingJob) -> Iterator[TalkingMade]:
    """One swap; its region, edge and share of colour hold for the whole clip."""
    region = "face" if job.rng.random() < 0.7 else "below the brows"
    share, edge = float(job.rng.uniform(0.7, 1.0)), float(job.rng.uniform(0.02, 0.1))
    order = matched(job)
    donors = donor_faces(job, order[job.first : job.last].tolist())

    def draw(i: int, face: FaceParent) -> Rgb:
        layer = bent_to(donors[int(order[i])], face.flat, face.rgb.shape)
        mask = hull(face.flat[list(REGIONS[region])], face.rgb.shape)
        if not mask.any():
            return face.rgb
        layer = colours_of(layer, face.rgb, mask, share)
        return laid(face.rgb, layer, soft(mask, face.size * edge))

    yield TalkingMade(f"alpha swap: {region}", redrawn(job, smoothed(job.parent.head.mesh), draw))
