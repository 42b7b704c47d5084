"""Near-duplicates: a perceptual hash of pictures, and groups of files that must not be torn apart."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 64
LOW = 16
BITS = LOW * LOW
NEAR = 40  # of 256 bits; unrelated pictures differ in about 128
FLATTEST = 2.0  # standard deviation in grey levels below which a picture has nothing to hash
_CHUNK = 256


def perceptual_hash(rgb: NDArray[np.uint8]) -> str:
    """64 hex digits from the signs of the 16 x 16 lowest frequencies of a 64 x 64 grey copy; empty for a blank picture.

    Recompressed, resized and slightly edited copies differ in few bits, unrelated pictures in about half (after
    C. Zauner: Implementation and Benchmarking of Perceptual Image Hash Functions, 2010).

    Args:
        rgb: (h, w, 3) uint8.
    """
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    if small.std() < FLATTEST:
        return ""
    low = cv2.dct(small)[:LOW, :LOW].ravel()
    low[0] = 0.0  # brightness
    return np.packbits(low > np.median(low)).tobytes().hex()


def near_pairs(hashes: Sequence[str], most: int = NEAR) -> list[tuple[int, int]]:
    """Pairs (i, j), i < j, of hashes that differ in at most ``most`` bits; empty hashes pair with nothing."""
    where = np.asarray([i for i, value in enumerate(hashes) if value], np.int64)
    if where.size < 2:
        return []
    words = np.stack([np.frombuffer(bytes.fromhex(hashes[i]), np.uint64) for i in where])
    found: list[tuple[int, int]] = []
    for start in range(0, len(words), _CHUNK):
        part = words[start : start + _CHUNK]
        far = np.bitwise_count(part[:, None] ^ words[None]).sum(2)
        found += [(int(where[start + i]), int(where[j])) for i, j in np.argwhere(far <= most) if start + i < j]
    return found


class Groups:
    """Sets that grow together (union-find)."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def join(self, a: int, b: int) -> None:
        """``a`` and ``b`` are in one group from now on."""
        a, b = self.of(a), self.of(b)
        self._parent[max(a, b)] = min(a, b)

    def join_equal(self, keys: Iterable[Hashable]) -> None:
        """Members with an equal key, in their order, are in one group; an empty key joins nothing."""
        first: dict[Hashable, int] = {}
        for i, key in enumerate(keys):
            if key:
                self.join(i, first.setdefault(key, i))

    def of(self, a: int) -> int:
        """The group's smallest member."""
        while self._parent[a] != a:
            self._parent[a] = self._parent[self._parent[a]]
            a = self._parent[a]
        return a
