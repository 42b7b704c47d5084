"""Tables for docs/evaluation.md, from a set's manifest and its results. Every figure with its n."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unmask.card import Card, find_cards
from unmask.report import Finding, Verdict
from unmask.verdict import fuse
from unmask_lab.data import Data, load
from unmask_lab.errors import LabError
from unmask_lab.evaluate import metrics, results
from unmask_lab.evaluate.metrics import Floats
from unmask_lab.evaluate.pixels import Agreement, agreement
from unmask_lab.evaluate.results import BASELINE
from unmask_lab.evaluate.run import maps_path
from unmask_lab.files import write_whole
from unmask_lab.forge import manifest
from unmask_lab.forge.manifest import Row

FUSED, NAMED = "**fused**", "**fused**, regions named"
ROUNDS = 200
VARIANTS = ("clean", "jpeg95", "jpeg85", "jpeg75", "resized", "messenger")
ALARMED = ("suspicious", "likely_manipulated")
REFERENCE = """\
| method (published) | VIPP | DSO-1 | CASIA |
|---|---|---|---|
| ADQ1 (Lin et al. 2009), pixel F1 | .50 | .42 | .49 |
| Noiseprint (Cozzolino and Verdoliva 2020), pixel F1 | .56 | .81 | .21 |
| TruFor (Guillaro et al. 2023), pixel F1, best threshold | .75 | .97 | .82 |
"""


def tables(folder: Path, table: Path, modality: str) -> Iterator[str]:
    """Markdown blocks for one kind of media; nothing where the set has none of it."""
    rows, found = manifest.read(folder), results.read(table)
    data = load(rows, found, modality)
    if not data.rows:
        return
    cards = {card.id: card for card in find_cards()}
    verdicts = [verdict_of(data, i, cards) for i in range(len(data.rows))]
    yield f"### {modality.capitalize()}: {_set_line(data)}"
    yield "\n".join(detection(data, cards, verdicts))
    yield "\n".join(by_family(data, cards, verdicts))
    if modality == "image":
        yield "\n".join(localisation(data, cards, folder, table))
    yield "\n".join(false_alarms(data, verdicts))
    yield "\n".join(calibration(data, verdicts))


def put_tables(document: Path, blocks: Sequence[str], section: str = "tables") -> None:
    """Replace what stands between the document's two markers, ``<!-- SECTION: begin -->`` and ``end``.

    Raises:
        LabError: the document cannot be read, or has no such markers.
    """
    begin, end = f"<!-- {section}: begin -->", f"<!-- {section}: end -->"
    try:
        text = document.read_text("utf-8")
    except OSError as error:
        raise LabError("report.document", f"{document} cannot be read ({error.strerror}).") from error
    if begin not in text or end not in text:
        raise LabError("report.document", f"{document} has no {begin} and {end}.")
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    write_whole(document, (f"{head}{begin}\n\n" + "\n\n".join(blocks) + f"\n\n{end}{tail}").encode())


def verdict_of(data: Data, i: int, cards: dict[str, Card]) -> Verdict:
    """The verdict that a scan gives with today's cards and ``verdict.toml``, from stored raw scores."""
    findings = []
    for name, result in data.results[i].items():
        if name in cards:
            findings.append(_finding(cards[name], result))
    return fuse(data.rows[i].modality, findings, cards.values())


def _finding(card: Card, result: results.Result) -> Finding:
    if result.status == "ok":
        return card.ok(result.reason, "", None if math.isnan(result.raw_score) else result.raw_score)
    make: dict[str, Callable[[str, str], Finding]] = {
        "declined": card.declined,
        "not_applicable": card.not_applicable,
        "failed": card.failed,
    }
    return make[result.status](result.reason, "")


def scores_of(data: Data, name: str, verdicts: Sequence[Verdict]) -> Floats:
    """(n,) the score of a detector or of the fusion; NaN where there is none."""
    if name == FUSED:
        ratios = [v.likelihood_ratio for v in verdicts]
        return np.asarray([math.nan if r is None else math.log10(max(r, 1e-9)) for r in ratios])
    return data.raw[name]


def detection(data: Data, cards: dict[str, Card], verdicts: Sequence[Verdict]) -> Iterator[str]:
    """AUC, EER and detection rates over all variants, and AUC by variant."""
    variants = list(dict.fromkeys(r.variant for r in data.rows if r.manipulated))
    yield "Telling manipulated from bona fide files (AUC with its 95 % interval over parents; by variant: AUC):\n"
    yield f"| detector | answered | AUC | EER | found at 5 % | at 1 % | {' | '.join(variants)} | median s |"
    yield "|---" * (7 + len(variants)) + "|"
    for name in _names(data, cards):
        yield _detection_row(data, name, scores_of(data, name, verdicts), variants)


def _detection_row(data: Data, name: str, scores: Floats, variants: list[str]) -> str:
    kept = np.flatnonzero(~np.isnan(scores))
    s, t, parents = scores[kept], data.truth[kept], data.parents[kept]
    interval = metrics.bootstrap(lambda i: metrics.auc(s[i], t[i]), parents, ROUNDS)
    variant = np.asarray([data.rows[i].variant for i in kept], np.str_)
    cells = [_dot(metrics.auc(s[variant == v], t[variant == v])) for v in variants]
    seconds = [r[name].seconds for r in data.results if name in r and r[name].status == "ok"]
    time = f"{np.median(seconds):.2f}" if seconds and not name.startswith(BASELINE) else "–"
    return (
        f"| {name} | {len(kept) / len(data.rows):.0%} | {interval} | {_dot(metrics.eer(s, t))} "
        f"| {_dot(metrics.tpr_at(s, t, 0.05))} | {_dot(metrics.tpr_at(s, t, 0.01))} | {' | '.join(cells)} | {time} |"
    )


def by_family(data: Data, cards: dict[str, Card], verdicts: Sequence[Verdict]) -> Iterator[str]:
    """AUC of each detector for each family against all bona fide files, and the labels given."""
    families = _families(data)
    family = np.asarray([r.family for r in data.rows], np.str_)
    yield "\nBy family: AUC against the bona fide files, all variants; below it the share of files by label:\n"
    yield f"| detector | {' | '.join(families)} |"
    yield "|---" * (1 + len(families)) + "|"
    for name in _names(data, cards):
        if name.startswith(BASELINE):
            continue
        scores = scores_of(data, name, verdicts)
        cells = []
        for f in families:
            keep = ~np.isnan(scores) & ((family == f) | (family == "none"))
            cells.append(_dot(metrics.auc(scores[keep], data.truth[keep])))
        yield f"| {name} | {' | '.join(cells)} |"
    for label in ALARMED:
        hit = np.asarray([v.label == label for v in verdicts])
        yield f"| labelled {label} | {' | '.join(f'{hit[family == f].mean():.0%}' for f in families)} |"


def localisation(data: Data, cards: dict[str, Card], folder: Path, table: Path) -> Iterator[str]:
    """Pixel F1 and AUC of each map on manipulated pictures, by family and variant."""
    names = sorted({n for one in data.results for n, r in one.items() if not math.isnan(r.auc)})
    found: dict[str, list[Agreement | None]] = {
        name: [_stored(one.get(name)) for one in data.results] for name in names
    }
    for name in (FUSED, NAMED):
        found[name] = [fused_map_agreement(data, i, cards, folder, table, name == NAMED) for i in range(len(data.rows))]
    groups: list[tuple[str, Callable[[Row], bool]]] = [
        *[(f, lambda row, f=f: row.family == f) for f in _families(data)],
        *[(v, lambda row, v=v: row.variant == v) for v in VARIANTS],
    ]
    yield "\nWhere it was changed: pixel F1 at each picture's best threshold / at 0.5 / AUC, over manipulated pictures."
    yield "A picture for which a detector drew no map counts as F1 0 and is left out of the AUC. Fused, at the best"
    yield "threshold and in the AUC: all maps together, each times its finding's probability; at 0.5: the map of the"
    yield "strongest finding, with which a report opens. In the last row only findings that name a region count.\n"
    yield f"| map | files | drawn | {' | '.join(name for name, _ in groups)} |"
    yield "|---" * (3 + len(groups)) + "|"
    manipulated = [i for i, row in enumerate(data.rows) if row.manipulated]
    for name, agreements in found.items():
        asked = [i for i in manipulated if name in (FUSED, NAMED) or name in data.results[i]]
        drawn = np.mean([agreements[i] is not None for i in asked])
        cells = [_pixels([agreements[i] for i in asked if belongs(data.rows[i])]) for _, belongs in groups]
        yield f"| {name} | {len(asked)} | {drawn:.0%} | {' | '.join(cells)} |"
    yield "\nFor orientation only, on other pictures (public sets of hand-made forgeries):\n\n" + REFERENCE


def _stored(result: results.Result | None) -> Agreement | None:
    if result is None or math.isnan(result.auc):
        return None
    return Agreement(result.f1_best, result.f1_fixed, result.auc)


def _pixels(found: Sequence[Agreement | None]) -> str:
    best = float(np.mean([a.f1_best if a else 0.0 for a in found])) if found else math.nan
    fixed = float(np.mean([a.f1_fixed if a else 0.0 for a in found])) if found else math.nan
    areas = [a.auc for a in found if a]
    return f"{_dot(best)}/{_dot(fixed)}/{_dot(float(np.mean(areas)) if areas else math.nan)}"


def fused_map_agreement(
    data: Data, i: int, cards: dict[str, Card], folder: Path, table: Path, named: bool = False
) -> Agreement | None:
    """The maps of all findings of one file against its mask; None where there is no map.

    The best threshold and the area are those of the largest of all maps, each times its detector's calibrated
    probability. The fixed threshold is what a report draws: the own map of the strongest finding, which is the one
    that a report opens with, cut at 0.5. ``named``: only findings that report a region.
    """
    row = data.rows[i]
    found = kept_maps(data, i, cards, table, named) if row.manipulated else []
    if not found:
        return None
    strongest = max(found, key=lambda one: one[0])[1]
    h, w = max(m.shape[0] for _, m in found), max(m.shape[1] for _, m in found)
    fused = np.max([cv2.resize(m * p, (w, h), interpolation=cv2.INTER_LINEAR) for p, m in found], axis=0)
    with Image.open(folder / row.mask) as image:
        mask = np.asarray(image.convert("L"))
    ranked = agreement(fused, mask)
    return None if math.isnan(ranked.auc) else replace(ranked, f1_fixed=agreement(strongest, mask).f1_fixed)


def kept_maps(
    data: Data, i: int, cards: dict[str, Card], table: Path, named: bool = False
) -> list[tuple[float, NDArray[np.float32]]]:
    """(calibrated probability, map (h, w) in 0..1) of each calibrated finding of one file that drew one."""
    path = maps_path(table.with_suffix("").with_name(table.stem + "-maps"), data.rows[i])
    out: list[tuple[float, NDArray[np.float32]]] = []
    if not path.is_file():
        return out
    with np.load(path) as maps:
        for name in maps.files:
            card, result = cards.get(name), data.results[i].get(name)
            if not (card and card.calibration and result and result.scored):
                continue
            if not named or result.raw_score >= card.parameters.get("report_above", -math.inf):
                out.append((card.calibration.probability(result.raw_score), maps[name].astype(np.float32) / 255))
    return out


def false_alarms(data: Data, verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Share of bona fide files with each label, by kind of real media and by variant."""
    bona = [i for i, row in enumerate(data.rows) if not row.manipulated]
    yield "\nFalse alarms of the verdict on bona fide files:\n"
    yield "| kind of real media | files | parents | suspicious or worse | likely_manipulated | inconclusive |"
    yield "|---|---|---|---|---|---|"
    groups: dict[str, list[int]] = {"**all**": bona}
    for i in bona:
        groups.setdefault(data.rows[i].kind_of_real_media, []).append(i)
        groups.setdefault(f"variant {data.rows[i].variant}", []).append(i)
    for name, inside in groups.items():
        labels = [verdicts[i].label for i in inside]
        parents = len({data.rows[i].parent for i in inside})
        wanted: tuple[tuple[str, ...], ...] = (ALARMED, ALARMED[1:], ("inconclusive",))
        shares = [np.mean([label in those for label in labels]) for those in wanted]
        yield f"| {name} | {len(inside)} | {parents} | {' | '.join(f'{s:.1%}' for s in shares)} |"


def calibration(data: Data, verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Stated probability against the share that was manipulated, at even priors."""
    stated = np.asarray([math.nan if v.probability is None else v.probability for v in verdicts])
    kept = ~np.isnan(stated)
    if not kept.any():
        yield "\nNo verdict carried a probability."
        return
    error = metrics.ece(stated[kept], data.truth[kept])
    yield f"\nCalibration of the verdict's probability (even priors): ECE {error:.3f}\n"
    yield "| files | mean stated | share manipulated |"
    yield "|---|---|---|"
    for n, _, said, true in metrics.reliability(stated[kept], data.truth[kept]):
        yield f"| {n} | {said:.2f} | {true:.2f} |"


def _names(data: Data, cards: dict[str, Card]) -> list[str]:
    scored = [name for name in data.raw if name in cards and cards[name].scored]
    return [*scored, FUSED, *[name for name in data.raw if name.startswith(BASELINE)]]


def _families(data: Data) -> list[str]:
    return list(dict.fromkeys(row.family for row in data.rows if row.manipulated))


def _set_line(data: Data) -> str:
    bona = int((~data.truth).sum())
    parents = len(np.unique(data.parents))
    sources = len(np.unique(data.sources))
    half = data.rows[0].half
    files = f"{bona} bona fide and {int(data.truth.sum())} manipulated files"
    return f"{files} of {parents} parents, {sources} sources ({half} half)"


def _dot(value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.2f}".lstrip("0") if value < 0.995 else "1.0"
