"""What every forging function returns, and the random generator that they share."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Rgb: TypeAlias = NDArray[np.uint8]
Mask: TypeAlias = NDArray[np.bool_]
Alpha: TypeAlias = NDArray[np.float32]

CHANGED = 255
SOURCE = 128


@dataclass(frozen=True)
class Forgery:
    """A changed picture.

    ``rgb``: (h, w, 3) uint8. ``mask``: (h, w) bool, True where pixels were changed. ``source``: (h, w) bool, where a
    copy was taken from (copy-move), which an evaluation counts neither way. ``text``: what was done.
    """

    rgb: Rgb
    mask: Mask
    text: str
    source: Mask | None = None

    def picture_of_mask(self) -> NDArray[np.uint8]:
        """(h, w) uint8: `CHANGED` where changed, `SOURCE` where copied from, else 0."""
        out = np.zeros(self.mask.shape, np.uint8)
        if self.source is not None:
            out[self.source] = SOURCE
        out[self.mask] = CHANGED
        return out


def seeded(seed: int, *names: str) -> np.random.Generator:
    """A generator that depends on the seed and the names only, so that one file can be made again alone."""
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])


def blend(base: Rgb, layer: Rgb, alpha: Alpha) -> Rgb:
    """``layer`` over ``base``; alpha (h, w) in 0..1."""
    a = alpha[..., None]
    mixed = base.astype(np.float32) * (1 - a) + layer.astype(np.float32) * a
    return np.clip(np.round(mixed), 0, 255).astype(np.uint8)
