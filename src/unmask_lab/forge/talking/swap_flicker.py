"""The landmark swap done carelessly: landmarks, colours and donor frame of each frame alone, so that it trembles."""

from __future__ import annotations

from collections.abc import Iterator

from unmask_lab.forge.faces.own_warp import bent_to
from unmask_lab.forge.faces.parent import OVAL, FaceParent, colours_of, hull, laid, soft
from unmask_lab.forge.family import FamilyCard
from unmask_lab.forge.forgery import Rgb
from unmask_lab.forge.talking.parent import TalkingJob, TalkingMade, donor_faces, matched, redrawn

CARD = FamilyCard(
    id="swap_flicker",
    makes="another person's face frame by frame, nothing smoothed over time: it flickers",
    licence="that of the parents",
    count=0,
)


def forge(job: TalkingJob) -> Iterator[TalkingMade]:
    """One trembling swap."""
    order = matched(job, loyalty=0.0)
    donors = donor_faces(job, order[job.first : job.last].tolist())
    edge = float(job.rng.uniform(0.02, 0.08))

    def draw(i: int, face: FaceParent) -> Rgb:
        trembling = face.flat + job.rng.normal(0, 0.004 * face.size, 2).astype("float32")
        layer = bent_to(donors[int(order[i])], trembling, face.rgb.shape)
        mask = hull(trembling[list(OVAL)], face.rgb.shape)
        if not mask.any():
            return face.rgb
        layer = colours_of(layer, face.rgb, mask, float(job.rng.uniform(0.8, 1.0)))
        return laid(face.rgb, layer, soft(mask, face.size * edge))

    yield TalkingMade("alpha swap without smoothing", redrawn(job, job.parent.head.mesh, draw))
