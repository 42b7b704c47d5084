"""Faces brought to one place and size: similarity by key points, square crops, sharpness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from unmask.faces.face import Face

# Where the six key points lie in an aligned crop, in shares of its side: the mean of upright, frontal portraits.
TEMPLATE = np.array([(0.35, 0.40), (0.65, 0.40), (0.50, 0.575), (0.50, 0.717), (0.19, 0.46), (0.81, 0.46)], np.float64)
# The tragions wander as the head turns, the nose a little.
WEIGHTS = np.array([1.0, 1.0, 0.5, 1.0, 0.1, 0.1])
SHARPNESS_SIDE = 256


def similarity(
    source: NDArray[np.floating], target: NDArray[np.floating], weights: NDArray[np.floating] | None = None
) -> NDArray[np.float64]:
    """The turn, scale and shift (2, 3) that best takes ``source`` (n, 2) to ``target`` (n, 2), never mirrored.

    S. Umeyama: Least-squares estimation of transformation parameters between two point patterns. PAMI 13, 1991.
    In the plane it is one complex number, weighted here by ``weights`` (n,).
    """
    w = np.ones(len(source)) if weights is None else np.asarray(weights, np.float64)
    w = w / w.sum()
    s, t = np.asarray(source, np.float64), np.asarray(target, np.float64)
    s0, t0 = w @ s, w @ t
    a, b = (s - s0) @ (1, 1j), (t - t0) @ (1, 1j)
    turn = (w * np.conj(a) * b).sum() / max(1e-12, (w * np.abs(a) ** 2).sum())
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([linear, t0 - linear @ s0])


def warp(
    pixels: NDArray[np.uint8], transform: NDArray[np.float64], side: int, outside: int = cv2.BORDER_CONSTANT
) -> NDArray[np.uint8]:
    """A (side, side[, c]) uint8 square of ``pixels`` under the affine map ``transform`` (2, 3) from them to it.

    Strong reductions average the pixels first, so that nothing aliases. ``outside``: OpenCV's border rule.
    """
    scale = float(np.sqrt(abs(np.linalg.det(transform[:, :2]))))
    if scale >= 0.5:
        return np.asarray(
            cv2.warpAffine(pixels, transform, (side, side), flags=cv2.INTER_LINEAR, borderMode=outside), np.uint8
        )
    part, origin = _cut(pixels, transform, side)
    if part.size == 0:
        return np.zeros((side, side, *pixels.shape[2:]), np.uint8)
    step = int(1 / scale)
    size = max(1, part.shape[1] // step), max(1, part.shape[0] // step)
    small = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    ratio = np.array([part.shape[1] / size[0], part.shape[0] / size[1]])
    # Pixel centres: a small pixel i stands for (i + 0.5) * ratio - 0.5 of the large ones.
    linear = transform[:, :2] * ratio
    shift = transform[:, 2] + transform[:, :2] @ (origin + (ratio - 1) / 2)
    inner = np.column_stack([linear, shift])
    return np.asarray(cv2.warpAffine(small, inner, (side, side), flags=cv2.INTER_LINEAR, borderMode=outside), np.uint8)


def crop(rgb: NDArray[np.uint8], face: Face, side: int = 256, margin: float = 0.0) -> NDArray[np.uint8]:
    """The face upright in a square, (side, side, 3) uint8; eyes, nose and mouth lie where `TEMPLATE` says.

    ``margin``: so much more of the surroundings on each side, in shares of the square. Beyond the picture the edge
    is repeated.
    """
    return warp(rgb, alignment(face, side, margin), side, cv2.BORDER_REPLICATE)


def alignment(face: Face, side: int = 256, margin: float = 0.0) -> NDArray[np.float64]:
    """The map (2, 3) from the picture's pixels to those of `crop`."""
    target = (TEMPLATE + margin) / (1 + 2 * margin) * side
    return similarity(face.keypoints, target, WEIGHTS)


def sharpness(rgb: NDArray[np.uint8], box: tuple[float, float, float, float]) -> float:
    """How sharp the pixels in a box (x, y, w, h) are, 0..1: below about 0.4 blurred or enlarged, above 0.6 crisp.

    One minus the blur of F. Crété, T. Dolmiere, P. Ladret, M. Nicolas: The blur effect: perception and estimation
    with a new no-reference perceptual blur metric. SPIE Human Vision and Electronic Imaging XII, 2007: how little
    changes between neighbours when the picture is blurred once more. At the picture's own resolution.
    """
    x, y, w, h = box
    height, width = rgb.shape[:2]
    # Of a large face the middle is enough.
    half = min(w, h, SHARPNESS_SIDE) / 2
    x0, x1 = (round(np.clip(x + w / 2 + s * half, 0, width)) for s in (-1, 1))
    y0, y1 = (round(np.clip(y + h / 2 + s * half, 0, height)) for s in (-1, 1))
    if min(x1 - x0, y1 - y0) < 4:
        return 0.0
    luma = np.asarray(cv2.cvtColor(rgb[y0:y1, x0:x1], cv2.COLOR_RGB2GRAY), np.float32)
    return 1.0 - max(_blur(luma, (9, 1)), _blur(luma.T, (9, 1)))


def _blur(luma: NDArray[np.float32], kernel: tuple[int, int]) -> float:
    again = cv2.blur(np.ascontiguousarray(luma), kernel)
    before = np.abs(np.diff(luma, axis=1))
    lost = np.clip(before - np.abs(np.diff(again, axis=1)), 0, None)
    total = float(before.sum())
    return 1.0 if total < 1e-6 else (total - float(lost.sum())) / total


def _cut(
    pixels: NDArray[np.uint8], transform: NDArray[np.float64], side: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The part of ``pixels`` that a square needs, and where it begins (x, y)."""
    back = np.linalg.inv(np.vstack([transform, (0, 0, 1)]))
    corners = np.array([(0, 0, 1), (side, 0, 1), (0, side, 1), (side, side, 1)], np.float64) @ back.T
    low = np.maximum(np.floor(corners[:, :2].min(axis=0)) - 4, 0).astype(int)
    high = np.minimum(np.ceil(corners[:, :2].max(axis=0)) + 5, pixels.shape[1::-1]).astype(int)
    return pixels[low[1] : max(low[1], high[1]), low[0] : max(low[0], high[0])], low.astype(np.float64)
