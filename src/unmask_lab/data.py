"""A results table and its manifest, joined into arrays for fitting and measuring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unmask_lab.evaluate.results import Result
from unmask_lab.forge.manifest import Row


@dataclass(frozen=True)
class Data:
    """Files of one modality, in the manifest's order; ``raw[detector]`` is NaN where the detector gave no number."""

    rows: tuple[Row, ...]
    raw: dict[str, NDArray[np.float64]]
    results: tuple[dict[str, Result], ...]

    @property
    def truth(self) -> NDArray[np.bool_]:
        """(n,) True for manipulated."""
        return np.asarray([row.manipulated for row in self.rows], bool)

    @property
    def parents(self) -> NDArray[np.str_]:
        """(n,) the kit's file behind each."""
        return np.asarray([row.parent for row in self.rows], np.str_)

    @property
    def sources(self) -> NDArray[np.str_]:
        """(n,) the kit's folder behind each."""
        return np.asarray([row.parent_source for row in self.rows], np.str_)

    @property
    def kinds(self) -> NDArray[np.str_]:
        """(n,) kind of real media; manipulated files carry their parent's."""
        return np.asarray([row.kind_of_real_media for row in self.rows], np.str_)

    def pick(self, keep: NDArray[np.bool_]) -> Data:
        """The files where ``keep`` is True."""
        where = np.flatnonzero(keep)
        raw = {name: values[where] for name, values in self.raw.items()}
        return Data(tuple(self.rows[i] for i in where), raw, tuple(self.results[i] for i in where))


def load(rows: list[Row], results: Mapping[tuple[str, str], Result], modality: str) -> Data:
    """Join; files that no detector has seen are left out."""
    by_path: dict[str, dict[str, Result]] = {}
    for (path, detector), result in results.items():
        by_path.setdefault(path, {})[detector] = result
    kept = [row for row in rows if row.modality == modality and row.path in by_path]
    found = tuple(by_path[row.path] for row in kept)
    names = sorted({name for one in found for name, result in one.items() if result.scored})
    nan = float("nan")
    raw = {
        name: np.asarray([one[name].raw_score if name in one and one[name].scored else nan for one in found])
        for name in names
    }
    return Data(tuple(kept), raw, found)


def balanced_weights(data: Data) -> NDArray[np.float64]:
    """(n,) weights: within the manipulated every family, within the bona fide every variant's parent counts alike."""
    keys = [(row.family, row.parent) if row.manipulated else ("none", row.parent) for row in data.rows]
    count: dict[tuple[str, str], int] = {}
    for key in keys:
        count[key] = count.get(key, 0) + 1
    per_parent = np.asarray([1.0 / count[key] for key in keys])
    family = np.asarray([row.family for row in data.rows], np.str_)
    out = per_parent.copy()
    for name in np.unique(family):
        out[family == name] /= per_parent[family == name].sum()
    return out
