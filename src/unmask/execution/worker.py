"""The helper process: it forks one limited child a job. Run by `unmask.execution.processes`, not by people.

Jobs come as JSON lines on stdin, messages go as JSON lines to stdout. This process imports, forks and
waits; only its children open a subject. When stdin closes (the parent is gone), it ends, and its child and
temporary folder with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from unmask.execution import work
from unmask.execution.contract import Job
from unmask.execution.processes import MEMORY_STATUS
from unmask.models.runtime import Preparation
from unmask.models.uses import used
from unmask.options import Limits

MAX_FILE_BYTES = 4 * 1024**3
MAX_OPEN_FILES = 256


def main() -> int:
    """Serve jobs until stdin closes."""
    out = os.dup(1)
    # Nothing a library prints may get between the messages.
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    jobs = os.dup(0)
    os.dup2(null, 0)
    _prepare_libraries()
    preparation = Preparation()
    buffer = b""
    while True:
        while b"\n" not in buffer:
            chunk = os.read(jobs, 1 << 16)
            if not chunk:
                return 0
            buffer += chunk
        line, _, buffer = buffer.partition(b"\n")
        job = Job.model_validate(json.loads(line))
        preparation.collect()
        work.preload_for(job.path)
        if not serve(job, jobs, out, preparation):
            return 0
        preparation.begin(close=(jobs, out))


def serve(job: Job, jobs: int, out: int, preparation: Preparation) -> bool:
    """Run one job in a child; False when the parent has gone meanwhile."""
    folder = tempfile.mkdtemp(prefix="unmask-")
    alive, end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(alive)
        _child(job, folder, jobs, out, preparation)
    os.close(end)
    try:
        timed_out, parent_gone = _wait(alive, jobs, job.options.limits.wall_seconds)
        if timed_out or parent_gone:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    finally:
        os.close(alive)
        shutil.rmtree(folder, ignore_errors=True)
    if parent_gone:
        return False
    message = {
        "type": "end",
        "timed_out": timed_out,
        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
        "status": os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0,
    }
    # The newline first closes a sentence that a dying child left unfinished.
    _write(out, b"\n" + json.dumps(message).encode("ascii") + b"\n")
    return True


def _wait(alive: int, jobs: int, seconds: float) -> tuple[bool, bool]:
    """Wait for the child's end of the pipe to close: (timed out, parent gone)."""
    deadline = time.monotonic() + seconds
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return True, False
        ready, _, _ = select.select([alive, jobs], [], [], left)
        if alive in ready:
            return False, False
        if jobs in ready:
            # The parent sends nothing while a job runs: readable means closed.
            return False, True


def _child(job: Job, folder: str, jobs: int, out: int, preparation: Preparation) -> None:
    """Examine under limits and leave without running the parent's exit handlers."""
    status = 1
    try:
        os.close(jobs)
        preparation.leave()
        os.environ["TMPDIR"] = folder
        tempfile.tempdir = folder
        set_limits(job.options.limits)
        work.examine(job, lambda message: _write(out, _line(message)), thrifty=True)
        preparation.mark(f"{model.id}-{model.version}" for model in used())
        status = 0
    except MemoryError:
        status = MEMORY_STATUS
    except Exception as error:
        work.debug(error)
    finally:
        os._exit(status)


def set_limits(limits: Limits) -> None:
    """Limit this process: memory (on top of what is mapped already), processor time, files, core dumps."""
    megabyte = 1024**2
    with contextlib.suppress(ValueError, OSError):
        top = _mapped_bytes() + limits.memory_mb * megabyte
        resource.setrlimit(resource.RLIMIT_AS, (top, top))
    for name, soft, hard in (
        # SIGXCPU at the soft limit tells the reason; the hard one is for a child that ignores it.
        ("RLIMIT_CPU", limits.cpu_seconds, limits.cpu_seconds + 5),
        ("RLIMIT_FSIZE", MAX_FILE_BYTES, MAX_FILE_BYTES),
        ("RLIMIT_CORE", 0, 0),
        ("RLIMIT_NOFILE", MAX_OPEN_FILES, MAX_OPEN_FILES),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(getattr(resource, name), (soft, hard))
    with contextlib.suppress(OSError):
        # Should the machine run out of memory all the same, this process goes first.
        Path("/proc/self/oom_score_adj").write_text("1000")


def _mapped_bytes() -> int:
    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        return pages * resource.getpagesize()
    return 4 * 1024**3


def _prepare_libraries() -> None:
    work.preload()
    with contextlib.suppress(ImportError, ValueError):
        import cv2

        cv2.setNumThreads(int(os.environ.get("UNMASK_WORKER_THREADS", "1")))


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode("ascii") + b"\n"


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


if __name__ == "__main__":
    sys.exit(main())
