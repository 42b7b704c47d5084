"""The command line's streams: messages to stderr, and what to do when stdout is gone or a key is pressed."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator


def visible(text: str) -> str:
    """Control characters shown, so that a hostile name cannot move the cursor or fake a line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def say(text: str) -> None:
    """A line on stderr, its control characters shown."""
    with contextlib.suppress(OSError):
        print(visible(text), file=sys.stderr)  # noqa: T201 - the command line speaks


def set_encodings() -> None:
    """Whatever the locale: no character ends the program, and pipes get UTF-8, as JSON demands."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace" if stream is sys.stderr else "replace")
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
        sys.stdout.reconfigure(encoding="utf-8")


def drop_stdout() -> None:
    """The reader of our output is gone or full; keep the interpreter from failing again at exit."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


@contextlib.contextmanager
def undivided() -> Iterator[None]:
    """Ctrl-C waits until the block is done, so that a result is either out and counted, or neither."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt
