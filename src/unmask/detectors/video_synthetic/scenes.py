"""Which frames of a film are looked at, scene by scene, and what the looks say of the film together.

First looks lie evenly over the film, and one lies in each further scene as long as there is room. Scenes that lean to
generated are then looked at again: no scene is told from fewer than three frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unmask.films.plan import Indexes, cuts, spread
from unmask.media.video import SmallFrames


@dataclass(frozen=True)
class Scene:
    """Frames between two cuts. ``first``..``last``: indexes of frames, both inside; ``start``, ``end``: seconds."""

    first: int
    last: int
    start: float
    end: float

    def holds(self, index: int) -> bool:
        """Whether the frame is in this scene."""
        return self.first <= index <= self.last


@dataclass(frozen=True)
class Told:
    """What the looks say. ``raw``: log-odds of the film; ``whole``: the median of the even looks; ``scenes``: those
    with enough looks, with their median; ``asked``: how many scenes had a look.
    """

    raw: float
    whole: float
    scenes: tuple[tuple[Scene, float], ...]
    asked: int


def scenes(small: SmallFrames) -> list[Scene]:
    """The film's scenes in order; one where there is no cut."""
    n = len(small.times)
    firsts = [0, *(int(i) for i in cuts(small))]
    ends = [*firsts[1:], n]
    times = small.times
    last = float(times[-1]) + (float(np.median(np.diff(times))) if n > 1 else 0.0)
    return [
        Scene(a, b - 1, float(times[a]), float(times[b]) if b < n else last)
        for a, b in zip(firsts, ends, strict=True)
        if b > a
    ]


def first_looks(small: SmallFrames, parts: Sequence[Scene], even: int, most: int) -> tuple[Indexes, Indexes]:
    """Indexes of ``even`` looks spread over the film, and of at most ``most - even`` in scenes without one.

    The longest of these scenes come first; a look lies in a scene's middle.
    """
    spreaded = spread(small, even)
    unseen = [part for part in parts if not any(part.holds(int(i)) for i in spreaded)]
    longest = sorted(unseen, key=lambda part: part.first - part.last)[: max(0, most - len(spreaded))]
    middles = sorted((part.first + part.last) // 2 for part in longest)
    return spreaded, np.asarray([i for i in middles if not small.corrupt[i]], np.int64)


def further_looks(
    small: SmallFrames, parts: Sequence[Scene], looks: Mapping[int, float], above: float, least: int, room: int
) -> Indexes:
    """Indexes of looks that bring scenes whose median is at least ``above`` to ``least`` looks each.

    The highest scenes come first, ``room`` looks are the most. A film of one scene has its looks already.
    """
    if len(parts) < 2:
        return np.zeros(0, np.int64)
    leaning = []
    for part in parts:
        said = [raw for i, raw in looks.items() if part.holds(i)]
        if said and len(said) < least and float(np.median(said)) >= above:
            leaning.append((float(np.median(said)), part, len(said)))
    out: list[int] = []
    for _, part, count in sorted(leaning, key=lambda one: (-one[0], one[1].first)):
        free = [i for i in range(part.first, part.last + 1) if i not in looks and not small.corrupt[i]]
        wanted = least - count
        if len(free) >= wanted and len(out) + wanted <= room:
            out += [free[int((k + 0.5) / wanted * len(free))] for k in range(wanted)]
    return np.asarray(sorted(out), np.int64)


def told(parts: Sequence[Scene], looks: Mapping[int, float], even: Sequence[int], least: int, slope: float) -> Told:
    """What the looks say of the film: the median of the even ones, or more where one scene stands out.

    The highest of n bona fide scenes exceeds a level about n times as often as one does, so ``slope`` is taken off for
    each factor e of scenes and the whole (Bonferroni; ``slope`` is over what raw difference that share falls by e).
    """
    whole = float(np.median([looks[i] for i in even if i in looks]))
    said = [(part, [raw for i, raw in looks.items() if part.holds(i)]) for part in parts]
    asked = sum(bool(one) for _, one in said)
    known = tuple((part, float(np.median(one))) for part, one in said if len(one) >= least)
    if asked < 2 or not known:
        return Told(whole, whole, known, asked)
    best = max(score for _, score in known) - slope * float(np.log(asked + 1))
    return Told(max(whole, best), whole, known, asked)
