"""Runs the installed detectors over a manifest on a few processes; a stopped run goes on where it was."""

from __future__ import annotations

import hashlib
import multiprocessing
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from unmask.card import Card, find_cards
from unmask.execution.work import run_one
from unmask.options import Options
from unmask.report import Finding
from unmask.subject import Subject
from unmask_lab.evaluate import results
from unmask_lab.evaluate.pixels import agreement, map_of
from unmask_lab.evaluate.results import BASELINE, Result
from unmask_lab.forge import manifest
from unmask_lab.forge.build import MODALITIES
from unmask_lab.forge.manifest import Row

SAVED_MAP_SIDE = 192


@dataclass(frozen=True)
class Task:
    """One file and the detectors to run on it; ``maps`` is where the maps of manipulated pictures are kept."""

    root: Path
    row: Row
    detectors: tuple[str, ...]
    maps: Path


def fingerprint(card: Card) -> str:
    """Twelve hex digits of the detector's code and card, without the tables that a calibration writes."""
    return _fingerprint(card.folder)


def _tied(code: str, row: Row) -> str:
    """A result belongs to the detector's code and to the file's bytes."""
    return f"{code}-{row.sha256[:8]}"


@cache
def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.read_bytes())
    card = re.split(
        r"^\[(?:calibration|strata|false_alarms)", (folder / "card.toml").read_text("utf-8"), flags=re.MULTILINE
    )[0]
    digest.update(card.strip().encode())
    return digest.hexdigest()[:12]


def evaluate(
    folder: Path,
    table: Path,
    only: Sequence[str] = (),
    workers: int = 1,
    every: int = 1,
    modalities: Sequence[str] = MODALITIES,
) -> Iterator[int]:
    """Examine every ``every``-th parent of the set in ``folder``; yields how many files are done.

    Args:
        folder: a set made by `unmask-lab forge`.
        table: results (CSV); rows that are there already and fit the detector's code are not made again.
        only: detector ids; by default all that can move a verdict (scored, or with labels of their own).
        workers: processes.
        every: 1 takes all parents, 2 every second one, and so on.
        modalities: only these kinds of media.
    """
    known = results.read(table)
    cards = {c.id: fingerprint(c) for c in find_cards() if (c.id in only if only else c.scored or c.labels)}
    rows = [row for row in thinned(manifest.read(folder), every) if row.modality in modalities]
    maps = table.with_suffix("").with_name(table.stem + "-maps")
    maps.mkdir(parents=True, exist_ok=True)
    tasks = [t for row in rows if (t := _task(folder, row, cards, known, maps)).detectors]
    context = multiprocessing.get_context("forkserver")
    # Leaving this block, for whatever reason, ends the workers; an executor's would finish their queue first.
    with context.Pool(workers, initializer=_start) as pool:
        for done, found in enumerate(pool.imap(examine, tasks, chunksize=4), 1):
            results.append(table, found)
            yield done


def thinned(rows: list[Row], every: int) -> list[Row]:
    """All files of every ``every``-th parent, in the manifest's order."""
    parents = {parent: i for i, parent in enumerate(dict.fromkeys(row.parent for row in rows))}
    return [row for row in rows if parents[row.parent] % every == 0]


def _task(folder: Path, row: Row, cards: dict[str, str], known: dict[tuple[str, str], Result], maps: Path) -> Task:
    def fresh(detector: str, code: str) -> bool:
        found = known.get((row.path, detector))
        return found is not None and found.code == _tied(code, row)

    todo = [i for i, code in cards.items() if i.split(".")[0] in _families(row) and not fresh(i, code)]
    if not fresh(f"{BASELINE}bytes", "1"):
        todo.append(BASELINE)
    return Task(folder, row, tuple(todo), maps)


def _families(row: Row) -> tuple[str, ...]:
    """First words of the detector ids that could apply, so that no task is made for nothing."""
    own = {"image": ("image", "face"), "audio": ("audio", "voice"), "video": ("video", "face", "audio", "voice")}
    return (*own[row.modality], "provenance")


def _start() -> None:
    cv2.setNumThreads(1)


def examine(task: Task) -> list[Result]:
    """Run the detectors of one task."""
    subject = Subject(task.root / task.row.path)
    out: list[Result] = []
    kept: dict[str, np.ndarray] = {}
    mask = _mask(task)
    for card in find_cards():
        if card.id not in task.detectors:
            continue
        if not card.accepts(subject.kind, subject.format):
            out.append(Result(task.row.path, card.id, _tied(fingerprint(card), task.row), "not_applicable", "card"))
            continue
        finding = run_one(card, subject, Options())
        result = _result(task, card, finding)
        if mask is not None and (heat := map_of(finding, mask.shape[::-1])) is not None:
            result = replace(result, **vars(agreement(heat, mask)))
            kept[card.id] = _small(heat)
        out.append(result)
    if BASELINE in task.detectors:
        out.extend(_baselines(task, subject))
    if kept:
        _keep(task, kept)
    return out


def _result(task: Task, card: Card, finding: Finding) -> Result:
    raw = float("nan") if finding.raw_score is None else finding.raw_score
    code = _tied(fingerprint(card), task.row)
    return Result(task.row.path, card.id, code, finding.status, finding.reason.code, raw, finding.seconds)


def _mask(task: Task) -> np.ndarray | None:
    if not task.row.mask:
        return None
    with Image.open(task.root / task.row.mask) as image:
        return np.asarray(image.convert("L"))


def _small(heat: np.ndarray) -> np.ndarray:
    scale = min(1.0, SAVED_MAP_SIDE / max(heat.shape))
    size = (max(1, round(heat.shape[1] * scale)), max(1, round(heat.shape[0] * scale)))
    return np.asarray(np.round(cv2.resize(heat, size, interpolation=cv2.INTER_AREA) * 255), np.uint8)


def _keep(task: Task, maps: dict[str, np.ndarray]) -> None:
    """Keep small maps, so that fused maps can be measured after a calibration without running anything again."""
    path = maps_path(task.maps, task.row)
    old = dict(np.load(path)) if path.is_file() else {}
    np.savez_compressed(path, **{**old, **maps})


def maps_path(folder: Path, row: Row) -> Path:
    """Where the maps of one file are kept."""
    return folder / f"{row.sha256[:24]}.npz"


def _baselines(task: Task, subject: Subject) -> Iterator[Result]:
    """Facts that must not tell the classes apart, or the set is unfair."""
    facts = {"bytes": float(subject.size)}
    if task.row.modality == "image":
        w, h = subject.image.width, subject.image.height
        facts |= {"bytes_per_pixel": subject.size / (w * h), "long_side": float(max(w, h))}
    for name, value in facts.items():
        yield Result(task.row.path, BASELINE + name, _tied("1", task.row), "ok", "baseline", value)
