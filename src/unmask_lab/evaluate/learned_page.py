"""An evaluation as one self-contained page: no network, no script, light and dark, the tables beneath the charts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from unmask.render.html import STATIC, policy
from unmask_lab import scores
from unmask_lab.evaluate import learned_report as report
from unmask_lab.evaluate import metrics, svg
from unmask_lab.evaluate.learned_report import Judged, Study
from unmask_lab.evaluate.svg import Axis, Line
from unmask_lab.files import write_whole
from unmask_lab.launder import ladder

FOLDER = Path(__file__).parent
MOST_POINTS = 400
MOST_CURVES = 4


def write(path: Path, found: Study) -> None:
    """Write the page whole. Raises `LabError` where the disk does not allow it."""
    write_whole(path, page(found).encode())


def page(found: Study) -> str:
    """The page as HTML."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    style = Markup((STATIC / "style.css").read_text("utf-8") + (FOLDER / "page.css").read_text("utf-8"))
    return environment.get_template("page.html.j2").render(
        title=found.title,
        style=style,
        policy=policy(style, Markup()),
        made=datetime.now(UTC).strftime("%d %B %Y"),
        set_line=report.set_line(found),
        lead=list(_lead(found)),
        charts=list(_charts(found)),
        robust=list(_robust(found)),
        tables=[table for make in _TABLES for table in _tables(list(make(found)))],
        rounds=found.rounds,
    )


def _lead(found: Study) -> Iterator[dict[str, str]]:
    """The figures that a reader in a hurry takes away."""
    if not found.serious:
        return
    first = found.serious[0]
    h = report.figures(first, found.rounds)
    unseen = not math.isnan(h.unseen.value)
    value = h.unseen if unseen else h.laundered if not math.isnan(h.laundered.value) else h.clean
    name = f"AUC on {h.unseen_generators} generators it had never seen" if unseen else "AUC, sources it had never seen"
    yield {"name": name, "value": report.dot(value.value), "note": f"{first.name}; 95 % interval {_range(value)}"}
    yield {
        "name": "Found at 5 % false alarms",
        "value": f"{h.found5.value:.0%}",
        "note": f"and {h.found1.value:.0%} at 1 %; both classes laundered alike",
    }
    if h.worst[0]:
        yield {
            "name": "Weakest family",
            "value": report.dot(h.worst[1]),
            "note": f"AUC, {h.worst[0]}; mean over generators {report.dot(h.macro)}",
        }
    error, _ = report.reliability(first)
    if not math.isnan(error):
        yield {"name": "Calibration error", "value": f"{error:.3f}", "note": "ECE on sources left out, even priors"}


def _range(value: metrics.Interval) -> str:
    return f"{report.dot(value.low)} to {report.dot(value.high)}"


def _charts(found: Study) -> Iterator[Markup]:
    shown = found.serious[:MOST_CURVES] or found.judged[:MOST_CURVES]
    rocs = {j.name: _roc(j) for j in shown}
    alarms = svg.shares("false alarms")
    yield svg.chart(
        "ROC: what is found at which price",
        alarms,
        svg.shares("found"),
        [Line(name, x, y) for name, (x, y) in rocs.items()],
        _say(shown),
        diagonal=True,
    )

    def probit(rate: float) -> float:
        return float(metrics.probit(np.asarray([rate]))[0])

    yield svg.chart(
        "DET: false alarms against misses, both rare",
        svg.probits("false alarms", probit),
        svg.probits("missed", probit),
        [Line(name, x, [1 - v for v in y]) for name, (x, y) in rocs.items()],
        _say(shown),
    )
    lines = []
    for judged in shown:
        _, bins = report.reliability(judged)
        lines.append(Line(judged.name, [b[2] for b in bins], [b[3] for b in bins], dots=True))
    yield svg.chart(
        "Reliability: stated and true",
        svg.shares("stated probability"),
        svg.shares("share that was synthetic or manipulated"),
        lines,
        "The nearer to the diagonal, the more honest the probability.",
        diagonal=True,
    )
    yield svg.bars("AUC by detector and trivial fact, with 95 % interval", list(_overall(found)))
    if found.serious:
        yield svg.bars(
            f"AUC by family: {found.serious[0].name}",
            [
                (name, value, math.nan, math.nan, f"{n} files")
                for name, (n, value) in sorted(
                    scores.by_family(found.serious[0].main).items(), key=lambda item: item[1][1]
                )
            ],
        )


def _overall(found: Study) -> Iterator[tuple[str, float, float, float, str]]:
    for judged in found.judged:
        c = scores.columns(judged.main)
        at = metrics.bootstrap(lambda i, c=c: metrics.auc(c.raw[i], c.truth[i]), c.source, found.rounds)  # type: ignore[misc]
        yield judged.name.removeprefix("baseline."), at.value, at.low, at.high, f"{len(c.raw)} rows"


def _roc(judged: Judged) -> tuple[list[float], list[float]]:
    c = scores.columns(judged.main)
    x, y = metrics.roc(c.raw, c.truth)
    keep = np.unique(np.round(np.r_[np.geomspace(1, len(x), MOST_POINTS) - 1, np.linspace(0, len(x) - 1, 200)]))
    kept = keep.astype(int)
    return x[kept].tolist(), y[kept].tolist()


def _say(shown: Sequence[Judged]) -> str:
    told = []
    for judged in shown:
        c = scores.columns(judged.main)
        area, found = metrics.auc(c.raw, c.truth), metrics.tpr_at(c.raw, c.truth, 0.05)
        told.append(f"{judged.name}: area {area:.2f}, {found:.0%} found at 5 %")
    return "; ".join(told) + "."


def _robust(found: Study) -> Iterator[Markup]:
    for name, by_judge in report.curves(found).items():
        steps = [step for step, _ in next(iter(by_judge.values()))]
        ticks = tuple((float(i), _step(step)) for i, step in enumerate(steps))
        x = Axis(name, 0.0, max(1.0, len(steps) - 1.0), ticks)
        y = Axis("AUC", 0.4, 1.0, tuple((v / 10, f".{v}" if v < 10 else "1") for v in range(4, 11)))
        lines = [
            Line(judge, list(range(len(points))), [value for _, value in points], dots=True)
            for judge, points in list(by_judge.items())[:MOST_CURVES]
        ]
        yield svg.chart(f"After wear: {name}", x, y, lines, "Both classes worn alike.")


def _step(step: str) -> str:
    return "as it is" if step == report.CLEAN else f"{ladder.amount(step):g}" if ladder.amount(step) else step


_TABLES = (
    report.headline,
    report.by_variant,
    report.by_family,
    report.by_generator,
    report.by_source,
    report.by_kind,
    report.robustness,
    report.calibration,
)


def _tables(lines: Sequence[str]) -> Iterator[dict[str, object]]:
    """Markdown tables as captions, heads and rows."""
    caption = ""
    rows: list[list[str]] = []
    for line in [*"\n".join(lines).splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
            continue
        if rows:
            yield {"caption": caption, "head": rows[0], "rows": rows[2:]}
            rows = []
        caption = line.strip().rstrip(":") or caption
