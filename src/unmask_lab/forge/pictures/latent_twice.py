"""Two round trips: what image-to-image pipelines and inpainting tools leave when their output is edited again."""

from __future__ import annotations

from collections.abc import Iterator

from unmask_lab.forge.family import FamilyCard, PictureJob, PictureMade
from unmask_lab.forge.pictures.latent_round_trip import WEIGHTS, rounded

CARD = FamilyCard(
    id="latent_twice",
    makes="the picture decoded from its FLUX.2 latents twice, moved by a few pixels against the grid in between",
    licence="MIT (madebyollin/taesd)",
    weights=WEIGHTS,
    packages=("torch",),
    count=110,
)


def forge(job: PictureJob) -> Iterator[PictureMade]:
    """Round trip, cut off up to seven pixels at the top and left, round trip."""
    from unmask_lab.nets.taef import round_trip

    once = rounded(round_trip(job.rgb, job.weights))
    y, x = (int(v) for v in job.rng.integers(0, 8, 2))
    yield PictureMade(rounded(round_trip(once[y:, x:], job.weights)), f"taef2 twice, moved {x},{y}")
