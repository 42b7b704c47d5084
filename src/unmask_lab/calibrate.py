"""Writes calibrations into cards and the fusion into ``verdict.toml``; comments and other keys stay as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from unmask.card import Card, find_cards
from unmask.verdict import RULES, read_rules
from unmask_lab.data import Data, load
from unmask_lab.evaluate import results
from unmask_lab.forge import manifest
from unmask_lab.fusion import ENOUGH_PARENTS, SUSPICIOUS, Fitted, fit, unseen
from unmask_lab.ratios import Table

MODALITIES = ("image", "audio", "video")
LEAST_PARENTS = 8


def calibrate(folder: Path, table: Path, only: Sequence[str] = MODALITIES, write: bool = True) -> Iterator[str]:
    """Fit on a set and its results, write cards and ``verdict.toml``; yields a line a kind of media and detector.

    Raises:
        ValueError: the set is not the calibration half.
    """
    rows, found = manifest.read(folder), results.read(table)
    if {row.half for row in rows} != {"calibration"}:
        raise ValueError("Only the calibration half may be fitted on; the test half is for measuring.")
    for modality in only:
        data = load(rows, found, modality)
        detectors = scored_detectors(data)
        if not detectors:
            yield f"{modality}: no scored detector answered on enough parents"
            continue
        fitted = fit(data, [card.id for card in detectors], read_rules().share(modality))
        if write:
            for card in detectors:
                fresh = unseen(data, [card.id])
                write_card(card, fresh, fitted.calibrations[card.id], describe(fresh))
            write_fusion(RULES, modality, fitted, describe(unseen(data, [card.id for card in detectors])))
        yield from _summary(modality, fitted)


def scored_detectors(data: Data) -> list[Card]:
    """Cards of the scored detectors of local edits that answered on at least `LEAST_PARENTS` parents of each class.

    A trained detector that is a group of its own is fitted by itself.
    """
    rules = read_rules()
    own = {*rules.learned, *rules.shares}

    def enough(card: Card) -> bool:
        if not card.scored or card.id not in data.raw or card.id in own:
            return False
        kept = data.pick(~np.isnan(data.raw[card.id]))
        classes = (kept.parents[kept.truth], kept.parents[~kept.truth])
        return all(len(np.unique(parents)) >= LEAST_PARENTS for parents in classes)

    return [card for card in find_cards() if enough(card)]


def describe(data: Data) -> str:
    """What the numbers were fitted on, in one sentence for the card."""
    families = ", ".join(sorted({row.family for row in data.rows if row.manipulated}))
    parents = len(np.unique(data.parents[~data.truth]))
    return (
        f"calibration half of the lab's forged set ({families}), {parents} bona fide parents "
        f"from {len(np.unique(data.sources))} sources, with laundered copies; see docs/evaluation.md"
    )


def write_card(card: Card, data: Data, table: Table, told: str) -> None:
    """Put ``[calibration]`` and ``[false_alarms]`` at the end of ``card.toml``."""
    answered = ~np.isnan(data.raw[card.id])
    body = [
        "[calibration]",
        f"raw = {numbers(table.x)}",
        f"log10_lr = {numbers(table.log10_lr)}",
        f'fitted_on = "{told}"',
        f"n_bona_fide = {int((answered & ~data.truth).sum())}",
        f"n_manipulated = {int((answered & data.truth).sum())}",
    ]
    alarms = alarms_by_kind(data, card.id)
    if alarms:
        level = f"# Share of bona fide files above the raw score that {SUSPICIOUS:.0%} of all bona fide files exceed."
        body += ["", "[false_alarms]", level]
        body += [f'"{kind}" = {{ rate = {rate:.4f}, n = {n} }}' for kind, (rate, n) in sorted(alarms.items())]
    replace_tables(card.folder / "card.toml", r"calibration|false_alarms", "\n".join(body))


def alarms_by_kind(data: Data, detector: str) -> dict[str, tuple[float, int]]:
    """Kind of real media: share of its bona fide files above the overall 5 % level, and how many files."""
    kept = data.pick(~np.isnan(data.raw[detector]) & ~data.truth)
    raw = np.sort(kept.raw[detector])[::-1]
    level = raw[int(np.floor(SUSPICIOUS * len(raw)))]
    out = {}
    for kind in np.unique(kept.kinds):
        inside = kept.kinds == kind
        if len(np.unique(kept.parents[inside])) >= ENOUGH_PARENTS:
            out[str(kind)] = (float((kept.raw[detector][inside] > level).mean()), int(inside.sum()))
    return out


def write_fusion(path: Path, modality: str, fitted: Fitted, told: str) -> None:
    """Put ``[fusion.<modality>]`` at the end of ``verdict.toml``."""
    weights = ", ".join(f'"{name}" = {weight:g}' for name, weight in fitted.weights.items())
    body = [
        f"[fusion.{modality}]",
        f"weights = {{ {weights} }}",
        f"bias = {fitted.bias:g}",
        f"score = {numbers(fitted.table.x)}",
        f"log10_lr = {numbers(fitted.table.log10_lr)}",
        f"false_alarm_score = {numbers([score for score, _ in fitted.false_alarms])}",
        f"false_alarm_rate = {numbers([rate for _, rate in fitted.false_alarms])}",
        f"suspicious = {fitted.suspicious:g}",
        f"likely_manipulated = {fitted.likely_manipulated:g}",
        f'fitted_on = "{told}"',
        f"n_bona_fide = {fitted.n_bona_fide}",
        f"n_manipulated = {fitted.n_manipulated}",
    ]
    replace_tables(path, rf"fusion\.{modality}", "\n".join(body))


def replace_tables(path: Path, names: str, body: str) -> None:
    """Drop the top-level tables whose names match ``names`` and append ``body``; all else stays byte for byte."""
    text = path.read_text("utf-8")
    pattern = rf"^\[(?:{names})(?:\.[^\]]*)?\]\n(?:(?!\[[A-Za-z\"]).*\n?)*"
    text = re.sub(pattern, "", text, flags=re.MULTILINE).rstrip("\n")
    path.write_text(f"{text}\n\n{body}\n", "utf-8")


def numbers(values: Sequence[float]) -> str:
    """A TOML array of floats."""
    return "[" + ", ".join(f"{v:g}" if v != int(v) else f"{v:.1f}" for v in values) + "]"


def _summary(modality: str, fitted: Fitted) -> Iterator[str]:
    yield (
        f"{modality}: {fitted.n_bona_fide} bona fide, {fitted.n_manipulated} manipulated; suspicious at "
        f"{fitted.suspicious:g}, likely at {fitted.likely_manipulated:g}, bias {fitted.bias:g}"
    )
    for name, table in fitted.calibrations.items():
        low, high = table.log10_lr[0], table.log10_lr[-1]
        yield f"  {name}: weight {fitted.weights[name]:g}, log10 LR {low:+.2f} to {high:+.2f}"
