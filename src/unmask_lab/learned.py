"""Calibrates a trained detector from a table of out-of-fold scores, and writes its card and ``verdict.toml``.

For each stratum: the table from raw score to log10 likelihood ratio; the scores of the labels at the group's share of
5 % and 1 % false alarms, overall and in each kind of real media; from where the detector reports; and how far from
the training material a subject may lie. Thresholds and the calibration error come from ratios whose calibration never
saw the file's source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unmask.card import find_cards
from unmask.verdict import RULES, read_rules
from unmask_lab import ratios, scores
from unmask_lab.calibrate import numbers, replace_tables
from unmask_lab.errors import LabError
from unmask_lab.evaluate import metrics
from unmask_lab.files import write_whole
from unmask_lab.fusion import (
    ENOUGH_PARENTS,
    FOLDS,
    LIKELY,
    LIKELY_RATIO,
    RATES,
    SUSPICIOUS,
    SUSPICIOUS_RATIO,
    least_told,
    split,
)
from unmask_lab.kit import kinds_by_path
from unmask_lab.ratios import Floats, Table
from unmask_lab.scores import Columns, Score

DRIFT_PERCENTILE = 99.5
FULL_WEIGHT = 25
"""A family or source of at least so many parents has the same weight as any larger one; a smaller one has less."""
LEAST_SOURCES = 4
ANY = "any"


@dataclass(frozen=True)
class Calibrated:
    """Everything that one stratum's scores give. Label scores are log10 ratios; ``report_above`` is a raw score."""

    table: Table
    suspicious: float
    likely_manipulated: float
    false_alarms: tuple[tuple[float, float], ...]
    by_kind: dict[str, tuple[float, int]]
    found: tuple[float, float]
    drift_limit: float | None
    refused: dict[str, float]
    report_above: float
    ece: float
    n_bona_fide: int
    n_manipulated: int
    sources: int


def fit(
    paths: Sequence[Path], detector: str = "", kit: Path | None = None, write: bool = True, rules: Path = RULES
) -> Iterator[str]:
    """Fit on score tables and write; yields lines for a terminal.

    Args:
        paths: tables of out-of-fold scores; their rows are taken together.
        detector: whose card; by default the question that the rows are about.
        kit: the labelled kit, to name the kinds of real media where a table does not.
        write: whether card and rules are written.
        rules: ``verdict.toml``.

    Raises:
        LabError: a table is bad, has one class or too few sources, or no such detector is installed.
    """
    rows = [row for path in paths for row in scores.read(path) if row.status == "ok"]
    if kit is not None:
        rows = named_kinds(rows, kit)
    scores.two_classes(rows, " and ".join(map(str, paths)) or "no table")
    detector = detector or _asked(rows)
    card = next((c for c in find_cards() if c.id == detector), None)
    if card is None:
        known = ", ".join(c.id for c in find_cards() if c.scored)
        raise LabError("fit.detector", f"There is no detector {detector!r}; scored are: {known}.")
    share = read_rules(rules).share(detector)
    strata = sorted({row.stratum for row in rows})
    fitted = {name or ANY: calibrate([r for r in rows if r.stratum == name], share) for name in strata}
    told = describe(rows)
    if write:
        write_card(card.folder / "card.toml", fitted, told)
        write_rules(rules, detector, fitted, told)
        for other in (c for c in find_cards() if c.calibrated_with == detector):
            write_calibration(other.folder / "card.toml", fitted, told)
            write_rules(rules, other.id, fitted, told)
    for name, one in fitted.items():
        yield from _lines(f"{detector}/{name}", one, share)


def named_kinds(rows: Sequence[Score], kit: Path) -> list[Score]:
    """The rows, with the kind of real media of the kit's bona fide files where they name none."""
    kinds = {path: kind for modality in ("image", "audio") for path, kind in kinds_by_path(kit, modality).items()}
    return [row if row.label or row.kind else replace(row, kind=kinds.get(row.path, "")) for row in rows]


def _asked(rows: Sequence[Score]) -> str:
    questions = {row.question for row in rows if row.label and row.question}
    if len(questions) != 1:
        raise LabError("fit.question", f"The table is about {len(questions)} questions: say which --detector is meant.")
    return questions.pop()


def calibrate(rows: Sequence[Score], share: float = 1.0) -> Calibrated:
    """Fit one stratum; ``share`` is the detector's part of the false-alarm budget. Raises `LabError`."""
    scores.two_classes(rows, "the stratum")
    c = scores.columns(rows)
    sources = len(np.unique(c.source))
    if sources < LEAST_SOURCES:
        raise LabError("fit.sources", f"{sources} sources are too few: cross-fitting needs at least {LEAST_SOURCES}.")
    weight = weights(c)
    held_out = cross_fitted(c, weight)
    table = ratios.smooth(c.raw, c.truth, weight, independent(c))
    bona = ~c.truth
    alarms = held_out[bona], c.kind[bona], c.path[bona]
    shares = rate_table(*alarms)
    suspicious = max(threshold(*alarms, SUSPICIOUS * share), least_told(shares, SUSPICIOUS * share), SUSPICIOUS_RATIO)
    likely = max(threshold(*alarms, LIKELY * share), least_told(shares, LIKELY * share), LIKELY_RATIO, suspicious)
    probability = 1 / (1 + 10.0**-held_out)
    limit = drift_limit(c.distance)
    return Calibrated(
        table=table,
        suspicious=suspicious,
        likely_manipulated=likely,
        false_alarms=shares,
        by_kind=alarms_by_kind(*alarms, suspicious),
        found=(_share(held_out, c.truth, weight, suspicious), _share(held_out, c.truth, weight, likely)),
        drift_limit=limit,
        refused=refused(c, limit),
        report_above=inverse(table, suspicious),
        ece=metrics.ece(probability, c.truth, weight=weight),
        n_bona_fide=independent(c)[0],
        n_manipulated=independent(c)[1],
        sources=sources,
    )


def weights(c: Columns) -> Floats:
    """(n,) each parent's copies share one weight; families of the synthetic and sources of the bona fide are balanced.

    Groups of at least `FULL_WEIGHT` parents count alike, so that a family of three files does not rule the fit.
    """
    parent = np.unique(c.path, return_inverse=True)[1]
    each = 1.0 / np.bincount(parent)[parent]
    group = np.where(c.truth, np.char.add("f:", c.family), np.char.add("s:", c.source))
    _, which = np.unique(group, return_inverse=True)
    return np.asarray(each / np.maximum(np.bincount(which, each)[which], FULL_WEIGHT), np.float64)


def independent(c: Columns) -> tuple[int, int]:
    """Bona fide and synthetic files, each counted once whatever its copies."""
    return len(np.unique(c.path[~c.truth])), len(np.unique(c.path[c.truth]))


def cross_fitted(c: Columns, weight: Floats) -> Floats:
    """(n,) log10 LR, each from a calibration on other sources. Raises `LabError` where those have one class only."""
    folds = split(c.source, min(FOLDS, len(np.unique(c.source))))
    out = np.zeros(len(c.raw))
    for fold in np.unique(folds):
        rest, here = folds != fold, folds == fold
        if len(np.unique(c.truth[rest])) < 2:
            raise LabError("fit.sources", "Without one fold of sources a class is missing: more sources are needed.")
        part = len(np.unique(c.path[rest & ~c.truth])), len(np.unique(c.path[rest & c.truth]))
        out[here] = ratios.smooth(c.raw[rest], c.truth[rest], weight[rest], part)(c.raw[here])
    return out


def threshold(values: Floats, kinds: NDArray[np.str_], parents: NDArray[np.str_], rate: float) -> float:
    """The least log10 LR that at most ``rate`` of the bona fide parents reach, overall and in each kind.

    A parent's copies share its weight. In a kind too small to show the rate, one parent may reach it.
    """
    least = _reached(values, parents, rate, whole=False)
    for kind in np.unique(kinds):
        inside = kinds == kind
        if len(np.unique(parents[inside])) >= ENOUGH_PARENTS:
            least = max(least, _reached(values[inside], parents[inside], rate, whole=True))
    return round(float(np.nextafter(least, np.inf)) + 1e-4, 4)


def _reached(values: Floats, parents: NDArray[np.str_], rate: float, whole: bool) -> float:
    """The largest value that would already set off more parents than the rate allows."""
    weight = _parent_weight(parents)
    allowed = rate * weight.sum()
    allowed = np.ceil(allowed) if whole else allowed
    order = np.argsort(-values, kind="stable")
    over = np.flatnonzero(np.cumsum(weight[order]) > allowed + 1e-9)
    return float(values[order[over[0]]]) if len(over) else float(values.min())


def rate_table(values: Floats, _kinds: NDArray[np.str_], parents: NDArray[np.str_]) -> tuple[tuple[float, float], ...]:
    """(log10 LR, share of bona fide parents at or above it), falling shares, as the verdict tells it."""
    weight = _parent_weight(parents)
    order = np.argsort(-values, kind="stable")
    ordered, share = values[order], np.cumsum(weight[order]) / weight.sum()
    out: dict[float, float] = {}
    for rate in RATES:
        at = round(float(ordered[min(int(np.searchsorted(share, rate, "right")), len(ordered) - 1)]), 4)
        out[at] = round(float(share[ordered >= at].max(initial=0.0)), 4)
    out[round(float(ordered[0]) + 1e-3, 4)] = 0.0
    return tuple(sorted(out.items()))


def alarms_by_kind(
    values: Floats, kinds: NDArray[np.str_], parents: NDArray[np.str_], level: float
) -> dict[str, tuple[float, int]]:
    """Kind of real media: share of its bona fide parents (copies alike) at or above ``level``, and how many parents."""
    out = {}
    for kind in np.unique(kinds):
        inside = kinds == kind
        weight = _parent_weight(parents[inside])
        n = len(np.unique(parents[inside]))
        if n >= ENOUGH_PARENTS:
            hit = float(weight[values[inside] >= level].sum() / weight.sum())
            out[str(kind) or "not named"] = (hit, n)
    return out


def drift_limit(distance: Floats) -> float | None:
    """The distance that 99.5 % of the held-out files of both classes stay below; None where none is told."""
    known = distance[~np.isnan(distance)]
    return round(float(np.percentile(known, DRIFT_PERCENTILE)), 4) if len(known) else None


def refused(c: Columns, limit: float | None) -> dict[str, float]:
    """Kind of real media: share of its rows beyond the limit, which the detector would decline; worst first."""
    if limit is None:
        return {}
    bona = ~c.truth
    shares = {str(k): float((c.distance[bona & (c.kind == k)] > limit).mean()) for k in np.unique(c.kind[bona])}
    return {kind: share for kind, share in sorted(shares.items(), key=lambda item: -item[1]) if share > 0}


def inverse(table: Table, level: float) -> float:
    """The raw score at which the table reaches ``level``; beyond its end where it never does."""
    x, y = np.asarray(table.x), np.asarray(table.log10_lr)
    if level > y[-1]:
        return round(float(x[-1]) + 1.0, 5)
    i = int(np.searchsorted(y, level, "left"))
    if i == 0 or y[i] == y[i - 1]:
        return round(float(x[i]), 5)
    return round(float(x[i - 1] + (level - y[i - 1]) / (y[i] - y[i - 1]) * (x[i] - x[i - 1])), 5)


def describe(rows: Sequence[Score]) -> str:
    """What the numbers were fitted on, in one sentence for the card."""
    families = sorted({row.family for row in rows if row.label and row.family})
    variants = len({row.variant for row in rows})
    sources = len({row.source for row in rows})
    copies = f", {variants} laundered or clean copies of each" if variants > 1 else ""
    named = f" ({', '.join(families)})" if 0 < len(families) <= 12 else ""
    unseen = f"{sources} sources, each left out of training"
    return f"out-of-fold scores of {unseen}{named}{copies}; see docs/evaluation-learned.md"


def write_card(path: Path, fitted: dict[str, Calibrated], told: str) -> None:
    """Put calibration, strata, thresholds and false alarms by kind into ``card.toml``."""
    write_calibration(path, fitted, told)
    body = [
        "[false_alarms]",
        "# Share of bona fide files that reach suspicious by this detector alone, copies included.",
    ]
    body += [f'"{kind}" = {{ rate = {rate:.4f}, n = {n} }}' for kind, (rate, n) in _worst(fitted).items()]
    replace_tables(path, "false_alarms", "\n".join(body))


def write_calibration(path: Path, fitted: dict[str, Calibrated], told: str) -> None:
    """Put calibration, strata and the thresholds among the parameters into ``card.toml``."""
    body: list[str] = []
    for name, one in fitted.items():
        body += [
            "[calibration]" if name == ANY else f"[strata.{_key(name)}]",
            f"raw = {numbers(one.table.x)}",
            f"log10_lr = {numbers(one.table.log10_lr)}",
            f'fitted_on = "{told}"',
            f"n_bona_fide = {one.n_bona_fide}",
            f"n_manipulated = {one.n_manipulated}",
            "",
        ]
    replace_tables(path, "calibration|strata", "\n".join(body).rstrip())
    set_parameters(path, parameters(fitted))
    if len(fitted) > 1:
        drop_parameters(path, ("report_above", "drift_limit"))


def parameters(fitted: dict[str, Calibrated]) -> dict[str, float]:
    """``report_above`` and ``drift_limit``; with several strata one of each a stratum, and no plain ones."""
    ends = {name: f"_{name}" if len(fitted) > 1 else "" for name in fitted}
    out = {f"report_above{ends[name]}": one.report_above for name, one in fitted.items()}
    limits = {f"drift_limit{ends[name]}": one.drift_limit for name, one in fitted.items()}
    return out | {name: limit for name, limit in limits.items() if limit is not None}


def set_parameters(path: Path, values: dict[str, float]) -> None:
    """Replace or add keys of the table ``[parameters]``; comments and all else stay as they are."""
    text = path.read_text("utf-8")
    if not re.search(r"^\[parameters\]$", text, re.MULTILINE):
        head, mark, tail = text.partition("\n[")
        text = f"{head}\n\n[parameters]\n{mark}{tail}" if mark else f"{text}\n[parameters]\n"
    for name, value in reversed(values.items()):
        line, old = f"{name} = {value:.6g}", rf"^{re.escape(name)}\s*=\s*[^\s#]+"
        if re.search(old, text, re.MULTILINE):
            text = re.sub(old, line, text, count=1, flags=re.MULTILINE)
        else:
            text = re.sub(r"^\[parameters\]\n", f"[parameters]\n{line}\n", text, count=1, flags=re.MULTILINE)
    write_whole(path, text.encode())


def drop_parameters(path: Path, names: Sequence[str]) -> None:
    """Take keys that nothing reads any more out of the card."""
    text = path.read_text("utf-8")
    write_whole(path, re.sub(rf"^(?:{'|'.join(names)})\s*=.*\n", "", text, flags=re.MULTILINE).encode())


def write_rules(path: Path, detector: str, fitted: dict[str, Calibrated], told: str) -> None:
    """Put ``[learned."<detector>".strata.<name>]`` at the end of ``verdict.toml``."""
    body: list[str] = []
    for name, one in fitted.items():
        body += [
            f'[learned."{detector}".strata.{_key(name)}]',
            f"suspicious = {one.suspicious:g}",
            f"likely_manipulated = {one.likely_manipulated:g}",
            f"false_alarm_score = {numbers([score for score, _ in one.false_alarms])}",
            f"false_alarm_rate = {numbers([rate for _, rate in one.false_alarms])}",
            f'fitted_on = "{told}"',
            f"n_bona_fide = {one.n_bona_fide}",
            f"n_manipulated = {one.n_manipulated}",
            "",
        ]
    replace_tables(path, rf'learned\."{re.escape(detector)}"', "\n".join(body).rstrip())


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'


def _worst(fitted: dict[str, Calibrated]) -> dict[str, tuple[float, int]]:
    """By kind the stratum with the most false alarms."""
    out: dict[str, tuple[float, int]] = {}
    for one in fitted.values():
        for kind, found in one.by_kind.items():
            out[kind] = max(out.get(kind, found), found)
    return dict(sorted(out.items()))


def _parent_weight(parents: NDArray[np.str_]) -> Floats:
    which = np.unique(parents, return_inverse=True)[1]
    return np.asarray(1.0 / np.bincount(which)[which], np.float64)


def _share(values: Floats, truth: NDArray[np.bool_], weight: Floats, level: float) -> float:
    return float(weight[truth & (values >= level)].sum() / weight[truth].sum())


def _lines(name: str, one: Calibrated, share: float) -> Iterator[str]:
    low, high = one.table.log10_lr[0], one.table.log10_lr[-1]
    yield (
        f"{name}: {one.n_bona_fide} bona fide, {one.n_manipulated} synthetic, {one.sources} sources; "
        f"log10 LR {low:+.2f} to {high:+.2f}; ECE {one.ece:.3f} (cross-fitted)"
    )
    yield (
        f"  share {share:g} of the false-alarm budget: suspicious from log10 LR {one.suspicious:.2f} "
        f"(finds {one.found[0]:.0%}), likely from {one.likely_manipulated:.2f} (finds {one.found[1]:.0%}); "
        f"reports from raw {one.report_above:g}; drift limit {one.drift_limit}"
    )
    worst = sorted(one.by_kind.items(), key=lambda item: -item[1][0])[:6]
    yield "  suspicious by kind: " + ", ".join(f"{kind} {rate:.1%} of {n}" for kind, (rate, n) in worst)
    if one.refused:
        told = ", ".join(f"{kind or 'not named'} {share:.1%}" for kind, share in list(one.refused.items())[:5])
        yield f"  beyond the drift limit, bona fide: {told}"
