"""Error level analysis (Krawetz 2007): the picture minus itself saved again. A picture only, never a score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask import evidence
from unmask.card import own_card

if TYPE_CHECKING:
    from unmask.options import Options
    from unmask.report import Finding
    from unmask.subject import Subject

CARD = own_card(__file__)
_P = CARD.parameters


def examine(subject: Subject, options: Options) -> Finding:  # noqa: ARG001 - the common signature
    """Show how much each part changes when it is saved again. Raises `MediaError`."""
    image = subject.image
    if min(image.width, image.height) < CARD.min_side:
        return CARD.declined("ela.small", f"The picture is smaller than {CARD.min_side} pixels on a side.")
    quality = int(_P["quality"])
    levels, sampled = error_levels(image.luma, quality)
    if not levels.any():
        return CARD.declined("ela.blank", "Nothing changes when the picture is saved again: it is blank.")
    white = max(float(_P["least_white"]), float(np.percentile(levels, _P["white_percentile"])))
    note = (
        " Of this large picture a regular part of the 8x8 blocks was examined, at full resolution." if sampled else ""
    )
    shown = evidence.heatmap(
        image,
        levels / white,
        "Error level picture",
        f"Change of brightness when saved again at JPEG quality {quality}, amplified {255 / white:.0f} times. Edges "
        f"and textures are bright in every picture: this proves nothing by itself.{note}",
        low="no change",
        high=f"{white:.1f} grey levels",
    )
    return CARD.ok(
        "ela.shown", "The error level picture is there to look at; it is no proof and has no score.", None, [shown]
    )


def error_levels(luma: NDArray[np.uint8], quality: int) -> tuple[NDArray[np.float32], bool]:
    """Mean absolute change of each 8x8 block, (h / 8, w / 8), grey levels; and whether only a part was examined.

    ``luma``: (h, w). Large pictures are thinned to whole 8x8 blocks on the grid, since resizing would destroy it.
    """
    thinned = _thin(luma, int(_P["max_working_pixels"]))
    done, stored = cv2.imencode(".jpg", thinned, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError("the picture could not be encoded as JPEG")
    again = cv2.imdecode(stored, cv2.IMREAD_GRAYSCALE)
    change = cv2.absdiff(thinned, again).astype(np.float32)
    size = (max(1, -(-thinned.shape[1] // 8)), max(1, -(-thinned.shape[0] // 8)))
    return np.asarray(cv2.resize(change, size, interpolation=cv2.INTER_AREA), np.float32), thinned is not luma


def _thin(luma: NDArray[np.uint8], pixels: int) -> NDArray[np.uint8]:
    """Every n-th 8x8 block in both directions, so that at most about ``pixels`` remain."""
    every = int(np.ceil(np.sqrt(luma.size / pixels)))
    rows, cols = luma.shape[0] // 8, luma.shape[1] // 8
    if every <= 1 or min(rows, cols) < every:
        return luma
    blocks = luma[: rows * 8, : cols * 8].reshape(rows, 8, cols, 8)[::every, :, ::every]
    return np.ascontiguousarray(blocks).reshape(blocks.shape[0] * 8, blocks.shape[2] * 8)
