"""Sudden single steps in otherwise smooth motion, and what they mean for the order of frames.

A step is where the change into one frame is many times the largest change around it. A step to other content is
a scene cut; a step inside the same scene is what a removed stretch leaves; a step whose true continuation lies
elsewhere in the film is what moved or inserted frames leave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_STILL = 0.04  # grey levels of change between frames in which nothing moves


@dataclass(frozen=True)
class Step:
    """A step into frame ``index``.

    ``ratio``: change over the largest change around; ``likeness``: correlation of the two pictures, -1..1;
    ``overlap``: 0..1, how far the step changes those parts of the picture that move anyway;
    ``gap``: time step over the usual time step; ``stutter``: repeated frames lie beside it;
    ``moving``: the scene moves on both sides.
    """

    index: int
    ratio: float
    likeness: float
    overlap: float
    gap: float
    stutter: bool
    moving: bool


def noise_floor(change: NDArray[np.float32]) -> float:
    """The change, in grey levels, below which two neighbouring frames count as the same picture."""
    positive = change[1:][change[1:] > 0]
    return max(0.02, 0.08 * float(np.median(positive))) if positive.size else 0.02


def local_ceiling(change: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """(n,) the largest change within ``reach`` frames, the frame itself left out."""
    n = len(change)
    padded = np.zeros(n + 2 * reach, np.float32)
    padded[reach : reach + n] = change
    padded[reach] = 0  # the first frame has no change
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    left = windows[:, :reach].max(axis=1)
    right = windows[:, reach + 1 :].max(axis=1)
    return np.asarray(np.maximum(left, right), np.float32)


def find_steps(
    luma: NDArray[np.uint8], change: NDArray[np.float32], times: NDArray[np.float64], p: Mapping[str, float]
) -> list[Step]:
    """All steps whose ratio reaches ``step_ratio`` and whose size reaches ``step_levels``, in order of time."""
    reach = int(p["step_reach"])
    ceiling = np.maximum(local_ceiling(change, reach), p["step_floor"])
    ratio = change / ceiling
    picked = np.flatnonzero((ratio >= p["step_ratio"]) & (change >= p["step_levels"]))
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    floor = noise_floor(change)
    steps = []
    for i in picked:
        if i <= reach or i > len(change) - reach:
            continue  # too near an end to know what is usual here
        before, after = change[max(1, i - 8) : i], change[i + 1 : i + 9]
        near = np.r_[before[-3:], after[:3]]
        steps.append(
            Step(
                index=int(i),
                ratio=float(ratio[i]),
                likeness=likeness(luma[i - 1], luma[i]),
                overlap=_overlap(luma, int(i)),
                gap=float(times[i] - times[i - 1]) / max(usual, 1e-6),
                stutter=bool((near <= floor).any()),
                moving=bool(min(float((before > _STILL).mean()), float((after > _STILL).mean())) >= p["steady_share"]),
            )
        )
    return steps


def _overlap(luma: NDArray[np.uint8], i: int) -> float:
    """Histogram intersection, 0..1, of where the step changes the picture and where motion does."""
    import cv2

    def where(a: int, b: int) -> NDArray[np.float32]:
        moved = sum(cv2.absdiff(luma[k], luma[k - 1]).astype(np.float32) for k in range(a, b))
        blurred = cv2.GaussianBlur(np.asarray(moved, np.float32), (0, 0), 4.0)
        return np.asarray(blurred / max(float(blurred.sum()), 1e-6), np.float32)

    n = len(luma)
    usual = 0.5 * (where(max(1, i - 12), i) + where(i + 1, min(n, i + 13)))
    return float(np.minimum(usual, where(i, i + 1)).sum())


def likeness(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Correlation of two pictures after slight blur, -1..1; 0 where one is flat."""
    import cv2

    x, y = (cv2.GaussianBlur(v.astype(np.float32), (0, 0), 2.0).ravel() for v in (a, b))
    x, y = x - x.mean(), y - y.mean()
    power = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / power if power > 1e-3 else 0.0


def continuation(
    luma: NDArray[np.uint8], steps: Sequence[Step], change: NDArray[np.float32], share: float
) -> list[tuple[Step, int]]:
    """Steps whose left frame is continued elsewhere: pairs of the step and the frame that truly follows.

    Only frames that are themselves the far side of another step can be that continuation.
    """
    found = []
    starts = [s.index for s in steps]
    for step in steps:
        left = luma[step.index - 1].astype(np.int16)
        usual = _usual(change, step.index)
        others = [q for q in starts if q != step.index]
        if not others:
            continue
        distances = [float(np.abs(luma[q].astype(np.int16) - left).mean()) for q in others]
        best = int(np.argmin(distances))
        if distances[best] < share * change[step.index] and distances[best] < 2.0 * usual:
            found.append((step, others[best]))
    return found


def _usual(change: NDArray[np.float32], index: int) -> float:
    near = np.r_[change[max(1, index - 8) : index], change[index + 1 : index + 9]]
    return float(np.median(near)) if near.size else 0.0
