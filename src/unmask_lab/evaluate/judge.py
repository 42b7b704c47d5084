"""``unmask-lab eval``: a judge over a manifest, clean and worn, into a score table; a stopped run goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from unmask_lab import manifest, scores
from unmask_lab.errors import LabError
from unmask_lab.evaluate.judges import Judge, Opinion
from unmask_lab.kit import kind_of_source, kinds_by_path
from unmask_lab.launder import ladder
from unmask_lab.manifest import Row
from unmask_lab.scores import Score

CLEAN = "clean"


@dataclass(frozen=True)
class Plan:
    """What to judge: ``root`` is where the rows' paths begin, ``work`` where worn copies are kept."""

    rows: tuple[Row, ...]
    root: Path
    work: Path
    variants: tuple[str, ...] = (CLEAN,)
    kinds: dict[str, str] | None = None


def plan(
    table: Path,
    work: Path,
    modality: str,
    question: str = "",
    variants: Sequence[str] = (CLEAN,),
    every: int = 1,
) -> Plan:
    """Read a manifest, or the labelled kit where ``table`` is its folder.

    Args:
        table: manifest (CSV) or the kit's data folder.
        work: worn copies go here.
        modality: ``image``, ``audio`` or ``video``.
        question: only positives of this question (and all bona fide files); empty takes all.
        variants: ``clean``, ``laundered:N``, or steps of the ladder.
        every: every n-th file of each source, the first always.

    Raises:
        LabError: the manifest is broken, empty or of one class, or a step does not exist.
    """
    for variant in variants:
        ladder.known(modality, variant)
    folder = table.is_dir()
    rows = manifest.from_kit(table, modality) if folder else manifest.read(table)
    kept = [r for r in rows if r.modality == modality and (not r.positive or question in ("", r.question))]
    kept = list(thinned(kept, every))
    if len({row.positive for row in kept}) < 2:
        raise LabError("eval.one_class", f"{table} has not both bona fide and {question or 'other'} {modality} files.")
    root = table if folder else table.parent
    return Plan(tuple(kept), root, work, tuple(variants), kinds_by_path(root, modality))


def thinned(rows: Sequence[Row], every: int) -> Iterator[Row]:
    """Every n-th file of each source and label, so that no source is lost."""
    seen: dict[tuple[str, bool], int] = {}
    for row in rows:
        key = (row.source, row.positive)
        seen[key] = seen.get(key, -1) + 1
        if seen[key] % every == 0:
            yield row


def judge(found: Plan, who: Judge, table: Path) -> Iterator[int]:
    """Score all files and variants, append to ``table``; yields how many are done. Rows that are there stay.

    Raises:
        LabError: the table is broken, a file cannot be read, or the judge cannot work.
    """
    known = _done(table, who.name)
    done = len(known)
    for variant in found.variants:
        todo = [row for row in found.rows if (row.path, variant) not in known]
        for part in _batches(todo, who.batch):
            paths = [ladder.make_variant(found.root / r.path, r.modality, variant, found.work) for r in part]
            opinions = who.score(paths)
            rows = [_score(row, variant, who.name, o, found) for row, o in zip(part, opinions, strict=True)]
            scores.append(table, rows)
            done += len(rows)
            yield done


def _batches(rows: Sequence[Row], size: int) -> Iterator[tuple[Row, ...]]:
    for start in range(0, len(rows), size):
        yield tuple(rows[start : start + size])


def _done(table: Path, name: str) -> set[tuple[str, str]]:
    if not table.is_file():
        return set()
    try:
        return {(row.path, row.variant) for row in scores.read(table) if row.detector == name}
    except LabError as error:
        if error.code == "scores.empty":
            return set()
        raise


def _score(row: Row, variant: str, name: str, opinion: Opinion, found: Plan) -> Score:
    kinds = found.kinds or {}
    kind = "" if row.positive else kinds.get(row.path) or kind_of_source(row.source, row.modality)
    return Score(
        path=row.path,
        question=row.question,
        detector=name,
        label=int(row.positive),
        source=row.source or "not named",
        generator=row.generator,
        family=row.family,
        kind=kind,
        variant=variant,
        stratum=opinion.stratum,
        raw=opinion.raw,
        status=opinion.status,
        seconds=opinion.seconds,
    )
