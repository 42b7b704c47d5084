"""From the paths a person names to the files to examine: folders are walked, what is no media is left out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from unmask.errors import SubjectError, UnsupportedMedia, UsageError
from unmask.media.sniff import EXTENSIONS, sniff

_SUFFIXES = frozenset(suffix for suffixes in EXTENSIONS.values() for suffix in suffixes)
_REMOTE = ("http://", "https://", "ftp://", "s3://", "rtsp://", "rtmp://")


@dataclass
class Walk:
    """Iterate to get paths. ``passed_over`` counts files in folders that are no media; ``problems`` are folders
    that could not be read.
    """

    paths: Iterable[Path]
    passed_over: int = 0
    problems: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[Path]:
        for path in self.paths:
            if _is_folder(path):
                yield from self._folder(path)
            else:
                yield path

    def _folder(self, top: Path) -> Iterator[Path]:
        for folder, names, files in os.walk(top, onerror=self._note):
            names.sort()
            for name in sorted(files):
                path = Path(folder) / name
                if self._wanted(path):
                    yield path
                else:
                    self.passed_over += 1

    def _wanted(self, path: Path) -> bool:
        """Media by content, or by name: a broken picture must be reported, not passed over."""
        try:
            if not path.is_file():
                return path.is_symlink()
        except OSError:
            return True
        if path.suffix.lower() in _SUFFIXES:
            return True
        try:
            sniff(path)
        except UnsupportedMedia:
            return False
        except SubjectError:
            return True
        return True

    def _note(self, error: OSError) -> None:
        self.problems.append(f"{error.filename}: {error.strerror}")


def _is_folder(path: Path) -> bool:
    """False where that cannot be known: the scanner says for each path why it cannot be opened."""
    try:
        return path.is_dir()
    except OSError:
        return False


def check_local(paths: Iterable[str]) -> None:
    """Refuse addresses: Unmask does not fetch. Raises `UsageError`."""
    for path in paths:
        if path.lower().startswith(_REMOTE):
            raise UsageError("usage.remote", f"{path} is an address: download the file first, then scan it.")


def make_folder(folder: Path, code: str) -> None:
    """A folder to write into, made where it is missing. Raises `UsageError` ``code`` where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(code, f"Cannot make the folder {folder}: {error.strerror}. Name another.") from error
    if not os.access(folder, os.W_OK):
        raise UsageError(code, f"Cannot write into {folder}: name another folder.")
