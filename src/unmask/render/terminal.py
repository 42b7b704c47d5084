"""A film in a terminal: small pictures made of half blocks, and a line of characters for each lane.

Only where a person looks: nothing of it is printed into a pipe or a file, pictures only where there are colours.
"""

from __future__ import annotations

import base64
import io
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from unmask.render import charts, shots, words
from unmask.render.timeline import Curve, Row, Timeline
from unmask.report import Evidence, Report

if TYPE_CHECKING:
    from PIL.Image import Image

LEAST_WIDTH, MOST_WIDTH = 80, 132
STRIP_ROWS, SHOT_ROWS = 5, 8
"""Lines of a picture; a line holds two rows of pixels."""

MAX_LANES, MAX_CURVES, NAME = 12, 4, 24
_INDENT = 2
_MARKS = {"sign": ("█", "bold red"), "event": ("▆", "yellow"), "seen": ("─", "blue")}
_STEPS = "▁▂▃▄▅▆▇█"


class FilmLine:
    """The strip and the lanes of a film or a recording."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Nothing where it is no terminal of at least `LEAST_WIDTH` columns, or nothing is known over time."""
        if not _room(console, options) or self.report.subject.kind not in ("video", "audio"):
            return
        findings = words.sorted_findings(self.report)
        line = Timeline(self.report, findings, [words.grade(f, self.report.verdict) for f in findings])
        if not line:
            return
        width = min(options.max_width, MOST_WIDTH) - _INDENT - NAME - 1
        if line.strip and _colours(console):
            yield from _pictures(line.strip, STRIP_ROWS, width, _INDENT + NAME + 1)
        yield from _lines(line, width)
        yield Text()


class Moments:
    """The pictures of evidence of kind ``frames``, side by side as far as there is room, with their times."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Nothing where it is no terminal with colours."""
        found = shots.read(self.evidence)
        if found and _room(console, options) and _colours(console):
            yield from _pictures(found, SHOT_ROWS, min(options.max_width, MOST_WIDTH) - _INDENT, _INDENT, times=True)


def _room(console: Console, options: ConsoleOptions) -> bool:
    return console.is_terminal and options.max_width >= LEAST_WIDTH


def _colours(console: Console) -> bool:
    return console.color_system in ("truecolor", "256") and not console.no_color


# Pictures ---------------------------------------------------------------------------------------------------


def _pictures(found: Sequence[shots.Picture], rows: int, width: int, indent: int, times: bool = False) -> RenderResult:
    """As many as fit, evenly chosen."""
    first = found[0]
    columns = max(2, round(2 * rows * first.width / first.height))
    count = max(1, min(len(found), (width + 1) // (columns + 1)))
    chosen = [found[i * len(found) // count] for i in range(count)]
    small = [image for image in (_small(one, columns, rows) for one in chosen) if image is not None]
    if len(small) < len(chosen):
        return
    for row in range(rows):
        yield Segment(" " * indent)
        for image in small:
            yield from _half_blocks(image, row)
            yield Segment(" ")
        yield Segment.line()
    if times:
        said = "".join(one.when[:columns].ljust(columns + 1) for one in chosen)
        yield Text(" " * indent + said.rstrip(), style="dim")


def _small(picture: shots.Picture, columns: int, rows: int) -> Image | None:
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(base64.b64decode(picture.jpeg)), formats=("JPEG",)).convert("RGB")
        return image.resize((columns, 2 * rows), Image.Resampling.BOX)
    except Exception:  # Pillow raises anything on hostile pictures
        return None


def _half_blocks(image: Image, row: int) -> RenderResult:
    """The upper half of each character is its letter's colour, the lower half the ground's."""
    for x in range(image.width):
        upper, lower = (_hex(image, x, 2 * row + half) for half in (0, 1))
        yield Segment("▀", Style.parse(f"{upper} on {lower}"))


def _hex(image: Image, x: int, y: int) -> str:
    r, g, b = image.getpixel((x, y))  # type: ignore[misc]
    return f"#{r:02x}{g:02x}{b:02x}"


# Lanes ------------------------------------------------------------------------------------------------------


def _lines(line: Timeline, width: int) -> RenderResult:
    rows = [row for group in line.groups for row in group.rows]
    rows.sort(key=lambda row: not row.has_sign)
    for row in rows[:MAX_LANES]:
        yield _line(row.name, _lane(row, line.length, width))
    if len(rows) > MAX_LANES:
        yield _line(f"and {len(rows) - MAX_LANES} more lanes", Text("see the HTML report", style="dim"))
    curves = itertools.chain.from_iterable(group.curves for group in line.groups)
    for curve in itertools.islice(curves, MAX_CURVES):
        yield _line(curve.name, _spark(curve, line.length, width))
    end = words.clock(line.length)
    yield _line("", Text("0:00" + end.rjust(width - 4), style="dim"))


def _line(name: str, what: Text) -> Text:
    short = name if len(name) <= NAME else f"{name[: NAME - 1]}…"
    return Text.assemble(" " * _INDENT, (short.ljust(NAME + 1), "dim"), what, no_wrap=True)


def _lane(row: Row, length: float, width: int) -> Text:
    cells = [("·", "dim")] * width
    at = charts.Scale(0.0, length)
    for tone in ("seen", "event", "sign"):
        for bar in row.bars:
            if bar.tone == tone:
                first, last = (min(width - 1, int(width * at(t))) for t in (bar.start, bar.end))
                mark = ("│", _MARKS[tone][1]) if tone == "seen" and first == last else _MARKS[tone]
                cells[first : last + 1] = [mark] * (last + 1 - first)
    return Text.assemble(*cells)


def _spark(curve: Curve, length: float, width: int) -> Text:
    """The first series: its highest value in each column."""
    at, level = charts.Scale(0.0, length), charts.Scale(curve.low, curve.high)
    cells = [" "] * width
    for run in curve.runs[0]:
        points = [(min(width - 1, int(width * at(x))), level(y)) for x, y in run]
        for (a, low), (b, high) in itertools.pairwise([points[0], *points]):
            for column in range(a, b + 1):
                share = (column - a) / (b - a) if b > a else 1.0
                step = _STEPS[min(7, int(8 * (low + (high - low) * share)))]
                cells[column] = step if column > a or b == a else max(step, cells[column])
    return Text("".join(cells), style="cyan")
