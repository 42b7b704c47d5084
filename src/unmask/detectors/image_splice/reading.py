"""Runs the two graphs of `image.splice` over a picture: features tile by tile, then the whole picture at once.

Pixels are read at their native size, because reducing a picture wipes out what is looked for. A picture of any size
fits: the features of large ones are averaged over neighbouring blocks before the second graph, and of very large ones
only some tiles, spread evenly, are read.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from unmask.models.runtime import Session

Floats = NDArray[np.float32]
BLOCK = 8


@dataclass(frozen=True)
class Reading:
    """What the net says of one picture.

    ``logits``: (rows, columns), how little each cell fits the rest, log-odds; ``seen``: (rows, columns) bool;
    ``cell``: pixels a cell and side; ``score``: log-odds that anything was changed; ``distance``: how unlike the
    pictures of training this one is, about 1 for what is usual.
    """

    logits: Floats
    seen: NDArray[np.bool_]
    cell: int
    score: float
    distance: float


def read(
    rgb: NDArray[np.uint8], table: NDArray[np.int32] | None, features: Session, context: Session, most_tiles: int
) -> Reading:
    """Examine ``rgb`` (h, w, 3), stored orientation, at least one block each way.

    Args:
        rgb: the pixels.
        table: the luma quantisation table (8, 8), natural order, of a JPEG file; None for other formats.
        features: pixels and table to one vector a block.
        context: the vectors of a whole picture to a map and a score.
        most_tiles: of more tiles than this only some are read.
    """
    vectors, seen = describe(rgb, table, features, most_tiles)
    side = context.card.inputs[0].shape[-1]
    joined = -(-max(seen.shape) // side)
    vectors, seen = joined_cells(vectors, seen, joined)
    rows, columns = seen.shape
    full = np.zeros(context.card.inputs[0].shape, np.float32)
    full[0, :, :rows, :columns] = vectors
    valid = np.zeros(context.card.inputs[1].shape, np.float32)
    valid[0, 0, :rows, :columns] = seen
    out = context.run({"features": full, "valid": valid})
    return Reading(
        logits=out["logits"][0, 0, :rows, :columns],
        seen=seen,
        cell=BLOCK * joined,
        score=float(out["score"].ravel()[0]),
        distance=float(out["distance"].ravel()[0]),
    )


def describe(
    rgb: NDArray[np.uint8], table: NDArray[np.int32] | None, features: Session, most_tiles: int
) -> tuple[Floats, NDArray[np.bool_]]:
    """Vectors (channels, rows, columns) of whole blocks, zeros where not ``seen`` (rows, columns)."""
    side = features.card.inputs[0].shape[-1] // BLOCK
    rows, columns = (max(1, n // BLOCK) for n in rgb.shape[:2])
    steps = np.zeros((1, BLOCK * BLOCK), np.float32) if table is None else table.reshape(1, -1).astype(np.float32)
    seen = np.zeros((rows, columns), bool)
    out = np.zeros((features.card.outputs[0].shape[1], rows, columns), np.float32)
    for top, left, inner in tiles(rows, columns, side, most_tiles):
        part = np.zeros((1, 3, side * BLOCK, side * BLOCK), np.float32)
        y1, x1 = min(top + side, rows) * BLOCK, min(left + side, columns) * BLOCK
        cut = rgb[top * BLOCK : y1, left * BLOCK : x1]
        part[0, :, : cut.shape[0], : cut.shape[1]] = cut.transpose(2, 0, 1)
        found = features.run({"rgb": part, "table": steps})["features"][0]
        ys, xs = inner
        out[:, ys, xs] = found[:, ys.start - top : ys.stop - top, xs.start - left : xs.stop - left]
        seen[ys, xs] = True
    return out, seen


def tiles(rows: int, columns: int, side: int, most: int) -> Iterator[tuple[int, int, tuple[slice, slice]]]:
    """First row and column of each tile, and the blocks that are taken from it; blocks and tiles of ``side``.

    Tiles overlap, and each block is taken from the tile in which it lies further inside.
    """
    down, across = _starts(rows, side), _starts(columns, side)
    every = -(-len(down) * len(across) // most)
    for i, (top, ys) in enumerate(down):
        for j, (left, xs) in enumerate(across):
            if (i + (2 if every > 2 else 1) * j) % every == 0:
                yield top, left, (ys, xs)


def _starts(n: int, side: int) -> list[tuple[int, slice]]:
    """Evenly spaced tiles along one direction with an overlap of at least two blocks."""
    count = 1 if n <= side else -(-(n - 2) // (side - 2))
    starts = [round(i * (n - side) / (count - 1)) for i in range(count)] if count > 1 else [0]
    borders = [0, *((a + side + b) // 2 for a, b in itertools.pairwise(starts)), n]
    return [(start, slice(a, b)) for start, (a, b) in zip(starts, itertools.pairwise(borders), strict=True)]


def joined_cells(vectors: Floats, seen: NDArray[np.bool_], n: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Means over ``n`` x ``n`` blocks, of those that were seen."""
    if n == 1:
        return vectors, seen
    c, rows, columns = vectors.shape
    h, w = -(-rows // n), -(-columns // n)
    count = np.zeros((h * n, w * n), np.float32)
    count[:rows, :columns] = seen
    count = count.reshape(h, n, w, n).sum((1, 3))
    padded = np.zeros((c, h * n, w * n), np.float32)
    padded[:, :rows, :columns] = vectors
    total = padded.reshape(c, h, n, w, n).sum((2, 4))
    return total / np.maximum(count, 1), count > 0


def filled(values: Floats, seen: NDArray[np.bool_]) -> Floats:
    """``values`` (h, w) with what was not seen filled from what lies near."""
    if seen.all():
        return values
    sigma = max(values.shape) / 24
    weight = cv2.GaussianBlur(seen.astype(np.float32), (0, 0), sigma)
    near = cv2.GaussianBlur(values * seen, (0, 0), sigma) / np.maximum(weight, 1e-6)
    return np.asarray(np.where(seen, values, near), np.float32)
