"""The keeper: one process that holds the large models for all examinations. Run by `unmask.execution.keeping`.

Each subject is examined in a process of its own that is thrown away, and a model of hundreds of megabytes must not be
compiled in each. The keeper never sees a subject: over sockets that the examining processes hand to it come float32
numbers in the fixed shapes of a model's inputs, and the outputs go back (`unmask.models.kept`). It ends when stdin
closes (its parent is gone) or when an inference does not end.

Arguments: the descriptor over which sockets come, how many inferences may run side by side, threads of all together.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import resource
import select
import socket
import sys
import threading
import time
from pathlib import Path

from unmask.errors import CardError, ModelError
from unmask.memory import give_back
from unmask.models import kept
from unmask.models.runtime import Session, open_model
from unmask.models.store import ModelCard, find_model

MAX_ASKERS = 128
MAX_GREETING = 512
MEMORY_BYTES = 8 * 1024**3
STUCK = 70

_busy: dict[int, float] = {}


def main(arguments: list[str]) -> int:
    """Serve until stdin closes; returns the exit status."""
    control = socket.socket(fileno=int(arguments[0]))
    streams, threads = int(arguments[1]), int(arguments[2])
    os.environ.pop(kept.VARIABLE, None)  # the keeper has no keeper
    set_limits()
    while True:
        ready, _, _ = select.select([0, control.fileno()], [], [], 1.0)
        if any(time.monotonic() - since > kept.RUN_SECONDS for since in tuple(_busy.values())):
            return STUCK
        if 0 in ready and not os.read(0, 1):
            return 0
        if control.fileno() in ready:
            for descriptor in _handed(control):
                asker = socket.socket(fileno=descriptor)
                if threading.active_count() > MAX_ASKERS:
                    asker.close()
                    continue
                threading.Thread(target=_serve, args=(asker, streams, threads), daemon=True).start()


def set_limits() -> None:
    """Limits on memory, files and core dumps; time is watched by `main`."""
    with contextlib.suppress(ValueError, OSError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        top = pages * resource.getpagesize() + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (top, top))
    for name, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_NOFILE, 512)):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(name, (most, most))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


def _handed(control: socket.socket) -> list[int]:
    try:
        _, descriptors, _, _ = socket.recv_fds(control, 16, 1)
    except OSError:
        return []
    return list(descriptors)


def _serve(asker: socket.socket, streams: int, threads: int) -> None:
    """Talk with one asker until it is gone; whatever goes wrong ends this conversation only."""
    with asker, contextlib.suppress(OSError, EOFError):
        try:
            session = _opened(asker, streams, threads)
        except ModelError as error:
            kept.send_error(asker, error)
            return
        asker.sendall(kept.READY)
        while True:
            inputs = kept.receive_tensors(asker, session.card.inputs)
            me = threading.get_ident()
            _busy[me] = time.monotonic()
            try:
                outputs = session.infer(inputs)
            except (ModelError, RuntimeError, MemoryError) as error:
                told = error if isinstance(error, ModelError) else ModelError("model.keeper", f"It failed: {error}.")
                kept.send_error(asker, told)
                return
            finally:
                _busy.pop(me, None)
            asker.sendall(kept.READY)
            for tensor in session.card.outputs:
                asker.sendall(outputs[tensor.name].data)


def _opened(asker: socket.socket, streams: int, threads: int) -> Session:
    """The session that the first line asks for. Raises `ModelError`."""
    name, _, digest = _line(asker).partition(" ")
    try:
        card = find_model(name)
    except CardError as error:
        raise ModelError(error.code, error.text) from error
    if not card.keep or card.info.sha256 != digest:
        raise ModelError("model.altered", f"The keeper has another model called {name}: start Unmask again.")
    session = open_model(name, threads, streams)
    release(card)
    give_back()
    return session


def release(card: ModelCard) -> None:
    """Let the pages of the model's files go, which OpenVINO maps but has copied into its own order: half the memory.

    They are mapped for reading only and shared, so what is asked for again is read from the file again. Linux only.
    """
    with contextlib.suppress(OSError, ValueError, AttributeError):
        libc = ctypes.CDLL(None)
        for line in Path("/proc/self/maps").read_text().splitlines():
            place, rights, *_ = line.split()
            if rights == "r--s" and str(card.folder) in line:
                first, last = (int(part, 16) for part in place.split("-"))
                libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), mmap.MADV_DONTNEED)


def _line(asker: socket.socket) -> str:
    asker.settimeout(kept.OPEN_SECONDS)
    data = b""
    while not data.endswith(b"\n"):
        data += bytes(kept.receive(asker, 1))
        if len(data) > MAX_GREETING:
            raise EOFError
    asker.settimeout(None)
    return data[:-1].decode("ascii", "replace")


if __name__ == "__main__":
    # Threads of OpenVINO may still be at work: nothing is to be tidied up with them.
    os._exit(main(sys.argv[1:]))
