"""CLIP's tower, the large picture model that is fetched on demand, and what the detectors read of it.

Its middle layers tell generated pictures and blended faces better than its last one, and better than networks trained
from scratch on little material (Koutlis and Papadopoulos 2024; Ojha et al. 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask import evidence
from unmask.errors import CardError, ModelError
from unmask.models.runtime import Session
from unmask.report import Evidence

TOWER = "clip-vit-b16-1"
BLOCKS = (6, 7, 8, 9, 10, 11)
SIDE = 224
_MEAN = np.asarray([0.48145466, 0.4578275, 0.40821073], np.float32)
_STD = np.asarray([0.26862954, 0.26130258, 0.27577711], np.float32)

Float = NDArray[np.float32]


def for_tower(view: NDArray[Any]) -> Float:
    """(1, 3, 224, 224) float32 in CLIP's units from a (224, 224, 3) RGB picture of 0..255."""
    scaled = (view.astype(np.float32) / 255 - _MEAN) / _STD
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None], np.float32)


def class_tokens(tower: Session, view: NDArray[np.uint8], blocks: Sequence[int] = BLOCKS) -> Float:
    """(1, len(blocks), 768) class tokens after the named blocks, of a (224, 224, 3) RGB picture."""
    given = tower.run({tower.card.inputs[0].name: for_tower(view)})
    return np.stack([given[f"cls{block}"] for block in blocks], axis=1)


def why_not(error: ModelError | CardError) -> str:
    """Why the tower does not answer, in words."""
    return "not installed" if error.code == "model.unknown" else error.text


def networks_fact(detector: str, why_no_tower: str) -> Evidence:
    """Which networks answered a detector, and how to get the large one; ``why_no_tower`` is empty where it answered."""
    if not why_no_tower:
        return evidence.fact("Networks that answered", "small network and CLIP tower", detector)
    return evidence.fact(
        "Networks that answered",
        "small network alone",
        detector,
        f"The larger CLIP tower ({why_no_tower}) makes far fewer mistakes. To use it: unmask models get clip-vit-b16.",
    )
