"""Votes for a JPEG grid: of the 64 places where an 8x8 block can start, which one gives most DCT zeros?

After Nikoukhah, Anger, Colom, Morel and Grompone von Gioi, "ZERO", IPOL 2021. There every pixel votes for the
block around it with most zeros, and counts are divided by 64 because neighbours vote alike. Here one pixel of
every 9x9 (large pictures: every 17x17 …) votes, by the same rule, so votes are (nearly) independent from
the start, need no division, and cost an 81st.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDE = 8  # of a JPEG block
PHASES = SIDE * SIDE
NONE = -1  # label of a cell without a vote
_WINDOW = 16  # the 15 pixels that 64 blocks span, and one idle pixel that keeps rows aligned
_CLIPPED = 2  # pixels of a block; the rest of the block no longer adds up to whole steps
_CHUNK = 32  # cells at a time: their coefficients stay in the processor's cache
# A coefficient rounds to zero below 1/2. Coefficients of whole pixels can be exactly 1/2; a little less makes
# the answer the same on every machine, whatever the order of its float32 sums.
_ZERO = 0.499


@dataclass(frozen=True)
class Zeros:
    """``counts``: (rows, cols, 64) uint8, DCT zeros by grid origin ``8*dy+dx`` of the picture; ``stride``: pixels.

    Cell (r, c) looks at the 15x15 pixels from (r*stride, c*stride) on.
    """

    counts: NDArray[np.uint8]
    stride: int

    def at(
        self, r: NDArray[np.int64], c: NDArray[np.int64], label: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Top left pixel (y, x) of the block with origin ``label`` that cells (r, c) look at."""
        y, x = r * self.stride, c * self.stride
        return y + (label // SIDE - y) % SIDE, x + (label % SIDE - x) % SIDE


def choose_stride(height: int, width: int, max_cells: int) -> int:
    """The least of 9, 17, 25 … pixels that keeps the number of cells at or below ``max_cells``.

    Odd, because the outermost of the 64 blocks wins slightly more often in any content: with an odd stride
    that preference falls on all origins in turn and cancels out.
    """
    stride = SIDE + 1
    while (height // stride) * (width // stride) > max_cells:
        stride += SIDE
    return stride


def count_zeros(luma: NDArray[np.uint8], stride: int = SIDE + 1) -> Zeros:
    """Zeros of the 64 blocks of every cell of (h, w) uint8 luma. Pictures below 16x16 give an empty map."""
    h, w = luma.shape
    rows, cols = max(0, (h - _WINDOW) // stride + 1), max(0, (w - _WINDOW) // stride + 1)
    counts = np.zeros((rows, cols, SIDE, SIDE), np.uint8)
    if not (rows and cols):
        return Zeros(counts.reshape(rows, cols, PHASES), stride)
    windows = np.lib.stride_tricks.sliding_window_view(luma, (_WINDOW, _WINDOW))[::stride, ::stride]
    for r in range(rows):
        for c in range(0, cols, _CHUNK):
            counts[r, c : c + _CHUNK] = _count(windows[r, c : c + _CHUNK])
    # So far by place in the window; a turn by the window's own place gives the origin in the picture.
    for shift in range(SIDE):
        turned = np.arange(rows) * stride % SIDE == shift
        counts[turned] = np.roll(counts[turned], shift, axis=2)
        turned = np.arange(cols) * stride % SIDE == shift
        counts[:, turned] = np.roll(counts[:, turned], shift, axis=3)
    return Zeros(counts.reshape(rows, cols, PHASES), stride)


def vote(zeros: Zeros, luma: NDArray[np.uint8], among: NDArray[np.bool_] | None = None) -> NDArray[np.int8]:
    """Each cell's origin with most zeros, (rows, cols) int8; `NONE` where two origins tie.

    ``among``: (64,) which origins stand for election (all by default). Votes won by a block that is constant
    along an axis, or clipped to black or white in part, are withdrawn: such blocks are drawn, not compressed.
    """
    origins = np.arange(PHASES) if among is None else np.flatnonzero(among)
    counts = zeros.counts if among is None else zeros.counts[:, :, origins]
    if counts.size == 0:
        return np.full(counts.shape[:2], NONE, np.int8)
    top = counts.max(axis=2)
    tied = (counts == top[:, :, None]).sum(axis=2, dtype=np.uint8) > 1
    labels = np.where(tied, NONE, origins[counts.argmax(axis=2)]).astype(np.int8)
    _withdraw(luma, labels, zeros)
    return labels


def _dct() -> NDArray[np.float32]:
    k, i = np.mgrid[:SIDE, :SIDE]
    scale = np.where(k == 0, np.sqrt(1 / SIDE), np.sqrt(2 / SIDE))
    return np.asarray(scale * np.cos((2 * i + 1) * k * np.pi / (2 * SIDE)), np.float32)


def _all_phases(dct: NDArray[np.float32]) -> NDArray[np.float32]:
    """(64, 16): row 8*frequency+phase is the transform of the 8 samples from ``phase`` on."""
    matrix = np.zeros((SIDE, SIDE, _WINDOW), np.float32)
    for phase in range(SIDE):
        matrix[:, phase, phase : phase + SIDE] = dct
    return matrix.reshape(PHASES, _WINDOW)


_DCT = _dct()
_PHASES = _all_phases(_DCT)


def _count(windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(n, 8, 8) zeros of the 64 blocks, by (dy, dx), in (n, 16, 16) windows."""
    n = len(windows)
    # Many small products, not one large: BLAS then starts no threads, which would fight with other detectors'.
    coefficients = (_PHASES @ windows.astype(np.float32)) @ _PHASES.T  # (n, v dy, u dx)
    zeros = np.abs(coefficients, out=coefficients) < _ZERO
    # Eight one-byte flags (dx) are added at once as one 64-bit word: no byte can exceed 64.
    words = zeros.view(np.uint64).reshape(n, SIDE, SIDE, SIDE)
    totals = np.ascontiguousarray(words.sum(axis=1).sum(axis=-1))  # (n, dy)
    return np.asarray(totals.view(np.uint8).reshape(n, SIDE, SIDE), np.uint8)


def _withdraw(luma: NDArray[np.uint8], labels: NDArray[np.int8], zeros: Zeros) -> None:
    r, c = np.nonzero(labels >= 0)
    blocks = np.lib.stride_tricks.sliding_window_view(luma, (SIDE, SIDE))
    won = blocks[zeros.at(r, c, labels[r, c].astype(np.int64))]
    clipped = ((won <= 1) | (won >= 254)).sum(axis=(1, 2)) > _CLIPPED
    nonzero = np.abs(_DCT @ won.astype(np.float32) @ _DCT.T) >= _ZERO
    flat = ~nonzero[:, 1:, :].any(axis=(1, 2)) | ~nonzero[:, :, 1:].any(axis=(1, 2))
    labels[r[clipped | flat], c[clipped | flat]] = NONE
