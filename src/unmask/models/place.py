"""Putting a folder into the user's model folder: made beside its place, tried, and renamed when it is whole."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from unmask.errors import ModelError

DOWNLOADS = ".downloads"


@contextlib.contextmanager
def workshop(home: Path) -> Iterator[Path]:
    """A folder beside the place, so that the last step is a rename; one process at a time."""
    (home / DOWNLOADS).mkdir(parents=True, exist_ok=True)
    with (home / DOWNLOADS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for old in home.glob(".making-*"):
            shutil.rmtree(old, ignore_errors=True)  # of a process that was killed
        place = Path(tempfile.mkdtemp(prefix=".making-", dir=home))
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)


def put(folder: Path, target: Path) -> None:
    """Rename into place; what was there and is not whole goes."""
    if target.exists() or target.is_symlink():
        target.rename(folder.parent / "old")
    folder.rename(target)


def cannot_write(error: OSError, home: Path) -> ModelError:
    """The user's model folder cannot be written to."""
    return ModelError(
        "model.folder",
        f"Cannot write into {home} ({error.strerror or error}). "
        "Check the rights and the room, or set UNMASK_MODELS to another folder.",
    )
