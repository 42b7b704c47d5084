"""The labelled kit: its files, their sources, and the two halves that no source crosses."""

from __future__ import annotations

import csv
import hashlib
import tomllib
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

Half = Literal["calibration", "test"]
WEB = "web photograph"
READ = "read speech"
_TABLES = {"image": "manifest-images.csv", "audio": "manifest-audio.csv", "video": "manifest-video.csv"}


@dataclass(frozen=True)
class Item:
    """One bona fide file of the kit. ``source`` is its folder's name; ``path`` is relative to the kit."""

    path: Path
    source: str
    modality: str


def half_of(source: str) -> Half:
    """Even SHA-256 of the folder's name: calibration; odd: test. Real and fake folders of one name stay together."""
    return "calibration" if quarter_of(source) % 2 == 0 else "test"


def quarter_of(source: str) -> int:
    """SHA-256 of the folder's name modulo 4: 0 and 2 are the calibration half. A net of that half trains on 0 only."""
    return int(hashlib.sha256(source.encode()).hexdigest(), 16) % 4


def read_kit(kit: Path, modality: str, half: Half) -> dict[str, list[Item]]:
    """Bona fide files by source, sorted, for one half.

    Raises:
        FileNotFoundError: the kit has no manifest of this modality.
    """
    name = _TABLES[modality]
    out: dict[str, list[Item]] = defaultdict(list)
    with (kit / name).open(newline="") as file:
        for row in csv.DictReader(file):
            path = Path(row["path"])
            source = path.parent.name
            if row["label"] == "real" and half_of(source) == half:
                out[source].append(Item(path, source, modality))
    return {source: sorted(out[source], key=lambda item: item.path) for source in sorted(out)}


@cache
def _kinds(table: str = "") -> dict[str, str]:
    """Source (or, for ``audio_corpus``, the corpus that the manifest names) to kind; pictures' kinds by default."""
    found = tomllib.loads(Path(__file__).with_name("kinds.toml").read_text("utf-8"))
    kinds = found[table] if table else {kind: names for kind, names in found.items() if isinstance(names, list)}
    return {name: kind for kind, names in kinds.items() for name in names}


def kind_of_source(source: str, modality: str = "image", corpus: str = "") -> str:
    """The kind of real media a source holds, for the columns of false alarms.

    ``corpus``: what the kit's manifest calls ``method`` of a bona fide recording; one source may hold several.
    """
    if modality == "image":
        return _kinds().get(source, WEB)
    if modality == "audio":
        return _kinds("audio_corpus").get(corpus) or _kinds("audio_source").get(source, READ)
    return "film"


def kinds_by_path(kit: Path, modality: str) -> dict[str, str]:
    """Kind of real media of every bona fide file of the kit, by its path; empty where ``kit`` is no kit."""
    table = kit / _TABLES.get(modality, "")
    if not table.is_file():
        return {}
    with table.open(newline="") as file:
        return {
            row["path"]: kind_of_source(Path(row["path"]).parent.name, modality, row["method"])
            for row in csv.DictReader(file)
            if row["label"] in ("real", "pristine")
        }
