"""Evidence as inline SVG: maps over the picture, boxes, plots, time lines. No style attributes: the page's policy
forbids them; classes and presentation attributes do.
"""

from __future__ import annotations

import base64
import io
from typing import Any

from markupsafe import Markup

from unmask.render.words import visible
from unmask.report import Evidence, Report

# Inferno-like ramp (dark to bright in equal lightness steps): safe for colour-blind readers, readable in grey print.
_RAMP = (
    (0, 0, 4),
    (31, 12, 72),
    (85, 15, 109),
    (136, 34, 106),
    (186, 54, 85),
    (227, 89, 51),
    (249, 140, 10),
    (249, 201, 50),
    (252, 255, 164),
)
PLOT = (640, 240)
MARGIN = (52, 14, 40, 12)  # left, right, bottom, top
LANE_HEIGHT = 34
MAX_TICKS = 6


def colour_map(evidence: Evidence) -> str | None:
    """A heatmap's grey PNG as a coloured one with alpha, base64; None where it is broken."""
    from PIL import Image

    raw = (evidence.data or {}).get("png")
    if not isinstance(raw, str):
        return None
    try:
        grey = Image.open(io.BytesIO(base64.b64decode(raw, validate=True))).convert("L")
    except (ValueError, OSError):
        return None
    palette = [_ramp(i / 255) for i in range(256)]
    image = grey.copy()
    image = Image.frombytes("P", grey.size, grey.tobytes())
    image.putpalette([channel for colour in palette for channel in colour])
    buffer = io.BytesIO()
    # Low values let the picture through.
    image.save(buffer, "PNG", transparency=bytes(min(255, 40 + 2 * i) if i > 24 else i for i in range(256)))
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def picture_size(report: Report) -> tuple[int, int]:
    """Upright width and height of the subject's picture."""
    return report.subject.width or 1, report.subject.height or 1


def map_layer(evidence: Evidence, width: int, height: int) -> Markup:
    """The heatmap as an SVG image that covers the picture."""
    coloured = colour_map(evidence)
    if coloured is None:
        return Markup()
    return Markup('<image href="data:image/png;base64,{}" width="{}" height="{}" preserveAspectRatio="none"/>').format(
        coloured, width, height
    )


def box_layer(evidence: Evidence, width: int, height: int) -> Markup:
    """Boxes with labels, and lines between what belongs together."""
    data = evidence.data or {}
    stroke = max(width, height) / 320
    size = max(width, height) / 42
    out = [
        Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" class="link" stroke-width="{}"/>').format(*line, stroke)
        for line in _lists(data.get("lines"), 4)
    ]
    for box in _dicts(data.get("boxes")):
        x, y, w, h = (float(box.get(k, 0)) for k in "xywh")
        out.append(
            Markup('<rect x="{}" y="{}" width="{}" height="{}" class="box" stroke-width="{}"/>').format(
                x, y, w, h, stroke
            )
        )
        if box.get("label"):
            out.append(
                Markup('<text x="{}" y="{}" font-size="{}" class="tag">{}</text>').format(
                    x, max(size, y - size / 3), size, visible(str(box["label"]))
                )
            )
    return Markup().join(out)


def where(evidence: Evidence) -> str:
    """In words, where on the picture the map is strongest: for those who cannot see it."""
    from PIL import Image

    raw = (evidence.data or {}).get("png")
    if not isinstance(raw, str):
        return "no map"
    try:
        grey = Image.open(io.BytesIO(base64.b64decode(raw))).convert("L").resize((3, 3), Image.Resampling.BOX)
    except (ValueError, OSError):
        return "no map"
    values = list(grey.tobytes())
    top = max(values)
    if top < 12 or top - sorted(values)[4] < 8:
        return "spread evenly over the picture"
    i = values.index(top)
    row, column = ("top", "middle", "bottom")[i // 3], ("left", "centre", "right")[i % 3]
    return f"strongest at the {row} {column}"


def plot(evidence: Evidence) -> Markup:
    """Curves with axes, marks and a legend."""
    data = evidence.data or {}
    x = _numbers(data.get("x"))
    series = [(str(s.get("name", "")), _numbers(s.get("y"))) for s in _dicts(data.get("series"))]
    if len(x) < 2 or not any(y for _, y in series):
        return Markup('<p class="quiet">Nothing to draw.</p>')
    values = [v for _, y in series for v in y]
    frame = _Frame(min(x), max(x), min(0.0, *values), max(*values, 1e-9))
    out = [frame.axes(str(data.get("x_label", "")), str(data.get("y_label", "")))]
    for mark in _dicts(data.get("marks")):
        at = frame.x(float(mark.get("x", 0)))
        out.append(
            Markup(
                '<line x1="{0}" x2="{0}" y1="{1}" y2="{2}" class="mark"/>'
                '<text x="{3}" y="{4}" class="mark-text">{5}</text>'
            ).format(at, MARGIN[3], PLOT[1] - MARGIN[2], at + 3, MARGIN[3] + 10, visible(str(mark.get("label", ""))))
        )
    for number, (_, y) in enumerate(series):
        points = " ".join(f"{frame.x(a):.1f},{frame.y(b):.1f}" for a, b in zip(x, y, strict=False))
        out.append(Markup('<polyline points="{}" class="curve curve-{}"/>').format(points, number % 4))
    legend = ", ".join(visible(name) for name, _ in series)
    label = f"{visible(evidence.title)}: {legend} over {visible(str(data.get('x_label', '')))}"
    return Markup('<svg viewBox="0 0 {} {}" class="plot" role="img" aria-label="{}">{}</svg>').format(
        *PLOT, label, Markup().join(out)
    )


def time_line(report: Report, lanes: list[tuple[str, Evidence]]) -> Markup:
    """Lanes of segments over the whole length, one a finding."""
    length = report.subject.duration or max((e.end or 0 for _, e in lanes), default=0) or 1.0
    width, left = 900, 190
    height = LANE_HEIGHT * len(lanes) + 30

    def at(seconds: float) -> float:
        return left + (width - left - 10) * min(1.0, max(0.0, seconds / length))

    out = []
    for row, (name, evidence) in enumerate(lanes):
        y = row * LANE_HEIGHT + 6
        out.append(
            Markup(
                '<text x="0" y="{}" class="lane-name">{}</text>'
                '<rect x="{}" y="{}" width="{}" height="22" class="lane"/>'
            ).format(y + 16, visible(name)[:26], left, y, width - left - 10)
        )
        for item in _dicts((evidence.data or {}).get("segments")):
            start, end = at(float(item.get("start", 0))), at(float(item.get("end", 0)))
            out.append(
                Markup(
                    '<rect x="{:.1f}" y="{}" width="{:.1f}" height="22" class="stretch"><title>{}</title></rect>'
                ).format(start, y, max(3.0, end - start), visible(str(item.get("label", ""))))
            )
    for tick in _ticks(0, length):
        out.append(
            Markup('<text x="{:.1f}" y="{}" class="tick" text-anchor="middle">{}</text>').format(
                at(tick), height - 6, clock(tick)
            )
        )
    names = ", ".join(visible(name) for name, _ in lanes)
    return Markup('<svg viewBox="0 0 {} {}" class="lanes" role="img" aria-label="Time line of {}">{}</svg>').format(
        width, height, names, Markup().join(out)
    )


def clock(seconds: float) -> str:
    """``1:02:03.5``, without what is zero at the front."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    tail = f"{rest:04.1f}" if seconds < 600 else f"{rest:02.0f}"
    return f"{hours}:{minutes:02}:{tail}" if hours else f"{minutes}:{tail}"


class _Frame:
    """The mapping of a plot's values to its pixels."""

    def __init__(self, x0: float, x1: float, y0: float, y1: float) -> None:
        self.x0, self.x1, self.y0, self.y1 = x0, x1 if x1 > x0 else x0 + 1, y0, y1 if y1 > y0 else y0 + 1

    def x(self, value: float) -> float:
        left, right, _, _ = MARGIN
        return left + (PLOT[0] - left - right) * (value - self.x0) / (self.x1 - self.x0)

    def y(self, value: float) -> float:
        _, _, bottom, top = MARGIN
        return PLOT[1] - bottom - (PLOT[1] - bottom - top) * (value - self.y0) / (self.y1 - self.y0)

    def axes(self, x_label: str, y_label: str) -> Markup:
        bottom = PLOT[1] - MARGIN[2]
        out = [
            Markup('<path d="M{0} {1}V{2}H{3}" class="axis"/>').format(
                MARGIN[0], MARGIN[3], bottom, PLOT[0] - MARGIN[1]
            ),
            Markup('<text x="{}" y="{}" class="axis-name" text-anchor="middle">{}</text>').format(
                (PLOT[0] + MARGIN[0]) / 2, PLOT[1] - 6, visible(x_label)
            ),
            Markup(
                '<text x="12" y="{0}" class="axis-name" text-anchor="middle" transform="rotate(-90 12 {0})">{1}</text>'
            ).format(bottom / 2, visible(y_label)),
        ]
        out += [
            Markup('<text x="{:.1f}" y="{}" class="tick" text-anchor="middle">{}</text>').format(
                self.x(t), bottom + 14, _label(t)
            )
            for t in _ticks(self.x0, self.x1)
        ]
        out += [
            Markup('<text x="{}" y="{:.1f}" class="tick" text-anchor="end">{}</text>').format(
                MARGIN[0] - 4, self.y(t) + 4, _label(t)
            )
            for t in _ticks(self.y0, self.y1)
        ]
        return Markup().join(out)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between ``low`` and ``high``."""
    import math

    span = max(high - low, 1e-12)
    step = 10 ** math.floor(math.log10(span / MAX_TICKS))
    step *= next(m for m in (1, 2, 5, 10) if span / (step * m) <= MAX_TICKS)
    first = math.ceil(low / step)
    return [n * step for n in range(first, first + MAX_TICKS + 2) if n * step <= high + 1e-9 * span]


def _label(value: float) -> str:
    return f"{value:.6g}" if abs(value) < 1e6 else f"{value:.1e}"


def _ramp(value: float) -> tuple[int, int, int]:
    at = value * (len(_RAMP) - 1)
    i = min(int(at), len(_RAMP) - 2)
    low, high = _RAMP[i], _RAMP[i + 1]
    r, g, b = (round(a + (c - a) * (at - i)) for a, c in zip(low, high, strict=True))
    return r, g, b


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []


def _numbers(value: Any) -> list[float]:
    return [float(v) for v in value if isinstance(v, (int, float))] if isinstance(value, list) else []


def _lists(value: Any, length: int) -> list[list[float]]:
    rows = [_numbers(v) for v in value] if isinstance(value, list) else []
    return [row for row in rows if len(row) == length]
