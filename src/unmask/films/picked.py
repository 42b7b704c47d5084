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


def picked(video: VideoView, indexes: NDArray[np.int64], held: bool = True) -> Iterator[Frame]:
    """The upright RGB frames of these indexes (rising), as `VideoView.frames` gives them.

    Few frames of a film with key frames here and there are searched for; where that does not give the very frames that
    the pass over the whole film saw, and where many are wanted, the film is decoded from its beginning.

    Args:
        video: the film.
        indexes: of the frames wanted.
        held: take those that the first pass held, which are given once only.

    Raises:
        MediaError: the film cannot be decoded.
    """
    wanted = [int(i) for i in indexes]
    at_hand = {i: give for i in wanted if held and (give := video.held(i)) is not None}
    decoded = _decoded(video, [i for i in wanted if i not in at_hand])
    for index in wanted:
        if index in at_hand:
            yield at_hand.pop(index)()
        else:
            frame = next(decoded, None)
            if frame is None:
                return
            yield frame


def _decoded(video: VideoView, left: list[int]) -> Iterator[Frame]:
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
