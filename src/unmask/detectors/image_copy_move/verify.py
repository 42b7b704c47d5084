"""Does a part of the picture really lie elsewhere again? Pixel by pixel, including its noise.

Two windows of one facade look alike, but each was photographed on its own: their fine residuals (sensor noise,
grain, the exact place of every leaf) differ. A copy repeats the residual everywhere inside its outline.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.detectors.image_copy_move.keypoints import Matrix, Transform

Float = NDArray[np.float32]
Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Copy:
    """A part that was found twice.

    ``target`` and ``source`` are (h, w) masks in working pixels (which of the two is the original is not known);
    ``area`` is the number of pixels of ``target``; the other numbers are described in `measure`.
    """

    transform: Transform
    target: Mask
    source: Mask
    features: dict[str, float]


def residual(values: Float, sigma: float) -> Float:
    """High-pass part of (h, w) float32 ``values``."""
    return np.asarray(values - cv2.GaussianBlur(values, (0, 0), sigma), np.float32)


def agreement(a: Float, b: Float, side: int) -> Float:
    """(h, w) local correlation, -1..1, of two residuals in windows of ``side`` pixels; blank areas give 0."""
    size = (side, side)
    cov = cv2.blur(a * b, size)
    power = cv2.blur(a * a, size) * cv2.blur(b * b, size)
    return np.asarray(cov / (np.sqrt(np.maximum(power, 0)) + 0.35), np.float32)


def examine_transform(grey: Float, transform: Transform, min_area: int) -> Copy | None:
    """The largest connected part of ``grey`` that ``transform`` explains, or None below ``min_area`` pixels."""
    transform = refine(grey, transform)
    warped, valid = _warped(grey, transform)
    there = residual(warped, 1.5)
    there[~valid] = 0
    local = agreement(residual(grey, 1.5), there, 13)
    target = _largest((local > 0.5) & valid & ~_clipped(grey), min_area)
    if target is None:
        return None
    source = _source_mask(target, transform)
    features = measure(grey, warped, target, local)
    features["overlap"] = float((target & source).sum() / target.sum())
    return Copy(transform, target, source, features)


def refine(grey: Float, transform: Transform) -> Transform:
    """Shift ``transform`` so that the residuals coincide best; keypoints alone are a pixel off at times.

    A transform that is almost a pure shift or mirror is also tried as exactly that: most copies are.
    """
    if transform.box is None:
        return transform
    options = [transform.matrix]
    straight = np.round(transform.matrix[:, :2])
    if np.abs(transform.matrix[:, :2] - straight).max() < 0.04 and abs(np.linalg.det(straight)) == 1:
        x, y, w, h = transform.box
        centre = np.array([x + w / 2, y + h / 2])
        source = cv2.invertAffineTransform(transform.matrix) @ np.array([*centre, 1.0])
        options.append(np.c_[straight, np.round(centre - straight @ source)])
    tried = [_aligned(grey, matrix, transform.box) for matrix in options]
    fit, matrix = max(tried, key=lambda t: t[0])
    return replace(transform, matrix=matrix) if fit > 0 else transform


def _aligned(grey: Float, matrix: Matrix, box: tuple[int, int, int, int], reach: int = 4) -> tuple[float, Matrix]:
    """How well the residuals fit inside ``box`` after the best shift of up to ``reach`` pixels, and that matrix."""
    h, w = grey.shape
    x1, y1 = max(reach, box[0]), max(reach, box[1])
    x2, y2 = min(w - reach, box[0] + box[2]), min(h - reach, box[1] + box[3])
    if x2 - x1 < 12 or y2 - y1 < 12:
        return 0.0, matrix
    moved = matrix.copy()
    moved[:, 2] -= (x1, y1)
    size = (x2 - x1, y2 - y1)
    there = residual(cv2.warpAffine(grey, moved, size, flags=cv2.INTER_CUBIC), 1.5)
    here = residual(grey[y1 - reach : y2 + reach, x1 - reach : x2 + reach], 1.5)
    fits = cv2.matchTemplate(here, there, cv2.TM_CCORR_NORMED)
    _, best, _, (bx, by) = cv2.minMaxLoc(fits)
    shifted = matrix.copy()
    shifted[:, 2] += (bx - reach, by - reach)
    if not np.array_equal(matrix, np.round(matrix)):
        shifted[:, 2] += (_summit(fits[by], bx), _summit(fits[:, bx], by))
    return float(best), shifted


def _summit(values: Float, i: int) -> float:
    """Where between its neighbours the peak at ``i`` lies, -0.5..0.5, by a parabola."""
    if not 0 < i < len(values) - 1:
        return 0.0
    left, middle, right = (float(v) for v in values[i - 1 : i + 2])
    bend = left - 2 * middle + right
    return float(np.clip((left - right) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0


def _warped(grey: Float, transform: Transform) -> tuple[Float, Mask]:
    """The picture moved by ``transform``, and where it then covers the picture."""
    h, w = grey.shape
    outside = -1000.0
    warped = cv2.warpAffine(
        grey, transform.matrix, (w, h), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT, borderValue=outside
    )
    valid = cv2.erode((warped > outside / 2).astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
    warped[~valid] = 0
    return np.asarray(warped, np.float32), np.asarray(valid, np.bool_)


def _largest(mask: Mask, min_area: int) -> Mask | None:
    core = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((7, 7), np.uint8))
    core = cv2.morphologyEx(core, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(core, connectivity=4)
    if count < 2:
        return None
    best = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    return np.asarray(labels == best) if stats[best, cv2.CC_STAT_AREA] >= min_area else None


def _source_mask(target: Mask, transform: Transform) -> Mask:
    h, w = target.shape
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(target.astype(np.uint8), transform.matrix, (w, h), flags=flags) > 0)


def _clipped(grey: Float) -> Mask:
    low = cv2.blur(((grey > 251) | (grey < 4)).astype(np.float32), (7, 7))
    return np.asarray(low > 0.5)


def measure(grey: Float, warped: Float, target: Mask, local: Float) -> dict[str, float]:
    """What tells a copy from a likeness inside ``target``.

    ``fine``, ``mid``: correlation of the residuals at two scales; ``quiet``, ``quiet_mid``: the same over the calmer
    half of the pixels, where straight edges cannot help; ``clip``: of the residual cut at +-2 grey levels;
    ``low``: median difference of brightness, grey levels; ``levels``: share of the six commonest grey levels;
    ``still``: share of pixels without residual; ``energy``, ``quiet_energy``: size of the fine residual.
    """
    a1, b1 = residual(grey, 0.9)[target], residual(warped, 0.9)[target]
    broad = residual(grey, 2.0)
    a2, b2 = broad[target], residual(warped, 2.0)[target]
    activity = cv2.blur(np.abs(broad), (5, 5))[target]
    quiet = activity <= np.quantile(activity, 0.5)
    counts = np.sort(np.bincount(grey[target].astype(np.int64), minlength=256))[::-1]
    low = cv2.blur(grey - warped, (9, 9))[target]
    return {
        "area": float(target.sum()),
        "share": float(target.mean()),
        "fine": corr(a1, b1),
        "mid": corr(a2, b2),
        "quiet": corr(a1[quiet], b1[quiet]),
        "quiet_mid": corr(a2[quiet], b2[quiet]),
        "clip": corr(np.clip(a1, -2, 2), np.clip(b1, -2, 2)),
        "median": float(np.median(local[target])),
        "levels": float(counts[:6].sum() / counts.sum()),
        "energy": float(np.sqrt(np.mean(a1 * a1))),
        "quiet_energy": float(np.sqrt(np.mean(a1[quiet] ** 2))),
        "still": float((np.abs(a2) < 0.5).mean()),
        "low": float(np.median(np.abs(low))),
    }


def corr(a: Float, b: Float) -> float:
    """Correlation coefficient without removing the mean (residuals have none); 0 where a side is blank."""
    power = float(np.sqrt(np.dot(a, a) * np.dot(b, b)))
    return float(np.dot(a, b) / power) if power > 1e-3 else 0.0
