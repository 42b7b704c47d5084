"""What the networks say of each face: aligned, scored, and its map laid back over the picture.

A small network ships and draws the map. Where CLIP's tower is installed, a linear head on its class tokens of the same
aligned face is put beside: together they tell changed faces far better than either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.errors import CardError, ModelError
from unmask.faces.align import alignment, crop
from unmask.faces.face import Face
from unmask.models.runtime import open_model
from unmask.models.tower import TOWER, class_tokens

MODEL = "face-swap-2"
PROBE = "face-swap-probe-1"
SMALL, BOTH = "small", "tower"
"""The strata: the small network alone, or with the head on the tower."""
# The network was trained on squares of this side with so much of the surroundings on each side.
SIDE, MARGIN = 224, 0.02

Float = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FaceScore:
    """``score``: log-odds that a part of the face was blended in. ``cells``: (14, 14) probability of each cell of the
    aligned square, by the small network. ``distance``: from the faces of training, about 1 there.
    """

    face: Face
    score: float
    cells: Float
    distance: float


def score_faces(rgb: NDArray[np.uint8], faces: Sequence[Face]) -> list[FaceScore]:
    """The small network's answer for each face, in the order given.

    Args:
        rgb: (h, w, 3) uint8, the picture or frame that the faces were found in.
        faces: from `unmask.faces.detect`, in pixels of ``rgb``.

    Raises:
        ModelError: the model cannot be used on this machine.
    """
    if not faces:
        return []
    session = open_model(MODEL)
    out = []
    for face in faces:
        answer = session.run({"face": crop(rgb, face, SIDE, MARGIN)[None].astype(np.float32)})
        cells = 1.0 / (1.0 + np.exp(-np.clip(answer["map"][0], -30.0, 30.0)))
        out.append(FaceScore(face, float(answer["score"][0]), cells, float(answer["distance"][0])))
    return out


def tower_scores(rgb: NDArray[np.uint8], faces: Sequence[Face]) -> list[float] | ModelError | CardError:
    """Log-odds of the head on the tower for each face as in `score_faces`, or why it cannot answer."""
    try:
        tower, probe = open_model(TOWER), open_model(PROBE)
        squares = [crop(rgb, face, SIDE, MARGIN) for face in faces]
        return [float(probe.run({"tokens": class_tokens(tower, square)})["score"][0]) for square in squares]
    except (ModelError, CardError) as error:
        return error


def levels(parameters: Mapping[str, float], stratum: str) -> dict[str, float]:
    """The card's parameters with ``report_above`` and ``drift_limit`` of one stratum."""
    own = {name: parameters[f"{name}_{stratum}"] for name in ("report_above", "drift_limit")}
    return {**parameters, **own}


def crowd_score(scores: Sequence[float], slope: float) -> float:
    """One raw score for a picture of several faces: the highest, less ``slope`` for each factor e of faces.

    The highest of n bona fide faces exceeds a level about n times as often as one face does; where the share that
    exceeds it falls by e over ``slope``, this keeps the false-alarm rate of a picture that of a face (Bonferroni).
    """
    return max(scores) - slope * float(np.log(len(scores)))


def heat(shape: tuple[int, int], scored: Sequence[FaceScore], longest: int) -> Float:
    """(h', w') map over a picture of ``shape`` at most ``longest`` pixels long: the cells of each face at its place."""
    unit = min(1.0, longest / max(shape))
    size = max(1, round(shape[1] * unit)), max(1, round(shape[0] * unit))
    out = np.zeros(size[::-1], np.float32)
    for one in scored:
        side = one.cells.shape[0]
        # From the picture to the aligned square and on to its cells, whose centres lie at whole numbers.
        there = alignment(one.face, side, MARGIN)
        there = np.column_stack([there[:, :2] / unit, there[:, 2] - 0.5])
        laid = cv2.warpAffine(
            np.pad(one.cells, 1), _shifted(there), size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        out = np.maximum(out, laid)
    return np.asarray(out, np.float32)


def _shifted(there: NDArray[np.float64]) -> NDArray[np.float64]:
    """For cells with a border of one."""
    return np.column_stack([there[:, :2], there[:, 2] + 1.0])
