"""How it is measured: whole processes by the clock, and the memory of a process with all its children."""

from __future__ import annotations

import contextlib
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_SECONDS = 0.01
# Shares are exact but dear to read, so they are read less often.
SHARES_EVERY = 8


@dataclass(frozen=True)
class Cost:
    """``seconds`` by the clock. ``rss``: MB, resident pages summed over the processes, those they share counted for
    each; ``pss``: MB, shared pages counted once, sampled less often.
    """

    seconds: float
    rss: float
    pss: float


class MemoryWatch:
    """The largest memory of a process and its descendants while the block runs (Linux)."""

    def __init__(self, root: int) -> None:
        self.root, self.rss, self.pss = root, 0.0, 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        count = 0
        while not self._stop.wait(SAMPLE_SECONDS):
            family = descendants(self.root)
            self.rss = max(self.rss, sum(map(resident, family)))
            if count % SHARES_EVERY == 0:
                self.pss = max(self.pss, sum(map(share, family)))
            count += 1


def descendants(root: int) -> list[int]:
    """A process and all below it."""
    found = [root]
    for pid in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(OSError):
                    found.extend(map(int, (task / "children").read_text().split()))
    return found


def resident(pid: int) -> float:
    """MB of resident pages."""
    with contextlib.suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return 0.0


def share(pid: int) -> float:
    """MB of resident pages, those shared between processes divided among them."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1e3
    return 0.0


def process(command: Sequence[str], cores: set[int] | None = None) -> Cost:
    """Run a command to its end. Raises `RuntimeError` with what it said where it fails."""
    before = os.sched_getaffinity(0)
    try:
        # A child inherits the cores of the thread that starts it.
        os.sched_setaffinity(0, cores or before)
        started = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    finally:
        os.sched_setaffinity(0, before)
    with MemoryWatch(child.pid) as memory:
        _, errors = child.communicate()
    seconds = time.perf_counter() - started
    if child.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}: {errors.decode(errors='replace')}")
    return Cost(seconds, memory.rss, memory.pss)


def median(costs: Sequence[Cost]) -> Cost:
    """Median time, largest memory."""
    return Cost(statistics.median(c.seconds for c in costs), max(c.rss for c in costs), max(c.pss for c in costs))


def repeated(times: int, run: Callable[[], Cost]) -> Cost:
    """The median of so many runs."""
    return median([run() for _ in range(times)])


def machine() -> list[str]:
    """Lines that describe this machine."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    return [
        f"{model}, {cores} cores; {platform.system()} {platform.release()}; Python {platform.python_version()}",
        f"load of the machine before the first run: {load:.1f} (other work on it makes every figure larger)",
    ]


def say(text: str) -> None:
    """A line of progress."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
