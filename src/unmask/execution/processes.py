"""Examinations in disposable processes.

A `Slot` keeps one helper process (`unmask.execution.worker`) that has imported the readers and detectors and
never touches a subject; for each job it forks a child with limits on memory and time, which decodes,
examines, and is gone. A crash, a hang or a bomb ends the child only: what it had found so far is kept, the
detectors that were running get a ``failed`` finding with the reason, and a fresh child goes on with the rest.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import IO, Any

from unmask.card import find_cards
from unmask.execution.contract import READER, Examination, Job, reader_finding
from unmask.execution.keeping import Keeper
from unmask.report import Finding, SubjectInfo

MAX_MESSAGE_BYTES = 64 * 1024**2
MAX_HANGS = 2
MEMORY_STATUS = 77  # how a child says that it ran into its memory limit
_GRACE_SECONDS = 5.0
_LOST = "worker.lost", "The examining process was lost. Try again; if it repeats, report it."


class ProcessExecutor:
    """``slots`` children at a time; `examine` may be called from as many threads."""

    def __init__(self, slots: int = 1, threads: int = 1, keeper: Keeper | None = None) -> None:
        self._keeper = keeper or Keeper(slots, slots * threads)
        self._slots = [Slot(threads, self._keeper) for _ in range(slots)]
        self._free: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        for slot in self._slots:
            self._free.put(slot)
        self._cards = {card.id: card for card in find_cards()}

    def examine(self, job: Job) -> Examination:
        """Examine one subject in a free slot, waiting for one if need be."""
        slot = self._free.get()
        try:
            return self._examine(slot, job)
        finally:
            self._free.put(slot)

    def close(self) -> None:
        """End all processes."""
        for slot in self._slots:
            slot.close()
        self._keeper.close()

    def _examine(self, slot: Slot, job: Job) -> Examination:
        """Run, and where a child dies run again without the detector that killed it."""
        result = Examination(SubjectInfo(name=job.name))
        hangs = 0
        code, text = _LOST
        afterwards = False
        for _ in range(2 * len(self._cards) + 2):
            end = slot.run(job, result)
            if end is None:
                return result
            code, text = end
            hangs += code == "limit.wall"
            if result.answered:
                # Only the preview or a fact of origin is missing: worth another try, but not many.
                if afterwards or hangs:
                    return result
                afterwards = True
            job = self._without_culprit(job, result, code, text)
            if not result.plan or hangs >= MAX_HANGS or slot.closed:
                break
        self._give_up(result, code, text)
        return result

    def _without_culprit(self, job: Job, result: Examination, code: str, text: str) -> Job:
        suspects, result.running = sorted(result.running), set()
        if len(suspects) > 1 and job.threads > 1:
            # Several ran at once: run them one by one, so that only the guilty one is blamed.
            return job.model_copy(update={"threads": 1, "done": tuple(result.findings)})
        for detector in suspects:
            result.findings[detector] = self._failed(detector, code, text)
        return job.model_copy(update={"done": tuple(result.findings)})

    def _give_up(self, result: Examination, code: str, text: str) -> None:
        if not result.plan:
            result.findings[READER] = reader_finding(code, text)
        for detector in result.plan:
            result.findings.setdefault(detector, self._failed(detector, code, text))

    def _failed(self, detector: str, code: str, text: str) -> Finding:
        return self._cards[detector].failed(code, text)


class Slot:
    """One helper process and its pipes; restarted when it is lost."""

    def __init__(self, threads: int = 1, keeper: Keeper | None = None) -> None:
        self._threads = threads
        self._keeper = keeper
        self.closed = False
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def run(self, job: Job, result: Examination) -> tuple[str, str] | None:
        """Run one child; None when it ended well, else the reason's code and text."""
        process = self._started()
        if process is None:
            return _LOST
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None and stdout is not None
        try:
            stdin.write(json.dumps(job.model_dump(mode="json")).encode("ascii") + b"\n")
            stdin.flush()
            for message in _messages(stdout):
                if message["type"] == "end":
                    return _explain(message, job)
                result.take(message)
        except (OSError, ValueError, KeyError, TypeError):
            pass
        self._end()
        return _LOST

    def close(self) -> None:
        """End the helper process for good; its child dies with it."""
        self.closed = True
        self._end()

    def _end(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _started(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self.closed:
                return None  # a thread that is still at work must not bring the process back
            if self._process is None or self._process.poll() is not None:
                self._process = _start(self._threads, self._keeper)
            return self._process

    def start(self) -> None:
        """Start the helper process ahead of the first job."""
        self._started()


def _start(threads: int, keeper: Keeper | None) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        **(keeper.environment if keeper else {}),
        # Detectors run side by side; BLAS threads of their own would only fight over the same cores.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "UNMASK_WORKER_THREADS": str(threads),
        # glibc reserves 64 MB of address space for each thread that allocates, which counts against our limit.
        "MALLOC_ARENA_MAX": "2",
    }
    errors: int | None = None if os.environ.get("UNMASK_DEBUG") else subprocess.DEVNULL
    return subprocess.Popen(
        [sys.executable, "-m", "unmask.execution.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=environment,
        pass_fds=(keeper.descriptor,) if keeper else (),
        # Ctrl-C in the terminal is for the parent, which ends the helper by closing its pipe.
        start_new_session=True,
    )


def _messages(stream: IO[bytes]) -> Iterator[dict[str, Any]]:
    while line := stream.readline(MAX_MESSAGE_BYTES):
        if len(line) >= MAX_MESSAGE_BYTES:
            raise ValueError("message too long")
        if line.strip():
            try:
                message = json.loads(line)
            except ValueError:
                continue  # a child that died in mid-sentence
            yield message


def _explain(message: dict[str, Any], job: Job) -> tuple[str, str] | None:
    """The reason for a child's end, in words; None for a good end."""
    limits = job.options.limits
    if message.get("timed_out"):
        return (
            "limit.wall",
            f"The examination took longer than {limits.wall_seconds:g} s and was stopped: raise --max-seconds.",
        )
    number, status = int(message.get("signal", 0)), int(message.get("status", 0))
    if number == signal.SIGXCPU:
        return (
            "limit.cpu",
            f"The examination used more than {limits.cpu_seconds} s of processor time: raise --max-cpu-seconds.",
        )
    if status == MEMORY_STATUS or number == signal.SIGKILL:
        return "limit.memory", f"The examination needed more than {limits.memory_mb} MB: raise --memory."
    if number:
        name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
        return "worker.crashed", f"The examining process crashed ({name}) on this file: please report it."
    return (
        ("worker.crashed", f"The examining process ended with status {status}: please report it.") if status else None
    )
