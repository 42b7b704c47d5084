"""8x8 blocks of a picture: which can be trusted, their low frequencies, and the same picture off the grid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

# The lowest 14 alternating frequencies, (v, u) with v + u <= 4: higher ones are mostly zero after compression.
FREQUENCIES = tuple((v, u) for s in range(1, 5) for v in range(s + 1) for u in [s - v])
_SIDE = 5
# The later compression moves pixels that the first decoding clipped a little away from black and white.
MARGIN = 5
# Four off-grid shifts (y, x): a crop may have put an earlier grid on one of them, hardly on several.
_SHIFTS = ((4, 4), (3, 5), (5, 2), (2, 3))


@dataclass(frozen=True)
class Blocks:
    """Low frequencies of all whole blocks.

    ``levels``: (14, rows, cols) uint8, magnitudes in steps of ``steps``, at most 255; ``steps``: (14,) quantisation
    step of each; ``usable``: (rows, cols), False for clipped and padded blocks.
    """

    levels: NDArray[np.uint8]
    steps: NDArray[np.int32]
    usable: NDArray[np.bool_]


def from_coefficients(luma: NDArray[np.int16], table: NDArray[np.int32], rgb: NDArray[np.uint8]) -> Blocks:
    """Blocks of a JPEG: ``luma`` (rows, cols, 8, 8) quantised, ``rgb`` the decoded (h, w, 3) picture."""
    rows, cols = rgb.shape[0] // 8, rgb.shape[1] // 8
    low = np.ascontiguousarray(luma[:rows, :cols, :_SIDE, :_SIDE]).reshape(rows, cols, -1)
    picks = [v * _SIDE + u for v, u in FREQUENCIES]
    levels = np.minimum(np.abs(low), 255).astype(np.uint8).transpose(2, 0, 1)[picks]
    steps = np.array([table[v, u] for v, u in FREQUENCIES], np.int32)
    return Blocks(np.ascontiguousarray(levels), steps, unclipped(rgb))


def from_pixels(luma: NDArray[np.uint8], rgb: NDArray[np.uint8], offset: tuple[int, int] = (0, 0)) -> Blocks:
    """Blocks of a picture that is not a JPEG, on the grid that starts at ``offset`` (y, x); all steps are 1."""
    y, x = offset
    rows, cols = (luma.shape[0] - y) // 8, (luma.shape[1] - x) // 8
    levels = np.empty((len(FREQUENCIES), rows, cols), np.uint8)
    for start in range(0, rows, 64):  # in strips, so that memory stays small
        stop = min(rows, start + 64)
        tiles = luma[y + 8 * start : y + 8 * stop, x : x + 8 * cols].reshape(stop - start, 8, cols, 8)
        values = dct(tiles.swapaxes(1, 2).reshape(-1, 64).astype(np.float32) - 128.0)
        np.minimum(np.rint(np.abs(values)), 255, out=values)
        levels[:, start:stop] = values.T.reshape(len(FREQUENCIES), stop - start, cols)
    return Blocks(levels, np.ones(len(FREQUENCIES), np.int32), unclipped(rgb[y:, x:]))


def unclipped(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(h // 8, w // 8): blocks where no channel comes near black or white, for clipping breaks the comb."""
    rows, cols = rgb.shape[0] // 8, rgb.shape[1] // 8
    strips = rgb[: rows * 8].reshape(rows, 8, -1)
    top = strips.max(axis=1)[:, : cols * 24].reshape(rows, cols, 24).max(axis=2)
    bottom = strips.min(axis=1)[:, : cols * 24].reshape(rows, cols, 24).min(axis=2)
    return np.asarray((top < 255 - MARGIN) & (bottom > MARGIN))


def off_grid(luma: NDArray[np.uint8], count: int) -> NDArray[np.float32]:
    """About ``count`` blocks that lie off the 8x8 grid, their frequencies' magnitudes, (14, n) float32.

    Off the grid the picture has nearly the spectrum that it had before quantisation (Lukas & Fridrich 2003).
    """
    per_shift = -(-count // len(_SHIFTS))
    found = []
    for y, x in _SHIFTS:
        rows, cols = (luma.shape[0] - y) // 8, (luma.shape[1] - x) // 8
        # Every n-th row of blocks: a fixed sample that sees all of the picture.
        every = max(1, rows * cols // per_shift)
        picked = np.arange(0, rows, every)
        strips = luma[y : y + rows * 8, x : x + cols * 8].reshape(rows, 8, cols, 8)[picked]
        tiles = strips.swapaxes(1, 2).reshape(-1, 64)
        inside = (tiles.max(axis=1) < 255 - MARGIN) & (tiles.min(axis=1) > MARGIN)
        found.append(np.abs(dct(tiles[inside].astype(np.float32) - 128.0)))
    return np.ascontiguousarray(np.concatenate(found).T)


def dct(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
    """The 14 frequencies of blocks (n, 64) -> (n, 14), orthonormal 8x8 DCT-II as JPEG uses."""
    return tiles @ _basis()


@cache
def _basis() -> NDArray[np.float32]:
    n = np.arange(8)
    rows = np.cos((2 * n[None, :] + 1) * n[:, None] * np.pi / 16) * np.sqrt(np.where(n == 0, 1 / 8, 2 / 8))[:, None]
    return np.stack([np.outer(rows[v], rows[u]).ravel() for v, u in FREQUENCIES], axis=1).astype(np.float32)


def grid_origin(luma: NDArray[np.uint8]) -> tuple[int, int]:
    """(y, x) 0..7 where an 8x8 grid most likely starts, from the mean step between neighbouring pixels.

    It always answers; whether there was a grid at all is for the combs to say.
    """
    rows = luma[:: max(1, luma.shape[0] // 512)].astype(np.float32)
    cols = luma[:, :: max(1, luma.shape[1] // 512)].astype(np.float32)
    return _phase(cols), _phase(np.ascontiguousarray(rows.T))


def _phase(values: NDArray[np.float32]) -> int:
    """0..7: the phase of lines (axis 0) across which neighbours differ more than beside it."""
    step = np.abs(np.diff(values, axis=0)).mean(axis=1)
    excess = step[1:-1] - 0.5 * (step[:-2] + step[2:])
    excess = excess[: len(excess) // 8 * 8].reshape(-1, 8)
    # step[i] lies between lines i and i + 1, and excess[j] belongs to step[j + 1].
    return int((np.argmax(np.clip(excess, -4, 4).mean(axis=0)) + 2) % 8)
