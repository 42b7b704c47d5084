"""Single frames of a film at their full size, by the cheapest of three ways: held by the first pass, searched from key
frame to key frame, or by another pass.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from unmask.media.video import MOST_REACH, Frame, VideoView

WORTH = 0.7
"""Share of the frames of one pass up to which it is worth to search."""


def picked(video: VideoView, indexes: NDArray[np.int64]) -> Iterator[Frame]:
    """The upright RGB frames of these indexes (rising), as `VideoView.frames` gives them.

    Frames that the first pass held are given away. Few frames of a film with key frames here and there are searched
    for; where that does not give the very frames that the pass over the whole film saw, and where many are wanted, the
    film is decoded from its beginning.

    Raises:
        MediaError: the film cannot be decoded.
    """
    left = [int(i) for i in indexes]
    while left and (held := video.held(left[0])) is not None:
        left.pop(0)
        yield held
    if left and frames_on_the_way(video, np.asarray(left, np.int64)) <= WORTH * (left[-1] + 1):
        for frame in video.frames_at(tuple(left)):
            if frame is None:
                break
            left.pop(0)
            yield frame
    if left:
        # Frames are counted: with damage only the same number of threads is sure to give the same ones.
        alone = bool(video.small_frames.damaged)
        yield from video.frames(rgb=True, upright=True, only=frozenset(left), alone=alone)


def frames_on_the_way(video: VideoView, indexes: NDArray[np.int64]) -> float:
    """How many frames are decoded if each of these is searched for; infinite where that cannot be told."""
    small, table = video.small_frames, video.packet_table
    if small.damaged or not np.isfinite(table["pts"]).all() or len(table) < len(small.times):
        return np.inf
    # Packets stand in coding order; by time they are the frames in display order.
    order = np.argsort(table["pts"], kind="stable")
    keys = np.flatnonzero(table["key"][order])
    if not keys.size or keys[0] > 0:
        return np.inf
    before = keys[np.searchsorted(keys, indexes, side="right") - 1]
    # Of two in one group of pictures the second goes on from the first.
    begun = np.maximum(before, np.concatenate([[0], indexes[:-1] + 1]))
    way = indexes - begun + 1
    return float(way.sum()) if way.max() <= MOST_REACH else np.inf
