"""Every error that Unmask raises, and the exit code that belongs to it.

::

    UnmaskError
    ├── UsageError              the call is wrong: an unknown option, question or setting        exit 2
    ├── SubjectError            the file cannot be opened at all                                 exit 3
    ├── MediaError              the file opens, but its content cannot be decoded                exit 3
    │   ├── UnsupportedMedia    not a picture, a video or a recording that Unmask reads
    │   ├── DamagedMedia        broken, truncated or lying about itself
    │   └── LimitExceeded       larger than a limit allows (pixels, frames, duration, bytes)
    ├── CardError               a detector's or a model's card is missing, broken or incomplete  exit 2
    └── ModelError              a model's file is missing, altered, or gives other numbers here  exit 3

An error carries ``code``, a short stable word for machines, and ``text``, a sentence that tells the
person what happened and what to do next. The library raises; the command line turns an error into a
line on stderr and an exit code; a detector's ``MediaError`` becomes a finding with status ``failed``.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the command line returns to the shell."""

    DONE = 0
    REACHED_FAIL_ON = 1
    USAGE = 2
    NOT_EXAMINED = 3
    INTERRUPTED = 130


class UnmaskError(Exception):
    """Base of all errors; ``code`` is for machines, ``text`` for people."""

    exit_code: ExitCode = ExitCode.NOT_EXAMINED

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    def __reduce__(self) -> tuple[type[UnmaskError], tuple[str, str]]:
        """Errors cross process borders, so both fields must survive pickling."""
        return (type(self), (self.code, self.text))


class UsageError(UnmaskError):
    """The call is wrong: an unknown option, question or setting."""

    exit_code = ExitCode.USAGE


class SubjectError(UnmaskError):
    """The file cannot be opened: missing, unreadable, a folder or a device."""


class MediaError(UnmaskError):
    """The file opens, but its content cannot be decoded."""


class UnsupportedMedia(MediaError):
    """Not a picture, a video or a recording that Unmask reads."""


class DamagedMedia(MediaError):
    """Broken, truncated, or lying about itself."""


class LimitExceeded(MediaError):
    """Larger than a limit allows."""


class CardError(UnmaskError):
    """A card is missing, broken or incomplete."""

    exit_code = ExitCode.USAGE


class ModelError(UnmaskError):
    """A model's file is missing, altered, or gives other numbers on this machine."""
