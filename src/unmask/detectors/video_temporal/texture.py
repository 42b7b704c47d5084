"""How much of the skin changes from frame to frame beside what motion explains, against what surrounds the face.

Each aligned picture is predicted from the one before by dense optical flow (T. Kroeger, R. Timofte, D. Dai,
L. Van Gool: Fast Optical Flow using Dense Inverse Search. ECCV 2016). What the prediction misses is noise, coding,
light, mimic and flicker. Coding and the camera act upon face and surroundings alike, so their ratio is told.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.detectors.video_temporal.points import Mask, Regions
from unmask.faces.align import TEMPLATE
from unmask.films.closeup import CROP_SIDE

Floats = NDArray[np.float64]
Grey = NDArray[np.uint8]

FLOOR = 0.25
"""Grey levels of change that are always there: without it still pictures would be divided by nothing."""

EDGE = 6
"""Pixels along the aligned picture's sides where new things come into view."""

LEAST_PIXELS = 100
_EYES = tuple((round(x * CROP_SIDE), round(y * CROP_SIDE)) for x, y in TEMPLATE[:2])
_EYE_WIDE, _EYE_HIGH, _EYE_BLUR = 8, 7, 0.8
_YS, _XS = np.mgrid[0:CROP_SIDE, 0:CROP_SIDE].astype(np.float32)


def unexplained(crops: NDArray[np.uint8], follows: NDArray[np.bool_], parts: Regions) -> Floats:
    """(n, 3) mean grey levels that motion does not explain, of skin, seam and surroundings; NaN where not to be told.

    Args:
        crops: (n, 112, 112, 3) aligned faces.
        follows: (n,) frames that follow the one before without a gap, the face seen in both.
        parts: where skin, seam and surroundings lie.
    """
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    out = np.full((len(crops), 3), np.nan)
    greys = [np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.uint8) for crop in crops]
    for i in np.flatnonzero(follows):
        missed, known = _missed(flow, greys[i - 1], greys[i])
        out[i] = [_mean(missed, known & part) for part in (parts.skin, parts.seam, parts.around)]
    return out


def _missed(flow: cv2.DISOpticalFlow, before: Grey, now: Grey) -> tuple[NDArray[np.float32], Mask]:
    """What the prediction of ``now`` misses, (112, 112) grey levels, and where there is a picture at all."""
    back = np.asarray(flow.calc(now, before, None), np.float32)
    expected = cv2.remap(before, _XS + back[..., 0], _YS + back[..., 1], cv2.INTER_LINEAR)
    missed = np.abs(now.astype(np.float32) - expected)
    known = (now > 0) & (expected > 0)
    known[[*range(EDGE), *range(-EDGE, 0)]] = False
    known[:, [*range(EDGE), *range(-EDGE, 0)]] = False
    return np.asarray(missed, np.float32), np.asarray(known, np.bool_)


def _mean(values: NDArray[np.float32], where: Mask) -> float:
    return float(values[where].mean()) if np.count_nonzero(where) >= LEAST_PIXELS else float("nan")


def eye_openness(crops: NDArray[np.uint8], seen: NDArray[np.bool_]) -> Floats:
    """(n,) edges across by edges along the eyes: an open eye has the sides of its iris, a closed one its lid's line.

    About 0.3 (closed) to 1; it also falls with blur, and differs from face to face. NaN where the face was lost.
    The mesh cannot tell this: its lids hardly close with the eyes.
    """
    out = np.full(len(crops), np.nan)
    for i in np.flatnonzero(seen):
        grey = cv2.GaussianBlur(cv2.cvtColor(crops[i], cv2.COLOR_RGB2GRAY), (0, 0), _EYE_BLUR)
        across, along = (np.abs(cv2.Sobel(grey, cv2.CV_32F, dx, 1 - dx)) for dx in (1, 0))
        parts = [np.s_[y - _EYE_HIGH : y + _EYE_HIGH, x - _EYE_WIDE : x + _EYE_WIDE] for x, y in _EYES]
        out[i] = np.mean([across[part].sum() / (along[part].sum() + 1.0) for part in parts])
    return out


def against(part: Floats, around: Floats) -> Floats:
    """(n,) log2 of the change in a part of the face against its surroundings; 1 is twice as much."""
    return np.asarray(np.log2((part + FLOOR) / (around + FLOOR)), np.float64)


def without_rhythm(values: Floats, types: NDArray[np.str_]) -> Floats:
    """(n,) values less what is usual for their kind of coded picture (I, P, B): key frames renew the picture."""
    out = values.copy()
    usual = float(np.nanmedian(values)) if np.isfinite(values).any() else 0.0
    for kind in np.unique(types):
        of_kind = types == kind
        if np.count_nonzero(np.isfinite(values[of_kind])) >= 3:
            out[of_kind] -= float(np.nanmedian(values[of_kind])) - usual
        elif kind == "I":
            out[of_kind] = np.nan
    return out
