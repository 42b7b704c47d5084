"""Starts the process that holds the large models (`unmask.models.keeper`) when it is first needed, and ends it.

Examining processes inherit one end of a datagram socket. To ask for a large model they make a pair of stream sockets
and send one of them over it. The first such message wakes `Keeper`, which starts the process and gives it the other
end; the message waits there meanwhile. When the process dies, those who were talking to it see their sockets close,
and the next message starts another. Nothing of this lies in the file system, so nothing is left behind.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence

from unmask.models.kept import VARIABLE

MAX_STARTS = 5
_GRACE_SECONDS = 5.0


class Keeper:
    """One keeper for all slots of an executor.

    Args:
        streams: inferences side by side.
        threads: of all of them together.
        command: what to run instead (tests); the descriptor and the numbers are appended.
    """

    def __init__(self, streams: int = 1, threads: int = 1, command: Sequence[str] | None = None) -> None:
        self._command = [*(command or (sys.executable, "-m", "unmask.models.keeper"))]
        self._numbers = [str(streams), str(threads)]
        self._theirs, self._ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._wake_read, self._wake_write = os.pipe()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._closed = False
        self.starts = 0
        self._watcher = threading.Thread(target=self._watch, name="unmask-keeper", daemon=True)
        self._watcher.start()

    @property
    def descriptor(self) -> int:
        """What an examining process must inherit."""
        return self._theirs.fileno()

    @property
    def environment(self) -> dict[str, str]:
        """What an examining process must find in its environment."""
        return {VARIABLE: str(self.descriptor)}

    @property
    def pid(self) -> int | None:
        """The process, where one runs."""
        with self._lock:
            return self._process.pid if self._process and self._process.poll() is None else None

    def close(self) -> None:
        """End the process for good."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            process = self._process
        os.write(self._wake_write, b"x")
        if process is not None:
            _end(process)
        self._watcher.join()
        for descriptor in (self._wake_read, self._wake_write):
            os.close(descriptor)
        self._theirs.close()

    def _watch(self) -> None:
        with self._ours:
            while self.starts < MAX_STARTS:
                ready, _, _ = select.select([self._ours.fileno(), self._wake_read], [], [])
                if self._wake_read in ready:
                    return
                process = self._start()
                if process is None:
                    return
                process.wait()
                _end(process)
            # Closing our end makes whoever asks from now on fail at once instead of waiting.

    def _start(self) -> subprocess.Popen[bytes] | None:
        errors: int | None = None if os.environ.get("UNMASK_DEBUG") else subprocess.DEVNULL
        with self._lock:
            if self._closed:
                return None
            self.starts += 1
            try:
                self._process = subprocess.Popen(
                    [*self._command, str(self._ours.fileno()), *self._numbers],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    pass_fds=(self._ours.fileno(),),
                    env={**os.environ, "MALLOC_ARENA_MAX": "2"},
                    start_new_session=True,
                )
            except OSError:
                return None
            return self._process


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    try:
        process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
