"""The manifest of a forged set: one row a file, and nothing that a detector may look at."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

NAME = "manifest.csv"


@dataclass(frozen=True)
class Row:
    """One file of the set.

    ``path`` and ``mask`` are relative to the set's folder; ``parent`` and ``parent_source`` name the kit's file and
    folder; ``family`` is ``none`` for bona fide files; ``variant`` is how the file was laundered, ``original`` for a
    parent as it was before the editor saved it. ``segments`` are changed stretches of time in seconds.
    """

    path: str
    modality: str
    label: str
    family: str
    parent: str
    parent_source: str
    kind_of_real_media: str
    mask: str
    sha256: str
    half: str
    variant: str
    text: str = ""
    segments: str = ""

    @property
    def manipulated(self) -> bool:
        """Whether the file was changed after capture."""
        return self.label == "manipulated"


def write(folder: Path, rows: Iterable[Row]) -> Path:
    """Write the manifest and return its path."""
    path = folder / NAME
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    return path


def read(path: Path) -> list[Row]:
    """Rows of a manifest, or of the one in a folder."""
    path = path / NAME if path.is_dir() else path
    with path.open(newline="") as file:
        return [Row(**row) for row in csv.DictReader(file)]


def digest(data: bytes) -> str:
    """SHA-256, hex."""
    return hashlib.sha256(data).hexdigest()
