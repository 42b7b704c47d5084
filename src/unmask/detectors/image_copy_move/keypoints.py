"""Keypoint matches of a picture with itself, and the similarity transforms that many of them share.

SIFT keypoints (Lowe 2004) are matched inside one picture with a ratio test that still works when a part was
pasted more than once (g2NN: Amerini et al. 2011). Mirrored copies are matched too: mirroring a patch only
permutes its SIFT descriptor. Points are complex numbers ``x + iy``, so that a similarity transform is
``a z + b`` and a mirrored one ``a conj(z) + b``.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Complex = NDArray[np.complex128]
Matrix = NDArray[np.float64]
_SEED = 20151204
_PAIRS_A_MATCH = 3
_MAX_MATCHES = 1500
_MAX_HYPOTHESES = 1500


@dataclass(frozen=True)
class Matches:
    """``source[i]`` looks like ``target[i]`` (complex positions, working pixels)."""

    source: Complex
    target: Complex


@dataclass(frozen=True)
class Transform:
    """``matrix`` (2, 3) maps source points to where their copies lie, in working pixels.

    ``support`` is the number of keypoint matches (or the peak height) that speak for it; ``mirrored`` says
    whether it turns the picture over; ``box`` (x, y, w, h) is where the matched keypoints lie in the copy, if known.
    """

    matrix: Matrix
    support: float
    mirrored: bool
    box: tuple[int, int, int, int] | None = None

    @property
    def inverse(self) -> Matrix:
        """The matrix of the way back."""
        return np.asarray(cv2.invertAffineTransform(self.matrix), np.float64)


def find_transforms(grey: NDArray[np.uint8], limit: int, min_distance: float, min_support: int) -> list[Transform]:
    """The transforms that at least ``min_support`` keypoint matches share, strongest first.

    ``grey`` is (h, w) uint8; ``limit`` is the largest number of keypoints; ``min_distance`` in pixels.
    """
    positions, descriptors = _describe(grey, limit)
    found: list[Transform] = []
    if len(positions) < 2 * min_support:
        return found
    for mirrored in (False, True):
        matches = _match(positions, descriptors, mirrored, min_distance)
        found += _consensus(matches, mirrored, min_support, min_distance)
    return sorted(found, key=lambda t: -t.support)


def _describe(grey: NDArray[np.uint8], limit: int) -> tuple[Complex, NDArray[np.float32]]:
    sift = cv2.SIFT.create(nfeatures=limit, contrastThreshold=0.008, edgeThreshold=15, enable_precise_upscale=True)
    points, descriptors = sift.detectAndCompute(grey, None)
    if descriptors is None:
        return np.zeros(0, np.complex128), np.zeros((0, 128), np.float32)
    positions = np.array([complex(*p.pt) for p in points[:limit]])
    # Hellinger distance on SIFT ("RootSIFT", Arandjelovic and Zisserman 2012): rows of unit length.
    raw = descriptors[:limit]
    root = np.sqrt(raw / np.maximum(raw.sum(1, keepdims=True), 1e-6))
    return positions, root.astype(np.float32)


def _mirror(descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The descriptors of the same patches seen in a mirror along their own orientation."""
    cells = descriptors.reshape(-1, 4, 4, 8)
    turned = cells[:, ::-1, :, (-np.arange(8)) % 8]
    return np.ascontiguousarray(turned.reshape(len(descriptors), 128))


def _match(positions: Complex, descriptors: NDArray[np.float32], mirrored: bool, min_distance: float) -> Matches:
    other = _mirror(descriptors) if mirrored else descriptors
    like = descriptors @ other.T
    _blank_neighbours(like, positions, min_distance)
    best = [like.argmax(1)]
    rows = np.arange(len(like))
    values = [like[rows, best[0]]]
    for _ in range(2):
        like[rows, best[-1]] = -1
        best.append(like.argmax(1))
        values.append(like[rows, best[-1]])
    d1, d2, d3 = (np.sqrt(np.maximum(2 - 2 * v, 0)) for v in values)
    first = (d1 < 0.75 * d2) | (d1 < 0.75 * d3) | (d1 < 0.22)
    second = (d1 < d2) & (d2 < 0.75 * d3)
    source = np.r_[rows[first], rows[second]]
    target = np.r_[best[0][first], best[1][second]]
    distance = np.r_[d1[first], d2[second]]
    keep = (distance < 0.55).nonzero()[0]
    keep = keep[np.argsort(distance[keep], kind="stable")][:_MAX_MATCHES]
    return Matches(positions[source[keep]], positions[target[keep]])


def _blank_neighbours(like: NDArray[np.float32], positions: Complex, min_distance: float) -> None:
    """A keypoint must not match itself or what lies around it."""
    tree = cKDTree(np.c_[positions.real, positions.imag])
    pairs = tree.query_pairs(min_distance, output_type="ndarray")
    like[pairs[:, 0], pairs[:, 1]] = -1
    like[pairs[:, 1], pairs[:, 0]] = -1
    np.fill_diagonal(like, -1)


def _consensus(
    matches: Matches, mirrored: bool, min_support: int, min_distance: float, at_most: int = 4
) -> list[Transform]:
    found: list[Transform] = []
    source, target = matches.source, matches.target
    while len(found) < at_most and len(source) >= min_support:
        inliers = _best_inliers(source, target, mirrored)
        if _distinct(source[inliers]) < min_support:
            break
        matrix = _fit(source[inliers], target[inliers], mirrored)
        if _moves(matrix, source[inliers], min_distance):
            support = float(_distinct(source[inliers]))
            found.append(Transform(matrix, support, mirrored, _box(target[inliers])))
        gone = inliers | _inliers_of_inverse(source, target, matrix)
        source, target = source[~gone], target[~gone]
    return found


def _best_inliers(source: Complex, target: Complex, mirrored: bool) -> NDArray[np.bool_]:
    """Which matches the best of many two-match similarity transforms explains."""
    seen = source.conj() if mirrored else source
    i, j = _neighbour_pairs(source)
    with np.errstate(divide="ignore", invalid="ignore"):
        a = (target[i] - target[j]) / (seen[i] - seen[j])
    good = np.isfinite(a) & (np.abs(a) > 0.5) & (np.abs(a) < 2.0)
    a, i = a[good], i[good]
    if not len(a):
        return np.zeros(len(source), bool)
    b = target[i] - a * seen[i]
    misses = np.abs(a[:, None] * seen[None] + b[:, None] - target[None])
    best = int((misses < 3.0).sum(1).argmax())
    return np.asarray(misses[best] < 3.0)


def _neighbour_pairs(source: Complex) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of matches that start near each other, but not at one point."""
    k = min(len(source), 12)
    tree = cKDTree(np.c_[source.real, source.imag])
    _, near = tree.query(np.c_[source.real, source.imag], k=k)
    i = np.repeat(np.arange(len(source)), k)
    j = near.ravel()
    apart = np.abs(source[i] - source[j]) > 8
    i, j = i[apart], j[apart]
    if len(i) > _MAX_HYPOTHESES:
        pick = np.random.default_rng(_SEED).choice(len(i), _MAX_HYPOTHESES, replace=False)
        i, j = i[pick], j[pick]
    return i, j


def _fit(source: Complex, target: Complex, mirrored: bool) -> Matrix:
    """Least-squares similarity transform as a (2, 3) matrix."""
    seen = source.conj() if mirrored else source
    design = np.c_[seen, np.ones(len(seen))]
    (a, b), *_ = np.linalg.lstsq(design, target, rcond=None)
    s = -1 if mirrored else 1
    return np.array([[a.real, -s * a.imag, b.real], [a.imag, s * a.real, b.imag]])


def _box(points: Complex) -> tuple[int, int, int, int]:
    """The rectangle that holds all but the outermost points, with a margin."""
    x1, x2 = np.quantile(points.real, (0.05, 0.95))
    y1, y2 = np.quantile(points.imag, (0.05, 0.95))
    return int(x1) - 8, int(y1) - 8, int(x2 - x1) + 16, int(y2 - y1) + 16


def _moves(matrix: Matrix, source: Complex, min_distance: float) -> bool:
    centre = source.mean()
    moved = matrix @ np.array([centre.real, centre.imag, 1.0])
    return bool(abs(complex(*moved) - centre) >= min_distance)


def _inliers_of_inverse(source: Complex, target: Complex, matrix: Matrix) -> NDArray[np.bool_]:
    """Each pair is usually matched both ways; the way back is not a second finding."""
    back = np.c_[target.real, target.imag, np.ones(len(target))] @ matrix.T
    return np.asarray(np.abs(back[:, 0] + 1j * back[:, 1] - source) < 4.0)


def _distinct(points: Complex) -> int:
    """Number of different places: several keypoints with one centre count once."""
    return len({(round(z.real / 3), round(z.imag / 3)) for z in points.tolist()})
