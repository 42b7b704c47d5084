"""What score tables say of one question: a study, and its tables in Markdown. Every figure with its n.

Headline: files of generators that no other fold has, so that whoever scored them had never seen the generator; and
both classes after the same laundering.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unmask_lab import learned, scores
from unmask_lab.errors import LabError
from unmask_lab.evaluate import metrics
from unmask_lab.evaluate.metrics import Floats, Interval
from unmask_lab.evaluate.results import BASELINE
from unmask_lab.launder import ladder
from unmask_lab.scores import Columns, Score

CLEAN, LAUNDERED = "clean", "laundered"
LEAST_FILES = 5
MOST_ROWS = 24
RATES = (0.05, 0.01)


@dataclass(frozen=True)
class Judged:
    """One detector's (and stratum's) rows, clean and laundered, and its rows after each step of wear."""

    name: str
    rows: tuple[Score, ...]
    steps: dict[str, tuple[Score, ...]] = field(default_factory=dict)
    timed: tuple[Score, ...] = ()
    """Rows of another run that tell what an examination costs; those of training tables were not timed."""

    @property
    def trivial(self) -> bool:
        """Whether it is a baseline: a fact of the file that should tell nothing."""
        return self.name.startswith(BASELINE)

    def part(self, group: str) -> tuple[Score, ...]:
        """Rows that are clean, or laundered in any way."""
        return tuple(row for row in self.rows if row.variant.partition(":")[0] == group)

    @property
    def main(self) -> tuple[Score, ...]:
        """The rows that figures without a name are about: the laundered ones, clean where none was laundered."""
        return self.part(LAUNDERED) or self.part(CLEAN) or self.rows


@dataclass(frozen=True)
class Study:
    """Everything about one question."""

    title: str
    judged: tuple[Judged, ...]
    rounds: int

    @property
    def serious(self) -> tuple[Judged, ...]:
        """The detectors, without the baselines."""
        return tuple(j for j in self.judged if not j.trivial)


def study(tables: Sequence[Path], title: str = "", rounds: int = scores.ROUNDS, cost: Sequence[Path] = ()) -> Study:
    """Read score tables of one question. Raises `LabError` where one is bad or has one class only.

    ``cost``: tables of ``unmask-lab eval`` of which only the seconds count, for detectors of the same name and stratum.
    """
    groups, timed = _groups(tables), _groups(cost)
    if not groups:
        raise LabError("scores.empty", "No score table was given.")
    judged = tuple(_judged(name, rows, timed.get(name, ())) for name, rows in groups.items())
    kept = tuple(j for j in judged if {row.label for row in j.main if row.status == "ok"} == {0, 1})
    if not kept:
        raise LabError("scores.one_class", "None of the tables has scored files of both classes.")
    return Study(title or "Evaluation", tuple(sorted(kept, key=lambda j: (j.trivial, -_area(j)))), rounds)


def _area(judged: Judged) -> float:
    c = scores.columns(judged.main)
    return metrics.auc(c.raw, c.truth)


def _groups(tables: Sequence[Path]) -> dict[str, list[Score]]:
    """Rows by detector and stratum."""
    groups: dict[str, list[Score]] = {}
    for path in tables:
        for row in scores.read(path):
            name = row.detector or (row.question if row.question and row.label else "") or path.stem
            groups.setdefault(f"{name} ({row.stratum})" if row.stratum else name, []).append(row)
    return groups


def _judged(name: str, rows: Sequence[Score], timed: Sequence[Score]) -> Judged:
    steps = {*ladder.steps("image"), *ladder.steps("audio")}
    worn = {step: tuple(row for row in rows if row.variant == step) for step in steps}
    plain = tuple(row for row in rows if row.variant not in steps)
    return Judged(name, plain, {step: found for step, found in worn.items() if found}, tuple(timed))


def blocks(found: Study) -> Iterator[str]:
    """The Markdown blocks of docs/evaluation.md for one question."""
    yield f"### {found.title}: {set_line(found)}"
    for make in (headline, by_variant, by_family, by_generator, by_source, by_kind, robustness, calibration):
        lines = list(make(found))
        if lines:
            yield "\n".join(lines)


def set_line(found: Study) -> str:
    """How many files and sources stand behind the first detector's figures."""
    c = scores.columns(found.judged[0].rows)
    bona, made = (len(np.unique(c.path[t])) for t in (~c.truth, c.truth))
    variants = len(np.unique(c.variant))
    copies = f", {variants} clean and laundered copies of each" if variants > 1 else ""
    return f"{bona} bona fide and {made} other files of {len(np.unique(c.source))} sources{copies}"


@dataclass(frozen=True)
class Headline:
    """The figures of the first table's row; NaN where a set has no such files."""

    clean: Interval
    laundered: Interval
    eer: Interval
    found5: Interval
    found1: Interval
    within: Interval
    within_sources: int
    unseen: Interval
    unseen_generators: int
    macro: float
    worst: tuple[str, float]
    seconds: float
    declined: float


_measured: dict[tuple[int, int], tuple[Judged, Headline]] = {}
_NONE = Interval(math.nan, math.nan, math.nan)


def figures(judged: Judged, rounds: int) -> Headline:
    """Measure one detector; measured once, since the page and its tables ask alike."""
    key = (id(judged), rounds)
    if key not in _measured or _measured[key][0] is not judged:
        _measured[key] = (judged, _figures(judged, rounds))
    return _measured[key][1]


def _figures(judged: Judged, rounds: int) -> Headline:
    main = scores.measure(judged.main, rounds)
    clean, laundered = (_auc(judged.part(group), rounds) for group in (CLEAN, LAUNDERED))
    unseen, generators = never_seen(judged.main)
    families = scores.by_family(judged.main)
    each = [value for _, value in scores.by_family(judged.main, "generator").values()]
    seconds = [row.seconds for row in judged.timed or judged.rows if not math.isnan(row.seconds) and row.status == "ok"]
    worst = min(families.items(), key=lambda item: item[1][1]) if families else ("", (0, math.nan))
    return Headline(
        clean=clean,
        laundered=laundered,
        eer=main.eer,
        found5=main.tpr5,
        found1=main.tpr1,
        within=main.within,
        within_sources=main.within_sources,
        unseen=_auc(unseen, rounds),
        unseen_generators=generators,
        macro=float(np.mean(each)) if each else math.nan,
        worst=(worst[0], worst[1][1]),
        seconds=float(np.median(seconds)) if seconds else math.nan,
        declined=float(np.mean([row.status != "ok" for row in judged.rows])),
    )


def never_seen(rows: Sequence[Score]) -> tuple[list[Score], int]:
    """All bona fide rows, and those of generators that only one fold has; how many generators those are.

    The model that scored a fold was trained on the others, so it never saw such a generator. Rows without a fold come
    from a judge that was trained elsewhere and say nothing here.
    """
    folds: dict[str, set[int]] = {}
    for row in rows:
        if row.label and row.generator and row.fold >= 0:
            folds.setdefault(row.generator, set()).add(row.fold)
    lone = {generator for generator, where in folds.items() if len(where) == 1}
    kept = [row for row in rows if row.generator in lone or not row.label]
    return (kept, len(lone)) if lone else ([], 0)


def _auc(rows: Sequence[Score], rounds: int) -> Interval:
    c = scores.columns(rows)
    if len(np.unique(c.truth)) < 2:
        return _NONE
    return metrics.bootstrap(lambda i: metrics.auc(c.raw[i], c.truth[i]), c.source, rounds)


def headline(found: Study) -> Iterator[str]:
    """One row a detector, baselines below."""
    yield (
        "Telling the classes apart, with 95 % intervals from drawing whole sources (from EER on: the laundered copies, "
        "clean ones where none was laundered):\n"
    )
    yield (
        "| detector | clean AUC | laundered AUC | EER | found at 5 % | at 1 % | within sources (n) "
        "| unseen generators (n) | mean over generators | worst family | declined | median s |"
    )
    yield "|---" * 12 + "|"
    for judged in found.judged:
        h = figures(judged, found.rounds)
        yield (
            f"| {judged.name} | {told(h.clean)} | {told(h.laundered)} | {h.eer} | {h.found5} | {h.found1} "
            f"| {told(h.within, h.within_sources)} | {told(h.unseen, h.unseen_generators)} | {dot(h.macro)} "
            f"| {h.worst[0]} {dot(h.worst[1])} | {h.declined:.0%} | {seconds(h.seconds)} |"
        )


def by_variant(found: Study) -> Iterator[str]:
    """AUC of each kind of copy that is no step of wear."""
    variants = list(dict.fromkeys(row.variant for judged in found.serious for row in judged.rows))
    if len(variants) < 3:
        return
    yield "By copy (each the same files): AUC\n"
    yield f"| detector | {' | '.join(variants)} |"
    yield "|---" * (1 + len(variants)) + "|"
    for judged in found.serious:
        each = [scores.columns([row for row in judged.rows if row.variant == variant]) for variant in variants]
        yield f"| {judged.name} | {' | '.join(dot(metrics.auc(c.raw, c.truth)) for c in each)} |"


def by_family(found: Study) -> Iterator[str]:
    """AUC of each family against all bona fide files."""
    names = _names(found, "family")
    if not names:
        return
    yield "By family: AUC against all bona fide files, laundered (copies scored):\n"
    yield from _matrix(found, names, "family")


def by_generator(found: Study) -> Iterator[str]:
    """The generators with the most files."""
    names = _names(found, "generator")[:MOST_ROWS]
    if not names:
        return
    yield f"By generator (the {len(names)} with the most files): AUC against all bona fide files (copies scored):\n"
    yield "| generator |" + "".join(f" {j.name} |" for j in found.serious)
    yield "|---" * (1 + len(found.serious)) + "|"
    each = [scores.by_family(j.main, "generator", LEAST_FILES) for j in found.serious]
    for name in names:
        yield f"| {name} |" + "".join(f" {_cell(one.get(name))} |" for one in each)


def by_source(found: Study) -> Iterator[str]:
    """Sources that give both classes, hardest first."""
    first = found.serious[0] if found.serious else None
    if first is None:
        return
    c = scores.columns(first.main)
    inside = metrics.within_sources(c.raw, c.truth, c.source)
    if not inside:
        return
    hardest = sorted(inside, key=lambda name: inside[name])[:MOST_ROWS]
    yield f"Within sources that give both classes ({first.name}; the {len(hardest)} hardest of {len(inside)}):\n"
    yield "| source | bona fide | other | AUC |"
    yield "|---|---|---|---|"
    for name in hardest:
        here = c.source == name
        yield f"| {name} | {int((here & ~c.truth).sum())} | {int((here & c.truth).sum())} | {dot(inside[name])} |"


@dataclass(frozen=True)
class Alarms:
    """Shares of one kind's bona fide files above the levels that 5 % and 1 % of all bona fide files exceed."""

    kind: str
    files: int
    sources: int
    shares: tuple[float, float]


def alarms(judged: Judged) -> list[Alarms]:
    """False alarms by kind of real media, at levels set on all bona fide rows, worst first."""
    c = scores.columns(judged.rows)
    bona = ~c.truth
    levels = [metrics.threshold_at(c.raw[bona], rate) for rate in RATES]
    out = []
    for kind in np.unique(c.kind[bona]):
        inside = bona & (c.kind == kind)
        shares = tuple(float((c.raw[inside] > level).mean()) for level in levels)
        files, sources = len(np.unique(c.path[inside])), len(np.unique(c.source[inside]))
        out.append(Alarms(str(kind) or "not named", files, sources, (shares[0], shares[1])))
    return sorted(out, key=lambda a: -a.shares[0])


def by_kind(found: Study) -> Iterator[str]:
    """False alarms by kind of real media for the detectors."""
    for judged in found.serious:
        rows = alarms(judged)
        if len(rows) < 2:
            continue
        yield f"False alarms of {judged.name} by kind of real media, at levels that 5 % and 1 % of all exceed:\n"
        yield "| kind | files | sources | at 5 % | at 1 % |"
        yield "|---|---|---|---|---|"
        for a in rows:
            yield f"| {a.kind} | {a.files} | {a.sources} | {a.shares[0]:.1%} | {a.shares[1]:.1%} |"
        yield ""


def curves(found: Study) -> dict[str, dict[str, list[tuple[str, float]]]]:
    """Curve of wear -> detector -> (step, AUC), beginning with the clean files of the same paths."""
    out: dict[str, dict[str, list[tuple[str, float]]]] = {}
    for modality in ("image", "audio"):
        for name, steps in ladder.curves(modality).items():
            for judged in found.serious:
                have = [step for step in steps if step in judged.steps]
                if have:
                    points = [(CLEAN, _worn(judged, have[0], clean=True))]
                    points += [(step, _worn(judged, step)) for step in have]
                    out.setdefault(name, {})[judged.name] = points
    return out


def _worn(judged: Judged, step: str, clean: bool = False) -> float:
    paths = {row.path for row in judged.steps[step]}
    rows = [row for row in judged.part(CLEAN) if row.path in paths] if clean else judged.steps[step]
    c = scores.columns(rows)
    return metrics.auc(c.raw, c.truth)


def robustness(found: Study) -> Iterator[str]:
    """AUC after each step of wear, the same for both classes."""
    for name, by_judge in curves(found).items():
        steps = [step for step, _ in next(iter(by_judge.values()))]
        yield f"After wear, {name}: AUC\n"
        yield f"| detector | {' | '.join(steps)} |"
        yield "|---" * (1 + len(steps)) + "|"
        for detector, points in by_judge.items():
            yield f"| {detector} | {' | '.join(dot(value) for _, value in points)} |"
        yield ""


def probabilities(judged: Judged) -> tuple[Floats, Columns, Floats]:
    """Cross-fitted probabilities of all rows (each from a calibration on other sources), the rows, their weights."""
    c = scores.columns(judged.rows)
    weight = learned.weights(c)
    return 1 / (1 + 10.0 ** -learned.cross_fitted(c, weight)), c, weight


def reliability(judged: Judged) -> tuple[float, list[tuple[int, float, float, float]]]:
    """Calibration error and bins (files, weight, mean stated, share of positives); NaN where sources are too few."""
    try:
        stated, c, weight = probabilities(judged)
    except LabError:
        return math.nan, []
    bins = metrics.reliability(stated, c.truth, weight=weight)
    return metrics.ece(stated, c.truth, weight=weight), bins


def calibration(found: Study) -> Iterator[str]:
    """Stated probability against the share of positives at even priors, cross-fitted by source."""
    for judged in found.serious:
        error, bins = reliability(judged)
        if not bins:
            continue
        yield (
            f"Calibration of {judged.name} (cross-fitted by source, even priors, families and sources balanced): "
            f"ECE {error:.3f}\n"
        )
        yield "| files | mean stated | share synthetic or manipulated |"
        yield "|---|---|---|"
        for n, _, said, true in bins:
            yield f"| {n} | {said:.2f} | {true:.2f} |"
        yield ""
        yield from _calibration_by_copy(judged)


def _calibration_by_copy(judged: Judged) -> Iterator[str]:
    each = errors_by_copy(judged)
    if len(each) < 2:
        return
    yield f"By copy, ECE of {judged.name}: of the one calibration, and of one fitted to such copies alone\n"
    yield f"| calibration | {' | '.join(each)} |"
    yield "|---" * (1 + len(each)) + "|"
    for i, name in enumerate(("one for all copies", "its own")):
        yield f"| {name} | {' | '.join(f'{errors[i]:.3f}' for errors in each.values())} |"
    yield ""


def errors_by_copy(judged: Judged) -> dict[str, tuple[float, float]]:
    """Variant to the calibration error of the one calibration on such copies, and of one fitted to them alone.

    Both cross-fitted by source; where the two are alike, a calibration for each quality would gain nothing.
    """
    out: dict[str, tuple[float, float]] = {}
    stated, everything, _ = probabilities(judged)
    for variant in sorted(set(everything.variant.tolist())):
        own = Judged(judged.name, tuple(row for row in judged.rows if row.variant == variant))
        try:
            alone, c, weight = probabilities(own)
        except LabError:
            continue
        here = stated[everything.variant == variant]
        out[variant] = (metrics.ece(here, c.truth, weight=weight), metrics.ece(alone, c.truth, weight=weight))
    return out


def _names(found: Study, column: str) -> list[str]:
    """Families or generators with enough files, most first."""
    if not found.serious:
        return []
    c = scores.columns(found.serious[0].main)
    values: NDArray[np.str_] = getattr(c, column)
    names, counts = np.unique(values[c.truth], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [str(names[i]) for i in order if counts[i] >= LEAST_FILES and names[i]]


def _matrix(found: Study, names: list[str], column: str) -> Iterator[str]:
    yield f"| detector | {' | '.join(names)} |"
    yield "|---" * (1 + len(names)) + "|"
    for judged in found.serious:
        each = scores.by_family(judged.main, column, LEAST_FILES)
        yield f"| {judged.name} | {' | '.join(_cell(each.get(name)) for name in names)} |"


def _cell(found: tuple[int, float] | None) -> str:
    return "–" if found is None else f"{dot(found[1])} ({found[0]})"


def told(value: Interval, n: int = 0) -> str:
    """A value with its interval and n, ``–`` where there is none."""
    if math.isnan(value.value):
        return "–"
    return f"{value} ({n})" if n else str(value)


def dot(value: float) -> str:
    """``.71`` for 0.71, ``–`` for NaN."""
    return str(Interval(value, 0, 0)).partition(" ")[0]


def seconds(value: float) -> str:
    """Two significant digits."""
    return "–" if math.isnan(value) else f"{value:.2g}"
