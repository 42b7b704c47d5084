"""Everything that one face shows over time, as curves, and the stretches in which it is unlike the rest of itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unmask.detectors.video_temporal import shape, texture
from unmask.detectors.video_temporal.points import placed, regions
from unmask.films.closeup import CloseLook
from unmask.media.video import SmallFrames

Floats = NDArray[np.float64]

GAP = 1.7
"""Steps of time, in usual ones, from which a frame no longer follows the one before."""

_USUAL = (0.1, 0.4)


@dataclass(frozen=True, eq=False)
class Traces:
    """One face through one stretch, (n,) each, NaN where not to be told.

    ``skin``, ``seam``: log2 of the change that motion does not explain, inside the face and along its outline, against
    its surroundings; the rhythm of key frames is taken out. ``inner``, ``outline``: trembling of the mesh in
    thousandths of the aligned picture's side. ``eyes``: `texture.eye_openness`; ``mouth``: opening, height by width.
    ``around``: grey levels of unexplained change in the surroundings.
    """

    track: int
    times: Floats
    skin: Floats
    seam: Floats
    around: Floats
    inner: Floats
    outline: Floats
    eyes: Floats
    mouth: Floats

    @property
    def seconds(self) -> float:
        """Time in which the face was followed."""
        seen = np.isfinite(self.eyes)
        return float(seen.mean() * (self.times[-1] - self.times[0])) if seen.any() else 0.0


def traces_of(look: CloseLook, small: SmallFrames, p: dict[str, float]) -> Traces | None:
    """The curves of one look; None where the face was seen in too few frames that follow each other."""
    follows = following(look)
    if np.count_nonzero(follows) < p["least_frames"]:
        return None
    place = placed(look)
    change = texture.unexplained(look.crops, follows, regions(place))
    if np.count_nonzero(np.isfinite(change[:, [0, 2]]).all(axis=1)) < p["least_frames"]:
        return None  # the face fills the picture, or hardly any of it is in the picture
    types = types_at(small, look.times)
    inner, outline = shape.trembling(place, follows)
    return Traces(
        track=look.track,
        times=look.times,
        skin=texture.without_rhythm(texture.against(change[:, 0], change[:, 2]), types),
        seam=texture.without_rhythm(texture.against(change[:, 1], change[:, 2]), types),
        around=change[:, 2],
        inner=inner,
        outline=outline,
        eyes=texture.eye_openness(look.crops, look.seen),
        mouth=shape.mouth_opening(place),
    )


def following(look: CloseLook) -> NDArray[np.bool_]:
    """(n,) frames that come right after the one before, the face seen in both."""
    out = look.seen.copy()
    out[0] = False
    steps = np.diff(look.times)
    out[1:] &= look.seen[:-1] & (steps < GAP * np.median(steps))
    return out


def types_at(small: SmallFrames, times: Floats) -> NDArray[np.str_]:
    """(n,) I, P or B of the frames at these times; ``?`` where the thumbnails end before."""
    if not len(small.times):
        return np.full(len(times), "?")
    right = np.clip(np.searchsorted(small.times, times), 1, max(1, len(small.times) - 1))
    left = right - 1
    right = np.minimum(right, len(small.times) - 1)
    nearest = np.where(np.abs(small.times[left] - times) <= np.abs(small.times[right] - times), left, right)
    return np.where(np.abs(small.times[nearest] - times) < 0.1, small.types[nearest], "?")


def unusual(values: Floats, times: Floats, p: dict[str, float]) -> Iterator[tuple[float, float, float]]:
    """(start, end, mean excess) of stretches of at least ``stretch_seconds`` in which the smoothed curve is above what
    is usual for it by ``unusual_spread`` of its usual spreads and by ``unusual_rise``.

    Usual is its lower half (40 % lie below; the spread is from there to the lowest tenth), so that a face which was
    changed for a third of the time still stands out.
    """
    smooth = rolling_median(values, times, p["stretch_seconds"])
    known = np.isfinite(smooth)
    if np.count_nonzero(known) < p["least_frames"]:
        return
    low, middle = (float(v) for v in np.quantile(smooth[known], _USUAL))
    spread = middle - low
    level = max(p["unusual_rise"], p["unusual_spread"] * spread)
    flags = np.concatenate([[False], np.nan_to_num(smooth, nan=-np.inf) - middle >= level, [False]])
    edges = np.flatnonzero(flags[1:] != flags[:-1]).reshape(-1, 2)
    for first, after in edges:
        start, end = float(times[first]), float(times[after - 1])
        if end - start >= p["stretch_seconds"]:
            yield start, end, float(np.nanmean(smooth[first:after]) - middle)


def rolling_median(values: Floats, times: Floats, seconds: float) -> Floats:
    """(n,) median of what lies within half of ``seconds`` on either side; NaN where less than half of it is known."""
    low = np.searchsorted(times, times - seconds / 2)
    high = np.searchsorted(times, times + seconds / 2, side="right")
    out = np.full(len(values), np.nan)
    for i, (a, b) in enumerate(zip(low, high, strict=True)):
        part = values[a:b][np.isfinite(values[a:b])]
        if 2 * part.size >= b - a:
            out[i] = np.median(part)
    return out
