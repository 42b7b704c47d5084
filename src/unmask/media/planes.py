"""The pixels of a decoded frame: its luma as it lies there, its colours, and both reduced."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

_local = threading.local()


def pixels_of(frame: Any, max_side: int, rgb: bool) -> NDArray[np.uint8]:
    """(h, w) luma or (h, w, 3) RGB, the longest side at most ``max_side``; 0 keeps the coded size."""
    scale = min(1.0, max_side / max(frame.width, frame.height)) if max_side else 1.0
    size = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    if not rgb:
        return reduced(luma_of(frame), size).copy()
    full = _rgb(frame)
    return full if scale == 1.0 else reduced(full, size)


def _rgb(frame: Any) -> NDArray[np.uint8]:
    # Of itself each frame makes its own converter, which costs a third as much as the conversion of 720p.
    if not hasattr(_local, "reformatter"):
        _local.reformatter = VideoReformatter()
    return np.asarray(_local.reformatter.reformat(frame, format="rgb24").to_ndarray(), np.uint8)


def luma_of(frame: Any) -> NDArray[np.uint8]:
    """(h, w) uint8; a view of the decoder's own plane where it is 8-bit luma, so use it before the next frame."""
    name = frame.format.name
    if name.startswith(("yuv", "nv12", "nv21", "gray")) and frame.format.components[0].bits == 8 and "yuyv" not in name:
        plane = frame.planes[0]
        return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]
    return np.asarray(frame.to_ndarray(format="gray"), np.uint8)


def reduced(values: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Averaged down to ``size`` (width, height); as it is where it has that size."""
    import cv2

    if (values.shape[1], values.shape[0]) == size:
        return np.ascontiguousarray(values)
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.uint8)


def changes(luma: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n,) mean absolute difference of each of (n, h, w) thumbnails to the one before; 0 for the first."""
    import cv2

    out = np.zeros(len(luma), np.float32)
    for i in range(1, len(luma)):
        out[i] = cv2.absdiff(luma[i], luma[i - 1]).mean()
    return out
