"""Another person's face that a network drew: bent to this one's mesh, through a latent decoder, laid over.

Autoencoder tools (DeepFaceLab; I. Perov et al., Pattern Recognition 2023) draw the new face with a decoder and blend it
in; here the decoder is that of a latent diffusion model, and draws at the resolution of such tools.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unmask_lab.forge.faces.parent import OVAL, FaceJob, colours_of, hull, laid, soft, warped
from unmask_lab.forge.faces.reenact import rendered
from unmask_lab.forge.family import FamilyCard, PictureMade
from unmask_lab.forge.pictures.latent_round_trip import WEIGHTS, rounded

CARD = FamilyCard(
    id="face_swap_neural",
    makes="another person's face through a latent decoder at 128-256 pixels, colours matched, soft edge",
    licence="MIT (madebyollin/taesd)",
    weights=WEIGHTS,
    packages=("torch",),
    regional=True,
    count=0,
)
TOOL_SIDES = (128, 192, 256)


def forge(job: FaceJob) -> Iterator[PictureMade]:
    """One swap through the decoder."""
    from unmask_lab.nets.taef import round_trip

    parent, rng = job.parent, job.rng
    mask = hull(parent.flat[list(OVAL)], parent.rgb.shape)
    layer = rendered(warped(job.donor, parent.flat, parent.rgb.shape), parent, int(rng.choice(TOOL_SIDES)))
    layer = rounded(round_trip(layer, job.weights))
    layer = colours_of(layer, parent.rgb, mask, float(rng.uniform(0.7, 1.0)))
    alpha = soft(mask, parent.size * float(rng.uniform(0.02, 0.1)))
    yield PictureMade(np.asarray(laid(parent.rgb, layer, alpha)), "neural swap", alpha > 0.1)
