"""A region decoded from latents and put back, as inpainting and generative fill do; the rest stays as it was."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from unmask_lab.forge.family import FamilyCard, PictureJob, PictureMade
from unmask_lab.forge.forgery import Mask, Rgb, blend
from unmask_lab.forge.pictures.latent_round_trip import WEIGHTS, rounded
from unmask_lab.forge.regions import feather, region

CARD = FamilyCard(
    id="latent_region",
    makes="a blob, polygon, figure or object decoded from FLUX.2 latents; half of them filled in first",
    licence="MIT (madebyollin/taesd)",
    weights=WEIGHTS,
    packages=("torch",),
    regional=True,
    count=260,
)


def forge(job: PictureJob) -> Iterator[PictureMade]:
    """The region as it was, or filled from its surroundings first, through the decoder."""
    from unmask_lab.nets.taef import round_trip

    mask = _larger(job.rng, region(job.rng, job.rgb))
    removed = job.rng.random() < 0.5
    base = _filled(job.rgb, mask) if removed else job.rgb
    layer = rounded(round_trip(base, job.weights))
    name = f"taef2 region{', content removed' if removed else ''}"
    yield PictureMade(blend(job.rgb, layer, feather(job.rng, mask)), name, mask)


def _larger(rng: np.random.Generator, mask: Mask) -> Mask:
    """Inpainting masks are generous: grown by up to 8 pixels for half of them."""
    if rng.random() < 0.5:
        return mask
    size = 2 * int(rng.integers(2, 9)) + 1
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((size, size), np.uint8)), bool)


def _filled(rgb: Rgb, mask: Mask) -> Rgb:
    """Telea's filling: no content is left, the decoder gives the texture."""
    return np.asarray(cv2.inpaint(rgb, mask.astype(np.uint8), 5, cv2.INPAINT_TELEA), np.uint8)
