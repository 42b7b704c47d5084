"""What the laboratory raises. As everywhere in Unmask: a short stable code, and a sentence that says what to do."""

from __future__ import annotations

import errno

from unmask.errors import UnmaskError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class LabError(UnmaskError):
    """A manifest, a training run or an export cannot go on; nothing that was there before has been overwritten."""


def disk_error(path: object, error: OSError) -> LabError:
    """The error for a file that could not be written: ``disk.full`` or ``disk.write``."""
    if error.errno in _FULL:
        return LabError("disk.full", f"No room to write {path} ({error.strerror}). What was there before is kept.")
    return LabError("disk.write", f"{path} cannot be written ({error.strerror}). What was there before is kept.")
