"""Batches made in another process while the network learns from those before."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

_draw: Callable[[int], Any] | None = None


class Ahead:
    """Step -> ``draw(step)``, the next ``depth`` steps being made meanwhile by one more process.

    ``draw`` must be a pure function of the step, so that the answers are those of ``draw`` itself, and should return
    arrays, not tensors. What it raises, the call raises. Without fork (Windows, macOS) it is called in place.
    """

    def __init__(self, draw: Callable[[int], Any], depth: int = 6) -> None:
        self._draw, self._depth = draw, depth
        self._waiting: dict[int, Future[Any]] = {}
        self._pool: ProcessPoolExecutor | None = None
        if "fork" in multiprocessing.get_all_start_methods():
            context = multiprocessing.get_context("fork")
            self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_keep, initargs=(draw,))

    def __call__(self, step: int) -> Any:
        """The batch of ``step``; quickest when steps are asked for in order."""
        if self._pool is None:
            return self._draw(step)
        for stale in [s for s in self._waiting if s < step]:
            self._waiting.pop(stale).cancel()
        for s in range(step, step + self._depth):
            if s not in self._waiting:
                self._waiting[s] = self._pool.submit(_made, s)
        return self._waiting.pop(step).result()

    def close(self) -> None:
        """End the other process."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


def _keep(draw: Callable[[int], Any]) -> None:
    global _draw  # noqa: PLW0603 - what the process is for
    _draw = draw


def _made(step: int) -> Any:
    assert _draw is not None
    return _draw(step)
