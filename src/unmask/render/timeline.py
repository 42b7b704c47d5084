"""Time, for people: a row for each face, voice or kind of event, curves below, all on one axis.

Nothing here knows a detector. Stretches (`segments`) of one finding that share a ``lane`` share a row; curves are
plots over ``seconds``; moments are ``frames``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from unmask.render import charts, shots
from unmask.render.plain import dicts, mapping, numbers, numeral
from unmask.render.words import clock, visible
from unmask.report import Evidence, Finding, Report

MAX_ROWS, MAX_CURVES, MAX_NAME = 24, 8, 80
"""Rows and curves of one finding; further rows are drawn in one, further curves stand in the finding only."""

CURVE_HEIGHT = 60
# Of a curve whose points lie so many times further apart than usual nothing is known in between.
GAP = 4.0
SIGN_GRADES = ("decisive", "sign", "weak")


@dataclass(frozen=True)
class Bar:
    """A stretch, seconds. ``tone``: ``sign`` speaks for a change, ``event`` belongs to a finding that shows signs and
    does not say which stretches are the signs, ``seen`` says only that something is there.
    """

    start: float
    end: float
    text: str
    tone: str

    @property
    def when(self) -> str:
        """``0:12.5–0:14.0``."""
        return charts.span({"start": self.start, "end": self.end})


@dataclass
class Row:
    """One lane. ``left_out``: stretches that the report does not hold."""

    name: str
    bars: list[Bar] = field(default_factory=list)
    left_out: int = 0

    @property
    def has_sign(self) -> bool:
        """Whether a stretch speaks for a change."""
        return any(bar.tone == "sign" for bar in self.bars)


@dataclass(frozen=True)
class Curve:
    """Curves of one plot. ``runs``: for each series, pieces of (seconds, value) without a gap."""

    name: str
    unit: str
    series: tuple[str, ...]
    runs: tuple[tuple[tuple[tuple[float, float], ...], ...], ...]
    levels: tuple[tuple[float, str], ...]
    low: float
    high: float


@dataclass(frozen=True)
class Group:
    """What one finding says over time. ``left_out``: curves that stand in the finding only."""

    title: str
    rows: tuple[Row, ...]
    curves: tuple[Curve, ...]
    left_out: int


class Timeline:
    """``length``: seconds of the whole axis; ``strip``: small pictures of the film, by time; ``groups``: by weight."""

    def __init__(self, report: Report, findings: Sequence[Finding], grades: Sequence[str]) -> None:
        found = [_group(f, g) for f, g in zip(findings, grades, strict=True)]
        self.groups = tuple(g for g in found if g.rows or g.curves)
        self.strip = sorted(shots.read(report.subject.strip), key=lambda picture: picture.time)
        self.length = self._length(numeral(report.subject.duration))

    def _length(self, declared: float) -> float:
        if declared > 0:
            return declared
        ends = [bar.end for bar in self.bars]
        ends += [x for g in self.groups for c in g.curves for runs in c.runs for run in runs for x, _ in run]
        ends += [picture.time for picture in self.strip]
        return max(ends, default=0.0) or 1.0

    def __bool__(self) -> bool:
        return bool(self.groups or self.strip)

    @property
    def bars(self) -> Iterator[Bar]:
        """All stretches."""
        return itertools.chain.from_iterable(row.bars for group in self.groups for row in group.rows)

    @property
    def tones(self) -> list[str]:
        """The tones that occur, gravest first."""
        found = {bar.tone for bar in self.bars}
        return [tone for tone in ("sign", "event", "seen") if tone in found]


def _group(finding: Finding, grade: str) -> Group:
    rows = list(_rows(finding, grade))
    rows.sort(key=lambda row: not row.has_sign)
    if len(rows) > MAX_ROWS:
        rest = rows[MAX_ROWS - 1 :]
        bars = [Bar(b.start, b.end, f"{row.name}: {b.text}", b.tone) for row in rest for b in row.bars]
        rows = [*rows[: MAX_ROWS - 1], Row(f"{len(rest)} more", bars)]
    curves = tuple(c for c in map(_curve, finding.evidence) if c is not None)
    left_out = max(0, len(curves) - MAX_CURVES)
    return Group(visible(finding.about.title), tuple(rows), curves[:MAX_CURVES], left_out)


def _rows(finding: Finding, grade: str) -> Iterator[Row]:
    marked = any(s.get("sign") is True for e in finding.evidence if e.kind == "segments" for s in _segments(e))
    rows: dict[object, Row] = {}
    for number, evidence in enumerate(finding.evidence):
        if evidence.kind == "segments":
            for item in _segments(evidence):
                lane = visible(item.get("lane") or "")[:MAX_NAME]
                row = rows.setdefault(lane or number, Row(lane or visible(evidence.title)))
                row.bars.append(_bar(item, evidence, "event" if grade in SIGN_GRADES and not marked else "seen"))
            if number in rows:
                count = int(numeral(mapping(evidence.data).get("count")))
                rows[number].left_out = max(0, count - len(rows[number].bars))
        elif pictures := shots.read(evidence):
            rows[number] = Row(visible(evidence.title), [Bar(p.time, p.time, p.label, "seen") for p in pictures])
    yield from rows.values()


def _segments(evidence: Evidence) -> list[dict[str, object]]:
    return dicts(mapping(evidence.data).get("segments"))


def _bar(item: dict[str, object], evidence: Evidence, tone: str) -> Bar:
    start = max(0.0, numeral(item.get("start")))
    end = max(start, numeral(item.get("end")))
    text = visible(item.get("label") or "")
    if item.get("sign") is True:
        return Bar(start, end, f"{visible(evidence.title)}: {text}" if item.get("lane") else text, "sign")
    return Bar(start, end, text, "seen" if item.get("lane") else tone)


def _curve(evidence: Evidence) -> Curve | None:
    data = mapping(evidence.data)
    if evidence.kind != "plot" or data.get("x_label") != "seconds":
        return None
    xs = numbers(data.get("x"))
    series = [(visible(s.get("name") or ""), numbers(s.get("y"))) for s in dicts(data.get("series"))][: charts.CURVES]
    known = [(name, list(zip(xs, y, strict=False))) for name, y in series if y]
    if len(xs) < 2 or not known:
        return None
    levels = [(numeral(v.get("y")), visible(v.get("label") or "")) for v in dicts(data.get("levels"))[: charts.CURVES]]
    values = [y for _, points in known for _, y in points] + [y for y, _ in levels]
    low, high = charts.ends(values)
    return Curve(
        visible(evidence.title),
        visible(data.get("y_label") or ""),
        tuple(name for name, _ in known),
        tuple(tuple(_runs(points)) for _, points in known),
        tuple(levels),
        low,
        high,
    )


def _runs(points: list[tuple[float, float]]) -> Iterator[tuple[tuple[float, float], ...]]:
    """The points, cut where they lie far apart."""
    steps = sorted(b - a for (a, _), (b, _) in itertools.pairwise(points))
    usual = steps[len(steps) // 2] if steps else 0.0
    run: list[tuple[float, float]] = []
    for point in points:
        if run and usual > 0 and point[0] - run[-1][0] > GAP * usual:
            yield tuple(run)
            run = []
        run.append(point)
    yield tuple(run)


# Drawing ----------------------------------------------------------------------------------------------------


def lane(row: Row, length: float) -> Markup:
    """The row's stretches over the whole length: signs fill the row, the rest is a thin line."""
    at = charts.Scale(0.0, length)
    parts = []
    for bar in sorted(row.bars, key=lambda b: b.tone == "sign"):
        left = 100 * at(bar.start)
        width = max(0.05, 100 * at(bar.end) - left)
        top, height = (7, 8) if bar.tone == "seen" else (2, 18)
        parts.append(
            Markup(
                '<rect x="{:.2f}%" y="{}" width="{:.2f}%" height="{}" class="stretch tone-{}" '
                'data-start="{:.3f}" data-end="{:.3f}"><title>{}</title></rect>'
            ).format(left, top, width, height, bar.tone, bar.start, bar.end, f"{bar.when} {bar.text}")
        )
    return Markup('<svg class="lane" width="100%" height="22" role="img" aria-label="{}">{}</svg>').format(
        _say(row), Markup().join(parts)
    )


def _say(row: Row) -> str:
    spans = "; ".join(bar.when for bar in row.bars[:12])
    more = f" and {len(row.bars) - 12} more" if len(row.bars) > 12 else ""
    return f"{row.name}: {spans}{more}"


def curve(made: Curve, length: float) -> Markup:
    """The curves and their levels, stretched over the whole length."""
    x, y = charts.Scale(0.0, length), charts.Scale(made.low, made.high)
    parts = []
    for value, _ in made.levels:
        at = CURVE_HEIGHT * (1 - y(value))
        parts.append(Markup('<line x2="1000" y1="{0:.1f}" y2="{0:.1f}" class="level"/>').format(at))
    for number, runs in enumerate(made.runs):
        for run in runs:
            # A single point is a short line, or nobody would see it.
            points = [(1000 * x(a), CURVE_HEIGHT * (1 - y(b))) for a, b in run]
            points += [(points[0][0] + 2, points[0][1])] if len(points) == 1 else []
            parts.append(
                Markup('<polyline points="{}" class="curve curve-{}" data-series="{}"/>').format(
                    " ".join(f"{a:.1f},{b:.2f}" for a, b in points), number % charts.CURVES, number
                )
            )
    return Markup(
        '<svg class="mini" width="100%" height="{0}" viewBox="0 -2 1000 {1}" preserveAspectRatio="none" role="img" '
        'aria-label="{2}" data-low="{3:.6g}" data-high="{4:.6g}">{5}</svg>'
    ).format(CURVE_HEIGHT + 4, CURVE_HEIGHT + 4, _tell(made), made.low, made.high, Markup().join(parts))


def _tell(made: Curve) -> str:
    tops = []
    for name, runs in zip(made.series, made.runs, strict=True):
        when, top = max((point for run in runs for point in run), key=lambda point: point[1])
        tops.append(f"{name or 'the curve'} is highest, {charts.short(top)}, at {clock(when)}")
    return f"{made.name}: {'; '.join(tops)}"


def extent(made: Curve) -> str:
    """What the lower and the upper edge of a curve's row stand for."""
    said = f"{_figure(made.low)} to {_figure(made.high)} {made.unit}".strip()
    return "; ".join([said, *(f"dotted: {name} ({_figure(value)})" for value, name in made.levels)])


def _figure(value: float) -> str:
    # A real minus sign does not end a line.
    return charts.short(float(f"{value:.3g}")).replace("-", "−", 1)
