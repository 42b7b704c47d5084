"""Which frames of a film are looked at closely: evenly in time, and the first ones of every scene."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unmask.media.video import SmallFrames, middles

PER_SECOND = 3.0
MOST = 240
"""Frames a second, and in all: of a longer film fewer frames a second are looked at."""

# A cut: the thumbnails differ by so many grey levels, and by so many times what is usual around.
CUT_LEVELS, CUT_TIMES, CUT_REACH = 12.0, 4.0, 12

Indexes = NDArray[np.int64]


def cuts(small: SmallFrames) -> Indexes:
    """(k,) indexes of the first frames of new scenes, without frame 0. Flashes may be among them; fades are not."""
    change = np.asarray(small.change, np.float64)
    found = [i for i in np.flatnonzero(change > CUT_LEVELS) if i > 0 and change[i] > CUT_TIMES * _usual(change, int(i))]
    return np.asarray(found, np.int64)


def _usual(change: NDArray[np.float64], index: int) -> float:
    low = max(1, index - CUT_REACH)
    around = np.concatenate([change[low:index], change[index + 1 : index + 1 + CUT_REACH]])
    return float(np.median(around)) if around.size else 0.0


def planned(small: SmallFrames, per_second: float = PER_SECOND, most: int = MOST) -> Indexes:
    """(k,) indexes of frames to look at, at most ``most``: one in each step of time, and the first of each scene.

    Where both together are too many, the first frame of a scene that begins in a step is the one of that step.
    Frames that the decoder had to guess are passed over.
    """
    usable = np.flatnonzero(~small.corrupt)
    if not usable.size:
        return usable.astype(np.int64)
    times = small.times[usable] - small.times[usable[0]]
    step = max(1.0 / per_second, float(times[-1]) / most)
    steps = np.floor(times / step + 1e-6)
    even = np.unique(steps, return_index=True)[1]
    firsts = np.flatnonzero(np.isin(usable, cuts(small)))
    if even.size + firsts.size > most:
        firsts = firsts[np.unique(steps[firsts], return_index=True)[1]]
        even = even[~np.isin(steps[even], steps[firsts])]
    return usable[np.union1d(even, firsts)[:most]].astype(np.int64)


def spread(small: SmallFrames, count: int) -> Indexes:
    """(k,) indexes of at most ``count`` sound frames, in the middle of as many equal parts of the film."""
    usable = np.flatnonzero(~small.corrupt)
    return np.unique(usable[middles(usable.size, count)]).astype(np.int64) if usable.size else usable.astype(np.int64)
