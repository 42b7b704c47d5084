"""Score tables: what one or more detectors said of labelled files. CSV, one row a file, variant and detector.

A table that a model is judged or calibrated by holds **out-of-fold** scores only: each row's score comes from a
model that saw neither the row's source nor its generator's folder.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unmask_lab.errors import LabError
from unmask_lab.evaluate import metrics
from unmask_lab.evaluate.metrics import Interval

ROUNDS = 200
REQUIRED = ("path", "label", "source", "raw")


@dataclass(frozen=True)
class Score:
    """One detector's number for one file.

    ``label``: 0 bona fide, 1 synthetic or manipulated. ``raw``: any monotone score, larger is more synthetic or
    manipulated; NaN only where ``status`` is not ``ok`` (the detector declined). ``distance``: how far the file lies
    from the training material (drift), NaN where the detector tells none. ``kind``: kind of real media, empty for
    synthetic files. ``variant``: ``clean``, ``laundered:1``, ``jpeg70`` … ``stratum``: which calibration applies.
    """

    path: str
    question: str
    label: int
    source: str
    raw: float
    generator: str = ""
    family: str = ""
    kind: str = ""
    variant: str = "clean"
    stratum: str = ""
    fold: int = -1
    distance: float = math.nan
    detector: str = ""
    status: str = "ok"
    seconds: float = math.nan


COLUMNS = (
    "path", "question", "detector", "label", "source", "generator", "family", "kind", "variant", "stratum", "fold",
    "raw", "distance", "status", "seconds",
)  # fmt: skip


def write(path: Path, rows: Iterable[Score]) -> None:
    """Write the table whole; an older one is replaced only when the new one is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow(_text(getattr(row, name)) for name in COLUMNS)
    part.replace(path)


def append(path: Path, rows: Iterable[Score]) -> None:
    """Add rows, with the header where the table is new."""
    new = not path.is_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow(_text(getattr(row, name)) for name in COLUMNS)


def read(path: Path) -> list[Score]:
    """Read and check a table.

    Raises:
        LabError: no such file, no rows, a missing column, a label other than 0 and 1, a score that is no number.
    """
    if not path.is_file():
        raise LabError("scores.missing", f"{path}: there is no such score table.")
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [name for name in REQUIRED if name not in (reader.fieldnames or ())]
        if missing:
            raise LabError(
                "scores.columns", f"{path}: the columns {', '.join(missing)} are missing; a score table needs them."
            )
        rows = [_row(path, reader.line_num, row) for row in reader if None not in row.values()]
    if not rows:
        raise LabError("scores.empty", f"{path}: the table has no rows, so there is nothing to judge.")
    return rows


def two_classes(rows: Sequence[Score], what: str = "the table") -> None:
    """Raise `LabError` unless both classes have scored rows."""
    found = {row.label for row in rows if row.status == "ok"}
    if found != {0, 1}:
        there = {0: "bona fide", 1: "synthetic or manipulated"}
        lacking = " and ".join(there[i] for i in (0, 1) if i not in found)
        raise LabError("scores.one_class", f"{what} has no scored {lacking} files; both classes are needed.")


@dataclass(frozen=True)
class Columns:
    """A table's scored rows as arrays of one length."""

    raw: NDArray[np.float64]
    truth: NDArray[np.bool_]
    source: NDArray[np.str_]
    generator: NDArray[np.str_]
    family: NDArray[np.str_]
    kind: NDArray[np.str_]
    variant: NDArray[np.str_]
    stratum: NDArray[np.str_]
    path: NDArray[np.str_]
    distance: NDArray[np.float64]


def columns(rows: Iterable[Score]) -> Columns:
    """The rows with a score, as arrays."""
    kept = [row for row in rows if row.status == "ok"]

    def text(name: str) -> NDArray[np.str_]:
        return np.asarray([getattr(row, name) for row in kept], np.str_)

    return Columns(
        raw=np.asarray([row.raw for row in kept], np.float64),
        truth=np.asarray([row.label == 1 for row in kept], bool),
        distance=np.asarray([row.distance for row in kept], np.float64),
        **{name: text(name) for name in ("source", "generator", "family", "kind", "variant", "stratum", "path")},
    )


@dataclass(frozen=True)
class Measures:
    """How well the classes are told apart, with 95 % intervals from drawing whole sources."""

    n_bona_fide: int
    n_synthetic: int
    sources: int
    auc: Interval
    eer: Interval
    tpr1: Interval
    tpr5: Interval
    within: Interval
    within_sources: int


def measure(rows: Sequence[Score], rounds: int = ROUNDS) -> Measures:
    """AUC, EER, TPR at 1 % and 5 % false alarms, and AUC within the sources that have both classes."""
    two_classes(rows)
    c = columns(rows)

    def boot(of: metrics.Measure) -> Interval:
        return metrics.bootstrap(lambda i: of(c.raw[i], c.truth[i]), c.source, rounds)

    both = metrics.within_sources(c.raw, c.truth, c.source)
    each, names = np.asarray(list(both.values()), np.float64), np.asarray(list(both), np.str_)
    within = metrics.bootstrap(lambda i: float(each[i].mean()) if len(i) else math.nan, names, rounds)
    return Measures(
        n_bona_fide=int((~c.truth).sum()),
        n_synthetic=int(c.truth.sum()),
        sources=len(np.unique(c.source)),
        auc=boot(metrics.auc),
        eer=boot(metrics.eer),
        tpr1=boot(lambda s, t: metrics.tpr_at(s, t, 0.01)),
        tpr5=boot(lambda s, t: metrics.tpr_at(s, t, 0.05)),
        within=within,
        within_sources=len(both),
    )


def by_family(rows: Sequence[Score], column: str = "family", least: int = 5) -> dict[str, tuple[int, float]]:
    """(files, AUC against all bona fide files) by family, or by ``generator`` or ``source`` of the synthetic files."""
    c = columns(rows)
    names = getattr(c, column)
    bona = c.raw[~c.truth]
    out = {}
    for name in np.unique(names[c.truth]):
        found = c.raw[c.truth & (names == name)]
        if len(found) >= least:
            scores, truth = np.r_[bona, found], np.r_[np.zeros(len(bona), bool), np.ones(len(found), bool)]
            out[str(name) or "not named"] = (len(found), metrics.auc(scores, truth))
    return out


def summary(rows: Sequence[Score], rounds: int = ROUNDS) -> Iterator[str]:
    """Lines for a terminal: all rows, then by variant, then by family. Raises `LabError` on a one-class table."""
    two_classes(rows)
    yield _line("all", measure(rows, rounds))
    variants = list(dict.fromkeys(row.variant for row in rows))
    for variant in variants if len(variants) > 1 else ():
        part = [row for row in rows if row.variant == variant]
        if {row.label for row in part if row.status == "ok"} == {0, 1}:
            yield _line(variant, measure(part, rounds))
    for name, (n, value) in sorted(by_family(rows).items(), key=lambda item: item[1][1]):
        yield f"  {name}: AUC {value:.3f} (n {n})"
    declined = sum(row.status != "ok" for row in rows)
    if declined:
        yield f"declined: {declined} of {len(rows)} ({declined / len(rows):.1%})"


def _line(name: str, m: Measures) -> str:
    return (
        f"{name}: AUC {m.auc}, EER {m.eer}, TPR@1% {m.tpr1}, TPR@5% {m.tpr5}, within {m.within_sources} sources "
        f"{m.within}; n {m.n_bona_fide} bona fide, {m.n_synthetic} synthetic, {m.sources} sources"
    )


def _text(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.7g}"
    return str(value)


def _row(path: Path, line: int, row: dict[str, str]) -> Score:
    where = f"{path}, line {line}"
    known = {f.name for f in fields(Score)}
    values: dict[str, object] = {k: v for k, v in row.items() if k in known and k not in _NUMBERS}
    values.setdefault("question", "")
    label = row["label"].strip()
    if label not in ("0", "1"):
        raise LabError(
            "scores.label",
            f"{where}: the label is {label!r}; it must be 0 (bona fide) or 1 (synthetic or manipulated).",
        )
    values["status"] = row.get("status") or "ok"
    raw = _number(where, "raw", row["raw"])
    if values["status"] == "ok" and not math.isfinite(raw):
        raise LabError("scores.not_a_number", f"{where}: the score of {row['path']} is {row['raw']!r}, not a number.")
    if not row["source"]:
        raise LabError("scores.source", f"{where}: {row['path']} names no source; splits and intervals need it.")
    return Score(
        **{k: str(v) for k, v in values.items()},
        label=int(label),
        raw=raw,
        fold=int(row.get("fold") or -1),
        distance=_number(where, "distance", row.get("distance") or ""),
        seconds=_number(where, "seconds", row.get("seconds") or ""),
    )


_NUMBERS = ("label", "raw", "fold", "distance", "seconds")


def _number(where: str, name: str, text: str) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError as error:
        raise LabError("scores.not_a_number", f"{where}: {name} is {text!r}, not a number.") from error
