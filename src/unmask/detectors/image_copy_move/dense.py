"""Shifts and mirror shifts at which a picture's own noise repeats.

The high-pass residual of a photograph is almost white, so its autocorrelation is flat but for the origin. A
pasted copy makes a peak at its displacement whose height is the share of the picture that was copied, also where
nothing but noise is to be seen. Cross-correlation with the mirrored residual finds copies that were flipped.
One FFT serves all of them. (The idea of matching sensor noise within one picture is that of residual-based
forensics, Cozzolino, Poggi and Verdoliva 2015; the search by correlation is our own.)
"""

from __future__ import annotations

from itertools import product

import cv2
import numpy as np
import scipy.fft
from numpy.typing import NDArray

from unmask.detectors.image_copy_move.keypoints import Transform


def whitened(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(h, w) residual with unit local variance: edges count no more than noise, blank areas count nothing."""
    values = grey.astype(np.float32)
    high = values - cv2.GaussianBlur(values, (0, 0), 1.2)
    power = cv2.boxFilter(high * high, -1, (17, 17))
    return np.asarray(np.clip(high / (np.sqrt(np.maximum(power, 0)) + 0.7), -3, 3), np.float32)


def find_shifts(
    residual: NDArray[np.float32], min_distance: float, min_z: float, min_cells: int, at_most: int
) -> list[Transform]:
    """Displacements and mirror displacements at which the whitened residual repeats, best first.

    A peak of at least ``min_z`` sigma is looked up in the picture; at least ``min_cells`` cells of 8x8 pixels must
    agree there.
    """
    h, w = (scipy.fft.next_fast_len(n, real=True) for n in residual.shape)
    spectrum = _flattened(scipy.fft.fft2(residual, (h, w)))
    found: list[tuple[float, Transform]] = []
    for sx, sy in ((1, 1), (-1, 1), (1, -1)):
        turned = spectrum[::sy, ::sx]
        turned = np.roll(turned, (1 if sy < 0 else 0, 1 if sx < 0 else 0), (0, 1))
        surface = scipy.fft.ifft2(spectrum * turned.conj()).real.astype(np.float32)
        if sx == sy == 1:
            _blank_origin(surface, int(min_distance))
        for y, x, z in _peaks(surface, min_z, 4 * at_most):
            found += [
                (screened(residual, shift), shift) for shift in _unwrap(x, y, z, (sx, sy), residual.shape, (h, w))
            ]
    found = [f for f in found if f[0] >= min_cells]
    return [shift for _, shift in sorted(found, key=lambda f: -f[0])[:at_most]]


def screened(residual: NDArray[np.float32], shift: Transform) -> int:
    """In how many 8x8 cells (with their neighbours) the residual and the shifted residual agree."""
    (sx, _, dx), (_, sy, dy) = shift.matrix.astype(int)
    h, w = residual.shape
    ys, yt = _overlap(h, sy, dy)
    xs, xt = _overlap(w, sx, dx)
    there = residual[ys, xs][::sy, ::sx]
    alike = residual[yt, xt] * there
    cells = cv2.resize(alike, (max(1, alike.shape[1] // 8), max(1, alike.shape[0] // 8)), interpolation=cv2.INTER_AREA)
    return int((cv2.blur(cells, (3, 3)) > 0.45).sum())


def _overlap(n: int, sign: int, d: int) -> tuple[slice, slice]:
    """Source and target ranges of ``target = sign * source + d`` inside 0..n-1."""
    if sign > 0:
        lo, hi = max(0, -d), min(n, n - d)
        return slice(lo, hi), slice(lo + d, hi + d)
    lo, hi = max(0, d - n + 1), min(n - 1, d)
    return slice(lo, hi + 1), slice(d - hi, d - lo + 1)


def _flattened(spectrum: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Divide by the locally averaged magnitude: textures and straight edges, which are broad in the spectrum,
    lose their weight; the fine fringes that a copy makes stay.
    """
    power = cv2.blur(np.square(np.abs(spectrum)), (9, 9), borderType=cv2.BORDER_REFLECT)
    return np.asarray(spectrum / np.sqrt(np.maximum(power, 0) + power.mean() * 1e-2 + 1e-9), np.complex64)


def _blank_origin(surface: NDArray[np.float32], radius: int) -> None:
    h, w = surface.shape
    y = np.minimum(np.arange(h), h - np.arange(h))[:, None]
    x = np.minimum(np.arange(w), w - np.arange(w))[None]
    surface[(y * y + x * x) < radius * radius] = 0
    surface[h // 2 + 1 :] = 0  # an autocorrelation is symmetric: half of it says everything


def _peaks(surface: NDArray[np.float32], min_z: float, at_most: int) -> list[tuple[int, int, float]]:
    """Highest points, each the largest within 4 pixels, in units of the surface's robust spread."""
    live = surface[::3, ::3]
    live = live[live != 0]
    spread = 1.4826 * float(np.median(np.abs(live - np.median(live)))) if live.size else 0.0
    if spread <= 0:
        return []
    peak = cv2.dilate(surface, np.ones((9, 9), np.uint8)) == surface
    ys, xs = np.nonzero(peak & (surface > min_z * spread))
    order = np.argsort(-surface[ys, xs], kind="stable")[:at_most]
    return [(int(ys[i]), int(xs[i]), float(surface[ys[i], xs[i]] / spread)) for i in order]


def _unwrap(
    x: int, y: int, z: float, signs: tuple[int, int], shape: tuple[int, int], period: tuple[int, int]
) -> list[Transform]:
    """The transforms that a peak of a circular correlation can stand for."""
    found = []
    sx, sy = signs
    for px, py in product((0, period[1]), (0, period[0])):
        dx, dy = x - px, y - py
        # target = sign * source + d; it must reach a part of the picture
        reach_x = (0 - dx, shape[1] - dx) if sx > 0 else (dx - shape[1], dx)
        reach_y = (0 - dy, shape[0] - dy) if sy > 0 else (dy - shape[0], dy)
        width = min(reach_x[1], shape[1]) - max(reach_x[0], 0)
        height = min(reach_y[1], shape[0]) - max(reach_y[0], 0)
        if width > 24 and height > 24:
            matrix = np.array([[sx, 0, dx], [0, sy, dy]], np.float64)
            found.append(Transform(matrix, z, sx * sy < 0))
    return found
