"""The next frames of a film, decoded while somebody looks at the last one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from unmask.media.video import Frame, VideoView

MOST, MOST_BYTES = 4, 16 * 1024**2
"""Frames made ahead, and what they may take; one is made in any case."""


def ahead(video: VideoView, frames: Iterator[Frame]) -> Iterator[Frame]:
    """The same frames, made by a thread of its own a few ahead. What making them raises is raised here."""
    most = max(1, min(MOST, MOST_BYTES // (3 * video.width * video.height)))
    pool = ThreadPoolExecutor(1, thread_name_prefix="frames")
    try:
        coming = deque(pool.submit(next, frames, None) for _ in range(most))
        while (frame := coming.popleft().result()) is not None:
            coming.append(pool.submit(next, frames, None))
            yield frame
    finally:
        pool.shutdown(cancel_futures=True)
