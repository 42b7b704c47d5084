"""A round trip at another size, because generators decode at a size of their own and sites show another one."""

from __future__ import annotations

from collections.abc import Iterator

import cv2

from unmask_lab.forge.family import FamilyCard, PictureJob, PictureMade
from unmask_lab.forge.pictures.latent_round_trip import WEIGHTS, rounded

CARD = FamilyCard(
    id="latent_resized",
    makes="the picture decoded from its FLUX.2 latents at 0.5-0.75 of its size, half of the time enlarged again",
    licence="MIT (madebyollin/taesd)",
    weights=WEIGHTS,
    packages=("torch",),
    count=200,
)
FILTERS = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)


def forge(job: PictureJob) -> Iterator[PictureMade]:
    """Smaller, round trip, and back to the old size half of the time."""
    from unmask_lab.nets.taef import round_trip

    h, w = job.rgb.shape[:2]
    scale = max(float(job.rng.uniform(0.5, 0.75)), min(1.0, 160 / min(h, w)))
    small = cv2.resize(job.rgb, (round(w * scale), round(h * scale)), interpolation=cv2.INTER_AREA)
    made = rounded(round_trip(small.astype("uint8"), job.weights))
    back = job.rng.random() < 0.5
    if back:
        made = cv2.resize(made, (w, h), interpolation=int(job.rng.choice(FILTERS))).astype("uint8")
    yield PictureMade(made, f"taef2 at {scale:.2f}{', enlarged' if back else ''}")
