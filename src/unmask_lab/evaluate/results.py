"""The results table: one row a file and detector, appended as it is known, so that a run can be resumed."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

BASELINE = "baseline."


@dataclass(frozen=True)
class Result:
    """What one detector said about one file.

    ``code`` fingerprints the detector (without its calibration) and the file: what changed is run again.
    ``raw_score``, ``f1_best`` (best threshold a picture), ``f1_fixed`` (threshold 0.5) and ``auc`` (pixels) are NaN
    where there is none. Detectors named ``baseline.*`` are trivial facts of the file, such as its size.
    """

    path: str
    detector: str
    code: str
    status: str
    reason: str
    raw_score: float = math.nan
    seconds: float = 0.0
    f1_best: float = math.nan
    f1_fixed: float = math.nan
    auc: float = math.nan

    @property
    def scored(self) -> bool:
        """Whether there is a number to judge."""
        return self.status == "ok" and not math.isnan(self.raw_score)


_FLOATS = ("raw_score", "seconds", "f1_best", "f1_fixed", "auc")


def read(path: Path) -> dict[tuple[str, str], Result]:
    """Newest result by (path, detector); empty where there is no table yet."""
    if not path.is_file():
        return {}
    out: dict[tuple[str, str], Result] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if None in row.values():
                continue  # the last line of an interrupted run
            numbers = {name: float(row[name] or "nan") for name in _FLOATS}
            result = Result(**{**row, **numbers})  # type: ignore[arg-type]
            out[result.path, result.detector] = result
    return out


def append(path: Path, results: Iterable[Result]) -> None:
    """Add rows, with the header where the table is new."""
    new = not path.is_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Result)], lineterminator="\n")
        if new:
            writer.writeheader()
        for result in results:
            row = asdict(result)
            writer.writerow({k: _short(v) if isinstance(v, float) else v for k, v in row.items()})


def _short(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"
