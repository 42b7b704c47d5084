"""Forges training material: every family of a package over parents of many sources, with its manifest.

Parents outermost, families inside: a broken-off run has some of everything, and several families share what they
compute for one parent. Parents come in turns, one a source, so that few files still mean many sources.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from unmask_lab.errors import LabError
from unmask_lab.files import write_whole
from unmask_lab.forge.forgery import seeded
from unmask_lab.manifest import Row

NAME = "manifest.csv"


@dataclass(frozen=True)
class TrainingRow:
    """One made file. ``path``, ``mask``: relative to the set; ``parent``: the kit's path, empty for text-to-speech.

    ``source``: the parent's folder in the kit, or ``tts-<system>``: files of one source belong in one fold.
    ``segments``: made stretches in seconds (``0.40-0.90;…``), empty where all of it is made.
    """

    path: str
    modality: str
    label: str
    question: str
    family: str
    generator: str
    parent: str
    source: str
    language: str
    licence: str
    seed: int
    sha256: str
    mask: str = ""
    segments: str = ""
    text: str = ""


@dataclass(frozen=True)
class Parent:
    """A bona fide file of the kit."""

    path: Path
    source: str
    language: str = ""
    licence: str = ""


@dataclass(frozen=True)
class TrainingPlan:
    """What to make: from ``kit``, into ``out``, with ``weights``; ``limit`` caps each family's parents or texts."""

    kit: Path
    out: Path
    weights: Path
    seed: int = 1
    only: tuple[str, ...] = ()
    limit: int | None = None

    def count(self, full: int) -> int:
        """A family's share under the limit."""
        return full if self.limit is None else min(full, self.limit)


def parents(kit: Path, modality: str, seed: int, salt: str = "") -> list[Parent]:
    """All bona fide files of a modality: one of every source, then a second one, … in an order of seed and ``salt``.

    Raises:
        LabError: ``manifest.missing``: the kit has no manifest of this modality; ``manifest.empty``: no bona fide file.
    """
    name = {"image": "manifest-images.csv", "audio": "manifest-audio.csv"}[modality]
    by_source: dict[str, list[Parent]] = {}
    if not (kit / name).is_file():
        raise LabError("manifest.missing", f"{kit} is no kit: it has no {name}.")
    with (kit / name).open(newline="") as file:
        for row in csv.DictReader(file):
            if row["label"] == "real":
                path = Path(row["path"])
                licence = row.get("licence_stated", "")
                one = Parent(path, path.parent.name, row.get("language", ""), licence)
                by_source.setdefault(one.source, []).append(one)
    if not by_source:
        raise LabError("manifest.empty", f"{kit / name} names no bona fide file.")
    turns = []
    for source, items in sorted(by_source.items()):
        order = seeded(seed, "parents", salt, source).permutation(len(items))
        turns += [
            (turn, float(seeded(seed, salt, str(items[int(i)].path)).random()), int(i), source)
            for turn, i in enumerate(order)
        ]
    return [by_source[source][i] for _, _, i, source in sorted(turns)]


class Table:
    """The manifest as it grows: rows of families that are not made again are kept."""

    def __init__(self, folder: Path, made_again: Sequence[str]) -> None:
        self.path = folder / NAME
        self.rows = [row for row in read(self.path) if row.family not in made_again] if self.path.is_file() else []

    def add(self, row: TrainingRow) -> None:
        """One more row."""
        self.rows.append(row)

    def write(self) -> None:
        """Write the whole table beside the old one, then replace it: readers never see half a row."""
        text = io.StringIO()
        writer = csv.DictWriter(text, [f.name for f in fields(TrainingRow)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in self.rows)
        write_whole(self.path, text.getvalue().encode())


def read(path: Path) -> list[TrainingRow]:
    """Rows of a manifest, or of the one in a folder."""
    path = path / NAME if path.is_dir() else path
    with path.open(newline="") as file:
        return [_row(dict(row)) for row in csv.DictReader(file)]


def _row(fields_: dict[str, Any]) -> TrainingRow:
    return TrainingRow(**{**fields_, "seed": int(fields_["seed"])})


def each(rows: Iterator[TrainingRow], table: Table, every: int = 50) -> Iterator[TrainingRow]:
    """Pass rows on while the manifest on disk keeps up, the end and an interruption included."""
    try:
        for number, row in enumerate(rows, 1):
            table.add(row)
            if number % every == 0:
                table.write()
            yield row
    finally:
        table.write()


def from_training(folder: Path) -> list[Row]:
    """The rows of a set made by ``unmask-lab forge-training``, as the lab's manifests have them."""
    return [
        Row(
            path=row.path,
            modality=row.modality,
            label=row.label,
            question=row.question if row.label != "bona_fide" else "",
            source=row.source,
            generator=row.generator,
            family=row.family if row.label != "bona_fide" else "",
            language=row.language,
            licence=row.licence,
            sha256=row.sha256,
            parent=row.parent,
            mask=row.mask,
        )
        for row in read(folder)
    ]
