"""Another person's face that a network drew: bent to this one's mesh, through a latent decoder, laid over.

Autoencoder tools (DeepFaceLab; I. Perov et al., Pattern Recognition 2023) draw the new face with a decoder and blend it
in; here the decoder is that of a latent diffusion model, and draws at the resolution of such tools.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from unmask_lab.forge.faces.parent import OVAL, FaceJob, colours_of, hull, laid, soft, warped
from unmask_lab.forge.family import FamilyCard, PictureMade
from unmask_lab.forge.forgery import Rgb
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
    layer = warped(job.donor, parent.flat, parent.rgb.shape)
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    x, y = max(0, x - w // 8), max(0, y - h // 8)
    box = np.s_[y : y + h + h // 4, x : x + w + w // 4]
    small = resized(layer[box], (side := int(rng.choice(TOOL_SIDES)), side))
    drawn = rounded(round_trip(small, job.weights))
    layer[box] = resized(drawn, layer[box].shape[1::-1])
    layer = colours_of(layer, parent.rgb, mask, float(rng.uniform(0.7, 1.0)))
    alpha = soft(mask, parent.size * float(rng.uniform(0.02, 0.1)))
    yield PictureMade(laid(parent.rgb, layer, alpha), f"neural swap at {side} px", alpha > 0.1)


def resized(rgb: Rgb, size: tuple[int, int]) -> Rgb:
    """To (width, height), averaged when reduced."""
    smaller = size[0] < rgb.shape[1]
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC), np.uint8)
