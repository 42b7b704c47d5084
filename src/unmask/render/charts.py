"""Plots, bars and time lines as inline SVG.

All places along x are percentages and all type is in pixels, so that a chart fills a phone or a page and its
letters stay the same size. Curves lie in an inner SVG that is stretched; their strokes are not.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from unmask.render.plain import dicts, numbers, numeral
from unmask.render.words import clock, visible
from unmask.report import Evidence

LEFT, RIGHT = 11.0, 98.5  # per cent of the width
TOP, BOTTOM = 44.0, 196.0  # pixels
HEIGHT = 240
MAX_TICKS = 5
CURVES = 4
MARK_ROWS = 2
# A letter's share of the width, per cent, where the chart is about 700 pixels wide.
_LETTER = 0.95


@dataclass(frozen=True)
class Scale:
    """Values to 0..1."""

    low: float
    high: float

    def __call__(self, value: float) -> float:
        """Where ``value`` lies between ``low`` (0) and ``high`` (1)."""
        return min(1.0, max(0.0, (value - self.low) / ((self.high - self.low) or 1.0)))


def plot(evidence: Evidence) -> Markup:
    """Curves with axes, marks and names; empty where there is nothing to draw."""
    data = evidence.data or {}
    xs = numbers(data.get("x"))
    series = [(visible(s.get("name", "")), numbers(s.get("y"))) for s in dicts(data.get("series"))]
    series = [(name, y) for name, y in series if y]
    if len(xs) < 2 or not series:
        return Markup()
    x_label, y_label = visible(data.get("x_label", "")), visible(data.get("y_label", ""))
    levels = [numeral(v.get("y")) for v in dicts(data.get("levels"))]
    x = _scale(min(xs), max(xs))
    y = Scale(*ends([*itertools.chain.from_iterable(y for _, y in series), *levels]))
    parts = [
        _text(0, 13, y_label, "axis-name"),
        _text(RIGHT, HEIGHT - 6, x_label, "axis-name", "end"),
        *_grid(y),
        *_x_axis(x),
        *_marks(x, [(numeral(m.get("x")), visible(m.get("label", ""))) for m in dicts(data.get("marks"))]),
        *_levels(y, [(numeral(v.get("y")), visible(v.get("label", ""))) for v in dicts(data.get("levels"))]),
        _curves(x, y, xs, [values for _, values in series]),
    ]
    return Markup('<svg class="plot" width="100%" height="{}" role="img" aria-label="{}">{}</svg>').format(
        HEIGHT, _say(evidence, xs, series, x_label, y_label), Markup().join(parts)
    )


def names(evidence: Evidence) -> list[str]:
    """The curves' names, in their order, for the legend; none where one curve needs none."""
    found = [visible(s.get("name", "")) for s in dicts((evidence.data or {}).get("series")) if s.get("y")]
    return found if len(found) > 1 else []


def marks(evidence: Evidence) -> list[str]:
    """The marks as text."""
    found = dicts((evidence.data or {}).get("marks"))
    return [f"{visible(m.get('label', ''))} at {short(numeral(m.get('x')))}" for m in found][:20]


def bar(share: float, label: str, kind: str = "bar") -> Markup:
    """A share of 0..1 as a bar with its middle marked."""
    return Markup(
        '<svg class="{}" width="100%" height="14" role="img" aria-label="{}">'
        '<rect width="100%" height="8" y="3" rx="4" class="bar-all"/>'
        '<rect width="{:.1f}%" height="8" y="3" rx="4" class="bar-part"/>'
        '<rect x="50%" width="1" height="14" class="bar-middle"/></svg>'
    ).format(kind, label, 100 * min(1.0, max(0.0, share)))


def time_axis(length: float) -> Markup:
    """The time axis below the lanes."""
    at = Scale(0.0, max(length, 1e-9))
    out = []
    ticks = _ticks(0.0, max(length, 1e-9), seconds=True)
    fine = any(tick != round(tick) for tick in ticks)
    for tick in ticks:
        place = 100 * at(tick)
        anchor = "start" if place < 4 else "end" if place > 94 else "middle"
        out.append(Markup('<rect x="{:.2f}%" width="1" height="5" class="axis-line"/>').format(min(place, 99.8)))
        out.append(_text(place, 18, clock(tick, fine), "tick", anchor))
    return Markup('<svg class="time-axis" width="100%" height="22" aria-hidden="true">{}</svg>').format(
        Markup().join(out)
    )


def span(item: dict[str, object]) -> str:
    """``0:12.5–0:14.0``."""
    start, end = numeral(item.get("start")), numeral(item.get("end"))
    first, last = clock(start), clock(end)
    return first if last == first or end <= start else f"{first}–{last}"


def _curves(x: Scale, y: Scale, xs: Sequence[float], series: Sequence[Sequence[float]]) -> Markup:
    height = BOTTOM - TOP
    lines = []
    for number, values in enumerate(series):
        points = " ".join(f"{1000 * x(a):.1f},{height * (1 - y(b)):.1f}" for a, b in zip(xs, values, strict=False))
        lines.append(Markup('<polyline points="{}" class="curve curve-{}"/>').format(points, number % CURVES))
    return Markup(
        '<svg x="{}%" y="{}" width="{}%" height="{}" viewBox="0 0 1000 {}" preserveAspectRatio="none">{}</svg>'
    ).format(LEFT, TOP, RIGHT - LEFT, height, height, Markup().join(lines))


def _grid(y: Scale) -> list[Markup]:
    out = []
    for tick in _ticks(y.low, y.high):
        at = BOTTOM - (BOTTOM - TOP) * y(tick)
        out.append(
            Markup('<line x1="{}%" x2="{}%" y1="{at:.1f}" y2="{at:.1f}" class="grid"/>').format(LEFT, RIGHT, at=at)
        )
        out.append(_text(LEFT - 1, at + 4, short(tick), "tick", "end"))
    return out


def _x_axis(x: Scale) -> list[Markup]:
    line = Markup('<line x1="{0}%" x2="{1}%" y1="{2}" y2="{2}" class="axis-line"/>').format(LEFT, RIGHT, BOTTOM)
    ticks = [(tick, LEFT + (RIGHT - LEFT) * x(tick)) for tick in _ticks(x.low, x.high)]
    return [line, *(_text(at, BOTTOM + 16, short(t), "tick", "end" if at > 95 else "middle") for t, at in ticks)]


def _levels(y: Scale, found: Sequence[tuple[float, str]]) -> list[Markup]:
    """Dashed lines across, named at their right end."""
    out = []
    for value, name in found[:CURVES]:
        at = BOTTOM - (BOTTOM - TOP) * y(value)
        out.append(
            Markup('<line x1="{}%" x2="{}%" y1="{at:.1f}" y2="{at:.1f}" class="level"/>').format(LEFT, RIGHT, at=at)
        )
        out.append(_text(RIGHT, at - 5 if at > TOP + 14 else at + 14, name, "level-text", "end"))
    return out


def _marks(x: Scale, found: Sequence[tuple[float, str]]) -> list[Markup]:
    """Dashed lines; their names stand in as many rows as there is room for, the rest is in the caption."""
    out = []
    free = [-100.0] * MARK_ROWS
    for value, name in sorted(found):
        at = LEFT + (RIGHT - LEFT) * x(value)
        out.append(
            Markup('<line x1="{at:.2f}%" x2="{at:.2f}%" y1="{}" y2="{}" class="mark"/>').format(TOP, BOTTOM, at=at)
        )
        width = _LETTER * len(name) + 1
        start = min(at - width / 2, RIGHT - width)
        row = next((r for r in range(MARK_ROWS) if free[r] <= start), None)
        if name and row is not None:
            free[row] = start + width
            anchor = "end" if at + width / 2 > RIGHT else "middle"
            # A phone has room for the short ones only.
            kind = "mark-text short" if row == 0 and len(name) < 5 else "mark-text"
            out.append(_text(RIGHT if anchor == "end" else at, TOP - 4 - 12 * row, name, kind, anchor))
    return out


def _say(
    evidence: Evidence, xs: Sequence[float], series: Sequence[tuple[str, Sequence[float]]], x_label: str, y_label: str
) -> str:
    """The chart in a sentence, for those who cannot see it."""
    tops = []
    for name, values in series:
        top = max(range(min(len(values), len(xs))), key=lambda i, v=values: v[i])  # type: ignore[misc]
        tops.append(f"{name or 'the curve'} is highest, {short(values[top])}, at {short(xs[top])}")
    return f"{visible(evidence.title)}: {y_label} over {x_label}. {'; '.join(tops)}."


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> Markup:
    return Markup('<text x="{:.2f}%" y="{:.1f}" class="{}" text-anchor="{}">{}</text>').format(x, y, kind, anchor, text)


def ends(values: Sequence[float]) -> tuple[float, float]:
    """The lowest and the highest place of an axis for ``values``, which is never empty."""
    low, high = _floor(min(values), max(values)), max(values)
    return low, high if high > low else low + 1.0


def _floor(low: float, high: float) -> float:
    """Zero where the values start near it: a line need not, but a small change far from zero is to look small."""
    return 0.0 if 0 <= low <= 0.6 * high else low


def _scale(low: float, high: float) -> Scale:
    return Scale(low, high if high > low else low + 1.0)


def _ticks(low: float, high: float, seconds: bool = False) -> list[float]:
    """Round numbers between ``low`` and ``high``; with ``seconds`` round on the clock."""
    span_ = high - low
    step = 10.0 ** math.floor(math.log10(span_ / MAX_TICKS))
    step *= next(m for m in (1, 2, 5, 10) if span_ / (step * m) <= MAX_TICKS + 1e-9)
    if seconds and span_ > 30:
        step = next((float(s) for s in (10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600) if span_ / s <= 7), step)
    first = math.ceil(low / step - 1e-9)
    count = math.floor((high - first * step) / step + 1e-9) + 1
    return [(first + n) * step for n in range(count)]


def short(value: float) -> str:
    """A number in four digits."""
    if abs(value) < 1e-12:
        return "0"
    return f"{value:.4g}" if 1e-3 <= abs(value) < 1e5 else f"{value:.1e}"
