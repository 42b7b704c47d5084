"""Scores over time: windows that do not overlap, how many in a row count, and what is shown meanwhile. Pure numbers.

A long stream holds many windows, and each may be a false alarm. So a question is only believed once it says the same
in several windows in a row, and it then counts with the lowest of them. Were windows independent, ``k`` in a row would
be false alarms with probability ``p ** k``; `needed` lets ``k`` grow with the number of windows so that the chances of
all of them together stay about ``p``, for streams of days. Windows of one face are far from independent: what deceives
a network about a person does so all the time. Then the stream counts as one film, whose rate is ``p``. The truth lies
between, so a stream of any length keeps about the false-alarm rate of one film.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

MOST_KEYS = 64
"""Keys (faces) that one window tells apart; more are left out."""

MOST_MOMENTS = 4096
MOST_KEPT = 16

Combine = Callable[[Mapping[int, Sequence[float]]], float | None]


@dataclass(frozen=True)
class Window:
    """A closed window. ``raw``: its answer, None where too few moments were clear; ``start``/``end``: seconds."""

    start: float
    end: float
    raw: float | None
    moments: int


def needed(passed: int, in_a_row: int, first: int, rate: float) -> int:
    """Windows in a row that a label needs once ``passed`` windows have passed.

    ``in_a_row`` up to ``first`` windows, one more for each factor ``1 / rate`` of them: each stage then adds at most
    ``first * rate ** in_a_row`` to the chance of a false alarm, were windows independent. With 3, 150 and .05 that is
    .019 a stage: .038 in a day of windows of 10 s, .055 in a week.
    """
    if passed <= first:
        return in_a_row
    return in_a_row + math.ceil(math.log(passed / first) / math.log(1.0 / rate) - 1e-9)


@dataclass
class Question:
    """One question's windows.

    Args:
        seconds: length of a window.
        combine: the answer of a window from the moments of each key; None where there are too few.
        forget_after: unclear windows in a row that make older ones too old.
    """

    seconds: float
    combine: Combine
    forget_after: int
    start: float | None = None
    passed: int = 0
    clear: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_KEPT))
    last: Window | None = None
    _unclear: int = 0
    _moments: dict[int, list[float]] = field(default_factory=dict)
    _count: int = 0

    def add(self, time: float, key: int, score: float) -> None:
        """A clear moment: ``key`` tells faces apart, ``score`` is raw."""
        if self.start is None:
            self.start = time
        if self._count >= MOST_MOMENTS or (key not in self._moments and len(self._moments) >= MOST_KEYS):
            return
        self._moments.setdefault(key, []).append(score)
        self._count += 1

    def close(self, time: float) -> Window | None:
        """The window that ends now, if one does."""
        if self.start is None or time < self.start + self.seconds:
            return None
        raw = self.combine(self._moments)
        window = Window(self.start, time, raw, self._count)
        self._moments, self._count = {}, 0
        # Without a clear moment the next window begins with the next one.
        self.start = time if raw is not None else None
        self._take(raw)
        self.last = window
        return window

    def _take(self, raw: float | None) -> None:
        if raw is None:
            self._unclear += 1
            if self._unclear >= self.forget_after:
                self.clear.clear()
            return
        self._unclear = 0
        self.passed += 1
        self.clear.append(raw)

    def held(self, count: int) -> float | None:
        """The lowest of the last ``count`` clear windows; None while there are fewer."""
        count = min(count, MOST_KEPT)
        return min(list(self.clear)[-count:]) if len(self.clear) >= count else None

    @property
    def moments(self) -> int:
        """Moments in the window that is open."""
        return self._count


class Recent:
    """The moments of the last ``seconds`` of one face, for display. Bounded."""

    def __init__(self, seconds: float, most: int = 256) -> None:
        self.seconds = seconds
        self._kept: deque[tuple[float, float]] = deque(maxlen=most)

    def add(self, time: float, score: float) -> None:
        """A clear moment."""
        self._kept.append((time, score))

    def values(self, now: float) -> list[float]:
        """Scores of the last ``seconds``."""
        while self._kept and self._kept[0][0] < now - self.seconds:
            self._kept.popleft()
        return [score for _, score in self._kept]
