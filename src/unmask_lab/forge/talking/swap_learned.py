"""A swap as an autoencoder makes it: the new face is drawn at 64-128 pixels, or by a latent decoder, then laid over.

The tools of DFDC and FaceForensics++ (DeepFakes) draw so few pixels (B. Dolhansky et al.: The DeepFake Detection
Challenge Dataset, 2020; I. Perov et al.: DeepFaceLab, Pattern Recognition 2023). No face network is trained here: the
donor is bent by the mesh, and only the loss of detail, the decoder's traces and the paste are alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from unmask_lab.forge.faces.neural import resized
from unmask_lab.forge.faces.own_warp import bent_to
from unmask_lab.forge.faces.parent import OVAL, FaceParent, colours_of, hull, laid, soft
from unmask_lab.forge.family import FamilyCard
from unmask_lab.forge.forgery import Rgb
from unmask_lab.forge.pictures.latent_round_trip import WEIGHTS, rounded
from unmask_lab.forge.talking.parent import TalkingJob, TalkingMade, donor_faces, matched, redrawn, smoothed

CARD = FamilyCard(
    id="swap_learned",
    makes="another person's face drawn at 64-128 pixels or by a latent decoder at 128, steadied over time, soft edge",
    licence="that of the parents; MIT (madebyollin/taesd)",
    count=0,
    weights=WEIGHTS,
    packages=("torch",),
)
SIDES = (64, 80, 96, 112, 128)
LATENT_SIDE = 128
STEADY = 0.35
"""How much of the frame before shines through, as these tools' own smoothing does."""


def forge(job: TalkingJob) -> Iterator[TalkingMade]:
    """One swap; half of them through the latent decoder."""
    latent = bool(job.rng.random() < 0.5)
    side = LATENT_SIDE if latent else int(job.rng.choice(SIDES))
    share, edge = float(job.rng.uniform(0.8, 1.0)), float(job.rng.uniform(0.04, 0.14))
    order = matched(job)
    donors = donor_faces(job, order[job.first : job.last].tolist())
    pen = _Pen(side, _decoder(job.weights) if latent else None)

    def draw(i: int, face: FaceParent) -> Rgb:
        mask = hull(face.flat[list(OVAL)], face.rgb.shape)
        if not mask.any():
            return face.rgb
        layer = pen(bent_to(donors[int(order[i])], face.flat, face.rgb.shape), mask)
        layer = colours_of(layer, face.rgb, mask, share)
        return laid(face.rgb, layer, soft(mask, face.size * edge))

    how = f"latent decoder at {side} px" if latent else f"bottleneck of {side} px"
    yield TalkingMade(how, redrawn(job, smoothed(job.parent.head.mesh), draw))


class _Pen:
    """Draws the box of a mask at ``side`` pixels, with a little of what it drew before."""

    def __init__(self, side: int, through: Callable[[Rgb], Rgb] | None) -> None:
        self.side, self.through = side, through
        self.before: np.ndarray | None = None

    def __call__(self, layer: Rgb, mask: np.ndarray) -> Rgb:
        x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
        small = resized(np.ascontiguousarray(layer[y : y + h, x : x + w]), (self.side, self.side))
        drawn = (self.through(small) if self.through else small).astype(np.float32)
        if self.before is not None:
            drawn = STEADY * self.before + (1 - STEADY) * drawn
        self.before = drawn
        out = layer.copy()
        out[y : y + h, x : x + w] = resized(rounded(drawn), (w, h))
        return out


def _decoder(weights: Path) -> Callable[[Rgb], Rgb]:
    from unmask_lab.nets.taef import round_trip

    return lambda small: rounded(round_trip(small, weights))
