"""Results in a terminal: a table for many subjects, details for one."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from unmask.render import charts, shots, words
from unmask.render.plain import dicts, mapping
from unmask.render.terminal import FilmLine, Moments
from unmask.render.view import show
from unmask.report import Evidence, Finding, Label, Report

_STYLES: dict[Label, str] = {
    "likely_manipulated": "bold red",
    "suspicious": "bold yellow",
    "no_sign_found": "green",
    "inconclusive": "bold",
    "declared_synthetic": "bold magenta",
}
_GRADE_STYLES = {
    "decisive": "bold magenta",
    "sign": "bold red",
    "weak": "yellow",
    "quiet": "green",
    "fact": "cyan",
    "failed": "red",
}
# Widths of the columns but the name's, so that each row, a table of its own, stands below the one before.
_WIDTHS = {"kind": 5, "verdict": 20, "prob.": 8, "LR": 7, "sec.": 6}
_RIGHT = ("prob.", "LR", "sec.")
MAX_FACTS = 12
MAX_TIMES = 8
_INDENT = 2


def table(reports: Sequence[Report]) -> Table:
    """Two lines a subject: file, kind, verdict, probability, likelihood ratio, seconds; and the main reason.

    The reason has a line of its own, so that 80 columns are enough to read it.
    """
    out = Table(box=None, show_header=False, pad_edge=False, padding=0, expand=True)
    out.add_column(overflow="fold")
    out.add_row(_line([Text("file"), *map(Text, _WIDTHS)], "bold"))
    for report in reports:
        out.add_row(Group(_line(_cells(report)), _reason(report)))
    out.caption = summary(reports)
    out.caption_justify = "left"
    return out


def summary(reports: Sequence[Report]) -> Text:
    """How many files have each verdict, in one line."""
    out = Text(f"{words.plural(len(reports), 'file')}: ", style="not italic")
    for number, (name, count) in enumerate(words.counted(reports)):
        out.append(", " if number else "")
        out.append(f"{count} {words.SHORT[name].lower()}", style=_STYLES[name])
    if any(r.verdict.label == "no_sign_found" for r in reports):
        out.append(". Absence of signs is not proof.")
    return out


def label(report: Report) -> Text:
    """The verdict's symbol and word, coloured where colours are on."""
    name = report.verdict.label
    return Text(f"{words.SYMBOLS[name]} {words.SHORT[name]}", style=_STYLES[name])


def _cells(report: Report) -> list[Text]:
    verdict = report.verdict
    return [
        Text(words.visible(report.subject.name), style="bold"),
        Text(report.subject.kind if report.subject.kind != "unknown" else "?"),
        label(report),
        Text("–" if verdict.probability is None else words.percent(verdict.probability).removeprefix("under ")),
        Text("–" if verdict.likelihood_ratio is None else _short(verdict.likelihood_ratio)),
        Text(f"{report.seconds:.1f}"),
    ]


def _line(cells: Sequence[Text], style: str = "") -> Table:
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(ratio=1, overflow="fold", min_width=12)
    for name, width in _WIDTHS.items():
        grid.add_column(width=width, no_wrap=True, justify="right" if name in _RIGHT else "left")
    grid.add_row(*cells, style=style)
    return grid


def _reason(report: Report) -> RenderableType:
    reasons = report.verdict.reasons
    text = words.brief(words.visible(reasons[0].text)) if reasons else words.headline(report)
    return Padding(Text(text, style="dim"), (0, 0, 0, _INDENT))


def _short(ratio: float) -> str:
    return words.number(ratio) if 0.01 <= ratio < 1e6 else f"{ratio:.0e}"


def detail(report: Report) -> RenderableType:
    """Everything about one subject that fits a terminal."""
    verdict = report.verdict
    head = Table.grid(padding=(0, 2))
    head.add_column(no_wrap=True, style="dim")
    head.add_column(overflow="fold")
    head.add_row("verdict", label(report))
    head.add_row("", Text(f"{words.headline(report)} {words.meaning(report)}"))
    if verdict.probability is not None:
        head.add_row("probability", f"{words.probability(verdict)} (if both were equally likely before)")
    if verdict.likelihood_ratio is not None:
        head.add_row("likelihood ratio", f"{words.likelihood(verdict)}. {words.likelihood_meaning(verdict)}")
    if rate := words.false_alarms(verdict):
        head.add_row("false alarms", rate)
    if report.subject.sha256:
        head.add_row("sha256", Text(words.visible(report.subject.sha256)))
    parts: list[RenderableType] = [Text(""), Rule(Text(words.visible(report.subject.name), style="bold"), align="left")]
    parts += [
        head,
        Text(""),
        FilmLine(report),
        *(_finding(f, words.grade(f, verdict)) for f in words.sorted_findings(report)),
    ]
    missing = words.not_examined(verdict)
    if missing:
        parts += [
            Text("Not examined", style="bold"),
            *(Padding(Text(words.visible(m)), (0, 0, 0, _INDENT)) for m in missing),
        ]
    return Group(*parts)


def _finding(finding: Finding, grade: str) -> RenderableType:
    head = Text.assemble(
        (words.visible(finding.about.title), "bold"),
        f"  {words.visible(finding.detector)}  ",
        (words.GRADE_WORDS[grade], _GRADE_STYLES.get(grade, "dim")),
        f"  {finding.score:.2f}" if finding.score is not None else "",
        (f"  {words.calibrated_for(finding)}" if words.calibrated_for(finding) else "", "dim"),
    )
    lines = [Text(words.visible(finding.reason.text))]
    if grade in ("sign", "weak"):
        lines.append(Text(f"Innocent causes: {words.visible(finding.about.innocent_causes)}", style="italic"))
    shown = [text for text in map(_evidence, finding.evidence) if text]
    lines += [Text(text, style="dim") for text in shown[:MAX_FACTS]]
    if len(shown) > MAX_FACTS:
        lines.append(Text(f"and {len(shown) - MAX_FACTS} more: see --json or --html", style="dim"))
    moments = [Moments(e) for e in finding.evidence if e.kind == "frames"]
    return Group(head, *(Padding(line, (0, 0, 0, _INDENT)) for line in lines), *moments)


def _evidence(evidence: Evidence) -> str:
    data = mapping(evidence.data)
    if evidence.kind == "fact":
        name, source = data.get("name") or evidence.title, data.get("source")
        return f"{words.visible(name)}: {show(data.get('value'))}" + (f" ({words.visible(source)})" if source else "")
    title = words.visible(evidence.title)
    if evidence.kind == "segments":
        times = [charts.span(s) for s in dicts(data.get("segments"))]
        return f"{title}: {', '.join(times[:MAX_TIMES])}{' …' if len(times) > MAX_TIMES else ''}" if times else ""
    if evidence.kind == "frames":
        when = ", ".join(picture.when for picture in shots.read(evidence))
        return f"{title}: {when}" if when else ""
    return f"{title}: see the HTML report"
