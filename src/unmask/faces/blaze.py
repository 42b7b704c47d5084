"""What the BlazeFace networks answer, decoded: anchors, boxes, key points and their scores.

Papers: V. Bazarevsky, Y. Kartynnik, A. Vakunov, K. Raveendran, M. Grundmann: BlazeFace: Sub-millisecond Neural
Face Detection on Mobile GPUs. CVPR Workshop on Computer Vision for AR/VR, 2019 (also its blending of overlapping
answers). Anchors as in W. Liu et al.: SSD: Single Shot MultiBox Detector. ECCV 2016.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from unmask.models.runtime import open_model

Floats = NDArray[np.float32]

# Scores are sigmoids; beyond this they are all but 0 or 1, and exp() must not overflow.
_LOGIT_LIMIT = 80.0
# Eyes, nose tip, mouth and the two tragions: (x, y) after the four numbers of the box.
KEYPOINTS = 6


@dataclass(frozen=True)
class Network:
    """One of the two detectors.

    ``name``: its model folder. ``side``: input pixels. ``layers``: (cells a side, anchors a cell) of each grid of
    anchors, in the order of the network's rows. ``boxes``/``scores``: names of its outputs, (1, n, 16) and (1, n, 1).
    """

    name: str
    side: int
    layers: tuple[tuple[int, int], ...]
    boxes: str
    scores: str

    @property
    def size(self) -> int:
        """Rows of its answer."""
        return sum(cells * cells * each for cells, each in self.layers)


# Strides 8, 16, 16, 16 with two anchors a cell; the layers of equal stride share their cells.
SHORT = Network("face-detection-short-range-1", 128, ((16, 2), (8, 6)), "regressors", "classificators")
FULL = Network("face-detection-full-range-sparse-1", 192, ((48, 1),), "Identity", "Identity_1")


@cache
def anchors(network: Network) -> Floats:
    """Centres of a network's anchors, (n, 2) x and y in 0..1, row by row. All anchors have the size of the input."""
    parts = []
    for cells, each in network.layers:
        middle = (np.arange(cells, dtype=np.float32) + 0.5) / cells
        x, y = np.meshgrid(middle, middle)
        parts.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), each, axis=0))
    return np.concatenate(parts).astype(np.float32)


def answer(network: Network, tile: NDArray[np.uint8], min_score: float) -> tuple[Floats, Floats]:
    """Candidates in one tile.

    Args:
        network: `SHORT` or `FULL`.
        tile: (side, side, 3) uint8 RGB.
        min_score: least score, 0..1.

    Returns:
        (m, 16): corners x1 y1 x2 y2 and six points x y, in pixels of the tile; and (m,) scores in 0..1.

    Raises:
        ModelError: the network cannot be used on this machine.
    """
    session = open_model(network.name)
    name = session.card.inputs[0].name
    out = session.run({name: tile[None].astype(np.float32) / 127.5 - 1.0})
    return decode(network, out[network.boxes][0], out[network.scores][0, :, 0], min_score)


def decode(network: Network, raw: Floats, logits: Floats, min_score: float) -> tuple[Floats, Floats]:
    """Rows of the network's answer, (n, 16) and (n,), as `answer` returns them."""
    scores = 1.0 / (1.0 + np.exp(-np.clip(logits, -_LOGIT_LIMIT, _LOGIT_LIMIT)))
    keep = scores >= min_score
    values = raw[keep].reshape(-1, 8, 2)
    centres = anchors(network)[keep] * network.side
    middle, half = values[:, 0] + centres, values[:, 1] / 2
    points = values[:, 2:] + centres[:, None]
    corners = np.concatenate([middle - half, middle + half], axis=1)
    return np.concatenate([corners, points.reshape(-1, 2 * KEYPOINTS)], axis=1), scores[keep].astype(np.float32)


def overlap(box: Floats, boxes: Floats) -> Floats:
    """Intersection over union of one box with many, (m,) in 0..1; corners x1 y1 x2 y2."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:4], boxes[:, 2:4])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(boxes[:, 2:4] - boxes[:, :2], axis=1) + np.prod(box[2:4] - box[:2])
    return np.asarray(shared / np.maximum(areas - shared, 1e-9), np.float32)


def inside(box: Floats, boxes: Floats) -> Floats:
    """Intersection over the smaller of the two boxes, (m,) in 0..1."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:4], boxes[:, 2:4])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    smaller = np.minimum(np.prod(boxes[:, 2:4] - boxes[:, :2], axis=1), np.prod(box[2:4] - box[:2]))
    return np.asarray(shared / np.maximum(smaller, 1e-9), np.float32)


def blend(rows: Floats, scores: Floats, least_overlap: float, least_inside: float = 2.0) -> tuple[Floats, Floats]:
    """One row a face: the best candidate and those that overlap it, averaged with their scores as weights.

    The paper's replacement of non-maximum suppression. ``least_inside``: candidates that lie inside each other by
    more than this are one face too, but only those that overlap take part in the average.
    """
    kept, kept_scores = [], []
    order = np.argsort(-scores, kind="stable")
    while order.size:
        best = rows[order[0]]
        same = overlap(best, rows[order]) >= least_overlap
        same[0] = True
        weights = scores[order[same]][:, None]
        kept.append((rows[order[same]] * weights).sum(axis=0) / weights.sum())
        kept_scores.append(scores[order[0]])
        order = order[~(same | (inside(best, rows[order]) >= least_inside))]
    if not kept:
        return np.zeros((0, 4 + 2 * KEYPOINTS), np.float32), np.zeros(0, np.float32)
    return np.stack(kept).astype(np.float32), np.array(kept_scores, np.float32)
