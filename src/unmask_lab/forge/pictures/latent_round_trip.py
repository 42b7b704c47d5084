"""A real picture through the encoder and decoder of a latent diffusion model, blended with itself.

The pair (parent, round trip) differs in nothing but the decoder's fingerprint, so a detector can't learn the content:
reconstruction pairs as in DRCT (Chen et al. 2024) and AlignedForensics (Rajan et al. 2025).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unmask_lab.forge.family import FamilyCard, PictureJob, PictureMade
from unmask_lab.forge.forgery import Rgb

WEIGHTS = ("taef2_encoder.pth", "taef2_decoder.pth")
CARD = FamilyCard(
    id="latent_round_trip",
    makes="the picture decoded from its FLUX.2 latents; blend 1.0 always, 0.7 or 0.5 for every second parent",
    licence="MIT (madebyollin/taesd)",
    weights=WEIGHTS,
    packages=("torch",),
    count=500,
)
BLENDS = (0.7, 0.5)


def forge(job: PictureJob) -> Iterator[PictureMade]:
    """The decoded picture, and for every second parent a blend of it with the parent."""
    from unmask_lab.nets.taef import round_trip

    made = round_trip(job.rgb, job.weights)
    yield PictureMade(rounded(made), "taef2 blend 1.0")
    if job.rng.random() < 0.5:
        share = float(job.rng.choice(BLENDS))
        yield PictureMade(rounded(share * made + (1 - share) * job.rgb), f"taef2 blend {share}")


def rounded(pixels: np.ndarray) -> Rgb:
    """Float picture in 0..255 to uint8."""
    return np.clip(np.round(pixels), 0, 255).astype(np.uint8)
