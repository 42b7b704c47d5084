"""Every second frame replaced by one that was computed from its neighbours, as frame-rate converters do.

Optical flow: T. Kroeger, R. Timofte, D. Dai, L. Van Gool: Fast Optical Flow using Dense Inverse Search. ECCV 2016.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from unmask_lab.forge.family import FamilyCard
from unmask_lab.forge.forgery import Rgb
from unmask_lab.forge.talking.parent import TalkingJob, TalkingMade

CARD = FamilyCard(
    id="interpolate",
    makes="every second frame computed from its neighbours by optical flow",
    licence="that of the parents",
    count=0,
)


def forge(job: TalkingJob) -> Iterator[TalkingMade]:
    """The whole picture, in the stretch."""
    frames = job.parent.frames.copy()
    for i in range(max(1, job.first), min(job.last, len(frames) - 1), 2):
        frames[i] = between(job.parent.frames[i - 1], job.parent.frames[i + 1])
    yield TalkingMade("every second frame by optical flow (DIS)", frames)


def between(before: Rgb, after: Rgb) -> Rgb:
    """The frame halfway: both neighbours moved by half the flow, averaged."""
    a, b = (cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) for x in (before, after))
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    h, w = a.shape
    x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    parts = []
    for source, flow in ((before, dis.calc(b, a, None)), (after, dis.calc(a, b, None))):
        moved = cv2.remap(
            source, x + flow[..., 0] / 2, y + flow[..., 1] / 2, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        parts.append(moved.astype(np.float32))
    return np.asarray(np.clip(np.round((parts[0] + parts[1]) / 2), 0, 255), np.uint8)
