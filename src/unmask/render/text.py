"""Results in a terminal: a table for many subjects, details for one."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from unmask.render import words
from unmask.report import Evidence, Finding, Report

_STYLES = {
    "likely_manipulated": "bold red",
    "suspicious": "bold yellow",
    "no_sign_found": "green",
    "inconclusive": "dim",
    "declared_synthetic": "bold magenta",
}
_GRADE_STYLES = {"sign": "bold red", "weak": "yellow", "quiet": "green", "fact": "cyan", "failed": "red"}
MAX_FACTS = 12


def table(reports: Sequence[Report]) -> Table:
    """One row a subject: name, kind, verdict, probability, main reason, seconds."""
    out = Table(box=None, pad_edge=False, header_style="bold", expand=False)
    out.add_column("file", overflow="fold", min_width=12, max_width=44)
    out.add_column("kind", no_wrap=True)
    out.add_column("verdict", no_wrap=True)
    out.add_column("prob.", justify="right", no_wrap=True)
    out.add_column("why", overflow="fold", min_width=20)
    out.add_column("s", justify="right", no_wrap=True)
    for report in reports:
        verdict = report.verdict
        out.add_row(
            Text(words.visible(report.subject.name)),
            report.subject.kind,
            label(report),
            "" if verdict.probability is None else f"{verdict.probability:.2f}",
            Text(words.visible(verdict.reasons[0].text) if verdict.reasons else ""),
            f"{report.seconds:.1f}",
        )
    return out


def label(report: Report) -> Text:
    """The verdict's symbol and word, coloured where colours are on."""
    name = report.verdict.label
    return Text(f"{words.SYMBOLS[name]} {words.SHORT[name]}", style=_STYLES[name])


def detail(report: Report) -> RenderableType:
    """Everything about one subject that fits a terminal."""
    verdict = report.verdict
    rate = words.false_alarms(verdict)
    head = Table.grid(padding=(0, 2))
    head.add_row("verdict", label(report))
    head.add_row("", words.headline(report))
    if verdict.probability is not None:
        head.add_row("probability", words.probability(verdict))
        head.add_row("likelihood ratio", words.likelihood(verdict))
    if rate:
        head.add_row("false alarms", rate)
    if report.subject.sha256:
        head.add_row("sha256", report.subject.sha256)
    parts: list[RenderableType] = [Text(""), Text(words.visible(report.subject.name), style="bold"), head]
    parts += [_finding(f) for f in words.sorted_findings(report)]
    missing = words.not_examined(verdict)
    if missing:
        parts += [Text("Not examined", style="bold"), *(Padding(Text(m), (0, 0, 0, 2)) for m in missing)]
    return Group(*parts)


def _finding(finding: Finding) -> RenderableType:
    grade = words.grade(finding)
    head = Text.assemble(
        (f"{words.GRADE_WORDS[grade]:>15}  ", _GRADE_STYLES.get(grade, "dim")),
        (finding.detector, "bold"),
        f"  {finding.score:.2f}" if finding.score is not None else "",
    )
    lines: list[RenderableType] = [head, Padding(Text(words.visible(finding.reason.text)), (0, 0, 0, 17))]
    facts = [_fact(e) for e in finding.evidence]
    lines += [Padding(Text(f, style="dim"), (0, 0, 0, 17)) for f in facts[:MAX_FACTS] if f]
    return Group(*lines)


def _fact(evidence: Evidence) -> str:
    data = evidence.data or {}
    if evidence.kind == "fact":
        return words.visible(f"{data.get('name')}: {data.get('value')} ({data.get('source')})")
    if evidence.kind == "segments":
        found = data.get("segments")
        times = (
            [f"{s['start']:.2f}-{s['end']:.2f} s" for s in found if isinstance(s, dict)]
            if isinstance(found, list)
            else []
        )
        return f"{evidence.title}: {', '.join(times[:8])}{' …' if len(times) > 8 else ''}"
    return f"{evidence.title} (see the HTML report)" if evidence.kind in ("heatmap", "plot", "boxes") else ""
