"""How it is measured: whole processes by the clock, and the memory of a process with all its children."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
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
    each; ``pss``: MB, shared pages counted once, sampled less often. ``cpu``: seconds of processor time of the
    command and its workers. ``others``: share (0..1) of the processors that other work took meanwhile.
    """

    seconds: float
    rss: float
    pss: float
    cpu: float
    others: float


class Share:
    """How much of the machine others took since this was made, from the kernel's own account (Linux; else 0)."""

    def __init__(self) -> None:
        self._started, self._busy = time.perf_counter(), machine_busy()

    def others(self, own: float) -> float:
        """0..1, where ``own`` seconds of processor time were ours."""
        have = (time.perf_counter() - self._started) * (os.cpu_count() or 1)
        return min(1.0, max(0.0, (machine_busy() - self._busy - own) / have))


def machine_busy() -> float:
    """Processor seconds that all cores have spent on anything but idling and waiting since the start."""
    with contextlib.suppress(OSError, ValueError):
        user, nice, system, _, _, irq, soft, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
        return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")
    return 0.0


def processor_seconds(root: int) -> float:
    """Processor time of the processes below ``root``, with that of their own children that have ended (Linux)."""
    total = 0.0
    for pid in descendants(root)[1:]:
        with contextlib.suppress(OSError, IndexError, ValueError):
            # The name in brackets may hold blanks; user, system and the same of waited-for children come 12th after.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return total


def reaped() -> float:
    """Processor seconds of all children of this process that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


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
    return told(command, cores)[0]


def told(
    command: Sequence[str], cores: set[int] | None = None, environment: dict[str, str] | None = None
) -> tuple[Cost, str]:
    """`process`, with what the command wrote to stdout."""
    before = os.sched_getaffinity(0)
    try:
        # A child inherits the cores of the thread that starts it.
        os.sched_setaffinity(0, cores or before)
        share, used, started = Share(), reaped(), time.perf_counter()
        pipe = subprocess.PIPE
        child = subprocess.Popen(command, stdout=pipe, stderr=pipe, env={**os.environ, **(environment or {})})
    finally:
        os.sched_setaffinity(0, before)
    with MemoryWatch(child.pid) as memory:
        out, errors = child.communicate()
    seconds, cpu = time.perf_counter() - started, reaped() - used
    if child.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}: {errors.decode(errors='replace')}")
    return Cost(seconds, memory.rss, memory.pss, cpu, share.others(cpu)), out.decode()


def median(costs: Sequence[Cost]) -> Cost:
    """Median times and share of others, largest memory."""
    seconds, cpu, others = (statistics.median(getattr(c, name) for c in costs) for name in ("seconds", "cpu", "others"))
    return Cost(seconds, max(c.rss for c in costs), max(c.pss for c in costs), cpu, others)


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
