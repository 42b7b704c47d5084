"""A second thread for questions that take long, so that faces are looked at meanwhile."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from unmask.errors import UnmaskError

T = TypeVar("T")


class Lane(Generic[T]):
    """At most one piece of work of each kind waits or runs; more are refused, not queued.

    Args:
        inline: do the work at once in the caller's thread (``--fast``: the same answers every time).
    """

    def __init__(self, inline: bool = False) -> None:
        self._pool = None if inline else ThreadPoolExecutor(1, thread_name_prefix="unmask-live")
        self._running: dict[str, Future[T | UnmaskError]] = {}
        self._done: deque[tuple[str, T | UnmaskError]] = deque(maxlen=16)
        self.costs: dict[str, float] = {}

    def submit(self, kind: str, work: Callable[[], T]) -> bool:
        """Begin ``work`` unless one of its kind is not done; whether it was taken."""
        if kind in self._running:
            return False
        if self._pool is None:
            self._done.append((kind, self._timed(kind, work)))
        else:
            self._running[kind] = self._pool.submit(self._timed, kind, work)
        return True

    def results(self) -> list[tuple[str, T | UnmaskError]]:
        """What was done since: the answer, or the error that it raised."""
        for kind in [k for k, f in self._running.items() if f.done()]:
            self._done.append((kind, self._running.pop(kind).result()))
        out = list(self._done)
        self._done.clear()
        return out

    def _timed(self, kind: str, work: Callable[[], T]) -> T | UnmaskError:
        begun = time.perf_counter()
        try:
            return work()
        except UnmaskError as error:
            return error
        finally:
            self.costs[kind] = time.perf_counter() - begun

    def close(self) -> None:
        """Let go of what has not begun."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
