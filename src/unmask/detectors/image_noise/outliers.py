"""Which windows do not follow the rule that the rest of the picture obeys."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.floating]
Mask = NDArray[np.bool_]
_ROWS = 256


def without_content(values: Float, content: Float) -> Float:
    """(rows, columns, k) ``values`` minus their best quadratic prediction from ``content``.

    Texture, brightness and focus change the finest detail, too; what they explain is no sign of tampering.
    The fit is repeated without the 15 % of windows that it explains least, lest a tampered part bend it.
    """
    x = content.reshape(-1, content.shape[2]).astype(np.float64)
    x = (x - x.mean(0)) / (x.std(0) + 1e-6)
    design = np.c_[np.ones(len(x)), x, x**2, x[:, :1] * x[:, 1:5]]
    y = values.reshape(len(x), -1).astype(np.float64)
    used = np.ones(len(x), bool)
    left: Float = y
    for _ in range(3):
        left = y - _times(design, _regression(design[used], y[used]))
        miss = ((left / (left[used].std(0) + 1e-9)) ** 2).sum(1)
        used = miss <= np.quantile(miss, 0.85)
    return left.reshape(values.shape)


def _regression(design: Float, y: Float) -> Float:
    gram = _cross(design, design) + 1e-3 * len(design) * np.eye(design.shape[1])
    return np.linalg.solve(gram, _cross(design, y))


def _cross(a: Float, b: Float) -> Float:
    """``a.T @ b`` of tall matrices, a few rows at a time.

    Products this small gain nothing from BLAS's threads and lose much when other detectors keep the cores busy.
    """
    return cast(Float, np.matmul(_slices(a).transpose(0, 2, 1), _slices(b)).sum(0))


def _times(a: Float, b: Float) -> Float:
    """``a @ b`` of a tall and a small matrix, a few rows at a time."""
    return cast(Float, np.matmul(_slices(a), b).reshape(-1, b.shape[1])[: len(a)])


def _slices(a: Float) -> Float:
    """(n, k) as (n / 256, 256, k), filled up with zeros."""
    return np.pad(a, ((0, -len(a) % _ROWS), (0, 0))).reshape(-1, _ROWS, a.shape[1])


def robust_z(values: Float, usable: Mask) -> Float:
    """Deviations from the median in robust standard deviations; 0 where not usable."""
    chosen = values[usable]
    middle = np.median(chosen)
    spread = 1.4826 * np.median(np.abs(chosen - middle)) + 1e-3
    return cast(Float, np.where(usable, (values - middle) / spread, 0.0))


def distance(values: Float, usable: Mask, dimensions: int) -> Float:
    """Squared Mahalanobis distance to the bulk of the windows, in units of its median; 1 where not usable.

    The bulk is found by leaving out the farthest 15 % again and again (a trimmed estimate), so that a
    tampered region of less than that does not hide itself.
    """
    points = _principal(values, usable, dimensions)
    good = usable.ravel()
    used = good.copy()
    far: Float = np.zeros(len(points))
    for _ in range(4):
        far = _mahalanobis(points, used.astype(np.float64))[0]
        used = good & (far <= np.quantile(far[good], 0.85))
    scaled = np.where(good, far / max(float(np.median(far[good])), 1e-9), 1.0)
    return cast(Float, scaled.reshape(usable.shape))


def two_classes(values: Float, usable: Mask, dimensions: int, rounds: int = 12) -> Float:
    """Log-likelihood ratio of a second, smaller class of windows against the first (EM, as in Splicebuster)."""
    start = distance(values, usable, dimensions).ravel()
    good = usable.ravel().astype(np.float64)
    points = _principal(values, usable, dimensions, whiten=True)
    second = (start > np.quantile(start[usable.ravel()], 0.85)).astype(np.float64)
    ratio = np.zeros(len(points))
    for _ in range(rounds):
        likelihood = []
        for weight in ((1 - second) * good, second * good):
            far, log_det = _mahalanobis(points, weight, 0.05)
            likelihood.append(np.log(weight.sum() / good.sum() + 1e-9) - 0.5 * log_det - 0.5 * far)
        ratio = likelihood[1] - likelihood[0]
        second = 1 / (1 + np.exp(-np.clip(ratio, -50, 50)))
    inside = ratio[usable.ravel()]
    ratio = np.where(usable.ravel(), ratio, np.median(inside))
    return cast(Float, (-ratio if (inside > 0).mean() > 0.5 else ratio).reshape(usable.shape))


def largest_part(mask: Mask) -> Mask | None:
    """The largest 4-connected part, or None where the mask is empty."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count < 2:
        return None
    return np.asarray(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()))


def _principal(values: Float, usable: Mask, dimensions: int, whiten: bool = False) -> Float:
    flat = values.reshape(-1, values.shape[2]).astype(np.float64)
    good = flat[usable.ravel()]
    middle = good.mean(0)
    vectors, sizes, _ = np.linalg.svd(_cross(good - middle, good - middle) / len(good))
    points = _times(flat - middle, vectors[:, :dimensions])
    return points / np.sqrt(sizes[:dimensions] + 1e-12) if whiten else points


def _mahalanobis(points: Float, weight: Float, ridge: float = 0.0) -> tuple[Float, float]:
    """Squared distances to the weighted mean under the weighted covariance, and log of its determinant."""
    total = weight.sum() + 1e-9
    off = points - (points * weight[:, None]).sum(0) / total
    covariance = _cross(off, off * weight[:, None]) / total
    size = covariance.shape[0]
    covariance += (ridge + 1e-6 * np.trace(covariance) / size + 1e-12) * np.eye(size)
    far = (_times(off, np.linalg.inv(covariance)) * off).sum(1)
    return cast(Float, far), float(np.linalg.slogdet(covariance)[1])
