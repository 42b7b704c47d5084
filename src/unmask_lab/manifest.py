"""The lab's table of media: one row a file, from the labelled kit, from folders, or from what the lab forged.

Splits are made by source, never by file, and `check` refuses a table in which one side of a split knows the other.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask_lab.duplicates import Groups, near_pairs, perceptual_hash
from unmask_lab.errors import LabError
from unmask_lab.files import write_whole
from unmask_lab.forge import manifest as forged_set

LABELS = ("bona_fide", "manipulated", "synthetic")
KINDS = ("image", "audio", "video")
SUFFIXES = {
    "image": (".jpg", ".jpeg", ".png", ".webp", ".avif", ".heic", ".tif", ".tiff", ".bmp", ".gif"),
    "audio": (".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".opus", ".webm"),
    "video": (".mp4", ".mov", ".mkv", ".avi", ".webm"),
}
_KIT_TABLES = {kind: f"manifest-{name}.csv" for kind, name in zip(KINDS, ("images", "audio", "video"), strict=True)}
_KIT_LABELS = {"real": "bona_fide", "pristine": "bona_fide", "tampered": "manipulated", "fake": "synthetic"}
_UNKNOWN_FAMILY = {"image": "other", "audio": "unknown", "video": "other"}
_HEX = set("0123456789abcdef")


@dataclass(frozen=True)
class Row:
    """One file.

    ``path`` and ``mask`` are relative to the manifest's folder. ``label``: one of `LABELS`. ``question``: what the file
    is an example for; empty for bona fide files, which serve all. ``source``: who made or published it, the unit that
    no split tears apart; ``repository``: where that came from, which joins sources. ``generator``, ``family``: of
    manipulated and synthetic files. ``subject``: person or speaker, where known. ``phash``: `perceptual_hash` of a
    picture. ``parent``: the bona fide file behind a forged one. Unknown is empty.
    """

    path: str
    modality: str
    label: str
    question: str = ""
    source: str = ""
    generator: str = ""
    family: str = ""
    subject: str = ""
    language: str = ""
    licence: str = ""
    sha256: str = ""
    phash: str = ""
    split: str = ""
    parent: str = ""
    mask: str = ""
    repository: str = ""

    @property
    def positive(self) -> bool:
        """Whether the file is manipulated or synthetic."""
        return self.label != "bona_fide"


COLUMNS = tuple(f.name for f in fields(Row))


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write a manifest whole. Raises `LabError` ``disk.full`` or ``disk.write``."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    write_whole(path, text.getvalue().encode())


def read(path: Path) -> list[Row]:
    """Rows of a manifest.

    Raises:
        LabError: ``manifest.missing``, ``manifest.broken`` (not such a table, a cut-off line, an unknown column, a
            label or kind that is not one), ``manifest.empty``.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            found = csv.DictReader(file)
            rows = [_row(path, found.line_num, values) for values in found]
    except OSError as error:
        raise LabError("manifest.missing", f"{path} cannot be read ({error.strerror}).") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise LabError("manifest.broken", f"{path} is not a table in CSV: {error}.") from error
    if not rows:
        raise LabError("manifest.empty", f"{path} names no file.")
    return rows


def _row(path: Path, line: int, values: dict[str, Any]) -> Row:
    known = {key: value for key, value in values.items() if key in COLUMNS}
    if len(known) != len(values) or None in values.values() or not {"path", "modality", "label"} <= set(known):
        raise LabError("manifest.broken", f"{path}, line {line}: the columns are not those of a manifest.")
    row = Row(**known)
    if row.label not in LABELS or row.modality not in KINDS or not row.path:
        raise LabError(
            "manifest.broken",
            f"{path}, line {line}: label {row.label!r} of {', '.join(LABELS)}; kind {row.modality!r} of "
            f"{', '.join(KINDS)}; path {row.path!r}.",
        )
    return row


@cache
def _tables() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("families.toml").read_text("utf-8"))


def _named(method: str, table: dict[str, list[str]]) -> str:
    """The key whose name begins first in the text, of those the longest; empty where none is in it."""
    text, best = method.casefold().strip(), (len(method), 0, "")
    for key, names in table.items():
        for name in names:
            if name == f"={text}":
                return key
            at = text.find(name)
            if at >= 0 and (at, -len(name)) < best[:2]:
                best = (at, -len(name), key)
    return best[2]


def family_of(method: str, modality: str) -> str:
    """Family of a generator from a free text about the method, by ``families.toml``."""
    return _named(method, _tables()[modality]) or _UNKNOWN_FAMILY[modality]


def question_of(method: str, modality: str) -> str:
    """The question that a manipulated or synthetic file of this method is an example for."""
    return _named(method, _tables()["questions"]) or str(_tables()["questions_of_kind"][modality])


def from_kit(kit: Path, modality: str, hashes: bool = False) -> list[Row]:
    """The labelled kit's files of one kind, in its manifest's order; paths are relative to the kit.

    Args:
        kit: its data folder.
        modality: ``image``, ``audio`` or ``video``.
        hashes: read every file for SHA-256 and perceptual hash (a minute for the pictures) instead of taking only
            what the kit's manifest tells.

    Raises:
        LabError: ``manifest.missing``, ``manifest.broken``.
    """
    path = kit / _KIT_TABLES[modality]
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [_kit_row(values, modality) for values in csv.DictReader(file)]
    except OSError as error:
        raise LabError("manifest.missing", f"The kit has no {path.name} ({error.strerror}): {kit}.") from error
    except KeyError as error:
        raise LabError("manifest.broken", f"{path} has no column or label {error}.") from error
    return [hashed(row, kit) for row in rows] if hashes else rows


def _kit_row(values: dict[str, str], modality: str) -> Row:
    label, method = _KIT_LABELS[values["label"]], values["method"]
    if label == "bona_fide":
        question = generator = family = ""
    else:
        question, generator, family = question_of(method, modality), method, family_of(method, modality)
        if question in _tables()["questions"]:
            label = "manipulated"
    licence = values["licence_stated"]
    return Row(
        path=values["path"],
        modality=modality,
        label=label,
        question=question,
        source=Path(values["path"]).parent.name,
        generator=generator,
        family=family,
        language=values.get("language", ""),
        licence="" if licence == "none stated" else licence,
        sha256=values.get("sha256", ""),
        repository=values["source_repository"],
    )


def from_folder(
    folder: Path, modality: str, label: str, *, question: str = "", licence: str = "", hashes: bool = False
) -> list[Row]:
    """All files of one kind below a folder, sorted; each subfolder is a source (and a generator, if not bona fide).

    Raises:
        LabError: ``manifest.missing`` (no such folder), ``manifest.empty`` (no file of this kind in it).
    """
    if not folder.is_dir():
        raise LabError("manifest.missing", f"{folder} is not a folder.")
    found = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix.lower() in SUFFIXES[modality])
    if not found:
        raise LabError("manifest.empty", f"{folder} holds no {modality} file.")
    rows = []
    for file in found:
        inside = file.relative_to(folder)
        source = inside.parts[0] if len(inside.parts) > 1 else folder.name
        row = Row(inside.as_posix(), modality, label, source=source, licence=licence)
        if row.positive:
            family, asked = family_of(source, modality), question or question_of(source, modality)
            row = replace(row, question=asked, generator=source, family=family)
        rows.append(hashed(row, folder) if hashes else row)
    return rows


def from_forged(folder: Path, modality: str = "") -> list[Row]:
    """Rows of a set made by ``unmask-lab forge`` (one half); its half becomes the split.

    Raises:
        LabError: ``manifest.missing``, ``manifest.broken``.
    """
    try:
        rows = forged_set.read(folder)
    except OSError as error:
        raise LabError("manifest.missing", f"{folder} is no forged set ({error.strerror}).") from error
    except TypeError as error:
        raise LabError("manifest.broken", f"The manifest of {folder} has other columns than a forged set.") from error
    questions = _tables()["questions_of_forgeries"]
    return [
        Row(
            path=row.path,
            modality=row.modality,
            label=row.label,
            question=questions[row.modality].get(row.family, "") if row.manipulated else "",
            source=row.parent_source,
            generator=row.family if row.manipulated else "",
            family=row.family if row.manipulated else "",
            sha256=row.sha256,
            split=row.half,
            parent=row.parent,
            mask=row.mask,
        )
        for row in rows
        if modality in ("", row.modality)
    ]


def moved(rows: Iterable[Row], old: Path, new: Path) -> list[Row]:
    """Rows whose paths were relative to ``old``, made relative to ``new``."""

    def again(path: str) -> str:
        return Path(os.path.relpath(old / path, new)).as_posix() if path else ""

    return [replace(row, path=again(row.path), mask=again(row.mask)) for row in rows]


def hashed(row: Row, root: Path) -> Row:
    """The row with the file's SHA-256 and, for a picture, its perceptual hash.

    Raises:
        LabError: ``manifest.file``, it is missing or cannot be decoded.
    """
    path = root / row.path
    digest = _sha256(path)
    look = perceptual_hash(_picture(path)) if row.modality == "image" else ""
    return replace(row, sha256=digest, phash=look)


def groups(rows: Sequence[Row]) -> NDArray[np.int64]:
    """(n,) a number a group: files of one source, one repository, one origin or parent, and near-duplicates."""
    joined = Groups(len(rows))
    origin = {name: key for key, names in _tables()["same_origin"].items() for name in names}
    for keys in (
        [row.source for row in rows],
        [row.repository.casefold() for row in rows],
        [origin.get(row.source, "") for row in rows],
        [row.sha256 for row in rows],
        [row.parent for row in rows],
    ):
        joined.join_equal(keys)
    for a, b in near_pairs([row.phash for row in rows]):
        joined.join(a, b)
    return np.asarray([joined.of(i) for i in range(len(rows))], np.int64)


def folds(rows: Sequence[Row], k: int, seed: int) -> NDArray[np.int64]:
    """(n,) the fold 0..k-1 of each row: whole `groups`, both classes spread as evenly as those allow.

    Raises:
        LabError: ``manifest.folds``, fewer groups than folds.
    """
    group = groups(rows)
    names, index = np.unique(group, return_inverse=True)
    if len(names) < k:
        raise LabError("manifest.folds", f"{len(names)} groups of sources cannot make {k} folds.")
    positive = np.asarray([row.positive for row in rows])
    counts = np.stack([np.bincount(index, ~positive), np.bincount(index, positive)], 1)
    share = counts / np.maximum(1, counts.sum(0))
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-share[order].sum(1), kind="stable")]
    load, chosen = np.zeros((k, 2)), np.empty(len(names), np.int64)
    for i in order:
        # Where it leaves the fullest column of any fold emptiest.
        chosen[i] = np.argmin((load + share[i]).max(1) + 1e-3 * load.sum(1))
        load[chosen[i]] += share[i]
    return chosen[index]


def check(rows: Sequence[Row], root: Path | None = None, both_classes: bool = True) -> None:
    """Refuse a manifest that would mislead who trains or measures with it.

    Args:
        rows: the whole table.
        root: the manifest's folder; where given, every file must be there, unaltered and readable.
        both_classes: whether every split must hold bona fide and other files.

    Raises:
        LabError: ``manifest.empty``, ``manifest.one_class``, ``manifest.twice`` (a path or a content is listed with two
            labels, or a path twice), ``manifest.leak`` (a source, a repository, a parent or near-duplicates on both
            sides of a split), ``manifest.file`` (missing, altered or cannot be decoded).
    """
    if not rows:
        raise LabError("manifest.empty", "The manifest names no file.")
    _check_twice(rows)
    _check_classes(rows if both_classes else ())
    _check_leaks(rows)
    if root is not None:
        for row in rows:
            _check_file(row, root)


def _check_twice(rows: Sequence[Row]) -> None:
    paths: set[str] = set()
    content: dict[str, Row] = {}
    for row in rows:
        if row.path in paths:
            raise LabError("manifest.twice", f"{row.path} is listed twice.")
        paths.add(row.path)
        other = content.setdefault(row.sha256, row) if row.sha256 else row
        if other.label != row.label:
            raise LabError(
                "manifest.twice",
                f"{other.path} and {row.path} are the same bytes, called {other.label} and {row.label}.",
            )


def _check_classes(rows: Sequence[Row]) -> None:
    by_split: dict[str, set[bool]] = defaultdict(set)
    for row in rows:
        by_split[row.split].add(row.positive)
    for split, classes in by_split.items():
        if len(classes) == 1:
            where = f"The split {split!r}" if split else "The manifest"
            only = "manipulated or synthetic" if True in classes else "bona fide"
            raise LabError("manifest.one_class", f"{where} holds only {only} files, so nothing can be learned from it.")


def _check_leaks(rows: Sequence[Row]) -> None:
    first: dict[int, Row] = {}
    for row, group in zip(rows, groups(rows), strict=True):
        other = first.setdefault(int(group), row)
        if other.split != row.split:
            raise LabError(
                "manifest.leak",
                f"{other.path} is in the split {other.split!r} and {row.path} in {row.split!r}, but they belong "
                "together (one source, repository or parent, or near-duplicates).",
            )


def _check_file(row: Row, root: Path) -> None:
    path = root / row.path
    if row.sha256 and (set(row.sha256) - _HEX or _sha256(path) != row.sha256):
        raise LabError("manifest.file", f"{path} is not the file that the manifest describes (another SHA-256).")
    if row.modality == "image":
        _picture(path)
    else:
        _first_frame(path, row.modality)
    if row.mask and not (root / row.mask).is_file():
        raise LabError("manifest.file", f"The mask {root / row.mask} is missing.")


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise LabError("manifest.file", f"{path} cannot be read ({error.strerror}).") from error


def _picture(path: Path) -> NDArray[np.uint8]:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"), np.uint8)
    except Exception as error:  # Pillow raises many kinds for a damaged file
        raise LabError("manifest.file", f"{path} cannot be decoded as a picture ({error}).") from error


def _first_frame(path: Path, modality: str) -> None:
    import av

    try:
        with av.open(str(path)) as container:
            streams = container.streams.audio if modality == "audio" else container.streams.video
            frames: Iterator[Any] = container.decode(streams[0])
            next(frames)
    except Exception as error:  # PyAV raises many kinds for a damaged file
        raise LabError("manifest.file", f"{path} cannot be decoded as {modality} ({type(error).__name__}).") from error
