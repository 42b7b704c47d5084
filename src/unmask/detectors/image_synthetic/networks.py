"""What the networks say of one picture: a small one that ships, and one on top of CLIP's tower where that is installed.

CLIP's middle layers tell generated pictures from photographs better than its last one or any network trained from
scratch on little material (Koutlis and Papadopoulos 2024; Ojha et al. 2023). Its tower is too large to ship, so it is
fetched on demand; without it the small network alone answers, with a calibration of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unmask.detectors.image_synthetic.views import Float, Pixels, for_net, patch, places, whole
from unmask.errors import CardError, ModelError
from unmask.models.runtime import open_model
from unmask.models.tower import TOWER, class_tokens

SMALL = "image-synthetic-small-3"
PROBE = "image-synthetic-probe-3"
FAMILIES = (
    "a GAN",
    "diffusion or a latent decoder",
    "an autoregressive model",
    "a closed commercial service",
    "super-resolution",
)
ENLARGED = FAMILIES[4]


@dataclass(frozen=True)
class Opinion:
    """One network's answer.

    ``score``: log-odds of being generated, larger is more so. ``families``: (len(FAMILIES),) log-odds up to a
    constant. ``distance``: how unlike the training material, 1 is as far as one in a hundred of it.
    """

    score: float
    families: Float
    distance: float


@dataclass(frozen=True)
class Patches:
    """(n,) log-odds of each patch and its place (y, x) in the bounded picture."""

    scores: Float
    at: list[tuple[int, int]]


def ask_small(pixels: Pixels, most: int, share_of_whole: float) -> tuple[Opinion, Patches]:
    """The small network on the whole bounded picture and on at most ``most`` patches.

    ``share_of_whole`` (0..1) is how much the whole picture counts beside the mean of the patches.

    Raises:
        ModelError: the network cannot be used on this machine.
    """
    session = open_model(SMALL)
    height, width = pixels.shape[:2]
    at = places(height, width, most)
    views = [whole(pixels), *(patch(pixels, y, x) for y, x in at)]
    said = [session.run({"view": for_net([view])}) for view in views]
    patches = np.concatenate([one["patch"] for one in said[1:]])
    score = share_of_whole * float(said[0]["whole"][0]) + (1 - share_of_whole) * float(patches.mean())
    families = np.mean([one["family"][0] for one in said], axis=0)
    distance = float(np.median([one["distance"][0] for one in said]))
    return Opinion(score, np.asarray(families, np.float32), distance), Patches(patches, at)


def ask_tower(pixels: Pixels) -> Opinion | ModelError | CardError:
    """The network on the class tokens of CLIP's middle blocks, or why it cannot answer."""
    try:
        tower, probe = open_model(TOWER), open_model(PROBE)
        tokens = class_tokens(tower, whole(pixels))
        said = probe.run({"tokens": tokens})
    except (ModelError, CardError) as error:
        return error
    return Opinion(float(said["score"][0]), said["family"][0], float(said["distance"][0]))
