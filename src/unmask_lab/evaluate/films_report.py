"""The tables of docs/evaluation-films.md: what was found in forged films and where, what was said of untouched ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from operator import methodcaller

import numpy as np

from unmask.card import find_cards
from unmask.report import Finding
from unmask_lab.evaluate import metrics
from unmask_lab.evaluate.films import MEASURING, Judged, curve_of, facts_of, overlap, segments_of
from unmask_lab.evaluate.metrics import Floats

COMPRESSIONS = ("light", "medium", "heavy")
GROUPS = {
    "all swaps": ("swap_",),
    "all changed faces": ("swap_", "reenact", "lips"),
    "all public deepfakes": ("public",),
}
LEAST_PEOPLE = 3
"""Of fewer people no interval is told."""

Number = Callable[[Judged], float | None]
ROUNDS = 200


def bytes_a_second(one: Judged) -> float | None:
    """A fact that should tell nothing."""
    return one.row.bytes / one.row.seconds if one.row.seconds else None


def duration(one: Judged) -> float | None:
    """Another such fact."""
    return one.row.seconds or None


BASELINES: dict[str, Number] = {"bytes a second": bytes_a_second, "duration": duration}


def blocks(judged: Sequence[Judged], rounds: int = ROUNDS) -> Iterator[str]:
    """The tables as Markdown."""
    yield _counts(judged)
    yield _false_alarms(judged)
    yield _found(judged)
    for name in detectors(judged):
        table = _areas(judged, f"`{name}`", methodcaller("raw", name), rounds)
        if table:
            yield table
    for name, fact in measures(judged):
        yield _areas(judged, f"`{name}`: {fact}", partial(measure, name, fact), rounds)
    yield _areas(judged, "The verdict's likelihood ratio", lambda one: one.verdict.likelihood_ratio, rounds)
    for name, number in BASELINES.items():
        yield _areas(judged, f"Baseline: {name}", number, rounds)
    yield _places(judged)
    yield _offsets(judged)
    yield _cost(judged)


def detectors(judged: Sequence[Judged]) -> list[str]:
    """Scored detectors that gave a number about some film, by id."""
    scored = {card.id for card in find_cards() if card.scored}
    return sorted({name for one in judged for name in one.findings if name in scored and one.raw(name) is not None})


def measures(judged: Sequence[Judged]) -> list[tuple[str, str]]:
    """Detectors without a score, and the facts of theirs that are numbers."""
    found = {(n, fact) for one in judged for n in MEASURING if n in one.findings for fact in facts_of(one.findings[n])}
    return sorted(found)


def measure(name: str, fact: str, one: Judged) -> float | None:
    """A fact's number; of an offset only how large it is."""
    value = facts_of(one.findings[name]).get(fact) if name in one.findings else None
    return abs(value) if value is not None and fact.startswith("Offset") else value


def bona_fide(one: Judged) -> bool:
    """An untouched talking head that took the same way as the forged ones."""
    return not one.row.forged and one.row.half != "" and one.row.compression in COMPRESSIONS and _head(one)


def _head(one: Judged) -> bool:
    return one.row.kind == "talking head"


def families(judged: Sequence[Judged]) -> list[str]:
    """The ways of forging in the set, those made here first."""
    names = {one.row.family for one in judged if one.row.forged}
    return sorted(names, key=lambda name: (name.startswith("public"), name))


def grouped(judged: Sequence[Judged]) -> Iterator[tuple[str, list[Judged]]]:
    """The forged films by family, and then those of several families together."""
    names = families(judged)
    for name in names:
        yield name, [one for one in judged if one.row.family == name]
    for title, begins in GROUPS.items():
        among = [name for name in names if name.startswith(begins)]
        if len(among) > 1:
            yield f"**{title}**", [one for one in judged if one.row.family in among]


def _counts(judged: Sequence[Judged]) -> str:
    real, forged = [o for o in judged if not o.row.forged], [o for o in judged if o.row.forged]
    heads = [o for o in judged if _head(o) and not o.row.family.startswith("public")]
    people, test = ({o.row.person for o in some} for some in (heads, [o for o in heads if o.row.half == "test"]))
    parts = sum(o.row.partial == "yes" for o in forged)
    return (
        f"{len(judged)} films: {len(real)} untouched, {len(forged)} forged ({parts} of them only in a stretch), of "
        f"{len(people)} talking heads ({len(test)} of them in the test half)."
    )


def _false_alarms(judged: Sequence[Judged]) -> str:
    lines = [
        "**Untouched films: the verdict.**",
        "",
        "| what | copy | films | likely manipulated | suspicious | no sign found | inconclusive | of another label |",
        "|---|---|---|---|---|---|---|---|",
    ]
    loud: list[str] = []
    real = [one for one in judged if not one.row.forged]
    for kind in sorted({one.row.kind for one in real}, reverse=True):
        for copy in ("original", *COMPRESSIONS):
            some = [one for one in real if one.row.kind == kind and one.row.compression == copy]
            if not some:
                continue
            labels = [one.verdict.label for one in some]
            named = ("likely_manipulated", "suspicious", "no_sign_found", "inconclusive")
            each = [labels.count(name) for name in named]  # type: ignore[arg-type]
            cells = [kind, copy, str(len(some)), *(str(n) for n in each), str(len(some) - sum(each))]
            lines.append("| " + " | ".join(cells) + " |")
            loud += [_told(one) for one in some if one.verdict.label in ("likely_manipulated", "suspicious")]
    return "\n".join([*lines, "", "Above `no_sign_found`: " + ("; ".join(loud) if loud else "none") + "."])


def _told(one: Judged) -> str:
    return f"`{one.row.path}` {one.verdict.label} by {', '.join(one.verdict.decided_by) or 'a fact'}"


def _found(judged: Sequence[Judged]) -> str:
    lines = [
        "**Forged films: called suspicious or likely manipulated, of all** (with `likely_manipulated` in brackets).",
        "",
        "| forged by | methods | " + " | ".join(COMPRESSIONS) + " | by |",
        "|---|---|" + "---|" * (len(COMPRESSIONS) + 1),
    ]
    for family, some in grouped(judged):
        cells = []
        for copy in COMPRESSIONS:
            labels = [one.verdict.label for one in some if one.row.compression == copy]
            likely = sum(label == "likely_manipulated" for label in labels)
            loud = likely + sum(label == "suspicious" for label in labels)
            cells.append(f"{loud} ({likely}) of {len(labels)}")
        by = sorted({name for one in some for name in one.verdict.decided_by})
        methods = "/".join(sorted({one.row.methods for one in some}))
        lines.append(f"| {family} | {methods} | " + " | ".join(cells) + f" | {', '.join(by) or '–'} |")
    return "\n".join(lines)


def _areas(judged: Sequence[Judged], title: str, number: Number, rounds: int) -> str:
    """AUC by family and compression against the untouched talking heads of the same compression."""
    real = [one for one in judged if bona_fide(one)]
    answered = sum(number(one) is not None for one in real)
    if not answered:
        return ""
    lines = [
        f"**{title}: AUC** ({answered} of {len(real)} untouched copies answered).",
        "",
        "| forged by | " + " | ".join(COMPRESSIONS) + " | test people, all copies | above its twin | answered |",
        "|---|" + "---|" * (len(COMPRESSIONS) + 3),
    ]
    for family, some in grouped(judged):
        said = sum(number(one) is not None for one in some)
        if not said:
            continue
        cells = [_area(some, real, number, rounds, (copy,)) for copy in COMPRESSIONS]
        test = [[one for one in group if one.row.half == "test"] for group in (some, real)]
        cells += [_area(test[0], test[1], number, rounds, COMPRESSIONS), _raised(some, real, number)]
        lines.append(f"| {family} | " + " | ".join(cells) + f" | {said} of {len(some)} |")
    return "\n".join(lines) if len(lines) > 4 else ""


def _area(forged: Sequence[Judged], real: Sequence[Judged], number: Number, rounds: int, copies: Sequence[str]) -> str:
    """AUC with a bootstrap over people, and numbers of films. Several compressions: the mean of theirs."""
    films = [one for one in (*forged, *real) if one.row.compression in copies and number(one) is not None]
    values = np.array([number(one) for one in films], np.float64)
    truth = np.array([one.row.forged for one in films], np.bool_)
    copy = np.array([one.row.compression for one in films], np.str_)
    people = np.array([one.row.person for one in films], np.str_)
    if not truth.any() or truth.all():
        return "–"

    def measure(index: np.ndarray) -> float:
        each = [_auc(values[i], truth[i]) for c in copies if (i := index[copy[index] == c]).size]
        known = [one for one in each if not np.isnan(one)]
        return float(np.mean(known)) if known else float("nan")

    several = min(len(set(people[truth])), len(set(people[~truth]))) >= LEAST_PEOPLE
    found = metrics.bootstrap(measure, people, rounds if several else 0)
    text = str(found) if several else str(found).split(" ", maxsplit=1)[0]
    return f"{text} (n {int(truth.sum())}/{int((~truth).sum())})"


def _raised(forged: Sequence[Judged], real: Sequence[Judged], number: Number) -> str:
    """How many of the forged films lie above the untouched copy of the same piece, and by how much (median)."""
    twins = {(one.row.parent, one.row.compression): number(one) for one in real}
    pairs = [(number(one), twins.get((one.row.parent, one.row.compression))) for one in forged]
    more = [a - b for a, b in pairs if a is not None and b is not None]
    return f"{sum(d > 0 for d in more)} of {len(more)} ({np.median(more):+.3g})" if more else "–"


def _auc(values: Floats, truth: np.ndarray) -> float:
    return metrics.auc(values, truth)


def _places(judged: Sequence[Judged]) -> str:
    """Where in time: films forged in a stretch only."""
    some_parts = [one for one in judged if one.row.partial == "yes" and one.row.stretch is not None]
    lines = [
        "**Where in time, films forged in a stretch only.** IoU of the stretches that a finding marks with the true "
        "one (0 where none is marked); beside it the IoU of the whole film; AUC of a finding's curve inside against "
        "outside the stretch.",
        "",
        "| detector | forged by | films | marked | IoU | IoU of the whole film | curve's AUC (films) |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in detectors(judged):
        for family in families(judged):
            some = [one for one in some_parts if one.row.family == family and one.raw(name) is not None]
            if some:
                lines.append(_place_row(name, family, some))
    return "\n".join(lines) if len(lines) > 4 else ""


def _place_row(name: str, family: str, some: Sequence[Judged]) -> str:
    marked = [segments_of(one.findings[name]) for one in some]
    truths = [one.row.stretch or (0.0, 0.0) for one in some]
    iou = float(np.mean([overlap(m, t) for m, t in zip(marked, truths, strict=True)]))
    whole = float(np.mean([overlap([(0.0, one.row.seconds)], t) for one, t in zip(some, truths, strict=True)]))
    inner = [inside(one.findings[name], t) for one, t in zip(some, truths, strict=True)]
    known = [v for v in inner if v is not None]
    curve = f"{np.mean(known):.2f} ({len(known)})" if known else "–"
    return f"| `{name}` | {family} | {len(some)} | {sum(map(bool, marked))} | {iou:.2f} | {whole:.2f} | {curve} |"


def inside(finding: Finding, truth: tuple[float, float]) -> float | None:
    """AUC (0..1) of the finding's curve: moments inside the true stretch against those outside; None without both."""
    curve = curve_of(finding)
    if curve is None or not curve[0]:
        return None
    x, y = np.array(curve[0]), np.array(curve[1])
    within = (x >= truth[0]) & (x < truth[1])
    return None if within.all() or not within.any() else metrics.auc(y, within)


def _offsets(judged: Sequence[Judged]) -> str:
    """How far the stated offset of lips and sound is from the true one."""
    rows = []
    for kind in ("untouched", "sound moved"):
        for copy in COMPRESSIONS:
            some = [one for one in judged if one.row.compression == copy and _wanted(one, kind)]
            said = [
                (offset_of(one.findings["video.lipsync"]), float(one.row.offset or 0)) for one in some if _asked(one)
            ]
            errors = [abs(a - t) for a, t in said if a is not None]
            if errors:
                cells = f"{np.median(errors):.3f} | {np.mean(np.array(errors) <= 0.1):.2f}"
                rows.append(f"| {kind} | {copy} | {len(some)} | {len(errors)} | {cells} |")
    if not rows:
        return ""
    head = [
        "**Lips and sound: error of the stated offset.**",
        "",
        "| films | copy | all | answered | median error, s | within 0.1 s |",
    ]
    return "\n".join([*head, "|---|---|---|---|---|---|", *rows])


def _wanted(one: Judged, kind: str) -> bool:
    return bool(one.row.offset) if kind == "sound moved" else bona_fide(one)


def _asked(one: Judged) -> bool:
    found = one.findings.get("video.lipsync")
    return found is not None and found.status == "ok"


def offset_of(finding: Finding) -> float | None:
    """Seconds by which the sound comes too late, as the finding's first such fact states it; None: it states none."""
    for evidence in finding.evidence:
        data = evidence.data or {}
        if evidence.kind == "fact" and str(data.get("name", "")).startswith("Offset"):
            number, _, unit = str(data.get("value", "")).partition(" ")
            try:
                return float(number) / (1000 if unit == "ms" else 1)
            except ValueError:
                return None
    return None


def _cost(judged: Sequence[Judged]) -> str:
    lines = [
        "**Seconds a film (median; five-second pieces).**",
        "",
        "| detector | answered | seconds |",
        "|---|---|---|",
    ]
    pieces = [one for one in judged if one.row.compression in COMPRESSIONS]
    for name in sorted({name for one in pieces for name in one.findings}):
        some = [one.findings[name] for one in pieces if name in one.findings]
        said = sum(f.status == "ok" for f in some)
        lines.append(f"| `{name}` | {said} of {len(some)} | {np.median([f.seconds for f in some]):.1f} |")
    return "\n".join(lines)
