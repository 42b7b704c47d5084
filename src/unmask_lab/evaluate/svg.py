"""Charts of evaluations as inline SVG in the look of Unmask's reports: no script, readable in light and dark.

As in the reports, places along x are per cent and letters are in pixels; curves lie in an inner SVG that is stretched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from unmask.render.charts import CURVES

LEFT, RIGHT = 12.0, 97.0  # per cent
TOP, BOTTOM, HEIGHT = 26.0, 268.0, 312  # pixels
BAR_ROW = 30


@dataclass(frozen=True)
class Axis:
    """What stands along one side: ``ticks`` are (value, text); ``at`` brings a value to where it is drawn."""

    name: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    at: Callable[[float], float] = float

    def __call__(self, value: float) -> float:
        """Place of ``value``, 0..1, clipped."""
        low, high = self.at(self.low), self.at(self.high)
        return min(1.0, max(0.0, (self.at(value) - low) / (high - low)))


@dataclass(frozen=True)
class Line:
    """One curve; ``dots`` also marks its points."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    dots: bool = False


def shares(name: str) -> Axis:
    """0 to 100 % in even steps."""
    return Axis(name, 0.0, 1.0, tuple((v / 4, f"{25 * v} %") for v in range(5)))


def probits(name: str, at: Callable[[float], float]) -> Axis:
    """0.5 to 95 % on the scale of the normal distribution, as DET curves are drawn."""
    ticks = (0.005, 0.02, 0.1, 0.3, 0.6, 0.85, 0.95)
    return Axis(name, ticks[0], ticks[-1], tuple((t, f"{100 * t:g} %") for t in ticks), at)


def chart(title: str, x: Axis, y: Axis, lines: Sequence[Line], say: str, diagonal: bool = False) -> Markup:
    """A chart with its legend and a sentence for those who cannot see it; empty where there is no line."""
    drawn = [line for line in lines if len(line.x) > 1]
    if not drawn:
        return Markup()
    parts = [
        _text(0, 14, y.name, "axis-name"),
        _text(RIGHT, HEIGHT - 8, x.name, "axis-name", "end"),
        *(_across(y, value, text) for value, text in y.ticks),
        *(_up(x, value, text) for value, text in x.ticks),
        _curves(x, y, drawn, diagonal),
        *(_dots(x, y, line, i) for i, line in enumerate(drawn) if line.dots),
    ]
    svg = Markup('<svg class="plot" width="100%" height="{}" role="img" aria-label="{}">{}</svg>').format(
        HEIGHT, f"{title}. {say}", Markup().join(parts)
    )
    return Markup('<figure class="chart"><figcaption><strong>{}</strong></figcaption>{}{}</figure>').format(
        title, svg, legend([line.name for line in drawn])
    )


def legend(names: Sequence[str]) -> Markup:
    """Names beside their strokes; none where one curve needs none."""
    items = [
        Markup(
            '<span><svg width="28" height="8" aria-hidden="true"><line x2="28" y1="4" y2="4" '
            'class="curve curve-{}"/></svg> {}</span>'
        ).format(i % CURVES, name)
        for i, name in enumerate(names)
    ]
    return Markup('<p class="curves">{}</p>').format(Markup().join(items)) if len(names) > 1 else Markup()


def bars(title: str, rows: Sequence[tuple[str, float, float, float, str]], low: float = 0.4) -> Markup:
    """Values with intervals as points on a line: (name, value, low, high, note); the axis runs from ``low`` to 1."""
    if not rows:
        return Markup()
    axis = Axis("", low, 1.0, tuple((v / 10, f".{v}" if v < 10 else "1") for v in range(round(low * 10), 11)))
    height = BAR_ROW * len(rows) + 30
    out = []
    for value, text in axis.ticks:
        out.append(
            Markup('<line x1="{0:.2f}%" x2="{0:.2f}%" y1="0" y2="{1}" class="{2}"/>').format(
                _bar(axis, value), height - 22, "mark" if value == 0.5 else "grid"
            )
        )
        out.append(_text(_bar(axis, value), height - 6, text, "tick", "middle"))
    for i, (name, value, least, most, note) in enumerate(rows):
        out.append(_bar_row(axis, BAR_ROW * i + 15, name, value, least, most, note))
    said = "; ".join(f"{name} {value:.2f}" for name, value, *_ in rows if not math.isnan(value))
    return Markup(
        '<figure class="chart"><figcaption><strong>{}</strong></figcaption>'
        '<svg class="plot" width="100%" height="{}" role="img" aria-label="{}">{}</svg></figure>'
    ).format(title, height, f"{title}: {said}.", Markup().join(out))


def _bar(axis: Axis, value: float) -> float:
    return 40 + 50 * axis(value)


def _bar_row(axis: Axis, y: float, name: str, value: float, low: float, high: float, note: str) -> Markup:
    parts = [_text(0, y + 4, name, "row-name")]
    if not math.isnan(low):
        parts.append(
            Markup('<line x1="{:.2f}%" x2="{:.2f}%" y1="{y}" y2="{y}" class="span"/>').format(
                _bar(axis, low), _bar(axis, high), y=y
            )
        )
    if not math.isnan(value):
        parts.append(Markup('<circle cx="{:.2f}%" cy="{}" r="5" class="dot dot-0"/>').format(_bar(axis, value), y))
    parts.append(_text(100, y + 4, note, "tick", "end"))
    return Markup().join(parts)


def _curves(x: Axis, y: Axis, lines: Sequence[Line], diagonal: bool) -> Markup:
    height = BOTTOM - TOP
    out = [Markup('<line x1="0" y1="{}" x2="1000" y2="0" class="mark"/>').format(height)] if diagonal else []
    for i, line in enumerate(lines):
        points = " ".join(
            f"{1000 * x(a):.1f},{height * (1 - y(b)):.1f}"
            for a, b in zip(line.x, line.y, strict=True)
            if not math.isnan(b)
        )
        out.append(Markup('<polyline points="{}" class="curve curve-{}"/>').format(points, i % CURVES))
    return Markup(
        '<svg x="{}%" y="{}" width="{}%" height="{}" viewBox="0 0 1000 {}" preserveAspectRatio="none">{}</svg>'
    ).format(LEFT, TOP, RIGHT - LEFT, height, height, Markup().join(out))


def _dots(x: Axis, y: Axis, line: Line, number: int) -> Markup:
    place = [
        (LEFT + (RIGHT - LEFT) * x(a), BOTTOM - (BOTTOM - TOP) * y(b))
        for a, b in zip(line.x, line.y, strict=True)
        if not math.isnan(b)
    ]
    return Markup().join(
        Markup('<circle cx="{:.2f}%" cy="{:.1f}" r="3.5" class="dot dot-{}"/>').format(a, b, number % CURVES)
        for a, b in place
    )


def _across(y: Axis, value: float, text: str) -> Markup:
    at = BOTTOM - (BOTTOM - TOP) * y(value)
    line = Markup('<line x1="{}%" x2="{}%" y1="{at:.1f}" y2="{at:.1f}" class="grid"/>').format(LEFT, RIGHT, at=at)
    return line + _text(LEFT - 1.2, at + 4, text, "tick", "end")


def _up(x: Axis, value: float, text: str) -> Markup:
    at = LEFT + (RIGHT - LEFT) * x(value)
    line = Markup('<line x1="{at:.2f}%" x2="{at:.2f}%" y1="{}" y2="{}" class="grid"/>').format(TOP, BOTTOM, at=at)
    return line + _text(at, BOTTOM + 16, text, "tick", "end" if at > 95 else "middle")


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> Markup:
    return Markup('<text x="{:.2f}%" y="{:.1f}" class="{}" text-anchor="{}">{}</text>').format(x, y, kind, anchor, text)
