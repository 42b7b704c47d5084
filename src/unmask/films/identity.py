"""Which appearances in one film are of one person: likeness of faces, average linkage, and never two at once.

Nothing of it is kept and nobody is named: the numbers of `unmask.faces.embed` are compared within the film and
forgotten. R. R. Sokal, C. D. Michener: A statistical method for evaluating systematic relationships. University of
Kansas Science Bulletin 38, 1958 (average linkage).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unmask.faces.embed import embed

if TYPE_CHECKING:
    from unmask.films.people import FaceTrack, Glimpse

LOOKS = 8
"""So many glimpses of a track are asked for their likeness, the best ones."""

LEAST_SIZE, LEAST_SHARPNESS, MOST_YAW = 32.0, 0.2, 50.0
# Beyond this size a face gains nothing: the network sees it smaller.
ENOUGH = 112.0

JOIN = 0.62
"""Mean distance (0..2) up to which appearances count as one person. Of single pictures of ten people of LFW that the
network was not tuned on, .7 % of the pairs of two people (8 of 1,115) and 48 % of those of one (53 of 110) are as near.
A wrong join hides a face among another's moments, so it is the rarer mistake by choice."""

BRIDGE, BRIDGE_SECONDS = 0.85, 2.0
"""Distance up to which a face that was lost for so many seconds is the same one, if it comes back near by."""

NEAR, ALIKE_SIZE, BLIND_OVERLAP = 1.5, 1.6, 0.3

Floats = NDArray[np.float32]


def quality(seen: Glimpse) -> float:
    """How well a glimpse shows who it is, about 0..1: sharp, large, turned to the camera."""
    turned = abs(seen.face.pose.yaw) / MOST_YAW
    return seen.face.sharpness * min(1.0, seen.size / ENOUGH) * max(0.05, 1 - turned**2 / 2)


def best_looks(glimpses: Sequence[Glimpse]) -> list[Glimpse]:
    """The best glimpses, at most `LOOKS`; none that are too small or too blurred to tell anything."""
    clear = [g for g in glimpses if g.size >= LEAST_SIZE and g.face.sharpness >= LEAST_SHARPNESS]
    return sorted(clear, key=quality, reverse=True)[:LOOKS]


def likeness(track: FaceTrack) -> Floats | None:
    """(128,) mean over the best glimpses, of length 1; None where none is clear enough.

    Raises:
        ModelError: a model cannot be used on this machine.
    """
    looks = best_looks(track.glimpses)
    return mean_likeness([embed(g.rgb, g.face) for g in looks]) if looks else None


def mean_likeness(values: Sequence[Floats]) -> Floats:
    """The mean (128,) of several, of length 1."""
    mean = np.mean(np.stack(values), axis=0)
    return np.asarray(mean / max(1e-6, float(np.linalg.norm(mean))), np.float32)


def bridges(tracks: Sequence[FaceTrack], likenesses: Sequence[Floats | None], cuts: Sequence[float]) -> list[list[int]]:
    """Indexes of ``tracks`` that are one face which was lost for a moment, in the order of time.

    A face goes on where it comes back within `BRIDGE_SECONDS` in the same scene, near by, about as large and alike.
    """
    order = sorted(range(len(tracks)), key=lambda i: (tracks[i].start, tracks[i].number))
    chains: list[list[int]] = []
    for i in order:
        ends = [(_way(tracks, likenesses, chain[-1], i, cuts), chain) for chain in chains]
        open_ = [(way, chain) for way, chain in ends if way is not None]
        if open_:
            min(open_, key=lambda pair: pair[0])[1].append(i)
        else:
            chains.append([i])
    return chains


def _way(
    tracks: Sequence[FaceTrack], likenesses: Sequence[Floats | None], before: int, after: int, cuts: Sequence[float]
) -> float | None:
    """How far track ``after`` is from going on with ``before``; None where it is another face."""
    a, b = tracks[before], tracks[after]
    if not 0 < b.start - a.end <= BRIDGE_SECONDS or any(a.end < cut <= b.start for cut in cuts):
        return None
    (x, y, w, h), (u, v, s, t) = a.boxes[-1], b.boxes[0]
    sizes = (w * h) ** 0.5, (s * t) ** 0.5
    apart = float(np.hypot(x + w / 2 - u - s / 2, y + h / 2 - v - t / 2)) / max(1.0, *sizes)
    if apart > NEAR or max(sizes) > ALIKE_SIZE * min(sizes):
        return None
    one, other = likenesses[before], likenesses[after]
    if one is None or other is None:
        # Too small or blurred to be told from others: only the place speaks.
        shared = max(0.0, min(x + w, u + s) - max(x, u)) * max(0.0, min(y + h, v + t) - max(y, v))
        return apart if shared >= BLIND_OVERLAP * (w * h + s * t - shared) else None
    distance = float(np.linalg.norm(one - other))
    return apart + distance if distance <= BRIDGE else None


def persons(
    spans: Sequence[tuple[float, float]], likenesses: Sequence[Floats | None], join: float = JOIN
) -> list[list[int]]:
    """Appearances of one person each, as indexes, in the order of the first one.

    Args:
        spans: (start, end) in seconds of each appearance. Two that overlap are two people.
        likenesses: (128,) of length 1, or None: an appearance that tells nothing stays alone.
        join: mean distance between two groups up to which they are one person.
    """
    groups = [[i] for i in range(len(spans))]
    distances = _distances(spans, likenesses)
    while len(groups) > 1:
        a, b = sorted(divmod(int(np.argmin(distances)), len(groups)))
        if distances[a, b] > join:
            break
        mine, other = len(groups[a]), len(groups[b])
        # Infinite where any two overlap: that stays so.
        merged = (mine * distances[a] + other * distances[b]) / (mine + other)
        distances[a], distances[:, a] = merged, merged
        distances[a, a] = np.inf
        distances = np.delete(np.delete(distances, b, 0), b, 1)
        groups[a] += groups.pop(b)
    ordered = [sorted(group, key=lambda i: (spans[i], i)) for group in groups]
    return sorted(ordered, key=lambda group: (spans[group[0]], group[0]))


def _distances(spans: Sequence[tuple[float, float]], likenesses: Sequence[Floats | None]) -> NDArray[np.float64]:
    """(n, n) distances, infinite where two cannot be one person."""
    blank = np.zeros(128, np.float32)
    values = np.stack([blank if v is None else v for v in likenesses]) if likenesses else np.zeros((0, 128))
    starts, ends = np.array(spans, np.float64).reshape(-1, 2).T
    out: NDArray[np.float64] = np.linalg.norm(values[:, None] - values[None], axis=2).astype(np.float64)
    out[(starts[:, None] <= ends[None]) & (starts[None] <= ends[:, None])] = np.inf
    silent = np.array([v is None for v in likenesses], np.bool_)
    out[silent] = np.inf
    out[:, silent] = np.inf
    return out
