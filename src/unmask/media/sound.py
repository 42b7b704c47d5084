"""One sound that is read from its beginning as often as it is needed, so that a long one is never held whole.

A short sound is an array, read in one block; a long one is decoded anew for each reading. Both are cut in the same
manner, so that a detector does not see which it is and gives the same numbers.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Wave = NDArray[np.float32]
Span = tuple[int, int]

_PIECE_TENTHS = 100


@dataclass(frozen=True)
class Level:
    """``size``: samples; ``peak``: the largest absolute one; ``mean``: of all; ``power``: (n,) mean square of each
    whole tenth of a second. Full scale is 1; 0 and empty where there is no sound.
    """

    size: int
    peak: float
    mean: float
    power: Wave


class Sound:
    """Mono sound of ``size`` samples at ``rate`` Hz.

    Args:
        rate: samples a second.
        size: samples in all.
        read: gives the samples from the first to the last, in blocks; called for each reading.
        level: where it is known already.
    """

    def __init__(self, rate: int, size: int, read: Callable[[], Iterable[Wave]], level: Level | None = None) -> None:
        self.rate, self.size, self._read, self._level = rate, size, read, level

    @classmethod
    def of(cls, wave: Wave, rate: int) -> Sound:
        """Sound that is held as it is: (samples,)."""
        return cls(rate, wave.size, lambda: (wave,))

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.size / self.rate

    @property
    def level(self) -> Level:
        """How loud it is. Raises as `cuts`."""
        if self._level is None:
            self._level = level_of(self._read(), self.rate)
        return self._level

    def first(self, seconds: float) -> Sound:
        """The first seconds, or the same sound where it is no longer."""
        size = int(seconds * self.rate)
        return self if size >= self.size else Sound(self.rate, size, lambda: _until(self._read(), size))

    def cuts(self, spans: Iterable[Span]) -> Iterator[Wave]:
        """The stretches [first, last), in samples, in one reading; what lies outside of the sound is left out.

        They may overlap, but ``first`` must not fall. They may be views of what others read, too: change a copy.

        Raises:
            DamagedMedia: the sound cannot be decoded.
        """
        return cuts(self._read(), ((max(0, first), min(self.size, last)) for first, last in spans))

    def pieces(self, step: int, before: int = 0, after: int = 0) -> Iterator[Wave]:
        """Consecutive stretches of ``step`` samples, each with so many of its neighbours. Raises as `cuts`."""
        return self.cuts((first - before, first + step + after) for first in range(0, self.size, step))

    def head(self, size: int) -> Wave:
        """(size,) the first samples, or all. Raises as `cuts`."""
        return joined(self._read(), min(self.size, size))


def joined(blocks: Iterable[Wave], size: int) -> Wave:
    """(size,) the first samples of blocks, fewer where there are not so many; a view where one block has them all."""
    out: Wave = np.empty(size, np.float32)
    used = 0
    for block in blocks:
        if not used and block.size >= size:
            return block[:size]
        part = block[: size - used]
        out[used : used + part.size] = part
        used += part.size
        if used == size:
            break
    return out[:used]


def level_of(blocks: Iterable[Wave], rate: int) -> Level:
    """How loud (samples,) in blocks are."""
    tenth = max(1, rate // 10)
    step = _PIECE_TENTHS * tenth
    size, peak, total = 0, 0.0, 0.0
    power: list[Wave] = [np.zeros(0, np.float32)]
    for piece in cuts(blocks, ((first, first + step) for first in itertools.count(0, step))):
        if not piece.size:
            break
        size += piece.size
        peak = max(peak, float(piece.max()), -float(piece.min()))
        total += float(piece.sum(dtype=np.float64))
        parts = piece[: piece.size // tenth * tenth].reshape(-1, tenth)
        # einsum squares and sums without a copy.
        power.append(np.einsum("ij,ij->i", parts, parts) / np.float32(tenth))
    return Level(size, peak, total / max(1, size), np.concatenate(power))


def cuts(blocks: Iterable[Wave], spans: Iterable[Span]) -> Iterator[Wave]:
    """Stretches [first, last) of (…, samples) that come in blocks; ``first`` must not fall.

    No more is held than what reaches from the first sample that is wanted to the end of its last block.
    """
    source = iter(blocks)
    held: deque[Wave] = deque()
    start = end = 0  # what is held reaches from ``start`` to ``end``
    for first, last in spans:
        while end < last:
            while len(held) > 1 and start + held[0].shape[-1] <= first:
                start += held.popleft().shape[-1]
            block = next(source, None)
            if block is None:
                break
            held.append(block)
            end += block.shape[-1]
        yield _cut(held, first - start, last - start)


def _until(blocks: Iterable[Wave], size: int) -> Iterator[Wave]:
    for block in blocks:
        yield block[:size]
        size -= block.size
        if size <= 0:
            return


def _cut(held: Iterable[Wave], first: int, last: int) -> Wave:
    parts: list[Wave] = []
    empty: Wave = np.zeros(0, np.float32)
    at = 0
    for block in held:
        if at < last and at + block.shape[-1] > first:
            parts.append(block[..., max(0, first - at) : last - at])
        empty = block[..., :0]
        at += block.shape[-1]
    if not parts:
        return empty
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)


class Constant:
    """Finds stretches in which all channels hold one and the same value, in blocks of (channels, samples)."""

    def __init__(self) -> None:
        self._last: Wave | None = None
        self._same = 0
        self._at = 0
        self._edges: list[NDArray[np.intp]] = []

    def take(self, block: Wave) -> None:
        """The next block."""
        if not block.shape[1]:
            return
        # The first sample of a block is compared with the last one of the block before.
        joint = block if self._last is None else np.concatenate([self._last, block], axis=1)
        steps = np.all(joint[:, 1:] == joint[:, :-1], axis=0).view(np.int8)
        self._edges.append(self._at + np.flatnonzero(np.diff(steps, prepend=np.int8(self._same))))
        self._same = int(steps[-1]) if steps.size else self._same
        self._at += steps.size
        self._last = block[:, -1:].copy()

    def runs(self, shortest: int) -> list[Span]:
        """[first, last) samples of the stretches that hold more than ``shortest`` samples."""
        edges = np.concatenate([*self._edges, np.full(self._same, self._at)]).astype(np.int64).reshape(-1, 2)
        return [(a, b + 1) for a, b in edges.tolist() if b - a >= shortest]
