"""Where the reader thread leaves what it read: the newest frame, the last seconds of sound, and what happened.

Everything here is bounded: one frame, a ring of sound, at most `MOST_NOTES` notes.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask.errors import UnmaskError
from unmask.voices.speech import RATE

SOUND_SECONDS = 12
MOST_NOTES = 256

Wave = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Look:
    """A frame to look at, or (``frame`` None) just time that passed. ``time``: seconds since the start;
    ``arrival``: the clock when it came; ``frame``: an `av.VideoFrame`.
    """

    time: float
    arrival: float
    frame: Any | None


@dataclass(frozen=True)
class Note:
    """Something that happened to the stream. ``code``: ``opened broken reconnected`` or ``late``."""

    code: str
    time: float
    value: float = 0.0
    text: str = ""
    detail: str = ""


class Ring:
    """The last `SOUND_SECONDS` of sound at 16 kHz. ``total``: samples ever put in."""

    def __init__(self, seconds: int = SOUND_SECONDS) -> None:
        self._data = np.zeros(seconds * RATE, np.float32)
        self.total = 0

    def put(self, wave: Wave) -> None:
        """Append (n,) samples."""
        wave = wave[-self._data.size :]
        at = self.total % self._data.size
        first = min(wave.size, self._data.size - at)
        self._data[at : at + first] = wave[:first]
        self._data[: wave.size - first] = wave[first:]
        self.total += wave.size

    def last(self, count: int) -> Wave:
        """The last ``count`` samples, fewer where fewer came."""
        count = min(count, self.total, self._data.size)
        at = (self.total - count) % self._data.size
        return np.concatenate([self._data[at : at + count], self._data[: max(0, at + count - self._data.size)]])


class Inbox:
    """Shared by the reader and the watcher; all methods may be called from both."""

    def __init__(self, waits: bool = False) -> None:
        self.waits = waits
        self.read = self.dropped = 0
        self.has_picture = self.has_sound = False
        self._look: Look | None = None
        self._ring = Ring()
        self._notes: deque[Note] = deque(maxlen=MOST_NOTES)
        self._ended: UnmaskError | str | None = None
        self._closed = False
        self._changed = threading.Condition()

    def put(self, look: Look) -> None:
        """Leave a frame; the one before is let go. Where ``waits`` is set, only once that one was taken."""
        with self._changed:
            while self.waits and self._look is not None and not self._closed:
                self._changed.wait(0.2)
            self._look = look
            self._changed.notify_all()

    def take(self, timeout: float) -> Look | None:
        """The newest frame, or None after ``timeout`` seconds, or once the stream has ended and all was taken."""
        with self._changed:
            self._changed.wait_for(lambda: self._look is not None or self._ended is not None, timeout)
            look, self._look = self._look, None
            self._changed.notify_all()
            return look

    def put_sound(self, wave: Wave) -> None:
        """Append (n,) mono samples at 16 kHz."""
        with self._changed:
            self._ring.put(wave)

    def sound(self, seconds: float) -> tuple[Wave, int]:
        """The last seconds of sound, and how many samples ever came."""
        with self._changed:
            return self._ring.last(round(seconds * RATE)), self._ring.total

    def note(self, note: Note) -> None:
        """Leave word of something."""
        with self._changed:
            self._notes.append(note)

    def notes(self) -> list[Note]:
        """Take all notes."""
        with self._changed:
            out = list(self._notes)
            self._notes.clear()
            return out

    def end(self, why: UnmaskError | str) -> None:
        """No more will come: an error, or the plain reason."""
        with self._changed:
            self._ended = why
            self._changed.notify_all()

    @property
    def ended(self) -> UnmaskError | str | None:
        """Why the stream ended; None while a frame waits or more may come."""
        with self._changed:
            return self._ended if self._look is None else None

    def close(self) -> None:
        """The watcher has gone: nobody waits for it any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether the watcher has gone."""
        return self._closed


class SoundInlet(Inbox):
    """A second reader's inbox, for a microphone: its sound goes into the first one's, its end ends nothing."""

    def __init__(self, into: Inbox) -> None:
        super().__init__()
        self._into = into

    def put_sound(self, wave: Wave) -> None:
        """As `Inbox.put_sound`, of the first inbox."""
        self._into.has_sound = True
        self._into.put_sound(wave)
