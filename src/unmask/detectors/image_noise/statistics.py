"""Local statistics of the finest detail, and of the content that explains part of them.

`Cells` holds one value, or one vector, for each square cell of the picture. Windows are squares of cells.
The co-occurrences are those of Splicebuster (Cozzolino, Poggi, Verdoliva 2015): a third-order derivative, cut to
three levels, four neighbours at a time, joined under sign and direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Grey = NDArray[np.uint8]
_THIRD = np.array([[1, -3, 3, -1]], np.int16)
_SECOND = np.array([1, -2, 1], np.float32)


@dataclass(frozen=True)
class Cells:
    """All arrays are (rows, columns[, k]) over cells of ``side`` pixels, already averaged over windows.

    ``patterns``: square roots of co-occurrence frequencies (k = 50).
    ``noise``: log of the residual's size: plain mean and mean that favours quiet cells (k = 2).
    ``content``: what the noise may lawfully depend on: coarser detail, brightness, clipping (k = 7).
    ``usable``: windows with little clipping.
    """

    side: int
    patterns: Float
    noise: Float
    content: Float
    usable: NDArray[np.bool_]


def measure(luma: Grey, window: int, max_clipped: float) -> Cells:
    """Statistics of (h, w) uint8 ``luma`` in windows of ``window`` cells."""
    side, step = _sizes(luma.size)
    rows, columns = luma.shape[0] // side, luma.shape[1] // side
    luma = np.ascontiguousarray(luma[: rows * side, : columns * side])
    size = (columns, rows)
    fine = cv2.sepFilter2D(luma, cv2.CV_16S, _SECOND, _SECOND)
    quiet = _reduce(np.abs(fine), size) / np.float32(6)
    clipped = _blur(_reduce(((luma > 250) | (luma < 6)).view(np.uint8), size), window)
    noise = [np.log(0.2 + _blur(quiet, window)), -np.log(_blur(np.reciprocal(quiet + np.float32(0.2)), window))]
    counts = _blur(_patterns(luma, side, step), window)
    frequencies = np.sqrt(counts / np.maximum(counts.sum(2, keepdims=True), 1e-6))
    return Cells(side, frequencies, np.dstack(noise), _content(luma, size, clipped, window), clipped <= max_clipped)


def _sizes(pixels: int) -> tuple[int, int]:
    """Side of a cell, and the step at which co-occurrences are counted: large pictures have enough of them."""
    if pixels < 1_200_000:
        return 8, 1
    if pixels < 5_000_000:
        return 16, 2
    return (32, 3) if pixels < 25_000_000 else (64, 5)


def _reduce(values: NDArray[np.generic], size: tuple[int, int]) -> Float:
    return np.asarray(cv2.resize(values.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)


def _blur(values: Float, window: int) -> Float:
    planes = values if values.ndim == 3 else values[..., None]
    done = [cv2.blur(p, (window, window), borderType=cv2.BORDER_REFLECT) for p in np.moveaxis(planes, 2, 0)]
    return np.asarray(np.dstack(done) if values.ndim == 3 else done[0], np.float32)


def _content(luma: Grey, size: tuple[int, int], clipped: Float, window: int) -> Float:
    """Coarser detail in two octaves (mean and energy), brightness and its square, clipped share."""
    octaves = [cv2.pyrDown(luma).astype(np.float32)]
    for _ in range(2):
        octaves.append(cv2.pyrDown(octaves[-1]))
    planes = []
    for finer, coarser in pairwise(octaves):
        band = np.abs(finer - cv2.pyrUp(coarser, dstsize=finer.shape[::-1]))
        detail = _reduce(band, size)
        planes += [np.log(0.3 + _blur(detail, window)), np.log(0.3 + _blur(detail * detail, window))]
    bright = _reduce(octaves[1], size) / np.float32(64)
    return np.dstack([*planes, _blur(bright, window), _blur(bright * bright, window), clipped])


def _pattern_classes() -> tuple[NDArray[np.uint8], int]:
    """The class of each of the 81 quadruples: a quadruple, its reverse and their negatives are one."""
    seen: dict[tuple[int, ...], int] = {}
    classes = []
    for quad in product((-1, 0, 1), repeat=4):
        turned = [quad, quad[::-1], tuple(-v for v in quad), tuple(-v for v in quad[::-1])]
        classes.append(seen.setdefault(min(turned), len(seen)))
    return np.array(classes, np.uint8), len(seen)


_CLASS, _CLASSES = _pattern_classes()


def _patterns(luma: Grey, side: int, step: int) -> Float:
    """(rows, columns, 2 x 25) counts: along the derivative's direction, and across it."""
    shape = (luma.shape[0] // side, luma.shape[1] // side, _CLASSES)
    along, across = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for vertical in (False, True):
        kernel = _THIRD.T if vertical else _THIRD
        rough = cv2.filter2D(luma, cv2.CV_16S, kernel, borderType=cv2.BORDER_REFLECT)
        levels = (rough >= 2).view(np.uint8) + 1 - (rough <= -2).view(np.uint8)
        along += _count(levels, vertical, side, step)
        across += _count(levels, not vertical, side, step)
    return np.concatenate([along, across], 2).astype(np.float32)


def _count(levels: Grey, vertical: bool, side: int, step: int) -> NDArray[np.int64]:
    h, w = levels.shape
    ys, xs = np.arange(0, h - 3, step), np.arange(0, w - 3, step)
    code = np.zeros((len(ys), len(xs)), np.uint8)
    for k in range(4):
        dy, dx = (k, 0) if vertical else (0, k)
        code = code * np.uint8(3) + levels[dy : dy + h - 3 : step, dx : dx + w - 3 : step]
    columns = w // side
    place = ((ys // side) * columns)[:, None] + (xs // side)[None]
    flat = (place * _CLASSES).astype(np.int32) + _CLASS[code]
    total = np.bincount(flat.ravel(), minlength=(h // side) * columns * _CLASSES)
    return total.reshape(h // side, columns, _CLASSES)
