"""The same person with the mimic of another clip: the mesh moves as the driver's does, drawn at 128-256 pixels.

As motion transfer does (J. Thies et al.: Face2Face, CVPR 2016; A. Siarohin et al.: First Order Motion Model, NeurIPS
2019), by a mesh instead of a model of the head: mouth, eyes and brows follow the driver, the outline stays.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from unmask.faces.align import similarity
from unmask_lab.forge.faces.own_warp import bent_to
from unmask_lab.forge.faces.parent import BROWS, LEFT_EYE, LIPS, OVAL, RIGHT_EYE, FaceParent, Points, hull, laid, soft
from unmask_lab.forge.faces.reenact import TOOL_SIDES, rendered
from unmask_lab.forge.family import FamilyCard
from unmask_lab.forge.forgery import Rgb
from unmask_lab.forge.talking.parent import TalkingJob, TalkingMade, redrawn, shapes, smoothed

CARD = FamilyCard(
    id="reenact",
    makes="the same face with mouth, eyes and brows driven by another person's clip: mesh warp at 128-256 pixels",
    licence="that of the parents",
    count=0,
)


def forge(job: TalkingJob) -> Iterator[TalkingMade]:
    """One reenactment of the inner face."""
    side, edge = int(job.rng.choice(TOOL_SIDES)), float(job.rng.uniform(0.02, 0.1))
    mesh = smoothed(job.parent.head.mesh)
    own, theirs = shapes(mesh), shapes(smoothed(job.donor.head.mesh))
    start = int(job.rng.integers(len(theirs)))
    wanted = own.mean(axis=0) + (theirs - theirs.mean(axis=0)) * float(job.rng.uniform(0.8, 1.1))

    def draw(i: int, face: FaceParent) -> Rgb:
        target = driven(face, own[i], wanted[_there_and_back(start + i, len(wanted))])
        layer = rendered(bent_to(face, target, face.rgb.shape), face, side)
        mask = hull(face.flat[list(OVAL)], face.rgb.shape)
        return laid(face.rgb, layer, soft(mask, face.size * edge))

    yield TalkingMade(f"mesh-driven at {side} px", redrawn(job, mesh, draw))


def driven(face: FaceParent, own: Points, wanted: Points) -> Points:
    """(468, 2) in the face's pixels: its mesh moved from the shape ``own`` to ``wanted`` around mouth, eyes, brows."""
    there = similarity(own, face.flat)
    shift = (wanted - own) @ there[:, :2].T
    return (face.flat + weights_of(face)[:, None] * shift).astype(np.float32)


def weights_of(face: FaceParent) -> NDArray[np.float32]:
    """(468,) how much each point follows: 1 at the mouth, less at eyes and brows, 0 on the outline."""
    weight = np.zeros(len(face.flat), np.float32)
    for group, share in ((LIPS, 1.0), (LEFT_EYE, 0.7), (RIGHT_EYE, 0.7), (BROWS, 0.7)):
        distance = np.linalg.norm(face.flat[:, None] - face.flat[list(group)][None], axis=-1).min(axis=1)
        weight = np.maximum(weight, share * np.exp(-((distance / (0.12 * face.size)) ** 2)))
    weight[list(OVAL)] = 0
    return weight


def _there_and_back(i: int, n: int) -> int:
    """A driver shorter than the clip runs forwards and backwards."""
    i %= max(1, 2 * n - 2)
    return i if i < n else 2 * n - 2 - i
