"""Recorded stretches examined as films, one at a time, in a process of low priority."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections import deque
from pathlib import Path

from unmask.live.events import Recorded
from unmask.report import Label, Reason

# The command line in a process that gives way to everything else.
_RUN = (
    "import contextlib, os, sys\n"
    "with contextlib.suppress(AttributeError, OSError): os.nice(15)\n"
    "from unmask.cli.main import run_app\n"
    "sys.exit(run_app(sys.argv[1:]))"
)


class Reports:
    """A queue of files to examine; each gets ``FILE.json`` beside it and an HTML page in the same folder."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Path, float]] = deque()
        self._running: tuple[subprocess.Popen[bytes], Path, float] | None = None

    def add(self, file: Path, time: float) -> None:
        """Examine ``file`` once those before it are done."""
        self._waiting.append((file, time))

    @property
    def open(self) -> int:
        """Files that are not done yet."""
        return len(self._waiting) + (self._running is not None)

    def step(self) -> list[Recorded]:
        """Start what can be started; the events of reports that are ready."""
        out: list[Recorded] = []
        if self._running is not None and self._running[0].poll() is not None:
            _, file, time = self._running
            self._running = None
            out.append(_result(file, time))
        if self._running is None and self._waiting:
            self._start(*self._waiting.popleft())
        return out

    def _start(self, file: Path, time: float) -> None:
        arguments = ["scan", "--json", "--workers", "1", "--html", str(file.parent), str(file)]
        with contextlib.suppress(OSError), file.with_suffix(".json").open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-c", _RUN, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._running = process, file, time

    def wait(self, seconds: float) -> None:
        """Wait for the one that runs, at most ``seconds``."""
        if self._running is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._running[0].wait(seconds)

    def close(self) -> None:
        """Give up what is not done."""
        self._waiting.clear()
        if self._running is not None:
            self._running[0].terminate()
            self._running[0].wait()
            self._running = None


def _result(file: Path, time: float) -> Recorded:
    path = file.with_suffix(".json")
    label: Label | None = None
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        label = json.loads(path.read_text("utf-8"))["verdict"]["label"]
    if label is None:
        text = f"{file.name} was recorded but could not be examined: run `unmask scan` on it."
        return Recorded(time=time, file=str(file), reason=Reason(code="live.report_failed", text=text))
    return Recorded(time=time, file=str(file), report=str(path), label=label)
